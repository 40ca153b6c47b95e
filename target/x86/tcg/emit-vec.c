/* SPDX-License-Identifier: MIT */
/* Emitters of SSE (rows of accel/tcg/vec.def), MMX and the instructions around them. */
#include "accel/tcg/vec.h"
#include "target/x86/fpu.h"
#include "target/x86/tcg/emit.h"
#include "target/x86/tcg/table-args.h"

/* Is the unit usable in this mode (SDM vol. 3, tables 14-1 and 13-1)? When not, the instruction is done: it faults. */
bool x86_sse_usable(X86Trans *x)
{
    if (x->mode & X86_MODE_EM || !(x->mode & X86_MODE_OSFXSR))
        x86_raise_now(x, X86_UD);
    else if (x->mode & X86_MODE_TS)
        x86_raise_now(x, X86_NM);
    return !x->ended;
}
static bool mmx_usable(X86Trans *x)
{
    if (x->mode & X86_MODE_EM)
        x86_raise_now(x, X86_UD);
    else if (x->mode & X86_MODE_TS)
        x86_raise_now(x, X86_NM);
    return !x->ended;
}

static bool in_memory(const X86Insn *i) { return i->mod != 3; }

/* Guest memory into v.scratch, for helpers; x->mem is prepared. */
static void load_scratch(X86Trans *x, unsigned size)
{
    x86_call(x, x86_help_vec_load, H_R, IR_NONE, A_REF(x86_linear(x, &x->mem)), A_IMM(size), A_NONE);
}

/* Under unmasked exceptions: the row runs in C, which looks at what it raises before it commits. */
static void emit_trapping(X86Trans *x, const X86Insn *i, VecOp op)
{
    const VecInfo *r = &vec_info[op];
    bool to_g = r->shape == VEC_SHAPE_GV || r->shape == VEC_SHAPE_GVI;
    bool from_g = (r->shape == VEC_SHAPE_VG || r->shape == VEC_SHAPE_VGI) && !in_memory(i);
    uint64_t word = op | (uint64_t)(i->reg & 15) << 16 | (uint64_t)(i->rm & 15) << 20 | (i->imm & 255) << 24;
    if (in_memory(i)) {
        x86_mem(x, i, r->msize, false);
        if (r->flags & VEC_ALIGN) {
            x86_mem_pin(x);
            x86_call(x, x86_help_align16, H_R | H_P, IR_NONE, A_REF(x86_linear(x, &x->mem)), A_NONE, A_NONE);
        }
        load_scratch(x, r->msize);
        word |= BIT(33);
    }
    if (from_g)
        word |= BIT(32);
    IrRef result = to_g ? ir_temp(x->t) : IR_NONE;
    unsigned flags = H_R | (r->shape == VEC_SHAPE_F ? H_W : 0);
    x86_call(x, x86_help_vec_trap, flags, result, A_IMM(word), from_g ? A_REF(IR_G(i->rm)) : A_NONE, A_NONE);
    if (to_g)
        ir_op2(x->t, IR_MOV, r->flags & VEC_W ? 8 : 4, IR_G(i->reg), result);
}

void x86_emit_vec(X86Trans *x, const X86Insn *i)
{
    VecOp op = i->op->arg;
    const VecInfo *r = &vec_info[op];
    if (!x86_sse_usable(x))
        return;
    if (r->flags & VEC_FP && x->mode & X86_MODE_FPTRAP) {
        emit_trapping(x, i, op);
        return;
    }
    bool store = r->shape == VEC_SHAPE_MV || r->flags & VEC_RM_DST;
    IrRef reg = IR_V(i->reg), rm = IR_V(i->rm);
    switch (r->shape) {
    case VEC_SHAPE_GV: case VEC_SHAPE_GVI:
        if (store)
            rm = IR_G(i->rm);
        else
            reg = IR_G(i->reg);
        break;
    case VEC_SHAPE_VG: case VEC_SHAPE_VGI: rm = IR_G(i->rm); break;
    default: break;
    }
    if (in_memory(i)) {
        x86_mem(x, i, r->msize, store);
        if (r->flags & VEC_ALIGN)
            x->mem.align = 16;
        rm = IR_MEM;
    }
    IrInsn *n = ir_emit(x->t, IR_VEC, r->msize);
    n->vec = op;
    n->imm2 = i->imm & 255;
    n->d = store || r->shape == VEC_SHAPE_VI ? rm : reg;
    n->a = r->shape == VEC_SHAPE_VI ? IR_NONE : store ? reg : rm;
    n->size2 = r->flags & VEC_W ? 8 : 4;
    if (rm == IR_MEM)
        n->m = x->mem;
    if (r->shape == VEC_SHAPE_F)
        n->flags |= IR_SETF;
}

