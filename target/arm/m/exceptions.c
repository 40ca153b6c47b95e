/* SPDX-License-Identifier: MIT */
/*
 * Exception entry with late arrival, return with tail-chaining, stack frames, lockup (DDI 0553, B3.18-B3.25; DDI 0403,
 * B1.5).
 */
#include "accel/tcg/softmmu.h"
#include "base/log.h"
#include "base/symbols.h"
#include "target/arm/m/m.h"
#include "target/arm/semihost.h"

/* --- frames --- */

void arm_m_frame_fault(ArmM *m, ArmMFrame *f, unsigned exc, uint32_t bits, bool far_valid, uint32_t addr)
{
    if (f->failed)
        return;
    f->failed = true;
    if (exc == M_EXC_SECURE && far_valid)
        m->sfar = addr, bits |= SFSR_SFARVALID;
    if (f->lazy)
        f->exc = exc, f->bits = bits;
    else
        f->lockup = !arm_m_pend_sync(m, exc, bits, f->secure);
}

static bool frame_check(ArmM *m, ArmMFrame *f, uint32_t addr, bool write)
{
    if (m->c->has.m_security && !f->secure) {
        ArmMSecurity s = arm_m_security(m, addr);
        if (!s.ns) {
            arm_m_frame_fault(m, f, M_EXC_SECURE, f->sec, !f->lazy, addr);
            return false;
        }
    }
    ArmMAccess a = arm_m_mpu(m, addr, f->secure, f->privileged, f->neg);
    if (write ? a.w : a.r)
        return true;
    arm_m_frame_fault(m, f, M_EXC_MEM, f->mm, false, addr);
    return false;
}

void arm_m_frame_write(ArmM *m, ArmMFrame *f, uint32_t addr, const uint32_t *words, unsigned n)
{
    MemAttrs attrs = { .cpu = m->c->v.index & 0xffff, .secure = f->secure, .user = !f->privileged };
    for (unsigned i = 0; i < n && !f->failed; i++, addr += 4) {
        if (frame_check(m, f, addr, true) &&
            as_store(m->c->v.as, arm_m_bus_address(m, addr), 4, words[i], attrs) != MEM_OK)
            arm_m_frame_fault(m, f, M_EXC_BUS, f->bus, false, addr);
    }
}

void arm_m_frame_read(ArmM *m, ArmMFrame *f, uint32_t addr, uint32_t *words, unsigned n)
{
    MemAttrs attrs = { .cpu = m->c->v.index & 0xffff, .secure = f->secure, .user = !f->privileged };
    for (unsigned i = 0; i < n && !f->failed; i++, addr += 4) {
        uint64_t value = 0;
        if (frame_check(m, f, addr, false) &&
            as_load(m->c->v.as, arm_m_bus_address(m, addr), 4, &value, attrs) != MEM_OK)
            arm_m_frame_fault(m, f, M_EXC_BUS, f->bus, false, addr);
        words[i] = (uint32_t)value;
    }
}

static ArmMFrame stacking(ArmM *m)
{
    return (ArmMFrame){ .secure = m->secure,
                        .privileged = arm_m_privileged(m),
                        .neg = arm_m_negative_priority(m),
                        .mm = MMFSR_MSTKERR,
                        .bus = BFSR_STKERR,
                        .sec = SFSR_AUVIOL };
}

/* --- synchronous faults --- */

static void record_status(ArmM *m, unsigned exc, uint32_t bits, bool secure)
{
    switch (exc) {
    case M_EXC_MEM:
    case M_EXC_USAGE: m->b[secure].cfsr |= bits; break;
    case M_EXC_BUS: m->b[M_NS].cfsr |= bits; break;
    case M_EXC_SECURE: m->sfsr |= bits; break;
    case M_EXC_HARD: m->hfsr |= bits; break;
    }
}

/* v6-M has none of the configurable faults, v8-M Baseline neither. */
static bool fault_enabled(const ArmM *m, unsigned exc, bool secure)
{
    bool banked = exc == M_EXC_MEM || exc == M_EXC_USAGE;
    if (exc < M_EXC_MEM || exc > M_EXC_SECURE)
        return true;
    return m->b[banked ? secure : exc == M_EXC_SECURE].sys[exc].enabled;
}

