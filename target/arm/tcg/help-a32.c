/* SPDX-License-Identifier: MIT */
/* Helpers of the A32 and T32 front end: media instructions, state changes that are not worth inline code. */
#include "target/arm/tcg/help-a32.h"

static void set_q(Vcpu *v) { arm_cpu(v)->q = 1; }

static int64_t saturate(Vcpu *v, int64_t value, int64_t low, int64_t high)
{
    if (value >= low && value <= high)
        return value;
    set_q(v);
    return value < low ? low : high;
}

static uint64_t sat32(Vcpu *v, int64_t value) { return (uint32_t)saturate(v, value, INT32_MIN, INT32_MAX); }

ARM_HELPER(a32_add_q)
{
    int64_t sum = (int64_t)(int32_t)a + (int32_t)b;
    if (sum != (int32_t)sum)
        set_q(v);
    return (uint32_t)sum;
}

ARM_HELPER(a32_sum_q)
{
    int64_t sum = (int64_t)a + (int32_t)b;
    if (sum != (int32_t)sum)
        set_q(v);
    return (uint32_t)sum;
}

/* op (a3): 0 QADD, 1 QSUB, 2 QDADD, 3 QDSUB; a is Rm, b is Rn. */
ARM_HELPER(a32_qadd)
{
    int64_t n = (int32_t)b;
    if (a3 & 2)
        n = (int32_t)sat32(v, 2 * n);
    return sat32(v, a3 & 1 ? (int32_t)a - n : (int32_t)a + n);
}

ARM_HELPER(a32_ssat)
{
    return (uint32_t)saturate(v, (int32_t)a, -(INT64_C(1) << (b - 1)), (INT64_C(1) << (b - 1)) - 1);
}
ARM_HELPER(a32_usat) { return (uint32_t)saturate(v, (int32_t)a, 0, (INT64_C(1) << b) - 1); }

ARM_HELPER(a32_ssat16)
{
    int64_t high = (INT64_C(1) << (b - 1)) - 1;
    return (uint16_t)saturate(v, (int16_t)a, -high - 1, high) |
           (uint32_t)(uint16_t)saturate(v, (int16_t)(a >> 16), -high - 1, high) << 16;
}

ARM_HELPER(a32_usat16)
{
    int64_t high = (INT64_C(1) << b) - 1;
    return (uint16_t)saturate(v, (int16_t)a, 0, high) | (uint32_t)(uint16_t)saturate(v, (int16_t)(a >> 16), 0, high)
                                                            << 16;
}

ARM_HELPER(a32_sxtab16)
{
    return (uint16_t)(a + (uint64_t)(int64_t)(int8_t)b) |
           (uint32_t)(uint16_t)((a >> 16) + (uint64_t)(int64_t)(int8_t)(b >> 16)) << 16;
}

ARM_HELPER(a32_uxtab16)
{
    return (uint16_t)(a + (uint8_t)b) | (uint32_t)(uint16_t)((a >> 16) + (uint8_t)(b >> 16)) << 16;
}

ARM_HELPER(a32_usad8)
{
    uint32_t sum = 0;
    for (unsigned n = 0; n < 32; n += 8)
        sum += (uint32_t)ABS((int)(a >> n & 0xff) - (int)(b >> n & 0xff));
    return sum;
}

ARM_HELPER(a32_sel)
{
    uint32_t mask = 0, ge = arm_cpu(v)->ge;
    for (unsigned n = 0; n < 4; n++)
        mask |= ge >> n & 1 ? 0xffu << (8 * n) : 0;
    return ((uint32_t)a & mask) | ((uint32_t)b & ~mask);
}

/* --- parallel addition and subtraction (DDI 0406C, A5.4.1, A5.4.2): a3 = kind << 3 | op ---
 * kind: 1 S, 2 Q, 3 SH, 5 U, 6 UQ, 7 UH. op: 0 ADD16, 1 ASX, 2 SAX, 3 SUB16, 4 ADD8, 7 SUB8. */
static uint32_t lane(int n, int m, bool sub, unsigned kind, unsigned bits, bool *ge)
{
    int r = sub ? n - m : n + m, half = 1 << (bits - 1), full = 1 << bits;
    *ge = kind == 5 && !sub ? r >= full : r >= 0;
    switch (kind) {
    case 2: r = CLAMP(r, -half, half - 1); break;
    case 6: r = CLAMP(r, 0, full - 1); break;
    case 3: case 7: r >>= 1; break;
    }
    return (uint32_t)r & (uint32_t)(full - 1);
}

static int element(uint64_t value, unsigned at, unsigned bits, bool sgn)
{
    uint32_t e = (uint32_t)(value >> at) & (uint32_t)((1 << bits) - 1);
    return sgn && e >> (bits - 1) ? (int)e - (1 << bits) : (int)e;
}

