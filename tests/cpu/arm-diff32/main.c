/* SPDX-License-Identifier: MIT */
/* arm-diff32: random sequences over the A32 and T32 tables, run by the translator and by qemu-arm; they must agree in
 * registers, flags, vectors, FPSCR, memory and in where a fault stops them. What is UNPREDICTABLE and can't be kept out
 * of the sequences easily is not counted (unpredictable()). arm-diff32 ORACLE [--seed N] [--count N] [--only TEXT]
 * [--one] [--table a32|t32] [--accel OPTIONS] [--cpu NAME] With --cpu the sequences are still made of all rows: what
 * that CPU lacks must be undefined there.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "accel/accel.h"
#include "base/thread.h"
#include "target/arm/models.h"
#include "target/arm/system.h"
#include "target/arm/tcg/a32.h"
#include "tests/cpu/arm-diff32/proto.h"

enum { RAM_SIZE = 1 << 16, CODE_PHYS = 0x1000, DATA_PHYS = 0x4000, LENGTH = 8, BASE = 8, INDEX = 9 };

static struct {
    uint64_t seed, first, count, done, bad;
    const char *only, *cpu;
    ArmFeatures all;          /* what sequences are made of */
    bool aligned;             /* qemu-arm does not rotate unaligned words */
    /* before Thumb-2, words of 32 bits are two instructions; qemu-arm knows IT and CBZ even there */
    bool t16_only;
    bool one, a32, t32, vectors;
    int to, from;
    pid_t child;
    DiffSequence sequence;
    DiffOutcome outcome;
    MemRegion *root, *ram;
    AddressSpace *as;
    Machine machine;
    bool finished, running;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    unsigned row_seen[4096];
} f = { .seed = 1, .count = 2000, .a32 = true, .t32 = true };

/* --- random numbers --- */
static uint64_t random64(void)
{
    f.seed ^= f.seed << 13;
    f.seed ^= f.seed >> 7;
    f.seed ^= f.seed << 17;
    return f.seed * UINT64_C(0x2545f4914f6cdd1d);
}

static uint32_t below(uint32_t n) { return (uint32_t)(random64() >> 33) % n; }

/* --- generation --- */
static const ArmTable *const a32_tables[] = { &arm_a32_table, &arm_a32u_table, &arm_vfp_table, &arm_vfpu_table,
                                              &arm_neon_table };
static const ArmTable *const t32_tables[] = { &arm_t16_table, &arm_t32_table, &arm_vfp_table, &arm_vfpu_table,
                                              &arm_neon_table };

/* Emitters whose instructions belong to the system, or that leave the sequence. */
static const char *const never[] = {
    "svc",       "bkpt",   "hlt",   "hvc",     "smc",     "hint", "bx",       "bxj",          "blx",  "blx_reg",
    "bxns",      "blxns",  "mcr",   "mrc",     "mcrr",    "mrrc", "msr_bank", "mrs_bank",     "cps",  "t16_cps",
    "setpan",    "srs",    "rfe",   "eret",    "subs_pc", "tbb",  "t32_blx",  "t32_msr_bank", "todo", "bl_prefix",
    "bl_suffix", "t32_bl", "t32_b", "wls",     "dls",     "le",   "lctp",     "sg",           "tt",   "m_mrs",
    "m_msr",     "m_cps",  "clrm",  "csel",    "undef",   "mrs",  "setend",   "isb",          "msr",  "msr_imm",
    "t32_msr",   "vmrs",   "vmsr",  "vscclrm", "vlldm",   NULL
};
static const char *const memory[] = { "ldst_imm",    "ldst_reg",     "ldsth_imm",    "ldsth_reg", "ldsts_imm",
                                      "ldsts_reg",   "t32_ldst_imm", "t32_ldst_reg", "t32_ldrd",  "ldm",
                                      "t16_ldm",     "swp",          "ldrex",        "strex",     "lda",
                                      "stl",         "push",         "pop",          "vldr",      "vldm",
                                      "vldst_multi", "vldst_one",    "vldst_all",    NULL };

static bool listed(const char *const *list, const char *name)
{
    for (; *list; list++)
        if (!strcmp(*list, name))
            return true;
    return false;
}

