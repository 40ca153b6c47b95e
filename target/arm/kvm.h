/* SPDX-License-Identifier: MIT */
/* AArch64 guests under KVM on arm64 hosts: what its files share. */
#ifndef TARGET_ARM_KVM_H
#define TARGET_ARM_KVM_H

#include "accel/kvm/kvm.h"
#include "target/arm/system.h"

/* A vCPU's KvmVcpu.arch_data. */
typedef struct KvmArm {
    struct kvm_vcpu_init init;
    uint64_t *ids;          /* system registers that the kernel and we have, by the kernel's list */
    unsigned count;
    struct KvmArmRest *rest; /* registers that only the kernel knows */
    bool sve;               /* vectors go by the registers of SVE */
    bool irq, fiq;          /* levels that the kernel has been told */
    bool steal_told;        /* the kernel knows where stolen time is to be written */
} KvmArm;

extern const KvmArch kvm_arm_table;
static inline KvmArm *kvm_arm(const KvmVcpu *k) { return k->arch_data; }

/* One register (KVM_GET_ONE_REG, KVM_SET_ONE_REG). */
bool kvm_arm_reg(int vcpu, unsigned long request, uint64_t id, void *at);
/* KVM_SET_DEVICE_ATTR of a device or vCPU; value may be NULL. */
bool kvm_arm_set_attr(int fd, uint32_t group, uint64_t attr, const void *value);
bool kvm_arm_has_attr(int fd, uint32_t group, uint64_t attr);

/* kvm-host.c: the host's CPU becomes the model "host", as a throw-away vCPU shows it. */
bool kvm_arm_read_host(unsigned phys_bits, Error **errp);
/* The features that c's model wants of the kernel. */
bool kvm_arm_features(const KvmVcpu *k, struct kvm_vcpu_init *init, Error **errp);
bool kvm_arm_finalize(KvmVcpu *k, Error **errp); /* after KVM_ARM_VCPU_INIT, once */

/* kvm-state.c */
bool kvm_arm_list_sysregs(KvmVcpu *k, Error **errp);
bool kvm_arm_one_reg(const KvmVcpu *k, bool set, uint64_t id, void *at);
bool kvm_arm_put(KvmVcpu *k, Error **errp);
bool kvm_arm_get(KvmVcpu *k, Error **errp);
void kvm_arm_follow_clock(void); /* the guest's counters stand while the machine does */

/*
 * kvm-rest.c: registers of 64 bits in the kernel's list that no table of ours has: kept over resets and in saved
 * machines.
 */
void kvm_arm_rest_add(KvmVcpu *k, uint64_t id);
void kvm_arm_rest_begin(KvmVcpu *k); /* all are added: their values now are those of reset */
void kvm_arm_rest_move(KvmVcpu *k, bool set);
void kvm_arm_rest_free(KvmVcpu *k);

/* kvm-gic.c */
bool kvm_arm_make_irqchip(KvmIrqchip mode);
bool kvm_arm_start_pmu(const KvmVcpu *k); /* where the kernel runs the GIC, that is there */

/* kvm-debug.c */
bool kvm_arm_set_debug(KvmVcpu *k, const DebugPoint *points, unsigned count, bool insns);
void kvm_arm_debug_exit(KvmVcpu *k);
#endif
