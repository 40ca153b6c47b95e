/* SPDX-License-Identifier: MIT */
/*
 * The kernel's interrupt controllers of a PC: local APICs, I/O APIC, 8259 pair, PIT; their state to and from the
 * models.
 */
#include "target/x86/kvm.h"

#include <errno.h>
#include <string.h>
#include "base/clock.h"
#include "base/log.h"
#include "hw/core/irqchip-host.h"

enum {
    MSR_TSC_DEADLINE = 0x6e0,
    LVT_TIMER = 0x32,
    PINS = 24,
    PIT_PIN = 2,
    IOAPIC_AT = 0xfec00000,
    RTE_LEVEL = 1 << 15,
    RTE_MASKED = 1 << 16
};

static void complain(const char *what, bool in)
{
    log_unimp("kvm", "the kernel %s the %s: %s", in ? "does not take" : "does not tell", what, g_strerror(errno));
}

static Vcpu *vcpu_of(CpuPort *p) { return container_of(p, Vcpu, port); }

/* --- local APICs --- */

static void get_lapic(Vcpu *v, void *opaque)
{
    IrqchipApic *out = opaque;
    struct kvm_lapic_state page;
    struct kvm_sregs s;
    int fd = v->kvm->fd;
    if (kvm_ioctl(fd, KVM_GET_LAPIC, &page) < 0 || kvm_ioctl(fd, KVM_GET_SREGS, &s) < 0) {
        complain("local APIC", false);
        return;
    }
    out->base = s.apic_base;
    for (unsigned r = 0; r < 64; r++)
        out->reg[r] = load_le32((const uint8_t *)page.regs + 16 * r);
    kvm_x86_msr(fd, KVM_GET_MSRS, MSR_TSC_DEADLINE, &out->tsc_deadline);
}

/* A vCPU that runs holds its lock: ask in its thread. */
static void apic_get(CpuPort *p, IrqchipApic *out)
{
    Vcpu *v = vcpu_of(p);
    if (!v->kvm)
        return;
    if (vcpu_paused() || vcpu_current() == v)
        get_lapic(v, out);
    else
        vcpu_run_on_sync(v, get_lapic, out);
}

/* The base says how the registers are to be read. The deadline comes with the TSC, before the next entry. */
static void apic_put(CpuPort *p, const IrqchipApic *in)
{
    KvmVcpu *k = vcpu_of(p)->kvm;
    struct kvm_lapic_state page = { 0 };
    struct kvm_sregs s;
    if (!k)
        return;
    for (unsigned r = 0; r < 64; r++)
        store_le32((uint8_t *)page.regs + 16 * r, in->reg[r]);
    bool ok = !kvm_ioctl(k->fd, KVM_GET_SREGS, &s);
    if (ok && s.apic_base != in->base) {
        s.apic_base = in->base;
        memset(s.interrupt_bitmap, 0, sizeof(s.interrupt_bitmap));
        ok = !kvm_ioctl(k->fd, KVM_SET_SREGS, &s);
    }
    if (!ok || kvm_ioctl(k->fd, KVM_SET_LAPIC, &page) < 0)
        complain("local APIC", true);
    kvm_x86(k)->deadline = in->tsc_deadline;
    kvm_x86(k)->deadline_due = true;
}

void kvm_x86_put_deadline(KvmVcpu *k)
{
    KvmX86 *x = kvm_x86(k);
    if (!x->deadline_due)
        return;
    x->deadline_due = false;
    uint64_t deadline = x->deadline; /* 0 disarms */
    if (!kvm_x86_msr(k->fd, KVM_SET_MSRS, MSR_TSC_DEADLINE, &deadline) && x->deadline)
        complain("TSC deadline", true);
}

/* --- I/O APIC and 8259 pair --- */

static bool chip_call(unsigned long request, unsigned id, struct kvm_irqchip *c, const char *what)
{
    c->chip_id = id;
    if (!kvm_ioctl(kvm.vm, request, c))
        return true;
    complain(what, request == KVM_SET_IRQCHIP);
    return false;
}

