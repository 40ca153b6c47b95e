/* SPDX-License-Identifier: MIT */
/* x86 under KVM: what the target's kvm*.c share. */
#ifndef TARGET_X86_KVM_H
#define TARGET_X86_KVM_H

#include "accel/kvm/kvm.h"
#include "target/x86/models.h"

enum { KVM_X86_MSRS_MAX = 256 };

typedef struct KvmX86Msr {
    uint32_t number;
    uint64_t seen;      /* what the kernel has, as far as we know */
    bool known, refused;
} KvmX86Msr;

/* A vCPU's KvmVcpu.arch_data. */
typedef struct KvmX86 {
    KvmX86Msr msr[KVM_X86_MSRS_MAX];
    unsigned msrs;
    int64_t tsc_offset; /* as last read: a load or reset that leaves it alone does not touch the guest's TSC */
    bool tsc_known;
    bool xsave, xcrs, debugregs, events, mce;
    size_t area_size;   /* of XSAVE's image */
    uint8_t *area;
    /* state of nested guests: as the kernel has it, as far as we know; after reset. NULL: none */
    GByteArray *nested, *nested_reset;
    uint64_t deadline;  /* TSC deadline that the kernel's local APIC gets with the next state */
    bool deadline_due;
    struct { bool active, pending, inside_nmi, init; } smm; /* as the kernel has them, as far as we know */
    bool nmi_pending;   /* an NMI waits in the kernel, as far as we know: it is in our state, too */
    /*
     * irqchip=split: the 8259's vector that KVM_INTERRUPT has given to the kernel, which keeps it until it enters the
     * guest, and tells nobody until then: an entry that a kick prevents leaves it there. -1: none.
     */
    int accepted;
} KvmX86;

static inline KvmX86 *kvm_x86(KvmVcpu *k) { return k->arch_data; }
static inline X86Cpu *kvm_cpu(KvmVcpu *k) { return x86_cpu(k->v); }

extern const KvmArch kvm_x86_arch;

/* kvm-extended.c */
/* a register of CPUID that the kernel offers */
typedef uint32_t KvmX86Offer(uint32_t leaf, uint32_t sub, unsigned reg);
void kvm_x86_ext_read(X86ExtendedHost *host, KvmX86Offer *offer);
bool kvm_x86_ext_before_vcpu(const X86Cpu *c, Error **errp);
/* arch_prctl(2); a test may put its own function in its place */
extern int (*kvm_x86_arch_prctl)(int code, unsigned long arg);
void kvm_x86_ask_for_tiles(void); /* before kvm_x86_read_host() and the process's first vCPU */
bool kvm_x86_put_cet(KvmVcpu *k, Error **errp); /* what is no MSR of it */
bool kvm_x86_get_cet(KvmVcpu *k, Error **errp);
size_t kvm_x86_xsave_size(void);
void kvm_x86_components_out(X86Cpu *c, uint8_t *area);
void kvm_x86_components_in(X86Cpu *c, const uint8_t *area);
bool kvm_x86_nested_init(KvmVcpu *k, Error **errp);
bool kvm_x86_put_nested(KvmVcpu *k, Error **errp);
bool kvm_x86_get_nested(KvmVcpu *k, Error **errp);
bool kvm_x86_runs_nested(const X86Cpu *c); /* our state is in the guest's guest */
void kvm_x86_nested_free(KvmX86 *x);
struct kvm_msr_list *kvm_x86_msr_list(unsigned long request); /* NULL: the kernel has no such list */
bool kvm_x86_msr(int fd, unsigned long request, uint32_t number, uint64_t *value);

/* kvm-cpuid.c */
bool kvm_x86_read_host(Error **errp);                  /* what the kernel offers becomes what models can have */
bool kvm_x86_set_cpuid(KvmVcpu *k, Error **errp);
/* kvm-state.c */
bool kvm_x86_state_init(KvmVcpu *k, Error **errp);
bool kvm_x86_put(KvmVcpu *k, Error **errp);
bool kvm_x86_refused(Error **errp, const KvmVcpu *k, const char *what, bool in); /* false, and errno's message */
bool kvm_x86_get(KvmVcpu *k, Error **errp);
/* The kernel's structures into the Vcpu, control registers first; and back. */
void kvm_x86_take_sregs(X86Cpu *c, const struct kvm_sregs *s);
void kvm_x86_take_regs(X86Cpu *c, const struct kvm_regs *r);
void kvm_x86_give_regs(const X86Cpu *c, struct kvm_regs *r);
/* kvm-fpu.c */
bool kvm_x86_put_fpu(KvmVcpu *k, Error **errp);
bool kvm_x86_get_fpu(KvmVcpu *k, Error **errp);
/* kvm-irqchip.c */
bool kvm_x86_make_irqchip(KvmIrqchip mode); /* false: this kernel does not have it */
void kvm_x86_put_deadline(KvmVcpu *k);
/* kvm-debug.c */
bool kvm_x86_set_debug(KvmVcpu *k, const DebugPoint *points, unsigned count, bool insns);
void kvm_x86_debug_exit(KvmVcpu *k);
/* kvm-follow.c */
unsigned kvm_x86_follow(KvmVcpu *k);
unsigned kvm_x86_may_follow(Vcpu *v, const uint8_t *code, unsigned avail);
bool kvm_x86_kernel_has(KvmVcpu *k, bool port, uint64_t at);
/* kvm-hyperv.c */
const X86HypervHost *kvm_x86_hv_read(void); /* NULL: the kernel has none of it */
bool kvm_x86_hv_init(KvmVcpu *k, Error **errp);
/* kvm-fast.c */
bool kvm_x86_fast(int kvm_fd, char **why_not);
#endif
