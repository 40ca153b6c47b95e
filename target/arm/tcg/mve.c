/* SPDX-License-Identifier: MIT */
/* M-profile vector extension (DDI 0553): the rows of table mve, executed whole: the translation is one call of arm_help_a32_mve(),
 * which runs the row's function on the CPU's registers (all four beats at once; predication by a mask of bytes). */
#include "accel/tcg/simd.h"
#include "target/arm/tcg/a32-fp.h"
#include "target/arm/tcg/mve.decode.h"

#define M(name) void arm_mve_##name(ArmTrans *x, const A32Insn *i)
#define Q(n) (&x->c->v.v[(n) & 7])
#define REG(n) (x->c->v.g[(n) & 15])

/* --- predication (DDI 0553, GetCurInstrBeat() and VPTAdvance()) --- */
static unsigned vpt_masks(const ArmCpu *c) { return c->vpr >> 16 & 0xff; }

/* Bit n: byte n is written. */
static uint16_t active(const ArmCpu *c)
{
    unsigned mask = c->vpr & 0xffff, vpt = vpt_masks(c);
    mask |= vpt & 0x0f ? 0 : 0x00ff;
    mask |= vpt & 0xf0 ? 0 : 0xff00;
    uint32_t left = (uint32_t)c->v.g[14];
    if (c->ltpsize < 4 && left < 16u >> c->ltpsize)
        mask &= (1u << (left << c->ltpsize)) - 1;
    return (uint16_t)mask;
}

static void advance(ArmCpu *c)
{
    unsigned vpt = vpt_masks(c), low = vpt & 15, high = vpt >> 4;
    if (!vpt)
        return;
    if (low > 8)
        c->vpr ^= 0x00ff;
    if (high > 8)
        c->vpr ^= 0xff00;
    c->vpr = (c->vpr & 0xffff) | (low << 1 & 15) << 16 | (high << 1 & 15) << 20;
}

static void begin_vpt(ArmTrans *x, unsigned mask) { x->c->vpr = (x->c->vpr & 0xffff) | mask << 16 | mask << 20; }

ARM_HELPER_VOID(a32_mve)
{
    ArmCpu *c = arm_cpu(v);
    ArmTrans x = { .c = c, .has = &c->has, .mode = v->mode };
    ((const ArmRow *)(uintptr_t)b)->emit(&x, (uint32_t)a);
    if (!x.it_stored) /* VPT and VPST begin a block of their own */
        advance(c);
    if (c->vpr >> 16 & 0xff)
        c->vpr &= 0x00ffffff;
}

/* --- lanes --- */
static uint64_t get(const VecReg *r, unsigned es, unsigned n)
{
    switch (es) {
    case 1: return r->u8[n];
    case 2: return r->u16[n];
    case 4: return r->u32[n];
    default: return r->u64[n];
    }
}
static int64_t get_s(const VecReg *r, unsigned es, unsigned n)
{
    return es == 8 ? r->s64[n] : es == 4 ? r->s32[n] : es == 2 ? r->s16[n] : r->s8[n];
}
static int64_t lane_of(const VecReg *r, unsigned es, unsigned n, bool is_unsigned) { return is_unsigned ? (int64_t)get(r, es, n) : get_s(r, es, n); }
static void set(VecReg *r, unsigned es, unsigned n, uint64_t value)
{
    switch (es) {
    case 1: r->u8[n] = (uint8_t)value; break;
    case 2: r->u16[n] = (uint16_t)value; break;
    case 4: r->u32[n] = (uint32_t)value; break;
    default: r->u64[n] = value;
    }
}
static bool lane_on(uint16_t mask, unsigned es, unsigned n) { return mask >> (n * es) & 1; }

static void merge(VecReg *d, const VecReg *r, uint16_t mask)
{
    for (unsigned n = 0; n < 16; n++)
        if (mask >> n & 1)
            d->u8[n] = r->u8[n];
}

