/* SPDX-License-Identifier: MIT */
/* Register tables: a register is one row; dispatch, reset, save, trace and documentation read the same row. */
#ifndef HW_CORE_REGS_H
#define HW_CORE_REGS_H

#include <stdint.h>
#include "hw/core/memory.h"
#include "hw/core/state.h"

typedef struct Device Device;
typedef struct Reg Reg;

/*
 * One register (or `count` equal ones, `stride` bytes apart in the bank, consecutive in storage). Storage is an
 * unsigned integer of `size` bytes at `field` in the device's structure (REG_NO_FIELD: none, hooks do all).
 *  - read: NULL = stored value; else gives the value the guest sees (stored passed in).
 *  - wrote: called after the stored value has been updated by the masks; `old` is what it was, `value` what the guest
 * wrote. Masks are in register bits: `ro` bits keep their value, `w1c` bits clear on 1, `rsvd` bits always read as zero
 * (a guest that sets them gets a counted log line). Accesses narrower than the register are merged; wider ones are
 * split.
 */
struct Reg {
    const char *name; /* as the datasheet spells it */
    uint32_t at;
    uint8_t size;
    uint16_t count, stride;
    uint32_t field;
    uint64_t reset, ro, w1c, rsvd;
    uint64_t (*read)(Device *d, const Reg *r, unsigned i, uint64_t stored);
    void (*wrote)(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value);
    uint8_t access; /* REG_RO / REG_WO: the other direction is a guest error; 0: both */
};
enum { REG_RO = 1, REG_WO = 2 };
#define REG_NO_FIELD UINT32_MAX

/* A bank: a window of registers. `unmapped_ones`: reads between registers give all ones instead of 0. */
typedef struct RegBank {
    const char *name;
    uint64_t size;
    const Reg *regs; /* sorted by `at`, ended by name == NULL */
    uint8_t min_size, max_size; /* of accesses, as in MemOps */
    bool io_space;              /* I/O ports (x86) instead of memory */
    bool unmapped_ones;
    bool fill_from_low; /* an access wider than the register that starts at its offset reads zeros above it */
} RegBank;

/* An I/O region that dispatches through the bank; its domain is the device's. */
MemRegion *regs_region_new(Device *d, const RegBank *bank);
MemResult regs_read(Device *d, const RegBank *bank, hwaddr at, unsigned size, uint64_t *value);
MemResult regs_write(Device *d, const RegBank *bank, hwaddr at, unsigned size, uint64_t value);
void regs_reset(Device *d, const RegBank *bank);
/* Save and load all stored registers of the bank by name. */
void regs_save(Device *d, const RegBank *bank, StateWriter *w, const char *section);
bool regs_load(Device *d, const RegBank *bank, StateReader *r, const char *section, Error **errp);
void regs_print(Device *d, const RegBank *bank, GString *out);
#endif
