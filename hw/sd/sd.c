/* SPDX-License-Identifier: MIT */
/*
 * The commands and states of an SD card or eMMC (SD Physical Layer Simplified Specification 3.01, chapter 4;
 * JESD84-B51, chapter 6).
 */
#include <string.h>
#include "base/bits.h"
#include "base/log.h"
#include "hw/sd/sd-internal.h"

typedef enum Response { R_NONE, R1, R2_CID, R2_CSD, R3, R6, R7, R_ILLEGAL } Response;

/* ---- commands ---- */

void sd_power_on(SdCard *c)
{
    c->mode = MODE_NONE;
    c->state = SD_IDLE;
    c->app = c->failed = c->stopping = c->flush = false;
    c->bus_width = c->function = c->written_reg = 0;
    c->rca = 0;
    c->status = c->erase_start = c->erase_end = c->count = c->blocks_written = c->pos = c->len = 0;
    c->erase_start = c->erase_end = UINT32_MAX;
    c->block_len = SD_BLOCK;
    c->next = c->left = 0;
    sd_make_registers(c);
}

static Response go_idle(SdCard *c, uint32_t arg)
{
    if (c->state == SD_INACTIVE)
        return R_ILLEGAL;
    sd_data_stop(c);
    sd_power_on(c);
    return c->spi ? R1 : R_NONE;
}

/* 4.2.3: voltages, busy over, capacity */
enum { OCR_VOLTAGES = 0x00ff8000, OCR_READY = 1u << 31, OCR_HIGH = 1 << 30 };
static Response op_cond(SdCard *c, uint32_t arg)
{
    if (!c->spi && arg & OCR_VOLTAGES && c->state == SD_IDLE)
        c->state = SD_READY;
    else if (!c->spi && c->state == SD_IDLE && arg & 0x00ffffff)
        c->state = SD_INACTIVE;
    if (c->spi)
        c->state = SD_TRAN;
    return c->spi ? R1 : R3;
}
static Response mmc_op_cond(SdCard *c, uint32_t arg)
{
    return c->emmc || c->spi ? op_cond(c, arg ? arg : OCR_VOLTAGES) : R_ILLEGAL;
}

static Response all_send_cid(SdCard *c, uint32_t arg) { c->state = SD_IDENT; return R2_CID; }

static Response relative_addr(SdCard *c, uint32_t arg)
{
    c->rca = c->emmc ? (uint16_t)(arg >> 16) : c->rca == 0x4567 ? 0x4568 : 0x4567;
    c->state = SD_STBY;
    return c->emmc ? R1 : R6;
}

static Response send_if_cond(SdCard *c, uint32_t arg)
{
    if (c->emmc) { /* SEND_EXT_CSD */
        if (c->state != SD_TRAN)
            return R_ILLEGAL;
        memcpy(c->reg, c->ext_csd, 512);
        sd_start_reg_read(c, 512);
        return R1;
    }
    if (c->spec_version < 2 || c->state != SD_IDLE || (arg >> 8 & 15) != 1)
        return R_ILLEGAL;
    store_le32(c->reg, arg & 0xfff);
    return R7;
}

/* JESD84, 6.6.1: a byte of EXT_CSD's modes segment */
static Response mmc_switch(SdCard *c, uint32_t arg)
{
    uint8_t access = arg >> 24 & 3, index = (uint8_t)(arg >> 16), value = (uint8_t)(arg >> 8), *e = &c->ext_csd[index];
    static const uint8_t writable[] = { 175 /* erase group definition */, 183 /* bus width */, 185 /* timing */,
                                        187 /* power class */ };
    if (!access || index >= 192 || !memchr(writable, index, sizeof writable) || (index == 183 && value > 2) ||
        (index == 185 && value > 1))
        c->status |= CARD_SWITCH_ERROR;
    else
        *e = access == 1 ? *e | value : access == 2 ? *e & ~value : value;
    return R1;
}

static Response switch_func(SdCard *c, uint32_t arg)
{
    if (c->emmc)
        return mmc_switch(c, arg);
    sd_switch_function(c, arg, c->reg);
    sd_start_reg_read(c, 64);
    return R1;
}

static Response select_card(SdCard *c, uint32_t arg)
{
    bool us = arg >> 16 == c->rca && c->rca;
    if (us && c->state == SD_STBY)
        c->state = SD_TRAN;
    else if (us && c->state == SD_DIS)
        c->state = SD_PRG;
    else if (us)
        return R_ILLEGAL;
    else if (c->state == SD_TRAN || c->state == SD_DATA)
        sd_data_stop(c), c->state = SD_STBY;
    else if (c->state == SD_PRG)
        c->state = SD_DIS;
    return us ? R1 : R_NONE;
}

