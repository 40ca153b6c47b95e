/* SPDX-License-Identifier: MIT */
/* An x86 vCPU's state between Vcpu and kernel: system management mode and what else only some kernels have. */
#include <errno.h>
#include <string.h>
#include "accel/vcpu.h"
#include "base/error.h"
#include "tests/cpu/kvm-fake.h"
#include "tests/device/whole-state.h"

/* --- system management mode --- */

static void start_smm(void)
{
    fake_start();
    fake.caps[KVM_CAP_X86_SMM] = 1;
    fake.caps[KVM_CAP_MULTI_ADDRESS_SPACE] = 2;
    fake_msr(0x9e, 0x30000, true);
    kvm.smm = true;
}

static void test_smm_state(void)
{
    start_smm();
    fix_machine.as_smm = as_new("smm", fix_machine.memory);
    KvmVcpu *k = fake_vcpu("qemu64");
    X86Cpu *c = x86_cpu(k->v);
    /* nothing of it: what the kernel has got meanwhile stays */
    g_assert_false(fake.events.flags & KVM_VCPUEVENT_VALID_SMM);
    fake.events.flags |= KVM_VCPUEVENT_VALID_SMM;
    fake.events.smi.smm = fake.events.smi.smm_inside_nmi = fake.events.smi.pending = 1;
    *fake_msr_value(0x9e) = 0x7f000000;
    fake_get(k);
    g_assert_true(c->smm && c->smm_nmi_blocked && c->v.as == fix_machine.as_smm);
    g_assert_cmphex(c->smbase, ==, 0x7f000000);
    g_assert_true(c->v.arch->attrs(&c->v).smm);
    g_assert_true(vcpu_line(&c->v, CPU_LINE_SMI)); /* so the translator takes it too */

    fake.events = (struct kvm_vcpu_events){ 0 };
    *fake_msr_value(0x9e) = 0;
    c->smbase = 0x7e000000;
    fake_put(k);
    g_assert_true(fake.events.flags & KVM_VCPUEVENT_VALID_SMM);
    g_assert_true(fake.events.smi.smm && fake.events.smi.smm_inside_nmi && fake.events.smi.pending &&
                  !fake.events.smi.latched_init);
    g_assert_cmphex(*fake_msr_value(0x9e), ==, 0x7e000000);
    g_assert_false(vcpu_line(&c->v, CPU_LINE_SMI)); /* the kernel has it now */
    fake_get(k);

    x86_reset(&c->v); /* out of it, and no SMI waits */
    fake_put(k);
    g_assert_true(fake.events.flags & KVM_VCPUEVENT_VALID_SMM && !fake.events.smi.smm && !fake.events.smi.pending);
    g_assert_true(c->v.as == fix_machine.as_memory);
    g_assert_cmphex(*fake_msr_value(0x9e), ==, 0x30000);
    fake_vcpu_free(k);
    as_free(fix_machine.as_smm);
    fix_machine.as_smm = NULL;
}

/* An INIT that waits for the end of SMM: with a local APIC in the kernel it is in the state, and goes back. */
static void test_smm_init(void)
{
    start_smm();
    KvmVcpu *k = fake_vcpu("qemu64");
    kvm.irqchip = KVM_IRQCHIP_ON;
    fake.events.flags |= KVM_VCPUEVENT_VALID_SMM;
    fake.events.smi.smm = fake.events.smi.latched_init = 1;
    fake_get(k);
    g_assert_true(vcpu_line(k->v, CPU_LINE_INIT));
    x86_poll(k->v);
    g_assert_true(vcpu_line(k->v, CPU_LINE_INIT)); /* it waits on the translator, too */
    fake.events.smi.latched_init = 0;
    fake_put(k);
    g_assert_true(fake.events.smi.latched_init && !vcpu_line(k->v, CPU_LINE_INIT));
    fake_vcpu_free(k);
}

