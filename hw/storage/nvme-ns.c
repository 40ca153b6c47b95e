/* SPDX-License-Identifier: MIT */
/* NVMe: namespaces: the device nvme-ns, the controller's own one, notices of changes (NVM Express 1.4, 5.2, 6.1). */
#include <string.h>
#include "hw/storage/nvme.h"

typedef struct NvmeNsDevice {
    Device dev;
    NvmeNs ns;
    uint32_t wanted;       /* property nsid; 0: the next free one */
} NvmeNsDevice;

NvmeNs *nvme_ns(const Nvme *n, uint32_t nsid)
{
    NvmeNs *ns = nvme_ns_allocated(n, nsid);
    return ns && nvme_is_attached(n, nsid) ? ns : NULL;
}

NvmeNs *nvme_ns_allocated(const Nvme *n, uint32_t nsid)
{
    return nsid && nsid <= NVME_NAMESPACES ? n->subsys->ns[nsid - 1] : NULL;
}

NvmeNs *nvme_ns_of_device(Device *d) { return d->type == &nvme_type ? &((Nvme *)d)->own : &((NvmeNsDevice *)d)->ns; }

/* --- notices (5.2.1): told once, then not again until the log was read --- */

static bool wants_notices(const Nvme *n) { return n->feature[FEAT_ASYNC] & ASYNC_NS_ATTRIBUTES; }

