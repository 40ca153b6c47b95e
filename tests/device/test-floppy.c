/* SPDX-License-Identifier: MIT */
/*
 * Floppy controller and ISA DMA at their ports: transfers by DMA and by the FIFO, ends and errors, formats, media
 * change, save and load.
 */
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>
#include "base/bits.h"
#include "block/backend.h"
#include "hw/core/machine.h"
#include "hw/isa/isa.h"
#include "tests/device/bare-machine.h"
#include "tests/device/whole-state.h"

enum { RAM = 1 << 20, BUF = 0x1f000, DISK = 1440 << 10, SECTORS = 18 };
enum { DOR = 0x3f2, MSR = 0x3f4, FIFO = 0x3f5, DIGITAL_IN = 0x3f7 };

typedef struct Host {
    Device dev;
    IsaBus bus;
} Host;
typedef struct Rig {
    Machine *m;
    Host *host;
    Device *drive;
    char *file;
    int irq;
    uint8_t result[16];
} Rig;
static Rig *the_rig;

static void set_irq(void *opaque, int n, int level)
{
    if (n == 6)
        the_rig->irq = level;
}

static bool host_start(Device *d, Error **errp)
{
    Irq irq[ISA_IRQ_COUNT];
    for (unsigned i = 0; i < ISA_IRQ_COUNT; i++)
        irq[i] = (Irq){ set_irq, NULL, (int)i };
    isa_bus_init(&((Host *)d)->bus, "isa.0", d, machine_current()->io, machine_current()->memory, irq);
    return true;
}
static void host_stop(Device *d) { isa_bus_fini(&((Host *)d)->bus); }
static const char *const provides[] = { "isa", NULL };
static const DeviceType host_type = {
    .name = "floppy-rig-host", .size = sizeof(Host), .provides = provides, .start = host_start, .stop = host_stop
};

BARE_MACHINE(rig_type, "floppy-rig", RAM);

static void out(unsigned port, unsigned v) { as_store(the_rig->m->as_io, port, 1, v, MEM_ATTRS_DEVICE); }
static uint8_t in(unsigned port)
{
    uint64_t v;
    as_load(the_rig->m->as_io, port, 1, &v, MEM_ATTRS_DEVICE);
    return (uint8_t)v;
}
static uint8_t *ram(hwaddr at) { return (uint8_t *)mem_host(the_rig->m->ram) + at; }

static BlockNode *open_disk(const char *file, bool writable)
{
    Error *err = NULL;
    g_autoptr(Opts) o = opts_new();
    opts_set(o, "driver", "raw");
    BlockNode *n = block_open(file, o, writable ? BLOCK_RDWR : 0, &err);
    g_assert_no_error(err);
    return n;
}

/* Each sector of the disk begins with its number. */
static Rig *rig_new(bool dma, bool writable)
{
    Rig *r = the_rig = g_new0(Rig, 1);
    int fd = g_file_open_tmp("rhea-floppy-XXXXXX", &r->file, NULL);
    uint8_t sector[512] = { 0 };
    for (unsigned i = 0; i < DISK / 512; i++) {
        store_le16(sector, (uint16_t)i);
        store_le16(sector + 510, (uint16_t)i);
        g_assert_cmpint(write(fd, sector, 512), ==, 512);
    }
    close(fd);
    blk_new("a", open_disk(r->file, writable));
    r->m = bare_machine(&rig_type);
    r->host = (Host *)bare_host(&host_type);
    if (dma)
        g_assert_true(device_start(isa_new(&r->host->bus, "i8257", "dma", NULL), NULL));
    bare_add("isa-fdc,id=fdc");
    r->drive = bare_add("floppy,drive=a,unit=0");
    device_reset_all();
    return r;
}

static void rig_free(Rig *r)
{
    bare_end(r->m, r->file);
    g_free(r);
}

/* ---- commands ---- */

static void wait_for(uint8_t mask, uint8_t value)
{
    for (gint64 stop = g_get_monotonic_time() + 60 * G_USEC_PER_SEC; (in(MSR) & mask) != value;) {
        g_assert_cmpint(g_get_monotonic_time(), <, stop);
        g_usleep(50);
    }
}

static void send(const uint8_t *cmd, unsigned len)
{
    for (unsigned i = 0; i < len; i++) {
        g_assert_cmphex(in(MSR) & 0xc0, ==, 0x80);
        out(FIFO, cmd[i]);
    }
}
#define SEND(...) send((const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

