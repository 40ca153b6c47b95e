/* SPDX-License-Identifier: MIT */
/* MegaRAID SAS: registers, frames with SCSI commands, the reply queue. */
#include "hw/scsi/megasas.h"
#include <inttypes.h>
#include "base/log.h"

enum { BAR_SIZE = 0x4000, IO_SIZE = 256, QUEUE_SIZE = 0x40000 };
#define STATE_READY 0xb0000000u
#define STATE_OPERATIONAL 0xc0000000u
#define STATE_FAULT 0xf0000000u
#define REPLY_1078 BIT(31)
#define REPLY_GEN2 BIT(0)
enum { DO_ABORT = 1, DO_READY = 2, DO_STOP = 0x20 };
enum { DIAG_RESET = 4, DIAG_WRITE_ENABLE = 0x80 };
enum { QUEUE_WIDE = 2 };
enum { MSIX_VECTORS = 15, MSIX_AT = 0x68, MSIX_TABLE = 0x2000, MSIX_PBA = 0x3800 };
#define CAN_MSIX BIT(26) /* in the state */

/* --- interrupts and replies --- */

static void update_irq(Megasas *s, bool raised)
{
    bool level = s->status & ~s->mask;
    if (msix_enabled(&s->pci)) {
        if (raised && level)
            msix_notify(&s->pci, 0);
    } else if (!msi_enabled(&s->pci)) {
        pci_set_irq(&s->pci, level);
    } else if (raised && level) {
        msi_notify(&s->pci, 0);
    }
}

static void post(Megasas *s, uint64_t context)
{
    uint8_t b[8];
    unsigned size = s->wide ? 8 : 4;
    if (!s->replies)
        return;
    store_le64(b, context);
    pci_dma_write(&s->pci, s->replies + (uint64_t)s->produced * size, b, size);
    s->produced = (s->produced + 1) % s->entries;
    store_le32(b, s->produced);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    pci_dma_write(&s->pci, s->producer_at, b, 4);
    s->status |= s->pci.info->device == 0x0079 ? REPLY_GEN2 : REPLY_1078;
    update_irq(s, true);
}

void mfi_finish(MfiFrame *f, unsigned result)
{
    uint8_t status = (uint8_t)result;
    pci_dma_write(&f->s->pci, f->at + F_STATUS, &status, 1);
    if (!(f->flags & MFI_NO_REPLY))
        post(f->s, f->context);
    g_free(f);
}

/* --- lists --- */

bool mfi_map(const MfiFrame *f, DmaVec *v, unsigned offset, uint64_t len)
{
    Megasas *s = f->s;
    unsigned size = f->flags & MFI_IEEE ? 16 : f->flags & MFI_SGL64 ? 12 : 8, count = MIN(f->b[F_SGES], s->max_sge);
    for (unsigned i = 0; i < count && len; i++) {
        uint8_t e[16] = { 0 };
        if (pci_dma_read(&s->pci, f->at + offset + (uint64_t)i * size, e, size) != MEM_OK)
            return false;
        uint64_t n = MIN(load_le32(e + (size == 8 ? 4 : 8)), len);
        if (n && !dma_vec_add(v, size == 8 ? load_le32(e) : load_le64(e), n))
            return false;
        len -= n;
    }
    return true;
}

/* --- SCSI --- */

static uint64_t sense_address(const MfiFrame *f)
{
    return load_le32(f->b + 24) | (f->flags & MFI_SENSE64 ? (uint64_t)load_le32(f->b + 28) << 32 : 0);
}

static void complete(ScsiRequest *r)
{
    MfiFrame *f = r->hba;
    Megasas *s = f->s;
    unsigned room = f->b[F_SENSE_LEN], sense = MIN(room, r->sense_len);
    unsigned result = r->cancelled || r->overrun ? MFI_IO_FAILED : r->status ? MFI_DONE_WITH_ERROR : MFI_OK;
    pci_dma_write(&s->pci, f->at + F_SCSI_STATUS, &r->status, 1);
    if (sense && !r->cancelled)
        pci_dma_write(&s->pci, sense_address(f), r->sense, sense);
    scsi_request_free(r);
    mfi_finish(f, result);
}

