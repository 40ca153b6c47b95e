/* SPDX-License-Identifier: MIT */
/* Guest memory operands: address, page check, one check for neighbouring accesses. */
#include "accel/tcg/host-x86/jit.h"

static int32_t tlb_off(unsigned bank, bool write)
{
    return (int32_t)(offsetof(Vcpu, tlb) + bank * sizeof(TlbBank) +
                     (write ? offsetof(TlbBank, write) : offsetof(TlbBank, read))) -
           VCPU_BIAS;
}
static int32_t host_off(unsigned bank)
{
    return (int32_t)(offsetof(Vcpu, tlb) + bank * sizeof(TlbBank) + offsetof(TlbBank, host)) - VCPU_BIAS;
}

/* Register that holds a base or index now, or NO_REG: loaded into `into` first. */
static unsigned address_part(Jit *j, IrRef r, unsigned into)
{
    if (r == IR_NONE)
        return NO_REG;
    Loc l = loc_of(j, r);
    if (l.kind == L_REG)
        return l.reg;
    load_zx(&j->a, 8, into, l);
    return into;
}

/* reg = wrap(base + index * scale + disp) [+ segment]; reg is REG_S1 or the destination of a LEA; REG_S0 may change. */
void emit_address(Jit *j, const IrMem *m, unsigned reg, int64_t disp, bool segment)
{
    unsigned base = address_part(j, m->base, reg), index = address_part(j, m->index, REG_S0);
    unsigned size = m->asize == 8 ? 8 : 4;
    if (base == NO_REG && index == NO_REG)
        mov_ri(&j->a, reg, size == 8 ? (uint64_t)disp : (uint32_t)disp);
    else if (index == NO_REG && disp == 0)
        mov_rr(&j->a, size, reg, base);
    else
        lea(&j->a, size, reg, loc_mem2(base, index, index == NO_REG ? 0 : m->scale, (int32_t)disp));
    if (m->asize == 2)
        load_zx(&j->a, 2, reg, loc_reg(reg));
    if (segment && m->segment)
        alu_rm(&j->a, ALU_ADD, m->wrap_linear ? 4 : 8, reg, vcpu_loc((int32_t)m->segment - VCPU_BIAS));
    else if (segment && m->wrap_linear && size == 8)
        mov_rr(&j->a, 4, reg, reg);
}

CallSite *new_site(Jit *j)
{
    CallSite *s = codebuf_alloc(sizeof *s);
    if (!s) {
        j->failed = true;
        static CallSite dummy;
        return &dummy;
    }
    s->pc = j->pc;
    s->block = j->block;
    site_flags(&j->c, &s->c);
    site_flags(&j->r, &s->r);
    site_flags(&j->o, &s->o);
    return s;
}

/* --- coalescing --- */
void coalesce_forget(Jit *j)
{
    if (j->run_regs >= 0 && !j->run[j->run_regs].saved)
        j->run[j->run_regs].valid = false;
    j->run_regs = -1;
}

void coalesce_drop(Jit *j)
{
    for (unsigned n = 0; n < RUNS; n++)
        j->run[n].valid = false;
    j->run_regs = -1;
}

static void run_write(const Jit *j, Run *c, IrRef r)
{
    if (!c->valid || (r != c->base && r != c->index))
        return;
    const IrInsn *i = j->i; /* base += constant: the range moves along */
    if ((i->op == IR_ADD || i->op == IR_SUB) && i->size == 8 && i->d == i->a && i->b == IR_IMM && r == c->base &&
        r != c->index && c->asize == 8 && fits32(i->imm)) {
        int64_t n = i->op == IR_ADD ? (int64_t)i->imm : -(int64_t)i->imm;
        c->origin -= n, c->lo -= n, c->hi -= n;
        return;
    }
    c->valid = false;
}

void coalesce_write(Jit *j, IrRef r)
{
    for (unsigned n = 0; n < RUNS; n++)
        run_write(j, &j->run[n], r);
}

static bool same_address(const Run *c, const IrMem *m)
{
    return c->base == m->base && c->index == m->index && (m->index == IR_NONE || c->scale == m->scale) &&
           c->asize == m->asize && c->bank == m->bank && c->segment == m->segment && c->wrap == m->wrap_linear;
}

