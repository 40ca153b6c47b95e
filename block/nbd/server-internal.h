/* SPDX-License-Identifier: MIT */
/* Private to the NBD server: its connections, the haggling and the transmission. */
#ifndef BLOCK_NBD_SERVER_INTERNAL_H
#define BLOCK_NBD_SERVER_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include "block/driver.h"
#include "block/nbd/channel.h"
#include "block/nbd/proto.h"
#include "block/nbd/server.h"

enum {
    NBD_THREADS = 16,                 /* requests of one connection at a time */
    NBD_BUDGET = 64 << 20,            /* bytes of buffers of one connection */
    NBD_OPTION_MAX = 256 << 10,       /* data of an option; longer ones end the connection */
    NBD_OPTIONS = 16384,              /* of one handshake */
    NBD_HANDSHAKE_SECONDS = 60,
    NBD_BITMAPS = 60, NBD_CONTEXT_DEPTH = 1, NBD_CONTEXT_BITMAP = 2, /* ids of contexts; 0: base:allocation */
};

typedef struct NbdExport {
    char *name, *description;
    BlockNode *node;
    bool writable, depth, removed;
    uint64_t offset, fixed_size;
    GPtrArray *bitmaps, *bitmap_names; /* of BlockBitmap * that are held, and of char * */
    unsigned refs;        /* the server's list, and connections; under the server's lock */
    unsigned clients;
} NbdExport;

typedef struct NbdConn {
    NbdServer *server;
    NbdChannel *ch;
    char *peer;
    NbdExport *export;     /* set by the handshake */
    bool structured, no_zeroes, fixed;
    uint64_t contexts;     /* bits: ids that the client has chosen */
    char *contexts_of;     /* the export that they belong to */
    /* transmission: one thread at a time (the leader) receives */
    pthread_mutex_t lock;
    pthread_cond_t change, lead_free;
    bool led, ended;
    unsigned threads, idle;
    uint64_t budget;
    pthread_mutex_t send_lock;
} NbdConn;

/* server.c */
NbdExport *nbd_export_find(NbdServer *s, const char *name); /* a reference; NULL: there is none */
void nbd_export_unref(NbdServer *s, NbdExport *e);
void nbd_export_names(NbdServer *s, GPtrArray *out);         /* of references */
Object *nbd_server_creds(NbdServer *s);
bool nbd_server_shared(NbdServer *s);
void nbd_conn_attach(NbdConn *c, NbdExport *e);              /* takes the reference */
void nbd_server_log(NbdServer *s, const char *fmt, ...) G_GNUC_PRINTF(2, 3);
static inline uint64_t nbd_export_size(const NbdExport *e)
{
    uint64_t size = block_size(e->node);
    return e->fixed_size ? e->fixed_size : size > e->offset ? size - e->offset : 0;
}

/* haggle.c: true: the client has chosen an export, transmission begins. */
bool nbd_haggle(NbdConn *c);
/* transmit.c: until the client goes; all threads of the connection have ended. */
void nbd_transmit(NbdConn *c);
#endif
