/* SPDX-License-Identifier: MIT */
/* M-profile registers: stack pointers, xPSR, CONTROL, masks; creation, reset, mode bits, saved state. */
#include "accel/tcg/softmmu.h"
#include "target/arm/helpers.h"
#include "target/arm/m/m.h"
#include "target/arm/models.h"

/* --- stack pointers and state --- */

bool arm_m_uses_psp(const ArmM *m) { return !m->exc && m->b[m->secure].control & CONTROL_SPSEL; }
bool arm_m_privileged(const ArmM *m) { return m->exc || !(m->b[m->secure].control & CONTROL_NPRIV); }

static uint32_t *sp_slot(const ArmM *m, bool secure, bool psp)
{
    ArmM *w = (ArmM *)m;
    return psp ? &w->b[secure].psp : &w->b[secure].msp;
}

static bool sp_in_use(const ArmM *m, bool secure, bool psp) { return secure == m->secure && psp == arm_m_uses_psp(m); }

uint32_t arm_m_get_sp(const ArmM *m, bool secure, bool psp)
{
    return sp_in_use(m, secure, psp) ? (uint32_t)m->c->v.g[ARM_R13] : *sp_slot(m, secure, psp);
}

void arm_m_set_sp(ArmM *m, bool secure, bool psp, uint32_t value)
{
    value &= ~3u;
    if (sp_in_use(m, secure, psp))
        m->c->v.g[ARM_R13] = value;
    else
        *sp_slot(m, secure, psp) = value;
}

void arm_m_sp_out(ArmM *m) { *sp_slot(m, m->secure, arm_m_uses_psp(m)) = (uint32_t)m->c->v.g[ARM_R13]; }
void arm_m_sp_in(ArmM *m) { m->c->v.g[ARM_R13] = *sp_slot(m, m->secure, arm_m_uses_psp(m)); }

uint32_t arm_m_sp_limit(const ArmM *m)
{
    const ArmMBank *b = &m->b[m->secure];
    return arm_m_uses_psp(m) ? b->psplim : b->msplim;
}

uint32_t arm_m_get_xpsr(const ArmCpu *c)
{
    uint32_t r = arm_get_nzcv(c) | (uint32_t)!!c->q << 27 | (c->ge & 15) << 16 | (uint32_t)c->t32 << 24 | c->m->exc;
    return r | (uint32_t)(c->it & 3) << 25 | (uint32_t)(c->it >> 2) << 10;
}

void arm_m_set_xpsr(ArmCpu *c, uint32_t value, uint32_t mask)
{
    if (mask & 0xf0000000)
        arm_set_nzcv(c, (arm_get_nzcv(c) & ~mask) | (value & mask));
    if (mask & 1u << 27)
        c->q = value >> 27 & 1;
    if (mask & 0xf0000 && c->has.dsp)
        c->ge = value >> 16 & 15;
    if (mask & 1u << 24)
        c->t32 = value >> 24 & 1;
    if (mask & 0x0600fc00)
        c->it = (uint8_t)((value >> 25 & 3) | (value >> 10 & 0x3f) << 2);
    if (mask & 0x1ff) {
        arm_m_sp_out(c->m);
        c->m->exc = value & 0x1ff;
        arm_m_sp_in(c->m);
    }
}

uint32_t arm_m_control(const ArmM *m, bool secure)
{
    uint32_t r = (m->b[secure].control & (CONTROL_NPRIV | CONTROL_SPSEL)) | (m->b[M_NS].control & CONTROL_FPCA);
    return secure ? r | (m->b[M_S].control & CONTROL_SFPA) : r;
}

/* MSR CONTROL, privileged. */
void arm_m_set_control(ArmM *m, bool secure, uint32_t value)
{
    arm_m_sp_out(m);
    /* an extension of v6-M (DDI 0419, B1.3.1), which the M0 lacks */
    bool unprivileged = m->c->has.v7m || m->c->has.v8m || m->mpu_regions;
    uint32_t writable = (unprivileged ? CONTROL_NPRIV : 0) | (m->exc && !m->c->has.v8m ? 0 : CONTROL_SPSEL);
    m->b[secure].control = (m->b[secure].control & ~writable) | (value & writable);
    if (m->c->has.m_fpu) {
        m->b[M_NS].control = (m->b[M_NS].control & ~(uint32_t)CONTROL_FPCA) | (value & CONTROL_FPCA);
        if (m->secure)
            m->b[M_S].control = (m->b[M_S].control & ~(uint32_t)CONTROL_SFPA) | (value & CONTROL_SFPA);
    }
    arm_m_sp_in(m);
}

