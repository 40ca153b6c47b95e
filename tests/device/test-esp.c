/* SPDX-License-Identifier: MIT */
/*
 * Am53C974 and DC-390 at their registers: selection, transfers, messages, reselection, lists of pages, the EEPROM, and
 * what SeaBIOS does.
 */
#include "tests/device/scsi-pci-rig.h"

enum {
    COUNT_LOW,
    COUNT_MID,
    FIFO,
    COMMAND,
    STATUS,
    INTERRUPT,
    STEP,
    FLAGS,
    CONFIG1,
    CONFIG2 = 0xb,
    CONFIG4 = 0xd,
    COUNT_HIGH,
    DMA_CMD = 0x40,
    DMA_STC = 0x44,
    DMA_SPA = 0x48,
    DMA_STATUS = 0x54,
    DMA_LIST = 0x58,
    SBAC = 0x70
};
enum {
    TRANSFER = 0x10,
    COMPLETE = 0x11,
    ACCEPT = 0x12,
    SELECT_ATN = 0x42,
    SELECT_STOP = 0x43,
    LISTEN = 0x44,
    SELECT_ATN3 = 0x46,
    BY_DMA = 0x80
};
enum { RESELECTED = 4, DONE = 8, SERVICE = 0x10, DISCONNECTED = 0x20, INVALID = 0x40, BUS_RESET = 0x80 };

static uint8_t get(PciRig *p, unsigned n)
{
    uint64_t value = 0;
    as_load(p->as, 4 * n, 1, &value, MEM_ATTRS_DEVICE);
    return (uint8_t)value;
}
static void set(PciRig *p, unsigned n, uint8_t value) { as_store(p->as, 4 * n, 1, value, MEM_ATTRS_DEVICE); }
static void command(PciRig *p, unsigned what) { set(p, COMMAND, (uint8_t)what); }

/* The interrupt is there, with the target in that phase (-1: whichever), and is over when it is read. */
static void expect(PciRig *p, uint8_t why, int phase)
{
    uint8_t status = get(p, STATUS);
    g_assert_cmphex(status & 0x80, ==, 0x80);
    if (phase >= 0)
        g_assert_cmphex(status & 7, ==, phase);
    g_assert_cmphex(get(p, INTERRUPT), ==, why);
}

static void select_with(PciRig *p, unsigned how, unsigned messages, uint32_t message, const uint8_t *cdb, unsigned len)
{
    set(p, STATUS, 0); /* the destination */
    for (unsigned i = 0; i < messages; i++)
        set(p, FIFO, (uint8_t)(message >> 8 * i));
    for (unsigned i = 0; i < len; i++)
        set(p, FIFO, cdb[i]);
    command(p, how);
}

static void start_dma(PciRig *p, unsigned what, uint32_t at, uint32_t len, unsigned flags)
{
    set_reg(p, DMA_CMD, flags);
    set_reg(p, DMA_STC, len);
    set_reg(p, DMA_SPA, at);
    for (unsigned i = 0; i < 2; i++)
        set(p, i, (uint8_t)(len >> 8 * i));
    set(p, COUNT_HIGH, (uint8_t)(len >> 16));
    command(p, what | BY_DMA);
    set_reg(p, DMA_CMD, flags | 3);
}

/* Status and message, which is accepted: the target leaves. */
static void finish(PciRig *p, uint8_t status)
{
    command(p, COMPLETE);
    expect(p, DONE, 7);
    g_assert_cmpuint(get(p, FLAGS) & 31, ==, 2);
    g_assert_cmphex(get(p, FIFO), ==, status);
    g_assert_cmphex(get(p, FIFO), ==, 0);
    command(p, ACCEPT);
    expect(p, DISCONNECTED, 0);
}

static const uint8_t ready[6] = { 0 }, inquiry[6] = { 0x12, 0, 0, 0, 96, 0 };

