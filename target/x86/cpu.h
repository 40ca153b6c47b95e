/* SPDX-License-Identifier: MIT */
/* An x86 vCPU: architectural state, mode bits of translation, and the functions that change them. */
#ifndef TARGET_X86_CPU_H
#define TARGET_X86_CPU_H

#include <inttypes.h>
#include "accel/guest-arch.h"
#include "accel/tcg/flags.h"
#include "target/x86/extended.h"
#include "target/x86/hyperv.h"
#include "accel/tcg/softmmu.h"
#include "base/bits.h"

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15 };
typedef enum X86SegReg {
    SEG_ES,
    SEG_CS,
    SEG_SS,
    SEG_DS,
    SEG_FS,
    SEG_GS,
    SEG_COUNT,
    SEG_LDTR = SEG_COUNT,
    SEG_TR
} X86SegReg;

/* EFLAGS bits beyond FLAG_* of accel/tcg/flags.h */
enum { EFL_TF = 1 << 8, EFL_IF = 1 << 9, EFL_DF = 1 << 10, EFL_IOPL = 3 << 12, EFL_IOPL_SHIFT = 12, EFL_NT = 1 << 14,
       EFL_RF = 1 << 16, EFL_VM = 1 << 17, EFL_AC = 1 << 18, EFL_VIF = 1 << 19, EFL_VIP = 1 << 20, EFL_ID = 1 << 21 };
#define CR0_PE BIT(0)
#define CR0_MP BIT(1)
#define CR0_EM BIT(2)
#define CR0_TS BIT(3)
#define CR0_ET BIT(4)
#define CR0_NE BIT(5)
#define CR0_WP BIT(16)
#define CR0_AM BIT(18)
#define CR0_NW BIT(29)
#define CR0_CD BIT(30)
#define CR0_PG BIT(31)
#define CR4_VME BIT(0)
#define CR4_PVI BIT(1)
#define CR4_TSD BIT(2)
#define CR4_DE BIT(3)
#define CR4_PSE BIT(4)
#define CR4_PAE BIT(5)
#define CR4_MCE BIT(6)
#define CR4_PGE BIT(7)
#define CR4_PCE BIT(8)
#define CR4_OSFXSR BIT(9)
#define CR4_OSXMMEXCPT BIT(10)
#define CR4_UMIP BIT(11)
#define CR4_LA57 BIT(12)
#define CR4_VMXE BIT(13)
#define CR4_FSGSBASE BIT(16)
#define CR4_PCIDE BIT(17)
#define CR4_OSXSAVE BIT(18)
#define CR4_SMEP BIT(20)
#define CR4_SMAP BIT(21)
#define CR4_PKE BIT(22)
#define CR4_CET BIT(23)
#define EFER_SCE BIT(0)
#define EFER_LME BIT(8)
#define EFER_LMA BIT(10)
#define EFER_NXE BIT(11)
#define EFER_SVME BIT(12)
#define EFER_FFXSR BIT(14)

typedef enum X86Exception {
    X86_DE,
    X86_DB,
    X86_NMI,
    X86_BP,
    X86_OF,
    X86_BR,
    X86_UD,
    X86_NM,
    X86_DF,
    X86_TS = 10,
    X86_NP,
    X86_SS,
    X86_GP,
    X86_PF,
    X86_MF = 16,
    X86_AC,
    X86_MC,
    X86_XM
} X86Exception;

/*
 * Mode bits (v.mode): all that translation depends on. x86_update_mode() derives them from the state; whoever changes
 * such state calls it (helpers do).
 */
#define X86_MODE_CPL UINT64_C(3)        /* 1:0; 3 in VM86, 0 in real mode */
#define X86_MODE_CS64 BIT(2)            /* 64-bit code */
#define X86_MODE_CS32 BIT(3)            /* CS.D: operands and addresses default to 32 bits (clear in 64-bit code) */
#define X86_MODE_SS32 BIT(4)            /* SS.B: ESP, not SP (set in 64-bit code: RSP) */
#define X86_MODE_PE BIT(5)              /* protected mode (also set in VM86) */
#define X86_MODE_VM86 BIT(6)
#define X86_MODE_LMA BIT(7)
/* some base of CS DS ES SS is not 0: add it. FS and GS: always add. Clear in 64-bit code */
#define X86_MODE_ADDSEG BIT(8)
#define X86_MODE_CHECK(seg)                                                                         \
    BIT(9 + (seg)) /* 14:9: accesses through seg need x86_help_seg_check; all clear in 64-bit code. \
                    * CS: branches need x86_help_code_check. Writes through CS in protected mode: always */
