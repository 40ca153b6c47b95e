/* SPDX-License-Identifier: MIT */
/*
 * GICv2, GICv3 and ITS on a bare machine with two fake CPUs: delivery, priorities, SGIs, LPIs, the virtual interface.
 */
#include <glib.h>
#include "base/bits.h"
#include "hw/core/cpu-port.h"
#include "hw/core/machine.h"
#include "hw/intc/arm-gicv3-internal.h"
#include "tests/device/whole-state.h"

#define RAM_SIZE (1 * MiB)
#define DIST UINT64_C(0x8000000)
#define CPUIF UINT64_C(0x8010000)
#define HYP UINT64_C(0x8030000)
#define VCPU UINT64_C(0x8040000)
#define ITS UINT64_C(0x8080000)
#define REDIST UINT64_C(0x80a0000)

static CpuPort ports[2];
static bool lines[2][CPU_LINE_COUNT];
static Machine *machine;
static Device *gic;

static void set_line(CpuPort *p, CpuLine line, bool level) { lines[p->index][line] = level; }
static const CpuPortOps port_ops = { .set_line = set_line };

static bool build(Machine *m, Error **errp)
{
    m->ram = mem_ram_new("ram", RAM_SIZE, errp);
    mem_map(m->memory, 0x40000000, m->ram, 0);
    for (unsigned i = 0; i < 2; i++) {
        ports[i] = (CpuPort){ .ops = &port_ops, .index = i, .arch_id = i };
        cpu_port_add(&ports[i]);
    }
    return true;
}

static const MachineType type = {
    .name = "gic-test", .arch = "none", .max_cpus = 2, .default_ram = RAM_SIZE, .size = sizeof(Machine), .build = build
};

static Device *make(const char *name, const char *id, const char *const *props)
{
    Error *err = NULL;
    Device *d = device_new_named(name, id, &err);
    for (; props && *props; props += 2)
        device_set_default(d, props[0], props[1]);
    if (!device_start(d, &err))
        g_error("%s", err->message);
    return d;
}

static void start(bool v3, bool security)
{
    Error *err = NULL;
    const char *const props2[] = {
        "num-cpu", "2", "has-virtualization-extensions", "on", "has-security-extensions", security ? "on" : "off", NULL
    };
    const char *const props3[] = { "num-cpu", "2", "has-lpi", "on", "has-security-extensions", security ? "on" : "off",
                                   NULL };
    const char *const its[] = { "parent-gicv3", "gic", NULL };
    static const uint64_t at[] = { DIST, CPUIF, HYP, VCPU };
    memset(lines, 0, sizeof(lines));
    machine = machine_new(&type);
    g_assert_true(machine_build(machine, &err));
    gic = make(v3 ? "arm-gicv3" : "arm_gic", "gic", v3 ? props3 : props2);
    if (v3) {
        mem_map(machine->memory, DIST, gic->region[0], 0);
        arm_gicv3_map_redistributors(gic, machine->memory, REDIST, 2, 0);
        mem_map(machine->memory, ITS, make("arm-gicv3-its", "its", its)->region[0], 0);
    }
    for (unsigned i = 0; !v3 && i < 4; i++)
        mem_map(machine->memory, at[i], gic->region[i], 0);
    device_reset_all();
}

static void stop(void)
{
    machine_free(machine);
}

static void wr(unsigned cpu, uint64_t at, uint32_t v, bool secure)
{
    as_store(machine->as_memory, at, 4, v, (MemAttrs){ .cpu = cpu & 0xffff, .secure = secure });
}

static uint32_t rd(unsigned cpu, uint64_t at, bool secure)
{
    uint64_t v;
    as_load(machine->as_memory, at, 4, &v, (MemAttrs){ .cpu = cpu & 0xffff, .secure = secure });
    return (uint32_t)v;
}

static void set_byte(uint64_t at, uint8_t v) { as_store(machine->as_memory, at, 1, v, (MemAttrs){ .cpu = 0 }); }

/* ---- GICv2 ---- */

