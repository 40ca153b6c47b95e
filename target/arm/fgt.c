/* SPDX-License-Identifier: MIT */
/*
 * Fine-grained traps (FEAT_FGT; DDI 0487, D19.2: HDFGRTR_EL2, HDFGWTR_EL2, HFGITR_EL2, HFGRTR_EL2, HFGWTR_EL2): a bit a
 * register or instruction.
 */
#include "target/arm/sysregs.h"

#define K(op0, op1, crn, crm, op2) ARM_SYS_KEY(op0, op1, crn, crm, op2)
enum { REGISTERS, DEBUG, INSTRUCTIONS };
enum { R = 1, W = 2, RW = R | W };

/* Keys that agree with `key` but for `any`. */
typedef struct FgtRow { uint32_t key, any; uint8_t group, bit, ways; } FgtRow;
#define REG(bit, ways, ...) { K(__VA_ARGS__), 0, REGISTERS, bit, ways }
#define PAIR(bit, ...) { K(__VA_ARGS__), 1, REGISTERS, bit, RW }
#define DBG(bit, ways, ...) { K(__VA_ARGS__), 0, DEBUG, bit, ways }
#define DBG_N(bit, any, ...) { K(__VA_ARGS__), any, DEBUG, bit, RW }
#define INS(bit, ...) { K(__VA_ARGS__), 0, INSTRUCTIONS, bit, W }
enum { CRM = 15 << 3, CRM_LOW = 3 << 3, OP2 = 7 };

