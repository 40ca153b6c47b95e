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
    uint64_t mapped, page_size; /* of the mapping; host pages that it is made of (huge pages of hugetlbfs) */
    int fd;                /* the file behind it, -1: anonymous */
    bool foreign;          /* of a device of the host */
    bool shared, readonly; /* of the file; readonly: the host page tables refuse writes */
} RamBlock;

/*
 * Every block that is memory (not foreign) in order of start; the caller's fn must not make or free regions. Includes
 * ROM and flash contents.
 */
typedef void RamBlockFn(const RamBlock *block, void *opaque);
void ram_foreach_block(RamBlockFn *fn, void *opaque);
bool ram_block_find(uint64_t ram_addr, RamBlock *out); /* the block that holds ram_addr */

/*
 * The guest does not need what is there: whole host pages inside [ram_addr, ram_addr + len) go back to the host and
 * read as zeroes (of a private mapping of a file: as the file) from then on. Translated code of them is dropped. Any
 * thread. Bytes given back; 0: none could be.
 */
uint64_t ram_discard(uint64_t ram_addr, uint64_t len);
/* Nothing goes back while somebody inhibits it: a device of the host has the pages' addresses. Counted. */
void ram_discard_inhibit(bool inhibit);

/*
 * Which pages are written while the guest runs. ram_dirty_start() (main thread): from now on all are noticed, by
 * whomever; fails when the accelerator can't. ram_dirty_sync() (main thread): what was written before it can be taken
 * after it. ram_dirty_take() (any thread, one at a time for a page): was any of it written? It counts as clean then.
 */
bool ram_dirty_start(Error **errp);
void ram_dirty_stop(void);
void ram_dirty_sync(void);
bool ram_dirty_take(uint64_t start, uint64_t len);
uint64_t ram_dirty_count(void); /* pages that could be taken now; any thread */

/*
 * The accelerator's part; main thread, any may be NULL. collect: mark what the vCPUs have written. forget: whatever
 * lets vCPUs write without marking is gone when it returns; it is called after what was marked has been taken.
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
