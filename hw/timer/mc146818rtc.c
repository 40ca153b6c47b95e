/* SPDX-License-Identifier: MIT */
/*
 * The MC146818A real-time clock with 256 bytes of CMOS memory (ports 70-71 and 72-73).
 * Sources: Motorola MC146818A data sheet (ADI1039R1); ICH9 data sheet 316972, section 13.6 (extended bank, registers).
 * The clock is not ticked: time, UIP and flags follow from a host clock plus an offset.
 */
#include "hw/timer/mc146818rtc.h"
#include "base/bits.h"
#include "base/trace.h"
#include "hw/isa/isa.h"
#include "hw/timer/calendar.h"

enum {
    R_SECONDS, R_SECONDS_ALARM, R_MINUTES, R_MINUTES_ALARM, R_HOURS, R_HOURS_ALARM, R_WEEKDAY, R_DAY, R_MONTH, R_YEAR,
    R_A, R_B, R_C, R_D, R_CENTURY = 0x32, R_CENTURY_PS2 = 0x37,
};
enum { A_UIP = 0x80, A_DIVIDER = 0x70, A_DIVIDER_RESET = 0x60, A_RATE = 0x0f };
enum { B_SET = 0x80, B_PIE = 0x40, B_AIE = 0x20, B_UIE = 0x10, B_SQWE = 8, B_BINARY = 4, B_24H = 2 };
enum { C_IRQF = 0x80, C_PF = 0x40, C_AF = 0x20, C_UF = 0x10 };
enum { D_VALID = 0x80, PM = 0x80, DONT_CARE = 0xc0 };
enum { POLICY_DISCARD, POLICY_DELAY, POLICY_SLEW };

#define S_NS INT64_C(1000000000)
#define S_US INT64_C(1000000) /* the RTC's own time is in microseconds: all years that a guest can set fit */
/*
 * UIP rises 244 us before an update, which takes 1984 us (32.768 kHz); "the second" begins when the update has ended.
 */
#define UIP_US (244 + 1984)
#define MAX_BACKLOG 10000

typedef struct Rtc {
    Device dev;
    CalendarTime last; /* last_s as a date: guests read one second many times */
    int64_t last_s;
    char *base;
    int clock, policy;
    uint8_t cmos[256]; /* clock registers too: current while halted, else as of the last look */
    uint8_t index, index_ext;
    uint64_t offset;     /* clock's time + offset = us since 1970 in the RTC's own reckoning; signed */
    uint64_t frozen;     /* the RTC's time while it is halted */
    uint64_t seen_s;     /* UF and AF are evaluated up to this second */
    uint64_t seen_tick;  /* PF up to this periodic tick */
    uint32_t backlog;    /* periodic interrupts that the guest was too late for (slew) */
    Timer *timer;
} Rtc;

static const ClockId clock_ids[] = { CLOCK_HOST_NS, CLOCK_REALTIME_NS, CLOCK_VIRTUAL_NS };

static int64_t raw_now(const Rtc *s)
{
    return clock_ns(clock_ids[s->clock]);
}

static bool halted(const Rtc *s)
{
    return (s->cmos[R_B] & B_SET) || (s->cmos[R_A] & A_DIVIDER_RESET) == A_DIVIDER_RESET;
}

static int64_t rtc_now(const Rtc *s)
{
    return halted(s) ? (int64_t)s->frozen : raw_now(s) / 1000 + (int64_t)s->offset;
}

static int64_t floor_s(int64_t us)
{
    return us / S_US - (us % S_US < 0);
}

/* When the RTC's second `t` begins, on the raw clock; never negative. */
static int64_t raw_at(const Rtc *s, int64_t t)
{
    int64_t us = t * S_US - (int64_t)s->offset;
    return us < 0 ? 0 : us > INT64_MAX / 1000 ? INT64_MAX : us * 1000;
}

/* ---- time of day <-> registers ---- */

static uint8_t encode(const Rtc *s, unsigned v)
{
    return s->cmos[R_B] & B_BINARY ? v : (v / 10 % 10) << 4 | v % 10;
}

static unsigned decode(const Rtc *s, uint8_t v)
{
    return s->cmos[R_B] & B_BINARY ? v : (v >> 4) * 10u + (v & 15);
}

static uint8_t encode_hour(const Rtc *s, unsigned h)
{
    if (s->cmos[R_B] & B_24H)
        return encode(s, h);
    return encode(s, h % 12 ? h % 12 : 12) | (h >= 12 ? PM : 0);
}

