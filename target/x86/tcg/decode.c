/* SPDX-License-Identifier: MIT */
/* The decoder (decode.h): prefixes, opcode, row, ModRM and SIB, immediates; and the tables' index. */
#include "target/x86/tcg/decode.h"
#include <glib.h>
#include <string.h>
#include "base/bits.h"
#include "target/x86/cpu.h"
#include "target/x86/tcg/emit.h"
#include "target/x86/tcg/tables.h"

/* --- operands --- */
enum {
    M_NONE,
    M_E,
    M_EMW,
    M_R,
    M_M,
    M_G,
    M_S,
    M_C,
    M_D,
    M_B,
    M_Z,
    M_I,
    M_IS,
    M_J,
    M_A,
    M_O,
    M_X,
    M_Y,
    M_ONE,
    M_RAX,
    M_RCX,
    M_RDX,
    M_SEG0,
    M_SEG1,
    M_SEG2,
    M_SEG3,
    M_SEG4,
    M_SEG5,
    M_V,
    M_W,
    M_U,
    M_P,
    M_QM,
    M_N,
    M_ST,
    M_ST0
};
enum { SZ_N, SZ_B, SZ_W, SZ_D, SZ_Q, SZ_T, SZ_DQ, SZ_V, SZ_Z, SZ_Y, SZ_P };

static const struct { uint8_t method, size; } opd_specs[X86O_COUNT] = {
#define X(name, method, size) [X86O_##name] = { M_##method, SZ_##size },
#include "target/x86/tcg/operands.def"
#undef X
};

static bool needs_modrm(const X86Op *op)
{
    if (op->match & X86M_MODRM)
        return true;
    for (unsigned n = 0; n < 3; n++) {
        switch (opd_specs[op->spec[n]].method) {
        case M_E: case M_EMW: case M_R: case M_M: case M_G: case M_S: case M_C: case M_D:
        case M_V: case M_W: case M_U: case M_P: case M_QM: case M_N: case M_ST:
            return true;
        }
    }
    return false;
}

/* --- index: rows of an opcode form a chain in table order --- */
enum { MAPS = 4, NO_ROW = 0xffff };
static uint16_t first_row[MAPS][256], next_row[X86_MAX_ROWS];
static struct { uint8_t modrm : 1, regonly : 1; } opcode_info[MAPS][256];

static int map_of(uint32_t opcode)
{
    switch (opcode >> 8) {
    case 0: return 0;
    case 0x0f: return 1;
    case 0x0f38: return 2;
    case 0x0f3a: return 3;
    }
    return -1;
}

static void __attribute__((constructor)) build_index(void)
{
    unsigned count;
    const X86Op *rows = x86_op_rows(&count);
    g_assert(count <= X86_MAX_ROWS);
    memset(first_row, 0xff, sizeof(first_row));
    for (unsigned n = count; n-- > 0;) {
        int map = map_of(rows[n].opcode);
        uint8_t opc = rows[n].opcode;
        g_assert(map >= 0);
        next_row[n] = first_row[map][opc];
        first_row[map][opc] = n;
        opcode_info[map][opc].modrm |= needs_modrm(&rows[n]);
        opcode_info[map][opc].regonly |= (rows[n].attr & X86A_REGONLY) != 0;
    }
}

/* --- code bytes --- */
typedef struct Cursor {
    const uint8_t *p;
    unsigned pos, avail;
    X86DecodeStatus status;
} Cursor;

static uint64_t get(Cursor *c, unsigned bytes)
{
    if (c->status != X86D_OK)
        return 0;
    if (c->pos + bytes > 15 || c->pos + bytes > c->avail) {
        c->status = c->pos + bytes > 15 && c->avail >= 15 ? X86D_TOO_LONG : X86D_MORE;
        return 0;
    }
    uint64_t v = load_le(c->p + c->pos, bytes);
    c->pos += bytes;
    return v;
}
static int64_t sget(Cursor *c, unsigned bytes)
{
    return bits_sget(get(c, bytes), 0, bytes * 8);
}

