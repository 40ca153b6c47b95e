/* SPDX-License-Identifier: MIT */
/* The GDB stub: the connection, packets with their checksums, and the machine's running and stopping. */
#include "system/gdbstub.h"

#include <stdarg.h>
#include <string.h>
#include "base/clock.h"
#include "base/evloop.h"
#include "base/log.h"
#include "chardev/chardev.h"
#include "system/gdbstub-internal.h"
#include "system/run.h"

GdbStub gdb;

/* ---- texts ---- */

static int hex_digit(char c) { return g_ascii_xdigit_value(c); }

bool gdb_get_number(const char **p, uint64_t *out)
{
    const char *start = *p;
    *out = 0;
    for (; hex_digit(**p) >= 0 && *p - start < 16; ++*p)
        *out = *out << 4 | (unsigned)hex_digit(**p);
    return *p != start && hex_digit(**p) < 0;
}

bool gdb_get_bytes(const char **p, uint8_t *out, size_t n)
{
    for (size_t i = 0; i < n; i++, *p += 2) {
        int high = hex_digit((*p)[0]), low = high < 0 ? -1 : hex_digit((*p)[1]);
        if (low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

void gdb_put(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    g_string_append_vprintf(gdb.reply, fmt, ap);
    va_end(ap);
}

void gdb_put_hex(const void *data, size_t len)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < len; i++) {
        g_string_append_c(gdb.reply, "0123456789abcdef"[p[i] >> 4]);
        g_string_append_c(gdb.reply, "0123456789abcdef"[p[i] & 15]);
    }
}

void gdb_put_escaped(const char *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char c = data[i];
        if (c == '#' || c == '$' || c == '}' || c == '*') {
            g_string_append_c(gdb.reply, '}');
            c ^= 0x20;
        }
        g_string_append_c(gdb.reply, c);
    }
}

void gdb_error(unsigned number) { g_string_printf(gdb.reply, "E%02x", number); }

/* ---- packets out ---- */

void gdb_send(const char *body, size_t len)
{
    if (!gdb.attached)
        return;
    unsigned sum = 0;
    for (size_t i = 0; i < len; i++)
        sum += (uint8_t)body[i];
    g_string_truncate(gdb.last, 0);
    g_string_append_c(gdb.last, '$');
    g_string_append_len(gdb.last, body, (gssize)len);
    g_string_append_printf(gdb.last, "#%02x", sum & 0xff);
    chardev_write_all(gdb.chr, gdb.last->str, gdb.last->len);
}

/* ---- running and stopping ---- */

void gdb_resume(bool stepping)
{
    gdb.running = true;
    if (run_suspended())
        return; /* the guest sleeps: waking it lets it go on */
    machine_resume();
    if (stepping && gdb.sstep & GDB_SSTEP_NOTIMER)
        clock_virtual_enable(false);
}

void gdb_pause(void)
{
    if (machine_run_state() == RUN_RUNNING)
        machine_pause(RUN_DEBUG);
}

void gdb_report_stop(unsigned signal, const Vcpu *v)
{
    const char *const watch[] = {
        [DEBUG_WATCH_WRITE] = "watch", [DEBUG_WATCH_READ] = "rwatch", [DEBUG_WATCH_ACCESS] = "awatch"
    };
    const DebugStop *s = &v->debug.stop;
    gdb.running = false;
    gdb.reg_cpu = gdb.run_cpu = v->index;
    g_string_printf(gdb.reply, "T%02xthread:%02x;", signal, v->index + 1);
    if (s->reason == DEBUG_AT_WATCHPOINT)
        gdb_put("%s:%" G_GINT64_MODIFIER "x;", watch[s->kind], s->va);
    else if (s->reason == DEBUG_AT_BREAKPOINT && (s->kind == DEBUG_BREAK_SW ? gdb.swbreak : gdb.hwbreak))
        gdb_put("%s:;", s->kind == DEBUG_BREAK_SW ? "swbreak" : "hwbreak");
}

static void report_now(unsigned signal, const Vcpu *v)
{
    gdb_report_stop(signal, v);
    gdb_send(gdb.reply->str, gdb.reply->len);
}

