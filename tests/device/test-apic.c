/* SPDX-License-Identifier: MIT */
/*
 * Local APICs and the I/O APIC: routing, modes, priorities, timer, x2APIC, virtual wire, and no lost interrupt under
 * threads.
 */
#include "hw/intc/apic.h"
#include "hw/intc/i8259.h"
#include "hw/intc/ioapic.h"
#include "pc-rig.h"

#define APIC(r) (APIC_DEFAULT_BASE + (r))
enum {
    ID = 0x20,
    VERSION = 0x30,
    TPR = 0x80,
    PPR = 0xa0,
    EOI = 0xb0,
    LDR = 0xd0,
    DFR = 0xe0,
    SVR = 0xf0,
    ISR = 0x100,
    TMR = 0x180,
    IRR = 0x200,
    ESR = 0x280,
    ICR = 0x300,
    ICR2 = 0x310,
    LVT_TIMER = 0x320,
    LINT0 = 0x350,
    LINT1 = 0x360,
    LVT_ERROR = 0x370,
    TMICT = 0x380,
    TMCCT = 0x390,
    TDCR = 0x3e0
};

typedef struct Box {
    Rig *rig;
    Device *apic[RIG_CPUS], *pic, *ioapic;
    GsiRouter gsi;
} Box;
static MemRegion *window;

static void as_cpu(Box *b, unsigned cpu)
{
    cpu_port_set_current(&b->rig->cpu[cpu].port);
}

static void wr(Box *b, unsigned cpu, unsigned reg, uint32_t v)
{
    as_cpu(b, cpu);
    rig_store(b->rig, APIC(reg), 4, v);
}

static uint32_t rd(Box *b, unsigned cpu, unsigned reg)
{
    as_cpu(b, cpu);
    return rig_load(b->rig, APIC(reg), 4);
}

static bool intr(Box *b, unsigned cpu)
{
    CpuPort *p = &b->rig->cpu[cpu].port;
    g_assert_cmpint(b->rig->cpu[cpu].line[CPU_LINE_INTR], ==, p->intc_ops->pending(p->intc));
    return b->rig->cpu[cpu].line[CPU_LINE_INTR];
}

static int ack(Box *b, unsigned cpu)
{
    CpuPort *p = &b->rig->cpu[cpu].port;
    int v = p->intc_ops->acknowledge(p->intc);
    intr(b, cpu); /* line and pending agree */
    return v;
}

/* Acknowledge and end. */
static int take(Box *b, unsigned cpu)
{
    int v = ack(b, cpu);
    CpuPort *p = &b->rig->cpu[cpu].port;
    if (v >= 0 && (p->intc_ops->get_base(p->intc) & 0x400))
        p->intc_ops->msr_write(p->intc, 0x80b, 0);
    else if (v >= 0)
        wr(b, cpu, EOI, 0);
    return v;
}

static bool msr_write(Box *b, unsigned cpu, uint32_t msr, uint64_t v)
{
    CpuPort *p = &b->rig->cpu[cpu].port;
    return p->intc_ops->msr_write(p->intc, msr, v);
}

static bool msr_read(Box *b, unsigned cpu, uint32_t msr, uint64_t *v)
{
    CpuPort *p = &b->rig->cpu[cpu].port;
    return p->intc_ops->msr_read(p->intc, msr, v);
}

static bool set_base(Box *b, unsigned cpu, uint64_t v)
{
    CpuPort *p = &b->rig->cpu[cpu].port;
    return p->intc_ops->set_base(p->intc, v);
}

static void x2apic(Box *b, unsigned cpu)
{
    CpuPort *p = &b->rig->cpu[cpu].port;
    g_assert_true(set_base(b, cpu, p->intc_ops->get_base(p->intc) | 0x400));
}

