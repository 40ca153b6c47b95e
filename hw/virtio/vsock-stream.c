/* SPDX-License-Identifier: MIT */
/*
 * Streams of virtio-vsock and their unix sockets, by the protocol of Firecracker (docs/vsock.md there): who connects to
 * the socket says "CONNECT PORT\n" and reads "OK NUMBER\n" when the guest has accepted; where the guest connects to
 * port P of the host, a program listens at PATH_P.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/bits.h"
#include "base/evloop.h"
#include "base/log.h"
#include "hw/virtio/vsock.h"

enum { READABLE = 1, WRITABLE = 2, FIRST_PORT = 1u << 30, BACKLOG = 16 };

static bool conn_ready(int fd, unsigned ready, void *opaque);

/* ---- watching ---- */

/* The guest's room for data, by its own word. */
static uint32_t room_of(const VsockConn *c)
{
    uint32_t under_way = c->sent - c->peer_fwd;
    return under_way < c->peer_alloc ? c->peer_alloc - under_way : 0;
}

static void watch(VsockConn *c)
{
    unsigned want = 0;
    if (c->fd >= 0 && !c->host_ended &&
        (c->greeting || (c->open && c->s->rx.have && room_of(c) && !(c->guest_shut & VSOCK_SHUT_RECEIVE))))
        want |= READABLE;
    if (c->fd >= 0 && c->out->len)
        want |= WRITABLE;
    if (want == c->watch_events)
        return;
    if (c->watch)
        evloop_unwatch(c->watch);
    c->watch = want ? evloop_watch(c->fd, want, conn_ready, c) : 0;
    c->watch_events = want;
}

void vsock_watch_all(Vsock *s)
{
    for (unsigned i = 0; i < s->conns->len; i++)
        watch(s->conns->pdata[i]);
}

/* ---- coming and going ---- */

static VsockConn *conn_new(Vsock *s, int fd)
{
    VsockConn *c = g_new0(VsockConn, 1);
    *c = (VsockConn){ .s = s, .fd = fd, .out = g_byte_array_new() };
    g_ptr_array_add(s->conns, c);
    return c;
}

static void free_conn(void *c) { g_free(c); }

static void conn_free(VsockConn *c)
{
    if (c->watch)
        evloop_unwatch(c->watch);
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    g_byte_array_unref(c->out);
    g_ptr_array_remove_fast(c->s->conns, c);
    evloop_defer(NULL, free_conn, c); /* the main loop may be about to call conn_ready() */
}

void vsock_drop_all(Vsock *s)
{
    while (s->conns->len)
        conn_free(s->conns->pdata[s->conns->len - 1]);
    s->resets = 0;
}

static VsockConn *find(Vsock *s, uint32_t host_port, uint32_t guest_port)
{
    for (unsigned i = 0; i < s->conns->len; i++) {
        VsockConn *c = s->conns->pdata[i];
        if (!c->greeting && c->host_port == host_port && c->guest_port == guest_port)
            return c;
    }
    return NULL;
}

/* A stream that is not there (any more). What is too much is forgotten: the guest's own timer ends it. */
static void refuse(Vsock *s, uint32_t host_port, uint32_t guest_port)
{
    if (s->resets < VSOCK_RESETS)
        s->reset[s->resets++] = (VsockHeader){ .src_port = host_port, .dst_port = guest_port, .op = VSOCK_RST };
}

static void end_with_reset(VsockConn *c)
{
    refuse(c->s, c->host_port, c->guest_port);
    conn_free(c);
}

/* ---- from the host ---- */

static bool unix_path(const char *path, struct sockaddr_un *un)
{
    *un = (struct sockaddr_un){ .sun_family = AF_UNIX };
    return g_strlcpy(un->sun_path, path, sizeof(un->sun_path)) < sizeof(un->sun_path);
}

/* The greeting, byte by byte: what follows it is data. */
static void read_greeting(VsockConn *c)
{
    char *end;
    while (c->line_len < sizeof(c->line) - 1) {
        ssize_t n = recv(c->fd, c->line + c->line_len, 1, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0)
            break;
        if (c->line[c->line_len++] != '\n')
            continue;
        c->line[c->line_len] = 0;
        unsigned long long port = g_str_has_prefix(c->line, "CONNECT ") ? strtoull(c->line + 8, &end, 10) : UINT64_MAX;
        if (port >= UINT32_MAX || end == c->line + 8 || *end != '\n' || !virtio_running(&c->s->v))
            break;
        c->greeting = false;
        c->asked = true;
        c->guest_port = (uint32_t)port;
        c->host_port = FIRST_PORT | (c->s->next_port++ & (FIRST_PORT - 1));
        c->tell |= 1u << VSOCK_REQUEST;
        return;
    }
    conn_free(c);
}

