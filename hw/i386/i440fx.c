/* SPDX-License-Identifier: MIT */
/* "i440FX": the PCI and memory controller of the pc machine (Intel 82441FX datasheet, 290549, chapter 3.2). */
#include "base/bits.h"
#include "hw/i386/host-bridge.h"

enum {
    I440FX_PAM0 = 0x59, I440FX_SMRAM = 0x72,
    SMRAM_D_OPEN = 0x40, SMRAM_D_CLS = 0x20, SMRAM_D_LCK = 0x10, SMRAM_G_SMRAME = 0x08,
        SMRAM_BASE_SEG = 0x02,
};

typedef struct I440fx {
    PciDevice pci;
    Shadow shadow;
} I440fx;

static void set_smram_mask(I440fx *f)
{
    f->pci.wmask[I440FX_SMRAM] =
        f->shadow.spaces.smm ? SMRAM_D_OPEN | SMRAM_D_CLS | SMRAM_D_LCK | SMRAM_G_SMRAME : 0;
}

static void update_smram(I440fx *f)
{
    PciDevice *d = &f->pci;
    uint8_t v = d->config[I440FX_SMRAM];

    if (v & SMRAM_D_LCK) {
        v = d->config[I440FX_SMRAM] &= (uint8_t)~SMRAM_D_OPEN;
        d->wmask[I440FX_SMRAM] = SMRAM_D_CLS;
    }
    shadow_set_smram(&f->shadow, v & SMRAM_G_SMRAME, (v & SMRAM_D_OPEN) && !(v & SMRAM_D_CLS));
}

static void i440fx_config_wrote(PciDevice *d, uint32_t at, unsigned size)
{
    I440fx *f = (I440fx *)d;

    if (at + size > I440FX_PAM0 && at < I440FX_PAM0 + 7)
        shadow_set_pam(&f->shadow, d->config + I440FX_PAM0);
    if (at + size > I440FX_SMRAM && at <= I440FX_SMRAM)
        update_smram(f);
}

static bool i440fx_start(Device *dev, Error **errp)
{
    I440fx *f = (I440fx *)dev;
    PciDevice *d = &f->pci;
    HostBridge *h = host_bridge_of(d, errp);

    if (!h)
        return false;
    shadow_start(&f->shadow, &h->spaces);
    pci_config_define(d, PCI_COMMAND, 2, PCI_CMD_MEM | PCI_CMD_MASTER, PCI_CMD_SERR);
    pci_config_define(d, PCI_STATUS, 2, PCI_STATUS_FAST_B2B | PCI_STATUS_DEVSEL_MEDIUM, 0);
    pci_config_define(d, I440FX_PAM0, 1, 0, 0x30);
    for (unsigned i = 1; i < 7; i++)
        pci_config_define(d, I440FX_PAM0 + i, 1, 0, 0x33);
    pci_config_define(d, I440FX_SMRAM, 1, SMRAM_BASE_SEG, 0);
    set_smram_mask(f);
    return true;
}

static void i440fx_refresh(I440fx *f, bool resuming)
{
    set_smram_mask(f);
    shadow_reset_pam(&f->shadow, f->pci.config + I440FX_PAM0, resuming);
    update_smram(f);
}

static void i440fx_reset(Device *dev, ResetPhase phase)
{
    if (phase == RESET_ENTER)
        i440fx_refresh((I440fx *)dev, host_bridge_of(pci_device(dev), NULL)->resuming);
}

static bool i440fx_loaded(Device *dev, Error **errp)
{
    i440fx_refresh((I440fx *)dev, false);
    return true;
}

static void i440fx_stop(Device *dev)
{
    shadow_stop(&((I440fx *)dev)->shadow);
}

static const PciDeviceInfo i440fx_info = {
    .vendor = PCI_VENDOR_INTEL, .device = 0x1237, .revision = 2,
    .class_code = PCI_CLASS_HOST_BRIDGE,
    .config_wrote = i440fx_config_wrote,
};

static const DeviceType i440fx_type = {
    .name = "i440FX", .desc = "i440FX PCI and memory controller", .category = "Bridge",
    .size = sizeof(I440fx), .bus = "pci",
    .base = &pci_device_type, .start = i440fx_start, .reset = i440fx_reset, .loaded = i440fx_loaded,
    .stop = i440fx_stop,
    .class_data = &i440fx_info,
};
DEVICE_REGISTER(i440fx_type)
