/* SPDX-License-Identifier: MIT */
/*
 * SCSI between host adapters and logical units: the bus, requests, sense, unit attentions, task management (SAM-5,
 * SPC-4).
 */
#ifndef HW_SCSI_SCSI_H
#define HW_SCSI_SCSI_H

#include "base/iothread.h"
#include "hw/core/dma.h"
#include "hw/storage/drive.h"
#include "hw/storage/spc.h"

typedef struct ScsiBus ScsiBus;
typedef struct ScsiDevice ScsiDevice;
typedef struct ScsiRequest ScsiRequest;
typedef struct ScsiTask ScsiTask;

enum { SCSI_CDB_MAX = 32, SCSI_SENSE_MAX = 96, SCSI_TRANSFER_MAX = 16 << 20, SCSI_LUNS_MAX = 256 };
typedef enum ScsiDir { SCSI_NO_DATA, SCSI_FROM_DEVICE, SCSI_TO_DEVICE } ScsiDir;
enum {
    SCSI_GOOD = 0,
    SCSI_CHECK_CONDITION = 2,
    SCSI_BUSY = 8,
    SCSI_RESERVATION_CONFLICT = 0x18,
    SCSI_TASK_ABORTED = 0x40
};

/*
 * What a host adapter is to its bus. All calls here and below are made and expected under the adapter's domain, which
 * its logical units share. complete: status, sense and done_bytes of r are set (r->dev may be gone afterwards); exactly
 * once for each scsi_request_run(), possibly from inside of it. The adapter frees r there or later. When r->cancelled,
 * nobody waits for the result any more (but the memory of iov was in use until now). A request that failed may be held
 * until the machine goes on (hw/storage/drive.h). save puts into bytes what restart needs to make and run it again in
 * another process, with memory of its own; they are untrusted. drop: instead of complete, when adapter or machine are
 * reset: the guest must not see it.
 */
typedef struct ScsiHost {
    unsigned channels, targets, luns; /* addresses end below these */
    unsigned initiator;               /* the adapter's own target address, which no unit can have; 0: it has none */
    bool no_autosense;                /* sense stays with the logical unit until REQUEST SENSE fetches it */
    void (*complete)(ScsiRequest *r);
    void (*drop)(ScsiRequest *r);
    void (*save)(const ScsiRequest *r, GByteArray *out);
    bool (*restart)(ScsiBus *b, const uint8_t *bytes, size_t len);
    void (*hotplug)(ScsiBus *b, ScsiDevice *d, bool added);        /* optional: at run time, d is there (still) */
    void (*stopping)(ScsiBus *b);     /* optional: the machine stops: what the guest rang for is to be started now */
    void (*changed)(ScsiBus *b, ScsiDevice *d, uint32_t sense);    /* optional: a unit attention has come up at d */
} ScsiHost;

struct ScsiBus {
    Bus bus;
    const ScsiHost *host;
    GPtrArray *devices;  /* of ScsiDevice, by channel, target, LUN */
    ScsiRequest *running;
    ScsiTask *tasks;
    bool durable;        /* set behind scsi_bus_init(): guests flush nothing here: units have no volatile cache */
    bool dropping;       /* requests that end are dropped */
    uint8_t restarting;  /* a held request is made again: its stage */
    IoThread *iothread;  /* the adapter's, or NULL: requests end there */
};

/* A request: made by the adapter, which owns it, and reads the fields of the first two groups. */
struct ScsiRequest {
    ScsiBus *bus;
    ScsiDevice *dev;     /* NULL: the target has no such LUN */
    void *hba;           /* the adapter's */
    uint64_t tag;
    uint32_t channel, target, lun;
    uint8_t cdb[SCSI_CDB_MAX];
    ScsiDir dir;         /* what the CDB says */
    uint64_t xfer;       /* bytes: exact to the device, at most from it */
    /* result */
    uint8_t status, sense[SCSI_SENSE_MAX];
    uint8_t sense_len;
    bool cancelled, reset; /* reset: it was cancelled by one, so that the guest may try again */
    bool overrun;          /* the buffer was too small for the CDB; nothing has happened */
    uint64_t done_bytes;
    DmaVec data;         /* scsi_request_map() */
    bool mapped;
    /* for the logical unit */
    const struct iovec *iov;
    int iovcnt;
    uint64_t room;       /* bytes in iov */
    const void *command; /* its row in the unit's table */
    DriveRequest req;
    void (*step)(ScsiRequest *r, int error); /* what follows req */
    /* where a command of several steps stands, as far as it can't begin again; kept when it is held */
    uint8_t stage;
    bool again;          /* it was held, in another process perhaps, and begins again in `stage` */
    struct iovec *own_iov;
    uint8_t *buf;        /* g_free()d with the request */
    uint64_t buf_len, at, left;
    bool counted;        /* in `running` */
    ScsiRequest *next, **prev;
};

