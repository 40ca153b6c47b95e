/* SPDX-License-Identifier: MIT */
/*
 * ATA at its registers: AHCI command lists, queues and hostile lists; PATA by the data port and by bus master; packets;
 * state amid a command.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/bits.h"
#include "base/rcu.h"
#include "block/backend.h"
#include "hw/core/machine.h"
#include "hw/ide/ata.h"
#include "hw/isa/isa.h"
#include "hw/pci/pci-host.h"
#include "tests/device/bad-medium.h"
#include "tests/device/bare-machine.h"

#define RAM_SIZE (16 * MiB)
enum {
    DISK = 1 << 20,
    ABAR = 0x30000000,
    BMBASE = 0xc000,
    LIST = 0x10000,
    RFIS = 0x11000,
    TABLE = 0x20000,
    DATA = 0x100000
};
enum { P_IS = 0x110, P_CMD = 0x118, P_TFD = 0x120, P_SIG = 0x124, P_SACT = 0x134, P_CI = 0x138 };

/* --- a machine: RAM, a PCI bus, an ISA bus --- */

BARE_MACHINE(machine_type, "ata-test", RAM_SIZE);

static Machine *machine;
static BarePciHost *host;
static IsaBus isa;
static int irq14, intx;
static char *image;
static Device *controller;

static void note_irq(void *opaque, int n, int level) { *(int *)opaque = level; }
static unsigned intx_map(void *opaque, uint8_t devfn, unsigned pin) { return 0; }
static void intx_set(void *opaque, unsigned line, int level) { intx = level; }
static const PciIntxOps intx_ops = { .lines = 1, .map = intx_map, .set = intx_set };

static void add_medium(const char *name)
{
    Error *err = NULL;
    g_autofree char *text = g_strdup_printf("driver=test-bad,file.filename=%s", image);
    g_autoptr(Opts) o = opts_parse(text, NULL, &err);
    BlockNode *n = block_open(NULL, o, BLOCK_RDWR | BLOCK_UNMAP, &err);
    g_assert_no_error(err);
    blk_new(name, n);
}

static void cfg(unsigned at, unsigned size, uint32_t v)
{
    pci_bus_config_write(&host->bus, 0, pci_device(controller)->devfn, at, size, v);
}

static void setup(const char *type, const char *drive)
{
    machine = bare_machine(&machine_type);
    host = (BarePciHost *)bare_host(&bare_pci_type);
    pci_root_bus_set_intx(&host->bus, &intx_ops, NULL);
    isa_bus_init(&isa, "isa.0", NULL, machine->io, machine->memory, NULL);
    isa.irq[14] = (Irq){ note_irq, &irq14, 0 };
    image = bare_image(DISK);
    add_medium("d");
    g_autofree char *text = g_strdup_printf("%s,id=c", type), *disk = g_strdup_printf("%s,bus=c.0,drive=d", drive);
    controller = bare_add(text);
    bare_add(disk);
    device_reset_all();
    cfg(PCI_BAR0 + 4 * 5, 4, ABAR);
    cfg(PCI_BAR0 + 4 * 4, 4, BMBASE);
    cfg(PCI_COMMAND, 2, PCI_CMD_IO | PCI_CMD_MEM | PCI_CMD_MASTER);
}

static void teardown(void)
{
    isa_bus_fini(&isa);
    bare_end(machine, g_steal_pointer(&image));
    rcu_barrier();
    /* no list that was looked up has been forgotten: it would hold the RAM */
    g_assert_cmphex(mem_ram_addr_limit(), ==, 0);
}

static uint32_t rd(uint32_t at)
{
    uint64_t v = 0;
    as_load(machine->as_memory, ABAR + at, 4, &v, MEM_ATTRS_DEVICE);
    return (uint32_t)v;
}
static void wr(uint32_t at, uint32_t v) { as_store(machine->as_memory, ABAR + at, 4, v, MEM_ATTRS_DEVICE); }
static uint32_t in(uint16_t port, unsigned size)
{
    uint64_t v = 0;
    as_load(machine->as_io, port, size, &v, MEM_ATTRS_DEVICE);
    return (uint32_t)v;
}
static void out(uint16_t port, unsigned size, uint32_t v) { as_store(machine->as_io, port, size, v, MEM_ATTRS_DEVICE); }
static void put(uint64_t at, const void *buf, size_t len)
{
    as_write(machine->as_memory, at, buf, len, MEM_ATTRS_DEVICE);
}
static void get(uint64_t at, void *buf, size_t len) { as_read(machine->as_memory, at, buf, len, MEM_ATTRS_DEVICE); }
static void put32(uint64_t at, uint32_t v)
{
    uint8_t b[4];
    store_le32(b, v);
    put(at, b, 4);
}