static Box *box_new(void)
{
    Box *b = g_new0(Box, 1);
    b->rig = rig_new();
    b->pic = rig_isa(b->rig, "isa-i8259");
    b->ioapic = rig_start(device_new_named("ioapic", NULL, NULL));
    mem_map(b->rig->machine.memory, IOAPIC_DEFAULT_BASE, b->ioapic->region[0], 1);
    window = apic_window_new();
    mem_map(b->rig->machine.memory, APIC_DEFAULT_BASE, window, 2);
    for (unsigned i = 0; i < RIG_CPUS; i++) {
        b->apic[i] = apic_new(&b->rig->cpu[i].port, NULL);
        rig_start(b->apic[i]);
    }
    apic_connect_pic(b->apic[0], b->pic);
    gsi_router_init(&b->gsi, b->pic, b->ioapic);
    device_reset_all();
    for (unsigned i = 0; i < RIG_CPUS; i++)
        wr(b, i, SVR, 0x1ff);
    return b;
}

static void box_free(Box *b)
{
    mem_region_free(window);
    rig_free(b->rig);
    g_free(b);
}

static void ioredir(Box *b, unsigned pin, uint64_t entry)
{
    rig_store(b->rig, IOAPIC_DEFAULT_BASE, 4, 0x11 + 2 * pin);
    rig_store(b->rig, IOAPIC_DEFAULT_BASE + 0x10, 4, entry >> 32);
    rig_store(b->rig, IOAPIC_DEFAULT_BASE, 4, 0x10 + 2 * pin);
    rig_store(b->rig, IOAPIC_DEFAULT_BASE + 0x10, 4, (uint32_t)entry);
}

static uint32_t ioredir_low(Box *b, unsigned pin)
{
    rig_store(b->rig, IOAPIC_DEFAULT_BASE, 4, 0x10 + 2 * pin);
    return rig_load(b->rig, IOAPIC_DEFAULT_BASE + 0x10, 4);
}

static void test_registers(void)
{
    Box *b = box_new();
    g_assert_cmphex(rd(b, 2, ID), ==, 2u << 24);
    g_assert_cmphex(rd(b, 0, VERSION), ==, 0x01050014);
    g_assert_cmphex(rd(b, 1, LVT_TIMER), ==, 0x10000);
    g_assert_cmphex(rd(b, 1, DFR), ==, 0xffffffff);
    wr(b, 1, LDR, 0x12345678);
    g_assert_cmphex(rd(b, 1, LDR), ==, 0x12000000);
    wr(b, 1, LVT_TIMER, 0xffffffff);
    g_assert_cmphex(rd(b, 1, LVT_TIMER), ==, 0x000700ff);
    wr(b, 1, SVR, 0xff); /* software disable masks every LVT entry, and they stay masked */
    wr(b, 1, LVT_TIMER, 0x31);
    g_assert_cmphex(rd(b, 1, LVT_TIMER), ==, 0x10031);
    g_assert_cmphex(rd(b, 1, 0x40), ==, 0);
    wr(b, 1, ESR, 0);
    g_assert_cmphex(rd(b, 1, ESR), ==, 0x80); /* illegal register */
    g_assert_cmphex(rd(b, 0, LINT0), ==, 0x700); /* boot processor: virtual wire */
    cpu_port_set_current(NULL);
    box_free(b);
}

static void test_priority(void)
{
    Box *b = box_new();
    apic_deliver8(0, false, APIC_FIXED, 0x41, false);
    apic_deliver8(0, false, APIC_FIXED, 0x55, false);
    g_assert_cmpint(ack(b, 0), ==, 0x55);
    g_assert_cmphex(rd(b, 0, PPR), ==, 0x50);
    g_assert_false(intr(b, 0)); /* class 4 below class 5 */
    apic_deliver8(0, false, APIC_FIXED, 0x5f, false);
    g_assert_false(intr(b, 0)); /* same class */
    apic_deliver8(0, false, APIC_FIXED, 0x60, false);
    g_assert_cmpint(ack(b, 0), ==, 0x60);
    wr(b, 0, EOI, 0);
    g_assert_false(intr(b, 0));
    wr(b, 0, EOI, 0);
    g_assert_true(intr(b, 0));
    wr(b, 0, TPR, 0x50);
    g_assert_false(intr(b, 0));
    g_assert_cmpint(ack(b, 0), ==, -1);
    wr(b, 0, TPR, 0x4f);
    g_assert_cmpint(ack(b, 0), ==, 0x5f);
    wr(b, 0, EOI, 0);
    g_assert_false(intr(b, 0));
    wr(b, 0, TPR, 0);
    g_assert_cmpint(ack(b, 0), ==, 0x41);
    g_assert_cmphex(rd(b, 0, ISR + 0x20), ==, 2);
    wr(b, 0, EOI, 0);
    g_assert_cmphex(rd(b, 0, ISR + 0x20), ==, 0);
    box_free(b);
}

