/* SPDX-License-Identifier: MIT */
/*
 * GICv3 CPU interface: the ICC_* system registers (IHI 0069G sections 4.8, 12.2). Five priority bits, so one
 * active-priorities word a group.
 */
#include "hw/intc/arm-gicv3-internal.h"

typedef struct Access {
    Gic3Cpu *c;
    unsigned el;
    bool secure; /* may see what is Secure */
} Access;

/* The group that BPR1, AP1R, IGRPEN1, CTLR mean for this access. */
static Gic3Group group1_of(const Access *a) { return a->c->gic->security && a->secure ? GROUP_1S : GROUP_1NS; }
static unsigned bank_of(const Access *a) { return group1_of(a) == GROUP_1NS; }
static bool limited(const Access *a) { return !gic3_secure(a->c->gic, a->secure); }

/* ---- priorities ---- */

/* Group 1 takes its own point, for the Non-secure group less one, unless CBPR joins it to group 0's. */
static unsigned point_of(const Gic3Cpu *c, unsigned group)
{
    bool ns = group == GROUP_1NS;
    if (group == GROUP_0 || c->cpu_ctlr[ns] & ICC_CTLR_CBPR)
        return c->bpr[GROUP_0];
    return ns ? MAX(c->bpr[GROUP_1NS], GIC3_MIN_BPR + 1) - 1 : c->bpr[GROUP_1S];
}

static unsigned group_priority(const Gic3Cpu *c, unsigned group, unsigned priority)
{
    return priority & (0xffu << (point_of(c, group) + 1)) & 0xff;
}

static unsigned running_priority(const Gic3Cpu *c)
{
    uint32_t active = c->apr[GROUP_0] | c->apr[GROUP_1S] | c->apr[GROUP_1NS];
    return active ? (unsigned)__builtin_ctz(active) << 3 : 0x100;
}

bool gic3_signalled(const Gic3Cpu *c)
{
    return c->best != GIC3_SPURIOUS && c->best_priority < c->pmr &&
           group_priority(c, c->best_group, c->best_priority) < running_priority(c);
}

void gic3_cpu_reset(Gic3Cpu *c)
{
    c->pmr = 0;
    memset(c->apr, 0, sizeof(c->apr));
    memset(c->enabled, 0, sizeof(c->enabled));
    c->bpr[GROUP_0] = c->bpr[GROUP_1S] = GIC3_MIN_BPR;
    c->bpr[GROUP_1NS] = GIC3_MIN_BPR + 1;
    c->cpu_ctlr[0] = c->cpu_ctlr[1] = c->eoimode_el3 = 0;
    c->hcr = 0;
    c->vmcr = GIC3_MIN_BPR << 21 | (GIC3_MIN_BPR + 1) << 18;
    c->vapr[0] = c->vapr[1] = 0;
    memset(c->lr, 0, sizeof(c->lr));
}

/* Section 4.8.1: the Non-secure side sees the lower half of the priorities. */
static uint64_t priority_view(const Access *a, unsigned p) { return !limited(a) ? p : p & 0x80 ? p << 1 & 0xff : 0; }

static void pmr_write(const Access *a, uint64_t v)
{
    Gic3Cpu *c = a->c;
    if (!limited(a))
        c->pmr = v & GIC3_PRIORITY_MASK;
    else if (c->pmr & 0x80)
        c->pmr = (0x80 | (v >> 1 & 0x7f)) & GIC3_PRIORITY_MASK;
}

static uint64_t rpr_read(const Access *a)
{
    unsigned p = running_priority(a->c);
    return p > 0xff ? 0xff : priority_view(a, p);
}

/* ---- acknowledge and end ---- */

/* What HPPIR and IAR may name: group 0, or a group 1 that the access may see (section 4.8.? "Special INTIDs"). */
static bool may_see(const Access *a, bool group0)
{
    const Gic3Cpu *c = a->c;
    if (c->best == GIC3_SPURIOUS || (c->best_group == GROUP_0) != group0)
        return false;
    if (group0)
        return !limited(a);
    return a->el == 3 || c->best_group == group1_of(a);
}

static void drop_line(Gic3Cpu *c, uint32_t irq)
{
    Gic3Word *w = gic3_word(c->gic, c, irq);
    w->active |= (uint32_t)BIT(irq % 32);
    w->latch &= ~(uint32_t)BIT(irq % 32);
}

