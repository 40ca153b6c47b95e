/* SPDX-License-Identifier: MIT */
/* Short-descriptor tables of ARMv5, v6 and v7 (DDI 0406C, B3.5; DDI 0100I, B4.7 for subpages). */
#include "target/arm/mmu.h"

enum { WALK_RETRIES = 8 };

/* AP[2:0] to rights (table B3-8); afe: AP[2:1] only. */
static void rights(const ArmCpu *c, const Regime *r, unsigned ap, MmuOut *o)
{
    bool user_r = false, user_w = false, priv_r = true, priv_w = true;
    if (r->sctlr & SCTLR_AFE && c->has.v6k) {
        user_r = ap & 2, priv_w = !(ap & 4), user_w = user_r && priv_w;
    } else {
        switch (ap) {
        case 0: /* v5: the S and R bits of SCTLR */
            priv_w = false;
            priv_r = !c->has.v7 && r->sctlr & (BIT(8) | BIT(9));
            user_r = !c->has.v7 && r->sctlr & BIT(9);
            break;
        case 1: break;
        case 2: user_r = true; break;
        case 3: user_r = user_w = true; break;
        case 5: priv_w = false; break;
        case 6: user_r = true, priv_w = false; break;
        case 7: priv_w = false, user_r = c->has.v6k; priv_r = c->has.v6k; break;
        default: priv_r = priv_w = false; break;
        }
    }
    o->r = r->user ? user_r : priv_r;
    o->w = r->user ? user_w : priv_w;
    if (r->pan && !r->user && user_r)
        o->r = o->w = false;
    o->guarded = user_w; /* for UWXN below; cleared by the caller */
}

static void execution(const ArmCpu *c, const Regime *r, bool xn, bool pxn, MmuOut *o)
{
    bool user_w = o->guarded, read = o->r;
    o->guarded = false;
    if (r->pan && !r->user)
        read = true;
    o->x = !xn && read && !(pxn && !r->user);
    if (c->has.v7ve) {
        if (r->sctlr & SCTLR_WXN && o->w)
            o->x = false;
        if (r->sctlr & SCTLR_UWXN && user_w && !r->user)
            o->x = false;
    }
}

/* TEX, C, B: Device and Strongly-ordered memory (tables B3-10, B3-12). */
static bool is_device(const ArmCpu *c, const Regime *r, unsigned tex, bool cc, bool b)
{
    if (r->sctlr & SCTLR_TRE && c->has.v6k) {
        unsigned n = (tex & 1) << 2 | cc << 1 | b;
        return (c->mair_el[r->el] >> (2 * n) & 3) != 2; /* PRRR.TRn: 2 is Normal */
    }
    return (tex == 0 && !cc) || (tex == 2 && !cc && !b);
}

/* 0 no access, 1 client, 3 manager. */
static unsigned domain_access(const ArmCpu *c, const Regime *r, unsigned domain)
{
    uint64_t dacr = r->el == 3 ? c->dacr_s : c->dacr32_el2;
    return dacr >> (2 * domain) & 3;
}

typedef struct ShortLeaf {
    uint32_t desc;
    hwaddr at;
    uint64_t addr;
    unsigned bits, ap, domain, tex;
    bool xn, pxn, ng, v6;
    int level;
    uint32_t af_bit;
} ShortLeaf;

static bool section(const ArmCpu *c, const Regime *r, uint32_t va, uint32_t d, ShortLeaf *l)
{
    l->level = 1;
    bool super = d & BIT(18) && l->v6;
    l->bits = super ? 24 : 20;
    l->addr = super ? (d & 0xff000000) | (uint64_t)(d >> 20 & 15) << 32 | (uint64_t)(d >> 5 & 15) << 36
                    : d & 0xfff00000;
    if (super)
        l->domain = 0;
    l->ap = (d >> 10 & 3) | (l->v6 ? (d >> 15 & 1) << 2 : 0);
    l->tex = d >> 12 & 7;
    l->xn = l->v6 && d & BIT(4);
    l->pxn = c->has.pxn && d & 1;
    l->ng = l->v6 && d & BIT(17);
    l->af_bit = 1 << 10;
    return true;
}

