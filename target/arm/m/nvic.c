/* SPDX-License-Identifier: MIT */
/*
 * NVIC: which exceptions pend and are active, priorities, and the line that makes the CPU look (DDI 0553, B3.9-B3.16).
 */
#include "target/arm/m/m.h"

/* HardFault, MemManage, UsageFault, SVCall, PendSV and SysTick exist once for each security state. */
static bool is_banked(unsigned exc)
{
    return BIT(exc) & (BIT(M_EXC_HARD) | BIT(M_EXC_MEM) | BIT(M_EXC_USAGE) | BIT(M_EXC_SVC) | BIT(M_EXC_PENDSV) |
                       BIT(M_EXC_SYSTICK));
}

static ArmMSysExc *sys_exc(const ArmM *m, unsigned exc, bool secure)
{
    ArmM *w = (ArmM *)m;
    if (is_banked(exc))
        return &w->b[secure].sys[exc];
    return &w->b[exc == M_EXC_SECURE ? M_S : M_NS].sys[exc];
}

static bool bit_get(const uint32_t *words, unsigned n) { return words[n / 32] >> (n % 32) & 1; }
static void bit_put(uint32_t *words, unsigned n, bool v)
{
    words[n / 32] = (words[n / 32] & ~(1u << n % 32)) | (uint32_t)v << n % 32;
}

bool arm_m_exc_secure(const ArmM *m, unsigned exc, bool from_secure)
{
    if (!m->c->has.m_security)
        return false;
    if (exc >= M_EXC_IRQ0)
        return !bit_get(m->irq_ns, exc - M_EXC_IRQ0);
    bool faults_ns = m->aircr & AIRCR_BFHFNMINS;
    switch (exc) {
    case M_EXC_NMI:
    case M_EXC_BUS: return !faults_ns;
    case M_EXC_HARD: return !faults_ns || from_secure;
    case M_EXC_SECURE: return true;
    case M_EXC_DEBUG: return m->demcr >> 20 & 1;
    default: return from_secure;
    }
}

/* A configurable priority as the NVIC compares it: Non-secure ones in the lower half with AIRCR.PRIS. */
static int scale(const ArmM *m, int prio, bool secure)
{
    return !secure && m->c->has.m_security && m->aircr & AIRCR_PRIS ? (prio >> 1) + 0x80 : prio;
}

static int group_of(const ArmM *m, int prio, bool secure)
{
    return prio < 0 ? prio : prio & ~((2 << m->b[secure].prigroup) - 1);
}

static int raw_priority(const ArmM *m, unsigned exc, bool secure)
{
    switch (exc) {
    case M_EXC_RESET: return -4;
    case M_EXC_NMI: return -2;
    case M_EXC_HARD: return secure && m->aircr & AIRCR_BFHFNMINS ? -3 : -1;
    default: return exc >= M_EXC_IRQ0 ? m->irq_prio[exc - M_EXC_IRQ0] : sys_exc(m, exc, secure)->prio;
    }
}

int arm_m_exc_priority(const ArmM *m, unsigned exc, bool secure)
{
    int p = raw_priority(m, exc, secure);
    return p < 0 ? p : scale(m, group_of(m, p, secure), secure);
}

static int full_priority(const ArmM *m, unsigned exc, bool secure)
{
    int p = raw_priority(m, exc, secure);
    return p < 0 ? p : scale(m, p, secure);
}

static int active_priority(const ArmM *m)
{
    int best = 256;
    for (unsigned bank = 0; bank < 2; bank++) {
        for (unsigned e = M_EXC_NMI; e < M_EXC_IRQ0; e++) {
            if (m->b[bank].sys[e].active)
                best = MIN(best, arm_m_exc_priority(m, e, arm_m_exc_secure(m, e, bank)));
        }
    }
    for (unsigned w = 0; w < M_IRQ_WORDS; w++) {
        for (uint32_t bits = m->irq_active[w]; bits; bits &= bits - 1) {
            unsigned e = M_EXC_IRQ0 + w * 32 + (unsigned)__builtin_ctz(bits);
            best = MIN(best, arm_m_exc_priority(m, e, arm_m_exc_secure(m, e, false)));
        }
    }
    return best;
}

