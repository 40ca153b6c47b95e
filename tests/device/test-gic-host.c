/* SPDX-License-Identifier: MIT */
/*
 * GICs that an accelerator runs: a kernel is made up that behaves as virt/kvm/devices/arm-vgic*.rst say. What is handed
 * over and fetched again is saved as the model alone would save it; lines and places reach the kernel.
 */
#include <glib.h>
#include <string.h>
#include "base/bits.h"
#include "hw/core/cpu-port.h"
#include "hw/core/irqchip-host.h"
#include "hw/core/machine.h"
#include "hw/intc/arm-gic-internal.h"
#include "hw/intc/arm-gicv3-internal.h"
#include "tests/device/whole-state.h"

#define RAM_SIZE (1 * MiB)
enum { DIST = 0x8000000, CPUIF = 0x8010000, REDIST = 0x80a0000, SGI_FRAME = 0x10000 };

static CpuPort ports[2];
static Machine *machine;
static Device *gic;

/* --- the kernel --- */

static GHashTable *regs; /* key -> value */
static uint32_t levels[2][32];
static unsigned version, priority_bits, made, lpi_orders;
static IrqchipGicMap placed;

static uint64_t *reg_at(IrqchipGicPart part, unsigned cpu, uint64_t at)
{
    uint64_t key = (uint64_t)part << 56 | (uint64_t)cpu << 48 | at, *v = g_hash_table_lookup(regs, &key);
    if (!v) {
        v = g_new0(uint64_t, 1);
        g_hash_table_insert(regs, g_memdup2(&key, sizeof(key)), v);
    }
    return v;
}

static uint32_t edges(IrqchipGicPart part, unsigned cpu, uint64_t frame, unsigned word)
{
    return gic_edges((uint32_t)*reg_at(part, cpu, frame + 0xc00 + 8 * word),
                     (uint32_t)*reg_at(part, cpu, frame + 0xc04 + 8 * word));
}

/* Banks of a bit for each interrupt: 100h sets what 180h clears, and so on. */
static void bank(IrqchipGicPart part, unsigned cpu, uint64_t frame, uint64_t at, bool write, uint64_t *value)
{
    unsigned word = at % 0x80 / 4;
    bool clear = at & 0x80, pending = at >= 0x200 && at < 0x300;
    unsigned owner = word && part == IRQCHIP_GIC_DIST ? 0 : cpu;
    uint64_t *v = reg_at(part, owner, frame + (at & ~UINT64_C(0x80)));
    if (!write)
        *value = *v | (pending && version == 2 ? levels[word ? 0 : cpu][word] & ~edges(part, owner, frame, word) : 0);
    else if (pending && version == 3)
        *v = clear ? *v : *value;
    else
        *v = clear ? *v & ~*value : *v | *value;
}

static bool dist(IrqchipGicPart part, unsigned cpu, uint64_t at, bool write, uint64_t *value)
{
    uint64_t frame = part == IRQCHIP_GIC_REDIST ? at & SGI_FRAME : 0, low = at - frame;
    uint64_t *v = reg_at(part, low >= 0x400 && low % 0x400 >= 32 && part == IRQCHIP_GIC_DIST && low < 0xc00 ? 0 : cpu,
                         at);
    if (low >= 0x100 && low < 0x400 && (part == IRQCHIP_GIC_DIST || frame))
        bank(part, cpu, frame, low, write, value);
    else if (version == 2 && low >= 0xf10 && low < 0xf30 && write)
        *reg_at(part, cpu, low | 0x20) = low < 0xf20 ? *reg_at(part, cpu, low + 0x10) & ~*value
                                                     : *reg_at(part, cpu, low) | *value;
    else if (write)
        *v = *value;
    else
        *value = *v;
    if (version == 2 && low >= 0xf10 && low < 0xf20 && write)
        *reg_at(part, cpu, low + 0x10) = *reg_at(part, cpu, low | 0x20);
    return true;
}

