/* SPDX-License-Identifier: MIT */
/* Doorbells by file descriptor: eventfd, places in the memory map, the main loop's watch. */
#include "hw/core/doorbell.h"
#include <sys/eventfd.h>
#include <unistd.h>
#include "base/evloop.h"
#include "hw/core/event-doors.h"

enum { PLACES_MAX = 2 };

struct Doorbell {
    LockDomain *domain;
    IoThread *thread;
    DoorbellFn *rung;
    void *opaque;
    unsigned number, watch, places;
    int fd; /* -1: closed, under the domain */
    struct { MemRegion *region; MemNotifier at; } place[PLACES_MAX];
};

bool doorbells_possible(void) { return event_doors()->notifiers; }

void doorbell_look(Doorbell *b)
{
    uint64_t count;
    if (b->fd >= 0 && read(b->fd, &count, sizeof(count)) == sizeof(count))
        b->rung(b->opaque, b->number);
}

static bool ready(int fd, unsigned events, void *opaque)
{
    Doorbell *b = opaque;
    lock_domain_lock(b->domain);
    doorbell_look(b);
    lock_domain_unlock(b->domain);
    return true;
}

Doorbell *doorbell_new(LockDomain *domain, IoThread *thread, DoorbellFn *rung, void *opaque, unsigned number)
{
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (fd < 0)
        return NULL;
    Doorbell *b = g_new(Doorbell, 1);
    *b = (Doorbell){ .domain = domain, .thread = thread, .rung = rung, .opaque = opaque, .number = number, .fd = fd };
    b->watch = thread ? iothread_watch(thread, fd, ready, b) : evloop_watch(fd, 1, ready, b);
    return b;
}

void doorbell_add_place(Doorbell *b, MemRegion *r, MemNotifier where)
{
    g_assert(b->places < PLACES_MAX);
    where.fd = b->fd;
    b->place[b->places].region = r;
    b->place[b->places++].at = where;
    mem_add_notifier(r, &where);
}

static void free_closed(void *opaque) { g_free(opaque); }

void doorbell_free(Doorbell *b)
{
    if (!b)
        return;
    for (unsigned i = 0; i < b->places; i++)
        mem_remove_notifier(b->place[i].region, &b->place[i].at);
    if (b->thread)
        iothread_unwatch(b->thread, b->watch, b->domain);
    else
        evloop_unwatch(b->watch);
    close(b->fd);
    b->fd = -1;
    if (b->thread) {
        g_free(b);
        return;
    }
    evloop_defer(NULL, free_closed, b); /* the main loop may be about to call ready() */
}