/* SMIs of devices reach the kernel behind the state; exits in SMM are of its address space. */
static void test_smm_run(void)
{
    start_smm();
    fix_machine.as_smm = as_new("smm", fix_machine.memory);
    KvmVcpu *k = fake_vcpu("qemu64");
    X86Cpu *c = x86_cpu(k->v);
    k->loaded = true;
    c->v.halted = true;
    vcpu_set_line(&c->v, CPU_LINE_SMI, true);
    g_assert_true(kvm_x86_arch.before_run(k));
    g_assert_cmpuint(fake.smis, ==, 1);
    g_assert_false(c->v.halted);
    k->loaded = false; /* the state is ours: it takes the SMI along */
    vcpu_set_line(&c->v, CPU_LINE_SMI, true);
    g_assert_true(kvm_x86_arch.before_run(k));
    g_assert_true(k->loaded);
    g_assert_cmpuint(fake.smis, ==, 1);
    g_assert_true(fake.events.flags & KVM_VCPUEVENT_VALID_SMM && fake.events.smi.pending);

    k->run->flags = KVM_RUN_X86_SMM;
    kvm_x86_arch.after_run(k, true);
    g_assert_true(c->smm && c->v.as == fix_machine.as_smm && c->v.arch->attrs(&c->v).smm);
    vcpu_set_line(&c->v, CPU_LINE_INIT, true); /* waits */
    g_assert_true(kvm_x86_arch.before_run(k));
    g_assert_true(vcpu_line(&c->v, CPU_LINE_INIT));
    k->run->flags = 0;
    kvm_x86_arch.after_run(k, true);
    g_assert_true(!c->smm && c->v.as == fix_machine.as_memory);
    fake_vcpu_free(k);
    as_free(fix_machine.as_smm);
    fix_machine.as_smm = NULL;
}

/* --- registers beyond AVX --- */

enum { X_BV = 512, X_AVX = 576, AT_OPMASK = 0x340, AT_ZMM = 0x380, AT_HIGH = 0x580, AT_PKRU = 0x980 };

/* A host whose offsets are not those of any real one: nothing may take them for granted. */
static void start_avx512(void)
{
    fake_start();
    fake.caps[KVM_CAP_XSAVE2] = 8192;
    fake.xsave_size = 8192;
    fake_offer(1, 0, 0, 0, 1u << 28 | 1u << 12, 0);
    fake_offer(7, 0, 0, 1u << 16 | 1u << 17 | 1u << 5, 1u << 3, 0);
    fake_offer(0xd, 0, 0x2e7, 0, 0xa80, 0);
    fake_offer(0xd, 1, 8, 0, 0, 0);
    fake_offer(0xd, 2, 256, X_AVX, 0, 0);
    fake_offer(0xd, 5, 64, AT_OPMASK, 0, 0);
    fake_offer(0xd, 6, 512, AT_ZMM, 0, 0);
    fake_offer(0xd, 7, 1024, AT_HIGH, 0, 0);
    fake_offer(0xd, 9, 8, AT_PKRU, 0, 0);
    fake_msr(0xda0, 0, true);
}

