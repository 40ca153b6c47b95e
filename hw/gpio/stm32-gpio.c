/* SPDX-License-Identifier: MIT */
/*
 * GPIO ports of STM32F4 (RM0090, chapter 8) and STM32F1 (RM0041, chapter 7). Inputs that nothing drives follow their
 * pull.
 */
#include "base/bits.h"
#include "hw/core/device.h"

enum { PINS = 16 };

typedef struct Stm32Gpio {
    Device dev; /* always first */
    uint32_t moder, otyper, ospeedr, pupdr, odr, lckr, afr[2]; /* F4 */
    uint32_t cr[2];                                            /* F1: CRL, CRH; odr and lckr shared */
    uint32_t driven, level, moder_reset, ospeedr_reset, pupdr_reset;
    bool f1;
} Stm32Gpio;

static bool is_output(const Stm32Gpio *s, unsigned pin)
{
    return s->f1 ? s->cr[pin / 8] >> pin % 8 * 4 & 3 : (s->moder >> 2 * pin & 3) == 1;
}

static bool pulled_up(const Stm32Gpio *s, unsigned pin)
{
    return s->f1 ? (s->cr[pin / 8] >> pin % 8 * 4 & 15) == 8 && s->odr >> pin & 1 : (s->pupdr >> 2 * pin & 3) == 1;
}

static uint32_t idr(const Stm32Gpio *s)
{
    uint32_t v = 0;
    for (unsigned i = 0; i < PINS; i++) {
        bool on = is_output(s, i) ? s->odr >> i & 1 : s->driven >> i & 1 ? s->level >> i & 1 : pulled_up(s, i);
        v |= (uint32_t)on << i;
    }
    return v;
}

static void update(Stm32Gpio *s)
{
    for (unsigned i = 0; i < PINS; i++)
        device_out(&s->dev, i, is_output(s, i) && s->odr >> i & 1);
}

static uint64_t idr_read(Device *d, const Reg *r, unsigned i, uint64_t stored) { return idr((Stm32Gpio *)d); }
static void wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value) { update((Stm32Gpio *)d); }

static void bsrr_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Stm32Gpio *s = (Stm32Gpio *)d;
    s->odr = (s->odr & ~(uint32_t)(value >> 16)) | (value & 0xffff);
    update(s);
}

static void brr_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    bsrr_wrote(d, r, i, old, value << 16);
}

#define R(n, a, f) { .name = n, .at = a, .size = 4, .field = offsetof(Stm32Gpio, f), .wrote = wrote }
static const Reg f4_regs[] = {
    R("MODER", 0x00, moder), R("OTYPER", 0x04, otyper), R("OSPEEDR", 0x08, ospeedr), R("PUPDR", 0x0c, pupdr),
    { .name = "IDR", .at = 0x10, .size = 4, .field = REG_NO_FIELD, .read = idr_read, .access = REG_RO },
    { .name = "ODR", .at = 0x14, .size = 4, .field = offsetof(Stm32Gpio, odr), .rsvd = 0xffff0000, .wrote = wrote },
    { .name = "BSRR", .at = 0x18, .size = 4, .field = REG_NO_FIELD, .wrote = bsrr_wrote }, R("LCKR", 0x1c, lckr),
    { .name = "AFR", .at = 0x20, .size = 4, .count = 2, .field = offsetof(Stm32Gpio, afr) },
    { .name = NULL },
};
static const Reg f1_regs[] = {
    { .name = "CR",
      .at = 0x00,
      .size = 4,
      .count = 2,
      .field = offsetof(Stm32Gpio, cr),
      .reset = 0x44444444,
      .wrote = wrote },
    { .name = "IDR", .at = 0x08, .size = 4, .field = REG_NO_FIELD, .read = idr_read, .access = REG_RO },
    { .name = "ODR", .at = 0x0c, .size = 4, .field = offsetof(Stm32Gpio, odr), .rsvd = 0xffff0000, .wrote = wrote },
    { .name = "BSRR", .at = 0x10, .size = 4, .field = REG_NO_FIELD, .wrote = bsrr_wrote },
    { .name = "BRR", .at = 0x14, .size = 4, .field = REG_NO_FIELD, .wrote = brr_wrote },
    R("LCKR", 0x18, lckr),
    { .name = NULL },
};
static const RegBank f4_bank = { .name = "regs", .size = 0x400, .regs = f4_regs },
                     f1_bank = { .name = "regs", .size = 0x400, .regs = f1_regs };
static const RegBank *const f4_banks[] = { &f4_bank, NULL }, *const f1_banks[] = { &f1_bank, NULL };
static const StateField state[] = { STATE_U32(Stm32Gpio, driven), STATE_U32(Stm32Gpio, level), STATE_END_OF_TABLE };
static const Property props[] = {
    DEFINE_PROP_U32("moder-reset", Stm32Gpio, moder_reset, 0, "reset value of MODER"),
    DEFINE_PROP_U32("ospeedr-reset", Stm32Gpio, ospeedr_reset, 0, "reset value of OSPEEDR"),
    DEFINE_PROP_U32("pupdr-reset", Stm32Gpio, pupdr_reset, 0, "reset value of PUPDR"), DEFINE_PROP_END,
};
static const char *const outs[] = { "out*16", NULL }, *const ins[] = { "in*16", NULL };

static void input_pin(Device *d, unsigned pin, int level)
{
    Stm32Gpio *s = (Stm32Gpio *)d;
    s->driven |= 1u << pin;
    s->level = (s->level & ~(1u << pin)) | (uint32_t)!!level << pin;
}

static void f1_init(Device *d) { ((Stm32Gpio *)d)->f1 = true; }

static void reset(Device *d, ResetPhase phase)
{
    Stm32Gpio *s = (Stm32Gpio *)d;
    if (phase == RESET_ENTER)
        s->moder = s->moder_reset, s->ospeedr = s->ospeedr_reset, s->pupdr = s->pupdr_reset;
    else if (phase == RESET_HOLD)
        update(s);
}

#define COMMON \
    .category = "Misc", .size = sizeof(Stm32Gpio), .state = state, .out_pins = outs, .in_pins = ins, .reset = reset, \
        .input = input_pin
static const DeviceType f4_type = {
    .name = "stm32f4xx-gpio", .desc = "STM32F4 GPIO port", COMMON, .banks = f4_banks, .props = props
};
static const DeviceType f1_type = {
    .name = "stm32f1xx-gpio", .desc = "STM32F1 GPIO port", COMMON, .banks = f1_banks, .init = f1_init
};
DEVICE_REGISTER(f4_type)
DEVICE_REGISTER(f1_type)
