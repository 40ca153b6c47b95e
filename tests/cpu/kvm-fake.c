/* SPDX-License-Identifier: MIT */
/*
 * The kernel of kvm-fake.h: what KVM's calls do, as far as a vCPU's state goes (kernel documentation:
 * virt/kvm/api.rst).
 */
#include "tests/cpu/kvm-fake.h"
#include "tests/device/whole-state.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

FakeKernel fake;
enum { OFFERS = 64, HOST_KHZ = 2000000 };

void fake_msr(uint32_t number, uint64_t value, bool listed)
{
    g_assert_cmpuint(fake.msrs, <, FAKE_MSRS);
    fake.msr[fake.msrs].number = number;
    fake.msr[fake.msrs].value = value;
    fake.msr[fake.msrs++].listed = listed;
}

uint64_t *fake_msr_value(uint32_t number)
{
    for (unsigned i = 0; i < fake.msrs; i++) {
        if (fake.msr[i].number == number)
            return &fake.msr[i].value;
    }
    return NULL;
}

static struct kvm_cpuid_entry2 *find_leaf(struct kvm_cpuid2 *in, uint32_t leaf, uint32_t sub)
{
    for (unsigned i = 0; i < in->nent; i++) {
        if (in->entries[i].function == leaf && in->entries[i].index == sub)
            return &in->entries[i];
    }
    return NULL;
}

const struct kvm_cpuid_entry2 *fake_leaf(uint32_t leaf, uint32_t sub)
{
    return fake.guest ? find_leaf(fake.guest, leaf, sub) : NULL;
}

void fake_offer(uint32_t leaf, uint32_t sub, uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
    struct kvm_cpuid_entry2 *e = find_leaf(fake.offers, leaf, sub);
    if (!e) {
        g_assert_cmpuint(fake.offers->nent, <, OFFERS);
        e = &fake.offers->entries[fake.offers->nent++];
        bool indexed = leaf == 4 || leaf == 7 || leaf == 0xb || leaf == 0xd || leaf == 0x1d || leaf == 0x1e;
        *e = (struct kvm_cpuid_entry2){ .function = leaf,
                                        .index = sub,
                                        .flags = indexed ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0 };
    }
    e->eax |= a, e->ebx |= b, e->ecx |= c, e->edx |= d;
}

/* --- calls --- */

static int fail(int why)
{
    errno = why;
    return -1;
}

static int get_msrs(struct kvm_msrs *m, bool set)
{
    for (unsigned i = 0; i < m->nmsrs; i++) {
        uint64_t *value = fake_msr_value(m->entries[i].index);
        if (!value)
            return (int)i;
        if (set)
            *value = m->entries[i].data;
        else
            m->entries[i].data = *value;
        fake.msr_writes += set;
    }
    return (int)m->nmsrs;
}

static int list_msrs(struct kvm_msr_list *l, bool features)
{
    unsigned n = 0;
    for (unsigned i = 0; features && i < G_N_ELEMENTS(fake.feature_msrs) && fake.feature_msrs[i] && n < l->nmsrs; i++)
        l->indices[n++] = fake.feature_msrs[i];
    for (unsigned i = 0; !features && i < fake.msrs && n < l->nmsrs; i++) {
        if (fake.msr[i].listed)
            l->indices[n++] = fake.msr[i].number;
    }
    l->nmsrs = n;
    return 0;
}

/* The documented layout: head, then bytes that only the kernel understands. */
static int nested_call(struct kvm_nested_state *n, bool set)
{
    struct kvm_nested_state *mine = (void *)fake.nested;
    if (set) {
        if (n->size > sizeof(fake.nested))
            return fail(EINVAL);
        memcpy(fake.nested, n, n->size);
        fake.nested_sets++;
        return 0;
    }
    if (n->size < mine->size) {
        n->size = mine->size;
        return fail(E2BIG);
    }
    memcpy(n, mine, mine->size);
    return 0;
}