static void test_components(void)
{
    start_avx512();
    KvmVcpu *k = fake_vcpu("host");
    X86Cpu *c = x86_cpu(k->v);
    g_assert_cmphex(c->ext.xsave.there, ==, 0x2e0);
    g_assert_cmphex(fake_leaf(0xd, 0)->eax, ==, 0x2e7);
    g_assert_cmphex(fake_leaf(0xd, 0)->ecx, ==, AT_PKRU + 8);
    g_assert_cmphex(fake_leaf(0xd, 6)->ebx, ==, AT_ZMM);
    g_assert_cmphex(fake_leaf(0xd, 1)->eax & 8, ==, 8);
    g_assert_cmphex(fake_leaf(7, 0)->ebx & 0x30000, ==, 0x30000);
    g_assert_cmphex(fake_leaf(7, 0)->ecx & 8, ==, 8);

    for (unsigned i = X_AVX; i < 8192; i++)
        fake.xsave[i] = (uint8_t)(i * 7 + 1);
    store_le64(fake.xsave + X_BV, 0x2a7); /* ZMM of the first 16 is in its initial state, whatever its bytes are */
    fake.xcrs = (struct kvm_xcrs){ .nr_xcrs = 1, .xcrs[0].value = 0x2e7 };
    *fake_msr_value(0xda0) = 0x100;
    g_autofree uint8_t *before = g_memdup2(fake.xsave, 8192);
    fake_get(k);
    g_assert_cmphex(c->ext.xsave.used, ==, 0x2a0);
    g_assert_cmphex(c->xss, ==, 0x100);
    g_assert_cmpmem(c->ext.xsave.opmask, 64, before + AT_OPMASK, 64);
    g_assert_cmpmem(c->ext.xsave.pkru, 8, before + AT_PKRU, 8);
    g_assert_cmpuint(c->ext.xsave.zmm_hi256[9], ==, 0);
    memset(fake.xsave, 0xee, 8192);
    fake_put(k);
    g_assert_cmphex(load_le64(fake.xsave + X_BV), ==, 0x2a7);
    g_assert_cmpmem(fake.xsave + AT_HIGH, 1024, before + AT_HIGH, 1024);
    g_assert_cmpmem(fake.xsave + AT_OPMASK, 64, before + AT_OPMASK, 64);
    g_assert_cmpuint(fake.xsave[AT_ZMM + 9], ==, 0);

    fake_get(k);
    g_autoptr(GBytes) stream = save_all();
    fake_vcpu_free(k);
    g_assert_null(fake_load(stream, "host"));
    g_autofree char *fewer = fake_load(stream, "host,-avx512f"), *keys = fake_load(stream, "host,-pku"),
                    *translator = fake_load(stream, NULL);
    g_assert_nonnull(strstr(fewer, "CPU 0: the saved guest has AVX-512"));
    g_assert_nonnull(strstr(keys, "the saved guest has protection keys"));
    g_assert_nonnull(strstr(translator, "which this CPU does not have"));
}

/* A component that the kernel offers with another size, or beyond its own area, is none that can be saved. */
static void test_components_refused(void)
{
    start_avx512();
    fake_offer(0xd, 7, 2048, 0, 0, 0); /* 3072 */
    KvmVcpu *k = fake_vcpu("host");
    g_assert_cmphex(x86_cpu(k->v)->ext.xsave.there, ==, 0x200);
    g_assert_cmphex(fake_leaf(7, 0)->ebx & 0x30000, ==, 0); /* and what builds on it */
    fake_vcpu_free(k);
    start_avx512();
    fake.caps[KVM_CAP_XSAVE2] = 0;
    fake.xsave_size = 4096;
    fake_offer(0xd, 9, 0, 0x1000, 0, 0);
    k = fake_vcpu("host");
    g_assert_cmphex(x86_cpu(k->v)->ext.xsave.there, ==, 0xe0);
    fake_vcpu_free(k);
}

/* --- performance counters --- */

static void start_pmu(void)
{
    fake_start();
    fake_offer(0xa, 0, 0x07300402, 0, 0, 0x603);
    fake_offer(1, 0, 0, 0, 1u << 15, 0);
    static const uint32_t msrs[] = { 0x38d, 0x38e, 0x38f, 0x309, 0x30a, 0x30b, 0xc1, 0xc2,
                                     0xc3,  0xc4,  0x186, 0x187, 0x188, 0x189, 0x345 };
    for (unsigned i = 0; i < ARRAY_LEN(msrs); i++)
        fake_msr(msrs[i], msrs[i] == 0x345 ? 0x2000 : 0, true);
    fake.feature_msrs[0] = 0x345;
}

static void test_pmu(void)
{
    start_pmu();
    KvmVcpu *k = fake_vcpu("host");
    X86Cpu *c = x86_cpu(k->v);
    g_assert_cmphex(fake_leaf(0xa, 0)->eax, ==, 0x07300402);
    g_assert_cmphex(fake_leaf(0xa, 0)->edx, ==, 0x603);
    g_assert_cmphex(*fake_msr_value(0x38f), ==, 0xf); /* as after reset */
    g_assert_cmphex(c->ext.pmu.perf_capabilities, ==, 0x2000);
    *fake_msr_value(0xc4) = 0x123456789, *fake_msr_value(0x189) = 0x4300c0, *fake_msr_value(0x30b) = 77,
    *fake_msr_value(0x38d) = 0x333;
    fake_get(k);
    g_assert_cmphex(c->ext.pmu.counter[3], ==, 0x123456789);
    g_assert_cmphex(c->ext.pmu.fixed_counter[2], ==, 77);
    g_autoptr(GBytes) stream = save_all();
    x86_reset(&c->v);
    fake_put(k);
    g_assert_cmphex(*fake_msr_value(0xc4) | *fake_msr_value(0x189) | *fake_msr_value(0x30b) | *fake_msr_value(0x38d),
                    ==, 0);
    fake_vcpu_free(k);
    g_assert_null(fake_load(stream, "host"));
    g_autofree char *none = fake_load(stream, "host,pmu=off");
    g_assert_nonnull(strstr(none, "the saved guest has performance counters (pmu=on)"));
}

