/* SPDX-License-Identifier: MIT */
/* Was a faulting access one of the stack? A non-canonical address then raises #SS instead of #GP (SDM vol. 3, 6.15). */
#include "base/bits.h"
#include "target/x86/tcg/emit.h"
#include "target/x86/tcg/translate.h"

static bool implicit_stack(const X86Insn *i)
{
    static X86Emit *const stack[] = {
        x86_emit_push, x86_emit_pop,      x86_emit_push_seg, x86_emit_pop_seg,  x86_emit_pushf,
        x86_emit_popf, x86_emit_enter,    x86_emit_leave,    x86_emit_call_rel, x86_emit_call_ind,
        x86_emit_ret,  x86_emit_call_far, x86_emit_ret_far,  x86_emit_iret,
    };
    for (unsigned n = 0; n < ARRAY_LEN(stack); n++)
        if (i->op->emit == stack[n])
            return true;
    return false;
}

bool x86_access_is_stack(X86Cpu *c, uint64_t va)
{
    uint8_t code[15];
    X86Insn i = { .pc = c->v.pc };
    unsigned len = sizeof code;
    while (len && !guest_debug_read(&c->v, c->v.pc, code, len))
        len--;
    if (x86_decode(&i, code, len, 64, true, x86_decode_needs(c)) != X86D_OK)
        return false;
    bool memory = i.has_modrm && i.mod != 3;
    if (memory && i.seg == SEG_SS)
        return true;
    /* PUSH [mem], CALL [mem]: the operand's access or the push's */
    return implicit_stack(&i) && (!memory || va - (c->v.g[RSP] - 8) < 16);
}
