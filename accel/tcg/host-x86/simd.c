/* SPDX-License-Identifier: MIT */
/* SIMD ops on the host's vector unit: registers, encodings, moves, loads and stores. Intel SDM vol. 2; needs AVX2. */
#include "accel/tcg/host-x86/simd.h"

uint8_t jit_vhome[VCPU_VREGS + VCPU_VTEMPS];

/* --- encodings --- */
static void evex_modrm(Asm *a, unsigned reg, Loc rm)
{
    if (rm.kind == L_MEM && rm.disp && rm.disp == (int8_t)rm.disp) { /* a short displacement would be scaled */
        bool sib = rm.index != NO_REG || (rm.reg & 7) == 4;
        e8(a, 0x80 | (reg & 7) << 3 | (sib ? 4 : rm.reg & 7));
        if (sib)
            e8(a, (unsigned)rm.scale << 6 | (rm.index == NO_REG ? 4u : rm.index & 7u) << 3 | (rm.reg & 7));
        e32(a, (uint32_t)rm.disp);
    } else if (rm.kind == L_MEM && !rm.disp && (rm.reg & 7) == 5) {
        rm.disp = 1 << 20; /* [rbp], [r13] need a displacement: not a short one */
        emit_modrm(a, reg, rm);
        memset(a->p - 4, 0, 4);
    } else {
        emit_modrm(a, reg, rm);
    }
}

static void op_evex(Asm *a, unsigned pp, unsigned map, unsigned op, unsigned w, unsigned reg, unsigned v, Loc rm)
{
    unsigned b, x;
    if (rm.kind == L_REG)
        b = rm.reg >> 3 & 1, x = rm.reg >> 4 & 1;
    else
        b = rm.reg >> 3 & 1, x = rm.index == NO_REG ? 0 : rm.index >> 3 & 1;
    e8(a, 0x62);
    e8(a, (~(reg >> 3) & 1) << 7 | (~x & 1) << 6 | (~b & 1) << 5 | (~(reg >> 4) & 1) << 4 | map);
    e8(a, w << 7 | (~v & 15) << 3 | 4 | pp);
    e8(a, (~(v >> 4) & 1) << 3);
    e8(a, op);
    evex_modrm(a, reg, rm);
}

void simd_move(Asm *a, bool store, unsigned x, Loc m)
{
    if (x >= 16)
        op_evex(a, 0, 1, store ? 0x11 : 0x10, 0, x, 0, m);
    else
        op_rm(a, (store ? 0x11 : 0x10) | OP_0F, 4, x, m); /* movups */
}

/* a: 0 when the instruction has no such operand. */
void v_op(Jit *j, VOp o, unsigned d, unsigned a, Loc b)
{
    bool high = d >= 16 || a >= 16 || (b.kind == L_REG && b.reg >= 16);
    if (!high) {
        op_vex(&j->a, o.pp, o.map, o.op, o.w ? 8 : 4, d, a, b);
        return;
    }
    g_assert(o.ew != NO_EVEX);
    op_evex(&j->a, o.pp, o.map, o.op, (unsigned)o.ew, d, a, b);
}
void v_evex(Jit *j, VOp o, unsigned d, unsigned a, Loc b)
{
    op_evex(&j->a, o.pp, o.map, o.op, (unsigned)o.ew, d, a, b);
}

void v_mov(Jit *j, unsigned d, unsigned s)
{
    if (d != s)
        v_op(j, VOP(1, 1, 0x6f, 1), d, 0, loc_reg(s));
}

/* --- operands --- */
Loc v_home(IrRef r)
{
    unsigned n = ir_num(r), home = jit_vhome[n];
    return home != NO_REG ? loc_reg(home) : vcpu_loc(VOFF(v) + (int32_t)(n * sizeof(VecReg)));
}

static VOp v_load_op(void) { return VOP(0, 1, 0x10, 0); }

unsigned v_in(Jit *j, IrRef r, unsigned room)
{
    if (r == IR_NONE) {
        v_zero(j, room);
        return room;
    }
    Loc l = v_home(r);
    if (l.kind == L_REG)
        return l.reg;
    v_op(j, v_load_op(), room, 0, l);
    return room;
}

