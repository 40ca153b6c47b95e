/* SPDX-License-Identifier: MIT */
/* Hyper-V's interfaces: names, CPUID, MSRs, saved state, refusals. They are the kernel's, so a host is made up. */
#include <string.h>
#include "base/bits.h"
#include "tests/cpu/x86-fixture.h"
#include "tests/device/whole-state.h"

static void cpuid(X86Cpu *c, uint32_t leaf, uint32_t sub, uint32_t o[4]) { x86_cpuid(c, leaf, sub, o); }

static const X86HypervHost hyperv_host = { .word = { 0x2aff, 0x00080510, 0x00000c2c } };

static void use_host(X86Host *host, const X86HypervHost *hyperv)
{
    *host = (X86Host){ .phys_bits = 40, .hyperv = hyperv };
    memcpy(host->features, x86_supported_features, sizeof(host->features));
    x86_models_set_host(host);
}

static void test_hyperv(void)
{
    static X86Host host;
    uint32_t o[4];
    use_host(&host, &hyperv_host);
    X86Cpu *c = fix_cpu("qemu64,hv_relaxed,hv-vapic,hv-time=on,hv-vpindex,hv-synic,hv-stimer,hv-spinlocks=0x1fff,hv-"
                        "vendor-id=Somebody,hv-version-id-major=11");
    cpuid(c, 0x40000000, 0, o);
    g_assert_cmphex(o[0], ==, 0x40000006);
    g_assert_cmpmem(&o[1], 12, "Somebody\0\0\0", 12);
    cpuid(c, 0x40000001, 0, o);
    g_assert_cmpmem(&o[0], 4, "Hv#1", 4);
    cpuid(c, 0x40000002, 0, o);
    g_assert_cmphex(o[0], ==, 0x3839);
    g_assert_cmphex(o[1], ==, 0x000b0000);
    cpuid(c, 0x40000003, 0, o);
    g_assert_cmphex(o[0], ==, 0x27e); /* hypercalls always; time: the counter and the page */
    g_assert_cmphex(o[3], ==, 8);
    cpuid(c, 0x40000004, 0, o);
    g_assert_cmphex(o[0], ==, 0x28);
    g_assert_cmphex(o[1], ==, 0x1fff);
    cpuid(c, 0x40000100, 0, o); /* KVM's own leaves are behind */
    g_assert_cmphex(o[0], ==, 0x40000101);
    g_assert_cmpmem(&o[1], 9, "KVMKVMKVM", 9);
    cpuid(c, 0x40000101, 0, o);
    g_assert_cmphex(o[0], ==, c->feature[X86_FW_KVM]);

    g_assert_cmphex(x86_hv_msr(c, 0), ==, 0x40000000); /* who the guest is comes before its hypercalls */
    g_assert_cmphex(x86_hv_msr(c, 1), ==, 0x40000001);
    g_assert_null(x86_hv_msr_field(c, 0x40000100)); /* crash: not asked for */
    g_assert_null(x86_hv_msr_field(c, 0x40000081));
    unsigned count = 0;
    for (; x86_hv_msr(c, count); count++) {
        g_assert_nonnull(x86_hv_msr_field(c, x86_hv_msr(c, count)));
        for (unsigned i = 0; i < count; i++)
            g_assert_true(x86_hv_msr_field(c, x86_hv_msr(c, i)) != x86_hv_msr_field(c, x86_hv_msr(c, count)));
    }
    g_assert_cmpuint(count, ==, 32);
    *x86_hv_msr_field(c, 0x40000021) = 0x12345001;
    g_autoptr(GBytes) stream = save_all();
    x86_hv_reset(c);
    g_assert_cmphex(*x86_hv_msr_field(c, 0x40000021), ==, 0);
    load_all(stream);
    g_assert_cmphex(*x86_hv_msr_field(c, 0x40000021), ==, 0x12345001);
    fix_free(c);

    c = fix_cpu("qemu64,hv-vpindex"); /* a guest with other interfaces does not load */
    Error *err = NULL;
    StateReader *reader = state_reader_new(stream, NULL);
    g_assert_false(device_load_all(reader, &err));
    g_assert_nonnull(strstr(err->message, "same hv-*"));
    error_free(err);
    state_reader_free(reader);
    fix_free(c);
    c = fix_cpu("qemu64,hv-passthrough");
    cpuid(c, 0x40000003, 0, o);
    g_assert_cmphex(o[0], ==, 0x2aff);
    fix_free(c);
    x86_models_set_host(NULL);
}

