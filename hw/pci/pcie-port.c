/* SPDX-License-Identifier: MIT */
/* "pcie-root-port": a slot with native hot plug (PCIe 4.0 sections 6.7 and 7.5.3.9 to 7.5.3.11). */
#include "base/bits.h"
#include "base/trace.h"
#include "hw/pci/pci-internal.h"

enum { /* from the PCI Express capability on */
    EXP_FLAGS = 2, EXP_LINK_STATUS = 18, EXP_SLOT_CAP = 20, EXP_SLOT_CONTROL = 24, EXP_SLOT_STATUS = 26,
    FLAGS_SLOT = 1 << 8, LINK_ACTIVE = 1 << 13,
};
enum { /* Slot Capabilities */
       CAP_BUTTON = 1 << 0,
       CAP_POWER = 1 << 1,
       CAP_ATTENTION_LED = 1 << 3,
       CAP_POWER_LED = 1 << 4,
       CAP_SURPRISE = 1 << 5,
       CAP_HOTPLUG = 1 << 6,
       CAP_INTERLOCK = 1 << 17,
       CAP_NUMBER_SHIFT = 19,
};
enum { /* Slot Control; bits 0 to 4 enable the interrupts of the status bits of the same place */
       CTL_HOTPLUG_IRQ = 1 << 5,
       CTL_ATTENTION_LED_OFF = 3 << 6,
       CTL_POWER_LED = 3 << 8,
       CTL_POWER_LED_ON = 1 << 8,
       CTL_POWER_LED_BLINK = 2 << 8,
       CTL_POWER_LED_OFF = 3 << 8,
       CTL_POWER_OFF = 1 << 10,
       CTL_INTERLOCK = 1 << 11,
       CTL_LINK_IRQ = 1 << 12,
       CTL_WRITABLE = 0x17ff,
};
enum { /* Slot Status */
       STA_BUTTON = 1 << 0,
       STA_PRESENCE_CHANGED = 1 << 3,
       STA_COMMAND_DONE = 1 << 4,
       STA_PRESENT = 1 << 6,
       STA_LOCKED = 1 << 7,
       STA_LINK_CHANGED = 1 << 8,
       STA_EVENTS = 0x11f,
};

static uint32_t slot_reg(const PciBridge *b, unsigned at) { return b->pci.cap_express + at; }
static uint16_t get(const PciBridge *b, unsigned at) { return (uint16_t)pci_config_get(&b->pci, slot_reg(b, at), 2); }
static void set(PciBridge *b, unsigned at, uint16_t value) { pci_config_set(&b->pci, slot_reg(b, at), 2, value); }

/* Section 6.7.3.4: one interrupt for all events that are enabled; an edge for messages, a level for INTx. */
static void update_irq(PciBridge *b)
{
    uint16_t ctl = get(b, EXP_SLOT_CONTROL), sta = get(b, EXP_SLOT_STATUS);
    bool level = (ctl & CTL_HOTPLUG_IRQ) && ((sta & ctl & 0x1f) || ((sta & STA_LINK_CHANGED) && (ctl & CTL_LINK_IRQ)));
    bool rises = level && !b->hp_level;

    b->hp_level = level;
    if (msix_enabled(&b->pci)) {
        if (rises)
            msix_notify(&b->pci, 0);
    } else {
        pci_set_irq(&b->pci, level);
    }
}

static void event(PciBridge *b, uint16_t bits)
{
    set(b, EXP_SLOT_STATUS, get(b, EXP_SLOT_STATUS) | bits);
    update_irq(b);
}

static void set_present(PciBridge *b, bool present)
{
    uint16_t sta = get(b, EXP_SLOT_STATUS), link = get(b, EXP_LINK_STATUS);

    set(b, EXP_SLOT_STATUS, (uint16_t)(present ? sta | STA_PRESENT : sta & ~STA_PRESENT));
    set(b, EXP_LINK_STATUS, (uint16_t)(present ? link | LINK_ACTIVE : link & ~LINK_ACTIVE));
}

/* ---- Devices come and go ---- */

static void plugged(void *opaque, PciDevice *d)
{
    PciBridge *b = opaque;

    set_present(b, true);
    event(b, STA_PRESENCE_CHANGED | STA_BUTTON);
}

static bool ask(void *opaque, PciDevice *d, Error **errp)
{
    PciBridge *b = opaque;
    uint16_t ctl = get(b, EXP_SLOT_CONTROL);

    if ((ctl & CTL_POWER_LED) == CTL_POWER_LED_BLINK) {
        error_setf(errp,
                   "device '%s': the guest is busy with its slot (the power indicator of '%s' blinks); try again in "
                   "some seconds",
                   d->dev.id, b->pci.dev.id);
        return false;
    }
    if ((ctl & CTL_POWER_OFF) && (ctl & CTL_POWER_LED) == CTL_POWER_LED_OFF) { /* not in use */
        pci_slot_unplugged(&b->secondary, 0);
        set_present(b, false);
        event(b, STA_PRESENCE_CHANGED);
    } else {
        event(b, STA_BUTTON);
    }
    return true;
}

static const PciHotplug native = { .plugged = plugged, .ask = ask };

/* The guest takes the power away and switches the indicator off: that is its consent. */
static void power_changed(PciBridge *b, uint16_t old, uint16_t ctl)
{
    bool off = (ctl & CTL_POWER_OFF) && (ctl & CTL_POWER_LED) == CTL_POWER_LED_OFF;
    bool was_off = (old & CTL_POWER_OFF) && (old & CTL_POWER_LED) == CTL_POWER_LED_OFF;

    if (!off || was_off || !(get(b, EXP_SLOT_STATUS) & STA_PRESENT))
        return;
    TRACE(pcie_slot_ejected, "%s", b->pci.dev.id);
    pci_slot_unplugged(&b->secondary, 0);
    set_present(b, false);
    event(b, STA_PRESENCE_CHANGED);
}

