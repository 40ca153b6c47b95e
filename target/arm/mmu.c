/* SPDX-License-Identifier: MIT */
/*
 * Address translation: regimes, both stages together, faults as syndromes, the TLB's address-space number (DDI 0487,
 * D8).
 */
#include "base/log.h"
#include "base/symbols.h"
#include "target/arm/m/m.h"
#include "target/arm/mmu.h"
#include "target/arm/semihost.h"

/* --- regimes --- */

Regime arm_regime(const ArmCpu *c, unsigned bank)
{
    Regime r = { .el = 1, .hcr = arm_hcr(c) };
    bool secure32 = c->has.el3 && !c->has.aarch64 && (bank == ARM_BANK_EL3 || arm_secure_below_el3(c));
    switch (bank) {
    case ARM_BANK_EL0: case ARM_BANK_UNPRIV: r.user = true; break;
    case ARM_BANK_EL1: break;
    case ARM_BANK_EL1_PAN: r.pan = true; break;
    case ARM_BANK_EL20_0: r.el = 2, r.user = true; break;
    case ARM_BANK_EL2_PAN: r.el = 2, r.pan = true; break;
    case ARM_BANK_EL2: r.el = 2; break;
    default: r.el = 3; break;
    }
    if (r.el == 1 && secure32)
        r.el = 3;
    r.aa64 = r.el == 3 ? c->has.aarch64 : r.el == 2 && r.user ? true : arm_el_is_aa64(c, r.el);
    r.two_ranges = r.el == 1 || (r.el == 3 && !r.aa64) || (r.el == 2 && c->has.vhe && c->hcr_el2 & HCR_E2H);
    r.sctlr = c->sctlr_el[r.el];
    r.tcr = c->tcr_el[r.el];
    r.stage2 = r.el == 1 && r.hcr & (HCR_VM | HCR_DC);
    return r;
}

/* --- faults (DDI 0487, D19.2.37 "ISS encoding for an exception from a Data Abort"; DDI 0406C, table B3-23) --- */

uint32_t arm_fsc_long(const MmuFault *f)
{
    uint32_t level = (uint32_t)f->level & 3;
    bool minus = f->level < 0;
    switch (f->type) {
    case FAULT_ADDRESS_SIZE: return minus ? 0x29 : 0x00 | level;
    case FAULT_TRANSLATION: return minus ? 0x2b : 0x04 | level;
    case FAULT_ACCESS_FLAG: return 0x08 | level;
    case FAULT_PERMISSION: return 0x0c | level;
    case FAULT_EXTERNAL: return 0x10;
    case FAULT_EXTERNAL_WALK: return minus ? 0x13 : 0x14 | level;
    case FAULT_ALIGNMENT: return 0x21;
    case FAULT_DOMAIN: return 0x3c | level;
    case FAULT_BACKGROUND: return 0x04;
    case FAULT_UNSUPPORTED_ATOMIC: return 0x35;
    default: return 0;
    }
}

uint32_t arm_fsr_short(const MmuFault *f)
{
    bool l2 = f->level >= 2;
    uint32_t s = 0;
    switch (f->type) {
    case FAULT_TRANSLATION: case FAULT_ADDRESS_SIZE: s = l2 ? 7 : 5; break;
    case FAULT_ACCESS_FLAG: s = l2 ? 6 : 3; break;
    case FAULT_PERMISSION: s = l2 ? 0xf : 0xd; break;
    case FAULT_DOMAIN: s = l2 ? 0xb : 9; break;
    case FAULT_EXTERNAL: s = 8; break;
    case FAULT_EXTERNAL_WALK: s = l2 ? 0xe : 0xc; break;
    case FAULT_ALIGNMENT: s = 1; break;
    case FAULT_BACKGROUND: s = 0; break;
    default: s = 0x406; break;
    }
    return s | (uint32_t)f->domain << 4;
}

