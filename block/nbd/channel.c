/* SPDX-License-Identifier: MIT */
/* Sending and receiving whole messages, with and without TLS. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "block/driver.h"
#include "block/nbd/channel.h"
#include "block/nbd/proto.h"

enum { TLS_RECORD = 16 << 10 };

NbdChannel *nbd_channel_new(int fd)
{
    NbdChannel *c = g_new(NbdChannel, 1);
    c->fd = fd;
    c->tls = NULL;
    c->from = c->to = 0;
    return c;
}

void nbd_channel_free(NbdChannel *c)
{
    if (!c)
        return;
    tls_session_free(c->tls, false);
    close(c->fd);
    g_free(c);
}

void nbd_channel_shutdown(NbdChannel *c) { shutdown(c->fd, SHUT_RDWR); }

void nbd_channel_timeout(NbdChannel *c, unsigned seconds)
{
    struct timeval t = { .tv_sec = seconds };
    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
    setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof t);
}

static ssize_t receive_some(NbdChannel *c, void *buf, size_t len)
{
    ssize_t r;
    if (c->tls)
        return tls_session_recv(c->tls, buf, len);
    do {
        r = recv(c->fd, buf, len, 0);
    } while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : r;
}

/* What is in the buffer first; small rests through the buffer, large ones past it. */
static int receive(NbdChannel *c, void *buf, size_t len, bool first)
{
    uint8_t *p = buf;
    while (len) {
        if (c->from < c->to) {
            size_t n = MIN(len, c->to - c->from);
            memcpy(p, c->buf + c->from, n);
            c->from += n;
            p += n;
            len -= n;
            first = false;
            continue;
        }
        bool past = len >= NBD_BUFFER / 2;
        ssize_t r = past ? receive_some(c, p, len) : receive_some(c, c->buf, NBD_BUFFER);
        if (r <= 0)
            return r == 0 ? first ? -ENODATA : -EPIPE : r == -EAGAIN ? -ETIMEDOUT : (int)r;
        first = false;
        if (past) {
            p += r;
            len -= (size_t)r;
        } else {
            c->from = 0;
            c->to = (size_t)r;
        }
    }
    return 0;
}

int nbd_recv(NbdChannel *c, void *buf, size_t len) { return receive(c, buf, len, true); }

int nbd_recvv(NbdChannel *c, const struct iovec *iov, int iovcnt, size_t skip, size_t len)
{
    int r = 0;
    for (int i = 0; i < iovcnt && len && !r; i++) {
        if (skip >= iov[i].iov_len) {
            skip -= iov[i].iov_len;
            continue;
        }
        size_t n = MIN(len, iov[i].iov_len - skip);
        r = receive(c, (uint8_t *)iov[i].iov_base + skip, n, false);
        skip = 0;
        len -= n;
    }
    return r;
}

int nbd_recv_drop(NbdChannel *c, uint64_t len)
{
    uint8_t sink[4096];
    int r = 0;
    for (; len && !r; len -= MIN(len, sizeof sink))
        r = receive(c, sink, MIN(len, sizeof sink), false);
    return r;
}

static void consume(struct iovec **iov, int *iovcnt, size_t n)
{
    while (*iovcnt && n >= (*iov)->iov_len) {
        n -= (*iov)->iov_len;
        ++*iov;
        --*iovcnt;
    }
    if (*iovcnt && n) {
        (*iov)->iov_base = (uint8_t *)(*iov)->iov_base + n;
        (*iov)->iov_len -= n;
    }
}

/* Records of TLS are filled from several pieces: a header does not travel alone. */
static ssize_t send_tls(NbdChannel *c, const struct iovec *iov, int iovcnt)
{
    uint8_t record[TLS_RECORD];
    size_t n = MIN(iov_bytes(iov, iovcnt), sizeof record);
    if (iovcnt == 1 || iov->iov_len >= n)
        return tls_session_send(c->tls, iov->iov_base, iov->iov_len);
    size_t filled = 0;
    for (int i = 0; i < iovcnt && filled < n; i++) {
        size_t part = MIN(n - filled, iov[i].iov_len);
        memcpy(record + filled, iov[i].iov_base, part);
        filled += part;
    }
    return tls_session_send(c->tls, record, n);
}

int nbd_sendv(NbdChannel *c, struct iovec *iov, int iovcnt)
{
    while (iovcnt && !iov->iov_len) {
        iov++;
        iovcnt--;
    }
    while (iovcnt) {
        struct msghdr m = { .msg_iov = iov, .msg_iovlen = (size_t)MIN(iovcnt, BLOCK_IOV_MAX) };
        ssize_t r = c->tls ? send_tls(c, iov, iovcnt) : sendmsg(c->fd, &m, MSG_NOSIGNAL);
        if (r < 0 && !c->tls)
            r = -errno;
        if (r == -EINTR)
            continue;
        if (r < 0)
            return r == -EAGAIN ? -ETIMEDOUT : (int)r;
        consume(&iov, &iovcnt, (size_t)r);
    }
    return 0;
}

int nbd_send(NbdChannel *c, const void *buf, size_t len)
{
    struct iovec one = { (void *)buf, len };
    return nbd_sendv(c, &one, 1);
}

/* --- names --- */

const char *nbd_option_name(uint32_t option)
{
    static const char *const names[] = { "",
                                         "EXPORT_NAME",
                                         "ABORT",
                                         "LIST",
                                         "PEEK_EXPORT",
                                         "STARTTLS",
                                         "INFO",
                                         "GO",
                                         "STRUCTURED_REPLY",
                                         "LIST_META_CONTEXT",
                                         "SET_META_CONTEXT",
                                         "EXTENDED_HEADERS" };
    return option < sizeof names / sizeof *names ? names[option] : "?";
}

const char *nbd_reply_text(uint32_t reply)
{
    static const char *const texts[] = { "an unknown error",
                                         "it does not know the option",
                                         "its policy forbids it",
                                         "it finds the option invalid",
                                         "its platform can't",
                                         "it wants TLS first; use tls-creds=",
                                         "it has no export of that name",
                                         "it is shutting down",
                                         "it wants block sizes to be asked for",
                                         "the request is too large" };
    uint32_t n = reply - NBD_REP_ERR(0);
    return texts[n < sizeof texts / sizeof *texts ? n : 0];
}
