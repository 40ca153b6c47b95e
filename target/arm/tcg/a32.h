/* SPDX-License-Identifier: MIT */
/* What the emitters of A32 and T32 (emit-a32-*.c, emit-t*.c) share: registers, flags, the shifter, addresses, branches.
 *
 * An emitter gets the instruction word and the row's argument. What can fault comes first; registers and flags are
 * written last. R15 as an operand is a constant. The IT state and conditions are handled around the emitters (a32.c).
 */
#ifndef TARGET_ARM_TCG_A32_H
#define TARGET_ARM_TCG_A32_H

#include "target/arm/tcg/a32-insn.h"
#include "target/arm/tcg/translate.h"
#include "target/arm/tcg/a32.decode.h"
#include "target/arm/tcg/a32u.decode.h"
#include "target/arm/tcg/t16.decode.h"
#include "target/arm/tcg/t32.decode.h"

/* Bits hi:lo of an instruction word. */
static inline uint32_t fld(uint32_t w, unsigned hi, unsigned lo)
{
    return w >> lo & (uint32_t)((UINT64_C(2) << (hi - lo)) - 1);
}
static inline int32_t sxt(uint32_t value, unsigned bits) { return (int32_t)(value << (32 - bits)) >> (32 - bits); }

/* The shifter's carry out: kept, a constant, or bit 0 of `carry_ref` as FLAG_C (NOT carry). */
typedef enum A32Carry { CARRY_KEEP, CARRY_0, CARRY_1, CARRY_REF } A32Carry;

/* The second operand: v is G, T or IMM. */
typedef struct A32Op2 {
    IrRef v, carry_ref;
    uint32_t imm;
    uint8_t carry;
    IrRef keep_if_zero; /* not IR_NONE: the carry is kept when this is 0 (shifts by register) */
} A32Op2;

/* --- registers --- */
uint32_t a32_pc(const ArmTrans *x);                 /* R15 as an operand */
IrRef a32_reg(ArmTrans *x, unsigned n);             /* G, or for 15 a temporary with the constant */
IrRef a32_copy(ArmTrans *x, IrRef r);               /* 32 bits in a new temporary */
IrRef a32_const(ArmTrans *x, uint32_t value);
IrRef a32_op(ArmTrans *x, IrOp op, IrRef a, IrRef b);         /* new temporary = a op b, 32 bits */
IrRef a32_opi(ArmTrans *x, IrOp op, IrRef a, uint32_t imm);
IrRef a32_op8(ArmTrans *x, IrOp op, IrRef a, IrRef b);        /* 64 bits */
IrRef a32_op8i(ArmTrans *x, IrOp op, IrRef a, uint64_t imm);
IrRef a32_ext(ArmTrans *x, IrOp op, unsigned from, unsigned to, IrRef a);
void a32_set(ArmTrans *x, unsigned n, IrRef value); /* Rn = value (32 bits); n = 15: jump as ALUWritePC */
/*
 * Where to compute Rd: G(n), or a temporary that a32_set() gives to R15. SP of M-profile is checked against its limit
 * there.
 */
IrRef a32_dest(ArmTrans *x, unsigned n);
void a32_done(ArmTrans *x, unsigned n, IrRef value);/* after a32_dest(): finishes what is no plain register */
static inline bool a32_plain(const ArmTrans *x, unsigned n) { return n != 15 && !(n == 13 && x->mode & ARM_MODE_M); }

/* --- flags --- */
void a32_set_nz(ArmTrans *x, IrRef value, unsigned size);
void a32_put_c(ArmTrans *x, IrRef not_carry); /* bit 0 */
void a32_put_carry(ArmTrans *x, const A32Op2 *o);
IrRef a32_carry_in(ArmTrans *x);              /* PSTATE.C as 0 or 1 */

/* --- shifter --- */
A32Op2 a32_imm_op2(uint32_t imm, A32Carry carry);
/* encodings: LSR/ASR 0 = 32, ROR 0 = RRX */
A32Op2 a32_shift_imm(ArmTrans *x, unsigned rm, A32Shift type, unsigned amount, bool carry);
A32Op2 a32_shift_reg(ArmTrans *x, unsigned rm, A32Shift type, unsigned rs, bool carry);
void a32_dp(ArmTrans *x, A32Dp op, bool s, unsigned rd, unsigned rn, const A32Op2 *o);
uint32_t a32_expand_imm(uint32_t imm12, A32Carry *carry); /* A32ExpandImm_C */
uint32_t t32_expand_imm(uint32_t imm12, A32Carry *carry); /* ThumbExpandImm_C */

/* --- memory: as arm_mem(); the IT state is stored first. base may be IR_NONE --- */
IrMem a32_mem(ArmTrans *x, IrRef base, int32_t disp, unsigned size, unsigned flags);
IrMem a32_mem_index(ArmTrans *x, IrRef base, IrRef index, unsigned lsl, unsigned size, unsigned flags);
/* behind the load of a single word: what old CPUs do when its address was not aligned */
void a32_rotate_old(ArmTrans *x, IrRef word);
/* Rt = value, R15 interworks by the rules of loads */
void a32_set_loaded(ArmTrans *x, unsigned rt, IrRef value);

/* --- branches, ends --- */
void a32_branch(ArmTrans *x, uint32_t target);       /* same state */
void a32_branch_cond(ArmTrans *x, unsigned cond, uint32_t target); /* the block may go on */
void a32_branch_zero(ArmTrans *x, bool if_zero, IrRef a, uint32_t target);
void a32_branch_state(ArmTrans *x, uint32_t target, bool t32);
void a32_bx(ArmTrans *x, IrRef target);              /* BXWritePC */
void a32_alu_pc(ArmTrans *x, IrRef target);          /* ALUWritePC */
void a32_jump(ArmTrans *x, IrRef target);            /* BranchWritePC: same state */
void a32_end_lookup(ArmTrans *x);                    /* L of helpers.h */
void a32_end_exit(ArmTrans *x);                      /* X */
void a32_end_next(ArmTrans *x);                      /* M */

/* The tables: a32 (condition not 1111), a32u (1111), t16, t32; vfp and vfpu: coprocessors 10 and 11; neon: Advanced
 * SIMD, in A32's form; mve: rows are executed, not emitted (mve.c). */
extern const ArmTable arm_a32_table, arm_a32u_table, arm_t16_table, arm_t32_table, arm_vfp_table, arm_vfpu_table,
    arm_neon_table, arm_mve_table;
void a32_mve_insn(ArmTrans *x, const ArmRow *row, uint32_t w); /* a row of table mve: executed by a helper */

static inline bool a32_t32(const ArmTrans *x) { return x->mode & ARM_MODE_T32; }
static inline bool a32_m(const ArmTrans *x) { return x->mode & ARM_MODE_M; }


/* An emitter of the tables a32, a32u, t16, t32 ... */
#define E(name) void arm_a32_##name(ArmTrans *x, const A32Insn *i)
#endif
