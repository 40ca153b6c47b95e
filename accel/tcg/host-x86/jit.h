/* SPDX-License-Identifier: MIT */
/* Private to the x86-64 back end: state of one compilation, and what its parts offer each other. */
#ifndef ACCEL_TCG_HOST_X86_JIT_H
#define ACCEL_TCG_HOST_X86_JIT_H

#include "accel/tcg/host-x86/asm.h"
#include "accel/tcg/tcg.h"

/* Registers of generated code; the other eleven are homes of guest registers. */
enum { REG_T0 = R11, REG_S0 = R15, REG_S1 = R14, VCPU_BIAS = 128, MAX_HOMES = 11 };
#define VOFF(field) ((int32_t)offsetof(Vcpu, field) - VCPU_BIAS)
static inline Loc vcpu_loc(int32_t off) { return loc_mem(RBP, off); }

/* x86 condition codes are IrCond's. */

/* --- flag descriptors --- */
enum { FD_MEMORY = 0xfe /* v->fl is right */, FD_NATIVE = 0xfd /* EFLAGS only */, FD_DEAD = 0xff };
typedef enum ValueKind { VAL_NONE, VAL_REG, VAL_MEM, VAL_IMM } ValueKind;
typedef struct FlagValue { uint8_t kind, reg; int32_t off; uint64_t imm; } FlagValue; /* off: from RBP */
typedef struct FlagDesc { uint8_t op, size, src2; FlagValue dst, src; } FlagDesc;
/* Three groups: C; O; and the rest (P A Z S). */
enum { GROUP_C = 1, GROUP_R = 2, GROUP_O = 4, GROUP_RO = 6, GROUP_ALL = 7,
       NEED_READ_C = 1, NEED_READ = 7, NEED_SEEN_SHIFT = 3, NEED_SEEN = 0x38, NEED_ALL = 0x3f };
static inline unsigned need_groups(unsigned need) { return (need | need >> NEED_SEEN_SHIFT) & GROUP_ALL; }
static inline unsigned group_needs(unsigned groups) { return groups | groups << NEED_SEEN_SHIFT; }
enum { NATIVE_NOTC = 8 }; /* in Jit.native: EFLAGS.C is the opposite of the guest's C (GROUP_C is not set then) */

/* What a fault in generated code must know; stands in the code buffer, named by its offset (Vcpu.call_site). */
typedef struct SiteFlags { uint8_t op, dst_kind, src_kind, src2; uint16_t dst_off, src_off; int32_t imm; } SiteFlags;
typedef struct CallSite {
    uint64_t pc;
    Block *block;
    SiteFlags c, r, o;
    uint16_t size, span;      /* of the access; of the range that its check covers, which begins `delta` below it */
    uint16_t delta;
    uint8_t bank, align;
    bool write, span_write, read, lock;
    bool run;                 /* later accesses rely on the check of the whole range */
    /* part of that range, by an index that the site does not know; align: a multiple of that, else the range fails */
    bool indexed;
    bool after_run;           /* accesses behind this one may rely on a range checked before it */
    uint8_t failures;         /* of that check, */
    int64_t failed_at;        /* the first of them: clock_ns() */
} CallSite;

/* A range that has been checked: later accesses off the same registers need no check. */
typedef struct Run {
    bool valid, saved;        /* saved: the host address of `origin` stands in Vcpu.run_slot[] */
    bool write;               /* the check was against TlbBank.write */
    IrRef base, index;
    uint8_t scale, asize, bank;
    uint32_t segment;
    bool wrap;
    int64_t origin;           /* disp (relative to base as it is now) that the host address stands for */
    int64_t lo, hi;           /* range that has been checked, same scale */
} Run;
enum { RUNS = 4 };

/*
 * Ranges that fail often: their block is compiled with less of them, for half a second or more. A level by a hash of pc
 * and mode; under tcg.lock.
 */
typedef enum RunLevel { RUNS_ALL, RUNS_TABLES /* only tables, which may lie in two pages */, RUNS_NONE } RunLevel;
enum {
    RUN_FAILURES = 32,
    RUN_FAILURE_NS = 4000 /* when they come faster than that, on average */,
    RUN_RETRY_NS = 500000000,
    RUN_LEVEL_BITS = 16
};
extern uint8_t jit_run_level[1 << RUN_LEVEL_BITS];
static inline unsigned run_level_index(uint64_t pc, uint64_t mode)
{
    return (unsigned)((pc ^ mode << 32) * UINT64_C(0x9e3779b97f4a7c15) >> (64 - RUN_LEVEL_BITS));
}

