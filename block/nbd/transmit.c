/* SPDX-License-Identifier: MIT */
/* The NBD server's transmission phase: requests of a client, several at a time. */
#include <poll.h>
#include <stdlib.h>
#include "base/bits.h"
#include "base/thread.h"
#include "block/nbd/server-internal.h"

/*
 * One thread of a connection leads: it receives. What can be answered at once it answers itself; before it does
 * something that may take long it gives the lead away when more requests are there, and a thread that has finished
 * takes the lead when nobody has it. Threads are started as they are needed.
 */
enum { KEEP_BUFFER = 2 << 20, EXTENTS = 8192, DRAIN_MAX = 64 << 20, PIECE = 1 << 20 };

typedef struct Request {
    uint16_t flags, type;
    uint64_t cookie, offset;
    uint32_t len;
    uint64_t reserved; /* of the budget */
} Request;

typedef struct Buffer { uint8_t *data; size_t size; } Buffer;

static uint8_t *buffer_for(Buffer *b, size_t len)
{
    if (len > b->size) {
        g_free(b->data);
        b->size = align_up(MAX(len, (size_t)64 << 10), 64 << 10);
        void *p = NULL;
        if (posix_memalign(&p, 4096, b->size)) /* g_free() is free() */
            p = NULL;
        b->data = p;
        b->size = p ? b->size : 0;
    }
    return b->data;
}

static void buffer_shrink(Buffer *b)
{
    if (b->size > KEEP_BUFFER) {
        g_free(b->data);
        *b = (Buffer){ NULL, 0 };
    }
}

/* --- replies --- */

static void put_chunk(uint8_t *head, const Request *q, uint16_t flags, uint16_t type, uint32_t len)
{
    be32_put(head, NBD_STRUCTURED_MAGIC);
    be16_put(head + 4, flags);
    be16_put(head + 6, type);
    be64_put(head + 8, q->cookie);
    be32_put(head + 16, len);
}

static int send_locked(NbdConn *c, struct iovec *iov, int iovcnt)
{
    pthread_mutex_lock(&c->send_lock);
    int r = nbd_sendv(c->ch, iov, iovcnt);
    pthread_mutex_unlock(&c->send_lock);
    return r;
}

static int send_simple(NbdConn *c, const Request *q, int error)
{
    uint8_t head[NBD_SIMPLE_SIZE];
    be32_put(head, NBD_SIMPLE_MAGIC);
    be32_put(head + 4, nbd_error(error));
    be64_put(head + 8, q->cookie);
    struct iovec iov = { head, sizeof head };
    return send_locked(c, &iov, 1);
}

/* Reads and block status are answered by chunks when these were agreed on; everything else may be by the short form. */
static int send_status(NbdConn *c, const Request *q, int error)
{
    bool chunked = c->structured && (q->type == NBD_CMD_READ || q->type == NBD_CMD_BLOCK_STATUS);
    if (!chunked)
        return send_simple(c, q, error);
    uint8_t head[NBD_CHUNK_SIZE + 6] = { 0 };
    put_chunk(head, q, NBD_REPLY_FLAG_DONE, error ? NBD_REPLY_ERROR : NBD_REPLY_NONE, error ? 6 : 0);
    be32_put(head + NBD_CHUNK_SIZE, nbd_error(error));
    struct iovec iov = { head, error ? sizeof head : NBD_CHUNK_SIZE };
    return send_locked(c, &iov, 1);
}

static int send_data(NbdConn *c, const Request *q, uint8_t *data)
{
    uint8_t head[NBD_CHUNK_SIZE + 12];
    if (!c->structured) {
        be32_put(head, NBD_SIMPLE_MAGIC);
        be32_put(head + 4, 0);
        be64_put(head + 8, q->cookie);
        struct iovec iov[2] = { { head, NBD_SIMPLE_SIZE }, { data, q->len } };
        return send_locked(c, iov, 2);
    }
    be64_put(head + NBD_CHUNK_SIZE, q->offset);
    if (q->len >= 512 && buf_is_zero(data, q->len)) {
        put_chunk(head, q, NBD_REPLY_FLAG_DONE, NBD_REPLY_OFFSET_HOLE, 12);
        be32_put(head + NBD_CHUNK_SIZE + 8, q->len);
        struct iovec iov = { head, sizeof head };
        return send_locked(c, &iov, 1);
    }
    put_chunk(head, q, NBD_REPLY_FLAG_DONE, NBD_REPLY_OFFSET_DATA, 8 + q->len);
    struct iovec iov[2] = { { head, NBD_CHUNK_SIZE + 8 }, { data, q->len } };
    return send_locked(c, iov, 2);
}

