/* SPDX-License-Identifier: MIT */
/* The decode tables: the rows of the .def files, in order; the first row that matches an encoding is it. */
#include "target/x86/tcg/decode.h"
#include "accel/tcg/ir.h"
#include "accel/tcg/vec.h"
#include "base/bits.h"
#include "target/x86/fpu.h"
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

#define MMX_ROW(vec, form) (VEC_##vec | X86_MMX_##form << 16)
/* How rows of accel/tcg/vec.def read as rows of these tables. */
#define VEC_PREFIX(p) ((p) == 0x66 ? P66 : (p) == 0xf3 ? PF3 : (p) == 0xf2 ? PF2 : NP)
#define VEC_W_(n) ((n) == 2 ? X86O_Ww : (n) == 4 ? X86O_Wd : (n) == 8 ? X86O_Wq : X86O_Wdq)
#define VEC_E_(n, flags) ((flags) & VEC_W ? X86O_Eq : (n) == 1 ? X86O_Eb : (n) == 2 ? X86O_Ew : X86O_Ed)
#define VEC_G_(flags) ((flags) & VEC_W ? X86O_Gq : X86O_Gd)
#define VEC_SPECS_VV(n, flags) X86O_Vx, VEC_W_(n)
#define VEC_SPECS_VVI(n, flags) X86O_Vx, VEC_W_(n), X86O_Ib
#define VEC_SPECS_VI(n, flags) X86O_Ux, X86O_Ib
#define VEC_SPECS_MV(n, flags) VEC_W_(n), X86O_Vx
#define VEC_SPECS_GV(n, flags) \
    (flags) & VEC_RM_DST ? VEC_E_(n, flags) : VEC_G_(flags), (flags) & VEC_RM_DST ? X86O_Vx : VEC_W_(n)
#define VEC_SPECS_GVI(n, flags) VEC_SPECS_GV(n, flags), X86O_Ib
#define VEC_SPECS_VG(n, flags) X86O_Vx, VEC_E_(n, flags)
#define VEC_SPECS_VGI(n, flags) X86O_Vx, VEC_E_(n, flags), X86O_Ib
#define VEC_SPECS_F(n, flags) X86O_Vx, VEC_W_(n)
#define VEC_NEED(flags) \
    ((flags) & VEC_SSE ? X86_NEED_SSE : (flags) & VEC_SSE2 ? X86_NEED_SSE2 : (flags) & VEC_SSE3 ? X86_NEED_SSE3 : \
     (flags) & VEC_SSSE3 ? X86_NEED_SSSE3 : (flags) & VEC_SSE41 ? X86_NEED_SSE41 : (flags) & VEC_SSE42 \
         ? X86_NEED_SSE42 : \
     (flags) & VEC_AES ? X86_NEED_AES : (flags) & VEC_PCLMUL ? X86_NEED_PCLMULQDQ : X86_NEED_SHA)

#define X(opcode_, match_, mnemonic_, o1, o2, o3, emit_, arg_, attr_, need_) \
    { .opcode = opcode_, .match = match_, .mnemonic = mnemonic_, .spec = { X86O_##o1, X86O_##o2, X86O_##o3 }, \
      .attr = attr_, .need = X86_NEED_##need_, .emit = x86_emit_##emit_, .arg = arg_ },
static const X86Op rows[] = {
#include "target/x86/tcg/base.def"
#include "target/x86/tcg/ext0f.def"
#include "target/x86/tcg/ext0f38.def"
#include "target/x86/tcg/x87.def"
#include "target/x86/tcg/mmx.def"
#include "target/x86/tcg/sse.def"
#undef X
/* The vector operations of the IR are decoded by their own encoding columns. */
#define X(id, mn, shape_, msize_, prefix_, map_, opcode_, ext_, flags_) \
    { .opcode = ((map_) == 1 ? 0x0f00 : (map_) == 2 ? 0x0f3800 : 0x0f3a00) | (opcode_), \
      .match = VEC_PREFIX(prefix_) | ((ext_) >= 0 ? REG((ext_) & 7) : 0) | ((flags_) & VEC_MEM_ONLY ? MEM : 0) | \
               ((flags_) & VEC_REG_ONLY ? REGISTER : 0) | ((flags_) & VEC_W ? REXW : 0), \
      .mnemonic = mn, .spec = { VEC_SPECS_##shape_(msize_, flags_) }, .need = VEC_NEED(flags_), .emit = x86_emit_vec, \
      .arg = VEC_##id },
#include "accel/tcg/vec.def"
#undef X
};

const X86Op *x86_op_rows(unsigned *count)
{
    *count = ARRAY_LEN(rows);
    return rows;
}
