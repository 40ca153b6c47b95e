/* SPDX-License-Identifier: MIT */
/*
 * scsi-generic and scsi-block on a unit of the host, which is made up here: what is handed on, what the drive does,
 * sense, sizes, what is held.
 */
#include "tests/device/scsi-rig.h"

/* ---- the unit: it keeps the command, and answers as told ---- */

static struct Unit {
    unsigned commands;
    int error;
    BlockScsi last;
    uint8_t type, status, sense[18];
    uint8_t data[512];
    uint64_t len;
    uint32_t block;
} unit;

static int unit_scsi(BlockNode *n, BlockScsi *s, const struct iovec *iov, int iovcnt)
{
    size_t room = iov_bytes(iov, iovcnt);
    unit.commands++;
    unit.last = *s;
    if (unit.error || fails(s->out))
        return unit.error ? unit.error : failure;
    if (s->cdb[0] == 0x25) {
        uint8_t p[8];
        store_be(p, 4, BLOCKS - 1);
        store_be(p + 4, 4, unit.block);
        iov_from_buf(iov, iovcnt, 0, p, sizeof p);
        s->done = sizeof p;
        return 0;
    }
    if (s->cdb[0] == 0x12 && !(s->cdb[1] & 1)) {
        iov_from_buf(iov, iovcnt, 0, &unit.type, 1);
        s->done = MIN(room, 36);
        return 0;
    }
    s->status = unit.status;
    if (s->status) {
        memcpy(s->sense, unit.sense, s->sense_len = sizeof unit.sense);
    } else if (s->out) {
        iov_to_buf(iov, iovcnt, 0, unit.data, MIN(room, sizeof unit.data));
        s->done = room;
    } else {
        s->done = MIN(unit.len, room);
        iov_from_buf(iov, iovcnt, 0, unit.data, MIN(s->done, sizeof unit.data));
    }
    return 0;
}
static const BlockDriver unit_driver = { .name = "test-unit",
                                         .desc = "a unit of the host",
                                         .open = bad_open,
                                         .close = bad_close,
                                         .preadv = bad_preadv,
                                         .pwritev = bad_pwritev,
                                         .flush = bad_flush,
                                         .scsi = unit_scsi };
BLOCK_DRIVER_REGISTER(unit_driver)

static Rig *unit_rig(const char *type)
{
    Rig *r = rig_new(BLOCK_RDWR, "");
    Error *err = NULL;
    g_autofree char *node = g_strdup_printf(
        "driver=raw,file.driver=test-unit,file.file.driver=file,file.file.locking=off,file.file.filename=%s", r->file);
    g_autofree char *text = g_strdup_printf("%s,drive=unit,scsi-id=0,rerror=stop,werror=stop", type);
    unit = (struct Unit){ .block = 512 };
    device_free(r->disk);
    g_autoptr(Opts) o = opts_parse(node, NULL, &err), d = opts_parse(text, "driver", &err);
    BlockNode *n = block_open(NULL, o, BLOCK_RDWR, &err);
    g_assert_no_error(err);
    blk_new("unit", n);
    r->disk = device_add(d, &err);
    g_assert_no_error(err);
    r->hba->data = (struct iovec){ r->data, sizeof r->data };
    TAKE_ATTENTION(r);
    unit.commands = 0;
    return r;
}

static void test_generic(void)
{
    Rig *r = unit_rig("scsi-generic");
    memset(unit.data, 0x5a, sizeof unit.data);
    unit.len = 300;
    GOOD(r, 0x28, 0, 0, 0, 0, 1, 0, 0, 1, 0);
    g_assert_cmpuint(unit.commands, ==, 1);
    g_assert_cmphex(unit.last.cdb[5], ==, 1);
    g_assert_cmpuint(unit.last.cdb_len, ==, 10);
    g_assert_cmpuint(r->done, ==, 300); /* the unit's own residual */
    memset(r->data, 0x77, 512);
    GOOD(r, 0x3b, 2, 0, 0, 0, 0, 0, 2, 0, 0); /* WRITE BUFFER of 512 bytes: no disk here knows it */
    g_assert_true(unit.last.out);
    g_assert_cmphex(unit.data[511], ==, 0x77);
    unit.status = 2;
    memcpy(unit.sense, "\x70\0\x0b\0\0\0\0\x0a\0\0\0\0\x47\x03", 14);
    FAILS(r, 0x0b4703, 0x2a, 0, 0, 0, 0, 1, 0, 0, 1, 0);
    unit.status = SCSI_RESERVATION_CONFLICT;
    RUN(r, 0x5f, 0, 0, 0, 0, 0, 0, 0, 24, 0);
    g_assert_cmphex(r->status, ==, SCSI_RESERVATION_CONFLICT);
    unit.status = 0;
    unit.commands = 0;
    FAILS(r, SENSE_INVALID_OPCODE, 0x7f, 0, 0, 0, 0, 0, 0, 24);
    GOOD(r, 0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0); /* the bus's affair */
    g_assert_cmpuint(unit.commands, ==, 0);
    rig_free(r);
}

