/* SPDX-License-Identifier: MIT */
/* "pl181": PrimeCell Multimedia Card Interface (DDI 0205B), without DMA. */
#include <string.h>
#include "base/bits.h"
#include "hw/sd/sd.h"

enum { FIFO_BYTES = 64 };
enum {
    CMD_TIMEOUT = 1 << 2,
    DATA_CRC = 1 << 1,
    DATA_TIMEOUT = 1 << 3,
    RESP_END = 1 << 6,
    CMD_SENT = 1 << 7,
    DATA_END = 1 << 8,
    BLOCK_END = 1 << 10,
    TX_ACTIVE = 1 << 12,
    RX_ACTIVE = 1 << 13,
    TX_HALF_EMPTY = 1 << 14,
    RX_HALF_FULL = 1 << 15,
    TX_FULL = 1 << 16,
    RX_FULL = 1 << 17,
    TX_EMPTY = 1 << 18,
    RX_EMPTY = 1 << 19,
    TX_AVAILABLE = 1 << 20,
    RX_AVAILABLE = 1 << 21,
    STATIC = 0x7ff
};
enum { CTRL_ENABLE = 1, CTRL_READ = 2 };

typedef struct Pl181 {
    Device dev; /* always first */
    uint32_t power, clock, argument, command, resp_cmd, resp[4], timer, length, ctrl, count, status, mask[2];
    uint8_t fifo[FIFO_BYTES];
    uint32_t fifo_len;
    bool active;
    SdBus bus;
    SdPort port;
} Pl181;

static bool reading(const Pl181 *s) { return s->ctrl & CTRL_READ; }

static uint32_t flags(const Pl181 *s)
{
    uint32_t v = s->status & STATIC, n = s->fifo_len;
    if (reading(s)) {
        v |= (s->active || n ? RX_ACTIVE : 0) | (n >= FIFO_BYTES / 2 ? RX_HALF_FULL : 0) |
             (n == FIFO_BYTES ? RX_FULL : 0) | (n ? RX_AVAILABLE : 0);
        return v | TX_EMPTY | (n ? 0 : RX_EMPTY);
    }
    if (s->active)
        v |= TX_ACTIVE | (n <= FIFO_BYTES / 2 ? TX_HALF_EMPTY : 0) | (n == FIFO_BYTES ? TX_FULL : 0) |
             (n ? TX_AVAILABLE : 0);
    return v | RX_EMPTY | (n ? 0 : TX_EMPTY);
}

static void update(Pl181 *s)
{
    uint32_t v = flags(s);
    device_out(&s->dev, 0, (v & s->mask[0]) != 0);
    device_out(&s->dev, 1, (v & s->mask[1]) != 0);
}

static void end(Pl181 *s, uint32_t status)
{
    s->active = false;
    s->status |= status;
}

static void move(Pl181 *s)
{
    size_t n;
    if (reading(s)) {
        n = sd_read(&s->port, s->fifo + s->fifo_len, MIN(FIFO_BYTES - s->fifo_len, s->count));
        s->fifo_len += (uint32_t)n;
    } else {
        n = sd_write(&s->port, s->fifo, MIN(s->fifo_len, s->count));
        memmove(s->fifo, s->fifo + n, s->fifo_len - n);
        s->fifo_len -= (uint32_t)n;
    }
    s->count -= (uint32_t)n;
    if (!s->count)
        end(s, DATA_END | BLOCK_END);
    else if (!n && sd_failed(&s->port) && sd_present(&s->port))
        end(s, DATA_CRC);
    else if (!n && !sd_present(&s->port))
        end(s, DATA_TIMEOUT);
}

static void port_data(SdPort *p)
{
    Pl181 *s = container_of(p, Pl181, port);
    if (s->active)
        move(s);
}

static void port_moved(SdPort *p) { update(container_of(p, Pl181, port)); }

static void port_card(SdPort *p)
{
    Pl181 *s = container_of(p, Pl181, port);
    device_out(&s->dev, 2, sd_present(p));
    device_out(&s->dev, 3, sd_readonly(p));
    sd_port_run(&s->port);
}
static const SdHostOps host_ops = { .data = port_data, .moved = port_moved, .card = port_card };

static void command_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Pl181 *s = (Pl181 *)d;
    uint8_t rsp[16];
    if (!(value & 1 << 10))
        return;
    s->command &= ~(1u << 10);
    unsigned n = sd_command(&s->port, value & 63, s->argument, rsp);
    if (!(value & 1 << 6)) {
        s->status |= CMD_SENT;
    } else if (n) {
        s->resp_cmd = n == 16 ? 63 : value & 63;
        for (unsigned w = 0; w < 4; w++)
            s->resp[w] = w * 4 < n ? __builtin_bswap32(load_le32(rsp + 4 * w)) : 0;
        s->resp[3] &= ~UINT32_C(1);
        s->status |= RESP_END;
    } else {
        s->status |= CMD_TIMEOUT;
    }
    sd_port_run(&s->port);
}

static void ctrl_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Pl181 *s = (Pl181 *)d;
    s->active = value & CTRL_ENABLE && s->length;
    s->fifo_len = 0;
    s->count = s->active ? s->length : 0;
    sd_port_run(&s->port);
}

