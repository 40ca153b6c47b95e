/* SPDX-License-Identifier: MIT */
/* ATA drives (ACS-3, ATA8-ACS): what PATA channels and SATA ports share: task file, commands, data phases. */
#ifndef HW_IDE_ATA_H
#define HW_IDE_ATA_H

#include "hw/core/dma.h"
#include "hw/storage/drive.h"
#include "hw/storage/mmc.h"

enum { ATA_SECTOR = 512, ATA_MULTIPLE_MAX = 16, ATA_TAGS = 32, ATA_BUFFER = MMC_DATA_MAX };
enum { ATA_ERR = 0x01, ATA_DRQ = 0x08, ATA_DSC = 0x10, ATA_DF = 0x20, ATA_DRDY = 0x40, ATA_BSY = 0x80 };   /* status */
enum { ATA_ABRT = 0x04, ATA_IDNF = 0x10, ATA_UNC = 0x40 };                                                  /* error */
/* interrupt reason: count of ATAPI */
enum { ATA_COD = 1, ATA_IO = 2 };
/* device control */
enum { ATA_NIEN = 0x02, ATA_SRST = 0x04, ATA_HOB = 0x80 };
enum { ATA_LBA_MODE = 0x40, ATA_DEV = 0x10 };                                                               /* device */
enum { ATA_CMD_PACKET = 0xa0, ATA_CMD_DEVICE_RESET = 0x08, ATA_CMD_READ_FPDMA = 0x60, ATA_CMD_WRITE_FPDMA = 0x61 };

/* bios-chs-trans=, as byte 39h of a PC's CMOS RAM has it. */
enum { ATA_TRANS_NONE, ATA_TRANS_LBA, ATA_TRANS_LARGE, ATA_TRANS_RECHS, ATA_TRANS_AUTO };

typedef struct AtaDrive AtaDrive;
typedef struct AtaCommand AtaCommand;

/* Registers of the command block: [0] written last, [1] before (the high bytes of 48-bit commands). */
typedef struct AtaRegs {
    uint8_t feature[2], count[2], low[2], mid[2], high[2];
    uint8_t device, control, status, error;
} AtaRegs;

typedef enum AtaFlow {
    FLOW_NONE,     /* no data */
    FLOW_READ,     /* medium to guest */
    FLOW_WRITE,    /* guest to medium */
    FLOW_IN,       /* the drive's buffer to guest */
    FLOW_OUT,      /* guest to the drive's buffer */
    FLOW_CDB,      /* PATA: the packet is coming */
} AtaFlow;

typedef enum AtaStage { STAGE_DATA, STAGE_RANGES, STAGE_PLAIN } AtaStage;

struct AtaCommand {
    AtaDrive *a;
    /* State, of the one command that is not queued (those do not outlive a save) */
    bool active, dma, ext, waiting; /* dma: the protocol; waiting: for the bus master to start */
    uint8_t opcode, flow, drq; /* drq: sectors of a block on the data port */
    uint64_t offset;     /* on the medium, of byte 0 */
    uint64_t bytes, at;  /* of the data phase: all, done */
    uint64_t map_base;   /* where the guest's list began: `at` then */
    /* In flight */
    uint8_t tag, stage, error; /* error: of the finished command */
    uint8_t device;      /* queued: as the command said, for the log of errors */
    uint16_t count;
    bool queued, fua, stepping, ended_inline, short_list;
    int result;
    uint64_t piece;      /* bytes in flight; STAGE_PLAIN: 1 */
    DmaVec vec;
    struct iovec one, *trimmed;
    DriveRequest req;
};

/* What a channel or port does for its drives. Under the controller's domain. */
typedef struct AtaHostOps {
    bool sata;              /* all data goes through map(); queued commands */
    /*
     * Make v: memory of bytes [at, at + len) of the command's data. How many were added; fewer: the guest's list ends,
     * or v is full.
     */
    uint64_t (*map)(AtaDrive *a, AtaCommand *c, DmaVec *v, uint64_t at, uint64_t len);
    bool (*dma_ready)(AtaDrive *a); /* PATA: the bus master runs */
    void (*dma_short)(AtaDrive *a); /* PATA: the list ended before the data */
    void (*data_ready)(AtaDrive *a, bool interrupt);          /* PATA: DRQ */
    void (*finished)(AtaDrive *a, AtaCommand *c, bool interrupt); /* status and error are set; queued: c->error */
    bool (*packet)(AtaDrive *a, uint8_t cdb[16]);             /* SATA: the packet, which came with the command */
    void (*idle)(AtaDrive *a);                                /* SATA: a command is over, the next may start */
    uint8_t (*slot)(AtaDrive *a, const AtaCommand *c);        /* SATA: where the guest's command stands ... */
    bool (*fetch_again)(AtaDrive *a, uint8_t slot);           /* ... to be carried out anew after loading */
} AtaHostOps;

/* The bus of a channel (two units) or a port (one). */
typedef struct IdeBus {
    Bus bus;
    Device *controller;
    const AtaHostOps *ops;
    void *host;
    /* of the controller: not 0 while memory is accessed for it: its registers must not be reached then */
    unsigned *guard;
    unsigned units, index, number; /* index: of the controller's, number: of the machine's IDE buses */
    AtaDrive *drive[2];
    void (*changed)(struct IdeBus *b); /* a drive came or went; may be NULL */
} IdeBus;
extern const BusType ide_bus_type;
/* Drive `unit` of the machine's IDE bus `number` (of all controllers, in the order they were made), if it is a disk. */
const AtaDrive *ide_disk(unsigned number, unsigned unit);
void ide_bus_init(IdeBus *b, const char *name, Device *controller, const AtaHostOps *ops, void *host, unsigned *guard,
                  unsigned units, unsigned index);

