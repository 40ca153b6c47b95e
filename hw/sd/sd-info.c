/* SPDX-License-Identifier: MIT */
/*
 * Registers of an SD card or eMMC: CID, CSD, SCR, SD status, functions, EXT_CSD (chapter 5, 4.3.10, 4.10.2; JESD84-B51,
 * 7.4).
 */
#include <string.h>
#include "base/bits.h"
#include "hw/sd/sd-internal.h"

/* Bits hi..lo of a register of `len` bytes, whose first byte holds its highest bits. */
static void put(uint8_t *r, size_t len, unsigned hi, unsigned lo, uint64_t value)
{
    for (unsigned bit = lo; bit <= hi; bit++, value >>= 1) {
        uint8_t *byte = &r[len - 1 - bit / 8];
        *byte = (uint8_t)((*byte & ~(1u << bit % 8)) | (value & 1) << bit % 8);
    }
}

uint8_t sd_crc7(const uint8_t *p, size_t len)
{
    unsigned crc = 0;
    for (size_t i = 0; i < len; i++)
        for (unsigned bit = 8; bit--;) {
            bool x = (crc >> 6 ^ p[i] >> bit) & 1;
            crc = (crc << 1 & 0x7f) ^ (x ? 9 : 0);
        }
    return (uint8_t)crc;
}

typedef struct Bits { uint8_t hi, lo; uint32_t value; } Bits;
static void put_rows(uint8_t r[16], const Bits *rows, unsigned n)
{
    memset(r, 0, 16);
    for (unsigned i = 0; i < n; i++)
        put(r, 16, rows[i].hi, rows[i].lo, rows[i].value);
}

/* 5.3.2: up to 2 GiB. C_SIZE has 12 bits, the block 512 to 2048 bytes, the multiplier 4 to 512. */
static bool geometry(uint64_t size, unsigned *bl_len, unsigned *mult, unsigned *c_size)
{
    for (*bl_len = 9; *bl_len <= 11; ++*bl_len)
        for (*mult = 0; *mult < 8; ++*mult) {
            uint64_t unit = UINT64_C(1) << (*bl_len + *mult + 2);
            if (size >= unit && size % unit == 0 && size / unit <= 4096) {
                *c_size = (unsigned)(size / unit) - 1;
                return true;
            }
        }
    return false;
}

enum { SDSC_MAX = 1u << 31, HC_UNIT = 512 << 10 };
bool sd_size_fits(uint64_t size, bool emmc)
{
    unsigned a, b, c;
    return size > SDSC_MAX ? size % HC_UNIT == 0 && size <= UINT64_C(2) << 40 : geometry(size, &a, &b, &c);
}

static void make_csd(SdCard *c)
{
    unsigned bl_len = 9, mult = 7, c_size = 0xfff;
    if (!c->high_capacity)
        geometry(c->size, &bl_len, &mult, &c_size);
    const Bits common[] = {
        { 119, 112, 0x26 }, { 111, 104, 0 }, { 103, 96, 0x32 }, /* 1.5 ms, 25 MHz */
        { 95, 84, 0x5b5 },  /* classes 0, 2, 4, 5, 7, 8, 10 */
        { 83, 80, bl_len }, { 46, 46, 1 }, { 45, 39, 0x7f }, { 28, 26, 2 }, { 25, 22, bl_len },
    };
    put_rows(c->csd, common, ARRAY_LEN(common));
    if (c->high_capacity && !c->emmc) {
        put(c->csd, 16, 127, 126, 1);
        put(c->csd, 16, 69, 48, c->size / HC_UNIT - 1);
    } else {
        put(c->csd, 16, 79, 79, !c->emmc); /* partial reads */
        put(c->csd, 16, 73, 62, c_size);
        put(c->csd, 16, 61, 50, 0x924 | 0x6db >> 1); /* currents: middling */
        put(c->csd, 16, 49, 47, mult);
    }
    if (c->emmc) {
        put(c->csd, 16, 127, 122, 3 << 4 | 4); /* structure in EXT_CSD, version 4 */
        put(c->csd, 16, 46, 37, 0x3ff);        /* erase groups of 1024 blocks */
    }
    c->csd[15] = (uint8_t)(sd_crc7(c->csd, 15) << 1 | 1);
}

