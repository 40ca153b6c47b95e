/* SPDX-License-Identifier: MIT */
/* The CPU's state into the kernel and out of it. */
#include "target/x86/kvm.h"

#include <errno.h>
#include <string.h>
#include "base/clock.h"
#include "base/log.h"
#include "target/x86/smm.h"

enum { MSR_TSC = 0x10, MSR_SMBASE = 0x9e, MSR_KVM_WALL = 0x4b564d00, MSR_KVM_TIME = 0x4b564d01 };

bool kvm_x86_refused(Error **errp, const KvmVcpu *k, const char *what, bool in)
{
    error_set_errno(errp, errno, "kvm: vCPU %u: the kernel %s its %s; use -accel tcg", k->v->index,
                    in ? "refuses" : "does not tell", what);
    return false;
}

/* --- which MSRs --- */

static void add_msr(KvmX86 *x, uint32_t number)
{
    for (unsigned i = 0; i < x->msrs; i++) {
        if (x->msr[i].number == number)
            return;
    }
    if (x->msrs < KVM_X86_MSRS_MAX)
        x->msr[x->msrs++] = (KvmX86Msr){ .number = number };
}

static uint64_t *msr_place(X86Cpu *c, uint32_t number)
{
    switch (number) {
    case MSR_KVM_WALL: return x86_has_feature(c, X86_FEATURE_KVM_CLOCK) ? &c->kvm_wall : NULL;
    case MSR_KVM_TIME: return x86_has_feature(c, X86_FEATURE_KVM_CLOCK) ? &c->kvm_time : NULL;
    case MSR_SMBASE: return &c->smbase;
    default: break;
    }
    uint64_t *field = x86_hv_msr_field(c, number);
    field = field ? field : x86_ext_msr_field(c, number);
    return field ? field : x86_msr_field(c, number);
}

bool kvm_x86_msr(int fd, unsigned long request, uint32_t number, uint64_t *value)
{
    union {
        struct kvm_msrs head;
        uint8_t room[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)];
    } u = { .head.nmsrs = 1 };
    u.head.entries[0] = (struct kvm_msr_entry){ .index = number, .data = *value };
    bool ok = kvm_ioctl(fd, request, &u) == 1;
    *value = u.head.entries[0].data;
    return ok;
}

/* The kernel's list, and those of ours that it does not list but answers to (MTRRs, machine-check banks). */
bool kvm_x86_state_init(KvmVcpu *k, Error **errp)
{
    static const struct { uint32_t first, count; } unlisted[] = {
        { 0x200, 2 * X86_VAR_MTRRS }, { 0x250, 1 }, { 0x258, 2 }, { 0x268, 8 }, { 0x277, 1 }, { 0x2ff, 1 },
    };
    KvmX86 *x = kvm_x86(k);
    X86Cpu *c = kvm_cpu(k);
    g_autofree struct kvm_msr_list *list = kvm_x86_msr_list(KVM_GET_MSR_INDEX_LIST);
    if (!list)
        return kvm_x86_refused(errp, k, "list of MSRs", false);
    for (unsigned n = 0; x86_ext_msr(c, n); n++) /* in the order that they depend on */
        add_msr(x, x86_ext_msr(c, n));
    for (unsigned i = 0; i < list->nmsrs; i++) {
        if (msr_place(c, list->indices[i]) && !x86_hv_msr_field(c, list->indices[i]))
            add_msr(x, list->indices[i]);
    }
    for (unsigned i = 0; i < ARRAY_LEN(unlisted); i++) {
        for (unsigned n = 0; n < unlisted[i].count; n++) {
            if (msr_place(c, unlisted[i].first + n))
                add_msr(x, unlisted[i].first + n);
        }
    }
    for (unsigned n = 0; x->mce && n < X86_MCE_BANKS * 4; n++)
        add_msr(x, 0x400 + n);
    for (unsigned n = 0; x86_hv_msr(c, n); n++) /* in the order that they depend on */
        add_msr(x, x86_hv_msr(c, n));
    x->xsave = kvm_check(KVM_CAP_XSAVE) > 0;
    x->area_size = kvm_x86_xsave_size();
    x->area = g_malloc0(x->area_size);
    x->xcrs = kvm_check(KVM_CAP_XCRS) > 0 && x86_has_feature(c, X86_FEATURE_XSAVE);
    x->debugregs = kvm_check(KVM_CAP_DEBUGREGS) > 0;
    x->events = kvm_check(KVM_CAP_VCPU_EVENTS) > 0;
    return kvm_x86_nested_init(k, errp);
}

