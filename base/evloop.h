/* SPDX-License-Identifier: MIT */
/* The main loop: a GLib main context plus timers, file descriptors and deferred calls. */
#ifndef BASE_EVLOOP_H
#define BASE_EVLOOP_H

#include <stdbool.h>
#include "base/clock.h"

void evloop_init(void);
/* Run until evloop_quit(status); returns the status. */
int evloop_run(void);
/* Any thread, also a signal handler. */
void evloop_quit(int status);
/* One iteration; for tests. */
bool evloop_iterate(bool may_block);
bool evloop_is_main_thread(void);

/* Call fn(opaque) soon in the main thread with `domain` held; any thread. */
void evloop_defer(LockDomain *domain, void (*fn)(void *opaque), void *opaque);

/*
 * Watch a file descriptor; fn runs in the main thread without a lock. events: 1 = readable, 2 = writable. Returns an id
 * for evloop_unwatch(). fn returns false to end the watch.
 */
typedef bool EvFdFn(int fd, unsigned ready, void *opaque);
unsigned evloop_watch(int fd, unsigned events, EvFdFn *fn, void *opaque);
void evloop_unwatch(unsigned id);
#endif
