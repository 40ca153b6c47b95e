/* SPDX-License-Identifier: MIT */
/*
 * Registers beyond AVX, performance counters and nested guests: what the kernel has of them, and their state (kernel
 * documentation: virt/kvm/api.rst).
 */
#include "target/x86/kvm.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    X_BV = 512,
    MSR_VMX_BASIC = 0x480,
    MSR_PERF_CAPABILITIES = 0x345,
    MSR_K7_SELECT = 0xc0010000,
    LIST_MAX = 1024,
    EAX = 0,
    EBX,
    ECX,
    EDX
};

/* --- what there is --- */

static bool listed(const struct kvm_msr_list *list, uint32_t number)
{
    for (unsigned i = 0; i < list->nmsrs; i++) {
        if (list->indices[i] == number)
            return true;
    }
    return false;
}

struct kvm_msr_list *kvm_x86_msr_list(unsigned long request)
{
    struct kvm_msr_list *list = g_malloc0(sizeof(*list) + LIST_MAX * sizeof(list->indices[0]));
    list->nmsrs = LIST_MAX;
    if (kvm_ioctl(kvm.fd, request, list) == 0)
        return list;
    g_free(list);
    return NULL;
}

/* MSRs that describe the CPU; the kernel tells which and what it can give a guest. */
static uint64_t feature_msr(const struct kvm_msr_list *list, uint32_t number)
{
    uint64_t value = 0;
    return list && listed(list, number) && kvm_x86_msr(kvm.fd, KVM_GET_MSRS, number, &value) ? value : 0;
}

void kvm_x86_ext_read(X86ExtendedHost *h, KvmX86Offer *offer)
{
    g_autofree struct kvm_msr_list *msrs = kvm_x86_msr_list(KVM_GET_MSR_INDEX_LIST);
    g_autofree struct kvm_msr_list *features = kvm_check(KVM_CAP_GET_MSR_FEATURES) > 0
                                                   ? kvm_x86_msr_list(KVM_GET_MSR_FEATURE_INDEX_LIST)
                                                   : NULL;
    uint64_t xcr0 = kvm_check(KVM_CAP_XSAVE) > 0 ? offer(0xd, 0, EAX) : 0, xss = offer(0xd, 1, ECX);
    size_t area = kvm_x86_xsave_size();
    *h = (X86ExtendedHost){ .perf_capabilities = feature_msr(features, MSR_PERF_CAPABILITIES) };
    for (unsigned i = X86_XSAVE_FIRST; i < X86_XSAVE_COMPONENTS; i++) {
        if ((xcr0 | xss) >> i & 1)
            h->xsave[i].size = offer(0xd, i, EAX), h->xsave[i].offset = offer(0xd, i, EBX),
            h->xsave[i].flags = offer(0xd, i, ECX);
        if (h->xsave[i].offset + h->xsave[i].size > area)
            h->xsave[i].size = 0;
    }
    for (unsigned i = 0; i < 4; i++) {
        h->pmu_leaf[i] = offer(0xa, 0, i);
        h->tile[0][i] = offer(0x1d, 0, i), h->tile[1][i] = offer(0x1d, 1, i), h->tmul[i] = offer(0x1e, 0, i);
    }
    h->ssp = kvm_check(KVM_CAP_ONE_REG) > 0;
    h->pmu_amd = msrs && listed(msrs, MSR_K7_SELECT);
    int nested = kvm_check(KVM_CAP_NESTED_STATE);
    h->nested = nested >= (int)sizeof(struct kvm_nested_state) && nested <= X86_NESTED_MAX;
    for (unsigned i = 0; i < X86_VMX_MSRS; i++)
        h->vmx[i] = feature_msr(features, MSR_VMX_BASIC + i);
}

