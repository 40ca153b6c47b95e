/* SPDX-License-Identifier: MIT */
/* The machine's RAM from back ends (-machine memory-backend=, -mem-path, -mem-prealloc) and its NUMA nodes (-numa). */
#include <inttypes.h>
#include <string.h>
#include "base/bits.h"
#include "hw/mem/backend.h"
#include "system/settings.h"
#include "system/setup-hmat.h"

#define NODE_STEP (8 * MiB) /* nodes that nobody sized are a multiple of it */
enum { NO_NODE = 0xff };

/* What -numa says, before it is complete. */
typedef struct Numa {
    Machine *machine;
    NumaConfig *c;
    bool present[NUMA_NODES_MAX], any_memdev, any_mem, any_plain, any_cpu;
    char *memdev[NUMA_NODES_MAX];
    unsigned count;
} Numa;

/* ---- RAM ---- */

static bool need_flexible_ram(const Machine *m, const char *option, Error **errp)
{
    if (m->type->ram_name)
        return true;
    error_setf(errp, "machine '%s': its memory is fixed; %s is for q35, pc, microvm and virt", m->type->name, option);
    return false;
}

static bool use_backend(Settings *s, Machine *m, const char *id, Error **errp)
{
    MemoryBackend *b = need_flexible_ram(m, "memory-backend=", errp) ? memory_backend_take(id, errp) : NULL;
    if (!b)
        return false;
    if (s->ram_size && s->ram_size != b->size) {
        error_setf(errp, "-m %" PRIu64 "M is not the size of memory back end '%s' (%" PRIu64 "M); leave -m out",
                   s->ram_size / MiB, id, b->size / MiB);
        return false;
    }
    m->config.ram_size = b->size;
    m->config.ram = memory_backend_alias(b, m->type->ram_name);
    return true;
}

/* -mem-path and -mem-prealloc are short for a back end. */
static bool use_path(Settings *s, Machine *m, Error **errp)
{
    g_autofree char *size = g_strdup_printf("%" PRIu64, m->config.ram_size);
    const char *name = m->type->ram_name, *prealloc = s->mem_prealloc ? "on" : "off";
    if (!need_flexible_ram(m, s->mem_path ? "-mem-path" : "-mem-prealloc", errp))
        return false;
    Object *o = s->mem_path ? object_new("memory-backend-file", name, errp, "size", size, "mem-path", s->mem_path,
                                         "prealloc", prealloc, NULL)
                            : object_new("memory-backend-ram", name, errp, "size", size, "prealloc", prealloc,
                                         "reserve", "off", NULL);
    return o && use_backend(s, m, name, errp);
}

/* ---- -numa node ---- */

static bool add_cpus(Numa *n, unsigned node, const GPtrArray *lists, Error **errp)
{
    unsigned max = n->machine->config.max_cpus;
    for (unsigned i = 0; i < lists->len; i++) {
        g_auto(GStrv) ends = g_strsplit(lists->pdata[i], "-", 2);
        uint64_t first, last;
        if (!parse_u64(ends[0], &first) || !parse_u64(ends[1] ? ends[1] : ends[0], &last) || first > last ||
            last >= max) {
            error_setf(errp, "-numa node: cpus=%s is no range of CPUs below %u; see -smp", (char *)lists->pdata[i],
                       max);
            return false;
        }
        for (; first <= last; first++) {
            if (n->c->cpu_node[first] != NO_NODE) {
                error_setf(errp, "-numa node: CPU %" PRIu64 " is in node %u already", first, n->c->cpu_node[first]);
                return false;
            }
            n->c->cpu_node[first] = (uint8_t)node;
            n->any_cpu = true;
        }
    }
    return true;
}

