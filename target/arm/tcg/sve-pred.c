/* SPDX-License-Identifier: MIT */
/* SVE: predicates, loops, permutations (DDI 0487, C8.2). */
#include "target/arm/tcg/sve.h"

void sve_test(Sve *s, uint64_t mask, uint64_t result)
{
    result &= mask;
    uint64_t first = mask & -mask, last = mask ? UINT64_C(1) << (63 - __builtin_clzll(mask)) : 0;
    arm_set_nzcv(s->c, (result & first ? 1u << 31 : 0) | (result ? 0 : 1u << 30) | (result & last ? 0 : 1u << 29));
}

unsigned sve_pattern(unsigned pattern, unsigned elements)
{
    static const uint16_t fixed[] = { 1, 2, 3, 4, 5, 6, 7, 8, 16, 32, 64, 128, 256 };
    switch (pattern) {
    case 0: return 1u << (31 - __builtin_clz(elements));
    case 29: return elements - elements % 4;
    case 30: return elements - elements % 3;
    case 31: return elements;
    default: return pattern <= 13 && fixed[pattern - 1] <= elements ? fixed[pattern - 1] : 0;
    }
}
/* The first n elements. */
static uint64_t first_elements(const Sve *s, uint64_t n)
{
    uint64_t bits = n << s->es;
    return n >= sve_elements(s) ? s->all : sve_ones((unsigned)bits) & s->all;
}

/* --- logic: pg governs, imm: sets the flags; es is 0 --- */
static void logic(Sve *s, uint64_t result)
{
    if (s->imm)
        sve_test(s, s->pg, result);
    *sve_pred(s, s->rd) = result;
}
#define PN (*sve_pred(s, s->rn))
#define PM (*sve_pred(s, s->rm))
SVE(PAND) { logic(s, PN & PM & s->pg); }
SVE(PBIC) { logic(s, PN & ~PM & s->pg); }
SVE(PEOR) { logic(s, (PN ^ PM) & s->pg); }
SVE(PORR) { logic(s, (PN | PM) & s->pg); }
SVE(PORN) { logic(s, (PN | ~PM) & s->pg); }
SVE(PNOR) { logic(s, ~(PN | PM) & s->pg); }
SVE(PNAND) { logic(s, ~(PN & PM) & s->pg); }
SVE(PSEL) { logic(s, (PN & s->pg) | (PM & ~s->pg & s->all)); }
SVE(PTEST) { sve_test(s, s->pg, PN); }
SVE(PFALSE) { *sve_pred(s, s->rd) = 0; }
SVE(PTRUE)
{
    uint64_t r = first_elements(s, sve_pattern((unsigned)s->imm, sve_elements(s)));
    *sve_pred(s, s->rd) = r;
    if (s->ra)
        sve_test(s, r, r);
}
SVE(PFIRST)
{
    uint64_t r = *sve_pred(s, s->rd) | (s->pg & -s->pg);
    *sve_pred(s, s->rd) = r;
    sve_test(s, s->pg, r);
}
SVE(PNEXT) /* the governing predicate is taken whole for the test */
{
    uint64_t before = *sve_pred(s, s->rd) & s->all;
    uint64_t after = before ? ~(sve_ones(63 - (unsigned)__builtin_clzll(before)) | before) : ~UINT64_C(0);
    uint64_t candidates = s->pg & after, r = candidates & -candidates;
    *sve_pred(s, s->rd) = r;
    sve_test(s, s->pg, r);
}
SVE(RDFFR) { logic(s, s->c->ffr[0] & s->pg); }
SVE(WRFFR) { s->c->ffr[0] = PN & s->all; }
SVE(SETFFR) { s->c->ffr[0] = s->all; }