void arm_m_changed(ArmM *m)
{
    arm_m_lock(m);
    arm_m_update(m);
    arm_m_unlock(m);
    arm_update_mode(m->c);
    arm_poll_soon(m->c);
}

/* --- mode bits --- */

static bool context_pending(const ArmM *m)
{
    bool fpca = m->b[M_NS].control & CONTROL_FPCA;
    if ((m->b[M_NS].fpccr | m->b[M_S].fpccr) & FPCCR_LSPACT)
        return true;
    return m->b[m->secure].fpccr & FPCCR_ASPEN && (!fpca || (m->secure && !(m->b[M_S].control & CONTROL_SFPA)));
}

uint64_t arm_m_mode(const ArmCpu *c)
{
    ArmM *m = c->m;
    bool privileged = arm_m_privileged(m), to_secure;
    uint64_t r = ARM_MODE_T32 | ARM_MODE_M | (uint64_t)c->it << ARM_MODE_IT_SHIFT;
    arm_m_lock(m);
    bool neg = privileged && arm_m_exec_priority(m) < 0;
    arm_m_unlock(m);
    static const uint8_t banks[2][3] = { { ARM_BANK_M_USER, ARM_BANK_M_PRIV, ARM_BANK_M_NEG },
                                         { ARM_BANK_M_S_USER, ARM_BANK_M_S_PRIV, ARM_BANK_M_S_NEG } };
    r |= (uint64_t)banks[m->secure][neg ? 2 : privileged] << ARM_MODE_BANK_SHIFT | (uint64_t)banks[m->secure][0]
                                                                                       << ARM_MODE_UBANK_SHIFT;
    r |= (uint64_t)privileged << ARM_MODE_EL_SHIFT;
    r |= m->secure ? ARM_MODE_SECURE : 0;
    r |= !arm_m_fp_accessible(m, m->secure, privileged, &to_secure) ? ARM_MODE_FP_TRAP : 0;
    r |= ARM_MODE_SVE_TRAP;
    r |= c->has.m_fpu && context_pending(m) ? ARM_MODE_FP_CONTEXT : 0;
    r |= m->b[m->secure].ccr & CCR_UNALIGN_TRP || !c->has.v7m ? ARM_MODE_ALIGN : 0;
    r |= c->t32 ? 0 : ARM_MODE_IL;
    r |= c->has.m_mve_int && c->ltpsize != 4 ? ARM_MODE_MVE_TAIL : 0;
    return r;
}

MemAttrs arm_m_attrs(const Vcpu *v)
{
    const ArmM *m = arm_cpu_const(v)->m;
    return (MemAttrs){ .cpu = v->index & 0xffff, .secure = m->secure, .user = !arm_m_privileged(m) };
}

/* --- security state changes (DDI 0553, BLXNS, BXNS, SG) --- */

static void set_secure(ArmM *m, bool secure)
{
    arm_m_lock(m);
    arm_m_sp_out(m);
    m->secure = secure;
    arm_m_sp_in(m);
    arm_m_unlock(m);
}

ARM_HELPER_VOID(m_bx)
{
    ArmCpu *c = arm_cpu(v);
    ArmM *m = c->m;
    uint32_t target = (uint32_t)a;
    vcpu_sync(v);
    if (m->exc && target >> (c->has.v8m ? 24 : 28) == (c->has.v8m ? 0xffu : 0xfu)) {
        c->it = 0;
        arm_m_exception_return(m, target);
        return;
    }
    if (c->has.m_security && target >> 1 == 0xfefffffeu >> 1) {
        arm_m_function_return(m);
        return;
    }
    c->it = 0;
    c->t32 = target & 1;
    v->pc = target & ~1u;
    arm_update_mode(c);
}

/* A branch into Non-secure state. */
static void leave_secure(ArmM *m, uint32_t target)
{
    m->b[M_S].control &= ~(uint32_t)CONTROL_SFPA;
    set_secure(m, false);
    m->c->it = 0;
    m->c->t32 = true;
    m->c->v.pc = target & ~1u;
    arm_m_changed(m);
}

