/* SPDX-License-Identifier: MIT */
/* MMX, string compares, masked stores, and vector rows under unmasked exceptions. */
#include "accel/tcg/vec.h"
#include "target/x86/fpu.h"

/* --- MMX: the SSE2 row of the same name on 64-bit halves; the registers are the x87 mantissas (SDM vol. 1, 9.6) --- */
/* Every MMX instruction but EMMS does this. */
X86_HELPER_VOID(mmx_enter)
{
    X86Cpu *cpu = x86_cpu(v);
    cpu->fp_top = 0;
    cpu->fp_tags = 0xff;
}

X86_HELPER_VOID(emms)
{
    X86Cpu *cpu = x86_cpu(v);
    cpu->fp_top = 0;
    cpu->fp_tags = 0;
}

/* REX.R and REX.B do not count for MMX registers. */
static void mmx_put(X86Cpu *c, unsigned i, uint64_t value)
{
    c->fpr[i & 7].mant = value;
    c->fpr[i & 7].sign_exp = 0xffff;
}

/* An unmasked exception of a conversion: nothing is committed. */
static uint32_t run_checked(X86Cpu *c, VecOp op, VecReg *d, const VecReg *a, unsigned imm, bool mem)
{
    Vcpu *v = &c->v;
    uint32_t control = (v->fp_control | 0x1f80) & ~0x3fu;
    uint32_t flags = vec_run(op, d, a, &v->v[0], imm, mem, &control);
    uint32_t raised = control & 0x3f, unmasked = raised & ~(v->fp_control >> 7);
    if (unmasked & 7)
        raised &= 7; /* pre-computation exceptions hide the others */
    v->fp_control |= raised;
    if (unmasked)
        x86_raise(c, c->cr4 & CR4_OSXMMEXCPT ? X86_XM : X86_UD);
    return flags;
}

X86_HELPER(mmx)
{
    X86Cpu *cpu = x86_cpu(v);
    unsigned op = a & 0xffff, di = a >> 16 & 15, si = a >> 20 & 15, imm = a >> 24 & 255;
    X86MmxForm form = a >> 36 & 15;
    bool from_value = a >> 32 & 1;
    VecReg d = { 0 }, s = { 0 };
    x86_help_x87_wait(v, 0, 0, 0);
    bool to_xmm = form == X86_MMX_TO_XMM || form == X86_MMX_TO_XMM_LOW;
    if (!to_xmm || !from_value) /* CVTPI2PD and CVTPI2PS from memory leave the x87 state alone */
        x86_help_mmx_enter(v, 0, 0, 0);
    d.u64[0] = cpu->fpr[di & 7].mant;
    if (from_value)
        s.u64[0] = b;
    else if (form == X86_MMX_FROM_XMM || form == X86_MMX_FROM_XMM_FULL)
        s.u64[0] = v->v[si].u64[0], s.u64[1] = v->v[si].u64[1];
    else
        s.u64[0] = cpu->fpr[si & 7].mant;
    switch (form) {
    case X86_MMX_LOW: break;
    case X86_MMX_HIGH: break;
    case X86_MMX_JOIN: d.u64[1] = s.u64[0]; break;
    case X86_MMX_SHUFFLE_BYTES: s.u64[0] &= UINT64_C(0x8787878787878787); break;
    case X86_MMX_ALIGN: {
        unsigned __int128 both = (unsigned __int128)d.u64[0] << 64 | s.u64[0];
        mmx_put(cpu, di, imm < 16 ? (uint64_t)(both >> 8 * imm) : 0);
        return 0;
    }
    case X86_MMX_WORD: imm &= 3; break;
    case X86_MMX_TO_XMM: memcpy(&d, &v->v[di], sizeof d); break;
    case X86_MMX_FROM_XMM: s.u64[1] = 0; break;
    case X86_MMX_FROM_XMM_FULL: s.u64[1] = from_value ? v->scratch[1] : s.u64[1]; break;
    case X86_MMX_TO_G: break;
    case X86_MMX_TO_XMM_LOW: break;
    }
    if (form == X86_MMX_TO_XMM_LOW) { /* CVTPI2PS: two results, the upper half stays */
        run_checked(cpu, op, &d, &s, imm, from_value);
        v->v[di].u64[0] = d.u64[0];
    } else if (vec_info[op].flags & VEC_FP) {
        run_checked(cpu, op, &d, &s, imm, from_value);
        if (form == X86_MMX_TO_XMM)
            memcpy(&v->v[di], &d, 16);
        else
            mmx_put(cpu, di, d.u64[0]);
    } else {
        uint32_t control = FP_CONTROL_DEFAULT;
        vec_run(op, &d, &s, &s, imm, from_value, &control);
        if (form == X86_MMX_TO_G)
            return d.u64[0];
        mmx_put(cpu, di, d.u64[form == X86_MMX_HIGH]);
    }
    return 0;
}

/* --- SSE --- */
X86_HELPER(stmxcsr) { return v->fp_control; }

X86_HELPER_VOID(align16)
{
    if (a & 15)
        x86_raise_gp(x86_cpu(v));
}

X86_HELPER_VOID(vec_load)
{
    memset(v->scratch, 0, 16);
    guest_read(v, a, v->scratch, (unsigned)b, x86_bank(v->mode));
}

