/* SPDX-License-Identifier: MIT */
/*
 * virtqueues, split (VIRTIO 1.2, 2.7) and packed (2.8). All that stands in a ring is the guest's word: checked before
 * use.
 */
#include <stdatomic.h>
#include <string.h>
#include "base/bits.h"
#include "hw/virtio/virtio.h"

enum { DESC_NEXT = 1, DESC_WRITE = 2, DESC_INDIRECT = 4, DESC_AVAIL = 1 << 7, DESC_USED = 1 << 15, DESC_SIZE = 16 };
enum { NO_INTERRUPT = 1, NO_NOTIFY = 1, EVENT_ENABLE = 0, EVENT_DISABLE = 1, EVENT_DESC = 2 };

/* split: a = flags, b = next; packed: a = id, b = flags */
typedef struct Desc { uint64_t addr; uint32_t len; uint16_t a, b; } Desc;

static bool packed(const VirtQueue *q) { return virtio_has(q->dev, VIRTIO_F_RING_PACKED); }

void virtio_queue_enable(VirtQueue *q)
{
    bool p = packed(q);
    AddressSpace *as = q->dev->as;
    q->enabled = true;
    dma_window_set(&q->w_desc, as, q->desc, (uint64_t)q->size * DESC_SIZE);
    dma_window_set(&q->w_driver, as, q->driver, p ? 4 : 6 + 2ull * q->size);
    dma_window_set(&q->w_device, as, q->device, p ? 4 : 6 + 8ull * q->size);
}

static uint16_t get16(DmaWindow *w, uint64_t at)
{
    uint8_t b[2];
    dma_window_read(w, at, b, sizeof b);
    return load_le16(b);
}
static void put16(DmaWindow *w, uint64_t at, uint16_t value)
{
    uint8_t b[2];
    store_le16(b, value);
    dma_window_write(w, at, b, sizeof b);
}

static Desc parse_desc(const uint8_t *p)
{
    return (Desc){ load_le64(p), load_le32(p + 8), load_le16(p + 12), load_le16(p + 14) };
}
static Desc ring_desc(VirtQueue *q, unsigned i)
{
    uint8_t b[DESC_SIZE];
    dma_window_read(&q->w_desc, (uint64_t)i * DESC_SIZE, b, sizeof b);
    return parse_desc(b);
}

/* --- buffers --- */

static bool bad(VirtQueue *q, VirtqBuffer *b, const char *why)
{
    dma_vec_finish(&b->out, 0);
    dma_vec_finish(&b->in, 0);
    virtio_broken(q->dev, why);
    return false;
}

static bool add_part(VirtQueue *q, VirtqBuffer *b, const Desc *d, bool write)
{
    if (!write && b->in.count)
        return bad(q, b, "a readable part stands behind a writable one");
    if (d->len && !dma_vec_add(write ? &b->in : &b->out, d->addr, d->len))
        return bad(q, b, "a part lies outside memory, or the list is too long");
    return true;
}

/* A table of its own: split ones are linked by `next`, packed ones are in order. */
static bool add_indirect(VirtQueue *q, VirtqBuffer *b, const Desc *table)
{
    unsigned count = table->len / DESC_SIZE;
    if (!count || table->len % DESC_SIZE || count > DMA_VEC_MAX)
        return bad(q, b, "an indirect table of an impossible size");
    g_autofree uint8_t *copy = g_malloc(table->len);
    if (as_read(q->dev->as, table->addr, copy, table->len, q->dev->attrs) != MEM_OK)
        return bad(q, b, "an indirect table outside memory");
    for (unsigned i = 0, seen = 0; seen < count; seen++) {
        Desc d = parse_desc(copy + (size_t)i * DESC_SIZE);
        uint16_t flags = packed(q) ? d.b : d.a;
        if (flags & DESC_INDIRECT)
            return bad(q, b, "an indirect table within an indirect table");
        if (!add_part(q, b, &d, flags & DESC_WRITE))
            return false;
        if (packed(q)) {
            i++;
        } else if (flags & DESC_NEXT) {
            i = d.b;
            if (i >= count)
                return bad(q, b, "an indirect table is left by its links");
        } else {
            return true;
        }
    }
    return packed(q) || bad(q, b, "an indirect table links in a circle");
}