ARM_HELPER_VOID(m_bxns)
{
    ArmM *m = arm_cpu(v)->m;
    vcpu_sync(v);
    if (!m->secure)
        arm_m_raise(m->c, M_EXC_USAGE, UFSR_UNDEFINSTR);
    if ((uint32_t)a & 1 || (m->exc && (uint32_t)a >> 24 == 0xff))
        arm_help_m_bx(v, a, 0, 0);
    else
        leave_secure(m, (uint32_t)a);
}

ARM_HELPER_VOID(m_blxns)
{
    ArmCpu *c = arm_cpu(v);
    ArmM *m = c->m;
    vcpu_sync(v);
    if (!m->secure)
        arm_m_raise(c, M_EXC_USAGE, UFSR_UNDEFINSTR);
    if ((uint32_t)a & 1) {
        v->g[ARM_R14] = (uint32_t)b | 1;
        arm_help_m_bx(v, a, 0, 0);
        return;
    }
    uint32_t sp = (uint32_t)v->g[ARM_R13] - 8;
    const uint32_t words[2] = { (uint32_t)b | 1, m->exc | (m->b[M_S].control & CONTROL_SFPA ? 1u << 20 : 0) };
    ArmMFrame f = { .secure = true,
                    .privileged = arm_m_privileged(m),
                    .mm = MMFSR_DACCVIOL,
                    .bus = BFSR_PRECISERR,
                    .sec = SFSR_AUVIOL,
                    .lazy = true };
    if (sp < arm_m_sp_limit(m))
        arm_m_raise(c, M_EXC_USAGE, UFSR_STKOF);
    arm_m_frame_write(m, &f, sp, words, 2);
    if (f.failed)
        arm_m_raise(c, f.exc, f.bits);
    v->g[ARM_R13] = sp;
    v->g[ARM_R14] = 0xfeffffff;
    if (m->exc) {
        arm_m_lock(m);
        m->exc = 1; /* the Non-secure side does not learn which */
        arm_m_unlock(m);
    }
    leave_secure(m, (uint32_t)a);
}

ARM_HELPER_VOID(m_sg)
{
    ArmCpu *c = arm_cpu(v);
    ArmM *m = c->m;
    vcpu_sync(v);
    v->pc = (uint32_t)a + 4;
    if (m->secure || !c->has.m_security || !arm_m_security(m, (uint32_t)a).nsc)
        return;
    set_secure(m, true);
    v->g[ARM_R14] &= ~UINT64_C(1);
    c->it = 0;
    arm_m_changed(m);
}

bool arm_m_callable(const Vcpu *v, uint32_t addr) { return arm_m_security(arm_cpu_const(v)->m, addr).nsc; }
ARM_HELPER_VOID(m_invep) { arm_m_raise(arm_cpu(v), M_EXC_SECURE, SFSR_INVEP); }

/* --- creation, reset, state --- */

void arm_m_create(ArmCpu *c, const ArmBoardCpus *board)
{
    ArmM *m = g_new0(ArmM, 1);
    unsigned prio_bits = board->m_prio_bits ? board->m_prio_bits : c->has.v7m ? 4 : 2;
    c->m = m;
    m->c = c;
    pthread_mutex_init(&m->lock, NULL);
    m->irqs = MIN(board->m_irqs ? board->m_irqs : 32, (unsigned)M_IRQS);
    m->mpu_regions = MIN(board->m_mpu_regions ? board->m_mpu_regions : c->model->mpu_regions, (unsigned)M_MPU_REGIONS);
    m->sau_regions = !c->has.m_security ? 0
                                        : MIN(board->m_sau_regions ? board->m_sau_regions : 8, (unsigned)M_SAU_REGIONS);
    m->ns_window = board->m_ns_window;
    m->prio_mask = (uint8_t)(0xff00 >> prio_bits);
    m->init_vtor[M_NS] = c->has.m_security ? board->m_init_nsvtor : board->m_init_svtor;
    m->init_vtor[M_S] = board->m_init_svtor;
    m->cpuclk_hz = board->m_cpuclk_hz ? board->m_cpuclk_hz : 25000000;
    m->refclk_hz = board->m_refclk_hz;
    arm_m_tick_init(m);
    arm_m_map_ppb(m);
}

void arm_m_free(ArmCpu *c)
{
    ArmM *m = c->m;
    if (!m)
        return;
    mem_region_free(m->ppb);
    arm_m_tick_free(m);
    pthread_mutex_destroy(&m->lock);
    c->m = NULL;
    g_free(m);
}

