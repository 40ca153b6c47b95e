/* SPDX-License-Identifier: MIT */
/*
 * The 16550A on the ISA bus: interrupts and their order, FIFO, time-out, loopback, a full back end; debug console,
 * printer.
 */
#include "chardev/chardev.h"
#include "chardev/chardev-internal.h"
#include "hw/char/serial.h"
#include "pc-rig.h"

enum { DATA = 0x3f8, IER, IIR, LCR, MCR, LSR, MSR, SCR };

/* ---- a back end that the test fills and empties ---- */

static struct {
    Chardev *chr;
    GString *out;
    size_t room, writes;
    unsigned breaks;
} host;

static bool host_open(Chardev *c, Opts *o, Error **errp) { return true; }
static void host_close(Chardev *c) {}

static size_t host_write(Chardev *c, const uint8_t *data, size_t len)
{
    size_t n = MIN(len, host.room);
    g_string_append_len(host.out, (const char *)data, n);
    host.room -= n;
    host.writes++;
    return n;
}

static void host_break(Chardev *c) { host.breaks++; }
static const ChardevBackend host_ops = { .name = "test",
                                         .size = sizeof(Chardev),
                                         .open = host_open,
                                         .close = host_close,
                                         .write = host_write,
                                         .send_break = host_break };

static Rig *serial_rig(Device **dev)
{
    static unsigned serial;
    Rig *r = rig_new();
    g_autofree char *id = g_strdup_printf("host%u", serial++);
    g_autoptr(Opts) o = opts_new();

    host.chr = chr_open(&host_ops, id, o, NULL);
    g_assert_nonnull(host.chr);
    host.out = g_string_new("");
    host.room = SIZE_MAX;
    host.writes = host.breaks = 0;
    *dev = isa_new(&r->isa, "isa-serial", NULL, NULL);
    g_assert_true(device_set(*dev, "chardev", id, NULL));
    rig_start(*dev);
    device_reset_one(*dev);
    return r;
}

static void serial_free(Rig *r)
{
    rig_free(r);
    g_string_free(host.out, true);
}

static void type(const char *text)
{
    while (*text && chr_can_read(host.chr)) {
        size_t n = MIN(chr_can_read(host.chr), strlen(text));
        chr_receive(host.chr, (const uint8_t *)text, n);
        text += n;
    }
}

/* Let the real-time timers run. */
static void settle(void)
{
    for (unsigned i = 0; i < 4; i++) {
        g_usleep(1500);
        while (evloop_iterate(false))
            ;
    }
}

static void test_transmit(void)
{
    Device *d;
    Rig *r = serial_rig(&d);
    g_assert_cmphex(rig_in(r, LSR), ==, 0x60);
    g_assert_cmphex(rig_in(r, IIR), ==, 0x01);
    g_assert_cmphex(rig_in(r, MSR), ==, 0xb0);
    rig_out(r, IER, 2); /* enabling with an empty transmitter interrupts at once */
    g_assert_cmpint(r->irq[4], ==, 1);
    g_assert_cmphex(rig_in(r, IIR), ==, 0x02);
    g_assert_cmpint(r->irq[4], ==, 0);
    g_assert_cmphex(rig_in(r, IIR), ==, 0x01); /* reading it has cleared it */
    rig_out(r, IER, 0), rig_out(r, IER, 2); /* kernels look for this */
    g_assert_cmphex(rig_in(r, IIR), ==, 0x02);
    unsigned before = r->rises[4];
    rig_out(r, DATA, 'h');
    g_assert_cmpuint(r->rises[4], ==, before + 1);
    rig_out(r, DATA, 'i');
    g_assert_cmpuint(r->rises[4], ==, before + 1); /* still pending */
    rig_out(r, DATA, '\n');
    g_assert_cmpstr(host.out->str, ==, "hi\n");
    g_assert_cmpuint(host.writes, ==, 1); /* a line at a time */
    rig_out(r, DATA, '>');
    settle();
    g_assert_cmpstr(host.out->str, ==, "hi\n>"); /* a prompt comes soon */
    rig_out(r, DATA, 'x');
    g_assert_cmpstr(host.out->str, ==, "hi\n>");
    chr_event(host.chr, CHR_FLUSH); /* the program ends */
    g_assert_cmpstr(host.out->str, ==, "hi\n>x");
    serial_free(r);
}

