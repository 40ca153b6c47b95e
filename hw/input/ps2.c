/* SPDX-License-Identifier: MIT */
/* What PS/2 keyboard and mouse have in common: the queue of bytes for the host controller. */
#include "base/bits.h"
#include "hw/input/ps2-internal.h"

const StateField ps2_port_state[] = {
    STATE_BYTES(Ps2Port, queue), STATE_U16(Ps2Port, head), STATE_U16(Ps2Port, count), STATE_U16(Ps2Port, command),
    STATE_U8(Ps2Port, last_sent), STATE_END_OF_TABLE,
};

bool ps2_queue(Ps2Port *p, const uint8_t *bytes, unsigned count)
{
    if (p->count + count > PS2_QUEUE)
        return false;
    for (unsigned i = 0; i < count; i++)
        p->queue[(p->head + p->count++) % PS2_QUEUE] = bytes[i];
    p->update(p->opaque);
    return true;
}

void ps2_reply(Ps2Port *p, const uint8_t *bytes, unsigned count)
{
    p->head = p->count = 0;
    ps2_queue(p, bytes, count);
}

uint8_t ps2_read(Ps2Port *p)
{
    p->last_sent = p->queue[p->head];
    p->head = (p->head + 1) % PS2_QUEUE;
    p->count--;
    return p->last_sent;
}

bool ps2_port_loaded(Ps2Port *p, const char *what, Error **errp)
{
    if (p->head < PS2_QUEUE && p->count <= PS2_QUEUE)
        return true;
    error_setf(errp, "PS/2 %s: the saved queue is damaged", what);
    return false;
}
