/* SPDX-License-Identifier: MIT */
/* The message bus between local APICs, I/O APICs and MSI: who is addressed (Intel SDM vol. 3A, 11.6.2 and 11.11). */
#include "hw/intc/apic-internal.h"
#include "base/trace.h"
#include "hw/core/irqchip-host.h"

#define APIC_ID_LIMIT 4096
#define BROADCAST UINT32_MAX

typedef struct EoiListener {
    ApicEoiFn *fn;
    void *opaque;
} EoiListener;

/* The registry: changes only while no vCPU runs. */
static Apic *by_id[APIC_ID_LIMIT];
static Apic *apics[APIC_ID_LIMIT];
static unsigned apic_count;
static EoiListener listeners[4];

void apic_bus_add(Apic *a)
{
    g_assert(a->id < APIC_ID_LIMIT && apic_count < APIC_ID_LIMIT);
    by_id[a->id] = a;
    apics[apic_count++] = a;
}

void apic_bus_remove(Apic *a)
{
    for (unsigned i = 0; i < apic_count; i++) {
        if (apics[i] == a) {
            memmove(&apics[i], &apics[i + 1], (--apic_count - i) * sizeof(apics[0]));
            break;
        }
    }
    if (a->id < APIC_ID_LIMIT && by_id[a->id] == a)
        by_id[a->id] = NULL;
}

void apic_add_eoi_listener(ApicEoiFn *fn, void *opaque)
{
    unsigned i = 0;
    while (i < ARRAY_LEN(listeners) && listeners[i].fn)
        i++;
    g_assert(i < ARRAY_LEN(listeners));
    listeners[i] = (EoiListener){ fn, opaque };
    irqchip_set_eoi_sink(apic_broadcast_eoi);
}

void apic_remove_eoi_listener(void *opaque)
{
    for (unsigned i = 0; i < ARRAY_LEN(listeners); i++) {
        if (listeners[i].opaque == opaque)
            listeners[i] = (EoiListener){ 0 };
    }
}

void apic_broadcast_eoi(uint8_t vector)
{
    for (unsigned i = 0; i < ARRAY_LEN(listeners); i++) {
        if (listeners[i].fn)
            listeners[i].fn(listeners[i].opaque, vector);
    }
}

static bool logical_match(const Apic *a, uint32_t dest)
{
    if (apic_is_x2(a)) {
        uint32_t cluster = a->id >> 4, bit = BIT(a->id & 15);
        return dest >> 16 == cluster && (dest & bit);
    }
    uint32_t ldr = apic_get(a, R_LDR) >> 24;
    if (dest > 0xff)
        return false;
    if (apic_get(a, R_DFR) >> 28 == 0xf) /* flat model */
        return ldr & dest;
    return ldr >> 4 == dest >> 4 && (ldr & dest & 0xf);
}

static bool matches(const Apic *a, const ApicMessage *m)
{
    if (!(apic_base(a) & BASE_ENABLE))
        return false;
    if (m->dest == BROADCAST)
        return true;
    return m->logical ? logical_match(a, m->dest) : a->id == m->dest;
}

/* Lowest priority: the smallest processor priority wins; equal ones take turns. */
static void route_lowest(const ApicMessage *m, const Apic *exclude)
{
    static unsigned turn;
    unsigned first = __atomic_fetch_add(&turn, 1, __ATOMIC_RELAXED), best_ppr = 0x100;
    Apic *best = NULL;

    for (unsigned i = 0; i < apic_count; i++) {
        Apic *a = apics[(first + i) % apic_count];
        if (a == exclude || !matches(a, m) || !apic_software_enabled(a) || apic_get(a, R_PPR) >= best_ppr)
            continue;
        best = a;
        best_ppr = apic_get(a, R_PPR);
    }
    if (best)
        apic_accept(best, APIC_FIXED, m->vector, m->level);
}

