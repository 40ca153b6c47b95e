/* SPDX-License-Identifier: MIT */
/* Commands of a SCSI disk that touch the medium (SBC-3, chapter 5). */
#include <errno.h>
#include "hw/scsi/scsi-disk.h"

enum { FUA = 8, NDOB = 1, UNMAP_BIT = 8, ANCHOR = 16, PROTECT = 0xe0 };

static void fail_io(ScsiRequest *r, int error) { scsi_fail_io(r, error, disk_block(disk_of(r))); }

static bool check_range(ScsiRequest *r, const ScsiDisk *d, uint64_t lba, uint64_t count)
{
    uint64_t blocks = disk_blocks(d);
    if (lba <= blocks && count <= blocks - lba)
        return true;
    drive_invalid(&disk_of(r)->scsi.queue, r->dir == SCSI_TO_DEVICE ? BLK_WRITE : BLK_READ);
    scsi_fail_info(r, SENSE_LBA_RANGE, lba);
    return false;
}

/*
 * No protection information here: fields that ask for it are invalid (SBC-3, 5.10). The 6-byte forms have no such
 * field.
 */
static bool check_protect(ScsiRequest *r)
{
    if (r->cdb[0] >> 5 == 0 || !(r->cdb[1] & PROTECT))
        return true;
    scsi_fail(r, SENSE_INVALID_FIELD);
    return false;
}

static unsigned write_flags(const ScsiRequest *r, const ScsiDisk *d)
{
    return !d->wce || (r->cdb[0] >> 5 && r->cdb[1] & FUA) ? BLOCK_REQ_FUA : 0;
}

static void moved(ScsiRequest *r, int error)
{
    if (error) {
        fail_io(r, error);
        return;
    }
    r->done_bytes = r->xfer;
    scsi_done(r, SCSI_GOOD);
}

static void transfer(ScsiRequest *r, ScsiDisk *d, BlkOp op, unsigned flags)
{
    uint64_t lba = spc_lba(r->cdb);
    if (!check_protect(r) || !check_range(r, d, lba, spc_count(r->cdb)))
        return;
    if (r->xfer)
        scsi_submit(r, op, lba * disk_block(d), r->xfer, 0, flags, moved);
    else
        scsi_done(r, SCSI_GOOD);
}

void disk_read(ScsiRequest *r, ScsiDisk *d) { transfer(r, d, BLK_READ, 0); }
void disk_write(ScsiRequest *r, ScsiDisk *d) { transfer(r, d, BLK_WRITE, write_flags(r, d)); }
/* What has been written durably reads back as it was written: the comparison is the host's affair. */
void disk_write_verify(ScsiRequest *r, ScsiDisk *d) { transfer(r, d, BLK_WRITE, BLOCK_REQ_FUA); }

static void finished(ScsiRequest *r, int error)
{
    if (error)
        fail_io(r, error);
    else
        scsi_done(r, SCSI_GOOD);
}

void disk_flush(ScsiRequest *r, ScsiDisk *d)
{
    if (r->cdb[0] == 0x35 || r->cdb[0] == 0x91) { /* all of the cache is written, whatever range was meant */
        if (!check_range(r, d, spc_lba(r->cdb), spc_count(r->cdb)))
            return;
    }
    scsi_submit(r, BLK_FLUSH, 0, 0, 0, 0, finished);
}

void disk_in_range(ScsiRequest *r, ScsiDisk *d)
{
    if (check_range(r, d, spc_lba(r->cdb), r->cdb[0] == 0x2b ? 1 : spc_count(r->cdb)))
        scsi_done(r, SCSI_GOOD);
}

/* --- VERIFY: can it be read; byte by byte with BYTCHK 01b (each block) and 11b (one block for all) --- */

static void verify_next(ScsiRequest *r, ScsiDisk *d);