static void ioapic_get(IrqchipIoapic *out)
{
    struct kvm_irqchip c = { 0 };
    if (!chip_call(KVM_GET_IRQCHIP, KVM_IRQCHIP_IOAPIC, &c, "I/O APIC"))
        return;
    *out = (IrqchipIoapic){ .id = (uint8_t)c.chip.ioapic.id,
                            .select = (uint8_t)c.chip.ioapic.ioregsel,
                            .lines = c.chip.ioapic.irr };
    for (unsigned i = 0; i < PINS; i++)
        out->redirect[i] = c.chip.ioapic.redirtbl[i].bits;
}

/* A pin that is asserted becomes an interrupt again: right for levels, not for an edge that has been. */
static void ioapic_put(const IrqchipIoapic *in)
{
    struct kvm_irqchip c = { .chip.ioapic = { .base_address = IOAPIC_AT, .ioregsel = in->select, .id = in->id } };
    for (unsigned i = 0; i < PINS; i++) {
        bool edge = !(in->redirect[i] & (RTE_LEVEL | RTE_MASKED)) || i == PIT_PIN;
        c.chip.ioapic.redirtbl[i].bits = in->redirect[i];
        c.chip.ioapic.irr |= edge ? 0 : in->lines & 1u << i;
    }
    chip_call(KVM_SET_IRQCHIP, KVM_IRQCHIP_IOAPIC, &c, "I/O APIC");
}

static const unsigned pic_ids[2] = { KVM_IRQCHIP_PIC_MASTER, KVM_IRQCHIP_PIC_SLAVE };
static const uint8_t elcr_masks[2] = { 0xf8, 0xde };

static void pic_get(IrqchipPic out[2])
{
    for (unsigned i = 0; i < 2; i++) {
        struct kvm_irqchip c = { 0 };
        const struct kvm_pic_state *p = &c.chip.pic;
        if (chip_call(KVM_GET_IRQCHIP, pic_ids[i], &c, "8259"))
            out[i] = (IrqchipPic){ .irr = p->irr,
                                   .imr = p->imr,
                                   .isr = p->isr,
                                   .lines = p->last_irr,
                                   .elcr = p->elcr,
                                   .vector = p->irq_base,
                                   .highest = p->priority_add,
                                   .init = p->init_state,
                                   .need_icw4 = p->init4,
                                   .auto_eoi = p->auto_eoi,
                                   .rotate_aeoi = p->rotate_on_auto_eoi,
                                   .special_nested = p->special_fully_nested_mode,
                                   .special_mask = p->special_mask,
                                   .read_isr = p->read_reg_select,
                                   .poll = p->poll };
    }
}

/* Line 0 is low: the kernel's PIT sends pulses, and stops for good when one is not seen. */
static void pic_put(const IrqchipPic in[2])
{
    for (unsigned i = 0; i < 2; i++) {
        const IrqchipPic *p = &in[i];
        uint8_t lines = p->lines & (i ? 0xff : 0xfe);
        struct kvm_irqchip c = { .chip.pic = { .irr = p->irr,
                                               .imr = p->imr,
                                               .isr = p->isr,
                                               .last_irr = lines,
                                               .elcr = p->elcr,
                                               .irq_base = p->vector,
                                               .priority_add = p->highest,
                                               .init_state = p->init,
                                               .init4 = p->need_icw4,
                                               .auto_eoi = p->auto_eoi,
                                               .rotate_on_auto_eoi = p->rotate_aeoi,
                                               .special_fully_nested_mode = p->special_nested,
                                               .special_mask = p->special_mask,
                                               .read_reg_select = p->read_isr,
                                               .poll = p->poll,
                                               .elcr_mask = elcr_masks[i] } };
        chip_call(KVM_SET_IRQCHIP, pic_ids[i], &c, "8259");
    }
}

/* --- the PIT --- */

enum { MODE_NONE = 0xff, STATE_LOW = 1, STATE_HIGH, STATE_WORD_LOW, STATE_WORD_HIGH };
static bool has_pit, hpet_has_line0;
static uint64_t pit_stands_since; /* machine paused: counters 1 and 2 are as of then */

/*
 * The kernel's counters run on while the machine stands: the missed ticks of counter 0 are dropped, the others go on
 * where they were.
 */
