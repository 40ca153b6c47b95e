/* SPDX-License-Identifier: MIT */
/* A CD/DVD-ROM drive without its transport: the commands (MMC-6, SPC-4, INF-8020i), tray and medium. */
#include <errno.h>
#include <string.h>
#include "base/bits.h"
#include "hw/storage/mmc-internal.h"

enum { NEEDS_MEDIUM = 1, PASSES_ATTENTION = 2 };

uint32_t mmc_sectors(const MmcDrive *m)
{
    return m->present && m->blk ? (uint32_t)MIN(blk_size(m->blk) / MMC_SECTOR, UINT32_MAX) : 0;
}

void mmc_fail(MmcDrive *m, MmcResult *r, uint32_t sense)
{
    m->sense = sense;
    *r = (MmcResult){ .phase = MMC_DONE, .status = MMC_CHECK };
}

void mmc_read_failed(MmcDrive *m, MmcResult *r, int error)
{
    mmc_fail(m, r, error == -ENOMEDIUM ? SENSE_NO_MEDIUM : SENSE_READ_ERROR);
}

void mmc_reply(MmcCall *k, uint32_t len, uint32_t room)
{
    k->r->length = MIN(len, room);
    k->r->phase = k->r->length ? MMC_DATA_IN : MMC_DONE;
}

/* Minute, second, frame; with the two seconds before block 0. */
void mmc_put_address(uint8_t *d, uint32_t lba, bool msf)
{
    if (!msf) {
        store_be(d, 4, lba);
        return;
    }
    lba += MMC_LEAD_IN;
    d[0] = 0;
    d[1] = (uint8_t)MIN(lba / MMC_FRAMES / 60, 255);
    d[2] = (uint8_t)(lba / MMC_FRAMES % 60);
    d[3] = (uint8_t)(lba % MMC_FRAMES);
}

/* --- sense --- */

uint32_t mmc_take_sense(MmcDrive *m)
{
    uint32_t sense = m->sense;
    m->sense = SENSE_NONE;
    return sense;
}

static uint32_t next_attention(MmcDrive *m)
{
    for (unsigned i = 0; i < ARRAY_LEN(m->attention); i++) {
        uint32_t what = m->attention[i];
        m->attention[i] = 0;
        if (what)
            return what;
    }
    return 0;
}

static void request_sense(MmcCall *k)
{
    if (!k->m->sense)
        k->m->sense = next_attention(k->m);
    spc_sense_fixed(mmc_take_sense(k->m), k->d);
    mmc_reply(k, SPC_SENSE_BYTES, k->cdb[4]);
}

/* --- tray --- */

static void update_present(MmcDrive *m)
{
    bool now = !m->tray_open && m->blk && blk_inserted(m->blk);

    if (now == m->present)
        return;
    m->present = now;
    if (now)
        m->attention[1] = SENSE_MEDIUM_CHANGED;
    m->event_new_media = now;
    m->event_removal = !now;
}

static void move_tray(MmcDrive *m, bool open)
{
    if (m->tray_open == open)
        return;
    m->tray_open = open;
    update_present(m);
    if (m->blk)
        blk_tray_changed(m->blk, open);
}

static void start_stop(MmcCall *k)
{
    MmcDrive *m = k->m;
    bool start = k->cdb[4] & 1, loej = k->cdb[4] & 2;

    if (k->cdb[4] >> 4 || !loej) /* power conditions, spin up or down: nothing to do */
        return;
    if (!start && !m->tray_open && m->locked)
        fail(k, mmc_sectors(m) ? SENSE_REMOVAL_PREVENTED : SENSE_NO_MEDIUM);
    else
        move_tray(m, !start);
}

static void prevent_allow(MmcCall *k) { k->m->locked = k->cdb[4] & 1; }

/* --- reading --- */

static void read_blocks(MmcCall *k, uint32_t lba, uint32_t blocks, unsigned bytes, uint8_t fields)
{
    uint32_t sectors = mmc_sectors(k->m);

    if (blocks > sectors || lba > sectors - blocks) {
        fail(k, SENSE_LBA_RANGE);
        return;
    }
    if (!blocks || !bytes)
        return;
    *k->r = (MmcResult){ .phase = MMC_READ, .lba = lba, .blocks = blocks, .sector_bytes = bytes,
                         .plain = bytes == MMC_SECTOR && !(fields & ~0x10u), .fields = fields };
}

static void read10(MmcCall *k) { read_blocks(k, be32(k->cdb + 2), be16(k->cdb + 7), MMC_SECTOR, 0x10); }
static void read12(MmcCall *k) { read_blocks(k, be32(k->cdb + 2), be32(k->cdb + 6), MMC_SECTOR, 0x10); }

