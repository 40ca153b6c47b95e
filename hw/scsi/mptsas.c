/* SPDX-License-Identifier: MIT */
/* LSI SAS1068: registers, doorbell, FIFOs, SCSI requests and task management. */
#include "hw/scsi/mptsas.h"
#include "base/log.h"

enum { BAR_IO = 256, BAR_REGS = 0x4000, BAR_DIAG = 0x10000 };
#define STATE_READY 0x10000000u
#define STATE_OPERATIONAL 0x20000000u
#define STATE_FAULT 0x40000000u
#define DOORBELL_ACTIVE BIT(27)
enum { DOORBELL_IDLE, DOORBELL_WORDS, DOORBELL_ANSWER, DOORBELL_LAST /* the interrupt behind the answer */ };
enum { INT_DOORBELL = 1, INT_REPLY = 8 };
enum { DIAG_WRITE_ENABLE = 0x80, DIAG_HISTORY = 0x20, DIAG_RESET = 4 };
enum { EVENT_CONTINUES = 0x80, FAULT_NO_REPLY = 0x8000, ELEMENTS_MAX = 2 * DMA_VEC_MAX };
enum { SGE_LAST = 0x80, SGE_CHAIN = 0x30, SGE_SIMPLE = 0x10, SGE_64 = 0x02, SGE_END = 0x01 };

/* --- interrupts and queues --- */

static void update_irq(Mptsas *s, bool raised)
{
    s->his = (s->his & ~(uint32_t)INT_REPLY) | (s->post.count ? INT_REPLY : 0);
    bool level = s->his & ~s->him & (INT_DOORBELL | INT_REPLY);
    if (!msi_enabled(&s->pci))
        pci_set_irq(&s->pci, level);
    else if (raised && level)
        msi_notify(&s->pci, 0);
}

static bool put(MptQueue *q, uint32_t max, uint32_t value)
{
    if (q->count >= max)
        return false;
    q->entry[(q->first + q->count++) % MPT_POST_MAX] = value;
    return true;
}

static uint32_t take(MptQueue *q)
{
    if (!q->count)
        return UINT32_MAX;
    uint32_t value = q->entry[q->first];
    q->first = (q->first + 1) % MPT_POST_MAX;
    q->count--;
    return value;
}

static void fault(Mptsas *s, uint32_t code)
{
    log_guest_error(s->pci.dev.id, "mptsas: fault 0x%x: the guest leaves no room for answers", code);
    s->state = STATE_FAULT | code;
}

static void post(Mptsas *s, uint32_t descriptor)
{
    if (!put(&s->post, MPT_POST_MAX, descriptor))
        fault(s, FAULT_NO_REPLY);
    update_irq(s, true);
}

/* --- answers --- */

static void frame_answer(Mptsas *s, const uint8_t *answer, unsigned len)
{
    uint32_t at = take(&s->free);
    if (at == UINT32_MAX) {
        fault(s, FAULT_NO_REPLY);
        return;
    }
    pci_dma_write(&s->pci, at | (uint64_t)s->high << 32, answer, MIN(len, (unsigned)s->reply_size));
    __atomic_thread_fence(__ATOMIC_RELEASE);
    post(s, BIT(31) | at >> 1);
}

void mpt_answer(const MptMessage *m, uint8_t *answer, unsigned len, unsigned status)
{
    Mptsas *s = m->s;
    answer[M_LENGTH] = (uint8_t)(len / 4);
    answer[M_FUNCTION] = m->b[M_FUNCTION];
    answer[M_FLAGS] |= m->b[M_FLAGS];
    memcpy(answer + M_CONTEXT, m->b + M_CONTEXT, 4);
    store_le16(answer + M_STATUS, (uint16_t)status);
    /* which comes by the doorbell because it is urgent */
    if (m->at != MPT_BY_DOORBELL || m->b[M_FUNCTION] == MPI_TASK_MGMT) {
        frame_answer(s, answer, len);
        return;
    }
    memcpy(s->answer, answer, MIN(len, (unsigned)MPT_REPLY_MAX));
    s->answer_len = (uint8_t)MIN(len, (unsigned)MPT_REPLY_MAX);
    s->words_out = 0;
    s->doorbell = DOORBELL_ANSWER;
    s->his |= INT_DOORBELL;
    update_irq(s, true);
}

static void plain_answer(const MptMessage *m, unsigned status)
{
    uint8_t answer[20] = { 0 };
    memcpy(answer, m->b, 7);
    mpt_answer(m, answer, sizeof answer, status);
}

