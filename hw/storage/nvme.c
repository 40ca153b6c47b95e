/* SPDX-License-Identifier: MIT */
/* NVMe controller: registers, doorbells, queues (NVM Express 1.4, chapters 3 and 4). */
#include "hw/storage/nvme.h"
#include <string.h>
#include "base/log.h"

enum { CAP_TIMEOUT_500MS = 15, VERSION = 0x00010400 };

static uint64_t capabilities(const Nvme *n)
{
    return (NVME_ENTRIES_MAX - 1) | BIT(16) /* contiguous queues */ | (uint64_t)CAP_TIMEOUT_500MS << 24 |
           BIT(37) /* NVM command set */ | UINT64_C(4) << 52 /* pages up to 64 KiB */ | (n->pmr ? BIT(56) : 0) |
           (n->cmb && !n->legacy_cmb ? BIT(57) : 0);
}

/* --- interrupts --- */

static bool pin_level(const Nvme *n)
{
    for (unsigned i = 0; i < NVME_QUEUES; i++) {
        const NvmeCq *q = &n->cq[i];
        if (q->exists && q->interrupts && q->raised && !(n->intms >> MIN(q->vector, 31u) & 1))
            return true;
    }
    return false;
}

static void update_irq(Nvme *n, NvmeCq *q)
{
    if (q && q->interrupts && q->raised && msix_enabled(&n->pci)) {
        msix_notify(&n->pci, q->vector);
        q->raised = false;
    }
    pci_set_irq(&n->pci, !msix_enabled(&n->pci) && pin_level(n));
}

/* --- completions --- */

static uint32_t shadow_value(Nvme *n, uint64_t addr, uint32_t now)
{
    uint8_t b[4];
    return addr && as_read(pci_dma_space(&n->pci), addr, b, 4, pci_attrs(&n->pci)) == MEM_OK ? load_le32(b) : now;
}

static void set_event(Nvme *n, uint64_t addr, uint32_t value)
{
    uint8_t b[4];
    store_le32(b, value);
    if (addr)
        as_write(pci_dma_space(&n->pci), addr, b, 4, pci_attrs(&n->pci));
}

static bool cq_full(Nvme *n, NvmeCq *q)
{
    if (q->shadow) {
        uint32_t head = shadow_value(n, q->shadow, q->head);
        if (head < q->size)
            q->head = (uint16_t)head;
    }
    return (q->tail + 1) % q->size == q->head;
}

static void post(Nvme *n, NvmeCq *q, NvmeRequest *r)
{
    uint8_t e[NVME_CQE] = { 0 };
    const NvmeSq *sq = &n->sq[r->sq];
    store_le32(e, r->result);
    store_le16(e + 8, sq->exists ? sq->head : 0);
    store_le16(e + 10, r->sq);
    store_le16(e + 12, r->cid);
    store_le16(e + 14, (uint16_t)(r->status << 1 | q->phase));
    dma_window_write(&q->window, (uint64_t)q->tail * NVME_CQE, e, 14);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    dma_window_write(&q->window, (uint64_t)q->tail * NVME_CQE + 14, e + 14, 2);
    q->tail++;
    if (q->tail == q->size) {
        q->tail = 0;
        q->phase = !q->phase;
    }
    q->raised = true;
}

static void post_waiting(Nvme *n, NvmeCq *q)
{
    bool any = false;
    while (q->waiting && !cq_full(n, q)) {
        NvmeRequest *r = q->waiting;
        q->waiting = r->next;
        post(n, q, r);
        g_free(r);
        any = true;
    }
    if (any)
        update_irq(n, q);
}

void nvme_wait_for_room(NvmeCq *q, NvmeRequest *r)
{
    r->next = NULL;
    if (!q->waiting)
        q->last = &q->waiting;
    *q->last = r;
    q->last = &r->next;
}

static void note_error(Nvme *n, const NvmeRequest *r)
{
    NvmeErrorEntry *e = &n->error[n->error_count++ % NVME_ERRORS];
    *e = (NvmeErrorEntry){ .count = n->error_count,
                           .sq = r->sq,
                           .cid = r->cid,
                           .status = (uint16_t)(r->status << 1),
                           .location = 0xffff,
                           .lba = nvme_dword(r, 10) | (uint64_t)nvme_dword(r, 11) << 32,
                           .ns = nvme_dword(r, 1) };
}