static uint64_t acknowledge(const Access *a, bool group0)
{
    Gic3Cpu *c = a->c;
    uint32_t irq = c->best;
    if (!may_see(a, group0) || !gic3_signalled(c))
        return GIC3_SPURIOUS;
    c->apr[c->best_group] |= (uint32_t)BIT(group_priority(c, c->best_group, c->best_priority) >> 3);
    if (irq >= GIC3_LPI_FIRST)
        gic3_lpi_set(c, irq, false);
    else
        drop_line(c, irq);
    gic3_update(c);
    return irq;
}

static bool eoi_mode(const Access *a)
{
    return a->el == 3 && a->c->gic->security ? a->c->eoimode_el3 : a->c->cpu_ctlr[bank_of(a)] & ICC_CTLR_EOIMODE;
}

/* The running priority drops when it belongs to the register's group. */
static bool drop_priority(Gic3Cpu *c, const Access *a, bool group0)
{
    unsigned best = GROUP_0;
    for (unsigned i = 1; i < GROUP_COUNT; i++) {
        if (c->apr[i] && (!c->apr[best] || __builtin_ctz(c->apr[i]) < __builtin_ctz(c->apr[best])))
            best = i;
    }
    if (!c->apr[best] || (best == GROUP_0) != group0 || (!group0 && a->el != 3 && best != group1_of(a)))
        return false;
    c->apr[best] &= c->apr[best] - 1;
    return true;
}

static bool may_end(const Access *a, uint32_t irq, bool group0)
{
    Gic3Cpu *c = a->c;
    if (irq >= c->gic->num_irq)
        return irq >= GIC3_LPI_FIRST && !group0;
    Gic3Group group = gic3_group(c->gic, gic3_word(c->gic, c, irq), irq % 32);
    return group0 ? group == GROUP_0 && !limited(a) : group != GROUP_0 && (a->el == 3 || group == group1_of(a));
}

static void end(const Access *a, uint64_t v, bool group0)
{
    Gic3Cpu *c = a->c;
    uint32_t irq = v & 0xffffff;
    if (!may_end(a, irq, group0))
        return;
    drop_priority(c, a, group0);
    if (!eoi_mode(a) && irq < c->gic->num_irq)
        gic3_deactivate(c, irq);
    gic3_update(c);
}

static void deactivate(const Access *a, uint64_t v)
{
    Gic3Cpu *c = a->c;
    uint32_t irq = v & 0xffffff;
    if (!eoi_mode(a) || irq >= c->gic->num_irq)
        return;
    if (!limited(a) || gic3_group(c->gic, gic3_word(c->gic, c, irq), irq % 32) == GROUP_1NS)
        gic3_deactivate(c, irq);
}

/* ---- software-generated interrupts ---- */

static void send_to(Gic3Cpu *c, unsigned irq, Gic3Group wanted, bool secure)
{
    Gic3 *g = c->gic;
    Gic3Group group = gic3_group(g, &c->word, irq);
    unsigned permission = c->nsacr >> 2 * irq & 3;
    bool ok = group == wanted || (secure && wanted == GROUP_1S && group == GROUP_0);
    /* the Secure side may let the other one raise its interrupts (section 12.11.? GICR_NSACR) */
    if (g->security && !secure && !ok)
        ok = group == GROUP_0 ? permission >= 1 : permission >= 2;
    if (!ok)
        return;
    c->word.latch |= (uint32_t)BIT(irq);
    gic3_update(c);
}

/* Sections 12.2.21 to 12.2.23: affinities 3.2.1, a list of sixteen at level 0, or all but ourselves. */
static void send_sgi(const Access *a, uint64_t v, Gic3Group wanted)
{
    Gic3 *g = a->c->gic;
    uint32_t cluster = (uint32_t)(v >> 16 & 0xff) << 8 | (uint32_t)(v >> 32 & 0xff) << 16 |
                       (uint32_t)(v >> 48 & 0xff) << 24;
    unsigned base = (unsigned)(v >> 44 & 15) * 16;
    for (unsigned i = 0; i < g->num_cpu; i++) {
        Gic3Cpu *c = &g->cpu[i];
        uint32_t affinity = c->port ? c->port->arch_id : i, level0 = affinity & 0xff;
        bool hit = v >> 40 & 1 ? c != a->c
                               : (affinity & ~0xffu) == cluster && level0 - base < 16 && v >> (level0 - base) & 1;
        if (hit)
            send_to(c, v >> 24 & 15, wanted, gic3_secure(g, a->secure));
    }
}

