/* SPDX-License-Identifier: MIT */
/* Pointer authentication: QARMA5 and the placement of its result in pointers (DDI 0487, D8.8 and J1.1.3). */
#include <glib.h>
#include "target/arm/system.h"
#include "target/arm/tcg/a64.h"
#include "target/arm/tcg/pauth.h"

enum { ROUNDS = 4, CELLS = 16 };

/* --- QARMA5: 16 cells of 4 bits, cell 0 is bits 3:0 here --- */
static const uint8_t sbox[16] = { 11, 6, 8, 15, 12, 0, 9, 14, 3, 7, 4, 5, 13, 2, 1, 10 };
static const uint8_t inverse_sbox[16] = { 5, 14, 13, 8, 10, 11, 1, 9, 2, 6, 15, 0, 4, 12, 7, 3 };
/* Where a cell of the result comes from. */
static const uint8_t shuffle_from[CELLS] = { 13, 6, 11, 0, 7, 12, 1, 10, 8, 3, 14, 5, 2, 9, 4, 15 };
static const uint8_t tweak_from[CELLS] = { 4, 5, 6, 7, 11, 2, 3, 8, 12, 13, 14, 15, 0, 1, 10, 9 };
/* The tweak's cells that are also stepped. */
static const uint16_t tweak_stepped = 1 << 2 | 1 << 4 | 1 << 7 | 1 << 11 | 1 << 12 | 1 << 14 | 1 << 15;

static unsigned cell(uint64_t value, unsigned n) { return value >> 4 * n & 15; }

static uint64_t substitute(uint64_t value, const uint8_t *box)
{
    uint64_t r = 0;
    for (unsigned n = 0; n < CELLS; n++)
        r |= (uint64_t)box[cell(value, n)] << 4 * n;
    return r;
}

static uint64_t shuffle(uint64_t value, bool inverse)
{
    uint64_t r = 0;
    for (unsigned n = 0; n < CELLS; n++) {
        if (inverse)
            r |= (uint64_t)cell(value, n) << 4 * shuffle_from[n];
        else
            r |= (uint64_t)cell(value, shuffle_from[n]) << 4 * n;
    }
    return r;
}

static unsigned rotate(unsigned c, unsigned n) { return (c << n | c >> (4 - n)) & 15; }

/* Each column times circ(0, r, r^2, r); its own inverse. */
static uint64_t mix(uint64_t value)
{
    uint64_t r = 0;
    for (unsigned column = 0; column < 4; column++) {
        for (unsigned row = 0; row < 4; row++) {
            unsigned sum = 0;
            for (unsigned k = 1; k < 4; k++)
                sum ^= rotate(cell(value, column + 4 * ((row + k) & 3)), k == 2 ? 2 : 1);
            r |= (uint64_t)sum << 4 * (column + 4 * row);
        }
    }
    return r;
}

static unsigned step(unsigned c) { return c >> 1 | ((c ^ c >> 1) & 1) << 3; }

static uint64_t tweak_forward(uint64_t value)
{
    uint64_t r = 0;
    for (unsigned n = 0; n < CELLS; n++) {
        unsigned c = cell(value, tweak_from[n]);
        r |= (uint64_t)(tweak_stepped >> n & 1 ? step(c) : c) << 4 * n;
    }
    return r;
}

/* The linear steps by table: what each byte of the input contributes. */
typedef uint64_t Linear[8][256];
static Linear forward_table, backward_table, tweak_table;
static gsize tables_ready;

static uint64_t forward_step(uint64_t w) { return mix(shuffle(w, false)); }
static uint64_t backward_step(uint64_t w) { return shuffle(mix(w), true); }

static void fill_table(Linear table, uint64_t (*f)(uint64_t))
{
    for (unsigned n = 0; n < 8; n++)
        for (unsigned byte = 0; byte < 256; byte++)
            table[n][byte] = f((uint64_t)byte << 8 * n);
}

static void make_tables(void)
{
    fill_table(forward_table, forward_step);
    fill_table(backward_table, backward_step);
    fill_table(tweak_table, tweak_forward);
}

static uint64_t linear(const Linear table, uint64_t w)
{
    uint64_t r = 0;
    for (unsigned n = 0; n < 8; n++)
        r ^= table[n][w >> 8 * n & 255];
    return r;
}

