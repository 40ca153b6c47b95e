/* SPDX-License-Identifier: MIT */
/*
 * NVMe: the subsystem: controllers and the namespaces that they share; attachment (NVM Express 1.4, 1.5, 5.12, 8.12).
 */
#include <string.h>
#include "hw/storage/nvme.h"

enum { LIST_SIZE = 4096, LIST_MAX = LIST_SIZE / 2 - 1 };

typedef struct NvmeSubsysDevice {
    Device dev;
    NvmeSubsys subsys;
} NvmeSubsysDevice;

NvmeSubsys *nvme_subsys_of_device(Device *d)
{
    return d->type == &nvme_subsys_type ? &((NvmeSubsysDevice *)d)->subsys : NULL;
}

Nvme *nvme_controller(const NvmeSubsys *s, unsigned id)
{
    for (unsigned i = 0; i < NVME_CONTROLLERS; i++) {
        if (s->controller[i] && s->controller[i]->cntlid == id)
            return s->controller[i];
    }
    return NULL;
}

const char *nvme_subsys_name(const Nvme *n)
{
    const NvmeSubsys *s = n->subsys;
    return s->nqn ? s->nqn : s->dev ? s->dev->id : drive_serial(&n->pci.dev, &n->own.drive, n->own.blk);
}

/* --- who reaches what --- */

bool nvme_is_attached(const Nvme *n, uint32_t nsid) { return n->attached[(nsid - 1) / 32] >> (nsid - 1) % 32 & 1; }

void nvme_attach(Nvme *n, uint32_t nsid, bool on)
{
    uint32_t *word = &n->attached[(nsid - 1) / 32], bit = (uint32_t)BIT((nsid - 1) % 32);
    *word = on ? *word | bit : *word & ~bit;
}

static bool attached_anywhere(const NvmeNs *ns)
{
    for (unsigned i = 0; i < NVME_CONTROLLERS; i++) {
        if (ns->subsys->controller[i] && nvme_is_attached(ns->subsys->controller[i], ns->nsid))
            return true;
    }
    return false;
}

void nvme_ns_changed_everywhere(const NvmeNs *ns, const Nvme *but)
{
    for (unsigned i = 0; i < NVME_CONTROLLERS; i++) {
        Nvme *n = ns->subsys->controller[i];
        if (n && n != but && nvme_is_attached(n, ns->nsid))
            nvme_ns_changed(n, ns->nsid);
    }
}

/* The host's list of controllers as a whole, before any is changed. */
static uint16_t check_list(const NvmeNs *ns, const uint8_t *list, bool detach)
{
    unsigned count = load_le16(list);
    if (!count || count > LIST_MAX)
        return SC_CONTROLLER_LIST;
    for (unsigned i = 1; i <= count; i++) {
        const Nvme *n = nvme_controller(ns->subsys, load_le16(list + 2 * i));
        if (!n || (i > 1 && load_le16(list + 2 * i) <= load_le16(list + 2 * i - 2))) /* identifiers increase (4.9) */
            return SC_CONTROLLER_LIST;
        if (nvme_is_attached(n, ns->nsid) == !detach)
            return detach ? SC_NOT_ATTACHED : SC_ATTACHED;
    }
    return !detach && !ns->shared && (count > 1 || attached_anywhere(ns)) ? SC_PRIVATE : SC_OK;
}

void nvme_attachment(NvmeRequest *r)
{
    uint32_t nsid = nvme_dword(r, 1), detach = nvme_dword(r, 10) & 15;
    NvmeNs *ns = nvme_ns_allocated(r->n, nsid);
    g_autofree uint8_t *list = g_malloc(LIST_SIZE);
    uint16_t status = !ns || detach > 1 ? SC_INVALID_FIELD | SC_DNR : nvme_take(r, list, LIST_SIZE);
    if (!status && (status = check_list(ns, list, detach)))
        status |= SC_DNR;
    for (unsigned i = 1; !status && i <= load_le16(list); i++)
        nvme_attach(nvme_controller(ns->subsys, load_le16(list + 2 * i)), nsid, !detach);
    nvme_complete(r, status);
    for (unsigned i = 1; !status && i <= load_le16(list); i++)
        nvme_ns_changed(nvme_controller(ns->subsys, load_le16(list + 2 * i)), nsid);
}

/* --- controllers that come and go --- */

