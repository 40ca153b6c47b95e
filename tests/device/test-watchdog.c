/* SPDX-License-Identifier: MIT */
/* i6300esb: its two stages, keys, lock and feeding; and what each of -action watchdog= leads to. */
#include "hw/watchdog/watchdog.h"
#include "virtio-rig.h"

enum { BAR = 0x30000000, CONFIG = 0x60, LOCK = 0x68, TIMER1 = 0, TIMER2 = 4, STATUS = 8, RELOAD = 12 };
#define SECOND INT64_C(1000000000)

static Machine *m;
static Device *d;
static unsigned nmis;

static void nmi(Machine *machine) { nmis++; }

static void config_set(unsigned at, unsigned size, uint32_t value)
{
    as_store(m->as_io, 0xcf8, 4, 0x80000000 | (uint32_t)pci_device(d)->devfn << 8 | (at & ~3u), MEM_ATTRS_DEVICE);
    as_store(m->as_io, 0xcfc + (at & 3), size, value, MEM_ATTRS_DEVICE);
}
static void store(unsigned at, uint32_t value) { as_store(m->as_memory, BAR + at, 2, value, MEM_ATTRS_DEVICE); }
static uint32_t load(unsigned at)
{
    uint64_t v;
    as_load(m->as_memory, BAR + at, 2, &v, MEM_ATTRS_DEVICE);
    return (uint32_t)v;
}
static void with_keys(unsigned at, uint32_t value)
{
    store(RELOAD, 0x80);
    store(RELOAD, 0x86);
    as_store(m->as_memory, BAR + at, 4, value, MEM_ATTRS_DEVICE);
}

static void start(void)
{
    static MachineType type;
    type = vrig_type;
    type.nmi = nmi;
    m = vrig_machine();
    m->type = &type;
    d = bare_add("i6300esb");
    device_reset_all();
    config_set(0x10, 4, BAR);
    config_set(4, 2, 7);
    nmis = 0;
    machine_take_requests();
}

static void stop(void)
{
    m->type = &vrig_type;
    machine_free(m);
    watchdog_set_action(WATCHDOG_RESET);
}

/* Time passes, and the main loop has dealt with what came of it. */
static MachineRequests after(int64_t ns)
{
    clock_virtual_step(ns);
    for (unsigned i = 0; i < 10; i++)
        evloop_iterate(false);
    return machine_take_requests();
}

/* Both stages take a second: 2^15 / 33 MHz for each count. */
static void run(void)
{
    with_keys(TIMER1, 1007);
    with_keys(TIMER2, 1007);
    config_set(LOCK, 1, 2);
}

static void test_stages(void)
{
    start();
    run();
    after(SECOND * 9 / 10);
    g_assert_cmphex(load(STATUS) & 1, ==, 0);
    with_keys(RELOAD, 0x100); /* fed */
    after(SECOND * 9 / 10);
    g_assert_cmphex(load(STATUS) & 1, ==, 0);
    store(RELOAD, 0x100); /* without the keys: in vain */
    g_assert_false(after(SECOND / 5).reset);
    g_assert_cmphex(load(STATUS) & 1, ==, 1);
    g_assert_true(pci_device(d)->intx_level);
    store(STATUS, 1);
    g_assert_false(pci_device(d)->intx_level);
    g_assert_true(after(SECOND).reset);
    g_assert_cmphex(load(RELOAD) & 0x200, ==, 0x200); /* it has bitten */
    device_reset_all();
    config_set(0x10, 4, BAR);
    config_set(4, 2, 7);
    g_assert_cmphex(load(RELOAD) & 0x200, ==, 0x200);
    with_keys(RELOAD, 0x200);
    g_assert_cmphex(load(RELOAD) & 0x200, ==, 0);
    stop();
}

static void test_lock(void)
{
    start();
    run();
    config_set(LOCK, 1, 3);
    config_set(LOCK, 1, 0); /* it can't be switched off any more */
    g_assert_true(after(SECOND * 3).reset || after(SECOND * 3).reset);
    device_reset_all();
    config_set(0x10, 4, BAR);
    config_set(4, 2, 7);
    run();
    config_set(LOCK, 1, 0);
    after(SECOND * 3);
    g_assert_false(after(SECOND * 3).reset);
    config_set(CONFIG, 2, 0x20); /* the pin leads nowhere */
    run();
    after(SECOND * 3);
    g_assert_false(after(SECOND * 3).reset);
    g_assert_cmphex(load(RELOAD) & 0x200, ==, 0x200);
    stop();
}

static void test_actions(void)
{
    static const struct { WatchdogAction action; bool reset, button, exit, pause; unsigned nmis; } cases[] = {
        { WATCHDOG_RESET, .reset = true }, { WATCHDOG_SHUTDOWN, .button = true }, { WATCHDOG_POWEROFF, .exit = true },
        { WATCHDOG_PAUSE, .pause = true }, { WATCHDOG_DEBUG }, { WATCHDOG_NONE }, { WATCHDOG_NMI, .nmis = 1 },
    };
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        start();
        watchdog_set_action(cases[i].action);
        run();
        after(SECOND * 3 / 2);
        MachineRequests r = after(SECOND);
        g_assert_cmphex(load(RELOAD) & 0x200, ==, 0x200);
        g_assert_cmpint(r.reset, ==, cases[i].reset);
        g_assert_cmpint(r.power_button, ==, cases[i].button);
        g_assert_cmpint(r.exit, ==, cases[i].exit);
        g_assert_cmpint(r.pause, ==, cases[i].pause);
        g_assert_cmpuint(nmis, ==, cases[i].nmis);
        if (r.exit)
            g_assert_cmpint(r.exit_status, ==, 0);
        if (r.pause)
            g_assert_cmpint(r.pause_state, ==, RUN_PAUSED);
        stop();
    }
}

static void be_quiet(void *opaque, const char *line) {}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    evloop_init();
    error_set_sink(be_quiet, NULL);
    g_test_add_func("/watchdog/stages", test_stages);
    g_test_add_func("/watchdog/lock", test_lock);
    g_test_add_func("/watchdog/actions", test_actions);
    return g_test_run();
}
