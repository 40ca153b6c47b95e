/* SPDX-License-Identifier: MIT */
/* Native-diff: random sequences over the decode tables. Each unit is set-up moves, so that addresses fall into the
 * sandbox most of the time, and one instruction of a random row. */
#include "tests/cpu/native-diff/native-diff.h"
#include <cpuid.h>
#include <string.h>
#include "accel/tcg/vec.h"
#include "target/x86/models.h"
#include "target/x86/tcg/emit.h"
#include "target/x86/tcg/tables.h"

const char *generate_only;

enum { /* Kind.flags */
    READS = 1 << 0,    /* reads flags: none may be undefined */
    STACK = 1 << 1,    /* uses rSP */
    SOURCE = 1 << 2, DEST = 1 << 3, /* string: rSI, rDI */
    RARE = 1 << 4,     /* faults, nearly always */
    FP = 1 << 5,       /* only with x87/SSE */
};
enum { C = FLAG_C, P = FLAG_P, A = FLAG_A, Z = FLAG_Z, S = FLAG_S, O = FLAG_O };

/* What may be generated: rows by emitter, and the flags they leave undefined (SDM volume 1, appendix A). */
static const struct Kind {
    X86Emit *emit;
    uint32_t undefined;
    unsigned flags;
} kinds[] = {
    { x86_emit_alu, 0, READS },
    { x86_emit_alu1, 0, 0 },
    { x86_emit_adx, 0, READS },
    { x86_emit_andn, A | P, 0 },
    { x86_emit_bls, A | P, 0 },
    { x86_emit_bmi3, A | P | S, 0 },
    { x86_emit_mulx, 0, 0 },
    { x86_emit_shiftx, 0, 0 },
    { x86_emit_shift, A | O, READS },
    { x86_emit_shiftd, A | O, READS },
    { x86_emit_mul, S | Z | A | P, 0 },
    { x86_emit_div, C | P | A | Z | S | O, 0 },
    { x86_emit_imul2, S | Z | A | P, 0 },
    { x86_emit_imul3, S | Z | A | P, 0 },
    { x86_emit_bt, O | S | A | P, 0 },
    { x86_emit_bitscan, C | O | S | A | P, 0 },
    { x86_emit_bswap, 0, 0 },
    { x86_emit_crc32, 0, 0 },
    { x86_emit_carry, 0, 0 },
    { x86_emit_cmc, 0, READS },
    { x86_emit_sahf, 0, 0 },
    { x86_emit_lahf, 0, READS },
    { x86_emit_cbw, 0, 0 },
    { x86_emit_cwd, 0, 0 },
    { x86_emit_mov, 0, 0 },
    { x86_emit_movx, 0, 0 },
    { x86_emit_movsxd, 0, 0 },
    { x86_emit_movbe, 0, 0 },
    { x86_emit_lea, 0, 0 },
    { x86_emit_xchg, 0, 0 },
    { x86_emit_xadd, 0, 0 },
    { x86_emit_cmpxchg, 0, 0 },
    { x86_emit_cmpxchg8b, 0, READS },
    { x86_emit_cmpxchg16b, 0, READS },
    { x86_emit_cmov, 0, READS },
    { x86_emit_setcc, 0, READS },
    { x86_emit_xlat, 0, 0 },
    { x86_emit_nop, 0, 0 },
    { x86_emit_pause, 0, 0 },
    { x86_emit_fence, 0, 0 },
    { x86_emit_clflush, 0, 0 },
    { x86_emit_push, 0, STACK },
    { x86_emit_pop, 0, STACK },
    { x86_emit_pushf, 0, STACK | READS },
    { x86_emit_enter, 0, STACK },
    { x86_emit_leave, 0, STACK },
    { x86_emit_movs, 0, SOURCE | DEST },
    { x86_emit_cmps, 0, SOURCE | DEST },
    { x86_emit_stos, 0, DEST },
    { x86_emit_lods, 0, SOURCE },
    { x86_emit_scas, 0, DEST },
    { x86_emit_direction, 0, 0 },
    { x86_emit_pusha, 0, STACK },
    { x86_emit_popa, 0, STACK },
    { x86_emit_salc, 0, READS },
    { x86_emit_bcd, C | P | A | Z | S | O, READS },
    { x86_emit_aam, O | A | C, 0 },
    { x86_emit_into, 0, READS },
    { x86_emit_bound, 0, 0 },
    { x86_emit_arpl, 0, READS },
    { x86_emit_mov_from_seg, 0, 0 },
    { x86_emit_push_seg, 0, STACK },
    { x86_emit_in, 0, RARE },
    { x86_emit_out, 0, RARE },
    { x86_emit_cli, 0, RARE },
    { x86_emit_hlt, 0, RARE },
    { x86_emit_ud, 0, RARE },
    { x86_emit_int3, 0, RARE },
    { x86_emit_rdmsr, 0, RARE },
    { x86_emit_wrmsr, 0, RARE },
    { x86_emit_clts, 0, RARE },
    { x86_emit_vec, 0, FP },
    { x86_emit_mmx, 0, FP },
    { x86_emit_mmx_mov, 0, FP },
    { x86_emit_mmx_xmm, 0, FP },
    { x86_emit_emms, 0, FP },
    { x86_emit_maskmov, 0, FP | DEST },
    { x86_emit_pcmpstr, 0, FP },
    { x86_emit_stmxcsr, 0, FP },
    { x86_emit_x87, 0, FP },
    { x86_emit_x87_comi, 0, FP },
    { x86_emit_x87_cmov, 0, FP | READS },
    { x86_emit_fwait, 0, FP },
    { x86_emit_mov_to_cr, 0, RARE },
    { x86_emit_mov_from_cr, 0, RARE },
    { x86_emit_invlpg, 0, RARE },
    { x86_emit_load_dt, 0, RARE },
};

