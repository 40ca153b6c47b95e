/* SPDX-License-Identifier: MIT */
/* PS/2 keyboard and mouse: the two devices behind a keyboard controller, and where user input enters. */
#ifndef HW_INPUT_PS2_H
#define HW_INPUT_PS2_H

#include "hw/core/device.h"

#define PS2_QUEUE 256

/* Called (domain held) whenever the port's "byte ready" state may have changed. */
typedef void Ps2UpdateFn(void *opaque);

typedef struct Ps2Port {
    Ps2UpdateFn *update;
    void *opaque;
    /* saved */
    uint8_t queue[PS2_QUEUE];
    uint16_t head, count;
    uint16_t command;  /* command that waits for its parameter, 0: none */
    uint8_t last_sent; /* for resend */
} Ps2Port;

typedef struct Ps2Keyboard {
    Ps2Port port;
    bool scanning;
    uint8_t set;       /* scan code set 1, 2 or 3 */
    uint8_t leds, typematic;
    uint8_t no_break[32]; /* set 3: bit per code: sends no break code */
} Ps2Keyboard;

typedef struct Ps2Mouse {
    Ps2Port port;
    uint8_t id;          /* 0 standard, 3 IntelliMouse, 4 Explorer */
    uint8_t status, resolution, rate;
    uint8_t detect;      /* progress of the sample-rate knock */
    bool wrap;
    uint8_t buttons;
    uint32_t dx, dy, dz; /* signed, not yet reported */
    bool changed;        /* buttons differ from the last packet */
} Ps2Mouse;

extern const StateField ps2_keyboard_state[], ps2_mouse_state[];

void ps2_keyboard_init(Ps2Keyboard *k, Ps2UpdateFn *update, void *opaque);
void ps2_mouse_init(Ps2Mouse *m, Ps2UpdateFn *update, void *opaque);
void ps2_keyboard_reset(Ps2Keyboard *k);
void ps2_mouse_reset(Ps2Mouse *m);
/* A byte from the host controller. */
void ps2_keyboard_write(Ps2Keyboard *k, uint8_t value);
void ps2_mouse_write(Ps2Mouse *m, uint8_t value);
/* Take the next byte for the controller; port->count must not be 0. */
uint8_t ps2_read(Ps2Port *p);
bool ps2_keyboard_loaded(Ps2Keyboard *k, Error **errp);
bool ps2_mouse_loaded(Ps2Mouse *m, Error **errp);

/*
 * User input (monitor's sendkey, displays), main thread, no lock held: to the machine's keyboard controller. Key names
 * are QEMU's QKeyCode names ("a", "ret", "shift", "ctrl_r", "kp_1" ...). false: no such key, or no keyboard.
 */
bool ps2_send_key(const char *name, bool down);
typedef enum Ps2Button { PS2_LEFT = 1, PS2_RIGHT = 2, PS2_MIDDLE = 4, PS2_SIDE = 8, PS2_EXTRA = 16 } Ps2Button;
/* Relative motion: x right, y down, z wheel towards the user; buttons: Ps2Button mask now held. false: no mouse. */
bool ps2_send_mouse(int dx, int dy, int dz, unsigned buttons);
/* NULL-terminated list of key names. */
const char *const *ps2_key_names(void);

/* The key's number in the table, or -1; and its effect on a keyboard (domain held). */
int ps2_key_find(const char *name);
void ps2_keyboard_key(Ps2Keyboard *k, unsigned key, bool down);
void ps2_mouse_event(Ps2Mouse *m, int dx, int dy, int dz, unsigned buttons);
#endif