static void dropped(ScsiRequest *r)
{
    g_free(r->hba);
    scsi_request_free(r);
}

static void start_scsi(MfiFrame *f, const uint8_t *cdb, unsigned cdb_len, unsigned list)
{
    ScsiRequest *r = f->b[F_LUN] ? NULL : scsi_request_new(&f->s->bus, 0, f->b[F_TARGET], 0, cdb, cdb_len, f->at, f);
    if (!r) {
        mfi_finish(f, MFI_NOT_FOUND);
        return;
    }
    DmaVec *v = scsi_request_map(r, pci_dma_space(&f->s->pci), pci_attrs(&f->s->pci));
    if (!mfi_map(f, v, list, MIN(r->xfer, SCSI_TRANSFER_MAX))) {
        scsi_request_free(r);
        mfi_finish(f, MFI_INVALID_PARAMETER);
        return;
    }
    scsi_request_go(r);
}

/* Reads and writes of logical drives have no CDB, but a block and a count. */
static void start_ld_io(MfiFrame *f)
{
    uint8_t cdb[16] = { f->b[F_CMD] == MFI_LD_WRITE ? 0x8a : 0x88 };
    store_be(cdb + 2, 8, load_le32(f->b + 32) | (uint64_t)load_le32(f->b + 36) << 32);
    store_be(cdb + 10, 4, load_le32(f->b + F_LENGTH));
    f->b[F_LUN] = 0; /* the field says something else here */
    start_scsi(f, cdb, sizeof cdb, 40);
}

/* --- frames --- */

static unsigned init_queue(MfiFrame *f)
{
    Megasas *s = f->s;
    uint8_t q[32];
    uint64_t at = load_le32(f->b + 24) | (uint64_t)load_le32(f->b + 28) << 32;
    if (pci_dma_read(&s->pci, at, q, sizeof q) != MEM_OK || !load_le32(q + 4) || load_le32(q + 4) > 0x10000) {
        log_guest_error(s->pci.dev.id, "megasas: a reply queue that can't be");
        return MFI_INVALID_PARAMETER;
    }
    s->wide = load_le32(q) & QUEUE_WIDE;
    s->entries = load_le32(q + 4);
    s->replies = load_le64(q + 8);
    s->producer_at = load_le64(q + 16);
    s->consumer_at = load_le64(q + 24);
    uint8_t b[4] = { 0 };
    pci_dma_read(&s->pci, s->producer_at, b, sizeof b);
    s->produced = load_le32(b) % s->entries;
    s->state = STATE_OPERATIONAL;
    return MFI_OK;
}

static unsigned abort_frame(MfiFrame *f)
{
    Megasas *s = f->s;
    uint64_t at = load_le32(f->b + 32) | (uint64_t)load_le32(f->b + 36) << 32;
    if (at && at == s->event_frame) {
        MfiFrame *e = mfi_frame_at(s, at);
        s->event_frame = 0;
        if (e)
            mfi_finish(e, MFI_OK);
        return MFI_OK;
    }
    for (ScsiRequest *r = s->bus.running; r; r = r->next) {
        if (r->tag == at && !r->cancelled) {
            scsi_request_cancel(r);
            return MFI_OK;
        }
    }
    return MFI_ABORT_NOT_POSSIBLE;
}

MfiFrame *mfi_frame_at(Megasas *s, uint64_t at)
{
    MfiFrame *f = g_new0(MfiFrame, 1);
    f->s = s;
    f->at = at;
    if (pci_dma_read(&s->pci, at, f->b, sizeof f->b) != MEM_OK) {
        g_free(f);
        return NULL;
    }
    f->flags = load_le16(f->b + F_FLAGS);
    f->context = s->wide ? load_le64(f->b + F_CONTEXT) : load_le32(f->b + F_CONTEXT);
    return f;
}

