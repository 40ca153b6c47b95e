/* SPDX-License-Identifier: MIT */
/*
 * STM32: DMA at the request of USART, SPI, ADC and timers; real-time clock with alarm and wake-up. -DF1 or -DF4 names
 * the family.
 */
#include "fw.h"

#ifdef F4
#define RCC 0x40023800
#define USART1 0x40011000
#define ADC1 0x40012000
#define DMA 0x40026400 /* the second */
#define BDCR REG(RCC + 0x70)
#define CSR REG(RCC + 0x74)
#define EXTI 0x40013c00
#define F4_F1(a, b) (a)
#else
#define RCC 0x40021000
#define USART1 0x40013800
#define ADC1 0x40012400
#define DMA 0x40020000
#define BDCR REG(RCC + 0x20)
#define CSR REG(RCC + 0x24)
#define EXTI 0x40010400
#define BKP 0x40006c00
#define F4_F1(a, b) (b)
#endif
#define TIM1_UP_TIM 0x40000000 /* TIM2 */
#define SPI1 0x40013000
#define PWR_CR REG(0x40007000)
#define RTC 0x40002800

static volatile uint32_t events;
static uint8_t text[] = "DMA says hello\n", input[5];
static uint16_t samples[6], sent[8], received[8];
static uint32_t ports[4];

/* A channel by number from 0: control, count, peripheral, memory. What differs between families is here only. */
enum { TO_PERIPHERAL = 1, CIRCULAR = 2, BYTES = 0, HALVES = 4, WORDS = 8 };
static void dma_start(uint32_t dma, unsigned n, unsigned select, uint32_t peripheral, void *memory, unsigned count,
                      unsigned how)
{
    unsigned size = how >> 2 & 3;
#ifdef F4
    uint32_t at = dma + 0x10 + 24 * n;
    REG(at) = 0;
    REG(at + 4) = count;
    REG(at + 8) = peripheral;
    REG(at + 12) = (uint32_t)memory;
    REG(at) = select << 25 | size << 13 | size << 11 | 1 << 10 | (how & CIRCULAR ? 1 << 8 : 0) |
              (how & TO_PERIPHERAL ? 1 << 6 : 0) | 1 << 4 | 1;
#else
    uint32_t at = dma + 8 + 20 * n;
    REG(at) = 0;
    REG(at + 4) = count;
    REG(at + 8) = peripheral;
    REG(at + 12) = (uint32_t)memory;
    REG(at) = size << 10 | size << 8 | 1 << 7 | (how & CIRCULAR ? 1 << 5 : 0) | (how & TO_PERIPHERAL ? 1 << 4 : 0) | 2 |
              1;
#endif
}

static uint32_t dma_left(uint32_t dma, unsigned n)
{
#ifdef F4
    return REG(dma + 0x14 + 24 * n);
#else
    return REG(dma + 0x0c + 20 * n);
#endif
}

static bool dma_complete(uint32_t dma, unsigned n)
{
#ifdef F4
    static const uint8_t shift[4] = { 5, 11, 21, 27 };
    uint32_t at = dma + (n / 4) * 4, bit = 1u << shift[n % 4];
    bool set = REG(at) & bit;
    if (set)
        REG(at + 8) = bit;
#else
    uint32_t bit = 2u << 4 * n;
    bool set = REG(dma) & bit;
    if (set)
        REG(dma + 4) = bit;
#endif
    return set;
}

/* USART1: F4 DMA2 streams 7 and 2, channel 4; F1 channels 4 and 5. */
#ifdef F4
#define U_TX DMA, 7
#define U_RX DMA, 2
#define SEL(n) n
#else
#define U_TX DMA, 3
#define U_RX DMA, 4
#define SEL(n) 0
#endif