/* --- breaks; imm: 1 sets the flags, 2 merges --- */
/* Active elements up to the first active one of pn; itself too if `after`. */
static uint64_t until(uint64_t pg, uint64_t pn, bool after)
{
    uint64_t hit = pg & pn, first = hit & -hit;
    return !hit ? pg : pg & (after ? first | (first - 1) : first - 1);
}
static void break_at(Sve *s, bool after)
{
    uint64_t r = until(s->pg, PN, after);
    if (s->imm & 1)
        sve_test(s, s->pg, r);
    *sve_pred(s, s->rd) = s->imm & 2 ? r | (*sve_pred(s, s->rd) & ~s->pg & s->all) : r;
}
SVE(BRKA) { break_at(s, true); }
SVE(BRKB) { break_at(s, false); }
static bool last_active(uint64_t pg, uint64_t pn) { return pg && pn >> (63 - __builtin_clzll(pg)) & 1; }
SVE(BRKPA) { logic(s, last_active(s->pg, PN) ? until(s->pg, PM, true) : 0); }
SVE(BRKPB) { logic(s, last_active(s->pg, PN) ? until(s->pg, PM, false) : 0); }
SVE(BRKN)
{
    uint64_t r = last_active(s->pg, PN) ? *sve_pred(s, s->rd) & s->all : 0;
    if (s->imm)
        sve_test(s, s->all, r);
    *sve_pred(s, s->rd) = r;
}

/* --- loops --- */
/* imm: 1 unsigned, 2 "less", 4 "or equal" ("greater": strictly), 16: 64 bits. */
SVE(WHILE)
{
    bool uns = s->imm & 1, less = s->imm & 2, eq = s->imm & 4, wide = s->imm & 16;
    uint64_t a = sve_x(s, s->rn), b = sve_x(s, s->rm);
    __int128 n = uns ? (__int128)(wide ? a : (uint32_t)a) : (__int128)(wide ? (int64_t)a : (int32_t)a);
    __int128 m = uns ? (__int128)(wide ? b : (uint32_t)b) : (__int128)(wide ? (int64_t)b : (int32_t)b);
    __int128 limit = uns ? (wide ? (__int128)UINT64_MAX : (__int128)UINT32_MAX)
                         : (wide ? (__int128)INT64_MAX : (__int128)INT32_MAX);
    __int128 least = uns ? 0 : wide ? (__int128)INT64_MIN : (__int128)INT32_MIN;
    /* the condition stays true once it holds for all values there are */
    __int128 count = less ? m - n + eq : n - m + !eq;
    if (less && eq && m == limit)
        count = sve_elements(s);
    if (!less && !eq && m == least)
        count = sve_elements(s);
    uint64_t r = count <= 0 ? 0 : first_elements(s, count > 64 ? 64 : (uint64_t)count);
    if (!less && r != s->all && r) /* downwards: the last elements */
        r = r << (s->bytes - ((unsigned)__builtin_popcountll(r) << s->es));
    sve_test(s, s->all, r);
    *sve_pred(s, s->rd) = r;
}
/* imm: bit 0 NE; 16: 64 bits. N = the condition, V = !N and !C */
SVE(CTERM)
{
    uint64_t a = sve_x(s, s->rn), b = sve_x(s, s->rm), mask = s->imm & 16 ? ~UINT64_C(0) : UINT32_MAX;
    bool equal = (a & mask) == (b & mask), term = s->imm & 1 ? !equal : equal;
    uint32_t nzcv = arm_get_nzcv(s->c), carry = nzcv >> 29 & 1;
    arm_set_nzcv(s->c, (nzcv & 0x60000000) | (term ? 1u << 31 : 0) | (!term && !carry ? 1u << 28 : 0));
}
/* WHILEWR, WHILERW (imm 1): as many elements as do not conflict; all when none would. */
SVE(WHILEP)
{
    uint64_t a = sve_x(s, s->rn), b = sve_x(s, s->rm);
    uint64_t n = (s->imm && a > b ? a - b : b - a) >> s->es;
    uint64_t r = n == 0 || (!s->imm && a >= b) ? s->all : first_elements(s, n);
    sve_test(s, s->all, r);
    *sve_pred(s, s->rd) = r;
}

