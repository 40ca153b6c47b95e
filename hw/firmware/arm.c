/* SPDX-License-Identifier: MIT */
/*
 * Arm images. Sources: Linux Documentation/arm64/booting and arm/booting, the legacy U-Boot image header, the EFI zboot
 * header, PE/COFF 8.3, System V ABI for ELF. All files are untrusted.
 */
#include "hw/firmware/arm.h"
#include <elf.h>
#include <string.h>
#include <zlib.h>
#include "base/bits.h"
#include "base/symbols.h"
#include "hw/firmware/image.h"
#include "hw/firmware/loader.h"

#define MAX_KERNEL (1 * GiB)
#define MAX_INITRD (4 * GiB - 64 * MiB)
#define MAX_DTB (2 * MiB)

enum { IMAGE_TEXT_OFFSET = 8, IMAGE_SIZE = 16, IMAGE_MAGIC = 56, IMAGE_HEADER = 64 };
enum { ZIMAGE_MAGIC_AT = 0x24, ZIMAGE_LOAD = 0x10000 };
enum {
    UIMAGE_HEADER = 64,
    UIMAGE_OS_LINUX = 5,
    UIMAGE_ARCH_ARM = 2,
    UIMAGE_ARCH_ARM64 = 22,
    UIMAGE_KERNEL = 2,
    UIMAGE_NOLOAD = 14,
    UIMAGE_STANDALONE = 1
};

typedef struct Source {
    const char *name;
    const uint8_t *p;
    size_t len;
    bool flat; /* gzip is taken off already */
} Source;

static bool bad(Error **errp, const Source *s, const char *why)
{
    error_setf(errp, "kernel '%s': %s", s->name, why);
    return false;
}

/* ---- compression ---- */

static GBytes *gunzip(const Source *s, Error **errp)
{
    g_autoptr(GByteArray) out = g_byte_array_new();
    z_stream z = { .next_in = (Bytef *)s->p, .avail_in = (uInt)MIN(s->len, UINT32_MAX) };
    int result = inflateInit2(&z, 16 + MAX_WBITS);
    while (result == Z_OK) {
        guint had = out->len;
        if (had > MAX_KERNEL / 2) {
            result = Z_MEM_ERROR;
            break;
        }
        g_byte_array_set_size(out, had + 4 * MiB);
        z.next_out = out->data + had;
        z.avail_out = 4 * MiB;
        result = inflate(&z, Z_NO_FLUSH);
        g_byte_array_set_size(out, (guint)(had + 4 * MiB - z.avail_out));
        if (result == Z_BUF_ERROR && !z.avail_in)
            break;
    }
    inflateEnd(&z);
    if (result == Z_STREAM_END)
        return g_byte_array_free_to_bytes(g_steal_pointer(&out));
    bad(errp, s, result == Z_MEM_ERROR ? "its unpacked form is too large" : "damaged gzip data (truncated?)");
    return NULL;
}

/* "MZ", "zimg", offset and length of the payload, its compression as text at 24. */
static bool is_zboot(const Source *s) { return s->len > 64 && !memcmp(s->p, "MZ", 2) && !memcmp(s->p + 4, "zimg", 4); }

static GBytes *unpack_zboot(const Source *s, Error **errp)
{
    uint64_t at = load_le32(s->p + 8), len = load_le32(s->p + 12);
    if (memcmp(s->p + 24, "gzip", 5)) {
        error_setf(
            errp,
            "kernel '%s': EFI image packed with %.8s; only gzip is unpacked here; boot it through firmware (-bios)",
            s->name, s->p + 24);
        return NULL;
    }
    if (at > s->len || len > s->len - at) {
        bad(errp, s, "EFI image: its payload lies outside the file (truncated?)");
        return NULL;
    }
    Source inner = { .name = s->name, .p = s->p + at, .len = len };
    return gunzip(&inner, errp);
}

GBytes *arm_kernel_file(const MachineConfig *config, Error **errp)
{
    g_autoptr(GBytes) file = loader_read_file("kernel", config->kernel, MAX_KERNEL, errp);
    if (!file)
        return NULL;
    Source s = { .name = config->kernel };
    s.p = g_bytes_get_data(file, &s.len);
    if (is_zboot(&s))
        return unpack_zboot(&s, errp);
    if (s.len > 18 && s.p[0] == 0x1f && s.p[1] == 0x8b)
        return gunzip(&s, errp);
    return g_steal_pointer(&file);
}

/* ---- formats ---- */

