/* SPDX-License-Identifier: MIT */
/* Building, printing and checking IR. */
#include <string.h>
#include "accel/tcg/simd.h"
#include "accel/tcg/vec.h"

enum { EF_F = 1, EF_f = 2, EF_M = 4, EF_E = 8, EF_C = 16 };
enum { F = EF_F, f = EF_f, M = EF_M, E = EF_E, C = EF_C };
static const struct { const char *name; uint8_t effects; } op_info[IR_OP_COUNT] = {
#define X(n, e) [IR_##n] = { #n, e },
#include "accel/tcg/ir.def"
#undef X
};

const char *ir_op_name(IrOp op) { return op < IR_OP_COUNT ? op_info[op].name : "?"; }

IrInsn *ir_emit(TransCtx *t, IrOp op, unsigned size)
{
    IrBlock *b = t->b;
    if (b->count == IR_MAX_INSNS) {
        b->overflow = true;
        b->count--; /* the caller may go on writing: the block is dropped */
    }
    IrInsn *i = &b->insn[b->count++];
    *i = (IrInsn){ .op = op, .size = size, .d = IR_NONE, .a = IR_NONE, .b = IR_NONE, .c = IR_NONE,
                   .m = { .base = IR_NONE, .index = IR_NONE, .asize = 8 } };
    return i;
}

IrRef ir_temp(TransCtx *t)
{
    if (t->next_temp == VCPU_TEMPS - 1) { /* the last one belongs to the back ends */
        t->b->overflow = true;
        t->next_temp = 0;
    }
    if (t->b->temps <= t->next_temp)
        t->b->temps = t->next_temp + 1;
    return IR_T(t->next_temp++);
}

void ir_temps_reset(TransCtx *t) { t->next_temp = 0; }

unsigned ir_new_label(TransCtx *t)
{
    if (t->b->labels == IR_MAX_LABELS) {
        t->b->overflow = true;
        t->b->labels = 0;
    }
    return t->b->labels++;
}

static const char *const cond_names[16] = { "o", "no", "c", "nc", "z",  "nz", "be", "a",
                                            "s", "ns", "p", "np", "lt", "ge", "le", "gt" };

static void print_mem(const IrMem *m, GString *out)
{
    g_string_append_printf(out, "bank%u:[", m->bank);
    if (m->segment)
        g_string_append_printf(out, "seg@%u + ", m->segment);
    if (m->base != IR_NONE)
        g_string_append_printf(out, "%c%u", ir_kind(m->base) == IR_KIND_G ? 'g' : 't', ir_num(m->base));
    if (m->index != IR_NONE)
        g_string_append_printf(out, " + %c%u*%u", ir_kind(m->index) == IR_KIND_G ? 'g' : 't', ir_num(m->index),
                               1u << m->scale);
    g_string_append_printf(out, " %c 0x%x]", m->disp < 0 ? '-' : '+',
                           m->disp < 0 ? -(unsigned)m->disp : (unsigned)m->disp);
    if (m->asize != 8)
        g_string_append_printf(out, ".a%u", m->asize);
    if (m->align)
        g_string_append_printf(out, ".align%u", m->align);
}

static void print_ref(const IrInsn *i, IrRef r, GString *out)
{
    switch (ir_kind(r)) {
    case IR_KIND_G: g_string_append_printf(out, "g%u", ir_num(r)); break;
    case IR_KIND_GH: g_string_append_printf(out, "g%uh", ir_num(r)); break;
    case IR_KIND_T: g_string_append_printf(out, "t%u", ir_num(r)); break;
    case IR_KIND_V: g_string_append_printf(out, "v%u", ir_num(r)); break;
    case IR_KIND_IMM:
        g_string_append_printf(out, "0x%" G_GINT64_MODIFIER "x",
                               i->op == IR_STE || i->op == IR_CALL ? i->imm2 : i->imm);
        break;
    case IR_KIND_MEM: print_mem(&i->m, out); break;
    default: g_string_append_c(out, '-'); break;
    }
}

