/* SPDX-License-Identifier: MIT */
/* The SCSI bus: addresses of logical units, task management, what all units have in common. */
#include "base/bits.h"
#include "hw/scsi/scsi-internal.h"

/* --- who is where --- */

ScsiDevice *scsi_find(const ScsiBus *b, uint32_t channel, uint32_t target, uint32_t lun)
{
    for (unsigned i = 0; i < b->devices->len; i++) {
        ScsiDevice *d = b->devices->pdata[i];
        if (d->channel == channel && (uint32_t)d->id == target && (uint32_t)d->lun == lun)
            return d;
    }
    return NULL;
}

bool scsi_target_exists(const ScsiBus *b, uint32_t channel, uint32_t target)
{
    for (unsigned i = 0; i < b->devices->len; i++) {
        const ScsiDevice *d = b->devices->pdata[i];
        if (d->channel == channel && (uint32_t)d->id == target)
            return true;
    }
    return false;
}

static bool place(ScsiBus *b, ScsiDevice *d, Error **errp)
{
    const ScsiHost *h = b->host;
    if (d->channel >= h->channels || d->id >= (int)h->targets || d->lun >= (int)h->luns) {
        error_setf(errp, "no such address on '%s': channel below %u, scsi-id below %u, lun below %u", b->bus.name,
                   h->channels, h->targets, h->luns);
        return false;
    }
    if (h->initiator && d->id == (int)h->initiator) {
        error_setf(errp, "scsi-id %d is the adapter's own on '%s'; choose another", d->id, b->bus.name);
        return false;
    }
    if (d->id < 0) {
        int lun = MAX(d->lun, 0), id = 0;
        while (id < (int)h->targets &&
               ((h->initiator && id == (int)h->initiator) || scsi_find(b, d->channel, (uint32_t)id, (uint32_t)lun)))
            id++;
        if (id == (int)h->targets) {
            error_setf(errp, "no free target on '%s'; add another SCSI adapter", b->bus.name);
            return false;
        }
        d->id = id;
        d->lun = lun;
    } else if (d->lun < 0) {
        int lun = 0;
        while (lun < (int)h->luns && scsi_find(b, d->channel, (uint32_t)d->id, (uint32_t)lun))
            lun++;
        if (lun == (int)h->luns) {
            error_setf(errp, "no free lun at scsi-id %d of '%s'; choose another scsi-id", d->id, b->bus.name);
            return false;
        }
        d->lun = lun;
    }
    const ScsiDevice *there = scsi_find(b, d->channel, (uint32_t)d->id, (uint32_t)d->lun);
    if (there)
        error_setf(errp, "channel %u, scsi-id %d, lun %d of '%s' is taken by '%s'; choose another lun or scsi-id",
                   d->channel, d->id, d->lun, b->bus.name, there->dev.id);
    return !there;
}

static int by_address(const void *x, const void *y)
{
    const ScsiDevice *a = *(ScsiDevice *const *)x, *b = *(ScsiDevice *const *)y;
    return a->channel != b->channel ? (a->channel > b->channel) - (a->channel < b->channel)
           : a->id != b->id         ? a->id - b->id
                                    : a->lun - b->lun;
}

/* Other units of its target hear that the inventory changed (SPC-4, 6.33). */
static void tell_others(ScsiBus *b, const ScsiDevice *d)
{
    for (unsigned i = 0; i < b->devices->len; i++) {
        ScsiDevice *o = b->devices->pdata[i];
        if (o != d && o->dev.started && o->channel == d->channel && o->id == d->id)
            scsi_attention(o, SENSE_LUNS_CHANGED);
    }
}

static bool machine_runs(const ScsiBus *b)
{
    RunState s = machine_run_state();
    return b->bus.parent->started && (s == RUN_RUNNING || s == RUN_PAUSED);
}

