/* SPDX-License-Identifier: MIT */
/* VMware's paravirtual SCSI adapter: rings of requests and completions in guest memory. */
#include "base/bits.h"
#include "base/log.h"
#include "hw/pci/pci.h"
#include "hw/scsi/scsi.h"

enum {
    BAR_SIZE = 0x8000,
    PAGE = 4096,
    TARGETS = 64,
    REQUEST_PAGES = 32,
    MESSAGE_PAGES = 16,
    DESCRIPTOR = 128,
    COMPLETION = 32
};
enum {
    CMD_RESET = 1,
    CMD_ISSUE,
    CMD_SETUP_RINGS,
    CMD_RESET_BUS,
    CMD_RESET_DEVICE,
    CMD_ABORT,
    CMD_CONFIG,
    CMD_SETUP_MESSAGES,
    CMD_UNPLUG,
    CMD_THRESHOLD,
    CMD_COUNT
};
enum { INT_COMPLETION = 1, INT_MESSAGE = 4 };
enum {
    FLAG_LIST = 1,
    FLAG_FAR_CDB = 2,
    FLAG_FROM_DEVICE = 8,
    FLAG_TO_DEVICE = 16,
    LIST_CHAIN = 1,
    LIST_MAX = 2 * DMA_VEC_MAX
};
enum {
    H_SUCCESS = 0,
    H_SELECTION_TIMEOUT = 0x11,
    H_DATA_OVERRUN = 0x12,
    H_LUN_MISMATCH = 0x17,
    H_INVALID = 0x1a,
    H_ADAPTER = 0x20,
    H_RESET = 0x22,
    H_ABORTED = 0x26
};
/* In the page of states that both sides write. */
enum {
    RS_REQ_PROD = 0,
    RS_REQ_CONS = 4,
    RS_REQ_LOG2 = 8,
    RS_CMP_PROD = 12,
    RS_CMP_CONS = 16,
    RS_CMP_LOG2 = 20,
    RS_MSG_PROD = 128,
    RS_MSG_CONS = 132,
    RS_MSG_LOG2 = 136
};
#define STATUS_FAILED UINT32_MAX
#define STATUS_MORE (UINT32_MAX - 1)

typedef struct Pvscsi {
    PciDevice pci;
    ScsiBus bus;
    bool use_msg;
    uint32_t command, command_status, intr_status, intr_mask;
    uint32_t words_got;
    uint32_t words[132];               /* of the command that is being given */
    bool rings, messages;              /* they are set up */
    uint32_t request_pages, completion_pages, message_pages;
    uint64_t state_page, request_page[REQUEST_PAGES], completion_page[REQUEST_PAGES], message_page[MESSAGE_PAGES];
    uint32_t consumed, produced, told; /* indexes of our own */
} Pvscsi;

static Pvscsi *of(Device *d) { return (Pvscsi *)d; }

/* --- memory and interrupts --- */

static uint32_t get_state(Pvscsi *s, unsigned at)
{
    uint8_t b[4] = { 0 };
    pci_dma_read(&s->pci, s->state_page * PAGE + at, b, sizeof b);
    return load_le32(b);
}

static void set_state(Pvscsi *s, unsigned at, uint32_t value)
{
    uint8_t b[4];
    store_le32(b, value);
    pci_dma_write(&s->pci, s->state_page * PAGE + at, b, sizeof b);
}

static void update_irq(Pvscsi *s, uint32_t raised)
{
    bool level = s->intr_status & s->intr_mask;
    if (!msi_enabled(&s->pci))
        pci_set_irq(&s->pci, level);
    else if (raised & s->intr_mask)
        msi_notify(&s->pci, 0);
}

static void raise_irq(Pvscsi *s, uint32_t bits)
{
    s->intr_status |= bits;
    update_irq(s, bits);
}

/* Where entry `index` of a ring is. */
static uint64_t entry_at(const uint64_t *pages, uint32_t count, uint32_t index, unsigned size)
{
    uint32_t entries = count * (PAGE / size), at = index % entries * size;
    return pages[at / PAGE] * PAGE + at % PAGE;
}

/* --- requests --- */

typedef struct Request {
    Pvscsi *s;
    uint8_t descriptor[DESCRIPTOR];
    uint64_t context, sense_addr;
    uint32_t sense_room;
} Request;