static bool addressed(const SdCard *c, uint32_t arg) { return c->spi || arg >> 16 == c->rca; }

static Response reg_block(SdCard *c, const uint8_t *from, size_t len)
{
    memcpy(c->reg, from, len);
    sd_start_reg_read(c, len);
    return R1;
}

static Response send_csd(SdCard *c, uint32_t arg)
{
    return c->spi ? reg_block(c, c->csd, 16) : addressed(c, arg) ? R2_CSD : R_NONE;
}
static Response send_cid(SdCard *c, uint32_t arg)
{
    return c->spi ? reg_block(c, c->cid, 16) : addressed(c, arg) ? R2_CID : R_NONE;
}
static Response stop_transmission(SdCard *c, uint32_t arg) { sd_data_stop(c); return R1; }
static Response send_status(SdCard *c, uint32_t arg) { return addressed(c, arg) ? R1 : R_NONE; }
static Response go_inactive(SdCard *c, uint32_t arg)
{
    if (addressed(c, arg))
        c->state = SD_INACTIVE;
    return R_NONE;
}

static Response set_blocklen(SdCard *c, uint32_t arg)
{
    if (!arg || arg > SD_BLOCK)
        c->status |= CARD_BLOCK_LEN;
    else if (!c->high_capacity)
        c->block_len = arg;
    return R1;
}

/* The byte that a data address means, and whether `bytes` are there. */
static bool place(SdCard *c, uint32_t arg, uint64_t bytes, uint64_t *at)
{
    *at = c->high_capacity ? (uint64_t)arg * SD_BLOCK : arg;
    if (*at >= c->size || bytes > c->size - *at) {
        c->status |= CARD_OUT_OF_RANGE;
        return false;
    }
    return true;
}

static Response read_blocks(SdCard *c, uint32_t arg, uint64_t blocks)
{
    uint64_t at, bytes = blocks == UINT64_MAX ? c->block_len : blocks * c->block_len;
    if (place(c, arg, bytes, &at)) {
        if (at % SD_BLOCK + c->block_len > SD_BLOCK)
            c->status |= CARD_ADDRESS_ERROR;
        else
            sd_start_read(c, at, blocks == UINT64_MAX ? UINT64_MAX : bytes);
    }
    return R1;
}

static Response write_blocks(SdCard *c, uint32_t arg, uint64_t blocks)
{
    uint64_t at, bytes = blocks == UINT64_MAX ? SD_BLOCK : blocks * SD_BLOCK;
    if (c->block_len != SD_BLOCK)
        c->status |= CARD_BLOCK_LEN;
    else if (!place(c, arg, bytes, &at))
        return R1;
    else if (at % SD_BLOCK)
        c->status |= CARD_ADDRESS_ERROR;
    else if (!blk_writable(c->blk) || c->csd[14] & 0x30)
        c->status |= CARD_WP_VIOLATION;
    else
        sd_start_write(c, at, blocks == UINT64_MAX ? UINT64_MAX : bytes);
    return R1;
}

static uint64_t counted(SdCard *c)
{
    uint64_t n = c->count ? c->count : UINT64_MAX;
    c->count = 0;
    return n;
}
static Response read_single(SdCard *c, uint32_t arg) { return read_blocks(c, arg, 1); }
static Response read_multiple(SdCard *c, uint32_t arg) { return read_blocks(c, arg, counted(c)); }
static Response write_single(SdCard *c, uint32_t arg) { return write_blocks(c, arg, 1); }
static Response write_multiple(SdCard *c, uint32_t arg) { return write_blocks(c, arg, counted(c)); }
static Response set_block_count(SdCard *c, uint32_t arg)
{
    if (c->spec_version < 3 && !c->emmc)
        return R_ILLEGAL;
    c->count = c->emmc ? arg & 0xffff : arg;
    return R1;
}

enum { REG_CSD = 1, REG_LOCK = 2 };
static Response program_csd(SdCard *c, uint32_t arg) { sd_start_reg_write(c, REG_CSD, 16); return R1; }
static Response lock_unlock(SdCard *c, uint32_t arg) { sd_start_reg_write(c, REG_LOCK, c->block_len); return R1; }

