/* SPDX-License-Identifier: MIT */
/* Leaky buckets: a request is let through while the bucket has not run over, and fills it. */
#include "block/throttle.h"
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include "base/bits.h"
#include "base/clock.h"
#include "base/thread.h"
#include "block/filter.h"

struct ThrottleGroup {
    Object object;
    ThrottleConfig config;   /* by properties, then under the lock */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    ThrottleBuckets buckets;
    uint64_t next[2], serving[2]; /* tickets of those who wait, by direction */
    _Atomic bool limited;
};

enum { VALUE_MAX_BITS = 50 };

/* --- configuration --- */

bool throttle_config_check(const ThrottleConfig *c, Error **errp)
{
    static const char *const names[] = {
        "iops-total", "iops-read", "iops-write", "bps-total", "bps-read", "bps-write"
    };
    for (unsigned i = 0; i < THROTTLE_KINDS; i++) {
        const ThrottleLimit *l = &c->limit[i];
        const char *why = l->avg >> VALUE_MAX_BITS || l->max >> VALUE_MAX_BITS || l->length > UINT32_MAX
                              ? "the value is too large"
                          : l->max && !l->avg         ? "-max needs the limit itself, too"
                          : l->max && l->max < l->avg ? "-max is below the limit itself"
                          : l->length > 1 && !l->max  ? "-max-length needs -max, too"
                          : l->length > 1 && l->max > (UINT64_C(1) << VALUE_MAX_BITS) / l->length
                              ? "the burst is too long"
                              : NULL;
        if (!why && i % 3 == 0 && l->avg && (c->limit[i + 1].avg || c->limit[i + 2].avg))
            why = "a total goes with neither a limit of reads nor of writes";
        if (why) {
            error_setf(errp, "limit %s: %s", names[i], why);
            return false;
        }
    }
    return true;
}

static void note_limited(ThrottleGroup *g)
{
    bool limited = false;
    for (unsigned i = 0; i < THROTTLE_KINDS; i++)
        limited |= g->config.limit[i].avg > 0;
    g->limited = limited;
}

static bool complete(Object *o, Error **errp)
{
    ThrottleGroup *g = (ThrottleGroup *)o;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&g->changed, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&g->lock, NULL);
    g->buckets.last_ns = clock_ns(CLOCK_REALTIME_NS);
    note_limited(g);
    return throttle_config_check(&g->config, errp);
}

ThrottleGroup *throttle_group_of(Object *o) { return (ThrottleGroup *)o; }
const char *throttle_group_name(const ThrottleGroup *g) { return g->object.id; }

ThrottleConfig throttle_group_config(ThrottleGroup *g)
{
    pthread_mutex_lock(&g->lock);
    ThrottleConfig c = g->config;
    pthread_mutex_unlock(&g->lock);
    return c;
}

bool throttle_group_set(ThrottleGroup *g, const ThrottleConfig *c, Error **errp)
{
    if (!throttle_config_check(c, errp))
        return false;
    pthread_mutex_lock(&g->lock);
    g->config = *c;
    g->buckets = (ThrottleBuckets){ .last_ns = clock_ns(CLOCK_REALTIME_NS) };
    note_limited(g);
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->lock);
    return true;
}

/* --- buckets --- */

static void leak(ThrottleBuckets *b, const ThrottleConfig *c, int64_t now)
{
    double seconds = (double)(now - b->last_ns) / 1e9;
    b->last_ns = now;
    for (unsigned i = 0; i < THROTTLE_KINDS; i++) {
        const ThrottleLimit *l = &c->limit[i];
        b->kind[i].level = MAX(b->kind[i].level - (double)l->avg * seconds, 0);
        b->kind[i].burst = MAX(b->kind[i].burst - (double)l->max * seconds, 0);
    }
}

static bool concerns(unsigned kind, bool write) { return kind % 3 == 0 || (kind % 3 == 2) == write; }

