/* SPDX-License-Identifier: MIT */
/* virtio block device (VIRTIO 1.2, section 5.2). */
#include <errno.h>
#include <string.h>
#include "base/bits.h"
#include "base/iov.h"
#include "hw/storage/drive.h"
#include "hw/virtio/virtio-proxy.h"

#define F_SIZE_MAX BIT(1)
#define F_SEG_MAX BIT(2)
#define F_GEOMETRY BIT(4)
#define F_RO BIT(5)
#define F_BLK_SIZE BIT(6)
#define F_FLUSH BIT(9)
#define F_TOPOLOGY BIT(10)
#define F_CONFIG_WCE BIT(11)
#define F_MQ BIT(12)
#define F_DISCARD BIT(13)
#define F_WRITE_ZEROES BIT(14)
enum { T_IN = 0, T_OUT = 1, T_FLUSH = 4, T_GET_ID = 8, T_DISCARD = 11, T_WRITE_ZEROES = 13 };
enum { S_OK = 0, S_IOERR = 1, S_UNSUPP = 2 };
enum {
    QUEUES_AUTO = UINT16_MAX,
    SECTOR = 512,
    CONFIG_SIZE = 60,
    ID_BYTES = 20,
    RANGES_MAX = 1,
    RANGE_SECTORS_MAX = 1 << 22
};

typedef struct VirtioBlk {
    VirtioProxy proxy;
    VirtioDevice v;
    DriveProps drive;
    char *iothread;
    uint16_t num_queues, queue_size;
    bool discard, write_zeroes, config_wce;
    uint32_t max_discard, max_write_zeroes; /* sectors */
    DriveGeometry geometry;
    BlockBackend *blk;
    DriveQueue queue;
    bool writeback;      /* the driver's choice by config.writeback */
    uint32_t batching;   /* queue_notified() is on the stack: interrupts wait for its end */
    bool signal[VIRTIO_QUEUES_MAX];
} VirtioBlk;

static VirtioBlk *blk_of(VirtioDevice *v) { return container_of(v, VirtioBlk, v); }

/* --- requests --- */

typedef struct Request {
    DriveRequest req;
    VirtioBlk *b;
    VirtQueue *q;
    VirtqBuffer buffer;
    struct iovec *iov;
    uint32_t in_bytes;   /* what the driver gets besides the status byte */
} Request;

/* Under the device's domain. */
static void complete(Request *r, uint8_t status)
{
    VirtioBlk *b = r->b;
    DmaVec *in = &r->buffer.in;
    uint32_t written = status == S_OK ? r->in_bytes : 0;
    struct iovec *last = &in->iov[in->count - 1];
    ((uint8_t *)last->iov_base)[last->iov_len - 1] = status;
    virtq_push(r->q, &r->buffer, (uint32_t)MAX(in->bytes, written + 1u));
    if (b->batching)
        b->signal[r->q->index] = true;
    else
        virtq_signal(r->q);
    g_free(r->iov);
    g_free(r);
}

static void done(DriveRequest *req, int error)
{
    complete(container_of(req, Request, req), !error ? S_OK : error == -ENOTSUP ? S_UNSUPP : S_IOERR);
}

static void refuse(Request *r, BlkOp op)
{
    drive_invalid(&r->b->queue, op);
    complete(r, S_IOERR);
}

/* Data: `bytes` behind the first `skip` of the list. */
static void submit(Request *r, BlkOp op, uint64_t offset, uint64_t bytes, const DmaVec *data, size_t skip,
                   unsigned flags)
{
    VirtioBlk *b = r->b;
    r->req = (DriveRequest){ .blk = { .op = op, .offset = offset, .bytes = bytes, .flags = flags }, .done = done };
    if (data) {
        r->iov = g_new(struct iovec, data->count);
        r->req.blk.iovcnt = iov_part(r->iov, data->iov, (int)data->count, skip, bytes);
        r->req.blk.iov = r->iov;
    }
    drive_submit(&b->queue, &r->req);
}