static void test_ipi(void)
{
    Box *b = box_new();
    wr(b, 0, ICR2, 2u << 24);
    wr(b, 0, ICR, 0x4031);
    g_assert_cmpint(take(b, 2), ==, 0x31);
    g_assert_false(intr(b, 1));
    wr(b, 1, ICR, 0x44032); /* self */
    g_assert_cmpint(take(b, 1), ==, 0x32);
    wr(b, 1, ICR, 0xc4033); /* all but self */
    g_assert_false(intr(b, 1));
    for (unsigned i = 0; i < RIG_CPUS; i++)
        g_assert_cmpint(take(b, i), ==, i == 1 ? -1 : 0x33);
    wr(b, 1, ICR, 0x84044); /* all */
    for (unsigned i = 0; i < RIG_CPUS; i++)
        g_assert_cmpint(take(b, i), ==, 0x44);
    wr(b, 0, ICR, 0xc4500); /* INIT */
    wr(b, 0, ICR, 0xc8500); /* de-assert: nothing */
    wr(b, 0, ICR2, 1u << 24);
    wr(b, 0, ICR, 0x4699); /* SIPI */
    wr(b, 0, ICR, 0x4400); /* NMI */
    wr(b, 0, ICR, 0x4200); /* SMI */
    g_assert_cmpint(b->rig->cpu[1].line[CPU_LINE_INIT], ==, 1);
    g_assert_cmpint(b->rig->cpu[0].line[CPU_LINE_INIT], ==, 0);
    g_assert_cmpint(b->rig->cpu[1].sipis, ==, 1);
    g_assert_cmphex(b->rig->cpu[1].sipi_vector, ==, 0x99);
    g_assert_cmpint(b->rig->cpu[1].line[CPU_LINE_NMI], ==, 1);
    g_assert_cmpint(b->rig->cpu[1].line[CPU_LINE_SMI], ==, 1);
    g_assert_cmphex(rd(b, 0, ICR), ==, 0x4200); /* delivery status reads idle */
    wr(b, 0, ICR, 0x4005); /* illegal vector */
    wr(b, 0, ESR, 0);
    g_assert_cmphex(rd(b, 0, ESR), ==, 0x20);
    wr(b, 0, LVT_ERROR, 0xfe);
    wr(b, 0, ICR, 0x4005);
    g_assert_cmpint(take(b, 0), ==, 0xfe);
    box_free(b);
}

static void test_logical(void)
{
    Box *b = box_new();
    for (unsigned i = 0; i < RIG_CPUS; i++)
        wr(b, i, LDR, 1u << (24 + i));
    apic_deliver8(0x0a, true, APIC_FIXED, 0x40, false);
    for (unsigned i = 0; i < RIG_CPUS; i++)
        g_assert_cmpint(take(b, i), ==, i & 1 ? 0x40 : -1);
    for (unsigned i = 0; i < RIG_CPUS; i++) {
        wr(b, i, DFR, 0x0fffffff);
        wr(b, i, LDR, (i < 2 ? 0x11u : 0x21u) << 24 | (i & 1) << 25);
    }
    apic_deliver8(0x21, true, APIC_FIXED, 0x41, false);
    for (unsigned i = 0; i < RIG_CPUS; i++)
        g_assert_cmpint(take(b, i), ==, i >= 2 ? 0x41 : -1);
    apic_deliver8(0xff, true, APIC_NMI, 0, false);
    for (unsigned i = 0; i < RIG_CPUS; i++)
        g_assert_cmpint(b->rig->cpu[i].line[CPU_LINE_NMI], ==, 1);
    box_free(b);
}

