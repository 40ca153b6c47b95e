/* SPDX-License-Identifier: MIT */
/* What an image is, as text for people: rhea-img info and the monitor. */
#include <inttypes.h>
#include <json-glib/json-glib.h>
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
    g_string_append_printf(out, "Snapshot list:\n%-10s%-17s%8s%20s%13s%11s\n", "ID", "TAG", "VM SIZE", "DATE",
                           "VM CLOCK", "ICOUNT");
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
        g_string_append_printf(out, "%-10s%-17s%8s%20s %02d:%02d:%02d.%03d%11s\n", b->id, b->name, size, date,
                               (int)(s / 3600), (int)(s / 60 % 60), (int)(s % 60),
                               (int)(b->vm_clock_ns / 1000000 % 1000), icount);
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

/* --- what the format adds --- */

void block_json_string(GString *out, const char *text)
{
    g_autoptr(JsonNode) node = json_node_init_string(json_node_alloc(), text);
    g_autofree char *quoted = g_utf8_validate(text, -1, NULL) ? json_to_string(node, FALSE) : g_strdup("\"?\"");
    g_string_append(out, quoted);
}

/* Numbers, truth values, lists and objects stay as they are; what an image may fill with any text is a string. */
static void json_value(GString *out, const char *key, const char *v)
{
    bool plain = !strcmp(v, "true") || !strcmp(v, "false") || *v == '{' || *v == '[' ||
                 (*v && strspn(v, "0123456789") == strlen(v));
    if (plain && strcmp(key, "compat") && strcmp(key, "data-file"))
        g_string_append(out, v);
    else
        block_json_string(out, v);
}

char *block_details_json(const BlockInfo *i)
{
    if (!i->details->len)
        return NULL;
    if (!*(const char *)i->details->pdata[0])
        return g_strdup(i->details->pdata[1]);
    GString *out = g_string_new("{");
    for (unsigned k = 0; k < i->details->len; k += 2) {
        g_string_append_printf(out, "%s\"%s\": ", k ? ", " : "", (char *)i->details->pdata[k]);
        json_value(out, i->details->pdata[k], i->details->pdata[k + 1]);
    }
    g_string_append_c(out, '}');
    return g_string_free(out, FALSE);
}

static void describe_node(JsonNode *node, int indent, GString *out);

static void describe_member(const char *key, JsonNode *value, int indent, GString *out)
{
    bool scalar = JSON_NODE_HOLDS_VALUE(value);
    g_string_append_printf(out, "%*s%s:%s", indent, "", key, scalar ? " " : "\n");
    describe_node(value, scalar ? indent : indent + 4, out);
}

/* "key: value" lines, deeper ones further in. */
static void describe_node(JsonNode *node, int indent, GString *out)
{
    GType type = JSON_NODE_HOLDS_VALUE(node) ? json_node_get_value_type(node) : G_TYPE_NONE;
    if (JSON_NODE_HOLDS_OBJECT(node)) {
        JsonObjectIter it;
        const char *name;
        JsonNode *member;
        json_object_iter_init_ordered(&it, json_node_get_object(node));
        while (json_object_iter_next_ordered(&it, &name, &member)) {
            g_autofree char *key = g_strdelimit(g_strdup(name), "-", ' ');
            describe_member(key, member, indent, out);
        }
    } else if (JSON_NODE_HOLDS_ARRAY(node)) {
        JsonArray *a = json_node_get_array(node);
        for (unsigned i = 0; i < json_array_get_length(a); i++) {
            g_autofree char *key = g_strdup_printf("[%u]", i);
            describe_member(key, json_array_get_element(a, i), indent, out);
        }
    } else if (type == G_TYPE_BOOLEAN) {
        g_string_append(out, json_node_get_boolean(node) ? "true\n" : "false\n");
    } else if (type == G_TYPE_INT64) {
        g_string_append_printf(out, "%" PRId64 "\n", (int64_t)json_node_get_int(node));
    } else if (type == G_TYPE_STRING) {
        g_string_append_printf(out, "%s\n", json_node_get_string(node));
    }
}

static void describe_details(const BlockInfo *i, GString *out)
{
    g_autofree char *json = block_details_json(i);
    g_autoptr(JsonParser) parser = json_parser_new();
    if (!json || !json_parser_load_from_data(parser, json, -1, NULL))
        return;
    g_string_append(out, "Format specific information:\n");
    describe_node(json_parser_get_root(parser), 4, out);
}

static void describe(BlockNode *n, const BlockInfo *i, const GArray *snapshots, GString *out)
{
    g_autofree char *virtual = block_size_text(i->virtual_size), *actual = block_size_text(i->actual_size);
    g_string_append_printf(out, "image: %s\nfile format: %s\nvirtual size: %s (%" PRIu64 " bytes)\n", block_filename(n),
                           block_driver_name(n), virtual, i->virtual_size);
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
    describe_details(i, out);
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