int64_t throttle_delay_ns(ThrottleBuckets *b, const ThrottleConfig *c, bool write, int64_t now)
{
    double longest = 0;
    leak(b, c, now);
    for (unsigned i = 0; i < THROTTLE_KINDS; i++) {
        const ThrottleLimit *l = &c->limit[i];
        if (!l->avg || !concerns(i, write))
            continue;
        double length = (double)MAX(l->length, 1u), room = l->max ? (double)l->max * length : (double)l->avg / 10;
        longest = MAX(longest, (b->kind[i].level - room) / (double)l->avg);
        if (l->max && l->length > 1)
            longest = MAX(longest, (b->kind[i].burst - (double)l->max / 10) / (double)l->max);
    }
    return (int64_t)(longest * 1e9);
}

void throttle_fill(ThrottleBuckets *b, const ThrottleConfig *c, bool write, uint64_t bytes)
{
    double ops = c->iops_size ? MAX((double)bytes / (double)c->iops_size, 1) : 1;
    for (unsigned i = 0; i < THROTTLE_KINDS; i++) {
        double units = i < THROTTLE_BPS ? ops : (double)bytes;
        if (!c->limit[i].avg || !concerns(i, write))
            continue;
        b->kind[i].level += units;
        b->kind[i].burst += units;
    }
}

static void wait_for_turn(ThrottleGroup *g, bool write, uint64_t bytes, const _Atomic unsigned *hurry)
{
    pthread_mutex_lock(&g->lock);
    uint64_t ticket = g->next[write]++;
    while (g->serving[write] != ticket)
        pthread_cond_wait(&g->changed, &g->lock);
    int64_t ns;
    while (!*hurry && (ns = throttle_delay_ns(&g->buckets, &g->config, write, clock_ns(CLOCK_REALTIME_NS))) > 0) {
        int64_t until = clock_ns(CLOCK_REALTIME_NS) + ns;
        struct timespec t = { until / 1000000000, until % 1000000000 };
        pthread_cond_timedwait(&g->changed, &g->lock, &t);
    }
    throttle_fill(&g->buckets, &g->config, write, bytes);
    g->serving[write]++;
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->lock);
}

/* --- lanes --- */

typedef struct Lane {
    ThrottleLanes *of;
    bool write;
    pthread_t thread;
    BlkRequest *first, **last;
} Lane;

struct ThrottleLanes {
    ThrottleGroup *group;
    void (*pass)(BlkRequest *r);
    pthread_mutex_t lock;
    pthread_cond_t more;
    _Atomic unsigned hurry;
    bool stop;
    Lane lane[2];
};

