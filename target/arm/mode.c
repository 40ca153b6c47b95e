/* SPDX-License-Identifier: MIT */
/* What follows from the state: security, effective controls, mode bits; PSTATE and CPSR as a whole; AArch32's banks. */
#include "target/arm/m/m.h"
#include "target/arm/system.h"

/* --- security and effective controls --- */

bool arm_secure_below_el3(const ArmCpu *c) { return c->has.el3 ? !(c->scr_el3 & SCR_NS) : false; }

bool arm_secure(const ArmCpu *c)
{
    if (!c->has.el3)
        return false;
    return c->el == 3 || (!c->aarch64 && c->mode32 == ARM_MON) || arm_secure_below_el3(c);
}

bool arm_el2_enabled(const ArmCpu *c)
{
    return c->has.el2 && (!arm_secure_below_el3(c) || (c->has.secure_el2 && c->scr_el3 & SCR_EEL2));
}

/* DDI 0487, D19.2.48: with TGE the fields that route and trap EL1 read as set or clear. */
uint64_t arm_hcr(const ArmCpu *c)
{
    if (!c->has.el2 || !arm_el2_enabled(c))
        return 0;
    uint64_t h = c->hcr_el2;
    if (!c->has.vhe)
        h &= ~HCR_E2H;
    if (!(h & HCR_TGE))
        return h;
    if (h & HCR_E2H)
        h &= ~(HCR_VM | HCR_SWIO | HCR_PTW | HCR_FB | BIT(10) | BIT(11) | HCR_DC | HCR_TWI | HCR_TWE | HCR_TID0 |
               HCR_TID2 | HCR_TID3 | HCR_TPCP | HCR_TPU | HCR_TDZ | HCR_CD | HCR_ID | HCR_TID4 | HCR_TICAB | HCR_TOCU |
               HCR_TID5 | HCR_FMO | HCR_IMO | HCR_AMO);
    else
        h |= HCR_FMO | HCR_IMO | HCR_AMO;
    h &= ~(HCR_VF | HCR_VI | HCR_VSE | HCR_TID1 | HCR_TSC | HCR_TACR | HCR_TSW | HCR_TTLB | HCR_TVM | HCR_TRVM |
           HCR_TLOR | HCR_TTLBIS | HCR_TTLBOS);
    return h;
}

bool arm_el_is_aa64(const ArmCpu *c, unsigned el)
{
    if (!c->has.aarch64)
        return false;
    if (el == c->el)
        return c->aarch64;
    if (el == 3)
        return true;
    if (c->has.el3 && !(c->scr_el3 & SCR_RW) && !(el == 2 && arm_secure_below_el3(c)))
        return !c->has.aarch32_el1;
    if (el == 2)
        return true;
    if (arm_el2_enabled(c) && !(c->hcr_el2 & HCR_RW) && !arm_e2h_host(arm_hcr(c)))
        return !c->has.aarch32_el1;
    return true;
}

unsigned arm_bank32(const ArmCpu *c) { return c->has.el3 && !c->has.aarch64 && arm_secure(c) ? 3 : 1; }

static unsigned sctlr_el(const ArmCpu *c)
{
    if (c->el == 0)
        return arm_e2h_host(arm_hcr(c)) ? 2 : arm_bank32(c);
    return c->el == 3 || c->el == 2 ? c->el : arm_bank32(c);
}

uint64_t arm_sctlr(const ArmCpu *c) { return c->sctlr_el[sctlr_el(c)]; }

/* --- mode bits --- */

static unsigned bank_of(const ArmCpu *c, unsigned el)
{
    uint64_t hcr = arm_hcr(c);
    switch (el) {
    case 0: return arm_e2h_host(hcr) ? ARM_BANK_EL20_0 : ARM_BANK_EL0;
    case 1: return c->pan ? ARM_BANK_EL1_PAN : ARM_BANK_EL1;
    case 2: return c->pan && hcr & HCR_E2H ? ARM_BANK_EL2_PAN : ARM_BANK_EL2;
    default: return !c->has.aarch64 && c->pan ? ARM_BANK_EL1_PAN : ARM_BANK_EL3;
    }
}

/* LDTR and kin: as EL0 would, from EL1, and from EL2 under E2H and TGE; not with UAO. */
static unsigned ubank_of(const ArmCpu *c)
{
    bool host = arm_e2h_host(arm_hcr(c));
    if (c->aarch64 && c->uao)
        return bank_of(c, c->el);
    if (c->el == 1 || (c->el == 3 && !c->aarch64))
        return ARM_BANK_UNPRIV;
    return c->el == 2 && host ? ARM_BANK_EL20_0 : bank_of(c, c->el);
}

