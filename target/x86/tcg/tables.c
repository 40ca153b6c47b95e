/* SPDX-License-Identifier: MIT */
/* The decode tables: the rows of the .def files, in order; the first row that matches an encoding is it. */
#include "target/x86/tcg/decode.h"
#include "base/bits.h"
#include "target/x86/tcg/emit.h"
#include "target/x86/tcg/table-args.h"

/* The match, attribute and argument columns are written without prefixes. */
enum {
    ANY = X86M_ANY, NP = X86M_NP, P66 = X86M_P66, PF3 = X86M_PF3, PF2 = X86M_PF2, NP66 = X86M_NP66, MEM = X86M_MEM,
    REGISTER = X86M_REGISTER, REXW = X86M_REXW, NOREXW = X86M_NOREXW, NOREXB = X86M_NOREXB, VEX = X86M_VEX,
    D64 = X86A_D64, F64 = X86A_F64, I64 = X86A_I64, O64 = X86A_O64, LOCK = X86A_LOCK, REP = X86A_REP, CPL0 = X86A_CPL0,
    PROT = X86A_PROT, REGONLY = X86A_REGONLY,
};
#define REG X86M_REG
#define RM X86M_RM

#define X(opcode_, match_, mnemonic_, o1, o2, o3, emit_, arg_, attr_, need_) \
    { .opcode = opcode_, .match = match_, .mnemonic = mnemonic_, .spec = { X86O_##o1, X86O_##o2, X86O_##o3 }, \
      .attr = attr_, .need = X86_NEED_##need_, .emit = x86_emit_##emit_, .arg = arg_ },
static const X86Op rows[] = {
#include "target/x86/tcg/base.def"
#include "target/x86/tcg/ext0f.def"
#include "target/x86/tcg/ext0f38.def"
};
#undef X

const X86Op *x86_op_rows(unsigned *count)
{
    *count = ARRAY_LEN(rows);
    return rows;
}
