/* SPDX-License-Identifier: MIT */
/*
 * "ssi-sd": an SD card's slot on a synchronous serial port (SD Physical Layer Simplified Specification 3.01, chapter
 * 7). Checksums are not looked at.
 */
#include "hw/ssi/ssi.h"

#include <string.h>
#include "base/bits.h"
#include "hw/sd/sd.h"

enum {
    BLOCK = 512,
    TOKEN = 0xfe,
    TOKEN_MULTI = 0xfc,
    TOKEN_STOP = 0xfd,
    ERROR_TOKEN = 0x08,
    ACCEPTED = 0x05,
    WRITE_ERROR = 0x0d,
    IDLE_LINE = 0xff
};
typedef enum Mode { NOTHING, READ_FILL, READ_SEND, WRITE_TOKEN, WRITE_DATA, WRITE_BUSY, BUSY, MODES } Mode;

typedef struct SsiSd {
    Device dev; /* always first */
    SdBus bus;
    SdPort port;
    uint8_t command[6], command_len;
    uint8_t out[8], out_pos, out_len;  /* response, token */
    uint8_t mode;
    bool selected, multi, app;
    uint16_t size, pos;                /* of the block in data */
    uint8_t data[BLOCK + 2];           /* with its checksum */
} SsiSd;

static void answer(SsiSd *s, uint8_t byte)
{
    if (s->out_len < sizeof s->out)
        s->out[s->out_len++] = byte;
}

/* CRC-CCITT over a block (7.2.3). */
static uint16_t crc16(const uint8_t *p, size_t len)
{
    uint16_t crc = 0;
    for (size_t i = 0; i < len; i++) {
        crc ^= (uint16_t)(p[i] << 8);
        for (unsigned bit = 0; bit < 8; bit++)
            crc = (uint16_t)(crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1);
    }
    return crc;
}

/* ---- commands ---- */

/* 7.3.2.1, from the card status of 4.10.1 */
static uint8_t r1(const SsiSd *s, uint32_t status)
{
    return (uint8_t)((sd_idle(&s->port) ? 1 : 0) | (status >> 13 & 1) << 1 | (status >> 22 & 1) << 2 |
                     (status >> 23 & 1) << 3 | (status >> 28 & 1) << 4 | (status >> 30 & 1) << 5 |
                     (status >> 31 & 1) << 6);
}
/* 7.3.2.3: the second byte */
static uint8_t r2(uint32_t v)
{
    return (uint8_t)((v >> 25 & 1) | (v >> 24 & 1) << 1 | (v >> 19 & 1) << 2 | (v >> 20 & 1) << 3 | (v >> 21 & 1) << 4 |
                     (v >> 26 & 1) << 5 | (v >> 27 & 1) << 6 | ((v >> 31 | v >> 16) & 1) << 7);
}

/* How many bytes a command's block has that the card sends; 0: none. */
static unsigned read_size(unsigned index, bool app)
{
    static const struct { uint8_t index, app; uint16_t size;
    } table[] = {
        { 6, 0, 64 }, { 9, 0, 16 },  { 10, 0, 16 }, { 17, 0, BLOCK }, { 18, 0, BLOCK },
        { 30, 0, 4 }, { 13, 1, 64 }, { 22, 1, 4 },  { 51, 1, 8 },
    };
    for (unsigned i = 0; i < ARRAY_LEN(table); i++)
        if (table[i].index == index && table[i].app == app)
            return table[i].size;
    return 0;
}

static void execute(SsiSd *s)
{
    unsigned index = s->command[0] & 63;
    bool app = s->app, words = index == 8 || index == 58;
    uint8_t rsp[16];
    s->command_len = s->out_len = s->out_pos = 0;
    s->mode = NOTHING;
    s->app = index == 55;
    unsigned n = sd_command(&s->port, (uint8_t)index, (uint32_t)load_be(s->command + 1, 4), rsp);
    if (!sd_present(&s->port) || (!n && index))
        return;
    uint32_t status = words ? 0 : (uint32_t)load_be(rsp, 4);
    answer(s, IDLE_LINE); /* N_CR; behind CMD12 the stuff byte */
    answer(s, r1(s, status));
    for (unsigned i = 0; words && i < 4; i++)
        answer(s, rsp[i]);
    if (index == 13)
        answer(s, r2(status));
    if (r1(s, status) & 0x7e)
        return;
    s->pos = 0;
    s->size = (uint16_t)read_size(index, app);
    s->multi = index == 18 || index == 25;
    if (s->size)
        s->mode = READ_FILL;
    else if (index == 24 || index == 25)
        s->mode = WRITE_TOKEN;
    else if (index == 12 || index == 28 || index == 29 || index == 38)
        s->mode = BUSY;
}

static bool take_command(SsiSd *s, uint8_t in)
{
    if (!s->command_len && (in & 0xc0) != 0x40)
        return false;
    s->command[s->command_len++] = in;
    if (s->command_len == sizeof s->command)
        execute(s);
    return true;
}

/* ---- blocks ---- */

static uint8_t read_byte(SsiSd *s)
{
    if (s->mode == READ_FILL) {
        s->pos += (uint16_t)sd_read(&s->port, s->data + s->pos, s->size - s->pos);
        if (s->pos < s->size) {
            if (!sd_failed(&s->port))
                return IDLE_LINE;
            s->mode = NOTHING;
            return ERROR_TOKEN;
        }
        store_be(s->data + s->size, 2, crc16(s->data, s->size));
        s->mode = READ_SEND;
        s->pos = 0;
        return TOKEN;
    }
    uint8_t byte = s->data[s->pos++];
    if (s->pos == s->size + 2) {
        s->pos = 0;
        s->mode = s->multi ? READ_FILL : NOTHING;
    }
    return byte;
}

