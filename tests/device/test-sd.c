/* SPDX-License-Identifier: MIT */
/* SD cards behind SDHCI: identification, PIO, SDMA, ADMA2, erase, errors, other media, and lists that never end. */
#include <string.h>
#include <unistd.h>
#include "base/bits.h"
#include "block/backend.h"
#include "hw/core/machine.h"
#include "hw/pci/pci-host.h"
#include "tests/device/bare-machine.h"

#define RAM_SIZE (16 * MiB)
#define CARD (UINT64_C(64) << 20)
enum { BAR = 0x30000000, DATA = 0x100000, LIST = 0x20000, SECTOR = 512 };
enum {
    SDMA = 0,
    BLOCK = 4,
    ARG = 8,
    MODE = 0xc,
    RSP = 0x10,
    PORT = 0x20,
    PRESENT = 0x24,
    HOST = 0x28,
    STATUS = 0x30,
    ENABLE = 0x34,
    ADMA = 0x58
};
enum {
    CC = 1,
    TC = 2,
    DMAI = 8,
    BWR = 16,
    BRR = 32,
    INSERTED = 64,
    REMOVED = 128,
    ERROR = 1 << 15,
    TIMEOUT = 1 << 16,
    ADMA_ERROR = 1 << 25
};
enum { R48 = 2, R48B = 3, R136 = 1, DATA_CMD = 32, DMA = 1, COUNT = 2, AUTO12 = 4, READ = 16, MULTI = 32 };

static Machine *machine;
static BarePciHost *host;
static Device *controller;
static char *image;
static BlockBackend *drive;

BARE_MACHINE(machine_type, "sd-test", RAM_SIZE);

static BlockNode *open_image(void)
{
    Error *err = NULL;
    BlockNode *n = block_open(image, NULL, BLOCK_RDWR, &err);
    g_assert_no_error(err);
    return n;
}

static void cfg(unsigned at, unsigned size, uint32_t v)
{
    pci_bus_config_write(&host->bus, 0, pci_device(controller)->devfn, at, size, v);
}
static uint32_t rd(uint32_t at)
{
    uint64_t v = 0;
    as_load(machine->as_memory, BAR + at, 4, &v, MEM_ATTRS_DEVICE);
    return (uint32_t)v;
}
static void wr(uint32_t at, uint32_t v) { as_store(machine->as_memory, BAR + at, 4, v, MEM_ATTRS_DEVICE); }

static uint32_t wait_for(uint32_t bits)
{
    for (unsigned i = 0; i < 20000; i++) {
        uint32_t v = rd(STATUS);
        if (v & (bits | ERROR))
            return v;
        g_usleep(100);
    }
    return 0;
}

static void wait_present(uint32_t bit)
{
    for (unsigned i = 0; i < 20000 && !(rd(PRESENT) & bit); i++)
        g_usleep(100);
    g_assert_cmphex(rd(PRESENT) & bit, ==, bit);
}

static uint32_t command(unsigned index, uint32_t arg, unsigned kind, uint32_t mode)
{
    wr(STATUS, UINT32_MAX);
    wr(ARG, arg);
    wr(MODE, (index << 8 | kind) << 16 | mode);
    return wait_for(CC);
}

static uint32_t app(unsigned index, uint32_t arg, uint32_t rca, unsigned kind, uint32_t mode)
{
    g_assert_cmphex(command(55, rca, R48, 0) & ERROR, ==, 0);
    return command(index, arg, kind, mode);
}

/* Returns the address of the card, which is selected then. */
static uint32_t identify(void)
{
    command(0, 0, 0, 0);
    command(8, 0x1aa, R48, 0);
    g_assert_cmphex(rd(RSP), ==, 0x1aa);
    app(41, 0, 0, R48, 0);
    g_assert_cmphex(rd(RSP) >> 31, ==, 0);
    app(41, 0x40ff8000, 0, R48, 0);
    g_assert_cmphex(rd(RSP), ==, 0x80ff8000); /* up; standard capacity */
    command(2, 0, R136, 0);
    g_assert_cmphex(rd(RSP + 12) >> 16, ==, 0xaa);
    command(3, 0, R48, 0);
    uint32_t rca = rd(RSP) & 0xffff0000;
    command(9, rca, R136, 0);
    uint32_t csd[4];
    for (unsigned i = 0; i < 4; i++)
        csd[i] = rd(RSP + 4 * i); /* bits 8 and up */
    unsigned c_size = (csd[1] >> 22 | csd[2] << 10) & 0xfff, mult = csd[1] >> 7 & 7, bl = csd[2] >> 8 & 15;
    g_assert_cmpuint((uint64_t)(c_size + 1) << (mult + 2 + bl), ==, CARD);
    g_assert_cmpuint(bl, ==, 9);
    command(7, rca, R48B, 0);
    g_assert_cmphex(wait_for(TC) & TC, ==, TC);
    command(13, rca, R48, 0);
    g_assert_cmphex(rd(RSP), ==, 4 << 9 | 0x100); /* transfer state, ready */
    return rca;
}