static void verify_step(ScsiRequest *r, int error)
{
    ScsiDisk *d = disk_of(r);
    uint32_t block = disk_block(d);
    unsigned check = r->cdb[1] >> 1 & 3;
    bool one = check == 3;
    if (error) {
        fail_io(r, error);
        return;
    }
    g_autofree uint8_t *want = g_malloc(block);
    for (uint64_t i = 0; check && i < r->buf_len; i += block) {
        scsi_take(r, one ? 0 : r->at + i, want, block);
        for (uint32_t k = 0; k < block; k++) {
            if (want[k] != r->buf[i + k]) {
                scsi_fail_info(r, SENSE_MISCOMPARE, one ? k : r->at + i + k);
                return;
            }
        }
    }
    r->at += r->buf_len;
    r->left -= r->buf_len;
    verify_next(r, d);
}

static void verify_next(ScsiRequest *r, ScsiDisk *d)
{
    if (!r->left || r->cancelled) {
        r->done_bytes = r->xfer;
        scsi_done(r, SCSI_GOOD);
        return;
    }
    r->buf_len = MIN(r->left, (uint64_t)SCSI_CHUNK);
    scsi_submit_buf(r, BLK_READ, spc_lba(r->cdb) * disk_block(d) + r->at, r->buf, r->buf_len, 0, verify_step);
}

void disk_verify(ScsiRequest *r, ScsiDisk *d)
{
    unsigned check = r->cdb[1] >> 1 & 3;
    uint64_t lba = spc_lba(r->cdb), count = spc_count(r->cdb);
    if (check == 2) {
        scsi_fail(r, SENSE_INVALID_FIELD);
        return;
    }
    if (!check_protect(r) || !check_range(r, d, lba, count))
        return;
    r->left = count * disk_block(d);
    r->buf = r->left ? g_malloc(MIN(r->left, (uint64_t)SCSI_CHUNK)) : NULL;
    verify_next(r, d);
}

/* --- WRITE SAME --- */

static void same_next(ScsiRequest *r, ScsiDisk *d);

static void same_step(ScsiRequest *r, int error)
{
    if (error) {
        fail_io(r, error);
        return;
    }
    same_next(r, disk_of(r));
}

static void same_next(ScsiRequest *r, ScsiDisk *d)
{
    uint64_t n = MIN(r->left, r->buf_len), at = r->at;
    if (!n || r->cancelled) {
        r->done_bytes = r->xfer;
        scsi_done(r, SCSI_GOOD);
        return;
    }
    r->at += n;
    r->left -= n;
    scsi_submit_buf(r, BLK_WRITE, at, r->buf, n, d->wce ? 0 : BLOCK_REQ_FUA, same_step);
}

static bool all_zero(const uint8_t *p, size_t len)
{
    return !len || (!p[0] && !memcmp(p, p + 1, len - 1));
}

void disk_write_same(ScsiRequest *r, ScsiDisk *d)
{
    uint64_t lba = spc_lba(r->cdb), count = spc_count(r->cdb), block = disk_block(d);
    bool unmap = r->cdb[1] & UNMAP_BIT;
    uint8_t pattern[32768] = { 0 };
    if (!count || r->cdb[1] & ANCHOR || r->cdb[1] & 6 ||
        count > SAME_BYTES_MAX / block) { /* WSNZ is set: no "to the end" */
        scsi_fail(r, SENSE_INVALID_FIELD);
        return;
    }
    if (!check_protect(r) || !check_range(r, d, lba, count))
        return;
    scsi_take(r, 0, pattern, MIN(block, r->xfer)); /* NDOB: no data, zeroes */
    r->at = lba * block;
    r->left = count * block;
    if (all_zero(pattern, block)) {
        scsi_submit(r, BLK_WRITE_ZEROES, r->at, r->left, 0,
                    (unmap ? BLOCK_REQ_MAY_UNMAP : 0) | (d->wce ? 0 : BLOCK_REQ_FUA), moved);
        return;
    }
    r->buf_len = MIN(r->left, align_down(SCSI_CHUNK, block));
    r->buf = g_malloc(r->buf_len);
    for (uint64_t i = 0; i < r->buf_len; i += block)
        memcpy(r->buf + i, pattern, block);
    same_next(r, d);
}