ARM_HELPER(a32_parallel)
{
    unsigned kind = (unsigned)(a3 >> 3), op = a3 & 7, bits = op & 4 ? 8 : 16;
    bool sgn = kind < 4, cross = op == 1 || op == 2, is_ge;
    uint32_t result = 0, ge = 0;
    for (unsigned at = 0; at < 32; at += bits) {
        bool sub = op == 3 || op == 7 || (op == 1 && at == 0) || (op == 2 && at == 16);
        int m = element(b, cross ? 16 - at : at, bits, sgn);
        result |= lane(element(a, at, bits, sgn), m, sub, kind, bits, &is_ge) << at;
        if (is_ge)
            ge |= (bits == 8 ? 1u : 3u) << (at / 8);
    }
    if (kind == 1 || kind == 5)
        arm_cpu(v)->ge = ge;
    return result;
}

/* --- flags: real polarity in bits 31:28 to explicit bits --- */
ARM_HELPER(a32_nzcv)
{
    return (a & BIT(31) ? FLAG_S : 0u) | (a & BIT(30) ? FLAG_Z : 0u) | (a & BIT(29) ? 0u : FLAG_C) |
           (a & BIT(28) ? FLAG_O : 0u);
}

ARM_HELPER(a32_flags)
{
    arm_cpu(v)->q = a >> 27 & 1;
    return arm_help_a32_nzcv(v, a, 0, 0);
}

/* --- state --- */
ARM_HELPER_VOID(a32_state)
{
    arm_cpu(v)->t32 = a;
    vcpu_set_mode(v, a ? v->mode | ARM_MODE_T32 : v->mode & ~ARM_MODE_T32);
}

ARM_HELPER_VOID(a32_set_it)
{
    arm_cpu(v)->it = (uint8_t)a;
    vcpu_set_mode(v, (v->mode & ~((uint64_t)0xff << ARM_MODE_IT_SHIFT)) | a << ARM_MODE_IT_SHIFT);
}

/* SPSR for an exception return; in modes without one UNDEFINED. */
ARM_HELPER(a32_spsr)
{
    ArmCpu *c = arm_cpu(v);
    if (c->mode32 == ARM_USR || c->mode32 == ARM_SYS)
        arm_help_undef(v, 1, 0, 0);
    return arm_help_mrs_cpsr(v, 1, 0, 0);
}


ARM_HELPER_VOID(a32_setend)
{
    arm_cpu(v)->e = a;
    arm_update_mode(arm_cpu(v));
}

ARM_HELPER_VOID(a32_setpan)
{
    arm_cpu(v)->pan = a;
    arm_update_mode(arm_cpu(v));
}

/* --- SRS: LR and SPSR to the stack of another mode (DDI 0406C, B9.3.16) --- */
enum { SYSM_SP_IRQ = 0x11, SYSM_SP_SVC = 0x13, SYSM_SP_ABT = 0x15, SYSM_SP_UND = 0x17, SYSM_SP_MON = 0x1d };

/* The number MRS (banked) has for SP of a mode; 0: the present mode's. */
static unsigned banked_sp(const ArmCpu *c, unsigned mode)
{
    if (mode == c->mode32 || (mode == ARM_USR && c->mode32 == ARM_SYS) || (mode == ARM_SYS && c->mode32 == ARM_USR))
        return 0;
    switch (mode) {
    case ARM_IRQ: return SYSM_SP_IRQ;
    case ARM_SVC: return SYSM_SP_SVC;
    case ARM_ABT: return SYSM_SP_ABT;
    case ARM_UND: return SYSM_SP_UND;
    case ARM_MON: return SYSM_SP_MON;
    case ARM_FIQ: return 0x0d;
    default: return 5;
    }
}

ARM_HELPER_VOID(a32_srs)
{
    ArmCpu *c = arm_cpu(v);
    uint32_t spsr = (uint32_t)arm_help_a32_spsr(v, 0, 0, 0);
    unsigned sysm = banked_sp(c, a & 0x1f), bank = arm_mode_bank(v->mode);
    bool p = a & BIT(8), u = a & BIT(9);
    uint32_t sp = sysm ? (uint32_t)arm_help_banked_get(v, sysm, 0, 0) : (uint32_t)v->g[ARM_R13];
    uint32_t at = sp + (uint32_t)(u ? (p ? 4 : 0) : (p ? -8 : -4));
    uint32_t words[2] = { (uint32_t)v->g[ARM_R14], spsr };
    guest_probe(v, at, 8, ACCESS_WRITE, bank);
    for (unsigned n = 0; n < 2; n++)
        guest_store(v, at + 4 * n, 4, v->mode & ARM_MODE_BE ? __builtin_bswap32(words[n]) : words[n], bank);
    if (!(a & BIT(10)))
        return;
    sp += (uint32_t)(u ? 8 : -8);
    if (sysm)
        arm_help_banked_set(v, sysm, sp, 0);
    else
        v->g[ARM_R13] = sp;
}
