/* SPDX-License-Identifier: MIT */
/*
 * "bcm2835-sdhost": the SD host of BCM2835 at 0x7e202000, by PIO or the DMA controller's request 13. Broadcom's manual
 * leaves it out; registers as the drivers of Linux and U-Boot know them. The slot is another device's
 * (hw/gpio/bcm2835-gpio.c).
 */
#include <string.h>
#include "base/bits.h"
#include "hw/misc/bcm2835.h"

enum { FIFO_BYTES = 64 };
enum {
    CMD_NEW = 0x8000,
    CMD_FAIL = 0x4000,
    CMD_BUSYWAIT = 0x800,
    CMD_NO_RESPONSE = 0x400,
    CMD_LONG = 0x200,
    CMD_WRITE = 0x80,
    CMD_READ = 0x40
};
enum {
    STS_BUSY = 0x400,
    STS_BLOCK = 0x200,
    STS_DATA_TIMEOUT = 0x80,
    STS_CMD_TIMEOUT = 0x40,
    STS_CRC16 = 0x20,
    STS_DATA = 1,
    STS_CLEARED = 0x7f9
};
enum { CFG_BUSY_EN = 0x400, CFG_BLOCK_EN = 0x100, CFG_DATA_EN = 0x10 };
enum { EDM_FORCE = 1 << 19, FSM_DATAMODE = 1, FSM_READ = 2, FSM_WRITE = 3 };
enum { PIN_IRQ, PIN_DREQ };
typedef enum Direction { NONE, READING, WRITING } Direction;

typedef struct SdHost {
    Device dev; /* always first */
    uint32_t cmd, arg, tout, cdiv, rsp[4], sts, vdd, edm, cfg, hbct, hblc;
    uint8_t fifo[FIFO_BYTES], direction;
    uint32_t len;        /* bytes in the FIFO */
    uint32_t left, size; /* bytes of the transfer that the card has not given or got yet; of a block */
    bool busywait;       /* a command waits for the card */
    bool settling;       /* the last block is at the card, which programs it */
    SdPort port;
} SdHost;

/* ---- lines ---- */

static bool has_data(const SdHost *s) { return s->direction == READING && s->len; }
static bool has_room(const SdHost *s) { return s->direction == WRITING && s->len < FIFO_BYTES && s->len < s->left; }

static uint32_t status(const SdHost *s) { return s->sts | (has_data(s) || has_room(s) ? STS_DATA : 0); }

static void update(SdHost *s)
{
    uint32_t v = status(s), cfg = s->cfg;
    device_out(&s->dev, PIN_IRQ,
               (v & STS_DATA && cfg & CFG_DATA_EN) || (v & STS_BLOCK && cfg & CFG_BLOCK_EN) ||
                   (v & STS_BUSY && cfg & CFG_BUSY_EN));
    device_out(&s->dev, PIN_DREQ, has_data(s) || has_room(s));
}

/* ---- data ---- */

static void end(SdHost *s)
{
    s->direction = NONE;
    s->len = s->left = 0;
    s->settling = false;
}

static void block_done(SdHost *s)
{
    s->hblc -= s->hblc > 0;
    if (s->cfg & CFG_BLOCK_EN)
        s->sts |= STS_BLOCK;
}

/* The data flag without data: drivers look at the errors then. */
static void fail(SdHost *s, uint32_t why)
{
    end(s);
    s->sts |= why | STS_DATA;
}

