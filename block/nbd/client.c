/* SPDX-License-Identifier: MIT */
/* Protocol "nbd": an export of an NBD server, by one or more connections, which are made anew when they are lost. */
#include <stdatomic.h>
#include <time.h>
#include "base/bits.h"
#include "base/thread.h"
#include "block/driver.h"
#include "block/nbd/link.h"

enum { CONNECTIONS = 4, TRY_MS = 10000, EXTRA_MS = 2000, RETRY_MS = 200, BUSY = 2, RANGE_MAX = 1 << 30 };

typedef struct NbdNode {
    NbdAddress address;
    char *export, *hostname, *context;
    Object *creds;
    bool tls, bitmap;             /* bitmap: `context` is not base:allocation */
    uint64_t reconnect_ms, open_ms, connections;
    uint64_t size;                /* as the first connection told it, or as we have resized it */
    uint16_t flags;
    uint32_t max_block;
    bool writes;
    pthread_mutex_t lock;         /* of the fields below */
    pthread_cond_t change;
    NbdLink *links[CONNECTIONS];
    unsigned count;
    bool connecting, adding, closing;
    gint64 down_since, last_try;  /* µs; 0: we are connected */
    NbdCancel cancel;             /* of the thread that adds a connection */
} NbdNode;

static NbdNode *nbd_of(BlockNode *n) { return n->opaque; }

/* --- connections --- */

static NbdWant wanted(const NbdNode *d, unsigned timeout_ms)
{
    return (NbdWant){ &d->address, d->export, d->tls, d->creds, d->hostname, d->context, timeout_ms, NULL, false };
}

/* Another connection must be to what the first was. */
static bool same_export(const NbdNode *d, const NbdRemote *m, Error **errp)
{
    if (m->size >= d->size && !(d->writes && m->flags & NBD_FLAG_READ_ONLY))
        return true;
    g_autofree char *text = nbd_address_text(&d->address);
    error_setf(errp, "NBD server '%s': export '%s' is no longer what it was (%" G_GUINT64_FORMAT " bytes%s)", text,
               d->export, (guint64)m->size, m->flags & NBD_FLAG_READ_ONLY ? ", read-only" : "");
    return false;
}

static NbdLink *new_link(NbdNode *d, unsigned timeout_ms, NbdCancel *cancel, Error **errp)
{
    NbdWant w = wanted(d, timeout_ms);
    NbdRemote m;
    w.cancel = cancel;
    if (!nbd_remote_open(&w, &m, errp))
        return NULL;
    if (same_export(d, &m, errp))
        return nbd_link_new(&m);
    nbd_channel_free(m.ch);
    return NULL;
}

/* --- below: d->lock is held --- */

static void drop_dead(NbdNode *d)
{
    for (unsigned i = 0; i < d->count;) {
        NbdLink *l = d->links[i];
        if (l->dead) {
            d->links[i] = d->links[--d->count];
            if (!l->users)
                nbd_link_free(l);
        } else {
            i++;
        }
    }
}

static void *add_link(void *opaque)
{
    NbdNode *d = opaque;
    NbdLink *l = new_link(d, EXTRA_MS, &d->cancel, NULL);
    pthread_mutex_lock(&d->lock);
    if (l && !d->closing && d->count && d->count < d->connections)
        d->links[d->count++] = g_steal_pointer(&l);
    else
        d->connections = MAX(d->count, 1u); /* the server has no room: not again */
    d->adding = false;
    pthread_cond_broadcast(&d->change);
    pthread_mutex_unlock(&d->lock);
    nbd_link_free(l);
    return NULL;
}

/* The connection with the least to do. */
static NbdLink *best_link(NbdNode *d)
{
    NbdLink *best = NULL;
    drop_dead(d);
    for (unsigned i = 0; i < d->count; i++) {
        if (!best || d->links[i]->in_flight < best->in_flight)
            best = d->links[i];
    }
    if (best && best->in_flight >= BUSY && d->count < d->connections && !d->adding &&
        d->flags & NBD_FLAG_CAN_MULTI_CONN) {
        d->adding = true;
        pthread_detach(thread_start("nbd connect", add_link, d));
    }
    return best;
}

static void pause_locked(NbdNode *d, unsigned ms)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_nsec += (long)ms * 1000000;
    t.tv_sec += t.tv_nsec / 1000000000;
    t.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&d->change, &d->lock, &t);
}

