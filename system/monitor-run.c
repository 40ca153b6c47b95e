/* SPDX-License-Identifier: MIT */
/* Monitor: running, stopping, resetting, saving; keys and buttons. */
#include <string.h>
#include "accel/vcpu.h"
#include "base/clock.h"
#include "base/opts.h"
#include "chardev/chardev.h"
#include "hw/input/ps2.h"
#include "system/gdbstub.h"
#include "system/monitor.h"
#include "system/run.h"
#include "system/settings.h"

static bool do_quit(Monitor *mon, int argc, char **argv, Error **errp)
{
    machine_request_shutdown(CAUSE_HOST_UI);
    return true;
}

static bool do_stop(Monitor *mon, int argc, char **argv, Error **errp)
{
    if (machine_run_state() == RUN_RUNNING)
        machine_pause(RUN_PAUSED);
    return true;
}

static bool do_cont(Monitor *mon, int argc, char **argv, Error **errp)
{
    RunState s = machine_run_state();
    if (s == RUN_SHUTDOWN || s == RUN_GUEST_PANICKED || s == RUN_INTERNAL_ERROR) {
        error_setf(errp, "cont: the machine is in state '%s'; use system_reset first", run_state_name(s));
        return false;
    }
    if (run_suspended()) {
        error_setf(errp, "cont: the guest sleeps; use system_wakeup");
        return false;
    }
    machine_resume();
    return true;
}

static bool do_gdbserver(Monitor *mon, int argc, char **argv, Error **errp)
{
    const char *dev = argc > 1 ? argv[1] : "tcp::1234";
    if (!gdbstub_start(dev, errp))
        return false;
    if (!strcmp(dev, "none"))
        monitor_printf(mon, "Disabled gdbserver\n");
    else
        monitor_printf(mon, "Waiting for gdb connection on device '%s'\n", dev);
    return true;
}

static bool do_system_reset(Monitor *mon, int argc, char **argv, Error **errp)
{
    machine_request_reset(CAUSE_HOST_UI);
    return true;
}

static bool do_system_powerdown(Monitor *mon, int argc, char **argv, Error **errp)
{
    machine_request_power_button();
    return true;
}

static bool do_system_wakeup(Monitor *mon, int argc, char **argv, Error **errp)
{
    if (!run_suspended()) {
        error_setf(errp, "system_wakeup: the guest does not sleep");
        return false;
    }
    machine_request_wakeup();
    return true;
}

static bool do_nmi(Monitor *mon, int argc, char **argv, Error **errp)
{
    Machine *m = machine_current();
    if (!m->type->nmi) {
        error_setf(errp, "nmi: machine '%s' has no such interrupt", m->type->name);
        return false;
    }
    m->type->nmi(m);
    return true;
}

static bool do_cpu(Monitor *mon, int argc, char **argv, Error **errp)
{
    uint64_t n;
    if (!parse_u64(argv[1], &n) || n >= vcpu_count() || !vcpu_get((unsigned)n)) {
        error_setf(errp, "cpu: '%s' is no CPU of this machine; it has %u", argv[1], vcpu_count());
        return false;
    }
    monitor_set_cpu(mon, (unsigned)n);
    return true;
}

/* ---- keyboard and mouse ---- */

/* Keys that sendkey holds down, and the timer that releases them. */
typedef struct HeldKeys {
    char **names;
    Timer *timer;
} HeldKeys;

static void release_keys(void *opaque)
{
    HeldKeys *h = opaque;
    for (unsigned n = g_strv_length(h->names); n-- > 0;)
        ps2_send_key(h->names[n], false);
    g_strfreev(h->names);
    timer_free(h->timer);
    g_free(h);
}

static bool press_keys(char **names, Error **errp)
{
    for (unsigned n = 0; names[n]; n++) {
        if (ps2_key_find(names[n]) < 0) {
            error_set_unknown(errp, "sendkey: key", names[n], ps2_key_names());
            return false;
        }
    }
    for (unsigned n = 0; names[n]; n++) {
        if (!ps2_send_key(names[n], true)) {
            error_setf(errp, "sendkey: this machine has no keyboard");
            return false;
        }
    }
    return true;
}

static bool do_sendkey(Monitor *mon, int argc, char **argv, Error **errp)
{
    uint64_t ms = 100;
    if (argc > 2 && (!parse_u64(argv[2], &ms) || ms > 60000)) {
        error_setf(errp, "sendkey: '%s' is no time in milliseconds up to 60000", argv[2]);
        return false;
    }
    g_auto(GStrv) names = g_strsplit(argv[1], "-", 16);
    if (!press_keys(names, errp))
        return false;
    HeldKeys *h = g_new0(HeldKeys, 1);
    h->names = g_steal_pointer(&names);
    h->timer = timer_new(CLOCK_REALTIME_NS, NULL, release_keys, h);
    timer_arm(h->timer, clock_ns(CLOCK_REALTIME_NS) + (int64_t)ms * 1000000);
    return true;
}

