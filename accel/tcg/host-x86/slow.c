/* SPDX-License-Identifier: MIT */
/* The slow way of a guest access in generated code: walks, devices, page-crossing, code pages. */
#include "accel/tcg/host-x86/jit.h"
#include "accel/tcg/interp/interp.h"

static int leave(Vcpu *v, RunResult r)
{
    vcpu_sync(v);
    return SLOW_LEAVE + (int)r;
}

/* Blocks that have lost ranges, to be tried again. Under tcg.lock. */
static struct { uint64_t ram, pc, mode; } lost[256];
static unsigned losses;
static int64_t retry_at;

static void lose_ranges(Block *b, int64_t now)
{
    uint8_t *level = &jit_run_level[run_level_index(b->pc, b->mode)];
    *level = (uint8_t)MIN(*level + 1, RUNS_NONE);
    if (losses < ARRAY_LEN(lost))
        lost[losses].ram = b->ram, lost[losses].pc = b->pc, lost[losses++].mode = b->mode;
    if (losses == 1)
        retry_at = now + RUN_RETRY_NS;
    block_invalidate_locked(b);
}

void jit_retry_ranges(int64_t now)
{
    if (!losses || now < retry_at)
        return;
    while (losses--) {
        jit_run_level[run_level_index(lost[losses].pc, lost[losses].mode)] = RUNS_ALL;
        Block *b = block_find(lost[losses].ram, lost[losses].pc, lost[losses].mode, 0);
        if (b)
            block_invalidate_locked(b);
    }
    losses = 0;
}

/*
 * The range of a shared check is not plain RAM of one page, or would not hold over this access: take the variant
 * without ranges, and for longer when it happens often.
 */
static int leave_run(Vcpu *v, CallSite *s)
{
    tcg_vcpu(v)->stats.plain_exits++;
    int64_t now = clock_ns(CLOCK_REALTIME_NS);
    if (s->failures++ == 0)
        s->failed_at = now;
    if (s->failures == RUN_FAILURES) {
        s->failures = 0;
        pthread_mutex_lock(&tcg.lock);
        if (now - s->failed_at < RUN_FAILURES * RUN_FAILURE_NS && !atomic_load(&s->block->invalid))
            lose_ranges(s->block, now);
        pthread_mutex_unlock(&tcg.lock);
    }
    return leave(v, RUN_PLAIN);
}

static const TlbEntry *entry_or_unwind(Vcpu *v, uint64_t va, bool write, unsigned bank)
{
    const TlbEntry *e = tlb_lookup(v, va, write ? ACCESS_WRITE : ACCESS_READ, bank, false);
    if (!e)
        vcpu_unwind(v);
    return e;
}

/*
 * A store into the block that does it would change code that is being executed: the interpreter does that instruction.
 */
static bool hits_own_block(const CallSite *s, const TlbEntry *e, uint64_t va, unsigned size)
{
    return s->write && e->ram != NO_PAGE && page_is_code(e->ram) &&
           block_covers(s->block, e->ram + (va & ~TCG_PAGE_MASK), size);
}

static int by_bounce_buffer(Vcpu *v, const CallSite *s, uint64_t va)
{
    TcgVcpu *t = tcg_vcpu(v);
    if (s->lock && s->write)
        split_lock(v);
    if (s->read) {
        uint8_t *to = (uint8_t *)v->scratch;
        for (unsigned done = 0; done < s->size; done += 8) {
            unsigned n = MIN(8u, s->size - done);
            uint64_t part = guest_load(v, va + done, n, s->bank);
            memcpy(to + done, &part, n);
        }
    }
    t->commit_va = va, t->commit_ram = NO_PAGE;
    t->commit_size = s->size, t->commit_bank = s->bank;
    v->slow[0] = 0;
    v->slow[1] = (uintptr_t)v->scratch;
    return s->write ? SLOW_COMMIT : SLOW_DONE;
}

static int page_crossing(Vcpu *v, CallSite *s, uint64_t va)
{
    if (s->run || s->after_run)
        return leave_run(v, s);
    unsigned first = (unsigned)(TCG_PAGE_SIZE - (va & ~TCG_PAGE_MASK));
    if (hits_own_block(s, entry_or_unwind(v, va, s->write, s->bank), va, first) ||
        hits_own_block(s, entry_or_unwind(v, va + first, s->write, s->bank), va + first, s->size - first))
        return leave(v, RUN_STEP);
    return by_bounce_buffer(v, s, va);
}

/* The whole range of a shared check lies in this page, which is plain RAM for all its accesses. */
static bool run_fits(Vcpu *v, const CallSite *s, const TlbEntry *e, uint64_t low)
{
    uint64_t vpage = low & TCG_PAGE_MASK;
    if ((vpage ^ e->vpage) << 8 || (low & ~TCG_PAGE_MASK) + s->span > TCG_PAGE_SIZE || tlb_is_slow(e))
        return false;
    if (!s->span_write)
        return true;
    tlb_fill_fast(v, e, vpage, true);
    return v->tlb[s->bank].write[vpage >> TCG_PAGE_BITS & (TLB_SIZE - 1)] == vpage;
}

