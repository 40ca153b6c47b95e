/* SPDX-License-Identifier: MIT */
/*
 * An x86 vCPU's AMX tiles and control-flow enforcement between Vcpu and kernel: CPUID, registers, saved state. What
 * -accel kvm,... asks of x86 kernels.
 */
#include <errno.h>
#include <string.h>
#include "hw/core/dma-host.h"
#include "tests/cpu/kvm-fake.h"
#include "tests/device/whole-state.h"

/* --- tiles --- */

enum { X_BV = 512, AT_CONFIG = 0xac0, AT_DATA = 0xb00, AREA = AT_DATA + 8192, MSR_XFD = 0x1c4, MSR_XFD_ERR = 0x1c5 };

static void start_tiles(void)
{
    fake_start();
    fake.caps[KVM_CAP_XSAVE2] = AREA;
    fake.xsave_size = AREA;
    fake_offer(7, 0, 0, 0, 0, 1u << 22 | 1u << 24 | 1u << 25);
    fake_offer(0xd, 0, 0x60003, 0, AREA, 0);
    fake_offer(0xd, 1, 0x1f, 0, 0, 0);
    fake_offer(0xd, 17, 64, AT_CONFIG, 2, 0);
    fake_offer(0xd, 18, 8192, AT_DATA, 6, 0);
    fake_offer(0x1d, 0, 1, 0, 0, 0);
    fake_offer(0x1d, 1, 0x04002000, 0x00080040, 16, 0);
    fake_offer(0x1e, 0, 0, 0x4010, 0, 0);
    fake_msr(MSR_XFD, 0, true);
    fake_msr(MSR_XFD_ERR, 0, true);
    fake_msr(0xda0, 0, true);
}

static void test_tiles(void)
{
    start_tiles();
    KvmVcpu *k = fake_vcpu("host");
    X86Cpu *c = x86_cpu(k->v);
    g_assert_cmpuint(fake.tiles_asked, ==, 18);
    g_assert_cmphex(fake_leaf(7, 0)->edx & (1u << 22 | 1u << 24 | 1u << 25), ==, 1u << 22 | 1u << 24 | 1u << 25);
    g_assert_cmphex(fake_leaf(0xd, 0)->eax, ==, 0x60003);
    g_assert_cmphex(fake_leaf(0xd, 0)->ecx, ==, AREA);
    g_assert_cmphex(fake_leaf(0xd, 1)->eax & 0x10, ==, 0x10);
    g_assert_cmphex(fake_leaf(0xd, 18)->ebx, ==, AT_DATA);
    g_assert_cmphex(fake_leaf(0xd, 18)->ecx, ==, 6);
    g_assert_cmphex(fake_leaf(0x1d, 1)->eax, ==, 0x04002000);
    g_assert_cmphex(fake_leaf(0x1e, 0)->ebx, ==, 0x4010);

    for (unsigned i = AT_CONFIG; i < AREA; i++)
        fake.xsave[i] = (uint8_t)(i * 5 + 3);
    store_le64(fake.xsave + X_BV, 0x60003);
    fake.xcrs = (struct kvm_xcrs){ .nr_xcrs = 1, .xcrs[0].value = 0x60003 };
    *fake_msr_value(MSR_XFD) = 0x40000;
    *fake_msr_value(MSR_XFD_ERR) = 0x40000;
    g_autofree uint8_t *before = g_memdup2(fake.xsave, AREA);
    fake_get(k);
    g_assert_cmphex(c->ext.xsave.used, ==, 0x60000);
    g_autoptr(GBytes) stream = save_all();
    x86_reset(&c->v);
    fake_put(k);
    g_assert_cmphex(load_le64(fake.xsave + X_BV) & 0x60000, ==, 0);
    g_assert_cmphex(*fake_msr_value(MSR_XFD) | *fake_msr_value(MSR_XFD_ERR), ==, 0);
    fake_vcpu_free(k);

    k = fake_vcpu("host");
    load_all(stream);
    fake_put(k);
    g_assert_cmphex(load_le64(fake.xsave + X_BV), ==, 0x60003);
    g_assert_cmpmem(fake.xsave + AT_CONFIG, 64, before + AT_CONFIG, 64);
    g_assert_cmpmem(fake.xsave + AT_DATA, 8192, before + AT_DATA, 8192);
    g_assert_cmphex(*fake_msr_value(MSR_XFD), ==, 0x40000);
    g_assert_cmphex(*fake_msr_value(MSR_XFD_ERR), ==, 0x40000);
    fake_vcpu_free(k);
    g_autofree char *without = fake_load(stream, "host,-amx-tile"), *translator = fake_load(stream, NULL);
    g_assert_nonnull(strstr(without, "CPU 0: the saved guest has AMX tiles"));
    g_assert_nonnull(strstr(translator, "CPU 0: the saved guest has AMX tiles"));
}