static const FgtRow rows[] = {
    /* AFSR0, AFSR1, AIDR, AMAIR */
    REG(0, RW, 3, 0, 5, 1, 0),
    REG(1, RW, 3, 0, 5, 1, 1),
    REG(2, R, 3, 1, 0, 0, 7),
    REG(3, RW, 3, 0, 10, 3, 0),
    /* DA DB GA IA IB */
    PAIR(4, 3, 0, 2, 2, 0),
    PAIR(5, 3, 0, 2, 2, 2),
    PAIR(6, 3, 0, 2, 3, 0),
    PAIR(7, 3, 0, 2, 1, 0),
    PAIR(8, 3, 0, 2, 1, 2),
    /* CCSIDR CLIDR CONTEXTIDR CPACR */
    REG(9, R, 3, 1, 0, 0, 0),
    REG(10, R, 3, 1, 0, 0, 1),
    REG(11, RW, 3, 0, 13, 0, 1),
    REG(12, RW, 3, 0, 1, 0, 2),
    /* CSSELR CTR DCZID ESR */
    REG(13, RW, 3, 2, 0, 0, 0),
    REG(14, R, 3, 3, 0, 0, 1),
    REG(15, R, 3, 3, 0, 0, 7),
    REG(16, RW, 3, 0, 5, 2, 0),
    /* FAR ISR LORC LOREA */
    REG(17, RW, 3, 0, 6, 0, 0),
    REG(18, R, 3, 0, 12, 1, 0),
    REG(19, RW, 3, 0, 10, 4, 3),
    REG(20, RW, 3, 0, 10, 4, 1),
    /* LORID LORN LORSA MAIR */
    REG(21, R, 3, 0, 10, 4, 7),
    REG(22, RW, 3, 0, 10, 4, 2),
    REG(23, RW, 3, 0, 10, 4, 0),
    REG(24, RW, 3, 0, 10, 2, 0),
    /* MIDR MPIDR PAR REVIDR */
    REG(25, R, 3, 0, 0, 0, 0),
    REG(26, R, 3, 0, 0, 0, 5),
    REG(27, RW, 3, 0, 7, 4, 0),
    REG(28, R, 3, 0, 0, 0, 6),
    /* SCTLR SCXTNUM x 2 TCR */
    REG(29, RW, 3, 0, 1, 0, 0),
    REG(30, RW, 3, 0, 13, 0, 7),
    REG(31, RW, 3, 3, 13, 0, 7),
    REG(32, RW, 3, 0, 2, 0, 2),
    /* TPIDR x 3 TTBR0 */
    REG(33, RW, 3, 0, 13, 0, 4),
    REG(34, RW, 3, 3, 13, 0, 3),
    REG(35, RW, 3, 3, 13, 0, 2),
    REG(36, RW, 3, 0, 2, 0, 0),
    REG(37, RW, 3, 0, 2, 0, 1),
    REG(38, RW, 3, 0, 12, 0, 0),
    PAIR(39, 3, 0, 12, 12, 6), /* TTBR1 VBAR ICC_IGRPENn */
    REG(40, R, 3, 0, 5, 3, 0),
    REG(41, RW, 3, 0, 5, 3, 1), /* ERRIDR ERRSELR */
    /* DBGBCR BVR WCR WVR */
    DBG_N(0, CRM, 2, 0, 0, 0, 5),
    DBG_N(1, CRM, 2, 0, 0, 0, 4),
    DBG_N(2, CRM, 2, 0, 0, 0, 7),
    DBG_N(3, CRM, 2, 0, 0, 0, 6),
    /* MDSCR DBGCLAIM DBGAUTHSTATUS */
    DBG(4, RW, 2, 0, 0, 2, 2),
    DBG(5, RW, 2, 0, 7, 8, 6),
    DBG(5, RW, 2, 0, 7, 9, 6),
    DBG(6, R, 2, 0, 7, 14, 6),
    /* DBGPRCR OS* */
    DBG(7, RW, 2, 0, 1, 4, 4),
    DBG(8, W, 2, 0, 1, 0, 4),
    DBG(9, R, 2, 0, 1, 1, 4),
    DBG(10, RW, 2, 0, 0, 6, 2),
    DBG(11, RW, 2, 0, 1, 3, 4),
    /* PMEVCNTR PMCCFILTR, which comes before */
    DBG_N(12, CRM_LOW | OP2, 3, 3, 14, 8, 0),
    DBG(12, RW, 3, 3, 9, 13, 2),
    DBG(14, RW, 3, 3, 14, 15, 7),
    /* PMEVTYPER PMCCNTR */
    DBG_N(13, CRM_LOW | OP2, 3, 3, 14, 12, 0),
    DBG(13, RW, 3, 3, 9, 13, 1),
    DBG(15, RW, 3, 3, 9, 13, 0),
    /* PMCNTEN PMINTEN */
    DBG(16, RW, 3, 3, 9, 12, 1),
    DBG(16, RW, 3, 3, 9, 12, 2),
    DBG(17, RW, 3, 0, 9, 14, 1),
    DBG(17, RW, 3, 0, 9, 14, 2),
    /* PMOVS PMSELR PMSWINC */
    DBG(18, RW, 3, 3, 9, 12, 3),
    DBG(18, RW, 3, 3, 9, 14, 3),
    DBG(19, RW, 3, 3, 9, 12, 5),
    DBG(20, W, 3, 3, 9, 12, 4),
    DBG(21, W, 3, 3, 9, 12, 0),
    DBG(22, R, 3, 0, 9, 14, 6),
    DBG(57, R, 3, 3, 9, 14, 0),
    DBG(58, R, 3, 3, 9, 12, 6),
    DBG(58, R, 3, 3, 9, 12, 7),
    /* IC DC */
    INS(0, 1, 0, 7, 1, 0),
    INS(1, 1, 0, 7, 5, 0),
    INS(2, 1, 3, 7, 5, 1),
    INS(3, 1, 0, 7, 6, 1),
    INS(4, 1, 0, 7, 6, 2),
    INS(5, 1, 0, 7, 10, 2),
    INS(6, 1, 0, 7, 14, 2),
    INS(7, 1, 3, 7, 11, 1),
    INS(8, 1, 3, 7, 12, 1),
    INS(9, 1, 3, 7, 13, 1),
    INS(10, 1, 3, 7, 14, 1),
    INS(11, 1, 3, 7, 4, 1),
    /* AT */
    INS(12, 1, 0, 7, 8, 0),
    INS(13, 1, 0, 7, 8, 1),
    INS(14, 1, 0, 7, 8, 2),
    INS(15, 1, 0, 7, 8, 3),
    INS(16, 1, 0, 7, 9, 0),
    INS(17, 1, 0, 7, 9, 1),
    /* TLBI */
    INS(18, 1, 0, 8, 1, 0),
    INS(19, 1, 0, 8, 1, 1),
    INS(20, 1, 0, 8, 1, 2),
    INS(21, 1, 0, 8, 1, 3),
    INS(22, 1, 0, 8, 1, 5),
    INS(23, 1, 0, 8, 1, 7),
    INS(24, 1, 0, 8, 5, 1),
    INS(25, 1, 0, 8, 5, 3),
    INS(26, 1, 0, 8, 5, 5),
    INS(27, 1, 0, 8, 5, 7),
    INS(28, 1, 0, 8, 3, 0),
    INS(29, 1, 0, 8, 3, 1),
    INS(30, 1, 0, 8, 3, 2),
    INS(31, 1, 0, 8, 3, 3),
    INS(32, 1, 0, 8, 3, 5),
    INS(33, 1, 0, 8, 3, 7),
    INS(34, 1, 0, 8, 2, 1),
    INS(35, 1, 0, 8, 2, 3),
    INS(36, 1, 0, 8, 2, 5),
    INS(37, 1, 0, 8, 2, 7),
    INS(38, 1, 0, 8, 6, 1),
    INS(39, 1, 0, 8, 6, 3),
    INS(40, 1, 0, 8, 6, 5),
    INS(41, 1, 0, 8, 6, 7),
    INS(42, 1, 0, 8, 7, 0),
    INS(43, 1, 0, 8, 7, 1),
    INS(44, 1, 0, 8, 7, 2),
    INS(45, 1, 0, 8, 7, 3),
    INS(46, 1, 0, 8, 7, 5),
    INS(47, 1, 0, 8, 7, 7),
    /* CFP DVP CPP, DC CVAC */
    INS(48, 1, 3, 7, 3, 4),
    INS(49, 1, 3, 7, 3, 5),
    INS(50, 1, 3, 7, 3, 7),
    INS(54, 1, 3, 7, 10, 1),
};

