/* SPDX-License-Identifier: MIT */
/* System management mode. */
#ifndef TARGET_X86_SMM_H
#define TARGET_X86_SMM_H

#include "target/x86/cpu.h"

/* Save the state to SMRAM and start the SMI handler; between instructions. */
void x86_smm_enter(X86Cpu *c);
/* In SMM or not: c->smm and the address space that goes with it. The caller flushes the TLB. */
void x86_set_smm(X86Cpu *c, bool smm);
extern const CpuPortOps x86_port_ops; /* events.c */
#endif
