/* SPDX-License-Identifier: MIT */
/* -numa hmat-lb and hmat-cache: how fast the nodes' memory is. */
#include <inttypes.h>
#include <string.h>
#include "base/bits.h"
#include "system/setup-hmat.h"

static const char *const hierarchies[] = { "memory", "first-level", "second-level", "third-level", NULL };
static const char *const data_types[] = {
    "access-latency", "read-latency", "write-latency", "access-bandwidth", "read-bandwidth", "write-bandwidth", NULL
};
static const char *const associativities[] = { "none", "direct", "complex", NULL };
static const char *const policies[] = { "none", "write-back", "write-through", NULL };

static bool get_choice(Opts *o, const char *option, const char *key, const char *const *names, const char *dflt,
                       unsigned *out, Error **errp)
{
    const char *text = opts_get(o, key);
    text = text ? text : dflt;
    for (unsigned i = 0; text && names[i]; i++) {
        if (!strcmp(text, names[i])) {
            *out = i;
            return true;
        }
    }
    g_autofree char *object = g_strdup_printf("%s: %s", option, key);
    error_set_unknown(errp, object, text ? text : "", names);
    return false;
}

static bool get_node(const NumaConfig *c, const bool *present, Opts *o, const char *option, const char *key,
                     unsigned *out, Error **errp)
{
    uint64_t v;
    if (!opts_get_u64(o, key, NUMA_NODES_MAX, &v, errp))
        return false;
    if (v >= NUMA_NODES_MAX || !present[v]) {
        error_setf(errp, "%s: %s= is missing or names a node that is not there; -numa node,nodeid= makes one before it",
                   option, key);
        return false;
    }
    *out = (unsigned)v;
    return true;
}

NumaHmat *hmat_of(NumaConfig *c)
{
    if (!c->hmat) {
        c->hmat = g_new0(NumaHmat, 1);
        memset(c->hmat->initiator, HMAT_NO_INITIATOR, sizeof(c->hmat->initiator));
    }
    return c->hmat;
}

bool hmat_add_speed(NumaConfig *c, const bool *present, Opts *o, Error **errp)
{
    static const char option[] = "-numa hmat-lb";
    static const char *const keys[] = { "type",      "initiator", "target",    "hierarchy",
                                        "data-type", "latency",   "bandwidth", NULL };
    unsigned from, to, hierarchy, type;
    uint64_t latency, bandwidth = 0;
    const char *text = opts_get(o, "bandwidth");
    if (!get_node(c, present, o, option, "initiator", &from, errp) ||
        !get_node(c, present, o, option, "target", &to, errp) ||
        !get_choice(o, option, "hierarchy", hierarchies, NULL, &hierarchy, errp) ||
        !get_choice(o, option, "data-type", data_types, NULL, &type, errp) ||
        !opts_get_u64(o, "latency", 0, &latency, errp) || !opts_all_used(o, option, keys, errp))
        return false;
    bool fast = type >= HMAT_FIRST_BANDWIDTH;
    if ((text && !parse_size(text, 1, &bandwidth)) || (fast ? bandwidth < MiB || latency : !latency || text)) {
        error_setf(errp, "%s: data-type=%s needs %s", option, data_types[type],
                   fast ? "bandwidth= (of a second, at least 1M) and no latency="
                        : "latency= (nanoseconds) and no bandwidth=");
        return false;
    }
    uint64_t **values = &hmat_of(c)->value[hierarchy][type];
    if (!*values)
        *values = g_new0(uint64_t, NUMA_NODES_MAX * NUMA_NODES_MAX);
    (*values)[from * NUMA_NODES_MAX + to] = fast ? bandwidth : latency;
    return true;
}

bool hmat_add_cache(NumaConfig *c, const bool *present, Opts *o, Error **errp)
{
    static const char option[] = "-numa hmat-cache";
    static const char *const keys[] = { "type", "node-id", "size", "level", "associativity", "policy", "line", NULL };
    unsigned node, associativity, policy;
    uint64_t size = 0, level, line;
    const char *text = opts_get(o, "size");
    if (!get_node(c, present, o, option, "node-id", &node, errp) ||
        !get_choice(o, option, "associativity", associativities, "none", &associativity, errp) ||
        !get_choice(o, option, "policy", policies, "none", &policy, errp) ||
        !opts_get_u64(o, "level", 0, &level, errp) || !opts_get_u64(o, "line", 0, &line, errp) ||
        !opts_all_used(o, option, keys, errp))
        return false;
    if (!text || !parse_size(text, 1, &size) || !size || !level || level > HMAT_CACHE_LEVELS || line > UINT16_MAX) {
        error_setf(errp, "%s: it needs size= and level= from 1 to %d; line= is below 65536", option, HMAT_CACHE_LEVELS);
        return false;
    }
    hmat_of(c)->cache[node][level - 1] = (NumaCache){ size, (uint8_t)associativity, (uint8_t)policy, (uint16_t)line };
    return true;
}
