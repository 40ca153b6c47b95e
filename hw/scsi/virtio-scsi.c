/* SPDX-License-Identifier: MIT */
/* virtio SCSI host (VIRTIO 1.2, section 5.6). */
#include "base/bits.h"
#include "base/iov.h"
#include "hw/core/machine.h"
#include "hw/scsi/scsi.h"
#include "hw/virtio/virtio-proxy.h"

#define F_INOUT BIT(0)
#define F_HOTPLUG BIT(1)
#define F_CHANGE BIT(2)
#define F_T10_PI BIT(3)
enum { CONTROL_QUEUE, EVENT_QUEUE, REQUEST_QUEUES };
enum {
    CONFIG_SIZE = 36,
    CDB_DEFAULT = 32,
    SENSE_DEFAULT = 96,
    REQUEST_HEADER = 19,
    RESPONSE_HEADER = 12,
    EVENT_SIZE = 16
};
enum { TARGETS = 256, LUNS = 16384 };
enum {
    S_OK,
    S_OVERRUN,
    S_ABORTED,
    S_BAD_TARGET,
    S_RESET,
    S_BUSY,
    S_TRANSPORT_FAILURE,
    S_TARGET_FAILURE,
    S_NEXUS_FAILURE,
    S_FAILURE,
    S_FUNCTION_SUCCEEDED,
    S_FUNCTION_REJECTED,
    S_INCORRECT_LUN
};
enum { T_TMF = 0, T_AN_QUERY = 1, T_AN_SUBSCRIBE = 2 };
enum {
    EVENT_MISSED = 1u << 31,
    EVENT_NONE = 0,
    EVENT_RESET = 1,
    EVENT_ASYNC = 2,
    EVENT_PARAM = 3,
    RESET_HARD = 0,
    RESET_RESCAN = 1,
    RESET_REMOVED = 2
};

typedef struct VirtioScsi {
    VirtioProxy proxy;
    VirtioDevice v;
    ScsiBus bus;
    uint32_t num_queues, queue_size, max_sectors, cmd_per_lun;
    bool hotplug, param_change;
    char *iothread;
    /* state */
    uint32_t cdb_size, sense_size;
    bool events_missed;
    /* not state */
    uint32_t in_flight;  /* buffers that are ours */
    uint32_t batching;   /* queue_notified() is on the stack: interrupts wait for its end */
    bool signal[VIRTIO_QUEUES_MAX];
} VirtioScsi;

static VirtioScsi *scsi_of(VirtioDevice *v) { return container_of(v, VirtioScsi, v); }
static VirtioScsi *host_of(ScsiBus *b) { return container_of(b, VirtioScsi, bus); }

/* --- buffers --- */

typedef struct Request {
    VirtioScsi *s;
    VirtQueue *q;
    VirtqBuffer buffer;
    struct iovec *data;
    uint64_t residual_base; /* bytes of the driver's data buffers */
} Request;

static Request *request_new(VirtioScsi *s, VirtQueue *q, const VirtqBuffer *buffer)
{
    Request *r = g_new0(Request, 1);
    *r = (Request){ .s = s, .q = q, .buffer = *buffer };
    s->in_flight++;
    return r;
}

static size_t take(const DmaVec *v, void *buf, size_t len)
{
    size_t n = MIN(len, v->bytes);
    iov_to_buf(v->iov, (int)v->count, 0, buf, n);
    return n;
}

static size_t put(const DmaVec *v, const void *buf, size_t len)
{
    size_t n = MIN(len, v->bytes);
    iov_from_buf(v->iov, (int)v->count, 0, buf, n);
    return n;
}

static void give_back(Request *r, uint64_t written)
{
    VirtioScsi *s = r->s;
    s->in_flight--;
    virtq_push(r->q, &r->buffer, (uint32_t)MIN(written, UINT32_MAX));
    if (s->batching)
        s->signal[r->q->index] = true;
    else
        virtq_signal(r->q);
    g_free(r->data);
    g_free(r);
}

/* The guest gets nothing. */
static void drop_buffer(VirtqBuffer *b)
{
    dma_vec_finish(&b->out, 0);
    dma_vec_finish(&b->in, 0);
}

static void request_drop(Request *r)
{
    drop_buffer(&r->buffer);
    r->s->in_flight--;
    g_free(r->data);
    g_free(r);
}

static void answer(Request *r, const void *data, size_t len) { give_back(r, put(&r->buffer.in, data, len)); }

