/* SPDX-License-Identifier: MIT */
/* Stands in for a host back end on hosts that have none. */
#include "accel/tcg/tcg.h"

bool jit_available(char **why_not)
{
    if (why_not)
        *why_not = g_strdup("there is no code generator for this host");
    return false;
}
void jit_vcpu_init(Vcpu *v) {}
bool jit_init(const GuestArch *arch, Error **errp) { return true; }
Block *jit_compile(Vcpu *v, IrBlock *ir, unsigned variant) { return NULL; }
void jit_retry_ranges(int64_t now) {}
RunResult jit_run(Vcpu *v, const void *entry) { return RUN_LOOKUP; }
void jit_link(Vcpu *v, BlockLink *l, Block *to) {}
void jit_unlink(BlockLink *l) {}
void jit_sync(Vcpu *v) {}
