/* SPDX-License-Identifier: MIT */
/*
 * STM32F1 and F4: RCC, PWR, SYSCFG/AFIO, EXTI, ADC (RM0041; RM0090, chapters 5-7, 9, 12, 13). Oscillators and
 * regulators are ready at once.
 */
#include "base/bits.h"
#include "hw/core/device.h"

/* --- RCC: a ready bit follows its enable; SWS follows SW --- */

enum { RCC_WORDS = 40 };
typedef struct Rcc {
    Device dev; /* always first */
    uint32_t reg[RCC_WORDS];
    uint32_t hse, backup; /* BDCR once more: a reset leaves it alone */
    bool f1;
} Rcc;
enum { RTC_BACKUP_RESET = -1, F1_BDCR = 0x20, F4_BDCR = 0x70, RMVF = 1 << 24 };

static uint32_t follow(uint32_t v, uint32_t enables) { return (v & ~(enables << 1)) | (v & enables) << 1; }

static uint64_t rcc_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    const Rcc *s = (Rcc *)d;
    uint32_t v = (uint32_t)stored, at = i * 4, cfgr = s->f1 ? 4 : 8, bdcr = s->f1 ? 0x20 : 0x70;
    if (at == 0)
        return follow(v, s->f1 ? 0x01010001 : 0x05010001); /* HSI, HSE, PLL, PLLI2S */
    if (at == cfgr)
        return (v & ~12u) | (v & 3) << 2;
    if (at == bdcr || at == bdcr + 4)
        return follow(v, 1); /* LSE, LSI */
    return v;
}

/*
 * Hz of the RTC's clock, as BDCR selects it (RM0041, 6.3.9; RM0090, 7.3.20): LSE, LSI, divided HSE, each if it is on.
 */
static uint32_t rtc_clock(const Rcc *s)
{
    uint32_t bdcr = s->reg[(s->f1 ? F1_BDCR : F4_BDCR) / 4], csr = s->reg[(s->f1 ? F1_BDCR : F4_BDCR) / 4 + 1];
    uint32_t div = s->f1 ? 128 : s->reg[2] >> 16 & 31;
    if (!(bdcr & 0x8000))
        return 0;
    switch (bdcr >> 8 & 3) {
    case 1: return bdcr & 1 ? 32768 : 0;
    case 2: return csr & 1 ? s->f1 ? 40000 : 32000 : 0;
    case 3: return s->reg[0] & 0x10000 && div ? s->hse / div : 0;
    default: return 0;
    }
}

static void rcc_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Rcc *s = (Rcc *)d;
    uint32_t *bdcr = &s->reg[(s->f1 ? F1_BDCR : F4_BDCR) / 4];
    if (*bdcr & 0x10000) { /* BDRST */
        *bdcr = 0x10000;
        device_out(d, 0, RTC_BACKUP_RESET);
    }
    s->backup = *bdcr;
    if (bdcr[1] & RMVF) /* the reset flags, which are read-only */
        bdcr[1] &= 1;
    else if (i == (s->f1 ? F1_BDCR : F4_BDCR) / 4 + 1)
        bdcr[1] = (bdcr[1] & 1) | ((uint32_t)old & 0xfe000000);
    device_out(d, 0, (int)rtc_clock(s));
}

static const Reg rcc_regs[] = {
    { .name = "RCC",
      .at = 0,
      .size = 4,
      .count = RCC_WORDS,
      .field = offsetof(Rcc, reg),
      .read = rcc_read,
      .wrote = rcc_wrote },
    { .name = NULL },
};
static const RegBank rcc_bank = { .name = "regs", .size = 0x400, .regs = rcc_regs };
static const RegBank *const rcc_banks[] = { &rcc_bank, NULL };
static const Property rcc_props[] = {
    DEFINE_PROP_BOOL("f1", Rcc, f1, 0, "the layout of STM32F1"),
    DEFINE_PROP_U32("hse-frequency", Rcc, hse, 8000000, "Hz of the board's crystal"),
    DEFINE_PROP_END,
};
static const char *const rcc_pins[] = { "rtc", NULL };
static const StateField rcc_state[] = { STATE_U32(Rcc, backup), STATE_END_OF_TABLE };

