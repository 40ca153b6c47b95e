/* SPDX-License-Identifier: MIT */
/*
 * What a hypervisor learns of a load or store that it has to emulate: ISS[24:14] of a stage 2 data abort (DDI 0487,
 * D19.2.37).
 */
#include "target/arm/system.h"

static uint32_t isv(unsigned size, bool sign, unsigned rt, bool wide, bool acquire)
{
    return 1u << 24 | size << 22 | (uint32_t)sign << 21 | rt << 16 | (uint32_t)wide << 15 | (uint32_t)acquire << 14;
}

/* Single-register loads and stores without write-back (the manual's list for ISV). */
static uint32_t isv64(uint32_t insn)
{
    unsigned size = insn >> 30, opc = insn >> 22 & 3, rt = insn & 31;
    if ((insn & 0x3fa08000) == 0x08808000) /* LDAR, STLR, LDLAR, STLLR */
        return isv(size, false, rt, size == 3, true);
    bool imm = (insn & 0x3f000000) == 0x39000000;
    bool reg = (insn & 0x3f200c00) == 0x38200800;
    bool unscaled = (insn & 0x3f200400) == 0x38000000; /* LDUR and LDTR */
    if (!imm && !reg && !unscaled)
        return 0;
    if (size == 3 && opc >= 2) /* PRFM */
        return 0;
    return isv(size, opc >= 2, rt, opc >= 2 ? opc == 2 : size == 3, false);
}

static uint32_t isv_a32(uint32_t insn)
{
    unsigned rt = insn >> 12 & 15;
    bool pre_no_wb = (insn & 0x01200000) == 0x01000000;
    if (!pre_no_wb || rt == 15)
        return 0;
    if ((insn & 0x0c000000) == 0x04000000) /* LDR, STR, LDRB, STRB */
        return isv(insn >> 22 & 1 ? 0 : 2, false, rt, false, false);
    if ((insn & 0x0e000090) == 0x00000090 && insn & 0x60) { /* halfwords and signed */
        bool load = insn >> 20 & 1, half = insn >> 5 & 1, sign = insn >> 6 & 1;
        if (!load && sign) /* LDRD, STRD */
            return 0;
        return isv(half, sign, rt, false, false);
    }
    return 0;
}

/* Where AArch32's register stands for AArch64's SRT (D1.21.1). */
static unsigned srt_of(const ArmCpu *c, unsigned rt)
{
    switch (arm_bank_index(c->mode32)) {
    case ARM_BANKED_FIQ: return rt >= 8 && rt <= 14 ? rt + 16 : rt;
    case ARM_BANKED_IRQ: return rt == 13 ? 17 : rt == 14 ? 16 : rt;
    case ARM_BANKED_SVC: return rt == 13 ? 19 : rt == 14 ? 18 : rt;
    case ARM_BANKED_ABT: return rt == 13 ? 21 : rt == 14 ? 20 : rt;
    case ARM_BANKED_UND: return rt == 13 ? 23 : rt == 14 ? 22 : rt;
    case ARM_BANKED_HYP: return rt == 13 ? 15 : rt;
    default: return rt;
    }
}

/* The registers that a trapped access to a coprocessor names, as AArch64 calls them; R15 is 31. */
uint32_t arm_syndrome64(const ArmCpu *c, unsigned ec, uint32_t iss)
{
    bool two = ec == EC_CP15_RRT || ec == EC_CP14_RRT;
    if (c->aarch64 || !(two || ec == EC_CP15_RT || ec == EC_CP14_RT || ec == EC_CP14_DT || ec == EC_FPID))
        return iss;
    unsigned rt = iss >> 5 & 31, rt2 = iss >> 10 & 31;
    iss = (uint32_t)bits_set(iss, 5, 5, rt == 15 ? 31 : srt_of(c, rt));
    return two ? (uint32_t)bits_set(iss, 10, 5, srt_of(c, rt2)) : iss;
}

uint32_t arm_data_abort_isv(ArmCpu *c)
{
    uint8_t code[4];
    if (c->t32 || !guest_debug_read(&c->v, c->v.pc, code, 4))
        return 0;
    if (c->aarch64)
        return isv64(load_le32(code));
    uint32_t iss = isv_a32(load_le32(code));
    return iss ? (iss & ~UINT32_C(0x1f0000)) | srt_of(c, iss >> 16 & 31) << 16 : 0;
}
