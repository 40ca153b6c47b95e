/* SPDX-License-Identifier: MIT */
/* VEC ops through the portable vector functions. */
#include "accel/tcg/interp/interp.h"
#include "accel/tcg/vec.h"

static uint64_t vec_address(Vcpu *v, const IrInsn *i, const VecInfo *r, AccessKind kind)
{
    uint64_t va = interp_address(v, &i->m);
    unsigned align = i->m.align ? i->m.align : r->flags & VEC_ALIGN && r->msize == 16 ? 16 : 1;
    if (va & (align - 1)) {
        v->arch->misaligned(v, va, kind, align);
        vcpu_unwind(v);
    }
    return va;
}

static void load_operand(Vcpu *v, const IrInsn *i, const VecInfo *r, VecReg *out)
{
    memset(out, 0, sizeof *out);
    switch (ir_kind(i->a)) {
    case IR_KIND_V: *out = v->v[ir_num(i->a)]; break;
    case IR_KIND_MEM: guest_read(v, vec_address(v, i, r, ACCESS_READ), out->u8, r->msize, i->m.bank); break;
    default: out->u64[0] = interp_read(v, i, i->a, 8); break;
    }
}

void interp_vec(Vcpu *v, const IrInsn *i)
{
    const VecInfo *r = &vec_info[i->vec];
    VecReg a, d;
    uint64_t va = 0;
    load_operand(v, i, r, &a);
    if (i->d == IR_MEM) {
        va = vec_address(v, i, r, ACCESS_WRITE);
        guest_probe(v, va, r->msize, ACCESS_WRITE, i->m.bank);
    }
    bool to_vector = ir_kind(i->d) == IR_KIND_V;
    if (to_vector)
        d = v->v[ir_num(i->d)];
    else
        memset(&d, 0, sizeof d);
    bool mem = i->a == IR_MEM || i->d == IR_MEM;
    uint32_t flags = vec_run(i->vec, &d, &a, &v->v[0], (unsigned)i->imm2, mem, &v->fp_control);
    if (r->shape == VEC_SHAPE_F)
        flags_set_explicit(v, flags);
    else if (to_vector)
        v->v[ir_num(i->d)] = d;
    else if (i->d == IR_MEM)
        guest_write(v, va, d.u8, r->msize, i->m.bank);
    else
        interp_write(v, i, i->d, 8, d.u64[0]);
}
