/* SPDX-License-Identifier: MIT */
/* Portable integer vector operations: moves, arithmetic, packing, shuffles. Semantics: Intel SDM vol. 2. */
#include "accel/tcg/vec-fn.h"

static int64_t clamp(int64_t v, int64_t lo, int64_t hi) { return v < lo ? lo : v > hi ? hi : v; }
static int64_t sat_s8(int64_t v) { return clamp(v, -128, 127); }
static int64_t sat_u8(int64_t v) { return clamp(v, 0, 255); }
static int64_t sat_s16(int64_t v) { return clamp(v, -32768, 32767); }
static int64_t sat_u16(int64_t v) { return clamp(v, 0, 65535); }

/* --- moves --- */
static void copy16(VecArgs *x) { memcpy(x->d, &x->a, 16); }
#define MOVE16(id) VEC_FN(id) { copy16(x); }
MOVE16(MOVUPS)
MOVE16(MOVUPS_ST) MOVE16(MOVUPD) MOVE16(MOVUPD_ST) MOVE16(MOVAPS) MOVE16(MOVAPS_ST) MOVE16(MOVAPD) MOVE16(MOVAPD_ST)
    MOVE16(MOVDQA) MOVE16(MOVDQA_ST) MOVE16(MOVDQU) MOVE16(MOVDQU_ST) MOVE16(LDDQU) MOVE16(MOVNTPS) MOVE16(MOVNTPD)
        MOVE16(MOVNTDQ) MOVE16(MOVNTDQA)

            VEC_FN(MOVSS)
{
    x->d->u32[0] = x->a.u32[0];
    if (x->mem)
        x->d->u32[1] = 0, x->d->u64[1] = 0;
}
VEC_FN(MOVSD)
{
    x->d->u64[0] = x->a.u64[0];
    if (x->mem)
        x->d->u64[1] = 0;
}
VEC_FN(MOVSS_ST) { x->d->u32[0] = x->a.u32[0]; }
VEC_FN(MOVSD_ST) { x->d->u64[0] = x->a.u64[0]; }
VEC_FN(MOVQ) { x->d->u64[0] = x->a.u64[0], x->d->u64[1] = 0; }
VEC_FN(MOVQ_ST)
{
    x->d->u64[0] = x->a.u64[0];
    if (!x->mem)
        x->d->u64[1] = 0;
}
VEC_FN(MOVLPS) { x->d->u64[0] = x->a.u64[x->mem ? 0 : 1]; } /* register form: MOVHLPS */
VEC_FN(MOVHPS) { x->d->u64[1] = x->a.u64[0]; }               /* register form: MOVLHPS */
VEC_FN(MOVLPD) { x->d->u64[0] = x->a.u64[0]; }
VEC_FN(MOVHPD) { x->d->u64[1] = x->a.u64[0]; }
VEC_FN(MOVLPS_ST) { x->d->u64[0] = x->a.u64[0]; }
VEC_FN(MOVLPD_ST) { x->d->u64[0] = x->a.u64[0]; }
VEC_FN(MOVHPS_ST) { x->d->u64[0] = x->a.u64[1]; }
VEC_FN(MOVHPD_ST) { x->d->u64[0] = x->a.u64[1]; }
VEC_FN(MOVSLDUP) { x->d->u32[0] = x->d->u32[1] = x->a.u32[0], x->d->u32[2] = x->d->u32[3] = x->a.u32[2]; }
VEC_FN(MOVSHDUP) { x->d->u32[0] = x->d->u32[1] = x->a.u32[1], x->d->u32[2] = x->d->u32[3] = x->a.u32[3]; }
VEC_FN(MOVDDUP) { x->d->u64[0] = x->d->u64[1] = x->a.u64[0]; }
VEC_FN(MOVD) { x->d->u64[0] = x->a.u32[0], x->d->u64[1] = 0; }
VEC_FN(MOVQG) { x->d->u64[0] = x->a.u64[0], x->d->u64[1] = 0; }
VEC_FN(MOVD_ST) { x->d->u64[0] = x->a.u32[0]; }
VEC_FN(MOVQG_ST) { x->d->u64[0] = x->a.u64[0]; }

#define SIGN_MASK(id, lane, n, bit) \
    VEC_FN(id) \
    { \
        uint64_t m = 0; \
        for (unsigned i = 0; i < (n); i++) \
            m |= (uint64_t)(x->a.lane[i] >> (bit) & 1) << i; \
        x->d->u64[0] = m; \
    }