static void test_pmu_off(void)
{
    start_pmu();
    fake.caps[KVM_CAP_PMU_CAPABILITY] = KVM_PMU_CAP_DISABLE;
    KvmVcpu *k = fake_vcpu("qemu64");
    g_assert_cmpuint(fake.enabled[0].cap, ==, KVM_CAP_PMU_CAPABILITY); /* named models have none unless asked for */
    g_assert_cmphex(fake.enabled[0].args[0], ==, KVM_PMU_CAP_DISABLE);
    g_assert_null(x86_ext_msr_field(x86_cpu(k->v), 0x38f));
    fake_vcpu_free(k);
    start_pmu();
    fake.caps[KVM_CAP_PMU_CAPABILITY] = KVM_PMU_CAP_DISABLE;
    k = fake_vcpu("qemu64,vendor=GenuineIntel,pmu=on");
    for (unsigned i = 0; i < fake.enables; i++)
        g_assert_cmpuint(fake.enabled[i].cap, !=, KVM_CAP_PMU_CAPABILITY);
    g_assert_cmphex(fake_leaf(0xa, 0)->eax, ==, 0x07300402);
    fake_vcpu_free(k);
    start_pmu();
    fake.caps[KVM_CAP_PMU_CAPABILITY] = KVM_PMU_CAP_DISABLE;
    fake.refuse = KVM_ENABLE_CAP;
    fake.refuse_errno = EINVAL;
    Error *err = NULL;
    g_assert_false(fake_try_vcpu("host,pmu=off", &k, &err));
    g_assert_nonnull(strstr(err->message, "pmu=off: the kernel does not take the performance counters away"));
    error_free(err);
    fake_vcpu_free(k);
}

static void test_pmu_none(void)
{
    X86Cpu *c = g_aligned_alloc0(1, sizeof(X86Cpu), 4096);
    Error *err = NULL;
    fake_start();
    g_assert_true(kvm_x86_arch.vm_init(NULL));
    g_assert_false(x86_model_apply(c, "qemu64,pmu=on", true, &err));
    g_assert_nonnull(strstr(err->message, "this host's kernel gives guests no performance counters"));
    g_clear_pointer(&err, error_free);
    g_assert_true(x86_model_apply(c, "host", true, NULL)); /* not asked for */
    x86_models_set_host(NULL);
    g_assert_true(x86_model_apply(c, "qemu64,pmu=on", true, NULL)); /* the translator leaves them out */
    g_assert_false(x86_model_apply(c, "qemu64,pmu=on,enforce", true, &err));
    error_free(err);
    g_aligned_free(c);
}

/* AMD's: six with 'perfctr-core', else the four that every such CPU has. */
static void test_pmu_amd(void)
{
    fake_start();
    fake_offer(0x80000001, 0, 0, 0, 1u << 23, 0);
    for (unsigned i = 0; i < 12; i++)
        fake_msr(0xc0010200 + i, 0, true);
    for (unsigned i = 0; i < 8; i++)
        fake_msr(0xc0010000 + i, 0, true);
    KvmVcpu *k = fake_vcpu("host,vendor=AuthenticAMD");
    g_assert_cmpuint(x86_cpu(k->v)->ext.pmu.kind, ==, X86_PMU_CORE);
    *fake_msr_value(0xc001020b) = 99;
    fake_get(k);
    g_assert_cmpuint(x86_cpu(k->v)->ext.pmu.amd[11], ==, 99);
    fake_vcpu_free(k);
    k = fake_vcpu("host,vendor=AuthenticAMD,-perfctr-core");
    g_assert_cmpuint(x86_cpu(k->v)->ext.pmu.kind, ==, X86_PMU_K7);
    *fake_msr_value(0xc0010007) = 98;
    fake_get(k);
    g_assert_cmpuint(x86_cpu(k->v)->ext.pmu.amd[7], ==, 98);
    fake_vcpu_free(k);
}

