/* SPDX-License-Identifier: MIT */
/* GICv3 (IHI 0069G): the device, its inputs, and which interrupt is signalled to a CPU. */
#include "hw/intc/arm-gicv3-internal.h"
#include "base/rcu.h"
#include "hw/core/irqchip-host.h"
#include "hw/core/machine.h"

#define MAX_SAVED_LPIS (8 * MiB)

/* ---- guest RAM ---- */

static bool ram_access(Gic3 *g, hwaddr at, void *buf, uint64_t len, bool write)
{
    uint8_t *p = buf;
    bool ok = true;
    rcu_read_lock();
    while (ok && len) {
        MemSection s;
        as_translate(g->memory, at, &s);
        uint64_t n = MIN(s.len, len);
        ok = s.region && s.host && n && !(write && s.readonly);
        if (ok && write) {
            memcpy(s.host, p, n);
            mem_ram_written(s.ram_addr, n);
        } else if (ok) {
            memcpy(p, s.host, n);
        }
        at += n;
        p += n;
        len -= n;
    }
    rcu_read_unlock();
    return ok;
}

bool gic3_ram_read(Gic3 *g, hwaddr at, void *buf, uint64_t len)
{
    return g->memory && ram_access(g, at, buf, len, false);
}
bool gic3_ram_write(Gic3 *g, hwaddr at, const void *buf, uint64_t len)
{
    return g->memory && ram_access(g, at, (void *)buf, len, true);
}

/* ---- selection (section 4.8) ---- */

static void consider(Gic3Cpu *c, const Gic3Word *w, unsigned bit, unsigned irq, unsigned priority)
{
    Gic3 *g = c->gic;
    Gic3Group group = gic3_group(g, w, bit);
    if (priority < c->best_priority && g->enabled >> group & 1 && c->enabled[group] & 1) {
        c->best = irq;
        c->best_priority = (uint8_t)priority;
        c->best_group = (uint8_t)group;
    }
}

static void scan(Gic3Cpu *c)
{
    Gic3 *g = c->gic;
    uint32_t ready = gic3_pending(&c->word) & c->word.enabled & ~c->word.active;
    c->best = GIC3_SPURIOUS;
    c->best_priority = 0xff;
    for (; ready; ready &= ready - 1) {
        unsigned bit = (unsigned)__builtin_ctz(ready);
        consider(c, &c->word, bit, bit, c->priority[bit]);
    }
    for (unsigned i = 1; i * 32 < g->num_irq; i++) {
        Gic3Word *w = &g->shared[i];
        for (ready = gic3_pending(w) & w->enabled & ~w->active; ready; ready &= ready - 1) {
            unsigned bit = (unsigned)__builtin_ctz(ready), irq = i * 32 + bit;
            if (irq < g->num_irq && g->target[irq] == c->index)
                consider(c, w, bit, irq, g->priority[irq]);
        }
    }
    if (c->lpis && c->ctlr & 1 && g->enabled >> GROUP_1NS & 1 && c->enabled[GROUP_1NS] & 1) {
        unsigned priority = c->best_priority;
        uint32_t irq = c->best;
        gic3_lpi_best(c, &irq, &priority);
        if (irq != c->best) {
            c->best = irq;
            c->best_priority = (uint8_t)priority;
            c->best_group = GROUP_1NS;
        }
    }
}

/* Group 0 is FIQ; group 1 of the CPU's present Security state is IRQ, of the other FIQ (section 4.6.2). */
static bool is_fiq(const Gic3Cpu *c)
{
    if (c->best_group == GROUP_0)
        return true;
    return c->gic->security && (c->best_group == GROUP_1S) != c->was_secure;
}

void gic3_update(Gic3Cpu *c)
{
    scan(c);
    if (!c->port || !c->port->ops || !c->port->ops->set_line || irqchip_host_gic())
        return;
    bool signal = gic3_signalled(c), fiq = signal && is_fiq(c);
    c->port->ops->set_line(c->port, CPU_LINE_INTR, signal && !fiq);
    c->port->ops->set_line(c->port, CPU_LINE_NMI, fiq);
}

void gic3_update_all(Gic3 *g)
{
    for (unsigned i = 0; i < g->num_cpu; i++)
        gic3_update(&g->cpu[i]);
}

void gic3_irq_changed(Gic3 *g, Gic3Cpu *c, unsigned irq)
{
    if (irq < GIC_INTERNAL)
        gic3_update(c);
    else if (irq < g->num_irq && g->target[irq] < g->num_cpu)
        gic3_update(&g->cpu[g->target[irq]]);
}