static uint64_t needs;
static const X86Op *pool[X86_MAX_ROWS];
static const struct Kind *pool_kind[X86_MAX_ROWS];
static unsigned pool_count;

static bool host_has(unsigned word, unsigned bit)
{
    static const struct { uint32_t leaf, sub, reg;
    } at[] = {
        [X86_FW_1_EDX] = { 1, 0, 3 },
        [X86_FW_1_ECX] = { 1, 0, 2 },
        [X86_FW_7_EBX] = { 7, 0, 1 },
        [X86_FW_7_ECX] = { 7, 0, 2 },
        [X86_FW_EXT1_EDX] = { 0x80000001, 0, 3 },
        [X86_FW_EXT1_ECX] = { 0x80000001, 0, 2 },
        [X86_FW_D1_EAX] = { 13, 1, 0 },
    };
    uint32_t r[4] = { 0 };
    return __get_cpuid_count(at[word].leaf, at[word].sub, &r[0], &r[1], &r[2], &r[3]) && r[at[word].reg] >> bit & 1;
}

static Mix mix;

void generate_setup(Mix which)
{
    mix = which;
    unsigned count;
    const X86Op *rows = x86_op_rows(&count);
    needs = 1;
#define X(name, word, bit) needs |= (uint64_t)host_has(X86_FW_##word, bit) << X86_NEED_##name;
    X86_NEEDS(X)
#undef X
    for (unsigned n = 0; n < count; n++) {
        if (!(needs >> rows[n].need & 1) || (generate_only && strcmp(generate_only, rows[n].mnemonic)))
            continue;
        for (unsigned k = 0; k < ARRAY_LEN(kinds); k++) {
            if (kinds[k].emit == rows[n].emit && (mix == MIX_ALL || (mix == MIX_FP) == !!(kinds[k].flags & FP))) {
                pool[pool_count] = &rows[n];
                pool_kind[pool_count++] = &kinds[k];
            }
        }
    }
    g_assert(pool_count > 0);
}

/* --- the generator's state --- */
typedef struct Gen {
    Sequence *s;
    const Segments *seg;
    unsigned bits;
    uint64_t rng;
    uint32_t undefined;
} Gen;

static uint64_t rnd(Gen *g) { return rnd_next(&g->rng); }
static bool chance(Gen *g, unsigned one_in) { return rnd(g) % one_in == 0; }
static void byte(Gen *g, uint8_t b) { g->s->code[g->s->code_len++] = b; }
static void bytes(Gen *g, uint64_t v, unsigned n)
{
    while (n--) {
        byte(g, v);
        v >>= 8;
    }
}

static uint64_t interesting(Gen *g)
{
    static const uint64_t edge[] = { 0,
                                     1,
                                     2,
                                     0x7f,
                                     0x80,
                                     0xff,
                                     0x100,
                                     0x7fff,
                                     0x8000,
                                     0xffff,
                                     0x7fffffff,
                                     0x80000000,
                                     0xffffffff,
                                     0x100000000,
                                     0x7fffffffffffffff,
                                     0x8000000000000000,
                                     0xffffffffffffffff,
                                     0x0f0f0f0f0f0f0f0f,
                                     0x99,
                                     31,
                                     32,
                                     63,
                                     64 };
    uint64_t v = edge[rnd(g) % ARRAY_LEN(edge)];
    switch (rnd(g) % 6) {
    case 0: return v;
    case 1: return v + (int64_t)(rnd(g) % 5) - 2;
    case 2: return rnd(g) >> rnd(g) % 64;
    case 3: return ~(rnd(g) >> rnd(g) % 64);
    case 4: return rnd(g) % 64;
    }
    return rnd(g);
}