void nvme_complete(NvmeRequest *r, uint16_t status)
{
    Nvme *n = r->n;
    NvmeCq *q = &n->cq[r->cq];
    r->status = status;
    g_clear_pointer(&r->compare, g_free);
    g_clear_pointer(&r->sources, g_free);
    if (status && !n->stopping)
        note_error(n, r);
    if (n->stopping || !q->exists || !n->sq[r->sq].exists) {
        g_free(r);
        return;
    }
    if (q->waiting || cq_full(n, q)) {
        nvme_wait_for_room(q, r);
        set_event(n, q->event, q->head); /* ring when that moves */
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        post_waiting(n, q);
        return;
    }
    post(n, q, r);
    g_free(r);
    update_irq(n, q);
}

/* --- submissions --- */

static void fetch(Nvme *n, NvmeSq *q)
{
    NvmeRequest *r = g_new0(NvmeRequest, 1);
    r->n = n;
    r->sq = q->id;
    r->cq = q->cqid;
    dma_window_read(&q->window, (uint64_t)q->head * NVME_SQE, r->cmd, NVME_SQE);
    q->head = (uint16_t)((q->head + 1) % q->size);
    r->cid = load_le16(r->cmd + 2);
    if (q->id)
        nvme_io(r);
    else
        nvme_admin(r);
}

static void read_shadow_tail(Nvme *n, NvmeSq *q)
{
    if (!nvme_is_shadowed(q))
        return;
    uint32_t tail = shadow_value(n, q->shadow, q->tail);
    if (tail < q->size)
        q->tail = (uint16_t)tail;
}

void nvme_sq_run(Nvme *n, NvmeSq *q)
{
    read_shadow_tail(n, q);
    blk_plug();
    for (unsigned rounds = 0; q->exists && n->csts & CSTS_RDY && rounds < 4u * NVME_ENTRIES_MAX; rounds++) {
        if (q->head == q->tail) {
            if (!nvme_is_shadowed(q))
                break;
            set_event(n, q->event, q->tail); /* ring again from here on */
            __atomic_thread_fence(__ATOMIC_SEQ_CST);
            read_shadow_tail(n, q);
            if (q->head == q->tail)
                break;
        }
        fetch(n, q);
    }
    blk_unplug();
}

/* Rung for: under the device's domain, in whichever thread. */
static void serve(void *opaque)
{
    NvmeSq *q = opaque;
    Nvme *n = container_of(q - q->id, Nvme, sq[0]);
    if (n->stopping)
        return;
    nvme_sq_run(n, q);
    if (n->cq[q->cqid].exists)
        post_waiting(n, &n->cq[q->cqid]);
}

void nvme_sq_clear(Nvme *n, unsigned id)
{
    NvmeSq *q = &n->sq[id];
    if (n->iothread)
        iothread_cancel(n->iothread, &q->served);
    *q = (NvmeSq){ .id = (uint16_t)id, .served = { n->pci.dev.domain, serve, q } };
}

void nvme_settle(Nvme *n)
{
    for (unsigned i = 0; i < NVME_NAMESPACES; i++) {
        if (n->subsys->ns[i])
            drive_settle(&n->subsys->ns[i]->queue);
    }
}

void nvme_settle_queues(Nvme *n)
{
    for (unsigned i = 0; n->iothread && i < NVME_QUEUES; i++) {
        if (iothread_cancel(n->iothread, &n->sq[i].served))
            serve(&n->sq[i]);
    }
}

/* --- registers --- */

void nvme_drop_waiting(NvmeCq *q)
{
    while (q->waiting) {
        NvmeRequest *r = q->waiting;
        q->waiting = r->next;
        g_free(r);
    }
}

void nvme_disable(Nvme *n)
{
    n->stopping = true;
    nvme_settle(n);
    nvme_drop_held(n);
    n->stopping = false;
    for (unsigned i = 0; i < NVME_QUEUES; i++) {
        nvme_drop_waiting(&n->cq[i]);
        n->cq[i] = (NvmeCq){ .id = (uint16_t)i };
        nvme_sq_clear(n, i);
    }
    n->aers = 0;
    n->changes_told = false;
    n->csts = 0;
    n->intms = 0;
    nvme_doors_update(n);
    update_irq(n, NULL);
}