static void v2_enable(void)
{
    wr(0, DIST, 1, false);
    for (unsigned cpu = 0; cpu < 2; cpu++) {
        wr(cpu, CPUIF, 1, false);
        wr(cpu, CPUIF + 4, 0xf0, false);
    }
}

static void test_v2_delivery(void)
{
    start(false, false);
    v2_enable();
    Irq a = arm_gic_spi(gic, 1), b = arm_gic_spi(gic, 2);
    wr(0, DIST + 0x104, 3 << 1, false);
    set_byte(DIST + 0x400 + 33, 0xa0);
    set_byte(DIST + 0x400 + 34, 0x50);
    set_byte(DIST + 0x800 + 33, 1);
    set_byte(DIST + 0x800 + 34, 1);
    irq_raise(&a);
    g_assert_true(lines[0][CPU_LINE_INTR] && !lines[1][CPU_LINE_INTR]);
    g_assert_cmpuint(rd(0, CPUIF + 0xc, false), ==, 33);
    g_assert_false(lines[0][CPU_LINE_INTR]);
    irq_raise(&b); /* of higher priority: preempts */
    g_assert_true(lines[0][CPU_LINE_INTR]);
    g_assert_cmpuint(rd(0, CPUIF + 0xc, false), ==, 34);
    g_assert_cmphex(rd(0, CPUIF + 0x14, false), ==, 0x50);
    irq_lower(&b);
    wr(0, CPUIF + 0x10, 34, false);
    g_assert_cmphex(rd(0, CPUIF + 0x14, false), ==, 0xa0);
    wr(0, CPUIF + 0x10, 33, false);
    g_assert_true(lines[0][CPU_LINE_INTR]); /* the level is still high */
    irq_lower(&a);
    g_assert_false(lines[0][CPU_LINE_INTR]);
    g_assert_cmpuint(rd(0, CPUIF + 0xc, false), ==, 1023);
    wr(0, CPUIF + 4, 0x40, false); /* masked by PMR */
    irq_raise(&a);
    g_assert_false(lines[0][CPU_LINE_INTR]);
    stop();
}

static void test_v2_sgi(void)
{
    start(false, false);
    v2_enable();
    wr(1, DIST + 0xf00, 1 << 16 | 5, false);
    wr(0, DIST + 0xf00, 1 << 16 | 5, false);
    g_assert_true(lines[0][CPU_LINE_INTR]);
    g_assert_cmphex(rd(0, CPUIF + 0xc, false), ==, 5);
    wr(0, CPUIF + 0x10, 5, false);
    g_assert_cmphex(rd(0, CPUIF + 0xc, false), ==, 1 << 10 | 5);
    wr(0, CPUIF + 0x10, 1 << 10 | 5, false);
    g_assert_false(lines[0][CPU_LINE_INTR]);
    wr(0, DIST + 0xf00, 1 << 24 | 3, false); /* all but self */
    g_assert_true(lines[1][CPU_LINE_INTR] && !lines[0][CPU_LINE_INTR]);
    stop();
}

static void test_v2_security(void)
{
    start(false, true);
    Irq a = arm_gic_spi(gic, 1), b = arm_gic_spi(gic, 2);
    wr(0, DIST, 3, true);
    wr(0, CPUIF, 0xb, true); /* both groups, group 0 as FIQ */
    wr(0, CPUIF + 4, 0xff, true);
    wr(0, DIST + 0x84, 1 << 1, true); /* interrupt 33 is group 1 */
    wr(0, DIST + 0x104, 3 << 1, true);
    as_store(machine->as_memory, DIST + 0x800 + 33, 1, 1, (MemAttrs){ .secure = 1 });
    as_store(machine->as_memory, DIST + 0x800 + 34, 1, 1, (MemAttrs){ .secure = 1 });
    g_assert_cmphex(rd(0, DIST + 0x104, false), ==, 1 << 1); /* the other one is hidden */
    as_store(machine->as_memory, DIST + 0x400 + 33, 1, 0x40, (MemAttrs){ .cpu = 0 });
    g_assert_cmphex(rd(0, DIST + 0x420, true) >> 8 & 0xff, ==, 0xa0);
    irq_raise(&a);
    g_assert_true(lines[0][CPU_LINE_INTR] && !lines[0][CPU_LINE_NMI]);
    irq_raise(&b);
    g_assert_true(lines[0][CPU_LINE_NMI] && !lines[0][CPU_LINE_INTR]);
    g_assert_cmpuint(rd(0, CPUIF + 0xc, false), ==, 1023);
    g_assert_cmpuint(rd(0, CPUIF + 0xc, true), ==, 34);
    stop();
}