/* A refused MSR is left out from then on: the guest could not have had it either. */
static void refuse(KvmX86Msr *m, const char *how)
{
    m->refused = true;
    log_unimp("kvm", "the kernel does not %s MSR %08x", how, m->number);
}

/* Those of put[], to what is noted in them. */
static void put_list(KvmVcpu *k, KvmX86Msr **put, unsigned count)
{
    g_autofree struct kvm_msrs *all = g_malloc0(sizeof(*all) + count * sizeof(all->entries[0]));
    for (unsigned done = 0; done < count;) { /* the kernel stops at the first that it refuses */
        all->nmsrs = count - done;
        for (unsigned i = done; i < count; i++)
            all->entries[i - done] = (struct kvm_msr_entry){ .index = put[i]->number, .data = put[i]->seen };
        int got = kvm_ioctl(k->fd, KVM_SET_MSRS, all);
        for (int i = 0; i < got; i++)
            put[done++]->known = true;
        if (done < count) {
            put[done]->known = false;
            refuse(put[done++], "take");
        }
    }
}

static void put_msrs(KvmVcpu *k)
{
    KvmX86 *x = kvm_x86(k);
    X86Cpu *c = kvm_cpu(k);
    KvmX86Msr *put[KVM_X86_MSRS_MAX];
    unsigned count = 0;
    for (unsigned i = 0; i < x->msrs; i++) {
        KvmX86Msr *m = &x->msr[i];
        uint64_t value = *msr_place(c, m->number);
        if (m->refused || (m->known && m->seen == value))
            continue;
        m->seen = value;
        put[count++] = m;
    }
    put_list(k, put, count);
    if (!x->tsc_known || x->tsc_offset != c->tsc_offset) {
        uint64_t tsc = x86_tsc(c);
        x->tsc_known = kvm_x86_msr(k->fd, KVM_SET_MSRS, MSR_TSC, &tsc);
        x->tsc_offset = c->tsc_offset;
    }
}

static void get_msrs(KvmVcpu *k)
{
    KvmX86 *x = kvm_x86(k);
    X86Cpu *c = kvm_cpu(k);
    g_autofree struct kvm_msrs *all = g_malloc0(sizeof(*all) + KVM_X86_MSRS_MAX * sizeof(all->entries[0]));
    for (unsigned done = 0; done < x->msrs;) { /* the kernel stops at the first that it refuses */
        unsigned n = 0;
        for (unsigned i = done; i < x->msrs; i++)
            all->entries[n++] = (struct kvm_msr_entry){ .index = x->msr[i].number };
        all->nmsrs = n;
        int got = kvm_ioctl(k->fd, KVM_GET_MSRS, all);
        for (int i = 0; i < got; i++) {
            KvmX86Msr *m = &x->msr[done + (unsigned)i];
            m->seen = *msr_place(c, m->number) = all->entries[i].data;
            m->known = true;
        }
        done += got > 0 ? (unsigned)got : 0;
        if (done < x->msrs && got < (int)n)
            refuse(&x->msr[done++], "tell");
    }
    uint64_t tsc = 0;
    if (kvm_x86_msr(k->fd, KVM_GET_MSRS, MSR_TSC, &tsc)) {
        c->tsc_offset = (int64_t)(tsc - (x86_tsc(c) - (uint64_t)c->tsc_offset));
        x->tsc_offset = c->tsc_offset;
        x->tsc_known = true;
    }
}

/* --- segments and control registers --- */

