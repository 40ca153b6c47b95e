/* SPDX-License-Identifier: MIT */
/* The virt machine as its descriptions (device tree, ACPI) see it: addresses, interrupts, switches. */
#ifndef HW_ARM_VIRT_H
#define HW_ARM_VIRT_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/bits.h"
#include "hw/arm/devtree.h"
#include "hw/core/numa.h"

/* The memory map that guests and firmware for this machine know. */
#define VIRT_FLASH_SIZE (64 * MiB)
#define VIRT_FLASH0 UINT64_C(0x00000000)
#define VIRT_FLASH1 UINT64_C(0x04000000)
#define VIRT_GIC_DIST UINT64_C(0x08000000)
#define VIRT_GIC_CPU UINT64_C(0x08010000)
#define VIRT_GIC_V2M UINT64_C(0x08020000)
#define VIRT_GIC_HYP UINT64_C(0x08030000)
#define VIRT_GIC_VCPU UINT64_C(0x08040000)
#define VIRT_GIC_ITS UINT64_C(0x08080000)
#define VIRT_GIC_ITS_TRANSLATER UINT64_C(0x08090000) /* its second frame: where messages are written to */
#define VIRT_GIC_REDIST UINT64_C(0x080a0000)
#define VIRT_GIC_REDIST_SIZE UINT64_C(0x00f60000)
#define VIRT_UART UINT64_C(0x09000000)
#define VIRT_RTC UINT64_C(0x09010000)
#define VIRT_FW_CFG UINT64_C(0x09020000)
#define VIRT_GPIO UINT64_C(0x09030000)
#define VIRT_SECURE_UART UINT64_C(0x09040000)
#define VIRT_MEMHP UINT64_C(0x09070000)
#define VIRT_GED UINT64_C(0x09080000)
#define VIRT_NVDIMM UINT64_C(0x09090000)
#define VIRT_STEAL_TIME UINT64_C(0x090a0000)
#define VIRT_SECURE_GPIO UINT64_C(0x090b0000)
#define VIRT_MMIO UINT64_C(0x0a000000)
#define VIRT_MMIO_SIZE UINT64_C(0x200)
#define VIRT_PLATFORM_BUS UINT64_C(0x0c000000)
#define VIRT_PLATFORM_BUS_SIZE UINT64_C(0x02000000)
#define VIRT_SECURE_RAM UINT64_C(0x0e000000)
#define VIRT_SECURE_RAM_SIZE UINT64_C(0x01000000)
#define VIRT_PCIE_MMIO UINT64_C(0x10000000)
#define VIRT_PCIE_MMIO_SIZE UINT64_C(0x2eff0000)
#define VIRT_PCIE_PIO UINT64_C(0x3eff0000)
#define VIRT_PCIE_PIO_SIZE UINT64_C(0x00010000)
#define VIRT_PCIE_ECAM UINT64_C(0x3f000000)
#define VIRT_PCIE_ECAM_SIZE UINT64_C(0x01000000)
#define VIRT_RAM UINT64_C(0x40000000)
/* Above RAM, at 256 GiB or higher: aligned to their sizes. */
#define VIRT_HIGH_REDIST_SIZE UINT64_C(0x04000000)
#define VIRT_HIGH_ECAM_SIZE UINT64_C(0x10000000)
#define VIRT_HIGH_MMIO_SIZE (512 * GiB)

enum { /* SPIs */
       VIRT_SPI_SECURE_GPIO = 0,
       VIRT_SPI_UART = 1,
       VIRT_SPI_RTC = 2,
       VIRT_SPI_PCIE = 3,
       VIRT_SPI_GPIO = 7,
       VIRT_SPI_SECURE_UART = 8,
       VIRT_SPI_GED = 9,
       VIRT_SPI_MMIO = 16,
       VIRT_SPI_V2M = 48,
       VIRT_SPI_PLATFORM = 112,
       VIRT_MMIO_COUNT = 32,
       VIRT_V2M_COUNT = 64,
       VIRT_SPI_COUNT = 256,
};
enum { /* private interrupts */
       VIRT_PPI_PMU = 23,
       VIRT_PPI_MAINTENANCE = 25,
       VIRT_PPI_HYP_TIMER = 26,
       VIRT_PPI_VIRT_TIMER = 27,
       VIRT_PPI_HYPVIRT_TIMER = 28,
       VIRT_PPI_SECURE_TIMER = 29,
       VIRT_PPI_PHYS_TIMER = 30,
};
enum { VIRT_POWER_KEY = 3 /* GPIO line */ };

typedef struct VirtRange { uint64_t base, size; } VirtRange;

/* What the command line has made of it. */
typedef struct VirtFacts {
    unsigned cpus, sockets, clusters, cores, threads;
    const uint32_t *mpidr;      /* Aff2..0 of each CPU */
    bool a64, v8, pmu, secure, virtualization, its, firmware, randomness;
    unsigned gic_version;       /* 2 or 3 */
    const char *psci;           /* "hvc", "smc", NULL: none */
    const char *cpu_model;      /* name without features */
    uint64_t ram_size;
    const NumaConfig *numa;     /* NULL: no nodes */
    VirtRange devices;          /* memory devices; size 0: none can be */
    unsigned memory_slots;
    VirtRange redist_high;      /* size 0: none */
    VirtRange ecam, mmio_high;  /* size 0: none */
    bool iommu;                 /* a virtio-iommu is there */
    uint8_t iommu_devfn;
} VirtFacts;

/* The whole tree but for -append and initrd. */
DevTree *virt_dt_build(const VirtFacts *v);
#endif
