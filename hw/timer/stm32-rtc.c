/* SPDX-License-Identifier: MIT */
/*
 * Real-time clock of STM32F4 (RM0090, chapter 26): calendar, two alarms, wake-up timer, backup registers. All of it
 * lies in the backup domain: a reset of the machine leaves it alone, BDRST of RCC does not. Writes take effect at once;
 * timestamp and tamper are not modelled.
 */
#include "base/bits.h"
#include "base/log.h"
#include "hw/core/device.h"
#include "hw/timer/calendar.h"
#include "hw/timer/ticks.h"

enum {
    TR = 0x00,
    DR = 0x04,
    CR = 0x08,
    ISR = 0x0c,
    PRER = 0x10,
    WUTR = 0x14,
    ALRMAR = 0x1c,
    ALRMBR = 0x20,
    WPR = 0x24,
    SSR = 0x28,
    SHIFTR = 0x2c,
    ALRMASSR = 0x44,
    ALRMBSSR = 0x48,
    BKPR = 0x50,
    WORDS = 0xa0 / 4
};
enum { CR_FMT = 1 << 6, CR_ALRAE = 1 << 8, CR_WUTE = 1 << 10, CR_ALRAIE = 1 << 12, CR_WUTIE = 1 << 14 };
enum { ISR_INIT = 1 << 7, ISR_ALRAF = 1 << 8, ISR_WUTF = 1 << 10 };
enum { PIN_ALARM, PIN_WAKEUP, IN_CLOCK = 0, IN_OPEN = 1, BACKUP_RESET = -1 };

typedef struct Stm32Rtc {
    Device dev; /* always first */
    uint32_t reg[WORDS];
    uint8_t key;      /* of WPR: 2 is open */
    bool open;        /* PWR's DBP */
    Ticks t, wakeup;  /* ck_apre since `start`; wake-up clocks since the flag was last due */
    uint64_t start;   /* seconds of the calendar when t was 0 */
    uint8_t weekday;  /* then: 0 is Monday */
    uint32_t hz;      /* 0: no clock */
    uint64_t checked; /* alarms are done up to this count of t */
    Timer *alarm_timer, *wakeup_timer;
} Stm32Rtc;

#define W(s, at) ((s)->reg[(at) / 4])

/* --- the calendar --- */

static uint32_t prescale_a(const Stm32Rtc *s) { return (W(s, PRER) >> 16 & 0x7f) + 1; }
static uint32_t prescale_s(const Stm32Rtc *s) { return (W(s, PRER) & 0x7fff) + 1; }
static uint32_t bcd(unsigned v) { return v / 10 << 4 | v % 10; }
static unsigned unbcd(uint32_t v, uint32_t tens_mask) { return (v >> 4 & tens_mask) * 10 + (v & 15); }

/* TR and DR at a second since `start`. */
static uint32_t time_word(const Stm32Rtc *s, const CalendarTime *c)
{
    unsigned hour = c->hour;
    uint32_t pm = 0;
    if (W(s, CR) & CR_FMT) {
        pm = hour >= 12 ? 1u << 22 : 0;
        hour = (hour + 11) % 12 + 1;
    }
    return pm | bcd(hour) << 16 | bcd(c->minute) << 8 | bcd(c->second);
}

static uint32_t date_word(const CalendarTime *c, unsigned weekday)
{
    return bcd(c->year % 100) << 16 | (weekday + 1) << 13 | bcd(c->month) << 8 | bcd(c->day);
}

static void words_at(const Stm32Rtc *s, uint64_t second, uint32_t *tr, uint32_t *dr)
{
    CalendarTime c = calendar_from_seconds((int64_t)(s->start + second));
    uint64_t days = (s->start + second) / 86400 - s->start / 86400;
    *tr = time_word(s, &c);
    *dr = date_word(&c, (unsigned)((s->weekday + days) % 7));
}

/* The calendar begins to run from TR and DR. */
static void set_calendar(Stm32Rtc *s)
{
    uint32_t tr = W(s, TR), dr = W(s, DR), hour = unbcd(tr >> 16, 3);
    if (W(s, CR) & CR_FMT)
        hour = hour % 12 + (tr >> 22 & 1 ? 12 : 0);
    CalendarTime c = { .year = 2000 + unbcd(dr >> 16, 15),
                       .month = MAX(unbcd(dr >> 8, 1), 1u),
                       .day = MAX(unbcd(dr, 3), 1u),
                       .hour = hour,
                       .minute = unbcd(tr >> 8, 7),
                       .second = unbcd(tr, 7) };
    s->start = (uint64_t)calendar_to_seconds(&c);
    s->weekday = (uint8_t)(((dr >> 13 & 7) + 6) % 7);
    ticks_rate(&s->t, s->hz, prescale_a(s));
    ticks_set(&s->t, 0);
    s->checked = 0;
    ticks_run(&s->t, s->hz != 0);
}

