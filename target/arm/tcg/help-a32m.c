/* SPDX-License-Identifier: MIT */
/* Helpers of the T32 front end for M-profile: division by zero (v7-R too), low-overhead loops. */
#include "target/arm/m/m.h"
#include "target/arm/system.h"
#include "target/arm/tcg/help-a32.h"

ARM_HELPER_VOID(a32_check_divisor)
{
    ArmM *m = arm_cpu(v)->m;
    if (!m) { /* v7-R: UNDEFINED */
        if (!(uint32_t)a && arm_sctlr(arm_cpu(v)) & SCTLR_DZ)
            arm_raise(arm_cpu(v), EC_UNKNOWN, 0, 0);
        return;
    }
    if (!(uint32_t)a && m->b[m->secure].ccr & CCR_DIV_0_TRP)
        arm_m_raise(arm_cpu(v), M_EXC_USAGE, UFSR_DIVBYZERO);
}

ARM_HELPER_VOID(a32_invstate) { arm_m_raise(arm_cpu(v), M_EXC_USAGE, UFSR_INVSTATE); }

ARM_HELPER_VOID(a32_set_ltpsize)
{
    arm_cpu(v)->ltpsize = (uint8_t)a;
    arm_update_mode(arm_cpu(v));
}

ARM_HELPER(a32_tail_elements) { return 16u >> arm_cpu(v)->ltpsize; }
ARM_HELPER(a32_not_above) { return (uint32_t)a <= (uint32_t)b; }
