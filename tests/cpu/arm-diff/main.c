/* SPDX-License-Identifier: MIT */
/* Arm-diff: options, comparison, reports.
 *
 *   arm-diff [--isa a64|simd|sve128|sve256|sve512] [--count N] [--seed N] [--config ACCEL-OPTIONS] [--only TEXT]
 * [--one] [--each] [--list] [--log CATEGORIES]
 *
 * --only: only rows that have TEXT in their name or emitter. --one: the sequence of --seed, with both outcomes. --each:
 * row by row, --count sequences of each.
 * --log: as -d of
 * the emulator (op, out_asm). Without --config each of
 * the configurations runs in a process of its own (TAP).
 */
#include "tests/cpu/arm-diff/arm-diff.h"
#include <capstone/capstone.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/log.h"

enum { MAX_REPORTS = 3 };

static const struct { const char *name, *accel; unsigned share; } configs[] = {
    { "jit", "tcg,backend=jit", 1 },
    { "interp", "tcg,backend=interp", 2 },
    { "jit-one-insn", "tcg,backend=jit,one-insn-per-tb=on", 4 },
    { "jit-plain", "tcg,backend=jit,opt-flags=off,opt-coalesce=off,tlb-size=1", 4 },
    { "jit-avx2", "tcg,backend=jit,opt-avx512=off", 4 },
    { "jit-no-simd", "tcg,backend=jit,opt-simd=off", 8 },
};

static void disassemble(unsigned isa, const DiffRequest *r)
{
    csh handle;
    cs_insn *insn;
    cs_arch arch = isa_is_a64(isa) ? CS_ARCH_ARM64 : CS_ARCH_ARM;
    if (cs_open(arch, isa == ISA_T32 ? CS_MODE_THUMB : CS_MODE_ARM, &handle) != CS_ERR_OK)
        return;
    cs_option(handle, CS_OPT_SKIPDATA, CS_OPT_ON);
    size_t count = cs_disasm(handle, r->code, r->code_len, CODE_BASE, 0, &insn);
    for (size_t n = 0; n < count; n++)
        printf("#   %08" PRIx64 "  %-8s %s\n", insn[n].address, insn[n].mnemonic, insn[n].op_str);
    if (count)
        cs_free(insn, count);
    cs_close(&handle);
}

static void line(const char *name, uint64_t start, uint64_t theirs, uint64_t ours, bool always)
{
    if (always || theirs != ours)
        printf("# %-6s start %016" PRIx64 " oracle %016" PRIx64 " ours %016" PRIx64 "%s\n", name, start, theirs, ours,
               theirs != ours ? "  <--" : "");
}

static void report_memory(const char *name, const uint8_t *theirs, const uint8_t *ours, uint32_t size)
{
    for (uint32_t n = 0; n < size; n++) {
        if (theirs[n] != ours[n]) {
            printf("# %s+0x%x: oracle %02x ours %02x\n", name, n, theirs[n], ours[n]);
            return;
        }
    }
}

static void report(unsigned isa, uint64_t seed, const DiffRequest *r, const DiffResult *theirs, const DiffResult *ours,
                   bool all)
{
    char name[16];
    printf("# seed %" PRIu64 " (--isa %s --one --seed %" PRIu64 ")\n", seed, isas[isa]->name, seed);
    disassemble(isa, r);
    for (unsigned n = 0; n < 32; n++) {
        snprintf(name, sizeof(name), n == 31 ? "sp" : "r%u", n);
        line(name, r->start.r[n], theirs->end.r[n], ours->end.r[n], all);
    }
    for (unsigned n = 0; n < 32; n++) {
        for (unsigned half = 0; half < 2; half++) {
            snprintf(name, sizeof(name), "v%u%s", n, half ? "h" : "l");
            line(name, r->start.v[n][half], theirs->end.v[n][half], ours->end.v[n][half], false);
        }
    }
    for (unsigned n = 0; n < 32; n++) {
        for (unsigned k = 0; k < 6; k++) {
            snprintf(name, sizeof(name), "z%u.%u", n, k + 2);
            line(name, r->start.high[n][k], theirs->end.high[n][k], ours->end.high[n][k], false);
        }
    }
    for (unsigned n = 0; n < 17; n++) {
        snprintf(name, sizeof(name), n < 16 ? "p%u" : "ffr", n);
        line(name, n < 16 ? r->start.p[n] : r->start.ffr, n < 16 ? theirs->end.p[n] : theirs->end.ffr,
             n < 16 ? ours->end.p[n] : ours->end.ffr, false);
    }
    line("pc", r->start.pc, theirs->end.pc, ours->end.pc, true);
    line("flags", r->start.flags, theirs->end.flags, ours->end.flags, true);
    line("fpcr", r->start.fpcr, theirs->end.fpcr, ours->end.fpcr, false);
    line("fpsr", r->start.fpsr, theirs->end.fpsr, ours->end.fpsr, false);
    line("signal", 0, theirs->signal, ours->signal, true);
    line("fault", 0, theirs->fault, ours->fault, all);
    report_memory("data", theirs->data, ours->data, DATA_SIZE);
    report_memory("stack", theirs->stack, ours->stack, STACK_SIZE);
}