static void pit_run_state(RunState state)
{
    struct kvm_pit_state2 s;
    if (!has_pit || kvm.vm < 0)
        return;
    if (state != RUN_RUNNING) {
        pit_stands_since = pit_stands_since ? pit_stands_since : (uint64_t)clock_ns(CLOCK_REALTIME_NS);
        return;
    }
    if (pit_stands_since && !kvm_ioctl(kvm.vm, KVM_GET_PIT2, &s)) {
        for (unsigned i = 1; i < 3; i++)
            s.channels[i].count_load_time += (int64_t)((uint64_t)clock_ns(CLOCK_REALTIME_NS) - pit_stands_since);
        if (kvm_ioctl(kvm.vm, KVM_SET_PIT2, &s) < 0)
            complain("interval timer", true);
    }
    pit_stands_since = 0;
}

static bool pit_new(Error **errp)
{
    struct kvm_pit_config config = { .flags = KVM_PIT_SPEAKER_DUMMY };
    hpet_has_line0 = false;
    pit_stands_since = (uint64_t)clock_ns(CLOCK_REALTIME_NS);
    has_pit = !kvm_ioctl(kvm.vm, KVM_CREATE_PIT2, &config);
    machine_add_state_listener(pit_run_state);
    if (has_pit)
        return true;
    error_set_errno(errp, errno, "kvm: the kernel makes no interval timer; use kernel-irqchip=split");
    return false;
}

/* How far a two-byte access has come. */
static uint8_t byte_state(uint8_t rw, bool second)
{
    return rw < STATE_WORD_LOW ? rw : second ? STATE_WORD_HIGH : STATE_WORD_LOW;
}

static void pit_get(IrqchipPit *out)
{
    struct kvm_pit_state2 s = { 0 };
    uint64_t now = pit_stands_since ? pit_stands_since : (uint64_t)clock_ns(CLOCK_REALTIME_NS);
    if (kvm_ioctl(kvm.vm, KVM_GET_PIT2, &s) < 0) {
        complain("interval timer", false);
        return;
    }
    for (unsigned i = 0; i < 3; i++) {
        const struct kvm_pit_channel_state *c = &s.channels[i];
        bool programmed = c->mode <= 5;
        uint8_t left = c->count_latched == STATE_WORD_LOW ? 2 : c->count_latched ? 1 : 0;
        out->channel[i] = (IrqchipPitChannel){ .count = programmed ? c->count : 0,
                                               .mode = programmed ? c->mode : 3,
                                               .rw = c->rw_mode ? c->rw_mode : 3,
                                               .latched = left,
                                               .latch = c->latched_count,
                                               .status_latched = c->status_latched,
                                               .status = c->status,
                                               .write_low = c->write_latch,
                                               .bcd = c->bcd,
                                               .gate = c->gate,
                                               .read_msb = c->rw_mode == 3 && (c->read_state == STATE_WORD_HIGH ||
                                                                               c->count_latched == STATE_HIGH),
                                               .write_msb = c->write_state == STATE_WORD_HIGH };
        uint64_t loaded = (uint64_t)c->count_load_time; /* counter 0 has none: a host timer runs instead */
        out->channel[i].age_ns = loaded && loaded <= now ? now - loaded : 0;
    }
    out->speaker = s.flags & KVM_PIT_FLAGS_SPEAKER_DATA_ON;
}

static void pit_put(const IrqchipPit *in)
{
    uint64_t now = pit_stands_since ? pit_stands_since : (uint64_t)clock_ns(CLOCK_REALTIME_NS);
    struct kvm_pit_state2 s = { .flags = (hpet_has_line0 ? KVM_PIT_FLAGS_HPET_LEGACY : 0) |
                                         (in->speaker ? KVM_PIT_FLAGS_SPEAKER_DATA_ON : 0) };
    for (unsigned i = 0; i < 3; i++) {
        const IrqchipPitChannel *c = &in->channel[i];
        s.channels[i] = (struct kvm_pit_channel_state){ .count = c->count,
                                                        .mode = c->count ? c->mode : MODE_NONE,
                                                        .rw_mode = c->rw,
                                                        .bcd = c->bcd,
                                                        .gate = c->gate,
                                                        .count_load_time = (int64_t)(now - MIN(c->age_ns, now)),
                                                        .latched_count = c->latch,
                                                        .status_latched = c->status_latched,
                                                        .status = c->status,
                                                        .write_latch = c->write_low,
                                                        .read_state = byte_state(c->rw, c->read_msb),
                                                        .write_state = byte_state(c->rw, c->write_msb),
                                                        .count_latched = c->latched == 2 ? STATE_WORD_LOW
                                                                         : !c->latched   ? 0
                                                                         : c->rw == 3    ? STATE_HIGH
                                                                                         : c->rw };
    }
    if (kvm_ioctl(kvm.vm, KVM_SET_PIT2, &s) < 0)
        complain("interval timer", true);
}

