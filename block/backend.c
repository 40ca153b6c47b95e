/* SPDX-License-Identifier: MIT */
/* Drives: names, media, and the devices that use them. */
#include <string.h>
#include "base/rcu.h"
#include "base/trace.h"
#include "block/backend-internal.h"

static GPtrArray *backends;

/* --- life --- */

/* A throttle filter on the medium counts as the drive's own limits. */
static void adopt_throttle(BlockBackend *b)
{
    ThrottleGroup *g = b->node && !b->throttle ? throttle_of_node(b->node) : NULL;
    if (g)
        blk_set_throttle(b, throttle_group_of(object_take(throttle_group_name(g), NULL, NULL)));
}

BlockBackend *blk_new(const char *name, BlockNode *node)
{
    BlockBackend *b = g_new0(BlockBackend, 1);
    b->name = g_strdup(name ? name : "");
    b->with_device = !name;
    b->node = node;
    b->werror = BLK_ERROR_ENOSPC;
    in_flight_init(&b->in_flight);
    pthread_mutex_init(&b->hold_lock, NULL);
    pthread_cond_init(&b->released, NULL);
    if (!backends)
        backends = g_ptr_array_new();
    g_ptr_array_add(backends, b);
    adopt_throttle(b);
    return b;
}

/* The medium goes: nobody finds it any more, requests on their way end, then it is given back. */
static void drop_node(BlockBackend *b)
{
    BlockNode *n = b->node;
    b->node = NULL;
    blk_drain(b);
    synchronize_rcu();
    block_unref(n);
}

void blk_free(BlockBackend *b)
{
    drop_node(b);
    blk_set_throttle(b, NULL);
    g_ptr_array_remove(backends, b);
    in_flight_destroy(&b->in_flight);
    pthread_mutex_destroy(&b->hold_lock);
    pthread_cond_destroy(&b->released);
    g_free(b->name);
    g_free(b->user);
    g_free(b->serial);
    blk_free_intervals(b->intervals);
    g_free(b);
}

void blk_free_all(void)
{
    while (backends && backends->len)
        blk_free(backends->pdata[backends->len - 1]);
}

BlockBackend *blk_find(const char *name)
{
    for (unsigned i = 0; backends && i < backends->len; i++) {
        if (*name && !strcmp(((BlockBackend *)backends->pdata[i])->name, name))
            return backends->pdata[i];
    }
    BlockNode *n = block_node_find(name);
    BlockBackend *b = n ? blk_new(name, block_ref(n)) : NULL;
    if (b)
        b->with_device = true;
    return b;
}

unsigned blk_count(void) { return backends ? backends->len : 0; }
BlockBackend *blk_nth(unsigned i) { return i < blk_count() ? backends->pdata[i] : NULL; }
const char *blk_name(const BlockBackend *b) { return b->name; }
BlockNode *blk_node(const BlockBackend *b) { return b->node; }
bool blk_inserted(const BlockBackend *b) { return b->node; }
const char *blk_user(const BlockBackend *b) { return b->user; }
const char *blk_serial(const BlockBackend *b) { return b->serial; }

uint64_t blk_size(const BlockBackend *b)
{
    rcu_read_lock();
    const BlockNode *n = b->node;
    uint64_t size = n ? block_size(n) : 0;
    rcu_read_unlock();
    return size;
}

bool blk_writable(const BlockBackend *b)
{
    rcu_read_lock();
    const BlockNode *n = b->node;
    bool writable = n && block_writable(n);
    rcu_read_unlock();
    return writable;
}

void blk_set_on_error(BlockBackend *b, BlkOnError rerror, BlkOnError werror)
{
    b->rerror = rerror;
    b->werror = werror;
}

void blk_get_on_error(const BlockBackend *b, BlkOnError *rerror, BlkOnError *werror)
{
    *rerror = b->rerror;
    *werror = b->werror;
}

void blk_set_serial(BlockBackend *b, const char *serial)
{
    g_free(b->serial);
    b->serial = g_strdup(serial);
}

bool blk_attach(BlockBackend *b, const char *device, Error **errp)
{
    if (b->user) {
        error_setf(errp, "device '%s': drive '%s' is in use by device '%s'; give each device a drive of its own",
                   device, b->name, b->user);
        return false;
    }
    b->user = g_strdup(device);
    return true;
}

void blk_detach(BlockBackend *b)
{
    blk_drain(b);
    g_clear_pointer(&b->user, g_free);
    b->ops = NULL;
    b->ring = NULL;
    if (b->with_device)
        blk_free(b);
}

/* --- media --- */

void blk_set_device_ops(BlockBackend *b, const BlkDeviceOps *ops, void *opaque)
{
    b->ops = ops;
    b->opaque = opaque;
}

bool blk_removable(const BlockBackend *b) { return b->ops && b->ops->medium_changed; }
bool blk_tray_open(const BlockBackend *b) { return b->ops && b->ops->tray_open && b->ops->tray_open(b->opaque); }
bool blk_locked(const BlockBackend *b) { return b->ops && b->ops->medium_locked && b->ops->medium_locked(b->opaque); }

static bool need_removable(const BlockBackend *b, Error **errp)
{
    if (!b->user || blk_removable(b))
        return true;
    error_setf(errp,
               "drive '%s': the medium of device '%s' can't be changed; remove the device, or use a CD or floppy drive",
               b->name, b->user);
    return false;
}

bool blk_insert(BlockBackend *b, BlockNode *node, Error **errp)
{
    if (!need_removable(b, errp))
        return false;
    if (b->node) {
        error_setf(errp, "drive '%s' has a medium; take it out first", b->name);
        return false;
    }
    b->node = node;
    adopt_throttle(b);
    if (b->ops)
        b->ops->medium_changed(b->opaque, true);
    return true;
}

bool blk_remove(BlockBackend *b, Error **errp)
{
    if (!need_removable(b, errp))
        return false;
    bool had = b->node;
    drop_node(b);
    if (had && b->ops)
        b->ops->medium_changed(b->opaque, false);
    return true;
}

bool blk_eject(BlockBackend *b, bool force, Error **errp)
{
    if (b->node && blk_locked(b) && !blk_tray_open(b)) {
        if (b->ops->eject_request)
            b->ops->eject_request(b->opaque, force);
        if (!force) {
            error_setf(
                errp,
                "drive '%s': the guest has locked the medium; it has been asked to give it back: try again, or use -f",
                b->name);
            return false;
        }
    }
    return blk_remove(b, errp);
}

void blk_tray_changed(BlockBackend *b, bool open)
{
    TRACE(blk_tray, "drive '%s': the guest has %s the tray", b->name, open ? "opened" : "closed");
}

bool blk_resize(BlockBackend *b, uint64_t size, Error **errp)
{
    if (!b->node) {
        error_setf(errp, "drive '%s' has no medium to resize", b->name);
        return false;
    }
    if (!block_truncate(b->node, size, PREALLOC_OFF, true, errp))
        return false;
    if (b->ops && b->ops->resized)
        b->ops->resized(b->opaque);
    return true;
}
