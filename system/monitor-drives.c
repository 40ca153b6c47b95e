/* SPDX-License-Identifier: MIT */
/* Monitor: drives and their images: `info block`, `info blockstats`, sizes, requests by hand. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/bits.h"
#include "block/backend.h"
#include "block/throttle.h"
#include "system/monitor.h"

enum { IO_MAX = 64 << 20 }; /* bytes of one request by hand */

BlockBackend *monitor_find_drive(const char *name, Error **errp)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    for (unsigned i = 0; i < blk_count(); i++) {
        if (!strcmp(name, blk_name(blk_nth(i))))
            return blk_nth(i);
        g_ptr_array_add(names, (void *)blk_name(blk_nth(i)));
    }
    g_ptr_array_add(names, NULL);
    error_set_unknown(errp, "drive", name, (const char *const *)names->pdata);
    return NULL;
}

void monitor_complete_drive(unsigned n, GPtrArray *out)
{
    for (unsigned i = 0; n == 1 && i < blk_count(); i++)
        g_ptr_array_add(out, g_strdup(blk_name(blk_nth(i))));
}

/* ---- info block ---- */

static void print_title(Monitor *mon, const char *name, BlockNode *n)
{
    if (!n) {
        monitor_printf(mon, "%s: [not inserted]\n", name);
        return;
    }
    const char *node = block_node_name(n);
    monitor_printf(mon, "%s%s%s%s: %s (%s%s)\n", name, *node && strcmp(node, name) ? " (" : "",
                   strcmp(node, name) ? node : "", *node && strcmp(node, name) ? ")" : "",
                   block_filename(block_skip_filters(n)), block_driver_name(n), block_writable(n) ? "" : ", read-only");
}

static void print_images(Monitor *mon, BlockNode *n)
{
    monitor_printf(mon, "\nImages:\n");
    for (BlockNode *b = block_skip_filters(n); b; b = block_backing(b))
        block_describe(b, monitor_out(mon), NULL);
}

static void print_node(Monitor *mon, BlockNode *n, bool verbose)
{
    unsigned flags = block_flags(n), depth = 0;
    for (BlockNode *b = block_backing(n); b; b = block_backing(b))
        depth++;
    monitor_printf(mon, "    Cache mode:       %s%s%s\n", flags & BLOCK_WRITETHROUGH ? "writethrough" : "writeback",
                   flags & BLOCK_DIRECT ? ", direct" : "", flags & BLOCK_NO_FLUSH ? ", ignore flushes" : "");
    if (depth)
        monitor_printf(mon, "    Backing file:     %s (chain depth: %u)\n", block_filename(block_backing(n)), depth);
    if (flags & BLOCK_ZERO_DETECT)
        monitor_printf(mon, "    Detect zeroes:    %s\n", flags & BLOCK_ZERO_UNMAP ? "unmap" : "on");
    if (verbose)
        print_images(mon, n);
}

static void print_limits(Monitor *mon, ThrottleGroup *g)
{
    static const struct { const char *name; ThrottleKind kind;
    } order[] = {
        { "bps", THROTTLE_BPS },  { "bps_rd", THROTTLE_BPS_READ },  { "bps_wr", THROTTLE_BPS_WRITE },
        { "iops", THROTTLE_OPS }, { "iops_rd", THROTTLE_OPS_READ }, { "iops_wr", THROTTLE_OPS_WRITE },
    };
    ThrottleConfig c = throttle_group_config(g);
    monitor_printf(mon, "    I/O throttling:  ");
    for (unsigned half = 0; half < 2; half++) {
        for (unsigned i = 0; i < 3; i++)
            monitor_printf(mon, " %s=%" PRIu64, order[half * 3 + i].name, c.limit[order[half * 3 + i].kind].avg);
        for (unsigned i = 0; i < 3; i++)
            monitor_printf(mon, " %s_max=%" PRIu64, order[half * 3 + i].name, c.limit[order[half * 3 + i].kind].max);
    }
    monitor_printf(mon, " iops_size=%" PRIu64 " group=%s\n", c.iops_size, throttle_group_name(g));
}

