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

enum {
    NVME_QUEUES = 65 /* the admin pair and 64 more */,
    NVME_ENTRIES_MAX = 2048,
    NVME_SQE = 64,
    NVME_CQE = 16,
    NVME_MDTS = 7,
    NVME_AERS = 256,
    NVME_ERRORS = 64,
    NVME_NAMESPACES = 256,
    NVME_CONTROLLERS = 64
};
enum { NVME_MSSRL = 128, NVME_MCL = 128, NVME_MSRC = 127 };

typedef struct NvmeSq {
    bool exists;
    uint16_t id, cqid, size, head, tail;
    /* shadow doorbell and event index, 0: none. The admin queue uses neither: there, where the two buffers begin */
    uint64_t addr, shadow, event;
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

typedef struct Nvme Nvme;
typedef struct NvmeSubsys NvmeSubsys;

/* A namespace: of a device nvme-ns, or the controller's own (its drive=). */
typedef struct NvmeNs {
    NvmeSubsys *subsys;    /* NULL: not there */
    Device *dev;           /* whose properties these are: */
    DriveProps drive;
    char *uuid;
    uint64_t eui64;
    uint32_t nsid;
    BlockBackend *blk;
    DriveQueue queue;
    uint32_t lbaf;         /* 0: 512 bytes, 1: 4096 */
    uint16_t mssrl;        /* limits of Copy: blocks of one source range, */
    uint32_t mcl;          /* of all of them together, */
    uint8_t msrc;          /* source ranges - 1 */
    bool shared;           /* several controllers at a time may be attached */
    bool detached;         /* no controller is, to begin with */
} NvmeNs;

/*
 * NVM subsystem: namespaces and the controllers by which the host reaches them: a device nvme-subsys, or what a
 * controller without one has.
 */
struct NvmeSubsys {
    Device *dev;           /* NULL: of one controller */
    Bus bus;
    char *nqn;
    NvmeNs *ns[NVME_NAMESPACES]; /* by number, from 1 */
    Nvme *controller[NVME_CONTROLLERS];
};

struct Nvme {
    PciDevice pci;
    Bus bus;               /* of nvme-ns */
    bool bus_made;
    NvmeNs own;
    Device *subsys_dev;    /* property */
    NvmeSubsys *subsys, alone; /* the device's, or alone; NULL: it has not joined one */
    uint16_t cntlid;       /* in its subsystem */
    uint32_t attached[NVME_NAMESPACES / 32];
    char *iothread_id;
    IoThread *iothread;    /* serves the I/O queues, or NULL */
    uint32_t max_ioqpairs, mdts;
    GByteArray *unposted;  /* completions for which there was no room, while the device is saved */
    MemRegion *bar, *registers; /* BAR 0, and what it begins with */
    uint64_t asq, acq;
    uint32_t cc, csts, aqa, intms;
    NvmeSq sq[NVME_QUEUES];
    NvmeCq cq[NVME_QUEUES];
    bool write_cache, stopping;
    uint32_t feature[16];  /* those that are only stored */
    uint64_t timestamp_base;
    int64_t timestamp_at;
    uint16_t aer_cid[NVME_AERS];
    unsigned aers;
    uint32_t changed[NVME_NAMESPACES / 32]; /* namespaces, since their log was read */
    bool changes_new, changes_told; /* to be told by an event; told, and the log not read since */
    bool intel, msix_exclusive_bar; /* properties, as those that follow */
    uint16_t msix_qsize;
    uint8_t aerl, critical_warning, vsl;
    uint32_t num_queues, aer_max_queued;
    uint32_t cmb_mb, cmbsts;
    bool legacy_cmb;
    uint64_t cmbmsc;
    MemRegion *cmb, *cmb_alias;
    char *pmrdev;          /* property */
    struct MemoryBackend *pmr_backend;
    MemRegion *pmr, *pmr_alias, *pmr_bar;
    uint32_t pmrctl;
    bool pmr_invalid;      /* the base does not do */
    uint64_t pmrmsc;
    uint64_t error_count;
    NvmeErrorEntry error[NVME_ERRORS];
    /* property: doorbells signal file descriptors where the accelerator can and shadow doorbells hold the values */
    bool ioeventfd;
    /* by place: submission queue id * 2, completion queue id * 2 + 1; NULL: writes arrive as such */
    Doorbell *door[2 * NVME_QUEUES];
    uint32_t notifies, signals;      /* for `info`: doorbells that were writes, and that came by file descriptor */
    uint64_t read_units, written_units, reads, writes; /* for SMART, since the machine was made */
};

typedef struct NvmeRequest {
    DriveRequest req;
    Nvme *n;
    NvmeNs *ns;            /* of an I/O command to one */
    uint16_t sq, cq, cid, status;
    uint32_t result;
    uint8_t cmd[NVME_SQE];
    DmaVec data;
    uint8_t *compare;      /* what was read for Compare, or is copied */
    struct iovec compare_iov;
    unsigned ranges;       /* DSM: discards on their way */
    uint8_t *sources;      /* Copy: the list of its ranges */
    uint64_t copied;       /* bytes that were read for it */
    struct NvmeRequest *next;
} NvmeRequest;

static inline uint32_t nvme_dword(const NvmeRequest *r, unsigned i) { return load_le32(r->cmd + 4 * i); }

/* nvme.c; under the device's domain */
void nvme_complete(NvmeRequest *r, uint16_t status);       /* frees r */
void nvme_sq_run(Nvme *n, NvmeSq *q);
void nvme_doors_update(Nvme *n);                           /* queues or their shadow doorbells have come or gone */
/* the queues of that number have shadow doorbells if there are buffers for them */
void nvme_shadow_queue(Nvme *n, unsigned id);
static inline bool nvme_is_shadowed(const NvmeSq *q) { return q->id && q->shadow; }
void nvme_sq_clear(Nvme *n, unsigned id);
void nvme_disable(Nvme *n);                                /* as by CC.EN */
void nvme_wait_for_room(NvmeCq *q, NvmeRequest *r);
void nvme_drop_waiting(NvmeCq *q);
void nvme_settle(Nvme *n);                                 /* no request to a drive is on its way */
extern const MemOps nvme_bar_ops;
void nvme_settle_queues(Nvme *n);                          /* what the host rang for is started */
/* nvme-dma.c: the command's data pointer as a list of `len` bytes; a status. */
uint16_t nvme_map(NvmeRequest *r, uint64_t len, bool to_memory);
uint16_t nvme_give(NvmeRequest *r, const void *buf, size_t len);  /* a controller's structure to the host */
uint16_t nvme_take(NvmeRequest *r, void *buf, size_t len);
/* nvme-admin.c, nvme-io.c: start the command; it ends in nvme_complete() */
void nvme_admin(NvmeRequest *r);
void nvme_io(NvmeRequest *r);
extern const DriveQueueOps nvme_queue_ops;
void nvme_drop_held(Nvme *n);                              /* its commands, at all namespaces */
/*
 * The same request to several namespaces; done() when all have ended, with an error if there was one. r is the
 * caller's.
 */
typedef void NvmeJoinFn(Nvme *n, NvmeRequest *r, int error);
void nvme_join(Nvme *n, NvmeNs *const *ns, unsigned count, BlkOp op, NvmeRequest *r, NvmeJoinFn *done);
unsigned nvme_attached(const Nvme *n, NvmeNs **out);        /* up to NVME_NAMESPACES of them */
/* nvme-ns.c */
extern const DeviceType nvme_type, nvme_ns_type;
extern const BusType nvme_bus_type;
bool nvme_bus_plug(Bus *bus, Device *d, Error **errp);
extern const StateField nvme_ns_state[];
NvmeNs *nvme_ns(const Nvme *n, uint32_t nsid);             /* NULL: none is attached under this number */
NvmeNs *nvme_ns_allocated(const Nvme *n, uint32_t nsid);
NvmeNs *nvme_ns_of_device(Device *d);
/* iothread: that its requests end in, or NULL */
bool nvme_ns_start(NvmeNs *ns, NvmeSubsys *s, Device *d, uint32_t nsid, IoThread *iothread, Error **errp);
void nvme_ns_stop(NvmeNs *ns);
bool nvme_ns_loaded(NvmeNs *ns, Error **errp);
void nvme_ns_changed(Nvme *n, uint32_t nsid);
/* by an event, when there is one to tell and one to take it */
void nvme_tell_changes(Nvme *n);
void nvme_changed_log(Nvme *n, uint8_t *page, bool keep);
/* nvme-subsys.c */
extern const DeviceType nvme_subsys_type;
NvmeSubsys *nvme_subsys_of_device(Device *d);              /* NULL: d is none */
bool nvme_subsys_join(Nvme *n, Error **errp);              /* also gives it its lock domain */
void nvme_subsys_leave(Nvme *n);
const char *nvme_subsys_name(const Nvme *n);
Nvme *nvme_controller(const NvmeSubsys *s, unsigned id);   /* NULL: there is none of that number */
bool nvme_is_attached(const Nvme *n, uint32_t nsid);       /* 1 .. NVME_NAMESPACES */
void nvme_attach(Nvme *n, uint32_t nsid, bool on);
/* told to all attached controllers but that one (or NULL) */
void nvme_ns_changed_everywhere(const NvmeNs *ns, const Nvme *but);
void nvme_attachment(NvmeRequest *r);
/* nvme-identify.c */
void nvme_identify(NvmeRequest *r);
void nvme_put_text(uint8_t *p, size_t size, const char *text);
/* nvme-cmb.c */
bool nvme_cmb_start(Nvme *n, Error **errp);
void nvme_cmb_update(Nvme *n);
void nvme_cmb_write(Nvme *n, uint64_t value);
uint32_t nvme_cmb_location(const Nvme *n);
uint32_t nvme_cmb_size(const Nvme *n);
bool nvme_pmr_start(Nvme *n, Error **errp);
void nvme_pmr_update(Nvme *n);
uint32_t nvme_pmr_read(const Nvme *n, unsigned at);
void nvme_pmr_write(Nvme *n, unsigned at, uint32_t value);
void nvme_memory_stop(Nvme *n);
static inline unsigned nvme_lba_bits(const NvmeNs *ns) { return ns->lbaf ? 12 : 9; }
static inline uint64_t nvme_blocks(const NvmeNs *ns) { return blk_size(ns->blk) >> nvme_lba_bits(ns); }
#endif
