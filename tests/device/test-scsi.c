/* SPDX-License-Identifier: MIT */
/*
 * SCSI at the level of CDBs: every command's good path and the exact sense of its bad ones, unit attentions, task management, save and load; rings and
 * SCRIPTS that a hostile guest gives its adapters: circles, wrong lengths, endless programs.
 */
#include <glib/gstdio.h>
#include <unistd.h>
#include "base/bits.h"
#include "hw/core/machine.h"
#include "hw/pci/pci-host.h"
#include "hw/scsi/scsi.h"
#include "tests/device/bad-medium.h"

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
static const ScsiHost host = { .channels = 1, .targets = 8, .luns = 300, .complete = complete, .drop = drop, .save = save, .restart = restart,
                               .hotplug = hotplugged };
static bool hba_start(Device *d, Error **errp)
{
    scsi_bus_init(&((Hba *)d)->bus, &host, d);
    return true;
}
static void hba_stop(Device *d) { scsi_bus_fini(&((Hba *)d)->bus); }
static const DeviceType hba_type = { .name = "test-hba", .size = sizeof(Hba), .start = hba_start, .stop = hba_stop };

enum { BLOCKS = 2048, BLOCK = 512 };
typedef struct Rig { Machine *m; Hba *hba; Device *disk; char *file; uint8_t data[1 << 16]; uint8_t status; uint32_t sense; uint64_t done; } Rig;

static bool rig_build(Machine *m, Error **errp)
{
    m->ram = mem_ram_new("ram", 1 << 20, errp);
    mem_map(m->memory, 0, m->ram, 0);
    return m->ram;
}
static const MachineType rig_type = { .name = "scsi-rig", .arch = "none", .max_cpus = 1, .default_ram = 1 << 20, .size = sizeof(Machine), .build = rig_build };

static bool bad_medium;
static BlockNode *open_image(const char *file, unsigned flags)
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

static Device *add_disk(Rig *r, const char *drive, const char *more)
{
    Error *err = NULL;
    g_autofree char *text = g_strdup_printf("scsi-hd,drive=%s,serial=SN1,wwn=0x5000c50012345678%s", drive, more);
    g_autoptr(Opts) o = opts_parse(text, "driver", &err);
    Device *d = device_add(o, &err);
    if (!d)
        g_error("%s", err->message);
    return d;
}

static Rig *rig_new(unsigned flags, const char *more)
{
    Rig *r = g_new0(Rig, 1);
    int fd = g_file_open_tmp("rhea-scsi-XXXXXX", &r->file, NULL);
    g_assert_cmpint(ftruncate(fd, BLOCKS * BLOCK), ==, 0);
    close(fd);
    blk_new("d0", open_image(r->file, flags));
    r->m = machine_new(&rig_type);
    g_assert_true(machine_build(r->m, NULL));
    r->hba = (Hba *)device_new(&hba_type, "hba");
    g_assert_true(device_start(&r->hba->dev, NULL));
    r->disk = add_disk(r, "d0", more);
    return r;
}

static void rig_free(Rig *r)
{
    machine_free(r->m);
    blk_free_all();
    unlink(r->file);
    g_free(r->file);
    g_free(r);
}

/* Carry out one CDB; data goes from and to r->data, `room` bytes of it. */
static void run_at(Rig *r, uint32_t target, uint32_t lun, const uint8_t *cdb, unsigned len, size_t room)
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
    r->sense = h->last->sense_len ? (uint32_t)(h->last->sense[2] & 15) << 16 | h->last->sense[12] << 8 | h->last->sense[13] : 0;
    r->done = h->last->done_bytes;
    scsi_request_free(h->last);
}
#define RUN(r, ...) run_at(r, 0, 0, (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }), sizeof (r)->data)
#define GOOD(r, ...) do { RUN(r, __VA_ARGS__); g_assert_cmphex((r)->sense, ==, 0); g_assert_cmphex((r)->status, ==, 0); } while (0)
#define FAILS(r, s, ...) do { RUN(r, __VA_ARGS__); g_assert_cmphex((r)->status, ==, 2); g_assert_cmphex((r)->sense, ==, s); } while (0)
#define TAKE_ATTENTION(r) FAILS(r, SENSE_POWER_ON, 0, 0, 0, 0, 0, 0)

/* ---- commands ---- */

