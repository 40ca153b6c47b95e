/* SPDX-License-Identifier: MIT */
/* The debugger's side of an accelerator: breakpoints, watchpoints, single step, and who stopped why. */
#ifndef ACCEL_DEBUG_H
#define ACCEL_DEBUG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"

typedef struct Vcpu Vcpu;
typedef struct AccelDebugOps AccelDebugOps;

/*
 * Points are in guest virtual (x86: linear) addresses, hold for all vCPUs and never change guest memory. Numbered as in
 * GDB's Z packets.
 */
typedef enum DebugKind {
    DEBUG_BREAK_SW,
    DEBUG_BREAK_HW,
    DEBUG_WATCH_WRITE,
    DEBUG_WATCH_READ,
    DEBUG_WATCH_ACCESS,
    DEBUG_KINDS
} DebugKind;
typedef struct DebugPoint {
    DebugKind kind;
    uint64_t va, len;
} DebugPoint;

typedef enum DebugReason {
    DEBUG_NONE,
    DEBUG_AT_BREAKPOINT /* before the instruction */,
    DEBUG_AT_WATCHPOINT,
    DEBUG_STEPPED
} DebugReason;
typedef struct DebugStop {
    DebugReason reason;
    DebugKind kind; /* of the point */
    uint64_t va;    /* of the breakpoint; of the data that was accessed */
} DebugStop;

typedef enum DebugStep {
    DEBUG_RUN,
    DEBUG_STEP /* one instruction, interrupts wait */,
    DEBUG_STEP_INTERRUPTS
} DebugStep;

/* A part of each Vcpu. Written by its thread while it runs, by the main thread while vCPUs are paused. */
typedef struct VcpuDebug {
    _Atomic bool held; /* stands although the machine runs */
    uint8_t step;      /* DebugStep */
    DebugStop stop;
} VcpuDebug;

enum { DEBUG_POINTS_MAX = 4096, DEBUG_WATCH_BYTES_MAX = 4096 };

/*
 * Main thread, vCPUs paused. Adding a point that is there already, or removing one that is not, changes nothing and
 * succeeds. Watch ranges are 1 to DEBUG_WATCH_BYTES_MAX bytes.
 */
bool debug_point_add(DebugKind kind, uint64_t va, uint64_t len, Error **errp);
void debug_point_remove(DebugKind kind, uint64_t va, uint64_t len);
void debug_points_clear(void);
/* What each vCPU does from the next resume on; forgets its last stop. */
void debug_set_run(Vcpu *v, bool held, DebugStep step);
/* All run freely, without a debugger. */
void debug_release(void);
/*
 * The handler is called in the main thread after a vCPU has stopped by itself (v->debug.stop, v->debug.held); others
 * may still run and may stop as well: it pauses the machine first.
 */
void debug_set_handler(void (*stopped)(void));

/*
 * Guest memory as the vCPU's code sees it, or physical; main thread, vCPUs paused. Writes reach ROM and drop translated
 * code.
 */
bool debug_read(Vcpu *v, uint64_t va, void *buf, unsigned len);
bool debug_write(Vcpu *v, uint64_t va, const void *buf, unsigned len);
bool debug_read_phys(Vcpu *v, uint64_t pa, void *buf, unsigned len);
bool debug_write_phys(Vcpu *v, uint64_t pa, const void *buf, unsigned len);

/* --- for accelerators --- */
struct AccelDebugOps {
    /* A point was added or is gone. Main thread, vCPUs paused. NULL: points are not possible. */
    void (*changed)(const DebugPoint *p, bool added);
    bool (*read)(Vcpu *v, uint64_t va, void *buf, unsigned len);
    bool (*write)(Vcpu *v, uint64_t va, const void *buf, unsigned len);
};

extern unsigned debug_breakpoints, debug_watchpoints; /* how many there are; constant while vCPUs run */
const DebugPoint *debug_find_break(uint64_t va);
/* A watchpoint that an access of [va, va + len) meets; *at: the first byte that is both watched and accessed. */
const DebugPoint *debug_find_watch(uint64_t va, uint64_t len, bool write, uint64_t *at);
bool debug_page_watched(uint64_t va, uint64_t page_size); /* of the page that holds va */
/* v's thread: stop here. The thread then goes to vcpu_service() and stands there. */
void debug_stop_here(Vcpu *v, DebugReason reason, const DebugPoint *p, uint64_t va);
#endif