/* EDC and ECC are zeroes here. */
unsigned mmc_form_sector(uint32_t lba, uint8_t fields, const uint8_t *user, uint8_t *out)
{
    uint8_t *p = out, at[4];

    if (fields & 0x80) {
        memset(p, 0xff, 12);
        p[0] = p[11] = 0;
        p += 12;
    }
    if (fields & 0x20) { /* binary-coded decimal minute, second, frame; mode 1 */
        mmc_put_address(at, lba, true);
        for (unsigned i = 0; i < 3; i++)
            *p++ = (uint8_t)(at[i + 1] / 10 % 16 << 4 | at[i + 1] % 10);
        *p++ = 1;
    }
    if (fields & 0x10) {
        memcpy(p, user, MMC_SECTOR);
        p += MMC_SECTOR;
    }
    if (fields & 0x08) {
        memset(p, 0, 288);
        p += 288;
    }
    return (unsigned)(p - out);
}

static void read_cd_range(MmcCall *k, uint32_t lba, uint32_t blocks)
{
    uint8_t fields = k->cdb[9] & 0xf8, type = k->cdb[1] >> 2 & 7;

    if (k->cdb[9] & 0x06 || k->cdb[10] & 7) /* C2 errors, sub-channels */
        fail(k, SENSE_INVALID_FIELD);
    else if (type && type != 2)
        fail(k, SENSE_ILLEGAL_MODE);
    else
        read_blocks(k, lba, blocks, spc_cd_sector(fields), fields);
}

static void read_cd(MmcCall *k) { read_cd_range(k, be32(k->cdb + 2), (uint32_t)load_be(k->cdb + 6, 3)); }

static uint32_t from_msf(const uint8_t *p) { return ((uint32_t)p[0] * 60 + p[1]) * MMC_FRAMES + p[2]; }

static void read_cd_msf(MmcCall *k)
{
    uint32_t from = from_msf(k->cdb + 3), to = from_msf(k->cdb + 6);

    if (from < MMC_LEAD_IN || to < from)
        fail(k, SENSE_INVALID_FIELD);
    else
        read_cd_range(k, from - MMC_LEAD_IN, to - from);
}

static void seek(MmcCall *k)
{
    if (be32(k->cdb + 2) >= mmc_sectors(k->m))
        fail(k, SENSE_LBA_RANGE);
}

static void verify(MmcCall *k)
{
    uint32_t sectors = mmc_sectors(k->m), blocks = be16(k->cdb + 7);

    if (k->cdb[1] & 2)
        fail(k, SENSE_INVALID_FIELD);
    else if (blocks > sectors || be32(k->cdb + 2) > sectors - blocks)
        fail(k, SENSE_LBA_RANGE);
}

static void nothing(MmcCall *k) { }

static void read_header(MmcCall *k)
{
    if (be32(k->cdb + 2) >= mmc_sectors(k->m)) {
        fail(k, SENSE_LBA_RANGE);
        return;
    }
    k->d[0] = 1;
    mmc_put_address(k->d + 4, be32(k->cdb + 2), k->cdb[1] & 2);
    mmc_reply(k, 8, be16(k->cdb + 7));
}

static void read_subchannel(MmcCall *k)
{
    k->d[1] = 0x15; /* no audio status */
    if (k->cdb[2] & 0x40 && k->cdb[3] > 3) {
        fail(k, SENSE_INVALID_FIELD);
        return;
    }
    mmc_reply(k, 4, be16(k->cdb + 7));
}

static const struct { uint8_t opcode, flags; void (*run)(MmcCall *k);
} commands[] = {
    { 0x00, NEEDS_MEDIUM, nothing },
    { 0x03, PASSES_ATTENTION, request_sense },
    { 0x12, PASSES_ATTENTION, mmc_inquiry },
    { 0x15, 0, mmc_mode_select },
    { 0x1a, 0, mmc_mode_sense },
    { 0x1b, 0, start_stop },
    { 0x1e, 0, prevent_allow },
    { 0x25, NEEDS_MEDIUM, mmc_read_capacity },
    { 0x28, NEEDS_MEDIUM, read10 },
    { 0x2b, NEEDS_MEDIUM, seek },
    { 0x2f, NEEDS_MEDIUM, verify },
    { 0x35, 0, nothing },
    { 0x42, NEEDS_MEDIUM, read_subchannel },
    { 0x43, NEEDS_MEDIUM, mmc_read_toc },
    { 0x44, NEEDS_MEDIUM, read_header },
    { 0x46, PASSES_ATTENTION, mmc_get_configuration },
    { 0x4a, PASSES_ATTENTION, mmc_get_event_status },
    { 0x4e, 0, nothing },
    { 0x51, NEEDS_MEDIUM, mmc_read_disc_info },
    { 0x52, NEEDS_MEDIUM, mmc_read_track_info },
    { 0x55, 0, mmc_mode_select },
    { 0x5a, 0, mmc_mode_sense },
    { 0xa8, NEEDS_MEDIUM, read12 },
    { 0xac, 0, mmc_get_performance },
    { 0xad, NEEDS_MEDIUM, mmc_read_dvd_structure },
    { 0xb9, NEEDS_MEDIUM, read_cd_msf },
    { 0xbb, 0, mmc_set_speed },
    { 0xbd, 0, mmc_mechanism_status },
    { 0xbe, NEEDS_MEDIUM, read_cd },
};

