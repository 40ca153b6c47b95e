/* SPDX-License-Identifier: MIT */
/* -object iothread: threads that serve devices' queues (iothread=ID) instead of the vCPUs that rang for them. */
#ifndef BASE_IOTHREAD_H
#define BASE_IOTHREAD_H

#include "base/evloop.h"
#include "base/object.h"
#include "base/thread.h"
#include "base/uring.h"

typedef struct IoThread IoThread; /* starts with an Object of kind "iothread" */

/*
 * A function that the thread calls when asked, with `domain` held; asked again before it ran, it runs once. Part of the
 * caller's structure.
 */
typedef struct IoCall {
    LockDomain *domain;
    void (*fn)(void *opaque);
    void *opaque;
    /* private */
    bool queued;
    struct IoCall *next;
} IoCall;

/* For a device's property: NULL and *errp when there is no such object. release: NULL is allowed. Main thread. */
IoThread *iothread_take(const char *id, Error **errp);
void iothread_release(IoThread *t);
Uring *iothread_ring(const IoThread *t); /* of requests that end in this thread; NULL: the kernel has none for us */

bool iothread_is_current(const IoThread *t);
void iothread_call(IoThread *t, IoCall *c); /* any thread */
/*
 * Afterwards c does not run; true when it had been asked for and has not run. Under the call's domain, which is dropped
 * while fn is about to run.
 */
bool iothread_cancel(IoThread *t, IoCall *c);
/*
 * evloop_watch() in this thread. After unwatch fn does not run; `domain`, which the caller holds, is dropped while it
 * is about to. Any thread.
 */
unsigned iothread_watch(IoThread *t, int fd, EvFdFn *fn, void *opaque);
void iothread_unwatch(IoThread *t, unsigned id, LockDomain *domain);

/* For `info iothreads`. */
typedef struct IoThreadInfo {
    const char *id;
    int thread_id;
    uint64_t poll_max_ns, poll_grow, poll_shrink, aio_max_batch;
    /* what it has done: queues served when asked, by descriptor; batches of ended requests */
    uint64_t calls, watched, reaped;
} IoThreadInfo;
void iothread_info(Object *o, IoThreadInfo *out);
#endif
