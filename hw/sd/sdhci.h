/* SPDX-License-Identifier: MIT */
/* The SD host controller that chips embed (SD Host Controller Simplified Specification 3.00). */
#ifndef HW_SD_SDHCI_H
#define HW_SD_SDHCI_H

#include "hw/sd/sd.h"

enum { SDHCI_SIZE = 0x100, SDHCI_FIFO = 4096, SDHCI_WORDS = SDHCI_SIZE / 4 };

typedef struct Sdhci {
    Device *dev;
    AddressSpace *(*space)(Device *d);  /* for DMA; NULL: none now */
    void (*irq)(Device *d, int level);
    void (*card)(Device *d, bool there, bool readonly); /* the slot's switches; NULL: nobody looks */
    uint64_t capareg;
    bool usdhc;                /* i.MX6: transfer mode in a word of its own, other places of a few bits */
    SdBus bus;
    SdPort port;
    uint32_t reg[SDHCI_WORDS]; /* as the guest wrote them, and status */
    uint8_t fifo[SDHCI_FIFO];
    uint32_t fifo_pos, fifo_len, blocks, links;
    uint64_t desc_addr, moved; /* the ADMA descriptor at work */
    uint32_t desc_len;
    bool desc_end, desc_int, active, wait_busy, wait_dma, endless;
} Sdhci;

extern const MemOps sdhci_ops; /* opaque: Sdhci */
extern const StateField sdhci_state[];
/* In start(): fields above bus are filled in. slot false: the board connects the port to a slot of another device. */
void sdhci_start(Sdhci *s, Device *d, bool slot);
void sdhci_stop(Sdhci *s);
void sdhci_reset(Sdhci *s, ResetPhase phase);
bool sdhci_loaded(Sdhci *s, Error **errp);
/* Of "generic-sdhci" without a slot. */
SdPort *sdhci_board_port(Device *d);
#endif
