/* SPDX-License-Identifier: MIT */
/* Helpers of the A32 and T32 front end's own; letters as in target/arm/helpers.h. */
#ifndef TARGET_ARM_TCG_HELP_A32_H
#define TARGET_ARM_TCG_HELP_A32_H
#include "target/arm/helpers.h"

/* GP: values of 32 bits; Q and GE are set in ArmCpu */
ARM_HELPER(a32_add_q);         /* a + b */
ARM_HELPER(a32_sum_q);         /* a (64 bits) + b (32) */
ARM_HELPER(a32_qadd);
ARM_HELPER(a32_ssat);          /* b: bits */
ARM_HELPER(a32_usat);
ARM_HELPER(a32_ssat16);
ARM_HELPER(a32_usat16);
ARM_HELPER(a32_sxtab16);
ARM_HELPER(a32_uxtab16);
ARM_HELPER(a32_usad8);
ARM_HELPER(a32_sel);
ARM_HELPER(a32_parallel);
ARM_HELPER_VOID(a32_check_divisor); /* R: M-profile, CCR.DIV_0_TRP; v7-R, SCTLR.DZ */
ARM_HELPER(a32_nzcv);          /* explicit flag bits from N Z C V in a's bits 31:28 */
ARM_HELPER(a32_flags);         /* the same, and Q is set from bit 27 */

/* FP: help-a32-fp.c */
ARM_HELPER_VOID(a32_step);     /* VRECPS, VRSQRTS over v[] */
ARM_HELPER(a32_to_fixed16);
ARM_HELPER(a32_vmrs);          /* RF */
ARM_HELPER_VOID(a32_vmsr);     /* RF; then M */
/* P: */
ARM_HELPER_VOID(a32_state);    /* T bit = a */
ARM_HELPER_VOID(a32_set_it);
ARM_HELPER_VOID(a32_setend);   /* E bit = a */
ARM_HELPER_VOID(a32_setpan);   /* PAN = a */
ARM_HELPER(a32_spsr);          /* RF: undefined in modes that have none */
ARM_HELPER_VOID(a32_invstate);  /* R: UsageFault INVSTATE */
ARM_HELPER_VOID(a32_set_ltpsize); /* R  M: FPSCR.LTPSIZE = a; 4: no tail predication */
ARM_HELPER(a32_tail_elements); /* P    M: elements of a vector by LTPSIZE */
ARM_HELPER_VOID(a32_mve);       /* R    a = word, b = row of the table mve */
ARM_HELPER(a32_not_above);     /* GP   a <= b, unsigned, 32 bits */
ARM_HELPER_VOID(a32_srs);      /* RF  a = mode | P << 8 | U << 9 | W << 10 */
#endif
