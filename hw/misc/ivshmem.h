/* SPDX-License-Identifier: MIT */
/*
 * The server that tells machines of shared memory of each other (QEMU docs/specs/ivshmem-spec, "Interrupting peers").
 */
#ifndef HW_MISC_IVSHMEM_H
#define HW_MISC_IVSHMEM_H

#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"

enum { IVSHMEM_PEERS = 65536 };

/* A message: a number and, perhaps, a file descriptor that is the caller's (-1: none). */
typedef struct IvshmemMessage {
    int64_t value;
    int fd;
} IvshmemMessage;

/* One connection; bytes of a message that is not whole yet are kept. */
typedef struct IvshmemLink {
    int socket;
    uint8_t part[8];
    unsigned have;
    int fd;
} IvshmemLink;

void ivshmem_link_init(IvshmemLink *l, int socket);
void ivshmem_link_close(IvshmemLink *l);
/* 1: a message; 0: none yet (wait: it waited for some seconds); -1: the server has gone, or makes no sense. */
int ivshmem_link_read(IvshmemLink *l, bool wait, IvshmemMessage *out);
/* The greeting: version, our number, the memory. */
bool ivshmem_link_greet(IvshmemLink *l, uint16_t *id, int *memory, Error **errp);
#endif
