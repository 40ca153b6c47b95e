/* SPDX-License-Identifier: MIT */
/* What emitters (emit-*.c) use: the translation in progress, operands as IR operands, memory, stack, helper calls,
 * block ends.
 *
 * An emitter turns one decoded instruction into IR. Rules:
 * - what can fault comes first (memory operand, helper), then registers, then nothing more;
 * - flags the architecture changes: IR_SETF on the op that has them, always (the back end finds the dead ones);
 * - x86_mem() before the first use of the memory operand; one operand of an IR op may then be IR_MEM;
 * - an emitter that leaves the block calls one of x86_end_*(), once, last.
 */
#ifndef TARGET_X86_TCG_EMIT_H
#define TARGET_X86_TCG_EMIT_H

#include "accel/tcg/trans.h"
#include "target/x86/cpu.h"
#include "target/x86/helpers.h"
#include "target/x86/tcg/decode.h"

struct X86Trans {
    TransCtx *t;
    X86Cpu *c;
    uint64_t mode;
    uint8_t bits;        /* code size */
    uint8_t ss_size;     /* bytes of the stack pointer: 2, 4, 8 */
    uint8_t bank;
    bool protected;      /* protected mode, not virtual-8086 */
    bool stepping;       /* every insn is a block of its own with code after it: TF, data breakpoints */
    bool one;            /* the block ends after this insn: stepping, shadow, one-insn-per-tb */
    bool ended;          /* an emitter ended the block */
    bool check_next;     /* STI came before: CHECK after this insn */
    uint64_t pc;         /* the next insn to translate; an emitter that follows a jump changes it */
    uint64_t cs_base;
    uint64_t needs;      /* X86_NEED_* of the CPU model */
    IrMem mem;           /* memory operand of this insn: x86_mem() */
};

/* Every emitter. */
#define X86_EMITTERS(X) \
    X(alu) X(alu1) X(adx) X(andn) X(bls) X(bmi3) X(mulx) X(shiftx) X(shift) X(shiftd) X(mul) X(div) X(imul2) X(imul3) \
    X(bt) X(bitscan) X(bswap) X(crc32) X(bcd) X(aam) X(salc) X(carry) X(cmc) X(sahf) X(lahf) X(cbw) X(cwd) \
    X(mov) X(movx) X(movsxd) X(movbe) X(lea) X(xchg) X(xadd) X(cmpxchg) X(cmpxchg8b) X(cmpxchg16b) X(cmov) X(setcc) \
    X(xlat) \
    X(mov_from_seg) X(mov_to_seg) X(load_far) X(nop) X(pause) X(fence) X(clflush) \
    X(push) X(pop) X(pusha) X(popa) X(push_seg) X(pop_seg) X(pushf) X(popf) X(enter) X(leave) \
    X(jcc) X(jmp_rel) X(jmp_ind) X(call_rel) X(call_ind) X(ret) X(loop) X(jcxz) X(jmp_far) X(call_far) X(ret_far) \
    X(iret) \
    X(int) X(int1) X(int3) X(into) X(bound) X(ud) X(syscall) X(sysret) X(sysenter) X(sysexit) X(rsm) \
    X(movs) X(cmps) X(stos) X(lods) X(scas) X(ins) X(outs) X(in) X(out) \
    X(cli) X(sti) X(direction) X(hlt) X(fwait) X(arpl) X(store_sel) X(load_sel) X(verify) X(lar) X(store_dt) \
    X(load_dt) X(lmsw) \
    X(invlpg) X(invpcid) X(monitor) X(mwait) X(ac) X(xgetbv) X(xsetbv) X(swapgs) X(clts) X(wbinvd) X(mov_from_cr) \
    X(mov_to_cr) \
    X(mov_from_dr) X(mov_to_dr) X(rdmsr) X(wrmsr) X(rdtsc) X(rdtscp) X(rdpmc) X(rdpid) X(cpuid) X(rdrand) X(rdbase) \
    X(wrbase) \
    X(x87) X(x87_comi) X(x87_cmov) X(vec) X(mmx) X(mmx_mov) X(mmx_xmm) X(emms) X(maskmov) X(pcmpstr) X(ldmxcsr) \
    X(stmxcsr) X(fxstate)
#define X(name) X86Emit x86_emit_##name;
X86_EMITTERS(X)
#undef X

/* EM, TS and CR4.OSFXSR allow SSE; else the instruction has become a fault. */
bool x86_sse_usable(X86Trans *x);

/* --- operands --- */
/* Prepare the memory operand (x->mem) for an access of `size` bytes: segment checks, breakpoints. Before any commit. */
void x86_mem(X86Trans *x, const X86Insn *i, unsigned size, bool write);
/* The same for an address of the emitter's own. */
IrMem x86_addr(X86Trans *x, unsigned seg, IrRef base, IrRef index, unsigned scale, int64_t disp, unsigned asize,
               unsigned size, bool write);