static PciRig *esp_rig(void)
{
    PciRig *p = pci_rig_new("am53c974", 0);
    select_with(p, SELECT_ATN, 1, 0x80, ready, 6);
    expect(p, DONE | SERVICE, 3);
    finish(p, 2); /* the unit attention */
    return p;
}

static void test_registers(void)
{
    PciRig *p = pci_rig_new("am53c974", 0);
    command(p, 2);
    g_assert_cmphex(get(p, COUNT_HIGH), ==, 0x12); /* which part it is */
    set(p, COUNT_HIGH, 5);
    set(p, CONFIG2, 0x40);
    command(p, BY_DMA); /* loads the counter */
    g_assert_cmphex(get(p, COUNT_HIGH), ==, 5);
    set(p, CONFIG2, 0);
    command(p, BY_DMA);
    g_assert_cmphex(get(p, COUNT_HIGH), ==, 1); /* 16 bits of zero: the most */
    set(p, CONFIG4, 0xff);
    g_assert_cmphex(get(p, CONFIG4), ==, 0xec);
    for (unsigned i = 0; i < 16; i++)
        set(p, FIFO, (uint8_t)i);
    g_assert_cmphex(get(p, FLAGS), ==, 16);
    g_assert_cmphex(get(p, STATUS) & 0xc0, ==, 0);
    set(p, FIFO, 16); /* one too many */
    g_assert_cmphex(get(p, STATUS) & 0xc0, ==, 0xc0);
    expect(p, 0, -1);
    g_assert_cmphex(get(p, STATUS) & 0xc0, ==, 0);
    g_assert_cmphex(get(p, FIFO), ==, 0);
    command(p, 1);
    g_assert_cmphex(get(p, FLAGS), ==, 0);
    command(p, TRANSFER); /* to nobody */
    expect(p, INVALID, 0);
    command(p, 0x7f);
    expect(p, INVALID, 0);
    command(p, 3);
    g_assert_cmphex(reg(p, DMA_STATUS), ==, 0x10);
    expect(p, BUS_RESET, 0);
    set(p, CONFIG1, 0x47);
    command(p, 3);
    g_assert_cmphex(get(p, STATUS) & 0x80, ==, 0);
    set(p, STATUS, 5); /* nobody there */
    set(p, FIFO, 0x80);
    command(p, SELECT_ATN);
    expect(p, DISCONNECTED, 0);
    set_reg(p, SBAC, BIT(24)); /* the status stays until ones are written */
    set_reg(p, DMA_CMD, 1);
    g_assert_cmphex(reg(p, DMA_STATUS), ==, 0x20);
    g_assert_cmphex(reg(p, DMA_STATUS), ==, 0x20);
    set_reg(p, DMA_STATUS, 0x20);
    g_assert_cmphex(reg(p, DMA_STATUS), ==, 0);
    pci_rig_free(p);
}