/* --- MMX; arg: VecOp | X86MmxForm << 16 --- */
void x86_emit_mmx(X86Trans *x, const X86Insn *i)
{
    VecOp op = i->op->arg & 0xffff;
    X86MmxForm form = i->op->arg >> 16;
    if (form == X86_MMX_TO_XMM || form == X86_MMX_TO_XMM_LOW || form == X86_MMX_FROM_XMM ||
        form == X86_MMX_FROM_XMM_FULL) {
        if (!x86_sse_usable(x))
            return;
    } else if (!mmx_usable(x)) {
        return;
    }
    bool shift = vec_info[op].shape == VEC_SHAPE_VI;
    bool word = form == X86_MMX_TO_G || form == X86_MMX_WORD;
    uint64_t imm = word ? i->imm & 3 : i->imm & 255;
    uint64_t a = op | (uint64_t)((shift ? i->rm : i->reg) & 15) << 16 | (uint64_t)(i->rm & 15) << 20 | imm << 24 |
                 (uint64_t)form << 36;
    IrRef value = IR_NONE;
    if (in_memory(i)) {
        unsigned size = i->o[1].size;
        x86_mem(x, i, size, false);
        value = ir_temp(x->t);
        if (form == X86_MMX_FROM_XMM_FULL) {
            x86_mem_pin(x);
            x86_call(x, x86_help_align16, H_R | H_P, IR_NONE, A_REF(x86_linear(x, &x->mem)), A_NONE, A_NONE);
            load_scratch(x, 16);
            ir_lde(x->t, 8, value, offsetof(Vcpu, scratch));
        } else if (size < 4) {
            x86_op(x, i, IR_ZEXT, size, value, IR_MEM, IR_NONE)->size2 = 8;
        } else {
            ir_load(x->t, size, value, &x->mem);
        }
    } else if (form == X86_MMX_WORD) {
        value = IR_G(i->rm);
    }
    if (value != IR_NONE)
        a |= BIT(32);
    IrRef result = form == X86_MMX_TO_G ? ir_temp(x->t) : IR_NONE;
    x86_call(x, x86_help_mmx, H_R, result, A_IMM(a), value == IR_NONE ? A_NONE : A_REF(value), A_NONE);
    if (form == X86_MMX_TO_G)
        ir_op2(x->t, IR_MOV, 4, IR_G(i->reg), result);
}

static size_t mm_offset(unsigned reg) { return offsetof(X86Cpu, fpr) + (reg & 7) * sizeof(X86FpReg); }

static void mmx_enter(X86Trans *x)
{
    x86_call0(x, x86_help_x87_wait, H_R | H_P);
    x86_call0(x, x86_help_mmx_enter, H_P);
}

static void mmx_write(X86Trans *x, unsigned reg, IrRef value)
{
    ir_ste(x->t, 8, mm_offset(reg), value);
    ir_stei(x->t, 2, mm_offset(reg) + offsetof(X86FpReg, sign_exp), 0xffff);
}

/* MOVD, MOVQ: to an MMX register (arg 0) or from one (arg 1), general register or memory. */
void x86_emit_mmx_mov(X86Trans *x, const X86Insn *i)
{
    bool store = i->op->arg & MMX_STORE, general = i->op->arg & MMX_GENERAL;
    unsigned size = general && !(i->rex & 8) ? 4 : 8;
    if (!mmx_usable(x))
        return;
    IrRef value = ir_temp(x->t);
    if (in_memory(i))
        x86_mem(x, i, size, store);
    if (store) {
        ir_lde(x->t, size, value, mm_offset(i->reg));
        if (in_memory(i))
            ir_store(x->t, size, &x->mem, value);
        mmx_enter(x);
        if (!in_memory(i) && general)
            ir_op2(x->t, IR_MOV, size, IR_G(i->rm), value);
        else if (!in_memory(i))
            mmx_write(x, i->rm, value);
        return;
    }
    if (in_memory(i))
        ir_load(x->t, size, value, &x->mem);
    else if (general)
        ir_op2(x->t, IR_MOV, size, value, IR_G(i->rm));
    else
        ir_lde(x->t, 8, value, mm_offset(i->rm));
    mmx_enter(x);
    mmx_write(x, i->reg, value);
}

