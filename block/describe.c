/* SPDX-License-Identifier: MIT */
/* What an image is, as text for people: rhea-img info and the monitor. */
#include <inttypes.h>
#include <string.h>
#include <time.h>
#include "base/bits.h"
#include "block/block.h"

char *block_size_text(uint64_t bytes)
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
    unsigned u = 0;
    double v = (double)bytes;
    while (v >= 999.5 && u + 1 < ARRAY_LEN(units))
        v /= 1024, u++;
    return g_strdup_printf("%0.3g %s", v, units[u]);
}

void block_describe_snapshots(const GArray *snapshots, GString *out)
{
    g_string_append_printf(out, "Snapshot list:\n%-10s%-17s%8s%20s%13s%11s\n", "ID", "TAG", "VM SIZE", "DATE", "VM CLOCK", "ICOUNT");
    for (unsigned i = 0; i < snapshots->len; i++) {
        const BlockSnapshot *b = &g_array_index(snapshots, BlockSnapshot, i);
        g_autofree char *size = block_size_text(b->vm_state_size);
        time_t t = b->date_sec;
        struct tm tm;
        char date[32], icount[24] = "";
        strftime(date, sizeof date, "%Y-%m-%d %H:%M:%S", localtime_r(&t, &tm));
        uint64_t s = b->vm_clock_ns / 1000000000;
        if (b->icount != UINT64_MAX)
            g_snprintf(icount, sizeof icount, "%" PRIu64, b->icount);
        g_string_append_printf(out, "%-10s%-17s%8s%20s %02d:%02d:%02d.%03d%11s\n", b->id, b->name, size, date, (int)(s / 3600),
                               (int)(s / 60 % 60), (int)(s % 60), (int)(b->vm_clock_ns / 1000000 % 1000), icount);
    }
}

static void describe_backing(const BlockInfo *i, GString *out)
{
    if (!i->backing_filename)
        return;
    g_string_append_printf(out, "backing file: %s", i->backing_filename);
    if (!i->backing_full)
        g_string_append(out, " (cannot determine actual path)");
    else if (strcmp(i->backing_full, i->backing_filename))
        g_string_append_printf(out, " (actual path: %s)", i->backing_full);
    g_string_append_c(out, '\n');
    if (i->backing_format)
        g_string_append_printf(out, "backing file format: %s\n", i->backing_format);
}

static void describe(BlockNode *n, const BlockInfo *i, const GArray *snapshots, GString *out)
{
    g_autofree char *virtual = block_size_text(i->virtual_size), *actual = block_size_text(i->actual_size);
    g_string_append_printf(out, "image: %s\nfile format: %s\nvirtual size: %s (%" PRIu64 " bytes)\n", block_filename(n), block_driver_name(n),
                           virtual, i->virtual_size);
    g_string_append_printf(out, "disk size: %s\n", i->has_actual ? actual : "unavailable");
    if (i->encrypted)
        g_string_append(out, "encrypted: yes\n");
    if (i->cluster_size)
        g_string_append_printf(out, "cluster_size: %" PRIu64 "\n", i->cluster_size);
    if (i->dirty)
        g_string_append(out, "cleanly shut down: no\n");
    describe_backing(i, out);
    if (snapshots->len)
        block_describe_snapshots(snapshots, out);
    if (i->details->len)
        g_string_append(out, "Format specific information:\n");
    for (unsigned k = 0; k < i->details->len; k += 2) {
        g_autofree char *key = g_strdelimit(g_strdup(i->details->pdata[k]), "-", ' ');
        g_string_append_printf(out, "    %s: %s\n", key, (char *)i->details->pdata[k + 1]);
    }
}

bool block_describe(BlockNode *n, GString *out, Error **errp)
{
    BlockInfo i;
    GArray *snapshots = NULL;
    bool ok = block_info(n, &i, errp) && block_snapshot_list(n, &snapshots, errp);
    if (ok)
        describe(n, &i, snapshots, out);
    block_info_clear(&i);
    if (snapshots)
        g_array_unref(snapshots);
    return ok;
}