unsigned v_low(Jit *j, IrRef r, unsigned room)
{
    unsigned n = v_in(j, r, room);
    if (n < 16)
        return n;
    v_mov(j, room, n);
    return room;
}

/* Keep only the low bytes of s, into d. */
static void cut(Jit *j, unsigned d, unsigned s, unsigned bytes)
{
    switch (bytes) {
    case 8: v_op(j, V_MOVQ, d, 0, loc_reg(s)); break;
    case 4:
        v_op(j, VOP(1, 3, 0x21, 0), d, s, loc_reg(s)); /* vinsertps */
        e8(&j->a, 0x0e);
        break;
    case 2: v_op(j, V_AND, d, s, v_const(VC_LOW2)); break;
    case 1: v_op(j, V_AND, d, s, v_const(VC_LOW1)); break;
    default: v_mov(j, d, s); break;
    }
}

unsigned v_masked(Jit *j, IrRef r, unsigned bytes, unsigned room)
{
    if (bytes == 16 || r == IR_NONE)
        return v_low(j, r, room);
    Loc l = v_home(r);
    if (l.kind == L_MEM && bytes == 8)
        v_op(j, V_MOVQ, room, 0, l);
    else
        cut(j, room, v_low(j, r, room), bytes);
    return room;
}

void v_put(Jit *j, IrRef d, unsigned t, unsigned bytes)
{
    Loc l = v_home(d);
    if (l.kind == L_REG) {
        cut(j, l.reg, t, bytes);
        return;
    }
    if (bytes < 16) {
        cut(j, X0, t, bytes);
        t = X0;
    }
    v_op(j, VOP(0, 1, 0x11, 0), t, 0, l);
}

void v_constant(Jit *j, unsigned d, uint64_t v)
{
    if (!v) {
        v_zero(j, d);
    } else if (!~v) {
        v_ones(j, d);
    } else {
        uint32_t busy = j->busy;
        unsigned g = scratch(j);
        mov_ri(&j->a, g, v);
        v_op(j, VOPW(1, 1, 0x6e, 1), d, 0, loc_reg(g));
        v_rr(j, V_LQDQ, d, d, d);
        j->busy = busy;
    }
}

Loc v_const(VConst c) { return vcpu_loc(VOFF(host_const) + 16 * (int32_t)c); }

void jit_vcpu_init(Vcpu *v)
{
    static const uint64_t k[VC_COUNT][2] = {
        [VC_ABS4] = { 0x7fffffff7fffffff, 0x7fffffff7fffffff },
        [VC_ABS8] = { INT64_MAX, INT64_MAX },
        [VC_SIGN4] = { 0x8000000080000000, 0x8000000080000000 },
        [VC_SIGN8] = { UINT64_C(1) << 63, UINT64_C(1) << 63 },
        [VC_MIN4] = { 0x0080000000800000, 0x0080000000800000 },
        [VC_MIN8] = { UINT64_C(1) << 52, UINT64_C(1) << 52 },
        [VC_LOW1] = { 0xff, 0 },
        [VC_LOW2] = { 0xffff, 0 },
        [VC_LOW4] = { 0xffffffff, 0 },
        [VC_B1] = { 0x0101010101010101, 0x0101010101010101 },
        [VC_W1] = { 0x0001000100010001, 0x0001000100010001 },
        [VC_B0F] = { 0x0f0f0f0f0f0f0f0f, 0x0f0f0f0f0f0f0f0f },
        [VC_W00FF] = { 0x00ff00ff00ff00ff, 0x00ff00ff00ff00ff },
        [VC_D0000FFFF] = { 0x0000ffff0000ffff, 0x0000ffff0000ffff },
        [VC_B70] = { 0x7070707070707070, 0x7070707070707070 },
        [VC_B10] = { 0x1010101010101010, 0x1010101010101010 },
        [VC_B20] = { 0x2020202020202020, 0x2020202020202020 },
        [VC_B30] = { 0x3030303030303030, 0x3030303030303030 },
        [VC_POPCOUNT] = { 0x0302020102010100, 0x0403030203020201 },
        [VC_RBIT_LOW] = { 0xe060a020c0408000, 0xf070b030d0509010 },
        [VC_RBIT_HIGH] = { 0x0e060a020c040800, 0x0f070b030d050901 },
        [VC_REV16] = { 0x0607040502030001, 0x0e0f0c0d0a0b0809 },
        [VC_REV32] = { 0x0405060700010203, 0x0c0d0e0f08090a0b },
        [VC_REV64] = { 0x0001020304050607, 0x08090a0b0c0d0e0f },
        [VC_REV32H] = { 0x0504070601000302, 0x0d0c0f0e09080b0a },
        [VC_REV64H] = { 0x0100030205040706, 0x09080b0a0d0c0f0e },
        [VC_W8000] = { 0x8000800080008000, 0x8000800080008000 },
        [VC_D80000000] = { 0x8000000080000000, 0x8000000080000000 },
    };
    G_STATIC_ASSERT(sizeof k <= sizeof v->host_const);
    memcpy(v->host_const, k, sizeof k);
}