static const ArmField *field(const ArmRow *row, const char *name)
{
    for (unsigned n = 0; n < row->fields; n++)
        if (!strcmp(row->field[n].name, name))
            return &row->field[n];
    return NULL;
}

static uint32_t field_bits(const ArmField *fd, uint32_t value)
{
    uint32_t w = 0;
    for (unsigned n = 0; n < fd->pieces; n++)
        w |= (value >> fd->piece[n].to & ((1u << fd->piece[n].width) - 1)) << fd->piece[n].from;
    return w;
}

static void put(uint32_t *w, const ArmRow *row, const char *name, uint32_t value)
{
    const ArmField *fd = field(row, name);
    if (fd)
        *w = (*w & ~field_bits(fd, ~0u)) | field_bits(fd, value);
}

static uint32_t get(uint32_t w, const ArmRow *row, const char *name)
{
    const ArmField *fd = field(row, name);
    uint32_t v = 0;
    for (unsigned n = 0; fd && n < fd->pieces; n++)
        v |= (w >> fd->piece[n].from & ((1u << fd->piece[n].width) - 1)) << fd->piece[n].to;
    return fd ? v : ~0u;
}

/* A destination: not the bases, the indices, SP, PC. */
static uint32_t some_register(void)
{
    static const uint8_t list[] = { 0, 1, 2, 3, 4, 5, 10, 11, 12, 14, 6, 7 };
    return list[below(sizeof list - (f.t32 ? 2 : 0))]; /* 6 and 7 are those of 16-bit instructions */
}

static bool branches(const ArmRow *row)
{
    static const char *const names[] = { "b", "b_cond", "bl", "cbz", NULL };
    return listed(names, row->emitter);
}

static const char *const targets[] = { "rd", "rt", "rt2", NULL };
static const char *const sources[] = { "rn", "rm", "rs", "ra", NULL };

static uint32_t fix_memory(uint32_t w, const ArmRow *row)
{
    unsigned reg_bits = field(row, "rn") ? field(row, "rn")->piece[0].width : 4;
    put(&w, row, "rn", reg_bits == 3 ? 7 : BASE);
    if (strcmp(row->emitter, "swp"))
        put(&w, row, "rm",
            !strncmp(row->emitter, "v", 1) ? (below(3) ? 15 - 2 * below(2) : INDEX)
            : reg_bits == 3                ? 6
                                           : INDEX);
    if (!strncmp(row->emitter, "ldst_reg", 8))
        put(&w, row, "amount", below(3));
    if (f.aligned)
        put(&w, row, "type", SH_LSL);
    if (field(row, "imm"))
        put(&w, row, "imm", below(16) * (below(4) || f.aligned ? 4 : 1));
    const ArmField *list = field(row, "list");
    if (list) {
        uint32_t l = get(w, row, "list") & (f.t32 ? 0x5c3f : 0x5cff) & (uint32_t)random64();
        put(&w, row, "list", reg_bits == 3 ? (l & 0x3f) | 1 : l | 3);
    }
    if (field(row, "s") && strstr(row->emitter, "ldm"))
        put(&w, row, "s", 0);
    put(&w, row, "r", 0);
    return w;
}

/* A field of three bits. */
static bool low_only(const ArmRow *row, const char *name)
{
    const ArmField *fd = field(row, name);
    return fd && fd->pieces == 1 && fd->piece[0].width == 3;
}

static uint32_t make_word(const ArmRow *row, unsigned width)
{
    uint32_t known = row->mask;
    for (unsigned n = 0; n < row->fields; n++)
        known |= field_bits(&row->field[n], ~0u);
    uint32_t w = row->value | ((uint32_t)random64() & known & ~row->mask);
    for (unsigned n = 0; targets[n]; n++)
        put(&w, row, targets[n], low_only(row, targets[n]) ? below(6) : some_register());
    bool is_memory = listed(memory, row->emitter);
    for (unsigned n = 0; sources[n] && !is_memory; n++)
        if (get(w, row, sources[n]) == 15 && below(8))
            put(&w, row, sources[n], some_register());
    if (is_memory)
        w = fix_memory(w, row);
    if (!strcmp(row->emitter, "t32_ldrd") || field(row, "rt2"))
        put(&w, row, "rt2", get(w, row, "rt") == 14 ? 0 : get(w, row, "rt") ^ 1);
    if (branches(row))
        put(&w, row, "imm", 2 * below(4));
    if (field(row, "rn") &&
        (!strcmp(row->emitter, "clz") || !strcmp(row->emitter, "rev") || !strcmp(row->emitter, "rbit")))
        put(&w, row, "rn", get(w, row, "rm")); /* it stands twice */
    if (!strncmp(row->emitter, "ldsts", 5))
        put(&w, row, "rt", below(4) * 2);
    return width == 16 ? w & 0xffff : w;
}

