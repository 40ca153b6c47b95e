/* SPDX-License-Identifier: MIT */
/* The memory map's structures, shared by memory*.c, ram.c and dma.c only. */
#ifndef HW_CORE_MEMORY_INTERNAL_H
#define HW_CORE_MEMORY_INTERNAL_H

#include <glib.h>
#include "base/bits.h"
#include "base/rcu.h"
#include "hw/core/memory.h"
#include "hw/core/ram.h"
#include "hw/core/ram-source.h"

typedef enum RegionKind {
    REGION_CONTAINER,
    REGION_RAM,
    REGION_ROM,
    REGION_ROMD,
    REGION_IO,
    REGION_ALIAS,
    REGION_IOMMU
} RegionKind;

struct MemRegion {
    struct rcu_head rcu;
    char *name;
    RegionKind kind;
    uint64_t size; /* UINT64_MAX: all of 2^64 */
    bool enabled, readonly;
    /* Place in the tree; map lock. */
    MemRegion *parent;
    hwaddr at;
    int priority;
    GPtrArray *children; /* highest priority first; the latest first among equals */
    /* Alias */
    MemRegion *target;
    uint64_t target_offset;
    /* I/O and ROMD */
    const MemOps *ops;
    void *opaque;
    LockDomain *domain;
    void (*free_opaque)(void *opaque);
    GArray *notifiers; /* of MemNotifier, or NULL; map lock */
    /* IOMMU */
    const IommuOps *iommu;
    AddressSpace *iommu_to;
    uint64_t iommu_serial;
    /* RAM, ROM, ROMD */
    uint8_t *host;
    uint64_t ram_addr;
    char apart[64]; /* readers of the above do not share a cache line with */
    unsigned pins;  /* the owner's and those of transfers; atomic */
};

/* One piece of a view: region [offset, ...) shown at first..last, both inclusive. */
typedef struct FlatRange {
    hwaddr first, last;
    MemRegion *region;
    hwaddr offset;
    bool readonly;
} FlatRange;

typedef struct FlatView {
    struct rcu_head rcu;
    uint64_t serial; /* unique: caches of a reader name the view by it */
    unsigned count;
    FlatRange range[]; /* sorted, disjoint */
} FlatView;

struct AddressSpace {
    char *name;
    unsigned slot; /* of the per-thread cache */
    MemRegion *root;
    FlatView *view; /* RCU */
    GArray *listeners;
    AddressSpace *next;
};

/*
 * RAM that a transfer is on its way to or from outlives mem_region_free(): guests eject devices amid it. Pin it inside
 * the read section that found it, and unpin it in a thread that RCU knows.
 */
static inline void mem_region_pin(MemRegion *r) { __atomic_fetch_add(&r->pins, 1, __ATOMIC_RELAXED); }
void mem_region_unpin(MemRegion *r);

/* Host memory, 1, 2, 4 or 8 bytes; in one piece when the alignment allows: vCPUs may look at it at the same time. */
static inline uint64_t host_load(const uint8_t *p, unsigned size)
{
    bool aligned = !((uintptr_t)p & (size - 1));
    if (!aligned || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__)
        return load_le(p, size);
    switch (size) {
    case 1: return __atomic_load_n(p, __ATOMIC_RELAXED);
    case 2: return __atomic_load_n((const uint16_t *)p, __ATOMIC_RELAXED);
    case 4: return __atomic_load_n((const uint32_t *)p, __ATOMIC_RELAXED);
    default: return __atomic_load_n((const uint64_t *)p, __ATOMIC_RELAXED);
    }
}

static inline void host_store(uint8_t *p, unsigned size, uint64_t v)
{
    bool aligned = !((uintptr_t)p & (size - 1));
    if (!aligned || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__) {
        store_le(p, size, v);
        return;
    }
    switch (size) {
    case 1: __atomic_store_n(p, (uint8_t)v, __ATOMIC_RELAXED); break;
    case 2: __atomic_store_n((uint16_t *)p, (uint16_t)v, __ATOMIC_RELAXED); break;
    case 4: __atomic_store_n((uint32_t *)p, (uint32_t)v, __ATOMIC_RELAXED); break;
    default: __atomic_store_n((uint64_t *)p, v, __ATOMIC_RELAXED); break;
    }
}

extern AddressSpace *address_spaces; /* map lock */
void mem_map_lock(void);
void mem_map_unlock(void);
MemRegion *mem_region_new(const char *name, uint64_t size, RegionKind kind);
void mem_generation_next(void);
/* `s` is a section of an IOMMU: put what it leads to in its place; region NULL: a fault. */
void mem_iommu_translate(MemSection *s, unsigned access);

/* RAM blocks: host memory and a range of the ram_addr space. */
uint8_t *ram_block_new(const char *name, uint64_t size, RamSource *src, uint64_t *ram_addr, Error **errp);
void ram_block_free(uint64_t ram_addr);
bool ram_source_map(RamBlock *b, RamSource *src, Error **errp);
#endif
