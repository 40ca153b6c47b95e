/* SPDX-License-Identifier: MIT */
/*
 * The PS/2 mouse with the IntelliMouse (wheel) and Explorer (five buttons) extensions.
 * Sources: IBM PS/2 Hardware Interface Technical Reference, mouse; Microsoft, "IntelliMouse" detection sequences.
 */
#include "base/bits.h"
#include "base/log.h"
#include "base/trace.h"
#include "hw/input/ps2-internal.h"

enum {
    CMD_SCALE_1 = 0xe6,
    CMD_SCALE_2 = 0xe7,
    CMD_RESOLUTION = 0xe8,
    CMD_STATUS = 0xe9,
    CMD_STREAM = 0xea,
    CMD_POLL = 0xeb,
    CMD_UNWRAP = 0xec,
    CMD_WRAP = 0xee,
    CMD_REMOTE = 0xf0,
    CMD_ID = 0xf2,
    CMD_RATE = 0xf3,
    CMD_ENABLE = 0xf4,
    CMD_DISABLE = 0xf5,
    CMD_DEFAULTS = 0xf6,
    CMD_RESEND = 0xfe,
    CMD_RESET = 0xff,
};
enum { STATUS_SCALE_2 = 0x10, STATUS_ENABLED = 0x20, STATUS_REMOTE = 0x40 };
enum { ID_STANDARD = 0, ID_WHEEL = 3, ID_EXPLORER = 4 };
#define PACKET_MAX 4
#define BACKLOG_MAX 16 /* bytes of packets that wait; motion adds up meanwhile */
#define MOTION_MAX 100000

const StateField ps2_mouse_state[] = {
    STATE_STRUCT(Ps2Mouse, port, ps2_port_state), STATE_U8(Ps2Mouse, id), STATE_U8(Ps2Mouse, status),
    STATE_U8(Ps2Mouse, resolution), STATE_U8(Ps2Mouse, rate), STATE_U8(Ps2Mouse, detect), STATE_BOOL(Ps2Mouse, wrap),
    STATE_U8(Ps2Mouse, buttons), STATE_U32(Ps2Mouse, dx), STATE_U32(Ps2Mouse, dy), STATE_U32(Ps2Mouse, dz),
    STATE_BOOL(Ps2Mouse, changed), STATE_END_OF_TABLE,
};

static void defaults(Ps2Mouse *m)
{
    m->status = 0;
    m->resolution = 2;
    m->rate = 100;
    m->dx = m->dy = m->dz = 0;
    m->changed = false;
}

void ps2_mouse_init(Ps2Mouse *m, Ps2UpdateFn *update, void *opaque)
{
    m->port.update = update;
    m->port.opaque = opaque;
}

void ps2_mouse_reset(Ps2Mouse *m)
{
    m->port.head = m->port.count = m->port.command = 0;
    m->port.last_sent = 0;
    m->id = ID_STANDARD;
    m->detect = 0;
    m->wrap = false;
    defaults(m);
}

/* Take at most what a packet can carry; the rest stays for the next one. */
static int take(uint32_t *sum, int low, int high)
{
    int v = CLAMP((int32_t)*sum, low, high);
    *sum -= v;
    return v;
}

/* 2:1 scaling of stream mode. */
static int scale(int v)
{
    static const uint8_t table[] = { 0, 1, 1, 3, 6, 9 };
    int size = ABS(v);
    int scaled = size < (int)ARRAY_LEN(table) ? table[size] : 2 * size;
    return v < 0 ? -MIN(scaled, 256) : MIN(scaled, 255);
}

static unsigned make_packet(Ps2Mouse *m, uint8_t *packet, bool scaled)
{
    int dx = take(&m->dx, -256, 255);
    int dy = -take(&m->dy, -255, 256); /* ours is down, the packet's up */
    int dz;

    if (scaled && (m->status & STATUS_SCALE_2)) {
        dx = scale(dx);
        dy = scale(dy);
    }
    packet[0] = 0x08 | (m->buttons & 7) | (dx < 0 ? 0x10 : 0) | (dy < 0 ? 0x20 : 0);
    packet[1] = dx;
    packet[2] = dy;
    m->changed = false;
    switch (m->id) {
    case ID_WHEEL:
        packet[3] = take(&m->dz, -127, 127);
        return 4;
    case ID_EXPLORER:
        dz = take(&m->dz, -7, 7);
        packet[3] = (dz & 0xf) | (m->buttons & (PS2_SIDE | PS2_EXTRA)) << 1;
        return 4;
    default:
        m->dz = 0;
        return 3;
    }
}

static void send_packets(Ps2Mouse *m)
{
    uint8_t packet[PACKET_MAX];

    while ((m->dx || m->dy || m->dz || m->changed) && m->port.count < BACKLOG_MAX)
        ps2_queue(&m->port, packet, make_packet(m, packet, true));
}