/* A LUN field (5.6.6.1): 1, target, then two bytes of single-level structure. false: none that could be here. */
static bool parse_lun(const uint8_t *p, uint32_t *target, uint32_t *lun)
{
    *target = p[1];
    *lun = (uint32_t)load_be(p + 2, 2) & 0x3fff;
    return p[0] == 1 && (p[2] >> 6 == 1 || !p[2]);
}

static void put_lun(uint8_t *p, const ScsiDevice *d)
{
    memset(p, 0, 8);
    p[0] = 1;
    p[1] = (uint8_t)d->id;
    store_be(p + 2, 2, (uint32_t)d->lun | (d->lun >= 256 ? 0x4000 : 0));
}

/* --- requests (5.6.6.1) --- */

static void respond(Request *r, uint8_t response, const ScsiRequest *scsi)
{
    VirtioScsi *s = r->s;
    uint8_t p[RESPONSE_HEADER + 256] = { 0 };
    size_t size = RESPONSE_HEADER + s->sense_size;
    uint64_t done = scsi ? scsi->done_bytes : 0;
    if (scsi && response == S_OK) {
        uint32_t sense = MIN((uint32_t)scsi->sense_len, s->sense_size);
        store_le32(p, sense);
        store_le32(p + 4, (uint32_t)MIN(r->residual_base - done, UINT32_MAX));
        p[10] = scsi->status;
        memcpy(p + RESPONSE_HEADER, scsi->sense, sense);
    }
    p[11] = response;
    put(&r->buffer.in, p, size);
    give_back(r, size + (scsi && scsi->dir == SCSI_FROM_DEVICE ? done : 0));
}

static void complete(ScsiRequest *scsi)
{
    Request *r = scsi->hba;
    respond(r, scsi->reset ? S_RESET : scsi->cancelled ? S_ABORTED : scsi->overrun ? S_OVERRUN : S_OK, scsi);
    scsi_request_free(scsi);
}

/* The data part of a list, without `skip` bytes in front. */
static int data_part(Request *r, const DmaVec *v, size_t skip)
{
    r->data = g_new(struct iovec, MAX(v->count, 1u));
    return iov_part(r->data, v->iov, (int)v->count, skip, v->bytes - skip);
}

static void start_request(Request *r)
{
    VirtioScsi *s = r->s;
    uint8_t header[REQUEST_HEADER + 256];
    uint32_t target, lun, out_header = REQUEST_HEADER + s->cdb_size, in_header = RESPONSE_HEADER + s->sense_size;
    take(&r->buffer.out, header, out_header);
    uint64_t out = r->buffer.out.bytes - out_header, in = r->buffer.in.bytes - in_header;
    if (out && in) { /* bidirectional commands are not offered */
        respond(r, S_FAILURE, NULL);
        return;
    }
    r->residual_base = out + in;
    bool ok = parse_lun(header, &target, &lun);
    ScsiRequest *scsi = ok ? scsi_request_new(&s->bus, 0, target, lun, header + REQUEST_HEADER,
                                              MIN(s->cdb_size, SCSI_CDB_MAX), load_le64(header + 8), r)
                           : NULL;
    if (!scsi) {
        respond(r, S_BAD_TARGET, NULL);
        return;
    }
    if ((scsi->dir == SCSI_FROM_DEVICE && out) || (scsi->dir == SCSI_TO_DEVICE && in)) {
        scsi_request_free(scsi);
        respond(r, S_FAILURE, NULL);
        return;
    }
    int n = out ? data_part(r, &r->buffer.out, out_header) : in ? data_part(r, &r->buffer.in, in_header) : 0;
    scsi_request_run(scsi, r->data, n);
}

/* --- the control queue (5.6.6.2) --- */

static void tmf_done(ScsiBus *b, void *opaque, ScsiTmfResult result)
{
    static const uint8_t response[] = { [SCSI_TMF_COMPLETE] = S_OK,
                                        [SCSI_TMF_SUCCEEDED] = S_FUNCTION_SUCCEEDED,
                                        [SCSI_TMF_BAD_TARGET] = S_BAD_TARGET,
                                        [SCSI_TMF_BAD_LUN] = S_INCORRECT_LUN };
    answer(opaque, &response[result], 1);
}

