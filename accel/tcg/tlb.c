/* SPDX-License-Identifier: MIT */
/* The two TLB levels: filling, flushing, large pages, memory-map changes, and where code comes from. */
#include "accel/tcg/tcg.h"
#include "hw/core/ram.h"

/*
 * Invariants:
 *  1. A fast entry is a copy of what the second level could give now; flushing the fast level is always safe.
 *  2. A page is in some `write` array only while it is PAGE_WRITE_MAPPED and not PAGE_CODE (page_protect() restores
 * this).
 *  3. A second-level entry is valid when its stamp is not older than the flushes that concern it; stamps only grow.
 *  4. code_tlb[slot] is code_map[slot].id while that entry is valid, else 0.
 */

/* v is zeroed, and stays untouched as far as it can. */
void tlb_init(Vcpu *v)
{
    TcgVcpu *t = tcg_vcpu(v);
    t->stamp = t->all_stamp = 1;
    for (unsigned bank = 0; bank < TLB_BANKS; bank++) { /* 0 is an address that is far from those of all other slots */
        static const unsigned near[] = { 0, 1, TLB_SIZE - 1 };
        for (unsigned i = 0; i < ARRAY_LEN(near); i++)
            v->tlb[bank].read[near[i]] = v->tlb[bank].write[near[i]] = tlb_empty(near[i]);
    }
    for (unsigned i = 0; i < PHYS_CACHE; i++)
        t->phys[i].page = NO_PAGE;
}

static void code_map_forget(Vcpu *v, unsigned slot)
{
    tcg_vcpu(v)->code_map[slot].id = 0;
    v->code_tlb[slot] = 0;
}

/* Entries that are not global, of own_banks or of the others. */
static void code_map_flush_local(Vcpu *v, bool own)
{
    TcgVcpu *t = tcg_vcpu(v);
    bool listed = t->code_local_count[own] <= CODE_LOCAL;
    unsigned count = listed ? t->code_local_count[own] : CODE_MAP;
    for (unsigned i = 0; i < count; i++) {
        unsigned slot = listed ? t->code_local[own][i] : i;
        if (!t->code_map[slot].global && tlb_is_own_bank(v, t->code_map[slot].bank) == own)
            code_map_forget(v, slot);
    }
    t->code_local_count[own] = 0;
}

static void code_map_flush(Vcpu *v)
{
    for (unsigned i = 0; i < CODE_MAP; i++)
        code_map_forget(v, i);
    memset(tcg_vcpu(v)->code_local_count, 0, sizeof tcg_vcpu(v)->code_local_count);
}

void tlb_forget(Vcpu *v)
{
    TcgVcpu *t = tcg_vcpu(v);
    t->all_stamp = ++t->stamp;
    tlb_flush_fast(v);
    for (unsigned i = 0; i < PHYS_CACHE; i++)
        t->phys[i].page = NO_PAGE;
}

void tlb_flush_all(Vcpu *v)
{
    TcgVcpu *t = tcg_vcpu(v);
    t->stats.tlb_flushes++;
    tlb_forget(v);
    memset(t->large_filter, 0, sizeof t->large_filter);
    memset(t->local_filter, 0, sizeof t->local_filter);
    t->huge = false;
    code_map_flush(v);
    jump_cache_flush_all(v);
}

void tlb_flush_non_global(Vcpu *v, uint32_t asid)
{
    TcgVcpu *t = tcg_vcpu(v);
    t->stats.tlb_flushes++;
    t->asid_stamp[asid & (ARRAY_LEN(t->asid_stamp) - 1)] = ++t->stamp;
    tlb_flush_fast(v);
    code_map_flush_local(v, false);
    code_map_flush_local(v, true);
    jump_cache_flush_asid(v, asid);
}

void tlb_set_asid(Vcpu *v, uint32_t asid)
{
    TcgVcpu *t = tcg_vcpu(v);
    if (t->asid == asid)
        return;
    t->asid = asid;
    for (unsigned bank = 0; bank < TLB_BANKS; bank++)
        if (t->bank_local[bank] && !tlb_is_own_bank(v, bank))
            tlb_flush_bank(v, bank);
    code_map_flush_local(v, false);
    vcpu_set_mode(v, v->mode); /* the jump cache's key is that of the asid; calls tlb_enter_mode() */
}

void tlb_enter_mode(Vcpu *v, unsigned bank)
{
    TcgVcpu *t = tcg_vcpu(v);
    if (tlb_bank_is_current(v, bank))
        return;
    tlb_flush_bank(v, bank);
    code_map_flush_local(v, true);
    t->bank_asid[bank] = t->asid;
}

