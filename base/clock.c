/* SPDX-License-Identifier: MIT */
/* Clocks, and timers in one heap per clock, woken by a timerfd in the main loop. */
#include "base/clock.h"

#include <glib-unix.h>
#include <pthread.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>
#include "base/thread.h"

#define CLOCK_COUNT 3
/* Timers that one turn of the main loop serves at most: a guest that re-arms in the past cannot starve the rest. */
#define DISPATCH_MAX 64
#define STEP_MAX 20000

struct Timer {
    ClockId clock;
    LockDomain *domain;
    TimerFn *fn;
    void *opaque;
    int64_t deadline; /* -1: not armed; written under the queue's lock, read without */
    unsigned index;   /* in the heap */
    unsigned refs;
};

typedef struct Queue {
    pthread_mutex_t lock;
    GPtrArray *heap; /* of Timer, least deadline first */
    int fd;
    int64_t programmed; /* what the timerfd waits for, in the clock's own time; -1: nothing */
} Queue;

static Queue queues[CLOCK_COUNT];

/* Virtual time = now + offset while it runs, frozen while not: written under a sequence count, read without a lock. */
static struct {
    unsigned seq;
    bool running;
    int64_t offset, frozen;
} virt;

static const ClockSource *_Atomic driver; /* NULL: the host's clock */

