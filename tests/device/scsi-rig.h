/* SPDX-License-Identifier: MIT */
/*
 * For tests of SCSI: a machine with an adapter that keeps what ends, and a disk; CDBs by macros. Included once in a
 * program.
 */
#ifndef TESTS_DEVICE_SCSI_RIG_H
#define TESTS_DEVICE_SCSI_RIG_H

#include <glib/gstdio.h>
#include <unistd.h>
#include "base/bits.h"
#include "base/iov.h"
#include "hw/core/machine.h"
#include "hw/pci/pci-host.h"
#include "hw/scsi/scsi.h"
#include "tests/device/bad-medium.h"
#include "tests/device/bare-machine.h"

/* ---- an adapter that keeps what ends ---- */

typedef struct Hba {
    Device dev;
    ScsiBus bus;
    ScsiRequest *last;
    unsigned completed, dropped, plugged;
    struct iovec data; /* of requests that are made again */
} Hba;

static void complete(ScsiRequest *r)
{
    Hba *h = r->hba;
    h->last = r;
    __atomic_store_n(&h->completed, h->completed + 1, __ATOMIC_RELEASE);
}
static void hotplugged(ScsiBus *b, ScsiDevice *d, bool added) { container_of(b, Hba, bus)->plugged++; }
static void drop(ScsiRequest *r)
{
    ((Hba *)r->hba)->dropped++;
    scsi_request_free(r);
}
static void save(const ScsiRequest *r, GByteArray *out) { g_byte_array_append(out, r->cdb, sizeof r->cdb); }
static bool restart(ScsiBus *b, const uint8_t *bytes, size_t len)
{
    Hba *h = container_of(b, Hba, bus);
    g_assert_cmpuint(len, ==, SCSI_CDB_MAX);
    ScsiRequest *r = scsi_request_new(b, 0, 0, 0, bytes, (unsigned)len, 1, h);
    scsi_request_run(r, &h->data, 1);
    return true;
}
static const ScsiHost host = { .channels = 1,
                               .targets = 8,
                               .luns = 300,
                               .complete = complete,
                               .drop = drop,
                               .save = save,
                               .restart = restart,
                               .hotplug = hotplugged };
static bool hba_start(Device *d, Error **errp)
{
    scsi_bus_init(&((Hba *)d)->bus, &host, d);
    return true;
}
static void hba_stop(Device *d) { scsi_bus_fini(&((Hba *)d)->bus); }
static const DeviceType hba_type = { .name = "test-hba", .size = sizeof(Hba), .start = hba_start, .stop = hba_stop };

enum { BLOCKS = 2048, BLOCK = 512 };
typedef struct Rig {
    Machine *m;
    Hba *hba;
    Device *disk;
    char *file;
    uint8_t data[1 << 16];
    uint8_t status;
    uint32_t sense;
    uint64_t done;
} Rig;

BARE_MACHINE(rig_type, "scsi-rig", 1 << 20);

static bool bad_medium;
static inline BlockNode *open_image(const char *file, unsigned flags)
{
    Error *err = NULL;
    g_autoptr(Opts) o = opts_new();
    opts_set(o, "driver", !file ? "null-co" : bad_medium ? "test-bad" : "raw");
    if (file && bad_medium) {
        opts_set(o, "file.driver", "file");
        opts_set(o, "file.filename", file);
        file = NULL;
    }
    BlockNode *n = block_open(file, o, flags, &err);
    g_assert_no_error(err);
    return n;
}

static inline Device *add_disk(Rig *r, const char *drive, const char *more)
{
    g_autofree char *text = g_strdup_printf("scsi-hd,drive=%s,serial=SN1,wwn=0x5000c50012345678%s", drive, more);
    return bare_add(text);
}

static inline Rig *rig_new(unsigned flags, const char *more)
{
    Rig *r = g_new0(Rig, 1);
    r->file = bare_image(BLOCKS * BLOCK);
    blk_new("d0", open_image(r->file, flags));
    r->m = bare_machine(&rig_type);
    r->hba = (Hba *)device_new(&hba_type, "hba");
    g_assert_true(device_start(&r->hba->dev, NULL));
    r->disk = add_disk(r, "d0", more);
    return r;
}

static inline void rig_free(Rig *r)
{
    bare_end(r->m, r->file);
    g_free(r);
}

/* Carry out one CDB; data goes from and to r->data, `room` bytes of it. */
static inline void run_at(Rig *r, uint32_t target, uint32_t lun, const uint8_t *cdb, unsigned len, size_t room)
{
    Hba *h = r->hba;
    struct iovec iov[2] = { { r->data, room / 3 }, { r->data + room / 3, room - room / 3 } };
    unsigned before = h->completed;
    ScsiRequest *q = scsi_request_new(&h->bus, 0, target, lun, cdb, len, 1, h);
    g_assert_nonnull(q);
    lock_domain_lock(h->dev.domain);
    scsi_request_run(q, iov, 2);
    scsi_bus_settle(&h->bus);
    lock_domain_unlock(h->dev.domain);
    g_assert_cmpuint(h->completed, ==, before + 1);
    r->status = h->last->status;
    r->sense = h->last->sense_len
                   ? (uint32_t)(h->last->sense[2] & 15) << 16 | h->last->sense[12] << 8 | h->last->sense[13]
                   : 0;
    r->done = h->last->done_bytes;
    scsi_request_free(h->last);
}
#define RUN(r, ...) \
    run_at(r, 0, 0, (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }), sizeof (r)->data)
#define GOOD(r, ...) \
    do { RUN(r, __VA_ARGS__); g_assert_cmphex((r)->sense, ==, 0); g_assert_cmphex((r)->status, ==, 0); } while (0)
#define FAILS(r, s, ...) \
    do { RUN(r, __VA_ARGS__); g_assert_cmphex((r)->status, ==, 2); g_assert_cmphex((r)->sense, ==, s); } while (0)
/*
 * ---- what fails is held: HOLD() carries out a command that fails under "stop", WENT_ON() lets the machine go on ----
 */

static inline void hold_at(Rig *r, const char *drive, const uint8_t *cdb, unsigned len)
{
    Hba *h = r->hba;
    unsigned before = h->completed;
    lock_domain_lock(h->dev.domain);
    scsi_request_run(scsi_request_new(&h->bus, 0, 0, 0, cdb, len, 1, h), &h->data, 1);
    lock_domain_unlock(h->dev.domain);
    wait_held(drive);
    g_assert_cmpuint(h->completed, ==, before);
}
#define HOLD(r, drive, ...) \
    hold_at(r, drive, (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

static inline void went_on(Rig *r, const char *drive, bool load)
{
    Hba *h = r->hba;
    unsigned before = h->completed;
    go_on(drive, load);
    g_assert_cmpuint(h->completed, ==, before + 1);
    g_assert_cmphex(h->last->status, ==, SCSI_GOOD);
    g_assert_cmpuint(h->dropped, ==, load ? 1 : 0);
    h->dropped = 0;
    scsi_request_free(h->last);
}
#define WENT_ON(r, drive, load) went_on(r, drive, load)

#define TAKE_ATTENTION(r) FAILS(r, SENSE_POWER_ON, 0, 0, 0, 0, 0, 0)
#endif