void mpt_event(Mptsas *s, uint32_t event, const uint8_t *data, unsigned words)
{
    uint8_t answer[MPT_REPLY_MAX] = { 0 };
    store_le16(answer, (uint16_t)words);
    answer[M_LENGTH] = (uint8_t)(7 + words);
    answer[M_FUNCTION] = MPI_EVENTS;
    answer[M_FLAGS] = EVENT_CONTINUES;
    store_le32(answer + M_CONTEXT, s->event_context);
    store_le32(answer + 20, event);
    memcpy(answer + 28, data, 4 * words);
    if (s->events)
        frame_answer(s, answer, 28 + 4 * words);
}

/* --- lists --- */

unsigned mpt_element_bytes(const MptMessage *m, unsigned offset) { return m->b[offset + 3] & SGE_64 ? 12 : 8; }

bool mpt_map(const MptMessage *m, DmaVec *v, unsigned offset, uint64_t len)
{
    Mptsas *s = m->s;
    uint64_t at = m->at + offset;
    bool inside = m->at == MPT_BY_DOORBELL; /* the list is in the message itself */
    for (unsigned n = 0; len; n++) {
        uint8_t e[12] = { 0 };
        if (n == ELEMENTS_MAX)
            return false;
        if (inside)
            memcpy(e, m->b + offset, sizeof e);
        else if (pci_dma_read(&s->pci, at, e, sizeof e) != MEM_OK)
            return false;
        uint8_t flags = e[3];
        uint64_t where = load_le32(e + 4) | (flags & SGE_64 ? (uint64_t)load_le32(e + 8) << 32 : 0);
        if ((flags & SGE_CHAIN) == SGE_CHAIN && !inside) {
            at = where;
            continue;
        }
        uint64_t bytes = MIN(load_le32(e) & 0xffffff, len);
        if ((flags & SGE_CHAIN) != SGE_SIMPLE)
            return false;
        if (bytes && !dma_vec_add(v, where, bytes))
            return false;
        len -= bytes;
        if (flags & SGE_END || inside)
            break;
        at += flags & SGE_64 ? 12 : 8;
    }
    return true;
}

/* --- SCSI requests --- */

typedef struct Request {
    MptMessage m;
    uint32_t length;
} Request;

static void scsi_answer(const MptMessage *m, unsigned status, uint8_t scsi_status, uint8_t scsi_state, uint64_t moved,
                        uint32_t sense)
{
    uint8_t a[36] = { 0 };
    memcpy(a, m->b, 6);
    a[12] = scsi_status;
    a[13] = scsi_state;
    store_le32(a + 20, (uint32_t)moved);
    store_le32(a + 24, sense);
    store_le16(a + 32, 0xffff); /* no tag */
    mpt_answer(m, a, sizeof a, status);
}

static void complete(ScsiRequest *r)
{
    enum { SENSE_VALID = 1, TERMINATED = 8 };
    Request *q = r->hba;
    const MptMessage *m = &q->m;
    Mptsas *s = m->s;
    uint32_t sense = r->cancelled ? 0 : MIN(m->b[5], r->sense_len);
    if (sense)
        pci_dma_write(&s->pci, load_le32(m->b + 0x2c) | (uint64_t)s->sense_high << 32, r->sense, sense);
    if (r->cancelled)
        scsi_answer(m, MPI_TERMINATED, r->status, TERMINATED, 0, 0);
    else if (r->overrun)
        scsi_answer(m, MPI_OVERRUN, 0, 0, 0, 0);
    else if (r->status || r->done_bytes != q->length)
        scsi_answer(m, r->done_bytes != q->length ? MPI_UNDERRUN : MPI_OK, r->status, sense ? SENSE_VALID : 0,
                    r->done_bytes, sense);
    else
        post(s, load_le32(m->b + M_CONTEXT)); /* all is well: the context says it */
    scsi_request_free(r);
    g_free(q);
}

static void dropped(ScsiRequest *r)
{
    g_free(r->hba);
    scsi_request_free(r);
}

static uint32_t lun_of(const uint8_t *p) { return (uint32_t)load_be(p, 2) & 0x3fff; }

