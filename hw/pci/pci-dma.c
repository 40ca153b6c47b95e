/* SPDX-License-Identifier: MIT */
/* Bus mastering: what a function sees of memory, with an IOMMU in between or none, and the messages that it sends. */
#include <string.h>
#include "base/log.h"
#include "hw/pci/pci-internal.h"

/*
 * Behind a conventional bridge it is the bridge that asks (PCIe to PCI Bridge 1.0 section 2.3, PCI-to-PCI bridges have
 * no ids of their own behind them).
 */
MemAttrs pci_attrs(const PciDevice *d)
{
    const PciDevice *asks = d;
    for (const PciBus *b = d->bus; b->bridge; b = b->bridge->bus) {
        if (!b->express)
            asks = b->bridge;
    }
    return (MemAttrs){ .cpu = 0xffff, .requester = (unsigned)(pci_bus_number(asks->bus) << 8 | asks->devfn) & 0xffff };
}

bool pci_dma_allowed(PciDevice *d)
{
    if (d->config[PCI_COMMAND] & PCI_CMD_MASTER)
        return true;
    log_guest_error(d->dev.id, "bus master access while bus mastering is disabled");
    return false;
}

/* ---- IOMMU ---- */

static bool translated(const PciDevice *d) { return !d->past_iommu && pci_bus_root(d->bus)->iommu; }

/* Memory, or the IOMMU, in the function's own space. */
static void connect_dma(PciDevice *d)
{
    const PciBus *root = pci_bus_root(d->bus);
    mem_begin();
    mem_region_free(d->dma_view);
    d->dma_view = translated(d) ? mem_iommu_new("bus-master-iommu", root->iommu, d, root->dma)
                                : mem_alias_new("bus-master-memory", root->dma_region, 0, UINT64_MAX);
    pci_dma_update(d);
    mem_map(d->dma_root, 0, d->dma_view, 0);
    mem_commit();
}

AddressSpace *pci_dma_space(PciDevice *d)
{
    if (!d->dma_as) {
        d->dma_root = mem_container_new("bus-master", UINT64_MAX);
        connect_dma(d);
        d->dma_as = as_new(d->dev.id, d->dma_root);
    }
    return d->dma_as;
}

void pci_dma_update(PciDevice *d)
{
    if (d->dma_view)
        mem_set_enabled(d->dma_view, d->config[PCI_COMMAND] & PCI_CMD_MASTER);
}

/* Made before it is needed: messages are sent in any thread. */
void pci_dma_start(PciDevice *d)
{
    if (d->dma_as)
        connect_dma(d);
    else if (translated(d))
        pci_dma_space(d);
}

void pci_dma_stop(PciDevice *d)
{
    if (!d->dma_as)
        return;
    as_free(d->dma_as);
    mem_region_free(d->dma_view);
    mem_region_free(d->dma_root);
    d->dma_as = NULL;
    d->dma_view = d->dma_root = NULL;
}

void pci_bypass_iommu(PciDevice *d)
{
    d->past_iommu = true;
    pci_dma_start(d);
}

void pci_foreach_function(PciBus *b, PciFunctionFn *fn, void *opaque)
{
    for (unsigned i = 0; i < PCI_DEVFNS; i++) {
        if (!b->child[i])
            continue;
        fn(b->child[i], opaque);
        if (b->child[i]->info->bridge)
            pci_foreach_function(&((PciBridge *)b->child[i])->secondary, fn, opaque);
    }
}

static void reconnect(PciDevice *d, void *opaque) { pci_dma_start(d); }

static void find_host_dma(PciDevice *d, void *opaque)
{
    if (d->info->host_dma)
        *(PciDevice **)opaque = d;
}

bool pci_set_iommu(PciDevice *iommu, const IommuOps *ops, Error **errp)
{
    PciBus *root = iommu->bus;
    if (root->bridge) {
        error_setf(errp, "device '%s': it belongs on the root bus; give it bus=%s", iommu->dev.id,
                   pci_bus_root(root)->bus.name);
        return false;
    }
    if (root->iommu) {
        error_setf(errp, "device '%s': bus '%s' has an IOMMU already, '%s'; leave one out", iommu->dev.id,
                   root->bus.name, root->iommu_device->dev.id);
        return false;
    }
    PciDevice *past = NULL;
    pci_foreach_function(root, find_host_dma, &past);
    if (past) {
        error_setf(errp, "device '%s': '%s' must know of it from its start; put it before that one", iommu->dev.id,
                   past->dev.id);
        return false;
    }
    root->iommu_device = iommu;
    root->iommu = ops;
    pci_foreach_function(root, reconnect, NULL);
    return true;
}

void pci_unset_iommu(PciDevice *iommu)
{
    PciBus *root = iommu->bus;
    if (!root || root->iommu_device != iommu)
        return;
    root->iommu_device = NULL;
    root->iommu = NULL;
    pci_foreach_function(root, reconnect, NULL);
}

void pci_iommu_flush(PciDevice *d)
{
    if (!d->dma_view || !translated(d))
        return;
    mem_iommu_flush(d->dma_view);
    if (d->iommu_watch)
        d->iommu_watch->changed(d->iommu_watch_opaque);
}

void pci_iommu_mapped(PciDevice *d, const IommuEntry *e)
{
    if (d->iommu_watch)
        d->iommu_watch->mapped(d->iommu_watch_opaque, e);
}

void pci_iommu_unmapped(PciDevice *d, hwaddr first, hwaddr last)
{
    if (!d->dma_view || !translated(d))
        return;
    mem_iommu_flush(d->dma_view);
    if (d->iommu_watch)
        d->iommu_watch->unmapped(d->iommu_watch_opaque, first, last);
}

bool pci_is_translated(const PciDevice *d) { return translated(d); }

void pci_watch_iommu(PciDevice *d, const PciIommuWatch *ops, void *opaque)
{
    pci_bus_root(d->bus)->iommu_watchers += (ops != NULL) - (d->iommu_watch != NULL);
    d->iommu_watch = ops;
    d->iommu_watch_opaque = opaque;
}

void pci_foreach_mapping(PciDevice *d, IommuEntryFn *fn, void *opaque)
{
    if (translated(d))
        pci_bus_root(d->bus)->iommu->foreach(d, fn, opaque);
}

/* ---- accesses ---- */

static AddressSpace *space_of(PciDevice *d) { return translated(d) ? pci_dma_space(d) : pci_bus_root(d->bus)->dma; }

MemResult pci_dma_read(PciDevice *d, hwaddr addr, void *buf, uint64_t len)
{
    if (!pci_dma_allowed(d)) {
        memset(buf, 0xff, len);
        return MEM_ERROR;
    }
    return as_read(space_of(d), addr, buf, len, pci_attrs(d));
}

MemResult pci_dma_write(PciDevice *d, hwaddr addr, const void *buf, uint64_t len)
{
    return pci_dma_allowed(d) ? as_write(space_of(d), addr, buf, len, pci_attrs(d)) : MEM_ERROR;
}

void pci_send_msi(PciDevice *d, MsiMessage message)
{
    if (pci_dma_allowed(d))
        as_store(space_of(d), message.address, 4, message.data, pci_attrs(d));
}
