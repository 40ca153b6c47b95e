/* SPDX-License-Identifier: MIT */
/*
 * Interrupts of a host's device: eventfds that the main loop serves, or that the accelerator turns into messages by
 * itself; the way that the guest chooses.
 */
#include "base/bits.h"
#include "base/log.h"
#include "hw/core/event-doors.h"
#include "hw/vfio/vfio-pci.h"

static void rang(void *opaque, unsigned number)
{
    VfioPci *p = opaque;
    if (p->irq_mode == VFIO_PCI_MSIX_IRQ_INDEX) {
        msix_notify(&p->pci, number);
    } else if (p->irq_mode == VFIO_PCI_MSI_IRQ_INDEX) {
        msi_notify(&p->pci, number);
    } else {
        vfio_line_rose(p);
    }
}

/* ---- messages that need nobody here ---- */

static bool message_of(VfioPci *p, unsigned n, MsiMessage *out)
{
    bool x = p->irq_mode == VFIO_PCI_MSIX_IRQ_INDEX;
    if (x ? p->no_kvm_msix : p->no_kvm_msi)
        return false;
    if (x ? msix_vector_masked(&p->pci, n) : p->irq_mode != VFIO_PCI_MSI_IRQ_INDEX || msi_vector_masked(&p->pci, n))
        return false;
    *out = x ? msix_message(&p->pci, n) : msi_message(&p->pci, n);
    return pci_msi_by_eventfd(&p->pci, *out);
}

static void close_door(VfioVector *v)
{
    if (v->door >= 0)
        event_doors()->msi_fd_free(v->door, event_watch_fd(v->event));
    v->door = -1;
}

void vfio_vector_changed(PciDevice *d, unsigned n)
{
    VfioPci *p = (VfioPci *)d;
    MsiMessage m;
    if (n >= p->irq_count || !p->vector)
        return;
    VfioVector *v = &p->vector[n];
    if (!message_of(p, n, &m)) {
        close_door(v);
    } else if (v->door < 0) {
        v->door = event_doors()->msi_fd_new(event_watch_fd(v->event), m.address, m.data, pci_attrs(&p->pci).requester);
    } else if ((m.address != v->message.address || m.data != v->message.data) &&
               !event_doors()->msi_fd_set(v->door, m.address, m.data, pci_attrs(&p->pci).requester)) {
        close_door(v);
    }
    v->message = m;
}

/* ---- the way that the guest has chosen ---- */

static void disable(VfioPci *p)
{
    if (p->irq_mode < 0)
        return;
    vfio_irq_signal(&p->host, (unsigned)p->irq_mode, NULL, 0);
    for (unsigned i = 0; p->vector && i < p->irq_count; i++) {
        close_door(&p->vector[i]);
        event_watch_free(p->vector[i].event);
    }
    g_clear_pointer(&p->vector, g_free);
    vfio_line_down(p);
    p->irq_mode = -1;
    p->irq_count = 0;
}

static void enable(VfioPci *p, int mode, unsigned count, int gsi)
{
    p->irq_mode = mode;
    p->irq_count = count;
    p->line.wanted = gsi;
    if (gsi >= 0 && vfio_line_connect(p))
        return;
    g_autofree int *fd = g_new(int, count);
    p->vector = g_new(VfioVector, count);
    bool all = true;
    for (unsigned i = 0; i < count; i++) {
        p->vector[i] = (VfioVector){ .event = event_watch_new(-1, p->pci.dev.domain, NULL, rang, p, i), .door = -1 };
        all = all && p->vector[i].event;
        fd[i] = all ? event_watch_fd(p->vector[i].event) : -1;
    }
    if (all && vfio_irq_signal(&p->host, (unsigned)mode, fd, count))
        return;
    log_unimp(p->pci.dev.id,
              all ? "the host refuses %u interrupts of kind %d"
                  : "the host has no file descriptors for %u interrupts of kind %d",
              count, mode);
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
    int gsi = mode == VFIO_PCI_INTX_IRQ_INDEX ? vfio_line_gsi(p) : -1;
    if (mode != p->irq_mode || count != p->irq_count || gsi != p->line.wanted) {
        disable(p);
        if (count)
            enable(p, mode, count, gsi);
    }
    for (unsigned i = 0; i < p->irq_count; i++)
        vfio_vector_changed(&p->pci, i);
}
