/* SPDX-License-Identifier: MIT */
/* A byte stream between an NBD client and server: a socket, perhaps with TLS on it. */
#ifndef BLOCK_NBD_CHANNEL_H
#define BLOCK_NBD_CHANNEL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>
#include "crypto/tls.h"

enum { NBD_BUFFER = 32 << 10 };

/* One thread may receive while another sends; the users lock among themselves. */
typedef struct NbdChannel {
    int fd;
    TlsSession *tls;
    size_t from, to;         /* received, not yet taken */
    uint8_t buf[NBD_BUFFER];
} NbdChannel;

NbdChannel *nbd_channel_new(int fd);          /* takes fd */
void nbd_channel_free(NbdChannel *c);
void nbd_channel_shutdown(NbdChannel *c);     /* any thread: who waits in it gets an error */
/* The peer must send within that time, or receiving fails; 0: no limit. */
void nbd_channel_timeout(NbdChannel *c, unsigned seconds);
/* All of it: 0, or negative errno; -ENODATA: the stream ended before the first byte, -EPIPE: later. */
int nbd_recv(NbdChannel *c, void *buf, size_t len);
int nbd_recvv(NbdChannel *c, const struct iovec *iov, int iovcnt, size_t skip, size_t len);
int nbd_recv_drop(NbdChannel *c, uint64_t len);
int nbd_sendv(NbdChannel *c, struct iovec *iov, int iovcnt); /* changes iov */
int nbd_send(NbdChannel *c, const void *buf, size_t len);
/* Is a whole message of that many bytes here already? */
static inline bool nbd_has(const NbdChannel *c, size_t len) { return c->to - c->from >= len; }
#endif
