/* SPDX-License-Identifier: MIT */
/* The run loop: work, pause, events, exceptions, blocks. */
#include "accel/tcg/tcg.h"

/*
 * --- jump cache keys: a number per (flush generation, mode, asid), in bits 62:48, so that tags = pc ^ key of canonical
 * addresses never collide; the bits below are random, so that a guest can't make a pc that is not canonical look like
 * another one's tag ---
 */
enum { JC_GENERATIONS = 1 << 15 };

static uint64_t new_key(Vcpu *v)
{
    TcgVcpu *t = tcg_vcpu(v);
    if (++t->jc_generation == JC_GENERATIONS) {
        memset(v->jump_cache, 0xff, sizeof v->jump_cache);
        memset(t->jc_mode, 0, sizeof t->jc_mode);
        t->jc_generation = 1;
    }
    return (uint64_t)t->jc_generation << 48 | (uint64_t)(g_random_int() & 0xffff) << 32 | g_random_int();
}

static unsigned jc_mode_slot(uint64_t mode, uint32_t base, uint32_t asid)
{
    return (unsigned)((mode ^ (uint64_t)base << 24 ^ (uint64_t)asid << 40) * UINT64_C(0x9e3779b97f4a7c15) >> 58) &
           (JC_MODES - 1);
}

/* The key of this mode: of its own asid when it has entries on pages that are not global, else of all. */
static uint64_t jc_key_of(Vcpu *v, uint64_t mode, uint32_t base)
{
    TcgVcpu *t = tcg_vcpu(v);
    typeof(&t->jc_mode[0]) local = &t->jc_mode[jc_mode_slot(mode, base, t->asid)],
                           all = &t->jc_mode[jc_mode_slot(mode, base, TLB_ANY_ASID)];
    if (local->key && local->local && local->mode == mode && local->base == base && local->asid == t->asid)
        return local->key;
    /* forgets a key, not its use: its entries no longer match */
    if (!all->key || all->local || all->mode != mode || all->base != base) {
        uint64_t key = new_key(v);
        all->mode = mode, all->base = base, all->key = key, all->local = false;
    }
    return all->key;
}

static uint32_t code_base(const Vcpu *v) /* where code segments have bases: tags only hold the pc */
{
    unsigned bank;
    return (uint32_t)(v->arch->code_address(v, &bank) - v->pc);
}

/* The present mode has got an entry on a page that is not global. */
static void jc_make_local(Vcpu *v)
{
    TcgVcpu *t = tcg_vcpu(v);
    uint32_t base = code_base(v);
    typeof(&t->jc_mode[0]) all = &t->jc_mode[jc_mode_slot(v->mode, base, TLB_ANY_ASID)];
    if (all->key != v->jc_key || all->local)
        return; /* it is local */
    typeof(t->jc_mode[0]) m = *all;
    all->key = 0;
    m.local = true, m.asid = t->asid;
    t->jc_mode[jc_mode_slot(m.mode, m.base, m.asid)] = m;
}

void vcpu_set_mode(Vcpu *v, uint64_t mode)
{
    TcgVcpu *t = v->accel_data;
    v->mode = mode;
    if (!t || !t->stamp) /* not ours, or not yet */
        return;
    unsigned bank;
    uint32_t base = (uint32_t)(v->arch->code_address(v, &bank) - v->pc);
    tlb_enter_mode(v, bank);
    v->jc_key = jc_key_of(v, mode, base);
}

void jump_cache_flush_all(Vcpu *v)
{
    TcgVcpu *t = tcg_vcpu(v);
    memset(t->jc_mode, 0, sizeof t->jc_mode);
    memset(t->jc_filter, 0, sizeof t->jc_filter);
    vcpu_set_mode(v, v->mode);
}

void jump_cache_flush_asid(Vcpu *v, uint32_t asid)
{
    TcgVcpu *t = tcg_vcpu(v);
    for (unsigned i = 0; i < JC_MODES; i++)
        if (t->jc_mode[i].local && (t->jc_mode[i].asid ^ asid) % ARRAY_LEN(t->asid_stamp) == 0)
            t->jc_mode[i].key = 0;
    vcpu_set_mode(v, v->mode);
}

