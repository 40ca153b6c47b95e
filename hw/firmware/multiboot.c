/* SPDX-License-Identifier: MIT */
/* Multiboot 1 kernels (Multiboot Specification 0.6.96). */
#include <elf.h>
#include <string.h>
#include "base/bits.h"
#include "hw/firmware/kernel.h"

#define MB_MAGIC 0x1badb002
#define MB_BOOT_MAGIC 0x2badb002
#define MB_SEARCH 8192
#define MAX_MODULES 64

/* Header flags (3.1.1) */
enum { MB_PAGE_ALIGN = 0x1, MB_MEMORY_INFO = 0x2, MB_VIDEO = 0x4, MB_MANDATORY = 0xffff, MB_AOUT = 0x10000 };
/* Information structure (3.3) */
enum {
    MBI_MEM = 0x1,
    MBI_BOOT_DEVICE = 0x2,
    MBI_CMDLINE = 0x4,
    MBI_MODS = 0x8,
    MBI_MMAP = 0x40,
    MBI_LOADER_NAME = 0x200
};
enum {
    MBI_MEM_LOWER = 4, MBI_MEM_UPPER = 8, MBI_DEVICE = 12, MBI_CMDLINE_AT = 16, MBI_MODS_COUNT = 20, MBI_MODS_ADDR = 24,
    MBI_MMAP_LENGTH = 44, MBI_MMAP_ADDR = 48, MBI_LOADER_NAME_AT = 64, MBI_SIZE = 120,
};

static const uint8_t *find_header(const KernelSource *s)
{
    for (size_t at = 0; at + 12 <= MIN(s->len, (size_t)MB_SEARCH); at += 4) {
        const uint8_t *h = s->p + at;
        if (load_le32(h) == MB_MAGIC && !(uint32_t)(MB_MAGIC + load_le32(h + 4) + load_le32(h + 8)))
            return h;
    }
    return NULL;
}

bool multiboot_probe(const KernelSource *s)
{
    return find_header(s) != NULL;
}

static bool bad(const KernelSource *s, Error **errp, const char *why)
{
    error_setf(errp, "kernel '%s': multiboot: %s", s->config->kernel, why);
    return false;
}

/* The header itself says what goes where (3.1.3). */
static bool load_aout(const KernelSource *s, const uint8_t *h, Kernel *k, Error **errp)
{
    uint64_t at = (uint64_t)(h - s->p);
    if (s->len - at < 32)
        return bad(s, errp, "truncated header");
    uint64_t header = load_le32(h + 12), load = load_le32(h + 16), end = load_le32(h + 20), bss = load_le32(h + 24);
    if (load > header || header - load > at)
        return bad(s, errp, "the header's addresses contradict each other");
    uint64_t from = at - (header - load), size = end ? end - load : s->len - from;
    if ((end && end < load) || size > s->len - from)
        return bad(s, errp, "the file is shorter than its header says (truncated?)");
    uint64_t mem = bss > load + size ? bss - load : size;
    if (!check_in_ram(s, load, mem, errp))
        return false;
    uint8_t *image = g_try_malloc0(mem);
    if (!image)
        return bad(s, errp, "no memory for it");
    memcpy(image, s->p + from, size);
    k->image = (KernelPiece){ load, g_bytes_new_take(image, mem) };
    k->entry = load_le32(h + 28);
    return true;
}

static bool load_image(const KernelSource *s, Kernel *k, Error **errp)
{
    const uint8_t *h = find_header(s);
    uint32_t flags = load_le32(h + 4);
    ElfImage elf = { 0 };
    if (flags & MB_MANDATORY & ~(MB_PAGE_ALIGN | MB_MEMORY_INFO | MB_VIDEO))
        return bad(s, errp, "the kernel demands a feature that the specification does not have");
    if (flags & MB_AOUT)
        return load_aout(s, h, k, errp);
    if (!elf_probe(s->p, s->len))
        return bad(s, errp, "neither an ELF file nor load addresses in the header");
    if (!elf_load(s, &elf, errp))
        return false;
    k->image = elf.image;
    k->entry = elf.entry;
    if (elf.is64 || elf.machine != EM_386)
        return bad(s, errp,
                   "it starts in 32-bit mode, but the ELF file is not for i386; make it with objcopy -O elf32-i386");
    return true;
}

/* "file args,file2 args2"; ",," is a comma. */
static char **split_modules(const char *text)
{
    GPtrArray *list = g_ptr_array_new();
    g_autoptr(GString) one = g_string_new(NULL);
    for (const char *p = text; *p; p++) {
        if (*p == ',' && p[1] != ',') {
            g_ptr_array_add(list, g_strdup(one->str));
            g_string_truncate(one, 0);
            continue;
        }
        g_string_append_c(one, *p);
        p += *p == ',';
    }
    g_ptr_array_add(list, g_strdup(one->str));
    g_ptr_array_add(list, NULL);
    return (char **)g_ptr_array_free(list, FALSE);
}