/* Towards the socket, as much as it takes. false: the stream has ended. */
static bool flush(VsockConn *c)
{
    while (c->out->len) {
        ssize_t n = send(c->fd, c->out->data, c->out->len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            break;
        if (n <= 0)
            return false;
        g_byte_array_remove_range(c->out, 0, (guint)n);
        c->fwd_cnt += (uint32_t)n;
    }
    if (!c->out->len && c->guest_shut & VSOCK_SHUT_SEND)
        shutdown(c->fd, SHUT_WR);
    if (c->fwd_cnt - c->told_fwd >= VSOCK_BUFFER / 4)
        c->tell |= 1u << VSOCK_CREDIT_UPDATE;
    return true;
}

/* The guest has ended it, and the last byte is gone: a reset is the answer (5.10.6.5). */
static void flush_or_end(VsockConn *c)
{
    if (!flush(c) || (c->guest_shut == (VSOCK_SHUT_RECEIVE | VSOCK_SHUT_SEND) && !c->out->len))
        end_with_reset(c);
}

static void serve(VsockConn *c, unsigned ready)
{
    Vsock *s = c->s;
    if (c->greeting)
        read_greeting(c);
    else if (ready & WRITABLE)
        flush_or_end(c);
    vsock_kick(s);
}

static bool conn_ready(int fd, unsigned ready, void *opaque)
{
    VsockConn *c = opaque;
    LockDomain *domain = c->s->v.dev->domain;
    lock_domain_lock(domain);
    if (c->fd >= 0) /* else it went while we waited for the lock */
        serve(c, ready);
    lock_domain_unlock(domain);
    return true;
}

static bool accept_ready(int fd, unsigned ready, void *opaque)
{
    Vsock *s = opaque;
    LockDomain *domain = s->proxy.dev.domain;
    int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (peer < 0)
        return true;
    lock_domain_lock(domain);
    if (s->conns->len < VSOCK_CONNECTIONS) {
        VsockConn *c = conn_new(s, peer);
        c->greeting = true;
        watch(c);
    } else {
        close(peer);
    }
    lock_domain_unlock(domain);
    return true;
}

bool vsock_listen(Vsock *s, Error **errp)
{
    struct sockaddr_un un;
    const char *id = s->proxy.dev.id;
    if (!unix_path(s->uds, &un)) {
        error_setf(errp, "device '%s': uds=%s is longer than %zu bytes", id, s->uds, sizeof(un.sun_path) - 1);
        return false;
    }
    s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->listener < 0 || bind(s->listener, (struct sockaddr *)&un, sizeof(un)) || listen(s->listener, BACKLOG)) {
        error_setf(errp, "device '%s': can't listen at '%s': %s%s", id, s->uds, g_strerror(errno),
                   errno == EADDRINUSE ? "; remove what a program before has left there" : "");
        if (s->listener >= 0)
            close(s->listener);
        s->listener = -1;
        return false;
    }
    s->listen_watch = evloop_watch(s->listener, READABLE, accept_ready, s);
    return true;
}

void vsock_unlisten(Vsock *s)
{
    if (s->listener < 0)
        return;
    evloop_unwatch(s->listen_watch);
    close(s->listener);
    unlink(s->uds);
    s->listener = -1;
}

/* ---- from the guest ---- */

static void connect_to_host(Vsock *s, const VsockHeader *h)
{
    g_autofree char *path = g_strdup_printf("%s_%u", s->uds, h->dst_port);
    struct sockaddr_un un;
    int fd = s->conns->len < VSOCK_CONNECTIONS && unix_path(path, &un)
                 ? socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)
                 : -1;
    if (fd < 0 || connect(fd, (struct sockaddr *)&un, sizeof(un))) {
        if (fd >= 0)
            close(fd);
        refuse(s, h->dst_port, h->src_port);
        return;
    }
    VsockConn *c = conn_new(s, fd);
    c->host_port = h->dst_port;
    c->guest_port = h->src_port;
    c->open = true;
    c->peer_alloc = h->buf_alloc;
    c->peer_fwd = h->fwd_cnt;
    c->tell = 1u << VSOCK_RESPONSE;
}