static void start_tmf(Request *r, const uint8_t *p)
{
    static const ScsiTmf known[] = { SCSI_ABORT_TASK,  SCSI_ABORT_TASK_SET, SCSI_CLEAR_ACA,  SCSI_CLEAR_TASK_SET,
                                     SCSI_NEXUS_RESET, SCSI_LUN_RESET,      SCSI_QUERY_TASK, SCSI_QUERY_TASK_SET };
    static const uint8_t rejected = S_FUNCTION_REJECTED, bad_target = S_BAD_TARGET;
    uint32_t subtype = load_le32(p + 4), target, lun;
    if (subtype >= ARRAY_LEN(known))
        answer(r, &rejected, 1);
    else if (!parse_lun(p + 8, &target, &lun))
        answer(r, &bad_target, 1);
    else
        scsi_task_management(&r->s->bus, known[subtype], 0, target, lun, load_le64(p + 16), tmf_done, r);
}

static void start_control(Request *r)
{
    uint8_t p[24] = { 0 }, reply[5] = { 0 };
    size_t n = take(&r->buffer.out, p, sizeof p);
    uint32_t type = load_le32(p);
    if (type == T_TMF && n >= 24 && r->buffer.in.bytes >= 1) {
        start_tmf(r, p);
    } else if ((type == T_AN_QUERY || type == T_AN_SUBSCRIBE) && n >= 16 && r->buffer.in.bytes >= 5) {
        answer(r, reply, sizeof reply); /* no asynchronous notifications: none is subscribed */
    } else {
        virtio_broken(&r->s->v, "a control request that is too short, or unknown");
        request_drop(r);
    }
}

/* --- events (5.6.6.3) --- */

static void put_event(VirtioScsi *s, const ScsiDevice *d, uint32_t event, uint32_t reason)
{
    VirtQueue *q = &s->v.queue[EVENT_QUEUE];
    VirtqBuffer buffer;
    if (!virtio_running(&s->v))
        return;
    if (!virtq_pop(q, &buffer)) {
        s->events_missed = true;
        return;
    }
    uint8_t p[EVENT_SIZE] = { 0 };
    if (s->events_missed) {
        event |= EVENT_MISSED;
        s->events_missed = false;
    }
    store_le32(p, event);
    if (d)
        put_lun(p + 4, d);
    store_le32(p + 12, reason);
    size_t n = put(&buffer.in, p, sizeof p);
    virtq_push(q, &buffer, (uint32_t)n);
    virtq_signal(q);
}

static void hotplugged(ScsiBus *b, ScsiDevice *d, bool added)
{
    VirtioScsi *s = host_of(b);
    if (virtio_has(&s->v, F_HOTPLUG))
        put_event(s, d, EVENT_RESET, added ? RESET_RESCAN : RESET_REMOVED);
}

static void changed(ScsiBus *b, ScsiDevice *d, uint32_t sense)
{
    VirtioScsi *s = host_of(b);
    if (virtio_has(&s->v, F_CHANGE) && sense >> 16 == 6 && (sense >> 8 & 0xff) != 0x3f && (sense >> 8 & 0xff) != 0x29)
        put_event(s, d, EVENT_PARAM, (sense >> 8 & 0xff) | (sense & 0xff) << 8);
}

/* --- queues --- */

static bool fits(const VirtioScsi *s, const VirtQueue *q, const VirtqBuffer *b)
{
    return q->index == CONTROL_QUEUE ||
           (b->out.bytes >= REQUEST_HEADER + s->cdb_size && b->in.bytes >= RESPONSE_HEADER + s->sense_size);
}

static void take_all(VirtioScsi *s, VirtQueue *q)
{
    VirtqBuffer buffer;
    while (virtq_pop(q, &buffer)) {
        if (!fits(s, q, &buffer)) {
            drop_buffer(&buffer);
            virtio_broken(&s->v, "a request without room for header or response");
            return;
        }
        Request *r = request_new(s, q, &buffer);
        if (q->index == CONTROL_QUEUE)
            start_control(r);
        else
            start_request(r);
    }
}

/* --- requests that are held --- */

static void dropped(ScsiRequest *scsi)
{
    request_drop(scsi->hba);
    scsi_request_free(scsi);
}

static void save_request(const ScsiRequest *scsi, GByteArray *out)
{
    const Request *r = scsi->hba;
    uint8_t queue[2];
    store_le16(queue, r->q->index);
    g_byte_array_append(out, queue, sizeof queue);
    virtq_buffer_save(&r->buffer, out);
}