static unsigned results(Rig *r)
{
    unsigned n = 0;
    wait_for(0xc0, 0xc0);
    while ((in(MSR) & 0xc0) == 0xc0 && n < sizeof r->result)
        r->result[n++] = in(FIFO);
    g_assert_cmphex(in(MSR), ==, 0x80);
    return n;
}

static void bring_up(Rig *r, bool dma)
{
    out(DOR, 0);
    g_assert_cmphex(in(MSR), ==, 0);
    out(DOR, 0x1c);
    g_assert_cmpint(r->irq, ==, 1);
    for (unsigned i = 0; i < 4; i++) {
        SEND(8);
        g_assert_cmpuint(results(r), ==, 2);
        g_assert_cmphex(r->result[0], ==, 0xc0 | i);
    }
    g_assert_cmpint(r->irq, ==, 0);
    SEND(3, 0xdf, dma ? 2 : 3); /* SPECIFY */
    out(0xd6, 0xc0);            /* channels 0 to 3 pass through the second controller */
    out(0xd4, 0);
    out(DIGITAL_IN, 0);                /* 500 kb/s */
}

static void seek(Rig *r, uint8_t track)
{
    SEND(15, 0, track);
    g_assert_cmpint(r->irq, ==, 1);
    SEND(8);
    g_assert_cmpuint(results(r), ==, 2);
    g_assert_cmphex(r->result[0], ==, 0x20);
    g_assert_cmpuint(r->result[1], ==, track);
}

/* Channel 2: mode 0x46 from the device, 0x4a to it. */
static void dma(uint8_t mode, hwaddr at, unsigned bytes)
{
    out(0x0a, 6);
    out(0x0b, mode);
    out(0x0c, 0);
    out(4, at & 0xff);
    out(4, at >> 8 & 0xff);
    out(0x81, at >> 16);
    out(5, (bytes - 1) & 0xff);
    out(5, (bytes - 1) >> 8);
    out(0x0a, 2);
}

static void assert_result(Rig *r, uint8_t st0, uint8_t st1, uint8_t st2)
{
    g_assert_cmpuint(results(r), ==, 7);
    g_assert_cmphex(r->result[0], ==, st0);
    g_assert_cmphex(r->result[1], ==, st1);
    g_assert_cmphex(r->result[2], ==, st2);
}

static void test_dma(void)
{
    Rig *r = rig_new(true, true);
    bring_up(r, true);
    g_assert_cmphex(in(DIGITAL_IN) & 0x80, ==, 0x80); /* the disk is new */
    seek(r, 1);
    g_assert_cmphex(in(DIGITAL_IN) & 0x80, ==, 0);

    /* from head 0, sector 17 on to head 1, sector 2: the terminal count ends it */
    dma(0x46, BUF, 4 * 512);
    SEND(0xe6, 0, 1, 0, 17, 2, SECTORS, 27, 255);
    assert_result(r, 4, 0, 0);
    for (unsigned i = 0; i < 4; i++)
        g_assert_cmpuint(load_le16(ram(BUF + i * 512)), ==, 36 + 16 + i);
    const uint8_t next[] = { 1, 1, 3, 2 };
    g_assert_cmpmem(r->result + 3, 4, next, 4);
    g_assert_cmphex(in(8), ==, 0x04);          /* channel 2 has ended, told once */
    g_assert_cmphex(in(8), ==, 0);
    g_assert_cmphex(in(0x0f) & 15, ==, 15);    /* and is masked */

    /* the cylinder ends before the count */
    dma(0x46, BUF, 8192);
    SEND(0x46, 0, 1, 0, 18, 2, SECTORS, 27, 255);
    assert_result(r, 0x40, 0x80, 0);
    g_assert_cmpuint(r->result[3], ==, 2);

    /* part of a sector is written: the rest is zero */
    memset(ram(BUF), 0xab, 512);
    dma(0x4a, BUF, 100);
    SEND(0x45, 0, 1, 0, 1, 2, SECTORS, 27, 255);
    assert_result(r, 0, 0, 0);
    uint8_t sector[512];
    blk_pread(blk_find("a"), 36 * 512, sector, 512);
    g_assert_cmphex(sector[99], ==, 0xab);
    g_assert_cmphex(sector[100] | sector[511], ==, 0);

    /* masked: it waits; opened: it goes on */
    dma(0x46, BUF, 512);
    out(0x0a, 6);
    SEND(0x46, 0, 1, 0, 5, 2, SECTORS, 27, 255);
    wait_for(0xff, 0x10);
    g_assert_cmpint(r->irq, ==, 0);
    out(0x0a, 2);
    assert_result(r, 0, 0, 0);

    /* the page is not left: addresses wrap in 64 KiB */
    dma(0x46, 0x1ff00, 512);
    SEND(0x46, 0, 1, 0, 6, 2, SECTORS, 27, 255);
    assert_result(r, 0, 0, 0);
    g_assert_cmpuint(load_le16(ram(0x1ff00)), ==, 36 + 5);
    g_assert_cmpuint(load_le16(ram(0x10000 + 254)), ==, 36 + 5);
    rig_free(r);
}