static bool in_range(const VirtioBlk *b, uint64_t sector, uint64_t bytes)
{
    uint64_t size = blk_size(b->blk);
    return bytes % SECTOR == 0 && sector <= size / SECTOR && bytes <= size - sector * SECTOR &&
           !(sector * SECTOR % b->drive.logical_block_size) && !(bytes % b->drive.logical_block_size);
}

/* Discard and write zeroes: one range each (5.2.6.2). */
static void submit_range(Request *r, uint32_t type)
{
    VirtioBlk *b = r->b;
    uint8_t d[16];
    if (r->buffer.out.bytes != 16 + sizeof d) {
        complete(r, S_IOERR);
        return;
    }
    iov_to_buf(r->buffer.out.iov, (int)r->buffer.out.count, 16, d, sizeof d);
    uint64_t sector = load_le64(d), bytes = (uint64_t)load_le32(d + 8) * SECTOR;
    uint32_t flags = load_le32(d + 12);
    if (flags & ~1u || (type == T_DISCARD && flags)) {
        complete(r, S_UNSUPP);
        return;
    }
    if (!blk_writable(b->blk) || bytes / SECTOR > (type == T_DISCARD ? b->max_discard : b->max_write_zeroes) ||
        !in_range(b, sector, bytes)) {
        refuse(r, type == T_DISCARD ? BLK_DISCARD : BLK_WRITE_ZEROES);
        return;
    }
    submit(r, type == T_DISCARD ? BLK_DISCARD : BLK_WRITE_ZEROES, sector * SECTOR, bytes, NULL, 0,
           flags & 1 ? BLOCK_REQ_MAY_UNMAP : 0);
}

static void get_id(Request *r)
{
    char id[ID_BYTES] = { 0 };
    VirtioBlk *b = r->b;
    const char *serial = drive_serial(b->v.dev, &b->drive, b->blk);
    memcpy(id, serial, MIN(strlen(serial), sizeof id)); /* no terminator when it fills the field */
    size_t room = MIN(r->buffer.in.bytes - 1, sizeof id);
    iov_from_buf(r->buffer.in.iov, (int)r->buffer.in.count, 0, id, room);
    r->in_bytes = (uint32_t)room;
    complete(r, S_OK);
}

static void start_request(Request *r)
{
    VirtioBlk *b = r->b;
    uint8_t header[16];
    iov_to_buf(r->buffer.out.iov, (int)r->buffer.out.count, 0, header, sizeof header);
    uint32_t type = load_le32(header) & 0x7fffffff; /* legacy barrier bit */
    uint64_t sector = load_le64(header + 8), in = r->buffer.in.bytes - 1, out = r->buffer.out.bytes - sizeof header;
    switch (type) {
    case T_IN:
        if (!in_range(b, sector, in) || !in) {
            refuse(r, BLK_READ);
            break;
        }
        r->in_bytes = (uint32_t)in;
        submit(r, BLK_READ, sector * SECTOR, in, &r->buffer.in, 0, 0);
        break;
    case T_OUT:
        if (!blk_writable(b->blk) || !in_range(b, sector, out) || !out) {
            refuse(r, BLK_WRITE);
            break;
        }
        submit(r, BLK_WRITE, sector * SECTOR, out, &r->buffer.out, sizeof header, b->writeback ? 0 : BLOCK_REQ_FUA);
        break;
    case T_FLUSH: submit(r, BLK_FLUSH, 0, 0, NULL, 0, 0); break;
    case T_GET_ID: get_id(r); break;
    case T_DISCARD: case T_WRITE_ZEROES:
        if (!(b->v.guest_features & (type == T_DISCARD ? F_DISCARD : F_WRITE_ZEROES)))
            complete(r, S_UNSUPP);
        else
            submit_range(r, type);
        break;
    default: complete(r, S_UNSUPP); break;
    }
}

