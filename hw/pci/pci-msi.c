/* SPDX-License-Identifier: MIT */
/* Message signalled interrupts (PCI 3.0 section 6.8.1). */
#include "base/bits.h"
#include "base/trace.h"
#include "hw/pci/pci-internal.h"

enum { MSI_CTL = 2, MSI_CTL_ENABLE = 1, MSI_CTL_64 = BIT(7), MSI_CTL_MASKABLE = BIT(8) };

static uint16_t msi_ctl(const PciDevice *d)
{
    return (uint16_t)pci_config_get(d, d->cap_msi + MSI_CTL, 2);
}
static uint32_t data_at(const PciDevice *d) { return d->cap_msi + (msi_ctl(d) & MSI_CTL_64 ? 12u : 8u); }
static uint32_t mask_at(const PciDevice *d) { return data_at(d) + 4; }

void msi_init(PciDevice *d, uint16_t offset, unsigned vectors, bool is64, bool maskable)
{
    unsigned log2 = (unsigned)__builtin_ctz(vectors);
    uint16_t size = (uint16_t)((is64 ? 14 : 10) + (maskable ? 10 : 0));
    uint16_t at = pci_add_capability(d, PCI_CAP_MSI, offset, size);

    g_assert(is_pow2(vectors) && vectors <= 32);
    d->cap_msi = at;
    pci_config_define(d, at + MSI_CTL, 2,
                      log2 << 1 | (is64 ? MSI_CTL_64 : 0) | (maskable ? MSI_CTL_MASKABLE : 0),
                      MSI_CTL_ENABLE | 7 << 4);
    pci_config_define(d, at + 4, 4, 0, 0xfffffffc);
    if (is64)
        pci_config_define(d, at + 8, 4, 0, 0xffffffff);
    pci_config_define(d, data_at(d), 2, 0, 0xffff);
    if (maskable)
        pci_config_define(d, mask_at(d), 4, 0, (uint32_t)bits_mask(vectors));
}

bool msi_enabled(const PciDevice *d)
{
    return d->cap_msi && (msi_ctl(d) & MSI_CTL_ENABLE);
}

unsigned msi_vectors(const PciDevice *d)
{
    unsigned can = (unsigned)bits_get(msi_ctl(d), 1, 3),
             want = (unsigned)bits_get(msi_ctl(d), 4, 3);

    return 1u << MIN(can, want);
}

MsiMessage msi_message(const PciDevice *d, unsigned vector)
{
    MsiMessage m = { .address = pci_config_get(d, d->cap_msi + 4u, 4),
                     .data = pci_config_get(d, data_at(d), 2) };

    if (msi_ctl(d) & MSI_CTL_64)
        m.address |= (uint64_t)pci_config_get(d, d->cap_msi + 8u, 4) << 32;
    m.data = (m.data & ~(msi_vectors(d) - 1)) | vector;
    return m;
}

static void set_pending(PciDevice *d, uint32_t pending)
{
    if (msi_ctl(d) & MSI_CTL_MASKABLE)
        pci_config_set(d, mask_at(d) + 4, 4, pending);
}

bool msi_vector_masked(const PciDevice *d, unsigned vector)
{
    return msi_ctl(d) & MSI_CTL_MASKABLE && pci_config_get(d, mask_at(d), 4) & BIT(vector);
}

void msi_notify(PciDevice *d, unsigned vector)
{
    if (!msi_enabled(d))
        return;
    if (vector >= msi_vectors(d)) /* fewer granted than asked for: they share the last ones */
        vector &= msi_vectors(d) - 1;
    if (msi_vector_masked(d, vector)) {
        set_pending(d, pci_config_get(d, mask_at(d) + 4, 4) | (uint32_t)BIT(vector));
        return;
    }
    TRACE(msi_notify, "%s vector %u", d->dev.id, vector);
    pci_send_msi(d, msi_message(d, vector));
}

void msi_config_wrote(PciDevice *d, uint32_t at, unsigned size)
{
    uint32_t pending, fire;

    if (!d->cap_msi || !pci_overlaps(at, size, d->cap_msi, 24) || !msi_enabled(d))
        return;
    if (d->intx_level)
        pci_set_irq(d, 0); /* a function that signals by messages does not drive INTx (section 6.8.2) */
    if (!(msi_ctl(d) & MSI_CTL_MASKABLE))
        return;
    pending = pci_config_get(d, mask_at(d) + 4, 4);
    fire = pending & ~pci_config_get(d, mask_at(d), 4);
    set_pending(d, pending & ~fire);
    for (unsigned i = 0; i < 32; i++) {
        if (fire & BIT(i))
            msi_notify(d, i);
    }
}

void msi_reset(PciDevice *d)
{
    if (d->cap_msi)
        set_pending(d, 0);
}
