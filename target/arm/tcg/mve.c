/* SPDX-License-Identifier: MIT */
/* M-profile vector extension (DDI 0553): the rows of table mve, executed whole: the translation is one call of
 * arm_help_a32_mve(), which runs the row's function on the CPU's registers (all four beats at once; predication by a
 * mask of bytes). */
#include "target/arm/tcg/mve.h"

/* --- predication (DDI 0553, GetCurInstrBeat() and VPTAdvance()) --- */
static unsigned vpt_masks(const ArmCpu *c) { return c->vpr >> 16 & 0xff; }

uint16_t mve_active(const ArmCpu *c)
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

/* Bytes that are off are zero: they give neither saturation nor FP exceptions. */
static VecReg masked(const VecReg *r, uint16_t mask)
{
    VecReg m = { 0 };
    merge(&m, r, mask);
    return m;
}

static VecReg run_row(ArmTrans *x, const A32Insn *i, unsigned row, const VecReg *a, const VecReg *b, const VecReg *c,
                      uint64_t imm)
{
    SimdArgs s = { .v = &x->c->v,
                   .es = 1u << i->size,
                   .bytes = 16,
                   .imm = imm,
                   .standard = simd_kind[row] == 'F',
                   .a = a,
                   .b = b,
                   .c = c };
    simd_fn[row](&s);
    return s.d;
}

/* row(a, b, c); lanes that don't count leave no flags. */
static VecReg predicated(ArmTrans *x, const A32Insn *i, unsigned row, const VecReg *a, const VecReg *b, const VecReg *c,
                         uint64_t imm)
{
    static const VecReg zero;
    Vcpu *v = &x->c->v;
    unsigned es = 1u << i->size, counted = 0;
    uint16_t mask = mve_active(x->c);
    a = a ? a : &zero, b = b ? b : &zero, c = c ? c : &zero;
    for (unsigned n = 0; n < 16 / es; n++)
        counted |= lane_on(mask, es, n) ? ((1u << es) - 1) << (n * es) : 0;
    uint32_t control = v->fp_control, more = v->fp_more;
    VecReg r = run_row(x, i, row, a, b, c, imm);
    if (counted != 0xffff) { /* flags again, of the lanes that count */
        v->fp_control = control, v->fp_more = more;
        VecReg ma = masked(a, (uint16_t)counted), mb = masked(b, (uint16_t)counted), mc = masked(c, (uint16_t)counted);
        run_row(x, i, row, &ma, &mb, &mc, imm);
    }
    return r;
}

static void run(ArmTrans *x, const A32Insn *i, unsigned row, const VecReg *a, const VecReg *b, const VecReg *c,
                uint64_t imm)
{
    VecReg r = predicated(x, i, row, a, b, c, imm);
    merge(Q(i->vd), &r, mve_active(x->c));
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
M(mve_shift_r)
{
    run(x, i, (unsigned)i->op, Q(i->vm), NULL, i->h ? Q(i->vd) : NULL, (8u << i->size) - (unsigned)i->imm);
}

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
    merge(Q(i->vd), &r, mve_active(x->c));
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
        set(&r, 2 * es, n,
            (uint64_t)lane_of(Q(i->vn), es, 2 * n + (unsigned)i->h, i->u) *
                (uint64_t)lane_of(Q(i->vm), es, 2 * n + (unsigned)i->h, i->u));
    merge(Q(i->vd), &r, mve_active(x->c));
}
M(mve_movl) /* imm: VSHLL's shift */
{
    unsigned es = 1u << i->size;
    VecReg r = { 0 };
    for (unsigned n = 0; n < 8 / es; n++)
        set(&r, 2 * es, n, (uint64_t)lane_of(Q(i->vm), es, 2 * n + (unsigned)i->h, i->u) << i->imm);
    merge(Q(i->vd), &r, mve_active(x->c));
}

static int64_t saturate(ArmTrans *x, int64_t v, int64_t low, int64_t high, bool counts)
{
    if (v >= low && v <= high)
        return v;
    x->c->v.fp_more |= counts ? FP_MORE_QC : 0;
    return v < low ? low : high;
}

/*
 * size: of the result; bottom or top halves are written. op: 0 plain, 1 signed, 2 unsigned, 3 signed to unsigned
 * saturation
 */
static void narrow(ArmTrans *x, const A32Insn *i, unsigned op, unsigned shift, bool round)
{
    unsigned es = 1u << i->size, bits = 8 * es;
    uint16_t mask = mve_active(x->c), odd = es == 1 ? 0xaaaa : 0xcccc;
    VecReg r = { 0 };
    for (unsigned n = 0; n < 8 / es; n++) {
        unsigned to = 2 * n + (unsigned)i->h;
        bool counts = lane_on(mask, es, to);
        int64_t v = lane_of(Q(i->vm), 2 * es, n, op == 2);
        v = (v + (round && shift ? INT64_C(1) << (shift - 1) : 0)) >> shift;
        if (op == 1)
            v = saturate(x, v, -(INT64_C(1) << (bits - 1)), (INT64_C(1) << (bits - 1)) - 1, counts);
        else if (op)
            v = saturate(x, v, 0, (INT64_C(1) << bits) - 1, counts);
        set(&r, es, to, (uint64_t)v);
    }
    merge(Q(i->vd), &r, mask & (i->h ? odd : (uint16_t)~odd));
}
M(mve_movn) { narrow(x, i, (unsigned)i->op, 0, false); }
M(mve_shrn) { narrow(x, i, (unsigned)i->op & 3, (8u << i->size) - (unsigned)i->imm, i->op & 4); } /* op & 4: round */