static bool restart_request(ScsiBus *b, const uint8_t *bytes, size_t len)
{
    VirtioScsi *s = host_of(b);
    VirtqBuffer buffer;
    uint16_t index = len < 2 ? 0 : load_le16(bytes);
    if (index < REQUEST_QUEUES || index >= s->v.queue_count)
        return false;
    VirtQueue *q = &s->v.queue[index];
    if (!virtq_buffer_load(q, bytes + 2, len - 2, &buffer))
        return false;
    if (!fits(s, q, &buffer)) {
        q->in_use--;
        drop_buffer(&buffer);
        return false;
    }
    start_request(request_new(s, q, &buffer));
    return true;
}

static void stopping(ScsiBus *b) { virtio_settle_queues(&host_of(b)->v); }
static const ScsiHost host = { .channels = 1,
                               .targets = TARGETS,
                               .luns = LUNS,
                               .complete = complete,
                               .drop = dropped,
                               .save = save_request,
                               .restart = restart_request,
                               .stopping = stopping,
                               .hotplug = hotplugged,
                               .changed = changed };

static void queue_notified(VirtioDevice *v, VirtQueue *q)
{
    VirtioScsi *s = scsi_of(v);
    if (q->index == EVENT_QUEUE) {
        if (s->events_missed)
            put_event(s, NULL, EVENT_NONE, 0);
        return;
    }
    s->batching++;
    blk_plug();
    do {
        virtq_disable_notify(q);
        take_all(s, q);
    } while (virtio_running(v) && virtq_enable_notify(q));
    blk_unplug();
    s->batching--;
    for (unsigned i = 0; !s->batching && i < v->queue_count; i++) {
        if (s->signal[i]) {
            s->signal[i] = false;
            virtq_signal(&v->queue[i]);
        }
    }
}

static void virtio_reset_done(VirtioDevice *v)
{
    VirtioScsi *s = scsi_of(v);
    scsi_bus_drop(&s->bus);
    for (unsigned i = 0; s->bus.devices && i < s->bus.devices->len; i++) {
        ScsiDevice *d = s->bus.devices->pdata[i];
        scsi_task_management(&s->bus, SCSI_LUN_RESET, 0, (uint32_t)d->id, (uint32_t)d->lun, 0, scsi_no_answer, NULL);
    }
    s->cdb_size = CDB_DEFAULT;
    s->sense_size = SENSE_DEFAULT;
    s->events_missed = false;
}

/* --- configuration (5.6.4) --- */

static uint64_t get_features(VirtioDevice *v)
{
    const VirtioScsi *s = scsi_of(v);
    return (s->hotplug ? F_HOTPLUG : 0) | (s->param_change ? F_CHANGE : 0);
}

static void get_config(VirtioDevice *v, uint8_t *c)
{
    const VirtioScsi *s = scsi_of(v);
    store_le32(c, s->num_queues);
    store_le32(c + 4, s->queue_size - 2);
    store_le32(c + 8, s->max_sectors);
    store_le32(c + 12, s->cmd_per_lun);
    store_le32(c + 16, EVENT_SIZE);
    store_le32(c + 20, s->sense_size);
    store_le32(c + 24, s->cdb_size);
    store_le16(c + 28, 0);
    store_le16(c + 30, TARGETS - 1);
    store_le32(c + 32, LUNS - 1);
}

/* The driver may choose the two sizes; bounded, as they are part of every request. */
static void set_config(VirtioDevice *v, const uint8_t *c, unsigned at, unsigned size)
{
    VirtioScsi *s = scsi_of(v);
    uint32_t sense = load_le32(c + 20), cdb = load_le32(c + 24);
    if (s->in_flight || sense > 256 || cdb > 256 || cdb < 6)
        return;
    s->sense_size = sense;
    s->cdb_size = cdb;
}

static const VirtioClass scsi_class = {
    .name = "virtio-scsi",
    .id = VIRTIO_ID_SCSI,
    .config_size = CONFIG_SIZE,
    .get_features = get_features,
    .get_config = get_config,
    .set_config = set_config,
    .queue_notified = queue_notified,
    .reset = virtio_reset_done,
};

/* --- the PCI device --- */

static void init(Device *d) { device_own_domain(d, "virtio-scsi"); }

