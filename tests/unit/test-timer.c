/* SPDX-License-Identifier: MIT */
/* Clocks and timers: order, cancelling, the stopped virtual clock, precision, arming from other threads. */
#include <glib.h>
#include <inttypes.h>
#include "base/bits.h"
#include "base/clock.h"
#include "base/evloop.h"
#include "base/thread.h"

typedef struct Shot {
    Timer *timer;
    unsigned hits;
    int64_t at, rearm;
    LockDomain *domain;
} Shot;

static void fire(void *opaque)
{
    Shot *s = opaque;
    s->hits++;
    s->at = clock_ns(CLOCK_VIRTUAL_NS);
    if (s->domain)
        g_assert_true(lock_domain_held(s->domain));
    if (s->rearm)
        timer_arm(s->timer, s->at + s->rearm);
}

static void test_step(void)
{
    Shot a = { .rearm = 0 }, b = { .rearm = 100, .domain = machine_domain() };
    a.timer = timer_new(CLOCK_VIRTUAL_NS, NULL, fire, &a);
    b.timer = timer_new(CLOCK_VIRTUAL_NS, machine_domain(), fire, &b);
    int64_t start = clock_ns(CLOCK_VIRTUAL_NS);
    timer_arm(a.timer, start + 250);
    timer_arm(b.timer, start + 100);
    clock_virtual_step(99);
    g_assert_cmpuint(a.hits + b.hits, ==, 0);
    clock_virtual_step(1);
    g_assert_cmpuint(b.hits, ==, 1);
    g_assert_cmpint(b.at, ==, start + 100);
    clock_virtual_step(1000);
    g_assert_cmpuint(a.hits, ==, 1);
    g_assert_cmpint(a.at, ==, start + 250); /* the clock stood at the deadline */
    g_assert_cmpuint(b.hits, ==, 11);
    g_assert_false(timer_armed(a.timer));
    g_assert_cmpint(timer_deadline(a.timer), ==, -1);
    timer_arm(a.timer, start + 5000);
    timer_arm(a.timer, start + 3000); /* moves */
    g_assert_cmpint(timer_deadline(a.timer), ==, start + 3000);
    timer_cancel(a.timer);
    clock_virtual_step(10000);
    g_assert_cmpuint(a.hits, ==, 1);
    timer_free(a.timer);
    timer_free(b.timer);
    timer_free(NULL);
}

static int64_t last_deadline;
static unsigned fired;

typedef struct Ordered {
    Timer *timer;
    int64_t deadline;
} Ordered;

static void fire_ordered(void *opaque)
{
    Ordered *o = opaque;
    g_assert_cmpint(o->deadline, >=, last_deadline);
    last_deadline = o->deadline;
    fired++;
}

/* Random arm, move and cancel: what remains fires in order of its deadlines. */
static void test_heap(void)
{
    enum { N = 300 };
    Ordered o[N];
    int64_t start = clock_ns(CLOCK_VIRTUAL_NS);
    last_deadline = start;
    for (unsigned i = 0; i < N; i++)
        o[i].timer = timer_new(CLOCK_VIRTUAL_NS, NULL, fire_ordered, &o[i]);
    for (unsigned i = 0; i < 3000; i++) {
        Ordered *p = &o[g_test_rand_int_range(0, N)];
        p->deadline = start + g_test_rand_int_range(1, 1000);
        if (g_test_rand_bit())
            timer_arm(p->timer, p->deadline);
        else
            timer_cancel(p->timer);
    }
    unsigned armed = 0;
    for (unsigned i = 0; i < N; i++)
        armed += timer_armed(o[i].timer);
    clock_virtual_step(1000);
    g_assert_cmpuint(fired, ==, armed);
    for (unsigned i = 0; i < N; i++)
        timer_free(o[i].timer);
}

static void test_stopped(void)
{
    Shot s = { .rearm = 0 };
    s.timer = timer_new(CLOCK_VIRTUAL_NS, NULL, fire, &s);
    int64_t now = clock_ns(CLOCK_VIRTUAL_NS);
    timer_arm(s.timer, now);
    g_usleep(2000);
    g_assert_false(evloop_iterate(false));
    g_assert_cmpuint(s.hits, ==, 0); /* stands still: even a past deadline waits */
    g_assert_cmpint(clock_ns(CLOCK_VIRTUAL_NS), ==, now);
    clock_virtual_enable(true);
    while (!s.hits)
        evloop_iterate(true);
    clock_virtual_enable(false);
    now = clock_ns(CLOCK_VIRTUAL_NS);
    g_usleep(1000);
    g_assert_cmpint(clock_ns(CLOCK_VIRTUAL_NS), ==, now);
    clock_virtual_set(INT64_C(5000000000));
    g_assert_cmpint(clock_ns(CLOCK_VIRTUAL_NS), ==, INT64_C(5000000000));
    timer_free(s.timer);
}

