/* SPDX-License-Identifier: MIT */
/* Helpers of AArch32 FP: steps that are not fused, conversion to 16-bit fixed point, status registers. */
#include "accel/tcg/simd.h"
#include "accel/tcg/softfp.h"
#include "target/arm/tcg/help-a32.h"

static void merge_flags(Vcpu *v, const FpEnv *e)
{
    v->fp_control |= e->flags & 0x3f;
    if (e->flags & FPF_ID)
        v->fp_more |= FP_MORE_IDC;
}

/* DDI 0406C, FPRecipStep() and FPRSqrtStep(): the product is rounded; infinity by zero gives 2 or 3/2. */
static uint64_t step(FpEnv *e, unsigned es, bool rsqrt, uint64_t a, uint64_t b)
{
    static const uint64_t two[2] = { 0x4000, 0x40000000 }, three[2] = { 0x4200, 0x40400000 },
                          half[2] = { 0x3800, 0x3f000000 };
    uint64_t magnitude = es == 2 ? 0x7fff : 0x7fffffff, inf = es == 2 ? 0x7c00 : 0x7f800000,
             least = es == 2 ? 0x400 : 0x800000;
    uint64_t ma = a & magnitude, mb = b & magnitude;
    bool zero_a = es == 2 && !e->fz16 ? !ma : ma < least, zero_b = es == 2 && !e->fz16 ? !mb : mb < least;
    bool special = (ma == inf && zero_b) || (mb == inf && zero_a);
    if (special && es == 4 && ma + mb != inf) /* the zero was a flushed denormal: FPUnpack() says so */
        e->flags |= FPF_ID;
    uint64_t product = special ? 0 : fp_mul(e, es, a, b);
    uint64_t r = fp_sub(e, es, rsqrt ? three[es / 4] : two[es / 4], product);
    return rsqrt ? fp_mul(e, es, r, half[es / 4]) : r;
}

/* a: D registers d | n << 8 | m << 16; b: VRSQRTS | Q << 1 | size << 2 */
ARM_HELPER_VOID(a32_step)
{
    unsigned es = 1u << (b >> 2 & 3), d = a & 0xff, n = a >> 8 & 0xff, m = a >> 16 & 0xff;
    FpEnv e = { .rmode = FP_ROUND_NEAREST, .dn = true, .fz = true, .fz16 = arm_cpu(v)->fpcr & 1u << 19 };
    for (unsigned r = 0; r < (b & 2 ? 2u : 1u); r++, d++, n++, m++) {
        uint64_t va = v->v[n / 2].u64[n % 2], vb = v->v[m / 2].u64[m % 2], result = 0;
        for (unsigned at = 0; at < 64; at += 8 * es) {
            uint64_t mask = bits_mask(8 * es);
            result |= step(&e, es, b & 1, va >> at & mask, vb >> at & mask) << at;
        }
        v->v[d / 2].u64[d % 2] = result;
    }
    merge_flags(v, &e);
}

/* b: element size | unsigned << 4 | fraction bits << 8; extended to 32 bits */
ARM_HELPER(a32_to_fixed16)
{
    unsigned es = b & 15;
    FpEnv e = { .fz = v->fp_rules & FP_RULE_FZ, .fz16 = v->fp_rules & FP_RULE_FZ16 };
    uint64_t r = fp_to_int(&e, es, a, FP_ROUND_ZERO, 16, b & 16, (unsigned)(b >> 8));
    merge_flags(v, &e);
    return b & 16 ? (uint16_t)r : (uint32_t)(int16_t)r;
}

/* --- VMRS, VMSR: a is the number of the register (DDI 0406C, B9.3.19) --- */
enum { FPSID = 0, FPSCR = 1, FPSCR_NZCVQC = 2, MVFR2 = 5, MVFR1 = 6, MVFR0 = 7, FPEXC = 8, VPR = 12, P0 = 13 };

ARM_HELPER(a32_vmrs)
{
    ArmCpu *c = arm_cpu(v);
    switch (a) {
    case FPSCR: return arm_get_fpscr(c);
    case FPSCR_NZCVQC: return arm_get_fpscr(c) & 0xf8000000;
    case VPR: return c->vpr;
    case P0: return c->vpr & 0xffff;
    case FPSID: return c->fpsid;
    case MVFR2: return c->mvfr2;
    case MVFR1: return c->mvfr1;
    case MVFR0: return c->mvfr0;
    case FPEXC: return c->fpexc32_el2;
    default:
        arm_help_undef(v, 1, 0, 0);
        return 0;
    }
}

ARM_HELPER_VOID(a32_vmsr)
{
    ArmCpu *c = arm_cpu(v);
    switch (a) {
    case FPSCR: arm_set_fpscr(c, (uint32_t)b); break;
    case FPSCR_NZCVQC: arm_set_fpscr(c, (arm_get_fpscr(c) & 0x07ffffff) | ((uint32_t)b & 0xf8000000)); break;
    case VPR: c->vpr = (uint32_t)b & 0x00ffffff; break;
    case P0: c->vpr = (c->vpr & ~0xffffu) | (b & 0xffff); break;
    case FPEXC: c->fpexc32_el2 = b & BIT(30); break; /* EN; no subarchitecture state */
    case FPSID: break;
    default: arm_help_undef(v, 1, 0, 0);
    }
    arm_update_mode(c);
}
