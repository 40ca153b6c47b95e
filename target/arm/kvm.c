/* SPDX-License-Identifier: MIT */
/*
 * AArch64 guests under KVM on arm64 hosts: set-up, registers in and out, interrupt lines (kernel documentation: virt/kvm/api.rst, 4.68, 4.82;
 * virt/kvm/arm). PSCI is the kernel's; the interrupt controller is the board's, its lines go to the vCPU's IRQ and FIQ inputs.
 */
#include "accel/kvm/kvm.h"

#include <errno.h>
#include "base/log.h"
#include "target/arm/sysregs.h"

#define CORE(field, size) (KVM_REG_ARM64 | (size) | KVM_REG_ARM_CORE | KVM_REG_ARM_CORE_REG(field))
enum { SYSREG_KEY = 0xffff, PSTATE_NRW = 0x10 };

/* A vCPU's KvmVcpu.arch_data: the system registers that the kernel and we have, by the kernel's list. */
typedef struct KvmArm {
    uint64_t *ids;
    unsigned count;
    bool irq, fiq;      /* levels that the kernel has been told */
} KvmArm;

static KvmArm *kvm_arm(KvmVcpu *k) { return k->arch_data; }

static bool one_reg(const KvmVcpu *k, unsigned long request, uint64_t id, void *at)
{
    struct kvm_one_reg r = { .id = id, .addr = (uintptr_t)at };
    return !kvm_ioctl(k->fd, request, &r);
}

/* --- which system registers --- */

/* The kernel's number of a system register is the architecture's encoding, as our keys are. */
static uint64_t *sysreg_place(ArmCpu *c, uint64_t id)
{
    const ArmSysreg *r = (id & KVM_REG_ARM_COPROC_MASK) == KVM_REG_ARM64_SYSREG ? arm_sysreg_find((uint32_t)(id & SYSREG_KEY)) : NULL;
    return r && r->offset && r->size == 8 ? arm_sysreg_field(c, r) : NULL;
}

static bool list_sysregs(KvmVcpu *k, Error **errp)
{
    struct kvm_reg_list probe = { .n = 0 };
    kvm_ioctl(k->fd, KVM_GET_REG_LIST, &probe); /* E2BIG, and the number */
    g_autofree struct kvm_reg_list *list = g_malloc0(sizeof(*list) + probe.n * sizeof(list->reg[0]));
    list->n = probe.n;
    if (kvm_ioctl(k->fd, KVM_GET_REG_LIST, list) < 0) {
        error_set_errno(errp, errno, "kvm: vCPU %u: the kernel does not tell its list of registers; use -accel tcg", k->v->index);
        return false;
    }
    KvmArm *a = kvm_arm(k);
    a->ids = g_new0(uint64_t, list->n + 1);
    for (uint64_t i = 0; i < list->n; i++) {
        if (sysreg_place(arm_cpu(k->v), list->reg[i]))
            a->ids[a->count++] = list->reg[i];
    }
    return true;
}

/* --- set-up --- */

static bool vcpu_setup(KvmVcpu *k, Error **errp)
{
    struct kvm_vcpu_init init = { 0 };
    k->arch_data = g_new0(KvmArm, 1);
    if (kvm_ioctl(kvm.vm, KVM_ARM_PREFERRED_TARGET, &init) < 0) {
        error_set_errno(errp, errno, "kvm: the kernel does not say which CPU it runs; use -accel tcg");
        return false;
    }
    init.features[0] = 1u << KVM_ARM_VCPU_PSCI_0_2;
    if (arm_cpu(k->v)->start_off)
        init.features[0] |= 1u << KVM_ARM_VCPU_POWER_OFF;
    if (kvm_check(KVM_CAP_ARM_PMU_V3) > 0)
        init.features[0] |= 1u << KVM_ARM_VCPU_PMU_V3;
    if (kvm_ioctl(k->fd, KVM_ARM_VCPU_INIT, &init) < 0) {
        error_set_errno(errp, errno, "kvm: vCPU %u: the kernel does not start it; use -cpu host or -accel tcg", k->v->index);
        return false;
    }
    return list_sysregs(k, errp);
}

static void vcpu_gone(KvmVcpu *k)
{
    if (k->arch_data)
        g_free(kvm_arm(k)->ids);
    g_clear_pointer(&k->arch_data, g_free);
}

/* --- state --- */

