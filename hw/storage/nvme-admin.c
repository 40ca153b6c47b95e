/* SPDX-License-Identifier: MIT */
/* NVMe: admin commands (NVM Express 1.4, chapter 5). */
#include <string.h>
#include "hw/storage/nvme.h"

enum { QUEUE_CONTIGUOUS = 1, CQ_INTERRUPTS = 2, RETAIN_EVENT = 1 << 15 };

/* --- queues --- */

static void create_cq(NvmeRequest *r)
{
    Nvme *n = r->n;
    uint32_t d10 = nvme_dword(r, 10), d11 = nvme_dword(r, 11);
    unsigned id = d10 & 0xffff, size = (d10 >> 16) + 1, vector = d11 >> 16;
    uint64_t addr = load_le64(r->cmd + 24), page = BIT(12 + (n->cc >> 7 & 15));
    uint16_t status = !id || id > n->max_ioqpairs || n->cq[id].exists                 ? SC_QID_INVALID
                      : size < 2 || size > NVME_ENTRIES_MAX                           ? SC_QSIZE_INVALID
                      : !(d11 & QUEUE_CONTIGUOUS)                                     ? SC_INVALID_FIELD
                      : addr & (page - 1)                                             ? SC_PRP_OFFSET
                      : vector >= n->msix_qsize || (!msix_enabled(&n->pci) && vector) ? SC_VECTOR_INVALID
                                                                                      : SC_OK;
    if (!status) {
        NvmeCq *q = &n->cq[id];
        *q = (NvmeCq){ .exists = true,
                       .interrupts = d11 & CQ_INTERRUPTS,
                       .phase = true,
                       .id = (uint16_t)id,
                       .vector = (uint16_t)vector,
                       .size = (uint16_t)size,
                       .addr = addr };
        dma_window_set(&q->window, pci_dma_space(&n->pci), addr, (uint64_t)size * NVME_CQE);
        nvme_shadow_queue(n, id);
        nvme_doors_update(n);
    }
    nvme_complete(r, status ? status | SC_DNR : SC_OK);
}

static void create_sq(NvmeRequest *r)
{
    Nvme *n = r->n;
    uint32_t d10 = nvme_dword(r, 10), d11 = nvme_dword(r, 11);
    unsigned id = d10 & 0xffff, size = (d10 >> 16) + 1, cq = d11 >> 16;
    uint64_t addr = load_le64(r->cmd + 24), page = BIT(12 + (n->cc >> 7 & 15));
    uint16_t status = !id || id > n->max_ioqpairs || n->sq[id].exists    ? SC_QID_INVALID
                      : !cq || cq > n->max_ioqpairs || !n->cq[cq].exists ? SC_CQ_INVALID
                      : size < 2 || size > NVME_ENTRIES_MAX              ? SC_QSIZE_INVALID
                      : !(d11 & QUEUE_CONTIGUOUS)                        ? SC_INVALID_FIELD
                      : addr & (page - 1)                                ? SC_PRP_OFFSET
                                                                         : SC_OK;
    if (!status) {
        NvmeSq *q = &n->sq[id];
        nvme_sq_clear(n, id);
        q->exists = true;
        q->cqid = (uint16_t)cq;
        q->size = (uint16_t)size;
        q->addr = addr;
        dma_window_set(&q->window, pci_dma_space(&n->pci), addr, (uint64_t)size * NVME_SQE);
        nvme_shadow_queue(n, id);
        nvme_doors_update(n);
    }
    nvme_complete(r, status ? status | SC_DNR : SC_OK);
}

static void delete_sq(NvmeRequest *r)
{
    Nvme *n = r->n;
    unsigned id = nvme_dword(r, 10) & 0xffff;
    if (!id || id >= NVME_QUEUES || !n->sq[id].exists) {
        nvme_complete(r, SC_QID_INVALID | SC_DNR);
        return;
    }
    nvme_settle(n); /* its commands complete first */
    nvme_sq_clear(n, id);
    nvme_doors_update(n);
    nvme_complete(r, SC_OK);
}