static void move(SdHost *s)
{
    size_t n = 0;
    if (s->direction == READING) {
        if (s->len <= FIFO_BYTES / 2)
            n = sd_read(&s->port, s->fifo + s->len, MIN(FIFO_BYTES - s->len, s->left));
        s->len += (uint32_t)n;
        s->left -= (uint32_t)n;
        if (!n && !s->len && s->left && (sd_failed(&s->port) || !sd_present(&s->port)))
            fail(s, STS_DATA_TIMEOUT);
        return;
    }
    n = sd_write(&s->port, s->fifo, MIN(s->len, s->left));
    memmove(s->fifo, s->fifo + n, s->len - n);
    s->len -= (uint32_t)n;
    for (uint32_t before = s->left, after = s->left -= (uint32_t)n;
         after && (before - 1) / s->size != (after - 1) / s->size; before -= s->size)
        block_done(s);
    s->settling = !s->left;
    if (!n && s->left && (sd_failed(&s->port) || !sd_present(&s->port)))
        fail(s, STS_CRC16);
}

static void port_data(SdPort *p)
{
    SdHost *s = container_of(p, SdHost, port);
    if (s->direction != NONE && s->left)
        move(s);
    if (s->settling && !sd_busy(&s->port)) {
        end(s);
        block_done(s);
    }
    if (s->busywait && !sd_busy(&s->port)) {
        s->busywait = false;
        s->cmd &= ~(uint32_t)CMD_NEW;
        s->sts |= STS_BUSY;
    }
}

static void port_moved(SdPort *p) { update(container_of(p, SdHost, port)); }

static const SdHostOps host_ops = { .data = port_data, .moved = port_moved, .card = sd_port_run };

static uint64_t data_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    SdHost *s = (SdHost *)d;
    uint8_t word[4] = { 0 };
    uint32_t n = s->direction == READING ? MIN(s->len, 4) : 0, before = s->left + s->len;
    if (!n)
        return 0;
    memcpy(word, s->fifo, n);
    memmove(s->fifo, s->fifo + n, s->len - n);
    s->len -= n;
    if ((before - 1) / s->size != (before - n - 1) / s->size || before == n)
        block_done(s);
    if (before == n)
        end(s);
    sd_port_run(&s->port);
    return load_le32(word);
}

static void data_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    SdHost *s = (SdHost *)d;
    if (!has_room(s))
        return;
    uint8_t word[4];
    uint32_t n = MIN(MIN(4, FIFO_BYTES - s->len), s->left - s->len);
    store_le32(word, (uint32_t)value);
    memcpy(s->fifo + s->len, word, n);
    s->len += n;
    sd_port_run(&s->port);
}

/* ---- commands ---- */

static void start_data(SdHost *s, Direction direction)
{
    end(s);
    s->size = MAX(s->hbct, 1);
    s->left = s->size * MAX(s->hblc, 1);
    s->direction = (uint8_t)direction;
}

static void command_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    SdHost *s = (SdHost *)d;
    uint8_t rsp[16] = { 0 };
    s->cmd = (uint32_t)value & ~(uint32_t)CMD_FAIL;
    if (!(value & CMD_NEW))
        return;
    if ((value & 63) == 12) /* stop */
        end(s);
    unsigned n = sd_command(&s->port, value & 63, s->arg, rsp);
    if ((!n && !(value & CMD_NO_RESPONSE)) || !sd_present(&s->port)) {
        s->cmd = (s->cmd & ~(uint32_t)CMD_NEW) | CMD_FAIL;
        s->sts |= STS_CMD_TIMEOUT;
        update(s);
        return;
    }
    memset(s->rsp, 0, sizeof s->rsp);
    for (unsigned w = 0; w < n / 4; w++)
        s->rsp[n / 4 - 1 - w] = __builtin_bswap32(load_le32(rsp + 4 * w));
    if (value & (CMD_READ | CMD_WRITE))
        start_data(s, value & CMD_READ ? READING : WRITING);
    s->busywait = value & CMD_BUSYWAIT;
    if (!s->busywait)
        s->cmd &= ~(uint32_t)CMD_NEW;
    sd_port_run(&s->port);
}

/* ---- registers ---- */

