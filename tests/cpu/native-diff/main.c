/* SPDX-License-Identifier: MIT */
/* Native-diff: the comparison. Arguments: none (a few thousand sequences per configuration, TAP), or
 *   --count N  --seed S  --config TEXT (accelerator and options)  --only MNEMONIC  --bits 16|32|64  --one (print the
 * sequence of --seed and its outcomes) */
#include "tests/cpu/native-diff/native-diff.h"
#include <capstone/capstone.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct Run {
    uint64_t seed, left;
    unsigned failures;
    Outcome native;
    unsigned bits;       /* 0: mixed */
    bool verbose;
} Run;

static const char *const reg_names[16] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                           "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15" };

static void disassemble(const Sequence *s)
{
    csh cs;
    cs_insn *insn = NULL;
    if (cs_open(CS_ARCH_X86, s->bits == 64 ? CS_MODE_64 : s->bits == 32 ? CS_MODE_32 : CS_MODE_16, &cs) != CS_ERR_OK)
        return;
    for (unsigned at = 0; at < s->code_len;) {
        size_t n = cs_disasm(cs, s->code + at, s->code_len - at, s->start.rip + at, 1, &insn);
        unsigned len = n ? insn->size : 1;
        printf("#   %" G_GINT64_MODIFIER "x: ", s->code_start + at);
        for (unsigned k = 0; k < len; k++)
            printf("%02x", s->code[at + k]);
        printf("  %s %s\n", n ? insn->mnemonic : ".byte", n ? insn->op_str : "");
        if (n)
            cs_free(insn, n);
        at += len;
    }
    cs_close(&cs);
}

/* Flags that count: all but those undefined where the sequence stopped. */
static uint64_t flags_mask(const Sequence *s, uint64_t rip)
{
    uint32_t undefined = 0;
    for (unsigned n = 0; n < s->units && s->unit[n].pc <= rip; n++)
        undefined = s->unit[n].undefined;
    return (FLAG_ALL | EFL_DF) & ~(uint64_t)undefined;
}

static bool differ(FILE *out, const Sequence *s, const Outcome *n, const Outcome *t)
{
    bool bad = false;
#define DIFF(...) do { if (out) fprintf(out, __VA_ARGS__); bad = true; } while (0)
    for (unsigned r = 0; r < 16; r++) {
        uint64_t mask = s->bits == 64 || r != RSP ? ~UINT64_C(0) : 0xffffffff; /* the kernel leaves rubbish above ESP */
        if ((n->s.gpr[r] ^ t->s.gpr[r]) & mask)
            DIFF("#   %s: native %016lx translated %016lx\n", reg_names[r], n->s.gpr[r], t->s.gpr[r]);
    }
    if (n->s.rip != t->s.rip)
        DIFF("#   rip: native %lx translated %lx\n", n->s.rip, t->s.rip);
    uint64_t mask = flags_mask(s, n->s.rip);
    if ((n->s.rflags ^ t->s.rflags) & mask)
        DIFF("#   flags: native %lx translated %lx mask %lx\n", n->s.rflags, t->s.rflags, mask);
    bool stack_or_general = (n->vector == X86_SS || n->vector == X86_GP) &&
                            (t->vector == X86_SS || t->vector == X86_GP);
    if (n->vector != t->vector && !(s->fp && stack_or_general)) /* a misaligned operand beyond SS's limit: #GP or #SS */
        DIFF("#   exception: native %u translated %u\n", n->vector, t->vector);
    else if (n->vector == X86_PF && n->cr2 != t->cr2)
        DIFF("#   cr2: native %lx translated %lx\n", n->cr2, t->cr2);
    for (unsigned k = 0; k < DATA_SIZE; k++) {
        if (n->data[k] != t->data[k])
            DIFF("#   [%x]: before %02x native %02x translated %02x\n", DATA_BASE + k, s->data[k], n->data[k],
                 t->data[k]);
    }
    for (unsigned k = 0; k < STACK_SIZE; k++) {
        if (n->stack[k] != t->stack[k])
            DIFF("#   [%x]: before %02x native %02x translated %02x\n", STACK_BASE + k, s->stack[k], n->stack[k],
                 t->stack[k]);
    }
    if (s->fp) {
        for (unsigned k = 0; k < sizeof(n->s.fx); k++) {
            bool compared = k < 5 || (k >= FX_MXCSR && k < FX_MXCSR + 4) || k >= FX_XMM || (k >= 32 && (k & 15) < 10);
            if (compared && n->s.fx[k] != t->s.fx[k])
                DIFF("#   fx[%u]: native %02x translated %02x\n", k, n->s.fx[k], t->s.fx[k]);
        }
    }
#undef DIFF
    return bad;
}

static void report(const Sequence *s, const Outcome *n, const Outcome *t)
{
    printf("# seed %lu, %u-bit code: %u units\n", s->seed, s->bits, s->units);
    for (unsigned r = 0; r < 16; r++)
        printf("#   start %s %016lx\n", reg_names[r], s->start.gpr[r]);
    printf("#   start flags %lx\n", s->start.rflags);
    disassemble(s);
    printf("#   native ends: exception %u at %lx\n", n->vector, n->s.rip);
    differ(stdout, s, n, t);
    fflush(stdout);
}

