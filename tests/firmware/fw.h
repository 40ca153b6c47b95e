/* SPDX-License-Identifier: MIT */
/* What the test images share: semihosting, registers of the CPU, checks. No library is needed. */
#ifndef FW_H
#define FW_H

#include <stdbool.h>
#include <stdint.h>

#define REG(at) (*(volatile uint32_t *)(at))
#define REG8(at) (*(volatile uint8_t *)(at))
#define REG16(at) (*(volatile uint16_t *)(at))

#define ICSR REG(0xe000ed04)
#define VTOR REG(0xe000ed08)
#define AIRCR REG(0xe000ed0c)
#define SCR REG(0xe000ed10)
#define CCR REG(0xe000ed14)
#define SHPR2 REG(0xe000ed1c)
#define SHPR3 REG(0xe000ed20)
#define SHCSR REG(0xe000ed24)
#define CFSR REG(0xe000ed28)
#define HFSR REG(0xe000ed2c)
#define MMFAR REG(0xe000ed34)
#define BFAR REG(0xe000ed38)
#define CPACR REG(0xe000ed88)
#define MPU_TYPE REG(0xe000ed90)
#define MPU_CTRL REG(0xe000ed94)
#define MPU_RNR REG(0xe000ed98)
#define MPU_RBAR REG(0xe000ed9c)
#define MPU_RASR REG(0xe000eda0)
#define FPCCR REG(0xe000ef34)
#define FPCAR REG(0xe000ef38)
#define ISER(n) REG(0xe000e100 + 4 * (n))
#define ICER(n) REG(0xe000e180 + 4 * (n))
#define ISPR(n) REG(0xe000e200 + 4 * (n))
#define ICPR(n) REG(0xe000e280 + 4 * (n))
#define IABR(n) REG(0xe000e300 + 4 * (n))
#define IPR(n) REG8(0xe000e400 + (n))
#define SYST_CSR REG(0xe000e010)
#define SYST_RVR REG(0xe000e014)
#define SYST_CVR REG(0xe000e018)
#define SYST_CALIB REG(0xe000e01c)
#define PENDSVSET (1u << 28)
#define SYSTSET (1u << 26)

static inline int semihost(int op, const void *arg)
{
    register int r0 __asm__("r0") = op;
    register const void *r1 __asm__("r1") = arg;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

static inline void print(const char *text) { semihost(4, text); }

static inline void print_hex(uint32_t v)
{
    char b[12];
    b[0] = '0';
    b[1] = 'x';
    for (int i = 0; i < 8; i++)
        b[2 + i] = "0123456789abcdef"[v >> (28 - 4 * i) & 15];
    b[10] = '\n';
    b[11] = 0;
    print(b);
}

static inline __attribute__((noreturn)) void finish(int status)
{
    const uint32_t block[2] = { 0x20026, (uint32_t)status };
    semihost(0x20, block);
    for (;;)
        ;
}

#define STRING_(x) #x
#define STRING(x) STRING_(x)
#define CHECK_EQ(got, want) do { \
        uint32_t got_ = (uint32_t)(got), want_ = (uint32_t)(want); \
        if (got_ != want_) { \
            print("FAIL " __FILE__ ":" STRING(__LINE__) ": " #got "\n  got  "); \
            print_hex(got_); \
            print("  want "); \
            print_hex(want_); \
            finish(1); \
        } \
    } while (0)
#define CHECK(condition) CHECK_EQ(!!(condition), 1)

#define MRS(name) ({ uint32_t v_; __asm__ volatile("mrs %0, " name : "=r"(v_)); v_; })
#define MSR(name, value) __asm__ volatile("msr " name ", %0" :: "r"((uint32_t)(value)) : "memory")
#define BARRIER() __asm__ volatile("dsb\n isb" ::: "memory")

/* The stacked registers of an exception. */
typedef struct Frame { uint32_t r0, r1, r2, r3, r12, lr, pc, xpsr; } Frame;

/* start.c: vectors are in RAM after start; handlers are set by number (0..15 system, 16 + n interrupt n). */
typedef void Handler(void);
extern Handler *vectors[128];
static inline void set_handler(unsigned n, Handler *h) { vectors[n] = h; BARRIER(); }
int main(void);
#endif