/* A table off a base register: faults are those of the access itself, so the variant without ranges has them. */
static int check_table(Vcpu *v, CallSite *s, uint64_t low)
{
    if ((s->align && low & (s->align - 1u)) || !tlb_lookup(v, low, ACCESS_READ, s->bank, true))
        return leave_run(v, s);
    const TlbEntry *e = tlb_lookup(v, low, ACCESS_READ, s->bank, false);
    if (!e || !e->host || !run_fits(v, s, e, low))
        return leave_run(v, s);
    v->slow[0] = low & ~TCG_PAGE_MASK;
    v->slow[1] = (uintptr_t)e->host;
    return SLOW_DONE;
}

int jit_slow_full(Vcpu *v)
{
    CallSite *s = (CallSite *)(void *)(codebuf_rw + v->call_site);
    TcgVcpu *t = tcg_vcpu(v);
    uint64_t low = t->slow_va, va = low + s->delta;
    t->stats.slow_accesses++;
    if (s->indexed)
        return check_table(v, s, low);
    if ((va & ~TCG_PAGE_MASK) + s->size > TCG_PAGE_SIZE)
        return page_crossing(v, s, va);
    const TlbEntry *e = entry_or_unwind(v, va, s->write, s->bank);
    tlb_check_slow(v, e, va, s->size, s->write ? ACCESS_WRITE : ACCESS_READ, s->bank);
    if (e->perm & PERM_WATCH) {
        if (s->run)
            return leave_run(v, s);
        if (s->read)
            tcg_watch(v, va, s->size, false);
        if (s->write)
            tcg_watch(v, va, s->size, true);
    }
    bool code = e->host && s->write && !(e->perm & PERM_ROM) && page_is_code(e->ram);
    bool plain = e->host && !code && !(s->write && e->perm & PERM_ROM);
    if (plain && (!s->run || run_fits(v, s, e, low))) {
        v->slow[0] = low & ~TCG_PAGE_MASK;
        v->slow[1] = (uintptr_t)e->host;
        return SLOW_DONE;
    }
    /* a device may change the memory map, and others may translate from the range meanwhile */
    if (s->run || (s->after_run && !code))
        return leave_run(v, s);
    if (!code)
        return by_bounce_buffer(v, s, va);
    if (hits_own_block(s, e, va, s->size))
        return leave(v, RUN_STEP);
    t->stats.page_stores++;
    t->commit_ram = e->ram + (va & ~TCG_PAGE_MASK);
    t->commit_size = s->size;
    v->slow[0] = va & ~TCG_PAGE_MASK;
    v->slow[1] = (uintptr_t)e->host;
    return SLOW_COMMIT;
}

void jit_commit(Vcpu *v)
{
    TcgVcpu *t = tcg_vcpu(v);
    if (t->commit_ram != NO_PAGE) {
        tcg_ram_written(t->commit_ram, t->commit_size);
        return;
    }
    const uint8_t *from = (const uint8_t *)v->scratch;
    for (unsigned done = 0; done < t->commit_size; done += 8) {
        unsigned n = MIN(8u, t->commit_size - done);
        uint64_t part = 0;
        memcpy(&part, from + done, n);
        guest_store(v, t->commit_va + done, n, part, t->commit_bank);
    }
    split_unlock(v);
}

uint64_t jit_misaligned(Vcpu *v, uint64_t va)
{
    const CallSite *s = (const CallSite *)(codebuf_rw + v->call_site);
    v->arch->misaligned(v, va, s->write ? ACCESS_WRITE : ACCESS_READ, s->align);
    vcpu_unwind(v);
}

void jit_interp_step(Vcpu *v, const IrInsn *i) { interp_step(v, i); }

/* --- precise state --- */
static uint64_t site_value(const Vcpu *v, unsigned kind, unsigned off, int32_t imm)
{
    return kind == VAL_MEM ? *(const uint64_t *)((const char *)v + off) : kind == VAL_IMM ? (uint64_t)(int64_t)imm : 0;
}
static bool in_memory(const SiteFlags *s) { return s->op >= FD_NATIVE; }
static LazyFlags site_lazy(const Vcpu *v, const SiteFlags *s)
{
    if (in_memory(s))
        return v->fl;
    return (LazyFlags){ .dst = site_value(v, s->dst_kind, s->dst_off, s->imm),
                        .src = site_value(v, s->src_kind, s->src_off, s->imm),
                        .src2 = s->src2,
                        .op = s->op };
}

void jit_sync(Vcpu *v)
{
    const CallSite *s = (const CallSite *)(codebuf_rw + v->call_site);
    v->call_site = 0;
    v->pc = s->pc;
    if (in_memory(&s->c) && in_memory(&s->r) && in_memory(&s->o))
        return;
    LazyFlags c = site_lazy(v, &s->c);
    if (!memcmp(&s->c, &s->r, sizeof s->c) && !memcmp(&s->c, &s->o, sizeof s->c)) {
        v->fl = c;
        return;
    }
    LazyFlags r = site_lazy(v, &s->r), o = site_lazy(v, &s->o);
    const uint32_t rest = FLAG_ALL & ~(FLAG_C | FLAG_O);
    flags_set_explicit(v, (flags_eval(&c) & FLAG_C) | (flags_eval(&o) & FLAG_O) | (flags_eval(&r) & rest));
}
