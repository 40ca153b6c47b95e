/* SPDX-License-Identifier: MIT */
/*
 * CR0, CR3, CR4, EFER: consistency checks and flushes (SDM vol. 3, 2.5 and 4.10.4); the instructions that reach them.
 */
#include "target/x86/helpers.h"
#include "target/x86/models.h"

#define CR0_KNOWN (CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG)
#define CR3_NOFLUSH BIT(63)

/* Which CR4 bit needs which feature. */
static const struct { uint64_t bits; unsigned feature;
} cr4_features[] = {
    { CR4_VME | CR4_PVI, X86_FEATURE_VME }, { CR4_TSD, X86_FEATURE_TSC },    { CR4_DE, X86_FEATURE_DE },
    { CR4_PSE, X86_FEATURE_PSE },           { CR4_PAE, X86_FEATURE_PAE },    { CR4_MCE, X86_FEATURE_MCE },
    { CR4_PGE, X86_FEATURE_PGE },           { CR4_PCE, X86_FEATURE_TSC },    { CR4_OSFXSR, X86_FEATURE_FXSR },
    { CR4_OSXMMEXCPT, X86_FEATURE_SSE },    { CR4_UMIP, X86_FEATURE_UMIP },  { CR4_LA57, X86_FEATURE_LA57 },
    { CR4_FSGSBASE, X86_FEATURE_FSGSBASE }, { CR4_PCIDE, X86_FEATURE_PCID }, { CR4_OSXSAVE, X86_FEATURE_XSAVE },
    { CR4_SMEP, X86_FEATURE_SMEP },         { CR4_SMAP, X86_FEATURE_SMAP },
};

static uint64_t cr4_allowed(const X86Cpu *c)
{
    uint64_t ok = 0;
    for (unsigned i = 0; i < ARRAY_LEN(cr4_features); i++)
        ok |= x86_has_feature(c, cr4_features[i].feature) ? cr4_features[i].bits : 0;
    return ok;
}

static uint32_t asid(const X86Cpu *c) { return c->cr4 & CR4_PCIDE ? c->cr3 & 0xfff : 0; }

/* PAE paging caches the four PDPTEs; a reserved bit in a present one is a #GP (SDM vol. 3, 4.4.1). */
static void load_pdptes(X86Cpu *c, uint64_t cr3)
{
    uint64_t p[4], reserved = UINT64_C(0x1e6) | ~bits_mask(c->phys_bits);
    for (unsigned i = 0; i < 4; i++) {
        hwaddr at = (cr3 & 0xffffffe0) + i * 8;
        p[i] = phys_load(&c->v, c->a20_masked ? at & ~BIT(20) : at, 8);
        if (p[i] & 1 && p[i] & reserved)
            x86_raise_gp(c);
    }
    memcpy(c->pdpte, p, sizeof(p));
}

static bool pae_paging(uint64_t cr0, uint64_t cr4, uint64_t efer)
{
    return cr0 & CR0_PG && cr4 & CR4_PAE && !(efer & EFER_LME);
}

void x86_write_cr0(X86Cpu *c, uint64_t value)
{
    bool paging_on = value & CR0_PG && !(c->cr0 & CR0_PG), paging_off = !(value & CR0_PG) && c->cr0 & CR0_PG;
    if (value >> 32 || (value & CR0_PG && !(value & CR0_PE)) || (value & CR0_NW && !(value & CR0_CD)))
        x86_raise_gp(c);
    if (paging_on && c->efer & EFER_LME && (!(c->cr4 & CR4_PAE) || c->seg[SEG_CS].attr & SEG_L))
        x86_raise_gp(c);
    if (paging_off && (x86_is_64(c) || c->cr4 & CR4_PCIDE))
        x86_raise_gp(c);
    if (pae_paging(value, c->cr4, c->efer) && (paging_on || (value ^ c->cr0) & (CR0_CD | CR0_NW)))
        load_pdptes(c, c->cr3);
    if (paging_on && c->efer & EFER_LME)
        c->efer |= EFER_LMA;
    if (paging_off)
        c->efer &= ~EFER_LMA;
    uint64_t changed = value ^ c->cr0;
    c->cr0 = (value & CR0_KNOWN) | CR0_ET;
    if (changed & (CR0_PG | CR0_WP | CR0_PE))
        tlb_flush_all(&c->v);
    if (changed & CR0_PE && !(value & CR0_PE))
        c->cpl = 0;
    x86_update_mode(c);
}

