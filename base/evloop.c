/* SPDX-License-Identifier: MIT */
/* The main loop over the default GLib context. */
#include "base/evloop.h"

#include <glib-unix.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "base/thread.h"

static pthread_t main_thread;
static int quit_fd = -1; /* an eventfd, so that a signal handler can end the loop */
static int quit_status;
static bool quit_wanted;

static void __attribute__((constructor)) remember_main_thread(void)
{
    main_thread = pthread_self();
}

static gboolean quit_ready(int fd, GIOCondition condition, void *opaque)
{
    uint64_t count;
    if (read(fd, &count, sizeof(count)) < 0)
        return G_SOURCE_CONTINUE;
    return G_SOURCE_CONTINUE;
}

void evloop_init(void)
{
    main_thread = pthread_self();
    __atomic_store_n(&quit_wanted, false, __ATOMIC_RELAXED);
    if (quit_fd >= 0)
        return;
    quit_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    g_assert(quit_fd >= 0);
    g_unix_fd_add(quit_fd, G_IO_IN, quit_ready, NULL);
}

int evloop_run(void)
{
    while (!__atomic_load_n(&quit_wanted, __ATOMIC_ACQUIRE))
        g_main_context_iteration(NULL, true);
    __atomic_store_n(&quit_wanted, false, __ATOMIC_RELAXED);
    return quit_status;
}

void evloop_quit(int status)
{
    quit_status = status;
    __atomic_store_n(&quit_wanted, true, __ATOMIC_RELEASE);
    uint64_t one = 1;
    if (write(quit_fd, &one, sizeof(one)) < 0)
        return; /* the counter is full: the loop wakes up anyway */
}

bool evloop_iterate(bool may_block)
{
    return g_main_context_iteration(NULL, may_block);
}

bool evloop_is_main_thread(void)
{
    return pthread_equal(pthread_self(), main_thread);
}

typedef struct Deferred {
    LockDomain *domain;
    void (*fn)(void *opaque);
    void *opaque;
} Deferred;

static gboolean run_deferred(void *opaque)
{
    Deferred *d = opaque;
    lock_domain_lock(d->domain);
    d->fn(d->opaque);
    lock_domain_unlock(d->domain);
    return G_SOURCE_REMOVE;
}

void evloop_defer(LockDomain *domain, void (*fn)(void *opaque), void *opaque)
{
    Deferred *d = g_new(Deferred, 1);
    *d = (Deferred){ domain, fn, opaque };
    GSource *s = g_idle_source_new();
    g_source_set_priority(s, G_PRIORITY_DEFAULT);
    g_source_set_callback(s, run_deferred, d, g_free);
    g_source_attach(s, NULL);
    g_source_unref(s);
}

typedef struct Watch {
    EvFdFn *fn;
    void *opaque;
} Watch;

static gboolean watch_ready(int fd, GIOCondition condition, void *opaque)
{
    Watch *w = opaque;
    /* Hang-up and error show as readable: the reader then sees the end or the errno. */
    unsigned ready = (condition & (G_IO_IN | G_IO_HUP | G_IO_ERR) ? 1 : 0) |
                     (condition & (G_IO_OUT | G_IO_ERR) ? 2 : 0);
    return w->fn(fd, ready, w->opaque);
}

unsigned evloop_watch(int fd, unsigned events, EvFdFn *fn, void *opaque)
{
    Watch *w = g_new(Watch, 1);
    *w = (Watch){ fn, opaque };
    GIOCondition c = (events & 1 ? G_IO_IN | G_IO_HUP : 0) | (events & 2 ? G_IO_OUT : 0) | G_IO_ERR;
    return g_unix_fd_add_full(G_PRIORITY_DEFAULT, fd, c, watch_ready, w, g_free);
}

void evloop_unwatch(unsigned id)
{
    if (id)
        g_source_remove(id);
}