static void test_transfers(void)
{
    PciRig *p = esp_rig();
    select_with(p, SELECT_ATN, 1, 0x80, inquiry, 6);
    g_assert_cmphex(get(p, STEP), ==, 4);
    expect(p, DONE | SERVICE, 1);
    static const char name[] = "QEMU    ";
    for (unsigned i = 0; i < 8; i++) { /* byte by byte */
        command(p, TRANSFER);
        expect(p, SERVICE, 1);
        get(p, FIFO);
    }
    for (unsigned i = 0; i < 8; i++) {
        command(p, TRANSFER);
        expect(p, SERVICE, 1);
        g_assert_cmphex(get(p, FIFO), ==, name[i]);
    }
    start_dma(p, TRANSFER, 0x30000, 200, 0x80); /* the rest, and less than there is room for */
    g_assert_cmphex(get(p, STATUS) & 0x10, ==, 0);
    g_assert_cmpuint(get(p, COUNT_LOW), ==, 200 - 80);
    expect(p, SERVICE, 3);
    g_assert_cmphex(peek(p, 0x30000), ==, load_le32("QEMU"));
    finish(p, 0);

    static const uint8_t write[10] = { 0x2a, 0, 0, 0, 0, 9, 0, 0, 8, 0 },
                         read[10] = { 0x28, 0, 0, 0, 0, 9, 0, 0, 8, 0 };
    for (unsigned i = 0; i < 4096; i += 4)
        poke(p, 0x40000 + i, i * 3 + 5);
    static const uint8_t bytes[11] = { 0x80, 0x2a, 0, 0, 0, 0, 9, 0, 0, 8, 0 }; /* message and command by DMA, too */
    as_write(p->base.m->as_memory, 0x31000, bytes, sizeof bytes, MEM_ATTRS_DEVICE);
    start_dma(p, SELECT_ATN, 0x31000, sizeof bytes, 0);
    expect(p, DONE | SERVICE, 0);
    start_dma(p, TRANSFER, 0x40000, 4096, 0x40);
    blk_drain(blk_find("d0"));
    g_assert_cmphex(reg(p, DMA_STATUS), ==, 0x18); /* done, and the bus */
    g_assert_cmphex(get(p, STATUS) & 0x10, ==, 0x10);
    expect(p, SERVICE, 3);
    finish(p, 0);

    select_with(p, SELECT_ATN, 1, 0x80, read, 10);
    blk_drain(blk_find("d0"));
    expect(p, DONE | SERVICE, 1);
    for (unsigned i = 0; i < 3; i++) /* by a list: from the end of one page over another to the beginning of a third */
        poke(p, 0x32000 + 4 * i, 0x60000 - 0x8000 * i);
    set_reg(p, DMA_LIST, 0x32000);
    start_dma(p, TRANSFER, 0xffc, 4096, 0x90);
    g_assert_cmphex(reg(p, DMA_STATUS) & 8, ==, 8);
    expect(p, SERVICE, 3);
    g_assert_cmphex(peek(p, 0x60ffc), ==, 5);
    for (unsigned i = 4; i < 4096; i += 4)
        g_assert_cmphex(peek(p, 0x58000 - 4 + i), ==, i * 3 + 5);
    finish(p, 0);

    select_with(p, SELECT_ATN, 1, 0x80, write, 10); /* zeros out */
    expect(p, DONE | SERVICE, 0);
    set(p, COUNT_LOW, 0);
    set(p, COUNT_MID, 0x10);
    set(p, COUNT_HIGH, 0);
    command(p, 0x98);
    blk_drain(blk_find("d0"));
    expect(p, SERVICE, 3);
    finish(p, 0);
    select_with(p, SELECT_ATN, 1, 0x80, read, 10);
    blk_drain(blk_find("d0"));
    expect(p, DONE | SERVICE, 1);
    start_dma(p, TRANSFER, 0x40000, 4096, 0);    /* DMA in the wrong direction moves nothing */
    g_assert_cmphex(get(p, STATUS) & 0x80, ==, 0);
    start_dma(p, 0, 0x40000, 4096, 0x80);
    expect(p, SERVICE, 3);
    for (unsigned i = 0; i < 4096; i += 4)
        g_assert_cmphex(peek(p, 0x40000 + i), ==, 0);
    finish(p, 0);
    pci_rig_free(p);
}