void nvme_tell_changes(Nvme *n)
{
    if (!n->changes_new || n->changes_told || !n->aers || !(n->csts & CSTS_RDY))
        return;
    NvmeRequest *r = g_new0(NvmeRequest, 1);
    *r = (NvmeRequest){ .n = n,
                        .cid = n->aer_cid[--n->aers],
                        .result = EVENT_NOTICE | EVENT_NS_ATTRIBUTES << 8 | LOG_CHANGED_NS << 16 };
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

/* --- life --- */

static void resized(void *opaque)
{
    NvmeNs *ns = opaque;
    lock_domain_lock(ns->dev->domain);
    nvme_ns_changed_everywhere(ns, NULL);
    lock_domain_unlock(ns->dev->domain);
}
static const BlkDeviceOps drive_ops = { .resized = resized };

static bool choose_nsid(const NvmeSubsys *s, const Device *d, uint32_t *nsid, Error **errp)
{
    for (uint32_t i = 1; !*nsid && i <= NVME_NAMESPACES; i++) {
        if (!s->ns[i - 1])
            *nsid = i;
    }
    if (*nsid && !s->ns[*nsid - 1])
        return true;
    if (*nsid)
        error_setf(errp, "device '%s': nsid=%u is taken by '%s'; choose another one", d->id, *nsid,
                   s->ns[*nsid - 1]->dev->id);
    else
        error_setf(errp, "device '%s': there are %d namespaces already", d->id, NVME_NAMESPACES);
    return false;
}

bool nvme_ns_start(NvmeNs *ns, NvmeSubsys *s, Device *d, uint32_t nsid, IoThread *iothread, Error **errp)
{
    if (!choose_nsid(s, d, &nsid, errp))
        return false;
    if (ns->uuid && !g_uuid_string_is_valid(ns->uuid)) {
        error_setf(errp, "device '%s': uuid=%s: not of the form 12345678-1234-1234-1234-123456789abc", d->id, ns->uuid);
        return false;
    }
    if (!drive_open(d, &ns->drive, false, &ns->blk, errp))
        return false;
    ns->subsys = s;
    ns->dev = d;
    ns->nsid = nsid;
    if (!ns->mssrl) { /* a controller's own has no such properties */
        ns->mssrl = NVME_MSSRL;
        ns->mcl = NVME_MCL;
        ns->msrc = NVME_MSRC;
    }
    ns->lbaf = ns->drive.logical_block_size == 4096;
    drive_queue_init(&ns->queue, d, &ns->drive, ns->blk, &nvme_queue_ops);
    blk_set_device_ops(ns->blk, &drive_ops, ns);
    blk_set_ring(ns->blk, iothread ? iothread_ring(iothread) : NULL);
    s->ns[nsid - 1] = ns;
    return true;
}

void nvme_ns_stop(NvmeNs *ns)
{
    if (!ns->subsys)
        return;
    ns->subsys->ns[ns->nsid - 1] = NULL;
    drive_queue_free(&ns->queue);
    ns->subsys = NULL;
}

bool nvme_ns_loaded(NvmeNs *ns, Error **errp)
{
    if (ns->lbaf <= 1)
        return !ns->subsys || drive_queue_loaded(&ns->queue, errp);
    ns->lbaf = 0;
    error_setf(errp, "nvme: the saved state of a namespace is not one that it can be in");
    return false;
}

const StateField nvme_ns_state[] = { STATE_STRUCT(NvmeNs, queue, drive_queue_state), STATE_U32(NvmeNs, lbaf),
                                     STATE_END_OF_TABLE };

/* --- the device nvme-ns, and the bus on which it sits --- */

bool nvme_bus_plug(Bus *bus, Device *d, Error **errp)
{
    d->domain = bus->parent->domain; /* one lock from the controller down to its namespaces */
    return true;
}
const BusType nvme_bus_type = { .kind = "nvme-bus", .plug = nvme_bus_plug, .latest = true };

/* To all controllers, or, if it can't be shared, to the one whose bus was named. */
static void attach_at_start(NvmeNs *ns, Nvme *named)
{
    ns->shared &= ns->subsys->dev != NULL;
    for (unsigned i = 0; !ns->detached && i < NVME_CONTROLLERS; i++) {
        Nvme *n = ns->subsys->controller[i];
        if (n && (ns->shared || n == named))
            nvme_attach(n, ns->nsid, true);
    }
}

static bool start(Device *d, Error **errp)
{
    NvmeNsDevice *s = (NvmeNsDevice *)d;
    if (!d->bus) {
        error_setf(errp, "device '%s': no NVMe controller; add -device nvme,id=ID before it", d->id);
        return false;
    }
    NvmeSubsys *subsys = nvme_subsys_of_device(d->bus->parent);
    Nvme *n = subsys ? NULL : (Nvme *)d->bus->parent;
    if (n && n->subsys->dev)
        d->bus = &n->subsys->bus; /* it stays when that controller goes */
    if (!nvme_ns_start(&s->ns, subsys ? subsys : n->subsys, d, s->wanted, n && !n->subsys->dev ? n->iothread : NULL,
                       errp))
        return false;
    lock_domain_lock(d->domain);
    attach_at_start(&s->ns, n);
    lock_domain_unlock(d->domain);
    return true;
}

static void reset(Device *d, ResetPhase phase)
{
    NvmeNsDevice *s = (NvmeNsDevice *)d;
    if (phase == RESET_ENTER && s->ns.subsys)
        drive_queue_reset(&s->ns.queue);
}

static void saving(Device *d)
{
    NvmeNsDevice *s = (NvmeNsDevice *)d;
    if (s->ns.subsys)
        drive_queue_saving(&s->ns.queue);
}

static bool loaded(Device *d, Error **errp) { return nvme_ns_loaded(&((NvmeNsDevice *)d)->ns, errp); }
static void stop(Device *d) { nvme_ns_stop(&((NvmeNsDevice *)d)->ns); }

static const Property props[] = {
    DRIVE_PROPS(NvmeNsDevice, ns.drive),
    PROP_(PROP_U32, "nsid", NvmeNsDevice, wanted, 0, "number of the namespace; 0: the next free one",
          .max = NVME_NAMESPACES),
    DEFINE_PROP_STRING("uuid", NvmeNsDevice, ns.uuid, NULL, "identifier of the namespace"),
    DEFINE_PROP_U64("eui64", NvmeNsDevice, ns.eui64, 0,
                    "IEEE identifier of the namespace; 0: made from the serial number"),
    PROP_(PROP_U16, "mssrl", NvmeNsDevice, ns.mssrl, NVME_MSSRL, "Copy: blocks of a source range", .min = 1,
          .max = UINT16_MAX),
    PROP_(PROP_U32, "mcl", NvmeNsDevice, ns.mcl, NVME_MCL, "Copy: blocks in all", .min = 1, .max = 65536),
    DEFINE_PROP_U8("msrc", NvmeNsDevice, ns.msrc, NVME_MSRC, "Copy: source ranges - 1"),
    DEFINE_PROP_BOOL("detached", NvmeNsDevice, ns.detached, false, "not attached to any controller at first"),
    DEFINE_PROP_BOOL("shared", NvmeNsDevice, ns.shared, true,
                     "with nvme-subsys: attached to all controllers, those that come later, too"),
    DEFINE_PROP_END,
};
static const StateField state[] = { STATE_STRUCT(NvmeNsDevice, ns, nvme_ns_state), STATE_END_OF_TABLE };
const DeviceType nvme_ns_type = {
    .name = "nvme-ns",
    .desc = "namespace of an NVMe controller",
    .category = "Storage",
    .size = sizeof(NvmeNsDevice),
    .bus = "nvme-bus",
    .user_creatable = true,
    .props = props,
    .state = state,
    .start = start,
    .reset = reset,
    .saving = saving,
    .loaded = loaded,
    .stop = stop,
};
DEVICE_REGISTER(nvme_ns_type)