static void try_connecting(NbdNode *d)
{
    Error *err = NULL;
    d->connecting = true;
    d->last_try = g_get_monotonic_time();
    pthread_mutex_unlock(&d->lock);
    NbdLink *l = new_link(d, d->reconnect_ms ? (unsigned)MIN(d->reconnect_ms, (uint64_t)TRY_MS) : EXTRA_MS, NULL, &err);
    pthread_mutex_lock(&d->lock);
    d->connecting = false;
    if (l) {
        d->links[d->count++] = l;
        d->down_since = 0;
    } else {
        error_free(err);
    }
    pthread_cond_broadcast(&d->change);
}

/* A connection, made anew if need be within reconnect-delay; NULL: there is none. */
static NbdLink *take_link(NbdNode *d)
{
    NbdLink *l;
    pthread_mutex_lock(&d->lock);
    while (!(l = best_link(d))) {
        gint64 now = g_get_monotonic_time();
        if (d->connecting) {
            pthread_cond_wait(&d->change, &d->lock);
            continue;
        }
        if (!d->down_since)
            d->down_since = now;
        bool late = now - d->down_since > (gint64)d->reconnect_ms * 1000, recent = now - d->last_try < RETRY_MS * 1000;
        if (late && recent)
            break;
        if (recent)
            pause_locked(d, RETRY_MS);
        else
            try_connecting(d);
    }
    if (l)
        l->users++;
    pthread_mutex_unlock(&d->lock);
    return l;
}

static void give_link(NbdNode *d, NbdLink *l)
{
    pthread_mutex_lock(&d->lock);
    l->users--;
    bool listed = false;
    for (unsigned i = 0; i < d->count; i++)
        listed |= d->links[i] == l;
    bool last = !listed && !l->users;
    pthread_mutex_unlock(&d->lock);
    if (last)
        nbd_link_free(l);
}

/* A request that outlives the connection: all of them may be sent twice without harm. */
static int call(NbdNode *d, NbdCall *c)
{
    gint64 first = 0;
    for (;;) {
        NbdLink *l = take_link(d);
        if (!l)
            return -EIO;
        bool context = c->type != NBD_CMD_BLOCK_STATUS || l->m.has_context;
        int r = context ? nbd_link_call(l, c) : -ENOTSUP;
        give_link(d, l);
        if (r != -ENOTCONN && r != -ESHUTDOWN)
            return r;
        gint64 now = g_get_monotonic_time();
        first = first ? first : now;
        if (now - first >= (gint64)d->reconnect_ms * 1000)
            return -EIO;
    }
}

/* --- I/O --- */

static int transfer(BlockNode *n, NbdCommand type, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt)
{
    NbdNode *d = nbd_of(n);
    if (len <= d->max_block) {
        NbdCall c = { .type = type, .offset = offset, .len = (uint32_t)len, .iov = iov, .iovcnt = iovcnt };
        return call(d, &c);
    }
    g_autofree struct iovec *part = g_new(struct iovec, iovcnt);
    int r = 0;
    for (uint64_t done = 0; done < len && !r; done += d->max_block) {
        uint32_t size = (uint32_t)MIN(len - done, (uint64_t)d->max_block);
        NbdCall c = { .type = type,
                      .offset = offset + done,
                      .len = size,
                      .iov = part,
                      .iovcnt = iov_part(part, iov, iovcnt, done, size) };
        r = call(d, &c);
    }
    return r;
}

static int nbd_preadv(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt)
{
    return transfer(n, NBD_CMD_READ, offset, len, iov, iovcnt);
}

static int nbd_pwritev(BlockNode *n, uint64_t offset, uint64_t len, const struct iovec *iov, int iovcnt, unsigned flags)
{
    return transfer(n, NBD_CMD_WRITE, offset, len, iov, iovcnt);
}

static int range(BlockNode *n, NbdCommand type, uint16_t flags, uint64_t offset, uint64_t len)
{
    int r = 0;
    for (uint64_t done = 0; done < len && !r; done += RANGE_MAX) {
        NbdCall c = {
            .type = type, .flags = flags, .offset = offset + done, .len = (uint32_t)MIN(len - done, (uint64_t)RANGE_MAX)
        };
        r = call(nbd_of(n), &c);
    }
    return r;
}

