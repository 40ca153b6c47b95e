/* SPDX-License-Identifier: MIT */
/*
 * What a virtio-iommu holds: domains with their mappings, and which endpoint is in which. All functions take the lock
 * inside, which is a leaf: translations come from any thread.
 */
#ifndef HW_VIRTIO_IOMMU_MAP_H
#define HW_VIRTIO_IOMMU_MAP_H

#include <glib.h>
#include "base/error.h"
#include "hw/core/memory.h"

enum { IOMMU_PAGE = 4096, IOMMU_MAPPINGS_MAX = 1 << 20, IOMMU_ENDPOINTS_MAX = 1 << 16, IOMMU_RESERVED_MAX = 16 };
/* Status of a request (VIRTIO 1.2 section 5.13.6). */
typedef enum IommuStatus {
    IOMMU_OK = 0,
    IOMMU_IOERR,
    IOMMU_UNSUPP,
    IOMMU_DEVERR,
    IOMMU_INVAL,
    IOMMU_RANGE,
    IOMMU_NOENT,
    IOMMU_FAULT,
    IOMMU_NOMEM
} IommuStatus;

/* Addresses that no mapping may hold; of messages: they pass as they are. */
typedef struct IommuReserved { hwaddr first, last; bool msi; } IommuReserved;

typedef struct IommuMap {
    GMutex lock;
    GHashTable *domains;   /* id: Domain */
    GHashTable *endpoints; /* id: Domain that it is in */
    unsigned mappings;     /* of all domains */
    bool bypass;           /* endpoints that are in no domain reach memory */
    IommuReserved reserved[IOMMU_RESERVED_MAX];
    unsigned reserved_count;
} IommuMap;

void iommu_map_init(IommuMap *m);
void iommu_map_free(IommuMap *m);
void iommu_map_clear(IommuMap *m); /* no domain, no endpoint in one */
void iommu_map_set_bypass(IommuMap *m, bool bypass);

/*
 * Requests (5.13.6.3 to 5.13.6.6). The caller flushes what kept translations of the endpoint, or of all in the domain,
 * after all but map.
 */
IommuStatus iommu_map_attach(IommuMap *m, uint32_t domain, uint32_t endpoint, bool bypass);
IommuStatus iommu_map_detach(IommuMap *m, uint32_t domain, uint32_t endpoint);
IommuStatus iommu_map_add(IommuMap *m, uint32_t domain, hwaddr first, hwaddr last, hwaddr to, unsigned access);
IommuStatus iommu_map_remove(IommuMap *m, uint32_t domain, hwaddr first, hwaddr last);
bool iommu_map_is_in(IommuMap *m, uint32_t endpoint, uint32_t domain);
bool iommu_map_attached(IommuMap *m, uint32_t endpoint);

/* As those of IommuOps. */
bool iommu_map_find(IommuMap *m, uint32_t endpoint, hwaddr addr, IommuEntry *out);
void iommu_map_foreach(IommuMap *m, uint32_t endpoint, IommuEntryFn *fn, void *opaque);

/* All of it as bytes, and back; the bytes are untrusted. */
enum { IOMMU_SAVED_MAX = 16 + IOMMU_ENDPOINTS_MAX * 16 + IOMMU_MAPPINGS_MAX * 32 };
void iommu_map_save(IommuMap *m, GByteArray *out);
bool iommu_map_load(IommuMap *m, const GByteArray *in, const char *who, Error **errp);
/* "domain 1: 3 mappings, endpoints 00:04.0" ... */
void iommu_map_print(IommuMap *m, GString *out);
#endif
