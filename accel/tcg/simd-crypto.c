/* SPDX-License-Identifier: MIT */
/*
 * Portable cryptographic rows of simd.def: AES (FIPS 197), SHA (FIPS 180-4, 202), SM3 and SM4 steps as DDI 0487 divides
 * them.
 */
#include "accel/tcg/simd-fn.h"
#include "accel/tcg/vec.h"

static uint32_t rol(uint32_t v, unsigned n) { return v << n | v >> (32 - n); }
static uint32_t ror(uint32_t v, unsigned n) { return rol(v, 32 - n); }
static uint64_t ror64(uint64_t v, unsigned n) { return n ? v >> n | v << (64 - n) : v; }
static uint32_t choose(uint32_t x, uint32_t y, uint32_t z) { return ((y ^ z) & x) ^ z; }
static uint32_t parity(uint32_t x, uint32_t y, uint32_t z) { return x ^ y ^ z; }
static uint32_t majority(uint32_t x, uint32_t y, uint32_t z) { return (x & y) | ((x | y) & z); }
static void copy(SimdArgs *x, const VecReg *r) { memcpy(&x->d, r, 16); }

/* --- AES: a state, b key --- */
static void aes_key(SimdArgs *x)
{
    x->d.u64[0] = x->a->u64[0] ^ x->b->u64[0];
    x->d.u64[1] = x->a->u64[1] ^ x->b->u64[1];
}
SIMD_FN(AESE) { aes_key(x), vec_aes_sub_rows(&x->d, false); }
SIMD_FN(AESD) { aes_key(x), vec_aes_sub_rows(&x->d, true); }
SIMD_FN(AESMC) { copy(x, x->a), vec_aes_mix(&x->d, false); }
SIMD_FN(AESIMC) { copy(x, x->a), vec_aes_mix(&x->d, true); }

/* --- SHA1: c hash, a the fifth word, b words --- */
static void sha1(SimdArgs *x, uint32_t (*f)(uint32_t, uint32_t, uint32_t))
{
    uint32_t h[4], y = x->a->u32[0];
    memcpy(h, x->c, 16);
    for (unsigned e = 0; e < 4; e++) {
        y += rol(h[0], 5) + f(h[1], h[2], h[3]) + x->b->u32[e];
        uint32_t last = h[3];
        h[3] = h[2], h[2] = rol(h[1], 30), h[1] = h[0], h[0] = y, y = last;
    }
    memcpy(&x->d, h, 16);
}
SIMD_FN(SHA1C) { sha1(x, choose); }
SIMD_FN(SHA1P) { sha1(x, parity); }
SIMD_FN(SHA1M) { sha1(x, majority); }
SIMD_FN(SHA1H) { x->d.u32[0] = rol(x->a->u32[0], 30); }
SIMD_FN(SHA1SU0)
{
    x->d.u64[0] = x->c->u64[1] ^ x->c->u64[0] ^ x->b->u64[0];
    x->d.u64[1] = x->a->u64[0] ^ x->c->u64[1] ^ x->b->u64[1];
}
SIMD_FN(SHA1SU1)
{
    uint32_t t[4];
    for (unsigned e = 0; e < 4; e++)
        t[e] = x->c->u32[e] ^ (e < 3 ? x->a->u32[e + 1] : 0);
    for (unsigned e = 0; e < 4; e++)
        x->d.u32[e] = rol(t[e], 1) ^ (e == 3 ? rol(t[0], 2) : 0);
}