static struct kvm_segment seg_out(const X86Seg *s)
{
    uint32_t a = s->attr;
    return (struct kvm_segment){ .base = s->base,
                                 .limit = s->limit,
                                 .selector = s->sel,
                                 .type = seg_type(a),
                                 .present = !!(a & SEG_P),
                                 .dpl = seg_dpl(a),
                                 .db = !!(a & SEG_D),
                                 .s = !!(a & SEG_S),
                                 .l = !!(a & SEG_L),
                                 .g = !!(a & SEG_G),
                                 .avl = !!(a & SEG_AVL),
                                 .unusable = !(a & SEG_P) };
}

static X86Seg seg_in(const struct kvm_segment *s)
{
    X86Seg out = { .base = s->base, .limit = s->limit, .sel = s->selector };
    if (!s->unusable)
        out.attr = (uint32_t)s->type << 8 | (s->s ? SEG_S : 0) | (uint32_t)s->dpl << SEG_DPL_SHIFT |
                   (s->present ? SEG_P : 0) | (s->avl ? SEG_AVL : 0) | (s->l ? SEG_L : 0) | (s->db ? SEG_D : 0) |
                   (s->g ? SEG_G : 0);
    return out;
}

#define SEGMENTS(X) \
    X(SEG_ES, es) X(SEG_CS, cs) X(SEG_SS, ss) X(SEG_DS, ds) X(SEG_FS, fs) X(SEG_GS, gs) X(SEG_LDTR, ldt) X(SEG_TR, tr)

static bool put_sregs(KvmVcpu *k, Error **errp)
{
    X86Cpu *c = kvm_cpu(k);
    const CpuPort *p = &k->v->port;
    struct kvm_sregs s;
    if (kvm_ioctl(k->fd, KVM_GET_SREGS, &s) < 0)
        return kvm_x86_refused(errp, k, "control registers", false);
#define X(seg_, name) s.name = seg_out(&c->seg[seg_]);
    SEGMENTS(X)
#undef X
    s.gdt = (struct kvm_dtable){ .base = c->gdt.base, .limit = c->gdt.limit };
    s.idt = (struct kvm_dtable){ .base = c->idt.base, .limit = c->idt.limit };
    s.cr0 = c->cr0, s.cr2 = c->cr2, s.cr3 = c->cr3, s.cr4 = c->cr4, s.efer = c->efer;
    if (kvm.irqchip == KVM_IRQCHIP_OFF) { /* else they are the local APIC's, which has them already */
        s.cr8 = p->intc_ops && p->intc_ops->get_tpr ? p->intc_ops->get_tpr(p->intc) >> 4 : 0;
        if (p->intc_ops && p->intc_ops->get_base)
            s.apic_base = p->intc_ops->get_base(p->intc);
    }
    memset(s.interrupt_bitmap, 0, sizeof(s.interrupt_bitmap));
    return kvm_ioctl(k->fd, KVM_SET_SREGS, &s) < 0 ? kvm_x86_refused(errp, k, "control registers", true) : true;
}

void kvm_x86_take_sregs(X86Cpu *c, const struct kvm_sregs *s)
{
#define X(seg_, name) c->seg[seg_] = seg_in(&s->name);
    SEGMENTS(X)
#undef X
    c->gdt = (X86Table){ .base = s->gdt.base, .limit = s->gdt.limit };
    c->idt = (X86Table){ .base = s->idt.base, .limit = s->idt.limit };
    c->cr0 = s->cr0, c->cr2 = s->cr2, c->cr3 = s->cr3, c->cr4 = s->cr4, c->efer = s->efer;
}

static bool get_sregs(KvmVcpu *k, Error **errp)
{
    struct kvm_sregs s;
    if (kvm_ioctl(k->fd, KVM_GET_SREGS, &s) < 0)
        return kvm_x86_refused(errp, k, "control registers", false);
    kvm_x86_take_sregs(kvm_cpu(k), &s);
    return true;
}

/* --- general registers --- */

