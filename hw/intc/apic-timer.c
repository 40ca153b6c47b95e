/* SPDX-License-Identifier: MIT */
/* The local APIC's timer: one-shot, periodic and TSC-deadline mode (Intel SDM vol. 3A, 11.5.4). */
#include "hw/core/irqchip-host.h"
#include "hw/intc/apic-internal.h"

/* Faster periods than this are merged: the interrupt rate that a guest can ask of the host is bounded. */
#define MIN_PERIOD_NS 20000
#define MAX_DELAY_NS (INT64_C(1) << 60)

static unsigned mode_of(const Apic *a)
{
    return bits_get(apic_get(a, R_LVT_TIMER), 17, 2);
}

/* TDCR bits 3,1,0: 000 = divide by 2 ... 110 = by 128, 111 = by 1. */
static unsigned divide_shift(const Apic *a)
{
    uint32_t d = apic_get(a, R_TDCR);
    return (((d & 3) | (d >> 1 & 4)) + 1) & 7;
}

static int64_t period_ns(const Apic *a)
{
    return (int64_t)((uint64_t)apic_get(a, R_TMICT) << divide_shift(a));
}

static uint32_t count_locked(Apic *a)
{
    uint64_t initial = apic_get(a, R_TMICT);
    uint64_t ticks = (uint64_t)(clock_ns(CLOCK_VIRTUAL_NS) - a->timer_start) >> divide_shift(a);

    if (!initial || mode_of(a) == TIMER_TSC_DEADLINE)
        return 0;
    if (mode_of(a) == TIMER_PERIODIC)
        return initial - ticks % initial;
    return ticks < initial ? initial - ticks : 0;
}

uint32_t apic_timer_count(Apic *a)
{
    lock_domain_lock(a->dev.domain);
    uint32_t count = count_locked(a);
    lock_domain_unlock(a->dev.domain);
    return count;
}

static void interrupt(Apic *a)
{
    uint32_t lvt = apic_get(a, R_LVT_TIMER);

    if (!(lvt & LVT_MASKED))
        apic_raise(a, lvt & 0xff, false);
}

static void arm_count(Apic *a)
{
    int64_t period = period_ns(a);

    if (!period || (apic_get(a, R_LVT_TIMER) & LVT_MASKED)) { /* masked: nobody notices; the count goes on by itself */
        timer_cancel(a->timer);
        return;
    }
    if (mode_of(a) == TIMER_PERIODIC) {
        int64_t now = clock_ns(CLOCK_VIRTUAL_NS);
        int64_t done = now > a->timer_start ? (now - a->timer_start) / period : 0;
        int64_t next = a->timer_start + (done + 1) * period;
        timer_arm(a->timer, next - now < MIN_PERIOD_NS && period < MIN_PERIOD_NS ? now + MIN_PERIOD_NS : next);
    } else {
        timer_arm(a->timer, a->timer_start + period);
    }
}

static void fired(void *opaque)
{
    Apic *a = opaque;

    if (irqchip_host())
        return;
    if (mode_of(a) == TIMER_TSC_DEADLINE) {
        if (!a->tsc_deadline)
            return;
        a->tsc_deadline = 0;
    } else if (mode_of(a) == TIMER_PERIODIC) {
        arm_count(a);
    }
    interrupt(a);
}

static void arm_deadline(Apic *a)
{
    CpuPort *p = a->port;

    if (!a->tsc_deadline || !p || !p->read_tsc || !p->tsc_hz) {
        timer_cancel(a->timer);
        return;
    }
    uint64_t tsc = p->read_tsc(p);
    if (a->tsc_deadline <= tsc) {
        timer_cancel(a->timer);
        fired(a);
        return;
    }
    /* Rounded up: never before the deadline. */
    unsigned __int128 ns = ((unsigned __int128)(a->tsc_deadline - tsc) * 1000000000 + p->tsc_hz - 1) / p->tsc_hz;
    timer_arm(a->timer, clock_ns(CLOCK_VIRTUAL_NS) + (ns > MAX_DELAY_NS ? MAX_DELAY_NS : (int64_t)ns));
}

