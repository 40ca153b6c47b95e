/* SPDX-License-Identifier: MIT */
/* Persistent modules: which part of the memory is data, which the label area behind it. */
#ifndef HW_MEM_NVDIMM_H
#define HW_MEM_NVDIMM_H

#include "hw/mem/memory-device.h"

bool is_nvdimm(const MemoryDevice *m);
uint64_t nvdimm_label_size(const MemoryDevice *m); /* at the end; 0: there is none */
uint64_t nvdimm_data_size(const MemoryDevice *m);  /* at the start */
#endif