static void start_buffer(VirtQueue *q, VirtqBuffer *b)
{
    dma_vec_init(&b->out, q->dev->as, q->dev->attrs, false);
    dma_vec_init(&b->in, q->dev->as, q->dev->attrs, true);
}

static bool pop_split(VirtQueue *q, VirtqBuffer *b)
{
    uint16_t avail = get16(&q->w_driver, 2);
    if (avail == q->next_avail)
        return false;
    atomic_thread_fence(memory_order_acquire);
    if ((uint16_t)(avail - q->next_avail) > q->size) {
        virtio_broken(q->dev, "more buffers are available than the queue holds");
        return false;
    }
    uint16_t head = get16(&q->w_driver, 4 + 2u * (q->next_avail & (q->size - 1)));
    start_buffer(q, b);
    b->id = head;
    b->descriptors = 1;
    for (unsigned i = head, seen = 0;; seen++) {
        if (i >= q->size || seen >= q->size)
            return bad(q, b, "a chain leaves the table, or is a circle");
        Desc d = ring_desc(q, i);
        if (d.a & DESC_INDIRECT) {
            if (seen || d.a & DESC_NEXT)
                return bad(q, b, "an indirect table is part of a chain");
            if (!add_indirect(q, b, &d))
                return false;
            break;
        }
        if (!add_part(q, b, &d, d.a & DESC_WRITE))
            return false;
        if (!(d.a & DESC_NEXT))
            break;
        i = d.b;
    }
    q->next_avail++;
    return true;
}

static bool packed_available(VirtQueue *q, uint16_t flags)
{
    bool avail = flags & DESC_AVAIL, used = flags & DESC_USED;
    return avail == q->avail_wrap && used != q->avail_wrap;
}

static void packed_advance(const VirtQueue *q, uint16_t *index, bool *wrap, unsigned by)
{
    unsigned next = *index + by;
    if (next >= q->size) {
        next -= q->size;
        *wrap = !*wrap;
    }
    *index = (uint16_t)next;
}

static bool pop_packed(VirtQueue *q, VirtqBuffer *b)
{
    if (!packed_available(q, get16(&q->w_desc, (uint64_t)q->next_avail * DESC_SIZE + 14)))
        return false;
    atomic_thread_fence(memory_order_acquire);
    start_buffer(q, b);
    uint16_t i = q->next_avail;
    bool wrap = q->avail_wrap;
    for (unsigned seen = 0;; seen++) {
        if (seen >= q->size)
            return bad(q, b, "a chain is longer than the ring");
        Desc d = ring_desc(q, i);
        packed_advance(q, &i, &wrap, 1);
        b->id = d.a;
        b->descriptors = (uint16_t)(seen + 1);
        if (d.b & DESC_INDIRECT) {
            if (!add_indirect(q, b, &d))
                return false;
        } else if (!add_part(q, b, &d, d.b & DESC_WRITE)) {
            return false;
        }
        if (!(d.b & DESC_NEXT))
            break;
    }
    q->next_avail = i;
    q->avail_wrap = wrap;
    return true;
}

bool virtq_pop(VirtQueue *q, VirtqBuffer *b)
{
    if (!virtio_running(q->dev) || !q->enabled)
        return false;
    if (q->in_use >= q->size) /* the same buffer made available twice */
        return false;
    bool ok = packed(q) ? pop_packed(q, b) : pop_split(q, b);
    q->in_use += ok;
    return ok;
}

/* --- giving back --- */

static void push_split(VirtQueue *q, const VirtqBuffer *b, uint32_t written)
{
    uint8_t e[8];
    store_le32(e, b->id);
    store_le32(e + 4, written);
    dma_window_write(&q->w_device, 4 + 8u * (q->next_used & (q->size - 1)), e, sizeof e);
    atomic_thread_fence(memory_order_release);
    put16(&q->w_device, 2, ++q->next_used);
}

