/* SPDX-License-Identifier: MIT */
/* Line editing for a byte stream from a terminal: keys of Emacs and arrow keys, history, completion. */
#ifndef SYSTEM_READLINE_H
#define SYSTEM_READLINE_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define READLINE_MAX 4096
#define READLINE_HISTORY 100

typedef struct ReadlineOps {
    void (*write)(void *opaque, const char *text, size_t len);
    void (*line)(void *opaque, const char *line);                     /* Enter was pressed */
    /* add (owned) words that the line up to the cursor may end with */
    void (*complete)(void *opaque, const char *head, GPtrArray *out);
} ReadlineOps;

typedef struct Readline {
    const ReadlineOps *ops;
    void *opaque;
    const char *prompt;
    GString *text;
    size_t cursor;
    GPtrArray *history; /* of char *, oldest first */
    unsigned recall;    /* index in history of what is shown; == length: the new line */
    char *draft;        /* the new line while history is shown */
    enum { RL_PLAIN, RL_ESC, RL_CSI } state;
    unsigned csi_number;
} Readline;

void readline_init(Readline *r, const char *prompt, const ReadlineOps *ops, void *opaque);
void readline_free(Readline *r);
void readline_show_prompt(Readline *r);
void readline_input(Readline *r, const uint8_t *data, size_t len);

#endif
