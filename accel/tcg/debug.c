/* SPDX-License-Identifier: MIT */
/*
 * Debugging under the translator: breakpoints end blocks, watched pages stay out of the fast TLB, steps are
 * interpreted.
 */
#include "accel/tcg/tcg.h"

/*
 * Breakpoints: no block holds one beyond its start, and the run loop looks before it runs or looks for a block; so
 * nothing is jumped to without that look: blocks at and over a new breakpoint are invalidated, which takes them out of
 * links and jump caches. Watchpoints: pages that hold watched data are marked in the second TLB level (PERM_WATCH) and
 * never get into the first. An access that meets one unwinds before it has any effect; then the whole instruction runs
 * alone with watchpoints off, unless the debugger wants to stop before it.
 */

bool tcg_at_breakpoint(Vcpu *v)
{
    unsigned bank;
    return debug_breakpoints && debug_find_break(v->arch->code_address(v, &bank));
}

unsigned tcg_insns_to_breakpoint(const IrBlock *b)
{
    unsigned n = 0;
    for (unsigned k = 0; debug_breakpoints && k < b->count; k++) {
        const IrInsn *i = &b->insn[k];
        if (i->op != IR_INSN)
            continue;
        if (n && debug_find_break(b->linear + (i->imm - b->pc)))
            return n;
        n++;
    }
    return 0;
}

void tcg_watch_slow(Vcpu *v, uint64_t va, unsigned size, bool write)
{
    TcgVcpu *t = tcg_vcpu(v);
    uint64_t at;
    const DebugPoint *p = t->watch_off || vcpu_current() != v ? NULL : debug_find_watch(va, size, write, &at);
    if (!p)
        return;
    v->debug.stop = (DebugStop){ .reason = DEBUG_AT_WATCHPOINT, .kind = p->kind, .va = at };
    t->watch_met = true;
    v->icount_left++; /* the instruction comes again */
    vcpu_unwind(v);
}

/* The instruction at v->pc has met a watchpoint: the stop is before or after it. */
static void stop_at_watch(Vcpu *v)
{
    TcgVcpu *t = tcg_vcpu(v);
    const GdbTarget *g = v->arch->gdb ? v->arch->gdb(v) : NULL;
    DebugStop met = v->debug.stop;
    const DebugPoint p = { .kind = met.kind };
    t->watch_met = false;
    if (!g || !g->stop_before_watch) {
        t->watch_off = true; /* until it is done, or faults: see run_guest() */
        debug_stop_here(v, DEBUG_AT_WATCHPOINT, &p, met.va);
        t->next_run = tcg_run_step(v);
        t->watch_off = false;
        return;
    }
    debug_stop_here(v, DEBUG_AT_WATCHPOINT, &p, met.va);
}

bool tcg_debug_asleep(Vcpu *v)
{
    const GdbTarget *g = v->arch->gdb ? v->arch->gdb(v) : NULL;
    if (v->powered_off) {
        debug_stop_here(v, DEBUG_STEPPED, NULL, v->pc);
        return true;
    }
    if (g && g->step_wakes)
        v->halted = false;
    return false;
}

bool tcg_debug_turn(Vcpu *v)
{
    TcgVcpu *t = tcg_vcpu(v);
    unsigned bank;
    if (t->watch_met) {
        stop_at_watch(v);
        return true;
    }
    if (v->debug.step) {
        t->next_run = tcg_run_step(v);
        if (!t->watch_met)
            debug_stop_here(v, DEBUG_STEPPED, NULL, v->pc);
        return true;
    }
    const DebugPoint *p = debug_find_break(v->arch->code_address(v, &bank));
    if (!p)
        return false;
    debug_stop_here(v, DEBUG_AT_BREAKPOINT, p, p->va);
    return true;
}

/* --- changes, vCPUs paused --- */
static void drop_blocks_at(uint64_t va)
{
    pthread_mutex_lock(&tcg.lock);
    for (unsigned i = 0; i < ARRAY_LEN(tcg.hash); i++) {
        for (Block *b = tcg.hash[i], *next; b; b = next) {
            next = b->hash_next;
            if (va - b->linear < b->guest_bytes)
                block_invalidate_locked(b);
        }
    }
    pthread_mutex_unlock(&tcg.lock);
}

static void flush(Vcpu *v, void *unused) { tlb_flush_all(v); }

static void changed(const DebugPoint *p, bool added)
{
    if (p->kind >= DEBUG_WATCH_WRITE) {
        for (unsigned i = 0; i < vcpu_count(); i++)
            if (vcpu_get(i) && vcpu_get(i)->accel_data)
                vcpu_run_on(vcpu_get(i), flush, NULL);
    } else if (added) {
        drop_blocks_at(p->va);
    }
}

const AccelDebugOps tcg_debug_ops = { .changed = changed, .read = guest_debug_read, .write = guest_debug_write };
