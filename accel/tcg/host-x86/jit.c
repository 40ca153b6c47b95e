/* SPDX-License-Identifier: MIT */
/* The x86-64 back end: host set-up, compiling a block, running and linking blocks. */
#include "base/disassembler.h"
#include <cpuid.h>
#include "accel/tcg/host-x86/jit.h"

uint8_t jit_home[VCPU_GREGS];
struct JitHost jit_host;
static const GuestArch *home_arch;
uint8_t jit_run_level[1 << RUN_LEVEL_BITS];
static Jit jit; /* the compilation in progress: under tcg.lock */
static Cold cold_list[MAX_COLD];

/* --- host --- */
static bool bit_of(uint32_t word, unsigned n) { return word >> n & 1; }

static void detect_host(void)
{
    uint32_t a, b, c, d;
    if (__get_cpuid(1, &a, &b, &c, &d)) {
        jit_host.sse3 = bit_of(c, 0);
        jit_host.pclmul = bit_of(c, 1);
        jit_host.ssse3 = bit_of(c, 9);
        jit_host.sse41 = bit_of(c, 19);
        jit_host.sse42 = bit_of(c, 20);
        jit_host.popcnt = bit_of(c, 23);
        jit_host.aes = bit_of(c, 25);
    }
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
        jit_host.bmi1 = bit_of(b, 3);
        jit_host.bmi2 = bit_of(b, 8);
        jit_host.sha = bit_of(b, 29);
    }
    if (__get_cpuid(0x80000001, &a, &b, &c, &d))
        jit_host.lzcnt = bit_of(c, 5);
}

static void detect_vectors(void)
{
    __builtin_cpu_init(); /* looks at what the system saves, too */
    jit_host.avx2 = tcg.opt.opt_simd && __builtin_cpu_supports("avx2");
    jit_host.fma = jit_host.avx2 && __builtin_cpu_supports("fma");
    jit_host.avx512 = jit_host.avx2 && tcg.opt.opt_avx512 && __builtin_cpu_supports("avx512f") &&
                      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512bw");
}

bool jit_available(char **why_not) { return true; }

static void assign_homes(const GuestArch *arch)
{
    static const uint8_t order[MAX_HOMES] = { RBX, RSI, RDI, R8, R9, R12, R13, R10, RAX, RDX, RCX };
    uint32_t used = 1u << RSP | 1u << RBP | 1u << REG_T0 | 1u << REG_S0 | 1u << REG_S1;
    memset(jit_home, NO_REG, sizeof jit_home);
    for (unsigned pass = 0; pass < 2; pass++) { /* wishes first */
        for (const uint8_t *g = arch->home_order; *g != 0xff; g++) {
            int wish = arch->preferred_home ? arch->preferred_home("x86-64", *g) : -1;
            if (jit_home[*g] != NO_REG || (pass == 0 && wish < 0))
                continue;
            unsigned reg = NO_REG;
            if (wish >= 0 && !(used >> wish & 1))
                reg = (unsigned)wish;
            for (unsigned k = 0; k < MAX_HOMES && reg == NO_REG && pass == 1; k++)
                if (!(used >> order[k] & 1))
                    reg = order[k];
            if (reg == NO_REG)
                continue;
            jit_home[*g] = (uint8_t)reg;
            used |= 1u << reg;
        }
    }
}

/* xmm12..15 are scratch registers of SIMD ops; xmm16.. need AVX-512. */
static void assign_vector_homes(const GuestArch *arch)
{
    memset(jit_vhome, NO_REG, sizeof jit_vhome);
    if (!arch->vec_home_order) {
        for (uint8_t n = 0; n < 16; n++)
            jit_vhome[n] = n;
        return;
    }
    unsigned next = 0, end = !jit_host.avx2 ? 0 : jit_host.avx512 ? 32 : 12;
    for (const uint8_t *n = arch->vec_home_order; *n != 0xff && next < end; n++) {
        jit_vhome[*n] = (uint8_t)next++;
        next = next == 12 ? 16 : next;
    }
}

bool jit_init(const GuestArch *arch, Error **errp)
{
    if (home_arch && home_arch != arch && vcpu_count()) {
        error_setf(errp, "tcg: this machine has CPUs of two kinds, '%s' and '%s'; use backend=interp", home_arch->name,
                   arch->name);
        return false;
    }
    detect_host();
    detect_vectors();
    assign_homes(arch);
    assign_vector_homes(arch);
    home_arch = arch;
    Asm a = { codebuf_rw, codebuf_rw + CODEBUF_STUBS };
    g_assert(stubs_make(&a));
    return true;
}

