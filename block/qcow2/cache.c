/* SPDX-License-Identifier: MIT */
/* qcow2: L2 tables and refcount blocks in memory, and the order in which they go to the file. */
#include <string.h>
#include "block/qcow2/qcow2.h"

void q2_cache_init(Qcow2 *q, Q2Cache *c, unsigned tables)
{
    *c = (Q2Cache){ .table = g_new0(Q2Table, tables),
                    .count = tables,
                    .by_offset = g_hash_table_new(g_int64_hash, g_int64_equal) };
}

void q2_cache_free(Q2Cache *c)
{
    for (unsigned i = 0; i < c->count; i++)
        g_free(c->table[i].data);
    g_free(c->table);
    if (c->by_offset)
        g_hash_table_destroy(c->by_offset);
    *c = (Q2Cache){ 0 };
}

void q2_cache_dirty(Q2Cache *c, Q2Table *t)
{
    if (!t->dirty)
        c->dirty++;
    t->dirty = true;
}

static Q2Table *find(Q2Cache *c, uint64_t offset) { return g_hash_table_lookup(c->by_offset, &offset); }

bool q2_cache_has(Q2Cache *c, uint64_t offset) { return find(c, offset); }

static void unname(Q2Cache *c, Q2Table *t)
{
    if (t->offset)
        g_hash_table_remove(c->by_offset, &t->offset);
    t->offset = 0;
}

/* The least recently used one that is neither pinned nor dirty. */
static Q2Table *victim(Q2Cache *c)
{
    Q2Table *best = NULL;
    for (unsigned i = 0; i < c->count; i++) {
        Q2Table *t = &c->table[i];
        if (!t->offset && !t->pins)
            return t;
        if (!t->pins && !t->dirty && (!best || t->used < best->used))
            best = t;
    }
    return best;
}

Q2Table *q2_cache_get(BlockNode *n, Q2Cache *c, uint64_t offset, bool fresh, int *error)
{
    Qcow2 *q = q2_of(n);
    Q2Table *t = find(c, offset);
    *error = 0;
    if (t) {
        t->used = ++c->clock;
        t->pins++;
        if (fresh)
            memset(t->data, 0, q->cluster_size);
        return t;
    }
    t = victim(c);
    if (!t) {
        bool lazy = q->dirty_written;
        q->dirty_written = false; /* refcount blocks, too */
        *error = q2_writeback(n);
        q->dirty_written = lazy;
        t = *error ? NULL : victim(c);
        if (!t) {
            *error = *error ? *error : -ENOMEM;
            return NULL;
        }
    }
    if (!t->data)
        t->data = g_malloc0(q->cluster_size);
    unname(c, t);
    if (fresh)
        memset(t->data, 0, q->cluster_size);
    else
        *error = block_pread(n->file, offset, t->data, q->cluster_size);
    if (*error)
        return NULL;
    t->offset = offset;
    g_hash_table_insert(c->by_offset, &t->offset, t);
    t->used = ++c->clock;
    t->pins = 1;
    return t;
}

void q2_cache_forget(Q2Cache *c, uint64_t offset)
{
    Q2Table *t = find(c, offset);
    if (!t || t->pins)
        return;
    if (t->dirty)
        c->dirty--;
    t->dirty = false;
    unname(c, t);
}

/* --- in idle times --- */

static void clean(Q2Cache *c)
{
    for (unsigned i = 0; i < c->count; i++) {
        Q2Table *t = &c->table[i];
        if (t->pins || t->dirty || (t->offset && t->used > c->cleaned))
            continue;
        unname(c, t);
        g_clear_pointer(&t->data, g_free);
    }
    c->cleaned = c->clock;
}

static void clean_again(void *opaque)
{
    Qcow2 *q = opaque;
    if (!pthread_mutex_trylock(&q->lock)) { /* else it is not idle */
        clean(&q->l2);
        clean(&q->refblocks);
        pthread_mutex_unlock(&q->lock);
    }
    timer_arm(q->clean, clock_ns(CLOCK_REALTIME_NS) + q->clean_ns);
}

