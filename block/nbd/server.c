/* SPDX-License-Identifier: MIT */
/* The NBD server: listening, connections, exports. */
#include <poll.h>
#include <stdarg.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>
#include "base/thread.h"
#include "block/nbd/server-internal.h"

enum { MAX_LISTENERS = 8 };

struct NbdServer {
    pthread_mutex_t lock;
    pthread_cond_t change;
    GPtrArray *exports, *gone, *conns; /* gone: removed, and perhaps still looked at by a client */
    int listeners[MAX_LISTENERS], wake;
    unsigned count, max_clients, served;
    bool started, stopping, interrupted;
    Object *creds;
    pthread_t acceptor;
    void (*log)(const char *line);
};

Object *nbd_server_creds(NbdServer *s) { return s->creds; }
bool nbd_server_shared(NbdServer *s) { return s->max_clients != 1; }
void nbd_server_set_log(NbdServer *s, void (*log)(const char *line)) { s->log = log; }

void nbd_server_log(NbdServer *s, const char *fmt, ...)
{
    if (!s->log)
        return;
    va_list ap;
    va_start(ap, fmt);
    g_autofree char *line = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    s->log(line);
}

static void wake_acceptor(NbdServer *s)
{
    ssize_t ignored = write(s->wake, &(uint64_t){ 1 }, 8);
    (void)ignored;
}

/* --- exports --- */

static NbdExport *find_locked(NbdServer *s, const char *name)
{
    for (unsigned i = 0; i < s->exports->len; i++) {
        NbdExport *e = s->exports->pdata[i];
        if (!strcmp(e->name, name))
            return e;
    }
    return NULL;
}

NbdExport *nbd_export_find(NbdServer *s, const char *name)
{
    pthread_mutex_lock(&s->lock);
    NbdExport *e = find_locked(s, name);
    if (e)
        e->refs++;
    pthread_mutex_unlock(&s->lock);
    return e;
}

/* Never the last one: the server's lists have one. */
void nbd_export_unref(NbdServer *s, NbdExport *e)
{
    pthread_mutex_lock(&s->lock);
    e->refs--;
    pthread_mutex_unlock(&s->lock);
}

/* Images are closed in the main thread. */
static void export_free(NbdExport *e)
{
    for (unsigned i = 0; i < e->bitmaps->len; i++)
        block_bitmap_release(e->bitmaps->pdata[i]);
    g_ptr_array_unref(e->bitmaps);
    g_ptr_array_unref(e->bitmap_names);
    block_unref(e->node);
    g_free(e->name);
    g_free(e->description);
    g_free(e);
}

static void free_gone(NbdServer *s)
{
    for (unsigned i = s->gone->len; i-- > 0;) {
        NbdExport *e = s->gone->pdata[i];
        pthread_mutex_lock(&s->lock);
        bool last = e->refs == 1;
        pthread_mutex_unlock(&s->lock);
        if (last) {
            g_ptr_array_remove_index_fast(s->gone, i);
            export_free(e);
        }
    }
}

void nbd_export_names(NbdServer *s, GPtrArray *out)
{
    pthread_mutex_lock(&s->lock);
    for (unsigned i = 0; i < s->exports->len; i++) {
        NbdExport *e = s->exports->pdata[i];
        e->refs++;
        g_ptr_array_add(out, e);
    }
    pthread_mutex_unlock(&s->lock);
}

void nbd_conn_attach(NbdConn *c, NbdExport *e)
{
    pthread_mutex_lock(&c->server->lock);
    c->export = e;
    e->clients++;
    bool gone = e->removed;
    pthread_mutex_unlock(&c->server->lock);
    if (gone)
        nbd_channel_shutdown(c->ch);
}

static bool check_config(const NbdExportConfig *c, Error **errp)
{
    uint64_t size = block_size(c->node);
    if (strlen(c->name) > NBD_NAME_MAX || (c->description && strlen(c->description) > NBD_NAME_MAX)) {
        error_setf(errp, "an export's name and description have at most %d characters", NBD_NAME_MAX);
        return false;
    }
    if (c->offset > size || c->size > size - c->offset) {
        error_setf(errp,
                   "export '%s': offset %" G_GUINT64_FORMAT " and size %" G_GUINT64_FORMAT
                   " reach beyond the image '%s' of %" G_GUINT64_FORMAT " bytes",
                   c->name, (guint64)c->offset, (guint64)c->size, block_filename(c->node), (guint64)size);
        return false;
    }
    if (c->writable && !block_writable(c->node)) {
        error_setf(errp, "export '%s': image '%s' is open read-only; export it read-only", c->name,
                   block_filename(c->node));
        return false;
    }
    return true;
}