/* --- for adapters --- */

/*
 * Once in start(); the name is made from the device's id. fini: in stop(); frees what is left of logical units'
 * addresses.
 */
void scsi_bus_init(ScsiBus *b, const ScsiHost *host, Device *adapter);
void scsi_bus_fini(ScsiBus *b);
/* Requests that are on their way end first, or are held (pause, save). The domain is dropped meanwhile. */
void scsi_bus_settle(ScsiBus *b);
/* ... and those that are held are dropped (reset): none runs any more. */
void scsi_bus_drop(ScsiBus *b);
ScsiDevice *scsi_find(const ScsiBus *b, uint32_t channel, uint32_t target, uint32_t lun);
bool scsi_target_exists(const ScsiBus *b, uint32_t channel, uint32_t target);
/* NULL: no such target. cdb_len up to SCSI_CDB_MAX; what is missing is zero. */
ScsiRequest *scsi_request_new(ScsiBus *b, uint32_t channel, uint32_t target, uint32_t lun, const uint8_t *cdb,
                              unsigned cdb_len, uint64_t tag, void *hba);
/* iov (which stays the adapter's, and stays) has at least r->xfer bytes, else the request ends with r->overrun. */
void scsi_request_run(ScsiRequest *r, const struct iovec *iov, int iovcnt);
/*
 * Or with guest memory, which the request keeps: add pieces with dma_vec_add(), then go. It is let go of before
 * complete() or drop(), as far as it was written, or by scsi_request_free().
 */
DmaVec *scsi_request_map(ScsiRequest *r, AddressSpace *as, MemAttrs attrs);
void scsi_request_go(ScsiRequest *r);
void scsi_request_cancel(ScsiRequest *r);
void scsi_request_free(ScsiRequest *r); /* not while it runs */

/* Task management. done is called when no request that it ends is running any more; result: as below. */
typedef enum ScsiTmf {
    SCSI_ABORT_TASK,
    SCSI_ABORT_TASK_SET,
    SCSI_CLEAR_TASK_SET,
    SCSI_CLEAR_ACA,
    SCSI_LUN_RESET,
    SCSI_TARGET_RESET,
    SCSI_NEXUS_RESET,
    SCSI_BUS_RESET,
    SCSI_QUERY_TASK,
    SCSI_QUERY_TASK_SET
} ScsiTmf;
typedef enum ScsiTmfResult {
    SCSI_TMF_COMPLETE,
    SCSI_TMF_SUCCEEDED /* query: there is one */,
    SCSI_TMF_BAD_TARGET,
    SCSI_TMF_BAD_LUN
} ScsiTmfResult;
typedef void ScsiTmfDone(ScsiBus *b, void *opaque, ScsiTmfResult result);
void scsi_no_answer(ScsiBus *b, void *opaque, ScsiTmfResult result); /* for those who need none */
void scsi_task_management(ScsiBus *b, ScsiTmf what, uint32_t channel, uint32_t target, uint32_t lun, uint64_t tag,
                          ScsiTmfDone *done, void *opaque);

/* --- for logical units --- */

/*
 * DeviceType.class_data of a logical unit; the type says .bus = "scsi", .base = &scsi_device_type, its structure begins
 * with a ScsiDevice. The base opens the drive, and its queue holds, saves and restarts what failed.
 */
typedef struct ScsiDeviceInfo {
    void (*parse)(ScsiRequest *r);  /* sets dir, xfer, command */
    void (*run)(ScsiRequest *r);    /* ends in scsi_done() or one that calls it */
    void (*reset)(ScsiDevice *d);   /* LUN reset: reservations, mode pages; unit attention is the core's */
    bool (*may_be_empty)(const ScsiDevice *d); /* NULL: it needs a medium */
} ScsiDeviceInfo;

