/* SPDX-License-Identifier: MIT */
/* ELF kernels with a PVH entry point (Xen docs/misc/pvh.pandoc; public header arch-x86/hvm/start_info.h). */
#include <string.h>
#include "base/bits.h"
#include "hw/firmware/kernel.h"

#define XEN_ELFNOTE_PHYS32_ENTRY 18
#define START_MAGIC 0x336ec578

/* struct hvm_start_info, version 1 */
enum {
    HSI_MAGIC = 0,
    HSI_VERSION = 4,
    HSI_NR_MODULES = 12,
    HSI_MODLIST = 16,
    HSI_CMDLINE = 24,
    HSI_RSDP = 32,
    HSI_MEMMAP = 40,
    HSI_MEMMAP_ENTRIES = 48,
    HSI_SIZE = 56,
    MODULE_SIZE = 32,
    MEMMAP_SIZE = 24,
};

bool pvh_probe(const KernelSource *s)
{
    return elf_probe(s->p, s->len);
}

/* The initrd as module 0, on the first page behind the kernel. */
static bool load_initrd(const KernelSource *s, Kernel *k, GByteArray *info, Error **errp)
{
    uint8_t module[MODULE_SIZE] = { 0 };
    GBytes *b = loader_read_file("initrd", s->config->initrd, 3 * GiB, errp);
    if (!b)
        return false;
    k->initrd.data = b;
    k->initrd.addr = align_up(k->image.addr + g_bytes_get_size(k->image.data), 4096);
    uint64_t size = g_bytes_get_size(b), end = layout_low_end(s->layout);
    if (k->initrd.addr > end || size > end - k->initrd.addr) {
        error_setf(errp,
                   "initrd '%s': %" G_GUINT64_FORMAT
                   " bytes do not fit above the kernel; use at least -m %" G_GUINT64_FORMAT "M",
                   s->config->initrd, (guint64)size,
                   (guint64)(align_up(k->initrd.addr + size + s->layout->reserve, MiB) / MiB));
        return false;
    }
    store_le64(module, k->initrd.addr);
    store_le64(module + 8, size);
    uint64_t at = blob_append(info, LOW_INFO, module, sizeof(module), 8);
    store_le32(info->data + HSI_NR_MODULES, 1);
    store_le64(info->data + HSI_MODLIST, at);
    return true;
}

/* Direct boot: what otherwise the option ROM learns from the BIOS. */
static void add_memory_map(const BootLayout *l, GByteArray *info)
{
    uint64_t first = 0;
    for (unsigned i = 0; i < l->e820_count; i++) {
        uint8_t row[MEMMAP_SIZE] = { 0 };
        store_le64(row, l->e820[i].addr);
        store_le64(row + 8, l->e820[i].len);
        store_le32(row + 16, l->e820[i].type);
        uint64_t at = blob_append(info, LOW_INFO, row, sizeof(row), 8);
        first = i ? first : at;
    }
    store_le64(info->data + HSI_MEMMAP, first);
    store_le32(info->data + HSI_MEMMAP_ENTRIES, l->e820_count);
    store_le64(info->data + HSI_RSDP, l->rsdp);
}

bool pvh_parse(const KernelSource *s, Kernel *k, Error **errp)
{
    const char *append = s->config->append ? s->config->append : "";
    g_autoptr(GByteArray) info = g_byte_array_new();
    uint8_t start[HSI_SIZE] = { 0 };
    uint64_t entry;
    ElfImage elf = { 0 };
    if (!elf_find_note(s->p, s->len, "Xen", XEN_ELFNOTE_PHYS32_ENTRY, &entry)) {
        error_setf(errp,
                   "kernel '%s': ELF file without a PVH entry note; use the bzImage, or build Linux with CONFIG_PVH",
                   s->config->kernel);
        return false;
    }
    if (!elf_load(s, &elf, errp))
        return false;
    k->image = elf.image;
    k->entry = entry;
    if (entry < k->image.addr || entry - k->image.addr >= g_bytes_get_size(k->image.data)) {
        error_setf(errp, "kernel '%s': damaged ELF file: its PVH entry lies outside its segments", s->config->kernel);
        return false;
    }
    store_le32(start + HSI_MAGIC, START_MAGIC);
    store_le32(start + HSI_VERSION, 1);
    g_byte_array_append(info, start, sizeof(start));
    uint64_t at = blob_append(info, LOW_INFO, append, strlen(append) + 1, 1);
    store_le64(info->data + HSI_CMDLINE, at);
    if (s->config->initrd && !load_initrd(s, k, info, errp))
        return false;
    if (s->direct)
        add_memory_map(s->layout, info);
    if (info->len > LOW_END - LOW_INFO) {
        error_setf(errp, "-append: %zu characters are too many", strlen(append));
        return false;
    }
    k->setup = (KernelPiece){ LOW_INFO, g_byte_array_free_to_bytes(g_steal_pointer(&info)) };
    k->boot = (MachineBoot){ .mode = BOOT_PM32, .rip = entry, .rbx = LOW_INFO };
    k->rom = &optionrom_pvh;
    k->rom_name = "genroms/pvh.bin";
    return true;
}
