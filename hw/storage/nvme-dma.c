/* SPDX-License-Identifier: MIT */
/* NVMe: data pointers: PRP lists and SGLs (NVM Express 1.4, 4.3 and 4.4). */
#include <string.h>
#include "base/iov.h"
#include "hw/storage/nvme.h"

enum { SGL_DATA = 0, SGL_BIT_BUCKET = 1, SGL_SEGMENT = 2, SGL_LAST = 3, SGL_SEGMENTS_MAX = 64 };

static uint16_t fail(NvmeRequest *r, uint16_t status)
{
    dma_vec_finish(&r->data, 0);
    return status | SC_DNR;
}

static uint16_t map_prp(NvmeRequest *r, uint64_t len)
{
    Nvme *n = r->n;
    uint64_t page = BIT(12 + (n->cc >> 7 & 15)), prp1 = load_le64(r->cmd + 24), prp2 = load_le64(r->cmd + 32);
    uint64_t first = MIN(len, page - (prp1 & (page - 1)));
    if (!dma_vec_add(&r->data, prp1, first))
        return fail(r, SC_DATA_TRANSFER);
    len -= first;
    if (!len)
        return SC_OK;
    if (len <= page) { /* the second entry is a page, else a list */
        if (prp2 & (page - 1))
            return fail(r, SC_PRP_OFFSET);
        return dma_vec_add(&r->data, prp2, len) ? SC_OK : fail(r, SC_DATA_TRANSFER);
    }
    if (prp2 & 7)
        return fail(r, SC_PRP_OFFSET);
    while (len) {
        uint64_t in_page = (page - (prp2 & (page - 1))) / 8, need = (len + page - 1) / page, count = MIN(in_page, need);
        g_autofree uint8_t *list = g_malloc(count * 8);
        if (as_read(pci_dma_space(&n->pci), prp2, list, count * 8, pci_attrs(&n->pci)) != MEM_OK)
            return fail(r, SC_DATA_TRANSFER);
        bool more = need > in_page; /* the last entry points to the next list */
        for (uint64_t i = 0; i < count - more; i++) {
            uint64_t at = load_le64(list + i * 8), part = MIN(len, page);
            if (at & (page - 1))
                return fail(r, SC_PRP_OFFSET);
            if (!dma_vec_add(&r->data, at, part))
                return fail(r, SC_DATA_TRANSFER);
            len -= part;
        }
        if (more && in_page < 2)
            return fail(r, SC_PRP_OFFSET);
        if (more) {
            prp2 = load_le64(list + (count - 1) * 8);
            if (prp2 & (page - 1))
                return fail(r, SC_PRP_OFFSET);
        }
    }
    return SC_OK;
}

/* Entries of one segment; *next is the segment behind it when there is one. */
static uint16_t map_segment(NvmeRequest *r, const uint8_t *entries, uint32_t count, uint64_t *len, uint8_t *next)
{
    next[15] = 0xff;
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *e = entries + i * 16;
        uint64_t at = load_le64(e), bytes = load_le32(e + 8);
        unsigned type = e[15] >> 4;
        if (type == SGL_SEGMENT || type == SGL_LAST) {
            if (i + 1 != count)
                return SC_SGL_INVALID;
            memcpy(next, e, 16);
            return SC_OK;
        }
        if (type != SGL_DATA || e[15] & 15)
            return SC_SGL_TYPE;
        bytes = MIN(bytes, *len);
        if (bytes && !dma_vec_add(&r->data, at, bytes))
            return SC_DATA_TRANSFER;
        *len -= bytes;
    }
    return SC_OK;
}

static uint16_t map_sgl(NvmeRequest *r, uint64_t len)
{
    uint8_t now[16], next[16];
    memcpy(now, r->cmd + 24, 16);
    uint16_t status = map_segment(r, now, 1, &len, next);
    for (unsigned segments = 0; !status && next[15] != 0xff && len; segments++) {
        uint64_t at = load_le64(next);
        uint32_t bytes = load_le32(next + 8), last = next[15] >> 4 == SGL_LAST;
        if (segments >= SGL_SEGMENTS_MAX || !bytes || bytes % 16 || bytes > 65536)
            return fail(r, SC_SGL_COUNT);
        g_autofree uint8_t *list = g_malloc(bytes);
        if (as_read(pci_dma_space(&r->n->pci), at, list, bytes, pci_attrs(&r->n->pci)) != MEM_OK)
            return fail(r, SC_DATA_TRANSFER);
        status = map_segment(r, list, bytes / 16, &len, next);
        if (!status && last && next[15] != 0xff)
            status = SC_SGL_INVALID;
    }
    if (status)
        return fail(r, status);
    return len ? fail(r, SC_SGL_LENGTH) : SC_OK;
}

uint16_t nvme_map(NvmeRequest *r, uint64_t len, bool to_memory)
{
    Nvme *n = r->n;
    dma_vec_init(&r->data, pci_dma_space(&n->pci), pci_attrs(&n->pci), to_memory);
    if (len > (UINT64_C(4096) << n->mdts))
        return SC_INVALID_FIELD | SC_DNR;
    return !len ? SC_OK : r->cmd[1] >> 6 && r->sq ? map_sgl(r, len) : map_prp(r, len);
}

uint16_t nvme_give(NvmeRequest *r, const void *buf, size_t len)
{
    uint16_t status = nvme_map(r, len, true);
    if (!status)
        iov_from_buf(r->data.iov, (int)r->data.count, 0, buf, len);
    dma_vec_finish(&r->data, status ? 0 : len);
    return status;
}

uint16_t nvme_take(NvmeRequest *r, void *buf, size_t len)
{
    uint16_t status = nvme_map(r, len, false);
    if (!status)
        iov_to_buf(r->data.iov, (int)r->data.count, 0, buf, len);
    dma_vec_finish(&r->data, 0);
    return status;
}
