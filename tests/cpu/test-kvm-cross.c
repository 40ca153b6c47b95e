/* SPDX-License-Identifier: MIT */
/*
 * What is under way when an x86 machine under KVM is stopped, saved or loaded: interrupts, NMIs, starts of CPUs, the
 * TSC. None is lost.
 */
#include <string.h>
#include "accel/vcpu.h"
#include "base/clock.h"
#include "tests/cpu/kvm-fake.h"
#include "tests/device/whole-state.h"

static void get(KvmVcpu *k)
{
    Error *err = NULL;
    kvm_x86_get(k, &err);
    g_assert_no_error(err);
}

/* The way into the guest, up to KVM_RUN. */
static void go_in(KvmVcpu *k)
{
    g_assert_true(kvm_x86_arch.before_run(k));
    g_assert_true(kvm_load_state(k));
}

/* --- an interrupt of a controller outside the kernel --- */

enum { VECTOR = 0x41 };
static int acknowledged;
static int acknowledge(void *opaque)
{
    acknowledged++;
    vcpu_set_line(opaque, CPU_LINE_INTR, false);
    return VECTOR;
}
static const CpuIntcOps controller = { .acknowledge = acknowledge };

/*
 * The machine has stood, so the state is ours, and the interrupt comes before the next entry. What the last exit said
 * is of another time.
 */
static void interrupt(bool iflag, bool shadow, bool event, bool halted, KvmIrqchip chip)
{
    fake_start();
    KvmVcpu *k = fake_vcpu("qemu64");
    X86Cpu *c = x86_cpu(k->v);
    kvm.irqchip = chip;
    c->v.port.intc_ops = &controller;
    c->v.port.intc = k->v;
    acknowledged = 0;
    x86_set_eflags(c, 2 | (iflag ? EFL_IF : 0));
    c->shadow = shadow;
    c->event = (X86Event){ .kind = event ? X86_EVENT_INTR : X86_EVENT_NONE, .vector = 0x30 };
    c->v.halted = halted;
    k->run->ready_for_interrupt_injection = k->run->if_flag = 1;
    vcpu_set_line(k->v, CPU_LINE_INTR, true);
    go_in(k);
    bool now = iflag && !shadow && !event;
    g_assert_cmpint(acknowledged, ==, now);
    g_assert_cmpuint(k->run->request_interrupt_window, ==, !now);
    g_assert_cmpuint(fake.events.interrupt.injected, ==, now || event);
    g_assert_cmphex(fake.events.interrupt.nr, ==, now ? VECTOR : event ? 0x30 : 0);
    if (!now) { /* the guest has come to where it can be taken */
        k->run->ready_for_interrupt_injection = k->run->if_flag = 1;
        go_in(k);
        g_assert_cmpint(acknowledged, ==, 1);
        g_assert_cmphex(fake.events.interrupt.nr, ==, VECTOR);
    }
    c->v.port.intc_ops = NULL;
    fake_vcpu_free(k);
}

static void test_interrupt(void)
{
    for (KvmIrqchip chip = KVM_IRQCHIP_OFF; chip <= KVM_IRQCHIP_SPLIT; chip++) {
        interrupt(true, false, false, false, chip);
        interrupt(true, false, false, true, chip); /* HLT ends */
        interrupt(false, false, false, false, chip);
        interrupt(true, true, false, false, chip);
        interrupt(true, false, true, false, chip);
    }
}

/*
 * With irqchip=split the kernel keeps a vector to itself until it enters the guest. A machine that stops before that
 * has it in its state; one that goes on takes it once.
 */
static void test_accepted(void)
{
    fake_start();
    fake.split = true;
    KvmVcpu *k = fake_vcpu("qemu64");
    X86Cpu *c = x86_cpu(k->v);
    kvm.irqchip = KVM_IRQCHIP_SPLIT;
    c->v.port.intc_ops = &controller;
    c->v.port.intc = k->v;
    x86_set_eflags(c, 2 | EFL_IF);
    vcpu_set_line(k->v, CPU_LINE_INTR, true);
    go_in(k);
    g_assert_cmphex(fake.external, ==, VECTOR);
    for (unsigned turn = 0; turn < 2; turn++) { /* kicked before the entry, stopped, and on again */
        kvm_x86_arch.after_run(k, false);
        fake.mp.mp_state = KVM_MP_STATE_HALTED;
        kvm_fetch_state(k);
        g_assert_cmpuint(c->event.kind, ==, X86_EVENT_INTR);
        g_assert_cmphex(c->event.vector, ==, VECTOR);
        g_assert_false(c->v.halted);
        go_in(k);
        g_assert_false(fake.events.interrupt.injected);
        g_assert_cmpuint(fake.mp.mp_state, ==, KVM_MP_STATE_RUNNABLE);
    }
    fake.external = 0; /* delivered; a kick ends the run */
    k->run->if_flag = k->run->ready_for_interrupt_injection = 1;
    kvm_x86_arch.after_run(k, false);
    kvm_fetch_state(k);
    g_assert_cmpuint(c->event.kind, ==, X86_EVENT_NONE);
    c->v.port.intc_ops = NULL;
    fake_vcpu_free(k);
}

/* --- what other vCPUs send by the kernel's local APICs --- */

