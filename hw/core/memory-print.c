/* SPDX-License-Identifier: MIT */
/* The memory map as text. */
#include <inttypes.h>
#include "hw/core/memory-internal.h"

static const char *const kind_name[] = { "container", "ram", "rom", "romd", "i/o", "alias", "iommu" };

static void print_region(const MemRegion *r, hwaddr at, unsigned depth, GString *out)
{
    hwaddr last = at + (r->size == UINT64_MAX ? UINT64_MAX : r->size - 1);
    g_string_append_printf(out, "%*s%016" PRIx64 "-%016" PRIx64 " (prio %d, %s): %s", (int)(2 * depth), "", at, last,
                           r->priority, kind_name[r->kind], r->name);
    if (r->kind == REGION_ALIAS)
        g_string_append_printf(out, " -> %s @%" PRIx64, r->target->name, r->target_offset);
    g_string_append_printf(out, "%s%s\n", r->readonly ? " [readonly]" : "", r->enabled ? "" : " [disabled]");
    for (unsigned i = 0; r->children && i < r->children->len; i++) {
        const MemRegion *child = r->children->pdata[i];
        print_region(child, at + child->at, depth + 1, out);
    }
}

void mem_print_tree(GString *out)
{
    mem_map_lock();
    for (AddressSpace *as = address_spaces; as; as = as->next) {
        g_string_append_printf(out, "address-space: %s\n", as->name);
        if (as->root)
            print_region(as->root, 0, 1, out);
    }
    mem_map_unlock();
}

void as_print_flat(AddressSpace *as, GString *out)
{
    g_string_append_printf(out, "flat view of %s:\n", as->name);
    rcu_read_lock();
    const FlatView *v = rcu_get(as->view);
    for (unsigned i = 0; i < v->count; i++) {
        const FlatRange *f = &v->range[i];
        g_string_append_printf(out, "  %016" PRIx64 "-%016" PRIx64 " (%s%s): %s @%" PRIx64 "\n", f->first, f->last,
                               kind_name[f->region->kind], f->readonly ? ", readonly" : "", f->region->name, f->offset);
    }
    rcu_read_unlock();
}