/* Bytes that are off are zero: they give neither saturation nor FP exceptions. */
static VecReg masked(const VecReg *r, uint16_t mask)
{
    VecReg m = { 0 };
    if (r)
        merge(&m, r, mask);
    return m;
}

static VecReg all_lanes(uint64_t value, unsigned es)
{
    VecReg r = { 0 };
    for (unsigned n = 0; n < 16 / es; n++)
        set(&r, es, n, value);
    return r;
}

/* d = row(a, b, c) under the predicate. */
static void run(ArmTrans *x, const A32Insn *i, unsigned row, const VecReg *a, const VecReg *b, const VecReg *c, uint64_t imm)
{
    uint16_t mask = active(x->c);
    bool split = mask != 0xffff;
    VecReg ma = split ? masked(a, mask) : (VecReg){ 0 }, mb = split ? masked(b, mask) : ma, mc = split ? masked(c, mask) : ma;
    static const VecReg zero;
    SimdArgs s = { .v = &x->c->v, .es = 1u << i->size, .bytes = 16, .imm = imm, .standard = simd_kind[row] == 'F',
                   .a = split ? &ma : a ? a : &zero, .b = split ? &mb : b ? b : &zero, .c = split ? &mc : c ? c : &zero };
    simd_fn[row](&s);
    merge(Q(i->vd), &s.d, mask);
}

M(mve3) { run(x, i, (unsigned)i->op, Q(i->vn), Q(i->vm), NULL, 0); }
M(mve3acc) { run(x, i, (unsigned)i->op, Q(i->vn), Q(i->vm), Q(i->vd), 0); }
M(mve3s) { run(x, i, (unsigned)i->op, Q(i->vm), Q(i->vn), NULL, 0); } /* shifts: Qm by Qn */
M(mve2) { run(x, i, (unsigned)i->op, Q(i->vm), NULL, NULL, (uint64_t)i->imm); }
M(mve3r)
{
    VecReg m = all_lanes(REG(i->rm), 1u << i->size);
    run(x, i, (unsigned)i->op, Q(i->vn), &m, NULL, 0);
}
M(mve_shr) /* Qda by Rm */
{
    VecReg m = all_lanes(REG(i->rm), 1u << i->size);
    run(x, i, (unsigned)i->op, Q(i->vd), &m, NULL, 0);
}
M(mve_shift_l) { run(x, i, (unsigned)i->op, Q(i->vm), NULL, i->h ? Q(i->vd) : NULL, (uint64_t)i->imm); }
M(mve_shift_r) { run(x, i, (unsigned)i->op, Q(i->vm), NULL, i->h ? Q(i->vd) : NULL, (8u << i->size) - (unsigned)i->imm); }

M(mve_mla) /* op: 0 VMLA Qda + Qn * Rm, 1 VMLAS Qda * Qn + Rm */
{
    VecReg m = all_lanes(REG(i->rm), 1u << i->size);
    run(x, i, SIMD_MLA, Q(i->vn), i->op ? Q(i->vd) : &m, i->op ? &m : Q(i->vd), 0);
}
M(mve_fma)
{
    VecReg m = all_lanes(REG(i->rm), 1u << i->size);
    run(x, i, SIMD_FMLA, Q(i->vn), i->op ? Q(i->vd) : &m, i->op ? &m : Q(i->vd), 0);
}

/* --- lane by lane --- */
typedef uint64_t LaneFn(int64_t a, int64_t b, const A32Insn *i, unsigned bits);

static void lanes(ArmTrans *x, const A32Insn *i, LaneFn *fn, const VecReg *a, const VecReg *b)
{
    unsigned es = 1u << i->size;
    VecReg r = { 0 };
    for (unsigned n = 0; n < 16 / es; n++)
        set(&r, es, n, fn(lane_of(a, es, n, i->u), lane_of(b, es, n, i->u), i, 8 * es));
    merge(Q(i->vd), &r, active(x->c));
}