/* --- permutations of predicates --- */
static uint64_t element(uint64_t p, unsigned i, unsigned es) { return p >> (i << es) & sve_ones(1u << es); }
#define PRED_PERMUTE(id, from_m, index) \
    SVE(id) \
    { \
        uint64_t r = 0, n = PN, m = PM; \
        unsigned count = sve_elements(s), part = (unsigned)s->imm; \
        for (unsigned i = 0; i < count; i++) \
            r |= element((from_m) ? m : n, index, s->es) << (i << s->es); \
        *sve_pred(s, s->rd) = r; \
    }
PRED_PERMUTE(PZIP, i & 1, i / 2 + part * count / 2)
PRED_PERMUTE(PUZP, i >= count / 2, (i % (count / 2)) * 2 + part)
PRED_PERMUTE(PTRN, i & 1, (i & ~1u) + part)
SVE(PREV)
{
    uint64_t r = 0, n = PN;
    for (unsigned i = 0; i < sve_elements(s); i++)
        r |= element(n, i, s->es) << ((sve_elements(s) - 1 - i) << s->es);
    *sve_pred(s, s->rd) = r;
}
SVE(PUNPK)
{
    uint64_t r = 0, n = PN >> (s->imm ? s->bytes / 2 : 0);
    for (unsigned i = 0; i < s->bytes / 2; i++)
        r |= (n >> i & 1) << 2 * i;
    *sve_pred(s, s->rd) = r;
}

/* --- permutations of vectors; es 4: elements of 128 bits --- */
static void move(VecReg *d, unsigned i, const VecReg *from, unsigned k, unsigned es)
{
    memcpy(d->u8 + (i << es), from->u8 + (k << es), 1u << es);
}
/* Elements that come in pairs: with 128 bits, what is left over is zero. */
#define PERMUTE(id, from_m, index) \
    SVE(id) \
    { \
        VecReg r = { 0 }; \
        unsigned count = sve_elements(s) & ~1u, part = (unsigned)s->imm; \
        for (unsigned i = 0; i < count; i++) \
            move(&r, i, (from_m) ? s->m : s->n, index, s->es); \
        sve_set(s, &r); \
    }
PERMUTE(ZIP, i & 1, i / 2 + part * count / 2)
PERMUTE(UZP, i >= count / 2, (i % (count / 2)) * 2 + part)
PERMUTE(TRN, i & 1, (i & ~1u) + part)
SVE(REV)
{
    VecReg r;
    for (unsigned i = 0; i < sve_elements(s); i++)
        move(&r, sve_elements(s) - 1 - i, s->n, i, s->es);
    sve_set(s, &r);
}
SVE(EXT)
{
    uint8_t both[128];
    VecReg r;
    unsigned at = (unsigned)s->imm < s->bytes ? (unsigned)s->imm : 0;
    memcpy(both, s->n, s->bytes);
    memcpy(both + s->bytes, s->m, s->bytes);
    memcpy(&r, both + at, s->bytes);
    sve_set(s, &r);
}
SVE(DUPX)
{
    VecReg r;
    static const VecReg none;
    bool inside = (unsigned)s->imm < sve_elements(s);
    for (unsigned i = 0; i < sve_elements(s); i++)
        move(&r, i, inside ? s->n : &none, inside ? (unsigned)s->imm : 0, s->es);
    sve_set(s, &r);
}
SVE_EACH(DUPR, sve_xsp(s, s->rn))
SVE(CPYV)
{
    uint64_t value = sve_get(s->n, s->es, 0);
    for (unsigned i = 0; i < sve_elements(s); i++)
        if (sve_active(s, i << s->es))
            sve_put(s->d, s->es, i, value);
}
static void insert(Sve *s, uint64_t value)
{
    VecReg r;
    memcpy(r.u8 + s->esize, s->d, s->bytes - s->esize);
    sve_put(&r, s->es, 0, value);
    sve_set(s, &r);
}
SVE(INSR) { insert(s, sve_x(s, s->rm)); }
SVE(INSV) { insert(s, sve_get(s->m, s->es, 0)); }
#define UNPACK(id, get) \
    SVE(id) \
    { \
        VecReg r; \
        for (unsigned i = 0; i < sve_elements(s); i++) \
            sve_put(&r, s->es, i, (uint64_t)get(s->n, s->es - 1, i + (s->imm ? sve_elements(s) : 0))); \
        sve_set(s, &r); \
    }
