/* SPDX-License-Identifier: MIT */
/* x86 under KVM: set-up, interrupts of a local APIC outside the kernel, exits. */
#include "target/x86/kvm.h"

#include <errno.h>
#include "base/clock.h"
#include "base/log.h"
#include "hw/core/irqchip-host.h"
#include "target/x86/smm.h"

/* Three pages for the CPU's own TSS and one for its identity map, where no board has RAM (kernel: KVM_SET_TSS_ADDR). */
#define IDENTITY_MAP 0xfeffc000u
#define KERNEL_TSS 0xfeffd000u
enum { HV_INVALID_HYPERCALL = 2 };
enum { MCG_CTL_P = 0x100 };

static bool vm_init(Error **errp)
{
    uint64_t identity = IDENTITY_MAP;
    if (kvm_check(KVM_CAP_SET_IDENTITY_MAP_ADDR) > 0)
        kvm_ioctl(kvm.vm, KVM_SET_IDENTITY_MAP_ADDR, &identity);
    if (kvm_check(KVM_CAP_SET_TSS_ADDR) > 0 && kvm_ioctl(kvm.vm, KVM_SET_TSS_ADDR, (void *)(uintptr_t)KERNEL_TSS) < 0) {
        error_set_errno(errp, errno, "kvm: placing the task segment that the CPU needs; use -accel tcg");
        return false;
    }
    kvm_x86_ask_for_tiles();
    return kvm_x86_read_host(errp);
}

/* --- -accel kvm,... --- */

static bool notify_ends; /* notify-vmexit=internal-error */

static bool set_shadow_mem(uint64_t bytes, Error **errp)
{
    enum { SHADOW_PAGE = 4096 };
    uint64_t pages = bytes / SHADOW_PAGE;
    if (!bytes || kvm_ioctl(kvm.vm, KVM_SET_NR_MMU_PAGES, (void *)(uintptr_t)pages) >= 0)
        return true;
    error_set_errno(errp, errno, "kvm: kvm-shadow-mem: the kernel refuses %" PRIu64 " pages of 4 KiB; leave it out",
                    pages);
    return false;
}

/* By itself only where the kernel has it. */
static bool set_notify(const KvmTuning *t, Error **errp)
{
    struct kvm_enable_cap cap = { .cap = KVM_CAP_X86_NOTIFY_VMEXIT,
                                  .args = { (uint64_t)t->notify_window << 32 | KVM_X86_NOTIFY_VMEXIT_ENABLED |
                                            KVM_X86_NOTIFY_VMEXIT_USER } };
    notify_ends = t->notify == KVM_NOTIFY_ERROR;
    if (t->notify == KVM_NOTIFY_OFF)
        return true;
    if (kvm_check(KVM_CAP_X86_NOTIFY_VMEXIT) > 0 && kvm_ioctl(kvm.vm, KVM_ENABLE_CAP, &cap) >= 0)
        return true;
    bool meant = t->notify != KVM_NOTIFY_AUTO || t->notify_window;
    if (meant)
        error_setf(errp,
                   "kvm: notify-vmexit: this host's kernel or CPU has no such exit; leave it and notify-window out");
    return !meant;
}

static bool tune(const KvmTuning *t, Error **errp)
{
    return set_shadow_mem(t->shadow_mem, errp) && set_notify(t, errp);
}

/* The guest has let no event in for longer than the window. */
static void notified(KvmVcpu *k)
{
    bool broken = k->run->notify.flags & KVM_NOTIFY_CONTEXT_INVALID;
    if (broken || notify_ends)
        kvm_fail(k, broken ? "-accel tcg runs the guest" : "notify-vmexit=run lets it go on",
                 "the guest lets no event in%s", broken ? ", and the CPU has lost its state" : "");
    else if (k->exits[KVM_EXIT_NOTIFY] == 1)
        warn_reportf("kvm: vCPU %u: the guest has let no event in for longer than notify-window", k->v->index);
}

/*
 * The guest's TSC runs at the host's rate unless the user wants another and the CPU can scale. A kernel that has
 * refused a rate tells it all the same from then on: it is given the host's again.
 */