/* 64 bits, of the kernel's own kind, number 0. */
static int one_reg(unsigned long request, const struct kvm_one_reg *r)
{
    uint64_t *value = (uint64_t *)(uintptr_t)r->addr;
    if (r->id != UINT64_C(0x2030000300000000) || !fake.caps[KVM_CAP_ONE_REG])
        return fail(EINVAL);
    if (request == KVM_GET_ONE_REG)
        *value = fake.ssp;
    else
        fake.ssp = *value;
    return 0;
}

static int fake_arch_prctl(int code, unsigned long arg)
{
    g_assert_cmphex((unsigned)code, ==, 0x1025); /* ARCH_REQ_XCOMP_GUEST_PERM */
    fake.tiles_asked = arg;
    return 0;
}

#define STATE_CALLS(X) \
    X(SREGS, sregs) X(REGS, regs) X(VCPU_EVENTS, events) X(XCRS, xcrs) X(DEBUGREGS, debugregs) X(MP_STATE, mp)

static void carry_out_sipi(void)
{
    fake.sregs.cs = (struct kvm_segment){ .base = (uint64_t)fake.sipi << 12,
                                          .limit = 0xffff,
                                          .selector = (uint16_t)(fake.sipi << 8),
                                          .type = 11,
                                          .present = 1,
                                          .s = 1 };
    fake.regs.rip = 0;
    fake.mp.mp_state = KVM_MP_STATE_RUNNABLE;
    fake.sipi = 0;
}

static int vcpu_call(unsigned long request, void *arg)
{
    if (request == KVM_GET_MP_STATE && fake.sipi)
        carry_out_sipi();
    switch (request) {
#define X(name, field) \
    case KVM_GET_##name: memcpy(arg, &fake.field, sizeof(fake.field)); return 0; \
    case KVM_SET_##name: memcpy(&fake.field, arg, sizeof(fake.field)); return 0;
    STATE_CALLS(X)
#undef X
    case KVM_GET_XSAVE: memcpy(arg, fake.xsave, sizeof(struct kvm_xsave)); return 0;
    case KVM_GET_XSAVE2: memcpy(arg, fake.xsave, fake.xsave_size); return 0;
    case KVM_SET_XSAVE:
        memcpy(fake.xsave, arg, fake.caps[KVM_CAP_XSAVE2] ? fake.xsave_size : sizeof(struct kvm_xsave));
        return 0;
    case KVM_GET_MSRS: return get_msrs(arg, false);
    case KVM_SET_MSRS: return get_msrs(arg, true);
    case KVM_GET_NESTED_STATE: return nested_call(arg, false);
    case KVM_SET_NESTED_STATE: return nested_call(arg, true);
    case KVM_GET_ONE_REG: case KVM_SET_ONE_REG: return one_reg(request, arg);
    case KVM_SMI: fake.smis++; return 0;
    case KVM_NMI: fake.nmis++; return 0;
    case KVM_INTERRUPT:
        if (fake.split && fake.external)
            return fail(EEXIST);
        if (fake.split) {
            fake.external = (int)((const struct kvm_interrupt *)arg)->irq;
            return 0;
        }
        fake.events.interrupt.injected = 1;
        fake.events.interrupt.nr = (uint8_t)((const struct kvm_interrupt *)arg)->irq;
        return 0;
    case KVM_GET_TSC_KHZ: return (int)fake.tsc_khz;
    case KVM_SET_TSC_KHZ:
        fake.tsc_sets++;
        bool can = fake.tsc_scales || (long)(uintptr_t)arg == HOST_KHZ;
        fake.tsc_khz = (long)(uintptr_t)arg; /* kernels keep what they have refused */
        return can ? 0 : fail(EINVAL);
    case KVM_SET_CPUID2: {
        const struct kvm_cpuid2 *t = arg;
        g_free(fake.guest);
        fake.guest = g_memdup2(t, sizeof(*t) + t->nent * sizeof(t->entries[0]));
        return 0;
    }
    case KVM_GET_LAPIC: memset(arg, 0, sizeof(struct kvm_lapic_state)); return 0;
    case KVM_SET_LAPIC: return 0;
    case KVM_X86_SETUP_MCE: return 0;
    default: return fail(ENOTTY);
    }
}