/* --- prefixes --- */
typedef struct Prefixes { bool p67; uint8_t rep; /* last of F2, F3 */ } Prefixes;

static uint8_t take_prefixes(X86Insn *i, Cursor *c, Prefixes *p)
{
    for (;;) {
        uint8_t b = get(c, 1);
        if (c->status != X86D_OK)
            return 0;
        switch (b) {
        case 0x66: i->p66 = true; break;
        case 0x67: p->p67 = true; break;
        case 0xf0: i->lock = true; break;
        case 0xf2: case 0xf3: p->rep = b; break;
        case 0x26: case 0x2e: case 0x36: case 0x3e:
            if (i->bits != 64)
                i->seg_override = b >> 3 & 3; /* ES CS SS DS */
            break;
        case 0x64: case 0x65: i->seg_override = SEG_FS + (b - 0x64); break;
        default:
            if (i->bits == 64 && (b & 0xf0) == 0x40) {
                i->rex = b;
                continue;
            }
            return b;
        }
        i->rex = 0; /* REX counts only right before the opcode */
    }
}

/* C4 and C5: the three-byte form gives map and W. False: #UD. */
static bool take_vex(X86Insn *i, Cursor *c, uint8_t b, Prefixes *p, unsigned *map)
{
    bool bad = i->rex || i->p66 || i->lock || p->rep;
    uint8_t v1 = get(c, 1), v2 = v1;
    *map = 1;
    i->vex = true;
    i->rex = 0x40 | (~v1 >> 5 & 4);
    if (b == 0xc4) {
        v2 = get(c, 1);
        *map = v1 & 31;
        i->rex = 0x40 | (~v1 >> 5 & 7) | (v2 >> 4 & 8);
    }
    i->vvvv = ~v2 >> 3 & 15;
    if (i->bits != 64)
        i->rex &= 0x48, i->vvvv &= 7;
    i->vex_l = v2 >> 2 & 1;
    i->p66 = (v2 & 3) == 1;
    p->rep = (v2 & 3) == 2 ? 0xf3 : (v2 & 3) == 3 ? 0xf2 : 0;
    return !bad && *map >= 1 && *map <= 3;
}

/* --- ModRM --- */
static void address16(X86Insn *i, Cursor *c)
{
    static const uint8_t bases[8] = { RBX, RBX, RBP, RBP, RSI, RDI, RBP, RBX };
    static const uint8_t indexes[4] = { RSI, RDI, RSI, RDI };
    uint8_t rm = i->modrm & 7;
    i->base = bases[rm];
    if (rm < 4)
        i->index = indexes[rm];
    if (i->mod == 0 && rm == 6) {
        i->base = X86_NO_REG;
        i->disp = get(c, 2);
    } else if (i->mod) {
        i->disp = sget(c, i->mod == 1 ? 1 : 2);
    }
    i->seg = i->base == RBP ? SEG_SS : SEG_DS;
}

static void address32(X86Insn *i, Cursor *c)
{
    uint8_t rm = i->modrm & 7;
    unsigned disp_bytes = i->mod == 1 ? 1 : i->mod == 2 ? 4 : 0;
    i->base = i->rm;
    if (rm == 4) {
        uint8_t sib = get(c, 1);
        i->base = (sib & 7) | (i->rex & 1) << 3;
        i->index = (sib >> 3 & 7) | (i->rex & 2) << 2;
        i->scale = sib >> 6;
        if (i->index == RSP)
            i->index = X86_NO_REG;
        if ((sib & 7) == RBP && i->mod == 0) {
            i->base = X86_NO_REG;
            disp_bytes = 4;
        }
    } else if (rm == 5 && i->mod == 0) {
        i->base = i->bits == 64 ? X86_RIP : X86_NO_REG;
        disp_bytes = 4;
    }
    if (disp_bytes)
        i->disp = sget(c, disp_bytes);
    i->seg = i->base == RSP || i->base == RBP ? SEG_SS : SEG_DS;
}

