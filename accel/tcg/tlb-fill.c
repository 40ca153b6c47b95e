/* SPDX-License-Identifier: MIT */
/* Refilling the fast TLB level from the second. Built with general registers only: generated code gets here with the
 * guest's vectors in the host's registers. */
#include "accel/tcg/tcg.h"
#include "hw/core/ram.h"

/* Pages that are not global have a slot for each asid, so that address spaces do not push each other out. */
unsigned tlb2_slot(uint64_t vpage, unsigned bank, uint32_t asid)
{
    uint64_t n = vpage << 8 >> (8 + TCG_PAGE_BITS);
    return (n ^ n >> TLB2_BITS ^ bank * 0x555 ^ asid * 0x9e5) & (TLB2_SIZE - 1);
}
static uint64_t asid_stamp(const TcgVcpu *t, uint32_t asid)
{
    return t->asid_stamp[asid & (ARRAY_LEN(t->asid_stamp) - 1)];
}

static bool tlb2_valid(const TcgVcpu *t, const TlbEntry *e)
{
    if (!e->stamp || e->stamp < t->all_stamp)
        return false;
    return e->perm & PERM_GLOBAL || (e->asid == t->asid && e->stamp >= asid_stamp(t, e->asid));
}

static void clear_bank(TlbBank *b, const uint16_t *used, unsigned count)
{
    if (count <= TLB_USED) {
        for (unsigned i = 0; i < count; i++)
            b->read[used[i]] = b->write[used[i]] = tlb_empty(used[i]);
        return;
    }
    for (unsigned i = 0; i < TLB_SIZE; i++)
        b->read[i] = b->write[i] = tlb_empty(i);
}

void tlb_flush_bank(Vcpu *v, unsigned bank)
{
    TcgVcpu *t = tcg_vcpu(v);
    clear_bank(&v->tlb[bank], t->used[bank], t->used_count[bank]);
    t->used_count[bank] = 0;
    t->bank_local[bank] = false;
}

void tlb_flush_fast(Vcpu *v)
{
    for (unsigned bank = 0; bank < TLB_BANKS; bank++)
        tlb_flush_bank(v, bank);
    tcg_vcpu(v)->fills = 0;
}

static bool is_entry_of(const TcgVcpu *t, const TlbEntry *e, uint64_t vpage, unsigned bank, unsigned perm)
{
    uint64_t differ = (e->vpage ^ vpage) << (e->perm & PERM_ANY_TOP ? 8 : 0);
    return !differ && e->bank == bank && tlb2_valid(t, e) && e->perm & perm;
}

const TlbEntry *tlb2_find(Vcpu *v, uint64_t vpage, unsigned bank, unsigned perm)
{
    TcgVcpu *t = tcg_vcpu(v);
    const TlbEntry *e = &t->tlb2[tlb2_slot(vpage, bank, t->asid)],
                   *all = &t->tlb2[tlb2_slot(vpage, bank, TLB_ANY_ASID)];
    return is_entry_of(t, e, vpage, bank, perm) ? e : is_entry_of(t, all, vpage, bank, perm) ? all : NULL;
}

/* Is the page free for unnoticed stores? If so it counts as write-mapped from now on. */
static bool claim_writable(uint64_t ram)
{
    uint64_t n = ram >> TCG_PAGE_BITS;
    if (n >= RAM_PAGES_MAX)
        return false;
    ram_dirty_mark(ram, 1);
    if (!(atomic_load_explicit(&tcg.page_flags[n], memory_order_relaxed) & PAGE_WRITE_MAPPED))
        atomic_fetch_or(&tcg.page_flags[n], PAGE_WRITE_MAPPED);
    return !(atomic_load(&tcg.page_flags[n]) & PAGE_CODE);
}

void tlb_fill_fast(Vcpu *v, const TlbEntry *e, uint64_t vpage, bool for_write)
{
    if (!e->host)
        return;
    /* every access takes the slow way, also to be noticed by translations */
    if (tlb_is_slow(e) || !tlb_bank_is_current(v, e->bank)) {
        if (for_write && (e->perm & (PERM_W | PERM_ROM)) == PERM_W)
            claim_writable(e->ram);
        return;
    }
    TcgVcpu *t = tcg_vcpu(v);
    if (++t->fills > tcg.opt.tlb_size)
        tlb_flush_fast(v);
    TlbBank *b = &v->tlb[e->bank];
    unsigned slot = vpage >> TCG_PAGE_BITS & (TLB_SIZE - 1);
    unsigned used = t->used_count[e->bank];
    t->bank_local[e->bank] |= !(e->perm & PERM_GLOBAL);
    if (used < TLB_USED)
        t->used[e->bank][used] = (uint16_t)slot;
    if (used <= TLB_USED)
        t->used_count[e->bank] = used + 1;
    bool writable = (e->perm & (PERM_W | PERM_ROM)) == PERM_W && (for_write || b->write[slot] == vpage) &&
                    claim_writable(e->ram);
    b->read[slot] = b->write[slot] = tlb_empty(slot);
    b->host[slot] = (uintptr_t)e->host;
    b->read[slot] = e->perm & PERM_R ? vpage : tlb_empty(slot);
    if (writable)
        b->write[slot] = vpage;
}