/* --- SHA256 --- */
static void sha256(SimdArgs *x, const VecReg *first, const VecReg *second, bool part1)
{
    uint32_t h[4], y[4];
    memcpy(h, first, 16), memcpy(y, second, 16);
    for (unsigned e = 0; e < 4; e++) {
        uint32_t t = y[3] + (ror(y[0], 6) ^ ror(y[0], 11) ^ ror(y[0], 25)) + choose(y[0], y[1], y[2]) + x->b->u32[e];
        uint32_t h3 = t + h[3], y3 = t + (ror(h[0], 2) ^ ror(h[0], 13) ^ ror(h[0], 22)) + majority(h[0], h[1], h[2]);
        h[3] = h[2], h[2] = h[1], h[1] = h[0], h[0] = y3;
        y[3] = y[2], y[2] = y[1], y[1] = y[0], y[0] = h3;
    }
    memcpy(&x->d, part1 ? h : y, 16);
}
SIMD_FN(SHA256H) { sha256(x, x->c, x->a, true); }
SIMD_FN(SHA256H2) { sha256(x, x->a, x->c, false); }
SIMD_FN(SHA256SU0)
{
    for (unsigned e = 0; e < 4; e++) {
        uint32_t t = e < 3 ? x->c->u32[e + 1] : x->a->u32[0];
        x->d.u32[e] = x->c->u32[e] + (ror(t, 7) ^ ror(t, 18) ^ t >> 3);
    }
}
SIMD_FN(SHA256SU1)
{
    for (unsigned e = 0; e < 4; e++) {
        uint32_t t = e < 2 ? x->b->u32[2 + e] : x->d.u32[e - 2], t0 = e < 3 ? x->a->u32[e + 1] : x->b->u32[0];
        x->d.u32[e] = (ror(t, 17) ^ ror(t, 19) ^ t >> 10) + x->c->u32[e] + t0;
    }
}

/* --- SHA512: c hash or words, a, b --- */
SIMD_FN(SHA512H)
{
    uint64_t x0 = x->a->u64[0], x1 = x->a->u64[1], y0 = x->b->u64[0], y1 = x->b->u64[1];
    uint64_t high = ((y1 & x0) ^ (~y1 & x1)) + (ror64(y1, 14) ^ ror64(y1, 18) ^ ror64(y1, 41)) + x->c->u64[1],
             t = high + y0;
    x->d.u64[1] = high;
    x->d.u64[0] = ((t & y1) ^ (~t & x0)) + (ror64(t, 14) ^ ror64(t, 18) ^ ror64(t, 41)) + x->c->u64[0];
}
SIMD_FN(SHA512H2)
{
    uint64_t x0 = x->a->u64[0], y0 = x->b->u64[0], y1 = x->b->u64[1];
    uint64_t high = ((x0 & y1) ^ (x0 & y0) ^ (y1 & y0)) + (ror64(y0, 28) ^ ror64(y0, 34) ^ ror64(y0, 39)) +
                    x->c->u64[1];
    x->d.u64[1] = high;
    x->d.u64[0] = ((high & y0) ^ (high & y1) ^ (y1 & y0)) + (ror64(high, 28) ^ ror64(high, 34) ^ ror64(high, 39)) +
                  x->c->u64[0];
}
static uint64_t sha512_s0(uint64_t v) { return ror64(v, 1) ^ ror64(v, 8) ^ v >> 7; }
static uint64_t sha512_s1(uint64_t v) { return ror64(v, 19) ^ ror64(v, 61) ^ v >> 6; }
SIMD_FN(SHA512SU0)
{
    x->d.u64[0] = x->c->u64[0] + sha512_s0(x->c->u64[1]);
    x->d.u64[1] = x->c->u64[1] + sha512_s0(x->a->u64[0]);
}
SIMD_FN(SHA512SU1)
{
    for (unsigned e = 0; e < 2; e++)
        x->d.u64[e] = x->c->u64[e] + sha512_s1(x->a->u64[e]) + x->b->u64[e];
}

/* --- SHA3 --- */
#define QUADS(id, expr) \
    SIMD_FN(id) \
    { \
        for (unsigned e = 0; e < x->bytes / 8; e++) { \
            const uint64_t A = x->a->u64[e], B = x->b->u64[e], C = x->c->u64[e]; \
            (void)A, (void)B, (void)C; \
            x->d.u64[e] = (expr); \
        } \
    }
QUADS(EOR3, A ^ B ^ C)
QUADS(BCAX, A ^ (B & ~C))
QUADS(RAX1, A ^ ror64(B, 63))
SIMD_FN(XAR) /* rotates lanes of es */
{
    unsigned es = x->es, bits = 8 * es, n = (unsigned)x->imm % bits;
    for (unsigned e = 0; e < x->bytes / es; e++) {
        uint64_t v = lane(x->a, es, e) ^ lane(x->b, es, e);
        put_lane(&x->d, es, e, n ? v >> n | v << (bits - n) : v);
    }
}