static void post(Pvscsi *s, uint64_t context, uint64_t done, uint32_t sense_len, uint16_t host, uint16_t status)
{
    uint8_t e[COMPLETION] = { 0 };
    if (!s->rings)
        return;
    store_le64(e, context);
    store_le64(e + 8, done);
    store_le32(e + 16, sense_len);
    store_le16(e + 20, host);
    store_le16(e + 22, status);
    pci_dma_write(&s->pci, entry_at(s->completion_page, s->completion_pages, s->produced, COMPLETION), e, sizeof e);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    set_state(s, RS_CMP_PROD, ++s->produced);
    raise_irq(s, INT_COMPLETION);
}

static void request_end(Request *q, uint64_t done, uint32_t sense_len, uint16_t host, uint16_t status)
{
    post(q->s, q->context, done, sense_len, host, status);
    g_free(q);
}

static void complete(ScsiRequest *r)
{
    Request *q = r->hba;
    uint32_t sense = MIN(q->sense_room, (uint32_t)r->sense_len);
    if (sense)
        pci_dma_write(&q->s->pci, q->sense_addr, r->sense, sense);
    uint16_t host = r->reset ? H_RESET : r->cancelled ? H_ABORTED : r->overrun ? H_DATA_OVERRUN : H_SUCCESS;
    request_end(q, r->done_bytes, sense, host, r->cancelled ? 0 : r->status);
    scsi_request_free(r);
}

static void dropped(ScsiRequest *r)
{
    g_free(r->hba);
    scsi_request_free(r);
}

static void save_request(const ScsiRequest *r, GByteArray *out)
{
    g_byte_array_append(out, ((const Request *)r->hba)->descriptor, DESCRIPTOR);
}

/* A list of pieces, in tables that lead to further tables. */
static bool add_list(Pvscsi *s, DmaVec *v, uint64_t at, uint64_t len)
{
    for (unsigned seen = 0; len && seen < LIST_MAX; seen++) {
        uint8_t e[16];
        if (pci_dma_read(&s->pci, at, e, sizeof e) != MEM_OK)
            return false;
        if (load_le32(e + 12) & LIST_CHAIN) {
            at = load_le64(e);
            continue;
        }
        uint64_t n = MIN(load_le32(e + 8), len);
        if (n && !dma_vec_add(v, load_le64(e), n))
            return false;
        len -= n;
        at += sizeof e;
    }
    return !len;
}

static bool add_data(Pvscsi *s, ScsiRequest *r, const uint8_t *d, uint32_t flags)
{
    uint64_t addr = load_le64(d + 8), len = load_le64(d + 16);
    DmaVec *v = scsi_request_map(r, pci_dma_space(&s->pci), pci_attrs(&s->pci));
    return flags & FLAG_LIST ? add_list(s, v, addr, len) : !len || dma_vec_add(v, addr, len);
}

static void start_request(Pvscsi *s, const uint8_t *d)
{
    Request *q = g_new0(Request, 1);
    uint32_t flags = load_le32(d + 36), cdb_len = d[56], lun = d[58];
    *q = (Request){ .s = s, .context = load_le64(d), .sense_addr = load_le64(d + 24), .sense_room = load_le32(d + 32) };
    memcpy(q->descriptor, d, DESCRIPTOR);
    if (flags & FLAG_FAR_CDB || cdb_len > 16 || d[57] || load_be(d + 59, 4)) {
        request_end(q, 0, 0, flags & FLAG_FAR_CDB || cdb_len > 16 ? H_INVALID : H_LUN_MISMATCH, 0);
        return;
    }
    ScsiRequest *r = d[66] ? NULL : scsi_request_new(&s->bus, 0, d[67], lun, d + 40, cdb_len, q->context, q);
    if (!r) {
        request_end(q, 0, 0, H_SELECTION_TIMEOUT, 0);
        return;
    }
    uint32_t wrong = r->dir == SCSI_FROM_DEVICE ? FLAG_TO_DEVICE : r->dir == SCSI_TO_DEVICE ? FLAG_FROM_DEVICE : 0;
    bool moves = flags & (FLAG_FROM_DEVICE | FLAG_TO_DEVICE) || r->dir != SCSI_NO_DATA;
    if (flags & wrong || (moves && !add_data(s, r, d, flags))) {
        scsi_request_free(r);
        request_end(q, 0, 0, flags & wrong ? H_INVALID : H_ADAPTER, 0);
        return;
    }
    scsi_request_go(r);
}

