/* SPDX-License-Identifier: MIT */
/*
 * The I/O APIC: 24 redirection entries that turn interrupt lines into messages.
 * Sources: Intel 82093AA data sheet (290566-001); ICH9 data sheet 316972, section 13.5 (version 0x20, EOI register).
 */
#include "hw/intc/ioapic.h"
#include <inttypes.h>
#include <string.h>
#include "base/bits.h"
#include "base/log.h"
#include "base/trace.h"
#include "hw/core/irqchip-host.h"
#include "hw/intc/apic.h"

enum { IOREGSEL = 0x00, IOWIN = 0x10, IOEOI = 0x40 };
enum { IOAPICID = 0, IOAPICVER = 1, IOAPICARB = 2, IOREDTBL = 0x10 };
#define VERSION_VALUE (0x20u | (IOAPIC_PINS - 1) << 16)
#define RTE_LOGICAL BIT(11)
#define RTE_STATUS BIT(12)
#define RTE_REMOTE_IRR BIT(14)
#define RTE_LEVEL BIT(15)
#define RTE_MASKED BIT(16)
#define RTE_WRITABLE (UINT64_C(0xff00000000000000) | 0x1afff)

typedef struct IoApic {
    Device dev;
    uint8_t id, select;
    uint32_t lines; /* asserted inputs */
    uint64_t redirect[IOAPIC_PINS];
} IoApic;

static const StateField ioapic_state[] = {
    STATE_U8(IoApic, id), STATE_U8(IoApic, select), STATE_U32(IoApic, lines), STATE_U64_ARRAY(IoApic, redirect),
    STATE_END_OF_TABLE,
};

static void send(const IoApic *s, unsigned pin)
{
    uint64_t e = s->redirect[pin];

    TRACE(ioapic_send, "pin %u entry 0x%" PRIx64, pin, e);
    apic_deliver8(e >> 56, e & RTE_LOGICAL, bits_get(e, 8, 3), e & 0xff, e & RTE_LEVEL);
}

/*
 * Local APICs that run elsewhere must know which vectors are level-triggered. A masked pin keeps its last message: its
 * EOI may be due.
 */
static void tell_host(const IoApic *s, unsigned pin)
{
    const IrqchipHost *h = irqchip_host();
    uint64_t e = s->redirect[pin];

    if (h && h->ioapic_pin && !(e & RTE_MASKED))
        h->ioapic_pin(pin, apic_msi_address(e >> 56, e & RTE_LOGICAL),
                      apic_msi_data(bits_get(e, 8, 3), e & 0xff, e & RTE_LEVEL));
}

static bool is_fixed(uint64_t e)
{
    return bits_get(e, 8, 3) <= APIC_LOWEST;
}

/* A level-triggered entry whose line is up sends once until its EOI. */
static void service_level(IoApic *s, unsigned pin)
{
    uint64_t *e = &s->redirect[pin];

    if (!(*e & RTE_LEVEL) || (*e & (RTE_MASKED | RTE_REMOTE_IRR)) || !(s->lines & BIT(pin)) || !is_fixed(*e))
        return;
    *e |= RTE_REMOTE_IRR;
    send(s, pin);
}

static void ioapic_input(Device *d, unsigned pin, int level)
{
    IoApic *s = (IoApic *)d;

    lock_domain_lock(d->domain);
    bool rose = level && !(s->lines & BIT(pin));
    uint64_t e = s->redirect[pin];
    s->lines = level ? s->lines | BIT(pin) : s->lines & ~BIT(pin);
    if ((e & RTE_LEVEL) && is_fixed(e))
        service_level(s, pin);
    else if (rose && !(e & RTE_MASKED)) /* an edge at a masked entry is lost (82093AA 3.2.4, bit 16) */
        send(s, pin);
    lock_domain_unlock(d->domain);
}