unsigned page_hash(uint64_t vpage)
{
    return (unsigned)((vpage << 8 >> (8 + TCG_PAGE_BITS)) * UINT64_C(0x9e3779b97f4a7c15) >> (64 - PAGE_HASH_BITS));
}

void jump_cache_flush_page(Vcpu *v, uint64_t vpage)
{
    unsigned n = page_hash(vpage), before = page_hash(vpage - TCG_PAGE_SIZE); /* a block may reach into the page */
    const uint64_t *f = tcg_vcpu(v)->jc_filter;
    if (f[n / 64] & BIT(n % 64) || f[before / 64] & BIT(before % 64))
        jump_cache_flush_all(v);
}

/* Notes what the entry for b depends on. */
static void jc_note(Vcpu *v, const Block *b)
{
    TcgVcpu *t = tcg_vcpu(v);
    uint64_t vpage = b->linear & TCG_PAGE_MASK;
    unsigned n = page_hash(vpage);
    t->jc_filter[n / 64] |= BIT(n % 64);
    const CodeMap *c = &t->code_map[vpage >> TCG_PAGE_BITS & (CODE_MAP - 1)];
    if (c->id && c->vpage == vpage && c->global && b->ram2 == NO_PAGE)
        return;
    jc_make_local(v);
}

/*
 * Variants have entries, too, that only the run loop finds: elsewhere, with a bit of the tag that no key and, so far as
 * keys are random, no pc gives.
 */
static JumpCacheEntry *jc_entry(Vcpu *v, uint64_t pc, unsigned variant)
{
    return &v->jump_cache[jc_index(pc) ^ (variant ? 0x5555u : 0)];
}
static uint64_t jc_tag(const Vcpu *v, uint64_t pc, unsigned variant)
{
    return pc ^ v->jc_key ^ (variant ? BIT(63) : 0);
}
static const void *jc_target(const Block *b) { return tcg.opt.jit ? b->entry : (const void *)b; }

void jump_cache_drop(const Block *b)
{
    for (unsigned i = 0; i < vcpu_count(); i++) {
        Vcpu *v = vcpu_get(i);
        if (!v)
            continue;
        JumpCacheEntry *e = jc_entry(v, b->pc, b->variant);
        if (__atomic_load_n(&e->host, __ATOMIC_SEQ_CST) == jc_target(b))
            __atomic_store_n(&e->tag, ~UINT64_C(0), __ATOMIC_SEQ_CST);
    }
}

/* Bits 63:48 are all the same: also the upper half of a guest's 48-bit range that starts at 0. */
static bool fits_tag(uint64_t pc) { return (uint64_t)((int64_t)pc >> 48) + 1 <= 1; }

static void jc_insert(Vcpu *v, const Block *b)
{
    if (!fits_tag(b->pc) || !tcg.opt.opt_jump_cache || log_enabled(LOG_NOCHAIN))
        return;
    JumpCacheEntry *e = jc_entry(v, b->pc, b->variant);
    __atomic_store_n(&e->tag, ~UINT64_C(0), __ATOMIC_SEQ_CST);
    __atomic_store_n(&e->host, jc_target(b), __ATOMIC_SEQ_CST);
    __atomic_store_n(&e->tag, jc_tag(v, b->pc, b->variant), __ATOMIC_SEQ_CST);
    if (atomic_load(&b->invalid)) /* whoever invalidated it may have looked before the stores above */
        __atomic_store_n(&e->tag, ~UINT64_C(0), __ATOMIC_SEQ_CST);
    jc_note(v, b);
    tcg_vcpu(v)->stats.jc_fills++;
}

/* --- safe points --- */
static bool must_wait_for(Vcpu *o)
{
    TcgVcpu *t = o->accel_data;
    return t && atomic_load(&t->drop_writes) && atomic_load(&t->in_guest);
}

