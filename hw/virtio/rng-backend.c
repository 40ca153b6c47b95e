/* SPDX-License-Identifier: MIT */
/*
 * Sources of random bytes. Requests wait in a list; the main thread serves the first one when its source has something.
 */
#include "hw/virtio/rng-backend.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>
#include "base/bits.h"
#include "base/evloop.h"
#include "base/log.h"
#include "chardev/chardev.h"

enum { PIECE_MAX = 4096, EGD_MAX = 255, EGD_BLOCKING_READ = 2 };

typedef struct Request {
    size_t len;
    RngDoneFn *done;
    void *opaque;
} Request;

struct RngBackend {
    Object object;
    pthread_mutex_t lock; /* of the list */
    GQueue *requests;     /* of Request */
    char *filename;
    Chardev *chardev;
    int fd;
    unsigned watch, want /* bytes that the EGD daemon has been asked for and still owes */;
    bool attached;
};

typedef struct RngType {
    ObjectType object; /* always first */
    void (*serve)(RngBackend *b); /* there are requests; main thread */
} RngType;

/* ---- the list ---- */

static bool first(RngBackend *b, Request *out)
{
    pthread_mutex_lock(&b->lock);
    Request *r = g_queue_peek_head(b->requests);
    if (r)
        *out = *r;
    pthread_mutex_unlock(&b->lock);
    return r;
}

/* The first request gets what there is. */
static void give(RngBackend *b, const uint8_t *data, size_t len)
{
    pthread_mutex_lock(&b->lock);
    Request *r = g_queue_pop_head(b->requests);
    pthread_mutex_unlock(&b->lock);
    if (!r)
        return;
    r->done(r->opaque, data, MIN(len, r->len));
    g_free(r);
}

static void serve(void *opaque)
{
    Object *o = object_find(opaque, RNG_BACKEND_KIND); /* it may be gone by now */
    Request r;
    if (o && first((RngBackend *)o, &r))
        ((const RngType *)o->type)->serve((RngBackend *)o);
    g_free(opaque);
}

void rng_request(RngBackend *b, size_t len, RngDoneFn *done, void *opaque)
{
    Request *r = g_new(Request, 1);
    *r = (Request){ MIN(len, PIECE_MAX), done, opaque };
    pthread_mutex_lock(&b->lock);
    g_queue_push_tail(b->requests, r);
    pthread_mutex_unlock(&b->lock);
    evloop_defer(NULL, serve, g_strdup(b->object.id));
}

void rng_cancel(RngBackend *b, void *opaque)
{
    pthread_mutex_lock(&b->lock);
    for (GList *l = b->requests->head, *next; l; l = next) {
        next = l->next;
        if (((Request *)l->data)->opaque != opaque)
            continue;
        g_free(l->data);
        g_queue_delete_link(b->requests, l);
    }
    pthread_mutex_unlock(&b->lock);
}

RngBackend *rng_take(const char *id, Error **errp)
{
    static const char own[] = "rng-default";
    if (!id && !object_find(own, NULL) && !object_new("rng-builtin", own, errp, NULL))
        return NULL;
    return (RngBackend *)object_take(id ? id : own, RNG_BACKEND_KIND, errp);
}

/* ---- common ---- */

static void begin(RngBackend *b)
{
    b->fd = -1;
    b->requests = g_queue_new();
    pthread_mutex_init(&b->lock, NULL);
}

static void finalize(Object *o)
{
    RngBackend *b = (RngBackend *)o;
    if (b->watch)
        evloop_unwatch(b->watch);
    if (b->attached)
        chardev_detach(b->chardev, b);
    if (!b->requests)
        return;
    if (b->fd >= 0)
        close(b->fd);
    g_queue_free_full(b->requests, g_free);
    pthread_mutex_destroy(&b->lock);
}

/* ---- rng-builtin: the host's own generator ---- */

static bool builtin_complete(Object *o, Error **errp)
{
    begin((RngBackend *)o);
    return true;
}

static void builtin_serve(RngBackend *b)
{
    uint8_t data[PIECE_MAX];
    Request r;
    while (first(b, &r)) {
        for (size_t done = 0; done < r.len;) {
            ssize_t n = getrandom(data + done, r.len - done, 0);
            done += n > 0 ? (size_t)n : 0;
        }
        give(b, data, r.len);
    }
}