static void test_v2_virtual(void)
{
    start(false, false);
    wr(0, HYP + 8, 0xf8000002 | 2 << 21 | 3 << 18, false); /* group 1 enabled, all priorities */
    wr(0, HYP, 1, false);
    wr(0, HYP + 0x100, 1u << 31 | 1 << 30 | 1 << 28 | 4 << 23 | 40 << 10 | 77, false);
    g_assert_true(lines[0][CPU_LINE_VIRQ]);
    g_assert_cmpuint(rd(0, VCPU + 0x20, false), ==, 77);
    g_assert_false(lines[0][CPU_LINE_VIRQ]);
    wr(0, DIST + 0x304, 1 << 8, false); /* 40 is active */
    wr(0, VCPU + 0x10, 77, false);
    g_assert_cmphex(rd(0, DIST + 0x304, false), ==, 0);
    g_assert_cmphex(rd(0, HYP + 0x30, false), ==, 0xf);
    stop();
}

/* ---- GICv3 ---- */

static uint64_t mrs(unsigned cpu, uint32_t key)
{
    uint64_t v;
    g_assert_true(ports[cpu].intc_ops->sysreg_read(ports[cpu].intc, key, 1, false, &v));
    return v;
}

static void msr(unsigned cpu, uint32_t key, uint64_t v)
{
    g_assert_true(ports[cpu].intc_ops->sysreg_write(ports[cpu].intc, key, 1, false, v));
}

static void v3_enable(void)
{
    wr(0, DIST, 2, false);
    for (unsigned cpu = 0; cpu < 2; cpu++) {
        wr(cpu, REDIST + cpu * GIC3_REDIST_SIZE + 0x10080, UINT32_MAX, false);
        wr(cpu, REDIST + cpu * GIC3_REDIST_SIZE + 0x10100, UINT32_MAX, false);
        msr(cpu, ICC_PMR, 0xf0);
        msr(cpu, ICC_IGRPEN1, 1);
    }
}

static void test_v3_delivery(void)
{
    start(true, false);
    v3_enable();
    Irq a = arm_gicv3_spi(gic, 4), timer = arm_gicv3_ppi(gic, 1, 27);
    wr(0, DIST + 0x84, 1 << 4, false);
    wr(0, DIST + 0x104, 1 << 4, false);
    wr(0, DIST + 0x6000 + 8 * 36, 1, false); /* to CPU 1 */
    irq_raise(&a);
    g_assert_true(lines[1][CPU_LINE_INTR] && !lines[0][CPU_LINE_INTR]);
    g_assert_cmpuint(mrs(1, ICC_IAR1), ==, 36);
    irq_raise(&timer);
    g_assert_false(lines[1][CPU_LINE_INTR]); /* the same priority */
    irq_lower(&a);
    msr(1, ICC_EOIR1, 36);
    g_assert_cmpuint(mrs(1, ICC_HPPIR1), ==, 27);
    g_assert_cmpuint(mrs(1, ICC_IAR1), ==, 27);
    msr(1, ICC_CTLR, 2); /* EOImode: drop and deactivate apart */
    msr(1, ICC_EOIR1, 27);
    g_assert_cmphex(mrs(1, ICC_RPR), ==, 0xff);
    g_assert_false(lines[1][CPU_LINE_INTR]);
    msr(1, ICC_DIR, 27);
    g_assert_true(lines[1][CPU_LINE_INTR]);
    msr(0, ICC_SGI1R, UINT64_C(9) << 24 | 1); /* to ourselves */
    g_assert_cmpuint(mrs(0, ICC_IAR1), ==, 9);
    msr(0, ICC_SGI1R, BIT(40) | UINT64_C(3) << 24); /* to all others */
    g_assert_cmpuint(mrs(1, ICC_IAR1), ==, 3);
    uint64_t v;
    g_assert_false(ports[0].intc_ops->sysreg_read(ports[0].intc, ICC_AP0R3, 1, false, &v));
    stop();
}

