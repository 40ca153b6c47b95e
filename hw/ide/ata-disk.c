/* SPDX-License-Identifier: MIT */
/* The commands of an ATA disk (ACS-3, chapter 7). */
#include <string.h>
#include "base/bits.h"
#include "hw/ide/ata.h"

enum { TRIM_BLOCKS = ATA_BUFFER / ATA_SECTOR, LOG_NCQ_ERROR = 0x10 };
enum {
    SMART_READ_DATA = 0xd0,
    SMART_THRESHOLDS,
    SMART_AUTOSAVE,
    SMART_SAVE,
    SMART_OFFLINE,
    SMART_READ_LOG,
    SMART_ENABLE = 0xd8,
    SMART_DISABLE,
    SMART_STATUS
};

static uint8_t checksum(const uint8_t *d)
{
    uint8_t sum = 0;
    for (unsigned i = 0; i < ATA_SECTOR - 1; i++)
        sum = (uint8_t)(sum + d[i]);
    return (uint8_t)-sum;
}

/* --- IDENTIFY DEVICE (7.12) --- */

/* Two characters in each word, the first in the high byte. */
void ata_identify_text(uint8_t *words, unsigned first, unsigned count, const char *text)
{
    for (unsigned i = 0; i < count * 2; i++) {
        words[first * 2 + (i ^ 1)] = (uint8_t)(*text ? *text : ' ');
        text += *text != 0;
    }
}

static void set_word(uint8_t *d, unsigned word, unsigned value) { store_le16(d + word * 2, (uint16_t)value); }

static void identify_geometry(const AtaDrive *a, uint8_t *d)
{
    uint64_t sectors = ata_sectors(a);
    uint32_t chs = (uint32_t)a->cur_heads * a->cur_secs, cyls = chs ? (uint32_t)MIN(sectors / chs, 65535) : 0;

    set_word(d, 1, a->geometry.cyls);
    set_word(d, 3, a->geometry.heads);
    set_word(d, 6, a->geometry.secs);
    set_word(d, 54, cyls);
    set_word(d, 55, a->cur_heads);
    set_word(d, 56, a->cur_secs);
    store_le32(d + 57 * 2, cyls * chs);
    store_le32(d + 60 * 2, (uint32_t)MIN(sectors, 0x0fffffff));
    store_le64(d + 100 * 2, sectors);
}

static void identify_modes(const AtaDrive *a, uint8_t *d)
{
    unsigned mode = a->dma_mode;

    set_word(d, 62, 0);
    set_word(d, 63, 7 | (mode >> 3 == 4 ? 1u << (8 + (mode & 7)) : 0));
    set_word(d, 64, 3);
    for (unsigned w = 65; w <= 68; w++)
        set_word(d, w, 120);
    set_word(d, 88, 0x3f | (mode >> 3 == 8 ? 1u << (8 + (mode & 7)) : 0));
}

static void identify_link(const AtaDrive *a, uint8_t *d)
{
    if (a->bus->ops->sata) {
        set_word(d, 75, ATA_TAGS - 1);
        set_word(d, 76, 0x0106); /* NCQ, generations 1 and 2 */
        set_word(d, 222, 0x1020);
    } else {
        set_word(d, 93, a->unit ? 0x6001 | 0x0600 : 0x6001); /* 80 wires */
    }
}

static bool trims(const AtaDrive *a) { return a->blk && a->drive.discard_granularity && blk_writable(a->blk); }

