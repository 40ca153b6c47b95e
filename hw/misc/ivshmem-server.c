/* SPDX-License-Identifier: MIT */
/*
 * Talking with the server of ivshmem-doorbell: messages of eight bytes, little-endian, with file descriptors beside
 * them.
 */
#include "hw/misc/ivshmem.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/bits.h"

enum { WAIT_MS = 10000, VERSION = 0 };

void ivshmem_link_init(IvshmemLink *l, int socket) { *l = (IvshmemLink){ .socket = socket, .fd = -1 }; }

void ivshmem_link_close(IvshmemLink *l)
{
    if (l->fd >= 0)
        close(l->fd);
    if (l->socket >= 0)
        close(l->socket);
    *l = (IvshmemLink){ .socket = -1, .fd = -1 };
}

/* Of the descriptors that came only one belongs to a message. */
static void take_fds(IvshmemLink *l, struct msghdr *msg)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        int fd[4];
        size_t n = MIN((c->cmsg_len - CMSG_LEN(0)) / sizeof(int), ARRAY_LEN(fd));
        memcpy(fd, CMSG_DATA(c), n * sizeof(int));
        for (size_t i = 0; i < n; i++) {
            if (l->fd >= 0)
                close(fd[i]);
            else
                l->fd = fd[i];
        }
    }
}

static ssize_t receive(IvshmemLink *l, bool wait)
{
    union { char bytes[CMSG_SPACE(4 * sizeof(int))]; struct cmsghdr align; } control;
    struct iovec iov = { l->part + l->have, sizeof(l->part) - l->have };
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
    };
    struct pollfd pfd = { .fd = l->socket, .events = POLLIN };
    if (wait && poll(&pfd, 1, WAIT_MS) <= 0)
        return -2;
    ssize_t n = recvmsg(l->socket, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? -2 : -1;
    take_fds(l, &msg);
    return n ? n : -1;
}

int ivshmem_link_read(IvshmemLink *l, bool wait, IvshmemMessage *out)
{
    while (l->have < sizeof(l->part)) {
        ssize_t n = receive(l, wait);
        if (n < 0)
            return n == -2 ? 0 : -1;
        l->have += (unsigned)n;
    }
    *out = (IvshmemMessage){ (int64_t)load_le64(l->part), l->fd };
    l->have = 0;
    l->fd = -1;
    return 1;
}

static bool bad(const char *what, IvshmemMessage *m, Error **errp)
{
    if (m->fd >= 0)
        close(m->fd);
    error_setf(errp, "the ivshmem server %s", what);
    return false;
}

bool ivshmem_link_greet(IvshmemLink *l, uint16_t *id, int *memory, Error **errp)
{
    IvshmemMessage m = { .fd = -1 };
    if (ivshmem_link_read(l, true, &m) != 1)
        return bad("says nothing; is it one of the same protocol?", &m, errp);
    if (m.value != VERSION || m.fd >= 0)
        return bad("speaks another version of the protocol than 0", &m, errp);
    if (ivshmem_link_read(l, true, &m) != 1 || m.value < 0 || m.value >= IVSHMEM_PEERS || m.fd >= 0)
        return bad("gave no number of ours", &m, errp);
    *id = (uint16_t)m.value;
    if (ivshmem_link_read(l, true, &m) != 1 || m.value != -1 || m.fd < 0)
        return bad("gave no memory", &m, errp);
    *memory = m.fd;
    return true;
}