static void rcc_reset(Device *d, ResetPhase phase)
{
    Rcc *s = (Rcc *)d;
    if (phase == RESET_HOLD)
        device_out(d, 0, (int)rtc_clock(s));
    if (phase != RESET_ENTER)
        return;
    s->reg[0] = 0x83;
    s->reg[(s->f1 ? F1_BDCR : F4_BDCR) / 4] = s->backup;
    if (s->f1) {
        s->reg[0x14 / 4] = 0x14;
        s->reg[0x24 / 4] = 0x0c000000;
    } else {
        s->reg[0x04 / 4] = 0x24003010;
        s->reg[0x30 / 4] = 0x00100000;
        s->reg[0x50 / 4] = 0x7e6791ff; /* clocks while the CPU sleeps: all */
        s->reg[0x54 / 4] = 0xf1;
        s->reg[0x58 / 4] = 1;
        s->reg[0x60 / 4] = 0x36fec9ff;
        s->reg[0x64 / 4] = 0x00075f33;
        s->reg[0x74 / 4] = 0x0e000000;
        s->reg[0x84 / 4] = 0x20003000;
    }
}

static const DeviceType rcc_type = {
    .name = "stm32-rcc",
    .desc = "STM32 reset and clock control",
    .category = "Misc",
    .size = sizeof(Rcc),
    .banks = rcc_banks,
    .props = rcc_props,
    .state = rcc_state,
    .out_pins = rcc_pins,
    .reset = rcc_reset,
};
DEVICE_REGISTER(rcc_type)

/* --- PWR --- */

typedef struct Pwr {
    Device dev; /* always first */
    uint32_t cr, csr;
    bool f1;
} Pwr;

static uint64_t pwr_csr_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    return ((Pwr *)d)->f1 ? stored : stored | 0x4000 /* VOSRDY */ | (stored & 0x200 ? 8 : 0) /* BRR */;
}

/* Pin "open": DBP, which opens the backup domain for writing. */
static void pwr_cr_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    device_out(d, 0, ((Pwr *)d)->cr >> 8 & 1);
}

static void pwr_reset(Device *d, ResetPhase phase)
{
    if (phase == RESET_ENTER)
        ((Pwr *)d)->cr = ((Pwr *)d)->f1 ? 0 : 0x4000; /* RM0041, 4.4.1; RM0090, 5.4.1: VOS */
    else if (phase == RESET_HOLD)
        device_out(d, 0, 0);
}

static const Property pwr_props[] = { DEFINE_PROP_BOOL("f1", Pwr, f1, 0, "the layout of STM32F1"), DEFINE_PROP_END };
static const char *const pwr_pins[] = { "open", NULL };
static const Reg pwr_regs[] = {
    { .name = "CR", .at = 0, .size = 4, .field = offsetof(Pwr, cr), .wrote = pwr_cr_wrote },
    { .name = "CSR", .at = 4, .size = 4, .field = offsetof(Pwr, csr), .read = pwr_csr_read }, { .name = NULL },
};
static const RegBank pwr_bank = { .name = "regs", .size = 0x400, .regs = pwr_regs };
static const RegBank *const pwr_banks[] = { &pwr_bank, NULL };
static const DeviceType pwr_type = { .name = "stm32-pwr",
                                     .desc = "STM32 power control",
                                     .category = "Misc",
                                     .size = sizeof(Pwr),
                                     .banks = pwr_banks,
                                     .props = pwr_props,
                                     .out_pins = pwr_pins,
                                     .reset = pwr_reset };
DEVICE_REGISTER(pwr_type)

/* --- SYSCFG (F4), AFIO (F1): which port's pin goes to which EXTI line --- */

typedef struct Syscfg {
    Device dev; /* always first */
    uint32_t reg[9];
    uint32_t level[16]; /* of each line: a bit a port */
} Syscfg;

static void syscfg_update(Syscfg *s)
{
    for (unsigned line = 0; line < 16; line++) {
        unsigned port = s->reg[2 + line / 4] >> line % 4 * 4 & 15;
        device_out(&s->dev, line, s->level[line] >> port & 1);
    }
}

