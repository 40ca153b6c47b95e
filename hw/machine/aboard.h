/* SPDX-License-Identifier: MIT */
/* Boards with A-profile (and older application) Arm CPUs: each is a table; aboard.c makes a machine of it. */
#ifndef HW_MACHINE_ABOARD_H
#define HW_MACHINE_ABOARD_H

#include "base/bits.h"
#include "hw/core/machine.h"
#include "hw/core/unmodelled.h"
#include "target/arm/board.h"

typedef struct ABoardMachine ABoardMachine;

typedef enum AMemKind {
    AMEM_END,
    AMEM_RAM,
    AMEM_ROM,
    AMEM_ALIAS /* shows what is at `of` (RAM of -m, or a row above) */
} AMemKind;
typedef struct AMem {
    const char *name;
    AMemKind kind;
    uint64_t at, size, of;
} AMem;

#define AIRQ(n) ((uint16_t)((n) + 1)) /* the board's interrupt n, as its irq() counts; 0: nowhere */
typedef struct APart {
    const char *type, *id;
    uint64_t at;            /* of region 0; 0: not mapped by the table */
    uint16_t irq[6];        /* pins "irq"[0..5] */
    uint8_t serial;         /* 1 + number of -serial */
    const char *props;      /* "name=value,..." */
} APart;

typedef struct ABoard {
    uint64_t ram_at, ram_max;
    uint64_t ram_kept;      /* bytes at the end of RAM, at most half of it, that kernels do not get */
    uint32_t id;            /* machine number of kernels without device tree; ~0: none */
    const AMem *mem;
    const APart *parts;
    const UnmodelledRange *unmodelled;
    ArmBoardCpus cpu;
    unsigned min_cpus;      /* the part always has that many */
    uint32_t (*affinity)(unsigned cpu);             /* NULL: the number */
    bool (*intc)(ABoardMachine *m, Error **errp);   /* CPUs stand: make interrupt controllers */
    Irq (*irq)(ABoardMachine *m, unsigned n);       /* their input n */
    bool (*wire)(ABoardMachine *m, Error **errp);   /* all parts stand; optional */
    void (*reset)(ABoardMachine *m);                /* optional */
    const char *boot_flash;                         /* the part that -bios fills; NULL: memory at the reset address */
} ABoard;

struct ABoardMachine {
    Machine machine; /* always first */
    const ABoard *board;
    GPtrArray *regions;     /* of MemRegion *: freed with the machine */
    struct ArmBoot *boot;
    struct FirmwareImage *firmware; /* -bios: at the reset address */
    Device *intc;
    unsigned flashes;       /* of the table's, so far */
    void *board_data;       /* g_free()d */
};

bool aboard_build(Machine *m, const ABoard *board, Error **errp);
void aboard_reset(Machine *m);
void aboard_destroy(Machine *m);
/* Make a part that the table does not have. NULL: failed. */
Device *aboard_add(ABoardMachine *m, const APart *p, Error **errp);
/* A GICv2 without security extensions, "gic", with this many interrupts; the board maps it. NULL: failed. */
Device *aboard_gic(ABoardMachine *m, unsigned irqs, Error **errp);
/* The Cortex-A9's "mptimer" and "gtimer" to their private interrupts. */
void aboard_a9_timers(ABoardMachine *m);
MemRegion *aboard_own(ABoardMachine *m, MemRegion *r);

#define ABOARD_MACHINE(var_, name_, desc_, arch_, cpu_, board_, cpus_, ram_) \
    static bool var_##_build(Machine *m, Error **errp) { return aboard_build(m, &board_, errp); } \
    static const MachineType var_ = { .name = name_, .desc = desc_, .arch = arch_, .default_cpu = cpu_, \
        .max_cpus = cpus_, .default_ram = ram_, \
                                      .size = sizeof(ABoardMachine), .build = var_##_build, .reset = aboard_reset, \
                                      .destroy = aboard_destroy }; \
    MACHINE_REGISTER(var_)
#endif
