/* SPDX-License-Identifier: MIT */
/*
 * Pages that guests write: logs of the slots, or rings of the vCPUs (kernel documentation: virt/kvm/api.rst, 4.8,
 * 4.117, 8.29).
 */
#include "accel/kvm/kvm.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>
#include "accel/vcpu.h"
#include "base/bits.h"
#include "hw/core/ram.h"

static void ring_empty(KvmVcpu *k)
{
    for (;;) {
        struct kvm_dirty_gfn *g = &k->ring[k->ring_next % kvm.ring_entries];
        if (!(__atomic_load_n(&g->flags, __ATOMIC_ACQUIRE) & KVM_DIRTY_GFN_F_DIRTY))
            return;
        kvm_slots_note(g->slot, g->offset);
        __atomic_store_n(&g->flags, KVM_DIRTY_GFN_F_RESET, __ATOMIC_RELEASE);
        k->ring_next++;
    }
}

void kvm_dirty_harvest(void)
{
    for (unsigned i = 0; i < vcpu_count(); i++) {
        KvmVcpu *k = vcpu_get(i) ? vcpu_get(i)->kvm : NULL;
        if (k && k->ring)
            ring_empty(k);
    }
    kvm_ioctl(kvm.vm, KVM_RESET_DIRTY_RINGS, NULL);
}

static void dirty_stop(void)
{
    if (kvm.vm >= 0)
        kvm_slots_set_logging(false, NULL);
}

static void nothing(Vcpu *v, void *opaque) {}

static void wait_for_all(void)
{
    for (unsigned i = 0; i < vcpu_count(); i++) {
        if (vcpu_get(i) && vcpu_get(i)->kvm)
            vcpu_run_on_sync(vcpu_get(i), nothing, NULL);
    }
}

/* What follow.c writes is not noted: where it is used now, it ends. */
static bool dirty_start(Error **errp)
{
    bool ok = kvm_slots_set_logging(true, errp);
    if (kvm.follow)
        wait_for_all();
    return ok;
}

/* What the CPU has noted itself comes into the ring when the vCPU leaves the guest. */
static void dirty_collect(void)
{
    if (kvm.ring_entries)
        wait_for_all();
    kvm_slots_collect();
}

/* Collecting begins the log anew: nothing is left to forget. */
static const RamDirtyOps dirty_ops = { .start = dirty_start, .collect = dirty_collect, .stop = dirty_stop };

enum { CAP_DIRTY_LOG_RING_ACQ_REL = 223 }; /* Linux 6.1; older headers lack it */

static bool ring_init(unsigned entries, Error **errp)
{
    /* hosts with weakly ordered memory have the second one only; we order our accesses */
    unsigned which = kvm_check(KVM_CAP_DIRTY_LOG_RING) > 0 ? KVM_CAP_DIRTY_LOG_RING : CAP_DIRTY_LOG_RING_ACQ_REL;
    int most = kvm_check(which) / (int)sizeof(struct kvm_dirty_gfn);
    if (!is_pow2(entries) || (most > 0 && entries > (unsigned)most)) {
        error_setf(errp, "kvm: dirty-ring-size=%u: give a power of two up to %d", entries, MAX(most, 0));
        return false;
    }
    struct kvm_enable_cap cap = { .cap = which, .args = { entries * sizeof(struct kvm_dirty_gfn) } };
    if (most > 0 && !kvm_ioctl(kvm.vm, KVM_ENABLE_CAP, &cap)) {
        kvm.ring_entries = entries;
        return true;
    }
    error_set_errno(errp, most > 0 ? errno : ENOTTY,
                    "kvm: dirty-ring-size=%u: this kernel has no such rings; leave it out", entries);
    return false;
}

bool kvm_dirty_init(unsigned ring_entries, Error **errp)
{
    struct kvm_enable_cap cap = { .cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
                                  .args = { KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE } };
    ram_set_dirty_ops(&dirty_ops);
    kvm.ring_entries = 0;
    kvm.manual_clear = false;
    if (ring_entries)
        return ring_init(ring_entries, errp);
    kvm.manual_clear = kvm_check(KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2) > 0 && !kvm_ioctl(kvm.vm, KVM_ENABLE_CAP, &cap);
    return true;
}

bool kvm_dirty_vcpu_init(KvmVcpu *k, Error **errp)
{
    if (!kvm.ring_entries)
        return true;
    long page = sysconf(_SC_PAGESIZE);
    void *ring = mmap(NULL, kvm.ring_entries * sizeof(*k->ring), PROT_READ | PROT_WRITE, MAP_SHARED, k->fd,
                      page * KVM_DIRTY_LOG_PAGE_OFFSET);
    if (ring == MAP_FAILED) {
        error_set_errno(errp, errno, "kvm: vCPU %u: mapping its ring of written pages; leave dirty-ring-size out",
                        k->v->index);
        return false;
    }
    k->ring = ring;
    return true;
}

void kvm_dirty_vcpu_free(KvmVcpu *k)
{
    if (k->ring)
        munmap(k->ring, kvm.ring_entries * sizeof(*k->ring));
    k->ring = NULL;
}
