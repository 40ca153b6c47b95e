/* SPDX-License-Identifier: MIT */
/*
 * A level-triggered interrupt line that an eventfd raises, where the accelerator can (hw/core/event-doors.h): no call
 * of it to raise or lower the line. The guest's end of interrupt lowers it, and the main loop raises it again if the
 * device still wants attention.
 */
#ifndef HW_CORE_LINE_DOOR_H
#define HW_CORE_LINE_DOOR_H

#include "base/event-watch.h"
#include "hw/core/irq.h"

typedef struct LineDoor LineDoor;

/*
 * All under `domain`. The line of `wire` is low, and nobody sets the wire till free. NULL: not possible. wants: does
 * the device want attention?
 */
LineDoor *line_door_new(const Irq *wire, LockDomain *domain, bool (*wants)(void *opaque), void *opaque);
void line_door_update(LineDoor *l); /* what `wants` says may be another */
void line_door_free(LineDoor *l);   /* the line is low. NULL: no-op */
#endif