static void print_drive(Monitor *mon, const BlockBackend *b, bool verbose)
{
    const char *user = blk_user(b);
    BlockNode *n = blk_node(b);
    print_title(mon, *blk_name(b) ? blk_name(b) : user ? user : "drive", n);
    if (user)
        monitor_printf(mon, "    Attached to:      %s\n", user);
    if (blk_removable(b))
        monitor_printf(mon, "    Removable device: %slocked, tray %s\n", blk_locked(b) ? "" : "not ",
                       blk_tray_open(b) ? "open" : "closed");
    if (n)
        print_node(mon, n, false);
    if (blk_throttle(b))
        print_limits(mon, blk_throttle(b));
    if (n && verbose)
        print_images(mon, n);
}

bool monitor_info_block(Monitor *mon, int argc, char **argv, Error **errp)
{
    bool nodes = false, verbose = false;
    const char *name = NULL;
    for (int i = 1; i < argc; i++) {
        nodes |= !strcmp(argv[i], "-n");
        verbose |= !strcmp(argv[i], "-v");
        name = argv[i][0] == '-' ? name : argv[i];
    }
    if (name && !nodes && !monitor_find_drive(name, errp))
        return false;
    bool first = true;
    for (unsigned i = 0; i < (nodes ? block_node_count() : blk_count()); i++) {
        BlockNode *n = nodes ? block_node_nth(i) : NULL;
        if (name && strcmp(name, n ? block_node_name(n) : blk_name(blk_nth(i))))
            continue;
        monitor_printf(mon, first ? "" : "\n");
        first = false;
        if (n) {
            print_title(mon, block_node_name(n), n);
            print_node(mon, n, verbose);
        } else {
            print_drive(mon, blk_nth(i), verbose);
        }
    }
    return true;
}

/* ---- info blockstats ---- */

/* Upper bounds in powers of two of microseconds. */
static void print_latencies(Monitor *mon, const char *what, const uint64_t *counts)
{
    uint64_t any = 0;
    for (unsigned i = 0; i < BLK_LATENCIES; i++)
        any += counts[i];
    if (!any)
        return;
    monitor_printf(mon, "    %s:", what);
    for (unsigned i = 0; i < BLK_LATENCIES; i++) {
        if (counts[i])
            monitor_printf(mon, " <%" PRIu64 "us %" PRIu64, BIT(i), counts[i]);
    }
    monitor_printf(mon, "\n");
}

static void print_counts(Monitor *mon, const char *what, const uint64_t *counts)
{
    uint64_t any = 0;
    for (unsigned op = 0; op < BLK_SCSI; op++)
        any |= counts[op];
    if (any)
        monitor_printf(mon,
                       "    %s_rd_operations=%" PRIu64 " %s_wr_operations=%" PRIu64 " %s_flush_operations=%" PRIu64
                       " %s_unmap_operations=%" PRIu64 "\n",
                       what, counts[BLK_READ], what, counts[BLK_WRITE] + counts[BLK_WRITE_ZEROES], what,
                       counts[BLK_FLUSH], what, counts[BLK_DISCARD]);
}

static void print_interval(Monitor *mon, const BlkIntervalStats *v)
{
    static const char *const names[BLK_TIMED] = { "rd", "wr", "flush" };
    monitor_printf(mon, "    interval_length=%" PRIu64, v->seconds);
    for (unsigned op = 0; op < BLK_TIMED; op++)
        monitor_printf(mon, " min_%s_latency_ns=%" PRIu64 " max_%s_latency_ns=%" PRIu64 " avg_%s_latency_ns=%" PRIu64,
                       names[op], v->min_ns[op], names[op], v->max_ns[op], names[op], v->avg_ns[op]);
    monitor_printf(mon, " avg_rd_queue_depth=%.3f avg_wr_queue_depth=%.3f\n", v->depth[BLK_READ], v->depth[BLK_WRITE]);
}

