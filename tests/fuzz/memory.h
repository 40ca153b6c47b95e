/* SPDX-License-Identifier: MIT */
/* A file in memory as a protocol of the block layer, "fuzz-mem", for what must not write to the host's disk. */
#ifndef FUZZ_MEMORY_H
#define FUZZ_MEMORY_H

#include <glib.h>

extern GByteArray *memory_file;   /* the one that every open sees; it grows up to 96 MiB */
void memory_register(void);
#endif