/* Encodings that qemu and we read differently, both within the architecture. */
static bool unpredictable(const ArmRow *row, uint32_t w)
{
    if (!strcmp(row->emitter, "smmla") && get(w, row, "ra") == 15)
        return true;
    if (field(row, "rt2") && get(w, row, "rt2") == 13) /* LDREXD and the like; defined since ARMv8 */
        return true;
    if (!f.one && (!strcmp(row->emitter, "ldrex") || !strcmp(row->emitter, "strex"))) /* of different sizes */
        return get(w, row, "size") != 0 && row->mask != 0xfff00000 && row->mask != 0xfff00f00;
    if (!strcmp(row->emitter, "vcvt_fixed"))
        return get(w, row, "imm") > (get(w, row, "l") ? 32 : 16);
    if (!strcmp(row->emitter, "vmov_pair"))
        return get(w, row, "vm") == 31 || get(w, row, "rt") == 15 || get(w, row, "rt2") == 15;
    if (!strncmp(row->emitter, "vldst", 5))
        return get(w, row, "vd") > 24;
    if (!strcmp(row->emitter, "vtrn") || !strcmp(row->emitter, "vuzp") || !strcmp(row->emitter, "vzip"))
        return get(w, row, "vd") == get(w, row, "vm");
    if (!strcmp(row->emitter, "bfx"))
        return get(w, row, "lsb") + get(w, row, "imm") > 31;
    if (!strcmp(row->emitter, "bfi"))
        return get(w, row, "lsb") > get(w, row, "msb");
    return !strcmp(row->emitter, "sat") && field(row, "type") && get(w, row, "type") == SH_ASR &&
           !get(w, row, "amount") && row->mask >> 28 == 15;
}

static const ArmFeatures *features, *own; /* what sequences are made of; what the CPU has, which may be more (SWP) */

static bool available(const ArmRow *row, const ArmFeatures *has) { return !row->available || row->available(has); }

static bool usable(const ArmRow *row)
{
    if (row->todo || listed(never, row->emitter) || !(available(row, features) || available(row, own)) ||
        strstr(row->tags, "nodiff"))
        return false;
    return !f.only || strstr(row->emitter, f.only) || !strcmp(row->name, f.only);
}

static const ArmRow *choose_row(const ArmTable *const *tables, unsigned count, const ArmTable **of)
{
    for (unsigned tries = 0; tries < 100000; tries++) {
        unsigned t = below(count);
        if (!f.vectors && t >= 2)
            continue;
        const ArmRow *row = &tables[t]->row[below(tables[t]->rows)];
        *of = tables[t];
        if (usable(row))
            return row;
    }
    g_error("no row is usable");
}

/* Behind a branch of T32: NOPs, lest it leads into the middle of an instruction. How many bytes. */
static unsigned landing(const DiffSequence *s, uint8_t *at, const ArmRow *row)
{
    static const uint16_t nops[4] = { 0x46c0, 0x46c0, 0x46c0, 0x46c0 }; /* mov r8, r8 */
    if (!s->t32 || !branches(row))
        return 0;
    memcpy(at, nops, sizeof nops);
    return sizeof nops;
}