/*
 * Large mappings: an entry stands for 4 KiB of one, and a page flush must drop all entries of the same mapping. A
 * filter by 2 MiB region (1 GiB for larger ones) tells when that cannot be needed; it only fills up until everything is
 * flushed.
 */
static unsigned large_hash(uint64_t va, unsigned bits)
{
    unsigned shift = bits <= 22 ? 21 : 30;
    return (unsigned)((va << 8 >> 8 >> shift) * UINT64_C(0x9e3779b97f4a7c15) >> 32) % (LARGE_FILTER / 2) +
           (shift == 30 ? LARGE_FILTER / 2 : 0);
}
static void remember_large(TcgVcpu *t, uint64_t va, unsigned bits)
{
    unsigned n = bits > 30 ? 0 : large_hash(va, bits);
    t->large_filter[n / 64] |= BIT(n % 64);
    t->huge |= bits > 30;
}
static bool maybe_large(const TcgVcpu *t, uint64_t va)
{
    unsigned a = large_hash(va, 21), b = large_hash(va, 30);
    return t->huge || t->large_filter[a / 64] & BIT(a % 64) || t->large_filter[b / 64] & BIT(b % 64);
}

/*
 * Drops the page's entries, large or not: the filter may be wrong. True: fast entries of such a mapping may exist, also
 * of pieces that the second level has forgotten.
 */
static bool drop_maybe_large(TcgVcpu *t, uint64_t va)
{
    if (!maybe_large(t, va))
        return false;
    for (unsigned i = 0; i < TLB2_SIZE; i++) {
        TlbEntry *e = &t->tlb2[i];
        if ((e->vpage ^ va) << 8 >> 8 >> e->page_bits == 0)
            e->stamp = 0;
    }
    return true;
}

/*
 * Bits 63:56 may be a tag that translation ignores. All entries for such a page stand in the same slots; those of walks
 * that do look at the top byte are told apart by it and share the fate.
 */
static bool same_page(uint64_t a, uint64_t b) { return !((a ^ b) << 8 >> (8 + TCG_PAGE_BITS)); }

/* An entry of another asid that happens to share the slot goes too. */
static void drop_page(TlbEntry *e, uint64_t vpage)
{
    if (same_page(e->vpage, vpage))
        e->stamp = 0;
}

static void drop_in_all_spaces(TcgVcpu *t, uint64_t vpage)
{
    for (unsigned i = 0; i < TLB2_SIZE; i++)
        drop_page(&t->tlb2[i], vpage);
}

void tlb_flush_page(Vcpu *v, uint64_t va, uint32_t asid)
{
    TcgVcpu *t = tcg_vcpu(v);
    uint64_t vpage = va & TCG_PAGE_MASK;
    t->stats.tlb_page_flushes++;
    if (drop_maybe_large(t, va)) {
        tlb_flush_fast(v);
        code_map_flush(v);
        jump_cache_flush_all(v);
        return;
    }
    unsigned slot = vpage >> TCG_PAGE_BITS & (TLB_SIZE - 1), filter = page_hash(vpage);
    if (asid == TLB_ANY_ASID && t->local_filter[filter / 64] & BIT(filter % 64))
        drop_in_all_spaces(t, vpage);
    for (unsigned bank = 0; bank < v->arch->banks; bank++) {
        drop_page(&t->tlb2[tlb2_slot(vpage, bank, TLB_ANY_ASID)], vpage);
        if (asid != TLB_ANY_ASID)
            drop_page(&t->tlb2[tlb2_slot(vpage, bank, asid)], vpage);
        TlbBank *b = &v->tlb[bank];
        if (same_page(b->read[slot], vpage) || same_page(b->write[slot], vpage))
            b->read[slot] = b->write[slot] = tlb_empty(slot);
    }
    unsigned code = vpage >> TCG_PAGE_BITS & (CODE_MAP - 1);
    if (t->code_map[code].id && same_page(t->code_map[code].vpage, vpage))
        code_map_forget(v, code);
    jump_cache_flush_page(v, vpage);
}

/* --- requests of other vCPUs --- */
static void flush_by(Vcpu *v, TlbFlush what, uint64_t va, uint32_t asid)
{
    if (what == TLB_FLUSH_PAGE)
        tlb_flush_page(v, va, asid);
    else if (what == TLB_FLUSH_NON_GLOBAL)
        tlb_flush_non_global(v, asid);
    else
        tlb_flush_all(v);
}

static void take_queue(Vcpu *v)
{
    TcgVcpu *t = tcg_vcpu(v);
    pthread_mutex_lock(&tcg.flush_lock);
    if (t->queued > FLUSH_QUEUE)
        tlb_flush_all(v);
    for (unsigned i = 0; i < t->queued && t->queued <= FLUSH_QUEUE; i++)
        flush_by(v, t->queue[i].what, t->queue[i].va, t->queue[i].asid);
    t->queued = 0;
    atomic_store(&t->flush_queued, false);
    pthread_mutex_unlock(&tcg.flush_lock);
}

