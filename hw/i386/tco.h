/* SPDX-License-Identifier: MIT */
/* The TCO watchdog of ICH9 (Intel ICH9 datasheet, 316972, section 13.9). */
#ifndef HW_I386_TCO_H
#define HW_I386_TCO_H

#include "hw/core/device.h"

enum { TCO_GCS_NO_REBOOT = 0x20, TCO1_STS_TIMEOUT = 0x08, TCO2_STS_SECOND_TO = 0x02,
       TCO1_CNT_HALT = 0x0800, TCO1_CNT_LOCK = 0x1000 };

/* Embedded in the LPC bridge; registers are rows of its PM bank at 0x60. The first time-out of two raises an SMI. */
typedef struct Tco {
    uint16_t rld, tco1_sts, tco2_sts, tco1_cnt, tco2_cnt, tmr;
    uint8_t dat_in, dat_out, message1, message2, wdcnt, sw_irq_gen;
    bool timed_out_once; /* saved */
    Timer *timer;        /* saved */
    Device *owner;
    void (*expired)(Device *owner, bool second);
} Tco;

void tco_start(Tco *t, Device *owner, void (*expired)(Device *owner, bool second));
void tco_stop(Tco *t);
void tco_reset(Tco *t, ResetPhase phase);
void tco_loaded(Tco *t);
uint64_t tco_rld_read(Device *d, const Reg *r, unsigned i, uint64_t stored);
void tco_rld_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value);
void tco_cnt_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value);

#define TCO_ROWS(T, f) \
    { .name = "TCO_RLD", .at = 0x60, .size = 2, .field = offsetof(T, f.rld), .read = tco_rld_read, \
        .wrote = tco_rld_wrote }, \
    { .name = "TCO_DAT_IN", .at = 0x62, .size = 1, .field = offsetof(T, f.dat_in) }, \
    { .name = "TCO_DAT_OUT", .at = 0x63, .size = 1, .field = offsetof(T, f.dat_out) }, \
    { .name = "TCO1_STS", .at = 0x64, .size = 2, .field = offsetof(T, f.tco1_sts), .w1c = 0x117b, .ro = 0xee84 }, \
    { .name = "TCO2_STS", .at = 0x66, .size = 2, .field = offsetof(T, f.tco2_sts), .w1c = 0x17, .ro = 0xffe8 }, \
    { .name = "TCO1_CNT", .at = 0x68, .size = 2, .field = offsetof(T, f.tco1_cnt), .wrote = tco_cnt_wrote }, \
    { .name = "TCO2_CNT", .at = 0x6a, .size = 2, .field = offsetof(T, f.tco2_cnt), .reset = 8 }, \
    { .name = "TCO_MESSAGE1", .at = 0x6c, .size = 1, .field = offsetof(T, f.message1) }, \
    { .name = "TCO_MESSAGE2", .at = 0x6d, .size = 1, .field = offsetof(T, f.message2) }, \
    { .name = "TCO_WDCNT", .at = 0x6e, .size = 1, .field = offsetof(T, f.wdcnt) }, \
    { .name = "SW_IRQ_GEN", .at = 0x70, .size = 1, .field = offsetof(T, f.sw_irq_gen), .reset = 3, .ro = 0xfc }, \
    { .name = "TCO_TMR", .at = 0x72, .size = 2, .field = offsetof(T, f.tmr), .reset = 4, .ro = 0xfc00 }

#define TCO_STATE(T, f) STATE_BOOL(T, f.timed_out_once), STATE_TIMER(T, f.timer)
#endif