static bool add_node(Numa *n, Opts *o, const GPtrArray *cpus, Error **errp)
{
    static const char *const keys[] = { "type", "mem", "memdev", "cpus", "nodeid", "initiator", NULL };
    uint64_t id = n->count, mem = 0;
    uint64_t initiator;
    const char *memdev = opts_get(o, "memdev"), *size = opts_get(o, "mem");
    opts_get(o, "cpus");
    if (!opts_get_u64(o, "initiator", HMAT_NO_INITIATOR, &initiator, errp) ||
        !opts_get_u64(o, "nodeid", id, &id, errp) || !opts_all_used(o, "-numa node", keys, errp))
        return false;
    if (id >= NUMA_NODES_MAX || n->present[id]) {
        error_setf(errp, "-numa node: nodeid=%" PRIu64 " %s", id,
                   id < NUMA_NODES_MAX ? "is there already" : "is not below 128");
        return false;
    }
    if (size && !parse_size(size, MiB, &mem)) {
        error_setf(errp, "-numa node: mem=%s is not a size", size);
        return false;
    }
    if (memdev && size) {
        error_setf(errp, "-numa node: mem= and memdev= exclude each other; leave mem= out");
        return false;
    }
    if (initiator < NUMA_NODES_MAX)
        hmat_of(n->c)->initiator[id] = (uint8_t)initiator;
    n->present[id] = true;
    n->memdev[id] = g_strdup(memdev);
    n->c->memory[id] = mem;
    n->any_memdev |= memdev != NULL;
    n->any_mem |= size != NULL;
    n->any_plain |= !memdev && !size;
    n->count++;
    return add_cpus(n, (unsigned)id, cpus, errp);
}

/* ---- -numa dist, cpu ---- */

static bool get_node(Numa *n, Opts *o, const char *key, unsigned *node, Error **errp)
{
    uint64_t v;
    if (!opts_get_u64(o, key, NUMA_NODES_MAX, &v, errp))
        return false;
    if (v >= NUMA_NODES_MAX || !n->present[v]) {
        error_setf(errp,
                   "-numa: %s= is missing or names a node that is not there; -numa node,nodeid= makes one before it",
                   key);
        return false;
    }
    *node = (unsigned)v;
    return true;
}

static bool add_distance(Numa *n, Opts *o, Error **errp)
{
    static const char *const keys[] = { "type", "src", "dst", "val", NULL };
    unsigned src, dst;
    uint64_t v;
    if (!get_node(n, o, "src", &src, errp) || !get_node(n, o, "dst", &dst, errp) ||
        !opts_get_u64(o, "val", 0, &v, errp) || !opts_all_used(o, "-numa dist", keys, errp))
        return false;
    if (v < NUMA_DISTANCE_LOCAL || v > NUMA_UNREACHABLE || (src == dst) != (v == NUMA_DISTANCE_LOCAL)) {
        error_setf(errp,
                   "-numa dist: val=%" PRIu64
                   " from node %u to %u: it is 10 to the node itself, 11 to 254 to another, 255: not reachable",
                   v, src, dst);
        return false;
    }
    n->c->distance[src][dst] = (uint8_t)v;
    n->c->has_distances = true;
    return true;
}

static bool add_cpu_ids(Numa *n, Opts *o, Error **errp)
{
    static const char *const keys[] = { "type", "node-id", "socket-id", "die-id", "core-id", "thread-id", NULL };
    const MachineConfig *c = &n->machine->config;
    const unsigned counts[] = { c->sockets, MAX(c->dies, 1), c->cores, c->threads };
    uint64_t want[ARRAY_LEN(counts)];
    unsigned node, hits = 0;
    if (!get_node(n, o, "node-id", &node, errp))
        return false;
    for (unsigned i = 0; i < ARRAY_LEN(counts); i++) {
        if (!opts_get_u64(o, keys[i + 2], UINT64_MAX, &want[i], errp))
            return false;
    }
    if (!opts_all_used(o, "-numa cpu", keys, errp))
        return false;
    for (unsigned cpu = 0; cpu < c->max_cpus; cpu++) {
        unsigned rest = cpu;
        bool same = true;
        for (unsigned i = ARRAY_LEN(counts); i-- > 0; rest /= counts[i])
            same &= want[i] == UINT64_MAX || want[i] == rest % counts[i];
        if (!same)
            continue;
        n->c->cpu_node[cpu] = (uint8_t)node;
        hits++;
    }
    n->any_cpu = true;
    if (!hits)
        error_setf(errp, "-numa cpu: no CPU has these ids; see the counts of -smp");
    return hits;
}

