/* SPDX-License-Identifier: MIT */
/* Break- and watchpoints of the debugger, and the way of a stop from a vCPU to the main thread. */
#include "accel/debug.h"

#include <string.h>
#include "accel/accel.h"
#include "accel/guest-arch.h"
#include "base/evloop.h"

/* Written by the main thread while vCPUs are paused, read by them while they run. */
static GHashTable *breaks;  /* va -> DebugPoint */
static GPtrArray *watches;  /* of DebugPoint */
unsigned debug_breakpoints, debug_watchpoints;
static void (*handler)(void);
static _Atomic bool reporting;

static const AccelDebugOps *ops(void)
{
    const AccelType *a = accel_current();
    return a ? a->debug : NULL;
}

static void make_tables(void)
{
    if (breaks)
        return;
    breaks = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, g_free);
    watches = g_ptr_array_new_with_free_func(g_free);
}

static bool is_break(DebugKind kind) { return kind == DEBUG_BREAK_SW || kind == DEBUG_BREAK_HW; }

static void count(void)
{
    debug_breakpoints = g_hash_table_size(breaks);
    debug_watchpoints = watches->len;
}

static int find_same(DebugKind kind, uint64_t va, uint64_t len)
{
    for (unsigned i = 0; i < watches->len; i++) {
        const DebugPoint *p = watches->pdata[i];
        if (p->kind == kind && p->va == va && p->len == len)
            return (int)i;
    }
    return -1;
}

static void changed(const DebugPoint *p, bool added)
{
    count();
    if (ops() && ops()->changed)
        ops()->changed(p, added);
}

bool debug_point_add(DebugKind kind, uint64_t va, uint64_t len, Error **errp)
{
    make_tables();
    if (!ops() || !ops()->changed) {
        error_setf(errp, "the accelerator cannot set break- and watchpoints; use -accel tcg");
        return false;
    }
    if (debug_breakpoints + debug_watchpoints >= DEBUG_POINTS_MAX) {
        error_setf(errp, "more than %d break- and watchpoints", DEBUG_POINTS_MAX);
        return false;
    }
    if (!is_break(kind) && (!len || len > DEBUG_WATCH_BYTES_MAX || va + len - 1 < va)) {
        error_setf(errp, "a watchpoint covers 1 to %d bytes", DEBUG_WATCH_BYTES_MAX);
        return false;
    }
    if (is_break(kind) ? g_hash_table_contains(breaks, &va) : find_same(kind, va, len) >= 0)
        return true;
    DebugPoint *p = g_new(DebugPoint, 1);
    *p = (DebugPoint){ kind, va, len };
    if (is_break(kind))
        g_hash_table_insert(breaks, &p->va, p);
    else
        g_ptr_array_add(watches, p);
    changed(p, true);
    return true;
}

void debug_point_remove(DebugKind kind, uint64_t va, uint64_t len)
{
    make_tables();
    DebugPoint gone = { kind, va, len };
    if (is_break(kind)) {
        if (!g_hash_table_remove(breaks, &va))
            return;
    } else {
        int i = find_same(kind, va, len);
        if (i < 0)
            return;
        g_ptr_array_remove_index(watches, (guint)i);
    }
    changed(&gone, false);
}

void debug_points_clear(void)
{
    make_tables();
    while (watches->len) {
        DebugPoint p = *(const DebugPoint *)watches->pdata[0];
        debug_point_remove(p.kind, p.va, p.len);
    }
    g_hash_table_remove_all(breaks);
    count();
}

const DebugPoint *debug_find_break(uint64_t va) { return debug_breakpoints ? g_hash_table_lookup(breaks, &va) : NULL; }

const DebugPoint *debug_find_watch(uint64_t va, uint64_t len, bool write, uint64_t *at)
{
    DebugKind other = write ? DEBUG_WATCH_READ : DEBUG_WATCH_WRITE;
    for (unsigned i = 0; i < debug_watchpoints; i++) {
        const DebugPoint *p = watches->pdata[i];
        if (p->kind == other || va > p->va + (p->len - 1) || p->va > va + (len - 1))
            continue;
        *at = MAX(va, p->va);
        return p;
    }
    return NULL;
}

bool debug_page_watched(uint64_t va, uint64_t page_size)
{
    uint64_t page = va & ~(page_size - 1);
    for (unsigned i = 0; i < debug_watchpoints; i++) {
        const DebugPoint *p = watches->pdata[i];
        if (page <= p->va + (p->len - 1) && p->va <= page + (page_size - 1))
            return true;
    }
    return false;
}

/* --- stops --- */
void debug_set_handler(void (*stopped)(void)) { handler = stopped; }

static void report(void *opaque)
{
    atomic_store(&reporting, false);
    if (handler)
        handler();
}

void debug_stop_here(Vcpu *v, DebugReason reason, const DebugPoint *p, uint64_t va)
{
    v->debug.stop = (DebugStop){ .reason = reason, .kind = p ? p->kind : DEBUG_BREAK_SW, .va = va };
    v->debug.step = DEBUG_RUN;
    atomic_store(&v->debug.held, true);
    atomic_store(&v->exit_request, 1);
    if (!atomic_exchange(&reporting, true))
        evloop_defer(NULL, report, NULL);
}

void debug_set_run(Vcpu *v, bool held, DebugStep step)
{
    v->debug.stop = (DebugStop){ 0 };
    v->debug.step = (uint8_t)step;
    atomic_store(&v->debug.held, held);
}

void debug_release(void)
{
    debug_points_clear();
    for (unsigned i = 0; i < vcpu_count(); i++)
        if (vcpu_get(i))
            debug_set_run(vcpu_get(i), false, DEBUG_RUN);
}

/* --- memory --- */
bool debug_read(Vcpu *v, uint64_t va, void *buf, unsigned len)
{
    return ops() && ops()->read && ops()->read(v, va, buf, len);
}
bool debug_write(Vcpu *v, uint64_t va, const void *buf, unsigned len)
{
    return ops() && ops()->write && ops()->write(v, va, buf, len);
}
bool debug_read_phys(Vcpu *v, uint64_t pa, void *buf, unsigned len)
{
    return as_read(v->as, pa, buf, len, v->arch->attrs(v)) == MEM_OK;
}
bool debug_write_phys(Vcpu *v, uint64_t pa, const void *buf, unsigned len)
{
    return as_write_rom(v->as, pa, buf, len) == MEM_OK;
}

/* --- registers that are plain fields --- */
void gdb_get_greg(Vcpu *v, const GdbReg *r, uint8_t *buf) { gdb_reg_put(r, buf, v->g[r->arg]); }
bool gdb_set_greg(Vcpu *v, const GdbReg *r, const uint8_t *buf)
{
    v->g[r->arg] = gdb_reg_take(r, buf);
    return true;
}
void gdb_get_field(Vcpu *v, const GdbReg *r, uint8_t *buf) { memcpy(buf, (const uint8_t *)v + r->arg, r->bits / 8); }
bool gdb_set_field(Vcpu *v, const GdbReg *r, const uint8_t *buf)
{
    memcpy((uint8_t *)v + r->arg, buf, r->bits / 8);
    return true;
}