/* Not in part: without one of the components, or XFD, there are none of its features. */
static void test_tiles_refused(void)
{
    static const char *const models[] = { "host,-xfd", "host,-amx-tile", "host,-xsave" };
    for (unsigned i = 0; i <= ARRAY_LEN(models); i++) {
        start_tiles();
        if (i == ARRAY_LEN(models)) /* the kernel's own area has no room for it: nobody gave permission */
            fake.caps[KVM_CAP_XSAVE2] = 0;
        KvmVcpu *k = fake_vcpu(i == ARRAY_LEN(models) ? "host" : models[i]);
        g_assert_cmphex(fake_leaf(7, 0)->edx & (1u << 22 | 1u << 24 | 1u << 25), ==, 0);
        g_assert_cmphex(x86_cpu(k->v)->ext.xsave.there, ==, 0);
        g_assert_null(x86_ext_msr_field(x86_cpu(k->v), MSR_XFD));
        g_assert_true(!fake_leaf(0x1e, 0) || !fake_leaf(0x1e, 0)->ebx);
        fake_vcpu_free(k);
    }
}

/* --- control-flow enforcement --- */

static const uint32_t cet_msrs[] = { 0x6a0, 0x6a2, 0x6a4, 0x6a5, 0x6a6, 0x6a7, 0x6a8 };

static void start_cet(void)
{
    fake_start();
    fake.caps[KVM_CAP_ONE_REG] = 1;
    fake_offer(7, 0, 0, 0, 1u << 7, 1u << 20);
    fake_offer(0xd, 1, 0xf, 0, 0x1800, 0);
    fake_offer(0xd, 11, 16, 0, 1, 0);
    fake_offer(0xd, 12, 24, 0, 1, 0);
    fake_msr(0xda0, 0, true);
    for (unsigned i = 0; i < ARRAY_LEN(cet_msrs); i++)
        fake_msr(cet_msrs[i], 0, true);
}

