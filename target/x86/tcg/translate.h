/* SPDX-License-Identifier: MIT */
/* The x86 front end's entry point. */
#ifndef TARGET_X86_TCG_TRANSLATE_H
#define TARGET_X86_TCG_TRANSLATE_H

#include "target/x86/cpu.h"

/* GuestArch.translate */
void x86_translate(Vcpu *v, TransCtx *t);
/* The features that the decoder may use (X86_NEED_* bits) of this CPU. */
uint64_t x86_decode_needs(const X86Cpu *c);
/* Is the access at va that the present 64-bit instruction (v->pc, synced) makes one of its stack? Slow: for faults. */
bool x86_access_is_stack(X86Cpu *c, uint64_t va);
#endif