/* Integer and FP registers; stack pointers and PSTATE are the caller's. */
static bool move_core(KvmVcpu *k, unsigned long request)
{
    ArmCpu *c = arm_cpu(k->v);
    uint32_t fpsr = arm_get_fpsr(c), fpcr = arm_get_fpcr(c);
    bool ok = true;
    for (unsigned i = 0; i < 31; i++)
        ok &= one_reg(k, request, CORE(regs.regs[i], KVM_REG_SIZE_U64), &k->v->g[i]);
    ok &= one_reg(k, request, CORE(regs.pc, KVM_REG_SIZE_U64), &k->v->pc);
    ok &= one_reg(k, request, CORE(elr_el1, KVM_REG_SIZE_U64), &c->elr_el[1]);
    ok &= one_reg(k, request, CORE(spsr[KVM_SPSR_EL1], KVM_REG_SIZE_U64), &c->spsr_el[1]);
    for (unsigned i = 0; i < 32; i++)
        ok &= one_reg(k, request, CORE(fp_regs.vregs[i], KVM_REG_SIZE_U128), &k->v->v[i]);
    ok &= one_reg(k, request, CORE(fp_regs.fpsr, KVM_REG_SIZE_U32), &fpsr);
    ok &= one_reg(k, request, CORE(fp_regs.fpcr, KVM_REG_SIZE_U32), &fpcr);
    if (request == KVM_GET_ONE_REG) {
        arm_set_fpsr(c, fpsr);
        arm_set_fpcr(c, fpcr);
    }
    return ok;
}

static void move_sysregs(KvmVcpu *k, unsigned long request)
{
    const KvmArm *a = kvm_arm(k);
    for (unsigned i = 0; i < a->count; i++) {
        if (!one_reg(k, request, a->ids[i], sysreg_place(arm_cpu(k->v), a->ids[i])) && request == KVM_GET_ONE_REG)
            log_unimp("kvm", "the kernel does not tell register %" G_GINT64_MODIFIER "x", (guint64)a->ids[i]);
    }
}

static bool failed(const KvmVcpu *k, const char *how, Error **errp)
{
    error_set_errno(errp, errno, "kvm: vCPU %u: the kernel %s its registers; use -accel tcg", k->v->index, how);
    return false;
}

static bool put(KvmVcpu *k, Error **errp)
{
    ArmCpu *c = arm_cpu(k->v);
    uint64_t pstate = arm_get_pstate(c), sp0 = c->sp_el[0], sp1 = c->sp_el[1];
    struct kvm_mp_state m = { .mp_state = k->v->powered_off ? KVM_MP_STATE_STOPPED : KVM_MP_STATE_RUNNABLE };
    *(c->sp_sel && c->el ? &sp1 : &sp0) = k->v->g[ARM_SP];
    move_sysregs(k, KVM_SET_ONE_REG);
    bool ok = move_core(k, KVM_SET_ONE_REG) && one_reg(k, KVM_SET_ONE_REG, CORE(regs.sp, KVM_REG_SIZE_U64), &sp0) &&
              one_reg(k, KVM_SET_ONE_REG, CORE(sp_el1, KVM_REG_SIZE_U64), &sp1) &&
              one_reg(k, KVM_SET_ONE_REG, CORE(regs.pstate, KVM_REG_SIZE_U64), &pstate) && !kvm_ioctl(k->fd, KVM_SET_MP_STATE, &m);
    return ok || failed(k, "refuses", errp);
}

static void set_pstate(ArmCpu *c, uint64_t pstate)
{
    c->aarch64 = !(pstate & PSTATE_NRW);
    c->el = (uint8_t)(pstate >> 2 & 3);
    c->sp_sel = pstate & 1;
    c->daif = (uint32_t)(pstate & (ARM_PSTATE_D | ARM_PSTATE_A | ARM_PSTATE_I | ARM_PSTATE_F));
    c->il = pstate >> 20 & 1, c->ss = pstate >> 21 & 1, c->pan = pstate >> 22 & 1, c->uao = pstate >> 23 & 1;
    c->btype = (uint8_t)(pstate >> 10 & 3), c->ssbs = pstate >> 12 & 1, c->dit = pstate >> 24 & 1, c->tco = pstate >> 25 & 1;
    arm_set_nzcv(c, (uint32_t)pstate & 0xf0000000);
}