/* mov reg, imm64 (imm32) */
static void set_reg(Gen *g, unsigned reg, uint64_t value)
{
    if (g->bits == 64)
        byte(g, 0x48 | reg >> 3);
    if (g->bits == 16)
        byte(g, 0x66);
    byte(g, 0xb8 | (reg & 7));
    bytes(g, value, g->bits == 64 ? 8 : 4);
}

static unsigned any_reg(Gen *g) { return rnd(g) % (g->bits == 64 ? 16 : 8); }
static uint64_t seg_base(Gen *g, unsigned seg)
{
    return seg == SEG_CS ? g->seg->cs.base : seg == SEG_SS ? g->seg->ss.base : g->seg->ds.base;
}
static uint64_t here(Gen *g) { return g->s->code_start + g->s->code_len - g->seg->cs.base; }
/* Bits above the address size, which do not count. */
static uint64_t above(Gen *g, unsigned asize) { return asize == 8 ? 0 : (asize == 4 ? rnd(g) << 32 : rnd(g) << 16); }

/* An address in the data, near its ends now and then, unmapped or read-only rarely. */
static uint64_t data_address(Gen *g, unsigned size)
{
    switch (rnd(g) % 32) {
    case 0: return DATA_BASE + DATA_SIZE - rnd(g) % 16;              /* into the read-only page */
    case 1: return DATA_BASE + 0x1000 - rnd(g) % (size + 1);         /* across pages */
    case 2: return DATA_BASE - rnd(g) % (size + 1);                  /* from unmapped memory */
    case 3:
        return g->bits == 64 && chance(g, 4) ? UINT64_C(0x800000000000) + rnd(g) % 64
                                             : RO_BASE + RO_SIZE - rnd(g) % (size + 2);
    case 4: return RO_BASE + rnd(g) % (RO_SIZE - 64);
    }
    return DATA_BASE + 0x100 + rnd(g) % (DATA_SIZE - 0x200);
}

/* --- one encoding --- */
typedef struct Encoding {
    uint8_t code[24];
    unsigned len, disp_at, disp_bytes;
    X86Insn i;
} Encoding;

static void put(Encoding *e, uint8_t b) { e->code[e->len++] = b; }

static uint8_t pick_modrm(Gen *g, const X86Op *op, bool stack)
{
    uint8_t m = rnd(g);
    if (op->match & X86M_MEM || (!(op->match & X86M_REGISTER) && chance(g, 2)))
        m = (m & 0x3f) | (stack ? 1 : rnd(g) % 3) << 6;
    else
        m |= 0xc0;
    if (op->match & X86M_REGISTER || op->attr & X86A_REGONLY)
        m |= 0xc0;
    if (op->match & X86M_HAS_REG)
        m = (m & 0xc7) | (op->match >> 16 & 7) << 3;
    if (op->match & X86M_HAS_RM)
        m = (m & 0xf8) | (op->match >> 20 & 7);
    return m;
}

static bool is_string(const struct Kind *k) { return k->flags & (SOURCE | DEST) && !(k->flags & FP); }

/* x87 forms that store pointers (which the host's kernel and maker decide) or load a random control word. */
static bool x87_environment(const X86Insn *i)
{
    return i->mod != 3 && ((i->opcode == 0xd9 && (i->reg & 7) >= 4 && (i->reg & 7) <= 6) ||
                           (i->opcode == 0xdd && ((i->reg & 7) == 4 || (i->reg & 7) == 6)));
}

/* Floating-point values that matter, as the low half or both halves of a register. */
static uint64_t interesting_fp(Gen *g);

static uint8_t pick_mandatory(Gen *g, const X86Op *op)
{
    if (op->match & X86M_PF3)
        return 0xf3;
    if (op->match & X86M_PF2)
        return 0xf2;
    if (op->match & X86M_P66 && !(op->match & X86M_NP && chance(g, 2)))
        return 0x66;
    return 0;
}

static void put_vex(Gen *g, Encoding *e, const X86Op *op, uint8_t prefix)
{
    unsigned map = op->opcode >> 8 == 0x0f38 ? 2 : op->opcode >> 8 == 0x0f3a ? 3 : 1;
    unsigned pp = prefix == 0x66 ? 1 : prefix == 0xf3 ? 2 : prefix == 0xf2 ? 3 : 0;
    bool uses_v = op->spec[0] == X86O_By || op->spec[1] == X86O_By || op->spec[2] == X86O_By;
    put(e, 0xc4);
    put(e, (g->bits == 64 ? rnd(g) & 0xe0 : 0xe0) | map);
    put(e, (rnd(g) & 0x80) | (!uses_v ? 0x78 : g->bits == 64 ? rnd(g) & 0x78 : 0x40 | (rnd(g) & 0x38)) | pp);
    put(e, op->opcode);
}

