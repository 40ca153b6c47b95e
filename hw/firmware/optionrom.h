/* SPDX-License-Identifier: MIT */
/* Our option ROMs, assembled from hw/firmware/optionrom and embedded by the build. */
#ifndef HW_FIRMWARE_OPTIONROM_H
#define HW_FIRMWARE_OPTIONROM_H

#include <stddef.h>
#include <stdint.h>

typedef struct OptionRom {
    size_t size;
    const uint8_t *data;
} OptionRom;

extern const OptionRom optionrom_linuxboot_dma, optionrom_multiboot_dma, optionrom_pvh;

#endif