void q2_clean_every(BlockNode *n, uint64_t seconds)
{
    Qcow2 *q = q2_of(n);
    if (!seconds)
        return;
    q->clean_ns = (int64_t)seconds * 1000000000;
    q->clean = timer_new(CLOCK_REALTIME_NS, NULL, clean_again, q);
    timer_arm(q->clean, clock_ns(CLOCK_REALTIME_NS) + q->clean_ns);
}

void q2_clean_end(Qcow2 *q)
{
    if (q->clean)
        timer_free(q->clean);
    q->clean = NULL;
}

/* --- to the file --- */

static int write_tables(BlockNode *n, Q2Cache *c)
{
    Qcow2 *q = q2_of(n);
    unsigned own = c == &q->l2 ? Q2_IS_L2 | Q2_IS_OLD_L2 /* shared while a snapshot is made */ : Q2_IS_REFBLOCK;
    for (unsigned i = 0; c->dirty && i < c->count; i++) {
        Q2Table *t = &c->table[i];
        if (!t->dirty)
            continue;
        int r = q2_overlap_check(n, t->offset, q->cluster_size, own);
        r = r ? r : block_pwrite(n->file, t->offset, t->data, q->cluster_size);
        if (r)
            return r;
        t->dirty = false;
        c->dirty--;
    }
    return 0;
}

/* Entries first..last of a table of big-endian words. */
static int write_words(BlockNode *n, uint64_t at, const uint64_t *word, uint64_t first, uint64_t last, unsigned own)
{
    uint64_t count = last - first + 1;
    int r = q2_overlap_check(n, at + first * 8, count * 8, own);
    if (r)
        return r;
    g_autofree uint8_t *buf = g_malloc(count * 8);
    for (uint64_t i = 0; i < count; i++)
        store_be(buf + i * 8, 8, word[first + i]);
    return block_pwrite(n->file, at + first * 8, buf, count * 8);
}

int q2_flush_file(BlockNode *n)
{
    Qcow2 *q = q2_of(n);
    int r = q->data != n->file ? block_flush(q->data) : 0;
    return r ? r : block_flush(n->file);
}

static int write_in_order(BlockNode *n)
{
    Qcow2 *q = q2_of(n);
    bool lazy = q->lazy && q->dirty_written; /* the counts are made anew after a crash */
    int r = lazy ? 0 : write_tables(n, &q->refblocks);
    if (!r && q->reftable_dirty && !lazy) {
        r = block_flush(n->file);
        r = r ? r
              : write_words(n, q->reftable_offset, q->reftable, q->reftable_first, q->reftable_last, Q2_IS_REFTABLE);
        q->reftable_dirty = r != 0;
    }
    if (!r && (q->l2.dirty || q->l1_dirty))
        r = q2_flush_file(n);
    if (!r && q->l2.dirty) {
        r = write_tables(n, &q->l2);
        if (!r && q->l1_dirty)
            r = block_flush(n->file);
    }
    if (!r && q->l1_dirty) {
        r = write_words(n, q->l1_offset, q->l1, q->l1_first, q->l1_last, Q2_IS_L1);
        q->l1_dirty = r != 0;
    }
    return r;
}

int q2_writeback(BlockNode *n)
{
    Qcow2 *q = q2_of(n);
    if (q->broken)
        return -EIO;
    return write_in_order(n); /* what could not be written stays dirty */
}

/* What has been freed by now, and no later, is known to be overwritten on disk after the flush. */
static int sync_as(BlockNode *n, bool unlock)
{
    Qcow2 *q = q2_of(n);
    uint64_t stamp = q->stamp++;
    int r = q2_writeback(n);
    if (r)
        return r;
    if (unlock)
        pthread_mutex_unlock(&q->lock);
    r = q2_flush_file(n);
    if (unlock)
        pthread_mutex_lock(&q->lock);
    if (r)
        return r;
    for (unsigned i = 0; i < q->pending->len; i++) {
        Q2Free *f = &g_array_index(q->pending, Q2Free, i);
        if (f->stamp <= stamp)
            f->durable = true;
    }
    return q2_give_back(n);
}

int q2_sync(BlockNode *n) { return sync_as(n, false); }
int q2_sync_shared(BlockNode *n) { return sync_as(n, true); }
