/* SPDX-License-Identifier: MIT */
/* qcow2: options of opening. What can't be had is refused, so that nobody relies on it. */
#include "block/qcow2/qcow2.h"

enum { L2_TABLES_MIN = 16, BLOCKS_MIN = 8, TABLES_MAX = 1 << 16 }; /* a request pins several */

static bool refuse(const BlockNode *n, const char *option, const char *why, Error **errp)
{
    error_setf(errp, "image '%s': %s: %s", block_filename(n), option, why);
    return false;
}

/* Cache sizes in bytes: of L2 tables, of refcount blocks, or of both together. */
static bool cache_options(const BlockNode *n, Qcow2 *q, Opts *o, Error **errp)
{
    uint64_t all = MAX(q2_l1_needed(q, block_size(n)), 2u), l2 = MIN((all + 2) << q->cluster_bits, 32 * MiB),
             blocks = l2 / 4, total, entry;
    bool has_l2 = opts_has(o, "l2-cache-size"), has_blocks = opts_has(o, "refcount-cache-size"),
         has_total = opts_has(o, "cache-size");
    if (!opts_get_size(o, "l2-cache-size", l2, &l2, errp) ||
        !opts_get_size(o, "refcount-cache-size", blocks, &blocks, errp) ||
        !opts_get_size(o, "cache-size", 0, &total, errp) ||
        !opts_get_size(o, "l2-cache-entry-size", q->cluster_size, &entry, errp))
        return false;
    if (entry != q->cluster_size)
        return refuse(n, "l2-cache-entry-size", "tables are cached whole; give the cluster size, or leave it out",
                      errp);
    if (has_total && has_l2 && has_blocks)
        return refuse(n, "cache-size", "it is the sum of l2-cache-size and refcount-cache-size; give two of the three",
                      errp);
    if (has_total && (has_l2 ? l2 : has_blocks ? blocks : 0) > total)
        return refuse(n, "cache-size", "it is less than one of its parts", errp);
    if (has_total && has_l2)
        blocks = total - l2;
    else if (has_total && has_blocks)
        l2 = total - blocks;
    else if (has_total)
        l2 = total - (blocks = total / 5);
    q2_cache_init(q, &q->l2, (unsigned)CLAMP(l2 >> q->cluster_bits, L2_TABLES_MIN, TABLES_MAX));
    q2_cache_init(q, &q->refblocks, (unsigned)CLAMP(blocks >> q->cluster_bits, BLOCKS_MIN, TABLES_MAX));
    return true;
}

/* Which of the clusters that are freed the host's file loses; without discard=unmap: none. */
static bool discard_options(const BlockNode *n, Qcow2 *q, Opts *o, Error **errp)
{
    bool request, snapshot, other, no_unref;
    if (!opts_get_bool(o, "pass-discard-request", true, &request, errp) ||
        !opts_get_bool(o, "pass-discard-snapshot", true, &snapshot, errp) ||
        !opts_get_bool(o, "pass-discard-other", request, &other, errp) ||
        !opts_get_bool(o, "discard-no-unref", false, &no_unref, errp))
        return false;
    if (no_unref)
        return refuse(n, "discard-no-unref",
                      "discarded clusters are always given back; use discard=ignore to keep them", errp);
    q->pass_discard[Q2_BY_REQUEST] = request;
    q->pass_discard[Q2_BY_SNAPSHOT] = snapshot;
    q->pass_discard[Q2_BY_OTHER] = other;
    q->why = Q2_BY_OTHER;
    return true;
}

bool q2_apply_options(BlockNode *n, Opts *o, Error **errp)
{
    Qcow2 *q = q2_of(n);
    uint64_t interval;
    if (!opts_get_u64(o, "cache-clean-interval", 600, &interval, errp) || !q2_overlap_options(n, o, errp) ||
        !cache_options(n, q, o, errp) || !discard_options(n, q, o, errp))
        return false;
    if (interval > UINT32_MAX)
        return refuse(n, "cache-clean-interval", "it is in seconds, up to 4294967295; 0 keeps what is cached", errp);
    q2_clean_every(n, interval);
    return true;
}
