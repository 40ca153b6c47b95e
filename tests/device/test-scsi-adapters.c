/* SPDX-License-Identifier: MIT */
/*
 * SCSI adapters at their registers: requests that are held and saved, and what a hostile guest gives them: circles,
 * wrong lengths, endless programs.
 */
#include "tests/device/scsi-pci-rig.h"

static void test_lsi_endless(void)
{
    PciRig *p = pci_rig_new("lsi53c895a", 1);
    static const uint32_t programs[][3] = {
        { 0x80080000, 0x1000 },              /* jump to itself */
        { 0xc0ffffff, 0x1000, 0x2000 },      /* move 16 MiB onto itself, for ever */
        { 0x06000001, 0x1000 },              /* a message to nobody */
        { 0x50000000, 0x1000 },              /* wait for a reselection that does not come */
    };
    for (unsigned i = 0; i < ARRAY_LEN(programs); i++) {
        uint8_t code[12];
        for (unsigned k = 0; k < 3; k++)
            store_le32(code + 4 * k, programs[i][k]);
        as_write(p->base.m->as_memory, 0x1000, code, sizeof code, MEM_ATTRS_DEVICE);
        as_store(p->as, 0x2c, 4, 0x1000, MEM_ATTRS_DEVICE); /* DSP: it returns */
        clock_virtual_step(10000000);
        as_store(p->as, 0x14, 1, 0x80, MEM_ATTRS_DEVICE);   /* ISTAT: abort */
        uint64_t dstat;
        as_load(p->as, 0x0c, 1, &dstat, MEM_ATTRS_DEVICE);
        g_assert_true(dstat & 0x10 || i == 1);
        as_store(p->as, 0x14, 1, 0x40, MEM_ATTRS_DEVICE);
        as_store(p->as, 0x14, 1, 0, MEM_ATTRS_DEVICE);
    }
    pci_rig_free(p);
}

/* As SeaBIOS does it: selected without attention, and more bytes than the command has. */
static void test_lsi_command(void)
{
    static const uint32_t program[] = {
        0x40000000, 0x1100,     0x06000001, 0x2000,     0x0200000c, 0x2010,     0x03000001,
        0x2020,     0x07000001, 0x2021,     0x48000000, 0,          0x98080000, 0x77,
    };
    PciRig *p = pci_rig_new("lsi53c895a", 1);
    poke(p, 0x2000, 0x80);
    poke(p, 0x2010, 0);
    poke(p, 0x2020, 0xffffff);
    for (unsigned i = 0; i < ARRAY_LEN(program); i++)
        poke(p, 0x1000 + 4 * i, program[i]);
    set_reg(p, 0x2c, 0x1000);
    g_assert_cmphex(reg(p, 0x0c) & 0x7f, ==, 4); /* DSTAT: the program's own interrupt */
    g_assert_cmphex(reg(p, 0x30), ==, 0x77);
    g_assert_cmphex(peek(p, 0x2020), ==, 0xff0002);
    pci_rig_free(p);
}

/*
 * Memory moves reach the chip's own registers at their addresses on the bus, and leave TEMP alone, as programs for the
 * 53C810 expect.
 */
static void test_lsi_moves(void)
{
    enum { BAR = 0x10000000, TEMP = 0x1c };
    static const uint32_t program[] = {
        0xc0000004, 0x2000, BAR + TEMP, 0xc0000004, BAR + TEMP, 0x2004, 0x98080000, 0x55
    };
    PciRig *p = pci_rig_new("lsi53c810", 1);
    MemRegion *ecam = pci_ecam_new(&p->host->bus, 256);
    AddressSpace *config = as_new("config", ecam);
    hwaddr at = (hwaddr)pci_device(p->adapter)->devfn << 12;
    as_store(config, at + 0x14, 4, BAR, MEM_ATTRS_DEVICE);
    as_store(config, at + 4, 2, 6, MEM_ATTRS_DEVICE);
    poke(p, 0x2000, 0x12345678);
    for (unsigned i = 0; i < ARRAY_LEN(program); i++)
        poke(p, 0x1000 + 4 * i, program[i]);
    set_reg(p, 0x2c, 0x1000);
    g_assert_cmphex(reg(p, 0x30), ==, 0x55);
    g_assert_cmphex(reg(p, TEMP), ==, 0x12345678);
    g_assert_cmphex(peek(p, 0x2004), ==, 0x12345678);
    as_free(config);
    mem_region_free(ecam);
    pci_rig_free(p);
}

