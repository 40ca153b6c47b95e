/* SPDX-License-Identifier: MIT */
/* Arguments of emitters that are not IR ops, conditions or registers. */
#ifndef TARGET_X86_TCG_TABLE_ARGS_H
#define TARGET_X86_TCG_TABLE_ARGS_H
enum { BCD_DAA, BCD_DAS, BCD_AAA, BCD_AAS, BCD_AAD };
enum { LOOP_NE, LOOP_E, LOOP };
enum { SYS_SLDT, SYS_STR, SYS_SMSW };
enum { SYS_LLDT, SYS_LTR };
enum { MMX_STORE = 1, MMX_GENERAL = 2 };
enum { FX_SAVE, FX_RSTOR, FX_XSAVE, FX_XRSTOR, FX_XSAVEOPT, FX_XSAVEC, FX_XSAVES, FX_XRSTORS };
#endif