static void setup(void)
{
    machine = bare_machine(&machine_type);
    host = (BarePciHost *)bare_host(&bare_pci_type);
    image = bare_image(CARD);
    drive = blk_new("d", open_image());
    controller = bare_add("sdhci-pci,id=c");
    bare_add("sd-card,drive=d");
    device_reset_all();
    cfg(PCI_BAR0, 4, BAR);
    cfg(PCI_COMMAND, 2, PCI_CMD_MEM | PCI_CMD_MASTER);
    wr(ENABLE, UINT32_MAX);
}

static void teardown(void)
{
    bare_end(machine, g_steal_pointer(&image));
}

static void fill(uint8_t *p, size_t n, unsigned seed)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(i * 7 + (i >> 8) + seed);
}

/* ---- */

static void test_pio(void)
{
    setup();
    uint8_t out[3 * SECTOR], in[3 * SECTOR];
    identify();
    fill(out, sizeof out, 1);
    wr(BLOCK, 3 << 16 | SECTOR);
    g_assert_cmphex(command(25, 4 * SECTOR, R48 | DATA_CMD, MULTI | COUNT | AUTO12) & ERROR, ==, 0);
    for (unsigned i = 0; i < sizeof out; i += 4) {
        if (i % SECTOR == 0)
            wait_present(1 << 10);
        wr(PORT, load_le32(out + i));
    }
    g_assert_cmphex(wait_for(TC) & (TC | ERROR), ==, TC);
    g_assert_cmpint(blk_pread(drive, 4 * SECTOR, in, sizeof in), ==, 0);
    g_assert_cmpmem(in, sizeof in, out, sizeof out);
    memset(in, 0, sizeof in);
    wr(BLOCK, 3 << 16 | SECTOR); /* counted down */
    command(18, 4 * SECTOR, R48 | DATA_CMD, MULTI | COUNT | AUTO12 | READ);
    for (unsigned i = 0; i < sizeof in; i += 4) {
        if (i % SECTOR == 0)
            wait_present(1 << 11);
        store_le32(in + i, rd(PORT));
    }
    g_assert_cmphex(wait_for(TC) & (TC | ERROR), ==, TC);
    g_assert_cmpmem(in, sizeof in, out, sizeof out);
    teardown();
}

static void test_sdma(void)
{
    setup();
    identify();
    uint8_t out[16 * SECTOR], in[16 * SECTOR];
    fill(out, sizeof out, 2);
    as_write(machine->as_memory, DATA + 0x800, out, sizeof out, MEM_ATTRS_DEVICE);
    wr(SDMA, DATA + 0x800);
    wr(BLOCK, 16 << 16 | SECTOR); /* it stops at every 4 KiB */
    command(25, 0, R48 | DATA_CMD, MULTI | COUNT | AUTO12 | DMA);
    for (unsigned stops = 0;; stops++) {
        uint32_t v = wait_for(TC | DMAI);
        g_assert_cmphex(v & ERROR, ==, 0);
        if (v & TC) {
            g_assert_cmpuint(stops, ==, 2);
            break;
        }
        g_assert_cmphex(v & DMAI, ==, DMAI);
        wr(STATUS, DMAI);
        wr(SDMA, rd(SDMA));
    }
    g_assert_cmpint(blk_pread(drive, 0, in, sizeof in), ==, 0);
    g_assert_cmpmem(in, sizeof in, out, sizeof out);
    teardown();
}

static void descriptor(unsigned n, uint16_t attr, uint16_t len, uint32_t addr)
{
    uint8_t d[8];
    store_le16(d, attr);
    store_le16(d + 2, len);
    store_le32(d + 4, addr);
    as_write(machine->as_memory, LIST + 8 * n, d, 8, MEM_ATTRS_DEVICE);
}