static void pvscsi_command(PciRig *p, uint32_t command, const uint32_t *words, unsigned n)
{
    as_store(p->as, 0, 4, command, MEM_ATTRS_DEVICE);
    for (unsigned i = 0; i < n; i++)
        as_store(p->as, 4, 4, words[i], MEM_ATTRS_DEVICE);
}

/* States at 0x10000, requests at 0x11000, completions at 0x12000. */
static uint32_t setup[132] = { 1, 1, 0x10, 0, 0x11, [4 + 64] = 0x12 };

static void pvscsi_request(PciRig *p, unsigned n, uint32_t flags, uint64_t data, uint32_t len, const uint8_t *cdb,
                           unsigned cdb_len)
{
    hwaddr at = 0x11000 + 128 * n;
    poke(p, at, 0x55 + n);
    poke(p, at + 8, (uint32_t)data);
    poke(p, at + 16, len);
    poke(p, at + 36, flags);
    as_write(p->base.m->as_memory, at + 40, cdb, cdb_len, MEM_ATTRS_DEVICE);
    poke(p, at + 56, cdb_len);
    poke(p, 0x10000, n + 1);
    as_store(p->as, 0x4018, 4, 0, MEM_ATTRS_DEVICE);
}

static void test_pvscsi_held(gconstpointer load)
{
    static const uint8_t ready[6] = { 0 }, write[10] = { 0x2a, 0, 0, 0, 0, 9, 0, 0, 8, 0 },
                         read[10] = { 0x28, 0, 0, 0, 0, 9, 0, 0, 8, 0 };
    bad_medium = true;
    PciRig *p = pci_rig_new("pvscsi", 0);
    bad_medium = false;
    failure = -ENOSPC; /* the policy that is there without a word */
    pvscsi_command(p, 3, setup, 132);
    pvscsi_request(p, 0, 0, 0, 0, ready, 6); /* the unit attention */
    for (unsigned i = 0; i < 4096; i += 4)
        poke(p, 0x20000 + i, i * 7 + 1);
    failures = 1;
    pvscsi_request(p, 1, 16, 0x20000, 4096, write, 10);
    wait_held("d0");
    g_assert_cmpuint(peek(p, 0x10000 + 12), ==, 1);
    go_on("d0", load);
    g_assert_cmpuint(peek(p, 0x10000 + 12), ==, 2);
    g_assert_cmphex(peek(p, 0x12000 + 32), ==, 0x56);
    g_assert_cmphex(peek(p, 0x12000 + 32 + 20), ==, 0);
    g_assert_cmpuint(peek(p, 0x12000 + 32 + 8), ==, 4096);
    pvscsi_request(p, 2, 8, 0x21000, 4096, read, 10);
    blk_drain(blk_find("d0"));
    for (unsigned i = 0; i < 4096; i += 4)
        g_assert_cmphex(peek(p, 0x21000 + i), ==, i * 7 + 1);
    pci_rig_free(p);
}

