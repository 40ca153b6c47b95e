/* SPDX-License-Identifier: MIT */
/* SIMD ops through the portable functions of their rows. */
#include "accel/tcg/interp/interp.h"
#include "accel/tcg/simd.h"

static uint64_t checked_address(Vcpu *v, const IrInsn *i, AccessKind kind)
{
    uint64_t va = interp_address(v, &i->m);
    if (i->m.align && va & (i->m.align - 1)) {
        v->arch->misaligned(v, va, kind, i->m.align);
        vcpu_unwind(v);
    }
    return va;
}

static const VecReg *operand(Vcpu *v, const IrInsn *i, IrRef r, VecReg *room)
{
    if (ir_kind(r) == IR_KIND_V)
        return &v->v[ir_num(r)];
    memset(room, 0, sizeof *room);
    if (r == IR_MEM)
        guest_read(v, checked_address(v, i, ACCESS_READ), room->u8, i->size2, i->m.bank);
    else if (r != IR_NONE)
        room->u64[0] = interp_read(v, i, r, 8);
    return room;
}

/* The bits of the upper part stay for the front end's business: only 16 bytes of d are written. */
void simd_run(Vcpu *v, const IrInsn *i)
{
    VecReg room[3];
    SimdArgs x = { .v = v, .imm = i->vec == SIMD_MOVI ? i->imm : i->imm2, .es = i->size, .bytes = i->size2,
                   .standard = i->flags & IR_FP_STANDARD };
    x.a = operand(v, i, i->a, &room[0]);
    x.b = operand(v, i, i->b, &room[1]);
    x.c = operand(v, i, i->c, &room[2]);
    simd_fn[i->vec](&x);
    if (i->d == IR_MEM) {
        uint64_t va = checked_address(v, i, ACCESS_WRITE);
        guest_probe(v, va, i->size2, ACCESS_WRITE, i->m.bank);
        guest_write(v, va, x.d.u8, i->size2, i->m.bank);
    } else if (ir_kind(i->d) == IR_KIND_V) {
        memcpy(&v->v[ir_num(i->d)], &x.d, 16);
    } else {
        interp_write(v, i, i->d, 8, x.out);
    }
}
