/* SPDX-License-Identifier: MIT */
/*
 * Return from exceptions with tail-chaining, and from Non-secure functions (DDI 0553, B3.21, B3.25; DDI 0403, B1.5.8).
 */
#include "base/log.h"
#include "target/arm/m/m.h"

typedef struct Return {
    uint32_t value;      /* EXC_RETURN */
    bool thread, psp, fp, frame_secure;
} Return;

static void return_fault(ArmM *m, uint32_t lr, unsigned exc, uint32_t bits)
{
    if (!arm_m_pend_sync(m, exc, bits, m->secure))
        arm_m_lockup(m, "a bad EXC_RETURN at the priority of HardFault or above");
    else
        arm_m_chain(m, lr);
}

/* Leave the handler: its active bit, FAULTMASK. */
static void leave_handler(ArmM *m, bool handler_secure)
{
    unsigned exc = m->exc;
    arm_m_lock(m);
    if (exc != M_EXC_NMI)
        m->b[handler_secure].faultmask = 0;
    arm_m_deactivate(m, exc, handler_secure);
    arm_m_unlock(m);
}

/* EXC_RETURN itself, before anything changes. 0: good; else the fault's bits. */
static uint32_t check_return(ArmM *m, Return *r, bool handler_secure)
{
    uint32_t value = r->value;
    r->thread = value & EXC_RETURN_MODE;
    r->psp = value & EXC_RETURN_SPSEL;
    r->fp = !(value & EXC_RETURN_FTYPE);
    r->frame_secure = m->c->has.m_security && value & EXC_RETURN_S;
    arm_m_lock(m);
    bool active = arm_m_is_active(m, m->exc, handler_secure);
    unsigned nested = arm_m_active_count(m);
    arm_m_unlock(m);
    if (!active || (value & 0x00ffff00) != 0x00ffff00)
        return UFSR_INVPC;
    if (m->c->has.v8m)
        return value & 0x82 ? value & 2 ? UFSR_INVPC : 0 : UFSR_INVPC;
    if ((value & 0xe0) != 0xe0 || (r->fp && !m->c->has.m_fpu))
        return UFSR_INVPC;
    switch (value & 15) {
    case 1: return nested == 1 ? UFSR_INVPC : 0;                              /* Handler, but nothing else is active */
    case 9:
    case 13: return nested != 1 && !(m->b[M_NS].ccr & CCR_NONBASETHRDENA) && !m->c->has.v6m ? UFSR_INVPC : 0;
    default: return UFSR_INVPC;
    }
}

static void pop_callee(ArmM *m, ArmMFrame *f, const Return *r, uint32_t *frame)
{
    uint32_t words[10];
    arm_m_frame_read(m, f, *frame, words, 10);
    if (f->failed)
        return;
    if (words[0] != (M_FRAME_INTEGRITY | !!(r->value & EXC_RETURN_FTYPE))) {
        arm_m_frame_fault(m, f, M_EXC_SECURE, SFSR_INVIS, false, 0);
        return;
    }
    for (unsigned i = 0; i < 8; i++)
        m->c->v.g[4 + i] = words[2 + i];
    *frame += M_FRAME_CALLEE;
}

static void pop_fp(ArmM *m, ArmMFrame *f, uint32_t frame, bool all)
{
    bool to_secure;
    uint32_t *fpccr = &m->b[m->secure].fpccr;
    if (*fpccr & FPCCR_LSPACT) {
        *fpccr &= ~(uint32_t)FPCCR_LSPACT; /* the registers still hold it */
        return;
    }
    if (!arm_m_fp_accessible(m, m->secure, f->privileged, &to_secure)) {
        f->secure = to_secure;
        arm_m_frame_fault(m, f, M_EXC_USAGE, UFSR_NOCP, false, 0);
        return;
    }
    arm_m_fp_load(m, f, frame + M_FRAME_BASIC, all);
}

/* The exception number in the frame fits the mode returned to. */
static bool check_xpsr(const Return *r, uint32_t xpsr)
{
    unsigned exc = xpsr & 0x1ff;
    return r->thread ? !exc : exc != 0;
}

static void finish_return(ArmM *m, const Return *r, const uint32_t words[8])
{
    ArmCpu *c = m->c;
    c->v.g[0] = words[0];
    c->v.g[1] = words[1];
    c->v.g[2] = words[2];
    c->v.g[3] = words[3];
    c->v.g[12] = words[4];
    c->v.g[14] = words[5];
    c->v.pc = words[6] & ~1u;
    arm_m_set_xpsr(c, words[7], 0xff0ffdff);
    if (c->has.m_fpu) {
        m->b[M_NS].control = (m->b[M_NS].control & ~(uint32_t)CONTROL_FPCA) | (r->fp ? CONTROL_FPCA : 0);
        if (m->secure)
            m->b[M_S].control = (m->b[M_S].control & ~(uint32_t)CONTROL_SFPA) | (words[7] >> 20 & 1 ? CONTROL_SFPA : 0);
    }
    c->excl_addr = ~UINT64_C(0);
    m->event = true;
}