static void test_pvscsi_rings(void)
{
    PciRig *p = pci_rig_new("pvscsi", 0);
    uint64_t status;
    setup[0] = 33; /* more pages than there are */
    pvscsi_command(p, 3, setup, 132);
    as_load(p->as, 8, 4, &status, MEM_ATTRS_DEVICE);
    g_assert_cmphex(status, ==, UINT32_MAX);
    setup[0] = 1;
    pvscsi_command(p, 3, setup, 132);
    as_load(p->as, 8, 4, &status, MEM_ATTRS_DEVICE);
    g_assert_cmphex(status, ==, 0);
    g_assert_cmpuint(peek(p, 0x10000 + 8), ==, 5);
    g_assert_cmpuint(peek(p, 0x10000 + 20), ==, 7);
    /* a list that leads to itself */
    poke(p, 0x20000, 0x20000);
    poke(p, 0x2000c, 1);
    poke(p, 0x11000, 0x55);       /* context */
    poke(p, 0x11008, 0x20000);    /* list */
    poke(p, 0x11010, 4096);
    poke(p, 0x11000 + 36, 1 | 8);
    poke(p, 0x11000 + 40, 0x12);  /* INQUIRY, 36 bytes */
    poke(p, 0x11000 + 44, 36);
    poke(p, 0x11000 + 56, 6);
    poke(p, 0x10000, 1);
    as_store(p->as, 0x4018, 4, 0, MEM_ATTRS_DEVICE);
    g_assert_cmpuint(peek(p, 0x10000 + 12), ==, 1); /* one completion: the adapter's fault */
    g_assert_cmphex(peek(p, 0x12000), ==, 0x55);
    g_assert_cmphex(peek(p, 0x12000 + 20) & 0xffff, ==, 0x20);
    /* the same without a list */
    poke(p, 0x11000 + 128 + 8, 0x30000);
    poke(p, 0x11000 + 128 + 16, 36);
    poke(p, 0x11000 + 128 + 36, 8);
    poke(p, 0x11000 + 128 + 40, 0x12);
    poke(p, 0x11000 + 128 + 44, 36);
    poke(p, 0x11000 + 128 + 56, 6);
    poke(p, 0x10000, 2);
    as_store(p->as, 0x4018, 4, 0, MEM_ATTRS_DEVICE);
    g_assert_cmpuint(peek(p, 0x10000 + 12), ==, 2);
    g_assert_cmphex(peek(p, 0x12000 + 32 + 20), ==, 0);
    g_assert_cmphex(peek(p, 0x30000 + 8), ==, load_le32("QEMU"));
    /* far more requests than the ring holds */
    poke(p, 0x10000, 0x80000000);
    as_store(p->as, 0x4018, 4, 0, MEM_ATTRS_DEVICE);
    g_assert_cmpuint(peek(p, 0x10000 + 12), ==, 2);
    pci_rig_free(p);
}

/* ---- MegaRAID: frames at 0x20000, reply queue at 0x30000, its indexes at 0x31000 ---- */

/* A frame; returns its result. */
static uint8_t frame(PciRig *p, uint8_t cmd, uint8_t target, uint8_t sges, uint16_t flags, uint32_t length,
                     const uint32_t *body, unsigned words)
{
    const uint8_t head[24] = { cmd,
                               18,
                               0xff,
                               0,
                               target,
                               0,
                               10,
                               sges,
                               0x77,
                               0,
                               0,
                               0,
                               0,
                               0,
                               0,
                               0,
                               (uint8_t)flags,
                               0,
                               0,
                               0,
                               (uint8_t)length,
                               (uint8_t)(length >> 8) };
    uint8_t rest[40] = { 0 };
    for (unsigned i = 0; i < words; i++)
        store_le32(rest + 4 * i, body[i]);
    as_write(p->base.m->as_memory, 0x20000, head, sizeof head, MEM_ATTRS_DEVICE);
    as_write(p->base.m->as_memory, 0x20018, rest, sizeof rest, MEM_ATTRS_DEVICE);
    set_reg(p, 0x40, 0x20001);
    return (uint8_t)(peek(p, 0x20000) >> 16);
}
#define FRAME(p, cmd, target, sges, flags, length, ...) \
    frame(p, cmd, target, sges, flags, length, (const uint32_t[]){ __VA_ARGS__ }, \
        ARRAY_LEN(((const uint32_t[]){ __VA_ARGS__ })))

static PciRig *megasas_rig(void)
{
    static const uint32_t queue[] = { 0, 16, 0x30000, 0, 0x31000, 0, 0x31010, 0 };
    PciRig *p = pci_rig_new("megasas", 0);
    g_assert_cmphex(reg(p, 0xb0) >> 26, ==, 0xb << 2 | 1); /* ready, has MSI-X */
    for (unsigned i = 0; i < ARRAY_LEN(queue); i++)
        poke(p, 0x22000 + 4 * i, queue[i]);
    g_assert_cmphex(FRAME(p, 0, 0, 0, 1, 0, 0x22000), ==, 0);
    g_assert_cmphex(reg(p, 0xb0) >> 28, ==, 0xc);
    set_reg(p, 0x34, 0x7fffffff);
    return p;
}

