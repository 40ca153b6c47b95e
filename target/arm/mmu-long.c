/* SPDX-License-Identifier: MIT */
/* Long-descriptor tables: stage 1 of AArch64 and AArch32, stage 2 (DDI 0487, D8.2-D8.5, G5.5). */
#include "target/arm/mmu.h"

#define DESC_AF BIT(10)
#define DESC_NG BIT(11)
#define DESC_GP BIT(50)
#define DESC_DBM BIT(51)
#define DESC_CONTIG BIT(52)
#define DESC_AP2 BIT(7)
enum { WALK_RETRIES = 8 };

/* One walk's parameters. */
typedef struct LongWalk {
    uint64_t va;            /* within the range: bits above `in_bits` are dropped */
    uint64_t table;
    unsigned granule;       /* log2 of the page: 12, 14, 16 */
    unsigned in_bits, out_bits;
    int level;
    /* hierarchical permissions off; hardware A and D; 52-bit addresses with 64 KiB pages */
    bool hpd, ha, hd, tbi, big52;
    bool ds;                /* TCR.DS (FEAT_LPA2): 52 bits with 4 and 16 KiB pages; shareability stands in TCR: */
    uint8_t sh;
    bool be;
} LongWalk;

/* What the walk found. */
typedef struct LongLeaf {
    uint64_t desc, addr;    /* addr: base of the mapping */
    hwaddr at;              /* where the descriptor stands */
    unsigned bits;
    int level;
    bool ap_table_ro, ap_table_nouser, xn_table, pxn_table, ns_table;
} LongLeaf;

typedef bool ReadFn(ArmCpu *c, const Regime *r, uint64_t at, unsigned size, uint64_t *desc, hwaddr *pa, MmuFault *f);

static uint64_t desc_address(const LongWalk *w, uint64_t d)
{
    if (w->ds)
        return (d & bits_mask(50) & ~bits_mask(12)) | bits_get(d, 8, 2) << 50;
    uint64_t a = d & bits_mask(48) & ~bits_mask(w->granule == 16 ? 16 : 12);
    return w->big52 ? a | bits_get(d, 12, 4) << 48 : a;
}

static bool block_allowed(const LongWalk *w, int level)
{
    if (w->granule == 12)
        return level == 1 || level == 2 || (level == 0 && w->ds);
    return level == 2 || (level == 1 && (w->big52 || w->ds));
}

static unsigned contiguous_bits(const LongWalk *w, int level)
{
    if (w->granule == 12)
        return 4;
    if (w->granule == 14)
        return level == 3 ? 7 : 5;
    return 5;
}

/* Down the tables to the leaf; false: fault in *f. */
static bool descend(ArmCpu *c, const Regime *r, const LongWalk *w, ReadFn *read, LongLeaf *leaf, MmuFault *f)
{
    unsigned stride = w->granule - 3, top = w->in_bits;
    uint64_t table = w->table;
    *leaf = (LongLeaf){ 0 };
    for (int level = w->level; level <= 3; level++) {
        unsigned low = w->granule + (3 - (unsigned)level) * stride;
        uint64_t index = top > low ? bits_get(w->va, low, top - low) : 0, d;
        if (table >> w->out_bits)
            return mmu_fault(f, FAULT_ADDRESS_SIZE, level > w->level ? level - 1 : 0);
        hwaddr at;
        if (!read(c, r, table + index * 8, 8, &d, &at, f)) {
            if (f->type == FAULT_EXTERNAL_WALK && !f->stage2)
                f->level = (int8_t)level;
            return false;
        }
        bool is_table = level < 3 && (d & 3) == 3;
        if (!(d & 1) || (level == 3 && !(d & 2)) || (level < 3 && !is_table && !block_allowed(w, level)))
            return mmu_fault(f, FAULT_TRANSLATION, level);
        if (!is_table) {
            leaf->desc = d, leaf->at = at, leaf->level = level;
            leaf->bits = low;
            leaf->addr = desc_address(w, d) & ~bits_mask(low);
            if (leaf->addr >> w->out_bits)
                return mmu_fault(f, FAULT_ADDRESS_SIZE, level);
            return true;
        }
        leaf->ns_table |= d >> 63 & 1;
        if (!w->hpd) {
            leaf->ap_table_ro |= d >> 62 & 1, leaf->ap_table_nouser |= d >> 61 & 1;
            leaf->xn_table |= d >> 60 & 1, leaf->pxn_table |= d >> 59 & 1;
        }
        table = desc_address(w, d) & ~bits_mask(w->granule);
        top = low;
    }
    return mmu_fault(f, FAULT_TRANSLATION, 3);
}