static bool add_line(Numa *n, const char *text, Error **errp)
{
    g_autoptr(GPtrArray) cpus = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(Opts) o = opts_parse_list(text, "type", "cpus", cpus, errp);
    const char *type = o ? opts_get(o, "type") : NULL;
    static const char *const types[] = { "node", "dist", "cpu", "hmat-lb", "hmat-cache", NULL };
    if (!o)
        return false;
    if (type && !strcmp(type, "node"))
        return add_node(n, o, cpus, errp);
    if (type && !strcmp(type, "dist"))
        return add_distance(n, o, errp);
    if (type && !strcmp(type, "cpu"))
        return add_cpu_ids(n, o, errp);
    if (type && !strcmp(type, "hmat-lb"))
        return hmat_add_speed(n->c, n->present, o, errp);
    if (type && !strcmp(type, "hmat-cache"))
        return hmat_add_cache(n->c, n->present, o, errp);
    error_set_unknown(errp, "-numa", type ? type : "", types);
    return false;
}

/* ---- completing ---- */

static bool check_nodes(const Numa *n, Error **errp)
{
    for (unsigned i = 0; i < n->count; i++) {
        if (!n->present[i]) {
            error_setf(errp, "-numa: there are %u nodes, but no node %u; number them from 0 without gaps", n->count, i);
            return false;
        }
    }
    if (n->any_memdev && (n->any_mem || n->any_plain)) {
        error_setf(errp, "-numa: some nodes have memdev=, some not; give it to all or to none");
        return false;
    }
    return true;
}

static bool take_memdevs(Numa *n, Settings *s, Error **errp)
{
    Machine *m = n->machine;
    uint64_t at = 0;
    if (m->config.ram) {
        error_setf(errp,
                   "-numa node,memdev=: the machine's memory-backend= is its whole memory; leave one of them out");
        return false;
    }
    MemRegion *all = mem_container_new(m->type->ram_name, UINT64_MAX / 2);
    m->config.ram = all;
    for (unsigned i = 0; i < n->count; i++) {
        MemoryBackend *b = memory_backend_take(n->memdev[i], errp);
        if (!b)
            return false;
        mem_map(all, at, b->region, 0);
        n->c->memory[i] = b->size;
        at += b->size;
    }
    if (s->ram_size && s->ram_size != at) {
        error_setf(errp, "-m %" PRIu64 "M is not the sum of the nodes' memory (%" PRIu64 "M); make them equal",
                   s->ram_size / MiB, at / MiB);
        return false;
    }
    m->config.ram_size = at;
    return true;
}

static bool share_memory(Numa *n, Error **errp)
{
    uint64_t all = n->machine->config.ram_size, sum = 0, each = align_down(all / n->count, NODE_STEP);
    for (unsigned i = 0; i < n->count; i++) {
        if (!n->any_mem)
            n->c->memory[i] = i + 1 < n->count ? each : all - each * (n->count - 1);
        sum += n->c->memory[i];
        if (n->c->memory[i] % 4096 == 0 && sum <= all)
            continue;
        error_setf(errp,
                   "-numa node,mem=: the nodes have more than the machine (%" PRIu64
                   "M), or no multiple of 4 KiB; see -m",
                   all / MiB);
        return false;
    }
    if (sum == all)
        return true;
    error_setf(errp,
               "-numa node,mem=: the nodes have %" PRIu64 "M of the machine's %" PRIu64 "M; make the sum equal to -m",
               sum / MiB, all / MiB);
    return false;
}