/* --- block status --- */

static uint32_t extent_flags(unsigned id, const BlockStatus *s)
{
    if (id == NBD_CONTEXT_DEPTH)
        return s->flags & BLOCK_ALLOCATED ? s->depth + 1 : 0;
    return (s->flags & BLOCK_DATA ? 0 : NBD_STATE_HOLE) | (s->flags & BLOCK_ZERO ? NBD_STATE_ZERO : 0);
}

/* What context `id` says of [at, end), and how far. */
static int extent(const NbdExport *e, unsigned id, uint64_t at, uint64_t end, uint64_t *size, uint32_t *flags)
{
    BlockStatus s;
    if (id >= NBD_CONTEXT_BITMAP) {
        *flags = block_bitmap_status(e->bitmaps->pdata[id - NBD_CONTEXT_BITMAP], at, end - at, size);
        return *size ? 0 : -EIO;
    }
    int r = block_status_above(e->node, NULL, at, end - at, &s);
    *size = MIN(s.pnum, end - at);
    *flags = extent_flags(id, &s);
    return r || *size ? r : -EIO;
}

/* Extents of one context behind the chunk's head; returns how many, or negative errno. */
static int fill_extents(NbdConn *c, const Request *q, unsigned id, uint8_t *out, unsigned max)
{
    const NbdExport *e = c->export;
    uint64_t at = e->offset + q->offset, end = at + q->len, size;
    uint32_t flags, last = 0;
    unsigned n = 0;
    while (at < end) {
        int r = extent(e, id, at, end, &size, &flags);
        if (r)
            return r;
        if (n && flags == last) {
            be32_put(out + 8 * (n - 1), be32_get(out + 8 * (n - 1)) + (uint32_t)size);
        } else if (n == max) {
            break;
        } else {
            be32_put(out + 8 * n, (uint32_t)size);
            be32_put(out + 8 * n++ + 4, flags);
            last = flags;
        }
        at += size;
    }
    return (int)n;
}

static int send_extents(NbdConn *c, const Request *q)
{
    unsigned max = q->flags & NBD_CMD_FLAG_REQ_ONE ? 1 : EXTENTS;
    g_autofree uint8_t *out = g_malloc(NBD_CHUNK_SIZE + 4 + 8 * (size_t)max);
    if (!c->contexts || !c->structured || !q->len)
        return send_status(c, q, -EINVAL);
    for (uint64_t left = c->contexts; left; left &= left - 1) {
        unsigned id = (unsigned)__builtin_ctzll(left);
        int n = fill_extents(c, q, id, out + NBD_CHUNK_SIZE + 4, max);
        if (n < 0)
            return send_status(c, q, n);
        put_chunk(out, q, left & (left - 1) ? 0 : NBD_REPLY_FLAG_DONE, NBD_REPLY_BLOCK_STATUS, 4 + 8 * (uint32_t)n);
        be32_put(out + NBD_CHUNK_SIZE, id);
        struct iovec iov = { out, NBD_CHUNK_SIZE + 4 + 8 * (size_t)n };
        if (send_locked(c, &iov, 1))
            return -EPIPE;
    }
    return 0;
}

/* --- carrying out --- */

static int flush_if(const NbdExport *e, const Request *q, int r)
{
    return !r && q->flags & NBD_CMD_FLAG_FUA ? block_flush(e->node) : r;
}

static int do_cache(const NbdExport *e, const Request *q, Buffer *b)
{
    uint8_t *data = buffer_for(b, PIECE);
    int r = data ? 0 : -ENOMEM;
    for (uint64_t done = 0; done < q->len && !r; done += PIECE)
        r = block_pread(e->node, e->offset + q->offset + done, data, (size_t)MIN(q->len - done, (uint64_t)PIECE));
    return r;
}

static int do_zeroes(const NbdExport *e, const Request *q)
{
    unsigned flags = (q->flags & NBD_CMD_FLAG_NO_HOLE ? 0 : BLOCK_REQ_MAY_UNMAP) |
                     (q->flags & NBD_CMD_FLAG_FUA ? BLOCK_REQ_FUA : 0) |
                     (q->flags & NBD_CMD_FLAG_FAST_ZERO ? BLOCK_REQ_NO_FALLBACK : 0);
    return block_pwrite_zeroes(e->node, e->offset + q->offset, q->len, flags);
}

static int do_resize(NbdConn *c, const Request *q)
{
    Error *err = NULL;
    if (block_truncate(c->export->node, q->offset, PREALLOC_OFF, true, &err))
        return 0;
    nbd_server_log(c->server, "resize: %s", err->message);
    error_free(err);
    return -EINVAL;
}