static unsigned access_size(const IrInsn *i)
{
    if (i->op == IR_VEC)
        return vec_mem_size(i);
    return i->op == IR_SIMD ? i->size2 : i->size;
}

static bool writes_ref(const IrInsn *i, IrRef r)
{
    IrRef d = i->d, c = i->op == IR_MULU2 || i->op == IR_MULS2 || i->op == IR_DIVU || i->op == IR_DIVS ? i->c : IR_NONE;
    unsigned kind = ir_kind(r);
    return r != IR_NONE &&
           (d == r || c == r || (kind == IR_KIND_G && (d == IR_GH(ir_num(r)) || c == IR_GH(ir_num(r)))));
}

enum { RUN_SPAN = 128, RUN_LOOKAHEAD = 64 };

/*
 * Look ahead: the range around this access that later ones off the same base touch, and how many they are. *save: some
 * of them come after accesses to other places.
 */
static unsigned find_run(const Jit *j, const Run *run, const IrMem *m, int64_t *lo, int64_t *hi, bool *write,
                         bool *save)
{
    unsigned members = 0;
    bool foreign = false;
    int64_t shift = 0; /* base has grown by this much since the first access */
    for (unsigned k = j->k; k < j->ir->count && k < j->k + RUN_LOOKAHEAD; k++) {
        const IrInsn *i = &j->ir->insn[k];
        if (i->op == IR_LABEL || i->op == IR_CALL || i->op == IR_BR || i->op == IR_CHECK)
            break;
        bool store = i->d == IR_MEM || i->op == IR_XCHG || i->op == IR_XADD || i->op == IR_CMPXCHG;
        bool access = (store || i->a == IR_MEM || i->b == IR_MEM) && i->op != IR_LEA && i->op != IR_PREFETCH;
        if (access && !same_address(run, &i->m)) {
            foreign = true;
        } else if (access) {
            int64_t at = i->m.disp + shift, end = at + access_size(i);
            int64_t new_lo = MIN(*lo, at), new_hi = MAX(*hi, end);
            if (new_hi - new_lo <= RUN_SPAN) {
                *lo = new_lo, *hi = new_hi;
                *write |= store;
                members++;
                *save |= foreign;
            }
        }
        if (writes_ref(i, m->index))
            break;
        if (writes_ref(i, m->base)) {
            if ((i->op != IR_ADD && i->op != IR_SUB) || i->size != 8 || i->d != i->a || i->b != IR_IMM ||
                !fits32(i->imm) || m->base == m->index || m->asize != 8)
                break;
            shift += i->op == IR_ADD ? (int64_t)i->imm : -(int64_t)i->imm;
        }
    }
    return members;
}

static void start_access(Jit *j, int32_t delta)
{
    bool pair = j->run_pair;
    j->gm = pair ? loc_mem2(REG_S0, REG_S1, 0, delta) : loc_mem(REG_S0, delta);
    j->busy |= 1u << REG_S0 | (pair ? 1u << REG_S1 : 0);
    j->body = j->a.p;
}

/* A range checked before that covers this access: its host address is in registers then. */
static bool reuse(Jit *j, const IrMem *m, unsigned size, bool write)
{
    for (int n = 0; n < RUNS; n++) {
        Run *c = &j->run[n];
        if (!c->valid || !same_address(c, m) || (write && !c->write) || m->disp < c->lo ||
            m->disp + (int64_t)size > c->hi || m->align)
            continue;
        if (j->run_regs != n) {
            coalesce_forget(j);
            flags_will_write(j, REG_S0);
            load_zx(&j->a, 8, REG_S0, vcpu_loc(VOFF(run_slot) + 8 * n));
            j->run_regs = n;
            j->run_pair = false;
        }
        start_access(j, (int32_t)(m->disp - c->origin));
        return true;
    }
    return false;
}

static bool saved_runs(const Jit *j)
{
    for (int n = 0; n < RUNS; n++)
        if (j->run[n].valid && j->run[n].saved)
            return true;
    return false;
}

static int free_run(Jit *j)
{
    for (int n = 0; n < RUNS; n++)
        if (!j->run[n].valid)
            return n;
    return (int)(j->next_run++ % RUNS);
}