static bool gic_reg(IrqchipGicPart part, unsigned cpu, uint64_t at, bool write, uint64_t *value)
{
    g_assert_cmpuint(cpu, <, 2);
    if (part == IRQCHIP_GIC_DIST || part == IRQCHIP_GIC_REDIST)
        return dist(part, cpu, at, write, value);
    if (part == IRQCHIP_GIC_LEVEL) {
        uint32_t *l = &levels[at ? 0 : cpu][at / 32];
        write ? (void)(*l = (uint32_t)*value) : (void)(*value = *l);
        return true;
    }
    uint64_t *v = reg_at(part, cpu, at);
    if (part == IRQCHIP_GIC_SYSREG && at == ICC_CTLR) {
        uint64_t fixed = (priority_bits - 1) << 8 | 0x8000;
        g_assert_true(!write || (*value & ~UINT64_C(3)) == fixed);
        *v = (*v & 3) | fixed;
    }
    write ? (void)(*v = *value) : (void)(*value = *v);
    return true;
}

static bool gic_new(unsigned v, unsigned irqs, const IrqchipGicMap *map, Error **errp)
{
    made++;
    placed = *map;
    g_assert_cmpuint(v, ==, version);
    g_assert_cmpuint(irqs, ==, 96);
    return true;
}

static void gic_line(unsigned irq, unsigned cpu, bool level)
{
    uint32_t *l = &levels[irq < 32 ? cpu : 0][irq / 32], bit = (uint32_t)BIT(irq % 32);
    *l = level ? *l | bit : *l & ~bit;
}

static bool gic_order(IrqchipGicOrder order)
{
    lpi_orders += order == IRQCHIP_LPIS_TO_RAM;
    return true;
}

static const IrqchipHost kernel = {
    .gic_versions = 12, .gic_new = gic_new, .gic_line = gic_line, .gic_reg = gic_reg, .gic_order = gic_order
};

/* --- the machine --- */

static const CpuPortOps port_ops = { 0 };

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

static const MachineType type = { .name = "gic-host-test",
                                  .arch = "none",
                                  .max_cpus = 2,
                                  .default_ram = RAM_SIZE,
                                  .size = sizeof(Machine),
                                  .build = build };

static void start(unsigned v, unsigned bits)
{
    Error *err = NULL;
    version = v;
    priority_bits = bits;
    regs = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
    memset(levels, 0, sizeof(levels));
    made = lpi_orders = 0;
    machine = machine_new(&type);
    g_assert_true(machine_build(machine, &err));
    gic = device_new_named(v == 3 ? "arm-gicv3" : "arm_gic", "gic", &err);
    device_set_default(gic, "num-cpu", "2");
    device_set_default(gic, "num-irq", "96");
    g_assert_true(device_start(gic, &err));
    device_reset_all();
}

static void stop(void)
{
    irqchip_host_set(NULL);
    machine_free(machine);
    g_hash_table_unref(regs);
}

static void fill(void *at, size_t size)
{
    for (size_t i = 0; i < size; i++)
        ((uint8_t *)at)[i] = (uint8_t)g_test_rand_int();
}

/* --- a state that a guest could have made --- */