static void test_back_pressure(void)
{
    Device *d;
    Rig *r = serial_rig(&d);
    g_autoptr(GString) sent = g_string_new("");
    rig_out(r, IIR, 0x01);
    host.room = 100;
    unsigned waits = 0;
    for (unsigned i = 0; i < 5000;) {
        if (!(rig_in(r, LSR) & 0x20)) { /* full: the guest waits, the host reads */
            waits++;
            g_assert_cmpuint(waits, <, 1000);
            host.room = 777;
            settle();
            continue;
        }
        for (unsigned n = 0; n < 16; n++, i++) {
            char c = "0123456789abcde\n"[g_random_int_range(0, 16)];
            g_string_append_c(sent, c);
            rig_out(r, DATA, c);
        }
    }
    host.room = SIZE_MAX;
    settle();
    g_assert_cmpuint(waits, >, 2);
    g_assert_cmpstr(host.out->str, ==, sent->str);
    serial_free(r);
}

static void test_dead_peer(void)
{
    Device *d;
    Rig *r = serial_rig(&d);
    host.room = 0;
    gint64 limit = g_get_monotonic_time() + 60 * G_TIME_SPAN_SECOND;
    for (unsigned i = 0; i < 2000; i++) {
        while (!(rig_in(r, LSR) & 0x20)) { /* a second at first, then no more */
            g_assert_cmpint(g_get_monotonic_time(), <, limit);
            evloop_iterate(true);
        }
        rig_out(r, DATA, 'x');
    }
    serial_free(r);
}

static void test_receive(void)
{
    Device *d;
    Rig *r = serial_rig(&d);
    rig_out(r, IER, 1);
    type("a");
    g_assert_cmpint(r->irq[4], ==, 1);
    g_assert_cmphex(rig_in(r, IIR), ==, 0x04);
    g_assert_cmphex(rig_in(r, LSR), ==, 0x61);
    g_assert_cmpuint(chr_can_read(host.chr), ==, 0); /* without FIFO one character */
    g_assert_cmphex(rig_in(r, DATA), ==, 'a');
    g_assert_cmpint(r->irq[4], ==, 0);
    rig_out(r, LCR, 0x83), rig_out(r, DATA, 1), rig_out(r, IER, 0), rig_out(r, LCR, 3); /* 115200 8N1 */
    rig_out(r, IIR, 0x81); /* FIFO, trigger 8 */
    g_assert_cmphex(rig_in(r, IIR), ==, 0xc1);
    type("1234567");
    g_assert_cmpint(r->irq[4], ==, 0);
    clock_virtual_step(346000);
    g_assert_cmpint(r->irq[4], ==, 0);
    clock_virtual_step(2000); /* four characters of 86.8 us */
    g_assert_cmpint(r->irq[4], ==, 1);
    g_assert_cmphex(rig_in(r, IIR), ==, 0xcc);
    g_assert_cmphex(rig_in(r, DATA), ==, '1');
    g_assert_cmpint(r->irq[4], ==, 0);
    type("89");
    g_assert_cmphex(rig_in(r, IIR), ==, 0xc4); /* eight */
    type("abcdefghijkl");
    for (const char *p = "23456789abcdefgh"; *p; p++)
        g_assert_cmphex(rig_in(r, DATA), ==, *p); /* sixteen, the rest had to wait */
    g_assert_cmphex(rig_in(r, LSR) & 1, ==, 0);
    rig_out(r, IIR, 0x01); /* trigger 1 */
    type("xyz");
    rig_out(r, IIR, 0x03); /* clear */
    g_assert_cmphex(rig_in(r, LSR), ==, 0x60);
    serial_free(r);
}

static void test_priority(void)
{
    Device *d;
    Rig *r = serial_rig(&d);
    rig_out(r, IIR, 0x01);
    rig_out(r, MCR, 0x10);
    rig_in(r, MSR);
    rig_out(r, MCR, 0x12); /* RTS loops to CTS: delta */
    rig_out(r, DATA, 'q');
    rig_out(r, MCR, 0x02);
    chr_event(host.chr, CHR_BREAK);
    rig_out(r, IER, 0x0f);
    g_assert_cmphex(rig_in(r, IIR), ==, 0xc4); /* the break is behind q: no error yet */
    g_assert_cmphex(rig_in(r, LSR), ==, 0xe1); /* but one in the FIFO */
    g_assert_cmphex(rig_in(r, DATA), ==, 'q');
    g_assert_cmphex(rig_in(r, IIR), ==, 0xc6);
    g_assert_cmphex(rig_in(r, LSR), ==, 0xf1);
    g_assert_cmphex(rig_in(r, IIR), ==, 0xc4);
    g_assert_cmphex(rig_in(r, DATA), ==, 0);
    g_assert_cmphex(rig_in(r, IIR), ==, 0xc2);
    g_assert_cmphex(rig_in(r, IIR), ==, 0xc0);
    g_assert_cmphex(rig_in(r, MSR) & 0x0f, !=, 0);
    g_assert_cmphex(rig_in(r, IIR), ==, 0xc1);
    g_assert_cmpint(r->irq[4], ==, 0);
    serial_free(r);
}

