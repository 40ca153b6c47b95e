/* SPDX-License-Identifier: MIT */
/* Private to SVE: what emitters hand to the functions of sve.def, and how those see elements and predicates.
 *
 * A predicate is 64 bits here (512-bit vectors at most): the bit of an element's lowest byte stands for the element.
 */
#ifndef TARGET_ARM_TCG_SVE_H
#define TARGET_ARM_TCG_SVE_H

#include <string.h>
#include "accel/tcg/simd.h"
#include "accel/tcg/softfp.h"
#include "target/arm/system.h"

/* Bits of `desc`: five registers of 5 bits, then these; the immediate is the signed top 16 bits. */
enum {
    SVE_ES_SHIFT = 25 /* log2 of an element's bytes, 4: 16 */,
    SVE_VL_SHIFT = 28,
    SVE_IM_SHIFT = 32,
    SVE_REV_SHIFT = 36,
    SVE_MSZ_SHIFT = 37,
    SVE_SIGN_SHIFT = 39,
    SVE_REGS_SHIFT = 40,
    SVE_KIND_SHIFT = 42,
    SVE_SCALED_SHIFT = 46,
    SVE_IMM_SHIFT = 48
};
enum { SVE_IM_NONE, SVE_IM_VALUE /* x1 */, SVE_IM_ELEMENT, SVE_IM_PAIR, SVE_IM_HALF };

typedef struct Sve {
    Vcpu *v;
    ArmCpu *c;
    VecReg *d;
    const VecReg *n, *m, *a;
    unsigned rd, rn, rm, ra, pgn, es, esize /* bytes */, bytes /* of a vector */;
    uint64_t pg, all; /* the governing predicate, and all elements' bits; elements only */
    int imm;
    uint64_t x1, desc;
    VecReg tmp;       /* the second source of immediate and by-element forms */
} Sve;

typedef void SveFn(Vcpu *v, uint64_t desc, uint64_t x1, uint64_t x2);
#define X(id) SveFn sve_##id;
#include "target/arm/tcg/sve.def"
#undef X
void sve_open(Sve *s, Vcpu *v, uint64_t desc, uint64_t x1);
/* Define the function of a row; the body sees `s`. */
#define SVE(id) \
    static void body_##id(Sve *s); \
    void sve_##id(Vcpu *v, uint64_t desc, uint64_t x1, uint64_t x2) \
    { \
        Sve s; \
        sve_open(&s, v, desc, x1); \
        body_##id(&s); \
    } \
    static void body_##id(Sve *s)

static inline bool sve_active(const Sve *s, unsigned byte) { return s->pg >> byte & 1; }
static inline uint64_t sve_all(unsigned bytes) { return bytes == 64 ? ~UINT64_C(0) : (UINT64_C(1) << bytes) - 1; }
/* Bits that elements of 1 << es bytes have in a predicate. */
static inline uint64_t sve_element_bits(unsigned es)
{
    static const uint64_t bits[5] = { ~UINT64_C(0), 0x5555555555555555, 0x1111111111111111, 0x0101010101010101,
                                      0x0001000100010001 };
    return bits[es];
}
static inline uint64_t *sve_pred(Sve *s, unsigned n) { return &s->c->pred[n][0]; }
/* NZCV of a predicate (PredTest): N first active, Z none, C not last. */
void sve_test(Sve *s, uint64_t mask, uint64_t result);
/* General registers: 31 is zero, or SP. */
static inline uint64_t sve_x(const Sve *s, unsigned n) { return n == 31 ? 0 : s->v->g[n]; }
static inline uint64_t sve_xsp(const Sve *s, unsigned n) { return s->v->g[n]; }
static inline void sve_put_x(Sve *s, unsigned n, uint64_t value)
{
    if (n != 31)
        s->v->g[n] = value;
}
static inline uint64_t sve_get(const VecReg *r, unsigned es, unsigned i)
{
    return es == 0 ? r->u8[i] : es == 1 ? r->u16[i] : es == 2 ? r->u32[i] : r->u64[i];
}
static inline int64_t sve_gets(const VecReg *r, unsigned es, unsigned i)
{
    return es == 0 ? r->s8[i] : es == 1 ? r->s16[i] : es == 2 ? r->s32[i] : r->s64[i];
}
static inline void sve_put(VecReg *r, unsigned es, unsigned i, uint64_t value)
{
    switch (es) {
    case 0: r->u8[i] = (uint8_t)value; break;
    case 1: r->u16[i] = (uint16_t)value; break;
    case 2: r->u32[i] = (uint32_t)value; break;
    default: r->u64[i] = value; break;
    }
}
/* The whole of rd: what lies above the vector length becomes zero. */
static inline void sve_set(Sve *s, const VecReg *value)
{
    memcpy(s->d, value, s->bytes);
    memset(s->d->u8 + s->bytes, 0, sizeof(VecReg) - s->bytes);
}
/* Active elements of rd. */
void sve_merge(Sve *s, const VecReg *value);
/* A scalar result in the vector register rd. */
static inline void sve_set_scalar(Sve *s, unsigned es, uint64_t value)
{
    memset(s->d, 0, sizeof(*s->d));
    sve_put(s->d, es, 0, value);
}
static inline unsigned sve_elements(const Sve *s) { return s->bytes >> s->es; }
static inline uint64_t sve_ones(unsigned bits) { return bits >= 64 ? ~UINT64_C(0) : (UINT64_C(1) << bits) - 1; }
/* What a pattern of PTRUE, CNT... counts. */
unsigned sve_pattern(unsigned pattern, unsigned elements);

/* One body for each size of elements: U, S are its types, E its bytes. */
#define SVE_UNUSED __attribute__((unused))
#define SVE_CASE(n, bits, bytes_, ...) \
    case n: { \
        typedef uint##bits##_t U SVE_UNUSED __attribute__((may_alias)); \
        typedef int##bits##_t S SVE_UNUSED __attribute__((may_alias)); \
        enum { E = bytes_ }; \
        __VA_ARGS__ \
    } break;
#define SVE_SIZES(s, ...) \
    switch ((s)->es) { \
    SVE_CASE(0, 8, 1, __VA_ARGS__) SVE_CASE(1, 16, 2, __VA_ARGS__) SVE_CASE(2, 32, 4, __VA_ARGS__) SVE_CASE(3, 64, 8, \
        __VA_ARGS__) \
    default: break; \
    }
/* Active elements: d = expression of n, m, a, d. */
#define SVE_EACH(id, ...) \
    SVE(id) \
    { \
        SVE_SIZES(s, { \
            U *dst = (U *)s->d; \
            const U *src_n = (const U *)s->n, *src_m = (const U *)s->m, *src_a = (const U *)s->a; \
            for (unsigned i = 0; i < s->bytes / E; i++) { \
                if (!sve_active(s, i * E)) \
                    continue; \
                const U n SVE_UNUSED = src_n[i], m SVE_UNUSED = src_m[i], a SVE_UNUSED = src_a[i], \
                d SVE_UNUSED = dst[i]; \
                dst[i] = (U)(__VA_ARGS__); \
            } \
        }) \
    }
#endif
