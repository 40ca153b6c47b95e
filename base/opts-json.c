/* SPDX-License-Identifier: MIT */
/* Options written as a JSON object: nested names become dotted keys. */
#include <json-glib/json-glib.h>
#include "base/opts.h"

enum { JSON_DEPTH_MAX = 64 };

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
        error_setf(errp, "JSON: nested more than %d deep", JSON_DEPTH_MAX);
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

bool opts_add_json(Opts *o, const char *json, Error **errp)
{
    g_autoptr(JsonParser) parser = json_parser_new();
    g_autoptr(GError) err = NULL;
    if (!json_parser_load_from_data(parser, json, -1, &err)) {
        error_setf(errp, "JSON: %s",
                   g_str_has_prefix(err->message, "<data>:") ? err->message + strlen("<data>:") : err->message);
        return false;
    }
    JsonNode *root = json_parser_get_root(parser);
    if (!root || !JSON_NODE_HOLDS_OBJECT(root)) {
        error_setf(errp, "JSON: it must be an object, as in {\"driver\": \"qcow2\", ...}");
        return false;
    }
    return add_json_object(o, "", json_node_get_object(root), 0, errp);
}
