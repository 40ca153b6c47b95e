/* SPDX-License-Identifier: MIT */
/* Options of nodes: dotted keys, JSON, the keys that every node has. */
#include <json-glib/json-glib.h>
#include <string.h>
#include "block/node.h"

enum { JSON_DEPTH_MAX = 64 };

Opts *block_sub_options(Opts *o, const char *prefix)
{
    Opts *sub = opts_new();
    size_t len = strlen(prefix);
    for (unsigned i = 0; i < opts_count(o); i++) {
        const char *key = opts_key(o, i);
        if (!strncmp(key, prefix, len)) {
            opts_set(sub, key + len, opts_value(o, i));
            opts_get(o, key); /* used: the layer below answers for it */
        }
    }
    return sub;
}

static bool add_json(Opts *o, const char *key, JsonNode *node, unsigned depth, Error **errp);

static bool add_json_object(Opts *o, const char *prefix, JsonObject *object, unsigned depth, Error **errp)
{
    JsonObjectIter it;
    const char *name;
    JsonNode *member;
    json_object_iter_init(&it, object);
    while (json_object_iter_next(&it, &name, &member)) {
        g_autofree char *key = *prefix ? g_strdup_printf("%s.%s", prefix, name) : g_strdup(name);
        if (!add_json(o, key, member, depth + 1, errp))
            return false;
    }
    return true;
}

static void add_value(Opts *o, const char *key, JsonNode *node)
{
    GType type = json_node_get_value_type(node);
    if (type == G_TYPE_BOOLEAN) {
        opts_set(o, key, json_node_get_boolean(node) ? "on" : "off");
    } else if (type == G_TYPE_INT64) {
        g_autofree char *text = g_strdup_printf("%" G_GINT64_FORMAT, json_node_get_int(node));
        opts_set(o, key, text);
    } else if (type == G_TYPE_DOUBLE) {
        g_autofree char *text = g_strdup_printf("%g", json_node_get_double(node));
        opts_set(o, key, text);
    } else {
        opts_set(o, key, json_node_get_string(node));
    }
}

static bool add_json(Opts *o, const char *key, JsonNode *node, unsigned depth, Error **errp)
{
    if (depth > JSON_DEPTH_MAX) {
        error_setf(errp, "JSON description of an image: nested more than %d deep", JSON_DEPTH_MAX);
        return false;
    }
    if (JSON_NODE_HOLDS_OBJECT(node))
        return add_json_object(o, key, json_node_get_object(node), depth, errp);
    if (JSON_NODE_HOLDS_ARRAY(node)) {
        JsonArray *a = json_node_get_array(node);
        for (unsigned i = 0; i < json_array_get_length(a); i++) {
            g_autofree char *item = g_strdup_printf("%s.%u", key, i);
            if (!add_json(o, item, json_array_get_element(a, i), depth + 1, errp))
                return false;
        }
    } else if (JSON_NODE_HOLDS_NULL(node)) {
        opts_set(o, key, ""); /* "backing": null */
    } else {
        add_value(o, key, node);
    }
    return true;
}

bool block_options_from_json(Opts *o, const char *json, Error **errp)
{
    g_autoptr(JsonParser) parser = json_parser_new();
    g_autoptr(GError) err = NULL;
    if (!json_parser_load_from_data(parser, json, -1, &err)) {
        error_setf(errp, "JSON description of an image: %s", err->message);
        return false;
    }
    JsonNode *root = json_parser_get_root(parser);
    if (!root || !JSON_NODE_HOLDS_OBJECT(root)) {
        error_setf(errp, "JSON description of an image: it must be an object, as in {\"driver\": \"qcow2\", ...}");
        return false;
    }
    return add_json_object(o, "", json_node_get_object(root), 0, errp);
}

char *block_scheme(const char *filename)
{
    const char *colon = strpbrk(filename, ":/");
    return colon && *colon == ':' && colon > filename + 1 ? g_strndup(filename, colon - filename) : NULL;
}

static bool set_flag(Opts *o, const char *key, unsigned flag, bool inverted, unsigned *flags, Error **errp)
{
    bool now = !(*flags & flag) == inverted, on;
    if (!opts_get_bool(o, key, now, &on, errp))
        return false;
    *flags = on != inverted ? *flags | flag : *flags & ~flag;
    return true;
}

bool block_cache_mode(const char *mode, unsigned *flags, Error **errp)
{
    static const char *const modes[] = { "writeback", "writethrough", "none", "directsync", "unsafe", NULL };
    static const unsigned bits[] = { 0, BLOCK_WRITETHROUGH, BLOCK_DIRECT, BLOCK_DIRECT | BLOCK_WRITETHROUGH, BLOCK_NO_FLUSH };
    unsigned i = 0;
    if (mode && !parse_enum("cache", mode, modes, &i, errp))
        return false;
    *flags |= bits[i];
    return true;
}

bool block_common_options(Opts *o, unsigned *flags, Error **errp)
{
    static const char *const discards[] = { "ignore", "off", "unmap", "on", NULL };
    static const char *const zeroes[] = { "off", "on", "unmap", NULL };
    unsigned discard = *flags & BLOCK_UNMAP ? 2 : 0;
    unsigned detect = *flags & BLOCK_ZERO_UNMAP ? 2 : *flags & BLOCK_ZERO_DETECT ? 1 : 0;
    if (!set_flag(o, "read-only", BLOCK_RDWR, true, flags, errp) ||
        !set_flag(o, "auto-read-only", BLOCK_AUTO_RDONLY, false, flags, errp) ||
        !set_flag(o, "force-share", BLOCK_FORCE_SHARE, false, flags, errp) ||
        !set_flag(o, "cache.direct", BLOCK_DIRECT, false, flags, errp) ||
        !set_flag(o, "cache.no-flush", BLOCK_NO_FLUSH, false, flags, errp) ||
        !set_flag(o, "cache.writeback", BLOCK_WRITETHROUGH, true, flags, errp) || !opts_get_enum(o, "discard", discards, &discard, errp) ||
        !opts_get_enum(o, "detect-zeroes", zeroes, &detect, errp))
        return false;
    *flags &= ~(unsigned)(BLOCK_UNMAP | BLOCK_ZERO_DETECT | BLOCK_ZERO_UNMAP);
    *flags |= discard >= 2 ? BLOCK_UNMAP : 0;
    *flags |= detect ? BLOCK_ZERO_DETECT : 0;
    *flags |= detect == 2 ? BLOCK_ZERO_UNMAP : 0;
    if (*flags & BLOCK_FORCE_SHARE && *flags & BLOCK_RDWR) {
        error_setf(errp, "force-share=on is for read-only images; add read-only=on");
        return false;
    }
    return true;
}