static void ioapic_eoi(void *opaque, uint8_t vector)
{
    IoApic *s = opaque;

    lock_domain_lock(s->dev.domain);
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        uint64_t *e = &s->redirect[pin];
        if ((*e & 0xff) == vector && (*e & RTE_REMOTE_IRR)) {
            *e &= ~RTE_REMOTE_IRR;
            service_level(s, pin);
        }
    }
    lock_domain_unlock(s->dev.domain);
}

static void write_redirect(IoApic *s, unsigned n, uint32_t v)
{
    unsigned pin = n >> 1;
    uint64_t *e = &s->redirect[pin];
    uint64_t was = *e;

    *e = n & 1 ? (was & UINT32_MAX) | (uint64_t)v << 32 : (was & ~(uint64_t)UINT32_MAX) | v;
    *e = (*e & RTE_WRITABLE) | (was & RTE_REMOTE_IRR);
    if (!(*e & RTE_LEVEL))
        *e &= ~RTE_REMOTE_IRR; /* switching to edge and back is how a lost EOI gets repaired */
    TRACE(ioapic_redirect, "pin %u entry 0x%" PRIx64, pin, *e);
    tell_host(s, pin);
    service_level(s, pin);
}

static void write_window(IoApic *s, uint32_t v)
{
    if (s->select == IOAPICID)
        s->id = bits_get(v, 24, 4);
    else if (s->select >= IOREDTBL && s->select < IOREDTBL + 2 * IOAPIC_PINS)
        write_redirect(s, s->select - IOREDTBL, v);
    else
        log_guest_error("ioapic", "write to register 0x%x", s->select);
}

static uint32_t read_window(const IoApic *s)
{
    switch (s->select) {
    case IOAPICID:
    case IOAPICARB:
        return (uint32_t)s->id << 24;
    case IOAPICVER:
        return VERSION_VALUE;
    }
    if (s->select >= IOREDTBL && s->select < IOREDTBL + 2 * IOAPIC_PINS) {
        unsigned n = s->select - IOREDTBL;
        return s->redirect[n >> 1] >> (n & 1 ? 32 : 0);
    }
    return 0;
}

static MemResult ioapic_read(void *o, hwaddr at, unsigned size, uint64_t *value, MemAttrs attrs)
{
    const IoApic *s = o;
    uint32_t v = 0;

    if ((at & ~3) == IOREGSEL)
        v = s->select;
    else if ((at & ~3) == IOWIN)
        v = read_window(s);
    *value = v >> 8 * (at & 3);
    return MEM_OK;
}

static MemResult ioapic_write(void *o, hwaddr at, unsigned size, uint64_t value, MemAttrs attrs)
{
    IoApic *s = o;

    if (at == IOREGSEL)
        s->select = value;
    else if (at == IOWIN && size == 4)
        write_window(s, value);
    else if (at == IOEOI)
        ioapic_eoi(s, value);
    else
        log_guest_error("ioapic", "write of %u bytes at 0x%x", size, (unsigned)at);
    return MEM_OK;
}

static const MemOps ioapic_ops = { .read = ioapic_read, .write = ioapic_write, .min_size = 1, .max_size = 4 };

static void ioapic_init(Device *d)
{
    device_own_domain(d, "ioapic");
}

static bool ioapic_start(Device *d, Error **errp)
{
    d->region[0] = mem_io_new("ioapic", 0x1000, &ioapic_ops, d, d->domain);
    apic_add_eoi_listener(ioapic_eoi, d);
    return true;
}

/* --- one that runs elsewhere --- */

static void export_state(const IoApic *s)
{
    const IrqchipHost *h = irqchip_host();
    IrqchipIoapic image = { .id = s->id, .select = s->select, .lines = s->lines };

    if (!h || !h->ioapic_put)
        return;
    memcpy(image.redirect, s->redirect, sizeof(image.redirect));
    h->ioapic_put(&image);
}

