/* SPDX-License-Identifier: MIT */
/*
 * I/O address spaces of devices: whatever is RAM in the guest's memory is mapped there at its guest address, and
 * unmapped when it goes; so its pages stay where they are, and none goes back to the host meanwhile. Behind the guest's
 * IOMMU: what its mappings lead to.
 */
#include <errno.h>
#include <inttypes.h>
#include "base/bits.h"
#include "base/log.h"
#include "base/rcu.h"
#include "hw/core/machine.h"
#include "hw/core/ram.h"
#include "hw/vfio/vfio.h"

enum { PAGE = 4096 };

typedef struct Mapping { uint64_t at, size; uint8_t *host; bool readonly; } Mapping;

static void add_section(hwaddr at, const MemSection *s, void *opaque)
{
    GArray *out = opaque;
    RamBlock block;
    uint64_t skip = align_up(at, PAGE) - at, len = s->len > skip ? align_down(s->len - skip, PAGE) : 0;
    if (!len || !s->host || s->ram_addr == UINT64_MAX || !ram_block_find(s->ram_addr, &block) || block.foreign)
        return;
    Mapping m = { at + skip, MIN(len, block.start + block.size - s->ram_addr - skip), s->host + skip, s->readonly };
    g_array_append_val(out, m);
}

/* What RAM a mapping of the guest's IOMMU leads to. */
static void add_translated(AddressSpace *as, const IommuEntry *e, GArray *out)
{
    for (hwaddr at = e->first; e->access;) {
        MemSection s;
        rcu_read_lock();
        as_translate(as, e->to + (at - e->first), &s);
        rcu_read_unlock(); /* RAM of the machine stays */
        s.len = MIN(s.len, e->last - at + 1);
        s.readonly |= !(e->access & MEM_WRITE);
        add_section(at, &s, out);
        if (e->last - at < s.len)
            return;
        at += s.len;
    }
}

static void collect(const IommuEntry *e, void *opaque) { g_array_append_vals(opaque, e, 1); }

/* RAM as the guest's memory, or its IOMMU, shows it now. */
static GArray *present_maps(const VfioSpace *s)
{
    GArray *out = g_array_new(false, false, sizeof(Mapping));
    g_autoptr(GArray) entries = g_array_new(false, false, sizeof(IommuEntry));
    if (s->behind)
        pci_foreach_mapping(s->behind, collect, entries);
    const IommuEntry *e = (const IommuEntry *)entries->data;
    if (!s->behind || (entries->len && !e->first && e->last == UINT64_MAX)) {
        as_foreach_section(s->as, add_section, out);
        return out;
    }
    for (unsigned i = 0; i < entries->len; i++)
        add_translated(s->as, &e[i], out);
    return out;
}

/* The first one that begins at `at` or later. */
static unsigned lower_bound(const GArray *maps, uint64_t at)
{
    unsigned low = 0, high = maps->len;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (g_array_index(maps, Mapping, middle).at < at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool same(const Mapping *a, const Mapping *b)
{
    return a->at == b->at && a->size == b->size && a->host == b->host && a->readonly == b->readonly;
}

static bool contains(const GArray *list, const Mapping *m)
{
    unsigned i = lower_bound(list, m->at);
    return i < list->len && same(&g_array_index(list, Mapping, i), m);
}

static void unmap(VfioSpace *s, const Mapping *m)
{
    if (s->unmap(s, m->at, m->size))
        warn_reportf("vfio: memory at 0x%" PRIx64 " can't be taken from the host's IOMMU: %s", m->at,
                     g_strerror(errno));
}

static bool map(VfioSpace *s, const Mapping *m, Error **errp)
{
    if (!s->map(s, m->at, m->size, m->host, m->readonly))
        return true;
    error_setf(errp, "vfio: %" PRIu64 " KiB at 0x%" PRIx64 " can't be mapped for DMA: %s%s", m->size / KiB, m->at,
               g_strerror(errno), errno == ENOMEM ? "; raise the limit of locked memory (ulimit -l)" : "");
    return false;
}

/* What is not there any more goes first: addresses may be taken again. */
static bool update(VfioSpace *s, Error **errp)
{
    GArray *now = present_maps(s);
    Error *err = NULL;
    unsigned kept = 0;
    for (unsigned i = 0; i < s->maps->len; i++) {
        if (!contains(now, &g_array_index(s->maps, Mapping, i)))
            unmap(s, &g_array_index(s->maps, Mapping, i));
    }
    for (unsigned i = 0; i < now->len; i++) {
        const Mapping m = g_array_index(now, Mapping, i);
        if (contains(s->maps, &m) || map(s, &m, err ? NULL : &err))
            g_array_index(now, Mapping, kept++) = m;
    }
    g_array_set_size(now, kept);
    g_array_unref(s->maps);
    s->maps = now;
    if (!err)
        return true;
    error_propagate(errp, err);
    return false;
}

static void memory_changed(void *opaque)
{
    Error *err = NULL;
    if (update(opaque, &err))
        return;
    warn_reportf("%s; devices can't reach it", err->message);
    error_free(err);
}

/* ---- behind the guest's IOMMU ---- */

static void mapped(void *opaque, const IommuEntry *e)
{
    VfioSpace *s = opaque;
    g_autoptr(GArray) more = g_array_new(false, false, sizeof(Mapping));
    mem_begin();
    add_translated(s->as, e, more);
    for (unsigned i = 0; i < more->len; i++) {
        const Mapping *m = &g_array_index(more, Mapping, i);
        if (!s->map(s, m->at, m->size, m->host, m->readonly))
            g_array_insert_vals(s->maps, lower_bound(s->maps, m->at), m, 1);
        else
            log_guest_error(s->behind->dev.id, "the host can't map 0x%" PRIx64 " for DMA: %s", m->at,
                            g_strerror(errno));
    }
    mem_commit();
}

static void unmapped(void *opaque, hwaddr first, hwaddr last)
{
    VfioSpace *s = opaque;
    mem_begin();
    unsigned from = lower_bound(s->maps, first), to = from;
    for (; to < s->maps->len && g_array_index(s->maps, Mapping, to).at <= last; to++)
        unmap(s, &g_array_index(s->maps, Mapping, to));
    g_array_remove_range(s->maps, from, to - from);
    mem_commit();
}

static void changed(void *opaque)
{
    mem_begin();
    memory_changed(opaque);
    mem_commit();
}

static const PciIommuWatch watch = { mapped, unmapped, changed };

bool vfio_space_start(VfioSpace *s, PciDevice *behind, Error **errp)
{
    if (s->as && !s->behind && !behind)
        return true;
    if (s->as) {
        error_setf(errp, "vfio: the guest's IOMMU maps for each device by itself; add -object iommufd,id=ID and "
                         "iommufd=ID for each");
        return false;
    }
    s->behind = behind;
    s->as = machine_current()->as_memory;
    if (behind)
        pci_watch_iommu(behind, &watch, s);
    s->maps = g_array_new(false, false, sizeof(Mapping));
    ram_discard_inhibit(true);
    as_add_listener(s->as, memory_changed, s);
    return update(s, errp);
}

void vfio_space_stop(VfioSpace *s)
{
    if (!s->as)
        return;
    as_remove_listener(s->as, memory_changed, s);
    if (s->behind)
        pci_watch_iommu(s->behind, NULL, NULL);
    s->behind = NULL;
    ram_discard_inhibit(false);
    g_clear_pointer(&s->maps, g_array_unref);
    s->as = NULL;
}