uint64_t arm_fgt_mode(const ArmCpu *c)
{
    if (!c->has.fgt || c->el >= 2 || !c->aarch64 || !arm_el2_enabled(c) || (c->el == 0 && arm_e2h_host(arm_hcr(c))) ||
        (c->has.el3 && !(c->scr_el3 & SCR_FGTEN)))
        return 0;
    return c->hfgrtr_el2 | c->hfgwtr_el2 | c->hfgitr_el2 | c->hdfgrtr_el2 | c->hdfgwtr_el2 ? ARM_MODE_FGT : 0;
}

bool arm_fgt_traps(const ArmCpu *c, uint32_t key, bool write)
{
    if (!(c->v.mode & ARM_MODE_FGT))
        return false;
    const uint64_t bits[] = { [REGISTERS] = write ? c->hfgwtr_el2 : c->hfgrtr_el2,
                              [DEBUG] = write ? c->hdfgwtr_el2 : c->hdfgrtr_el2,
                              [INSTRUCTIONS] = c->hfgitr_el2 };
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        const FgtRow *r = &rows[i];
        if ((key & ~r->any) == r->key)
            return r->ways & (write ? W : R) && bits[r->group] >> r->bit & 1;
    }
    return false;
}

bool arm_fgt_traps_bit(const ArmCpu *c, unsigned bit) { return c->v.mode & ARM_MODE_FGT && c->hfgitr_el2 >> bit & 1; }