/* --- AHCI --- */

static void ahci_begin(void)
{
    wr(0x04, 0x80000002);
    wr(0x100, LIST);
    wr(0x104, 0);
    wr(0x108, RFIS);
    wr(0x10c, 0);
    wr(P_IS, ~0u);
    wr(0x114, ~0u);
    wr(P_CMD, 0x17);
}

/* Slot n: a command with one PRDT entry of `len` bytes at DATA + n * 64 KiB. */
static void prepare(unsigned n, uint8_t opcode, uint64_t lba, uint16_t count, uint16_t feature, uint32_t len,
                    bool write)
{
    uint64_t table = TABLE + n * 0x100;
    uint8_t f[64] = { 0x27,
                      0x80,
                      opcode,
                      (uint8_t)feature,
                      (uint8_t)lba,
                      (uint8_t)(lba >> 8),
                      (uint8_t)(lba >> 16),
                      0x40,
                      (uint8_t)(lba >> 24),
                      (uint8_t)(lba >> 32),
                      (uint8_t)(lba >> 40),
                      (uint8_t)(feature >> 8),
                      (uint8_t)count,
                      (uint8_t)(count >> 8) };
    put(table, f, sizeof f);
    put32(table + 0x80, DATA + n * 0x10000);
    put32(table + 0x84, 0);
    put32(table + 0x8c, len - 1);
    put32(LIST + n * 32, 5 | (write ? 0x40 : 0) | (len ? 1u << 16 : 0));
    put32(LIST + n * 32 + 4, 0);
    put32(LIST + n * 32 + 8, (uint32_t)table);
    put32(LIST + n * 32 + 12, 0);
}

static void settle(void)
{
    for (unsigned i = 0; i < 20000 && (rd(P_CI) || rd(P_SACT)) && !(rd(P_TFD) & 1); i++)
        g_usleep(100);
}

static void issue(unsigned n)
{
    wr(P_CI, 1u << n);
    settle();
}

static void restart(void)
{
    wr(P_CMD, 0x16);
    wr(P_IS, ~0u);
    wr(P_CMD, 0x17);
}

static void test_ahci_commands(void)
{
    uint8_t id[512], a[4096], b[4096], fis[20];
    setup("ahci", "ide-hd");
    g_assert_cmphex(rd(P_SIG), ==, 0x101);
    g_assert_cmphex(rd(0x124 + 0x80), ==, 0xffffffff);
    g_assert_cmphex(rd(0x128) & 0xf, ==, 3);
    ahci_begin();
    prepare(0, 0xec, 0, 0, 0, 512, false);
    issue(0);
    g_assert_cmphex(rd(P_TFD), ==, 0x50);
    g_assert_cmphex(rd(P_IS) & 2, ==, 2); /* PIO Setup FIS */
    g_assert_cmpint(intx, ==, 1);
    wr(P_IS, ~0u);
    wr(0x08, ~0u);
    g_assert_cmpint(intx, ==, 0);
    get(DATA, id, 512);
    g_assert_cmpuint(load_le64(id + 200), ==, DISK / 512);
    g_assert_cmpmem(id + 54, 14, "EQUMH RADDSI K", 14);
    uint8_t sum = 0;
    for (unsigned i = 0; i < 512; i++)
        sum = (uint8_t)(sum + id[i]);
    g_assert_cmpuint(sum, ==, 0);
    for (unsigned i = 0; i < sizeof a; i++)
        a[i] = (uint8_t)(i * 7);
    put(DATA + 0x10000, a, sizeof a);
    prepare(1, 0x35, 3, 8, 0, 4096, true);
    issue(1);
    prepare(2, 0x25, 3, 8, 0, 4096, false);
    issue(2);
    get(DATA + 0x20000, b, sizeof b);
    g_assert_cmpmem(a, sizeof a, b, sizeof b);
    get(LIST + 2 * 32 + 4, b, 4);
    g_assert_cmpuint(load_le32(b), ==, 4096); /* PRDBC */
    get(RFIS + 0x40, fis, 20);
    g_assert_cmphex(fis[0], ==, 0x34);
    teardown();
}

