/* SPDX-License-Identifier: MIT */
/*
 * Going on behind an access without the kernel (accel/kvm/follow.c): the registers come and go in the page that a vCPU
 * shares with it.
 */
#include "target/x86/kvm.h"

#include "accel/tcg/softmmu.h"
#include "target/x86/tcg/decode.h"
#include "target/x86/tcg/translate.h"

enum { SYNC_ALL = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS | KVM_SYNC_X86_EVENTS };
enum { RUN_SMM = 1 << 0, RUN_GUEST_MODE = 1 << 2 /* kvm_run.flags; older headers lack the second */ };
enum { PV_TLB_FLUSH = 9 /* bit of CPUID 40000001h EAX */, MSR_KVM_STEAL_TIME = 0x4b564d03 };
/* The bits of CR4 that our page walks know. */
#define CR4_KNOWN \
    (CR4_VME | CR4_PVI | CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_MCE | CR4_PGE | CR4_PCE | CR4_OSFXSR | \
     CR4_OSXMMEXCPT | CR4_UMIP | CR4_LA57 | CR4_FSGSBASE | CR4_PCIDE | CR4_OSXSAVE | CR4_SMEP | CR4_SMAP)

/* --- which instructions --- */

/* They touch general registers, arithmetic flags, memory and ports, no more than one device access each. */
static const struct { uint16_t first, last; uint8_t regs; /* ModRM.reg, a bit each; 0: any */
} followed[] = {
    { 0x00, 0x05, 0 },     { 0x08, 0x0d, 0 },        { 0x10, 0x15, 0 },     { 0x18, 0x1d, 0 },
    { 0x20, 0x25, 0 },     { 0x28, 0x2d, 0 },        { 0x30, 0x35, 0 },     { 0x38, 0x3d, 0 },
    { 0x40, 0x5f, 0 },     { 0x63, 0x63, 0 },        { 0x68, 0x6b, 0 },     { 0x70, 0x87, 0 },
    { 0x88, 0x8b, 0 },     { 0x8d, 0x8d, 0 },        { 0x90, 0x99, 0 },     { 0x9e, 0x9f, 0 },
    { 0xa0, 0xa3, 0 },     { 0xa8, 0xa9, 0 },        { 0xb0, 0xc1, 0 },     { 0xc2, 0xc3, 0 },
    { 0xc6, 0xc7, 0 },     { 0xc9, 0xc9, 0 },        { 0xd0, 0xd3, 0 },     { 0xe0, 0xe9, 0 },
    { 0xeb, 0xef, 0 },     { 0xf5, 0xf5, 0 },        { 0xf6, 0xf7, 0x3f },  { 0xf8, 0xf9, 0 },
    { 0xfc, 0xfd, 0 },     { 0xfe, 0xfe, 0 },        { 0xff, 0xff, 0x57 },  { 0x0f0d, 0x0f0d, 0 },
    { 0x0f18, 0x0f1f, 0 }, { 0x0f40, 0x0f4f, 0 },    { 0x0f80, 0x0f9f, 0 }, { 0x0fa3, 0x0fa5, 0 },
    { 0x0fab, 0x0fad, 0 }, { 0x0fae, 0x0fae, 0xe0 }, { 0x0faf, 0x0faf, 0 }, { 0x0fb3, 0x0fb3, 0 },
    { 0x0fb6, 0x0fb8, 0 }, { 0x0fba, 0x0fbf, 0 },    { 0x0fc8, 0x0fcf, 0 },
};

static bool is_followed(const X86Insn *i)
{
    unsigned opcode = (i->op->opcode & ~0xffu) | i->opcode;
    if (i->op->attr & X86A_PROT || i->lock || i->vex)
        return false;
    if ((opcode == 0x0fae || (opcode & ~1u) == 0x86) && i->mod != 3) /* only fences, and exchanges of registers */
        return false;
    for (unsigned n = 0; n < ARRAY_LEN(followed); n++) {
        if (opcode >= followed[n].first && opcode <= followed[n].last)
            return !followed[n].regs || followed[n].regs >> (i->reg & 7) & 1;
    }
    return false;
}

unsigned kvm_x86_may_follow(Vcpu *v, const uint8_t *code, unsigned avail)
{
    const X86Cpu *c = x86_cpu(v);
    X86Insn i = { .pc = v->pc };
    unsigned bits = v->mode & X86_MODE_CS64 ? 64 : v->mode & X86_MODE_CS32 ? 32 : 16;
    if (x86_decode(&i, code, MIN(avail, 15u), bits, x86_protected(c), x86_decode_needs(c)) != X86D_OK ||
        !is_followed(&i))
        return 0;
    return i.len;
}

/* --- what the kernel's controllers answer --- */

