/* SPDX-License-Identifier: MIT */
/* The common pieces of generated code: entry, exit, slow accesses, calls of C. */
#include "accel/tcg/host-x86/jit.h"

JitStubs jit_stubs;

static const uint8_t pushed[] = { RBP, RBX, R12, R13, R14, R15 };

static void push(Asm *a, unsigned r)
{
    if (r >= 8)
        e8(a, 0x41);
    e8(a, 0x50 | (r & 7));
}
static void pop(Asm *a, unsigned r)
{
    if (r >= 8)
        e8(a, 0x41);
    e8(a, 0x58 | (r & 7));
}
static void ret(Asm *a) { e8(a, 0xc3); }

static void homes(Asm *a, bool save)
{
    for (unsigned g = 0; g < VCPU_GREGS; g++) {
        if (jit_home[g] == NO_REG)
            continue;
        Loc m = vcpu_loc(VOFF(g) + 8 * (int32_t)g);
        if (save)
            store_r(a, 8, m, jit_home[g]);
        else
            load_zx(a, 8, jit_home[g], m);
    }
    if (save)
        store_r(a, 8, vcpu_loc(VOFF(tmp)), REG_T0);
    else
        load_zx(a, 8, REG_T0, vcpu_loc(VOFF(tmp)));
}

static void vectors(Asm *a, bool save)
{
    for (unsigned n = 0; n < ARRAY_LEN(jit_vhome); n++)
        if (jit_vhome[n] != NO_REG)
            simd_move(a, save, jit_vhome[n], vcpu_loc(VOFF(v) + (int32_t)(n * sizeof(VecReg))));
}
/* The guest's FP control out and the host's in, or the reverse. */
static void fp_control(Asm *a, bool save)
{
    if (save)
        op_rm(a, 0xae | OP_0F, 4, 3, vcpu_loc(VOFF(fp_control))); /* stmxcsr */
    op_rm(a, 0xae | OP_0F, 4, 2, vcpu_loc(save ? VOFF(host_fp_control) : VOFF(fp_control))); /* ldmxcsr */
}
static void save_all(Asm *a) { homes(a, true), vectors(a, true), fp_control(a, true); }
static void load_all(Asm *a) { fp_control(a, false), vectors(a, false), homes(a, false); }

static void vcpu_argument(Asm *a) { lea(a, 8, RDI, loc_mem(RBP, -VCPU_BIAS)); }
static void call_c(Asm *a, const void *fn)
{
    mov_ri(a, RAX, (uintptr_t)fn);
    op_rm(a, 0xff, 4, 2, loc_reg(RAX));
}
static void move_sp(Asm *a, int n) { lea(a, 8, RSP, loc_mem(RSP, n)); }
static void clear_site(Asm *a) { store_i(a, 4, vcpu_loc(VOFF(call_site)), 0); }

static const uint8_t *here(Asm *a)
{
    while ((uintptr_t)a->p & 15)
        e8(a, 0xcc);
    return codebuf_exec(a->p);
}

static void make_enter(Asm *a)
{
    jit_stubs.enter = (int (*)(Vcpu *, const void *))(uintptr_t)here(a);
    for (unsigned i = 0; i < ARRAY_LEN(pushed); i++)
        push(a, pushed[i]);
    move_sp(a, -8);
    lea(a, 8, RBP, loc_mem(RDI, VCPU_BIAS));
    op_rm(a, 0xae | OP_0F, 4, 3, vcpu_loc(VOFF(host_fp_control)));
    mov_rr(a, 8, REG_S0, RSI);
    load_all(a);
    op_rm(a, 0xff, 4, 4, loc_reg(REG_S0)); /* jmp */
}

/* Returns where an exit that has saved everything goes on (with the result in REG_S0). */
static uint8_t *make_exit(Asm *a)
{
    jit_stubs.exit_link = here(a);
    store_r(a, 8, vcpu_loc(VOFF(slow[2])), REG_S0);
    mov_ri(a, REG_S0, RUN_LINK);
    uint8_t *over = jmp32(a);
    jit_stubs.exit = here(a);
    patch_rel32(over, a->p);
    save_all(a);
    uint8_t *saved = a->p;
    mov_rr(a, 4, RAX, REG_S0);
    move_sp(a, 8);
    for (unsigned i = ARRAY_LEN(pushed); i-- > 0;)
        pop(a, pushed[i]);
    ret(a);
    return saved;
}

