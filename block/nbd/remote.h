/* SPDX-License-Identifier: MIT */
/* The client's side of the NBD handshake: reaching an export, and asking what there is. */
#ifndef BLOCK_NBD_REMOTE_H
#define BLOCK_NBD_REMOTE_H

#include <pthread.h>
#include "block/nbd/address.h"
#include "block/nbd/channel.h"

/* Lets another thread end an attempt: it fails soon after nbd_cancel(). */
typedef struct NbdCancel { pthread_mutex_t lock; int fd; bool cancelled; } NbdCancel;
void nbd_cancel(NbdCancel *c);

typedef struct NbdWant {
    const NbdAddress *address;
    const char *export;        /* "": the server's default */
    bool tls;
    Object *creds;             /* for tls; NULL: the system's authorities */
    const char *tls_hostname;  /* NULL: the address's */
    const char *context;       /* for block status; NULL: none */
    unsigned timeout_ms;       /* for each step; 0: none */
    NbdCancel *cancel;         /* or NULL */
    bool simple;               /* no structured replies: Linux's client does not know them */
} NbdWant;

typedef struct NbdRemote {
    NbdChannel *ch;
    uint64_t size;
    uint16_t flags;                    /* NBD_FLAG_… */
    uint32_t min_block, preferred, max_block; /* 1, 4096, 32 MiB when the server is silent */
    bool structured, has_context;
    uint32_t context_id;
} NbdRemote;

/* Connects and goes to transmission. */
bool nbd_remote_open(const NbdWant *w, NbdRemote *out, Error **errp);
/* What `rhea-nbd --list` tells, for people. */
bool nbd_remote_list(const NbdWant *w, GString *out, Error **errp);
#endif