bool monitor_info_blockstats(Monitor *mon, int argc, char **argv, Error **errp)
{
    for (unsigned i = 0; i < blk_count(); i++) {
        const BlockBackend *b = blk_nth(i);
        BlkStats s = blk_stats(b);
        monitor_printf(mon,
                       "%s: rd_bytes=%" PRIu64 " wr_bytes=%" PRIu64 " rd_operations=%" PRIu64 " wr_operations=%" PRIu64
                       " flush_operations=%" PRIu64 " wr_total_time_ns=%" PRIu64 " rd_total_time_ns=%" PRIu64
                       " flush_total_time_ns=%" PRIu64 " rd_merged=0 wr_merged=0 idle_time_ns=%" PRIu64 "\n",
                       *blk_name(b)  ? blk_name(b)
                       : blk_user(b) ? blk_user(b)
                                     : "drive",
                       s.bytes[BLK_READ], s.bytes[BLK_WRITE], s.ops[BLK_READ], s.ops[BLK_WRITE], s.ops[BLK_FLUSH],
                       s.time_ns[BLK_WRITE], s.time_ns[BLK_READ], s.time_ns[BLK_FLUSH], s.idle_ns);
        bool failed, invalid;
        blk_get_accounting(b, &failed, &invalid);
        monitor_printf(mon,
                       "    unmap_bytes=%" PRIu64 " unmap_operations=%" PRIu64 " unmap_total_time_ns=%" PRIu64
                       " wr_highest_offset=%" PRIu64 " account_failed=%s account_invalid=%s\n",
                       s.bytes[BLK_DISCARD], s.ops[BLK_DISCARD], s.time_ns[BLK_DISCARD], s.highest,
                       failed ? "on" : "off", invalid ? "on" : "off");
        print_counts(mon, "failed", s.failed);
        print_counts(mon, "invalid", s.invalid);
        static const char *const names[] = { "reads", "writes", "flushes", "discards", "zeroes" };
        for (unsigned op = 0; op < ARRAY_LEN(names); op++)
            print_latencies(mon, names[op], s.latency[op]);
        BlkIntervalStats v;
        for (unsigned k = 0; blk_interval_stats(b, k, &v); k++)
            print_interval(mon, &v);
    }
    return true;
}

/* ---- requests by hand: for tests ---- */

typedef struct HandRequest {
    char *what;
    gint64 pattern;
    gboolean zeroes, unmap, verbose;
    uint64_t offset, len;
} HandRequest;

static bool parse_request(const char *text, HandRequest *r, Error **errp)
{
    g_auto(GStrv) words = NULL;
    gint count;
    const GOptionEntry entries[] = { { "pattern", 'P', 0, G_OPTION_ARG_INT64, &r->pattern, NULL, NULL },
                                     { "zeroes", 'z', 0, G_OPTION_ARG_NONE, &r->zeroes, NULL, NULL },
                                     { "unmap", 'u', 0, G_OPTION_ARG_NONE, &r->unmap, NULL, NULL },
                                     { "verbose", 'v', 0, G_OPTION_ARG_NONE, &r->verbose, NULL, NULL },
                                     { NULL } };
    g_autofree char *line = g_strdup_printf("qemu-io %s", text);
    if (!g_shell_parse_argv(line, &count, &words, errp))
        return false;
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);
    g_option_context_add_main_entries(context, entries, NULL);
    g_option_context_set_help_enabled(context, FALSE);
    if (!g_option_context_parse_strv(context, &words, errp))
        return false;
    count = (gint)g_strv_length(words);
    r->what = g_strdup(count > 1 ? words[1] : "");
    bool flush = !strcmp(r->what, "flush");
    if (flush ? count != 2
              : count != 4 || !parse_size(words[2], 1, &r->offset) || !parse_size(words[3], 1, &r->len) ||
                    r->len > IO_MAX) {
        error_setf(errp,
                   "qemu-io '%s': not understood; read|write|discard [-P BYTE] [-v] [-z] [-u] OFFSET LENGTH (up to 64 "
                   "MiB), or flush",
                   text);
        return false;
    }
    return true;
}

static void hex_dump(Monitor *mon, uint64_t offset, const uint8_t *buf, size_t len)
{
    for (size_t at = 0; at < len; at += 16) {
        monitor_printf(mon, "%08" PRIx64 ": ", offset + at);
        for (size_t i = at; i < MIN(at + 16, len); i++)
            monitor_printf(mon, " %02x", buf[i]);
        monitor_printf(mon, "\n");
    }
}

static bool matches(const uint8_t *buf, size_t len, uint8_t byte)
{
    for (size_t i = 0; i < len; i++) {
        if (buf[i] != byte)
            return false;
    }
    return true;
}

