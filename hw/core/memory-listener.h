/* SPDX-License-Identifier: MIT */
/* The end of as_add_listener(): for those who come and go. */
#ifndef HW_CORE_MEMORY_LISTENER_H
#define HW_CORE_MEMORY_LISTENER_H

#include "hw/core/memory.h"

void as_remove_listener(AddressSpace *as, MemChangedFn *fn, void *opaque); /* not from within fn */
#endif
