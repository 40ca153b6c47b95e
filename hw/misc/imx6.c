/* SPDX-License-Identifier: MIT */
/*
 * System parts of i.MX6 (IMX6DQRM): clock controller (18), its analog part (CCM_ANALOG, 18.7), reset controller (60),
 * secure storage's clock (SNVS, 57).
 */
#include "hw/misc/imx6.h"

#include "base/bits.h"
#include "hw/core/machine.h"

typedef struct Preset {
    uint16_t at;
    uint32_t value;
} Preset;

/* ---- clock controller: all clocks run; handshakes are over at once ---- */

enum { CCM_WORDS = 0x8c / 4, CDHIPR = 0x48 / 4 };

typedef struct Ccm {
    Device dev; /* always first */
    uint32_t reg[CCM_WORDS];
} Ccm;

static const Preset ccm_preset[] = {
    { 0x00, 0x040116ff }, { 0x08, 0x10 },       { 0x14, 0x00018d00 }, { 0x18, 0x00022324 }, { 0x1c, 0x00f00000 },
    { 0x20, 0x02b92f06 }, { 0x24, 0x00490b00 }, { 0x28, 0x0ec102c1 }, { 0x2c, 0x000736c1 }, { 0x30, 0x33f71f92 },
    { 0x34, 0x0002a150 }, { 0x38, 0x0002a150 }, { 0x3c, 0x00014841 }, { 0x54, 0x79 },       { 0x5c, UINT32_MAX },
    { 0x60, 0x000a0001 }, { 0x64, 0xfe62 },     { 0x68, UINT32_MAX }, { 0x6c, UINT32_MAX }, { 0x70, UINT32_MAX },
    { 0x74, UINT32_MAX }, { 0x78, UINT32_MAX }, { 0x7c, UINT32_MAX }, { 0x80, UINT32_MAX }, { 0x88, UINT32_MAX },
};

static uint64_t ccm_read(Device *d, const Reg *r, unsigned i, uint64_t stored) { return i == CDHIPR ? 0 : stored; }
static const Reg ccm_regs[] = {
    { .name = "CCM",
      .at = 0,
      .size = 4,
      .count = CCM_WORDS,
      .stride = 4,
      .field = offsetof(Ccm, reg),
      .read = ccm_read },
    { .name = NULL },
};
static const RegBank ccm_bank = { .name = "regs", .size = 0x4000, .regs = ccm_regs };
static const RegBank *const ccm_banks[] = { &ccm_bank, NULL };
static void ccm_reset(Device *d, ResetPhase phase)
{
    for (unsigned i = 0; phase == RESET_ENTER && i < ARRAY_LEN(ccm_preset); i++)
        ((Ccm *)d)->reg[ccm_preset[i].at / 4] = ccm_preset[i].value;
}
static const DeviceType ccm_type = { .name = "imx6.ccm",
                                     .desc = "i.MX6 clock controller",
                                     .category = "Misc",
                                     .size = sizeof(Ccm),
                                     .banks = ccm_banks,
                                     .reset = ccm_reset };
DEVICE_REGISTER(ccm_type)

/* ---- analog: each register with set, clear and toggle aliases behind it; loops have locked ---- */

enum { ANALOG_REGS = 0x270 / 16, PLL_LAST = 0xe0 / 16, TEMPSENSE = 0x180 / 16, TEMP_FINISHED = 4 };

typedef struct Analog {
    Device dev; /* always first */
    uint32_t reg[ANALOG_REGS];
} Analog;

static const Preset analog_preset[] = {
    { 0x00, 0x00013042 },  { 0x10, 0x00012000 },  { 0x20, 0x00012000 },  { 0x30, 0x00013001 },  { 0x60, 0x12 },
    { 0x70, 0x00011006 },  { 0x80, 0x05f5e100 },  { 0x90, 0x2964619c },  { 0xa0, 0x0001100c },  { 0xb0, 0x05f5e100 },
    { 0xc0, 0x10a24447 },  { 0xd0, 0x00010000 },  { 0xe0, 0x00011001 },  { 0xf0, 0x1311100c },  { 0x100, 0x1018101b },
    { 0x110, 0x00001073 }, { 0x120, 0x00000f74 }, { 0x130, 0x00001073 }, { 0x140, 0x00402010 }, { 0x150, 0x04000000 },
    { 0x170, 0x00272727 }, { 0x180, 0x00000001 }, { 0x260, 0x00630005 }, /* i.MX6Q, silicon 1.5 */
};