/* --- nested guests --- */

enum { HEAD = sizeof(struct kvm_nested_state), VMCS12 = 4096 };

static void start_nested(void)
{
    fake_start();
    fake.caps[KVM_CAP_NESTED_STATE] = HEAD + VMCS12;
    fake_offer(1, 0, 0, 0, 1u << 5, 0);
    for (unsigned i = 0; i < 18; i++) {
        fake_msr(0x480 + i, 0x1000 + i, true);
        if (i < G_N_ELEMENTS(fake.feature_msrs))
            fake.feature_msrs[i] = 0x480 + i;
    }
    struct kvm_nested_state *s = (void *)fake.nested;
    s->size = HEAD;
    s->hdr.vmx.vmxon_pa = s->hdr.vmx.vmcs12_pa = ~UINT64_C(0);
}

static void test_nested(void)
{
    struct kvm_nested_state *s = (void *)fake.nested;
    start_nested();
    KvmVcpu *k = fake_vcpu("host");
    X86Cpu *c = x86_cpu(k->v);
    g_assert_true(x86_has_feature(c, X86_FEATURE_VMX));
    g_assert_cmphex(c->ext.nested.vmx[3], ==, 0x1003);
    g_assert_cmpuint(fake.nested_sets, ==, 0); /* as it is */
    s->size = HEAD + VMCS12;
    s->flags = KVM_STATE_NESTED_GUEST_MODE;
    s->hdr.vmx.vmxon_pa = 0x1000, s->hdr.vmx.vmcs12_pa = 0x2000;
    memset(fake.nested + HEAD, 0x5a, VMCS12);
    fake.sregs.cr4 |= CR4_VMXE;
    fake_get(k);
    fake_put(k);
    g_assert_cmpuint(fake.nested_sets, ==, 0); /* nothing has changed */
    fake_get(k);
    g_autoptr(GBytes) stream = save_all();
    x86_reset(&c->v);
    fake_put(k);
    g_assert_cmpuint(fake.nested_sets, ==, 1);
    g_assert_cmpuint(s->size, ==, HEAD);
    g_assert_cmphex(s->hdr.vmx.vmxon_pa, ==, ~UINT64_C(0));
    fake_vcpu_free(k);

    start_nested();
    k = fake_vcpu("host");
    Error *err = NULL;
    load_all(stream);
    fake_put(k);
    g_assert_cmpuint(s->size, ==, HEAD + VMCS12);
    g_assert_cmphex(s->hdr.vmx.vmcs12_pa, ==, 0x2000);
    g_assert_cmpuint(fake.nested[HEAD + VMCS12 - 1], ==, 0x5a);
    fake.refuse = KVM_SET_NESTED_STATE;
    fake.refuse_errno = EINVAL;
    x86_reset(k->v);
    g_assert_false(kvm_x86_put(k, &err));
    g_assert_nonnull(strstr(err->message, "refuses the state of nested guests; leave vmx and svm out of -cpu"));
    error_free(err);
    fake_vcpu_free(k);

    start_nested();
    g_autofree char *without = fake_load(stream, "host,vmx=off"), *translator = fake_load(stream, NULL);
    g_assert_nonnull(strstr(without, "the saved guest uses 'vmx'"));
    g_assert_nonnull(strstr(translator, "the saved guest uses 'vmx'"));
    *fake_msr_value(0x485) = 1;
    g_autofree char *other = fake_load(stream, "host");
    g_assert_nonnull(strstr(other, "VMX of another kind"));
}

