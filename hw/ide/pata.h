/* SPDX-License-Identifier: MIT */
/* A parallel ATA channel: command and control block, bus master (ATA8-ACS, SFF-8038i). */
#ifndef HW_IDE_PATA_H
#define HW_IDE_PATA_H

#include "hw/ide/ata.h"

enum { BM_START = 1, BM_TO_MEMORY = 8 };                                    /* command */
enum { BM_ACTIVE = 1, BM_ERROR = 2, BM_INTERRUPT = 4, BM_CAPABLE = 0x60 }; /* status */

typedef struct PataChannel {
    IdeBus bus;
    Device *owner;
    unsigned pin;             /* of owner: the interrupt */
    AddressSpace *dma;        /* NULL: no bus master */
    MemAttrs attrs;
    bool (*may_dma)(Device *owner);
    /* State */
    uint8_t select, control, bm_command, bm_status;
    uint32_t bm_table;
    bool irq;
    /* While a command runs: entry `index` of the list begins at byte `base` */
    uint32_t index;
    uint64_t base;
    bool list_done, failed;
} PataChannel;
extern const StateField pata_state[];
/* opaque: PataChannel; ports 1f0-1f7, 3f6, and 8 of a bus master */
extern const MemOps pata_command_ops, pata_control_ops, pata_bm_ops;

void pata_init(PataChannel *ch, const char *bus_name, Device *owner, unsigned pin, unsigned *guard);
void pata_reset(PataChannel *ch);
void pata_saving(PataChannel *ch);
void pata_loaded(PataChannel *ch);
void pata_stop(PataChannel *ch);
#endif
