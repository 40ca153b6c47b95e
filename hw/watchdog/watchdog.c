/* SPDX-License-Identifier: MIT */
/* The action of watchdogs: -action watchdog=. */
#include "hw/watchdog/watchdog.h"
#include "base/evloop.h"
#include "hw/core/machine.h"

static WatchdogAction the_action;

void watchdog_set_action(WatchdogAction action) { __atomic_store_n(&the_action, action, __ATOMIC_RELAXED); }

static void inject_nmi(void *opaque)
{
    Machine *m = machine_current();
    if (m && m->type->nmi)
        m->type->nmi(m);
}

void watchdog_expired(const Device *d)
{
    static const char *const what[] = { "resets the machine", "presses the power button", "ends the program",
                                        "pauses the machine", "tells only this",          NULL,
                                        "sends an NMI" };
    WatchdogAction action = __atomic_load_n(&the_action, __ATOMIC_RELAXED);
    if (what[action])
        info_reportf("watchdog '%s' has expired: it %s", d->id, what[action]);
    switch (action) {
    case WATCHDOG_RESET: machine_request_reset(CAUSE_GUEST_RESET); break;
    case WATCHDOG_SHUTDOWN: machine_request_power_button(); break;
    case WATCHDOG_POWEROFF: machine_request_exit(0); break;
    case WATCHDOG_PAUSE: machine_request_pause(RUN_PAUSED); break;
    case WATCHDOG_NMI: evloop_defer(NULL, inject_nmi, NULL); break;
    case WATCHDOG_DEBUG:
    case WATCHDOG_NONE: break;
    }
}
