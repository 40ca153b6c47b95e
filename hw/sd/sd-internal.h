/* SPDX-License-Identifier: MIT */
/*
 * What the files of the SD card share. Sections are those of the SD Physical Layer Simplified Specification 3.01,
 * unless JESD84 is named.
 */
#ifndef HW_SD_INTERNAL_H
#define HW_SD_INTERNAL_H

#include "hw/sd/sd.h"
#include "hw/storage/drive.h"

enum { SD_BLOCK = 512, SD_BUFFER = 64 << 10 };

/* 4.10.1: card status */
enum {
    CARD_OUT_OF_RANGE = 1u << 31,
    CARD_ADDRESS_ERROR = 1 << 30,
    CARD_BLOCK_LEN = 1 << 29,
    CARD_ERASE_SEQ = 1 << 28,
    CARD_ERASE_PARAM = 1 << 27,
    CARD_WP_VIOLATION = 1 << 26,
    CARD_LOCK_FAILED = 1 << 24,
    CARD_ILLEGAL = 1 << 22,
    CARD_ECC_FAILED = 1 << 21,
    CARD_ERROR = 1 << 19,
    CARD_CSD_OVERWRITE = 1 << 16,
    CARD_ERASE_RESET = 1 << 13,
    CARD_READY = 1 << 8,
    CARD_SWITCH_ERROR = 1 << 7,
    CARD_APP_CMD = 1 << 5,
};
typedef enum SdState {
    SD_IDLE,
    SD_READY,
    SD_IDENT,
    SD_STBY,
    SD_TRAN,
    SD_DATA,
    SD_RCV,
    SD_PRG,
    SD_DIS,
    SD_INACTIVE,
    SD_STATES
} SdState;
/* What goes over the data lines: mem is the medium, reg a register. */
typedef enum SdMode {
    MODE_NONE,
    MODE_READ_MEM,
    MODE_READ_REG,
    MODE_WRITE_MEM,
    MODE_WRITE_REG,
    MODE_ERASE,
    MODES
} SdMode;

struct SdCard {
    Device dev; /* always first */
    DriveProps drive;
    bool spi, emmc;
    uint8_t spec_version;
    BlockBackend *blk;
    DriveQueue queue;
    DriveRequest request;
    struct iovec iov;
    SdBus *bus;
    uint64_t size;           /* of the medium, 0: no card in the slot */
    bool quiet;              /* nobody is to be told */

    uint8_t state, mode, io; /* io: 1 + BlkOp on its way */
    bool app, failed, stopping, high_capacity, flush;
    uint8_t bus_width, function, written_reg;
    uint16_t rca;
    uint32_t status, block_len, erase_start, erase_end, count, blocks_written;
    uint64_t next, left;     /* on the medium: what follows in the transfer */
    uint64_t io_offset, io_bytes;
    uint32_t pos, len;       /* in buf or reg */
    uint8_t cid[16], csd[16], ext_csd[512];
    uint8_t reg[512], buf[SD_BUFFER];
};

void sd_make_registers(SdCard *c);
void sd_make_scr(const SdCard *c, uint8_t out[8]);
void sd_make_status(const SdCard *c, uint8_t out[64]);
/* 4.3.10: CMD6; `set`: functions change */
void sd_switch_function(SdCard *c, uint32_t arg, uint8_t out[64]);
bool sd_size_fits(uint64_t size, bool emmc);
uint8_t sd_crc7(const uint8_t *p, size_t len);

/* sd-data.c */
void sd_data_stop(SdCard *c);      /* CMD12, or the transfer is over */
void sd_start_read(SdCard *c, uint64_t at, uint64_t bytes);
void sd_start_write(SdCard *c, uint64_t at, uint64_t bytes);
void sd_start_erase(SdCard *c, uint64_t at, uint64_t bytes);
void sd_start_reg_read(SdCard *c, size_t len);
void sd_start_reg_write(SdCard *c, uint8_t which, size_t len);
bool sd_card_busy(const SdCard *c);
void sd_power_on(SdCard *c);       /* sd.c: to the idle state */
void sd_reg_written(SdCard *c);    /* sd.c: CSD or the lock structure has come */
bool sd_submit_again(SdCard *c);
void sd_pump(SdCard *c);
extern const DriveQueueOps sd_queue_ops;
#endif
