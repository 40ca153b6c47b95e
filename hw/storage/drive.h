/* SPDX-License-Identifier: MIT */
/*
 * What disk controllers have in common: the drive property, sector sizes, requests that survive errors, pauses and
 * saving.
 */
#ifndef HW_STORAGE_DRIVE_H
#define HW_STORAGE_DRIVE_H

#include "base/bits.h"
#include "block/backend.h"
#include "hw/core/device.h"

/* Properties of every disk: put DRIVE_PROPS(Type, field) into the table. */
typedef struct DriveProps {
    char *drive, *serial;
    uint64_t logical_block_size, physical_block_size;
    uint64_t min_io_size, opt_io_size;  /* 0: not said */
    /* DRIVE_DISCARD_AUTO: as the device has it; 0: it knows no discards, where it can say so */
    uint64_t discard_granularity;
    int32_t bootindex;
    int rerror, werror;      /* what -device says over -drive: see drive_on_errors */
    int account_failed, account_invalid; /* the same: on, off, auto */
    int backend_defaults;
    bool share_rw, write_cache;
} DriveProps;
extern const char *const drive_on_errors[]; /* "auto": as -drive says; report, ignore, enospc, stop */
extern const char *const drive_on_off_auto[];
enum { DRIVE_ON, DRIVE_OFF, DRIVE_AUTO };
#define DRIVE_DISCARD_AUTO UINT32_MAX
#define DRIVE_PROPS(T, f) \
    DEFINE_PROP_STRING("drive", T, f.drive, NULL, "id of a -drive if=none, or node-name of a -blockdev"), \
    DEFINE_PROP_STRING("serial", T, f.serial, NULL, "serial number that the guest sees"), \
    PROP_(PROP_SIZE, "logical_block_size", T, f.logical_block_size, 512, "bytes of a sector", .min = 512, \
        .max = 32 * KiB), \
    PROP_(PROP_SIZE, "physical_block_size", T, f.physical_block_size, 512, "bytes of a sector on the medium", \
        .min = 512, .max = 2 * MiB), \
    DEFINE_PROP_SIZE("min_io_size", T, f.min_io_size, 0, \
        "granularity of transfers, where the guest can be told; 0: not said"), \
    DEFINE_PROP_SIZE("opt_io_size", T, f.opt_io_size, 0, "best size of transfers, the same"), \
    DEFINE_PROP_SIZE("discard_granularity", T, f.discard_granularity, DRIVE_DISCARD_AUTO, \
        "bytes that a discard frees at least, the same"), \
    DEFINE_PROP_ENUM("backend_defaults", T, f.backend_defaults, DRIVE_AUTO, drive_on_off_auto, \
        "taken for compatibility: sizes are those given"), \
    DEFINE_PROP_ENUM("account-failed", T, f.account_failed, DRIVE_AUTO, drive_on_off_auto, \
        "requests that failed count in times; auto: as -drive says"), \
    DEFINE_PROP_ENUM("account-invalid", T, f.account_invalid, DRIVE_AUTO, drive_on_off_auto, \
        "so do those that make no sense"), \
    { .name = "bootindex", .kind = PROP_I32, .offset = offsetof(T, f.bootindex), .dflt = -1, \
        .help = "place in the firmware's boot order" }, \
    DEFINE_PROP_ENUM("rerror", T, f.rerror, 0, drive_on_errors, "what a failed read leads to"), \
    DEFINE_PROP_ENUM("werror", T, f.werror, 0, drive_on_errors, "what a failed write leads to"), \
    DEFINE_PROP_BOOL("share-rw", T, f.share_rw, false, "others may write, too"), \
    DEFINE_PROP_BOOL("write-cache", T, f.write_cache, true, "the disk has a volatile write cache")

/*
 * The drive named by the property, attached to d. removable: the drive may be without a medium, and without the
 * property the device gets an empty one of its own; follow with blk_set_device_ops(). In stop(): blk_detach().
 */
bool drive_open(Device *d, const DriveProps *p, bool removable, BlockBackend **out, Error **errp);
/* The serial number: of the property, of -drive, or made from the device's name. */
const char *drive_serial(const Device *d, const DriveProps *p, const BlockBackend *b);

/*
 * Cylinders, heads and sectors of disks whose guests may ask: as given, or made from the size. check: all or none are
 * given, and not too many.
 */