static void test_usart(void)
{
    REG(USART1 + 0x0c) = 0x200c; /* UE, TE, RE */
    dma_start(U_TX, SEL(4), USART1 + 4, text, sizeof text - 1, TO_PERIPHERAL | BYTES);
    CHECK_EQ(dma_left(U_TX), sizeof text - 1);
    REG(USART1 + 0x14) = 0x80; /* DMAT */
    while (dma_left(U_TX))
        ;
    CHECK(dma_complete(U_TX));
    CHECK(!dma_complete(U_TX));
    dma_start(U_RX, SEL(4), USART1 + 4, input, sizeof input, BYTES);
    REG(USART1 + 0x14) = 0xc0;
    while (!dma_complete(U_RX))
        ;
    CHECK_EQ(dma_left(U_RX), 0);
    for (unsigned i = 0; i < sizeof input; i++)
        CHECK_EQ(input[i], "input"[i]);
}

/* SPI1: full duplex; nothing is attached. F4 streams 0 and 3 of channel 3; F1 channels 2 and 3. */
static void test_spi(void)
{
    for (unsigned i = 0; i < 8; i++)
        sent[i] = (uint16_t)(i + 1), received[i] = 0xffff;
    REG(SPI1) = 0x0b44; /* 16 bits, software NSS, master, on */
    dma_start(DMA, SEL(0) + (SEL(1) ? 0 : 1), SEL(3), SPI1 + 12, received, 8, HALVES);
    dma_start(DMA, SEL(3) + (SEL(1) ? 0 : 2), SEL(3), SPI1 + 12, sent, 8, TO_PERIPHERAL | HALVES);
    REG(SPI1 + 4) = 3;
    while (!dma_complete(DMA, SEL(0) + (SEL(1) ? 0 : 1)))
        ;
    CHECK_EQ(dma_left(DMA, SEL(3) + (SEL(1) ? 0 : 2)), 0);
    for (unsigned i = 0; i < 8; i++)
        CHECK_EQ(received[i], 0);
    REG(SPI1 + 4) = 0;
}

/* ADC1 scans ranks 1-3 twice: F4 stream 0 or 4 of channel 0 (0 is SPI1's too); F1 channel 1. */
static void test_adc(void)
{
    unsigned n = SEL(4);
    REG(ADC1 + 8) = 1;
    REG(ADC1 + 4) = 0x100; /* SCAN */
    REG(ADC1 + 0x2c) = 2u << 20;
    REG(ADC1 + 0x34) = 3 | 7 << 5 | 1 << 10; /* channels 3, 7, 1 */
    dma_start(DMA, n, 0, ADC1 + 0x4c, samples, 6, HALVES | CIRCULAR);
    for (unsigned pass = 0; pass < 2; pass++) {
#ifdef F4
        REG(ADC1 + 8) = 1 | 1 << 8 | 1 << 9 | 1u << 30;
#else
        REG(ADC1 + 8) = 1 | 1 << 8 | 7 << 17 | 1 << 20 | 1 << 22;
#endif
        while (dma_left(DMA, n) != (pass ? 6 : 3))
            ;
    }
    while (!dma_complete(DMA, n))
        ;
    CHECK(samples[2] < samples[0] && samples[0] < samples[1]);
    for (unsigned i = 0; i < 3; i++)
        CHECK_EQ(samples[i], samples[i + 3]);
    CHECK(samples[1] > 0 && samples[1] < 0x1000);
    REG(ADC1 + 8) = 0;
}

/* TIM2's update writes a word each 100 us: F4 DMA1 stream 1 or 7 of channel 3, F1 channel 2. */
static void test_timer(void)
{
#ifdef F4
    const uint32_t dma = 0x40026000, n = 1;
#else
    const uint32_t dma = DMA, n = 1;
#endif
    static uint32_t target;
    for (unsigned i = 0; i < 4; i++)
        ports[i] = 0x1111 * (i + 1);
    REG(TIM1_UP_TIM + 0x28) = 0;
    REG(TIM1_UP_TIM + 0x2c) = 8399;
    REG(TIM1_UP_TIM + 0x14) = 1;
    dma_start(dma, n, 3, (uint32_t)&target, ports, 4, TO_PERIPHERAL | WORDS);
    REG(TIM1_UP_TIM + 0x0c) = 1 << 8; /* UDE */
    CHECK_EQ(dma_left(dma, n), 4);
    REG(TIM1_UP_TIM) = 1;
    while (dma_left(dma, n) == 4)
        ;
    CHECK(*(volatile uint32_t *)&target >= 0x1111);
    while (!dma_complete(dma, n))
        ;
    CHECK_EQ(*(volatile uint32_t *)&target, 0x4444);
    REG(TIM1_UP_TIM) = 0;
}