/* Only part of memory is RAM: [at, at + len) must lie in it. */
static bool check_place(const ArmBoot *b, const Source *s, uint64_t at, uint64_t len, Error **errp)
{
    uint64_t base = b->board.ram_base, size = b->board.ram_size;
    if (at >= base && at - base <= size && len <= size - (at - base))
        return true;
    error_setf(errp,
               "kernel '%s': needs memory from 0x%" G_GINT64_MODIFIER "x to 0x%" G_GINT64_MODIFIER
               "x, RAM is 0x%" G_GINT64_MODIFIER "x to 0x%" G_GINT64_MODIFIER "x; see -m",
               s->name, at, at + len, base, base + size);
    return false;
}

static bool place_image(ArmBoot *b, const Source *s, GBytes *image, uint64_t at, uint64_t used, Error **errp)
{
    b->image = image;
    b->image_at = b->entry = at;
    b->image_end = at + MAX(used, g_bytes_get_size(image));
    return check_place(b, s, at, b->image_end - at, errp);
}

/* Where the last section of the EFI stub's PE header ends in the file; 0: it has none. */
static uint64_t pe_end(const Source *s)
{
    uint64_t at = s->len >= IMAGE_HEADER ? load_le32(s->p + 60) : 0, end = 0;
    if (memcmp(s->p, "MZ", 2) || at < IMAGE_HEADER || at > s->len || s->len - at < 24 || memcmp(s->p + at, "PE\0\0", 4))
        return 0;
    unsigned sections = load_le16(s->p + at + 6);
    at += 24 + load_le16(s->p + at + 20);
    for (unsigned i = 0; i < sections && at <= s->len && s->len - at >= 40; i++, at += 40)
        end = MAX(end, (uint64_t)load_le32(s->p + at + 16) + load_le32(s->p + at + 20));
    return end;
}

static bool load_arm64(ArmBoot *b, const Source *s, GBytes *file, Error **errp)
{
    uint64_t text = load_le64(s->p + IMAGE_TEXT_OFFSET), size = load_le64(s->p + IMAGE_SIZE);
    b->format = "arm64 Image";
    b->linux_protocol = true;
    if (!b->board.a64)
        return bad(errp, s, "is for 64-bit CPUs, this one is 32-bit; choose another -cpu");
    if (!size) /* before Linux 3.17 both fields were not set reliably */
        text = 0x80000;
    if (text > 64 * MiB || size > 4 * GiB)
        return bad(errp, s, "arm64 Image with impossible header");
    if (pe_end(s) > s->len)
        return bad(errp, s, "truncated: the file ends before its last section");
    /* a multiple of 2 MiB, and room below for firmware's boot data */
    uint64_t base = align_up(b->board.ram_base, 2 * MiB) + (text < 4096 ? 2 * MiB : 0);
    return place_image(b, s, g_bytes_ref(file), base + text, size, errp);
}

static bool load_zimage(ArmBoot *b, const Source *s, GBytes *file, Error **errp)
{
    uint64_t size = (uint64_t)load_le32(s->p + 0x2c) - load_le32(s->p + 0x28);
    b->format = "zImage";
    b->linux_protocol = true;
    if (b->board.a64)
        return bad(errp, s, "is for 32-bit CPUs, this one starts in 64-bit state; use -cpu cortex-a15");
    if (size > s->len)
        return bad(errp, s, "truncated zImage");
    return place_image(b, s, g_bytes_ref(file), b->board.ram_base + ZIMAGE_LOAD, 0, errp);
}

static bool check_uimage(const ArmBoot *b, const Source *s, uint32_t len, Error **errp)
{
    uint8_t header[UIMAGE_HEADER];
    memcpy(header, s->p, sizeof(header));
    store_be(header + 4, 4, 0);
    if (crc32(0, header, sizeof(header)) != load_be(s->p + 4, 4))
        return bad(errp, s, "uImage with a damaged header");
    if (len > s->len - UIMAGE_HEADER || crc32(0, s->p + UIMAGE_HEADER, len) != load_be(s->p + 24, 4))
        return bad(errp, s, "uImage with damaged data (truncated?)");
    if (s->p[29] != (b->board.a64 ? UIMAGE_ARCH_ARM64 : UIMAGE_ARCH_ARM))
        return bad(errp, s, "uImage for another kind of CPU; choose another -cpu");
    if (s->p[30] != UIMAGE_KERNEL && s->p[30] != UIMAGE_NOLOAD && s->p[30] != UIMAGE_STANDALONE)
        return bad(errp, s, "uImage that is not a kernel");
    return s->p[31] <= 1 || bad(errp, s, "uImage packed with something else than gzip");
}

