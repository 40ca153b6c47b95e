/* SPDX-License-Identifier: MIT */
/* vCPU threads with an accelerator that runs nothing: starting, standing still, waking up. */
#include "accel/accel.h"
#include "accel/guest-arch.h"
#include "base/thread.h"

enum { SLOW_START_US = 50 * 1000, LONG_US = 10 * 1000 * 1000 };

static const GuestArch no_arch = { .name = "none" };
static _Atomic unsigned rounds;
static _Atomic bool looking;
static unsigned slow_start;

static bool any_line(Vcpu *unused)
{
    atomic_store(&looking, true);
    for (unsigned i = 0; i < vcpu_count(); i++)
        if (atomic_load(&vcpu_get(i)->lines))
            return true;
    return false;
}

static void *thread(void *opaque)
{
    Vcpu *v = opaque;
    g_usleep(slow_start);
    for (;;) {
        atomic_store(&v->exit_request, 0);
        if (!vcpu_service(v))
            return NULL;
        atomic_fetch_add(&rounds, 1);
        vcpu_wait(v, any_line);
    }
}

static bool fake_init(Machine *m, Error **errp) { return true; }
static AccelType fake = { .name = "fake", .init = fake_init, .vcpu_thread = thread };
ACCEL_REGISTER(fake)

static void make(Vcpu **v, unsigned n, bool one_thread)
{
    Error *err = NULL;
    fake.one_thread = one_thread;
    accel_setup(NULL, "fake", NULL, &err);
    g_assert_no_error(err);
    for (unsigned i = 0; i < n; i++) {
        v[i] = g_aligned_alloc0(1, sizeof(Vcpu), 4096);
        vcpu_init(v[i], &no_arch, NULL, i, &err);
        g_assert_no_error(err);
        vcpu_start_thread(v[i]);
    }
}

static void end(Vcpu **v, unsigned n)
{
    vcpus_stop_threads();
    while (n--) {
        vcpu_destroy(v[n]);
        g_aligned_free(v[n]);
    }
}

static bool comes(unsigned round)
{
    for (unsigned us = 0; us < LONG_US && atomic_load(&rounds) < round; us += 1000)
        g_usleep(1000);
    return atomic_load(&rounds) >= round;
}

/* However slow the thread is to come up: what is asked of the vCPU after vcpu_start_thread() stays. */
static void test_start(void)
{
    Vcpu *v;
    slow_start = SLOW_START_US;
    make(&v, 1, false);
    vcpu_kick(v);
    g_usleep(2 * SLOW_START_US);
    g_assert_cmpuint(atomic_load(&v->exit_request), ==, 1);
    end(&v, 1);
}

/* A line of a vCPU wakes the thread that waits for it. */
static void test_wake(const void *one_thread)
{
    Vcpu *v[3];
    slow_start = 0;
    make(v, G_N_ELEMENTS(v), GPOINTER_TO_INT(one_thread));
    atomic_store(&rounds, 0);
    vcpus_resume();
    for (unsigned i = 0; i < 20; i++) {
        unsigned n = GPOINTER_TO_INT(one_thread) ? 1 : G_N_ELEMENTS(v);
        Vcpu *one = v[i % G_N_ELEMENTS(v)];
        g_assert_true(comes(n));
        g_usleep(5000); /* all of them wait now, most likely; otherwise this shows less */
        g_assert_true(atomic_load(&looking));
        unsigned before = atomic_load(&rounds);
        vcpu_set_line(one, CPU_LINE_INTR, true);
        g_assert_true(comes(before + 1));
        vcpu_set_line(one, CPU_LINE_INTR, false);
    }
    vcpus_pause();
    end(v, G_N_ELEMENTS(v));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/vcpu/start", test_start);
    g_test_add_data_func("/vcpu/wake/own-threads", GINT_TO_POINTER(0), test_wake);
    g_test_add_data_func("/vcpu/wake/one-thread", GINT_TO_POINTER(1), test_wake);
    return g_test_run();
}
