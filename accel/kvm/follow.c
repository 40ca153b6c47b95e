/* SPDX-License-Identifier: MIT */
/*
 * Accesses that come close after each other: instead of an exit for each, the vCPU's thread goes on behind the first
 * with the translator's interpreter, as long as device accesses are what the guest does, then gives the registers back.
 * For a loop that polls a register that is one exit in some hundred accesses.
 */
#include "accel/kvm/kvm.h"

#include <string.h>
#include "accel/tcg/tcg.h"
#include "base/clock.h"

enum {
    PATIENCE = 16, PAUSE_MAX = 4096, /* exits until it is tried: first, and at most after it did not pay */
    WORTH = 6,                       /* accesses that pay: entering and leaving takes up to three ioctls */
    STRAY = 64,                      /* instructions in a row without an access */
    /* interrupts that the kernel holds wait that long at most; the clock is read each LOOK accesses */
    TURN_NS = 50000, LOOK = 16,
    CACHE = 256, OPS = 12, FETCH = 16,
};

/* An instruction as it stood in memory, ready to be run. Its bytes are compared each time. */
typedef struct Insn {
    uint64_t pc, linear, mode;
    uint8_t code[FETCH], len; /* len 0: empty */
    uint8_t count;            /* of ops; 0: the kernel's */
    IrInsn ir[OPS];
} Insn;

struct KvmFollow {
    uint64_t accesses;        /* of devices, altogether */
    uint64_t page;            /* linear address of the page that `host` is */
    const uint8_t *host;
    hwaddr phys;
    unsigned map;             /* the memory map at the start of this turn */
    uint64_t interrupts;
    int64_t until;
    Insn cache[CACHE];
};

/* Softmmu, before an access of a device. */
static bool allow_access(Vcpu *v, const AddressSpace *as, hwaddr at)
{
    bool port = as == v->machine->as_io;
    if (kvm.arch->kernel_has(v->kvm, port, at) || kvm_ioevents_at(port, at))
        return false;
    kvm_ioevents_flush(); /* what other vCPUs have written before */
    v->kvm->follow->accesses++;
    return true;
}

static bool find_page(Vcpu *v, struct KvmFollow *f, uint64_t linear, unsigned bank)
{
    uint64_t page = linear & TCG_PAGE_MASK;
    if (f->host && f->page == page)
        return true;
    const TlbEntry *e = tlb_lookup(v, linear, ACCESS_FETCH, bank, false);
    if (!e || !e->host || tlb_is_slow(e))
        return false;
    f->page = page, f->host = e->host, f->phys = e->phys;
    return true;
}

/* From a copy: what has been looked at is what will be run, whatever other vCPUs write. */
static void translate(Vcpu *v, Insn *i, const uint8_t *code, unsigned avail, uint64_t linear, const struct KvmFollow *f)
{
    TcgVcpu *t = tcg_vcpu(v);
    uint8_t *copy = t->code_copy + (linear & ~TCG_PAGE_MASK);
    CodeMap map = {
        .vpage = f->page, .ram = NO_PAGE, .host = t->code_copy, .phys = f->phys, .page_bits = TCG_PAGE_BITS
    };
    memcpy(copy, code, avail);
    *i = (Insn){ .pc = v->pc, .linear = linear, .mode = v->mode, .len = (uint8_t)avail };
    memcpy(i->code, copy, avail);
    unsigned len = kvm.arch->may_follow(v, i->code, avail);
    if (!len)
        return;
    tcg_make_ir(v, linear, &map, 1);
    if (t->ir->count > OPS)
        return;
    i->len = (uint8_t)len;
    i->count = (uint8_t)t->ir->count;
    memcpy(i->ir, t->ir->insn, t->ir->count * sizeof(i->ir[0]));
}

static const Insn *next_insn(Vcpu *v, struct KvmFollow *f)
{
    unsigned bank;
    uint64_t linear = v->arch->code_address(v, &bank), offset = linear & ~TCG_PAGE_MASK;
    if (!find_page(v, f, linear, bank))
        return NULL;
    const uint8_t *code = f->host + offset;
    /* an instruction that goes on in the next page is the kernel's */
    unsigned avail = MIN(FETCH, (unsigned)(TCG_PAGE_SIZE - offset));
    Insn *i = &f->cache[v->pc & (CACHE - 1)];
    if (!i->len || i->pc != v->pc || i->linear != linear || i->mode != v->mode || memcmp(i->code, code, i->len))
        translate(v, i, code, avail, linear, f);
    return i->count ? i : NULL;
}

/* Something wants the vCPU's loop, or the kernel's view of it has changed. */
static bool must_stop(Vcpu *v, const struct KvmFollow *f)
{
    return atomic_load_explicit(&v->exit_request, memory_order_relaxed) || kvm_slots_changes() != f->map ||
           kvm_interrupts() != f->interrupts || (!(f->accesses % LOOK) && clock_ns(CLOCK_REALTIME_NS) > f->until);
}

static void run(Vcpu *v, struct KvmFollow *f)
{
    for (unsigned stray = 0; stray < STRAY; stray++) {
        uint64_t before = f->accesses;
        const Insn *i = next_insn(v, f);
        if (!i)
            return;
        interp_run(v, i->ir, i->count, NULL);
        if (f->accesses == before)
            continue;
        if (must_stop(v, f))
            return;
        stray = 0;
    }
}

/*
 * In an RCU read section. An instruction that faults, or accesses what is the kernel's, is left to the kernel: nothing
 * of it has been done.
 */
static void run_guarded(Vcpu *v, struct KvmFollow *f)
{
    if (!sigsetjmp(v->unwind, 0))
        run(v, f);
    v->call_site = 0;
    split_unlock(v);
}

unsigned kvm_follow_run(KvmVcpu *k)
{
    Vcpu *v = k->v;
    TcgVcpu *t = tcg_vcpu(v);
    if (!k->follow)
        k->follow = g_new0(struct KvmFollow, 1);
    t->allow_access = allow_access;
    struct KvmFollow *f = k->follow;
    uint64_t before = f->accesses;
    f->host = NULL;
    f->map = kvm_slots_changes();
    f->interrupts = kvm_interrupts();
    f->until = clock_ns(CLOCK_REALTIME_NS) + TURN_NS;
    rcu_read_lock();
    atomic_store(&t->in_guest, true);
    tlb_forget(v);
    run_guarded(v, f);
    atomic_store(&t->in_guest, false);
    rcu_read_unlock();
    t->allow_access = NULL;
    return (unsigned)(f->accesses - before);
}

void kvm_follow(KvmVcpu *k)
{
    if (!kvm.follow || k->follow_wait-- > 0)
        return;
    bool possible = !k->failed && !debug_breakpoints && !debug_watchpoints && !k->v->debug.step && !kvm_slots_logging();
    unsigned done = possible ? kvm.arch->follow(k) : 0;
    k->followed += done;
    k->turns += done != 0;
    k->follow_pause = done >= WORTH ? 0 : CLAMP(k->follow_pause * 2, PATIENCE, PAUSE_MAX);
    k->follow_wait = (int)k->follow_pause;
}

void kvm_follow_init(KvmVcpu *k) { k->follow_wait = PATIENCE; }

void kvm_follow_free(KvmVcpu *k)
{
    g_clear_pointer(&k->follow, g_free);
}
