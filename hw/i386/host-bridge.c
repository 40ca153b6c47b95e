/* SPDX-License-Identifier: MIT */
/* The parts of a PC host bridge that are not PCI functions: root bus and configuration ports. */
#include "base/bits.h"
#include "hw/i386/host-bridge.h"

static void start_bus(HostBridge *h, const char *name, bool express)
{
    PciRootSpaces spaces = { .mem = h->spaces.pci, .io = h->io, .dma_region = h->spaces.system,
                             .dma = h->as_memory, .msi_first = 0xfee00000, .msi_last = 0xfeefffff };

    pci_root_bus_init(&h->bus, name, &h->dev, &spaces, express);
    pci_config_ports_init(&h->ports, &h->bus);
    mem_map(h->io, 0xcf8, h->ports.region, 0);
}

static bool q35_start(Device *d, Error **errp)
{
    if (host_bridge(d)->io)
        start_bus(host_bridge(d), "pcie.0", true);
    return true;
}

static bool i440fx_start(Device *d, Error **errp)
{
    if (host_bridge(d)->io)
        start_bus(host_bridge(d), "pci.0", false);
    return true;
}

static void host_reset(Device *d, ResetPhase phase)
{
    if (phase == RESET_ENTER)
        host_bridge(d)->ports.address = 0;
}

static void host_stop(Device *d)
{
    HostBridge *h = host_bridge(d);

    pci_config_ports_fini(&h->ports);
    pci_bus_fini(&h->bus);
}

static const char *const provides[] = { "pci", NULL };
static const StateField host_state[] = { STATE_U32(HostBridge, ports.address), STATE_END_OF_TABLE };

static const DeviceType q35_host_type = {
    .name = "q35-pcihost", .desc = "Q35 host bridge", .category = "Bridge",
    .size = sizeof(HostBridge), .provides = provides,
    .state = host_state, .start = q35_start, .reset = host_reset, .stop = host_stop,
};
DEVICE_REGISTER(q35_host_type)

static const DeviceType i440fx_host_type = {
    .name = "i440FX-pcihost", .desc = "i440FX host bridge", .category = "Bridge",
    .size = sizeof(HostBridge), .provides = provides,
    .state = host_state, .start = i440fx_start, .reset = host_reset, .stop = host_stop,
};
DEVICE_REGISTER(i440fx_host_type)

HostBridge *host_bridge_of(PciDevice *d, Error **errp)
{
    Device *parent = d->bus->bus.parent;

    if (parent && (parent->type == &q35_host_type || parent->type == &i440fx_host_type))
        return host_bridge(parent);
    error_setf(errp, "device '%s': it belongs on the root bus of a q35 or pc machine", d->dev.id);
    return NULL;
}