static void command(unsigned n, uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t at = 0x40010000 + 32 * n;
    as_store(machine->as_memory, at, 8, a, MEM_ATTRS_DEVICE);
    as_store(machine->as_memory, at + 8, 8, b, MEM_ATTRS_DEVICE);
    as_store(machine->as_memory, at + 16, 8, c, MEM_ATTRS_DEVICE);
    as_store(machine->as_memory, at + 24, 8, 0, MEM_ATTRS_DEVICE);
    wr(0, ITS + 0x88, 32 * (n + 1), false);
}

static void wr64(uint64_t at, uint64_t v) { as_store(machine->as_memory, at, 8, v, (MemAttrs){ .cpu = 0 }); }

static void test_its(void)
{
    const uint64_t device = 0x10, itt = 0x40040000;
    start(true, false);
    v3_enable();
    as_store(machine->as_memory, 0x40060000 + 5, 1, 0xa1, MEM_ATTRS_DEVICE); /* LPI 8197: enabled */
    wr64(REDIST + GIC3_REDIST_SIZE + 0x70, 0x40060000 | 15);
    wr64(REDIST + GIC3_REDIST_SIZE + 0x78, 0x40070000);
    wr(0, REDIST + GIC3_REDIST_SIZE, 1, false);
    wr64(ITS + 0x80, BIT(63) | 0x40010000);
    wr64(ITS + 0x100, BIT(63) | 0x40020000);
    wr64(ITS + 0x108, BIT(63) | 0x40030000);
    wr(0, ITS, 1, false);
    command(0, device << 32 | 8, 4, BIT(63) | itt);                 /* MAPD: 5 event bits */
    command(1, 9, 0, BIT(63) | 1 << 16 | 7);                        /* MAPC: collection 7 to CPU 1 */
    command(2, device << 32 | 10, UINT64_C(8197) << 32 | 3, 7);     /* MAPTI: event 3 */
    g_assert_cmphex(rd(0, ITS + 0x90, false), ==, 96);
    as_store(machine->as_memory, ITS + 0x10040, 4, 3, (MemAttrs){ .cpu = 0xffff, .requester = device });
    g_assert_true(lines[1][CPU_LINE_INTR]);
    g_assert_cmpuint(mrs(1, ICC_IAR1), ==, 8197);
    msr(1, ICC_EOIR1, 8197);
    g_assert_false(lines[1][CPU_LINE_INTR]);
    /* not mapped */
    as_store(machine->as_memory, ITS + 0x10040, 4, 4, (MemAttrs){ .cpu = 0xffff, .requester = device });
    g_assert_false(lines[1][CPU_LINE_INTR]);
    as_store(machine->as_memory, ITS + 0x10040, 4, 3, (MemAttrs){ .cpu = 0, .requester = device }); /* a CPU's write */
    g_assert_false(lines[1][CPU_LINE_INTR]);
    as_store(machine->as_memory, 0x40060000 + 5, 1, 0xa0, MEM_ATTRS_DEVICE);
    command(3, device << 32 | 12, 3, 0); /* INV: disabled now */
    command(4, device << 32 | 3, 3, 0);  /* INT */
    g_assert_false(lines[1][CPU_LINE_INTR]);
    as_store(machine->as_memory, 0x40060000 + 5, 1, 0xa1, MEM_ATTRS_DEVICE);
    command(5, 13, 0, 7); /* INVALL */
    g_assert_true(lines[1][CPU_LINE_INTR]);
    command(6, device << 32 | 15, 3, 0); /* DISCARD takes the pending state away */
    g_assert_false(lines[1][CPU_LINE_INTR]);
    stop();
}