static void *run_lane(void *opaque)
{
    Lane *lane = opaque;
    ThrottleLanes *l = lane->of;
    pthread_mutex_lock(&l->lock);
    for (;;) {
        while (!lane->first && !l->stop)
            pthread_cond_wait(&l->more, &l->lock);
        BlkRequest *r = lane->first;
        if (!r)
            break;
        pthread_mutex_unlock(&l->lock);
        wait_for_turn(l->group, lane->write, r->bytes, &l->hurry);
        pthread_mutex_lock(&l->lock);
        lane->first = r->next; /* it stood in the queue so that later ones stay behind it */
        l->pass(r);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

ThrottleLanes *throttle_lanes_new(ThrottleGroup *g, void (*pass)(BlkRequest *r))
{
    ThrottleLanes *l = g_new0(ThrottleLanes, 1);
    *l = (ThrottleLanes){ .group = g, .pass = pass };
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->more, NULL);
    for (unsigned i = 0; i < 2; i++) {
        l->lane[i] = (Lane){ .of = l, .write = i };
        l->lane[i].thread = thread_start("throttle", run_lane, &l->lane[i]);
    }
    return l;
}

void throttle_lanes_free(ThrottleLanes *l)
{
    if (!l)
        return;
    pthread_mutex_lock(&l->lock);
    l->stop = true;
    pthread_cond_broadcast(&l->more);
    pthread_mutex_unlock(&l->lock);
    for (unsigned i = 0; i < 2; i++)
        pthread_join(l->lane[i].thread, NULL);
    pthread_mutex_destroy(&l->lock);
    pthread_cond_destroy(&l->more);
    object_release(&l->group->object);
    g_free(l);
}

ThrottleGroup *throttle_lanes_group(const ThrottleLanes *l) { return l->group; }

bool throttle_lanes_put(ThrottleLanes *l, BlkRequest *r)
{
    Lane *lane = &l->lane[r->op != BLK_READ];
    if (r->op == BLK_FLUSH)
        return false;
    pthread_mutex_lock(&l->lock);
    bool wait = l->group->limited || lane->first;
    if (wait) {
        r->next = NULL;
        *(lane->first ? lane->last : &lane->first) = r;
        lane->last = &r->next;
        pthread_cond_broadcast(&l->more);
    }
    pthread_mutex_unlock(&l->lock);
    return wait;
}

void throttle_lanes_hurry(ThrottleLanes *l, bool on)
{
    l->hurry += on ? 1u : -1u;
    pthread_mutex_lock(&l->group->lock);
    pthread_cond_broadcast(&l->group->changed);
    pthread_mutex_unlock(&l->group->lock);
}

/* --- the object --- */

#define LIMIT(prefix, name, kind) \
    DEFINE_PROP_U64(prefix name, ThrottleGroup, config.limit[kind].avg, 0, "limit a second, 0: none"), \
    DEFINE_PROP_U64(prefix name "-max", ThrottleGroup, config.limit[kind].max, 0, "limit in bursts"), \
    DEFINE_PROP_U64(prefix name "-max-length", ThrottleGroup, config.limit[kind].length, 1, \
        "seconds that a burst may last")
#define LIMITS(prefix) \
    LIMIT(prefix, "iops-total", THROTTLE_OPS), LIMIT(prefix, "iops-read", THROTTLE_OPS_READ), \
    LIMIT(prefix, "iops-write", THROTTLE_OPS_WRITE), \
    LIMIT(prefix, "bps-total", THROTTLE_BPS), LIMIT(prefix, "bps-read", THROTTLE_BPS_READ), \
    LIMIT(prefix, "bps-write", THROTTLE_BPS_WRITE), \
    DEFINE_PROP_U64(prefix "iops-size", ThrottleGroup, config.iops_size, 0, "bytes that count as one request, 0: any")
static const Property throttle_props[] = { LIMITS("x-"), LIMITS("limits."), DEFINE_PROP_END };

static void finalize(Object *o)
{
    ThrottleGroup *g = (ThrottleGroup *)o;
    pthread_mutex_destroy(&g->lock);
    pthread_cond_destroy(&g->changed);
}

static const ObjectType throttle_group_type = {
    .name = "throttle-group",
    .desc = "limits that drives share",
    .size = sizeof(ThrottleGroup),
    .props = throttle_props,
    .complete = complete,
    .finalize = finalize,
};
OBJECT_REGISTER(throttle_group_type)

/* --- the filter: names a group for the drive on top of it --- */

typedef struct ThrottleNode { ThrottleGroup *group; } ThrottleNode;

static bool throttle_open(BlockNode *n, Opts *o, Error **errp)
{
    const char *name = opts_get(o, "throttle-group");
    Object *group = name ? object_take(name, "throttle-group", errp) : NULL;
    if (!name)
        error_setf(errp, "block driver 'throttle': which group? add throttle-group=ID of an -object throttle-group");
    ((ThrottleNode *)n->opaque)->group = group ? throttle_group_of(group) : NULL;
    return group && block_filter_init(n);
}

static void throttle_close(BlockNode *n) { object_release(&((ThrottleNode *)n->opaque)->group->object); }

static const char *const throttle_options[] = { "throttle-group", NULL };
static const BlockDriver throttle_driver = {
    .name = "throttle",
    .desc = "filter: limits of a -object throttle-group",
    .instance_size = sizeof(ThrottleNode),
    .options = throttle_options,
    BLOCK_FILTER_FUNCTIONS,
    .open = throttle_open,
    .close = throttle_close,
};
BLOCK_DRIVER_REGISTER(throttle_driver)

ThrottleGroup *throttle_of_node(const BlockNode *n)
{
    while (n && n->drv->filter && n->drv != &throttle_driver)
        n = n->file;
    return n && n->drv == &throttle_driver ? ((ThrottleNode *)n->opaque)->group : NULL;
}