/* --- by the portable function --- */
static void jit_simd_call(Vcpu *v, const IrInsn *i) { simd_run(v, i); }

static void simd_call(Jit *j, const IrInsn *insn)
{
    IrInsn *copy = codebuf_alloc(sizeof *copy);
    if (!copy) {
        j->failed = true;
        return;
    }
    *copy = *insn;
    mov_ri(&j->a, REG_S1, (uintptr_t)copy);
    store_r(&j->a, 8, vcpu_loc(VOFF(slow[0])), REG_S1);
    mov_ri(&j->a, REG_S0, (uintptr_t)jit_simd_call);
    call_stub(&j->a, jit_stubs.call_full);
}

/* The rows neither raise nor look at the flags: descriptors stay as they are. */
void v_step(Jit *j)
{
    if (j->i->d == IR_MEM || j->i->a == IR_MEM) {
        emit_step(j);
        return;
    }
    flags_clobber(j);
    flags_will_write(j, REG_S0);
    flags_will_write(j, REG_S1);
    coalesce_forget(j);
    if (ir_kind(j->i->d) == IR_KIND_G || ir_kind(j->i->d) == IR_KIND_T)
        write_begin(j, j->i->d);
    simd_call(j, j->i);
    j->native = 0;
}

void v_cold(Jit *j, uint8_t *jcc)
{
    add_cold(j, (Cold){ .kind = COLD_SIMD, .from = jcc, .insn = j->i, .back = j->a.p });
}

/* The registers of the hot part live on, also those of a checked range. */
void cold_simd(Jit *j, Cold *c)
{
    patch_rel32(c->from, j->a.p);
    store_r(&j->a, 8, vcpu_loc(VOFF(slow[2])), REG_S0);
    store_r(&j->a, 8, vcpu_loc(VOFF(slow[3])), REG_S1);
    simd_call(j, c->insn);
    load_zx(&j->a, 8, REG_S0, vcpu_loc(VOFF(slow[2])));
    load_zx(&j->a, 8, REG_S1, vcpu_loc(VOFF(slow[3])));
    patch_rel32(jmp32(&j->a), c->back);
}

/* --- loads, stores, moves --- */
static bool emit_load(Jit *j)
{
    const IrInsn *i = j->i;
    unsigned bytes = i->size2;
    mem_access(j, bytes, false);
    Loc home = v_home(i->d);
    unsigned d = home.kind == L_REG ? home.reg : X0;
    switch (bytes) {
    case 16: v_op(j, VOP(0, 1, 0x10, 0), d, 0, j->gm); break;
    case 8: v_op(j, VOP(3, 1, 0x10, 1), d, 0, j->gm); break;
    case 4: v_op(j, VOP(2, 1, 0x10, 0), d, 0, j->gm); break;
    default: {
        unsigned g = scratch(j);
        load_zx(&j->a, bytes, g, j->gm);
        v_op(j, VOP(1, 1, 0x6e, 0), d, 0, loc_reg(g));
        break;
    }
    }
    if (home.kind == L_MEM)
        v_op(j, VOP(0, 1, 0x11, 0), d, 0, home);
    return true;
}

