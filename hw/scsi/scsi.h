/* SPDX-License-Identifier: MIT */
/* SCSI between host adapters and logical units: the bus, requests, sense, unit attentions, task management (SAM-5, SPC-4). */
#ifndef HW_SCSI_SCSI_H
#define HW_SCSI_SCSI_H

#include "block/backend.h"
#include "hw/core/device.h"

typedef struct ScsiBus ScsiBus;
typedef struct ScsiDevice ScsiDevice;
typedef struct ScsiRequest ScsiRequest;
typedef struct ScsiTask ScsiTask;

enum { SCSI_CDB_MAX = 32, SCSI_SENSE_MAX = 96, SCSI_TRANSFER_MAX = 16 << 20, SCSI_LUNS_MAX = 256 };
typedef enum ScsiDir { SCSI_NO_DATA, SCSI_FROM_DEVICE, SCSI_TO_DEVICE } ScsiDir;
enum { SCSI_GOOD = 0, SCSI_CHECK_CONDITION = 2, SCSI_BUSY = 8, SCSI_RESERVATION_CONFLICT = 0x18, SCSI_TASK_ABORTED = 0x40 };

/* Sense: key << 16 | ASC << 8 | ASCQ, as hw/storage/mmc.h has them. */
enum {
    SENSE_NONE = 0, SENSE_LUN_NOT_READY = 0x020402, SENSE_NO_MEDIUM = 0x023a00, SENSE_READ_ERROR = 0x031100, SENSE_WRITE_ERROR = 0x030c00,
    SENSE_TARGET_FAILURE = 0x044400, SENSE_PARAMETER_LENGTH = 0x051a00, SENSE_INVALID_OPCODE = 0x052000, SENSE_LBA_RANGE = 0x052100,
    SENSE_INVALID_FIELD = 0x052400, SENSE_LUN_NOT_SUPPORTED = 0x052500, SENSE_INVALID_PARAMETER = 0x052600, SENSE_INVALID_RELEASE = 0x052604,
    SENSE_SAVING_PARAMETERS = 0x053900, SENSE_REMOVAL_PREVENTED = 0x055302, SENSE_MEDIUM_CHANGED = 0x062800, SENSE_POWER_ON = 0x062900,
    SENSE_BUS_RESET = 0x062902, SENSE_DEVICE_RESET = 0x062903, SENSE_NEXUS_LOST = 0x062907, SENSE_MODE_CHANGED = 0x062a01,
    SENSE_CAPACITY_CHANGED = 0x062a09, SENSE_LUNS_CHANGED = 0x063f0e, SENSE_EJECT_REQUEST = 0x065a01, SENSE_WRITE_PROTECTED = 0x072700,
    SENSE_SPACE_FULL = 0x072707, SENSE_ABORTED = 0x0b0000, SENSE_MISCOMPARE = 0x0e1d00,
};

/*
 * What a host adapter is to its bus. All calls here and below are made and expected under the adapter's domain, which its logical units share.
 * complete: status, sense and done_bytes of r are set (r->dev may be gone afterwards); exactly once for each scsi_request_run(), possibly from inside
 * of it. The adapter frees r there or later. When r->cancelled, nobody waits for the result any more (but the memory of iov was in use until now).
 */
typedef struct ScsiHost {
    unsigned channels, targets, luns; /* addresses end below these */
    bool no_autosense;                /* sense stays with the logical unit until REQUEST SENSE fetches it */
    void (*complete)(ScsiRequest *r);
    void (*hotplug)(ScsiBus *b, ScsiDevice *d, bool added);        /* optional: at run time, d is there (still) */
    void (*changed)(ScsiBus *b, ScsiDevice *d, uint32_t sense);    /* optional: a unit attention has come up at d */
} ScsiHost;

struct ScsiBus {
    Bus bus;
    const ScsiHost *host;
    GPtrArray *devices;  /* of ScsiDevice, by channel, target, LUN */
    ScsiRequest *running;
    ScsiTask *tasks;
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
    bool cancelled, overrun; /* overrun: the buffer was too small for the CDB; nothing has happened */
    uint64_t done_bytes;
    /* for the logical unit */
    const struct iovec *iov;
    int iovcnt;
    uint64_t room;       /* bytes in iov */
    const void *command; /* its row in the unit's table */
    BlkRequest blk;
    void (*step)(ScsiRequest *r, int error); /* what follows blk */
    struct iovec *own_iov;
    uint8_t *buf;        /* g_free()d with the request */
    uint64_t buf_len, at, left;
    bool counted;        /* in `running` */
    ScsiRequest *next, **prev;
};

/* --- for adapters --- */