/* CSD: the copy and write protect bits only (5.3). Passwords are not taken: data are never locked. */
void sd_reg_written(SdCard *c)
{
    enum { PROGRAMMABLE = 0x7c, ONCE = 0x60 };
    if (c->written_reg == REG_LOCK) {
        c->status |= CARD_LOCK_FAILED;
        return;
    }
    bool same = !memcmp(c->reg, c->csd, 14) && !((c->reg[14] ^ c->csd[14]) & ~PROGRAMMABLE);
    if (!same || c->csd[14] & ~c->reg[14] & ONCE) {
        c->status |= CARD_CSD_OVERWRITE;
        return;
    }
    c->csd[14] = c->reg[14];
    c->csd[15] = (uint8_t)(sd_crc7(c->csd, 15) << 1 | 1);
}

/* ---- erasing (4.3.5) ---- */

static Response erase_start(SdCard *c, uint32_t arg) { c->erase_start = arg; return R1; }
static Response erase_end(SdCard *c, uint32_t arg)
{
    if (c->erase_start == UINT32_MAX)
        c->status |= CARD_ERASE_SEQ;
    else
        c->erase_end = arg;
    return R1;
}
static Response sd_erase_start(SdCard *c, uint32_t arg) { return c->emmc ? R_ILLEGAL : erase_start(c, arg); }
static Response sd_erase_end(SdCard *c, uint32_t arg) { return c->emmc ? R_ILLEGAL : erase_end(c, arg); }
static Response mmc_erase_start(SdCard *c, uint32_t arg) { return c->emmc ? erase_start(c, arg) : R_ILLEGAL; }
static Response mmc_erase_end(SdCard *c, uint32_t arg) { return c->emmc ? erase_end(c, arg) : R_ILLEGAL; }

static Response erase(SdCard *c, uint32_t arg)
{
    uint32_t from = c->erase_start, to = c->erase_end;
    uint64_t first, last;
    c->erase_start = c->erase_end = UINT32_MAX;
    if (from == UINT32_MAX || to == UINT32_MAX) {
        c->status |= CARD_ERASE_SEQ;
        return R1;
    }
    if (!place(c, from, SD_BLOCK, &first) || !place(c, to, SD_BLOCK, &last))
        return R1;
    first &= ~UINT64_C(511);
    last &= ~UINT64_C(511);
    if (last < first)
        c->status |= CARD_ERASE_PARAM;
    else if (!blk_writable(c->blk) || c->csd[14] & 0x30)
        c->status |= CARD_WP_VIOLATION;
    else
        sd_start_erase(c, first, last + SD_BLOCK - first);
    return R1;
}

/* ---- SPI mode and application commands ---- */

static Response app_cmd(SdCard *c, uint32_t arg)
{
    if (c->emmc || (c->state >= SD_STBY && !addressed(c, arg)))
        return c->emmc ? R_ILLEGAL : R_NONE;
    c->app = true;
    c->status |= CARD_APP_CMD;
    return R1;
}
static Response read_ocr(SdCard *c, uint32_t arg) { return c->spi ? R3 : R_ILLEGAL; }
static Response crc_on_off(SdCard *c, uint32_t arg) { return c->spi ? R1 : R_ILLEGAL; }

static Response set_bus_width(SdCard *c, uint32_t arg)
{
    if (arg != 0 && arg != 2)
        return R_ILLEGAL;
    c->bus_width = (uint8_t)arg;
    return R1;
}
static Response sd_status(SdCard *c, uint32_t arg) { sd_make_status(c, c->reg); sd_start_reg_read(c, 64); return R1; }
static Response send_scr(SdCard *c, uint32_t arg) { sd_make_scr(c, c->reg); sd_start_reg_read(c, 8); return R1; }
static Response num_wr_blocks(SdCard *c, uint32_t arg)
{
    store_le32(c->reg, __builtin_bswap32(c->blocks_written));
    sd_start_reg_read(c, 4);
    return R1;
}
static Response pre_erase(SdCard *c, uint32_t arg) { return R1; }
static Response clear_detect(SdCard *c, uint32_t arg) { return R1; }

/* ---- tables: where a command is allowed (4.8) ---- */

#define IN(s) (1u << SD_##s)
enum { ANY_DATA = IN(STBY) | IN(TRAN) | IN(DATA) | IN(RCV) | IN(PRG) | IN(DIS) };
typedef struct Command {
    Response (*run)(SdCard *c, uint32_t arg);
    uint16_t states;
} Command;

