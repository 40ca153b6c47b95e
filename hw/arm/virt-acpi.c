/* SPDX-License-Identifier: MIT */
/*
 * ACPI tables of the virt machine (ACPI 6.4 chapter 5, hardware-reduced; SPCR and DBG2: Microsoft's documents; IORT:
 * DEN 0049; MCFG: PCI Firmware 3.2).
 */
#include "hw/arm/virt-acpi.h"
#include "hw/acpi/nfit.h"
#include "hw/acpi/numa.h"
#include "hw/acpi/viot.h"

enum { GSI_BASE = 32 /* SPI n is interrupt n + 32 */, PL011_SUBTYPE = 3, UART_CLASS = 0x8000 };

static void build_fadt(AcpiBuilder *b, const VirtFacts *v, uint32_t dsdt)
{
    enum { HW_REDUCED = 1 << 20, PSCI = 1, PSCI_HVC = 2 };
    uint32_t at = acpi_table_begin(b, "FACP", 6);
    acpi_put_zeros(b, 4 + 4 + 1 + 1);      /* FACS, DSDT, reserved, profile unspecified */
    acpi_put_zeros(b, 112 - 46);           /* fixed hardware: none */
    acpi_put(b, 4, HW_REDUCED);
    acpi_put_zeros(b, 12 + 1);             /* reset register */
    acpi_put(b, 2, !v->psci ? 0 : !strcmp(v->psci, "hvc") ? PSCI | PSCI_HVC : PSCI);
    acpi_put(b, 1, 0);                     /* minor version */
    acpi_put(b, 8, 0);                     /* X_FACS */
    acpi_put_pointer(b, 8, dsdt);
    acpi_put_zeros(b, 10 * 12);
    acpi_put_text(b, "RHEA\0\0\0\0", 8);   /* hypervisor */
    acpi_table_end(b, at, true);
}

/* ---- MADT ---- */

static void madt_cpu(AcpiBuilder *b, const VirtFacts *v, unsigned i)
{
    bool v2 = v->gic_version == 2;
    acpi_put(b, 1, 0x0b);
    acpi_put(b, 1, 80);
    acpi_put(b, 2, 0);
    acpi_put(b, 4, i);
    acpi_put(b, 4, i);
    acpi_put(b, 4, 1);                                             /* enabled */
    acpi_put(b, 4, 0);
    acpi_put(b, 4, v->pmu ? VIRT_PPI_PMU : 0);
    acpi_put(b, 8, 0);
    acpi_put(b, 8, v2 ? VIRT_GIC_CPU : 0);
    acpi_put(b, 8, v2 && v->virtualization ? VIRT_GIC_VCPU : 0);
    acpi_put(b, 8, v2 && v->virtualization ? VIRT_GIC_HYP : 0);
    acpi_put(b, 4, v->virtualization ? VIRT_PPI_MAINTENANCE : 0);
    acpi_put(b, 8, 0);
    acpi_put(b, 8, v->mpidr[i]);
    acpi_put_zeros(b, 4);
}

static void madt_redistributors(AcpiBuilder *b, VirtRange r)
{
    acpi_put(b, 2, 0x100e);
    acpi_put(b, 2, 0);
    acpi_put(b, 8, r.base);
    acpi_put(b, 4, r.size);
}

static void madt_msi(AcpiBuilder *b, const VirtFacts *v)
{
    if (v->gic_version == 2) {
        acpi_put(b, 2, 0x180d);
        acpi_put(b, 2, 0);
        acpi_put(b, 4, 0);
        acpi_put(b, 8, VIRT_GIC_V2M);
        acpi_put(b, 4, 1); /* count and base are given here */
        acpi_put(b, 2, VIRT_V2M_COUNT);
        acpi_put(b, 2, VIRT_SPI_V2M + GSI_BASE);
    } else if (v->its) {
        acpi_put(b, 2, 0x140f);
        acpi_put(b, 2, 0);
        acpi_put(b, 4, 0);
        acpi_put(b, 8, VIRT_GIC_ITS);
        acpi_put(b, 4, 0);
    }
}