static bool emit_store(Jit *j)
{
    const IrInsn *i = j->i;
    unsigned bytes = i->size2;
    mem_access(j, bytes, true);
    unsigned a = v_in(j, i->a, X0);
    switch (bytes) {
    case 16: v_op(j, VOP(0, 1, 0x11, 0), a, 0, j->gm); break;
    case 8: v_op(j, VOP(3, 1, 0x11, 1), a, 0, j->gm); break;
    case 4: v_op(j, VOP(2, 1, 0x11, 0), a, 0, j->gm); break;
    default: /* vpextrb, vpextrw */
        v_op(j, VOP(1, 3, bytes == 1 ? 0x14 : 0x15, 0), a, 0, j->gm);
        e8(&j->a, 0);
        break;
    }
    return true;
}

static unsigned extract_op(unsigned es) { return es == 1 ? 0x14 : es == 2 ? 0x15 : 0x16; }

static bool emit_extract(Jit *j)
{
    const IrInsn *i = j->i;
    unsigned es = i->size;
    Loc d = loc_of(j, i->d);
    unsigned t = d.kind == L_REG ? d.reg : scratch(j), a = v_in(j, i->a, X0);
    write_begin(j, i->d);
    if (es >= 4 && i->imm2 == 0) {
        v_op(j, es == 8 ? VOPW(1, 1, 0x7e, 1) : VOP(1, 1, 0x7e, 0), a, 0, loc_reg(t));
    } else {
        v_op(j, (VOp){ 1, 3, (uint8_t)extract_op(es), es == 8, es == 8 }, a, 0, loc_reg(t));
        e8(&j->a, (unsigned)i->imm2);
    }
    if (i->vec == SIMD_SMOV) {
        unsigned size = i->size2 == 8 ? 8 : 4;
        if (es == 4)
            op_rm(&j->a, 0x63, 8, t, loc_reg(t));
        else
            op_rm(&j->a, (es == 1 ? 0xbe | OP_RM8 : 0xbf) | OP_0F, size, t, loc_reg(t));
    }
    if (d.kind != L_REG)
        store_result(j, 8, i->d, t);
    return true;
}

/* A general register (or its field) into the low part of an X register. */
static void from_general(Jit *j, unsigned x, unsigned es, IrRef r)
{
    Loc l = loc_of(j, r);
    v_op(j, es == 8 ? VOPW(1, 1, 0x6e, 1) : VOP(1, 1, 0x6e, 0), x, 0, l);
}

static void broadcast(Jit *j, unsigned es, unsigned d, unsigned s) /* the lowest lane */
{
    static const uint8_t op[4] = { 0x78, 0x79, 0x58, 0x59 };
    v_op(j, VOP(1, 2, op[log2_of(es)], es == 8), d, 0, loc_reg(s));
}

static unsigned direct_home(IrRef d, unsigned bytes) /* the register that may be written as a whole, or X0 */
{
    Loc l = v_home(d);
    return bytes == 16 && l.kind == L_REG ? l.reg : X0;
}

static bool emit_dup(Jit *j)
{
    const IrInsn *i = j->i;
    unsigned es = i->size, bytes = i->size2, t = direct_home(i->d, bytes);
    if (i->vec == SIMD_DUPG) {
        from_general(j, X1, es, i->a);
        if (bytes == es) {
            v_put(j, i->d, X1, es >= 4 ? 16 : bytes); /* the rest is zero already */
            return true;
        }
        broadcast(j, es, t, X1);
    } else {
        unsigned lane = (unsigned)i->imm2, a = v_low(j, i->a, X1);
        if (lane) {
            v_shift_bytes_right(j, X1, a, lane * es);
            a = X1;
        }
        if (bytes == es) {
            v_put(j, i->d, a, bytes);
            return true;
        }
        broadcast(j, es, t, a);
    }
    v_put(j, i->d, t, bytes);
    return true;
}