static bool well_formed(const VirtqBuffer *b)
{
    return b->out.bytes >= 16 && b->in.count && b->in.iov[b->in.count - 1].iov_len;
}

static void begin(VirtioBlk *b, VirtQueue *q, const VirtqBuffer *buffer)
{
    Request *r = g_new0(Request, 1);
    *r = (Request){ .b = b, .q = q, .buffer = *buffer };
    start_request(r);
}

static void queue_notified(VirtioDevice *v, VirtQueue *q)
{
    VirtioBlk *b = blk_of(v);
    VirtqBuffer buffer;
    b->batching++;
    blk_plug();
    do {
        virtq_disable_notify(q);
        while (virtq_pop(q, &buffer)) {
            if (!well_formed(&buffer)) {
                dma_vec_finish(&buffer.out, 0);
                dma_vec_finish(&buffer.in, 0);
                virtio_broken(v, "a request without header or status byte");
                break;
            }
            begin(b, q, &buffer);
        }
    } while (virtio_running(v) && virtq_enable_notify(q));
    blk_unplug();
    b->batching--;
    for (unsigned i = 0; !b->batching && i < v->queue_count; i++) {
        if (b->signal[i]) {
            b->signal[i] = false;
            virtq_signal(&v->queue[i]);
        }
    }
}

/* --- requests that are held --- */

static void save_request(DriveRequest *req, GByteArray *out)
{
    const Request *r = container_of(req, Request, req);
    uint8_t queue[2];
    store_le16(queue, r->q->index);
    g_byte_array_append(out, queue, sizeof queue);
    virtq_buffer_save(&r->buffer, out);
}

static bool restart_request(Device *d, const uint8_t *bytes, size_t len)
{
    VirtioBlk *b = (VirtioBlk *)d;
    VirtqBuffer buffer;
    if (len < 2 || load_le16(bytes) >= b->v.queue_count)
        return false;
    VirtQueue *q = &b->v.queue[load_le16(bytes)];
    if (!virtq_buffer_load(q, bytes + 2, len - 2, &buffer))
        return false;
    if (!well_formed(&buffer)) {
        q->in_use--;
        dma_vec_finish(&buffer.out, 0);
        dma_vec_finish(&buffer.in, 0);
        return false;
    }
    begin(b, q, &buffer);
    return true;
}

static void drop_request(DriveRequest *req)
{
    Request *r = container_of(req, Request, req);
    dma_vec_finish(&r->buffer.out, 0);
    dma_vec_finish(&r->buffer.in, 0);
    g_free(r->iov);
    g_free(r);
}
static void stopping(Device *d) { virtio_settle_queues(&((VirtioBlk *)d)->v); }
static const DriveQueueOps queue_ops = { save_request, restart_request, drop_request, stopping };

static void blk_reset(VirtioDevice *v)
{
    VirtioBlk *b = blk_of(v);
    drive_queue_reset(&b->queue);
    b->writeback = b->drive.write_cache;
}

static bool is_of(const DriveRequest *r, const void *q) { return container_of(r, const Request, req)->q == q; }

static void queue_reset(VirtioDevice *v, VirtQueue *q)
{
    drive_settle(&blk_of(v)->queue);
    drive_drop_held(&blk_of(v)->queue, is_of, q);
}

static void driver_ok(VirtioDevice *v)
{
    VirtioBlk *b = blk_of(v);
    if (!virtio_has(v, F_CONFIG_WCE)) /* a driver that can't flush gets write-through */
        b->writeback = b->drive.write_cache && virtio_has(v, F_FLUSH);
}

/* --- configuration (5.2.4) --- */

static uint64_t get_features(VirtioDevice *v)
{
    const VirtioBlk *b = blk_of(v);
    bool rw = b->blk && blk_writable(b->blk);
    return (rw ? 0 : F_RO) | (b->config_wce ? F_CONFIG_WCE : 0) | (v->queue_count > 1 ? F_MQ : 0) |
           (rw && b->discard ? F_DISCARD : 0) | (rw && b->write_zeroes ? F_WRITE_ZEROES : 0);
}

