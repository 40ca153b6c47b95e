/* SPDX-License-Identifier: MIT */
/* From guest code to a block: fetching, running the front end, publishing. */
#include "accel/tcg/tcg.h"

/* --- fetching: the second page only when the front end gets there --- */
static bool map_second_page(TransCtx *t)
{
    if (t->page[1])
        return true;
    if (t->fetch_failed)
        return false;
    TcgVcpu *tv = tcg_vcpu(t->v);
    unsigned bank;
    t->v->arch->code_address(t->v, &bank);
    const TlbEntry *e = tlb_lookup(t->v, t->page_end, ACCESS_FETCH, bank, true);
    if (!e || !e->host) {
        t->fetch_failed = true;
        return false;
    }
    uint64_t ram = e->ram;
    uint8_t *host = e->host;
    if (tv->first_page) { /* cacheable: watch this page too */
        tv->second_page = page_protect(t->v, ram);
        tv->second_writes = atomic_load(&tv->second_page->writes);
    }
    tv->second_ram = ram;
    t->page[1] = host;
    t->second_page = true;
    return true;
}

uint8_t trans_fetch8(TransCtx *t, uint64_t at)
{
    uint64_t offset = at - t->linear_page;
    if (offset < TCG_PAGE_SIZE)
        return t->page[0][offset];
    if (offset >= 2 * TCG_PAGE_SIZE || !map_second_page(t)) {
        t->fetch_failed = true;
        return 0;
    }
    return t->page[1][offset - TCG_PAGE_SIZE];
}

static uint64_t fetch(TransCtx *t, uint64_t at, unsigned size)
{
    uint64_t offset = at - t->linear_page;
    if (offset <= TCG_PAGE_SIZE - size)
        return load_le(t->page[0] + offset, size);
    uint64_t v = 0;
    for (unsigned i = 0; i < size; i++)
        v |= (uint64_t)trans_fetch8(t, at + i) << (8 * i);
    return v;
}
uint16_t trans_fetch16(TransCtx *t, uint64_t at) { return (uint16_t)fetch(t, at, 2); }
uint32_t trans_fetch32(TransCtx *t, uint64_t at) { return (uint32_t)fetch(t, at, 4); }
uint64_t trans_fetch64(TransCtx *t, uint64_t at) { return fetch(t, at, 8); }

void trans_fetch_fault(Vcpu *v, uint64_t linear)
{
    unsigned bank;
    vcpu_sync(v);
    v->arch->code_address(v, &bank);
    /* records the fault, unless it has gone away: then the insn is tried again */
    tlb_lookup(v, linear, ACCESS_FETCH, bank, false);
    vcpu_unwind(v);
}

/* Code that is not in RAM is copied out, for one instruction. Nothing there at all: a refusal of the bus. */
static const uint8_t *copy_code(Vcpu *v, const CodeMap *map, uint64_t linear)
{
    TcgVcpu *t = tcg_vcpu(v);
    unsigned from = linear & ~TCG_PAGE_MASK, n = MIN(16, (unsigned)TCG_PAGE_SIZE - from);
    MemResult r = as_read(v->as, map->phys + from, t->code_copy + from, n, v->arch->attrs(v));
    if (r != MEM_OK && v->arch->bus_error &&
        as_read(v->as, map->phys + from, t->code_copy + from, MIN(n, 2), v->arch->attrs(v)) != MEM_OK)
        v->arch->bus_error(v, linear, map->phys + from, ACCESS_FETCH);
    return t->code_copy;
}

/* An instruction that reaches into the next piece of a page of small mappings. */
static void check_piece(Vcpu *v, uint64_t linear, const CodeMap *map, unsigned len)
{
    uint64_t last = linear + len - 1;
    unsigned bank;
    if (!len || map->page_bits >= TCG_PAGE_BITS || !((linear ^ last) >> map->page_bits) ||
        (linear ^ last) >> TCG_PAGE_BITS)
        return;
    v->arch->code_address(v, &bank);
    if (!tlb_lookup(v, last, ACCESS_FETCH, bank, false))
        vcpu_unwind(v);
}

