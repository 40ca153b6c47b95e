/* SPDX-License-Identifier: MIT */
/*
 * SCSI sense data and CDBs: where addresses and lengths stand (SPC-4 4.3, 4.5; SBC-3 chapter 5; MMC-6 chapter 6; SAT-3
 * 12.2).
 */
#include "hw/storage/spc.h"
#include <glib.h>
#include <string.h>
#include "base/bits.h"

/* --- sense --- */

void spc_sense_fixed(uint32_t sense, uint8_t *out)
{
    memset(out, 0, SPC_SENSE_BYTES);
    out[0] = 0x70;
    out[2] = (uint8_t)(sense >> 16);
    out[7] = 10;
    out[12] = (uint8_t)(sense >> 8);
    out[13] = (uint8_t)sense;
}

uint32_t spc_sense_parse(const uint8_t *d, size_t len)
{
    unsigned format = len ? d[0] & 0x7f : 0;
    if ((format == 0x70 || format == 0x71) && len >= 14)
        return (d[2] & 15u) << 16 | (uint32_t)d[12] << 8 | d[13];
    if ((format == 0x72 || format == 0x73) && len >= 4)
        return (d[1] & 15u) << 16 | (uint32_t)d[2] << 8 | d[3];
    return SENSE_NONE;
}

/* --- CDBs --- */

unsigned spc_cdb_length(uint8_t op)
{
    static const uint8_t length[8] = { 6, 10, 10, 16, 16, 12, 10, 10 };
    return length[op >> 5];
}

uint64_t spc_lba(const uint8_t *cdb)
{
    switch (cdb[0] >> 5) {
    case 0: return load_be(cdb + 1, 3) & 0x1fffff;
    case 4: return load_be(cdb + 2, 8);
    default: return load_be(cdb + 2, 4);
    }
}

uint32_t spc_count(const uint8_t *cdb)
{
    switch (cdb[0] >> 5) {
    case 0: return cdb[4] ? cdb[4] : 256;
    case 4: return (uint32_t)load_be(cdb + 10, 4);
    case 5: return (uint32_t)load_be(cdb + 6, 4);
    default: return (uint32_t)load_be(cdb + 7, 2);
    }
}

/* Sync 12, header 4, data 2048, EDC and ECC 288. */
unsigned spc_cd_sector(uint8_t fields)
{
    return (fields & 0x80 ? 12u : 0) + (fields & 0x20 ? 4u : 0) + (fields & 0x10 ? 2048u : 0) +
           (fields & 0x08 ? 288u : 0);
}

static uint64_t read_cd_bytes(const uint8_t *c)
{
    uint32_t from = (c[3] * 60u + c[4]) * 75 + c[5], to = (c[6] * 60u + c[7]) * 75 + c[8];
    uint64_t count = c[0] == 0xbe ? load_be(c + 6, 3) : to > from ? to - from : 0;
    return count * spc_cd_sector(c[9]);
}

/* ATA PASS-THROUGH: T_LENGTH says which register counts, BYT_BLOK what. */
static uint64_t ata_bytes(const uint8_t *c)
{
    bool wide = c[0] == 0x85;
    unsigned field = c[2] & 3, at = (wide ? 4u : 3u) + (field == 2 ? (wide ? 2u : 1u) : 0);
    uint64_t n = field == 1 || field == 2 ? c[at] | (wide && c[1] & 1 ? (uint64_t)c[at - 1] << 8 : 0) : 0;
    return c[2] & 4 ? n * 512 : n;
}

typedef enum Length {
    NONE,
    AT4,
    AT3W,
    AT5L,
    AT6T,
    AT6L,
    AT7W,
    AT8W,
    AT9W,
    AT10L,
    EIGHT,
    BLOCKS,
    CHECKED,
    ONE_BLOCK,
    TWICE,
    RANGES,
    FORMAT,
    RAW,
    ATA
} Length;