static void rtc_open(void)
{
    PWR_CR |= 1 << 8; /* DBP */
    BDCR = 0x10000;
    BDCR = 0;
    BDCR = 1; /* LSE */
    while (!(BDCR & 2))
        ;
    CSR |= 1; /* LSI */
    while (!(CSR & 2))
        ;
    BDCR = 0x8101; /* RTCEN, LSE */
}

static void on_alarm(void)
{
    REG(EXTI + 0x14) = 1 << 17;
    events |= 1;
#ifdef F4
    REG(RTC + 12) = ~(uint32_t)(1 << 8 | 1 << 7);
#else
    REG(RTC + 4) &= ~2u;
#endif
}

#ifdef F4
static void on_wakeup(void)
{
    REG(EXTI + 0x14) = 1 << 22;
    REG(RTC + 12) = ~(uint32_t)(1 << 10 | 1 << 7);
    events += 0x100;
}

static void test_rtc(void)
{
    CHECK_EQ(REG(RTC + 4), 0x2101);
    REG(RTC + 0x50) = 5; /* DBP is clear */
    CHECK_EQ(REG(RTC + 0x50), 0);
    rtc_open();
    REG(RTC + 0x50) = 0x600dcafe;
    CHECK_EQ(REG(RTC + 0x50), 0x600dcafe);
    REG(RTC + 12) = 1 << 7; /* WPR is locked */
    CHECK_EQ(REG(RTC + 12) & 0xc0, 0);
    REG(RTC + 0x24) = 0xca;
    REG(RTC + 0x24) = 0x53;
    REG(RTC + 12) = 1 << 7;
    CHECK_EQ(REG(RTC + 12) & 0xc0, 0xc0);
    REG(RTC + 0x10) = 0x7f00ff;
    REG(RTC) = 0x235958;
    REG(RTC + 4) = 0x23e228 | 0; /* 2023-02-28, weekday 7 */
    REG(RTC + 12) = 0;
    CHECK_EQ(REG(RTC), 0x235958);
    CHECK(REG(RTC + 12) & 0x10); /* INITS */
    CHECK(REG(RTC + 12) & 1);
    /* Alarm A at 00:00:00 on any day; wake-up each 250 ms. */
    set_handler(16 + 41, on_alarm);
    set_handler(16 + 3, on_wakeup);
    ISER(1) = 1 << 9;
    ISER(0) = 1 << 3;
    REG(EXTI) = REG(EXTI + 8) = 1 << 17 | 1 << 22;
    REG(RTC + 0x1c) = 1u << 31;
    REG(RTC + 0x14) = 511; /* RTC/16: 2048 Hz */
    REG(RTC + 8) = 1 << 8 | 1 << 10 | 1 << 12 | 1 << 14;
    CHECK_EQ(REG(RTC + 12) & 5, 0);
    while (!(events & 1))
        __asm__ volatile("wfi");
    CHECK_EQ(REG(RTC), 0);
    CHECK_EQ(REG(RTC + 4), 0x232301); /* 2023-03-01, Monday */
    CHECK(events >= 0x700 && events < 0xa00);
    REG(RTC + 8) = 0;
    uint32_t a = REG(RTC + 0x28), b;
    while ((b = REG(RTC + 0x28)) == a)
        ;
    CHECK(a < 0x100 && b < 0x100);
    REG(RTC + 0x24) = 0xff;
    REG(RTC + 8) = 1 << 8;
    CHECK_EQ(REG(RTC + 8), 0);
    BDCR = 0x10000;
    CHECK_EQ(REG(RTC + 0x50), 0);
}
#else
static void on_second(void)
{
    CHECK(REG(RTC + 4) & 1);
    REG(RTC + 4) &= ~1u;
    events += 0x100;
}