static void random_v2(Gic *g)
{
    g->ctlr = 3; /* some are in group 1 */
    for (unsigned w = 1; w < 3; w++)
        fill(&g->shared[w], sizeof(GicWord));
    for (unsigned i = 32; i < 96; i++)
        g->priority[i] = (uint8_t)(g_test_rand_int() & 0xf8), g->target[i] = (uint8_t)(g_test_rand_int() & 3);
    for (unsigned n = 0; n < 2; n++) {
        GicCpu *c = &g->cpu[n];
        fill(&c->word, sizeof(c->word));
        c->word.edge |= 0xffff;
        c->word.level = 0;
        for (unsigned i = 0; i < 32; i++)
            c->priority[i] = (uint8_t)(g_test_rand_int() & 0xf8);
        c->word.latch &= ~0xffffu;
        for (unsigned i = 0; i < 16; i++) {
            c->sgi_source[i] = (uint8_t)(g_test_rand_int() & 3);
            c->word.latch |= c->sgi_source[i] ? 1u << i : 0;
        }
        c->word.latch &= 0xffff | c->word.edge; /* a private level that is pending comes back as a line */
        c->ctlr = GICC_EN0 | GICC_EOIMODE, c->pmr = 0xf0, c->bpr = 3, c->abpr = 5, c->apr = (uint32_t)g_test_rand_int(),
        c->nsapr = 0;
    }
    for (unsigned w = 1; w < 3; w++)
        g->shared[w].latch &= ~(g->shared[w].level & ~g->shared[w].edge); /* one of both is told */
}

/* SGIs are pending by their senders: their bits are not written as such. */
static void sgis_pend(void)
{
    for (unsigned n = 0; n < 2; n++) {
        uint64_t *pending = reg_at(IRQCHIP_GIC_DIST, n, 0x200);
        for (unsigned i = 0; i < 16; i++)
            *pending |= *reg_at(IRQCHIP_GIC_DIST, n, 0xf20 + (i & ~3u)) >> 8 * (i % 4) & 0xff ? 1u << i : 0;
    }
}

static void test_v2(void)
{
    start(2, 5);
    Gic *g = (Gic *)gic;
    random_v2(g);
    g_autoptr(GBytes) before = save_all();
    irqchip_host_set(&kernel);
    g_assert_true(arm_gic_place(gic, DIST, CPUIF, NULL));
    g_assert_cmpuint(made, ==, 1);
    g_assert_cmphex(placed.dist, ==, DIST);
    g_assert_cmphex(placed.cpu, ==, CPUIF);
    load_all(before);
    sgis_pend();
    g_assert_cmphex(*reg_at(IRQCHIP_GIC_CPU, 1, 4), ==, 0x1e); /* five bits of the mask */
    g_assert_cmphex(*reg_at(IRQCHIP_GIC_DIST, 0, 0), ==, 1);
    g_assert_cmphex(levels[0][1], ==, g->shared[1].level);
    uint32_t level[3] = { 0, g->shared[1].level, g->shared[2].level };
    fill(&g->shared[1], 2 * sizeof(GicWord)); /* forgotten but for the levels, which are the model's */
    g->shared[1].level = level[1], g->shared[2].level = level[2];
    fill(g->priority + 32, 64);
    g->ctlr = 0;
    for (unsigned n = 0; n < 2; n++)
        fill(&g->cpu[n], offsetof(GicCpu, hcr));
    g_autoptr(GBytes) after = save_all();
    g_assert_true(g_bytes_equal(before, after));
    device_reset_all();
    g_assert_cmphex(*reg_at(IRQCHIP_GIC_DIST, 0, 0), ==, 0);
    g_assert_cmphex(*reg_at(IRQCHIP_GIC_DIST, 0, 0x104), ==, 0);
    stop();
}

static void random_v3(Gic3 *g)
{
    g->enabled = 1u << GROUP_0 | 1u << GROUP_1NS;
    for (unsigned w = 1; w < 3; w++) {
        fill(&g->shared[w], sizeof(Gic3Word));
        g->shared[w].modifier = 0;
    }
    g->shared[1].enabled |= 1, g->shared[1].group &= ~1u; /* group 0 is used */
    for (unsigned i = 32; i < 96; i++)
        g->priority[i] = (uint8_t)(g_test_rand_int() & 0xf8), g->route[i] = g_test_rand_int() & 1;
    for (unsigned n = 0; n < 2; n++) {
        Gic3Cpu *c = &g->cpu[n];
        fill(&c->word, sizeof(c->word));
        c->word.modifier = 0;
        c->word.edge |= 0xffff;
        for (unsigned i = 0; i < 32; i++)
            c->priority[i] = (uint8_t)(g_test_rand_int() & 0xf8);
        c->waker = 0, c->pmr = 0xa8, c->bpr[GROUP_0] = 3, c->bpr[GROUP_1NS] = 4, c->cpu_ctlr[1] = ICC_CTLR_EOIMODE;
        c->enabled[GROUP_0] = 0, c->enabled[GROUP_1NS] = 1;
        c->apr[GROUP_0] = (uint32_t)g_test_rand_int(), c->apr[GROUP_1NS] = (uint32_t)g_test_rand_int();
    }
}