/* Distances that were left out: as the other way round, or the usual ones. */
static bool complete_distances(Numa *n, Error **errp)
{
    NumaConfig *c = n->c;
    for (unsigned i = 0; i < n->count; i++) {
        for (unsigned k = 0; k < n->count; k++) {
            uint8_t *d = &c->distance[i][k];
            if (i == k)
                *d = NUMA_DISTANCE_LOCAL;
            else if (!*d && c->has_distances && !c->distance[k][i]) {
                error_setf(
                    errp,
                    "-numa dist: the distance between nodes %u and %u is missing; add -numa dist,src=%u,dst=%u,val=", i,
                    k, i, k);
                return false;
            } else if (!*d)
                *d = c->distance[k][i] ? c->distance[k][i] : NUMA_DISTANCE_REMOTE;
        }
    }
    return true;
}

/* CPUs that nobody placed: a socket each to the nodes in turn; beside placed ones, node 0. */
static void place_cpus(Numa *n)
{
    const MachineConfig *m = &n->machine->config;
    unsigned per_socket = m->max_cpus / m->sockets, left = 0;
    for (unsigned i = 0; i < m->max_cpus; i++) {
        if (n->c->cpu_node[i] != NO_NODE)
            continue;
        n->c->cpu_node[i] = n->any_cpu ? 0 : (uint8_t)(i / per_socket % n->count);
        left++;
    }
    if (left && n->any_cpu)
        warn_reportf("-numa: %u CPUs are in no node; they go to node 0", left);
}

/* Who is said to be near must be a node; and the table is asked for in words, as other programs want it. */
static bool check_hmat(const Numa *n, Settings *s, Error **errp)
{
    bool on;
    if (!opts_get_bool(s->machine_opts, "hmat", false, &on, errp))
        return false;
    if (!n->c->hmat && on)
        hmat_of(n->c);
    if (n->c->hmat && !on) {
        error_setf(errp, "-numa hmat-lb, hmat-cache and initiator= need -machine hmat=on");
        return false;
    }
    for (unsigned i = 0; n->c->hmat && i < n->count; i++) {
        uint8_t from = n->c->hmat->initiator[i];
        if (from == HMAT_NO_INITIATOR || n->present[from])
            continue;
        error_setf(errp, "-numa node,nodeid=%u,initiator=%u: there is no node %u", i, from, from);
        return false;
    }
    return true;
}

static bool complete(Numa *n, Settings *s, Error **errp)
{
    n->c->nodes = n->count;
    if (!check_nodes(n, errp) || !(n->any_memdev ? take_memdevs(n, s, errp) : share_memory(n, errp)))
        return false;
    place_cpus(n);
    return check_hmat(n, s, errp) && complete_distances(n, errp);
}

static bool setup_numa(Settings *s, Machine *m, Error **errp)
{
    Numa n = { .machine = m, .c = g_new0(NumaConfig, 1) };
    m->config.numa = n.c;
    n.c->cpu_node = g_malloc(m->config.max_cpus);
    memset(n.c->cpu_node, NO_NODE, m->config.max_cpus);
    bool ok = true;
    for (unsigned i = 0; ok && i < s->numa->len; i++)
        ok = add_line(&n, s->numa->pdata[i], errp);
    if (!n.count) { /* memory devices need a node to be in */
        n.present[0] = n.any_plain = true;
        n.count = 1;
    }
    ok = ok && complete(&n, s, errp);
    for (unsigned i = 0; i < ARRAY_LEN(n.memdev); i++)
        g_free(n.memdev[i]);
    return ok;
}

bool setup_memory(Settings *s, Machine *m, Error **errp)
{
    const char *backend = opts_get(s->machine_opts, "memory-backend");
    if (backend && (s->mem_path || s->mem_prealloc)) {
        error_setf(
            errp,
            "-machine memory-backend=%s: leave -mem-path and -mem-prealloc out; they are properties of the back end",
            backend);
        return false;
    }
    if (backend ? !use_backend(s, m, backend, errp) : (s->mem_path || s->mem_prealloc) && !use_path(s, m, errp))
        return false;
    m->config.ram_max = s->ram_max > m->config.ram_size ? s->ram_max : 0;
    m->config.ram_slots = s->ram_slots;
    if (!s->numa->len && !m->config.ram_max)
        return true;
    return need_flexible_ram(m, s->numa->len ? "-numa" : "-m maxmem=", errp) && setup_numa(s, m, errp);
}