static void choose_tsc(KvmVcpu *k, X86Cpu *c)
{
    int khz = kvm_ioctl(k->fd, KVM_GET_TSC_KHZ, NULL);
    if (c->tsc_asked) {
        if (!kvm_ioctl(k->fd, KVM_SET_TSC_KHZ, (void *)(uintptr_t)(c->tsc_hz / 1000)))
            return;
        if (!k->v->index)
            warn_reportf("kvm: this CPU cannot scale the TSC to %" PRIu64 " kHz; it runs at the host's rate",
                         c->tsc_hz / 1000);
        if (khz > 0)
            kvm_ioctl(k->fd, KVM_SET_TSC_KHZ, (void *)(uintptr_t)khz);
    }
    if (khz > 0)
        c->tsc_hz = (uint64_t)khz * 1000;
}

static void setup_mce(KvmVcpu *k)
{
    uint64_t cap = 0;
    if (!x86_has_feature(kvm_cpu(k), X86_FEATURE_MCA) || kvm_ioctl(kvm.fd, KVM_X86_GET_MCE_CAP_SUPPORTED, &cap) < 0)
        return;
    cap = (cap & MCG_CTL_P) | MIN((unsigned)kvm_check(KVM_CAP_MCE), (unsigned)X86_MCE_BANKS);
    kvm_x86(k)->mce = !kvm_ioctl(k->fd, KVM_X86_SETUP_MCE, &cap);
}

/* The guest cannot use what CPUID does not show: it would be missed on the next host. */
static void only_offered(KvmVcpu *k)
{
    struct kvm_enable_cap cap = { .cap = KVM_CAP_ENFORCE_PV_FEATURE_CPUID, .args = { 1 } };
    if (kvm_check(KVM_CAP_ENFORCE_PV_FEATURE_CPUID) > 0 && kvm_ioctl(k->fd, KVM_ENABLE_CAP, &cap) < 0)
        log_unimp("kvm", "the kernel does not hold the guest to the features that it is shown: %s", g_strerror(errno));
}

/*
 * A vCPU that had been unplugged: the kernel takes the INIT and SIPI that have come to it since when it is asked for
 * the waiting state. Ours follows.
 */
static void forget_events(KvmVcpu *k)
{
    struct kvm_mp_state m;
    if (k->reused && kvm.irqchip != KVM_IRQCHIP_OFF && kvm_ioctl(k->fd, KVM_GET_MP_STATE, &m) < 0)
        log_unimp("kvm", "vCPU %u: the kernel does not tell its waiting state: %s", k->v->index, g_strerror(errno));
}

static bool vcpu_setup(KvmVcpu *k, Error **errp)
{
    forget_events(k);
    k->arch_data = g_new0(KvmX86, 1);
    kvm_x86(k)->accepted = -1;
    kvm_x86(k)->smm.pending = kvm_x86(k)->nmi_pending = k->reused; /* who knows: all of it is put anew */
    choose_tsc(k, kvm_cpu(k));
    only_offered(k);
    setup_mce(k);
    return kvm_x86_hv_init(k, errp) && (k->reused || kvm_x86_set_cpuid(k, errp)) && kvm_x86_state_init(k, errp);
}

static void vcpu_free(KvmVcpu *k)
{
    KvmX86 *x = kvm_x86(k);
    if (!x)
        return;
    kvm_x86_nested_free(x);
    g_free(x->area);
    g_clear_pointer(&k->arch_data, g_free);
}

static bool before_vcpu(const Vcpu *v, Error **errp) { return kvm_x86_ext_before_vcpu(x86_cpu_const(v), errp); }

/*
 * The paravirtual clock is our virtual clock (kvmclock.c), which stands while the machine does and comes with a saved
 * one.
 */
static void set_clock(KvmVcpu *k)
{
    struct kvm_clock_data d = { .clock = (uint64_t)clock_ns(CLOCK_VIRTUAL_NS) };
    if (!k->v->index && x86_has_feature(kvm_cpu(k), X86_FEATURE_KVM_CLOCK) && kvm_check(KVM_CAP_ADJUST_CLOCK) > 0 &&
        kvm_ioctl(kvm.vm, KVM_SET_CLOCK, &d) < 0)
        log_unimp("kvm", "the kernel does not take the paravirtual clock: %s", g_strerror(errno));
}

/* `run` tells whether an interrupt can be injected as if the guest had just come out with this state. */
static bool put(KvmVcpu *k, Error **errp)
{
    const X86Cpu *c = kvm_cpu(k);
    k->run->if_flag = c->iflag;
    k->run->ready_for_interrupt_injection = c->iflag && !c->shadow && c->event.kind == X86_EVENT_NONE &&
                                            !kvm_x86_runs_nested(c);
    set_clock(k);
    return kvm_x86_put(k, errp);
}

