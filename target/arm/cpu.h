/* SPDX-License-Identifier: MIT */
/* An Arm vCPU: architectural state, mode bits of translation, and the functions that change them. */
#ifndef TARGET_ARM_CPU_H
#define TARGET_ARM_CPU_H

#include <inttypes.h>
#include "accel/guest-arch.h"
#include "accel/tcg/flags.h"
#include "accel/tcg/softmmu.h"
#include "base/bits.h"
#include "base/clock.h"
#include "base/thread.h"
#include "target/arm/features.h"

/*
 * Registers in Vcpu.g[]:
 *  AArch64: X0..X30 = G(0..30), the SP in use = G(31) (the others in sp_el[]); XZR is not a register.
 *  AArch32, M: R0..R14 = G(0..14) of the current mode and security state; the banks stand in r13_bank and so on.
 * v.pc is the address of the instruction itself (no +8 or +4, bit 0 clear in T32 state).
 * Vectors: v.v[n] is Q0..Q31 / Z0..Z31; AArch32 D(2n), D(2n+1) and S(4n)..S(4n+3) are parts of v.v[n]. Bits above the
 * vector length in use (128 without SVE) are zero. Flags: PSTATE.N = FLAG_S, Z = FLAG_Z, V = FLAG_O, and PSTATE.C = NOT
 * FLAG_C: IR subtraction leaves a borrow, so every IrCond fits: EQ Z, NE NZ, HS NC, LO C, MI S, PL NS, VS O, VC NO, HI
 * NCZ, LS CZ, GE, LT, GT, LE. ops whose carry is the other way round take IR_NOTC (ir.h). FLAG_P and FLAG_A have no
 * meaning here.
 */
enum { ARM_SP = 31 /* AArch64 */, ARM_R13 = 13, ARM_R14 = 14 };

/*
 * Mode bits (v.mode): all that translation depends on. arm_update_mode() derives them; whoever changes such state calls
 * it.
 */
#define ARM_MODE_A64 BIT(0)            /* else A32, or T32 with ARM_MODE_T32 */
#define ARM_MODE_T32 BIT(1)
#define ARM_MODE_M BIT(2)              /* M-profile (T32 is set too) */
#define ARM_MODE_BE BIT(3)             /* data accesses are big-endian */
#define ARM_MODE_BANK_SHIFT 4          /* 6:4: TLB bank of ordinary accesses */
#define ARM_MODE_UBANK_SHIFT 7         /* 9:7: TLB bank of LDTR, STTR, LDRT ... */
/* 11:10: exception level; AArch32: 0 in User mode; M: 0 unprivileged, 1 privileged */
#define ARM_MODE_EL_SHIFT 10
#define ARM_MODE_SECURE BIT(12)
#define ARM_MODE_FP_TRAP BIT(13)       /* FP/SIMD instructions call arm_help_fp_trap */
/* SVE instructions call arm_help_sve_trap (FP_TRAP set: that first where the manual says so) */
#define ARM_MODE_SVE_TRAP BIT(14)
/* software step is active (MDSCR_EL1.SS, not masked) or a debugger steps: one insn a block, then arm_help_insn_end */
#define ARM_MODE_STEP BIT(15)
#define ARM_MODE_ALIGN BIT(16)         /* SCTLR.A / CCR.UNALIGN_TRP: every data access checks its alignment */
/* FPCR has what host FP does not do exactly (FZ, FZ16, AH, trap enables ...): FP ops are helper calls */
#define ARM_MODE_FP_SLOW BIT(17)
#define ARM_MODE_BTYPE_SHIFT 18        /* 19:18: PSTATE.BTYPE */
#define ARM_MODE_VL_SHIFT 20           /* 23:20: SVE vector length in 128-bit units - 1 */
#define ARM_MODE_IT_SHIFT 24           /* 31:24: IT state (T32), or ECI (M) */
#define ARM_MODE_BREAKPOINT BIT(32)    /* hardware breakpoints are armed: arm_help_breakpoint before each insn */
#define ARM_MODE_WATCHPOINT BIT(33)    /* watchpoints are armed: arm_help_watchpoint before each access */
#define ARM_MODE_IL BIT(34)            /* PSTATE.IL: any insn raises Illegal Execution State */
#define ARM_MODE_MTE BIT(35)           /* tag checks on ordinary accesses */
#define ARM_MODE_MTE_U BIT(36)         /* tag checks on LDTR/STTR */
/* M: the next FP insn must call arm_help_fp_context first (lazy save, new FP context) */
#define ARM_MODE_FP_CONTEXT BIT(37)
#define ARM_MODE_BTI BIT(38)           /* SCTLR.BT for this EL's code: a guarded page is looked at when BTYPE != 0 */
#define ARM_MODE_FP_DN BIT(39)         /* FPCR.DN: results that are NaN are the default NaN */
#define ARM_MODE_FP_RMODE_SHIFT 40     /* 41:40: FPCR.RMode (host rounding follows by fp_control) */
#define ARM_MODE_SP_ALIGN BIT(42)      /* SCTLR.SA/SA0: SP-based accesses check SP */
#define ARM_MODE_SP_SEL BIT(43)        /* PSTATE.SP: G(31) is SP_ELx */
#define ARM_MODE_FPX BIT(44)           /* AArch32: FPSCR.LEN or STRIDE not 0; M: reserved */
#define ARM_MODE_HYP32 BIT(45)         /* AArch32 Hyp mode */
#define ARM_MODE_VLEN_SHIFT 46         /* 48:46 FPSCR.LEN, 50:49 FPSCR.STRIDE (AArch32 short vectors) */
#define ARM_MODE_MVE_TAIL BIT(51)      /* M: FPSCR.LTPSIZE is not 4: a loop with tail predication */
#define ARM_MODE_CPACR_SHIFT 52        /* 53:52 free for the AArch32 front end's coprocessor traps */
/* fine-grained traps are armed for this level: system registers are helper calls */
#define ARM_MODE_FGT BIT(55)
/* AArch32 before v7 with SCTLR.U and A clear: low bits of addresses are dropped, words loaded are rotated */
#define ARM_MODE_OLD_ALIGN BIT(54)
#define arm_mode_bank(mode) ((unsigned)((mode) >> ARM_MODE_BANK_SHIFT & 7))
#define arm_mode_ubank(mode) ((unsigned)((mode) >> ARM_MODE_UBANK_SHIFT & 7))
#define arm_mode_el(mode) ((unsigned)((mode) >> ARM_MODE_EL_SHIFT & 3))

