/* SPDX-License-Identifier: MIT */
/* For tests of decoders: numbers that look random and are the same in every run. */
#ifndef TESTS_DECODE_RANDOM_H
#define TESTS_DECODE_RANDOM_H

#include <stdint.h>

static uint64_t seed = 0x9e3779b97f4a7c15;

static inline uint64_t rnd64(void)
{
    seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
    return seed;
}
static inline uint32_t rnd(void) { return (uint32_t)(rnd64() >> 16); }
#endif
