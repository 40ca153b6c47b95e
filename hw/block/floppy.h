/* SPDX-License-Identifier: MIT */
/* What a board tells its firmware and its guest of floppy drives. */
#ifndef HW_BLOCK_FLOPPY_H
#define HW_BLOCK_FLOPPY_H

#include <stdbool.h>
#include <stdint.h>

bool floppy_controller_exists(void);
/* As CMOS byte 10h has it: 2: 1.2 MB, 4: 1.44 MB, 5: 2.88 MB, 0: there is none. */
uint8_t floppy_cmos_type(unsigned unit);
void floppy_shape(unsigned unit, unsigned *tracks, unsigned *sectors, unsigned *heads);
#endif
