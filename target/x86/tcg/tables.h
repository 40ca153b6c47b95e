/* SPDX-License-Identifier: MIT */
/* Size of the decode tables. */
#ifndef TARGET_X86_TCG_TABLES_H
#define TARGET_X86_TCG_TABLES_H
enum { X86_MAX_ROWS = 2048 };
#endif
