/* SPDX-License-Identifier: MIT */
/* Boards with an M-profile microcontroller: each is a table; mcu.c makes a machine of it. */
#ifndef HW_MACHINE_MCU_H
#define HW_MACHINE_MCU_H

#include "base/bits.h"
#include "hw/core/machine.h"
#include "hw/core/unmodelled.h"
#include "target/arm/board.h"

typedef enum McuMemKind {
    MCU_END,
    MCU_RAM,
    MCU_ROM /* flash: guest writes are ignored */,
    MCU_ALIAS /* shows what is at `of` */,
    MCU_BITBAND /* 32 MiB of bits of the first MiB at `of` */
} McuMemKind;
typedef struct McuMem {
    const char *name;
    McuMemKind kind;
    uint32_t at;
    uint64_t size;
    uint32_t of;
} McuMem;

/* Where an "irq" pin goes. */
#define MCU_IRQ(n) ((uint16_t)((n) + 1)) /* NVIC input n; 0: nowhere. Several pins on one input are OR-ed. */
#define MCU_NMI 0xffff
typedef struct McuPart {
    const char *type, *id;
    uint32_t at;           /* of region 0; 0: not mapped by the table */
    uint16_t irq[8];       /* pins "irq"[0..7] */
    uint8_t serial;        /* 1 + number of -serial */
    const char *props;     /* "name=value,..." */
    uint32_t alias;        /* region 0 is seen there as well; 0: no */
} McuPart;

typedef struct McuMachine McuMachine;
typedef struct McuBoard {
    const McuMem *mem;
    const McuPart *parts;
    const UnmodelledRange *unmodelled;
    unsigned cpus;                  /* 0: one */
    ArmBoardCpus cpu;               /* clocks, vectors, sizes */
    bool (*wire)(McuMachine *m, Error **errp);   /* after all parts stand; optional */
    bool (*early)(McuMachine *m, Error **errp);  /* memory stands, CPUs and parts do not; optional */
} McuBoard;

struct McuMachine {
    Machine machine; /* always first */
    GPtrArray *regions;             /* of MemRegion *: freed with the machine */
    struct McuLines *lines;
    struct FirmwareImage *image;
    GPtrArray *ranges;
    void *board_data;               /* g_free()d */
};

bool mcu_build(Machine *m, const McuBoard *board, Error **errp);
void mcu_reset(Machine *m);
void mcu_destroy(Machine *m);
/* An input of NVIC input n of every CPU, of its own in the OR. */
Irq mcu_irq(McuMachine *m, unsigned n);
bool mcu_add_part(McuMachine *m, const McuPart *p, Error **errp);
/* The region is freed with the machine. */
MemRegion *mcu_own(McuMachine *m, MemRegion *r);
void mcu_unmodelled(McuMachine *m, const UnmodelledRange *r);

#define MCU_MACHINE(var_, name_, desc_, cpu_, board_, ram_) \
    static bool var_##_build(Machine *m, Error **errp) { return mcu_build(m, &board_, errp); } \
    static const MachineType var_ = { .name = name_, .desc = desc_, .arch = "arm", .default_cpu = cpu_, .max_cpus = 2, \
        .default_ram = ram_, \
                                      .size = sizeof(McuMachine), .build = var_##_build, .reset = mcu_reset, \
                                      .destroy = mcu_destroy }; \
    MACHINE_REGISTER(var_)
#endif
