/* SPDX-License-Identifier: MIT */
/*
 * LSI SAS1068 (Fusion-MPT): between its parts. Source: Fusion-MPT Message Passing Interface Specification 1.5, as its
 * structures stand in the BSD drivers' mpilib. Messages come by their address in the request FIFO, or word by word by
 * the doorbell; answers go to reply frames that the guest has put into the free FIFO, or back by the doorbell.
 */
#ifndef HW_SCSI_MPTSAS_H
#define HW_SCSI_MPTSAS_H

#include "base/bits.h"
#include "hw/pci/pci.h"
#include "hw/scsi/scsi.h"

enum { MPT_PORTS = 8, MPT_LUNS = 256, MPT_FRAME = 128, MPT_FREE_MAX = 128, MPT_POST_MAX = 512, MPT_REPLY_MAX = 128 };
enum {
    MPI_SCSI_IO = 0,
    MPI_TASK_MGMT = 1,
    MPI_IOC_INIT = 2,
    MPI_IOC_FACTS = 3,
    MPI_CONFIG = 4,
    MPI_PORT_FACTS = 5,
    MPI_PORT_ENABLE = 6,
    MPI_EVENTS = 7,
    MPI_EVENT_ACK = 8,
    MPI_SMP = 0x1a,
    MPI_SAS_CONTROL = 0x1b,
    MPI_SATA = 0x1c,
    MPI_RESET = 0x40,
    MPI_UNIT_RESET = 0x41,
    MPI_HANDSHAKE = 0x42
};
enum {
    MPI_OK = 0,
    MPI_INVALID_FUNCTION = 1,
    MPI_INVALID_SGL = 3,
    MPI_INVALID_FIELD = 7,
    MPI_INVALID_STATE = 8,
    MPI_CONFIG_ACTION = 0x20,
    MPI_CONFIG_TYPE = 0x21,
    MPI_CONFIG_PAGE = 0x22,
    MPI_INVALID_BUS = 0x41,
    MPI_NO_DEVICE = 0x43,
    MPI_OVERRUN = 0x44,
    MPI_UNDERRUN = 0x45,
    MPI_TERMINATED = 0x48,
    MPI_SMP_FAILED = 0x90,
    MPI_SMP_OVERRUN = 0x91
};
/* Where things stand in every message and answer. */
enum { M_LENGTH = 2 /* of answers: words */, M_FUNCTION = 3, M_FLAGS = 7, M_CONTEXT = 8, M_STATUS = 14 };

typedef struct MptQueue { uint32_t count, first, entry[MPT_POST_MAX]; } MptQueue;
typedef struct Mptsas {
    PciDevice pci;
    ScsiBus bus;
    MemRegion *io, *diagnostics;
    uint64_t sas_address;    /* properties */
    uint32_t msi;
    /* state */
    uint32_t state;          /* of the controller: the upper bits of the doorbell */
    uint32_t his, him;       /* interrupts: status, mask */
    uint32_t sequence, diag;
    uint8_t who, max_devices, max_buses;
    uint16_t reply_size;
    uint32_t high, sense_high; /* upper halves of addresses */
    bool events;
    uint32_t event_context;
    uint8_t doorbell;        /* DOORBELL_… */
    uint8_t words_want, words_got, words_out;
    uint32_t words[64];      /* that come by the doorbell */
    uint8_t answer[MPT_REPLY_MAX]; /* that goes back by it: words_out of 16 bits are left to `answer_len` bytes */
    uint8_t answer_len;
    MptQueue free, post;
} Mptsas;

static inline Mptsas *mptsas_of(Device *d) { return (Mptsas *)d; }

/* A message that is being carried out; len bytes of it are known. */
typedef struct MptMessage {
    Mptsas *s;
    uint8_t b[MPT_FRAME];
    uint64_t at;             /* of its frame; by the doorbell: MPT_BY_DOORBELL */
} MptMessage;
#define MPT_BY_DOORBELL UINT64_MAX

/* An answer of `len` bytes; header and status are filled in. */
void mpt_answer(const MptMessage *m, uint8_t *answer, unsigned len, unsigned status);
/* Adds the list that begins at `offset` of the message, at most `len` bytes of it; false: no list. */
bool mpt_map(const MptMessage *m, DmaVec *v, unsigned offset, uint64_t len);
unsigned mpt_element_bytes(const MptMessage *m, unsigned offset); /* of the list's element there */
/* mptsas-config.c: of our ports, and behind them of what is attached to each */
uint64_t mpt_port_address(const Mptsas *s, unsigned port);
bool mpt_attached(const Mptsas *s, unsigned port);
void mpt_facts(const MptMessage *m);
void mpt_port_facts(const MptMessage *m);
void mpt_config(const MptMessage *m);
/* mptsas-smp.c */
void mpt_smp(const MptMessage *m);
void mpt_sas_control(const MptMessage *m);
void mpt_sata(const MptMessage *m);
void mpt_device_event(Mptsas *s, const ScsiDevice *d, bool added);
void mpt_event(Mptsas *s, uint32_t event, const uint8_t *data, unsigned words);
#endif
