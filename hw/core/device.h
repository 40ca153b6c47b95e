/* SPDX-License-Identifier: MIT */
/* A device is data: one const descriptor plus a few small functions. See docs/device.md. */
#ifndef HW_CORE_DEVICE_H
#define HW_CORE_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/clock.h"
#include "base/error.h"
#include "base/opts.h"
#include "base/thread.h"
#include "hw/core/irq.h"
#include "hw/core/memory.h"
#include "base/props.h"
#include "hw/core/regs.h"
#include "hw/core/state.h"

typedef struct Device Device;
typedef struct DeviceType DeviceType;
typedef struct Bus Bus;

/*
 * Reset in three phases over the whole machine: every device ENTERs (state to reset values; touch nobody else), then
 * all HOLD (drive output lines to their reset level), then all EXIT (start activity). A type with register banks has
 * them reset in ENTER before its own hook.
 */
typedef enum ResetPhase { RESET_ENTER, RESET_HOLD, RESET_EXIT } ResetPhase;

/* Another name of each type above a base, with properties of its own: "virtio-blk-pci" + "-transitional". */
typedef struct DeviceVariant { const char *suffix, *props /* "name=value,..." */; } DeviceVariant;

struct DeviceType {
    const char *name;      /* as -device has it: "isa-serial" */
    const char *alias;     /* another name for -device, or NULL */
    const char *desc;      /* one line for -device help */
    const char
        *category; /* "Bridge", "Storage", "Network", "Input", "Display", "Sound", "CPU", "Misc", "Watchdog", "USB" */
    size_t size;           /* of the instance structure, whose first member is a Device (or a PciDevice ...) */
    const char *bus; /* kind of bus it plugs into: "isa", "pci", "system" ... ; NULL: placed by the machine only */
    const char *const *provides; /* kinds of bus that it makes, NULL-terminated; bus objects made in new()/start() */
    bool user_creatable;   /* may stand in -device */
    const RegBank *const *banks; /* NULL-terminated; region i of the device dispatches bank i */
    const Property *props;
    const StateField *state; /* all guest-visible state that is not in the banks */
    const char *const
        *out_pins; /* names of output pins, NULL-terminated; "irq" is the usual one. "intx*4": four of them */
    const char *const *in_pins;
    const DeviceVariant *variants; /* of a base: ended by suffix NULL, or NULL */
    const struct DeviceType *base; /* a bus's common part (e.g. PCI): its props, state and hooks come first */

    void (*init)(Device *d);                 /* after allocation and property defaults; cannot fail */
    bool (*start)(Device *d, Error **errp);  /* properties and wires are set: make regions, timers, open back ends */
    void (*reset)(Device *d, ResetPhase phase);
    void (*input)(Device *d, unsigned pin, int level); /* an input pin changed */
    void (*saving)(Device *d);               /* before state is read: bring fields up to date */
    /* after state is written, even if some was refused: check it (untrusted!), re-derive the rest */
    bool (*loaded)(Device *d, Error **errp);
    void (*stop)(Device *d);                 /* end: free what init and start made; also after a failed start */
    void (*info)(Device *d, GString *out);   /* extra lines for the monitor */
    bool load_first;                         /* others' addresses mean nothing before this one is loaded */
    const char *unsavable;                   /* why a machine with one can't be saved, and what to do; NULL: it can */
    const void *class_data;                  /* for the bus (PCI ids ...) or family of types */
};

#define DEVICE_MAX_REGIONS 8

struct Device {
    const DeviceType *type;
    char *id;              /* user's or machine's name, unique; also the state section */
    Bus *bus;              /* it sits on, or NULL */
    LockDomain *domain;    /* machine_domain() unless changed in init */
    bool owns_domain;      /* device_free() frees it: set by device_own_domain() */
    MemRegion *region[DEVICE_MAX_REGIONS]; /* banks first, then what start() adds */
    Irq *out;              /* one per output pin, flattened in table order */
    unsigned out_count;
    bool started, plugged;
    bool unplug_asked; /* the guest has been asked to let it go */
    bool leaving;      /* it did: the device is there no more for the guest, and is freed soon */
    Error *pending_error;  /* of a -global; device_start() reports it */
    Device *next;
};

/* Registry. Types register before main (DEVICE_REGISTER); names are unique. */
void device_register(const DeviceType *type);
const DeviceType *device_type_find(const char *name); /* also by alias, and by a variant's name */
/* what `name` means beyond the type, or NULL */
const char *device_variant_props(const DeviceType *t, const char *name);
const DeviceType *const *device_types(unsigned *count); /* sorted by name */
#define DEVICE_REGISTER(type_) \
    static void __attribute__((constructor)) type_##_register(void) { device_register(&type_); }

/*
 * Life: device_new -> device_set... -> device_connect... -> device_start -> reset -> run ... -> device_free.
 * All in the main thread, machine not running, unless a bus supports hot plug. id NULL: made up ("type-N").
 */
Device *device_new(const DeviceType *type, const char *id);
Device *device_new_named(const char *type_name, const char *id, Error **errp); /* unknown: nearest name */
bool device_set(Device *d, const char *prop, const char *value, Error **errp);
bool device_set_list(Device *d, const char *pairs, Error **errp); /* "name=value,..." of a board's table; NULL: none */
void device_set_default(Device *d, const char *prop, const char *value); /* must be valid: asserts */
bool device_start(Device *d, Error **errp);
void device_free(Device *d);

