/* SPDX-License-Identifier: MIT */
/* "PIIX4_PM": power management and SMBus function of the pc machine (Intel 82371AB datasheet, 290562, chapter 7). */
#include "base/bits.h"
#include "hw/acpi/pcihp.h"
#include "hw/i386/host-bridge.h"
#include "hw/i386/smbus.h"
#include "hw/i386/southbridge.h"

enum {
    PMBASE = 0x40, DEVACTB = 0x58, DEVACTB_APMC_EN = 1 << 25, PMREGMISC = 0x80, SMBBASE = 0x90,
        SMBHSTCFG = 0xd2,
    PM_SIZE = 64, GPE_PORT = 0xafe0, APM_PORT = 0xb2,
};

typedef struct Piix4Pm {
    PciDevice pci;
    AcpiPm pm;
    SmbusHost smbus;
    AcpiPciHp pcihp;
    bool root_hotplug;
    uint16_t gpe_sts16, gpe_en16; /* unused upper halves do not exist: mirrored into pm */
    uint8_t apmc, apms;
    bool smm;
    uint64_t ram_size;
    uint64_t pm_at, smbus_at;
} Piix4Pm;

enum { REGION_PM, REGION_GPE, REGION_APM, REGION_SMBUS, REGION_PCIHP };

static void set_sci(Device *dev, bool level)
{
    device_out(dev, 0, level);
}

static void set_smbus_irq(Device *dev, bool level)
{
    device_out(dev, 1, level);
}

static void place(Piix4Pm *p, unsigned region, uint64_t *at, uint64_t want)
{
    MemRegion *r = p->pci.dev.region[region];

    if (*at == want)
        return;
    if (*at != UINT64_MAX)
        mem_unmap(r);
    if (want != UINT64_MAX)
        mem_map(p->pci.bus->io, want, r, 1);
    *at = want;
}

static void update_blocks(Piix4Pm *p)
{
    PciDevice *d = &p->pci;
    uint32_t pm = pci_config_get(d, PMBASE, 4) & 0xffc0,
             smb = pci_config_get(d, SMBBASE, 4) & 0xfff0;

    place(p, REGION_PM, &p->pm_at, (d->config[PMREGMISC] & 1) && pm ? pm : UINT64_MAX);
    place(p, REGION_SMBUS, &p->smbus_at, (d->config[SMBHSTCFG] & 1) && smb ? smb : UINT64_MAX);
}

static void pm_config_wrote(PciDevice *d, uint32_t at, unsigned size)
{
    update_blocks((Piix4Pm *)d);
}

static void apmc_wrote(Device *dev, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Piix4Pm *p = (Piix4Pm *)dev;

    if (value == ACPI_APM_ENABLE || value == ACPI_APM_DISABLE)
        acpi_pm_set_acpi_mode(&p->pm, value == ACPI_APM_ENABLE);
    else if (p->smm && (pci_config_get(&p->pci, DEVACTB, 4) & DEVACTB_APMC_EN))
        southbridge_raise_smi();
}

static void gpe_wrote(Device *dev, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Piix4Pm *p = (Piix4Pm *)dev;

    p->pm.gpe_sts = p->gpe_sts16;
    p->pm.gpe_en = p->gpe_en16;
    acpi_pm_update_sci(&p->pm);
}

static void raise_gpe(Device *dev, unsigned gpe)
{
    Piix4Pm *p = (Piix4Pm *)dev;

    p->gpe_sts16 |= (uint16_t)BIT(gpe);
    p->pm.gpe_sts = p->gpe_sts16;
    acpi_pm_update_sci(&p->pm);
}

static const Reg pm_regs[] = { ACPI_PM_ROWS(Piix4Pm, pm), { .name = NULL } };
static const RegBank pm_bank = { .name = "PMBASE", .size = PM_SIZE, .regs = pm_regs, .min_size = 1,
                                 .max_size = 4, .io_space = true };

static const Reg gpe_regs[] = {
    { .name = "GPE0_STS", .at = 0, .size = 2, .field = offsetof(Piix4Pm, gpe_sts16), .w1c = 0xffff,
        .wrote = gpe_wrote },
    { .name = "GPE0_EN", .at = 2, .size = 2, .field = offsetof(Piix4Pm, gpe_en16),
        .wrote = gpe_wrote },
    { .name = NULL },
};
static const RegBank gpe_bank = { .name = "GPE0", .size = 4, .regs = gpe_regs, .min_size = 1,
                                  .max_size = 4, .io_space = true };

static const Reg apm_regs[] = {
    { .name = "APM_CNT", .at = 0, .size = 1, .field = offsetof(Piix4Pm, apmc),
        .wrote = apmc_wrote },
    { .name = "APM_STS", .at = 1, .size = 1, .field = offsetof(Piix4Pm, apms) },
    { .name = NULL },
};
static const RegBank apm_bank = { .name = "APM", .size = 2, .regs = apm_regs, .min_size = 1,
                                  .max_size = 1, .io_space = true };
static const RegBank *const banks[] = { &pm_bank, &gpe_bank, &apm_bank, NULL };