static void crossed_v3(unsigned bits)
{
    start(3, bits);
    Gic3 *g = (Gic3 *)gic;
    random_v3(g);
    uint32_t active = g->cpu[1].apr[GROUP_1NS] = 0x80000101;
    g_autoptr(GBytes) before = save_all();
    irqchip_host_set(&kernel);
    g_assert_true(arm_gicv3_place(gic, DIST, REDIST, 2, 0, NULL));
    g_assert_cmphex(placed.redist[0].base, ==, REDIST);
    g_assert_cmpuint(placed.redist[0].count, ==, 2);
    g_assert_cmpuint(placed.redist[1].count, ==, 0);
    load_all(before);
    g_assert_cmphex(*reg_at(IRQCHIP_GIC_DIST, 0, 0), ==, 2);
    g_assert_cmphex(*reg_at(IRQCHIP_GIC_SYSREG, 1, ICC_PMR), ==, 0xa8);
    g_assert_cmphex(*reg_at(IRQCHIP_GIC_SYSREG, 1, ICC_AP1R0), ==, bits == 5 ? active : bits == 6 ? 0x10001 : 1);
    if (bits == 7) /* four levels of this CPU are one of ours */
        g_assert_cmphex(*reg_at(IRQCHIP_GIC_SYSREG, 1, ICC_AP1R0 + 1), ==, 1);
    fill(&g->shared[1], 2 * sizeof(Gic3Word));
    fill(g->priority + 32, 64);
    fill(g->route + 32, 64 * 8);
    g->enabled = 0;
    for (unsigned n = 0; n < 2; n++) {
        Gic3Cpu *c = &g->cpu[n];
        fill(&c->word, sizeof(c->word));
        fill(c->priority, sizeof(c->priority));
        c->pmr = c->waker = c->apr[GROUP_0] = c->apr[GROUP_1NS] = c->cpu_ctlr[1] = 0;
        c->bpr[GROUP_0] = c->bpr[GROUP_1NS] = 7, c->enabled[GROUP_1NS] = 0;
    }
    g_autoptr(GBytes) after = save_all();
    g_assert_true(g_bytes_equal(before, after));
    stop();
}

static void test_v3(void)
{
    for (unsigned bits = 5; bits <= 7; bits++)
        crossed_v3(bits);
}

static void test_lines(void)
{
    for (unsigned v = 2; v <= 3; v++) {
        start(v, 5);
        irqchip_host_set(&kernel);
        Irq spi = v == 3 ? arm_gicv3_spi(gic, 40) : arm_gic_spi(gic, 40),
            ppi = v == 3 ? arm_gicv3_ppi(gic, 1, 20) : arm_gic_ppi(gic, 1, 20);
        irq_set(&spi, 1);
        g_assert_cmphex(levels[0][2], ==, 1u << 8);
        irq_set(&ppi, 1);
        g_assert_cmphex(levels[1][0], ==, 1u << 20);
        g_assert_cmphex(levels[0][0], ==, 0);
        irq_set(&spi, 0);
        g_assert_cmphex(levels[0][2], ==, 0);
        stop();
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/gic-host/v2", test_v2);
    g_test_add_func("/gic-host/v3", test_v3);
    g_test_add_func("/gic-host/lines", test_lines);
    return g_test_run();
}
