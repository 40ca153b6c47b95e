/* SPDX-License-Identifier: MIT */
/* vCPU threads: lines, kicks, waiting, pause and resume, work queues. The same for every accelerator. */
#include <stdio.h>
#include <sys/mman.h>
#include "accel/accel.h"
#include "accel/guest-arch.h"
#include "base/bits.h"

enum { MAX_VCPUS = 1024 };

typedef struct VcpuWork {
    VcpuWorkFn *fn;
    void *opaque;
    bool *done;      /* under the run lock; NULL: nobody waits */
} VcpuWork;

/*
 * A waiter publishes `waiting` and then looks for reasons not to wait; a kicker publishes its reason and then looks at
 * `waiting` (both sequentially consistent), so that one of them sees the other.
 */
struct VcpuRun {
    pthread_mutex_t lock;
    pthread_cond_t cond;      /* the vCPU waits here */
    pthread_cond_t done_cond; /* others wait here for it */
    _Atomic bool waiting;
    bool started, standing;   /* under lock: stands still for a pause, or has ended */
    _Atomic bool leaving;     /* this thread shall end */
    GQueue work;              /* of VcpuWork, under lock */
    _Atomic bool has_work;
};

static Vcpu *vcpus[MAX_VCPUS];
static unsigned count;
static _Atomic bool paused = true, stopping;
static _Thread_local Vcpu *current;

Vcpu *vcpu_get(unsigned index) { return index < MAX_VCPUS ? vcpus[index] : NULL; }
unsigned vcpu_count(void) { return __atomic_load_n(&count, __ATOMIC_ACQUIRE); }
Vcpu *vcpu_current(void) { return current; }

void vcpu_set_current(Vcpu *v)
{
    current = v;
    cpu_port_set_current(v ? &v->port : NULL);
}

static Vcpu *port_vcpu(CpuPort *p) { return container_of(p, Vcpu, port); }
static void port_set_line(CpuPort *p, CpuLine line, bool level) { vcpu_set_line(port_vcpu(p), line, level); }
static void port_sipi(CpuPort *p, uint8_t vector)
{
    atomic_store(&port_vcpu(p)->sipi_vector, vector);
    vcpu_set_line(port_vcpu(p), CPU_LINE_SIPI, true);
}
static void port_set_pc(CpuPort *p, uint64_t pc)
{
    Vcpu *v = port_vcpu(p);
    if (v->arch->set_pc)
        v->arch->set_pc(v, pc);
    else
        v->pc = pc;
}
static const CpuPortOps default_port_ops = { .set_line = port_set_line, .sipi = port_sipi, .set_pc = port_set_pc };

/* Of builds with a leak checker, which does not look into mapped memory by itself (sanitizer/lsan_interface.h). */
extern void __lsan_register_root_region(const void *p, size_t size) __attribute__((weak));
extern void __lsan_unregister_root_region(const void *p, size_t size) __attribute__((weak));

void *vcpu_memory_new(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        g_error("no memory for a CPU (%zu bytes)", size);
    if (__lsan_register_root_region)
        __lsan_register_root_region(p, size);
    return p;
}

void vcpu_memory_free(void *p, size_t size)
{
    if (__lsan_unregister_root_region)
        __lsan_unregister_root_region(p, size);
    munmap(p, size);
}

bool vcpu_init(Vcpu *v, const GuestArch *arch, Machine *m, unsigned index, Error **errp)
{
    if (index >= MAX_VCPUS || vcpus[index]) {
        error_setf(errp, "vCPU %u: index in use or not below %d; use fewer CPUs", index, MAX_VCPUS);
        return false;
    }
    v->arch = arch;
    v->machine = m;
    v->index = index;
    v->as = m ? m->as_memory : NULL;
    v->port.index = index;
    if (!v->port.ops)
        v->port.ops = &default_port_ops;
    snprintf(v->name, sizeof v->name, "cpu %u", index);
    v->run = g_new0(struct VcpuRun, 1);
    pthread_mutex_init(&v->run->lock, NULL);
    pthread_cond_init(&v->run->cond, NULL);
    pthread_cond_init(&v->run->done_cond, NULL);
    g_queue_init(&v->run->work);
    const AccelType *a = accel_current();
    if (a && a->vcpu_init && !a->vcpu_init(v, errp)) {
        g_clear_pointer(&v->run, g_free);
        return false;
    }
    vcpus[index] = v;
    if (index >= count)
        __atomic_store_n(&count, index + 1, __ATOMIC_RELEASE);
    return true;
}