static void delete_cq(NvmeRequest *r)
{
    Nvme *n = r->n;
    unsigned id = nvme_dword(r, 10) & 0xffff;
    bool exists = id && id < NVME_QUEUES && n->cq[id].exists, used = false;
    for (unsigned i = 1; i < NVME_QUEUES; i++)
        used |= n->sq[i].exists && n->sq[i].cqid == id;
    if (exists && !used) {
        while (n->cq[id].waiting) {
            NvmeRequest *w = n->cq[id].waiting;
            n->cq[id].waiting = w->next;
            g_free(w);
        }
        n->cq[id] = (NvmeCq){ .id = (uint16_t)id };
        nvme_doors_update(n);
    }
    nvme_complete(r, !exists ? SC_QID_INVALID | SC_DNR : used ? SC_QDELETE_INVALID | SC_DNR : SC_OK);
}

/* --- logs (5.14) --- */

static void smart_log(const Nvme *n, uint8_t *p)
{
    p[0] = n->critical_warning;
    store_le16(p + 1, 313);         /* temperature in kelvin */
    p[3] = 100;                     /* spare */
    p[4] = 10;
    store_le64(p + 32, (n->read_units + 999) / 1000);
    store_le64(p + 48, (n->written_units + 999) / 1000);
    store_le64(p + 64, n->reads);
    store_le64(p + 80, n->writes);
    store_le64(p + 112, 1);         /* power cycles */
    store_le64(p + 128, (uint64_t)clock_ns(CLOCK_VIRTUAL_NS) / 3600000000000u);
    store_le64(p + 176, n->error_count);
}

static void error_log(const Nvme *n, uint8_t *p)
{
    for (unsigned i = 0; i < NVME_ERRORS && i < n->error_count; i++) { /* the latest first */
        const NvmeErrorEntry *e = &n->error[(n->error_count - 1 - i) % NVME_ERRORS];
        uint8_t *o = p + i * 64;
        store_le64(o, e->count);
        store_le16(o + 8, e->sq);
        store_le16(o + 10, e->cid);
        store_le16(o + 12, e->status);
        store_le16(o + 14, e->location);
        store_le64(o + 16, e->lba);
        store_le32(o + 24, e->ns);
    }
}

static void commands_log(uint8_t *p)
{
    static const uint8_t admin[] = { ADM_DELETE_SQ,    ADM_CREATE_SQ,   ADM_GET_LOG, ADM_DELETE_CQ,
                                     ADM_CREATE_CQ,    ADM_IDENTIFY,    ADM_ABORT,   ADM_SET_FEATURES,
                                     ADM_GET_FEATURES, ADM_ASYNC_EVENT, ADM_DBBUF };
    static const uint8_t reads[] = { NVM_FLUSH, NVM_READ, NVM_COMPARE, NVM_VERIFY },
                         writes[] = { NVM_WRITE, NVM_WRITE_ZEROES, NVM_DSM, NVM_COPY };
    for (size_t i = 0; i < sizeof admin; i++)
        store_le32(p + admin[i] * 4, 1);
    store_le32(p + ADM_FORMAT * 4, 1 | 1 << 1);
    store_le32(p + ADM_NS_ATTACH * 4, 1 | 1 << 3);
    for (size_t i = 0; i < sizeof reads; i++)
        store_le32(p + 1024 + reads[i] * 4, 1);
    for (size_t i = 0; i < sizeof writes; i++)
        store_le32(p + 1024 + writes[i] * 4, 1 | 1 << 1);
}