static void test_inquiry(void)
{
    Rig *r = rig_new(BLOCK_RDWR, "");
    GOOD(r, 0x12, 0, 0, 0, 96, 0); /* a unit attention does not stop it */
    g_assert_cmpint(memcmp(r->data + 8, "QEMU    QEMU HARDDISK   2.5+", 28), ==, 0);
    g_assert_cmpuint(r->done, ==, 96);
    GOOD(r, 0x12, 0, 0, 0, 5, 0);
    g_assert_cmpuint(r->done, ==, 5);
    GOOD(r, 0x12, 1, 0, 0, 255, 0);
    g_assert_cmpint(memcmp(r->data, "\0\0\0\6\0\x80\x83\xb0\xb1\xb2", 10), ==, 0);
    GOOD(r, 0x12, 1, 0x80, 0, 255, 0);
    g_assert_cmpint(memcmp(r->data, "\0\x80\0\3SN1", 7), ==, 0);
    GOOD(r, 0x12, 1, 0x83, 0, 255, 0);
    g_assert_cmpint(memcmp(r->data + 4, "\2\0\0\3SN1\1\3\0\x08\x50\0\xc5\0\x12\x34\x56\x78", 19), ==, 0);
    GOOD(r, 0x12, 1, 0xb0, 0, 255, 0);
    g_assert_cmpuint(load_be(r->data + 20, 4), ==, (1 << 30) / BLOCK);
    GOOD(r, 0x12, 1, 0xb1, 0, 255, 0);
    GOOD(r, 0x12, 1, 0xb2, 0, 255, 0);
    FAILS(r, SENSE_INVALID_FIELD, 0x12, 1, 0x77, 0, 255, 0);
    FAILS(r, SENSE_INVALID_FIELD, 0x12, 0, 0x80, 0, 255, 0);
    TAKE_ATTENTION(r);
    GOOD(r, 0, 0, 0, 0, 0, 0);
    FAILS(r, SENSE_INVALID_OPCODE, 0xff, 0, 0, 0, 0, 0);
    FAILS(r, SENSE_INVALID_FIELD, 0x9e, 0x1f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    GOOD(r, 0x03, 0, 0, 0, 18, 0);
    g_assert_cmphex(r->data[0], ==, 0x70);
    run_at(r, 0, 9, (const uint8_t[]){ 0x12, 0, 0, 0, 36, 0 }, 6, 36); /* a LUN that is not there */
    g_assert_cmphex(r->data[0], ==, 0x7f);
    run_at(r, 0, 9, (const uint8_t[]){ 0, 0, 0, 0, 0, 0 }, 6, 36);
    g_assert_cmphex(r->sense, ==, SENSE_LUN_NOT_SUPPORTED);
    g_assert_null(scsi_request_new(&r->hba->bus, 0, 5, 0, (const uint8_t[6]){ 0 }, 6, 0, r->hba));
    rig_free(r);
}

static void fill(Rig *r, uint8_t value, size_t len) { memset(r->data, value, len); }
static void assert_filled(const Rig *r, uint8_t value, size_t len)
{
    for (size_t i = 0; i < len; i++)
        g_assert_cmphex(r->data[i], ==, value);
}

static void test_transfers(void)
{
    Rig *r = rig_new(BLOCK_RDWR, "");
    TAKE_ATTENTION(r);
    fill(r, 0xa1, 4 * BLOCK);
    GOOD(r, 0x2a, 0, 0, 0, 0, 10, 0, 0, 4, 0);
    g_assert_cmpuint(r->done, ==, 4 * BLOCK);
    fill(r, 0, 4 * BLOCK);
    GOOD(r, 0x08, 0, 0, 10, 4, 0);
    assert_filled(r, 0xa1, 4 * BLOCK);
    fill(r, 0xb2, BLOCK);
    GOOD(r, 0x0a, 0, 0, 11, 1, 0);
    GOOD(r, 0xaa, 8 /* FUA */, 0, 0, 0, 12, 0, 0, 0, 1, 0, 0);
    GOOD(r, 0x8a, 0, 0, 0, 0, 0, 0, 0, 0, 13, 0, 0, 0, 1, 0, 0);
    GOOD(r, 0x2e, 0, 0, 0, 0, 14, 0, 0, 1, 0);
    fill(r, 0, 4 * BLOCK);
    GOOD(r, 0x88, 0, 0, 0, 0, 0, 0, 0, 0, 11, 0, 0, 0, 4, 0, 0);
    assert_filled(r, 0xb2, 4 * BLOCK);
    GOOD(r, 0xa8, 0, 0, 0, 0, 11, 0, 0, 0, 4, 0, 0);
    GOOD(r, 0x28, 0, 0, 0, 7, 255, 0, 0, 1, 0);
    GOOD(r, 0x28, 0, 0, 0, 8, 0, 0, 0, 0, 0); /* no blocks just behind the end */
    FAILS(r, SENSE_LBA_RANGE, 0x28, 0, 0, 0, 8, 0, 0, 0, 1, 0);
    FAILS(r, SENSE_LBA_RANGE, 0x28, 0, 0, 0, 7, 255, 0, 0, 2, 0);
    FAILS(r, SENSE_LBA_RANGE, 0x88, 0, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 1, 0, 0);
    FAILS(r, SENSE_INVALID_FIELD, 0x28, 0x20 /* protection */, 0, 0, 0, 0, 0, 0, 1, 0);
    run_at(r, 0, 0, (const uint8_t[]){ 0x28, 0, 0, 0, 0, 0, 0, 0, 2, 0 }, 10, BLOCK); /* a buffer that is too small: nothing happens */
    g_assert_cmpuint(r->done, ==, 0);
    /* VERIFY: range, bytes, one block for all */
    fill(r, 0xb2, 4 * BLOCK);
    GOOD(r, 0x2f, 0, 0, 0, 0, 11, 0, 0, 4, 0);
    GOOD(r, 0x2f, 2, 0, 0, 0, 11, 0, 0, 4, 0);
    GOOD(r, 0xaf, 6, 0, 0, 0, 11, 0, 0, 0, 4, 0, 0);
    r->data[BLOCK + 5] = 0;
    FAILS(r, SENSE_MISCOMPARE, 0x2f, 2, 0, 0, 0, 11, 0, 0, 4, 0);
    FAILS(r, SENSE_INVALID_FIELD, 0x2f, 4, 0, 0, 0, 11, 0, 0, 4, 0);
    FAILS(r, SENSE_LBA_RANGE, 0x8f, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 1, 0, 0);
    GOOD(r, 0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    GOOD(r, 0x91, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0);
    GOOD(r, 0x34, 0, 0, 0, 0, 0, 0, 0, 8, 0);
    FAILS(r, SENSE_LBA_RANGE, 0x2b, 0, 0, 0, 8, 0, 0, 0, 0, 0);
    rig_free(r);
}

static void test_provisioning(void)
{
    Rig *r = rig_new(BLOCK_RDWR, "");
    TAKE_ATTENTION(r);
    fill(r, 0x5c, BLOCK);
    GOOD(r, 0x41, 0, 0, 0, 0, 100, 0, 3, 232, 0); /* 1000 equal blocks */
    GOOD(r, 0x28, 0, 0, 0, 4, 75, 0, 0, 1, 0);    /* the last of them */
    assert_filled(r, 0x5c, BLOCK);
    fill(r, 0, BLOCK);
    GOOD(r, 0x93, 8 /* UNMAP */, 0, 0, 0, 0, 0, 0, 0, 200, 0, 0, 0, 8, 0, 0);
    GOOD(r, 0x93, 1 /* no data */, 0, 0, 0, 0, 0, 0, 0, 208, 0, 0, 0, 8, 0, 0);
    fill(r, 1, 16 * BLOCK);
    GOOD(r, 0x28, 0, 0, 0, 0, 200, 0, 0, 16, 0);
    assert_filled(r, 0, 16 * BLOCK);
    FAILS(r, SENSE_INVALID_FIELD, 0x93, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    FAILS(r, SENSE_INVALID_FIELD, 0x93, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0);
    FAILS(r, SENSE_LBA_RANGE, 0x93, 0, 0, 0, 0, 0, 0, 0, 7, 255, 0, 0, 0, 2, 0, 0);
    static const uint8_t list[] = { 0, 38, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 8, 0, 0, 0, 0 };
    memcpy(r->data, list, sizeof list);
    GOOD(r, 0x42, 0, 0, 0, 0, 0, 0, 0, sizeof list, 0);
    GOOD(r, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    FAILS(r, SENSE_PARAMETER_LENGTH, 0x42, 0, 0, 0, 0, 0, 0, 0, 7, 0);
    FAILS(r, SENSE_PARAMETER_LENGTH, 0x42, 0, 0, 0, 0, 0, 0, 0, sizeof list - 1, 0);
    FAILS(r, SENSE_INVALID_FIELD, 0x42, 1, 0, 0, 0, 0, 0, 0, sizeof list, 0);
    r->data[16 - 4] = 8; /* the first range: behind the end */
    FAILS(r, SENSE_LBA_RANGE, 0x42, 0, 0, 0, 0, 0, 0, 0, sizeof list, 0);
    rig_free(r);
}

static void test_compare_and_write(void)
{
    Rig *r = rig_new(BLOCK_RDWR, "");
    TAKE_ATTENTION(r);
    memset(r->data, 0, BLOCK);
    memset(r->data + BLOCK, 0x77, BLOCK);
    GOOD(r, 0x89, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0);
    r->data[7] = 1;
    FAILS(r, SENSE_MISCOMPARE, 0x89, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0);
    GOOD(r, 0x08, 0, 0, 3, 1, 0);
    assert_filled(r, 0x77, BLOCK);
    FAILS(r, SENSE_LBA_RANGE, 0x89, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 1, 0, 0);
    GOOD(r, 0x89, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0);
    rig_free(r);
}

static void test_modes(void)
{
    Rig *r = rig_new(BLOCK_RDWR, ",dpofua=on");
    TAKE_ATTENTION(r);
    GOOD(r, 0x1a, 0, 0x3f, 0, 255, 0);
    g_assert_cmphex(r->data[2], ==, 0x10);
    g_assert_cmpuint(load_be(r->data + 4, 4), ==, BLOCKS);
    GOOD(r, 0x1a, 8, 8, 0, 255, 0);
    g_assert_cmphex(r->data[6], ==, 4);
    static const uint8_t off[] = { 0, 0, 0, 0, 8, 18, 0 };
    memset(r->data, 0, 64);
    memcpy(r->data, off, sizeof off);
    GOOD(r, 0x15, 0x10, 0, 0, 24, 0);
    GOOD(r, 0x5a, 8, 8, 0, 0, 0, 0, 1, 0, 0);
    g_assert_cmphex(r->data[8 + 2], ==, 0);
    memset(r->data, 0, 64);
    memcpy(r->data, off, sizeof off);
    r->data[7] = 9;
    FAILS(r, SENSE_INVALID_PARAMETER, 0x15, 0x10, 0, 0, 24, 0);
    FAILS(r, SENSE_PARAMETER_LENGTH, 0x15, 0x10, 0, 0, 3, 0);
    FAILS(r, SENSE_INVALID_FIELD, 0x15, 0, 0, 0, 24, 0);
    FAILS(r, SENSE_INVALID_FIELD, 0x1a, 0, 0x2b, 0, 255, 0);
    FAILS(r, SENSE_SAVING_PARAMETERS, 0x1a, 0, 0xc8, 0, 255, 0);
    GOOD(r, 0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    g_assert_cmpuint(load_be(r->data, 4), ==, BLOCKS - 1);
    g_assert_cmpuint(load_be(r->data + 4, 4), ==, BLOCK);
    GOOD(r, 0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0);
    g_assert_cmpuint(load_be(r->data, 8), ==, BLOCKS - 1);
    GOOD(r, 0x9e, 0x12, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 24, 0, 0);
    GOOD(r, 0xa3, 0x0c, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0);
    GOOD(r, 0xa3, 0x0c, 1, 0x93, 0, 0, 0, 0, 4, 0, 0, 0);
    g_assert_cmphex(r->data[1], ==, 3);
    GOOD(r, 0xa3, 0x0c, 1, 0xee, 0, 0, 0, 0, 4, 0, 0, 0);
    g_assert_cmphex(r->data[1], ==, 1);
    GOOD(r, 0x1b, 0, 0, 0, 0, 0);
    FAILS(r, SENSE_LUN_NOT_READY, 0, 0, 0, 0, 0, 0);
    GOOD(r, 0x1b, 0, 0, 0, 1, 0);
    GOOD(r, 0, 0, 0, 0, 0, 0);
    FAILS(r, SENSE_INVALID_FIELD, 0x1b, 0, 0, 0, 2, 0);
    GOOD(r, 0x04, 0, 0, 0, 0, 0);
    GOOD(r, 0x1d, 4, 0, 0, 0, 0);
    rig_free(r);
}

static void reserve(Rig *r, unsigned action, unsigned type, uint64_t key, uint64_t service_key)
{
    memset(r->data, 0, 24);
    store_be(r->data, 8, key);
    store_be(r->data + 8, 8, service_key);
    RUN(r, 0x5f, (uint8_t)action, (uint8_t)type, 0, 0, 0, 0, 0, 24, 0);
}

static void test_reservations(void)
{
    Rig *r = rig_new(BLOCK_RDWR, "");
    TAKE_ATTENTION(r);
    reserve(r, 1, 1, 0, 0);
    g_assert_cmphex(r->status, ==, SCSI_RESERVATION_CONFLICT);
    reserve(r, 0, 0, 0, 0x1234);
    g_assert_cmphex(r->status, ==, 0);
    reserve(r, 1, 1, 0x1234, 0);
    g_assert_cmphex(r->status, ==, 0);
    GOOD(r, 0x5e, 0, 0, 0, 0, 0, 0, 0, 255, 0);
    g_assert_cmpuint(load_be(r->data + 4, 4), ==, 8);
    g_assert_cmphex(load_be(r->data + 8, 8), ==, 0x1234);
    GOOD(r, 0x5e, 1, 0, 0, 0, 0, 0, 0, 255, 0);
    g_assert_cmphex(r->data[21], ==, 1);
    GOOD(r, 0x5e, 2, 0, 0, 0, 0, 0, 0, 255, 0);
    GOOD(r, 0x5e, 3, 0, 0, 0, 0, 0, 0, 255, 0);
    reserve(r, 2, 3, 0x1234, 0);
    g_assert_cmphex(r->sense, ==, SENSE_INVALID_RELEASE);
    reserve(r, 1, 2, 0x1234, 0);
    g_assert_cmphex(r->sense, ==, SENSE_INVALID_FIELD);
    FAILS(r, SENSE_PARAMETER_LENGTH, 0x5f, 0, 0, 0, 0, 0, 0, 0, 23, 0);
    /* it is state: saved, loaded, and the same */
    StateWriter *w = state_writer_new();
    device_save(r->disk, w);
    g_autoptr(GBytes) saved = state_writer_finish(w);
    reserve(r, 3, 0, 0x1234, 0);
    GOOD(r, 0x5e, 1, 0, 0, 0, 0, 0, 0, 255, 0);
    g_assert_cmpuint(r->done, ==, 8);
    Error *err = NULL;
    StateReader *reader = state_reader_new(saved, &err);
    g_assert_true(device_load(r->disk, reader, &err));
    state_reader_free(reader);
    GOOD(r, 0x5e, 1, 0, 0, 0, 0, 0, 0, 255, 0);
    g_assert_cmphex(r->data[21], ==, 1);
    rig_free(r);
}

static void test_read_only(void)
{
    Rig *r = rig_new(0, "");
    TAKE_ATTENTION(r);
    FAILS(r, SENSE_WRITE_PROTECTED, 0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0);
    FAILS(r, SENSE_WRITE_PROTECTED, 0x42, 0, 0, 0, 0, 0, 0, 0, 8, 0);
    GOOD(r, 0x1a, 0, 8, 0, 255, 0);
    g_assert_cmphex(r->data[2], ==, 0x80);
    rig_free(r);
}

/* ---- the bus ---- */

static ScsiTmfResult tmf_result;
static unsigned tmf_count;
static void tmf_done(ScsiBus *b, void *opaque, ScsiTmfResult result)
{
    tmf_result = result;
    tmf_count++;
}

static void tmf(Rig *r, ScsiTmf what, uint32_t target, uint32_t lun)
{
    tmf_count = 0;
    scsi_task_management(&r->hba->bus, what, 0, target, lun, 1, tmf_done, NULL);
    g_assert_cmpuint(tmf_count, ==, 1);
}

static void test_bus(void)
{
    Rig *r = rig_new(BLOCK_RDWR, "");
    blk_new("d1", open_image(NULL, BLOCK_RDWR));
    TAKE_ATTENTION(r);
    Device *second = add_disk(r, "d1", ",removable=on,scsi-id=0,lun=260");
    GOOD(r, 0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0);
    g_assert_cmpuint(load_be(r->data, 4), ==, 16);
    g_assert_cmphex(load_be(r->data + 16, 2), ==, 0x4000 | 260);
    FAILS(r, SENSE_INVALID_FIELD, 0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 15, 0, 0);
    Error *err = NULL;
    g_autoptr(Opts) o = opts_parse("scsi-hd,drive=d1,scsi-id=0,lun=260", "driver", &err);
    g_assert_null(device_add(o, &err));
    g_assert_nonnull(strstr(err->message, "is taken by"));
    g_clear_pointer(&err, error_free);
    tmf(r, SCSI_LUN_RESET, 0, 0);
    g_assert_cmpint(tmf_result, ==, SCSI_TMF_COMPLETE);
    FAILS(r, SENSE_DEVICE_RESET, 0, 0, 0, 0, 0, 0);
    GOOD(r, 0, 0, 0, 0, 0, 0);
    tmf(r, SCSI_TARGET_RESET, 3, 0);
    g_assert_cmpint(tmf_result, ==, SCSI_TMF_BAD_TARGET);
    tmf(r, SCSI_ABORT_TASK, 0, 7);
    g_assert_cmpint(tmf_result, ==, SCSI_TMF_BAD_LUN);
    tmf(r, SCSI_QUERY_TASK, 0, 0);
    g_assert_cmpint(tmf_result, ==, SCSI_TMF_COMPLETE);
    device_free(second);
    g_assert_null(scsi_find(&r->hba->bus, 0, 0, 260));
    rig_free(r);
}

/* A request on its way is aborted: the answer to the abort waits for it; nobody hears of its result. */
static void test_abort(void)
{
    Rig *r = rig_new(BLOCK_RDWR, "");
    Hba *h = r->hba;
    TAKE_ATTENTION(r);
    lock_domain_lock(h->dev.domain);
    struct iovec iov = { r->data, BLOCK };
    ScsiRequest *q = scsi_request_new(&h->bus, 0, 0, 0, (const uint8_t[]){ 0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0 }, 10, 1, h);
    unsigned before = h->completed;
    scsi_request_run(q, &iov, 1); /* a flush: always by a worker, who needs the domain to end it */
    g_assert_cmpuint(h->completed, ==, before);
    tmf_count = 0;
    scsi_task_management(&h->bus, SCSI_ABORT_TASK, 0, 0, 0, 1, tmf_done, NULL);
    g_assert_cmpuint(tmf_count, ==, 0);
    scsi_bus_settle(&h->bus);
    lock_domain_unlock(h->dev.domain);
    g_assert_cmpuint(tmf_count, ==, 1);
    g_assert_true(h->last->cancelled);
    g_assert_cmphex(h->last->status, ==, SCSI_TASK_ABORTED);
    scsi_request_free(h->last);
    rig_free(r);
}

/* A CD drive: attentions and sense of its own, plain and formed sectors. */
static void test_cd(void)
{
    Rig *r = rig_new(0, "");
    Error *err = NULL;
    blk_new("cd", open_image(r->file, 0));
    g_autoptr(Opts) o = opts_parse("scsi-cd,drive=cd,scsi-id=4", "driver", &err);
    Device *cd = device_add(o, &err);
    g_assert_no_error(err);
#define CD(...) run_at(r, 4, 0, (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }), sizeof r->data)
    CD(0x12, 0, 0, 0, 36, 0);
    g_assert_cmphex(r->data[0], ==, 5);
    CD(0, 0, 0, 0, 0, 0);
    g_assert_cmphex(r->sense >> 8, ==, SENSE_POWER_ON >> 8);
    for (unsigned i = 0; i < 3 && r->status; i++) /* and one for the medium, perhaps */
        CD(0, 0, 0, 0, 0, 0);
    g_assert_cmphex(r->status, ==, 0);
    CD(0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    g_assert_cmpuint(load_be(r->data, 4), ==, BLOCKS * BLOCK / 2048 - 1);
    CD(0x28, 0, 0, 0, 0, 1, 0, 0, 2, 0);
    g_assert_cmpuint(r->done, ==, 4096);
    CD(0xbe, 0, 0, 0, 0, 20, 0, 0, 20, 0xf8, 0, 0);
    g_assert_cmphex(r->status, ==, 0);
    g_assert_cmpuint(r->done, ==, 20 * 2352);
    g_assert_cmphex(load_be(r->data + 2352, 4), ==, 0x00ffffff); /* each has its sync pattern */
    CD(0x28, 0, 0, 0, 2, 0, 0, 0, 1, 0);
    g_assert_cmphex(r->sense, ==, SENSE_LBA_RANGE);
    CD(0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0);
    g_assert_cmphex(r->sense, ==, SENSE_INVALID_OPCODE);
#undef CD
    device_free(cd);
    rig_free(r);
}

/* ---- rerror=stop, werror=stop: what fails is held until the machine goes on, in this process or another ---- */

#define STOP ",rerror=stop,werror=stop"

static Rig *bad_rig(const char *more)
{
    bad_medium = true;
    Rig *r = rig_new(BLOCK_RDWR | BLOCK_UNMAP, more);
    bad_medium = false;
    failure = -EIO;
    r->hba->data = (struct iovec){ r->data, sizeof r->data };
    TAKE_ATTENTION(r);
    return r;
}

static void hold_at(Rig *r, const uint8_t *cdb, unsigned len)
{
    Hba *h = r->hba;
    unsigned before = h->completed;
    lock_domain_lock(h->dev.domain);
    scsi_request_run(scsi_request_new(&h->bus, 0, 0, 0, cdb, len, 1, h), &h->data, 1);
    lock_domain_unlock(h->dev.domain);
    wait_held("d0");
    g_assert_cmpuint(h->completed, ==, before);
}
#define HOLD(r, ...) hold_at(r, (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

static void went_on(Rig *r, bool load)
{
    Hba *h = r->hba;
    unsigned before = h->completed;
    go_on("d0", load);
    g_assert_cmpuint(h->completed, ==, before + 1);
    g_assert_cmphex(h->last->status, ==, SCSI_GOOD);
    g_assert_cmpuint(h->dropped, ==, load ? 1 : 0);
    h->dropped = 0;
    scsi_request_free(h->last);
}

static void test_held(gconstpointer load)
{
    Rig *r = bad_rig(STOP);
    fill(r, 0x3d, 4 * BLOCK);
    failures = 1;
    HOLD(r, 0x2a, 0, 0, 0, 0, 10, 0, 0, 4, 0);
    scsi_attention((ScsiDevice *)r->disk, SENSE_CAPACITY_CHANGED);
    went_on(r, load); /* what came while the request was held does not end it */
    FAILS(r, SENSE_CAPACITY_CHANGED, 0, 0, 0, 0, 0, 0);
    fill(r, 0, 4 * BLOCK);
    failures = 1;
    HOLD(r, 0x28, 0, 0, 0, 0, 10, 0, 0, 4, 0);
    went_on(r, load);
    assert_filled(r, 0x3d, 4 * BLOCK);
    failures = 1;
    HOLD(r, 0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    went_on(r, load);
    static const uint8_t list[] = { 0, 22, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 8, 0, 0, 0, 0 };
    memcpy(r->data, list, sizeof list);
    failures = 1;
    HOLD(r, 0x42, 0, 0, 0, 0, 0, 0, 0, sizeof list, 0);
    went_on(r, load);
    rig_free(r);
}

/* COMPARE AND WRITE whose write failed does not compare again: its own data may be there. */
static void test_held_compare(gconstpointer load)
{
    Rig *r = bad_rig(STOP);
    fill(r, 0, 2 * BLOCK);
    memset(r->data + BLOCK, 0x42, BLOCK);
    failures = 1;
    HOLD(r, 0x89, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 1, 0, 0); /* the read */
    went_on(r, load);
    memset(r->data, 0x42, BLOCK);
    memset(r->data + BLOCK, 0x43, BLOCK);
    failing_op = FAIL_WRITES;
    failures = 1;
    HOLD(r, 0x89, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 1, 0, 0);
    failing_op = FAIL_ALL;
    r->data[3] = 0xff; /* it would not compare equal */
    went_on(r, load);
    GOOD(r, 0x28, 0, 0, 0, 0, 7, 0, 0, 1, 0);
    assert_filled(r, 0x43, BLOCK);
    rig_free(r);
}

/* A held request that is aborted ends at once; a reset of the machine drops it. */
static void test_held_aborted(void)
{
    Rig *r = bad_rig(STOP);
    Hba *h = r->hba;
    failures = 1;
    HOLD(r, 0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    lock_domain_lock(h->dev.domain);
    tmf(r, SCSI_ABORT_TASK, 0, 0);
    g_assert_true(h->last->cancelled);
    g_assert_cmphex(h->last->status, ==, SCSI_TASK_ABORTED);
    scsi_request_free(h->last);
    lock_domain_unlock(h->dev.domain);
    failures = 3;
    unsigned before = h->completed;
    for (unsigned i = 0; i < 3; i++)
        HOLD(r, 0x2a, 0, 0, 0, 0, (uint8_t)i, 0, 0, 1, 0);
    device_reset_all();
    g_assert_cmpuint(h->dropped, ==, 3);
    g_assert_cmpuint(h->completed, ==, before);
    g_assert_null(h->bus.running);
    failures = 1;
    TAKE_ATTENTION(r);
    HOLD(r, 0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    device_free(r->disk); /* unplugged: it ends, aborted */
    g_assert_cmpuint(h->completed, ==, before + 2);
    g_assert_true(h->last->cancelled);
    scsi_request_free(h->last);
    rig_free(r);
}

static void test_policies(void)
{
    Rig *r = bad_rig(",rerror=report,werror=enospc");
    failures = 1;
    FAILS(r, SENSE_READ_ERROR, 0x28, 0, 0, 0, 0, 10, 0, 0, 4, 0);
    failures = 1;
    FAILS(r, SENSE_WRITE_ERROR, 0x2a, 0, 0, 0, 0, 10, 0, 0, 4, 0);
    g_assert_false(machine_take_requests().pause);
    failure = -ENOSPC;
    failures = 1;
    HOLD(r, 0x2a, 0, 0, 0, 0, 10, 0, 0, 4, 0);
    went_on(r, false);
    rig_free(r);
    r = bad_rig(",rerror=ignore,werror=report");
    failures = 1;
    GOOD(r, 0x28, 0, 0, 0, 0, 10, 0, 0, 4, 0);
    failure = -ENOSPC;
    failures = 1;
    FAILS(r, SENSE_SPACE_FULL, 0x2a, 0, 0, 0, 0, 10, 0, 0, 4, 0);
    g_assert_false(machine_take_requests().pause);
    rig_free(r);
}

/* ---- hostile guests: adapters on a PCI bus ---- */

typedef struct PciRig { Rig base; PciBus bus; Device *parent; Device *adapter; AddressSpace *as; } PciRig;
static const DeviceType parent_type = { .name = "scsi-rig-host", .size = sizeof(Device) };

static PciRig *pci_rig_new(const char *adapter, unsigned bar)
{
    Error *err = NULL;
    PciRig *p = g_new0(PciRig, 1);
    Rig *r = &p->base;
    int fd = g_file_open_tmp("rhea-scsi-XXXXXX", &r->file, NULL);
    g_assert_cmpint(ftruncate(fd, BLOCKS * BLOCK), ==, 0);
    close(fd);
    blk_new("d0", open_image(r->file, BLOCK_RDWR));
    r->m = machine_new(&rig_type);
    g_assert_true(machine_build(r->m, NULL));
    p->parent = device_new(&parent_type, "host");
    g_assert_true(device_start(p->parent, NULL));
    PciRootSpaces spaces = { .mem = r->m->memory, .io = r->m->io, .dma_region = r->m->memory, .dma = r->m->as_memory };
    pci_root_bus_init(&p->bus, "pci.0", p->parent, &spaces, true);
    p->adapter = device_new_named(adapter, "hba", &err);
    g_assert_true(device_start(p->adapter, &err));
    r->disk = add_disk(r, "d0", "");
    PciDevice *d = pci_device(p->adapter);
    p->as = as_new("bar", d->bar[bar].region);
    MemRegion *ecam = pci_ecam_new(&p->bus, 256);
    AddressSpace *config = as_new("config", ecam);
    as_store(config, (hwaddr)d->devfn << 12 | 4, 2, 6, MEM_ATTRS_DEVICE); /* memory, bus master */
    as_free(config);
    mem_region_free(ecam);
    device_reset_all();

    pci_config_set(d, 4, 2, 6);
    return p;
}

static void pci_rig_free(PciRig *p)
{
    as_free(p->as);
    device_free(p->base.disk);
    device_free(p->adapter);
    pci_bus_fini(&p->bus);
    machine_free(p->base.m);
    blk_free_all();
    unlink(p->base.file);
    g_free(p->base.file);
    g_free(p);
}

static void test_lsi_endless(void)
{
    PciRig *p = pci_rig_new("lsi53c895a", 1);
    static const uint32_t programs[][3] = {
        { 0x80080000, 0x1000 },              /* jump to itself */
        { 0xc0ffffff, 0x1000, 0x2000 },      /* move 16 MiB onto itself, for ever */
        { 0x06000001, 0x1000 },              /* a message to nobody */
        { 0x50000000, 0x1000 },              /* wait for a reselection that does not come */
    };
    for (unsigned i = 0; i < ARRAY_LEN(programs); i++) {
        uint8_t code[12];
        for (unsigned k = 0; k < 3; k++)
            store_le32(code + 4 * k, programs[i][k]);
        as_write(p->base.m->as_memory, 0x1000, code, sizeof code, MEM_ATTRS_DEVICE);
        as_store(p->as, 0x2c, 4, 0x1000, MEM_ATTRS_DEVICE); /* DSP: it returns */
        clock_virtual_step(10000000);
        as_store(p->as, 0x14, 1, 0x80, MEM_ATTRS_DEVICE);   /* ISTAT: abort */
        uint64_t dstat;
        as_load(p->as, 0x0c, 1, &dstat, MEM_ATTRS_DEVICE);
        g_assert_true(dstat & 0x10 || i == 1);
        as_store(p->as, 0x14, 1, 0x40, MEM_ATTRS_DEVICE);
        as_store(p->as, 0x14, 1, 0, MEM_ATTRS_DEVICE);
    }
    pci_rig_free(p);
}

static void pvscsi_command(PciRig *p, uint32_t command, const uint32_t *words, unsigned n)
{
    as_store(p->as, 0, 4, command, MEM_ATTRS_DEVICE);
    for (unsigned i = 0; i < n; i++)
        as_store(p->as, 4, 4, words[i], MEM_ATTRS_DEVICE);
}

static uint32_t peek(PciRig *p, hwaddr at)
{
    uint8_t b[4];
    as_read(p->base.m->as_memory, at, b, 4, MEM_ATTRS_DEVICE);
    return load_le32(b);
}
static void poke(PciRig *p, hwaddr at, uint32_t v)
{
    uint8_t b[4];
    store_le32(b, v);
    as_write(p->base.m->as_memory, at, b, 4, MEM_ATTRS_DEVICE);
}

/* States at 0x10000, requests at 0x11000, completions at 0x12000. */
static uint32_t setup[132] = { 1, 1, 0x10, 0, 0x11, [4 + 64] = 0x12 };

static void pvscsi_request(PciRig *p, unsigned n, uint32_t flags, uint64_t data, uint32_t len, const uint8_t *cdb, unsigned cdb_len)
{
    hwaddr at = 0x11000 + 128 * n;
    poke(p, at, 0x55 + n);
    poke(p, at + 8, (uint32_t)data);
    poke(p, at + 16, len);
    poke(p, at + 36, flags);
    as_write(p->base.m->as_memory, at + 40, cdb, cdb_len, MEM_ATTRS_DEVICE);
    poke(p, at + 56, cdb_len);
    poke(p, 0x10000, n + 1);
    as_store(p->as, 0x4018, 4, 0, MEM_ATTRS_DEVICE);
}

static void test_pvscsi_held(gconstpointer load)
{
    static const uint8_t ready[6] = { 0 }, write[10] = { 0x2a, 0, 0, 0, 0, 9, 0, 0, 8, 0 }, read[10] = { 0x28, 0, 0, 0, 0, 9, 0, 0, 8, 0 };
    bad_medium = true;
    PciRig *p = pci_rig_new("pvscsi", 0);
    bad_medium = false;
    failure = -ENOSPC; /* the policy that is there without a word */
    pvscsi_command(p, 3, setup, 132);
    pvscsi_request(p, 0, 0, 0, 0, ready, 6); /* the unit attention */
    for (unsigned i = 0; i < 4096; i += 4)
        poke(p, 0x20000 + i, i * 7 + 1);
    failures = 1;
    pvscsi_request(p, 1, 16, 0x20000, 4096, write, 10);
    wait_held("d0");
    g_assert_cmpuint(peek(p, 0x10000 + 12), ==, 1);
    go_on("d0", load);
    g_assert_cmpuint(peek(p, 0x10000 + 12), ==, 2);
    g_assert_cmphex(peek(p, 0x12000 + 32), ==, 0x56);
    g_assert_cmphex(peek(p, 0x12000 + 32 + 20), ==, 0);
    g_assert_cmpuint(peek(p, 0x12000 + 32 + 8), ==, 4096);
    pvscsi_request(p, 2, 8, 0x21000, 4096, read, 10);
    blk_drain(blk_find("d0"));
    for (unsigned i = 0; i < 4096; i += 4)
        g_assert_cmphex(peek(p, 0x21000 + i), ==, i * 7 + 1);
    pci_rig_free(p);
}

static void test_pvscsi_rings(void)
{
    PciRig *p = pci_rig_new("pvscsi", 0);
    uint64_t status;
    setup[0] = 33; /* more pages than there are */
    pvscsi_command(p, 3, setup, 132);
    as_load(p->as, 8, 4, &status, MEM_ATTRS_DEVICE);
    g_assert_cmphex(status, ==, UINT32_MAX);
    setup[0] = 1;
    pvscsi_command(p, 3, setup, 132);
    as_load(p->as, 8, 4, &status, MEM_ATTRS_DEVICE);
    g_assert_cmphex(status, ==, 0);
    g_assert_cmpuint(peek(p, 0x10000 + 8), ==, 5);
    g_assert_cmpuint(peek(p, 0x10000 + 20), ==, 7);
    /* a list that leads to itself */
    poke(p, 0x20000, 0x20000);
    poke(p, 0x2000c, 1);
    poke(p, 0x11000, 0x55);       /* context */
    poke(p, 0x11008, 0x20000);    /* list */
    poke(p, 0x11010, 4096);
    poke(p, 0x11000 + 36, 1 | 8);
    poke(p, 0x11000 + 40, 0x12);  /* INQUIRY, 36 bytes */
    poke(p, 0x11000 + 44, 36);
    poke(p, 0x11000 + 56, 6);
    poke(p, 0x10000, 1);
    as_store(p->as, 0x4018, 4, 0, MEM_ATTRS_DEVICE);
    g_assert_cmpuint(peek(p, 0x10000 + 12), ==, 1); /* one completion: the adapter's fault */
    g_assert_cmphex(peek(p, 0x12000), ==, 0x55);
    g_assert_cmphex(peek(p, 0x12000 + 20) & 0xffff, ==, 0x20);
    /* the same without a list */
    poke(p, 0x11000 + 128 + 8, 0x30000);
    poke(p, 0x11000 + 128 + 16, 36);
    poke(p, 0x11000 + 128 + 36, 8);
    poke(p, 0x11000 + 128 + 40, 0x12);
    poke(p, 0x11000 + 128 + 44, 36);
    poke(p, 0x11000 + 128 + 56, 6);
    poke(p, 0x10000, 2);
    as_store(p->as, 0x4018, 4, 0, MEM_ATTRS_DEVICE);
    g_assert_cmpuint(peek(p, 0x10000 + 12), ==, 2);
    g_assert_cmphex(peek(p, 0x12000 + 32 + 20), ==, 0);
    g_assert_cmphex(peek(p, 0x30000 + 8), ==, load_le32("QEMU"));
    /* far more requests than the ring holds */
    poke(p, 0x10000, 0x80000000);
    as_store(p->as, 0x4018, 4, 0, MEM_ATTRS_DEVICE);
    g_assert_cmpuint(peek(p, 0x10000 + 12), ==, 2);
    pci_rig_free(p);
}

#define ADD(path, fn) g_test_add_func(path, fn)
int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("/scsi/inquiry", test_inquiry);
    ADD("/scsi/transfers", test_transfers);
    ADD("/scsi/provisioning", test_provisioning);
    ADD("/scsi/compare-and-write", test_compare_and_write);
    ADD("/scsi/modes", test_modes);
    ADD("/scsi/reservations", test_reservations);
    ADD("/scsi/read-only", test_read_only);
    ADD("/scsi/bus", test_bus);
    ADD("/scsi/abort", test_abort);
    ADD("/scsi/cd", test_cd);
    g_test_add_data_func("/scsi/held", NULL, test_held);
    g_test_add_data_func("/scsi/held-loaded", "", test_held);
    g_test_add_data_func("/scsi/held-compare", NULL, test_held_compare);
    g_test_add_data_func("/scsi/held-compare-loaded", "", test_held_compare);
    ADD("/scsi/held-aborted", test_held_aborted);
    ADD("/scsi/policies", test_policies);
    g_test_add_data_func("/scsi/pvscsi-held", NULL, test_pvscsi_held);
    g_test_add_data_func("/scsi/pvscsi-held-loaded", "", test_pvscsi_held);
    ADD("/scsi/lsi-endless", test_lsi_endless);
    ADD("/scsi/pvscsi-rings", test_pvscsi_rings);
    return g_test_run();
}
