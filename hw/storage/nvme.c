/* SPDX-License-Identifier: MIT */
/* NVMe controller: registers, doorbells, queues (NVM Express 1.4, chapters 3 and 4). */
#include "hw/storage/nvme.h"
#include <string.h>
#include "base/log.h"

enum { BAR_SIZE = 0x4000, CAP_TIMEOUT_500MS = 15, VERSION = 0x00010400 };

static uint64_t capabilities(void)
{
    return (NVME_ENTRIES_MAX - 1) | BIT(16) /* contiguous queues */ | (uint64_t)CAP_TIMEOUT_500MS << 24 | BIT(37) /* NVM command set */ |
           UINT64_C(4) << 52 /* pages up to 64 KiB */;
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

static void wait_for_room(NvmeCq *q, NvmeRequest *r)
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
    *e = (NvmeErrorEntry){ .count = n->error_count, .sq = r->sq, .cid = r->cid, .status = (uint16_t)(r->status << 1), .location = 0xffff,
                           .lba = nvme_dword(r, 10) | (uint64_t)nvme_dword(r, 11) << 32, .ns = nvme_dword(r, 1) };
}

void nvme_complete(NvmeRequest *r, uint16_t status)
{
    Nvme *n = r->n;
    NvmeCq *q = &n->cq[r->cq];
    r->status = status;
    g_free(r->compare);
    r->compare = NULL;
    if (status && !n->stopping)
        note_error(n, r);
    if (n->stopping || !q->exists || !n->sq[r->sq].exists) {
        g_free(r);
        return;
    }
    if (q->waiting || cq_full(n, q)) {
        wait_for_room(q, r);
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
    if (!q->shadow)
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
            if (!q->shadow)
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

void nvme_settle_queues(Nvme *n)
{
    for (unsigned i = 0; n->iothread && i < NVME_QUEUES; i++) {
        if (iothread_cancel(n->iothread, &n->sq[i].served))
            serve(&n->sq[i]);
    }
}

/* --- registers --- */

static void drop_waiting(NvmeCq *q)
{
    while (q->waiting) {
        NvmeRequest *r = q->waiting;
        q->waiting = r->next;
        g_free(r);
    }
}

static void disable(Nvme *n)
{
    n->stopping = true;
    drive_queue_reset(&n->queue);
    n->stopping = false;
    for (unsigned i = 0; i < NVME_QUEUES; i++) {
        drop_waiting(&n->cq[i]);
        n->cq[i] = (NvmeCq){ .id = (uint16_t)i };
        nvme_sq_clear(n, i);
    }
    n->aers = 0;
    n->csts = 0;
    n->intms = 0;
    nvme_doors_update(n);
    update_irq(n, NULL);
}

static void enable(Nvme *n)
{
    unsigned page = 12 + (n->cc >> 7 & 15), asqs = (n->aqa & 0xfff) + 1, acqs = (n->aqa >> 16 & 0xfff) + 1;
    bool ok = page <= 16 && !(n->asq & (BIT(page) - 1)) && !(n->acq & (BIT(page) - 1)) && !(n->cc >> 4 & 7) && asqs > 1 && acqs > 1 &&
              asqs <= NVME_ENTRIES_MAX && acqs <= NVME_ENTRIES_MAX;
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

static void write_cc(Nvme *n, uint32_t value)
{
    uint32_t old = n->cc;
    n->cc = value;
    if (value & CC_EN && !(old & CC_EN))
        enable(n);
    else if (!(value & CC_EN) && old & CC_EN)
        disable(n);
    if (value & CC_SHN && !(old & CC_SHN)) {
        drive_settle(&n->queue);
        blk_flush(n->blk);
        n->csts |= CSTS_SHST_DONE;
    } else if (!(value & CC_SHN)) {
        n->csts &= ~(uint32_t)CSTS_SHST_DONE;
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
        log_guest_error(n->pci.dev.id, "NVMe: %s doorbell %u with %u", completion ? "completion" : "submission", id, value);
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
        q->head = (uint16_t)MIN(shadow_value(n, q->shadow, q->head), q->size - 1u);
        cq_rung(n, q);
    } else {
        sq_rung(n, &n->sq[door / 2]);
    }
}

void nvme_doors_update(Nvme *n)
{
    for (unsigned i = 0; i < ARRAY_LEN(n->door); i++) {
        bool want = n->ioeventfd && doorbells_possible() && (i & 1 ? n->cq[i / 2].exists && n->cq[i / 2].shadow : n->sq[i / 2].exists && n->sq[i / 2].shadow);
        if (want == (n->door[i] != NULL))
            continue;
        if (!want) {
            doorbell_free(n->door[i]);
            n->door[i] = NULL;
        } else if ((n->door[i] = doorbell_new(n->pci.dev.domain, n->iothread, door_rung, n, i))) {
            doorbell_add_place(n->door[i], n->bar, (MemNotifier){ .offset = NVME_DOORBELLS + i * 4, .size = 4 });
        }
    }
}

static uint64_t register_value(const Nvme *n, unsigned at)
{
    switch (at) {
    case NVME_CAP: return capabilities();
    case NVME_VS: return VERSION;
    case NVME_INTMS: case NVME_INTMC: return n->intms;
    case NVME_CC: return n->cc;
    case NVME_CSTS: return n->csts;
    case NVME_AQA: return n->aqa;
    case NVME_ASQ: return n->asq;
    case NVME_ACQ: return n->acq;
    default: return 0;
    }
}

static MemResult bar_read(void *opaque, hwaddr at, unsigned size, uint64_t *value, MemAttrs attrs)
{
    const Nvme *n = opaque;
    unsigned base = (unsigned)at & ~7u;
    uint64_t v = base == 8 || base == 0x10 || base == 0x18 || base == 0x20 /* pairs of 32 bits */
                     ? register_value(n, base) | register_value(n, base + 4) << 32 : register_value(n, base);
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
    default: break;
    }
    return MEM_OK;
}
static const MemOps bar_ops = { bar_read, bar_write, 2, 8 };

/* --- the device --- */

static void init(Device *d)
{
    device_own_domain(d, "nvme");
    ((Nvme *)d)->unposted = g_byte_array_new();
}

static bool start(Device *d, Error **errp)
{
    Nvme *n = (Nvme *)d;
    if (!drive_open(d, &n->drive, false, &n->blk, errp))
        return false;
    drive_queue_init(&n->queue, d, &n->drive, n->blk, &nvme_queue_ops);
    n->lbaf = n->drive.logical_block_size == 4096;
    if (n->iothread_id && !(n->iothread = iothread_take(n->iothread_id, errp)))
        return false;
    blk_set_ring(n->blk, n->iothread ? iothread_ring(n->iothread) : NULL);
    n->bar = mem_io_new("nvme", BAR_SIZE, &bar_ops, n, d->domain);
    pci_register_bar(&n->pci, 0, PCI_BAR_MEM | PCI_BAR_64, n->bar);
    pcie_cap_init(&n->pci, 0, PCIE_ENDPOINT, 0);
    pci_pm_init(&n->pci, 0);
    return msix_init_exclusive_bar(&n->pci, n->max_ioqpairs + 1, 4, errp);
}

static void reset(Device *d, ResetPhase phase)
{
    Nvme *n = (Nvme *)d;
    if (phase != RESET_ENTER)
        return;
    disable(n);
    n->cc = n->aqa = 0;
    n->asq = n->acq = 0;
    n->write_cache = n->drive.write_cache;
    n->lbaf = n->drive.logical_block_size == 4096;
    memset(n->feature, 0, sizeof n->feature);
    n->feature[FEAT_TEMPERATURE] = 343; /* kelvin */
    n->timestamp_base = 0;
    n->timestamp_at = 0;
    n->error_count = 0;
    memset(n->error, 0, sizeof n->error);
    n->read_units = n->written_units = n->reads = n->writes = 0;
}

/* Completions that wait for room, each as its queue's number (16 bits), submission queue, command, status, result. */
enum { UNPOSTED_SIZE = 12, UNPOSTED_MAX = 16 << 20 };

static void saving(Device *d)
{
    Nvme *n = (Nvme *)d;
    for (unsigned i = 0; i < ARRAY_LEN(n->door); i++) { /* rung before the machine stood */
        if (n->door[i])
            doorbell_look(n->door[i]);
    }
    nvme_settle_queues(n);
    drive_queue_saving(&n->queue);
    g_byte_array_set_size(n->unposted, 0);
    for (unsigned i = 0; i < NVME_QUEUES; i++) {
        for (const NvmeRequest *r = n->cq[i].waiting; r; r = r->next) {
            uint8_t b[UNPOSTED_SIZE];
            store_le16(b, r->cq);
            store_le16(b + 2, r->sq);
            store_le16(b + 4, r->cid);
            store_le16(b + 6, r->status);
            store_le32(b + 8, r->result);
            g_byte_array_append(n->unposted, b, sizeof b);
        }
    }
}

static bool load_unposted(Nvme *n)
{
    for (size_t at = 0; at + UNPOSTED_SIZE <= n->unposted->len; at += UNPOSTED_SIZE) {
        const uint8_t *b = n->unposted->data + at;
        if (load_le16(b) >= NVME_QUEUES || load_le16(b + 2) >= NVME_QUEUES || !n->cq[load_le16(b)].exists)
            return false;
        NvmeRequest *r = g_new0(NvmeRequest, 1);
        *r = (NvmeRequest){ .n = n, .cq = load_le16(b), .sq = load_le16(b + 2), .cid = load_le16(b + 4), .status = load_le16(b + 6),
                            .result = load_le32(b + 8) };
        wait_for_room(&n->cq[r->cq], r);
    }
    return true;
}

static bool queue_ok(uint64_t addr, uint16_t size, uint16_t index, uint16_t other)
{
    return size >= 2 && size <= NVME_ENTRIES_MAX && index < size && other < size && addr <= INT64_MAX;
}

static bool loaded(Device *d, Error **errp)
{
    Nvme *n = (Nvme *)d;
    AddressSpace *as = pci_dma_space(&n->pci);
    bool ok = n->aers <= NVME_AERS && n->lbaf <= 1;
    for (unsigned i = 0; ok && i < NVME_QUEUES; i++) {
        NvmeSq *s = &n->sq[i];
        NvmeCq *c = &n->cq[i];
        ok = (!s->exists || (queue_ok(s->addr, s->size, s->head, s->tail) && s->cqid < NVME_QUEUES)) &&
             (!c->exists || (queue_ok(c->addr, c->size, c->head, c->tail) && c->vector <= n->max_ioqpairs));
        s->id = c->id = (uint16_t)i;
        dma_window_set(&s->window, as, s->addr, (uint64_t)s->size * NVME_SQE);
        dma_window_set(&c->window, as, c->addr, (uint64_t)c->size * NVME_CQE);
    }
    for (unsigned i = 0; i < NVME_QUEUES; i++)
        drop_waiting(&n->cq[i]);
    ok = ok && load_unposted(n);
    if (ok)
        nvme_doors_update(n);
    else
        error_setf(errp, "nvme '%s': the saved state is not one that this device can be in", d->id);
    return ok && drive_queue_loaded(&n->queue, errp);
}

static void stop(Device *d)
{
    Nvme *n = (Nvme *)d;
    n->stopping = true;
    for (unsigned i = 0; i < ARRAY_LEN(n->door); i++)
        doorbell_free(n->door[i]);
    for (unsigned i = 0; n->iothread && i < NVME_QUEUES; i++)
        iothread_cancel(n->iothread, &n->sq[i].served);
    drive_queue_free(&n->queue);
    iothread_release(n->iothread);
    g_byte_array_unref(n->unposted);
    for (unsigned i = 0; i < NVME_QUEUES; i++)
        drop_waiting(&n->cq[i]);
    mem_region_free(n->bar);
}

static void describe(Device *d, GString *out)
{
    const Nvme *n = (Nvme *)d;
    g_string_append_printf(out, "NVMe: doorbell rung %u times, %u by file descriptor\n", n->notifies + n->signals, n->signals);
}

static const Property props[] = {
    DRIVE_PROPS(Nvme, drive),
    DEFINE_PROP_BOOL("ioeventfd", Nvme, ioeventfd, true, "with shadow doorbells: doorbells that are no exits, where the accelerator can"),
    DEFINE_PROP_STRING("iothread", Nvme, iothread_id, NULL, "-object iothread that serves the I/O queues"),
    PROP_(PROP_U32, "max_ioqpairs", Nvme, max_ioqpairs, 64, "queue pairs besides the admin queues", .min = 1, .max = NVME_QUEUES - 1),
    PROP_(PROP_U32, "mdts", Nvme, mdts, NVME_MDTS, "largest transfer: a power of two of pages", .min = 1, .max = 10),
    DEFINE_PROP_END,
};
static const StateField sq_state[] = {
    STATE_BOOL(NvmeSq, exists), STATE_U16(NvmeSq, cqid), STATE_U16(NvmeSq, size), STATE_U16(NvmeSq, head), STATE_U16(NvmeSq, tail),
    STATE_U64(NvmeSq, addr), STATE_U64(NvmeSq, shadow), STATE_U64(NvmeSq, event), STATE_END_OF_TABLE
};
static const StateField cq_state[] = {
    STATE_BOOL(NvmeCq, exists), STATE_BOOL(NvmeCq, interrupts), STATE_BOOL(NvmeCq, phase), STATE_BOOL(NvmeCq, raised), STATE_U16(NvmeCq, vector),
    STATE_U16(NvmeCq, size), STATE_U16(NvmeCq, head), STATE_U16(NvmeCq, tail), STATE_U64(NvmeCq, addr), STATE_U64(NvmeCq, shadow),
    STATE_U64(NvmeCq, event), STATE_END_OF_TABLE
};
static const StateField error_state[] = {
    STATE_U64(NvmeErrorEntry, count), STATE_U64(NvmeErrorEntry, lba), STATE_U16(NvmeErrorEntry, sq), STATE_U16(NvmeErrorEntry, cid),
    STATE_U16(NvmeErrorEntry, status), STATE_U16(NvmeErrorEntry, location), STATE_U32(NvmeErrorEntry, ns), STATE_END_OF_TABLE
};
static const StateField state[] = {
    STATE_STRUCT(Nvme, queue, drive_queue_state), STATE_BUF(Nvme, unposted, UNPOSTED_MAX),
    STATE_U64(Nvme, asq), STATE_U64(Nvme, acq), STATE_U32(Nvme, cc), STATE_U32(Nvme, csts), STATE_U32(Nvme, aqa), STATE_U32(Nvme, intms),
    STATE_STRUCT_ARRAY(Nvme, sq, sq_state), STATE_STRUCT_ARRAY(Nvme, cq, cq_state), STATE_U32(Nvme, lbaf), STATE_BOOL(Nvme, write_cache),
    STATE_U32_ARRAY(Nvme, feature), STATE_U64(Nvme, timestamp_base), STATE_U64(Nvme, timestamp_at), STATE_U16_ARRAY(Nvme, aer_cid), STATE_U32(Nvme, aers),
    STATE_U64(Nvme, error_count), STATE_STRUCT_ARRAY(Nvme, error, error_state), STATE_U64(Nvme, read_units), STATE_U64(Nvme, written_units),
    STATE_U64(Nvme, reads), STATE_U64(Nvme, writes), STATE_END_OF_TABLE
};
static const PciDeviceInfo info = { .vendor = 0x1b36, .device = 0x0010, .revision = 2, .class_code = 0x010802, .interrupt_pin = 1, .express = true };
static const DeviceType nvme_type = {
    .name = "nvme", .desc = "NVM Express 1.4 disk", .category = "Storage", .size = sizeof(Nvme), .bus = "pci", .user_creatable = true,
    .base = &pci_device_type, .props = props, .state = state, .init = init, .start = start, .reset = reset, .saving = saving, .loaded = loaded,
    .stop = stop, .info = describe, .class_data = &info,
};
DEVICE_REGISTER(nvme_type)