static void start_scsi(const MptMessage *m)
{
    enum { CONTROL_WRITE = 1, CONTROL_READ = 2 };
    Mptsas *s = m->s;
    uint8_t direction = m->b[0x17] & 3;
    uint32_t length = load_le32(m->b + 0x28);
    if (m->at == MPT_BY_DOORBELL || m->b[1]) {
        scsi_answer(m, m->b[1] ? MPI_INVALID_BUS : MPI_INVALID_FUNCTION, 0, 0, 0, 0);
        return;
    }
    Request *q = g_new0(Request, 1);
    q->m = *m;
    q->length = length;
    ScsiRequest *r = scsi_request_new(&s->bus, 0, m->b[0], lun_of(m->b + 0xc), m->b + 0x18, MIN(m->b[4], 16),
                                      load_le32(m->b + M_CONTEXT), q);
    unsigned wrong = !r ? MPI_NO_DEVICE : 0;
    if (r && ((r->dir == SCSI_FROM_DEVICE && direction == CONTROL_WRITE) ||
              (r->dir == SCSI_TO_DEVICE && direction == CONTROL_READ)))
        wrong = MPI_INVALID_FIELD;
    else if (r && !mpt_map(m, scsi_request_map(r, pci_dma_space(&s->pci), pci_attrs(&s->pci)), 0x30,
                           MIN(length, (uint32_t)SCSI_TRANSFER_MAX)))
        wrong = MPI_INVALID_SGL;
    if (!wrong) {
        scsi_request_go(r);
        return;
    }
    if (r)
        scsi_request_free(r);
    g_free(q);
    scsi_answer(m, wrong, 0, 0, 0, 0);
}

/* --- task management --- */

static void tmf_done(ScsiBus *b, void *opaque, ScsiTmfResult result)
{
    static const uint8_t code[] = {
        [SCSI_TMF_COMPLETE] = 0, [SCSI_TMF_SUCCEEDED] = 8, [SCSI_TMF_BAD_TARGET] = 5, [SCSI_TMF_BAD_LUN] = 9
    };
    g_autofree MptMessage *m = opaque;
    uint8_t a[24] = { 0 };
    memcpy(a, m->b, 2);
    a[4] = code[result];
    a[5] = m->b[5];
    mpt_answer(m, a, sizeof a, result == SCSI_TMF_BAD_TARGET ? MPI_NO_DEVICE : MPI_OK);
}

static void task_management(const MptMessage *m)
{
    static const ScsiTmf known[] = { 0,
                                     SCSI_ABORT_TASK,
                                     SCSI_ABORT_TASK_SET,
                                     SCSI_TARGET_RESET,
                                     SCSI_BUS_RESET,
                                     SCSI_LUN_RESET,
                                     SCSI_CLEAR_TASK_SET,
                                     SCSI_QUERY_TASK,
                                     SCSI_CLEAR_ACA };
    uint8_t type = m->b[5];
    if (!type || type >= ARRAY_LEN(known) || m->b[1]) {
        plain_answer(m, MPI_INVALID_FIELD);
        return;
    }
    scsi_task_management(&m->s->bus, known[type], 0, m->b[0], lun_of(m->b + 0xc), load_le32(m->b + 0x30), tmf_done,
                         g_memdup2(m, sizeof *m));
}

/* --- messages --- */

static void ioc_init(const MptMessage *m)
{
    Mptsas *s = m->s;
    uint8_t a[20] = { 0 };
    memcpy(a, m->b, 7);
    if (s->state != STATE_READY) {
        mpt_answer(m, a, sizeof a, MPI_INVALID_STATE);
        return;
    }
    s->who = m->b[0];
    s->max_devices = m->b[5];
    s->max_buses = m->b[6];
    s->reply_size = load_le16(m->b + 12);
    s->high = load_le32(m->b + 16);
    s->sense_high = load_le32(m->b + 20);
    s->state = STATE_OPERATIONAL;
    mpt_answer(m, a, sizeof a, MPI_OK);
}

/* The answer is an event itself: that events are on or off. Its context is that of all that follow. */
static void events(const MptMessage *m)
{
    enum { EVENT_CHANGE = 0x0a };
    Mptsas *s = m->s;
    uint8_t a[32] = { 1, [M_FLAGS] = EVENT_CONTINUES, [20] = EVENT_CHANGE, [28] = m->b[0] & 1 };
    s->event_context = load_le32(m->b + M_CONTEXT);
    s->events = m->b[0] & 1;
    mpt_answer(m, a, sizeof a, MPI_OK);
}