static unsigned decode_hour(const Rtc *s, uint8_t v)
{
    if (s->cmos[R_B] & B_24H)
        return decode(s, v);
    return decode(s, v & ~PM) % 12 + (v & PM ? 12 : 0);
}

static void fields_from_time(Rtc *s, int64_t t)
{
    if (!s->last.day || s->last_s != t)
        s->last = calendar_from_seconds(t);
    s->last_s = t;
    const CalendarTime c = s->last;

    s->cmos[R_SECONDS] = encode(s, c.second);
    s->cmos[R_MINUTES] = encode(s, c.minute);
    s->cmos[R_HOURS] = encode_hour(s, c.hour);
    s->cmos[R_WEEKDAY] = encode(s, c.weekday + 1);
    s->cmos[R_DAY] = encode(s, c.day);
    s->cmos[R_MONTH] = encode(s, c.month);
    s->cmos[R_YEAR] = encode(s, c.year % 100);
    s->cmos[R_CENTURY] = s->cmos[R_CENTURY_PS2] = encode(s, c.year / 100);
}

/* The calendar ends after 9999: later dates, which a guest may write, count as the beginning of that year. */
#define LAST_YEAR_S INT64_C(253370764800)

/* Out-of-range fields carry over: whatever the guest writes is some time. */
static int64_t time_from_fields(const Rtc *s)
{
    CalendarTime c = {
        .second = decode(s, s->cmos[R_SECONDS]), .minute = decode(s, s->cmos[R_MINUTES]),
        .hour = decode_hour(s, s->cmos[R_HOURS]), .day = decode(s, s->cmos[R_DAY]),
        .month = decode(s, s->cmos[R_MONTH]), .year = decode(s, s->cmos[R_CENTURY]) * 100 + decode(s, s->cmos[R_YEAR]),
    };
    return MIN(calendar_to_seconds(&c), LAST_YEAR_S);
}

static bool is_clock_field(unsigned r)
{
    return r == R_SECONDS || r == R_MINUTES || r == R_HOURS || (r >= R_WEEKDAY && r <= R_YEAR) || r == R_CENTURY ||
           r == R_CENTURY_PS2;
}

/* ---- flags and interrupt ---- */

static bool alarm_field_matches(uint8_t alarm, uint8_t field)
{
    return (alarm & DONT_CARE) == DONT_CARE || alarm == field;
}

/* First alarm after second t: at most 24 + 60 + 60 steps, or -1 when the registers hold no time of day. */
static int64_t next_alarm(const Rtc *s, int64_t t)
{
    int64_t limit = t + 2 * 86400;

    for (t++; t < limit;) {
        CalendarTime c = calendar_from_seconds(t);
        if (!alarm_field_matches(s->cmos[R_HOURS_ALARM], encode_hour(s, c.hour)))
            t += 3600 - c.minute * 60 - c.second;
        else if (!alarm_field_matches(s->cmos[R_MINUTES_ALARM], encode(s, c.minute)))
            t += 60 - c.second;
        else if (!alarm_field_matches(s->cmos[R_SECONDS_ALARM], encode(s, c.second)))
            t++;
        else
            return t;
    }
    return -1;
}

/* Periodic rate in cycles of 32768 Hz; rates 1 and 2 are 256 and 128 Hz. 0: off. */
static unsigned periodic_cycles(const Rtc *s)
{
    unsigned rate = s->cmos[R_A] & A_RATE;

    if (!rate || (s->cmos[R_A] & A_DIVIDER_RESET) == A_DIVIDER_RESET)
        return 0;
    return 1u << ((rate <= 2 ? rate + 7 : rate) - 1);
}

static uint64_t periodic_tick(const Rtc *s, unsigned cycles)
{
    return (uint64_t)((unsigned __int128)(uint64_t)raw_now(s) * 32768 / S_NS) / cycles;
}

static void evaluate_periodic(Rtc *s)
{
    unsigned cycles = periodic_cycles(s);
    uint64_t tick = cycles ? periodic_tick(s, cycles) : 0;
    uint64_t passed = tick > s->seen_tick ? tick - s->seen_tick : 0;

    s->seen_tick = tick;
    if (!passed || !cycles)
        return;
    if (s->policy == POLICY_SLEW && (s->cmos[R_B] & B_PIE)) {
        uint64_t lost = passed - !(s->cmos[R_C] & C_PF);
        s->backlog = MIN(s->backlog + lost, MAX_BACKLOG);
    }
    s->cmos[R_C] |= C_PF;
}