/* --- compiling --- */
static const uint8_t op_class[IR_OP_COUNT] = {
    [IR_MOV] = 1,    [IR_ZEXT] = 1,    [IR_SEXT] = 1,    [IR_LEA] = 1,    [IR_BSWAP] = 1,     [IR_LDE] = 1,
    [IR_STE] = 1,    [IR_SETCC] = 1,   [IR_CMOV] = 1,    [IR_ADD] = 2,    [IR_SUB] = 2,       [IR_ADC] = 2,
    [IR_SBB] = 2,    [IR_AND] = 2,     [IR_OR] = 2,      [IR_XOR] = 2,    [IR_CMP] = 2,       [IR_TEST] = 2,
    [IR_NEG] = 3,    [IR_NOT] = 3,     [IR_INC] = 3,     [IR_DEC] = 3,    [IR_SHL] = 4,       [IR_SHR] = 4,
    [IR_SAR] = 4,    [IR_ROL] = 4,     [IR_ROR] = 4,     [IR_RCL] = 4,    [IR_RCR] = 4,       [IR_SHLD] = 4,
    [IR_SHRD] = 4,   [IR_MUL] = 5,     [IR_MULU2] = 5,   [IR_MULS2] = 5,  [IR_DIVU] = 6,      [IR_DIVS] = 6,
    [IR_UDIV] = 6,   [IR_SDIV] = 6,    [IR_ANDN] = 7,    [IR_BSF] = 7,    [IR_BSR] = 7,       [IR_TZCNT] = 7,
    [IR_LZCNT] = 7,  [IR_POPCNT] = 7,  [IR_RBIT] = 7,    [IR_BT] = 7,     [IR_BTS] = 7,       [IR_BTR] = 7,
    [IR_BTC] = 7,    [IR_BLSI] = 7,    [IR_BLSR] = 7,    [IR_BLSMSK] = 7, [IR_BEXTR] = 7,     [IR_BZHI] = 7,
    [IR_PDEP] = 7,   [IR_PEXT] = 7,    [IR_CRC32C] = 7,  [IR_GETF] = 8,   [IR_PUTF] = 8,      [IR_CMC] = 8,
    [IR_CCMP] = 14,  [IR_CCMN] = 14,   [IR_SETNZ] = 14,  [IR_FENCE] = 14, [IR_PREFETCH] = 16, [IR_XCHG] = 9,
    [IR_XADD] = 9,   [IR_CMPXCHG] = 9, [IR_VEC] = 10,    [IR_SIMD] = 15,  [IR_CALL] = 11,     [IR_LABEL] = 12,
    [IR_BR] = 12,    [IR_BRCC] = 12,   [IR_BRZ] = 12,    [IR_BRNZ] = 12,  [IR_GOTO] = 12,     [IR_GOTOCC] = 12,
    [IR_GOTOZ] = 12, [IR_GOTONZ] = 12, [IR_TRAPNZ] = 12, [IR_JMP] = 12,   [IR_EXIT] = 12,     [IR_LOOKUP] = 12,
    [IR_CHECK] = 12, [IR_COUNT] = 12,  [IR_INSN] = 13,
};

static bool uses_t0(const IrInsn *i)
{
    return i->d == IR_T(0) || i->a == IR_T(0) || i->b == IR_T(0) || i->c == IR_T(0) || i->m.base == IR_T(0) ||
           i->m.index == IR_T(0);
}

static void begin_insn(Jit *j)
{
    const IrBlock *b = j->ir;
    if (j->check_after_call) { /* a helper may have changed the code that follows */
        j->need = j->before[j->k];
        emit_check(j, j->i->imm);
        j->check_after_call = false;
    }
    j->pc = j->i->imm;
    j->first_access = true;
    j->t0_used = false;
    for (unsigned k = j->k + 1; k < b->count && b->insn[k].op != IR_INSN && !j->t0_used; k++)
        j->t0_used = uses_t0(&b->insn[k]);
}

