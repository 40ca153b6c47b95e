/* SPDX-License-Identifier: MIT */
/*
 * PIT (all modes, latches, gate), speaker port, RTC (time, UIP, flags, interrupts, CMOS), HPET (comparators, routing,
 * legacy).
 */
#include "hw/timer/calendar.h"
#include "hw/timer/i8254.h"
#include "hw/timer/mc146818rtc.h"
#include "pc-rig.h"

#define S INT64_C(1000000000)

static int64_t now(void)
{
    return clock_ns(CLOCK_VIRTUAL_NS);
}

/* ---- PIT ---- */

static int64_t clocks(unsigned n) /* in ns, rounded up */
{
    return ((int64_t)n * S + PIT_HZ - 1) / PIT_HZ;
}

static void pit_program(Rig *r, unsigned channel, unsigned mode, bool bcd, uint16_t count)
{
    rig_out(r, 0x43, channel << 6 | 0x30 | mode << 1 | bcd);
    rig_out(r, 0x40 + channel, count & 0xff);
    rig_out(r, 0x40 + channel, count >> 8);
}

static unsigned pit_count(Rig *r, unsigned channel)
{
    rig_out(r, 0x43, channel << 6);
    unsigned low = rig_in(r, 0x40 + channel);
    return low | rig_in(r, 0x40 + channel) << 8;
}

static void test_pit_rate(void)
{
    Rig *r = rig_new();
    Device *pit = rig_isa(r, "isa-pit");
    pit_program(r, 0, 2, false, 1000);
    g_assert_cmpint(r->irq[0], ==, 1); /* OUT is high in mode 2 */
    unsigned before = r->rises[0];
    clock_virtual_step(clocks(999));
    g_assert_cmpuint(r->rises[0], ==, before);
    clock_virtual_step(clocks(1000) - clocks(999));
    g_assert_cmpuint(r->rises[0], ==, before + 1);
    clock_virtual_step(clocks(100000));
    g_assert_cmpuint(r->rises[0], ==, before + 101);
    clock_virtual_step(clocks(250));
    g_assert_cmpuint(pit_count(r, 0), >=, 749);
    g_assert_cmpuint(pit_count(r, 0), <=, 751);
    /* A new count comes into force with the next period. */
    rig_out(r, 0x40, 0xd0), rig_out(r, 0x40, 0x07); /* 2000 */
    before = r->rises[0];
    clock_virtual_step(clocks(760));
    g_assert_cmpuint(r->rises[0], ==, before + 1);
    clock_virtual_step(clocks(1900));
    g_assert_cmpuint(r->rises[0], ==, before + 1);
    clock_virtual_step(clocks(110));
    g_assert_cmpuint(r->rises[0], ==, before + 2);
    pit_program(r, 0, 3, false, 10000); /* square wave: low for a half */
    clock_virtual_step(clocks(5002));
    g_assert_cmpint(r->irq[0], ==, 0);
    before = r->rises[0];
    clock_virtual_step(clocks(5002));
    g_assert_cmpint(r->irq[0], ==, 1);
    g_assert_cmpuint(r->rises[0], ==, before + 1);
    pit_program(r, 0, 2, false, 0); /* 65536: 18.2 Hz */
    before = r->rises[0];
    clock_virtual_step(10 * S);
    g_assert_cmpuint(r->rises[0], ==, before + 182);
    pit_program(r, 0, 2, false, 2); /* faster than the host can: merged */
    clock_virtual_step(S / 100);
    rig_generic(pit, 8254);
    rig_free(r);
}

