/* SPDX-License-Identifier: MIT */
/* PMSAv7: regions smaller than a page, subregions, privilege, execute-never; exact MMFSR and MMFAR. */
#include "fw.h"

static volatile uint32_t seen_ipsr, seen_cfsr, seen_mmfar;
static uint32_t area[256] __attribute__((aligned(1024)));

__attribute__((used)) static void fault_c(Frame *f)
{
    seen_ipsr = MRS("ipsr");
    seen_cfsr = CFSR;
    seen_mmfar = MMFAR;
    CFSR = seen_cfsr;
    if (seen_cfsr & 1)
        f->pc = f->lr & ~1u; /* a branch: back to the caller */
    else
        f->pc += REG16(f->pc) >> 11 >= 0x1d ? 4 : 2;
}
static __attribute__((naked)) void fault(void)
{
    __asm__ volatile("mov r0, sp\n push {r4, lr}\n bl fault_c\n pop {r4, pc}");
}

static void region(unsigned n, uint32_t base, unsigned bits, uint32_t attr)
{
    MPU_RNR = n;
    MPU_RBAR = base;
    MPU_RASR = attr | (bits - 1) << 1 | 1;
}

static void expect(uint32_t cfsr, uint32_t far)
{
    CHECK_EQ(seen_ipsr, 4);
    CHECK_EQ(seen_cfsr, cfsr);
    if (cfsr & 0x80)
        CHECK_EQ(seen_mmfar, far);
    seen_ipsr = 0;
}

int main(void)
{
    set_handler(4, fault);
    SHCSR = 1 << 16;
    CHECK(MPU_TYPE >> 8);
    area[0] = 0x4770; /* bx lr */
    area[16] = 5;
    region(0, (uint32_t)area + 32, 5, 6u << 24);             /* 32 bytes, read-only */
    region(1, (uint32_t)area + 64, 5, 0);                    /* 32 bytes, no access */
    region(2, (uint32_t)area + 512, 9, 3u << 24 | 0x5500);   /* subregions 0, 2, 4, 6 off: the default map */
    region(3, (uint32_t)area + 512 + 64, 6, 0);
    MPU_CTRL = 5;
    BARRIER();
    area[0] = 0x4770;
    CHECK_EQ(area[8], 0);
    area[8] = 1;
    expect(0x82, (uint32_t)&area[8]);
    area[15] = 1;
    expect(0x82, (uint32_t)&area[15]);
    (void)*(volatile uint32_t *)&area[16];
    expect(0x82, (uint32_t)&area[16]);
    area[24] = 7;
    CHECK_EQ(seen_ipsr, 0);
    CHECK_EQ(area[24], 7);
    (void)*(volatile uint32_t *)&area[128 + 16];
    expect(0x82, (uint32_t)&area[128 + 16]);
    /* execute-never */
    MPU_RNR = 4;
    MPU_RBAR = (uint32_t)area;
    MPU_RASR = 1u << 28 | 3u << 24 | 4 << 1 | 1;
    BARRIER();
    ((void (*)(void))((uint32_t)area + 1))();
    expect(0x01, 0);
    MPU_CTRL = 0;
    BARRIER();
    area[16] = 9;
    CHECK_EQ(seen_ipsr, 0);
    print("mpu: ok\n");
    return 0;
}