static void syscfg_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    syscfg_update((Syscfg *)d);
}

static void syscfg_input(Device *d, unsigned pin, int level)
{
    Syscfg *s = (Syscfg *)d;
    unsigned port = pin / 16, line = pin % 16;
    s->level[line] = (s->level[line] & ~(1u << port)) | (uint32_t)!!level << port;
    syscfg_update(s);
}

static void syscfg_reset(Device *d, ResetPhase phase)
{
    if (phase == RESET_HOLD)
        syscfg_update((Syscfg *)d);
}

static const Reg syscfg_regs[] = {
    { .name = "SYSCFG", .at = 0, .size = 4, .count = 9, .field = offsetof(Syscfg, reg), .wrote = syscfg_wrote },
    { .name = NULL },
};
static const RegBank syscfg_bank = { .name = "regs", .size = 0x400, .regs = syscfg_regs };
static const RegBank *const syscfg_banks[] = { &syscfg_bank, NULL };
static const StateField syscfg_state[] = { STATE_U32_ARRAY(Syscfg, level), STATE_END_OF_TABLE };
static const char *const syscfg_out[] = { "exti*16", NULL }, *const syscfg_in[] = { "gpio*144", NULL };
static const DeviceType syscfg_type = {
    .name = "stm32-syscfg",
    .desc = "STM32 system configuration",
    .category = "Misc",
    .size = sizeof(Syscfg),
    .banks = syscfg_banks,
    .state = syscfg_state,
    .out_pins = syscfg_out,
    .in_pins = syscfg_in,
    .input = syscfg_input,
    .reset = syscfg_reset,
};
DEVICE_REGISTER(syscfg_type)

/* --- EXTI --- */

typedef struct Exti {
    Device dev; /* always first */
    uint32_t imr, emr, rtsr, ftsr, swier, pr, level;
} Exti;

/* Pins irq[0..4]: lines 0-4; irq[5]: 9-5; irq[6]: 15-10; line[0..6]: lines 16-22. */
static void exti_update(Exti *s)
{
    uint32_t on = s->pr & s->imr;
    for (unsigned i = 0; i < 5; i++)
        device_out(&s->dev, i, on >> i & 1);
    device_out(&s->dev, 5, (on & 0x3e0) != 0);
    device_out(&s->dev, 6, (on & 0xfc00) != 0);
    for (unsigned i = 16; i < 23; i++)
        device_out(&s->dev, i - 9, on >> i & 1);
}

static void exti_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Exti *s = (Exti *)d;
    if (r->at == 0x10)
        s->pr |= (uint32_t)value & ~(uint32_t)old & s->imr;
    if (r->at == 0x14)
        s->swier &= ~(uint32_t)value;
    exti_update(s);
}

static void exti_input(Device *d, unsigned pin, int level)
{
    Exti *s = (Exti *)d;
    uint32_t bit = 1u << pin, was = s->level & bit;
    s->level = (s->level & ~bit) | (level ? bit : 0);
    if ((level && !was && s->rtsr & bit) || (!level && was && s->ftsr & bit))
        s->pr |= bit;
    exti_update(s);
}

static void exti_reset(Device *d, ResetPhase phase)
{
    if (phase == RESET_HOLD)
        exti_update((Exti *)d);
}

#define R(n, a, f, ...) \
    { .name = n, .at = a, .size = 4, .field = offsetof(Exti, f), .rsvd = 0xff800000, .wrote = exti_wrote, __VA_ARGS__ }
static const Reg exti_regs[] = {
    R("IMR", 0x00, imr), R("EMR", 0x04, emr), R("RTSR", 0x08, rtsr), R("FTSR", 0x0c, ftsr), R("SWIER", 0x10, swier),
    R("PR", 0x14, pr, .w1c = 0x7fffff), { .name = NULL },
};
#undef R
static const RegBank exti_bank = { .name = "regs", .size = 0x400, .regs = exti_regs };
static const RegBank *const exti_banks[] = { &exti_bank, NULL };
static const StateField exti_state[] = { STATE_U32(Exti, level), STATE_END_OF_TABLE };
static const char *const exti_out[] = { "irq*7", "line*7", NULL }, *const exti_in[] = { "in*23", NULL };
static const DeviceType exti_type = {
    .name = "stm32-exti",
    .desc = "STM32 external interrupts",
    .category = "Misc",
    .size = sizeof(Exti),
    .banks = exti_banks,
    .state = exti_state,
    .out_pins = exti_out,
    .in_pins = exti_in,
    .input = exti_input,
    .reset = exti_reset,
};
DEVICE_REGISTER(exti_type)