/* Some vCPU has stopped by itself. */
static void vcpu_stopped(void)
{
    gdb_pause();
    for (unsigned i = 0; gdb.running && i < vcpu_count(); i++) {
        const Vcpu *v = vcpu_get(i);
        if (v && v->debug.stop.reason != DEBUG_NONE && atomic_load(&v->debug.held))
            report_now(5, v);
    }
}

/* The machine stands for another reason than the debugger's: `stop` in the monitor, a panic, the end. */
static void state_changed(void *opaque)
{
    RunState s = machine_run_state();
    if (!gdb.chr || !gdb.running || s == RUN_RUNNING || s == RUN_DEBUG || s == RUN_SAVING || s == RUN_LOADING ||
        run_suspended())
        return;
    static const uint8_t signals[] = {
        [RUN_PAUSED] = 2, [RUN_SHUTDOWN] = 3, [RUN_GUEST_PANICKED] = 6, [RUN_INTERNAL_ERROR] = 6
    };
    Vcpu *v = gdb_vcpu(gdb.run_cpu);
    if (v)
        report_now(s < G_N_ELEMENTS(signals) && signals[s] ? signals[s] : 2, v);
}

static void run_state_hook(RunState s)
{
    for (unsigned i = 0; s == RUN_RUNNING && !gdb.running && i < vcpu_count(); i++) /* `cont` in the monitor */
        if (gdb_vcpu(i))
            debug_set_run(gdb_vcpu(i), false, DEBUG_RUN);
    if (s != RUN_RUNNING && gdb.running)
        evloop_defer(NULL, state_changed, NULL); /* a reset pauses and goes on */
}

/* The client's Ctrl-C. */
static void interrupt(void)
{
    Vcpu *v = gdb_vcpu(gdb.run_cpu);
    if (!gdb.running || !v)
        return;
    gdb_pause();
    report_now(2, v);
}

void gdb_client_gone(bool go_on)
{
    RunState s = machine_run_state();
    gdb.running = false;
    gdb.ended = true;
    gdb_pause();
    debug_release();
    if (s == RUN_RUNNING || (go_on && !run_suspended() && (s == RUN_DEBUG || s == RUN_PAUSED || s == RUN_PRELAUNCH)))
        machine_resume();
}

void gdb_quit(void)
{
    gdb.ended = true;
    info_reportf("ended by the debugger");
    machine_request_shutdown(CAUSE_HOST_UI);
}

void gdbstub_exit(int status)
{
    if (!gdb.chr || !gdb.attached || gdb.ended)
        return;
    char text[8];
    g_snprintf(text, sizeof text, "W%02x", (unsigned)status & 0xff);
    gdb_send(text, strlen(text));
}

/* ---- packets in ---- */

static void packet_done(void)
{
    if (!gdb.no_ack)
        chardev_write_all(gdb.chr, "+", 1);
    g_string_truncate(gdb.reply, 0);
    if (gdb_command(gdb.in->str, gdb.in->len))
        gdb_send(gdb.reply->str, gdb.reply->len);
    if (gdb.want_no_ack)
        gdb.no_ack = true;
    gdb.want_no_ack = false;
}

static void idle_byte(uint8_t c)
{
    if (c == '$') {
        g_string_truncate(gdb.in, 0);
        gdb.sum = 0;
        gdb.state = GDB_BODY;
    } else if (c == 3) {
        interrupt();
    } else if (c == '-' && !gdb.no_ack && gdb.last->len) {
        chardev_write_all(gdb.chr, gdb.last->str, gdb.last->len);
    }
}

static void body_byte(uint8_t c)
{
    if (c == '$') { /* the rest of the last packet was lost */
        idle_byte(c);
    } else if (c == '#') {
        gdb.state = GDB_SUM1;
    } else if (gdb.in->len == GDB_PACKET_MAX) {
        gdb.state = GDB_TOO_LONG;
    } else {
        g_string_append_c(gdb.in, (char)c);
        gdb.sum += c;
    }
}

