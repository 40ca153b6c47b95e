/* SPDX-License-Identifier: MIT */
/*
 * Hyper-V's interfaces of the kernel (kernel documentation: virt/kvm/api.rst, 4.118, 6.5, 8.10): what it has, and what
 * a vCPU must switch on.
 */
#include "target/x86/kvm.h"

#include <errno.h>

enum { EAX, EBX, ECX, EDX, LEAVES_MAX = 32 };

const X86HypervHost *kvm_x86_hv_read(void)
{
    static X86HypervHost have;
    have = (X86HypervHost){ 0 };
    if (kvm_check(KVM_CAP_SYS_HYPERV_CPUID) <= 0)
        return NULL;
    g_autofree struct kvm_cpuid2 *t = g_malloc0(sizeof(*t) + LEAVES_MAX * sizeof(t->entries[0]));
    t->nent = LEAVES_MAX;
    if (kvm_ioctl(kvm.fd, KVM_GET_SUPPORTED_HV_CPUID, t) < 0)
        return NULL;
    for (unsigned i = 0; i < MIN(t->nent, (unsigned)LEAVES_MAX); i++) {
        const struct kvm_cpuid_entry2 *e = &t->entries[i];
        if (e->function == 0x40000003)
            have.word[X86_HV_PRIVILEGES] = e->eax, have.word[X86_HV_MISC] = e->edx;
        else if (e->function == 0x40000004)
            have.word[X86_HV_HINTS] = e->eax;
        else if (e->function == 0x4000000a)
            have.nested[0] = e->eax, have.nested[1] = e->ebx;
    }
    return &have;
}

/* `answer`: where the kernel writes what it has chosen; may be NULL. */
static bool switch_on(KvmVcpu *k, uint32_t capability, void *answer, const char *option, Error **errp)
{
    struct kvm_enable_cap cap = { .cap = capability, .args = { (uintptr_t)answer } };
    if (!kvm_ioctl(k->fd, KVM_ENABLE_CAP, &cap))
        return true;
    error_set_errno(errp, errno, "kvm: vCPU %u: '%s': the kernel does not switch it on; leave it out of -cpu",
                    k->v->index, option);
    return false;
}

bool kvm_x86_hv_init(KvmVcpu *k, Error **errp)
{
    const X86Cpu *c = kvm_cpu(k);
    uint16_t versions = 0;
    if (x86_hv_has_synic(c) && kvm.irqchip == KVM_IRQCHIP_OFF) {
        error_setf(errp, "-cpu: 'hv-synic' needs the kernel's local APICs; use kernel-irqchip=on or split");
        return false;
    }
    return (!x86_hv_has_synic(c) || switch_on(k, KVM_CAP_HYPERV_SYNIC2, NULL, "hv-synic", errp)) &&
           (!c->hv.enforce_cpuid || switch_on(k, KVM_CAP_HYPERV_ENFORCE_CPUID, NULL, "hv-enforce-cpuid", errp)) &&
           (!x86_hv_has_evmcs(c) || switch_on(k, KVM_CAP_HYPERV_ENLIGHTENED_VMCS, &versions, "hv-evmcs", errp));
}