static void run_frame(Megasas *s, uint64_t at)
{
    MfiFrame *f = mfi_frame_at(s, at);
    unsigned result = MFI_INVALID_CMD;
    if (!f) {
        log_guest_error(s->pci.dev.id, "megasas: no frame at 0x%" PRIx64, at);
        return;
    }
    switch (f->b[F_CMD]) {
    case MFI_LD_READ: case MFI_LD_WRITE: start_ld_io(f); return;
    case MFI_LD_SCSI: case MFI_PD_SCSI: start_scsi(f, f->b + 32, MIN(f->b[F_CDB_LEN], 16), 48); return;
    case MFI_INIT: result = init_queue(f); break;
    case MFI_DCMD: result = mfi_dcmd(f); break;
    case MFI_ABORT: result = abort_frame(f); break;
    }
    if (result == MFI_PENDING)
        g_free(f);
    else
        mfi_finish(f, result);
}

/* --- requests that are held --- */

static void save_request(const ScsiRequest *r, GByteArray *out)
{
    uint8_t at[8];
    store_le64(at, ((const MfiFrame *)r->hba)->at);
    g_byte_array_append(out, at, sizeof at);
}

static bool restart_request(ScsiBus *b, const uint8_t *bytes, size_t len)
{
    if (len == 8)
        run_frame(container_of(b, Megasas, bus), load_le64(bytes));
    return len == 8;
}

static void hotplugged(ScsiBus *b, ScsiDevice *d, bool added) { mfi_event(container_of(b, Megasas, bus), d, added); }
static const ScsiHost host = { .channels = 1,
                               .targets = MFI_TARGETS,
                               .luns = 1,
                               .complete = complete,
                               .drop = dropped,
                               .save = save_request,
                               .restart = restart_request,
                               .hotplug = hotplugged };

/* --- registers --- */

static void forget(Megasas *s)
{
    s->state = STATE_READY;
    s->replies = s->producer_at = s->consumer_at = s->event_frame = 0;
    s->entries = s->produced = 0;
    s->wide = false;
    s->status = 0;
    update_irq(s, false);
}

static void soft_reset(Megasas *s)
{
    scsi_bus_drop(&s->bus);
    forget(s);
}

static void doorbell(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Megasas *s = megasas_of(d);
    if (value & DO_ABORT)
        scsi_bus_drop(&s->bus);
    if (value & DO_READY)
        soft_reset(s);
    if (value & DO_STOP) {
        soft_reset(s);
        s->state = STATE_FAULT;
    }
}

static void sequence_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    static const uint8_t key[] = { 0x4, 0xb, 0x2, 0x7, 0xd };
    Megasas *s = megasas_of(d);
    s->sequence = s->sequence < sizeof key && key[s->sequence] == (value & 0xf) ? s->sequence + 1 : 0;
    if (s->sequence == sizeof key)
        s->diag |= DIAG_WRITE_ENABLE;
}

static void diag_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Megasas *s = megasas_of(d);
    if (!(s->diag & DIAG_WRITE_ENABLE) || !(value & DIAG_RESET))
        return;
    s->diag = s->sequence = 0;
    soft_reset(s);
}

static uint64_t read_state(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    const Megasas *s = megasas_of(d);
    return s->state | (s->msix != PCI_OFF ? CAN_MSIX : 0) | s->max_sge << 16 | s->max_cmds;
}

static void mask_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    update_irq(megasas_of(d), true);
}

static void clear_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Megasas *s = megasas_of(d);
    s->status &= ~(uint32_t)value;
    update_irq(s, false);
}

/* Bit 0: always set; bits 1 to 4: how many more frames the list takes, which its count says, too. */
static void queue_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Megasas *s = megasas_of(d);
    uint64_t high = r->at == 0xc0 ? (uint64_t)s->high << 32 : 0;
    if (s->state == STATE_FAULT)
        return;
    run_frame(s, high | (value & ~UINT64_C(0x1f)));
}

