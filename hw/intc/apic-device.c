/* SPDX-License-Identifier: MIT */
/*
 * The local APIC as a device: IA32_APIC_BASE, reset, saved state, and its registers to and from an accelerator that
 * runs it.
 */
#include "hw/intc/apic-internal.h"
#include <inttypes.h>
#include "base/log.h"
#include "hw/core/irqchip-host.h"
#include "hw/intc/i8259.h"

/* --- TPR and base, reset --- */

static uint8_t get_tpr(void *intc)
{
    return apic_get(intc, R_TPR);
}

static void set_tpr(void *intc, uint8_t tpr)
{
    apic_write_valid(intc, R_TPR, tpr);
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
    image.reg[R_VERSION] = APIC_VERSION_VALUE;
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
        uint32_t valid = apic_reg_valid(r);
        bool kept = valid || (r >= R_ISR && r < R_ESR);
        if (kept && (r != R_LDR || !apic_is_x2(a)))
            apic_put(a, r, valid ? image.reg[r] & valid : image.reg[r]);
    }
    apic_timer_restore(a, image.reg[R_TMCCT], image.tsc_deadline);
    apic_update_ppr(a);
}

static void cpu_reset(void *intc, bool init)
{
    Apic *a = intc;

    if (!init)
        __atomic_store_n(&a->base, APIC_DEFAULT_BASE | BASE_ENABLE | (a->port && a->port->bsp ? BASE_BSP : 0),
                         __ATOMIC_RELAXED);
    reset_registers(a);
    export_registers(a);
    apic_sync(a);
}

const CpuIntcOps apic_intc_ops = {
    .acknowledge = apic_acknowledge,
    .pending = apic_pending,
    .get_tpr = get_tpr,
    .set_tpr = set_tpr,
    .get_base = get_base,
    .set_base = set_base,
    .msr_read = apic_msr_read,
    .msr_write = apic_msr_write,
    .cpu_reset = cpu_reset,
    .fetch = fetch,
};

/* --- life --- */

static void apic_input(Device *d, unsigned pin, int level)
{
    Apic *a = (Apic *)d;
    uint32_t bit = 1u << pin;
    uint32_t was = level ? __atomic_fetch_or(&a->pins, bit, __ATOMIC_SEQ_CST)
                         : __atomic_fetch_and(&a->pins, ~bit, __ATOMIC_SEQ_CST);

    if (irqchip_host())
        apic_sync(a);
    else
        apic_lint_changed(a, pin, level && !(was & bit), level);
}

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
        a->reg[r] &= apic_reg_valid(r);
    a->reg[R_TPR] &= 0xff;
    a->reg[R_TDCR] &= 0xb;
    a->reg[R_IRR] &= 0xffff0000;
    a->reg[R_ISR] &= 0xffff0000;
    apic_update_ppr(a);
    apic_timer_loaded(a);
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
