/* SPDX-License-Identifier: MIT */
/*
 * Real-time clock and backup registers of STM32F1 (RM0041, chapters 17 and 6): a counter of 32 bits behind a prescaler.
 * A reset of the machine leaves counter, prescaler, alarm and backup registers alone; BDRST of RCC clears them.
 */
#include "base/bits.h"
#include "base/log.h"
#include "hw/core/device.h"
#include "hw/timer/ticks.h"

enum { CRH, CRL, PRLH, PRLL, DIVH, DIVL, CNTH, CNTL, ALRH, ALRL, RTC_WORDS };
enum { SECF = 1, ALRF = 2, OWF = 4, RSF = 8, CNF = 16, RTOFF = 32 };
enum { PIN_IRQ, PIN_ALARM, IN_CLOCK = 0, IN_OPEN = 1, BACKUP_RESET = -1, BKP_WORDS = 16 };

typedef struct F1Rtc {
    Device dev; /* always first */
    Ticks t;              /* what the counter counts, without the 32 bits' wrap */
    uint64_t seen;
    uint32_t prl, alr, hz, bkp[BKP_WORDS];
    uint8_t flags, enables; /* SECF, ALRF, OWF */
    bool config, open;      /* CNF; DBP of PWR */
    Timer *timer;
} F1Rtc;

static uint64_t next_alarm(const F1Rtc *s, uint64_t from)
{
    uint64_t at = (from & ~UINT64_C(0xffffffff)) + s->alr;
    return at > from ? at : at + (UINT64_C(1) << 32);
}

static void update(F1Rtc *s)
{
    device_out(&s->dev, PIN_IRQ, (s->flags & s->enables) != 0);
    device_out(&s->dev, PIN_ALARM, (s->flags & ALRF) != 0);
}

static void advance(void *opaque)
{
    F1Rtc *s = opaque;
    uint64_t now = ticks_get(&s->t);
    if (now > s->seen)
        s->flags |= SECF;
    if (next_alarm(s, s->seen) <= now)
        s->flags |= ALRF;
    if (now >> 32 != s->seen >> 32)
        s->flags |= OWF;
    s->seen = MAX(now, s->seen);
    uint64_t when = MIN(next_alarm(s, s->seen), (s->seen | 0xffffffff) + 1);
    if (s->enables & SECF && !(s->flags & SECF))
        when = s->seen + 1;
    int64_t ns = ticks_when(&s->t, when);
    if (ns == INT64_MAX)
        timer_cancel(s->timer);
    else
        timer_arm(s->timer, ns);
    update(s);
}

static void restart(F1Rtc *s, uint32_t count)
{
    ticks_rate(&s->t, s->hz, (s->prl & 0xfffff) + UINT64_C(1));
    ticks_set(&s->t, count);
    s->seen = count;
    ticks_run(&s->t, s->hz != 0);
}

/* What the prescaler has left of this count. */
static uint32_t divider(const F1Rtc *s)
{
    if (!s->t.running)
        return s->prl;
    uint64_t ns = (uint64_t)clock_ns(CLOCK_VIRTUAL_NS) - s->t.since_ns, period = (uint64_t)s->prl + 1;
    return (uint32_t)(s->prl - (uint64_t)((unsigned __int128)ns * s->t.hz / TICKS_NS_PER_S % period));
}

static uint64_t rtc_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    F1Rtc *s = (F1Rtc *)d;
    advance(s);
    switch (i) {
    case CRH: return s->enables;
    case CRL: return s->flags | RSF | (s->config ? CNF : 0) | RTOFF;
    case DIVH: return divider(s) >> 16;
    case DIVL: return divider(s) & 0xffff;
    case CNTH: return ticks_get(&s->t) >> 16 & 0xffff;
    case CNTL: return ticks_get(&s->t) & 0xffff;
    default: return 0; /* prescaler and alarm are write only */
    }
}

static void set_half(uint32_t *word, bool high, uint32_t v)
{
    *word = high ? (*word & 0xffff) | v << 16 : (*word & 0xffff0000) | v;
}

static void rtc_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    F1Rtc *s = (F1Rtc *)d;
    uint32_t v = (uint32_t)value & 0xffff, count;
    advance(s);
    if (i >= PRLH && (!s->open || !s->config)) {
        log_guest_error(d->id, "write to register 0x%02x is ignored: %s", i * 4,
                        s->open ? "CNF is clear" : "DBP of PWR_CR is clear");
        return;
    }
    count = (uint32_t)ticks_get(&s->t);
    switch (i) {
    case CRH: s->enables = v & 7; break;
    case CRL:
        s->flags &= (uint8_t)v;
        s->config = v & CNF;
        break;
    case PRLH: case PRLL:
        set_half(&s->prl, i == PRLH, v);
        s->prl &= 0xfffff;
        restart(s, count);
        break;
    case CNTH: case CNTL:
        set_half(&count, i == CNTH, v);
        restart(s, count);
        break;
    case ALRH: case ALRL: set_half(&s->alr, i == ALRH, v); break;
    }
    advance(s);
}