static void unstack(ArmM *m, const Return *r, uint32_t lr)
{
    ArmCpu *c = m->c;
    uint32_t sp = (uint32_t)c->v.g[ARM_R13], frame = sp, words[8];
    ArmMFrame f = { .secure = m->secure,
                    .neg = arm_m_negative_priority(m),
                    .mm = MMFSR_MUNSTKERR,
                    .bus = BFSR_UNSTKERR,
                    .sec = SFSR_AUVIOL };
    f.privileged = !r->thread || !(m->b[m->secure].control & CONTROL_NPRIV);
    if (r->frame_secure && (!(r->value & EXC_RETURN_ES) || !(r->value & EXC_RETURN_DCRS)))
        pop_callee(m, &f, r, &frame);
    arm_m_frame_read(m, &f, frame, words, 8);
    if (!f.failed && !check_xpsr(r, words[7]))
        arm_m_frame_fault(m, &f, M_EXC_USAGE, UFSR_INVPC, false, 0);
    bool all = r->fp && m->secure && m->b[M_S].fpccr & FPCCR_TS;
    if (r->fp && !f.failed)
        pop_fp(m, &f, frame, all);
    if (f.failed) {
        if (f.lockup)
            arm_m_lockup(m, "a fault while unstacking at the priority of HardFault or above");
        else
            arm_m_chain(m, lr);
        return;
    }
    frame += all ? M_FRAME_FP_ALL : r->fp ? M_FRAME_FP : M_FRAME_BASIC;
    if (words[7] >> 9 & 1 && (m->c->has.v8m || r->fp || m->b[M_NS].ccr & CCR_STKALIGN))
        frame |= 4;
    c->v.g[ARM_R13] = frame;
    finish_return(m, r, words);
}

static void restore_spsel(ArmM *m, bool secure, bool psp)
{
    uint32_t *control = &m->b[secure].control;
    *control = (*control & ~(uint32_t)CONTROL_SPSEL) | (psp ? CONTROL_SPSEL : 0);
}

/* The mode and stack that the frame belongs to; PRIMASK and so on stay. */
static void switch_back(ArmM *m, const Return *r)
{
    arm_m_lock(m);
    arm_m_sp_out(m);
    m->exc = r->thread ? 0 : 1; /* unstacking gives the number */
    if (m->c->has.v8m)
        m->secure = r->frame_secure;
    if (!m->c->has.v8m)
        restore_spsel(m, false, r->psp);
    arm_m_sp_in(m);
    arm_m_unlock(m);
}

void arm_m_exception_return(ArmM *m, uint32_t value)
{
    ArmCpu *c = m->c;
    Return r = { .value = value };
    bool handler_secure = arm_m_exc_secure(m, m->exc, m->secure);
    uint32_t lr = 0xf0000000u | (value & 0x0fffffff), inver = 0;
    if (m->c->has.m_security) {
        lr = value | 0xff000000u;
        if (!m->secure && (value & EXC_RETURN_ES || !(value & EXC_RETURN_DCRS)))
            inver = SFSR_INVER, lr &= ~(uint32_t)EXC_RETURN_ES;
        if (m->secure && !(value & EXC_RETURN_ES))
            handler_secure = false;
    }
    uint32_t bad = check_return(m, &r, handler_secure);
    leave_handler(m, handler_secure);
    if (bad || inver) {
        return_fault(m, lr, bad ? M_EXC_USAGE : M_EXC_SECURE, bad ? bad : inver);
        return;
    }
    if (m->c->has.v8m) /* in Handler mode: the SP in use is MSP all the same */
        restore_spsel(m, handler_secure, r.psp);
    arm_m_lock(m);
    arm_m_update(m);
    bool next = m->can_take;
    arm_m_unlock(m);
    if (next) { /* tail-chaining */
        arm_m_chain(m, value);
        return;
    }
    if (c->has.m_fpu && m->b[m->secure].fpccr & FPCCR_CLRONRET && !(m->b[m->secure].fpccr & FPCCR_LSPACT) &&
        m->b[M_NS].control & CONTROL_FPCA)
        arm_m_fp_clear(m, false);
    unsigned was = m->exc;
    bool was_secure = m->secure;
    switch_back(m, &r);
    unstack(m, &r, lr);
    log_printf(LOG_INT, "cpu %u: return from exception %u to 0x%08x\n", c->v.index, was, (uint32_t)c->v.pc);
    arm_m_changed(m);
    if (r.thread && !m->exc && m->b[was_secure].scr & SCR_SLEEPONEXIT) {
        m->wfe = false;
        c->v.halted = true;
        atomic_store(&c->v.exit_request, 1);
    }
}

/* v8-M: back into Secure code that called a Non-secure function (FunctionReturn()). */
void arm_m_function_return(ArmM *m)
{
    ArmCpu *c = m->c;
    bool psp = !m->exc && m->b[M_S].control & CONTROL_SPSEL;
    uint32_t frame = arm_m_get_sp(m, true, psp), words[2];
    ArmMFrame f = { .secure = true,
                    .privileged = m->exc || !(m->b[M_S].control & CONTROL_NPRIV),
                    .neg = arm_m_negative_priority(m),
                    .mm = MMFSR_DACCVIOL,
                    .bus = BFSR_PRECISERR,
                    .sec = SFSR_AUVIOL };
    arm_m_frame_read(m, &f, frame, words, 2);
    unsigned exc = words[1] & 0x1ff;
    bool fits = m->exc == 0 ? exc == 0 : m->exc == 1 && exc;
    if (!f.failed && !fits)
        arm_m_frame_fault(m, &f, M_EXC_USAGE, UFSR_INVPC, false, 0);
    if (f.failed) {
        if (f.lockup)
            arm_m_lockup(m, "a bad FNC_RETURN at the priority of HardFault or above");
        else
            arm_m_enter(m);
        return;
    }
    arm_m_set_sp(m, true, psp, frame + 8);
    arm_m_lock(m);
    arm_m_sp_out(m);
    m->secure = true;
    m->exc = (uint16_t)exc;
    m->b[M_S].control = (m->b[M_S].control & ~(uint32_t)CONTROL_SFPA) | (words[1] >> 20 & 1 ? CONTROL_SFPA : 0);
    arm_m_sp_in(m);
    arm_m_unlock(m);
    c->v.pc = words[0] & ~1u;
    c->t32 = words[0] & 1;
    c->it = 0;
    arm_m_changed(m);
}