void tcg_make_ir(Vcpu *v, uint64_t linear, const CodeMap *map, unsigned max_insns)
{
    TcgVcpu *tv = tcg_vcpu(v);
    TransCtx *t = &tv->trans;
    IrBlock *b = tv->ir;
    const uint8_t *code = map->host ? map->host : copy_code(v, map, linear);
    for (;;) {
        b->count = b->temps = b->labels = b->guest_insns = 0;
        b->guest_bytes = 0;
        b->overflow = false;
        b->pc = v->pc, b->linear = linear, b->mode = v->mode;
        const uint8_t *second = t->page[1];
        *t = (TransCtx){ .v = v,
                         .b = b,
                         .max_insns = max_insns,
                         .linear_page = linear & TCG_PAGE_MASK,
                         .page_end = (linear & TCG_PAGE_MASK) + TCG_PAGE_SIZE,
                         .page = { code, tv->second_page ? second : NULL },
                         .second_page = tv->second_page != NULL };
        v->arch->translate(v, t);
        if (tcg.opt.icount && !b->overflow)
            b->overflow = !tcg_icount_instrument(b);
        if (!b->overflow)
            break;
        g_assert(max_insns > 1); /* one guest instruction fits: front ends see to that */
        max_insns /= 2;
    }
    tv->stats.ir_insns += b->count;
    check_piece(v, linear, map, b->guest_bytes);
}

void tcg_log_block(Vcpu *v, const IrBlock *ir)
{
    if (log_enabled(LOG_IN_ASM) && v->arch->disassemble) {
        g_autoptr(GString) s = g_string_new("IN:\n");
        uint8_t code[IR_MAX_GUEST_INSNS * 16];
        unsigned n = MIN(ir->guest_bytes, sizeof code);
        TransCtx *t = &tcg_vcpu(v)->trans;
        for (unsigned i = 0; i < n; i++)
            code[i] = trans_fetch8(t, ir->linear + i);
        for (unsigned i = 0; i < n;) {
            g_string_append_printf(s, "0x%016" G_GINT64_MODIFIER "x:  ", ir->pc + i);
            int len = v->arch->disassemble(ir->mode, ir->pc + i, code + i, n - i, s);
            g_string_append_c(s, '\n');
            i += len > 0 ? (unsigned)len : n;
        }
        log_write("%s\n", s->str);
    }
    if (log_enabled(LOG_OP)) {
        g_autoptr(GString) s = g_string_new(NULL);
        ir_print(ir, s);
        log_write("%s\n", s->str);
    }
}

/* Interpreter's form of a block: its IR. */
static Block *keep_ir(const IrBlock *ir)
{
    Block *b = codebuf_alloc(sizeof *b);
    IrInsn *code = b ? codebuf_alloc(ir->count * sizeof *code) : NULL;
    if (!code)
        return NULL;
    memcpy(code, ir->insn, ir->count * sizeof *code);
    b->entry = code;
    return b;
}

static Block *emit_block(Vcpu *v, IrBlock *ir, unsigned variant)
{
    TcgVcpu *t = tcg_vcpu(v);
    Block *b = tcg.opt.jit ? jit_compile(v, ir, variant) : keep_ir(ir);
    if (!b)
        return NULL;
    b->pc = ir->pc, b->mode = ir->mode, b->linear = ir->linear;
    b->guest_bytes = ir->guest_bytes;
    b->guest_insns = (uint16_t)ir->guest_insns;
    b->ir_count = ir->count;
    b->variant = (uint8_t)variant;
    t->stats.blocks++;
    t->stats.guest_insns += ir->guest_insns;
    t->stats.host_insns += b->host_insns;
    t->stats.code_bytes += b->code_size;
    codebuf_own(b);
    return b;
}

typedef enum Published { PUBLISHED, STALE, NO_ROOM } Published;

