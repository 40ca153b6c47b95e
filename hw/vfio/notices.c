/* SPDX-License-Identifier: MIT */
/* What the host says of a device besides its interrupts: it has failed for good, or the host wants it back. */
#include "base/evloop.h"
#include "hw/core/machine.h"
#include "hw/vfio/vfio-pci.h"

static void failed(void *opaque, unsigned number)
{
    VfioPci *p = opaque;
    warn_reportf("device '%s': the host reports an error that it can't recover from; the machine is paused, and only a "
                 "reset of the host's device may help",
                 p->pci.dev.id);
    machine_request_pause(RUN_INTERNAL_ERROR);
}

/* The guest is asked as by device_del. */
static void give_back(void *opaque)
{
    Error *err = NULL;
    Device *d = device_find(opaque);
    if (d && !d->unplug_asked && !d->leaving && !device_del(opaque, &err)) {
        warn_reportf("the host wants a device back: %s", err->message);
        error_free(err);
    }
    g_free(opaque);
}

static void wanted(void *opaque, unsigned number)
{
    evloop_defer(NULL, give_back, g_strdup(((VfioPci *)opaque)->pci.dev.id));
}

static EventWatch *open_notice(VfioPci *p, unsigned index, EventFn *fn)
{
    if (!vfio_irq_count(&p->host, index))
        return NULL;
    EventWatch *w = event_watch_new(-1, p->pci.dev.domain, NULL, fn, p, index);
    const int fd = w ? event_watch_fd(w) : -1;
    if (w && vfio_irq_signal(&p->host, index, &fd, 1))
        return w;
    event_watch_free(w);
    return NULL;
}

static void close_notice(VfioPci *p, unsigned index, EventWatch **w)
{
    if (!*w)
        return;
    vfio_irq_signal(&p->host, index, NULL, 0);
    event_watch_free(*w);
    *w = NULL;
}

void vfio_notices_open(VfioPci *p)
{
    p->error = open_notice(p, VFIO_PCI_ERR_IRQ_INDEX, failed);
    p->wanted = p->request ? open_notice(p, VFIO_PCI_REQ_IRQ_INDEX, wanted) : NULL;
}

void vfio_notices_close(VfioPci *p)
{
    close_notice(p, VFIO_PCI_ERR_IRQ_INDEX, &p->error);
    close_notice(p, VFIO_PCI_REQ_IRQ_INDEX, &p->wanted);
}