/* For init(): a lock domain of the device's own instead of the machine's. */
void device_own_domain(Device *d, const char *name);

/* Pins. `name` may be "irq" or, for an array, "intx" with its index. */
void device_connect(Device *d, const char *pin, unsigned index, Irq to);
Irq device_input(Device *d, const char *pin, unsigned index);
static inline void device_out(Device *d, unsigned pin, int level) { irq_set(&d->out[pin], level); }

/* All live devices in creation order; look-up by id. */
Device *device_first(void);
Device *device_find(const char *id);
typedef void DeviceFn(Device *d, void *opaque);
void device_foreach(DeviceFn *fn, void *opaque);

/* Three-phase reset, save and load over all live devices. Machine paused. */
void device_reset_all(void);
void device_reset_one(Device *d);
bool device_check_savable(Error **errp); /* before anything is begun */
void device_settle_all(void); /* what devices have on its way ends, as before saving */
void device_save_all(StateWriter *w);
bool device_load_all(StateReader *r, Error **errp);
void device_save(Device *d, StateWriter *w);
bool device_load(Device *d, StateReader *r, Error **errp);
/* Registers, state fields and the type's own lines: monitor. */
void device_print_info(Device *d, GString *out);

/* Things that are not devices (CPUs, RAM, clock) take part in reset and save through this. */
typedef struct MachinePart {
    const char *name;
    void (*reset)(void *opaque, ResetPhase phase);
    void (*save)(void *opaque, StateWriter *w);
    bool (*load)(void *opaque, StateReader *r, Error **errp);
    void (*loaded)(void *opaque); /* optional: all parts and devices are loaded; drive lines that depend on the clock */
} MachinePart;
void machine_part_add(const MachinePart *part, void *opaque);
void machine_part_remove(const MachinePart *part, void *opaque);
void machine_parts_clear(void);

/* A bus: where devices of one kind plug in. */
typedef struct BusType {
    const char *kind; /* "pci" */
    /* Check and take the device's address property; wire it. Called by device_start before type->start. */
    bool (*plug)(Bus *b, Device *d, Error **errp);
    void (*unplug)(Bus *b, Device *d);
    /*
     * Optional: the piece of an Open Firmware path that stands for d ("/scsi@3"); behind the piece of the bus's parent.
     */
    void (*path)(Bus *b, const Device *d, GString *out);
    bool (*full)(const Bus *b); /* optional: a device that names no bus goes to the first of the kind that is not */
    bool latest; /* it goes to the last of them */
    /*
     * Hot plug. may_hot_plug: may d come or go now? NULL: never. hot_plugged: d is started and reset; tell the guest.
     * ask_unplug: ask the guest to let d go; when it does, call device_unplugged(). NULL: d goes at once. All in the
     * main thread while the vCPUs stand, no lock held.
     */
    bool (*may_hot_plug)(Bus *b, Device *d, Error **errp);
    void (*hot_plugged)(Bus *b, Device *d);
    bool (*ask_unplug)(Bus *b, Device *d, Error **errp);
} BusType;
struct Bus {
    const BusType *type;
    char *name; /* "pci.0", "isa.0" */
    Device *parent;
    Bus *next;
};
void bus_init(Bus *b, const BusType *type, const char *name, Device *parent);
void bus_fini(Bus *b);
/* "ID.0", or "STEM.N" when the user gave the parent no name. Caller frees. */
char *bus_new_name(const Device *parent, const char *stem);
Bus *bus_find(const char *name);
Bus *bus_find_kind(const char *kind); /* the first one */
Bus *bus_find_room(const char *kind); /* the first one that is not full, else the first one */
Bus *bus_first(void);
/* The path that firmware knows the device by ("/pci@i0cf8/scsi@3"); caller frees. */
char *device_firmware_path(const Device *d);

/* -global driver.prop=value and -device: defaults applied by device_new(), checked for a match at the end. */
bool device_add_global(const char *driver, const char *prop, const char *value, Error **errp);
bool device_check_globals(Error **errp);
/*
 * -device TYPE,id=..,bus=..,prop=..: make, set, plug and start. Once the machine was reset for the first time: hot
 * plug, on a bus that takes it; the device is reset and the guest told.
 */
Device *device_add(Opts *opts, Error **errp);
/*
 * Hot unplug (hw/core/hotplug.c). device_del: true: the device is gone, or the guest has been asked; it goes when the
 * guest has answered, or at the next reset. Devices on its buses go with it. Main thread. device_unplugged: any thread;
 * it is freed soon, in the main thread.
 */
bool device_del(const char *id, Error **errp);
void device_unplugged(Device *d);
void device_finish_unplugs(void); /* main thread, machine paused: those that were asked for are done now */
/* main thread; keep: what leaves stays, for the guest it is gone, until this is called with false */
void device_keep_all(bool keep);
bool device_live(void);           /* has the machine been reset: is what comes now hot plug? */
/* Called in the main thread when a device that device_del() was asked for is gone: QMP's event DEVICE_DELETED. */
void device_add_deleted_listener(void (*deleted)(const char *id));
void device_print_list(GString *out);                        /* -device help */
bool device_print_help(const char *type, GString *out, Error **errp); /* -device TYPE,help */
#endif