/* --- UNMAP: r->buf has the descriptors, r->at is the next one --- */

static void unmap_next(ScsiRequest *r, ScsiDisk *d);

static void unmap_step(ScsiRequest *r, int error)
{
    if (error && error != -ENOTSUP) {
        fail_io(r, error);
        return;
    }
    unmap_next(r, disk_of(r));
}

static void unmap_next(ScsiRequest *r, ScsiDisk *d)
{
    while (r->at < r->buf_len && !load_be(r->buf + r->at + 8, 4))
        r->at += 16;
    if (r->at >= r->buf_len || r->cancelled) {
        r->done_bytes = r->xfer;
        scsi_done(r, SCSI_GOOD);
        return;
    }
    uint64_t lba = load_be(r->buf + r->at, 8), count = load_be(r->buf + r->at + 8, 4);
    r->at += 16;
    scsi_submit(r, BLK_DISCARD, lba * disk_block(d), count * disk_block(d), 0, 0, unmap_step);
}

void disk_unmap(ScsiRequest *r, ScsiDisk *d)
{
    uint8_t header[8];
    if (r->cdb[1] & 1) { /* anchor */
        scsi_fail(r, SENSE_INVALID_FIELD);
        return;
    }
    if (!r->xfer) {
        scsi_done(r, SCSI_GOOD);
        return;
    }
    if (r->xfer < 8) {
        scsi_fail(r, SENSE_PARAMETER_LENGTH);
        return;
    }
    scsi_take(r, 0, header, sizeof header);
    uint64_t bytes = load_be(header + 2, 2);
    if (load_be(header, 2) > r->xfer - 2 || bytes > r->xfer - 8 || bytes % 16) {
        scsi_fail(r, SENSE_PARAMETER_LENGTH);
        return;
    }
    if (bytes / 16 > UNMAP_RANGES_MAX) {
        scsi_fail(r, SENSE_INVALID_PARAMETER);
        return;
    }
    r->buf_len = bytes;
    r->buf = g_malloc(bytes + 1);
    scsi_take(r, 8, r->buf, bytes);
    for (uint64_t i = 0; i < bytes; i += 16) {
        uint64_t count = load_be(r->buf + i + 8, 4);
        if (!check_range(r, d, load_be(r->buf + i, 8), count))
            return;
        if (count > d->max_unmap_size / disk_block(d)) {
            scsi_fail(r, SENSE_INVALID_PARAMETER);
            return;
        }
    }
    unmap_next(r, d);
}

/* --- COMPARE AND WRITE: one at a time, which makes them atomic among themselves --- */

static void compare_start(ScsiRequest *r, ScsiDisk *d);

static void compare_leave(ScsiRequest *r)
{
    ScsiDisk *d = disk_of(r);
    g_queue_pop_head(&d->compares);
    ScsiRequest *next = g_queue_peek_head(&d->compares);
    if (next)
        compare_start(next, d);
}

static void compare_written(ScsiRequest *r, int error)
{
    compare_leave(r);
    moved(r, error);
}

/* From here on a comparison would find what this request has written. */
static void compare_write(ScsiRequest *r, ScsiDisk *d)
{
    r->stage = 1;
    scsi_submit(r, BLK_WRITE, spc_lba(r->cdb) * disk_block(d), r->buf_len, r->buf_len, write_flags(r, d),
                compare_written);
}

static void compare_read(ScsiRequest *r, int error)
{
    ScsiDisk *d = disk_of(r);
    if (error || r->cancelled) {
        compare_leave(r);
        finished(r, error);
        return;
    }
    g_autofree uint8_t *want = g_malloc(r->buf_len);
    scsi_take(r, 0, want, r->buf_len);
    for (uint64_t i = 0; i < r->buf_len; i++) {
        if (want[i] != r->buf[i]) {
            compare_leave(r);
            scsi_fail_info(r, SENSE_MISCOMPARE, i);
            return;
        }
    }
    compare_write(r, d);
}