static const Reg regs[] = {
    { .name = "DOORBELL", .at = 0x00, .size = 4, .field = REG_NO_FIELD, .wrote = doorbell },
    { .name = "WSR", .at = 0x04, .size = 4, .field = REG_NO_FIELD, .wrote = sequence_wrote },
    { .name = "HDR", .at = 0x08, .size = 4, .field = offsetof(Megasas, diag), .ro = UINT32_MAX, .wrote = diag_wrote },
    { .name = "OMSG0", .at = 0x18, .size = 4, .field = REG_NO_FIELD, .read = read_state },
    { .name = "IDB", .at = 0x20, .size = 4, .field = REG_NO_FIELD, .wrote = doorbell },
    { .name = "OSTS", .at = 0x30, .size = 4, .field = offsetof(Megasas, status), .ro = UINT32_MAX },
    { .name = "OMSK",
      .at = 0x34,
      .size = 4,
      .field = offsetof(Megasas, mask),
      .reset = UINT32_MAX,
      .wrote = mask_wrote },
    { .name = "IQP", .at = 0x40, .size = 4, .field = REG_NO_FIELD, .wrote = queue_wrote },
    { .name = "ODCR0", .at = 0xa0, .size = 4, .field = REG_NO_FIELD, .wrote = clear_wrote },
    { .name = "OSP0", .at = 0xb0, .size = 4, .field = REG_NO_FIELD, .read = read_state },
    { .name = "IQPL", .at = 0xc0, .size = 4, .field = REG_NO_FIELD, .wrote = queue_wrote },
    { .name = "IQPH", .at = 0xc4, .size = 4, .field = offsetof(Megasas, high) },
    { .name = NULL },
};
static const RegBank bank = { .name = "regs", .size = BAR_SIZE, .regs = regs };
static const RegBank *const banks[] = { &bank, NULL };

/* --- the device --- */

static void init(Device *d) { device_own_domain(d, "megasas"); }

static bool start(Device *d, Error **errp)
{
    Megasas *s = megasas_of(d);
    bool gen2 = s->pci.info->device == 0x0079;
    scsi_bus_init(&s->bus, &host, d);
    /* the cache of logical drives is the firmware's affair: drivers end SYNCHRONIZE CACHE themselves */
    s->bus.durable = !s->jbod;
    s->io = d->region[1] = mem_alias_new("megasas-io", d->region[0], 0, IO_SIZE);
    s->queue = d->region[2] = mem_container_new("megasas-queue", QUEUE_SIZE); /* nothing is in it */
    s->bar = d->region[3] = mem_container_new("megasas-bar", BAR_SIZE);
    mem_map(s->bar, 0, d->region[0], 0);
    pci_register_bar(&s->pci, gen2 ? 0 : 2, PCI_BAR_IO, s->io);
    pci_register_bar(&s->pci, gen2 ? 1 : 0, PCI_BAR_MEM | PCI_BAR_64, s->bar);
    pci_register_bar(&s->pci, 3, PCI_BAR_MEM | PCI_BAR_64, s->queue);
    if (gen2)
        pcie_cap_init(&s->pci, 0, PCIE_ENDPOINT, 0);
    if (s->msi != PCI_OFF)
        msi_init(&s->pci, 0, 1, true, false);
    s->state = STATE_READY;
    return s->msix == PCI_OFF || msix_init(&s->pci, MSIX_AT, MSIX_VECTORS, gen2 ? 1 : 0, s->bar, MSIX_TABLE,
                                           gen2 ? 1 : 0, s->bar, MSIX_PBA, errp);
}

static void reset(Device *d, ResetPhase phase)
{
    Megasas *s = megasas_of(d);
    if (phase != RESET_ENTER)
        return;
    soft_reset(s);
    s->sequence = 0;
    s->event_count = s->event_told = 0;
}

