/* SPDX-License-Identifier: MIT */
/* RAM blocks: host memory, the flat ram_addr space, and the hook for writes that bypass the vCPUs. */
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/bits.h"
#include "base/rcu.h"
#include "hw/core/memory-internal.h"
#include "hw/core/ram.h"

#define RAM_PAGE UINT64_C(4096)

/* All blocks, sorted by start; replaced as a whole (RCU). */
typedef struct BlockTable {
    struct rcu_head rcu;
    unsigned count;
    RamBlock block[];
} BlockTable;

static BlockTable *blocks;
static struct {
    RamWrittenFn *fn;
    void *opaque;
} written_hook;

static void table_free(struct rcu_head *head)
{
    g_free(container_of(head, BlockTable, rcu));
}

static void table_publish(BlockTable *t)
{
    BlockTable *old = blocks;
    rcu_publish(blocks, t);
    if (old)
        call_rcu(&old->rcu, table_free);
}

static BlockTable *table_new(unsigned count)
{
    BlockTable *t = g_malloc0(sizeof(*t) + count * sizeof(RamBlock));
    t->count = count;
    return t;
}

uint8_t *ram_block_new(const char *name, uint64_t size, RamSource *src, uint64_t *ram_addr, Error **errp)
{
    RamBlock made = { .size = align_up(MAX(size, 1), RAM_PAGE) };
    g_strlcpy(made.name, name, sizeof(made.name));
    if (!made.size || !ram_source_map(&made, src, errp)) {
        if (!made.size)
            error_setf(errp, "memory '%s': the host refuses %" PRIu64 " MiB", name, size / MiB);
        return NULL;
    }
    mem_map_lock();
    unsigned count = blocks ? blocks->count : 0, at = 0;
    while (at < count && blocks->block[at].start - made.start < made.size) { /* first gap that is wide enough */
        made.start = blocks->block[at].start + blocks->block[at].size;
        at++;
    }
    BlockTable *t = table_new(count + 1);
    if (count) {
        memcpy(t->block, blocks->block, at * sizeof(RamBlock));
        memcpy(t->block + at + 1, blocks->block + at, (count - at) * sizeof(RamBlock));
    }
    t->block[at] = made;
    table_publish(t);
    mem_map_unlock();
    mem_ram_written(made.start, made.size); /* code of a block that was there before is not translated any more */
    *ram_addr = made.start;
    return made.host;
}

void ram_block_free(uint64_t ram_addr)
{
    mem_map_lock();
    unsigned at = 0;
    while (blocks->block[at].start != ram_addr)
        at++;
    munmap(blocks->block[at].host, blocks->block[at].mapped);
    if (blocks->block[at].fd >= 0)
        close(blocks->block[at].fd);
    BlockTable *t = table_new(blocks->count - 1);
    memcpy(t->block, blocks->block, at * sizeof(RamBlock));
    memcpy(t->block + at, blocks->block + at + 1, (t->count - at) * sizeof(RamBlock));
    table_publish(t);
    mem_map_unlock();
}

bool ram_block_find(uint64_t ram_addr, RamBlock *out)
{
    bool found = false;
    rcu_read_lock();
    const BlockTable *t = rcu_get(blocks);
    for (unsigned i = 0; t && !found && i < t->count; i++) {
        found = ram_addr - t->block[i].start < t->block[i].size;
        if (found)
            *out = t->block[i];
    }
    rcu_read_unlock();
    return found;
}

void mem_set_ram_written_hook(RamWrittenFn *fn, void *opaque)
{
    written_hook.opaque = opaque;
    __atomic_store_n(&written_hook.fn, fn, __ATOMIC_RELEASE);
}

void mem_ram_written(uint64_t ram_addr, uint64_t len)
{
    RamWrittenFn *fn = __atomic_load_n(&written_hook.fn, __ATOMIC_ACQUIRE);
    ram_dirty_mark(ram_addr, len);
    if (fn && ram_addr != UINT64_MAX)
        fn(written_hook.opaque, ram_addr, len);
}

uint64_t mem_ram_addr_limit(void)
{
    rcu_read_lock();
    const BlockTable *t = rcu_get(blocks);
    uint64_t limit = t && t->count ? t->block[t->count - 1].start + t->block[t->count - 1].size : 0;
    rcu_read_unlock();
    return limit;
}

uint8_t *mem_ram_host(uint64_t ram_addr)
{
    RamBlock b;
    return ram_block_find(ram_addr, &b) ? b.host + (ram_addr - b.start) : NULL;
}

void ram_foreach_block(RamBlockFn *fn, void *opaque)
{
    rcu_read_lock();
    const BlockTable *t = rcu_get(blocks);
    for (unsigned i = 0; t && i < t->count; i++) {
        if (!t->block[i].foreign)
            fn(&t->block[i], opaque);
    }
    rcu_read_unlock();
}