static void test_ahci_errors(void)
{
    setup("ahci", "ide-hd");
    ahci_begin();
    prepare(0, 0x25, DISK / 512, 1, 0, 512, false); /* beyond the end */
    wr(P_CI, 3);
    settle();
    g_assert_cmphex(rd(P_TFD), ==, 0x1051);
    g_assert_cmphex(rd(P_IS) & 0x40000000, !=, 0);
    g_assert_cmphex(rd(P_CI), ==, 3); /* nothing more is fetched */
    restart();
    g_assert_cmphex(rd(P_CI), ==, 0);
    prepare(0, 0xf1, 0, 0, 0, 0, false); /* SECURITY SET PASSWORD */
    issue(0);
    g_assert_cmphex(rd(P_TFD), ==, 0x451);
    restart();
    prepare(0, 0x25, 0, 8, 0, 1024, false); /* the list is too short */
    issue(0);
    g_assert_cmphex(rd(P_IS) & 0x41000000, ==, 0x41000000);
    restart();
    prepare(0, 0xec, 0, 0, 0, 100, false);
    issue(0);
    restart();
    prepare(0, 0x25, 0, 8, 0, 4096, false); /* from where there is nothing */
    put32(TABLE + 0x84, 0x7000);
    issue(0);
    g_assert_cmphex(rd(P_IS) & 0x20000000, !=, 0);
    restart();
    prepare(0, 0x25, 0, 8, 0, 4096, false); /* onto the controller itself */
    put32(TABLE + 0x80, ABAR + 0x100);
    issue(0);
    restart();
    prepare(0, 0xec, 0, 0, 0, 512, false);
    issue(0);
    g_assert_cmphex(rd(P_TFD), ==, 0x50);
    teardown();
}

static void test_ahci_queue(void)
{
    uint8_t a[512], b[512], log[512];
    setup("ahci", "ide-hd");
    ahci_begin();
    for (unsigned n = 0; n < 32; n++) {
        memset(a, (int)n + 1, sizeof a);
        put(DATA + n * 0x10000, a, sizeof a);
        prepare(n, 0x61, n * 9, (uint16_t)(n << 3), 1, 512, true);
    }
    wr(P_SACT, ~0u);
    wr(P_CI, ~0u);
    settle();
    g_assert_cmphex(rd(P_SACT), ==, 0);
    for (unsigned n = 0; n < 32; n++)
        prepare(n, 0x60, n * 9, (uint16_t)(n << 3), 1, 512, false);
    memset(a, 0, sizeof a);
    for (unsigned n = 0; n < 32; n++)
        put(DATA + n * 0x10000, a, sizeof a);
    wr(P_SACT, ~0u);
    wr(P_CI, ~0u);
    settle();
    for (unsigned n = 0; n < 32; n++) {
        memset(a, (int)n + 1, sizeof a);
        get(DATA + n * 0x10000, b, sizeof b);
        g_assert_cmpmem(a, sizeof a, b, sizeof b);
    }
    prepare(5, 0x60, DISK / 512 + 77, 5 << 3, 1, 512, false);
    wr(P_SACT, 1u << 5);
    wr(P_CI, 1u << 5);
    settle();
    g_assert_cmphex(rd(P_IS) & 0x40000008, ==, 0x40000008);
    g_assert_cmphex(rd(P_SACT), ==, 1u << 5);
    restart();
    prepare(0, 0x2f, 0x10, 1, 0, 512, false); /* which of them it was */
    issue(0);
    get(DATA, log, sizeof log);
    g_assert_cmpuint(log[0], ==, 5);
    g_assert_cmphex(log[3], ==, 0x10);
    g_assert_cmphex(load_le32(log + 4) & 0xffffff, ==, DISK / 512 + 77);
    prepare(3, 0x60, 20, 3 << 3, 8, 4096, false); /* the first of two fails: the log is of that one */
    prepare(4, 0x60, 30, 4 << 3, 2, 1024, false);
    atomic_store(&failures, 1);
    wr(P_SACT, 1u << 3);
    wr(P_CI, 1u << 3);
    settle();
    wr(P_SACT, 1u << 4);
    wr(P_CI, 1u << 4);
    restart();
    prepare(0, 0x2f, 0x10, 1, 0, 512, false);
    issue(0);
    get(DATA, log, sizeof log);
    g_assert_cmpuint(log[0], ==, 3);
    g_assert_cmphex(log[3], ==, 0x40);
    g_assert_cmpuint(log[4], ==, 20);
    g_assert_cmphex(log[7], ==, 0x40);
    g_assert_cmpuint(load_le16(log + 12), ==, 8);
    teardown();
}