/* IPIs between local APICs in the kernel. */
static bool get_late(KvmVcpu *k, Error **errp) { return kvm.irqchip == KVM_IRQCHIP_OFF || kvm_x86_get(k, errp); }

/* --- events on the way in --- */

/*
 * INIT and SIPI change the whole state: it is ours for the moment. With local APICs in the kernel only those come here
 * that had not been taken when the machine was saved; the kernel would not hear of them.
 */
static void start_up(KvmVcpu *k)
{
    X86Cpu *c = kvm_cpu(k);
    if (vcpu_line(k->v, CPU_LINE_INIT)) {
        kvm_fetch_state(k);
        vcpu_take_event(k->v, CPU_LINE_INIT);
        x86_take_init(c);
    }
    if (!vcpu_take_event(k->v, CPU_LINE_SIPI) || !k->v->powered_off)
        return;
    kvm_fetch_state(k);
    x86_take_sipi(c);
}

/*
 * NMI and SMI: into the kernel's state, which must be there; events in ours would be lost behind them, and they behind
 * it.
 */
static bool inject_event(KvmVcpu *k, CpuLine line, unsigned long request, const char *name)
{
    if (!vcpu_line(k->v, line))
        return true;
    if (!kvm_load_state(k))
        return false;
    if (!vcpu_take_event(k->v, line)) /* it was a part of the state */
        return true;
    k->v->halted = false;
    if (kvm_ioctl(k->fd, request, NULL) < 0)
        log_unimp("kvm", "this kernel injects no %s", name);
    return true;
}

/*
 * An interrupt goes in, behind the state, when the last KVM_RUN or that state said so; else we ask to come back as soon
 * as one can.
 */
static bool inject_interrupt(KvmVcpu *k)
{
    CpuPort *p = &k->v->port;
    struct kvm_run *r = k->run;
    if (kvm.irqchip == KVM_IRQCHIP_ON)
        return true;
    if (vcpu_line(k->v, CPU_LINE_INTR) && !kvm_load_state(k))
        return false;
    if (vcpu_line(k->v, CPU_LINE_INTR) && r->ready_for_interrupt_injection && r->if_flag && p->intc_ops) {
        int vector = p->intc_ops->acknowledge(p->intc);
        struct kvm_interrupt irq = { .irq = (uint32_t)vector };
        if (vector >= 0 && kvm_ioctl(k->fd, KVM_INTERRUPT, &irq) < 0)
            log_guest_error("kvm", "interrupt %d is lost: %s", vector, g_strerror(errno));
        else if (kvm.irqchip == KVM_IRQCHIP_SPLIT)
            kvm_x86(k)->accepted = vector;
        r->ready_for_interrupt_injection = 0;
    }
    r->request_interrupt_window = vcpu_line(k->v, CPU_LINE_INTR);
    r->cr8 = p->intc_ops && p->intc_ops->get_tpr ? p->intc_ops->get_tpr(p->intc) >> 4 : 0;
    return true;
}

static bool before_run(KvmVcpu *k)
{
    X86Cpu *c = kvm_cpu(k);
    bool ours = kvm.irqchip == KVM_IRQCHIP_OFF;
    if ((ours || !k->loaded) && !c->smm && (vcpu_line(k->v, CPU_LINE_INIT) || vcpu_line(k->v, CPU_LINE_SIPI)))
        start_up(k);
    if ((ours && k->v->powered_off) || c->triple_faulted)
        return false;
    if (vcpu_take_event(k->v, CPU_LINE_MCE))
        log_unimp("kvm", "machine check from outside");
    if (!inject_event(k, CPU_LINE_SMI, KVM_SMI, "SMI") || !inject_event(k, CPU_LINE_NMI, KVM_NMI, "NMI"))
        return false;
    if (ours && k->v->halted && !x86_has_work(k->v))
        return false;
    k->v->halted = k->v->halted && !ours;
    return inject_interrupt(k);
}

/* --- and out --- */

