/* SPDX-License-Identifier: MIT */
/*
 * FP context of M-profile: access checks, lazy preservation, VLSTM and VLLDM (DDI 0553, B3.20-B3.22; DDI 0403, B1.5.7).
 */
#include "target/arm/helpers.h"
#include "target/arm/m/m.h"

#define FPDSCR_BITS 0x07cf0000u /* AHP, DN, FZ, RMode, FZ16, LTPSIZE (always 4 there) */
#define FPDSCR_LTPSIZE 0x00040000u

bool arm_m_fp_accessible(const ArmM *m, bool secure, bool privileged, bool *to_secure)
{
    *to_secure = secure;
    if (!m->c->has.m_fpu)
        return false;
    unsigned cp10 = m->b[secure].cpacr >> 20 & 3;
    if (cp10 != 3 && !(cp10 == 1 && privileged))
        return false;
    if (m->c->has.m_security && !secure && !(m->nsacr >> 10 & 1)) {
        *to_secure = true;
        return false;
    }
    return true;
}

static uint32_t *s_reg(ArmM *m, unsigned n) { return &m->c->v.v[n / 4].u32[n % 4]; }

static void store_range(ArmM *m, ArmMFrame *f, uint32_t at, unsigned from)
{
    uint32_t words[16];
    for (unsigned i = 0; i < 16; i++)
        words[i] = *s_reg(m, from + i);
    arm_m_frame_write(m, f, at, words, 16);
}

void arm_m_fp_store(ArmM *m, ArmMFrame *f, uint32_t at, bool all)
{
    const uint32_t status[2] = { arm_get_fpscr(m->c), m->c->vpr };
    store_range(m, f, at, 0);
    arm_m_frame_write(m, f, at + 64, status, m->c->has.v8_1m ? 2 : 1);
    if (all)
        store_range(m, f, at + 72, 16);
}

static void load_range(ArmM *m, ArmMFrame *f, uint32_t at, unsigned from)
{
    uint32_t words[16];
    arm_m_frame_read(m, f, at, words, 16);
    for (unsigned i = 0; i < 16 && !f->failed; i++)
        *s_reg(m, from + i) = words[i];
}

void arm_m_fp_load(ArmM *m, ArmMFrame *f, uint32_t at, bool all)
{
    uint32_t status[2] = { 0, 0 };
    load_range(m, f, at, 0);
    arm_m_frame_read(m, f, at + 64, status, m->c->has.v8_1m ? 2 : 1);
    if (!f->failed) {
        arm_set_fpscr(m->c, status[0]);
        m->c->vpr = status[1];
    }
    if (all)
        load_range(m, f, at + 72, 16);
}

void arm_m_fp_clear(ArmM *m, bool all)
{
    for (unsigned i = 0; i < (all ? 32 : 16); i++)
        *s_reg(m, i) = 0;
    arm_set_fpscr(m->c, FPDSCR_LTPSIZE);
    m->c->vpr = 0;
}