void apic_route(const ApicMessage *m, const Apic *exclude)
{
    TRACE(apic_route, "dest 0x%x %s mode %u vector 0x%x %s", m->dest, m->logical ? "logical" : "physical", m->mode,
          m->vector, m->level ? "level" : "edge");
    if (m->mode == APIC_LOWEST) {
        route_lowest(m, exclude);
    } else if (!m->logical && m->dest != BROADCAST) {
        Apic *a = m->dest < APIC_ID_LIMIT ? by_id[m->dest] : NULL;
        if (a && a != exclude)
            apic_accept(a, m->mode, m->vector, m->level);
    } else {
        for (unsigned i = 0; i < apic_count; i++) {
            if (apics[i] != exclude && matches(apics[i], m))
                apic_accept(apics[i], m->mode, m->vector, m->level);
        }
    }
}

uint64_t apic_msi_address(uint8_t dest, bool logical)
{
    return APIC_DEFAULT_BASE | (uint64_t)dest << 12 | (logical ? BIT(2) : 0);
}

uint32_t apic_msi_data(uint8_t mode, uint8_t vector, bool level)
{
    return vector | (uint32_t)(mode & 7) << 8 | (level ? BIT(15) | BIT(14) : 0);
}

void apic_deliver8(uint8_t dest, bool logical, uint8_t mode, uint8_t vector, bool level)
{
    if (irqchip_host()) {
        irqchip_host()->msi(apic_msi_address(dest, logical), apic_msi_data(mode, vector, level));
        return;
    }
    apic_route(&(ApicMessage){ .dest = dest == 0xff ? BROADCAST : dest, .logical = logical, .mode = mode,
                               .vector = vector, .level = level }, NULL);
}

void apic_msi(uint64_t address, uint32_t data)
{
    if (irqchip_host()) {
        irqchip_host()->msi(address, data);
        return;
    }
    apic_deliver8(bits_get(address, 12, 8), address & BIT(2), bits_get(data, 8, 3), data & 0xff, data & BIT(15));
}

/* The vCPU's own APIC, when it decodes the window: enabled and not in x2APIC mode. */
static Apic *own_apic(MemAttrs attrs)
{
    CpuPort *p = cpu_port_current();

    if (!p && attrs.cpu < cpu_port_count())
        p = cpu_port(attrs.cpu);
    if (!p || p->intc_ops != &apic_intc_ops || irqchip_host()) /* it takes what it decodes: this one is disabled */
        return NULL;
    Apic *a = p->intc;
    return (a->base & (BASE_ENABLE | BASE_X2APIC)) == BASE_ENABLE ? a : NULL;
}

static MemResult window_read(void *o, hwaddr at, unsigned size, uint64_t *value, MemAttrs attrs)
{
    Apic *a = attrs.cpu == MEM_ATTRS_DEVICE.cpu || at >= 0x1000 ? NULL : own_apic(attrs);
    uint32_t v = 0;

    if (!a) {
        *value = UINT64_MAX;
        return MEM_OK;
    }
    if (!(at & 0xc))
        apic_reg_read(a, at >> 4, &v);
    *value = v >> 8 * (at & 3);
    return MEM_OK;
}

static MemResult window_write(void *o, hwaddr at, unsigned size, uint64_t value, MemAttrs attrs)
{
    if (attrs.cpu == MEM_ATTRS_DEVICE.cpu || at >= 0x1000) {
        apic_msi(APIC_DEFAULT_BASE + at, value);
        return MEM_OK;
    }
    Apic *a = own_apic(attrs);
    if (a && !(at & 0xf))
        apic_reg_write(a, at >> 4, value);
    return MEM_OK;
}

MemRegion *apic_window_new(void)
{
    static const MemOps ops = { .read = window_read, .write = window_write, .min_size = 1, .max_size = 4 };
    return mem_io_new("apic-msi", APIC_WINDOW_SIZE, &ops, NULL, NULL);
}
