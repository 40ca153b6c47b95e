/* SPDX-License-Identifier: MIT */
/* GICv2 (IHI 0048B): the device, its inputs, and which interrupt is signalled to a CPU. */
#include "hw/core/irqchip-host.h"
#include "hw/intc/arm-gic-internal.h"

/* ---- selection ---- */

static bool group_enabled(const Gic *g, const GicCpu *c, unsigned group)
{
    return g->ctlr >> group & c->ctlr >> group & 1;
}

/* The highest-priority interrupt that may be delivered, GIC_SPURIOUS: none. Section 3.2. */
static unsigned scan_word(Gic *g, unsigned cpu, unsigned word, unsigned best, unsigned *best_priority)
{
    GicWord *w = gic_word(g, cpu, word * 32);
    uint32_t ready = gic_pending(w) & w->enabled & ~w->active;
    for (; ready; ready &= ready - 1) {
        unsigned bit = (unsigned)__builtin_ctz(ready), irq = word * 32 + bit;
        if (irq >= g->num_irq || (word && !(g->target[irq] >> cpu & 1)) ||
            !group_enabled(g, &g->cpu[cpu], w->group >> bit & 1))
            continue;
        unsigned priority = *gic_priority(g, cpu, irq);
        if (priority < *best_priority) {
            *best_priority = priority;
            best = irq;
        }
    }
    return best;
}

unsigned gic_highest(Gic *g, unsigned cpu, unsigned *priority)
{
    unsigned best = GIC_SPURIOUS;
    *priority = 0x100;
    for (unsigned word = 0; word * 32 < g->num_irq; word++)
        best = scan_word(g, cpu, word, best, priority);
    return best;
}

static void drive(GicCpu *c, CpuLine line, bool level)
{
    if (!irqchip_host_gic() && c->port && c->port->ops && c->port->ops->set_line)
        c->port->ops->set_line(c->port, line, level);
}

void gic_update(Gic *g, unsigned cpu)
{
    GicCpu *c = &g->cpu[cpu];
    unsigned priority, irq = gic_highest(g, cpu, &priority);
    bool signal = irq != GIC_SPURIOUS && gic_preempts(g, cpu, irq, priority);
    bool group1 = signal && gic_word(g, cpu, irq)->group >> irq % 32 & 1;
    bool fiq = signal && !group1 && c->ctlr & GICC_FIQ_EN;
    drive(c, CPU_LINE_INTR, signal && !fiq);
    drive(c, CPU_LINE_NMI, fiq);
}

void gic_update_all(Gic *g)
{
    for (unsigned cpu = 0; cpu < g->num_cpu; cpu++)
        gic_update(g, cpu);
}

/* ---- inputs ---- */

static void set_bit(uint32_t *word, unsigned bit, bool on)
{
    *word = on ? *word | BIT(bit) : *word & ~(uint32_t)BIT(bit);
}

static void set_line(GicWord *w, unsigned bit, bool level)
{
    if (level && w->edge >> bit & 1 && !(w->level >> bit & 1))
        w->latch |= (uint32_t)BIT(bit);
    set_bit(&w->level, bit, level);
}

static void spi_set(void *opaque, int n, int level)
{
    Gic *g = opaque;
    unsigned irq = (unsigned)n;
    g_mutex_lock(&g->lock);
    GicWord *w = &g->shared[irq / 32];
    if ((w->level >> irq % 32 & 1) != (level != 0)) {
        set_line(w, irq % 32, level);
        if (irqchip_host_gic())
            irqchip_host_gic()->gic_line(irq, 0, level);
        for (unsigned cpu = 0; cpu < g->num_cpu; cpu++) {
            if (g->target[irq] >> cpu & 1)
                gic_update(g, cpu);
        }
    }
    g_mutex_unlock(&g->lock);
}

