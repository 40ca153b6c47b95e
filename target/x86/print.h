/* SPDX-License-Identifier: MIT */
/* Registers and instructions as text. */
#ifndef TARGET_X86_PRINT_H
#define TARGET_X86_PRINT_H

#include "target/x86/cpu.h"

void x86_print_regs(Vcpu *v, GString *out); /* `info registers`: the layout that people know */
/* gdb.c */
const GdbTarget *x86_gdb(const Vcpu *v);
int x86_disassemble(uint64_t mode, uint64_t pc, const uint8_t *code, unsigned len, GString *out);
#endif
