/* SPDX-License-Identifier: MIT */
/* Lines by file descriptor: one that raises, one by which the accelerator tells of the end of the interrupt. */
#include "hw/core/line-door.h"

#include <sys/eventfd.h>
#include <unistd.h>
#include "hw/core/event-doors.h"

struct LineDoor {
    unsigned gsi;
    int fd;
    EventWatch *ended;
    bool up; /* raised, and its end has not been told */
    bool (*wants)(void *opaque);
    void *opaque;
};

void line_door_update(LineDoor *l)
{
    const uint64_t one = 1;
    if (!l->up && l->wants(l->opaque))
        l->up = write(l->fd, &one, sizeof(one)) == sizeof(one);
}

static void ended(void *opaque, unsigned number)
{
    LineDoor *l = opaque;
    l->up = false;
    line_door_update(l);
}

static void drop(LineDoor *l)
{
    event_watch_free(l->ended);
    if (l->fd >= 0)
        close(l->fd);
    g_free(l);
}

LineDoor *line_door_new(const Irq *wire, LockDomain *domain, bool (*wants)(void *opaque), void *opaque)
{
    int gsi = event_doors_line(wire);
    if (gsi < 0)
        return NULL;
    LineDoor *l = g_new(LineDoor, 1);
    *l = (LineDoor){
        .gsi = (unsigned)gsi, .fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), .wants = wants, .opaque = opaque
    };
    l->ended = event_watch_new(-1, domain, NULL, ended, l, 0);
    if (l->fd >= 0 && l->ended && event_doors()->line_fd(l->gsi, l->fd, event_watch_fd(l->ended), true))
        return l;
    drop(l);
    return NULL;
}

void line_door_free(LineDoor *l)
{
    if (!l)
        return;
    if (event_doors()->line_fd)
        event_doors()->line_fd(l->gsi, l->fd, event_watch_fd(l->ended), false);
    drop(l);
}
