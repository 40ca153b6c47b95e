/* SPDX-License-Identifier: MIT */
/*
 * The CPU model "host": identification registers and features as a throw-away vCPU of the kernel's shows them (kernel
 * documentation: virt/kvm/api.rst, 4.68, 4.82, 4.119).
 */
#include "target/arm/kvm.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "target/arm/sysregs.h"

enum { READ_ONLY = 4, KEY_MASK = 0xffff };

static uint64_t sysreg_id(uint32_t key) { return KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM64_SYSREG | key; }

/* The vCPU of a VM of its own, with all that the kernel has to give. */
static int scratch_vcpu(int vm, struct kvm_vcpu_init *init)
{
    static const struct { unsigned feature, cap;
    } all[] = {
        { KVM_ARM_VCPU_SVE, KVM_CAP_ARM_SVE },
        { KVM_ARM_VCPU_PMU_V3, KVM_CAP_ARM_PMU_V3 },
        { KVM_ARM_VCPU_PTRAUTH_ADDRESS, KVM_CAP_ARM_PTRAUTH_ADDRESS },
        { KVM_ARM_VCPU_PTRAUTH_GENERIC, KVM_CAP_ARM_PTRAUTH_GENERIC },
        { KVM_ARM_VCPU_PSCI_0_2, KVM_CAP_ARM_PSCI_0_2 },
    };
    int fd = kvm_ioctl(vm, KVM_CREATE_VCPU, NULL);
    if (fd < 0)
        return -1;
    bool ok = !kvm_ioctl(vm, KVM_ARM_PREFERRED_TARGET, init);
    for (unsigned i = 0; i < ARRAY_LEN(all); i++)
        init->features[0] |= kvm_ioctl(vm, KVM_CHECK_EXTENSION, (void *)(uintptr_t)all[i].cap) > 0
                                 ? 1u << all[i].feature
                                 : 0;
    if (ok && !kvm_ioctl(fd, KVM_ARM_VCPU_INIT, init))
        return fd;
    close(fd);
    return -1;
}

static uint8_t sve_lengths(int vcpu)
{
    uint64_t lengths[KVM_ARM64_SVE_VLS_WORDS] = { 0 };
    return kvm_arm_reg(vcpu, KVM_GET_ONE_REG, KVM_REG_ARM64_SVE_VLS, lengths) ? lengths[0] & bits_mask(ARM_SVE_MAX_VQ)
                                                                              : 0;
}

static uint32_t counter_hz(void)
{
    uint64_t hz;
    __asm__ volatile("mrs %0, cntfrq_el0" : "=r"(hz));
    return (uint32_t)hz;
}

static bool pointer_auth(const ArmCpu *c)
{
    return c->id_aa64isar1 & UINT64_C(0xff0) || c->id_aa64isar2 & 0xf000; /* APA, API; APA3 */
}

/* Registers that only identify, as rows of the table; those that the kernel does not have are zero. */
static void read_ids(int vcpu, ArmCpu *c)
{
    unsigned count;
    const ArmSysreg *rows = arm_sysreg_rows(&count);
    for (unsigned i = 0; i < count; i++) {
        const ArmSysreg *r = &rows[i];
        if (r->key > KEY_MASK || r->wr != READ_ONLY || r->size != 8 || !r->offset ||
            r->offset == offsetof(ArmCpu, mpidr))
            continue;
        uint64_t value = 0;
        if (kvm_arm_reg(vcpu, KVM_GET_ONE_REG, sysreg_id(r->key), &value))
            *arm_sysreg_field(c, r) = value;
    }
    kvm_arm_reg(vcpu, KVM_GET_ONE_REG, sysreg_id(ARM_SYS_KEY(3, 3, 9, 12, 0)), &c->pmcr_el0); /* how many counters */
}

