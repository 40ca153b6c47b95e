/* SPDX-License-Identifier: MIT */
/* Helpers of target/arm that generated code calls: how to call each stands next to it.
 *
 * Letters in the comments, for the emitter:
 *   R  IR_CALL_RAISES   F  IR_CALL_READS_FLAGS   W  IR_CALL_WRITES_FLAGS   G  IR_CALL_GPR_ONLY   P  IR_CALL_PURE
 *   L  the helper has set v->pc: end the block with IR_LOOKUP
 *   X  the helper leaves v->pc alone; mode may have changed or an interrupt may be deliverable: end with EXIT at the
 * next pc M  the helper leaves v->pc alone; mode may have changed, nothing to poll: store v->pc and end with LOOKUP Z
 * never returns   .  go on in the block
 */
#ifndef TARGET_ARM_HELPERS_H
#define TARGET_ARM_HELPERS_H

#include "target/arm/cpu.h"

#define ARM_HELPER(name) uint64_t arm_help_##name(Vcpu *v, uint64_t a, uint64_t b, uint64_t a3)
#define ARM_HELPER_VOID(name) void arm_help_##name(Vcpu *v, uint64_t a, uint64_t b, uint64_t a3)

/* --- exceptions (exceptions.c; M-profile CPUs: m/exceptions.c behind the same names) --- */
ARM_HELPER_VOID(undef);        /* RPZ  UNDEFINED at this insn; a: 1 = a 32-bit insn (IL) */
ARM_HELPER_VOID(raise);        /* RPZ  a = EC, b = ISS, c = target EL (0: by the routing rules) | IL (bit 8) */
ARM_HELPER_VOID(svc);          /* RFZ  a = immediate, b = length of the insn (2, 4); semihosting is looked at inside */
/* RFWL a = immediate, b = length; PSCI inside; EXIT-like polling comes by exit_request */
ARM_HELPER_VOID(hvc);
ARM_HELPER_VOID(smc);          /* RFWL a = immediate, b = length, c = condition info for AArch32 ISS */
ARM_HELPER_VOID(bkpt);         /* RFWL BRK/BKPT: a = immediate, b = length; M: semihosting 0xab; HLT with c = 1 */
ARM_HELPER_VOID(eret);         /* RFWL AArch64 ERET */
ARM_HELPER_VOID(eret_trap);    /* RF   with ARM_MODE_FGT, before an ERET: a = ISS of its trap */
ARM_HELPER_VOID(fp_trap);      /* RPZ  a = 1: an insn that is Advanced SIMD in AArch32; b = COND/CV bits of the ISS */
ARM_HELPER_VOID(sve_trap);     /* RPZ */
/* RX   WFI: traps, then halts; a = 0 WFI, 1 WFE, 2 WFIT, 3 WFET (b = the timeout register's value), c = insn length */
ARM_HELPER_VOID(wfi);
ARM_HELPER_VOID(yield);        /* RX */
ARM_HELPER_VOID(sev);          /* P.   event to all CPUs */
ARM_HELPER_VOID(insn_end);     /* RFL  ARM_MODE_STEP: after each insn; v->pc = the next insn is already set */
ARM_HELPER_VOID(breakpoint);   /* RFP  ARM_MODE_BREAKPOINT: before each insn; a = pc; . */
/* RP   ARM_MODE_WATCHPOINT: before each access; a = address, b = size, c = 1 for writes; . */
ARM_HELPER_VOID(watchpoint);
ARM_HELPER_VOID(pc_align);     /* RPZ  a = the misaligned target: PC alignment fault there */
ARM_HELPER_VOID(bti_check); /* RP.  first insn of a block with BTYPE != 0 in ARM_MODE_BTI: a = the insn's
                               BTYPE-compatible mask (bit n: allowed with BTYPE n); faults when the page is guarded; the
                               front end clears btype after */

/* --- system registers (sysregs.c) --- */
/* key: AArch64: op0<<14 | op1<<11 | CRn<<7 | CRm<<3 | op2. AArch32: ARM_CP_KEY() */
#define ARM_SYS_KEY(op0, op1, crn, crm, op2) ((uint32_t)((op0) << 14 | (op1) << 11 | (crn) << 7 | (crm) << 3 | (op2)))
#define ARM_CP_KEY(cp, opc1, crn, crm, opc2, is64) \
    ((uint32_t)(1u << 31 | (is64) << 20 | (cp) << 16 | (opc1) << 11 | (crn) << 7 | (crm) << 3 | (opc2)))
/*
 * Added to an AArch64 key for the interrupt controller (CpuIntcOps.sysreg_*): an access from EL1 while HCR_EL2.IMO, FMO
 * is set: ICV_* is meant.
 */
#define ARM_SYS_KEY_VIRQ (UINT32_C(1) << 24)
#define ARM_SYS_KEY_VFIQ (UINT32_C(1) << 25)
/*
 * VMRS, VMSR of FPSID, MVFRn, FPEXC: MRC, MCR with ARM_CP_KEY(10, 7, register, 0, 0, 0); FPSCR is the front end's own.
 */