static bool start(Device *d, Error **errp)
{
    VirtioScsi *s = (VirtioScsi *)d;
    if (!is_pow2(s->queue_size)) {
        error_setf(errp, "device '%s': virtqueue_size=%u is no power of two", d->id, s->queue_size);
        return false;
    }
    if (s->num_queues == UINT32_MAX) /* one for each CPU, as far as there is room */
        s->num_queues = virtio_queue_for_each_cpu(REQUEST_QUEUES);
    s->num_queues = MIN(s->num_queues, VIRTIO_QUEUES_MAX - REQUEST_QUEUES);
    s->cdb_size = CDB_DEFAULT;
    s->sense_size = SENSE_DEFAULT;
    scsi_bus_init(&s->bus, &host, d);
    virtio_proxy_init(&s->proxy, &s->v, &scsi_class);
    for (unsigned i = 0; i < REQUEST_QUEUES + s->num_queues; i++)
        virtio_add_queue(&s->v, (uint16_t)s->queue_size);
    if (!virtio_use_iothread(&s->v, s->iothread, errp))
        return false;
    s->bus.iothread = s->v.iothread;
    return virtio_proxy_ready(&s->proxy, &s->v, errp);
}

static void saving(Device *d)
{
    VirtioScsi *s = (VirtioScsi *)d;
    virtio_settle_queues(&s->v);
    scsi_bus_settle(&s->bus);
}

static bool loaded(Device *d, Error **errp)
{
    VirtioScsi *s = (VirtioScsi *)d;
    if (s->sense_size > 256 || s->cdb_size > 256 || s->cdb_size < 6) {
        error_setf(errp, "device '%s': sizes of requests that can't be", d->id);
        return false;
    }
    return virtio_loaded(&s->v, errp);
}

static void stop(Device *d)
{
    virtio_proxy_leave_iothread(&((VirtioScsi *)d)->proxy, &((VirtioScsi *)d)->v);
    scsi_bus_fini(&((VirtioScsi *)d)->bus);
}

static const Property props[] = {
    PROP_(PROP_U32, "num_queues", VirtioScsi, num_queues, UINT32_MAX, "request queues; 4294967295: one for each CPU",
          .min = 1, .max = UINT32_MAX),
    PROP_(PROP_U32, "virtqueue_size", VirtioScsi, queue_size, 256, "descriptors of a queue, a power of two", .min = 4,
          .max = VIRTIO_QUEUE_SIZE_MAX),
    PROP_(PROP_U32, "max_sectors", VirtioScsi, max_sectors, 0xffff, "sectors of a request", .min = 1),
    PROP_(PROP_U32, "cmd_per_lun", VirtioScsi, cmd_per_lun, 128, "requests to a unit at a time", .min = 1),
    DEFINE_PROP_STRING("iothread", VirtioScsi, iothread, NULL, "-object iothread that serves the queues"),
    DEFINE_PROP_BOOL("hotplug", VirtioScsi, hotplug, true, "tell of units that come and go"),
    DEFINE_PROP_BOOL("param_change", VirtioScsi, param_change, true, "tell of other sizes and media"),
    DEFINE_PROP_END,
};
static const StateField state[] = { STATE_STRUCT(VirtioScsi, v, virtio_state), STATE_U32(VirtioScsi, cdb_size),
                                    STATE_U32(VirtioScsi, sense_size), STATE_BOOL(VirtioScsi, events_missed),
                                    STATE_END_OF_TABLE };
static const char *const provides[] = { "scsi", NULL };
static const PciDeviceInfo info = { .vendor = 0x1af4,
                                    .device = 0x1004,
                                    .class_code = 0x010000,
                                    .subsystem_vendor = 0x1af4,
                                    .subsystem = VIRTIO_ID_SCSI,
                                    .interrupt_pin = 1,
                                    .express = true };
#define COMMON \
    .category = "Storage", .size = sizeof(VirtioScsi), .user_creatable = true, .provides = provides, .props = props, \
    .state = state, \
    .init = init, .start = start, .saving = saving, .loaded = loaded, .stop = stop
static const DeviceType scsi_pci = { .name = "virtio-scsi-pci",
                                     .alias = "virtio-scsi",
                                     .desc = "virtio SCSI host",
                                     .bus = "pci",
                                     .base = &virtio_pci_type,
                                     .class_data = &info,
                                     COMMON };
DEVICE_REGISTER(scsi_pci)
static const DeviceType scsi_mmio = { .name = "virtio-scsi-device",
                                      .desc = "virtio SCSI host, behind a virtio-bus",
                                      .bus = "virtio-bus",
                                      .base = &virtio_device_type,
                                      COMMON };
DEVICE_REGISTER(scsi_mmio)
