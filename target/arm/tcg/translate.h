/* SPDX-License-Identifier: MIT */
/* What Arm emitters use: the translation in progress, memory operands, helper calls, ends of blocks.
 * docs/arm-frontend.md tells how.
 *
 * Rules for an emitter:
 * - what can fault comes first (memory, helpers that raise), then registers and flags, then nothing more;
 * - arm_mem() makes the operand, arm_load()/arm_store() (or IR ops that take it, with x->be in their flags) use it;
 * - an emitter that leaves the block calls one of arm_end_*(), once, last. UNDEFINED: arm_undefined() and return.
 */
#ifndef TARGET_ARM_TCG_TRANSLATE_H
#define TARGET_ARM_TCG_TRANSLATE_H

#include "accel/tcg/simd.h"
#include "target/arm/cpu.h"
#include "target/arm/helpers.h"
#include "target/arm/tcg/decode.h"

struct ArmTrans {
    TransCtx *t;
    ArmCpu *c;
    const ArmFeatures *has;
    uint64_t mode;       /* ARM_MODE_* of the block */
    uint64_t pc;         /* of this insn */
    /* the insn to translate next: set to pc + len before the emitter runs; one that follows a jump changes it */
    uint64_t next_pc;
    uint32_t insn;       /* this insn; T32: the first halfword in 31:16 when it has two */
    uint8_t len;         /* its bytes */
    uint8_t bank, ubank; /* of ordinary and of unprivileged accesses */
    uint8_t el;
    uint8_t it;          /* T32: IT state at this insn; the T32 front end advances it */
    uint16_t be;         /* IR_BE when data is big-endian: ORed into the flags of ops with a memory operand */
    bool a64, step;
    bool one;            /* the block ends after this insn: step, one-insn-per-tb */
    bool ended;          /* an emitter ended the block */
    bool sp_checked;     /* A64: SP is known to be aligned */
    uint8_t known_reg;   /* A64: the insn before this one (number known_at of the block) left known_value there */
    unsigned known_at;
    uint64_t known_value;
    /* A32 and T32 (a32.c) */
    uint8_t it_next;     /* IT state after this insn */
    bool it_stored;      /* the block has stored an IT state into ArmCpu */
    bool it_now_stored;  /* that of this insn */
    bool conditional;    /* this insn is behind a condition */
    bool flags_changed;  /* this insn writes flags */
    uint8_t cond;        /* its condition, 14: always */
    IrRef old_address;   /* ARM_MODE_OLD_ALIGN: of the present access, with its low bits */
    bool fcmp_known;     /* ArmCpu.fcmp is what the last VCMP gave */
};

/* --- the instruction sets; each handles one insn and may end the block --- */
void arm_a64_insn(ArmTrans *x);                 /* a64.c; x->insn is the word */
void arm_a32_insn(ArmTrans *x);                 /* A32 (cond included) */
/* T32, A- and M-profile; x->len says which of the two forms x->insn has */
void arm_t32_insn(ArmTrans *x);
void arm_t32_begin(ArmTrans *x);                /* a block begins: x->it from the mode */
/* T32 goes on at another block (x->it may not be 0): called before the op that leaves */
void arm_t32_leave(ArmTrans *x);
/* T32, before what can leave the block (arm_call() and a32_mem() do it): the IT state is stored */
void a32_may_leave(ArmTrans *x);
extern const ArmTable arm_a64_table;            /* A64 but FP, SIMD, SVE */
extern const ArmTable arm_simd_table;           /* FP, Advanced SIMD, cryptography */
extern const ArmTable arm_sve_table;            /* SVE, SVE2 */

/* --- operands --- */
/*
 * X0..X30 as IR operands: n = 31 is SP. Zero register: arm_xr() gives IR_IMM (imm 0) to read, arm_xw() a temporary to
 * write.
 */
static inline IrRef arm_xr(unsigned n) { return n == 31 ? IR_IMM : IR_G(n); }
IrRef arm_xw(ArmTrans *x, unsigned n);
/* Register n, 31 = 0, in a form that every op takes (a temporary for 0). */
IrRef arm_value(ArmTrans *x, unsigned n);
IrRef arm_const(ArmTrans *x, uint64_t value);   /* a temporary */

/* --- memory operands --- */
enum {
    ARM_MEM_WRITE = 1,
    ARM_MEM_UNPRIV = 2 /* LDTR ... */,
    ARM_MEM_ALIGN = 4 /* must be aligned to `size` whatever SCTLR says */,
    ARM_MEM_NO_TAG = 8 /* no MTE check */,
    ARM_MEM_NO_ALIGN = 16 /* bytes, whatever SCTLR.A says */,
    ARM_MEM_READ = 32 /* with WRITE: both */
};
/*
 * [base + (index << scale) + disp], `size` bytes to be accessed, elements of `align` bytes (SCTLR.A checks; 0: size).
 * Emits the checks that the mode asks for: SP alignment (A64, base = G(31)), watchpoints, tags. In AArch32 the address
 * wraps at 32 bits.
 */