void kvm_x86_give_regs(const X86Cpu *c, struct kvm_regs *r)
{
    const uint64_t *g = c->v.g;
    *r = (struct kvm_regs){ .rax = g[RAX],
                            .rbx = g[RBX],
                            .rcx = g[RCX],
                            .rdx = g[RDX],
                            .rsi = g[RSI],
                            .rdi = g[RDI],
                            .rsp = g[RSP],
                            .rbp = g[RBP],
                            .r8 = g[R8],
                            .r9 = g[R9],
                            .r10 = g[R10],
                            .r11 = g[R11],
                            .r12 = g[R12],
                            .r13 = g[R13],
                            .r14 = g[R14],
                            .r15 = g[R15],
                            .rip = c->v.pc,
                            .rflags = x86_get_eflags(c) };
}

static bool put_regs(KvmVcpu *k, Error **errp)
{
    struct kvm_regs r;
    kvm_x86_give_regs(kvm_cpu(k), &r);
    return kvm_ioctl(k->fd, KVM_SET_REGS, &r) < 0 ? kvm_x86_refused(errp, k, "registers", true) : true;
}

/* After the control registers: the CPL and the meaning of flags depend on them. */
void kvm_x86_take_regs(X86Cpu *c, const struct kvm_regs *r)
{
    uint64_t *g = c->v.g;
    g[RAX] = r->rax, g[RBX] = r->rbx, g[RCX] = r->rcx, g[RDX] = r->rdx, g[RSI] = r->rsi, g[RDI] = r->rdi,
    g[RSP] = r->rsp, g[RBP] = r->rbp;
    g[R8] = r->r8, g[R9] = r->r9, g[R10] = r->r10, g[R11] = r->r11, g[R12] = r->r12, g[R13] = r->r13, g[R14] = r->r14,
    g[R15] = r->r15;
    c->v.pc = r->rip;
    c->cpl = x86_real_mode(c) ? 0 : r->rflags & EFL_VM ? 3 : (uint8_t)seg_dpl(c->seg[SEG_SS].attr);
    x86_set_eflags(c, (uint32_t)r->rflags);
}

static bool get_regs(KvmVcpu *k, Error **errp)
{
    struct kvm_regs r;
    if (kvm_ioctl(k->fd, KVM_GET_REGS, &r) < 0)
        return kvm_x86_refused(errp, k, "registers", false);
    kvm_x86_take_regs(kvm_cpu(k), &r);
    return true;
}

/* --- extended control and debug registers --- */

static void put_extra(KvmVcpu *k)
{
    const KvmX86 *x = kvm_x86(k);
    const X86Cpu *c = kvm_cpu(k);
    if (x->xcrs) {
        struct kvm_xcrs r = { .nr_xcrs = 1, .xcrs[0] = { .xcr = 0, .value = c->xcr0 } };
        if (kvm_ioctl(k->fd, KVM_SET_XCRS, &r) < 0)
            log_unimp("kvm", "the kernel does not take XCR0 %" PRIx64, c->xcr0);
    }
    if (x->debugregs) {
        struct kvm_debugregs d = { .db = { c->dr[0], c->dr[1], c->dr[2], c->dr[3] }, .dr6 = c->dr[6], .dr7 = c->dr[7] };
        if (kvm_ioctl(k->fd, KVM_SET_DEBUGREGS, &d) < 0)
            log_unimp("kvm", "the kernel does not take the debug registers");
    }
}

static void get_extra(KvmVcpu *k)
{
    const KvmX86 *x = kvm_x86(k);
    X86Cpu *c = kvm_cpu(k);
    struct kvm_xcrs r = { 0 };
    struct kvm_debugregs d;
    if (x->xcrs && !kvm_ioctl(k->fd, KVM_GET_XCRS, &r)) {
        for (unsigned i = 0; i < r.nr_xcrs && i < ARRAY_LEN(r.xcrs); i++)
            c->xcr0 = r.xcrs[i].xcr ? c->xcr0 : r.xcrs[i].value;
    }
    if (x->debugregs && !kvm_ioctl(k->fd, KVM_GET_DEBUGREGS, &d)) {
        for (unsigned i = 0; i < 4; i++)
            c->dr[i] = d.db[i];
        c->dr[6] = d.dr6, c->dr[7] = d.dr7;
    }
}

/* --- events --- */

