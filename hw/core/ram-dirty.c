/* SPDX-License-Identifier: MIT */
/* The log of written pages: one bitmap that is marked, one that is taken from. */
#include <glib.h>
#include <stdatomic.h>
#include "base/bits.h"
#include "hw/core/memory.h"
#include "hw/core/ram.h"

enum { PAGE_BITS = 12, WORD = 64 };

_Atomic bool ram_dirty_on;
static const RamDirtyOps *accel_ops;
/* Kept until the next start: a writer may still be on its way to mark when the log ends. */
static struct { _Atomic uint64_t *marked, *taken; uint64_t pages; } maps;

void ram_set_dirty_ops(const RamDirtyOps *ops) { accel_ops = ops; }

void ram_dirty_mark_pages(uint64_t start, uint64_t len)
{
    if (!len || start == UINT64_MAX)
        return;
    for (uint64_t p = start >> PAGE_BITS, last = (start + len - 1) >> PAGE_BITS; p <= last && p < maps.pages; p++) {
        _Atomic uint64_t *w = &maps.marked[p / WORD];
        if (!(atomic_load_explicit(w, memory_order_relaxed) & BIT(p % WORD)))
            atomic_fetch_or(w, BIT(p % WORD));
    }
}

bool ram_dirty_start(Error **errp)
{
    if (!accel_ops) {
        error_setf(errp, "this accelerator can't tell which memory the guest writes; save with the machine paused");
        return false;
    }
    uint64_t pages = mem_ram_addr_limit() >> PAGE_BITS, words = pages / WORD + 1;
    if (maps.pages != pages) {
        g_free((void *)maps.marked);
        g_free((void *)maps.taken);
        maps.marked = g_new0(_Atomic uint64_t, words);
        maps.taken = g_new0(_Atomic uint64_t, words);
        maps.pages = pages;
    }
    for (uint64_t i = 0; i < words; i++)
        maps.marked[i] = maps.taken[i] = 0;
    atomic_store(&ram_dirty_on, true);
    if (accel_ops->start && !accel_ops->start(errp)) {
        atomic_store(&ram_dirty_on, false);
        return false;
    }
    if (accel_ops->forget)
        accel_ops->forget();
    return true;
}

void ram_dirty_stop(void)
{
    if (!ram_dirty_on)
        return;
    atomic_store(&ram_dirty_on, false);
    if (accel_ops->stop)
        accel_ops->stop();
}

void ram_dirty_sync(void)
{
    if (!ram_dirty_on)
        return;
    if (accel_ops->collect)
        accel_ops->collect();
    for (uint64_t i = 0; i < maps.pages / WORD + 1; i++) {
        if (atomic_load_explicit(&maps.marked[i], memory_order_relaxed))
            atomic_fetch_or(&maps.taken[i], atomic_exchange(&maps.marked[i], 0));
    }
    if (accel_ops->forget)
        accel_ops->forget();
}

bool ram_dirty_take(uint64_t start, uint64_t len)
{
    bool any = false;
    for (uint64_t p = start >> PAGE_BITS; p < (start + len) >> PAGE_BITS && p < maps.pages; p++) {
        if (atomic_load_explicit(&maps.taken[p / WORD], memory_order_relaxed) & BIT(p % WORD))
            any |= atomic_fetch_and(&maps.taken[p / WORD], ~BIT(p % WORD)) & BIT(p % WORD);
    }
    return any;
}

uint64_t ram_dirty_count(void)
{
    uint64_t n = 0;
    for (uint64_t i = 0; maps.pages && i < maps.pages / WORD + 1; i++)
        n += (unsigned)__builtin_popcountll(maps.taken[i]);
    return n;
}