static uint64_t mulh(int64_t a, int64_t b, const A32Insn *i, unsigned bits)
{
    uint64_t p = (uint64_t)a * (uint64_t)b, half = i->op ? UINT64_C(1) << (bits - 1) : 0;
    return i->u ? (p + half) >> bits : (uint64_t)((int64_t)(p + half) >> bits);
}
M(mve_mulh) { lanes(x, i, mulh, Q(i->vn), Q(i->vm)); }

static uint64_t brsr(int64_t a, int64_t b, const A32Insn *i, unsigned bits)
{
    unsigned width = (unsigned)b & 0xff;
    uint64_t r = 0;
    for (unsigned n = 0; n < bits && n < width; n++)
        r |= ((uint64_t)a >> n & 1) << (MIN(width, bits) - 1 - n);
    return r;
}
M(mve_brsr)
{
    VecReg m = all_lanes(REG(i->rm), 1u << i->size);
    lanes(x, i, brsr, Q(i->vn), &m);
}

/* Lanes of 2 * es from the bottom (h 0) or top lanes of es. */
M(mve_mull)
{
    unsigned es = 1u << i->size;
    VecReg r = { 0 };
    for (unsigned n = 0; n < 8 / es; n++)
        set(&r, 2 * es, n, (uint64_t)lane_of(Q(i->vn), es, 2 * n + (unsigned)i->h, i->u) * (uint64_t)lane_of(Q(i->vm), es, 2 * n + (unsigned)i->h, i->u));
    merge(Q(i->vd), &r, active(x->c));
}
M(mve_movl)
{
    unsigned es = 1u << i->size;
    VecReg r = { 0 };
    for (unsigned n = 0; n < 8 / es; n++)
        set(&r, 2 * es, n, (uint64_t)lane_of(Q(i->vm), es, 2 * n + (unsigned)i->h, i->u));
    merge(Q(i->vd), &r, active(x->c));
}

static int64_t saturate(ArmTrans *x, int64_t v, int64_t low, int64_t high)
{
    if (v >= low && v <= high)
        return v;
    x->c->v.fp_more |= FP_MORE_QC;
    return v < low ? low : high;
}

/* size: of the result; bottom or top halves are written. op: 0 plain, 1 signed, 2 unsigned, 3 signed to unsigned saturation */
static void narrow(ArmTrans *x, const A32Insn *i, unsigned op, unsigned shift, bool round)
{
    unsigned es = 1u << i->size, bits = 8 * es;
    uint16_t mask = active(x->c);
    for (unsigned n = 0; n < 8 / es; n++) {
        unsigned to = 2 * n + (unsigned)i->h;
        if (!lane_on(mask, es, to))
            continue;
        int64_t v = lane_of(Q(i->vm), 2 * es, n, op == 2);
        v = (v + (round && shift ? INT64_C(1) << (shift - 1) : 0)) >> shift;
        if (op == 1)
            v = saturate(x, v, -(INT64_C(1) << (bits - 1)), (INT64_C(1) << (bits - 1)) - 1);
        else if (op)
            v = saturate(x, v, 0, (INT64_C(1) << bits) - 1);
        set(Q(i->vd), es, to, (uint64_t)v);
    }
}
M(mve_movn) { narrow(x, i, (unsigned)i->op, 0, false); }
M(mve_shrn) { narrow(x, i, 0, (8u << i->size) - (unsigned)i->imm, i->op == 4); }

/* --- comparisons: op EQ NE CS HI GE LT GT LE; a mask makes them VPT --- */
static void compared(ArmTrans *x, const A32Insn *i, uint16_t p)
{
    uint16_t mask = active(x->c);
    x->c->vpr = (x->c->vpr & ~0xffffu) | (p & mask);
    if (i->mask) {
        begin_vpt(x, (unsigned)i->mask);
        x->it_stored = true;
    }
}

static bool holds(unsigned op, int64_t a, int64_t b, uint64_t ua, uint64_t ub)
{
    switch (op) {
    case 0: return a == b;
    case 1: return a != b;
    case 2: return ua >= ub;
    case 3: return ua > ub;
    case 4: return a >= b;
    case 5: return a < b;
    case 6: return a > b;
    default: return a <= b;
    }
}