void ata_identify_disk(const AtaDrive *a, uint8_t d[ATA_SECTOR])
{
    unsigned shift = (unsigned)__builtin_ctz(a->drive.physical_block_size / ATA_SECTOR);

    memset(d, 0, ATA_SECTOR);
    set_word(d, 0, 0x0040);
    set_word(d, 4, ATA_SECTOR * a->geometry.secs);
    set_word(d, 5, ATA_SECTOR);
    ata_identify_text(d, 10, 10, a->serial);
    set_word(d, 20, 3);
    set_word(d, 21, 512);
    set_word(d, 22, 4);
    ata_identify_text(d, 23, 4, a->version);
    ata_identify_text(d, 27, 20, a->model);
    set_word(d, 47, 0x8000 | ATA_MULTIPLE_MAX);
    set_word(d, 48, 1);
    set_word(d, 49, 0x0f00); /* DMA, LBA, IORDY, standby timer by the standard */
    set_word(d, 50, 0x4000);
    set_word(d, 51, 0x200);
    set_word(d, 52, 0x200);
    set_word(d, 53, 7);
    set_word(d, 59, a->multiple ? 0x100u | a->multiple : 0);
    identify_geometry(a, d);
    identify_modes(a, d);
    identify_link(a, d);
    if (trims(a))
        set_word(d, 69, 1 << 14 | 1 << 5); /* TRIM: what it leaves is defined, and zero */
    set_word(d, 80, 0x01f0);  /* ATA-4 to ATA8 */
    set_word(d, 81, 0x16);
    /* NOP, write cache, look-ahead, SMART, power management */
    set_word(d, 82, 0x4021 | 1 << 3 | 1 << 6);
    set_word(d, 83, 0x7400 | (1 << 3));                        /* FLUSH CACHE (EXT), 48-bit, APM */
    set_word(d, 84, 0x4000 | 1 << 6 | (a->wwn ? 1 << 8 : 0));  /* FUA EXT */
    set_word(d, 85, 0x4000 | a->smart | 1 << 3 | (a->write_cache ? 1 << 5 : 0) | (a->look_ahead ? 1 << 6 : 0));
    set_word(d, 86, 0x3400 | (a->apm ? 1 << 3 : 0));
    set_word(d, 87, 0x4000 | 1 << 6 | (a->wwn ? 1 << 8 : 0));
    set_word(d, 91, a->apm);
    set_word(d, 105, trims(a) ? 8 : 0);
    set_word(d, 106, 0x6000 | shift);
    for (unsigned i = 0; a->wwn && i < 4; i++)
        set_word(d, 108 + i, (unsigned)(a->wwn >> (48 - 16 * i) & 0xffff));
    if (trims(a))
        set_word(d, 169, 1);
    set_word(d, 209, 0x4000);
    set_word(d, 217, a->rotation_rate);
    d[510] = 0xa5;
    d[511] = checksum(d);
}

static void cmd_identify(AtaDrive *a, AtaCommand *c)
{
    ata_identify_disk(a, a->data);
    a->data_len = ATA_SECTOR;
    ata_start(c, FLOW_IN, false, ATA_SECTOR);
}

/* --- reading and writing --- */

/* Where and how much (7.1.5): 48 bits, 28 bits or cylinder, head, sector. false: out of range. */
static bool address(AtaDrive *a, bool ext, uint64_t *lba, uint32_t *count)
{
    const AtaRegs *r = &a->r;
    uint32_t low = r->low[0] | (uint32_t)r->mid[0] << 8 | (uint32_t)r->high[0] << 16;

    *count = ext ? r->count[0] | (uint32_t)r->count[1] << 8 : r->count[0];
    if (!*count)
        *count = ext ? 65536 : 256;
    if (ext) {
        *lba = low | (uint64_t)r->low[1] << 24 | (uint64_t)r->mid[1] << 32 | (uint64_t)r->high[1] << 40;
    } else if (r->device & ATA_LBA_MODE) {
        *lba = low | (uint64_t)(r->device & 0xf) << 24;
    } else {
        uint32_t cyl = r->mid[0] | (uint32_t)r->high[0] << 8, head = r->device & 0xf, sector = r->low[0];
        if (!sector || sector > a->cur_secs || head >= a->cur_heads)
            return false;
        *lba = ((uint64_t)cyl * a->cur_heads + head) * a->cur_secs + sector - 1;
    }
    uint64_t sectors = ata_sectors(a);
    return *count <= sectors && *lba <= sectors - *count;
}

static void transfer(AtaDrive *a, AtaCommand *c, bool write, bool dma)
{
    uint64_t lba;
    uint32_t count;

    if (!address(a, c->ext, &lba, &count)) {
        ata_out_of_range(c, write ? BLK_WRITE : BLK_READ);
    } else if (write && !blk_writable(a->blk)) {
        ata_finish(c, ATA_ABRT);
    } else {
        a->standby = false;
        c->offset = lba * ATA_SECTOR;
        ata_start(c, write ? FLOW_WRITE : FLOW_READ, dma, (uint64_t)count * ATA_SECTOR);
    }
}