static void test_megasas_frames(void)
{
    PciRig *p = megasas_rig();
    g_assert_cmphex(FRAME(p, 0x0f, 0, 0, 1, 0, 0), ==, 1);                          /* no such command */
    g_assert_cmphex(FRAME(p, 5, 0, 0, 1, 0, 0x12345678), ==, 2);                    /* no such direct command */
    g_assert_cmphex(FRAME(p, 6, 0, 0, 1, 0, 0, 0, 0x5000, 0), ==, 5);               /* nothing to abort there */
    g_assert_cmphex(FRAME(p, 3, 9, 0, 1, 0, 0, 0, 0), ==, 0x0c);                    /* nobody at that target */
    /* a list that leads out of memory */
    g_assert_cmphex(FRAME(p, 5, 0, 255, 1, 64, 0x01010000, 0, 0, 0, 0xfffff000, 0x10000), ==, 3);
    g_assert_cmphex(FRAME(p, 5, 0, 1, 0x11, 64, 0x03010000, 0, 0, 0, 0x40000, 24), ==, 0);
    /* one logical drive, cut to 24 bytes */
    g_assert_cmpuint(peek(p, 0x40000), ==, 1);
    g_assert_cmpuint(peek(p, 0x40010), ==, BLOCKS);
    poke(p, 0x22004, 0);                                                            /* a reply queue without entries */
    g_assert_cmphex(FRAME(p, 0, 0, 0, 1, 0, 0x22000), ==, 3);
    set_reg(p, 0x40, 0xffffffe1);                                                   /* a frame that is not there */
    /* TEST UNIT READY: an attention, told by the queue */
    g_assert_cmphex(FRAME(p, 3, 0, 0, 0, 0, 0x24000, 0, 0), ==, 0x2d);
    g_assert_cmphex(peek(p, 0x24000) & 0xff, ==, 0x70);
    g_assert_cmpuint(peek(p, 0x31000), ==, 1);
    g_assert_cmphex(peek(p, 0x30000), ==, 0x77);
    g_assert_cmphex(reg(p, 0x30), ==, BIT(31));
    set_reg(p, 0xa0, BIT(31));
    g_assert_cmphex(reg(p, 0x30), ==, 0);
    /* stopped: only a diagnostic reset helps */
    set_reg(p, 0x20, 0x20);
    g_assert_cmphex(reg(p, 0xb0) >> 28, ==, 0xf);
    static const uint8_t key[] = { 0xf, 4, 0xb, 2, 7, 0xd };
    for (unsigned i = 0; i < sizeof key; i++)
        set_reg(p, 4, key[i]);
    g_assert_cmphex(reg(p, 8), ==, 0x80);
    set_reg(p, 8, 4);
    g_assert_cmphex(reg(p, 0xb0) >> 28, ==, 0xb);
    pci_rig_free(p);
}

/* Drivers flush the cache of physical disks, not of logical drives: what was written there is durable. */
static void test_megasas_caches(void)
{
    PciRig *p = megasas_rig();
    FRAME(p, 3, 0, 0, 0, 0, 0x24000, 0, 0);                                             /* its attention */
    /* MODE SENSE (6), no descriptors */
    g_assert_cmphex(FRAME(p, 3, 0, 1, 0x10, 32, 0x24000, 0, 0x0008081a, 0x20, 0, 0, 0x40000, 32), ==, 0);
    g_assert_cmphex(peek(p, 0x40004) & 0xff, ==, 0x08);
    g_assert_cmphex(peek(p, 0x40004) >> 16 & 4, ==, 0);                                  /* WCE */
    poke(p, 0x41000, 0);
    poke(p, 0x41004, 0x00041208);
    poke(p, 0x41008, 0);
    poke(p, 0x4100c, 0);
    poke(p, 0x41010, 0);
    poke(p, 0x41014, 0);
    /* MODE SELECT can't set it */
    g_assert_cmphex(FRAME(p, 3, 0, 1, 0x08, 24, 0x24000, 0, 0x00001015, 24, 0, 0, 0x41000, 24), ==, 0x2d);
    pci_rig_free(p);
}