/* The image's own, or one of its backing files'. */
static bool hold_bitmaps(NbdExport *e, const NbdExportConfig *c, Error **errp)
{
    for (unsigned i = 0; c->bitmaps && c->bitmaps[i]; i++) {
        BlockBitmap *b = NULL;
        for (BlockNode *n = c->node; n && !b; n = block_backing(n))
            b = block_bitmap_find(n, c->bitmaps[i], NULL);
        if (!b)
            return block_bitmap_find(c->node, c->bitmaps[i], errp);
        if (i >= NBD_BITMAPS) {
            error_setf(errp, "export '%s': more than %d bitmaps", c->name, NBD_BITMAPS);
            return false;
        }
        if (!block_bitmap_hold(b, errp))
            return false;
        g_ptr_array_add(e->bitmaps, b);
        g_ptr_array_add(e->bitmap_names, g_strdup(c->bitmaps[i]));
    }
    return true;
}

bool nbd_server_add(NbdServer *s, const NbdExportConfig *c, Error **errp)
{
    free_gone(s);
    if (!check_config(c, errp))
        return false;
    NbdExport *e = g_new0(NbdExport, 1);
    *e = (NbdExport){ g_strdup(c->name),
                      g_strdup(c->description),
                      block_ref(c->node),
                      c->writable,
                      c->depth,
                      false,
                      c->offset,
                      c->size,
                      g_ptr_array_new(),
                      g_ptr_array_new_with_free_func(g_free),
                      1,
                      0 };
    if (!hold_bitmaps(e, c, errp)) {
        export_free(e);
        return false;
    }
    pthread_mutex_lock(&s->lock);
    bool taken = find_locked(s, c->name);
    if (!taken)
        g_ptr_array_add(s->exports, e);
    pthread_mutex_unlock(&s->lock);
    if (taken) {
        error_setf(errp, "export '%s': there is one of that name already; choose another name", c->name);
        export_free(e);
    }
    return !taken;
}

static void cut_clients_locked(NbdServer *s, const NbdExport *e)
{
    for (unsigned i = 0; i < s->conns->len; i++) {
        NbdConn *c = s->conns->pdata[i];
        if (!e || c->export == e)
            nbd_channel_shutdown(c->ch);
    }
}

bool nbd_server_remove(NbdServer *s, const char *name, bool force, Error **errp)
{
    pthread_mutex_lock(&s->lock);
    NbdExport *e = find_locked(s, name);
    unsigned clients = e ? e->clients : 0;
    bool ok = e && (force || !clients);
    if (ok) {
        e->removed = true;
        g_ptr_array_remove(s->exports, e);
        cut_clients_locked(s, e);
        while (e->clients)
            pthread_cond_wait(&s->change, &s->lock);
        g_ptr_array_add(s->gone, e);
    }
    pthread_mutex_unlock(&s->lock);
    if (!e)
        error_setf(errp, "export '%s': the NBD server has none of that name", name);
    else if (!ok)
        error_setf(errp, "export '%s' has %u clients; disconnect them, or remove it with -f", name, clients);
    free_gone(s);
    return ok;
}

bool nbd_server_has(NbdServer *s, const char *name)
{
    pthread_mutex_lock(&s->lock);
    bool has = find_locked(s, name);
    pthread_mutex_unlock(&s->lock);
    return has;
}

void nbd_server_print(NbdServer *s, GString *out)
{
    pthread_mutex_lock(&s->lock);
    for (unsigned i = 0; i < s->exports->len; i++) {
        NbdExport *e = s->exports->pdata[i];
        g_string_append_printf(out, "'%s': %s, %" G_GUINT64_FORMAT " bytes, %s, %u client%s\n", e->name,
                               block_filename(e->node), (guint64)nbd_export_size(e),
                               e->writable ? "writable" : "read-only", e->clients, e->clients == 1 ? "" : "s");
    }
    pthread_mutex_unlock(&s->lock);
}

/* --- connections --- */

static void *conn_thread(void *opaque)
{
    NbdConn *c = opaque;
    NbdServer *s = c->server;
    nbd_channel_timeout(c->ch, NBD_HANDSHAKE_SECONDS);
    if (nbd_haggle(c)) {
        nbd_channel_timeout(c->ch, 0);
        nbd_transmit(c);
    }
    nbd_server_log(s, "client has gone%s%s", c->export ? ", it used export " : "", c->export ? c->export->name : "");
    pthread_mutex_lock(&s->lock);
    g_ptr_array_remove_fast(s->conns, c);
    if (c->export) {
        c->export->clients--;
        c->export->refs--;
    }
    pthread_mutex_unlock(&s->lock);
    nbd_channel_free(c->ch);
    pthread_mutex_destroy(&c->lock);
    pthread_mutex_destroy(&c->send_lock);
    pthread_cond_destroy(&c->change);
    pthread_cond_destroy(&c->lead_free);
    g_free(c->contexts_of);
    g_free(c);
    pthread_mutex_lock(&s->lock);
    s->count--;
    wake_acceptor(s);
    pthread_cond_broadcast(&s->change);
    pthread_mutex_unlock(&s->lock); /* s may be gone after it */
    return NULL;
}

