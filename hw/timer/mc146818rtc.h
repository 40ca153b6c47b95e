/* SPDX-License-Identifier: MIT */
/* The MC146818 real-time clock ("mc146818rtc") and its CMOS memory, for machines and firmware glue. */
#ifndef HW_TIMER_MC146818RTC_H
#define HW_TIMER_MC146818RTC_H

#include "hw/core/device.h"

/*
 * CMOS bytes that firmware reads (memory sizes, boot order ...). index 0..255: 0..127 behind ports 70/71, the rest
 * behind 72/73. A machine sets them after device_start(); they survive resets, and are saved. Clock registers (0..0x0d,
 * century) are the device's own and must not be set.
 */
void mc146818_set(Device *rtc, unsigned index, uint8_t value);
uint8_t mc146818_get(Device *rtc, unsigned index);
/* The usual RAM sizes: base 15/16, extended 17/18 and 30/31, above 16 MiB 34/35, above 4 GiB 5b-5d. */
void mc146818_set_memory(Device *rtc, uint64_t below_4g, uint64_t above_4g);
/* Boot order "acdn" in 38 and 3d. */
void mc146818_set_boot_order(Device *rtc, const char *order);
#endif
