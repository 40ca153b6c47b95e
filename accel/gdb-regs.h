/* SPDX-License-Identifier: MIT */
/*
 * A guest's registers as a debugger sees them: tables of the target, from which target descriptions and packets are
 * made.
 */
#ifndef ACCEL_GDB_REGS_H
#define ACCEL_GDB_REGS_H

#include <stdbool.h>
#include <stdint.h>
#include "base/bits.h"

typedef struct Vcpu Vcpu;
typedef struct GdbReg GdbReg;

enum { GDB_REG_BYTES = 256 }; /* the largest register */

/* get and set: v's thread or v paused, state precise. buf: bits / 8 bytes, little-endian. */
struct GdbReg {
    const char *name;
    uint16_t bits;
    const char *type; /* of the target description ("int", "data_ptr", "i387_ext"), or one that the feature defines;
                         NULL: by size */
    const char *group; /* "general", "float", "vector", "system"; NULL: by type */
    void (*get)(Vcpu *v, const GdbReg *r, uint8_t *buf);
    bool (*set)(Vcpu *v, const GdbReg *r, const uint8_t *buf); /* false or NULL: it cannot be written so */
    uint32_t arg;      /* of get and set: number or offset */
};

/*
 * A feature of the target description; GDB knows the standard ones by name and wants their registers by the names in
 * its manual.
 */
typedef struct GdbFeature {
    const char *name;       /* "org.gnu.gdb.i386.core"; NULL ends a list */
    const char *types;      /* XML that defines types, or NULL */
    const GdbReg *regs;
    unsigned count;
    bool in_g;              /* part of the g packet */
    bool (*present)(const Vcpu *v); /* NULL: always */
    const GdbReg *(*rows)(const Vcpu *v, unsigned *count); /* when the rows depend on the CPU: instead of regs */
} GdbFeature;

typedef struct GdbTarget {
    const char *architecture;    /* "i386:x86-64" */
    const char *osabi;           /* or NULL */
    const GdbFeature *features;  /* registers are numbered in this order */
    /* the debugger expects to stop before the access that met a watchpoint (Arm), not after it */
    bool stop_before_watch;
    /* waiting is a hint, which being debugged ends (WFI; DDI 0487 D1.6.2): a step of a sleeping CPU goes on */
    bool step_wakes;
} GdbTarget;

/* For get and set: the register's bits / 8 <= 8 bytes. */
static inline void gdb_reg_put(const GdbReg *r, uint8_t *buf, uint64_t value) { store_le(buf, r->bits / 8, value); }
static inline uint64_t gdb_reg_take(const GdbReg *r, const uint8_t *buf) { return load_le(buf, r->bits / 8); }
/* get and set for general register `arg`. */
void gdb_get_greg(Vcpu *v, const GdbReg *r, uint8_t *buf);
bool gdb_set_greg(Vcpu *v, const GdbReg *r, const uint8_t *buf);
/* get and set for fields of the vCPU's structure: arg = offset, bits / 8 <= 8 bytes. */
void gdb_get_field(Vcpu *v, const GdbReg *r, uint8_t *buf);
bool gdb_set_field(Vcpu *v, const GdbReg *r, const uint8_t *buf);
#endif
