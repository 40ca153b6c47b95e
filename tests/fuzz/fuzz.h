/* SPDX-License-Identifier: MIT */
/* What a target has: libFuzzer's entry. Without libFuzzer tests/fuzz/once.c gives it files. */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed); /* mutate.c */
#endif
