/* SPDX-License-Identifier: MIT */
/* NVMe: the structures of Identify (NVM Express 1.4, 5.15). */
#include <stdio.h>
#include <string.h>
#include "hw/storage/nvme.h"

enum { IDENTIFY_SIZE = 4096, VOLATILE_CACHE = 1 };

static const char *serial(const Nvme *n) { return drive_serial(&n->pci.dev, &n->own.drive, n->own.blk); }

void nvme_put_text(uint8_t *p, size_t size, const char *text)
{
    size_t len = MIN(strlen(text), size);
    memset(p, ' ', size);
    memcpy(p, text, len);
}

static bool controller(const Nvme *n, uint8_t *p)
{
    uint64_t capacity = 0;
    for (unsigned i = 0; i < NVME_NAMESPACES; i++)
        capacity += n->subsys->ns[i] ? blk_size(n->subsys->ns[i]->blk) : 0;
    store_le16(p, (uint16_t)pci_config_get(&n->pci, PCI_VENDOR_ID, 2));
    store_le16(p + 2, 0x1af4);
    nvme_put_text(p + 4, 20, serial(n));
    nvme_put_text(p + 24, 40, "Rhea NVMe disk");
    nvme_put_text(p + 64, 8, RHEA_VERSION);
    p[72] = 6;                      /* arbitration burst */
    p[76] = n->subsys->dev ? 1 << 1 : 0; /* one of several controllers */
    p[77] = (uint8_t)n->mdts;
    store_le16(p + 78, n->cntlid);
    store_le32(p + 80, 0x00010400);
    store_le32(p + 92, ASYNC_NS_ATTRIBUTES);
    store_le16(p + 256, 1 << 1 | 1 << 3 | 1 << 8); /* format; attachment of namespaces; doorbell buffer */
    p[258] = 3;                     /* aborts at a time - 1 */
    p[259] = n->aerl;
    p[260] = 3;                     /* one firmware slot, read-only */
    p[261] = 1 << 2 | 1 << 1;       /* extended get log page, commands supported log */
    p[262] = NVME_ERRORS - 1;
    store_le16(p + 266, 343);       /* warning and critical temperatures in kelvin */
    store_le16(p + 268, 373);
    store_le64(p + 280, capacity);  /* all of it is in namespaces */
    p[512] = 0x66;                  /* queue entries of 64 and 16 bytes */
    p[513] = 0x44;
    store_le32(p + 516, NVME_NAMESPACES);
    /* compare, DSM, write zeroes, timestamp, verify, copy */
    store_le16(p + 520, 1 << 0 | 1 << 2 | 1 << 3 | 1 << 6 | 1 << 7 | 1 << 8);
    p[524] = 0;                     /* format: of one namespace */
    p[525] = n->own.drive.write_cache ? VOLATILE_CACHE | 3 << 1 : 0;
    store_le16(p + 534, 1);         /* copy: ranges of format 0 */
    store_le32(p + 536, 1);         /* SGLs, no alignment */
    snprintf((char *)p + 768, 256, "nqn.2019-08.org.qemu:%s", nvme_subsys_name(n));
    store_le16(p + 2048, 2500);     /* power state 0: 25 W */
    return true;
}

/* Granularity and best size of transfers and discards, in blocks - 1. */
static void preferred_sizes(const NvmeNs *ns, uint8_t *p)
{
    const DriveProps *d = &ns->drive;
    unsigned bits = nvme_lba_bits(ns);
    uint64_t discard = d->discard_granularity == DRIVE_DISCARD_AUTO ? 4096 : d->discard_granularity;
    uint16_t write = (uint16_t)MIN((MAX(d->min_io_size, UINT64_C(1) << bits) >> bits) - 1, 0xffffu);
    uint16_t unmap = (uint16_t)MIN((MAX(discard, UINT64_C(1) << bits) >> bits) - 1, 0xffffu);
    store_le16(p + 64, write);
    store_le16(p + 66, write);
    store_le16(p + 68, unmap);
    store_le16(p + 70, unmap);
    store_le16(p + 72, (uint16_t)MIN((MAX(d->opt_io_size, UINT64_C(1) << bits) >> bits) - 1, 0xffffu));
}

