/* SPDX-License-Identifier: MIT */
/* The memory map: the tree of regions, transactions, and flattening into published views. */
#include "hw/core/memory.h"

#include <pthread.h>
#include <string.h>
#include "base/bits.h"
#include "base/log.h"
#include "hw/core/memory-internal.h"

/* Nesting of containers and aliases: deeper than any board, short enough that a loop of aliases ends. */
#define MAX_DEPTH 32

typedef __int128 wide; /* addresses with room for a base below 0 and an end of 2^64 */

typedef struct Listener {
    MemChangedFn *fn;
    void *opaque;
} Listener;

static pthread_mutex_t map_mutex = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static unsigned transaction_depth;
static bool changed;
static GPtrArray *doomed; /* regions to free when no view shows them any more */
static uint64_t generation, next_serial = 1;
static unsigned next_slot;
AddressSpace *address_spaces;

void mem_map_lock(void) { pthread_mutex_lock(&map_mutex); }
void mem_map_unlock(void) { pthread_mutex_unlock(&map_mutex); }

/* ---- flattening ---- */

static wide region_size(const MemRegion *r)
{
    return r->size == UINT64_MAX ? (wide)1 << 64 : (wide)r->size;
}

/* Insert [lo, hi) of the region whose offset 0 is at `base` wherever nothing stands yet. */
static void render_leaf(GArray *out, MemRegion *r, wide base, wide lo, wide hi, bool readonly)
{
    for (unsigned i = 0; lo < hi; i++) {
        const FlatRange *next = i < out->len ? &g_array_index(out, FlatRange, i) : NULL;
        if (next && (wide)next->last < lo)
            continue;
        wide end = next && (wide)next->first < hi ? (wide)next->first : hi;
        wide resume = next ? (wide)next->last + 1 : hi;
        if (lo < end) {
            FlatRange f = { .first = (hwaddr)lo, .last = (hwaddr)(end - 1), .region = r, .offset = (hwaddr)(lo - base),
                            .readonly = readonly };
            g_array_insert_val(out, i, f);
            i++;
        }
        lo = resume;
    }
}

static void render(GArray *out, MemRegion *r, wide base, wide lo, wide hi, bool readonly, unsigned depth)
{
    if (!r->enabled || depth > MAX_DEPTH)
        return;
    lo = MAX(lo, base);
    hi = MIN(hi, base + region_size(r));
    if (lo >= hi)
        return;
    readonly |= r->readonly;
    for (unsigned i = 0; r->children && i < r->children->len; i++) {
        MemRegion *child = r->children->pdata[i];
        render(out, child, base + child->at, lo, hi, readonly, depth + 1);
    }
    if (r->kind == REGION_ALIAS)
        render(out, r->target, base - r->target_offset, lo, hi, readonly, depth + 1);
    else if (r->kind != REGION_CONTAINER)
        render_leaf(out, r, base, lo, hi, readonly || r->kind == REGION_ROM);
}

static bool joins(const FlatRange *a, const FlatRange *b)
{
    return a->last + 1 == b->first && a->region == b->region && a->readonly == b->readonly &&
           a->offset + (a->last - a->first) + 1 == b->offset;
}

static FlatView *flatten(MemRegion *root)
{
    g_autoptr(GArray) ranges = g_array_new(false, false, sizeof(FlatRange));
    if (root)
        render(ranges, root, 0, 0, (wide)1 << 64, false, 0);
    FlatView *v = g_malloc0(sizeof(*v) + ranges->len * sizeof(FlatRange));
    for (unsigned i = 0; i < ranges->len; i++) {
        const FlatRange *f = &g_array_index(ranges, FlatRange, i);
        if (v->count && joins(&v->range[v->count - 1], f))
            v->range[v->count - 1].last = f->last;
        else
            v->range[v->count++] = *f;
    }
    return v;
}

static bool same_range(const FlatRange *a, const FlatRange *b)
{
    return a->first == b->first && a->last == b->last && a->region == b->region && a->offset == b->offset &&
           a->readonly == b->readonly;
}

static bool same_view(const FlatView *a, const FlatView *b)
{
    bool same = a->count == b->count;
    for (unsigned i = 0; same && i < a->count; i++)
        same = same_range(&a->range[i], &b->range[i]);
    return same;
}

static void view_free(struct rcu_head *head)
{
    g_free(container_of(head, FlatView, rcu));
}

void mem_generation_next(void) { __atomic_fetch_add(&generation, 1, __ATOMIC_RELEASE); }

