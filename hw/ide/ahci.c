/* SPDX-License-Identifier: MIT */
/*
 * "ich9-ahci" and "ahci": the SATA controller of ICH9 in AHCI mode (AHCI 1.3.1; Intel ICH9 datasheet, 316972, chapter
 * 15).
 */
#include "hw/ide/ahci.h"
#include "base/bits.h"

enum { BAR_SIZE = 0x1000, IDP_SIZE = 32, IDP_INDEX = 0x10, IDP_DATA = 0x14, BAR_ABAR = 5, BAR_IDP = 4, ICH9_PORTS = 6 };
enum { CAP = 0x00, GHC = 0x04, IS = 0x08, PI = 0x0c, VS = 0x10 };
enum { VERSION = 0x00010301, GHC_HR = 1, GHC_IE = 2 };
#define GHC_AE 0x80000000u

static uint32_t capabilities(const Ahci *h)
{
    return (h->ports - 1) | (AHCI_SLOTS - 1) << 8 | (uint32_t)BIT(15) /* several DRQ blocks */ |
           (uint32_t)BIT(18) /* AHCI only */ | 2u << 20 /* 3 Gbit/s */ | (uint32_t)BIT(24) /* CLO */ |
           (uint32_t)BIT(30) /* queues */ | (uint32_t)BIT(31) /* 64 bits */;
}

/* --- interrupts --- */

void ahci_update_irq(Ahci *h, bool again)
{
    for (unsigned i = 0; i < h->ports; i++) {
        if (ahci_port_pending(&h->port[i]))
            h->is |= (uint32_t)BIT(i);
    }
    bool level = h->is && h->ghc & GHC_IE;
    if (msi_enabled(&h->pci)) {
        pci_set_irq(&h->pci, 0);
        if (level && again)
            msi_notify(&h->pci, 0);
    } else {
        pci_set_irq(&h->pci, level);
    }
}

/* --- registers --- */

static void reset_all(Ahci *h)
{
    h->ghc = GHC_AE;
    h->is = h->idp_index = 0;
    for (unsigned i = 0; i < h->ports; i++)
        ahci_port_reset(&h->port[i]);
}

static void write_ghc(Ahci *h, uint32_t value)
{
    if (value & GHC_HR) { /* HR reads as 0 again at once */
        reset_all(h);
        for (unsigned i = 0; i < h->ports; i++) {
            if (h->port[i].bus.drive[0])
                ata_reset(h->port[i].bus.drive[0], false);
        }
    } else {
        h->ghc = GHC_AE | (value & GHC_IE);
    }
    ahci_update_irq(h, true);
}

static uint32_t read32(Ahci *h, unsigned at)
{
    unsigned port = (at - AHCI_PORT_BASE) / AHCI_PORT_SIZE;

    if (at >= AHCI_PORT_BASE)
        return port < h->ports ? ahci_port_read(&h->port[port], at % AHCI_PORT_SIZE) : 0;
    switch (at) {
    case CAP: return capabilities(h);
    case GHC: return h->ghc;
    case IS: return h->is;
    case PI: return (uint32_t)bits_mask(h->ports);
    case VS: return VERSION;
    default: return 0;
    }
}

static void write32(Ahci *h, unsigned at, uint32_t value)
{
    unsigned port = (at - AHCI_PORT_BASE) / AHCI_PORT_SIZE;

    if (at >= AHCI_PORT_BASE) {
        if (port < h->ports)
            ahci_port_write(&h->port[port], at % AHCI_PORT_SIZE, value);
    } else if (at == GHC) {
        write_ghc(h, value);
    } else if (at == IS) {
        h->is &= ~value;
        ahci_update_irq(h, true);
    }
}

static MemResult bar_read(void *opaque, hwaddr at, unsigned size, uint64_t *value, MemAttrs attrs)
{
    Ahci *h = opaque;

    if (h->guard)
        return MEM_ERROR;
    *value = read32(h, (unsigned)at & ~3u) >> 8 * (at & 3);
    if (size < 4)
        *value &= bits_mask(8 * size);
    return MEM_OK;
}

static MemResult bar_write(void *opaque, hwaddr at, unsigned size, uint64_t value, MemAttrs attrs)
{
    Ahci *h = opaque;

    if (h->guard)
        return MEM_ERROR;
    if (size == 4 && !(at & 3)) /* registers are written whole */
        write32(h, (unsigned)at, (uint32_t)value);
    return MEM_OK;
}
static const MemOps bar_ops = { bar_read, bar_write, 1, 4 };

/* Index and data ports in I/O space (ICH9 15.2: "index/data pair"). */
static MemResult idp_read(void *opaque, hwaddr at, unsigned size, uint64_t *value, MemAttrs attrs)
{
    Ahci *h = opaque;

    *value = 0;
    if (at == IDP_INDEX)
        *value = h->idp_index;
    else if (at == IDP_DATA && !h->guard)
        *value = read32(h, h->idp_index);
    return MEM_OK;
}

static MemResult idp_write(void *opaque, hwaddr at, unsigned size, uint64_t value, MemAttrs attrs)
{
    Ahci *h = opaque;

    if (at == IDP_INDEX)
        h->idp_index = (uint32_t)value & (BAR_SIZE - 4);
    else if (at == IDP_DATA && !h->guard)
        write32(h, h->idp_index, (uint32_t)value);
    return MEM_OK;
}
static const MemOps idp_ops = { idp_read, idp_write, 4, 4 };