static bool restart_request(ScsiBus *b, const uint8_t *bytes, size_t len)
{
    if (len == DESCRIPTOR)
        start_request(container_of(b, Pvscsi, bus), bytes);
    return len == DESCRIPTOR;
}

static void run_ring(Pvscsi *s)
{
    if (!s->rings)
        return;
    uint32_t entries = s->request_pages * (PAGE / DESCRIPTOR);
    for (unsigned n = 0; s->rings && s->consumed != get_state(s, RS_REQ_PROD); n++) {
        uint8_t d[DESCRIPTOR];
        if (n == entries || get_state(s, RS_REQ_PROD) - s->consumed > entries) {
            if (n < entries)
                log_guest_error(s->pci.dev.id, "pvscsi: more requests are made than the ring holds");
            break;
        }
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (pci_dma_read(&s->pci, entry_at(s->request_page, s->request_pages, s->consumed, DESCRIPTOR), d, sizeof d) !=
            MEM_OK)
            break;
        set_state(s, RS_REQ_CONS, ++s->consumed);
        start_request(s, d);
    }
}

/* --- messages: units that come and go --- */

static void hotplugged(ScsiBus *b, ScsiDevice *unit, bool added)
{
    Pvscsi *s = container_of(b, Pvscsi, bus);
    uint8_t m[DESCRIPTOR] = { 0 };
    if (!s->messages || s->told - get_state(s, RS_MSG_CONS) >= s->message_pages * (PAGE / DESCRIPTOR))
        return;
    store_le32(m, added ? 0 : 1);
    store_le32(m + 8, (uint32_t)unit->id);
    m[13] = (uint8_t)unit->lun;
    pci_dma_write(&s->pci, entry_at(s->message_page, s->message_pages, s->told, DESCRIPTOR), m, sizeof m);
    set_state(s, RS_MSG_PROD, ++s->told);
    raise_irq(s, INT_MESSAGE);
}

/* --- commands --- */

static void forget_rings(Pvscsi *s)
{
    s->rings = s->messages = false;
    s->consumed = s->produced = s->told = 0;
}

static void adapter_reset(Pvscsi *s)
{
    scsi_task_management(&s->bus, SCSI_BUS_RESET, 0, 0, 0, 0, scsi_no_answer, NULL);
    scsi_bus_settle(&s->bus);
    forget_rings(s);
    s->intr_status = 0;
    update_irq(s, 0);
}

static uint64_t word64(const Pvscsi *s, unsigned i) { return s->words[i] | (uint64_t)s->words[i + 1] << 32; }

static uint32_t setup_rings(Pvscsi *s)
{
    uint32_t requests = s->words[0], completions = s->words[1];
    if (!is_pow2(requests) || requests > REQUEST_PAGES || !is_pow2(completions) || completions > REQUEST_PAGES) {
        log_guest_error(s->pci.dev.id, "pvscsi: rings of %u and %u pages", requests, completions);
        return STATUS_FAILED;
    }
    scsi_bus_settle(&s->bus);
    forget_rings(s);
    s->request_pages = requests;
    s->completion_pages = completions;
    s->state_page = word64(s, 2);
    for (unsigned i = 0; i < REQUEST_PAGES; i++) {
        s->request_page[i] = word64(s, 4 + 2 * i);
        s->completion_page[i] = word64(s, 4 + 2 * REQUEST_PAGES + 2 * i);
    }
    s->rings = true;
    static const unsigned zero[] = { RS_REQ_PROD, RS_REQ_CONS, RS_CMP_PROD, RS_CMP_CONS,
                                     RS_MSG_PROD, RS_MSG_CONS, RS_MSG_LOG2 };
    for (unsigned i = 0; i < ARRAY_LEN(zero); i++)
        set_state(s, zero[i], 0);
    set_state(s, RS_REQ_LOG2, (uint32_t)__builtin_ctz(requests * (PAGE / DESCRIPTOR)));
    set_state(s, RS_CMP_LOG2, (uint32_t)__builtin_ctz(completions * (PAGE / COMPLETION)));
    return 0;
}

static uint32_t setup_messages(Pvscsi *s)
{
    uint32_t pages = s->words[0];
    if (!s->use_msg || !s->rings || !is_pow2(pages) || pages > MESSAGE_PAGES)
        return STATUS_FAILED;
    s->message_pages = pages;
    for (unsigned i = 0; i < MESSAGE_PAGES; i++)
        s->message_page[i] = word64(s, 2 + 2 * i);
    s->messages = true;
    s->told = 0;
    set_state(s, RS_MSG_PROD, 0);
    set_state(s, RS_MSG_CONS, 0);
    set_state(s, RS_MSG_LOG2, (uint32_t)__builtin_ctz(pages * (PAGE / DESCRIPTOR)));
    return 0;
}