/* The status that AArch32 at `el` would see. */
static uint32_t fsr_for(const ArmCpu *c, unsigned el, const MmuFault *f)
{
    bool lpae = el == 2 || (c->has.lpae32 && c->tcr_el[el] & BIT(31)) || (c->has.pmsa && c->has.v8);
    return lpae ? 0x200 | arm_fsc_long(f) : arm_fsr_short(f);
}

static void record_fault(ArmCpu *c, unsigned regime_el, uint64_t va, AccessKind kind, const MmuFault *f)
{
    bool fetch = kind == ACCESS_FETCH;
    va = c->aarch64 ? va : (uint32_t)va;
    uint32_t iss = arm_fsc_long(f) | (f->s1ptw ? BIT(7) : 0) | (kind == ACCESS_WRITE && !f->s1ptw ? BIT(6) : 0) |
                   c->access_cm;
    if (f->s1ptw && kind == ACCESS_WRITE)
        iss |= BIT(6);
    ArmEvent e = {
        .kind = ARM_EVENT_SYNC, .ec = fetch ? EC_INSN_ABORT : EC_DATA_ABORT, .iss = iss, .far = va, .far_valid = true
    };
    e.fsr = fsr_for(c, regime_el, f);
    if (f->stage2) {
        e.target_el = 2;
        e.hpfar = (f->ipa >> 12 & bits_mask(40)) << 4 | BIT(63);
    }
    arm_record(c, &e);
}

/*
 * One line for the user, if this is a program and not a kernel, which may try what is there; -d guest_errors has all.
 */
static void tell_bus_error(ArmCpu *c, uint64_t va, hwaddr pa, AccessKind kind)
{
    static LogLimit limit;
    static const char *const what[] = {
        [ACCESS_READ] = "read of", [ACCESS_WRITE] = "write to", [ACCESS_FETCH] = "fetch from"
    };
    Vcpu *v = &c->v;
    vcpu_sync(v);
    bool tell = !c->told_bus_error && (c->m || semihost_config.enabled || symbols_known());
    if (!tell && !log_enabled(LOG_GUEST_ERROR))
        return;
    g_autofree char *at = symbols_describe(v->pc),
                    *mapped = va == pa ? g_strdup("") : g_strdup_printf(" (physical 0x%08" PRIx64 ")", pa);
    const char *name = c->m ? "BusFault" : "external abort";
    if (tell)
        warn_reportf("CPU %u: %s: %s 0x%08" PRIx64 "%s at pc %s (the first one; -d guest_errors shows all)", v->index,
                     name, what[kind], va, mapped, at);
    c->told_bus_error = true;
    log_limited(&limit, LOG_GUEST_ERROR, "cpu", "%s: %s 0x%08" PRIx64 "%s at pc %s", name, what[kind], va, mapped, at);
}

void arm_bus_error(Vcpu *v, uint64_t va, hwaddr pa, AccessKind kind)
{
    ArmCpu *c = arm_cpu(v);
    tell_bus_error(c, va, pa, kind);
    if (c->m) {
        arm_m_bus_error(v, va, pa, kind);
    } else {
        MmuFault f = { .type = FAULT_EXTERNAL };
        record_fault(c, MAX(c->el, 1), va, kind, &f);
    }
    vcpu_unwind(v);
}

void arm_misaligned(Vcpu *v, uint64_t va, AccessKind kind, unsigned align)
{
    ArmCpu *c = arm_cpu(v);
    if (c->m) {
        arm_m_misaligned(v, va, kind, align);
        return;
    }
    MmuFault f = { .type = FAULT_ALIGNMENT };
    record_fault(c, MAX(c->el, 1), va, kind, &f);
}

/* --- stages --- */

bool arm_read_descriptor(ArmCpu *c, const Regime *r, uint64_t at, unsigned size, uint64_t *desc, hwaddr *pa,
                         MmuFault *f)
{
    *pa = at;
    if (r->stage2) {
        MmuOut o;
        if (!arm_stage2(c, at, (MmuAccess){ ACCESS_READ, false }, false, true, &o, f)) {
            f->s1ptw = true;
            return false;
        }
        *pa = o.pa;
    }
    uint64_t d;
    if (!phys_try_load(&c->v, *pa, size, &d))
        return mmu_fault(f, FAULT_EXTERNAL_WALK, 1);
    if (r->sctlr & SCTLR_EE)
        d = size == 8 ? __builtin_bswap64(d) : __builtin_bswap32((uint32_t)d);
    *desc = d;
    return true;
}