static bool load_uimage(ArmBoot *b, const Source *s, GBytes *file, Error **errp)
{
    uint32_t len = (uint32_t)load_be(s->p + 12, 4), at = (uint32_t)load_be(s->p + 16, 4),
             entry = (uint32_t)load_be(s->p + 20, 4);
    b->format = "uImage";
    b->linux_protocol = s->p[28] == UIMAGE_OS_LINUX;
    if (!check_uimage(b, s, len, errp))
        return false;
    GBytes *image = g_bytes_new_from_bytes(file, UIMAGE_HEADER, len);
    if (s->p[31] == 1) {
        Source inner = { .name = s->name, .p = s->p + UIMAGE_HEADER, .len = len };
        g_bytes_unref(image);
        image = gunzip(&inner, errp);
        if (!image)
            return false;
    }
    if (s->p[30] == UIMAGE_NOLOAD) { /* runs where it lies; the entry is an offset */
        at = (uint32_t)b->board.ram_base + ZIMAGE_LOAD;
        entry += at;
    }
    if (!place_image(b, s, image, at, 0, errp))
        return false;
    b->entry = entry;
    return true;
}

static bool check_elf(const ArmBoot *b, const Source *s, const FirmwareImage *i, Error **errp)
{
    unsigned machine = i->machine;
    if (machine != (b->board.a64 ? EM_AARCH64 : EM_ARM)) {
        error_setf(errp, "kernel '%s': ELF file for machine %u (%s), the CPU is %s; choose another -cpu", s->name,
                   machine,
                   machine == EM_AARCH64                       ? "64-bit Arm"
                   : machine == EM_ARM                         ? "32-bit Arm"
                   : machine == EM_X86_64 || machine == EM_386 ? "x86"
                                                               : "not Arm",
                   b->board.a64 ? "64-bit Arm" : "32-bit Arm");
        return false;
    }
    if (i->big)
        return bad(errp, s, "big-endian ELF file; link it as a little-endian one");
    return true;
}

/* A bare program: ELF, Intel hex, S-record, UF2. NULL without an error: something else. */
static FirmwareImage *read_program(ArmBoot *b, const Source *s, GBytes *file, Error **errp)
{
    FirmwareImage *i = image_parse("kernel", s->name, file, IMAGE_NO_RAW, false, errp);
    if (i && (!i->machine || check_elf(b, s, i, errp)) && image_check(i, machine_current()->as_memory, errp))
        return i;
    image_free(i);
    return NULL;
}

static void take_program(ArmBoot *b, FirmwareImage *i)
{
    b->format = i->format;
    b->pieces = i;
    b->entry = image_start(i);
}

static bool load_raw(ArmBoot *b, const Source *s, GBytes *file, Error **errp)
{
    if (s->len > 0x206 && !memcmp(s->p + 0x202, "HdrS", 4))
        return bad(errp, s, "is a kernel for x86 CPUs; this machine has an Arm CPU");
    b->format = "raw";
    b->linux_protocol = true;
    return place_image(b, s, g_bytes_ref(file), b->board.ram_base + (b->board.a64 ? 0x80000 : ZIMAGE_LOAD), 0, errp);
}

static bool load_kernel(ArmBoot *b, const Source *s, GBytes *file, Error **errp)
{
    if (s->len > IMAGE_HEADER && !memcmp(s->p + IMAGE_MAGIC, "ARM\x64", 4))
        return load_arm64(b, s, file, errp);
    if (s->len > ZIMAGE_MAGIC_AT + 12 && load_le32(s->p + ZIMAGE_MAGIC_AT) == 0x016f2818)
        return load_zimage(b, s, file, errp);
    if (s->len > UIMAGE_HEADER && load_be(s->p, 4) == 0x27051956)
        return load_uimage(b, s, file, errp);
    Error *error = NULL;
    FirmwareImage *program = read_program(b, s, file, &error);
    if (program)
        take_program(b, program);
    if (program || error) {
        error_propagate(errp, error);
        return program;
    }
    return load_raw(b, s, file, errp);
}

/* ---- places ---- */

/*
 * Half of RAM, at most 128 MiB, stays for the kernel to unpack itself into; then initrd; then the tree, 2 MiB aligned.
 */