static void push_packed(VirtQueue *q, const VirtqBuffer *b, uint32_t written)
{
    uint8_t e[6];
    uint64_t at = (uint64_t)q->next_used * DESC_SIZE;
    store_le32(e, written);
    store_le16(e + 4, b->id);
    dma_window_write(&q->w_desc, at + 8, e, sizeof e);
    atomic_thread_fence(memory_order_release);
    put16(&q->w_desc, at + 14, (uint16_t)((q->used_wrap ? DESC_AVAIL | DESC_USED : 0) | (written ? DESC_WRITE : 0)));
    packed_advance(q, &q->next_used, &q->used_wrap, b->descriptors);
}

void virtq_push(VirtQueue *q, VirtqBuffer *b, uint32_t written)
{
    dma_vec_finish(&b->in, written);
    dma_vec_finish(&b->out, 0);
    if (!q->in_use) /* the device was reset meanwhile */
        return;
    q->in_use--;
    if (!virtio_running(q->dev) || !q->enabled)
        return;
    if (packed(q))
        push_packed(q, b, written);
    else
        push_split(q, b, written);
}

/* --- saved buffers: id, descriptors, the two counts of parts, and each part's address and length --- */

static void save_parts(const DmaVec *v, GByteArray *out)
{
    for (unsigned i = 0; i < v->count; i++) {
        uint8_t part[12];
        store_le64(part, v->piece[i].addr);
        store_le32(part + 8, (uint32_t)v->iov[i].iov_len);
        g_byte_array_append(out, part, sizeof part);
    }
}

void virtq_buffer_save(const VirtqBuffer *b, GByteArray *out)
{
    uint8_t head[8];
    store_le16(head, b->id);
    store_le16(head + 2, b->descriptors);
    store_le16(head + 4, (uint16_t)b->out.count);
    store_le16(head + 6, (uint16_t)b->in.count);
    g_byte_array_append(out, head, sizeof head);
    save_parts(&b->out, out);
    save_parts(&b->in, out);
}

bool virtq_buffer_load(VirtQueue *q, const uint8_t *bytes, size_t len, VirtqBuffer *b)
{
    if (len < 8 || !virtio_running(q->dev) || !q->enabled || q->in_use >= q->size)
        return false;
    unsigned outs = load_le16(bytes + 4), parts = outs + load_le16(bytes + 6);
    b->id = load_le16(bytes);
    b->descriptors = load_le16(bytes + 2);
    if (len != 8 + 12u * parts || b->id >= q->size || !b->descriptors || b->descriptors > q->size)
        return false;
    start_buffer(q, b);
    for (unsigned i = 0; i < parts; i++) {
        const uint8_t *part = bytes + 8 + 12u * i;
        if (dma_vec_add(i < outs ? &b->out : &b->in, load_le64(part), load_le32(part + 8)))
            continue;
        dma_vec_finish(&b->out, 0);
        dma_vec_finish(&b->in, 0);
        return false;
    }
    q->in_use++;
    return true;
}

/* --- who wants to be told --- */

/* Has `event` been passed on the way from `before` to `now`? (2.7.10.1) */
static bool passed(uint16_t event, uint16_t now, uint16_t before)
{
    return (uint16_t)(now - event - 1) < (uint16_t)(now - before);
}

static bool split_wants_signal(VirtQueue *q)
{
    if (!virtio_has(q->dev, VIRTIO_F_EVENT_IDX))
        return !(get16(&q->w_driver, 0) & NO_INTERRUPT);
    uint16_t before = q->signalled;
    bool first = !q->signalled_valid;
    q->signalled = q->next_used;
    q->signalled_valid = true;
    return first || passed(get16(&q->w_driver, 4 + 2u * q->size), q->next_used, before);
}

static bool packed_wants_signal(VirtQueue *q)
{
    uint16_t where = get16(&q->w_driver, 0), flags = get16(&q->w_driver, 2) & 3, before = q->signalled;
    bool first = !q->signalled_valid;
    q->signalled = q->next_used;
    q->signalled_valid = true;
    if (flags != EVENT_DESC || !virtio_has(q->dev, VIRTIO_F_EVENT_IDX))
        return flags != EVENT_DISABLE;
    int event = where & 0x7fff;
    if ((where >> 15) != q->used_wrap)
        event -= q->size;
    return first ||
           passed((uint16_t)event, q->next_used, before > q->next_used ? (uint16_t)(before - q->size) : before);
}