static void emit_one(Jit *j)
{
    static void (*const emitter[])(
        Jit *) = { [1] = emit_move,     [2] = emit_alu_op,     [3] = emit_unary, [4] = emit_shift,
                   [5] = emit_mul,      [6] = emit_div,        [7] = emit_bits,  [8] = emit_flag_op,
                   [9] = emit_exchange, [10] = emit_vec,       [11] = emit_call, [12] = emit_control,
                   [13] = begin_insn,   [14] = emit_condition, [15] = emit_simd, [16] = emit_prefetch };
    const IrInsn *i = j->i;
    j->busy = 0;
    j->open_cold = -1;
    j->need = j->before[j->k];
    bool plain_mov = i->op == IR_MOV || i->op == IR_NOT;
    if (i->flags & IR_BE && !plain_mov)
        emit_step(j);
    else
        emitter[op_class[i->op]](j);
    mem_done(j);
    if (!tcg.opt.opt_flags && i->op != IR_INSN) {
        j->need = NEED_ALL;
        flags_flush(j);
        j->native = 0;
    }
}

static void start_block(Jit *j)
{
    flags_unknown(j);
    flags_analyse(j);
    if (!tcg.opt.stats)
        return;
    mov_ri(&j->a, REG_S0, (uintptr_t)&j->block->executions);
    op_rm(&j->a, 0xff, 8, 0, loc_mem(REG_S0, 0));
}

static unsigned count_host_insns(const uint8_t *code, size_t size)
{
    const Disassembler *d = disassembler_get();
    csh cs;
    cs_insn *insn;
    if (!d || d->open(CS_ARCH_X86, CS_MODE_64, &cs) != CS_ERR_OK)
        return 0;
    size_t n = d->disasm(cs, code, size, (uintptr_t)codebuf_exec(code), 0, &insn);
    if (log_enabled(LOG_OUT_ASM)) {
        g_autoptr(GString) s = g_string_new("OUT:\n");
        for (size_t k = 0; k < n; k++)
            g_string_append_printf(s, "0x%" G_GINT64_MODIFIER "x:  %s %s\n", insn[k].address, insn[k].mnemonic,
                                   insn[k].op_str);
        log_write("%s\n", s->str);
    }
    if (n)
        d->free(insn, n);
    d->close(&cs);
    return (unsigned)n;
}

static void fix_field(uint32_t at, uint32_t value) { memcpy(codebuf_rw + at, &value, 4); }

static bool finish_links(Jit *j)
{
    Block *b = j->block;
    b->links = (uint16_t)j->link_count;
    if (!j->link_count)
        return true;
    b->link = codebuf_alloc(j->link_count * sizeof *b->link);
    if (!b->link)
        return false;
    for (unsigned k = 0; k < j->link_count; k++) {
        b->link[k] = j->links[k];
        b->link[k].from = b;
        uint32_t at = (uint32_t)((uint8_t *)&b->link[k] - codebuf_rw);
        if (j->link_fix[k])
            fix_field(j->link_fix[k], at);
        if (j->miss_fix[k])
            fix_field(j->miss_fix[k], at);
    }
    return true;
}

enum { OP_ROOM = 2048 }; /* no op needs more code than that */

static void compile(Jit *j)
{
    start_block(j);
    for (j->k = 0; j->k < j->ir->count && !j->failed; j->k++) {
        codebuf_space(&j->a.end); /* the block's data come down towards the code */
        if (j->a.end - j->a.p < OP_ROOM) {
            j->failed = true;
            return;
        }
        j->i = &j->ir->insn[j->k];
        emit_one(j);
    }
    for (unsigned k = 0; k < j->label_refs; k++)
        patch_rel32(j->label_ref[k].field, j->label[j->label_ref[k].label]);
}

