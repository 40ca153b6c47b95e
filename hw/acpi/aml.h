/* SPDX-License-Identifier: MIT */
/*
 * A writer of ACPI machine language (ACPI 6.4 chapter 20): terms are emitted in order, packages are closed with
 * aml_end().
 */
#ifndef HW_ACPI_AML_H
#define HW_ACPI_AML_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * AML is prefix code: an operator is followed by its operands, so "If (LEqual (Arg0, 1)) { Return (Zero) }" is
 *     aml_if(a); aml_op(a, AML_LEQUAL); aml_arg(a, 0); aml_int(a, 1); aml_op(a, AML_RETURN); aml_int(a, 0); aml_end(a);
 * Our own bugs (unbalanced ends, bad names) assert; nothing here depends on guest data.
 */
typedef struct Aml Aml;
Aml *aml_new(void);
GByteArray *aml_finish(Aml *a); /* frees a; all packages must be closed */

typedef enum AmlOp {
    AML_STORE = 0x70,
    AML_ADD = 0x72,
    AML_CONCATENATE = 0x73,
    AML_MID = 0x9e,
    AML_SUBTRACT = 0x74,
    AML_SHIFT_LEFT = 0x79,
    AML_SHIFT_RIGHT = 0x7a,
    AML_AND = 0x7b,
    AML_OR = 0x7d,
    AML_XOR = 0x7f,
    AML_INCREMENT = 0x75,
    AML_DECREMENT = 0x76,
    AML_FIND_SET_LEFT = 0x81,
    AML_DEREF_OF = 0x83,
    AML_NOTIFY = 0x86,
    AML_SIZE_OF = 0x87,
    AML_INDEX = 0x88,
    AML_CREATE_DWORD_FIELD = 0x8a,
    AML_CREATE_QWORD_FIELD = 0x8f,
    AML_LAND = 0x90,
    AML_LOR = 0x91,
    AML_LNOT = 0x92,
    AML_LEQUAL = 0x93,
    AML_LGREATER = 0x94,
    AML_LLESS = 0x95,
    AML_BREAK = 0xa5,
    AML_RETURN = 0xa4,
} AmlOp;
void aml_op(Aml *a, AmlOp op);
void aml_null_target(Aml *a);
void aml_name(Aml *a, const char *path); /* a reference, or the name of an object */
void aml_arg(Aml *a, unsigned n);
void aml_local(Aml *a, unsigned n);
void aml_int(Aml *a, uint64_t v);
void aml_string(Aml *a, const char *s);
void aml_eisaid(Aml *a, const char *id); /* "PNP0A03" */
void aml_buffer(Aml *a, const void *data, size_t len);
void aml_buffer_begin(Aml *a); /* followed by its size as a term, perhaps bytes, and aml_end() */
void aml_uuid(Aml *a, const char *uuid); /* a buffer, mixed-endian as ToUUID gives */

/* Named objects. aml_named() is followed by the object. */
void aml_named(Aml *a, const char *name);
void aml_named_int(Aml *a, const char *name, uint64_t v);
void aml_named_eisaid(Aml *a, const char *name, const char *id);
void aml_named_string(Aml *a, const char *name, const char *s);

/* Packages: each is closed by aml_end(). */
void aml_scope(Aml *a, const char *path);
void aml_device(Aml *a, const char *name);
void aml_method(Aml *a, const char *name, unsigned args, bool serialized);
void aml_if(Aml *a);
void aml_while(Aml *a);
void aml_else(Aml *a); /* right after the aml_end() of the If */
void aml_package(Aml *a, unsigned elements);
void aml_end(Aml *a);

typedef enum AmlSpace { AML_SYSTEM_MEMORY = 0, AML_SYSTEM_IO = 1, AML_PCI_CONFIG = 2 } AmlSpace;
void aml_region(Aml *a, const char *name, AmlSpace space, uint64_t offset, uint64_t length);
void aml_region_begin(Aml *a, const char *name, AmlSpace space); /* followed by offset and length as terms */
typedef enum AmlAccess {
    AML_ANY_ACC = 0,
    AML_BYTE_ACC = 1,
    AML_WORD_ACC = 2,
    AML_DWORD_ACC = 3
} AmlAccess;
void aml_field(Aml *a, const char *region, AmlAccess access); /* lock: none; update: preserve; closed by aml_end() */
void aml_field_unit(Aml *a, const char *name, unsigned bits); /* NULL: skip bits */
/* from the region's start; NULL: one without name */
void aml_dword_fields(Aml *a, const char *region, const char *const *names, unsigned count);

/* Resource templates (ACPI 6.4 section 6.4): between begin and end, only resources. */
void aml_resources(Aml *a);
void aml_resources_end(Aml *a);
void aml_res_io(Aml *a, uint16_t base, uint8_t align, uint8_t len);
void aml_res_irq(Aml *a, unsigned irq); /* edge, active high, exclusive */
void aml_res_dma(Aml *a, unsigned channel); /* 8 bits, compatible, no bus master */
void aml_res_interrupt(Aml *a, bool edge, bool shared, unsigned count, const uint32_t *gsi); /* active high */
void aml_res_memory32(Aml *a, bool writable, uint32_t base, uint32_t len);
void aml_res_bus(Aml *a, uint16_t first, uint16_t last);
void aml_res_word_io(Aml *a, uint16_t first, uint16_t last);
void aml_res_dword_memory(Aml *a, uint32_t first, uint32_t last);
void aml_res_qword_memory(Aml *a, uint64_t first, uint64_t last);
void aml_res_dword_io(Aml *a, uint16_t first, uint16_t last, uint32_t at); /* ports that lie in memory at `at` */
void aml_res_gpio_int(Aml *a, uint16_t pin, const char *source); /* edge, active high */

/* _OSC of a PCI Express root bridge (PCI Firmware 3.2 section 4.5.1). */
void aml_pci_osc(Aml *a);
#endif
