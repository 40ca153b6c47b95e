/* SPDX-License-Identifier: MIT */
/* The translator as an accelerator: options, set-up of machine and vCPUs, counters. */
#include "accel/tcg/tcg.h"
#include "hw/core/ram.h"

Tcg tcg;

enum { TB_SIZE_MIN = 4, TB_SIZE_MAX = 1024, TB_SIZE_DEFAULT = 256 }; /* MiB; the maximum keeps jumps within 2 GiB */
enum { BACKEND_BEST, BACKEND_JIT, BACKEND_INTERP };
static const char *const threads[] = { "multi", "single", NULL };
static const char *const backends[] = {
    [BACKEND_BEST] = "auto", [BACKEND_JIT] = "jit", [BACKEND_INTERP] = "interp", NULL
};

/* What users set; TcgOptions is what follows from it. */
static struct Asked {
    int thread, backend;
    uint32_t tb_size, tlb_size, evict_every;
    bool one_insn, stats, opt_flags, opt_coalesce, opt_link, opt_jump_cache, opt_simd, opt_avx512;
} asked;
typedef struct Asked Asked;

static const Property props[] = {
    DEFINE_PROP_ENUM("thread", Asked, thread, 0, threads, "threads that run the vCPUs: one each, or one for all"),
    { .name = "tb-size",
      .kind = PROP_U32,
      .offset = offsetof(Asked, tb_size),
      .max = TB_SIZE_MAX,
      .help = "MiB for translated code; 0: 256" },
    DEFINE_PROP_BOOL("one-insn-per-tb", Asked, one_insn, false,
                     "blocks of one guest instruction (slow; for debugging)"),
    DEFINE_PROP_ENUM("backend", Asked, backend, BACKEND_BEST, backends,
                     "host code, or an interpreter where there is none"),
    DEFINE_PROP_BOOL("jit-stats", Asked, stats, false, "count the runs of each block, for info jit"),
    DEFINE_PROP_BOOL("opt-flags", Asked, opt_flags, true, "leave out flags that nobody reads"),
    DEFINE_PROP_BOOL("opt-coalesce", Asked, opt_coalesce, true, "one check for neighbouring accesses"),
    DEFINE_PROP_BOOL("opt-link", Asked, opt_link, true, "jumps from block to block"),
    DEFINE_PROP_BOOL("opt-jump-cache", Asked, opt_jump_cache, true, "indirect jumps find their blocks by a cache"),
    DEFINE_PROP_BOOL("opt-simd", Asked, opt_simd, true, "the host's vector unit for the guest's"),
    DEFINE_PROP_BOOL("opt-avx512", Asked, opt_avx512, true, "the host's AVX-512, too"),
    { .name = "tlb-size",
      .kind = PROP_U32,
      .offset = offsetof(Asked, tlb_size),
      .dflt = TLB_SIZE,
      .min = 1,
      .max = UINT32_MAX,
      .help = "entries of a TLB's first level that are used before it is emptied (for tests)" },
    DEFINE_PROP_U32("evict-every", Asked, evict_every, 0,
                    "drop all code after that many translations (for tests); 0: never"),
    DEFINE_PROP_END
};

static bool read_options(TcgOptions *t, Error **errp)
{
    unsigned tb_size = asked.tb_size ? asked.tb_size : TB_SIZE_DEFAULT;
    g_autofree char *why = NULL;
    bool jit = jit_available(&why);
    if (tb_size < TB_SIZE_MIN) {
        error_setf(errp, "tcg: tb-size=%u: use %d to %d (MiB)", tb_size, TB_SIZE_MIN, TB_SIZE_MAX);
        return false;
    }
    if (asked.backend == BACKEND_JIT && !jit) {
        error_setf(errp, "tcg: backend=jit: %s; use backend=interp", why);
        return false;
    }
    *t = (TcgOptions){ .jit = jit && asked.backend != BACKEND_INTERP,
                       .single_thread = asked.thread,
                       .one_insn = asked.one_insn,
                       .stats = asked.stats,
                       .opt_flags = asked.opt_flags,
                       .opt_coalesce = asked.opt_coalesce,
                       .opt_link = asked.opt_link,
                       .opt_jump_cache = asked.opt_jump_cache,
                       .opt_simd = asked.opt_simd,
                       .opt_avx512 = asked.opt_avx512,
                       .buffer_size = tb_size * MiB,
                       .tlb_size = MIN(asked.tlb_size, TLB_SIZE),
                       .evict_every = asked.evict_every };
    return true;
}

/* A device has stored: its stores must be visible before it looks whether a translation watches the page. */
static void ram_written(void *opaque, uint64_t ram, uint64_t len)
{
    atomic_thread_fence(memory_order_seq_cst);
    tcg_ram_written(ram, len);
}

/* Stores go without notice to pages that the fast level has for writing: their next ones shall be noticed (ram.h). */
static void drop_fast(Vcpu *v, void *opaque) { tlb_flush_fast(v); }

static void forget_writes(void)
{
    for (unsigned i = 0; i < vcpu_count(); i++)
        if (vcpu_get(i))
            vcpu_run_on_sync(vcpu_get(i), drop_fast, NULL);
}

static const RamDirtyOps dirty_ops = { .forget = forget_writes };

static void map_changed(void *opaque)
{
    for (unsigned i = 0; i < vcpu_count(); i++) {
        Vcpu *v = vcpu_get(i);
        if (!v || !v->accel_data)
            continue;
        atomic_store(&tcg_vcpu(v)->map_changed, true);
        vcpu_kick(v);
    }
}

static AccelType tcg_type;

void tcg_tables_init(void)
{
    static bool made;
    if (!made)
        blocks_init();
    if (!tcg.opt.tlb_size)
        tcg.opt.tlb_size = TLB_SIZE;
    made = true;
}

