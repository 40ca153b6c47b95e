/* SPDX-License-Identifier: MIT */
/* I/O threads: each waits for calls, file descriptors and its io_uring. */
#include "base/clock.h"
#include "base/iothread.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

typedef struct Watch {
    unsigned id;
    int fd;
    EvFdFn *fn;
    void *opaque;
} Watch;

struct IoThread {
    Object object;
    uint64_t poll_max_ns, poll_grow, poll_shrink, aio_max_batch;
    pthread_t thread;
    bool started;
    _Atomic int tid;
    int wake;                /* eventfd */
    Uring *ring;
    pthread_mutex_t lock;    /* of what follows */
    pthread_cond_t ran;
    IoCall *first, **last, *running;
    GArray *watches;         /* of Watch */
    unsigned next_id;
    bool asleep, quit;
    uint64_t round;          /* odd: it serves what was watched when the round began */
    _Atomic uint64_t calls, watched, reaped;
};

static __thread IoThread *current;

/* Under the lock. */
static Watch *find_watch(IoThread *t, unsigned id)
{
    for (unsigned i = 0; i < t->watches->len; i++) {
        Watch *w = &g_array_index(t->watches, Watch, i);
        if (w->id == id)
            return w;
    }
    return NULL;
}

/* --- the thread --- */

/* Under the lock, which is dropped around the call. */
static bool run_one(IoThread *t)
{
    IoCall *c = t->first;
    if (!c)
        return false;
    t->first = c->next;
    c->queued = false;
    t->running = c;
    LockDomain *domain = c->domain;
    pthread_mutex_unlock(&t->lock);
    lock_domain_lock(domain);
    c->fn(c->opaque); /* c may be gone after it */
    lock_domain_unlock(domain);
    t->calls++;
    pthread_mutex_lock(&t->lock);
    t->running = NULL;
    pthread_cond_broadcast(&t->ran);
    return true;
}

static bool run_calls(IoThread *t)
{
    bool any = false;
    uring_plug();
    pthread_mutex_lock(&t->lock);
    while (run_one(t))
        any = true;
    pthread_mutex_unlock(&t->lock);
    uring_unplug();
    return any;
}

static bool reap(IoThread *t)
{
    bool any = t->ring && uring_reap(t->ring);
    t->reaped += any;
    return any;
}

/* Looks for work without sleeping for a while (poll-max-ns=). */
static bool spin(IoThread *t)
{
    int64_t stop = clock_ns(CLOCK_REALTIME_NS) + (int64_t)t->poll_max_ns;
    while (t->poll_max_ns && clock_ns(CLOCK_REALTIME_NS) < stop) {
        if (run_calls(t) || reap(t))
            return true;
    }
    return false;
}

static void serve_watch(IoThread *t, const struct pollfd *p, const Watch *w)
{
    pthread_mutex_lock(&t->lock);
    bool there = p->revents && find_watch(t, w->id);
    pthread_mutex_unlock(&t->lock);
    t->watched += there;
    if (there && !w->fn(w->fd, 1, w->opaque))
        iothread_unwatch(t, w->id, NULL);
}

/* True: asked to end. */
static bool sleep_and_serve(IoThread *t)
{
    pthread_mutex_lock(&t->lock);
    unsigned n = t->watches->len;
    g_autofree Watch *w = g_memdup2(t->watches->data, n * sizeof(Watch));
    bool ready = t->first, quit = t->quit && !ready;
    t->asleep = !ready;
    t->round += !quit;
    pthread_mutex_unlock(&t->lock);
    if (quit)
        return true;
    g_autofree struct pollfd *p = g_new0(struct pollfd, n + 2);
    for (unsigned i = 0; i < n; i++)
        p[i] = (struct pollfd){ .fd = w[i].fd, .events = POLLIN };
    p[n] = (struct pollfd){ .fd = t->wake, .events = POLLIN };
    p[n + 1] = (struct pollfd){ .fd = t->ring ? uring_fd(t->ring) : -1, .events = POLLIN };
    int r = poll(p, n + 2, ready ? 0 : -1);
    pthread_mutex_lock(&t->lock);
    t->asleep = false;
    pthread_mutex_unlock(&t->lock);
    eventfd_t count;
    if (r > 0 && p[n].revents)
        eventfd_read(t->wake, &count);
    uring_plug();
    for (unsigned i = 0; r > 0 && i < n; i++)
        serve_watch(t, &p[i], &w[i]);
    uring_unplug();
    pthread_mutex_lock(&t->lock);
    t->round++;
    pthread_cond_broadcast(&t->ran);
    pthread_mutex_unlock(&t->lock);
    return false;
}

static void *thread_main(void *opaque)
{
    IoThread *t = opaque;
    current = t;
    t->tid = gettid();
    do {
        while (run_calls(t) || reap(t) || spin(t))
            continue;
    } while (!sleep_and_serve(t));
    return NULL;
}

/* Under the lock. */
static void wake(IoThread *t)
{
    if (t->asleep)
        eventfd_write(t->wake, 1);
    t->asleep = false;
}

/* --- for devices --- */

bool iothread_is_current(const IoThread *t) { return current == t; }