static void test_messages(void)
{
    static const uint8_t negotiate[5] = { 1, 3, 1, 25, 15 };
    PciRig *p = esp_rig();
    select_with(p, SELECT_STOP, 1, 0x80, NULL, 0); /* ATN stays */
    expect(p, DONE | SERVICE, 6);
    for (unsigned i = 0; i < sizeof negotiate; i++)
        set(p, FIFO, negotiate[i]);
    command(p, TRANSFER);
    expect(p, SERVICE, 7);
    command(p, TRANSFER); /* MESSAGE REJECT: taken, and not accepted yet */
    expect(p, DONE, 7);
    g_assert_cmphex(get(p, FIFO), ==, 7);
    command(p, ACCEPT);
    expect(p, SERVICE, 2);
    for (unsigned i = 0; i < 6; i++)
        set(p, FIFO, ready[i]);
    command(p, TRANSFER);
    expect(p, SERVICE, 3);
    command(p, 0x1a); /* ATN: the target asks for a message first */
    set(p, FIFO, 6);  /* ABORT */
    command(p, TRANSFER);
    expect(p, DISCONNECTED, 0);
    select_with(p, SELECT_ATN, 1, 0x0c, NULL, 0); /* BUS DEVICE RESET */
    expect(p, DISCONNECTED, 0);
    select_with(p, SELECT_ATN, 1, 0x80, ready, 6);
    expect(p, DONE | SERVICE, 3);
    finish(p, 2);
    pci_rig_free(p);
}

/* The medium fails, so that the command is held: its target leaves the bus, and comes back when it has ended. */
static void test_reselection(gconstpointer load)
{
    static const uint8_t read[10] = { 0x28, 0, 0, 0, 0, 0, 0, 0, 8, 0 };
    bad_medium = true;
    PciRig *p = esp_rig();
    bad_medium = false;
    device_free(p->base.disk);
    p->base.disk = add_disk(&p->base, "d0", ",rerror=stop");
    failure = -ENOSPC;
    failures = 1;
    select_with(p, SELECT_ATN, 1, 0x80, ready, 6);
    expect(p, DONE | SERVICE, 3);
    finish(p, 2);
    select_with(p, SELECT_ATN3, 3, 0x5520c0, read, 10);
    wait_held("d0");
    expect(p, DONE | SERVICE, 7);
    command(p, TRANSFER);
    expect(p, DONE, 7);
    g_assert_cmphex(get(p, FIFO), ==, 4); /* DISCONNECT */
    command(p, ACCEPT);
    expect(p, DISCONNECTED, 0);
    command(p, LISTEN);
    g_assert_cmphex(get(p, STATUS) & 0x80, ==, 0);
    go_on("d0", load);
    if (load) { /* a selection that comes too late */
        select_with(p, SELECT_ATN, 1, 0x80, ready, 6);
        expect(p, RESELECTED | DONE, 7);
    } else {
        expect(p, RESELECTED, 7);
    }
    g_assert_cmphex(get(p, FIFO), ==, 0x81);
    g_assert_cmphex(get(p, FIFO), ==, 0x80);
    command(p, ACCEPT);
    expect(p, SERVICE, 7);
    start_dma(p, TRANSFER, 0x33000, 2, 0x80); /* the tag; Linux accepts it before it looks */
    command(p, ACCEPT);
    expect(p, DONE, -1);
    expect(p, SERVICE, 1);
    g_assert_cmphex(peek(p, 0x33000) & 0xffff, ==, 0x5520);
    start_dma(p, TRANSFER, 0x34000, 4096, 0x80);
    expect(p, SERVICE, 3);
    poke(p, 0x33000, UINT32_MAX);
    start_dma(p, COMPLETE, 0x33000, 2, 0x80); /* status and message by DMA */
    expect(p, DONE, 7);
    g_assert_cmphex(peek(p, 0x33000), ==, 0xffff0000);
    command(p, ACCEPT);
    expect(p, DISCONNECTED, 0);
    pci_rig_free(p);
}

/*
 * It sends 12 bytes of each command behind the bare LUN, and reads neither the last interrupt nor accepts the last
 * message.
 */