/* One instruction at the end of the code. it: inside an IT block. Its length in bytes. */
static unsigned emit_one(DiffSequence *s, bool in_it, unsigned *it_count)
{
    const ArmTable *of;
    for (;;) {
        const ArmRow *row = choose_row(s->t32 ? t32_tables : a32_tables, 5, &of);
        uint32_t w = make_word(row, of->width);
        if (arm_decode(of, available(row, features) ? features : own, w) != row || unpredictable(row, w))
            continue;
        if (s->t32 && f.t16_only && (of->width == 32 || !strcmp(row->emitter, "it") || !strcmp(row->emitter, "cbz")))
            continue;
        bool flow = branches(row) || !strcmp(row->emitter, "it");
        if (in_it && (flow || of == &arm_neon_table || of == &arm_vfpu_table))
            continue;
        if (!s->t32 && (of == &arm_a32_table || of == &arm_vfp_table))
            w = (w & 0x0fffffff) | (below(3) ? 14u : below(15)) << 28;
        if (!s->t32 && !strcmp(row->name, "crc32"))
            w |= 0xe0000000;
        uint8_t *at = s->code + s->code_len;
        if (!s->t32 || of->width == 16) {
            if (!strcmp(row->emitter, "it")) {
                unsigned cond = w >> 4 & 15;
                if (!(w & 15) || cond == 15 || (cond == 14 && (w & 7)))
                    continue;
                *it_count = 4u - (unsigned)__builtin_ctz(w & 15);
            }
            memcpy(at, &w, of->width / 8);
            return of->width / 8 + landing(s, at + of->width / 8, row);
        }
        if (of == &arm_vfp_table)
            w |= 0xe0000000;
        else if (of == &arm_neon_table && w >> 25 == 0x79)
            w = (w & 0x00ffffff) | 0xef000000 | (w >> 24 & 1) << 28;
        else if (of == &arm_neon_table)
            w = (w & 0x00ffffff) | 0xf9000000;
        uint32_t swapped = w >> 16 | w << 16;
        memcpy(at, &swapped, 4);
        return 4 + landing(s, at + 4, row);
    }
}

static uint32_t interesting(void)
{
    static const uint32_t values[] = { 0,      1,          0xffffffff, 0x80000000, 0x7fffffff, 0x8000,
                                       0x7fff, 0xffff8000, 0x80008000, 0x7fff7fff, 0x80,       0xff };
    return below(3) ? (uint32_t)random64() >> below(32) : values[below(sizeof values / 4)];
}

static uint64_t interesting_d(void)
{
    static const uint32_t f32[] = { 0,          0x80000000, 0x3f800000, 0xbf800000, 0x7f800000, 0xff800000,
                                    0x7fc00000, 0x7f800001, 0x00000001, 0x007fffff, 0x00800000, 0x7f7fffff,
                                    0x4f000000, 0xcf000000, 0x4effffff, 0x40490fdb, 0x3f000000, 0x4b000001 };
    static const uint64_t f64[] = { 0x3ff0000000000000, 0x8000000000000000, 0x7ff0000000000000,
                                    0x7ff8000000000000, 0x7ff0000000000001, 1,
                                    0x000fffffffffffff, 0x0010000000000000, 0x7fefffffffffffff,
                                    0x41e0000000000000, 0xc1e0000000000000, 0x41dfffffffc00000,
                                    0x3fe0000000000000 };
    switch (below(4)) {
    case 0: return random64();
    case 1: return f64[below(sizeof f64 / 8)];
    case 2: return (uint64_t)f32[below(sizeof f32 / 4)] << 32 | f32[below(sizeof f32 / 4)];
    default:
        return (uint64_t)(0x3f000000 + (uint32_t)(random64() & 0x81ffffff)) << 32 |
               (0x3f000000 + (uint32_t)(random64() & 0x81ffffff));
    }
}

static void generate(DiffSequence *s)
{
    memset(s, 0, sizeof *s);
    s->t32 = f.t32 && (!f.a32 || below(2));
    for (unsigned n = 0; n < 15; n++)
        s->start.r[n] = interesting();
    s->start.r[BASE] = s->start.r[7] = s->start.r[13] = DIFF_DATA + DIFF_DATA_SIZE / 2;
    s->start.r[INDEX] = s->start.r[6] = below(8) * 4;
    s->start.cpsr = (uint32_t)random64() & 0xf80f0000;
    s->start.fpscr = f.vectors ? (uint32_t)random64() & (below(4) ? 0x00c00000 : 0xf3c00000) : 0;
    for (unsigned n = 0; n < 32; n++)
        s->start.d[n] = interesting_d();
    for (unsigned n = 0; n < DIFF_DATA_SIZE; n += 8) {
        uint64_t v = random64();
        memcpy(s->data + n, &v, 8);
    }
    unsigned in_it = 0;
    for (unsigned n = 0; n < (f.one ? 1 : LENGTH) || in_it; n++) {
        unsigned now = in_it, more = 0;
        s->code_len += emit_one(s, now, &more);
        in_it = more ? more : now ? now - 1 : 0;
    }
    static const uint8_t udf32[4] = { 0xf0, 0x00, 0xf0, 0xe7 }, udf16[4] = { 0x00, 0xde, 0x00, 0xde };
    for (unsigned n = 0; n < 8; n++, s->code_len += 4)
        memcpy(s->code + s->code_len, s->t32 ? udf16 : udf32, 4);
}

