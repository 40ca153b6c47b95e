/* SPDX-License-Identifier: MIT */
/* FPCR, FPSR, FPSCR over the translator's FP control word (DDI 0487 C5.2.8, C5.2.10; G8.2.55 for FPSCR). */
#include "accel/tcg/simd.h"
#include "target/arm/cpu.h"

enum { FPSR_QC = 1 << 27, FPSR_IDC = 1 << 7, FPSR_STICKY = 0x1f, CONTROL_STICKY = 0x3f };

/* IOC DZC OFC UFC IXC, and the same in the control word: IE (DE) ZE OE UE PE. */
static uint32_t sticky(uint32_t control) { return (control & 1) | (control >> 1 & 0x1e); }

/* RMode: nearest, up, down, zero; the control word's: nearest, down, up, zero. */
static uint32_t control_rounding(uint32_t fpcr)
{
    uint32_t r = fpcr >> 22 & 3;
    return (r >> 1 | (r & 1) << 1) << 13;
}

uint32_t arm_get_fpcr(const ArmCpu *c) { return c->fpcr; }
uint32_t arm_get_fpsr(const ArmCpu *c)
{
    return sticky(c->v.fp_control) | (c->v.fp_more & FP_MORE_QC ? FPSR_QC : 0) |
           (c->v.fp_more & FP_MORE_IDC ? FPSR_IDC : 0);
}

void arm_set_fpcr(ArmCpu *c, uint32_t value)
{
    uint32_t valid = 0x07c00000; /* AHP DN FZ RMode; trap enables are RAZ: no trapped exceptions */
    if (c->has.fp16)
        valid |= BIT(19);        /* FZ16 */
    if (!c->aarch64 && !c->m)
        valid |= 0x00370000;     /* FPSCR Len and Stride */
    c->fpcr = value & valid;
    c->v.fp_control = FP_CONTROL_MASKS | (c->v.fp_control & CONTROL_STICKY) | control_rounding(value);
    c->v.fp_rules = (value & BIT(25) ? FP_RULE_DN : 0) | (value & BIT(24) ? FP_RULE_FZ : 0) |
                    (c->fpcr & BIT(19) ? FP_RULE_FZ16 : 0) | (value & BIT(26) ? FP_RULE_AHP : 0);
    arm_update_mode(c);
}

void arm_set_fpsr(ArmCpu *c, uint32_t value)
{
    c->v.fp_control = (c->v.fp_control & ~(uint32_t)CONTROL_STICKY) | FP_CONTROL_MASKS | (value & 1) |
                      (value & 0x1e) << 1;
    c->v.fp_more = (value & FPSR_QC ? FP_MORE_QC : 0) | (value & FPSR_IDC ? FP_MORE_IDC : 0);
}

uint32_t arm_get_fpscr(const ArmCpu *c)
{
    uint32_t ltpsize = c->has.m_mve_int ? (uint32_t)c->ltpsize << 16 : 0;
    return arm_get_fpcr(c) | arm_get_fpsr(c) | (c->fpscr_nzcv & 0xf0000000) | ltpsize;
}

void arm_set_fpscr(ArmCpu *c, uint32_t value)
{
    c->fpscr_nzcv = value & 0xf0000000;
    if (c->has.m_mve_int)
        c->ltpsize = value >> 16 & 7;
    if (c->m && !c->has.m_mve_int)
        value &= ~(uint32_t)FPSR_QC;
    arm_set_fpsr(c, value);
    arm_set_fpcr(c, value);
}