static void compare(ArmTrans *x, const A32Insn *i, const VecReg *b)
{
    unsigned es = 1u << i->size, p = 0;
    for (unsigned n = 0; n < 16 / es; n++)
        if (holds((unsigned)i->op, get_s(Q(i->vn), es, n), get_s(b, es, n), get(Q(i->vn), es, n), get(b, es, n)))
            p |= ((1u << es) - 1) << (n * es);
    compared(x, i, (uint16_t)p);
}
M(mve_cmp) { compare(x, i, Q(i->vm)); }

static VecReg scalar(ArmTrans *x, const A32Insn *i) { return all_lanes(i->rm == 15 ? 0 : REG(i->rm), 1u << i->size); }
M(mve_cmpr)
{
    VecReg m = scalar(x, i);
    compare(x, i, &m);
}

static void fcompare(ArmTrans *x, const A32Insn *i, const VecReg *b)
{
    static const struct { uint8_t row; bool swap, invert; } how[8] = {
        [0] = { SIMD_FCMEQ - SIMD_FCMEQ, false, false }, [1] = { 0, false, true }, [4] = { SIMD_FCMGE - SIMD_FCMEQ, false, false },
        [5] = { SIMD_FCMGE - SIMD_FCMEQ, false, true }, [6] = { SIMD_FCMGT - SIMD_FCMEQ, false, false },
        [7] = { SIMD_FCMGT - SIMD_FCMEQ, false, true },
    };
    unsigned es = 1u << i->size, p = 0;
    uint16_t mask = active(x->c);
    VecReg ma = masked(Q(i->vn), mask), mb = masked(b, mask);
    static const VecReg zero;
    SimdArgs s = { .v = &x->c->v, .es = es, .bytes = 16, .standard = true, .a = &ma, .b = &mb, .c = &zero };
    simd_fn[SIMD_FCMEQ + how[i->op].row](&s);
    for (unsigned n = 0; n < 16; n++)
        p |= (unsigned)((s.d.u8[n] != 0) != how[i->op].invert) << n;
    compared(x, i, (uint16_t)p);
}
M(mve_fcmp) { fcompare(x, i, Q(i->vm)); }
M(mve_fcmpr)
{
    VecReg m = scalar(x, i);
    fcompare(x, i, &m);
}

M(mve_pst)
{
    begin_vpt(x, (unsigned)i->mask);
    x->it_stored = true;
}
M(mve_pnot)
{
    uint16_t mask = active(x->c);
    x->c->vpr = (x->c->vpr & ~0xffffu) | (~x->c->vpr & mask & 0xffff);
}
M(mve_psel)
{
    VecReg r;
    for (unsigned n = 0; n < 16; n++)
        r.u8[n] = x->c->vpr >> n & 1 ? Q(i->vn)->u8[n] : Q(i->vm)->u8[n];
    merge(Q(i->vd), &r, active(x->c));
}
M(mve_ctp)
{
    uint16_t mask = active(x->c);
    uint32_t count = (uint32_t)REG(i->rn), all = 16u >> i->size;
    unsigned p = count < all ? (1u << (count << i->size)) - 1 : 0xffff;
    x->c->vpr = (x->c->vpr & ~0xffffu) | (p & mask);
}

