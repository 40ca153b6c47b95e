/* SPDX-License-Identifier: MIT */
/* Private to the SIMD emitters: VEX and EVEX instructions, homes of vector registers, scratch registers. */
#ifndef ACCEL_TCG_HOST_X86_SIMD_H
#define ACCEL_TCG_HOST_X86_SIMD_H

#include "accel/tcg/host-x86/jit.h"
#include "accel/tcg/simd.h"

/* Scratch registers of the present op; the rest are homes. */
enum { X0 = 15, X1 = 14, X2 = 13, X3 = 12, LOW_HOMES = 12 };

/*
 * An instruction: prefix (0, 1 = 66, 2 = F3, 3 = F2), map (1 = 0F, 2 = 0F38, 3 = 0F3A), VEX.W, EVEX.W (NO_EVEX: there
 * is no such form).
 */
typedef struct VOp { uint8_t pp, map, op, w; int8_t ew; } VOp;
enum { NO_EVEX = -1 };
#define VOP(pp, map, op, ew) ((VOp){ pp, map, op, 0, ew })
#define VOPW(pp, map, op, ew) ((VOp){ pp, map, op, 1, ew })

void v_op(Jit *j, VOp o, unsigned d, unsigned a, Loc b);
static inline void v_rr(Jit *j, VOp o, unsigned d, unsigned a, unsigned b) { v_op(j, o, d, a, loc_reg(b)); }
static inline void v_imm(Jit *j, VOp o, unsigned d, unsigned a, unsigned b, unsigned imm)
{
    v_op(j, o, d, a, loc_reg(b));
    e8(&j->a, imm);
}
void v_evex(Jit *j, VOp o, unsigned d, unsigned a, Loc b); /* that form for any registers */
void v_mov(Jit *j, unsigned d, unsigned s);
Loc v_home(IrRef r);                                /* register, or the field of the Vcpu */
unsigned v_in(Jit *j, IrRef r, unsigned room);      /* a register that holds it: its home, or `room`; NONE: zero */
unsigned v_low(Jit *j, IrRef r, unsigned room);     /* one of the first 16 */
unsigned v_masked(Jit *j, IrRef r, unsigned bytes, unsigned room); /* with zeros above `bytes` (not a home then) */
void v_put(Jit *j, IrRef d, unsigned t, unsigned bytes); /* t, with zeros above `bytes`, into d */
void v_constant(Jit *j, unsigned d, uint64_t v);    /* both halves; needs a general scratch register */
/* that jump leads to the portable function, which comes back here: call it last */
void v_cold(Jit *j, uint8_t *jcc);
void v_step(Jit *j);                                /* the op by its portable function */
static inline void v_zero(Jit *j, unsigned d) { v_rr(j, VOP(1, 1, 0xef, NO_EVEX), d, d, d); }
static inline void v_ones(Jit *j, unsigned d) { v_rr(j, VOP(1, 1, 0x76, NO_EVEX), d, d, d); }

/* Constants in Vcpu.host_const: 16 bytes each. */
typedef enum VConst {
    VC_ABS4,
    VC_ABS8,
    VC_SIGN4,
    VC_SIGN8,
    VC_MIN4,
    VC_MIN8,
    VC_LOW1,
    VC_LOW2,
    VC_LOW4,
    VC_B1,
    VC_W1,
    VC_B0F,
    VC_W00FF,
    VC_D0000FFFF,
    VC_B70,
    VC_B10,
    VC_B20,
    VC_B30,
    VC_POPCOUNT,
    VC_RBIT_LOW,
    VC_RBIT_HIGH,
    VC_REV16,
    VC_REV32,
    VC_REV64,
    VC_REV32H,
    VC_REV64H,
    VC_W8000,
    VC_D80000000,
    VC_COUNT
} VConst;
Loc v_const(VConst c);

/* Each tells whether it has emitted the op; false: nothing has been emitted. */
bool emit_simd_move(Jit *j);
bool emit_simd_int(Jit *j);
bool emit_simd_narrow_wide(Jit *j);
bool emit_simd_fp(Jit *j);
bool emit_simd_fp_convert(Jit *j);
bool emit_simd_crypto(Jit *j);

/* Instructions that several files use. */
#define V_AND VOP(1, 1, 0xdb, 0)
#define V_ANDN VOP(1, 1, 0xdf, 0)   /* ~a & b */
#define V_OR VOP(1, 1, 0xeb, 0)
#define V_XOR VOP(1, 1, 0xef, 0)
#define V_LQDQ VOP(1, 1, 0x6c, 1)
#define V_HQDQ VOP(1, 1, 0x6d, 1)
#define V_PTEST VOP(1, 2, 0x17, NO_EVEX)
#define V_PSHUFB VOP(1, 2, 0x00, NO_EVEX)
#define V_PSHUFD VOP(1, 1, 0x70, NO_EVEX)
#define V_MOVQ VOP(2, 1, 0x7e, 1)
static inline unsigned log2_of(unsigned es) { return (unsigned)__builtin_ctz(es); }
static inline void v_shift_bytes_right(Jit *j, unsigned d, unsigned s, unsigned n) /* d, s < 16 */
{
    v_op(j, VOP(1, 1, 0x73, NO_EVEX), 3, d, loc_reg(s));
    e8(&j->a, n);
}
enum { SHIFT_RIGHT = 2, SHIFT_ARITHMETIC = 4, SHIFT_LEFT = 6 };
/* es 2, 4, 8 (not arithmetic); < 16 */
static inline void v_shift(Jit *j, unsigned kind, unsigned es, unsigned d, unsigned s, unsigned n)
{
    v_op(j, VOP(1, 1, 0x70 | log2_of(es), NO_EVEX), kind, d, loc_reg(s));
    e8(&j->a, n);
}
static inline VOp v_padd(unsigned es) { return VOP(1, 1, es == 8 ? 0xd4 : 0xfc + log2_of(es), es == 8); }
static inline VOp v_psub(unsigned es) { return VOP(1, 1, 0xf8 + log2_of(es), es == 8); }
#endif