/* SVC, BKPT, HardFault and the configurable faults; the lock is held. */
static bool pend_escalated(ArmM *m, unsigned exc, bool secure)
{
    int now = arm_m_exec_priority(m);
    if (exc != M_EXC_HARD && exc != M_EXC_NMI) {
        bool to = arm_m_exc_secure(m, exc, secure);
        if (fault_enabled(m, exc, to) && arm_m_exc_priority(m, exc, to) < now) {
            arm_m_pend(m, exc, to);
            return true;
        }
        m->hfsr |= HFSR_FORCED;
    }
    bool to = arm_m_exc_secure(m, M_EXC_HARD, exc == M_EXC_SECURE || arm_m_exc_secure(m, exc, secure));
    if (arm_m_exc_priority(m, M_EXC_HARD, to) >= now)
        return false;
    arm_m_pend(m, M_EXC_HARD, to);
    return true;
}

bool arm_m_pend_sync(ArmM *m, unsigned exc, uint32_t bits, bool secure)
{
    bool to = arm_m_exc_secure(m, exc, secure);
    if (bits & UFSR_NOCP && exc == M_EXC_USAGE)
        to = secure;
    record_status(m, exc, bits, to);
    arm_m_lock(m);
    bool ok = pend_escalated(m, exc, secure);
    arm_m_unlock(m);
    return ok;
}

void arm_m_lockup(ArmM *m, const char *why)
{
    Vcpu *v = &m->c->v;
    g_autofree char *at = symbols_describe((uint32_t)v->pc);
    if (!m->lockup) {
        warn_reportf("CPU %u: lockup at pc %s: %s (CFSR 0x%08x HFSR 0x%08x BFAR 0x%08x MMFAR 0x%08x, exception %u)",
                     v->index, at, why, m->b[m->secure].cfsr | (m->b[M_NS].cfsr & CFSR_BUS), m->hfsr, m->bfar,
                     m->b[m->secure].mmfar, m->exc);
        if (semihost_config.enabled)
            machine_request_exit(1);
        else
            machine_guest_panicked("lockup");
    }
    arm_m_lock(m);
    m->lockup = true;
    m->wfe = false;
    arm_m_update(m);
    arm_m_unlock(m);
    v->halted = true;
}

/* --- entry --- */

static uint32_t entry_exc_return(const ArmM *m)
{
    uint32_t r = m->c->has.v8m ? 0xffffffa0 : 0xffffffe1;
    bool thread = !m->exc;
    r |= thread ? EXC_RETURN_MODE : 0;
    r |= arm_m_uses_psp(m) ? EXC_RETURN_SPSEL : 0;
    r |= m->b[M_NS].control & CONTROL_FPCA ? 0 : EXC_RETURN_FTYPE;
    if (m->c->has.v8m) {
        r &= ~(uint32_t)(EXC_RETURN_ES | EXC_RETURN_S);
        if (m->secure)
            r |= EXC_RETURN_S | EXC_RETURN_ES;
    }
    return r;
}

/* The frame's own words; pushed at the SP in use. */
static void push_stack(ArmM *m, uint32_t return_pc)
{
    ArmCpu *c = m->c;
    uint64_t *g = c->v.g;
    uint32_t sp = (uint32_t)g[ARM_R13], limit = arm_m_sp_limit(m);
    bool fp = m->b[M_NS].control & CONTROL_FPCA;
    bool all = fp && m->secure && m->b[M_S].fpccr & FPCCR_TS;
    uint32_t size = all ? M_FRAME_FP_ALL : fp ? M_FRAME_FP : M_FRAME_BASIC;
    bool align = m->c->has.v8m || fp || m->b[M_NS].ccr & CCR_STKALIGN, skewed = align && sp & 4;
    uint32_t frame = (sp - size) & ~(align ? 4u : 0u);
    uint32_t xpsr = (arm_m_get_xpsr(c) & ~(1u << 9)) | (uint32_t)skewed << 9;
    if (m->secure && m->b[M_S].control & CONTROL_SFPA)
        xpsr |= 1u << 20;
    if (m->c->has.v8m && (frame < limit || frame > sp)) {
        g[ARM_R13] = limit;
        arm_m_pend_sync(m, M_EXC_USAGE, UFSR_STKOF, m->secure);
        return;
    }
    g[ARM_R13] = frame;
    ArmMFrame f = stacking(m);
    const uint32_t words[8] = { (uint32_t)g[0],  (uint32_t)g[1],  (uint32_t)g[2], (uint32_t)g[3],
                                (uint32_t)g[12], (uint32_t)g[14], return_pc,      xpsr };
    arm_m_frame_write(m, &f, frame, words, 8);
    if (!fp)
        return;
    if (m->b[M_NS].fpccr & FPCCR_LSPEN) {
        arm_m_fp_lazy_setup(m, frame + M_FRAME_BASIC, m->secure);
        return;
    }
    arm_m_fp_store(m, &f, frame + M_FRAME_BASIC, all);
    if (!f.failed)
        arm_m_fp_clear(m, all);
}