/* --- reductions; h: with accumulation. Even registers are 2 * field --- */
M(mve_addv)
{
    unsigned es = 1u << i->size;
    uint16_t mask = active(x->c);
    uint32_t sum = i->h ? (uint32_t)REG(i->rd) : 0;
    for (unsigned n = 0; n < 16 / es; n++)
        if (lane_on(mask, es, n))
            sum += (uint32_t)lane_of(Q(i->vm), es, n, i->u);
    REG(i->rd) = sum;
}
M(mve_maxv) /* op: minimum */
{
    unsigned es = 1u << i->size;
    uint16_t mask = active(x->c);
    int64_t best = (int64_t)((uint64_t)REG(i->rd) << (64 - 8 * es)) >> (64 - 8 * es);
    if (i->u)
        best = (int64_t)((uint64_t)REG(i->rd) & bits_mask(8 * es));
    for (unsigned n = 0; n < 16 / es; n++) {
        int64_t v = lane_of(Q(i->vm), es, n, i->u);
        if (lane_on(mask, es, n))
            best = i->op ? MIN(best, v) : MAX(best, v);
    }
    REG(i->rd) = (uint32_t)best;
}
M(mve_fmaxv)
{
    unsigned es = 1u << i->size;
    uint16_t mask = active(x->c);
    static const VecReg zero;
    VecReg best = { .u64 = { REG(i->rd) & bits_mask(8 * es) } };
    for (unsigned n = 0; n < 16 / es; n++) {
        if (!lane_on(mask, es, n))
            continue;
        VecReg v = { .u64 = { get(Q(i->vm), es, n) } };
        SimdArgs s = { .v = &x->c->v, .es = es, .bytes = es, .standard = true, .a = &best, .b = &v, .c = &zero };
        simd_fn[i->op](&s);
        best = s.d;
    }
    REG(i->rd) = (uint32_t)best.u64[0];
}
static uint64_t dot(ArmTrans *x, const A32Insn *i)
{
    unsigned es = 1u << i->size;
    uint16_t mask = active(x->c);
    uint64_t sum = 0;
    for (unsigned n = 0; n < 16 / es; n++)
        if (lane_on(mask, es, n))
            sum += (uint64_t)lane_of(Q(i->vn), es, n, i->u) * (uint64_t)lane_of(Q(i->vm), es, n, i->u);
    return sum;
}
M(mve_mladav) { REG(i->rd) = (uint32_t)(dot(x, i) + (i->h ? REG(i->rd) : 0)); }
M(mve_mlaldav) /* rt: the odd register's number less 1 */
{
    unsigned hi = (unsigned)i->rt + 1;
    uint64_t sum = dot(x, i) + (i->h ? REG(hi) << 32 | (uint32_t)REG(i->rd) : 0);
    REG(i->rd) = (uint32_t)sum;
    REG(hi) = (uint32_t)(sum >> 32);
}

/* --- sequences --- */
M(mve_idup) /* op: down; imm: logarithm of the step */
{
    unsigned es = 1u << i->size;
    uint32_t v = (uint32_t)REG(i->rn), step = 1u << i->imm;
    VecReg r = { 0 };
    for (unsigned n = 0; n < 16 / es; n++, v = i->op ? v - step : v + step)
        set(&r, es, n, v);
    merge(Q(i->vd), &r, active(x->c));
    REG(i->rn) = v;
}
M(mve_iwdup) /* wraps at Rm (odd) */
{
    unsigned es = 1u << i->size;
    uint32_t v = (uint32_t)REG(i->rn), step = 1u << i->imm, wrap = (uint32_t)REG(i->rm + 1);
    VecReg r = { 0 };
    for (unsigned n = 0; n < 16 / es; n++) {
        set(&r, es, n, v);
        if (i->op)
            v = (v ? v : wrap) - step;
        else
            v = v + step == wrap ? 0 : v + step;
    }
    merge(Q(i->vd), &r, active(x->c));
    REG(i->rn) = v;
}

