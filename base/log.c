/* SPDX-License-Identifier: MIT */
/* The log: categories, destination, and rate limits for what a guest can provoke. */
#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>
#include "base/bits.h"
#include "base/clock.h"
#include "base/trace.h"

uint32_t log_mask;

static const struct { const char *name, *help; } categories[] = {
#define X(c, n, h) { n, h },
    LOG_CATEGORIES(X)
#undef X
};

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static FILE *log_file;        /* NULL: stderr */
static char *thread_pattern;  /* of log_file's name when it has a %d */
static __thread FILE *thread_file; /* stays open until the program ends */

static bool parse_one(const char *word, uint32_t *mask, Error **errp)
{
    if (!strcmp(word, "all")) {
        *mask |= (uint32_t)bits_mask(LOG_CATEGORY_COUNT) & ~(uint32_t)LOG_NOCHAIN;
        return true;
    }
    if (g_str_has_prefix(word, "trace:"))
        return trace_enable(word + strlen("trace:"), errp);
    const char *names[LOG_CATEGORY_COUNT + 1] = { NULL };
    for (unsigned i = 0; i < LOG_CATEGORY_COUNT; i++) {
        names[i] = categories[i].name;
        if (!strcmp(word, names[i])) {
            *mask |= 1u << i;
            return true;
        }
    }
    error_set_unknown(errp, "log category", word, names);
    return false;
}

bool log_parse_mask(const char *text, uint32_t *mask, Error **errp)
{
    *mask = 0;
    g_auto(GStrv) words = g_strsplit(text, ",", -1);
    for (char **w = words; *w; w++) {
        if (!parse_one(*w, mask, errp))
            return false;
    }
    return true;
}

void log_set_mask(uint32_t mask)
{
    __atomic_store_n(&log_mask, mask, __ATOMIC_RELAXED);
}

/* `path` with each "%d" replaced by the number */
static FILE *open_log(const char *path, int number, Error **errp)
{
    g_autofree char *text = g_strdup_printf("%d", number);
    g_auto(GStrv) parts = g_strsplit(path, "%d", -1);
    g_autofree char *name = g_strjoinv(text, parts);
    FILE *f = fopen(name, "w");
    if (!f)
        error_set_errno(errp, errno, "log file '%s'", name);
    else
        setvbuf(f, NULL, _IOLBF, 0);
    return f;
}

bool log_set_file(const char *path, Error **errp)
{
    FILE *f = open_log(path, (int)getpid(), errp);
    if (!f)
        return false;
    pthread_mutex_lock(&log_lock);
    if (log_file)
        fclose(log_file);
    log_file = f;
    g_free(thread_pattern);
    thread_pattern = strstr(path, "%d") ? g_strdup(path) : NULL;
    pthread_mutex_unlock(&log_lock);
    return true;
}

/* Where this thread writes: its own file with -d tid and a name with %d. */
static FILE *destination(void)
{
    if (log_enabled(LOG_TID) && thread_pattern && gettid() != getpid()) {
        if (!thread_file)
            thread_file = open_log(thread_pattern, gettid(), NULL);
        if (thread_file)
            return thread_file;
    }
    return log_file ? log_file : stderr;
}

void log_print_help(FILE *to)
{
    fprintf(to, "Log categories (separate with commas):\n");
    for (unsigned i = 0; i < LOG_CATEGORY_COUNT; i++)
        fprintf(to, "  %-16s %s\n", categories[i].name, categories[i].help);
    fprintf(to, "  %-16s %s\n", "all", "all of these but nochain");
    fprintf(to, "  %-16s %s\n", "trace:PATTERN", "trace points; '-trace help' lists them");
}

void log_write(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    pthread_mutex_lock(&log_lock);
    vfprintf(destination(), fmt, ap);
    pthread_mutex_unlock(&log_lock);
    va_end(ap);
}

enum { LIMIT_BURST = 10 };
#define LIMIT_WINDOW_NS INT64_C(5000000000)

/* True when this message may be shown; *missed: how many were held back since the last one. */
static bool limit_pass(LogLimit *limit, uint32_t *missed)
{
    int64_t now = clock_ns(CLOCK_REALTIME_NS);
    pthread_mutex_lock(&log_lock);
    *missed = 0;
    if (!limit->window_start_ns || now - limit->window_start_ns > LIMIT_WINDOW_NS) {
        *missed = limit->suppressed;
        *limit = (LogLimit){ .window_start_ns = now };
    }
    bool pass = limit->shown < LIMIT_BURST;
    if (pass)
        limit->shown++;
    else
        limit->suppressed++;
    pthread_mutex_unlock(&log_lock);
    return pass;
}

void log_limited(LogLimit *limit, uint32_t mask, const char *who, const char *fmt, ...)
{
    uint32_t missed;
    if (!log_enabled(mask) || !limit_pass(limit, &missed))
        return;
    va_list ap;
    va_start(ap, fmt);
    g_autofree char *text = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    if (missed)
        log_write("%s: %s (and %u times more before)\n", who, text, missed);
    else
        log_write("%s: %s\n", who, text);
}