void iothread_call(IoThread *t, IoCall *c)
{
    pthread_mutex_lock(&t->lock);
    if (!c->queued) {
        c->queued = true;
        c->next = NULL;
        if (!t->first)
            t->last = &t->first;
        *t->last = c;
        t->last = &c->next;
        wake(t);
    }
    pthread_mutex_unlock(&t->lock);
}

static void take_out(IoThread *t, IoCall *c)
{
    IoCall **p = &t->first;
    while (*p != c)
        p = &(*p)->next;
    *p = c->next;
    if (t->last == &c->next)
        t->last = p;
    c->queued = false;
}

/* Until the thread is out of this round of watches, or does not run c. */
static void wait_for_thread(IoThread *t, LockDomain *domain, uint64_t round, const IoCall *c)
{
    unsigned held = 0;
    for (; domain && lock_domain_held(domain); held++)
        lock_domain_unlock(domain);
    pthread_mutex_lock(&t->lock);
    while (c ? t->running == c : t->round == round)
        pthread_cond_wait(&t->ran, &t->lock);
    pthread_mutex_unlock(&t->lock);
    for (; held; held--)
        lock_domain_lock(domain);
}

bool iothread_cancel(IoThread *t, IoCall *c)
{
    pthread_mutex_lock(&t->lock);
    bool queued = c->queued;
    if (queued)
        take_out(t, c);
    bool runs = t->running == c && !iothread_is_current(t);
    pthread_mutex_unlock(&t->lock);
    if (runs)
        wait_for_thread(t, c->domain, 0, c);
    return queued;
}

unsigned iothread_watch(IoThread *t, int fd, EvFdFn *fn, void *opaque)
{
    pthread_mutex_lock(&t->lock);
    Watch w = { ++t->next_id, fd, fn, opaque };
    g_array_append_val(t->watches, w);
    wake(t);
    pthread_mutex_unlock(&t->lock);
    return w.id;
}

void iothread_unwatch(IoThread *t, unsigned id, LockDomain *domain)
{
    pthread_mutex_lock(&t->lock);
    Watch *w = find_watch(t, id);
    if (w)
        g_array_remove_index(t->watches, (guint)(w - &g_array_index(t->watches, Watch, 0)));
    wake(t);
    uint64_t round = t->round;
    pthread_mutex_unlock(&t->lock);
    if (round & 1 && !iothread_is_current(t))
        wait_for_thread(t, domain, round, NULL);
}

Uring *iothread_ring(const IoThread *t) { return t->ring; }

IoThread *iothread_take(const char *id, Error **errp) { return (IoThread *)object_take(id, "iothread", errp); }

void iothread_release(IoThread *t)
{
    if (t)
        object_release(&t->object);
}

void iothread_info(Object *o, IoThreadInfo *out)
{
    IoThread *t = (IoThread *)o;
    *out = (IoThreadInfo){ o->id,    t->tid,     t->poll_max_ns, t->poll_grow, t->poll_shrink, t->aio_max_batch,
                           t->calls, t->watched, t->reaped };
}

/* --- the object --- */

static bool complete(Object *o, Error **errp)
{
    IoThread *t = (IoThread *)o;
    int why;
    t->watches = g_array_new(FALSE, FALSE, sizeof(Watch));
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->ran, NULL);
    t->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (t->wake < 0) {
        error_set_errno(errp, errno, "object '%s': no eventfd", o->id);
        return false;
    }
    t->ring = uring_new(&why); /* without one, workers carry out the requests; who asks for aio=io_uring is told so */
    g_autofree char *name = g_strdup_printf("IO %s", o->id);
    t->thread = thread_start(name, thread_main, t);
    t->started = true;
    return true;
}

static void finalize(Object *o)
{
    IoThread *t = (IoThread *)o;
    if (!t->watches)
        return;
    if (t->started) {
        pthread_mutex_lock(&t->lock);
        t->quit = true;
        wake(t);
        pthread_mutex_unlock(&t->lock);
        pthread_join(t->thread, NULL);
    }
    if (t->wake >= 0)
        close(t->wake);
    uring_free(t->ring);
    g_array_unref(t->watches);
    pthread_mutex_destroy(&t->lock);
    pthread_cond_destroy(&t->ran);
}

static const Property props[] = {
    DEFINE_PROP_U64("poll-max-ns", IoThread, poll_max_ns, 0, "look for work so long before sleeping"),
    DEFINE_PROP_U64("poll-grow", IoThread, poll_grow, 0, "(accepted: the time does not adapt)"),
    DEFINE_PROP_U64("poll-shrink", IoThread, poll_shrink, 0, "(accepted)"),
    DEFINE_PROP_U64("aio-max-batch", IoThread, aio_max_batch, 0,
                    "(accepted: 32 requests go to the kernel at a time at most)"),
    DEFINE_PROP_END,
};
static const ObjectType iothread_type = {
    .name = "iothread",
    .desc = "a thread that serves devices' queues",
    .size = sizeof(IoThread),
    .props = props,
    .complete = complete,
    .finalize = finalize,
};
OBJECT_REGISTER(iothread_type)
