/* SPDX-License-Identifier: MIT */
/* Slots that devices come into and go from by ACPI: what hot plug of CPUs and of memory modules have in common. */
#ifndef HW_ACPI_SLOTS_H
#define HW_ACPI_SLOTS_H

#include "hw/acpi/aml.h"
#include "hw/core/device.h"

enum { ACPI_SLOTS_MAX = 1024, SLOT_ENABLED = 1, SLOT_INSERTING = 2, SLOT_REMOVING = 4, SLOT_EJECT = 8 };

typedef struct AcpiSlots AcpiSlots;

/* Class data of a device type with the base acpi_slots_type. */
typedef struct AcpiSlotsClass {
    BusType bus;                          /* .kind, and ACPI_SLOTS_BUS */
    const char *bus_name, *what;          /* what: for messages: "CPU" */
    int (*find)(const Device *d);         /* the slot of a device on the bus; -1: none */
    Device *(*in_slot)(uint32_t n);       /* what may go from slot n, or NULL */
    bool (*filled)(uint32_t n);
    /* d has come or shall go, the guest is to look: optional, before the event */
    void (*told)(AcpiSlots *s, Device *d);
    void (*gone)(AcpiSlots *s, uint32_t n); /* slot n is empty now: optional */
} AcpiSlotsClass;

/*
 * First member of such a device; its domain is held in all calls. Pin 0, "event", pulses when something has happened.
 */
struct AcpiSlots {
    Device dev; /* always first */
    Bus bus;
    uint32_t selector, ost_event;
    uint64_t inserting[ACPI_SLOTS_MAX / 64], removing[ACPI_SLOTS_MAX / 64]; /* that the guest has not acknowledged */
};
extern const DeviceType acpi_slots_type;

static inline bool slot_bit(const uint64_t *map, uint32_t n) { return map[n / 64] >> n % 64 & 1; }
void slot_set_bit(uint64_t *map, uint32_t n, bool on);

/*
 * Of the selected slot, which is below ACPI_SLOTS_MAX: the four flags; what the guest writes there; the end of what it
 * was asked for (_OST).
 */
uint8_t acpi_slots_flags(const AcpiSlots *s);
void acpi_slots_wrote_flags(AcpiSlots *s, uint8_t flags);
void acpi_slots_wrote_status(AcpiSlots *s, uint32_t status);

/* For AcpiSlotsClass.bus. */
bool acpi_slots_may_hot_plug(Bus *b, Device *d, Error **errp);
void acpi_slots_hot_plugged(Bus *b, Device *d);
bool acpi_slots_ask_unplug(Bus *b, Device *d, Error **errp);
#define ACPI_SLOTS_BUS \
    .may_hot_plug = acpi_slots_may_hot_plug, .hot_plugged = acpi_slots_hot_plugged, .ask_unplug = acpi_slots_ask_unplug

/* ---- AML ---- */

/* The names of the registers' fields, of the methods, and of the slots' devices. */
typedef struct AcpiSlotsNames {
    const char *select, *flags;             /* fields */
    const char *status, *eject, *ost, *scan; /* ost (slot, event, status) is the caller's */
    const char *device;                     /* format of its number: "C%03X" */
} AcpiSlotsNames;

/* status (slot), as _STA has it; eject (slot); scan (): looks at slots [first, count) and tells what has happened. */
void acpi_slots_aml_methods(Aml *a, const AcpiSlotsNames *n, unsigned first, unsigned count);
/* A slot's device, which the caller ends: it has _STA, _EJ0 if it may go, and _OST. */
void acpi_slots_aml_device(Aml *a, const AcpiSlotsNames *n, const char *hid, unsigned slot, bool may_go);
/* Store (value, field); Store (ArgN, field) */
void aml_store_int(Aml *a, uint64_t value, const char *field);
void aml_store_arg(Aml *a, unsigned arg, const char *field);
#endif
