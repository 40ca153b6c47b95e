/* SPDX-License-Identifier: MIT */
/* File descriptors as a back end: watched input, output with a bounded buffer. */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "chardev/chardev-internal.h"

enum { READ_MAX = 4096, PIECE_MAX = 4096 };

void fdport_init(FdPort *p, Chardev *c, int in, int out)
{
    p->c = c;
    p->in = in;
    p->out = out;
    p->in_watch = p->out_watch = 0;
    if (!p->pending)
        p->pending = g_byte_array_new();
}

static bool in_ready(int fd, unsigned ready, void *opaque)
{
    FdPort *p = opaque;
    uint8_t buf[READ_MAX];
    size_t wanted = chr_can_read(p->c), room = MIN(wanted, sizeof(buf)); /* the next answer may be another one */
    if (!room) {
        p->in_watch = 0; /* until fdport_accept_input() */
        return false;
    }
    ssize_t n = read(fd, buf, room);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (n <= 0) {
        p->in_watch = 0;
        p->in = -1;
        if (p->closed)
            p->closed(p);
        return false;
    }
    size_t len = p->filter ? p->filter(p, buf, (size_t)n) : (size_t)n;
    if (len)
        chr_receive(p->c, buf, len);
    return p->in_watch != 0; /* the front end may have closed the port */
}

void fdport_accept_input(FdPort *p)
{
    if (p->in >= 0 && !p->in_watch && chr_can_read(p->c))
        p->in_watch = evloop_watch(p->in, 1, in_ready, p);
}

/* One attempt that does not block; -1 with errno as write(). */
static ssize_t try_write(FdPort *p, const uint8_t *data, size_t len)
{
    if (p->is_socket)
        return send(p->out, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    struct pollfd pfd = { .fd = p->out, .events = POLLOUT };
    if (poll(&pfd, 1, 0) == 0) {
        errno = EAGAIN;
        return -1;
    }
    return write(p->out, data, MIN(len, PIECE_MAX));
}

/* Bytes written; a peer that is gone swallows the rest. */
static size_t write_some(FdPort *p, const uint8_t *data, size_t len)
{
    size_t done = 0;
    while (done < len) {
        ssize_t n = try_write(p, data + done, len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0)
            return len;
        done += (size_t)n;
    }
    return done;
}

static bool out_ready(int fd, unsigned ready, void *opaque)
{
    FdPort *p = opaque;
    pthread_mutex_lock(&p->c->lock);
    size_t n = write_some(p, p->pending->data, p->pending->len);
    if (n) {
        g_byte_array_remove_range(p->pending, 0, (guint)n);
        p->c->stuck = false;
    }
    bool more = p->pending->len > 0;
    if (!more)
        p->out_watch = 0;
    pthread_mutex_unlock(&p->c->lock);
    return more;
}

size_t fdport_write(FdPort *p, const uint8_t *data, size_t len)
{
    if (p->out < 0)
        return len; /* nobody listens */
    size_t done = p->pending->len ? 0 : write_some(p, data, len);
    size_t keep = MIN(len - done, FD_PENDING_MAX - p->pending->len);
    if (keep) {
        g_byte_array_append(p->pending, data + done, (guint)keep);
        if (!p->out_watch)
            p->out_watch = evloop_watch(p->out, 2, out_ready, p);
    }
    return done + keep;
}

void fdport_flush(FdPort *p, int timeout_ms)
{
    int64_t end = clock_ns(CLOCK_REALTIME_NS) + timeout_ms * INT64_C(1000000);
    pthread_mutex_lock(&p->c->lock);
    while (p->out >= 0 && p->pending && p->pending->len && clock_ns(CLOCK_REALTIME_NS) < end) {
        struct pollfd pfd = { .fd = p->out, .events = POLLOUT };
        if (poll(&pfd, 1, 10) > 0)
            g_byte_array_remove_range(p->pending, 0, (guint)write_some(p, p->pending->data, p->pending->len));
    }
    pthread_mutex_unlock(&p->c->lock);
}

void fdport_fini(FdPort *p)
{
    if (!p->pending)
        return;
    pthread_mutex_lock(&p->c->lock);
    evloop_unwatch(p->in_watch);
    evloop_unwatch(p->out_watch);
    p->in_watch = p->out_watch = 0;
    p->in = p->out = -1;
    g_byte_array_free(p->pending, true);
    p->pending = NULL;
    pthread_mutex_unlock(&p->c->lock);
}
