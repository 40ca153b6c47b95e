/* SPDX-License-Identifier: MIT */
/* Private to target/arm: what its system parts offer each other. */
#ifndef TARGET_ARM_SYSTEM_H
#define TARGET_ARM_SYSTEM_H

#include "target/arm/models.h"

/* --- registers' bits (DDI 0487, D19.2) --- */
#define SCTLR_M BIT(0)
#define SCTLR_A BIT(1)
#define SCTLR_C BIT(2)
#define SCTLR_SA BIT(3)
#define SCTLR_SA0 BIT(4)
#define SCTLR_CP15BEN BIT(5)
#define SCTLR_ITD BIT(7)
#define SCTLR_SED BIT(8)
#define SCTLR_UMA BIT(9)
#define SCTLR_I BIT(12)
#define SCTLR_V BIT(13)   /* AArch32 */
#define SCTLR_DZE BIT(14)
#define SCTLR_UCT BIT(15)
#define SCTLR_NTWI BIT(16)
#define SCTLR_BR BIT(17)  /* PMSA */
#define SCTLR_NTWE BIT(18)
#define SCTLR_WXN BIT(19)
#define SCTLR_DZ BIT(19)  /* v7-R: division by zero is UNDEFINED */
#define SCTLR_UWXN BIT(20) /* AArch32 */
#define SCTLR_U BIT(22)   /* v6 */
#define SCTLR_SPAN BIT(23)
#define SCTLR_XP BIT(23)  /* v6: no subpages */
#define SCTLR_E0E BIT(24)
#define SCTLR_EE BIT(25)
#define SCTLR_UCI BIT(26)
#define SCTLR_TRE BIT(28) /* AArch32 */
#define SCTLR_AFE BIT(29) /* AArch32 */
#define SCTLR_TE BIT(30)  /* AArch32 */
#define SCTLR_BT0 BIT(35)
#define SCTLR_BT1 BIT(36)
#define SCTLR_DSSBS BIT(44)
#define SCTLR_EPAN BIT(57)
#define HCR_VM BIT(0)
#define HCR_SWIO BIT(1)
#define HCR_PTW BIT(2)
#define HCR_FMO BIT(3)
#define HCR_IMO BIT(4)
#define HCR_AMO BIT(5)
#define HCR_VF BIT(6)
#define HCR_VI BIT(7)
#define HCR_VSE BIT(8)
#define HCR_FB BIT(9)
#define HCR_DC BIT(12)
#define HCR_TWI BIT(13)
#define HCR_TWE BIT(14)
#define HCR_TID0 BIT(15)
#define HCR_TID1 BIT(16)
#define HCR_TID2 BIT(17)
#define HCR_TID3 BIT(18)
#define HCR_TSC BIT(19)
#define HCR_TIDCP BIT(20)
#define HCR_TACR BIT(21)
#define HCR_TSW BIT(22)
#define HCR_TPCP BIT(23)
#define HCR_TPU BIT(24)
#define HCR_TTLB BIT(25)
#define HCR_TVM BIT(26)
#define HCR_TGE BIT(27)
#define HCR_TDZ BIT(28)
#define HCR_HCD BIT(29)
#define HCR_TRVM BIT(30)
#define HCR_RW BIT(31)
#define HCR_CD BIT(32)
#define HCR_ID BIT(33)
#define HCR_E2H BIT(34)
#define HCR_TLOR BIT(35)
#define HCR_TERR BIT(36)
#define HCR_TEA BIT(37)
#define HCR_APK BIT(40)
#define HCR_API BIT(41)
#define HCR_TID4 BIT(49)
#define HCR_TICAB BIT(50)
#define HCR_TOCU BIT(52)
#define HCR_TTLBIS BIT(54)
#define HCR_TTLBOS BIT(55)
#define HCR_ATA BIT(56)
#define HCR_TID5 BIT(58)
#define SCR_NS BIT(0)
#define SCR_IRQ BIT(1)
#define SCR_FIQ BIT(2)
#define SCR_EA BIT(3)
#define SCR_FW BIT(4)
#define SCR_AW BIT(5)
#define SCR_SMD BIT(7)
#define SCR_HCE BIT(8)
#define SCR_SIF BIT(9)
#define SCR_RW BIT(10)
#define SCR_ST BIT(11)
#define SCR_TWI BIT(12)
#define SCR_TWE BIT(13)
#define SCR_TERR BIT(15)
#define SCR_APK BIT(16)
#define SCR_API BIT(17)
#define SCR_EEL2 BIT(18)
#define SCR_ATA BIT(26)
#define SCR_FGTEN BIT(27)