static void test_megasas_held(gconstpointer load)
{
    bad_medium = true;
    PciRig *p = megasas_rig();
    bad_medium = false;
    failure = -ENOSPC;
    FRAME(p, 3, 0, 0, 1, 0, 0x24000, 0, 0); /* the unit attention */
    for (unsigned i = 0; i < 4096; i += 4)
        poke(p, 0x50000 + i, i * 5 + 3);
    failures = 1;
    g_assert_cmphex(FRAME(p, 2, 0, 1, 8, 8, 0x24000, 0, 9, 0, 0x50000, 4096), ==, 0xff);
    wait_held("d0");
    go_on("d0", load);
    g_assert_cmpuint(peek(p, 0x31000), ==, 1);
    g_assert_cmphex(peek(p, 0x20000) >> 16 & 0xff, ==, 0);
    FRAME(p, 1, 0, 1, 0x11, 8, 0x24000, 0, 9, 0, 0x51000, 4096);
    blk_drain(blk_find("d0"));
    for (unsigned i = 0; i < 4096; i += 4)
        g_assert_cmphex(peek(p, 0x51000 + i), ==, i * 5 + 3);
    pci_rig_free(p);
}

/* ---- Fusion-MPT: requests at 0x20000, reply frames from 0x30000 on ---- */

static void handshake(PciRig *p, const uint32_t *words, unsigned n, uint8_t *answer, unsigned len)
{
    set_reg(p, 0, 0x42u << 24 | n << 16);
    g_assert_cmphex(reg(p, 0x30) & 1, ==, 1);
    set_reg(p, 0x30, 0);
    for (unsigned i = 0; i < n; i++)
        set_reg(p, 0, words[i]);
    for (unsigned i = 0; i < len; i += 2) {
        g_assert_cmphex(reg(p, 0x30) & 1, ==, 1);
        store_le16(answer + i, (uint16_t)reg(p, 0));
        set_reg(p, 0x30, 0);
    }
}

static PciRig *mptsas_rig(void)
{
    static const uint32_t init[] = { 0x02000004, 0x00010800, 0x1234, 128, 0, 0 };
    uint8_t answer[20];
    PciRig *p = pci_rig_new("mptsas1068", 1);
    g_assert_cmphex(reg(p, 0) >> 28, ==, 1);
    handshake(p, init, ARRAY_LEN(init), answer, sizeof answer);
    g_assert_cmpuint(answer[2], ==, 5);
    g_assert_cmphex(load_le16(answer + 14), ==, 0);
    g_assert_cmphex(reg(p, 0x30) & 1, ==, 1); /* the interrupt behind the answer */
    set_reg(p, 0x30, 0);
    g_assert_cmphex(reg(p, 0) >> 28, ==, 2);
    set_reg(p, 0x34, 0);
    return p;
}

/* A SCSI request of up to 4 KiB by one element; returns what the reply FIFO says. */
static uint32_t mpt_scsi(PciRig *p, uint8_t target, unsigned direction, const uint8_t *cdb, unsigned cdb_len,
                         uint32_t data, uint32_t len)
{
    uint8_t m[64] = { target, 0, 0, 0, (uint8_t)cdb_len, 18, [8] = 0x21, [0x17] = (uint8_t)direction };
    memcpy(m + 0x18, cdb, cdb_len);
    store_le32(m + 0x28, len);
    store_le32(m + 0x2c, 0x28000);
    store_le32(m + 0x30, 0xd1000000 | len);
    store_le32(m + 0x34, data);
    as_write(p->base.m->as_memory, 0x20000, m, sizeof m, MEM_ATTRS_DEVICE);
    set_reg(p, 0x40, 0x20000);
    blk_drain(blk_find("d0"));
    return reg(p, 0x44);
}