static uint64_t status_read(Device *d, const Reg *r, unsigned i, uint64_t stored) { return flags((Pl181 *)d); }
static void clear_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Pl181 *s = (Pl181 *)d;
    s->status &= ~(uint32_t)value;
    update(s);
}
static void mask_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value) { update((Pl181 *)d); }
/* Words that have not come from the card yet, or not gone to it */
static uint64_t fifo_count(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    return (((Pl181 *)d)->count + 3) / 4;
}

static uint64_t fifo_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    Pl181 *s = (Pl181 *)d;
    uint8_t word[4] = { 0 };
    uint32_t n = reading(s) ? MIN(s->fifo_len, 4) : 0;
    memcpy(word, s->fifo, n);
    memmove(s->fifo, s->fifo + n, s->fifo_len - n);
    s->fifo_len -= n;
    if (n)
        sd_port_run(&s->port);
    return load_le32(word);
}

static void fifo_write(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Pl181 *s = (Pl181 *)d;
    if (!s->active || reading(s))
        return;
    uint32_t n = MIN(MIN(4, FIFO_BYTES - s->fifo_len), s->count - MIN(s->count, s->fifo_len));
    uint8_t word[4];
    store_le32(word, (uint32_t)value);
    memcpy(s->fifo + s->fifo_len, word, n);
    s->fifo_len += n;
    sd_port_run(&s->port);
}

#define W(name_, at_, f, ...) { .name = name_, .at = at_, .size = 4, .field = offsetof(Pl181, f), __VA_ARGS__ }
static uint64_t id_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    static const uint8_t id[8] = { 0x81, 0x11, 0x04, 0x00, 0x0d, 0xf0, 0x05, 0xb1 };
    return id[i];
}
static const Reg regs[] = {
    W("MCIPower", 0x00, power),
    W("MCIClock", 0x04, clock),
    W("MCIArgument", 0x08, argument),
    W("MCICommand", 0x0c, command, .wrote = command_wrote),
    W("MCIRespCmd", 0x10, resp_cmd, .access = REG_RO),
    { .name = "MCIResponse",
      .at = 0x14,
      .size = 4,
      .count = 4,
      .stride = 4,
      .field = offsetof(Pl181, resp),
      .access = REG_RO },
    W("MCIDataTimer", 0x24, timer),
    W("MCIDataLength", 0x28, length, .rsvd = 0xffff0000),
    W("MCIDataCtrl", 0x2c, ctrl, .wrote = ctrl_wrote),
    W("MCIDataCnt", 0x30, count, .access = REG_RO),
    { .name = "MCIStatus", .at = 0x34, .size = 4, .field = REG_NO_FIELD, .read = status_read, .access = REG_RO },
    { .name = "MCIClear", .at = 0x38, .size = 4, .field = REG_NO_FIELD, .wrote = clear_wrote, .access = REG_WO },
    { .name = "MCIMask",
      .at = 0x3c,
      .size = 4,
      .count = 2,
      .stride = 4,
      .field = offsetof(Pl181, mask),
      .wrote = mask_wrote },
    { .name = "MCIFifoCnt", .at = 0x48, .size = 4, .field = REG_NO_FIELD, .read = fifo_count, .access = REG_RO },
    { .name = "MCIFIFO",
      .at = 0x80,
      .size = 4,
      .count = 16,
      .stride = 4,
      .field = REG_NO_FIELD,
      .read = fifo_read,
      .wrote = fifo_write },
    { .name = "MCIPeriphID",
      .at = 0xfe0,
      .size = 4,
      .count = 8,
      .stride = 4,
      .field = REG_NO_FIELD,
      .read = id_read,
      .access = REG_RO },
    { .name = NULL },
};
static const RegBank bank = { .name = "regs", .size = 0x1000, .regs = regs };
static const RegBank *const banks[] = { &bank, NULL };

static bool start(Device *d, Error **errp)
{
    Pl181 *s = (Pl181 *)d;
    sd_bus_init(&s->bus, d);
    sd_port_init(&s->port, d, &host_ops, &s->bus);
    return true;
}
static void stop(Device *d) { sd_bus_fini(&((Pl181 *)d)->bus); }

static void reset(Device *d, ResetPhase phase)
{
    Pl181 *s = (Pl181 *)d;
    if (phase == RESET_ENTER) {
        s->status = s->fifo_len = 0;
        s->active = false;
        memset(s->fifo, 0, sizeof s->fifo);
    } else if (phase == RESET_HOLD) {
        port_card(&s->port);
    }
}

static bool loaded(Device *d, Error **errp)
{
    Pl181 *s = (Pl181 *)d;
    if (s->fifo_len <= FIFO_BYTES)
        return true;
    s->fifo_len = 0;
    error_setf(errp, "device '%s': the saved FIFO is too long", d->id);
    return false;
}

static const char *const pins[] = { "irq*2", "card-inserted", "card-read-only", NULL };
static const char *const makes[] = { "sd", NULL };
static const StateField state[] = { STATE_U32(Pl181, status), STATE_BYTES(Pl181, fifo), STATE_U32(Pl181, fifo_len),
                                    STATE_BOOL(Pl181, active), STATE_END_OF_TABLE };
static const DeviceType pl181_type = {
    .name = "pl181",
    .desc = "PrimeCell Multimedia Card Interface",
    .category = "Storage",
    .size = sizeof(Pl181),
    .banks = banks,
    .provides = makes,
    .state = state,
    .out_pins = pins,
    .start = start,
    .reset = reset,
    .loaded = loaded,
    .stop = stop,
};
DEVICE_REGISTER(pl181_type)
