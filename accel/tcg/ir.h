/* SPDX-License-Identifier: MIT */
/* The intermediate representation of one translation block. */
#ifndef ACCEL_TCG_IR_H
#define ACCEL_TCG_IR_H

#include <stdbool.h>
#include <stdint.h>
#include "accel/vcpu.h"

typedef enum IrOp {
#define X(name, effects) IR_##name,
#include "accel/tcg/ir.def"
#undef X
    IR_OP_COUNT
} IrOp;

/* An operand: kind in the high byte, number in the low byte. */
typedef uint16_t IrRef;
enum {
    IR_KIND_G = 0x000,
    IR_KIND_GH = 0x100,
    IR_KIND_T = 0x200,
    IR_KIND_V = 0x300,
    IR_KIND_IMM = 0x400,
    IR_KIND_MEM = 0x500,
    IR_KIND_NONE = 0xff00
};
#define IR_G(n) ((IrRef)(IR_KIND_G | (n)))
#define IR_GH(n) ((IrRef)(IR_KIND_GH | (n)))
#define IR_T(n) ((IrRef)(IR_KIND_T | (n)))
#define IR_V(n) ((IrRef)(IR_KIND_V | (n)))
#define IR_IMM ((IrRef)IR_KIND_IMM)   /* the value is insn.imm */
#define IR_MEM ((IrRef)IR_KIND_MEM)   /* the location is insn.m */
#define IR_NONE ((IrRef)IR_KIND_NONE)
#define ir_kind(r) ((r) & 0xff00)
#define ir_num(r) ((r) & 0xff)

/* Conditions over the flags: x86's encoding, of which other guests use what they need. */
typedef enum IrCond {
    IRC_O,
    IRC_NO,
    IRC_C,
    IRC_NC,
    IRC_Z,
    IRC_NZ,
    IRC_CZ /* below or equal */,
    IRC_NCZ,
    IRC_S,
    IRC_NS,
    IRC_P,
    IRC_NP,
    IRC_LT,
    IRC_GE,
    IRC_LE,
    IRC_GT
} IrCond;

enum { /* insn.flags */
    IR_SETF = 1 << 0,
    IR_LOCK = 1 << 1,
    IR_BE = 1 << 2,              /* the memory operand is big-endian */
    IR_NOTC = 1 << 8,            /* with IR_SETF: C is inverted, see ir.def */
    IR_FP_SLOW = 1 << 9,         /* SIMD: fp_rules has what host FP does not do */
    /* SIMD: round to nearest, default NaN, denormals are zero, whatever the control says */
    IR_FP_STANDARD = 1 << 10,
    IR_CALL_RAISES = 1 << 3,     /* CALL: the helper may unwind or call vcpu_sync() (a call-site record is made) */
    IR_CALL_GPR_ONLY = 1 << 4,   /* CALL: built with general registers only: vector registers are not saved around it */
    IR_CALL_READS_FLAGS = 1 << 5,/* CALL: v->fl must be up to date before it */
    IR_CALL_WRITES_FLAGS = 1 << 6,/* CALL: v->fl is the flags afterwards */
    /* CALL: neither reads nor writes g[], v[]: homes survive in registers where the ABI lets them */
    IR_CALL_PURE = 1 << 7,
};

/* Address = wrap(base + (index << scale) + disp) [+ 64-bit field at byte offset `segment` of the Vcpu]. */
typedef struct IrMem {
    IrRef base, index;   /* G or T, or IR_NONE */
    uint8_t scale;       /* 0..3 */
    uint8_t asize;       /* 2, 4 or 8: wrap to that many bytes before the segment base is added */
    uint8_t bank;        /* TLB bank */
    uint8_t align;       /* 0, or: an address that is no multiple of it (2, 4, 8, 16) goes to arch->misaligned */
    int32_t disp;
    uint32_t segment;    /* 0: none */
    bool wrap_linear;    /* the sum with the segment base wraps at 32 bits (x86 outside 64-bit mode) */
} IrMem;

typedef struct IrInsn {
    uint8_t op, size, size2, cond;
    uint16_t flags;
    uint16_t vec;        /* VEC, SIMD: the row */
    IrRef d, a, b, c;
    IrMem m;
    uint64_t imm;
    uint64_t imm2;       /* VEC: imm8; STE with IMM: the value; CALL: the IMM argument */
} IrInsn;

enum { IR_MAX_INSNS = 1024, IR_MAX_GUEST_INSNS = 64, IR_MAX_LABELS = 64 };

struct IrBlock {
    IrInsn insn[IR_MAX_INSNS];
    unsigned count, temps, labels, guest_insns;
    uint64_t pc;          /* guest pc of the first instruction */
    uint64_t linear;      /* its linear address */
    uint64_t mode;
    uint32_t guest_bytes; /* code bytes consumed from `linear` on */
    bool overflow;        /* too many ops: the front end must end the block earlier and be run again */
};

const char *ir_op_name(IrOp op);
void ir_print(const IrBlock *b, GString *out);
/*
 * Check the rules of ir.def (operand kinds, sizes, labels defined, block ended): asserts; for tests and debug builds.
 */
void ir_validate(const IrBlock *b);

/* The interpreter: runs the block on v; same contract as generated code. */
typedef struct IrRunResult { bool lookup; } IrRunResult;
#endif