/* --- SM3 --- */
SIMD_FN(SM3PARTW1)
{
    for (unsigned e = 0; e < 4; e++) {
        uint32_t r = x->c->u32[e] ^ x->a->u32[e] ^ rol(e < 3 ? x->b->u32[e + 1] : x->d.u32[0], 15);
        x->d.u32[e] = r ^ rol(r, 15) ^ rol(r, 23);
    }
}
SIMD_FN(SM3PARTW2)
{
    uint32_t first = x->a->u32[0] ^ rol(x->b->u32[0], 7), t = rol(first, 15);
    for (unsigned e = 0; e < 4; e++)
        x->d.u32[e] = x->c->u32[e] ^ x->a->u32[e] ^ rol(x->b->u32[e], 7);
    x->d.u32[3] ^= t ^ rol(t, 15) ^ rol(t, 23);
}
SIMD_FN(SM3SS1) { x->d.u32[3] = rol(rol(x->a->u32[3], 12) + x->b->u32[3] + x->c->u32[3], 7); }
SIMD_FN(SM3TT) /* imm 1:0: TT1A TT1B TT2A TT2B; 3:2: lane of b */
{
    const uint32_t *d = x->c->u32;
    unsigned kind = x->imm & 3;
    uint32_t w = x->b->u32[x->imm >> 2 & 3], t;
    t = kind == 1 ? majority(d[1], d[2], d[3]) : kind == 3 ? choose(d[3], d[2], d[1]) : parity(d[1], d[2], d[3]);
    if (kind < 2)
        t += d[0] + (x->a->u32[3] ^ rol(d[3], 12)) + w;
    else
        t += d[0] + x->a->u32[3] + w;
    x->d.u32[0] = d[1], x->d.u32[1] = rol(d[2], kind < 2 ? 9 : 19), x->d.u32[2] = d[3];
    x->d.u32[3] = kind < 2 ? t : t ^ rol(t, 9) ^ rol(t, 17);
}

/* --- SM4: the S-box from its definition, affine - inverse in GF(2^8) mod x^8+x^7+x^6+x^5+x^4+x^2+1 - affine --- */
static uint8_t sm4_mul(uint8_t a, uint8_t b)
{
    uint8_t r = 0;
    for (; b; b >>= 1, a = (uint8_t)(a << 1 ^ (a >> 7) * 0xf5))
        r ^= b & 1 ? a : 0;
    return r;
}
enum { SM4_ROW = 0xa7 }; /* first row of the circulant matrix */
static uint8_t sm4_affine(uint8_t v)
{
    uint8_t r = 0;
    for (unsigned k = 0; k < 8; k++)
        r |= (uint8_t)((__builtin_popcount((uint8_t)(SM4_ROW << k | SM4_ROW >> (8 - k)) & v) & 1) << k);
    return r ^ 0xd3;
}
static const uint8_t *sm4_box(void)
{
    static uint8_t box[256];
    static gsize ready;
    if (g_once_init_enter(&ready)) {
        for (unsigned v = 0; v < 256; v++) {
            uint8_t a = sm4_affine((uint8_t)v), inverse = 1; /* a^254 */
            for (unsigned k = 0; k < 254; k++)
                inverse = sm4_mul(inverse, a);
            box[v] = sm4_affine(inverse);
        }
        g_once_init_leave(&ready, 1);
    }
    return box;
}
static void sm4(SimdArgs *x, const VecReg *state, const VecReg *keys, bool expand)
{
    const uint8_t *box = sm4_box();
    uint32_t r[4];
    memcpy(r, state, 16);
    for (unsigned k = 0; k < 4; k++) {
        uint32_t v = r[1] ^ r[2] ^ r[3] ^ keys->u32[k], s = 0;
        for (unsigned n = 0; n < 32; n += 8)
            s |= (uint32_t)box[v >> n & 255] << n;
        s ^= expand ? rol(s, 13) ^ rol(s, 23) : rol(s, 2) ^ rol(s, 10) ^ rol(s, 18) ^ rol(s, 24);
        s ^= r[0];
        r[0] = r[1], r[1] = r[2], r[2] = r[3], r[3] = s;
    }
    memcpy(&x->d, r, 16);
}
SIMD_FN(SM4E) { sm4(x, x->c, x->a, false); }
SIMD_FN(SM4EKEY) { sm4(x, x->a, x->b, true); }