/* --- the oracle --- */
static void transfer(bool out, void *buf, size_t len)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = out ? write(f.to, (char *)buf + done, len - done) : read(f.from, (char *)buf + done, len - done);
        if (n <= 0)
            g_error("the oracle has ended");
        done += (size_t)n;
    }
}

static void start_oracle(const char *program)
{
    bool has_clrex = !f.cpu || arm_model_find(f.cpu)->has.v6k;
    int in[2], out[2];
    if (pipe(in) || pipe(out))
        g_error("pipe");
    f.child = fork();
    if (!f.child) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        close(in[1]), close(out[0]);
        execlp("qemu-arm", "qemu-arm", "-cpu", f.cpu ? f.cpu : "max", program, has_clrex ? "clrex" : NULL, NULL);
        _exit(127);
    }
    close(in[0]), close(out[1]);
    f.to = in[1], f.from = out[0];
}

/* --- comparison --- */
static void print_sequence(const DiffSequence *s)
{
    g_autoptr(GString) text = g_string_new(NULL);
    for (unsigned at = 0; at < s->code_len - 32;) {
        int n = arm32_guest_arch.disassemble
                    ? arm32_guest_arch.disassemble(s->t32 ? ARM_MODE_T32 : 0, DIFF_CODE + DIFF_START + at, s->code + at,
                                                   8, text)
                    : 0;
        uint32_t w;
        memcpy(&w, s->code + at, 4);
        printf("    %08x: %08x %s\n", DIFF_CODE + DIFF_START + at, w, text->str);
        g_string_truncate(text, 0);
        at += n > 0 ? (unsigned)n : 4;
    }
}

static void compare(const DiffSequence *s, const DiffOutcome *ours, const DiffOutcome *theirs)
{
    g_autoptr(GString) d = g_string_new(NULL);
    if (ours->signal != theirs->signal)
        g_string_append_printf(d, " signal %u != %u", ours->signal, theirs->signal);
    for (unsigned n = 0; n < 16; n++)
        if (ours->end.r[n] != theirs->end.r[n])
            g_string_append_printf(d, " r%u %08x != %08x (was %08x)", n, ours->end.r[n], theirs->end.r[n],
                                   n < 15 ? s->start.r[n] : 0);
    if ((ours->end.cpsr ^ theirs->end.cpsr) & (DIFF_CPSR | 0xfc20))
        g_string_append_printf(d, " cpsr %08x != %08x (was %08x)", ours->end.cpsr, theirs->end.cpsr, s->start.cpsr);
    if (f.vectors) {
        if (ours->end.fpscr != theirs->end.fpscr)
            g_string_append_printf(d, " fpscr %08x != %08x (was %08x)", ours->end.fpscr, theirs->end.fpscr,
                                   s->start.fpscr);
        for (unsigned n = 0; n < 32; n++)
            if (ours->end.d[n] != theirs->end.d[n])
                g_string_append_printf(d, "\n      d%u %016" PRIx64 " != %016" PRIx64 " (was %016" PRIx64 ")", n,
                                       ours->end.d[n], theirs->end.d[n], s->start.d[n]);
    }
    if (memcmp(ours->data, theirs->data, DIFF_DATA_SIZE))
        g_string_append(d, " memory");
    if (!d->len)
        return;
    if (f.bad++ < 60) {
        printf("# sequence %" PRIu64 " (%s): ours != qemu's:%s\n", f.first, s->t32 ? "T32" : "A32", d->str);
        print_sequence(s);
    }
}

