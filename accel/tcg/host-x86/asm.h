/* SPDX-License-Identifier: MIT */
/* An x86-64 encoder: operand locations and the instructions that the back end uses. Intel SDM vol. 2. */
#ifndef ACCEL_TCG_HOST_X86_ASM_H
#define ACCEL_TCG_HOST_X86_ASM_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15, NO_REG = 0xff };

typedef enum LocKind { L_NONE, L_REG, L_HIGH /* bits 15:8 of RAX..RBX */, L_MEM, L_IMM } LocKind;
typedef struct Loc {
    uint8_t kind, reg /* or base */, index, scale;
    int32_t disp;
    uint64_t imm;
} Loc;
static inline Loc loc_reg(unsigned r) { return (Loc){ .kind = L_REG, .reg = (uint8_t)r }; }
static inline Loc loc_mem(unsigned base, int32_t disp)
{
    return (Loc){ .kind = L_MEM, .reg = (uint8_t)base, .index = NO_REG, .disp = disp };
}
static inline Loc loc_mem2(unsigned base, unsigned index, unsigned scale, int32_t disp)
{
    return (Loc){ .kind = L_MEM, .reg = (uint8_t)base, .index = (uint8_t)index, .scale = (uint8_t)scale, .disp = disp };
}
static inline Loc loc_imm(uint64_t v) { return (Loc){ .kind = L_IMM, .imm = v }; }
static inline bool loc_same(Loc a, Loc b)
{
    if (a.kind != b.kind)
        return false;
    if (a.kind == L_MEM)
        return a.reg == b.reg && a.index == b.index && a.scale == b.scale && a.disp == b.disp;
    return a.kind == L_IMM ? a.imm == b.imm : a.reg == b.reg;
}
static inline bool loc_is(Loc a, unsigned reg) { return a.kind == L_REG && a.reg == reg; }
static inline bool fits32(uint64_t v) { return (uint64_t)(int64_t)(int32_t)v == v; }

typedef struct Asm { uint8_t *p, *end; } Asm;

/* Opcode words: low byte the opcode, then what stands before it and how byte registers are named. */
enum {
    OP_0F = 0x100, OP_0F38 = 0x200, OP_0F3A = 0x300, OP_MAP = 0x300,
    OP_BYTES = 0x1000,  /* reg and rm are byte registers */
    OP_RM8 = 0x2000,    /* rm is a byte register; reg is none, or an opcode extension */
    OP_NO16 = 0x4000,   /* no operand-size prefix for size 2 */
    OP_66 = 0x660000, OP_F2 = 0xf20000, OP_F3 = 0xf30000,
};

static inline void e8(Asm *a, unsigned v) { *a->p++ = (uint8_t)v; }
static inline void e16(Asm *a, unsigned v) { memcpy(a->p, &(uint16_t){ (uint16_t)v }, 2), a->p += 2; }
static inline void e32(Asm *a, uint32_t v) { memcpy(a->p, &v, 4), a->p += 4; }
static inline void e64(Asm *a, uint64_t v) { memcpy(a->p, &v, 8), a->p += 8; }

/* modrm, sib, displacement */
static inline void emit_modrm(Asm *a, unsigned reg, Loc rm)
{
    reg = (reg & 7) << 3;
    if (rm.kind == L_REG) {
        e8(a, 0xc0 | reg | (rm.reg & 7));
        return;
    }
    if (rm.kind == L_HIGH) {
        e8(a, 0xc0 | reg | (rm.reg + 4));
        return;
    }
    if (rm.reg == NO_REG) { /* [index * scale + disp32] or [disp32] */
        e8(a, reg | 4);
        e8(a, (unsigned)rm.scale << 6 | (rm.index == NO_REG ? 4u : rm.index & 7u) << 3 | 5);
        e32(a, (uint32_t)rm.disp);
        return;
    }
    unsigned mod = rm.disp == 0 && (rm.reg & 7) != 5 ? 0 : rm.disp == (int8_t)rm.disp ? 0x40 : 0x80;
    if (rm.index != NO_REG || (rm.reg & 7) == 4) {
        e8(a, mod | reg | 4);
        e8(a, (unsigned)rm.scale << 6 | (rm.index == NO_REG ? 4u : rm.index & 7u) << 3 | (rm.reg & 7));
    } else {
        e8(a, mod | reg | (rm.reg & 7));
    }
    if (mod == 0x40)
        e8(a, (uint8_t)rm.disp);
    else if (mod == 0x80)
        e32(a, (uint32_t)rm.disp);
}

