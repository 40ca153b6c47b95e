/* SPDX-License-Identifier: MIT */
/* Character back ends: stdio, file, pty, socket, pipe, null, ringbuf, mux. */
#ifndef CHARDEV_CHARDEV_H
#define CHARDEV_CHARDEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "base/opts.h"

typedef struct Chardev Chardev;
typedef enum ChardevEvent { CHR_OPENED, CHR_CLOSED, CHR_BREAK, CHR_MUX_IN, CHR_MUX_OUT,
                            CHR_FLUSH /* the program ends: write now what you hold */ } ChardevEvent;

/*
 * The one front end of a chardev (a UART, the monitor, a mux). Callbacks come in the main thread, under `domain` when
 * it is not NULL. can_read tells how many bytes receive() may be given now; when that grows from 0 call
 * chardev_accept_input().
 */
typedef struct ChardevFrontend {
    size_t (*can_read)(void *opaque);
    void (*receive)(void *opaque, const uint8_t *data, size_t len);
    void (*event)(void *opaque, ChardevEvent event);
    struct LockDomain *domain;
    void *opaque;
} ChardevFrontend;

/* -chardev stdio,id=x,mux=on,signal=off,logfile=... ; the registry owns the result. */
Chardev *chardev_new_opts(Opts *opts, Error **errp);
/* -serial / -monitor short forms: "stdio" "mon:stdio" "pty" "null" "none" "vc" "file:F" "pipe:P" "unix:P,server=on"
   "tcp:H:P" "telnet:" "chardev:ID". "none": *none is set and NULL returned without error. */
Chardev *chardev_new_short(const char *id, const char *text, bool *none, Error **errp);
Chardev *chardev_find(const char *id);
const char *chardev_id(const Chardev *c);
/* Shared by several front ends: who has the focus learns it by CHR_MUX_IN and CHR_MUX_OUT. */
bool chardev_is_mux(const Chardev *c);
void chardev_print_list(GString *out); /* -chardev help */
void chardev_print_info(GString *out); /* info chardev */
void chardev_restore_terminal(void); /* also in a signal handler */
void chardevs_close_all(void);         /* at exit: flush, restore the terminal */

/* Fails when the chardev already has a front end (and is no mux). */
bool chardev_attach(Chardev *c, const ChardevFrontend *fe, Error **errp);
void chardev_detach(Chardev *c, void *opaque);
/*
 * Queue output; returns bytes taken (less than len: back end is full; try again after the next event loop turn). Any
 * thread.
 */
size_t chardev_write(Chardev *c, const void *data, size_t len);
/* Queue all; never blocks for ever: bytes that a stuck peer does not take within a bound are dropped (counted). */
void chardev_write_all(Chardev *c, const void *data, size_t len);
void chardev_accept_input(Chardev *c);
/*
 * The connected unix socket itself, for those who pass file descriptors over it; the caller's from now on, the chardev
 * stays closed. -1: it is none, or nobody is connected. Main thread, no front end attached.
 */
int chardev_take_socket(Chardev *c, Error **errp);
void chardev_send_break(Chardev *c);
void chardev_set_line(Chardev *c, unsigned baud, char parity, unsigned data_bits, unsigned stop_bits);

/* The mux on stdio (-nographic): Ctrl-a h/x/s/b/c/Ctrl-a. Called for Ctrl-a x. */
void chardev_set_quit_handler(void (*quit)(void));
/* Ring buffer contents (QMP ringbuf-read). */
char *chardev_ringbuf_read(Chardev *c, size_t max, size_t *len, Error **errp);
#endif