/* The page of the fault: which of an access's bytes is named differs where it crosses pages. */
static bool same_fault(const DiffResult *a, const DiffResult *b)
{
    return a->signal != 11 || a->fault >> 12 == b->fault >> 12 || (a->fault + 64) >> 12 == (b->fault + 64) >> 12;
}

static bool differ(const DiffResult *theirs, const DiffResult *ours)
{
    return memcmp(&theirs->end, &ours->end, sizeof(theirs->end)) || theirs->signal != ours->signal ||
           !same_fault(theirs, ours) || memcmp(theirs->data, ours->data, DATA_SIZE) ||
           memcmp(theirs->stack, ours->stack, STACK_SIZE);
}

/*
 * A vector load or store that faults may leave its registers and the bytes in front of the fault in any state between
 * old and new (DDI 0487, "Data Aborts
 * ... UNKNOWN"): the oracle has done the first elements, ours none. These registers and the end of the data page don't
 * count then.
 */
static void forget_half_done(unsigned isa, const DiffRequest *r, DiffResult *theirs, DiffResult *ours)
{
    uint64_t at = theirs->end.pc - r->start.pc;
    uint32_t insn;
    if (!isa_is_a64(isa) || theirs->signal != SIGSEGV || ours->signal != SIGSEGV || theirs->end.pc != ours->end.pc ||
        at + 4 > r->code_len)
        return;
    memcpy(&insn, r->code + at, 4);
    if (!isa_is_sve(isa) && !(insn >> 26 & 1))
        return;
    for (unsigned k = 0; k < 4; k++) {
        unsigned n = (insn + k) & 31;
        memcpy(theirs->end.v[n], ours->end.v[n], sizeof(ours->end.v[n]));
        memcpy(theirs->end.high[n], ours->end.high[n], sizeof(ours->end.high[n]));
    }
    memcpy(theirs->data + DATA_SIZE - 256, ours->data + DATA_SIZE - 256, 256);
}

typedef struct Run { uint64_t seed, count; unsigned isa; bool verbose, each; } Run;

/* Number of sequences that differ, at most MAX_REPORTS; -1: can't run. */
static int run_rows(const Run *run, const DiffIsa *isa);
static int run(const Run *run, const char *config)
{
    static DiffResult ours;
    const DiffIsa *isa = isas[run->isa];
    Error *err = NULL;
    int failures = 0;
    if (!ours_setup(isa, config, &err) || !oracle_start(isa, &err)) {
        printf("# %s: %s\n", config, err->message);
        return -1;
    }
    if (run->each)
        return run_rows(run, isa);
    DiffShared *shared = oracle_shared();
    uint64_t seed = run->seed;
    while (seed < run->seed + run->count && failures < MAX_REPORTS) {
        uint32_t units[MAX_UNITS + 1], count = (uint32_t)MIN(BATCH, run->seed + run->count - seed);
        unsigned unit_count;
        shared->count = count;
        shared->isa = run->isa;
        for (unsigned n = 0; n < count; n++)
            generate(&shared->request[n], isa, ours_features(isa), seed + n, units, &unit_count);
        if (run->verbose)
            disassemble(run->isa, &shared->request[0]);
        if (!oracle_run(&err)) {
            printf("# from seed %" PRIu64 ": %s\n", seed, err->message);
            return -1;
        }
        for (unsigned n = 0; n < count && failures < MAX_REPORTS; n++) {
            ours_run(run->isa, &shared->request[n], &ours);
            forget_half_done(run->isa, &shared->request[n], &shared->result[n], &ours);
            bool bad = differ(&shared->result[n], &ours);
            if (bad || run->verbose)
                report(run->isa, seed + n, &shared->request[n], &shared->result[n], &ours, run->verbose);
            failures += bad;
        }
        seed += count;
    }
    oracle_stop();
    printf("# %s %s: %" PRIu64 " sequences from seed %" PRIu64 ", %d failures\n", isa->name, config, seed - run->seed,
           run->seed, failures);
    return failures;
}