static inline unsigned rex_of(unsigned reg, Loc rm)
{
    unsigned rex = reg >> 1 & 4;
    if (rm.kind == L_MEM) {
        rex |= rm.reg != NO_REG ? rm.reg >> 3 : 0;
        rex |= rm.index != NO_REG ? rm.index >> 2 & 2 : 0;
    } else if (rm.kind == L_REG) {
        rex |= rm.reg >> 3;
    }
    return rex;
}

/* One instruction: reg is a register number (for OP_BYTES, 4 + n with high_reg: AH CH DH BH) or an opcode extension. */
static inline void emit_op(Asm *a, unsigned op, unsigned size, unsigned reg, Loc rm, bool high_reg)
{
    unsigned rex = rex_of(reg, rm) | (size == 8 ? 8 : 0);
    bool byte_rex = ((op & OP_BYTES) && !high_reg && reg >= 4 && reg <= 7) ||
                    ((op & (OP_BYTES | OP_RM8)) && rm.kind == L_REG && rm.reg >= 4 && rm.reg <= 7);
    if (size == 2 && !(op & OP_NO16))
        e8(a, 0x66);
    if (op >> 16)
        e8(a, op >> 16);
    if (rex || byte_rex)
        e8(a, 0x40 | rex);
    if (op & OP_MAP)
        e8(a, 0x0f);
    if ((op & OP_MAP) == OP_0F38)
        e8(a, 0x38);
    if ((op & OP_MAP) == OP_0F3A)
        e8(a, 0x3a);
    e8(a, op);
    emit_modrm(a, reg, rm);
}
static inline void op_rm(Asm *a, unsigned op, unsigned size, unsigned reg, Loc rm)
{
    emit_op(a, op, size, reg, rm, false);
}

/* VEX.LZ; pp: 0, 1 = 66, 2 = F3, 3 = F2; map: 1 = 0F, 2 = 0F38, 3 = 0F3A */
static inline void op_vex(Asm *a, unsigned pp, unsigned map, unsigned op, unsigned size, unsigned reg, unsigned vvvv,
                          Loc rm)
{
    unsigned rex = rex_of(reg, rm);
    e8(a, 0xc4);
    e8(a, (~rex & 4) << 5 | (~rex & 2) << 5 | (~rex & 1) << 5 | map);
    e8(a, (size == 8 ? 0x80u : 0) | (~vvvv & 15) << 3 | pp);
    e8(a, op);
    emit_modrm(a, reg, rm);
}

static inline void emit_imm(Asm *a, unsigned size, uint64_t v)
{
    if (size == 1)
        e8(a, (unsigned)v);
    else if (size == 2)
        e16(a, (unsigned)v);
    else
        e32(a, (uint32_t)v);
}

/* --- moves; none of them touches the flags --- */
static inline void mov_rr(Asm *a, unsigned size, unsigned d, unsigned s)
{
    if (d != s || size == 4)
        op_rm(a, 0x8b, size, d, loc_reg(s));
}
static inline void mov_ri(Asm *a, unsigned r, uint64_t v)
{
    if (v <= UINT32_MAX) {
        if (r >= 8)
            e8(a, 0x41);
        e8(a, 0xb8 | (r & 7));
        e32(a, (uint32_t)v);
    } else if (fits32(v)) {
        op_rm(a, 0xc7, 8, 0, loc_reg(r));
        e32(a, (uint32_t)v);
    } else {
        e8(a, 0x48 | r >> 3);
        e8(a, 0xb8 | (r & 7));
        e64(a, v);
    }
}
/* Zero-extending load (register sources too). */
static inline void load_zx(Asm *a, unsigned size, unsigned r, Loc m)
{
    switch (size) {
    case 1: op_rm(a, 0xb6 | OP_0F | OP_RM8, 4, r, m); break;
    case 2: op_rm(a, 0xb7 | OP_0F, 4, r, m); break;
    default: op_rm(a, 0x8b, size, r, m); break;
    }
}
static inline void store_r(Asm *a, unsigned size, Loc m, unsigned r)
{
    op_rm(a, size == 1 ? 0x88 | OP_BYTES : 0x89, size, r, m);
}
static inline void store_i(Asm *a, unsigned size, Loc m, uint64_t v)
{
    op_rm(a, size == 1 ? 0xc6 | OP_RM8 : 0xc7, size, 0, m);
    emit_imm(a, size, v);
}
static inline void lea(Asm *a, unsigned size, unsigned r, Loc m) { op_rm(a, 0x8d, size, r, m); }