static void ioapic_saving(Device *d)
{
    IoApic *s = (IoApic *)d;
    const IrqchipHost *h = irqchip_host();
    IrqchipIoapic image = { 0 };

    if (!h || !h->ioapic_get)
        return;
    h->ioapic_get(&image);
    s->id = image.id & 0xf;
    s->select = image.select;
    s->lines = image.lines & (BIT(IOAPIC_PINS) - 1);
    for (unsigned i = 0; i < IOAPIC_PINS; i++)
        s->redirect[i] = image.redirect[i] & (RTE_WRITABLE | RTE_REMOTE_IRR);
}

static void ioapic_reset(Device *d, ResetPhase phase)
{
    IoApic *s = (IoApic *)d;

    if (phase != RESET_ENTER)
        return;
    s->id = s->select = 0;
    s->lines = 0;
    for (unsigned i = 0; i < IOAPIC_PINS; i++)
        s->redirect[i] = RTE_MASKED;
    export_state(s);
}

static bool ioapic_loaded(Device *d, Error **errp)
{
    IoApic *s = (IoApic *)d;

    s->id &= 0xf;
    s->lines &= BIT(IOAPIC_PINS) - 1;
    for (unsigned i = 0; i < IOAPIC_PINS; i++)
        s->redirect[i] &= RTE_WRITABLE | RTE_REMOTE_IRR;
    export_state(s);
    for (unsigned i = 0; i < IOAPIC_PINS; i++)
        tell_host(s, i);
    return true;
}

static void ioapic_stop(Device *d)
{
    apic_remove_eoi_listener(d);
}

static void ioapic_info(Device *d, GString *out)
{
    IoApic *s = (IoApic *)d;
    ioapic_saving(d);
    static const char *const modes[] = { "fixed", "lowest", "smi", "-", "nmi", "init", "-", "extint" };

    for (unsigned i = 0; i < IOAPIC_PINS; i++) {
        uint64_t e = s->redirect[i];
        g_string_append_printf(out, "pin %2u: vec=%02x %-6s %s dest=%02x %s%s%s%s\n", i, (unsigned)(e & 0xff),
                               modes[bits_get(e, 8, 3)], e & RTE_LOGICAL ? "logical" : "physical", (unsigned)(e >> 56),
                               e & RTE_LEVEL ? "level" : "edge", e & RTE_MASKED ? " masked" : "",
                               e & RTE_REMOTE_IRR ? " remote-irr" : "", s->lines & BIT(i) ? " asserted" : "");
    }
}

static const char *const in_pins[] = { "irq*24", NULL };

static const DeviceType ioapic_type = {
    .name = "ioapic", .desc = "I/O APIC", .category = "Misc", .size = sizeof(IoApic), .state = ioapic_state,
    .in_pins = in_pins, .init = ioapic_init, .start = ioapic_start, .reset = ioapic_reset, .input = ioapic_input,
    .saving = ioapic_saving, .loaded = ioapic_loaded, .stop = ioapic_stop, .info = ioapic_info,
};
DEVICE_REGISTER(ioapic_type)

static void gsi_set(void *opaque, int n, int level)
{
    GsiRouter *g = opaque;

    if (irqchip_host() && irqchip_host()->set_gsi) { /* it fans out as we do */
        irqchip_host()->set_gsi((unsigned)n, level);
        return;
    }
    irq_set(&g->pic[n], level);
    irq_set(&g->ioapic[n], level);
}

void gsi_router_init(GsiRouter *g, Device *pic, Device *ioapic)
{
    for (unsigned n = 0; n < IOAPIC_PINS; n++) {
        g->irq[n] = (Irq){ .set = gsi_set, .opaque = g, .n = n, .host_line = 1 + n };
        g->pic[n] = pic && n < 16 && n != 2 ? device_input(pic, "irq", n) : (Irq){ 0 };
        g->ioapic[n] = ioapic ? device_input(ioapic, "irq", n == 0 ? 2 : n) : (Irq){ 0 };
    }
}