static void test_loopback(void)
{
    Device *d;
    Rig *r = serial_rig(&d);
    rig_out(r, MCR, 0x1a); /* how drivers look for a UART */
    g_assert_cmphex(rig_in(r, MSR) & 0xf0, ==, 0x90);
    rig_out(r, MCR, 0x15);
    g_assert_cmphex(rig_in(r, MSR) & 0xf0, ==, 0x60);
    rig_in(r, MSR);
    rig_out(r, MCR, 0x11); /* RI falls: trailing edge */
    g_assert_cmphex(rig_in(r, MSR) & 0x0f, ==, 0x04);
    g_assert_cmpuint(chr_can_read(host.chr), ==, 0);
    rig_out(r, DATA, 0x55);
    g_assert_cmphex(rig_in(r, DATA), ==, 0x55);
    rig_out(r, DATA, 1), rig_out(r, DATA, 2);
    g_assert_cmphex(rig_in(r, LSR) & 2, ==, 2); /* overrun */
    g_assert_cmphex(rig_in(r, LSR) & 2, ==, 0);
    g_assert_cmphex(rig_in(r, DATA), ==, 2);
    g_assert_cmpstr(host.out->str, ==, "");
    rig_out(r, LCR, 0x40);
    rig_out(r, LCR, 0x00);
    g_assert_cmpuint(host.breaks, ==, 1);
    rig_out(r, SCR, 0xa5);
    g_assert_cmphex(rig_in(r, SCR), ==, 0xa5);
    rig_out(r, LCR, 0x80), rig_out(r, DATA, 0x34), rig_out(r, IER, 0x12);
    g_assert_cmphex(rig_in(r, DATA), ==, 0x34);
    g_assert_cmphex(rig_in(r, IER), ==, 0x12);
    serial_free(r);
}

static void test_ports(void)
{
    Device *d;
    Rig *r = serial_rig(&d);
    Device *second = rig_isa(r, "isa-serial");
    rig_out(r, 0x2ff, 0x77);
    g_assert_cmphex(rig_in(r, 0x2ff), ==, 0x77);
    rig_out(r, 0x2f9, 2);
    g_assert_cmpint(r->irq[3], ==, 1);
    device_free(second);
    Device *con = isa_new(&r->isa, "isa-debugcon", NULL, NULL);
    rig_start(con);
    g_assert_cmphex(rig_in(r, 0xe9), ==, 0xe9);
    rig_out(r, 0xe9, 'x');
    rig_generic(d, 16550);
    serial_free(r);
}

static void test_parallel(void)
{
    Device *d;
    Rig *r = serial_rig(&d);
    device_free(d); /* its back end goes to the printer */
    d = isa_new(&r->isa, "isa-parallel", NULL, NULL);
    g_assert_true(device_set(d, "chardev", chardev_id(host.chr), NULL));
    rig_start(d);
    device_reset_one(d);
    g_assert_cmphex(rig_in(r, 0x379), ==, 0xdf);
    for (const char *p = "page"; *p; p++) {
        rig_out(r, 0x378, *p);
        g_assert_cmphex(rig_in(r, 0x378), ==, *p);
        rig_out(r, 0x37a, 0x1d);
        rig_out(r, 0x37a, 0x1c);
    }
    g_assert_cmpstr(host.out->str, ==, "page");
    g_assert_cmpuint(r->rises[7], ==, 4);
    g_assert_cmphex(rig_in(r, 0x37a), ==, 0xdc);
    rig_generic(d, 1284);
    serial_free(r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    evloop_init();
    g_test_add_func("/serial/transmit", test_transmit);
    g_test_add_func("/serial/back-pressure", test_back_pressure);
    g_test_add_func("/serial/dead-peer", test_dead_peer);
    g_test_add_func("/serial/receive", test_receive);
    g_test_add_func("/serial/priority", test_priority);
    g_test_add_func("/serial/loopback", test_loopback);
    g_test_add_func("/serial/ports", test_ports);
    g_test_add_func("/serial/parallel", test_parallel);
    return g_test_run();
}