/* ---- rng-random: a file ---- */

static bool file_ready(int fd, unsigned ready, void *opaque)
{
    RngBackend *b = opaque;
    uint8_t data[PIECE_MAX];
    Request r;
    if (first(b, &r)) {
        ssize_t n = read(fd, data, r.len);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return true;
        if (n <= 0) {
            warn_reportf("object '%s': '%s' gives no more bytes: %s", b->object.id, b->filename,
                         n ? g_strerror(errno) : "it is at its end");
            b->watch = 0;
            return false;
        }
        give(b, data, (size_t)n);
    }
    if (first(b, &r))
        return true;
    b->watch = 0;
    return false;
}

static bool file_complete(Object *o, Error **errp)
{
    RngBackend *b = (RngBackend *)o;
    begin(b);
    b->fd = open(b->filename, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (b->fd < 0)
        error_setf(errp, "object '%s': can't open '%s': %s; give filename= of a source of random bytes", o->id,
                   b->filename, g_strerror(errno));
    return b->fd >= 0;
}

static void file_serve(RngBackend *b)
{
    if (!b->watch)
        b->watch = evloop_watch(b->fd, 1, file_ready, b);
}

/* ---- rng-egd: a daemon behind a character device (protocol of the Entropy Gathering Daemon) ---- */

static void egd_serve(RngBackend *b)
{
    Request r;
    if (b->want || !first(b, &r))
        return;
    const uint8_t ask[2] = { EGD_BLOCKING_READ, (uint8_t)MIN(r.len, EGD_MAX) };
    if (chardev_write(b->chardev, ask, sizeof(ask)) != sizeof(ask))
        return;
    b->want = ask[1];
    chardev_accept_input(b->chardev);
}

static size_t egd_room(void *opaque) { return ((RngBackend *)opaque)->want; }

static void egd_receive(void *opaque, const uint8_t *data, size_t len)
{
    RngBackend *b = opaque;
    b->want -= (unsigned)MIN(len, b->want);
    give(b, data, len);
    if (!b->want)
        egd_serve(b);
}

static void egd_event(void *opaque, ChardevEvent event)
{
    RngBackend *b = opaque;
    if (event != CHR_OPENED && event != CHR_CLOSED)
        return;
    b->want = 0;
    if (event == CHR_OPENED)
        egd_serve(b);
}

static bool egd_complete(Object *o, Error **errp)
{
    RngBackend *b = (RngBackend *)o;
    const ChardevFrontend fe = { .can_read = egd_room, .receive = egd_receive, .event = egd_event, .opaque = b };
    begin(b);
    if (!b->chardev)
        error_setf(errp, "object '%s': no daemon; add chardev=ID of a -chardev", o->id);
    b->attached = b->chardev && chardev_attach(b->chardev, &fe, errp);
    return b->attached;
}

/* ---- types ---- */

static const Property file_props[] = {
    DEFINE_PROP_STRING("filename", RngBackend, filename, "/dev/urandom", "file to read"), DEFINE_PROP_END
};
static const Property egd_props[] = { DEFINE_PROP_CHARDEV("chardev", RngBackend, chardev), DEFINE_PROP_END };
#define COMMON .kind = RNG_BACKEND_KIND, .size = sizeof(RngBackend), .finalize = finalize
static const RngType builtin_type = {
    { .name = "rng-builtin", .desc = "random bytes of the host's kernel", .complete = builtin_complete, COMMON },
    builtin_serve
};
static const RngType file_type = {
    { .name = "rng-random", .desc = "random bytes of a file", .props = file_props, .complete = file_complete, COMMON },
    file_serve
};
static const RngType egd_type = {
    { .name = "rng-egd", .desc = "random bytes of a daemon", .props = egd_props, .complete = egd_complete, COMMON },
    egd_serve
};

static void __attribute__((constructor)) register_types(void)
{
    object_type_register(&builtin_type.object);
    object_type_register(&file_type.object);
    object_type_register(&egd_type.object);
}
