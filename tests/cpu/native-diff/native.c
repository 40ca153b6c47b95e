/* SPDX-License-Identifier: MIT */
/* Native-diff: a sequence on the host CPU. Signal returns load and store the whole register state. */
#include "tests/cpu/native-diff/native-diff.h"
#include <asm/ldt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

const Area areas[AREA_COUNT] = {
    [AREA_CODE] = { "code", CODE_BASE, CODE_SIZE, false, true },
    [AREA_DATA] = { "data", DATA_BASE, DATA_SIZE, true, false },
    [AREA_RO] = { "read-only data", RO_BASE, RO_SIZE, false, false },
    [AREA_STACK] = { "stack", STACK_BASE, STACK_SIZE, true, false },
    [AREA_COUNTER] = { "counters", COUNTER_BASE, COUNTER_SIZE, true, false },
};

enum { LDT = 4, USER = 3 };
static const Segments flat64 = { { 0, ~0u, 0x33 }, { 0, ~0u, 0x2b }, { 0, ~0u, 0x2b } };
static const Segments flat32 = { { 0, ~0u, 0x23 }, { 0, ~0u, 0x2b }, { 0, ~0u, 0x2b } };
static const Segments based16 = { { CODE_BASE, 0xffff, 0 << 3 | LDT | USER },
                                  { DATA_BASE - 0x4000, 0x7fff, 1 << 3 | LDT | USER },
                                  { STACK_BASE - 0x1000, 0x2fff, 2 << 3 | LDT | USER } };
static bool has_ldt;

const Segments *segments_of(unsigned bits) { return bits == 64 ? &flat64 : bits == 32 ? &flat32 : &based16; }
bool native_has(unsigned bits) { return bits != 16 || has_ldt; }

static bool make_ldt_entry(unsigned n, const Segment *s, bool code)
{
    struct user_desc d = { .entry_number = n, .base_addr = s->base, .limit = s->limit, .contents = code ? 2 : 0 };
    return syscall(SYS_modify_ldt, 1, &d, sizeof(d)) == 0;
}

static uint8_t *code_rw; /* second view of the code pages */
static ucontext_t home;  /* where a run was started from */
/* Volatile: raise() is declared not to come back here. */
static const Sequence *volatile to_load;
static Outcome *volatile to_fill;
static uint8_t home_fp[512] __attribute__((aligned(16)));

static const int greg_of[16] = { REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                 REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15 };

/*
 * The XSAVE header behind the FXSAVE image of a signal frame: which parts are not in their initial state (SDM vol. 1,
 * 13.4.2).
 */
static uint64_t *xstate_bv(ucontext_t *u)
{
    uint8_t *fx = (uint8_t *)u->uc_mcontext.fpregs;
    return load_le32(fx + 464) == 0x46505853 /* FP_XSTATE_MAGIC1 */ ? (uint64_t *)(fx + 512) : NULL;
}

/* SIGUSR1: leave the signal into the sequence. */
static void enter(int sig, siginfo_t *info, void *opaque)
{
    ucontext_t *u = opaque;
    home = *u;
    memcpy(home_fp, u->uc_mcontext.fpregs, sizeof(home_fp));
    for (unsigned r = 0; r < 16; r++)
        u->uc_mcontext.gregs[greg_of[r]] = to_load->start.gpr[r];
    u->uc_mcontext.gregs[REG_RIP] = to_load->start.rip;
    u->uc_mcontext.gregs[REG_EFL] = to_load->start.rflags;
    const Segments *seg = segments_of(to_load->bits);
    uint64_t fs_gs = u->uc_mcontext.gregs[REG_CSGSFS] & 0x0000ffffffff0000;
    u->uc_mcontext.gregs[REG_CSGSFS] = fs_gs | seg->cs.sel | (uint64_t)seg->ss.sel << 48;
    memcpy(u->uc_mcontext.fpregs, to_load->start.fx, sizeof(to_load->start.fx));
    if (xstate_bv(u))
        *xstate_bv(u) |= 3;
}