/* --- the device --- */

static void init(Device *d) { device_own_domain(d, "ahci"); }

static bool start(Device *d, Error **errp)
{
    Ahci *h = (Ahci *)d;

    h->bar = mem_io_new("ahci", BAR_SIZE, &bar_ops, h, d->domain);
    h->idp = mem_io_new("ahci-idp", IDP_SIZE, &idp_ops, h, d->domain);
    pci_register_bar(&h->pci, BAR_IDP, PCI_BAR_IO, h->idp);
    pci_register_bar(&h->pci, BAR_ABAR, PCI_BAR_MEM, h->bar);
    msi_init(&h->pci, 0x80, 1, true, false);
    /* SATA capability: the pair is in BAR 4, at 10h. */
    uint16_t cap = pci_add_capability(&h->pci, 0x12, 0xa8, 8);
    pci_config_define(&h->pci, cap + 2u, 2, 0x10, 0);
    pci_config_define(&h->pci, cap + 4u, 4, (IDP_INDEX / 4) << 4 | (BAR_IDP + 4), 0);
    pci_config_define(&h->pci, 0x90, 1, 0x40, 0); /* MAP: AHCI mode */
    for (unsigned i = 0; i < h->ports; i++) {
        AhciPort *p = &h->port[i];
        g_autofree char *name = g_strdup_printf("%s.%u", d->id, i);
        p->hba = h;
        p->number = i;
        p->current = -1;
        ide_bus_init(&p->bus, name, d, &ahci_host_ops, p, &h->guard, 1, i);
        p->bus.changed = ahci_port_changed;
    }
    return true;
}

static void reset(Device *d, ResetPhase phase)
{
    Ahci *h = (Ahci *)d;

    if (phase == RESET_ENTER)
        reset_all(h);
    else if (phase == RESET_HOLD)
        ahci_update_irq(h, false);
}

static void saving(Device *d)
{
    Ahci *h = (Ahci *)d;

    for (unsigned i = 0; i < h->ports; i++) {
        if (h->port[i].bus.drive[0])
            ata_drain(h->port[i].bus.drive[0]);
    }
}

static bool loaded(Device *d, Error **errp)
{
    Ahci *h = (Ahci *)d;
    bool ok = h->idp_index < BAR_SIZE && !(h->idp_index & 3);

    for (unsigned i = 0; i < h->ports; i++) {
        AhciPort *p = &h->port[i];
        ok = ok && p->last < AHCI_SLOTS;
        p->current = -1;
    }
    if (!ok)
        error_setf(errp, "%s '%s': the saved state is not one that this controller can be in", d->type->name, d->id);
    return ok;
}

static void stop(Device *d)
{
    Ahci *h = (Ahci *)d;

    for (unsigned i = 0; i < h->ports; i++) {
        if (h->port[i].bus.bus.type)
            bus_fini(&h->port[i].bus.bus);
    }
    mem_region_free(h->bar);
    mem_region_free(h->idp);
}

static const StateField port_state[] = { STATE_U64(AhciPort, clb),   STATE_U64(AhciPort, fb),
                                         STATE_U32(AhciPort, is),    STATE_U32(AhciPort, ie),
                                         STATE_U32(AhciPort, cmd),   STATE_U32(AhciPort, sctl),
                                         STATE_U32(AhciPort, serr),  STATE_U32(AhciPort, sact),
                                         STATE_U32(AhciPort, ci),    STATE_BOOL(AhciPort, halted),
                                         STATE_BOOL(AhciPort, srst), STATE_BOOL(AhciPort, signature_due),
                                         STATE_U8(AhciPort, last),   STATE_END_OF_TABLE };
static const StateField state[] = { STATE_U32(Ahci, ghc), STATE_U32(Ahci, is), STATE_U32(Ahci, idp_index),
                                    STATE_STRUCT_ARRAY(Ahci, port, port_state), STATE_END_OF_TABLE };
static const Property props[] = {
    PROP_(PROP_U32, "ports", Ahci, ports, ICH9_PORTS, "SATA ports: buses ID.0, ID.1, …", .min = 1,
          .max = AHCI_PORTS_MAX - 1),
    DEFINE_PROP_END,
};
static const char *const provides[] = { "IDE", NULL };
static const PciDeviceInfo info = {
    .vendor = PCI_VENDOR_INTEL, .device = 0x2922, .revision = 2, .class_code = 0x010601, .interrupt_pin = 1
};
#define AHCI_TYPE(name_, desc_) { \
    .name = name_, .desc = desc_, .category = "Storage", .size = sizeof(Ahci), .bus = "pci", .provides = provides, \
    .user_creatable = true, \
    .base = &pci_device_type, .props = props, .state = state, .init = init, .start = start, .reset = reset, \
    .saving = saving, .loaded = loaded, \
    .stop = stop, .class_data = &info }
static const DeviceType ich9_type = AHCI_TYPE("ich9-ahci", "SATA controller of ICH9 (AHCI)");
DEVICE_REGISTER(ich9_type)
static const DeviceType ahci_type = AHCI_TYPE("ahci", "SATA controller (AHCI), as ich9-ahci");
DEVICE_REGISTER(ahci_type)
