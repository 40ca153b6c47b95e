/* SPDX-License-Identifier: MIT */
/* The local APIC: priorities, acceptance and end of interrupts (Intel SDM vol. 3A, sections 11.5 to 11.8). */
#include "hw/intc/apic-internal.h"
#include "base/log.h"
#include "base/trace.h"
#include "hw/core/irqchip-host.h"
#include "hw/intc/i8259.h"

/* Bit numbers 0..255 in eight registers from `first` on: the highest that is set, or -1. */
static int highest(const Apic *a, unsigned first)
{
    for (int i = 7; i >= 0; i--) {
        uint32_t w = apic_get(a, first + i);
        if (w)
            return i * 32 + 31 - __builtin_clz(w);
    }
    return -1;
}

void apic_update_ppr(Apic *a)
{
    uint32_t tpr = apic_get(a, R_TPR);
    int in_service = highest(a, R_ISR);
    uint32_t isr_class = in_service < 0 ? 0 : in_service & 0xf0;

    apic_put(a, R_PPR, (tpr & 0xf0) >= isr_class ? tpr : isr_class);
}

/* The vector that passes the processor priority, or -1. */
static int deliverable(const Apic *a)
{
    int v = highest(a, R_IRR);
    return v >= 0 && (apic_base(a) & BASE_ENABLE) && (v & 0xf0) > (int)(apic_get(a, R_PPR) & 0xf0) ? v : -1;
}

/* Does the 8259 pair reach this CPU now? With the APIC globally disabled LINT0 is the CPU's INTR pin (11.4.3). */
static bool extint_ready(const Apic *a)
{
    if (__atomic_load_n(&a->extint, __ATOMIC_RELAXED))
        return true;
    if (!(__atomic_load_n(&a->pins, __ATOMIC_RELAXED) & 1))
        return false;
    return !(apic_base(a) & BASE_ENABLE) ||
           (apic_get(a, R_LVT_LINT0) & (LVT_MODE | LVT_MASKED)) == APIC_EXTINT << 8;
}

bool apic_pending(void *intc)
{
    if (irqchip_host()) /* it asks for vectors of the 8259 pair only; LVT entries are its own business */
        return __atomic_load_n(&((Apic *)intc)->pins, __ATOMIC_RELAXED) & 1;
    return deliverable(intc) >= 0 || extint_ready(intc);
}

void apic_sync(Apic *a)
{
    bool want;

    if (!a->port || !a->port->ops)
        return;
    do {
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        want = apic_pending(a);
        a->port->ops->set_line(a->port, CPU_LINE_INTR, want);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
    } while (apic_pending(a) != want);
}

void apic_error(Apic *a, uint32_t bit)
{
    uint32_t lvt = apic_get(a, R_LVT_ERROR);

    __atomic_fetch_or(&a->errors, bit, __ATOMIC_RELAXED);
    if (!(lvt & LVT_MASKED) && (lvt & 0xff) >= 16)
        apic_raise(a, lvt & 0xff, false);
}

void apic_raise(Apic *a, uint8_t vector, bool level)
{
    uint32_t bit = BIT(vector & 31);

    if (!apic_software_enabled(a))
        return;
    if (vector < 16) {
        apic_error(a, ESR_RECEIVE_VECTOR);
        return;
    }
    if (level)
        __atomic_fetch_or(&a->reg[R_TMR + vector / 32], bit, __ATOMIC_RELAXED);
    else
        __atomic_fetch_and(&a->reg[R_TMR + vector / 32], ~bit, __ATOMIC_RELAXED);
    __atomic_fetch_or(&a->reg[R_IRR + vector / 32], bit, __ATOMIC_SEQ_CST);
    apic_sync(a);
}

static void cpu_event(Apic *a, CpuLine line)
{
    if (a->port && a->port->ops)
        a->port->ops->set_line(a->port, line, true);
}

void apic_accept(Apic *a, uint8_t mode, uint8_t vector, bool level)
{
    if (!(apic_base(a) & BASE_ENABLE))
        return;
    switch (mode) {
    case APIC_FIXED:
    case APIC_LOWEST:
        apic_raise(a, vector, level);
        break;
    case APIC_SMI:
        cpu_event(a, CPU_LINE_SMI);
        break;
    case APIC_NMI:
        cpu_event(a, CPU_LINE_NMI);
        break;
    case APIC_INIT:
        cpu_event(a, CPU_LINE_INIT);
        break;
    case APIC_SIPI:
        if (a->port && a->port->ops)
            a->port->ops->sipi(a->port, vector);
        break;
    case APIC_EXTINT:
        __atomic_store_n(&a->extint, 1, __ATOMIC_SEQ_CST);
        apic_sync(a);
        break;
    default:
        log_guest_error("apic", "message with the reserved delivery mode %u", mode);
    }
}

/* LINT0 and LINT1 (11.5.1); any thread. ExtINT is a level that extint_ready() looks at. */
void apic_lint_changed(Apic *a, unsigned n, bool rose, bool level)
{
    uint32_t lvt = apic_get(a, R_LVT_LINT0 + n);
    unsigned mode = bits_get(lvt, 8, 3);

    if (!(apic_base(a) & BASE_ENABLE)) { /* the pins are INTR and NMI */
        if (n == 1 && rose)
            cpu_event(a, CPU_LINE_NMI);
    } else if (!(lvt & LVT_MASKED) && mode != APIC_EXTINT) {
        bool by_level = n == 0 && mode == APIC_FIXED && (lvt & LVT_LEVEL);
        if (by_level ? level : rose)
            apic_accept(a, mode, lvt & 0xff, by_level);
    }
    if (n == 0)
        apic_sync(a);
}

int apic_acknowledge(void *intc)
{
    Apic *a = intc;
    int v = irqchip_host() ? -1 : deliverable(a);

    if (irqchip_host()) {
        v = a->pic && apic_pending(a) ? i8259_acknowledge(a->pic) : -1;
    } else if (v >= 0) {
        __atomic_fetch_and(&a->reg[R_IRR + v / 32], ~(uint32_t)BIT(v & 31), __ATOMIC_SEQ_CST);
        apic_put(a, R_ISR + v / 32, apic_get(a, R_ISR + v / 32) | BIT(v & 31));
        apic_update_ppr(a);
    } else if (a->pic && extint_ready(a)) {
        __atomic_store_n(&a->extint, 0, __ATOMIC_SEQ_CST);
        v = i8259_acknowledge(a->pic);
    } else {
        __atomic_store_n(&a->extint, 0, __ATOMIC_SEQ_CST);
    }
    apic_sync(a);
    TRACE(apic_acknowledge, "apic %u vector %d", a->id, v);
    return v;
}

void apic_end_of_interrupt(Apic *a)
{
    int v = highest(a, R_ISR);

    if (v < 0)
        return;
    apic_put(a, R_ISR + v / 32, apic_get(a, R_ISR + v / 32) & ~(uint32_t)BIT(v & 31));
    apic_update_ppr(a);
    if (apic_get(a, R_TMR + v / 32) & BIT(v & 31)) {
        if (!(apic_get(a, R_SVR) & SVR_NO_EOI_BROADCAST))
            apic_broadcast_eoi(v);
        apic_lint_changed(a, 0, false, __atomic_load_n(&a->pins, __ATOMIC_SEQ_CST) & 1);
    }
    apic_sync(a);
}