/* The running calendar into TR and DR, and from there on: before its rate changes or it stops. */
static void hold_calendar(Stm32Rtc *s)
{
    words_at(s, ticks_get(&s->t) / prescale_s(s), &W(s, TR), &W(s, DR));
    ticks_run(&s->t, false);
}

/* --- alarms --- */

static bool matches(const Stm32Rtc *s, uint32_t alarm, uint64_t second)
{
    uint32_t tr, dr, mask = 0;
    words_at(s, second, &tr, &dr);
    mask |= alarm >> 7 & 1 ? 0 : 0x7f;
    mask |= alarm >> 15 & 1 ? 0 : 0x7f00;
    mask |= alarm >> 23 & 1 ? 0 : 0x7f0000;
    if ((tr ^ alarm) & mask)
        return false;
    if (alarm >> 31)
        return true;
    return alarm >> 30 & 1 ? (alarm >> 24 & 15) == (dr >> 13 & 7) : (alarm >> 24 & 0x3f) == (dr & 0x3f);
}

/* The next count after `from` at which alarm n may be due: its sub-seconds say so (section 26.6.19). */
static uint64_t candidate(const Stm32Rtc *s, unsigned n, uint64_t from)
{
    uint32_t ss = W(s, ALRMASSR + 4 * n), bits = ss >> 24 & 15, per = prescale_s(s), mask = (1u << bits) - 1;
    uint64_t second = (from + 1) / per;
    if (!bits)
        return (from / per + 1) * per;
    uint32_t down = per - 1 - (uint32_t)((from + 1) % per), want = ss & mask; /* SSR counts down */
    uint32_t wait = (down - want) & mask;
    if (wait <= down)
        return from + 1 + wait;
    uint32_t first = (per - 1 - want) & mask; /* of the next second */
    return first < per ? (second + 1) * per + first : UINT64_MAX;
}

static void check_alarms(Stm32Rtc *s)
{
    uint64_t now = ticks_get(&s->t), per = prescale_s(s);
    for (unsigned n = 0; n < 2; n++) {
        uint64_t from = s->checked;
        if (!(W(s, CR) & CR_ALRAE << n) || W(s, ISR) & ISR_ALRAF << n)
            continue;
        if (now - from > 16 * per) /* nobody waited for it that long: the machine stood */
            from = now - per;
        for (uint64_t at = candidate(s, n, from); at <= now; at = candidate(s, n, at)) {
            if (matches(s, W(s, ALRMAR + 4 * n), at / per)) {
                W(s, ISR) |= ISR_ALRAF << n;
                break;
            }
        }
    }
    s->checked = MAX(now, s->checked);
}

static void arm(Stm32Rtc *s)
{
    uint64_t when = UINT64_MAX;
    for (unsigned n = 0; n < 2; n++) {
        if (W(s, CR) & CR_ALRAE << n && !(W(s, ISR) & ISR_ALRAF << n))
            when = MIN(when, candidate(s, n, s->checked));
    }
    int64_t ns = when == UINT64_MAX ? INT64_MAX : ticks_when(&s->t, when);
    if (ns == INT64_MAX)
        timer_cancel(s->alarm_timer);
    else
        timer_arm(s->alarm_timer, ns);
}

/* --- wake-up timer --- */

static uint64_t wakeup_period(const Stm32Rtc *s)
{
    return (W(s, WUTR) & 0xffff) + UINT64_C(1) + ((W(s, CR) & 6) == 6 ? 0x10000 : 0);
}

static void start_wakeup(Stm32Rtc *s)
{
    uint32_t select = W(s, CR) & 7, div = select & 4 ? prescale_a(s) * prescale_s(s) : 16u >> select;
    ticks_run(&s->wakeup, false);
    ticks_rate(&s->wakeup, s->hz, div);
    ticks_set(&s->wakeup, 0);
    ticks_run(&s->wakeup, s->hz && W(s, CR) & CR_WUTE);
}

