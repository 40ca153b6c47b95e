/* SPDX-License-Identifier: MIT */
/* FP context: NOCP, CONTROL.FPCA, lazy preservation, extended frames and their EXC_RETURN. */
#include "fw.h"

static volatile uint32_t seen_cfsr, seen_lr, seen_sp, seen_fpccr, seen_fpcar, after_fpccr, handled;

__attribute__((used)) static void nocp_c(void)
{
    seen_cfsr = CFSR;
    CFSR = seen_cfsr;
    CPACR |= 0xf << 20;
    BARRIER();
}
static __attribute__((naked)) void nocp(void) { __asm__ volatile("push {r4, lr}\n bl nocp_c\n pop {r4, pc}"); }

/* Uses FP itself: the interrupted context is saved only then. */
__attribute__((used)) static void irq_c(uint32_t lr, uint32_t sp)
{
    seen_lr = lr;
    seen_sp = sp;
    seen_fpccr = FPCCR;
    seen_fpcar = FPCAR;
    __asm__ volatile("vmov.f32 s0, #2.0\n vmov.f32 s15, #3.0" ::: "s0", "s15");
    after_fpccr = FPCCR;
    handled++;
}
static __attribute__((naked)) void irq(void)
{
    __asm__ volatile("mov r0, lr\n mov r1, sp\n push {r4, lr}\n bl irq_c\n pop {r4, pc}");
}
static void quiet(void) { seen_fpccr = FPCCR; }

int main(void)
{
    uint32_t s0, s15, sp;
    set_handler(6, nocp);
    set_handler(16, irq);
    SHCSR = 1 << 18;
    CPACR = 0;
    BARRIER();
    __asm__ volatile("vmov.f32 s0, #1.0" ::: "s0");
    CHECK_EQ(seen_cfsr, 0x00080000);
    CHECK_EQ(MRS("control") & 4, 4);
    CHECK_EQ(FPCCR & 0xc0000000, 0xc0000000);
    ISER(0) = 1;
    __asm__ volatile("vmov.f32 s15, #1.5\n mov %0, sp" : "=r"(sp) :: "s15");
    ISPR(0) = 1;
    BARRIER();
    __asm__ volatile("vmov %0, s0\n vmov %1, s15" : "=r"(s0), "=r"(s15));
    CHECK_EQ(handled, 1);
    CHECK_EQ(s0, 0x3f800000);
    CHECK_EQ(s15, 0x3fc00000);
    CHECK_EQ(seen_lr & 0x1f, 0x09); /* extended frame */
    CHECK_EQ(seen_sp, (sp - 0x68) & ~7u);
    CHECK_EQ(seen_fpccr & 1, 1);
    CHECK_EQ(seen_fpcar, seen_sp + 0x20);
    CHECK_EQ(after_fpccr & 1, 0);
    /* a handler without FP: nothing is saved, nothing lost */
    set_handler(16, quiet);
    ISPR(0) = 1;
    BARRIER();
    __asm__ volatile("vmov %0, s0" : "=r"(s0));
    CHECK_EQ(s0, 0x3f800000);
    CHECK_EQ(seen_fpccr & 1, 1);
    CHECK_EQ(FPCCR & 1, 0);
    /* arithmetic, while the context is switched under it */
    volatile float sum = 0;
    set_handler(16, irq);
    for (int i = 1; i <= 100; i++) {
        sum += (float)i * 0.5f;
        if (i % 10 == 0) {
            ISPR(0) = 1;
            BARRIER();
        }
    }
    CHECK_EQ(sum == 2525.0f, 1);
    CHECK_EQ(handled, 11);
    print("fpu: ok\n");
    return 0;
}
