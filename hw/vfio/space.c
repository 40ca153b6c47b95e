/* SPDX-License-Identifier: MIT */
/*
 * I/O address spaces of devices: whatever is RAM in the guest's memory is mapped there at its guest address, and unmapped when it goes; so its pages stay
 * where they are, and none goes back to the host meanwhile.
 */
#include <errno.h>
#include <inttypes.h>
#include "base/bits.h"
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

/* RAM as the guest's memory shows it now. */
static GArray *present_maps(AddressSpace *as)
{
    GArray *out = g_array_new(false, false, sizeof(Mapping));
    as_foreach_section(as, add_section, out);
    return out;
}

static bool same(const Mapping *a, const Mapping *b)
{
    return a->at == b->at && a->size == b->size && a->host == b->host && a->readonly == b->readonly;
}

static bool contains(const GArray *list, const Mapping *m)
{
    for (unsigned i = 0; i < list->len; i++) {
        if (same(&g_array_index(list, Mapping, i), m))
            return true;
    }
    return false;
}

static void unmap(VfioSpace *s, const Mapping *m)
{
    if (s->unmap(s, m->at, m->size))
        warn_reportf("vfio: memory at 0x%" PRIx64 " can't be taken from the host's IOMMU: %s", m->at, g_strerror(errno));
}

static bool map(VfioSpace *s, const Mapping *m, Error **errp)
{
    if (!s->map(s, m->at, m->size, m->host, m->readonly))
        return true;
    error_setf(errp, "vfio: %" PRIu64 " KiB at 0x%" PRIx64 " can't be mapped for DMA: %s%s", m->size / KiB, m->at, g_strerror(errno),
               errno == ENOMEM ? "; raise the limit of locked memory (ulimit -l)" : "");
    return false;
}

/* What is not there any more goes first: addresses may be taken again. */
static bool update(VfioSpace *s, Error **errp)
{
    GArray *now = present_maps(s->as);
    Error *err = NULL;
    for (unsigned i = 0; i < s->maps->len; i++) {
        if (!contains(now, &g_array_index(s->maps, Mapping, i)))
            unmap(s, &g_array_index(s->maps, Mapping, i));
    }
    for (unsigned i = 0; i < now->len;) {
        const Mapping *m = &g_array_index(now, Mapping, i);
        if (contains(s->maps, m) || map(s, m, err ? NULL : &err))
            i++;
        else
            g_array_remove_index(now, i);
    }
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

bool vfio_space_start(VfioSpace *s, Error **errp)
{
    if (s->as)
        return true;
    s->as = machine_current()->as_memory;
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
    ram_discard_inhibit(false);
    g_clear_pointer(&s->maps, g_array_unref);
    s->as = NULL;
}