/*
 * System management mode, an SMI that waits, and an INIT that waits for its end. Only what has changed: an SMI or INIT
 * that the kernel has got in the meantime stays. SMIs and INITs that wait here move to the kernel, if it has the local
 * APIC.
 */
static void put_smm(KvmVcpu *k, struct kvm_vcpu_events *e)
{
    KvmX86 *x = kvm_x86(k);
    const X86Cpu *c = kvm_cpu(k);
    bool changed = x->smm.active != c->smm || x->smm.inside_nmi != c->smm_nmi_blocked || x->smm.pending || x->smm.init;
    if (!kvm.smm)
        return;
    e->smi.smm = c->smm;
    e->smi.smm_inside_nmi = c->smm && c->smm_nmi_blocked;
    e->smi.pending = vcpu_take_event(k->v, CPU_LINE_SMI);
    e->smi.latched_init = kvm.irqchip != KVM_IRQCHIP_OFF && vcpu_take_event(k->v, CPU_LINE_INIT);
    if (changed || e->smi.pending || e->smi.latched_init)
        e->flags |= KVM_VCPUEVENT_VALID_SMM;
}

static void get_smm(KvmVcpu *k, const struct kvm_vcpu_events *e)
{
    KvmX86 *x = kvm_x86(k);
    X86Cpu *c = kvm_cpu(k);
    if (!kvm.smm || !(e->flags & KVM_VCPUEVENT_VALID_SMM))
        return;
    x86_set_smm(c, e->smi.smm);
    c->smm_nmi_blocked = e->smi.smm_inside_nmi;
    x->smm.active = e->smi.smm, x->smm.inside_nmi = e->smi.smm_inside_nmi;
    x->smm.pending = e->smi.pending, x->smm.init = e->smi.latched_init;
    if (e->smi.pending)
        vcpu_set_line(k->v, CPU_LINE_SMI, true);
    if (e->smi.latched_init)
        vcpu_set_line(k->v, CPU_LINE_INIT, true);
}

/*
 * An NMI that waits is injected behind the state. One that another vCPU has sent since this one stood is the kernel's,
 * and stays.
 */
static bool put_events(KvmVcpu *k, Error **errp)
{
    KvmX86 *x = kvm_x86(k);
    X86Cpu *c = kvm_cpu(k);
    struct kvm_vcpu_events e = { .flags = KVM_VCPUEVENT_VALID_SHADOW |
                                          (x->nmi_pending ? KVM_VCPUEVENT_VALID_NMI_PENDING : 0) };
    if (!x->events)
        return true;
    x->nmi_pending = false;
    switch (c->event.kind) {
    case X86_EVENT_FAULT: case X86_EVENT_TRAP:
        e.exception.injected = 1, e.exception.nr = c->event.vector;
        e.exception.has_error_code = c->event.has_error, e.exception.error_code = c->event.error;
        break;
    case X86_EVENT_INTR: /* or the kernel has it still */
        e.interrupt.injected = c->event.vector != x->accepted;
        e.interrupt.nr = e.interrupt.injected ? c->event.vector : 0;
        break;
    case X86_EVENT_NMI: e.nmi.injected = 1; break;
    default: break;
    }
    c->event.kind = X86_EVENT_NONE;
    e.interrupt.shadow = c->shadow ? KVM_X86_SHADOW_INT_STI : 0;
    e.nmi.masked = c->nmi_blocked;
    put_smm(k, &e);
    return kvm_ioctl(k->fd, KVM_SET_VCPU_EVENTS, &e) < 0 ? kvm_x86_refused(errp, k, "pending events", true) : true;
}

/*
 * An event that the kernel was about to deliver is recorded; an INT instruction is not: it is still there to be run
 * again.
 */
