/* SPDX-License-Identifier: MIT */
/*
 * The local APIC's registers in memory and as MSRs, xAPIC and x2APIC (Intel SDM vol. 3A, sections 11.4, 11.5 and
 * 11.12).
 */
#include "hw/intc/apic-internal.h"

enum { RD = 1, WR = 2, XAPIC = 4, X2APIC = 8, BOTH = XAPIC | X2APIC, RW = RD | WR };

/* Which registers there are, and the bits that can be set in the plain ones (11.4.1, 11.5.1, 11.12.1.2). */
typedef struct RegInfo {
    uint8_t flags;
    uint32_t valid;
} RegInfo;
static const RegInfo info_of[R_COUNT] = {
    [R_ID] = { RD | BOTH, 0 },
    [R_VERSION] = { RD | BOTH, 0 },
    [R_TPR] = { RW | BOTH, 0xff },
    [R_APR] = { RD | XAPIC, 0 },
    [R_PPR] = { RD | BOTH, 0 },
    [R_EOI] = { WR | BOTH, 0 },
    [R_RRD] = { RD | XAPIC, 0 },
    [R_LDR] = { RW | BOTH, 0xff000000 },
    [R_DFR] = { RW | XAPIC, 0xf0000000 },
    [R_SVR] = { RW | BOTH, 0x13ff },
    [R_ISR... R_ISR + 7] = { RD | BOTH, 0 },
    [R_TMR... R_TMR + 7] = { RD | BOTH, 0 },
    [R_IRR... R_IRR + 7] = { RD | BOTH, 0 },
    [R_ESR] = { RW | BOTH, 0 },
    [R_ICR] = { RW | BOTH, 0x000ccfff },
    [R_ICR2] = { RW | XAPIC, 0xff000000 },
    [R_LVT_TIMER] = { RW | BOTH, 0x000700ff },
    [R_LVT_THERMAL] = { RW | BOTH, 0x000107ff },
    [R_LVT_PERF] = { RW | BOTH, 0x000107ff },
    [R_LVT_LINT0] = { RW | BOTH, 0x0001a7ff },
    [R_LVT_LINT1] = { RW | BOTH, 0x0001a7ff },
    [R_LVT_ERROR] = { RW | BOTH, 0x000100ff },
    [R_TMICT] = { RW | BOTH, 0xffffffff },
    [R_TMCCT] = { RD | BOTH, 0 },
    [R_TDCR] = { RW | BOTH, 0xb },
    [R_SELF_IPI] = { WR | X2APIC, 0xff },
};

uint32_t apic_reg_valid(unsigned r) { return info_of[r].valid; }

static void send_ipi(Apic *a, uint32_t low, uint32_t dest)
{
    ApicMessage m = { .dest = dest, .logical = low & BIT(11), .mode = bits_get(low, 8, 3), .vector = low & 0xff };
    enum { NO_SHORTHAND, SELF, ALL, OTHERS };
    unsigned shorthand = bits_get(low, 18, 2);

    if (m.mode == APIC_INIT && (low & BIT(15)) && !(low & BIT(14)))
        return; /* INIT level de-assert: arbitration only */
    if (m.mode <= APIC_LOWEST && m.vector < 16) {
        apic_error(a, ESR_SEND_VECTOR);
        return;
    }
    if (shorthand == SELF) {
        apic_accept(a, m.mode, m.vector, false);
        return;
    }
    if (shorthand != NO_SHORTHAND) {
        m.dest = UINT32_MAX;
        m.logical = false;
    } else if (!apic_is_x2(a) && m.dest == 0xff) {
        m.dest = UINT32_MAX;
    }
    apic_route(&m, shorthand == OTHERS ? a : NULL);
}

static void write_svr(Apic *a, uint32_t value)
{
    apic_put(a, R_SVR, value);
    for (unsigned r = R_LVT_TIMER; !(value & SVR_ENABLE) && r <= R_LVT_ERROR; r++)
        apic_put(a, r, apic_get(a, r) | LVT_MASKED);
    apic_sync(a);
}

static void write_lvt(Apic *a, unsigned r, uint32_t value)
{
    if (!apic_software_enabled(a))
        value |= LVT_MASKED;
    if (r == R_LVT_TIMER) {
        apic_timer_write(a, r, value);
        return;
    }
    apic_put(a, r, value);
    if (r == R_LVT_LINT0)
        apic_lint_changed(a, 0, false, __atomic_load_n(&a->pins, __ATOMIC_SEQ_CST) & 1);
}