static void get_config(VirtioDevice *v, uint8_t *c)
{
    const VirtioBlk *b = blk_of(v);
    uint32_t block = (uint32_t)b->drive.logical_block_size;
    uint64_t granule = b->drive.discard_granularity == DRIVE_DISCARD_AUTO ? block : b->drive.discard_granularity;
    DriveGeometry geometry = drive_geometry(b->geometry, b->blk);
    store_le64(c, blk_size(b->blk) / SECTOR);
    store_le32(c + 12, v->queue[0].max_size - 2u); /* seg_max */
    store_le16(c + 16, (uint16_t)geometry.cyls);
    c[18] = (uint8_t)geometry.heads;
    c[19] = (uint8_t)geometry.secs;
    store_le32(c + 20, block);
    c[24] = (uint8_t)__builtin_ctz(b->drive.physical_block_size / block);
    store_le16(c + 26, (uint16_t)MIN(MAX(b->drive.min_io_size / block, 1u), UINT16_MAX));
    store_le32(c + 28, (uint32_t)(b->drive.opt_io_size / block));
    c[32] = b->writeback;
    store_le16(c + 34, (uint16_t)v->queue_count);
    store_le32(c + 36, b->max_discard);
    store_le32(c + 40, RANGES_MAX);
    store_le32(c + 44, (uint32_t)(MAX(granule, block) / SECTOR));
    store_le32(c + 48, b->max_write_zeroes);
    store_le32(c + 52, RANGES_MAX);
    c[56] = 1; /* write zeroes may unmap */
}

static void set_config(VirtioDevice *v, const uint8_t *c, unsigned at, unsigned size)
{
    VirtioBlk *b = blk_of(v);
    if (virtio_has(v, F_CONFIG_WCE) && at <= 32 && at + size > 32)
        b->writeback = c[32] & 1;
}

static const VirtioClass blk_class = {
    .name = "virtio-blk",
    .id = VIRTIO_ID_BLOCK,
    .config_size = CONFIG_SIZE,
    .features = F_SEG_MAX | F_GEOMETRY | F_BLK_SIZE | F_FLUSH | F_TOPOLOGY,
    .get_features = get_features,
    .get_config = get_config,
    .set_config = set_config,
    .queue_notified = queue_notified,
    .driver_ok = driver_ok,
    .reset = blk_reset,
    .queue_reset = queue_reset,
};

/* --- the PCI device --- */

static void init(Device *d) { device_own_domain(d, "virtio-blk"); }

static void resized(void *opaque)
{
    VirtioBlk *b = opaque;
    lock_domain_lock(b->v.dev->domain);
    virtio_config_changed(&b->v);
    lock_domain_unlock(b->v.dev->domain);
}
static const BlkDeviceOps drive_ops = { .resized = resized };

static bool start(Device *d, Error **errp)
{
    VirtioBlk *b = (VirtioBlk *)d;
    if (!is_pow2(b->queue_size)) {
        error_setf(errp, "device '%s': queue-size=%u is no power of two", d->id, b->queue_size);
        return false;
    }
    if (!drive_open(d, &b->drive, false, &b->blk, errp) ||
        !drive_check_geometry(d, b->geometry, (DriveGeometry){ 65535, 255, 255 }, errp))
        return false;
    b->num_queues = b->num_queues == QUEUES_AUTO ? (uint16_t)virtio_queue_for_each_cpu(0)
                                                 : MIN(b->num_queues, VIRTIO_QUEUES_MAX);
    drive_queue_init(&b->queue, d, &b->drive, b->blk, &queue_ops);
    b->writeback = b->drive.write_cache;
    virtio_proxy_init(&b->proxy, &b->v, &blk_class);
    for (unsigned i = 0; i < b->num_queues; i++)
        virtio_add_queue(&b->v, b->queue_size);
    blk_set_device_ops(b->blk, &drive_ops, b);
    if (!virtio_use_iothread(&b->v, b->iothread, errp))
        return false;
    blk_set_ring(b->blk, b->v.iothread ? iothread_ring(b->v.iothread) : NULL);
    return virtio_proxy_ready(&b->proxy, &b->v, errp);
}