/* Publish a new view of `as`; false: nothing has changed. */
static bool as_refresh(AddressSpace *as)
{
    FlatView *v = flatten(as->root), *old = as->view;
    if (old && same_view(old, v)) {
        g_free(v);
        return false;
    }
    v->serial = next_serial++;
    rcu_publish(as->view, v);
    if (old)
        call_rcu(&old->rcu, view_free);
    mem_generation_next();
    return true;
}

static void region_gone(struct rcu_head *head)
{
    MemRegion *r = container_of(head, MemRegion, rcu);
    if (r->host)
        ram_block_free(r->ram_addr);
    if (r->free_opaque)
        r->free_opaque(r->opaque);
    if (r->children)
        g_ptr_array_free(r->children, true);
    if (r->notifiers)
        g_array_unref(r->notifiers);
    g_free(r->name);
    g_free(r);
}

static bool last_pin(MemRegion *r) { return __atomic_sub_fetch(&r->pins, 1, __ATOMIC_ACQ_REL) == 0; }

/* No reader finds it any more; transfers may still use it. */
static void region_free_rcu(struct rcu_head *head)
{
    if (last_pin(container_of(head, MemRegion, rcu)))
        region_gone(head);
}

void mem_region_unpin(MemRegion *r)
{
    if (last_pin(r))
        call_rcu(&r->rcu, region_gone); /* who unpins may hold locks */
}

static void publish(void)
{
    g_autoptr(GPtrArray) fresh = g_ptr_array_new();
    for (AddressSpace *as = address_spaces; as; as = as->next) {
        if (as_refresh(as))
            g_ptr_array_add(fresh, as);
    }
    for (unsigned i = 0; i < fresh->len; i++) {
        AddressSpace *as = fresh->pdata[i];
        for (unsigned k = 0; k < as->listeners->len; k++) {
            const Listener *l = &g_array_index(as->listeners, Listener, k);
            l->fn(l->opaque);
        }
        if (log_enabled(LOG_PAGE)) {
            g_autoptr(GString) text = g_string_new(NULL);
            as_print_flat(as, text);
            log_write("%s", text->str);
        }
    }
}

void mem_begin(void)
{
    mem_map_lock();
    transaction_depth++;
}

void mem_commit(void)
{
    if (transaction_depth == 1) {
        if (changed) {
            changed = false;
            publish();
        }
        for (unsigned i = 0; doomed && i < doomed->len; i++)
            call_rcu(&((MemRegion *)doomed->pdata[i])->rcu, region_free_rcu);
        if (doomed)
            g_ptr_array_set_size(doomed, 0);
    }
    transaction_depth--;
    mem_map_unlock();
}

uint64_t mem_generation(void)
{
    return __atomic_load_n(&generation, __ATOMIC_ACQUIRE);
}

/* ---- regions ---- */

MemRegion *mem_region_new(const char *name, uint64_t size, RegionKind kind)
{
    MemRegion *r = g_new0(MemRegion, 1);
    r->name = g_strdup(name);
    r->size = size;
    r->kind = kind;
    r->enabled = true;
    r->ram_addr = UINT64_MAX;
    r->pins = 1;
    return r;
}

static MemRegion *backed_from(const char *name, uint64_t size, RegionKind kind, RamSource *src, Error **errp)
{
    uint64_t ram_addr;
    uint8_t *host = ram_block_new(name, size, src, &ram_addr, errp);
    if (!host)
        return NULL;
    MemRegion *r = mem_region_new(name, size, kind);
    r->host = host;
    r->ram_addr = ram_addr;
    return r;
}

static MemRegion *backed_new(const char *name, uint64_t size, RegionKind kind, Error **errp)
{
    RamSource src = ram_source_default();
    return backed_from(name, size, kind, &src, errp);
}

MemRegion *mem_ram_new_from(const char *name, uint64_t size, RamSource *src, Error **errp)
{
    MemRegion *r = backed_from(name, size, REGION_RAM, src, errp);
    if (r)
        r->readonly = src->readonly;
    return r;
}

MemRegion *mem_container_new(const char *name, uint64_t size)
{
    return mem_region_new(name, size, REGION_CONTAINER);
}

MemRegion *mem_ram_new(const char *name, uint64_t size, Error **errp)
{
    return backed_new(name, size, REGION_RAM, errp);
}

MemRegion *mem_rom_new(const char *name, uint64_t size, const void *data, uint64_t data_size, Error **errp)
{
    MemRegion *r = backed_new(name, size, REGION_ROM, errp);
    if (r && data)
        memcpy(r->host, data, MIN(data_size, size));
    return r;
}

