/* SPDX-License-Identifier: MIT */
/*
 * Interrupts of a host's device: eventfds that the main loop serves. The INTx line is masked by the host each time it rises; while it is up all
 * accesses go through us, and the first one counts as the guest's end of interrupt.
 */
#include "base/bits.h"
#include "base/log.h"
#include "hw/vfio/vfio-pci.h"

static void rang(void *opaque, unsigned number)
{
    VfioPci *p = opaque;
    if (p->irq_mode == VFIO_PCI_MSIX_IRQ_INDEX) {
        msix_notify(&p->pci, number);
    } else if (p->irq_mode == VFIO_PCI_MSI_IRQ_INDEX) {
        msi_notify(&p->pci, number);
    } else {
        p->intx_pending = true;
        vfio_bars_fast(p, false);
        timer_arm(p->remap, clock_ns(CLOCK_VIRTUAL_NS) + p->mmap_timeout_ms * INT64_C(1000000));
        pci_set_irq(&p->pci, 1);
    }
}

void vfio_intx_eoi(VfioPci *p)
{
    if (!p->intx_pending)
        return;
    p->intx_pending = false;
    pci_set_irq(&p->pci, 0);
    vfio_irq_unmask(&p->host, VFIO_PCI_INTX_IRQ_INDEX);
}

static void disable(VfioPci *p)
{
    if (p->irq_mode < 0)
        return;
    vfio_irq_signal(&p->host, (unsigned)p->irq_mode, NULL, 0);
    for (unsigned i = 0; i < p->irq_count; i++)
        event_watch_free(p->vector[i]);
    g_clear_pointer(&p->vector, g_free);
    p->irq_mode = -1;
    p->irq_count = 0;
    p->intx_pending = false;
    pci_set_irq(&p->pci, 0);
    timer_cancel(p->remap);
    vfio_bars_fast(p, true);
}

static void enable(VfioPci *p, int mode, unsigned count)
{
    g_autofree int *fd = g_new(int, count);
    p->vector = g_new0(EventWatch *, count);
    p->irq_mode = mode;
    p->irq_count = count;
    bool all = true;
    for (unsigned i = 0; i < count; i++) {
        p->vector[i] = event_watch_new(-1, p->pci.dev.domain, NULL, rang, p, i);
        all = all && p->vector[i];
        fd[i] = all ? event_watch_fd(p->vector[i]) : -1;
    }
    if (all && vfio_irq_signal(&p->host, (unsigned)mode, fd, count))
        return;
    log_unimp(p->pci.dev.id, all ? "the host refuses %u interrupts of kind %d" : "the host has no file descriptors for %u interrupts of kind %d", count, mode);
    disable(p);
}

void vfio_irqs_update(VfioPci *p, bool none)
{
    int mode = -1;
    unsigned count = 0;
    if (!none && msix_enabled(&p->pci)) {
        mode = VFIO_PCI_MSIX_IRQ_INDEX;
        count = vfio_irq_count(&p->host, VFIO_PCI_MSIX_IRQ_INDEX);
    } else if (!none && msi_enabled(&p->pci)) {
        mode = VFIO_PCI_MSI_IRQ_INDEX;
        count = MIN(msi_vectors(&p->pci), vfio_irq_count(&p->host, VFIO_PCI_MSI_IRQ_INDEX));
    } else if (!none && pci_config_get(&p->pci, PCI_INT_PIN, 1)) {
        mode = VFIO_PCI_INTX_IRQ_INDEX;
        count = MIN(vfio_irq_count(&p->host, VFIO_PCI_INTX_IRQ_INDEX), 1);
    }
    if (!count)
        mode = -1;
    if (mode == p->irq_mode && count == p->irq_count)
        return;
    disable(p);
    if (count)
        enable(p, mode, count);
}
