/* SPDX-License-Identifier: MIT */
/*
 * What is counted of a drive's requests, and how long they took: since the start, and in intervals of time that end
 * now.
 */
#include <inttypes.h>
#include "base/bits.h"
#include "base/clock.h"
#include "block/backend-internal.h"

/*
 * An interval is ten slots of time, which are used in turn: what is older than the interval is forgotten a tenth of it
 * at a time. Slot and bounds are by the clock alone, so that nothing has to run when nothing is asked.
 */
enum { SLOTS = 10, INTERVALS_MAX = 16, SECONDS_MAX = 366 * 24 * 3600 };
typedef struct Slot { int64_t number; uint64_t count[BLK_TIMED], sum[BLK_TIMED], min[BLK_TIMED], max[BLK_TIMED]; } Slot;
typedef struct Interval { uint64_t seconds; int64_t slot_ns; Slot slot[SLOTS]; } Interval;
struct BlkIntervals {
    pthread_mutex_t lock;
    int64_t since_ns;
    unsigned count;
    Interval interval[INTERVALS_MAX];
};

static void put(Interval *v, int64_t now, BlkOp op, uint64_t took)
{
    int64_t number = now / v->slot_ns;
    Slot *s = &v->slot[number % SLOTS];
    if (s->number != number)
        *s = (Slot){ .number = number };
    s->min[op] = s->count[op] ? MIN(s->min[op], took) : took;
    s->max[op] = MAX(s->max[op], took);
    s->sum[op] += took;
    s->count[op]++;
}

static void put_all(BlkIntervals *all, int64_t now, BlkOp op, uint64_t took)
{
    pthread_mutex_lock(&all->lock);
    for (unsigned i = 0; i < all->count; i++)
        put(&all->interval[i], now, op, took);
    pthread_mutex_unlock(&all->lock);
}

static void note_end(BlockBackend *b, const BlkRequest *r)
{
    uint64_t end = r->offset + r->bytes, seen = b->stats.highest;
    while (end > seen && !atomic_compare_exchange_weak_explicit(&b->stats.highest, &seen, end, memory_order_relaxed,
                                                                memory_order_relaxed))
        continue;
}

void blk_account(BlockBackend *b, const BlkRequest *r, int error)
{
    int64_t now = clock_ns(CLOCK_REALTIME_NS), took = now - r->start_ns;
    unsigned slot = took < 1000 ? 0 : 64 - (unsigned)__builtin_clzll((uint64_t)took / 1000);
    if (error)
        BLK_COUNT(b->stats.failed[r->op], 1);
    if (error && b->ignore_failed)
        return;
    BLK_COUNT(b->stats.time_ns[r->op], (uint64_t)took);
    if (!error) {
        BLK_COUNT(b->stats.latency[r->op][MIN(slot, BLK_LATENCIES - 1u)], 1);
        BLK_COUNT(b->stats.bytes[r->op], r->bytes);
        if (r->op == BLK_WRITE || r->op == BLK_WRITE_ZEROES)
            note_end(b, r);
    }
    if (b->intervals && r->op <= BLK_FLUSH)
        put_all(b->intervals, now, r->op, (uint64_t)took);
    atomic_store_explicit(&b->stats.last_ns, (uint64_t)now, memory_order_relaxed);
}

void blk_account_invalid(BlockBackend *b, BlkOp op)
{
    BLK_COUNT(b->stats.invalid[op], 1);
    if (!b->ignore_invalid)
        atomic_store_explicit(&b->stats.last_ns, (uint64_t)clock_ns(CLOCK_REALTIME_NS), memory_order_relaxed);
}

void blk_set_accounting(BlockBackend *b, bool failed, bool invalid)
{
    b->ignore_failed = !failed;
    b->ignore_invalid = !invalid;
}

void blk_get_accounting(const BlockBackend *b, bool *failed, bool *invalid)
{
    *failed = !b->ignore_failed;
    *invalid = !b->ignore_invalid;
}

BlkStats blk_stats(const BlockBackend *b)
{
    uint64_t last = b->stats.last_ns;
    BlkStats s = { .inline_ops = b->stats.inline_ops,
                   .ring_ops = b->stats.ring_ops,
                   .idle_ns = last ? (uint64_t)clock_ns(CLOCK_REALTIME_NS) - last : 0,
                   .highest = b->stats.highest };
    for (unsigned op = 0; op < ARRAY_LEN(s.ops); op++) {
        s.bytes[op] = b->stats.bytes[op];
        s.failed[op] = b->stats.failed[op];
        s.invalid[op] = b->stats.invalid[op];
        s.time_ns[op] = b->stats.time_ns[op];
        for (unsigned i = 0; i < BLK_LATENCIES; i++)
            s.ops[op] += s.latency[op][i] = b->stats.latency[op][i];
    }
    return s;
}

/* --- intervals --- */

bool blk_add_interval(BlockBackend *b, uint64_t seconds, Error **errp)
{
    if (!b->intervals) {
        b->intervals = g_new0(BlkIntervals, 1);
        pthread_mutex_init(&b->intervals->lock, NULL);
        b->intervals->since_ns = clock_ns(CLOCK_REALTIME_NS);
    }
    BlkIntervals *all = b->intervals;
    if (!seconds || seconds > SECONDS_MAX || all->count >= INTERVALS_MAX) {
        error_setf(errp, "stats-intervals: %" PRIu64 " seconds: %s", seconds,
                   all->count >= INTERVALS_MAX ? "there are 16 already" : "an interval has from 1 second to a year");
        return false;
    }
    all->interval[all->count++] = (Interval){ .seconds = seconds, .slot_ns = (int64_t)seconds * 1000000000 / SLOTS };
    return true;
}

void blk_free_intervals(BlkIntervals *all)
{
    if (all)
        pthread_mutex_destroy(&all->lock);
    g_free(all);
}

bool blk_interval_stats(const BlockBackend *b, unsigned i, BlkIntervalStats *out)
{
    BlkIntervals *all = b->intervals;
    if (!all || i >= all->count)
        return false;
    const Interval *v = &all->interval[i];
    uint64_t count[BLK_TIMED] = { 0 }, sum[BLK_TIMED] = { 0 };
    *out = (BlkIntervalStats){ .seconds = v->seconds };
    pthread_mutex_lock(&all->lock);
    int64_t now = clock_ns(CLOCK_REALTIME_NS), last = now / v->slot_ns,
            start = MAX((last - SLOTS + 1) * v->slot_ns, all->since_ns);
    for (unsigned k = 0; k < SLOTS; k++) {
        const Slot *s = &v->slot[k];
        for (unsigned op = 0; op < BLK_TIMED && s->number > last - SLOTS; op++) {
            if (!s->count[op])
                continue;
            out->min_ns[op] = count[op] ? MIN(out->min_ns[op], s->min[op]) : s->min[op];
            out->max_ns[op] = MAX(out->max_ns[op], s->max[op]);
            count[op] += s->count[op];
            sum[op] += s->sum[op];
        }
    }
    pthread_mutex_unlock(&all->lock);
    for (unsigned op = 0; op < BLK_TIMED; op++) {
        out->avg_ns[op] = count[op] ? sum[op] / count[op] : 0;
        out->depth[op] = now > start ? (double)sum[op] / (double)(now - start) : 0;
    }
    return true;
}
