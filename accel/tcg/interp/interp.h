/* SPDX-License-Identifier: MIT */
/* Private to the interpreter. */
#ifndef ACCEL_TCG_INTERP_INTERP_H
#define ACCEL_TCG_INTERP_INTERP_H

#include "accel/tcg/tcg.h"

/* Operand values, at `size`; memory operands access the guest and may unwind. */
uint64_t interp_read(Vcpu *v, const IrInsn *i, IrRef r, unsigned size);
void interp_write(Vcpu *v, const IrInsn *i, IrRef r, unsigned size, uint64_t value);
uint64_t interp_address(Vcpu *v, const IrMem *m);
bool interp_cond(Vcpu *v, unsigned cond);

/* a op b (c) at i->size; *f: flags before, and (when the op sets them) after. Pure but for *f. */
uint64_t interp_alu(Vcpu *v, const IrInsn *i, uint64_t a, uint64_t b, uint64_t c, LazyFlags *f);
bool interp_stores(IrOp op); /* has a result: not CMP, TEST, BT */
void interp_vec(Vcpu *v, const IrInsn *i);
void interp_step(Vcpu *v, const IrInsn *i); /* one op that does not steer */
#endif
