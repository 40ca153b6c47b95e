/* SPDX-License-Identifier: MIT */
/* CPUID under KVM: what the kernel offers limits the models; what a model gives goes to the kernel. */
#include "target/x86/kvm.h"

#include <errno.h>

enum { EAX, EBX, ECX, EDX, ENTRIES_MAX = 512 };

static struct kvm_cpuid2 *offered; /* KVM_GET_SUPPORTED_CPUID */
static X86Host host;

/* Where the words of models.h stand in CPUID. */
static const struct { uint32_t leaf, sub; uint8_t reg;
} places[X86_FW_COUNT] = {
    [X86_FW_1_EDX] = { 1, 0, EDX },
    [X86_FW_1_ECX] = { 1, 0, ECX },
    [X86_FW_7_EBX] = { 7, 0, EBX },
    [X86_FW_7_ECX] = { 7, 0, ECX },
    [X86_FW_7_EDX] = { 7, 0, EDX },
    [X86_FW_EXT1_EDX] = { 0x80000001, 0, EDX },
    [X86_FW_EXT1_ECX] = { 0x80000001, 0, ECX },
    [X86_FW_EXT7_EDX] = { 0x80000007, 0, EDX },
    [X86_FW_EXT8_EBX] = { 0x80000008, 0, EBX },
    [X86_FW_6_EAX] = { 6, 0, EAX },
    [X86_FW_D1_EAX] = { 0xd, 1, EAX },
    [X86_FW_7_1_EAX] = { 7, 1, EAX },
    [X86_FW_SVM] = { 0x8000000a, 0, EDX },
    [X86_FW_KVM] = { 0x40000001, 0, EAX },
    [X86_FW_KVM_HINTS] = { 0x40000001, 0, EDX },
};

/*
 * Features whose state is not moved between kernel and Vcpu, or that nothing here serves. By name, as users know them.
 */
static const char *const left_out[] = {
    "smx",
    "sgx",
    "sgxlc",
    "dtes64",
    "ds",
    "ds-cpl",
    "intel-pt",
    "waitpkg",
    "pks",
    "arch-capabilities",
    "core-capability",
    "bus-lock-detect",
    "lwp",
    "ibs",
    "perfctr-nb",
    "skinit",
    "virt-ssbd",
    "monitor",
    "extapic",
    "kvm-msi-ext-dest-id",
    "kvm-asyncpf-vmexit",
};
static const char *const of_kernel_apic[] = { "x2apic",     "tsc-deadline",  "kvm-asyncpf", "kvm-asyncpf-int",
                                              "kvm-pv-eoi", "kvm-pv-unhalt", "kvm-pv-ipi",  "kvm-pv-sched-yield" };

static const struct kvm_cpuid_entry2 *offered_leaf(uint32_t leaf, uint32_t sub)
{
    for (unsigned i = 0; i < offered->nent; i++) {
        const struct kvm_cpuid_entry2 *e = &offered->entries[i];
        if (e->function == leaf && (!(e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) || e->index == sub))
            return e;
    }
    return NULL;
}

static uint32_t offered_reg(uint32_t leaf, uint32_t sub, unsigned reg)
{
    const struct kvm_cpuid_entry2 *e = offered_leaf(leaf, sub);
    return !e ? 0 : reg == EAX ? e->eax : reg == EBX ? e->ebx : reg == ECX ? e->ecx : e->edx;
}

static void clear_feature(int feature)
{
    if (feature >= 0)
        host.features[feature >> 5] &= ~(1u << (feature & 31));
}

static void set_feature(int feature)
{
    if (feature >= 0)
        host.features[feature >> 5] |= 1u << (feature & 31);
}

static void read_features(void)
{
    for (unsigned i = 0; i < X86_FW_COUNT; i++)
        host.features[i] = offered_reg(places[i].leaf, places[i].sub, places[i].reg);
    host.features[X86_FW_1_ECX] |= 1u << (X86_FEATURE_HYPERVISOR & 31);
    host.features[X86_FW_KVM_HINTS] |= 1; /* only the user knows that CPUs are pinned */
    for (unsigned i = 0; i < ARRAY_LEN(left_out); i++)
        clear_feature(x86_feature_find(left_out[i]));
    if (kvm_check(KVM_CAP_TSC_DEADLINE_TIMER) > 0) /* older kernels tell it only so */
        set_feature(x86_feature_find("tsc-deadline"));
    for (unsigned i = 0; kvm.irqchip == KVM_IRQCHIP_OFF && i < ARRAY_LEN(of_kernel_apic); i++)
        clear_feature(x86_feature_find(of_kernel_apic[i]));
    /* bits that have no name here say nothing that a guest should rely on */
    uint32_t named[X86_FW_COUNT] = { 0 };
    for (const char *const *f = x86_feature_names(); *f; f++)
        named[x86_feature_find(*f) >> 5] |= 1u << (x86_feature_find(*f) & 31);
    for (unsigned i = 0; i < X86_FW_COUNT; i++)
        host.features[i] &= named[i];
    kvm_x86_ext_read(&host.extended, offered_reg);
    x86_ext_filter(host.features, &host.extended, true);
    clear_feature(X86_FEATURE_OSXSAVE);
    clear_feature(X86_FEATURE_HT);
}