/* RF   a = key, b = syndrome ISS for a trap (Rt, direction as the manual's); raises UNDEFINED or the trap */
ARM_HELPER(mrs);
ARM_HELPER_VOID(msr);          /* RF   a = key, b = value, c = ISS. Afterwards: what arm_sysreg_lookup() said */
ARM_HELPER(mrc);               /* RF   a = key, b = ISS (COND included); 64-bit forms give both halves in one value */
ARM_HELPER_VOID(mcr);          /* RF   a = key, b = value, c = ISS */
/*
 * RFX  PSTATE fields by immediate: a = op1<<3 | op2, b = CRm. DAIFSet/Clr, SPSel, PAN, UAO, DIT, SSBS, TCO, CFINV not
 * here
 */
ARM_HELPER_VOID(msr_imm);
/* P.   DSB: wait for broadcast TLB maintenance; needed only while the byte ArmCpu.tlbi_sent is not 0 */
ARM_HELPER_VOID(dsb);
ARM_HELPER_VOID(sys);          /* RF   SYS space (IC, DC, AT, TLBI ...): as msr */
/* What a front end may do for an access in the present mode without a helper. */
typedef struct ArmSysregUse {
    bool known;      /* else: UNDEFINED, one counted line by the helper */
    /* after a write: end with EXIT (interrupts, mode) or LOOKUP (mode, translation) at the next pc */
    bool exit, lookup;
    uint32_t offset; /* not 0: a plain field of ArmCpu of `size` bytes that LDE/STE may use in this mode */
    uint8_t size;
    bool constant;   /* a read gives `value` */
    uint64_t value;
    bool nop;        /* a write does nothing (cache maintenance ...) */
} ArmSysregUse;
ArmSysregUse arm_sysreg_lookup(const ArmCpu *c, uint32_t key, bool write);

/* --- A64's own (tcg/help-*.c) --- */
ARM_HELPER_VOID(sp_align);     /* of TRAPNZ: SP alignment fault */
ARM_HELPER_VOID(fpac);         /* of TRAPNZ on fpac_failed: PAC Fail exception */
/* RP.  ARM_MODE_MTE: before an access; a = address, b = size, c = 1 write | 2 unprivileged */
ARM_HELPER_VOID(tag_check);

/* --- AArch32 status registers (mode.c) --- */
ARM_HELPER(mrs_cpsr);          /* F    a = 1: SPSR */
/* RFWX a = value, b = mask of bits (bytes and privilege are applied inside), c = 1: SPSR */
ARM_HELPER_VOID(msr_cpsr);
ARM_HELPER_VOID(cps);          /* RFX  a = imod<<10 | aif bits in 8:6, b = mode or 0 (change), c = 1 if mode changes */
ARM_HELPER_VOID(return32);     /* RFWL a = pc, b = CPSR value (RFE, MOVS PC/SUBS PC: SPSR by arm_help_mrs_cpsr) */
ARM_HELPER(banked_get);        /* R    MRS (banked): a = R<<5 | SYSm */
ARM_HELPER_VOID(banked_set);   /* R    MSR (banked): a = R<<5 | SYSm, b = value */
ARM_HELPER(bank_user_get);     /* P    LDM/STM user registers: a = number 0..14 */
ARM_HELPER_VOID(bank_user_set);/*      a = number, b = value; also writes G(a) where it is the same register */

/* --- M-profile (m/) --- */
ARM_HELPER(m_mrs);             /* RF   a = SYSm */
ARM_HELPER_VOID(m_msr);        /* RFWX a = SYSm, b = value, c = mask */
ARM_HELPER_VOID(m_cps);        /* RX   a = 1: disable, b = bit 0 FAULTMASK, bit 1 PRIMASK */
/* RFWL a = target value with its low bit: BX/POP/LDR to pc, EXC_RETURN and FNC_RETURN included */
ARM_HELPER_VOID(m_bx);
ARM_HELPER_VOID(m_blxns);      /* RFWL a = target, b = return address */
ARM_HELPER_VOID(m_bxns);       /* RFWL a = target */
ARM_HELPER_VOID(m_sg);         /* RFWL SG insn, a = pc; v->pc = pc + 4 */
ARM_HELPER(m_tt);              /* RF   TT, TTA, TTT, TTAT: a = address, b = A | T<<1 */
ARM_HELPER_VOID(fp_context);   /* RM   M: ARM_MODE_FP_CONTEXT: lazy stacking, new context */
ARM_HELPER(m_fpcxt);           /* R    FPCXT_NS (a = 14), FPCXT_S (a = 15); faults when it is not accessible */
ARM_HELPER_VOID(m_fpcxt_s_taken); /* R what reading FPCXT_S does; then M */
ARM_HELPER_VOID(m_set_fpcxt);  /* R    b = value; then M */
ARM_HELPER_VOID(m_vlstm);      /* R    a = address, b = 0 VLSTM, 1 VLLDM; then X */
ARM_HELPER_VOID(m_invep);      /* RPZ  Non-secure code runs another insn than SG in a callable region */
/* RP.  before SP (G13) is written: a = the new value; a STKOF UsageFault when below the limit */
ARM_HELPER_VOID(m_sp_limit);
#endif