/* supervisor accesses to user pages are allowed: CR4.SMAP = 0 or EFLAGS.AC = 1 */
#define X86_MODE_NOSMAP BIT(15)
#define X86_MODE_TF BIT(16)             /* single step: one insn a block, ends with x86_help_insn_end */
/* interrupt shadow: one insn a block, first op x86_help_shadow_end, ends with EXIT */
#define X86_MODE_SHADOW BIT(17)
#define X86_MODE_SMM BIT(18)
#define X86_MODE_EM BIT(19)             /* CR0.EM, TS, MP */
#define X86_MODE_TS BIT(20)
#define X86_MODE_MP BIT(21)
#define X86_MODE_OSFXSR BIT(22)         /* CR4.OSFXSR: SSE is enabled */
#define X86_MODE_OSXSAVE BIT(23)        /* CR4.OSXSAVE */
#define X86_MODE_AVX BIT(24)            /* CR4.OSXSAVE and XCR0 enables SSE and AVX */
#define X86_MODE_FPTRAP BIT(25)         /* an SSE exception is unmasked in MXCSR: FP operations become helper calls */
#define X86_MODE_CODE_BP BIT(26)        /* a code breakpoint is armed: each insn starts with x86_help_code_bp */
/* a data breakpoint is armed: x86_help_data_bp at each access, x86_help_insn_end at each insn */
#define X86_MODE_DATA_BP BIT(27)
#define X86_MODE_IOPL_OK BIT(28)        /* CPL <= IOPL (true in real mode): CLI, STI, IN, OUT need no further check */
#define X86_MODE_ALIGN BIT(29)          /* CR0.AM, EFLAGS.AC, CPL 3: misaligned data accesses raise #AC */
/* 63:32: base of CS (0 in 64-bit code): the same EIP is other code with another base */
#define X86_MODE_CS_BASE_SHIFT 32

/* TLB banks. Implicit supervisor accesses (descriptor tables, TSS) use X86_BANK_KERNEL. */
typedef enum X86Bank { X86_BANK_KERNEL /* SMAP enforced */, X86_BANK_KERNEL_AC /* user pages allowed */, X86_BANK_USER,
                       X86_BANK_COUNT } X86Bank;
static inline X86Bank x86_bank(uint64_t mode)
{
    return (mode & X86_MODE_CPL) == 3 ? X86_BANK_USER : mode & X86_MODE_NOSMAP ? X86_BANK_KERNEL_AC : X86_BANK_KERNEL;
}

/* Segment register with its hidden part. attr: bits 8..23 of the descriptor's upper half in their places. */
typedef struct X86Seg {
    uint64_t base;
    uint32_t limit; /* in bytes, granularity applied */
    uint32_t attr;
    uint16_t sel;
} X86Seg;
enum {
    SEG_A = 1 << 8,
    SEG_W = 1 << 9 /* data: writable; code: readable */,
    SEG_E = 1 << 10 /* data: expand down; code: conforming */,
    SEG_CODE = 1 << 11,
    SEG_S = 1 << 12,
    SEG_DPL_SHIFT = 13,
    SEG_DPL = 3 << 13,
    SEG_P = 1 << 15,
    SEG_AVL = 1 << 20,
    SEG_L = 1 << 21,
    SEG_D = 1 << 22,
    SEG_G = 1 << 23,
    SEG_ATTR_MASK = 0xf0ff00
};
#define seg_type(attr) ((attr) >> 8 & 15)
#define seg_dpl(attr) ((attr) >> 13 & 3)

typedef struct X86Table { uint64_t base; uint16_t limit; } X86Table;

typedef struct X86FpReg { uint64_t mant; uint16_t sign_exp; } __attribute__((aligned(16))) X86FpReg;

/* A recorded event that arch->deliver will deliver. */
typedef enum X86EventKind { X86_EVENT_NONE, X86_EVENT_FAULT, X86_EVENT_TRAP /* pc is that of the next insn */,
                            X86_EVENT_SOFT_INT /* INT n, INT3, INTO: gate DPL is checked */, X86_EVENT_ICEBP,
                            X86_EVENT_INTR, X86_EVENT_NMI } X86EventKind;
typedef struct X86Event {
    uint8_t kind, vector;
    bool has_error;
    uint32_t error;
    uint64_t cr2;     /* #PF */
    uint64_t dr6;     /* #DB: bits to set */
    uint64_t next_pc; /* SOFT_INT and ICEBP: what is pushed */
} X86Event;

