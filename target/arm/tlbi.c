/* SPDX-License-Identifier: MIT */
/* TLB maintenance and address translation instructions (DDI 0487, D8.14, C5.5, C5.4; G5.9 for AArch32). */
#include "target/arm/mmu.h"
#include "target/arm/sysregs.h"

/* --- TLBI --- */

static uint32_t k_op1(uint32_t k) { return k >> 11 & 7; }
static uint32_t k_crn(uint32_t k) { return k >> 7 & 15; }
static uint32_t k_crm(uint32_t k) { return k >> 3 & 15; }
static uint32_t k_op2(uint32_t k) { return k & 7; }

static void flush_one(ArmCpu *c, bool all_cpus, TlbFlush what, uint64_t va, uint32_t asid)
{
    Vcpu *v = &c->v;
    if (all_cpus && vcpu_count() > 1) {
        tlb_flush_broadcast(v, what, va, asid);
        c->tlbi_sent = 1;
    } else if (what == TLB_FLUSH_ALL) {
        tlb_flush_all(v);
    } else if (what == TLB_FLUSH_PAGE) {
        tlb_flush_page(v, va, asid);
    } else {
        tlb_flush_non_global(v, asid);
    }
}

/*
 * AArch32 code adds displacements at 64 bits: pages at the ends of its 4 GiB have a second name each, beyond the other
 * end.
 */
static void flush(ArmCpu *c, bool all_cpus, TlbFlush what, uint64_t va, uint32_t asid)
{
    enum { REACH = 2 * TCG_PAGE_SIZE };
    flush_one(c, all_cpus, what, va, asid);
    if (what == TLB_FLUSH_PAGE && va < REACH)
        flush_one(c, all_cpus, what, va | BIT(32), asid);
    else if (what == TLB_FLUSH_PAGE && va >> 32 == 0 && va >= (uint32_t)-REACH)
        flush_one(c, all_cpus, what, va | ~bits_mask(32), asid);
}

/* CRm: outer shareable 1, inner shareable 3, this CPU 7; range forms 5 (os), 2 (is), 6; IPA forms 0, 4. */
static bool crm_ok(const ArmCpu *c, uint32_t crm, uint32_t op1)
{
    switch (crm) {
    case 3: case 7: return true;
    case 1: return c->has.tlbios;
    case 2: case 5: case 6: return c->has.tlbirange;
    case 0: case 4: return op1 == 4;
    default: return false;
    }
}

bool arm_tlbi_known(const ArmCpu *c, uint32_t key)
{
    if (key >> 31) {
        uint32_t crm = k_crm(key);
        if (k_crn(key) != 8 || (k_op1(key) != 0 && k_op1(key) != 4) || (k_op1(key) == 4 && !c->has.el2))
            return false;
        return crm == 3 || crm == 5 || crm == 6 || crm == 7 || ((crm == 0 || crm == 4) && k_op1(key) == 4);
    }
    uint32_t op1 = k_op1(key);
    if (k_crn(key) != 8 || (op1 != 0 && op1 != 4 && op1 != 6) || (op1 == 6 && !c->has.el3))
        return false;
    bool el1_by_el3 = c->has.el3 && (k_op2(key) == 4 || k_op2(key) == 6); /* ALLE1, VMALLS12E1 need no EL2 */
    if (op1 == 4 && !c->has.el2 && !el1_by_el3)
        return false;
    return crm_ok(c, k_crm(key), op1);
}