static void after_run(KvmVcpu *k, bool entered)
{
    X86Cpu *c = kvm_cpu(k);
    const CpuPort *p = &k->v->port;
    c->iflag = k->run->if_flag;
    if (entered || k->run->ready_for_interrupt_injection || !k->run->if_flag) /* else it waits still */
        kvm_x86(k)->accepted = -1;
    if (c->smm != !!(k->run->flags & KVM_RUN_X86_SMM)) /* accesses that exit are of this mode */
        x86_set_smm(c, !c->smm);
    if (!p->intc_ops || kvm.irqchip != KVM_IRQCHIP_OFF)
        return;
    if (p->intc_ops->get_tpr && p->intc_ops->get_tpr(p->intc) >> 4 != k->run->cr8)
        p->intc_ops->set_tpr(p->intc, (uint8_t)(k->run->cr8 << 4));
    if (p->intc_ops->get_base && p->intc_ops->get_base(p->intc) != k->run->apic_base)
        p->intc_ops->set_base(p->intc, k->run->apic_base);
}

static bool handle_exit(KvmVcpu *k)
{
    switch (k->run->exit_reason) {
    case KVM_EXIT_HLT:
        k->v->halted = true;
        return true;
    case KVM_EXIT_DEBUG:
        kvm_x86_debug_exit(k);
        return true;
    case KVM_EXIT_TPR_ACCESS: /* only reported */
    case KVM_EXIT_X86_BUS_LOCK:
        return true;
    case KVM_EXIT_NOTIFY:
        notified(k);
        return true;
    case KVM_EXIT_X86_RDMSR: /* #GP, as without the exit */
    case KVM_EXIT_X86_WRMSR:
        k->run->msr.error = 1;
        return true;
    case KVM_EXIT_HYPERV:
        if (k->run->hyperv.type == KVM_EXIT_HYPERV_HCALL)
            k->run->hyperv.u.hcall.result = HV_INVALID_HYPERCALL;
        return true;
    case KVM_EXIT_SHUTDOWN:
        x86_shutdown(kvm_cpu(k));
        return true;
    case KVM_EXIT_IOAPIC_EOI:
        irqchip_eoi(k->run->eoi.vector);
        return true;
    case KVM_EXIT_SET_TPR: /* CR8 is looked at after every run */
        return true;
    default: return false;
    }
}

/* --- where it stands --- */

static void describe(KvmVcpu *k, GString *out)
{
    X86Cpu *c = kvm_cpu(k);
    uint64_t at = x86_is_64(c) ? k->v->pc : (uint32_t)(c->seg[SEG_CS].base + k->v->pc);
    uint8_t code[15];
    g_string_append_printf(out,
                           "at %04x:%" PRIx64 " (linear %" PRIx64 "), flags %x, cr0 %" PRIx64 " cr2 %" PRIx64
                           " cr3 %" PRIx64 " cr4 %" PRIx64 " efer %" PRIx64,
                           c->seg[SEG_CS].sel, k->v->pc, at, x86_get_eflags(c), c->cr0, c->cr2, c->cr3, c->cr4,
                           c->efer);
    static const char *const names[16] = { "ax", "cx", "dx", "bx", "sp", "bp", "si", "di",
                                           "8",  "9",  "10", "11", "12", "13", "14", "15" };
    for (unsigned i = 0; i < (x86_lma(c) ? 16 : 8); i++)
        g_string_append_printf(out, ", r%s %" PRIx64, names[i], k->v->g[i]);
    g_string_append(out, ", code");
    if (!guest_debug_read(k->v, at, code, sizeof(code))) {
        g_string_append(out, " not mapped");
        return;
    }
    for (unsigned i = 0; i < sizeof(code); i++)
        g_string_append_printf(out, " %02x", code[i]);
}

const KvmArch kvm_x86_arch = {
    .arch = "x86_64",
    .make_irqchip = kvm_x86_make_irqchip,
    .vm_init = vm_init,
    .tune = tune,
    .fast = kvm_x86_fast,
    .before_vcpu = before_vcpu,
    .vcpu_init = vcpu_setup,
    .vcpu_free = vcpu_free,
    .put = put,
    .get = kvm_x86_get,
    .get_late = get_late,
    .before_run = before_run,
    .after_run = after_run,
    .handle_exit = handle_exit,
    .describe = describe,
    .follow = kvm_x86_follow,
    .may_follow = kvm_x86_may_follow,
    .kernel_has = kvm_x86_kernel_has,
    .set_debug = kvm_x86_set_debug,
    .break_insn = { 0xcc },
    .break_len = 1,
    .hard_points = 4,
};
KVM_ARCH_REGISTER(kvm_x86_arch)