/* READ/WRITE SECTORS move one sector a block; the multiple count is for the others. Commands by the data port only. */
static void by_port(AtaDrive *a, AtaCommand *c, bool write, bool multiple)
{
    c->drq = multiple ? a->multiple : 1;
    if (!c->drq)
        ata_finish(c, ATA_ABRT);
    else
        transfer(a, c, write, false);
}

static void cmd_read(AtaDrive *a, AtaCommand *c) { by_port(a, c, false, false); }
static void cmd_write(AtaDrive *a, AtaCommand *c) { by_port(a, c, true, false); }
static void cmd_read_multiple(AtaDrive *a, AtaCommand *c) { by_port(a, c, false, true); }
static void cmd_write_multiple(AtaDrive *a, AtaCommand *c) { by_port(a, c, true, true); }
static void cmd_read_dma(AtaDrive *a, AtaCommand *c) { transfer(a, c, false, true); }
static void cmd_write_dma(AtaDrive *a, AtaCommand *c) { transfer(a, c, true, true); }

static void cmd_write_fua(AtaDrive *a, AtaCommand *c)
{
    c->fua = true;
    if (c->opcode == 0x3d)
        transfer(a, c, true, true);
    else
        by_port(a, c, true, true);
}

static void cmd_verify(AtaDrive *a, AtaCommand *c)
{
    uint64_t lba;
    uint32_t count;

    ata_finish(c, address(a, c->ext, &lba, &count) ? 0 : ATA_IDNF);
}

static void cmd_flush(AtaDrive *a, AtaCommand *c) { ata_start_stage(c, STAGE_PLAIN, BLK_FLUSH); }

/* --- DATA SET MANAGEMENT (7.5) --- */

static void cmd_dsm(AtaDrive *a, AtaCommand *c)
{
    uint32_t blocks = a->r.count[0] | (uint32_t)a->r.count[1] << 8;

    if (!(a->r.feature[0] & 1) || !blocks || blocks > TRIM_BLOCKS || !trims(a))
        ata_finish(c, ATA_ABRT);
    else
        ata_start(c, FLOW_OUT, true, (uint64_t)blocks * ATA_SECTOR);
}

bool ata_disk_ranges(AtaCommand *c)
{
    AtaDrive *a = c->a;

    if (c->result) {
        ata_finish(c, ATA_ABRT);
        return false;
    }
    for (; a->buf_at < c->bytes; a->buf_at += 8) {
        uint64_t range = load_le64(a->data + a->buf_at), lba = range & bits_mask(48), count = range >> 48,
                 sectors = ata_sectors(a);
        if (!count)
            continue;
        if (count > sectors || lba > sectors - count) {
            ata_out_of_range(c, BLK_DISCARD);
            return false;
        }
        a->buf_at += 8;
        return ata_go(c, BLK_DISCARD, lba * ATA_SECTOR, count * ATA_SECTOR, NULL, 0);
    }
    ata_finish(c, 0);
    return false;
}

bool ata_disk_over(AtaCommand *c)
{
    if (c->flow == FLOW_OUT && c->opcode == 0x06) {
        c->a->buf_at = 0;
        c->result = 0;
        c->stage = STAGE_RANGES;
        return true;
    }
    ata_finish(c, 0);
    return false;
}

/* --- logs and SMART --- */

static void reply(AtaDrive *a, AtaCommand *c, uint32_t len, bool dma)
{
    a->data_len = len;
    ata_start(c, FLOW_IN, dma, len);
}

/* READ LOG (DMA) EXT (7.24): the directory, and of what the queue stopped at. */
static void cmd_read_log(AtaDrive *a, AtaCommand *c)
{
    uint8_t log = a->r.low[0], *d = a->data;
    uint32_t count = a->r.count[0] | (uint32_t)a->r.count[1] << 8, page = a->r.mid[0] | (uint32_t)a->r.mid[1] << 8;
    const AtaNcqError *e = &a->ncq_error;

    if (count != 1 || page || (log && log != LOG_NCQ_ERROR)) {
        ata_finish(c, ATA_ABRT);
        return;
    }
    memset(d, 0, ATA_SECTOR);
    if (!log) {
        set_word(d, 0, 1);
        set_word(d, LOG_NCQ_ERROR, 1);
    } else {
        d[0] = e->tag;
        d[2] = e->status;
        d[3] = e->error;
        for (unsigned i = 0; i < 3; i++) {
            d[4 + i] = (uint8_t)(e->lba >> 8 * i);
            d[8 + i] = (uint8_t)(e->lba >> (24 + 8 * i));
        }
        d[7] = e->device;
        store_le16(d + 12, e->count);
        d[511] = checksum(d);
        a->ncq_halted = false;
    }
    reply(a, c, ATA_SECTOR, c->opcode == 0x47);
}

