/* SPDX-License-Identifier: MIT */
/*
 * Kernel loaders: where the pieces go, and that damaged files give an error and never leave RAM. Also the option ROMs.
 */
#include <elf.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/bits.h"
#include "base/evloop.h"
#include "hw/firmware/loader.h"
#include "hw/firmware/optionrom.h"

#define RAM (64 * MiB)

static const E820Entry e820[] = { { 0, 0x9fc00, E820_RAM }, { MiB, RAM - MiB, E820_RAM } };
static const BootLayout layout = {
    .ram_below_4g = RAM, .reserve = 128 * KiB, .e820 = e820, .e820_count = 2, .rsdp = 0xe0000
};
static Machine *machine;
static char *dir;

static char *write_file(const char *name, const void *data, size_t len)
{
    char *path = g_build_filename(dir, name, NULL);
    FILE *f = fopen(path, "wb"); /* g_file_set_contents() would wait for the disk */
    g_assert_true(f && fwrite(data, 1, len, f) == len && fclose(f) == 0);
    return path;
}

/* The same for hundreds of contents, one after the other: a file that no disk has to be asked for. */
static char *rewrite(const void *data, size_t len)
{
    static int fd = -1;
    fd = fd < 0 ? memfd_create("kernel", 0) : fd;
    g_assert_true(fd >= 0 && !ftruncate(fd, 0) && pwrite(fd, data, len, 0) == (ssize_t)len);
    return g_strdup_printf("/proc/self/fd/%d", fd);
}

/* ---- sample kernels ---- */

#define BZ_SETUP (5 * 512)
#define BZ_SIZE (BZ_SETUP + 0x8000)

static void make_bzimage(uint8_t *p)
{
    memset(p, 0x90, BZ_SIZE);
    memset(p + 0x1f1, 0, 0x80);
    p[0x1f1] = 4;
    store_le32(p + 0x1f4, 0x8000 / 16);
    store_le16(p + 0x1fe, 0xaa55);
    p[0x200] = 0xeb;
    p[0x201] = 0x6a;
    memcpy(p + 0x202, "HdrS", 4);
    store_le16(p + 0x206, 0x20f);
    p[0x211] = 1;
    store_le32(p + 0x22c, 0x7fffffff);
    store_le16(p + 0x236, 1);
    store_le32(p + 0x238, 2047);
    store_le64(p + 0x258, 0x1000000);
    store_le32(p + 0x260, 0x100000);
}

#define ELF_SIZE 0x2000

/* One load segment and one note segment: ELF64 with a PVH entry, or ELF32 with a multiboot header. */
static void make_pvh(uint8_t *p)
{
    Elf64_Ehdr h = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, 1 }, .e_machine = EM_X86_64,
                     .e_entry = 0xffffffff81000000, .e_phoff = 64, .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 2 };
    Elf64_Phdr ph[2] = {
        { .p_type = PT_LOAD,
          .p_offset = 0x1000,
          .p_vaddr = 0xffffffff81000000,
          .p_paddr = 0x1000000,
          .p_filesz = 0x1000,
          .p_memsz = 0x3000 },
        { .p_type = PT_NOTE, .p_offset = 0x200, .p_filesz = 24, .p_memsz = 24 },
    };
    memset(p, 0, ELF_SIZE);
    memcpy(p, &h, sizeof(h));
    memcpy(p + 64, ph, sizeof(ph));
    store_le32(p + 0x200, 4);
    store_le32(p + 0x204, 4);
    store_le32(p + 0x208, 18);
    memcpy(p + 0x20c, "Xen", 4);
    store_le32(p + 0x210, 0x1000040);
}

static void make_multiboot_elf(uint8_t *p)
{
    Elf32_Ehdr h = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, 1 },
                     .e_machine = EM_386,
                     .e_entry = 0xc0100010,
                     .e_phoff = 52,
                     .e_phentsize = sizeof(Elf32_Phdr),
                     .e_phnum = 1 };
    Elf32_Phdr ph = { .p_type = PT_LOAD,
                      .p_offset = 0x1000,
                      .p_vaddr = 0xc0100000,
                      .p_paddr = 0x100000,
                      .p_filesz = 0x1000,
                      .p_memsz = 0x2000 };
    memset(p, 0, ELF_SIZE);
    memcpy(p, &h, sizeof(h));
    memcpy(p + 52, &ph, sizeof(ph));
    store_le32(p + 0x1000, 0x1badb002);
    store_le32(p + 0x1004, 3);
    store_le32(p + 0x1008, -(0x1badb002u + 3));
}