/* --- the translator --- */
static bool walk(Vcpu *v, uint64_t va, AccessKind kind, unsigned bank, bool probe, WalkResult *out)
{
    uint32_t page = (uint32_t)va & ~0xfffu;
    if (page == DIFF_CODE || page == DIFF_DATA) {
        *out = (WalkResult){ .phys = page == DIFF_CODE ? CODE_PHYS : DATA_PHYS,
                             .page_bits = 12,
                             .readable = true,
                             .writable = true,
                             .executable = page == DIFF_CODE };
        return true;
    }
    if (!probe) {
        vcpu_sync(v);
        arm_cpu(v)->event = (ArmEvent){ .kind = ARM_EVENT_SYNC, .ec = EC_DATA_ABORT };
    }
    return false;
}

static void misaligned(Vcpu *v, uint64_t va, AccessKind kind, unsigned align)
{
    vcpu_sync(v);
    arm_cpu(v)->event = (ArmEvent){ .kind = ARM_EVENT_SYNC, .ec = EC_SP_ALIGN };
}

static void load_state(Vcpu *v, const DiffSequence *s)
{
    ArmCpu *c = arm_cpu(v);
    for (unsigned n = 0; n < 15; n++)
        v->g[n] = s->start.r[n];
    v->pc = DIFF_CODE + DIFF_START;
    c->t32 = s->t32;
    c->it = 0;
    c->e = false;
    c->excl_addr = ~UINT64_C(0);
    arm_set_nzcv(c, s->start.cpsr & 0xf0000000);
    c->q = s->start.cpsr >> 27 & 1;
    c->ge = s->start.cpsr >> 16 & 15;
    for (unsigned n = 0; n < 32; n++)
        v->v[n / 2].u64[n % 2] = s->start.d[n];
    arm_set_fpscr(c, s->start.fpscr);
    arm_update_mode(c);
}

static void store_state(Vcpu *v, DiffOutcome *o, unsigned ec)
{
    ArmCpu *c = arm_cpu(v);
    memset(o, 0, sizeof *o);
    o->signal = ec == EC_DATA_ABORT || ec == EC_INSN_ABORT ? DIFF_SIG_SEGV
                : ec == EC_SP_ALIGN || ec == EC_PC_ALIGN   ? DIFF_SIG_BUS
                                                           : DIFF_SIG_ILL;
    for (unsigned n = 0; n < 15; n++)
        o->end.r[n] = (uint32_t)v->g[n];
    o->end.r[15] = (uint32_t)v->pc;
    o->end.cpsr = arm_get_cpsr(c);
    o->end.fpscr = arm_get_fpscr(c);
    for (unsigned n = 0; n < 32; n++)
        o->end.d[n] = v->v[n / 2].u64[n % 2];
    memcpy(o->data, (uint8_t *)mem_host(f.ram) + DATA_PHYS, DIFF_DATA_SIZE);
}

static void start_next(Vcpu *v)
{
    if (f.done == f.count) {
        pthread_mutex_lock(&f.lock);
        f.finished = true;
        pthread_cond_signal(&f.cond);
        pthread_mutex_unlock(&f.lock);
        v->pc = 0;
        f.running = false;
        return;
    }
    f.done++;
    f.first = f.seed;
    generate(&f.sequence);
    transfer(true, &f.sequence, sizeof f.sequence);
    as_write(f.as, CODE_PHYS + DIFF_START, f.sequence.code, DIFF_CODE_MAX, MEM_ATTRS_DEVICE);
    as_write(f.as, DATA_PHYS, f.sequence.data, DIFF_DATA_SIZE, MEM_ATTRS_DEVICE);
    load_state(v, &f.sequence);
    f.running = true;
}

static void deliver(Vcpu *v)
{
    ArmCpu *c = arm_cpu(v);
    unsigned ec = c->event.ec;
    c->event = (ArmEvent){ 0 };
    if (!f.running) {
        if (!f.finished)
            start_next(v);
        else
            g_usleep(100);
        return;
    }
    DiffOutcome theirs;
    store_state(v, &f.outcome, ec);
    transfer(false, &theirs, sizeof theirs);
    compare(&f.sequence, &f.outcome, &theirs);
    f.running = false;
    start_next(v);
}

static bool poll_events(Vcpu *v) { return true; }
static void no_reset(Vcpu *v) {}