/* The enlightened VMCS is for guests that have guests. */
static void test_evmcs(void)
{
    static const X86HypervHost with_evmcs = { .word = { 0x2aff, 0x00080510, 0x00004c2c }, .nested = { 0x00060101, 1 } };
    static X86Host host;
    uint32_t o[4];
    use_host(&host, &with_evmcs);
    fix_refused("qemu64,hv-evmcs", "'hv-evmcs' builds on 'hv-vapic'");
    fix_refused("qemu64,hv-vapic,hv-evmcs", "'hv-evmcs' builds on 'vmx'");
    X86Cpu *c = fix_cpu("qemu64,hv-passthrough"); /* without VMX it is not taken along */
    g_assert_false(x86_hv_has_evmcs(c));
    cpuid(c, 0x40000000, 0, o);
    g_assert_cmphex(o[0], ==, 0x40000006);
    cpuid(c, 0x4000000a, 0, o);
    g_assert_cmphex(o[0], ==, 0);
    fix_free(c);
    host.features[X86_FW_1_ECX] |= 1u << (X86_FEATURE_VMX & 31);
    host.extended.nested = true;
    c = fix_cpu("qemu64,+vmx,hv-vapic,hv-evmcs");
    cpuid(c, 0x40000000, 0, o);
    g_assert_cmphex(o[0], ==, 0x4000000a);
    cpuid(c, 0x40000004, 0, o);
    g_assert_cmphex(o[0] & 1u << 14, ==, 1u << 14);
    cpuid(c, 0x4000000a, 0, o);
    g_assert_cmphex(o[0], ==, 0x00060101);
    g_assert_cmphex(o[1], ==, 1);
    cpuid(c, 0x40000100, 0, o);
    g_assert_cmpmem(&o[1], 9, "KVMKVMKVM", 9);
    fix_free(c);
    use_host(&host, &hyperv_host);
    host.features[X86_FW_1_ECX] |= 1u << (X86_FEATURE_VMX & 31);
    host.extended.nested = true;
    fix_refused("qemu64,+vmx,hv-vapic,hv-evmcs", "'hv-evmcs': this host's kernel does not have it");
    fix_refused("qemu64,hv-relaxed,hv-syndbg", "'hv-syndbg': there is no connection to a debugger here");
    x86_models_set_host(NULL);
}

static void test_hyperv_refusals(void)
{
    static X86Host host;
    use_host(&host, &hyperv_host);
    fix_refused("qemu64,hv-synic", "builds on 'hv-vpindex'");
    fix_refused("qemu64,hv-reenlightenment,hv-avic", "'hv-avic': this host's kernel does not have it");
    fix_refused("qemu64,hv-vendor-id=Microsoft Hv!", "at most 12 characters");
    fix_refused("qemu64,hv-relaxed=maybe", "on or off");
    fix_refused("qemu64,+hv-spinlocks", "hv-spinlocks");
    use_host(&host, NULL);
    fix_refused("qemu64,hv-relaxed", "no interfaces of Hyper-V");
    x86_models_set_host(NULL);
    fix_refused("qemu64,hv-relaxed,enforce", "-accel kvm only");
    uint32_t o[4];
    X86Cpu *c = fix_cpu("qemu64,hv-relaxed"); /* left out with a line */
    cpuid(c, 0x40000001, 0, o);
    g_assert_cmphex(o[0], ==, c->feature[X86_FW_KVM]);
    fix_free(c);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/x86/hyperv/interfaces", test_hyperv);
    g_test_add_func("/x86/hyperv/evmcs", test_evmcs);
    g_test_add_func("/x86/hyperv/refusals", test_hyperv_refusals);
    return g_test_run();
}
