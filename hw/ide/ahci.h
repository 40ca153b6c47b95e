/* SPDX-License-Identifier: MIT */
/* AHCI: the controller and its ports (Serial ATA AHCI 1.3.1). */
#ifndef HW_IDE_AHCI_H
#define HW_IDE_AHCI_H

#include "hw/ide/ata.h"
#include "hw/pci/pci.h"

enum { AHCI_PORTS_MAX = 32, AHCI_SLOTS = 32, AHCI_PORT_BASE = 0x100, AHCI_PORT_SIZE = 0x80 };

typedef struct Ahci Ahci;

/* A command that has been fetched: where its data goes. */
typedef struct AhciSlot {
    uint64_t table;      /* command table */
    uint32_t entries;    /* of its PRDT */
    uint32_t index;      /* cursor: this entry begins at byte `base` of the data */
    uint64_t base;
    bool interrupt;      /* a descriptor that was used asks for DPS */
} AhciSlot;

typedef struct AhciPort {
    Ahci *hba;
    unsigned number;
    IdeBus bus;
    /* State (3.3) */
    uint64_t clb, fb;
    uint32_t is, ie, cmd, sctl, serr, sact, ci;
    bool halted;         /* an error: nothing is fetched until ST is cleared (5.5) */
    bool srst, signature_due;
    uint8_t last;        /* slot that was fetched last */
    /* While a command runs */
    int current;         /* slot of the command that is not queued; -1: none */
    bool processing, dma_failed, resetting;
    AhciSlot slot[AHCI_SLOTS];
} AhciPort;

struct Ahci {
    PciDevice pci;
    uint32_t ports;      /* property */
    MemRegion *bar, *idp;
    uint32_t ghc, is, idp_index;
    unsigned guard;
    AhciPort port[AHCI_PORTS_MAX];
};

extern const AtaHostOps ahci_host_ops;
uint32_t ahci_port_read(AhciPort *p, unsigned at);
void ahci_port_write(AhciPort *p, unsigned at, uint32_t value);
void ahci_port_reset(AhciPort *p);   /* register values; the drive is quiesced */
void ahci_port_changed(IdeBus *b);
bool ahci_port_pending(const AhciPort *p); /* PxIS and PxIE */
/* Bits of PxIS that have happened. */
void ahci_event(AhciPort *p, uint32_t bits);
void ahci_update_irq(Ahci *h, bool again); /* again: a message for what is pending, too */
#endif
