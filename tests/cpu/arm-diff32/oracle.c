/* SPDX-License-Identifier: MIT */
/* arm-diff32: runs sequences from standard input and writes outcomes; an Arm program for qemu-arm. Everything happens in one signal
 * handler: a sequence ends with a signal, whose frame is the outcome and becomes the start of the next sequence. */
#define _GNU_SOURCE
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>
#include "proto.h"

enum { VFP_MAGIC = 0x56465001 };
typedef struct VfpFrame { uint32_t magic, size; uint64_t d[32]; uint32_t fpscr; } VfpFrame;

static DiffSequence sequence;
static DiffOutcome outcome;
static int started;

static void all(int (*move)(int, void *, unsigned), int fd, void *buf, unsigned len)
{
    for (unsigned done = 0; done < len;) {
        int n = move(fd, (char *)buf + done, len - done);
        if (n <= 0)
            _exit(0);
        done += (unsigned)n;
    }
}

static int do_read(int fd, void *buf, unsigned len) { return (int)read(fd, buf, len); }
static int do_write(int fd, void *buf, unsigned len) { return (int)write(fd, buf, len); }

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
        all(do_write, 1, &outcome, sizeof outcome);
    }
    started = 1;
    __asm__ volatile("clrex");
    all(do_read, 0, &sequence, sizeof sequence);
    memcpy((void *)(DIFF_CODE + DIFF_START), sequence.code, sizeof sequence.code);
    __builtin___clear_cache((char *)DIFF_CODE, (char *)DIFF_CODE + 0x1000);
    memcpy((void *)DIFF_DATA, sequence.data, DIFF_DATA_SIZE);
    for (unsigned n = 0; n < 15; n++)
        r[n] = sequence.start.r[n];
    u->uc_mcontext.arm_pc = DIFF_CODE + DIFF_START;
    u->uc_mcontext.arm_cpsr = 0x10 | (sequence.start.cpsr & 0xf80f0000) | (sequence.t32 ? 0x20 : 0);
    f->magic = VFP_MAGIC;
    memcpy(f->d, sequence.start.d, sizeof f->d);
    f->fpscr = sequence.start.fpscr;
}

int main(void)
{
    static char stack[65536];
    stack_t alt = { .ss_sp = stack, .ss_size = sizeof stack };
    struct sigaction a = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK };
    sigfillset(&a.sa_mask);
    sigaltstack(&alt, 0);
    mmap((void *)DIFF_CODE, 0x1000, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    mmap((void *)DIFF_DATA, 0x1000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    int signals[] = { SIGILL, SIGSEGV, SIGBUS, SIGTRAP, SIGFPE };
    for (unsigned n = 0; n < 5; n++)
        sigaction(signals[n], &a, 0);
    __builtin_trap();
}