static void test_pit_one_shot(void)
{
    Rig *r = rig_new();
    rig_isa(r, "isa-pit");
    pit_program(r, 0, 0, false, 5000); /* interrupt on terminal count */
    g_assert_cmpint(r->irq[0], ==, 0);
    clock_virtual_step(clocks(5000) - 1);
    g_assert_cmpint(r->irq[0], ==, 0);
    clock_virtual_step(1);
    g_assert_cmpint(r->irq[0], ==, 1);
    clock_virtual_step(S);
    g_assert_cmpint(r->irq[0], ==, 1);
    pit_program(r, 0, 4, false, 300); /* software strobe */
    g_assert_cmpint(r->irq[0], ==, 1);
    unsigned before = r->rises[0];
    clock_virtual_step(clocks(301));
    g_assert_cmpuint(r->rises[0], ==, before + 1);
    clock_virtual_step(S);
    g_assert_cmpuint(r->rises[0], ==, before + 1);
    rig_free(r);
}

static void test_pit_gate(void)
{
    Rig *r = rig_new();
    Device *pit = rig_isa(r, "isa-pit");
    pit_program(r, 2, 1, false, 1000); /* one-shot by gate */
    clock_virtual_step(S);
    g_assert_true(i8254_out(pit, 2));
    i8254_set_gate(pit, 2, true);
    g_assert_false(i8254_out(pit, 2));
    clock_virtual_step(clocks(999));
    g_assert_false(i8254_out(pit, 2));
    clock_virtual_step(clocks(2));
    g_assert_true(i8254_out(pit, 2));
    pit_program(r, 2, 0, false, 1000); /* a low gate holds the count */
    clock_virtual_step(clocks(400));
    i8254_set_gate(pit, 2, false);
    clock_virtual_step(S);
    g_assert_cmpuint(pit_count(r, 2), ==, 600);
    i8254_set_gate(pit, 2, true);
    clock_virtual_step(clocks(599));
    g_assert_false(i8254_out(pit, 2));
    clock_virtual_step(clocks(2));
    g_assert_true(i8254_out(pit, 2));
    pit_program(r, 2, 5, false, 100); /* hardware strobe */
    clock_virtual_step(S);
    i8254_set_gate(pit, 2, false);
    i8254_set_gate(pit, 2, true);
    g_assert_true(i8254_out(pit, 2));
    clock_virtual_step(clocks(100));
    g_assert_false(i8254_out(pit, 2));
    clock_virtual_step(clocks(2));
    g_assert_true(i8254_out(pit, 2));
    pit_program(r, 2, 3, false, 1000);
    i8254_set_gate(pit, 2, false); /* high at once, restarts on the rise */
    clock_virtual_step(clocks(700));
    g_assert_true(i8254_out(pit, 2));
    i8254_set_gate(pit, 2, true);
    clock_virtual_step(clocks(501));
    g_assert_false(i8254_out(pit, 2));
    rig_free(r);
}

static void test_pit_latch(void)
{
    Rig *r = rig_new();
    rig_isa(r, "isa-pit");
    rig_out(r, 0x43, 0x34);
    rig_out(r, 0x43, 0xe2); /* read-back: status of counter 0 */
    g_assert_cmphex(rig_in(r, 0x40), ==, 0xf4); /* OUT high, null count, both bytes, mode 2 */
    rig_out(r, 0x40, 0x10), rig_out(r, 0x40, 0x27);
    clock_virtual_step(clocks(10));
    rig_out(r, 0x43, 0xc2); /* status and count */
    clock_virtual_step(clocks(1000));
    rig_out(r, 0x43, 0x00); /* latched already: no effect */
    g_assert_cmphex(rig_in(r, 0x40), ==, 0xb4);
    unsigned v = rig_in(r, 0x40);
    v |= rig_in(r, 0x40) << 8;
    g_assert_cmpuint(v, ==, 9990);
    pit_program(r, 0, 2, true, 0x1234); /* BCD */
    clock_virtual_step(clocks(35));
    g_assert_cmphex(pit_count(r, 0), ==, 0x1199);
    pit_program(r, 0, 0, true, 0);
    clock_virtual_step(clocks(1));
    g_assert_cmphex(pit_count(r, 0), ==, 0x9999);
    rig_out(r, 0x43, 0x54), rig_out(r, 0x41, 0x80); /* low byte only */
    clock_virtual_step(clocks(16));
    g_assert_cmphex(rig_in(r, 0x41), ==, 0x70);
    g_assert_cmphex(rig_in(r, 0x41), ==, 0x70);
    rig_free(r);
}