SIGN_MASK(MOVMSKPS, u32, 4, 31)
SIGN_MASK(MOVMSKPD, u64, 2, 63)
SIGN_MASK(PMOVMSKB, u8, 16, 7)

/* --- logic --- */
VEC_LANES(ANDPS, u64, 2, uint64_t, D & A)
VEC_LANES(ANDPD, u64, 2, uint64_t, D & A)
VEC_LANES(PAND, u64, 2, uint64_t, D & A)
VEC_LANES(ANDNPS, u64, 2, uint64_t, ~D & A)
VEC_LANES(ANDNPD, u64, 2, uint64_t, ~D & A)
VEC_LANES(PANDN, u64, 2, uint64_t, ~D & A)
VEC_LANES(ORPS, u64, 2, uint64_t, D | A)
VEC_LANES(ORPD, u64, 2, uint64_t, D | A)
VEC_LANES(POR, u64, 2, uint64_t, D | A)
VEC_LANES(XORPS, u64, 2, uint64_t, D ^ A)
VEC_LANES(XORPD, u64, 2, uint64_t, D ^ A)
VEC_LANES(PXOR, u64, 2, uint64_t, D ^ A)

/* --- arithmetic and comparison --- */
VEC_LANES(PADDB, u8, 16, uint8_t, D + A)
VEC_LANES(PADDW, u16, 8, uint16_t, D + A)
VEC_LANES(PADDD, u32, 4, uint32_t, D + A)
VEC_LANES(PADDQ, u64, 2, uint64_t, D + A)
VEC_LANES(PSUBB, u8, 16, uint8_t, D - A)
VEC_LANES(PSUBW, u16, 8, uint16_t, D - A)
VEC_LANES(PSUBD, u32, 4, uint32_t, D - A)
VEC_LANES(PSUBQ, u64, 2, uint64_t, D - A)
VEC_LANES(PADDSB, s8, 16, int64_t, sat_s8(D + A))
VEC_LANES(PADDSW, s16, 8, int64_t, sat_s16(D + A))
VEC_LANES(PADDUSB, u8, 16, int64_t, sat_u8(D + A))
VEC_LANES(PADDUSW, u16, 8, int64_t, sat_u16(D + A))
VEC_LANES(PSUBSB, s8, 16, int64_t, sat_s8(D - A))
VEC_LANES(PSUBSW, s16, 8, int64_t, sat_s16(D - A))
VEC_LANES(PSUBUSB, u8, 16, int64_t, sat_u8(D - A))
VEC_LANES(PSUBUSW, u16, 8, int64_t, sat_u16(D - A))
VEC_LANES(PMULLW, s16, 8, int32_t, D * A)
VEC_LANES(PMULHW, s16, 8, int32_t, D * A >> 16)
VEC_LANES(PMULHUW, u16, 8, uint32_t, D * A >> 16)
VEC_LANES(PMULHRSW, s16, 8, int32_t, ((D * A >> 14) + 1) >> 1)
VEC_LANES(PMULLD, u32, 4, uint32_t, D * A)
VEC_LANES(PMULUDQ, u64, 2, uint64_t, (uint64_t)(uint32_t)D * (uint32_t)A)
VEC_LANES(PMULDQ, s64, 2, int64_t, (int64_t)(int32_t)D * (int32_t)A)
VEC_LANES(PAVGB, u8, 16, unsigned, (D + A + 1) >> 1)
VEC_LANES(PAVGW, u16, 8, unsigned, (D + A + 1) >> 1)
#define MIN_(a, b) ((a) < (b) ? (a) : (b))
#define MAX_(a, b) ((a) > (b) ? (a) : (b))
VEC_LANES(PMINUB, u8, 16, uint8_t, MIN_(D, A))
VEC_LANES(PMAXUB, u8, 16, uint8_t, MAX_(D, A))
VEC_LANES(PMINSW, s16, 8, int16_t, MIN_(D, A))
VEC_LANES(PMAXSW, s16, 8, int16_t, MAX_(D, A))
VEC_LANES(PMINSB, s8, 16, int8_t, MIN_(D, A))
VEC_LANES(PMAXSB, s8, 16, int8_t, MAX_(D, A))
VEC_LANES(PMINSD, s32, 4, int32_t, MIN_(D, A))
VEC_LANES(PMAXSD, s32, 4, int32_t, MAX_(D, A))
VEC_LANES(PMINUW, u16, 8, uint16_t, MIN_(D, A))
VEC_LANES(PMAXUW, u16, 8, uint16_t, MAX_(D, A))
VEC_LANES(PMINUD, u32, 4, uint32_t, MIN_(D, A))
VEC_LANES(PMAXUD, u32, 4, uint32_t, MAX_(D, A))
VEC_LANES(PCMPEQB, u8, 16, uint8_t, D == A ? 0xff : 0)
VEC_LANES(PCMPEQW, u16, 8, uint16_t, D == A ? 0xffff : 0)
VEC_LANES(PCMPEQD, u32, 4, uint32_t, D == A ? ~0u : 0)
VEC_LANES(PCMPEQQ, u64, 2, uint64_t, D == A ? ~UINT64_C(0) : 0)
VEC_LANES(PCMPGTB, s8, 16, int8_t, D > A ? -1 : 0)
VEC_LANES(PCMPGTW, s16, 8, int16_t, D > A ? -1 : 0)
VEC_LANES(PCMPGTD, s32, 4, int32_t, D > A ? -1 : 0)
VEC_LANES(PCMPGTQ, s64, 2, int64_t, D > A ? -1 : 0)
VEC_LANES(PABSB, s8, 16, int, A < 0 ? -A : A)
VEC_LANES(PABSW, s16, 8, int, A < 0 ? -A : A)
VEC_LANES(PABSD, u32, 4, uint32_t, A >> 31 ? -A : A)
VEC_LANES(PSIGNB, s8, 16, int, A < 0 ? -D : A == 0 ? 0 : D)
VEC_LANES(PSIGNW, s16, 8, int, A < 0 ? -D : A == 0 ? 0 : D)
VEC_LANES(PSIGND, u32, 4, uint32_t, A >> 31 ? -D : A == 0 ? 0 : D)