/* What the export and the protocol allow: 0 or the error to tell. */
static int check(const NbdConn *c, const Request *q)
{
    static const uint16_t flags[] = {
        [NBD_CMD_READ] = NBD_CMD_FLAG_DF | NBD_CMD_FLAG_FUA,
        [NBD_CMD_WRITE] = NBD_CMD_FLAG_FUA,
        [NBD_CMD_FLUSH] = NBD_CMD_FLAG_FUA,
        [NBD_CMD_TRIM] = NBD_CMD_FLAG_FUA,
        [NBD_CMD_CACHE] = NBD_CMD_FLAG_FUA,
        [NBD_CMD_WRITE_ZEROES] = NBD_CMD_FLAG_FUA | NBD_CMD_FLAG_NO_HOLE | NBD_CMD_FLAG_FAST_ZERO,
        [NBD_CMD_BLOCK_STATUS] = NBD_CMD_FLAG_REQ_ONE | NBD_CMD_FLAG_FUA,
        [NBD_CMD_RESIZE] = NBD_CMD_FLAG_FUA,
    };
    const NbdExport *e = c->export;
    bool changes = q->type == NBD_CMD_WRITE || q->type == NBD_CMD_TRIM || q->type == NBD_CMD_WRITE_ZEROES ||
                   q->type == NBD_CMD_RESIZE;
    if (q->type >= ARRAY_LEN(flags) || q->type == NBD_CMD_DISC || q->flags & ~flags[q->type])
        return -EINVAL;
    if (changes && !e->writable)
        return -EPERM;
    if (q->type == NBD_CMD_FLUSH)
        return 0;
    if (q->type == NBD_CMD_RESIZE)
        return e->offset || e->fixed_size || q->offset > INT64_MAX / 2 ? -EINVAL : 0;
    uint64_t size = nbd_export_size(e);
    if (q->offset > size || q->len > size - q->offset)
        return q->type == NBD_CMD_WRITE || q->type == NBD_CMD_WRITE_ZEROES ? -ENOSPC : -EINVAL;
    return (q->type == NBD_CMD_READ || q->type == NBD_CMD_WRITE) && q->len > NBD_MAX_REQUEST ? -EINVAL : 0;
}

static int do_read(NbdConn *c, const Request *q, Buffer *b)
{
    uint8_t *data = q->len ? buffer_for(b, q->len) : NULL;
    int r = !q->len ? -EINVAL
            : !data ? -ENOMEM
                    : block_pread(c->export->node, c->export->offset + q->offset, data, q->len);
    return r ? send_status(c, q, r) : send_data(c, q, data);
}

/* Everything that may wait. */
static int carry_out(NbdConn *c, const Request *q, Buffer *b)
{
    const NbdExport *e = c->export;
    int r = 0;
    struct iovec one = { b->data, q->len };
    switch (q->type) {
    case NBD_CMD_READ: return do_read(c, q, b);
    case NBD_CMD_BLOCK_STATUS: return send_extents(c, q);
    case NBD_CMD_WRITE:
        r = block_pwritev(e->node, e->offset + q->offset, &one, 1, q->flags & NBD_CMD_FLAG_FUA ? BLOCK_REQ_FUA : 0);
        break;
    case NBD_CMD_FLUSH: r = block_flush(e->node); break;
    case NBD_CMD_TRIM: r = flush_if(e, q, block_pdiscard(e->node, e->offset + q->offset, q->len)); break;
    case NBD_CMD_CACHE: r = do_cache(e, q, b); break;
    case NBD_CMD_WRITE_ZEROES: r = do_zeroes(e, q); break;
    case NBD_CMD_RESIZE: r = do_resize(c, q); break;
    }
    return send_status(c, q, r);
}

/* --- the lead --- */

/* A request and its payload; 1: it was answered with an error already; negative: the client has gone. */
static int receive(NbdConn *c, Request *q, Buffer *b)
{
    uint8_t head[NBD_REQUEST_SIZE];
    int r = nbd_recv(c->ch, head, sizeof head);
    if (r)
        return r;
    if (be32_get(head) != NBD_REQUEST_MAGIC)
        return -EPROTO;
    *q = (Request){ be16_get(head + 4),  be16_get(head + 6),  be64_get(head + 8),
                    be64_get(head + 16), be32_get(head + 24), 0 };
    if (q->type == NBD_CMD_DISC)
        return -ENODATA;
    int error = check(c, q);
    bool payload = q->type == NBD_CMD_WRITE;
    if (error) {
        r = payload ? q->len > DRAIN_MAX ? -EPROTO : nbd_recv_drop(c->ch, q->len) : 0;
        return r ? r : send_status(c, q, error) ? -EPIPE : 1;
    }
    q->reserved = payload || q->type == NBD_CMD_READ ? q->len : 0;
    pthread_mutex_lock(&c->lock);
    while (c->budget < q->reserved)
        pthread_cond_wait(&c->change, &c->lock);
    c->budget -= q->reserved;
    pthread_mutex_unlock(&c->lock);
    if (!payload || !q->len)
        return 0;
    return buffer_for(b, q->len) ? nbd_recv(c->ch, b->data, q->len) : -ENOMEM;
}