/* To one whose state has not been put yet: it stays, and what has been taken out goes in again once. */
static void test_nmi(void)
{
    fake_start();
    kvm.irqchip = KVM_IRQCHIP_ON;
    KvmVcpu *k = fake_vcpu("qemu64");
    g_assert_false(fake.events.flags & KVM_VCPUEVENT_VALID_NMI_PENDING);
    k->loaded = false;
    go_in(k);
    g_assert_false(fake.events.flags & KVM_VCPUEVENT_VALID_NMI_PENDING);
    fake.events.nmi.pending = 1;
    kvm_fetch_state(k);
    g_assert_true(vcpu_line(k->v, CPU_LINE_NMI));
    go_in(k);
    g_assert_true(fake.events.flags & KVM_VCPUEVENT_VALID_NMI_PENDING && !fake.events.nmi.pending);
    g_assert_cmpuint(fake.nmis, ==, 1);
    fake_vcpu_free(k);
}

/* To one that stands while they still run: it is in what is saved. */
static void test_late(void)
{
    fake_start();
    kvm.irqchip = KVM_IRQCHIP_ON;
    KvmVcpu *k = fake_vcpu("qemu64");
    k->loaded = true;
    kvm_fetch_state(k);
    fake.events.nmi.pending = 1;
    kvm_standing();
    g_assert_true(vcpu_line(k->v, CPU_LINE_NMI));
    x86_reset(k->v);
    kvm_standing(); /* once: the state is ours, and has changed since */
    g_assert_false(vcpu_line(k->v, CPU_LINE_NMI));
    g_assert_cmphex(k->v->pc, ==, 0xfff0);
    fake_vcpu_free(k);
}

/* The kernel carries a SIPI out when it is asked for the waiting state: the registers are those behind it. */
static void test_start_in_kernel(void)
{
    fake_start();
    kvm.irqchip = KVM_IRQCHIP_ON;
    KvmVcpu *k = fake_vcpu("qemu64");
    fake.mp.mp_state = KVM_MP_STATE_INIT_RECEIVED;
    fake.sipi = 0x9a;
    get(k);
    X86Cpu *c = x86_cpu(k->v);
    g_assert_false(c->v.powered_off || c->v.halted);
    g_assert_cmphex(c->seg[SEG_CS].base + c->v.pc, ==, 0x9a000);
    fake_vcpu_free(k);
}

/* INIT and SIPI that a saved machine's CPU had not taken yet, local APIC in the kernel: it does not know of them. */
static void test_start_loaded(void)
{
    fake_start();
    kvm.irqchip = KVM_IRQCHIP_ON;
    KvmVcpu *k = fake_vcpu("qemu64");
    X86Cpu *c = x86_cpu(k->v);
    c->v.port.bsp = false;
    c->v.g[RBX] = 0x1234;
    c->v.port.ops->set_line(&c->v.port, CPU_LINE_INIT, true);
    c->v.port.ops->sipi(&c->v.port, 0x9a);
    go_in(k);
    g_assert_cmpuint(fake.mp.mp_state, ==, KVM_MP_STATE_RUNNABLE);
    g_assert_cmphex(fake.sregs.cs.base + fake.regs.rip, ==, 0x9a000);
    g_assert_cmphex(fake.regs.rbx, ==, 0);
    g_assert_false(vcpu_line(k->v, CPU_LINE_INIT) || vcpu_line(k->v, CPU_LINE_SIPI));

    kvm_fetch_state(k);
    c->v.port.ops->set_line(&c->v.port, CPU_LINE_INIT, true);
    go_in(k);
    g_assert_cmpuint(fake.mp.mp_state, ==, KVM_MP_STATE_INIT_RECEIVED);
    c->v.port.bsp = true;
    fake_vcpu_free(k);
}

/* --- the TSC --- */

/* It goes on where it was, whatever its rate is there. */
static void test_tsc(void)
{
    const uint64_t start = UINT64_C(7000000000);
    clock_virtual_set((int64_t)start);
    fake_start();
    KvmVcpu *k = fake_vcpu("qemu64");
    x86_cpu(k->v)->tsc_offset = -12345;
    uint64_t tsc = x86_tsc(x86_cpu(k->v));
    g_assert_cmpuint(tsc, ==, 2 * start - 12345);
    g_autoptr(GBytes) of_kvm = save_all();
    fake_vcpu_free(k);

    X86Cpu *c = fix_cpu("qemu64");
    clock_virtual_set((int64_t)start);
    load_all(of_kvm);
    g_assert_cmpuint(x86_tsc(c), ==, tsc);
    clock_virtual_set((int64_t)start + 1000);
    g_assert_cmpuint(x86_tsc(c), ==, tsc + 1000);
    tsc = x86_tsc(c);
    g_autoptr(GBytes) of_tcg = save_all();
    fix_free(c);

    fake_start();
    k = fake_vcpu("qemu64");
    load_all(of_tcg);
    g_assert_cmpuint(x86_tsc(x86_cpu(k->v)), ==, tsc);
    k->loaded = false;
    go_in(k);
    g_assert_cmpuint(*fake_msr_value(0x10), ==, tsc);
    clock_virtual_set((int64_t)start + 2000);
    g_assert_cmpuint(x86_tsc(x86_cpu(k->v)), ==, tsc + 2000);
    fake_vcpu_free(k);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/kvm-cross/interrupt", test_interrupt);
    g_test_add_func("/kvm-cross/accepted", test_accepted);
    g_test_add_func("/kvm-cross/nmi", test_nmi);
    g_test_add_func("/kvm-cross/late", test_late);
    g_test_add_func("/kvm-cross/start/in-kernel", test_start_in_kernel);
    g_test_add_func("/kvm-cross/start/loaded", test_start_loaded);
    g_test_add_func("/kvm-cross/tsc", test_tsc);
    return g_test_run();
}
