/* SPDX-License-Identifier: MIT */
/* NVMe controller: properties, life, state. */
#include <string.h>
#include "hw/storage/nvme.h"

enum { PAGE = 4096, REGISTERS_SIZE = 0x2000, EXCLUSIVE_BAR = 4, INTEL_VENDOR = 0x8086, INTEL_DEVICE = 0x5845 };

static void init(Device *d)
{
    ((Nvme *)d)->unposted = g_byte_array_new();
}

/* BAR 0: the registers, behind them MSI-X's table and pending bits, each from a page on. */
static uint32_t pending_bits_at(const Nvme *n)
{
    return (uint32_t)align_up(REGISTERS_SIZE + n->msix_qsize * 16u, PAGE);
}

static void make_bar(Nvme *n)
{
    uint64_t size = REGISTERS_SIZE;
    while (!n->msix_exclusive_bar && size < pending_bits_at(n) + (n->msix_qsize + 63u) / 64 * 8)
        size *= 2;
    n->bar = mem_container_new("nvme-bar", size);
    n->registers = mem_io_new("nvme", REGISTERS_SIZE, &nvme_bar_ops, n, n->pci.dev.domain);
    mem_map(n->bar, 0, n->registers, 0);
    pci_register_bar(&n->pci, 0, PCI_BAR_MEM | PCI_BAR_64, n->bar);
}

static bool make_msix(Nvme *n, Error **errp)
{
    if (n->msix_exclusive_bar)
        return msix_init_exclusive_bar(&n->pci, n->msix_qsize, EXCLUSIVE_BAR, errp);
    return msix_init(&n->pci, 0, n->msix_qsize, 0, n->bar, REGISTERS_SIZE, 0, n->bar, pending_bits_at(n), errp);
}

static bool start(Device *d, Error **errp)
{
    Nvme *n = (Nvme *)d;
    if (!nvme_subsys_join(n, errp))
        return false;
    if (n->num_queues)
        n->max_ioqpairs = MAX(n->num_queues, 2u) - 1;
    if (n->intel) {
        pci_config_define(&n->pci, PCI_VENDOR_ID, 2, INTEL_VENDOR, 0);
        pci_config_define(&n->pci, PCI_DEVICE_ID, 2, INTEL_DEVICE, 0);
    }
    bus_init(&n->bus, &nvme_bus_type, d->id, d);
    n->bus_made = true;
    if (n->iothread_id && !(n->iothread = iothread_take(n->iothread_id, errp)))
        return false;
    if (n->own.drive.drive) {
        if (!nvme_ns_start(&n->own, n->subsys, d, 1, n->iothread, errp))
            return false;
        nvme_attach(n, 1, true);
    } else {
        n->own.queue.saved = g_byte_array_new();
    }
    make_bar(n);
    pcie_cap_init(&n->pci, 0, PCIE_ENDPOINT, 0);
    pci_pm_init(&n->pci, 0);
    return nvme_cmb_start(n, errp) && nvme_pmr_start(n, errp) && make_msix(n, errp);
}

static void reset(Device *d, ResetPhase phase)
{
    Nvme *n = (Nvme *)d;
    if (phase != RESET_ENTER)
        return;
    nvme_disable(n);
    if (n->own.subsys)
        drive_queue_reset(&n->own.queue);
    nvme_cmb_write(n, 0);
    n->pmrctl = 0;
    n->pmrmsc = 0;
    nvme_pmr_update(n);
    n->cc = n->aqa = 0;
    n->asq = n->acq = 0;
    n->write_cache = n->own.drive.write_cache;
    memset(n->changed, 0, sizeof n->changed);
    n->changes_new = false;
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
    if (n->own.subsys)
        drive_queue_saving(&n->own.queue);
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
        *r = (NvmeRequest){ .n = n,
                            .cq = load_le16(b),
                            .sq = load_le16(b + 2),
                            .cid = load_le16(b + 4),
                            .status = load_le16(b + 6),
                            .result = load_le32(b + 8) };
        nvme_wait_for_room(&n->cq[r->cq], r);
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
    bool ok = n->aers <= n->aerl + 1u && n->cntlid < NVME_CONTROLLERS;
    for (unsigned i = 0; ok && i < NVME_QUEUES; i++) {
        NvmeSq *s = &n->sq[i];
        NvmeCq *c = &n->cq[i];
        ok = (!s->exists || (queue_ok(s->addr, s->size, s->head, s->tail) && s->cqid < NVME_QUEUES)) &&
             (!c->exists || (queue_ok(c->addr, c->size, c->head, c->tail) && c->vector < n->msix_qsize));
        s->id = c->id = (uint16_t)i;
        dma_window_set(&s->window, as, s->addr, (uint64_t)s->size * NVME_SQE);
        dma_window_set(&c->window, as, c->addr, (uint64_t)c->size * NVME_CQE);
    }
    for (unsigned i = 0; i < NVME_QUEUES; i++)
        nvme_drop_waiting(&n->cq[i]);
    if (n->csts & CSTS_SHST_BUSY) /* it ended when the machine stood */
        n->csts ^= CSTS_SHST_BUSY | CSTS_SHST_DONE;
    ok = ok && load_unposted(n);
    nvme_cmb_update(n);
    nvme_pmr_update(n);
    if (ok)
        nvme_doors_update(n);
    else
        error_setf(errp, "nvme '%s': the saved state is not one that this device can be in", d->id);
    return ok && nvme_ns_loaded(&n->own, errp);
}