void gic_set_private(Gic *g, unsigned cpu, unsigned irq, bool level)
{
    set_line(&g->cpu[cpu].word, irq, level);
    if (irqchip_host_gic())
        irqchip_host_gic()->gic_line(irq, cpu, level);
    gic_update(g, cpu);
}

static void ppi_set(void *opaque, int n, int level)
{
    Gic *g = opaque;
    g_mutex_lock(&g->lock);
    gic_set_private(g, (unsigned)n / 32, (unsigned)n % 32, level);
    g_mutex_unlock(&g->lock);
}

Irq arm_gic_spi(Device *gic, unsigned n)
{
    g_assert(n + GIC_INTERNAL < ((Gic *)gic)->num_irq);
    return (Irq){
        .set = spi_set, .opaque = gic, .n = (int)(n + GIC_INTERNAL), .host_line = irqchip_host_gic() ? (int)n + 1 : 0
    };
}

Irq arm_gic_ppi(Device *gic, unsigned cpu, unsigned n)
{
    g_assert(cpu < ((Gic *)gic)->num_cpu && n >= 16 && n < GIC_INTERNAL);
    return (Irq){ ppi_set, gic, (int)(cpu * 32 + n) };
}

void arm_gic_reset_nonsecure(Device *gic) { ((Gic *)gic)->reset_nonsecure = true; }

/* ---- device ---- */

static void gic_init(Device *d) { g_mutex_init(&((Gic *)d)->lock); }

static bool gic_start(Device *d, Error **errp)
{
    static const struct { const char *name; uint64_t size; const MemOps *ops;
    } frame[] = {
        { "gic_dist", 0x1000, &gic_dist_ops },
        { "gic_cpu", 0x2000, &gic_cpu_ops },
        { "gic_viface", 0x1000, &gic_hyp_ops },
        { "gic_vcpu", 0x2000, &gic_vcpu_ops },
    };
    Gic *g = (Gic *)d;
    if (g->num_irq % 32) {
        error_setf(errp, "device '%s': num-irq=%u is not a multiple of 32", d->id, g->num_irq);
        return false;
    }
    g->num_irq = MIN(g->num_irq, GIC_IRQS);
    for (unsigned i = 0; i < (g->virtualization ? 4u : 2u); i++)
        d->region[i] = mem_io_new(frame[i].name, frame[i].size, frame[i].ops, g, NULL);
    for (unsigned i = 0; i < g->num_cpu; i++)
        g->cpu[i].port = cpu_port(i);
    return true;
}

static void gic_reset(Device *d, ResetPhase phase)
{
    Gic *g = (Gic *)d;
    g_mutex_lock(&g->lock);
    if (phase == RESET_ENTER) {
        uint32_t level[GIC_WORDS], group = g->security && g->reset_nonsecure ? UINT32_MAX : 0;
        g->ctlr = 0;
        for (unsigned i = 1; i < GIC_WORDS; i++) {
            level[i] = g->shared[i].level;
            g->shared[i] = (GicWord){ .level = level[i], .group = group };
        }
        memset(g->priority, 0, sizeof(g->priority));
        /* with one CPU the targets are not implemented: all go to it */
        memset(g->target, g->num_cpu == 1 ? 1 : 0, sizeof(g->target));
        for (unsigned i = 0; i < GIC_CPUS; i++) {
            GicCpu *c = &g->cpu[i];
            c->word = (GicWord){ .level = c->word.level, .group = group, .enabled = 0xffff, .edge = 0xffff };
            memset(c->priority, 0, sizeof(c->priority));
            memset(c->sgi_source, 0, sizeof(c->sgi_source));
            c->ctlr = c->pmr = c->apr = c->nsapr = 0;
            c->bpr = GIC_MIN_BPR;
            c->abpr = GIC_MIN_BPR + 1;
            gic_virt_reset(c);
            if (group) { /* what secure firmware would have left: priorities that the Non-secure side may use */
                c->pmr = 0xff;
                memset(c->priority, 0x80, sizeof(c->priority));
            }
        }
        if (group)
            memset(g->priority, 0x80, sizeof(g->priority));
    } else if (phase == RESET_HOLD) {
        gic_host_put(g);
        gic_update_all(g);
        for (unsigned i = 0; i < g->num_cpu; i++)
            gic_virt_update(g, i);
    }
    g_mutex_unlock(&g->lock);
}

