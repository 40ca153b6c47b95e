/* SPDX-License-Identifier: MIT */
/* List registers: what they say together. */
#include "hw/intc/arm-gic-lr.h"

static bool invalid(const GicLr *lr) { return !lr->pending && !lr->active; }

int gic_lr_highest(GicLrs l, uint32_t vmcr)
{
    int best = -1;
    for (unsigned i = 0; i < l.count; i++) {
        if (l.lr[i].pending && !l.lr[i].active && vmcr & (l.lr[i].group1 ? VM_G1 : VM_G0) &&
            (best < 0 || l.lr[i].priority < l.lr[best].priority))
            best = (int)i;
    }
    return best;
}

uint32_t gic_lr_eisr(GicLrs l)
{
    uint32_t v = 0;
    for (unsigned i = 0; i < l.count; i++)
        v |= (uint32_t)(invalid(&l.lr[i]) && !l.lr[i].hw && l.lr[i].eoi) << i;
    return v;
}

uint32_t gic_lr_elrsr(GicLrs l)
{
    uint32_t v = 0;
    for (unsigned i = 0; i < l.count; i++)
        v |= (uint32_t)(invalid(&l.lr[i]) && (l.lr[i].hw || !l.lr[i].eoi)) << i;
    return v;
}

/* IHI 0048B section 5.3.4, IHI 0069G ICH_MISR_EL2. */
uint32_t gic_lr_misr(GicLrs l, uint32_t hcr, uint32_t vmcr)
{
    unsigned valid = 0, pending = 0;
    for (unsigned i = 0; i < l.count; i++) {
        valid += !invalid(&l.lr[i]);
        pending += l.lr[i].pending;
    }
    if (!(hcr & HCR_EN))
        return 0;
    return (gic_lr_eisr(l) != 0) | (hcr & HCR_UIE && valid <= 1 ? 2u : 0) | (hcr & HCR_LRENPIE && hcr >> 27 ? 4u : 0) |
           (hcr & HCR_NPIE && !pending ? 8u : 0) | (hcr & HCR_G0E && vmcr & VM_G0 ? 0x10u : 0) |
           (hcr & HCR_G0D && !(vmcr & VM_G0) ? 0x20u : 0) | (hcr & HCR_G1E && vmcr & VM_G1 ? 0x40u : 0) |
           (hcr & HCR_G1D && !(vmcr & VM_G1) ? 0x80u : 0);
}