static void *arm_from_thread(void *opaque)
{
    Shot *s = opaque;
    g_usleep(1000);
    timer_arm(s->timer, clock_ns(CLOCK_REALTIME_NS) + 1000000);
    return NULL;
}

/* Catches: a main loop that sleeps on although another thread has armed a timer. */
static void test_wakeup(void)
{
    Shot s = { .rearm = 0 };
    s.timer = timer_new(CLOCK_REALTIME_NS, NULL, fire, &s);
    timer_arm(s.timer, clock_ns(CLOCK_REALTIME_NS) + INT64_C(3600000000000));
    pthread_t t = thread_start("armer", arm_from_thread, &s);
    int64_t start = clock_ns(CLOCK_REALTIME_NS);
    while (!s.hits)
        evloop_iterate(true);
    int64_t took = clock_ns(CLOCK_REALTIME_NS) - start;
    pthread_join(t, NULL);
    g_test_message("woke after %" PRId64 " us", took / 1000);
    g_assert_cmpint(took, >=, 2000000);
    timer_free(s.timer);
}

/* Never early, on every clock. */
static void test_never_early(void)
{
    static const ClockId clocks[] = { CLOCK_VIRTUAL_NS, CLOCK_HOST_NS, CLOCK_REALTIME_NS };
    clock_virtual_enable(true);
    for (unsigned i = 0; i < ARRAY_LEN(clocks); i++) {
        Shot s = { .rearm = 0 };
        s.timer = timer_new(clocks[i], NULL, fire, &s);
        int64_t late = INT64_MAX;
        for (unsigned k = 0; k < 10; k++) {
            int64_t deadline = clock_ns(clocks[i]) + 300000;
            timer_arm(s.timer, deadline);
            s.hits = 0;
            while (!s.hits)
                evloop_iterate(true);
            int64_t now = clock_ns(clocks[i]);
            g_assert_cmpint(now, >=, deadline);
            late = MIN(late, now - deadline);
        }
        g_test_message("clock %u: best lateness %" PRId64 " us", clocks[i], late / 1000);
        timer_free(s.timer);
    }
    clock_virtual_enable(false);
}

/* A timer that re-arms itself in the past must not starve the rest of the main loop. */
static void test_greedy(void)
{
    Shot s = { .rearm = -1000 };
    s.timer = timer_new(CLOCK_VIRTUAL_NS, NULL, fire, &s);
    clock_virtual_enable(true);
    timer_arm(s.timer, 0);
    Timer *never = timer_new(CLOCK_VIRTUAL_NS, NULL, fire, &s);
    timer_arm(never, INT64_MAX);
    for (unsigned i = 0; i < 50; i++)
        evloop_iterate(false);
    timer_free(never);
    g_assert_cmpuint(s.hits, >=, 1);
    clock_virtual_enable(false);
    timer_free(s.timer);
}

/* The virtual clock never goes backwards for a reader while it is stopped and started. */
static bool readers_stop;

static void *read_clock(void *opaque)
{
    int64_t last = 0;
    while (!__atomic_load_n(&readers_stop, __ATOMIC_RELAXED)) {
        int64_t now = clock_ns(CLOCK_VIRTUAL_NS);
        g_assert_cmpint(now, >=, last);
        last = now;
    }
    return NULL;
}

static void test_monotonic(void)
{
    pthread_t t = thread_start("reader", read_clock, NULL);
    for (unsigned i = 0; i < 20000; i++)
        clock_virtual_enable(i % 2 == 0);
    clock_virtual_enable(false);
    __atomic_store_n(&readers_stop, true, __ATOMIC_RELAXED);
    pthread_join(t, NULL);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    evloop_init();
    g_test_add_func("/timer/step", test_step);
    g_test_add_func("/timer/heap", test_heap);
    g_test_add_func("/timer/stopped", test_stopped);
    g_test_add_func("/timer/wakeup", test_wakeup);
    g_test_add_func("/timer/never-early", test_never_early);
    g_test_add_func("/timer/greedy", test_greedy);
    g_test_add_func("/timer/monotonic", test_monotonic);
    return g_test_run();
}