static bool get_events(KvmVcpu *k, Error **errp)
{
    KvmX86 *x = kvm_x86(k);
    X86Cpu *c = kvm_cpu(k);
    struct kvm_vcpu_events e = { 0 };
    if (!x->events)
        return true;
    if (kvm_ioctl(k->fd, KVM_GET_VCPU_EVENTS, &e) < 0)
        return kvm_x86_refused(errp, k, "pending events", false);
    c->event = (X86Event){ .kind = X86_EVENT_NONE };
    if (e.exception.injected)
        c->event = (X86Event){ .kind = X86_EVENT_FAULT,
                               .vector = e.exception.nr,
                               .has_error = e.exception.has_error_code,
                               .error = e.exception.error_code,
                               .cr2 = c->cr2 };
    else if (e.nmi.injected)
        c->event = (X86Event){ .kind = X86_EVENT_NMI, .vector = X86_NMI };
    else if (e.interrupt.injected && !e.interrupt.soft)
        c->event = (X86Event){ .kind = X86_EVENT_INTR, .vector = e.interrupt.nr };
    else if (x->accepted >= 0) { /* has ended HLT */
        c->event = (X86Event){ .kind = X86_EVENT_INTR, .vector = (uint8_t)x->accepted };
        k->v->halted = false;
    }
    if (e.interrupt.injected)
        x->accepted = -1;
    x->nmi_pending = e.nmi.pending;
    if (e.nmi.pending)
        vcpu_set_line(k->v, CPU_LINE_NMI, true);
    c->shadow = e.interrupt.shadow != 0;
    c->nmi_blocked = e.nmi.masked;
    get_smm(k, &e);
    return true;
}

/* --- what a vCPU with a local APIC in the kernel waits for: HLT, INIT and SIPI are carried out there --- */

static bool put_waiting(KvmVcpu *k, Error **errp)
{
    struct kvm_mp_state m = { .mp_state = k->v->powered_off ? KVM_MP_STATE_INIT_RECEIVED
                                          : k->v->halted    ? KVM_MP_STATE_HALTED
                                                            : KVM_MP_STATE_RUNNABLE };
    if (kvm.irqchip == KVM_IRQCHIP_OFF || !kvm_ioctl(k->fd, KVM_SET_MP_STATE, &m))
        return true;
    return kvm_x86_refused(errp, k, "waiting state", true);
}

static bool get_waiting(KvmVcpu *k, Error **errp)
{
    const CpuPort *p = &k->v->port;
    struct kvm_mp_state m;
    if (kvm.irqchip == KVM_IRQCHIP_OFF)
        return true;
    if (kvm_ioctl(k->fd, KVM_GET_MP_STATE, &m) < 0)
        return kvm_x86_refused(errp, k, "waiting state", false);
    k->v->powered_off = m.mp_state == KVM_MP_STATE_UNINITIALIZED || m.mp_state == KVM_MP_STATE_INIT_RECEIVED;
    k->v->halted = k->v->powered_off || m.mp_state == KVM_MP_STATE_HALTED;
    if (p->intc_ops && p->intc_ops->fetch)
        p->intc_ops->fetch(p->intc);
    return true;
}

/* --- all of it --- */

/* CPUID's dynamic bits first (control registers), MSRs after EFER, events last. */
bool kvm_x86_put(KvmVcpu *k, Error **errp)
{
    if (!put_sregs(k, errp) || !put_regs(k, errp))
        return false;
    put_extra(k);
    if (!kvm_x86_put_fpu(k, errp))
        return false;
    put_msrs(k);
    kvm_x86_put_deadline(k);
    return kvm_x86_put_cet(k, errp) && put_events(k, errp) && put_waiting(k, errp) && kvm_x86_put_nested(k, errp);
}

/* The waiting state first: asked for it the kernel carries out INIT and SIPI, which change the rest. */
bool kvm_x86_get(KvmVcpu *k, Error **errp)
{
    X86Cpu *c = kvm_cpu(k);
    if (!get_waiting(k, errp) || !get_sregs(k, errp) || !get_regs(k, errp) || !kvm_x86_get_fpu(k, errp))
        return false;
    get_extra(k);
    get_msrs(k);
    if (!kvm_x86_get_cet(k, errp) || !get_events(k, errp) || !kvm_x86_get_nested(k, errp))
        return false;
    tlb_flush_all(k->v);
    x86_reload_pdptes(c); /* the kernel does not tell what it holds */
    tlb_set_asid(k->v, c->cr4 & CR4_PCIDE ? c->cr3 & 0xfff : 0);
    x86_update_mode(c);
    return true;
}