/* Set A (and D: clear AP[2], or set S2AP[1]) in the leaf. false: it has changed meanwhile. */
static bool mark(ArmCpu *c, const LongWalk *w, LongLeaf *l, uint64_t want)
{
    uint64_t from = l->desc, to = want;
    if (w->be)
        from = __builtin_bswap64(from), to = __builtin_bswap64(to);
    if (!phys_cmpxchg(&c->v, l->at, 8, from, to))
        return false;
    l->desc = want;
    return true;
}

/* --- stage 1 --- */

static unsigned granule_of(const ArmCpu *c, uint64_t tcr, bool ttbr1)
{
    unsigned tg = ttbr1 ? tcr >> 30 & 3 : tcr >> 14 & 3;
    bool g64 = ttbr1 ? tg == 3 : tg == 1, g16 = ttbr1 ? tg == 1 : tg == 2;
    return g64 && c->has.gran64 ? 16 : g16 && c->has.gran16 ? 14 : 12;
}

static unsigned ps_bits(const ArmCpu *c, unsigned ps)
{
    static const uint8_t bits[8] = { 32, 36, 40, 42, 44, 48, 52, 52 };
    return MIN(bits[ps & 7], arm_phys_bits_of(c));
}

/* AArch64.S1InvalidTxSZ and range checks; sets up *w. */
static bool setup64(ArmCpu *c, const Regime *r, uint64_t va, AccessKind kind, LongWalk *w, MmuFault *f)
{
    uint64_t tcr = r->tcr;
    bool high = r->two_ranges && va & BIT(55), fetch = kind == ACCESS_FETCH;
    bool tbi = r->two_ranges ? tcr >> (high ? 38 : 37) & 1 : tcr >> 20 & 1;
    if (tbi && fetch && c->has.pauth && (r->two_ranges ? tcr >> (high ? 52 : 51) & 1 : tcr >> 29 & 1)) /* TBID */
        tbi = false;
    unsigned txsz = high ? tcr >> 16 & 0x3f : tcr & 0x3f;
    *w = (LongWalk){ .granule = granule_of(c, tcr, high), .be = r->sctlr & SCTLR_EE };
    w->ds = c->has.lpa2 && w->granule != 16 && tcr & (r->two_ranges ? BIT(59) : BIT(32));
    w->sh = tcr >> (high ? 28 : 12) & 3;
    unsigned min = (w->granule == 16 && c->has.lva) || w->ds ? 12 : 16,
             max = c->has.ttst ? (w->granule == 16 ? 47 : 48) : 39;
    if (txsz < min)
        return mmu_fault(f, FAULT_TRANSLATION, 0);
    txsz = MIN(txsz, max);
    w->in_bits = 64 - txsz;
    uint64_t upper = tbi ? (uint64_t)bits_sget(va, 0, 56) : va;
    if (!r->two_ranges && tbi)
        upper = va & bits_mask(56);
    if (upper >> w->in_bits != (high ? bits_mask(64) >> w->in_bits : 0))
        return mmu_fault(f, FAULT_TRANSLATION, 0);
    if (r->two_ranges && tcr >> (high ? 23 : 7) & 1) /* EPD */
        return mmu_fault(f, FAULT_TRANSLATION, 0);
    w->out_bits = ps_bits(c, r->two_ranges ? tcr >> 32 & 7 : tcr >> 16 & 7);
    w->big52 = w->granule == 16 && c->has.lpa && w->out_bits == 52;
    w->va = va;
    w->tbi = tbi;
    w->level = 4 - (int)((w->in_bits - w->granule + w->granule - 4) / (w->granule - 3));
    w->hpd = c->has.hpds && (r->two_ranges ? tcr >> (high ? 42 : 41) & 1 : tcr >> 24 & 1);
    w->ha = c->has.hafdbs && (r->two_ranges ? tcr >> 39 & 1 : tcr >> 21 & 1);
    w->hd = w->ha && (r->two_ranges ? tcr >> 40 & 1 : tcr >> 22 & 1);
    uint64_t ttbr = high ? c->ttbr1_el[r->el] : c->ttbr0_el[r->el];
    unsigned table_bits = 3 + w->in_bits - (w->granule + (3 - (unsigned)w->level) * (w->granule - 3));
    bool high_table = w->big52 || (w->ds && w->out_bits == 52);
    w->table = ttbr & bits_mask(48) & ~bits_mask(MAX(table_bits, high_table ? 6 : 4));
    if (high_table)
        w->table |= bits_get(ttbr, 2, 4) << 48;
    return true;
}