/* DR1-DR10 at words 1-10, RTCCR, CR, CSR behind them. */
static uint64_t bkp_read(Device *d, const Reg *r, unsigned i, uint64_t stored) { return ((F1Rtc *)d)->bkp[i]; }

static void bkp_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    F1Rtc *s = (F1Rtc *)d;
    if (s->open)
        s->bkp[i] = i ? (uint32_t)value & 0xffff : 0;
    else
        log_guest_error(d->id, "write to backup register %u is ignored: DBP of PWR_CR is clear", i);
}

static void backup_reset(F1Rtc *s)
{
    memset(s->bkp, 0, sizeof s->bkp);
    s->prl = 0x8000;
    s->alr = UINT32_MAX;
    restart(s, 0);
}

/* IN_CLOCK: the frequency that RCC gives it, or BACKUP_RESET. */
static void input(Device *d, unsigned pin, int level)
{
    F1Rtc *s = (F1Rtc *)d;
    uint32_t count = (uint32_t)ticks_get(&s->t);
    if (pin == IN_OPEN) {
        s->open = level != 0;
        return;
    }
    if (level == BACKUP_RESET) {
        backup_reset(s);
    } else if (s->hz != (uint32_t)level) {
        s->hz = (uint32_t)level;
        ticks_run(&s->t, false);
        restart(s, count);
    }
    advance(s);
}

static const Reg rtc_regs[] = {
    { .name = "RTC",
      .at = 0,
      .size = 4,
      .count = RTC_WORDS,
      .field = REG_NO_FIELD,
      .read = rtc_read,
      .wrote = rtc_wrote },
    { .name = NULL },
};
static const Reg bkp_regs[] = {
    { .name = "BKP",
      .at = 0,
      .size = 4,
      .count = BKP_WORDS,
      .field = REG_NO_FIELD,
      .read = bkp_read,
      .wrote = bkp_wrote },
    { .name = NULL },
};
static const RegBank rtc_bank = { .name = "rtc", .size = 0x400, .regs = rtc_regs },
                     bkp_bank = { .name = "bkp", .size = 0x400, .regs = bkp_regs };
static const RegBank *const banks[] = { &rtc_bank, &bkp_bank, NULL };
static const StateField state[] = {
    STATE_STRUCT(F1Rtc, t, ticks_state),
    STATE_U64(F1Rtc, seen),
    STATE_U32(F1Rtc, prl),
    STATE_U32(F1Rtc, alr),
    STATE_U32(F1Rtc, hz),
    STATE_U32_ARRAY(F1Rtc, bkp),
    STATE_U8(F1Rtc, flags),
    STATE_U8(F1Rtc, enables),
    STATE_BOOL(F1Rtc, config),
    STATE_BOOL(F1Rtc, open),
    STATE_TIMER(F1Rtc, timer),
    STATE_END_OF_TABLE,
};
static const char *const out_pins[] = { "irq", "alarm", NULL }, *const in_pins[] = { "clock", "open", NULL };

static void init(Device *d)
{
    F1Rtc *s = (F1Rtc *)d;
    s->timer = timer_new(CLOCK_VIRTUAL_NS, d->domain, advance, d);
    backup_reset(s);
}

static void stop(Device *d) { timer_free(((F1Rtc *)d)->timer); }

static void reset(Device *d, ResetPhase phase)
{
    F1Rtc *s = (F1Rtc *)d;
    if (phase == RESET_ENTER)
        s->flags = s->enables = 0, s->config = false;
    else if (phase == RESET_HOLD)
        update(s);
}

static bool loaded(Device *d, Error **errp)
{
    F1Rtc *s = (F1Rtc *)d;
    s->prl &= 0xfffff;
    s->hz = MIN(s->hz, 100000000u);
    ticks_loaded(&s->t, s->hz);
    return true;
}

static const DeviceType f1_rtc_type = {
    .name = "stm32f1xx-rtc",
    .desc = "STM32F1 real-time clock and backup registers",
    .category = "Misc",
    .size = sizeof(F1Rtc),
    .banks = banks,
    .state = state,
    .out_pins = out_pins,
    .in_pins = in_pins,
    .input = input,
    .init = init,
    .reset = reset,
    .loaded = loaded,
    .stop = stop,
};
DEVICE_REGISTER(f1_rtc_type)