typedef enum ColdKind {
    COLD_ACCESS,
    COLD_MISALIGNED,
    COLD_TRAP,
    COLD_EXIT,
    COLD_STEP,
    COLD_LINK,
    COLD_MISS,
    COLD_SIMD
} ColdKind;
typedef struct Cold {
    ColdKind kind;
    uint8_t *from;            /* rel32 field of the jump that leads here */
    uint8_t *body, *body_end; /* COLD_ACCESS: the access, and where to go on */
    uint8_t *back, *from2;    /* from2: a second one like from, or NULL */
    const IrInsn *insn;
    uint64_t pc;
    CallSite *site;
    int const_slot;           /* COLD_ACCESS: TLB slot of a constant address, -1 */
    BlockLink *link;
    FlagDesc c, r, o;         /* flags there */
    unsigned native, need;
    RunResult result;         /* COLD_EXIT */
} Cold;
enum { MAX_COLD = 1024 };

typedef struct Jit {
    Asm a;
    Vcpu *v;
    const IrBlock *ir;
    Block *block;
    RunLevel level;
    bool failed;              /* no room */
    uint8_t *start;
    /* per op: what is needed of the flags after it (NEED_*), and of the flags before it once it has set its own */
    uint8_t after[IR_MAX_INSNS], keep[IR_MAX_INSNS], before[IR_MAX_INSNS];
    uint8_t *label[IR_MAX_LABELS];
    struct { uint8_t *field; unsigned label; } label_ref[IR_MAX_INSNS];
    unsigned label_refs;
    Cold *cold;
    unsigned colds;
    BlockLink links[IR_MAX_GUEST_INSNS + 8];
    unsigned link_count;
    uint32_t link_fix[IR_MAX_GUEST_INSNS + 8], miss_fix[IR_MAX_GUEST_INSNS + 8]; /* imm32 fields that name the link */
    /* flags */
    FlagDesc c, r, o;
    int32_t reserved_slot;    /* of a value that no descriptor names yet */
    unsigned native;          /* groups that EFLAGS hold right now, NATIVE_NOTC */
    unsigned need;            /* of the current flags, at this point of the present op */
    /* present op */
    unsigned k;
    const IrInsn *i;
    uint64_t pc;
    bool t0_used;             /* by the present guest instruction: else REG_T0 is a scratch register */
    bool check_after_call;    /* a helper of the present guest instruction may have dropped this block */
    bool first_access;        /* no access of the present guest instruction yet */
    uint32_t busy;            /* scratch registers in use by the present op: bit per register */
    Loc gm;                   /* the guest memory operand */
    uint8_t *body;
    int open_cold;            /* its Cold, -1 */
    Run run[RUNS];
    /* whose host address is in registers now: in REG_S0, or (run_pair) REG_S0 + REG_S1; -1: none */
    int run_regs;
    bool run_pair;
    unsigned next_run;
    unsigned done;            /* index of an op that one before it has done, too; 0: none */
} Jit;

/* --- of the arch: homes --- */
extern uint8_t jit_vhome[VCPU_VREGS + VCPU_VTEMPS]; /* xmm register of V(n), NO_REG */
extern uint8_t jit_home[VCPU_GREGS];   /* host register of guest register g, NO_REG */
extern struct JitHost {
    bool bmi1, bmi2, lzcnt, popcnt, sse42, sse41, ssse3, sse3, aes, pclmul, sha, avx2, fma, avx512 /* F VL DQ BW */;
} jit_host;

/* --- flags-live.c --- */
void flags_analyse(Jit *j);
unsigned flags_read_by(IrCond cond); /* GROUP_* */

/* --- flags.c --- */
void flags_clobber(Jit *j);                    /* EFLAGS are about to change */
void flags_will_write(Jit *j, unsigned reg);   /* a register is about to change */
void flags_will_write_mem(Jit *j, int32_t off);/* a field of the Vcpu that a descriptor may name */
void flags_flush(Jit *j);                      /* make v->fl right; keeps EFLAGS if it is simple */
bool flags_flush_is_simple(const Jit *j);
/* make EFLAGS right for it: the condition code to use; clobbers scratch registers */
unsigned flags_condition(Jit *j, IrCond cond);
void flags_carry(Jit *j);                      /* EFLAGS.C right; may clobber scratch registers */
void flags_carry_to_slot(Jit *j);              /* so that flags_carry() needs no scratch register later */
/* both groups, also native */
void flags_set(Jit *j, unsigned flag_op, unsigned size, FlagValue dst, FlagValue src, unsigned src2);
void flags_set_native(Jit *j, unsigned groups);/* EFLAGS hold the result, nothing else does (yet) */
/* Z and S from a value, also native: the others stay as described */
void flags_set_nz(Jit *j, unsigned size, FlagValue v);
void flags_invert_carry(Jit *j);               /* the C that was just set counts as its opposite (IR_NOTC) */
void flags_dead(Jit *j);                       /* nobody needs any */
bool flags_in_memory(const Jit *j);            /* those that are needed are in v->fl */
void flags_unknown(Jit *j);                    /* v->fl is right (a call has set it), EFLAGS are not */
FlagValue save_value(Jit *j, unsigned reg);    /* a copy in a slot */
FlagValue save_value_ref(Jit *j, IrRef r);     /* likewise of a register or temporary */
FlagValue flag_value(Loc l);                   /* VAL_NONE: not a lasting place */
void site_flags(const FlagDesc *d, SiteFlags *out);