static bool small_page(const ArmCpu *c, const Regime *r, uint32_t va, uint32_t d, ShortLeaf *l, MmuFault *f)
{
    l->level = 2;
    l->ap = (d >> 4 & 3) | (l->v6 ? (d >> 9 & 1) << 2 : 0);
    l->ng = l->v6 && d & BIT(11);
    l->af_bit = 1 << 4;
    switch (d & 3) {
    case 0:
        *f = (MmuFault){ .type = FAULT_TRANSLATION, .level = 2, .domain = (uint8_t)l->domain };
        return false;
    case 1: /* large page */
        l->bits = 16, l->addr = d & 0xffff0000;
        l->xn = l->v6 && d & BIT(15);
        l->tex = d >> 12 & 7;
        if (!l->v6)
            l->ap = d >> (4 + 2 * (va >> 14 & 3)) & 3, l->bits = 12, l->addr |= va & 0xf000;
        return true;
    default:
        l->bits = 12, l->addr = d & 0xfffff000;
        l->tex = d >> 6 & 7;
        l->xn = l->v6 && d & 1;
        if (!l->v6) { /* subpages: 1 KiB each; rights of the first are taken for a page with different ones */
            if ((d & 3) == 3 && !c->has.v6)
                l->ap = d >> 4 & 3; /* tiny pages of v5 fine tables count as extended small pages */
            else
                l->ap = d >> (4 + 2 * (va >> 10 & 3)) & 3;
            l->tex = 0;
        }
        return true;
    }
}

static bool descend(ArmCpu *c, const Regime *r, uint32_t va, ShortLeaf *l, MmuFault *f)
{
    unsigned n = c->has.v6 ? r->tcr & 7 : 0;
    bool use1 = n && va >> (32 - n);
    if (c->has.el3 && r->tcr & (use1 ? BIT(5) : BIT(4))) /* PD1, PD0 */
        return mmu_fault(f, FAULT_TRANSLATION, 1);
    uint64_t ttbr = use1 ? c->ttbr1_el[r->el] & 0xffffc000 : c->ttbr0_el[r->el] & (0xffffffff & ~bits_mask(14 - n));
    unsigned index_bits = use1 ? 12 : 12 - n;
    *l = (ShortLeaf){ .v6 = c->has.v7 || (c->has.v6 && r->sctlr & SCTLR_XP) };
    uint64_t d;
    if (!arm_read_descriptor(c, r, ttbr + bits_get(va, 20, index_bits) * 4, 4, &d, &l->at, f))
        return false;
    l->desc = (uint32_t)d;
    unsigned kind = d & 3;
    bool is_section = kind == 2 || (kind == 3 && c->has.pxn);
    l->domain = d >> 5 & 15;
    if (kind == 0 || (kind == 3 && !is_section && c->has.v6))
        return mmu_fault(f, FAULT_TRANSLATION, 1);
    if (is_section)
        return section(c, r, va, (uint32_t)d, l);
    l->pxn = c->has.pxn && d & BIT(2);
    uint64_t at = kind == 3 ? (d & 0xfffff000) + bits_get(va, 10, 10) * 4 /* fine table */
                            : (d & 0xfffffc00) + bits_get(va, 12, 8) * 4;
    if (!arm_read_descriptor(c, r, at, 4, &d, &l->at, f)) {
        f->domain = (uint8_t)l->domain;
        if (f->type == FAULT_EXTERNAL_WALK && !f->stage2)
            f->level = 2;
        return false;
    }
    l->desc = (uint32_t)d;
    return small_page(c, r, va, (uint32_t)d, l, f);
}

bool arm_walk_short(ArmCpu *c, const Regime *r, uint32_t va, MmuAccess a, MmuOut *out, MmuFault *f)
{
    if (!c->has.v7 && va < 0x02000000) /* FCSE */
        va |= (uint32_t)c->fcseidr[r->el] & 0xfe000000;
    for (unsigned tries = 0;; tries++) {
        ShortLeaf l;
        if (!descend(c, r, va, &l, f))
            return false;
        f->domain = (uint8_t)l.domain, f->level = (int8_t)l.level;
        unsigned access = domain_access(c, r, l.domain);
        *out = (MmuOut){ .pa = l.addr | (va & bits_mask(l.bits)),
                         .page_bits = (uint8_t)MAX(l.bits, 12),
                         .global = !l.ng,
                         .sh = l.desc >> (l.level == 1 ? 16 : 10) & 1 };
        out->device = is_device(c, r, l.tex, l.desc >> 3 & 1, l.desc >> 2 & 1);
        bool no_af = r->sctlr & SCTLR_AFE && l.v6 && !(l.desc & l.af_bit);
        if (no_af && !(c->has.mmu_v6)) {
            f->type = FAULT_ACCESS_FLAG;
            return false;
        }
        if (!(access & 1)) {
            f->type = FAULT_DOMAIN;
            return false;
        }
        if (access == 3) {
            out->r = out->w = out->x = true;
        } else {
            rights(c, r, l.ap, out);
            execution(c, r, l.xn, l.pxn, out);
        }
        if (!mmu_allowed(out, a.kind)) {
            f->type = FAULT_PERMISSION;
            return false;
        }
        if (!no_af || a.probe || tries >= WALK_RETRIES || phys_cmpxchg(&c->v, l.at, 4, l.desc, l.desc | l.af_bit))
            return true;
    }
}
