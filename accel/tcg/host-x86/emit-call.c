/* SPDX-License-Identifier: MIT */
/* Calls of C, ops done by the interpreter, vector operations. */
#include "accel/tcg/host-x86/jit.h"
#include "accel/tcg/vec.h"

static uint32_t site_offset(const CallSite *s) { return (uint32_t)((const uint8_t *)s - codebuf_rw); }

static void note_site(Jit *j, const CallSite *site)
{
    store_i(&j->a, 4, vcpu_loc(VOFF(call_site)), site_offset(site));
}

/* --- the interpreter as a helper --- */
void emit_step_call(Jit *j, const IrInsn *insn, CallSite *site)
{
    IrInsn *copy = codebuf_alloc(sizeof *copy);
    if (!copy) {
        j->failed = true;
        return;
    }
    *copy = *insn;
    note_site(j, site);
    mov_ri(&j->a, REG_S1, (uintptr_t)copy);
    store_r(&j->a, 8, vcpu_loc(VOFF(slow[0])), REG_S1);
    mov_ri(&j->a, REG_S0, (uintptr_t)jit_interp_step);
    call_stub(&j->a, jit_stubs.call_full);
}

void emit_step(Jit *j)
{
    const IrInsn *i = j->i;
    j->need = j->before[j->k] | j->after[j->k];
    flags_flush(j); /* the op may read or set flags, or raise */
    flags_will_write(j, REG_S0);
    flags_will_write(j, REG_S1);
    coalesce_drop(j);
    j->native = 0;
    j->first_access = false;
    emit_step_call(j, i, new_site(j));
    flags_unknown(j);
    if (i->d == IR_MEM || i->op == IR_XCHG || i->op == IR_XADD || i->op == IR_CMPXCHG)
        j->check_after_call = true;
}

/* --- helpers --- */
static void store_argument(Jit *j, IrRef r, unsigned n)
{
    Loc to = vcpu_loc(VOFF(slow) + 8 * (int32_t)n);
    if (r == IR_NONE)
        return;
    Loc l = r == IR_IMM ? loc_imm(j->i->imm2) : loc_of(j, r);
    if (l.kind == L_IMM && fits32(l.imm)) {
        store_i(&j->a, 8, to, l.imm);
        return;
    }
    unsigned reg = l.kind == L_REG ? l.reg : REG_S1;
    if (l.kind != L_REG)
        load_to(j, 8, REG_S1, l);
    store_r(&j->a, 8, to, reg);
}

void emit_call(Jit *j)
{
    const IrInsn *i = j->i;
    bool pure = i->flags & IR_CALL_PURE;
    j->need = j->before[j->k];
    if (!pure || i->flags & IR_CALL_READS_FLAGS)
        flags_flush(j);
    else
        flags_clobber(j);
    flags_will_write(j, REG_S0);
    flags_will_write(j, REG_S1);
    coalesce_drop(j);
    CallSite *site = new_site(j);
    store_argument(j, i->a, 0);
    store_argument(j, i->b, 1);
    store_argument(j, i->c, 2);
    note_site(j, site);
    mov_ri(&j->a, REG_S0, i->imm);
    /* an unwind finds the vectors saved */
    bool general_only = i->flags & IR_CALL_GPR_ONLY && !(i->flags & IR_CALL_RAISES);
    call_stub(&j->a, general_only ? jit_stubs.call_gpr : jit_stubs.call_full);
    j->native = 0;
    if (i->flags & IR_CALL_WRITES_FLAGS)
        flags_unknown(j);
    if (i->flags & IR_CALL_RAISES && !pure)
        j->check_after_call = true;
    if (i->d != IR_NONE) { /* the stub leaves the result in REG_S0 */
        write_begin(j, i->d);
        store_result(j, 8, i->d, REG_S0);
    }
    j->first_access = j->first_access && pure;
}

/* --- vectors --- */
unsigned vec_mem_size(const IrInsn *i) { return vec_info[i->vec].msize; }
bool vec_needs_alignment(const IrInsn *i) { return vec_info[i->vec].flags & VEC_ALIGN && vec_info[i->vec].msize == 16; }

static bool host_has(uint32_t f)
{
    const struct JitHost *h = &jit_host;
    return !((f & VEC_SSE3 && !h->sse3) || (f & VEC_SSSE3 && !h->ssse3) || (f & VEC_SSE41 && !h->sse41) ||
             (f & VEC_SSE42 && !h->sse42) || (f & VEC_AES && !h->aes) || (f & VEC_PCLMUL && !h->pclmul) ||
             (f & VEC_SHA && !h->sha));
}

static bool vec_reg_ok(IrRef r) { return ir_kind(r) != IR_KIND_V || ir_num(r) < 16; }

/* A general register operand: its home, or a scratch register. */
static Loc vec_source(Jit *j, IrRef r)
{
    Loc l = loc_of(j, r);
    if (ir_kind(r) == IR_KIND_V)
        return loc_reg(ir_num(r));
    return l;
}

void emit_vec(Jit *j)
{
    const IrInsn *i = j->i;
    const VecInfo *r = &vec_info[i->vec];
    bool store = i->d == IR_MEM, load = i->a == IR_MEM;
    if (!host_has(r->flags) || !vec_reg_ok(i->d) || !vec_reg_ok(i->a) || (i->flags & IR_BE)) {
        emit_step(j);
        return;
    }
    if (store || load)
        mem_access(j, r->msize, store);
    bool sets = r->shape == VEC_SHAPE_F;
    if (sets) {
        j->need = j->keep[j->k];
        flags_clobber(j);
    }
    Loc d = vec_source(j, i->d), a = vec_source(j, i->a);
    bool to_general = !store && (r->shape == VEC_SHAPE_GV || r->shape == VEC_SHAPE_GVI);
    unsigned t = NO_REG;
    if (to_general) {
        t = d.kind == L_REG ? d.reg : scratch(j);
        d = loc_reg(t);
        if (load)
            a = j->gm;
        write_begin(j, i->d);
    }
    bool rm_is_d = r->shape == VEC_SHAPE_MV || r->shape == VEC_SHAPE_VI || r->flags & VEC_RM_DST;
    Loc reg = r->shape == VEC_SHAPE_VI ? loc_reg((unsigned)r->ext) : rm_is_d ? a : d, rm = rm_is_d ? d : a;
    if (store)
        rm = j->gm;
    unsigned map = r->map == 1 ? OP_0F : r->map == 2 ? OP_0F38 : OP_0F3A;
    op_rm(&j->a, r->opcode | map | (unsigned)r->prefix << 16 | OP_NO16, r->flags & VEC_W ? 8 : 4, reg.reg, rm);
    if (r->shape == VEC_SHAPE_VVI || r->shape == VEC_SHAPE_VI || r->shape == VEC_SHAPE_GVI || r->shape == VEC_SHAPE_VGI)
        e8(&j->a, (unsigned)i->imm2);
    if (to_general && loc_of(j, i->d).kind != L_REG)
        store_result(j, 8, i->d, t);
    if (sets) {
        if (j->after[j->k])
            flags_set_native(j, GROUP_ALL);
        else
            flags_dead(j);
    }
}