/* Stage 1 off: output = input (D8.2.10). */
static bool stage1_flat(ArmCpu *c, const Regime *r, uint64_t va, MmuAccess a, MmuOut *out, MmuFault *f)
{
    bool tbi = false;
    if (r->aa64) {
        tbi = r->two_ranges ? (va & BIT(55) ? r->tcr & BIT(38) : r->tcr & BIT(37)) : r->tcr & BIT(20);
        if (tbi && a.kind != ACCESS_FETCH) /* TBI without stage 1: the top byte is not an address */
            va &= bits_mask(56);
        if (va >> arm_phys_bits_of(c))
            return mmu_fault(f, FAULT_ADDRESS_SIZE, 0);
    } else {
        va = (uint32_t)va;
    }
    *out = (MmuOut){ .pa = va, .page_bits = 12, .r = true, .w = true, .x = true, .global = true,
                     .device = a.kind != ACCESS_FETCH && !(r->hcr & HCR_DC && r->el == 1), .tbi = tbi };
    return true;
}

bool arm_stage1(ArmCpu *c, const Regime *r, uint64_t va, MmuAccess a, MmuOut *out, MmuFault *f)
{
    if (c->has.pmsa)
        return arm_pmsa(c, r, (uint32_t)va, a, out, f);
    bool on = r->sctlr & SCTLR_M;
    if (r->el == 1 && (r->hcr & HCR_DC || (r->hcr & HCR_TGE && !(r->hcr & HCR_E2H))))
        on = false;
    if (!on)
        return stage1_flat(c, r, va, a, out, f);
    return regime_long(c, r) ? arm_walk_long(c, r, va, a, out, f) : arm_walk_short(c, r, (uint32_t)va, a, out, f);
}

bool arm_translate_va(ArmCpu *c, const Regime *r, uint64_t va, MmuAccess a, MmuOut *out, MmuFault *f)
{
    *f = (MmuFault){ 0 };
    if (!arm_stage1(c, r, va, a, out, f))
        return false;
    if (!r->stage2 || c->has.pmsa)
        return true;
    MmuOut s2;
    if (!arm_stage2(c, out->pa, a, r->user, false, &s2, f))
        return false;
    out->pa = s2.pa;
    out->page_bits = MIN(out->page_bits, s2.page_bits);
    out->r &= s2.r, out->w &= s2.w, out->x &= s2.x;
    out->device |= s2.device;
    return true;
}

bool arm_walk(Vcpu *v, uint64_t va, AccessKind kind, unsigned bank, bool probe, WalkResult *out)
{
    ArmCpu *c = arm_cpu(v);
    if (c->m)
        return arm_m_walk(v, va, kind, bank, probe, out);
    if (kind == ACCESS_FETCH && va & 3 && c->aarch64) { /* before any fault of the fetch (D1.3.5.5) */
        if (!probe)
            arm_record(c, &(ArmEvent){ .kind = ARM_EVENT_SYNC,
                                       .ec = EC_PC_ALIGN,
                                       .il32 = true,
                                       .far_valid = true,
                                       .far = va,
                                       .fsr = 1 });
        return false;
    }
    if (!c->aarch64)
        va = (uint32_t)va; /* sums are made at 64 bits */
    Regime r = arm_regime(c, bank);
    MmuOut o;
    MmuFault f;
    bool ok = arm_translate_va(c, &r, va, (MmuAccess){ kind, probe }, &o, &f);
    if (ok && c->has.el3 && arm_secure_only(o.pa) && (o.ns || (r.el < 3 && !arm_secure_below_el3(c))))
        ok = mmu_fault(&f, FAULT_EXTERNAL, 0);
    log_printf(LOG_MMU,
               "walk: va %016" PRIx64 " kind %u bank %u -> %s %016" PRIx64
               " bits %u r %u w %u x %u type %u level %d ipa %" PRIx64 "\n",
               va, kind, bank, ok ? "pa" : "fault", ok ? o.pa : 0, o.page_bits, o.r, o.w, o.x, f.type, f.level,
               f.stage2 ? f.ipa : 0);
    if (!ok) {
        if (!probe)
            record_fault(c, r.el, va, kind, &f);
        return false;
    }
    bool global = o.global && !(c->tlb_mixed && (r.el == 1 || !r.aa64));
    *out = (WalkResult){ .phys = o.pa & ~UINT64_C(0xfff),
                         .page_bits = o.page_bits,
                         .readable = o.r,
                         .writable = o.w,
                         .executable = o.x,
                         .global = global,
                         .aligned = o.device && r.aa64 && kind != ACCESS_FETCH && r.sctlr & SCTLR_M,
                         .top_byte_ignored = o.tbi };
    return true;
}