static int nbd_zeroes(BlockNode *n, uint64_t offset, uint64_t len, unsigned flags)
{
    uint16_t f = flags & BLOCK_REQ_MAY_UNMAP ? 0 : NBD_CMD_FLAG_NO_HOLE;
    bool fast = nbd_of(n)->flags & NBD_FLAG_SEND_FAST_ZERO;
    if (!(nbd_of(n)->flags & NBD_FLAG_SEND_WRITE_ZEROES) || (flags & BLOCK_REQ_NO_FALLBACK && !fast))
        return -ENOTSUP;
    int r = range(n, NBD_CMD_WRITE_ZEROES, f | (flags & BLOCK_REQ_NO_FALLBACK ? NBD_CMD_FLAG_FAST_ZERO : 0), offset,
                  len);
    return r == -EINVAL ? -ENOTSUP : r; /* old nbdkit announces what it then refuses */
}

static int nbd_discard(BlockNode *n, uint64_t offset, uint64_t len)
{
    return nbd_of(n)->flags & NBD_FLAG_SEND_TRIM ? range(n, NBD_CMD_TRIM, 0, offset, len) : -ENOTSUP;
}

static int nbd_flush(BlockNode *n)
{
    NbdCall c = { .type = NBD_CMD_FLUSH };
    return nbd_of(n)->flags & NBD_FLAG_SEND_FLUSH ? call(nbd_of(n), &c) : 0;
}

static int nbd_status(BlockNode *n, uint64_t offset, uint64_t len, BlockStatus *out)
{
    NbdCall c = { .type = NBD_CMD_BLOCK_STATUS,
                  .flags = NBD_CMD_FLAG_REQ_ONE,
                  .offset = offset,
                  .len = (uint32_t)MIN(len, (uint64_t)RANGE_MAX) };
    *out = (BlockStatus){ BLOCK_DATA | BLOCK_ALLOCATED | BLOCK_OFFSET_VALID, len, offset, n, 0 };
    int r = call(nbd_of(n), &c);
    if (r == -EIO)
        return r;
    if (r) /* the server can't tell: data */
        return 0;
    out->pnum = MIN(len, (uint64_t)c.extent_len);
    if (offset + c.extent_len > block_size(n))
        out->pnum = MIN(len, block_size(n) - offset);
    out->flags = (c.extent_flags & NBD_STATE_HOLE ? 0 : BLOCK_DATA) |
                 (c.extent_flags & NBD_STATE_ZERO ? BLOCK_ZERO : 0) | BLOCK_ALLOCATED | BLOCK_OFFSET_VALID;
    if (!(out->flags & (BLOCK_DATA | BLOCK_ZERO)) && !nbd_of(n)->bitmap)
        out->flags |= BLOCK_DATA; /* a hole that does not read as zeroes has contents all the same */
    return 0;
}

static bool nbd_truncate(BlockNode *n, uint64_t size, BlockPrealloc prealloc, Error **errp)
{
    NbdNode *d = nbd_of(n);
    NbdCall c = { .type = NBD_CMD_RESIZE, .offset = size };
    if (size == block_size(n))
        return true;
    if (!(d->flags & NBD_FLAG_SEND_RESIZE) || prealloc != PREALLOC_OFF) {
        error_setf(errp, "image '%s': its server can't resize it; resize it there", block_filename(n));
        return false;
    }
    d->size = MIN(d->size, size);
    int r = call(d, &c);
    if (r) {
        error_set_errno(errp, -r, "image '%s': the server does not resize it", block_filename(n));
        return false;
    }
    n->size = d->size = size;
    return true;
}

/* --- opening --- */

static bool take_options(BlockNode *n, Opts *o, Error **errp)
{
    NbdNode *d = nbd_of(n);
    const char *creds = opts_get(o, "tls-creds"), *export = opts_get(o, "export"),
               *context = opts_get(o, "x-dirty-bitmap");
    uint64_t reconnect, open;
    opts_get(o, "filename");
    if (!nbd_address_from_options(&d->address, o, errp) || !opts_get_bool(o, "tls", creds != NULL, &d->tls, errp) ||
        !opts_get_u64(o, "reconnect-delay", 0, &reconnect, errp) || !opts_get_u64(o, "open-timeout", 0, &open, errp) ||
        !opts_get_u64(o, "connections", CONNECTIONS, &d->connections, errp))
        return false;
    if (reconnect > G_MAXINT32 || open > G_MAXINT32 || !d->connections || d->connections > CONNECTIONS) {
        error_setf(errp, "block driver 'nbd': connections= is 1 to %d; reconnect-delay= and open-timeout= are seconds",
                   CONNECTIONS);
        return false;
    }
    d->reconnect_ms = reconnect * 1000;
    d->open_ms = open * 1000;
    d->export = g_strdup(export ? export : "");
    d->context = g_strdup(context ? context : "base:allocation");
    d->bitmap = context != NULL;
    d->hostname = g_strdup(opts_get(o, "tls-hostname"));
    d->creds = creds ? tls_creds_take(creds, false, errp) : NULL;
    return !creds || d->creds;
}