/* ns NULL: what all have in common, or zeroes for one that isn't there. */
static void namespace(const NvmeNs *ns, uint8_t *p)
{
    uint64_t blocks = ns ? nvme_blocks(ns) : 0;
    store_le64(p, blocks);
    store_le64(p + 8, blocks);
    store_le64(p + 16, blocks);
    /* deallocated blocks have an error-free value; the sizes from byte 64 on are told */
    p[24] = 1 << 2 | 1 << 4;
    p[25] = 1;                      /* formats - 1 */
    p[26] = ns ? (uint8_t)ns->lbaf : 0;
    p[30] = ns && ns->shared;
    p[33] = 1 << 0 | 1 << 3;        /* deallocated blocks read as zeroes; write zeroes deallocates */
    store_le64(p + 48, ns ? blk_size(ns->blk) : 0);
    if (ns) {
        preferred_sizes(ns, p);
        store_le16(p + 74, ns->mssrl);
        store_le32(p + 76, ns->mcl);
        p[80] = ns->msrc;
    }
    p[99] = ns && !blk_writable(ns->blk); /* write protected */
    p[128 + 2] = 9;
    p[128 + 4 + 2] = 12;
}

static bool one_namespace(const Nvme *n, uint32_t nsid, bool attached_only, uint8_t *p)
{
    const NvmeNs *ns = attached_only ? nvme_ns(n, nsid) : nvme_ns_allocated(n, nsid);
    if (ns || (nsid == UINT32_MAX && attached_only))
        namespace(ns, p);
    return ns || (nsid && nsid <= NVME_NAMESPACES) || (nsid == UINT32_MAX && attached_only);
}

static bool list(const Nvme *n, uint32_t above, bool attached_only, uint8_t *p)
{
    for (uint32_t nsid = above + 1, at = 0; above < NVME_NAMESPACES && nsid <= NVME_NAMESPACES; nsid++) {
        if (attached_only ? nvme_ns(n, nsid) : nvme_ns_allocated(n, nsid))
            store_le32(p + 4 * at++, nsid);
    }
    return above < UINT32_MAX - 1;
}

/* Identifiers: an EUI-64 and, if given, a UUID. */
static bool identifiers(const Nvme *n, uint32_t nsid, uint8_t *p)
{
    const NvmeNs *ns = nvme_ns(n, nsid);
    if (!ns)
        return false;
    p[0] = 1;
    p[1] = 8;
    store_be(p + 4, 8,
             ns->eui64 ? ns->eui64
                       : UINT64_C(0x525400) << 40 | (uint64_t)(nsid - 1) << 32 | g_str_hash(nvme_subsys_name(n)));
    if (!ns->uuid)
        return true;
    p += 12;
    p[0] = 3;
    p[1] = 16;
    for (unsigned i = 0, digits = 0; ns->uuid[i]; i++) {
        if (ns->uuid[i] != '-') {
            p[4 + digits / 2] = (uint8_t)(p[4 + digits / 2] << 4 | g_ascii_xdigit_value(ns->uuid[i]));
            digits++;
        }
    }
    return true;
}

/* Controllers from `first` on (that nsid is attached to; 0: all). */
static bool controllers(const Nvme *n, uint32_t nsid, unsigned first, uint8_t *p)
{
    uint16_t count = 0;
    if (nsid && !nvme_ns_allocated(n, nsid))
        return false;
    for (unsigned id = first; id < NVME_CONTROLLERS; id++) {
        const Nvme *c = nvme_controller(n->subsys, id);
        if (c && (!nsid || nvme_is_attached(c, nsid)))
            store_le16(p + 2 * ++count, (uint16_t)id);
    }
    store_le16(p, count);
    return true;
}

void nvme_identify(NvmeRequest *r)
{
    const Nvme *n = r->n;
    g_autofree uint8_t *p = g_malloc0(IDENTIFY_SIZE);
    uint32_t nsid = nvme_dword(r, 1), cns = nvme_dword(r, 10) & 0xff, first = nvme_dword(r, 10) >> 16;
    bool ok;
    switch (cns) {
    case 0x00: ok = one_namespace(n, nsid, true, p); break;
    case 0x01: ok = controller(n, p); break;
    case 0x02: ok = list(n, nsid, true, p); break;
    case 0x03: ok = identifiers(n, nsid, p); break;
    case 0x06: ok = !(nvme_dword(r, 11) >> 24) && (p[0] = n->vsl, true); break; /* of the NVM command set */
    case 0x10: ok = list(n, nsid, false, p); break;
    case 0x11: ok = one_namespace(n, nsid, false, p); break;
    case 0x12: ok = nsid && controllers(n, nsid, first, p); break;
    case 0x13: ok = controllers(n, 0, first, p); break;
    default:
        nvme_complete(r, SC_INVALID_FIELD | SC_DNR);
        return;
    }
    nvme_complete(r, ok ? nvme_give(r, p, IDENTIFY_SIZE) : SC_INVALID_NS | SC_DNR);
}
