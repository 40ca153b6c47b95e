/* SPDX-License-Identifier: MIT */
/*
 * The decoder: bytes → one instruction with its operands, by tables (*.def). Knows nothing of vCPUs: tests call it too.
 */
#ifndef TARGET_X86_TCG_DECODE_H
#define TARGET_X86_TCG_DECODE_H

#include <stdbool.h>
#include <stdint.h>

typedef struct X86Trans X86Trans;
typedef struct X86Insn X86Insn;
typedef void X86Emit(X86Trans *x, const X86Insn *i);

/* Features that rows may need (one bit each in a mask). A row whose feature the CPU lacks is skipped as if it did not
 * stand in the table: TZCNT falls back to BSF, the others to #UD. X(name, CPUID word: X86_FW_* of models.h, bit). */
#define X86_NEEDS(X) \
    X(TSC, 1_EDX, 4) X(MSR, 1_EDX, 5) X(CX8, 1_EDX, 8) X(SEP, 1_EDX, 11) X(CMOV, 1_EDX, 15) \
    X(CLFLUSH, 1_EDX, 19) X(MMX, 1_EDX, 23) X(FXSR, 1_EDX, 24) X(SSE, 1_EDX, 25) X(SSE2, 1_EDX, 26) \
    X(SSE3, 1_ECX, 0) X(PCLMULQDQ, 1_ECX, 1) X(MONITOR, 1_ECX, 3) X(SSSE3, 1_ECX, 9) X(CX16, 1_ECX, 13) \
    X(SSE41, 1_ECX, 19) X(SSE42, 1_ECX, 20) X(MOVBE, 1_ECX, 22) X(POPCNT, 1_ECX, 23) X(AES, 1_ECX, 25) \
    X(XSAVE, 1_ECX, 26) X(AVX, 1_ECX, 28) X(F16C, 1_ECX, 29) X(FMA, 1_ECX, 12) X(RDRAND, 1_ECX, 30) \
    X(FSGSBASE, 7_EBX, 0) X(BMI1, 7_EBX, 3) X(AVX2, 7_EBX, 5) X(BMI2, 7_EBX, 8) X(INVPCID, 7_EBX, 10) \
    X(RDSEED, 7_EBX, 18) X(ADX, 7_EBX, 19) X(SMAP, 7_EBX, 20) X(CLFLUSHOPT, 7_EBX, 23) X(CLWB, 7_EBX, 24) \
    X(SHA, 7_EBX, 29) X(RDPID, 7_ECX, 22) X(GFNI, 7_ECX, 8) \
    X(LAHF, EXT1_ECX, 0) X(LZCNT, EXT1_ECX, 5) X(SSE4A, EXT1_ECX, 6) \
    X(PREFETCHW, EXT1_ECX, 8) X(SYSCALL, EXT1_EDX, 11) X(RDTSCP, EXT1_EDX, 27) \
    X(FPU, 1_EDX, 0) X(XSAVEOPT, D1_EAX, 0) X(XSAVEC, D1_EAX, 1) X(XSAVES, D1_EAX, 3)
typedef enum X86Need {
    X86_NEED_NONE,
#define X(name, word, bit) X86_NEED_##name,
    X86_NEEDS(X)
#undef X
    X86_NEED_COUNT
} X86Need;
#define X86_NEEDS_ALL (~UINT64_C(0))

/* What an encoding must have to match a row: the `match` column, an or of these. */
enum {
    X86M_ANY = 0,
    /* mandatory prefixes, any of those named: F3/F2 (the last counts) before 66; none named: any */
    X86M_NP = 1 << 0, X86M_P66 = 1 << 1, X86M_PF3 = 1 << 2, X86M_PF2 = 1 << 3, X86M_NP66 = X86M_NP | X86M_P66,
    X86M_MEM = 1 << 4, X86M_REGISTER = 1 << 5, /* ModRM.mod != 3, = 3 */
    X86M_HAS_REG = 1 << 6, X86M_HAS_RM = 1 << 7,
    X86M_REXW = 1 << 8, X86M_NOREXW = 1 << 9, X86M_NOREXB = 1 << 10,
    X86M_VEX = 1 << 11,                       /* VEX.L = 0; without it: not VEX-coded */
#define X86M_REG(n) (X86M_HAS_REG | (n) << 16)                                 /* ModRM.reg = n */
#define X86M_RM(r, n) (X86M_HAS_RM | X86M_REG(r) | X86M_REGISTER | (n) << 20)   /* the byte 11 r n */
    X86M_MODRM = X86M_MEM | X86M_REGISTER | X86M_HAS_REG | X86M_HAS_RM,
};

