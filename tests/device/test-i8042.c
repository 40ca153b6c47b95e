/* SPDX-License-Identifier: MIT */
/* Keyboard controller, PS/2 keyboard and mouse; port 92, pvpanic, isa-debug-exit. */
#include "hw/input/ps2.h"
#include "pc-rig.h"

typedef struct Box {
    Rig *rig;
    Device *dev;
} Box;

static Box box_new(void)
{
    Box b = { .rig = rig_new() };
    b.dev = isa_new(&b.rig->isa, "i8042", NULL, NULL);
    device_connect(b.dev, "a20", 0, CPU_PORTS_A20_IRQ);
    rig_start(b.dev);
    device_reset_one(b.dev);
    return b;
}

static void command(Box *b, uint8_t v) { rig_out(b->rig, 0x64, v); }
static void data(Box *b, uint8_t v) { rig_out(b->rig, 0x60, v); }
static bool full(Box *b) { return rig_in(b->rig, 0x64) & 1; }

static uint8_t get(Box *b)
{
    g_assert_true(full(b));
    return rig_in(b->rig, 0x60);
}

/* All bytes that wait, as hexadecimal text; mouse bytes in parentheses. */
static char *drain(Box *b)
{
    GString *s = g_string_new("");
    for (unsigned i = 0; i < 64 && full(b); i++) {
        bool aux = rig_in(b->rig, 0x64) & 0x20;
        g_string_append_printf(s, aux ? "(%02x)" : "%02x ", rig_in(b->rig, 0x60));
    }
    return g_string_free(s, false);
}

static void expect(Box *b, const char *bytes)
{
    g_autofree char *got = drain(b);
    g_assert_cmpstr(g_strstrip(got), ==, bytes);
}

static void mouse(Box *b, uint8_t v)
{
    command(b, 0xd4);
    data(b, v);
}

static void test_controller(void)
{
    Box b = box_new();
    command(&b, 0xaa);
    expect(&b, "55");
    g_assert_cmphex(rig_in(b.rig, 0x64) & 4, ==, 4); /* system flag */
    command(&b, 0xab);
    expect(&b, "00");
    command(&b, 0xa9);
    expect(&b, "00");
    command(&b, 0xa4);
    expect(&b, "f1");
    command(&b, 0x60);
    data(&b, 0x47);
    command(&b, 0x20);
    expect(&b, "47");
    command(&b, 0x75);
    data(&b, 0xa5);
    command(&b, 0x35);
    expect(&b, "a5");
    command(&b, 0xd3);
    data(&b, 0x5a);
    g_assert_cmpint(b.rig->irq[12], ==, 1);
    expect(&b, "(5a)");
    command(&b, 0xad); /* keyboard off: its bytes wait */
    ps2_send_key("a", true);
    g_assert_false(full(&b));
    command(&b, 0xae);
    expect(&b, "1e"); /* 47 has switched the translation on */
    rig_free(b.rig);
}

static void test_a20_reset(void)
{
    Box b = box_new();
    g_assert_true(b.rig->cpu[1].a20);
    command(&b, 0xdd);
    g_assert_false(b.rig->cpu[1].a20);
    command(&b, 0xd0);
    g_assert_cmphex(get(&b) & 3, ==, 1);
    command(&b, 0xd1);
    data(&b, 0xdf);
    g_assert_true(b.rig->cpu[0].a20);
    g_assert_false(machine_take_requests().reset);
    command(&b, 0xf1);
    g_assert_false(machine_take_requests().reset);
    command(&b, 0xfe);
    g_assert_true(machine_take_requests().reset);
    command(&b, 0xd1);
    data(&b, 0x02);
    g_assert_true(machine_take_requests().reset);
    rig_free(b.rig);
}