static bool take_number(NvmeSubsys *s, Nvme *n, Error **errp)
{
    unsigned slot = 0;
    while (slot < NVME_CONTROLLERS && s->controller[slot])
        slot++;
    if (slot == NVME_CONTROLLERS) {
        error_setf(errp, "device '%s': subsystem '%s' has all %d controllers already", n->pci.dev.id, s->dev->id,
                   NVME_CONTROLLERS);
        return false;
    }
    n->cntlid = 0;
    while (nvme_controller(s, n->cntlid))
        n->cntlid++;
    s->controller[slot] = n;
    return true;
}

bool nvme_subsys_join(Nvme *n, Error **errp)
{
    Device *d = &n->pci.dev;
    NvmeSubsys *s = n->subsys_dev ? nvme_subsys_of_device(n->subsys_dev) : &n->alone;
    if (!s) {
        error_setf(errp, "device '%s': subsys=%s is no nvme-subsys", d->id, n->subsys_dev->id);
        return false;
    }
    if (s->dev && n->own.drive.drive) {
        error_setf(errp,
                   "device '%s': a controller with subsys= has no namespace of its own; instead of drive=%s: -device "
                   "nvme-ns,bus=%s,drive=%s",
                   d->id, n->own.drive.drive, d->id, n->own.drive.drive);
        return false;
    }
    if (s->dev)
        d->domain = s->dev->domain; /* one lock over all that the namespaces are reached by */
    else
        device_own_domain(d, "nvme");
    lock_domain_lock(d->domain);
    bool ok = take_number(s, n, errp);
    if (ok)
        n->subsys = s;
    for (uint32_t nsid = 1; ok && nsid <= NVME_NAMESPACES; nsid++) {
        if (s->ns[nsid - 1] && s->ns[nsid - 1]->shared && !s->ns[nsid - 1]->detached)
            nvme_attach(n, nsid, true);
    }
    lock_domain_unlock(d->domain);
    return ok;
}

void nvme_subsys_leave(Nvme *n)
{
    for (unsigned i = 0; n->subsys && i < NVME_CONTROLLERS; i++) {
        if (n->subsys->controller[i] == n)
            n->subsys->controller[i] = NULL;
    }
    n->subsys = NULL;
}

/* --- the device, and the bus that namespaces stay on when a controller goes --- */

/* As the firmware reaches it: by its first controller. */
static void bus_path(Bus *bus, const Device *d, GString *out)
{
    const NvmeSubsys *s = nvme_subsys_of_device(bus->parent);
    for (unsigned i = 0; i < NVME_CONTROLLERS; i++) {
        if (s->controller[i]) {
            g_autofree char *path = device_firmware_path(&s->controller[i]->pci.dev);
            g_string_append(out, path);
            return;
        }
    }
}
static bool bus_full(const Bus *bus) { return true; } /* only by name */
static const BusType bus_type = { .kind = "nvme-bus", .plug = nvme_bus_plug, .path = bus_path, .full = bus_full };

static void init(Device *d) { device_own_domain(d, "nvme-subsys"); }

static bool start(Device *d, Error **errp)
{
    NvmeSubsys *s = nvme_subsys_of_device(d);
    s->dev = d;
    bus_init(&s->bus, &bus_type, d->id, d);
    return true;
}

static void stop(Device *d)
{
    NvmeSubsys *s = nvme_subsys_of_device(d);
    if (s->dev)
        bus_fini(&s->bus);
}

static void describe(Device *d, GString *out)
{
    const NvmeSubsys *s = nvme_subsys_of_device(d);
    for (unsigned i = 0; i < NVME_CONTROLLERS; i++) {
        if (s->controller[i])
            g_string_append_printf(out, "controller %u: '%s'\n", s->controller[i]->cntlid,
                                   s->controller[i]->pci.dev.id);
    }
}

static const Property props[] = {
    DEFINE_PROP_STRING("nqn", NvmeSubsysDevice, subsys.nqn, NULL,
                       "last part of the qualified name nqn.2019-08.org.qemu:NQN; the id if not given"),
    DEFINE_PROP_END,
};
static const char *const provides[] = { "nvme-bus", NULL };
const DeviceType nvme_subsys_type = {
    .name = "nvme-subsys",
    .desc = "NVM subsystem: NVMe controllers that share namespaces",
    .category = "Storage",
    .size = sizeof(NvmeSubsysDevice),
    .user_creatable = true,
    .provides = provides,
    .props = props,
    .init = init,
    .start = start,
    .stop = stop,
    .info = describe,
};
DEVICE_REGISTER(nvme_subsys_type)