static bool emit_insert(Jit *j)
{
    const IrInsn *i = j->i;
    unsigned es = i->size, t = direct_home(i->d, 16), b = v_in(j, i->b, X1);
    if (i->vec == SIMD_INSG) {
        Loc l = loc_of(j, i->a);
        VOp o = es == 1   ? VOP(1, 3, 0x20, 0)
                : es == 2 ? VOP(1, 1, 0xc4, 0)
                : es == 4 ? VOP(1, 3, 0x22, 0)
                          : VOPW(1, 3, 0x22, 1);
        v_op(j, o, t, b, l);
        e8(&j->a, (unsigned)i->imm2);
        v_put(j, i->d, t, 16);
        return true;
    }
    unsigned to = i->imm2 & 255, from = i->imm2 >> 8 & 255, a = v_in(j, i->a, X2);
    if (es == 4) {
        v_op(j, VOP(1, 3, 0x21, 0), t, b, loc_reg(a)); /* vinsertps */
        e8(&j->a, from << 6 | to << 4);
    } else if (es == 8) { /* the other lane of b and one of a */
        unsigned first = to ? b : a, second = to ? a : b, pick = to ? (from << 1) : (from | 2);
        v_op(j, VOP(1, 1, 0xc6, 1), t, first, loc_reg(second)); /* vshufpd */
        e8(&j->a, pick);
    } else {
        unsigned g = scratch(j);
        v_op(j, VOP(1, 3, extract_op(es), 0), a, 0, loc_reg(g));
        e8(&j->a, from);
        v_op(j, es == 1 ? VOP(1, 3, 0x20, 0) : VOP(1, 1, 0xc4, 0), t, b, loc_reg(g));
        e8(&j->a, to);
    }
    v_put(j, i->d, t, 16);
    return true;
}

static bool emit_select(Jit *j)
{
    const IrInsn *i = j->i;
    unsigned b = v_in(j, i->b, X1), a = v_in(j, i->a, X2);
    v_mov(j, X0, b);
    flags_clobber(j);
    Loc c = loc_of(j, i->c);
    if (c.kind == L_REG)
        test_rr(&j->a, 1, c, c.reg);
    else
        alu_ri(&j->a, ALU_CMP, 1, c, 0);
    uint8_t *over = jcc32(&j->a, IRC_Z);
    v_mov(j, X0, a);
    patch_rel32(over, j->a.p);
    v_put(j, i->d, X0, i->size2);
    j->native = 0;
    return true;
}

bool emit_simd_move(Jit *j)
{
    const IrInsn *i = j->i;
    switch ((SimdRow)i->vec) {
    case SIMD_LD: return emit_load(j);
    case SIMD_ST: return emit_store(j);
    case SIMD_MOV: v_put(j, i->d, v_in(j, i->a, X0), i->size2); return true;
    case SIMD_MOVI: {
        unsigned t = direct_home(i->d, 16) < 16 ? direct_home(i->d, 16) : X0;
        if (i->size2 == 16) {
            v_constant(j, t, i->imm);
            v_put(j, i->d, t, 16);
        } else if (!i->imm) {
            v_zero(j, X0);
            v_put(j, i->d, X0, 16);
        } else {
            unsigned g = scratch(j);
            mov_ri(&j->a, g, i->imm);
            v_op(j, VOPW(1, 1, 0x6e, 1), X0, 0, loc_reg(g));
            v_put(j, i->d, X0, 16);
        }
        return true;
    }
    case SIMD_DUPE: case SIMD_DUPG: return emit_dup(j);
    case SIMD_INSE: case SIMD_INSG: return emit_insert(j);
    case SIMD_UMOV: case SIMD_SMOV: return emit_extract(j);
    case SIMD_CSEL: return emit_select(j);
    default: return false;
    }
}

void emit_simd(Jit *j)
{
    const IrInsn *i = j->i;
    if (j->done && j->done == j->k)
        return;
    bool slow = !jit_host.avx2 || i->flags & (IR_FP_SLOW | IR_FP_STANDARD | IR_BE) || i->size2 > 16;
    if (!slow && (emit_simd_move(j) || emit_simd_int(j) || emit_simd_narrow_wide(j) || emit_simd_fp(j) ||
                  emit_simd_fp_convert(j) || emit_simd_crypto(j)))
        return;
    v_step(j);
}