static void make_multiboot_aout(uint8_t *p)
{
    static const uint32_t header[] = { 0x1badb002, 0x10003, -(0x1badb002u + 0x10003), 0x200020, 0x200000, 0x200800,
                                       0x202000,   0x200100 };
    memset(p, 0x55, ELF_SIZE);
    for (unsigned i = 0; i < ARRAY_LEN(header); i++)
        store_le32(p + 0x420 + 4 * i, header[i]);
}

static const struct Sample {
    const char *name;
    size_t size;
    void (*make)(uint8_t *p);
    const char *rom;
} samples[] = {
    { "bzimage", BZ_SIZE, make_bzimage, "genroms/linuxboot_dma.bin" },
    { "pvh", ELF_SIZE, make_pvh, "genroms/pvh.bin" },
    { "multiboot-elf", ELF_SIZE, make_multiboot_elf, "genroms/multiboot_dma.bin" },
    { "multiboot-aout", ELF_SIZE, make_multiboot_aout, "genroms/multiboot_dma.bin" },
};

/* ---- through the firmware ---- */

static uint32_t key32(FwCfg *f, uint16_t key)
{
    return load_le32(g_bytes_get_data(fw_cfg_get(f, key), NULL));
}

/* One file through the firmware's door; pieces must lie in RAM. NULL: refused, with an error that was checked. */
static FwCfg *load(const MachineConfig *c, Device **device)
{
    static const uint16_t keys[][3] = { { FW_CFG_KERNEL_ADDR, FW_CFG_KERNEL_SIZE, FW_CFG_KERNEL_DATA },
                                        { FW_CFG_INITRD_ADDR, FW_CFG_INITRD_SIZE, FW_CFG_INITRD_DATA },
                                        { FW_CFG_SETUP_ADDR, FW_CFG_SETUP_SIZE, FW_CFG_SETUP_DATA },
                                        { FW_CFG_CMDLINE_ADDR, FW_CFG_CMDLINE_SIZE, FW_CFG_CMDLINE_DATA } };
    Error *err = NULL;
    *device = device_new_named("fw_cfg_io", NULL, NULL);
    g_assert_true(device_start(*device, NULL));
    FwCfg *f = fw_cfg_from_device(*device);
    if (!boot_through_firmware(f, c, &layout, &err)) {
        g_assert_nonnull(err);
        g_assert_null(strchr(err->message, '\n'));
        g_clear_error(&err);
        return NULL;
    }
    for (unsigned i = 0; i < ARRAY_LEN(keys); i++) {
        uint64_t addr = key32(f, keys[i][0]), size = key32(f, keys[i][1]);
        g_assert_cmpuint(addr + size, <=, RAM);
        g_assert_cmpuint(g_bytes_get_size(fw_cfg_get(f, keys[i][2])), ==, size);
    }
    return f;
}

static void test_samples(void)
{
    for (unsigned i = 0; i < ARRAY_LEN(samples); i++) {
        g_autofree uint8_t *data = g_malloc(samples[i].size);
        Device *d;
        samples[i].make(data);
        MachineConfig c = { .kernel = write_file("kernel", data, samples[i].size), .append = "a=b",
                            .initrd = write_file("initrd", "0123456789", 10) };
        FwCfg *f = load(&c, &d);
        g_assert_nonnull(f);
        g_autofree char *order = g_strconcat("/rom@", samples[i].rom, NULL);
        g_assert_cmpstr(g_bytes_get_data(fw_cfg_get_file(f, "bootorder"), NULL), ==, order);
        g_assert_nonnull(fw_cfg_get_file(f, samples[i].rom));
        g_assert_cmpuint(key32(f, FW_CFG_INITRD_SIZE), ==, 10);
        device_free(d);
        g_free(c.kernel);
        g_free(c.initrd);
    }
}