static int faultmask_priority(const ArmM *m, bool secure)
{
    if (!m->c->has.m_security)
        return -1;
    bool faults_ns = m->aircr & AIRCR_BFHFNMINS;
    if (secure)
        return faults_ns ? -3 : -1;
    return faults_ns ? -1 : scale(m, 0, false);
}

static int masked_priority(ArmM *m, bool with_primask)
{
    int p = active_priority(m);
    for (unsigned s = 0; s < 2; s++) {
        const ArmMBank *b = &m->b[s];
        if (b->basepri)
            p = MIN(p, scale(m, group_of(m, (int)b->basepri, s), s));
        if (b->primask && with_primask)
            p = MIN(p, scale(m, 0, s));
        if (b->faultmask)
            p = MIN(p, faultmask_priority(m, s));
    }
    return p;
}

int arm_m_exec_priority(ArmM *m) { return masked_priority(m, true); }
int arm_m_exec_priority_unmasked(ArmM *m) { return masked_priority(m, false); }

/* Pending and, where that can be, enabled. */
static bool sys_ready(const ArmM *m, unsigned exc, unsigned bank)
{
    const ArmMSysExc *s = &m->b[bank].sys[exc];
    return s->pending && (s->enabled || exc < M_EXC_MEM || exc > M_EXC_SECURE);
}

bool arm_m_negative_priority(ArmM *m)
{
    arm_m_lock(m);
    bool neg = arm_m_exec_priority(m) < 0;
    arm_m_unlock(m);
    return neg;
}

unsigned arm_m_best_pending(ArmM *m, int *group_prio, bool *secure)
{
    unsigned found = 0;
    int best = 256;
    for (unsigned e = M_EXC_NMI; e < M_EXC_IRQ0; e++) {
        for (int bank = M_S; bank >= M_NS; bank--) {
            if (!sys_ready(m, e, (unsigned)bank))
                continue;
            bool s = arm_m_exc_secure(m, e, bank);
            int p = full_priority(m, e, s);
            if (p < best)
                best = p, found = e, *secure = s;
        }
    }
    for (unsigned w = 0; w < M_IRQ_WORDS; w++) {
        for (uint32_t bits = m->irq_pending[w] & m->irq_enabled[w]; bits; bits &= bits - 1) {
            unsigned e = M_EXC_IRQ0 + w * 32 + (unsigned)__builtin_ctz(bits);
            bool s = arm_m_exc_secure(m, e, false);
            int p = full_priority(m, e, s);
            if (p < best)
                best = p, found = e, *secure = s;
        }
    }
    if (found)
        *group_prio = arm_m_exc_priority(m, found, *secure);
    return found;
}

void arm_m_update(ArmM *m)
{
    int prio = 256;
    bool secure;
    unsigned best = arm_m_best_pending(m, &prio, &secure);
    int now = arm_m_exec_priority(m);
    bool want = best && prio < (m->lockup ? MIN(now, -1) : now);
    m->can_take = want;
    m->can_wake = best && prio < arm_m_exec_priority_unmasked(m);
    if (want != vcpu_line(&m->c->v, CPU_LINE_INTR))
        vcpu_set_line(&m->c->v, CPU_LINE_INTR, want);
}

static void newly_pending(ArmM *m)
{
    if ((m->b[M_NS].scr | m->b[M_S].scr) & SCR_SEVONPEND)
        m->event = true;
    arm_m_update(m);
    vcpu_kick(&m->c->v); /* WFI ends on what PRIMASK keeps from being taken */
}

void arm_m_pend(ArmM *m, unsigned exc, bool secure)
{
    if (exc >= M_EXC_IRQ0) {
        if (bit_get(m->irq_pending, exc - M_EXC_IRQ0))
            return;
        bit_put(m->irq_pending, exc - M_EXC_IRQ0, true);
    } else {
        ArmMSysExc *s = sys_exc(m, exc, secure);
        if (s->pending)
            return;
        s->pending = true;
    }
    newly_pending(m);
}

