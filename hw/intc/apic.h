/* SPDX-License-Identifier: MIT */
/* Local APICs ("apic", one a vCPU), their message bus, and the MSI window. */
#ifndef HW_INTC_APIC_H
#define HW_INTC_APIC_H

#include "hw/core/cpu-port.h"
#include "hw/core/device.h"

#define APIC_DEFAULT_BASE 0xfee00000u
#define APIC_WINDOW_SIZE 0x100000u

/* Delivery modes (Intel SDM vol. 3A, 11.5.1 and 11.6.1). */
enum { APIC_FIXED, APIC_LOWEST, APIC_SMI, APIC_RESERVED3, APIC_NMI, APIC_INIT, APIC_SIPI, APIC_EXTINT };

/*
 * Make the local APIC of this vCPU: sets port->intc_ops and port->intc when started. port->arch_id is the APIC id
 * (below 4096); port->bsp sets the BSP bit and, as firmware would, starts in virtual-wire mode (LINT0 = ExtINT). Not
 * started yet. Property "x2apic" (on): whether the mode may be entered.
 */
Device *apic_new(CpuPort *port, const char *id);
/* Wire the 8259 pair's INTR to LINT0 of this APIC and take vectors from the pair on ExtINT. */
void apic_connect_pic(Device *apic, Device *pic);

/*
 * The register window (1 MiB, to be mapped once at APIC_DEFAULT_BASE in system memory). A vCPU's access reaches the
 * local APIC of the vCPU in whose thread it is made; a device's write is an MSI.
 */
MemRegion *apic_window_new(void);

/* An interrupt message on the system bus. Lock-free; any thread; never waits for a vCPU. */
typedef struct ApicMessage {
    uint32_t dest;  /* APIC id, or logical destination; all ones: broadcast (8-bit senders widen 0xff themselves) */
    bool logical;
    bool level;     /* trigger mode: an EOI is broadcast to the I/O APICs */
    uint8_t mode;   /* APIC_FIXED ... */
    uint8_t vector;
} ApicMessage;
/* Send one, from an 8-bit destination field (I/O APIC, MSI). */
void apic_deliver8(uint8_t dest, bool logical, uint8_t mode, uint8_t vector, bool level);
/* The same as the message that a PCI function would write. */
uint64_t apic_msi_address(uint8_t dest, bool logical);
uint32_t apic_msi_data(uint8_t mode, uint8_t vector, bool level);
/* A PCI message-signalled interrupt: SDM vol. 3A, 11.11. */
void apic_msi(uint64_t address, uint32_t data);

/* Called for each EOI of a level-triggered vector, in the vCPU's thread without a lock. */
typedef void ApicEoiFn(void *opaque, uint8_t vector);
void apic_add_eoi_listener(ApicEoiFn *fn, void *opaque);
void apic_remove_eoi_listener(void *opaque);
#endif