void tcg_wait_for_others(Vcpu *self, bool (*busy)(Vcpu *other))
{
    atomic_store(&tcg_vcpu(self)->in_guest, false); /* others may wait for us as well */
    for (unsigned i = 0; i < vcpu_count(); i++) {
        Vcpu *o = vcpu_get(i);
        while (o && o != self && busy(o))
            sched_yield();
    }
    atomic_store(&tcg_vcpu(self)->in_guest, true);
    tlb_service(self);
}

void tcg_sync_others(Vcpu *self)
{
    for (unsigned i = 0; i < vcpu_count(); i++) {
        Vcpu *o = vcpu_get(i);
        if (!o || o == self || !o->accel_data)
            continue;
        atomic_store(&tcg_vcpu(o)->drop_writes, true);
        if (!tcg.opt.single_thread)
            vcpu_kick(o);
    }
    if (!tcg.opt.single_thread) /* else none of them runs now */
        tcg_wait_for_others(self, must_wait_for);
}

/* --- leaving generated code --- */
void vcpu_sync(Vcpu *v)
{
    if (v->call_site)
        jit_sync(v); /* the interpreter keeps pc and fl precise */
}

void vcpu_unwind(Vcpu *v)
{
    vcpu_sync(v);
    siglongjmp(v->unwind, 1);
}

static void log_exec(Vcpu *v, const Block *b)
{
    if (log_enabled(LOG_EXEC))
        log_write("cpu %u: 0x%016" G_GINT64_MODIFIER "x mode 0x%" G_GINT64_MODIFIER "x%s\n", v->index, v->pc, v->mode,
                  b ? "" : " (uncached)");
    if (log_enabled(LOG_CPU) && v->arch->print_regs) {
        g_autoptr(GString) s = g_string_new(NULL);
        v->arch->print_regs(v, s);
        log_write("%s\n", s->str);
    }
}

static RunResult run_uncached(Vcpu *v)
{
    TcgVcpu *t = tcg_vcpu(v);
    return interp_run(v, t->ir->insn, t->ir->count, NULL);
}

/* One instruction without any trace of it in the caches: a store into the block that does it, for one. */
RunResult tcg_run_step(Vcpu *v)
{
    unsigned bank;
    uint64_t linear = v->arch->code_address(v, &bank);
    const CodeMap *map = code_map_lookup(v, linear, bank, false);
    if (!map)
        vcpu_unwind(v);
    tcg_make_ir(v, linear, map, 1);
    return run_uncached(v);
}

static RunResult run_block(Vcpu *v, unsigned variant)
{
    TcgVcpu *t = tcg_vcpu(v);
    const JumpCacheEntry *e = jc_entry(v, v->pc, variant);
    Block *b = NULL;
    if (__atomic_load_n(&e->tag, __ATOMIC_RELAXED) == jc_tag(v, v->pc, variant) && fits_tag(v->pc) &&
        !log_enabled(LOG_EXEC | LOG_CPU | LOG_NOCHAIN)) {
        if (tcg.opt.jit)
            return jit_run(v, e->host);
        b = (Block *)e->host;
    }
    if (!b) {
        b = tcg_block_at(v, variant);
        if (b)
            jc_insert(v, b);
    }
    if (log_enabled(LOG_EXEC | LOG_CPU))
        log_exec(v, b);
    if (!b)
        return run_uncached(v);
    if (tcg.opt.jit)
        return jit_run(v, b->entry);
    if (tcg.opt.stats)
        b->executions++;
    t->stats.exits++;
    return interp_run(v, b->entry, b->ir_count, b);
}