MemRegion *mem_io_new(const char *name, uint64_t size, const MemOps *ops, void *opaque, LockDomain *domain)
{
    MemRegion *r = mem_region_new(name, size, REGION_IO);
    r->ops = ops;
    r->opaque = opaque;
    r->domain = domain;
    return r;
}

MemRegion *mem_romd_new(const char *name, uint64_t size, const MemOps *ops, void *opaque, LockDomain *domain,
                        Error **errp)
{
    MemRegion *r = backed_new(name, size, REGION_ROMD, errp);
    if (r) {
        r->ops = ops;
        r->opaque = opaque;
        r->domain = domain;
    }
    return r;
}

MemRegion *mem_alias_new(const char *name, MemRegion *target, uint64_t offset, uint64_t size)
{
    MemRegion *r = mem_region_new(name, size, REGION_ALIAS);
    r->target = target;
    r->target_offset = offset;
    return r;
}

void mem_set_opaque_free(MemRegion *r, void (*free_opaque)(void *opaque))
{
    r->free_opaque = free_opaque;
}

void mem_region_free(MemRegion *r)
{
    if (!r)
        return;
    mem_begin();
    mem_unmap(r);
    for (unsigned i = 0; r->children && i < r->children->len; i++)
        ((MemRegion *)r->children->pdata[i])->parent = NULL;
    if (r->children)
        g_ptr_array_set_size(r->children, 0);
    if (!doomed)
        doomed = g_ptr_array_new();
    g_ptr_array_add(doomed, r);
    mem_commit();
}

void mem_map(MemRegion *container, hwaddr at, MemRegion *r, int priority)
{
    g_assert(!r->parent && r != container);
    mem_begin();
    if (!container->children)
        container->children = g_ptr_array_new();
    unsigned i = 0;
    while (i < container->children->len && ((MemRegion *)container->children->pdata[i])->priority > priority)
        i++;
    g_ptr_array_insert(container->children, i, r);
    r->parent = container;
    r->at = at;
    r->priority = priority;
    changed = true;
    mem_commit();
}

void mem_unmap(MemRegion *r)
{
    mem_begin();
    if (r->parent) {
        g_ptr_array_remove(r->parent->children, r);
        r->parent = NULL;
        changed = true;
    }
    mem_commit();
}

void mem_move(MemRegion *r, hwaddr at)
{
    mem_begin();
    changed |= r->at != at;
    r->at = at;
    mem_commit();
}

void mem_set_enabled(MemRegion *r, bool enabled)
{
    mem_begin();
    changed |= r->enabled != enabled;
    r->enabled = enabled;
    mem_commit();
}

void mem_set_readonly(MemRegion *r, bool readonly)
{
    mem_begin();
    changed |= r->readonly != readonly;
    r->readonly = readonly;
    mem_commit();
}

void mem_set_alias_offset(MemRegion *r, uint64_t offset)
{
    mem_begin();
    changed |= r->target_offset != offset;
    r->target_offset = offset;
    mem_commit();
}

uint64_t mem_size(const MemRegion *r) { return r->size; }
void *mem_host(const MemRegion *r) { return r->host; }

/* ---- address spaces ---- */

AddressSpace *as_new(const char *name, MemRegion *root)
{
    AddressSpace *as = g_new0(AddressSpace, 1);
    as->name = g_strdup(name);
    as->root = root;
    as->listeners = g_array_new(false, false, sizeof(Listener));
    mem_map_lock();
    as->slot = next_slot++;
    AddressSpace **end = &address_spaces;
    while (*end)
        end = &(*end)->next;
    *end = as;
    as_refresh(as);
    mem_map_unlock();
    return as;
}

void as_free(AddressSpace *as)
{
    if (!as)
        return;
    mem_map_lock();
    AddressSpace **p = &address_spaces;
    while (*p != as)
        p = &(*p)->next;
    *p = as->next;
    mem_map_unlock();
    call_rcu(&as->view->rcu, view_free);
    g_array_free(as->listeners, true);
    g_free(as->name);
    g_free(as);
}

void as_remove_listener(AddressSpace *as, MemChangedFn *fn, void *opaque)
{
    mem_map_lock();
    for (unsigned i = 0; i < as->listeners->len; i++) {
        const Listener *l = &g_array_index(as->listeners, Listener, i);
        if (l->fn != fn || l->opaque != opaque)
            continue;
        g_array_remove_index(as->listeners, i);
        break;
    }
    mem_map_unlock();
}

void as_add_listener(AddressSpace *as, MemChangedFn *fn, void *opaque)
{
    Listener l = { fn, opaque };
    mem_map_lock();
    g_array_append_val(as->listeners, l);
    mem_map_unlock();
}
