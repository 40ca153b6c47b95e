/* SPDX-License-Identifier: MIT */
/* Memory back ends: -object memory-backend-ram, -file, -memfd. */
#ifndef HW_MEM_BACKEND_H
#define HW_MEM_BACKEND_H

#include "base/object.h"
#include "hw/core/device.h"
#include "hw/core/ram-source.h"

#define MEMORY_BACKEND_KIND "memory-backend"

/* An object of the kind "memory-backend". */
typedef struct MemoryBackend {
    Object object;
    MemRegion *region; /* owned by the object; users map aliases of it */
    /* properties */
    uint64_t size, align, hugetlb_size;
    bool merge, dump, prealloc, reserve, share, readonly, pmem, discard_data, canonical, hugetlb, seal;
    uint32_t prealloc_threads;
    char *host_nodes, *path, *prealloc_context;
    int policy;
    bool created; /* the file was not there before */
} MemoryBackend;

/* Count a user of the back end, who calls object_release(); only one may map it at a time. */
MemoryBackend *memory_backend_take(const char *id, Error **errp);
/* The same for a device's property memdev=, which must be there. */
MemoryBackend *memory_backend_of(const Device *d, const char *memdev, Error **errp);
/* A region of the caller's that shows the back end's. */
MemRegion *memory_backend_alias(MemoryBackend *m, const char *name);
#endif