static void port_config_wrote(PciDevice *d, uint32_t at, unsigned size)
{
    PciBridge *b = (PciBridge *)d;

    pci_bridge_config_wrote(d, at, size);
    if (!b->hotplug || !pci_overlaps(at, size, slot_reg(b, EXP_SLOT_CONTROL), 4))
        return;
    if (pci_overlaps(at, size, slot_reg(b, EXP_SLOT_CONTROL), 2)) {
        uint16_t ctl = get(b, EXP_SLOT_CONTROL), old = b->slot_control;
        if (ctl & CTL_INTERLOCK)
            set(b, EXP_SLOT_STATUS, get(b, EXP_SLOT_STATUS) ^ STA_LOCKED);
        ctl &= (uint16_t)~CTL_INTERLOCK; /* reads as 0 */
        set(b, EXP_SLOT_CONTROL, ctl);
        b->slot_control = ctl;
        power_changed(b, old, ctl);
        event(b, STA_COMMAND_DONE);
    }
    update_irq(b);
}

/* ---- Life ---- */

static void define_slot(PciBridge *b)
{
    PciDevice *d = &b->pci;
    uint32_t cap = (uint32_t)b->slot << CAP_NUMBER_SHIFT;

    if (b->hotplug)
        cap |= CAP_BUTTON | CAP_POWER | CAP_ATTENTION_LED | CAP_POWER_LED | CAP_SURPRISE | CAP_HOTPLUG | CAP_INTERLOCK;
    pci_config_define(d, slot_reg(b, EXP_FLAGS), 2, get(b, EXP_FLAGS) | (uint32_t)FLAGS_SLOT, 0);
    pci_config_define(d, slot_reg(b, EXP_SLOT_CAP), 4, cap, 0);
    pci_config_define(d, slot_reg(b, EXP_SLOT_CONTROL), 2, 0, b->hotplug ? CTL_WRITABLE | CTL_INTERLOCK : 0);
    pci_config_define_w1c(d, slot_reg(b, EXP_SLOT_STATUS), 2, STA_EVENTS);
}

static bool root_port_start(Device *dev, Error **errp)
{
    PciBridge *b = (PciBridge *)dev;
    PciDevice *d = &b->pci;
    uint16_t at;

    if (!d->bus->express || d->bus->bridge) {
        error_setf(errp,
                   "device '%s': a pcie-root-port needs a PCI Express root bus, '%s' is none (-M "
                   "q35 has one)",
                   dev->id, d->bus->bus.name);
        return false;
    }
    at = pci_add_capability(d, PCI_CAP_SSVID, 0x40, 8);
    pci_config_define(d, at + 4, 4, 0, 0);
    pcie_cap_init(d, 0x54, PCIE_ROOT_PORT, b->port);
    define_slot(b);
    pci_bridge_make_bus(b);
    if (b->hotplug) {
        b->secondary.hotplug = &native;
        b->secondary.hotplug_opaque = b;
    }
    return msix_init_exclusive_bar(d, 1, 0, errp);
}

/* A slot with a device is on, one without is off. */
static void port_reset(Device *dev, ResetPhase phase)
{
    PciBridge *b = (PciBridge *)dev;
    bool present = pci_slot_occupied(&b->secondary, 0);

    pci_bridge_reset(dev, phase);
    if (phase != RESET_ENTER)
        return;
    b->hp_level = false;
    set_present(b, present);
    if (b->hotplug)
        set(b, EXP_SLOT_CONTROL,
            CTL_ATTENTION_LED_OFF | (present ? CTL_POWER_LED_ON : CTL_POWER_OFF | CTL_POWER_LED_OFF));
    b->slot_control = get(b, EXP_SLOT_CONTROL);
}

static bool port_loaded(Device *dev, Error **errp)
{
    PciBridge *b = (PciBridge *)dev;

    b->slot_control = get(b, EXP_SLOT_CONTROL);
    set_present(b, pci_slot_occupied(&b->secondary, 0));
    return pci_bridge_loaded(dev, errp);
}

static const Property root_port_props[] = {
    DEFINE_PROP_U8("port", PciBridge, port, 0, "link number"),
    DEFINE_PROP_U8("chassis", PciBridge, chassis, 0, "chassis number"),
    DEFINE_PROP_U8("slot", PciBridge, slot, 0, "slot number"),
    DEFINE_PROP_BOOL("hotplug", PciBridge, hotplug, true, "devices may come and go while the machine runs"),
    DEFINE_PROP_END,
};
static const StateField root_port_state[] = { STATE_BOOL(PciBridge, hp_level), STATE_END_OF_TABLE };

static const PciDeviceInfo root_port_info = {
    .vendor = PCI_VENDOR_REDHAT, .device = 0x000c, .class_code = PCI_CLASS_PCI_BRIDGE,
    .interrupt_pin = 1, .bridge = true,
    .express = true, .config_wrote = port_config_wrote,
};

static const DeviceType root_port_type = {
    .name = "pcie-root-port", .desc = "PCI Express root port", .category = "Bridge",
    .size = sizeof(PciBridge), .bus = "pci",
    .provides = pci_bridge_provides, .user_creatable = true, .props = root_port_props, .state = root_port_state,
    .base = &pci_device_type,
    .start = root_port_start, .reset = port_reset, .loaded = port_loaded, .stop = pci_bridge_stop,
    .class_data = &root_port_info,
};
DEVICE_REGISTER(root_port_type)
