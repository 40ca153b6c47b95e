/* SPDX-License-Identifier: MIT */
/*
 * For tests of devices: a machine that is RAM alone, hosts of a PCI and an ISA bus, files for images, devices as
 * -device makes them.
 */
#ifndef TESTS_DEVICE_BARE_MACHINE_H
#define TESTS_DEVICE_BARE_MACHINE_H

#include <unistd.h>
#include "base/opts.h"
#include "block/backend.h"
#include "hw/core/machine.h"
#include "hw/isa/isa.h"
#include "hw/pci/pci-host.h"

static inline bool bare_build(Machine *m, Error **errp)
{
    m->ram = mem_ram_new("ram", m->config.ram_size, errp);
    if (m->ram)
        mem_map(m->memory, 0, m->ram, 0);
    return m->ram;
}
#define BARE_MACHINE(var, called, ram_bytes) \
    static const MachineType var = { .name = called, .arch = "none", .max_cpus = 1, .default_ram = ram_bytes, \
        .size = sizeof(Machine), .build = bare_build }

static inline Machine *bare_machine(const MachineType *type)
{
    Error *err = NULL;
    Machine *m = machine_new(type);
    machine_build(m, &err);
    g_assert_no_error(err);
    return m;
}

/* A root bus "pci.0" whose memory and I/O are the machine's, with configuration ports at 0xcf8. */
typedef struct BarePciHost {
    Device dev;
    PciBus bus;
    PciConfigPorts ports;
} BarePciHost;

static inline bool bare_pci_start(Device *d, Error **errp)
{
    Machine *m = machine_current();
    BarePciHost *h = (BarePciHost *)d;
    PciRootSpaces spaces = { .mem = m->memory,
                             .io = m->io,
                             .dma_region = m->memory,
                             .dma = m->as_memory,
                             .msi_first = 0xfee00000,
                             .msi_last = 0xfeefffff };
    pci_root_bus_init(&h->bus, "pci.0", d, &spaces, true);
    pci_config_ports_init(&h->ports, &h->bus);
    mem_map(m->io, 0xcf8, h->ports.region, 0);
    return true;
}
static inline void bare_pci_stop(Device *d)
{
    pci_config_ports_fini(&((BarePciHost *)d)->ports);
    pci_bus_fini(&((BarePciHost *)d)->bus);
}
static const char *const bare_pci_kinds[] = { "pci", NULL };
static const StateField bare_pci_state[] = { STATE_U32(BarePciHost, ports.address), STATE_END_OF_TABLE };
static const DeviceType bare_pci_type = { .name = "bare-pci-host",
                                          .desc = "root bus",
                                          .size = sizeof(BarePciHost),
                                          .provides = bare_pci_kinds,
                                          .state = bare_pci_state,
                                          .start = bare_pci_start,
                                          .stop = bare_pci_stop };

static inline Device *bare_host(const DeviceType *type)
{
    Error *err = NULL;
    Device *d = device_new(type, "host");
    device_start(d, &err);
    g_assert_no_error(err);
    return d;
}

/* As "-device TEXT". */
static inline Device *bare_add(const char *text)
{
    Error *err = NULL;
    g_autoptr(Opts) o = opts_parse(text, "driver", &err);
    Device *d = o ? device_add(o, &err) : NULL;
    if (!d)
        g_error("%s: %s", text, err->message);
    return d;
}

/* The name of a new file of zeroes. */
static inline char *bare_image(off_t size)
{
    char *name;
    int fd = g_file_open_tmp("rhea-device-XXXXXX", &name, NULL);
    g_assert_cmpint(ftruncate(fd, size), ==, 0);
    close(fd);
    return name;
}

/* The end of the machine, all drives, and a file. */
static inline void bare_end(Machine *m, char *image)
{
    machine_free(m);
    blk_free_all();
    if (image)
        unlink(image);
    g_free(image);
}
#endif
