/* SPDX-License-Identifier: MIT */
/*
 * "piix3-ide" and "piix4-ide": two channels at the legacy ports, with bus master (Intel 82371SB, 290550, 2.3; 82371AB,
 * 290562).
 */
#include "base/bits.h"
#include "hw/ide/pata.h"
#include "hw/isa/isa.h"
#include "hw/pci/pci.h"

enum { CHANNELS = 2, BM_SIZE = 16, IDETIM = 0x40, SIDETIM = 0x44, UDMACTL = 0x48, BAR_BM = 4 };
static const struct {
    uint16_t command, control;
    uint8_t irq;
} legacy[CHANNELS] = { { 0x1f0, 0x3f6, 14 }, { 0x170, 0x376, 15 } };

typedef struct Piix {
    PciDevice pci;
    PataChannel channel[CHANNELS];
    MemRegion *bar, *bm[CHANNELS], *command[CHANNELS], *control[CHANNELS];
    unsigned guard;
} Piix;

static bool may_dma(Device *owner) { return pci_config_get(pci_device(owner), PCI_COMMAND, 2) & PCI_CMD_MASTER; }

static void map_legacy(Piix *p, IsaBus *isa, unsigned i)
{
    Device *d = &p->pci.dev;

    p->command[i] = mem_io_new("ide-command", 8, &pata_command_ops, &p->channel[i], d->domain);
    /* a command's arguments */
    mem_add_notifier(p->command[i], &(MemNotifier){ .offset = 1, .size = 5, .fd = MEM_COALESCED });
    p->control[i] = mem_io_new("ide-control", 1, &pata_control_ops, &p->channel[i], d->domain);
    if (!isa)
        return;
    if (isa->io) {
        mem_map(isa->io, legacy[i].command, p->command[i], 0);
        mem_map(isa->io, legacy[i].control, p->control[i], 1);
    }
    if (!d->out[i].set)
        d->out[i] = isa->irq[legacy[i].irq];
}

static void init(Device *d) { device_own_domain(d, "ide"); }

static bool start(Device *d, Error **errp)
{
    Piix *p = (Piix *)d;
    IsaBus *isa = isa_bus_first();

    pci_config_define(&p->pci, PCI_STATUS, 2, PCI_STATUS_DEVSEL_MEDIUM | 0x80, 0);
    pci_config_define(&p->pci, IDETIM, 4, 0, 0xffffffff);
    pci_config_define(&p->pci, SIDETIM, 1, 0, 0xff);
    pci_config_define(&p->pci, UDMACTL, 4, 0, 0xffff000f);
    p->bar = mem_container_new("ide-bm", BM_SIZE);
    for (unsigned i = 0; i < CHANNELS; i++) {
        PataChannel *ch = &p->channel[i];
        g_autofree char *name = g_strdup_printf("%s.%u", d->id, i);
        pata_init(ch, name, d, i, &p->guard);
        ch->dma = pci_dma_space(&p->pci);
        ch->attrs = pci_attrs(&p->pci);
        ch->may_dma = may_dma;
        p->bm[i] = mem_io_new("ide-bm-channel", 8, &pata_bm_ops, ch, d->domain);
        /* where the table is */
        mem_add_notifier(p->bm[i], &(MemNotifier){ .offset = 4, .size = 4, .fd = MEM_COALESCED });
        mem_map(p->bar, i * 8, p->bm[i], 0);
        map_legacy(p, isa, i);
    }
    pci_register_bar(&p->pci, BAR_BM, PCI_BAR_IO, p->bar);
    return true;
}

static void reset(Device *d, ResetPhase phase)
{
    Piix *p = (Piix *)d;

    for (unsigned i = 0; i < CHANNELS; i++) {
        if (phase == RESET_ENTER)
            pata_reset(&p->channel[i]);
        else if (phase == RESET_HOLD)
            device_out(d, i, 0);
    }
}

static void saving(Device *d)
{
    for (unsigned i = 0; i < CHANNELS; i++)
        pata_saving(&((Piix *)d)->channel[i]);
}

static bool loaded(Device *d, Error **errp)
{
    for (unsigned i = 0; i < CHANNELS; i++)
        pata_loaded(&((Piix *)d)->channel[i]);
    return true;
}

static void stop(Device *d)
{
    Piix *p = (Piix *)d;

    for (unsigned i = 0; i < CHANNELS; i++) {
        pata_stop(&p->channel[i]);
        mem_region_free(p->command[i]);
        mem_region_free(p->control[i]);
        mem_region_free(p->bm[i]);
    }
    mem_region_free(p->bar);
}

static const StateField state[] = { STATE_STRUCT_ARRAY(Piix, channel, pata_state), STATE_END_OF_TABLE };
static const char *const pins[] = { "irq*2", NULL };
static const char *const provides[] = { "IDE", NULL };
static const PciDeviceInfo piix3_info = { .vendor = PCI_VENDOR_INTEL, .device = 0x7010, .class_code = 0x010180 };
static const PciDeviceInfo piix4_info = { .vendor = PCI_VENDOR_INTEL, .device = 0x7111, .class_code = 0x010180 };
#define PIIX_TYPE(name_, desc_, info_) { \
    .name = name_, .desc = desc_, .category = "Storage", .size = sizeof(Piix), .bus = "pci", .provides = provides, \
    .user_creatable = true, \
    .base = &pci_device_type, .state = state, .out_pins = pins, .init = init, .start = start, .reset = reset, \
    .saving = saving, .loaded = loaded, \
    .stop = stop, .class_data = &info_ }
static const DeviceType piix3_type = PIIX_TYPE("piix3-ide", "IDE controller of PIIX3", piix3_info);
DEVICE_REGISTER(piix3_type)
static const DeviceType piix4_type = PIIX_TYPE("piix4-ide", "IDE controller of PIIX4", piix4_info);
DEVICE_REGISTER(piix4_type)