static uint64_t bytes_of(const uint8_t *c, Length how, uint32_t block)
{
    switch (how) {
    case AT4: return c[4];
    case AT3W: return load_be(c + 3, 2);
    case AT5L: return load_be(c + 5, 4);
    case AT6T: return load_be(c + 6, 3);
    case AT6L: return load_be(c + 6, 4);
    case AT7W: return load_be(c + 7, 2);
    case AT8W: return load_be(c + 8, 2);
    case AT9W: return load_be(c + 9, 2);
    case AT10L: return load_be(c + 10, 4);
    case EIGHT: return 8;
    case BLOCKS: return (uint64_t)spc_count(c) * block;
    case CHECKED:
        return (c[1] >> 1 & 3) == 1 ? (uint64_t)spc_count(c) * block : (c[1] >> 1 & 3) == 3 ? block : 0; /* BYTCHK */
    case ONE_BLOCK: return c[0] == 0x93 && c[1] & 1 ? 0 : block; /* NDOB */
    case TWICE: return 2ull * c[13] * block;
    case RANGES: return 8 + 16 * load_be(c + 8, 2);
    case FORMAT: return !(c[1] & 0x10) ? 0 : c[1] & 0x20 ? 8 : 4; /* FMTDATA, LONGLIST */
    case RAW: return read_cd_bytes(c);
    case ATA: return ata_bytes(c);
    default: return 0;
    }
}

/* By operation code; `out`: to the device. */
typedef struct Row { uint8_t op, how; bool out; } Row;
static const Row common[] = {
    { 0x03, AT4, false },    { 0x04, FORMAT, true },    { 0x08, BLOCKS, false }, { 0x0a, BLOCKS, true },
    { 0x12, AT3W, false },   { 0x15, AT4, true },       { 0x1a, AT4, false },    { 0x1c, AT3W, false },
    { 0x1d, AT3W, true },    { 0x25, EIGHT, false },    { 0x28, BLOCKS, false }, { 0x2a, BLOCKS, true },
    { 0x2e, BLOCKS, true },  { 0x2f, CHECKED, true },   { 0x37, AT7W, false },   { 0x3b, AT6T, true },
    { 0x3c, AT6T, false },   { 0x41, ONE_BLOCK, true }, { 0x42, AT7W, true },    { 0x4c, AT7W, true },
    { 0x4d, AT7W, false },   { 0x55, AT7W, true },      { 0x5a, AT7W, false },   { 0x5e, AT7W, false },
    { 0x5f, AT5L, true },    { 0x83, AT10L, true },     { 0x84, AT10L, false },  { 0x85, ATA, true },
    { 0x86, AT10L, false },  { 0x88, BLOCKS, false },   { 0x89, TWICE, true },   { 0x8a, BLOCKS, true },
    { 0x8b, BLOCKS, true },  { 0x8c, AT10L, false },    { 0x8d, AT10L, true },   { 0x8e, BLOCKS, true },
    { 0x8f, CHECKED, true }, { 0x93, ONE_BLOCK, true }, { 0x9e, AT10L, false },  { 0xa0, AT6L, false },
    { 0xa1, ATA, true },     { 0xa2, AT6L, false },     { 0xa3, AT6L, false },   { 0xa4, AT6L, true },
    { 0xa8, BLOCKS, false }, { 0xaa, BLOCKS, true },    { 0xae, BLOCKS, true },  { 0xaf, CHECKED, true },
    { 0xb5, AT6L, true },    { 0xb7, AT6L, false },
};
/* Where MMC has other commands. */
static const Row of_cds[] = {
    { 0x23, AT7W, false },   { 0x2f, NONE, false }, { 0x42, AT7W, false }, { 0x43, AT7W, false }, { 0x44, AT7W, false },
    { 0x46, AT7W, false },   { 0x4a, AT7W, false }, { 0x51, AT7W, false }, { 0x52, AT7W, false }, { 0x54, AT7W, true },
    { 0x5c, AT7W, false },   { 0x5d, AT6T, true },  { 0xa1, NONE, false }, { 0xa3, AT8W, true },  { 0xa4, AT8W, false },
    { 0xac, RANGES, false }, { 0xad, AT8W, false }, { 0xb6, AT9W, true },  { 0xb9, RAW, false },  { 0xbd, AT8W, false },
    { 0xbe, RAW, false },    { 0xbf, AT8W, true },
};

static const Row *find(const Row *rows, unsigned n, uint8_t op)
{
    for (unsigned i = 0; i < n; i++) {
        if (rows[i].op == op)
            return &rows[i];
    }
    return NULL;
}

uint64_t spc_transfer(const uint8_t *c, unsigned type, uint32_t block, bool *out)
{
    const Row *r = type == SPC_CD ? find(of_cds, ARRAY_LEN(of_cds), c[0]) : NULL;
    if (!r)
        r = find(common, ARRAY_LEN(common), c[0]);
    *out = r && (r->how == ATA ? !(c[2] & 8) : r->out);
    if (type == SPC_TAPE && (c[0] == 0x08 || c[0] == 0x0a)) /* FIXED: blocks, else bytes */
        return load_be(c + 2, 3) * (c[1] & 1 ? block : 1);
    return r ? bytes_of(c, r->how, block) : 0;
}