static void test_speaker(void)
{
    Rig *r = rig_new();
    Device *pit = rig_isa(r, "isa-pit");
    Device *spk = isa_new(&r->isa, "isa-pcspk", NULL, NULL);
    g_assert_true(device_set(spk, "pit", pit->id, NULL));
    rig_start(spk);
    device_reset_one(spk);
    rig_out(r, 0x61, 0);
    pit_program(r, 2, 0, false, 11932); /* how kernels measure 10 ms */
    g_assert_cmphex(rig_in(r, 0x61) & 0x2f, ==, 0);
    rig_out(r, 0x61, 1);
    clock_virtual_step(S / 100 - 10000);
    g_assert_cmphex(rig_in(r, 0x61) & 0x2f, ==, 1);
    clock_virtual_step(20000);
    g_assert_cmphex(rig_in(r, 0x61) & 0x2f, ==, 0x21);
    unsigned toggles = 0, last = 0;
    for (unsigned i = 0; i < 1000; i++, clock_virtual_step(5000)) {
        toggles += (rig_in(r, 0x61) & 0x10) != last;
        last = rig_in(r, 0x61) & 0x10;
    }
    g_assert_cmpuint(toggles, >, 320);
    g_assert_cmpuint(toggles, <, 340);
    rig_generic(spk, 61);
    rig_free(r);
}

/* ---- RTC ---- */

static Device *rtc_new(Rig *r, const char *base, const char *policy)
{
    Device *d = isa_new(&r->isa, "mc146818rtc", NULL, NULL);
    g_assert_true(device_set(d, "base", base, NULL));
    g_assert_true(device_set(d, "clock", "vm", NULL));
    g_assert_true(device_set(d, "lost_tick_policy", policy, NULL));
    rig_start(d);
    device_reset_one(d);
    return d;
}

static uint8_t cmos(Rig *r, unsigned index)
{
    rig_out(r, 0x70, index);
    return rig_in(r, 0x71);
}

static void cmos_set(Rig *r, unsigned index, uint8_t v)
{
    rig_out(r, 0x70, index);
    rig_out(r, 0x71, v);
}

static void assert_time(Rig *r, unsigned hour, unsigned minute, unsigned second)
{
    g_assert_cmphex(cmos(r, 4), ==, hour);
    g_assert_cmphex(cmos(r, 2), ==, minute);
    g_assert_cmphex(cmos(r, 0), ==, second);
}

static void test_rtc_time(void)
{
    Rig *r = rig_new();
    rtc_new(r, "2023-12-31T23:59:58", "discard");
    assert_time(r, 0x23, 0x59, 0x58);
    g_assert_cmphex(cmos(r, 6), ==, 1); /* Sunday */
    g_assert_cmphex(cmos(r, 9), ==, 0x23);
    g_assert_cmphex(cmos(r, 0x32), ==, 0x20);
    clock_virtual_step(2 * S);
    assert_time(r, 0, 0, 0);
    g_assert_cmphex(cmos(r, 6), ==, 2);
    g_assert_cmphex(cmos(r, 7), ==, 1);
    g_assert_cmphex(cmos(r, 8), ==, 1);
    g_assert_cmphex(cmos(r, 9), ==, 0x24);
    cmos_set(r, 0xb, 0x04); /* binary, 12 hours */
    assert_time(r, 12, 0, 0);
    clock_virtual_step(13 * 3600 * S);
    assert_time(r, 0x81, 0, 0); /* 1 p.m. */
    cmos_set(r, 0xb, 0x82); /* SET: the clock stands */
    cmos_set(r, 9, 0x99);
    cmos_set(r, 0x32, 0x20);
    cmos_set(r, 8, 0x02), cmos_set(r, 7, 0x28);
    cmos_set(r, 4, 0x23), cmos_set(r, 2, 0x59), cmos_set(r, 0, 0x59);
    clock_virtual_step(5 * S);
    assert_time(r, 0x23, 0x59, 0x59);
    cmos_set(r, 0xb, 0x02);
    clock_virtual_step(S);
    assert_time(r, 0, 0, 0);
    g_assert_cmphex(cmos(r, 8), ==, 0x03); /* 2099 is no leap year */
    g_assert_cmphex(cmos(r, 7), ==, 0x01);
    g_assert_cmphex(cmos(r, 0xd), ==, 0x80);
    cmos_set(r, 0xa, 0x60); /* divider reset: half a second to the next update */
    clock_virtual_step(3 * S);
    cmos_set(r, 0xa, 0x26);
    clock_virtual_step(S / 2 - 1000);
    assert_time(r, 0, 0, 0);
    clock_virtual_step(1000);
    assert_time(r, 0, 0, 1);
    rig_free(r);
}