static void put_legacy(Gen *g, Encoding *e, const X86Op *op, const struct Kind *k, uint8_t prefix)
{
    bool any_prefix = !(op->match & (X86M_NP66 | X86M_PF3 | X86M_PF2));
    if (op->attr & X86A_LOCK && chance(g, 4))
        put(e, 0xf0);
    if (chance(g, 12))
        put(e, 0x67);
    if (g->bits != 64 && chance(g, 12))
        put(e, 0x26 | (rnd(g) & 3) << 3);
    if (any_prefix && chance(g, 5))
        put(e, 0x66);
    if (op->attr & X86A_REP && chance(g, 2))
        put(e, chance(g, 2) ? 0xf2 : 0xf3);
    if (prefix)
        put(e, prefix);
    if (g->bits == 64 && (chance(g, 2) || op->match & X86M_REXW)) {
        uint8_t rex = 0x40 | (rnd(g) & 15);
        if (op->match & X86M_REXW)
            rex |= 8;
        if (op->match & X86M_NOREXW)
            rex &= ~8;
        if (op->match & X86M_NOREXB)
            rex &= ~1;
        put(e, rex);
    }
    if (op->opcode >> 16)
        put(e, op->opcode >> 16);
    if (op->opcode >> 8)
        put(e, op->opcode >> 8);
    put(e, op->opcode);
}

/* Bytes of a random encoding of the row; false: it is not one that can be used. */
static bool encode(Gen *g, Encoding *e, const X86Op *op, const struct Kind *k)
{
    uint8_t prefix = pick_mandatory(g, op);
    *e = (Encoding){ .len = 0 };
    if (op->match & X86M_VEX)
        put_vex(g, e, op, prefix);
    else
        put_legacy(g, e, op, k, prefix);
    unsigned modrm_at = e->len;
    uint8_t modrm = pick_modrm(g, op, k->flags & STACK);
    put(e, modrm);
    uint64_t imm = interesting(g);
    for (unsigned n = 0; n < 12; n++)
        e->code[e->len + n] = n < 8 ? imm >> 8 * n : rnd(g);
    e->i.pc = here(g);
    if (x86_decode(&e->i, e->code, 15, g->bits, true, needs) != X86D_OK || e->i.op->emit != op->emit)
        return false;
    if (!e->i.has_modrm) {
        for (unsigned n = 0; n < 8; n++) /* the byte taken for ModRM is an immediate */
            e->code[modrm_at + n] = imm >> 8 * n;
    } else if (e->i.mod != 3) {
        bool sib = (e->i.modrm & 7) == 4 && e->i.asize != 2;
        e->disp_at = modrm_at + 1 + sib;
        unsigned full = e->i.asize == 2 ? 2 : 4;
        e->disp_bytes = e->i.mod == 1 ? 1 : e->i.mod == 2 || e->i.base == X86_NO_REG || e->i.base == X86_RIP ? full : 0;
        for (unsigned n = 0; n < 8; n++)
            e->code[e->disp_at + e->disp_bytes + n] = imm >> 8 * n;
        if (e->disp_bytes == 4) { /* small, so that bases are what they look like */
            int32_t disp = (int32_t)(rnd(g) % 0x10000) - 0x8000;
            store_le(e->code + e->disp_at, 4, (uint32_t)disp);
        }
    }
    bool ok = x86_decode(&e->i, e->code, 15, g->bits, true, needs) == X86D_OK;
    e->len = e->i.len;
    return ok && e->i.op->emit == op->emit;
}

/* Set-up so that the memory operand is at the linear address `target`; false: it can't. */
static bool aim(Gen *g, Encoding *e, uint64_t target, bool stack)
{
    X86Insn *i = &e->i;
    uint64_t index = 0;
    target -= seg_base(g, i->seg);
    if (i->base < 16 && i->base == i->index)
        return false;
    if (i->index < 16) {
        index = interesting(g) & 0xfff;
        if (chance(g, 2))
            index = -index;
        set_reg(g, i->index, index);
    }
    uint64_t rest = target - (index << i->scale);
    if (stack && i->base == RSP)
        return i->index >= 16;
    if (i->base < 16) {
        uint64_t value = rest - i->disp;
        if (i->asize < 8 && chance(g, 2))
            value = (value & bits_mask(i->asize * 8)) | above(g, i->asize);
        set_reg(g, i->base, value);
        return true;
    }
    if (i->base == X86_RIP) { /* the set-up has moved the instruction */
        store_le(e->code + e->disp_at, 4, (uint32_t)(target - (here(g) + e->len)));
    } else if (e->disp_bytes >= 2) {
        store_le(e->code + e->disp_at, e->disp_bytes, rest);
        return rest == (uint64_t)(int64_t)(int32_t)rest || i->asize < 8;
    }
    return true;
}