/* v8-M: R4-R11 of a Secure background before a Non-secure handler (PushCalleeStack()). */
static void push_callee(ArmM *m, uint32_t lr)
{
    ArmCpu *c = m->c;
    bool psp = lr & EXC_RETURN_MODE && m->b[M_S].control & CONTROL_SPSEL;
    uint32_t sp = arm_m_get_sp(m, true, psp), frame = sp - M_FRAME_CALLEE,
             limit = psp ? m->b[M_S].psplim : m->b[M_S].msplim;
    uint32_t words[10] = { M_FRAME_INTEGRITY | !!(lr & EXC_RETURN_FTYPE), 0 };
    for (unsigned i = 0; i < 8; i++)
        words[2 + i] = (uint32_t)c->v.g[4 + i];
    if (frame < limit || frame > sp) {
        arm_m_set_sp(m, true, psp, limit);
        arm_m_pend_sync(m, M_EXC_USAGE, UFSR_STKOF, true);
        return;
    }
    arm_m_set_sp(m, true, psp, frame);
    ArmMFrame f = {
        .secure = true, .neg = arm_m_negative_priority(m), .mm = MMFSR_MSTKERR, .bus = BFSR_STKERR, .sec = SFSR_AUVIOL
    };
    f.privileged = !(lr & EXC_RETURN_MODE) || !(m->b[M_S].control & CONTROL_NPRIV);
    arm_m_frame_write(m, &f, frame, words, 10);
}

/* LR and the registers for a handler of security `to_secure` (ExceptionTaken()). */
static uint32_t prepare_registers(ArmM *m, uint32_t lr, bool to_secure, bool chained)
{
    uint64_t *g = m->c->v.g;
    if (!m->c->has.v8m)
        return lr;
    bool spsel = m->b[to_secure].control & CONTROL_SPSEL; /* of the handler's security state; entry clears it */
    lr = (lr & ~(uint32_t)EXC_RETURN_SPSEL) | (spsel ? EXC_RETURN_SPSEL : 0);
    if (!m->c->has.m_security)
        return lr;
    bool background_secure = lr & EXC_RETURN_S;
    bool stacked = chained && background_secure && (!(lr & EXC_RETURN_ES) || !(lr & EXC_RETURN_DCRS));
    if (to_secure) {
        lr |= EXC_RETURN_ES | EXC_RETURN_DCRS;
        return stacked ? lr & ~(uint32_t)EXC_RETURN_DCRS : lr;
    }
    if (background_secure && !stacked)
        push_callee(m, lr);
    lr = (lr & ~(uint32_t)EXC_RETURN_ES) | EXC_RETURN_DCRS;
    for (unsigned r = 0; r <= 12; r++) {
        if (r < 4 || r == 12 || background_secure)
            g[r] = 0;
    }
    arm_set_nzcv(m->c, 0);
    m->c->q = m->c->ge = 0;
    return lr;
}

static bool fetch_vector(ArmM *m, unsigned exc, bool secure, uint32_t *value)
{
    uint32_t at = m->b[secure].vtor + 4 * exc;
    uint64_t word = 0;
    MemAttrs attrs = { .cpu = m->c->v.index & 0xffff, .secure = secure };
    if (m->c->has.m_security && !secure && !arm_m_security(m, at).ns)
        return false;
    if (as_load(m->c->v.as, arm_m_bus_address(m, at), 4, &word, attrs) != MEM_OK)
        return false;
    *value = (uint32_t)word;
    return true;
}

static void start_handler(ArmM *m, unsigned exc, bool secure, uint32_t vector, uint32_t lr)
{
    ArmCpu *c = m->c;
    arm_m_lock(m);
    arm_m_acknowledge(m, exc, secure);
    arm_m_sp_out(m);
    m->exc = (uint16_t)exc;
    m->secure = secure;
    m->b[M_NS].control &= ~(uint32_t)CONTROL_FPCA;
    m->b[M_S].control &= ~(uint32_t)CONTROL_SFPA;
    m->b[secure].control &= ~(uint32_t)CONTROL_SPSEL;
    arm_m_sp_in(m);
    arm_m_unlock(m);
    c->v.g[ARM_R14] = lr;
    c->v.pc = vector & ~1u;
    c->t32 = vector & 1;
    c->it = 0;
    c->excl_addr = ~UINT64_C(0);
    m->event = true;
    c->v.halted = m->lockup = m->wfe = false;
    arm_m_changed(m);
    log_printf(LOG_INT, "cpu %u: exception %u%s to 0x%08x, lr 0x%08x sp 0x%08x\n", c->v.index, exc,
               c->has.m_security ? secure ? " (S)" : " (NS)" : "", vector, lr, (uint32_t)c->v.g[ARM_R13]);
}