static void run_message(const MptMessage *m)
{
    switch (m->b[M_FUNCTION]) {
    case MPI_SCSI_IO: start_scsi(m); break;
    case MPI_TASK_MGMT: task_management(m); break;
    case MPI_IOC_INIT: ioc_init(m); break;
    case MPI_IOC_FACTS: mpt_facts(m); break;
    case MPI_CONFIG: mpt_config(m); break;
    case MPI_PORT_FACTS: mpt_port_facts(m); break;
    case MPI_EVENTS: events(m); break;
    case MPI_SMP: mpt_smp(m); break;
    case MPI_SAS_CONTROL: mpt_sas_control(m); break;
    case MPI_SATA: mpt_sata(m); break;
    case MPI_PORT_ENABLE: case MPI_EVENT_ACK: plain_answer(m, MPI_OK); break;
    default: plain_answer(m, MPI_INVALID_FUNCTION);
    }
}

static bool run_frame(Mptsas *s, uint64_t at)
{
    MptMessage m = { .s = s, .at = at };
    bool ok = pci_dma_read(&s->pci, at, m.b, sizeof m.b) == MEM_OK;
    if (ok)
        run_message(&m);
    return ok;
}

/* --- requests that are held --- */

static void save_request(const ScsiRequest *r, GByteArray *out)
{
    uint8_t at[8];
    store_le64(at, ((const Request *)r->hba)->m.at);
    g_byte_array_append(out, at, sizeof at);
}

static bool restart_request(ScsiBus *b, const uint8_t *bytes, size_t len)
{
    return len == 8 && load_le64(bytes) != MPT_BY_DOORBELL && run_frame(container_of(b, Mptsas, bus), load_le64(bytes));
}

static void hotplugged(ScsiBus *b, ScsiDevice *d, bool added)
{
    mpt_device_event(container_of(b, Mptsas, bus), d, added);
}
static const ScsiHost host = { .channels = 1,
                               .targets = MPT_PORTS,
                               .luns = MPT_LUNS,
                               .complete = complete,
                               .drop = dropped,
                               .save = save_request,
                               .restart = restart_request,
                               .hotplug = hotplugged };

/* --- registers --- */

static void soft_reset(Mptsas *s)
{
    scsi_bus_drop(&s->bus);
    s->state = STATE_READY;
    s->his = 0;
    s->who = s->max_devices = s->max_buses = 0;
    s->reply_size = 0;
    s->high = s->sense_high = s->event_context = 0;
    s->events = false;
    s->doorbell = DOORBELL_IDLE;
    s->words_want = s->words_got = s->words_out = s->answer_len = 0;
    memset(s->words, 0, sizeof s->words);
    memset(s->answer, 0, sizeof s->answer);
    s->free = s->post = (MptQueue){ 0 };
    update_irq(s, false);
}

static void doorbell_word(Mptsas *s, uint32_t word)
{
    s->words[s->words_got++] = word;
    if (s->words_got < s->words_want)
        return;
    MptMessage m = { .s = s, .at = MPT_BY_DOORBELL };
    for (unsigned i = 0; i < MIN(s->words_got, MPT_FRAME / 4); i++)
        store_le32(m.b + 4 * i, s->words[i]);
    s->doorbell = DOORBELL_IDLE;
    run_message(&m);
    s->his |= INT_DOORBELL; /* it is taken, though the answer may come by a frame */
    update_irq(s, true);
}

static void doorbell_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Mptsas *s = mptsas_of(d);
    if (s->doorbell == DOORBELL_WORDS) {
        doorbell_word(s, (uint32_t)value);
        return;
    }
    switch (value >> 24 & 0xff) {
    case MPI_RESET: case MPI_UNIT_RESET: soft_reset(s); break;
    case MPI_HANDSHAKE:
        s->words_want = (uint8_t)MIN(value >> 16 & 0xff, ARRAY_LEN(s->words));
        s->words_got = 0;
        s->doorbell = s->words_want ? DOORBELL_WORDS : DOORBELL_IDLE;
        s->his |= INT_DOORBELL;
        update_irq(s, true);
        break;
    default: log_guest_error(d->id, "mptsas: doorbell function 0x%x", (unsigned)(value >> 24 & 0xff));
    }
}

/* Each reading takes a word of the answer. */
static uint64_t doorbell_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    Mptsas *s = mptsas_of(d);
    uint32_t value = s->state | (uint32_t)(s->who & 7) << 24 |
                     (s->doorbell == DOORBELL_WORDS || s->doorbell == DOORBELL_ANSWER ? DOORBELL_ACTIVE : 0);
    if (s->doorbell != DOORBELL_ANSWER)
        return value;
    value = (value & 0xffff0000) | load_le16(s->answer + 2 * s->words_out);
    if (2 * ++s->words_out >= s->answer_len)
        s->doorbell = DOORBELL_LAST;
    return value;
}