static void stop(Device *d)
{
    Nvme *n = (Nvme *)d;
    n->stopping = true;
    for (unsigned i = 0; i < ARRAY_LEN(n->door); i++)
        doorbell_free(n->door[i]);
    for (unsigned i = 0; n->iothread && i < NVME_QUEUES; i++)
        iothread_cancel(n->iothread, &n->sq[i].served);
    if (!n->own.subsys && n->own.queue.saved)
        g_byte_array_unref(n->own.queue.saved);
    nvme_ns_stop(&n->own);
    if (n->subsys) {
        nvme_settle(n);
        nvme_drop_held(n);
    }
    nvme_subsys_leave(n);
    if (n->bus_made)
        bus_fini(&n->bus);
    iothread_release(n->iothread);
    g_byte_array_unref(n->unposted);
    for (unsigned i = 0; i < NVME_QUEUES; i++)
        nvme_drop_waiting(&n->cq[i]);
    nvme_memory_stop(n);
    mem_region_free(n->registers);
    mem_region_free(n->bar);
}

static void describe(Device *d, GString *out)
{
    const Nvme *n = (Nvme *)d;
    g_string_append_printf(out, "NVMe: doorbell rung %u times, %u by file descriptor\n", n->notifies + n->signals,
                           n->signals);
    for (unsigned i = 0; i < NVME_NAMESPACES; i++) {
        const NvmeNs *ns = n->subsys->ns[i];
        if (ns)
            g_string_append_printf(out, "namespace %u: drive '%s', %" G_GUINT64_FORMAT " blocks of %u bytes%s\n",
                                   ns->nsid, blk_name(ns->blk), (guint64)nvme_blocks(ns), 1u << nvme_lba_bits(ns),
                                   nvme_is_attached(n, ns->nsid) ? "" : ", detached");
    }
}

static const Property props[] = {
    DRIVE_PROPS(Nvme, own.drive),
    { .name = "subsys",
      .kind = PROP_LINK,
      .offset = offsetof(Nvme, subsys_dev),
      .help = "the nvme-subsys whose namespaces it shares" },
    DEFINE_PROP_BOOL("ioeventfd", Nvme, ioeventfd, true,
                     "with shadow doorbells: doorbells that are no exits, where the accelerator can"),
    DEFINE_PROP_STRING("iothread", Nvme, iothread_id, NULL, "-object iothread that serves the I/O queues"),
    PROP_(PROP_U32, "max_ioqpairs", Nvme, max_ioqpairs, 64, "queue pairs besides the admin queues", .min = 1,
          .max = NVME_QUEUES - 1),
    PROP_(PROP_U32, "mdts", Nvme, mdts, NVME_MDTS, "largest transfer: a power of two of pages", .min = 1, .max = 10),
    PROP_(PROP_U32, "cmb_size_mb", Nvme, cmb_mb, 0, "MiB of memory in the controller, for queues and data",
          .max = 4096),
    DEFINE_PROP_STRING("pmrdev", Nvme, pmrdev, NULL, "memory back end whose memory is the persistent region"),
    PROP_(PROP_U16, "msix_qsize", Nvme, msix_qsize, NVME_QUEUES, "MSI-X vectors", .min = 1, .max = 2048),
    DEFINE_PROP_BOOL("msix-exclusive-bar", Nvme, msix_exclusive_bar, false, "their table is in BAR 4, not in BAR 0"),
    PROP_(PROP_U32, "num_queues", Nvme, num_queues, 0,
          "queue pairs with the admin queues (max_ioqpairs= + 1); 0: as that says", .max = NVME_QUEUES),
    PROP_(PROP_U8, "aerl", Nvme, aerl, 3, "asynchronous event requests that may wait - 1"),
    DEFINE_PROP_U32("aer_max_queued", Nvme, aer_max_queued, 64,
                    "taken for compatibility: of each kind of event, one waits"),
    DEFINE_PROP_U8("smart_critical_warning", Nvme, critical_warning, 0, "what the SMART log warns of, as bits"),
    PROP_(PROP_U8, "vsl", Nvme, vsl, 7, "largest Verify: a power of two of pages; 0: no limit", .max = 20),
    DEFINE_PROP_BOOL("use-intel-id", Nvme, intel, false, "PCI identity 8086:5845, as long ago"),
    DEFINE_PROP_BOOL("legacy-cmb", Nvme, legacy_cmb, false, "that memory as before NVMe 1.4: always on"),
    DEFINE_PROP_END,
};
static const StateField sq_state[] = { STATE_BOOL(NvmeSq, exists), STATE_U16(NvmeSq, cqid),  STATE_U16(NvmeSq, size),
                                       STATE_U16(NvmeSq, head),    STATE_U16(NvmeSq, tail),  STATE_U64(NvmeSq, addr),
                                       STATE_U64(NvmeSq, shadow),  STATE_U64(NvmeSq, event), STATE_END_OF_TABLE };