static void reset_bank(ArmM *m, unsigned s)
{
    ArmMBank *b = &m->b[s];
    ArmMSysTick tick = b->tick;
    memset(b, 0, sizeof *b);
    b->tick = tick;
    b->vtor = m->init_vtor[s];
    b->ccr = CCR_STKALIGN;
    if (m->c->has.v8m)
        b->ccr |= CCR_NONBASETHRDENA;
    else if (!m->c->has.v7m)
        b->ccr |= CCR_UNALIGN_TRP;
    b->fpccr = m->c->has.m_fpu ? FPCCR_ASPEN | FPCCR_LSPEN : 0;
    b->fpdscr = m->c->has.m_mve_int ? 4u << 16 : 0;
}

void arm_m_reset(ArmCpu *c)
{
    ArmM *m = c->m;
    arm_m_lock(m);
    for (unsigned s = 0; s < 2; s++)
        reset_bank(m, s);
    memset(m->irq_enabled, 0, sizeof m->irq_enabled);
    memset(m->irq_pending, 0, sizeof m->irq_pending);
    memset(m->irq_active, 0, sizeof m->irq_active);
    memset(m->irq_ns, 0, sizeof m->irq_ns);
    memset(m->irq_prio, 0, sizeof m->irq_prio);
    m->secure = c->has.m_security;
    m->exc = 0;
    m->event = m->wfe = m->lockup = false;
    m->hfsr = m->dfsr = m->bfar = m->sfsr = m->sfar = m->afsr = m->nsacr = m->demcr = m->cppwr = m->actlr = m->csselr =
        0;
    m->aircr = 0;
    m->sau_ctrl = m->sau_rnr = 0;
    memset(m->sau_rbar, 0, sizeof m->sau_rbar);
    memset(m->sau_rlar, 0, sizeof m->sau_rlar);
    m->dwt_ctrl = m->dwt_cyccnt = 0;
    m->dwt_since_ns = 0;
    memset(m->dwt_comp, 0, sizeof m->dwt_comp);
    memset(m->dwt_mask, 0, sizeof m->dwt_mask);
    memset(m->dwt_function, 0, sizeof m->dwt_function);
    for (unsigned w = 0; w < M_IRQ_WORDS; w++) /* lines that are up by themselves pend again */
        m->irq_pending[w] = m->irq_level[w];
    arm_m_unlock(m);
    arm_m_tick_reset(m);
    c->v.g[ARM_R14] = 0xffffffff;
    c->t32 = true;
    c->v.pc = 0;
}

void arm_m_set_vtor(ArmCpu *c, uint32_t vtor) { c->m->b[c->m->secure].vtor = vtor & ~UINT32_C(0x7f); }

/* TakeReset(): the vector table's first two words. */
void arm_m_start(ArmCpu *c)
{
    ArmM *m = c->m;
    uint64_t sp = 0, pc = 0;
    uint32_t vtor = m->b[m->secure].vtor;
    MemAttrs attrs = { .cpu = c->v.index & 0xffff, .secure = m->secure };
    as_load(c->v.as, vtor, 4, &sp, attrs);
    as_load(c->v.as, vtor + 4, 4, &pc, attrs);
    c->v.g[ARM_R13] = (uint32_t)sp & ~3u;
    c->v.pc = (uint32_t)pc & ~1u;
    c->t32 = pc & 1;
    arm_m_changed(m);
}

static const StateField sys_state[] = { STATE_BOOL(ArmMSysExc, enabled), STATE_BOOL(ArmMSysExc, pending),
                                        STATE_BOOL(ArmMSysExc, active), STATE_U8(ArmMSysExc, prio),
                                        STATE_END_OF_TABLE };
static const StateField tick_state[] = { STATE_U32(ArmMSysTick, csr),     STATE_U32(ArmMSysTick, rvr),
                                         STATE_U32(ArmMSysTick, cvr),     STATE_U64(ArmMSysTick, since_ns),
                                         STATE_TIMER(ArmMSysTick, timer), STATE_END_OF_TABLE };