static void write_byte(SsiSd *s, uint8_t in)
{
    uint8_t rsp[16];
    if (s->mode == WRITE_TOKEN) {
        s->pos = 0;
        if (in == (s->multi ? TOKEN_MULTI : TOKEN)) {
            s->mode = WRITE_DATA;
        } else if (s->multi && in == TOKEN_STOP) {
            sd_command(&s->port, 12, 0, rsp);
            s->mode = BUSY;
        }
        return;
    }
    s->data[s->pos++] = in;
    if (s->pos < BLOCK + 2)
        return;
    s->pos = 0;
    s->out_pos = s->out_len = 0;
    answer(s, sd_failed(&s->port) ? WRITE_ERROR : ACCEPTED);
    s->mode = WRITE_BUSY;
}

/* The line is low until the card has taken the block and programmed it. */
static uint8_t busy_byte(SsiSd *s)
{
    if (s->mode == WRITE_BUSY && s->pos < BLOCK) {
        s->pos += (uint16_t)sd_write(&s->port, s->data + s->pos, BLOCK - s->pos);
        if (s->pos < BLOCK && !sd_failed(&s->port))
            return 0;
    }
    if (sd_busy(&s->port) && !(s->mode == WRITE_BUSY && s->multi))
        return 0;
    s->mode = s->mode == WRITE_BUSY && s->multi ? WRITE_TOKEN : NOTHING;
    return IDLE_LINE;
}

uint16_t ssi_sd_exchange(Device *d, uint16_t frame)
{
    SsiSd *s = (SsiSd *)d;
    uint8_t in = (uint8_t)frame, out = IDLE_LINE;
    if (!s->selected)
        return IDLE_LINE;
    if (s->out_pos < s->out_len)
        out = s->out[s->out_pos++];
    else if (s->mode == READ_FILL || s->mode == READ_SEND)
        out = read_byte(s);
    else if (s->mode == WRITE_BUSY || s->mode == BUSY)
        out = busy_byte(s);
    if ((s->mode == WRITE_TOKEN || s->mode == WRITE_DATA) && s->out_pos == s->out_len && !s->command_len &&
        (s->mode == WRITE_DATA || in >= TOKEN_MULTI))
        write_byte(s, in);
    else
        take_command(s, in);
    return out;
}

/* ---- the device ---- */

static void port_event(SdPort *p) {}
static const SdHostOps host_ops = { .data = port_event, .card = port_event };

static void reset(Device *d, ResetPhase phase)
{
    SsiSd *s = (SsiSd *)d;
    if (phase != RESET_ENTER)
        return;
    s->command_len = s->out_pos = s->out_len = s->mode = 0;
    s->selected = s->multi = s->app = false;
    s->size = s->pos = 0;
    memset(s->data, 0, sizeof s->data);
    memset(s->out, 0, sizeof s->out);
    memset(s->command, 0, sizeof s->command);
}

/* Active low; a command that was cut off is forgotten. */
static void select_input(Device *d, unsigned pin, int level)
{
    SsiSd *s = (SsiSd *)d;
    s->selected = !level;
    s->command_len = 0;
}

static bool start(Device *d, Error **errp)
{
    SsiSd *s = (SsiSd *)d;
    sd_bus_init(&s->bus, d);
    s->bus.spi = true;
    sd_port_init(&s->port, d, &host_ops, &s->bus);
    return true;
}
static void stop(Device *d) { sd_bus_fini(&((SsiSd *)d)->bus); }

static bool loaded(Device *d, Error **errp)
{
    SsiSd *s = (SsiSd *)d;
    if (s->command_len < sizeof s->command && s->out_pos <= s->out_len && s->out_len <= sizeof s->out &&
        s->mode < MODES && s->size <= BLOCK && s->pos < sizeof s->data &&
        (s->mode != READ_SEND || s->pos < s->size + 2u) && (s->mode != READ_FILL || s->pos <= s->size))
        return true;
    reset(d, RESET_ENTER);
    error_setf(errp, "device '%s': the saved transfer makes no sense", d->id);
    return false;
}

static const char *const makes[] = { "sd", NULL }, *const in_pins[] = { "cs", NULL };
static const StateField state[] = {
    STATE_BYTES(SsiSd, command), STATE_U8(SsiSd, command_len), STATE_BYTES(SsiSd, out),     STATE_U8(SsiSd, out_pos),
    STATE_U8(SsiSd, out_len),    STATE_U8(SsiSd, mode),        STATE_BOOL(SsiSd, selected), STATE_BOOL(SsiSd, multi),
    STATE_BOOL(SsiSd, app),      STATE_U16(SsiSd, size),       STATE_U16(SsiSd, pos),       STATE_BYTES(SsiSd, data),
    STATE_END_OF_TABLE,
};
static const DeviceType type = {
    .name = "ssi-sd",
    .desc = "SD slot on a synchronous serial port",
    .category = "Storage",
    .size = sizeof(SsiSd),
    .provides = makes,
    .state = state,
    .in_pins = in_pins,
    .input = select_input,
    .start = start,
    .reset = reset,
    .loaded = loaded,
    .stop = stop,
};
DEVICE_REGISTER(type)