static void test_fifo(void)
{
    Rig *r = rig_new(false, true);
    bring_up(r, false);
    SEND(0x46, 0, 0, 0, 2, 2, 3, 27, 255);
    for (unsigned i = 0; i < 1024; i++) {
        wait_for(0xe0, 0xe0);
        uint8_t v = in(FIFO);
        g_assert_cmphex(v, ==, i % 512 == 0 || i % 512 == 510 ? 1 + i / 512 : 0);
    }
    assert_result(r, 0, 0, 0);
    SEND(0x45, 4, 0, 1, 18, 2, 18, 27, 255);
    for (unsigned i = 0; i < 512; i++) {
        wait_for(0xe0, 0xa0);
        out(FIFO, i & 0xff);
    }
    assert_result(r, 4, 0, 0);
    uint8_t sector[512];
    blk_pread(blk_find("a"), 35 * 512, sector, 512);
    g_assert_cmphex(sector[511], ==, 0xff);
    /* reset amid a transfer */
    SEND(0x46, 0, 0, 0, 1, 2, 3, 27, 255);
    out(DOR, 0x08);
    bring_up(r, false);
    SEND(0x10);
    g_assert_cmpuint(results(r), ==, 1);
    g_assert_cmphex(r->result[0], ==, 0x90);
    rig_free(r);
}

static void test_errors(void)
{
    Rig *r = rig_new(true, false);
    bring_up(r, true);
    dma(0x46, BUF, 512);
    SEND(0x46, 0, 3, 0, 1, 2, SECTORS, 27, 255);    /* the heads are elsewhere */
    assert_result(r, 0x40, 0x04, 0x10);
    SEND(0x46, 0, 0, 0, 19, 2, 20, 27, 255);        /* no such sector */
    assert_result(r, 0x40, 0x04, 0);
    SEND(0x46, 0, 0, 1, 1, 2, SECTORS, 27, 255);    /* not this head */
    assert_result(r, 0x40, 0x04, 0);
    SEND(0x46, 0, 0, 0, 1, 3, SECTORS, 27, 255);    /* not this size */
    assert_result(r, 0x40, 0x04, 0);
    SEND(0x45, 0, 0, 0, 1, 2, SECTORS, 27, 255);    /* read-only */
    assert_result(r, 0x40, 0x02, 0);
    SEND(0x4d, 0, 2, SECTORS, 27, 0);
    assert_result(r, 0x40, 0x02, 0);
    SEND(4, 0);
    g_assert_cmpuint(results(r), ==, 1);
    g_assert_cmphex(r->result[0], ==, 0x78);        /* protected, ready, track 0, two sides */
    SEND(0x46, 1, 0, 0, 1, 2, SECTORS, 27, 255);    /* no drive */
    assert_result(r, 0x41, 0x01, 0);
    out(DIGITAL_IN, 2);                                    /* not the disk's rate */
    SEND(0x4a, 0);
    assert_result(r, 0x40, 0x01, 0);
    out(DIGITAL_IN, 0);
    SEND(0x4a, 0);
    assert_result(r, 0, 0, 0);
    SEND(0x1f);
    g_assert_cmpuint(results(r), ==, 1);
    g_assert_cmphex(r->result[0], ==, 0x80);
    SEND(7, 1);                                     /* recalibrate what is not there */
    SEND(8);
    results(r);
    g_assert_cmphex(r->result[0], ==, 0x71);
    rig_free(r);
}

static void test_format(void)
{
    Rig *r = rig_new(true, true);
    bring_up(r, true);
    seek(r, 2);
    for (unsigned i = 0; i < SECTORS; i++) {
        const uint8_t id[] = { 2, 1, (uint8_t)(i + 1), 2 };
        memcpy(ram(BUF + 4 * i), id, 4);
    }
    dma(0x4a, BUF, 4 * SECTORS);
    SEND(0x4d, 4, 2, SECTORS, 27, 0xf6);
    g_assert_cmpuint(results(r), ==, 7);
    g_assert_cmphex(r->result[0], ==, 4);
    uint8_t track[SECTORS * 512], before[2];
    blk_pread(blk_find("a"), (2 * 36 + 18) * 512, track, sizeof track);
    for (unsigned i = 0; i < sizeof track; i++)
        g_assert_cmphex(track[i], ==, 0xf6);
    blk_pread(blk_find("a"), (2 * 36 + 17) * 512, before, 2);
    g_assert_cmpuint(load_le16(before), ==, 2 * 36 + 17);

    /* scan: the sector that equals memory */
    memset(ram(BUF), 0xf6, 512);
    dma(0x4a, BUF, 512);
    SEND(0x51, 4, 2, 1, 3, 2, SECTORS, 27, 1);
    g_assert_cmpuint(results(r), ==, 7);
    g_assert_cmphex(r->result[0], ==, 4);
    g_assert_cmphex(r->result[2], ==, 0x08);
    rig_free(r);
}