static uint64_t analog_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    unsigned n = i / 4;
    uint32_t v = ((Analog *)d)->reg[n];
    bool loop = n <= PLL_LAST && (n < 4 || n == 7 || n == 10 || n >= 13);
    return v | (loop ? 1u << 31 : 0) | (n == TEMPSENSE ? TEMP_FINISHED : 0);
}
static void analog_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    uint32_t *reg = &((Analog *)d)->reg[i / 4], v = (uint32_t)value;
    if (i / 4 == ANALOG_REGS - 1) /* the identity */
        return;
    *reg = i % 4 == 0 ? v : i % 4 == 1 ? *reg | v : i % 4 == 2 ? *reg & ~v : *reg ^ v;
}
static const Reg analog_regs[] = {
    { .name = "ANALOG",
      .at = 0,
      .size = 4,
      .count = ANALOG_REGS * 4,
      .stride = 4,
      .field = REG_NO_FIELD,
      .read = analog_read,
      .wrote = analog_wrote },
    { .name = NULL },
};
static const RegBank analog_bank = { .name = "regs", .size = 0x1000, .regs = analog_regs };
static const RegBank *const analog_banks[] = { &analog_bank, NULL };
static const StateField analog_state[] = { STATE_U32_ARRAY(Analog, reg), STATE_END_OF_TABLE };
static void analog_reset(Device *d, ResetPhase phase)
{
    if (phase != RESET_ENTER)
        return;
    memset(((Analog *)d)->reg, 0, sizeof ((Analog *)d)->reg);
    for (unsigned i = 0; i < ARRAY_LEN(analog_preset); i++)
        ((Analog *)d)->reg[analog_preset[i].at / 16] = analog_preset[i].value;
}
static const DeviceType analog_type = { .name = "imx6.analog",
                                        .desc = "i.MX6 analog clock part",
                                        .category = "Misc",
                                        .size = sizeof(Analog),
                                        .banks = analog_banks,
                                        .state = analog_state,
                                        .reset = analog_reset };
DEVICE_REGISTER(analog_type)

/* ---- reset controller: cores 1 to 3 are enabled by software ---- */

enum { SCR_RESETS = 0x1e01e, SCR_ENABLE = 22, CORES = 4 };

typedef struct Src {
    Device dev; /* always first */
    uint32_t scr, srsr, simr, gpr[10];
} Src;

uint32_t imx6_src_entry(const Device *d, unsigned cpu, uint32_t *argument)
{
    *argument = ((const Src *)d)->gpr[cpu * 2 + 1];
    return ((const Src *)d)->gpr[cpu * 2];
}

static void scr_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Src *s = (Src *)d;
    s->scr &= ~(uint32_t)SCR_RESETS; /* over at once */
    for (unsigned cpu = 1; cpu < CORES; cpu++) {
        unsigned bit = SCR_ENABLE + cpu - 1;
        if (value >> bit & 1 && !(old >> bit & 1)) {
            device_out(d, cpu, 1);
            device_out(d, cpu, 0);
        }
    }
}
static uint64_t sbmr_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    return r->at == 0x1c ? 0x02000000 : 0;
}

static const Reg src_regs[] = {
    { .name = "SCR", .at = 0x00, .size = 4, .field = offsetof(Src, scr), .reset = 0x521, .wrote = scr_wrote },
    { .name = "SBMR1", .at = 0x04, .size = 4, .field = REG_NO_FIELD, .read = sbmr_read, .access = REG_RO },
    { .name = "SRSR", .at = 0x08, .size = 4, .field = offsetof(Src, srsr), .reset = 1, .w1c = 0x1007f },
    { .name = "SISR", .at = 0x14, .size = 4, .field = REG_NO_FIELD, .access = REG_RO },
    { .name = "SIMR", .at = 0x18, .size = 4, .field = offsetof(Src, simr), .reset = 0x1f },
    { .name = "SBMR2", .at = 0x1c, .size = 4, .field = REG_NO_FIELD, .read = sbmr_read, .access = REG_RO },
    { .name = "GPR", .at = 0x20, .size = 4, .count = 10, .stride = 4, .field = offsetof(Src, gpr) }, { .name = NULL },
};
static const RegBank src_bank = { .name = "regs", .size = 0x4000, .regs = src_regs };
static const RegBank *const src_banks[] = { &src_bank, NULL };
static const char *const src_pins[] = { "start*4", NULL };
static const DeviceType src_type = { .name = "imx6.src",
                                     .desc = "i.MX6 reset controller",
                                     .category = "Misc",
                                     .size = sizeof(Src),
                                     .banks = src_banks,
                                     .out_pins = src_pins };
DEVICE_REGISTER(src_type)

/* ---- SNVS: the low-power clock (47 bits at 32768 Hz) and the switch-off bits ---- */