/* Without counters the guest has none at all, where the kernel can take them away; before the first vCPU is made. */
bool kvm_x86_ext_before_vcpu(const X86Cpu *c, Error **errp)
{
    struct kvm_enable_cap cap = { .cap = KVM_CAP_PMU_CAPABILITY, .args = { KVM_PMU_CAP_DISABLE } };
    if (c->v.index || c->ext.pmu.kind != X86_PMU_NONE || !(kvm_check(KVM_CAP_PMU_CAPABILITY) & KVM_PMU_CAP_DISABLE) ||
        !kvm_ioctl(kvm.vm, KVM_ENABLE_CAP, &cap))
        return true;
    error_set_errno(errp, errno,
                    "kvm: pmu=off: the kernel does not take the performance counters away; use pmu=on or -accel tcg");
    return false;
}

/* --- control-flow enforcement --- */

/* The shadow stack pointer is no MSR (api.rst, 4.68: x86 registers). */
#define REG_SSP UINT64_C(0x2030000300000000)

static bool has_ssp(const X86Cpu *c) { return x86_has_feature(c, X86_FEATURE_SHSTK); }

static bool move_ssp(KvmVcpu *k, unsigned long request, Error **errp)
{
    struct kvm_one_reg r = { .id = REG_SSP, .addr = (uintptr_t)&kvm_cpu(k)->ext.cet.ssp };
    if (!has_ssp(kvm_cpu(k)) || !kvm_ioctl(k->fd, request, &r))
        return true;
    return kvm_x86_refused(errp, k, "shadow stack pointer", request == KVM_SET_ONE_REG);
}

bool kvm_x86_put_cet(KvmVcpu *k, Error **errp) { return move_ssp(k, KVM_SET_ONE_REG, errp); }
bool kvm_x86_get_cet(KvmVcpu *k, Error **errp) { return move_ssp(k, KVM_GET_ONE_REG, errp); }

/* --- the XSAVE area --- */

/*
 * Tiles are a process's when it has asked for them: before the kernel is asked what it offers, and before the first
 * vCPU (kernel documentation: arch/x86/xstate.rst). An old or small kernel does not know of it, and offers none.
 */
void kvm_x86_ask_for_tiles(void)
{
    enum { REQUEST_GUEST_PERMISSION = 0x1025, TILE_DATA = 18 };
    kvm_x86_arch_prctl(REQUEST_GUEST_PERMISSION, TILE_DATA);
}

static int os_arch_prctl(int code, unsigned long arg) { return (int)syscall(SYS_arch_prctl, code, arg); }
int (*kvm_x86_arch_prctl)(int code, unsigned long arg) = os_arch_prctl;

size_t kvm_x86_xsave_size(void)
{
    int size = kvm_check(KVM_CAP_XSAVE2);
    return size > (int)sizeof(struct kvm_xsave) ? (size_t)size : sizeof(struct kvm_xsave);
}

/* Components into the image in standard form, at the host's offsets; one in its initial state only says so. */
void kvm_x86_components_out(X86Cpu *c, uint8_t *area)
{
    X86Components *x = &c->ext.xsave;
    uint32_t size;
    for (unsigned i = X86_XSAVE_FIRST; i < X86_XSAVE_COMPONENTS; i++) {
        const uint8_t *from = x86_ext_component(x, i, &size);
        if (from && x->there & x->used & UINT64_C(1) << i)
            memcpy(area + c->ext.host->xsave[i].offset, from, size);
    }
    store_le64(area + X_BV, load_le64(area + X_BV) | (x->used & x->there));
}

void kvm_x86_components_in(X86Cpu *c, const uint8_t *area)
{
    X86Components *x = &c->ext.xsave;
    uint32_t size;
    x->used = load_le64(area + X_BV) & x->there;
    for (unsigned i = X86_XSAVE_FIRST; i < X86_XSAVE_COMPONENTS; i++) {
        uint8_t *to = x86_ext_component(x, i, &size);
        if (!to)
            continue;
        if (x->used >> i & 1)
            memcpy(to, area + c->ext.host->xsave[i].offset, size);
        else
            memset(to, 0, size);
    }
}