static void test_adma(void)
{
    setup();
    identify();
    uint8_t out[8 * SECTOR], in[8 * SECTOR];
    fill(out, sizeof out, 3);
    g_assert_cmpint(block_pwrite(blk_node(drive), 64 * SECTOR, out, sizeof out), ==, 0);
    descriptor(0, 0x21, 100, DATA);
    descriptor(1, 0x31, 0, LIST + 8 * 5); /* link */
    descriptor(5, 0x23, sizeof out - 100, DATA + 100);
    wr(HOST, 2 << 3);
    wr(ADMA, LIST);
    wr(BLOCK, 8 << 16 | SECTOR);
    command(18, 64 * SECTOR, R48 | DATA_CMD, MULTI | COUNT | AUTO12 | READ | DMA);
    g_assert_cmphex(wait_for(TC) & (TC | ERROR), ==, TC);
    as_read(machine->as_memory, DATA, in, sizeof in, MEM_ATTRS_DEVICE);
    g_assert_cmpmem(in, sizeof in, out, sizeof out);

    descriptor(0, 0x31, 0, LIST); /* a link to itself */
    wr(ADMA, LIST);
    command(18, 0, R48 | DATA_CMD, MULTI | READ | DMA);
    g_assert_cmphex(wait_for(TC) & ADMA_ERROR, ==, ADMA_ERROR);
    wr(0x2c, 1 << 26);
    command(12, 0, R48B, 0);
    descriptor(0, 0x21, 0, DATA); /* the whole card, over and over */
    descriptor(1, 0x31, 0, LIST);
    wr(ADMA, LIST);
    command(18, 0, R48 | DATA_CMD, MULTI | READ | DMA);
    g_assert_cmphex(wait_for(TC) & ERROR, ==, ERROR); /* ends with the card */
    teardown();
}

static void test_commands(void)
{
    setup();
    uint32_t rca = identify();
    uint8_t b[64], ff[SECTOR];
    wr(BLOCK, 1 << 16 | 8);
    app(51, 0, rca, R48 | DATA_CMD, READ);
    wait_for(BRR);
    store_le32(b, rd(PORT));
    store_le32(b + 4, rd(PORT));
    g_assert_cmphex(load_le32(b), ==, 0x02800502); /* SCR: 3.0, widths 1 and 4, CMD23 */
    command(18, (uint32_t)CARD, R48 | DATA_CMD, READ);
    g_assert_cmphex(rd(RSP) >> 31, ==, 1);         /* out of range */
    wr(0x2c, 1 << 26);
    g_assert_cmphex(command(41, 0, R48, 0) & TIMEOUT, ==, TIMEOUT); /* not behind CMD55 */
    command(13, rca, R48, 0);
    g_assert_cmphex(rd(RSP) & 1 << 22, ==, 1 << 22);
    command(13, rca, R48, 0);
    g_assert_cmphex(rd(RSP) & 1 << 22, ==, 0);
    command(38, 0, R48B, 0);
    g_assert_cmphex(rd(RSP) & 1 << 28, ==, 1 << 28); /* erase sequence */
    memset(ff, 0xff, sizeof ff);
    g_assert_cmpint(block_pwrite(blk_node(drive), 10 * SECTOR, ff, sizeof ff), ==, 0);
    command(32, 8 * SECTOR, R48, 0);
    command(33, 12 * SECTOR, R48, 0);
    command(38, 0, R48B, 0);
    g_assert_cmphex(wait_for(TC) & TC, ==, TC);
    g_assert_cmpint(blk_pread(drive, 10 * SECTOR, ff, sizeof ff), ==, 0);
    g_assert_cmphex(ff[0] | ff[511], ==, 0);
    teardown();
}

static void test_media(void)
{
    Error *err = NULL;
    setup();
    identify();
    wr(STATUS, UINT32_MAX);
    g_assert_true(blk_remove(drive, &err));
    g_assert_cmphex(rd(STATUS) & (INSERTED | REMOVED), ==, REMOVED);
    g_assert_cmphex(rd(PRESENT) & 1 << 16, ==, 0);
    g_assert_cmphex(command(0, 0, 0, 0) & TIMEOUT, ==, TIMEOUT);
    wr(STATUS, UINT32_MAX);
    g_assert_true(blk_insert(drive, open_image(), &err));
    g_assert_cmphex(rd(STATUS) & (INSERTED | REMOVED), ==, INSERTED);
    identify();
    teardown();
}

/* Any commands in any order, with lists of any content: nothing hangs, and the card can be identified afterwards. */
static void test_storm(void)
{
    setup();
    for (unsigned i = 0; i < 20000; i++) {
        uint32_t at = (uint32_t)g_test_rand_int_range(0, 64) * 4;
        uint32_t v = (uint32_t)g_test_rand_int();
        if (i % 64 == 0)
            descriptor(v >> 4 & 7, (uint16_t)(v & 0x37), (uint16_t)(v >> 8), LIST + (v >> 24 & 0x38));
        if (at == ADMA)
            v = LIST;
        if (at == MODE && v & 1 << 28)
            v = (v & 0xc0ffffff) | (g_test_rand_bit() ? 55u : 18u) << 24;
        if (v & 1)
            wr(at, v);
        else
            rd(at);
    }
    wr(0x2c, 1 << 24);
    wr(ENABLE, UINT32_MAX);
    identify();
    teardown();
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/sd/pio", test_pio);
    g_test_add_func("/sd/sdma", test_sdma);
    g_test_add_func("/sd/adma", test_adma);
    g_test_add_func("/sd/commands", test_commands);
    g_test_add_func("/sd/media", test_media);
    g_test_add_func("/sd/storm", test_storm);
    return g_test_run();
}