static const Command commands[64] = {
    [0] = { go_idle, 0x1ff },
    [1] = { mmc_op_cond, IN(IDLE) | IN(READY) | IN(TRAN) },
    [2] = { all_send_cid, IN(READY) },
    [3] = { relative_addr, IN(IDENT) | IN(STBY) },
    [6] = { switch_func, IN(TRAN) },
    [7] = { select_card, ANY_DATA },
    [8] = { send_if_cond, IN(IDLE) | IN(TRAN) },
    [9] = { send_csd, IN(STBY) | IN(TRAN) },
    [10] = { send_cid, IN(STBY) | IN(TRAN) },
    [12] = { stop_transmission, IN(DATA) | IN(RCV) | IN(PRG) | IN(TRAN) },
    [13] = { send_status, ANY_DATA },
    [15] = { go_inactive, ANY_DATA },
    [16] = { set_blocklen, IN(TRAN) },
    [17] = { read_single, IN(TRAN) },
    [18] = { read_multiple, IN(TRAN) },
    [23] = { set_block_count, IN(TRAN) },
    [24] = { write_single, IN(TRAN) },
    [25] = { write_multiple, IN(TRAN) },
    [27] = { program_csd, IN(TRAN) },
    [32] = { sd_erase_start, IN(TRAN) },
    [33] = { sd_erase_end, IN(TRAN) },
    [35] = { mmc_erase_start, IN(TRAN) },
    [36] = { mmc_erase_end, IN(TRAN) },
    [38] = { erase, IN(TRAN) },
    [42] = { lock_unlock, IN(TRAN) },
    [55] = { app_cmd, IN(IDLE) | ANY_DATA },
    [58] = { read_ocr, 0x1ff },
    [59] = { crc_on_off, 0x1ff },
};
static const Command app_commands[64] = {
    [6] = { set_bus_width, IN(TRAN) }, [13] = { sd_status, IN(TRAN) },          [22] = { num_wr_blocks, IN(TRAN) },
    [23] = { pre_erase, IN(TRAN) },    [41] = { op_cond, IN(IDLE) | IN(TRAN) }, [42] = { clear_detect, IN(TRAN) },
    [51] = { send_scr, IN(TRAN) },
};

/* ---- answers (4.9) ---- */

static void store_be_word(uint8_t *p, uint32_t v) { store_be(p, 4, v); }

static unsigned answer(SdCard *c, Response kind, SdState before, uint8_t rsp[16])
{
    uint32_t status = c->status | (uint32_t)before << 9 | (sd_card_busy(c) ? 0 : CARD_READY);
    switch (kind) {
    case R_NONE: case R_ILLEGAL: return 0;
    case R2_CID: memcpy(rsp, c->cid, 16); return 16;
    case R2_CSD: memcpy(rsp, c->csd, 16); return 16;
    case R7: store_be_word(rsp, load_le32(c->reg)); return 4;
    case R3:
        store_be_word(rsp, OCR_VOLTAGES | (c->state != SD_IDLE ? OCR_READY | (c->high_capacity ? OCR_HIGH : 0) : 0));
        return 4;
    case R6:
        store_be_word(rsp,
                      (uint32_t)c->rca << 16 | (status >> 8 & 0xc000) | (status >> 6 & 0x2000) | (status & 0x1fff));
        break;
    case R1: store_be_word(rsp, status); break;
    }
    c->status &= c->app ? CARD_APP_CMD : 0; /* reported: cleared */
    return 4;
}

unsigned sd_command(SdPort *p, uint8_t index, uint32_t arg, uint8_t rsp[16])
{
    SdBus *b = p->bus;
    SdCard *c = b && b->port == p ? b->card : NULL;
    memset(rsp, 0, 16);
    if (!c || !c->size || (c->state == SD_INACTIVE))
        return 0;
    bool app = c->app;
    const Command *k = app && app_commands[index & 63].run ? &app_commands[index & 63] : &commands[index & 63];
    SdState before = (SdState)c->state;
    if (app)
        c->status |= CARD_APP_CMD;
    c->app = false;
    if (k->run && k->states >> before & 1 && sd_card_busy(c) && before == SD_TRAN && index != 12 && index != 13)
        k = &commands[63]; /* still programming what was stopped */
    Response kind = k->run && k->states >> before & 1 ? k->run(c, arg) : R_ILLEGAL;
    if (kind == R_ILLEGAL) {
        c->status |= CARD_ILLEGAL;
        c->status &= ~(uint32_t)CARD_APP_CMD;
        log_guest_error(c->dev.id, "command %s%u is illegal in state %u", app ? "A" : "", index & 63u, before);
        if (c->spi) { /* answers always */
            store_be_word(rsp, c->status);
            c->status = 0;
            return 4;
        }
    }
    if (index != 23 && index != 55)
        c->count = 0;
    return answer(c, kind, before, rsp);
}