static void pit_legacy(bool hpet)
{
    struct kvm_pit_state2 s;
    if (hpet == hpet_has_line0)
        return;
    hpet_has_line0 = hpet;
    if (kvm_ioctl(kvm.vm, KVM_GET_PIT2, &s) < 0)
        return;
    s.flags = (s.flags & ~(uint32_t)KVM_PIT_FLAGS_HPET_LEGACY) | (hpet ? KVM_PIT_FLAGS_HPET_LEGACY : 0);
    if (kvm_ioctl(kvm.vm, KVM_SET_PIT2, &s) < 0)
        complain("interval timer", true);
}

/* --- the I/O APIC is ours --- */

static void ioapic_pin(unsigned pin, uint64_t address, uint32_t data) { kvm_route_message(pin, address, data, 0); }

static const IrqchipHost all = {
    .msi = kvm_send_msi,
    .apic_get = apic_get,
    .apic_put = apic_put,
    .set_gsi = kvm_set_gsi,
    .ioapic_get = ioapic_get,
    .ioapic_put = ioapic_put,
    .pic_get = pic_get,
    .pic_put = pic_put,
    .pit_new = pit_new,
    .pit_get = pit_get,
    .pit_put = pit_put,
    .pit_legacy = pit_legacy,
};
static const IrqchipHost split = {
    .msi = kvm_send_msi, .apic_get = apic_get, .apic_put = apic_put, .ioapic_pin = ioapic_pin
};

/* Lines fan out to both kinds of controller, as hw/intc/ioapic.c does it: 0 goes to pin 2 of the I/O APIC. */
static void route_pins(void)
{
    for (unsigned gsi = 0; gsi < PINS; gsi++) {
        if (gsi < 16 && gsi != 2)
            kvm_route_pin(gsi, gsi < 8 ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE, gsi & 7);
        if (gsi != 2)
            kvm_route_pin(gsi, KVM_IRQCHIP_IOAPIC, gsi ? gsi : 2);
    }
}

static bool make_all(void)
{
    static const unsigned needed[] = { KVM_CAP_IRQCHIP,  KVM_CAP_PIT2,       KVM_CAP_PIT_STATE2,
                                       KVM_CAP_MP_STATE, KVM_CAP_SIGNAL_MSI, KVM_CAP_IRQ_ROUTING };
    for (unsigned i = 0; i < G_N_ELEMENTS(needed); i++) {
        if (kvm_check(needed[i]) <= 0)
            return false;
    }
    if (kvm_ioctl(kvm.vm, KVM_CREATE_IRQCHIP, NULL) < 0)
        return false;
    route_pins();
    kvm_routes_publish();
    irqchip_host_set(&all);
    return true;
}

static bool make_split(void)
{
    struct kvm_enable_cap cap = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args = { PINS } };
    if (kvm_check(KVM_CAP_SPLIT_IRQCHIP) <= 0 || kvm_check(KVM_CAP_MP_STATE) <= 0 ||
        kvm_check(KVM_CAP_SIGNAL_MSI) <= 0 || kvm_ioctl(kvm.vm, KVM_ENABLE_CAP, &cap) < 0)
        return false;
    irqchip_host_set(&split);
    return true;
}

bool kvm_x86_make_irqchip(KvmIrqchip mode)
{
    enum { IDS_32_BIT = 1, NO_BROADCAST_QUIRK = 2, SMALL_MACHINE = 254 };
    irqchip_host_set(NULL);
    if (mode == KVM_IRQCHIP_OFF) {
        kvm_irq_init(false, false);
        return true;
    }
    if (mode == KVM_IRQCHIP_ON ? !make_all() : !make_split())
        return false;
    if (kvm.machine->config.max_cpus > SMALL_MACHINE) {
        struct kvm_enable_cap wide = { .cap = KVM_CAP_X2APIC_API, .args = { NO_BROADCAST_QUIRK } };
        kvm_ioctl(kvm.vm, KVM_ENABLE_CAP, &wide);
    }
    kvm_irq_init(true, mode == KVM_IRQCHIP_ON);
    return true;
}
