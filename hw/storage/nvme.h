/* SPDX-License-Identifier: MIT */
/* Private to the NVMe controller: its state, and what its files offer each other. Source: NVM Express 1.4. */
#ifndef HW_STORAGE_NVME_H
#define HW_STORAGE_NVME_H

#include "base/bits.h"
#include "base/iothread.h"
#include "hw/core/dma.h"
#include "hw/core/doorbell.h"
#include "hw/pci/pci.h"
#include "hw/storage/drive.h"
#include "hw/storage/nvme-regs.h"

enum { NVME_QUEUES = 65 /* the admin pair and 64 more */, NVME_ENTRIES_MAX = 2048, NVME_SQE = 64, NVME_CQE = 16, NVME_MDTS = 7, NVME_AERS = 4,
       NVME_ERRORS = 64 };

typedef struct NvmeSq {
    bool exists;
    uint16_t id, cqid, size, head, tail;
    uint64_t addr, shadow, event; /* shadow doorbell and event index, 0: none */
    DmaWindow window;
    IoCall served;          /* by the device's I/O thread */
} NvmeSq;
typedef struct NvmeCq {
    bool exists, interrupts, phase, raised;
    uint16_t id, vector, size, head, tail;
    uint64_t addr, shadow, event;
    DmaWindow window;
    struct NvmeRequest *waiting, **last; /* completions for which there was no room */
} NvmeCq;

typedef struct NvmeErrorEntry { uint64_t count, lba; uint16_t sq, cid, status, location; uint32_t ns; } NvmeErrorEntry;

typedef struct Nvme {
    PciDevice pci;
    DriveProps drive;
    char *iothread_id;
    IoThread *iothread;    /* serves the I/O queues, or NULL */
    uint32_t max_ioqpairs, mdts;
    BlockBackend *blk;
    DriveQueue queue;
    GByteArray *unposted;  /* completions for which there was no room, while the device is saved */
    MemRegion *bar;
    uint64_t asq, acq;
    uint32_t cc, csts, aqa, intms;
    NvmeSq sq[NVME_QUEUES];
    NvmeCq cq[NVME_QUEUES];
    unsigned lbaf;         /* 0: 512 bytes, 1: 4096 */
    bool write_cache, stopping;
    uint32_t feature[16];  /* those that are only stored */
    uint64_t timestamp_base;
    int64_t timestamp_at;
    uint16_t aer_cid[NVME_AERS];
    unsigned aers;
    uint64_t error_count;
    NvmeErrorEntry error[NVME_ERRORS];
    bool ioeventfd;        /* property: doorbells signal file descriptors where the accelerator can and shadow doorbells hold the values */
    Doorbell *door[2 * NVME_QUEUES]; /* by place: submission queue id * 2, completion queue id * 2 + 1; NULL: writes arrive as such */
    uint32_t notifies, signals;      /* for `info`: doorbells that were writes, and that came by file descriptor */
    uint64_t read_units, written_units, reads, writes; /* for SMART, since the machine was made */
} Nvme;

typedef struct NvmeRequest {
    DriveRequest req;
    Nvme *n;
    uint16_t sq, cq, cid, status;
    uint32_t result;
    uint8_t cmd[NVME_SQE];
    DmaVec data;
    uint8_t *compare;      /* what was read for Compare */
    struct iovec compare_iov;
    unsigned ranges;       /* DSM: discards on their way */
    struct NvmeRequest *next;
} NvmeRequest;

static inline uint32_t nvme_dword(const NvmeRequest *r, unsigned i) { return load_le32(r->cmd + 4 * i); }

/* nvme.c; under the device's domain */
void nvme_complete(NvmeRequest *r, uint16_t status);       /* frees r */
void nvme_sq_run(Nvme *n, NvmeSq *q);
void nvme_doors_update(Nvme *n);                           /* queues or their shadow doorbells have come or gone */
void nvme_sq_clear(Nvme *n, unsigned id);
void nvme_settle_queues(Nvme *n);                          /* what the host rang for is started */
/* nvme-dma.c: the command's data pointer as a list of `len` bytes; a status. */
uint16_t nvme_map(NvmeRequest *r, uint64_t len, bool to_memory);
uint16_t nvme_give(NvmeRequest *r, const void *buf, size_t len);  /* a controller's structure to the host */
uint16_t nvme_take(NvmeRequest *r, void *buf, size_t len);
/* nvme-admin.c, nvme-io.c: start the command; it ends in nvme_complete() */
void nvme_admin(NvmeRequest *r);
void nvme_io(NvmeRequest *r);
extern const DriveQueueOps nvme_queue_ops;
static inline unsigned nvme_lba_bits(const Nvme *n) { return n->lbaf ? 12 : 9; }
static inline uint64_t nvme_blocks(const Nvme *n) { return blk_size(n->blk) >> nvme_lba_bits(n); }
#endif
