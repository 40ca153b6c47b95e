/* SPDX-License-Identifier: MIT */
/*
 * "ICH9-LPC": D31:F0 of ICH9: ISA bus, PCI interrupt routing, power management, SMI, reset (Intel ICH9 datasheet,
 * 316972, chapter 13).
 */
#include "base/bits.h"
#include "base/log.h"
#include "hw/core/machine.h"
#include "hw/i386/host-bridge.h"
#include "hw/i386/southbridge.h"
#include "hw/i386/tco.h"
#include "hw/watchdog/watchdog.h"

enum { /* configuration space */
    PMBASE = 0x40, ACPI_CNTL = 0x44, ACPI_CNTL_EN = 0x80, PIRQA_ROUT = 0x60, PIRQE_ROUT = 0x68,
        GEN_PMCON_1 = 0xa0,
    GEN_PMCON_2 = 0xa2, GEN_PMCON_3 = 0xa4, SMI_LOCK = 0x10, RCBA = 0xf0, ROUT_DISABLED = 0x80,
};
enum { /* SMI_EN, SMI_STS: section 13.8.3.8 */
    SMI_GBL_EN = 1, SMI_APMC_EN = 0x20, SMI_TCO_EN = 0x2000, SMI_TCO_LOCK = 0x1000,
};
enum { PIRQS = 8, PM_SIZE = 128, RCRB_SIZE = 0x4000, APM_PORT = 0xb2 };

typedef struct Ich9Lpc {
    PciDevice pci;
    IsaBus isa;
    AcpiPm pm;
    Tco tco;
    uint32_t smi_en, smi_sts;
    uint8_t apmc, apms, reset_control;
    uint16_t dir[7]; /* D25IR .. D31IR */
    uint32_t gcs;
    bool smm, noreboot; /* properties; noreboot: the strap on the speaker pin */
    uint64_t pm_at, rcrb_at; /* mapped now, UINT64_MAX: not */
    GMutex route_lock;       /* below: what drives the interrupt lines */
    uint8_t pirq_level;
    bool sci_level;
    uint32_t driven;
} Ich9Lpc;

/* ---- Interrupt routing ---- */

static unsigned sci_gsi(const Ich9Lpc *l)
{
    static const uint8_t gsi[] = { 9, 10, 11, 9, 20, 21, 9, 9 };

    return gsi[l->pci.config[ACPI_CNTL] & 7];
}

static uint8_t pirq_rout(const Ich9Lpc *l, unsigned pirq)
{
    return l->pci.config[pirq < 4 ? PIRQA_ROUT + pirq : PIRQE_ROUT + pirq - 4];
}

/* Levels of all lines from the sources; only changes go out. */
static void drive_lines(Ich9Lpc *l)
{
    uint32_t want = (uint32_t)l->pirq_level << 16, changed;

    for (unsigned p = 0; p < PIRQS; p++) {
        uint8_t rout = pirq_rout(l, p);
        if (!(rout & ROUT_DISABLED) && (l->pirq_level & BIT(p)))
            want |= (uint32_t)BIT(rout & 0xf);
    }
    if (l->sci_level)
        want |= (uint32_t)BIT(sci_gsi(l));
    changed = want ^ l->driven;
    l->driven = want;
    for (; changed; changed &= changed - 1) {
        unsigned n = (unsigned)__builtin_ctz(changed);
        device_out(&l->pci.dev, n, want >> n & 1);
    }
}

static void set_sci(Device *dev, bool level)
{
    Ich9Lpc *l = (Ich9Lpc *)dev;

    g_mutex_lock(&l->route_lock);
    l->sci_level = level;
    drive_lines(l);
    g_mutex_unlock(&l->route_lock);
}

static void set_pirq(void *opaque, unsigned line, int level)
{
    Ich9Lpc *l = opaque;

    g_mutex_lock(&l->route_lock);
    l->pirq_level = (uint8_t)(level ? l->pirq_level | BIT(line) : l->pirq_level & ~BIT(line));
    drive_lines(l);
    g_mutex_unlock(&l->route_lock);
}

/* Devices 25..31 by the DnnIR registers (section 10.1.42); the others, behind the root complex, on PIRQE..PIRQH. */
static unsigned map_pirq(void *opaque, uint8_t devfn, unsigned pin)
{
    Ich9Lpc *l = opaque;
    unsigned slot = PCI_SLOT(devfn);

    if (slot < 25)
        return (slot + pin) % PCI_PINS + 4;
    return (unsigned)bits_get(l->dir[slot - 25], pin * 4, 3);
}

