/* SPDX-License-Identifier: MIT */
/* An NBD server in this process: exports of nodes on unix and TCP sockets. rhea-nbd and the monitor use it. */
#ifndef BLOCK_NBD_SERVER_H
#define BLOCK_NBD_SERVER_H

#include "base/object.h"
#include "block/block.h"
#include "block/nbd/address.h"

typedef struct NbdServer NbdServer;

typedef struct NbdExportConfig {
    const char *name, *description;  /* description may be NULL */
    BlockNode *node;                 /* the export takes a reference of its own */
    bool writable;
    /* the part of the image; size 0: up to its end, and following it when it is resized */
    uint64_t offset, size;
    bool depth;                      /* qemu:allocation-depth */
    const char *const *bitmaps;      /* names, NULL at the end; NULL: none */
} NbdExportConfig;

/*
 * Serves from nbd_server_start() on, in threads of its own, until nbd_server_free(), which cuts all connections. creds:
 * a tls-creds object, for which the caller keeps a use until the server is freed; with it clients must begin TLS.
 * max_clients: further ones wait; 0: no limit. fds: sockets that listen already (nbd_listen), taken.
 */
NbdServer *nbd_server_new(const int *fds, unsigned count, Object *creds, unsigned max_clients);
void nbd_server_start(NbdServer *s);
void nbd_server_free(NbdServer *s);
/* Fails on a name that is taken or too long, and a part that is not in the image. */
bool nbd_server_add(NbdServer *s, const NbdExportConfig *c, Error **errp);
/* force: cut its clients; else it fails while there are any. */
bool nbd_server_remove(NbdServer *s, const char *name, bool force, Error **errp);
bool nbd_server_has(NbdServer *s, const char *name);
/* Returns after nbd_server_interrupt() (any thread); until_idle: or when the last client has gone. */
void nbd_server_wait(NbdServer *s, bool until_idle);
void nbd_server_interrupt(NbdServer *s);
unsigned nbd_server_clients(NbdServer *s);
/* One line for each export: "name: file, 12 clients"; for the monitor. */
void nbd_server_print(NbdServer *s, GString *out);
/* What goes on, for -v: one line; NULL: nothing. Set before clients come. */
void nbd_server_set_log(NbdServer *s, void (*log)(const char *line));
#endif