/* RVA*: base, scale, number and granule in one register (C5.5.x "TLBI RVAE1"). Large ranges flush everything. */
static void flush_range(ArmCpu *c, bool all_cpus, uint64_t value, uint32_t asid)
{
    static const uint8_t shifts[4] = { 12, 12, 14, 16 };
    unsigned tg = value >> 46 & 3, scale = value >> 44 & 3, num = value >> 39 & 31, shift = shifts[tg];
    uint64_t va = (uint64_t)bits_sget(value, 0, 37) << shift;
    uint64_t pages = (uint64_t)(num + 1) << (5 * scale + 1) << (shift - 12);
    /* bases in units of 64 KiB */
    bool ds = c->has.lpa2 && (c->tcr_el[1] & BIT(59) || c->tcr_el[2] & (BIT(59) | BIT(32)) || c->tcr_el[3] & BIT(32));
    if (pages > 64 || ds) {
        flush(c, all_cpus, TLB_FLUSH_ALL, 0, 0);
        return;
    }
    for (uint64_t i = 0; i < pages; i++)
        flush(c, all_cpus, TLB_FLUSH_PAGE, va + (i << 12), asid);
}

static bool tlbi64(ArmCpu *c, uint32_t key, uint64_t value)
{
    uint32_t op1 = k_op1(key), crm = k_crm(key), op2 = k_op2(key);
    bool fb = c->el == 1 && arm_hcr(c) & HCR_FB;
    bool all_cpus = crm == 3 || crm == 1 || crm == 2 || crm == 5 || crm == 0 || fb;
    bool range = crm == 2 || crm == 5 || crm == 6;
    bool host = arm_e2h_host(arm_hcr(c)) || (op1 == 4 && c->has.vhe && c->hcr_el2 & HCR_E2H);
    uint32_t asid = arm_tlb_number(c, (uint32_t)(value >> 48), op1 == 0 ? arm_e2h_host(arm_hcr(c)) : host);
    uint64_t va = (uint64_t)bits_sget(value, 0, 44) << 12;
    bool asids = op1 == 0 || (op1 == 4 && host);
    if (crm == 0 || crm == 4 || !asids) { /* IPAs; regimes without ASIDs */
        bool page = op1 != 0 && (op2 == 1 || op2 == 5) && !range && crm != 0 && crm != 4;
        flush(c, all_cpus, page ? TLB_FLUSH_PAGE : TLB_FLUSH_ALL, va, TLB_ANY_ASID);
        return true;
    }
    switch (op2) {
    case 1: case 5: /* VA, VAL */
        if (range)
            flush_range(c, all_cpus, value, asid);
        else
            flush(c, all_cpus, TLB_FLUSH_PAGE, va, asid);
        break;
    case 3: case 7: /* VAA, VAAL */
        if (range)
            flush_range(c, all_cpus, value, TLB_ANY_ASID);
        else
            flush(c, all_cpus, TLB_FLUSH_PAGE, va, TLB_ANY_ASID);
        break;
    case 2:
        if (op1 == 0) {
            flush(c, all_cpus, TLB_FLUSH_NON_GLOBAL, 0, asid);
            break;
        }
        flush(c, all_cpus, TLB_FLUSH_ALL, 0, 0);
        break;
    default: /* VMALLE1, ALLE1, ALLE2, VMALLS12E1 */
        flush(c, all_cpus, TLB_FLUSH_ALL, 0, 0);
        break;
    }
    return true;
}

static void tlbi32(ArmCpu *c, uint32_t key, uint64_t value)
{
    uint32_t crm = k_crm(key), op2 = k_op2(key);
    bool all_cpus = crm == 3 || crm == 0 || (c->el == 1 && arm_hcr(c) & HCR_FB);
    uint32_t asid = arm_tlb_number(c, (uint32_t)value & 0xff, false);
    if (k_op1(key) == 4 || !c->has.v6) {
        bool page = op2 == 1 || op2 == 5;
        flush(c, all_cpus, page && k_op1(key) == 0 ? TLB_FLUSH_PAGE : TLB_FLUSH_ALL, (uint32_t)value & ~0xfffu,
              TLB_ANY_ASID);
        return;
    }
    switch (op2) {
    case 1: case 5: flush(c, all_cpus, TLB_FLUSH_PAGE, (uint32_t)value & ~0xfffu, asid); break;
    case 3: case 7: flush(c, all_cpus, TLB_FLUSH_PAGE, (uint32_t)value & ~0xfffu, TLB_ANY_ASID); break;
    case 2: flush(c, all_cpus, TLB_FLUSH_NON_GLOBAL, 0, asid); break;
    default: flush(c, all_cpus, TLB_FLUSH_ALL, 0, 0); break;
    }
}