/* The page that tells how many targets there are. */
static uint32_t config_page(Pvscsi *s)
{
    enum { CONTROLLER = 0x1958, SIZE = 24 + 2 * (64 + 64 + 32 + 32 + 32) + 8, INVALID = 0x1a, CHECK = 2 };
    uint8_t p[SIZE] = { 0 };
    bool known = s->words[4] == CONTROLLER;
    store_le32(p, s->words[4]);
    store_le16(p + 4, SIZE / 4);
    store_le16(p + 6, known ? 0 : INVALID);
    store_le16(p + 8, known ? 0 : CHECK);
    store_le32(p + SIZE - 8, TARGETS);
    pci_dma_write(&s->pci, word64(s, 0), p, known ? SIZE : 16);
    return 0;
}

static uint32_t abort_one(Pvscsi *s)
{
    uint64_t context = word64(s, 0);
    ScsiRequest *r = s->bus.running;
    while (r && r->tag != context)
        r = r->next;
    if (r)
        scsi_request_cancel(r);
    return 0;
}

static uint32_t reset_device(Pvscsi *s)
{
    scsi_task_management(&s->bus, SCSI_LUN_RESET, 0, s->words[0], s->words[1] >> 8 & 0xff, 0, scsi_no_answer, NULL);
    return 0;
}

static uint32_t reset_bus(Pvscsi *s)
{
    scsi_task_management(&s->bus, SCSI_BUS_RESET, 0, 0, 0, 0, scsi_no_answer, NULL);
    return 0;
}

static uint32_t reset_adapter(Pvscsi *s)
{
    adapter_reset(s);
    return 0;
}

static const struct { uint32_t words; uint32_t (*run)(Pvscsi *s); } commands[CMD_COUNT] = {
    [CMD_RESET] = { 0, reset_adapter }, [CMD_SETUP_RINGS] = { 132, setup_rings }, [CMD_RESET_BUS] = { 0, reset_bus },
    [CMD_RESET_DEVICE] = { 3, reset_device }, [CMD_ABORT] = { 4, abort_one }, [CMD_CONFIG] = { 6, config_page },
    [CMD_SETUP_MESSAGES] = { 34, setup_messages },
};

static void try_command(Pvscsi *s)
{
    if (s->command >= CMD_COUNT || !commands[s->command].run || (s->command == CMD_SETUP_MESSAGES && !s->use_msg)) {
        s->command_status = STATUS_FAILED;
        return;
    }
    s->command_status = STATUS_MORE;
    if (s->words_got < commands[s->command].words)
        return;
    uint32_t command = s->command;
    s->command = 0;
    s->words_got = 0;
    s->command_status = commands[command].run(s);
}

static void command_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    of(d)->words_got = 0;
    try_command(of(d));
}

static void data_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Pvscsi *s = of(d);
    if (!s->command || s->words_got >= ARRAY_LEN(s->words))
        return;
    s->words[s->words_got++] = (uint32_t)value;
    try_command(s);
}

static void irq_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value) { update_irq(of(d), 0); }
static void kicked(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value) { run_ring(of(d)); }

static const Reg regs[] = {
    { .name = "COMMAND", .at = 0, .size = 4, .field = offsetof(Pvscsi, command), .wrote = command_wrote },
    { .name = "COMMAND_DATA", .at = 4, .size = 4, .field = REG_NO_FIELD, .wrote = data_wrote },
    { .name = "COMMAND_STATUS", .at = 8, .size = 4, .field = offsetof(Pvscsi, command_status), .ro = UINT32_MAX },
    { .name = "INTR_STATUS",
      .at = 0x100c,
      .size = 4,
      .field = offsetof(Pvscsi, intr_status),
      .w1c = UINT32_MAX,
      .wrote = irq_wrote },
    { .name = "INTR_MASK", .at = 0x2010, .size = 4, .field = offsetof(Pvscsi, intr_mask), .wrote = irq_wrote },
    { .name = "KICK_NON_RW_IO", .at = 0x3014, .size = 4, .field = REG_NO_FIELD, .wrote = kicked },
    { .name = "KICK_RW_IO", .at = 0x4018, .size = 4, .field = REG_NO_FIELD, .wrote = kicked },
    { .name = NULL },
};
static const RegBank bank = { .name = "regs", .size = BAR_SIZE, .regs = regs };
static const RegBank *const banks[] = { &bank, NULL };

