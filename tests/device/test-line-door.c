/* SPDX-License-Identifier: MIT */
/*
 * The interrupt line of virtio over MMIO by file descriptor: raised once, lowered by the guest's end of interrupt,
 * raised again if there is a cause.
 */
#include "hw/core/event-doors.h"
#include "hw/core/line-door.h"
#include "virtio-rig.h"

enum { GSI = 5, SECOND = 1000 };
static struct { int gsi, fd, resample; unsigned opened, level, sets; bool refuse; } line;

static bool line_fd(unsigned gsi, int fd, int resample_fd, bool assign)
{
    if (assign && line.refuse)
        return false;
    line.gsi = assign ? (int)gsi : -1;
    line.fd = fd;
    line.resample = resample_fd;
    line.opened += assign;
    return true;
}

static void set_wire(void *opaque, int n, int level)
{
    line.sets++;
    line.level = level != 0;
}

static VRig rig(void)
{
    static const EventDoors doors = { .notifiers = true, .line_fd = line_fd };
    event_doors_set(&doors);
    line.gsi = -1;
    line.opened = line.level = 0;
    Machine *m = vrig_machine();
    device_connect(device_find("mmio"), "irq", 0, (Irq){ .set = set_wire, .host_line = 1 + GSI });
    VRig r = { .m = m, .d = bare_add("virtio-rng-device") };
    device_reset_all();
    vrig_start(&r, 0, 1);
    return r;
}

static void end(VRig *r)
{
    vrig_free(r);
    g_assert_cmpint(line.gsi, ==, -1);
    event_doors_set(NULL);
}

static void answer(VRig *r)
{
    unsigned slot;
    uint32_t len;
    vrig_add_buffer(r, 0, NULL, 0, 8);
    vrig_set(r, 0x50, RIG_NOTIFY, 4, 0);
    g_assert_true(vrig_used(r, 0, SECOND, &slot, &len));
}

static bool raised(void)
{
    uint64_t n = 0;
    return read(line.fd, &n, sizeof(n)) == sizeof(n);
}

static void end_of_interrupt(void)
{
    g_assert_cmpint(write(line.resample, &(uint64_t){ 1 }, 8), ==, 8);
    for (unsigned i = 0; i < 10; i++)
        evloop_iterate(false);
}

static void test_line(void)
{
    VRig r = rig();
    g_assert_cmpint(line.gsi, ==, GSI);
    line.sets = 0;
    g_assert_false(raised());
    answer(&r);
    g_assert_true(raised());
    answer(&r); /* it is up already */
    g_assert_false(raised());
    vrig_set(&r, 0x64, 0, 4, 1);
    g_assert_cmphex(vrig_get(&r, 0x60, 0, 4), ==, 0);
    end_of_interrupt();
    g_assert_false(raised());
    answer(&r);
    g_assert_true(raised());
    end_of_interrupt(); /* without having looked: it comes again */
    g_assert_true(raised());
    vrig_set(&r, 0x64, 0, 4, 1);
    answer(&r); /* between the two: it waits for the end */
    g_assert_false(raised());
    end_of_interrupt();
    g_assert_true(raised());
    g_assert_cmpuint(line.sets, ==, 0);
    g_autoptr(GString) said = g_string_new(NULL);
    device_find("mmio")->type->info(device_find("mmio"), said);
    g_assert_nonnull(strstr(said->str, "interrupts by file descriptor"));

    vrig_set(&r, 0x70, 20, 1, 0); /* the driver goes */
    g_assert_cmpint(line.gsi, ==, -1);
    g_assert_cmpuint(line.level, ==, 0);
    vrig_start(&r, 0, 1);
    g_assert_cmpuint(line.opened, ==, 2);
    device_reset_all();
    g_assert_cmpint(line.gsi, ==, -1);
    end(&r);
}

/* What was up when it was saved is up again, as a signal of the new time. */
static void test_saved(void)
{
    VRig r = rig();
    answer(&r);
    g_assert_true(raised());
    StateWriter *w = state_writer_new();
    device_save_all(w);
    g_autoptr(GBytes) stream = state_writer_finish(w);
    for (unsigned i = 0; i < 2; i++) { /* over a machine that runs, and over one after reset */
        Error *err = NULL;
        if (i)
            device_reset_all();
        StateReader *reader = state_reader_new(stream, &err);
        g_assert_true(device_load_all(reader, &err));
        state_reader_free(reader);
        g_assert_cmpuint(line.opened, ==, i + 2);
        g_assert_cmpuint(line.level, ==, 0);
        g_assert_true(raised());
    }
    end(&r);
}

static void test_refused(void)
{
    line.refuse = true;
    VRig r = rig();
    answer(&r);
    g_assert_cmpuint(line.level, ==, 1);
    vrig_set(&r, 0x64, 0, 4, 1);
    g_assert_cmpuint(line.level, ==, 0);
    end(&r);
    line.refuse = false;
}

int main(int argc, char **argv)
{
    evloop_init();
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/line-door/line", test_line);
    g_test_add_func("/line-door/saved", test_saved);
    g_test_add_func("/line-door/refused", test_refused);
    return g_test_run();
}
