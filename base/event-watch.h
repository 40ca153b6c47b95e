/* SPDX-License-Identifier: MIT */
/*
 * An eventfd that somebody serves: the main loop or an I/O thread calls a function under a lock domain when it has been
 * signalled.
 */
#ifndef BASE_EVENT_WATCH_H
#define BASE_EVENT_WATCH_H

#include "base/iothread.h"
#include "base/thread.h"

typedef struct EventWatch EventWatch;
typedef void EventFn(void *opaque, unsigned number); /* it was signalled, once or more often; under the domain */

/*
 * All under `domain`. fd: an eventfd, which is the watch's from now on; -1: it makes one. thread: NULL: the main loop
 * serves it. `number` is for fn. NULL when the host has no descriptor left.
 */
EventWatch *event_watch_new(int fd, LockDomain *domain, IoThread *thread, EventFn *fn, void *opaque, unsigned number);
int event_watch_fd(const EventWatch *w);
/* Calls fn now if it was signalled and nobody has come to it: the machine stands and is about to be saved. */
void event_watch_look(EventWatch *w);
/*
 * Closes the descriptor; fn does not run any more, and may be what calls this. `domain` is dropped while an I/O thread
 * is about to run fn. NULL: no-op.
 */
void event_watch_free(EventWatch *w);
#endif
