/* SPDX-License-Identifier: MIT */
/* Threads that RCU knows, and recursive lock domains. */
#include "base/thread.h"

#include <glib.h>
#include "base/rcu.h"

struct LockDomain {
    pthread_mutex_t mutex;
    const void *owner; /* thread mark of the holder; atomic */
    unsigned depth;    /* the holder's */
    char *name;
};

static __thread char thread_mark; /* its address is the thread's identity */

LockDomain *lock_domain_new(const char *name)
{
    LockDomain *d = g_new0(LockDomain, 1);
    pthread_mutex_init(&d->mutex, NULL);
    d->name = g_strdup(name);
    return d;
}

void lock_domain_free(LockDomain *d)
{
    if (!d)
        return;
    g_assert(!d->depth);
    pthread_mutex_destroy(&d->mutex);
    g_free(d->name);
    g_free(d);
}

bool lock_domain_held(const LockDomain *d)
{
    return __atomic_load_n(&d->owner, __ATOMIC_RELAXED) == &thread_mark;
}

void lock_domain_lock(LockDomain *d)
{
    if (!d)
        return;
    if (!lock_domain_held(d)) {
        pthread_mutex_lock(&d->mutex);
        __atomic_store_n(&d->owner, &thread_mark, __ATOMIC_RELAXED);
    }
    d->depth++;
}

void lock_domain_unlock(LockDomain *d)
{
    if (!d)
        return;
    g_assert(lock_domain_held(d));
    if (--d->depth)
        return;
    __atomic_store_n(&d->owner, NULL, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&d->mutex);
}

LockDomain *machine_domain(void)
{
    static LockDomain machine = { .mutex = PTHREAD_MUTEX_INITIALIZER, .name = (char *)"machine" };
    return &machine;
}

typedef struct StartArgs {
    char name[16]; /* the kernel's limit for a thread name */
    void *(*fn)(void *);
    void *opaque;
} StartArgs;

static void *thread_main(void *opaque)
{
    StartArgs a = *(StartArgs *)opaque;
    g_free(opaque);
    pthread_setname_np(pthread_self(), a.name);
    rcu_register_thread();
    void *result = a.fn(a.opaque);
    rcu_unregister_thread();
    return result;
}

pthread_t thread_start(const char *name, void *(*fn)(void *), void *opaque)
{
    StartArgs *a = g_new0(StartArgs, 1);
    g_strlcpy(a->name, name, sizeof(a->name));
    a->fn = fn;
    a->opaque = opaque;
    pthread_t thread;
    int err = pthread_create(&thread, NULL, thread_main, a);
    g_assert(!err);
    return thread;
}

static void __attribute__((constructor)) register_main_thread(void)
{
    rcu_register_thread();
}
