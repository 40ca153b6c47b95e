/* SPDX-License-Identifier: MIT */
/*
 * AArch64 guests under KVM on arm64 hosts: set-up, interrupt lines of a controller outside the kernel, exits (kernel
 * documentation: virt/kvm/api.rst, virt/kvm/arm). PSCI is the kernel's.
 */
#include "target/arm/kvm.h"

#include <errno.h>
#include <string.h>
#include "base/log.h"
#include "hw/core/irqchip-host.h"

enum { DEFAULT_PHYS_BITS = 40, PINS = 1024, ARM_SMCCC_64 = 1 << 30 /* bit of a function's number */ };

/* --- set-up --- */

static bool switch_is_on(Machine *m, const char *name)
{
    g_autofree char *value = props_find(m->type->props, name) ? props_get(m->type->props, m, name) : NULL;
    return !g_strcmp0(value, "on");
}

/* What KVM cannot run is said before anything is made, so that another accelerator may do it. */
static bool machine_fits(Machine *m, Error **errp)
{
    static const char *const levels[] = { "virtualization", "secure", "mte" };
    const char *model = m->config.cpu_model;
    size_t len = model ? strcspn(model, ",") : 0;
    if (!m->type->props || !props_find(m->type->props, "kernel-irqchip")) {
        error_setf(errp, "machine '%s': KVM runs the machine virt on Arm hosts; use that or -accel tcg", m->type->name);
        return false;
    }
    if (model && strncmp(model, "host", MAX(len, 4)) && strncmp(model, "max", MAX(len, 3))) {
        error_setf(errp, "-cpu %.*s: a guest of KVM has the host's CPU; use -cpu host or -accel tcg", (int)len, model);
        return false;
    }
    for (unsigned i = 0; i < ARRAY_LEN(levels); i++) {
        if (switch_is_on(m, levels[i])) {
            error_setf(errp, "machine '%s': %s=on: guests of KVM do not have it; leave it out or use -accel tcg",
                       m->type->name, levels[i]);
            return false;
        }
    }
    return true;
}

static bool choose(Machine *m, unsigned long *vm_type, Error **errp)
{
    int limit = kvm_ioctl(kvm.fd, KVM_CHECK_EXTENSION, (void *)(uintptr_t)KVM_CAP_ARM_VM_IPA_SIZE);
    unsigned bits = limit > 0 ? (unsigned)limit : DEFAULT_PHYS_BITS;
    *vm_type = limit > 0 ? KVM_VM_TYPE_ARM_IPA_SIZE(bits) : 0;
    return machine_fits(m, errp) && kvm_arm_read_host(bits, errp);
}

static void follow(RunState state)
{
    if (state == RUN_RUNNING)
        kvm_arm_follow_clock();
}

static bool vm_init(Error **errp)
{
    static bool listening;
    struct kvm_enable_cap nisv = { .cap = KVM_CAP_ARM_NISV_TO_USER }, suspend = { .cap = KVM_CAP_ARM_SYSTEM_SUSPEND };
    if (kvm_check(KVM_CAP_ARM_PSCI_0_2) <= 0 ||
        (kvm.irqchip == KVM_IRQCHIP_OFF && kvm_check(KVM_CAP_ARM_USER_IRQ) <= 0)) {
        error_setf(
            errp, "kvm: this kernel lacks KVM_CAP_ARM_PSCI_0_2 or KVM_CAP_ARM_USER_IRQ; use a newer one or -accel tcg");
        return false;
    }
    if (kvm_check(KVM_CAP_ARM_NISV_TO_USER) > 0)
        kvm_ioctl(kvm.vm, KVM_ENABLE_CAP, &nisv);
    if (kvm_check(KVM_CAP_ARM_SYSTEM_SUSPEND) > 0)
        kvm_ioctl(kvm.vm, KVM_ENABLE_CAP, &suspend);
    if (!kvm.machine->config.cpu_model)
        kvm.machine->config.cpu_model = g_strdup("host");
    kvm_irq_init(false, kvm.irqchip == KVM_IRQCHIP_ON);
    kvm_arm_follow_clock();
    if (!listening)
        machine_add_state_listener(follow);
    listening = true;
    return true;
}

