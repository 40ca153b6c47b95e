/* SPDX-License-Identifier: MIT */
/* "mch": the memory controller hub of q35 (Intel 3 Series datasheet, 316966, chapter 5: device 0). */
#include "base/bits.h"
#include "hw/i386/host-bridge.h"

enum {
    MCH_EXT_TSEG_MBYTES = 0x50, /* paravirtual: 0xffff written reads back the extended TSEG size */
    MCH_PCIEXBAR = 0x60, MCH_PAM0 = 0x90, MCH_SMRAM = 0x9d, MCH_ESMRAMC = 0x9e, MCH_TOM = 0xa0,
        MCH_TOUUD = 0xa2, MCH_TOLUD = 0xb0,
    SMRAM_D_OPEN = 0x40, SMRAM_D_CLS = 0x20, SMRAM_D_LCK = 0x10, SMRAM_G_SMRAME = 0x08,
        SMRAM_BASE_SEG = 0x02,
    ESMRAMC_H_SMRAME = 0x80, ESMRAMC_CACHE_RO = 0x38, ESMRAMC_T_EN = 0x01,
};

typedef struct Mch {
    PciDevice pci;
    Shadow shadow;
    MemRegion *ecam;
    uint64_t ecam_base, ecam_size; /* size 0: off */
    uint8_t pciexbar[8];           /* as last seen: kept over S3 */
    uint16_t ext_tseg_mbytes;
} Mch;

static bool pciexbar(const PciDevice *d, uint64_t *base, uint64_t *size)
{
    static const uint64_t sizes[] = { 256 * MiB, 128 * MiB, 64 * MiB, 0 };
    uint64_t bar = load_le64(d->config + MCH_PCIEXBAR);

    *size = sizes[bits_get(bar, 1, 2)];
    *base = bits_get(bar, 0, 36) & ~(*size - 1);
    return (bar & 1) && *size;
}

bool mch_mmconfig(PciDevice *mch, uint64_t *base, uint64_t *size)
{
    return pciexbar(mch, base, size);
}

static void update_ecam(Mch *m)
{
    uint64_t base, size;

    memcpy(m->pciexbar, m->pci.config + MCH_PCIEXBAR, sizeof(m->pciexbar));
    if (!pciexbar(&m->pci, &base, &size))
        base = size = 0;
    if (base == m->ecam_base && size == m->ecam_size)
        return;
    mem_begin();
    g_clear_pointer(&m->ecam, mem_region_free);
    m->ecam_base = base;
    m->ecam_size = size;
    if (size) {
        m->ecam = pci_ecam_new(m->pci.bus, (unsigned)(size / MiB));
        mem_map(m->shadow.spaces.system, base, m->ecam, 1);
    }
    mem_commit();
}

static uint64_t tseg_bytes(const Mch *m)
{
    uint8_t v = m->pci.config[MCH_ESMRAMC];
    const uint64_t sizes[] = { 1 * MiB, 2 * MiB, 8 * MiB, m->ext_tseg_mbytes * MiB };

    return v & ESMRAMC_T_EN ? sizes[bits_get(v, 1, 2)] : 0;
}

static void update_smram(Mch *m)
{
    PciDevice *d = &m->pci;
    uint8_t v = d->config[MCH_SMRAM];

    if (v & SMRAM_D_LCK) { /* until reset: closed, and nothing but D_CLS can change (section 5.1.29) */
        v = d->config[MCH_SMRAM] &= (uint8_t)~SMRAM_D_OPEN;
        d->wmask[MCH_SMRAM] = SMRAM_D_CLS;
        d->wmask[MCH_ESMRAMC] = 0;
    }
    shadow_set_smram(&m->shadow,
                     (v & SMRAM_G_SMRAME) && !(d->config[MCH_ESMRAMC] & ESMRAMC_H_SMRAME),
                     (v & SMRAM_D_OPEN) && !(v & SMRAM_D_CLS));
    shadow_set_tseg(&m->shadow, v & SMRAM_G_SMRAME ? tseg_bytes(m) : 0);
}

static void set_smram_masks(Mch *m)
{
    bool smm = m->shadow.spaces.smm;

    m->pci.wmask[MCH_SMRAM] = smm ? SMRAM_D_OPEN | SMRAM_D_CLS | SMRAM_D_LCK | SMRAM_G_SMRAME : 0;
    m->pci.wmask[MCH_ESMRAMC] = smm ? ESMRAMC_H_SMRAME | 0x06 | ESMRAMC_T_EN : 0;
}