void virtq_signal(VirtQueue *q)
{
    if (!virtio_running(q->dev) || !q->enabled)
        return;
    atomic_thread_fence(memory_order_seq_cst); /* used index before the driver's wish is read */
    if (packed(q) ? packed_wants_signal(q) : split_wants_signal(q))
        q->dev->notify(q->dev, q);
}

void virtq_disable_notify(VirtQueue *q)
{
    if (packed(q))
        put16(&q->w_device, 2, EVENT_DISABLE);
    else if (!virtio_has(q->dev, VIRTIO_F_EVENT_IDX))
        put16(&q->w_device, 0, NO_NOTIFY);
}

bool virtq_enable_notify(VirtQueue *q)
{
    bool events = virtio_has(q->dev, VIRTIO_F_EVENT_IDX);
    if (packed(q)) {
        put16(&q->w_device, 0, (uint16_t)(q->next_avail | (q->avail_wrap ? 0x8000 : 0)));
        put16(&q->w_device, 2, events ? EVENT_DESC : EVENT_ENABLE);
    } else if (events) {
        put16(&q->w_device, 4 + 8u * q->size, q->next_avail);
    } else {
        put16(&q->w_device, 0, 0);
    }
    atomic_thread_fence(memory_order_seq_cst);
    return packed(q) ? packed_available(q, get16(&q->w_desc, (uint64_t)q->next_avail * DESC_SIZE + 14))
                     : get16(&q->w_driver, 2) != q->next_avail;
}

/* --- buffers that a device keeps --- */

void virtq_held_init(VirtqHeld *h) { *h = (VirtqHeld){ .saved = g_byte_array_new() }; }

void virtq_held_free(VirtqHeld *h)
{
    virtq_held_drop(h);
    if (h->saved)
        g_byte_array_unref(h->saved);
    h->saved = NULL;
}

bool virtq_held_pop(VirtqHeld *h, VirtQueue *q)
{
    if (h->have || !virtio_running(q->dev) || !q->enabled)
        return h->have;
    virtq_disable_notify(q);
    h->have = virtq_pop(q, &h->buffer);
    while (!h->have && virtio_running(q->dev) && q->in_use < q->size && virtq_enable_notify(q))
        h->have = virtq_pop(q, &h->buffer);
    return h->have;
}

void virtq_held_push(VirtqHeld *h, VirtQueue *q, uint32_t written)
{
    h->have = false;
    virtq_push(q, &h->buffer, written);
    virtq_signal(q);
}

void virtq_held_drop(VirtqHeld *h)
{
    if (!h->have)
        return;
    h->have = false;
    dma_vec_finish(&h->buffer.out, 0);
    dma_vec_finish(&h->buffer.in, 0);
}

void virtq_held_saving(VirtqHeld *h, const VirtQueue *q)
{
    g_byte_array_set_size(h->saved, 0);
    if (h->have && virtio_running(q->dev) && q->enabled)
        virtq_buffer_save(&h->buffer, h->saved);
}

bool virtq_held_loaded(VirtqHeld *h, VirtQueue *q, Error **errp)
{
    virtq_held_drop(h);
    if (!h->saved->len)
        return true;
    h->have = virtq_buffer_load(q, h->saved->data, h->saved->len, &h->buffer);
    if (!h->have)
        error_setf(errp, "%s '%s': a buffer of queue %u makes no sense", q->dev->cls->name, q->dev->dev->id, q->index);
    return h->have;
}

static size_t copy(const DmaVec *v, size_t at, uint8_t *bytes, size_t len, bool to_list)
{
    size_t done = 0;
    for (unsigned i = 0; i < v->count && done < len; i++) {
        size_t here = v->iov[i].iov_len, n = at < here ? MIN(here - at, len - done) : 0;
        uint8_t *p = (uint8_t *)v->iov[i].iov_base + at;
        if (n)
            memcpy(to_list ? p : bytes + done, to_list ? bytes + done : p, n);
        done += n;
        at -= MIN(at, here);
    }
    return done;
}

size_t virtq_gather(const DmaVec *v, size_t at, void *to, size_t len) { return copy(v, at, to, len, false); }
size_t virtq_scatter(const DmaVec *v, size_t at, const void *from, size_t len)
{
    return copy(v, at, (uint8_t *)from, len, true);
}