static const StateField cq_state[] = {
    STATE_BOOL(NvmeCq, exists), STATE_BOOL(NvmeCq, interrupts), STATE_BOOL(NvmeCq, phase), STATE_BOOL(NvmeCq, raised),
    STATE_U16(NvmeCq, vector),  STATE_U16(NvmeCq, size),        STATE_U16(NvmeCq, head),   STATE_U16(NvmeCq, tail),
    STATE_U64(NvmeCq, addr),    STATE_U64(NvmeCq, shadow),      STATE_U64(NvmeCq, event),  STATE_END_OF_TABLE
};
static const StateField error_state[] = { STATE_U64(NvmeErrorEntry, count),  STATE_U64(NvmeErrorEntry, lba),
                                          STATE_U16(NvmeErrorEntry, sq),     STATE_U16(NvmeErrorEntry, cid),
                                          STATE_U16(NvmeErrorEntry, status), STATE_U16(NvmeErrorEntry, location),
                                          STATE_U32(NvmeErrorEntry, ns),     STATE_END_OF_TABLE };
static const StateField state[] = { STATE_STRUCT(Nvme, own, nvme_ns_state),
                                    STATE_U16(Nvme, cntlid),
                                    STATE_U32_ARRAY(Nvme, attached),
                                    STATE_BUF(Nvme, unposted, UNPOSTED_MAX),
                                    STATE_U64(Nvme, asq),
                                    STATE_U64(Nvme, acq),
                                    STATE_U32(Nvme, cc),
                                    STATE_U32(Nvme, csts),
                                    STATE_U32(Nvme, aqa),
                                    STATE_U32(Nvme, intms),
                                    STATE_STRUCT_ARRAY(Nvme, sq, sq_state),
                                    STATE_STRUCT_ARRAY(Nvme, cq, cq_state),
                                    STATE_BOOL(Nvme, write_cache),
                                    STATE_U32_ARRAY(Nvme, feature),
                                    STATE_U64(Nvme, timestamp_base),
                                    STATE_U64(Nvme, timestamp_at),
                                    STATE_U16_ARRAY(Nvme, aer_cid),
                                    STATE_U32(Nvme, aers),
                                    STATE_U32_ARRAY(Nvme, changed),
                                    STATE_BOOL(Nvme, changes_new),
                                    STATE_BOOL(Nvme, changes_told),
                                    STATE_U64(Nvme, cmbmsc),
                                    STATE_U32(Nvme, cmbsts),
                                    STATE_U32(Nvme, pmrctl),
                                    STATE_U64(Nvme, pmrmsc),
                                    STATE_U64(Nvme, error_count),
                                    STATE_STRUCT_ARRAY(Nvme, error, error_state),
                                    STATE_U64(Nvme, read_units),
                                    STATE_U64(Nvme, written_units),
                                    STATE_U64(Nvme, reads),
                                    STATE_U64(Nvme, writes),
                                    STATE_END_OF_TABLE };
static const PciDeviceInfo info = {
    .vendor = 0x1b36, .device = 0x0010, .revision = 2, .class_code = 0x010802, .interrupt_pin = 1, .express = true
};
static const char *const provides[] = { "nvme-bus", NULL };
const DeviceType nvme_type = {
    .name = "nvme",
    .desc = "NVM Express 1.4 disk",
    .category = "Storage",
    .size = sizeof(Nvme),
    .bus = "pci",
    .user_creatable = true,
    .provides = provides,
    .base = &pci_device_type,
    .props = props,
    .state = state,
    .init = init,
    .start = start,
    .reset = reset,
    .saving = saving,
    .loaded = loaded,
    .stop = stop,
    .info = describe,
    .class_data = &info,
};
DEVICE_REGISTER(nvme_type)
