/* SPDX-License-Identifier: MIT */
/* arm-diff32: runs sequences from standard input and writes outcomes; an Arm program for qemu-arm. Everything happens
 * in one signal handler: a sequence ends with a signal, whose frame is the outcome and becomes the start of the next
 * sequence. ARMv5 code without a C library, so that it runs on every CPU model. An argument: the CPU has CLREX. */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>
#include "proto.h"

enum { VFP_MAGIC = 0x56465001 };
typedef struct VfpFrame { uint32_t magic, size; uint64_t d[32]; uint32_t fpscr; } VfpFrame;

static DiffSequence sequence;
static DiffOutcome outcome;
static int started, has_clrex;
void begin(const long *sp);
void *memcpy(void *to, const void *from, size_t n);

/* --- the kernel's calls --- */
enum {
    NR_EXIT = 1,
    NR_READ = 3,
    NR_WRITE = 4,
    NR_RT_SIGACTION = 174,
    NR_SIGALTSTACK = 186,
    NR_MMAP2 = 192,
    NR_CACHEFLUSH = 0xf0002,
    RESTORER = 0x04000000
};

static long call(long number, long a0, long a1, long a2, long a3)
{
    register long r7 __asm__("r7") = number, r0 __asm__("r0") = a0, r1 __asm__("r1") = a1, r2 __asm__("r2") = a2,
                     r3 __asm__("r3") = a3;
    register long r4 __asm__("r4") = -1, r5 __asm__("r5") = 0;
    __asm__ volatile("svc 0" : "+r"(r0) : "r"(r1), "r"(r2), "r"(r3), "r"(r4), "r"(r5), "r"(r7) : "memory");
    return r0;
}

/* rt_sigreturn */
__asm__(".globl _start\n_start: mov r0, sp\n bl begin\n.globl go_back\ngo_back: mov r7, #173\n svc 0\n");
void go_back(void);

void *memcpy(void *to, const void *from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ((volatile char *)to)[i] = ((const char *)from)[i];
    return to;
}

static void all(long number, int fd, void *buf, unsigned len)
{
    for (unsigned done = 0; done < len;) {
        long n = call(number, fd, (long)buf + (long)done, (long)(len - done), 0);
        if (n <= 0)
            call(NR_EXIT, 0, 0, 0, 0);
        done += (unsigned)n;
    }
}

static void handler(int sig, siginfo_t *info, void *context)
{
    ucontext_t *u = context;
    unsigned long *r = &u->uc_mcontext.arm_r0;
    VfpFrame *f = (VfpFrame *)u->uc_regspace;
    if (started) {
        outcome.signal = (uint32_t)sig;
        for (unsigned n = 0; n < 16; n++)
            outcome.end.r[n] = r[n];
        outcome.end.cpsr = u->uc_mcontext.arm_cpsr;
        memcpy(outcome.end.d, f->d, sizeof f->d);
        outcome.end.fpscr = f->fpscr;
        memcpy(outcome.data, (void *)DIFF_DATA, DIFF_DATA_SIZE);
        all(NR_WRITE, 1, &outcome, sizeof outcome);
    }
    started = 1;
    if (has_clrex)
        __asm__ volatile(".arch armv7-a\n clrex\n .arch armv5te");
    all(NR_READ, 0, &sequence, sizeof sequence);
    memcpy((void *)(DIFF_CODE + DIFF_START), sequence.code, sizeof sequence.code);
    call(NR_CACHEFLUSH, DIFF_CODE, DIFF_CODE + 0x1000, 0, 0);
    memcpy((void *)DIFF_DATA, sequence.data, DIFF_DATA_SIZE);
    for (unsigned n = 0; n < 15; n++)
        r[n] = sequence.start.r[n];
    u->uc_mcontext.arm_pc = DIFF_CODE + DIFF_START;
    u->uc_mcontext.arm_cpsr = 0x10 | (sequence.start.cpsr & 0xf80f0000) | (sequence.t32 ? 0x20 : 0);
    f->magic = VFP_MAGIC;
    memcpy(f->d, sequence.start.d, sizeof f->d);
    f->fpscr = sequence.start.fpscr;
}

void begin(const long *sp) /* the argument count, and the arguments */
{
    static char stack[65536];
    stack_t alt = { .ss_sp = stack, .ss_size = sizeof stack };
    struct {
        void (*handler)(int, siginfo_t *, void *);
        unsigned long flags;
        void (*restorer)(void);
        unsigned mask[2];
    } action = { handler, SA_SIGINFO | SA_ONSTACK | RESTORER, go_back, { ~0u, ~0u } };
    has_clrex = sp[0] > 1;
    call(NR_SIGALTSTACK, (long)&alt, 0, 0, 0);
    call(NR_MMAP2, DIFF_CODE, 0x1000, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED);
    call(NR_MMAP2, DIFF_DATA, 0x1000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED);
    static const int signals[] = { SIGILL, SIGSEGV, SIGBUS, SIGTRAP, SIGFPE };
    for (unsigned n = 0; n < 5; n++)
        call(NR_RT_SIGACTION, signals[n], (long)&action, 0, sizeof action.mask);
    __asm__ volatile("udf #0");
}