typedef struct AtaNcqError { uint8_t tag, status, error, device; uint16_t count; uint64_t lba; } AtaNcqError;

struct AtaDrive {
    Device dev; /* ide-hd and ide-cd */
    /* Properties */
    DriveProps drive;
    char *model, *version;
    int32_t unit;
    uint64_t wwn;
    uint16_t rotation_rate;
    DriveGeometry geometry;
    int translation;       /* property: ATA_TRANS_* */
    /* Fixed */
    IdeBus *bus;
    BlockBackend *blk;
    DriveQueue queue;
    char serial[21];
    MmcDrive mmc;
    bool cd;
    /* State */
    AtaRegs r;
    AtaCommand cmd;
    uint8_t data[ATA_BUFFER];  /* of which data_len are valid, and buf_at have been handed out or taken in ... */
    uint32_t data_len, buf_at, buf_end; /* ... and, PATA, the data port ends at buf_end */
    uint8_t cdb[16];
    uint8_t multiple, dma_mode, apm, cur_heads, cur_secs;
    bool intrq, write_cache, look_ahead, smart, standby, ncq_halted;
    bool cd_raw;               /* READ CD: sectors are formed from cd_lba on */
    uint8_t cd_fields;
    uint16_t cd_limit;         /* PATA: bytes of a block */
    uint32_t cd_lba, cd_sector_bytes;
    AtaNcqError ncq_error;
    /* In flight */
    AtaCommand ncq[ATA_TAGS];
    uint32_t ncq_active;
    unsigned quiescing;
};

static inline AtaDrive *ata_drive(Device *d) { return (AtaDrive *)d; }
/* The task file's command is written. The host has filled a->r. */
void ata_command(AtaDrive *a, uint8_t opcode);
/* A queued command with this tag (SATA). */
void ata_queued(AtaDrive *a, uint8_t opcode, const AtaRegs *r, unsigned tag);
/* The bus master starts: a command that waits for it goes on. */
void ata_dma_start(AtaDrive *a);
/* The data port; size 2 or 4. */
uint32_t ata_data_read(AtaDrive *a, unsigned size);
void ata_data_write(AtaDrive *a, unsigned size, uint32_t value);
/* The bus master stops: what is on its way ends, what is held because of an error waits for another start. */
void ata_dma_stop(AtaDrive *a);
/*
 * Wait for what is in flight; its completions are not reported, and what is held is dropped. Gives up the domain while
 * it waits.
 */
void ata_quiesce(AtaDrive *a);
/* Wait until it has completed, with completions, or is held. */
void ata_drain(AtaDrive *a);
/* SRST, hard reset, DEVICE RESET: quiesces, puts the signature into the registers. */
void ata_reset(AtaDrive *a, bool power_on);
uint64_t ata_sectors(const AtaDrive *a);

/* --- between ata.c, ata-data.c, ata-disk.c, ata-cd.c --- */

enum { ROW_EXT = 1 };
typedef struct AtaRow {
    uint8_t opcode, flags;
    void (*run)(AtaDrive *a, AtaCommand *c);
} AtaRow; /* ended by run NULL */
extern const AtaRow ata_disk_rows[], ata_cd_rows[];

extern const DriveQueueOps ata_queue_ops;
void ata_cmd_diagnostic(AtaDrive *a, AtaCommand *c);
void ata_cmd_ok(AtaDrive *a, AtaCommand *c);
void ata_cmd_check_power(AtaDrive *a, AtaCommand *c);
void ata_cmd_set_features(AtaDrive *a, AtaCommand *c);
void ata_finish(AtaCommand *c, uint8_t error);            /* 0: well */
void ata_out_of_range(AtaCommand *c, BlkOp op);           /* it ends: there are no such sectors */
void ata_start(AtaCommand *c, AtaFlow flow, bool dma, uint64_t bytes); /* the data phase; c->offset is set */
void ata_start_stage(AtaCommand *c, AtaStage stage, BlkOp op);         /* without data */
/* true: it has ended already */
bool ata_go(AtaCommand *c, BlkOp op, uint64_t offset, uint64_t bytes, const struct iovec *iov, int n);
void ata_run(AtaCommand *c);                              /* as many steps as can be made now */
void ata_drop_vec(AtaCommand *c, uint64_t written);       /* its list of memory is no longer used */
bool ata_data_step(AtaCommand *c);                        /* true: another step can be made at once */
bool ata_data_over(AtaCommand *c);                        /* all of the data has moved; as ata_disk_over() */
bool ata_data_failed(AtaCommand *c);                      /* false */
void ata_write_block(AtaCommand *c);                      /* the buffer goes to the medium */
void ata_set_lba(AtaDrive *a, uint64_t lba, bool ext);
void ata_set_signature(AtaDrive *a);
/* The data phase is over; true: the command goes on with c->stage. */
bool ata_disk_over(AtaCommand *c);
bool ata_disk_ranges(AtaCommand *c);
bool ata_cd_over(AtaCommand *c);
void ata_cd_cdb(AtaDrive *a);          /* a->cdb is here */
uint32_t ata_cd_block(AtaDrive *a, uint32_t len); /* PATA: the next data block: its length; sets the registers */
void ata_identify_disk(const AtaDrive *a, uint8_t out[ATA_SECTOR]);
void ata_identify_cd(const AtaDrive *a, uint8_t out[ATA_SECTOR]);
void ata_identify_text(uint8_t *words, unsigned first, unsigned count, const char *text);
#endif
