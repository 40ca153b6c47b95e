/* SPDX-License-Identifier: MIT */
/* The PS/2 keyboard. Source: IBM PS/2 Hardware Interface Technical Reference, keyboard (101- and 102-key). */
#include "base/bits.h"
#include "base/log.h"
#include "base/trace.h"
#include "hw/input/ps2-internal.h"

enum {
    CMD_LEDS = 0xed, CMD_ECHO = 0xee, CMD_SET = 0xf0, CMD_ID = 0xf2, CMD_TYPEMATIC = 0xf3, CMD_ENABLE = 0xf4,
    CMD_DISABLE = 0xf5, CMD_DEFAULTS = 0xf6, CMD_ALL_REPEAT = 0xf7, CMD_ALL_MAKE_BREAK = 0xf8, CMD_ALL_MAKE = 0xf9,
    CMD_ALL_BOTH = 0xfa, CMD_KEY_REPEAT = 0xfb, CMD_KEY_MAKE_BREAK = 0xfc, CMD_KEY_MAKE = 0xfd, CMD_RESEND = 0xfe,
    CMD_RESET = 0xff,
};
#define DEFAULT_TYPEMATIC 0x2b /* 500 ms, 10.9 a second */

const StateField ps2_keyboard_state[] = {
    STATE_STRUCT(Ps2Keyboard, port, ps2_port_state), STATE_BOOL(Ps2Keyboard, scanning), STATE_U8(Ps2Keyboard, set),
    STATE_U8(Ps2Keyboard, leds), STATE_U8(Ps2Keyboard, typematic), STATE_BYTES(Ps2Keyboard, no_break),
    STATE_END_OF_TABLE,
};

static void defaults(Ps2Keyboard *k)
{
    k->set = 2;
    k->typematic = DEFAULT_TYPEMATIC;
    memset(k->no_break, 0, sizeof(k->no_break));
}

void ps2_keyboard_init(Ps2Keyboard *k, Ps2UpdateFn *update, void *opaque)
{
    k->port.update = update;
    k->port.opaque = opaque;
}

void ps2_keyboard_reset(Ps2Keyboard *k)
{
    k->port.head = k->port.count = k->port.command = 0;
    k->port.last_sent = 0;
    k->scanning = true;
    k->leds = 0;
    defaults(k);
}

static void reply(Ps2Keyboard *k, uint8_t v)
{
    ps2_reply(&k->port, &v, 1);
}

static void write_parameter(Ps2Keyboard *k, uint8_t v)
{
    uint8_t command = k->port.command;

    k->port.command = 0;
    switch (command) {
    case CMD_LEDS:
        k->leds = v & 7;
        break;
    case CMD_TYPEMATIC:
        k->typematic = v & 0x7f;
        break;
    case CMD_SET:
        if (v == 0) {
            ps2_reply(&k->port, (uint8_t[]){ PS2_ACK, k->set }, 2);
            return;
        }
        if (v > 3) {
            reply(k, PS2_RESEND);
            return;
        }
        k->set = v;
        break;
    default: /* types of single keys, by set 3 code: one key a byte, ended by the next command */
        if (command == CMD_KEY_MAKE_BREAK)
            k->no_break[v >> 3] &= ~(1u << (v & 7));
        else
            k->no_break[v >> 3] |= 1u << (v & 7);
        k->port.command = command;
    }
    reply(k, PS2_ACK);
}

static void write_command(Ps2Keyboard *k, uint8_t v)
{
    k->port.command = 0;
    switch (v) {
    case CMD_ECHO:
        reply(k, CMD_ECHO);
        return;
    case CMD_ID:
        ps2_reply(&k->port, (uint8_t[]){ PS2_ACK, 0xab, 0x83 }, 3);
        return;
    case CMD_RESEND:
        reply(k, k->port.last_sent);
        return;
    case CMD_RESET:
        ps2_keyboard_reset(k);
        ps2_reply(&k->port, (uint8_t[]){ PS2_ACK, PS2_SELF_TEST_OK }, 2);
        return;
    case CMD_LEDS:
    case CMD_SET:
    case CMD_TYPEMATIC:
    case CMD_KEY_REPEAT:
    case CMD_KEY_MAKE_BREAK:
    case CMD_KEY_MAKE:
        k->port.command = v;
        break;
    case CMD_ENABLE:
        k->scanning = true;
        break;
    case CMD_DISABLE:
        defaults(k);
        k->scanning = false;
        break;
    case CMD_DEFAULTS:
        defaults(k);
        break;
    case CMD_ALL_REPEAT:
    case CMD_ALL_MAKE:
        memset(k->no_break, 0xff, sizeof(k->no_break));
        break;
    case CMD_ALL_MAKE_BREAK:
    case CMD_ALL_BOTH:
        memset(k->no_break, 0, sizeof(k->no_break));
        break;
    default:
        log_guest_error("ps2-keyboard", "unknown command 0x%x", v);
        reply(k, PS2_RESEND);
        return;
    }
    reply(k, PS2_ACK);
}

void ps2_keyboard_write(Ps2Keyboard *k, uint8_t v)
{
    TRACE(ps2_keyboard_write, "value 0x%x", v);
    if (k->port.command && v < CMD_LEDS)
        write_parameter(k, v);
    else
        write_command(k, v);
}

/* Print Screen and Pause have sequences that no rule gives. */
typedef struct Sequence {
    uint8_t length, bytes[8];
} Sequence;
static const Sequence special[2][2][2] = { /* [print, pause][set 1, set 2][make, break] */
    { { { 4, { 0xe0, 0x2a, 0xe0, 0x37 } }, { 4, { 0xe0, 0xb7, 0xe0, 0xaa } } },
      { { 4, { 0xe0, 0x12, 0xe0, 0x7c } }, { 6, { 0xe0, 0xf0, 0x7c, 0xe0, 0xf0, 0x12 } } } },
    { { { 6, { 0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5 } }, { 0 } },
      { { 8, { 0xe1, 0x14, 0x77, 0xe1, 0xf0, 0x14, 0xf0, 0x77 } }, { 0 } } },
};

static void send_set3(Ps2Keyboard *k, const Ps2Key *key, bool down)
{
    uint8_t code = key->set3;

    if (!code || (!down && (k->no_break[code >> 3] & 1u << (code & 7))))
        return;
    ps2_queue(&k->port, (uint8_t[]){ 0xf0, code } + down, 2 - down);
}

void ps2_keyboard_key(Ps2Keyboard *k, unsigned number, bool down)
{
    const Ps2Key *key = &ps2_keys[number];
    uint8_t bytes[3];
    unsigned n = 0;

    if (!k->scanning)
        return;
    if (k->set == 3) {
        send_set3(k, key, down);
        return;
    }
    if (key->set2 >= PS2_PRINT) {
        const Sequence *s = &special[key->set2 == PS2_PAUSE][k->set == 2][!down];
        ps2_queue(&k->port, s->bytes, s->length);
        return;
    }
    if (key->prefix)
        bytes[n++] = key->prefix;
    if (k->set == 2 && !down)
        bytes[n++] = 0xf0;
    bytes[n++] = k->set == 2 ? key->set2 : ps2_translate(key->set2) | (down ? 0 : 0x80);
    ps2_queue(&k->port, bytes, n);
}

bool ps2_keyboard_loaded(Ps2Keyboard *k, Error **errp)
{
    if (k->set < 1 || k->set > 3)
        k->set = 2;
    return ps2_port_loaded(&k->port, "keyboard", errp);
}
