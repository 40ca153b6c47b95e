/* SPDX-License-Identifier: MIT */
/* One connection of the NBD client in its transmission phase: requests of several threads at a time. */
#ifndef BLOCK_NBD_LINK_H
#define BLOCK_NBD_LINK_H

#include <pthread.h>
#include "block/nbd/proto.h"
#include "block/nbd/remote.h"

enum { NBD_SLOTS = 64 };

/* A request; the caller's until nbd_link_call() returns. */
typedef struct NbdCall {
    NbdCommand type;
    uint16_t flags;
    uint64_t offset;
    uint32_t len;
    const struct iovec *iov;         /* what is written, or where to read to: len bytes */
    int iovcnt;
    uint32_t extent_len, extent_flags; /* BLOCK_STATUS: the first extent */
    /* private */
    uint64_t cookie, received;
    int error;
    bool done, waits;
    pthread_cond_t ready;
} NbdCall;

typedef struct NbdLink {
    NbdRemote m;
    unsigned users;                  /* of the node, under its lock */
    pthread_mutex_t lock;            /* of the fields below */
    pthread_mutex_t send_lock;
    pthread_cond_t slot_free;
    NbdCall *slots[NBD_SLOTS];
    _Atomic unsigned in_flight;
    uint64_t serial;
    bool reading;
    _Atomic bool dead;
} NbdLink;

NbdLink *nbd_link_new(const NbdRemote *m); /* takes the connection */
void nbd_link_free(NbdLink *l);            /* nobody uses it; says good-bye when it still can */
/* 0, the server's error, or -ENOTCONN: the connection was lost before the answer came. */
int nbd_link_call(NbdLink *l, NbdCall *c);
#endif