enum { SCSI_ATTENTIONS = 4 };
struct ScsiDevice {
    Device dev;
    ScsiBus *bus;
    DriveProps drive;
    BlockBackend *blk;
    DriveQueue queue;
    uint32_t channel;
    int32_t id, lun;     /* properties; -1: the next free one */
    bool ready;          /* from scsi_announce() to scsi_leave(): requests may reach it */
    uint32_t attention[SCSI_ATTENTIONS]; /* sense of unit attentions to come; 0: none */
    uint32_t pending;    /* sense of the last command, where the adapter has no autosense */
};
extern const DeviceType scsi_device_type;

/* Properties by which emulated units are known; QEMU's words, since guests name disks by them (/dev/disk/by-id). */
typedef struct ScsiNames {
    char *vendor, *product, *ver, *device_id;
    uint64_t wwn, port_wwn;
    uint16_t port_index;
} ScsiNames;
#define SCSI_NAME_PROPS(T, f, product_) \
    DEFINE_PROP_STRING("vendor", T, f.vendor, "QEMU", "vendor of INQUIRY, 8 characters"), \
    DEFINE_PROP_STRING("product", T, f.product, product_, "product of INQUIRY, 16 characters"), \
    DEFINE_PROP_STRING("ver", T, f.ver, "2.5+", "revision of INQUIRY, 4 characters"), \
    DEFINE_PROP_STRING("device_id", T, f.device_id, NULL, \
        "name in page 83h; none: the serial number, or the drive's name"), \
    DEFINE_PROP_U64("wwn", T, f.wwn, 0, "world-wide name of the unit"), \
    DEFINE_PROP_U64("port_wwn", T, f.port_wwn, 0, "world-wide name of the port"), \
    DEFINE_PROP_U16("port_index", T, f.port_index, 0, "relative number of the port")
const char *scsi_unit_name(const ScsiDevice *d, const ScsiNames *n); /* for page 83h; NULL: none */

/*
 * At the end of a unit's start(): adapter and other units learn of it. Requests end in the base's stop(), which comes
 * after the unit's own.
 */
void scsi_announce(ScsiDevice *d);
/* First in the stop() of a unit that has something to free. */
void scsi_leave(ScsiDevice *d);
const char *scsi_serial(const ScsiDevice *d); /* NULL: none was given */
void scsi_done(ScsiRequest *r, uint8_t status);
void scsi_fail(ScsiRequest *r, uint32_t sense);
void scsi_fail_info(ScsiRequest *r, uint32_t sense, uint64_t information);
void scsi_fail_sense(ScsiRequest *r, const uint8_t *data, size_t len); /* sense data that came from elsewhere */
void scsi_fail_io(ScsiRequest *r, int error, uint32_t block);          /* r->req has failed; block: bytes of a sector */
/* Give `len` bytes, cut to what the initiator takes, and GOOD. */
void scsi_reply(ScsiRequest *r, const void *data, size_t len);
/* Parameters from the initiator: up to `len` bytes, returns how many. */
/* ... to it; the request goes on */
size_t scsi_give(const ScsiRequest *r, uint64_t skip, const void *data, size_t len);
size_t scsi_take(const ScsiRequest *r, uint64_t skip, void *data, size_t len);
/* Send r->req on its way; step() goes on under the domain. Data: `bytes` of r->iov from `skip`; bytes 0: none. */
void scsi_submit(ScsiRequest *r, BlkOp op, uint64_t offset, uint64_t bytes, uint64_t skip, unsigned flags,
                 void (*step)(ScsiRequest *r, int error));
void scsi_submit_buf(ScsiRequest *r, BlkOp op, uint64_t offset, void *buf, uint64_t bytes, unsigned flags,
                     void (*step)(ScsiRequest *r, int error));
/* What stands at [offset, offset + bytes); out stays until step(). */
void scsi_submit_status(ScsiRequest *r, uint64_t offset, uint64_t bytes, BlockStatus *out,
                        void (*step)(ScsiRequest *r, int error));
/* A command for the host's unit behind the drive; r->iov's first r->xfer bytes are its data. s stays until step(). */
void scsi_submit_scsi(ScsiRequest *r, BlockScsi *s, void (*step)(ScsiRequest *r, int error));
/* For BlkDeviceOps: unit attentions of another medium, another size. opaque: the ScsiDevice. */
void scsi_medium_changed(void *unit, bool present);
void scsi_resized(void *unit);
void scsi_attention(ScsiDevice *d, uint32_t sense);
uint32_t scsi_take_attention(ScsiDevice *d);
/* REPORT LUNS and REQUEST SENSE are the same for all: false when r is neither. */
bool scsi_common_command(ScsiRequest *r);
#endif