static void make_cpu(ArmCpu *c)
{
    ArmFeatures *h = &c->has;
    h->aarch32_el0 = h->aarch32_el1 = h->v4t = h->v5 = h->v6 = h->v6k = h->v7 = h->v7ve = h->v8 = h->v8_1 = h->v8_2 =
        true;
    h->mpidr = h->thumb2 = h->thumb_div = h->arm_div = h->lpae32 = h->vfp2 = h->vfp3 = h->vfp_d32 = h->vfp4 = h->neon =
        h->fp_v8 = h->vfp_dp = true;
    h->vfp_fp16 = h->fp16 = h->fhm = h->bf16 = h->i8mm = h->dotprod = h->rdm = h->jscvt = h->fcma = true;
    h->aes = h->pmull = h->sha1 = h->sha256 = h->crc32 = true;
    c->mode32 = ARM_USR;
    c->cpacr_el1 = 0xffffffff;
    c->fpexc32_el2 = 1u << 30;
    f.all = *h;
    features = &f.all, own = h;
    if (f.cpu)
        *h = arm_model_find(f.cpu)->has;
    f.t16_only = !h->thumb2;
    f.aligned = !h->v6;
    c->sctlr_el[1] |= SCTLR_U; /* as for Linux's programs */
    c->sctlr_el[3] |= SCTLR_U;
}

static bool run(const char *options, Error **errp)
{
    static GuestArch arch;
    g_autoptr(Opts) opts = opts_parse(options, "accel", errp);
    if (!opts)
        return false;
    arch = arm32_guest_arch;
    arch.walk = walk, arch.misaligned = misaligned, arch.deliver = deliver, arch.poll = poll_events,
    arch.has_work = poll_events, arch.reset = no_reset;
    f.root = mem_container_new("arm-diff32", UINT64_MAX);
    f.ram = mem_ram_new("arm-diff32 ram", RAM_SIZE, errp);
    mem_map(f.root, 0, f.ram, 0);
    f.as = as_new("arm-diff32", f.root);
    f.machine.as_memory = f.as;
    if (!accel_setup(&f.machine, opts_get(opts, "accel"), opts, errp))
        return false;
    ArmCpu *c = aligned_alloc(64, (sizeof *c + 63) & ~63ul);
    memset(c, 0, sizeof *c);
    if (!vcpu_init(&c->v, &arch, &f.machine, 0, errp))
        return false;
    make_cpu(c);
    arm_update_mode(c);
    pthread_mutex_init(&f.lock, NULL);
    pthread_cond_init(&f.cond, NULL);
    vcpu_start_thread(&c->v);
    vcpus_resume();
    pthread_mutex_lock(&f.lock);
    while (!f.finished)
        pthread_cond_wait(&f.cond, &f.lock);
    pthread_mutex_unlock(&f.lock);
    vcpus_stop_threads();
    return true;
}

int main(int argc, char **argv)
{
    const char *accel = "tcg,backend=jit", *oracle = argc > 1 ? argv[1] : "";
    for (int n = 2; n < argc; n++) {
        const char *value = n + 1 < argc ? argv[n + 1] : "";
        if (!strcmp(argv[n], "--one")) {
            f.one = true;
            continue;
        } else if (!strcmp(argv[n], "--vectors")) {
            f.vectors = true;
            continue;
        } else if (!strcmp(argv[n], "--seed")) {
            f.seed = strtoull(value, NULL, 0);
        } else if (!strcmp(argv[n], "--count")) {
            f.count = strtoull(value, NULL, 0);
        } else if (!strcmp(argv[n], "--only")) {
            f.only = value;
        } else if (!strcmp(argv[n], "--cpu")) {
            f.cpu = value;
        } else if (!strcmp(argv[n], "--accel")) {
            accel = value;
        } else if (!strcmp(argv[n], "--table")) {
            f.a32 = !strcmp(value, "a32"), f.t32 = !f.a32;
        } else {
            fprintf(stderr, "unknown option %s\n", argv[n]);
            return 2;
        }
        n++;
    }
    Error *err = NULL;
    start_oracle(oracle);
    if (!run(accel, &err)) {
        fprintf(stderr, "%s\n", err->message);
        return 2;
    }
    close(f.to);
    waitpid(f.child, NULL, 0);
    printf("1..1\n%sok 1 - %" PRIu64 " sequences, %" PRIu64 " differ\n", f.bad ? "not " : "", f.done, f.bad);
    return f.bad != 0;
}
