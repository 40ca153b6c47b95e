/* SPDX-License-Identifier: MIT */
/* What saving and loading have in common: the list of blocks, check sums, work for several threads. */
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>
#include "base/thread.h"
#include "hw/core/save-format.h"

enum { THREADS_MAX = 4 };

static void add_block(const RamBlock *b, void *opaque)
{
    SaveBlocks *s = opaque;
    s->block = g_renew(RamBlock, s->block, s->count + 1);
    s->block[s->count++] = *b;
    s->units += (b->size + SAVE_UNIT - 1) / SAVE_UNIT;
}

void save_blocks_init(SaveBlocks *b)
{
    *b = (SaveBlocks){ 0 };
    ram_foreach_block(add_block, b);
}

static inline uint64_t mix(uint64_t lane, const uint8_t *p, uint64_t odd)
{
    lane = (lane ^ load_le64(p)) * odd;
    return lane ^ lane >> 29;
}

/* Each of four lanes is a chain of bijections: it ends elsewhere when one of its words differs. */
uint64_t save_sum(uint64_t start, const void *data, size_t len)
{
    static const uint64_t odd[4] = { UINT64_C(0x9e3779b97f4a7c15), UINT64_C(0xc2b2ae3d27d4eb4f),
                                     UINT64_C(0x165667b19e3779f9), UINT64_C(0xd6e8feb86659fd93) };
    uint64_t lane[4] = { start ^ odd[0], start ^ odd[1], start ^ odd[2], start ^ odd[3] };
    const uint8_t *p = data;
    for (; len >= 32; p += 32, len -= 32) {
        lane[0] = mix(lane[0], p, odd[0]);
        lane[1] = mix(lane[1], p + 8, odd[1]);
        lane[2] = mix(lane[2], p + 16, odd[2]);
        lane[3] = mix(lane[3], p + 24, odd[3]);
        /* in registers: vectors of 64-bit products are four times slower where the host has no instruction for them */
        __asm__("" : "+r"(lane[0]), "+r"(lane[1]), "+r"(lane[2]), "+r"(lane[3]));
    }
    for (; len >= 8; p += 8, len -= 8)
        lane[0] = (lane[0] ^ load_le64(p)) * odd[0];
    uint64_t sum = 0;
    for (unsigned i = 0; i < 4; i++)
        sum = (sum ^ lane[i] ^ lane[i] >> 32) * odd[i];
    return sum;
}

SaveBatch *save_batch_new(void)
{
    SaveBatch *b = g_new(SaveBatch, 1);
    save_batch_clear(b);
    return b;
}

void save_batch_add(SaveBatch *b, uint64_t at, uint32_t mask, uint8_t *unit)
{
    if (!b->count)
        b->at = at;
    for (unsigned p = 0; p < SAVE_UNIT / SAVE_PAGE; p++) {
        uint8_t *page = unit + p * SAVE_PAGE;
        struct iovec *last = b->count ? &b->iov[b->count - 1] : NULL;
        if (!(mask >> p & 1))
            continue;
        if (last && (uint8_t *)last->iov_base + last->iov_len == page)
            last->iov_len += SAVE_PAGE;
        else
            b->iov[b->count++] = (struct iovec){ page, SAVE_PAGE };
        b->len += SAVE_PAGE;
    }
}

typedef struct Work {
    int (*fn)(void *opaque, unsigned i);
    void *opaque;
    unsigned count;
    _Atomic unsigned next;
    _Atomic int error;
} Work;

static void *worker(void *opaque)
{
    Work *w = opaque;
    for (unsigned i; !w->error && (i = atomic_fetch_add(&w->next, 1)) < w->count;) {
        int r = w->fn(w->opaque, i), none = 0;
        if (r)
            atomic_compare_exchange_strong(&w->error, &none, r);
    }
    return NULL;
}

int save_parallel(unsigned n, int (*fn)(void *opaque, unsigned i), void *opaque)
{
    Work w = { .fn = fn, .opaque = opaque, .count = n };
    pthread_t thread[THREADS_MAX];
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned threads = n < 2 ? 1 : (unsigned)CLAMP(cpus, 1, THREADS_MAX);
    for (unsigned i = 1; i < threads; i++)
        thread[i] = thread_start("saved state", worker, &w);
    worker(&w);
    for (unsigned i = 1; i < threads; i++)
        pthread_join(thread[i], NULL);
    return w.error;
}
