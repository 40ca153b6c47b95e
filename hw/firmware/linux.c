/* SPDX-License-Identifier: MIT */
/* Linux bzImage and zImage (Linux documentation, "The Linux/x86 Boot Protocol"). */
#include <stdlib.h>
#include <string.h>
#include "base/bits.h"
#include "hw/firmware/kernel.h"

/* Set-up header: offsets in the file and in boot_params alike. */
enum {
    HDR_START = 0x1f1, HDR_SETUP_SECTS = 0x1f1, HDR_SYSSIZE = 0x1f4, HDR_VID_MODE = 0x1fa, HDR_BOOT_FLAG = 0x1fe,
    HDR_JUMP = 0x201, HDR_MAGIC = 0x202, HDR_VERSION = 0x206, HDR_LOADER = 0x210, HDR_LOADFLAGS = 0x211,
    HDR_CODE32_START = 0x214, HDR_RAMDISK = 0x218, HDR_RAMDISK_SIZE = 0x21c, HDR_HEAP_END = 0x224, HDR_CMDLINE = 0x228,
    HDR_INITRD_MAX = 0x22c, HDR_RELOCATABLE = 0x234, HDR_XLOADFLAGS = 0x236, HDR_CMDLINE_SIZE = 0x238,
    HDR_PREF_ADDRESS = 0x258, HDR_INIT_SIZE = 0x260, HDR_MIN_FILE = 0x268,
    /* boot_params only */
    BP_RSDP = 0x70, BP_E820_COUNT = 0x1e8, BP_E820 = 0x2d0, BP_E820_MAX = 128, BP_SIZE = 4096,
    /* before protocol 2.02 */
    OLD_CMDLINE_MAGIC = 0x20, OLD_CMDLINE_OFFSET = 0x22,
};
enum { LOADED_HIGH = 0x01, CAN_USE_HEAP = 0x80, XLF_KERNEL_64 = 0x01 };
#define HDRS 0x53726448
#define LOADER_UNASSIGNED 0xff
#define OLD_SETUP 0x90000
#define OLD_CMDLINE_END 0x9a000
#define OLD_IMAGE 0x10000
#define ENTRY_64 0x200

/* The header fields that decide how the kernel is loaded. */
typedef struct LinuxHeader {
    unsigned version;
    size_t setup_size;
    uint64_t image_size;
    uint8_t loadflags;
    uint64_t initrd_max, cmdline_max;
    uint64_t run_end; /* end of the RAM that the kernel uses while it unpacks itself */
    bool entry_64;
} LinuxHeader;

bool linux_probe(const KernelSource *s)
{
    return s->len >= HDR_VERSION + 2 && load_le16(s->p + HDR_BOOT_FLAG) == 0xaa55 &&
           load_le32(s->p + HDR_MAGIC) == HDRS;
}

static bool bad(const KernelSource *s, Error **errp, const char *why)
{
    error_setf(errp, "kernel '%s': %s", s->config->kernel, why);
    return false;
}

static bool read_header(const KernelSource *s, LinuxHeader *h, Error **errp)
{
    const uint8_t *p = s->p;
    *h = (LinuxHeader){ .version = load_le16(p + HDR_VERSION), .initrd_max = 0x37ffffff, .cmdline_max = 255 };
    unsigned sects = p[HDR_SETUP_SECTS] ? p[HDR_SETUP_SECTS] : 4;
    h->setup_size = (sects + 1) * 512;
    if (s->len < HDR_MIN_FILE || s->len <= h->setup_size)
        return bad(s, errp, "truncated Linux image: the file ends inside its set-up code");
    if (h->version < 0x200)
        return bad(s, errp, "Linux boot protocol older than 2.00 is not supported; use Linux 2.0 or newer");
    if (h->setup_size > 0x10000 - 0x400)
        return bad(s, errp, "damaged Linux image: impossible size of its set-up code");
    h->image_size = s->len - h->setup_size;
    h->loadflags = p[HDR_LOADFLAGS];
    if (h->version >= 0x203)
        h->initrd_max = load_le32(p + HDR_INITRD_MAX);
    if (h->version >= 0x204 && (uint64_t)load_le32(p + HDR_SYSSIZE) * 16 > align_up(h->image_size, 16))
        return bad(s, errp, "truncated Linux image: the file is shorter than its header says");
    if (h->version >= 0x206 && load_le32(p + HDR_CMDLINE_SIZE))
        h->cmdline_max = load_le32(p + HDR_CMDLINE_SIZE);
    h->run_end = HIGH_START + h->image_size;
    if (h->version >= 0x20a) {
        uint64_t pref = load_le64(p + HDR_PREF_ADDRESS), size = load_le32(p + HDR_INIT_SIZE);
        if (pref < 4 * GiB)
            h->run_end = MAX(h->run_end, MAX(pref, (uint64_t)HIGH_START) + size);
    }
    h->entry_64 = h->version >= 0x20c && (load_le16(p + HDR_XLOADFLAGS) & XLF_KERNEL_64) && h->image_size > ENTRY_64;
    return true;
}