enum { X86_MCE_BANKS = 10, X86_VAR_MTRRS = 8, X86_FEATURE_WORDS = 24 };

typedef struct X86Model X86Model; /* models.h */

typedef struct X86Cpu {
    Vcpu v;
    /* --- addressed by generated code --- */
    X86Seg seg[SEG_TR + 1];
    int64_t df;          /* +1 or -1 */
    uint64_t next_pc;    /* of the insn in progress: set by the emitter for helpers that say so */
    uint8_t iflag;       /* EFLAGS.IF: 0 or 1 */
    /* interrupt shadow: interrupts wait for the end of the next insn; X86_MODE_SHADOW follows it */
    uint8_t shadow;
    uint32_t eflags;     /* TF IOPL NT RF VM AC VIF VIP ID and bit 1; the rest stands in v.fl, df and iflag */
    uint64_t tsc_aux;

    /* --- control state --- */
    uint64_t cr0, cr2, cr3, cr4, xcr0, efer;
    uint64_t dr[8];      /* 4 and 5 unused */
    uint64_t pdpte[4];
    X86Table gdt, idt;
    uint8_t cpl;         /* 0 in real mode, 3 in VM86 */
    _Atomic bool a20_masked; /* A20 gate closed; set from any thread, the TLB is flushed by queued work */
    bool smm, nmi_blocked, smm_nmi_blocked;
    uint8_t monitor_armed;
    bool wait_mwait;     /* halted by MWAIT, not HLT */
    uint64_t smbase;
    X86Event event;      /* recorded, not yet delivered */
    bool delivering;     /* inside deliver(): a fault makes a double fault when both contribute */
    uint8_t delivering_vector;
    bool delivering_benign; /* an interrupt or trap: never makes a double fault */
    bool triple_faulted; /* shut down until reset */
    bool event_external; /* the EXT bit of error codes while delivering */
    uint64_t data_bp_hits; /* DR6 bits that data breakpoints of the insn in progress hit */

    /* --- x87 (SSE: v.v[], MXCSR: v.fp_control) --- */
    X86FpReg fpr[8];     /* by physical number; MMX registers are the mantissas */
    uint16_t fp_cw, fp_sw /* TOP in fp_top, not here */, fp_op;
    uint8_t fp_top, fp_tags /* bit per physical register: 1 = in use */;
    uint16_t fp_cs, fp_ds;
    uint64_t fp_ip, fp_dp;

    /* --- MSRs --- */
    uint64_t star, lstar, cstar, fmask, kernel_gs_base;
    uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
    uint64_t pat, misc_enable, feature_control, spec_ctrl, debugctl, syscfg, hwcr, ucode_rev, xss;
    uint64_t mtrr_def_type, mtrr_fixed[11], mtrr_base[X86_VAR_MTRRS], mtrr_mask[X86_VAR_MTRRS];
    uint64_t mcg_status, mcg_ctl, mce[X86_MCE_BANKS][4]; /* CTL STATUS ADDR MISC */
    int64_t tsc_offset;  /* guest TSC = virtual ns * tsc_hz / 1e9 + tsc_offset */
    uint64_t tsc_adjust;
    uint64_t kvm_time, kvm_wall; /* kvmclock.h */
    X86Hyperv hv;
    X86Extended ext;
    uint64_t kvm_async_pf, kvm_async_pf_int, kvm_steal_time, kvm_pv_eoi, kvm_poll_control; /* by KVM only */

    /* --- fixed by the model --- */
    uint32_t feature[X86_FEATURE_WORDS]; /* X86_FW_* of models.h */
    const X86Model *model;
    uint32_t signature;  /* CPUID 1 EAX */
    char vendor[13], model_id[49];
    uint32_t cpuid_level, cpuid_xlevel;
    uint8_t phys_bits, linear_bits;
    uint64_t tsc_hz;
    bool tsc_asked;      /* ... the user wants it */
    bool kvm;            /* CPUID has KVM's leaves */
    struct { uint16_t threads, cores, dies, sockets; uint8_t smt_shift, core_shift; } topo;
} X86Cpu;

static inline X86Cpu *x86_cpu(Vcpu *v) { return (X86Cpu *)v; }
static inline const X86Cpu *x86_cpu_const(const Vcpu *v) { return (const X86Cpu *)v; }

