/* SPDX-License-Identifier: MIT */
/*
 * KVM's paravirtual clock as guests see it: MSRs 4B564D00h, 4B564D01h and CPUID leaves 4000000xh. -cpu ...,kvm=off
 * hides all of it.
 */
#ifndef TARGET_X86_KVMCLOCK_H
#define TARGET_X86_KVMCLOCK_H

#include "target/x86/cpu.h"

/* Writes of the MSRs; false: #GP. */
bool x86_kvmclock_write(X86Cpu *c, uint64_t value);
bool x86_kvmclock_write_wall(X86Cpu *c, uint64_t value);
/* After a change of the TSC. */
void x86_kvmclock_update(X86Cpu *c);
void x86_kvm_leaf(const X86Cpu *c, uint32_t leaf, uint32_t o[4]); /* 4000000xh: eax ebx ecx edx, zeroed before */
#endif