/*
 * The frame lies on the stack: take what has the highest priority now, which a fault or a late arrival may have
 * changed.
 */
static void take_best(ArmM *m, uint32_t lr, bool chained)
{
    for (unsigned tries = 0; tries < 4; tries++) {
        int prio;
        bool secure;
        uint32_t vector;
        arm_m_lock(m);
        unsigned exc = arm_m_best_pending(m, &prio, &secure);
        arm_m_unlock(m);
        if (!exc)
            break;
        bool was_hard = m->b[M_NS].sys[M_EXC_HARD].pending || m->b[M_S].sys[M_EXC_HARD].pending;
        lr = prepare_registers(m, lr, secure, chained);
        chained = true;
        bool hard = m->b[M_NS].sys[M_EXC_HARD].pending || m->b[M_S].sys[M_EXC_HARD].pending;
        if (hard && !was_hard)
            continue; /* the callee frame failed */
        if (fetch_vector(m, exc, secure, &vector)) {
            start_handler(m, exc, secure, vector, lr);
            return;
        }
        m->hfsr |= HFSR_VECTTBL;
        if (exc == M_EXC_HARD || exc == M_EXC_NMI)
            break;
        arm_m_lock(m);
        arm_m_pend(m, M_EXC_HARD, arm_m_exc_secure(m, M_EXC_HARD, true));
        arm_m_unlock(m);
    }
    arm_m_lockup(m, "the vector of the fault's handler cannot be read");
}

/* v->pc is the return address. */
void arm_m_enter(ArmM *m)
{
    uint32_t lr = entry_exc_return(m);
    push_stack(m, (uint32_t)m->c->v.pc);
    take_best(m, lr, false);
}

/* Tail-chain into whatever pends now; the old frame stays. */
void arm_m_chain(ArmM *m, uint32_t lr)
{
    m->c->v.g[ARM_R14] = lr;
    take_best(m, lr, true);
}

/* --- events --- */

/* What an event of the shared kind means here. */
static void map_sync(const ArmM *m, const ArmEvent *e, unsigned *exc, uint32_t *bits)
{
    switch (e->ec) {
    case EC_SVC32: *exc = M_EXC_SVC, *bits = 0; break;
    case EC_BKPT32: *exc = M_EXC_HARD, *bits = HFSR_DEBUGEVT; break;
    case EC_ILLEGAL: *exc = M_EXC_USAGE, *bits = UFSR_INVSTATE; break;
    case EC_FP:
    case EC_SVE: *exc = M_EXC_USAGE, *bits = UFSR_NOCP; break;
    case EC_PC_ALIGN: *exc = M_EXC_USAGE, *bits = UFSR_INVSTATE; break;
    default: *exc = M_EXC_USAGE, *bits = UFSR_UNDEFINSTR; break;
    }
    if (*exc == M_EXC_HARD && m->demcr & 1u << 16) /* MON_EN */
        *exc = M_EXC_DEBUG, *bits = 0;
}

static const char *why_lockup(unsigned exc, uint32_t bits)
{
    static const char *const names[] = {
        [M_EXC_HARD] = "a HardFault",   [M_EXC_MEM] = "a MemManage fault", [M_EXC_BUS] = "a BusFault",
        [M_EXC_USAGE] = "a UsageFault", [M_EXC_SECURE] = "a SecureFault",  [M_EXC_SVC] = "an SVC"
    };
    if (exc == M_EXC_HARD && bits & HFSR_DEBUGEVT)
        return "a BKPT without a debugger at the priority of HardFault or above";
    static __thread char text[96];
    g_snprintf(text, sizeof text, "%s at the priority of HardFault or above",
               exc < ARRAY_LEN(names) && names[exc] ? names[exc] : "a fault");
    return text;
}