static bool plug(Bus *bus, Device *dev, Error **errp)
{
    ScsiBus *b = container_of(bus, ScsiBus, bus);
    ScsiDevice *d = (ScsiDevice *)dev;
    if (!place(b, d, errp))
        return false;
    d->bus = b;
    dev->domain = bus->parent->domain; /* one lock from the adapter down to its units */
    lock_domain_lock(dev->domain);
    g_ptr_array_add(b->devices, d);
    g_ptr_array_sort(b->devices, by_address);
    lock_domain_unlock(dev->domain);
    return true;
}

static void unplug(Bus *bus, Device *dev)
{
    g_ptr_array_remove(container_of(bus, ScsiBus, bus)->devices, dev);
    ((ScsiDevice *)dev)->bus = NULL;
}

/* All that run at a unit that is going: they end, aborted. It is in no list any more. */
static void end_requests(ScsiBus *b, ScsiDevice *d)
{
    drive_settle(&d->queue);
    for (ScsiRequest *r = b->running; r;) {
        bool mine = r->dev == d && !r->cancelled;
        if (mine)
            scsi_request_cancel(r);
        r = mine ? b->running : r->next;
    }
}

void scsi_leave(ScsiDevice *d)
{
    ScsiBus *b = d->bus;
    if (!b || !g_ptr_array_remove(b->devices, d))
        return;
    d->ready = false;
    if (d->dev.started && machine_runs(b)) {
        if (b->host->hotplug)
            b->host->hotplug(b, d, false);
        tell_others(b, d);
    }
    end_requests(b, d);
}

static void path(Bus *bus, const Device *dev, GString *out)
{
    const ScsiDevice *d = (const ScsiDevice *)dev;
    g_string_append_printf(out, "/channel@%x/disk@%x,%x", d->channel, (unsigned)d->id, (unsigned)d->lun);
}

/*
 * Units need no consent; adapters that can tell the guest do so in scsi_announce() and scsi_leave(), under others it
 * has to look itself.
 */
static bool may_hot_plug(Bus *bus, Device *dev, Error **errp) { return true; }

static const BusType scsi_bus_type = {
    .kind = "scsi", .plug = plug, .unplug = unplug, .path = path, .may_hot_plug = may_hot_plug
};

void scsi_bus_init(ScsiBus *b, const ScsiHost *host, Device *adapter)
{
    g_autofree char *name = bus_new_name(adapter, "scsi");
    *b = (ScsiBus){ .host = host, .devices = g_ptr_array_new() };
    bus_init(&b->bus, &scsi_bus_type, name, adapter);
}

void scsi_bus_fini(ScsiBus *b)
{
    if (!b->devices)
        return;
    g_assert(!b->running && !b->devices->len);
    bus_fini(&b->bus);
    g_ptr_array_free(b->devices, true);
    b->devices = NULL;
}

static bool on_its_way(const ScsiBus *b)
{
    bool any = false;
    for (unsigned i = 0; i < b->devices->len; i++)
        any |= ((const ScsiDevice *)b->devices->pdata[i])->queue.in_flight;
    return any;
}

void scsi_bus_settle(ScsiBus *b)
{
    while (b->devices && on_its_way(b)) {
        for (unsigned i = 0; i < b->devices->len; i++)
            drive_settle(&((ScsiDevice *)b->devices->pdata[i])->queue);
    }
}

void scsi_bus_drop(ScsiBus *b)
{
    scsi_bus_settle(b);
    b->dropping = true;
    for (ScsiRequest *r = b->running; r; r = r->next) /* none that waits for another is to begin */
        r->cancelled = true;
    for (unsigned i = 0; b->devices && i < b->devices->len; i++)
        drive_queue_reset(&((ScsiDevice *)b->devices->pdata[i])->queue);
    b->dropping = false;
}

/* --- task management (SAM-5, chapter 7) --- */

struct ScsiTask {
    ScsiTask *next;
    GPtrArray *waits_for; /* requests */
    ScsiTmfDone *done;
    void *opaque;
};