static uint32_t seed = 0x2545f491;
static uint32_t dice(uint32_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return seed % n;
}

/* Anything in lists, tables and registers: no crash, no hang, and the controller works after a reset of it. */
static void fuzz_ahci(const char *drive)
{
    const char *rounds = getenv("RHEA_STORM");
    setup("ahci", drive);
    for (unsigned i = 0; i < (rounds ? (unsigned)atoi(rounds) : 3000); i++) {
        unsigned n = dice(32);
        static const uint8_t opcodes[] = { 0x25, 0x35, 0x60, 0x61, 0x20, 0x30, 0xec,
                                           0xa1, 0xa0, 0x06, 0x2f, 0xef, 0xb0, 0xea };
        if (i % 64 == 0)
            ahci_begin();
        prepare(n, dice(4) ? opcodes[dice(sizeof opcodes)] : (uint8_t)dice(256), dice(4096),
                (uint16_t)(dice(2) ? n << 3 : dice(65536)), (uint16_t)dice(300), dice(3) ? 4096 : dice(1 << 22) + 1,
                dice(2));
        for (unsigned k = dice(4); k--;)
            put32(TABLE + n * 0x100 + dice(0x100), dice(2) ? dice(0xffffffff) : ABAR + dice(0x1000));
        if (!dice(4))
            put32(LIST + n * 32 + dice(4), dice(0xffffffff));
        if (!dice(8))
            wr(dice(0x400) * 4, dice(0xffffffff));
        wr(P_SACT, dice(2) ? 1u << n : 0);
        wr(P_CI, 1u << n);
        if (!dice(8))
            restart();
    }
    wr(0x04, 1);
    blk_drain(blk_find("d"));
    ahci_begin();
    prepare(0, strcmp(drive, "ide-cd") ? 0xec : 0xa1, 0, 0, 0, 512, false);
    issue(0);
    g_assert_cmphex(rd(P_TFD), ==, 0x50);
    teardown();
}
static void test_fuzz_disk(void) { fuzz_ahci("ide-hd"); }
static void test_fuzz_cd(void) { fuzz_ahci("ide-cd"); }

/* --- PATA --- */

static uint8_t wait_status(void)
{
    for (unsigned i = 0; i < 20000 && in(0x3f6, 1) & 0x80; i++)
        g_usleep(100);
    return (uint8_t)in(0x1f7, 1);
}

static void command(uint8_t opcode, uint32_t lba, uint8_t count, uint8_t feature)
{
    out(0x1f1, 1, feature);
    out(0x1f2, 1, count);
    out(0x1f3, 1, lba & 0xff);
    out(0x1f4, 1, lba >> 8 & 0xff);
    out(0x1f5, 1, lba >> 16 & 0xff);
    out(0x1f6, 1, 0xe0 | (lba >> 24 & 0xf));
    out(0x1f7, 1, opcode);
}

static void test_pata_port(void)
{
    setup("piix3-ide", "ide-hd");
    g_assert_cmphex(in(0x1f2, 4), ==, 0x00000101);
    g_assert_cmphex(in(0x177, 1), ==, 0); /* nobody there */
    command(0x30, 5, 2, 0);
    for (unsigned s = 0; s < 2; s++) {
        g_assert_cmphex(wait_status() & 0x89, ==, 8);
        for (unsigned i = 0; i < 256; i++)
            out(0x1f0, 2, s * 0x1000 + i);
    }
    g_assert_cmphex(wait_status(), ==, 0x50);
    command(0x20, 5, 2, 0);
    for (unsigned s = 0; s < 2; s++) {
        g_assert_cmphex(wait_status() & 0x89, ==, 8);
        for (unsigned i = 0; i < 256; i++) {
            g_assert_cmphex(in(0x1f0, 2), ==, s * 0x1000 + i);
            if (i == 100 && s == 1) /* amid a sector */
                save_reset_load();
        }
    }
    g_assert_cmphex(in(0x3f6, 1), ==, 0x50);
    command(0x20, 0xfffffff, 1, 0);
    g_assert_cmphex(wait_status(), ==, 0x51);
    g_assert_cmphex(in(0x1f1, 1), ==, 0x10);
    command(0xfe, 0, 0, 0);
    g_assert_cmphex(wait_status(), ==, 0x51);
    g_assert_cmphex(in(0x1f1, 1), ==, 4);
    g_assert_cmpint(irq14, ==, 0);
    out(0x3f6, 1, 4);
    g_assert_cmphex(in(0x3f6, 1), ==, 0x80);
    out(0x3f6, 1, 0);
    g_assert_cmphex(in(0x3f6, 1), ==, 0x50);
    g_assert_cmphex(in(0x1f1, 4), ==, 0x00010101);
    teardown();
}