static void test_lowest(void)
{
    Box *b = box_new();
    for (unsigned i = 0; i < RIG_CPUS; i++) {
        wr(b, i, LDR, 1u << (24 + i));
        wr(b, i, TPR, i == 2 ? 0x10 : 0x20);
    }
    apic_msi(APIC_DEFAULT_BASE | 0xf << 12 | 0xc, 0x4100 | 0x50);
    for (unsigned i = 0; i < RIG_CPUS; i++)
        g_assert_cmpint(take(b, i), ==, i == 2 ? 0x50 : -1);
    wr(b, 2, EOI, 0);
    unsigned hits[RIG_CPUS] = { 0 };
    wr(b, 2, TPR, 0x20);
    for (unsigned n = 0; n < 64; n++) { /* equal: all take turns */
        apic_msi(APIC_DEFAULT_BASE | 0xf << 12 | 0xc, 0x4100 | 0x50);
        for (unsigned i = 0; i < RIG_CPUS; i++) {
            if (take(b, i) == 0x50) {
                hits[i]++;
                wr(b, i, EOI, 0);
            }
        }
    }
    for (unsigned i = 0; i < RIG_CPUS; i++)
        g_assert_cmpuint(hits[i], ==, 16);
    box_free(b);
}

static void test_msi_window(void)
{
    Box *b = box_new();
    as_store(b->rig->machine.as_memory, 0xfee03000, 4, 0x61, MEM_ATTRS_DEVICE);
    g_assert_cmpint(take(b, 3), ==, 0x61);
    as_store(b->rig->machine.as_memory, 0xfee00000, 4, 0x62, MEM_ATTRS_DEVICE); /* to APIC 0, not to its registers */
    g_assert_cmpint(take(b, 0), ==, 0x62);
    box_free(b);
}

static void test_disabled(void)
{
    Box *b = box_new();
    wr(b, 1, SVR, 0xff);
    apic_deliver8(1, false, APIC_FIXED, 0x50, false);
    g_assert_cmpint(take(b, 1), ==, -1);
    apic_deliver8(1, false, APIC_NMI, 0, false);
    g_assert_cmpint(b->rig->cpu[1].line[CPU_LINE_NMI], ==, 1);
    g_assert_true(set_base(b, 1, APIC_DEFAULT_BASE));
    apic_deliver8(1, false, APIC_NMI, 0, false);
    g_assert_cmpint(b->rig->cpu[1].line[CPU_LINE_NMI], ==, 1);
    g_assert_cmphex(rd(b, 1, VERSION), ==, 0xffffffff); /* memory, not registers */
    box_free(b);
}

static void test_virtual_wire(void)
{
    Box *b = box_new();
    static const uint8_t icw[] = { 0x11, 0x08, 4, 1 };
    for (unsigned i = 0; i < 4; i++)
        rig_out(b->rig, i ? 0x21 : 0x20, icw[i]);
    irq_set(&b->gsi.irq[0], 1);
    g_assert_true(intr(b, 0));
    g_assert_false(intr(b, 1));
    wr(b, 0, TPR, 0xf0); /* ExtINT has no priority */
    g_assert_true(intr(b, 0));
    g_assert_cmpint(ack(b, 0), ==, 0x08);
    g_assert_false(intr(b, 0));
    rig_out(b->rig, 0x20, 0x20);
    irq_set(&b->gsi.irq[0], 0);
    wr(b, 0, LINT0, 0x10700); /* masked */
    irq_set(&b->gsi.irq[0], 1);
    g_assert_false(intr(b, 0));
    wr(b, 0, LINT0, 0x700);
    g_assert_true(intr(b, 0));
    wr(b, 0, LINT0, 0x10700);
    g_assert_false(intr(b, 0));
    g_assert_true(set_base(b, 0, APIC_DEFAULT_BASE | 0x100)); /* APIC off: LINT0 is INTR */
    g_assert_cmpint(ack(b, 0), ==, 0x08);
    box_free(b);
}