static void sum_byte(uint8_t c)
{
    int digit = hex_digit((char)c);
    if (gdb.state == GDB_SUM1) {
        gdb.wire_sum = digit < 0 ? 0x100 : (unsigned)digit << 4;
        gdb.state = GDB_SUM2;
        return;
    }
    gdb.state = GDB_IDLE;
    if (digit >= 0 && ((gdb.wire_sum | (unsigned)digit) == (gdb.sum & 0xff) || gdb.no_ack))
        packet_done();
    else if (!gdb.no_ack)
        chardev_write_all(gdb.chr, "-", 1);
}

/* Skips the rest of a packet that is longer than qSupported allowed. */
static void long_byte(uint8_t c)
{
    if (c != '#')
        return;
    gdb.state = GDB_IDLE;
    if (!gdb.no_ack)
        chardev_write_all(gdb.chr, "+", 1);
    gdb_send("E22", 3);
}

static size_t can_read(void *opaque) { return 4096; }

static void receive(void *opaque, const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len && gdb.attached; i++) {
        if (gdb.ended) /* a new conversation on a line that is never closed */
            gdb.ended = data[i] != '$';
        if (gdb.ended)
            continue;
        switch (gdb.state) {
        case GDB_IDLE: idle_byte(data[i]); break;
        case GDB_BODY: body_byte(data[i]); break;
        case GDB_TOO_LONG: long_byte(data[i]); break;
        default: sum_byte(data[i]); break;
        }
    }
}

static void client_came(void)
{
    gdb.state = GDB_IDLE;
    gdb.attached = true;
    gdb.no_ack = gdb.want_no_ack = gdb.swbreak = gdb.hwbreak = gdb.running = gdb.ended = gdb.phys = false;
    gdb.sstep = GDB_SSTEP_ALL;
    gdb.reg_cpu = gdb.run_cpu = 0;
    g_string_truncate(gdb.last, 0);
    gdb_pause();
}

static void event(void *opaque, ChardevEvent ev)
{
    if (ev == CHR_OPENED && !gdb.attached)
        client_came();
    if (ev == CHR_CLOSED && gdb.attached) {
        if (!gdb.ended)
            gdb_client_gone(false); /* it may come back to where it was */
        gdb.attached = false;
    }
}

static void stop_stub(void)
{
    if (!gdb.chr)
        return;
    if (gdb.attached && !gdb.ended)
        gdb_client_gone(true);
    chardev_detach(gdb.chr, &gdb);
    g_string_free(gdb.in, TRUE);
    g_string_free(gdb.reply, TRUE);
    g_string_free(gdb.last, TRUE);
    g_free(gdb.xml);
    gdb = (GdbStub){ 0 };
}

/* Sockets listen unless they are told not to. */
static char *as_server(const char *dev)
{
    bool socket = g_str_has_prefix(dev, "tcp:") || g_str_has_prefix(dev, "unix:");
    return g_strdup_printf("%s%s%s", dev, socket && !strstr(dev, "server") ? ",server=on" : "",
                           socket && !strstr(dev, "wait") ? ",wait=off" : "");
}

bool gdbstub_start(const char *dev, Error **errp)
{
    static unsigned number;
    g_autofree char *text = as_server(dev), *id = g_strdup_printf("gdb%u", number++);
    bool none = false;
    stop_stub();
    Chardev *c = chardev_new_short(id, text, &none, errp);
    if (!c && none)
        return true;
    ChardevFrontend fe = { .can_read = can_read, .receive = receive, .event = event, .opaque = &gdb };
    if (!c) {
        error_prependf(errp, "-gdb '%s'", dev);
        return false;
    }
    if (!gdb_target()) {
        error_setf(errp, "-gdb: the CPUs of this machine have no register tables for a debugger");
        return false;
    }
    gdb = (GdbStub){ .chr = c, .in = g_string_new(NULL), .reply = g_string_new(NULL), .last = g_string_new(NULL) };
    debug_set_handler(vcpu_stopped);
    machine_add_state_listener(run_state_hook);
    if (chardev_attach(c, &fe, errp))
        return true;
    gdb.chr = NULL;
    return false;
}