static void get_log(NvmeRequest *r)
{
    Nvme *n = r->n;
    uint8_t page[4096] = { 0 };
    uint32_t d10 = nvme_dword(r, 10), size;
    uint64_t want = (((uint64_t)(nvme_dword(r, 11) & 0xffff) << 16 | d10 >> 16) + 1) * 4,
             offset = nvme_dword(r, 12) | (uint64_t)nvme_dword(r, 13) << 32;
    switch (d10 & 0xff) {
    case 1: error_log(n, page); size = NVME_ERRORS * 64; break;
    case 2: smart_log(n, page); size = 512; break;
    case 3:
        page[0] = 1;
        nvme_put_text(page + 8, 8, RHEA_VERSION);
        size = 512;
        break;
    case LOG_CHANGED_NS: size = 4096; break; /* read below: that takes the list */
    case 5: commands_log(page); size = 4096; break;
    default:
        nvme_complete(r, SC_LOG_INVALID | SC_DNR);
        return;
    }
    if (offset >= size || offset & 3) {
        nvme_complete(r, SC_INVALID_FIELD | SC_DNR);
        return;
    }
    if ((d10 & 0xff) == LOG_CHANGED_NS)
        nvme_changed_log(n, page, d10 & RETAIN_EVENT);
    nvme_complete(r, nvme_give(r, page + offset, (size_t)MIN(want, size - offset)));
}

/* --- features (5.21) --- */

static uint64_t timestamp(const Nvme *n)
{
    int64_t now = clock_ns(CLOCK_VIRTUAL_NS) / 1000000;
    return (n->timestamp_base + (uint64_t)(now - n->timestamp_at)) & bits_mask(48);
}

static void get_features(NvmeRequest *r)
{
    const Nvme *n = r->n;
    unsigned id = nvme_dword(r, 10) & 0xff;
    uint8_t buf[8];
    switch (id) {
    case FEAT_WRITE_CACHE: r->result = n->write_cache; break;
    case FEAT_QUEUES: r->result = (n->max_ioqpairs - 1) | (n->max_ioqpairs - 1) << 16; break;
    case FEAT_VECTOR: r->result = nvme_dword(r, 11) & 0xffff; break;
    case FEAT_TIMESTAMP:
        store_le64(buf, timestamp(n) | (n->timestamp_base ? BIT(49) : 0));
        nvme_complete(r, nvme_give(r, buf, sizeof buf));
        return;
    case FEAT_ARBITRATION:
    case FEAT_POWER:
    case FEAT_TEMPERATURE:
    case FEAT_ERROR_RECOVERY:
    case FEAT_COALESCING:
    case FEAT_ATOMICITY:
    case FEAT_ASYNC: r->result = n->feature[id]; break;
    default:
        nvme_complete(r, SC_INVALID_FIELD | SC_DNR);
        return;
    }
    nvme_complete(r, SC_OK);
}

/* What is cached goes to the medium before the cache counts as off. */
static void cache_flushed(Nvme *n, NvmeRequest *r, int error)
{
    n->write_cache &= error != 0;
    nvme_complete(r, error ? SC_WRITE_FAULT : SC_OK);
}

static void set_write_cache(NvmeRequest *r, bool on)
{
    Nvme *n = r->n;
    NvmeNs *all[NVME_NAMESPACES];
    if (n->write_cache && !on) {
        nvme_join(n, all, nvme_attached(n, all), BLK_FLUSH, r, cache_flushed);
        return;
    }
    n->write_cache = on && n->own.drive.write_cache;
    nvme_complete(r, SC_OK);
}

static void set_features(NvmeRequest *r)
{
    Nvme *n = r->n;
    unsigned id = nvme_dword(r, 10) & 0xff;
    uint32_t value = nvme_dword(r, 11);
    uint8_t buf[8];
    uint16_t status = SC_OK;
    if (nvme_dword(r, 10) >> 31) {
        nvme_complete(r, SC_FEATURE_NOT_SAVEABLE | SC_DNR);
        return;
    }
    switch (id) {
    case FEAT_WRITE_CACHE:
        set_write_cache(r, value & 1);
        return;
    case FEAT_QUEUES:
        if ((value & 0xffff) == 0xffff || value >> 16 == 0xffff)
            status = SC_INVALID_FIELD | SC_DNR;
        r->result = (n->max_ioqpairs - 1) | (n->max_ioqpairs - 1) << 16;
        break;
    case FEAT_TIMESTAMP:
        status = nvme_take(r, buf, sizeof buf);
        if (!status) {
            n->timestamp_base = load_le64(buf) & bits_mask(48);
            n->timestamp_at = clock_ns(CLOCK_VIRTUAL_NS) / 1000000;
        }
        break;
    case FEAT_VECTOR: break;
    case FEAT_ARBITRATION:
    case FEAT_POWER:
    case FEAT_TEMPERATURE:
    case FEAT_ERROR_RECOVERY:
    case FEAT_COALESCING:
    case FEAT_ATOMICITY:
    case FEAT_ASYNC: n->feature[id] = value; break;
    default: status = SC_INVALID_FIELD | SC_DNR; break;
    }
    nvme_complete(r, status);
}