uint64_t arm_qarma5(uint64_t data, uint64_t tweak, uint64_t key0, uint64_t key1)
{
    static const uint64_t constant[ROUNDS + 1] = { 0, 0x13198a2e03707344, 0xa4093822299f31d0, 0x082efa98ec4e6c89,
                                                   0x452821e638d01377 };
    static const uint64_t alpha = 0xc0ac29b7c97c50dd;
    uint64_t w = data ^ key0, modified_key = (key0 << 63 | key0 >> 1) ^ key0 >> 63, tweaks[ROUNDS + 1];
    if (g_once_init_enter(&tables_ready)) {
        make_tables();
        g_once_init_leave(&tables_ready, 1);
    }
    for (unsigned n = 0; n <= ROUNDS; n++) {
        w ^= key1 ^ tweak ^ constant[n];
        if (n)
            w = linear(forward_table, w);
        w = substitute(w, sbox);
        tweaks[n] = tweak;
        tweak = linear(tweak_table, tweak);
    }
    w = substitute(linear(forward_table, w ^ modified_key ^ tweak), sbox);
    w = linear(forward_table, w) ^ key1;
    w = substitute(shuffle(w, true), inverse_sbox);
    w = linear(backward_table, w) ^ key0 ^ tweak;
    for (unsigned n = 0; n <= ROUNDS; n++) {
        w = substitute(w, inverse_sbox);
        if (n < ROUNDS)
            w = linear(backward_table, w);
        w ^= constant[ROUNDS - n] ^ key1 ^ tweaks[ROUNDS - n] ^ alpha;
    }
    return w ^ modified_key;
}

/* The code that a return checks was made when the function began: results are kept for a while. */
static uint64_t cached_code(uint64_t data, uint64_t modifier, const uint64_t *key)
{
    enum { WAYS = 1024 };
    static _Thread_local struct { uint64_t data, modifier, low, high, code; } cache[WAYS];
    uint64_t h = (data ^ modifier ^ key[0]) * 0x9e3779b97f4a7c15;
    unsigned n = h >> 54 & (WAYS - 1);
    if (cache[n].data == data && cache[n].modifier == modifier && cache[n].low == key[0] && cache[n].high == key[1] &&
        cache[n].code)
        return cache[n].code;
    cache[n].data = data, cache[n].modifier = modifier, cache[n].low = key[0], cache[n].high = key[1];
    return cache[n].code = arm_qarma5(data, modifier, key[1], key[0]);
}

/*
 * ComputePAC by an IMPLEMENTATION DEFINED algorithm (no cipher: a guest's keys protect it from itself only), unless
 * QARMA5 is asked for.
 */
static uint64_t pac(const ArmCpu *c, uint64_t data, uint64_t tweak, uint64_t key0, uint64_t key1)
{
    if (c->has.pauth_qarma5)
        return cached_code(data, tweak, (const uint64_t[]){ key1, key0 });
    uint64_t h = (data ^ key0) * UINT64_C(0x9e3779b97f4a7c15);
    h = ((h ^ h >> 29) + (tweak ^ key1)) * UINT64_C(0xbf58476d1ce4e5b9);
    h = (h ^ h >> 32) * UINT64_C(0x94d049bb133111eb);
    return h ^ h >> 31;
}

/* --- where the code stands in a pointer --- */
typedef struct Layout { unsigned bottom, top; bool tbi, either_tbi, two_ranges; } Layout;

static bool tbi_of(uint64_t tcr, unsigned tbi_bit, unsigned tbid_bit, bool data)
{
    return tcr >> tbi_bit & 1 && (data || !(tcr >> tbid_bit & 1));
}

static Layout layout(const ArmCpu *c, uint64_t ptr, bool data)
{
    Layout l;
    unsigned el = c->el == 0 ? (arm_e2h_host(arm_hcr(c)) ? 2 : 1) : c->el, tsz;
    uint64_t tcr = c->tcr_el[el];
    bool high = ptr >> 55 & 1;
    l.two_ranges = el == 1 || (el == 2 && arm_hcr(c) & HCR_E2H);
    if (l.two_ranges) {
        bool low_tbi = tbi_of(tcr, 37, 51, data), high_tbi = tbi_of(tcr, 38, 52, data);
        l.tbi = high ? high_tbi : low_tbi;
        l.either_tbi = low_tbi || high_tbi;
        tsz = tcr >> (high ? 16 : 0) & 63;
        bool large = high ? (tcr >> 30 & 3) == 3 : (tcr >> 14 & 3) == 1;
        unsigned least = (large && c->has.lva) || (c->has.lpa2 && tcr & BIT(59)) ? 12 : 16;
        tsz = tsz < least ? least : tsz > 48 ? 48 : tsz;
    } else {
        l.tbi = l.either_tbi = tbi_of(tcr, 20, 29, data);
        tsz = tcr & 63;
        unsigned least = ((tcr >> 14 & 3) == 1 && c->has.lva) || (c->has.lpa2 && tcr & BIT(32)) ? 12 : 16;
        tsz = tsz < least ? least : tsz > 48 ? 48 : tsz;
    }
    l.bottom = 64 - tsz;
    l.top = l.tbi ? 55 : 63;
    return l;
}

