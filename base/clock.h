/* SPDX-License-Identifier: MIT */
/* Clocks and timers: the only doors through which time enters the machine. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

typedef enum ClockId {
    CLOCK_VIRTUAL_NS,  /* guest time: stands still while the machine is paused; starts at 0 */
    CLOCK_HOST_NS,     /* wall clock, since 1970 (UTC) */
    CLOCK_REALTIME_NS, /* monotonic, never stops: UI and time-outs */
} ClockId;

/* Nanoseconds; any thread. */
int64_t clock_ns(ClockId id);
/* Stop and go on with the virtual clock (machine paused); main thread. */
void clock_virtual_enable(bool run);
/* After a load: let the virtual clock go on from `ns`. */
void clock_virtual_set(int64_t ns);
/*
 * For tests, main thread, virtual clock stopped (as it is at the start of the program): move it on by ns and run the
 * timers that fall due on the way in order, each at its own deadline. At most 20000 of them: those of a device that
 * re-arms in the past for ever wait for the next step.
 */
void clock_virtual_step(int64_t ns);

/*
 * Virtual time from another source than the host's clock: counted instructions. now() gives it in ns, any thread; set()
 * is clock_virtual_set(); deadline_changed() is called, without locks, after the first deadline of the virtual timers
 * may have moved. Virtual timers then run by clock_virtual_run() only. NULL: the host's clock again. Main thread,
 * virtual clock stopped.
 */
typedef struct ClockSource {
    int64_t (*now)(void);
    void (*set)(int64_t ns);
    void (*deadline_changed)(void);
} ClockSource;
void clock_virtual_drive(const ClockSource *s);
int64_t clock_virtual_deadline(void); /* the first one, INT64_MAX: none; any thread */
/* run what is due (64 timers at most), unless the clock is stopped; the driver's thread */
void clock_virtual_run(void);

typedef struct LockDomain LockDomain;
typedef struct Timer Timer;
typedef void TimerFn(void *opaque);

/*
 * A timer calls fn(opaque) once in the main loop's thread (under -icount: the vCPUs'), at or after its deadline, with
 * `domain` held (NULL: no lock). Arm and cancel from any thread; re-arming moves the deadline. After timer_cancel()
 * under the domain's lock, fn does not run. Deadlines on the virtual clock wait while it stands still. Precision: about
 * 50 us.
 */
Timer *timer_new(ClockId clock, LockDomain *domain, TimerFn *fn, void *opaque);
void timer_free(Timer *t);
void timer_arm(Timer *t, int64_t deadline_ns);
void timer_cancel(Timer *t);
bool timer_armed(const Timer *t);
int64_t timer_deadline(const Timer *t); /* -1 when not armed */
#endif
