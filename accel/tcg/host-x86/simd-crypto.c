/* SPDX-License-Identifier: MIT */
/* Cryptographic SIMD rows on AES-NI, PCLMULQDQ and SHA-NI. */
#include "accel/tcg/host-x86/simd.h"

#define V_AESENC VOP(1, 2, 0xdc, NO_EVEX)
#define V_AESENCLAST VOP(1, 2, 0xdd, NO_EVEX)
#define V_AESDEC VOP(1, 2, 0xde, NO_EVEX)
#define V_AESDECLAST VOP(1, 2, 0xdf, NO_EVEX)
#define V_AESIMC VOP(1, 2, 0xdb, NO_EVEX)

/* The op of the next guest instruction, or of the one before, if that is one SIMD op of this row. Nothing between can
 * fault. (Not with opt-flags off, which is the plain translation.) */
static const IrInsn *neighbour(const Jit *j, int distance, unsigned row)
{
    int k = (int)j->k + 2 * distance;
    if (k < 1 || k >= (int)j->ir->count || j->ir->insn[j->k + distance].op != IR_INSN || !tcg.opt.opt_flags)
        return NULL;
    const IrInsn *i = &j->ir->insn[k];
    return i->op == IR_SIMD && i->vec == row ? i : NULL;
}

/* AESE and AESMC on one register are a full round of the host's. */
static bool whole_round(Jit *j)
{
    const IrInsn *next = neighbour(j, 1, j->i->vec == SIMD_AESE ? SIMD_AESMC : SIMD_AESIMC);
    if (!next || next->d != j->i->d || next->a != next->d)
        return false;
    j->done = j->k + 2;
    return true;
}

static bool emit_aes(Jit *j)
{
    const IrInsn *i = j->i;
    if (!jit_host.aes)
        return false;
    unsigned a = v_low(j, i->a, X1);
    v_zero(j, X3);
    switch ((SimdRow)i->vec) {
    case SIMD_AESE:
    case SIMD_AESD:
        v_rr(j, V_XOR, X0, a, v_low(j, i->b, X2));
        if (whole_round(j))
            v_rr(j, i->vec == SIMD_AESE ? V_AESENC : V_AESDEC, X0, X0, X3);
        else
            v_rr(j, i->vec == SIMD_AESE ? V_AESENCLAST : V_AESDECLAST, X0, X0, X3);
        break;
    case SIMD_AESMC: /* what the last round of the inverse takes away, and a full round */
        v_rr(j, V_AESDECLAST, X0, a, X3);
        v_rr(j, V_AESENC, X0, X0, X3);
        break;
    default: v_op(j, V_AESIMC, X0, 0, loc_reg(a)); break;
    }
    v_put(j, i->d, X0, 16);
    return true;
}

static bool emit_pmull(Jit *j)
{
    const IrInsn *i = j->i;
    if (i->size != 8 || !jit_host.pclmul)
        return false;
    unsigned a = v_low(j, i->a, X1), b = v_low(j, i->b, X2);
    v_imm(j, VOP(1, 3, 0x44, NO_EVEX), X0, a, b, i->imm2 & 1 ? 0x11 : 0);
    v_put(j, i->d, X0, 16);
    return true;
}

static void sha_op(Jit *j, unsigned op, unsigned d, unsigned s) { op_rm(&j->a, op | OP_0F38, 4, d, loc_reg(s)); }

/*
 * Four rounds. Arm has the state as abcd and efgh (a in the lowest lane); SHA256RNDS2 wants ABEF in its source, CDGH in
 * its destination (a, c highest), gives the new ABEF, takes two words from XMM0 — whose home is kept in X3 — and CDGH
 * is then the old ABEF.
 */
/* MOV t, abcd; SHA256H abcd, efgh, w; SHA256H2 efgh, t, w: both halves of one computation. */
static const IrInsn *other_half(Jit *j)
{
    const IrInsn *i = j->i, *copy = neighbour(j, -1, SIMD_MOV), *next = neighbour(j, 1, SIMD_SHA256H2);
    if (i->vec != SIMD_SHA256H || !copy || !next || copy->size2 != 16 || copy->a != i->c || i->d != i->c ||
        copy->d == i->d || copy->d == i->a || next->a != copy->d || next->c != i->a || next->d != i->a ||
        next->b != i->b || i->b == i->d || i->b == i->a || i->a == i->d)
        return NULL;
    return next;
}

