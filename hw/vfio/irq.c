/* SPDX-License-Identifier: MIT */
/*
 * Interrupts of a host's device: eventfds that the main loop serves. The INTx line is masked by the host each time it rises; while it is up all
 * accesses go through us, and the first one counts as the guest's end of interrupt.
 */
#include <sys/eventfd.h>
#include <unistd.h>
#include "base/bits.h"
#include "base/evloop.h"
#include "base/log.h"
#include "hw/vfio/vfio-pci.h"

static void deliver(VfioVector *v)
{
    VfioPci *p = v->owner;
    if (p->irq_mode == VFIO_PCI_MSIX_IRQ_INDEX) {
        msix_notify(&p->pci, v->number);
    } else if (p->irq_mode == VFIO_PCI_MSI_IRQ_INDEX) {
        msi_notify(&p->pci, v->number);
    } else {
        p->intx_pending = true;
        vfio_bars_fast(p, false);
        timer_arm(p->remap, clock_ns(CLOCK_VIRTUAL_NS) + p->mmap_timeout_ms * INT64_C(1000000));
        pci_set_irq(&p->pci, 1);
    }
}

static bool rang(int fd, unsigned ready, void *opaque)
{
    VfioVector *v = opaque;
    LockDomain *domain = v->owner->pci.dev.domain;
    uint64_t n;
    lock_domain_lock(domain);
    if (read(fd, &n, sizeof(n)) == sizeof(n))
        deliver(v);
    lock_domain_unlock(domain);
    return true;
}

void vfio_intx_eoi(VfioPci *p)
{
    if (!p->intx_pending)
        return;
    p->intx_pending = false;
    pci_set_irq(&p->pci, 0);
    vfio_irq_unmask(&p->host, VFIO_PCI_INTX_IRQ_INDEX);
}

static void free_vectors(void *opaque) { g_free(opaque); }

static void disable(VfioPci *p)
{
    if (p->irq_mode < 0)
        return;
    vfio_irq_signal(&p->host, (unsigned)p->irq_mode, NULL, 0);
    for (unsigned i = 0; i < p->irq_count; i++) {
        evloop_unwatch(p->vector[i].watch);
        close(p->vector[i].fd);
    }
    evloop_defer(NULL, free_vectors, p->vector); /* the main loop may be about to call rang() */
    p->vector = NULL;
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
    p->vector = g_new0(VfioVector, count);
    p->irq_mode = mode;
    p->irq_count = count;
    for (unsigned i = 0; i < count; i++) {
        fd[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        p->vector[i] = (VfioVector){ .owner = p, .fd = fd[i], .number = i, .watch = evloop_watch(fd[i], 1, rang, &p->vector[i]) };
    }
    if (vfio_irq_signal(&p->host, (unsigned)mode, fd, count))
        return;
    log_unimp(p->pci.dev.id, "the host refuses %u interrupts of kind %d", count, mode);
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