static void test_ioapic_edge(void)
{
    Box *b = box_new();
    rig_store(b->rig, IOAPIC_DEFAULT_BASE, 4, 1);
    g_assert_cmphex(rig_load(b->rig, IOAPIC_DEFAULT_BASE + 0x10, 4), ==, 0x00170020);
    irq_set(&b->gsi.irq[4], 1);
    ioredir(b, 4, 0x34 | UINT64_C(1) << 56);
    g_assert_cmpint(ack(b, 1), ==, -1); /* the edge was lost at the masked pin */
    irq_set(&b->gsi.irq[4], 0);
    irq_set(&b->gsi.irq[4], 1);
    irq_set(&b->gsi.irq[4], 1);
    g_assert_cmpint(ack(b, 1), ==, 0x34);
    wr(b, 1, EOI, 0);
    g_assert_cmpint(ack(b, 1), ==, -1); /* one edge, one interrupt */
    ioredir(b, 2, 0x30 | UINT64_C(1) << 56);
    irq_set(&b->gsi.irq[0], 1); /* ISA 0 is at pin 2 */
    g_assert_cmpint(ack(b, 1), ==, 0x30);
    ioredir(b, 5, 0x400); /* NMI */
    irq_set(&b->gsi.irq[5], 1);
    g_assert_cmpint(b->rig->cpu[0].line[CPU_LINE_NMI], ==, 1);
    box_free(b);
}

static void test_ioapic_level(void)
{
    Box *b = box_new();
    ioredir(b, 16, 0x8000 | 0x35);
    irq_set(&b->gsi.irq[16], 1);
    g_assert_cmphex(ioredir_low(b, 16), ==, 0xc035); /* remote IRR */
    g_assert_cmpint(ack(b, 0), ==, 0x35);
    g_assert_cmphex(rd(b, 0, TMR + 0x10), ==, 1u << 21);
    irq_set(&b->gsi.irq[16], 1);
    g_assert_false(intr(b, 0));
    wr(b, 0, EOI, 0);
    g_assert_true(intr(b, 0)); /* still asserted: again */
    g_assert_cmpint(ack(b, 0), ==, 0x35);
    irq_set(&b->gsi.irq[16], 0);
    wr(b, 0, EOI, 0);
    g_assert_false(intr(b, 0));
    g_assert_cmphex(ioredir_low(b, 16), ==, 0x8035);

    wr(b, 0, SVR, 0x11ff); /* EOI broadcast suppressed: the EOI register is used */
    irq_set(&b->gsi.irq[16], 1);
    g_assert_cmpint(ack(b, 0), ==, 0x35);
    irq_set(&b->gsi.irq[16], 0);
    wr(b, 0, EOI, 0);
    g_assert_cmphex(ioredir_low(b, 16), ==, 0xc035);
    rig_store(b->rig, IOAPIC_DEFAULT_BASE + 0x40, 4, 0x35);
    g_assert_cmphex(ioredir_low(b, 16), ==, 0x8035);
    ioredir(b, 16, 0x18035); /* masked: pends by level until unmasked */
    irq_set(&b->gsi.irq[16], 1);
    g_assert_false(intr(b, 0));
    ioredir(b, 16, 0x8035);
    g_assert_true(intr(b, 0));
    ioredir(b, 16, 0x10035); /* edge: clears remote IRR */
    g_assert_cmphex(ioredir_low(b, 16), ==, 0x10035);
    box_free(b);
}