/* --- immediates, moves --- */
static uint64_t repeat(uint64_t v, unsigned es)
{
    for (; es < 8; es *= 2)
        v |= v << 8 * es;
    return v;
}
M(mve_imm)
{
    unsigned cmode = (unsigned)i->cmode, imm8 = (unsigned)i->imm;
    uint64_t v = imm8;
    if (cmode < 8)
        v = repeat(v << 8 * (cmode >> 1 & 3), 4);
    else if (cmode < 12)
        v = repeat(v << 8 * (cmode >> 1 & 1), 2);
    else if (cmode < 14)
        v = repeat(cmode & 1 ? v << 16 | 0xffff : v << 8 | 0xff, 4);
    else if (cmode == 15)
        v = repeat((v & 0x80) << 24 | (v & 0x40 ? 0x3e000000u : 0x40000000u) | (v & 0x3f) << 19, 4);
    else if (!i->op)
        v = repeat(v, 1);
    else
        for (unsigned k = 0; k < 8; k++)
            v = (v & ~(UINT64_C(0xff) << 8 * k)) | (imm8 >> k & 1 ? UINT64_C(0xff) << 8 * k : 0);
    VecReg r = { .u64 = { v, v } };
    if (cmode < 12 && cmode & 1) {
        for (unsigned n = 0; n < 2; n++)
            r.u64[n] = i->op ? Q(i->vd)->u64[n] & ~v : Q(i->vd)->u64[n] | v;
    } else if (i->op && cmode < 14) {
        r.u64[0] = r.u64[1] = ~v;
    }
    merge(Q(i->vd), &r, active(x->c));
}
M(mve_mov2) /* x: lanes x and x + 2; op: to the core registers */
{
    if (i->op) {
        REG(i->rt) = Q(i->vd)->u32[i->x];
        REG(i->rt2) = Q(i->vd)->u32[i->x + 2];
    } else {
        Q(i->vd)->u32[i->x] = (uint32_t)REG(i->rt);
        Q(i->vd)->u32[i->x + 2] = (uint32_t)REG(i->rt2);
    }
    x->it_stored = true; /* not predicated, no beat of a VPT block */
}

/* LSLL, LSRL, ASRL: RdHi is rt + 1. Amounts from registers may be negative: the other way. */
M(long_shift)
{
    unsigned hi = (unsigned)i->rt + 1;
    uint64_t v = REG(hi) << 32 | (uint32_t)REG(i->rd);
    int amount = i->h ? (int8_t)REG(i->rm) : i->imm ? i->imm : 32;
    bool left = i->op == 0;
    if (amount < 0) {
        amount = -amount;
        left = !left;
    }
    if (left)
        v = amount > 63 ? 0 : v << amount;
    else if (i->op == 1 || (i->op == 0 && i->h))
        v = amount > 63 ? 0 : v >> amount;
    else
        v = (uint64_t)((int64_t)v >> MIN(amount, 63));
    REG(i->rd) = (uint32_t)v;
    REG(hi) = (uint32_t)(v >> 32);
    x->it_stored = true;
}

/* --- memory; type: logarithm of the access, size: of the element --- */
static void move_lane(ArmTrans *x, bool load, uint32_t at, unsigned bytes, bool sgn, VecReg *d, unsigned es, unsigned n)
{
    Vcpu *v = &x->c->v;
    unsigned bank = arm_mode_bank(v->mode);
    if (!load) {
        guest_store(v, at, bytes, get(d, es, n) & bits_mask(8 * bytes), bank);
        return;
    }
    uint64_t value = guest_load(v, at, bytes, bank);
    if (sgn)
        value = (uint64_t)((int64_t)(value << (64 - 8 * bytes)) >> (64 - 8 * bytes));
    set(d, es, n, value);
}

/* Alignment is to the access's size, always. */
static void check_aligned(ArmTrans *x, uint32_t at, unsigned bytes, bool load)
{
    if (!(at & (bytes - 1)))
        return;
    x->c->v.arch->misaligned(&x->c->v, at, load ? ACCESS_READ : ACCESS_WRITE, bytes);
    vcpu_unwind(&x->c->v);
}