static inline unsigned x86_cpl(const X86Cpu *c) { return c->cpl; }
static inline bool x86_is_64(const X86Cpu *c) { return c->v.mode & X86_MODE_CS64; }
static inline bool x86_vm86(const X86Cpu *c) { return c->eflags & EFL_VM; }
static inline bool x86_real_mode(const X86Cpu *c) { return !(c->cr0 & CR0_PE); }
static inline bool x86_protected(const X86Cpu *c) { return (c->cr0 & CR0_PE) && !x86_vm86(c); }
static inline bool x86_lma(const X86Cpu *c) { return c->efer & EFER_LMA; }

extern const GuestArch x86_guest_arch;

/* Whole EFLAGS; get evaluates v.fl, so it must be precise (vcpu_sync). set takes all bits as they are (no privilege
 * check, RF and VM too), then updates the mode; with IF set, waiting interrupts are looked at soon. */
uint32_t x86_get_eflags(const X86Cpu *c);
void x86_set_eflags(X86Cpu *c, uint32_t value);
/* Derive v.mode from the state (c->cpl is the caller's to set). */
void x86_update_mode(X86Cpu *c);
/*
 * For helpers that will change v->pc, flags or leave by vcpu_unwind() with a pc of their own: the state is precise from
 * here on.
 */
void x86_take_state(X86Cpu *c);
/* Interrupts may have become deliverable: leave generated code at the next safe point when one waits. */
static inline void x86_poll_soon(X86Cpu *c)
{
    if (atomic_load_explicit(&c->v.irq_pending, memory_order_relaxed))
        atomic_store_explicit(&c->v.exit_request, 1, memory_order_relaxed);
}

/* Out of generated code, to the run loop's poll(); the state is precise (x86_take_state). */
static inline _Noreturn void x86_leave(X86Cpu *c)
{
    atomic_store(&c->v.exit_request, 1);
    vcpu_unwind(&c->v);
}

/*
 * Record an exception and go back to the run loop; own thread, in a helper or in deliver(). The insn in progress
 * faults.
 */
_Noreturn void x86_raise(X86Cpu *c, unsigned vector);
_Noreturn void x86_raise_err(X86Cpu *c, unsigned vector, uint32_t error);
#define x86_raise_gp(c) x86_raise_err(c, X86_GP, 0)
#define x86_raise_ud(c) x86_raise(c, X86_UD)
void x86_record_fault(X86Cpu *c, unsigned vector, bool has_error, uint32_t error); /* the caller unwinds */

/* Guest TSC now; any thread. */
#define X86_TSC_HZ 1000000000 /* unless -cpu or the host has another rate */
uint64_t x86_tsc(const X86Cpu *c);

/* cpu.c */
void x86_reset(Vcpu *v);              /* power-on */
void x86_init_reset(X86Cpu *c);       /* INIT: caches, FPU, MSRs survive (SDM vol. 3, 9.1) */
/* paging.c */
bool x86_walk(Vcpu *v, uint64_t va, AccessKind kind, unsigned bank, bool probe, WalkResult *out);
void x86_write_cr0(X86Cpu *c, uint64_t value); /* raise #GP on an illegal value; flush and update the mode */
void x86_write_cr3(X86Cpu *c, uint64_t value);
void x86_write_cr4(X86Cpu *c, uint64_t value);
bool x86_write_efer(X86Cpu *c, uint64_t value); /* false: #GP */
bool x86_canonical(const X86Cpu *c, uint64_t va);
void x86_reload_pdptes(X86Cpu *c); /* smm.c: the four entries of PAE paging, if that is on, as they are in memory */
/* msr.c; false: #GP */
bool x86_read_msr(X86Cpu *c, uint32_t msr, uint64_t *value);
bool x86_write_msr(X86Cpu *c, uint32_t msr, uint64_t value);
void x86_reset_msrs(X86Cpu *c);
/* where a plain MSR stands; NULL: none, constant, or it acts when written */
uint64_t *x86_msr_field(X86Cpu *c, uint32_t msr);
/* cpuid.c */
void x86_cpuid(const X86Cpu *c, uint32_t leaf, uint32_t subleaf, uint32_t out[4]); /* eax ebx ecx edx */
/* exceptions.c, events.c */
void x86_shutdown(X86Cpu *c);         /* triple fault: stops the CPU and asks for a machine reset */
void x86_deliver(Vcpu *v);
bool x86_poll(Vcpu *v);
void x86_take_init(X86Cpu *c);
void x86_take_sipi(X86Cpu *c); /* the vector in v.sipi_vector */
bool x86_has_work(Vcpu *v);
#endif