static int64_t os_ns(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

/* Later loads come after the reading of the host's time: without this the second look at the sequence count could be
 * first, and the reader ahead of a clock that has been stopped meanwhile. */
static inline void time_read_fence(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_lfence();
#endif
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
}

static int64_t virtual_ns(void)
{
    const ClockSource *s = driver;
    if (s)
        return s->now();
    for (;;) {
        unsigned seq = __atomic_load_n(&virt.seq, __ATOMIC_ACQUIRE);
        bool running = __atomic_load_n(&virt.running, __ATOMIC_RELAXED);
        int64_t offset = __atomic_load_n(&virt.offset, __ATOMIC_RELAXED);
        int64_t now = __atomic_load_n(&virt.frozen, __ATOMIC_RELAXED);
        if (running)
            now = os_ns(CLOCK_MONOTONIC) + offset;
        time_read_fence();
        if (!(seq & 1) && seq == __atomic_load_n(&virt.seq, __ATOMIC_RELAXED))
            return now;
    }
}

int64_t clock_ns(ClockId id)
{
    switch (id) {
    case CLOCK_VIRTUAL_NS:
        return virtual_ns();
    case CLOCK_HOST_NS:
        return os_ns(CLOCK_REALTIME);
    case CLOCK_REALTIME_NS:
        break;
    }
    return os_ns(CLOCK_MONOTONIC);
}

static bool earlier(const GPtrArray *h, unsigned a, unsigned b)
{
    return ((Timer *)h->pdata[a])->deadline < ((Timer *)h->pdata[b])->deadline;
}

static void heap_swap(GPtrArray *h, unsigned a, unsigned b)
{
    Timer *ta = h->pdata[a], *tb = h->pdata[b];
    h->pdata[a] = tb;
    h->pdata[b] = ta;
    ta->index = b;
    tb->index = a;
}

static void heap_fix(GPtrArray *h, unsigned i)
{
    for (; i && earlier(h, i, (i - 1) / 2); i = (i - 1) / 2)
        heap_swap(h, i, (i - 1) / 2);
    for (;;) {
        unsigned least = i, child = 2 * i + 1;
        if (child < h->len && earlier(h, child, least))
            least = child;
        if (child + 1 < h->len && earlier(h, child + 1, least))
            least = child + 1;
        if (least == i)
            return;
        heap_swap(h, i, least);
        i = least;
    }
}

static void heap_remove(GPtrArray *h, Timer *t)
{
    unsigned i = t->index;
    heap_swap(h, i, h->len - 1);
    g_ptr_array_set_size(h, h->len - 1);
    if (i < h->len)
        heap_fix(h, i);
}

/* Tell the timerfd about the first deadline; queue locked. */
static void program_locked(ClockId id)
{
    Queue *q = &queues[id];
    int64_t first = q->heap->len ? ((Timer *)q->heap->pdata[0])->deadline : -1;
    if (id == CLOCK_VIRTUAL_NS && first >= 0) {
        if (!virt.running || driver)
            first = -1;
        else if (__builtin_sub_overflow(first, virt.offset, &first))
            first = INT64_MAX; /* a guest may wait for ever */
    }
    /* Waking up too early is harmless: the queue looks again then. Guests move deadlines back all the time. */
    if (first == q->programmed || (q->programmed >= 0 && (first < 0 || first > q->programmed)))
        return;
    q->programmed = first;
    struct itimerspec when = { 0 }; /* zero: disarm */
    if (first >= 0) {
        int64_t at = MAX(first, 1);
        when.it_value.tv_sec = at / 1000000000;
        when.it_value.tv_nsec = at % 1000000000;
    }
    timerfd_settime(q->fd, TFD_TIMER_ABSTIME, &when, NULL);
}

static void unref_locked(Timer *t)
{
    if (--t->refs == 0)
        g_free(t);
}

/* Run the first timer when it is due at `now`; false: none is. */
static bool run_one(ClockId id, int64_t now)
{
    Queue *q = &queues[id];
    pthread_mutex_lock(&q->lock);
    Timer *t = q->heap->len ? q->heap->pdata[0] : NULL;
    if (!t || t->deadline > now) {
        pthread_mutex_unlock(&q->lock);
        return false;
    }
    t->refs++;
    LockDomain *domain = t->domain;
    pthread_mutex_unlock(&q->lock);
    /*
     * The domain comes first in the lock order; look again when it is held: the timer may have been cancelled or freed.
     */
    lock_domain_lock(domain);
    pthread_mutex_lock(&q->lock);
    bool due = t->deadline >= 0 && t->deadline <= now;
    TimerFn *fn = t->fn;
    void *opaque = t->opaque;
    if (due) {
        heap_remove(q->heap, t);
        __atomic_store_n(&t->deadline, -1, __ATOMIC_RELAXED);
    }
    unref_locked(t);
    pthread_mutex_unlock(&q->lock);
    if (due)
        fn(opaque);
    lock_domain_unlock(domain);
    return true;
}

static gboolean queue_ready(int fd, GIOCondition condition, void *opaque)
{
    ClockId id = GPOINTER_TO_UINT(opaque);
    Queue *q = &queues[id];
    uint64_t expirations;
    if (read(fd, &expirations, sizeof(expirations)) < 0)
        expirations = 0; /* re-armed meanwhile */
    int64_t now = clock_ns(id);
    bool stopped = id == CLOCK_VIRTUAL_NS && (!virt.running || driver);
    for (unsigned i = 0; !stopped && i < DISPATCH_MAX && run_one(id, now); i++)
        stopped = id == CLOCK_VIRTUAL_NS && !virt.running;
    pthread_mutex_lock(&q->lock);
    q->programmed = -1;
    program_locked(id);
    pthread_mutex_unlock(&q->lock);
    return G_SOURCE_CONTINUE;
}

static void __attribute__((constructor)) queues_init(void)
{
    static const clockid_t os_clock[CLOCK_COUNT] = { CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_MONOTONIC };
    for (unsigned i = 0; i < CLOCK_COUNT; i++) {
        Queue *q = &queues[i];
        pthread_mutex_init(&q->lock, NULL);
        q->heap = g_ptr_array_new();
        q->programmed = -1;
        q->fd = timerfd_create(os_clock[i], TFD_NONBLOCK | TFD_CLOEXEC);
        g_assert(q->fd >= 0);
        GSource *s = g_unix_fd_source_new(q->fd, G_IO_IN);
        g_source_set_priority(s, G_PRIORITY_HIGH);
        g_source_set_callback(s, G_SOURCE_FUNC(queue_ready), GUINT_TO_POINTER(i), NULL);
        g_source_attach(s, NULL);
        g_source_unref(s);
    }
}

#define VIRTUAL_KEEP INT64_MIN

/* `value` becomes the time; VIRTUAL_KEEP: go on from the time at which readers see the write begin. */
static void virtual_write(bool running, int64_t value)
{
    Queue *q = &queues[CLOCK_VIRTUAL_NS];
    pthread_mutex_lock(&q->lock);
    __atomic_store_n(&virt.seq, virt.seq + 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    int64_t now = os_ns(CLOCK_MONOTONIC);
    if (value == VIRTUAL_KEEP)
        value = virt.running ? now + virt.offset : virt.frozen;
    __atomic_store_n(&virt.running, running, __ATOMIC_RELAXED);
    __atomic_store_n(&virt.frozen, value, __ATOMIC_RELAXED);
    __atomic_store_n(&virt.offset, value - now, __ATOMIC_RELAXED);
    __atomic_store_n(&virt.seq, virt.seq + 1, __ATOMIC_RELEASE);
    program_locked(CLOCK_VIRTUAL_NS);
    pthread_mutex_unlock(&q->lock);
}

void clock_virtual_enable(bool run)
{
    if (run != virt.running)
        virtual_write(run, VIRTUAL_KEEP);
}

void clock_virtual_drive(const ClockSource *s)
{
    int64_t now = virtual_ns();
    driver = s;
    clock_virtual_set(now);
}

int64_t clock_virtual_deadline(void)
{
    Queue *q = &queues[CLOCK_VIRTUAL_NS];
    pthread_mutex_lock(&q->lock);
    int64_t first = q->heap->len ? ((Timer *)q->heap->pdata[0])->deadline : INT64_MAX;
    pthread_mutex_unlock(&q->lock);
    return first;
}

void clock_virtual_run(void)
{
    int64_t now = virtual_ns();
    for (unsigned i = 0; virt.running && i < DISPATCH_MAX && run_one(CLOCK_VIRTUAL_NS, now); i++)
        continue;
}

void clock_virtual_set(int64_t ns)
{
    if (driver && driver->set)
        driver->set(ns);
    virtual_write(virt.running, ns);
}

void clock_virtual_step(int64_t ns)
{
    g_assert(!virt.running);
    Queue *q = &queues[CLOCK_VIRTUAL_NS];
    int64_t end = virtual_ns() + ns;
    for (unsigned i = 0; i < STEP_MAX; i++) {
        pthread_mutex_lock(&q->lock);
        int64_t next = q->heap->len ? ((Timer *)q->heap->pdata[0])->deadline : INT64_MAX;
        pthread_mutex_unlock(&q->lock);
        if (next > end)
            break;
        if (next > virtual_ns())
            virtual_write(false, next);
        run_one(CLOCK_VIRTUAL_NS, virtual_ns());
    }
    virtual_write(false, end);
}

Timer *timer_new(ClockId clock, LockDomain *domain, TimerFn *fn, void *opaque)
{
    Timer *t = g_new0(Timer, 1);
    *t = (Timer){ .clock = clock, .domain = domain, .fn = fn, .opaque = opaque, .deadline = -1, .refs = 1 };
    return t;
}

/* deadline -1: cancel */
static void set_deadline(Timer *t, int64_t deadline, bool drop)
{
    ClockId clock = t->clock;
    Queue *q = &queues[clock];
    pthread_mutex_lock(&q->lock);
    bool was = t->deadline >= 0;
    if (was && deadline < 0)
        heap_remove(q->heap, t);
    __atomic_store_n(&t->deadline, deadline, __ATOMIC_RELAXED);
    if (deadline >= 0) {
        if (!was) {
            t->index = q->heap->len;
            g_ptr_array_add(q->heap, t);
        }
        heap_fix(q->heap, t->index);
    }
    program_locked(t->clock);
    if (drop)
        unref_locked(t);
    pthread_mutex_unlock(&q->lock);
    const ClockSource *s = driver;
    if (s && clock == CLOCK_VIRTUAL_NS)
        s->deadline_changed();
}

void timer_free(Timer *t)
{
    if (t)
        set_deadline(t, -1, true);
}

void timer_arm(Timer *t, int64_t deadline_ns)
{
    set_deadline(t, MAX(deadline_ns, 0), false);
}

void timer_cancel(Timer *t)
{
    if (timer_armed(t))
        set_deadline(t, -1, false);
}

int64_t timer_deadline(const Timer *t)
{
    return __atomic_load_n(&t->deadline, __ATOMIC_RELAXED);
}

bool timer_armed(const Timer *t)
{
    return timer_deadline(t) >= 0;
}
