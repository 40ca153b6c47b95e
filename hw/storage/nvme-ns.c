/* SPDX-License-Identifier: MIT */
/* NVMe: namespaces: the device nvme-ns, the controller's own one, attachment, notices of changes (NVM Express 1.4, 5.2, 5.12, 8.12). */
#include <string.h>
#include "hw/storage/nvme.h"

typedef struct NvmeNsDevice {
    Device dev;
    NvmeNs ns;
    uint32_t wanted;       /* property nsid; 0: the next free one */
    bool detached;
} NvmeNsDevice;

NvmeNs *nvme_ns(const Nvme *n, uint32_t nsid)
{
    NvmeNs *ns = nvme_ns_allocated(n, nsid);
    return ns && ns->attached ? ns : NULL;
}

NvmeNs *nvme_ns_allocated(const Nvme *n, uint32_t nsid) { return nsid && nsid <= NVME_NAMESPACES ? n->ns[nsid - 1] : NULL; }

Nvme *nvme_of_device(Device *d) { return d->type == &nvme_type ? (Nvme *)d : ((NvmeNsDevice *)d)->ns.n; }

/* --- notices (5.2.1): told once, then not again until the log was read --- */

static bool wants_notices(const Nvme *n) { return n->feature[FEAT_ASYNC] & ASYNC_NS_ATTRIBUTES; }

void nvme_tell_changes(Nvme *n)
{
    if (!n->changes_new || n->changes_told || !n->aers || !(n->csts & CSTS_RDY))
        return;
    NvmeRequest *r = g_new0(NvmeRequest, 1);
    *r = (NvmeRequest){ .n = n, .cid = n->aer_cid[--n->aers], .result = EVENT_NOTICE | EVENT_NS_ATTRIBUTES << 8 | LOG_CHANGED_NS << 16 };
    n->changes_new = false;
    n->changes_told = true;
    nvme_complete(r, SC_OK);
}

void nvme_ns_changed(Nvme *n, uint32_t nsid)
{
    n->changed[(nsid - 1) / 32] |= (uint32_t)BIT((nsid - 1) % 32);
    n->changes_new = wants_notices(n);
    nvme_tell_changes(n);
}

void nvme_changed_log(Nvme *n, uint8_t *page, bool keep)
{
    for (unsigned nsid = 1, at = 0; nsid <= NVME_NAMESPACES; nsid++) {
        if (n->changed[(nsid - 1) / 32] >> (nsid - 1) % 32 & 1)
            store_le32(page + 4 * at++, nsid);
    }
    if (keep)
        return;
    memset(n->changed, 0, sizeof n->changed);
    n->changes_told = false;
    nvme_tell_changes(n);
}

/* --- attachment (5.12): there is one controller, whose number is 0 --- */

void nvme_attachment(NvmeRequest *r)
{
    Nvme *n = r->n;
    uint32_t nsid = nvme_dword(r, 1), detach = nvme_dword(r, 10) & 15;
    NvmeNs *ns = nvme_ns_allocated(n, nsid);
    g_autofree uint8_t *list = g_malloc(4096);
    uint16_t status = !ns ? SC_INVALID_FIELD | SC_DNR : detach > 1 ? SC_INVALID_FIELD | SC_DNR : nvme_take(r, list, 4096);
    if (!status)
        status = load_le16(list) != 1 || load_le16(list + 2) ? SC_CONTROLLER_LIST | SC_DNR :
                 ns->attached == !detach ? (detach ? SC_NOT_ATTACHED : SC_ATTACHED) | SC_DNR : SC_OK;
    if (!status) {
        ns->attached = !detach;
        nvme_ns_changed(n, nsid);
    }
    nvme_complete(r, status);
}

/* --- life --- */

static void resized(void *opaque)
{
    NvmeNs *ns = opaque;
    lock_domain_lock(ns->dev->domain);
    nvme_ns_changed(ns->n, ns->nsid);
    lock_domain_unlock(ns->dev->domain);
}
static const BlkDeviceOps drive_ops = { .resized = resized };

static bool choose_nsid(const Nvme *n, const Device *d, uint32_t *nsid, Error **errp)
{
    for (uint32_t i = 1; !*nsid && i <= NVME_NAMESPACES; i++) {
        if (!n->ns[i - 1])
            *nsid = i;
    }
    if (*nsid && !n->ns[*nsid - 1])
        return true;
    if (*nsid)
        error_setf(errp, "device '%s': nsid=%u is taken on '%s'; choose another one", d->id, *nsid, n->pci.dev.id);
    else
        error_setf(errp, "device '%s': '%s' has all %d namespaces already", d->id, n->pci.dev.id, NVME_NAMESPACES);
    return false;
}