/* moffs: the address stands in the code. */
static void aim_moffs(Gen *g, Encoding *e, uint64_t target)
{
    target -= seg_base(g, e->i.seg);
    unsigned bytes_ = e->i.asize, at = e->len - bytes_;
    store_le(e->code + at, bytes_, target);
}

/* movabs rax, [address]; mov rdx, [address + n]: so that CMPXCHG finds what it expects. */
static void load_expected(Gen *g, const X86Insn *i, uint64_t target)
{
    if (g->bits != 64 || i->base == RAX || i->index == RAX || i->base == RDX || i->index == RDX || target < DATA_BASE ||
        target > RO_BASE + RO_SIZE - 32)
        return;
    byte(g, 0x48), byte(g, 0xa1), bytes(g, target, 8);
    if (i->op->emit == x86_emit_cmpxchg)
        return;
    byte(g, i->osize == 8 ? 0x48 : 0x40), byte(g, 0x8b), byte(g, 0x14), byte(g, 0x25);
    bytes(g, target + (i->osize == 8 ? 8 : 4), 4);
}

/* Flags that `i` leaves undefined, given those before. */
static uint32_t undefined_after(const X86Insn *i, const struct Kind *k, uint32_t before)
{
    X86Emit *emit = i->op->emit;
    unsigned op = i->op->arg;
    uint32_t undefined = k->undefined, defined = FLAG_ALL;
    if (emit == x86_emit_alu) {
        undefined = op == IR_AND || op == IR_OR || op == IR_XOR || op == IR_TEST ? A : 0;
    } else if (emit == x86_emit_alu1) {
        defined = op == IR_NOT ? 0 : op == IR_NEG ? FLAG_ALL : FLAG_ALL & ~C;
    } else if (emit == x86_emit_shift) {
        bool rotate = op != IR_SHL && op != IR_SHR && op != IR_SAR;
        undefined = rotate ? O : A | O | (i->o[0].size < 4 ? C : 0);
        if (i->opcode == 0xd0 || i->opcode == 0xd1)
            undefined &= ~O;
        defined = 0; /* a count of 0 keeps what was undefined */
    } else if (emit == x86_emit_shiftd) {
        defined = 0;
    } else if (emit == x86_emit_bitscan) {
        undefined = op == IR_POPCNT ? 0 : op == IR_TZCNT || op == IR_LZCNT ? O | S | A | P : FLAG_ALL & ~Z;
    } else if (emit == x86_emit_bt) {
        defined = FLAG_ALL & ~Z;
    } else if (emit == x86_emit_bmi3) {
        undefined = op == IR_BEXTR ? A | S | P : op == IR_BZHI ? A | P : 0;
        defined = undefined ? FLAG_ALL : 0;
    } else if (emit == x86_emit_sahf) {
        defined = FLAG_ALL & ~O;
    } else if (emit == x86_emit_carry || emit == x86_emit_cmc) {
        defined = C;
    } else if (emit == x86_emit_cmps || emit == x86_emit_scas) {
        defined = i->rep || i->repne ? 0 : FLAG_ALL;
    } else if (!undefined && emit != x86_emit_xadd && emit != x86_emit_cmpxchg) {
        defined = 0;
    }
    return (before & ~defined) | undefined;
}