static bool emit_sha256_rounds(Jit *j)
{
    const IrInsn *i = j->i;
    if (!jit_host.sha)
        return false;
    bool first = i->vec == SIMD_SHA256H; /* c = abcd, a = efgh; H2: c = efgh, a = abcd */
    unsigned abcd = v_low(j, first ? i->c : i->a, X0), efgh = v_low(j, first ? i->a : i->c, X1), w = v_low(j, i->b, X2);
    v_rr(j, V_LQDQ, X3, efgh, abcd); /* e f a b */
    v_rr(j, V_HQDQ, X1, efgh, abcd); /* g h c d */
    v_imm(j, V_PSHUFD, X3, 0, X3, 0xb1); /* f e b a: ABEF */
    v_imm(j, V_PSHUFD, X1, 0, X1, 0xb1); /* CDGH */
    v_mov(j, X2, w);
    v_mov(j, X0, 0);
    v_mov(j, 0, X2);
    sha_op(j, 0xcb, X1, X3); /* X1: ABEF after two rounds, X3: its CDGH */
    v_imm(j, V_PSHUFD, 0, 0, 0, 0x0e);
    sha_op(j, 0xcb, X3, X1); /* X3: ABEF after four, X1: CDGH */
    v_mov(j, 0, X0);
    const IrInsn *both = other_half(j);
    v_rr(j, first ? V_HQDQ : V_LQDQ, X0, X3, X1); /* b a d c, or f e h g */
    v_imm(j, V_PSHUFD, X0, 0, X0, 0xb1);
    v_put(j, i->d, X0, 16);
    if (both) {
        v_rr(j, V_LQDQ, X0, X3, X1);
        v_imm(j, V_PSHUFD, X0, 0, X0, 0xb1);
        v_put(j, both->d, X0, 16);
        j->done = j->k + 2;
    }
    return true;
}

static bool emit_sha256_words(Jit *j)
{
    const IrInsn *i = j->i;
    if (!jit_host.sha)
        return false;
    unsigned a = v_low(j, i->a, X1), c = v_low(j, i->c, X3);
    if (i->vec == SIMD_SHA256SU0) {
        v_mov(j, X0, c);
        sha_op(j, 0xcc, X0, a); /* sha256msg1 */
    } else {
        unsigned b = v_low(j, i->b, X2);
        v_imm(j, VOP(1, 3, 0x0f, NO_EVEX), X0, b, a, 4);
        v_rr(j, v_padd(4), X0, X0, c);
        sha_op(j, 0xcd, X0, b); /* sha256msg2 */
    }
    v_put(j, i->d, X0, 16);
    return true;
}

/*
 * SHA1RNDS4 has a and the first word in the highest lane, adds the round constant itself (Arm's words have it already:
 * it is taken off), and wants e added to the first word.
 */
static bool emit_sha1_rounds(Jit *j)
{
    static const uint32_t constant[3] = { 0x5a827999, 0x6ed9eba1, 0x8f1bbcdc };
    const IrInsn *i = j->i;
    if (!jit_host.sha)
        return false;
    unsigned kind = i->vec - SIMD_SHA1C;
    v_constant(j, X3, (uint64_t)constant[kind] << 32 | constant[kind]);
    unsigned c = v_low(j, i->c, X0), w = v_low(j, i->b, X1), e = v_low(j, i->a, X2);
    v_imm(j, V_PSHUFD, X0, 0, c, 0x1b);
    v_imm(j, V_PSHUFD, X1, 0, w, 0x1b);
    v_rr(j, v_psub(4), X1, X1, X3);
    v_op(j, VOP(1, 1, 0x73, NO_EVEX), 7, X2, loc_reg(e)); /* vpslldq */
    e8(&j->a, 12);
    v_rr(j, v_padd(4), X1, X1, X2);
    op_rm(&j->a, 0xcc | OP_0F3A, 4, X0, loc_reg(X1));
    e8(&j->a, kind);
    v_imm(j, V_PSHUFD, X0, 0, X0, 0x1b);
    v_put(j, i->d, X0, 16);
    return true;
}

