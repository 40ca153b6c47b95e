/* SPDX-License-Identifier: MIT */
/* A pseudo-terminal that somebody else opens. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>
#include "chardev/chardev-internal.h"

typedef struct Pty {
    Chardev c;
    FdPort port;
    int fd;
    Timer *look; /* polls for a peer: the master end gives no event when the other side is opened */
} Pty;

#define LOOK_NS INT64_C(100000000)

static void look_later(Pty *p)
{
    timer_arm(p->look, clock_ns(CLOCK_REALTIME_NS) + LOOK_NS);
}

static void peer_gone(FdPort *port)
{
    Pty *p = (Pty *)port->c;
    fdport_fini(&p->port);
    chr_event(&p->c, CHR_CLOSED);
    look_later(p);
}

static void look_for_peer(void *opaque)
{
    Pty *p = opaque;
    struct pollfd pfd = { .fd = p->fd, .events = POLLIN };
    poll(&pfd, 1, 0);
    if (pfd.revents & POLLHUP) {
        look_later(p);
        return;
    }
    pthread_mutex_lock(&p->c.lock);
    fdport_init(&p->port, &p->c, p->fd, p->fd);
    p->port.closed = peer_gone;
    pthread_mutex_unlock(&p->c.lock);
    chr_event(&p->c, CHR_OPENED);
    fdport_accept_input(&p->port);
}

static bool make_pty(Pty *p, char *name, size_t size)
{
    p->fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    if (p->fd < 0 || grantpt(p->fd) || unlockpt(p->fd) || ptsname_r(p->fd, name, size))
        return false;
    int peer = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC); /* raw from the start; and the master then reports hang-up */
    if (peer < 0)
        return false;
    struct termios t;
    tcgetattr(peer, &t);
    cfmakeraw(&t);
    tcsetattr(peer, TCSANOW, &t);
    close(peer);
    return true;
}

static bool pty_open(Chardev *c, Opts *o, Error **errp)
{
    Pty *p = (Pty *)c;
    char name[64];
    p->look = timer_new(CLOCK_REALTIME_NS, NULL, look_for_peer, p);
    if (!make_pty(p, name, sizeof(name))) {
        error_set_errno(errp, errno, "the host gives no pseudo-terminal");
        return false;
    }
    c->label = g_strdup_printf("pty:%s", name);
    info_reportf("char device redirected to %s (label %s)", name, c->id);
    look_later(p);
    return true;
}

static void pty_close(Chardev *c)
{
    Pty *p = (Pty *)c;
    timer_free(p->look);
    if (p->port.pending)
        fdport_flush(&p->port, 100);
    fdport_fini(&p->port);
    if (p->fd >= 0)
        close(p->fd);
}

static size_t pty_write(Chardev *c, const uint8_t *data, size_t len)
{
    Pty *p = (Pty *)c;
    return p->port.pending ? fdport_write(&p->port, data, len) : len;
}

static void pty_accept_input(Chardev *c)
{
    Pty *p = (Pty *)c;
    if (p->port.pending)
        fdport_accept_input(&p->port);
}

static int pty_wait_fd(Chardev *c) { return ((Pty *)c)->port.pending ? ((Pty *)c)->fd : -1; }

const ChardevBackend chardev_pty = {
    .name = "pty", .help = "a new pseudo-terminal; its name is printed", .size = sizeof(Pty), .open = pty_open,
    .close = pty_close, .write = pty_write, .accept_input = pty_accept_input, .wait_fd = pty_wait_fd,
};