static void accept_one(NbdServer *s, int listener)
{
    int one = 1, fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
            usleep(100000); /* until others have gone */
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
    NbdConn *c = g_new0(NbdConn, 1);
    c->server = s;
    c->ch = nbd_channel_new(fd);
    c->budget = NBD_BUDGET;
    pthread_mutex_init(&c->lock, NULL);
    pthread_mutex_init(&c->send_lock, NULL);
    pthread_cond_init(&c->change, NULL);
    pthread_cond_init(&c->lead_free, NULL);
    pthread_mutex_lock(&s->lock);
    s->count++;
    s->served++;
    g_ptr_array_add(s->conns, c);
    pthread_mutex_unlock(&s->lock);
    nbd_server_log(s, "a client has come");
    pthread_detach(thread_start("nbd client", conn_thread, c));
}

static void *acceptor(void *opaque)
{
    NbdServer *s = opaque;
    struct pollfd p[MAX_LISTENERS + 1];
    unsigned n = 0;
    while (n < MAX_LISTENERS && s->listeners[n] >= 0) {
        p[n] = (struct pollfd){ s->listeners[n], POLLIN, 0 };
        n++;
    }
    p[n] = (struct pollfd){ s->wake, POLLIN, 0 };
    for (;;) {
        pthread_mutex_lock(&s->lock);
        bool stop = s->stopping, full = s->max_clients && s->count >= s->max_clients;
        pthread_mutex_unlock(&s->lock);
        if (stop)
            return NULL;
        if (poll(full ? p + n : p, full ? 1 : n + 1, -1) <= 0)
            continue;
        if (p[n].revents) {
            uint64_t ignored;
            ssize_t r = read(s->wake, &ignored, 8);
            (void)r;
            p[n].revents = 0;
            continue;
        }
        for (unsigned i = 0; i < n; i++) {
            if (p[i].revents) {
                accept_one(s, p[i].fd);
                break; /* the limit is looked at again */
            }
        }
    }
}

/* --- life --- */

NbdServer *nbd_server_new(const int *fds, unsigned count, Object *creds, unsigned max_clients)
{
    NbdServer *s = g_new0(NbdServer, 1);
    g_assert(count && count <= MAX_LISTENERS);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->change, NULL);
    s->exports = g_ptr_array_new();
    s->gone = g_ptr_array_new();
    s->conns = g_ptr_array_new();
    for (unsigned i = 0; i < MAX_LISTENERS; i++)
        s->listeners[i] = i < count ? fds[i] : -1;
    s->wake = eventfd(0, EFD_CLOEXEC);
    g_assert(s->wake >= 0);
    s->creds = creds;
    s->max_clients = max_clients;
    return s;
}

void nbd_server_start(NbdServer *s)
{
    s->acceptor = thread_start("nbd server", acceptor, s);
    s->started = true;
}

void nbd_server_free(NbdServer *s)
{
    pthread_mutex_lock(&s->lock);
    s->stopping = true;
    pthread_mutex_unlock(&s->lock);
    wake_acceptor(s);
    if (s->started)
        pthread_join(s->acceptor, NULL);
    for (unsigned i = 0; i < MAX_LISTENERS && s->listeners[i] >= 0; i++)
        close(s->listeners[i]);
    pthread_mutex_lock(&s->lock);
    cut_clients_locked(s, NULL);
    while (s->count)
        pthread_cond_wait(&s->change, &s->lock);
    pthread_mutex_unlock(&s->lock);
    g_ptr_array_extend_and_steal(s->gone, s->exports);
    free_gone(s);
    g_ptr_array_unref(s->gone);
    g_ptr_array_unref(s->conns);
    close(s->wake);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->change);
    g_free(s);
}

void nbd_server_wait(NbdServer *s, bool until_idle)
{
    pthread_mutex_lock(&s->lock);
    while (!s->interrupted && !(until_idle && s->served && !s->count))
        pthread_cond_wait(&s->change, &s->lock);
    pthread_mutex_unlock(&s->lock);
}

void nbd_server_interrupt(NbdServer *s)
{
    pthread_mutex_lock(&s->lock);
    s->interrupted = true;
    pthread_cond_broadcast(&s->change);
    pthread_mutex_unlock(&s->lock);
}

unsigned nbd_server_clients(NbdServer *s)
{
    pthread_mutex_lock(&s->lock);
    unsigned n = s->count;
    pthread_mutex_unlock(&s->lock);
    return n;
}
