/* SPDX-License-Identifier: MIT */
/* MRS, MSR and CPS: the special registers (DDI 0553, B5; DDI 0403, B5.2). */
#include "accel/tcg/softmmu.h"
#include "target/arm/helpers.h"
#include "target/arm/m/m.h"
#include "target/arm/models.h"

enum {
    SYSM_EPSR = 6,
    SYSM_MSP = 8,
    SYSM_PSP,
    SYSM_MSPLIM,
    SYSM_PSPLIM,
    SYSM_PRIMASK = 16,
    SYSM_BASEPRI,
    SYSM_BASEPRI_MAX,
    SYSM_FAULTMASK,
    SYSM_CONTROL,
    SYSM_SP_NS = 0x98,
    SYSM_NS = 0x80
};

static uint32_t read_banked(ArmM *m, unsigned sysm, bool secure)
{
    const ArmMBank *b = &m->b[secure];
    switch (sysm) {
    case SYSM_MSP: return arm_m_get_sp(m, secure, false);
    case SYSM_PSP: return arm_m_get_sp(m, secure, true);
    case SYSM_MSPLIM: return b->msplim;
    case SYSM_PSPLIM: return b->psplim;
    case SYSM_PRIMASK: return b->primask;
    case SYSM_BASEPRI:
    case SYSM_BASEPRI_MAX: return b->basepri;
    case SYSM_FAULTMASK: return b->faultmask;
    case SYSM_CONTROL: return arm_m_control(m, secure);
    default: return 0;
    }
}

/* Non-secure aliases: only Secure code has them; else they read as zero. */
static bool split_sysm(const ArmM *m, unsigned *sysm, bool *secure)
{
    *secure = m->secure;
    if (!(*sysm & SYSM_NS))
        return true;
    *sysm &= ~(unsigned)SYSM_NS;
    *secure = false;
    return m->secure;
}

ARM_HELPER(m_mrs)
{
    ArmCpu *c = arm_cpu(v);
    ArmM *m = c->m;
    unsigned sysm = a & 0xff;
    bool secure;
    vcpu_sync(v);
    if (sysm < 8) {
        uint32_t r = sysm & 4 ? 0 : arm_m_get_xpsr(c) & 0xf8000000;
        r |= !(sysm & 4) && c->has.dsp ? (c->ge & 15) << 16 : 0;
        return r | (sysm & 1 && arm_m_privileged(m) ? m->exc : 0);
    }
    if (sysm == SYSM_CONTROL)
        return arm_m_control(m, m->secure);
    if (!arm_m_privileged(m))
        return 0;
    if (sysm == SYSM_SP_NS)
        return m->secure ? arm_m_get_sp(m, false, !m->exc && m->b[M_NS].control & CONTROL_SPSEL) : 0;
    return split_sysm(m, &sysm, &secure) ? read_banked(m, sysm, secure) : 0;
}

static void set_sp_checked(ArmM *m, bool secure, bool psp, uint32_t value)
{
    uint32_t limit = psp ? m->b[secure].psplim : m->b[secure].msplim;
    if (m->c->has.v8m && (value & ~3u) < limit)
        arm_m_raise(m->c, M_EXC_USAGE, UFSR_STKOF);
    arm_m_set_sp(m, secure, psp, value);
}

static void write_banked(ArmM *m, unsigned sysm, bool secure, uint32_t value)
{
    ArmMBank *b = &m->b[secure];
    switch (sysm) {
    case SYSM_MSP: set_sp_checked(m, secure, false, value); break;
    case SYSM_PSP: set_sp_checked(m, secure, true, value); break;
    case SYSM_MSPLIM: b->msplim = m->c->has.v8m ? value & ~7u : 0; break;
    case SYSM_PSPLIM: b->psplim = m->c->has.v8m ? value & ~7u : 0; break;
    case SYSM_PRIMASK: b->primask = value & 1; break;
    case SYSM_BASEPRI: b->basepri = arm_m_has_main(m) ? value & m->prio_mask : 0; break;
    case SYSM_BASEPRI_MAX:
        value &= m->prio_mask;
        if (arm_m_has_main(m) && value && (!b->basepri || value < b->basepri))
            b->basepri = value;
        break;
    case SYSM_FAULTMASK:
        if (arm_m_has_main(m) && (!(value & 1) || arm_m_exec_priority(m) > -1))
            b->faultmask = value & 1;
        break;
    }
}

ARM_HELPER_VOID(m_msr)
{
    ArmCpu *c = arm_cpu(v);
    ArmM *m = c->m;
    unsigned sysm = a & 0xff;
    uint32_t value = (uint32_t)b;
    bool secure;
    vcpu_sync(v);
    if (sysm < 8) {
        if (!(sysm & 4))
            arm_m_set_xpsr(c, value, (a3 & 2 ? 0xf8000000u : 0) | (a3 & 1 ? 0xf0000u : 0));
        return;
    }
    if (!arm_m_privileged(m))
        return;
    if (sysm == SYSM_SP_NS) {
        if (m->secure)
            set_sp_checked(m, false, !m->exc && m->b[M_NS].control & CONTROL_SPSEL, value);
        return;
    }
    if (!split_sysm(m, &sysm, &secure))
        return;
    if (sysm == SYSM_CONTROL) {
        arm_m_set_control(m, secure, value);
    } else if (sysm >= SYSM_PRIMASK) {
        arm_m_lock(m);
        write_banked(m, sysm, secure, value);
        arm_m_unlock(m);
    } else {
        write_banked(m, sysm, secure, value);
    }
    arm_m_changed(m);
}

ARM_HELPER_VOID(m_cps)
{
    ArmM *m = arm_cpu(v)->m;
    ArmMBank *bank = arm_m_bank(m);
    if (!arm_m_privileged(m))
        return;
    arm_m_lock(m);
    if (b & 2)
        bank->primask = a & 1;
    if (b & 1 && arm_m_has_main(m) && (!(a & 1) || arm_m_exec_priority(m) > -1))
        bank->faultmask = a & 1;
    arm_m_unlock(m);
    arm_m_changed(m);
}

ARM_HELPER_VOID(m_sp_limit)
{
    ArmM *m = arm_cpu(v)->m;
    if ((uint32_t)a < arm_m_sp_limit(m))
        arm_m_raise(m->c, M_EXC_USAGE, UFSR_STKOF);
}
