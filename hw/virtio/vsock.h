/* SPDX-License-Identifier: MIT */
/* virtio-vsock: streams between guest and host (VIRTIO 1.2 section 5.10); the host's ends are unix sockets. */
#ifndef HW_VIRTIO_VSOCK_H
#define HW_VIRTIO_VSOCK_H

#include "hw/virtio/virtio-proxy.h"

enum {
    VSOCK_HOST_CID = 2,
    VSOCK_HEADER = 44,
    VSOCK_STREAM = 1,
    VSOCK_CONNECTIONS = 256,
    VSOCK_BUFFER = 256 * 1024,
    VSOCK_PIECE = 16384,
    VSOCK_RESETS = 128
};
enum {
    VSOCK_REQUEST = 1,
    VSOCK_RESPONSE,
    VSOCK_RST,
    VSOCK_SHUTDOWN,
    VSOCK_RW,
    VSOCK_CREDIT_UPDATE,
    VSOCK_CREDIT_REQUEST
};
enum { VSOCK_SHUT_RECEIVE = 1, VSOCK_SHUT_SEND = 2 };

typedef struct VsockHeader {
    uint64_t src_cid, dst_cid;
    uint32_t src_port, dst_port, len;
    uint16_t type, op;
    uint32_t flags, buf_alloc, fwd_cnt;
} VsockHeader;

typedef struct Vsock Vsock;

/* A stream. host_port is ours (a number that we choose when the host has begun), guest_port the guest's. */
typedef struct VsockConn {
    Vsock *s;
    uint32_t host_port, guest_port;
    int fd;
    unsigned watch, watch_events;
    bool greeting;        /* the host's program has still to say "CONNECT PORT" */
    bool asked;           /* we asked the guest, which has not answered yet */
    bool open;
    bool host_ended;      /* no more comes from the socket */
    uint8_t guest_shut;   /* VSOCK_SHUT_* that the guest has sent */
    uint16_t tell;        /* ops that are still to be sent, as bits */
    char line[32];        /* of the greeting */
    unsigned line_len;
    GByteArray *out;      /* for the socket, at most VSOCK_BUFFER bytes */
    uint32_t fwd_cnt, told_fwd;         /* bytes that the socket has taken; as the guest knows it */
    uint32_t sent, peer_alloc, peer_fwd; /* bytes that we sent; the guest's room */
} VsockConn;

struct Vsock {
    VirtioProxy proxy; /* always first */
    VirtioDevice v;
    /* properties */
    uint64_t cid;
    char *uds;
    int listener;
    unsigned listen_watch;
    uint32_t next_port;
    GPtrArray *conns;     /* of VsockConn */
    VsockHeader reset[VSOCK_RESETS]; /* refusals for streams that are not there */
    unsigned resets;
    VirtqHeld rx;         /* state: room for the next packet */
    bool tell_reset;      /* state: the guest is to be told that all streams have gone */
};

/* Streams, hw/virtio/vsock-stream.c. All under the device's domain. */
bool vsock_listen(Vsock *s, Error **errp);
void vsock_unlisten(Vsock *s);
void vsock_drop_all(Vsock *s);
void vsock_watch_all(Vsock *s); /* as is right now: the guest has room, data waits ... */
void vsock_take(Vsock *s, const VsockHeader *h, const DmaVec *data); /* a packet of the guest's */
/* The next packet for the guest, at most `room` bytes of data into `data`; false: there is none. */
bool vsock_next(Vsock *s, VsockHeader *h, uint8_t *data, uint32_t room);
void vsock_kick(Vsock *s); /* there may be packets for the guest: hw/virtio/vsock.c */
#endif