static void update_all(Mch *m, bool resuming)
{
    if (resuming) /* SeaBIOS resumes through the window */
        memcpy(m->pci.config + MCH_PCIEXBAR, m->pciexbar, sizeof(m->pciexbar));
    update_ecam(m);
    shadow_reset_pam(&m->shadow, m->pci.config + MCH_PAM0, resuming);
    update_smram(m);
}

static void mch_config_wrote(PciDevice *d, uint32_t at, unsigned size)
{
    Mch *m = (Mch *)d;

    if (at + size > MCH_PAM0 && at < MCH_PAM0 + 7)
        shadow_set_pam(&m->shadow, d->config + MCH_PAM0);
    if (at + size > MCH_PCIEXBAR && at < MCH_PCIEXBAR + 8)
        update_ecam(m);
    if (at + size > MCH_SMRAM && at < MCH_ESMRAMC + 1)
        update_smram(m);
    if (at + size > MCH_EXT_TSEG_MBYTES && at < MCH_EXT_TSEG_MBYTES + 2 &&
        pci_config_get(d, MCH_EXT_TSEG_MBYTES, 2) == 0xffff && m->shadow.spaces.smm)
        pci_config_set(d, MCH_EXT_TSEG_MBYTES, 2, m->ext_tseg_mbytes);
}

static bool mch_start(Device *dev, Error **errp)
{
    Mch *m = (Mch *)dev;
    PciDevice *d = &m->pci;
    HostBridge *h = host_bridge_of(d, errp);
    uint64_t low, total, top;

    if (!h)
        return false;
    low = h->spaces.ram_below_4g;
    total = mem_size(h->spaces.ram);
    top = total > low ? 4 * GiB + total - low : low;
    shadow_start(&m->shadow, &h->spaces);
    pci_config_define(d, PCI_COMMAND, 2, PCI_CMD_MEM | PCI_CMD_MASTER, PCI_CMD_SERR);
    pci_config_define(d, PCI_STATUS, 2, PCI_STATUS_FAST_B2B, 0);
    pci_config_define(d, MCH_EXT_TSEG_MBYTES, 2, 0, 0xffff);
    pci_config_define(d, MCH_PCIEXBAR, 4, 0, 0xf0000007 | 0x0c000000);
    pci_config_define(d, MCH_PCIEXBAR + 4, 4, 0, 0xf);
    pci_config_define(d, MCH_PAM0, 1, 0, 0x30);
    for (unsigned i = 1; i < 7; i++)
        pci_config_define(d, MCH_PAM0 + i, 1, 0, 0x33);
    pci_config_define(d, MCH_SMRAM, 1, SMRAM_BASE_SEG, 0);
    pci_config_define(d, MCH_ESMRAMC, 1, ESMRAMC_CACHE_RO, 0);
    set_smram_masks(m);
    pci_config_define(d, MCH_TOM, 2, (uint32_t)(align_up(total, 64 * MiB) / (64 * MiB)) & 0x3ff,
                      0x3ff);
    pci_config_define(d, MCH_TOUUD, 2, (uint32_t)(top / MiB) & 0xffff, 0xffff);
    pci_config_define(d, MCH_TOLUD, 2, (uint32_t)(low / MiB) << 4 & 0xfff0, 0xfff0);
    return true;
}

static void mch_reset(Device *dev, ResetPhase phase)
{
    Mch *m = (Mch *)dev;

    if (phase != RESET_ENTER)
        return;
    set_smram_masks(m);
    update_all(m, host_bridge_of(&m->pci, NULL)->resuming);
}

static bool mch_loaded(Device *dev, Error **errp)
{
    set_smram_masks((Mch *)dev);
    update_all((Mch *)dev, false);
    return true;
}

static void mch_stop(Device *dev)
{
    Mch *m = (Mch *)dev;

    g_clear_pointer(&m->ecam, mem_region_free);
    shadow_stop(&m->shadow);
}

static const Property mch_props[] = {
    DEFINE_PROP_U16("extended-tseg-mbytes", Mch, ext_tseg_mbytes, 16, "size of the extended TSEG in MiB"),
    DEFINE_PROP_END,
};

static const PciDeviceInfo mch_info = {
    .vendor = PCI_VENDOR_INTEL, .device = 0x29c0, .class_code = PCI_CLASS_HOST_BRIDGE,
    .config_wrote = mch_config_wrote,
};

static const DeviceType mch_type = {
    .name = "mch", .desc = "Q35 memory controller hub", .category = "Bridge", .size = sizeof(Mch),
    .bus = "pci",
    .props = mch_props, .base = &pci_device_type, .start = mch_start, .reset = mch_reset,
    .loaded = mch_loaded,
    .stop = mch_stop, .class_data = &mch_info,
};
DEVICE_REGISTER(mch_type)