/* --- mem.c --- */
void mem_access(Jit *j, unsigned size, bool write); /* check; j->gm is the operand from then on */
void mem_done(Jit *j);                              /* the op that uses j->gm is emitted */
void mem_simplify(Jit *j);                          /* j->gm becomes [r15], r14 is free */
void coalesce_forget(Jit *j);                       /* REG_S0 or REG_S1 changes */
void coalesce_drop(Jit *j);                         /* no check made before holds any more */
void coalesce_write(Jit *j, IrRef r);               /* a guest register or temporary changes */
CallSite *new_site(Jit *j);
unsigned vec_mem_size(const IrInsn *i);
bool vec_needs_alignment(const IrInsn *i);
void emit_prefetch(Jit *j);
void emit_address(Jit *j, const IrMem *m, unsigned reg, int64_t disp, bool segment);

/* --- operand.c --- */
Loc loc_of(Jit *j, IrRef r);
unsigned scratch(Jit *j);           /* a register free for the present op; may simplify j->gm */
int scratch_t0(Jit *j);             /* REG_T0 when it is free, -1 */
void load_to(Jit *j, unsigned size, unsigned reg, Loc l); /* zero-extended; any kind of location */
void load_high(Jit *j, unsigned reg, unsigned home);      /* bits 15..8 of a home */
Loc operand_source(Jit *j, unsigned size, IrRef r, bool no_mem);
void write_begin(Jit *j, IrRef r);  /* the operand is about to be written by the op (nothing faults any more) */
unsigned result_register(Jit *j, bool *direct);
void store_result(Jit *j, unsigned size, IrRef d, unsigned reg); /* reg -> d, with the rules of G and T */
bool needs_flags(const Jit *j);     /* IR_SETF, and somebody cares */
void flags_not_set(Jit *j);
void flags_from_result(Jit *j, unsigned groups);
void swap_bytes(Jit *j, unsigned size, unsigned reg); /* size 2 changes EFLAGS */
uint64_t sign_extended(uint64_t v, unsigned size);
static inline bool ir_is_temp(IrRef r) { return ir_kind(r) == IR_KIND_T; }
static inline bool ir_has_memory(const IrInsn *i)
{
    return i->d == IR_MEM || i->a == IR_MEM || i->b == IR_MEM || i->c == IR_MEM;
}

/* --- emit-*.c --- */
void emit_alu_op(Jit *j);
void emit_unary(Jit *j);
void emit_move(Jit *j);
void emit_shift(Jit *j);
void emit_mul(Jit *j);
void emit_div(Jit *j);
void emit_bits(Jit *j);
void emit_flag_op(Jit *j);
void emit_condition(Jit *j); /* CCMP CCMN SETNZ FENCE */
void emit_exchange(Jit *j);
void emit_vec(Jit *j);
void emit_simd(Jit *j);
void cold_simd(Jit *j, Cold *c);
void simd_move(Asm *a, bool store, unsigned x, Loc m); /* 16 bytes, any xmm register */
void emit_call(Jit *j);
void emit_step(Jit *j);             /* the op by the interpreter */
void emit_control(Jit *j);
void emit_cold(Jit *j);
void add_cold(Jit *j, Cold c);
void emit_step_call(Jit *j, const IrInsn *insn, CallSite *site);

/* --- stubs.c --- */
typedef struct JitStubs {
    int (*enter)(Vcpu *v, const void *code);
    const uint8_t *slow, *commit, *call_full, *call_gpr, *exit, *exit_link, *lookup, *jump_exit, *jump_miss;
} JitStubs;
enum { RUN_LINK = 16 }; /* beyond RunResult: Vcpu.slow[2] is the offset of a BlockLink to be made */
extern JitStubs jit_stubs;
bool stubs_make(Asm *a);
static inline uint8_t *stub_rw(const uint8_t *stub) { return codebuf_rw + (stub - codebuf_rx); }
static inline void call_stub(Asm *a, const uint8_t *stub)
{
    e8(a, 0xe8);
    e32(a, 0);
    patch_rel32(a->p - 4, stub_rw(stub));
}
static inline void jump_stub(Asm *a, const uint8_t *stub) { patch_rel32(jmp32(a), stub_rw(stub)); }

/* --- slow.c, and slow-fast.c (general registers only) --- */
enum { SLOW_DONE = 0, SLOW_COMMIT = 1, SLOW_LEAVE = 2 }; /* LEAVE + RunResult: v is precise, go back to the loop */
int jit_slow_fast(Vcpu *v);  /* SLOW_DONE, or -1: take jit_slow_full() */
int jit_slow_full(Vcpu *v);
void jit_commit(Vcpu *v);
uint64_t jit_misaligned(Vcpu *v, uint64_t va);
void jit_interp_step(Vcpu *v, const IrInsn *i);
void emit_dispatch(Asm *a); /* to the block at the pc in REG_S1 through the jump cache */
void emit_check(Jit *j, uint64_t pc);
void jit_eval_flags(Vcpu *v);          /* v->fl becomes explicit */
#endif