bool arm_page_is_guarded(ArmCpu *c, uint64_t va)
{
    Regime r = arm_regime(c, arm_mode_bank(c->v.mode));
    MmuOut o;
    MmuFault f;
    return r.sctlr & SCTLR_M && arm_translate_va(c, &r, va, (MmuAccess){ ACCESS_FETCH, true }, &o, &f) && o.guarded;
}

/* --- the TLB's address-space number --- */

enum { VMID_SECURE = 0xffff, VMID_HOST = 0xfffe, VMID_NONE = 0xfffd, CONTEXT_SWITCHES = 64 };

static uint32_t asid_of(const ArmCpu *c, unsigned el)
{
    uint64_t tcr = c->tcr_el[el];
    if (!arm_el_is_aa64(c, el == 3 ? 3 : el) || (el == 3 && !c->has.aarch64)) {
        if (c->has.lpae32 && tcr & BIT(31))
            return (tcr & BIT(22) ? c->ttbr1_el[el] : c->ttbr0_el[el]) >> 48 & 0xff;
        return c->contextidr_el[el] & 0xff;
    }
    uint32_t asid = (uint32_t)((tcr & BIT(22) ? c->ttbr1_el[el] : c->ttbr0_el[el]) >> 48);
    return tcr & BIT(36) ? asid : asid & 0xff;
}

static uint32_t vmid_now(const ArmCpu *c, uint64_t hcr)
{
    if (arm_e2h_host(hcr))
        return VMID_HOST;
    if (c->has.el3 && arm_secure_below_el3(c))
        return VMID_SECURE;
    if (!(hcr & (HCR_VM | HCR_DC)))
        return VMID_NONE;
    return (uint32_t)(c->vttbr_el2 >> 48) & (c->has.vmid16 && c->vtcr_el2 & BIT(19) ? 0xffff : 0xff);
}

uint32_t arm_tlb_number(const ArmCpu *c, uint32_t asid, bool host)
{
    return (host ? VMID_HOST : vmid_now(c, arm_hcr(c))) << 16 | asid;
}

void arm_asid_changed(ArmCpu *c)
{
    if (c->m)
        return;
    uint64_t hcr = arm_hcr(c);
    uint32_t vmid = vmid_now(c, hcr);
    unsigned el = arm_e2h_host(hcr) ? 2 : c->has.el3 && !c->has.aarch64 && arm_secure_below_el3(c) ? 3 : 1;
    /*
     * Global entries know no VMID: a change of whom EL1 belongs to drops them; when that goes on, EL1 gets no global
     * entries any more.
     */
    uint32_t context = vmid << 8 | (hcr & (HCR_VM | HCR_DC) ? 1 : 0) | (c->has.el3 && arm_secure_below_el3(c) ? 2 : 0);
    if (context != c->tlb_context && vmid != VMID_HOST) {
        c->tlb_context = context;
        if (!c->tlb_mixed)
            tlb_flush_all(&c->v);
        c->tlb_mixed |= ++c->tlb_switches > CONTEXT_SWITCHES;
    }
    tlb_set_asid(&c->v, vmid << 16 | asid_of(c, el));
}