/* --- the device --- */

static const ScsiHost host = { .channels = 1,
                               .targets = TARGETS,
                               .luns = 256,
                               .complete = complete,
                               .drop = dropped,
                               .save = save_request,
                               .restart = restart_request,
                               .hotplug = hotplugged };

static void init(Device *d) { device_own_domain(d, "pvscsi"); }

static bool start(Device *d, Error **errp)
{
    Pvscsi *s = of(d);
    scsi_bus_init(&s->bus, &host, d);
    pci_register_bar(&s->pci, 0, PCI_BAR_MEM, d->region[0]);
    pcie_cap_init(&s->pci, 0, PCIE_ENDPOINT, 0);
    msi_init(&s->pci, 0, 1, true, false);
    return true;
}

static void reset(Device *d, ResetPhase phase)
{
    Pvscsi *s = of(d);
    if (phase != RESET_ENTER)
        return;
    scsi_bus_drop(&s->bus);
    forget_rings(s);
    s->words_got = 0;
    memset(s->words, 0, sizeof s->words);
    s->request_pages = s->completion_pages = s->message_pages = 0;
    s->state_page = 0;
    memset(s->request_page, 0, sizeof s->request_page);
    memset(s->completion_page, 0, sizeof s->completion_page);
    memset(s->message_page, 0, sizeof s->message_page);
    pci_set_irq(&s->pci, 0);
}

static void saving(Device *d) { scsi_bus_settle(&of(d)->bus); }

static bool page_count(uint32_t n, uint32_t max, bool used) { return n <= max && (!used || is_pow2(n)); }

static bool loaded(Device *d, Error **errp)
{
    Pvscsi *s = of(d);
    if (s->words_got <= ARRAY_LEN(s->words) && page_count(s->request_pages, REQUEST_PAGES, s->rings) &&
        page_count(s->completion_pages, REQUEST_PAGES, s->rings) &&
        page_count(s->message_pages, MESSAGE_PAGES, s->messages)) {
        update_irq(s, 0);
        return true;
    }
    error_setf(errp, "device '%s': saved rings of an impossible size", d->id);
    return false;
}

static void stop(Device *d) { scsi_bus_fini(&of(d)->bus); }

static const Property props[] = { DEFINE_PROP_BOOL("use_msg", Pvscsi, use_msg, true, "tell of units that come and go"),
                                  DEFINE_PROP_END };
static const StateField state[] = { STATE_U32(Pvscsi, words_got),
                                    STATE_U32_ARRAY(Pvscsi, words),
                                    STATE_BOOL(Pvscsi, rings),
                                    STATE_BOOL(Pvscsi, messages),
                                    STATE_U32(Pvscsi, request_pages),
                                    STATE_U32(Pvscsi, completion_pages),
                                    STATE_U32(Pvscsi, message_pages),
                                    STATE_U64(Pvscsi, state_page),
                                    STATE_U64_ARRAY(Pvscsi, request_page),
                                    STATE_U64_ARRAY(Pvscsi, completion_page),
                                    STATE_U64_ARRAY(Pvscsi, message_page),
                                    STATE_U32(Pvscsi, consumed),
                                    STATE_U32(Pvscsi, produced),
                                    STATE_U32(Pvscsi, told),
                                    STATE_END_OF_TABLE };
static const char *const provides[] = { "scsi", NULL };
static const PciDeviceInfo info = { .vendor = 0x15ad,
                                    .device = 0x07c0,
                                    .revision = 2,
                                    .class_code = 0x010700,
                                    .subsystem_vendor = 0x15ad,
                                    .subsystem = 0x07c0,
                                    .interrupt_pin = 1,
                                    .express = true };
static const DeviceType pvscsi_type = {
    .name = "pvscsi",
    .desc = "VMware paravirtual SCSI adapter",
    .category = "Storage",
    .size = sizeof(Pvscsi),
    .bus = "pci",
    .user_creatable = true,
    .provides = provides,
    .base = &pci_device_type,
    .banks = banks,
    .props = props,
    .state = state,
    .init = init,
    .start = start,
    .reset = reset,
    .saving = saving,
    .loaded = loaded,
    .stop = stop,
    .class_data = &info,
};
DEVICE_REGISTER(pvscsi_type)