/* CPACR_EL1.{field} under what regime: trapped for this level? */
static bool cpacr_traps(const ArmCpu *c, unsigned shift)
{
    unsigned en = c->cpacr_el1 >> shift & 3;
    if (arm_e2h_host(arm_hcr(c)) || c->el >= 2)
        return false;
    return c->el == 0 ? en != 3 : !(en & 1);
}

/* CPTR_EL2, CPTR_EL3: bit of the non-E2H form, and the shift of the E2H form. */
static bool cptr_traps(const ArmCpu *c, unsigned bit, unsigned shift, unsigned el3_bit, bool el3_traps_when)
{
    uint64_t hcr = arm_hcr(c);
    if (c->el <= 2 && arm_el2_enabled(c)) {
        if (c->has.vhe && c->hcr_el2 & HCR_E2H) {
            unsigned en = c->cptr_el[2] >> shift & 3;
            if (c->el == 0 && hcr & HCR_TGE ? en != 3 : !(en & 1))
                return true;
        } else if (c->cptr_el[2] & BIT(bit)) {
            return true;
        }
    }
    return c->has.el3 && c->has.aarch64 && !!(c->cptr_el[3] & BIT(el3_bit)) == el3_traps_when;
}

bool arm_fp_trapped(const ArmCpu *c)
{
    if (c->aarch64 || c->has.aarch64) {
        if (cpacr_traps(c, 20) || cptr_traps(c, 10, 20, 10, true))
            return true;
        return !c->aarch64 && !(c->fpexc32_el2 & BIT(30));
    }
    if (c->has.v6 && !c->has.r_profile) { /* NSACR.cp10, CPACR.cp10 */
        if (c->has.el3 && !arm_secure(c) && c->has.v7 && !(c->nsacr & BIT(10)))
            return true;
        if (c->el == 2 || (c->el < 2 && arm_el2_enabled(c) && c->cptr_el[2] & BIT(10)))
            if (c->cptr_el[2] & BIT(10))
                return true;
    }
    if (c->has.v6 && c->el != 2) {
        unsigned en = c->cpacr_el1 >> 20 & 3;
        if (c->el == 0 ? en != 3 : !(en & 1))
            return true;
    }
    return !(c->fpexc32_el2 & BIT(30));
}

static uint64_t vector_mode(const ArmCpu *c)
{
    uint64_t m = arm_fp_trapped(c) ? ARM_MODE_FP_TRAP : 0;
    if (!c->has.sve || !c->aarch64)
        return m | (c->has.sve ? 0 : ARM_MODE_SVE_TRAP);
    if (cpacr_traps(c, 16) || cptr_traps(c, 8, 16, 8, false))
        m |= ARM_MODE_SVE_TRAP;
    return m | (uint64_t)arm_sve_vq(c) << ARM_MODE_VL_SHIFT;
}

void arm_sve_narrow(ArmCpu *c)
{
    unsigned bytes = 16 * (arm_sve_vq(c) + 1);
    for (unsigned n = 0; n < VCPU_VREGS && bytes < sizeof(VecReg); n++)
        memset(c->v.v[n].u8 + bytes, 0, sizeof(VecReg) - bytes);
    for (unsigned n = 0; n < ARRAY_LEN(c->pred) && bytes < 64; n++)
        c->pred[n][0] &= bits_mask(bytes);
    c->ffr[0] &= bits_mask(MIN(bytes, 64));
}

/* Vector length in 128-bit units - 1 (DDI 0487, CurrentVL). */
unsigned arm_sve_vq(const ArmCpu *c)
{
    unsigned vq = ARM_SVE_MAX_VQ - 1;
    uint64_t hcr = arm_hcr(c);
    if (c->el <= 1 && !arm_e2h_host(hcr))
        vq = MIN(vq, (unsigned)(c->zcr_el[1] & 15));
    if (c->el <= 2 && arm_el2_enabled(c))
        vq = MIN(vq, (unsigned)(c->zcr_el[2] & 15));
    if (c->has.el3)
        vq = MIN(vq, (unsigned)(c->zcr_el[3] & 15));
    while (vq && !(c->sve_lengths >> vq & 1))
        vq--;
    return vq;
}

static uint64_t fp_mode(const ArmCpu *c)
{
    uint64_t m = 0;
    m |= c->fpcr & (BIT(24) | BIT(19) | BIT(15) | 0x1f00) ? ARM_MODE_FP_SLOW : 0; /* FZ, FZ16, trap enables */
    m |= c->fpcr & BIT(25) ? ARM_MODE_FP_DN : 0;
    m |= (uint64_t)(c->fpcr >> 22 & 3) << ARM_MODE_FP_RMODE_SHIFT;
    if (!c->aarch64 && !c->m && c->fpcr & 0x00370000)
        m |= ARM_MODE_FPX | (uint64_t)(c->fpcr >> 16 & 7) << ARM_MODE_VLEN_SHIFT |
             (uint64_t)(c->fpcr >> 20 & 3) << (ARM_MODE_VLEN_SHIFT + 3);
    return m;
}