/*
 * --- ADC: a conversion takes no time; channels give a quarter, a half ... of the range, the temperature sensor 25
 * degrees. A scan goes on with the next rank when the data register has been read, if somebody looks at each result
 * (DMA, EOCS), else at once. ---
 */

enum {
    ADC_EOC = 2,
    ADC_STRT = 16,
    ADC_EOCIE = 32,
    ADC_SCAN = 0x100,
    ADC_CONT = 2,
    ADC_DMA = 0x100,
    ADC_EOCS = 0x400,
    ADC_LEFT = 0x800
};
typedef struct Adc {
    Device dev; /* always first */
    uint32_t sr, cr1, cr2, smpr[2], jofr[4], htr, ltr, sqr[3], jsqr, jdr[4], dr;
    uint8_t rank; /* of the result in dr */
    bool f1;
} Adc;

static void adc_update(Adc *s)
{
    device_out(&s->dev, 0, s->sr & ADC_EOC && s->cr1 & ADC_EOCIE);
    device_out(&s->dev, 1, s->sr & ADC_EOC && s->cr2 & ADC_DMA);
}

static unsigned adc_last(const Adc *s) { return s->cr1 & ADC_SCAN ? s->sqr[0] >> 20 & 15 : 0; }

/* SQR3 has ranks 0-5, SQR2 6-11, SQR1 12-15. */
static void adc_convert(Adc *s)
{
    unsigned channel = s->sqr[2 - s->rank / 6] >> s->rank % 6 * 5 & 31, bits = s->f1 ? 12 : 12 - 2 * (s->cr1 >> 24 & 3);
    uint32_t v = channel >= 16 ? 943 : (channel + 1) * 0xfff / 17;
    s->dr = v >> (12 - bits);
    if (s->cr2 & ADC_LEFT)
        s->dr <<= 16 - bits;
    s->sr |= ADC_EOC | ADC_STRT;
}

static void adc_start(Adc *s)
{
    s->rank = s->cr2 & ADC_DMA || (!s->f1 && s->cr2 & ADC_EOCS) ? 0 : (uint8_t)adc_last(s);
    adc_convert(s);
}

static void adc_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Adc *s = (Adc *)d;
    if (r->at == 0x00)
        s->sr = (uint32_t)old & (uint32_t)value;
    if (r->at == 0x08) {
        uint32_t start = s->f1 ? 1u << 22 : 1u << 30;
        bool on = old & 1 && value & 1;
        if (value & start && value & 1)
            adc_start(s);
        else if (s->f1 && on && old == value)
            adc_start(s);
        s->cr2 &= ~(start | (s->f1 ? 0xcu : 0)); /* calibration is done at once */
    }
    adc_update(s);
}

static uint64_t adc_dr_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    Adc *s = (Adc *)d;
    bool had = s->sr & ADC_EOC;
    s->sr &= ~(uint32_t)ADC_EOC;
    if (had && s->rank < adc_last(s)) {
        s->rank++;
        adc_convert(s);
    } else if (s->cr2 & ADC_CONT) {
        adc_start(s);
    }
    adc_update(s);
    return stored;
}