M(mve_ldst)
{
    unsigned es = 1u << i->size, bytes = 1u << i->type;
    uint16_t mask = active(x->c);
    uint32_t base = (uint32_t)REG(i->rn), offset = (uint32_t)i->imm << i->type, moved = i->u ? base + offset : base - offset;
    uint32_t at = i->p ? moved : base;
    VecReg r = { 0 };
    check_aligned(x, at, bytes, i->l);
    for (unsigned n = 0; n < 16 / es; n++, at += bytes)
        if (lane_on(mask, es, n))
            move_lane(x, i->l, at, bytes, i->sgn && bytes != es, i->l ? &r : Q(i->vd), es, n);
    if (i->l) /* lanes that are off become zero */
        *Q(i->vd) = r;
    if (i->w)
        REG(i->rn) = moved;
}
M(mve_gather) /* amount: scale of the offsets */
{
    unsigned es = 1u << i->size, bytes = 1u << i->type;
    uint16_t mask = active(x->c);
    VecReg r = { 0 };
    for (unsigned n = 0; n < 16 / es; n++) {
        uint32_t at = (uint32_t)REG(i->rn) + ((uint32_t)get(Q(i->vm), es, n) << i->amount);
        if (!lane_on(mask, es, n))
            continue;
        check_aligned(x, at, MIN(bytes, 4), i->l);
        move_lane(x, i->l, at, bytes, i->sgn && bytes != es, i->l ? &r : Q(i->vd), es, n);
    }
    if (i->l)
        *Q(i->vd) = r;
}
M(mve_vbase) /* [Qm, #imm]; w: Qm is written back */
{
    unsigned es = 1u << i->size;
    uint16_t mask = active(x->c);
    uint32_t offset = (uint32_t)i->imm << i->size;
    VecReg r = { 0 }, bases = *Q(i->vm);
    for (unsigned n = 0; n < 16 / es; n++) {
        uint32_t at = (uint32_t)get(Q(i->vm), es, n) + (i->u ? offset : -offset);
        if (!lane_on(mask, es, n))
            continue;
        check_aligned(x, at, 4, i->l);
        move_lane(x, i->l, at, es, false, i->l ? &r : Q(i->vd), es, n);
        set(&bases, es, n, at);
    }
    if (i->l)
        *Q(i->vd) = r;
    if (i->w)
        *Q(i->vm) = bases;
}

/* VLD2n, VLD4n, VST2n, VST4n: a quarter (half) of the structures each; x: structure size, y: which part (DDI 0553, VLD2, VLD4). */
static unsigned part_of(unsigned structure, unsigned part, unsigned beat)
{
    static const uint8_t of4[4][4] = { { 0, 1, 10, 11 }, { 2, 3, 12, 13 }, { 4, 5, 14, 15 }, { 6, 7, 8, 9 } };
    static const uint8_t of2[2][4] = { { 0, 1, 6, 7 }, { 2, 3, 4, 5 } };
    return structure == 4 ? of4[part][beat] : of2[part][beat];
}
M(mve_ilv)
{
    unsigned es = 1u << i->size, structure = (unsigned)i->x;
    uint32_t base = (uint32_t)REG(i->rn);
    VecReg r[4];
    for (unsigned n = 0; n < structure; n++)
        r[n] = *Q(i->vd + (int)n);
    check_aligned(x, base, 4, i->l);
    for (unsigned beat = 0; beat < 4; beat++) {
        unsigned word = part_of(structure, (unsigned)i->y, beat);
        for (unsigned at = 4 * word; at < 4 * word + 4; at += es) {
            unsigned element = at / es;
            move_lane(x, i->l, base + at, es, false, &r[element % structure], es, element / structure);
        }
    }
    for (unsigned n = 0; n < structure && i->l; n++)
        *Q(i->vd + (int)n) = r[n];
    if (i->w)
        REG(i->rn) = base + 16 * structure;
    x->it_stored = true;
}

/* --- translation --- */
void a32_mve_insn(ArmTrans *x, const ArmRow *row, uint32_t w)
{
    if (strcmp(row->emitter, "long_shift") && !a32_fp_usable(x, false))
        return;
    arm_call(x, arm_help_a32_mve, H_R, IR_NONE, A_IMM(w), A_IMM((uintptr_t)row), A_NONE);
}