static bool pm_start(Device *dev, Error **errp)
{
    Piix4Pm *p = (Piix4Pm *)dev;
    PciDevice *d = &p->pci;

    p->pm_at = p->smbus_at = UINT64_MAX;
    pci_config_define(d, PCI_COMMAND, 2, 0, PCI_CMD_IO);
    pci_config_define(d, PCI_STATUS, 2, PCI_STATUS_FAST_B2B | PCI_STATUS_DEVSEL_MEDIUM, 0);
    pci_config_define(d, PMBASE, 4, 1, 0xffc0);
    pci_config_define(d, DEVACTB, 4, p->smm ? 0 : DEVACTB_APMC_EN,
                      p->smm ? 0xffffffff : 0xffffffff & ~DEVACTB_APMC_EN);
    pci_config_define(d, 0x5f, 1, 0, 0xff);  /* resource decode of ports and drives: stored only */
    pci_config_define(d, 0x63, 1, 0, 0xff);
    pci_config_define(d, 0x67, 1, 0x08, 0xff);
    pci_config_define(d, PMREGMISC, 1, 0, 0x01);
    pci_config_define(d, SMBBASE, 4, 1, 0xfff0);
    pci_config_define(d, SMBHSTCFG, 1, 0, 0x0f);
    p->smbus.owner = dev;
    p->smbus.set_irq = set_smbus_irq;
    smbus_add_spd(&p->smbus, p->ram_size);
    dev->region[REGION_SMBUS] =
        mem_io_new("piix4-smbus", SMBUS_IO_SIZE / 2, &smbus_host_ops, &p->smbus, dev->domain);
    mem_map(d->bus->io, GPE_PORT, dev->region[REGION_GPE], 0);
    mem_map(d->bus->io, APM_PORT, dev->region[REGION_APM], 0);
    if (p->root_hotplug) {
        dev->region[REGION_PCIHP] = acpi_pcihp_init(&p->pcihp, dev, d->bus, raise_gpe);
        mem_map(d->bus->io, ACPI_PCIHP_PORT_PC, dev->region[REGION_PCIHP], 0);
    }
    p->pm.raise_gpe = raise_gpe;
    acpi_pm_start(&p->pm, dev, set_sci);
    return true;
}

static void pm_reset(Device *dev, ResetPhase phase)
{
    Piix4Pm *p = (Piix4Pm *)dev;

    if (phase == RESET_ENTER) {
        p->pm.gpe_sts = p->pm.gpe_en = 0;
        acpi_pcihp_reset(&p->pcihp);
        smbus_host_reset(&p->smbus);
        update_blocks(p);
    }
    acpi_pm_reset(&p->pm, phase);
}

static bool pm_loaded(Device *dev, Error **errp)
{
    Piix4Pm *p = (Piix4Pm *)dev;

    p->pm.gpe_sts = p->gpe_sts16;
    p->pm.gpe_en = p->gpe_en16;
    update_blocks(p);
    acpi_pm_loaded(&p->pm);
    return smbus_host_loaded(&p->smbus, errp);
}

static void pm_stop(Device *dev)
{
    Piix4Pm *p = (Piix4Pm *)dev;

    if (p->pcihp.bus)
        p->pcihp.bus->hotplug = NULL;
    acpi_pm_stop(&p->pm);
}

bool piix4_pm_root_hotplug(const PciDevice *pm) { return ((const Piix4Pm *)pm)->root_hotplug; }
AcpiPm *piix4_pm(PciDevice *pm) { return &((Piix4Pm *)pm)->pm; }

static const Property pm_props[] = {
    DEFINE_PROP_BOOL("smm", Piix4Pm, smm, true, "SMIs reach the CPUs"),
    DEFINE_PROP_BOOL("disable_s3", Piix4Pm, pm.disable_s3, false, "no suspend to RAM"),
    DEFINE_PROP_BOOL("disable_s4", Piix4Pm, pm.disable_s4, false, "no suspend to disk"),
    DEFINE_PROP_BOOL("acpi-root-pci-hotplug", Piix4Pm, root_hotplug, true, "devices on the root bus may come and go"),
    DEFINE_PROP_SIZE("ram-size", Piix4Pm, ram_size, 0, "RAM that the SPD EEPROMs describe"),
    DEFINE_PROP_END,
};
static const StateField pm_state[] = {
    ACPI_PM_STATE(Piix4Pm, pm),
    STATE_STRUCT(Piix4Pm, smbus, smbus_host_state),
    ACPI_PCIHP_STATE(Piix4Pm, pcihp),
    STATE_END_OF_TABLE,
};
static const char *const pm_pins[] = { "sci", "smbus", NULL };

static const PciDeviceInfo pm_info = {
    .vendor = PCI_VENDOR_INTEL, .device = 0x7113, .revision = 3,
    .class_code = PCI_CLASS_OTHER_BRIDGE, .interrupt_pin = 1,
    .config_wrote = pm_config_wrote,
};

static const DeviceType pm_type = {
    .name = "PIIX4_PM", .desc = "PIIX4 power management", .category = "Bridge",
    .size = sizeof(Piix4Pm), .bus = "pci",
    .banks = banks, .props = pm_props, .state = pm_state, .out_pins = pm_pins,
    .base = &pci_device_type,
    .start = pm_start, .reset = pm_reset, .loaded = pm_loaded, .stop = pm_stop,
    .class_data = &pm_info,
};
DEVICE_REGISTER(pm_type)