/* TLB banks: translation regimes. Security state and VMID/ASID are part of the address-space number. */
typedef enum ArmBank {
    ARM_BANK_EL0,
    ARM_BANK_EL1,
    ARM_BANK_EL1_PAN,
    ARM_BANK_EL2,
    ARM_BANK_EL20_0 /* EL0 under E2H+TGE */,
    ARM_BANK_EL2_PAN,
    ARM_BANK_EL3,
    ARM_BANK_UNPRIV /* EL0 as LDTR and kin at EL1 see it */,
    ARM_BANK_COUNT,
    /* M-profile */
    ARM_BANK_M_USER = 0,
    ARM_BANK_M_PRIV,
    ARM_BANK_M_S_USER,
    ARM_BANK_M_S_PRIV,
    ARM_BANK_M_NEG /* priority < 0: MPU may be off (HFNMIENA) */,
    ARM_BANK_M_S_NEG
} ArmBank;

/* AArch32 modes (CPSR.M). */
enum {
    ARM_USR = 0x10,
    ARM_FIQ = 0x11,
    ARM_IRQ = 0x12,
    ARM_SVC = 0x13,
    ARM_MON = 0x16,
    ARM_ABT = 0x17,
    ARM_HYP = 0x1a,
    ARM_UND = 0x1b,
    ARM_SYS = 0x1f
};
/* Indexes of the banks: usr/sys, fiq, irq, svc, mon, abt, hyp, und. */
enum {
    ARM_BANKED_USR,
    ARM_BANKED_FIQ,
    ARM_BANKED_IRQ,
    ARM_BANKED_SVC,
    ARM_BANKED_MON,
    ARM_BANKED_ABT,
    ARM_BANKED_HYP,
    ARM_BANKED_UND,
    ARM_BANKED_COUNT
};

/* DAIF in PSTATE's places (9:6). */
enum { ARM_PSTATE_F = 1 << 6, ARM_PSTATE_I = 1 << 7, ARM_PSTATE_A = 1 << 8, ARM_PSTATE_D = 1 << 9 };

/*
 * Exception classes: ESR_ELx.EC (DDI 0487, D19.2.37); AArch32 and M targets derive their vectors and syndromes from it.
 */