static void print_insn(const IrInsn *i, GString *out)
{
    if (i->op == IR_INSN) {
        g_string_append_printf(out, "---- 0x%" G_GINT64_MODIFIER "x\n", i->imm);
        return;
    }
    g_string_append_printf(out, "  %s", ir_op_name(i->op));
    if (i->op == IR_VEC)
        g_string_append_printf(out, ".%s", i->vec < VEC_OP_COUNT ? vec_info[i->vec].mnemonic : "?");
    if (i->op == IR_SIMD)
        g_string_append_printf(out, ".%s", i->vec < SIMD_ROWS ? simd_name[i->vec] : "?");
    g_string_append_printf(out, ".%u", i->size);
    if (i->size2)
        g_string_append_printf(out, ">%u", i->size2);
    if (op_info[i->op].effects & EF_f && (i->op == IR_BRCC || i->op == IR_GOTOCC || i->op == IR_SETCC ||
                                          i->op == IR_CMOV || i->op == IR_CCMP || i->op == IR_CCMN))
        g_string_append_printf(out, ".%s", cond_names[i->cond & 15]);
    if (i->flags & IR_SETF)
        g_string_append(out, i->flags & IR_NOTC ? ".fn" : ".f");
    if (i->flags & IR_LOCK)
        g_string_append(out, ".lock");
    if (i->flags & IR_BE)
        g_string_append(out, ".be");
    const IrRef refs[] = { i->d, i->a, i->b, i->c };
    unsigned last = 0;
    for (unsigned k = 0; k < 4; k++)
        last = refs[k] != IR_NONE ? k + 1 : last;
    for (unsigned k = 0; k < last; k++) {
        g_string_append(out, k ? ", " : " ");
        print_ref(i, refs[k], out);
    }
    if (i->imm2 && (i->op == IR_GOTOZ || i->op == IR_GOTONZ || i->op == IR_TRAPNZ))
        g_string_append_printf(out, " & 0x%" G_GINT64_MODIFIER "x", i->imm2);
    if (op_info[i->op].effects & EF_E || i->op == IR_TRAPNZ || (i->op >= IR_LDE && i->op <= IR_BRNZ) ||
        i->op == IR_CALL)
        g_string_append_printf(out, " @0x%" G_GINT64_MODIFIER "x", i->imm);
    g_string_append_c(out, '\n');
}

void ir_print(const IrBlock *b, GString *out)
{
    g_string_append_printf(out,
                           "IR of 0x%" G_GINT64_MODIFIER "x (linear 0x%" G_GINT64_MODIFIER
                           "x, mode 0x%" G_GINT64_MODIFIER "x): %u insns, %u ops\n",
                           b->pc, b->linear, b->mode, b->guest_insns, b->count);
    for (unsigned k = 0; k < b->count; k++)
        print_insn(&b->insn[k], out);
}

static void check_ref(const IrBlock *b, const IrInsn *i, IrRef r, bool wide)
{
    unsigned n = ir_num(r);
    switch (ir_kind(r)) {
    case IR_KIND_G: g_assert(n < VCPU_GREGS); break;
    case IR_KIND_GH: g_assert(n < VCPU_GREGS && (i->size == 1 || wide)); break;
    case IR_KIND_T: g_assert(n < VCPU_TEMPS); break;
    case IR_KIND_V: g_assert(n < VCPU_VREGS + VCPU_VTEMPS); break;
    case IR_KIND_IMM: break;
    case IR_KIND_MEM:
        g_assert(op_info[i->op].effects & EF_M && i->m.bank < TLB_BANKS && i->m.scale < 4);
        g_assert(i->m.asize == 2 || i->m.asize == 4 || i->m.asize == 8);
        g_assert(i->m.base == IR_NONE || ir_kind(i->m.base) == IR_KIND_G || ir_kind(i->m.base) == IR_KIND_T);
        g_assert(i->m.index == IR_NONE || ir_kind(i->m.index) == IR_KIND_G || ir_kind(i->m.index) == IR_KIND_T);
        break;
    default: g_assert(r == IR_NONE); break;
    }
}

static bool ends_block(IrOp op) { return op == IR_GOTO || op == IR_JMP || op == IR_EXIT || op == IR_LOOKUP; }

void ir_validate(const IrBlock *b)
{
    bool defined[IR_MAX_LABELS] = { false };
    g_assert(b->count > 0 && b->count <= IR_MAX_INSNS && b->labels <= IR_MAX_LABELS && b->temps <= VCPU_TEMPS);
    for (unsigned k = 0; k < b->count; k++) {
        const IrInsn *i = &b->insn[k];
        g_assert(i->op < IR_OP_COUNT);
        g_assert(i->size == 1 || i->size == 2 || i->size == 4 || i->size == 8);
        check_ref(b, i, i->d, i->op == IR_ZEXT || i->op == IR_SEXT);
        check_ref(b, i, i->a, false);
        check_ref(b, i, i->b, false);
        check_ref(b, i, i->c, false);
        g_assert(ir_kind(i->d) != IR_KIND_IMM);
        if (i->op == IR_LABEL) {
            g_assert(i->imm < b->labels && !defined[i->imm]);
            defined[i->imm] = true;
        }
        if (i->op == IR_VEC)
            g_assert(i->vec < VEC_OP_COUNT);
        if (i->op == IR_SIMD)
            g_assert(i->vec < SIMD_ROWS);
    }
    for (unsigned k = 0; k < b->count; k++) {
        const IrInsn *i = &b->insn[k];
        if (i->op == IR_BR || i->op == IR_BRCC || i->op == IR_BRZ || i->op == IR_BRNZ)
            g_assert(i->imm < b->labels && defined[i->imm]);
    }
    IrOp end = b->insn[b->count - 1].op;
    g_assert(ends_block(end) || end == IR_BR || (end == IR_CALL && b->insn[b->count - 1].flags & IR_CALL_RAISES));
}