/* Which faults could be taken at once: what a fault of the late save goes by (UpdateFPCCR()). */
void arm_m_fp_lazy_setup(ArmM *m, uint32_t frame, bool secure)
{
    ArmMBank *b = &m->b[secure];
    static const struct { unsigned exc; uint32_t bit;
    } ready[] = {
        { M_EXC_HARD, FPCCR_HFRDY },  { M_EXC_MEM, FPCCR_MMRDY },    { M_EXC_BUS, FPCCR_BFRDY },
        { M_EXC_USAGE, FPCCR_UFRDY }, { M_EXC_SECURE, FPCCR_SFRDY }, { M_EXC_DEBUG, FPCCR_MONRDY },
    };
    b->fpcar = frame & ~7u;
    b->fpccr &= ~(uint32_t)(FPCCR_USER | FPCCR_THREAD | FPCCR_HFRDY | FPCCR_MMRDY | FPCCR_BFRDY | FPCCR_UFRDY |
                            FPCCR_SFRDY | FPCCR_MONRDY | FPCCR_SPLIMVIOL);
    b->fpccr |= FPCCR_LSPACT | (arm_m_privileged(m) ? 0 : FPCCR_USER) | (m->exc ? 0 : FPCCR_THREAD);
    arm_m_lock(m);
    int now = arm_m_exec_priority(m);
    for (unsigned i = 0; i < ARRAY_LEN(ready); i++) {
        bool to = arm_m_exc_secure(m, ready[i].exc, secure);
        bool banked = ready[i].exc == M_EXC_MEM || ready[i].exc == M_EXC_USAGE;
        bool on = ready[i].exc == M_EXC_HARD ||
                  m->b[banked ? to : ready[i].exc == M_EXC_SECURE].sys[ready[i].exc].enabled;
        if (on && arm_m_exc_priority(m, ready[i].exc, to) < now)
            b->fpccr |= ready[i].bit;
    }
    arm_m_unlock(m);
    if (!m->c->has.m_security)
        return;
    m->b[M_S].fpccr = (m->b[M_S].fpccr & ~(uint32_t)FPCCR_S) | (secure ? FPCCR_S : 0);
}

/* Save what an exception entry has put off (PreserveFPState()). */
static void preserve(ArmM *m, bool secure)
{
    ArmMBank *b = &m->b[secure];
    bool all = secure && b->fpccr & FPCCR_TS;
    ArmMFrame f = { .secure = secure,
                    .privileged = !(b->fpccr & FPCCR_USER),
                    .neg = !(b->fpccr & FPCCR_HFRDY),
                    .mm = MMFSR_MLSPERR,
                    .bus = BFSR_LSPERR,
                    .sec = SFSR_LSPERR,
                    .lazy = true };
    arm_m_fp_store(m, &f, b->fpcar, all);
    if (f.failed)
        arm_m_raise(m->c, f.exc, f.bits);
    b->fpccr &= ~(uint32_t)FPCCR_LSPACT;
    if (all)
        arm_m_fp_clear(m, true);
}

ARM_HELPER_VOID(fp_context)
{
    ArmCpu *c = arm_cpu(v);
    ArmM *m = c->m;
    vcpu_sync(v);
    for (unsigned s = 0; s < 2; s++) {
        if (m->b[s].fpccr & FPCCR_LSPACT)
            preserve(m, s);
    }
    ArmMBank *bank = arm_m_bank(m);
    bool fresh = !(m->b[M_NS].control & CONTROL_FPCA) || (m->secure && !(m->b[M_S].control & CONTROL_SFPA));
    if (bank->fpccr & FPCCR_ASPEN && fresh) {
        uint32_t kept = c->has.v8m ? 0 : arm_get_fpscr(c) & ~FPDSCR_BITS;
        arm_set_fpscr(c, kept | (bank->fpdscr & FPDSCR_BITS) | FPDSCR_LTPSIZE);
        c->vpr = 0;
        m->b[M_NS].control |= CONTROL_FPCA;
        if (m->secure)
            m->b[M_S].control |= CONTROL_SFPA;
    }
    arm_m_changed(m);
}

/* --- FPCXT_NS and FPCXT_S: SFPA and FPSCR without flags in one word (D1.2.94, C2.4.442) --- */
enum { FPCXT_NS = 14, FPCXT_BITS = 0x0fffffff };

/* False: FPCXT_NS, and there is no FP context. Faults when the register is not accessible. */
static bool fpcxt_active(Vcpu *v, uint64_t which)
{
    ArmM *m = arm_cpu(v)->m;
    bool to_secure;
    vcpu_sync(v);
    if (!m->secure)
        arm_m_raise(m->c, M_EXC_USAGE, UFSR_UNDEFINSTR);
    if (which == FPCXT_NS && m->b[M_S].fpccr & FPCCR_ASPEN && !(m->b[M_NS].control & CONTROL_FPCA))
        return false;
    if (!arm_m_fp_accessible(m, true, arm_m_privileged(m), &to_secure))
        arm_m_raise(m->c, M_EXC_USAGE, UFSR_NOCP);
    arm_help_fp_context(v, 0, 0, 0);
    return true;
}