static void read_identity(void)
{
    host.level = offered_reg(0, 0, EAX);
    host.xlevel = offered_reg(0x80000000, 0, EAX);
    host.signature = offered_reg(1, 0, EAX);
    store_le32(host.vendor, offered_reg(0, 0, EBX));
    store_le32(host.vendor + 4, offered_reg(0, 0, EDX));
    store_le32(host.vendor + 8, offered_reg(0, 0, ECX));
    for (unsigned i = 0; i < 12; i++)
        store_le32(host.model_id + i * 4, offered_reg(0x80000002 + i / 4, 0, i % 4));
    uint32_t bits = offered_reg(0x80000008, 0, EAX) & 0xff;
    host.phys_bits = (uint8_t)(bits >= 32 && bits <= 52 ? bits : 36);
}

bool kvm_x86_read_host(Error **errp)
{
    g_free(offered);
    offered = g_malloc0(sizeof(*offered) + ENTRIES_MAX * sizeof(offered->entries[0]));
    offered->nent = ENTRIES_MAX;
    if (kvm_ioctl(kvm.fd, KVM_GET_SUPPORTED_CPUID, offered) < 0) {
        error_set_errno(errp, errno, "kvm: asking which CPU features the kernel offers; use -accel tcg");
        return false;
    }
    read_features();
    read_identity();
    host.hyperv = kvm_x86_hv_read();
    x86_models_set_host(&host);
    return true;
}

/* --- the guest's --- */

static void add_entry(struct kvm_cpuid2 *to, const X86Cpu *c, uint32_t leaf, uint32_t sub, bool indexed)
{
    if (to->nent == ENTRIES_MAX)
        return;
    uint32_t o[4];
    x86_cpuid(c, leaf, sub, o);
    to->entries[to->nent++] = (struct kvm_cpuid_entry2){ .function = leaf,
                                                         .index = sub,
                                                         .flags = indexed ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0,
                                                         .eax = o[EAX],
                                                         .ebx = o[EBX],
                                                         .ecx = o[ECX],
                                                         .edx = o[EDX] };
}

/* How many sub-leaves of a leaf the model has; 0: the leaf has none. */
static unsigned sub_leaves(uint32_t leaf)
{
    switch (leaf) {
    case 4: case 0x8000001d: return 5;
    case 7: return 2;
    case 0xb: return 3;
    case 0xd: return X86_XSAVE_COMPONENTS;
    case 0x1d: return 2;
    case 0x1e: return 1;
    default: return 0;
    }
}

static void add_range(struct kvm_cpuid2 *to, const X86Cpu *c, uint32_t first, uint32_t last)
{
    for (uint32_t leaf = first; leaf <= last; leaf++) {
        unsigned subs = sub_leaves(leaf);
        for (unsigned s = 0; s < MAX(subs, 1u); s++)
            add_entry(to, c, leaf, s, subs != 0);
    }
}

bool kvm_x86_set_cpuid(KvmVcpu *k, Error **errp)
{
    const X86Cpu *c = kvm_cpu(k);
    g_autofree struct kvm_cpuid2 *table = g_malloc0(sizeof(*table) + ENTRIES_MAX * sizeof(table->entries[0]));
    add_range(table, c, 0, MIN(c->cpuid_level, 0x20u));
    bool hyperv = x86_hv_msr(c, 0);
    if (x86_has_feature(c, X86_FEATURE_HYPERVISOR))
        add_range(table, c, 0x40000000, hyperv ? x86_hv_last_leaf(c) : 0x40000001);
    if (x86_has_feature(c, X86_FEATURE_HYPERVISOR) && hyperv)
        add_range(table, c, X86_HV_KVM_LEAF, X86_HV_KVM_LEAF + 1);
    if (c->cpuid_xlevel >= 0x80000000)
        add_range(table, c, 0x80000000, MIN(c->cpuid_xlevel, 0x80000021u));
    if (!kvm_ioctl(k->fd, KVM_SET_CPUID2, table))
        return true;
    error_set_errno(errp, errno,
                    "kvm: vCPU %u: the kernel refuses the CPU model's CPUID; use another -cpu or -accel tcg",
                    k->v->index);
    return false;
}