enum {
    EC_UNKNOWN = 0x00,
    EC_WFX = 0x01,
    EC_CP15_RT = 0x03,
    EC_CP15_RRT = 0x04,
    EC_CP14_RT = 0x05,
    EC_CP14_DT = 0x06,
    EC_FP = 0x07,
    EC_FPID = 0x08,
    EC_PAUTH = 0x09,
    EC_CP14_RRT = 0x0c,
    EC_BTI = 0x0d,
    EC_ILLEGAL = 0x0e,
    EC_SVC32 = 0x11,
    EC_HVC32 = 0x12,
    EC_SMC32 = 0x13,
    EC_SVC64 = 0x15,
    EC_HVC64 = 0x16,
    EC_SMC64 = 0x17,
    EC_SYSREG = 0x18,
    EC_SVE = 0x19,
    EC_ERET = 0x1a,
    EC_FPAC = 0x1c,
    EC_INSN_ABORT_LOWER = 0x20,
    EC_INSN_ABORT = 0x21,
    EC_PC_ALIGN = 0x22,
    EC_DATA_ABORT_LOWER = 0x24,
    EC_DATA_ABORT = 0x25,
    EC_SP_ALIGN = 0x26,
    EC_FPE32 = 0x28,
    EC_FPE64 = 0x2c,
    EC_SERROR = 0x2f,
    EC_BREAKPOINT_LOWER = 0x30,
    EC_BREAKPOINT = 0x31,
    EC_STEP_LOWER = 0x32,
    EC_STEP = 0x33,
    EC_WATCHPOINT_LOWER = 0x34,
    EC_WATCHPOINT = 0x35,
    EC_BKPT32 = 0x38,
    EC_BRK64 = 0x3c
};

/* A recorded exception that arch->deliver() will take. */
typedef enum ArmEventKind {
    ARM_EVENT_NONE,
    ARM_EVENT_SYNC /* ec, iss, far, target_el */,
    ARM_EVENT_IRQ,
    ARM_EVENT_FIQ,
    ARM_EVENT_SERROR,
    ARM_EVENT_VIRQ,
    ARM_EVENT_VFIQ,
    ARM_EVENT_VSERROR,
    ARM_EVENT_M /* M-profile: number in ec, detail in iss */
} ArmEventKind;
typedef struct ArmEvent {
    uint8_t kind, ec;
    uint8_t target_el;  /* 0: by the routing rules */
    bool il32;          /* ESR.IL: a 32-bit instruction */
    bool far_valid;
    uint32_t iss;       /* 24:0 */
    uint64_t far, hpfar;
    uint32_t fsr;       /* short-descriptor or long-descriptor status for AArch32 targets */
    uint32_t skip;      /* bytes to add to pc for the preferred return address (SVC, HVC, SMC: the insn's length) */
} ArmEvent;

typedef struct ArmModel ArmModel;     /* models.h */
typedef struct ArmM ArmM;             /* m/m.h: M-profile state, NULL elsewhere */
typedef struct ArmSemihost ArmSemihost;

enum { ARM_TIMER_PHYS, ARM_TIMER_VIRT, ARM_TIMER_HYP, ARM_TIMER_SEC, ARM_TIMER_HYPVIRT, ARM_TIMER_COUNT };