ARM_HELPER(m_fpcxt)
{
    ArmM *m = arm_cpu(v)->m;
    if (!fpcxt_active(v, a))
        return m->b[M_NS].fpdscr & FPDSCR_BITS;
    return (arm_get_fpscr(m->c) & FPCXT_BITS) | (m->b[M_S].control & CONTROL_SFPA ? 1u << 31 : 0);
}

ARM_HELPER_VOID(m_fpcxt_s_taken)
{
    ArmM *m = arm_cpu(v)->m;
    vcpu_sync(v);
    m->b[M_S].control &= ~(uint32_t)CONTROL_SFPA;
    arm_m_changed(m);
}

ARM_HELPER_VOID(m_set_fpcxt)
{
    ArmM *m = arm_cpu(v)->m;
    if (!fpcxt_active(v, a))
        return;
    arm_set_fpscr(m->c, (uint32_t)b & FPCXT_BITS);
    m->b[M_S].control = (m->b[M_S].control & ~(uint32_t)CONTROL_SFPA) | (b >> 31 & 1 ? CONTROL_SFPA : 0);
    arm_m_changed(m);
}

static void vlstm(ArmM *m, uint32_t addr)
{
    ArmMBank *b = &m->b[M_S];
    ArmMFrame f = { .secure = true,
                    .privileged = arm_m_privileged(m),
                    .mm = MMFSR_DACCVIOL,
                    .bus = BFSR_PRECISERR,
                    .sec = SFSR_AUVIOL,
                    .lazy = true };
    if (b->fpccr & FPCCR_LSPACT)
        arm_m_raise(m->c, M_EXC_SECURE, SFSR_LSERR);
    if (b->fpccr & FPCCR_LSPEN) {
        arm_m_fp_lazy_setup(m, addr, true);
    } else {
        arm_m_fp_store(m, &f, addr, b->fpccr & FPCCR_TS);
        if (f.failed)
            arm_m_raise(m->c, f.exc, f.bits);
        arm_m_fp_clear(m, b->fpccr & FPCCR_TS);
    }
    m->b[M_NS].control &= ~(uint32_t)CONTROL_FPCA;
}

static void vlldm(ArmM *m, uint32_t addr)
{
    ArmMBank *b = &m->b[M_S];
    ArmMFrame f = { .secure = true,
                    .privileged = arm_m_privileged(m),
                    .mm = MMFSR_DACCVIOL,
                    .bus = BFSR_PRECISERR,
                    .sec = SFSR_AUVIOL,
                    .lazy = true };
    if (b->fpccr & FPCCR_LSPACT) {
        b->fpccr &= ~(uint32_t)FPCCR_LSPACT;
    } else {
        arm_m_fp_load(m, &f, addr, b->fpccr & FPCCR_TS);
        if (f.failed)
            arm_m_raise(m->c, f.exc, f.bits);
    }
    m->b[M_NS].control |= CONTROL_FPCA;
}

ARM_HELPER_VOID(m_vlstm)
{
    ArmM *m = arm_cpu(v)->m;
    bool to_secure;
    vcpu_sync(v);
    if (!m->secure)
        arm_m_raise(m->c, M_EXC_USAGE, UFSR_UNDEFINSTR);
    if (!m->c->has.m_fpu || !(m->b[M_S].control & CONTROL_SFPA))
        return;
    if (!arm_m_fp_accessible(m, true, arm_m_privileged(m), &to_secure))
        arm_m_raise(m->c, M_EXC_USAGE, UFSR_NOCP);
    if (a & 7)
        arm_m_raise(m->c, M_EXC_USAGE, UFSR_UNALIGNED);
    if (b)
        vlldm(m, (uint32_t)a);
    else
        vlstm(m, (uint32_t)a);
    arm_m_changed(m);
}