static bool place_initrd(ArmBoot *b, const MachineConfig *c, Error **errp)
{
    uint64_t ram_end = b->board.ram_base + b->board.ram_size;
    uint64_t at = b->board.ram_base + MIN(b->board.ram_size / 2, 128 * MiB), end;
    at = align_up(MAX(at, b->image_end), 4096);
    end = at;
    if (c->initrd) {
        b->initrd = loader_read_file("initrd", c->initrd, MAX_INITRD, errp);
        if (!b->initrd)
            return false;
        b->initrd_at = at;
        end = at + g_bytes_get_size(b->initrd);
        if (end > ram_end) {
            error_setf(errp, "initrd '%s': RAM is too small for it; use at least -m %" G_GUINT64_FORMAT "M", c->initrd,
                       (guint64)(align_up(end - b->board.ram_base, MiB) / MiB) + 64);
            return false;
        }
    }
    b->dtb_at = align_up(end, 2 * MiB);
    if (b->dtb_at >= ram_end) /* little RAM: right behind */
        b->dtb_at = align_up(end, 4096);
    b->dtb_room = b->dtb_at < ram_end ? MIN(ram_end - b->dtb_at, MAX_DTB) : 0;
    return true;
}

/* A bare program finds the tree at the start of RAM, if it leaves room there. */
static void place_bare(ArmBoot *b)
{
    uint64_t base = b->board.ram_base, room = MIN(b->board.ram_size, MAX_DTB);
    if (!b->pieces && b->image_at < base + room)
        room = b->image_at - base;
    for (guint n = 0; b->pieces && n < b->pieces->pieces->len; n++) {
        const ImagePiece *piece = &g_array_index(b->pieces->pieces, ImagePiece, n);
        uint64_t end = piece->addr + g_bytes_get_size(piece->data) + piece->zeros;
        if (end > base && piece->addr < base + room)
            room = piece->addr > base ? piece->addr - base : 0;
    }
    b->dtb_at = base;
    b->dtb_room = room;
}

ArmBoot *arm_boot_new(const MachineConfig *config, const ArmBootBoard *board, Error **errp)
{
    g_autoptr(GBytes) file = arm_kernel_file(config, errp);
    if (!file)
        return NULL;
    ArmBoot *b = g_new0(ArmBoot, 1);
    Source s = { .name = config->kernel };
    s.p = g_bytes_get_data(file, &s.len);
    b->board = *board;
    bool ok = load_kernel(b, &s, file, errp);
    if (ok && b->linux_protocol)
        ok = place_initrd(b, config, errp);
    else if (ok)
        place_bare(b);
    if (ok)
        return b;
    arm_boot_free(b);
    return NULL;
}

bool arm_boot_set_dtb(ArmBoot *b, GBytes *dtb, Error **errp)
{
    size_t len = g_bytes_get_size(dtb);
    g_clear_pointer(&b->dtb, g_bytes_unref);
    if (len <= b->dtb_room) {
        b->dtb = dtb;
        return true;
    }
    g_bytes_unref(dtb);
    if (!b->linux_protocol) /* it takes the room for itself */
        return true;
    error_setf(errp, "device tree: no room for its %zu bytes behind kernel and initrd; use more memory (-m)", len);
    return false;
}

/* ---- at reset ---- */

static void put(AddressSpace *as, uint64_t at, GBytes *data)
{
    if (data)
        as_write_rom(as, at, g_bytes_get_data(data, NULL), g_bytes_get_size(data));
}

void arm_boot_load(const ArmBoot *b, AddressSpace *as, MachineBoot *out)
{
    put(as, b->dtb_at, b->dtb);
    put(as, b->image_at, b->image);
    if (b->pieces)
        image_place(b->pieces, as);
    put(as, b->initrd_at, b->initrd);
    *out = (MachineBoot){ .mode = BOOT_ARM, .rip = b->entry, .arm_a64 = b->board.a64 };
    if (!b->linux_protocol) {
        out->arm_el = b->board.has_el3 ? 3 : 0;
        out->arm_secure = b->board.has_el3;
    } else if (b->board.a64) {
        out->r[0] = b->dtb ? b->dtb_at : 0;
    } else {
        out->r[1] = b->board.board_id;
        out->r[2] = b->dtb ? b->dtb_at : 0;
    }
}

void arm_boot_free(ArmBoot *b)
{
    if (!b)
        return;
    g_clear_pointer(&b->image, g_bytes_unref);
    g_clear_pointer(&b->pieces, image_free);
    symbols_clear();
    g_clear_pointer(&b->initrd, g_bytes_unref);
    g_clear_pointer(&b->dtb, g_bytes_unref);
    g_free(b);
}
