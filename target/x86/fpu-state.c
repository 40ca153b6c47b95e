/* SPDX-License-Identifier: MIT */
/* Memory images of the FPU and vector state: FSTENV, FSAVE, FXSAVE, XSAVE and back (SDM vol. 1, 8.1.10, 10.5, 13). */
#include "target/x86/f80.h"
#include "target/x86/fpu.h"

enum { MXCSR_MASK = 0xffff, FX_MXCSR = 24, FX_ST = 32, FX_XMM = 160, XS_HEADER = 512, XS_AVX = 576, XS_SIZE = 832 };
enum { XFEATURE_X87 = 1, XFEATURE_SSE = 2, XFEATURE_AVX = 4 };

/* --- FSTENV / FSAVE --- */
static bool real_format(const X86Cpu *c) { return !(c->cr0 & CR0_PE) || x86_vm86(c); }

static unsigned env_image(const X86Cpu *c, unsigned osize, uint8_t *p)
{
    uint16_t words[3] = { c->fp_cw, x87_status(c), x87_tag_word(c) };
    uint32_t ip = (uint32_t)c->fp_ip, dp = (uint32_t)c->fp_dp;
    unsigned step = osize == 2 ? 2 : 4;
    memset(p, 0xff, 7 * step);
    for (unsigned i = 0; i < 3; i++)
        store_le16(p + i * step, words[i]);
    if (real_format(c)) {
        ip += (uint32_t)c->fp_cs << 4, dp += (uint32_t)c->fp_ds << 4;
        store_le16(p + 3 * step, (uint16_t)ip);
        store_le(p + 4 * step, step, (ip >> 16) << 12 | c->fp_op);
        store_le16(p + 5 * step, (uint16_t)dp);
        store_le(p + 6 * step, step, (dp >> 16) << 12);
    } else if (osize == 2) {
        store_le16(p + 6, (uint16_t)ip), store_le16(p + 8, c->fp_cs);
        store_le16(p + 10, (uint16_t)dp), store_le16(p + 12, c->fp_ds);
    } else {
        store_le32(p + 12, ip), store_le32(p + 16, c->fp_cs | (uint32_t)c->fp_op << 16);
        store_le32(p + 20, dp), store_le16(p + 24, c->fp_ds);
    }
    return 7 * step;
}

static void env_from_image(X86Cpu *c, unsigned osize, const uint8_t *p)
{
    unsigned step = osize == 2 ? 2 : 4;
    c->fp_cw = (load_le16(p) & 0x1f3f) | 0x40;
    x87_set_status(c, load_le16(p + step));
    uint16_t tags = load_le16(p + 2 * step);
    c->fp_tags = 0;
    for (unsigned i = 0; i < 8; i++)
        c->fp_tags |= ((tags >> 2 * i & 3) != 3) << i;
    if (real_format(c)) {
        uint32_t high = (uint32_t)load_le(p + 4 * step, step);
        c->fp_ip = load_le16(p + 3 * step) | (high >> 12) << 16;
        c->fp_op = high & 0x7ff;
        c->fp_dp = load_le16(p + 5 * step) | (uint32_t)(load_le(p + 6 * step, step) >> 12) << 16;
        c->fp_cs = c->fp_ds = 0;
    } else {
        c->fp_ip = load_le(p + 3 * step, step);
        c->fp_cs = load_le16(p + 4 * step);
        c->fp_op = osize == 2 ? 0 : load_le16(p + 18) & 0x7ff;
        c->fp_dp = load_le(p + 5 * step, step);
        c->fp_ds = load_le16(p + 6 * step);
    }
    x87_update_summary(c);
}

void x87_store_env(Vcpu *v, uint64_t ea, unsigned osize, unsigned bank)
{
    X86Cpu *c = x86_cpu(v);
    uint8_t image[28];
    unsigned n = env_image(c, osize, image);
    guest_probe(v, ea, n, ACCESS_WRITE, bank);
    guest_write(v, ea, image, n, bank);
    c->fp_cw |= F80_EXCEPTIONS;
    x87_update_summary(c);
}

void x87_load_env(Vcpu *v, uint64_t ea, unsigned osize, unsigned bank)
{
    uint8_t image[28];
    guest_read(v, ea, image, osize == 2 ? 14 : 28, bank);
    env_from_image(x86_cpu(v), osize, image);
}

static void st_to_bytes(const X86FpReg *r, uint8_t *p)
{
    store_le64(p, r->mant);
    store_le16(p + 8, r->sign_exp);
}
static void st_from_bytes(X86FpReg *r, const uint8_t *p)
{
    r->mant = load_le64(p);
    r->sign_exp = load_le16(p + 8);
}

