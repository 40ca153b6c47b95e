/* SPDX-License-Identifier: MIT */
/* Private to the portable vector operations: how one is written. */
#ifndef ACCEL_TCG_VEC_FN_H
#define ACCEL_TCG_VEC_FN_H

#include "accel/tcg/flags.h"
#include "accel/tcg/vec.h"
#include "base/bits.h"

/* d is updated in place; a and v0 are copies, so that d may be the same register. */
typedef struct VecArgs {
    VecReg *d;
    VecReg a, v0;
    unsigned imm;
    bool mem;
    uint32_t flags;
} VecArgs;
typedef void VecFn(VecArgs *x);

#define X(id, mn, shape, msize, prefix, map, opcode, ext, flags) VecFn vec_fn_##id;
#include "accel/tcg/vec.def"
#undef X
#define VEC_FN(id) void vec_fn_##id(VecArgs *x)

/* One lane-wise operation over n lanes of field `lane`: D and A are the lane's inputs. */
#define VEC_LANES(id, lane, n, ctype, expr) \
    VEC_FN(id) \
    { \
        for (unsigned i = 0; i < (n); i++) { \
            const ctype D = x->d->lane[i], A = x->a.lane[i]; \
            (void)D; \
            x->d->lane[i] = (expr); \
        } \
    }
#endif