void gic3_deactivate(Gic3Cpu *c, uint32_t irq)
{
    if (irq >= c->gic->num_irq)
        return;
    gic3_word(c->gic, c, irq)->active &= ~(uint32_t)BIT(irq % 32);
    gic3_irq_changed(c->gic, c, irq);
}

/* Which CPU IROUTER means (section 12.9.22). Interrupt_Routing_Mode 1: any; ours is the first. */
void gic3_retarget(Gic3 *g, unsigned irq)
{
    uint64_t r = g->route[irq];
    uint32_t affinity = (uint32_t)(r & 0xffffff) | (uint32_t)(r >> 32 & 0xff) << 24;
    g->target[irq] = r >> 31 & 1 ? 0 : GIC3_NO_CPU;
    for (unsigned i = 0; i < g->num_cpu && g->target[irq] == GIC3_NO_CPU; i++) {
        if ((g->cpu[i].port ? g->cpu[i].port->arch_id : i) == affinity)
            g->target[irq] = (uint16_t)i;
    }
}

/* ---- inputs ---- */

static void set_line(Gic3Word *w, unsigned bit, bool level)
{
    uint32_t mask = (uint32_t)BIT(bit);
    if (level && w->edge & mask && !(w->level & mask))
        w->latch |= mask;
    w->level = level ? w->level | mask : w->level & ~mask;
}

void gic3_set_shared(Gic3 *g, unsigned irq, bool level)
{
    Gic3Word *w = &g->shared[irq / 32];
    if ((w->level >> irq % 32 & 1) == level)
        return;
    set_line(w, irq % 32, level);
    if (irqchip_host_gic())
        irqchip_host_gic()->gic_line(irq, 0, level);
    gic3_irq_changed(g, NULL, irq);
}

void gic3_latch_shared(Gic3 *g, unsigned irq, bool pending)
{
    uint32_t bit = (uint32_t)BIT(irq % 32);
    Gic3Word *w = &g->shared[irq / 32];
    w->latch = pending ? w->latch | bit : w->latch & ~bit;
    gic3_irq_changed(g, NULL, irq);
}

void gic3_set_private(Gic3Cpu *c, unsigned irq, bool level)
{
    if ((c->word.level >> irq & 1) == level)
        return;
    set_line(&c->word, irq, level);
    if (irqchip_host_gic())
        irqchip_host_gic()->gic_line(irq, c->index, level);
    gic3_update(c);
}

static void spi_set(void *opaque, int n, int level)
{
    Gic3 *g = opaque;
    g_mutex_lock(&g->lock);
    gic3_set_shared(g, (unsigned)n, level != 0);
    g_mutex_unlock(&g->lock);
}

static void ppi_set(void *opaque, int n, int level)
{
    Gic3 *g = opaque;
    g_mutex_lock(&g->lock);
    gic3_set_private(&g->cpu[n / 32], (unsigned)n % 32, level != 0);
    g_mutex_unlock(&g->lock);
}

Irq arm_gicv3_spi(Device *gic, unsigned n)
{
    g_assert(n + GIC_INTERNAL < ((Gic3 *)gic)->num_irq);
    return (Irq){
        .set = spi_set, .opaque = gic, .n = (int)(n + GIC_INTERNAL), .host_line = irqchip_host_gic() ? (int)n + 1 : 0
    };
}

Irq arm_gicv3_ppi(Device *gic, unsigned cpu, unsigned n)
{
    g_assert(cpu < ((Gic3 *)gic)->num_cpu && n >= 16 && n < GIC_INTERNAL);
    return (Irq){ ppi_set, gic, (int)(cpu * 32 + n) };
}

void arm_gicv3_reset_nonsecure(Device *gic) { ((Gic3 *)gic)->reset_nonsecure = true; }

void arm_gicv3_map_redistributors(Device *gic, MemRegion *into, hwaddr low, unsigned low_count, hwaddr high)
{
    Gic3 *g = (Gic3 *)gic;
    for (unsigned i = 0; i < g->num_cpu; i++) {
        hwaddr at = i < low_count ? low + (hwaddr)i * GIC3_REDIST_SIZE
                                  : high + (hwaddr)(i - low_count) * GIC3_REDIST_SIZE;
        mem_map(into, at, i ? g->redist[i] : gic->region[1], 0);
    }
    if (low_count && low_count < g->num_cpu)
        g->cpu[low_count - 1].last = true;
}

/* ---- device ---- */

static void gic3_init(Device *d)
{
    Gic3 *g = (Gic3 *)d;
    g_mutex_init(&g->lock);
    g->pending_lpis = g_byte_array_new();
    for (unsigned i = 0; i < GIC3_CPUS; i++)
        g->cpu[i] = (Gic3Cpu){ .gic = g, .index = (uint16_t)i };
}