static uint64_t status_read(Device *d, const Reg *r, unsigned i, uint64_t stored) { return status((SdHost *)d); }
static void wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value) { update((SdHost *)d); }
static uint64_t edm_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    const SdHost *s = (const SdHost *)d;
    unsigned fsm = s->direction == READING ? FSM_READ : s->direction == WRITING ? FSM_WRITE : FSM_DATAMODE;
    return (stored & ~UINT64_C(0x1ff)) | (s->len + 3) / 4 << 4 | fsm;
}
static void edm_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    SdHost *s = (SdHost *)d;
    s->edm &= ~(uint32_t)EDM_FORCE;
    if (value & EDM_FORCE)
        end(s);
    update(s);
}

#define R(name_, at_, f, ...) { .name = name_, .at = at_, .size = 4, .field = offsetof(SdHost, f), __VA_ARGS__ }
static const Reg regs[] = {
    R("SDCMD", 0x00, cmd, .rsvd = 0xffff0000, .wrote = command_wrote),
    R("SDARG", 0x04, arg),
    R("SDTOUT", 0x08, tout, .reset = 0xa00000),
    R("SDCDIV", 0x0c, cdiv, .reset = 0x1fb),
    R("SDRSP", 0x10, rsp, .count = 4, .stride = 4, .access = REG_RO),
    R("SDHSTS", 0x20, sts, .w1c = STS_CLEARED, .ro = ~(uint32_t)STS_CLEARED, .read = status_read, .wrote = wrote),
    R("SDVDD", 0x30, vdd),
    R("SDEDM", 0x34, edm, .reset = 0xc600, .read = edm_read, .wrote = edm_wrote),
    R("SDHCFG", 0x38, cfg, .wrote = wrote),
    R("SDHBCT", 0x3c, hbct, .reset = 0x200, .rsvd = 0xffff0000),
    { .name = "SDDATA", .at = 0x40, .size = 4, .field = REG_NO_FIELD, .read = data_read, .wrote = data_wrote },
    R("SDHBLC", 0x50, hblc, .rsvd = 0xffff0000),
    { .name = NULL },
};
static const RegBank bank = { .name = "regs", .size = 0x100, .regs = regs };
static const RegBank *const banks[] = { &bank, NULL };
static const char *const pins[] = { "irq", "dreq", NULL };
static const StateField state[] = {
    STATE_BYTES(SdHost, fifo), STATE_U8(SdHost, direction),  STATE_U32(SdHost, len),       STATE_U32(SdHost, left),
    STATE_U32(SdHost, size),   STATE_BOOL(SdHost, busywait), STATE_BOOL(SdHost, settling), STATE_END_OF_TABLE,
};

static void init(Device *d)
{
    SdHost *s = (SdHost *)d;
    s->port = (SdPort){ d, &host_ops, NULL };
    s->size = 512;
}

static void reset(Device *d, ResetPhase phase)
{
    SdHost *s = (SdHost *)d;
    if (phase == RESET_ENTER) {
        end(s);
        s->busywait = false;
        s->size = 512;
        memset(s->fifo, 0, sizeof s->fifo);
    } else if (phase == RESET_HOLD) {
        update(s);
    }
}

static bool loaded(Device *d, Error **errp)
{
    SdHost *s = (SdHost *)d;
    if (s->direction <= WRITING && s->len <= FIFO_BYTES && s->size &&
        (s->direction == NONE ? !s->len : s->direction == READING || s->len <= s->left))
        return true;
    end(s);
    s->size = 512;
    error_setf(errp, "device '%s': the saved transfer makes no sense", d->id);
    return false;
}

SdPort *bcm2835_sdhost_port(Device *d) { return &((SdHost *)d)->port; }

static const DeviceType sdhost_type = {
    .name = "bcm2835-sdhost",
    .desc = "BCM2835 SD host",
    .category = "Storage",
    .size = sizeof(SdHost),
    .banks = banks,
    .state = state,
    .out_pins = pins,
    .init = init,
    .reset = reset,
    .loaded = loaded,
};
DEVICE_REGISTER(sdhost_type)
