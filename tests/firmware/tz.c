/* SPDX-License-Identifier: MIT */
/*
 * TrustZone: SAU and callable region, calls both ways, faults of Non-secure code with exact SFSR and SFAR, a Non-secure
 * interrupt out of Secure code (callee registers on the stack and cleared). NS_CODE: Non-secure address of code memory;
 * NS_DATA: of data memory.
 */
#include "fw.h"

#define SAU_CTRL REG(0xe000edd0)
#define SAU_RNR REG(0xe000edd8)
#define SAU_RBAR REG(0xe000eddc)
#define SAU_RLAR REG(0xe000ede0)
#define SFSR REG(0xe000ede4)
#define SFAR REG(0xe000ede8)
#define NSCCFG REG(0x50080014)
#define ITNS(n) REG(0xe000e380 + 4 * (n))
#define VTOR_NS REG(0xe002ed08)

extern uint32_t sg_start[], sg_end[];
static volatile uint32_t seen_sfsr, seen_sfar, seen_ipsr, gate_ipsr, secret = 0x5ec2e7;

/* --- Secure gateway: doubles its argument --- */
__attribute__((used)) static uint32_t gate_c(uint32_t v)
{
    gate_ipsr++;
    return v * 2;
}
__attribute__((section(".gnu.sgstubs"), naked, used)) static void gate(void) { __asm__ volatile("sg\n b.w gate_body"); }
__attribute__((section(".gnu.sgstubs"), naked, used)) static void nop_gate(void)
{
    __asm__ volatile("sg\n bx lr\n nop");
}
__attribute__((naked, used)) static void gate_body(void)
{
    __asm__ volatile("push {r4, lr}\n bl gate_c\n pop {r4, lr}\n bxns lr");
}

/* --- Non-secure code: position independent, copied --- */
__attribute__((naked, used)) static void ns_calls_gate(void) /* r0 argument, r1 gate */
{
    __asm__ volatile("push {r4, lr}\n movs r4, #1\n blx r1\n adds r0, r0, r4\n pop {r4, pc}\n nop\n nop\n nop");
}
__attribute__((naked, used)) static void ns_reads(void)
{
    __asm__ volatile("ldr r0, [r0]\n bx lr\n nop\n nop\n nop\n nop\n nop\n nop");
}
__attribute__((naked, used)) static void ns_jumps(void)
{
    __asm__ volatile("push {r4, lr}\n blx r0\n pop {r4, pc}\n nop\n nop\n nop\n nop\n nop");
}
/* Handler: notes what it sees of the interrupted registers. */
__attribute__((naked, used)) static void ns_irq(void)
{
    __asm__ volatile("orr r0, r4, r5\n orr r0, r0, r7\n orr r0, r0, r11\n orr r0, r0, r1\n"
                     "ldr r1, =%c0\n str r0, [r1]\n mov r0, lr\n str r0, [r1, #4]\n bx lr\n .ltorg"
                     :: "i"(NS_DATA + 0x100));
}

typedef uint32_t Call(uint32_t a, uint32_t b);

static uint32_t place(uint32_t offset, const void *code)
{
    const uint16_t *from = (const uint16_t *)((uint32_t)code & ~1u);
    for (unsigned i = 0; i < 32; i++)
        REG16(NS_CODE + offset + 2 * i) = from[i];
    return NS_CODE + offset;
}

/* As a compiler does for cmse_nonsecure_call. */
static uint32_t call_ns(uint32_t target, uint32_t a, uint32_t b)
{
    register uint32_t r0 __asm__("r0") = a, r1 __asm__("r1") = b, r4 __asm__("r4") = target & ~1u;
    __asm__ volatile("push {r6, r7}\n blxns r4\n pop {r6, r7}"
                     : "+r"(r0), "+r"(r1), "+r"(r4)::"r2", "r3", "r5", "r8", "r9", "r10", "r11", "r12", "lr", "memory",
                       "cc");
    return r0;
}