bool kvm_x86_kernel_has(KvmVcpu *k, bool port, uint64_t at)
{
    static const struct {
        uint16_t first, last;
    } ports[] = { { 0x20, 0x21 }, { 0x40, 0x43 }, { 0x61, 0x61 }, { 0xa0, 0xa1 }, { 0x4d0, 0x4d1 } };
    const uint64_t io_apic = 0xfec00000, page = ~UINT64_C(0xfff);
    if (kvm.irqchip == KVM_IRQCHIP_OFF)
        return false;
    if (!port)
        return (at & page) == (k->run->s.regs.sregs.apic_base & page & bits_mask(52)) ||
               (kvm.irqchip == KVM_IRQCHIP_ON && (at & page) == io_apic);
    for (unsigned i = 0; i < ARRAY_LEN(ports) && kvm.irqchip == KVM_IRQCHIP_ON; i++) {
        if (at + 3 >= ports[i].first && at <= ports[i].last)
            return true;
    }
    return false;
}

/* --- the state in and out --- */

/* A flush of TLBs that another vCPU asks Hyper-V for would not be seen. */
static bool is_possible(const X86Cpu *c)
{
    return !(vcpu_count() > 1 && c->hv.features) && !atomic_load(&c->a20_masked) && !c->smm;
}

/* Nested guests have page tables of their own; none runs without EFER.SVME or CR4.VMXE, which is not known. */
static bool is_plain(const struct kvm_run *r)
{
    const struct kvm_vcpu_events *e = &r->s.regs.events;
    const struct kvm_sregs *s = &r->s.regs.sregs;
    bool pae = s->cr0 & CR0_PG && s->cr4 & CR4_PAE && !(s->efer & EFER_LMA); /* the kernel holds the PDPTEs */
    return !(r->flags & (RUN_SMM | RUN_GUEST_MODE)) && !(r->s.regs.regs.rflags & (EFL_TF | EFL_VM)) &&
           !(s->cr4 & ~CR4_KNOWN) && !(s->efer & EFER_SVME) && !(s->cr3 >> 52) && !pae && !e->exception.injected &&
           !e->exception.pending && !e->interrupt.injected && !e->interrupt.shadow && !e->nmi.injected &&
           !e->nmi.pending && !e->smi.smm && !e->smi.pending;
}

/* Breakpoints of the guest's own are the CPU's. */
static bool has_breakpoints(KvmVcpu *k)
{
    struct kvm_debugregs d;
    return kvm_x86(k)->debugregs && (kvm_ioctl(k->fd, KVM_GET_DEBUGREGS, &d) < 0 || d.dr7 & 0xff);
}

/*
 * With kvm-pv-tlb-flush another vCPU sends an interrupt to this one unless the kernel has marked it as preempted
 * (kernel documentation: virt/kvm/x86/cpuid.rst, msr.rst). It is marked when one of its calls ends, if at all: after
 * the last one before a turn this can be told.
 */
static bool hears_flushes(KvmVcpu *k)
{
    enum { AT_PREEMPTED = 16 };
    uint64_t area = 0;
    uint8_t preempted = 1;
    if (vcpu_count() < 2 || !(kvm_cpu(k)->feature[X86_FW_KVM] >> PV_TLB_FLUSH & 1))
        return true;
    if (!kvm_x86_msr(k->fd, KVM_GET_MSRS, MSR_KVM_STEAL_TIME, &area))
        return false;
    if (!(area & 1))
        return true;
    return as_read(k->v->as, (area & ~UINT64_C(63)) + AT_PREEMPTED, &preempted, 1, k->v->arch->attrs(k->v)) == MEM_OK &&
           !preempted;
}

unsigned kvm_x86_follow(KvmVcpu *k)
{
    X86Cpu *c = kvm_cpu(k);
    struct kvm_run *r = k->run;
    if (!is_possible(c))
        return 0;
    r->kvm_valid_regs = SYNC_ALL;
    bool finished = kvm_finish_access(k);
    r->kvm_valid_regs = 0;
    if (!finished || !k->loaded || !is_plain(r) || has_breakpoints(k) || !hears_flushes(k))
        return 0;
    kvm_x86_take_sregs(c, &r->s.regs.sregs);
    c->dr[7] = 0;
    c->shadow = 0;
    c->event.kind = X86_EVENT_NONE;
    tlb_set_asid(k->v, 0);
    kvm_x86_take_regs(c, &r->s.regs.regs);
    unsigned done = kvm_follow_run(k);
    c->event.kind = X86_EVENT_NONE;
    kvm_x86_give_regs(c, &r->s.regs.regs);
    r->kvm_dirty_regs = KVM_SYNC_X86_REGS;
    k->unfinished = true; /* the kernel takes them with the next entry */
    return done;
}