IrMem arm_mem_index(ArmTrans *x, IrRef base, IrRef index, unsigned scale, int64_t disp, unsigned size, unsigned align,
                    unsigned flags);
static inline IrMem arm_mem(ArmTrans *x, IrRef base, int64_t disp, unsigned size, unsigned flags)
{
    return arm_mem_index(x, base, IR_NONE, 0, disp, size, size, flags);
}
/* d = [m], zero-extended to 64 bits (32 in AArch32 is the same: size 4 clears the rest). */
void arm_load(ArmTrans *x, unsigned size, IrRef d, const IrMem *m);
/* d = [m] sign-extended to `to` bytes (4: upper half cleared). */
void arm_load_signed(ArmTrans *x, unsigned size, unsigned to, IrRef d, const IrMem *m);
void arm_store(ArmTrans *x, unsigned size, const IrMem *m, IrRef value); /* G, T or IR_IMM: 0 */
/* The address in a temporary; and the operand with it as base, so that it can be used more than once. */
IrRef arm_address(ArmTrans *x, const IrMem *m);
IrMem arm_mem_pin(ArmTrans *x, const IrMem *m);
/* SP alignment check for an A64 access off `base` (of arm_mem_index already done there). */
void arm_check_sp(ArmTrans *x);

/* DSB: wait for broadcast TLB maintenance. */
void arm_wait_broadcasts(ArmTrans *x);

/* --- helpers: letters as in helpers.h --- */
enum {
    H_R = IR_CALL_RAISES,
    H_F = IR_CALL_READS_FLAGS,
    H_W = IR_CALL_WRITES_FLAGS,
    H_G = IR_CALL_GPR_ONLY,
    H_P = IR_CALL_PURE
};
typedef struct ArmArg { IrRef ref; uint64_t imm; } ArmArg;
#define A_NONE ((ArmArg){ IR_NONE, 0 })
#define A_IMM(v) ((ArmArg){ IR_IMM, (v) })
#define A_REF(r) ((ArmArg){ (r), 0 })
void arm_call(ArmTrans *x, const void *fn, unsigned flags, IrRef d, ArmArg a, ArmArg b, ArmArg c);
#define arm_call0(x, fn, flags) arm_call(x, fn, flags, IR_NONE, A_NONE, A_NONE, A_NONE)
void arm_set_pc(ArmTrans *x, uint64_t pc);      /* v->pc = pc */

/* This insn raises, always: ends the block. */
void arm_undefined(ArmTrans *x);
void arm_raise_now(ArmTrans *x, unsigned ec, uint32_t iss, unsigned target_el);
void arm_emit_todo(ArmTrans *x, uint32_t word); /* a row that is not implemented */
/*
 * FP/SIMD (SVE) may be used; else the insn has become a trap and the block has ended: return. `a` and `cond`:
 * arm_help_fp_trap's.
 */
bool arm_fp_usable(ArmTrans *x, unsigned a, uint32_t cond);
bool arm_sve_usable(ArmTrans *x);

/* --- branches and ends of the block --- */
/* Go on at `pc`: the block follows forward jumps within its page; else arm_end_goto(). */
void arm_go_to(ArmTrans *x, uint64_t pc);
void arm_end_goto(ArmTrans *x, uint64_t pc);    /* known target; CHECK on the way back */
void arm_end_jump(ArmTrans *x, IrRef pc);       /* computed target (64 bits valid), same instruction set and mode */
void arm_end_lookup(ArmTrans *x);               /* L: v->pc is set */
void arm_end_next(ArmTrans *x);                 /* M: mode may have changed, go on at next_pc */
void arm_end_exit(ArmTrans *x);                 /* X: the same by way of the run loop */
/* To pc if the flags say so (real Arm condition 0..13), if a == 0 or a != 0 at size; else the block goes on. */
void arm_branch_cond(ArmTrans *x, unsigned cond, uint64_t pc);
void arm_branch_zero(ArmTrans *x, bool if_zero, unsigned size, IrRef a, uint64_t pc);
void arm_branch_bits(ArmTrans *x, bool if_zero, unsigned size, IrRef a, uint64_t mask, uint64_t pc); /* of a & mask */
/* Behind a condition of the emitter's own: leave to pc, what follows (a label) is the other way. */
void arm_side_goto(ArmTrans *x, uint64_t pc);
/* the same with v->pc set: what software step does after an insn, and a look-up */
void arm_leave_stepping(ArmTrans *x);
IrCond arm_cond(unsigned cond);                 /* Arm condition 0..13 as an IrCond */
void arm_brcc(ArmTrans *x, IrCond cond, unsigned label);
#endif