static bool get(KvmVcpu *k, Error **errp)
{
    ArmCpu *c = arm_cpu(k->v);
    uint64_t pstate = 0;
    struct kvm_mp_state m = { 0 };
    move_sysregs(k, KVM_GET_ONE_REG);
    if (!move_core(k, KVM_GET_ONE_REG) || !one_reg(k, KVM_GET_ONE_REG, CORE(regs.sp, KVM_REG_SIZE_U64), &c->sp_el[0]) ||
        !one_reg(k, KVM_GET_ONE_REG, CORE(sp_el1, KVM_REG_SIZE_U64), &c->sp_el[1]) ||
        !one_reg(k, KVM_GET_ONE_REG, CORE(regs.pstate, KVM_REG_SIZE_U64), &pstate) || kvm_ioctl(k->fd, KVM_GET_MP_STATE, &m) < 0)
        return failed(k, "does not tell", errp);
    if (pstate & PSTATE_NRW) {
        errno = ENOTSUP;
        return failed(k, "runs 32-bit code and does not tell", errp);
    }
    set_pstate(c, pstate);
    k->v->g[ARM_SP] = c->sp_el[c->sp_sel && c->el ? 1 : 0];
    k->v->powered_off = m.mp_state == KVM_MP_STATE_STOPPED;
    tlb_flush_all(k->v);
    arm_update_mode(c);
    return true;
}

/* --- running --- */

/* The board's controller drives the CPU's two inputs. */
static void set_input(KvmVcpu *k, bool *told, CpuLine line, unsigned number)
{
    bool level = vcpu_line(k->v, line);
    struct kvm_irq_level l = { .irq = KVM_ARM_IRQ_TYPE_CPU << KVM_ARM_IRQ_TYPE_SHIFT | k->v->index << KVM_ARM_IRQ_VCPU_SHIFT | number, .level = level };
    if (level != *told && !kvm_ioctl(kvm.vm, KVM_IRQ_LINE, &l))
        *told = level;
}

static bool before_run(KvmVcpu *k)
{
    set_input(k, &kvm_arm(k)->irq, CPU_LINE_INTR, KVM_ARM_IRQ_CPU_IRQ);
    set_input(k, &kvm_arm(k)->fiq, CPU_LINE_NMI, KVM_ARM_IRQ_CPU_FIQ);
    return true; /* WFI and PSCI's CPU_OFF wait in the kernel */
}

/* Without the kernel's controller its timers show their outputs here. */
static void after_run(KvmVcpu *k)
{
    ArmCpu *c = arm_cpu(k->v);
    uint64_t levels = k->run->s.regs.device_irq_level;
    irq_set(&c->timer_out[ARM_TIMER_VIRT], (levels & KVM_ARM_DEV_EL1_VTIMER) != 0);
    irq_set(&c->timer_out[ARM_TIMER_PHYS], (levels & KVM_ARM_DEV_EL1_PTIMER) != 0);
    irq_set(&c->pmu_out, (levels & KVM_ARM_DEV_PMU) != 0);
}

static bool handle_exit(KvmVcpu *k) { return k->run->exit_reason == KVM_EXIT_DEBUG; }

static void describe(KvmVcpu *k, GString *out)
{
    g_string_append_printf(out, "at %" G_GINT64_MODIFIER "x, pstate %" G_GINT64_MODIFIER "x", (guint64)k->v->pc,
                           (guint64)arm_get_pstate(arm_cpu(k->v)));
    for (unsigned i = 0; i < 31; i++)
        g_string_append_printf(out, ", x%u %" G_GINT64_MODIFIER "x", i, (guint64)k->v->g[i]);
}

static bool vm_init(Error **errp)
{
    if (kvm_check(KVM_CAP_ARM_PSCI_0_2) > 0 && kvm_check(KVM_CAP_ARM_USER_IRQ) > 0) {
        kvm_irq_init(false, false); /* only doorbells: the interrupt controller is not there */
        return true;
    }
    error_setf(errp, "kvm: this kernel lacks KVM_CAP_ARM_PSCI_0_2 or KVM_CAP_ARM_USER_IRQ; use a newer one or -accel tcg");
    return false;
}

/* The host's CPU runs what it runs: being there is being fast. */
static bool fast(int kvm_fd, char **why_not) { return true; }

static const KvmArch arm_kvm = {
    .arch = "aarch64", .vm_init = vm_init, .fast = fast, .vcpu_init = vcpu_setup, .vcpu_free = vcpu_gone, .put = put, .get = get,
    .before_run = before_run, .after_run = after_run, .handle_exit = handle_exit, .describe = describe,
};
KVM_ARCH_REGISTER(arm_kvm)