/* Registers that the row uses beside its operands. */
static void aim_implicit(Gen *g, const X86Insn *i, const struct Kind *k)
{
    uint64_t ss = g->seg->ss.base;
    if (k->flags & STACK) {
        set_reg(g, RSP,
                STACK_BASE - ss + (chance(g, 20) ? rnd(g) % 24 : 0x400 + rnd(g) % 0x800) +
                    (g->bits == 16 ? rnd(g) << 16 : 0));
        set_reg(g, RBP, STACK_BASE - ss + 0x300 + rnd(g) % 0x800 + (g->bits == 16 ? rnd(g) << 16 : 0));
    }
    if (k->flags & SOURCE)
        set_reg(g, RSI, (data_address(g, i->osize) - seg_base(g, i->seg)) | above(g, i->asize));
    if (k->flags & DEST)
        set_reg(g, RDI, (data_address(g, i->osize) - g->seg->ds.base) | above(g, i->asize));
    if (i->op->emit == x86_emit_maskmov) /* which address a fault reports differs between makers */
        set_reg(g, RDI,
                DATA_BASE - seg_base(g, i->seg_override == X86_NO_REG ? SEG_DS : i->seg_override) + 0x100 +
                    rnd(g) % 0x1000);
    if (is_string(k) && (i->rep || i->repne))
        set_reg(g, RCX, (chance(g, 8) ? rnd(g) % 1200 : rnd(g) % 12) | above(g, i->asize));
    if (i->op->emit == x86_emit_xlat)
        set_reg(g, RBX,
                (data_address(g, 1) - seg_base(g, i->seg_override == X86_NO_REG ? SEG_DS : i->seg_override)) |
                    above(g, i->asize));
    if (i->op->emit == x86_emit_div && !chance(g, 4)) {
        set_reg(g, RDX, chance(g, 2) ? 0 : rnd(g) % 8);
        if (i->o[0].size == 1)
            set_reg(g, RAX, rnd(g) % 0x400);
    }
}

static uint64_t interesting_fp(Gen *g)
{
    static const uint64_t f64[] = { 0,
                                    0x8000000000000000,
                                    0x3ff0000000000000,
                                    0xbff8000000000000,
                                    0x7ff0000000000000,
                                    0xfff0000000000000,
                                    0x7ff8000000000001,
                                    0x7ff0000000000001,
                                    1,
                                    0x000fffffffffffff,
                                    0x7fefffffffffffff,
                                    0x41dfffffffc00000,
                                    0x43e0000000000000 };
    static const uint32_t f32[] = {
        0,          0x80000000, 0x3f800000, 0xbfc00000, 0x7f800000, 0xff800000, 0x7fc00001,
        0x7f800001, 1,          0x007fffff, 0x7f7fffff, 0x4f000000, 0x5f000000, 0x3effffff
    };
    switch (rnd(g) % 4) {
    case 0: return f64[rnd(g) % ARRAY_LEN(f64)];
    case 1: return f32[rnd(g) % ARRAY_LEN(f32)] | (uint64_t)f32[rnd(g) % ARRAY_LEN(f32)] << 32;
    case 2: return (rnd(g) & UINT64_C(0x801fffffffffffff)) | (1000 + rnd(g) % 48) << 52;
    }
    return interesting(g);
}

static bool usable(Gen *g, const Encoding *e, const struct Kind *k)
{
    const X86Insn *i = &e->i;
    if (i->op->emit == x86_emit_x87 && x87_environment(i))
        return false;
    if (i->op->emit == x86_emit_maskmov && i->asize == 2)
        return false;
    if (i->op->emit == x86_emit_shiftd && i->osize == 2 && (i->opcode & 1 || (i->imm & 31) > 16))
        return false; /* undefined result */
    if (i->op->emit == x86_emit_bswap && i->osize == 2)
        return false; /* the same */
    if (i->op->emit == x86_emit_movsxd && i->osize == 2)
        return false; /* how much memory is read differs between makers */
    if (i->op->opcode == 0x0f0d && i->mod == 3)
        return false; /* #UD on AMD's CPUs, NOP on Intel's */
    if (i->op->emit == x86_emit_enter && (i->imm2 & 31) > 8)
        return false;
    if (k->flags & RARE && !chance(g, 40))
        return false;
    if (g->bits == 32 && i->asize == 2 &&
        ((i->has_modrm && i->mod != 3 && i->op->emit != x86_emit_lea) || is_string(k) || !i->has_modrm))
        return false; /* 16-bit addresses: nothing is mapped there, and the host has memory of its own */
    return !(i->op->emit == x86_emit_bt && i->o[1].kind == X86K_REG &&
             (i->o[1].reg == i->base || i->o[1].reg == i->index));
}

static void define_flags(Gen *g)
{
    if (g->bits == 16)
        byte(g, 0x66);
    byte(g, 0x3d), bytes(g, interesting(g), 4); /* cmp eax, imm32 */
    g->undefined = 0;
}

