/* SPDX-License-Identifier: MIT */
/* How a CPU reaches configuration space: ports 0xcf8/0xcfc and the memory-mapped window. */
#include "base/bits.h"
#include "base/log.h"
#include "hw/pci/pci-host.h"

enum { CONFIG_ADDRESS = 0, RESET_CONTROL = 1, CONFIG_DATA = 4, CONFIG_ENABLE = 0x80000000u };

static uint32_t data_read(PciConfigPorts *p, hwaddr offset, unsigned size)
{
    uint32_t a = p->address;

    if (!(a & CONFIG_ENABLE))
        return UINT32_MAX;
    return pci_bus_config_read(p->root, (uint8_t)(a >> 16), (uint8_t)(a >> 8),
                               (a & 0xfc) | (offset & 3), size);
}

static MemResult ports_read(void *opaque, hwaddr offset, unsigned size, uint64_t *value,
                            MemAttrs attrs)
{
    PciConfigPorts *p = opaque;

    if (offset >= CONFIG_DATA)
        *value = data_read(p, offset, size);
    else if (offset == CONFIG_ADDRESS && size == 4)
        *value = p->address;
    else if (offset == RESET_CONTROL && size == 1 && p->cf9_read)
        *value = p->cf9_read(p->cf9_opaque);
    else
        *value = bits_mask(size * 8);
    return MEM_OK;
}

static MemResult ports_write(void *opaque, hwaddr offset, unsigned size, uint64_t value,
                             MemAttrs attrs)
{
    PciConfigPorts *p = opaque;
    uint32_t a = p->address;

    if (offset >= CONFIG_DATA) {
        if (a & CONFIG_ENABLE)
            pci_bus_config_write(p->root, (uint8_t)(a >> 16), (uint8_t)(a >> 8),
                                 (a & 0xfc) | (offset & 3), size, (uint32_t)value);
    } else if (offset == CONFIG_ADDRESS && size == 4) {
        p->address = (uint32_t)value & 0x80fffffc;
    } else if (offset == RESET_CONTROL && size == 1 && p->cf9_write) {
        p->cf9_write(p->cf9_opaque, (uint8_t)value);
    }
    return MEM_OK;
}

static const MemOps ports_ops = { .read = ports_read, .write = ports_write, .min_size = 1,
                                  .max_size = 4 };

void pci_config_ports_init(PciConfigPorts *p, PciBus *root)
{
    p->root = root;
    p->region = mem_io_new("pci-config", 8, &ports_ops, p, machine_domain());
}

void pci_config_ports_fini(PciConfigPorts *p)
{
    g_clear_pointer(&p->region, mem_region_free);
}

static MemResult ecam_read(void *opaque, hwaddr offset, unsigned size, uint64_t *value,
                           MemAttrs attrs)
{
    *value = pci_bus_config_read(opaque, (uint8_t)(offset >> 20), (uint8_t)(offset >> 12), offset & 0xfff, size);
    return MEM_OK;
}

static MemResult ecam_write(void *opaque, hwaddr offset, unsigned size, uint64_t value,
                            MemAttrs attrs)
{
    pci_bus_config_write(opaque, (uint8_t)(offset >> 20), (uint8_t)(offset >> 12), offset & 0xfff,
                         size, (uint32_t)value);
    return MEM_OK;
}

static const MemOps ecam_ops = { .read = ecam_read, .write = ecam_write, .min_size = 1,
                                 .max_size = 4 };

MemRegion *pci_ecam_new(PciBus *root, unsigned buses)
{
    return mem_io_new("pcie-ecam", (uint64_t)buses << 20, &ecam_ops, root, machine_domain());
}