static void list(uint32_t len, bool write)
{
    put32(TABLE, DATA);
    put32(TABLE + 4, len | 0x80000000);
    out(BMBASE, 1, 0);
    out(BMBASE + 4, 4, TABLE);
    out(BMBASE + 2, 1, 6);
    out(BMBASE, 1, write ? 0 : 8);
}

static uint8_t master(void)
{
    out(BMBASE, 1, in(BMBASE, 1) | 1);
    blk_drain(blk_find("d"));
    return (uint8_t)(in(BMBASE + 2, 1) & 7);
}

static void test_pata_master(void)
{
    uint8_t a[1024], b[1024];
    setup("piix3-ide", "ide-hd");
    for (unsigned i = 0; i < sizeof a; i++)
        a[i] = (uint8_t)(i * 3);
    put(DATA, a, sizeof a);
    list(1024, true);
    command(0xca, 9, 2, 0);
    g_assert_cmphex(master(), ==, 4);
    g_assert_cmphex(wait_status(), ==, 0x50);
    memset(b, 0, sizeof b);
    put(DATA, b, sizeof b);
    list(1024, false);
    command(0xc8, 9, 2, 0);
    g_assert_cmphex(master(), ==, 4);
    get(DATA, b, sizeof b);
    g_assert_cmpmem(a, sizeof a, b, sizeof b);
    wait_status();
    list(2048, false); /* longer than the data: still active */
    command(0xc8, 9, 2, 0);
    g_assert_cmphex(master(), ==, 5);
    wait_status();
    list(512, false); /* shorter: neither; the next list goes on */
    command(0xc8, 9, 2, 0);
    g_assert_cmphex(master(), ==, 0);
    list(512, false);
    g_assert_cmphex(master(), ==, 4);
    get(DATA, b, 512);
    g_assert_cmpmem(a + 512, 512, b, 512);
    g_assert_cmphex(wait_status(), ==, 0x50);
    teardown();
}

/* --- packets by the data port --- */

static uint8_t packet(const uint8_t cdb[12], uint16_t limit)
{
    command(0xa0, (uint32_t)limit << 8, 0, 0);
    g_assert_cmphex(wait_status() & 0x89, ==, 8);
    g_assert_cmphex(in(0x1f2, 1) & 3, ==, 1);
    for (unsigned i = 0; i < 6; i++)
        out(0x1f0, 2, load_le16(cdb + 2 * i));
    return wait_status();
}

static uint32_t sense(void)
{
    uint8_t d[18];
    g_assert_cmphex(packet((const uint8_t[12]){ 3, 0, 0, 0, 18 }, 0xfffe) & 9, ==, 8);
    for (unsigned i = 0; i < 9; i++)
        store_le16(d + 2 * i, (uint16_t)in(0x1f0, 2));
    g_assert_cmphex(wait_status(), ==, 0x50);
    return (uint32_t)d[2] << 16 | (uint32_t)d[12] << 8 | d[13];
}