/* AMD's: the area for the host's state comes along, else the next VMRUN would fault. */
static void test_nested_svm(void)
{
    start_nested();
    fake_offer(0x80000001, 0, 0, 0, 1u << 2, 0);
    fake_offer(0x8000000a, 0, 1, 16, 0, 0x19);
    fake_msr(0xc0010117, 0, true);
    fake_msr(0xc0010114, 0, false);
    fake_msr(0xc0000104, 0, true);
    KvmVcpu *k = fake_vcpu("host");
    g_assert_cmphex(fake_leaf(0x8000000a, 0)->edx, ==, 0x19);
    g_assert_cmphex(*fake_msr_value(0xc0000104), ==, UINT64_C(1) << 32);
    *fake_msr_value(0xc0010117) = 0x123000;
    *fake_msr_value(0xc0010114) = 8;
    fake_get(k);
    g_autoptr(GBytes) stream = save_all();
    fake_vcpu_free(k);
    *fake_msr_value(0xc0010117) = 0;
    k = fake_vcpu("host");
    load_all(stream);
    fake_put(k);
    g_assert_cmphex(*fake_msr_value(0xc0010117), ==, 0x123000);
    g_assert_cmphex(*fake_msr_value(0xc0010114), ==, 8);
    fake_vcpu_free(k);
    k = fake_vcpu("host,-svm");
    g_assert_cmphex(fake_leaf(0x8000000a, 0) ? fake_leaf(0x8000000a, 0)->edx : 0, ==, 0);
    g_assert_null(x86_ext_msr_field(x86_cpu(k->v), 0xc0010117));
    fake_vcpu_free(k);
}

/* Not for models that have it on paper only, unless asked for; never where its state cannot be saved. */
static void test_nested_choice(void)
{
    start_nested();
    KvmVcpu *k = fake_vcpu("qemu64");
    g_assert_null(x86_cpu(k->v)->ext.nested.state);
    fake_vcpu_free(k);
    k = fake_vcpu("qemu64,vmx=on");
    g_assert_nonnull(x86_cpu(k->v)->ext.nested.state);
    g_assert_cmphex(fake_leaf(1, 0)->ecx & 1u << 5, ==, 1u << 5);
    fake_vcpu_free(k);
    start_nested();
    fake.caps[KVM_CAP_NESTED_STATE] = 0;
    k = fake_vcpu("host");
    g_assert_false(x86_has_feature(x86_cpu(k->v), X86_FEATURE_VMX));
    fake_vcpu_free(k);
}

static void test_evmcs(void)
{
    static X86HypervHost hyperv = { .word = { 0x2aff, 0, 0x4c2c }, .nested = { 0x101 } };
    KvmVcpu *k;
    start_nested();
    fake.caps[KVM_CAP_SYS_HYPERV_CPUID] = 1;
    fake.hyperv = &hyperv;
    k = fake_vcpu("host,hv-vapic,hv-evmcs");
    g_assert_cmpuint(fake.enabled[fake.enables - 1].cap, ==, KVM_CAP_HYPERV_ENLIGHTENED_VMCS);
    g_assert_cmphex(fake.enabled[fake.enables - 1].args[0], !=, 0); /* where the kernel tells the versions */
    g_assert_cmphex(fake_leaf(0x4000000a, 0)->eax, ==, 0x101);
    fake_vcpu_free(k);
}

/* --- the TSC's rate --- */

static GString *said;
static void hear(void *opaque, const char *line) { g_string_append(said, line); }

static void test_tsc(void)
{
    said = g_string_new(NULL);
    error_set_sink(hear, NULL);
    fake_start();
    KvmVcpu *k = fake_vcpu("qemu64");
    g_assert_cmpuint(x86_cpu(k->v)->tsc_hz, ==, 2000000000);
    g_assert_cmpuint(fake.tsc_sets, ==, 0);
    fake_vcpu_free(k);
    fake_start();
    fake.tsc_scales = true;
    k = fake_vcpu("qemu64,tsc-frequency=1G"); /* the translator's own rate is one like others */
    g_assert_cmpint(fake.tsc_khz, ==, 1000000);
    g_assert_cmpuint(x86_cpu(k->v)->tsc_hz, ==, 1000000000);
    g_assert_cmpstr(said->str, ==, "");
    fake_vcpu_free(k);
    fake_start();
    k = fake_vcpu("qemu64,tsc-frequency=1500M"); /* it cannot: the host's rate, for us and for the kernel's clock */
    g_assert_cmpint(fake.tsc_khz, ==, 2000000);
    g_assert_cmpuint(x86_cpu(k->v)->tsc_hz, ==, 2000000000);
    g_assert_nonnull(strstr(said->str, "cannot scale the TSC to 1500000 kHz; it runs at the host's rate"));
    fake_vcpu_free(k);
    error_set_sink(NULL, NULL);
    g_string_free(said, true);
}