void x86_write_cr3(X86Cpu *c, uint64_t value)
{
    bool keep = c->cr4 & CR4_PCIDE && value & CR3_NOFLUSH;
    if (c->cr4 & CR4_PCIDE)
        value &= ~CR3_NOFLUSH;
    if (x86_lma(c) && value & ~bits_mask(c->phys_bits))
        x86_raise_gp(c);
    if (pae_paging(c->cr0, c->cr4, c->efer))
        load_pdptes(c, value);
    c->cr3 = value;
    if (!keep)
        tlb_flush_non_global(&c->v, asid(c));
    tlb_set_asid(&c->v, asid(c));
}

void x86_write_cr4(X86Cpu *c, uint64_t value)
{
    uint64_t changed = value ^ c->cr4;
    if (value & ~cr4_allowed(c))
        x86_raise_gp(c);
    if (x86_lma(c) && (changed & CR4_LA57 || !(value & CR4_PAE)))
        x86_raise_gp(c);
    if (changed & value & CR4_PCIDE && (!x86_lma(c) || c->cr3 & 0xfff))
        x86_raise_gp(c);
    if (pae_paging(c->cr0, value, c->efer) && changed & (CR4_PAE | CR4_PSE | CR4_PGE | CR4_SMEP))
        load_pdptes(c, c->cr3);
    c->cr4 = value;
    if (changed & (CR4_PSE | CR4_PAE | CR4_PGE | CR4_LA57 | CR4_PCIDE | CR4_SMEP | CR4_SMAP)) {
        tlb_flush_all(&c->v);
        tlb_set_asid(&c->v, asid(c));
    }
    x86_update_mode(c);
}

bool x86_write_efer(X86Cpu *c, uint64_t value)
{
    uint64_t allowed = EFER_LMA | (x86_has_feature(c, X86_FEATURE_SYSCALL) ? EFER_SCE : 0) |
                       (x86_has_feature(c, X86_FEATURE_LM) ? EFER_LME : 0) |
                       (x86_has_feature(c, X86_FEATURE_NX) ? EFER_NXE : 0) |
                       (x86_has_feature(c, X86_FEATURE_FFXSR) ? EFER_FFXSR : 0);
    uint64_t changed = value ^ c->efer;
    if (value & ~allowed || (changed & EFER_LME && c->cr0 & CR0_PG))
        return false;
    c->efer = (value & ~EFER_LMA) | (c->efer & EFER_LMA);
    if (changed & EFER_NXE)
        tlb_flush_all(&c->v);
    x86_update_mode(c);
    return true;
}

/* --- instructions --- */

static void need_cpl0(X86Cpu *c)
{
    if (c->cpl)
        x86_raise_gp(c);
}

X86_HELPER(read_cr)
{
    X86Cpu *c = x86_cpu(v);
    need_cpl0(c);
    switch (a) {
    case 0: return c->cr0;
    case 2: return c->cr2;
    case 3: return c->cr3;
    case 4: return c->cr4;
    case 8: return v->port.intc_ops && v->port.intc_ops->get_tpr ? v->port.intc_ops->get_tpr(v->port.intc) >> 4 : 0;
    default: x86_raise_ud(c);
    }
}

static void write_cr8(X86Cpu *c, uint64_t value)
{
    if (value >> 4)
        x86_raise_gp(c);
    if (c->v.port.intc_ops && c->v.port.intc_ops->set_tpr)
        c->v.port.intc_ops->set_tpr(c->v.port.intc, (uint8_t)(value << 4));
}