/* Attributes of a row. */
enum {
    X86A_D64 = 1 << 0,    /* 64-bit code: operand size 64 by default (66 gives 16) */
    X86A_F64 = 1 << 1,    /* 64-bit code: operand size 64 always (near branches; 66 is ignored, as on Intel's) */
    X86A_I64 = 1 << 2,    /* not in 64-bit code */
    X86A_O64 = 1 << 3,    /* only in 64-bit code */
    X86A_LOCK = 1 << 4,   /* LOCK allowed when the destination is memory */
    X86A_REP = 1 << 5,    /* F2/F3 repeat it */
    X86A_CPL0 = 1 << 6,   /* #GP(0) unless CPL 0 */
    X86A_PROT = 1 << 7,   /* #UD in real and virtual-8086 mode */
    X86A_REGONLY = 1 << 8,/* ModRM.mod is ignored: always a register (MOV CR, DR) */
};

typedef enum X86OpdSpec {
#define X(name, method, size) X86O_##name,
#include "target/x86/tcg/operands.def"
#undef X
    X86O_COUNT
} X86OpdSpec;

/* A row of the tables. */
typedef struct X86Op {
    uint32_t opcode;      /* as the manual writes it: 0x90, 0x0f05, 0x0f38f0 */
    uint32_t match;
    const char *mnemonic; /* "a|b|c": by operand size 16|32|64 */
    uint8_t spec[3];      /* X86OpdSpec */
    uint16_t attr;
    uint8_t need;
    X86Emit *emit;
    uint32_t arg;
} X86Op;

enum { X86_NO_REG = 0xff, X86_RIP = 16 };
typedef enum X86OpdKind {
    X86K_NONE,
    X86K_REG,
    X86K_REGH /* AH CH DH BH: reg 0..3 */,
    X86K_MEM,
    X86K_IMM,
    X86K_SEG,
    X86K_CR,
    X86K_DR,
    X86K_VEC,
    X86K_MMX,
    X86K_ST,
    X86K_XSTR /* DS:rSI */,
    X86K_YSTR /* ES:rDI */
} X86OpdKind;
typedef struct X86Operand { uint8_t kind, reg, size; } X86Operand;

struct X86Insn {
    const X86Op *op;
    /* filled by the caller of x86_decode() before (pc) and by it (next_pc, wrapped to the code size) */
    uint64_t pc, next_pc;
    uint8_t bits;          /* code size: 16, 32, 64 */
    uint8_t len, opcode;   /* opcode: its last byte */
    uint8_t osize, asize;  /* 2, 4, 8 */
    bool lock, p66, rep, repne, vex, vex_l, has_modrm;
    uint8_t rex;           /* 0x40.. or 0; VEX gives the same bits (0x40 never alone) */
    uint8_t vvvv;
    uint8_t modrm, mod, reg, rm; /* reg and rm with their REX bits */
    X86Operand o[3];
    /* sign-extended where the operand says so; imm2: second immediate (ENTER), selector of a far pointer */
    uint64_t imm, imm2;
    bool has_imm;
    /* memory operand */
    uint8_t base, index, scale, seg; /* registers or X86_NO_REG, X86_RIP; seg: X86SegReg that applies */
    int64_t disp;          /* for X86_RIP: from next_pc; moffs: the whole address */
    uint8_t seg_override;  /* or X86_NO_REG; in 64-bit code FS, GS only */
};

typedef enum X86DecodeStatus {
    X86D_OK,
    X86D_MORE,     /* needs more than `avail` bytes */
    X86D_TOO_LONG, /* more than 15 bytes: #GP(0) */
    X86D_UD,       /* no such instruction; i->len bytes were looked at */
} X86DecodeStatus;

/* bits: 16, 32 or 64. `protected`: protected mode, not virtual-8086 (VEX exists only there). needs: mask of
 * BIT(X86_NEED_*). i->pc is set by the caller. */
X86DecodeStatus x86_decode(X86Insn *i, const uint8_t *code, unsigned avail, unsigned bits, bool protected,
                           uint64_t needs);
/* Name by operand size, into buf. */
const char *x86_insn_mnemonic(const X86Insn *i, char buf[16]);

/* The rows, for tests and documentation. */
const X86Op *x86_op_rows(unsigned *count);
#endif
