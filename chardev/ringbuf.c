/* SPDX-License-Identifier: MIT */
/* Back ends without a peer: null, and a ring buffer in memory. */
#include <string.h>
#include "chardev/chardev-internal.h"

static bool null_open(Chardev *c, Opts *o, Error **errp)
{
    chr_event(c, CHR_OPENED);
    return true;
}

static void null_close(Chardev *c) {}
static size_t null_write(Chardev *c, const uint8_t *data, size_t len) { return len; }

const ChardevBackend chardev_null = {
    .name = "null", .help = "takes everything, gives nothing", .size = sizeof(Chardev), .open = null_open,
    .close = null_close, .write = null_write,
};

typedef struct RingBuf {
    Chardev c;
    uint8_t *data;
    size_t size, head, used; /* head: oldest byte */
} RingBuf;

#define RINGBUF_MAX (64 * MiB)

static bool ringbuf_open(Chardev *c, Opts *o, Error **errp)
{
    RingBuf *r = (RingBuf *)c;
    uint64_t size;
    if (!opts_get_size(o, "size", 64 * KiB, &size, errp))
        return false;
    if (!is_pow2(size) || size > RINGBUF_MAX) {
        error_setf(errp, "size=%" G_GUINT64_FORMAT " is not a power of two up to 64M", size);
        return false;
    }
    r->size = size;
    r->data = g_malloc(size);
    chr_event(c, CHR_OPENED);
    return true;
}

static void ringbuf_close(Chardev *c)
{
    g_free(((RingBuf *)c)->data);
}

static size_t ringbuf_write(Chardev *c, const uint8_t *data, size_t len)
{
    RingBuf *r = (RingBuf *)c;
    for (size_t i = 0; i < len; i++) {
        r->data[(r->head + r->used) % r->size] = data[i];
        if (r->used < r->size)
            r->used++;
        else
            r->head = (r->head + 1) % r->size; /* the oldest goes */
    }
    return len;
}

char *chardev_ringbuf_read(Chardev *c, size_t max, size_t *len, Error **errp)
{
    if (c->ops != &chardev_ringbuf) {
        error_setf(errp, "chardev '%s': it is no ring buffer", c->id);
        return NULL;
    }
    RingBuf *r = (RingBuf *)c;
    pthread_mutex_lock(&c->lock);
    size_t n = MIN(max, r->used);
    char *text = g_malloc(n + 1);
    for (size_t i = 0; i < n; i++)
        text[i] = (char)r->data[(r->head + i) % r->size];
    text[n] = '\0';
    r->head = (r->head + n) % r->size;
    r->used -= n;
    pthread_mutex_unlock(&c->lock);
    *len = n;
    return text;
}

static const char *const ringbuf_options[] = { "size", NULL };
const ChardevBackend chardev_ringbuf = {
    .name = "ringbuf", .help = "keeps the last bytes of output in memory", .options = ringbuf_options,
    .size = sizeof(RingBuf), .open = ringbuf_open, .close = ringbuf_close, .write = ringbuf_write,
};