static bool vcpu_setup(KvmVcpu *k, Error **errp)
{
    KvmArm *a = g_new0(KvmArm, 1);
    k->arch_data = a;
    if (kvm_ioctl(kvm.vm, KVM_ARM_PREFERRED_TARGET, &a->init) < 0) {
        error_set_errno(errp, errno, "kvm: the kernel does not say which CPU it runs; use -accel tcg");
        return false;
    }
    if (!kvm_arm_features(k, &a->init, errp))
        return false;
    if (kvm_ioctl(k->fd, KVM_ARM_VCPU_INIT, &a->init) < 0) {
        error_set_errno(errp, errno,
                        "kvm: vCPU %u: the kernel does not start it; use -cpu host without features, or -accel tcg",
                        k->v->index);
        return false;
    }
    if (arm_cpu(k->v)->kvm_steal_time && !kvm_arm_has_attr(k->fd, KVM_ARM_VCPU_PVTIME_CTRL, KVM_ARM_VCPU_PVTIME_IPA)) {
        error_setf(errp, "-cpu host: this kernel does not account stolen time; leave out 'kvm-steal-time=on'");
        return false;
    }
    if (kvm.irqchip == KVM_IRQCHIP_OFF && a->init.features[0] >> KVM_ARM_VCPU_PMU_V3 & 1 && !kvm_arm_start_pmu(k)) {
        error_set_errno(errp, errno, "kvm: vCPU %u: its performance monitors: use -cpu host,pmu=off", k->v->index);
        return false;
    }
    return kvm_arm_finalize(k, errp) && kvm_arm_list_sysregs(k, errp);
}

static void vcpu_gone(KvmVcpu *k)
{
    if (k->arch_data) {
        kvm_arm_rest_free(k);
        g_free(kvm_arm(k)->ids);
    }
    g_clear_pointer(&k->arch_data, g_free);
}

/* --- running --- */

/* The board's controller drives the CPU's two inputs. */
static void set_input(KvmVcpu *k, bool *told, CpuLine line, unsigned number)
{
    bool level = vcpu_line(k->v, line);
    unsigned n = k->v->index;
    struct kvm_irq_level l = { .irq = (n >> 8) << KVM_ARM_IRQ_VCPU2_SHIFT |
                                      KVM_ARM_IRQ_TYPE_CPU << KVM_ARM_IRQ_TYPE_SHIFT |
                                      (n & KVM_ARM_IRQ_VCPU_MASK) << KVM_ARM_IRQ_VCPU_SHIFT | number,
                               .level = level };
    if (level != *told && !kvm_ioctl(kvm.vm, KVM_IRQ_LINE, &l))
        *told = level;
}

static bool before_run(KvmVcpu *k)
{
    if (kvm.irqchip == KVM_IRQCHIP_OFF) {
        set_input(k, &kvm_arm(k)->irq, CPU_LINE_INTR, KVM_ARM_IRQ_CPU_IRQ);
        set_input(k, &kvm_arm(k)->fiq, CPU_LINE_NMI, KVM_ARM_IRQ_CPU_FIQ);
    }
    return true; /* WFI and PSCI's CPU_OFF wait in the kernel */
}

/* Without the kernel's controller its timers show their outputs here. */
static void after_run(KvmVcpu *k, bool entered)
{
    ArmCpu *c = arm_cpu(k->v);
    uint64_t levels = k->run->s.regs.device_irq_level;
    if (kvm.irqchip != KVM_IRQCHIP_OFF)
        return;
    irq_set(&c->timer_out[ARM_TIMER_VIRT], (levels & KVM_ARM_DEV_EL1_VTIMER) != 0);
    irq_set(&c->timer_out[ARM_TIMER_PHYS], (levels & KVM_ARM_DEV_EL1_PTIMER) != 0);
    irq_set(&c->pmu_out, (levels & KVM_ARM_DEV_PMU) != 0);
}