static bool place_image(const KernelSource *s, const LinuxHeader *h, Kernel *k, Error **errp)
{
    bool high = h->loadflags & LOADED_HIGH;
    if (s->direct && (!high || h->version < 0x202))
        return bad(s, errp, "too old (zImage or protocol before 2.02) for a direct boot; use -M pc");
    k->image.addr = high ? HIGH_START : OLD_IMAGE;
    k->image.data = g_bytes_new_from_bytes(s->file, h->setup_size, h->image_size);
    if (high)
        return check_in_ram(s, HIGH_START, h->image_size, errp);
    if (h->image_size > OLD_SETUP - OLD_IMAGE)
        return bad(s, errp, "damaged Linux image: a zImage is smaller than 512 KiB");
    return true;
}

static bool place_cmdline(const KernelSource *s, const LinuxHeader *h, Kernel *k, Error **errp)
{
    const char *text = s->config->append ? s->config->append : "";
    uint64_t len = strlen(text) + 1;
    if (len > MIN(h->cmdline_max + 1, (uint64_t)0xf000)) {
        error_setf(errp, "-append: %" G_GUINT64_FORMAT " characters; kernel '%s' takes at most %" G_GUINT64_FORMAT,
                   (guint64)len - 1, s->config->kernel, (guint64)MIN(h->cmdline_max, (uint64_t)0xefff));
        return false;
    }
    bool old = h->version < 0x202 || !(h->loadflags & LOADED_HIGH);
    k->cmdline.addr = old ? OLD_CMDLINE_END - align_up(len, 16) : LOW_CMDLINE;
    k->cmdline.data = g_bytes_new(text, len);
    return true;
}

/* As high as kernel and machine allow, on a page boundary, above the RAM that the kernel unpacks itself into. */
static bool place_initrd(const KernelSource *s, const LinuxHeader *h, Kernel *k, Error **errp)
{
    if (!s->config->initrd)
        return true;
    GBytes *b = loader_read_file("initrd", s->config->initrd, 3 * GiB, errp);
    if (!b)
        return false;
    k->initrd.data = b;
    uint64_t size = g_bytes_get_size(b), end = MIN(layout_low_end(s->layout), h->initrd_max + 1);
    if (size >= end || align_down(end - size, 4096) < h->run_end) {
        error_setf(errp,
                   "initrd '%s': %" G_GUINT64_FORMAT
                   " bytes do not fit above the kernel; use at least -m %" G_GUINT64_FORMAT "M",
                   s->config->initrd, (guint64)size,
                   (guint64)(align_up(h->run_end + size + s->layout->reserve + 4096, MiB) / MiB));
        return false;
    }
    k->initrd.addr = align_down(end - size, 4096);
    return true;
}

/* "vga=normal|ext|ask|NUMBER" of the command line is the boot loader's to obey. */
static uint16_t video_mode(const char *append)
{
    const char *p = append ? strstr(append, "vga=") : NULL;
    if (!p)
        return 0xffff;
    p += 4;
    if (g_str_has_prefix(p, "normal"))
        return 0xffff;
    if (g_str_has_prefix(p, "ext"))
        return 0xfffe;
    if (g_str_has_prefix(p, "ask"))
        return 0xfffd;
    return (uint16_t)strtoul(p, NULL, 0);
}

