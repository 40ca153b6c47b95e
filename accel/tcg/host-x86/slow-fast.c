/* SPDX-License-Identifier: MIT */
/*
 * Helpers of generated code that run with the guest's vectors in the host's registers: built with general registers
 * only.
 */
#include "accel/tcg/host-x86/jit.h"

/* Always called first. Refill from the second TLB level: plain RAM, one page, nothing to walk. */
int jit_slow_fast(Vcpu *v)
{
    const CallSite *s = (const CallSite *)(codebuf_rw + v->call_site);
    TlbBank *b = &v->tlb[s->bank];
    unsigned slot = (unsigned)v->slow[1];
    uint64_t va = v->slow[0] + (s->span_write ? b->write[slot] : b->read[slot]);
    tcg_vcpu(v)->slow_va = va; /* what follows may change the entry */
    uint64_t offset = va & ~TCG_PAGE_MASK;
    if (offset + s->span > TCG_PAGE_SIZE || (s->indexed && s->align && va & (s->align - 1u)) ||
        tcg.opt.tlb_size < TLB_SIZE)
        return -1;
    const TlbEntry *e = tlb2_find(v, va & TCG_PAGE_MASK, s->bank, s->write ? PERM_W : PERM_R);
    if (!e || !e->host || tlb_is_slow(e))
        return -1;
    tlb_fill_fast(v, e, va & TCG_PAGE_MASK, s->span_write);
    /* a code page: the slow way starts from the new tag */
    if (s->span_write && b->write[slot] != (va & TCG_PAGE_MASK)) {
        v->slow[0] = va - b->write[slot];
        return -1;
    }
    v->slow[0] = offset;
    v->slow[1] = (uintptr_t)e->host;
    return SLOW_DONE;
}

void jit_eval_flags(Vcpu *v) { flags_set_explicit(v, flags_eval(&v->fl)); }
