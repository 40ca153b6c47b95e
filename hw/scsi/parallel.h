/* SPDX-License-Identifier: MIT */
/*
 * A parallel SCSI bus as its targets behave on it: phases, messages, disconnection (SPI-3, chapters 10 and 16). The
 * adapter, which is the only initiator, selects, and moves bytes in whatever phase the connected target asks for. All
 * calls under the adapter's domain.
 */
#ifndef HW_SCSI_PARALLEL_H
#define HW_SCSI_PARALLEL_H

#include "hw/scsi/scsi.h"

enum {
    PARALLEL_TARGETS = 16,
    PARALLEL_OWN_ID = 7,
    PARALLEL_MESSAGE_MAX = 16,
    PARALLEL_OUT_MAX = 256,
    PARALLEL_REQUESTS_MAX = 256
};
#define PARALLEL_BUFFERS_MAX (32u << 20) /* bytes held for all requests */

/* MSG, C/D and I/O; the phases in which the target sends are odd. */
typedef enum ParallelPhase {
    PHASE_DATA_OUT,
    PHASE_DATA_IN,
    PHASE_COMMAND,
    PHASE_STATUS,
    PHASE_MSG_OUT = 6,
    PHASE_MSG_IN = 7,
    PHASE_NONE = 8 /* bus free, or the target asks for nothing yet */
} ParallelPhase;

typedef struct Parallel Parallel;
typedef struct ParallelRequest {
    Parallel *p;         /* NULL: the initiator has given it up; it is freed when it ends */
    ScsiRequest *scsi;   /* while it runs */
    uint8_t target, lun, tag, status;
    bool tagged, may_disconnect, ran, done, disconnected;
    uint8_t cdb[16];
    uint8_t cdb_len;
    ScsiDir dir;
    uint32_t total, pos; /* bytes of the data phase */
    uint8_t *buf;
    struct iovec iov;
} ParallelRequest;

struct Parallel {
    ScsiBus bus;
    /*
     * A command has ended: the connected target asks for the next phase, or one that has disconnected waits for
     * parallel_reselect().
     */
    void (*asks)(Parallel *p, bool reselect);
    /* for the adapter to read */
    bool connected, attention /* ATN */;
    uint8_t phase;       /* ParallelPhase */
    uint8_t target;      /* that is connected */
    /* the target's */
    uint8_t after;       /* when the message in is over: a phase, or PHASE_NONE for bus free */
    uint8_t message[PARALLEL_MESSAGE_MAX], message_len, message_at;
    uint8_t out[PARALLEL_OUT_MAX];
    ParallelRequest *current; /* NULL: not identified yet */
    GPtrArray *requests; /* all that live */
    uint64_t buffers;
    GByteArray *saved;   /* requests, for the state */
};
extern const StateField parallel_state[];

/* init: in the adapter's init(); start, stop: in its start() and stop(). wide: 16 addresses instead of 8. */
void parallel_init(Parallel *p, void (*asks)(Parallel *p, bool reselect));
void parallel_start(Parallel *p, Device *adapter, bool wide);
void parallel_stop(Parallel *p);
/* In saving() and loaded(). What ends while requests settle calls asks(). loaded: false: a state that can't be. */
void parallel_saving(Parallel *p);
bool parallel_loaded(Parallel *p);

/* False: nobody answers. The target asks for a message if there is attention, else for a command. */
bool parallel_select(Parallel *p, unsigned target, bool attention);
/* A target that has waited connects: IDENTIFY comes in. False: none waits. */
bool parallel_reselect(Parallel *p);
/* ATN changes: a connected target that asks for something else than to send a message asks for one. */
void parallel_attention(Parallel *p, bool on);
/* The bytes that the target has (phases in), or its place for some, in the current phase; *len may be 0. Then tell it
 * how many of them moved, and the last of a message out drops ATN unless more_messages. */
uint8_t *parallel_window(Parallel *p, uint32_t *len);
void parallel_moved(Parallel *p, uint32_t n, bool more_messages);
void parallel_free(Parallel *p);         /* the target leaves the bus, with its command if that does not run yet */
void parallel_forget(Parallel *p);       /* the initiator has lost all its commands */
void parallel_reset_bus(Parallel *p);    /* RST */
#endif