void vcpu_destroy(Vcpu *v)
{
    if (vcpus[v->index] != v)
        return;
    const AccelType *a = accel_current();
    if (a && a->vcpu_free)
        a->vcpu_free(v);
    vcpus[v->index] = NULL;
    while (count && !vcpus[count - 1])
        count--;
    g_queue_clear_full(&v->run->work, g_free);
    pthread_cond_destroy(&v->run->cond);
    pthread_cond_destroy(&v->run->done_cond);
    pthread_mutex_destroy(&v->run->lock);
    g_clear_pointer(&v->run, g_free);
}

static void *thread_body(void *opaque)
{
    Vcpu *v = opaque;
    vcpu_set_current(v);
    accel_current()->vcpu_thread(v);
    vcpu_set_current(NULL);
    pthread_mutex_lock(&v->run->lock);
    v->run->standing = true;
    pthread_cond_broadcast(&v->run->done_cond);
    pthread_mutex_unlock(&v->run->lock);
    return NULL;
}

static void wait_standing(struct VcpuRun *r)
{
    pthread_mutex_lock(&r->lock);
    while (!r->standing)
        pthread_cond_wait(&r->done_cond, &r->lock);
    pthread_mutex_unlock(&r->lock);
}

void vcpu_start_thread(Vcpu *v)
{
    const AccelType *a = accel_current();
    v->run->started = true;
    if (a->one_thread && v->index) {
        v->thread = vcpus[0]->thread;
        return;
    }
    v->thread = thread_start(v->name, thread_body, v);
    /* on its way there it clears exit_request, which is no longer its own to clear after we return */
    if (atomic_load(&paused))
        wait_standing(v->run);
}

/* Whose thread runs v. */
static Vcpu *runner(Vcpu *v)
{
    const AccelType *a = accel_current();
    return a && a->one_thread && vcpus[0] ? vcpus[0] : v;
}

void vcpu_kick(Vcpu *v)
{
    atomic_store(&v->exit_request, 1);
    const AccelType *a = accel_current();
    if (a && a->kick)
        a->kick(v);
    struct VcpuRun *r = runner(v)->run;
    if (atomic_load(&r->waiting)) {
        pthread_mutex_lock(&r->lock);
        pthread_cond_signal(&r->cond);
        pthread_mutex_unlock(&r->lock);
    }
}

/* irq_pending follows `lines`; writers that race settle on the last value of `lines`. */
static void update_pending(Vcpu *v)
{
    bool level;
    do {
        level = atomic_load(&v->lines) != 0;
        atomic_store(&v->irq_pending, level);
    } while (level != (atomic_load(&v->lines) != 0));
}

void vcpu_set_line(Vcpu *v, CpuLine line, bool level)
{
    uint32_t bit = 1u << line;
    uint32_t old = level ? atomic_fetch_or(&v->lines, bit) : atomic_fetch_and(&v->lines, ~bit);
    if (!(old & bit) == !level)
        return;
    update_pending(v);
    if (level)
        vcpu_kick(v);
}

bool vcpu_take_event(Vcpu *v, CpuLine line)
{
    if (!vcpu_line(v, line))
        return false;
    uint32_t old = atomic_fetch_and(&v->lines, ~(1u << line));
    if (old >> line & 1)
        update_pending(v);
    return old >> line & 1;
}

static bool one_thread(void) { return accel_current() && accel_current()->one_thread; }

static void work_of(Vcpu *v)
{
    struct VcpuRun *r = v->run;
    if (!atomic_load(&r->has_work))
        return;
    pthread_mutex_lock(&r->lock);
    VcpuWork *w;
    while ((w = g_queue_pop_head(&r->work))) {
        pthread_mutex_unlock(&r->lock);
        w->fn(v, w->opaque);
        pthread_mutex_lock(&r->lock);
        if (w->done) {
            *w->done = true;
            pthread_cond_broadcast(&r->done_cond);
        }
        g_free(w);
    }
    atomic_store(&r->has_work, false);
    pthread_mutex_unlock(&r->lock);
}

void vcpu_work(Vcpu *v)
{
    for (unsigned i = 0; one_thread() && i < count; i++)
        if (vcpus[i] && vcpus[i] != v)
            work_of(vcpus[i]);
    work_of(v);
}

static bool any_work(const Vcpu *v)
{
    for (unsigned i = 0; one_thread() && i < count; i++)
        if (vcpus[i] && atomic_load(&vcpus[i]->run->has_work))
            return true;
    return atomic_load(&v->run->has_work);
}

static bool must_end(const Vcpu *v) { return atomic_load(&stopping) || atomic_load(&v->run->leaving); }

