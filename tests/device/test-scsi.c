/* SPDX-License-Identifier: MIT */
/*
 * SCSI at the level of CDBs: every command's good path and the exact sense of its bad ones, unit attentions, task
 * management, what is held, save and load.
 */
#include "tests/device/scsi-rig.h"

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
    /* a buffer that is too small: nothing happens */
    run_at(r, 0, 0, (const uint8_t[]){ 0x28, 0, 0, 0, 0, 0, 0, 0, 2, 0 }, 10, BLOCK);
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
    static const uint8_t list[] = { 0, 38, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 8,
                                    0, 0,  0, 0,  0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 8, 0, 0, 0, 0 };
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

static uint64_t extent(const Rig *r, unsigned i, uint8_t kind)
{
    const uint8_t *e = r->data + 8 + 16 * i;
    g_assert_cmphex(e[12], ==, kind);
    return load_be(e, 8) << 32 | load_be(e + 8, 4);
}

static void test_lba_status(void)
{
    enum { MAPPED, DEALLOCATED };
    Rig *r = rig_new(BLOCK_RDWR, "");
    TAKE_ATTENTION(r);
    fill(r, 0x5a, 128 * BLOCK);
    GOOD(r, 0x2a, 0, 0, 0, 4, 0, 0, 0, 128, 0);
    GOOD(r, 0x9e, 0x12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 0, 0);
    if (load_be(r->data + 8 + 8, 4) == BLOCKS) {
        g_test_skip("the host's file system has no holes");
    } else {
        g_assert_cmpuint(r->done, ==, 8 + 3 * 16);
        g_assert_cmpuint(load_be(r->data, 4), ==, 4 + 3 * 16);
        g_assert_cmphex(extent(r, 0, DEALLOCATED), ==, 1024);
        g_assert_cmphex(extent(r, 1, MAPPED), ==, UINT64_C(1024) << 32 | 128);
        g_assert_cmphex(extent(r, 2, DEALLOCATED), ==, UINT64_C(1152) << 32 | (BLOCKS - 1152));
        GOOD(r, 0x9e, 0x12, 0, 0, 0, 0, 0, 0, 4, 5, 0, 0, 0, 24, 0, 0); /* from amid it, and room for one */
        g_assert_cmpuint(r->done, ==, 24);
        g_assert_cmphex(extent(r, 0, MAPPED), ==, UINT64_C(1029) << 32 | 123);
    }
    FAILS(r, SENSE_LBA_RANGE, 0x9e, 0x12, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 24, 0, 0);
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
#define CD(...) \
    run_at(r, 4, 0, (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }), sizeof r->data)
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

static void test_held(gconstpointer load)
{
    Rig *r = bad_rig(STOP);
    fill(r, 0x3d, 4 * BLOCK);
    failures = 1;
    HOLD(r, "d0", 0x2a, 0, 0, 0, 0, 10, 0, 0, 4, 0);
    scsi_attention((ScsiDevice *)r->disk, SENSE_CAPACITY_CHANGED);
    WENT_ON(r, "d0", load); /* what came while the request was held does not end it */
    FAILS(r, SENSE_CAPACITY_CHANGED, 0, 0, 0, 0, 0, 0);
    fill(r, 0, 4 * BLOCK);
    failures = 1;
    HOLD(r, "d0", 0x28, 0, 0, 0, 0, 10, 0, 0, 4, 0);
    WENT_ON(r, "d0", load);
    assert_filled(r, 0x3d, 4 * BLOCK);
    failures = 1;
    HOLD(r, "d0", 0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    WENT_ON(r, "d0", load);
    static const uint8_t list[] = { 0, 22, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 8, 0, 0, 0, 0 };
    memcpy(r->data, list, sizeof list);
    failures = 1;
    HOLD(r, "d0", 0x42, 0, 0, 0, 0, 0, 0, 0, sizeof list, 0);
    WENT_ON(r, "d0", load);
    rig_free(r);
}

/* COMPARE AND WRITE whose write failed does not compare again: its own data may be there. */
static void test_held_compare(gconstpointer load)
{
    Rig *r = bad_rig(STOP);
    fill(r, 0, 2 * BLOCK);
    memset(r->data + BLOCK, 0x42, BLOCK);
    failures = 1;
    HOLD(r, "d0", 0x89, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 1, 0, 0); /* the read */
    WENT_ON(r, "d0", load);
    memset(r->data, 0x42, BLOCK);
    memset(r->data + BLOCK, 0x43, BLOCK);
    failing_op = FAIL_WRITES;
    failures = 1;
    HOLD(r, "d0", 0x89, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 1, 0, 0);
    failing_op = FAIL_ALL;
    r->data[3] = 0xff; /* it would not compare equal */
    WENT_ON(r, "d0", load);
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
    HOLD(r, "d0", 0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    lock_domain_lock(h->dev.domain);
    tmf(r, SCSI_ABORT_TASK, 0, 0);
    g_assert_true(h->last->cancelled);
    g_assert_cmphex(h->last->status, ==, SCSI_TASK_ABORTED);
    scsi_request_free(h->last);
    lock_domain_unlock(h->dev.domain);
    unsigned before = h->completed;
    for (unsigned i = 0; i < 3; i++) {
        failures = 1;
        HOLD(r, "d0", 0x2a, 0, 0, 0, 0, (uint8_t)i, 0, 0, 1, 0);
    }
    device_reset_all();
    g_assert_cmpuint(h->dropped, ==, 3);
    g_assert_cmpuint(h->completed, ==, before);
    g_assert_null(h->bus.running);
    failures = 1;
    TAKE_ATTENTION(r);
    HOLD(r, "d0", 0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0);
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
    FAILS(r, SENSE_READ_ERROR, 0x2f, 0, 0, 0, 0, 10, 0, 0, 4, 0); /* VERIFY without data reads, too */
    failures = 1;
    FAILS(r, SENSE_WRITE_ERROR, 0x2a, 0, 0, 0, 0, 10, 0, 0, 4, 0);
    g_assert_false(machine_take_requests().pause);
    failure = -ENOSPC;
    failures = 1;
    HOLD(r, "d0", 0x2a, 0, 0, 0, 0, 10, 0, 0, 4, 0);
    WENT_ON(r, "d0", false);
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

#define ADD(path, fn) g_test_add_func(path, fn)
int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("/scsi/inquiry", test_inquiry);
    ADD("/scsi/transfers", test_transfers);
    ADD("/scsi/provisioning", test_provisioning);
    ADD("/scsi/lba-status", test_lba_status);
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
    return g_test_run();
}