static void test_rtc_uip(void)
{
    Rig *r = rig_new();
    rtc_new(r, "2023-06-01T12:00:00", "discard");
    int64_t rose = -1, fell = -1;
    for (int64_t t = 0; t < S + S / 10; t += 1000, clock_virtual_step(1000)) {
        bool uip = cmos(r, 0xa) & 0x80;
        if (uip && rose < 0)
            rose = t;
        if (!uip && rose >= 0 && fell < 0) {
            fell = t;
            assert_time(r, 0x12, 0, 0x01);
        }
    }
    g_assert_cmpint(fell, ==, S);
    g_assert_cmpint(fell - rose, ==, 2228000);
    rig_free(r);
}

static void test_rtc_interrupts(void)
{
    Rig *r = rig_new();
    rtc_new(r, "2023-06-01T12:00:00", "discard");
    cmos(r, 0xc);
    clock_virtual_step(S);
    g_assert_cmphex(cmos(r, 0xc) & 0x90, ==, 0x10); /* UF without an interrupt */
    g_assert_cmphex(cmos(r, 0xc), ==, 0);
    cmos_set(r, 0xb, 0x12);
    clock_virtual_step(S - 1000);
    g_assert_cmpint(r->irq[8], ==, 0);
    clock_virtual_step(1000);
    g_assert_cmpint(r->irq[8], ==, 1);
    g_assert_cmphex(cmos(r, 0xc) & 0x90, ==, 0x90);
    g_assert_cmpint(r->irq[8], ==, 0);
    cmos_set(r, 0xb, 0x22); /* alarm at 13:00:05, tomorrow as well */
    cmos_set(r, 5, 0x13), cmos_set(r, 3, 0x00), cmos_set(r, 1, 0x05);
    cmos(r, 0xc);
    unsigned before = r->rises[8];
    clock_virtual_step(3602 * S);
    g_assert_cmpuint(r->rises[8], ==, before);
    clock_virtual_step(1 * S);
    g_assert_cmphex(cmos(r, 0xc) & 0xa0, ==, 0xa0);
    clock_virtual_step(86399 * S);
    g_assert_cmpuint(r->rises[8], ==, before + 1);
    clock_virtual_step(S);
    g_assert_cmpuint(r->rises[8], ==, before + 2);
    cmos(r, 0xc);
    cmos_set(r, 5, 0xff), cmos_set(r, 3, 0xc0), cmos_set(r, 1, 0x30); /* every minute */
    for (unsigned i = 0; i < 3; i++) {
        clock_virtual_step(60 * S);
        g_assert_cmphex(cmos(r, 0xc) & 0xa0, ==, 0xa0);
    }
    cmos_set(r, 1, 0x77); /* never */
    clock_virtual_step(90000 * S);
    g_assert_cmphex(cmos(r, 0xc) & 0x20, ==, 0);
    cmos_set(r, 0xb, 0x42); /* periodic, 1024 Hz */
    unsigned hits = 0;
    for (unsigned i = 0; i < 10000; i++, clock_virtual_step(100000))
        hits += !!(r->irq[8] && (cmos(r, 0xc) & 0x40));
    g_assert_cmpuint(hits, >=, 1023);
    g_assert_cmpuint(hits, <=, 1025);
    rig_free(r);
}