static NbdLink *first_link(NbdNode *d, Error **errp)
{
    gint64 end = g_get_monotonic_time() + (gint64)d->open_ms * 1000;
    for (;;) {
        Error *err = NULL;
        NbdLink *l = new_link(d, d->open_ms ? (unsigned)MIN(d->open_ms, (uint64_t)TRY_MS) : 0, NULL, &err);
        if (l || g_get_monotonic_time() + RETRY_MS * 1000 > end) {
            error_propagate(errp, err);
            return l;
        }
        error_free(err);
        g_usleep(RETRY_MS * 1000);
    }
}

static bool check_access(BlockNode *n, const NbdRemote *m, Error **errp)
{
    if (!(m->flags & NBD_FLAG_READ_ONLY) || !(n->flags & BLOCK_RDWR))
        return true;
    if (n->flags & BLOCK_AUTO_RDONLY) {
        n->flags &= ~(unsigned)BLOCK_RDWR;
        return true;
    }
    error_setf(errp, "image '%s': the server exports it read-only; use read-only=on", block_filename(n));
    return false;
}

static void nbd_close(BlockNode *n)
{
    NbdNode *d = nbd_of(n);
    pthread_mutex_lock(&d->lock);
    d->closing = true;
    if (d->adding)
        nbd_cancel(&d->cancel);
    while (d->adding)
        pthread_cond_wait(&d->change, &d->lock);
    pthread_mutex_unlock(&d->lock);
    while (d->count)
        nbd_link_free(d->links[--d->count]);
    if (d->creds)
        object_release(d->creds);
    nbd_address_clear(&d->address);
    g_free(d->export);
    g_free(d->hostname);
    g_free(d->context);
    pthread_mutex_destroy(&d->lock);
    pthread_cond_destroy(&d->change);
    pthread_mutex_destroy(&d->cancel.lock);
}

static bool nbd_open(BlockNode *n, Opts *o, Error **errp)
{
    NbdNode *d = nbd_of(n);
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->change, NULL);
    pthread_mutex_init(&d->cancel.lock, NULL);
    d->cancel.fd = -1;
    NbdLink *l = take_options(n, o, errp) ? first_link(d, errp) : NULL;
    if (l)
        d->links[d->count++] = l;
    if (!l || !check_access(n, &l->m, errp)) {
        nbd_close(n);
        return false;
    }
    if (!strcmp(n->filename, n->drv->name)) {
        g_free(n->filename);
        n->filename = nbd_address_uri(&d->address, d->export, d->tls);
    }
    d->writes = n->flags & BLOCK_RDWR;
    n->size = d->size = l->m.size;
    d->flags = l->m.flags;
    d->max_block = align_down(l->m.max_block, l->m.min_block);
    n->request_align = l->m.min_block;
    n->zero_align = l->m.min_block;
    return true;
}

static const char *const nbd_schemes[] = { "nbd", "nbds", "nbd+unix", "nbds+unix", "nbd+tcp", "nbds+tcp", NULL };
static const char *const nbd_options[] = { "server.type",  "server.path", "server.host",    "server.port",
                                           "path",         "host",        "port",           "export",
                                           "tls",          "tls-creds",   "tls-hostname",   "reconnect-delay",
                                           "open-timeout", "connections", "x-dirty-bitmap", NULL };
static const BlockDriver nbd_driver = {
    .name = "nbd",
    .desc = "an NBD server",
    .protocol = true,
    .instance_size = sizeof(NbdNode),
    .schemes = nbd_schemes,
    .options = nbd_options,
    .parse_filename = nbd_parse_name,
    .open = nbd_open,
    .close = nbd_close,
    .preadv = nbd_preadv,
    .pwritev = nbd_pwritev,
    .pwrite_zeroes = nbd_zeroes,
    .pdiscard = nbd_discard,
    .flush = nbd_flush,
    .status = nbd_status,
    .truncate = nbd_truncate,
};
BLOCK_DRIVER_REGISTER(nbd_driver)