/* The bits that hold the code: top down to bottom without 55. */
static uint64_t code_bits(const Layout *l) { return (bits_mask(l->top + 1) & ~bits_mask(l->bottom)) & ~BIT(55); }

static uint64_t add_code(const ArmCpu *c, uint64_t ptr, uint64_t modifier, const uint64_t *key, bool data)
{
    Layout l = layout(c, ptr, data);
    bool select = ptr >> (l.either_tbi ? 55 : 63) & 1;
    uint64_t field = bits_mask(l.top + 1) & ~bits_mask(l.bottom), sign = select ? field : 0, bits = code_bits(&l);
    uint64_t code = pac(c, (ptr & ~field) | sign, modifier, key[1], key[0]);
    bool canonical = (ptr & field) == 0 || (ptr & field) == field;
    if (!c->has.pauth2) {
        if (!canonical)
            code ^= BIT(l.top - 1);
        return (ptr & ~field) | (code & bits) | (select ? BIT(55) : 0);
    }
    return (ptr & ~field) | ((ptr ^ code) & bits) | (select ? BIT(55) : 0);
}

static uint64_t check_code(ArmCpu *c, uint64_t ptr, uint64_t modifier, const uint64_t *key, bool data, bool key_b,
                           bool combined)
{
    Layout l = layout(c, ptr, data);
    bool select = ptr >> 55 & 1;
    uint64_t field = bits_mask(l.top + 1) & ~bits_mask(l.bottom), sign = select ? field : 0, bits = code_bits(&l);
    uint64_t plain = (ptr & ~field) | sign, code = pac(c, plain, modifier, key[1], key[0]);
    if (c->has.pauth2) {
        uint64_t r = (ptr & ~bits) | ((ptr ^ code) & bits);
        c->fpac_failed = c->has.fpac && !combined && (r & field) != sign ? (uint8_t)(4 | data << 1 | key_b) : 0;
        return r;
    }
    if (!((ptr ^ code) & bits))
        return plain;
    return bits_set(plain, l.tbi ? 53 : 61, 2, key_b ? 2 : 1);
}

/* --- traps (HCR_EL2.API, SCR_EL3.API) and enables (SCTLR.EnIA ...) --- */
static void check_traps(ArmCpu *c)
{
    uint64_t hcr = arm_hcr(c);
    if (c->el < 2 && arm_el2_enabled(c) && !(hcr & HCR_API) && !(c->el == 0 && arm_e2h_host(hcr)))
        arm_raise(c, EC_PAUTH, 0, 2);
    if (c->has.el3 && c->el < 3 && !(c->scr_el3 & SCR_API))
        arm_raise(c, EC_PAUTH, 0, 3);
}

uint64_t arm_help_pauth(Vcpu *v, uint64_t ptr, uint64_t modifier, uint64_t what)
{
    static const uint8_t enable_bit[4] = { 31, 30, 27, 13 };
    ArmCpu *c = arm_cpu(v);
    unsigned key = what & 3;
    c->fpac_failed = 0;
    if (!(arm_sctlr(c) >> enable_bit[key] & 1))
        return ptr;
    check_traps(c);
    if (what & PAUTH_CHECK)
        return check_code(c, ptr, modifier, c->ap_keys[key], key >= PAUTH_DA, key & 1, what & PAUTH_COMBINED);
    return add_code(c, ptr, modifier, c->ap_keys[key], key >= PAUTH_DA);
}

ARM_HELPER_VOID(fpac) { arm_raise(arm_cpu(v), EC_FPAC, arm_cpu(v)->fpac_failed & 3, 0); }

uint64_t arm_help_pacga(Vcpu *v, uint64_t value, uint64_t modifier, uint64_t unused)
{
    ArmCpu *c = arm_cpu(v);
    check_traps(c);
    return pac(c, value, modifier, c->ap_keys[4][1], c->ap_keys[4][0]) & ~UINT64_C(0xffffffff);
}

uint64_t arm_help_xpac(Vcpu *v, uint64_t ptr, uint64_t data, uint64_t unused)
{
    Layout l = layout(arm_cpu(v), ptr, data);
    uint64_t field = bits_mask(l.top + 1) & ~bits_mask(l.bottom);
    return ptr >> 55 & 1 ? ptr | field : ptr & ~field;
}