static void accepted(VsockConn *c)
{
    g_autofree char *line = g_strdup_printf("OK %u\n", c->host_port);
    c->asked = false;
    c->open = true;
    if (send(c->fd, line, strlen(line), MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)strlen(line))
        end_with_reset(c);
}

static void take_data(VsockConn *c, const VsockHeader *h, const DmaVec *v)
{
    uint8_t piece[4096];
    if (!c->open || h->len > VSOCK_BUFFER - c->out->len || c->guest_shut & VSOCK_SHUT_SEND) {
        log_guest_error(c->s->v.dev->id, "%u bytes of data where there is room for %u", h->len,
                        VSOCK_BUFFER - c->out->len);
        end_with_reset(c);
        return;
    }
    for (uint32_t done = 0; done < h->len;) {
        size_t n = virtq_gather(v, VSOCK_HEADER + done, piece, MIN(sizeof(piece), h->len - done));
        if (!n)
            break;
        g_byte_array_append(c->out, piece, (guint)n);
        done += (uint32_t)n;
    }
    flush_or_end(c);
}

static void shut(VsockConn *c, const VsockHeader *h)
{
    c->guest_shut |= h->flags & (VSOCK_SHUT_RECEIVE | VSOCK_SHUT_SEND);
    flush_or_end(c);
}

void vsock_take(Vsock *s, const VsockHeader *h, const DmaVec *data)
{
    VsockConn *c = find(s, h->dst_port, h->src_port);
    if (h->dst_cid != VSOCK_HOST_CID || h->type != VSOCK_STREAM || (!c && h->op != VSOCK_REQUEST)) {
        if (h->op != VSOCK_RST)
            refuse(s, h->dst_port, h->src_port);
        return;
    }
    if (h->op == VSOCK_REQUEST) {
        if (c)
            end_with_reset(c);
        else
            connect_to_host(s, h);
        return;
    }
    c->peer_alloc = h->buf_alloc;
    c->peer_fwd = h->fwd_cnt;
    switch (h->op) {
    case VSOCK_RESPONSE:
        if (c->asked)
            accepted(c);
        else
            end_with_reset(c);
        break;
    case VSOCK_RST: conn_free(c); break;
    case VSOCK_SHUTDOWN: shut(c, h); break;
    case VSOCK_RW: take_data(c, h, data); break;
    case VSOCK_CREDIT_UPDATE: break;
    case VSOCK_CREDIT_REQUEST: c->tell |= 1u << VSOCK_CREDIT_UPDATE; break;
    default:
        log_guest_error(s->v.dev->id, "operation %u is not known", h->op);
        end_with_reset(c);
    }
}

/* ---- what is to be sent ---- */

static bool next_of(VsockConn *c, VsockHeader *h, uint8_t *data, uint32_t room)
{
    if (c->tell) {
        h->op = (uint16_t)__builtin_ctz(c->tell);
        c->tell &= (uint16_t)(c->tell - 1);
        return true;
    }
    uint32_t want = MIN(room, room_of(c));
    if (!c->open || c->host_ended || !want || c->guest_shut & VSOCK_SHUT_RECEIVE)
        return false;
    ssize_t n = recv(c->fd, data, want, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    c->host_ended = n <= 0;
    h->op = n > 0 ? VSOCK_RW : VSOCK_SHUTDOWN;
    h->len = n > 0 ? (uint32_t)n : 0;
    h->flags = n > 0 ? 0 : VSOCK_SHUT_SEND;
    c->sent += h->len;
    return true;
}

/*
 * Refusals first, then one packet of the first stream that has one; a stream that was served goes to the end of the
 * list.
 */
bool vsock_next(Vsock *s, VsockHeader *h, uint8_t *data, uint32_t room)
{
    bool found = s->resets;
    *h = (VsockHeader){ 0 };
    if (found) {
        *h = s->reset[0];
        memmove(s->reset, s->reset + 1, --s->resets * sizeof(s->reset[0]));
    }
    for (unsigned i = 0; !found && i < s->conns->len; i++) {
        VsockConn *c = s->conns->pdata[i];
        if (c->greeting || !next_of(c, h, data, room))
            continue;
        found = true;
        h->src_port = c->host_port;
        h->dst_port = c->guest_port;
        h->fwd_cnt = c->told_fwd = c->fwd_cnt;
        g_ptr_array_remove_index(s->conns, i);
        g_ptr_array_add(s->conns, c);
    }
    h->src_cid = VSOCK_HOST_CID;
    h->dst_cid = s->cid;
    h->type = VSOCK_STREAM;
    h->buf_alloc = VSOCK_BUFFER;
    return found;
}
