/* SPDX-License-Identifier: MIT */
/* Addresses that an IOMMU translates: each thread keeps the mappings that it met last. */
#include "hw/core/memory-internal.h"

#define CACHE_SLOTS 32
#define PAGE_BITS 12

/* Named by the region's serial, which is another after each flush. */
static __thread struct {
    uint64_t serial;
    IommuEntry entry;
} cache[CACHE_SLOTS];

static uint64_t new_serial(void)
{
    static uint64_t last;
    return __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED);
}

MemRegion *mem_iommu_new(const char *name, const IommuOps *ops, void *opaque, AddressSpace *to)
{
    MemRegion *r = mem_region_new(name, UINT64_MAX, REGION_IOMMU);
    r->iommu = ops;
    r->opaque = opaque;
    r->iommu_to = to;
    r->iommu_serial = new_serial();
    return r;
}

void mem_iommu_flush(MemRegion *r)
{
    __atomic_store_n(&r->iommu_serial, new_serial(), __ATOMIC_RELEASE);
    mem_generation_next();
}

static bool allows(const IommuEntry *e, unsigned access) { return !(access & ~e->access & (MEM_READ | MEM_WRITE)); }

/* The serial is read before the mapping is looked for: what a flush comes between is not found again. */
static bool find(const MemRegion *r, hwaddr addr, IommuEntry *out)
{
    uint64_t serial = __atomic_load_n(&r->iommu_serial, __ATOMIC_ACQUIRE);
    unsigned slot = (unsigned)(addr >> PAGE_BITS) % CACHE_SLOTS;
    IommuEntry *e = &cache[slot].entry;
    if (cache[slot].serial != serial || addr < e->first || addr > e->last) {
        if (!r->iommu->find(r->opaque, addr, out))
            return false;
        cache[slot].serial = serial;
        *e = *out;
    }
    *out = *e;
    return true;
}

void mem_iommu_translate(MemSection *s, unsigned access)
{
    const MemRegion *r = s->region;
    hwaddr at = s->offset;
    uint64_t len = s->len;
    IommuEntry e;
    if (!find(r, at, &e) || !allows(&e, access)) {
        if (!(access & MEM_QUIET))
            r->iommu->fault(r->opaque, at, access);
        *s = (MemSection){ .len = MIN(len, ((uint64_t)1 << PAGE_BITS) - (at & (((uint64_t)1 << PAGE_BITS) - 1))),
                           .ram_addr = UINT64_MAX };
        return;
    }
    as_translate(r->iommu_to, e.to + (at - e.first), s);
    if (s->region && s->region->kind == REGION_IOMMU) /* one behind another: there is no such thing */
        *s = (MemSection){ .len = s->len, .ram_addr = UINT64_MAX };
    if (e.last - at < s->len)
        s->len = e.last - at + 1; /* not of 2^64 bytes, which are more than s->len */
    s->len = MIN(s->len, len);
    s->readonly |= !(e.access & MEM_WRITE);
}