static void test_linux_pieces(void)
{
    uint8_t data[BZ_SIZE];
    Device *d;
    make_bzimage(data);
    MachineConfig c = { .kernel = write_file("kernel", data, sizeof(data)), .append = "console=ttyS0",
                        .initrd = write_file("initrd", data, 5000) };
    FwCfg *f = load(&c, &d);
    g_assert_cmphex(key32(f, FW_CFG_SETUP_ADDR), ==, 0x10000);
    g_assert_cmphex(key32(f, FW_CFG_SETUP_SIZE), ==, BZ_SETUP);
    g_assert_cmphex(key32(f, FW_CFG_KERNEL_ADDR), ==, 0x100000);
    g_assert_cmphex(key32(f, FW_CFG_KERNEL_SIZE), ==, 0x8000);
    g_assert_cmpstr(g_bytes_get_data(fw_cfg_get(f, FW_CFG_CMDLINE_DATA), NULL), ==, "console=ttyS0");
    const uint8_t *s = g_bytes_get_data(fw_cfg_get(f, FW_CFG_SETUP_DATA), NULL);
    uint32_t initrd = key32(f, FW_CFG_INITRD_ADDR);
    g_assert_cmphex(initrd, ==, (RAM - layout.reserve - 5000) & ~4095);
    g_assert_cmphex(load_le32(s + 0x218), ==, initrd);
    g_assert_cmphex(load_le32(s + 0x21c), ==, 5000);
    g_assert_cmphex(load_le32(s + 0x228), ==, 0x20000);
    g_assert_cmphex(s[0x211], ==, 0x81);
    g_assert_cmphex(load_le16(s + 0x224), ==, 0xfe00);
    device_free(d);
    g_free(c.kernel);
    g_free(c.initrd);
}

static void test_pvh_and_multiboot_pieces(void)
{
    uint8_t data[ELF_SIZE];
    Device *d;
    make_pvh(data);
    MachineConfig c = { .kernel = write_file("kernel", data, sizeof(data)), .append = "x" };
    FwCfg *f = load(&c, &d);
    g_assert_cmphex(key32(f, FW_CFG_KERNEL_ENTRY), ==, 0x1000040);
    g_assert_cmphex(key32(f, FW_CFG_KERNEL_ADDR), ==, 0x1000000);
    g_assert_cmphex(key32(f, FW_CFG_KERNEL_SIZE), ==, 0x3000); /* with the zeros */
    g_assert_cmphex(load_le32(g_bytes_get_data(fw_cfg_get(f, FW_CFG_SETUP_DATA), NULL)), ==, 0x336ec578);
    device_free(d);
    g_free(c.kernel);
    make_multiboot_elf(data);
    c.kernel = write_file("kernel", data, sizeof(data));
    c.initrd = g_strdup_printf("%s/initrd arg1 arg2,%s/kernel", dir, dir);
    g_free(write_file("initrd", "0123456789", 10));
    f = load(&c, &d);
    g_assert_cmphex(key32(f, FW_CFG_KERNEL_ENTRY), ==, 0x100010); /* virtual entry made physical */
    const uint8_t *info = g_bytes_get_data(fw_cfg_get(f, FW_CFG_SETUP_DATA), NULL);
    g_assert_cmpuint(load_le32(info + 20), ==, 2);
    const uint8_t *mods = info + load_le32(info + 24) - key32(f, FW_CFG_SETUP_ADDR);
    g_assert_cmphex(load_le32(mods), ==, key32(f, FW_CFG_INITRD_ADDR));
    g_assert_cmphex(load_le32(mods + 4) - load_le32(mods), ==, 10);
    g_assert_cmphex(load_le32(mods + 16) % 4096, ==, 0);
    g_assert_nonnull(
        strstr((const char *)info + load_le32(mods + 8) - key32(f, FW_CFG_SETUP_ADDR), "initrd arg1 arg2"));
    device_free(d);
    g_free(c.kernel);
    g_free(c.initrd);
}

/* ---- damage ---- */

