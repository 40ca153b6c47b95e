/* SPDX-License-Identifier: MIT */
/* Guest code → IR block: fetch, choice of the instruction set, and where a block ends (GuestArch.translate). */
#include "target/arm/tcg/translate.h"
#include "base/log.h"

enum { ROOM_OPS = 160, ROOM_LABELS = 10 /* what one instruction can need */ };

static void setup(ArmTrans *x, Vcpu *v, TransCtx *t)
{
    uint64_t mode = t->b->mode;
    *x = (ArmTrans){
        .t = t,
        .c = arm_cpu(v),
        .has = &arm_cpu(v)->has,
        .mode = mode,
        .pc = t->b->pc,
        .next_pc = t->b->pc,
        .bank = arm_mode_bank(mode),
        .ubank = arm_mode_ubank(mode),
        .el = arm_mode_el(mode),
        .be = mode & ARM_MODE_BE ? IR_BE : 0,
        .a64 = mode & ARM_MODE_A64,
        .step = mode & ARM_MODE_STEP,
    };
    x->one = x->step || t->max_insns == 1;
}

/* PC alignment, Illegal Execution State: the block is that exception. */
static bool entry_fault(ArmTrans *x)
{
    bool t32 = x->mode & ARM_MODE_T32;
    if (x->pc & (t32 ? 1 : 3)) {
        arm_call(x, arm_help_pc_align, H_R | H_P, IR_NONE, A_IMM(x->pc), A_NONE, A_NONE);
        arm_end_lookup(x);
    } else if (x->mode & ARM_MODE_IL) {
        arm_raise_now(x, EC_ILLEGAL, 0, 0);
    }
    return x->ended;
}

/* Before Thumb-2, BL and BLX are two instructions of 16 bits; together they read as the later one of 32 bits. */
static bool is_bl_pair(TransCtx *t, uint64_t at, uint32_t first)
{
    return first >> 11 == 0x1e && at + 2 < t->page_end && (trans_fetch16(t, at + 2) >> 11 | 2) == 0x1f;
}

/* The bytes at x->next_pc; false: not all can be fetched, `at` is the first of the page that can't. */
static bool fetch(ArmTrans *x)
{
    TransCtx *t = x->t;
    uint64_t at = t->b->linear + (x->next_pc - t->b->pc);
    x->len = 4;
    if (!(x->mode & ARM_MODE_T32)) {
        x->insn = trans_fetch32(t, at);
        return true;
    }
    uint32_t first = trans_fetch16(t, at);
    x->insn = first;
    x->len = 2;
    if (first >> 11 >= 0x1d && (x->has->thumb2 || x->has->m_profile || is_bl_pair(t, at, first))) {
        if (at + 2 >= t->page_end && t->b->guest_insns)
            return false; /* reaches into the next page: a block of its own */
        x->insn = first << 16 | trans_fetch16(t, at + 2);
        x->len = 4;
    }
    return !t->fetch_failed;
}

/* What FEAT_BTI's BTYPE allows this A64 insn to be: bit n for BTYPE n (DDI 0487, D8.4.6). */
static unsigned bti_mask(const ArmTrans *x)
{
    uint32_t w = x->insn;
    unsigned el = x->el;
    bool bt = el == 0 ? x->c->sctlr_el[1] & BIT(35) : x->c->sctlr_el[el] & BIT(el == 1 ? 36 : 36);
    if (w == 0xd503233f || w == 0xd503237f) /* PACIASP, PACIBSP: as BTI c, and as BTI jc when SCTLR.BT is clear */
        return bt ? 0x7 : 0xf;
    if ((w & 0xffffff3f) == 0xd503241f) { /* BTI: none, c, j, jc */
        static const uint8_t allowed[4] = { 0x1, 0x7, 0x9, 0xf };
        return allowed[w >> 6 & 3] | 1;
    }
    if ((w & 0xffe0001f) == 0xd4200000 || (w & 0xffe0001f) == 0xd4400000) /* BRK, HLT */
        return 0xf;
    return 0x1;
}

/* A block begins: with BTYPE set, only some instructions may stand here in a guarded page. */
static void check_btype(ArmTrans *x)
{
    if (!x->a64 || !(x->mode & ARM_MODE_BTI) || !x->has->bti)
        return;
    unsigned label = ir_new_label(x->t);
    IrRef btype = ir_temp(x->t);
    ir_lde(x->t, 1, btype, offsetof(ArmCpu, btype));
    ir_brz(x->t, IR_BRZ, 1, btype, label);
    arm_call(x, arm_help_bti_check, H_R | H_P, IR_NONE, A_IMM(bti_mask(x)), A_NONE, A_NONE);
    ir_stei(x->t, 1, offsetof(ArmCpu, btype), 0);
    ir_label(x->t, IR_LABEL, label);
    ir_temps_reset(x->t);
}

static void translate_insn(ArmTrans *x)
{
    if (x->mode & ARM_MODE_BREAKPOINT)
        arm_call(x, arm_help_breakpoint, H_R | H_F | H_P, IR_NONE, A_IMM(x->pc), A_NONE, A_NONE);
    if (x->t->b->guest_insns == 1)
        check_btype(x);
    if (x->a64)
        arm_a64_insn(x);
    else if (x->mode & ARM_MODE_T32)
        arm_t32_insn(x);
    else
        arm_a32_insn(x);
    if (!x->ended && x->step)
        arm_end_next(x);
}

