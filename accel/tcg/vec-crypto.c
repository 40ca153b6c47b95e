/* SPDX-License-Identifier: MIT */
/* Portable AES (FIPS 197), carry-less multiplication and SHA (FIPS 180-4) steps as the x86 instructions define them. */
#include "accel/tcg/vec-fn.h"

/* The S-box is computed once from its definition: inverse in GF(2^8), then the affine map (FIPS 197, 5.1.1). */
typedef struct AesTables { uint8_t sbox[256], inverse[256]; } AesTables;

static uint8_t gf_mul(uint8_t a, uint8_t b)
{
    uint8_t r = 0;
    for (; b; b >>= 1, a = (uint8_t)(a << 1 ^ (a >> 7) * 0x1b))
        if (b & 1)
            r ^= a;
    return r;
}
static uint8_t rotl8(uint8_t v, unsigned n) { return (uint8_t)(v << n | v >> (8 - n)); }

static const AesTables *aes_tables(void)
{
    static AesTables t;
    static gsize ready;
    if (g_once_init_enter(&ready)) {
        for (unsigned v = 0; v < 256; v++) {
            uint8_t inv = 1; /* v^254 */
            for (unsigned i = 0; i < 254; i++)
                inv = gf_mul(inv, (uint8_t)v);
            uint8_t s = (uint8_t)(inv ^ rotl8(inv, 1) ^ rotl8(inv, 2) ^ rotl8(inv, 3) ^ rotl8(inv, 4) ^ 0x63);
            t.sbox[v] = s;
            t.inverse[s] = (uint8_t)v;
        }
        g_once_init_leave(&ready, 1);
    }
    return &t;
}
/* ShiftRows moves row r of column c+r to column c; the inverse moves it back. */
static void aes_rows_sub(VecReg *s, const uint8_t *box, bool inverse)
{
    VecReg r;
    for (unsigned c = 0; c < 4; c++)
        for (unsigned row = 0; row < 4; row++)
            r.u8[4 * c + row] = box[s->u8[4 * ((inverse ? c - row : c + row) & 3) + row]];
    memcpy(s, &r, 16);
}
static void aes_mix(VecReg *s, const uint8_t m[4])
{
    for (unsigned c = 0; c < 4; c++) {
        uint8_t in[4];
        memcpy(in, s->u8 + 4 * c, 4);
        for (unsigned row = 0; row < 4; row++)
            s->u8[4 * c + row] = gf_mul(in[0], m[-row & 3]) ^ gf_mul(in[1], m[(1 - row) & 3]) ^
                                 gf_mul(in[2], m[(2 - row) & 3]) ^ gf_mul(in[3], m[(3 - row) & 3]);
    }
}
static const uint8_t aes_forward[4] = { 2, 3, 1, 1 }, aes_backward[4] = { 14, 11, 13, 9 };
void vec_aes_sub_rows(VecReg *s, bool inverse)
{
    aes_rows_sub(s, inverse ? aes_tables()->inverse : aes_tables()->sbox, inverse);
}
void vec_aes_mix(VecReg *s, bool inverse) { aes_mix(s, inverse ? aes_backward : aes_forward); }
static void aes_add_key(VecArgs *x)
{
    x->d->u64[0] ^= x->a.u64[0];
    x->d->u64[1] ^= x->a.u64[1];
}
VEC_FN(AESENCLAST)
{
    aes_rows_sub(x->d, aes_tables()->sbox, false);
    aes_add_key(x);
}
VEC_FN(AESENC)
{
    aes_rows_sub(x->d, aes_tables()->sbox, false);
    aes_mix(x->d, aes_forward);
    aes_add_key(x);
}
VEC_FN(AESDECLAST)
{
    aes_rows_sub(x->d, aes_tables()->inverse, true);
    aes_add_key(x);
}
VEC_FN(AESDEC)
{
    aes_rows_sub(x->d, aes_tables()->inverse, true);
    aes_mix(x->d, aes_backward);
    aes_add_key(x);
}
VEC_FN(AESIMC)
{
    memcpy(x->d, &x->a, 16);
    aes_mix(x->d, aes_backward);
}
static uint32_t ror32(uint32_t v, unsigned n) { return v >> n | v << (32 - n); }
static uint32_t rol32(uint32_t v, unsigned n) { return v << n | v >> (32 - n); }
static uint32_t aes_sub_word(uint32_t w)
{
    const uint8_t *s = aes_tables()->sbox;
    return s[w & 255] | s[w >> 8 & 255] << 8 | s[w >> 16 & 255] << 16 | (uint32_t)s[w >> 24] << 24;
}
VEC_FN(AESKEYGENASSIST)
{
    uint32_t w1 = aes_sub_word(x->a.u32[1]), w3 = aes_sub_word(x->a.u32[3]);
    x->d->u32[0] = w1, x->d->u32[1] = ror32(w1, 8) ^ x->imm;
    x->d->u32[2] = w3, x->d->u32[3] = ror32(w3, 8) ^ x->imm;
}
VEC_FN(PCLMULQDQ)
{
    uint64_t a = x->d->u64[x->imm & 1], b = x->a.u64[x->imm >> 4 & 1], low = 0, high = 0;
    for (unsigned i = 0; i < 64; i++) {
        if (b >> i & 1) {
            low ^= a << i;
            high ^= i ? a >> (64 - i) : 0;
        }
    }
    x->d->u64[0] = low, x->d->u64[1] = high;
}