static void try_both_ways(const MachineConfig *c)
{
    Device *d;
    MachineBoot boot;
    load(c, &d);
    device_free(d);
    Error *err = NULL;
    BootPlan *p = boot_direct_new(c, &layout, &boot, &err);
    g_assert_true(p ? !err : err != NULL);
    if (p)
        boot_direct_load(p, machine->as_memory);
    boot_direct_free(p);
    g_clear_error(&err);
}

static void test_truncated(gconstpointer arg)
{
    const struct Sample *s = arg;
    g_autofree uint8_t *data = g_malloc(s->size);
    s->make(data);
    for (size_t len = 1; len < s->size; len += len < 0x300 ? 1 : 97) {
        MachineConfig c = { .kernel = rewrite(data, len) };
        try_both_ways(&c);
        if (s->make == make_bzimage || s->make == make_pvh) { /* each byte of these counts */
            Device *d;
            g_assert_null(load(&c, &d));
            device_free(d);
        }
        g_free(c.kernel);
    }
}

static void test_damaged(gconstpointer arg)
{
    const struct Sample *s = arg;
    g_autofree uint8_t *data = g_malloc(s->size);
    GRand *dice = g_rand_new_with_seed(7);
    for (unsigned n = 0; n < 400; n++) {
        s->make(data);
        for (int k = g_rand_int_range(dice, 1, 6); k > 0; k--) {
            size_t region = g_rand_boolean(dice) ? 0x2a0 : s->size;
            size_t at = (size_t)g_rand_int_range(dice, 0, (gint32)region - 4);
            if (g_rand_boolean(dice))
                data[at] = (uint8_t)g_rand_int(dice);
            else
                store_le32(data + at, g_rand_boolean(dice) ? UINT32_MAX : g_rand_int(dice));
        }
        MachineConfig c = { .kernel = rewrite(data, s->size), .append = "a" };
        try_both_ways(&c);
        g_free(c.kernel);
    }
    g_rand_free(dice);
}

static void expect_error(const MachineConfig *c, const char *part)
{
    Error *err = NULL;
    Device *d = device_new_named("fw_cfg_io", NULL, NULL);
    g_assert_true(device_start(d, NULL));
    g_assert_false(boot_through_firmware(fw_cfg_from_device(d), c, &layout, &err));
    if (!strstr(err->message, part))
        g_error("'%s' is not in: %s", part, err->message);
    g_clear_error(&err);
    device_free(d);
}

static void test_user_errors(void)
{
    uint8_t data[BZ_SIZE];
    g_autofree char *big = g_build_filename(dir, "big", NULL), *empty = write_file("empty", "", 0);
    make_bzimage(data);
    g_autofree char *kernel = write_file("kernel", data, sizeof(data)),
                    *noise = write_file("noise", data + 0x300, 4000);
    g_autofree char *text = g_strnfill(3000, 'x');
    FILE *f = fopen(big, "w");
    g_assert_cmpint(ftruncate(fileno(f), 60 * MiB), ==, 0);
    fclose(f);
    expect_error(&(MachineConfig){ .initrd = kernel }, "-initrd: only with -kernel");
    expect_error(&(MachineConfig){ .append = text }, "-append: only with -kernel");
    expect_error(&(MachineConfig){ .kernel = empty }, "the file is empty");
    expect_error(&(MachineConfig){ .kernel = dir }, "is a directory");
    expect_error(&(MachineConfig){ .kernel = (char *)"/dev/zero" }, "not a regular file");
    expect_error(&(MachineConfig){ .kernel = noise }, "unknown format");
    expect_error(&(MachineConfig){ .kernel = kernel, .initrd = (char *)"/nonexistent" }, "No such file");
    expect_error(&(MachineConfig){ .kernel = kernel, .initrd = big }, "use at least -m 78M");
    expect_error(&(MachineConfig){ .kernel = kernel, .append = text }, "takes at most 2047");
    expect_error(&(MachineConfig){ .kernel = kernel, .dtb = kernel }, "takes no device tree");
}

/* ---- direct ---- */

