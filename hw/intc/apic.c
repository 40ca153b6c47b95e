/* SPDX-License-Identifier: MIT */
/* The local APIC and x2APIC: registers, priorities, acceptance (Intel SDM vol. 3A, chapter 11). */
#include "hw/intc/apic-internal.h"
#include <inttypes.h>
#include "base/log.h"
#include "base/trace.h"
#include "hw/core/irqchip-host.h"
#include "hw/intc/i8259.h"

enum { RD = 1, WR = 2, XAPIC = 4, X2APIC = 8, BOTH = XAPIC | X2APIC, RW = RD | WR };
#define VERSION_VALUE (0x14u | 5u << 16 | 1u << 24) /* six LVT entries; EOI broadcast can be suppressed */

/* Which registers there are, and the bits that can be set in the plain ones (11.4.1, 11.5.1, 11.12.1.2). */
typedef struct RegInfo {
    uint8_t flags;
    uint32_t valid;
} RegInfo;
static const RegInfo info_of[R_COUNT] = {
    [R_ID] = { RD | BOTH, 0 }, [R_VERSION] = { RD | BOTH, 0 }, [R_TPR] = { RW | BOTH, 0xff }, [R_APR] = { RD | XAPIC, 0 },
    [R_PPR] = { RD | BOTH, 0 }, [R_EOI] = { WR | BOTH, 0 }, [R_RRD] = { RD | XAPIC, 0 },
    [R_LDR] = { RW | BOTH, 0xff000000 }, [R_DFR] = { RW | XAPIC, 0xf0000000 }, [R_SVR] = { RW | BOTH, 0x13ff },
    [R_ISR ... R_ISR + 7] = { RD | BOTH, 0 }, [R_TMR ... R_TMR + 7] = { RD | BOTH, 0 },
    [R_IRR ... R_IRR + 7] = { RD | BOTH, 0 }, [R_ESR] = { RW | BOTH, 0 }, [R_ICR] = { RW | BOTH, 0x000ccfff },
    [R_ICR2] = { RW | XAPIC, 0xff000000 }, [R_LVT_TIMER] = { RW | BOTH, 0x000700ff },
    [R_LVT_THERMAL] = { RW | BOTH, 0x000107ff }, [R_LVT_PERF] = { RW | BOTH, 0x000107ff },
    [R_LVT_LINT0] = { RW | BOTH, 0x0001a7ff }, [R_LVT_LINT1] = { RW | BOTH, 0x0001a7ff },
    [R_LVT_ERROR] = { RW | BOTH, 0x000100ff }, [R_TMICT] = { RW | BOTH, 0xffffffff }, [R_TMCCT] = { RD | BOTH, 0 },
    [R_TDCR] = { RW | BOTH, 0xb }, [R_SELF_IPI] = { WR | X2APIC, 0xff },
};

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

static void update_ppr(Apic *a)
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

static bool apic_pending(void *intc)
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

static void error(Apic *a, uint32_t bit)
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
        error(a, ESR_RECEIVE_VECTOR);
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
static void lint_changed(Apic *a, unsigned n, bool rose, bool level)
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

static void apic_input(Device *d, unsigned pin, int level)
{
    Apic *a = (Apic *)d;
    uint32_t bit = 1u << pin;
    uint32_t was = level ? __atomic_fetch_or(&a->pins, bit, __ATOMIC_SEQ_CST)
                         : __atomic_fetch_and(&a->pins, ~bit, __ATOMIC_SEQ_CST);

    if (irqchip_host())
        apic_sync(a);
    else
        lint_changed(a, pin, level && !(was & bit), level);
}

