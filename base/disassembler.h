/* SPDX-License-Identifier: MIT */
/*
 * Capstone, loaded when something is first disassembled: it is large, and most runs and all of the image tools never
 * need it.
 */
#ifndef BASE_DISASSEMBLER_H
#define BASE_DISASSEMBLER_H

#include <capstone/capstone.h>

/* The functions of the library by their own names. */
typedef struct Disassembler {
    __typeof__(cs_open) *open;
    __typeof__(cs_disasm) *disasm;
    __typeof__(cs_free) *free;
    __typeof__(cs_close) *close;
} Disassembler;

/* NULL: the library is not there, which has been said once. Any thread. */
const Disassembler *disassembler_get(void);
#endif
