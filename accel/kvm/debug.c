/* SPDX-License-Identifier: MIT */
/*
 * Debugging under KVM: breakpoints are instructions written into guest memory, watchpoints (and breakpoints where no
 * memory is) take the CPU's debug registers, steps are the kernel's (kernel documentation: virt/kvm/api.rst, 4.87).
 */
#include "accel/kvm/kvm.h"

#include <string.h>
#include "accel/tcg/tcg.h"
#include "base/log.h"

typedef struct Patch {
    uint64_t va;
    uint8_t saved[KVM_BREAK_MAX];
} Patch;

/* Changed by the main thread while vCPUs are paused, read by them while they run. */
static GArray *patches; /* of Patch */
static GArray *hard;    /* of DebugPoint */
static unsigned generation;

static void make_tables(void)
{
    if (patches)
        return;
    patches = g_array_new(false, false, sizeof(Patch));
    hard = g_array_new(false, false, sizeof(DebugPoint));
}

static int find_patch(uint64_t va)
{
    for (unsigned i = 0; patches && i < patches->len; i++) {
        if (g_array_index(patches, Patch, i).va == va)
            return (int)i;
    }
    return -1;
}

/* The first CPU whose tables map it: kernels map their code alike on all. */
static bool patch(uint64_t va)
{
    Patch p = { .va = va };
    unsigned len = kvm.arch->break_len;
    for (unsigned i = 0; i < vcpu_count(); i++) {
        Vcpu *v = vcpu_get(i);
        if (v && guest_debug_read(v, va, p.saved, len) && guest_debug_write(v, va, kvm.arch->break_insn, len)) {
            g_array_append_val(patches, p);
            return true;
        }
    }
    return false;
}

/* What the guest has written over a breakpoint since stays. */
static void unpatch(unsigned number)
{
    const Patch p = g_array_index(patches, Patch, number);
    unsigned len = kvm.arch->break_len;
    uint8_t now[KVM_BREAK_MAX];
    g_array_remove_index_fast(patches, number);
    for (unsigned i = 0; i < vcpu_count(); i++) {
        Vcpu *v = vcpu_get(i);
        if (!v || !guest_debug_read(v, p.va, now, len))
            continue;
        if (!memcmp(now, kvm.arch->break_insn, len))
            guest_debug_write(v, p.va, p.saved, len);
        return;
    }
}

static void point_changed(const DebugPoint *p, bool added)
{
    make_tables();
    generation++;
    int n = find_patch(p->va);
    if (added) {
        if (p->kind == DEBUG_BREAK_SW && patch(p->va))
            return;
        g_array_append_val(hard, *p);
        if (hard->len > kvm.arch->hard_points)
            warn_reportf("debugger: the CPU has %u debug registers; a breakpoint or watchpoint at 0x%" G_GINT64_MODIFIER
                         "x has none left",
                         kvm.arch->hard_points, (guint64)p->va);
        return;
    }
    for (unsigned i = 0; i < hard->len; i++) {
        const DebugPoint *h = &g_array_index(hard, DebugPoint, i);
        if (h->va == p->va && (h->kind == p->kind || p->kind <= DEBUG_BREAK_HW)) {
            g_array_remove_index(hard, i);
            return;
        }
    }
    if (n >= 0 && p->kind <= DEBUG_BREAK_HW)
        unpatch((unsigned)n);
}

/* The debugger sees what the guest put there. */
static bool debug_read_hiding(Vcpu *v, uint64_t va, void *buf, unsigned len)
{
    if (!guest_debug_read(v, va, buf, len))
        return false;
    for (unsigned i = 0; patches && i < patches->len; i++) {
        const Patch *p = &g_array_index(patches, Patch, i);
        for (unsigned b = 0; b < kvm.arch->break_len; b++) {
            if (p->va + b - va < len)
                ((uint8_t *)buf)[p->va + b - va] = p->saved[b];
        }
    }
    return true;
}

static bool debug_write_around(Vcpu *v, uint64_t va, const void *buf, unsigned len)
{
    g_autofree uint8_t *out = g_memdup2(buf, len);
    for (unsigned i = 0; patches && i < patches->len; i++) {
        Patch *p = &g_array_index(patches, Patch, i);
        for (unsigned b = 0; b < kvm.arch->break_len; b++) {
            if (p->va + b - va >= len)
                continue;
            p->saved[b] = out[p->va + b - va];
            out[p->va + b - va] = kvm.arch->break_insn[b];
        }
    }
    return guest_debug_write(v, va, out, len);
}

const AccelDebugOps kvm_debug_ops = { .changed = point_changed,
                                      .read = debug_read_hiding,
                                      .write = debug_write_around };

void kvm_debug_apply(KvmVcpu *k)
{
    uint8_t step = k->v->debug.step;
    if (k->debug_generation == generation && !step && !k->debug_stepping)
        return;
    k->debug_generation = generation;
    k->debug_stepping = step != DEBUG_RUN;
    if (kvm.arch->set_debug && !kvm.arch->set_debug(k, hard ? (const DebugPoint *)hard->data : NULL,
                                                    hard ? hard->len : 0, patches && patches->len))
        log_unimp("kvm", "this kernel does not debug guests");
}

void kvm_debug_stopped(KvmVcpu *k, KvmDebugHit hit, uint64_t at)
{
    const DebugPoint *p = debug_find_break(at);
    switch (hit.what) {
    case KVM_HIT_BREAK_INSN:
        debug_stop_here(k->v, DEBUG_AT_BREAKPOINT, p, at);
        break;
    case KVM_HIT_POINT:
        p = &g_array_index(hard, DebugPoint, hit.point);
        debug_stop_here(k->v, p->kind <= DEBUG_BREAK_HW ? DEBUG_AT_BREAKPOINT : DEBUG_AT_WATCHPOINT, p,
                        p->kind <= DEBUG_BREAK_HW ? at : p->va);
        break;
    case KVM_HIT_STEP:
        debug_stop_here(k->v, p ? DEBUG_AT_BREAKPOINT : DEBUG_STEPPED, p, at);
        break;
    }
}

unsigned kvm_debug_points(void) { return hard ? hard->len : 0; }