/* One instruction with its set-up; false: try again. */
static bool instruction(Gen *g)
{
    unsigned n = rnd(g) % pool_count;
    const X86Op *op = pool[n];
    const struct Kind *k = pool_kind[n];
    Encoding e;
    Sequence save = { .code_len = g->s->code_len };
    uint32_t undefined = g->undefined;
    if (op->attr & (g->bits == 64 ? X86A_I64 : X86A_O64) || !encode(g, &e, op, k) || !usable(g, &e, k))
        return false;
    op = e.i.op;
    if (chance(g, 3))
        set_reg(g, any_reg(g), interesting(g));
    if (k->flags & READS && g->undefined)
        define_flags(g);
    bool stack = k->flags & STACK;
    aim_implicit(g, &e.i, k);
    uint64_t target = data_address(g, e.i.o[0].size | 1);
    if (op->emit == x86_emit_cmpxchg16b && !chance(g, 8))
        target &= ~UINT64_C(15);
    if (op->emit == x86_emit_bt && e.i.mod != 3 && e.i.o[1].kind == X86K_REG)
        set_reg(g, e.i.o[1].reg, (int64_t)(rnd(g) % 4096) - 2048);
    /* alignment is checked on Intel's CPUs only */
    bool sha = op->emit == x86_emit_vec && vec_info[op->arg].flags & VEC_SHA;
    if (k->flags & FP && (sha || !chance(g, 12)))
        target &= ~UINT64_C(15);
    bool cmpxchg = op->emit == x86_emit_cmpxchg || op->emit == x86_emit_cmpxchg8b || op->emit == x86_emit_cmpxchg16b;
    if (cmpxchg && e.i.mod != 3 && chance(g, 2))
        load_expected(g, &e.i, target);
    if (e.i.has_modrm && e.i.mod != 3) {
        if (!aim(g, &e, target, stack)) {
            g->s->code_len = save.code_len;
            g->undefined = undefined;
            return false;
        }
    } else if (op->spec[0] == X86O_Ob || op->spec[0] == X86O_Ov || op->spec[1] == X86O_Ob || op->spec[1] == X86O_Ov) {
        aim_moffs(g, &e, target);
    }
    for (unsigned b = 0; b < e.len; b++)
        byte(g, e.code[b]);
    g->undefined = undefined_after(&e.i, k, g->undefined);
    return true;
}

static void begin_unit(Gen *g)
{
    g->s->unit[g->s->units++] = (Unit){ .pc = here(g), .undefined = g->undefined };
}

static void unit(Gen *g)
{
    begin_unit(g);
    while (!instruction(g))
        ;
}

/* jcc over a few units; JRCXZ too. */
static void skip(Gen *g)
{
    if (g->undefined)
        define_flags(g);
    bool near = chance(g, 2);
    if (chance(g, 8)) {
        near = false;
        byte(g, 0xe3);
    } else if (near) {
        byte(g, 0x0f), byte(g, 0x80 | (rnd(g) & 15));
    } else {
        byte(g, 0x70 | (rnd(g) & 15));
    }
    unsigned at = g->s->code_len;
    unsigned size = near ? (g->bits == 16 ? 2 : 4) : 1;
    bytes(g, 0, size);
    uint32_t before = g->undefined;
    unit(g);
    store_le(g->s->code + at, size, g->s->code_len - at - size);
    g->undefined |= before;
}

/* [disp32] as the operand of opcode /reg, 32 bits wide. */
static void at_counter(Gen *g, uint8_t opcode, unsigned reg, uint32_t address)
{
    if (g->bits == 16)
        byte(g, 0x66), byte(g, 0x67);
    byte(g, opcode), byte(g, 0x04 | reg << 3), byte(g, 0x25), bytes(g, address, 4);
}

/* A unit, a few times: sub dword [counter], 1; jnz. Not with based segments, which don't reach the counters. */
static void loop(Gen *g, unsigned counter)
{
    uint32_t address = COUNTER_BASE + 4 * counter;
    at_counter(g, 0xc7, 0, address), bytes(g, 1 + rnd(g) % 5, 4);
    unsigned top = g->s->code_len;
    g->undefined = FLAG_ALL; /* whatever the last turn left */
    define_flags(g);
    unit(g);
    at_counter(g, 0x83, 5, address), byte(g, 1);
    byte(g, 0x0f), byte(g, 0x85);
    bytes(g, (uint32_t)(top - (g->s->code_len + 4)), 4);
    g->undefined = 0;
}

static void stack_at(Gen *g) { set_reg(g, RSP, STACK_BASE - g->seg->ss.base + 0x600 + rnd(g) % 0x400); }

