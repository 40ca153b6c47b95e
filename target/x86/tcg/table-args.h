/* SPDX-License-Identifier: MIT */
/* Arguments of emitters that are not IR ops, conditions or registers. */
#ifndef TARGET_X86_TCG_TABLE_ARGS_H
#define TARGET_X86_TCG_TABLE_ARGS_H
enum { BCD_DAA, BCD_DAS, BCD_AAA, BCD_AAS, BCD_AAD };
enum { LOOP_NE, LOOP_E, LOOP };
enum { SYS_SLDT, SYS_STR, SYS_SMSW };
enum { SYS_LLDT, SYS_LTR };
#endif
