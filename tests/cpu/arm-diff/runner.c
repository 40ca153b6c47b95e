/* SPDX-License-Identifier: MIT */
/* Arm-diff: runs sequences natively, in an Arm Linux process (under qemu-user). Static, for AArch64 and for AArch32.
 *
 *   runner FILE        FILE holds a DiffShared; each byte on stdin asks for a batch, each byte on stdout says that it
 * is done
 *
 * A sequence starts by the return from a signal handler that has put the state into the signal frame, and ends in the
 * handler of its fault.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>
#include "tests/cpu/arm-diff/proto.h"

static DiffShared *shared;
static const DiffRequest *request;
static DiffResult *result;
static ucontext_t main_context;
static unsigned char saved_frame[4096];

#ifdef __aarch64__
#include <asm/sigcontext.h>

static struct fpsimd_context *fp_of(ucontext_t *uc)
{
    unsigned char *at = uc->uc_mcontext.__reserved;
    for (;;) {
        struct _aarch64_ctx *c = (struct _aarch64_ctx *)at;
        if (c->magic == FPSIMD_MAGIC)
            return (struct fpsimd_context *)c;
        if (!c->magic || !c->size)
            return NULL;
        at += c->size;
    }
}

static unsigned char *sve_of(ucontext_t *uc)
{
    unsigned char *at = uc->uc_mcontext.__reserved;
    for (;;) {
        struct _aarch64_ctx *c = (struct _aarch64_ctx *)at;
        if (c->magic == SVE_MAGIC)
            return c->size > sizeof(struct sve_context) ? at : NULL;
        if (!c->magic || !c->size)
            return NULL;
        at += c->size;
    }
}

/* Z registers' upper parts, P registers and FFR, between the frame and the state. */
static void copy_sve(ucontext_t *uc, DiffState *s, int get)
{
    unsigned char *sve = isa_is_sve(shared->isa) ? sve_of(uc) : NULL;
    if (!sve)
        return;
    unsigned vq = ((struct sve_context *)sve)->vl / 16;
    for (unsigned n = 0; n < 32; n++) {
        unsigned char *z = sve + SVE_SIG_ZREG_OFFSET(vq, n);
        if (get)
            memcpy(s->high[n], z + 16, 16 * (vq - 1));
        else
            memcpy(z, s->v[n], 16), memcpy(z + 16, s->high[n], 16 * (vq - 1));
    }
    for (unsigned n = 0; n < 17; n++) {
        unsigned char *p = n < 16 ? sve + SVE_SIG_PREG_OFFSET(vq, n) : sve + SVE_SIG_FFR_OFFSET(vq);
        uint64_t *value = n < 16 ? &s->p[n] : &s->ffr;
        memcpy(get ? (void *)value : p, get ? p : (void *)value, 2 * vq);
    }
}

static void get_state(ucontext_t *uc, DiffState *s)
{
    memset(s, 0, sizeof(*s));
    memcpy(s->r, uc->uc_mcontext.regs, sizeof(uc->uc_mcontext.regs));
    s->r[31] = uc->uc_mcontext.sp;
    s->pc = uc->uc_mcontext.pc;
    s->flags = uc->uc_mcontext.pstate & 0xf0000000;
    struct fpsimd_context *fp = fp_of(uc);
    s->fpcr = fp->fpcr, s->fpsr = fp->fpsr;
    memcpy(s->v, fp->vregs, sizeof(s->v));
    copy_sve(uc, s, 1);
}

static void put_state(ucontext_t *uc, const DiffState *s)
{
    memcpy(uc->uc_mcontext.regs, s->r, sizeof(uc->uc_mcontext.regs));
    uc->uc_mcontext.sp = s->r[31];
    uc->uc_mcontext.pc = s->pc;
    uc->uc_mcontext.pstate = (uc->uc_mcontext.pstate & ~0xf0000c00ul) | (s->flags & 0xf0000000);
    struct fpsimd_context *fp = fp_of(uc);
    fp->fpcr = s->fpcr, fp->fpsr = s->fpsr;
    memcpy(fp->vregs, s->v, sizeof(s->v));
    copy_sve(uc, (DiffState *)s, 0);
}

static void save_main(ucontext_t *uc)
{
    main_context = *uc;
    memcpy(saved_frame, uc->uc_mcontext.__reserved, sizeof(saved_frame));
}
static void restore_main(ucontext_t *uc)
{
    memcpy(&uc->uc_mcontext, &main_context.uc_mcontext, offsetof(mcontext_t, __reserved));
    memcpy(uc->uc_mcontext.__reserved, saved_frame, sizeof(saved_frame));
    uc->uc_sigmask = main_context.uc_sigmask;
}
#else
enum { VFP_FRAME_MAGIC = 0x56465001 };
typedef struct VfpFrame { uint32_t magic, size; uint64_t d[32]; uint32_t fpscr; } __attribute__((packed)) VfpFrame;
enum { FLAG_BITS = (int)0xf80f0020, IT_BITS = 0x0600fc00 };

static VfpFrame *fp_of(ucontext_t *uc) { return (VfpFrame *)uc->uc_regspace; }