/* MOVQ2DQ and MOVDQ2Q. */
void x86_emit_mmx_xmm(X86Trans *x, const X86Insn *i)
{
    if (!x86_sse_usable(x))
        return;
    IrRef value = ir_temp(x->t);
    IrInsn *n;
    mmx_enter(x);
    if (i->op->arg) { /* MOVDQ2Q */
        n = ir_op2(x->t, IR_VEC, 8, value, IR_V(i->rm));
        n->vec = VEC_MOVQG_ST;
        n->size2 = 8;
        mmx_write(x, i->reg, value);
    } else {
        ir_lde(x->t, 8, value, mm_offset(i->rm));
        n = ir_op2(x->t, IR_VEC, 8, IR_V(i->reg), value);
        n->vec = VEC_MOVQG;
        n->size2 = 8;
    }
}

void x86_emit_emms(X86Trans *x, const X86Insn *i)
{
    if (!mmx_usable(x))
        return;
    x86_call0(x, x86_help_x87_wait, H_R | H_P);
    x86_call0(x, x86_help_emms, H_P);
}

/* MASKMOVQ, MASKMOVDQU (arg 1): DS:rDI. */
void x86_emit_maskmov(X86Trans *x, const X86Insn *i)
{
    bool mmx = !i->op->arg;
    if (!(mmx ? mmx_usable(x) : x86_sse_usable(x)))
        return;
    if (mmx)
        mmx_enter(x);
    unsigned seg = i->seg_override == X86_NO_REG ? SEG_DS : i->seg_override;
    IrMem m = x86_addr(x, seg, IR_G(RDI), IR_NONE, 0, 0, i->asize, mmx ? 8 : 16, true);
    uint64_t regs = (i->reg & 15) | (uint64_t)(i->rm & 15) << 8 | (uint64_t)mmx << 16;
    x86_call(x, x86_help_maskmovq, H_R, IR_NONE, A_REF(x86_linear(x, &m)), A_IMM(regs), A_NONE);
}

/* --- around SSE --- */
void x86_emit_pcmpstr(X86Trans *x, const X86Insn *i)
{
    if (!x86_sse_usable(x))
        return;
    uint64_t a = i->opcode | (uint64_t)(i->reg & 15) << 8 | (uint64_t)(i->rm & 15) << 12 | (i->imm & 255) << 16;
    if (in_memory(i)) {
        x86_mem(x, i, 16, false);
        load_scratch(x, 16);
        a |= BIT(24);
    }
    if (i->rex & 8)
        a |= BIT(25);
    x86_call(x, x86_help_pcmpstr, H_R | H_W, IR_NONE, A_IMM(a), A_NONE, A_NONE);
}

void x86_emit_ldmxcsr(X86Trans *x, const X86Insn *i)
{
    if (!x86_sse_usable(x))
        return;
    IrRef value = ir_temp(x->t);
    x86_mem(x, i, 4, false);
    ir_load(x->t, 4, value, &x->mem);
    x86_call(x, x86_help_ldmxcsr, H_R, IR_NONE, A_REF(value), A_NONE, A_NONE);
    x86_end_next(x, i);
}

void x86_emit_stmxcsr(X86Trans *x, const X86Insn *i)
{
    if (!x86_sse_usable(x))
        return;
    IrRef value = ir_temp(x->t);
    x86_mem(x, i, 4, true);
    x86_call(x, x86_help_stmxcsr, 0, value, A_NONE, A_NONE, A_NONE);
    ir_store(x->t, 4, &x->mem, value);
}

/* FXSAVE, FXRSTOR, XSAVE..: arg is an index of this table. */
void x86_emit_fxstate(X86Trans *x, const X86Insn *i)
{
    static const struct { const void *fn; uint8_t form; bool restore, xsave; } op[] = {
        [FX_SAVE] = { x86_help_fxsave, 0, false, false }, [FX_RSTOR] = { x86_help_fxrstor, 0, true, false },
        [FX_XSAVE] = { x86_help_xsave, 0, false, true },  [FX_XRSTOR] = { x86_help_xrstor, 0, true, true },
        [FX_XSAVEOPT] = { x86_help_xsave, 1, false, true }, [FX_XSAVEC] = { x86_help_xsave, 2, false, true },
        [FX_XSAVES] = { x86_help_xsave, 3, false, true }, [FX_XRSTORS] = { x86_help_xrstor, 3, true, true },
    };
    unsigned n = i->op->arg;
    if (op[n].xsave && !(x->mode & X86_MODE_OSXSAVE)) {
        x86_raise_now(x, X86_UD);
        return;
    }
    if (x->mode & X86_MODE_TS || (!op[n].xsave && x->mode & X86_MODE_EM)) {
        x86_raise_now(x, X86_NM);
        return;
    }
    x86_mem(x, i, 512, !op[n].restore);
    x86_call(x, op[n].fn, H_R, IR_NONE, A_REF(x86_linear(x, &x->mem)), A_IMM(i->rex & 8 ? 8 : 4), A_IMM(op[n].form));
    if (op[n].restore)
        x86_end_next(x, i);
}