static void evaluate_flags(Rtc *s)
{
    int64_t now = floor_s(rtc_now(s)), seen = (int64_t)s->seen_s;

    evaluate_periodic(s);
    s->seen_s = now;
    if (halted(s) || now <= seen)
        return;
    int64_t alarm = next_alarm(s, MAX(seen, now - 86400));
    s->cmos[R_C] |= C_UF;
    if (alarm >= 0 && alarm <= now)
        s->cmos[R_C] |= C_AF;
}

/* When the next interrupt that is enabled comes, on the raw clock; -1: none. */
static int64_t next_event(const Rtc *s)
{
    uint8_t enabled = s->cmos[R_B] & ~s->cmos[R_C];
    unsigned cycles = periodic_cycles(s);
    int64_t at = INT64_MAX, next;

    if ((enabled & B_PIE) && cycles) {
        unsigned __int128 cycle = (unsigned __int128)(s->seen_tick + 1) * cycles;
        next = (int64_t)((cycle * S_NS + 32767) / 32768);
        if (s->backlog)
            next = MIN(next, raw_now(s) + S_NS / 32768 * cycles / 4);
        at = MIN(at, next);
    }
    if ((enabled & B_UIE) && !halted(s))
        at = MIN(at, raw_at(s, (int64_t)s->seen_s + 1));
    if ((enabled & B_AIE) && !halted(s)) {
        next = next_alarm(s, s->seen_s);
        if (next >= 0)
            at = MIN(at, raw_at(s, next));
    }
    return at == INT64_MAX ? -1 : at;
}

static void update(Rtc *s)
{
    bool irq = s->cmos[R_C] & s->cmos[R_B] & (C_PF | C_AF | C_UF);
    int64_t at = next_event(s);

    s->cmos[R_C] = (s->cmos[R_C] & ~C_IRQF) | (irq ? C_IRQF : 0);
    device_out(&s->dev, 0, irq);
    if (at >= 0)
        timer_arm(s->timer, at);
    else
        timer_cancel(s->timer);
}

static void fired(void *opaque)
{
    Rtc *s = opaque;

    evaluate_flags(s);
    if (s->backlog && !(s->cmos[R_C] & C_PF)) {
        s->backlog--;
        s->cmos[R_C] |= C_PF;
    }
    update(s);
}

/* ---- registers ---- */

/* Let the clock show `t` (us) from now on. */
static void set_time(Rtc *s, int64_t t)
{
    if (halted(s))
        s->frozen = t;
    else
        s->offset = t - raw_now(s) / 1000;
    s->seen_s = floor_s(t);
}

static void write_control(Rtc *s, unsigned r, uint8_t v)
{
    int64_t t = rtc_now(s);
    int64_t fraction = t - floor_s(t) * S_US;
    bool was = halted(s), was_divider = (s->cmos[R_A] & A_DIVIDER_RESET) == A_DIVIDER_RESET;

    if (!was)
        fields_from_time(s, floor_s(t));
    if (r == R_A)
        v &= ~A_UIP;
    else if (v & B_SET)
        v &= ~B_UIE;
    s->cmos[r] = v;
    if (!was && halted(s)) {
        s->frozen = t;
    } else if (was && !halted(s)) {
        /* "the first update cycle begins one-half second later" after the divider's reset */
        fraction = was_divider ? S_US / 2 : fraction;
        set_time(s, time_from_fields(s) * S_US + fraction);
    }
    if (r == R_A) {
        unsigned cycles = periodic_cycles(s);
        s->seen_tick = cycles ? periodic_tick(s, cycles) : 0;
        s->backlog = 0;
    }
}

static void write_field(Rtc *s, unsigned r, uint8_t v)
{
    int64_t t = rtc_now(s);

    if (!halted(s))
        fields_from_time(s, floor_s(t));
    if (r == R_CENTURY_PS2)
        r = R_CENTURY;
    s->cmos[r] = v;
    if (r == R_CENTURY)
        s->cmos[R_CENTURY_PS2] = v;
    if (!halted(s))
        set_time(s, time_from_fields(s) * S_US + (t - floor_s(t) * S_US));
}

static void write_register(Rtc *s, unsigned r, uint8_t v)
{
    evaluate_flags(s);
    if (r == R_A || r == R_B)
        write_control(s, r, v);
    else if (r == R_SECONDS_ALARM || r == R_MINUTES_ALARM || r == R_HOURS_ALARM)
        s->cmos[r] = v;
    else if (r != R_C && r != R_D)
        write_field(s, r, v);
    update(s);
}

static uint8_t read_c(Rtc *s)
{
    evaluate_flags(s);
    update(s);
    uint8_t v = s->cmos[R_C];
    s->cmos[R_C] = 0;
    update(s);
    return v;
}