void x87_save(Vcpu *v, uint64_t ea, unsigned osize, unsigned bank)
{
    X86Cpu *c = x86_cpu(v);
    uint8_t image[108];
    unsigned n = env_image(c, osize, image);
    for (unsigned i = 0; i < 8; i++)
        st_to_bytes(x87_st(c, i), image + n + 10 * i);
    guest_probe(v, ea, n + 80, ACCESS_WRITE, bank);
    guest_write(v, ea, image, n + 80, bank);
    x87_init(c);
}

void x87_restore(Vcpu *v, uint64_t ea, unsigned osize, unsigned bank)
{
    X86Cpu *c = x86_cpu(v);
    uint8_t image[108];
    unsigned n = osize == 2 ? 14 : 28;
    guest_read(v, ea, image, n + 80, bank);
    env_from_image(c, osize, image);
    for (unsigned i = 0; i < 8; i++)
        st_from_bytes(x87_st(c, i), image + n + 10 * i);
}

/* --- the 512-byte legacy region, in parts --- */
static void legacy_x87_store(X86Cpu *c, uint8_t *p, bool rexw)
{
    store_le16(p, c->fp_cw), store_le16(p + 2, x87_status(c));
    p[4] = c->fp_tags, p[5] = 0;
    store_le16(p + 6, c->fp_op);
    if (rexw) {
        store_le64(p + 8, c->fp_ip), store_le64(p + 16, c->fp_dp);
    } else {
        store_le32(p + 8, (uint32_t)c->fp_ip), store_le32(p + 12, c->fp_cs);
        store_le32(p + 16, (uint32_t)c->fp_dp), store_le32(p + 20, c->fp_ds);
    }
    for (unsigned i = 0; i < 8; i++) {
        st_to_bytes(x87_st(c, i), p + FX_ST + 16 * i);
        memset(p + FX_ST + 16 * i + 10, 0, 6);
    }
}

static void legacy_x87_load(X86Cpu *c, const uint8_t *p, bool rexw)
{
    c->fp_cw = (load_le16(p) & 0x1f3f) | 0x40;
    x87_set_status(c, load_le16(p + 2));
    c->fp_tags = p[4];
    c->fp_op = load_le16(p + 6) & 0x7ff;
    if (rexw) {
        c->fp_ip = load_le64(p + 8), c->fp_dp = load_le64(p + 16);
    } else {
        c->fp_ip = load_le32(p + 8), c->fp_cs = load_le16(p + 12);
        c->fp_dp = load_le32(p + 16), c->fp_ds = load_le16(p + 20);
    }
    for (unsigned i = 0; i < 8; i++)
        st_from_bytes(x87_st(c, i), p + FX_ST + 16 * i);
}

static unsigned xmm_count(const X86Cpu *c) { return x86_is_64(c) ? 16 : 8; }

static void check_aligned(X86Cpu *c, uint64_t ea, unsigned to)
{
    if (ea & (to - 1))
        x86_raise_gp(c);
}

static void set_mxcsr(X86Cpu *c, uint32_t value)
{
    c->v.fp_control = value;
    x86_update_mode(c);
}

X86_HELPER_VOID(ldmxcsr)
{
    if (a & ~(uint64_t)MXCSR_MASK)
        x86_raise_gp(x86_cpu(v));
    set_mxcsr(x86_cpu(v), (uint32_t)a);
}

/* EFER.FFXSR at CPL 0 in 64-bit code leaves the XMM registers out (APM vol. 2, 11.4.4). */
static bool fast_fx(const X86Cpu *c) { return c->efer & EFER_FFXSR && x86_is_64(c) && x86_cpl(c) == 0; }

X86_HELPER_VOID(fxsave)
{
    X86Cpu *cpu = x86_cpu(v);
    unsigned bank = x86_bank(v->mode), n = FX_XMM;
    uint8_t image[512];
    check_aligned(cpu, a, 16);
    memset(image, 0, sizeof image);
    legacy_x87_store(cpu, image, b == 8);
    store_le32(image + FX_MXCSR, v->fp_control), store_le32(image + FX_MXCSR + 4, MXCSR_MASK);
    if (cpu->cr4 & CR4_OSFXSR && !fast_fx(cpu)) {
        n += 16 * xmm_count(cpu);
        for (unsigned i = 0; i < xmm_count(cpu); i++)
            memcpy(image + FX_XMM + 16 * i, &v->v[i], 16);
    }
    guest_probe(v, a, n, ACCESS_WRITE, bank);
    guest_write(v, a, image, n, bank);
}

X86_HELPER_VOID(fxrstor)
{
    X86Cpu *cpu = x86_cpu(v);
    uint8_t image[512];
    check_aligned(cpu, a, 16);
    guest_read(v, a, image, sizeof image, x86_bank(v->mode));
    uint32_t mxcsr = load_le32(image + FX_MXCSR);
    if (mxcsr & ~MXCSR_MASK)
        x86_raise_gp(cpu);
    legacy_x87_load(cpu, image, b == 8);
    if (cpu->cr4 & CR4_OSFXSR && !fast_fx(cpu))
        for (unsigned i = 0; i < xmm_count(cpu); i++)
            memcpy(&v->v[i], image + FX_XMM + 16 * i, 16);
    x87_update_summary(cpu);
    set_mxcsr(cpu, mxcsr);
}