/* Address of x->mem: effective, and with the segment base. New temporaries, 64 bits valid. */
IrRef x86_ea(X86Trans *x, const IrMem *m);
IrRef x86_linear(X86Trans *x, const IrMem *m);
/* The address as base + index + displacement, without segment (not RIP-relative). */
IrMem x86_plain_address(const X86Insn *i);
/*
 * Effective address of the operand, unchecked; and [ea + offset] as x->mem for reading: operands of several parts,
 * checked one by one.
 */
IrRef x86_operand_ea(X86Trans *x, const X86Insn *i);
void x86_mem_part(X86Trans *x, const X86Insn *i, IrRef ea, int offset, unsigned size);
/* Put the address of x->mem in a temporary, so that it can be used twice. */
void x86_mem_pin(X86Trans *x);
/* The operand as an IR operand: G, GH, MEM (x->mem), IMM (i->imm). */
IrRef x86_ref(const X86Operand *o);
static inline bool x86_is_mem(const X86Operand *o) { return o->kind == X86K_MEM; }
/* d = a op b, with x->mem and i->imm put in when an operand is MEM or IMM. */
IrInsn *x86_op(X86Trans *x, const X86Insn *i, IrOp op, unsigned size, IrRef d, IrRef a, IrRef b);
/* The value of an operand at its size, zero-extended (sign-extended) to 64 bits, in a temporary. */
IrRef x86_value(X86Trans *x, const X86Insn *i, const X86Operand *o);
IrRef x86_svalue(X86Trans *x, const X86Insn *i, const X86Operand *o);
/* x86_mem() when o is memory, for reading. */
void x86_read_operand(X86Trans *x, const X86Insn *i, const X86Operand *o);

/* --- stack --- */
IrMem x86_stack(X86Trans *x, int disp, unsigned size, bool write); /* SS:[rSP + disp] */
/* imm when value is IR_IMM */
void x86_gen_push(X86Trans *x, const X86Insn *i, unsigned size, IrRef value, uint64_t imm);
IrRef x86_pop_load(X86Trans *x, unsigned size);    /* reads the top only */
void x86_sp_add(X86Trans *x, int n);

/* --- helpers: flags as helpers.h names them --- */
enum {
    H_R = IR_CALL_RAISES,
    H_F = IR_CALL_READS_FLAGS,
    H_W = IR_CALL_WRITES_FLAGS,
    H_G = IR_CALL_GPR_ONLY,
    H_P = IR_CALL_PURE
};
typedef struct X86Arg { IrRef ref; uint64_t imm; } X86Arg;
#define A_NONE ((X86Arg){ IR_NONE, 0 })
#define A_IMM(v) ((X86Arg){ IR_IMM, (v) })
#define A_REF(r) ((X86Arg){ (r), 0 })
void x86_call(X86Trans *x, const void *fn, unsigned flags, IrRef d, X86Arg a, X86Arg b, X86Arg c);
#define x86_call0(x, fn, flags) x86_call(x, fn, flags, IR_NONE, A_NONE, A_NONE, A_NONE)
void x86_set_next_pc(X86Trans *x, const X86Insn *i); /* N of helpers.h */
void x86_raise_now(X86Trans *x, unsigned vector);    /* this insn faults, always: ends the block */
void x86_raise_gp0(X86Trans *x);

/* --- ends of the block --- */
/* v->pc is set: the single-step and data breakpoint traps of this insn; TF counts as it was at its start */
void x86_step_end(X86Trans *x);
void x86_end_goto(X86Trans *x, const X86Insn *i, uint64_t pc); /* known target; CHECK on the way back */
void x86_end_jump(X86Trans *x, IrRef pc);                      /* computed target, 64 bits valid */
void x86_end_lookup(X86Trans *x);                              /* v->pc is set: L of helpers.h */
void x86_end_next(X86Trans *x, const X86Insn *i);              /* mode may have changed, go on after this insn: M */
void x86_end_exit(X86Trans *x, const X86Insn *i);              /* the same by way of the run loop: X */
/* To `pc` in one of two ways, the block (or the other way) goes on behind. Emitted behind a condition. */
void x86_side_goto(X86Trans *x, const X86Insn *i, uint64_t pc);
/* Target of a relative branch, wrapped to the operand size. */
uint64_t x86_branch_target(const X86Insn *i);
void x86_gen_check_target(X86Trans *x, uint64_t pc);               /* CS limit, when it is checked */

/* help-int.c */
X86_HELPER_VOID(fence);     /* GP */
/* R: whole pages of REP MOVS/STOS while that goes fast; a = size | asize << 8 | seg << 16, DF = 0 */
X86_HELPER_VOID(rep_movs);
X86_HELPER_VOID(rep_stos);  /* R */
#endif