/* A PIRQ that is routed to the 8259 pair, too, drives two wires. */
static const Irq *pirq_wire(void *opaque, unsigned line)
{
    Ich9Lpc *l = opaque;

    return pirq_rout(l, line) & ROUT_DISABLED ? &l->pci.dev.out[16 + line] : NULL;
}

static const PciIntxOps intx_ops = { .lines = PIRQS, .map = map_pirq, .set = set_pirq, .wire = pirq_wire };

static void reroute(Ich9Lpc *l)
{
    pci_intx_reroute(l->pci.bus);
    set_sci(&l->pci.dev, l->sci_level);
}

/* ---- Mapping of the register blocks ---- */

static void place(MemRegion *into, MemRegion *r, uint64_t *at, uint64_t want)
{
    if (*at == want)
        return;
    if (*at != UINT64_MAX)
        mem_unmap(r);
    if (want != UINT64_MAX)
        mem_map(into, want, r, 1);
    *at = want;
}

uint16_t ich9_lpc_pmbase(const PciDevice *lpc)
{
    return (uint16_t)(pci_config_get(lpc, PMBASE, 4) & 0xff80);
}

enum { REGION_PM, REGION_APM, REGION_RCRB };

static void update_blocks(Ich9Lpc *l)
{
    PciDevice *d = &l->pci;
    uint32_t rcba = pci_config_get(d, RCBA, 4);
    uint16_t pmbase = ich9_lpc_pmbase(d);
    bool pm_on = (d->config[ACPI_CNTL] & ACPI_CNTL_EN) && pmbase;

    place(l->isa.io, d->dev.region[REGION_PM], &l->pm_at, pm_on ? pmbase : UINT64_MAX);
    place(l->isa.memory, d->dev.region[REGION_RCRB], &l->rcrb_at,
          rcba & 1 ? rcba & ~(RCRB_SIZE - 1u) : UINT64_MAX);
}

static void lpc_config_wrote(PciDevice *d, uint32_t at, unsigned size)
{
    Ich9Lpc *l = (Ich9Lpc *)d;

    if (at < PIRQE_ROUT + 4 && at + size > PMBASE)
        update_blocks(l);
    if (at < RCBA + 4 && at + size > RCBA)
        update_blocks(l);
    if (at < PIRQE_ROUT + 4 && at + size > ACPI_CNTL)
        reroute(l);
    if ((d->config[GEN_PMCON_1] & SMI_LOCK) && at < GEN_PMCON_2 && at + size > GEN_PMCON_1)
        d->wmask[GEN_PMCON_1] &= (uint8_t)~SMI_LOCK; /* sticks until reset */
}

/* ---- SMI, APM, reset ---- */

static void apmc_wrote(Device *dev, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Ich9Lpc *l = (Ich9Lpc *)dev;

    if (value == ACPI_APM_ENABLE || value == ACPI_APM_DISABLE) {
        acpi_pm_set_acpi_mode(&l->pm, value == ACPI_APM_ENABLE);
        return;
    }
    if ((l->smi_en & (SMI_GBL_EN | SMI_APMC_EN)) == (SMI_GBL_EN | SMI_APMC_EN) && l->smm) {
        l->smi_sts |= SMI_APMC_EN;
        southbridge_raise_smi();
    }
}

/* With SMM switched off firmware finds APMC_EN set, which tells it that there is nothing to set up. */
static void smi_en_wrote(Device *dev, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Ich9Lpc *l = (Ich9Lpc *)dev;

    if (!l->smm)
        l->smi_en |= SMI_APMC_EN;
    if (l->pci.config[GEN_PMCON_1] & SMI_LOCK)
        l->smi_en = (l->smi_en & ~(uint32_t)SMI_GBL_EN) | ((uint32_t)old & SMI_GBL_EN);
    if (l->tco.tco1_cnt & SMI_TCO_LOCK)
        l->smi_en = (l->smi_en & ~(uint32_t)SMI_TCO_EN) | ((uint32_t)old & SMI_TCO_EN);
}

static void tco_expired(Device *dev, bool second)
{
    Ich9Lpc *l = (Ich9Lpc *)dev;

    if (!second && (l->smi_en & SMI_TCO_EN) && l->smm)
        southbridge_raise_smi();
    if (second && !(l->gcs & TCO_GCS_NO_REBOOT) && !l->noreboot)
        watchdog_expired(dev);
}

static uint8_t cf9_read(void *opaque) { return ((Ich9Lpc *)opaque)->reset_control; }

static void cf9_write(void *opaque, uint8_t value)
{
    Ich9Lpc *l = opaque;

    l->reset_control = southbridge_reset_control(l->reset_control, value);
}

