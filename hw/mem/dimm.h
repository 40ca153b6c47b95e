/* SPDX-License-Identifier: MIT */
/* Memory modules in slots: "pc-dimm", and the base type of others. */
#ifndef HW_MEM_DIMM_H
#define HW_MEM_DIMM_H

#include "hw/mem/memory-device.h"

/* First member of a module. */
typedef struct Dimm {
    Device dev; /* always first */
    MemoryDevice mem;
} Dimm;

/* Class data of the types. */
typedef struct DimmClass {
    const char *kind;
    uint64_t align;
} DimmClass;

enum { DIMM_UNIT = 2 * 1024 * 1024 }; /* their size is a multiple of it */
extern const DeviceType dimm_type;
#endif