static void send_sgi1(const Access *a, uint64_t v, bool other)
{
    bool secure = a->c->gic->security && a->secure;
    send_sgi(a, v, secure != other && a->c->gic->security ? GROUP_1S : GROUP_1NS);
}

/* ---- control registers ---- */

static uint64_t ctlr_read(const Access *a) { return ICC_CTLR_FIXED | a->c->cpu_ctlr[bank_of(a)]; }

static void ctlr_write(const Access *a, uint64_t v)
{
    uint32_t writable = ICC_CTLR_EOIMODE | (limited(a) ? 0 : ICC_CTLR_CBPR | ICC_CTLR_PMHE),
             *p = &a->c->cpu_ctlr[bank_of(a)];
    *p = (*p & ~writable) | ((uint32_t)v & writable);
}

/* CBPR_EL1S, CBPR_EL1NS, EOImode_EL3, EOImode_EL1S, EOImode_EL1NS, PMHE. */
static uint64_t ctlr3_read(const Gic3Cpu *c)
{
    const uint32_t *b = c->cpu_ctlr;
    return ICC_CTLR_FIXED | (b[0] & 1) | (b[1] & 1) << 1 | (c->eoimode_el3 & 1) << 2 | (b[0] >> 1 & 1) << 3 |
           (b[1] >> 1 & 1) << 4 | (b[0] & ICC_CTLR_PMHE);
}

static void ctlr3_write(Gic3Cpu *c, uint64_t v)
{
    uint32_t pmhe = v & ICC_CTLR_PMHE;
    c->cpu_ctlr[0] = (v & 1) | (v >> 3 & 1) << 1 | pmhe;
    c->cpu_ctlr[1] = (v >> 1 & 1) | (v >> 4 & 1) << 1 | pmhe;
    c->eoimode_el3 = v >> 2 & 1;
}

static uint64_t bpr1_read(const Access *a)
{
    const Gic3Cpu *c = a->c;
    if (c->cpu_ctlr[bank_of(a)] & ICC_CTLR_CBPR && a->el != 3)
        return bank_of(a) ? MIN(c->bpr[GROUP_0] + 1, 7) : c->bpr[GROUP_0];
    return c->bpr[group1_of(a)];
}

static void bpr1_write(const Access *a, uint64_t v)
{
    Gic3Cpu *c = a->c;
    if (c->cpu_ctlr[bank_of(a)] & ICC_CTLR_CBPR && a->el != 3) {
        if (!bank_of(a))
            c->bpr[GROUP_0] = MAX((uint32_t)v & 7, GIC3_MIN_BPR);
        return;
    }
    c->bpr[group1_of(a)] = MAX((uint32_t)v & 7, group1_of(a) == GROUP_1NS ? GIC3_MIN_BPR + 1u : GIC3_MIN_BPR);
}

/* ---- dispatch ---- */

static bool icc_read(const Access *a, uint32_t key, uint64_t *v)
{
    Gic3Cpu *c = a->c;
    if ((key > ICC_AP0R0 && key <= ICC_AP0R3) || (key > ICC_AP1R0 && key <= ICC_AP1R3))
        return false; /* only with more priority bits */
    switch (key) {
    case ICC_PMR: *v = priority_view(a, c->pmr); break;
    case ICC_IAR0: *v = acknowledge(a, true); break;
    case ICC_IAR1: *v = acknowledge(a, false); break;
    case ICC_HPPIR0: *v = may_see(a, true) ? c->best : GIC3_SPURIOUS; break;
    case ICC_HPPIR1: *v = may_see(a, false) ? c->best : GIC3_SPURIOUS; break;
    case ICC_BPR0: *v = c->bpr[GROUP_0]; break;
    case ICC_BPR1: *v = bpr1_read(a); break;
    case ICC_AP0R0: *v = c->apr[GROUP_0]; break;
    case ICC_AP1R0: *v = c->apr[group1_of(a)]; break;
    case ICC_RPR: *v = rpr_read(a); break;
    case ICC_CTLR: *v = ctlr_read(a); break;
    case ICC_SRE: *v = 7; break;
    case ICC_SRE_EL2: case ICC_SRE_EL3: *v = 15; break;
    case ICC_IGRPEN0: *v = c->enabled[GROUP_0]; break;
    case ICC_IGRPEN1: *v = c->enabled[group1_of(a)]; break;
    case ICC_CTLR_EL3: *v = ctlr3_read(c); break;
    case ICC_IGRPEN1_EL3: *v = c->enabled[GROUP_1NS] | c->enabled[GROUP_1S] << 1; break;
    default: return gic3_hyp_read(c, key, v);
    }
    return true;
}