/* Row by row: which ones differ. */
static int run_rows(const Run *run, const DiffIsa *isa)
{
    static DiffResult ours;
    DiffShared *shared = oracle_shared();
    const char *name;
    int failures = 0;
    for (unsigned row = 0; generate_only(isa, ours_features(isa), row, &name); row++) {
        uint32_t units[MAX_UNITS + 1];
        unsigned unit_count, bad = 0;
        Error *err = NULL;
        shared->isa = run->isa;
        shared->count = (uint32_t)MIN(BATCH, run->count);
        for (unsigned n = 0; n < shared->count; n++)
            generate(&shared->request[n], isa, ours_features(isa), run->seed + n, units, &unit_count);
        if (!oracle_run(&err)) {
            printf("# %s: %s\n", name, err->message);
            return -1;
        }
        for (unsigned n = 0; n < shared->count && !bad; n++) {
            ours_run(run->isa, &shared->request[n], &ours);
            bad = differ(&shared->result[n], &ours);
            if (bad)
                printf("# %s: --only %s --seed %" PRIu64 " --one\n", name, name, run->seed + n);
        }
        failures += bad;
    }
    oracle_stop();
    return failures;
}

/* A process for each configuration: accelerators are set up once. */
static bool run_forked(const Run *r, const char *config)
{
    fflush(stdout);
    pid_t pid = fork();
    if (!pid) {
        int failures = run(r, config);
        fflush(stdout);
        _exit(failures != 0);
    }
    int status = 1;
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return false;
    if (WIFSIGNALED(status))
        printf("# %s: killed by signal %d\n", config, WTERMSIG(status));
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static unsigned isa_by_name(const char *name)
{
    for (unsigned n = 0; n < ISA_COUNT; n++) {
        if (isas[n] && !strcmp(isas[n]->name, name))
            return n;
    }
    fprintf(stderr, "arm-diff: no instruction set \"%s\"\n", name);
    exit(2);
}

static void set_log(const char *categories)
{
    uint32_t mask = 0;
    Error *err = NULL;
    if (log_parse_mask(categories, &mask, &err))
        log_set_mask(mask);
    else
        fprintf(stderr, "arm-diff: %s\n", err->message);
}

static bool oracle_present(const DiffIsa *isa)
{
    g_autofree char *program = g_find_program_in_path(isa->qemu[0]);
    return program != NULL;
}

int main(int argc, char **argv)
{
    Run r = { .seed = 20250101, .count = 1000, .isa = ISA_A64 };
    const char *config = NULL;
    bool one = false, list = false;
    for (int n = 1; n < argc; n++) {
        const char *value = n + 1 < argc ? argv[n + 1] : "";
        if (!strcmp(argv[n], "--count"))
            r.count = strtoull(value, NULL, 0), n++;
        else if (!strcmp(argv[n], "--seed"))
            r.seed = strtoull(value, NULL, 0), n++;
        else if (!strcmp(argv[n], "--config"))
            config = value, n++;
        else if (!strcmp(argv[n], "--only"))
            diff_only = value, n++;
        else if (!strcmp(argv[n], "--log"))
            set_log(value), n++;
        else if (!strcmp(argv[n], "--isa"))
            r.isa = isa_by_name(value), n++;
        else if (!strcmp(argv[n], "--one"))
            one = true;
        else if (!strcmp(argv[n], "--each"))
            r.each = true;
        else if (!strcmp(argv[n], "--list"))
            list = true;
    }
    if (list) {
        Error *err = NULL;
        if (ours_setup(isas[r.isa], "tcg", &err))
            generate_list(isas[r.isa], ours_features(isas[r.isa]));
        return 0;
    }
    if (!oracle_present(isas[r.isa])) {
        printf("1..0 # SKIP %s is not installed (package qemu-user)\n", isas[r.isa]->qemu[0]);
        return 0;
    }
    if (one) {
        r.count = 1, r.verbose = true;
        return run(&r, config ? config : configs[0].accel) != 0;
    }
    if (config)
        return run(&r, config) != 0;
    bool ok = true;
    printf("1..%zu\n# seed %" PRIu64 "\n", G_N_ELEMENTS(configs), r.seed);
    for (unsigned n = 0; n < G_N_ELEMENTS(configs); n++) {
        Run part = r;
        part.seed += n * r.count;
        part.count = MAX(r.count / configs[n].share, 1);
        bool passed = run_forked(&part, configs[n].accel);
        printf("%s %u arm-diff %s %s\n", passed ? "ok" : "not ok", n + 1, isas[r.isa]->name, configs[n].name);
        ok &= passed;
    }
    return !ok;
}