/* AArch32 with TTBCR.EAE, and Hyp (G5.5.5). */
static bool setup32(ArmCpu *c, const Regime *r, uint32_t va, LongWalk *w, MmuFault *f)
{
    uint64_t tcr = r->tcr;
    unsigned t0 = tcr & 7, t1 = r->el == 2 ? 0 : tcr >> 16 & 7;
    bool low = !t0 || !(va >> (32 - t0)), high = t1 ? !(~va >> (32 - t1)) : !low;
    if (r->el == 2 ? !low : !low && !high)
        return mmu_fault(f, FAULT_TRANSLATION, 1);
    if (t1 && high)
        low = false;
    bool use1 = r->el != 2 && !low;
    if (r->el != 2 && tcr >> (use1 ? 23 : 7) & 1)
        return mmu_fault(f, FAULT_TRANSLATION, 1);
    unsigned size = use1 ? t1 : t0;
    *w = (LongWalk){ .granule = 12, .in_bits = 32 - size, .out_bits = 40, .va = va, .be = r->sctlr & SCTLR_EE };
    w->level = w->in_bits > 30 ? 1 : 2;
    unsigned table_bits = 3 + w->in_bits - (w->level == 1 ? 30 : 21);
    uint64_t ttbr = use1 ? c->ttbr1_el[r->el] : c->ttbr0_el[r->el];
    w->table = ttbr & bits_mask(40) & ~bits_mask(table_bits);
    w->hpd = false;
    return true;
}

static void permissions(const ArmCpu *c, const Regime *r, const LongLeaf *l, bool dirty_ok, MmuOut *o)
{
    uint64_t d = l->desc;
    bool ro = d & DESC_AP2 && !dirty_ok, user_ok = d & BIT(6), xn = d >> 54 & 1, pxn = d >> 53 & 1;
    ro |= l->ap_table_ro;
    user_ok &= !l->ap_table_nouser;
    xn |= l->xn_table;
    pxn |= l->pxn_table;
    bool wxn = r->sctlr & SCTLR_WXN;
    if (!r->two_ranges) {
        o->r = true, o->w = !ro, o->x = !xn && !(wxn && o->w);
        return;
    }
    bool user_w = user_ok && !ro;
    if (r->user) {
        o->r = user_ok, o->w = user_w;
        o->x = !xn && !(wxn && user_w) && (r->aa64 || o->r);
        return;
    }
    o->r = true, o->w = !ro;
    if (r->aa64)
        o->x = !pxn && !user_w && !(wxn && o->w);
    else
        o->x = !xn && !pxn && !(wxn && o->w) && !(r->sctlr & SCTLR_UWXN && user_w);
    bool user_exec = !xn && c->has.pan3 && r->aa64 && r->sctlr & SCTLR_EPAN;
    if (r->pan && (user_ok || user_exec))
        o->r = o->w = false;
}

