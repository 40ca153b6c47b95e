/* SPDX-License-Identifier: MIT */
/* Vector operations of the IR: their table and their portable execution. */
#ifndef ACCEL_TCG_VEC_H
#define ACCEL_TCG_VEC_H

#include <stdbool.h>
#include <stdint.h>
#include "accel/vcpu.h"

typedef enum VecShape {
    VEC_SHAPE_VV,
    VEC_SHAPE_VVI,
    VEC_SHAPE_VI,
    VEC_SHAPE_MV,
    VEC_SHAPE_GV,
    VEC_SHAPE_GVI,
    VEC_SHAPE_VG,
    VEC_SHAPE_VGI,
    VEC_SHAPE_F
} VecShape;
enum { /* row flags */
       VEC_ALIGN = 1 << 0, /* a 16-byte memory operand must be aligned (x86: #GP(0)) */
       VEC_FP = 1 << 1, /* obeys and updates the SIMD FP control word */
       VEC_W = 1 << 2, /* REX.W: 64-bit general register operand */
       VEC_RM_DST = 1 << 3, /* modrm.rm is the destination */
       VEC_MEM_ONLY = 1 << 4,
       VEC_REG_ONLY = 1 << 5,
       VEC_V0 = 1 << 6, /* V(0) is an implicit third operand */
       /* the feature that the encoding belongs to */
       VEC_SSE = 1 << 8,
       VEC_SSE2 = 1 << 9,
       VEC_SSE3 = 1 << 10,
       VEC_SSSE3 = 1 << 11,
       VEC_SSE41 = 1 << 12,
       VEC_SSE42 = 1 << 13,
       VEC_AES = 1 << 14,
       VEC_PCLMUL = 1 << 15,
       VEC_SHA = 1 << 16,
};
typedef enum VecOp {
#define X(id, mn, shape, msize, prefix, map, opcode, ext, flags) VEC_##id,
#include "accel/tcg/vec.def"
#undef X
    VEC_OP_COUNT
} VecOp;

typedef struct VecInfo {
    const char *mnemonic;
    uint8_t shape, msize, prefix, map, opcode;
    int8_t ext;
    uint32_t flags;
} VecInfo;
extern const VecInfo vec_info[VEC_OP_COUNT];

/*
 * Run one operation on copies of its operands: d and a are V registers, or hold a G operand in u64[0], or the msize
 * bytes of a memory operand in their low bytes (the rest zero). v0 is V(0). a_is_mem tells rows whose memory form
 * differs (MOVSS ...). FP rows run under *fp_control (x86 MXCSR layout), whose sticky bits are updated. Returns the
 * explicit flag bits for shape F. Only the bytes that the operation defines of *d change; GV writes u64[0]
 * zero-extended.
 */
uint32_t vec_run(VecOp op, VecReg *d, const VecReg *a, const VecReg *v0, unsigned imm, bool a_is_mem,
                 uint32_t *fp_control);

/* AES in parts: SubBytes with ShiftRows, MixColumns, or their inverses, on 16 bytes. */
void vec_aes_sub_rows(VecReg *s, bool inverse);
void vec_aes_mix(VecReg *s, bool inverse);

/* SIMD FP control while C code runs, and the guest's while generated code runs (x86 hosts: MXCSR; others: fenv). */
#define FP_CONTROL_DEFAULT 0x1f80u
#endif