static int acknowledge(void *intc)
{
    Apic *a = intc;
    int v = irqchip_host() ? -1 : deliverable(a);

    if (irqchip_host()) {
        v = a->pic && apic_pending(a) ? i8259_acknowledge(a->pic) : -1;
    } else if (v >= 0) {
        __atomic_fetch_and(&a->reg[R_IRR + v / 32], ~(uint32_t)BIT(v & 31), __ATOMIC_SEQ_CST);
        apic_put(a, R_ISR + v / 32, apic_get(a, R_ISR + v / 32) | BIT(v & 31));
        update_ppr(a);
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

static void end_of_interrupt(Apic *a)
{
    int v = highest(a, R_ISR);

    if (v < 0)
        return;
    apic_put(a, R_ISR + v / 32, apic_get(a, R_ISR + v / 32) & ~(uint32_t)BIT(v & 31));
    update_ppr(a);
    if (apic_get(a, R_TMR + v / 32) & BIT(v & 31)) {
        if (!(apic_get(a, R_SVR) & SVR_NO_EOI_BROADCAST))
            apic_broadcast_eoi(v);
        lint_changed(a, 0, false, __atomic_load_n(&a->pins, __ATOMIC_SEQ_CST) & 1);
    }
    apic_sync(a);
}

static void send_ipi(Apic *a, uint32_t low, uint32_t dest)
{
    ApicMessage m = { .dest = dest, .logical = low & BIT(11), .mode = bits_get(low, 8, 3), .vector = low & 0xff };
    enum { NO_SHORTHAND, SELF, ALL, OTHERS };
    unsigned shorthand = bits_get(low, 18, 2);

    if (m.mode == APIC_INIT && (low & BIT(15)) && !(low & BIT(14)))
        return; /* INIT level de-assert: arbitration only */
    if (m.mode <= APIC_LOWEST && m.vector < 16) {
        error(a, ESR_SEND_VECTOR);
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
        lint_changed(a, 0, false, __atomic_load_n(&a->pins, __ATOMIC_SEQ_CST) & 1);
}

bool apic_reg_read(Apic *a, unsigned r, uint32_t *value)
{
    bool x2 = apic_is_x2(a);

    *value = 0;
    if (r >= R_COUNT || (info_of[r].flags & (RD | (x2 ? X2APIC : XAPIC))) != (RD | (x2 ? X2APIC : XAPIC))) {
        if (!x2)
            error(a, ESR_REGISTER);
        return false;
    }
    switch (r) {
    case R_ID:
        *value = x2 ? a->id : a->id << 24;
        break;
    case R_VERSION:
        *value = VERSION_VALUE;
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

static void write_valid(Apic *a, unsigned r, uint32_t v)
{
    switch (r) {
    case R_TPR:
        apic_put(a, r, v);
        update_ppr(a);
        apic_sync(a);
        break;
    case R_EOI:
        end_of_interrupt(a);
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
            error(a, ESR_REGISTER);
        return true;
    }
    /* Delivery status and remote IRR are read-only, not reserved: software writes back what it has read. */
    uint32_t ignored = r >= R_LVT_TIMER && r <= R_LVT_ERROR ? 1 << 12 | LVT_REMOTE_IRR : 0;
    if (x2 && (value & ~(info_of[r].valid | ignored)))
        return false;
    write_valid(a, r, value & info_of[r].valid);
    return true;
}

static bool msr_read(void *intc, uint32_t msr, uint64_t *value)
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

static bool msr_write(void *intc, uint32_t msr, uint64_t value)
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

static uint8_t get_tpr(void *intc)
{
    return apic_get(intc, R_TPR);
}

static void set_tpr(void *intc, uint8_t tpr)
{
    write_valid(intc, R_TPR, tpr);
}

static uint64_t get_base(void *intc)
{
    return apic_base(intc);
}

static void reset_registers(Apic *a)
{
    apic_timer_reset(a);
    for (unsigned r = 0; r < R_COUNT; r++)
        apic_put(a, r, r >= R_LVT_TIMER && r <= R_LVT_ERROR ? LVT_MASKED : 0);
    apic_put(a, R_DFR, 0xf0000000);
    apic_put(a, R_SVR, 0xff);
    if (a->base & BASE_BSP)
        apic_put(a, R_LVT_LINT0, APIC_EXTINT << 8); /* virtual wire, as firmware leaves it */
    __atomic_store_n(&a->extint, 0, __ATOMIC_SEQ_CST);
    __atomic_store_n(&a->errors, 0, __ATOMIC_SEQ_CST);
}

/* 11.12.1 and figure 11-27: which changes of mode there are. The base address itself does not move. */
static bool set_base(void *intc, uint64_t value)
{
    Apic *a = intc;
    uint64_t mode = value & (BASE_ENABLE | BASE_X2APIC), was = a->base & (BASE_ENABLE | BASE_X2APIC);

    if (value & (bits_mask(8) | BIT(9) | ~bits_mask(52)))
        return false;
    if (mode == BASE_X2APIC || ((mode & BASE_X2APIC) && !a->x2apic_allowed))
        return false;
    if (mode != was && ((!was && (mode & BASE_X2APIC)) || ((was & BASE_X2APIC) && mode)))
        return false;
    if ((value ^ a->base) & bits_mask(52) & ~bits_mask(12))
        log_unimp("apic", "register window moved to 0x%" PRIx64, (uint64_t)(value & ~bits_mask(12)));
    bool disabled = was && !mode;
    __atomic_store_n(&a->base, (value & ~BASE_BSP) | (a->base & BASE_BSP), __ATOMIC_RELAXED);
    if (disabled)
        reset_registers(a);
    if (mode != was && (mode & BASE_X2APIC))
        apic_put(a, R_ICR2, 0);
    apic_sync(a);
    return true;
}

/* --- registers that an accelerator has --- */

/* KVM's timer counts nanoseconds too; the count itself stands where the guest would read it. */
static void export_registers(Apic *a)
{
    const IrqchipHost *h = irqchip_host();
    IrqchipApic image = { .base = a->base, .tsc_deadline = apic_timer_read_deadline(a) };

    if (!h || !a->port)
        return;
    for (unsigned r = 0; r < R_COUNT; r++)
        image.reg[r] = apic_get(a, r);
    image.reg[R_ID] = a->id << 24;
    image.reg[R_VERSION] = VERSION_VALUE;
    if (apic_is_x2(a))
        image.reg[R_LDR] = (a->id & ~15u) << 12 | BIT(a->id & 15);
    image.reg[R_TMCCT] = apic_timer_count(a);
    h->apic_put(a->port, &image);
}

static void fetch(void *intc)
{
    Apic *a = intc;
    const IrqchipHost *h = irqchip_host();
    IrqchipApic image = { 0 };

    if (!h || !a->port)
        return;
    h->apic_get(a->port, &image);
    __atomic_store_n(&a->base, image.base, __ATOMIC_RELAXED);
    for (unsigned r = 0; r < R_COUNT; r++) {
        bool kept = info_of[r].valid || (r >= R_ISR && r < R_ESR);
        if (kept && (r != R_LDR || !apic_is_x2(a)))
            apic_put(a, r, info_of[r].valid ? image.reg[r] & info_of[r].valid : image.reg[r]);
    }
    apic_timer_restore(a, image.reg[R_TMCCT], image.tsc_deadline);
    update_ppr(a);
}

static void cpu_reset(void *intc, bool init)
{
    Apic *a = intc;

    if (!init)
        __atomic_store_n(&a->base, APIC_DEFAULT_BASE | BASE_ENABLE | (a->port && a->port->bsp ? BASE_BSP : 0), __ATOMIC_RELAXED);
    reset_registers(a);
    export_registers(a);
    apic_sync(a);
}

const CpuIntcOps apic_intc_ops = {
    .acknowledge = acknowledge, .pending = apic_pending, .get_tpr = get_tpr, .set_tpr = set_tpr, .get_base = get_base,
    .set_base = set_base, .msr_read = msr_read, .msr_write = msr_write, .cpu_reset = cpu_reset,
    .fetch = fetch,
};

static void apic_init(Device *d)
{
    device_own_domain(d, "apic");
}

static bool apic_start(Device *d, Error **errp)
{
    Apic *a = (Apic *)d;

    apic_timer_start(a);
    apic_bus_add(a);
    if (a->port) {
        a->port->intc_ops = &apic_intc_ops;
        a->port->intc = a;
    }
    cpu_reset(a, false);
    return true;
}

static void apic_reset(Device *d, ResetPhase phase)
{
    if (phase == RESET_ENTER)
        cpu_reset(d, false);
}

/* The 8259 pair may be run elsewhere too: then its output is not a line that reached us. */
static void apic_saving(Device *d)
{
    Apic *a = (Apic *)d;

    if (!irqchip_host())
        return;
    fetch(a);
    if (a->pic)
        a->pins = (a->pins & ~1u) | i8259_pending(a->pic);
}

static bool apic_loaded(Device *d, Error **errp)
{
    Apic *a = (Apic *)d;
    uint64_t mode = a->base & (BASE_ENABLE | BASE_X2APIC);

    if (mode == BASE_X2APIC || ((mode & BASE_X2APIC) && !a->x2apic_allowed)) {
        error_setf(errp, "device '%s': saved APIC base 0x%" PRIx64 " is not possible here", d->id, a->base);
        return false;
    }
    for (unsigned r = R_LVT_TIMER; r <= R_LVT_ERROR; r++)
        a->reg[r] &= info_of[r].valid;
    a->reg[R_TPR] &= 0xff;
    a->reg[R_TDCR] &= 0xb;
    a->reg[R_IRR] &= 0xffff0000;
    a->reg[R_ISR] &= 0xffff0000;
    update_ppr(a);
    export_registers(a);
    apic_sync(a);
    return true;
}

static void apic_stop(Device *d)
{
    Apic *a = (Apic *)d;

    apic_bus_remove(a);
    apic_timer_stop(a);
    for (unsigned i = 0; i < cpu_port_count(); i++) { /* the CPUs may be gone before */
        if (cpu_port(i) == a->port && a->port->intc == a) {
            a->port->intc_ops = NULL;
            a->port->intc = NULL;
        }
    }
}

static void print_bitmap(const Apic *a, const char *name, unsigned first, GString *out)
{
    g_string_append_printf(out, "%s:", name);
    for (unsigned v = 0; v < 256; v++) {
        if (apic_get(a, first + v / 32) & BIT(v & 31))
            g_string_append_printf(out, " %u", v);
    }
    g_string_append_c(out, '\n');
}

static void apic_info(Device *d, GString *out)
{
    const Apic *a = (Apic *)d;

    g_string_append_printf(out, "id %u base 0x%" PRIx64 " svr 0x%x tpr 0x%x ppr 0x%x icr 0x%x:0x%x\n", a->id, a->base,
                           apic_get(a, R_SVR), apic_get(a, R_TPR), apic_get(a, R_PPR), apic_get(a, R_ICR2),
                           apic_get(a, R_ICR));
    g_string_append_printf(out, "lvt: timer 0x%x lint0 0x%x lint1 0x%x error 0x%x\n", apic_get(a, R_LVT_TIMER),
                           apic_get(a, R_LVT_LINT0), apic_get(a, R_LVT_LINT1), apic_get(a, R_LVT_ERROR));
    print_bitmap(a, "isr", R_ISR, out);
    print_bitmap(a, "irr", R_IRR, out);
}

static const char *const in_pins[] = { "lint*2", NULL };
static const Property props[] = {
    PROP_(PROP_U32, "id", Apic, id, 0, "APIC id", .max = 4095),
    DEFINE_PROP_BOOL("x2apic", Apic, x2apic_allowed, true, "x2APIC mode may be entered"),
    DEFINE_PROP_END,
};
static const StateField state[] = {
    STATE_U64(Apic, base), STATE_U32_ARRAY(Apic, reg), STATE_U32(Apic, pins), STATE_U32(Apic, extint),
    STATE_U32(Apic, errors), STATE_U64(Apic, tsc_deadline),
    { .name = "timer_start", .kind = STATE_U64, .offset = offsetof(Apic, timer_start), .count = 1, .stride = 8 },
    STATE_TIMER(Apic, timer), STATE_END_OF_TABLE,
};

static const DeviceType apic_type = {
    .name = "apic", .desc = "Local APIC", .category = "Misc", .size = sizeof(Apic), .props = props, .state = state,
    .in_pins = in_pins, .init = apic_init, .start = apic_start, .reset = apic_reset, .input = apic_input,
    .saving = apic_saving, .loaded = apic_loaded, .stop = apic_stop, .info = apic_info,
};
DEVICE_REGISTER(apic_type)

Device *apic_new(CpuPort *port, const char *id)
{
    Device *d = device_new(&apic_type, id);
    Apic *a = (Apic *)d;

    a->port = port;
    a->id = port->arch_id;
    return d;
}

void apic_connect_pic(Device *apic, Device *pic)
{
    ((Apic *)apic)->pic = pic;
    device_connect(pic, "intr", 0, device_input(apic, "lint", 0));
}