static void take_modrm(X86Insn *i, Cursor *c, bool regonly)
{
    i->has_modrm = true;
    i->modrm = get(c, 1);
    i->mod = regonly ? 3 : i->modrm >> 6;
    i->reg = (i->modrm >> 3 & 7) | (i->rex & 4) << 1;
    i->rm = (i->modrm & 7) | (i->rex & 1) << 3;
    if (i->mod == 3)
        return;
    if (i->asize == 2)
        address16(i, c);
    else
        address32(i, c);
    if (i->seg_override != X86_NO_REG)
        i->seg = i->seg_override;
}

/* --- rows --- */
static bool row_matches(const X86Op *op, const X86Insn *i, uint32_t prefix, uint64_t needs)
{
    uint32_t m = op->match;
    if (op->attr & (i->bits == 64 ? X86A_I64 : X86A_O64))
        return false;
    if (op->need && !(needs >> op->need & 1))
        return false;
    if ((m & (X86M_NP66 | X86M_PF3 | X86M_PF2)) && !(m & prefix))
        return false;
    if (i->vex != !!(m & X86M_VEX) || (i->vex && i->vex_l))
        return false;
    if ((m & X86M_MEM && i->mod == 3) || (m & X86M_REGISTER && i->mod != 3))
        return false;
    if (m & X86M_HAS_REG && (m >> 16 & 7) != (i->modrm >> 3 & 7))
        return false;
    if (m & X86M_HAS_RM && (m >> 20 & 7) != (i->modrm & 7))
        return false;
    return !(m & X86M_REXW && !(i->rex & 8)) && !(m & X86M_NOREXW && i->rex & 8) && !(m & X86M_NOREXB && i->rex & 1);
}

static const X86Op *find_row(const X86Insn *i, unsigned map, const Prefixes *p, uint64_t needs)
{
    uint32_t prefix = p->rep == 0xf3 ? X86M_PF3 : p->rep == 0xf2 ? X86M_PF2 : i->p66 ? X86M_P66 : X86M_NP;
    unsigned count;
    const X86Op *rows = x86_op_rows(&count);
    for (unsigned n = first_row[map][i->opcode]; n != NO_ROW; n = next_row[n]) {
        if (row_matches(&rows[n], i, prefix, needs))
            return &rows[n];
    }
    return NULL;
}

static void set_osize(X86Insn *i)
{
    unsigned attr = i->op->attr;
    if (i->bits == 64) {
        if (attr & X86A_F64)
            i->osize = 8;
        else
            i->osize = i->rex & 8 ? 8 : i->p66 ? 2 : attr & X86A_D64 ? 8 : 4;
    } else {
        i->osize = (i->bits == 16) != i->p66 ? 2 : 4;
    }
}

/* --- operands of the row --- */
static unsigned size_of(const X86Insn *i, unsigned size)
{
    switch (size) {
    case SZ_B: return 1;
    case SZ_W: return 2;
    case SZ_D: return 4;
    case SZ_Q: return 8;
    case SZ_T: return 10;
    case SZ_DQ: return 16;
    case SZ_V: return i->osize;
    case SZ_Z: return i->osize == 2 ? 2 : 4;
    case SZ_Y: return i->rex & 8 && i->bits == 64 ? 8 : 4; /* VEX.W does not count in 32-bit code */
    case SZ_P: return i->osize + 2;
    }
    return 0;
}

static X86Operand gpr(const X86Insn *i, unsigned reg, unsigned size)
{
    if (size == 1 && !i->rex && reg >= 4 && reg < 8)
        return (X86Operand){ X86K_REGH, reg - 4, 1 };
    return (X86Operand){ X86K_REG, reg, size };
}

static X86Operand rm_operand(const X86Insn *i, X86OpdKind kind, unsigned size)
{
    if (i->mod != 3)
        return (X86Operand){ X86K_MEM, 0, size };
    if (kind == X86K_REG)
        return gpr(i, i->rm, size);
    return (X86Operand){ kind, kind == X86K_MMX ? i->rm & 7 : i->rm, size };
}