#define R(n, a, f, ...) { .name = n, .at = a, .size = 4, .field = offsetof(Adc, f), .wrote = adc_wrote, __VA_ARGS__ }
static const Reg adc_regs[] = {
    R("SR", 0x00, sr),
    R("CR1", 0x04, cr1),
    R("CR2", 0x08, cr2),
    R("SMPR", 0x0c, smpr, .count = 2),
    R("JOFR", 0x14, jofr, .count = 4),
    R("HTR", 0x24, htr, .reset = 0xfff),
    R("LTR", 0x28, ltr),
    R("SQR", 0x2c, sqr, .count = 3),
    R("JSQR", 0x38, jsqr),
    R("JDR", 0x3c, jdr, .count = 4),
    { .name = "DR", .at = 0x4c, .size = 4, .field = offsetof(Adc, dr), .read = adc_dr_read, .access = REG_RO },
    { .name = NULL },
};
static const RegBank adc_bank = { .name = "regs", .size = 0x100, .regs = adc_regs };
static const RegBank *const adc_banks[] = { &adc_bank, NULL };
static const Property adc_props[] = { DEFINE_PROP_BOOL("f1", Adc, f1, 0, "the bits of STM32F1"), DEFINE_PROP_END };
static const char *const adc_out[] = { "irq", "dma", NULL };

static const StateField adc_state[] = { STATE_U8(Adc, rank), STATE_END_OF_TABLE };

static bool adc_loaded(Device *d, Error **errp)
{
    ((Adc *)d)->rank &= 15;
    return true;
}

static void adc_reset(Device *d, ResetPhase phase)
{
    if (phase == RESET_ENTER)
        ((Adc *)d)->rank = 0;
    if (phase == RESET_HOLD)
        adc_update((Adc *)d);
}

static const DeviceType adc_type = {
    .name = "stm32-adc",
    .desc = "STM32 analogue to digital converter",
    .category = "Misc",
    .size = sizeof(Adc),
    .banks = adc_banks,
    .props = adc_props,
    .state = adc_state,
    .out_pins = adc_out,
    .reset = adc_reset,
    .loaded = adc_loaded,
};
DEVICE_REGISTER(adc_type)

/*
 * --- identification: DBGMCU (RM0041, 25.6; RM0090, 38.16) and, as region 1, the electronic signature (RM0041, 26;
 * RM0090, 39) ---
 */

typedef struct Ident {
    Device dev; /* always first */
    uint32_t idcode, kib, debug[3];
    bool f1;
} Ident;

static uint64_t idcode_read(Device *d, const Reg *r, unsigned i, uint64_t stored) { return ((Ident *)d)->idcode; }
/* F4: a unique number at 0x10, KiB of flash at 0x22; F1: KiB at 0, a unique number at 8. */
static uint64_t signature_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    const Ident *s = (const Ident *)d;
    static const uint32_t unique[3] = { 0x00480024, 0x3436470f, 0x30353932 };
    unsigned first = s->f1 ? 2 : 4;
    if (i >= first && i < first + 3)
        return unique[i - first];
    return i != (s->f1 ? 0 : 8) ? UINT32_MAX : s->f1 ? 0xffff0000 | s->kib : s->kib << 16 | 0xffff;
}
static const Reg debug_regs[] = {
    { .name = "IDCODE", .at = 0, .size = 4, .field = REG_NO_FIELD, .read = idcode_read, .access = REG_RO },
    { .name = "CR", .at = 4, .size = 4, .count = 3, .field = offsetof(Ident, debug) }, { .name = NULL },
};
static const Reg signature_regs[] = {
    { .name = "SIGNATURE",
      .at = 0,
      .size = 4,
      .count = 12,
      .field = REG_NO_FIELD,
      .read = signature_read,
      .access = REG_RO },
    { .name = NULL },
};
static const RegBank debug_bank = { .name = "dbgmcu", .size = 0x400, .regs = debug_regs },
                     signature_bank = { .name = "signature", .size = 0x30, .regs = signature_regs };
static const RegBank *const ident_banks[] = { &debug_bank, &signature_bank, NULL };
static const Property ident_props[] = {
    DEFINE_PROP_U32("idcode", Ident, idcode, 0x10076413, "DBGMCU_IDCODE"),
    DEFINE_PROP_U32("flash-kib", Ident, kib, 1024, "KiB of flash"),
    DEFINE_PROP_BOOL("f1", Ident, f1, 0, "the layout of STM32F1"),
    DEFINE_PROP_END,
};
static const DeviceType ident_type = { .name = "stm32-ident",
                                       .desc = "STM32 identification",
                                       .category = "Misc",
                                       .size = sizeof(Ident),
                                       .banks = ident_banks,
                                       .props = ident_props };
DEVICE_REGISTER(ident_type)
