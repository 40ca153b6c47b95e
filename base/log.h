/* SPDX-License-Identifier: MIT */
/* The log (-d, -D): categories, one destination, rate limits for what a guest can provoke. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "base/error.h"

/* X(constant, "name in -d", "what it logs"): the names are the ones people know. */
#define LOG_CATEGORIES(X) \
    X(LOG_OUT_ASM, "out_asm", "generated host code of each translation block") \
    X(LOG_IN_ASM, "in_asm", "guest code of each translation block") \
    X(LOG_OP, "op", "intermediate representation of each block") \
    X(LOG_INT, "int", "interrupts and exceptions in short form") \
    X(LOG_EXEC, "exec", "each translation block before it runs") \
    X(LOG_CPU, "cpu", "CPU registers before each translation block") \
    X(LOG_MMU, "mmu", "page walks and TLB activity") \
    X(LOG_RESET, "cpu_reset", "CPU state at each reset") \
    X(LOG_UNIMP, "unimp", "guest use of what is not modelled") \
    X(LOG_GUEST_ERROR, "guest_errors", "guest use that the hardware's manual forbids") \
    X(LOG_PAGE, "page", "the memory map when it changes") \
    X(LOG_NOCHAIN, "nochain", "do not link translation blocks (exec then shows each)") \
    X(LOG_TID, "tid", "one log file per thread (-D with %d)") \
    X(LOG_JIT, "jit", "translator counters when the machine stops")

enum { /* bit numbers, then masks of the same order */
#define X(c, n, h) c##_BIT,
    LOG_CATEGORIES(X)
#undef X
    LOG_CATEGORY_COUNT
};
enum {
#define X(c, n, h) c = 1u << c##_BIT,
    LOG_CATEGORIES(X)
#undef X
};

extern uint32_t log_mask; /* read without a lock; changed by log_set_mask() only */

static inline bool log_enabled(uint32_t mask)
{
    return G_UNLIKELY(__atomic_load_n(&log_mask, __ATOMIC_RELAXED) & mask);
}

/* Parse "a,b,c" (also "all", "help", "trace:PATTERN") into a mask. */
bool log_parse_mask(const char *text, uint32_t *mask, Error **errp);
void log_set_mask(uint32_t mask);
/* Send the log to a file instead of stderr; "%d" in the name becomes the process id. */
bool log_set_file(const char *path, Error **errp);
void log_print_help(FILE *to);

/* Write to the log without a category check or line prefix. Thread-safe; one call is written whole. */
void log_write(const char *fmt, ...) G_GNUC_PRINTF(1, 2);
#define log_printf(mask, ...) do { if (log_enabled(mask)) log_write(__VA_ARGS__); } while (0)

/*
 * The guest did what its manual forbids, or touched what is not modelled. Rate-limited per call site (burst 10, then a
 * count); shown only with -d guest_errors / -d unimp. `who` names the device. No newline in fmt.
 */
typedef struct LogLimit { int64_t window_start_ns; uint32_t shown, suppressed; } LogLimit;
void log_limited(LogLimit *limit, uint32_t mask, const char *who, const char *fmt, ...) G_GNUC_PRINTF(4, 5);
#define log_guest_error(who, ...) do { static LogLimit limit_; \
    if (log_enabled(LOG_GUEST_ERROR)) log_limited(&limit_, LOG_GUEST_ERROR, who, __VA_ARGS__); } while (0)
#define log_unimp(who, ...) do { static LogLimit limit_; \
    if (log_enabled(LOG_UNIMP)) log_limited(&limit_, LOG_UNIMP, who, __VA_ARGS__); } while (0)
#endif
