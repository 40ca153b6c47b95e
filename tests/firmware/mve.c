/* SPDX-License-Identifier: MIT */
/*
 * Runs the instruction sequences of mve-code.S (made by mve-diff) from made-up states; the states after them go into
 * the file NAME.
 */
#include "fw.h"

enum { SLOT = 32 };

/* What a sequence starts with and what it leaves. */
typedef struct State {
    uint32_t r[13], lr, apsr, fpscr, vpr, fault;
    uint32_t q[8][4];
    uint32_t mem[64];
} State;

extern const uint8_t sequences[], sequences_end[];
extern const uint32_t pointers; /* all core registers point into mem: the words are random ones */
void run_one(State *s, uint32_t code);
void run_end(void);

static State state;
static uint64_t seed;
static volatile uint32_t fault;

static uint32_t rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 16);
}

static uint32_t value(void)
{
    static const uint32_t some[] = { 0,          1,          0xffffffff, 0x80000000, 0x7fffffff, 0x80008000, 0x7fff7fff,
                                     0x80808080, 0x7f7f7f7f, 0x3f800000, 0xbf800000, 0x7f800000, 0xff800000, 0x7fc00000,
                                     0x7f800001, 0x00000001, 0x007fffff, 0x00800000, 0x7f7fffff, 0x4f000000, 0xcf000000,
                                     0x3c003c00, 0xbc007c00, 0xfc007e00, 0x7c010001, 0x03ff0400, 0x7bff4248, 0x3f000000,
                                     0x4b000001, 0x41234567, 0x00ff00ff, 0x01010101 };
    uint32_t k = rnd() % 8;
    if (k < 4)
        return rnd();
    if (k == 4)
        return 0x3f000000 + (rnd() & 0x81ffffff);
    if (k == 5)
        return 0x3c003800 + (rnd() & 0x83ff83ff);
    return k == 6 ? rnd() >> (rnd() & 31) : some[rnd() % 32];
}

static void make(uint32_t n)
{
    seed = (n + 1) * 0x9e3779b97f4a7c15ull;
    for (unsigned i = 0; i < 8; i++)
        rnd();
    uint32_t middle = (uint32_t)&state.mem[32];
    for (unsigned i = 0; i < 64; i++)
        state.mem[i] = value();
    for (unsigned i = 0; i < 32; i++)
        state.q[i / 4][i % 4] = value();
    for (unsigned i = 0; i < 13; i++)
        state.r[i] = pointers ? middle + rnd() % 8 * 4 : value();
    if (rnd() % 2)
        state.r[rnd() % 8] = rnd() % 70;
    state.r[6] = state.r[8] = middle;
    state.r[9] = rnd() % 8 * 4;
    state.lr = rnd() % 2 ? rnd() % 20 : value();
    state.apsr = rnd() & 0xf80f0000;
    state.fpscr = (rnd() & 0xf8000000) | (rnd() % 4 ? 0 : rnd() & 0x07c80000) | (rnd() % 3 ? 4 : rnd() % 4) << 16;
    uint32_t k = rnd();
    state.vpr = k % 4 == 0 ? 0 : k % 4 == 1 ? 0xffff : rnd() & 0xffff;
    for (unsigned i = 0; i < 4; i++) {
        state.q[6][i] = middle - 32 + rnd() % 16 * 4;
        state.q[7][i] = rnd() & (k & 64 ? 0x00000008 : k & 128 ? 0x00040004 : 0x0000000c);
    }
    if (k & 256)
        state.q[7][1] = state.q[7][3] = 0, state.q[6][1] = state.q[6][3] = 0, state.q[6][0] &= ~7u,
        state.q[6][2] &= ~7u;
    state.fault = 0;
}

__attribute__((used)) static void faulted_c(Frame *f)
{
    fault = CFSR | 1;
    CFSR = CFSR;
    HFSR = HFSR;
    f->pc = (uint32_t)run_end & ~1u;
    f->xpsr &= ~0x0600fc00u;
}
static __attribute__((naked)) void faulted(void)
{
    __asm__ volatile("mrs r0, msp\n push {r4, lr}\n bl faulted_c\n pop {r4, pc}");
}

int main(void)
{
    static const char name[] = NAME;
    const uint32_t open[3] = { (uint32_t)name, 5, sizeof name - 1 };
    int fd = semihost(1, open);
    for (unsigned n = 3; n < 8; n++)
        set_handler(n, faulted);
    SHCSR |= 7 << 16;
    CPACR |= 0xf << 20;
    BARRIER();
    for (uint32_t at = (uint32_t)sequences, n = 0; at < (uint32_t)sequences_end; at += SLOT, n++) {
        make(n + FIRST);
        fault = 0;
        run_one(&state, at | 1);
        state.fault = fault;
        const uint32_t write[3] = { (uint32_t)fd, (uint32_t)&state, sizeof state };
        semihost(5, write);
    }
    const uint32_t close[1] = { (uint32_t)fd };
    semihost(2, close);
    return 0;
}

/* r0: state, r1: code with bit 0. The code ends by a branch to run_end. */
__asm__(".syntax unified\n .thumb\n .text\n .balign 4\n"
    ".global run_one\n .type run_one, %function\n"
    "run_one:\n"
    "  push {r0, r4-r11, lr}\n"
    "  push {r1}\n"
    "  add r2, r0, #72\n  vldmia r2, {d0-d15}\n"
    "  ldr r2, [r0, #56]\n  msr apsr_nzcvqg, r2\n"
    "  ldr r2, [r0, #64]\n  vmsr vpr, r2\n"
    "  ldr r2, [r0, #60]\n  vmsr fpscr, r2\n"
    "  ldm r0, {r0-r12, lr}\n"
    "  pop {pc}\n"
    ".global run_end\n .type run_end, %function\n"
    "run_end:\n"
    "  push {r0-r12, lr}\n"
    "  ldr r4, [sp, #56]\n"
    "  mrs r0, apsr\n  str r0, [r4, #56]\n"
    "  vmrs r0, fpscr\n  str r0, [r4, #60]\n"
    "  vmrs r0, vpr\n  str r0, [r4, #64]\n"
    "  add r0, r4, #72\n  vstmia r0, {d0-d15}\n"
    "  mov r0, #0\n  vmsr vpr, r0\n  mov r0, #0x40000\n  vmsr fpscr, r0\n"
    "  pop {r0-r3}\n  stmia r4!, {r0-r3}\n"
    "  pop {r0-r3}\n  stmia r4!, {r0-r3}\n"
    "  pop {r0-r3}\n  stmia r4!, {r0-r3}\n"
    "  pop {r0-r1}\n  stmia r4!, {r0-r1}\n"
    "  pop {r0, r4-r11, pc}\n");