VEC_FN(PMADDWD)
{
    for (unsigned i = 0; i < 4; i++)
        x->d->u32[i] = (uint32_t)(x->d->s16[2 * i] * x->a.s16[2 * i]) +
                       (uint32_t)(x->d->s16[2 * i + 1] * x->a.s16[2 * i + 1]);
}
VEC_FN(PMADDUBSW)
{
    for (unsigned i = 0; i < 8; i++)
        x->d->s16[i] = sat_s16(x->d->u8[2 * i] * x->a.s8[2 * i] + x->d->u8[2 * i + 1] * x->a.s8[2 * i + 1]);
}
VEC_FN(PSADBW)
{
    for (unsigned h = 0; h < 2; h++) {
        unsigned sum = 0;
        for (unsigned i = 8 * h; i < 8 * h + 8; i++)
            sum += x->d->u8[i] > x->a.u8[i] ? x->d->u8[i] - x->a.u8[i] : x->a.u8[i] - x->d->u8[i];
        x->d->u64[h] = sum;
    }
}
VEC_FN(MPSADBW)
{
    VecReg r = { 0 };
    unsigned da = x->imm >> 2 & 1 ? 4 : 0, aa = (x->imm & 3) * 4;
    for (unsigned j = 0; j < 8; j++) {
        for (unsigned k = 0; k < 4; k++) {
            int diff = x->d->u8[da + j + k] - x->a.u8[aa + k];
            r.u16[j] += diff < 0 ? -diff : diff;
        }
    }
    memcpy(x->d, &r, 16);
}
VEC_FN(PHMINPOSUW)
{
    unsigned best = 0;
    for (unsigned i = 1; i < 8; i++)
        if (x->a.u16[i] < x->a.u16[best])
            best = i;
    x->d->u64[0] = x->a.u16[best] | best << 16, x->d->u64[1] = 0;
}
#define HORIZONTAL(id, lane, n, expr) \
    VEC_FN(id) \
    { \
        VecReg r; \
        for (unsigned i = 0; i < (n); i++) { \
            const VecReg *s = i < (n) / 2 ? x->d : &x->a; \
            unsigned k = 2 * (i % ((n) / 2)); \
            r.lane[i] = (expr); \
        } \
        memcpy(x->d, &r, 16); \
    }
HORIZONTAL(PHADDW, u16, 8, s->u16[k] + s->u16[k + 1])
HORIZONTAL(PHADDD, u32, 4, s->u32[k] + s->u32[k + 1])
HORIZONTAL(PHADDSW, s16, 8, sat_s16(s->s16[k] + s->s16[k + 1]))
HORIZONTAL(PHSUBW, u16, 8, s->u16[k] - s->u16[k + 1])
HORIZONTAL(PHSUBD, u32, 4, s->u32[k] - s->u32[k + 1])
HORIZONTAL(PHSUBSW, s16, 8, sat_s16(s->s16[k] - s->s16[k + 1]))