static void get_state(ucontext_t *uc, DiffState *s)
{
    memset(s, 0, sizeof(*s));
    const unsigned long *r = &uc->uc_mcontext.arm_r0;
    for (unsigned n = 0; n < 15; n++)
        s->r[n] = r[n];
    s->pc = uc->uc_mcontext.arm_pc;
    s->flags = uc->uc_mcontext.arm_cpsr & (FLAG_BITS | IT_BITS);
    VfpFrame *fp = fp_of(uc);
    if (fp->magic == VFP_FRAME_MAGIC) {
        memcpy(s->v, fp->d, sizeof(fp->d));
        s->fpcr = fp->fpscr;
    }
}

static void put_state(ucontext_t *uc, const DiffState *s)
{
    unsigned long *r = &uc->uc_mcontext.arm_r0;
    for (unsigned n = 0; n < 15; n++)
        r[n] = s->r[n];
    uc->uc_mcontext.arm_pc = s->pc;
    uc->uc_mcontext.arm_cpsr = (uc->uc_mcontext.arm_cpsr & ~(FLAG_BITS | IT_BITS)) | (s->flags & (FLAG_BITS | IT_BITS));
    VfpFrame *fp = fp_of(uc);
    if (fp->magic == VFP_FRAME_MAGIC) {
        memcpy(fp->d, s->v, sizeof(fp->d));
        fp->fpscr = s->fpcr;
    }
}

static void save_main(ucontext_t *uc)
{
    main_context = *uc;
    memcpy(saved_frame, uc->uc_regspace, sizeof(uc->uc_regspace));
}
static void restore_main(ucontext_t *uc)
{
    uc->uc_mcontext = main_context.uc_mcontext;
    memcpy(uc->uc_regspace, saved_frame, sizeof(uc->uc_regspace));
    uc->uc_sigmask = main_context.uc_sigmask;
}
#endif

static void on_start(int sig, siginfo_t *info, void *context)
{
    save_main(context);
    put_state(context, &request->start);
}

static void on_end(int sig, siginfo_t *info, void *context)
{
    if (!result)
        _exit(100 + sig);
    get_state(context, &result->end);
    result->signal = (uint32_t)sig;
    result->fault = sig == SIGSEGV || sig == SIGBUS ? (uintptr_t)info->si_addr : 0;
    restore_main(context);
}

static void map(unsigned long base, unsigned long size, int protection)
{
    if (mmap((void *)base, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED) {
        perror("mmap");
        _exit(1);
    }
}

static void handle(int sig, void (*handler)(int, siginfo_t *, void *))
{
    struct sigaction a = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK };
    sigfillset(&a.sa_mask);
    sigaction(sig, &a, NULL);
}

static void run(unsigned n)
{
    static uint32_t last_len;
    request = &shared->request[n];
    result = &shared->result[n];
    uint32_t words = last_len > request->code_len ? last_len : request->code_len;
    uint32_t *code = (uint32_t *)CODE_BASE;
    memcpy(code, request->code, request->code_len);
    for (uint32_t k = (request->code_len + 3) / 4; k < words / 4 + 16; k++)
        code[k] = request->filler;
    last_len = request->code_len;
    __builtin___clear_cache((char *)CODE_BASE, (char *)CODE_BASE + words + 64);
    diff_fill((void *)DATA_BASE, DATA_SIZE, request->data_seed);
    diff_fill((void *)STACK_BASE, STACK_SIZE, request->data_seed + 1);
    raise(SIGUSR1);
    memcpy(result->data, (void *)DATA_BASE, DATA_SIZE);
    memcpy(result->stack, (void *)STACK_BASE, STACK_SIZE);
}

int main(int argc, char **argv)
{
    int fd = argc == 2 ? open(argv[1], O_RDWR) : -1;
    if (fd < 0)
        return 2;
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    static unsigned char stack[262144] __attribute__((aligned(16)));
    stack_t alternative = { .ss_sp = stack, .ss_size = sizeof(stack) };
    sigaltstack(&alternative, NULL);
    handle(SIGUSR1, on_start);
    const int ends[] = { SIGILL, SIGSEGV, SIGBUS, SIGTRAP, SIGFPE };
    for (unsigned n = 0; n < sizeof(ends) / sizeof(ends[0]); n++)
        handle(ends[n], on_end);
    map(CODE_BASE, CODE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC);
    map(DATA_BASE, DATA_SIZE, PROT_READ | PROT_WRITE);
    map(STACK_BASE, STACK_SIZE, PROT_READ | PROT_WRITE);
    map(RO_BASE, RO_SIZE, PROT_READ | PROT_WRITE);
    diff_fill((void *)RO_BASE, RO_SIZE, 7);
    mprotect((void *)RO_BASE, RO_SIZE, PROT_READ);
    for (uint32_t *p = (uint32_t *)CODE_BASE; p < (uint32_t *)(CODE_BASE + CODE_SIZE); p++)
        *p = 0;
    char byte;
    while (read(0, &byte, 1) == 1) {
        for (unsigned n = 0; n < shared->count && n < BATCH; n++)
            run(n);
        if (write(1, &byte, 1) != 1)
            return 1;
    }
    return 0;
}