static void test_packets(void)
{
    uint8_t sector[4096];
    Error *err = NULL;
    setup("piix3-ide", "ide-cd");
    g_assert_cmphex(in(0x1f4, 2), ==, 0xeb14);
    for (unsigned i = 0; i < sizeof sector; i++)
        sector[i] = (uint8_t)(i * 13 + i / 256);
    block_pwrite(blk_node(blk_find("d")), 3 * 2048, sector, sizeof sector);
    g_assert_cmphex(packet((const uint8_t[12]){ 0 }, 0) & 1, ==, 1);
    g_assert_cmphex(sense(), ==, 0x062900);
    g_assert_cmphex(packet((const uint8_t[12]){ 0 }, 0), ==, 0x50);
    uint8_t status = packet((const uint8_t[12]){ 0x28, 0, 0, 0, 0, 3, 0, 0, 2 }, 1000);
    for (unsigned at = 0; at < sizeof sector;) {
        g_assert_cmphex(status & 0x89, ==, 8);
        unsigned n = in(0x1f4, 1) | in(0x1f5, 1) << 8;
        g_assert_cmpuint(n, <=, 1000);
        for (unsigned i = 0; i < n; i += 2, at += 2)
            g_assert_cmphex(in(0x1f0, 2), ==, load_le16(sector + at));
        status = wait_status();
    }
    g_assert_cmphex(status, ==, 0x50);
    g_assert_cmphex(in(0x1f2, 1), ==, 3);
    g_assert_cmphex(packet((const uint8_t[12]){ 0x28, 0, 0, 1, 0, 0, 0, 0, 1 }, 0xfffe) & 1, ==, 1);
    g_assert_cmphex(sense(), ==, 0x052100);
    packet((const uint8_t[12]){ 0x1e, 0, 0, 0, 1 }, 0); /* lock it */
    g_assert_cmphex(packet((const uint8_t[12]){ 0x1b, 0, 0, 0, 2 }, 0) & 1, ==, 1);
    g_assert_cmphex(sense(), ==, 0x055302);
    packet((const uint8_t[12]){ 0x1e, 0, 0, 0, 0 }, 0);
    g_assert_cmphex(packet((const uint8_t[12]){ 0x1b, 0, 0, 0, 2 }, 0), ==, 0x50);
    g_assert_true(blk_tray_open(blk_find("d")));
    packet((const uint8_t[12]){ 0 }, 0);
    g_assert_cmphex(sense(), ==, 0x023a02);
    g_assert_true(blk_remove(blk_find("d"), &err));
    BlockNode *n = block_open(image, NULL, 0, &err);
    g_assert_true(blk_insert(blk_find("d"), n, &err));
    packet((const uint8_t[12]){ 0 }, 0);
    g_assert_cmphex(sense(), ==, 0x062800);
    g_assert_cmphex(packet((const uint8_t[12]){ 0 }, 0), ==, 0x50);
    teardown();
}

/* --- rerror=stop, werror=stop: held, and carried out when the machine goes on, in this process or another --- */

static void test_ahci_held(gconstpointer load)
{
    uint8_t a[4096], b[4096];
    setup("ahci", "ide-hd,rerror=stop,werror=stop");
    ahci_begin();
    for (unsigned i = 0; i < sizeof a; i++)
        a[i] = (uint8_t)(i * 11);
    put(DATA + 0x10000, a, sizeof a);
    atomic_store(&failures, 1);
    prepare(1, 0x35, 3, 8, 0, 4096, true);
    wr(P_CI, 1u << 1);
    wait_held("d");
    g_assert_cmphex(rd(P_CI), ==, 1u << 1);
    g_assert_cmphex(rd(P_TFD) & 0x81, ==, 0x80);
    go_on("d", load);
    settle();
    g_assert_cmphex(rd(P_CI), ==, 0);
    g_assert_cmphex(rd(P_TFD), ==, 0x50);
    atomic_store(&failures, 2);
    prepare(2, 0x60, 3, 2 << 3, 8, 4096, false);
    prepare(7, 0x60, 3, 7 << 3, 8, 4096, false);
    wr(P_SACT, 1u << 2 | 1u << 7);
    wr(P_CI, 1u << 2 | 1u << 7);
    wait_held("d");
    g_assert_cmphex(rd(P_SACT), ==, 1u << 2 | 1u << 7);
    go_on("d", load);
    settle();
    g_assert_cmphex(rd(P_SACT), ==, 0);
    get(DATA + 0x20000, b, sizeof b);
    g_assert_cmpmem(a, sizeof a, b, sizeof b);
    get(DATA + 0x70000, b, sizeof b);
    g_assert_cmpmem(a, sizeof a, b, sizeof b);
    atomic_store(&failures, 1);
    prepare(1, 0xea, 0, 0, 0, 0, false);
    wr(P_CI, 1u << 1);
    wait_held("d");
    restart(); /* the guest gives up: nothing is left */
    go_on("d", load);
    g_assert_cmphex(rd(P_CI), ==, 0);
    g_assert_cmpint(atomic_load(&failures), ==, 0);
    teardown();
}

