/* SPDX-License-Identifier: MIT */
/*
 * "PIIX3": PCI-to-ISA bridge of the pc machine: ISA bus, PIRQ routing, reset control (Intel 82371SB datasheet, 290550).
 */
#include "base/bits.h"
#include "hw/i386/host-bridge.h"
#include "hw/i386/southbridge.h"

enum { PIRQRC = 0x60, PIRQRC_DISABLED = 0x80, PIRQS = 4 };

typedef struct Piix3 {
    PciDevice pci;
    IsaBus isa;
    uint8_t reset_control;
    uint8_t pirq_level; /* under the bus's interrupt lock */
    uint32_t driven;
} Piix3;

static void drive_lines(Piix3 *p)
{
    uint32_t want = 0, changed;

    for (unsigned i = 0; i < PIRQS; i++) {
        uint8_t rc = p->pci.config[PIRQRC + i];
        if (!(rc & PIRQRC_DISABLED) && (p->pirq_level & BIT(i)))
            want |= (uint32_t)BIT(rc & 0xf);
    }
    changed = want ^ p->driven;
    p->driven = want;
    for (; changed; changed &= changed - 1) {
        unsigned n = (unsigned)__builtin_ctz(changed);
        device_out(&p->pci.dev, n, want >> n & 1);
    }
}

static void set_pirq(void *opaque, unsigned line, int level)
{
    Piix3 *p = opaque;

    p->pirq_level = (uint8_t)(level ? p->pirq_level | BIT(line) : p->pirq_level & ~BIT(line));
    drive_lines(p);
}

/* Slot 1 pin A is PIRQA; each slot rotates by one. */
static unsigned map_pirq(void *opaque, uint8_t devfn, unsigned pin)
{
    return (pin + PCI_SLOT(devfn) - 1) % PIRQS;
}

static const Irq *pirq_wire(void *opaque, unsigned line)
{
    Piix3 *p = opaque;
    uint8_t rc = p->pci.config[PIRQRC + line];

    return rc & PIRQRC_DISABLED ? NULL : &p->pci.dev.out[rc & 0xf];
}

static const PciIntxOps intx_ops = { .lines = PIRQS, .map = map_pirq, .set = set_pirq, .wire = pirq_wire };

static void piix3_config_wrote(PciDevice *d, uint32_t at, unsigned size)
{
    if (at < PIRQRC + PIRQS && at + size > PIRQRC)
        pci_intx_reroute(d->bus);
}

static uint8_t cf9_read(void *opaque) { return ((Piix3 *)opaque)->reset_control; }

static void cf9_write(void *opaque, uint8_t value)
{
    Piix3 *p = opaque;

    p->reset_control = southbridge_reset_control(p->reset_control, value);
}

/* Reset values of sections 2.1 and 2.2. */
static const struct { uint8_t at, value; } defaults[] = {
    { 0x4c, 0x4d }, { 0x4e, 0x03 }, { 0x69, 0x02 }, { 0x70, 0x80 }, { 0x76, 0x0c }, { 0x77, 0x0c },
    { 0x78, 0x02 }, { 0xa0, 0x08 },
    { 0xa8, 0x0f },
};

static bool piix3_start(Device *dev, Error **errp)
{
    Piix3 *p = (Piix3 *)dev;
    PciDevice *d = &p->pci;
    HostBridge *h = host_bridge_of(d, errp);

    if (!h)
        return false;
    pci_config_define(d, PCI_COMMAND, 2, PCI_CMD_IO | PCI_CMD_MEM | PCI_CMD_MASTER, PCI_CMD_SERR);
    pci_config_define(d, PCI_STATUS, 2, PCI_STATUS_DEVSEL_MEDIUM, 0);
    for (unsigned i = 0; i < ARRAY_LEN(defaults); i++)
        pci_config_define(d, defaults[i].at, 1, defaults[i].value, 0xff);
    for (unsigned i = 0; i < PIRQS; i++)
        pci_config_define(d, PIRQRC + i, 1, PIRQRC_DISABLED, 0x8f);
    isa_bus_init(&p->isa, "isa.0", dev, h->io, h->spaces.system, NULL);
    pci_root_bus_set_intx(&h->bus, &intx_ops, p);
    h->ports.cf9_read = cf9_read;
    h->ports.cf9_write = cf9_write;
    h->ports.cf9_opaque = p;
    return true;
}

static void piix3_reset(Device *dev, ResetPhase phase)
{
    if (phase == RESET_ENTER)
        ((Piix3 *)dev)->reset_control = 0;
    else if (phase == RESET_HOLD)
        pci_intx_reroute(pci_device(dev)->bus);
}

static bool piix3_loaded(Device *dev, Error **errp)
{
    pci_intx_reroute(pci_device(dev)->bus);
    return true;
}

static void piix3_stop(Device *dev)
{
    Piix3 *p = (Piix3 *)dev;

    if (p->isa.bus.type)
        isa_bus_fini(&p->isa);
}


static const StateField piix3_state[] = { STATE_U8(Piix3, reset_control), STATE_END_OF_TABLE };
static const char *const piix3_pins[] = { "gsi*24", NULL };
static const char *const piix3_provides[] = { "isa", NULL };

static const PciDeviceInfo piix3_info = {
    .vendor = PCI_VENDOR_INTEL, .device = 0x7000, .class_code = PCI_CLASS_ISA_BRIDGE,
    .config_wrote = piix3_config_wrote,
};

static const DeviceType piix3_type = {
    .name = "PIIX3", .desc = "PIIX3 ISA bridge", .category = "Bridge", .size = sizeof(Piix3),
    .bus = "pci",
    .provides = piix3_provides, .state = piix3_state, .out_pins = piix3_pins,
    .base = &pci_device_type,
    .start = piix3_start, .reset = piix3_reset, .loaded = piix3_loaded, .stop = piix3_stop,
    .class_data = &piix3_info,
};
DEVICE_REGISTER(piix3_type)