static void test_rtc(void)
{
    REG(BKP + 4) = 5; /* DBP is clear */
    CHECK_EQ(REG(BKP + 4), 0);
    rtc_open();
    REG(BKP + 4) = 0xa5a5;
    CHECK_EQ(REG(BKP + 4), 0xa5a5);
    REG(RTC + 0x1c) = 7; /* CNF is clear */
    CHECK_EQ(REG(RTC + 0x1c), 0);
    CHECK(REG(RTC + 4) & 0x20); /* RTOFF */
    REG(RTC + 4) |= 0x10;
    REG(RTC + 8) = 0;
    REG(RTC + 12) = 3276; /* ten a second */
    REG(RTC + 0x18) = 0x1234;
    REG(RTC + 0x1c) = 0xfffe;
    REG(RTC + 0x20) = 0x1235;
    REG(RTC + 0x24) = 3;
    REG(RTC + 4) &= ~0x10u;
    CHECK_EQ(REG(RTC + 0x1c), 0xfffe);
    CHECK(REG(RTC + 0x14) <= 3276);
    set_handler(16 + 41, on_alarm);
    set_handler(16 + 3, on_second);
    ISER(1) = 1 << 9;
    ISER(0) = 1 << 3;
    REG(EXTI) = REG(EXTI + 8) = 1 << 17;
    REG(RTC) = 1; /* SECIE */
    while (!(events & 1))
        __asm__ volatile("wfi");
    CHECK_EQ(REG(RTC + 0x18), 0x1235);
    CHECK_EQ(REG(RTC + 0x1c), 3);
    CHECK(events >= 0x400 && events <= 0x700);
    BDCR = 0x10000;
    CHECK_EQ(REG(BKP + 4), 0);
}
#endif

/* Who we are, and what stands where after a reset (RM0041, RM0090: register maps). */
static void test_reset_values(void)
{
#ifdef F4
    CHECK_EQ(REG(0xe0042000), 0x10076413);
    CHECK_EQ(REG(0x1fff7a20) >> 16, 1024);
    CHECK_EQ(REG(RCC + 0x60), 0x36fec9ff);
    CHECK_EQ(REG(RCC + 0x64), 0x00075f33);
    CHECK_EQ(PWR_CR, 0x4000);
    CHECK_EQ(REG(0x40020408), 0xc0);           /* GPIOB_OSPEEDR */
    CHECK_EQ(REG(0x4000002c), 0xffffffff);     /* TIM2_ARR */
    CHECK_EQ(REG(0x40023c14), 0x0fffaaed);     /* FLASH_OPTCR */
    REG(0x40023c14) = 0;
    CHECK_EQ(REG(0x40023c14), 0x0fffaaed);
    REG(0x40023c08) = 0x08192a3b;
    REG(0x40023c08) = 0x4c5d6e7f;
    CHECK_EQ(REG(0x40023c14), 0x0fffaaec);
    REG(0x40023c14) |= 1;
#else
    CHECK_EQ(REG(0xe0042000), 0x10016420);
    CHECK_EQ(REG(0x1ffff7e0) & 0xffff, 128);
    CHECK_EQ(PWR_CR, 0);
    CHECK_EQ(REG(0x40022000), 0x30);           /* FLASH_ACR */
    CHECK_EQ(REG(0x4002201c), 0x03fffffc);     /* FLASH_OBR */
    CHECK_EQ(REG(0x40022020), 0xffffffff);     /* FLASH_WRPR */
#endif
    CHECK_EQ(CSR >> 25, F4_F1(7, 6));
    CSR |= 1 << 24;                            /* RMVF */
    CHECK_EQ(CSR, 0);
}

int main(void)
{
    test_reset_values();
    test_usart();
    print("spi\n");
    test_spi();
    print("adc\n");
    test_adc();
    print("timer\n");
    test_timer();
    print("rtc\n");
    test_rtc();
    print("stm32: ok\n");
    return 0;
}