#define U32(f) STATE_U32(ArmMBank, f)
static const StateField bank_state[] = { U32(control),
                                         U32(primask),
                                         U32(faultmask),
                                         U32(basepri),
                                         U32(msp),
                                         U32(psp),
                                         U32(msplim),
                                         U32(psplim),
                                         U32(vtor),
                                         U32(prigroup),
                                         U32(scr),
                                         U32(ccr),
                                         U32(cpacr),
                                         U32(cfsr),
                                         U32(mmfar),
                                         U32(fpcar),
                                         U32(fpdscr),
                                         U32(fpccr),
                                         U32(mpu_ctrl),
                                         U32(mpu_rnr),
                                         STATE_U32_ARRAY(ArmMBank, mpu_rbar),
                                         STATE_U32_ARRAY(ArmMBank, mpu_rasr),
                                         STATE_U32_ARRAY(ArmMBank, mair),
                                         STATE_STRUCT_ARRAY(ArmMBank, sys, sys_state),
                                         STATE_STRUCT(ArmMBank, tick, tick_state),
                                         STATE_END_OF_TABLE };
#undef U32
#define U32(f) STATE_U32(ArmM, f)
#define U32S(f) STATE_U32_ARRAY(ArmM, f)
const StateField arm_m_state[] = { STATE_STRUCT_ARRAY(ArmM, b, bank_state),
                                   STATE_BOOL(ArmM, secure),
                                   STATE_U16(ArmM, exc),
                                   STATE_BOOL(ArmM, event),
                                   STATE_BOOL(ArmM, lockup),
                                   STATE_BOOL(ArmM, wfe),
                                   U32(hfsr),
                                   U32(dfsr),
                                   U32(bfar),
                                   U32(sfsr),
                                   U32(sfar),
                                   U32(afsr),
                                   U32(aircr),
                                   U32(nsacr),
                                   U32(demcr),
                                   U32(cppwr),
                                   U32(actlr),
                                   U32(csselr),
                                   U32(sau_ctrl),
                                   U32(sau_rnr),
                                   U32S(sau_rbar),
                                   U32S(sau_rlar),
                                   U32(dwt_ctrl),
                                   U32(dwt_cyccnt),
                                   U32S(dwt_comp),
                                   U32S(dwt_mask),
                                   U32S(dwt_function),
                                   STATE_U64(ArmM, dwt_since_ns),
                                   U32S(irq_enabled),
                                   U32S(irq_pending),
                                   U32S(irq_active),
                                   U32S(irq_level),
                                   U32S(irq_ns),
                                   STATE_U8_ARRAY(ArmM, irq_prio),
                                   STATE_BOOL(ArmM, nmi_level),
                                   STATE_END_OF_TABLE };

bool arm_m_loaded(ArmCpu *c, Error **errp)
{
    ArmM *m = c->m;
    bool ok = m->exc < M_EXC_IRQ0 + M_IRQS && (!m->secure || c->has.m_security) && m->sau_rnr < M_SAU_REGIONS;
    for (unsigned s = 0; s < 2; s++)
        ok = ok && m->b[s].prigroup <= 7 && m->b[s].mpu_rnr < M_MPU_REGIONS && m->b[s].tick.rvr <= 0xffffff;
    if (!ok)
        error_setf(errp, "CPU %u: the saved interrupt state is not one that this CPU can be in", c->v.index);
    return ok;
}

void arm_m_print_regs(Vcpu *v, GString *out)
{
    ArmCpu *c = arm_cpu(v);
    ArmM *m = c->m;
    for (unsigned i = 0; i < 15; i++)
        g_string_append_printf(out, "R%02u=%08x%s", i, (uint32_t)v->g[i], i % 4 == 3 ? "\n" : " ");
    g_string_append_printf(out,
                           "R15=%08x\nXPSR=%08x %s %s%s exception %u CONTROL=%x PRIMASK=%x BASEPRI=%02x FAULTMASK=%x\n",
                           (uint32_t)v->pc, arm_m_get_xpsr(c), m->exc ? "handler" : "thread",
                           arm_m_privileged(m) ? "privileged" : "unprivileged",
                           c->has.m_security ? m->secure ? " secure" : " non-secure" : "", m->exc,
                           arm_m_control(m, m->secure), m->b[m->secure].primask, m->b[m->secure].basepri,
                           m->b[m->secure].faultmask);
    g_string_append_printf(out, "MSP=%08x PSP=%08x CFSR=%08x HFSR=%08x MMFAR=%08x BFAR=%08x\n",
                           arm_m_get_sp(m, m->secure, false), arm_m_get_sp(m, m->secure, true),
                           m->b[m->secure].cfsr | (m->b[M_NS].cfsr & CFSR_BUS), m->hfsr, m->b[m->secure].mmfar,
                           m->bfar);
}