/* The check sequence for [disp, disp + span) off m. */
static void emit_page_check(Jit *j, const IrMem *m, int64_t disp, unsigned span, bool write, Cold *cold)
{
    Asm *a = &j->a;
    cold->const_slot = -1;
    bool constant = m->base == IR_NONE && m->index == IR_NONE && !m->segment;
    emit_address(j, m, REG_S1, disp, true);
    if (m->align > 1) {
        test_ri(a, 1, loc_reg(REG_S1), m->align - 1u);
        add_cold(j, (Cold){ .kind = COLD_MISALIGNED, .from = jcc32(a, IRC_NZ), .site = cold->site });
    }
    if (constant) {
        uint64_t va = m->asize == 8 ? (uint64_t)disp : (uint64_t)disp & bits_mask(8 * m->asize);
        if (m->wrap_linear)
            va = (uint32_t)va;
        int slot = cold->const_slot = (int)(va >> TCG_PAGE_BITS & (TLB_SIZE - 1));
        alu_rm(a, ALU_SUB, 8, REG_S1, vcpu_loc(tlb_off(m->bank, write) + 8 * slot));
        alu_ri(a, ALU_CMP, 8, loc_reg(REG_S1), TCG_PAGE_SIZE - span);
        cold->from = jcc32(a, IRC_NCZ);
        load_zx(a, 8, REG_S0, vcpu_loc(host_off(m->bank) + 8 * slot));
        return;
    }
    if (jit_host.bmi2) {
        op_vex(a, 3, 3, 0xf0, 8, REG_S0, 0, loc_reg(REG_S1)); /* rorx */
        e8(a, TCG_PAGE_BITS);
    } else {
        mov_rr(a, 8, REG_S0, REG_S1);
        shift_i(a, 5, 8, loc_reg(REG_S0), TCG_PAGE_BITS);
    }
    alu_ri(a, ALU_AND, 4, loc_reg(REG_S0), TLB_SIZE - 1);
    alu_rm(a, ALU_SUB, 8, REG_S1, loc_mem2(RBP, REG_S0, 3, tlb_off(m->bank, write)));
    alu_ri(a, ALU_CMP, 8, loc_reg(REG_S1), TCG_PAGE_SIZE - span);
    cold->from = jcc32(a, IRC_NCZ);
    if (cold->site->indexed && cold->site->align) {
        test_ri(a, 1, loc_reg(REG_S1), cold->site->align - 1u);
        cold->from2 = jcc32(a, IRC_NZ);
    }
    load_zx(a, 8, REG_S0, loc_mem2(RBP, REG_S0, 3, host_off(m->bank)));
}

/*
 * --- tables: [base + index * scale] with an index that is surely small is checked as the range that it can reach ---
 */
enum { TABLE_SPAN = 1024 };

/* No value that the register holds before op k is larger; from the op that made it, in this block. */
static uint64_t upper_bound(const Jit *j, unsigned k, IrRef r)
{
    uint64_t bound = UINT64_MAX;
    while (k-- > 0) {
        const IrInsn *i = &j->ir->insn[k];
        if (i->op == IR_LABEL || i->op == IR_CALL || i->op == IR_XADD || i->op == IR_CMPXCHG)
            break;
        if (!writes_ref(i, r))
            continue;
        if (i->d != r || i->size2 > 8)
            break;
        if (i->op == IR_AND && i->b == IR_IMM && i->size >= 4)
            return MIN(bound, i->imm & bits_mask(8 * i->size));
        if (i->op == IR_SHR && i->b == IR_IMM && i->size >= 4)
            return MIN(bound, bits_mask(8 * i->size) >> (i->imm & (8 * i->size - 1)));
        bool extend = i->op == IR_ZEXT && i->size2 >= 4;
        if (!extend && (i->op != IR_MOV || i->size < 4))
            break;
        bound = MIN(bound, bits_mask(8 * i->size));
        r = i->a;
        if (ir_kind(r) != IR_KIND_G && ir_kind(r) != IR_KIND_T)
            break;
    }
    return bound;
}

/*
 * One check of a table; its faults are never raised from there. align: what its first byte's address must be a multiple
 * of, 0: anything.
 */
