/* SPDX-License-Identifier: MIT */
/* Ranges without a device behind them. */
#include "hw/core/unmodelled.h"

#include <inttypes.h>
#include "base/log.h"

typedef struct Unmodelled {
    const UnmodelledRange *range;
    uint64_t reads;
    LogLimit limit;
} Unmodelled;

static MemResult unmodelled_read(void *opaque, hwaddr offset, unsigned size, uint64_t *value, MemAttrs attrs)
{
    Unmodelled *u = opaque;
    *value = u->reads;
    if (log_enabled(LOG_UNIMP) && !u->range->quiet)
        log_limited(&u->limit, LOG_UNIMP, u->range->name, "read of %u bytes at %#" PRIx64 ": not modelled", size,
                    u->range->base + offset);
    return MEM_OK;
}

static MemResult unmodelled_write(void *opaque, hwaddr offset, unsigned size, uint64_t value, MemAttrs attrs)
{
    Unmodelled *u = opaque;
    if (log_enabled(LOG_UNIMP) && !u->range->quiet)
        log_limited(&u->limit, LOG_UNIMP, u->range->name, "write of %#" PRIx64 " at %#" PRIx64 ": not modelled", value,
                    u->range->base + offset);
    return MEM_OK;
}

MemRegion *unmodelled_new(const UnmodelledRange *range, uint64_t reads)
{
    static const MemOps ops = { .read = unmodelled_read, .write = unmodelled_write, .min_size = 1, .max_size = 8 };
    Unmodelled *u = g_new0(Unmodelled, 1);
    u->range = range;
    u->reads = reads;
    MemRegion *r = mem_io_new(range->name, range->size, &ops, u, NULL);
    mem_set_opaque_free(r, g_free);
    return r;
}