/* Read the modules into one piece behind the kernel, each on a page; append their list to the information structure. */
static bool load_modules(const KernelSource *s, Kernel *k, GByteArray *info, Error **errp)
{
    g_auto(GStrv) names = split_modules(s->config->initrd);
    unsigned count = g_strv_length(names);
    g_autoptr(GByteArray) all = g_byte_array_new();
    g_autofree uint8_t *list = g_malloc0(16 * (size_t)count);
    uint64_t base = align_up(k->image.addr + g_bytes_get_size(k->image.data), 4096);
    if (count > MAX_MODULES)
        return bad(s, errp, "more than 64 modules in -initrd");
    for (unsigned i = 0; i < count; i++) {
        g_autofree char *file = g_strndup(names[i], strcspn(names[i], " "));
        g_autoptr(GBytes) b = loader_read_file("module", file, GiB, errp);
        if (!b)
            return false;
        if (all->len + g_bytes_get_size(b) > 3 * GiB)
            return bad(s, errp, "the modules have more than 3 GiB");
        uint64_t at = blob_append(all, base, g_bytes_get_data(b, NULL), g_bytes_get_size(b), 4096);
        store_le32(list + 16 * i, (uint32_t)at);
        store_le32(list + 16 * i + 4, (uint32_t)(at + g_bytes_get_size(b)));
        store_le32(list + 16 * i + 8, (uint32_t)blob_append(info, LOW_INFO, names[i], strlen(names[i]) + 1, 1));
    }
    if (!check_in_ram(s, base, all->len, errp))
        return false;
    uint32_t list_at = (uint32_t)blob_append(info, LOW_INFO, list, 16 * (size_t)count, 4);
    store_le32(info->data, load_le32(info->data) | MBI_MODS);
    store_le32(info->data + MBI_MODS_COUNT, count);
    store_le32(info->data + MBI_MODS_ADDR, list_at);
    k->initrd = (KernelPiece){ base, g_byte_array_free_to_bytes(g_steal_pointer(&all)) };
    return true;
}

/* Direct boot: memory size and map, which otherwise the option ROM asks the BIOS for. */
static void add_memory_map(const KernelSource *s, GByteArray *info)
{
    const BootLayout *l = s->layout;
    g_autoptr(GByteArray) map = g_byte_array_new();
    for (unsigned i = 0; i < l->e820_count; i++) {
        uint8_t row[24];
        store_le32(row, 20);
        store_le64(row + 4, l->e820[i].addr);
        store_le64(row + 12, l->e820[i].len);
        store_le32(row + 20, l->e820[i].type);
        g_byte_array_append(map, row, sizeof(row));
    }
    uint32_t at = (uint32_t)blob_append(info, LOW_INFO, map->data, map->len, 4);
    store_le32(info->data, load_le32(info->data) | MBI_MEM | MBI_MMAP);
    store_le32(info->data + MBI_MEM_LOWER, 639);
    store_le32(info->data + MBI_MEM_UPPER, (uint32_t)((layout_low_end(l) - HIGH_START) / KiB));
    store_le32(info->data + MBI_MMAP_LENGTH, map->len);
    store_le32(info->data + MBI_MMAP_ADDR, at);
}

bool multiboot_parse(const KernelSource *s, Kernel *k, Error **errp)
{
    g_autoptr(GByteArray) info = g_byte_array_new();
    g_autofree char *cmdline = g_strjoin(" ", s->config->kernel, s->config->append, NULL);
    uint8_t mbi[MBI_SIZE] = { 0 };
    if (!load_image(s, k, errp))
        return false;
    store_le32(mbi, MBI_BOOT_DEVICE | MBI_CMDLINE | MBI_LOADER_NAME);
    store_le32(mbi + MBI_DEVICE, 0x8000ffff);
    g_byte_array_append(info, mbi, sizeof(mbi));
    uint32_t at = (uint32_t)blob_append(info, LOW_INFO, cmdline, strlen(cmdline) + 1, 1);
    store_le32(info->data + MBI_CMDLINE_AT, at);
    at = (uint32_t)blob_append(info, LOW_INFO, "rhea", 5, 1);
    store_le32(info->data + MBI_LOADER_NAME_AT, at);
    if (s->config->initrd && !load_modules(s, k, info, errp))
        return false;
    if (s->direct)
        add_memory_map(s, info);
    if (info->len > LOW_END - LOW_INFO)
        return bad(s, errp, "command line and module arguments are too long");
    k->setup = (KernelPiece){ LOW_INFO, g_byte_array_free_to_bytes(g_steal_pointer(&info)) };
    k->boot = (MachineBoot){ .mode = BOOT_PM32, .rip = k->entry, .rax = MB_BOOT_MAGIC, .rbx = LOW_INFO };
    k->rom = &optionrom_multiboot_dma;
    k->rom_name = "genroms/multiboot_dma.bin";
    return true;
}