/* Mode or divider changed: count on from `count` (0: it had run out). */
static void resume_at(Apic *a, uint32_t count)
{
    if (!count)
        return;
    uint64_t gone = apic_get(a, R_TMICT) - count;
    a->timer_start = clock_ns(CLOCK_VIRTUAL_NS) - (int64_t)(gone << divide_shift(a));
    arm_count(a);
}

static void write_lvt(Apic *a, uint32_t value)
{
    unsigned was = mode_of(a);
    uint32_t count = count_locked(a), changed = value ^ apic_get(a, R_LVT_TIMER);

    apic_put(a, R_LVT_TIMER, value);
    if (mode_of(a) == was) {
        if ((changed & LVT_MASKED) && count)
            arm_count(a);
        return;
    }
    if (was == TIMER_TSC_DEADLINE || mode_of(a) == TIMER_TSC_DEADLINE) { /* 11.5.4.1: the change disarms */
        a->tsc_deadline = 0;
        apic_put(a, R_TMICT, 0);
        timer_cancel(a->timer);
    } else {
        resume_at(a, count);
    }
}

static void write_divide(Apic *a, uint32_t value)
{
    uint32_t count = count_locked(a);

    apic_put(a, R_TDCR, value & 0xb);
    resume_at(a, count);
}

void apic_timer_write(Apic *a, unsigned r, uint32_t value)
{
    lock_domain_lock(a->dev.domain);
    if (r == R_LVT_TIMER) {
        write_lvt(a, value);
    } else if (r == R_TDCR) {
        write_divide(a, value);
    } else if (mode_of(a) != TIMER_TSC_DEADLINE) {
        apic_put(a, R_TMICT, value);
        a->timer_start = clock_ns(CLOCK_VIRTUAL_NS);
        arm_count(a);
    }
    lock_domain_unlock(a->dev.domain);
}

uint64_t apic_timer_read_deadline(Apic *a)
{
    lock_domain_lock(a->dev.domain);
    uint64_t deadline = a->tsc_deadline;
    lock_domain_unlock(a->dev.domain);
    return deadline;
}

void apic_timer_write_deadline(Apic *a, uint64_t tsc)
{
    lock_domain_lock(a->dev.domain);
    if (mode_of(a) == TIMER_TSC_DEADLINE) {
        a->tsc_deadline = tsc;
        arm_deadline(a);
    }
    lock_domain_unlock(a->dev.domain);
}

/*
 * The timer is armed as well, so that what is saved is what our own would save; where it fires it finds nothing to do.
 * A count that has run out may not have become an interrupt yet, since the CPU stood: it comes then, as the kernel does
 * it with such a count.
 */
void apic_timer_restore(Apic *a, uint32_t count, uint64_t deadline)
{
    lock_domain_lock(a->dev.domain);
    uint64_t gone = apic_get(a, R_TMICT) - (uint64_t)MIN(count, apic_get(a, R_TMICT));
    timer_cancel(a->timer);
    a->tsc_deadline = deadline;
    a->timer_start = clock_ns(CLOCK_VIRTUAL_NS) - (int64_t)(gone << divide_shift(a));
    if (mode_of(a) == TIMER_TSC_DEADLINE)
        arm_deadline(a);
    else
        arm_count(a);
    lock_domain_unlock(a->dev.domain);
}

/* Virtual time is the same; the TSC may go on at another rate. */
void apic_timer_loaded(Apic *a)
{
    lock_domain_lock(a->dev.domain);
    if (mode_of(a) == TIMER_TSC_DEADLINE)
        arm_deadline(a);
    lock_domain_unlock(a->dev.domain);
}

void apic_timer_start(Apic *a)
{
    a->timer = timer_new(CLOCK_VIRTUAL_NS, a->dev.domain, fired, a);
}

void apic_timer_reset(Apic *a)
{
    lock_domain_lock(a->dev.domain);
    a->tsc_deadline = 0;
    a->timer_start = 0;
    timer_cancel(a->timer);
    lock_domain_unlock(a->dev.domain);
}

void apic_timer_stop(Apic *a)
{
    if (a->timer)
        timer_free(a->timer);
    a->timer = NULL;
}