static void saving(Device *d) { scsi_bus_settle(&megasas_of(d)->bus); }

static bool loaded(Device *d, Error **errp)
{
    Megasas *s = megasas_of(d);
    bool known = s->state == STATE_READY || s->state == STATE_OPERATIONAL || s->state == STATE_FAULT;
    if (known && (!s->replies || (s->entries && s->entries <= 0x10000)) && s->produced < MAX(s->entries, 1u)) {
        update_irq(s, false);
        return true;
    }
    error_setf(errp, "device '%s': the saved state is not one that it can be in", d->id);
    return false;
}

static void stop(Device *d) { scsi_bus_fini(&megasas_of(d)->bus); }

#define PROPS(cmds) { \
    PROP_(PROP_U32, "max_sge", Megasas, max_sge, 80, "pieces of a request's memory", .min = 1, .max = MFI_SGES_MAX), \
    PROP_(PROP_U32, "max_cmds", Megasas, max_cmds, cmds, "requests at a time", .min = 16, .max = 2048), \
    DEFINE_PROP_STRING("hba_serial", Megasas, serial, "QEMU123456", "serial number of the adapter"), \
    DEFINE_PROP_U64("sas_address", Megasas, sas_address, 0, "of its port; 0: made from its place"), \
    DEFINE_PROP_ENUM("msi", Megasas, msi, PCI_AUTO, pci_on_off_auto, "interrupts by MSI"), \
    DEFINE_PROP_ENUM("msix", Megasas, msix, PCI_AUTO, pci_on_off_auto, "interrupts by MSI-X"), \
    DEFINE_PROP_BOOL("use_jbod", Megasas, jbod, false, "units are physical disks, not logical drives"), \
    DEFINE_PROP_END }
static const Property props[] = PROPS(1000), props_gen2[] = PROPS(1008);
static const StateField state[] = { STATE_U32(Megasas, state),       STATE_U32(Megasas, sequence),
                                    STATE_U64(Megasas, replies),     STATE_U64(Megasas, producer_at),
                                    STATE_U64(Megasas, consumer_at), STATE_U32(Megasas, entries),
                                    STATE_U32(Megasas, produced),    STATE_BOOL(Megasas, wide),
                                    STATE_U64(Megasas, event_frame), STATE_U32(Megasas, event_count),
                                    STATE_U32(Megasas, event_told),  STATE_END_OF_TABLE };
static const char *const provides[] = { "scsi", NULL };
#define MEGASAS_TYPE(name_, desc_, props_, info_) \
    { .name = name_, .desc = desc_, .category = "Storage", .size = sizeof(Megasas), .bus = "pci", \
        .user_creatable = true, .provides = provides, \
      .base = &pci_device_type, .banks = banks, .props = props_, .state = state, .init = init, .start = start, \
      .reset = reset, .saving = saving, \
      .loaded = loaded, .stop = stop, .class_data = &info_ }
static const PciDeviceInfo info = { .vendor = 0x1000,
                                    .device = 0x0060,
                                    .class_code = 0x010400,
                                    .subsystem_vendor = 0x1000,
                                    .subsystem = 0x1013,
                                    .interrupt_pin = 1 };
static const PciDeviceInfo info_gen2 = { .vendor = 0x1000,
                                         .device = 0x0079,
                                         .class_code = 0x010400,
                                         .subsystem_vendor = 0x1000,
                                         .subsystem = 0x9261,
                                         .interrupt_pin = 1,
                                         .express = true };
static const DeviceType megasas_type = MEGASAS_TYPE("megasas", "LSI MegaRAID SAS 1078", props, info);
DEVICE_REGISTER(megasas_type)
static const DeviceType gen2_type = MEGASAS_TYPE("megasas-gen2", "LSI MegaRAID SAS 2108", props_gen2, info_gen2);
DEVICE_REGISTER(gen2_type)