static void reply(Ps2Mouse *m, uint8_t v)
{
    ps2_reply(&m->port, &v, 1);
}

/* The knock: rates 200, 100, 80 turn the wheel on; 200, 200, 80 after that the extra buttons. */
static void set_rate(Ps2Mouse *m, uint8_t rate)
{
    enum { NOTHING, SAW_200, SAW_200_100, SAW_200_200 };

    m->rate = rate;
    if (rate == 80 && m->detect == SAW_200_100)
        m->id = ID_WHEEL;
    else if (rate == 80 && m->detect == SAW_200_200)
        m->id = ID_EXPLORER;
    if (rate == 200)
        m->detect = m->detect == SAW_200 || m->detect == SAW_200_200 ? SAW_200_200 : SAW_200;
    else
        m->detect = rate == 100 && m->detect == SAW_200 ? SAW_200_100 : NOTHING;
}

static void write_parameter(Ps2Mouse *m, uint8_t v)
{
    if (m->port.command == CMD_RATE)
        set_rate(m, v);
    else
        m->resolution = v & 3;
    m->port.command = 0;
    reply(m, PS2_ACK);
}

static void send_status(Ps2Mouse *m)
{
    uint8_t buttons = (m->buttons & PS2_LEFT ? 4 : 0) | (m->buttons & PS2_MIDDLE ? 2 : 0) |
                      (m->buttons & PS2_RIGHT ? 1 : 0);
    ps2_reply(&m->port, (uint8_t[]){ PS2_ACK, m->status | buttons, m->resolution, m->rate }, 4);
}

static void poll(Ps2Mouse *m)
{
    uint8_t bytes[1 + PACKET_MAX] = { PS2_ACK };
    unsigned n = make_packet(m, bytes + 1, false);

    ps2_reply(&m->port, bytes, 1 + n);
}

static void write_command(Ps2Mouse *m, uint8_t v)
{
    switch (v) {
    case CMD_SCALE_1:
        m->status &= ~STATUS_SCALE_2;
        break;
    case CMD_SCALE_2:
        m->status |= STATUS_SCALE_2;
        break;
    case CMD_RESOLUTION:
    case CMD_RATE:
        m->port.command = v;
        break;
    case CMD_STATUS:
        send_status(m);
        return;
    case CMD_STREAM:
        m->status &= ~STATUS_REMOTE;
        break;
    case CMD_POLL:
        poll(m);
        return;
    case CMD_UNWRAP:
        m->wrap = false;
        break;
    case CMD_WRAP:
        m->wrap = true;
        break;
    case CMD_REMOTE:
        m->status |= STATUS_REMOTE;
        break;
    case CMD_ID:
        ps2_reply(&m->port, (uint8_t[]){ PS2_ACK, m->id }, 2);
        return;
    case CMD_ENABLE:
        m->status |= STATUS_ENABLED;
        break;
    case CMD_DISABLE:
        m->status &= ~STATUS_ENABLED;
        break;
    case CMD_DEFAULTS:
        defaults(m);
        break;
    case CMD_RESEND:
        reply(m, m->port.last_sent);
        return;
    case CMD_RESET:
        ps2_mouse_reset(m);
        ps2_reply(&m->port, (uint8_t[]){ PS2_ACK, PS2_SELF_TEST_OK, ID_STANDARD }, 3);
        return;
    default:
        log_guest_error("ps2-mouse", "unknown command 0x%x", v);
        reply(m, PS2_RESEND);
        return;
    }
    reply(m, PS2_ACK);
}

void ps2_mouse_write(Ps2Mouse *m, uint8_t v)
{
    TRACE(ps2_mouse_write, "value 0x%x", v);
    if (m->wrap && v != CMD_RESET && v != CMD_UNWRAP)
        reply(m, v);
    else if (m->port.command)
        write_parameter(m, v);
    else
        write_command(m, v);
}

static void add(uint32_t *sum, int v)
{
    *sum = CLAMP((int64_t)(int32_t)*sum + v, -MOTION_MAX, MOTION_MAX);
}

void ps2_mouse_event(Ps2Mouse *m, int dx, int dy, int dz, unsigned buttons)
{
    add(&m->dx, dx);
    add(&m->dy, dy);
    add(&m->dz, dz);
    m->changed |= m->buttons != (buttons & 0x1f);
    m->buttons = buttons & 0x1f;
    ps2_mouse_resume(m);
}

void ps2_mouse_resume(Ps2Mouse *m)
{
    if ((m->status & STATUS_ENABLED) && !(m->status & STATUS_REMOTE))
        send_packets(m);
}

bool ps2_mouse_loaded(Ps2Mouse *m, Error **errp)
{
    if (m->id != ID_WHEEL && m->id != ID_EXPLORER)
        m->id = ID_STANDARD;
    m->buttons &= 0x1f;
    return ps2_port_loaded(&m->port, "mouse", errp);
}