/* --- arithmetic --- */
enum { ALU_ADD, ALU_OR, ALU_ADC, ALU_SBB, ALU_AND, ALU_SUB, ALU_XOR, ALU_CMP };
static inline void alu_ri(Asm *a, unsigned op, unsigned size, Loc d, uint64_t v)
{
    if (size == 1) {
        op_rm(a, 0x80 | OP_RM8, 1, op, d);
        e8(a, (unsigned)v);
    } else if ((int64_t)v == (int8_t)v || (size == 4 && (int32_t)v == (int8_t)v) ||
               (size == 2 && (int16_t)v == (int8_t)v)) {
        op_rm(a, 0x83, size, op, d);
        e8(a, (unsigned)v);
    } else {
        op_rm(a, 0x81, size, op, d);
        emit_imm(a, size, v);
    }
}
static inline void alu_rm(Asm *a, unsigned op, unsigned size, unsigned r, Loc s)
{
    op_rm(a, op << 3 | (size == 1 ? 2 | OP_BYTES : 3), size, r, s);
}
static inline void alu_mr(Asm *a, unsigned op, unsigned size, Loc d, unsigned r)
{
    op_rm(a, op << 3 | (size == 1 ? 0 | OP_BYTES : 1), size, r, d);
}
static inline void test_rr(Asm *a, unsigned size, Loc d, unsigned r)
{
    op_rm(a, size == 1 ? 0x84 | OP_BYTES : 0x85, size, r, d);
}
static inline void test_ri(Asm *a, unsigned size, Loc d, uint64_t v)
{
    op_rm(a, size == 1 ? 0xf6 | OP_RM8 : 0xf7, size, 0, d);
    emit_imm(a, size, v);
}
/* ROL ROR RCL RCR SHL SHR - SAR: 0..7 */
static inline void shift_i(Asm *a, unsigned op, unsigned size, Loc d, unsigned n)
{
    unsigned w = size == 1 ? OP_RM8 : 1;
    if (n == 1) {
        op_rm(a, 0xd0 | w, size, op, d);
    } else {
        op_rm(a, 0xc0 | w, size, op, d);
        e8(a, n);
    }
}
static inline void shift_cl(Asm *a, unsigned op, unsigned size, Loc d)
{
    op_rm(a, 0xd2 | (size == 1 ? OP_RM8 : 1), size, op, d);
}
static inline void setcc(Asm *a, unsigned cond, Loc d) { op_rm(a, 0x90 | cond | OP_0F | OP_RM8, 4, 0, d); }

/* --- jumps: the offset field is filled in by patch_rel32() --- */
static inline uint8_t *jmp32(Asm *a)
{
    e8(a, 0xe9);
    e32(a, 0);
    return a->p - 4;
}
static inline uint8_t *jcc32(Asm *a, unsigned cond)
{
    e8(a, 0x0f);
    e8(a, 0x80 | cond);
    e32(a, 0);
    return a->p - 4;
}
typedef int32_t Rel32 __attribute__((aligned(1)));
static inline void patch_rel32(uint8_t *field, const uint8_t *to)
{
    __atomic_thread_fence(__ATOMIC_RELEASE);
    *(volatile Rel32 *)field = (int32_t)(to - (field + 4)); /* one store; whole for others when the field is aligned */
}
/* The field of an instruction with `before` bytes ahead of it will be aligned, so that it can be patched atomically. */
static inline void align_field(Asm *a, unsigned before)
{
    while (((uintptr_t)a->p + before) & 3)
        e8(a, 0x26); /* a segment prefix without effect */
}
static inline void pushfq_(Asm *a) { e8(a, 0x9c); }
static inline void pop_m(Asm *a, Loc m) { op_rm(a, 0x8f, 4, 0, m); }
#endif