/*
 * An access that the CPU does not describe (several registers, an address that moves): the guest gets an external
 * abort.
 */
static void without_syndrome(KvmVcpu *k)
{
    static bool told;
    struct kvm_vcpu_events e = { .exception.ext_dabt_pending = 1 };
    uint64_t at = k->run->arm_nisv.fault_ipa;
    if (kvm_check(KVM_CAP_ARM_INJECT_EXT_DABT) <= 0 || kvm_ioctl(k->fd, KVM_SET_VCPU_EVENTS, &e) < 0) {
        kvm_fail(k, "-accel tcg runs the guest",
                 "an access at 0x%" G_GINT64_MODIFIER "x by an instruction that the CPU does not describe",
                 (guint64)at);
        return;
    }
    if (!told)
        warn_reportf("kvm: vCPU %u: an access to a device at 0x%" PRIx64
                     " by an instruction that the CPU does not describe (syndrome 0x%" PRIx64 "): "
                     "the guest gets an external abort; -accel tcg runs it",
                     k->v->index, at, (uint64_t)k->run->arm_nisv.esr_iss);
    told = true;
}

/*
 * PSCI's SYSTEM_SUSPEND: the kernel waits for what wakes the CPU, we know where it goes on (kernel documentation:
 * virt/kvm/api.rst, 5, 8.36).
 */
static bool system_event(KvmVcpu *k)
{
    ArmCpu *c = arm_cpu(k->v);
    switch (k->run->system_event.type) {
    case KVM_SYSTEM_EVENT_SUSPEND: {
        kvm_fetch_state(k);
        bool wide = c->aarch64 && k->v->g[0] & ARM_SMCCC_64;
        arm_cpu_suspend(c, wide ? k->v->g[1] : (uint32_t)k->v->g[1], wide ? k->v->g[2] : (uint32_t)k->v->g[2]);
        return true;
    }
    case KVM_SYSTEM_EVENT_WAKEUP:
        kvm_fetch_state(k);
        if (c->suspended)
            arm_cpu_resume(c);
        return true;
    default: return false;
    }
}

static bool handle_exit(KvmVcpu *k)
{
    switch (k->run->exit_reason) {
    case KVM_EXIT_DEBUG:
        kvm_arm_debug_exit(k);
        return true;
    case KVM_EXIT_ARM_NISV:
        without_syndrome(k);
        return true;
    default: return false;
    }
}

static void describe(KvmVcpu *k, GString *out)
{
    g_string_append_printf(out, "at %" G_GINT64_MODIFIER "x, pstate %" G_GINT64_MODIFIER "x", (guint64)k->v->pc,
                           (guint64)arm_get_pstate(arm_cpu(k->v)));
    for (unsigned i = 0; i < 31; i++)
        g_string_append_printf(out, ", x%u %" G_GINT64_MODIFIER "x", i, (guint64)k->v->g[i]);
}

/* The host's CPU runs what it runs: being there is being fast. */
static bool fast(int kvm_fd, char **why_not) { return true; }

const KvmArch kvm_arm_table = {
    .arch = "aarch64",
    .choose = choose,
    .vcpu_by_index = true,
    .first_message = PINS,
    .make_irqchip = kvm_arm_make_irqchip,
    .vm_init = vm_init,
    .fast = fast,
    .vcpu_init = vcpu_setup,
    .vcpu_free = vcpu_gone,
    .put = kvm_arm_put,
    .get = kvm_arm_get,
    .before_run = before_run,
    .after_run = after_run,
    .handle_exit = handle_exit,
    .system_event = system_event,
    .describe = describe,
    .set_debug = kvm_arm_set_debug,
    .break_insn = { 0, 0, 0x20, 0xd4 } /* BRK #0 */,
    .break_len = 4,
    .hard_points = 2 * KVM_ARM_MAX_DBG_REGS,
};
KVM_ARCH_REGISTER(kvm_arm_table)