static void test_pata_held(gconstpointer load)
{
    uint8_t a[1024], b[1024] = { 0 };
    setup("piix3-ide", "ide-hd,rerror=stop,werror=stop");
    for (unsigned i = 0; i < sizeof a; i++)
        a[i] = (uint8_t)(i * 5 + 1);
    command(0x30, 9, 2, 0); /* by the data port: the second sector fails */
    for (unsigned s = 0; s < 2; s++) {
        g_assert_cmphex(wait_status() & 0x89, ==, 8);
        atomic_store(&failures, (int)s);
        for (unsigned i = 0; i < 256; i++)
            out(0x1f0, 2, load_le16(a + s * 512 + 2 * i));
    }
    wait_held("d");
    g_assert_cmphex(in(0x3f6, 1) & 0x80, ==, 0x80);
    go_on("d", load);
    g_assert_cmphex(wait_status(), ==, 0x50);
    put(DATA, b, sizeof b);
    list(1024, false);
    atomic_store(&failures, 1);
    command(0xc8, 9, 2, 0);
    g_assert_cmphex(master() & 4, ==, 0);
    wait_held("d");
    go_on("d", load);
    g_assert_cmphex(in(BMBASE + 2, 1) & 7, ==, 4);
    g_assert_cmphex(wait_status(), ==, 0x50);
    get(DATA, b, sizeof b);
    g_assert_cmpmem(a, sizeof a, b, sizeof b);
    atomic_store(&failures, 1);
    command(0x20, 10, 1, 0);
    wait_held("d");
    go_on("d", load);
    g_assert_cmphex(wait_status() & 0x89, ==, 8);
    for (unsigned i = 0; i < 256; i++)
        g_assert_cmphex(in(0x1f0, 2), ==, load_le16(a + 512 + 2 * i));
    atomic_store(&failures, 1);
    command(0xe7, 0, 0, 0);
    wait_held("d");
    go_on("d", load);
    g_assert_cmphex(wait_status(), ==, 0x50);
    uint8_t ranges[512] = { 0, [6] = 8, [8] = 8, [14] = 8 }; /* TRIM of two ranges */
    put(DATA, ranges, sizeof ranges);
    list(512, true);
    atomic_store(&failures, 1);
    command(0x06, 0, 1, 1);
    master();
    wait_held("d");
    go_on("d", load);
    g_assert_cmphex(wait_status(), ==, 0x50);
    list(1024, false); /* the guest stops its bus master: the drive waits for the next list */
    atomic_store(&failures, 1);
    command(0xc8, 9, 2, 0);
    master();
    wait_held("d");
    out(BMBASE, 1, 8);
    g_assert_cmphex(in(BMBASE + 2, 1) & 1, ==, 0);
    list(1024, false);
    g_assert_cmphex(master(), ==, 4);
    g_assert_cmphex(wait_status(), ==, 0x50);
    teardown();
}

static void test_reported(void)
{
    setup("piix3-ide", "ide-hd,rerror=report,werror=ignore");
    list(512, false);
    atomic_store(&failures, 1);
    command(0xc8, 9, 1, 0);
    master();
    g_assert_cmphex(wait_status() & 0x81, ==, 1);
    g_assert_cmphex(in(0x1f1, 1), ==, 0x40);
    list(512, true);
    atomic_store(&failures, 1);
    command(0xca, 9, 1, 0);
    master();
    g_assert_cmphex(wait_status(), ==, 0x50);
    g_assert_false(machine_take_requests().pause);
    teardown();
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/ata/ahci/commands", test_ahci_commands);
    g_test_add_func("/ata/ahci/errors", test_ahci_errors);
    g_test_add_func("/ata/ahci/queue", test_ahci_queue);
    g_test_add_func("/ata/ahci/fuzz-disk", test_fuzz_disk);
    g_test_add_func("/ata/ahci/fuzz-cd", test_fuzz_cd);
    g_test_add_func("/ata/pata/port", test_pata_port);
    g_test_add_func("/ata/pata/master", test_pata_master);
    g_test_add_func("/ata/packets", test_packets);
    g_test_add_data_func("/ata/ahci/held", NULL, test_ahci_held);
    g_test_add_data_func("/ata/ahci/held-loaded", "", test_ahci_held);
    g_test_add_data_func("/ata/pata/held", NULL, test_pata_held);
    g_test_add_data_func("/ata/pata/held-loaded", "", test_pata_held);
    g_test_add_func("/ata/reported", test_reported);
    return g_test_run();
}