X86_HELPER_VOID(write_cr)
{
    X86Cpu *c = x86_cpu(v);
    need_cpl0(c);
    switch (a) {
    case 0: x86_write_cr0(c, b); break;
    case 2: c->cr2 = b; break;
    case 3: x86_write_cr3(c, b); break;
    case 4: x86_write_cr4(c, b); break;
    case 8: write_cr8(c, b); break;
    default: x86_raise_ud(c);
    }
}

X86_HELPER_VOID(clts)
{
    X86Cpu *c = x86_cpu(v);
    need_cpl0(c);
    c->cr0 &= ~CR0_TS;
    x86_update_mode(c);
}

X86_HELPER_VOID(lmsw)
{
    X86Cpu *c = x86_cpu(v);
    need_cpl0(c);
    uint64_t keep = c->cr0 & (~UINT64_C(15) | CR0_PE); /* LMSW can set PE, not clear it */
    x86_write_cr0(c, keep | (a & 15));
}

X86_HELPER_VOID(invlpg)
{
    X86Cpu *c = x86_cpu(v);
    need_cpl0(c);
    if (!x86_is_64(c) || x86_canonical(c, a))
        tlb_flush_page(v, a, asid(c));
}

/* SDM vol. 2, INVPCID: 0 one address, 1 one PCID, 2 all with globals, 3 all without. */
X86_HELPER_VOID(invpcid)
{
    X86Cpu *c = x86_cpu(v);
    need_cpl0(c);
    unsigned bank = x86_bank(v->mode);
    uint64_t pcid = guest_load(v, b, 8, bank), va = guest_load(v, b + 8, 8, bank);
    if (a > 3 || (a < 2 && (pcid >> 12 || (!(c->cr4 & CR4_PCIDE) && pcid))) || (a == 0 && !x86_canonical(c, va)))
        x86_raise_gp(c);
    if (a == 0)
        tlb_flush_page(v, va, (uint32_t)pcid);
    else if (a == 1)
        tlb_flush_non_global(v, (uint32_t)pcid);
    else
        tlb_flush_all(v);
}

X86_HELPER_VOID(wbinvd) { need_cpl0(x86_cpu(v)); }

X86_HELPER_VOID(xgetbv)
{
    X86Cpu *c = x86_cpu(v);
    uint32_t n = (uint32_t)v->g[RCX];
    if (!(c->cr4 & CR4_OSXSAVE))
        x86_raise_ud(c);
    if (n > 1 || (n == 1 && !x86_has_feature(c, X86_FEATURE_XGETBV1)))
        x86_raise_gp(c);
    uint64_t value = c->xcr0;
    v->g[RAX] = (uint32_t)value;
    v->g[RDX] = value >> 32;
}

X86_HELPER_VOID(xsetbv)
{
    X86Cpu *c = x86_cpu(v);
    uint64_t value = (uint32_t)v->g[RAX] | v->g[RDX] << 32;
    if (!(c->cr4 & CR4_OSXSAVE))
        x86_raise_ud(c);
    need_cpl0(c);
    uint64_t known = 1 | (x86_has_feature(c, X86_FEATURE_SSE) ? 2 : 0) | (x86_has_feature(c, X86_FEATURE_AVX) ? 4 : 0);
    if ((uint32_t)v->g[RCX] || value & ~known || !(value & 1) || (value & 6) == 4)
        x86_raise_gp(c);
    c->xcr0 = value;
    x86_update_mode(c);
}

X86_HELPER_VOID(fpu_check)
{
    X86Cpu *c = x86_cpu(v);
    if (a ? (c->cr0 & (CR0_TS | CR0_MP)) == (CR0_TS | CR0_MP) : c->cr0 & (CR0_TS | CR0_EM))
        x86_raise(c, X86_NM);
}