/* A guest that is late for 90 of 100 ticks gets them all with the slew policy, and not with discard. */
static unsigned late_ticks(const char *policy)
{
    Rig *r = rig_new();
    rtc_new(r, "2023-06-01T12:00:00", policy);
    cmos_set(r, 0xb, 0x42);
    cmos(r, 0xc);
    unsigned hits = 0;
    clock_virtual_step(S);
    for (unsigned i = 0; i < 10000; i++, clock_virtual_step(100000))
        hits += !!(r->irq[8] && (cmos(r, 0xc) & 0x40));
    rig_free(r);
    return hits;
}

static void test_rtc_policy(void)
{
    g_assert_cmpuint(late_ticks("discard"), <=, 1026);
    g_assert_cmpuint(late_ticks("slew"), >=, 2040);
    g_assert_cmpuint(late_ticks("slew"), <=, 2052);
}

static void test_rtc_cmos(void)
{
    Rig *r = rig_new();
    Device *d = rtc_new(r, "utc", "discard");
    mc146818_set_memory(d, 3 * GiB, 5 * GiB);
    mc146818_set_boot_order(d, "cdn");
    device_reset_one(d);
    g_assert_cmphex(cmos(r, 0x15) | cmos(r, 0x16) << 8, ==, 640);
    g_assert_cmphex(cmos(r, 0x34) | cmos(r, 0x35) << 8, ==, (3 * GiB - 16 * MiB) >> 16);
    g_assert_cmphex(cmos(r, 0x5b) | cmos(r, 0x5c) << 8 | cmos(r, 0x5d) << 16, ==, 5 * GiB >> 16);
    g_assert_cmphex(cmos(r, 0x3d), ==, 0x32);
    g_assert_cmphex(cmos(r, 0x38), ==, 0x41);
    rig_out(r, 0x72, 0x05), rig_out(r, 0x73, 0xa5);
    g_assert_cmphex(mc146818_get(d, 0x85), ==, 0xa5);
    rig_generic(d, 146818);
    Device *bad = isa_new(&r->isa, "mc146818rtc", NULL, NULL);
    Error *err = NULL;
    g_assert_true(device_set(bad, "base", "2023-02-30", NULL));
    g_assert_false(device_start(bad, &err));
    g_assert_nonnull(strstr(err->message, "2023-02-30"));
    error_free(err);
    rig_free(r);
}

static void test_calendar(void)
{
    for (int64_t t = INT64_C(-62167219200); t < INT64_C(253402300799); t += 86400 * 17 + 12345) {
        CalendarTime c = calendar_from_seconds(t);
        g_assert_cmpint(calendar_to_seconds(&c), ==, t);
        if (t > -62135596800) {
            g_autoptr(GDateTime) g = g_date_time_new_from_unix_utc(t);
            g_assert_cmpint(g_date_time_get_year(g), ==, c.year);
            g_assert_cmpint(g_date_time_get_day_of_month(g), ==, c.day);
            g_assert_cmpint(g_date_time_get_day_of_week(g) % 7, ==, c.weekday);
        }
    }
}

/* ---- HPET ---- */

#define HPET 0xfed00000u
enum { H_CAP = 0, H_CFG = 0x10, H_STS = 0x20, H_CNT = 0xf0 };