static void build_madt(AcpiBuilder *b, const VirtFacts *v)
{
    uint32_t at = acpi_table_begin(b, "APIC", 4);
    acpi_put_zeros(b, 8);
    acpi_put(b, 2, 0x180c); /* distributor */
    acpi_put(b, 2, 0);
    acpi_put(b, 4, 0);
    acpi_put(b, 8, VIRT_GIC_DIST);
    acpi_put(b, 4, 0);
    acpi_put(b, 1, v->gic_version);
    acpi_put_zeros(b, 3);
    for (unsigned i = 0; i < v->cpus; i++)
        madt_cpu(b, v, i);
    if (v->gic_version == 3) {
        madt_redistributors(b, (VirtRange){ VIRT_GIC_REDIST, VIRT_GIC_REDIST_SIZE });
        if (v->redist_high.size)
            madt_redistributors(b, v->redist_high);
    }
    madt_msi(b, v);
    acpi_table_end(b, at, true);
}

/* ---- timers, PCI, console ---- */

static void build_gtdt(AcpiBuilder *b)
{
    enum { ALWAYS_ON = 4 };
    static const uint32_t irqs[] = { VIRT_PPI_SECURE_TIMER, VIRT_PPI_PHYS_TIMER, VIRT_PPI_VIRT_TIMER,
                                     VIRT_PPI_HYP_TIMER };
    uint32_t at = acpi_table_begin(b, "GTDT", 2);
    acpi_put(b, 8, UINT64_MAX); /* no memory-mapped counter */
    acpi_put(b, 4, 0);
    for (unsigned i = 0; i < ARRAY_LEN(irqs); i++) {
        acpi_put(b, 4, irqs[i]);
        acpi_put(b, 4, ALWAYS_ON); /* level, active high */
    }
    acpi_put(b, 8, UINT64_MAX);
    acpi_put_zeros(b, 8);
    acpi_table_end(b, at, true);
}

static void build_mcfg(AcpiBuilder *b, const VirtFacts *v)
{
    uint32_t at = acpi_table_begin(b, "MCFG", 1);
    acpi_put_zeros(b, 8);
    acpi_put(b, 8, v->ecam.base);
    acpi_put(b, 3, 0);
    acpi_put(b, 1, v->ecam.size / MiB - 1);
    acpi_put(b, 4, 0);
    acpi_table_end(b, at, true);
}

static void build_spcr(AcpiBuilder *b)
{
    uint32_t at = acpi_table_begin(b, "SPCR", 2);
    acpi_put(b, 4, PL011_SUBTYPE);
    acpi_put_gas(b, ACPI_GAS_MEMORY, 32, 3, VIRT_UART);
    acpi_put(b, 1, 8);                        /* interrupt by the GIC */
    acpi_put(b, 1, 0);
    acpi_put(b, 4, VIRT_SPI_UART + GSI_BASE);
    acpi_put(b, 1, 3);                        /* 9600 baud: as it is */
    acpi_put(b, 2, 0x0100);                   /* no parity, one stop bit */
    acpi_put(b, 2, 0x0002);                   /* hardware flow control; VT100 */
    acpi_put_zeros(b, 1);
    acpi_put(b, 4, UINT32_MAX);               /* not a PCI device */
    acpi_put_zeros(b, 12);
    acpi_table_end(b, at, true);
}

static void build_dbg2(AcpiBuilder *b)
{
    static const char name[] = "\\_SB.COM0";
    unsigned info = 22 + 12 + 4 + sizeof(name);
    uint32_t at = acpi_table_begin(b, "DBG2", 0);
    acpi_put(b, 4, 44);
    acpi_put(b, 4, 1);
    acpi_put(b, 1, 0);
    acpi_put(b, 2, info);
    acpi_put(b, 1, 1);
    acpi_put(b, 2, sizeof(name));
    acpi_put(b, 2, 22 + 12 + 4);
    acpi_put(b, 4, 0);          /* no OEM data */
    acpi_put(b, 2, UART_CLASS);
    acpi_put(b, 2, PL011_SUBTYPE);
    acpi_put(b, 2, 0);
    acpi_put(b, 2, 22);
    acpi_put(b, 2, 22 + 12);
    acpi_put_gas(b, ACPI_GAS_MEMORY, 32, 3, VIRT_UART);
    acpi_put(b, 4, 0x1000);
    acpi_put_text(b, name, sizeof(name));
    acpi_table_end(b, at, true);
}