/* --- XSAVE: every component counts as in use, which the init optimisation allows (SDM vol. 1, 13.6) --- */
static uint64_t requested(X86Cpu *c)
{
    return c->xcr0 & ((uint64_t)(uint32_t)c->v.g[RDX] << 32 | (uint32_t)c->v.g[RAX]);
}

static void check_form(X86Cpu *c, uint64_t form)
{
    if (form == 3 && x86_cpl(c))
        x86_raise_gp(c);
}

X86_HELPER_VOID(xsave)
{
    X86Cpu *cpu = x86_cpu(v);
    unsigned bank = x86_bank(v->mode);
    uint64_t want = requested(cpu);
    uint8_t image[XS_SIZE];
    check_form(cpu, a3);
    check_aligned(cpu, a, 64);
    unsigned size = want & XFEATURE_AVX ? XS_SIZE : XS_AVX;
    guest_probe(v, a, size, ACCESS_WRITE, bank);
    guest_read(v, a, image, size, bank);
    if (want & XFEATURE_X87)
        legacy_x87_store(cpu, image, b == 8);
    if (want & (XFEATURE_SSE | XFEATURE_AVX))
        store_le32(image + FX_MXCSR, v->fp_control), store_le32(image + FX_MXCSR + 4, MXCSR_MASK);
    for (unsigned i = 0; i < xmm_count(cpu); i++) {
        if (want & XFEATURE_SSE)
            memcpy(image + FX_XMM + 16 * i, &v->v[i], 16);
        if (want & XFEATURE_AVX)
            memcpy(image + XS_AVX + 16 * i, &v->v[i].u8[16], 16);
    }
    uint64_t old = load_le64(image + XS_HEADER);
    bool compact = a3 >= 2;
    store_le64(image + XS_HEADER, compact ? want : (old & ~want) | want);
    if (compact)
        store_le64(image + XS_HEADER + 8, want | BIT(63));
    guest_write(v, a, image, size, bank);
}

static void check_header(X86Cpu *c, const uint8_t *h, uint64_t form)
{
    uint64_t bv = load_le64(h), comp = load_le64(h + 8), rest = load_le64(h + 16);
    bool compact = comp >> 63;
    if (bv & ~c->xcr0 || rest || (compact ? bv & ~comp || comp & ~(c->xcr0 | BIT(63)) : comp != 0) ||
        (form == 3 && !compact))
        x86_raise_gp(c);
}

X86_HELPER_VOID(xrstor)
{
    X86Cpu *cpu = x86_cpu(v);
    unsigned bank = x86_bank(v->mode);
    uint64_t want = requested(cpu);
    uint8_t image[XS_SIZE];
    check_form(cpu, a3);
    check_aligned(cpu, a, 64);
    guest_read(v, a, image, XS_AVX, bank);
    check_header(cpu, image + XS_HEADER, a3);
    uint64_t have = load_le64(image + XS_HEADER) & want;
    bool compact = load_le64(image + XS_HEADER + 8) >> 63;
    if (have & XFEATURE_AVX)
        guest_read(v, a + XS_AVX, image + XS_AVX, XS_SIZE - XS_AVX, bank);
    uint32_t mxcsr = v->fp_control;
    if (compact ? have & XFEATURE_SSE : want & (XFEATURE_SSE | XFEATURE_AVX))
        mxcsr = load_le32(image + FX_MXCSR);
    else if (compact && want & XFEATURE_SSE)
        mxcsr = 0x1f80;
    if (mxcsr & ~MXCSR_MASK)
        x86_raise_gp(cpu);
    if (have & XFEATURE_X87) {
        legacy_x87_load(cpu, image, b == 8);
    } else if (want & XFEATURE_X87) {
        x87_init(cpu);
        memset(cpu->fpr, 0, sizeof cpu->fpr);
    }
    for (unsigned i = 0; i < xmm_count(cpu); i++) {
        if (want & XFEATURE_SSE)
            memset(&v->v[i], 0, 16);
        if (have & XFEATURE_SSE)
            memcpy(&v->v[i], image + FX_XMM + 16 * i, 16);
        if (want & XFEATURE_AVX)
            memset(&v->v[i].u8[16], 0, 16);
        if (have & XFEATURE_AVX)
            memcpy(&v->v[i].u8[16], image + XS_AVX + 16 * i, 16);
    }
    x87_update_summary(cpu);
    set_mxcsr(cpu, mxcsr);
}