bool apic_reg_read(Apic *a, unsigned r, uint32_t *value)
{
    bool x2 = apic_is_x2(a);

    *value = 0;
    if (r >= R_COUNT || (info_of[r].flags & (RD | (x2 ? X2APIC : XAPIC))) != (RD | (x2 ? X2APIC : XAPIC))) {
        if (!x2)
            apic_error(a, ESR_REGISTER);
        return false;
    }
    switch (r) {
    case R_ID:
        *value = x2 ? a->id : a->id << 24;
        break;
    case R_VERSION:
        *value = APIC_VERSION_VALUE;
        break;
    case R_APR:
        *value = apic_get(a, R_PPR);
        break;
    case R_LDR:
        *value = x2 ? (a->id & ~15u) << 12 | BIT(a->id & 15) : apic_get(a, r);
        break;
    case R_DFR:
        *value = apic_get(a, r) | 0x0fffffff;
        break;
    case R_TMCCT:
        *value = apic_timer_count(a);
        break;
    default:
        *value = apic_get(a, r);
    }
    return true;
}

void apic_write_valid(Apic *a, unsigned r, uint32_t v)
{
    switch (r) {
    case R_TPR:
        apic_put(a, r, v);
        apic_update_ppr(a);
        apic_sync(a);
        break;
    case R_EOI:
        apic_end_of_interrupt(a);
        break;
    case R_SVR:
        write_svr(a, v);
        break;
    case R_ESR:
        apic_put(a, r, __atomic_exchange_n(&a->errors, 0, __ATOMIC_RELAXED));
        break;
    case R_ICR:
        apic_put(a, r, v);
        send_ipi(a, v, apic_is_x2(a) ? apic_get(a, R_ICR2) : apic_get(a, R_ICR2) >> 24);
        break;
    case R_LVT_TIMER ... R_LVT_ERROR:
        write_lvt(a, r, v);
        break;
    case R_TMICT:
    case R_TDCR:
        apic_timer_write(a, r, v);
        break;
    case R_SELF_IPI:
        send_ipi(a, v | 1u << 18, 0);
        break;
    default:
        apic_put(a, r, v);
    }
}

bool apic_reg_write(Apic *a, unsigned r, uint32_t value)
{
    bool x2 = apic_is_x2(a);
    unsigned need = WR | (x2 ? X2APIC : XAPIC);

    if (r >= R_COUNT || (info_of[r].flags & need) != need || (x2 && r == R_LDR)) {
        if (x2)
            return false;
        if (r != R_ID && r != R_VERSION)
            apic_error(a, ESR_REGISTER);
        return true;
    }
    /* Delivery status and remote IRR are read-only, not reserved: software writes back what it has read. */
    uint32_t ignored = r >= R_LVT_TIMER && r <= R_LVT_ERROR ? 1 << 12 | LVT_REMOTE_IRR : 0;
    if (x2 && (value & ~(info_of[r].valid | ignored)))
        return false;
    apic_write_valid(a, r, value & info_of[r].valid);
    return true;
}

bool apic_msr_read(void *intc, uint32_t msr, uint64_t *value)
{
    Apic *a = intc;
    uint32_t v;

    if (msr == MSR_TSC_DEADLINE) {
        *value = apic_timer_read_deadline(a);
        return true;
    }
    if (!apic_is_x2(a) || msr < 0x800 || !apic_reg_read(a, msr - 0x800, &v))
        return false;
    *value = v;
    if (msr == 0x800 + R_ICR)
        *value |= (uint64_t)apic_get(a, R_ICR2) << 32;
    return true;
}

bool apic_msr_write(void *intc, uint32_t msr, uint64_t value)
{
    Apic *a = intc;

    if (msr == MSR_TSC_DEADLINE) {
        apic_timer_write_deadline(a, value);
        return true;
    }
    if (!apic_is_x2(a) || msr < 0x800)
        return false;
    if (msr == 0x800 + R_ICR) {
        if ((uint32_t)value & ~info_of[R_ICR].valid)
            return false;
        apic_put(a, R_ICR2, value >> 32);
    } else if (value >> 32) {
        return false;
    }
    return apic_reg_write(a, msr - 0x800, value);
}