/* C comes back set when the access goes to the bounce buffer and has to be committed. */
static void make_slow(Asm *a, uint8_t *saved_exit)
{
    jit_stubs.slow = here(a);
    homes(a, true);
    store_r(a, 8, vcpu_loc(VOFF(slow[0])), REG_S1);
    store_r(a, 8, vcpu_loc(VOFF(slow[1])), REG_S0);
    vcpu_argument(a);
    move_sp(a, -8);
    call_c(a, jit_slow_fast);
    test_rr(a, 4, loc_reg(RAX), RAX);
    uint8_t *full = jcc32(a, IRC_S);
    move_sp(a, 8);
    uint8_t *back = a->p; /* flags: from here on they stay */
    homes(a, false);
    load_zx(a, 8, REG_S1, vcpu_loc(VOFF(slow[0])));
    load_zx(a, 8, REG_S0, vcpu_loc(VOFF(slow[1])));
    clear_site(a);
    ret(a);
    patch_rel32(full, a->p);
    vectors(a, true), fp_control(a, true);
    vcpu_argument(a);
    call_c(a, jit_slow_full);
    move_sp(a, 8);
    alu_ri(a, ALU_CMP, 4, loc_reg(RAX), SLOW_LEAVE);
    uint8_t *leave = jcc32(a, IRC_NC);
    fp_control(a, false), vectors(a, false);
    op_rm(a, 0xba | OP_0F, 4, 4, loc_reg(RAX)); /* bt eax, 0 */
    e8(a, 0);
    patch_rel32(jmp32(a), back);
    patch_rel32(leave, a->p);
    lea(a, 4, REG_S0, loc_mem(RAX, -SLOW_LEAVE));
    move_sp(a, 8); /* the return address */
    patch_rel32(jmp32(a), saved_exit);
}

static void make_commit(Asm *a)
{
    jit_stubs.commit = here(a);
    pushfq_(a);
    save_all(a);
    vcpu_argument(a);
    call_c(a, jit_commit);
    load_all(a);
    clear_site(a);
    e8(a, 0x9d); /* popfq */
    ret(a);
}

static const uint8_t *make_call(Asm *a, bool vec)
{
    const uint8_t *entry = here(a);
    homes(a, true);
    if (vec)
        vectors(a, true), fp_control(a, true);
    vcpu_argument(a);
    load_zx(a, 8, RSI, vcpu_loc(VOFF(slow[0])));
    load_zx(a, 8, RDX, vcpu_loc(VOFF(slow[1])));
    load_zx(a, 8, RCX, vcpu_loc(VOFF(slow[2])));
    move_sp(a, -8);
    op_rm(a, 0xff, 4, 2, loc_reg(REG_S0));
    move_sp(a, 8);
    mov_rr(a, 8, REG_S0, RAX);
    if (vec)
        fp_control(a, false), vectors(a, false);
    homes(a, false);
    clear_site(a);
    ret(a);
    return entry;
}

void emit_dispatch(Asm *a)
{
    alu_ri(a, ALU_CMP, 1, vcpu_loc(VOFF(exit_request)), 0);
    patch_rel32(jcc32(a, IRC_NZ), stub_rw(jit_stubs.jump_exit));
    /* jc_index(): (pc ^ pc >> 12) & mask, times 16 */
    if (jit_host.bmi2) {
        op_vex(a, 3, 3, 0xf0, 8, REG_S0, 0, loc_reg(REG_S1));
        e8(a, 12);
    } else {
        mov_rr(a, 8, REG_S0, REG_S1);
        shift_i(a, 5, 8, loc_reg(REG_S0), 12);
    }
    alu_rm(a, ALU_XOR, 4, REG_S0, loc_reg(REG_S1));
    alu_ri(a, ALU_AND, 4, loc_reg(REG_S0), (1 << JUMP_CACHE_BITS) - 1);
    alu_rm(a, ALU_ADD, 4, REG_S0, loc_reg(REG_S0));
    alu_rm(a, ALU_XOR, 8, REG_S1, vcpu_loc(VOFF(jc_key)));
    alu_rm(a, ALU_CMP, 8, REG_S1, loc_mem2(RBP, REG_S0, 3, VOFF(jump_cache)));
    patch_rel32(jcc32(a, IRC_NZ), stub_rw(jit_stubs.jump_miss));
    op_rm(a, 0xff, 4, 4, loc_mem2(RBP, REG_S0, 3, VOFF(jump_cache) + (int32_t)offsetof(JumpCacheEntry, host)));
}

static void make_jumps(Asm *a)
{
    jit_stubs.jump_miss = here(a);
    alu_rm(a, ALU_XOR, 8, REG_S1, vcpu_loc(VOFF(jc_key)));
    jit_stubs.jump_exit = codebuf_exec(a->p);
    store_r(a, 8, vcpu_loc(VOFF(pc)), REG_S1);
    mov_ri(a, REG_S0, RUN_LOOKUP);
    jump_stub(a, jit_stubs.exit);
    jit_stubs.lookup = here(a);
    load_zx(a, 8, REG_S1, vcpu_loc(VOFF(pc)));
    emit_dispatch(a);
}

bool stubs_make(Asm *a)
{
    make_enter(a);
    uint8_t *saved = make_exit(a);
    make_slow(a, saved);
    make_commit(a);
    jit_stubs.call_full = make_call(a, true);
    jit_stubs.call_gpr = make_call(a, false);
    make_jumps(a);
    return a->p <= a->end;
}
