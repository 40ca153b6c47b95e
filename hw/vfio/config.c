/* SPDX-License-Identifier: MIT */
/* Configuration space of a host's function: which bytes the base keeps, which are the host's. */
#include <errno.h>
#include <string.h>
#include "base/bits.h"
#include "base/log.h"
#include "hw/pci/pci-host.h"
#include "hw/vfio/vfio-pci.h"

enum { HEADER_END = 0x40, MSI_FLAGS = 2, MSIX_TABLE_AT = 4, MSIX_PBA_AT = 8, EXP_LINK = 12, EXP_SIZE = 20 };
enum { EXT_ARI = 0x0e, EXT_SRIOV = 0x10, EXT_REBAR = 0x15, EXT_VF_REBAR = 0x24, EXT_MAX = (4096 - 256) / 4 };

uint32_t vfio_host_config(VfioPci *p, uint32_t at, unsigned size)
{
    uint8_t b[4] = { 0xff, 0xff, 0xff, 0xff };
    if (at + size > p->config.size || vfio_host->pread(p->host.fd, b, size, p->config.offset + at) != (ssize_t)size)
        return (uint32_t)bits_mask(size * 8);
    return (uint32_t)load_le(b, size);
}

void vfio_set_host_config(VfioPci *p, uint32_t at, unsigned size, uint32_t value)
{
    uint8_t b[4];
    store_le(b, size, value);
    if (vfio_host->pwrite(p->host.fd, b, size, p->config.offset + at) != (ssize_t)size)
        log_unimp(p->pci.dev.id, "the host refuses a write of its configuration at 0x%x", at);
}

static void emulate(VfioPci *p, uint32_t at, unsigned size) { memset(p->emulated + at, 1, size); }

/* What may be written there is the host's matter. */
static void leave_to_host(VfioPci *p, uint32_t at, unsigned size, const uint8_t *now)
{
    memset(p->emulated + at, 0, size);
    for (unsigned i = 0; i < size; i++)
        pci_config_define(&p->pci, at + i, 1, now[at + i], 0xff);
}

uint32_t vfio_config_read(PciDevice *d, uint32_t at, unsigned size, uint32_t stored)
{
    VfioPci *p = (VfioPci *)d;
    uint32_t value = 0;
    bool asked = false;
    uint32_t host = 0;
    for (unsigned i = 0; i < size; i++) {
        if (!p->emulated[at + i] && !asked) {
            host = vfio_host_config(p, at, size);
            asked = true;
        }
        value |= ((p->emulated[at + i] ? stored : host) >> 8 * i & 0xff) << 8 * i;
    }
    return value;
}

void vfio_config_wrote(PciDevice *d, uint32_t at, unsigned size)
{
    VfioPci *p = (VfioPci *)d;
    if (p->host.fd < 0)
        return;
    if (at < PCI_COMMAND + 2 && at + size > PCI_COMMAND)
        vfio_set_host_config(p, PCI_COMMAND, 2, pci_config_get(d, PCI_COMMAND, 2));
    bool all = true, none = true;
    for (unsigned i = 0; i < size; i++) {
        all &= !p->emulated[at + i];
        none &= p->emulated[at + i];
    }
    if (all) {
        vfio_set_host_config(p, at, size, pci_config_get(d, at, size));
    } else if (!none) {
        for (unsigned i = 0; i < size; i++) {
            if (!p->emulated[at + i])
                vfio_set_host_config(p, at + i, 1, d->config[at + i]);
        }
    }
    vfio_irqs_update(p, false);
}

/* The capability of the host's list that begins at `at` ends where the next one of all begins. */
static uint16_t cap_size(const uint8_t *config, unsigned at)
{
    unsigned end = PCI_CONFIG_SIZE;
    for (unsigned c = config[PCI_CAP_PTR] & 0xfc, n = 0; c >= HEADER_END && n < 48; c = config[c + 1] & 0xfc, n++) {
        if (c > at && c < end)
            end = c;
    }
    return (uint16_t)(end - at);
}

static bool add_msix(VfioPci *p, const uint8_t *config, unsigned at, Error **errp)
{
    uint32_t table = load_le32(config + at + MSIX_TABLE_AT), pba = load_le32(config + at + MSIX_PBA_AT);
    unsigned vectors = (load_le16(config + at + 2) & 0x7ffu) + 1, bir[2] = { table & 7, pba & 7 };
    for (unsigned i = 0; i < 2; i++) {
        if (bir[i] < 6 && p->bar[bir[i]].whole)
            continue;
        error_setf(errp, "device '%s': the host's MSI-X structures are in BAR %u, which it does not have",
                   p->pci.dev.id, bir[i]);
        return false;
    }
    if (!msix_init(&p->pci, (uint16_t)at, vectors, bir[0], p->bar[bir[0]].whole, table & ~7u, bir[1],
                   p->bar[bir[1]].whole, pba & ~7u, errp))
        return false;
    msix_on_change(&p->pci, vfio_vector_changed);
    return true;
}

/* On the root bus an endpoint of the host becomes an integrated one, which has no link (PCIe 4.0 section 7.5.3.2). */
static void fit_express(VfioPci *p, const uint8_t *config, unsigned at)
{
    uint16_t flags = load_le16(config + at + 2);
    if (p->pci.bus->bridge || (flags >> 4 & 15) != PCIE_ENDPOINT)
        return;
    emulate(p, at + 2, 2);
    pci_config_define(&p->pci, at + 2, 2, (flags & ~0xf0u) | PCIE_RC_ENDPOINT << 4, 0);
    emulate(p, at + EXP_LINK, 8);
    pci_config_define(&p->pci, at + EXP_LINK, 4, 0, 0);
    pci_config_define(&p->pci, at + EXP_LINK + 4, 4, 0, 0);
}

