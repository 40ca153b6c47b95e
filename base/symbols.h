/* SPDX-License-Identifier: MIT */
/* Names of guest addresses, from the ELF files that loaders have seen: for messages only. */
#ifndef BASE_SYMBOLS_H
#define BASE_SYMBOLS_H

#include <stdbool.h>
#include <stdint.h>

/* Loaders, before the machine runs. size 0: up to the next symbol. */
void symbols_add(const char *name, uint64_t addr, uint64_t size);
void symbols_clear(void);
/* Has a loader seen a program with symbols? Otherwise what runs is a kernel or unknown. */
bool symbols_known(void);
/*
 * Name of what contains addr and the distance from its start; NULL: unknown. Valid until symbols_clear(). Any thread
 * while the machine runs.
 */
const char *symbols_find(uint64_t addr, uint64_t *offset);
/* "0x00000124 in main+0x12", or the address alone; caller frees. */
char *symbols_describe(uint64_t addr);
#endif