static bool icc_write(const Access *a, uint32_t key, uint64_t v)
{
    Gic3Cpu *c = a->c;
    switch (key) {
    case ICC_PMR: pmr_write(a, v); break;
    case ICC_EOIR0: end(a, v, true); return true;
    case ICC_EOIR1: end(a, v, false); return true;
    case ICC_DIR: deactivate(a, v); return true;
    case ICC_BPR0: c->bpr[GROUP_0] = MAX((uint32_t)v & 7, GIC3_MIN_BPR); break;
    case ICC_BPR1: bpr1_write(a, v); break;
    case ICC_AP0R0: c->apr[GROUP_0] = (uint32_t)v; break;
    case ICC_AP1R0: c->apr[group1_of(a)] = (uint32_t)v; break;
    case ICC_CTLR: ctlr_write(a, v); break;
    case ICC_SRE: case ICC_SRE_EL2: case ICC_SRE_EL3: return true;
    case ICC_IGRPEN0: c->enabled[GROUP_0] = v & 1; break;
    case ICC_IGRPEN1: c->enabled[group1_of(a)] = v & 1; break;
    case ICC_SGI1R: send_sgi1(a, v, false); return true;
    case ICC_ASGI1R: send_sgi1(a, v, true); return true;
    case ICC_SGI0R: send_sgi(a, v, GROUP_0); return true;
    case ICC_CTLR_EL3: ctlr3_write(c, v); break;
    case ICC_IGRPEN1_EL3:
        c->enabled[GROUP_1NS] = v & 1;
        c->enabled[GROUP_1S] = v >> 1 & 1;
        break;
    default: return gic3_hyp_write(c, key, v);
    }
    gic3_update(c);
    return true;
}

/* Which accesses at EL1 go to the virtual interface (section 4.? and the registers' descriptions). */
static bool is_virtual(uint32_t key, bool imo, bool fmo)
{
    switch (key) {
    case ICC_IAR0: case ICC_EOIR0: case ICC_HPPIR0: case ICC_BPR0: case ICC_AP0R0: case ICC_IGRPEN0: return fmo;
    case ICC_IAR1: case ICC_EOIR1: case ICC_HPPIR1: case ICC_BPR1: case ICC_AP1R0: case ICC_IGRPEN1: return imo;
    case ICC_PMR: case ICC_RPR: case ICC_CTLR: case ICC_DIR: return imo || fmo;
    default: return false;
    }
}

static void note_state(Gic3Cpu *c, unsigned el, bool secure)
{
    bool now = c->gic->security && (secure || el == 3);
    if (now == c->was_secure)
        return;
    c->was_secure = now;
    gic3_update(c);
}

static bool sysreg_read(void *intc, uint32_t key, unsigned el, bool secure, uint64_t *value)
{
    Gic3Cpu *c = intc;
    Access a = { c, el, secure };
    uint32_t plain = key & ~(CPU_SYSREG_IMO | CPU_SYSREG_FMO);
    *value = 0;
    g_mutex_lock(&c->gic->lock);
    note_state(c, el, secure);
    bool ok = is_virtual(plain, key & CPU_SYSREG_IMO, key & CPU_SYSREG_FMO) ? gic3_virtual_read(c, plain, value)
                                                                            : icc_read(&a, plain, value);
    g_mutex_unlock(&c->gic->lock);
    return ok;
}

static bool sysreg_write(void *intc, uint32_t key, unsigned el, bool secure, uint64_t value)
{
    Gic3Cpu *c = intc;
    Access a = { c, el, secure };
    uint32_t plain = key & ~(CPU_SYSREG_IMO | CPU_SYSREG_FMO);
    g_mutex_lock(&c->gic->lock);
    note_state(c, el, secure);
    bool ok = is_virtual(plain, key & CPU_SYSREG_IMO, key & CPU_SYSREG_FMO) ? gic3_virtual_write(c, plain, value)
                                                                            : icc_write(&a, plain, value);
    g_mutex_unlock(&c->gic->lock);
    return ok;
}

static void state_changed(void *intc, unsigned el, bool secure)
{
    Gic3Cpu *c = intc;
    if (!c->gic->security)
        return;
    g_mutex_lock(&c->gic->lock);
    note_state(c, el, secure);
    g_mutex_unlock(&c->gic->lock);
}

const CpuIntcOps gic3_intc_ops = { .sysreg_read = sysreg_read,
                                   .sysreg_write = sysreg_write,
                                   .state_changed = state_changed };