static void table_check(Jit *j, const IrMem *table, int64_t disp, unsigned span, unsigned align)
{
    CallSite *site = new_site(j);
    site->size = site->span = (uint16_t)span, site->align = (uint8_t)align, site->bank = table->bank;
    site->read = site->run = site->indexed = true;
    site->after_run = saved_runs(j);
    Cold cold = { .kind = COLD_ACCESS, .site = site, .insn = j->i };
    emit_page_check(j, table, disp, span, false, &cold);
    cold.body = cold.body_end = j->a.p;
    add_cold(j, cold);
}

/*
 * A table that may lie in two pages: the host address of element 0 by the first page, the same by the last one, and
 * which of them counts for the index at hand. That is chosen without a jump, and the index is not waited for until
 * then.
 */
static void split_table(Jit *j, const IrMem *table, unsigned span, unsigned size, unsigned index)
{
    Asm *a = &j->a;
    Loc by_first = vcpu_loc(VOFF(run_slot)), elements = vcpu_loc(VOFF(run_slot) + 8); /* elements: in the first page */
    table_check(j, table, table->disp, 1, size > 1 ? size : 0);
    alu_rm(a, ALU_ADD, 8, REG_S0, loc_reg(REG_S1));
    store_r(a, 8, by_first, REG_S0);
    op_rm(a, 0xf7, 8, 3, loc_reg(REG_S1)); /* neg */
    alu_ri(a, ALU_ADD, 8, loc_reg(REG_S1), TCG_PAGE_SIZE);
    if (size > 1)
        shift_i(a, 5, 8, loc_reg(REG_S1), (unsigned)__builtin_ctz(size));
    store_r(a, 8, elements, REG_S1);
    table_check(j, table, table->disp + span - 1, 1, 0);
    lea(a, 8, REG_S1, loc_mem2(REG_S0, REG_S1, 0, -(int32_t)(span - 1)));
    load_zx(a, 8, REG_S0, by_first);
    alu_rm(a, ALU_CMP, 8, index, elements);
    op_rm(a, 0x40 | IRC_NC | OP_0F, 8, REG_S0, loc_reg(REG_S1)); /* cmovnc */
}

static bool table_access(Jit *j, const IrMem *m, unsigned size, bool first)
{
    const IrInsn *i = j->i;
    bool load = (i->op == IR_MOV || i->op == IR_ZEXT || i->op == IR_SEXT) && i->a == IR_MEM && !(i->flags & IR_BE);
    if (!load || !first || j->level == RUNS_NONE || m->index == IR_NONE || m->base == IR_NONE || m->asize != 8 ||
        m->wrap_linear || m->align || loc_of(j, m->index).kind != L_REG)
        return false;
    uint64_t bound = upper_bound(j, j->k, m->index);
    if (bound > TABLE_SPAN || (bound << m->scale) + size > TABLE_SPAN || m->disp != (int32_t)m->disp)
        return false;
    unsigned span = (unsigned)(bound << m->scale) + size, index = loc_of(j, m->index).reg;
    bool split = j->level == RUNS_TABLES;
    if (split && size != 1u << m->scale)
        return false;
    IrMem table = *m;
    table.index = IR_NONE, table.scale = 0;
    if (split || !reuse(j, &table, span, false)) {
        coalesce_forget(j);
        flags_will_write(j, REG_S0);
        flags_will_write(j, REG_S1);
    }
    if (split) {
        split_table(j, &table, span, size, index);
        start_access(j, 0);
        j->gm = loc_mem2(REG_S0, index, m->scale, 0);
        return true;
    }
    if (j->run_regs < 0) {
        int n = free_run(j);
        table_check(j, &table, m->disp, span, 0);
        j->run[n] = (Run){ .valid = true,
                           .base = m->base,
                           .index = IR_NONE,
                           .asize = 8,
                           .bank = m->bank,
                           .segment = m->segment,
                           .origin = m->disp,
                           .lo = m->disp,
                           .hi = m->disp + (int64_t)span };
        j->run_regs = n;
        j->run_pair = true;
        start_access(j, 0);
    }
    if (j->run_pair) {
        alu_rm(&j->a, ALU_ADD, 8, REG_S0, loc_reg(REG_S1));
        j->run_pair = false;
        j->busy &= ~(1u << REG_S1);
    }
    j->gm = loc_mem2(REG_S0, index, m->scale, j->gm.disp);
    return true;
}