/* --- packing --- */
#define PACK(id, out, n, in, sat) \
    VEC_FN(id) \
    { \
        VecReg r; \
        for (unsigned i = 0; i < (n); i++) \
            r.out[i] = sat(i < (n) / 2 ? x->d->in[i] : x->a.in[i - (n) / 2]); \
        memcpy(x->d, &r, 16); \
    }
PACK(PACKSSWB, s8, 16, s16, sat_s8)
PACK(PACKUSWB, u8, 16, s16, sat_u8)
PACK(PACKSSDW, s16, 8, s32, sat_s16)
PACK(PACKUSDW, u16, 8, s32, sat_u16)
#define UNPACK(id, lane, n, first) \
    VEC_FN(id) \
    { \
        VecReg r; \
        for (unsigned i = 0; i < (n) / 2; i++) \
            r.lane[2 * i] = x->d->lane[(first) + i], r.lane[2 * i + 1] = x->a.lane[(first) + i]; \
        memcpy(x->d, &r, 16); \
    }
UNPACK(PUNPCKLBW, u8, 16, 0)
UNPACK(PUNPCKLWD, u16, 8, 0)
UNPACK(PUNPCKLDQ, u32, 4, 0)
UNPACK(PUNPCKLQDQ, u64, 2, 0)
UNPACK(PUNPCKHBW, u8, 16, 8)
UNPACK(PUNPCKHWD, u16, 8, 4)
UNPACK(PUNPCKHDQ, u32, 4, 2)
UNPACK(PUNPCKHQDQ, u64, 2, 1)
UNPACK(UNPCKLPS, u32, 4, 0)
UNPACK(UNPCKHPS, u32, 4, 2)
UNPACK(UNPCKLPD, u64, 2, 0)
UNPACK(UNPCKHPD, u64, 2, 1)
#define EXTEND(id, out, n, in) \
    VEC_FN(id) \
    { \
        VecReg r; \
        for (unsigned i = 0; i < (n); i++) \
            r.out[i] = x->a.in[i]; \
        memcpy(x->d, &r, 16); \
    }
EXTEND(PMOVSXBW, s16, 8, s8)
EXTEND(PMOVSXBD, s32, 4, s8)
EXTEND(PMOVSXBQ, s64, 2, s8)
EXTEND(PMOVSXWD, s32, 4, s16)
EXTEND(PMOVSXWQ, s64, 2, s16)
EXTEND(PMOVSXDQ, s64, 2, s32)
EXTEND(PMOVZXBW, u16, 8, u8)
EXTEND(PMOVZXBD, u32, 4, u8)
EXTEND(PMOVZXBQ, u64, 2, u8)
EXTEND(PMOVZXWD, u32, 4, u16)
EXTEND(PMOVZXWQ, u64, 2, u16)
EXTEND(PMOVZXDQ, u64, 2, u32)

/* --- shifts: counts of the lane's width or more give 0 (or the sign) --- */
#define SHIFT(id, lane, n, width, big, count, op, over) \
    VEC_FN(id) \
    { \
        uint64_t c = (count); \
        for (unsigned i = 0; i < (n); i++) \
            x->d->lane[i] = c >= (width) ? (big)(over) : (big)(x->d->lane[i] op c); \
    }