static bool gic_loaded(Device *d, Error **errp)
{
    Gic *g = (Gic *)d;
    g_mutex_lock(&g->lock);
    for (unsigned i = 0; i < GIC_CPUS; i++) {
        GicCpu *c = &g->cpu[i];
        c->bpr = CLAMP(c->bpr & 7, GIC_MIN_BPR, 7);
        c->abpr = CLAMP(c->abpr & 7, GIC_MIN_BPR + 1, 7);
    }
    gic_host_put(g);
    gic_update_all(g);
    for (unsigned i = 0; i < g->num_cpu; i++)
        gic_virt_update(g, i);
    g_mutex_unlock(&g->lock);
    return true;
}

static void gic_saving(Device *d)
{
    Gic *g = (Gic *)d;
    g_mutex_lock(&g->lock);
    gic_host_fetch(g);
    g_mutex_unlock(&g->lock);
}

static void gic_stop(Device *d) { g_mutex_clear(&((Gic *)d)->lock); }

static const StateField word_state[] = {
    STATE_U32(GicWord, group), STATE_U32(GicWord, enabled), STATE_U32(GicWord, latch), STATE_U32(GicWord, active),
    STATE_U32(GicWord, level), STATE_U32(GicWord, edge), STATE_END_OF_TABLE,
};
static const StateField cpu_state[] = {
    STATE_STRUCT(GicCpu, word, word_state),
    STATE_BYTES(GicCpu, priority),
    STATE_BYTES(GicCpu, sgi_source),
    STATE_U32(GicCpu, ctlr),
    STATE_U32(GicCpu, pmr),
    STATE_U32(GicCpu, bpr),
    STATE_U32(GicCpu, abpr),
    STATE_U32(GicCpu, apr),
    STATE_U32(GicCpu, nsapr),
    STATE_U32(GicCpu, hcr),
    STATE_U32(GicCpu, vmcr),
    STATE_U32(GicCpu, vapr),
    STATE_U32_ARRAY(GicCpu, lr),
    STATE_END_OF_TABLE,
};
static const StateField gic_state[] = {
    STATE_U32(Gic, ctlr),     STATE_STRUCT_ARRAY(Gic, shared, word_state), STATE_BYTES(Gic, priority),
    STATE_BYTES(Gic, target), STATE_STRUCT_ARRAY(Gic, cpu, cpu_state),     STATE_END_OF_TABLE,
};
static const Property gic_props[] = {
    { .name = "num-cpu", .kind = PROP_U32, .offset = offsetof(Gic, num_cpu), .dflt = 1, .min = 1, .max = GIC_CPUS,
      .help = "CPU interfaces" },
    { .name = "num-irq", .kind = PROP_U32, .offset = offsetof(Gic, num_irq), .dflt = 96, .min = 32, .max = 1024,
      .help = "interrupts, the 32 internal ones included" },
    DEFINE_PROP_BOOL("has-security-extensions", Gic, security, false, "group 0 is for the Secure state only"),
    DEFINE_PROP_BOOL("has-virtualization-extensions", Gic, virtualization, false, "virtual CPU interfaces"),
    DEFINE_PROP_END,
};

static const DeviceType gic_type = {
    .name = "arm_gic",
    .desc = "Arm generic interrupt controller, version 2",
    .category = "Misc",
    .size = sizeof(Gic),
    .props = gic_props,
    .state = gic_state,
    .init = gic_init,
    .start = gic_start,
    .reset = gic_reset,
    .saving = gic_saving,
    .loaded = gic_loaded,
    .stop = gic_stop,
};
DEVICE_REGISTER(gic_type)
