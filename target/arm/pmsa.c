/* SPDX-License-Identifier: MIT */
/* The memory protection unit of R-profile CPUs: PMSAv7 (DDI 0406C, B5) and PMSAv8-32 (DDI 0568, chapter C1). */
#include "target/arm/mmu.h"

static void default_map(const Regime *r, uint32_t va, MmuOut *o)
{
    bool peripheral = va >= 0x80000000;
    *o = (MmuOut){ .pa = va,
                   .page_bits = 12,
                   .r = true,
                   .w = true,
                   .x = !peripheral || (va >= 0xf0000000 && r->sctlr & SCTLR_V),
                   .global = true,
                   .device = peripheral };
}

static bool enabled(const Regime *r) { return r->sctlr & SCTLR_M; }

/* --- v7: the highest region number wins --- */

static bool region7(const ArmCpu *c, unsigned n, uint32_t va)
{
    uint32_t drsr = (uint32_t)c->pmsa_drsr[n];
    unsigned bits = (drsr >> 1 & 31) + 1;
    if (!(drsr & 1) || bits < 5)
        return false;
    if (bits < 32 && (va ^ (uint32_t)c->pmsa_drbar[n]) >> bits)
        return false;
    return bits < 8 || !(drsr >> 8 >> (va >> (bits - 3) & 7) & 1);
}

/* log2 of the block around va that no region's edge cuts, 12 at most. */
static uint8_t uncut7(const ArmCpu *c, uint32_t va)
{
    unsigned least = 12;
    for (unsigned n = 0; n < MIN(c->model->mpu_regions, 32u); n++) {
        uint32_t drsr = (uint32_t)c->pmsa_drsr[n], base = (uint32_t)c->pmsa_drbar[n];
        unsigned bits = (drsr >> 1 & 31) + 1, piece = drsr >> 8 & 0xff && bits >= 8 ? bits - 3 : bits;
        bool near = bits >= 32 || !((va ^ base) >> MAX(bits, 12));
        if (drsr & 1 && bits >= 5 && near)
            least = MIN(least, piece);
    }
    return (uint8_t)least;
}

static uint8_t uncut8(const ArmCpu *c, unsigned el, uint32_t va)
{
    uint32_t page = va & ~0xfffu;
    for (unsigned n = 0; n < MIN(c->model->mpu_regions, 32u); n++) {
        uint32_t from = (uint32_t)c->prbar_el[el][n] & ~63u, end = ((uint32_t)c->prlar_el[el][n] | 63) + 1;
        if (c->prlar_el[el][n] & 1 &&
            ((from & 0xfff && (from & ~0xfffu) == page) || (end & 0xfff && (end & ~0xfffu) == page)))
            return 6;
    }
    return 12;
}

static void rights7(const Regime *r, unsigned ap, MmuOut *o)
{
    static const uint8_t priv[8] = { 0, 3, 3, 3, 0, 1, 1, 1 }, user[8] = { 0, 0, 1, 3, 0, 0, 1, 1 };
    unsigned rw = r->user ? user[ap] : priv[ap];
    o->r = rw & 1, o->w = rw >> 1;
}

static bool pmsa7(ArmCpu *c, const Regime *r, uint32_t va, MmuAccess a, MmuOut *out, MmuFault *f)
{
    default_map(r, va, out);
    for (unsigned n = MIN(c->model->mpu_regions, 32u); n-- > 0;) {
        if (!region7(c, n, va))
            continue;
        uint32_t dracr = (uint32_t)c->pmsa_dracr[n];
        rights7(r, dracr >> 8 & 7, out);
        out->x = out->r && !(dracr & BIT(12));
        out->device = !(dracr >> 3 & 7) && !(dracr & 2);
        return mmu_allowed(out, a.kind) || mmu_fault(f, FAULT_PERMISSION, 1);
    }
    if (r->user || !(r->sctlr & SCTLR_BR))
        return mmu_fault(f, FAULT_BACKGROUND, 0);
    return mmu_allowed(out, a.kind) || mmu_fault(f, FAULT_PERMISSION, 1);
}

/* --- v8: overlapping regions fault; EL1's MPU, then EL2's --- */

static bool mpu8(ArmCpu *c, unsigned el, const Regime *r, uint32_t va, MmuAccess a, MmuOut *out, MmuFault *f)
{
    int hit = -1;
    for (unsigned n = 0; n < MIN(c->model->mpu_regions, 32u); n++) {
        uint32_t bar = (uint32_t)c->prbar_el[el][n], lar = (uint32_t)c->prlar_el[el][n];
        if (!(lar & 1) || va < (bar & ~63u) || va > (lar | 63))
            continue;
        if (hit >= 0)
            return mmu_fault(f, FAULT_TRANSLATION, 0);
        hit = (int)n;
    }
    bool user = r->user, hyp = el == 2;
    if (hit < 0) {
        if (!(c->sctlr_el[el] & SCTLR_BR) || (user && !hyp) || (hyp && r->el != 2))
            return mmu_fault(f, FAULT_TRANSLATION, 0);
        default_map(r, va, out);
        return true;
    }
    uint32_t bar = (uint32_t)c->prbar_el[el][hit];
    bool ro = bar & 4, lower = bar & 2, xn = bar & 1;
    bool as_lower = hyp ? r->el != 2 : user;
    *out = (MmuOut){ .pa = va, .page_bits = 12, .global = true };
    out->r = !as_lower || lower;
    out->w = out->r && !ro;
    out->x = out->r && !xn && !(c->sctlr_el[el] & SCTLR_WXN && out->w);
    unsigned attr = c->prlar_el[el][hit] >> 1 & 7;
    out->attr = (uint8_t)(c->mair_el[el] >> (8 * attr));
    out->device = !(out->attr & 0xf0);
    return mmu_allowed(out, a.kind) || mmu_fault(f, FAULT_PERMISSION, 0);
}

bool arm_pmsa(ArmCpu *c, const Regime *r, uint32_t va, MmuAccess a, MmuOut *out, MmuFault *f)
{
    if (!c->has.v8) {
        if (enabled(r)) {
            bool ok = pmsa7(c, r, va, a, out, f);
            out->page_bits = uncut7(c, va);
            return ok;
        }
        default_map(r, va, out);
        out->x = true;
        return true;
    }
    default_map(r, va, out);
    out->x = true;
    if (enabled(r)) {
        unsigned el = r->el == 2 ? 2 : 1;
        if (!mpu8(c, el, r, va, a, out, f))
            return false;
        out->page_bits = uncut8(c, el, va);
    }
    if (r->el == 1 && r->hcr & HCR_VM && c->has.el2) {
        MmuOut o2;
        if (!mpu8(c, 2, r, va, a, &o2, f)) {
            f->stage2 = true;
            f->ipa = va;
            return false;
        }
        out->r &= o2.r, out->w &= o2.w, out->x &= o2.x;
        out->page_bits = MIN(out->page_bits, uncut8(c, 2, va));
    }
    return true;
}
