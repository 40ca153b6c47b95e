/* SPDX-License-Identifier: MIT */
/* NVMe: the controller's memory buffer: RAM in BAR 2 for queues and data (NVM Express 1.4, 3.1.11 to 3.1.17, 4.7). */
#include "base/log.h"
#include "hw/storage/nvme.h"

enum { CMB_BAR = 2, LOC_ALL_MIXED = BIT(3) | BIT(4) | BIT(5) | BIT(6) | BIT(7) | BIT(8), SZ_ALL = 0x1f, SZ_UNIT_1M = 2 << 8 };
enum { MSC_CRE = 1, MSC_CMSE = 2, STS_INVALID = 1 };

bool nvme_cmb_start(Nvme *n, Error **errp)
{
    if (!n->cmb_mb)
        return true;
    if (!is_pow2(n->cmb_mb)) {
        error_setf(errp, "device '%s': cmb_size_mb=%u is no power of two", n->pci.dev.id, n->cmb_mb);
        return false;
    }
    n->cmb = mem_ram_new("nvme-cmb", n->cmb_mb * (uint64_t)MiB, errp);
    if (!n->cmb)
        return false;
    n->cmb_alias = mem_alias_new("nvme-cmb-dma", n->cmb, 0, mem_size(n->cmb));
    pci_register_bar(&n->pci, CMB_BAR, PCI_BAR_MEM | PCI_BAR_64 | PCI_BAR_PREFETCH, n->cmb);
    pci_dma_space(&n->pci); /* makes dma_root */
    return true;
}

/* Where the controller's own addresses see it: at the base that the host has given (in BAR 2, as a rule, where it is anyway). */
void nvme_cmb_update(Nvme *n)
{
    uint64_t base = n->cmbmsc & ~UINT64_C(0xfff), size = n->cmb ? mem_size(n->cmb) : 0;
    if (!n->cmb)
        return;
    mem_unmap(n->cmb_alias);
    n->cmbsts = 0;
    if (!(n->cmbmsc & MSC_CMSE))
        return;
    if (base > UINT64_MAX - size) {
        log_guest_error(n->pci.dev.id, "NVMe: the memory buffer does not fit at 0x%" G_GINT64_MODIFIER "x", (guint64)base);
        n->cmbsts = STS_INVALID;
        return;
    }
    mem_map(n->pci.dma_root, base, n->cmb_alias, 1);
}

void nvme_cmb_write(Nvme *n, uint64_t value)
{
    if (!n->cmb)
        return;
    n->cmbmsc = value & ~UINT64_C(0xffc);
    nvme_cmb_update(n);
}

static bool shown(const Nvme *n) { return n->cmb && (n->legacy_cmb || n->cmbmsc & MSC_CRE); }
uint32_t nvme_cmb_location(const Nvme *n) { return shown(n) ? CMB_BAR | (uint32_t)LOC_ALL_MIXED : 0; }
uint32_t nvme_cmb_size(const Nvme *n) { return shown(n) ? SZ_ALL | SZ_UNIT_1M | n->cmb_mb << 12 : 0; }

void nvme_cmb_stop(Nvme *n)
{
    mem_region_free(n->cmb_alias);
    mem_region_free(n->cmb);
}
