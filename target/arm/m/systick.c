/* SPDX-License-Identifier: MIT */
/* SysTick, one for each security state (DDI 0553, B11.1). */
#include "target/arm/m/m.h"

enum { CSR_ENABLE = 1, CSR_TICKINT = 2, CSR_CLKSOURCE = 4, CSR_COUNTFLAG = 1 << 16 };
enum { TICK_CSR = 0, TICK_RVR = 4, TICK_CVR = 8, TICK_CALIB = 12 };
#define NS_PER_S UINT64_C(1000000000)
#define MIN_PERIOD_NS 10000 /* of the host timer: a guest that wants more interrupts gets them in pairs */

/* Without a reference clock the processor's drives it, and CLKSOURCE reads as one. */
static uint64_t hz(const ArmMSysTick *t)
{
    const ArmM *m = t->m;
    return t->csr & CSR_CLKSOURCE || !m->refclk_hz ? m->cpuclk_hz : m->refclk_hz;
}

static uint64_t now_ns(void) { return (uint64_t)clock_ns(CLOCK_VIRTUAL_NS); }
static uint64_t to_ns(const ArmMSysTick *t, uint64_t ticks)
{
    return (uint64_t)((unsigned __int128)ticks * NS_PER_S / hz(t));
}
static uint64_t to_ticks(const ArmMSysTick *t, uint64_t ns)
{
    return (uint64_t)((unsigned __int128)ns * hz(t) / NS_PER_S);
}

/* Bring cvr to the present; tells whether it has passed zero. */
static bool advance(ArmMSysTick *t)
{
    uint64_t now = now_ns();
    if (!(t->csr & CSR_ENABLE) || now <= t->since_ns)
        return false;
    uint64_t ticks = to_ticks(t, now - t->since_ns), period = (uint64_t)t->rvr + 1;
    if (!ticks)
        return false;
    t->since_ns += to_ns(t, ticks);
    if (ticks < t->cvr) {
        t->cvr -= (uint32_t)ticks;
        return false;
    }
    bool counted = t->cvr != 0; /* 1 -> 0 sets the flag; a cleared counter first loads */
    ticks -= t->cvr;
    counted |= t->rvr && ticks >= period;
    t->cvr = t->rvr ? (uint32_t)((period - ticks % period) % period) : 0;
    t->csr |= counted ? CSR_COUNTFLAG : 0;
    return counted;
}

static void rearm(ArmMSysTick *t)
{
    if (!(t->csr & CSR_ENABLE) || (!t->rvr && !t->cvr)) {
        timer_cancel(t->timer);
        return;
    }
    uint64_t ticks = t->cvr ? t->cvr : (uint64_t)t->rvr + 1;
    uint64_t at = t->since_ns + MAX(to_ns(t, ticks) + 1, MIN_PERIOD_NS);
    timer_arm(t->timer, (int64_t)at);
}

static void expired(void *opaque)
{
    ArmMSysTick *t = opaque;
    ArmM *m = t->m;
    arm_m_lock(m);
    if (advance(t) && t->csr & CSR_TICKINT)
        arm_m_pend(m, M_EXC_SYSTICK, t == &m->b[M_S].tick);
    rearm(t);
    arm_m_unlock(m);
}

static void catch_up(ArmM *m, ArmMSysTick *t)
{
    if (advance(t) && t->csr & CSR_TICKINT)
        arm_m_pend(m, M_EXC_SYSTICK, t == &m->b[M_S].tick);
}

uint32_t arm_m_tick_read(ArmM *m, unsigned bank, uint32_t offset)
{
    ArmMSysTick *t = &m->b[bank].tick;
    uint32_t value = 0;
    arm_m_lock(m);
    catch_up(m, t);
    switch (offset) {
    case TICK_CSR:
        value = t->csr | (m->refclk_hz ? 0 : CSR_CLKSOURCE);
        t->csr &= ~(uint32_t)CSR_COUNTFLAG;
        break;
    case TICK_RVR: value = t->rvr; break;
    case TICK_CVR: value = t->cvr; break;
    case TICK_CALIB: /* 10 ms in ticks of the reference clock; NOREF without one */
        value = m->refclk_hz ? (m->refclk_hz / 100 - 1) & 0xffffff : 1u << 31;
        break;
    }
    arm_m_unlock(m);
    return value;
}

void arm_m_tick_write(ArmM *m, unsigned bank, uint32_t offset, uint32_t value)
{
    ArmMSysTick *t = &m->b[bank].tick;
    arm_m_lock(m);
    catch_up(m, t);
    if (offset == TICK_CSR) {
        bool starts = value & ~t->csr & CSR_ENABLE;
        t->csr = (t->csr & CSR_COUNTFLAG) | (value & (CSR_ENABLE | CSR_TICKINT | CSR_CLKSOURCE));
        if (starts)
            t->since_ns = now_ns();
    } else if (offset == TICK_RVR) {
        t->rvr = value & 0xffffff;
    } else if (offset == TICK_CVR) { /* any write clears it; no exception comes of that */
        t->cvr = 0;
        t->csr &= ~(uint32_t)CSR_COUNTFLAG;
        t->since_ns = now_ns();
    }
    rearm(t);
    arm_m_unlock(m);
}

void arm_m_tick_init(ArmM *m)
{
    for (unsigned s = 0; s < 2; s++) {
        m->b[s].tick.m = m;
        m->b[s].tick.timer = timer_new(CLOCK_VIRTUAL_NS, NULL, expired, &m->b[s].tick);
    }
}

void arm_m_tick_reset(ArmM *m)
{
    for (unsigned s = 0; s < 2; s++) {
        ArmMSysTick *t = &m->b[s].tick;
        t->csr = t->rvr = t->cvr = 0;
        t->since_ns = 0;
        timer_cancel(t->timer);
    }
}

void arm_m_tick_free(ArmM *m)
{
    for (unsigned s = 0; s < 2; s++)
        timer_free(m->b[s].tick.timer);
}