static void test_timer(void)
{
    Box *b = box_new();
    wr(b, 1, TDCR, 0xb); /* by 1: a tick is a nanosecond */
    wr(b, 1, LVT_TIMER, 0x40);
    wr(b, 1, TMICT, 1000000);
    clock_virtual_step(400000);
    g_assert_cmpuint(rd(b, 1, TMCCT), ==, 600000);
    g_assert_false(intr(b, 1));
    clock_virtual_step(600000);
    g_assert_cmpint(ack(b, 1), ==, 0x40);
    wr(b, 1, EOI, 0);
    g_assert_cmpuint(rd(b, 1, TMCCT), ==, 0);
    clock_virtual_step(5000000);
    g_assert_false(intr(b, 1));

    wr(b, 1, TDCR, 0x3); /* by 16 */
    wr(b, 1, LVT_TIMER, 0x20041);
    wr(b, 1, TMICT, 62500); /* 1 ms */
    unsigned hits = 0;
    for (unsigned i = 0; i < 1000; i++) {
        clock_virtual_step(10000);
        if (ack(b, 1) == 0x41) {
            hits++;
            wr(b, 1, EOI, 0);
        }
    }
    g_assert_cmpuint(hits, ==, 10);
    wr(b, 1, TMICT, 0);
    clock_virtual_step(3000000);
    g_assert_false(intr(b, 1));

    wr(b, 1, LVT_TIMER, 0x30041); /* masked: the count goes on, no interrupt */
    wr(b, 1, TMICT, 62500);
    clock_virtual_step(3500000);
    g_assert_false(intr(b, 1));
    g_assert_cmpuint(rd(b, 1, TMCCT), ==, 31250);
    wr(b, 1, LVT_TIMER, 0x20041);
    clock_virtual_step(499999);
    g_assert_false(intr(b, 1));
    clock_virtual_step(1);
    g_assert_cmpint(ack(b, 1), ==, 0x41);
    wr(b, 1, EOI, 0);
    wr(b, 1, TMICT, 0);

    g_assert_true(msr_write(b, 1, 0x6e0, 12345)); /* not in this mode */
    uint64_t v;
    g_assert_true(msr_read(b, 1, 0x6e0, &v));
    g_assert_cmpuint(v, ==, 0);
    wr(b, 1, LVT_TIMER, 0x40042);
    uint64_t deadline = rig_read_tsc(NULL) + 777777;
    g_assert_true(msr_write(b, 1, 0x6e0, deadline));
    clock_virtual_step(777776);
    g_assert_false(intr(b, 1));
    g_assert_true(msr_read(b, 1, 0x6e0, &v));
    g_assert_cmpuint(v, ==, deadline);
    clock_virtual_step(1);
    g_assert_cmpint(ack(b, 1), ==, 0x42);
    wr(b, 1, EOI, 0);
    g_assert_true(msr_read(b, 1, 0x6e0, &v));
    g_assert_cmpuint(v, ==, 0);
    g_assert_true(msr_write(b, 1, 0x6e0, 1)); /* past: at once */
    g_assert_cmpint(ack(b, 1), ==, 0x42);
    wr(b, 1, EOI, 0);
    g_assert_true(msr_write(b, 1, 0x6e0, rig_read_tsc(NULL) + 1000));
    g_assert_true(msr_write(b, 1, 0x6e0, 0)); /* disarmed */
    clock_virtual_step(2000);
    g_assert_false(intr(b, 1));
    wr(b, 1, LVT_TIMER, 0x20043); /* the shortest period is merged, not endless */
    wr(b, 1, TDCR, 0xb);
    wr(b, 1, TMICT, 1);
    clock_virtual_step(1000000);
    g_assert_cmpint(ack(b, 1), ==, 0x43);
    box_free(b);
}