static void saving(Device *d)
{
    stopping(d);
    drive_queue_saving(&((VirtioBlk *)d)->queue);
}

static bool loaded(Device *d, Error **errp)
{
    VirtioBlk *b = (VirtioBlk *)d;
    return virtio_loaded(&b->v, errp) && drive_queue_loaded(&b->queue, errp);
}

static void stop(Device *d)
{
    virtio_proxy_leave_iothread(&((VirtioBlk *)d)->proxy, &((VirtioBlk *)d)->v);
    drive_queue_free(&((VirtioBlk *)d)->queue);
}

static const Property blk_props[] = {
    DRIVE_PROPS(VirtioBlk, drive),
    PROP_(PROP_U16, "num-queues", VirtioBlk, num_queues, QUEUES_AUTO, "request queues; 65535: one for each CPU",
          .min = 1, .max = QUEUES_AUTO),
    PROP_(PROP_U16, "queue-size", VirtioBlk, queue_size, 256, "descriptors of a queue, a power of two", .min = 4,
          .max = VIRTIO_QUEUE_SIZE_MAX),
    DEFINE_PROP_STRING("iothread", VirtioBlk, iothread, NULL, "-object iothread that serves the queues"),
    DEFINE_PROP_BOOL("discard", VirtioBlk, discard, true, "offer discards"),
    DEFINE_PROP_BOOL("write-zeroes", VirtioBlk, write_zeroes, true, "offer writing of zeroes"),
    DEFINE_PROP_BOOL("config-wce", VirtioBlk, config_wce, true, "the guest may switch the write cache on and off"),
    PROP_(PROP_U32, "max-discard-sectors", VirtioBlk, max_discard, RANGE_SECTORS_MAX,
          "sectors of 512 bytes of one discard", .min = 1, .max = RANGE_SECTORS_MAX),
    PROP_(PROP_U32, "max-write-zeroes-sectors", VirtioBlk, max_write_zeroes, RANGE_SECTORS_MAX,
          "of one write of zeroes", .min = 1, .max = RANGE_SECTORS_MAX),
    DRIVE_GEOMETRY_PROPS(VirtioBlk, geometry),
    DEFINE_PROP_END,
};
static const StateField blk_state[] = { STATE_STRUCT(VirtioBlk, v, virtio_state),
                                        STATE_STRUCT(VirtioBlk, queue, drive_queue_state),
                                        STATE_BOOL(VirtioBlk, writeback), STATE_END_OF_TABLE };
static const PciDeviceInfo blk_info = { .vendor = 0x1af4,
                                        .device = 0x1001,
                                        .class_code = 0x010000,
                                        .subsystem_vendor = 0x1af4,
                                        .subsystem = VIRTIO_ID_BLOCK,
                                        .interrupt_pin = 1,
                                        .express = true };
#define COMMON \
    .category = "Storage", .size = sizeof(VirtioBlk), .user_creatable = true, .props = blk_props, .state = blk_state, \
    .init = init, \
    .start = start, .saving = saving, .loaded = loaded, .stop = stop
static const DeviceType blk_pci = { .name = "virtio-blk-pci",
                                    .alias = "virtio-blk",
                                    .desc = "virtio disk",
                                    .bus = "pci",
                                    .base = &virtio_pci_type,
                                    .class_data = &blk_info,
                                    COMMON };
DEVICE_REGISTER(blk_pci)
static const DeviceType blk_mmio = { .name = "virtio-blk-device",
                                     .desc = "virtio disk, behind a virtio-bus",
                                     .bus = "virtio-bus",
                                     .base = &virtio_device_type,
                                     COMMON };
DEVICE_REGISTER(blk_mmio)