static void enqueue(TcgVcpu *t, TlbFlush what, uint64_t va, uint32_t asid)
{
    pthread_mutex_lock(&tcg.flush_lock);
    if (t->queued < FLUSH_QUEUE)
        t->queue[t->queued].what = what, t->queue[t->queued].va = va, t->queue[t->queued].asid = asid;
    if (t->queued <= FLUSH_QUEUE)
        t->queued++;
    atomic_store(&t->flush_queued, true);
    pthread_mutex_unlock(&tcg.flush_lock);
}

void tlb_flush_broadcast(Vcpu *v, TlbFlush what, uint64_t va, uint32_t asid)
{
    flush_by(v, what, va, asid);
    for (unsigned i = 0; i < vcpu_count(); i++) {
        Vcpu *o = vcpu_get(i);
        if (!o || o == v || !o->accel_data)
            continue;
        enqueue(tcg_vcpu(o), what, va, asid);
        if (!tcg.opt.single_thread)
            vcpu_kick(o);
    }
}

static bool has_not_flushed(Vcpu *o)
{
    TcgVcpu *t = o->accel_data;
    return t && atomic_load(&t->flush_queued) && atomic_load(&t->in_guest);
}

void tlb_broadcast_wait(Vcpu *v)
{
    if (!tcg.opt.single_thread)
        tcg_wait_for_others(v, has_not_flushed);
}

static void fill_section(Vcpu *v, TlbEntry *e)
{
    MemSection s;
    rcu_read_lock();
    as_translate(v->as, e->phys, &s);
    e->host = NULL;
    e->ram = NO_PAGE;
    if (s.host && s.len >= TCG_PAGE_SIZE && s.ram_addr >> TCG_PAGE_BITS < RAM_PAGES_MAX &&
        !(s.ram_addr & ~TCG_PAGE_MASK)) {
        e->host = s.host;
        e->ram = s.ram_addr;
        e->perm |= s.readonly ? PERM_ROM : 0;
    }
    rcu_read_unlock();
}

static const uint8_t needed_perm[] = { [ACCESS_READ] = PERM_R, [ACCESS_WRITE] = PERM_W, [ACCESS_FETCH] = PERM_X };

const TlbEntry *tlb_lookup(Vcpu *v, uint64_t va, AccessKind kind, unsigned bank, bool probe)
{
    TcgVcpu *t = tcg_vcpu(v);
    uint64_t vpage = va & TCG_PAGE_MASK;
    TlbEntry *e = (TlbEntry *)tlb2_find(v, vpage, bank, needed_perm[kind]);
    if (!e) {
        WalkResult w;
        t->stats.tlb_walks++;
        if (!v->arch->walk(v, va, kind, bank, probe, &w))
            return NULL;
        unsigned filter = page_hash(vpage);
        if (!w.global)
            t->local_filter[filter / 64] |= BIT(filter % 64);
        e = &t->tlb2[tlb2_slot(vpage, bank, w.global ? TLB_ANY_ASID : t->asid)];
        *e = (TlbEntry){ .vpage = vpage, .phys = w.phys & TCG_PAGE_MASK, .asid = t->asid, .bank = (uint8_t)bank,
                         .page_bits = w.page_bits,
                         .perm = (w.readable ? PERM_R : 0) | (w.writable ? PERM_W : 0) | (w.executable ? PERM_X : 0) |
                                 (w.global ? PERM_GLOBAL : 0) | (w.aligned ? PERM_ALIGNED : 0) |
                                 (w.top_byte_ignored ? PERM_ANY_TOP : 0) };
        fill_section(v, e);
        if (debug_watchpoints && debug_page_watched(va, TCG_PAGE_SIZE))
            e->perm |= PERM_WATCH;
        if (w.page_bits > TCG_PAGE_BITS)
            remember_large(t, va, w.page_bits);
        /* a probe's answer is not kept: A/D bits were not set */
        e->stamp = probe || w.page_bits < TCG_PAGE_BITS ? 0 : t->stamp;
    }
    if (kind != ACCESS_FETCH && !probe) {
        t->stats.tlb_fills++;
        tlb_fill_fast(v, e, vpage, kind == ACCESS_WRITE);
    }
    return e;
}

static uint32_t cached_id(TcgVcpu *t, uint64_t vpage_bank, uint64_t ram)
{
    uint64_t h = (vpage_bank ^ ram << 7) * UINT64_C(0x9e3779b97f4a7c15);
    typeof(&t->map_id[0]) c = &t->map_id[h >> 52];
    if (!c->id || c->vpage_bank != vpage_bank || c->ram != ram) {
        c->vpage_bank = vpage_bank, c->ram = ram;
        c->id = mapping_id(vpage_bank & TCG_PAGE_MASK, ram, vpage_bank & ~TCG_PAGE_MASK);
    }
    return c->id;
}

