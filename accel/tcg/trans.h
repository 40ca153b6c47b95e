/* SPDX-License-Identifier: MIT */
/* What a front end (target/<arch>/tcg) uses to turn guest code into IR. */
#ifndef ACCEL_TCG_TRANS_H
#define ACCEL_TCG_TRANS_H

#include "accel/guest-arch.h"
#include "accel/tcg/ir.h"

struct TransCtx {
    Vcpu *v;
    IrBlock *b;
    unsigned max_insns;      /* stop after that many guest instructions (1 with one-insn-per-tb) */
    uint64_t page_end;       /* linear address at which the first code page ends */
    /* code bytes: the first page, and on demand the second */
    const uint8_t *page[2];
    uint64_t linear_page;    /* linear address of page[0] */
    bool fetch_failed;       /* a byte could not be fetched: the instruction faults when it is reached */
    bool second_page;        /* page[1] was used: the block depends on it */
    uint32_t next_temp;
    void *front;             /* the front end's own */
};

/*
 * Code byte(s) at linear address `at`, which lies in the block's first page or the one after. When the second page
 * can't be fetched: returns 0 and sets fetch_failed. The front end then drops the instruction: if it is the block's
 * first, it ends the block with a CALL to trans_fetch_fault (raises the page fault for `at`), else it ends the block
 * before it with GOTO. A block never starts an instruction beyond the first page.
 */
uint8_t trans_fetch8(TransCtx *t, uint64_t at);
uint16_t trans_fetch16(TransCtx *t, uint64_t at);
uint32_t trans_fetch32(TransCtx *t, uint64_t at);
uint64_t trans_fetch64(TransCtx *t, uint64_t at);
void trans_fetch_fault(Vcpu *v, uint64_t linear); /* helper: raises the fetch fault */

IrInsn *ir_emit(TransCtx *t, IrOp op, unsigned size); /* zeroed, operands IR_NONE; never NULL (sets b->overflow) */
IrRef ir_temp(TransCtx *t);                           /* a new temporary of this block */
void ir_temps_reset(TransCtx *t);                     /* at each guest instruction: numbers may be used again */
unsigned ir_new_label(TransCtx *t);
/* Does another instruction fit that needs so many ops and labels at most? */
static inline bool ir_room_left(const TransCtx *t, unsigned ops, unsigned labels)
{
    const IrBlock *b = t->b;
    return b->guest_insns < t->max_insns && b->guest_insns < IR_MAX_GUEST_INSNS && b->count < IR_MAX_INSNS - ops &&
           b->labels < IR_MAX_LABELS - labels;
}

/* Shorthands; the result is the insn, for flags. x_imm forms take b as immediate. */
static inline IrInsn *ir_op3(TransCtx *t, IrOp op, unsigned size, IrRef d, IrRef a, IrRef b)
{
    IrInsn *i = ir_emit(t, op, size);
    i->d = d, i->a = a, i->b = b;
    return i;
}
static inline IrInsn *ir_op2(TransCtx *t, IrOp op, unsigned size, IrRef d, IrRef a)
{
    return ir_op3(t, op, size, d, a, IR_NONE);
}
static inline IrInsn *ir_op3i(TransCtx *t, IrOp op, unsigned size, IrRef d, IrRef a, uint64_t imm)
{
    IrInsn *i = ir_op3(t, op, size, d, a, IR_IMM);
    i->imm = imm;
    return i;
}
static inline IrInsn *ir_movi(TransCtx *t, unsigned size, IrRef d, uint64_t imm)
{
    IrInsn *i = ir_op2(t, IR_MOV, size, d, IR_IMM);
    i->imm = imm;
    return i;
}
static inline IrInsn *ir_load(TransCtx *t, unsigned size, IrRef d, const IrMem *m)
{
    IrInsn *i = ir_op2(t, IR_MOV, size, d, IR_MEM);
    i->m = *m;
    return i;
}
static inline IrInsn *ir_store(TransCtx *t, unsigned size, const IrMem *m, IrRef a)
{
    IrInsn *i = ir_op2(t, IR_MOV, size, IR_MEM, a);
    i->m = *m;
    return i;
}
static inline IrInsn *ir_extend(TransCtx *t, IrOp op, unsigned from, unsigned to, IrRef d, IrRef a)
{
    IrInsn *i = ir_op2(t, op, from, d, a);
    i->size2 = to;
    return i;
}
static inline IrInsn *ir_lde(TransCtx *t, unsigned size, IrRef d, size_t offset)
{
    IrInsn *i = ir_op2(t, IR_LDE, size, d, IR_NONE);
    i->imm = offset;
    return i;
}
static inline IrInsn *ir_ste(TransCtx *t, unsigned size, size_t offset, IrRef a)
{
    IrInsn *i = ir_op2(t, IR_STE, size, IR_NONE, a);
    i->imm = offset;
    return i;
}
static inline IrInsn *ir_stei(TransCtx *t, unsigned size, size_t offset, uint64_t value)
{
    IrInsn *i = ir_ste(t, size, offset, IR_IMM);
    i->imm2 = value;
    return i;
}
/* Helper call: fn(v, a, b, c) -> d; each argument G, T (64 bits), IMM (one at most: imm2) or IR_NONE. */
static inline IrInsn *ir_call(TransCtx *t, const void *fn, unsigned flags, IrRef d, IrRef a, IrRef b, IrRef c,
                              uint64_t imm_arg)
{
    IrInsn *i = ir_emit(t, IR_CALL, 8);
    i->imm = (uintptr_t)fn, i->flags = flags, i->d = d, i->a = a, i->b = b, i->c = c, i->imm2 = imm_arg;
    return i;
}
static inline void ir_goto(TransCtx *t, IrOp op, uint64_t pc) { ir_emit(t, op, 8)->imm = pc; } /* GOTO, EXIT, CHECK */
static inline void ir_goto_cond(TransCtx *t, IrCond cond, uint64_t pc)
{
    IrInsn *i = ir_emit(t, IR_GOTOCC, 8);
    i->cond = cond, i->imm = pc;
}
/* GOTOZ, GOTONZ: mask 0 is all bits of the size. */
static inline void ir_goto_zero(TransCtx *t, IrOp op, unsigned size, IrRef a, uint64_t mask, uint64_t pc)
{
    IrInsn *i = ir_emit(t, op, size);
    i->a = a, i->imm = pc, i->imm2 = mask;
}
static inline void ir_trap(TransCtx *t, unsigned size, IrRef a, uint64_t mask, const void *raise) /* TRAPNZ */
{
    IrInsn *i = ir_emit(t, IR_TRAPNZ, size);
    i->a = a, i->imm = (uintptr_t)raise, i->imm2 = mask;
}
static inline void ir_label(TransCtx *t, IrOp op, unsigned label) { ir_emit(t, op, 8)->imm = label; } /* LABEL, BR */
static inline IrInsn *ir_brz(TransCtx *t, IrOp op, unsigned size, IrRef a, unsigned label) /* BRZ, BRNZ */
{
    IrInsn *i = ir_op2(t, op, size, IR_NONE, a);
    i->imm = label;
    return i;
}
#endif