typedef struct ArmCpu {
    Vcpu v;
    /* --- addressed by generated code --- */
    uint64_t excl_addr;       /* exclusive monitor: ~0: open; else the address (virtual) */
    uint64_t excl_value[2];   /* what was loaded */
    uint32_t excl_size;
    uint32_t fpcr;            /* all of FPCR as written; RMode and traps are also in v.fp_control and the mode bits */
    uint32_t fpscr_nzcv;      /* AArch32 FPSCR.NZCV in bits 31:28 (real polarity) */
    uint32_t ge;              /* AArch32 GE[3:0] */
    uint32_t q;               /* AArch32 sticky saturation */
    uint32_t vpr;             /* MVE */
    uint8_t fpac_failed;      /* the last AUT of a CPU with FEAT_FPAC failed: ISS | 4 */
    uint8_t ltpsize;          /* FPSCR.LTPSIZE (v8.1-M); 4: no tail predication */
    uint8_t fcmp;             /* AArch32: what the last VCMP gave, for a VMRS in its block */
    uint64_t tpidr_el[4];     /* TPIDR_ELn; AArch32 TPIDRURW = low half of tpidr_el[0] */
    uint64_t tpidrro_el0;
    uint64_t sp_el[4];        /* those not in G(31) */
    uint64_t elr_el[4], spsr_el[4];
    uint64_t ffr[4];          /* SVE first-fault register; P0-P15 below */
    uint64_t pred[17][4];     /* SVE P0..P15, 256 bits each; [16] is a scratch predicate */

    /* --- PSTATE but NZCV --- */
    bool aarch64;
    uint8_t el;               /* current exception level (AArch64, or what AArch32's mode stands for) */
    bool sp_sel;
    uint32_t daif;            /* ARM_PSTATE_* bits; AArch32: A I F in CPSR's places are the same 8:6 */
    bool pan, uao, dit, ssbs, tco, il, ss;
    uint8_t btype;
    bool t32, e, j;           /* AArch32 T, E, J */
    uint8_t it;               /* AArch32 IT state between blocks (mode bits follow) */
    uint8_t mode32;           /* AArch32 CPSR.M (0x10..0x1f) */
    /* --- AArch32 banks --- */
    uint32_t r13_bank[ARM_BANKED_COUNT], r14_bank[ARM_BANKED_COUNT], spsr_bank[ARM_BANKED_COUNT];
    uint32_t r8_usr[5], r8_fiq[5];
    uint32_t elr_hyp;

    ArmEvent event;           /* recorded, not yet delivered */

    /* --- system registers: sysregs.c; names as the manual spells them, in lower case --- */
#include "target/arm/sysreg-fields.def"

    /* --- fixed by the model and the board --- */
    ArmFeatures has;          /* features.h: what decoders ask */
    uint8_t sve_lengths;      /* bit n: vectors of (n + 1) * 128 bits */
    const ArmModel *model;
    bool psci_hvc, psci_smc;  /* conduit: the board's firmware interface is in the emulator */
    uint64_t cntfrq;
    uint64_t reset_pc;        /* RVBAR, or vector base; M: VTOR at reset */
    Irq timer_out[ARM_TIMER_COUNT]; /* to the interrupt controller */
    Irq pmu_out, gic_maint_unused;
    ArmM *m;
    ArmSemihost *semihost;
    _Atomic uint8_t event_register; /* SEV, exclusive clears, exception returns: WFE goes on */
    uint64_t wfx_deadline;    /* WFIT, WFET: virtual count that ends the wait; ~0: none */
    uint8_t wfx_kind;         /* what the halted CPU waits in: 0 WFI, 1 WFE */
    bool double_fault;        /* an exception while one was delivered */
    Timer *timer[ARM_TIMER_COUNT], *wfx_timer, *pmu_timer, *event_timer;
    _Atomic bool on_pending;  /* CPU_ON was called and the CPU does not run yet */
    bool reset_seen;          /* KVM: reset since the kernel last had the state */
    bool kvm_no_adjvtime, kvm_steal_time; /* -cpu's words */
    uint64_t steal_at;        /* where the accelerator writes stolen time; 0: nowhere */
    bool serror_pending;      /* KVM: from outside, to be taken at EL1 */
    uint64_t serror_esr;
    unsigned wfe_streak;      /* WFEs in quick succession */
    int64_t wfe_last_ns;
    bool psci_off;            /* as PSCI sees it: AFFINITY_INFO */
    uint64_t on_pc, on_context; /* requested by arm_cpu_on */
    uint8_t on_el;
    bool on_aarch64, start_off; /* start_off: stands powered off after reset */
    bool machine_secure;      /* CPU_ON enters Secure state */
    bool suspended;           /* powered down until it wakes; then it goes on at on_pc */
    /* TLB (mmu.c) */
    uint32_t tlb_context, tlb_switches; /* whose EL1&0 the global entries are of */
    bool tlb_mixed;           /* more than one: none of EL1's entries is global */
    uint16_t dbg_bps, dbg_wps; /* enabled breakpoints, watchpoints */
    LockDomain *timer_lock;   /* of the timers' and performance monitors' registers and outputs */
    void *timer_slots;
    int64_t wfx_until, pmu_armed_ns;
    bool dbg_context;         /* breakpoints look at CONTEXTIDR */
    uint32_t access_cm;       /* ISS.CM while a cache maintenance instruction translates */
    uint8_t tlbi_sent;        /* broadcasts that the next DSB waits for */
    /* For messages to the user only: */
    bool told_bus_error;
    uint32_t endless;         /* exceptions at endless_pc since the last return from one */
    uint64_t endless_pc;
} ArmCpu;

static inline ArmCpu *arm_cpu(Vcpu *v) { return (ArmCpu *)v; }
static inline const ArmCpu *arm_cpu_const(const Vcpu *v) { return (const ArmCpu *)v; }

extern const GuestArch arm64_guest_arch;  /* models that have AArch64 */
extern const GuestArch arm32_guest_arch;  /* AArch32-only and M-profile models: other homes */