void scsi_tasks_request_ended(ScsiBus *b, ScsiRequest *r)
{
    for (ScsiTask **p = &b->tasks; *p;) {
        ScsiTask *t = *p;
        if (!g_ptr_array_remove_fast(t->waits_for, r) || t->waits_for->len) {
            p = &t->next;
            continue;
        }
        *p = t->next;
        t->done(b, t->opaque, SCSI_TMF_COMPLETE);
        g_ptr_array_unref(t->waits_for);
        g_free(t);
        p = &b->tasks; /* done() may have changed the list */
    }
}

typedef struct Reach { bool target, bus, tag, ends; uint32_t attention; } Reach;
static const Reach reach[] = {
    [SCSI_ABORT_TASK] = { .tag = true, .ends = true },
    [SCSI_ABORT_TASK_SET] = { .ends = true },
    [SCSI_CLEAR_TASK_SET] = { .ends = true },
    [SCSI_LUN_RESET] = { .ends = true, .attention = SENSE_DEVICE_RESET },
    [SCSI_TARGET_RESET] = { .target = true, .ends = true, .attention = SENSE_DEVICE_RESET },
    [SCSI_NEXUS_RESET] = { .target = true, .ends = true, .attention = SENSE_NEXUS_LOST },
    [SCSI_BUS_RESET] = { .bus = true, .ends = true, .attention = SENSE_BUS_RESET },
    [SCSI_QUERY_TASK] = { .tag = true },
};

static bool reaches(const Reach *h, uint32_t channel, uint32_t target, uint32_t lun, uint32_t c, uint32_t t, uint32_t l)
{
    return h->bus || (c == channel && t == target && (h->target || l == lun));
}

void scsi_no_answer(ScsiBus *b, void *opaque, ScsiTmfResult result) {}

void scsi_task_management(ScsiBus *b, ScsiTmf what, uint32_t channel, uint32_t target, uint32_t lun, uint64_t tag,
                          ScsiTmfDone *done, void *opaque)
{
    const Reach *h = &reach[what == SCSI_CLEAR_ACA || what == SCSI_QUERY_TASK_SET ? SCSI_QUERY_TASK : what];
    bool use_tag = h->tag && what != SCSI_QUERY_TASK_SET;
    if (!h->bus && !scsi_target_exists(b, channel, target)) {
        done(b, opaque, SCSI_TMF_BAD_TARGET);
        return;
    }
    if (!h->bus && !h->target && !scsi_find(b, channel, target, lun)) {
        done(b, opaque, SCSI_TMF_BAD_LUN);
        return;
    }
    g_autoptr(GPtrArray) found = g_ptr_array_new();
    for (ScsiRequest *r = b->running; r; r = r->next) {
        if (reaches(h, channel, target, lun, r->channel, r->target, r->lun) && (!use_tag || r->tag == tag))
            g_ptr_array_add(found, r);
    }
    for (unsigned i = 0; h->attention && i < b->devices->len; i++) {
        ScsiDevice *d = b->devices->pdata[i];
        if (reaches(h, channel, target, lun, d->channel, (uint32_t)d->id, (uint32_t)d->lun))
            scsi_reset_unit(d, h->attention);
    }
    if (!h->ends || !found->len) {
        done(b, opaque, found->len && !h->ends && what != SCSI_CLEAR_ACA ? SCSI_TMF_SUCCEEDED : SCSI_TMF_COMPLETE);
        return;
    }
    ScsiTask *task = g_new0(ScsiTask, 1);
    *task = (ScsiTask){ .waits_for = g_ptr_array_ref(found), .done = done, .opaque = opaque, .next = b->tasks };
    b->tasks = task;
    for (unsigned i = 0; i < found->len;) { /* what ends takes itself out of the list, and others with it perhaps */
        ScsiRequest *r = found->pdata[i];
        if (r->cancelled) {
            i++;
        } else {
            r->reset = h->attention;
            scsi_request_cancel(r);
            i = 0;
        }
    }
}