static void attributes(const ArmCpu *c, const Regime *r, uint64_t d, MmuOut *o)
{
    o->attr = (uint8_t)(c->mair_el[r->el] >> (8 * (d >> 2 & 7)));
    o->device = !(o->attr & 0xf0);
    o->sh = d >> 8 & 3;
    o->guarded = r->aa64 && d & DESC_GP;
}

bool arm_walk_long(ArmCpu *c, const Regime *r, uint64_t va, MmuAccess a, MmuOut *out, MmuFault *f)
{
    LongWalk w;
    if (!(r->aa64 ? setup64(c, r, va, a.kind, &w, f) : setup32(c, r, (uint32_t)va, &w, f)))
        return false;
    for (unsigned tries = 0;; tries++) {
        LongLeaf l;
        if (!descend(c, r, &w, arm_read_descriptor, &l, f))
            return false;
        bool dbm = w.hd && l.desc & DESC_DBM && l.desc & DESC_AP2;
        if (!(l.desc & DESC_AF) && !w.ha)
            return mmu_fault(f, FAULT_ACCESS_FLAG, l.level);
        bool clean = dbm && (a.kind != ACCESS_WRITE || a.probe); /* the first write comes back */
        unsigned bits = l.bits + (l.desc & DESC_CONTIG ? contiguous_bits(&w, l.level) : 0);
        *out = (MmuOut){ .pa = l.addr | (va & bits_mask(l.bits)),
                         .page_bits = (uint8_t)bits,
                         .global = !r->two_ranges || !(l.desc & DESC_NG),
                         .tbi = w.tbi };
        permissions(c, r, &l, dbm && (a.kind == ACCESS_WRITE), out);
        attributes(c, r, l.desc, out);
        out->sh = w.ds ? w.sh : out->sh;
        out->ns = l.ns_table || l.desc >> 5 & 1;
        if (!mmu_allowed(out, a.kind))
            return mmu_fault(f, FAULT_PERMISSION, l.level);
        if (clean)
            out->w = false;
        uint64_t want = l.desc | DESC_AF;
        if (dbm && a.kind == ACCESS_WRITE)
            want &= ~DESC_AP2;
        if (a.probe || want == l.desc || tries >= WALK_RETRIES || mark(c, &w, &l, want))
            return true;
    }
}

/* --- stage 2 --- */

static bool read_physical(ArmCpu *c, const Regime *r, uint64_t at, unsigned size, uint64_t *desc, hwaddr *pa,
                          MmuFault *f)
{
    *pa = at;
    if (!phys_try_load(&c->v, at, size, desc))
        return mmu_fault(f, FAULT_EXTERNAL_WALK, 0);
    if (c->sctlr_el[2] & SCTLR_EE)
        *desc = __builtin_bswap64(*desc);
    return true;
}