/* A fault: take the state, go home. */
static void leave(int sig, siginfo_t *info, void *opaque)
{
    ucontext_t *u = opaque;
    if (!to_fill || u->uc_mcontext.gregs[REG_TRAPNO] > 31) {
        dprintf(STDOUT_FILENO, "# a fault of the test itself: signal %d, trap %lld at %llx, address %llx\n", sig,
                (long long)u->uc_mcontext.gregs[REG_TRAPNO], (long long)u->uc_mcontext.gregs[REG_RIP],
                (long long)u->uc_mcontext.gregs[REG_CR2]);
        signal(sig, SIG_DFL);
        return;
    }
    Outcome *o = to_fill;
    to_fill = NULL;
    for (unsigned r = 0; r < 16; r++)
        o->s.gpr[r] = u->uc_mcontext.gregs[greg_of[r]];
    o->s.rip = u->uc_mcontext.gregs[REG_RIP];
    o->s.rflags = u->uc_mcontext.gregs[REG_EFL];
    o->vector = u->uc_mcontext.gregs[REG_TRAPNO];
    o->cr2 = u->uc_mcontext.gregs[REG_CR2];
    memcpy(o->s.fx, u->uc_mcontext.fpregs, sizeof(o->s.fx));
    if (xstate_bv(u) && !(*xstate_bv(u) & 1)) {
        memset(o->s.fx, 0, 24), memset(o->s.fx + 32, 0, 128);
        store_le16(o->s.fx, 0x37f);
    }
    if (xstate_bv(u) && !(*xstate_bv(u) & 2))
        memset(o->s.fx + FX_XMM, 0, 256);
    for (unsigned r = 0; r < NGREG; r++)
        u->uc_mcontext.gregs[r] = home.uc_mcontext.gregs[r];
    memcpy(u->uc_mcontext.fpregs, home_fp, sizeof(home_fp));
}

static void map_area(const Area *a)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
    void *at = (void *)(uintptr_t)a->base;
    if (a->executable) {
        int fd = memfd_create("native-diff code", 0);
        g_assert(fd >= 0 && !ftruncate(fd, a->size));
        code_rw = mmap(NULL, a->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        g_assert(code_rw != MAP_FAILED);
        g_assert(mmap(at, a->size, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0) == at);
        return;
    }
    g_assert(mmap(at, a->size, PROT_READ | PROT_WRITE, flags, -1, 0) == at);
    if (!a->writable) {
        for (unsigned n = 0; n < a->size; n++)
            ((uint8_t *)at)[n] = n * 37;
        g_assert(!mprotect(at, a->size, PROT_READ));
    }
}

void native_setup(void)
{
    has_ldt = make_ldt_entry(0, &based16.cs, true) && make_ldt_entry(1, &based16.ds, false) &&
              make_ldt_entry(2, &based16.ss, false);
    for (unsigned n = 0; n < AREA_COUNT; n++)
        map_area(&areas[n]);
    stack_t ss = { .ss_size = 1 << 16 }; /* mapped: AddressSanitizer unmaps it when the thread ends */
    ss.ss_sp = mmap(NULL, ss.ss_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    g_assert(ss.ss_sp != MAP_FAILED);
    g_assert(!sigaltstack(&ss, NULL));
    struct sigaction sa = { .sa_sigaction = enter, .sa_flags = SA_SIGINFO | SA_ONSTACK };
    sigfillset(&sa.sa_mask);
    g_assert(!sigaction(SIGUSR1, &sa, NULL));
    sa.sa_sigaction = leave;
    static const int faults[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP };
    for (unsigned n = 0; n < ARRAY_LEN(faults); n++)
        g_assert(!sigaction(faults[n], &sa, NULL));
}

void native_run(const Sequence *s, Outcome *out)
{
    memset(code_rw, 0xcc, CODE_SIZE);
    memcpy(code_rw + (s->code_start - CODE_BASE), s->code, s->code_len);
    memcpy((void *)(uintptr_t)DATA_BASE, s->data, DATA_SIZE);
    memcpy((void *)(uintptr_t)STACK_BASE, s->stack, STACK_SIZE);
    memset((void *)(uintptr_t)COUNTER_BASE, 0, sizeof(out->counter));
    uint32_t data_sel = segments_of(s->bits)->ds.sel;
    __asm__ volatile("mov %0, %%ds\n\tmov %0, %%es" : : "r"(data_sel)); /* 64-bit code does not look at them */
    to_load = s;
    to_fill = out;
    raise(SIGUSR1);
    g_assert(!to_fill);
    memcpy(out->data, (void *)(uintptr_t)DATA_BASE, DATA_SIZE);
    memcpy(out->stack, (void *)(uintptr_t)STACK_BASE, STACK_SIZE);
    memcpy(out->counter, (void *)(uintptr_t)COUNTER_BASE, sizeof(out->counter));
}
