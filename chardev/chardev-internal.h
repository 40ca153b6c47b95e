/* SPDX-License-Identifier: MIT */
/* What the back ends share: the ops of a back end, delivery to the front end, and the engine for file descriptors. */
#ifndef CHARDEV_INTERNAL_H
#define CHARDEV_INTERNAL_H

#include <pthread.h>
#include "base/bits.h"
#include "base/clock.h"
#include "base/evloop.h"
#include "base/thread.h"
#include "chardev/chardev.h"

typedef struct ChardevBackend {
    const char *name, *help;
    const char *const *options; /* NULL-terminated, without the common ones (id, mux, logfile, logappend) */
    size_t size;                /* of the structure whose first member is a Chardev */
    /* Main thread. Options are marked as used by getting them. A failed open is followed by close. */
    bool (*open)(Chardev *c, Opts *o, Error **errp);
    void (*close)(Chardev *c);
    /* Any thread, c->lock held; never blocks; bytes taken. */
    size_t (*write)(Chardev *c, const uint8_t *data, size_t len);
    void (*accept_input)(Chardev *c);  /* main thread: the front end can take bytes again; optional */
    int (*wait_fd)(Chardev *c);        /* c->lock held: poll this for POLLOUT when write took too little; -1: no use */
    void (*send_break)(Chardev *c);    /* optional */
    /* optional: the connected unix socket, closed for the chardev; -1: there is none */
    int (*take_fd)(Chardev *c);
    bool (*attach)(Chardev *c, const ChardevFrontend *fe, Error **errp); /* mux only: more than one front end */
    void (*detach)(Chardev *c, void *opaque);
} ChardevBackend;

struct Chardev {
    const ChardevBackend *ops;
    char *id, *label;        /* label: for `info chardev`, e.g. "pty:/dev/pts/3" */
    pthread_mutex_t lock;    /* output side */
    ChardevFrontend fe;      /* main thread */
    bool has_fe, open;
    bool interactive;        /* a person types: bytes that do not fit may be dropped */
    bool stuck;              /* the peer takes nothing: do not wait for it again */
    bool accept_pending;     /* atomic */
    int log_fd;
    uint64_t dropped;
};

extern const ChardevBackend chardev_null, chardev_ringbuf, chardev_stdio, chardev_file, chardev_pipe, chardev_pty,
    chardev_socket, chardev_mux;

/* Towards the front end; main thread, no lock held. */
size_t chr_can_read(Chardev *c);
void chr_receive(Chardev *c, const uint8_t *data, size_t len);
void chr_event(Chardev *c, ChardevEvent event); /* keeps c->open */

/* Make and register one without the mux option; takes id. */
Chardev *chr_open(const ChardevBackend *ops, const char *id, Opts *o, Error **errp);

/* ---- file descriptors ---- */

#define FD_PENDING_MAX (64 * 1024)

typedef struct FdPort FdPort;
struct FdPort {
    Chardev *c;
    int in, out;                 /* -1: none; may be the same */
    unsigned in_watch, out_watch;
    bool is_socket;
    GByteArray *pending;         /* output that did not fit; c->lock */
    /* Bytes read, before delivery: may change them; returns how many remain. Optional. */
    size_t (*filter)(FdPort *p, uint8_t *data, size_t len);
    void (*closed)(FdPort *p);   /* main thread: end of input or an error */
};

/* fds must not block (sockets: may); the port does not close them. */
void fdport_init(FdPort *p, Chardev *c, int in, int out);
void fdport_fini(FdPort *p);                 /* drops watches and pending output; main thread */
void fdport_accept_input(FdPort *p);         /* main thread */
size_t fdport_write(FdPort *p, const uint8_t *data, size_t len); /* c->lock held */
void fdport_flush(FdPort *p, int timeout_ms); /* main thread: at the end */
#endif