/* One row for each attribute: id, flags, value = worst, threshold. */
static const struct { uint8_t id, flags, value, threshold;
} attributes[] = {
    { 1, 3, 100, 6 }, { 3, 3, 100, 0 },  { 4, 2, 100, 20 },  { 5, 3, 100, 36 },
    { 9, 3, 100, 0 }, { 12, 3, 100, 0 }, { 190, 3, 69, 50 },
};

static void smart_data(uint8_t *d, bool thresholds)
{
    memset(d, 0, ATA_SECTOR);
    set_word(d, 0, 1);
    for (unsigned i = 0; i < ARRAY_LEN(attributes); i++) {
        uint8_t *e = d + 2 + i * 12;
        e[0] = attributes[i].id;
        e[1] = thresholds ? attributes[i].threshold : attributes[i].flags;
        if (!thresholds)
            e[3] = e[4] = attributes[i].value;
    }
    if (!thresholds) {
        d[362] = 2;                /* off-line collection completed */
        set_word(d, 364 / 2, 288); /* seconds */
        d[367] = 0x19;
        set_word(d, 368 / 2, 3);
        d[370] = 1;
        d[372] = 2;
        d[373] = 54;
    }
    d[511] = checksum(d);
}

static void cmd_smart(AtaDrive *a, AtaCommand *c)
{
    uint8_t what = a->r.feature[0];

    if (a->r.mid[0] != 0x4f || a->r.high[0] != 0xc2 || (!a->smart && what != SMART_ENABLE)) {
        ata_finish(c, ATA_ABRT);
        return;
    }
    switch (what) {
    case SMART_ENABLE: case SMART_DISABLE: a->smart = what == SMART_ENABLE; break;
    case SMART_AUTOSAVE: case SMART_SAVE: case SMART_OFFLINE: break;
    case SMART_STATUS: break; /* 4f, c2 stay: no threshold is exceeded */
    case SMART_READ_DATA: case SMART_THRESHOLDS:
        smart_data(a->data, what == SMART_THRESHOLDS);
        reply(a, c, ATA_SECTOR, false);
        return;
    case SMART_READ_LOG:
        if (a->r.low[0] > 1 && a->r.low[0] != 6) {
            ata_finish(c, ATA_ABRT);
            return;
        }
        memset(a->data, 0, ATA_SECTOR);
        a->data[0] = 1;
        a->data[511] = a->r.low[0] ? checksum(a->data) : 0;
        reply(a, c, ATA_SECTOR, false);
        return;
    default: ata_finish(c, ATA_ABRT); return;
    }
    ata_finish(c, 0);
}

/* --- settings --- */

void ata_cmd_set_features(AtaDrive *a, AtaCommand *c)
{
    uint8_t value = a->r.count[0];

    switch (a->r.feature[0]) {
    case 0x02: a->write_cache = true; break;
    case 0x82: /* what is in the cache goes to the medium */
        a->write_cache = false;
        ata_start_stage(c, STAGE_PLAIN, BLK_FLUSH);
        return;
    case 0x03:
        if (!(value <= 1 || (value >= 0x08 && value <= 0x0c) || (value >= 0x20 && value <= 0x22) ||
              (value >= 0x40 && value <= 0x45))) {
            ata_finish(c, ATA_ABRT);
            return;
        }
        if (value >= 0x20)
            a->dma_mode = value;
        break;
    case 0x05: a->apm = value; break;
    case 0x85: a->apm = 0; break;
    case 0xaa: case 0x55: a->look_ahead = a->r.feature[0] == 0xaa; break;
    case 0x66: case 0xcc: break;
    case 0x10: case 0x90:
        if (a->bus->ops->sata)
            break;
        ata_finish(c, ATA_ABRT);
        return;
    default: ata_finish(c, ATA_ABRT); return;
    }
    ata_finish(c, 0);
}