static void rotate_left(Jit *j, unsigned d, unsigned s, unsigned n) /* 32-bit lanes; uses X3; d is not s */
{
    v_shift(j, SHIFT_LEFT, 4, d, s, n);
    v_shift(j, SHIFT_RIGHT, 4, X3, s, 32 - n);
    v_rr(j, V_OR, d, d, X3);
}
static bool emit_sha1_words(Jit *j)
{
    const IrInsn *i = j->i;
    unsigned a = v_low(j, i->a, X1);
    if (i->vec == SIMD_SHA1H) {
        rotate_left(j, X0, a, 30);
        v_put(j, i->d, X0, 4);
        return true;
    }
    unsigned c = v_low(j, i->c, X2);
    if (i->vec == SIMD_SHA1SU0) {
        v_imm(j, VOP(1, 1, 0xc6, NO_EVEX), X0, c, a, 1); /* vshufpd */
        v_rr(j, V_XOR, X0, X0, c);
        v_rr(j, V_XOR, X0, X0, v_low(j, i->b, X3));
    } else { /* SHA1SU1 */
        v_shift_bytes_right(j, X1, a, 4);
        v_rr(j, V_XOR, X1, X1, c);
        rotate_left(j, X0, X1, 1);
        v_op(j, VOP(1, 1, 0x73, NO_EVEX), 7, X1, loc_reg(X1));
        e8(&j->a, 12);
        rotate_left(j, X2, X1, 2);
        v_rr(j, V_XOR, X0, X0, X2);
    }
    v_put(j, i->d, X0, 16);
    return true;
}

static bool emit_sha3(Jit *j)
{
    const IrInsn *i = j->i;
    unsigned a = v_low(j, i->a, X1), b = v_low(j, i->b, X2), row = i->vec;
    if (row == SIMD_EOR3 || row == SIMD_BCAX) {
        unsigned c = v_low(j, i->c, X3);
        if (row == SIMD_EOR3)
            v_rr(j, V_XOR, X0, b, c);
        else
            v_rr(j, V_ANDN, X0, c, b);
        v_rr(j, V_XOR, X0, X0, a);
    } else if (row == SIMD_RAX1) {
        v_shift(j, SHIFT_LEFT, 8, X0, b, 1);
        v_shift(j, SHIFT_RIGHT, 8, X3, b, 63);
        v_rr(j, V_OR, X0, X0, X3);
        v_rr(j, V_XOR, X0, X0, a);
    } else { /* XAR */
        if (i->size != 8)
            return false;
        unsigned n = (unsigned)i->imm2 & 63;
        v_rr(j, V_XOR, X2, a, b);
        v_shift(j, SHIFT_RIGHT, 8, X0, X2, n);
        v_shift(j, SHIFT_LEFT, 8, X2, X2, 64 - n);
        v_rr(j, V_OR, X0, X0, X2);
    }
    v_put(j, i->d, X0, 16);
    return true;
}

bool emit_simd_crypto(Jit *j)
{
    switch ((SimdRow)j->i->vec) {
    case SIMD_AESE: case SIMD_AESD: case SIMD_AESMC: case SIMD_AESIMC: return emit_aes(j);
    case SIMD_PMULL: return emit_pmull(j);
    case SIMD_SHA256H: case SIMD_SHA256H2: return emit_sha256_rounds(j);
    case SIMD_SHA1C: case SIMD_SHA1P: case SIMD_SHA1M: return emit_sha1_rounds(j);
    case SIMD_SHA1H: case SIMD_SHA1SU0: case SIMD_SHA1SU1: return emit_sha1_words(j);
    case SIMD_SHA256SU0: case SIMD_SHA256SU1: return emit_sha256_words(j);
    case SIMD_EOR3: case SIMD_BCAX: case SIMD_RAX1: case SIMD_XAR: return emit_sha3(j);
    default: return false;
    }
}
