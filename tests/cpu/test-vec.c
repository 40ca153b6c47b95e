/* SPDX-License-Identifier: MIT */
/* Every row of vec.def against the host's own instruction: catches a wrong helper, encoding or shape. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include "accel/tcg/flags.h"
#include "accel/tcg/vec.h"
#include "base/bits.h"

typedef struct Ctx {
    VecReg d, a, v0;
    uint64_t g, flags;
    uint32_t control, host_control;
} Ctx;

static uint8_t *code;

static bool host_has(uint32_t f)
{
    __builtin_cpu_init();
    return !((f & VEC_SSE3 && !__builtin_cpu_supports("sse3")) || (f & VEC_SSSE3 && !__builtin_cpu_supports("ssse3")) ||
             (f & VEC_SSE41 && !__builtin_cpu_supports("sse4.1")) ||
             (f & VEC_SSE42 && !__builtin_cpu_supports("sse4.2")) || (f & VEC_AES && !__builtin_cpu_supports("avx2")) ||
             (f & VEC_PCLMUL && !__builtin_cpu_supports("avx2")) ||
             (f & VEC_SHA && !__builtin_cpu_supports("avx512vbmi")));
}

static uint8_t *put(uint8_t *p, const char *bytes, unsigned n)
{
    memcpy(p, bytes, n);
    return p + n;
}
#define PUT(s) p = put(p, s, sizeof(s) - 1)

/* xmm1 = d, xmm2 = a, xmm0 = v0, rax = g, rdi = ctx; mem: the memory operand is ctx->a (or, for stores, ctx->d). */
static void assemble(const VecInfo *r, unsigned imm, bool mem)
{
    uint8_t *p = code;
    PUT("\x0f\x10\x0f");                 /* movups xmm1, [rdi] */
    PUT("\x0f\x10\x57\x40");             /* movups xmm2, [rdi+64] */
    PUT("\x0f\x10\x87\x80\x00\x00\x00"); /* movups xmm0, [rdi+128] */
    PUT("\x48\x8b\x87\xc0\x00\x00\x00"); /* mov rax, [rdi+192] */
    PUT("\x0f\xae\x97\xd0\x00\x00\x00"); /* ldmxcsr [rdi+208] */
    if (r->prefix)
        *p++ = r->prefix;
    if (r->flags & VEC_W)
        *p++ = 0x48;
    *p++ = 0x0f;
    if (r->map == 2)
        *p++ = 0x38;
    if (r->map == 3)
        *p++ = 0x3a;
    *p++ = r->opcode;
    bool store = r->shape == VEC_SHAPE_MV || r->flags & VEC_RM_DST;
    unsigned reg = 1, rm = 2;
    switch (r->shape) {
    case VEC_SHAPE_VI: reg = r->ext, rm = 1; break;
    case VEC_SHAPE_MV: reg = 2, rm = 1; break;
    case VEC_SHAPE_GV:
    case VEC_SHAPE_GVI: reg = r->flags & VEC_RM_DST ? 2 : 0, rm = r->flags & VEC_RM_DST ? 0 : 2; break;
    case VEC_SHAPE_VG: case VEC_SHAPE_VGI: reg = 1, rm = 0; break;
    default: break;
    }
    if (!mem) {
        *p++ = 0xc0 | reg << 3 | rm;
    } else if (store) {
        *p++ = reg << 3 | 7;
    } else {
        *p++ = 0x40 | reg << 3 | 7;
        *p++ = 0x40;
    }
    if (r->shape == VEC_SHAPE_VVI || r->shape == VEC_SHAPE_VI || r->shape == VEC_SHAPE_GVI || r->shape == VEC_SHAPE_VGI)
        *p++ = imm;
    PUT("\x9c\x59");                     /* pushfq; pop rcx */
    PUT("\x48\x89\x8f\xc8\x00\x00\x00"); /* mov [rdi+200], rcx */
    PUT("\x0f\xae\x9f\xd0\x00\x00\x00"); /* stmxcsr [rdi+208] */
    if (!(mem && store))
        PUT("\x0f\x11\x0f");             /* movups [rdi], xmm1 */
    PUT("\x48\x89\x87\xc0\x00\x00\x00"); /* mov [rdi+192], rax */
    PUT("\x0f\xae\x97\xd4\x00\x00\x00"); /* ldmxcsr [rdi+212] */
    *p++ = 0xc3;
}