void arm_m_deliver(Vcpu *v)
{
    ArmCpu *c = arm_cpu(v);
    ArmM *m = c->m;
    ArmEvent e = c->event;
    unsigned exc = e.ec;
    uint32_t bits = e.iss;
    c->event.kind = ARM_EVENT_NONE;
    if (e.kind == ARM_EVENT_NONE)
        return;
    bool secure = m->secure;
    if (e.kind == ARM_EVENT_SYNC) {
        map_sync(m, &e, &exc, &bits);
        if (bits == UFSR_NOCP && exc == M_EXC_USAGE)
            arm_m_fp_accessible(m, m->secure, arm_m_privileged(m), &secure);
        if (e.ec == EC_BKPT32)
            m->dfsr |= DFSR_BKPT;
        v->pc = (uint32_t)(v->pc + e.skip);
    } else if (e.kind != ARM_EVENT_M) {
        return;
    } else if (e.far_valid) {
        uint32_t *far = exc == M_EXC_MEM ? &m->b[secure].mmfar : exc == M_EXC_BUS ? &m->bfar : &m->sfar;
        *far = (uint32_t)e.far;
    }
    log_printf(LOG_INT, "cpu %u: fault %u bits 0x%08x at pc 0x%08x\n", v->index, exc, bits, (uint32_t)v->pc);
    if (!arm_m_pend_sync(m, exc, bits, secure)) {
        arm_m_lockup(m, why_lockup(exc, bits));
        return;
    }
    arm_m_enter(m);
}

void arm_m_record(ArmCpu *c, unsigned exc, uint32_t bits, bool far_valid, uint32_t far)
{
    c->event = (ArmEvent){ .kind = ARM_EVENT_M, .ec = (uint8_t)exc, .iss = bits, .far_valid = far_valid, .far = far };
}

void arm_m_raise(ArmCpu *c, unsigned exc, uint32_t bits)
{
    vcpu_sync(&c->v);
    arm_m_record(c, exc, bits, false, 0);
    vcpu_unwind(&c->v);
}

void arm_m_bus_error(Vcpu *v, uint64_t va, hwaddr pa, AccessKind kind)
{
    ArmCpu *c = arm_cpu(v);
    if (kind == ACCESS_FETCH)
        arm_m_record(c, M_EXC_BUS, BFSR_IBUSERR, false, 0);
    else
        arm_m_record(c, M_EXC_BUS, BFSR_PRECISERR | BFSR_BFARVALID, true, (uint32_t)va);
    vcpu_unwind(v);
}

void arm_m_misaligned(Vcpu *v, uint64_t va, AccessKind kind, unsigned align)
{
    arm_m_record(arm_cpu(v), M_EXC_USAGE, UFSR_UNALIGNED, false, 0);
}

void arm_m_divide_error(Vcpu *v) { arm_m_record(arm_cpu(v), M_EXC_USAGE, UFSR_DIVBYZERO, false, 0); }

/* --- interrupts and waiting --- */

/* No lock here: whoever kicks a waiting vCPU may hold it. */
static bool wakes(ArmM *m)
{
    if (m->lockup)
        return m->can_take;
    return m->wfe ? m->event || m->can_take : m->can_wake;
}

bool arm_m_has_work(Vcpu *v)
{
    ArmM *m = arm_cpu(v)->m;
    return !v->powered_off && (!v->halted || wakes(m));
}

bool arm_m_poll(Vcpu *v)
{
    ArmM *m = arm_cpu(v)->m;
    if (v->powered_off)
        return false;
    arm_m_lock(m);
    arm_m_update(m);
    bool take = m->can_take, wake = v->halted && wakes(m);
    arm_m_unlock(m);
    if (take) {
        v->halted = m->lockup = false;
        arm_m_enter(m);
    } else if (wake) {
        v->halted = false;
        if (m->wfe)
            m->event = m->wfe = false;
    }
    return !v->halted;
}

bool arm_m_wait(ArmCpu *c, unsigned kind)
{
    ArmM *m = c->m;
    arm_m_lock(m);
    bool halt = true;
    if (kind == 1) {
        halt = !m->event;
        m->event = false;
        m->wfe = halt;
    } else {
        m->wfe = false;
    }
    arm_m_unlock(m);
    c->v.halted = halt;
    return halt;
}

void arm_m_event_all(void)
{
    for (unsigned i = 0; i < vcpu_count(); i++) {
        Vcpu *v = vcpu_get(i);
        ArmM *m = v ? arm_cpu(v)->m : NULL;
        if (!m)
            continue;
        arm_m_lock(m);
        m->event = true;
        arm_m_unlock(m);
        vcpu_kick(v);
    }
}