UNPACK(SUNPK, sve_gets)
UNPACK(UUNPK, sve_get)
SVE(TBL) /* imm: 1 a pair of registers, 2 TBX */
{
    VecReg r;
    const VecReg *table[2] = { s->n, &s->v->v[(s->rn + 1) & 31] };
    uint64_t count = sve_elements(s), size = s->imm == 1 ? 2 * count : count;
    for (unsigned i = 0; i < count; i++) {
        uint64_t at = sve_get(s->m, s->es, i);
        sve_put(&r, s->es, i,
                at < size     ? sve_get(table[at >= count], s->es, (unsigned)(at % count))
                : s->imm == 2 ? sve_get(s->d, s->es, i)
                              : 0);
    }
    sve_set(s, &r);
}
SVE(COMPACT)
{
    VecReg r = { 0 };
    unsigned at = 0;
    for (unsigned i = 0; i < sve_elements(s); i++)
        if (sve_active(s, i << s->es))
            move(&r, at++, s->n, i, s->es);
    sve_set(s, &r);
}
SVE(SPLICE)
{
    VecReg r = { 0 };
    unsigned at = 0, count = sve_elements(s);
    if (s->pg) {
        unsigned first = (unsigned)__builtin_ctzll(s->pg) >> s->es,
                 last = (63 - (unsigned)__builtin_clzll(s->pg)) >> s->es;
        for (unsigned i = first; i <= last; i++)
            move(&r, at++, s->n, i, s->es);
    }
    for (unsigned i = 0; at < count; i++)
        move(&r, at++, s->m, i, s->es);
    sve_set(s, &r);
}
SVE(SEL)
{
    VecReg r;
    for (unsigned i = 0; i < sve_elements(s); i++)
        move(&r, i, sve_active(s, i << s->es) ? s->n : s->m, i, s->es);
    sve_set(s, &r);
}

/* --- the last active element (imm 1), or the one after it; -1: none is active --- */
static int chosen(const Sve *s)
{
    if (!s->pg)
        return -1;
    unsigned last = (63 - (unsigned)__builtin_clzll(s->pg)) >> s->es;
    return (int)(s->imm ? last : (last + 1) % sve_elements(s));
}
/* none active: as if the last (LASTB), or the first (LASTA) element were chosen */
static uint64_t extracted(const Sve *s)
{
    int i = chosen(s);
    return sve_get(s->n, s->es, i < 0 ? (s->imm ? sve_elements(s) - 1 : 0) : (unsigned)i);
}
SVE(LASTV) { sve_set_scalar(s, s->es, extracted(s)); }
SVE(LASTR) { sve_put_x(s, s->rd, extracted(s)); }
SVE(CLASTZ)
{
    int i = chosen(s);
    uint64_t value = i < 0 ? 0 : sve_get(s->m, s->es, (unsigned)i);
    for (unsigned k = 0; i >= 0 && k < sve_elements(s); k++)
        sve_put(s->d, s->es, k, value);
}
SVE(CLASTV)
{
    int i = chosen(s);
    sve_set_scalar(s, s->es, i < 0 ? sve_get(s->d, s->es, 0) : sve_get(s->m, s->es, (unsigned)i));
}
SVE(CLASTR)
{
    int i = chosen(s);
    sve_put_x(s, s->rd, i < 0 ? sve_x(s, s->rd) & sve_ones(8 * s->esize) : sve_get(s->m, s->es, (unsigned)i));
}