/* ITS group, and the root complex whose requester ids are its device ids (DEN 0049 sections 3.1.1.1 and 3.1.1.3). */
static void build_iort(AcpiBuilder *b)
{
    uint32_t at = acpi_table_begin(b, "IORT", 3), its = 48;
    acpi_put(b, 4, 2);
    acpi_put(b, 4, its);
    acpi_put(b, 4, 0);
    acpi_put(b, 1, 0);          /* ITS group */
    acpi_put(b, 2, 24);
    acpi_put(b, 1, 1);
    acpi_put(b, 4, 0);          /* identifier */
    acpi_put_zeros(b, 8);
    acpi_put(b, 4, 1);
    acpi_put(b, 4, 0);
    acpi_put(b, 1, 2);          /* root complex */
    acpi_put(b, 2, 36 + 20);
    acpi_put(b, 1, 3);
    acpi_put(b, 4, 0);
    acpi_put(b, 4, 1);
    acpi_put(b, 4, 36);
    acpi_put(b, 4, 1);          /* coherent */
    acpi_put_zeros(b, 3);
    acpi_put(b, 1, 3);          /* snooped, cacheable */
    acpi_put(b, 4, 0);
    acpi_put(b, 4, 0);          /* segment */
    acpi_put(b, 1, 64);         /* address bits */
    acpi_put_zeros(b, 3);
    acpi_put(b, 4, 0);          /* identity mapping of all ids */
    acpi_put(b, 4, 0xffff);
    acpi_put(b, 4, 0);
    acpi_put(b, 4, its);
    acpi_put(b, 4, 0);
    acpi_table_end(b, at, true);
}

/* ---- PPTT: sockets, clusters, cores, threads ---- */

static uint32_t pptt_node(AcpiBuilder *b, uint32_t table, uint32_t flags, uint32_t parent, uint32_t id)
{
    uint32_t at = acpi_blob(b)->len - table;
    acpi_put(b, 2, 0x1400);
    acpi_put(b, 2, 0);
    acpi_put(b, 4, flags);
    acpi_put(b, 4, parent);
    acpi_put(b, 4, id);
    acpi_put(b, 4, 0);
    return at;
}

static void build_pptt(AcpiBuilder *b, const VirtFacts *v)
{
    enum { PHYSICAL = 1, ID_VALID = 2, THREAD = 4, LEAF = 8 };
    uint32_t at = acpi_table_begin(b, "PPTT", 2), socket = 0, cluster = 0, core = 0;
    for (unsigned i = 0; i < v->cpus; i++) {
        unsigned n = i / v->threads;
        if (i % (v->threads * v->cores * v->clusters) == 0)
            socket = cluster = pptt_node(b, at, PHYSICAL, 0, n / v->cores / v->clusters);
        if (v->clusters > 1 && i % (v->threads * v->cores) == 0)
            cluster = pptt_node(b, at, 0, socket, n / v->cores);
        if (v->threads == 1) {
            pptt_node(b, at, ID_VALID | LEAF, cluster, i);
        } else {
            if (i % v->threads == 0)
                core = pptt_node(b, at, 0, cluster, n);
            pptt_node(b, at, ID_VALID | THREAD | LEAF, core, i);
        }
    }
    acpi_table_end(b, at, true);
}

/* ---- nodes ---- */

static void cpu_affinity(AcpiBuilder *b, const void *board, unsigned i, uint8_t node)
{
    acpi_put(b, 2, 0x1203);
    acpi_put(b, 4, node);
    acpi_put(b, 4, i);          /* the processor's UID */
    acpi_put(b, 4, 1);          /* enabled */
    acpi_put(b, 4, 0);
}

static void build_numa(AcpiBuilder *b, const VirtFacts *v)
{
    AcpiNuma n = { .config = v->numa,
                   .ram = { { VIRT_RAM, v->ram_size } },
                   .devices = { v->devices.base, v->devices.size },
                   .cpus = v->cpus,
                   .cpu = cpu_affinity,
                   .board = v };
    acpi_build_numa(b, &n);
    acpi_build_nfit(b);
}

AcpiBlobs virt_acpi_build(const VirtFacts *v)
{
    AcpiBuilder b;
    acpi_builder_init(&b);
    uint32_t dsdt = acpi_table_begin(&b, "DSDT", 2);
    GByteArray *aml = virt_acpi_dsdt(v);
    g_byte_array_append(acpi_blob(&b), aml->data, aml->len);
    g_byte_array_unref(aml);
    acpi_table_end(&b, dsdt, false);
    build_fadt(&b, v, dsdt);
    build_madt(&b, v);
    build_pptt(&b, v);
    build_gtdt(&b);
    build_mcfg(&b, v);
    build_spcr(&b);
    build_dbg2(&b);
    build_numa(&b, v);
    if (v->its)
        build_iort(&b);
    acpi_build_viot(&b);
    return acpi_builder_finish(&b, false);
}
