/* SPDX-License-Identifier: MIT */
/* io_uring: requests to host files that the kernel carries out without a thread of ours waiting. */
#ifndef BASE_URING_H
#define BASE_URING_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

typedef struct Uring Uring;
typedef struct UringOp UringOp;
typedef enum UringKind { URING_READ, URING_WRITE, URING_FDATASYNC, URING_FALLOCATE } UringKind;

/* The caller owns op and what it points to until done() is called, once, in the thread that reaps. */
struct UringOp {
    UringKind kind;
    int fd, mode;             /* mode: of fallocate */
    uint64_t offset, len;
    const struct iovec *iov;
    int iovcnt;
    void (*done)(UringOp *op, int result); /* bytes, or a negative errno */
};

/* NULL: the kernel (or the build) has no io_uring for us; *why is 0 or the errno. */
Uring *uring_new(int *why);
void uring_free(Uring *u); /* nothing is on its way */
/* The process's own, with a thread that reaps it; NULL: none, which the first caller reports in a line. Any thread. */
Uring *uring_default(void);

/* Any thread. False: no room, nothing has happened. The kernel gets it at once, or at uring_unplug() of this thread. */
bool uring_submit(Uring *u, UringOp *op);
/* Around several submissions of one thread: fewer system calls. They nest. Who waits in between calls uring_kick(). */
void uring_plug(void);
void uring_unplug(void);
void uring_kick(void);

/*
 * For the one thread that reaps: a descriptor to poll for reading, and done() of all that has ended (plugged); whether
 * there was any.
 */
int uring_fd(const Uring *u);
bool uring_reap(Uring *u);
#endif