static int carry_out(Monitor *mon, BlockNode *n, const HandRequest *r)
{
    g_autofree uint8_t *buf = g_malloc(r->len + 1);
    memset(buf, r->pattern >= 0 ? (int)r->pattern : 0xcd, r->len);
    if (!strcmp(r->what, "write"))
        return r->zeroes ? block_pwrite_zeroes(n, r->offset, r->len, r->unmap ? BLOCK_REQ_MAY_UNMAP : 0)
                         : block_pwrite(n, r->offset, buf, r->len);
    if (!strcmp(r->what, "discard"))
        return block_pdiscard(n, r->offset, r->len);
    if (!strcmp(r->what, "flush"))
        return block_flush(n);
    int error = strcmp(r->what, "read") ? -EINVAL : block_pread(n, r->offset, buf, r->len);
    if (!error && r->verbose)
        hex_dump(mon, r->offset, buf, r->len);
    if (!error && r->pattern >= 0 && !matches(buf, r->len, (uint8_t)r->pattern))
        monitor_printf(mon, "Pattern verification failed at offset %" PRIu64 ", %" PRIu64 " bytes\n", r->offset,
                       r->len);
    return error;
}

static bool do_qemu_io(Monitor *mon, int argc, char **argv, Error **errp)
{
    HandRequest r = { .pattern = -1 };
    BlockNode *n = block_node_find(argv[1]);
    BlockBackend *b = n ? NULL : monitor_find_drive(argv[1], errp);
    if ((!n && !b) || !parse_request(argv[2], &r, errp)) {
        g_free(r.what);
        return false;
    }
    n = b ? blk_node(b) : n;
    int error = n ? carry_out(mon, n, &r) : -ENOMEDIUM;
    if (error)
        error_set_errno(errp, -error, "qemu-io: %s", r.what);
    else if (strcmp(r.what, "flush"))
        monitor_printf(mon, "%s %" PRIu64 "/%" PRIu64 " bytes at offset %" PRIu64 "\n",
                       !strcmp(r.what, "write") ? "wrote" : r.what, r.len, r.len, r.offset);
    g_free(r.what);
    return !error;
}

static bool do_block_resize(Monitor *mon, int argc, char **argv, Error **errp)
{
    BlockBackend *b = monitor_find_drive(argv[1], errp);
    uint64_t size;
    if (!b)
        return false;
    if (!parse_size(argv[2], MiB, &size)) {
        error_setf(errp, "block_resize: '%s' is no size; as in 20G", argv[2]);
        return false;
    }
    return blk_resize(b, size, errp);
}

/* bps bps_rd bps_wr iops iops_rd iops_wr: all other settings of the group go back to their defaults. */
static bool do_set_throttle(Monitor *mon, int argc, char **argv, Error **errp)
{
    static const ThrottleKind kinds[] = { THROTTLE_BPS, THROTTLE_BPS_READ, THROTTLE_BPS_WRITE,
                                          THROTTLE_OPS, THROTTLE_OPS_READ, THROTTLE_OPS_WRITE };
    BlockBackend *b = monitor_find_drive(argv[1], errp);
    ThrottleConfig c = { 0 };
    if (!b)
        return false;
    for (unsigned i = 0; i < ARRAY_LEN(kinds); i++) {
        if (!parse_size(argv[2 + i], 1, &c.limit[kinds[i]].avg)) {
            error_setf(errp, "block_set_io_throttle: '%s' is no number", argv[2 + i]);
            return false;
        }
    }
    if (!blk_throttle(b)) {
        if (!object_find(blk_name(b), NULL) && !object_new("throttle-group", blk_name(b), errp, NULL))
            return false;
        Object *o = object_take(blk_name(b), "throttle-group", errp);
        if (!o)
            return false;
        blk_set_throttle(b, throttle_group_of(o));
    }
    return throttle_group_set(blk_throttle(b), &c, errp);
}

const MonitorCommand monitor_commands_drives[] = {
    { "block_set_io_throttle", "DRIVE BPS BPS_RD BPS_WR IOPS IOPS_RD IOPS_WR",
      "limits of bytes and requests a second, 0: none", 7, 7, false, do_set_throttle, monitor_complete_drive },
    { "block_resize", "DRIVE SIZE", "make a drive's image larger or smaller, and tell the guest", 2, 2, false,
      do_block_resize, monitor_complete_drive },
    { "qemu-io", "DRIVE \"REQUEST\"", "a request by hand: read|write|discard [-P BYTE] OFFSET LENGTH, flush", 2, 2,
      false, do_qemu_io, monitor_complete_drive },
    { 0 },
};