static X86Operand immediate(X86Insn *i, Cursor *c, unsigned size, bool sign)
{
    uint64_t value = sign ? (uint64_t)sget(c, size) : get(c, size);
    *(i->has_imm ? &i->imm2 : &i->imm) = value;
    i->has_imm = true;
    return (X86Operand){ X86K_IMM, 0, size };
}

/* DS:rSI with an override; ES:rDI without one. */
static X86Operand string_source(X86Insn *i, unsigned size)
{
    i->seg = i->seg_override == X86_NO_REG ? SEG_DS : i->seg_override;
    return (X86Operand){ X86K_XSTR, 0, size };
}

/* False: no such instruction (a register where memory must be, or the other way round). */
static bool take_operand(X86Insn *i, Cursor *c, unsigned n)
{
    unsigned method = opd_specs[i->op->spec[n]].method;
    unsigned size = size_of(i, opd_specs[i->op->spec[n]].size);
    X86Operand *o = &i->o[n];
    switch (method) {
    case M_NONE: break;
    case M_E: *o = rm_operand(i, X86K_REG, size); break;
    case M_EMW: *o = rm_operand(i, X86K_REG, i->mod == 3 ? size : 2); break;
    case M_R: *o = gpr(i, i->rm, size); return i->mod == 3;
    case M_M: *o = (X86Operand){ X86K_MEM, 0, size }; return i->mod != 3;
    case M_G: *o = gpr(i, i->reg, size); break;
    case M_S: *o = (X86Operand){ X86K_SEG, i->reg & 7, size }; return (i->reg & 7) <= SEG_GS;
    case M_C: *o = (X86Operand){ X86K_CR, i->reg, i->bits == 64 ? 8 : 4 }; break;
    case M_D: *o = (X86Operand){ X86K_DR, i->reg, i->bits == 64 ? 8 : 4 }; break;
    case M_B: *o = gpr(i, i->vvvv, size); break;
    case M_Z: *o = gpr(i, (i->opcode & 7) | (i->rex & 1) << 3, size); break;
    case M_I: *o = immediate(i, c, size, false); break;
    case M_IS:
        *o = immediate(i, c, size, true);
        o->size = i->osize;
        break;
    case M_J: *o = immediate(i, c, size, true); break;
    case M_A:
        *o = immediate(i, c, i->osize, false);
        i->imm2 = get(c, 2);
        break;
    case M_O:
        i->base = X86_NO_REG;
        i->disp = get(c, i->asize);
        i->seg = i->seg_override == X86_NO_REG ? SEG_DS : i->seg_override;
        *o = (X86Operand){ X86K_MEM, 0, size };
        break;
    case M_X: *o = string_source(i, size); break;
    case M_Y: *o = (X86Operand){ X86K_YSTR, 0, size }; break;
    case M_ONE:
        i->imm = 1;
        *o = (X86Operand){ X86K_IMM, 0, 1 };
        break;
    case M_RAX: case M_RCX: case M_RDX: *o = (X86Operand){ X86K_REG, method - M_RAX, size }; break;
    case M_SEG0: case M_SEG1: case M_SEG2: case M_SEG3: case M_SEG4: case M_SEG5:
        *o = (X86Operand){ X86K_SEG, method - M_SEG0, 2 };
        break;
    case M_V: *o = (X86Operand){ X86K_VEC, i->reg, size }; break;
    case M_W: *o = rm_operand(i, X86K_VEC, size); break;
    case M_U: *o = (X86Operand){ X86K_VEC, i->rm, size }; return i->mod == 3;
    case M_P: *o = (X86Operand){ X86K_MMX, i->reg & 7, size }; break;
    case M_QM: *o = rm_operand(i, X86K_MMX, size); break;
    case M_N: *o = (X86Operand){ X86K_MMX, i->rm & 7, size }; return i->mod == 3;
    case M_ST: *o = (X86Operand){ X86K_ST, i->rm & 7, size }; break;
    case M_ST0: *o = (X86Operand){ X86K_ST, 0, size }; break;
    }
    return true;
}