static void random_reg(GRand *rng, VecReg *v)
{
    static const uint64_t f64s[] = { 0, 0x8000000000000000, 0x3ff0000000000000, 0xbff8000000000000, 0x7ff0000000000000,
        0xfff0000000000000, 0x7ff8000000000001, 0x7ff0000000000001, 1, 0x000fffffffffffff, 0x7fefffffffffffff,
        0x41dfffffffc00000, 0x43e0000000000000, 0x3fdfffffffffffff, 0x3690000000000000 };
    static const uint32_t f32s[] = { 0,          0x80000000, 0x3f800000, 0xbfc00000, 0x7f800000,
                                     0xff800000, 0x7fc00001, 0x7f800001, 1,          0x007fffff,
                                     0x7f7fffff, 0x4f000000, 0x5f000000, 0x3effffff, 0x4b800001 };
    unsigned how = g_rand_int_range(rng, 0, 4);
    for (unsigned i = 0; i < 4; i++)
        v->u32[i] = how == 1 ? f32s[g_rand_int_range(rng, 0, G_N_ELEMENTS(f32s))] : g_rand_int(rng);
    for (unsigned i = 0; i < 2 && how == 2; i++)
        v->u64[i] = f64s[g_rand_int_range(rng, 0, G_N_ELEMENTS(f64s))];
    for (unsigned i = 0; i < 16 && how == 3; i++)
        v->u8[i] = g_rand_int_range(rng, 0, 40);
}

static void one_case(GRand *rng, unsigned op, bool mem)
{
    const VecInfo *r = &vec_info[op];
    Ctx c = { .host_control = FP_CONTROL_DEFAULT };
    random_reg(rng, &c.d), random_reg(rng, &c.a), random_reg(rng, &c.v0);
    c.control = FP_CONTROL_DEFAULT | (uint32_t)g_rand_int_range(rng, 0, 4) << 13;
    if (g_rand_int_range(rng, 0, 4) == 0)
        c.control |= g_rand_int(rng) & 0x8040;
    c.g = c.a.u64[0];
    unsigned imm = g_rand_int(rng) & 255;
    if (r->opcode == 0xc2)
        imm &= 7;
    Ctx in = c;
    assemble(r, imm, mem);
    void (*run)(Ctx *);
    memcpy(&run, &(void *){ code }, sizeof run);
    run(&c);

    VecReg d = in.d, a = { 0 };
    bool store = r->shape == VEC_SHAPE_MV || r->flags & VEC_RM_DST,
         gdst = r->shape == VEC_SHAPE_GV || r->shape == VEC_SHAPE_GVI;
    bool gsrc = r->shape == VEC_SHAPE_VG || r->shape == VEC_SHAPE_VGI;
    memcpy(&a, &in.a, mem && !store ? r->msize : 16);
    if (gsrc && !mem)
        a.u64[0] = in.g, a.u64[1] = 0;
    if (gdst)
        memset(&d, 0, sizeof d), d.u64[0] = in.g;
    uint32_t control = in.control;
    uint32_t flags = vec_run(op, &d, &a, &in.v0, imm, mem, &control);
    const void *want = &c.d;
    unsigned n = 16;
    if (gdst && !(mem && store))
        want = &c.g, n = 8;
    else if (store)
        n = mem ? r->msize : 16;
    if (memcmp(&d, want, n) != 0 || (r->flags & VEC_FP && control != c.control) ||
        (r->shape == VEC_SHAPE_F && flags != (c.flags & FLAG_ALL))) {
        g_test_message("in d %016lx%016lx a %016lx%016lx imm %02x control %x", in.d.u64[1], in.d.u64[0], in.a.u64[1],
                       in.a.u64[0], imm, in.control);
        g_test_message("got %016lx%016lx control %x flags %x", d.u64[1], d.u64[0], control, flags);
        g_test_message("want %016lx%016lx (g %016lx) control %x flags %lx", c.d.u64[1], c.d.u64[0], c.g, c.control,
                       c.flags & FLAG_ALL);
        g_error("%s (%s form, row %u) differs from the host", r->mnemonic, mem ? "memory" : "register", op);
    }
}

static void test_rows(void)
{
    unsigned seed = g_test_rand_int();
    g_test_message("seed %u", seed);
    g_autoptr(GRand) rng = g_rand_new_with_seed(seed);
    for (unsigned op = 0; op < VEC_OP_COUNT; op++) {
        const VecInfo *r = &vec_info[op];
        if (!host_has(r->flags))
            continue;
        for (unsigned i = 0; i < 400; i++) {
            if (!(r->flags & VEC_MEM_ONLY))
                one_case(rng, op, false);
            if (!(r->flags & VEC_REG_ONLY) && r->shape != VEC_SHAPE_VG)
                one_case(rng, op, true);
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    G_STATIC_ASSERT(offsetof(Ctx, v0) == 128 && offsetof(Ctx, g) == 192 && offsetof(Ctx, control) == 208);
    code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (code == MAP_FAILED) {
        printf("1..0 # SKIP the host allows no writable and executable page\n");
        return 0;
    }
    g_test_add_func("/vec/rows-match-host", test_rows);
    return g_test_run();
}
