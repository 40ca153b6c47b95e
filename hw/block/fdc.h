/* SPDX-License-Identifier: MIT */
/*
 * Private to the floppy disk controller: its state, its drives, and what its files offer each other. Source: Intel
 * 82078 data sheet.
 */
#ifndef HW_BLOCK_FDC_H
#define HW_BLOCK_FDC_H

#include "hw/dma/i8237.h"
#include "hw/storage/drive.h"

enum { FDC_DRIVES = 2, FDC_SECTOR = 512, FDC_FIFO = 17 };
/* Status registers (5.0) */
enum { ST0_ABNORMAL = 0x40, ST0_INVALID = 0x80, ST0_READY_CHANGED = 0xc0, ST0_SEEK = 0x20, ST0_EQUIPMENT = 0x10 };
enum {
    ST1_MISSING_MARK = 0x01,
    ST1_NOT_WRITABLE = 0x02,
    ST1_NO_DATA = 0x04,
    ST1_OVERRUN = 0x10,
    ST1_DATA_ERROR = 0x20,
    ST1_END = 0x80
};
enum {
    ST2_SCAN_NOT = 0x04,
    ST2_SCAN_HIT = 0x08,
    ST2_WRONG_CYLINDER = 0x10,
    ST2_DATA_ERROR = 0x20,
    ST2_CONTROL_MARK = 0x40
};
enum { ST3_PROTECTED = 0x40, ST3_READY = 0x20, ST3_TRACK0 = 0x10, ST3_TWO_SIDES = 0x08 };

typedef struct Fdc Fdc;

/* What a disk looks like. */
typedef struct FloppyFormat {
    uint8_t drive;         /* FLOPPY_144 … : that is at home with it */
    uint8_t sectors, tracks, heads;
    uint8_t rate;          /* as in CCR: 0: 500, 1: 300, 2: 250, 3: 1000 kb/s */
} FloppyFormat;
enum { FLOPPY_AUTO, FLOPPY_NONE, FLOPPY_120, FLOPPY_144, FLOPPY_288 };

/* A drive: a device on the controller's bus. */
typedef struct Floppy {
    Device dev;
    DriveProps drive;
    int type;              /* property, then what it is */
    uint32_t unit;
    bool check_rate;
    Fdc *fdc;
    BlockBackend *blk;
    DriveQueue queue;
    uint8_t track;         /* where the heads are */
    bool changed;          /* disk change line */
} Floppy;

typedef enum FdcPhase {
    FDC_COMMAND,
    FDC_READING /* of the disk */,
    FDC_TO_HOST,
    FDC_FROM_HOST,
    FDC_WRITING,
    FDC_RESULT
} FdcPhase;

struct Fdc {
    Device dev;
    Bus bus;
    bool bus_made;
    uint16_t iobase;
    uint8_t irq, dma;
    Floppy *unit[FDC_DRIVES];
    bool has_dma;
    /* registers */
    uint8_t dor, tdr, dsr, ccr;
    bool int_pending;
    uint8_t reset_sense;   /* SENSE INTERRUPTs that are due after a reset */
    bool seek_done;
    uint8_t seek_st0, seek_drive;
    /* a command */
    uint8_t phase;
    uint8_t fifo[FDC_FIFO], at, len;
    uint8_t st1, st2, head, c, h, r, n, eot, drive;
    bool multi, ended;     /* multi-track; the terminal count came */
    uint16_t verify_left;
    uint8_t data[FDC_SECTOR];
    uint16_t data_at, data_len;
    /* set by commands */
    uint8_t specify1, specify2, config, precompensation, perpendicular;
    bool lock;
    /* not state */
    DriveRequest req;
    struct iovec iov;
    bool running, again;
};

/* fdc.c */
Floppy *fdc_drive(const Fdc *f, unsigned n);          /* NULL: none there */
uint8_t fdc_rate(const Fdc *f);
void fdc_interrupt(Fdc *f, bool on);
/* fdc-transfer.c: commands that move data; from FDC_COMMAND with all bytes in fifo[] to FDC_RESULT */
typedef enum FdcTransfer {
    FDC_READ,
    FDC_READ_TRACK,
    FDC_READ_DELETED,
    FDC_WRITE,
    FDC_FORMAT,
    FDC_VERIFY,
    FDC_SCAN_EQUAL,
    FDC_SCAN_LOW,
    FDC_SCAN_HIGH
} FdcTransfer;
FdcTransfer fdc_transfer_of(uint8_t opcode);
void fdc_transfer_start(Fdc *f);
void fdc_transfer_give(Fdc *f, uint8_t v);            /* without DMA: a byte of the host */
void fdc_transfer_byte_taken(Fdc *f);                 /* ... the host has data[] up to data_at */
void fdc_transfer_abort(Fdc *f);                      /* reset */
void fdc_transfer_restart(Fdc *f);                    /* the drive's request again, after loading */
void fdc_dma_ready(void *opaque);
void fdc_read_id(Fdc *f);
void fdc_result(Fdc *f, uint8_t st0);                 /* the seven bytes, and the interrupt */
/* floppy.c */
extern const BusType floppy_bus_type;
const FloppyFormat *floppy_format(const Floppy *d);   /* NULL: no disk */
bool floppy_ready(const Floppy *d);
/* The disk's sector; false: the disk has none of this number. */
bool floppy_sector(const Floppy *d, unsigned track, unsigned head, unsigned sector, uint64_t *offset);
#endif