/* --- mode.c --- */
void arm_update_mode(ArmCpu *c);
/* NZCV in bits 31:28; get evaluates v.fl, so it must be precise (vcpu_sync). */
uint32_t arm_get_nzcv(const ArmCpu *c);
void arm_set_nzcv(ArmCpu *c, uint32_t nzcv);
/* Whole PSTATE in SPSR format of the state that the CPU is in, and back (no checks of legality). */
uint64_t arm_get_pstate(const ArmCpu *c);
uint32_t arm_get_cpsr(const ArmCpu *c);
/* AArch32: CPSR under mask; switches banks when M changes. */
void arm_set_cpsr(ArmCpu *c, uint32_t value, uint32_t mask);
/* AArch32 mode switch with banks; no legality checks. */
void arm_switch_mode32(ArmCpu *c, unsigned mode);
/*
 * For helpers that change pc, flags or leave by vcpu_unwind() with a pc of their own: the state is precise from here
 * on.
 */
void arm_take_state(ArmCpu *c);
/* Interrupts may have become deliverable: leave generated code at the next safe point when one waits. */
static inline void arm_poll_soon(ArmCpu *c)
{
    if (atomic_load_explicit(&c->v.irq_pending, memory_order_relaxed))
        atomic_store_explicit(&c->v.exit_request, 1, memory_order_relaxed);
}

/* --- exceptions.c: record and unwind; own thread, in a helper or in deliver() --- */
_Noreturn void arm_raise(ArmCpu *c, unsigned ec, uint32_t iss, unsigned target_el);
_Noreturn void arm_raise_event(ArmCpu *c, const ArmEvent *e);
void arm_record(ArmCpu *c, const ArmEvent *e);   /* the caller unwinds */
void arm_deliver(Vcpu *v);
bool arm_poll(Vcpu *v);
bool arm_has_work(Vcpu *v);
/*
 * Exception return: from SPSR_ELx/ELR_ELx of the current EL (AArch64), or to `pc` with CPSR `spsr` (AArch32). v->pc is
 * set.
 */
void arm_eret64(ArmCpu *c);
void arm_return32(ArmCpu *c, uint32_t pc, uint32_t spsr);

/*
 * Security state of the present exception level; is the level implemented; is EL2 enabled in the present security
 * state?
 */
bool arm_secure(const ArmCpu *c);
bool arm_secure_below_el3(const ArmCpu *c);
bool arm_el2_enabled(const ArmCpu *c);
/* HCR_EL2 as it is in effect: 0 when EL2 is not enabled, TGE's consequences included. */
uint64_t arm_hcr(const ArmCpu *c);
/*
 * Does `el` use AArch64? el below the present one: as SCR.RW, HCR.RW say; for EL0 what it would be on return is not
 * known: EL1's.
 */
bool arm_el_is_aa64(const ArmCpu *c, unsigned el);
/* EL0 runs under EL2's regime (E2H and TGE). */
static inline bool arm_e2h_host(uint64_t hcr) { return (hcr & (BIT(34) | BIT(27))) == (BIT(34) | BIT(27)); }
/* Index of the copy of a register that AArch32 banks by security. */
unsigned arm_bank32(const ArmCpu *c);
/* SCTLR in effect at the present level: SCTLR_EL1 for EL0 (EL2's under E2H and TGE). */
uint64_t arm_sctlr(const ArmCpu *c);

/* --- mmu.c --- */
bool arm_walk(Vcpu *v, uint64_t va, AccessKind kind, unsigned bank, bool probe, WalkResult *out);
/* TTBR, CONTEXTIDR, VTTBR, SCR.NS, HCR changed: choose the TLB's address-space number */
void arm_asid_changed(ArmCpu *c);

/* --- fp.c: FPCR/FPSR/FPSCR as the manual has them, over v.fp_control and the fields above --- */
uint32_t arm_get_fpcr(const ArmCpu *c);
uint32_t arm_get_fpsr(const ArmCpu *c);
void arm_set_fpcr(ArmCpu *c, uint32_t value);  /* updates the mode */
void arm_set_fpsr(ArmCpu *c, uint32_t value);
uint32_t arm_get_fpscr(const ArmCpu *c);
void arm_set_fpscr(ArmCpu *c, uint32_t value);

/* --- cpu.c --- */
void arm_reset(Vcpu *v);
void arm_cpu_off(ArmCpu *c);
/*
 * On c's thread: once it wakes, arm_cpu_resume() goes on as after CPU_ON, at the present level. The caller makes it
 * wait.
 */
void arm_cpu_suspend(ArmCpu *c, uint64_t pc, uint64_t context);
void arm_cpu_resume(ArmCpu *c);
/* Start a CPU that is off (PSCI CPU_ON, a board's boot register): any thread. */
void arm_cpu_on(ArmCpu *c, uint64_t pc, uint64_t context, unsigned el, bool aarch64);

/* --- tcg/translate.c --- */
void arm_translate(Vcpu *v, TransCtx *t);

/* The tags of all memory, saved with the machine. */
extern const MachinePart arm_mte_part;
#endif
