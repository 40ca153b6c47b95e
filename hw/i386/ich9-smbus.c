/* SPDX-License-Identifier: MIT */
/* "ICH9-SMB": the SMBus function of ICH9, D31:F3 (Intel ICH9 datasheet, 316972, section 19.1). */
#include "base/bits.h"
#include "hw/i386/smbus.h"
#include "hw/pci/pci.h"

enum { SMB_BASE_BAR = 4, HOSTC = 0x40, HOSTC_HST_EN = 1 };

typedef struct Ich9Smbus {
    PciDevice pci;
    SmbusHost host;
    MemRegion *region;
    uint64_t ram_size; /* what the modules' EEPROMs describe */
} Ich9Smbus;

static void smb_config_wrote(PciDevice *d, uint32_t at, unsigned size)
{
    mem_set_enabled(((Ich9Smbus *)d)->region, d->config[HOSTC] & HOSTC_HST_EN);
}

static void smb_set_irq(Device *dev, bool level)
{
    pci_set_irq(pci_device(dev), level);
}

static bool smb_start(Device *dev, Error **errp)
{
    Ich9Smbus *s = (Ich9Smbus *)dev;

    s->host.owner = dev;
    s->host.set_irq = smb_set_irq;
    smbus_add_spd(&s->host, s->ram_size);
    s->region = dev->region[0] =
        mem_io_new("ich9-smbus", SMBUS_IO_SIZE, &smbus_host_ops, &s->host, dev->domain);
    mem_set_enabled(s->region, false);
    pci_config_define(&s->pci, PCI_STATUS, 2, PCI_STATUS_FAST_B2B | PCI_STATUS_DEVSEL_MEDIUM, 0);
    pci_config_define(&s->pci, HOSTC, 1, 0, 0x07);
    pci_register_bar(&s->pci, SMB_BASE_BAR, PCI_BAR_IO, s->region);
    return true;
}

static void smb_reset(Device *dev, ResetPhase phase)
{
    Ich9Smbus *s = (Ich9Smbus *)dev;

    if (phase != RESET_ENTER)
        return;
    smbus_host_reset(&s->host);
    mem_set_enabled(s->region, false);
}

static bool smb_loaded(Device *dev, Error **errp)
{
    Ich9Smbus *s = (Ich9Smbus *)dev;

    mem_set_enabled(s->region, s->pci.config[HOSTC] & HOSTC_HST_EN);
    return smbus_host_loaded(&s->host, errp);
}

static const Property smb_props[] = {
    DEFINE_PROP_SIZE("ram-size", Ich9Smbus, ram_size, 0, "RAM that the SPD EEPROMs describe"),
    DEFINE_PROP_END,
};
static const StateField smb_state[] = { STATE_STRUCT(Ich9Smbus, host, smbus_host_state),
                                        STATE_END_OF_TABLE };

static const PciDeviceInfo smb_info = {
    .vendor = PCI_VENDOR_INTEL, .device = 0x2930, .revision = 2, .class_code = PCI_CLASS_SMBUS,
    .interrupt_pin = 1,
    .config_wrote = smb_config_wrote,
};

static const DeviceType ich9_smb_type = {
    .name = "ICH9-SMB", .desc = "ICH9 SMBus controller", .category = "Bridge",
    .size = sizeof(Ich9Smbus), .bus = "pci",
    .props = smb_props, .state = smb_state, .base = &pci_device_type, .start = smb_start,
    .reset = smb_reset,
    .loaded = smb_loaded, .class_data = &smb_info,
};
DEVICE_REGISTER(ich9_smb_type)