static int tell_hyperv(struct kvm_cpuid2 *t)
{
    const X86HypervHost *h = fake.hyperv;
    if (!h)
        return fail(EINVAL);
    t->nent = 3;
    t->entries[0] = (struct kvm_cpuid_entry2){ .function = 0x40000003,
                                               .eax = h->word[X86_HV_PRIVILEGES],
                                               .edx = h->word[X86_HV_MISC] };
    t->entries[1] = (struct kvm_cpuid_entry2){ .function = 0x40000004, .eax = h->word[X86_HV_HINTS] };
    t->entries[2] = (struct kvm_cpuid_entry2){ .function = 0x4000000a, .eax = h->nested[0], .ebx = h->nested[1] };
    return 0;
}

static int fake_ioctl(int fd, unsigned long request, void *arg)
{
    if (request == fake.refuse)
        return fail(fake.refuse_errno);
    switch (request) {
    case KVM_CHECK_EXTENSION: return (uintptr_t)arg < G_N_ELEMENTS(fake.caps) ? fake.caps[(uintptr_t)arg] : 0;
    case KVM_ENABLE_CAP:
        fake.enabled[fake.enables++ % G_N_ELEMENTS(fake.enabled)] = *(struct kvm_enable_cap *)arg;
        return 0;
    case KVM_GET_SUPPORTED_CPUID:
        memcpy(arg, fake.offers, sizeof(*fake.offers) + fake.offers->nent * sizeof(fake.offers->entries[0]));
        return 0;
    case KVM_GET_SUPPORTED_HV_CPUID: return tell_hyperv(arg);
    case KVM_CREATE_DEVICE:
        fake.devices++;
        ((struct kvm_create_device *)arg)->fd = (uint32_t)open("/dev/null", O_RDWR | O_CLOEXEC);
        return 0;
    case KVM_SET_DEVICE_ATTR:
        fake.device_calls++;
        fake.device_attr = *(struct kvm_device_attr *)arg;
        fake.device_value = *(int32_t *)(uintptr_t)fake.device_attr.addr;
        return 0;
    case KVM_SET_NR_MMU_PAGES: fake.shadow_pages = (unsigned long)(uintptr_t)arg; return 0;
    case KVM_GET_MSR_INDEX_LIST: return list_msrs(arg, false);
    case KVM_GET_MSR_FEATURE_INDEX_LIST: return list_msrs(arg, true);
    case KVM_X86_GET_MCE_CAP_SUPPORTED: *(uint64_t *)arg = 10; return 0;
    case KVM_SET_CLOCK:
    case KVM_SET_TSS_ADDR:
    case KVM_SET_IDENTITY_MAP_ADDR:
    case KVM_SET_USER_MEMORY_REGION: return 0;
    default: return fd == FAKE_VCPU || request == KVM_GET_MSRS ? vcpu_call(request, arg) : fail(ENOTTY);
    }
}

/* --- life --- */