static bool must_stand(const Vcpu *v)
{
    return (atomic_load(&paused) || (atomic_load(&v->debug.held) && !one_thread())) && !must_end(v);
}

bool vcpu_service_due(const Vcpu *v)
{
    return any_work(v) || must_stand(v) || must_end(v);
}

bool vcpu_service(Vcpu *v)
{
    struct VcpuRun *r = v->run;
    vcpu_work(v);
    if (!must_stand(v))
        return !must_end(v);
    pthread_mutex_lock(&r->lock);
    while (must_stand(v)) {
        r->standing = true;
        pthread_cond_broadcast(&r->done_cond);
        atomic_store(&r->waiting, true);
        if (!any_work(v) && must_stand(v))
            pthread_cond_wait(&r->cond, &r->lock);
        atomic_store(&r->waiting, false);
        pthread_mutex_unlock(&r->lock);
        vcpu_work(v);
        pthread_mutex_lock(&r->lock);
    }
    r->standing = false;
    pthread_mutex_unlock(&r->lock);
    return !must_end(v);
}

void vcpu_wait(Vcpu *v, bool (*ready)(Vcpu *v))
{
    struct VcpuRun *r = v->run;
    pthread_mutex_lock(&r->lock);
    atomic_store(&r->waiting, true);
    if (!atomic_load(&v->exit_request) && !atomic_load(&r->has_work) && !(ready && ready(v)))
        pthread_cond_wait(&r->cond, &r->lock);
    atomic_store(&r->waiting, false);
    pthread_mutex_unlock(&r->lock);
}

static void queue_work(Vcpu *v, VcpuWorkFn *fn, void *opaque, bool *done)
{
    VcpuWork *w = g_new(VcpuWork, 1);
    *w = (VcpuWork){ fn, opaque, done };
    pthread_mutex_lock(&v->run->lock);
    g_queue_push_tail(&v->run->work, w);
    atomic_store(&v->run->has_work, true);
    pthread_mutex_unlock(&v->run->lock);
    vcpu_kick(v->run->started && accel_current()->one_thread ? vcpus[0] : v);
    vcpu_kick(v);
}

void vcpu_run_on(Vcpu *v, VcpuWorkFn *fn, void *opaque) { queue_work(v, fn, opaque, NULL); }

void vcpu_run_on_sync(Vcpu *v, VcpuWorkFn *fn, void *opaque)
{
    if (!v->run->started || current == v) {
        fn(v, opaque);
        return;
    }
    bool done = false;
    queue_work(v, fn, opaque, &done);
    pthread_mutex_lock(&v->run->lock);
    while (!done)
        pthread_cond_wait(&v->run->done_cond, &v->run->lock);
    pthread_mutex_unlock(&v->run->lock);
}

static bool has_own_thread(const Vcpu *v) { return v && v->run->started && !(accel_current()->one_thread && v->index); }

static void kick_all(void)
{
    for (unsigned i = 0; i < count; i++)
        if (vcpus[i])
            vcpu_kick(vcpus[i]);
}

bool vcpu_paused(void) { return atomic_load(&paused); }

void vcpus_pause(void)
{
    atomic_store(&paused, true);
    kick_all();
    for (unsigned i = 0; i < count; i++)
        if (has_own_thread(vcpus[i]))
            wait_standing(vcpus[i]->run);
    const AccelType *a = accel_current();
    if (a && a->standing)
        a->standing();
}

void vcpus_pause_soon(void)
{
    if (!current)
        return;
    atomic_store(&paused, true);
    kick_all();
}

void vcpus_resume(void)
{
    /* so that a pause that follows at once waits for the thread to stand again */
    for (unsigned i = 0; i < count; i++) {
        if (!has_own_thread(vcpus[i]))
            continue;
        pthread_mutex_lock(&vcpus[i]->run->lock);
        vcpus[i]->run->standing = false;
        pthread_mutex_unlock(&vcpus[i]->run->lock);
    }
    atomic_store(&paused, false);
    kick_all();
}

void vcpu_stop_thread(Vcpu *v)
{
    if (has_own_thread(v)) {
        atomic_store(&v->run->leaving, true);
        vcpu_kick(v);
        pthread_join(v->thread, NULL);
    }
    v->run->started = false;
}

void vcpus_stop_threads(void)
{
    atomic_store(&stopping, true);
    kick_all();
    for (unsigned i = 0; i < count; i++) {
        if (!has_own_thread(vcpus[i]))
            continue;
        pthread_join(vcpus[i]->thread, NULL);
        vcpus[i]->run->started = false;
    }
    atomic_store(&stopping, false);
    atomic_store(&paused, true);
}