static void test_seabios(void)
{
    static const uint8_t cdbs[][12] = { { 0x12, 0, 0, 0, 36 }, { 0 }, { 0x25 } };
    static const uint8_t bytes[] = { 36, 0, 8 };
    PciRig *p = esp_rig();
    command(p, 2);
    for (unsigned i = 0; i < ARRAY_LEN(cdbs); i++) {
        select_with(p, SELECT_ATN, 1, 0, cdbs[i], 12);
        g_assert_cmphex(get(p, STATUS) & 0x10, ==, 0x10);
        g_assert_cmphex(get(p, INTERRUPT), ==, DONE | SERVICE);
        if (bytes[i])
            start_dma(p, TRANSFER, 0x30000, bytes[i], 0x80);
        g_assert_cmphex(get(p, STATUS) & 0x13, ==, 0x13);
        command(p, COMPLETE);
        g_assert_cmphex(get(p, STATUS) & 0x17, ==, 0x17);
        g_assert_cmphex(get(p, FIFO), ==, 0);
        g_assert_cmphex(get(p, FIFO), ==, 0);
        g_assert_false(pci_device(p->adapter)->intx_level);
    }
    g_assert_cmphex(peek(p, 0x30000), ==, GUINT32_SWAP_LE_BE(BLOCKS - 1));
    static const uint8_t beyond[12] = { 0x28, 0, 0xff, [8] = 1 };
    select_with(p, SELECT_ATN, 1, 0, beyond, 12);
    start_dma(p, TRANSFER, 0x30000, 512, 0x80);
    g_assert_cmphex(get(p, STATUS) & 0x17, ==, 0x13);
    command(p, COMPLETE);
    g_assert_cmphex(get(p, FIFO), ==, 2);
    pci_rig_free(p);
}

/* --- the EEPROM: bits by configuration space --- */

static void test_eeprom(void)
{
    PciRig *p = pci_rig_new("dc390", 0);
    MemRegion *ecam = pci_ecam_new(&p->host->bus, 256);
    AddressSpace *config = as_new("config", ecam);
    hwaddr at = (hwaddr)pci_device(p->adapter)->devfn << 12;
    uint16_t sum = 0, own = 0;
    for (unsigned word = 0; word < 64; word++) {
        uint16_t value = 0;
        as_store(config, at + 0xc0, 1, 0, MEM_ATTRS_DEVICE);
        for (int bit = 8; bit >= 0; bit--) { /* a one, the operation, the address */
            uint32_t out = (0x180 | word) >> bit & 1 ? 0x40 : 0;
            as_store(config, at + 0x80, 1, out, MEM_ATTRS_DEVICE);
            as_store(config, at + 0x80, 1, out | 0x80, MEM_ATTRS_DEVICE);
            as_store(config, at + 0x80, 1, 0, MEM_ATTRS_DEVICE);
        }
        for (unsigned bit = 0; bit < 16; bit++) {
            uint64_t vendor;
            as_store(config, at + 0x80, 1, 0x80, MEM_ATTRS_DEVICE);
            as_store(config, at + 0x80, 1, 0x40, MEM_ATTRS_DEVICE);
            as_load(config, at, 1, &vendor, MEM_ATTRS_DEVICE);
            value = (uint16_t)(value << 1 | (vendor == 0x22));
        }
        sum = (uint16_t)(sum + value);
        own = word == 32 ? value : own;
    }
    g_assert_cmphex(sum, ==, 0x1234);
    g_assert_cmphex(own & 0xff, ==, 7);
    as_store(config, at + 0xc0, 1, 0, MEM_ATTRS_DEVICE);
    uint64_t vendor;
    as_load(config, at, 4, &vendor, MEM_ATTRS_DEVICE);
    g_assert_cmphex(vendor, ==, 0x20201022);
    as_free(config);
    mem_region_free(ecam);
    pci_rig_free(p);
}

#define ADD(path, fn) g_test_add_func(path, fn)
int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("/esp/registers", test_registers);
    ADD("/esp/transfers", test_transfers);
    ADD("/esp/messages", test_messages);
    g_test_add_data_func("/esp/reselection", NULL, test_reselection);
    g_test_add_data_func("/esp/reselection-loaded", "", test_reselection);
    ADD("/esp/seabios", test_seabios);
    ADD("/esp/eeprom", test_eeprom);
    return g_test_run();
}