static void test_mptsas_messages(void)
{
    static const uint8_t ready[6] = { 0 }, inquiry[6] = { 0x12, 0, 0, 0, 96, 0 };
    PciRig *p = mptsas_rig();
    set_reg(p, 0x44, 0x30000);
    g_assert_cmphex(mpt_scsi(p, 0, 0, ready, 6, 0, 0), ==, BIT(31) | 0x30000 >> 1); /* the unit attention */
    g_assert_cmphex(peek(p, 0x3000c), ==, 0x00000102);
    g_assert_cmphex(peek(p, 0x28000) & 0xff, ==, 0x70);
    g_assert_cmphex(mpt_scsi(p, 0, 0, ready, 6, 0, 0), ==, 0x21);                   /* all is well: its context */
    g_assert_cmphex(reg(p, 0x44), ==, UINT32_MAX);
    set_reg(p, 0x44, 0x30000);
    mpt_scsi(p, 0, 2, inquiry, 6, 0x29000, 512);
    g_assert_cmphex(peek(p, 0x3000c) >> 16, ==, 0x45);                              /* underrun */
    g_assert_cmpuint(peek(p, 0x30014), ==, 96);
    set_reg(p, 0x44, 0x30000);
    mpt_scsi(p, 5, 0, ready, 6, 0, 0);
    g_assert_cmphex(peek(p, 0x3000c) >> 16, ==, 0x43);                              /* nobody there */
    poke(p, 0x20030, 0x30000000);                                                   /* a chain that leads to itself */
    poke(p, 0x20034, 0x20030);
    poke(p, 0x20000, 0);
    poke(p, 0x20028, 512);
    set_reg(p, 0x44, 0x30000);
    set_reg(p, 0x40, 0x20000);
    g_assert_cmphex(peek(p, 0x3000c) >> 16, ==, 3);
    reg(p, 0x44);
    /* a LUN reset by the doorbell; the answer comes by a frame */
    uint32_t words[255] = { 0x01000000, 5u << 8, 0x31 };
    set_reg(p, 0x44, 0x30000);
    set_reg(p, 0, 0x42u << 24 | 13u << 16);
    for (unsigned i = 0; i < 13; i++)
        set_reg(p, 0, words[i]);
    g_assert_cmphex(reg(p, 0x30) & 1, ==, 1); /* the message is taken */
    set_reg(p, 0x30, 0);
    g_assert_cmphex(reg(p, 0x44), ==, BIT(31) | 0x30000 >> 1);
    g_assert_cmphex(peek(p, 0x30008), ==, 0x31);
    g_assert_cmphex(peek(p, 0x3000c) >> 16, ==, 0);
    memset(words, 0, sizeof words);
    /* no such function, and far too long */
    words[0] = 0x7e000000;
    uint8_t answer[20];
    handshake(p, words, 64, answer, sizeof answer);
    g_assert_cmphex(load_le16(answer + 14), ==, 1);
    set_reg(p, 0x30, 0);
    set_reg(p, 0, 0x42u << 24 | 255u << 16);
    for (unsigned i = 0; i < 255; i++)
        set_reg(p, 0, 0x7e000000);
    set_reg(p, 0, 0x40u << 24);                                                     /* reset */
    g_assert_cmphex(reg(p, 0) >> 28, ==, 1);
    pci_rig_free(p);
}

/* An SMP frame to an address; the answer is at 0x27000. Returns IOCStatus and, above it, SASStatus. */
static uint32_t mpt_smp(PciRig *p, uint64_t address, const uint8_t *frame, unsigned len, uint32_t room)
{
    uint8_t m[48] = { 0, 0, 0, 0x1a, (uint8_t)len, 0, [8] = 0x51 };
    store_le64(m + 0x10, address);
    store_le32(m + 0x20, 0x54000000 | len);
    store_le32(m + 0x24, 0x26000);
    store_le32(m + 0x28, 0xd1000000 | room);
    store_le32(m + 0x2c, 0x27000);
    as_write(p->base.m->as_memory, 0x26000, frame, len, MEM_ATTRS_DEVICE);
    as_write(p->base.m->as_memory, 0x20000, m, sizeof m, MEM_ATTRS_DEVICE);
    set_reg(p, 0x44, 0x30000);
    set_reg(p, 0x40, 0x20000);
    g_assert_cmphex(reg(p, 0x44), ==, BIT(31) | 0x30000 >> 1);
    g_assert_cmphex(peek(p, 0x30000) >> 16, ==, 0x1a07);
    uint32_t status = peek(p, 0x3000c);
    return status >> 16 | (status & 0xff00) << 8;
}