/* Sectors of another size, learned from what the guest asks. */
static void test_sizes(void)
{
    Rig *r = unit_rig("scsi-generic");
    unit.block = 4096;
    GOOD(r, 0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    unit.len = 8192;
    GOOD(r, 0x28, 0, 0, 0, 0, 1, 0, 0, 2, 0);
    g_assert_cmpuint(r->done, ==, 8192);
    /* how much a command may move is what the host can move */
    memset(unit.data, 0, sizeof unit.data);
    unit.len = 64;
    unit.data[1] = 0xb0;
    unit.data[3] = 60;
    GOOD(r, 0x12, 1, 0xb0, 0, 64, 0);
    g_assert_cmpuint(load_be(r->data + 8, 4), ==, (1 << 20) / 4096);
    g_assert_cmpuint(load_be(r->data + 12, 4), ==, 0);
    rig_free(r);
}

static void test_block(void)
{
    Rig *r = unit_rig("scsi-block");
    memset(r->data, 0xc3, BLOCK);
    GOOD(r, 0x2a, 0, 0, 0, 0, 9, 0, 0, 1, 0); /* by the drive */
    g_assert_cmpuint(unit.commands, ==, 0);
    memset(r->data, 0, BLOCK);
    GOOD(r, 0x88, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0);
    g_assert_cmphex(r->data[BLOCK - 1], ==, 0xc3);
    g_assert_cmpuint(unit.commands, ==, 0);
    GOOD(r, 0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0); /* by both */
    g_assert_cmpuint(unit.commands, ==, 1);
    FAILS(r, SENSE_LBA_RANGE, 0x28, 0, 0, 0, 8, 0, 0, 0, 1, 0);
    unit.len = 8;
    GOOD(r, 0x5e, 0, 0, 0, 0, 0, 0, 0, 8, 0); /* by the unit */
    g_assert_cmpuint(unit.commands, ==, 2);
    failures = 1;
    HOLD(r, "unit", 0x28, 0, 0, 0, 0, 9, 0, 0, 1, 0);
    WENT_ON(r, "unit", "");
    g_assert_cmphex(r->data[0], ==, 0xc3);
    failures = 1;
    HOLD(r, "unit", 0x5e, 0, 0, 0, 0, 0, 0, 0, 8, 0);
    WENT_ON(r, "unit", "");
    unit.error = -ENOTSUP;
    FAILS(r, SENSE_INVALID_OPCODE, 0x3c, 0, 0, 0, 0, 0, 0, 0, 4, 0);
    rig_free(r);
}

/* A drive that is no unit, one that must not be written, a tape as a disk. */
static void test_refused(void)
{
    Rig *r = rig_new(BLOCK_RDWR, "");
    Error *err = NULL;
    blk_new("plain", open_image(NULL, BLOCK_RDWR));
    g_autoptr(Opts) o = opts_parse("scsi-generic,drive=plain,scsi-id=1", "driver", &err);
    g_assert_null(device_add(o, &err));
    g_assert_nonnull(strstr(err->message, "takes no SCSI commands"));
    g_clear_pointer(&err, error_free);
    g_autofree char *node = g_strdup_printf("driver=test-unit,file.driver=file,file.locking=off,file.filename=%s",
                                            r->file);
    g_autoptr(Opts) n = opts_parse(node, NULL, &err), d = opts_parse("scsi-block,drive=unit,scsi-id=2", "driver", &err);
    unit = (struct Unit){ .block = 512, .type = SPC_TAPE };
    blk_new("unit", block_open(NULL, n, 0, &err));
    g_assert_no_error(err);
    g_assert_null(device_add(d, &err));
    g_assert_nonnull(strstr(err->message, "use scsi-generic"));
    g_clear_pointer(&err, error_free);
    unit.type = SPC_DISK;
    g_autoptr(Opts) again = opts_parse("scsi-block,drive=unit,scsi-id=2", "driver", &err);
    g_assert_null(device_add(again, &err));
    g_assert_nonnull(strstr(err->message, "read-only"));
    g_clear_pointer(&err, error_free);
    rig_free(r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/scsi-generic/generic", test_generic);
    g_test_add_func("/scsi-generic/sizes", test_sizes);
    g_test_add_func("/scsi-generic/block", test_block);
    g_test_add_func("/scsi-generic/refused", test_refused);
    return g_test_run();
}
