/* SPDX-License-Identifier: MIT */
/*
 * A kernel's KVM as a table of what it has: one vCPU whose state is kept as the kernel keeps it, for tests of what goes
 * in and out.
 */
#ifndef TESTS_CPU_KVM_FAKE_H
#define TESTS_CPU_KVM_FAKE_H

#include "target/x86/kvm.h"
#include "tests/cpu/x86-fixture.h"

enum { FAKE_MSRS = 512, FAKE_VM = 100, FAKE_VCPU = 101, FAKE_XSAVE = 16384, FAKE_NESTED = 8192 };

typedef struct FakeKernel {
    int caps[512];                      /* KVM_CHECK_EXTENSION */
    struct kvm_cpuid2 *offers, *guest;  /* supported CPUID; as set for the vCPU */
    struct kvm_sregs sregs;
    struct kvm_regs regs;
    struct kvm_vcpu_events events;
    bool split;   /* KVM_INTERRUPT waits in external, unseen, until the guest is entered */
    int external; /* 0: none */
    struct kvm_xcrs xcrs;
    struct kvm_debugregs debugregs;
    struct kvm_mp_state mp;
    uint8_t sipi;                       /* has been sent: carried out by KVM_GET_MP_STATE; 0: none */
    struct kvm_enable_cap enabled[16];  /* of VM and vCPU, in their order */
    unsigned enables;
    uint8_t xsave[FAKE_XSAVE];
    _Alignas(8) uint8_t nested[FAKE_NESTED];
    unsigned long shadow_pages;         /* KVM_SET_NR_MMU_PAGES */
    unsigned devices, device_calls;     /* KVM_CREATE_DEVICE; KVM_SET_DEVICE_ATTR, the last one: */
    struct kvm_device_attr device_attr;
    int32_t device_value;
    uint64_t ssp;                       /* KVM_{GET,SET}_ONE_REG */
    unsigned long tiles_asked;          /* the last component that arch_prctl() asked for */
    size_t xsave_size;                  /* what KVM_GET_XSAVE2 fills */
    struct { uint32_t number; uint64_t value; bool listed; } msr[FAKE_MSRS];
    unsigned msrs, msr_writes, smis, nmis, nested_sets;
    uint32_t feature_msrs[16];          /* 0: no more; with values in msr[] */
    long tsc_khz;                       /* the host's */
    bool tsc_scales;
    unsigned tsc_sets;
    const X86HypervHost *hyperv;
    unsigned long refuse;               /* this request fails */
    int refuse_errno;
} FakeKernel;
extern FakeKernel fake;

/* A kernel of a usual kind: everything but what tests switch on. Also kvm.fd, kvm.vm and the hook. */
void fake_start(void);
void fake_offer(uint32_t leaf, uint32_t sub, uint32_t a, uint32_t b, uint32_t c, uint32_t d); /* adds bits */
void fake_msr(uint32_t number, uint64_t value, bool listed);
uint64_t *fake_msr_value(uint32_t number); /* NULL: there is none */
/* A CPU of the model whose state the fake kernel holds (vcpu_init and one put), by kvm_x86_arch. */
KvmVcpu *fake_vcpu(const char *model);
bool fake_try_vcpu(const char *model, KvmVcpu **out, Error **errp);
void fake_vcpu_free(KvmVcpu *k);
const struct kvm_cpuid_entry2 *fake_leaf(uint32_t leaf, uint32_t sub); /* as the guest sees it */
/* The state into the kernel and out of it; must succeed. */
void fake_put(KvmVcpu *k);
void fake_get(KvmVcpu *k);
/* A saved machine into a CPU of the model (NULL: a translator's "max"): the error, or NULL. */
char *fake_load(GBytes *stream, const char *model);
#endif