static void dir_wrote(Device *dev, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    pci_intx_reroute(pci_device(dev)->bus);
}

/* ---- Registers ---- */

static const Reg pm_regs[] = {
    ACPI_PM_ROWS(Ich9Lpc, pm),
    { .name = "GPE0_STS", .at = 0x20, .size = 8, .field = offsetof(Ich9Lpc, pm.gpe_sts),
        .w1c = UINT64_MAX,
      .wrote = acpi_pm_gpe_sts_wrote },
    { .name = "GPE0_EN", .at = 0x28, .size = 8, .field = offsetof(Ich9Lpc, pm.gpe_en),
        .wrote = acpi_pm_gpe_en_wrote },
    { .name = "SMI_EN", .at = 0x30, .size = 4, .field = offsetof(Ich9Lpc, smi_en),
        .wrote = smi_en_wrote },
    { .name = "SMI_STS", .at = 0x34, .size = 4, .field = offsetof(Ich9Lpc, smi_sts),
        .w1c = UINT32_MAX },
    TCO_ROWS(Ich9Lpc, tco),
    { .name = NULL },
};
static const RegBank pm_bank = { .name = "PMBASE", .size = PM_SIZE, .regs = pm_regs, .min_size = 1,
                                 .max_size = 4, .io_space = true };

static const Reg apm_regs[] = {
    { .name = "APM_CNT", .at = 0, .size = 1, .field = offsetof(Ich9Lpc, apmc),
        .wrote = apmc_wrote },
    { .name = "APM_STS", .at = 1, .size = 1, .field = offsetof(Ich9Lpc, apms) },
    { .name = NULL },
};
static const RegBank apm_bank = { .name = "APM", .size = 2, .regs = apm_regs, .min_size = 1,
                                  .max_size = 1, .io_space = true };

#define DIR_ROW(n, offset) { .name = "D" #n "IR", .at = offset, .size = 2, .field = offsetof(Ich9Lpc, dir[n - 25]), \
    .reset = 0x3210, .ro = 0x8888, .wrote = dir_wrote }
static const Reg rcrb_regs[] = {
    DIR_ROW(31, 0x3140), DIR_ROW(30, 0x3142), DIR_ROW(29, 0x3144), DIR_ROW(28, 0x3146), DIR_ROW(27, 0x3148),
    DIR_ROW(26, 0x314c), DIR_ROW(25, 0x3150),
    { .name = "GCS", .at = 0x3410, .size = 4, .field = offsetof(Ich9Lpc, gcs),
        .reset = TCO_GCS_NO_REBOOT },
    { .name = NULL },
};
static const RegBank rcrb_bank = { .name = "RCRB", .size = RCRB_SIZE, .regs = rcrb_regs,
                                   .min_size = 1, .max_size = 4 };
static const RegBank *const banks[] = { &pm_bank, &apm_bank, &rcrb_bank, NULL };

/* ---- Life ---- */

static void define_config(PciDevice *d)
{
    pci_config_define(d, PCI_COMMAND, 2, PCI_CMD_IO | PCI_CMD_MEM | PCI_CMD_MASTER,
                      PCI_CMD_SERR | PCI_CMD_PARITY);
    pci_config_define(d, PCI_STATUS, 2, PCI_STATUS_DEVSEL_MEDIUM, 0);
    pci_config_define(d, PMBASE, 4, 1, 0xff80);
    pci_config_define(d, ACPI_CNTL, 1, 0, ACPI_CNTL_EN | 7);
    for (unsigned i = 0; i < 4; i++) {
        pci_config_define(d, PIRQA_ROUT + i, 1, ROUT_DISABLED, 0x8f);
        pci_config_define(d, PIRQE_ROUT + i, 1, ROUT_DISABLED, 0x8f);
    }
    pci_config_define(d, 0x80, 4, 0, 0xffffffff); /* LPC I/O decode ranges */
    pci_config_define(d, GEN_PMCON_1, 2, 0, 0x37);
    pci_config_define(d, GEN_PMCON_2, 2, 0, 0xff);
    pci_config_define(d, GEN_PMCON_3, 2, 0, 0xffff);
    pci_config_define(d, 0xdc, 1, 0, 0x03); /* BIOS_CNTL */
    pci_config_define(d, RCBA, 4, 0, 0xffffc001);
}

