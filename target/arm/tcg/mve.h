/* SPDX-License-Identifier: MIT */
/* What the functions of table mve share (mve.c, mve-acc.c, mve-fp.c): lanes, predication, registers. */
#ifndef TARGET_ARM_TCG_MVE_H
#define TARGET_ARM_TCG_MVE_H

#include "accel/tcg/simd.h"
#include "target/arm/tcg/a32-fp.h"
#include "target/arm/tcg/mve.decode.h"

#define M(name) void arm_mve_##name(ArmTrans *x, const A32Insn *i)
#define Q(n) (&x->c->v.v[(n) & 7])
#define REG(n) (x->c->v.g[(n) & 15])

/*
 * Bit n: byte n is written (DDI 0553, GetCurInstrBeat()). A lane counts in flags and sums when its lowest byte is on.
 */
uint16_t mve_active(const ArmCpu *c);

/* --- lanes --- */
static inline uint64_t get(const VecReg *r, unsigned es, unsigned n)
{
    switch (es) {
    case 1: return r->u8[n];
    case 2: return r->u16[n];
    case 4: return r->u32[n];
    default: return r->u64[n];
    }
}
static inline int64_t get_s(const VecReg *r, unsigned es, unsigned n)
{
    return es == 8 ? r->s64[n] : es == 4 ? r->s32[n] : es == 2 ? r->s16[n] : r->s8[n];
}
static inline int64_t lane_of(const VecReg *r, unsigned es, unsigned n, bool is_unsigned)
{
    return is_unsigned ? (int64_t)get(r, es, n) : get_s(r, es, n);
}
static inline void set(VecReg *r, unsigned es, unsigned n, uint64_t value)
{
    switch (es) {
    case 1: r->u8[n] = (uint8_t)value; break;
    case 2: r->u16[n] = (uint16_t)value; break;
    case 4: r->u32[n] = (uint32_t)value; break;
    default: r->u64[n] = value;
    }
}
static inline bool lane_on(uint16_t mask, unsigned es, unsigned n) { return mask >> (n * es) & 1; }

/* Puts the bytes that are on into d. */
static inline void merge(VecReg *d, const VecReg *r, uint16_t mask)
{
    for (unsigned n = 0; n < 16; n++)
        if (mask >> n & 1)
            d->u8[n] = r->u8[n];
}

static inline VecReg all_lanes(uint64_t value, unsigned es)
{
    VecReg r = { 0 };
    for (unsigned n = 0; n < 16 / es; n++)
        set(&r, es, n, value);
    return r;
}

#endif