static void test_cet(void)
{
    start_cet();
    KvmVcpu *k = fake_vcpu("host");
    X86Cpu *c = x86_cpu(k->v);
    g_assert_cmphex(fake_leaf(7, 0)->ecx & 1u << 7, ==, 1u << 7);
    g_assert_cmphex(fake_leaf(7, 0)->edx & 1u << 20, ==, 1u << 20);
    g_assert_cmphex(fake_leaf(0xd, 1)->ecx, ==, 0x1800);
    g_assert_cmphex(fake_leaf(0xd, 12)->eax, ==, 24);
    g_assert_cmphex(fake_leaf(0xd, 12)->ecx, ==, 1);
    g_assert_cmphex(fake_leaf(0xd, 0)->eax, ==, 3); /* not of XCR0 */
    for (unsigned i = 0; i < ARRAY_LEN(cet_msrs); i++)
        *fake_msr_value(cet_msrs[i]) = 0x1000 * (i + 1);
    fake.ssp = 0x7fffe000;
    *fake_msr_value(0xda0) = 0x1800;
    fake.sregs.cr4 |= CR4_CET;
    fake_get(k);
    g_assert_cmphex(c->ext.cet.ssp, ==, 0x7fffe000);
    g_assert_cmphex(c->ext.cet.level_ssp[3], ==, 0x6000);
    g_autoptr(GBytes) stream = save_all();
    x86_reset(&c->v);
    fake_put(k);
    g_assert_cmphex(fake.ssp, ==, 0);
    for (unsigned i = 0; i < ARRAY_LEN(cet_msrs); i++)
        g_assert_cmphex(*fake_msr_value(cet_msrs[i]), ==, 0);
    fake_vcpu_free(k);

    k = fake_vcpu("host");
    load_all(stream);
    fake_put(k);
    g_assert_cmphex(fake.ssp, ==, 0x7fffe000);
    g_assert_true(fake.sregs.cr4 & CR4_CET);
    for (unsigned i = 0; i < ARRAY_LEN(cet_msrs); i++)
        g_assert_cmphex(*fake_msr_value(cet_msrs[i]), ==, 0x1000 * (i + 1));
    Error *err = NULL;
    fake.refuse = KVM_SET_ONE_REG;
    fake.refuse_errno = EINVAL;
    g_assert_false(kvm_x86_put(k, &err));
    g_assert_nonnull(strstr(err->message, "the kernel refuses its shadow stack pointer"));
    error_free(err);
    fake.refuse = 0;
    fake_vcpu_free(k);
    g_autofree char *without = fake_load(stream, "host,-shstk,-ibt"), *translator = fake_load(stream, NULL);
    g_assert_nonnull(strstr(without, "the saved guest uses 'shstk'"));
    g_assert_nonnull(strstr(translator, "the saved guest uses 'shstk'"));
}

/* Branch tracking alone has no shadow stacks; a kernel that does not move all of it gives a guest none of it. */
static void test_cet_parts(void)
{
    start_cet();
    KvmVcpu *k = fake_vcpu("host,-shstk");
    X86Cpu *c = x86_cpu(k->v);
    g_assert_nonnull(x86_ext_msr_field(c, 0x6a2));
    g_assert_null(x86_ext_msr_field(c, 0x6a4));
    fake.refuse = KVM_SET_ONE_REG; /* not asked for */
    fake_put(k);
    fake_vcpu_free(k);
    for (unsigned i = 0; i < 3; i++) {
        start_cet();
        if (!i)
            fake.caps[KVM_CAP_ONE_REG] = 0;
        else if (i == 1)
            fake_offer(0xd, 12, 32, 0, 0, 0); /* another size */
        k = fake_vcpu(i == 2 ? "host,-xsaves" : "host");
        g_assert_cmphex((fake_leaf(7, 0)->ecx & 1u << 7) | (fake_leaf(7, 0)->edx & 1u << 20), ==, 0);
        g_assert_cmphex(fake_leaf(0xd, 1)->ecx, ==, 0);
        g_assert_null(x86_ext_msr_field(x86_cpu(k->v), 0x6a2));
        fake_vcpu_free(k);
    }
}

/* --- -accel kvm,... --- */

static GString *said;
static void hear(void *opaque, const char *line) { g_string_append(said, line); }

static void test_shadow_mem(void)
{
    Error *err = NULL;
    fake_start();
    g_assert_true(kvm_x86_arch.tune(&(KvmTuning){ 0 }, &err));
    g_assert_cmpuint(fake.shadow_pages + fake.enables, ==, 0); /* the kernel's own ways */
    g_assert_true(kvm_x86_arch.tune(&(KvmTuning){ .shadow_mem = 64 << 20 }, &err));
    g_assert_cmpuint(fake.shadow_pages, ==, 16384);
    fake.refuse = KVM_SET_NR_MMU_PAGES;
    fake.refuse_errno = EINVAL;
    g_assert_false(kvm_x86_arch.tune(&(KvmTuning){ .shadow_mem = 8192 }, &err));
    g_assert_nonnull(
        strstr(err->message, "kvm-shadow-mem: the kernel refuses 2 pages of 4 KiB; leave it out: Invalid argument"));
    error_free(err);
}

