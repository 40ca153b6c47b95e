/* SPDX-License-Identifier: MIT */
/* The SMBus host controller that ICH9 and PIIX4 share, with memory-module EEPROMs behind it. */
#ifndef HW_I386_SMBUS_H
#define HW_I386_SMBUS_H

#include "hw/core/device.h"

enum { SMBUS_IO_SIZE = 32, SMBUS_EEPROMS = 8, SMBUS_EEPROM_ADDR = 0x50, SMBUS_EEPROM_SIZE = 256,
       SMBUS_BLOCK_MAX = 32 };

/* Embedded in a device; functions under its domain. */
typedef struct SmbusHost {
    uint8_t status, control, command, address, data0, data1, aux_control;
    uint8_t block[SMBUS_BLOCK_MAX];
    uint8_t block_index;
    uint8_t eeprom[SMBUS_EEPROMS][SMBUS_EEPROM_SIZE];
    uint8_t eeprom_at[SMBUS_EEPROMS]; /* address counters */
    uint8_t eeprom_count;
    Device *owner;
    void (*set_irq)(Device *owner, bool level);
} SmbusHost;

extern const StateField smbus_host_state[];
extern const MemOps smbus_host_ops; /* opaque: SmbusHost */

void smbus_host_reset(SmbusHost *s);
bool smbus_host_loaded(SmbusHost *s, Error **errp);
/* Describe `size` bytes of RAM in DDR modules' EEPROMs at 0x50 and up (JEDEC SPD, DDR2). */
void smbus_add_spd(SmbusHost *s, uint64_t ram_size);
#endif