static uint8_t read_register(Rtc *s, unsigned r)
{
    int64_t t = rtc_now(s);

    if (is_clock_field(r)) {
        if (!halted(s))
            fields_from_time(s, floor_s(t));
        return s->cmos[r];
    }
    switch (r) {
    case R_A: {
        bool uip = !halted(s) && (floor_s(t) + 1) * S_US - t <= UIP_US;
        return s->cmos[R_A] | (uip ? A_UIP : 0);
    }
    case R_C:
        return read_c(s);
    case R_D:
        return D_VALID;
    default:
        return s->cmos[r];
    }
}

static MemResult cmos_read(void *o, hwaddr at, unsigned size, uint64_t *value, MemAttrs attrs)
{
    Rtc *s = o;
    *value = at & 1 ? read_register(s, s->index) : 0xff; /* the index cannot be read back */
    return MEM_OK;
}

static MemResult cmos_write(void *o, hwaddr at, unsigned size, uint64_t value, MemAttrs attrs)
{
    Rtc *s = o;

    if (!(at & 1)) {
        s->index = value & 0x7f; /* bit 7 masks NMI: no source here uses it */
    } else if (s->index <= R_D || is_clock_field(s->index)) {
        TRACE(mc146818_write, "register 0x%x value 0x%x", s->index, (unsigned)value & 0xff);
        write_register(s, s->index, value);
    } else {
        s->cmos[s->index] = value;
    }
    return MEM_OK;
}

static MemResult ext_read(void *o, hwaddr at, unsigned size, uint64_t *value, MemAttrs attrs)
{
    Rtc *s = o;
    *value = at & 1 ? s->cmos[128 + s->index_ext] : s->index_ext;
    return MEM_OK;
}

static MemResult ext_write(void *o, hwaddr at, unsigned size, uint64_t value, MemAttrs attrs)
{
    Rtc *s = o;

    if (at & 1)
        s->cmos[128 + s->index_ext] = value;
    else
        s->index_ext = value & 0x7f;
    return MEM_OK;
}

static const MemOps cmos_ops = { .read = cmos_read, .write = cmos_write, .min_size = 1, .max_size = 1 };
static const MemOps ext_ops = { .read = ext_read, .write = ext_write, .min_size = 1, .max_size = 1 };

/* ---- for the machine ---- */

void mc146818_set(Device *rtc, unsigned index, uint8_t value)
{
    ((Rtc *)rtc)->cmos[index & 0xff] = value;
}

uint8_t mc146818_get(Device *rtc, unsigned index)
{
    return ((Rtc *)rtc)->cmos[index & 0xff];
}

static void set16(Device *rtc, unsigned index, uint64_t value)
{
    uint64_t v = MIN(value, 0xffff);
    mc146818_set(rtc, index, v & 0xff);
    mc146818_set(rtc, index + 1, v >> 8);
}

void mc146818_set_memory(Device *rtc, uint64_t below_4g, uint64_t above_4g)
{
    uint64_t extended = below_4g > MiB ? (below_4g - MiB) / KiB : 0;

    set16(rtc, 0x15, MIN(below_4g / KiB, 640));
    set16(rtc, 0x17, extended);
    set16(rtc, 0x30, extended);
    set16(rtc, 0x34, below_4g > 16 * MiB ? (below_4g - 16 * MiB) / (64 * KiB) : 0);
    for (unsigned i = 0; i < 3; i++)
        mc146818_set(rtc, 0x5b + i, above_4g / (64 * KiB) >> 8 * i & 0xff);
}

void mc146818_set_boot_order(Device *rtc, const char *order)
{
    static const char letters[] = "acdn"; /* floppy, disk, CD, network: 1 to 4 */
    uint8_t device[3] = { 0 };
    unsigned n = 0;

    for (; *order && n < 3; order++) {
        const char *at = strchr(letters, *order);
        if (at)
            device[n++] = at - letters + 1;
    }
    mc146818_set(rtc, 0x3d, device[1] << 4 | device[0]);
    mc146818_set(rtc, 0x38, device[2] << 4 | 1); /* bit 0: no floppy signature check */
}

/* ---- device ---- */

static bool start_time(Rtc *s, int64_t *t, Error **errp)
{
    int64_t host = clock_ns(CLOCK_HOST_NS) / S_NS;

    if (!s->base || !strcmp(s->base, "utc"))
        *t = host;
    else if (!strcmp(s->base, "localtime"))
        *t = calendar_local_from_utc(host);
    else if (!calendar_parse(s->base, t)) {
        error_setf(errp, "-rtc base '%s': not a date; valid: utc, localtime, 2026-01-31, 2026-01-31T23:59:58", s->base);
        return false;
    }
    return true;
}