void mem_access(Jit *j, unsigned size, bool write)
{
    const IrInsn *i = j->i;
    IrMem m = i->m;
    if (i->op == IR_VEC && vec_needs_alignment(i) && !m.align)
        m.align = 16;
    bool first = j->first_access;
    j->first_access = false;
    flags_clobber(j); /* the descriptors that the site records no longer change */
    j->open_cold = -1;
    if (reuse(j, &m, size, write) || table_access(j, &m, size, first))
        return;
    coalesce_forget(j);
    flags_will_write(j, REG_S0);
    flags_will_write(j, REG_S1);
    int n = free_run(j);
    Run *c = &j->run[n];
    *c = (Run){ .base = m.base,
                .index = m.index,
                .scale = m.scale,
                .asize = m.asize,
                .bank = m.bank,
                .segment = m.segment,
                .wrap = m.wrap_linear };
    int64_t lo = m.disp, hi = m.disp + (int64_t)size;
    bool run_write = write, save = false;
    bool may_run = j->level == RUNS_ALL && first && m.asize == 8 && !m.wrap_linear && !m.align;
    if (may_run)
        may_run = find_run(j, c, &m, &lo, &hi, &run_write, &save) > 1;
    if (lo != (int32_t)lo)
        lo = m.disp, hi = lo + size;
    unsigned span = (unsigned)(hi - lo);
    CallSite *site = new_site(j);
    site->size = (uint16_t)size, site->span = (uint16_t)span, site->delta = (uint16_t)(m.disp - lo);
    site->bank = m.bank, site->align = m.align, site->write = write, site->span_write = run_write, site->run = may_run;
    site->read = !write || i->a == IR_MEM || i->op == IR_XCHG || i->op == IR_XADD || i->op == IR_CMPXCHG;
    site->after_run = saved_runs(j);
    site->lock = i->flags & IR_LOCK || i->op == IR_XCHG;
    Cold cold = { .kind = COLD_ACCESS, .site = site, .insn = i };
    emit_page_check(j, &m, lo, span, run_write, &cold);
    cold.body = j->a.p;
    c->valid = may_run;
    c->origin = c->lo = lo, c->hi = hi, c->write = run_write;
    j->run_regs = may_run ? n : -1;
    j->run_pair = true;
    if (may_run && save) {
        alu_rm(&j->a, ALU_ADD, 8, REG_S0, loc_reg(REG_S1));
        store_r(&j->a, 8, vcpu_loc(VOFF(run_slot) + 8 * n), REG_S0);
        c->saved = true;
        j->run_pair = false;
    }
    start_access(j, (int32_t)(m.disp - lo));
    j->open_cold = (int)j->colds;
    add_cold(j, cold);
}

void mem_done(Jit *j)
{
    if (j->open_cold >= 0)
        j->cold[j->open_cold].body_end = j->a.p;
    j->open_cold = -1;
    j->busy &= ~(1u << REG_S0 | 1u << REG_S1);
}

void mem_simplify(Jit *j)
{
    lea(&j->a, 8, REG_S0, j->gm);
    j->gm = loc_mem(REG_S0, 0);
    j->busy &= ~(1u << REG_S1);
    coalesce_forget(j);
}

/* Without a check: with a wrong host address it does nothing. */
void emit_prefetch(Jit *j)
{
    const IrMem *m = &j->i->m;
    Asm *a = &j->a;
    if (!jit_host.bmi2)
        return;
    j->need = j->keep[j->k];
    flags_clobber(j);
    coalesce_forget(j);
    flags_will_write(j, REG_S0);
    flags_will_write(j, REG_S1);
    emit_address(j, m, REG_S1, m->disp, true);
    op_vex(a, 3, 3, 0xf0, 8, REG_S0, 0, loc_reg(REG_S1)); /* rorx */
    e8(a, TCG_PAGE_BITS);
    alu_ri(a, ALU_AND, 4, loc_reg(REG_S0), TLB_SIZE - 1);
    alu_rm(a, ALU_SUB, 8, REG_S1, loc_mem2(RBP, REG_S0, 3, tlb_off(m->bank, false)));
    alu_rm(a, ALU_ADD, 8, REG_S1, loc_mem2(RBP, REG_S0, 3, host_off(m->bank)));
    op_rm(a, 0x18 | OP_0F, 4, 1, loc_mem(REG_S1, 0)); /* prefetcht0 */
    j->native = 0;
}