static void test_change(void)
{
    Rig *r = rig_new(true, true);
    Error *err = NULL;
    bring_up(r, true);
    seek(r, 1);
    g_assert_cmphex(in(DIGITAL_IN) & 0x80, ==, 0);
    g_assert_true(blk_eject(blk_find("a"), false, &err));
    g_assert_cmphex(in(DIGITAL_IN) & 0x80, ==, 0x80);
    seek(r, 2);
    g_assert_cmphex(in(DIGITAL_IN) & 0x80, ==, 0x80);      /* still none */
    SEND(0x46, 0, 2, 0, 1, 2, SECTORS, 27, 255);
    assert_result(r, 0x40, 0x01, 0);
    g_assert_true(blk_insert(blk_find("a"), open_disk(r->file, true), &err));
    g_assert_cmphex(in(DIGITAL_IN) & 0x80, ==, 0x80);
    seek(r, 1);
    g_assert_cmphex(in(DIGITAL_IN) & 0x80, ==, 0);
    rig_free(r);
}

/* Saved while the channel is masked amid a read; goes on after loading. */
static void test_state(void)
{
    Rig *r = rig_new(true, true);
    bring_up(r, true);
    dma(0x46, BUF, 1024);
    out(0x0a, 6);
    SEND(0x46, 0, 0, 0, 3, 2, SECTORS, 27, 255);
    wait_for(0xff, 0x10);
    device_settle_all();
    g_autoptr(GBytes) saved = save_all();
    device_reset_all();
    g_assert_cmphex(in(MSR), ==, 0);
    load_all(saved);
    g_assert_cmphex(in(MSR), ==, 0x10);
    out(0x0a, 2);
    assert_result(r, 0, 0, 0);
    g_assert_cmpuint(load_le16(ram(BUF)), ==, 2);
    g_assert_cmpuint(load_le16(ram(BUF + 512)), ==, 3);
    rig_free(r);
}

/* What a hostile guest might try: all ports, any bytes, with disk and DMA. */
static void test_storm(void)
{
    Rig *r = rig_new(true, true);
    GRand *rand = g_rand_new_with_seed(g_test_rand_int());
    for (unsigned i = 0; i < 20000; i++) {
        static const uint16_t ports[] = { 0x3f2, 0x3f4, 0x3f5, 0x3f5, 0x3f5, 0x3f5, 0x3f7, 4,   5,
                                          8,     0x0a,  0x0b,  0x0c,  0x0f,  0x81,  0xd4,  0xd6 };
        unsigned port = ports[g_rand_int_range(rand, 0, ARRAY_LEN(ports))], v = g_rand_int(rand) & 0xff;
        static const uint8_t likely[] = { 0x46, 0x45, 0xe6, 0x4d, 0x4a, 0x07, 0x0f, 0x08, 0, 0, 1, 2, 18, 0x1c, 0x1c };
        if (g_rand_boolean(rand))
            v = likely[g_rand_int_range(rand, 0, ARRAY_LEN(likely))];
        if (g_rand_int_range(rand, 0, 4))
            out(port, v);
        else
            in(port);
    }
    g_rand_free(rand);
    out(DOR, 0);
    out(0x0d, 0);
    out(0xda, 0);
    out(0xd4, 0); /* the cascade */
    bring_up(r, true);
    SEND(7, 0);
    SEND(8);
    results(r);
    dma(0x46, BUF, 512);
    SEND(0x46, 0, 0, 0, 1, 2, SECTORS, 27, 255);
    assert_result(r, 0, 0, 0);
    rig_free(r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/floppy/dma", test_dma);
    g_test_add_func("/floppy/fifo", test_fifo);
    g_test_add_func("/floppy/errors", test_errors);
    g_test_add_func("/floppy/format", test_format);
    g_test_add_func("/floppy/change", test_change);
    g_test_add_func("/floppy/state", test_state);
    g_test_add_func("/floppy/storm", test_storm);
    return g_test_run();
}
