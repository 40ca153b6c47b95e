/* SPDX-License-Identifier: MIT */
/* -kernel: recognise the image, then hand it to the firmware or place it in RAM ourselves. */
#include <string.h>
#include "base/bits.h"
#include "base/log.h"
#include "hw/firmware/kernel.h"

#define MAX_KERNEL (2 * GiB)

typedef struct KernelFormat {
    const char *name;
    bool (*probe)(const KernelSource *s);
    bool (*parse)(const KernelSource *s, Kernel *k, Error **errp);
} KernelFormat;

/* In the order in which they are tried. */
static const KernelFormat formats[] = {
    { "Linux", linux_probe, linux_parse },
    { "multiboot", multiboot_probe, multiboot_parse },
    { "PVH", pvh_probe, pvh_parse },
};

struct BootPlan {
    Kernel kernel;
    uint8_t gdt[32];
    uint8_t *page_tables; /* NULL: not needed */
};

static void kernel_clear(Kernel *k)
{
    g_clear_pointer(&k->setup.data, g_bytes_unref);
    g_clear_pointer(&k->image.data, g_bytes_unref);
    g_clear_pointer(&k->cmdline.data, g_bytes_unref);
    g_clear_pointer(&k->initrd.data, g_bytes_unref);
}

void kernel_free(Kernel *k)
{
    kernel_clear(k);
    g_free(k);
}

uint64_t layout_low_end(const BootLayout *l)
{
    return l->ram_below_4g > l->reserve ? l->ram_below_4g - l->reserve : 0;
}

bool check_in_ram(const KernelSource *s, uint64_t addr, uint64_t len, Error **errp)
{
    uint64_t end = layout_low_end(s->layout) + s->layout->ram_base;
    if (s->layout->ram_base && (addr < s->layout->ram_base || addr > end || len > end - addr)) {
        error_setf(errp,
                   "kernel '%s': wants 0x%" G_GINT64_MODIFIER "x to 0x%" G_GINT64_MODIFIER
                   "x, where this machine has no RAM",
                   s->config->kernel, addr, addr + len);
        return false;
    }
    if (!s->layout->ram_base && addr < HIGH_START) {
        error_setf(errp, "kernel '%s': wants to be loaded at 0x%" G_GINT64_MODIFIER "x; below 1 MiB there is no room",
                   s->config->kernel, addr);
        return false;
    }
    if (addr > end || len > end - addr) {
        bool possible = addr < 3 * GiB && len < 3 * GiB - addr;
        error_setf(errp,
                   possible ? "kernel '%s': RAM is too small for it; use at least -m %" G_GUINT64_FORMAT "M"
                            : "kernel '%s': wants to be loaded above the RAM below 4 GiB (at %" G_GUINT64_FORMAT
                              " MiB)",
                   s->config->kernel,
                   (guint64)(possible ? align_up(addr + len + s->layout->reserve, MiB) / MiB : addr / MiB));
        return false;
    }
    return true;
}

uint64_t blob_append(GByteArray *blob, uint64_t base, const void *data, size_t len, unsigned align)
{
    guint at = (guint)align_up(blob->len, align);
    guint had = blob->len;
    g_byte_array_set_size(blob, at);
    if (at > had)
        memset(blob->data + had, 0, at - had);
    g_byte_array_append(blob, data, (guint)len);
    return base + at;
}

/* Read and take apart config->kernel. */
static bool kernel_load(Kernel *k, const MachineConfig *config, const BootLayout *layout, bool direct, Error **errp)
{
    g_autoptr(GBytes) file = loader_read_file("kernel", config->kernel, MAX_KERNEL, errp);
    if (!file)
        return false;
    KernelSource s = { .config = config, .layout = layout, .file = file, .direct = direct };
    s.p = g_bytes_get_data(file, &s.len);
    for (unsigned i = 0; i < ARRAY_LEN(formats); i++) {
        if (formats[i].probe(&s)) {
            k->format = formats[i].name;
            return formats[i].parse(&s, k, errp);
        }
    }
    error_setf(
        errp, "kernel '%s': unknown format; give a Linux bzImage, an ELF kernel with a PVH note, or a multiboot kernel",
        config->kernel);
    return false;
}

/* Options that make no sense without a kernel, or on this kind of machine. */
static bool check_config(const MachineConfig *c, Error **errp)
{
    const char *option = c->initrd ? "-initrd" : c->append ? "-append" : NULL;
    if (!c->kernel && option) {
        error_setf(errp, "%s: only with -kernel; add -kernel FILE", option);
        return false;
    }
    if (c->dtb) {
        error_setf(errp, "-dtb '%s': this machine takes no device tree; leave the option out", c->dtb);
        return false;
    }
    return true;
}