static void check_wakeup(Stm32Rtc *s)
{
    uint64_t now = ticks_get(&s->wakeup), period = wakeup_period(s);
    if (s->wakeup.running && now >= period) {
        W(s, ISR) |= ISR_WUTF;
        ticks_set(&s->wakeup, now % period);
    }
    int64_t ns = ticks_when(&s->wakeup, period);
    if (ns == INT64_MAX || W(s, ISR) & ISR_WUTF)
        timer_cancel(s->wakeup_timer);
    else
        timer_arm(s->wakeup_timer, ns);
}

static void advance(void *opaque)
{
    Stm32Rtc *s = opaque;
    check_alarms(s);
    arm(s);
    check_wakeup(s);
    device_out(&s->dev, PIN_ALARM, (W(s, ISR) & W(s, CR) >> 4 & 0x300) != 0);
    device_out(&s->dev, PIN_WAKEUP, W(s, ISR) & ISR_WUTF && W(s, CR) & CR_WUTIE);
}

/* --- registers --- */

static uint32_t status(const Stm32Rtc *s)
{
    uint32_t isr = W(s, ISR) & 0x3f80, cr = W(s, CR), tr, dr;
    words_at(s, ticks_get(&s->t) / prescale_s(s), &tr, &dr);
    if (isr & ISR_INIT)
        dr = W(s, DR);
    return isr | (isr & ISR_INIT ? 0x40 : 0) | (dr >> 16 ? 0x10 : 0) | 0x20 /* RSF */ | (cr & CR_WUTE ? 0 : 4) |
           (cr & CR_ALRAE ? 0 : 1) | (cr & CR_ALRAE << 1 ? 0 : 2);
}

static uint64_t reg_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    Stm32Rtc *s = (Stm32Rtc *)d;
    uint32_t tr = W(s, TR), dr = W(s, DR), per = prescale_s(s);
    uint64_t count = ticks_get(&s->t);
    advance(s);
    if (!(W(s, ISR) & ISR_INIT) && s->hz)
        words_at(s, count / per, &tr, &dr);
    switch (i * 4) {
    case TR: return tr;
    case DR: return dr;
    case ISR: return status(s);
    case SSR: return per - 1 - count % per;
    case WPR: case SHIFTR: return 0;
    default: return s->reg[i];
    }
}

static void isr_wrote(Stm32Rtc *s, uint32_t v)
{
    uint32_t was = W(s, ISR);
    if (v & ISR_INIT && !(was & ISR_INIT))
        hold_calendar(s);
    W(s, ISR) = (was & v & 0x3f00) | (v & ISR_INIT);
    if (!(v & ISR_INIT) && was & ISR_INIT)
        set_calendar(s);
}

static void cr_wrote(Stm32Rtc *s, uint32_t v)
{
    uint32_t was = W(s, CR);
    W(s, CR) = v & 0xfcff7f & ~UINT32_C(0x30000);
    if (v & 0x30000 && !(W(s, ISR) & ISR_INIT)) { /* ADD1H, SUB1H */
        s->start = v & 0x10000 ? s->start + 3600 : MAX(s->start, UINT64_C(3600)) - 3600;
    }
    if ((was ^ v) & CR_WUTE)
        start_wakeup(s);
}

/* Section 26.3.14: sub-seconds are put back by SUBFS, a second ahead with ADD1S. */
static void shift(Stm32Rtc *s, uint32_t v)
{
    uint64_t count = ticks_get(&s->t) + (v >> 31 ? prescale_s(s) : 0), back = v & 0x7fff;
    ticks_set(&s->t, count > back ? count - back : 0);
    s->checked = ticks_get(&s->t);
}

static bool writable(Stm32Rtc *s, uint32_t at, uint32_t v)
{
    bool shielded = at != ISR && at != WPR && at < 0x40, by_init = at == TR || at == DR || at == PRER;
    const char *why = NULL;
    if (!s->open)
        why = "DBP of PWR_CR is clear";
    else if (at < 0x40 && at != WPR && s->key != 2 && (shielded || (v ^ W(s, ISR)) & ISR_INIT))
        why = "WPR is locked";
    else if (by_init && !(W(s, ISR) & ISR_INIT))
        why = "the clock is not in initialisation mode";
    if (why)
        log_guest_error(s->dev.id, "write to register 0x%02x is ignored: %s", at, why);
    return !why;
}