static void give_back(NbdConn *c, Request *q)
{
    if (!q->reserved)
        return;
    pthread_mutex_lock(&c->lock);
    if (c->budget < NBD_MAX_REQUEST)
        pthread_cond_broadcast(&c->change);
    c->budget += q->reserved;
    pthread_mutex_unlock(&c->lock);
    q->reserved = 0;
}

/* Without waiting for the disk: -EAGAIN: not so. Other values: of the reply's sending. */
static int at_once(NbdConn *c, const Request *q, Buffer *b)
{
    const NbdExport *e = c->export;
    if (q->type != NBD_CMD_READ || !q->len || q->len > PIECE)
        return -EAGAIN;
    struct iovec one = { buffer_for(b, q->len), q->len };
    int r = one.iov_base ? block_preadv_nowait(e->node, e->offset + q->offset, &one, 1) : -ENOMEM;
    return r == -EAGAIN ? r : r ? send_status(c, q, r) : send_data(c, q, one.iov_base);
}

static bool more_is_there(NbdConn *c)
{
    struct pollfd p = { c->ch->fd, POLLIN, 0 };
    return nbd_has(c->ch, 1) || poll(&p, 1, 0) == 1;
}

static void *follow(void *opaque);

/* Somebody else receives from now on, if there is something to receive or this will take long. */
static void give_lead(NbdConn *c, const Request *q)
{
    bool slow = q->type == NBD_CMD_FLUSH || q->flags & NBD_CMD_FLAG_FUA || q->type > NBD_CMD_FLUSH;
    bool wanted = slow || more_is_there(c), start = false;
    pthread_mutex_lock(&c->lock);
    c->led = false;
    if (wanted && c->idle)
        pthread_cond_signal(&c->lead_free);
    else if (wanted && c->threads < NBD_THREADS)
        start = true, c->threads++;
    pthread_mutex_unlock(&c->lock);
    if (start)
        pthread_detach(thread_start("nbd request", follow, c));
}

/* Waits to lead; false: the connection is over. */
static bool take_lead(NbdConn *c)
{
    pthread_mutex_lock(&c->lock);
    c->idle++;
    while (c->led && !c->ended)
        pthread_cond_wait(&c->lead_free, &c->lock);
    c->idle--;
    bool go = !c->ended;
    if (go)
        c->led = true;
    pthread_mutex_unlock(&c->lock);
    return go;
}

/*
 * Receives until a request is to be carried out, after which the lead is somebody else's; false: the connection is
 * over.
 */
static bool lead(NbdConn *c, Request *q, Buffer *b)
{
    for (;;) {
        int r = receive(c, q, b);
        if (r == 0 && (r = at_once(c, q, b)) == -EAGAIN) {
            give_lead(c, q);
            return true;
        }
        give_back(c, q);
        if (r < 0)
            break;
    }
    pthread_mutex_lock(&c->lock);
    c->ended = true;
    c->led = false;
    pthread_cond_broadcast(&c->lead_free);
    pthread_mutex_unlock(&c->lock);
    return false;
}

static void serve(NbdConn *c)
{
    Buffer b = { NULL, 0 };
    Request q = { 0 };
    while (take_lead(c) && lead(c, &q, &b)) {
        int r = carry_out(c, &q, &b);
        give_back(c, &q);
        buffer_shrink(&b);
        if (r < 0)
            nbd_channel_shutdown(c->ch);
    }
    g_free(b.data);
}

static void *follow(void *opaque)
{
    NbdConn *c = opaque;
    serve(c);
    pthread_mutex_lock(&c->lock);
    c->threads--;
    pthread_cond_broadcast(&c->change);
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

void nbd_transmit(NbdConn *c)
{
    c->threads = 1;
    serve(c);
    pthread_mutex_lock(&c->lock);
    while (c->threads > 1)
        pthread_cond_wait(&c->change, &c->lock);
    pthread_mutex_unlock(&c->lock);
    nbd_channel_shutdown(c->ch);
}