static void add_piece(FwCfg *f, const KernelPiece *p, uint16_t addr_key, uint16_t size_key, uint16_t data_key)
{
    size_t size = p->data ? g_bytes_get_size(p->data) : 0;
    g_autoptr(GBytes) none = g_bytes_new(NULL, 0);
    fw_cfg_set_u32(f, addr_key, (uint32_t)p->addr);
    fw_cfg_set_u32(f, size_key, (uint32_t)size);
    fw_cfg_set_gbytes(f, data_key, p->data ? p->data : none);
}

bool boot_through_firmware(FwCfg *f, const MachineConfig *config, const BootLayout *layout, Error **errp)
{
    if (!check_config(config, errp))
        return false;
    if (!config->kernel)
        return true;
    g_autoptr(Kernel) k = g_new0(Kernel, 1);
    if (!kernel_load(k, config, layout, false, errp))
        return false;
    add_piece(f, &k->setup, FW_CFG_SETUP_ADDR, FW_CFG_SETUP_SIZE, FW_CFG_SETUP_DATA);
    add_piece(f, &k->image, FW_CFG_KERNEL_ADDR, FW_CFG_KERNEL_SIZE, FW_CFG_KERNEL_DATA);
    add_piece(f, &k->cmdline, FW_CFG_CMDLINE_ADDR, FW_CFG_CMDLINE_SIZE, FW_CFG_CMDLINE_DATA);
    add_piece(f, &k->initrd, FW_CFG_INITRD_ADDR, FW_CFG_INITRD_SIZE, FW_CFG_INITRD_DATA);
    fw_cfg_set_u32(f, FW_CFG_KERNEL_ENTRY, (uint32_t)k->entry);
    g_autofree char *path = g_strdup_printf("/rom@%s", k->rom_name);
    return fw_cfg_add_file(f, k->rom_name, k->rom->data, k->rom->size, errp) && fw_cfg_add_boot_path(f, path, 0, errp);
}

/* Null, unused, flat code (64-bit or 32-bit), flat data: selectors 0x10 and 0x18 (Intel SDM volume 3, 3.4.5). */
static void make_gdt(BootPlan *p)
{
    store_le64(p->gdt + 0x10,
               p->kernel.boot.mode == BOOT_LONG64 ? UINT64_C(0x00af9b000000ffff) : UINT64_C(0x00cf9b000000ffff));
    store_le64(p->gdt + 0x18, UINT64_C(0x00cf93000000ffff));
    p->kernel.boot.gdt_base = LOW_GDT;
    p->kernel.boot.gdt_limit = sizeof(p->gdt) - 1;
    p->kernel.boot.rsp = LOW_BOOT_PARAMS - 16;
}

/* Identity map of the low 4 GiB with 2 MiB pages (Intel SDM volume 3, 4.5). */
static void make_page_tables(BootPlan *p)
{
    enum { PRESENT = 1, WRITE = 2, LARGE = 0x80 };
    p->page_tables = g_malloc0(6 * 4096);
    store_le64(p->page_tables, (LOW_PAGE_TABLES + 4096) | PRESENT | WRITE);
    for (unsigned i = 0; i < 4; i++)
        store_le64(p->page_tables + 4096 + 8 * i, (LOW_PAGE_TABLES + (2 + i) * 4096ULL) | PRESENT | WRITE);
    for (unsigned i = 0; i < 4 * 512; i++)
        store_le64(p->page_tables + 8192 + 8 * (size_t)i, i * (2 * MiB) | PRESENT | WRITE | LARGE);
    p->kernel.boot.cr3 = LOW_PAGE_TABLES;
}

BootPlan *boot_direct_new(const MachineConfig *config, const BootLayout *layout, MachineBoot *out, Error **errp)
{
    if (!check_config(config, errp))
        return NULL;
    if (!config->kernel) {
        error_setf(errp, "this machine boots a kernel directly; add -kernel FILE");
        return NULL;
    }
    BootPlan *p = g_new0(BootPlan, 1);
    if (!kernel_load(&p->kernel, config, layout, true, errp)) {
        boot_direct_free(p);
        return NULL;
    }
    make_gdt(p);
    if (p->kernel.boot.mode == BOOT_LONG64)
        make_page_tables(p);
    *out = p->kernel.boot;
    return p;
}

static void place(AddressSpace *as, const KernelPiece *piece)
{
    if (piece->data)
        as_write_rom(as, piece->addr, g_bytes_get_data(piece->data, NULL), g_bytes_get_size(piece->data));
}

void boot_direct_load(const BootPlan *p, AddressSpace *as)
{
    place(as, &p->kernel.setup);
    place(as, &p->kernel.image);
    place(as, &p->kernel.cmdline);
    place(as, &p->kernel.initrd);
    as_write_rom(as, LOW_GDT, p->gdt, sizeof(p->gdt));
    if (p->page_tables)
        as_write_rom(as, LOW_PAGE_TABLES, p->page_tables, 6 * 4096);
}

void boot_direct_free(BootPlan *p)
{
    if (!p)
        return;
    kernel_clear(&p->kernel);
    g_free(p->page_tables);
    g_free(p);
}