/* Calls, returns, indirect jumps; all to what follows them. */
static void transfer(Gen *g)
{
    unsigned rel = g->bits == 16 ? 2 : 4;
    stack_at(g);
    unsigned way = rnd(g) % 6, at = 0;
    if (way >= 2) {
        set_reg(g, RSI, 0);
        at = g->s->code_len - 4 - (g->bits == 64 ? 4 : 0);
    }
    switch (way) {
    case 0: byte(g, 0xe8), bytes(g, 0, rel); break;                                             /* call next */
    case 1: byte(g, 0xe9), bytes(g, 3, rel), byte(g, 0x0f), byte(g, 0x0b), byte(g, 0x90); break; /* jmp over ud2 */
    case 2: byte(g, 0xff), byte(g, 0xe6); break;                                                /* jmp rsi */
    case 3: byte(g, 0xff), byte(g, 0xd6); break;                                                /* call rsi */
    case 4: byte(g, 0x56), byte(g, 0xc3); break;                                                /* push rsi; ret */
    case 5: byte(g, 0x56), byte(g, 0xc2), bytes(g, 16, 2); break;                               /* push rsi; ret 16 */
    }
    if (at)
        store_le(g->s->code + at, 4, here(g));
}

/* PUSH imm; POPF: arithmetic flags and DF. */
static void pop_flags(Gen *g)
{
    stack_at(g);
    byte(g, 0x68), bytes(g, 0x202 | (rnd(g) & FLAG_ALL) | (chance(g, 4) ? EFL_DF : 0), g->bits == 16 ? 2 : 4);
    byte(g, 0x9d);
    g->undefined = 0;
}

/* Rounding, precision, flush modes; some x87 registers in use. */
static void random_fp_state(Gen *g)
{
    State *s = &g->s->start;
    store_le16(s->fx, 0x37f | (rnd(g) & 0xc00));
    if (chance(g, 4))
        store_le16(s->fx, 0x7f | (rnd(g) & 0xe00));
    store_le16(s->fx + 2, (rnd(g) & 0x3800) | (chance(g, 4) ? rnd(g) & 0x4700 : 0));
    s->fx[4] = chance(g, 3) ? 0 : rnd(g);
    for (unsigned n = 0; n < 8; n++) {
        bool special = chance(g, 4);
        store_le(s->fx + 32 + 16 * n, 8, special ? interesting(g) : interesting(g) | UINT64_C(1) << 63);
        store_le(s->fx + 40 + 16 * n, 2,
                 special ? (chance(g, 2) ? 0x7fff : 0) | (rnd(g) & 0x8000)
                         : (rnd(g) & 0x8000) | (0x3fff - 40 + rnd(g) % 80));
    }
    store_le32(s->fx + FX_MXCSR, 0x1f80 | (rnd(g) & 0x6000) | (chance(g, 4) ? rnd(g) & 0x8040 : 0));
}

static void random_state(Gen *g)
{
    State *s = &g->s->start;
    for (unsigned r = 0; r < 16; r++)
        s->gpr[r] = g->bits == 64 || r >= 8 ? interesting(g) : (uint32_t)interesting(g);
    s->gpr[RSP] = STACK_BASE - g->seg->ss.base + 0x800;
    s->rflags = 0x202 | (rnd(g) & FLAG_ALL) | (chance(g, 8) ? EFL_DF : 0);
    store_le16(s->fx, 0x37f);
    store_le32(s->fx + FX_MXCSR, 0x1f80);
    for (unsigned n = 0; n < 32; n++)
        store_le(s->fx + FX_XMM + 8 * n, 8, g->s->fp ? interesting_fp(g) : interesting(g));
    if (g->s->fp)
        random_fp_state(g);
    for (unsigned n = 0; n < DATA_SIZE; n += 8)
        store_le(g->s->data + n, 8, chance(g, 2) ? interesting(g) : rnd(g));
    for (unsigned n = 0; n < STACK_SIZE; n += 8)
        store_le(g->s->stack + n, 8, chance(g, 4) ? STACK_BASE + rnd(g) % STACK_SIZE : rnd(g));
}

void generate(Sequence *s, uint64_t seed, unsigned bits)
{
    memset(s, 0, offsetof(Sequence, data));
    s->seed = seed;
    s->bits = bits;
    s->fp = mix != MIX_INTEGER;
    Gen g = { .s = s, .seg = segments_of(bits), .bits = bits, .rng = seed * 4 + bits / 16 };
    random_state(&g);
    s->code_start = CODE_BASE + (chance(&g, 4) ? 0x1000 - rnd(&g) % 120 : rnd(&g) % 0xc00);
    s->start.rip = here(&g);
    unsigned wanted = 1 + rnd(&g) % 10;
    for (unsigned n = 0; n < wanted && s->code_len < MAX_CODE - 300; n++) {
        switch (rnd(&g) % 24) {
        case 0: case 1: skip(&g); break;
        case 2: case 3:
            if (bits != 16)
                loop(&g, n);
            break;
        case 4: case 5: transfer(&g); break;
        case 6: pop_flags(&g); break;
        default: unit(&g); break;
        }
    }
    begin_unit(&g);
    byte(&g, 0x0f), byte(&g, 0x0b);
}