void mmc_execute(MmcDrive *m, const uint8_t cdb[16], uint8_t *data, MmcResult *r)
{
    MmcCall k = { m, cdb, data, r };
    unsigned i = 0;

    *r = (MmcResult){ .phase = MMC_DONE };
    while (i < ARRAY_LEN(commands) && commands[i].opcode != cdb[0])
        i++;
    if (i == ARRAY_LEN(commands)) {
        fail(&k, SENSE_INVALID_OPCODE);
        return;
    }
    if (cdb[0] != 0x03)
        m->sense = SENSE_NONE;
    if (!(commands[i].flags & PASSES_ATTENTION)) {
        uint32_t attention = next_attention(m);
        if (attention) {
            fail(&k, attention);
            return;
        }
    }
    if (commands[i].flags & NEEDS_MEDIUM && !mmc_sectors(m)) {
        fail(&k, m->tray_open ? SENSE_NO_MEDIUM_OPEN : SENSE_NO_MEDIUM);
        return;
    }
    memset(data, 0, 4096);
    commands[i].run(&k);
}

/* --- life --- */

/* The user's hand: putting in a medium closes the tray, taking it opens it. */
static void medium_changed(void *opaque, bool present)
{
    MmcDrive *m = opaque;

    lock_domain_lock(m->dev->domain);
    if (present) { /* another one: the guest sees it go first */
        m->present = false;
        m->tray_open = false;
    } else {
        m->tray_open = true;
        m->locked = false;
    }
    update_present(m);
    lock_domain_unlock(m->dev->domain);
}

static void eject_request(void *opaque, bool force)
{
    MmcDrive *m = opaque;

    lock_domain_lock(m->dev->domain);
    m->event_eject = true;
    if (force)
        m->locked = false;
    lock_domain_unlock(m->dev->domain);
}

static void resized(void *opaque) { }
static bool tray_open(void *opaque) { return ((MmcDrive *)opaque)->tray_open; }
static bool medium_locked(void *opaque) { return ((MmcDrive *)opaque)->locked; }
static const BlkDeviceOps device_ops = { medium_changed, eject_request, tray_open, medium_locked, resized };

void mmc_start(MmcDrive *m)
{
    m->speed = MMC_SPEED;
    if (m->blk)
        blk_set_device_ops(m->blk, &device_ops, m);
    m->present = m->blk && blk_inserted(m->blk);
}

void mmc_reset(MmcDrive *m)
{
    m->sense = SENSE_NONE;
    m->attention[0] = SENSE_POWER_ON;
    m->attention[1] = 0;
    m->locked = false;
    m->event_new_media = m->event_removal = m->event_eject = false;
    m->speed = MMC_SPEED;
    m->error_recovery = 0;
    m->retries = 5;
    m->present = !m->tray_open && m->blk && blk_inserted(m->blk);
}

/* The medium that is in the drive now counts, whatever was in it when the state was saved. */
bool mmc_loaded(MmcDrive *m)
{
    bool present = !m->tray_open && m->blk && blk_inserted(m->blk);

    if (present != m->present)
        update_present(m);
    return m->sense <= 0xffffff && m->attention[0] <= 0xffffff && m->attention[1] <= 0xffffff;
}

const StateField mmc_state[] = { STATE_U32(MmcDrive, sense),          STATE_U32_ARRAY(MmcDrive, attention),
                                 STATE_BOOL(MmcDrive, present),       STATE_BOOL(MmcDrive, tray_open),
                                 STATE_BOOL(MmcDrive, locked),        STATE_BOOL(MmcDrive, event_new_media),
                                 STATE_BOOL(MmcDrive, event_removal), STATE_BOOL(MmcDrive, event_eject),
                                 STATE_U16(MmcDrive, speed),          STATE_U8(MmcDrive, error_recovery),
                                 STATE_U8(MmcDrive, retries),         STATE_END_OF_TABLE };
