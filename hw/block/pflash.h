/* SPDX-License-Identifier: MIT */
/* NOR flash as boards use it: "cfi.pflash01". */
#ifndef HW_BLOCK_PFLASH_H
#define HW_BLOCK_PFLASH_H

#include "hw/core/device.h"

/*
 * Properties num-blocks, sector-length, width (bytes of the bank), device-width (bytes of one chip), file, readonly.
 * With a file its contents are the flash's, and what the guest programs is written back at once. region[0] is the whole
 * flash.
 */

/*
 * Before the machine runs: put bytes at the start of a started flash; nothing is written back. False: they do not fit.
 */
bool pflash_fill(Device *d, GBytes *contents, Error **errp);
#endif