static Device *hpet_new(Rig *r, const char *intcap)
{
    Device *d = device_new_named("hpet", NULL, NULL);
    g_assert_true(device_set(d, "hpet-intcap", intcap, NULL));
    g_assert_true(device_set(d, "msi", "on", NULL));
    for (int i = 0; i < 24; i++)
        device_connect(d, "irq", i, rig_irq(r, i));
    rig_start(d);
    mem_map(r->machine.memory, HPET, d->region[0], 1);
    device_reset_one(d);
    return d;
}

static uint64_t hrd(Rig *r, unsigned at) { return rig_load(r, HPET + at, 8); }
static void hwr(Rig *r, unsigned at, uint64_t v) { rig_store(r, HPET + at, 8, v); }

static void test_hpet(void)
{
    Rig *r = rig_new();
    Device *d = hpet_new(r, "0xff0104");
    g_assert_cmphex(hrd(r, H_CAP), ==, UINT64_C(0x009896808086a201));
    g_assert_cmphex(hrd(r, 0x100), ==, UINT64_C(0x00ff010400008030));
    hwr(r, H_CNT, 0xfffffff0);
    hwr(r, H_CFG, 1);
    clock_virtual_step(1000);
    g_assert_cmphex(hrd(r, H_CNT), ==, 0x100000054);
    g_assert_cmphex(rig_load(r, HPET + H_CNT, 4), ==, 0x54);
    g_assert_cmphex(rig_load(r, HPET + H_CNT + 4, 4), ==, 1);
    hwr(r, H_CNT, 0); /* it runs: ignored */
    g_assert_cmphex(hrd(r, H_CNT), ==, 0x100000054);
    /* One-shot, edge, line 16. */
    hwr(r, 0x108, hrd(r, H_CNT) + 500);
    hwr(r, 0x100, 0x4 | 16 << 9);
    clock_virtual_step(4990);
    g_assert_cmpuint(r->pin_rises[16], ==, 0);
    clock_virtual_step(10);
    g_assert_cmpuint(r->pin_rises[16], ==, 1);
    g_assert_cmpint(r->pin[16], ==, 0);
    clock_virtual_step(S);
    g_assert_cmpuint(r->pin_rises[16], ==, 1);
    /* Level: stays until the status bit is written. */
    hwr(r, 0x100, 0x6 | 17 << 9);
    hwr(r, 0x108, hrd(r, H_CNT) + 500);
    clock_virtual_step(5000);
    g_assert_cmpint(r->pin[17], ==, 1);
    g_assert_cmphex(hrd(r, H_STS), ==, 1);
    hwr(r, H_STS, 1);
    g_assert_cmpint(r->pin[17], ==, 0);
    g_assert_cmphex(hrd(r, H_STS), ==, 0);
    /* Periodic: comparator and period set apart. */
    hwr(r, 0x120, 0x4c | 18 << 9);
    hwr(r, 0x128, hrd(r, H_CNT) + 1000);
    hwr(r, 0x128, 100000); /* 1 ms */
    clock_virtual_step(10001);
    g_assert_cmpuint(r->pin_rises[18], ==, 1);
    clock_virtual_step(10 * 1000000);
    g_assert_cmpuint(r->pin_rises[18], ==, 11);
    /* Disabled, it counts on but is no work for the host; enabled again, it is in step. */
    hwr(r, 0x120, 0x8 | 18 << 9);
    clock_virtual_step(5 * 1000000);
    g_assert_cmpuint(r->pin_rises[18], ==, 11);
    uint64_t next = hrd(r, 0x128);
    g_assert_cmpuint(next - hrd(r, H_CNT), <=, 100000);
    hwr(r, 0x120, 0xc | 18 << 9);
    g_assert_cmpuint(hrd(r, 0x128), ==, next);
    clock_virtual_step(1000000);
    g_assert_cmpuint(r->pin_rises[18], ==, 12);
    hwr(r, 0x120, 0xa | 18 << 9); /* by level and disabled: the status bit still rises */
    hwr(r, H_STS, 2);
    clock_virtual_step(1000000);
    g_assert_cmphex(hrd(r, H_STS), ==, 2);
    hwr(r, H_STS, 2);
    g_assert_cmphex(hrd(r, H_STS), ==, 0);
    clock_virtual_step(1000000);
    g_assert_cmphex(hrd(r, H_STS), ==, 2);
    g_assert_cmpint(r->pin[18], ==, 0);
    /* Route that the capability does not have: nothing. */
    hwr(r, 0x140, 0x4 | 5 << 9);
    hwr(r, 0x148, hrd(r, H_CNT) + 100);
    clock_virtual_step(100000);
    g_assert_cmpuint(r->pin_rises[5], ==, 0);
    rig_generic(d, 64);
    rig_free(r);
}