static bool add_cap(VfioPci *p, const uint8_t *config, unsigned at, Error **errp)
{
    uint16_t flags = load_le16(config + at + MSI_FLAGS), size = cap_size(config, at);
    switch (config[at]) {
    case PCI_CAP_MSI:
        msi_init(&p->pci, (uint16_t)at, 1u << MIN(flags >> 1 & 7, 5), flags & BIT(7), flags & BIT(8));
        emulate(p, at, MIN(size, 24u));
        return true;
    case PCI_CAP_MSIX:
        emulate(p, at, 12);
        return add_msix(p, config, at, errp);
    default:
        pci_add_capability(&p->pci, config[at], (uint16_t)at, size);
        emulate(p, at, 2);
        leave_to_host(p, at + 2, size - 2u, config);
        if (config[at] == PCI_CAP_EXPRESS && size >= EXP_SIZE)
            fit_express(p, config, at);
        return true;
    }
}

/*
 * Extended capabilities that mean something on the host only: the guest can't number functions, make new ones, or
 * resize BARs.
 */
static bool is_hosts_own(uint16_t id)
{
    return id == EXT_ARI || id == EXT_SRIOV || id == EXT_REBAR || id == EXT_VF_REBAR;
}

/* Where the extended capability at `at` ends: the list need not be in order. */
static unsigned ext_end(const uint8_t *config, unsigned at)
{
    unsigned end = PCIE_CONFIG_SIZE;
    for (unsigned c = PCI_CONFIG_SIZE, n = 0; c >= PCI_CONFIG_SIZE && n < EXT_MAX;
         c = load_le32(config + c) >> 20 & 0xffc, n++) {
        if (c > at && c < end)
            end = c;
    }
    return end;
}

/* The rest of express configuration space. */
static void add_ext_caps(VfioPci *p)
{
    uint8_t config[PCIE_CONFIG_SIZE];
    if (p->config.size < sizeof(config) || p->pci.config_size < sizeof(config) ||
        vfio_host->pread(p->host.fd, config, sizeof(config), p->config.offset) != sizeof(config))
        return;
    bool seen[PCIE_CONFIG_SIZE / 4] = { false };
    for (unsigned at = PCI_CONFIG_SIZE; at >= PCI_CONFIG_SIZE && !seen[at / 4];
         at = load_le32(config + at) >> 20 & 0xffc) {
        uint32_t header = load_le32(config + at);
        seen[at / 4] = true;
        if (!header || header == UINT32_MAX)
            return;
        if (is_hosts_own((uint16_t)header))
            continue;
        unsigned size = ext_end(config, at) - at;
        pcie_add_ext_capability(&p->pci, (uint16_t)header, header >> 16 & 15, (uint16_t)at, (uint16_t)size);
        leave_to_host(p, at + 4, size - 4, config);
    }
}

/* The device's own, unless the user wants another. */
static void define_id(VfioPci *p, unsigned at, uint32_t wanted, const uint8_t *config)
{
    pci_config_define(&p->pci, at, 2, wanted <= UINT16_MAX ? wanted : load_le16(config + at), 0);
}

bool vfio_make_config(VfioPci *p, Error **errp)
{
    uint8_t config[PCI_CONFIG_SIZE];
    uint64_t seen = 0;
    if (vfio_host->pread(p->host.fd, config, sizeof(config), p->config.offset) != sizeof(config)) {
        error_setf(errp, "device '%s': the host's configuration space can't be read: %s", p->pci.dev.id,
                   g_strerror(errno));
        return false;
    }
    define_id(p, PCI_VENDOR_ID, p->vendor, config);
    define_id(p, PCI_DEVICE_ID, p->device, config);
    pci_config_define(&p->pci, PCI_REVISION, 4, load_le32(config + PCI_REVISION), 0);
    define_id(p, PCI_SUBSYS_VENDOR, p->subsystem_vendor, config);
    define_id(p, PCI_SUBSYS_ID, p->subsystem, config);
    pci_config_define(&p->pci, PCI_INT_PIN, 1, config[PCI_INT_PIN] <= PCI_PINS ? config[PCI_INT_PIN] : 0, 0);
    emulate(p, 0, PCI_STATUS);
    emulate(p, PCI_REVISION, 0x34 - PCI_REVISION);
    emulate(p, PCI_CAP_PTR, PCI_INT_PIN + 1 - PCI_CAP_PTR);
    emulate(p, PCI_CONFIG_SIZE, PCIE_CONFIG_SIZE - PCI_CONFIG_SIZE);
    for (unsigned at = config[PCI_CAP_PTR] & 0xfc; at >= HEADER_END && !(seen & BIT(at / 4));
         at = config[at + 1] & 0xfc) {
        seen |= BIT(at / 4);
        if (cap_size(config, at) < (config[at] == PCI_CAP_MSI ? 10 : config[at] == PCI_CAP_MSIX ? 12 : 2)) {
            error_setf(errp, "device '%s': the host's capability at 0x%x has no room", p->pci.dev.id, at);
            return false;
        }
        if (!add_cap(p, config, at, errp))
            return false;
    }
    add_ext_caps(p);
    return true;
}