static Published publish(Vcpu *v, uint64_t ram, unsigned variant, Block **out)
{
    TcgVcpu *t = tcg_vcpu(v);
    bool two = t->second_page && (ram & ~TCG_PAGE_MASK) + t->ir->guest_bytes > TCG_PAGE_SIZE;
    uint64_t ram2 = two ? t->second_ram : NO_PAGE;
    Block *old = block_find(ram, v->pc, v->mode, variant);
    if (old) /* its second page has another mapping here, or another vCPU was faster */
        block_invalidate_locked(old);
    code_watch(ram, ram2, t->ir->guest_bytes); /* before the counters are looked at, and after what takes bits away */
    if (atomic_load(&t->first_page->writes) != t->first_writes ||
        (t->second_page && atomic_load(&t->second_page->writes) != t->second_writes))
        return STALE;
    Block *b = emit_block(v, t->ir, variant);
    if (!b)
        return NO_ROOM;
    b->ram = ram;
    b->ram2 = ram2;
    block_insert(b);
    *out = b;
    return PUBLISHED;
}

static void release_pages(TcgVcpu *t, uint64_t ram)
{
    if (t->first_page)
        page_release(t->first_page, ram);
    if (t->second_page)
        page_release(t->second_page, t->second_ram);
    t->first_page = t->second_page = NULL;
}

/* A breakpoint starts a block: none is inside one. */
static void make_ir_to_breakpoint(Vcpu *v, uint64_t linear, const CodeMap *map, unsigned max_insns)
{
    do {
        tcg_make_ir(v, linear, map, max_insns);
        max_insns = tcg_insns_to_breakpoint(tcg_vcpu(v)->ir);
    } while (max_insns);
}

/* NULL: not to be kept; ts->ir holds one instruction's IR. */
static Block *translate(Vcpu *v, uint64_t linear, const CodeMap *map_, unsigned variant)
{
    TcgVcpu *t = tcg_vcpu(v);
    CodeMap map = *map_;
    uint64_t ram = map.ram | (linear & ~TCG_PAGE_MASK);
    unsigned max_insns = tcg.opt.one_insn ? 1 : IR_MAX_GUEST_INSNS;
    Block *b = NULL;
    for (unsigned attempt = 0; attempt < 6 && map.ram != NO_PAGE; attempt++) {
        int64_t start = clock_ns(CLOCK_REALTIME_NS);
        t->first_page = page_protect(v, ram);
        t->first_writes = atomic_load(&t->first_page->writes);
        make_ir_to_breakpoint(v, linear, &map, max_insns);
        bool faulting = t->trans.fetch_failed && t->ir->guest_insns <= 1;
        Published p = STALE;
        if (!faulting) {
            tcg_log_block(v, t->ir);
            pthread_mutex_lock(&tcg.lock);
            jit_retry_ranges(start);
            p = publish(v, ram, variant, &b);
            if (p == NO_ROOM) {
                codebuf_next_segment(v);
                max_insns = MAX(max_insns / 2, 1);
            }
            pthread_mutex_unlock(&tcg.lock);
        }
        release_pages(t, ram);
        t->stats.translate_ns += (uint64_t)(clock_ns(CLOCK_REALTIME_NS) - start);
        if (p == PUBLISHED)
            return b;
        if (faulting)
            break;
    }
    t->stats.uncached++;
    tcg_make_ir(v, linear, &map, 1);
    return NULL;
}

static bool second_page_matches(Vcpu *v, const Block *b, unsigned bank)
{
    if (b->ram2 == NO_PAGE)
        return true;
    const TlbEntry *e = tlb_lookup(v, (b->linear & TCG_PAGE_MASK) + TCG_PAGE_SIZE, ACCESS_FETCH, bank, true);
    return e && e->ram == b->ram2;
}

Block *tcg_block_at(Vcpu *v, unsigned variant)
{
    TcgVcpu *t = tcg_vcpu(v);
    unsigned bank;
    uint64_t linear = v->arch->code_address(v, &bank);
    t->stats.lookups++;
    const CodeMap *map = code_map_lookup(v, linear, bank, false);
    if (!map)
        vcpu_unwind(v);
    if (map->ram != NO_PAGE) {
        Block *b = block_find(map->ram | (linear & ~TCG_PAGE_MASK), v->pc, v->mode, variant);
        if (b && second_page_matches(v, b, bank))
            return b;
    }
    t->stats.lookup_misses++;
    if (tcg.opt.evict_every && t->stats.lookup_misses % tcg.opt.evict_every == 0)
        blocks_reset();
    return translate(v, linear, map, variant);
}