/* MOV to CS, control and debug registers that do not exist, VEX.vvvv without a use, LOCK where it may not stand. */
static bool row_allows(const X86Insn *i)
{
    const X86Op *op = i->op;
    if (i->lock && !(op->attr & X86A_LOCK && i->o[0].kind == X86K_MEM))
        return false;
    for (unsigned n = 0; n < 3; n++) {
        if (i->o[n].kind == X86K_CR && i->o[n].reg != 0 && (i->o[n].reg < 2 || i->o[n].reg > 4) && i->o[n].reg != 8)
            return false;
        if (i->o[n].kind == X86K_DR && i->o[n].reg > 7)
            return false;
    }
    if (i->o[0].kind == X86K_SEG && i->o[0].reg == SEG_CS && op->opcode == 0x8e)
        return false;
    if (i->vex && i->vvvv && op->spec[0] != X86O_By && op->spec[1] != X86O_By && op->spec[2] != X86O_By)
        return false;
    return true;
}

static X86DecodeStatus finish(X86Insn *i, const Cursor *c, X86DecodeStatus status)
{
    i->len = c->pos;
    i->next_pc = i->pc + c->pos;
    if (i->bits != 64)
        i->next_pc = i->bits == 16 ? i->next_pc & 0xffff : (uint32_t)i->next_pc;
    return c->status != X86D_OK ? c->status : status;
}

X86DecodeStatus x86_decode(X86Insn *i, const uint8_t *code, unsigned avail, unsigned bits, bool protected,
                           uint64_t needs)
{
    Cursor c = { code, 0, avail, X86D_OK };
    Prefixes p = { 0 };
    uint64_t pc = i->pc;
    *i = (X86Insn){
        .pc = pc, .bits = bits, .base = X86_NO_REG, .index = X86_NO_REG, .seg = SEG_DS, .seg_override = X86_NO_REG
    };
    uint8_t b = take_prefixes(i, &c, &p);
    unsigned map = 0;
    i->asize = bits == 64 ? (p.p67 ? 4 : 8) : (bits == 16) != p.p67 ? 2 : 4;
    if (c.status == X86D_OK && (b & 0xfe) == 0xc4 && protected &&
        (bits == 64 || (c.pos < avail && code[c.pos] >= 0xc0))) {
        if (!take_vex(i, &c, b, &p, &map))
            return finish(i, &c, X86D_UD);
        b = get(&c, 1);
    } else if ((b & 0xfe) == 0xc4 && protected && bits != 64 && c.pos >= avail) {
        get(&c, 1); /* LDS, LES or VEX: the next byte tells */
    } else if (b == 0x0f) {
        b = get(&c, 1);
        map = b == 0x38 ? 2 : b == 0x3a ? 3 : 1;
        if (map > 1)
            b = get(&c, 1);
    }
    i->opcode = b;
    i->rep = p.rep == 0xf3, i->repne = p.rep == 0xf2;
    if (c.status != X86D_OK || first_row[map][b] == NO_ROW)
        return finish(i, &c, X86D_UD);
    if (opcode_info[map][b].modrm)
        take_modrm(i, &c, opcode_info[map][b].regonly);
    i->op = find_row(i, map, &p, needs);
    if (!i->op || c.status != X86D_OK)
        return finish(i, &c, X86D_UD);
    set_osize(i);
    for (unsigned n = 0; n < 3; n++) {
        if (!take_operand(i, &c, n))
            return finish(i, &c, X86D_UD);
    }
    return finish(i, &c, row_allows(i) ? X86D_OK : X86D_UD);
}

const char *x86_insn_mnemonic(const X86Insn *i, char buf[16])
{
    const char *name = i->op->mnemonic;
    unsigned size = i->op->opcode == 0xe3 ? i->asize : i->osize; /* JCXZ is named by the address size */
    for (unsigned skip = size == 2 ? 0 : size == 4 ? 1 : 2; skip && strchr(name, '|'); skip--)
        name = strchr(name, '|') + 1;
    g_strlcpy(buf, name, MIN(16, strcspn(name, "|") + 1));
    return buf;
}