enum {
    LPCR_DP_EN = 1 << 5,
    LPCR_TOP = 1 << 6,
    SNVS_WORDS = 0x100 / 4,
    LPCR = 0x38 / 4,
    RTC_HIGH = 0x50 / 4,
    RTC_LOW = 0x54 / 4
};

typedef struct Snvs {
    Device dev; /* always first */
    uint32_t reg[SNVS_WORDS];
} Snvs;

static uint64_t snvs_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    uint64_t t = (uint64_t)((unsigned __int128)(uint64_t)clock_ns(CLOCK_HOST_NS) * 32768 / 1000000000);
    return i == RTC_HIGH ? (t >> 32 & 0x7fff) : i == RTC_LOW ? (uint32_t)t : stored;
}
static void snvs_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    if (i == LPCR && value & LPCR_TOP && value & LPCR_DP_EN)
        machine_request_shutdown(CAUSE_GUEST_SHUTDOWN);
}
static const Reg snvs_regs[] = {
    { .name = "SNVS",
      .at = 0,
      .size = 4,
      .count = SNVS_WORDS,
      .stride = 4,
      .field = offsetof(Snvs, reg),
      .read = snvs_read,
      .wrote = snvs_wrote },
    { .name = NULL },
};
static const RegBank snvs_bank = { .name = "regs", .size = 0x4000, .regs = snvs_regs };
static const RegBank *const snvs_banks[] = { &snvs_bank, NULL };
static const DeviceType snvs_type = { .name = "imx7.snvs",
                                      .desc = "i.MX secure storage's clock",
                                      .category = "Misc",
                                      .size = sizeof(Snvs),
                                      .banks = snvs_banks };
DEVICE_REGISTER(snvs_type)

/* ---- watchdog (70): 16-bit registers; a cleared SRS bit resets at once ---- */

enum { WCR_SRS = 16, WCR_WDE = 4 };

typedef struct Wdog {
    Device dev; /* always first */
    uint16_t wcr, wsr, wicr, wmcr;
    Timer *timer;
} Wdog;

static void wdog_expired(void *opaque) { machine_request_reset(CAUSE_GUEST_RESET); }
static void wdog_reload(Wdog *s)
{
    if (s->wcr & WCR_WDE)
        timer_arm(s->timer, clock_ns(CLOCK_VIRTUAL_NS) + ((s->wcr >> 8) + 1) * INT64_C(500000000));
    else
        timer_cancel(s->timer);
}
static void wcr_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Wdog *s = (Wdog *)d;
    s->wcr |= old & WCR_WDE; /* only a reset turns it off */
    if (!(value & WCR_SRS))
        machine_request_reset(CAUSE_GUEST_RESET);
    if (s->wcr & WCR_WDE && !(old & WCR_WDE))
        wdog_reload(s);
}
static void wsr_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    if (old == 0x5555 && value == 0xaaaa)
        wdog_reload((Wdog *)d);
}
static const Reg wdog_regs[] = {
    { .name = "WCR", .at = 0, .size = 2, .field = offsetof(Wdog, wcr), .reset = 0x30, .wrote = wcr_wrote },
    { .name = "WSR", .at = 2, .size = 2, .field = offsetof(Wdog, wsr), .wrote = wsr_wrote },
    { .name = "WRSR", .at = 4, .size = 2, .field = REG_NO_FIELD, .access = REG_RO },
    { .name = "WICR", .at = 6, .size = 2, .field = offsetof(Wdog, wicr), .reset = 4 },
    { .name = "WMCR", .at = 8, .size = 2, .field = offsetof(Wdog, wmcr), .reset = 1 }, { .name = NULL },
};
static const RegBank wdog_bank = { .name = "regs", .size = 0x4000, .regs = wdog_regs };
static const RegBank *const wdog_banks[] = { &wdog_bank, NULL };
static const StateField wdog_state[] = { STATE_TIMER(Wdog, timer), STATE_END_OF_TABLE };
static void wdog_init(Device *d) { ((Wdog *)d)->timer = timer_new(CLOCK_VIRTUAL_NS, d->domain, wdog_expired, d); }
static void wdog_stop(Device *d) { timer_free(((Wdog *)d)->timer); }
static void wdog_reset(Device *d, ResetPhase phase)
{
    if (phase == RESET_ENTER)
        timer_cancel(((Wdog *)d)->timer);
}
static const DeviceType wdog_type = { .name = "imx2.wdt",
                                      .desc = "i.MX watchdog",
                                      .category = "Watchdog",
                                      .size = sizeof(Wdog),
                                      .banks = wdog_banks,
                                      .state = wdog_state,
                                      .init = wdog_init,
                                      .reset = wdog_reset,
                                      .stop = wdog_stop };
DEVICE_REGISTER(wdog_type)
