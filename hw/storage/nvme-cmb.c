/* SPDX-License-Identifier: MIT */
/*
 * NVMe: memory in the controller: the buffer in BAR 2 (NVM Express 1.4, 3.1.11 to 3.1.17, 4.7), the persistent region
 * in BAR 4 (3.1.18 to 3.1.23, 4.8).
 */
#include <errno.h>
#include <sys/mman.h>
#include "base/log.h"
#include "hw/mem/backend.h"
#include "hw/storage/nvme.h"

enum {
    CMB_BAR = 2,
    LOC_ALL_MIXED = BIT(3) | BIT(4) | BIT(5) | BIT(6) | BIT(7) | BIT(8),
    SZ_ALL = 0x1f,
    SZ_UNIT_1M = 2 << 8
};
enum { MSC_CRE = 1, MSC_CMSE = 2, STS_INVALID = 1 };
enum {
    PMR_BAR = 4,
    PMRCAP_VALUE = BIT(3) /* for data: read, */ | BIT(4) /* and written */ | PMR_BAR << 5 |
                   BIT(11) /* a read of PMRSTS flushes */ | BIT(24),
    PMRCTL_EN = 1,
    PMRSTS_NOT_READY = BIT(8),
    PMRSTS_INVALID = BIT(12)
};

/*
 * Where the controller's own addresses see such memory: at the base that the host has given (that of the BAR, as a
 * rule). False: it can't be there.
 */
static bool place(Nvme *n, MemRegion *alias, bool on, uint64_t base)
{
    uint64_t size = mem_size(alias);
    mem_unmap(alias);
    if (!on)
        return true;
    if (base > UINT64_MAX - size) {
        log_guest_error(n->pci.dev.id, "NVMe: the controller's memory does not fit at 0x%" G_GINT64_MODIFIER "x",
                        (guint64)base);
        return false;
    }
    mem_map(n->pci.dma_root, base, alias, 1);
    return true;
}

/* --- the buffer --- */

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

void nvme_cmb_update(Nvme *n)
{
    if (n->cmb)
        n->cmbsts = place(n, n->cmb_alias, n->cmbmsc & MSC_CMSE, n->cmbmsc & ~UINT64_C(0xfff)) ? 0 : STS_INVALID;
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

/* --- the persistent region --- */

bool nvme_pmr_start(Nvme *n, Error **errp)
{
    if (!n->pmrdev)
        return true;
    n->pmr_backend = memory_backend_take(n->pmrdev, errp);
    if (!n->pmr_backend)
        return false;
    uint64_t size = n->pmr_backend->size;
    if (!is_pow2(size) || n->msix_exclusive_bar) {
        error_setf(errp,
                   n->msix_exclusive_bar ? "device '%s': pmrdev=%s takes the BAR that msix-exclusive-bar=on needs"
                                         : "device '%s': the size of pmrdev=%s is no power of two",
                   n->pci.dev.id, n->pmrdev);
        return false;
    }
    n->pmr = memory_backend_alias(n->pmr_backend, "nvme-pmr");
    n->pmr_alias = memory_backend_alias(n->pmr_backend, "nvme-pmr-dma");
    n->pmr_bar = mem_container_new("nvme-pmr-bar", size);
    pci_register_bar(&n->pci, PMR_BAR, PCI_BAR_MEM | PCI_BAR_64 | PCI_BAR_PREFETCH, n->pmr_bar);
    pci_dma_space(&n->pci);
    return true;
}

static void pmr_flush(const Nvme *n)
{
    MemRegion *r = n->pmr_backend->region;
    if (msync(mem_host(r), mem_size(r), MS_SYNC))
        warn_reportf("device '%s': the host can't flush '%s': %s", n->pci.dev.id, n->pmrdev, g_strerror(errno));
}

void nvme_pmr_update(Nvme *n)
{
    if (!n->pmr)
        return;
    bool on = n->pmrctl & PMRCTL_EN;
    mem_unmap(n->pmr);
    if (on)
        mem_map(n->pmr_bar, 0, n->pmr, 0);
    n->pmr_invalid = !place(n, n->pmr_alias, on && n->pmrmsc & MSC_CMSE, n->pmrmsc & ~UINT64_C(0xfff));
}

uint32_t nvme_pmr_read(const Nvme *n, unsigned at)
{
    if (!n->pmr)
        return 0;
    switch (at) {
    case NVME_PMRCAP: return (uint32_t)PMRCAP_VALUE;
    case NVME_PMRCTL: return n->pmrctl;
    case NVME_PMRSTS:
        if (n->pmrctl & PMRCTL_EN)
            pmr_flush(n);
        return (n->pmrctl & PMRCTL_EN ? 0 : (uint32_t)PMRSTS_NOT_READY) |
               (n->pmr_invalid ? (uint32_t)PMRSTS_INVALID : 0);
    case NVME_PMRMSC: return (uint32_t)n->pmrmsc;
    case NVME_PMRMSC + 4: return n->pmrmsc >> 32;
    default: return 0; /* elasticity buffer, throughput: not told */
    }
}

void nvme_pmr_write(Nvme *n, unsigned at, uint32_t value)
{
    if (at == NVME_PMRCTL)
        n->pmrctl = value & PMRCTL_EN;
    else if (at == NVME_PMRMSC)
        n->pmrmsc = bits_set(n->pmrmsc, 0, 32, value & 0xfffff002u);
    else if (at == NVME_PMRMSC + 4)
        n->pmrmsc = bits_set(n->pmrmsc, 32, 32, value);
    if (at == NVME_PMRCTL && !(value & PMRCTL_EN))
        n->pmrmsc &= ~(uint64_t)MSC_CMSE;
    nvme_pmr_update(n);
}

void nvme_memory_stop(Nvme *n)
{
    mem_region_free(n->cmb_alias);
    mem_region_free(n->cmb);
    mem_region_free(n->pmr_alias);
    mem_region_free(n->pmr);
    mem_region_free(n->pmr_bar);
    if (n->pmr_backend)
        object_release(&n->pmr_backend->object);
}
