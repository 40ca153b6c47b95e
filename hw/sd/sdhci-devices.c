/* SPDX-License-Identifier: MIT */
/* SD host controllers: "sdhci-pci", "generic-sdhci" (Zynq, BCM2835's Arasan) and "imx-usdhc". */
#include "hw/core/machine.h"
#include "hw/pci/pci.h"
#include "hw/sd/sdhci.h"

/* Timeout and base clock 52 MHz, ADMA2, high speed, SDMA, 3.3 V and 1.8 V; on PCI 64-bit addresses (2.2.25) */
enum { CAPABILITIES = 0x056834b4, CAPABILITIES_64 = 0x156834b4 };

typedef struct SdhciPci {
    PciDevice pci; /* always first */
    Sdhci host;
} SdhciPci;

static AddressSpace *pci_space(Device *d)
{
    return pci_config_get(pci_device(d), PCI_COMMAND, 2) & PCI_CMD_MASTER ? pci_dma_space(pci_device(d)) : NULL;
}
static void pci_irq(Device *d, int level) { pci_set_irq(pci_device(d), level); }

static void pci_init(Device *d) { device_own_domain(d, "sdhci"); }
static bool pci_start(Device *d, Error **errp)
{
    SdhciPci *p = (SdhciPci *)d;
    p->host.space = pci_space;
    p->host.irq = pci_irq;
    d->region[0] = mem_io_new("sdhci", SDHCI_SIZE, &sdhci_ops, &p->host, d->domain);
    pci_register_bar(&p->pci, 0, PCI_BAR_MEM, d->region[0]);
    sdhci_start(&p->host, d, true);
    return true;
}
static void pci_stop(Device *d) { sdhci_stop(&((SdhciPci *)d)->host); }
static void pci_reset(Device *d, ResetPhase phase) { sdhci_reset(&((SdhciPci *)d)->host, phase); }
static bool pci_loaded(Device *d, Error **errp) { return sdhci_loaded(&((SdhciPci *)d)->host, errp); }

static const char *const makes_sd[] = { "sd", NULL };
static const Property pci_props[] = {
    { .name = "capareg",
      .kind = PROP_U64,
      .offset = offsetof(SdhciPci, host.capareg),
      .dflt = CAPABILITIES_64,
      .help = "capabilities" },
    DEFINE_PROP_END,
};
static const StateField pci_state[] = { STATE_STRUCT(SdhciPci, host, sdhci_state), STATE_END_OF_TABLE };
static const PciDeviceInfo pci_info = {
    .vendor = 0x1b36, .device = 0x0007, .class_code = 0x080501, .interrupt_pin = 1
};
static const DeviceType pci_type = {
    .name = "sdhci-pci",
    .desc = "SD host controller",
    .category = "Storage",
    .size = sizeof(SdhciPci),
    .bus = "pci",
    .base = &pci_device_type,
    .provides = makes_sd,
    .user_creatable = true,
    .props = pci_props,
    .state = pci_state,
    .init = pci_init,
    .start = pci_start,
    .reset = pci_reset,
    .loaded = pci_loaded,
    .stop = pci_stop,
    .class_data = &pci_info,
};
DEVICE_REGISTER(pci_type)

/* ---- on a board ---- */

typedef struct SdhciBoard {
    Device dev; /* always first */
    Sdhci host;
    bool no_slot;
} SdhciBoard;

static AddressSpace *board_space(Device *d) { return machine_current() ? machine_current()->as_memory : NULL; }
static void board_irq(Device *d, int level) { device_out(d, 0, level); }
static void board_card(Device *d, bool there, bool readonly)
{
    device_out(d, 1, there);
    device_out(d, 2, readonly);
}

static bool board_start(Device *d, Error **errp)
{
    SdhciBoard *b = (SdhciBoard *)d;
    b->host.space = board_space;
    b->host.irq = board_irq;
    b->host.card = board_card;
    d->region[0] = mem_io_new(d->id, SDHCI_SIZE, &sdhci_ops, &b->host, d->domain);
    sdhci_start(&b->host, d, !b->no_slot);
    return true;
}
static void board_stop(Device *d) { sdhci_stop(&((SdhciBoard *)d)->host); }
static void board_reset(Device *d, ResetPhase phase) { sdhci_reset(&((SdhciBoard *)d)->host, phase); }
static bool board_loaded(Device *d, Error **errp) { return sdhci_loaded(&((SdhciBoard *)d)->host, errp); }
SdPort *sdhci_board_port(Device *d) { return &((SdhciBoard *)d)->host.port; }

static void usdhc_init(Device *d)
{
    SdhciBoard *b = (SdhciBoard *)d;
    b->host.usdhc = true;
    b->host.capareg = 0x07f3b407;
}

static const char *const board_pins[] = { "irq", "card-inserted", "card-read-only", NULL };
static const Property board_props[] = {
    { .name = "capareg",
      .kind = PROP_U64,
      .offset = offsetof(SdhciBoard, host.capareg),
      .dflt = CAPABILITIES,
      .help = "capabilities" },
    DEFINE_PROP_BOOL("no-slot", SdhciBoard, no_slot, false, "the board connects it to a slot"),
    DEFINE_PROP_END,
};
static const StateField board_state[] = { STATE_STRUCT(SdhciBoard, host, sdhci_state), STATE_END_OF_TABLE };
static const DeviceType board_type = {
    .name = "generic-sdhci",
    .desc = "SD host controller of a board",
    .category = "Storage",
    .size = sizeof(SdhciBoard),
    .provides = makes_sd,
    .props = board_props,
    .state = board_state,
    .out_pins = board_pins,
    .start = board_start,
    .reset = board_reset,
    .loaded = board_loaded,
    .stop = board_stop,
};
static const DeviceType usdhc_type = {
    .name = "imx-usdhc",
    .desc = "i.MX6 uSDHC",
    .category = "Storage",
    .size = sizeof(SdhciBoard),
    .provides = makes_sd,
    .state = board_state,
    .out_pins = board_pins,
    .init = usdhc_init,
    .start = board_start,
    .reset = board_reset,
    .loaded = board_loaded,
    .stop = board_stop,
};
DEVICE_REGISTER(board_type)
DEVICE_REGISTER(usdhc_type)