static void cmd_set_multiple(AtaDrive *a, AtaCommand *c)
{
    uint8_t n = a->r.count[0];

    if (n > ATA_MULTIPLE_MAX || (n && !is_pow2(n))) {
        ata_finish(c, ATA_ABRT);
        return;
    }
    a->multiple = n;
    ata_finish(c, 0);
}

static void cmd_init_parameters(AtaDrive *a, AtaCommand *c)
{
    if (!a->r.count[0]) {
        ata_finish(c, ATA_ABRT);
        return;
    }
    a->cur_secs = a->r.count[0];
    a->cur_heads = (uint8_t)((a->r.device & 0xf) + 1);
    ata_finish(c, 0);
}

static void cmd_native_max(AtaDrive *a, AtaCommand *c)
{
    uint64_t last = ata_sectors(a) ? ata_sectors(a) - 1 : 0;

    ata_set_lba(a, c->ext ? last : MIN(last, 0x0fffffff), c->ext);
    ata_finish(c, 0);
}

void ata_cmd_check_power(AtaDrive *a, AtaCommand *c)
{
    a->r.count[0] = a->standby ? 0 : 0xff;
    ata_finish(c, 0);
}

static void cmd_idle(AtaDrive *a, AtaCommand *c)
{
    a->standby = false;
    ata_finish(c, 0);
}

static void cmd_standby(AtaDrive *a, AtaCommand *c)
{
    a->standby = true;
    ata_start_stage(c, STAGE_PLAIN, BLK_FLUSH);
}

void ata_cmd_diagnostic(AtaDrive *a, AtaCommand *c)
{
    ata_set_signature(a);
    a->r.device = 0;
    ata_finish(c, 0);
    a->r.error = 1;
}

void ata_cmd_ok(AtaDrive *a, AtaCommand *c) { ata_finish(c, 0); }

const AtaRow ata_disk_rows[] = {
    { 0x06, ROW_EXT, cmd_dsm },
    { 0x10, 0, ata_cmd_ok }, /* RECALIBRATE */
    { 0x20, 0, cmd_read },
    { 0x21, 0, cmd_read },
    { 0x24, ROW_EXT, cmd_read },
    { 0x25, ROW_EXT, cmd_read_dma },
    { 0x27, ROW_EXT, cmd_native_max },
    { 0x29, ROW_EXT, cmd_read_multiple },
    { 0x2f, ROW_EXT, cmd_read_log },
    { 0x47, ROW_EXT, cmd_read_log },
    { 0x30, 0, cmd_write },
    { 0x31, 0, cmd_write },
    { 0x34, ROW_EXT, cmd_write },
    { 0x35, ROW_EXT, cmd_write_dma },
    { 0x39, ROW_EXT, cmd_write_multiple },
    { 0x3d, ROW_EXT, cmd_write_fua },
    { 0xce, ROW_EXT, cmd_write_fua },
    { 0x40, 0, cmd_verify },
    { 0x41, 0, cmd_verify },
    { 0x42, ROW_EXT, cmd_verify },
    { 0x70, 0, ata_cmd_ok }, /* SEEK */
    { 0x90, 0, ata_cmd_diagnostic },
    { 0x91, 0, cmd_init_parameters },
    { 0xb0, 0, cmd_smart },
    { 0xc4, 0, cmd_read_multiple },
    { 0xc5, 0, cmd_write_multiple },
    { 0xc6, 0, cmd_set_multiple },
    { 0xc8, 0, cmd_read_dma },
    { 0xc9, 0, cmd_read_dma },
    { 0xca, 0, cmd_write_dma },
    { 0xcb, 0, cmd_write_dma },
    { 0xe0, 0, cmd_standby },
    { 0xe1, 0, cmd_idle },
    { 0xe2, 0, cmd_standby },
    { 0xe3, 0, cmd_idle },
    { 0x94, 0, cmd_standby },
    { 0x95, 0, cmd_idle },
    { 0x96, 0, cmd_standby },
    { 0x97, 0, cmd_idle },
    { 0x98, 0, ata_cmd_check_power },
    { 0x99, 0, cmd_standby },
    { 0xe5, 0, ata_cmd_check_power },
    { 0xe6, 0, cmd_standby },
    { 0xe7, 0, cmd_flush },
    { 0xea, ROW_EXT, cmd_flush },
    { 0xec, 0, cmd_identify },
    { 0xef, 0, ata_cmd_set_features },
    { 0xf8, 0, cmd_native_max },
    { 0 },
};
