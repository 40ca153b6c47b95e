/* SPDX-License-Identifier: MIT */
/* QED: which clusters are used, by whom; repair of tables that point to nowhere. */
#include <inttypes.h>
#include "block/qed/qed.h"

enum { CLUSTERS_MAX = 1 << 30 };
typedef struct Walk {
    BlockNode *n;
    Qed *q;
    BlockCheck *c;
    uint8_t *used;       /* a bit for each cluster of the file */
    uint64_t clusters;
    bool fix;
} Walk;

static void finding(Walk *w, const char *what, uint64_t a, uint64_t b)
{
    g_autofree char *line = g_strdup_printf("ERROR: %s 0x%" PRIx64 " for the disk's offset 0x%" PRIx64, what, a, b);
    if (w->c->say)
        w->c->say(w->c->opaque, line);
    w->c->corruptions++;
    w->c->corruptions_fixed += w->fix;
}

static bool mark(Walk *w, uint64_t offset, uint64_t len)
{
    for (uint64_t i = offset / w->q->cluster; i < (offset + len) / w->q->cluster; i++) {
        if (w->used[i / 8] >> (i % 8) & 1)
            return false;
        w->used[i / 8] |= (uint8_t)(1u << (i % 8));
    }
    return true;
}

/* One entry of a table at `offset`; what it points to has `len` bytes. False: it is (now) zero. */
static bool check_entry(Walk *w, uint64_t at, uint64_t len, uint64_t disk, unsigned level, uint64_t *out)
{
    const char *what = level == META_ROOT ? "L2 table at" : "cluster at";
    if (meta_load(&w->q->meta, at, 8, false, out)) {
        w->c->check_errors++;
        return false;
    }
    if (!*out || (level == META_LEAF && *out == 1))
        return false;
    bool ok = qed_valid_offset(w->q, *out, len, w->q->end);
    if (ok && mark(w, *out, len))
        return true;
    finding(w, what, *out, disk);
    if (ok || !w->fix) /* used twice: nobody can tell by whom it is meant to be */
        w->c->corruptions_fixed -= ok && w->fix;
    else if (meta_store(&w->q->meta, at, 8, false, 0, level))
        w->c->check_errors++;
    return false;
}

static void walk(Walk *w)
{
    Qed *q = w->q;
    uint64_t span = q->cluster * q->entries, size = block_size(w->n);
    w->c->total_clusters = (size + q->cluster - 1) / q->cluster;
    for (uint64_t i = 0; i < q->entries && i * span < size; i++) {
        uint64_t l2, cluster;
        if (!check_entry(w, q->l1 + i * 8, q->table, i * span, META_ROOT, &l2))
            continue;
        for (uint64_t k = 0; k < q->entries; k++) {
            w->c->allocated_clusters += check_entry(w, l2 + k * 8, q->cluster, i * span + k * q->cluster, META_LEAF,
                                                    &cluster);
            /* more damage than is kept in memory: what was found so far goes to the file */
            if (w->fix && meta_is_full(&q->meta)) {
                Meta *m = &q->meta;
                w->c->check_errors += sparse_sync_tables(&m, 1) != 0;
            }
        }
    }
}

bool qed_check(BlockNode *n, BlockCheck *c, unsigned fix, Error **errp)
{
    Qed *q = qed_of(n);
    Walk w = { n, q, c, NULL, q->end / q->cluster, fix & BLOCK_FIX_ERRORS };
    w.used = w.clusters <= CLUSTERS_MAX ? g_try_malloc0(w.clusters / 8 + 1) : NULL;
    if (!w.used) {
        error_setf(errp, "image '%s': too large a file (%" PRIu64 " clusters) to be checked", block_filename(n),
                   w.clusters);
        return false;
    }
    mark(&w, 0, q->header);
    if (!mark(&w, q->l1, q->table))
        finding(&w, "L1 table at", q->l1, 0);
    walk(&w);
    for (uint64_t i = 0; i < w.clusters && i * q->cluster < block_size(n->file); i++)
        c->leaks += !(w.used[i / 8] >> (i % 8) & 1);
    g_free(w.used);
    c->image_end = q->end;
    Meta *m = &q->meta;
    int r = 0;
    if (fix) {
        r = sparse_sync_tables(&m, 1);
        if (!r && !c->check_errors && c->corruptions == c->corruptions_fixed && q->features & QED_NEED_CHECK) {
            q->features &= ~(uint64_t)QED_NEED_CHECK;
            r = qed_write_header(n);
            r = r ? r : block_flush(n->file);
        }
    }
    if (r)
        error_set_errno(errp, -r, "image '%s': repair", block_filename(n));
    return !r;
}
