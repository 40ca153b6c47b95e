/* SPDX-License-Identifier: MIT */
/* What happens when a watchdog of a PC has not been fed. */
#ifndef HW_WATCHDOG_WATCHDOG_H
#define HW_WATCHDOG_WATCHDOG_H

#include "hw/core/device.h"

typedef enum WatchdogAction {
    WATCHDOG_RESET,
    WATCHDOG_SHUTDOWN,
    WATCHDOG_POWEROFF,
    WATCHDOG_PAUSE,
    WATCHDOG_DEBUG,
    WATCHDOG_NONE,
    WATCHDOG_NMI
} WatchdogAction;
void watchdog_set_action(WatchdogAction action); /* any time; WATCHDOG_RESET without */
/* Carry it out. Any thread; the action follows soon. */
void watchdog_expired(const Device *d);
#endif