/* The fields that the protocol wants from a boot loader, in the set-up code or in boot_params. */
static void fill_header(const KernelSource *s, const LinuxHeader *h, const Kernel *k, uint8_t *p)
{
    store_le16(p + HDR_VID_MODE, video_mode(s->config->append));
    p[HDR_LOADER] = LOADER_UNASSIGNED;
    if (k->initrd.data) {
        store_le32(p + HDR_RAMDISK, (uint32_t)k->initrd.addr);
        store_le32(p + HDR_RAMDISK_SIZE, (uint32_t)g_bytes_get_size(k->initrd.data));
    }
    if (h->version >= 0x202)
        store_le32(p + HDR_CMDLINE, (uint32_t)k->cmdline.addr);
}

static void make_setup(const KernelSource *s, const LinuxHeader *h, Kernel *k)
{
    uint8_t *p = g_memdup2(s->p, h->setup_size);
    bool old = k->cmdline.addr != LOW_CMDLINE;
    k->setup.addr = old ? OLD_SETUP : LOW_INFO;
    fill_header(s, h, k, p);
    if (h->version < 0x202) {
        store_le16(p + OLD_CMDLINE_MAGIC, 0xa33f);
        store_le16(p + OLD_CMDLINE_OFFSET, (uint16_t)(k->cmdline.addr - k->setup.addr));
    }
    if (h->version >= 0x201) {
        p[HDR_LOADFLAGS] |= CAN_USE_HEAP;
        store_le16(p + HDR_HEAP_END, (uint16_t)(k->cmdline.addr - k->setup.addr - 0x200));
    }
    k->setup.data = g_bytes_new_take(p, h->setup_size);
}

/* Direct boot: the kernel's own set-up code does not run, so boot_params holds what it would have found out. */
static void make_boot_params(const KernelSource *s, const LinuxHeader *h, Kernel *k)
{
    uint8_t *p = g_malloc0(BP_SIZE);
    size_t end = MIN(HDR_MAGIC + (size_t)s->p[HDR_JUMP], (size_t)0x290);
    unsigned n = MIN(s->layout->e820_count, (unsigned)BP_E820_MAX);
    memcpy(p + HDR_START, s->p + HDR_START, MIN(end, s->len) - HDR_START);
    fill_header(s, h, k, p);
    store_le32(p + HDR_CODE32_START, HIGH_START);
    store_le64(p + BP_RSDP, s->layout->rsdp);
    p[BP_E820_COUNT] = (uint8_t)n;
    for (unsigned i = 0; i < n; i++) {
        uint8_t *row = p + BP_E820 + 20 * i;
        store_le64(row, s->layout->e820[i].addr);
        store_le64(row + 8, s->layout->e820[i].len);
        store_le32(row + 16, s->layout->e820[i].type);
    }
    k->setup = (KernelPiece){ LOW_BOOT_PARAMS, g_bytes_new_take(p, BP_SIZE) };
    k->boot.mode = h->entry_64 ? BOOT_LONG64 : BOOT_PM32;
    k->boot.rip = HIGH_START + (h->entry_64 ? ENTRY_64 : 0);
    k->boot.rsi = LOW_BOOT_PARAMS;
}

bool linux_parse(const KernelSource *s, Kernel *k, Error **errp)
{
    LinuxHeader h;
    if (!read_header(s, &h, errp) || !place_image(s, &h, k, errp) || !place_cmdline(s, &h, k, errp) ||
        !place_initrd(s, &h, k, errp)) {
        return false;
    }
    if (s->direct)
        make_boot_params(s, &h, k);
    else
        make_setup(s, &h, k);
    k->entry = HIGH_START;
    k->rom = &optionrom_linuxboot_dma;
    k->rom_name = "genroms/linuxboot_dma.bin";
    return true;
}