static void enable(Nvme *n)
{
    unsigned page = 12 + (n->cc >> 7 & 15), asqs = (n->aqa & 0xfff) + 1, acqs = (n->aqa >> 16 & 0xfff) + 1;
    bool ok = page <= 16 && !(n->asq & (BIT(page) - 1)) && !(n->acq & (BIT(page) - 1)) && !(n->cc >> 4 & 7) &&
              asqs > 1 && acqs > 1 && asqs <= NVME_ENTRIES_MAX && acqs <= NVME_ENTRIES_MAX;
    if (!ok) {
        log_guest_error(n->pci.dev.id, "NVMe: enabled with impossible settings (CC 0x%x, AQA 0x%x)", n->cc, n->aqa);
        n->csts |= CSTS_CFS;
        return;
    }
    AddressSpace *as = pci_dma_space(&n->pci);
    n->cq[0] = (NvmeCq){ .exists = true, .interrupts = true, .phase = true, .size = (uint16_t)acqs, .addr = n->acq };
    n->sq[0].exists = true;
    n->sq[0].size = (uint16_t)asqs;
    n->sq[0].addr = n->asq;
    dma_window_set(&n->cq[0].window, as, n->acq, (uint64_t)acqs * NVME_CQE);
    dma_window_set(&n->sq[0].window, as, n->asq, (uint64_t)asqs * NVME_SQE);
    n->csts |= CSTS_RDY;
}

static void shut_down(Nvme *n, NvmeRequest *r, int error)
{
    if (n->csts & CSTS_SHST_BUSY)
        n->csts ^= CSTS_SHST_BUSY | CSTS_SHST_DONE;
}

static void write_cc(Nvme *n, uint32_t value)
{
    uint32_t old = n->cc;
    n->cc = value;
    if (value & CC_EN && !(old & CC_EN))
        enable(n);
    else if (!(value & CC_EN) && old & CC_EN)
        nvme_disable(n);
    if (value & CC_SHN && !(old & CC_SHN)) {
        NvmeNs *all[NVME_NAMESPACES];
        n->csts |= CSTS_SHST_BUSY;
        nvme_join(n, all, nvme_attached(n, all), BLK_FLUSH, NULL, shut_down);
    } else if (!(value & CC_SHN)) {
        n->csts &= ~(uint32_t)(CSTS_SHST_BUSY | CSTS_SHST_DONE);
    }
}

static void cq_rung(Nvme *n, NvmeCq *q)
{
    if (q->head == q->tail)
        q->raised = false;
    post_waiting(n, q);
    update_irq(n, q);
}

static void sq_rung(Nvme *n, NvmeSq *q)
{
    if (n->iothread && q->id && !iothread_is_current(n->iothread))
        iothread_call(n->iothread, &q->served);
    else
        serve(q);
}

static void ring_doorbell(Nvme *n, unsigned at, uint32_t value)
{
    unsigned id = at / 8;
    bool completion = at & 4;
    if (at & 3 || id >= NVME_QUEUES)
        return;
    n->notifies++;
    if (completion ? !n->cq[id].exists || value >= n->cq[id].size : !n->sq[id].exists || value >= n->sq[id].size) {
        log_guest_error(n->pci.dev.id, "NVMe: %s doorbell %u with %u", completion ? "completion" : "submission", id,
                        value);
    } else if (completion) {
        n->cq[id].head = (uint16_t)value;
        cq_rung(n, &n->cq[id]);
    } else {
        n->sq[id].tail = (uint16_t)value;
        sq_rung(n, &n->sq[id]);
    }
}

/* --- doorbells that are no exits: the shadow doorbells hold what was written --- */

static void door_rung(void *opaque, unsigned door)
{
    Nvme *n = opaque;
    n->signals++;
    if (door & 1) {
        NvmeCq *q = &n->cq[door / 2];
        uint32_t head = shadow_value(n, q->shadow, q->head);
        q->head = (uint16_t)MIN(head, q->size - 1u);
        cq_rung(n, q);
    } else {
        sq_rung(n, &n->sq[door / 2]);
    }
}

void nvme_shadow_queue(Nvme *n, unsigned id)
{
    uint64_t shadow = n->sq[0].shadow, event = n->sq[0].event, at = id * 8u;
    NvmeSq *s = &n->sq[id];
    NvmeCq *c = &n->cq[id];
    s->shadow = s->exists && shadow ? shadow + at : 0;
    s->event = s->exists && shadow ? event + at : 0;
    c->shadow = c->exists && shadow ? shadow + at + 4 : 0;
    c->event = c->exists && shadow ? event + at + 4 : 0;
}

