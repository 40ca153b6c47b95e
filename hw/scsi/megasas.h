/* SPDX-License-Identifier: MIT */
/*
 * MegaRAID SAS 8708EM2 (SAS1078) and 9260-8i (SAS2108): between its parts. Source: the register and frame layouts of
 * the BSD drivers' mfireg.h (NetBSD, OpenBSD). The guest gives frames by their address; the firmware answers in the
 * frame, and puts its context into a reply queue.
 */
#ifndef HW_SCSI_MEGASAS_H
#define HW_SCSI_MEGASAS_H

#include "base/bits.h"
#include "hw/pci/pci.h"
#include "hw/scsi/scsi.h"

enum { MFI_TARGETS = 64, MFI_FRAME = 64, MFI_SGES_MAX = 255, MFI_EVENT_BYTES = 256 };
/* Commands of frames. */
enum { MFI_INIT, MFI_LD_READ, MFI_LD_WRITE, MFI_LD_SCSI, MFI_PD_SCSI, MFI_DCMD, MFI_ABORT };
/* Results of frames. */
enum {
    MFI_OK = 0,
    MFI_INVALID_CMD = 1,
    MFI_INVALID_DCMD = 2,
    MFI_INVALID_PARAMETER = 3,
    MFI_ABORT_NOT_POSSIBLE = 5,
    MFI_NOT_FOUND = 0x0c,
    MFI_DONE_WITH_ERROR = 0x2d,
    MFI_IO_FAILED = 0x2e,
    MFI_PENDING = 0x100 /* not to the guest: the frame is kept */
};
/* Flags of frames. */
enum { MFI_NO_REPLY = 1, MFI_SGL64 = 2, MFI_SENSE64 = 4, MFI_WRITE = 8, MFI_READ = 16, MFI_IEEE = 32 };
/* Where things stand in a frame. */
enum {
    F_CMD = 0,
    F_SENSE_LEN = 1,
    F_STATUS = 2,
    F_SCSI_STATUS = 3,
    F_TARGET = 4,
    F_LUN = 5,
    F_CDB_LEN = 6,
    F_SGES = 7,
    F_CONTEXT = 8,
    F_FLAGS = 16,
    F_LENGTH = 20,
    F_BODY = 24
};

typedef struct Megasas {
    PciDevice pci;
    ScsiBus bus;
    MemRegion *bar, *io, *queue;
    /* properties */
    uint32_t max_sge, max_cmds;
    uint64_t sas_address;
    char *serial;
    bool jbod;
    uint32_t msi, msix;           /* PCI_AUTO: yes */
    /* state */
    uint32_t status, mask;        /* interrupts */
    uint32_t state;               /* of the firmware, as the upper bits of the scratch pad have it */
    uint32_t high;                /* IQPH */
    uint32_t sequence, diag;
    uint64_t replies, producer_at, consumer_at; /* reply queue and its indexes in memory; replies 0: none */
    uint32_t entries, produced;
    bool wide;                    /* contexts of 64 bits */
    uint64_t event_frame;         /* that waits for an event; 0: none */
    uint32_t event_count, event_told;
} Megasas;

static inline Megasas *megasas_of(Device *d) { return (Megasas *)d; }

/* A frame that is being carried out. */
typedef struct MfiFrame {
    Megasas *s;
    uint64_t at, context;
    uint8_t b[MFI_FRAME];
    uint16_t flags;
} MfiFrame;

/* Adds the frame's list, which begins at `offset`; at most `len` bytes of it. */
bool mfi_map(const MfiFrame *f, DmaVec *v, unsigned offset, uint64_t len);
/* A direct command. Returns the result for the frame, or MFI_PENDING. */
unsigned mfi_dcmd(MfiFrame *f);
/* A unit came or went: whoever waits for an event learns of it. */
void mfi_event(Megasas *s, const ScsiDevice *d, bool added);
/* The frame's result goes to memory, its context into the reply queue. Frees f. */
void mfi_finish(MfiFrame *f, unsigned result);
/* The frame at this address again: one that was kept. NULL: it is no longer readable. */
MfiFrame *mfi_frame_at(Megasas *s, uint64_t at);
#endif