static bool setup_stage2(ArmCpu *c, uint64_t ipa, LongWalk *w)
{
    uint64_t vtcr = c->vtcr_el2;
    bool aa64 = c->has.aarch64;
    *w = (LongWalk){ .va = ipa, .hpd = true, .be = c->sctlr_el[2] & SCTLR_EE };
    unsigned sl0 = vtcr >> 6 & 3;
    if (aa64) {
        w->granule = granule_of(c, vtcr, false);
        w->in_bits = 64 - (vtcr & 0x3f);
        w->out_bits = ps_bits(c, vtcr >> 16 & 7);
        w->level = w->granule == 12 ? (sl0 == 3 ? 3 : 2 - (int)sl0) : 3 - (int)sl0;
        w->ds = c->has.lpa2 && w->granule != 16 && vtcr & BIT(32);
        w->sh = vtcr >> 12 & 3;
        if (w->ds && w->granule == 12 && vtcr & BIT(33)) /* SL2 */
            w->level = -1;
        w->ha = c->has.hafdbs && vtcr >> 21 & 1;
        w->hd = w->ha && vtcr >> 22 & 1;
        if (w->in_bits > arm_phys_bits_of(c) && w->in_bits > 40)
            return false;
    } else {
        w->granule = 12;
        w->in_bits = (unsigned)(32 - (int)bits_sget(vtcr, 0, 4));
        w->out_bits = 40;
        w->level = 2 - (int)sl0;
    }
    if (w->level < (w->ds ? -1 : 0) || w->in_bits < 24 || w->in_bits > 52)
        return false;
    /* at most 16 tables side by side, at least one entry */
    unsigned low = w->granule + (3 - (unsigned)w->level) * (w->granule - 3);
    if (w->in_bits <= low || w->in_bits > low + w->granule - 3 + 4)
        return false;
    w->big52 = w->granule == 16 && c->has.lpa && w->out_bits == 52;
    unsigned table_bits = 3 + w->in_bits - low;
    bool high_table = w->big52 || (w->ds && w->out_bits == 52);
    w->table = c->vttbr_el2 & bits_mask(48) & ~bits_mask(MAX(table_bits, high_table ? 6 : 4));
    if (high_table)
        w->table |= bits_get(c->vttbr_el2, 2, 4) << 48;
    return !(ipa >> w->in_bits);
}

static bool s2_executable(const ArmCpu *c, uint64_t d, bool user)
{
    unsigned xn = d >> 53 & 3;
    if (!c->has.xnx)
        return !(xn & 2);
    return xn == 0 || (xn == 1 && user) || (xn == 3 && !user);
}

bool arm_stage2(ArmCpu *c, uint64_t ipa, MmuAccess a, bool user, bool s1_walk, MmuOut *out, MmuFault *f)
{
    if (!(c->hcr_el2 & HCR_VM)) { /* HCR.DC without VM: DC implies VM; no tables otherwise */
        if (!(c->hcr_el2 & HCR_DC)) {
            *out = (MmuOut){ .pa = ipa, .page_bits = 12, .r = true, .w = true, .x = true };
            return true;
        }
    }
    LongWalk w;
    bool ok = setup_stage2(c, ipa, &w);
    if (!ok)
        mmu_fault(f, FAULT_TRANSLATION, 0);
    for (unsigned tries = 0; ok; tries++) {
        LongLeaf l;
        ok = descend(c, NULL, &w, read_physical, &l, f);
        if (!ok)
            break;
        bool dbm = w.hd && l.desc & DESC_DBM && !(l.desc & BIT(7));
        bool write = a.kind == ACCESS_WRITE;
        unsigned bits = l.bits + (l.desc & DESC_CONTIG ? contiguous_bits(&w, l.level) : 0);
        *out = (MmuOut){ .pa = l.addr | (ipa & bits_mask(l.bits)),
                         .page_bits = (uint8_t)bits,
                         .r = l.desc >> 6 & 1,
                         .w = l.desc >> 7 & 1 || (dbm && write),
                         .device = !(l.desc >> 4 & 3),
                         .attr = l.desc >> 2 & 15,
                         .sh = l.desc >> 8 & 3 };
        out->sh = w.ds ? w.sh : out->sh;
        out->x = s2_executable(c, l.desc, user) && out->r;
        if (!(l.desc & DESC_AF) && !w.ha)
            ok = mmu_fault(f, FAULT_ACCESS_FLAG, l.level);
        else if (!mmu_allowed(out, a.kind) || (s1_walk && c->hcr_el2 & HCR_PTW && out->device))
            ok = mmu_fault(f, FAULT_PERMISSION, l.level);
        uint64_t want = l.desc | DESC_AF | (dbm && write ? BIT(7) : 0);
        if (!ok || a.probe || want == l.desc || tries >= WALK_RETRIES || mark(c, &w, &l, want))
            break;
    }
    if (!ok) {
        f->stage2 = true;
        f->ipa = ipa;
    }
    return ok;
}
