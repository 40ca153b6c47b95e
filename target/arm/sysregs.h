/* SPDX-License-Identifier: MIT */
/* Private to the system register files: a row of the table, traps, hooks. */
#ifndef TARGET_ARM_SYSREGS_H
#define TARGET_ARM_SYSREGS_H

#include "target/arm/helpers.h"
#include "target/arm/system.h"

typedef struct ArmSysreg ArmSysreg;
typedef uint64_t SysregRead(ArmCpu *c, const ArmSysreg *r);
typedef void SysregWrite(ArmCpu *c, const ArmSysreg *r, uint64_t value);

/* Who may be asked before an access succeeds (arm_sysreg_trap). */
typedef enum SysregTrap {
    T_NONE,
    T_VM,
    T_TID1,
    T_TID2,
    T_TID3,
    T_TACR,
    T_CPAC,
    T_CPTR2,
    T_PMU,
    T_PMU_SW,
    T_PMU_CYC,
    T_PMU_EVT,
    T_PMCR,
    T_DBG,
    T_DBGOS,
    T_CNTPCT,
    T_CNTVCT,
    T_CNTFRQ,
    T_CNTP,
    T_CNTV,
    T_CNTS,
    T_SW,
    T_POC,
    T_POU,
    T_CTR,
    T_DZ,
    T_DAIF,
    T_TLB,
    T_LOR,
    T_APK,
    T_FP,
    T_SVE,
    T_SCXT,
    T_ERR,
    T_ATA,
    T_NSACR,
    T_FPID,
    T_SP0,
    T_HSTR,
    T_JAZ,
    T_THUMBEE,
    T_AT
} SysregTrap;

enum { F_LOOKUP = 1, F_EXIT = 2, /* after a write */
       F_NOP = 4,                /* writes do nothing */
       F_BANKED = 8,             /* AArch32: `alt` is the Secure copy's offset when EL3 is AArch32 */
       F_E2H = 16,               /* at EL2 with E2H: the EL2 register of the same name */
       F_SECURE = 32,            /* AArch32: only in Secure state */
       F_NO_DIRECT = 64 };

struct ArmSysreg {
    const char *name;
    uint32_t key;
    uint32_t offset, alt; /* of the field; 0: none */
    uint8_t size;         /* 4 or 8 */
    uint8_t rd, wr;       /* lowest EL that may; 4: none */
    uint8_t trap;
    uint16_t flags;
    int16_t need;         /* offset in ArmFeatures of what must be there, -1: nothing */
    SysregRead *read;
    SysregWrite *write;
    uint64_t mask;        /* writable bits; 0: all */
};

const ArmSysreg *arm_sysreg_rows(unsigned *count);     /* both tables; for tests */
const ArmSysreg *arm_sysreg_find(uint32_t key);
/* Where a trapped access goes: 0 allowed, 1-3 a level, -1 UNDEFINED. */
int arm_sysreg_trap(ArmCpu *c, const ArmSysreg *r, bool write);
uint64_t *arm_sysreg_field(ArmCpu *c, const ArmSysreg *r);

/* tlbi.c: the SYS space that is not a row. false: not known. */
bool arm_tlbi(ArmCpu *c, uint32_t key, uint64_t value);
bool arm_tlbi_known(const ArmCpu *c, uint32_t key);

/* hooks: timer.c, pmu.c, debug.c, at.c */
SysregRead arm_rd_cntpct, arm_rd_cntvct, arm_rd_timer_tval, arm_rd_timer_ctl, arm_rd_pmccntr, arm_rd_pmcr,
    arm_rd_pmevcntr, arm_rd_pmevtyper, arm_rd_pmceid;
SysregWrite arm_wr_timer_tval, arm_wr_timer_ctl, arm_wr_timer_cval, arm_wr_cntvoff, arm_wr_pmccntr, arm_wr_pmcr,
    arm_wr_pmcnten_set, arm_wr_pmcnten_clr, arm_wr_pmovs_clr, arm_wr_pmovs_set, arm_wr_pmswinc, arm_wr_pmint_set,
    arm_wr_pmint_clr, arm_wr_pmevcntr, arm_wr_pmevtyper, arm_wr_pmccfiltr;
SysregRead arm_rd_dbgclaim_set, arm_rd_oslsr;
SysregWrite arm_wr_mdscr, arm_wr_bvr, arm_wr_oslar, arm_wr_dbgclaim_set, arm_wr_dbgclaim_clr, arm_wr_cntkctl;
SysregWrite arm_wr_at;
#endif