static uint64_t ram64(uint64_t at)
{
    uint64_t v = 0;
    as_load(machine->as_memory, at, 8, &v, MEM_ATTRS_DEVICE);
    return v;
}

/* The tables are those of KVM, with the distances between entries once the machine is saved; collections are a list. */
static void test_its_tables(void)
{
    start(true, false);
    v3_enable();
    wr64(ITS + 0x80, BIT(63) | 0x40010000);
    wr64(ITS + 0x100, BIT(63) | 0x40020000);
    wr64(ITS + 0x108, BIT(63) | 0x40030000);
    wr(0, ITS, 1, false);
    command(0, UINT64_C(0x10) << 32 | 8, 4, BIT(63) | 0x40040000); /* MAPD */
    command(1, UINT64_C(0x13) << 32 | 8, 4, BIT(63) | 0x40040100);
    command(2, 9, 0, BIT(63) | 1 << 16 | 7);                       /* MAPC: 7, 300, 2 */
    command(3, 9, 0, BIT(63) | 0 << 16 | 300);
    command(4, 9, 0, BIT(63) | 1 << 16 | 2);
    command(5, UINT64_C(0x10) << 32 | 10, UINT64_C(8197) << 32 | 3, 7); /* MAPTI */
    command(6, UINT64_C(0x10) << 32 | 10, UINT64_C(8200) << 32 | 9, 300);
    command(7, 9, 0, 7);                                           /* MAPC: 7 goes, the last one takes its place */
    g_bytes_unref(save_all());
    g_assert_cmphex(ram64(0x40020000 + 8 * 0x10), ==, BIT(63) | UINT64_C(3) << 49 | UINT64_C(0x400400) << 5 | 4);
    g_assert_cmphex(ram64(0x40020000 + 8 * 0x13), ==, BIT(63) | UINT64_C(0x400401) << 5 | 4);
    g_assert_cmphex(ram64(0x40040000 + 8 * 3), ==, UINT64_C(6) << 48 | UINT64_C(8197) << 16 | 7);
    g_assert_cmphex(ram64(0x40040000 + 8 * 9), ==, UINT64_C(8200) << 16 | 300);
    g_assert_cmphex(ram64(0x40030000), ==, BIT(63) | 1 << 16 | 2);
    g_assert_cmphex(ram64(0x40030008), ==, BIT(63) | 300);
    g_assert_cmphex(ram64(0x40030010), ==, 0);
    stop();
}

static void test_v3_virtual(void)
{
    start(true, false);
    uint32_t virtual = CPU_SYSREG_IMO | CPU_SYSREG_FMO;
    msr(0, ICH_VMCR, UINT64_C(0xf0) << 24 | 2 | 2 << 21 | 3 << 18);
    msr(0, ICH_HCR, 1);
    msr(0, ICH_LR0, BIT(62) | BIT(60) | UINT64_C(0x80) << 48 | 50);
    g_assert_true(lines[0][CPU_LINE_VIRQ]);
    g_assert_cmpuint(mrs(0, ICC_IAR1 | virtual), ==, 50);
    g_assert_false(lines[0][CPU_LINE_VIRQ]);
    g_assert_cmphex(mrs(0, ICC_RPR | virtual), ==, 0x80);
    msr(0, ICC_EOIR1 | virtual, 50);
    g_assert_cmphex(mrs(0, ICH_LR0) >> 62, ==, 0);
    g_assert_cmphex(mrs(0, ICH_ELRSR), ==, 0xf);
    stop();
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/gicv2/delivery", test_v2_delivery);
    g_test_add_func("/gicv2/sgi", test_v2_sgi);
    g_test_add_func("/gicv2/security", test_v2_security);
    g_test_add_func("/gicv2/virtual", test_v2_virtual);
    g_test_add_func("/gicv3/delivery", test_v3_delivery);
    g_test_add_func("/gicv3/its", test_its);
    g_test_add_func("/gicv3/its-tables", test_its_tables);
    g_test_add_func("/gicv3/virtual", test_v3_virtual);
    return g_test_run();
}