static void make_model(const ArmCpu *c, struct kvm_vcpu_init *init, uint8_t lengths, unsigned phys_bits)
{
    static const uint8_t range_bits[] = { 32, 36, 40, 42, 44, 48, 52 };
    static ArmModel host;
    host = (ArmModel){ .name = "host",
                       .desc = "the host's CPU (KVM)",
                       .midr = (uint32_t)c->midr,
                       .revidr = (uint32_t)c->revidr,
                       .ctr = (uint32_t)c->ctr,
                       .clidr = (uint32_t)c->clidr,
                       .breakpoints = (uint8_t)(bits_get(c->id_aa64dfr0, 12, 4) + 1),
                       .watchpoints = (uint8_t)(bits_get(c->id_aa64dfr0, 20, 4) + 1),
                       .pmu_counters = (uint8_t)bits_get(c->pmcr_el0, 11, 5),
                       .cntfrq = counter_hz(),
                       .sve_lengths = lengths,
                       .host_ids = arm_host_ids(c) };
    while (host.pa_range + 1u < ARRAY_LEN(range_bits) && range_bits[host.pa_range + 1] <= phys_bits)
        host.pa_range++;
    arm_features_of_ids(c, &host.has);
    host.has.pauth = pointer_auth(c) && init->features[0] >> KVM_ARM_VCPU_PTRAUTH_ADDRESS & 1;
    host.has.sve = host.has.sve && lengths;
    host.has.el2 = host.has.el3 = false;
    host.has.lpa = phys_bits > 48;
    arm_models_set_host(&host);
}

bool kvm_arm_read_host(unsigned phys_bits, Error **errp)
{
    struct kvm_vcpu_init init = { 0 };
    int vm = kvm_ioctl(kvm.fd, KVM_CREATE_VM, NULL);
    if (vm < 0) /* hosts of few address bits have no VM of the default size */
        vm = kvm_ioctl(kvm.fd, KVM_CREATE_VM, (void *)(uintptr_t)KVM_VM_TYPE_ARM_IPA_SIZE(phys_bits));
    int vcpu = vm < 0 ? -1 : scratch_vcpu(vm, &init);
    int saved = errno;
    if (vcpu >= 0) {
        ArmCpu *c = g_aligned_alloc0(1, sizeof(ArmCpu), 4096);
        uint8_t lengths = init.features[0] >> KVM_ARM_VCPU_SVE & 1 ? sve_lengths(vcpu) : 0;
        read_ids(vcpu, c);
        make_model(c, &init, lengths, phys_bits);
        g_aligned_free(c);
        close(vcpu);
    }
    if (vm >= 0)
        close(vm);
    errno = saved;
    if (vcpu < 0)
        error_set_errno(errp, errno, "kvm: the kernel does not show the CPU that its guests have; use -accel tcg");
    return vcpu >= 0;
}

bool kvm_arm_features(const KvmVcpu *k, struct kvm_vcpu_init *init, Error **errp)
{
    const ArmCpu *c = arm_cpu(k->v);
    enum { PAUTH = 1u << KVM_ARM_VCPU_PTRAUTH_ADDRESS | 1u << KVM_ARM_VCPU_PTRAUTH_GENERIC };
    init->features[0] |= 1u << KVM_ARM_VCPU_PSCI_0_2 | (c->start_off ? 1u << KVM_ARM_VCPU_POWER_OFF : 0);
    init->features[0] |= c->has.pmuv3 && kvm_check(KVM_CAP_ARM_PMU_V3) > 0 ? 1u << KVM_ARM_VCPU_PMU_V3 : 0;
    init->features[0] |= c->has.sve ? 1u << KVM_ARM_VCPU_SVE : 0;
    init->features[0] |= c->has.pauth ? PAUTH : 0;
    if (c->has.aarch64)
        return true;
    if (kvm_check(KVM_CAP_ARM_EL1_32BIT) <= 0) {
        error_setf(errp, "-cpu host: this CPU has no 32-bit kernel mode; leave out 'aarch64=off' or use -accel tcg");
        return false;
    }
    init->features[0] |= 1u << KVM_ARM_VCPU_EL1_32BIT;
    return true;
}

/* The lengths of vectors are the model's, of which the kernel has all; then nothing about them can change. */
bool kvm_arm_finalize(KvmVcpu *k, Error **errp)
{
    int feature = KVM_ARM_VCPU_SVE;
    uint64_t lengths[KVM_ARM64_SVE_VLS_WORDS] = { arm_cpu(k->v)->sve_lengths };
    kvm_arm(k)->sve = kvm_arm(k)->init.features[0] >> KVM_ARM_VCPU_SVE & 1;
    if (!kvm_arm(k)->sve || (kvm_arm_reg(k->fd, KVM_SET_ONE_REG, KVM_REG_ARM64_SVE_VLS, lengths) &&
                             !kvm_ioctl(k->fd, KVM_ARM_VCPU_FINALIZE, &feature)))
        return true;
    error_set_errno(
        errp, errno,
        "-cpu host: the kernel does not give vectors of these lengths; leave sve-max-vq and sveN out, or use sve=off");
    return false;
}