static uint32_t mpt_control(PciRig *p, uint8_t operation, uint8_t phy)
{
    const uint8_t m[32] = { operation, 0, 0, 0x1b, [8] = 0x52, [14] = phy };
    as_write(p->base.m->as_memory, 0x20000, m, sizeof m, MEM_ATTRS_DEVICE);
    set_reg(p, 0x44, 0x30000);
    set_reg(p, 0x40, 0x20000);
    g_assert_cmphex(reg(p, 0x44), ==, BIT(31) | 0x30000 >> 1);
    return peek(p, 0x3000c) >> 16;
}

static void test_mptsas_smp(void)
{
    static const uint8_t ready[6] = { 0 }, general[4] = { 0x40 }, name[4] = { 0x40, 1 }, bad[4] = { 0x40, 0x77 };
    uint8_t discover[12] = { 0x40, 0x10 }, control[40] = { 0x40, 0x91 };
    PciRig *p = mptsas_rig();
    uint64_t own = 0x3525400000000000 | (uint64_t)pci_device(p->adapter)->devfn << 5;
    set_reg(p, 0x44, 0x30000);
    mpt_scsi(p, 0, 0, ready, 6, 0, 0); /* its attention */
    g_assert_cmphex(mpt_smp(p, own, general, 4, 64), ==, 0);
    g_assert_cmphex(peek(p, 0x27000), ==, 0x00000041);
    g_assert_cmpuint(peek(p, 0x27008) >> 8 & 0xff, ==, 8);                          /* phys */
    g_assert_cmpuint(peek(p, 0x30004) & 0xffff, ==, 28);
    g_assert_cmphex(mpt_smp(p, own + 3, name, 4, 64), ==, 0);
    g_assert_cmphex(peek(p, 0x27000 + 12), ==, load_le32("LSI "));
    g_assert_cmphex(mpt_smp(p, own, discover, 12, 64), ==, 0);
    /* an end device, 3 Gbit/s, SSP target */
    g_assert_cmphex(peek(p, 0x2700c), ==, 0x08000910);
    g_assert_cmphex(peek(p, 0x27000 + 28), ==, GUINT32_SWAP_LE_BE((uint32_t)own + 8));
    discover[9] = 1;
    g_assert_cmphex(mpt_smp(p, own, discover, 12, 64), ==, 0);
    g_assert_cmphex(peek(p, 0x2700c), ==, 0);
    discover[9] = 8;                                                                /* no such phy */
    g_assert_cmphex(mpt_smp(p, own, discover, 12, 64), ==, 0);
    g_assert_cmphex(peek(p, 0x27000), ==, 0x00101041);
    mpt_smp(p, own, discover, 8, 64);                                               /* too short */
    g_assert_cmphex(peek(p, 0x27000), ==, 0x00031041);
    mpt_smp(p, own, bad, 4, 64);
    g_assert_cmphex(peek(p, 0x27000), ==, 0x00017741);
    g_assert_cmphex(mpt_smp(p, own, general, 4, 8), ==, 0x91);                      /* no room */
    g_assert_cmphex(mpt_smp(p, own, general, 0, 8), ==, 7);
    g_assert_cmphex(mpt_smp(p, own + 8, general, 4, 64), ==, 0x070090);             /* the disk does not speak it */
    g_assert_cmphex(mpt_smp(p, own + 9, general, 4, 64), ==, 0x030090);             /* nobody */
    control[10] = 1;
    g_assert_cmphex(mpt_smp(p, own, control, 40, 64), ==, 0);
    g_assert_cmphex(mpt_scsi(p, 0, 0, ready, 6, 0, 0), ==, 0x21);
    /* a hard reset: the disk tells of it */
    control[10] = 2;
    g_assert_cmphex(mpt_smp(p, own, control, 40, 64), ==, 0);
    g_assert_cmphex(peek(p, 0x27000), ==, 0x00009141);
    set_reg(p, 0x44, 0x30000);
    g_assert_cmphex(mpt_scsi(p, 0, 0, ready, 6, 0, 0), ==, BIT(31) | 0x30000 >> 1);
    g_assert_cmphex(mpt_scsi(p, 0, 0, ready, 6, 0, 0), ==, 0x21);
    g_assert_cmphex(mpt_control(p, 7, 8), ==, 7);
    g_assert_cmphex(mpt_control(p, 0x55, 0), ==, 7);
    g_assert_cmphex(mpt_control(p, 6, 1), ==, 0);
    g_assert_cmphex(mpt_control(p, 7, 0), ==, 0);
    set_reg(p, 0x44, 0x30000);
    g_assert_cmphex(mpt_scsi(p, 0, 0, ready, 6, 0, 0), ==, BIT(31) | 0x30000 >> 1);
    const uint8_t sata[48] = { 5, 0, 0, 0x1c };
    as_write(p->base.m->as_memory, 0x20000, sata, sizeof sata, MEM_ATTRS_DEVICE);
    set_reg(p, 0x44, 0x30000);
    set_reg(p, 0x40, 0x20000);
    g_assert_cmphex(peek(p, 0x3000c) >> 16, ==, 0x43);
    pci_rig_free(p);
}