/* Whatever is written: the doorbell's interrupt is over; one comes for each word, and one behind them. */
static void status_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Mptsas *s = mptsas_of(d);
    bool more = s->doorbell == DOORBELL_ANSWER || s->doorbell == DOORBELL_LAST;
    s->his = (s->his & ~(uint32_t)INT_DOORBELL) | (more ? INT_DOORBELL : 0);
    if (s->doorbell == DOORBELL_LAST)
        s->doorbell = DOORBELL_IDLE;
    update_irq(s, more);
}

static uint64_t status_read(Device *d, const Reg *r, unsigned i, uint64_t stored) { return mptsas_of(d)->his; }
static void mask_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    update_irq(mptsas_of(d), true);
}

static void sequence_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    static const uint8_t key[] = { 0x4, 0xb, 0x2, 0x7, 0xd };
    Mptsas *s = mptsas_of(d);
    s->sequence = s->sequence < sizeof key && key[s->sequence] == (value & 0xf) ? s->sequence + 1 : 0;
    s->diag = s->sequence == sizeof key ? s->diag | DIAG_WRITE_ENABLE : s->diag & ~(uint32_t)DIAG_WRITE_ENABLE;
}

static void diag_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Mptsas *s = mptsas_of(d);
    if (!(s->diag & DIAG_WRITE_ENABLE))
        return;
    s->diag &= ~(uint32_t)DIAG_HISTORY | (uint32_t)value;
    if (!(value & DIAG_RESET))
        return;
    s->sequence = 0;
    s->diag = DIAG_HISTORY;
    soft_reset(s);
}

static void request_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Mptsas *s = mptsas_of(d);
    if (s->state != STATE_OPERATIONAL || !run_frame(s, (value & ~UINT64_C(3)) | (uint64_t)s->high << 32))
        log_guest_error(d->id, "mptsas: no message can be taken from 0x%x", (unsigned)value);
}

static uint64_t reply_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    Mptsas *s = mptsas_of(d);
    uint32_t value = take(&s->post);
    update_irq(s, false);
    return value;
}

static void free_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Mptsas *s = mptsas_of(d);
    if (!put(&s->free, MPT_FREE_MAX, (uint32_t)value))
        log_guest_error(d->id, "mptsas: more than %d reply frames", MPT_FREE_MAX);
}

static const Reg regs[] = {
    { .name = "DOORBELL",
      .at = 0x00,
      .size = 4,
      .field = REG_NO_FIELD,
      .read = doorbell_read,
      .wrote = doorbell_wrote },
    { .name = "WRITE_SEQ", .at = 0x04, .size = 4, .field = REG_NO_FIELD, .wrote = sequence_wrote },
    { .name = "HOST_DIAG",
      .at = 0x08,
      .size = 4,
      .field = offsetof(Mptsas, diag),
      .ro = UINT32_MAX,
      .wrote = diag_wrote },
    { .name = "HIS", .at = 0x30, .size = 4, .field = REG_NO_FIELD, .read = status_read, .wrote = status_wrote },
    { .name = "HIM",
      .at = 0x34,
      .size = 4,
      .field = offsetof(Mptsas, him),
      .reset = INT_DOORBELL | INT_REPLY,
      .wrote = mask_wrote },
    { .name = "REQUEST", .at = 0x40, .size = 4, .field = REG_NO_FIELD, .wrote = request_wrote },
    { .name = "REPLY", .at = 0x44, .size = 4, .field = REG_NO_FIELD, .read = reply_read, .wrote = free_wrote },
    { .name = "HI_PRI", .at = 0x48, .size = 4, .field = REG_NO_FIELD, .wrote = request_wrote },
    { .name = NULL },
};
static const RegBank bank = { .name = "regs", .size = BAR_REGS, .regs = regs };
static const RegBank *const banks[] = { &bank, NULL };

/* --- the device --- */

static void init(Device *d) { device_own_domain(d, "mptsas"); }

