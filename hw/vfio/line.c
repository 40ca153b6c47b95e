/* SPDX-License-Identifier: MIT */
/*
 * The INTx line of a host's device, which the host masks each time it rises. With an interrupt controller in the kernel
 * it goes there by eventfd, and the guest's end of interrupt unmasks it by another. Else we drive it: while it is up
 * all accesses go through us, and the first one counts as that end.
 */
#include <sys/eventfd.h>
#include <unistd.h>
#include "base/log.h"
#include "hw/core/event-doors.h"
#include "hw/vfio/vfio-pci.h"

/* ---- by us ---- */

void vfio_line_rose(VfioPci *p)
{
    p->line.pending = true;
    vfio_bars_fast(p, false);
    timer_arm(p->remap, clock_ns(CLOCK_VIRTUAL_NS) + p->mmap_timeout_ms * INT64_C(1000000));
    pci_set_irq(&p->pci, 1);
}

void vfio_line_eoi(VfioPci *p)
{
    if (!p->line.pending)
        return;
    p->line.pending = false;
    pci_set_irq(&p->pci, 0);
    vfio_irq_unmask(&p->host, VFIO_PCI_INTX_IRQ_INDEX);
}

/* ---- by the accelerator ---- */

int vfio_line_gsi(const VfioPci *p) { return p->no_kvm_intx ? -1 : pci_intx_by_eventfd(&p->pci); }

static void close_events(VfioLine *l)
{
    if (l->event >= 0)
        close(l->event);
    if (l->resample >= 0)
        close(l->resample);
}

bool vfio_line_connect(VfioPci *p)
{
    VfioLine *l = &p->line;
    unsigned gsi = (unsigned)l->wanted;
    l->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    l->resample = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (l->event >= 0 && l->resample >= 0 && event_doors()->line_fd(gsi, l->event, l->resample, true)) {
        l->connected = vfio_irq_signal(&p->host, VFIO_PCI_INTX_IRQ_INDEX, &l->event, 1);
        if (l->connected && vfio_irq_unmask_by(&p->host, VFIO_PCI_INTX_IRQ_INDEX, l->resample))
            return true;
        if (l->connected)
            vfio_irq_signal(&p->host, VFIO_PCI_INTX_IRQ_INDEX, NULL, 0);
        l->connected = false;
        event_doors()->line_fd(gsi, l->event, l->resample, false);
    }
    close_events(l);
    log_unimp(p->pci.dev.id, "INTx goes through the main loop: line %u can't be raised by an eventfd here", gsi);
    return false;
}

void vfio_line_down(VfioPci *p)
{
    VfioLine *l = &p->line;
    if (l->connected && event_doors()->line_fd)
        event_doors()->line_fd((unsigned)l->wanted, l->event, l->resample, false);
    if (l->connected)
        close_events(l);
    *l = (VfioLine){ .wanted = -1 };
    pci_set_irq(&p->pci, 0);
    timer_cancel(p->remap);
    vfio_bars_fast(p, true);
}
