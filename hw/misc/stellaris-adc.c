/* SPDX-License-Identifier: MIT */
/*
 * ADC of the LM3S6965 (data sheet DS-LM3S6965, chapter 12): four sample sequencers that the processor starts. A
 * sequence takes no time; input n gives n + 1 fifths of the range, the temperature sensor 25 degrees.
 */
#include "base/bits.h"
#include "hw/core/device.h"

enum { SEQUENCERS = 4, FIFO = 8, CTL_END = 2, CTL_IE = 4, CTL_TS = 8, EMPTY = 0x100, FULL = 0x1000 };
static const uint8_t depth[SEQUENCERS] = { 8, 4, 4, 1 };

typedef struct StellarisAdc {
    Device dev; /* always first */
    uint32_t actss, ris, im, ostat, emux, ustat, sspri, sac, mux[SEQUENCERS], ctl[SEQUENCERS];
    uint16_t fifo[SEQUENCERS * FIFO];
    uint8_t head[SEQUENCERS], count[SEQUENCERS];
} StellarisAdc;

static void update(StellarisAdc *s)
{
    for (unsigned n = 0; n < SEQUENCERS; n++)
        device_out(&s->dev, n, s->ris & s->im & 1u << n ? 1 : 0);
}

static void run(StellarisAdc *s, unsigned n)
{
    for (unsigned i = 0; i < depth[n]; i++) {
        uint32_t ctl = s->ctl[n] >> 4 * i & 15, input = s->mux[n] >> 4 * i & 3;
        uint16_t v = ctl & CTL_TS ? 557 : (uint16_t)((input + 1) * 0x3ff / 5);
        if (s->count[n] < depth[n])
            s->fifo[n * FIFO + (s->head[n] + s->count[n]++) % depth[n]] = v;
        else
            s->ostat |= 1u << n;
        if (ctl & CTL_IE)
            s->ris |= 1u << n;
        if (ctl & CTL_END)
            break;
    }
}

static uint64_t fifo_read(Device *d, const Reg *r, unsigned n, uint64_t stored)
{
    StellarisAdc *s = (StellarisAdc *)d;
    uint16_t v = s->fifo[n * FIFO + s->head[n]];
    if (!s->count[n]) {
        s->ustat |= 1u << n;
        return v;
    }
    s->head[n] = (uint8_t)((s->head[n] + 1) % depth[n]);
    s->count[n]--;
    return v;
}

static uint64_t fstat_read(Device *d, const Reg *r, unsigned n, uint64_t stored)
{
    const StellarisAdc *s = (StellarisAdc *)d;
    return (uint32_t)s->head[n] | (s->head[n] + s->count[n]) % depth[n] << 4 | (s->count[n] ? 0 : EMPTY) |
           (s->count[n] == depth[n] ? FULL : 0);
}

static uint64_t isc_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    return ((StellarisAdc *)d)->ris & ((StellarisAdc *)d)->im;
}

static void wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    StellarisAdc *s = (StellarisAdc *)d;
    if (r->at == 0x0c)
        s->ris &= ~(uint32_t)value;
    for (unsigned n = 0; n < SEQUENCERS && r->at == 0x28; n++) {
        if (value >> n & 1 && s->actss >> n & 1 && !(s->emux >> 4 * n & 15))
            run(s, n);
    }
    update(s);
}

#define R(n, a, f, ...) \
    { .name = n, .at = a, .size = 4, .field = offsetof(StellarisAdc, f), .wrote = wrote, __VA_ARGS__ }
#define N(n, a, ...) { .name = n, .at = a, .size = 4, .count = SEQUENCERS, .stride = 0x20, __VA_ARGS__ }
static const Reg regs[] = {
    R("ADCACTSS", 0x00, actss, .rsvd = 0xfffffff0),
    R("ADCRIS", 0x04, ris, .access = REG_RO),
    R("ADCIM", 0x08, im, .rsvd = 0xfffffff0),
    { .name = "ADCISC", .at = 0x0c, .size = 4, .field = REG_NO_FIELD, .read = isc_read, .wrote = wrote },
    R("ADCOSTAT", 0x10, ostat, .w1c = 15),
    R("ADCEMUX", 0x14, emux),
    R("ADCUSTAT", 0x18, ustat, .w1c = 15),
    R("ADCSSPRI", 0x20, sspri, .reset = 0x3210),
    { .name = "ADCPSSI", .at = 0x28, .size = 4, .field = REG_NO_FIELD, .wrote = wrote, .access = REG_WO },
    R("ADCSAC", 0x30, sac),
    N("ADCSSMUX", 0x40, .field = offsetof(StellarisAdc, mux)),
    N("ADCSSCTL", 0x44, .field = offsetof(StellarisAdc, ctl)),
    N("ADCSSFIFO", 0x48, .field = REG_NO_FIELD, .read = fifo_read, .access = REG_RO),
    N("ADCSSFSTAT", 0x4c, .field = REG_NO_FIELD, .read = fstat_read, .access = REG_RO),
    { .name = NULL },
};
static const RegBank bank = { .name = "regs", .size = 0x1000, .regs = regs };
static const RegBank *const banks[] = { &bank, NULL };
static const StateField state[] = {
    STATE_U16_ARRAY(StellarisAdc, fifo),
    STATE_U8_ARRAY(StellarisAdc, head),
    STATE_U8_ARRAY(StellarisAdc, count),
    STATE_END_OF_TABLE,
};
static const char *const pins[] = { "irq*4", NULL };

static void reset(Device *d, ResetPhase phase)
{
    StellarisAdc *s = (StellarisAdc *)d;
    if (phase == RESET_ENTER) {
        memset(s->head, 0, sizeof s->head);
        memset(s->count, 0, sizeof s->count);
    } else if (phase == RESET_HOLD) {
        update(s);
    }
}

static bool loaded(Device *d, Error **errp)
{
    StellarisAdc *s = (StellarisAdc *)d;
    for (unsigned n = 0; n < SEQUENCERS; n++) {
        s->head[n] %= depth[n];
        s->count[n] = MIN(s->count[n], depth[n]);
    }
    return true;
}

static const DeviceType stellaris_adc_type = {
    .name = "stellaris-adc",
    .desc = "Stellaris ADC",
    .category = "Misc",
    .size = sizeof(StellarisAdc),
    .banks = banks,
    .state = state,
    .out_pins = pins,
    .reset = reset,
    .loaded = loaded,
};
DEVICE_REGISTER(stellaris_adc_type)
