/* SPDX-License-Identifier: MIT */
/* FPCR, FPSR, FPSCR over the host's control word (v.fp_control has MXCSR's layout) and the fields of ArmCpu. */
#include "target/arm/cpu.h"

enum { FPCR_RMODE_SHIFT = 22, FPSR_QC = 1 << 27, FPSR_STICKY = 0x1f, FPSR_IDC = 1 << 7 };

/* MXCSR: IE 0, DE 1, ZE 2, OE 3, UE 4, PE 5; FPSR: IOC 0, DZC 1, OFC 2, UFC 3, IXC 4 (DDI 0487, C5.2.8). */
static uint32_t sticky(uint32_t mxcsr) { return (mxcsr & 1) | (mxcsr >> 1 & 0x1e); }
static const uint8_t host_rounding[4] = { 0, 2, 1, 3 }; /* nearest, +inf, -inf, zero */

uint32_t arm_get_fpcr(const ArmCpu *c) { return c->fpcr; }
uint32_t arm_get_fpsr(const ArmCpu *c) { return c->fpsr | sticky(c->v.fp_control); }

void arm_set_fpcr(ArmCpu *c, uint32_t value)
{
    uint32_t valid = 0x07c00000 | (c->has.fp16 ? 1u << 19 : 0) | (c->has.m_mve_int ? 7u << 16 : c->has.aarch64 ? 0 : 0x00370000);
    c->fpcr = value & valid;
    c->v.fp_control = (c->v.fp_control & 0x3f) | 0x1f80 | (uint32_t)host_rounding[value >> FPCR_RMODE_SHIFT & 3] << 13;
    arm_update_mode(c);
}

void arm_set_fpsr(ArmCpu *c, uint32_t value)
{
    c->fpsr = value & (FPSR_QC | FPSR_IDC | FPSR_STICKY);
    c->v.fp_control &= ~0x3fu;
}

uint32_t arm_get_fpscr(const ArmCpu *c) { return arm_get_fpcr(c) | arm_get_fpsr(c) | (c->fpscr_nzcv & 0xf0000000); }

void arm_set_fpscr(ArmCpu *c, uint32_t value)
{
    c->fpscr_nzcv = value & 0xf0000000;
    arm_set_fpsr(c, value);
    arm_set_fpcr(c, value);
}