bool arm_tlbi(ArmCpu *c, uint32_t key, uint64_t value)
{
    if (key >> 31)
        tlbi32(c, key, value);
    else
        tlbi64(c, key, value);
    return true;
}

ARM_HELPER_VOID(dsb)
{
    arm_cpu(v)->tlbi_sent = 0;
    tlb_broadcast_wait(v);
}

/* --- AT --- */

static uint64_t par_fault(const MmuFault *f)
{
    return 1 | (uint64_t)arm_fsc_long(f) << 1 | (f->s1ptw ? BIT(8) : 0) | (f->stage2 ? BIT(9) : 0) | BIT(11);
}

static uint64_t par_ok(const ArmCpu *c, const MmuOut *o)
{
    uint64_t attr = o->attr ? o->attr : o->device ? 0 : 0xff;
    uint64_t sh = o->device ? 2 : o->sh;
    return attr << 56 | (o->pa & bits_mask(52) & ~UINT64_C(0xfff)) | BIT(11) |
           (c->has.el3 && !arm_secure(c) ? BIT(9) : 0) | sh << 7;
}

/* PAR for short descriptors (G8.2.122). */
static uint64_t par_short(const ArmCpu *c, bool ok, const MmuOut *o, const MmuFault *f)
{
    uint32_t fsr = arm_fsr_short(f);
    if (!ok)
        return 1 | (fsr & 15) << 1 | (fsr >> 10 & 1) << 5;
    bool ns = c->has.el3 && !arm_secure(c);
    if (o->page_bits == 24)
        return (o->pa & 0xff000000) | (o->pa >> 32 & 0xff) << 16 | 2 | (ns ? BIT(9) : 0);
    return (o->pa & 0xfffff000) | (o->device ? 1 << 4 : 7 << 4) | (ns ? BIT(9) : 0) | (uint64_t)(o->sh & 1) << 7;
}

typedef struct AtOp { unsigned bank; bool write, both, hyp; } AtOp;

static AtOp at_op(const ArmCpu *c, uint32_t key)
{
    uint32_t op1 = k_op1(key), op2 = k_op2(key);
    bool host = arm_e2h_host(arm_hcr(c));
    AtOp a = { .write = op2 & 1 };
    if (op1 == 6)
        a.bank = ARM_BANK_EL3;
    else if (op1 == 4 && op2 < 4)
        a.bank = ARM_BANK_EL2, a.hyp = true;
    else if (op2 & 2)
        a.bank = host && op1 == 0 ? ARM_BANK_EL20_0 : ARM_BANK_EL0;
    else
        a.bank = host && op1 == 0 ? ARM_BANK_EL2 : k_crm(key) == 9 && c->pan ? ARM_BANK_EL1_PAN : ARM_BANK_EL1;
    a.both = op2 >= 4;
    return a;
}

void arm_wr_at(ArmCpu *c, const ArmSysreg *row, uint64_t value)
{
    AtOp a = at_op(c, row->key);
    Regime r = arm_regime(c, a.bank);
    bool is32 = row->key >> 31;
    MmuOut o = { 0 };
    MmuFault f = { 0 };
    MmuAccess acc = { a.write ? ACCESS_WRITE : ACCESS_READ, true };
    uint64_t va = is32 ? (uint32_t)value : value;
    bool ok = a.both ? arm_translate_va(c, &r, va, acc, &o, &f) : arm_stage1(c, &r, va, acc, &o, &f);
    bool lpae = !is32 || regime_long(c, &r) || a.hyp || (a.both && arm_hcr(c) & (HCR_VM | HCR_DC));
    uint64_t par = !lpae ? par_short(c, ok, &o, &f) : ok ? par_ok(c, &o) : par_fault(&f);
    if (arm_bank32(c) == 3)
        c->par_s = par;
    else
        c->par_el1 = par;
}