static void reg_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Stm32Rtc *s = (Stm32Rtc *)d;
    uint32_t at = i * 4, v = (uint32_t)value;
    if (!writable(s, at, v))
        return;
    advance(s);
    switch (at) {
    case ISR: isr_wrote(s, v); break;
    case CR: cr_wrote(s, v); break;
    case WPR: s->key = v == 0xca ? 1 : v == 0x53 && s->key == 1 ? 2 : 0; break;
    case SHIFTR: shift(s, v); break;
    case SSR: case 0x30: case 0x34: case 0x38: break; /* read only */
    case TR: W(s, TR) = v & 0x7f7f7f; break;
    case DR: W(s, DR) = v & 0xffff3f; break;
    case PRER: W(s, PRER) = v & 0x7f7fff; break;
    case WUTR: W(s, WUTR) = v & 0xffff; break;
    default: s->reg[i] = v; break;
    }
    advance(s);
}

static void backup_reset(Stm32Rtc *s)
{
    memset(s->reg, 0, sizeof s->reg);
    W(s, DR) = 0x2101;
    W(s, PRER) = 0x7f00ff;
    W(s, WUTR) = 0xffff;
    s->key = 0;
    set_calendar(s);
    start_wakeup(s);
}

/* IN_CLOCK: the frequency that RCC gives it, or BACKUP_RESET. */
static void input(Device *d, unsigned pin, int level)
{
    Stm32Rtc *s = (Stm32Rtc *)d;
    if (pin == IN_OPEN) {
        s->open = level != 0;
        return;
    }
    if (level == BACKUP_RESET) {
        backup_reset(s);
    } else if (s->hz != (uint32_t)level) {
        if (s->hz && !(W(s, ISR) & ISR_INIT))
            hold_calendar(s);
        s->hz = (uint32_t)level;
        if (!(W(s, ISR) & ISR_INIT))
            set_calendar(s);
        start_wakeup(s);
    }
    advance(s);
}

static const Reg regs[] = {
    { .name = "RTC", .at = 0, .size = 4, .count = WORDS, .field = REG_NO_FIELD, .read = reg_read, .wrote = reg_wrote },
    { .name = NULL },
};
static const RegBank bank = { .name = "regs", .size = 0x400, .regs = regs };
static const RegBank *const banks[] = { &bank, NULL };
static const StateField state[] = {
    STATE_U32_ARRAY(Stm32Rtc, reg),
    STATE_U8(Stm32Rtc, key),
    STATE_BOOL(Stm32Rtc, open),
    STATE_STRUCT(Stm32Rtc, t, ticks_state),
    STATE_STRUCT(Stm32Rtc, wakeup, ticks_state),
    STATE_U64(Stm32Rtc, start),
    STATE_U8(Stm32Rtc, weekday),
    STATE_U32(Stm32Rtc, hz),
    STATE_U64(Stm32Rtc, checked),
    STATE_TIMER(Stm32Rtc, alarm_timer),
    STATE_TIMER(Stm32Rtc, wakeup_timer),
    STATE_END_OF_TABLE,
};
static const char *const out_pins[] = { "alarm", "wakeup", NULL }, *const in_pins[] = { "clock", "open", NULL };

static void init(Device *d)
{
    Stm32Rtc *s = (Stm32Rtc *)d;
    s->alarm_timer = timer_new(CLOCK_VIRTUAL_NS, d->domain, advance, d);
    s->wakeup_timer = timer_new(CLOCK_VIRTUAL_NS, d->domain, advance, d);
    backup_reset(s);
}

static void stop(Device *d)
{
    timer_free(((Stm32Rtc *)d)->alarm_timer);
    timer_free(((Stm32Rtc *)d)->wakeup_timer);
}

static void reset(Device *d, ResetPhase phase)
{
    if (phase == RESET_ENTER)
        ((Stm32Rtc *)d)->key = 0;
    else if (phase == RESET_HOLD)
        advance(d);
}

static bool loaded(Device *d, Error **errp)
{
    Stm32Rtc *s = (Stm32Rtc *)d;
    s->hz = MIN(s->hz, 100000000u);
    s->start = MIN(s->start, UINT64_C(200000000000));
    s->weekday %= 7;
    ticks_loaded(&s->t, s->hz);
    ticks_loaded(&s->wakeup, s->hz);
    s->checked = MIN(s->checked, ticks_get(&s->t));
    return true;
}

static const DeviceType stm32_rtc_type = {
    .name = "stm32f4xx-rtc",
    .desc = "STM32F4 real-time clock",
    .category = "Misc",
    .size = sizeof(Stm32Rtc),
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
DEVICE_REGISTER(stm32_rtc_type)