static bool tcg_init(Machine *m, Error **errp)
{
    tcg_icount_off();
    if (!read_options(&tcg.opt, errp))
        return false;
    if (tcg.ready) { /* another machine in this process (tests) */
        blocks_reset();
        codebuf_free();
    } else {
        tcg_tables_init();
        mem_set_ram_written_hook(ram_written, NULL);
    }
    if (!codebuf_init(tcg.opt.buffer_size, tcg.opt.jit, errp))
        return false;
    tcg_type.one_thread = tcg.opt.single_thread;
    tcg.ready = true;
    ram_set_dirty_ops(&dirty_ops);
    if (m && m->as_memory)
        as_add_listener(m->as_memory, map_changed, NULL);
    return true;
}

bool tcg_vcpu_tables_init(Vcpu *v, Error **errp)
{
    if (tcg.opt.jit && !jit_init(v->arch, errp))
        return false;
    if (tcg.opt.jit)
        jit_vcpu_init(v);
    TcgVcpu *t = g_new0(TcgVcpu, 1);
    t->ir = g_new0(IrBlock, 1);
    v->accel_data = t;
    tlb_init(v);
    vcpu_set_mode(v, v->mode);
    if (!v->fp_control)
        v->fp_control = 0x1f80;
    if (v->machine && v->machine->as_smm && v->index == 0)
        as_add_listener(v->machine->as_smm, map_changed, NULL);
    return true;
}

static void add_stats(TcgStats *to, const TcgStats *from)
{
    uint64_t *t = (uint64_t *)to;
    const uint64_t *f = (const uint64_t *)from;
    for (unsigned i = 0; i < sizeof *to / sizeof *t; i++)
        t[i] += f[i];
}

void tcg_vcpu_tables_free(Vcpu *v)
{
    TcgVcpu *t = tcg_vcpu(v);
    add_stats(&tcg.old_stats, &t->stats);
    g_free(t->ir);
    g_clear_pointer(&v->accel_data, g_free);
}

/* Executed instructions: jit-stats=on only. */
static void print_executed(GString *out)
{
    uint64_t guest = 0, host = 0, runs = 0;
    pthread_mutex_lock(&tcg.lock);
    for (unsigned i = 0; i < ARRAY_LEN(tcg.hash); i++) {
        for (const Block *b = tcg.hash[i]; b; b = b->hash_next) {
            runs += b->executions;
            guest += b->executions * b->guest_insns;
            host += b->executions * b->host_insns;
        }
    }
    pthread_mutex_unlock(&tcg.lock);
    if (runs)
        g_string_append_printf(out,
                               "executed (blocks still cached)  %" G_GUINT64_FORMAT
                               " blocks, at most %" G_GUINT64_FORMAT " guest insns, %.2f host insns each\n",
                               runs, guest, (double)host / (double)guest);
}

static void tcg_info(GString *out)
{
    TcgStats s = tcg.old_stats;
    for (unsigned i = 0; i < vcpu_count(); i++)
        if (vcpu_get(i) && vcpu_get(i)->accel_data)
            add_stats(&s, &tcg_vcpu(vcpu_get(i))->stats);
#define ROW(text, ...) g_string_append_printf(out, "%-28s" text "\n", __VA_ARGS__)
#define U64 "%" G_GUINT64_FORMAT
    ROW("%s", "backend", tcg.opt.jit ? "jit" : "interp");
    ROW(U64 " (" U64 " guest insns, " U64 " IR ops)", "blocks translated", s.blocks, s.guest_insns, s.ir_insns);
    ROW("%.2f (" U64 " code bytes, " U64 " KiB used)", "host insns per guest insn",
        s.guest_insns ? (double)s.host_insns / (double)s.guest_insns : 0.0, s.code_bytes, codebuf_used() / KiB);
    ROW("%.1f ms, %.0f ns per guest insn", "translation time", (double)s.translate_ns / 1e6,
        s.guest_insns ? (double)s.translate_ns / (double)s.guest_insns : 0.0);
    ROW(U64 ", translated " U64 ", uncached " U64, "look-ups", s.lookups, s.lookup_misses, s.uncached);
    ROW(U64 " made, jump cache fills " U64, "links", s.links, s.jc_fills);
    ROW(U64 " fills, " U64 " walks, " U64 " flushes, " U64 " page flushes", "TLB", s.tlb_fills, s.tlb_walks,
        s.tlb_flushes, s.tlb_page_flushes);
    ROW(U64 ", devices " U64 ", plain exits " U64, "slow accesses", s.slow_accesses, s.mmio, s.plain_exits);
    ROW(U64 " blocks, segments recycled " U64, "invalidated", s.invalidations, s.evictions);
    ROW(U64 ", unwinds " U64, "block exits to the loop", s.exits, s.unwinds);
    print_executed(out);
#undef ROW
}

static void tcg_shutdown(void)
{
    if (!log_enabled(LOG_JIT))
        return;
    g_autoptr(GString) s = g_string_new(NULL);
    tcg_info(s);
    log_write("%s", s->str);
}

static bool set_icount(Opts *o, Error **errp)
{
    tcg_type.one_thread = true;
    return tcg_icount_setup(o, errp);
}

static AccelType tcg_type = {
    .name = "tcg",
    .desc = "translates guest code; works everywhere",
    .props = props,
    .options = &asked,
    .init = tcg_init,
    .vcpu_init = tcg_vcpu_tables_init,
    .vcpu_free = tcg_vcpu_tables_free,
    .vcpu_thread = tcg_thread,
    .info = tcg_info,
    .shutdown = tcg_shutdown,
    .debug = &tcg_debug_ops,
    .set_icount = set_icount,
};
ACCEL_REGISTER(tcg_type)