/* --- what all logical units have --- */

static bool start(Device *dev, Error **errp)
{
    ScsiDevice *d = (ScsiDevice *)dev;
    const ScsiDeviceInfo *info = dev->type->class_data;
    if (!drive_open(dev, &d->drive, info->may_be_empty && info->may_be_empty(d), &d->blk, errp))
        return false;
    drive_queue_init(&d->queue, dev, &d->drive, d->blk, &scsi_queue_ops);
    d->attention[0] = SENSE_POWER_ON;
    return true;
}

void scsi_announce(ScsiDevice *d)
{
    ScsiBus *b = d->bus;
    lock_domain_lock(d->dev.domain);
    d->ready = true;
    if (d->blk && b->iothread)
        blk_set_ring(d->blk, iothread_ring(b->iothread));
    if (machine_runs(b)) {
        if (b->host->hotplug)
            b->host->hotplug(b, d, true);
        tell_others(b, d);
    }
    lock_domain_unlock(d->dev.domain);
}

static void stop(Device *dev)
{
    ScsiDevice *d = (ScsiDevice *)dev;
    scsi_leave(d);
    drive_queue_free(&d->queue);
    d->blk = NULL;
}

static void reset(Device *dev, ResetPhase phase)
{
    ScsiDevice *d = (ScsiDevice *)dev;
    if (phase != RESET_ENTER)
        return;
    scsi_bus_drop(d->bus);
    scsi_reset_unit(d, SENSE_POWER_ON);
}

static void saving(Device *dev) { drive_queue_saving(&((ScsiDevice *)dev)->queue); }
static bool loaded(Device *dev, Error **errp) { return drive_queue_loaded(&((ScsiDevice *)dev)->queue, errp); }

const char *scsi_serial(const ScsiDevice *d) { return d->drive.serial ? d->drive.serial : blk_serial(d->blk); }

const char *scsi_unit_name(const ScsiDevice *d, const ScsiNames *n)
{
    const char *name = n->device_id ? n->device_id : scsi_serial(d);
    return name ? name : *blk_name(d->blk) ? blk_name(d->blk) : NULL;
}

static void tell(ScsiDevice *d, uint32_t sense)
{
    lock_domain_lock(d->dev.domain);
    scsi_attention(d, sense);
    lock_domain_unlock(d->dev.domain);
}

void scsi_medium_changed(void *unit, bool present) { tell(unit, SENSE_MEDIUM_CHANGED); }
void scsi_resized(void *unit) { tell(unit, SENSE_CAPACITY_CHANGED); }

static const Property props[] = {
    DRIVE_PROPS(ScsiDevice, drive),
    PROP_(PROP_U32, "channel", ScsiDevice, channel, 0, "SCSI channel"),
    { .name = "scsi-id",
      .kind = PROP_I32,
      .offset = offsetof(ScsiDevice, id),
      .dflt = -1,
      .help = "SCSI target, -1: the next free one" },
    { .name = "lun",
      .kind = PROP_I32,
      .offset = offsetof(ScsiDevice, lun),
      .dflt = -1,
      .help = "logical unit number, -1: the next free one" },
    DEFINE_PROP_END,
};
static const StateField state[] = { STATE_U32_ARRAY(ScsiDevice, attention), STATE_U32(ScsiDevice, pending),
                                    STATE_STRUCT(ScsiDevice, queue, drive_queue_state), STATE_END_OF_TABLE };

const DeviceType scsi_device_type = {
    .name = "scsi-device",
    .desc = "SCSI logical unit",
    .category = "Storage",
    .size = sizeof(ScsiDevice),
    .bus = "scsi",
    .props = props,
    .state = state,
    .start = start,
    .reset = reset,
    .saving = saving,
    .loaded = loaded,
    .stop = stop,
};