static void test_hpet_32bit(void)
{
    Rig *r = rig_new();
    hpet_new(r, "0x4");
    hwr(r, H_CNT, 0xffffff00);
    hwr(r, H_CFG, 1);
    hwr(r, 0x100, 0x104 | 2 << 9);
    hwr(r, 0x108, 0x100); /* past the wrap of the low half */
    clock_virtual_step(0x1ff * 10);
    g_assert_cmpuint(r->pin_rises[2], ==, 0);
    clock_virtual_step(10);
    g_assert_cmpuint(r->pin_rises[2], ==, 1);
    clock_virtual_step((INT64_C(1) << 32) * 10);
    g_assert_cmpuint(r->pin_rises[2], ==, 2);
    rig_free(r);
}

static void test_hpet_legacy(void)
{
    Rig *r = rig_new();
    Device *d = hpet_new(r, "0x4");
    Irq pit = device_input(d, "legacy", 0), rtc = device_input(d, "legacy", 1);
    irq_raise(&pit);
    irq_raise(&rtc);
    g_assert_cmpint(r->pin[0], ==, 1);
    g_assert_cmpint(r->pin[8], ==, 1);
    hwr(r, H_CFG, 3); /* legacy replacement */
    g_assert_cmpint(r->pin[0], ==, 0);
    irq_lower(&rtc);
    irq_raise(&rtc);
    g_assert_cmpint(r->pin[8], ==, 0);
    hwr(r, 0x100, 4);
    hwr(r, 0x108, hrd(r, H_CNT) + 100);
    hwr(r, 0x120, 4);
    hwr(r, 0x128, hrd(r, H_CNT) + 200);
    unsigned before0 = r->pin_rises[0], before8 = r->pin_rises[8];
    clock_virtual_step(3000);
    g_assert_cmpuint(r->pin_rises[0], ==, before0 + 1);
    g_assert_cmpuint(r->pin_rises[8], ==, before8 + 1);
    hwr(r, H_CFG, 1);
    g_assert_cmpint(r->pin[8], ==, 1); /* the RTC's again */
    rig_free(r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    evloop_init();
    g_assert_cmpint(now(), >=, 0);
    g_test_add_func("/pit/rate", test_pit_rate);
    g_test_add_func("/pit/one-shot", test_pit_one_shot);
    g_test_add_func("/pit/gate", test_pit_gate);
    g_test_add_func("/pit/latch", test_pit_latch);
    g_test_add_func("/pit/speaker", test_speaker);
    g_test_add_func("/rtc/calendar", test_calendar);
    g_test_add_func("/rtc/time", test_rtc_time);
    g_test_add_func("/rtc/uip", test_rtc_uip);
    g_test_add_func("/rtc/interrupts", test_rtc_interrupts);
    g_test_add_func("/rtc/policy", test_rtc_policy);
    g_test_add_func("/rtc/cmos", test_rtc_cmos);
    g_test_add_func("/hpet/comparators", test_hpet);
    g_test_add_func("/hpet/32bit", test_hpet_32bit);
    g_test_add_func("/hpet/legacy", test_hpet_legacy);
    return g_test_run();
}