static uint64_t mode64(const ArmCpu *c)
{
    uint64_t sctlr = arm_sctlr(c), m = ARM_MODE_A64;
    m |= sctlr & (c->el ? SCTLR_EE : SCTLR_E0E) ? ARM_MODE_BE : 0;
    m |= sctlr & (c->el ? SCTLR_SA : SCTLR_SA0) ? ARM_MODE_SP_ALIGN : 0;
    m |= c->sp_sel ? ARM_MODE_SP_SEL : 0;
    if (c->has.bti && sctlr & (c->el ? SCTLR_BT1 : SCTLR_BT0))
        m |= ARM_MODE_BTI;
    if (c->has.mte2)
        m |= arm_mte_mode(c);
    return m;
}

static uint64_t mode32(const ArmCpu *c)
{
    uint64_t m = (uint64_t)c->it << ARM_MODE_IT_SHIFT;
    m |= c->t32 ? ARM_MODE_T32 : 0;
    m |= c->e ? ARM_MODE_BE : 0;
    m |= c->mode32 == ARM_HYP ? ARM_MODE_HYP32 : 0;
    return m;
}

void arm_update_mode(ArmCpu *c)
{
    if (c->m) {
        vcpu_set_mode(&c->v, arm_m_mode(c) | fp_mode(c));
        return;
    }
    uint64_t m = c->aarch64 ? mode64(c) : mode32(c);
    m |= (uint64_t)c->el << ARM_MODE_EL_SHIFT;
    m |= (uint64_t)bank_of(c, c->el) << ARM_MODE_BANK_SHIFT | (uint64_t)ubank_of(c) << ARM_MODE_UBANK_SHIFT;
    m |= arm_secure(c) ? ARM_MODE_SECURE : 0;
    m |= arm_sctlr(c) & SCTLR_A ? ARM_MODE_ALIGN : 0;
    if (!c->has.v7 && !c->has.m_profile && !c->has.aarch64 &&
        !(arm_sctlr(c) & (c->has.v6 ? SCTLR_A | SCTLR_U : SCTLR_A)))
        m |= ARM_MODE_OLD_ALIGN;
    m |= c->il ? ARM_MODE_IL : 0;
    m |= vector_mode(c) | fp_mode(c) | arm_debug_mode(c) | arm_fgt_mode(c);
    bool moved = c->has.el3 && (m ^ c->v.mode) & (ARM_MODE_SECURE | UINT64_C(3) << ARM_MODE_EL_SHIFT);
    vcpu_set_mode(&c->v, m);
    const CpuIntcOps *o = c->v.port.intc_ops;
    if (moved && o && o->state_changed)
        o->state_changed(c->v.port.intc, c->el, arm_secure(c));
}

void arm_take_state(ArmCpu *c)
{
    vcpu_sync(&c->v);
    c->v.call_site = 0;
}

/* --- flags, PSTATE, CPSR --- */

uint32_t arm_get_nzcv(const ArmCpu *c)
{
    uint32_t f = flags_eval(&c->v.fl);
    return (f & FLAG_S ? 1u << 31 : 0) | (f & FLAG_Z ? 1u << 30 : 0) | (f & FLAG_C ? 0 : 1u << 29) |
           (f & FLAG_O ? 1u << 28 : 0);
}

void arm_set_nzcv(ArmCpu *c, uint32_t n)
{
    flags_set_explicit(&c->v, (n >> 31 & 1 ? FLAG_S : 0) | (n >> 30 & 1 ? FLAG_Z : 0) | (n >> 29 & 1 ? 0 : FLAG_C) |
                                  (n >> 28 & 1 ? FLAG_O : 0));
}

uint32_t arm_get_cpsr(const ArmCpu *c)
{
    uint32_t r = arm_get_nzcv(c) | (c->daif & 0x1c0) | c->mode32;
    r |= (c->q ? 1u << 27 : 0) | (c->ge & 15) << 16 | (c->j ? 1u << 24 : 0) | (c->t32 ? 1u << 5 : 0) |
         (c->e ? 1u << 9 : 0);
    r |= (uint32_t)(c->it & 3) << 25 | (uint32_t)(c->it >> 2) << 10;
    r |= (c->pan ? 1u << 22 : 0) | (c->dit ? 1u << 21 : 0) | (c->ssbs ? 1u << 23 : 0) | (c->il ? 1u << 20 : 0);
    return r;
}

