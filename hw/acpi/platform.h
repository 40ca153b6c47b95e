/* SPDX-License-Identifier: MIT */
/* What ACPI and SMBIOS tables must know about a board, as plain facts. */
#ifndef HW_ACPI_PLATFORM_H
#define HW_ACPI_PLATFORM_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include "hw/core/numa.h"

typedef enum AcpiFlavour { ACPI_Q35, ACPI_PC, ACPI_MICROVM } AcpiFlavour;

enum { ACPI_MAX_WINDOWS = 4, ACPI_MAX_PORTS = 4 };
typedef struct AcpiWindow { uint64_t first, last; } AcpiWindow;

typedef struct AcpiPlatform {
    AcpiFlavour flavour;
    unsigned cpus, max_cpus;
    const struct CpuSlots *cpu_slots; /* which CPUs are there; NULL: the first `cpus` */
    uint16_t cpu_hotplug_port;  /* hw/acpi/cpu-hotplug.h; 0: none */
    const uint32_t *apic_ids;   /* max_cpus; owned by the board */
    uint64_t below_4g, above_4g;
    const NumaConfig *numa;     /* NULL: no nodes */
    uint64_t devices_base, devices_size; /* of memory devices; size 0: none can be */
    unsigned memory_slots;
    /* Chipset registers, as the firmware has placed them */
    uint16_t pm_base, gpe0_base;
    uint8_t gpe0_len;
    uint16_t pcihp_port; /* hot plug of the root bus's slots, hw/acpi/pcihp.h; 0: none */
    uint64_t mmconfig_base, mmconfig_size; /* size 0: none */
    AcpiWindow window[ACPI_MAX_WINDOWS];   /* memory that PCI may use */
    unsigned windows;
    /* Devices */
    bool hpet, i8042, rtc, fw_cfg, pic;
    bool dma, fdc;          /* the ISA DMA controllers; a floppy controller where PCs have it */
    uint8_t floppies;       /* bit for each drive */
    uint16_t pvpanic_port; /* 0: none */
    uint64_t vmgenid;      /* address of the generation identifier; 0: none */
    uint64_t virtio_base;  /* of virtio-mmio transports, 512 bytes each */
    uint32_t virtio_gsi, virtio_used; /* interrupt of the first; a bit for each that has a device */
    uint16_t com_port[ACPI_MAX_PORTS];
    uint8_t com_irq[ACPI_MAX_PORTS];
    unsigned com_ports;
    uint16_t smi_port;      /* switches ACPI mode; 0: always on */
    uint16_t reset_port;
    uint8_t reset_value;
    bool s3, s4;
} AcpiPlatform;
#endif