static void test_notify(void)
{
    Error *err = NULL;
    KvmTuning t = { .notify = KVM_NOTIFY_AUTO };
    said = g_string_new(NULL);
    error_set_sink(hear, NULL);
    fake_start();
    t.notify = KVM_NOTIFY_RUN;
    g_assert_false(kvm_x86_arch.tune(&t, &err));
    g_assert_nonnull(strstr(err->message, "notify-vmexit: this host's kernel or CPU has no such exit"));
    g_clear_pointer(&err, error_free);
    fake.caps[KVM_CAP_X86_NOTIFY_VMEXIT] = 3;
    t.notify = KVM_NOTIFY_OFF;
    g_assert_true(kvm_x86_arch.tune(&t, &err));
    g_assert_cmpuint(fake.enables, ==, 0);
    t = (KvmTuning){ .notify = KVM_NOTIFY_RUN, .notify_window = 0x1234 };
    g_assert_true(kvm_x86_arch.tune(&t, &err));
    g_assert_cmpuint(fake.enabled[0].cap, ==, KVM_CAP_X86_NOTIFY_VMEXIT);
    g_assert_cmphex(fake.enabled[0].args[0], ==, UINT64_C(0x123400000003));

    KvmVcpu *k = fake_vcpu("qemu64");
    k->run->exit_reason = KVM_EXIT_NOTIFY;
    kvm_handle(k, 0);
    kvm_handle(k, 0);
    g_assert_false(k->failed);
    /* once */
    g_assert_cmpstr(said->str, ==, "warning: kvm: vCPU 0: the guest has let no event in for longer than notify-window");
    k->run->notify.flags = KVM_NOTIFY_CONTEXT_INVALID;
    kvm_handle(k, 0);
    g_assert_true(k->failed);
    g_assert_nonnull(strstr(said->str, "the guest lets no event in, and the CPU has lost its state"));
    fake_vcpu_free(k);

    t.notify = KVM_NOTIFY_ERROR;
    g_assert_true(kvm_x86_arch.tune(&t, &err));
    k = fake_vcpu("qemu64");
    k->run->exit_reason = KVM_EXIT_NOTIFY;
    kvm_handle(k, 0);
    g_assert_true(k->failed);
    g_assert_nonnull(strstr(said->str, "notify-vmexit=run lets it go on"));
    fake_vcpu_free(k);
    error_set_sink(NULL, NULL);
    g_string_free(said, true);
}

/* --- devices of the host --- */

static void test_dma(void)
{
    fake_start();
    fake.caps[KVM_CAP_DEVICE_CTRL] = 1;
    kvm_dma_init();
    g_assert_cmpuint(fake.devices, ==, 0); /* not for nobody */
    dma_host_tell(77, true);
    g_assert_cmpuint(fake.device_attr.group, ==, KVM_DEV_VFIO_GROUP);
    g_assert_cmpuint(fake.device_attr.attr, ==, KVM_DEV_VFIO_GROUP_ADD);
    g_assert_cmpint(fake.device_value, ==, 77);
    dma_host_tell(77, false);
    g_assert_cmpuint(fake.device_attr.attr, ==, KVM_DEV_VFIO_GROUP_DEL);
    g_assert_cmpuint(fake.devices, ==, 1);
    kvm_dma_forget();
    dma_host_tell(78, true);
    g_assert_cmpuint(fake.device_calls, ==, 2);
    fake.caps[KVM_CAP_DEVICE_CTRL] = 0; /* a kernel without it does without */
    kvm_dma_init();
    dma_host_tell(79, true);
    g_assert_cmpuint(fake.device_calls, ==, 2);
    kvm_dma_forget();
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/kvm-x86/tiles/moved", test_tiles);
    g_test_add_func("/kvm-x86/tiles/refused", test_tiles_refused);
    g_test_add_func("/kvm-x86/cet/moved", test_cet);
    g_test_add_func("/kvm-x86/cet/parts", test_cet_parts);
    g_test_add_func("/kvm-x86/shadow-mem", test_shadow_mem);
    g_test_add_func("/kvm-x86/notify", test_notify);
    g_test_add_func("/kvm-x86/dma", test_dma);
    return g_test_run();
}