static bool rtc_start(Device *d, Error **errp)
{
    Rtc *s = (Rtc *)d;
    int64_t t;

    s->timer = timer_new(clock_ids[s->clock], d->domain, fired, s);
    if (!start_time(s, &t, errp))
        return false;
    s->cmos[R_A] = 0x26; /* 32.768 kHz, 1024 Hz */
    s->cmos[R_B] = B_24H;
    bool of_host = !s->base || !strcmp(s->base, "utc") || !strcmp(s->base, "localtime");
    set_time(s, t * S_US + (of_host ? clock_ns(CLOCK_HOST_NS) % S_NS / 1000 : 0));
    fields_from_time(s, t);
    MemRegion *cmos = isa_io_new(d, "rtc", 0x70, 2, &cmos_ops);
    mem_add_notifier(cmos, &(MemNotifier){ .offset = 0, .size = 1, .fd = MEM_COALESCED }); /* the index */
    isa_io_new(d, "rtc-extended", 0x72, 2, &ext_ops);
    return isa_connect_irq(d, 0, 8, errp);
}

/* RESET clears interrupt enables and flags; time and memory stay (data sheet, "RESET"). */
static void rtc_reset(Device *d, ResetPhase phase)
{
    Rtc *s = (Rtc *)d;

    if (phase == RESET_ENTER) {
        s->cmos[R_B] &= ~(B_PIE | B_AIE | B_UIE | B_SQWE);
        s->cmos[R_C] = 0;
        s->index = s->index_ext = 0;
        s->backlog = 0;
        timer_cancel(s->timer);
    } else if (phase == RESET_HOLD) {
        device_out(d, 0, 0);
    }
}

static bool rtc_loaded(Device *d, Error **errp)
{
    Rtc *s = (Rtc *)d;
    const int64_t limit = INT64_MAX / 4;

    s->index &= 0x7f;
    s->index_ext &= 0x7f;
    s->backlog = MIN(s->backlog, MAX_BACKLOG);
    if ((int64_t)s->offset > limit || (int64_t)s->offset < -limit || (int64_t)s->frozen > limit ||
        (int64_t)s->frozen < -limit) {
        error_setf(errp, "the saved time is out of range");
        return false;
    }
    return true;
}

static void rtc_stop(Device *d)
{
    Rtc *s = (Rtc *)d;

    if (s->timer)
        timer_free(s->timer);
    s->timer = NULL;
}

static void rtc_info(Device *d, GString *out)
{
    CalendarTime c = calendar_from_seconds(floor_s(rtc_now((Rtc *)d)));
    g_string_append_printf(out, "time: %04u-%02u-%02uT%02u:%02u:%02u\n", c.year, c.month, c.day, c.hour, c.minute,
                           c.second);
}

static const char *const clock_names[] = { "host", "rt", "vm", NULL };
static const char *const policy_names[] = { "discard", "delay", "slew", NULL };
static const Property props[] = {
    DEFINE_PROP_STRING("base", Rtc, base, "utc", "utc, localtime or a date: what the clock shows at start"),
    DEFINE_PROP_ENUM("clock", Rtc, clock, 0, clock_names, "what drives it: -rtc clock="),
    DEFINE_PROP_ENUM("lost_tick_policy", Rtc, policy, 0, policy_names, "periodic interrupts that come late"),
    DEFINE_PROP_END,
};
static const StateField state[] = {
    STATE_BYTES(Rtc, cmos),  STATE_U8(Rtc, index),   STATE_U8(Rtc, index_ext),  STATE_U64(Rtc, offset),
    STATE_U64(Rtc, frozen),  STATE_U64(Rtc, seen_s), STATE_U64(Rtc, seen_tick), STATE_U32(Rtc, backlog),
    STATE_TIMER(Rtc, timer), STATE_END_OF_TABLE,
};
static const char *const out_pins[] = { "irq", NULL };

static const DeviceType rtc_type = {
    .name = "mc146818rtc", .desc = "MC146818A real-time clock and CMOS memory", .category = "Misc", .size = sizeof(Rtc),
    .bus = "isa", .props = props, .state = state, .out_pins = out_pins, .start = rtc_start, .reset = rtc_reset,
    .loaded = rtc_loaded, .stop = rtc_stop, .info = rtc_info,
};
DEVICE_REGISTER(rtc_type)