X86_HELPER(vec_trap)
{
    X86Cpu *cpu = x86_cpu(v);
    VecOp op = a & 0xffff;
    unsigned di = a >> 16 & 15, si = a >> 20 & 15, imm = a >> 24 & 255;
    bool value = a >> 32 & 1, memory = a >> 33 & 1;
    const VecInfo *r = &vec_info[op];
    VecReg d = { 0 }, s = { 0 };
    bool to_g = r->shape == VEC_SHAPE_GV || r->shape == VEC_SHAPE_GVI;
    if (!to_g)
        memcpy(&d, &v->v[di], sizeof d);
    if (memory)
        memcpy(&s, v->scratch, 16);
    else if (value)
        s.u64[0] = b;
    else
        memcpy(&s, &v->v[si], sizeof s);
    uint32_t flags = run_checked(cpu, op, &d, &s, imm, memory);
    if (r->shape == VEC_SHAPE_F)
        flags_set_explicit(v, flags);
    else if (!to_g)
        memcpy(&v->v[di], &d, 16);
    return d.u64[0];
}

/* PCMPESTRI and its kin (SDM vol. 2, 4.1). */
typedef struct StrCmp {
    const VecReg *s[2];
    unsigned len[2], n;
    bool words, is_signed;
} StrCmp;

static int32_t str_elem(const StrCmp *x, unsigned which, unsigned i)
{
    const VecReg *s = x->s[which];
    if (x->words)
        return x->is_signed ? s->s16[i] : s->u16[i];
    return x->is_signed ? s->s8[i] : s->u8[i];
}

/* IntRes1; s[0] is the first operand (the set, ranges or needle), s[1] the second. */
static uint32_t str_aggregate(const StrCmp *x, unsigned how)
{
    uint32_t res = 0;
    for (unsigned j = 0; j < x->n; j++) {
        bool bit = how == 3;
        if (how == 2)
            bit = j < x->len[0] && j < x->len[1] ? str_elem(x, 0, j) == str_elem(x, 1, j)
                                                 : j >= x->len[0] && j >= x->len[1];
        for (unsigned i = 0; i < x->n && how == 0; i++)
            bit |= i < x->len[0] && j < x->len[1] && str_elem(x, 0, i) == str_elem(x, 1, j);
        for (unsigned i = 0; i + 1 < x->n && how == 1; i += 2)
            bit |= i + 1 < x->len[0] && j < x->len[1] && str_elem(x, 1, j) >= str_elem(x, 0, i) &&
                   str_elem(x, 1, j) <= str_elem(x, 0, i + 1);
        for (unsigned i = 0; i + j < x->n && how == 3; i++)
            bit &= i >= x->len[0] || (i + j < x->len[1] && str_elem(x, 0, i) == str_elem(x, 1, i + j));
        res |= (uint32_t)bit << j;
    }
    return res;
}

static unsigned explicit_length(uint64_t reg, bool wide, unsigned n)
{
    int64_t len = wide ? (int64_t)reg : (int32_t)reg;
    if (len < 0)
        return len < -(int64_t)n ? n : (unsigned)-len;
    return len > n ? n : (unsigned)len;
}

static unsigned implicit_length(const StrCmp *x, unsigned which)
{
    unsigned i = 0;
    while (i < x->n && str_elem(x, which, i))
        i++;
    return i;
}

X86_HELPER_VOID(pcmpstr)
{
    unsigned opcode = a & 255, di = a >> 8 & 15, si = a >> 12 & 15, imm = a >> 16 & 255;
    VecReg s = { 0 };
    memcpy(&s, a >> 24 & 1 ? (const void *)v->scratch : &v->v[si], 16);
    StrCmp x = { .s = { &v->v[di], &s }, .words = imm & 1, .is_signed = imm & 2, .n = imm & 1 ? 8 : 16 };
    bool implicit = opcode & 2, wide = a >> 25 & 1;
    x.len[0] = implicit ? implicit_length(&x, 0) : explicit_length(v->g[RAX], wide, x.n);
    x.len[1] = implicit ? implicit_length(&x, 1) : explicit_length(v->g[RDX], wide, x.n);
    uint32_t all = (1u << x.n) - 1, res = str_aggregate(&x, imm >> 2 & 3);
    if ((imm >> 4 & 3) == 1)
        res ^= all;
    else if ((imm >> 4 & 3) == 3)
        res ^= (1u << x.len[1]) - 1;
    flags_set_explicit(v, (res ? FLAG_C : 0) | (x.len[1] < x.n ? FLAG_Z : 0) | (x.len[0] < x.n ? FLAG_S : 0) |
                              (res & 1 ? FLAG_O : 0));
    if (opcode & 1) { /* index */
        v->g[RCX] = !res ? x.n : imm & 0x40 ? 31 - (unsigned)__builtin_clz(res) : (unsigned)__builtin_ctz(res);
        return;
    }
    VecReg *m = &v->v[0];
    m->u64[0] = imm & 0x40 ? 0 : res, m->u64[1] = 0;
    for (unsigned i = 0; i < x.n && imm & 0x40; i++) {
        if (x.words)
            m->u16[i] = res >> i & 1 ? 0xffff : 0;
        else
            m->u8[i] = res >> i & 1 ? 0xff : 0;
    }
}

X86_HELPER_VOID(maskmovq)
{
    X86Cpu *cpu = x86_cpu(v);
    bool mmx = b >> 16 & 1;
    unsigned n = mmx ? 8 : 16, bank = x86_bank(v->mode);
    const uint8_t *data = mmx ? (const uint8_t *)&cpu->fpr[b & 7].mant : v->v[b & 15].u8;
    const uint8_t *mask = mmx ? (const uint8_t *)&cpu->fpr[b >> 8 & 7].mant : v->v[b >> 8 & 15].u8;
    for (unsigned i = 0; i < n; i++)
        if (mask[i] & 0x80)
            guest_probe(v, a + i, 1, ACCESS_WRITE, bank);
    for (unsigned i = 0; i < n; i++)
        if (mask[i] & 0x80)
            guest_store(v, a + i, 1, data[i], bank);
}