static void test_direct(void)
{
    uint8_t data[BZ_SIZE], b[4096];
    MachineBoot boot;
    make_bzimage(data);
    MachineConfig c = { .kernel = write_file("kernel", data, sizeof(data)), .append = "quiet" };
    BootPlan *p = boot_direct_new(&c, &layout, &boot, NULL);
    g_assert_nonnull(p);
    g_assert_cmpint(boot.mode, ==, BOOT_LONG64);
    g_assert_cmphex(boot.rip, ==, 0x100200);
    boot_direct_load(p, machine->as_memory);
    as_read(machine->as_memory, boot.rsi, b, sizeof(b), MEM_ATTRS_DEVICE);
    g_assert_cmpuint(b[0x1e8], ==, 2);
    g_assert_cmphex(load_le64(b + 0x2d0 + 20), ==, MiB);
    g_assert_cmphex(load_le64(b + 0x70), ==, 0xe0000);
    as_read(machine->as_memory, load_le32(b + 0x228), b, 6, MEM_ATTRS_DEVICE);
    g_assert_cmpstr((char *)b, ==, "quiet");
    /* 3 GiB + 5 MiB is mapped to itself */
    uint64_t at = 3 * GiB + 5 * MiB, table = boot.cr3;
    for (unsigned shift = 39; shift >= 21; shift -= 9) {
        as_read(machine->as_memory, table + (at >> shift & 511) * 8, b, 8, MEM_ATTRS_DEVICE);
        g_assert_cmphex(b[0] & 3, ==, 3);
        table = load_le64(b) & ~UINT64_C(0xfff);
    }
    g_assert_cmphex(table, ==, at & ~(2 * MiB - 1));
    boot_direct_free(p);
    g_free(c.kernel);
}

/* ---- option ROMs ---- */

static uint8_t sum(const uint8_t *p, size_t len)
{
    uint8_t s = 0;
    while (len--)
        s += *p++;
    return s;
}

static void test_option_roms(void)
{
    const OptionRom *const roms[] = { &optionrom_linuxboot_dma, &optionrom_multiboot_dma, &optionrom_pvh };
    for (unsigned i = 0; i < ARRAY_LEN(roms); i++) {
        const uint8_t *p = roms[i]->data;
        g_assert_cmphex(load_le16(p), ==, 0xaa55);
        g_assert_cmpuint(p[2] * 512u, ==, roms[i]->size);
        g_assert_cmpuint(sum(p, roms[i]->size), ==, 0);
        const uint8_t *pnp = p + load_le16(p + 0x1a);
        g_assert_cmpmem(pnp, 4, "$PnP", 4);
        g_assert_cmpuint(sum(pnp, pnp[5] * 16u), ==, 0);
        g_assert_cmpuint(load_le16(pnp + 0x1a), <, roms[i]->size); /* bootstrap entry vector */
        g_assert_cmpuint(load_le16(pnp + 0x1a), >, 0);
        g_assert_cmpstr((const char *)p + load_le16(pnp + 0x0e), ==, "Rhea");
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    evloop_init();
    dir = g_dir_make_tmp("rhea-loader-XXXXXX", NULL);
    machine = machine_new(machine_type_find("none"));
    machine->config.ram_size = RAM;
    g_assert_true(machine_build(machine, NULL));
    g_test_add_func("/loader/samples", test_samples);
    g_test_add_func("/loader/linux", test_linux_pieces);
    g_test_add_func("/loader/pvh-multiboot", test_pvh_and_multiboot_pieces);
    for (unsigned i = 0; i < ARRAY_LEN(samples); i++) {
        g_autofree char *a = g_strconcat("/loader/truncated/", samples[i].name, NULL);
        g_autofree char *b = g_strconcat("/loader/damaged/", samples[i].name, NULL);
        g_test_add_data_func(a, &samples[i], test_truncated);
        g_test_add_data_func(b, &samples[i], test_damaged);
    }
    g_test_add_func("/loader/user-errors", test_user_errors);
    g_test_add_func("/loader/direct", test_direct);
    g_test_add_func("/optionrom/headers", test_option_roms);
    int status = g_test_run();
    static const char *const files[] = { "kernel", "initrd", "empty", "big", "noise" };
    for (unsigned i = 0; i < ARRAY_LEN(files); i++) {
        g_autofree char *path = g_build_filename(dir, files[i], NULL);
        g_unlink(path);
    }
    g_rmdir(dir);
    g_free(dir);
    machine_free(machine);
    return status;
}