/* --- guests of the guest --- */

static bool fetch_nested(KvmVcpu *k, GByteArray *out)
{
    int most = kvm_check(KVM_CAP_NESTED_STATE);
    g_byte_array_set_size(out, (unsigned)CLAMP(most, (int)sizeof(struct kvm_nested_state), (int)X86_NESTED_MAX));
    struct kvm_nested_state *s = (void *)out->data;
    memset(s, 0, out->len);
    s->size = out->len;
    if (kvm_ioctl(k->fd, KVM_GET_NESTED_STATE, s) < 0 || s->size < sizeof(*s) || s->size > out->len)
        return false;
    g_byte_array_set_size(out, s->size);
    return true;
}

static bool same(const GByteArray *a, const GByteArray *b)
{
    return a->len == b->len && !memcmp(a->data, b->data, a->len);
}

static bool nested_refused(const KvmVcpu *k, const char *how, Error **errp)
{
    error_set_errno(errp, errno,
                    "kvm: vCPU %u: the kernel %s the state of nested guests; leave vmx and svm out of -cpu",
                    k->v->index, how);
    return false;
}

/* What a vCPU has that nobody has touched is the state after reset. */
bool kvm_x86_nested_init(KvmVcpu *k, Error **errp)
{
    static GByteArray *untouched;
    KvmX86 *x = kvm_x86(k);
    if (!kvm_cpu(k)->ext.nested.state)
        return true;
    x->nested = g_byte_array_new();
    if (!fetch_nested(k, x->nested))
        return nested_refused(k, "does not tell", errp);
    if (!k->reused) {
        g_clear_pointer(&untouched, g_byte_array_unref);
        untouched = g_byte_array_append(g_byte_array_new(), x->nested->data, x->nested->len);
    }
    x->nested_reset = g_byte_array_ref(untouched ? untouched : x->nested);
    return true;
}

/* Behind everything else: the rest of the state is that of the guest's guest while one runs. */
bool kvm_x86_put_nested(KvmVcpu *k, Error **errp)
{
    KvmX86 *x = kvm_x86(k);
    const GByteArray *ours = kvm_cpu(k)->ext.nested.state;
    if (!ours)
        return true;
    const GByteArray *want = ours->len ? ours : x->nested_reset;
    if (same(want, x->nested))
        return true;
    if (want->len < sizeof(struct kvm_nested_state) ||
        ((const struct kvm_nested_state *)(const void *)want->data)->size != want->len) {
        errno = EINVAL;
        return nested_refused(k, "cannot take", errp);
    }
    if (kvm_ioctl(k->fd, KVM_SET_NESTED_STATE, want->data) < 0)
        return nested_refused(k, "refuses", errp);
    g_byte_array_set_size(x->nested, 0);
    g_byte_array_append(x->nested, want->data, want->len);
    return true;
}

bool kvm_x86_get_nested(KvmVcpu *k, Error **errp)
{
    KvmX86 *x = kvm_x86(k);
    GByteArray *ours = kvm_cpu(k)->ext.nested.state;
    if (!ours)
        return true;
    if (!fetch_nested(k, x->nested))
        return nested_refused(k, "does not tell", errp);
    g_byte_array_set_size(ours, 0);
    g_byte_array_append(ours, x->nested->data, x->nested->len);
    return true;
}

bool kvm_x86_runs_nested(const X86Cpu *c)
{
    const GByteArray *ours = c->ext.nested.state;
    return ours && ours->len >= sizeof(struct kvm_nested_state) &&
           ((const struct kvm_nested_state *)(const void *)ours->data)->flags & KVM_STATE_NESTED_GUEST_MODE;
}

void kvm_x86_nested_free(KvmX86 *x)
{
    g_clear_pointer(&x->nested, g_byte_array_unref);
    g_clear_pointer(&x->nested_reset, g_byte_array_unref);
}