/* --- steal time, asynchronous page faults --- */

static void start_paravirtual(void)
{
    fake_start();
    fake_offer(0x40000001, 0, 1u << 4 | 1u << 5 | 1u << 14, 0, 0, 0);
    fake_msr(0x4b564d02, 0, true);
    fake_msr(0x4b564d03, 0, true);
    fake_msr(0x4b564d06, 0, true);
    kvm.irqchip = KVM_IRQCHIP_ON; /* what delivers them */
}

static void test_paravirtual(void)
{
    start_paravirtual();
    kvm.irqchip = KVM_IRQCHIP_OFF;
    KvmVcpu *k = fake_vcpu("host");
    /* interrupts come from a local APIC of the kernel's */
    g_assert_cmphex(fake_leaf(0x40000001, 0)->eax & 1u << 4, ==, 0);
    g_assert_cmphex(fake_leaf(0x40000001, 0)->eax & 1u << 5, ==, 1u << 5);
    fake_vcpu_free(k);
    start_paravirtual();
    k = fake_vcpu("host");
    X86Cpu *c = x86_cpu(k->v);
    g_assert_cmphex(fake_leaf(0x40000001, 0)->eax & 0x4030, ==, 0x4030);
    *fake_msr_value(0x4b564d02) = 0x7009, *fake_msr_value(0x4b564d03) = 0x8001, *fake_msr_value(0x4b564d06) = 0xec;
    fake_get(k);
    g_assert_cmphex(c->kvm_async_pf, ==, 0x7009);
    g_assert_cmphex(c->kvm_steal_time, ==, 0x8001);
    g_autoptr(GBytes) stream = save_all();
    x86_reset(&c->v);
    fake_put(k);
    /* the kernel stops writing there */
    g_assert_cmphex(*fake_msr_value(0x4b564d02) | *fake_msr_value(0x4b564d03), ==, 0);
    fake_vcpu_free(k);

    start_paravirtual();
    k = fake_vcpu("host");
    load_all(stream);
    fake_put(k);
    g_assert_cmphex(*fake_msr_value(0x4b564d02), ==, 0x7009);
    g_assert_cmphex(*fake_msr_value(0x4b564d03), ==, 0x8001);
    g_assert_cmphex(*fake_msr_value(0x4b564d06), ==, 0xec);
    fake_vcpu_free(k);
    g_autofree char *steal = fake_load(stream, "host,-kvm-steal-time"), *translator = fake_load(stream, NULL);
    g_assert_nonnull(strstr(steal, "the saved guest uses 'kvm-steal-time'"));
    g_assert_nonnull(strstr(translator, "the saved guest uses 'kvm-asyncpf'"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/kvm-x86/smm/state", test_smm_state);
    g_test_add_func("/kvm-x86/smm/init", test_smm_init);
    g_test_add_func("/kvm-x86/smm/run", test_smm_run);
    g_test_add_func("/kvm-x86/components/moved", test_components);
    g_test_add_func("/kvm-x86/components/refused", test_components_refused);
    g_test_add_func("/kvm-x86/pmu/state", test_pmu);
    g_test_add_func("/kvm-x86/pmu/off", test_pmu_off);
    g_test_add_func("/kvm-x86/pmu/none", test_pmu_none);
    g_test_add_func("/kvm-x86/pmu/amd", test_pmu_amd);
    g_test_add_func("/kvm-x86/nested/state", test_nested);
    g_test_add_func("/kvm-x86/nested/svm", test_nested_svm);
    g_test_add_func("/kvm-x86/nested/choice", test_nested_choice);
    g_test_add_func("/kvm-x86/nested/evmcs", test_evmcs);
    g_test_add_func("/kvm-x86/tsc", test_tsc);
    g_test_add_func("/kvm-x86/paravirtual", test_paravirtual);
    return g_test_run();
}