/* Guest code until something wants the run loop. In an RCU read section. */
static void run_guest(Vcpu *v)
{
    TcgVcpu *t = tcg_vcpu(v);
    if (sigsetjmp(v->unwind, 0)) {
        t->stats.unwinds++;
        v->call_site = 0;
        t->running = NULL;
        split_unlock(v);
        t->watch_off = true;
        if (!t->watch_met)
            v->arch->deliver(v);
        t->watch_off = false;
        t->next_run = RUN_LOOKUP;
        if (v->debug.step && !t->watch_met) { /* the exception was the step */
            debug_stop_here(v, DEBUG_STEPPED, NULL, v->pc);
            return;
        }
    } else {
        t->next_run = RUN_LOOKUP;
        t->halted = false;
        t->watch_off = true;
        if (v->debug.step && tcg_debug_asleep(v))
            return;
        if (v->debug.step != DEBUG_STEP || v->halted)
            t->halted = !v->arch->poll(v);
        t->watch_off = false;
        if (t->halted)
            return;
    }
    while (!atomic_load_explicit(&v->exit_request, memory_order_relaxed) || t->watch_met) {
        if (__builtin_expect(debug_breakpoints || v->debug.step || t->watch_met, 0) && tcg_debug_turn(v))
            return;
        RunResult r = t->next_run;
        t->next_run = RUN_LOOKUP;
        v->icount_left += r == RUN_STEP || r == RUN_PLAIN; /* that instruction has been counted, but not executed */
        t->next_run = r == RUN_STEP ? tcg_run_step(v) : run_block(v, r == RUN_PLAIN ? BLOCK_PLAIN : 0);
        if (t->next_run == RUN_POLL)
            return;
    }
}

void tcg_run_slice(Vcpu *v)
{
    TcgVcpu *t = tcg_vcpu(v);
    rcu_read_lock();
    atomic_store(&t->in_guest, true);
    tlb_service(v);
    run_guest(v);
    atomic_store(&t->in_guest, false);
    rcu_read_unlock();
}

/* --- one thread for all vCPUs, in turn --- */
enum { TURN_US = 2000 };
static _Atomic(Vcpu *) on_turn;
static _Atomic bool ticking;

static void *ticker(void *opaque)
{
    while (atomic_load(&ticking)) {
        g_usleep(TURN_US);
        Vcpu *v = atomic_load(&on_turn);
        if (v)
            atomic_store(&v->exit_request, 1);
    }
    return NULL;
}

bool tcg_any_has_work(Vcpu *unused)
{
    for (unsigned i = 0; i < vcpu_count(); i++) {
        Vcpu *v = vcpu_get(i);
        if (v && !atomic_load(&v->debug.held) &&
            (!tcg_vcpu(v)->halted || v->arch->has_work(v) || atomic_load(&v->exit_request)))
            return true;
    }
    return false;
}

static void *all_in_turn(Vcpu *first)
{
    atomic_store(&ticking, true);
    pthread_t tick = thread_start("vcpu turns", ticker, NULL);
    for (;;) {
        atomic_store(&first->exit_request, 0);
        if (!vcpu_service(first))
            break;
        for (unsigned i = 0; i < vcpu_count(); i++) {
            Vcpu *v = vcpu_get(i);
            if (!v || !v->accel_data || atomic_load(&v->debug.held))
                continue;
            vcpu_set_current(v);
            atomic_store(&v->exit_request, 0);
            vcpu_work(v);
            atomic_store(&on_turn, v);
            tcg_run_slice(v);
        }
        atomic_store(&on_turn, NULL);
        vcpu_set_current(first);
        if (!tcg_any_has_work(NULL))
            vcpu_wait(first, tcg_any_has_work);
    }
    atomic_store(&ticking, false);
    pthread_join(tick, NULL);
    return NULL;
}

void *tcg_thread(void *opaque)
{
    Vcpu *v = opaque;
    if (tcg.opt.icount)
        return tcg_icount_thread(v);
    if (tcg.opt.single_thread)
        return all_in_turn(v);
    for (;;) {
        atomic_store(&v->exit_request, 0); /* before looking: a request from now on ends the slice again */
        if (!vcpu_service(v))
            return NULL;
        tcg_run_slice(v);
        if (tcg_vcpu(v)->halted)
            vcpu_wait(v, v->arch->has_work);
    }
}