#define SHIFTS(name, lane, n, width, big, op, over) \
    SHIFT(name, lane, n, width, big, x->a.u64[0], op, over) \
    SHIFT(name##_I, lane, n, width, big, x->imm, op, over)
SHIFTS(PSLLW, u16, 8, 16, uint16_t, <<, 0)
SHIFTS(PSLLD, u32, 4, 32, uint32_t, <<, 0)
SHIFTS(PSLLQ, u64, 2, 64, uint64_t, <<, 0)
SHIFTS(PSRLW, u16, 8, 16, uint16_t, >>, 0)
SHIFTS(PSRLD, u32, 4, 32, uint32_t, >>, 0)
SHIFTS(PSRLQ, u64, 2, 64, uint64_t, >>, 0)
SHIFTS(PSRAW, s16, 8, 16, int16_t, >>, x->d->s16[i] >> 15)
SHIFTS(PSRAD, s32, 4, 32, int32_t, >>, x->d->s32[i] >> 31)
VEC_FN(PSLLDQ_I)
{
    VecReg r = { 0 };
    for (unsigned i = x->imm; i < 16; i++)
        r.u8[i] = x->d->u8[i - x->imm];
    memcpy(x->d, &r, 16);
}
VEC_FN(PSRLDQ_I)
{
    VecReg r = { 0 };
    for (unsigned i = x->imm; i < 16; i++)
        r.u8[i - x->imm] = x->d->u8[i];
    memcpy(x->d, &r, 16);
}

/* --- shuffles, blends, inserts, extracts --- */
VEC_FN(PSHUFB)
{
    VecReg r;
    for (unsigned i = 0; i < 16; i++)
        r.u8[i] = x->a.u8[i] & 0x80 ? 0 : x->d->u8[x->a.u8[i] & 15];
    memcpy(x->d, &r, 16);
}
VEC_FN(PSHUFD)
{
    for (unsigned i = 0; i < 4; i++)
        x->d->u32[i] = x->a.u32[x->imm >> 2 * i & 3];
}
VEC_FN(PSHUFLW)
{
    for (unsigned i = 0; i < 4; i++)
        x->d->u16[i] = x->a.u16[x->imm >> 2 * i & 3];
    x->d->u64[1] = x->a.u64[1];
}
VEC_FN(PSHUFHW)
{
    for (unsigned i = 0; i < 4; i++)
        x->d->u16[4 + i] = x->a.u16[4 + (x->imm >> 2 * i & 3)];
    x->d->u64[0] = x->a.u64[0];
}
VEC_FN(SHUFPS)
{
    VecReg r;
    for (unsigned i = 0; i < 4; i++)
        r.u32[i] = (i < 2 ? x->d : &x->a)->u32[x->imm >> 2 * i & 3];
    memcpy(x->d, &r, 16);
}
VEC_FN(SHUFPD) { x->d->u64[0] = x->d->u64[x->imm & 1], x->d->u64[1] = x->a.u64[x->imm >> 1 & 1]; }
VEC_FN(PALIGNR)
{
    uint8_t both[64] = { 0 };
    memcpy(both, &x->a, 16);
    memcpy(both + 16, x->d, 16);
    if (x->imm < 32)
        memcpy(x->d, both + x->imm, 16);
    else
        memset(x->d, 0, 16);
}
#define BLEND(id, lane, n, select) \
    VEC_FN(id) \
    { \
        for (unsigned i = 0; i < (n); i++) \
            if (select) \
                x->d->lane[i] = x->a.lane[i]; \
    }
BLEND(PBLENDVB, u8, 16, x->v0.u8[i] >> 7)
BLEND(BLENDVPS, u32, 4, x->v0.u32[i] >> 31)
BLEND(BLENDVPD, u64, 2, x->v0.u64[i] >> 63)
BLEND(BLENDPS, u32, 4, x->imm >> i & 1)
BLEND(BLENDPD, u64, 2, x->imm >> i & 1)
BLEND(PBLENDW, u16, 8, x->imm >> i & 1)
VEC_FN(INSERTPS)
{
    x->d->u32[x->imm >> 4 & 3] = x->a.u32[x->mem ? 0 : x->imm >> 6 & 3];
    for (unsigned i = 0; i < 4; i++)
        if (x->imm >> i & 1)
            x->d->u32[i] = 0;
}
VEC_FN(PINSRB) { x->d->u8[x->imm & 15] = x->a.u8[0]; }
VEC_FN(PINSRW) { x->d->u16[x->imm & 7] = x->a.u16[0]; }
VEC_FN(PINSRD) { x->d->u32[x->imm & 3] = x->a.u32[0]; }
VEC_FN(PINSRQ) { x->d->u64[x->imm & 1] = x->a.u64[0]; }
VEC_FN(PEXTRB) { x->d->u64[0] = x->a.u8[x->imm & 15]; }
VEC_FN(PEXTRW) { x->d->u64[0] = x->a.u16[x->imm & 7]; }
VEC_FN(PEXTRW_M) { x->d->u64[0] = x->a.u16[x->imm & 7]; }
VEC_FN(PEXTRD) { x->d->u64[0] = x->a.u32[x->imm & 3]; }
VEC_FN(PEXTRQ) { x->d->u64[0] = x->a.u64[x->imm & 1]; }
VEC_FN(EXTRACTPS) { x->d->u64[0] = x->a.u32[x->imm & 3]; }
VEC_FN(PTEST)
{
    bool z = !((x->d->u64[0] & x->a.u64[0]) | (x->d->u64[1] & x->a.u64[1]));
    bool c = !((~x->d->u64[0] & x->a.u64[0]) | (~x->d->u64[1] & x->a.u64[1]));
    x->flags = (z ? FLAG_Z : 0) | (c ? FLAG_C : 0);
}