static bool lpc_start(Device *dev, Error **errp)
{
    Ich9Lpc *l = (Ich9Lpc *)dev;
    HostBridge *h = host_bridge_of(&l->pci, errp);

    if (!h)
        return false;
    l->pm_at = l->rcrb_at = UINT64_MAX;
    g_mutex_init(&l->route_lock);
    define_config(&l->pci);
    isa_bus_init(&l->isa, "isa.0", dev, h->io, h->spaces.system, NULL);
    mem_map(h->io, APM_PORT, dev->region[REGION_APM], 0);
    acpi_pm_start(&l->pm, dev, set_sci);
    tco_start(&l->tco, dev, tco_expired);
    pci_root_bus_set_intx(&h->bus, &intx_ops, l);
    h->ports.cf9_read = cf9_read;
    h->ports.cf9_write = cf9_write;
    h->ports.cf9_opaque = l;
    return true;
}

/* SeaBIOS does not set these up again when it resumes from S3. */
static void keep_blocks(Ich9Lpc *l)
{
    PciDevice *d = &l->pci;

    if (l->pm_at != UINT64_MAX) {
        pci_config_set(d, PMBASE, 4, (uint32_t)l->pm_at | 1);
        d->config[ACPI_CNTL] = ACPI_CNTL_EN;
    }
    if (l->rcrb_at != UINT64_MAX)
        pci_config_set(d, RCBA, 4, (uint32_t)l->rcrb_at | 1);
}

static void lpc_reset(Device *dev, ResetPhase phase)
{
    Ich9Lpc *l = (Ich9Lpc *)dev;

    if (phase == RESET_ENTER) {
        l->pci.wmask[GEN_PMCON_1] |= SMI_LOCK;
        l->reset_control = 0;
        if (!l->smm)
            l->smi_en = SMI_APMC_EN;
        if (l->pm.suspended)
            keep_blocks(l);
        update_blocks(l);
    } else if (phase == RESET_HOLD) {
        reroute(l);
    }
    acpi_pm_reset(&l->pm, phase);
    tco_reset(&l->tco, phase);
}

static bool lpc_loaded(Device *dev, Error **errp)
{
    Ich9Lpc *l = (Ich9Lpc *)dev;

    for (unsigned i = 0; i < ARRAY_LEN(l->dir); i++)
        l->dir[i] &= 0x7777;
    update_blocks(l);
    acpi_pm_loaded(&l->pm);
    tco_loaded(&l->tco);
    reroute(l);
    return true;
}

static void lpc_stop(Device *dev)
{
    Ich9Lpc *l = (Ich9Lpc *)dev;

    acpi_pm_stop(&l->pm);
    tco_stop(&l->tco);
    if (!l->isa.bus.type)
        return;
    isa_bus_fini(&l->isa);
    g_mutex_clear(&l->route_lock);
}

AcpiPm *ich9_lpc_pm(PciDevice *lpc) { return &((Ich9Lpc *)lpc)->pm; }

static const Property lpc_props[] = {
    DEFINE_PROP_BOOL("smm", Ich9Lpc, smm, true, "SMIs reach the CPUs"),
    DEFINE_PROP_BOOL("noreboot", Ich9Lpc, noreboot, true, "the TCO watchdog does nothing, whatever the guest sets"),
    DEFINE_PROP_BOOL("disable_s3", Ich9Lpc, pm.disable_s3, false, "no suspend to RAM"),
    DEFINE_PROP_BOOL("disable_s4", Ich9Lpc, pm.disable_s4, false, "no suspend to disk"),
    DEFINE_PROP_END,
};
static const StateField lpc_state[] = {
    ACPI_PM_STATE(Ich9Lpc, pm), TCO_STATE(Ich9Lpc, tco), STATE_U8(Ich9Lpc, reset_control), STATE_END_OF_TABLE,
};
static const char *const lpc_pins[] = { "gsi*24", NULL };
static const char *const lpc_provides[] = { "isa", NULL };

static const PciDeviceInfo lpc_info = {
    .vendor = PCI_VENDOR_INTEL, .device = 0x2918, .revision = 2, .class_code = PCI_CLASS_ISA_BRIDGE,
    .config_wrote = lpc_config_wrote,
};

static const DeviceType lpc_type = {
    .name = "ICH9-LPC", .desc = "ICH9 LPC bridge", .category = "Bridge", .size = sizeof(Ich9Lpc),
    .bus = "pci",
    .provides = lpc_provides, .banks = banks, .props = lpc_props, .state = lpc_state,
    .out_pins = lpc_pins,
    .base = &pci_device_type, .start = lpc_start, .reset = lpc_reset, .loaded = lpc_loaded,
    .stop = lpc_stop,
    .class_data = &lpc_info,
};
DEVICE_REGISTER(lpc_type)
