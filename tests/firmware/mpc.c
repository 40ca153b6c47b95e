/* SPDX-License-Identifier: MIT */
/*
 * Memory protection controllers of the SSE subsystems: which transactions reach a block, what comes of the other, the
 * interrupt.
 */
#include "fw.h"

#define MPC_CTRL REG(MPC + 0x00)
#define MPC_MAX REG(MPC + 0x10)
#define MPC_CFG REG(MPC + 0x14)
#define MPC_IDX REG(MPC + 0x18)
#define MPC_LUT REG(MPC + 0x1c)
#define MPC_STAT REG(MPC + 0x20)
#define MPC_CLEAR REG(MPC + 0x24)
#define MPC_INT_EN REG(MPC + 0x28)
#define MPC_INFO1 REG(MPC + 0x2c)
#define MPC_INFO2 REG(MPC + 0x30)
#define MPC_SET REG(MPC + 0x34)
#define SECMPCINTSTATUS REG(0x5008001c)
#define SECURE(a) ((a) | 0x10000000u)

static volatile uint32_t faults, irqs;

__attribute__((used)) static void bus_fault_c(uint32_t *frame)
{
    faults++;
    REG(0xe000ed28) = 0xff00; /* BFSR */
    frame[6] += 2;
}
static __attribute__((naked)) void bus_fault(void)
{
    __asm__ volatile("mrs r0, msp\n push {r4, lr}\n bl bus_fault_c\n pop {r4, pc}");
}

static void mpc_irq(void)
{
    irqs++;
    MPC_CLEAR = 1;
}

static uint32_t load(uint32_t a)
{
    register uint32_t r0 __asm__("r0") = a;
    __asm__ volatile("ldr r0, [r0]" : "+r"(r0) : : "memory"); /* 16 bits */
    return r0;
}

int main(void)
{
    uint32_t block = 32u << (MPC_CFG & 15), words = MPC_MAX + 1;
    CHECK_EQ(words * 32 * block >= 0x8000, 1);
    CHECK_EQ(REG(MEMORY), REG(SECURE(MEMORY))); /* without the SAU both addresses are Secure */
    REG(0xe000edd8) = 0; /* SAU: MEMORY is Non-secure for Secure code, too */
    REG(0xe000eddc) = MEMORY;
    REG(0xe000ede0) = (MEMORY + 0xffe0) | 1;
    REG(0xe000edd0) = 1;
    __asm__ volatile("dsb\n isb" : : : "memory");
    CHECK_EQ(MPC_CTRL, 0x100);
    /* the table: all Secure; the index counts */
    MPC_IDX = 0;
    CHECK_EQ(MPC_LUT, 0);
    CHECK_EQ(MPC_IDX, 1 % words);
    MPC_IDX = 0;
    REG(SECURE(MEMORY)) = 0x1234;
    REG(SECURE(MEMORY) + block) = 0x5678;
    CHECK_EQ(load(SECURE(MEMORY)), 0x1234);
    /* the other address: zero, writes are ignored, the violation is kept */
    CHECK_EQ(load(MEMORY), 0);
    CHECK_EQ(MPC_STAT, 1);
    CHECK_EQ(MPC_INFO1, OFFSET);
    CHECK_EQ(MPC_INFO2 >> 16 & 3, 1);
    REG(MEMORY + 4) = 7;
    CHECK_EQ(MPC_INFO1, OFFSET); /* the first one stays */
    CHECK_EQ(load(SECURE(MEMORY) + 4) == 7, 0);
    CHECK_EQ(SECMPCINTSTATUS, 0);
    MPC_CLEAR = 1;
    CHECK_EQ(MPC_STAT, 0);
    /* one block becomes Non-secure: the addresses change places */
    MPC_IDX = OFFSET / block / 32;
    MPC_LUT = 1u << OFFSET / block % 32;
    CHECK_EQ(load(MEMORY), 0x1234);
    CHECK_EQ(load(SECURE(MEMORY)), 0);
    CHECK_EQ(MPC_INFO2 >> 16 & 3, 2);
    CHECK_EQ(load(SECURE(MEMORY) + block), 0x5678);
    CHECK_EQ(load(MEMORY + block), 0);
    REG(MEMORY) = 0x99;
    CHECK_EQ(load(MEMORY), 0x99);
    MPC_CLEAR = 1;
    /* bus errors instead */
    set_handler(5, bus_fault);
    REG(0xe000ed24) |= 1 << 17; /* SHCSR.BUSFAULTENA */
    MPC_CTRL = 0x110;
    load(MEMORY + block);
    CHECK_EQ(faults, 1);
    load(SECURE(MEMORY));
    CHECK_EQ(faults, 2);
    CHECK_EQ(load(MEMORY), 0x99);
    CHECK_EQ(faults, 2);
    /* the interrupt of all controllers */
    MPC_CLEAR = 1;
    set_handler(16 + 9, mpc_irq);
    REG(0xe000e100) = 1 << 9;
    MPC_CTRL = 0x100;
    MPC_INT_EN = 1;
    load(MEMORY + block);
    __asm__ volatile("dsb\n isb" : : : "memory");
    CHECK_EQ(irqs, 1);
    MPC_SET = 1;
    __asm__ volatile("dsb\n isb" : : : "memory");
    CHECK_EQ(irqs, 2);
    REG(0xe000e180) = 1 << 9;
    MPC_SET = 1;
    CHECK_EQ(SECMPCINTSTATUS, 1u << BIT_OF_MPC);
    MPC_CLEAR = 1;
    CHECK_EQ(SECMPCINTSTATUS, 0);
    /* locked until reset */
    MPC_CTRL = 0x80000100;
    MPC_CTRL = 0x10;
    CHECK_EQ(MPC_CTRL, 0x80000100);
    MPC_IDX = OFFSET / block / 32;
    MPC_LUT = 0;
    CHECK_EQ(load(MEMORY), 0x99);
    MPC_INT_EN = 0;
    CHECK_EQ(MPC_INT_EN, 1);
    print("mpc: ok\n");
    return 0;
}