/* --- the rest --- */

static void async_event(NvmeRequest *r)
{
    Nvme *n = r->n;
    if (n->aers > n->aerl) {
        nvme_complete(r, SC_AER_LIMIT | SC_DNR);
        return;
    }
    n->aer_cid[n->aers++] = r->cid; /* it stays until there is something to tell */
    g_free(r);
    nvme_tell_changes(n);
}

static void doorbell_buffer(NvmeRequest *r)
{
    Nvme *n = r->n;
    uint64_t shadow = load_le64(r->cmd + 24), event = load_le64(r->cmd + 32), page = BIT(12 + (n->cc >> 7 & 15));
    if (!shadow || !event || shadow & (page - 1) || event & (page - 1)) {
        nvme_complete(r, SC_INVALID_FIELD | SC_DNR);
        return;
    }
    n->sq[0].shadow = shadow;
    n->sq[0].event = event;
    for (unsigned i = 1; i < NVME_QUEUES; i++)
        nvme_shadow_queue(n, i);
    nvme_doors_update(n);
    nvme_complete(r, SC_OK);
}

/* Format NVM (5.23): the block size, and all data gone; of one namespace or of all. */
static void formatted(Nvme *n, NvmeRequest *r, int error) { nvme_complete(r, error ? SC_INTERNAL : SC_OK); }

static void format(NvmeRequest *r)
{
    Nvme *n = r->n;
    uint32_t nsid = nvme_dword(r, 1), d10 = nvme_dword(r, 10), lbaf = d10 & 15;
    NvmeNs *ns[NVME_NAMESPACES];
    unsigned count = nsid == UINT32_MAX ? nvme_attached(n, ns) : (ns[0] = nvme_ns(n, nsid)) != NULL;
    uint16_t status = !count                                           ? SC_INVALID_NS
                      : lbaf > 1 || d10 >> 5 & 7 || (d10 >> 9 & 7) > 1 ? SC_FORMAT_INVALID
                                                                       : SC_OK;
    for (unsigned i = 0; !status && i < count; i++)
        status = !blk_writable(ns[i]->blk)                  ? SC_READ_ONLY
                 : lbaf == 1 && blk_size(ns[i]->blk) & 4095 ? SC_FORMAT_INVALID
                                                            : SC_OK;
    if (status) {
        nvme_complete(r, status | SC_DNR);
        return;
    }
    for (unsigned i = 0; i < count; i++) {
        ns[i]->lbaf = lbaf;
        nvme_ns_changed_everywhere(ns[i], n);
    }
    nvme_join(n, ns, count, BLK_WRITE_ZEROES, r, formatted);
}

void nvme_admin(NvmeRequest *r)
{
    switch (r->cmd[0]) {
    case ADM_DELETE_SQ: delete_sq(r); break;
    case ADM_CREATE_SQ: create_sq(r); break;
    case ADM_GET_LOG: get_log(r); break;
    case ADM_DELETE_CQ: delete_cq(r); break;
    case ADM_CREATE_CQ: create_cq(r); break;
    case ADM_IDENTIFY: nvme_identify(r); break;
    case ADM_ABORT:
        r->result = 1; /* not aborted: commands end soon by themselves */
        nvme_complete(r, SC_OK);
        break;
    case ADM_SET_FEATURES: set_features(r); break;
    case ADM_GET_FEATURES: get_features(r); break;
    case ADM_ASYNC_EVENT: async_event(r); break;
    case ADM_NS_ATTACH: nvme_attachment(r); break;
    case ADM_DBBUF: doorbell_buffer(r); break;
    case ADM_FORMAT: format(r); break;
    default: nvme_complete(r, SC_INVALID_OPCODE | SC_DNR); break;
    }
}