static bool gic3_start(Device *d, Error **errp)
{
    Gic3 *g = (Gic3 *)d;
    if (g->num_irq % 32) {
        error_setf(errp, "device '%s': num-irq=%u is not a multiple of 32", d->id, g->num_irq);
        return false;
    }
    g->num_irq = MIN(g->num_irq, GIC3_IRQS);
    g->memory = machine_current()->as_memory;
    d->region[0] = mem_io_new("gicv3_dist", 0x10000, &gic3_dist_ops, g, NULL);
    for (unsigned i = 0; i < g->num_cpu; i++) {
        Gic3Cpu *c = &g->cpu[i];
        MemRegion *r = mem_io_new("gicv3_redist", GIC3_REDIST_SIZE, &gic3_redist_ops, c, NULL);
        *(i ? &g->redist[i] : &d->region[1]) = r;
        c->port = cpu_port(i);
        if (c->port) {
            c->port->intc = c;
            c->port->intc_ops = &gic3_intc_ops;
        }
        if (g->has_lpi)
            c->lpi = g_new0(uint32_t, GIC3_LPI_WORDS);
    }
    g->cpu[g->num_cpu - 1].last = true;
    return true;
}

static void reset_cpu(Gic3 *g, Gic3Cpu *c, uint32_t group)
{
    c->word = (Gic3Word){ .level = c->word.level, .group = group, .edge = 0xffff };
    memset(c->priority, 0, sizeof(c->priority));
    c->nsacr = c->ctlr = 0;
    c->waker = 6;
    c->propbaser = c->pendbaser = 0;
    c->lpis = 0;
    if (c->lpi)
        memset(c->lpi, 0, GIC3_LPI_WORDS * 4);
    c->was_secure = g->security && !g->reset_nonsecure;
    gic3_cpu_reset(c);
    if (group) /* what secure firmware would have left: priorities that the Non-secure side may use */
        c->pmr = GIC3_PRIORITY_MASK;
}

static void gic3_reset(Device *d, ResetPhase phase)
{
    Gic3 *g = (Gic3 *)d;
    uint32_t group = g->security && g->reset_nonsecure ? UINT32_MAX : 0;
    g_mutex_lock(&g->lock);
    if (phase == RESET_ENTER) {
        g->enabled = 0;
        for (unsigned i = 1; i < GIC3_WORDS; i++)
            g->shared[i] = (Gic3Word){ .level = g->shared[i].level, .group = group };
        memset(g->priority, 0, sizeof(g->priority));
        memset(g->route, 0, sizeof(g->route));
        for (unsigned i = 0; i < GIC3_IRQS; i++)
            gic3_retarget(g, i);
        for (unsigned i = 0; i < GIC3_CPUS; i++)
            reset_cpu(g, &g->cpu[i], group);
    } else if (phase == RESET_HOLD) {
        gic3_host_put(g);
        gic3_update_all(g);
        for (unsigned i = 0; i < g->num_cpu; i++)
            gic3_virtual_update(&g->cpu[i]);
    }
    g_mutex_unlock(&g->lock);
}

/* Saved form of the pending LPIs: le32 of CPU << 16 | id. */
static void gic3_saving(Device *d)
{
    Gic3 *g = (Gic3 *)d;
    g_mutex_lock(&g->lock);
    gic3_host_fetch(g);
    g_mutex_unlock(&g->lock);
    g_byte_array_set_size(g->pending_lpis, 0);
    for (unsigned i = 0; i < g->num_cpu; i++) {
        for (uint32_t id = GIC3_LPI_FIRST; g->cpu[i].lpis && id < GIC3_LPI_END; id++) {
            uint8_t row[4];
            store_le32(row, i << 16 | id);
            if (gic3_lpi_pending(&g->cpu[i], id) && g->pending_lpis->len < MAX_SAVED_LPIS)
                g_byte_array_append(g->pending_lpis, row, 4);
        }
    }
}

static void load_lpis(Gic3 *g)
{
    for (unsigned i = 0; i < g->num_cpu; i++) {
        g->cpu[i].lpis = 0;
        if (g->cpu[i].lpi)
            memset(g->cpu[i].lpi, 0, GIC3_LPI_WORDS * 4);
    }
    for (guint at = 0; at + 4 <= g->pending_lpis->len; at += 4) {
        uint32_t row = load_le32(g->pending_lpis->data + at);
        if (row >> 16 < g->num_cpu)
            gic3_lpi_set(&g->cpu[row >> 16], row & 0xffff, true);
    }
    g_byte_array_set_size(g->pending_lpis, 0);
}

