/* SPDX-License-Identifier: MIT */
/* Places in regions where a guest's write only signals an eventfd, or may be late. */
#include "hw/core/memory-internal.h"

static void (*hook)(void);

void mem_set_notifier_hook(void (*changed)(void))
{
    mem_map_lock();
    hook = changed;
    mem_map_unlock();
}

static void notifiers_changed(void)
{
    if (hook)
        hook();
}

void mem_add_notifier(MemRegion *r, const MemNotifier *n)
{
    g_assert(n->size <= 8 && n->offset < r->size);
    mem_map_lock();
    if (!r->notifiers)
        r->notifiers = g_array_new(false, false, sizeof(MemNotifier));
    g_array_append_val(r->notifiers, *n);
    notifiers_changed();
    mem_map_unlock();
}

static bool same(const MemNotifier *a, const MemNotifier *b)
{
    return a->offset == b->offset && a->size == b->size && a->match == b->match && a->value == b->value &&
           a->fd == b->fd;
}

void mem_remove_notifier(MemRegion *r, const MemNotifier *n)
{
    mem_map_lock();
    for (unsigned i = 0; r->notifiers && i < r->notifiers->len; i++) {
        if (same(&g_array_index(r->notifiers, MemNotifier, i), n)) {
            g_array_remove_index_fast(r->notifiers, i);
            notifiers_changed();
            break;
        }
    }
    mem_map_unlock();
}

void as_foreach_notifier(AddressSpace *as, MemNotifierFn *fn, void *opaque)
{
    rcu_read_lock();
    const FlatView *view = rcu_get(as->view);
    for (unsigned i = 0; view && i < view->count; i++) {
        const FlatRange *f = &view->range[i];
        const GArray *all = f->region->notifiers;
        for (unsigned k = 0; all && k < all->len; k++) {
            const MemNotifier *n = &g_array_index(all, MemNotifier, k);
            hwaddr end = n->offset + (n->fd == MEM_COALESCED ? n->size - 1 : 0);
            if (n->offset >= f->offset && end - f->offset <= f->last - f->first)
                fn(f->first + (n->offset - f->offset), n, opaque);
        }
    }
    rcu_read_unlock();
}