static void complete_sendkey(unsigned n, GPtrArray *out)
{
    for (const char *const *k = ps2_key_names(); n == 1 && *k; k++)
        g_ptr_array_add(out, g_strdup(*k));
}

static bool send_mouse(int dx, int dy, int dz, unsigned buttons, Error **errp)
{
    if (ps2_send_mouse(dx, dy, dz, buttons))
        return true;
    error_setf(errp, "this machine has no mouse");
    return false;
}

static bool parse_motion(const char *text, int *out, Error **errp)
{
    gint64 v;
    if (!g_ascii_string_to_signed(text, 10, -10000, 10000, &v, NULL)) {
        error_setf(errp, "mouse_move: '%s' is not a number from -10000 to 10000", text);
        return false;
    }
    *out = (int)v;
    return true;
}

static bool do_mouse_move(Monitor *mon, int argc, char **argv, Error **errp)
{
    int d[3] = { 0 };
    for (int i = 1; i < argc; i++) {
        if (!parse_motion(argv[i], &d[i - 1], errp))
            return false;
    }
    return send_mouse(d[0], d[1], d[2], 0, errp);
}

static bool do_mouse_button(Monitor *mon, int argc, char **argv, Error **errp)
{
    uint64_t mask;
    if (!parse_u64(argv[1], &mask) || mask > 31) {
        error_setf(errp, "mouse_button: '%s' is no sum of 1 (left), 2 (right), 4 (middle), 8, 16", argv[1]);
        return false;
    }
    return send_mouse(0, 0, 0, (unsigned)mask, errp);
}

/* ---- character devices ---- */

static Chardev *find_chardev(const char *id, Error **errp)
{
    Chardev *c = chardev_find(id);
    if (!c)
        error_setf(errp, "character device '%s': no such one; 'info chardev' lists them", id);
    return c;
}

static bool do_send_break(Monitor *mon, int argc, char **argv, Error **errp)
{
    Chardev *c = find_chardev(argv[1], errp);
    if (c)
        chardev_send_break(c);
    return c != NULL;
}

static bool do_ringbuf_read(Monitor *mon, int argc, char **argv, Error **errp)
{
    uint64_t max;
    size_t len;
    Chardev *c = find_chardev(argv[1], errp);
    if (!c)
        return false;
    if (!parse_u64(argv[2], &max) || max > 1024 * 1024) {
        error_setf(errp, "ringbuf_read: '%s' is no size up to 1048576", argv[2]);
        return false;
    }
    g_autofree char *text = chardev_ringbuf_read(c, (size_t)max, &len, errp);
    if (!text)
        return false;
    g_string_append_len(monitor_out(mon), text, (gssize)len);
    monitor_printf(mon, "\n");
    return true;
}

static bool do_ringbuf_write(Monitor *mon, int argc, char **argv, Error **errp)
{
    Chardev *c = find_chardev(argv[1], errp);
    if (c)
        chardev_write_all(c, argv[2], strlen(argv[2]));
    return c != NULL;
}

static bool do_watchdog_action(Monitor *mon, int argc, char **argv, Error **errp)
{
    return policy_set_action(NULL, "watchdog", argv[1], errp);
}

const MonitorCommand monitor_commands_run[] = {
    { "quit|q", NULL, "end the program", 0, 0, false, do_quit },
    { "stop|s", NULL, "pause the machine", 0, 0, false, do_stop },
    { "cont|c", NULL, "let a paused machine run", 0, 0, false, do_cont },
    { "gdbserver", "[DEV]", "wait for GDB on DEV (tcp::1234), or stop that (none)", 0, 1, false, do_gdbserver },
    { "system_reset", NULL, "reset the machine", 0, 0, false, do_system_reset },
    { "system_powerdown", NULL, "press the power button", 0, 0, false, do_system_powerdown },
    { "system_wakeup", NULL, "wake a guest that sleeps (S3)", 0, 0, false, do_system_wakeup },
    { "nmi", NULL, "send a non-maskable interrupt", 0, 0, false, do_nmi },
    { "watchdog_action", "ACTION", "what a watchdog leads to from now on, as -action watchdog=ACTION", 1, 1, false,
      do_watchdog_action },
    { "cpu", "N", "commands are about CPU N from now on", 1, 1, false, do_cpu },
    { "sendkey", "KEY[-KEY...] [MS]", "press keys together, for MS milliseconds (100)", 1, 2, false, do_sendkey,
      complete_sendkey },
    { "mouse_move", "DX DY [DZ]", "move the mouse", 2, 3, false, do_mouse_move },
    { "mouse_button", "MASK", "hold mouse buttons: 1 left, 2 right, 4 middle", 1, 1, false, do_mouse_button },
    { "chardev-send-break", "ID", "send a break on a character device", 1, 1, false, do_send_break },
    { "ringbuf_read", "ID SIZE", "read from a ring buffer character device", 2, 2, false, do_ringbuf_read },
    { "ringbuf_write", "ID TEXT", "write to a ring buffer character device", 2, 2, true, do_ringbuf_write },
    { 0 },
};