uint64_t arm_get_pstate(const ArmCpu *c)
{
    if (!c->aarch64)
        return (arm_get_cpsr(c) & ~UINT32_C(0x200000)) | (c->ss ? BIT(21) : 0) | (c->dit ? BIT(24) : 0);
    uint64_t r = arm_get_nzcv(c) | c->daif | (uint64_t)c->el << 2 | c->sp_sel | (uint64_t)c->btype << 10;
    r |= (c->pan ? BIT(22) : 0) | (c->uao ? BIT(23) : 0) | (c->dit ? BIT(24) : 0) | (c->tco ? BIT(25) : 0) |
         (c->ssbs ? BIT(12) : 0);
    return r | (c->ss ? BIT(21) : 0) | (c->il ? BIT(20) : 0);
}

/* --- AArch32 banks --- */

unsigned arm_bank_index(unsigned mode)
{
    switch (mode) {
    case ARM_FIQ: return ARM_BANKED_FIQ;
    case ARM_IRQ: return ARM_BANKED_IRQ;
    case ARM_SVC: return ARM_BANKED_SVC;
    case ARM_MON: return ARM_BANKED_MON;
    case ARM_ABT: return ARM_BANKED_ABT;
    case ARM_HYP: return ARM_BANKED_HYP;
    case ARM_UND: return ARM_BANKED_UND;
    default: return ARM_BANKED_USR;
    }
}

/* Hyp shares LR_usr */
static unsigned lr_bank(unsigned bank) { return bank == ARM_BANKED_HYP ? ARM_BANKED_USR : bank; }

unsigned arm_mode32_el(const ArmCpu *c, unsigned mode)
{
    switch (mode) {
    case ARM_USR: return 0;
    case ARM_HYP: return 2;
    case ARM_MON: return 3;
    default: return c->has.el3 && !c->has.aarch64 && arm_secure_below_el3(c) ? 3 : 1;
    }
}

void arm_switch_mode32(ArmCpu *c, unsigned mode)
{
    unsigned from = arm_bank_index(c->mode32), to = arm_bank_index(mode);
    uint64_t *g = c->v.g;
    if (from != to) {
        c->r13_bank[from] = (uint32_t)g[13];
        c->r14_bank[lr_bank(from)] = (uint32_t)g[14];
        for (unsigned i = 0; i < 5 && (from == ARM_BANKED_FIQ || to == ARM_BANKED_FIQ); i++) {
            uint32_t *out = from == ARM_BANKED_FIQ ? c->r8_fiq : c->r8_usr,
                     *in = to == ARM_BANKED_FIQ ? c->r8_fiq : c->r8_usr;
            out[i] = (uint32_t)g[8 + i];
            g[8 + i] = in[i];
        }
        g[13] = c->r13_bank[to];
        g[14] = c->r14_bank[lr_bank(to)];
    }
    c->mode32 = (uint8_t)mode;
    c->el = (uint8_t)arm_mode32_el(c, mode);
}

void arm_set_cpsr(ArmCpu *c, uint32_t value, uint32_t mask)
{
    if (mask & 0xf0000000)
        arm_set_nzcv(c, (arm_get_nzcv(c) & ~mask) | (value & mask));
    if (mask & 1u << 27)
        c->q = value >> 27 & 1;
    if (mask & 0xf0000)
        c->ge = (c->ge & ~(mask >> 16)) | (value >> 16 & mask >> 16 & 15);
    if (mask & 1u << 24)
        c->j = value >> 24 & 1;
    if (mask & 1u << 5)
        c->t32 = value >> 5 & 1;
    if (mask & 1u << 9)
        c->e = value >> 9 & 1;
    if (mask & 0x0600fc00)
        c->it = (uint8_t)((value >> 25 & 3) | (value >> 10 & 0x3f) << 2);
    if (mask & 1u << 22 && c->has.pan)
        c->pan = value >> 22 & 1;
    if (mask & 1u << 21 && c->has.dit)
        c->dit = value >> 21 & 1;
    if (mask & 1u << 23 && c->has.ssbs)
        c->ssbs = value >> 23 & 1;
    if (mask & 1u << 20)
        c->il = value >> 20 & 1;
    c->daif = (c->daif & ~(mask & 0x1c0)) | (value & mask & 0x1c0);
    if (mask & 0x1f && (value & 0x1f) != c->mode32)
        arm_switch_mode32(c, value & 0x1f);
    arm_update_mode(c);
    arm_poll_soon(c);
}
