/* SPDX-License-Identifier: MIT */
/* The vCPU's thread: KVM_RUN, what it comes back with, kicks, and when the state moves between kernel and Vcpu. */
#include "accel/kvm/kvm.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include "base/bits.h"
#include "base/log.h"

#define KICK_SIGNAL SIGUSR1
/* KVM_EXIT_MEMORY_FAULT (Linux 6.8): flags, guest address, size, 64 bits each; older headers lack it. */
enum { EXIT_MEMORY_FAULT = 39, KVM_HYPERCALL_UNKNOWN = 1000 };

/* --- kicks --- */

static void on_kick(int number) {} /* its arrival ends KVM_RUN */

static void catch_kicks(void)
{
    static gsize done;
    if (g_once_init_enter(&done)) {
        struct sigaction a = { .sa_handler = on_kick };
        sigaction(KICK_SIGNAL, &a, NULL);
        g_once_init_leave(&done, 1);
    }
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, KICK_SIGNAL);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/*
 * The kicker publishes its reason and v->exit_request before it comes here. A vCPU on its way in has either cleared
 * immediate_exit before that store, and the kernel sees it, or it looks for reasons afterwards. One that is inside
 * takes the signal.
 */
void kvm_kick(Vcpu *v)
{
    KvmVcpu *k = v->kvm;
    if (!k)
        return;
    __atomic_store_n(&k->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
    if (atomic_load(&k->inside) && !pthread_equal(k->self, pthread_self()))
        pthread_kill(k->self, KICK_SIGNAL);
}

/* --- failures --- */

static void stop_for_good(KvmVcpu *k)
{
    k->failed = true;
    k->v->halted = true;
    machine_request_exit(1);
}

void kvm_fail(KvmVcpu *k, const char *hint, const char *fmt, ...)
{
    if (k->failed)
        return;
    va_list args;
    va_start(args, fmt);
    g_autofree char *what = g_strdup_vprintf(fmt, args);
    va_end(args);
    g_autoptr(GString) where = g_string_new(NULL);
    kvm_fetch_state(k);
    kvm.arch->describe(k, where);
    warn_reportf("kvm: vCPU %u: %s; %s; %s", k->v->index, what, where->str, hint);
    stop_for_good(k);
}

/* --- state --- */

/* An instruction may make several accesses: each is an exit of its own. */
bool kvm_finish_access(KvmVcpu *k)
{
    enum { PIECES = 16 };
    int r = -1;
    errno = EINTR;
    for (unsigned i = 0; k->unfinished && i < PIECES; i++) {
        __atomic_store_n(&k->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
        r = kvm_ioctl(k->fd, KVM_RUN, NULL);
        k->unfinished = false;
        if (!r)
            kvm_handle(k, 0);
    }
    return r < 0 && errno == EINTR && !k->unfinished;
}

void kvm_fetch_state(KvmVcpu *k)
{
    if (!k->loaded)
        return;
    kvm_finish_access(k);
    Error *err = NULL;
    if (!kvm.arch->get(k, &err)) {
        if (!k->failed)
            error_report(err);
        error_free(err);
        stop_for_good(k);
    }
    k->loaded = false;
    k->late = true;
}

void kvm_standing(void)
{
    for (unsigned i = 0; kvm.arch->get_late && i < vcpu_count(); i++) {
        KvmVcpu *k = vcpu_get(i) ? vcpu_get(i)->kvm : NULL;
        Error *err = NULL;
        if (!k || !k->late || k->failed)
            continue;
        k->late = false;
        if (kvm.arch->get_late(k, &err))
            continue;
        error_report(err);
        error_free(err);
        stop_for_good(k);
    }
}

bool kvm_load_state(KvmVcpu *k)
{
    Error *err = NULL;
    if (k->loaded)
        return true;
    k->late = false;
    if (kvm.arch->put(k, &err)) {
        k->loaded = true;
        return true;
    }
    error_report(err);
    error_free(err);
    stop_for_good(k);
    return false;
}

/* --- exits --- */

void kvm_port_io(KvmVcpu *k, uint16_t port, unsigned size, unsigned count, bool in, uint8_t *data)
{
    AddressSpace *as = k->v->machine->as_io;
    MemAttrs attrs = k->v->arch->attrs(k->v);
    for (unsigned i = 0; i < count; i++, data += size) {
        uint64_t value = in ? UINT64_MAX : load_le(data, size);
        if (in) {
            as_load(as, port, size, &value, attrs);
            store_le(data, size, value);
        } else {
            as_store(as, port, size, value, attrs);
        }
    }
}

void kvm_mmio(KvmVcpu *k, uint64_t addr, unsigned len, bool write, uint8_t *data)
{
    AddressSpace *as = k->v->as;
    MemAttrs attrs = k->v->arch->attrs(k->v);
    if (!is_pow2(len) || len > 8) {
        write ? as_write(as, addr, data, len, attrs) : as_read(as, addr, data, len, attrs);
        return;
    }
    uint64_t value = UINT64_MAX;
    if (write) {
        as_store(as, addr, len, load_le(data, len), attrs);
    } else {
        as_load(as, addr, len, &value, attrs);
        store_le(data, len, value);
    }
}

/* The guest asks for something through its hypervisor (PSCI on Arm). */
static void system_event(KvmVcpu *k)
{
    if (kvm.arch->system_event && kvm.arch->system_event(k))
        return;
    switch (k->run->system_event.type) {
    case KVM_SYSTEM_EVENT_SHUTDOWN: machine_request_shutdown(CAUSE_GUEST_SHUTDOWN); break;
    case KVM_SYSTEM_EVENT_RESET: machine_request_reset(CAUSE_GUEST_RESET); break;
    case KVM_SYSTEM_EVENT_CRASH: machine_guest_panicked("the guest says that it has crashed"); break;
    default: log_unimp("kvm", "system event %u", k->run->system_event.type);
    }
    vcpus_pause_soon();
}

static void internal_error(KvmVcpu *k)
{
    unsigned sub = k->run->internal.suberror;
    static const char *const texts[] = {
        [KVM_INTERNAL_ERROR_EMULATION] = "the kernel cannot emulate the guest's instruction",
        [KVM_INTERNAL_ERROR_SIMUL_EX] = "an exception while another was delivered",
        [KVM_INTERNAL_ERROR_DELIVERY_EV] = "an exit while an event was delivered",
        [KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON] = "the CPU left the guest for an unknown reason"
    };
    g_autoptr(GString) data = g_string_new(NULL);
    for (unsigned i = 0; i < MIN(k->run->internal.ndata, G_N_ELEMENTS(k->run->internal.data)); i++)
        g_string_append_printf(data, "%s%" G_GINT64_MODIFIER "x", i ? " " : ", data ",
                               (guint64)k->run->internal.data[i]);
    kvm_fail(k, "a CPU model with fewer features may avoid it, -accel tcg runs the guest", "internal error %u (%s%s)",
             sub, sub < G_N_ELEMENTS(texts) && texts[sub] ? texts[sub] : "unknown", data->str);
}

enum { SHORT_TRIES = 200, SHORT_US = 10000 };

static void run_failed(KvmVcpu *k, int os_errno)
{
    switch (os_errno) {
    case EINTR:
    case EAGAIN:
        k->interrupted++;
        break;
    case ENOSPC:
    case ENOMEM: /* some hosts are short of something for a moment, as after the end of another machine */
        if (k->short_of++ < SHORT_TRIES) {
            g_usleep(SHORT_US);
            break;
        }
        kvm_fail(k, "the host is out of memory or of another resource; end other machines, or use -accel tcg",
                 "KVM_RUN: %s", g_strerror(os_errno));
        break;
    case EFAULT:
        if (k->run->exit_reason == EXIT_MEMORY_FAULT)
            kvm_fail(k, "the host has no memory for it (hugepages or a backing file used up?)",
                     "guest memory at 0x%" G_GINT64_MODIFIER "x cannot be had",
                     (guint64)load_le64(k->run->padding + 8));
        else
            kvm_fail(
                k,
                "the host has no memory for the guest (hugepages or a backing file used up?), or uses its own wrongly",
                "KVM_RUN: bad address");
        break;
    default:
        kvm_fail(k, "the host's kernel cannot go on with this guest; -accel tcg runs it", "KVM_RUN: %s",
                 g_strerror(os_errno));
    }
}

void kvm_handle(KvmVcpu *k, int os_errno)
{
    struct kvm_run *r = k->run;
    if (os_errno) {
        run_failed(k, os_errno);
        return;
    }
    k->exits[MIN(r->exit_reason, G_N_ELEMENTS(k->exits) - 1)]++;
    switch (r->exit_reason) {
    case KVM_EXIT_IO:
        k->unfinished = true;
        kvm_port_io(k, r->io.port, r->io.size, r->io.count, r->io.direction == KVM_EXIT_IO_IN,
                    (uint8_t *)r + r->io.data_offset);
        break;
    case KVM_EXIT_MMIO:
        k->unfinished = true;
        kvm_mmio(k, r->mmio.phys_addr, r->mmio.len, r->mmio.is_write, r->mmio.data);
        break;
    case KVM_EXIT_SYSTEM_EVENT:
        system_event(k);
        break;
    case KVM_EXIT_HYPERCALL: /* none that we know is passed on */
        r->hypercall.ret = (uint64_t)-KVM_HYPERCALL_UNKNOWN;
        break;
    case KVM_EXIT_EXCEPTION:
        kvm_fail(k, "-accel tcg runs the guest", "the CPU met exception %u on the guest's behalf", r->ex.exception);
        break;
    case EXIT_MEMORY_FAULT:
        kvm_fail(k, "this guest does not use private memory; -accel tcg runs it",
                 "a fault of private memory at 0x%" G_GINT64_MODIFIER "x", (guint64)load_le64(r->padding + 8));
        break;
    case KVM_EXIT_INTR:
    case KVM_EXIT_IRQ_WINDOW_OPEN:
        break;
    case KVM_EXIT_DIRTY_RING_FULL:
        kvm_slots_collect();
        break;
    case KVM_EXIT_INTERNAL_ERROR:
        internal_error(k);
        break;
    case KVM_EXIT_FAIL_ENTRY:
        kvm_fail(k, "the state may be one that this CPU cannot run; -accel tcg runs it",
                 "the CPU refuses to enter the guest, reason 0x%" G_GINT64_MODIFIER "x",
                 (guint64)r->fail_entry.hardware_entry_failure_reason);
        break;
    case KVM_EXIT_UNKNOWN:
        kvm_fail(k, "-accel tcg runs the guest",
                 "the CPU left the guest for an unknown reason, 0x%" G_GINT64_MODIFIER "x",
                 (guint64)r->hw.hardware_exit_reason);
        break;
    default:
        if (!kvm.arch->handle_exit(k))
            kvm_fail(k, "the kernel is newer than this program; -accel tcg runs the guest",
                     "exit for reason %u, which is not known here", r->exit_reason);
    }
}

/* --- the loop --- */

static void run_once(KvmVcpu *k)
{
    Error *err = NULL;
    if (!kvm_slots_refresh(&err)) {
        error_report(err);
        error_free(err);
        stop_for_good(k);
        return;
    }
    if (!kvm_load_state(k))
        return;
    kvm_debug_apply(k);
    atomic_store(&k->inside, true);
    int r = kvm_ioctl(k->fd, KVM_RUN, NULL), os_errno = r < 0 ? errno : 0;
    atomic_store_explicit(&k->inside, false, memory_order_release); /* a signal too many does no harm */
    k->unfinished = false;
    k->short_of = r < 0 ? k->short_of : 0;
    kvm_ioevents_flush();
    kvm.arch->after_run(k, !os_errno);
    kvm_handle(k, os_errno);
    if (k->unfinished)
        kvm_follow(k);
}

static bool never(Vcpu *v) { return false; }

void *kvm_thread(void *opaque)
{
    Vcpu *v = opaque;
    KvmVcpu *k = v->kvm;
    k->self = pthread_self();
    catch_kicks();
    for (;;) {
        if (__atomic_load_n(&k->run->immediate_exit, __ATOMIC_ACQUIRE) || atomic_load(&v->exit_request)) {
            __atomic_store_n(&k->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
            atomic_store(&v->exit_request, 0); /* before looking: a request from now on ends KVM_RUN again */
        }
        if (vcpu_service_due(v)) {
            kvm_fetch_state(k);
            if (!vcpu_service(v))
                return NULL;
        }
        if (k->failed)
            vcpu_wait(v, never);
        else if (kvm.arch->before_run(k))
            run_once(k);
        else
            vcpu_wait(v, v->arch->has_work);
    }
}