static void test_keyboard(void)
{
    Box b = box_new();
    data(&b, 0xff);
    expect(&b, "fa aa");
    data(&b, 0xf2);
    expect(&b, "fa ab 83");
    data(&b, 0xee);
    expect(&b, "ee");
    data(&b, 0xed);
    expect(&b, "fa");
    data(&b, 0x05);
    expect(&b, "fa");
    data(&b, 0xf3);
    data(&b, 0x20);
    expect(&b, "fa fa");
    data(&b, 0x17);
    expect(&b, "fe");
    data(&b, 0xf0);
    data(&b, 0x00);
    expect(&b, "fa fa 02");
    b.rig->rises[1] = 0;
    ps2_send_key("ctrl_r", true);
    ps2_send_key("ctrl_r", false);
    expect(&b, "e0 14 e0 f0 14");
    g_assert_cmpuint(b.rig->rises[1], ==, 5); /* an edge a byte */
    ps2_send_key("pause", true);
    ps2_send_key("pause", false);
    expect(&b, "e1 14 77 e1 f0 14 f0 77");
    data(&b, 0xf5); /* disabled */
    expect(&b, "fa");
    ps2_send_key("a", true);
    expect(&b, "");
    data(&b, 0xf4);
    expect(&b, "fa");
    data(&b, 0xf0), data(&b, 0x01);
    expect(&b, "fa fa");
    ps2_send_key("a", true);
    ps2_send_key("a", false);
    expect(&b, "1e 9e");
    data(&b, 0xf0), data(&b, 0x03);
    expect(&b, "fa fa");
    ps2_send_key("ctrl", true);
    ps2_send_key("ctrl", false);
    expect(&b, "11 f0 11");
    data(&b, 0xf9); /* all make only */
    expect(&b, "fa");
    ps2_send_key("ctrl", true);
    ps2_send_key("ctrl", false);
    expect(&b, "11");
    data(&b, 0xfe); /* resend */
    expect(&b, "11");
    g_assert_false(ps2_send_key("no-such-key", true));
    rig_free(b.rig);
}

/* Every key: what translation makes of set 2 is what the keyboard itself sends in set 1. */
static void test_translation(void)
{
    Box b = box_new();
    for (const char *const *k = ps2_key_names(); *k; k++) {
        command(&b, 0x60), data(&b, 0x43);
        data(&b, 0xf0), data(&b, 0x02);
        g_free(drain(&b));
        ps2_send_key(*k, true), ps2_send_key(*k, false);
        g_autofree char *translated = drain(&b);
        command(&b, 0x60), data(&b, 0x03);
        data(&b, 0xf0), data(&b, 0x01);
        g_free(drain(&b));
        ps2_send_key(*k, true), ps2_send_key(*k, false);
        g_autofree char *set1 = drain(&b);
        g_assert_cmpstr(translated, ==, set1);
        g_assert_cmpstr(set1, !=, "");
    }
    command(&b, 0x60), data(&b, 0x43);
    data(&b, 0xf2);
    expect(&b, "fa ab 41");
    rig_free(b.rig);
}

static void knock(Box *b, uint8_t first, uint8_t second, uint8_t third)
{
    const uint8_t rates[] = { first, second, third };
    for (unsigned i = 0; i < 3; i++)
        mouse(b, 0xf3), mouse(b, rates[i]);
    g_free(drain(b));
    mouse(b, 0xf2);
}

static void test_mouse(void)
{
    Box b = box_new();
    mouse(&b, 0xff);
    expect(&b, "(fa)(aa)(00)");
    ps2_send_mouse(5, 5, 0, 0);
    expect(&b, ""); /* not enabled */
    mouse(&b, 0xf6);
    mouse(&b, 0xf4);
    expect(&b, "(fa)(fa)");
    ps2_send_mouse(3, -2, 0, PS2_LEFT);
    expect(&b, "(09)(03)(02)");
    ps2_send_mouse(0, 0, 0, 0);
    expect(&b, "(08)(00)(00)");
    ps2_send_mouse(-300, 10, 0, 0); /* more than a packet holds */
    expect(&b, "(38)(00)(f6)(18)(d4)(00)");
    mouse(&b, 0xe9);
    expect(&b, "(fa)(20)(02)(64)");
    mouse(&b, 0xe7); /* 2:1 */
    expect(&b, "(fa)");
    ps2_send_mouse(4, 0, 0, 0);
    expect(&b, "(08)(06)(00)");
    mouse(&b, 0xe6);
    mouse(&b, 0xf0); /* remote */
    expect(&b, "(fa)(fa)");
    ps2_send_mouse(7, 0, 0, 0);
    expect(&b, "");
    mouse(&b, 0xeb);
    expect(&b, "(fa)(08)(07)(00)");
    mouse(&b, 0xea);
    mouse(&b, 0xee); /* wrap */
    expect(&b, "(fa)(fa)");
    mouse(&b, 0x42);
    expect(&b, "(42)");
    mouse(&b, 0xec);
    expect(&b, "(fa)");
    mouse(&b, 0xe1);
    expect(&b, "(fe)");
    knock(&b, 200, 100, 80);
    expect(&b, "(fa)(03)");
    ps2_send_mouse(0, 0, 1, 0);
    expect(&b, "(08)(00)(00)(01)");
    knock(&b, 200, 200, 80);
    expect(&b, "(fa)(04)");
    ps2_send_mouse(0, 0, -1, PS2_EXTRA | PS2_MIDDLE);
    expect(&b, "(0c)(00)(00)(2f)");
    rig_free(b.rig);
}