void arm_m_clear_pending(ArmM *m, unsigned exc, bool secure)
{
    if (exc >= M_EXC_IRQ0) {
        unsigned n = exc - M_EXC_IRQ0;
        bit_put(m->irq_pending, n, bit_get(m->irq_level, n) && !bit_get(m->irq_active, n));
    } else {
        sys_exc(m, exc, secure)->pending = exc == M_EXC_NMI && m->nmi_level;
    }
    arm_m_update(m);
}

void arm_m_acknowledge(ArmM *m, unsigned exc, bool secure)
{
    if (exc >= M_EXC_IRQ0) {
        bit_put(m->irq_pending, exc - M_EXC_IRQ0, false);
        bit_put(m->irq_active, exc - M_EXC_IRQ0, true);
    } else {
        sys_exc(m, exc, secure)->pending = false;
        sys_exc(m, exc, secure)->active = true;
    }
}

bool arm_m_is_active(const ArmM *m, unsigned exc, bool secure)
{
    if (exc >= M_EXC_IRQ0 + M_IRQS)
        return false;
    return exc >= M_EXC_IRQ0 ? bit_get(m->irq_active, exc - M_EXC_IRQ0) : sys_exc(m, exc, secure)->active;
}

void arm_m_deactivate(ArmM *m, unsigned exc, bool secure)
{
    if (exc >= M_EXC_IRQ0 + M_IRQS)
        return;
    if (exc >= M_EXC_IRQ0) {
        unsigned n = exc - M_EXC_IRQ0;
        bit_put(m->irq_active, n, false);
        if (bit_get(m->irq_level, n))
            bit_put(m->irq_pending, n, true);
    } else {
        sys_exc(m, exc, secure)->active = false;
        if (exc == M_EXC_NMI && m->nmi_level)
            sys_exc(m, exc, secure)->pending = true;
    }
}

unsigned arm_m_active_count(const ArmM *m)
{
    unsigned n = 0;
    for (unsigned bank = 0; bank < 2; bank++) {
        for (unsigned e = M_EXC_NMI; e < M_EXC_IRQ0; e++)
            n += m->b[bank].sys[e].active;
    }
    for (unsigned w = 0; w < M_IRQ_WORDS; w++)
        n += (unsigned)__builtin_popcount(m->irq_active[w]);
    return n;
}

void arm_m_irq_input(void *opaque, int n, int level)
{
    ArmM *m = opaque;
    if (n < 0 || (unsigned)n >= m->irqs)
        return;
    arm_m_lock(m);
    bool was = bit_get(m->irq_level, (unsigned)n);
    bit_put(m->irq_level, (unsigned)n, level);
    if (level && !was)
        arm_m_pend(m, M_EXC_IRQ0 + (unsigned)n, false);
    arm_m_unlock(m);
}

void arm_m_nmi_input(void *opaque, int n, int level)
{
    ArmM *m = opaque;
    arm_m_lock(m);
    bool was = m->nmi_level;
    m->nmi_level = level;
    if (level && !was)
        arm_m_pend(m, M_EXC_NMI, false);
    arm_m_unlock(m);
}

/* --- boards --- */

static ArmM *m_of(unsigned index)
{
    Vcpu *v = vcpu_get(index);
    return v ? arm_cpu(v)->m : NULL;
}

Irq arm_board_nvic_input(unsigned index, unsigned n)
{
    return (Irq){ .set = arm_m_irq_input, .opaque = m_of(index), .n = (int)n };
}

Irq arm_board_nvic_nmi(unsigned index) { return (Irq){ .set = arm_m_nmi_input, .opaque = m_of(index) }; }

void arm_board_set_idau(ArmIdau (*idau)(void *opaque, uint32_t addr), void *opaque)
{
    for (unsigned i = 0; i < vcpu_count(); i++) {
        ArmM *m = m_of(i);
        if (m)
            m->idau = idau, m->idau_opaque = opaque;
    }
}