typedef struct DriveGeometry { uint32_t cyls, heads, secs; } DriveGeometry;
#define DRIVE_GEOMETRY_PROPS(T, f) \
    DEFINE_PROP_U32("cyls", T, f.cyls, 0, "cylinders; 0: as the size says"), \
    DEFINE_PROP_U32("heads", T, f.heads, 0, "heads"), \
    DEFINE_PROP_U32("secs", T, f.secs, 0, "sectors of a track")
bool drive_check_geometry(const Device *d, DriveGeometry given, DriveGeometry max, Error **errp);
DriveGeometry drive_geometry(DriveGeometry given, const BlockBackend *b);

/*
 * Requests of a controller. All controllers submit through a DriveQueue: it applies rerror= and werror=, holds what
 * failed under "stop" until the machine goes on and tries it again then, and sees to it that nothing is on its way
 * while the machine stands, is saved, loaded or reset.
 *
 * Calls and callbacks are under the device's domain; drive_settle() and what contains it (reset, saving, free) release
 * it while they wait. start():  drive_open(), drive_queue_init()          stop(): drive_queue_free() (it detaches the
 * drive) reset:    drive_queue_reset(): what is on its way ends first, what is held is dropped saving():
 * drive_queue_saving()                       loaded(): drive_queue_loaded() state:    STATE_STRUCT(Type, queue,
 * drive_queue_state)
 */
typedef struct DriveQueue DriveQueue;
typedef struct DriveRequest DriveRequest;
struct DriveRequest {
    BlkRequest blk;          /* op, flags, offset, bytes, iov, iovcnt: the caller's; done and opaque are not */
    /* once: 0 or a negative errno, after the policy was applied; r is the callee's */
    void (*done)(DriveRequest *r, int error);
    bool hint;               /* an error is reported whatever the policy says: it is never held */
    /* private */
    DriveQueue *queue;
    DriveRequest *next;
};
typedef struct DriveQueueOps {
    /*
     * A held request in bytes that restart() understands in another process. NULL: the device keeps it in registers of
     * its own.
     */
    void (*save)(DriveRequest *r, GByteArray *out);
    /*
     * After loading, when the machine goes on: make and submit the request again. The bytes are untrusted: false when
     * they make no sense.
     */
    bool (*restart)(Device *d, const uint8_t *bytes, size_t len);
    /* A held request is gone (reset, loading, unplugging): free it; done() does not come, the guest sees nothing. */
    void (*drop)(DriveRequest *r);
    /* the machine stops: what the guest rang for is to be started now. NULL: it always is */
    void (*stopping)(Device *d);
} DriveQueueOps;
struct DriveQueue {
    Device *dev;
    BlockBackend *blk;
    const DriveQueueOps *ops;
    BlkOnError rerror, werror;
    unsigned in_flight;
    DriveRequest *held, **last;
    GByteArray *saved;       /* requests as bytes, each behind its length (32 bits) */
    /* so much of it was loaded and waits for the machine to go on; the rest are copies of held ones */
    uint32_t loaded;
};
void drive_queue_init(DriveQueue *q, Device *d, const DriveProps *p, BlockBackend *b, const DriveQueueOps *ops);
void drive_queue_free(DriveQueue *q); /* may be called on one that was never initialised */
void drive_submit(DriveQueue *q, DriveRequest *r);
/* The guest asked for what can't be, so that nothing was submitted: it is counted. */
static inline void drive_invalid(DriveQueue *q, BlkOp op) { blk_account_invalid(q->blk, op); }
bool drive_release(DriveQueue *q, DriveRequest *r); /* true: it was held, and is the caller's again */
typedef bool DriveRequestIs(const DriveRequest *r, const void *of);
void drive_drop_held(DriveQueue *q, DriveRequestIs *is, const void *of); /* those for which is(r, of) */
/* Returns when nothing is on its way: done() has been called for it, or it is held. */
void drive_settle(DriveQueue *q);
void drive_queue_reset(DriveQueue *q);
void drive_queue_saving(DriveQueue *q);
bool drive_queue_loaded(DriveQueue *q, Error **errp);
/* Are requests held (or loaded), so that the device is busy though nothing is on its way? */
static inline bool drive_queue_holds(const DriveQueue *q) { return q->held || q->loaded; }
extern const StateField drive_queue_state[];
#endif