static void test_x2apic(void)
{
    Box *b = box_new();
    uint64_t v;
    g_assert_false(msr_read(b, 0, 0x802, &v)); /* xAPIC mode: no MSRs */
    g_assert_false(set_base(b, 0, APIC_DEFAULT_BASE | 0x400)); /* x2APIC without enable */
    g_assert_false(set_base(b, 0, APIC_DEFAULT_BASE | 0x900 | 1)); /* reserved bit */
    for (unsigned i = 0; i < RIG_CPUS; i++)
        x2apic(b, i);
    g_assert_false(set_base(b, 0, APIC_DEFAULT_BASE | 0x900)); /* only by way of disabled */
    g_assert_true(msr_read(b, 3, 0x802, &v));
    g_assert_cmphex(v, ==, 3);
    g_assert_true(msr_read(b, 3, 0x80d, &v));
    g_assert_cmphex(v, ==, 8);
    g_assert_false(msr_write(b, 3, 0x80d, 1)); /* LDR is read-only */
    g_assert_false(msr_read(b, 3, 0x80e, &v)); /* no DFR */
    g_assert_false(msr_read(b, 3, 0x831, &v)); /* no ICR2 */
    g_assert_false(msr_write(b, 3, 0x80b, 1)); /* EOI: only 0 */
    g_assert_false(msr_write(b, 3, 0x808, 0x100));
    g_assert_false(msr_write(b, 3, 0x8ff, 0));
    g_assert_true(msr_write(b, 3, 0x835, 0x5700)); /* read-only bits of LINT0 are ignored: Linux powers off so */
    g_assert_true(msr_read(b, 3, 0x835, &v));
    g_assert_cmphex(v & 0x5700, ==, 0x700);
    g_assert_false(msr_write(b, 3, 0x835, 0x20000));
    g_assert_cmphex(rd(b, 0, ID), ==, 0xffffffff); /* no MMIO */
    g_assert_true(msr_write(b, 0, 0x830, UINT64_C(2) << 32 | 0x4051));
    g_assert_cmpint(take(b, 2), ==, 0x51);
    g_assert_true(msr_read(b, 0, 0x830, &v));
    g_assert_cmphex(v, ==, UINT64_C(2) << 32 | 0x4051);
    g_assert_true(msr_write(b, 0, 0x830, UINT64_C(0xa) << 32 | 0x4852)); /* logical, cluster 0 */
    for (unsigned i = 0; i < RIG_CPUS; i++)
        g_assert_cmpint(take(b, i), ==, i & 1 ? 0x52 : -1);
    g_assert_true(msr_write(b, 0, 0x830, UINT64_C(0xffffffff) << 32 | 0x4400));
    for (unsigned i = 0; i < RIG_CPUS; i++)
        g_assert_cmpint(b->rig->cpu[i].line[CPU_LINE_NMI], ==, 1);
    g_assert_true(msr_write(b, 0, 0x83f, 0x53));
    g_assert_cmpint(take(b, 0), ==, 0x53);
    g_assert_true(msr_write(b, 0, 0x80b, 0));
    apic_msi(0xfee01000, 0x64); /* 8-bit destinations reach x2APICs */
    g_assert_cmpint(take(b, 1), ==, 0x64);
    b->rig->cpu[1].port.intc_ops->cpu_reset(b->rig->cpu[1].port.intc, true);
    g_assert_true(msr_read(b, 1, 0x80f, &v)); /* INIT keeps the mode and clears the rest */
    g_assert_cmphex(v, ==, 0xff);
    box_free(b);
}

/*
 * Threads raise vectors of their own and wait for each to be handled, while the "vCPU" takes and ends interrupts and
 * moves TPR: a lost one would hang its raiser. Level-triggered ones through the I/O APIC take part.
 */
enum { RAISERS = 3, ROUNDS = 20000, LEAST_ROUNDS = 200 }; /* fewer on a machine that has other work to do */
static struct {
    Box *box;
    unsigned handled[256];
    bool stop;
} race;

static void *race_cpu(void *opaque)
{
    RigCpu *c = &race.box->rig->cpu[0];
    cpu_port_set_current(&c->port);
    for (unsigned n = 0; !__atomic_load_n(&race.stop, __ATOMIC_SEQ_CST); n++) {
        if (n % 16 == 0) {
            c->port.intc_ops->set_tpr(c->port.intc, 0xf0);
            c->port.intc_ops->set_tpr(c->port.intc, 0);
        }
        if (!__atomic_load_n(&c->line[CPU_LINE_INTR], __ATOMIC_SEQ_CST)) {
            g_thread_yield();
            continue;
        }
        int v = c->port.intc_ops->acknowledge(c->port.intc);
        if (v < 0)
            continue;
        if (v == 0x91)
            irq_lower(&race.box->gsi.irq[17]);
        rig_store(race.box->rig, APIC(EOI), 4, 0);
        __atomic_fetch_add(&race.handled[v], 1, __ATOMIC_SEQ_CST);
    }
    return NULL;
}