static void make_ext_csd(SdCard *c)
{
    uint8_t *e = c->ext_csd;
    uint32_t sectors = (uint32_t)(c->size / SD_BLOCK);
    memset(e, 0, sizeof c->ext_csd);
    e[192] = 5;    /* revision: 4.41 */
    e[194] = 2;    /* CSD structure 1.2 */
    e[196] = 3;    /* 26 and 52 MHz */
    e[183] = 0;
    e[175] = 0;
    store_le32(e + 212, sectors);
    e[221] = 1; e[222] = 1; e[223] = 1; e[224] = 1; /* high-capacity write protect and erase groups: 512 KiB */
    e[226] = 0;    /* no boot partitions */
    e[231] = 0;    /* no secure erase, no trim */
    e[241] = 1;
    e[504] = 1;    /* command set: standard */
}

void sd_make_registers(SdCard *c)
{
    const char *serial = drive_serial(&c->dev, &c->drive, c->blk);
    const Bits cid[] = {
        { 127, 120, 0xaa },
        { 119, 104, c->emmc ? 0x0100 : 'X' << 8 | 'Y' },
        { 63, 56, 1 },
        { 55, 24, g_str_hash(serial) },
        { 19, 8, c->emmc ? 0x1e00 >> 4 : 0x162 }, /* made in February 2022 */
    };
    c->high_capacity = c->size > SDSC_MAX;
    put_rows(c->cid, cid, ARRAY_LEN(cid));
    memcpy(c->cid + 3, "RHEA!", 5);
    c->cid[15] = (uint8_t)(sd_crc7(c->cid, 15) << 1 | 1);
    make_csd(c);
    make_ext_csd(c);
}

/* 5.6 */
void sd_make_scr(const SdCard *c, uint8_t out[8])
{
    memset(out, 0, 8);
    out[0] = c->spec_version >= 2 ? 2 : 1;
    out[1] = 5;                               /* erased is 0, no security, bus widths 1 and 4 */
    out[2] = c->spec_version >= 3 ? 0x80 : 0; /* 3.0 */
    out[3] = c->spec_version >= 3 ? 2 : 0;    /* CMD23 */
}

/* 4.10.2 */
void sd_make_status(const SdCard *c, uint8_t out[64])
{
    memset(out, 0, 64);
    out[0] = (uint8_t)(c->bus_width << 6);
    out[8] = 4;    /* class 10 */
    out[9] = 2;    /* MB/s when moving data within the card */
    out[10] = 0x90; /* allocation units of 4 MiB */
    out[12] = 1;   /* so many units are erased ... */
    out[13] = 1 << 2; /* ... within one second */
}

void sd_switch_function(SdCard *c, uint32_t arg, uint8_t out[64])
{
    unsigned chosen[6];
    bool wrong = false;
    memset(out, 0, 64);
    for (unsigned g = 0; g < 6; g++) {
        unsigned f = arg >> 4 * g & 15, supported = g ? 1 : 3; /* group 1: default and high speed */
        chosen[g] = f == 15 ? (g ? 0 : c->function) : supported >> f & 1 ? f : 15;
        wrong |= chosen[g] == 15;
        store_be(out + 12 - 2 * g, 2, 0x8000 | supported);
    }
    if (!wrong)
        store_be(out, 2, 64); /* mA */
    for (unsigned g = 0; g < 6; g += 2)
        out[16 - g / 2] = (uint8_t)(chosen[g + 1] << 4 | chosen[g]);
    if (arg >> 31 && !wrong)
        c->function = (uint8_t)chosen[0];
}