Block *jit_compile(Vcpu *v, IrBlock *ir, unsigned variant)
{
    Jit *j = &jit;
    Block *b = codebuf_alloc(sizeof *b);
    if (!b)
        return NULL;
    j->a.p = j->start = codebuf_space(&j->a.end);
    j->v = v, j->ir = ir, j->block = b;
    j->level = variant == BLOCK_PLAIN || !tcg.opt.opt_coalesce ? RUNS_NONE
                                                               : jit_run_level[run_level_index(ir->pc, ir->mode)];
    j->failed = j->check_after_call = false;
    j->done = 0;
    j->label_refs = j->colds = j->link_count = 0;
    j->cold = cold_list;
    coalesce_drop(j);
    j->reserved_slot = 0;
    memset(j->link_fix, 0, sizeof j->link_fix);
    memset(j->miss_fix, 0, sizeof j->miss_fix);
    compile(j);
    uint8_t *hot_end = j->a.p, *end;
    if (!j->failed)
        emit_cold(j);
    if (j->failed || !finish_links(j) || (codebuf_space(&end), j->a.p > end))
        return NULL;
    b->entry = codebuf_exec(j->start);
    b->code_start = (uint32_t)(j->start - codebuf_rw);
    b->code_size = (uint32_t)(j->a.p - j->start);
    if (tcg.opt.stats || log_enabled(LOG_OUT_ASM))
        b->host_insns = count_host_insns(j->start, (size_t)(hot_end - j->start)) - (tcg.opt.stats ? 2 : 0);
    if (log_enabled(LOG_OUT_ASM))
        count_host_insns(hot_end, (size_t)(j->a.p - hot_end));
    codebuf_commit(j->a.p);
    return b;
}

/* --- links --- */
static uint8_t *rw_entry(const Block *b) { return codebuf_rw + b->code_start; }

static void store32(uint32_t at, uint32_t value)
{
    __atomic_store_n((uint32_t *)(void *)(codebuf_rw + at), value, __ATOMIC_SEQ_CST);
}

void jit_link(Vcpu *v, BlockLink *l, Block *to)
{
    if (l->to || !l->jmp || to->ram2 != NO_PAGE || to->variant || to->pc != l->pc || to->mode != l->from->mode ||
        atomic_load(&l->from->invalid) || atomic_load(&to->invalid))
        return;
    uint32_t id = 0;
    if (l->id) {
        unsigned bank;
        const CodeMap *m = &tcg_vcpu(v)->code_map[l->slot];
        v->arch->code_address(v, &bank);
        if (!m->id || m->vpage != (to->linear & TCG_PAGE_MASK) || m->bank != bank)
            return;
        id = m->id;
        /* Another vCPU may stand between the guard and the jump: it must not see a new target behind an old number. */
        if (l->last_id && l->last_id != id && vcpu_count() > 1)
            return;
    } else if ((to->ram ^ l->from->ram) >> TCG_PAGE_BITS) {
        return;
    }
    if (l->jmp_flags)
        patch_rel32(codebuf_rw + l->jmp_flags, rw_entry(to));
    if (!l->jmp_flags || to->kills_flags)
        patch_rel32(codebuf_rw + l->jmp, rw_entry(to));
    if (l->id)
        store32(l->id, id);
    l->last_id = id;
    l->to = to;
    l->next_in = to->in;
    to->in = l;
    tcg_vcpu(v)->stats.links++;
}

void jit_unlink(BlockLink *l)
{
    if (l->id)
        store32(l->id, UINT32_MAX);
    patch_rel32(codebuf_rw + l->jmp, codebuf_rw + l->cold);
    if (l->jmp_flags)
        patch_rel32(codebuf_rw + l->jmp_flags, codebuf_rw + l->cold_flags);
}

static void try_link(Vcpu *v, uint32_t at, Block *to)
{
    if (!tcg.opt.opt_link || log_enabled(LOG_NOCHAIN) || !to)
        return;
    pthread_mutex_lock(&tcg.lock);
    jit_link(v, (BlockLink *)(void *)(codebuf_rw + at), to);
    pthread_mutex_unlock(&tcg.lock);
}

RunResult jit_run(Vcpu *v, const void *entry)
{
    TcgVcpu *t = tcg_vcpu(v);
    for (;;) {
        t->stats.exits++;
        int r = jit_stubs.enter(v, entry);
        if (r != RUN_LINK)
            return (RunResult)r;
        if (atomic_load_explicit(&v->exit_request, memory_order_relaxed) ||
            log_enabled(LOG_EXEC | LOG_CPU | LOG_NOCHAIN))
            return RUN_LOOKUP;
        uint32_t at = (uint32_t)v->slow[2];
        if (tcg_at_breakpoint(v))
            return RUN_LOOKUP;
        uint64_t generation = codebuf_generation();
        Block *to = tcg_block_at(v, 0);
        if (!to)
            return RUN_LOOKUP;
        if (generation == codebuf_generation()) /* else the link's block may be gone */
            try_link(v, at, to);
        entry = to->entry;
    }
}