/* Once in start(); the name is made from the device's id. fini: in stop(); frees what is left of logical units' addresses. */
void scsi_bus_init(ScsiBus *b, const ScsiHost *host, Device *adapter);
void scsi_bus_fini(ScsiBus *b);
/* Requests that are running end first (pause, save, reset, stop). The domain is dropped meanwhile. */
void scsi_bus_settle(ScsiBus *b);
ScsiDevice *scsi_find(const ScsiBus *b, uint32_t channel, uint32_t target, uint32_t lun);
bool scsi_target_exists(const ScsiBus *b, uint32_t channel, uint32_t target);
/* NULL: no such target. cdb_len up to SCSI_CDB_MAX; what is missing is zero. */
ScsiRequest *scsi_request_new(ScsiBus *b, uint32_t channel, uint32_t target, uint32_t lun, const uint8_t *cdb, unsigned cdb_len, uint64_t tag, void *hba);
/* iov (which stays the adapter's, and stays) has at least r->xfer bytes, else the request ends with r->overrun. */
void scsi_request_run(ScsiRequest *r, const struct iovec *iov, int iovcnt);
void scsi_request_cancel(ScsiRequest *r);
void scsi_request_free(ScsiRequest *r); /* not while it runs */

/* Task management. done is called when no request that it ends is running any more; result: as below. */
typedef enum ScsiTmf { SCSI_ABORT_TASK, SCSI_ABORT_TASK_SET, SCSI_CLEAR_TASK_SET, SCSI_CLEAR_ACA, SCSI_LUN_RESET, SCSI_TARGET_RESET, SCSI_NEXUS_RESET,
                       SCSI_BUS_RESET, SCSI_QUERY_TASK, SCSI_QUERY_TASK_SET } ScsiTmf;
typedef enum ScsiTmfResult { SCSI_TMF_COMPLETE, SCSI_TMF_SUCCEEDED /* query: there is one */, SCSI_TMF_BAD_TARGET, SCSI_TMF_BAD_LUN } ScsiTmfResult;
typedef void ScsiTmfDone(ScsiBus *b, void *opaque, ScsiTmfResult result);
void scsi_no_answer(ScsiBus *b, void *opaque, ScsiTmfResult result); /* for those who need none */
void scsi_task_management(ScsiBus *b, ScsiTmf what, uint32_t channel, uint32_t target, uint32_t lun, uint64_t tag, ScsiTmfDone *done, void *opaque);

/* --- for logical units --- */

/* DeviceType.class_data of a logical unit; the type says .bus = "scsi", .base = &scsi_device_type, its structure begins with a ScsiDevice. */
typedef struct ScsiDeviceInfo {
    void (*parse)(ScsiRequest *r);  /* sets dir, xfer, command; may set status to what it shall fail with */
    void (*run)(ScsiRequest *r);    /* ends in scsi_done() or one that calls it */
    void (*reset)(ScsiDevice *d);   /* LUN reset: reservations, mode pages; unit attention is the core's */
    BlockBackend *(*backend)(ScsiDevice *d); /* to drain; may return NULL */
} ScsiDeviceInfo;

enum { SCSI_ATTENTIONS = 4 };
struct ScsiDevice {
    Device dev;
    ScsiBus *bus;
    uint32_t channel;
    int32_t id, lun;     /* properties; -1: the next free one */
    bool ready;          /* from scsi_announce() to scsi_leave(): requests may reach it */
    uint32_t attention[SCSI_ATTENTIONS]; /* sense of unit attentions to come; 0: none */
    uint32_t pending;    /* sense of the last command, where the adapter has no autosense */
};
extern const DeviceType scsi_device_type;

/* At the end of a unit's start(), and first in its stop(): adapter and other units learn of it; requests that run end before leave returns. */
void scsi_announce(ScsiDevice *d);
void scsi_leave(ScsiDevice *d);
void scsi_done(ScsiRequest *r, uint8_t status);
void scsi_fail(ScsiRequest *r, uint32_t sense);
void scsi_fail_info(ScsiRequest *r, uint32_t sense, uint64_t information);
/* Give `len` bytes, cut to what the initiator takes, and GOOD. */
void scsi_reply(ScsiRequest *r, const void *data, size_t len);
/* Parameters from the initiator: up to `len` bytes, returns how many. */
size_t scsi_give(const ScsiRequest *r, uint64_t skip, const void *data, size_t len); /* ... to it; the request goes on */
size_t scsi_take(const ScsiRequest *r, uint64_t skip, void *data, size_t len);
/* Send r->blk on its way; step() goes on under the domain. Data: `bytes` of r->iov from `skip`; bytes 0: none, or what blk.iov says. */
void scsi_submit(ScsiRequest *r, BlockBackend *b, BlkOp op, uint64_t offset, uint64_t bytes, uint64_t skip, unsigned flags,
                 void (*step)(ScsiRequest *r, int error));
void scsi_submit_buf(ScsiRequest *r, BlockBackend *b, BlkOp op, uint64_t offset, void *buf, uint64_t bytes, unsigned flags,
                     void (*step)(ScsiRequest *r, int error));
/* Fixed-format sense data; out has 18 bytes. */
void scsi_sense_fixed(uint32_t sense, uint8_t *out);
void scsi_attention(ScsiDevice *d, uint32_t sense);
uint32_t scsi_take_attention(ScsiDevice *d);
/* REPORT LUNS and REQUEST SENSE are the same for all: false when r is neither. */
bool scsi_common_command(ScsiRequest *r);
#endif