/* --- SHA: lane 3 is the first word (A, W0) --- */
VEC_FN(SHA1NEXTE) { uint32_t e = rol32(x->d->u32[3], 30); memcpy(x->d, &x->a, 16); x->d->u32[3] += e; }
VEC_FN(SHA1MSG1)
{
    uint32_t *d = x->d->u32, w2 = d[1], w3 = d[0], w4 = x->a.u32[3], w5 = x->a.u32[2];
    d[3] ^= w2, d[2] ^= w3, d[1] ^= w4, d[0] ^= w5;
}
VEC_FN(SHA1MSG2)
{
    uint32_t *d = x->d->u32, w13 = x->a.u32[2], w14 = x->a.u32[1], w15 = x->a.u32[0];
    uint32_t w16 = rol32(d[3] ^ w13, 1);
    d[3] = w16, d[2] = rol32(d[2] ^ w14, 1), d[1] = rol32(d[1] ^ w15, 1), d[0] = rol32(d[0] ^ w16, 1);
}
VEC_FN(SHA1RNDS4)
{
    static const uint32_t k[4] = { 0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6 };
    unsigned f = x->imm & 3;
    uint32_t a = x->d->u32[3], b = x->d->u32[2], c = x->d->u32[1], d = x->d->u32[0], e = 0;
    for (unsigned i = 0; i < 4; i++) {
        uint32_t mix = f == 0 ? (b & c) ^ (~b & d) : f == 2 ? (b & c) ^ (b & d) ^ (c & d) : b ^ c ^ d;
        uint32_t t = mix + rol32(a, 5) + x->a.u32[3 - i] + e + k[f];
        e = d, d = c, c = rol32(b, 30), b = a, a = t;
    }
    x->d->u32[3] = a, x->d->u32[2] = b, x->d->u32[1] = c, x->d->u32[0] = d;
}
static uint32_t sha256_s0(uint32_t w) { return ror32(w, 7) ^ ror32(w, 18) ^ w >> 3; }
static uint32_t sha256_s1(uint32_t w) { return ror32(w, 17) ^ ror32(w, 19) ^ w >> 10; }
VEC_FN(SHA256MSG1)
{
    uint32_t *d = x->d->u32, w[5] = { d[0], d[1], d[2], d[3], x->a.u32[0] };
    for (unsigned i = 0; i < 4; i++)
        d[i] = w[i] + sha256_s0(w[i + 1]);
}
VEC_FN(SHA256MSG2)
{
    uint32_t *d = x->d->u32;
    d[0] += sha256_s1(x->a.u32[2]), d[1] += sha256_s1(x->a.u32[3]);
    d[2] += sha256_s1(d[0]), d[3] += sha256_s1(d[1]);
}
VEC_FN(SHA256RNDS2)
{
    uint32_t a = x->a.u32[3], b = x->a.u32[2], c = x->d->u32[3], d = x->d->u32[2];
    uint32_t e = x->a.u32[1], f = x->a.u32[0], g = x->d->u32[1], h = x->d->u32[0];
    for (unsigned i = 0; i < 2; i++) {
        uint32_t t = ((e & f) ^ (~e & g)) + (ror32(e, 6) ^ ror32(e, 11) ^ ror32(e, 25)) + x->v0.u32[i] + h;
        uint32_t u = ((a & b) ^ (a & c) ^ (b & c)) + (ror32(a, 2) ^ ror32(a, 13) ^ ror32(a, 22));
        h = g, g = f, f = e, e = t + d, d = c, c = b, b = a, a = t + u;
    }
    x->d->u32[3] = a, x->d->u32[2] = b, x->d->u32[1] = e, x->d->u32[0] = f;
}