/* SecureFault: the frame of Non-secure code lies on its stack; go on at its LR. */
__attribute__((used)) static void fault_c(uint32_t lr)
{
    Frame *f = (Frame *)(lr & 0x40 ? MRS("msp") : MRS("msp_ns"));
    seen_ipsr = MRS("ipsr");
    seen_sfsr = SFSR;
    seen_sfar = SFAR;
    SFSR = seen_sfsr;
    if (seen_sfsr & 1)
        f->pc = f->lr & ~1u;
    else
        f->pc += 2;
}
static __attribute__((naked)) void fault(void)
{
    __asm__ volatile("mov r0, lr\n push {r4, lr}\n bl fault_c\n pop {r4, pc}");
}

static void sau(unsigned n, uint32_t base, uint32_t end, uint32_t flags)
{
    SAU_RNR = n;
    SAU_RBAR = base;
    SAU_RLAR = (end & ~31u) | flags | 1;
}

/* From `offset` on, 1 MiB of the memory behind that controller is Non-secure. */
static void mpc_open(uint32_t mpc, uint32_t offset)
{
    uint32_t block = 32u << (REG(mpc + 0x14) & 15), words = 0x100000 / block / 32;
    REG(mpc + 0x18) = offset / block / 32;
    for (uint32_t i = 0; i < (words ? words : 1); i++)
        REG(mpc + 0x1c) = 0xffffffff;
}

int main(void)
{
    uint32_t a, r;
    mpc_open(0x58007000, NS_CODE & 0x3fffff);
    mpc_open(0x58009000, 0);
    set_handler(7, fault);
    SHCSR = 1 << 19;
    sau(0, NS_CODE, NS_CODE + 0xfffff, 0);
    sau(1, NS_DATA, NS_DATA + 0xffff, 0);
    sau(2, (uint32_t)sg_start, (uint32_t)sg_end - 1, 2);
    NSCCFG = 3;
    SAU_CTRL = 1;
    BARRIER();
    MSR("msp_ns", NS_DATA + 0x8000);
    __asm__ volatile("tt %0, %1" : "=r"(r) : "r"(NS_CODE));
    CHECK_EQ(r >> 22 & 1, 0);
    CHECK_EQ(r >> 8 & 0xff, 0);
    CHECK_EQ(r >> 17 & 1, 1);
    __asm__ volatile("tt %0, %1" : "=r"(r) : "r"(main));
    CHECK_EQ(r >> 22 & 1, 1);
    /* both ways */
    a = place(0, ns_calls_gate);
    CHECK_EQ(call_ns(a, 20, (uint32_t)gate | 1), 41);
    CHECK_EQ(gate_ipsr, 1);
    CHECK_EQ(MRS("msp_ns"), NS_DATA + 0x8000);
    /* Non-secure code reads Secure memory */
    a = place(0x100, ns_reads);
    REG(NS_DATA) = 77;
    CHECK_EQ(call_ns(a, NS_DATA, 0), 77);
    CHECK(call_ns(a, (uint32_t)&secret, 0) != secret);
    CHECK_EQ(seen_ipsr, 7);
    CHECK_EQ(seen_sfsr, 0x48);
    CHECK_EQ(seen_sfar, &secret);
    /* ... and jumps into it: beside the gate, and past its SG */
    a = place(0x200, ns_jumps);
    call_ns(a, (uint32_t)main | 1, 0);
    CHECK_EQ(seen_sfsr, 0x01);
    seen_sfsr = 0;
    gate_ipsr = 0;
    call_ns(a, ((uint32_t)nop_gate + 4) | 1, 0);
    CHECK_EQ(seen_sfsr, 0x01);
    /* an interrupt for Non-secure state */
    a = place(0x300, ns_irq);
    VTOR_NS = NS_DATA + 0x1000;
    REG(NS_DATA + 0x1000 + 4 * (16 + 3)) = a | 1;
    ITNS(0) = 8;
    ISER(0) = 8;
    register uint32_t r4 __asm__("r4") = 0x44, r5 __asm__("r5") = 0x55;
    __asm__ volatile("mov r11, %1\n str %2, [%3]\n dsb\n isb\n"
                     : "+r"(r5)
                     : "r"(r4), "r"(8), "r"(0xe000e200)
                     : "r11", "memory");
    CHECK_EQ(r4, 0x44);
    CHECK_EQ(r5, 0x55);
    CHECK_EQ(REG(NS_DATA + 0x100), 0);
    CHECK_EQ(REG(NS_DATA + 0x104) & 0x69, 0x68); /* S, DCRS, Thread; ES clear */
    print("tz: ok\n");
    return 0;
}