static void compare_start(ScsiRequest *r, ScsiDisk *d)
{
    if (r->cancelled)
        compare_read(r, -ECANCELED);
    else if (r->stage)
        compare_write(r, d);
    else
        scsi_submit_buf(r, BLK_READ, spc_lba(r->cdb) * disk_block(d), r->buf, r->buf_len, 0, compare_read);
}

void disk_compare_and_write(ScsiRequest *r, ScsiDisk *d)
{
    uint64_t count = r->cdb[13];
    if (!check_protect(r) || !check_range(r, d, spc_lba(r->cdb), count))
        return;
    if (!count) {
        scsi_done(r, SCSI_GOOD);
        return;
    }
    r->buf_len = count * disk_block(d);
    r->buf = g_malloc(r->buf_len);
    g_queue_push_tail(&d->compares, r);
    if (d->compares.length == 1)
        compare_start(r, d);
}

/*
 * --- GET LBA STATUS: what the image says; a reply may say less than there is, so that a scattered image takes no long
 * time ---
 */

enum { LBA_EXTENTS = 128, LBA_STEPS = 1024, LBA_MAPPED = 0, LBA_DEALLOCATED = 1 };
typedef struct LbaStatus {
    BlockStatus found;
    unsigned steps, count, most;                   /* extents */
    uint8_t reply[8 + 16 * LBA_EXTENTS];
} LbaStatus;

static void lba_next(ScsiRequest *r, ScsiDisk *d);

/* `n` blocks more: they go to the last extent if it is of their kind. False: there is no room for them. */
static bool lba_add(ScsiRequest *r, const ScsiDisk *d, uint64_t n, uint8_t kind)
{
    LbaStatus *l = (LbaStatus *)r->buf;
    uint8_t *e = l->reply + 8 + 16 * (l->count - 1);
    uint64_t before = l->count && (e[12] & 15) == kind ? load_be(e + 8, 4) : 0;
    if (!before) {
        if (l->count == l->most)
            return false;
        e = l->reply + 8 + 16 * l->count++;
        store_be(e, 8, r->at / disk_block(d));
        e[12] = kind;
    }
    n = MIN(n, UINT32_MAX - before);
    store_be(e + 8, 4, before + n);
    r->at += n * disk_block(d);
    r->left -= n * disk_block(d);
    return n;
}

static void lba_step(ScsiRequest *r, int error)
{
    const LbaStatus *l = (const LbaStatus *)r->buf;
    ScsiDisk *d = disk_of(r);
    if (error) {
        fail_io(r, error);
        return;
    }
    uint64_t n = MIN(l->found.pnum, r->left) / disk_block(d); /* a part of a block is none */
    bool hole = n && l->found.flags & BLOCK_ZERO && !(l->found.flags & BLOCK_DATA);
    if (!lba_add(r, d, MAX(n, 1), hole ? LBA_DEALLOCATED : LBA_MAPPED))
        r->left = 0;
    lba_next(r, d);
}

static void lba_next(ScsiRequest *r, ScsiDisk *d)
{
    LbaStatus *l = (LbaStatus *)r->buf;
    if (r->left && l->steps++ < LBA_STEPS && !r->cancelled) {
        scsi_submit_status(r, r->at, r->left, &l->found, lba_step);
        return;
    }
    store_be(l->reply, 4, 4 + 16 * l->count);
    scsi_reply(r, l->reply, 8 + 16 * l->count);
}

void disk_lba_status(ScsiRequest *r, ScsiDisk *d)
{
    uint64_t lba = spc_lba(r->cdb);
    if (!check_range(r, d, lba, 1))
        return;
    LbaStatus *l = g_new0(LbaStatus, 1);
    l->most = (unsigned)CLAMP((MAX(r->xfer, 8) - 8) / 16, 1, LBA_EXTENTS);
    r->buf = (uint8_t *)l;
    r->at = lba * disk_block(d);
    r->left = (disk_blocks(d) - lba) * disk_block(d);
    lba_next(r, d);
}
