/* SPDX-License-Identifier: MIT */
/* Page walks: 32-bit, PAE, 4- and 5-level (SDM vol. 3, chapter 4). */
#include "base/log.h"
#include "target/x86/cpu.h"
#include "target/x86/models.h"
#include "target/x86/tcg/translate.h"

enum {
    PTE_P = 1,
    PTE_W = 2,
    PTE_U = 4,
    PTE_PCD = 1 << 4,
    PTE_A = 1 << 5,
    PTE_D = 1 << 6,
    PTE_PS = 1 << 7,
    PTE_G = 1 << 8
};
#define PTE_NX BIT(63)
#define PTE_ADDR UINT64_C(0x000ffffffffff000)
enum { PF_P = 1, PF_W = 2, PF_U = 4, PF_RSVD = 8, PF_I = 16 };
enum { WALK_MAX_LEVELS = 5, WALK_RETRIES = 16 };

/* The entries that one walk went through, and what they add up to. */
typedef struct Walk {
    hwaddr at[WALK_MAX_LEVELS];
    uint64_t pte[WALK_MAX_LEVELS];
    unsigned count, entry_size, page_bits;
    hwaddr page; /* base of the mapping */
    bool user, writable, nx, global;
} Walk;

static hwaddr a20(const X86Cpu *c, hwaddr pa)
{
    return c->a20_masked ? pa & ~BIT(20) : pa;
}

static void record_page_fault(X86Cpu *c, uint64_t va, AccessKind kind, unsigned bank, uint32_t cause)
{
    uint32_t error = cause | (kind == ACCESS_WRITE ? PF_W : 0) | (bank == X86_BANK_USER ? PF_U : 0);
    bool nx_on = c->efer & EFER_NXE && c->cr4 & CR4_PAE;
    if (kind == ACCESS_FETCH && (nx_on || c->cr4 & CR4_SMEP))
        error |= PF_I;
    x86_record_fault(c, X86_PF, true, error);
    c->event.cr2 = va;
}

static void walk_add(Walk *w, hwaddr at, uint64_t pte)
{
    w->at[w->count] = at;
    w->pte[w->count++] = pte;
    w->user &= !!(pte & PTE_U);
    w->writable &= !!(pte & PTE_W);
    w->nx |= !!(pte & PTE_NX);
}

static void walk_leaf(const X86Cpu *c, Walk *w, uint64_t page, uint64_t pte, unsigned page_bits)
{
    w->page = page;
    w->page_bits = page_bits;
    w->global = pte & PTE_G && c->cr4 & CR4_PGE;
}

/* Two-level, 32-bit entries. Returns 0, or the cause bits of the page fault plus 1 << 31. */
#define WALK_FAULT BIT(31)
static uint32_t walk_32(X86Cpu *c, uint32_t va, Walk *w)
{
    w->entry_size = 4;
    hwaddr at = a20(c, (c->cr3 & 0xfffff000) + (va >> 22) * 4);
    uint64_t pte = phys_load(&c->v, at, 4);
    if (!(pte & PTE_P))
        return WALK_FAULT;
    walk_add(w, at, pte);
    if (pte & PTE_PS && c->cr4 & CR4_PSE) {
        bool pse36 = x86_has_feature(c, X86_FEATURE_PSE36);
        unsigned high_bits = !pse36 ? 0 : c->phys_bits > 40 ? 8 : c->phys_bits - 32;
        uint64_t high = bits_get(pte, 13, 8);
        if (pse36 ? pte & BIT(21) || high >> high_bits : bits_get(pte, 13, 9))
            return WALK_FAULT | PF_P | PF_RSVD;
        walk_leaf(c, w, (pte & 0xffc00000) | high << 32, pte, 22);
        return 0;
    }
    at = a20(c, (pte & 0xfffff000) + bits_get(va, 12, 10) * 4);
    pte = phys_load(&c->v, at, 4);
    if (!(pte & PTE_P))
        return WALK_FAULT;
    walk_add(w, at, pte);
    walk_leaf(c, w, pte & 0xfffff000, pte, 12);
    return 0;
}

/* 64-bit entries from `level` (5..2) down; `table` is the first table. */
static uint32_t walk_64(X86Cpu *c, uint64_t va, unsigned level, hwaddr table, bool pae, Walk *w)
{
    uint64_t reserved = (c->phys_bits < 52 ? PTE_ADDR & ~bits_mask(c->phys_bits) : 0) |
                        (c->efer & EFER_NXE ? 0 : PTE_NX) | (pae ? UINT64_C(0x7ff0000000000000) : 0);
    w->entry_size = 8;
    for (;; level--) {
        unsigned shift = 12 + (level - 1) * 9;
        hwaddr at = a20(c, table + (va >> shift & 0x1ff) * 8);
        uint64_t pte = phys_load(&c->v, at, 8);
        if (!(pte & PTE_P))
            return WALK_FAULT;
        uint64_t bad = reserved;
        bool large = pte & PTE_PS && level > 1;
        if (level > 3 || (level == 3 && !x86_has_feature(c, X86_FEATURE_PDPE1GB)))
            bad |= PTE_PS;
        else if (large)
            bad |= bits_mask(shift) & ~bits_mask(13);
        if (pte & bad)
            return WALK_FAULT | PF_P | PF_RSVD;
        walk_add(w, at, pte);
        if (large || level == 1) {
            walk_leaf(c, w, pte & PTE_ADDR & ~bits_mask(shift), pte, shift);
            return 0;
        }
        table = pte & PTE_ADDR;
    }
}

