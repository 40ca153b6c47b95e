/* SPDX-License-Identifier: MIT */
/* Doorbells by file descriptor: a watched eventfd and its places in the memory map. */
#include "hw/core/doorbell.h"
#include "hw/core/event-doors.h"

enum { PLACES_MAX = 2 };

struct Doorbell {
    EventWatch *event;
    unsigned places;
    struct { MemRegion *region; MemNotifier at; } place[PLACES_MAX];
};

bool doorbells_possible(void) { return event_doors()->notifiers; }
void doorbell_look(Doorbell *b) { event_watch_look(b->event); }

Doorbell *doorbell_new(LockDomain *domain, IoThread *thread, EventFn *rung, void *opaque, unsigned number)
{
    EventWatch *event = event_watch_new(-1, domain, thread, rung, opaque, number);
    if (!event)
        return NULL;
    Doorbell *b = g_new0(Doorbell, 1);
    b->event = event;
    return b;
}

void doorbell_add_place(Doorbell *b, MemRegion *r, MemNotifier where)
{
    g_assert(b->places < PLACES_MAX);
    where.fd = event_watch_fd(b->event);
    b->place[b->places].region = r;
    b->place[b->places++].at = where;
    mem_add_notifier(r, &where);
}

void doorbell_free(Doorbell *b)
{
    if (!b)
        return;
    for (unsigned i = 0; i < b->places; i++)
        mem_remove_notifier(b->place[i].region, &b->place[i].at);
    event_watch_free(b->event);
    g_free(b);
}