/* Many events without a reader: motion adds up, the last state of the buttons arrives, nothing else is lost. */
static void test_mouse_backlog(void)
{
    Box b = box_new();
    mouse(&b, 0xf4);
    expect(&b, "(fa)");
    for (unsigned i = 0; i < 1000; i++)
        ps2_send_mouse(1, 0, 0, i & 1 ? PS2_LEFT : PS2_LEFT | PS2_RIGHT);
    ps2_send_mouse(0, 0, 0, 0);
    int sum = 0, last = -1;
    while (full(&b)) {
        last = get(&b);
        sum += get(&b) - (last & 0x10 ? 256 : 0);
        get(&b);
    }
    g_assert_cmpint(sum, ==, 1000);
    g_assert_cmphex(last, ==, 0x08);
    for (unsigned i = 0; i < 1000; i++) /* nor does a full keyboard queue cut a key in two */
        ps2_send_key("ctrl_r", i % 2 == 0);
    for (unsigned n = 0; full(&b); n++) {
        g_assert_cmphex(get(&b), ==, 0xe0);
        g_assert_cmphex(get(&b), ==, n & 1 ? 0xf0 : 0x14);
        if (n & 1)
            g_assert_cmphex(get(&b), ==, 0x14);
    }
    rig_free(b.rig);
}

static void test_small_ports(void)
{
    Rig *r = rig_new();
    Device *port92 = isa_new(&r->isa, "port92", NULL, NULL);
    device_connect(port92, "a20", 0, CPU_PORTS_A20_IRQ);
    rig_start(port92);
    device_reset_one(port92);
    rig_out(r, 0x92, 2);
    g_assert_true(r->cpu[2].a20);
    rig_out(r, 0x92, 0);
    g_assert_false(r->cpu[2].a20);
    rig_out(r, 0x92, 3);
    g_assert_cmphex(rig_in(r, 0x92), ==, 3);
    g_assert_true(machine_take_requests().reset);
    rig_out(r, 0x92, 3); /* no edge */
    g_assert_false(machine_take_requests().reset);

    rig_isa(r, "pvpanic");
    g_assert_cmphex(rig_in(r, 0x505), ==, 7);
    rig_out(r, 0x505, 4);
    g_assert_true(machine_take_requests().shutdown);
    rig_out(r, 0x505, 1);
    g_assert_true(machine_take_requests().panicked);

    Device *leave = isa_new(&r->isa, "isa-debug-exit", NULL, NULL);
    g_assert_true(device_set(leave, "iobase", "0xf4", NULL));
    g_assert_true(device_set(leave, "iosize", "4", NULL));
    rig_start(leave);
    as_store(r->machine.as_io, 0xf4, 4, 0x10, MEM_ATTRS_DEVICE);
    MachineRequests q = machine_take_requests();
    g_assert_true(q.exit);
    g_assert_cmpint(q.exit_status, ==, 0x21);
    rig_free(r);
}

static void test_generic(void)
{
    Box b = box_new();
    rig_generic(b.dev, 8042);
    rig_free(b.rig);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    evloop_init();
    g_test_add_func("/i8042/controller", test_controller);
    g_test_add_func("/i8042/a20-reset", test_a20_reset);
    g_test_add_func("/i8042/keyboard", test_keyboard);
    g_test_add_func("/i8042/translation", test_translation);
    g_test_add_func("/i8042/mouse", test_mouse);
    g_test_add_func("/i8042/backlog", test_mouse_backlog);
    g_test_add_func("/i8042/small-ports", test_small_ports);
    g_test_add_func("/i8042/generic", test_generic);
    return g_test_run();
}