static uint32_t walk_tables(X86Cpu *c, uint64_t va, Walk *w)
{
    *w = (Walk){ .user = true, .writable = true };
    if (x86_lma(c))
        return walk_64(c, va, c->cr4 & CR4_LA57 ? 5 : 4, c->cr3 & PTE_ADDR, false, w);
    if (!(c->cr4 & CR4_PAE))
        return walk_32(c, (uint32_t)va, w);
    uint64_t pdpte = c->pdpte[va >> 30 & 3];
    return pdpte & PTE_P ? walk_64(c, va & 0xffffffff, 2, pdpte & PTE_ADDR, true, w) : WALK_FAULT;
}

/* What the rights of a finished walk allow in this bank. */
static void walk_rights(const X86Cpu *c, const Walk *w, unsigned bank, WalkResult *out)
{
    if (bank == X86_BANK_USER) {
        out->readable = w->user;
        out->writable = w->user && w->writable;
        out->executable = w->user && !w->nx;
        return;
    }
    bool smap_refuses = w->user && bank == X86_BANK_KERNEL && c->cr4 & CR4_SMAP;
    out->readable = !smap_refuses;
    out->writable = !smap_refuses && (w->writable || !(c->cr0 & CR0_WP));
    out->executable = !w->nx && !(w->user && c->cr4 & CR4_SMEP);
}

/* Set A everywhere and D in the leaf. false: an entry changed under us. */
static bool walk_mark(X86Cpu *c, Walk *w, bool dirty)
{
    for (unsigned i = 0; i < w->count; i++) {
        uint64_t want = w->pte[i] | PTE_A | (dirty && i == w->count - 1 ? PTE_D : 0);
        if (want == w->pte[i])
            continue;
        if (!phys_cmpxchg(&c->v, w->at[i], w->entry_size, w->pte[i], want))
            return false;
        w->pte[i] = want;
    }
    return true;
}

static bool allowed(const WalkResult *r, AccessKind kind)
{
    return kind == ACCESS_READ ? r->readable : kind == ACCESS_WRITE ? r->writable : r->executable;
}

bool x86_walk(Vcpu *v, uint64_t va, AccessKind kind, unsigned bank, bool probe, WalkResult *out)
{
    X86Cpu *c = x86_cpu(v);
    if (!(c->cr0 & CR0_PG)) {
        hwaddr page = va & 0xfffff000;
        *out = (WalkResult){
            .phys = a20(c, page), .page_bits = 12, .readable = true, .writable = true, .executable = true
        };
        return true;
    }
    if (x86_lma(c) && !x86_canonical(c, va)) {
        if (!probe) {
            vcpu_sync(v);
            bool stack = kind != ACCESS_FETCH && !c->delivering && x86_is_64(c) && x86_access_is_stack(c, va);
            x86_record_fault(c, stack ? X86_SS : X86_GP, true, 0);
        }
        return false;
    }
    Walk w;
    for (unsigned tries = 0;; tries++) {
        uint32_t fault = walk_tables(c, va, &w);
        *out = (WalkResult){ .page_bits = w.page_bits, .global = w.global };
        if (!fault) {
            walk_rights(c, &w, bank, out);
            if (!allowed(out, kind))
                fault = WALK_FAULT | PF_P;
        }
        if (fault) {
            if (!probe)
                record_page_fault(c, va, kind, bank, fault & ~WALK_FAULT);
            return false;
        }
        /* Tables in ROM never take the bits: give up marking after some tries. */
        if (probe || tries >= WALK_RETRIES || walk_mark(c, &w, kind == ACCESS_WRITE))
            break;
    }
    if (!(w.pte[w.count - 1] & PTE_D) && (probe || kind != ACCESS_WRITE))
        out->writable = false; /* the first write comes back here and sets D */
    out->phys = a20(c, w.page | (va & bits_mask(w.page_bits) & TCG_PAGE_MASK));
    log_printf(LOG_MMU, "walk: va %016" PRIx64 " kind %u bank %u -> %016" PRIx64 " bits %u w %u x %u g %u\n", va, kind,
               bank, out->phys, out->page_bits, out->writable, out->executable, out->global);
    return true;
}