static void *race_raiser(void *opaque)
{
    unsigned vector = GPOINTER_TO_UINT(opaque);
    gint64 enough = g_get_monotonic_time() + 3 * G_TIME_SPAN_SECOND;
    for (unsigned i = 1; i <= ROUNDS && (i <= LEAST_ROUNDS || g_get_monotonic_time() < enough); i++) {
        if (vector == 0x91)
            irq_raise(&race.box->gsi.irq[17]);
        else
            apic_msi(APIC_DEFAULT_BASE, vector);
        gint64 limit = g_get_monotonic_time() + 60 * G_TIME_SPAN_SECOND;
        while (__atomic_load_n(&race.handled[vector], __ATOMIC_SEQ_CST) != i) {
            g_assert_cmpint(g_get_monotonic_time(), <, limit); /* lost */
            g_thread_yield();
        }
    }
    return NULL;
}

static void test_race(void)
{
    race.box = box_new();
    ioredir(race.box, 17, 0x8091);
    pthread_t cpu = thread_start("cpu", race_cpu, NULL), raiser[RAISERS];
    static const unsigned vectors[RAISERS] = { 0x41, 0x72, 0x91 };
    for (unsigned i = 0; i < RAISERS; i++)
        raiser[i] = thread_start("raiser", race_raiser, GUINT_TO_POINTER(vectors[i]));
    for (unsigned i = 0; i < RAISERS; i++)
        pthread_join(raiser[i], NULL);
    __atomic_store_n(&race.stop, true, __ATOMIC_SEQ_CST);
    pthread_join(cpu, NULL);
    g_assert_false(intr(race.box, 0));
    box_free(race.box);
}

static void test_generic(void)
{
    Box *b = box_new();
    GRand *rand = g_rand_new_with_seed(7);
    rig_generic(b->ioapic, 82093);
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 20000; i++) {
            unsigned cpu = g_rand_int_range(rand, 0, RIG_CPUS);
            uint64_t v = g_rand_int(rand);
            if (round == 0)
                wr(b, cpu, g_rand_int_range(rand, 0, 0x400) & ~3, g_rand_boolean(rand) ? v : v & 0xff);
            else
                msr_write(b, cpu, 0x800 + g_rand_int_range(rand, 0, 0x100),
                          g_rand_boolean(rand) ? v & 0x7ffff : v & 0xff);
            if (i % 16 == 0)
                ack(b, cpu);
            if (i % 64 == 0)
                clock_virtual_step(50000);
        }
        for (unsigned i = 0; round == 0 && i < RIG_CPUS; i++)
            x2apic(b, i);
        g_autoptr(GBytes) first = rig_save(b->apic[0]);
        StateReader *reader = state_reader_new(first, NULL);
        g_assert_true(device_load(b->apic[0], reader, NULL));
        state_reader_free(reader);
        g_autoptr(GBytes) second = rig_save(b->apic[0]);
        g_assert_true(g_bytes_equal(first, second));
    }
    g_rand_free(rand);
    box_free(b);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    evloop_init();
    g_test_add_func("/apic/registers", test_registers);
    g_test_add_func("/apic/priority", test_priority);
    g_test_add_func("/apic/ipi", test_ipi);
    g_test_add_func("/apic/logical", test_logical);
    g_test_add_func("/apic/lowest", test_lowest);
    g_test_add_func("/apic/msi-window", test_msi_window);
    g_test_add_func("/apic/disabled", test_disabled);
    g_test_add_func("/apic/virtual-wire", test_virtual_wire);
    g_test_add_func("/apic/ioapic-edge", test_ioapic_edge);
    g_test_add_func("/apic/ioapic-level", test_ioapic_level);
    g_test_add_func("/apic/timer", test_timer);
    g_test_add_func("/apic/x2apic", test_x2apic);
    g_test_add_func("/apic/race", test_race);
    g_test_add_func("/apic/generic", test_generic);
    return g_test_run();
}
