/* SPDX-License-Identifier: MIT */
/*
 * Watched eventfds. The thread that serves one may be about to do so when it goes: then it finds it closed, and the
 * memory stays until it has.
 */
#include "base/event-watch.h"

#include <sys/eventfd.h>
#include <unistd.h>

struct EventWatch {
    LockDomain *domain;
    IoThread *thread;
    EventFn *fn;
    void *opaque;
    unsigned number, id;
    int fd; /* -1: closed; under the domain */
};

int event_watch_fd(const EventWatch *w) { return w->fd; }

void event_watch_look(EventWatch *w)
{
    uint64_t count;
    if (w->fd >= 0 && read(w->fd, &count, sizeof(count)) == sizeof(count))
        w->fn(w->opaque, w->number);
}

static bool ready(int fd, unsigned events, void *opaque)
{
    EventWatch *w = opaque;
    LockDomain *domain = w->domain; /* fn may free w */
    lock_domain_lock(domain);
    event_watch_look(w);
    lock_domain_unlock(domain);
    return true;
}

EventWatch *event_watch_new(int fd, LockDomain *domain, IoThread *thread, EventFn *fn, void *opaque, unsigned number)
{
    if (fd < 0)
        fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (fd < 0)
        return NULL;
    EventWatch *w = g_new(EventWatch, 1);
    *w = (EventWatch){ .domain = domain, .thread = thread, .fn = fn, .opaque = opaque, .number = number, .fd = fd };
    w->id = thread ? iothread_watch(thread, fd, ready, w) : evloop_watch(fd, 1, ready, w);
    return w;
}

static void free_closed(void *w) { g_free(w); }

void event_watch_free(EventWatch *w)
{
    if (!w)
        return;
    if (w->thread)
        iothread_unwatch(w->thread, w->id, w->domain);
    else
        evloop_unwatch(w->id);
    close(w->fd);
    w->fd = -1;
    if (w->thread)
        g_free(w); /* unwatch has waited */
    else
        evloop_defer(NULL, free_closed, w);
}
