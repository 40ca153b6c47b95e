/* SPDX-License-Identifier: MIT */
/* The ISA bus: I/O ports in the machine's I/O space, memory in system memory, sixteen interrupt lines. */
#ifndef HW_ISA_ISA_H
#define HW_ISA_ISA_H

#include "hw/core/device.h"

#define ISA_IRQ_COUNT 16

/* Kind "isa". Embedded in the bridge (LPC, PIIX3) or owned by a machine without one. */
typedef struct IsaBus {
    Bus bus;
    MemRegion *io;     /* containers into which devices map themselves */
    MemRegion *memory;
    Irq irq[ISA_IRQ_COUNT]; /* where line n goes; fill before devices start */
} IsaBus;

/* irq: ISA_IRQ_COUNT inputs, or NULL when the bridge fills bus->irq itself. parent may be NULL. */
void isa_bus_init(IsaBus *b, const char *name, Device *parent, MemRegion *io, MemRegion *memory, const Irq *irq);
void isa_bus_fini(IsaBus *b);
/* The first ISA bus of the machine, or NULL. */
IsaBus *isa_bus_first(void);
/* A device of this type on bus b, not started. NULL and *errp when the type is unknown. */
Device *isa_new(IsaBus *b, const char *type, const char *id, Error **errp);

/*
 * For device authors, in start(): make an I/O region of the device (its lock domain) and map it at port `base`. The
 * region is kept in d->region[], from the first free slot on, and freed with the device. On a device without a bus it
 * stays unmapped (tests do that).
 */
MemRegion *isa_io_new(Device *d, const char *name, uint16_t base, uint32_t size, const MemOps *ops);
/* Map a region of the device's that exists already (a register bank's). */
void isa_register_ioport(Device *d, MemRegion *r, uint16_t base);
/* Memory below 16 MiB, same rules. */
MemRegion *isa_mem_new(Device *d, const char *name, hwaddr base, uint64_t size, const MemOps *ops);
/* Wire output pin `pin` to ISA line `irq`, unless the machine has wired it already. irq > 15: an error in *errp. */
bool isa_connect_irq(Device *d, unsigned pin, unsigned irq, Error **errp);
#endif