void nvme_doors_update(Nvme *n)
{
    for (unsigned i = 2; i < ARRAY_LEN(n->door); i++) {
        bool shadowed = i & 1 ? n->cq[i / 2].exists && n->cq[i / 2].shadow : n->sq[i / 2].exists && n->sq[i / 2].shadow;
        bool want = shadowed && n->ioeventfd && doorbells_possible();
        if (want == (n->door[i] != NULL))
            continue;
        if (!want) {
            doorbell_free(n->door[i]);
            n->door[i] = NULL;
        } else if ((n->door[i] = doorbell_new(n->pci.dev.domain, n->iothread, door_rung, n, i))) {
            doorbell_add_place(n->door[i], n->registers, (MemNotifier){ .offset = NVME_DOORBELLS + i * 4, .size = 4 });
        }
    }
}

static uint64_t register_value(const Nvme *n, unsigned at)
{
    switch (at) {
    case NVME_CAP: return capabilities(n);
    case NVME_VS: return VERSION;
    case NVME_INTMS: case NVME_INTMC: return n->intms;
    case NVME_CC: return n->cc;
    case NVME_CSTS: return n->csts;
    case NVME_AQA: return n->aqa;
    case NVME_ASQ: return n->asq;
    case NVME_ACQ: return n->acq;
    case NVME_CMBLOC: return nvme_cmb_location(n);
    case NVME_CMBSZ: return nvme_cmb_size(n);
    case NVME_CMBMSC: return n->cmbmsc;
    case NVME_CMBSTS: return n->cmbsts;
    default: return at >= NVME_PMRCAP && at < NVME_DOORBELLS ? nvme_pmr_read(n, at) : 0;
    }
}

static MemResult bar_read(void *opaque, hwaddr at, unsigned size, uint64_t *value, MemAttrs attrs)
{
    const Nvme *n = opaque;
    unsigned base = (unsigned)at & ~7u;
    /* two of 32 bits */
    bool pair = base == 8 || base == 0x10 || base == 0x18 || base == 0x20 || base == 0x38 || base >= NVME_PMRCAP;
    bool low = !pair || (at & 7) < 4, high = pair && (at & 7) + size > 4;
    uint64_t v = (low ? register_value(n, base) : 0) | (high ? register_value(n, base + 4) << 32 : 0);
    v >>= 8 * (at & 7);
    *value = size == 8 ? v : v & bits_mask(8 * size);
    return MEM_OK;
}

static MemResult bar_write(void *opaque, hwaddr at, unsigned size, uint64_t value, MemAttrs attrs)
{
    Nvme *n = opaque;
    if (at >= NVME_DOORBELLS) {
        ring_doorbell(n, (unsigned)at - NVME_DOORBELLS, (uint32_t)value);
        return MEM_OK;
    }
    if (size < 4)
        return MEM_OK;
    switch (at) {
    case NVME_INTMS: n->intms |= (uint32_t)value; update_irq(n, NULL); break;
    case NVME_INTMC: n->intms &= ~(uint32_t)value; update_irq(n, NULL); break;
    case NVME_CC: write_cc(n, (uint32_t)value); break;
    case NVME_AQA: n->aqa = (uint32_t)value & 0x0fff0fff; break;
    case NVME_ASQ: n->asq = size == 8 ? value : bits_set(n->asq, 0, 32, value); break;
    case NVME_ASQ + 4: n->asq = bits_set(n->asq, 32, 32, value); break;
    case NVME_ACQ: n->acq = size == 8 ? value : bits_set(n->acq, 0, 32, value); break;
    case NVME_ACQ + 4: n->acq = bits_set(n->acq, 32, 32, value); break;
    case NVME_CMBMSC: nvme_cmb_write(n, size == 8 ? value : bits_set(n->cmbmsc, 0, 32, value)); break;
    case NVME_CMBMSC + 4: nvme_cmb_write(n, bits_set(n->cmbmsc, 32, 32, value)); break;
    default:
        if (at >= NVME_PMRCAP)
            nvme_pmr_write(n, (unsigned)at, (uint32_t)value);
        if (at >= NVME_PMRCAP && size == 8)
            nvme_pmr_write(n, (unsigned)at + 4, value >> 32);
        break;
    }
    return MEM_OK;
}
const MemOps nvme_bar_ops = { bar_read, bar_write, 2, 8 };