/* --- the two sides, in one thread --- */
enum { MAX_REPORTS = 3 };

static bool next(Sequence *s, void *opaque)
{
    Run *r = opaque;
    if (!r->left || r->failures >= MAX_REPORTS)
        return false;
    r->left--;
    unsigned bits = r->bits ? r->bits : (const unsigned[]){ 64, 64, 32, 64, 32, 16, 64, 32 }[r->seed % 8];
    generate(s, r->seed++, native_has(bits) ? bits : 64);
    native_run(s, &r->native);
    return true;
}

static void done(const Sequence *s, const Outcome *out, void *opaque)
{
    Run *r = opaque;
    if (differ(NULL, s, &r->native, out)) {
        r->failures++;
        report(s, &r->native, out);
    } else if (r->verbose) {
        report(s, &r->native, out);
    }
}

static bool thread_next(Sequence *s, void *opaque)
{
    static _Thread_local bool ready;
    if (!ready)
        native_setup(); /* the signal stack is this thread's */
    ready = true;
    return next(s, opaque);
}

static unsigned only_bits;
static Mix mix = MIX_INTEGER;

static unsigned run_here(const char *config, uint64_t seed, uint64_t count, bool verbose)
{
    Error *err = NULL;
    Run r = { .seed = seed, .left = count, .bits = only_bits, .verbose = verbose };
    Driver d = { thread_next, done, &r };
    generate_setup(mix);
    if (!translated_run(config, &d, &err)) {
        printf("# %s: %s\n", config, err->message);
        return 1;
    }
    printf("# %s: %lu sequences from seed %lu, %u failures\n", config, r.seed - seed, seed, r.failures);
    return r.failures;
}

/* A process for each configuration: accelerators are set up once. Its exit status. */
static int run_forked(const char *config, uint64_t seed, uint64_t count)
{
    fflush(stdout);
    pid_t pid = fork();
    if (!pid) {
        unsigned failures = run_here(config, seed, count, false);
        fflush(stdout);
        _exit(failures != 0);
    }
    int status = 1;
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return 1;
    if (WIFSIGNALED(status))
        printf("# %s: killed by signal %d\n", config, WTERMSIG(status));
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

/* share: 1/share of the count; kicks: another thread asks the vCPU to leave generated code all the time. */
static const struct { const char *name, *accel; unsigned share; bool kicks; } configs[] = {
    { "jit", "tcg,backend=jit", 1 },
    { "interp", "tcg,backend=interp", 1 },
    { "jit-one-insn", "tcg,backend=jit,one-insn-per-tb=on", 2 },
    { "jit-plain", "tcg,backend=jit,opt-flags=off,opt-coalesce=off", 2 },
    { "jit-tlb-1", "tcg,backend=jit,tlb-size=1", 4 },
    { "jit-evict", "tcg,backend=jit,evict-every=7,opt-link=off,opt-jump-cache=off", 4 },
    { "jit-kicked", "tcg,backend=jit", 2, true },
    { "interp-kicked", "tcg,backend=interp", 4, true },
};

int main(int argc, char **argv)
{
    uint64_t seed = 20240601, count = 1500;
    const char *config = NULL;
    bool one = false;
    for (int n = 1; n < argc; n++) {
        if (!strcmp(argv[n], "--count") && n + 1 < argc)
            count = strtoull(argv[++n], NULL, 0);
        else if (!strcmp(argv[n], "--seed") && n + 1 < argc)
            seed = strtoull(argv[++n], NULL, 0);
        else if (!strcmp(argv[n], "--config") && n + 1 < argc)
            config = argv[++n];
        else if (!strcmp(argv[n], "--only") && n + 1 < argc)
            generate_only = argv[++n];
        else if (!strcmp(argv[n], "--bits") && n + 1 < argc)
            only_bits = atoi(argv[++n]);
        else if (!strcmp(argv[n], "--fp"))
            mix = MIX_FP;
        else if (!strcmp(argv[n], "--all"))
            mix = MIX_ALL;
        else if (!strcmp(argv[n], "--one"))
            one = true;
    }
    if (one)
        return run_here(config ? config : configs[0].accel, seed, 1, true) != 0;
    if (config)
        return run_here(config, seed, count, false) != 0;
    bool ok = true;
    printf("1..%zu\n# seed %lu\n", ARRAY_LEN(configs), seed);
    for (unsigned n = 0; n < ARRAY_LEN(configs); n++) {
        translated_kicks = configs[n].kicks;
        int status = run_forked(configs[n].accel, seed + n * count, count / configs[n].share);
        bool passed = status == 0;
        printf("%s %u native-diff %s\n", passed ? "ok" : "not ok", n + 1, configs[n].name);
        ok &= passed;
    }
    return !ok;
}