static bool start(Device *d, Error **errp)
{
    Mptsas *s = mptsas_of(d);
    scsi_bus_init(&s->bus, &host, d);
    s->io = d->region[1] = mem_alias_new("mptsas-io", d->region[0], 0, BAR_IO);
    s->diagnostics = d->region[2] = mem_container_new("mptsas-diag", BAR_DIAG); /* nothing is in it */
    pci_register_bar(&s->pci, 0, PCI_BAR_IO, s->io);
    pci_register_bar(&s->pci, 1, PCI_BAR_MEM, d->region[0]);
    pci_register_bar(&s->pci, 2, PCI_BAR_MEM, s->diagnostics);
    if (s->msi != PCI_OFF)
        msi_init(&s->pci, 0, 1, true, false);
    s->state = STATE_READY;
    return true;
}

static void reset(Device *d, ResetPhase phase)
{
    Mptsas *s = mptsas_of(d);
    if (phase != RESET_ENTER)
        return;
    soft_reset(s);
    s->sequence = 0;
}

static void saving(Device *d) { scsi_bus_settle(&mptsas_of(d)->bus); }

static bool loaded(Device *d, Error **errp)
{
    Mptsas *s = mptsas_of(d);
    uint32_t state = s->state & 0xf0000000;
    if ((state == STATE_READY || state == STATE_OPERATIONAL || state == STATE_FAULT) && s->doorbell <= DOORBELL_LAST &&
        s->answer_len <= MPT_REPLY_MAX && s->words_want <= ARRAY_LEN(s->words) && s->free.count <= MPT_FREE_MAX &&
        s->post.count <= MPT_POST_MAX && s->free.first < MPT_POST_MAX && s->post.first < MPT_POST_MAX &&
        (s->doorbell != DOORBELL_WORDS || s->words_got < s->words_want) &&
        (s->doorbell != DOORBELL_ANSWER || 2 * s->words_out < s->answer_len)) {
        update_irq(s, false);
        return true;
    }
    error_setf(errp, "device '%s': the saved state is not one that it can be in", d->id);
    return false;
}

static void stop(Device *d) { scsi_bus_fini(&mptsas_of(d)->bus); }

static const Property props[] = {
    DEFINE_PROP_U64("sas_address", Mptsas, sas_address, 0, "of its first port; 0: made from its place"),
    DEFINE_PROP_ENUM("msi", Mptsas, msi, PCI_AUTO, pci_on_off_auto, "interrupts by MSI"), DEFINE_PROP_END
};
static const StateField queue_state[] = { STATE_U32(MptQueue, count), STATE_U32(MptQueue, first),
                                          STATE_U32_ARRAY(MptQueue, entry), STATE_END_OF_TABLE };
static const StateField state_fields[] = { STATE_U32(Mptsas, state),
                                           STATE_U32(Mptsas, his),
                                           STATE_U32(Mptsas, sequence),
                                           STATE_U8(Mptsas, who),
                                           STATE_U8(Mptsas, max_devices),
                                           STATE_U8(Mptsas, max_buses),
                                           STATE_U16(Mptsas, reply_size),
                                           STATE_U32(Mptsas, high),
                                           STATE_U32(Mptsas, sense_high),
                                           STATE_BOOL(Mptsas, events),
                                           STATE_U32(Mptsas, event_context),
                                           STATE_U8(Mptsas, doorbell),
                                           STATE_U8(Mptsas, words_want),
                                           STATE_U8(Mptsas, words_got),
                                           STATE_U8(Mptsas, words_out),
                                           STATE_U32_ARRAY(Mptsas, words),
                                           STATE_BYTES(Mptsas, answer),
                                           STATE_U8(Mptsas, answer_len),
                                           STATE_STRUCT(Mptsas, free, queue_state),
                                           STATE_STRUCT(Mptsas, post, queue_state),
                                           STATE_END_OF_TABLE };
static const char *const provides[] = { "scsi", NULL };
static const PciDeviceInfo info = { .vendor = 0x1000,
                                    .device = 0x0054,
                                    .class_code = 0x010000,
                                    .subsystem_vendor = 0x1000,
                                    .subsystem = 0x8000,
                                    .interrupt_pin = 1 };
static const DeviceType mptsas_type = {
    .name = "mptsas1068",
    .desc = "LSI SAS 1068",
    .category = "Storage",
    .size = sizeof(Mptsas),
    .bus = "pci",
    .user_creatable = true,
    .provides = provides,
    .base = &pci_device_type,
    .banks = banks,
    .props = props,
    .state = state_fields,
    .init = init,
    .start = start,
    .reset = reset,
    .saving = saving,
    .loaded = loaded,
    .stop = stop,
    .class_data = &info,
};
DEVICE_REGISTER(mptsas_type)