static bool gic3_loaded(Device *d, Error **errp)
{
    Gic3 *g = (Gic3 *)d;
    g_mutex_lock(&g->lock);
    g->enabled &= 7;
    for (unsigned i = 0; i < GIC3_IRQS; i++)
        gic3_retarget(g, i);
    for (unsigned i = 0; i < GIC3_CPUS; i++) {
        Gic3Cpu *c = &g->cpu[i];
        for (unsigned k = 0; k < GROUP_COUNT; k++) {
            c->bpr[k] = MAX(c->bpr[k] & 7, GIC3_MIN_BPR);
            c->enabled[k] &= 1;
        }
        c->pmr &= GIC3_PRIORITY_MASK;
    }
    load_lpis(g);
    gic3_host_put(g);
    gic3_update_all(g);
    for (unsigned i = 0; i < g->num_cpu; i++)
        gic3_virtual_update(&g->cpu[i]);
    g_mutex_unlock(&g->lock);
    return true;
}

static void gic3_stop(Device *d)
{
    Gic3 *g = (Gic3 *)d;
    for (unsigned i = 0; i < GIC3_CPUS; i++) {
        g_clear_pointer(&g->redist[i], mem_region_free);
        g_clear_pointer(&g->cpu[i].lpi, g_free);
    }
    g_clear_pointer(&g->pending_lpis, g_byte_array_unref);
    g_mutex_clear(&g->lock);
}

static const StateField word_state[] = {
    STATE_U32(Gic3Word, group), STATE_U32(Gic3Word, modifier), STATE_U32(Gic3Word, enabled), STATE_U32(Gic3Word, latch),
    STATE_U32(Gic3Word, active), STATE_U32(Gic3Word, level), STATE_U32(Gic3Word, edge), STATE_END_OF_TABLE,
};
static const StateField cpu_state[] = {
    STATE_STRUCT(Gic3Cpu, word, word_state),
    STATE_BYTES(Gic3Cpu, priority),
    STATE_U32(Gic3Cpu, nsacr),
    STATE_U32(Gic3Cpu, ctlr),
    STATE_U32(Gic3Cpu, waker),
    STATE_U64(Gic3Cpu, propbaser),
    STATE_U64(Gic3Cpu, pendbaser),
    STATE_BOOL(Gic3Cpu, was_secure),
    STATE_U32(Gic3Cpu, pmr),
    STATE_U32_ARRAY(Gic3Cpu, bpr),
    STATE_U32_ARRAY(Gic3Cpu, apr),
    STATE_U32_ARRAY(Gic3Cpu, enabled),
    STATE_U32_ARRAY(Gic3Cpu, cpu_ctlr),
    STATE_U32(Gic3Cpu, eoimode_el3),
    STATE_U32(Gic3Cpu, hcr),
    STATE_U32(Gic3Cpu, vmcr),
    STATE_U32_ARRAY(Gic3Cpu, vapr),
    STATE_U64_ARRAY(Gic3Cpu, lr),
    STATE_END_OF_TABLE,
};
static const StateField gic3_state[] = {
    STATE_U32(Gic3, enabled),
    STATE_STRUCT_ARRAY(Gic3, shared, word_state),
    STATE_BYTES(Gic3, priority),
    STATE_U64_ARRAY(Gic3, route),
    STATE_BUF(Gic3, pending_lpis, MAX_SAVED_LPIS),
    STATE_STRUCT_ARRAY(Gic3, cpu, cpu_state),
    STATE_END_OF_TABLE,
};
static const Property gic3_props[] = {
    { .name = "num-cpu", .kind = PROP_U32, .offset = offsetof(Gic3, num_cpu), .dflt = 1, .min = 1, .max = GIC3_CPUS,
      .help = "redistributors" },
    { .name = "num-irq", .kind = PROP_U32, .offset = offsetof(Gic3, num_irq), .dflt = 288, .min = 64, .max = 1024,
      .help = "interrupts, the 32 internal ones included" },
    DEFINE_PROP_BOOL("has-security-extensions", Gic3, security, false, "two Security states"),
    DEFINE_PROP_BOOL("has-lpi", Gic3, has_lpi, false, "locality-specific interrupts, for an ITS"),
    DEFINE_PROP_END,
};

static const DeviceType gic3_type = {
    .name = "arm-gicv3",
    .desc = "Arm generic interrupt controller, version 3",
    .category = "Misc",
    .size = sizeof(Gic3),
    .props = gic3_props,
    .state = gic3_state,
    .init = gic3_init,
    .start = gic3_start,
    .reset = gic3_reset,
    .saving = gic3_saving,
    .loaded = gic3_loaded,
    .stop = gic3_stop,
};
DEVICE_REGISTER(gic3_type)
