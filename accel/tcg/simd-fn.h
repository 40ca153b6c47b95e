/* SPDX-License-Identifier: MIT */
/* Private to the portable SIMD rows: lanes. */
#ifndef ACCEL_TCG_SIMD_FN_H
#define ACCEL_TCG_SIMD_FN_H

#include "accel/tcg/simd.h"
#include "base/bits.h"

#define X(id, kind) SimdFn simd_fn_##id;
#include "accel/tcg/simd.def"
#undef X
#define SIMD_FN(id) void simd_fn_##id(SimdArgs *x)

static inline uint64_t lane(const VecReg *r, unsigned es, unsigned i)
{
    switch (es) {
    case 1: return r->u8[i];
    case 2: return r->u16[i];
    case 4: return r->u32[i];
    default: return r->u64[i];
    }
}
static inline int64_t slane(const VecReg *r, unsigned es, unsigned i)
{
    switch (es) {
    case 1: return r->s8[i];
    case 2: return r->s16[i];
    case 4: return r->s32[i];
    default: return r->s64[i];
    }
}
static inline void put_lane(VecReg *r, unsigned es, unsigned i, uint64_t v)
{
    switch (es) {
    case 1: r->u8[i] = (uint8_t)v; break;
    case 2: r->u16[i] = (uint16_t)v; break;
    case 4: r->u32[i] = (uint32_t)v; break;
    default: r->u64[i] = v; break;
    }
}
#endif