static bool in_page(const ArmTrans *x)
{
    uint64_t at = x->t->b->linear + (x->next_pc - x->t->b->pc);
    return at >= x->t->b->linear && at < x->t->page_end;
}

/* The first instruction's second half can't be fetched: its fault is the block. */
static void fetch_fault(ArmTrans *x)
{
    arm_call(x, trans_fetch_fault, H_R | H_P, IR_NONE, A_IMM(x->t->page_end), A_NONE, A_NONE);
    ir_emit(x->t, IR_LOOKUP, 8); /* not reached */
    x->ended = true;
}

void arm_translate(Vcpu *v, TransCtx *t)
{
    ArmTrans x;
    IrBlock *b = t->b;
    setup(&x, v, t);
    if (x.mode & ARM_MODE_T32)
        arm_t32_begin(&x);
    do {
        bool fetched = !(x.next_pc & (x.mode & ARM_MODE_T32 ? 1 : 3)) ? fetch(&x) : true;
        if (!fetched && b->guest_insns)
            break;
        x.pc = x.next_pc;
        ir_temps_reset(t);
        ir_goto(t, IR_INSN, x.pc);
        b->guest_insns++;
        b->guest_bytes = b->linear + (x.pc - b->pc) + x.len - b->linear;
        x.next_pc = x.pc + x.len;
        if (!fetched) {
            b->guest_bytes = t->page_end - b->linear;
            fetch_fault(&x);
        } else if (!entry_fault(&x)) {
            translate_insn(&x);
        }
    } while (!x.ended && !x.one && ir_room_left(x.t, ROOM_OPS, ROOM_LABELS) && in_page(&x));
    if (!x.ended)
        arm_end_goto(&x, x.next_pc);
}

/* --- what emitters use --- */

IrRef arm_const(ArmTrans *x, uint64_t value)
{
    IrRef r = ir_temp(x->t);
    ir_movi(x->t, 8, r, value);
    return r;
}

IrRef arm_xw(ArmTrans *x, unsigned n) { return n == 31 ? ir_temp(x->t) : IR_G(n); }
IrRef arm_value(ArmTrans *x, unsigned n) { return n == 31 ? arm_const(x, 0) : IR_G(n); }

void arm_call(ArmTrans *x, const void *fn, unsigned flags, IrRef d, ArmArg a, ArmArg b, ArmArg c)
{
    ArmArg *args[3] = { &a, &b, &c };
    bool imm_used = false;
    uint64_t imm = 0;
    if (flags & H_R)
        a32_may_leave(x);
    for (unsigned n = 0; n < 3; n++) {
        if (args[n]->ref != IR_IMM)
            continue;
        if (imm_used) { /* the IR has room for one */
            args[n]->ref = arm_const(x, args[n]->imm);
        } else {
            imm_used = true;
            imm = args[n]->imm;
        }
    }
    if (flags & H_R) /* a helper that unwinds leaves its caller's registers behind: they are saved first, vectors too */
        flags &= ~(unsigned)H_G;
    ir_call(x->t, fn, flags, d, a.ref, b.ref, c.ref, imm);
}

void arm_set_pc(ArmTrans *x, uint64_t pc) { ir_stei(x->t, 8, offsetof(ArmCpu, v.pc), pc); }

void arm_raise_now(ArmTrans *x, unsigned ec, uint32_t iss, unsigned target_el)
{
    arm_call(x, arm_help_raise, H_R | H_P, IR_NONE, A_IMM(ec), A_IMM(iss),
             A_IMM(target_el | (x->len == 4 ? 1u << 8 : 0)));
    ir_emit(x->t, IR_LOOKUP, 8); /* not reached */
    x->ended = true;
}

void arm_undefined(ArmTrans *x)
{
    arm_call(x, arm_help_undef, H_R | H_P, IR_NONE, A_IMM(x->len == 4), A_NONE, A_NONE);
    ir_emit(x->t, IR_LOOKUP, 8); /* not reached */
    x->ended = true;
}

void arm_emit_todo(ArmTrans *x, uint32_t word)
{
    log_unimp("arm", "instruction 0x%08x at 0x%" PRIx64 " is not implemented: UNDEFINED", word, x->pc);
    arm_undefined(x);
}

bool arm_fp_usable(ArmTrans *x, unsigned a, uint32_t cond)
{
    if (!(x->mode & ARM_MODE_FP_TRAP))
        return true;
    arm_call(x, arm_help_fp_trap, H_R | H_P, IR_NONE, A_IMM(a), A_IMM(cond), A_NONE);
    ir_emit(x->t, IR_LOOKUP, 8); /* not reached */
    x->ended = true;
    return false;
}

bool arm_sve_usable(ArmTrans *x)
{
    if (!(x->mode & ARM_MODE_SVE_TRAP))
        return arm_fp_usable(x, 0, 0);
    arm_call0(x, arm_help_sve_trap, H_R | H_P);
    ir_emit(x->t, IR_LOOKUP, 8); /* not reached */
    x->ended = true;
    return false;
}