const CodeMap *code_map_lookup(Vcpu *v, uint64_t linear, unsigned bank, bool probe)
{
    TcgVcpu *t = tcg_vcpu(v);
    uint64_t vpage = linear & TCG_PAGE_MASK;
    unsigned slot = vpage >> TCG_PAGE_BITS & (CODE_MAP - 1);
    CodeMap *c = &t->code_map[slot];
    if (c->id && c->vpage == vpage && c->bank == bank)
        return c;
    const TlbEntry *e = tlb_lookup(v, linear, ACCESS_FETCH, bank, probe);
    if (!e)
        return NULL;
    bool global = e->perm & PERM_GLOBAL, small = e->page_bits < TCG_PAGE_BITS;
    *c = (CodeMap){ .vpage = vpage,
                    .ram = small ? NO_PAGE : e->ram,
                    .host = e->host,
                    .phys = e->phys,
                    .bank = (uint8_t)bank,
                    .global = global,
                    .page_bits = e->page_bits,
                    .id = small ? 0 : cached_id(t, vpage | bank, e->ram != NO_PAGE ? e->ram : e->phys | 1) };
    v->code_tlb[slot] = c->id;
    if (global)
        return c;
    bool own = tlb_is_own_bank(v, bank);
    if (t->code_local_count[own] < CODE_LOCAL)
        t->code_local[own][t->code_local_count[own]] = (uint16_t)slot;
    if (t->code_local_count[own] <= CODE_LOCAL)
        t->code_local_count[own]++;
    return c;
}

void tlb_service(Vcpu *v)
{
    TcgVcpu *t = tcg_vcpu(v);
    if (atomic_load(&t->drop_writes)) {
        tlb_flush_fast(v);
        atomic_store(&t->drop_writes, false);
    }
    if (atomic_load(&t->flush_queued))
        take_queue(v);
    if (atomic_exchange(&t->map_changed, false))
        tlb_flush_all(v);
}

/* --- physical memory for page walkers --- */
static uint8_t *phys_host(Vcpu *v, hwaddr pa, bool write, uint64_t *ram)
{
    TcgVcpu *t = tcg_vcpu(v);
    hwaddr page = pa & TCG_PAGE_MASK;
    typeof(&t->phys[0]) c = &t->phys[pa >> TCG_PAGE_BITS & (PHYS_CACHE - 1)];
    if (c->page != page) {
        MemSection s;
        rcu_read_lock();
        as_translate(v->as, page, &s);
        rcu_read_unlock();
        if (!s.host || s.len < TCG_PAGE_SIZE)
            return NULL;
        c->page = page, c->host = s.host, c->ram = s.ram_addr, c->readonly = s.readonly;
    }
    if (write && c->readonly)
        return NULL;
    *ram = c->ram + (pa & ~TCG_PAGE_MASK);
    return c->host + (pa & ~TCG_PAGE_MASK);
}

bool phys_try_load(Vcpu *v, hwaddr pa, unsigned size, uint64_t *value)
{
    uint64_t ram;
    const uint8_t *p = phys_host(v, pa, false, &ram);
    if (p) {
        *value = host_load(p, size);
        return true;
    }
    *value = ~UINT64_C(0);
    bool ok = as_load(v->as, pa, size, value, v->arch->attrs(v)) == MEM_OK;
    *value &= bits_mask(8 * size);
    return ok;
}

uint64_t phys_load(Vcpu *v, hwaddr pa, unsigned size)
{
    uint64_t value;
    phys_try_load(v, pa, size, &value);
    return value;
}

bool phys_cmpxchg(Vcpu *v, hwaddr pa, unsigned size, uint64_t expected, uint64_t desired)
{
    uint64_t ram;
    uint8_t *p = phys_host(v, pa, true, &ram);
    if (!p)
        return true; /* page tables in ROM or a device: A and D are not recorded there */
    bool ok;
    if (size == 4) {
        uint32_t old = (uint32_t)expected;
        ok = __atomic_compare_exchange_n((uint32_t *)p, &old, (uint32_t)desired, false, __ATOMIC_SEQ_CST,
                                         __ATOMIC_SEQ_CST);
    } else {
        ok = __atomic_compare_exchange_n((uint64_t *)p, &expected, desired, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    }
    if (ok)
        ram_dirty_mark(ram, size);
    if (ok && page_is_code(ram))
        tcg_ram_written(ram, size);
    return ok;
}