bool nvme_ns_start(NvmeNs *ns, Nvme *n, Device *d, uint32_t nsid, Error **errp)
{
    if (!choose_nsid(n, d, &nsid, errp))
        return false;
    if (ns->uuid && !g_uuid_string_is_valid(ns->uuid)) {
        error_setf(errp, "device '%s': uuid=%s: not of the form 12345678-1234-1234-1234-123456789abc", d->id, ns->uuid);
        return false;
    }
    if (!drive_open(d, &ns->drive, false, &ns->blk, errp))
        return false;
    ns->n = n;
    ns->dev = d;
    ns->nsid = nsid;
    ns->attached = true;
    ns->lbaf = ns->drive.logical_block_size == 4096;
    drive_queue_init(&ns->queue, d, &ns->drive, ns->blk, &nvme_queue_ops);
    blk_set_device_ops(ns->blk, &drive_ops, ns);
    blk_set_ring(ns->blk, n->iothread ? iothread_ring(n->iothread) : NULL);
    n->ns[nsid - 1] = ns;
    return true;
}

void nvme_ns_stop(NvmeNs *ns)
{
    if (!ns->n)
        return;
    ns->n->ns[ns->nsid - 1] = NULL;
    drive_queue_free(&ns->queue);
    ns->n = NULL;
}

bool nvme_ns_loaded(NvmeNs *ns, Error **errp)
{
    if (ns->lbaf <= 1)
        return !ns->n || drive_queue_loaded(&ns->queue, errp);
    ns->lbaf = 0;
    error_setf(errp, "nvme: the saved state of a namespace is not one that it can be in");
    return false;
}

const StateField nvme_ns_state[] = { STATE_STRUCT(NvmeNs, queue, drive_queue_state), STATE_U32(NvmeNs, lbaf), STATE_BOOL(NvmeNs, attached),
                                     STATE_END_OF_TABLE };

/* --- the device nvme-ns, and the bus on which it sits --- */

static bool plug(Bus *bus, Device *d, Error **errp)
{
    d->domain = bus->parent->domain; /* one lock from the controller down to its namespaces */
    return true;
}
const BusType nvme_bus_type = { .kind = "nvme-bus", .plug = plug };

static bool start(Device *d, Error **errp)
{
    NvmeNsDevice *s = (NvmeNsDevice *)d;
    if (!d->bus) {
        error_setf(errp, "device '%s': no NVMe controller; add -device nvme,id=ID before it", d->id);
        return false;
    }
    if (!nvme_ns_start(&s->ns, (Nvme *)d->bus->parent, d, s->wanted, errp))
        return false;
    s->ns.attached = !s->detached;
    return true;
}

static void reset(Device *d, ResetPhase phase)
{
    NvmeNsDevice *s = (NvmeNsDevice *)d;
    if (phase == RESET_ENTER && s->ns.n)
        drive_queue_reset(&s->ns.queue);
}

static void saving(Device *d)
{
    NvmeNsDevice *s = (NvmeNsDevice *)d;
    if (s->ns.n)
        drive_queue_saving(&s->ns.queue);
}

static bool loaded(Device *d, Error **errp) { return nvme_ns_loaded(&((NvmeNsDevice *)d)->ns, errp); }
static void stop(Device *d) { nvme_ns_stop(&((NvmeNsDevice *)d)->ns); }

static const Property props[] = {
    DRIVE_PROPS(NvmeNsDevice, ns.drive),
    PROP_(PROP_U32, "nsid", NvmeNsDevice, wanted, 0, "number of the namespace; 0: the next free one", .max = NVME_NAMESPACES),
    DEFINE_PROP_STRING("uuid", NvmeNsDevice, ns.uuid, NULL, "identifier of the namespace"),
    DEFINE_PROP_U64("eui64", NvmeNsDevice, ns.eui64, 0, "IEEE identifier of the namespace; 0: made from the serial number"),
    DEFINE_PROP_BOOL("detached", NvmeNsDevice, detached, false, "not attached to the controller at first"),
    DEFINE_PROP_END,
};
static const StateField state[] = { STATE_STRUCT(NvmeNsDevice, ns, nvme_ns_state), STATE_END_OF_TABLE };
static const DeviceType nvme_ns_type = {
    .name = "nvme-ns", .desc = "namespace of an NVMe controller", .category = "Storage", .size = sizeof(NvmeNsDevice), .bus = "nvme-bus",
    .user_creatable = true, .props = props, .state = state, .start = start, .reset = reset, .saving = saving, .loaded = loaded, .stop = stop,
};
DEVICE_REGISTER(nvme_ns_type)