void fake_start(void)
{
    static const unsigned usual[] = { KVM_CAP_XSAVE,
                                      KVM_CAP_XCRS,
                                      KVM_CAP_DEBUGREGS,
                                      KVM_CAP_VCPU_EVENTS,
                                      KVM_CAP_MP_STATE,
                                      KVM_CAP_SET_TSS_ADDR,
                                      KVM_CAP_SET_IDENTITY_MAP_ADDR,
                                      KVM_CAP_ADJUST_CLOCK,
                                      KVM_CAP_TSC_DEADLINE_TIMER,
                                      KVM_CAP_GET_MSR_FEATURES,
                                      KVM_CAP_ENFORCE_PV_FEATURE_CPUID };
    static const uint32_t msrs[] = { 0x10,       0x174,      0x175,      0x176,      0x277,      0x4b564d00,
                                     0x4b564d01, 0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084, 0xc0000102 };
    g_free(fake.offers);
    g_free(fake.guest);
    fake = (FakeKernel){ .offers = g_malloc0(sizeof(struct kvm_cpuid2) + OFFERS * sizeof(struct kvm_cpuid_entry2)),
                         .tsc_khz = HOST_KHZ,
                         .xsave_size = sizeof(struct kvm_xsave) };
    for (unsigned i = 0; i < G_N_ELEMENTS(usual); i++)
        fake.caps[usual[i]] = 1;
    for (unsigned i = 0; i < G_N_ELEMENTS(msrs); i++)
        fake_msr(msrs[i], 0, true);
    fake_offer(0, 0, 0x1f, 0x756e6547, 0x6c65746e, 0x49656e69);
    fake_offer(1, 0, 0x806f8, 0, x86_supported_features[X86_FW_1_ECX], x86_supported_features[X86_FW_1_EDX]);
    fake_offer(7, 0, 0, x86_supported_features[X86_FW_7_EBX], x86_supported_features[X86_FW_7_ECX],
               x86_supported_features[X86_FW_7_EDX]);
    fake_offer(0xd, 0, 3, 0, 576, 0);
    fake_offer(0x40000001, 0, 0x0100000a, 0, 0, 0);
    fake_offer(0x80000000, 0, 0x80000008, 0, 0, 0);
    fake_offer(0x80000001, 0, 0, 0, x86_supported_features[X86_FW_EXT1_ECX], x86_supported_features[X86_FW_EXT1_EDX]);
    fake_offer(0x80000008, 0, 0x3028, 0, 0, 0);
    kvm_ioctl_hook = fake_ioctl;
    kvm_x86_arch_prctl = fake_arch_prctl;
    kvm.arch = &kvm_x86_arch;
    kvm.fd = kvm.vm = FAKE_VM;
    kvm.machine = &fix_machine;
    kvm.irqchip = KVM_IRQCHIP_OFF;
    kvm.smm = false;
}

bool fake_try_vcpu(const char *model, KvmVcpu **out, Error **errp)
{
    if (!kvm_x86_arch.vm_init(errp))
        return false;
    X86Cpu *c = fix_cpu(model);
    KvmVcpu *k = *out = g_new0(KvmVcpu, 1);
    k->v = &c->v;
    k->fd = FAKE_VCPU;
    k->run = g_malloc0(8192);
    c->v.kvm = k;
    return kvm_x86_arch.before_vcpu(k->v, errp) && kvm_x86_arch.vcpu_init(k, errp) && kvm_x86_arch.put(k, errp);
}

KvmVcpu *fake_vcpu(const char *model)
{
    Error *err = NULL;
    KvmVcpu *k = NULL;
    fake_try_vcpu(model, &k, &err);
    g_assert_no_error(err);
    return k;
}

void fake_vcpu_free(KvmVcpu *k)
{
    X86Cpu *c = x86_cpu(k->v);
    c->v.kvm = NULL;
    kvm_x86_arch.vcpu_free(k);
    g_free(k->run);
    g_free(k);
    fix_free(c);
    x86_models_set_host(NULL);
}

/* --- state --- */

void fake_put(KvmVcpu *k)
{
    Error *err = NULL;
    kvm_x86_put(k, &err);
    g_assert_no_error(err);
}

void fake_get(KvmVcpu *k)
{
    Error *err = NULL;
    kvm_x86_get(k, &err);
    g_assert_no_error(err);
}

char *fake_load(GBytes *stream, const char *model)
{
    KvmVcpu *k = NULL;
    X86Cpu *c = model ? NULL : fix_cpu("max");
    Error *err = NULL;
    if (model)
        k = fake_vcpu(model);
    StateReader *r = state_reader_new(stream, &err);
    g_assert_no_error(err);
    char *why = device_load_all(r, &err) && state_reader_all_used(r, &err) ? NULL : g_strdup(err->message);
    state_reader_free(r);
    error_free(err);
    model ? fake_vcpu_free(k) : fix_free(c);
    return why;
}
