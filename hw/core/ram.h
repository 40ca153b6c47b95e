/* SPDX-License-Identifier: MIT */
/* The RAM blocks, for those who save, load or dump all memory. */
#ifndef HW_CORE_RAM_H
#define HW_CORE_RAM_H

#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"

typedef struct RamBlock {
    uint64_t start, size; /* in the ram_addr space; size is a multiple of 4096 */
    uint8_t *host;
    char name[40];
} RamBlock;

/* Every block in order of start; the caller's fn must not make or free regions. Includes ROM and flash contents. */
typedef void RamBlockFn(const RamBlock *block, void *opaque);
void ram_foreach_block(RamBlockFn *fn, void *opaque);

/*
 * Which pages are written while the guest runs. ram_dirty_start() (main thread): from now on all are noticed, by whomever; fails when the
 * accelerator can't. ram_dirty_sync() (main thread): what was written before it can be taken after it. ram_dirty_take() (any thread, one at a
 * time for a page): was any of it written? It counts as clean then.
 */
bool ram_dirty_start(Error **errp);
void ram_dirty_stop(void);
void ram_dirty_sync(void);
bool ram_dirty_take(uint64_t start, uint64_t len);
uint64_t ram_dirty_count(void); /* pages that could be taken now; any thread */

/*
 * The accelerator's part; main thread, any may be NULL. collect: mark what the vCPUs have written. forget: whatever lets vCPUs write without
 * marking is gone when it returns; it is called after what was marked has been taken.
 */
typedef struct RamDirtyOps {
    bool (*start)(Error **errp);
    void (*collect)(void);
    void (*forget)(void);
    void (*stop)(void);
} RamDirtyOps;
void ram_set_dirty_ops(const RamDirtyOps *ops);
extern _Atomic bool ram_dirty_on;
void ram_dirty_mark_pages(uint64_t start, uint64_t len);
static inline void ram_dirty_mark(uint64_t start, uint64_t len)
{
    if (__builtin_expect(ram_dirty_on, 0))
        ram_dirty_mark_pages(start, len);
}
#endif