/* --- mode.c --- */
enum { ARM_SVE_MAX_VQ = 4 };
bool arm_fp_trapped(const ArmCpu *c);        /* by anything: FP_TRAP */
unsigned arm_sve_vq(const ArmCpu *c);
void arm_sve_narrow(ArmCpu *c);              /* what the present vector length has no place for becomes zero */
unsigned arm_bank_index(unsigned mode);      /* ARM_BANKED_* of an AArch32 mode */
unsigned arm_mode32_el(const ArmCpu *c, unsigned mode);

/* --- debug.c, mte.c --- */
uint64_t arm_debug_mode(const ArmCpu *c);    /* STEP, BREAKPOINT, WATCHPOINT */
uint64_t arm_mte_mode(const ArmCpu *c);

/* --- fgt.c --- */
uint64_t arm_fgt_mode(const ArmCpu *c);      /* ARM_MODE_FGT, or 0 */
/* Does EL2 trap this access, or the instruction with this bit of HFGITR_EL2? */
bool arm_fgt_traps(const ArmCpu *c, uint32_t key, bool write);
bool arm_fgt_traps_bit(const ArmCpu *c, unsigned bit);
enum { FGT_ZVA = 11, FGT_ERET = 51, FGT_SVC_EL0 = 52, FGT_SVC_EL1 = 53 };

/* --- sysregs.c --- */
void arm_sysregs_reset(ArmCpu *c);

/* --- timer.c --- */
void arm_timers_init(ArmCpu *c);
void arm_timers_free(ArmCpu *c);
void arm_timers_update(ArmCpu *c); /* outputs and deadlines from the registers; own thread or stopped */
uint64_t arm_count(const ArmCpu *c); /* CNTPCT */
uint64_t arm_count_virtual(const ArmCpu *c); /* CNTVCT as the present level sees it */
/* The CPU halts: wake it at wfx_deadline, or after `ns` (-1: not before). */
void arm_timer_wait(ArmCpu *c, int64_t ns);

/* --- mmu.c --- */
void arm_bus_error(Vcpu *v, uint64_t va, hwaddr pa, AccessKind kind);
void arm_misaligned(Vcpu *v, uint64_t va, AccessKind kind, unsigned align);
unsigned arm_phys_bits_of(const ArmCpu *c);
bool arm_secure_only(hwaddr pa); /* the board shows that address to Secure accesses alone */
/* The TLB's number of an ASID now: of the EL1&0 regime, or (host) of EL2&0. */
uint32_t arm_tlb_number(const ArmCpu *c, uint32_t asid, bool host);
/* The page of va (code at the present level) has GP set. */
bool arm_page_is_guarded(ArmCpu *c, uint64_t va);

/* --- exceptions.c, exc32.c, syndrome.c --- */
unsigned arm_route_async(const ArmCpu *c, uint64_t scr_bit, uint64_t hcr_bit);
void arm_enter32(ArmCpu *c, const ArmEvent *e, unsigned target);
void arm_regs_32_to_64(ArmCpu *c);
void arm_regs_64_to_32(ArmCpu *c, unsigned mode); /* G becomes that of `mode` */
/* Change level and stack pointer (AArch64). */
void arm_select_sp(ArmCpu *c, unsigned el, bool sp_sel);
void arm_poll_after_return(ArmCpu *c);
/* Is it a fault of stage 2 (its hpfar is valid)? */
static inline bool arm_fault_is_stage2(const ArmEvent *e) { return e->kind == ARM_EVENT_SYNC && e->hpfar & BIT(63); }
/* ISV and what goes with it for the load or store at pc, 0: none. */
uint32_t arm_data_abort_isv(ArmCpu *c);
/* ISS for a target that uses AArch64; the CPU is still in the state that it comes from. */
uint32_t arm_syndrome64(const ArmCpu *c, unsigned ec, uint32_t iss);

/* --- events.c --- */
void arm_send_event(void);                   /* SEV: any thread */

/* --- psci.c --- */
/* A call of the emulator's firmware: X0-X3 are read, the result written; false: the function is not one of ours. */
void arm_psci_call(ArmCpu *c);

/* --- debug.c --- */
unsigned arm_debug_target(const ArmCpu *c);  /* the level that debug exceptions go to */

bool arm_step_active(const ArmCpu *c);
bool arm_step_pending(const ArmCpu *c);      /* the step exception comes before the next insn */
void arm_debug_changed(ArmCpu *c);           /* breakpoint and watchpoint registers were loaded */

/* --- pmu.c --- */
/* counters that run as values instead of distances from the clock, and back */
void arm_pmu_values(ArmCpu *c, bool values);
void arm_pmu_resume(ArmCpu *c);              /* after reset and load */
void arm_pmu_due(void *opaque);

/* --- print.c --- */
const GdbTarget *arm_gdb(const Vcpu *v); /* gdb.c */
void arm_print_regs(Vcpu *v, GString *out);
int arm_disassemble(uint64_t mode, uint64_t pc, const uint8_t *code, unsigned len, GString *out);
#endif