/* --- comparisons: op EQ NE CS HI GE LT GT LE; a mask makes them VPT --- */
static void compared(ArmTrans *x, const A32Insn *i, uint16_t p)
{
    uint16_t mask = mve_active(x->c);
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
    static const struct { uint8_t row; bool swap, invert;
    } how[8] = {
        [0] = { SIMD_FCMEQ - SIMD_FCMEQ, false, false }, [1] = { 0, false, true },
        [4] = { SIMD_FCMGE - SIMD_FCMEQ, false, false }, [5] = { SIMD_FCMGE - SIMD_FCMEQ, false, true },
        [6] = { SIMD_FCMGT - SIMD_FCMEQ, false, false }, [7] = { SIMD_FCMGT - SIMD_FCMEQ, false, true },
    };
    unsigned p = 0;
    if (i->op < 2) /* a quiet NaN is an invalid operation for all conditions */
        predicated(x, i, SIMD_FCMGE, Q(i->vn), b, NULL, 0);
    VecReg r = predicated(x, i, SIMD_FCMEQ + how[i->op].row, Q(i->vn), b, NULL, 0);
    for (unsigned n = 0; n < 16; n++)
        p |= (unsigned)((r.u8[n] != 0) != how[i->op].invert) << n;
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
    uint16_t mask = mve_active(x->c);
    x->c->vpr = (x->c->vpr & ~0xffffu) | (~x->c->vpr & mask & 0xffff);
}
M(mve_psel)
{
    VecReg r;
    for (unsigned n = 0; n < 16; n++)
        r.u8[n] = x->c->vpr >> n & 1 ? Q(i->vn)->u8[n] : Q(i->vm)->u8[n];
    merge(Q(i->vd), &r, mve_active(x->c));
}
M(mve_ctp)
{
    uint16_t mask = mve_active(x->c);
    uint32_t count = (uint32_t)REG(i->rn), all = 16u >> i->size;
    unsigned p = count < all ? (1u << (count << i->size)) - 1 : 0xffff;
    x->c->vpr = (x->c->vpr & ~0xffffu) | (p & mask);
}

/* --- reductions; h: with accumulation. Even registers are 2 * field --- */
M(mve_addv)
{
    unsigned es = 1u << i->size;
    uint16_t mask = mve_active(x->c);
    uint32_t sum = i->h ? (uint32_t)REG(i->rd) : 0;
    for (unsigned n = 0; n < 16 / es; n++)
        if (lane_on(mask, es, n))
            sum += (uint32_t)lane_of(Q(i->vm), es, n, i->u);
    REG(i->rd) = sum;
}
M(mve_maxv) /* op: minimum */
{
    unsigned es = 1u << i->size;
    uint16_t mask = mve_active(x->c);
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
/* --- sequences --- */
M(mve_idup) /* op: down; imm: logarithm of the step */
{
    unsigned es = 1u << i->size;
    uint32_t v = (uint32_t)REG(i->rn), step = 1u << i->imm;
    VecReg r = { 0 };
    for (unsigned n = 0; n < 16 / es; n++, v = i->op ? v - step : v + step)
        set(&r, es, n, v);
    merge(Q(i->vd), &r, mve_active(x->c));
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
    merge(Q(i->vd), &r, mve_active(x->c));
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
    merge(Q(i->vd), &r, mve_active(x->c));
}
M(mve_dup) { VecReg r = all_lanes(REG(i->rt), 1u << i->size); merge(Q(i->vd), &r, mve_active(x->c)); }
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
    uint16_t mask = mve_active(x->c);
    uint32_t base = (uint32_t)REG(i->rn), offset = (uint32_t)i->imm << i->type,
             moved = i->u ? base + offset : base - offset;
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
/* Elements of 64 bits are two words, each with its own predicate; their addresses are in the lower words. */
M(mve_gather) /* amount: scale of the offsets */
{
    unsigned es = MIN(1u << i->size, 4), bytes = MIN(1u << i->type, 4), wide = i->size == 3;
    uint16_t mask = mve_active(x->c);
    VecReg r = { 0 };
    for (unsigned n = 0; n < 16 / es; n++) {
        uint32_t at = (uint32_t)REG(i->rn) + ((uint32_t)get(Q(i->vm), es, n & ~wide) << i->amount) + 4 * (n & wide);
        if (!lane_on(mask, es, n))
            continue;
        check_aligned(x, at, bytes, i->l);
        move_lane(x, i->l, at, bytes, i->sgn && bytes != es, i->l ? &r : Q(i->vd), es, n);
    }
    if (i->l)
        *Q(i->vd) = r;
}
M(mve_vbase) /* [Qm, #imm]; w: Qm is written back */
{
    unsigned wide = i->size == 3;
    uint16_t mask = mve_active(x->c);
    uint32_t offset = (uint32_t)i->imm << i->size;
    VecReg r = { 0 }, bases = *Q(i->vm);
    for (unsigned n = 0; n < 4; n++) {
        uint32_t at = Q(i->vm)->u32[n & ~wide] + (i->u ? offset : -offset);
        bases.u32[n & ~wide] = at; /* whatever the predicate */
        if (!lane_on(mask, 4, n))
            continue;
        check_aligned(x, at, 4, i->l);
        move_lane(x, i->l, at + 4 * (n & wide), 4, false, i->l ? &r : Q(i->vd), 4, n);
    }
    if (i->l)
        *Q(i->vd) = r;
    if (i->w)
        *Q(i->vm) = bases;
}

/*
 * VLD2n, VLD4n, VST2n, VST4n: a quarter (half) of the structures each; x: structure size, y: which part (DDI 0553,
 * VLD2, VLD4).
 */
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
    if (!strstr(row->tags, "core") && !a32_fp_usable(x, false))
        return;
    arm_call(x, arm_help_a32_mve, H_R, IR_NONE, A_IMM(w), A_IMM((uintptr_t)row), A_NONE);
}
