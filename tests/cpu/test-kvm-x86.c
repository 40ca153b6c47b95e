/* SPDX-License-Identifier: MIT */
/* An x86 vCPU's state between Vcpu and kernel: system management mode and what else only some kernels have. */
#include <string.h>
#include "accel/vcpu.h"
#include "base/error.h"
#include "tests/cpu/kvm-fake.h"

static void put(KvmVcpu *k)
{
    Error *err = NULL;
    kvm_x86_put(k, &err);
    g_assert_no_error(err);
}

static void get(KvmVcpu *k)
{
    Error *err = NULL;
    kvm_x86_get(k, &err);
    g_assert_no_error(err);
}

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
    g_assert_false(fake.events.flags & KVM_VCPUEVENT_VALID_SMM); /* nothing of it: what the kernel has got meanwhile stays */
    fake.events.flags |= KVM_VCPUEVENT_VALID_SMM;
    fake.events.smi.smm = fake.events.smi.smm_inside_nmi = fake.events.smi.pending = 1;
    *fake_msr_value(0x9e) = 0x7f000000;
    get(k);
    g_assert_true(c->smm && c->smm_nmi_blocked && c->v.as == fix_machine.as_smm);
    g_assert_cmphex(c->smbase, ==, 0x7f000000);
    g_assert_true(c->v.arch->attrs(&c->v).smm);
    g_assert_true(vcpu_line(&c->v, CPU_LINE_SMI)); /* so the translator takes it too */

    fake.events = (struct kvm_vcpu_events){ 0 };
    *fake_msr_value(0x9e) = 0;
    c->smbase = 0x7e000000;
    put(k);
    g_assert_true(fake.events.flags & KVM_VCPUEVENT_VALID_SMM);
    g_assert_true(fake.events.smi.smm && fake.events.smi.smm_inside_nmi && fake.events.smi.pending && !fake.events.smi.latched_init);
    g_assert_cmphex(*fake_msr_value(0x9e), ==, 0x7e000000);
    g_assert_false(vcpu_line(&c->v, CPU_LINE_SMI)); /* the kernel has it now */
    get(k);

    x86_reset(&c->v); /* out of it, and no SMI waits */
    put(k);
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
    get(k);
    g_assert_true(vcpu_line(k->v, CPU_LINE_INIT));
    x86_poll(k->v);
    g_assert_true(vcpu_line(k->v, CPU_LINE_INIT)); /* it waits on the translator, too */
    fake.events.smi.latched_init = 0;
    put(k);
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
    kvm_x86_arch.after_run(k);
    g_assert_true(c->smm && c->v.as == fix_machine.as_smm && c->v.arch->attrs(&c->v).smm);
    vcpu_set_line(&c->v, CPU_LINE_INIT, true); /* waits */
    g_assert_true(kvm_x86_arch.before_run(k));
    g_assert_true(vcpu_line(&c->v, CPU_LINE_INIT));
    k->run->flags = 0;
    kvm_x86_arch.after_run(k);
    g_assert_true(!c->smm && c->v.as == fix_machine.as_memory);
    fake_vcpu_free(k);
    as_free(fix_machine.as_smm);
    fix_machine.as_smm = NULL;
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/kvm-x86/smm/state", test_smm_state);
    g_test_add_func("/kvm-x86/smm/init", test_smm_init);
    g_test_add_func("/kvm-x86/smm/run", test_smm_run);
    return g_test_run();
}
