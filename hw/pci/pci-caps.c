/* SPDX-License-Identifier: MIT */
/* Capability lists, power management and the PCI Express capability. */
#include "base/bits.h"
#include "hw/pci/pci-internal.h"

uint16_t pci_add_capability(PciDevice *d, uint8_t id, uint16_t offset, uint16_t size)
{
    if (!offset)
        offset = (uint16_t)align_up(d->cap_end, 4);
    g_assert(offset >= 0x40 && offset + size <= PCI_CONFIG_SIZE);
    d->cap_end = MAX(d->cap_end, offset + size);
    /* New entries go to the head of the list. */
    pci_config_define(d, offset, 2, id | (uint32_t)d->config[PCI_CAP_PTR] << 8, 0);
    pci_config_define(d, PCI_CAP_PTR, 1, offset, 0);
    pci_config_define(d, PCI_STATUS, 2, pci_config_get(d, PCI_STATUS, 2) | PCI_STATUS_CAPS, 0);
    return offset;
}

uint16_t pcie_add_ext_capability(PciDevice *d, uint16_t id, uint8_t version, uint16_t offset,
                                 uint16_t size)
{
    uint16_t last = 0x100;

    g_assert(d->info->express && offset >= 0x100 && offset + size <= PCIE_CONFIG_SIZE);
    pci_config_define(d, offset, 4, id | (uint32_t)version << 16, 0);
    if (offset == 0x100)
        return offset;
    while (pci_config_get(d, last, 4) >> 20)
        last = (uint16_t)(pci_config_get(d, last, 4) >> 20);
    pci_config_define(d, last, 4, pci_config_get(d, last, 4) | (uint32_t)offset << 20, 0);
    return offset;
}

/* PCI Power Management 1.2 section 3.2: version 3, no D1/D2, no PME; state is kept over D3hot. */
void pci_pm_init(PciDevice *d, uint16_t offset)
{
    uint16_t at = pci_add_capability(d, PCI_CAP_PM, offset, 8);

    d->cap_pm = at;
    pci_config_define(d, at + 2, 2, 3, 0);
    pci_config_define(d, at + 4, 4, BIT(3), 3);
}

enum {
    EXP_FLAGS_SLOT = BIT(8),
    EXP_DEVCAP_RBE = BIT(15), EXP_DEVCAP_FLR = BIT(28),
    EXP_LINK_2_5GT = 1, EXP_LINK_X1 = 1 << 4, EXP_LNKCAP_DLLLA = BIT(20),
        EXP_LNKSTA_DLLLA = BIT(13),
};

/* PCIe 4.0 section 7.5.3: capability version 2, 60 bytes. */
void pcie_cap_init(PciDevice *d, uint16_t offset, PcieType type, uint8_t port)
{
    bool is_port = type == PCIE_ROOT_PORT || type == PCIE_UPSTREAM || type == PCIE_DOWNSTREAM;
    uint16_t at = pci_add_capability(d, PCI_CAP_EXPRESS, offset, 60);

    if (type == PCIE_ENDPOINT && !d->bus->bridge)
        type = PCIE_RC_ENDPOINT;
    d->cap_express = at;
    pci_config_define(d, at + 2, 2, 2 | (uint32_t)type << 4, 0);
    pci_config_define(d, at + 4, 4, EXP_DEVCAP_RBE, 0);
    pci_config_define(d, at + 8, 2, 0, 0x7fff & ~BIT(9)); /* Device Control, without phantom functions */
    pci_config_define_w1c(d, at + 10, 2, 0xf);
    if (type != PCIE_RC_ENDPOINT) {
        pci_config_define(d, at + 12, 4,
                          EXP_LINK_2_5GT | EXP_LINK_X1 | (is_port ? EXP_LNKCAP_DLLLA : 0) |
                              (uint32_t)port << 24,
                          0);
        pci_config_define(d, at + 16, 2, 0, 0xfdb);
        pci_config_define(d, at + 18, 2,
                          EXP_LINK_2_5GT | EXP_LINK_X1 | (is_port ? EXP_LNKSTA_DLLLA : 0), 0);
        pci_config_define(d, at + 48, 2, EXP_LINK_2_5GT, 0xf);
    }
    if (type == PCIE_ROOT_PORT) {
        pci_config_define(d, at + 28, 2, 0, 0x1f); /* Root Control */
        pci_config_define_w1c(d, at + 32, 4, BIT(16));
    }
    pci_config_define(d, at + 36, 4, BIT(4), 0); /* Device Capabilities 2: completion timeout can be disabled */
    pci_config_define(d, at + 40, 2, 0, BIT(4));
}

void pcie_ats_init(PciDevice *d, uint16_t offset, bool page_aligned)
{
    enum { ATS_ID = 0x0f, ATS_PAGE_ALIGNED = BIT(5), ATS_SMALLEST_UNIT = 0x1f, ATS_ENABLE = BIT(15) };
    uint16_t at = pcie_add_ext_capability(d, ATS_ID, 1, offset, 8);

    pci_config_define(d, at + 4u, 2, page_aligned ? ATS_PAGE_ALIGNED : 0, 0);
    pci_config_define(d, at + 6u, 2, 0, ATS_ENABLE | ATS_SMALLEST_UNIT);
}
