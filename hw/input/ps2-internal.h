/* SPDX-License-Identifier: MIT */
/* What the PS/2 devices and their controller share beyond ps2.h. */
#ifndef HW_INPUT_PS2_INTERNAL_H
#define HW_INPUT_PS2_INTERNAL_H

#include "hw/input/ps2.h"

/* Pseudo codes in Ps2Key.set2: keys with sequences of their own. */
enum { PS2_PRINT = 0xfe, PS2_PAUSE = 0xff };

typedef struct Ps2Key {
    const char *name;
    uint8_t set2, prefix, set3;
} Ps2Key;
extern const Ps2Key ps2_keys[];
extern const unsigned ps2_key_count;

/* A set 2 byte as the controller hands it on when it translates. */
uint8_t ps2_translate(uint8_t code);

/* Bytes for the controller: all or none (a full queue drops a whole key or packet). true: queued. */
bool ps2_queue(Ps2Port *p, const uint8_t *bytes, unsigned count);
/* The reply to a command: drops what was queued before (the device stops sending when the host talks). */
void ps2_reply(Ps2Port *p, const uint8_t *bytes, unsigned count);
bool ps2_port_loaded(Ps2Port *p, const char *what, Error **errp);
extern const StateField ps2_port_state[];
/* Motion and buttons that found no room, after the queue has been read from. */
void ps2_mouse_resume(Ps2Mouse *m);

enum { PS2_ACK = 0xfa, PS2_RESEND = 0xfe, PS2_SELF_TEST_OK = 0xaa };
#endif