/* A guest that gives no reply frame finds the controller at fault, until it resets it. */
static void test_mptsas_fault(void)
{
    static const uint8_t ready[6] = { 0 };
    PciRig *p = mptsas_rig();
    g_assert_cmphex(mpt_scsi(p, 0, 0, ready, 6, 0, 0), ==, UINT32_MAX);
    g_assert_cmphex(reg(p, 0) >> 28, ==, 4);
    set_reg(p, 0x40, 0x20000);
    set_reg(p, 0, 0x40u << 24);
    g_assert_cmphex(reg(p, 0) >> 28, ==, 1);
    pci_rig_free(p);
}

static void test_mptsas_held(gconstpointer load)
{
    static const uint8_t ready[6] = { 0 }, write[10] = { 0x2a, 0, 0, 0, 0, 9, 0, 0, 8, 0 },
                         read[10] = { 0x28, 0, 0, 0, 0, 9, 0, 0, 8, 0 };
    bad_medium = true;
    PciRig *p = mptsas_rig();
    bad_medium = false;
    failure = -ENOSPC;
    set_reg(p, 0x44, 0x30000);
    mpt_scsi(p, 0, 0, ready, 6, 0, 0);
    for (unsigned i = 0; i < 4096; i += 4)
        poke(p, 0x50000 + i, i * 3 + 7);
    failures = 1;
    g_assert_cmphex(mpt_scsi(p, 0, 1, write, 10, 0x50000, 4096), ==, UINT32_MAX);
    wait_held("d0");
    go_on("d0", load);
    g_assert_cmphex(reg(p, 0x44), ==, 0x21);
    g_assert_cmphex(mpt_scsi(p, 0, 2, read, 10, 0x51000, 4096), ==, 0x21);
    for (unsigned i = 0; i < 4096; i += 4)
        g_assert_cmphex(peek(p, 0x51000 + i), ==, i * 3 + 7);
    pci_rig_free(p);
}

#define ADD(path, fn) g_test_add_func(path, fn)
int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/scsi/pvscsi-held", NULL, test_pvscsi_held);
    g_test_add_data_func("/scsi/pvscsi-held-loaded", "", test_pvscsi_held);
    ADD("/scsi/lsi-endless", test_lsi_endless);
    ADD("/scsi/lsi-command", test_lsi_command);
    ADD("/scsi/lsi-moves", test_lsi_moves);
    ADD("/scsi/pvscsi-rings", test_pvscsi_rings);
    ADD("/scsi/megasas-frames", test_megasas_frames);
    ADD("/scsi/megasas-caches", test_megasas_caches);
    g_test_add_data_func("/scsi/megasas-held", NULL, test_megasas_held);
    g_test_add_data_func("/scsi/megasas-held-loaded", "", test_megasas_held);
    ADD("/scsi/mptsas-messages", test_mptsas_messages);
    ADD("/scsi/mptsas-smp", test_mptsas_smp);
    ADD("/scsi/mptsas-fault", test_mptsas_fault);
    g_test_add_data_func("/scsi/mptsas-held", NULL, test_mptsas_held);
    g_test_add_data_func("/scsi/mptsas-held-loaded", "", test_mptsas_held);
    return g_test_run();
}
