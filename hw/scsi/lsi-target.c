/* SPDX-License-Identifier: MIT */
/* The SCSI bus of the LSI53C895A: phases, messages, disconnection (SPI-3 chapters 10, 16). */
#include "hw/scsi/lsi.h"

enum { M_COMPLETE = 0, M_EXTENDED = 1, M_SAVE_POINTERS = 2, M_DISCONNECT = 4, M_ERROR = 5, M_ABORT = 6, M_REJECT = 7, M_NOP = 8, M_PARITY = 9,
       M_ABORT_TAG = 0x0d, M_RESET = 0x0c, M_CLEAR_QUEUE = 0x0e, M_SIMPLE = 0x20, M_ORDERED = 0x22, M_IDENTIFY = 0x80 };

/* --- requests --- */

static LsiRequest *request_new(Lsi *s, unsigned target, unsigned lun)
{
    LsiRequest *q = g_new0(LsiRequest, 1);
    *q = (LsiRequest){ .s = s, .target = (uint8_t)target, .lun = (uint8_t)lun };
    g_ptr_array_add(s->requests, q);
    return q;
}

static void request_free(LsiRequest *q)
{
    Lsi *s = q->s;
    if (s) {
        s->buffers -= q->buf ? q->total : 0;
        g_ptr_array_remove(s->requests, q);
        if (s->current == q)
            s->current = NULL;
    }
    g_free(q->buf);
    g_free(q);
}

/* The guest will not hear of it again. */
static void give_up(LsiRequest *q)
{
    if (!q->scsi) {
        request_free(q);
        return;
    }
    Lsi *s = q->s;
    s->buffers -= q->buf ? q->total : 0;
    g_ptr_array_remove(s->requests, q);
    if (s->current == q)
        s->current = NULL;
    q->s = NULL;
    scsi_request_cancel(q->scsi);
}

void lsi_forget_requests(Lsi *s)
{
    while (s->requests->len)
        give_up(s->requests->pdata[s->requests->len - 1]);
    s->current = NULL;
}

static LsiRequest *find(const Lsi *s, unsigned target, unsigned lun, int tag)
{
    for (unsigned i = 0; i < s->requests->len; i++) {
        LsiRequest *q = s->requests->pdata[i];
        if (q->target == target && q->lun == lun && (tag < 0 || (q->tagged && q->tag == tag)) && q != s->current)
            return q;
    }
    return NULL;
}

/* --- the bus --- */

void lsi_set_phase(Lsi *s, LsiPhase phase)
{
    s->phase = (uint8_t)phase;
    s->reg[SSTAT1] = (uint8_t)((s->reg[SSTAT1] & ~7) | (phase & 7));
}

static void connect(Lsi *s, unsigned target)
{
    s->target = (uint8_t)target;
    s->reg[SCNTL1] |= SCNTL1_CON;
    s->reg[ISTAT0] |= ISTAT_CON;
    s->reg[SSTAT2] &= (uint8_t)~SSTAT2_LDSC;
}

void lsi_bus_free(Lsi *s)
{
    s->reg[SCNTL1] &= (uint8_t)~SCNTL1_CON;
    s->reg[ISTAT0] &= (uint8_t)~ISTAT_CON;
    s->reg[SSTAT2] |= SSTAT2_LDSC;
    s->reg[SOCL] = 0;
    s->message_len = s->message_at = 0;
    LsiRequest *q = s->current;
    if (q && q->ran && !q->done)
        q->disconnected = true; /* it comes back */
    else if (q && !q->disconnected)
        give_up(q);             /* left in the middle */
    s->current = NULL;
    lsi_set_phase(s, PHASE_NONE);
}

void lsi_bus_reset(Lsi *s)
{
    lsi_forget_requests(s);
    lsi_bus_free(s);
    scsi_task_management(&s->bus, SCSI_BUS_RESET, 0, 0, 0, 0, scsi_no_answer, NULL);
}

bool lsi_select(Lsi *s, unsigned target, bool attention)
{
    if (target == LSI_OWN_ID || !scsi_target_exists(&s->bus, 0, target))
        return false;
    connect(s, target);
    s->current = NULL;
    if (attention)
        s->reg[SOCL] |= SOCL_ATN;
    lsi_set_phase(s, attention ? PHASE_MSG_OUT : PHASE_COMMAND);
    return true;
}

/* --- messages to the host --- */

static void put_message(Lsi *s, uint8_t byte)
{
    if (s->message_len < LSI_MESSAGE_MAX)
        s->message[s->message_len++] = byte;
}

static void send_messages(Lsi *s, LsiPhase after)
{
    s->after = (uint8_t)after;
    s->message_at = 0;
    lsi_set_phase(s, PHASE_MSG_IN);
}

/* Where a request goes on that has its command. */
static LsiPhase next_phase(const LsiRequest *q)
{
    if (!q)
        return PHASE_COMMAND;
    if (q->done)
        return q->dir == SCSI_FROM_DEVICE && q->pos < q->total ? PHASE_DATA_IN : PHASE_STATUS;
    return !q->ran && q->cdb_len ? PHASE_DATA_OUT : q->ran ? PHASE_NONE : PHASE_COMMAND;
}

bool lsi_reselect(Lsi *s)
{
    for (unsigned i = 0; i < s->requests->len; i++) {
        LsiRequest *q = s->requests->pdata[i];
        if (!q->done || !q->disconnected)
            continue;
        connect(s, q->target);
        s->current = q;
        q->disconnected = false;
        s->reg[SSID] = (uint8_t)(0x80 | q->target);
        s->message_len = 0;
        put_message(s, (uint8_t)(M_IDENTIFY | q->lun));
        if (q->tagged) {
            put_message(s, M_SIMPLE);
            put_message(s, q->tag);
        }
        send_messages(s, next_phase(q));
        return true;
    }
    return false;
}

/* --- a command --- */

/* NULL: the unit went, or became another one, while data came. */
static ScsiRequest *make(Lsi *s, LsiRequest *q)
{
    ScsiRequest *r = scsi_request_new(&s->bus, 0, q->target, q->lun, q->cdb, q->cdb_len, q->tag, q);
    if (!r || (r->xfer == q->total && r->dir == q->dir))
        return r;
    scsi_request_free(r);
    return NULL;
}

static void complete(ScsiRequest *r)
{
    LsiRequest *q = r->hba;
    Lsi *s = q->s;
    q->scsi = NULL;
    q->status = r->status;
    q->done = true;
    if (s && q->dir == SCSI_FROM_DEVICE) {
        uint32_t got = (uint32_t)MIN(r->done_bytes, q->total);
        s->buffers -= q->total - got;
        q->total = got;
    }
    scsi_request_free(r);
    if (!s) {
        request_free(q);
        return;
    }
    if (s->current == q && !q->disconnected) { /* it may be about to leave: then it comes back */
        lsi_set_phase(s, next_phase(q));
        lsi_wake(s, WAIT_PHASE);
    } else {
        lsi_wake(s, WAIT_RESELECT);
    }
}
/* --- requests that are held: they stand in our list, too --- */

static void dropped(ScsiRequest *r)
{
    request_free(r->hba);
    scsi_request_free(r);
}

static void save_request(const ScsiRequest *r, GByteArray *out)
{
    const LsiRequest *q = r->hba;
    uint8_t name[4] = { q->target, q->lun, q->tagged, q->tag };
    g_byte_array_append(out, name, sizeof name);
}

static void run(Lsi *s, LsiRequest *q, ScsiRequest *r);

static bool restart_request(ScsiBus *b, const uint8_t *name, size_t len)
{
    Lsi *s = container_of(b, Lsi, bus);
    for (unsigned i = 0; len == 4 && i < s->requests->len; i++) {
        LsiRequest *q = s->requests->pdata[i];
        if (q->target != name[0] || q->lun != name[1] || q->tagged != name[2] || q->tag != name[3] || !q->ran || q->done || q->scsi)
            continue;
        ScsiRequest *r = make(s, q);
        if (r)
            run(s, q, r);
        return r;
    }
    return false;
}

const ScsiHost lsi_host = { .channels = 1, .targets = LSI_TARGETS, .luns = 8, .no_autosense = true, .complete = complete, .drop = dropped,
                            .save = save_request, .restart = restart_request };

static void busy(Lsi *s, LsiRequest *q, uint8_t status)
{
    q->ran = q->done = true;
    q->status = status;
    s->buffers -= q->buf ? q->total : 0;
    g_clear_pointer(&q->buf, g_free);
    q->total = q->pos = 0;
    lsi_set_phase(s, PHASE_STATUS);
}

static void run(Lsi *s, LsiRequest *q, ScsiRequest *r)
{
    q->scsi = r;
    q->ran = true;
    q->iov = (struct iovec){ q->buf, q->total };
    scsi_request_run(r, &q->iov, q->total ? 1 : 0);
}

/* Off it goes; a target that has to wait frees the bus if it may. */
static void start(Lsi *s, LsiRequest *q)
{
    ScsiRequest *r = make(s, q);
    if (!r) {
        busy(s, q, SCSI_BUSY);
        return;
    }
    lsi_set_phase(s, PHASE_NONE);
    run(s, q, r);
    if (s->current != q || q->done || !q->may_disconnect)
        return;
    s->message_len = 0;
    put_message(s, M_DISCONNECT);
    send_messages(s, PHASE_NONE);
    q->disconnected = true;
}

static void got_command(Lsi *s)
{
    LsiRequest *q = s->current;
    ScsiRequest *r = scsi_request_new(&s->bus, 0, q->target, q->lun, q->cdb, q->cdb_len, q->tag, q); /* how much, and where to */
    uint64_t want = r ? r->xfer : UINT64_MAX;
    q->dir = r ? r->dir : SCSI_NO_DATA;
    if (r)
        scsi_request_free(r);
    if (want > SCSI_TRANSFER_MAX || want > LSI_BUFFERS_MAX - s->buffers) {
        busy(s, q, SCSI_BUSY);
        return;
    }
    q->total = (uint32_t)want;
    q->buf = q->total ? g_malloc0(q->total) : NULL;
    s->buffers += q->total;
    if (q->dir == SCSI_TO_DEVICE)
        lsi_set_phase(s, PHASE_DATA_OUT);
    else
        start(s, q);
}

/* --- messages from the host --- */

static void identify(Lsi *s, uint8_t byte)
{
    if (s->current && s->current->ran) /* connected already */
        return;
    if (s->current)
        give_up(s->current);
    if (s->requests->len >= LSI_REQUESTS_MAX) { /* more than the bus can carry */
        lsi_bus_free(s);
        return;
    }
    s->current = request_new(s, s->target, byte & 7);
    s->current->may_disconnect = byte & 0x40;
}

/* Task management by message (SPI-3, 16.5). */
static void manage(Lsi *s, ScsiTmf what, int tag)
{
    unsigned lun = s->current ? s->current->lun : 0;
    LsiRequest *q;
    if (s->current)
        give_up(s->current);
    for (unsigned i = s->requests->len; i-- > 0;) {
        q = s->requests->pdata[i];
        if (q->target == s->target && (what == SCSI_TARGET_RESET || (q->lun == lun && (tag < 0 || (q->tagged && q->tag == tag)))))
            give_up(q);
    }
    if (what == SCSI_TARGET_RESET)
        scsi_task_management(&s->bus, what, 0, s->target, lun, 0, scsi_no_answer, NULL);
    lsi_bus_free(s);
}

static void take_messages(Lsi *s, const uint8_t *m, uint32_t len)
{
    bool reject = false;
    for (uint32_t i = 0; i < len && s->phase == PHASE_MSG_OUT;) {
        uint8_t byte = m[i++];
        if (byte & M_IDENTIFY) {
            identify(s, byte);
        } else if (byte >= M_SIMPLE && byte <= M_ORDERED && i < len) {
            uint8_t tag = m[i++];
            if (s->current && !s->current->ran) {
                LsiRequest *same = find(s, s->target, s->current->lun, tag);
                if (same)
                    give_up(same); /* an overlapped command ends the one before */
                s->current->tagged = true;
                s->current->tag = tag;
            }
        } else if (byte == M_EXTENDED && i < len) { /* negotiation: asynchronous and narrow is what there is */
            i += 1u + (m[i] ? m[i] : 256);
            reject = true;
        } else {
            switch (byte) {
            case M_ABORT: case M_CLEAR_QUEUE: manage(s, SCSI_ABORT_TASK_SET, -1); return;
            case M_ABORT_TAG: manage(s, SCSI_ABORT_TASK, s->current && s->current->tagged ? s->current->tag : -1); return;
            case M_RESET: manage(s, SCSI_TARGET_RESET, -1); return;
            case M_NOP: case M_REJECT: case M_ERROR: case M_PARITY: break;
            default: reject = true;
            }
        }
    }
    if (s->phase != PHASE_MSG_OUT)
        return;
    s->reg[SOCL] &= (uint8_t)~SOCL_ATN;
    if (reject) {
        s->message_len = 0;
        put_message(s, M_REJECT);
        send_messages(s, next_phase(s->current));
    } else {
        lsi_set_phase(s, next_phase(s->current));
    }
}

/* --- moving bytes --- */

static uint32_t move_message_in(Lsi *s, uint64_t addr, uint32_t len, uint8_t *first)
{
    uint32_t n = MIN(len, (uint32_t)(s->message_len - s->message_at));
    if (n) {
        *first = s->message[s->message_at];
        s->reg[SIDL] = s->message[s->message_at + n - 1]; /* the input latch keeps the last byte: programs take tags from there */
    }
    pci_dma_write(&s->pci, addr, s->message + s->message_at, n);
    s->message_at = (uint8_t)(s->message_at + n);
    if (s->message_at < s->message_len)
        return n;
    s->message_len = s->message_at = 0;
    if (s->after != PHASE_NONE) {
        lsi_set_phase(s, s->after);
        return n;
    }
    LsiRequest *q = g_steal_pointer(&s->current);
    lsi_bus_free(s);
    if (q && !q->disconnected)
        request_free(q); /* that was COMMAND COMPLETE */
    return n;
}

static uint32_t move_command(Lsi *s, uint64_t addr, uint32_t len)
{
    if (!s->current)
        identify(s, 0); /* selected without attention: LUN 0 (SCSI-2) */
    LsiRequest *q = s->current;
    if (!q)
        return 0;
    uint32_t n = MIN(len, (uint32_t)sizeof q->cdb - q->cdb_len);
    pci_dma_read(&s->pci, addr, q->cdb + q->cdb_len, n);
    q->cdb_len = (uint8_t)(q->cdb_len + n);
    if (q->cdb_len && (q->cdb_len >= spc_cdb_length(q->cdb[0]) || q->cdb_len == sizeof q->cdb))
        got_command(s);
    return n;
}

static uint32_t move_data(Lsi *s, uint64_t addr, uint32_t len, uint8_t *first)
{
    LsiRequest *q = s->current;
    uint32_t n = MIN(len, q->total - q->pos);
    bool in = s->phase == PHASE_DATA_IN;
    if (in && n) {
        *first = q->buf[q->pos];
        s->reg[SIDL] = q->buf[q->pos + n - 1];
        pci_dma_write(&s->pci, addr, q->buf + q->pos, n);
    } else if (n) {
        pci_dma_read(&s->pci, addr, q->buf + q->pos, n);
    }
    q->pos += n;
    if (q->pos == q->total && in)
        lsi_set_phase(s, PHASE_STATUS);
    else if (q->pos == q->total)
        start(s, q);
    return n;
}

uint32_t lsi_move(Lsi *s, uint64_t addr, uint32_t len, uint8_t *first)
{
    uint8_t m[256];
    if (!len)
        return 0;
    switch (s->phase) {
    case PHASE_MSG_IN: return move_message_in(s, addr, len, first);
    case PHASE_MSG_OUT:
        len = MIN(len, (uint32_t)sizeof m);
        pci_dma_read(&s->pci, addr, m, len);
        take_messages(s, m, len);
        return len;
    case PHASE_COMMAND: return move_command(s, addr, len);
    case PHASE_STATUS:
        s->reg[SIDL] = *first = s->current ? s->current->status : SCSI_BUSY;
        pci_dma_write(&s->pci, addr, first, 1);
        s->message_len = 0;
        put_message(s, M_COMPLETE);
        send_messages(s, PHASE_NONE);
        return 1;
    case PHASE_DATA_IN: case PHASE_DATA_OUT: return s->current ? move_data(s, addr, len, first) : 0;
    default: return 0;
    }
}

/* --- save and load: what runs then is held in its unit's queue --- */

enum { SAVED_HEADER = 48 };

void lsi_save_requests(Lsi *s)
{
    g_byte_array_set_size(s->saved, 0);
    for (unsigned i = 0; i < s->requests->len; i++) {
        const LsiRequest *q = s->requests->pdata[i];
        uint8_t h[SAVED_HEADER] = { q->target, q->lun, q->tag, q->status, (uint8_t)(q->tagged | q->may_disconnect << 1 | q->ran << 2 | q->done << 3 |
                                    q->disconnected << 4 | (q == s->current) << 5), q->cdb_len, (uint8_t)q->dir };
        memcpy(h + 8, q->cdb, sizeof q->cdb);
        store_le32(h + 24, q->total);
        store_le32(h + 28, q->pos);
        g_byte_array_append(s->saved, h, sizeof h);
        if (q->total)
            g_byte_array_append(s->saved, q->buf, q->total);
    }
}

static bool load_one(Lsi *s, const uint8_t *h, const uint8_t *data, uint32_t room)
{
    uint32_t total = load_le32(h + 24), pos = load_le32(h + 28);
    if (total > room || pos > total || h[0] >= LSI_TARGETS || h[1] > 7 || h[5] > 16 || h[6] > SCSI_TO_DEVICE || total > LSI_BUFFERS_MAX - s->buffers)
        return false;
    LsiRequest *q = request_new(s, h[0], h[1]);
    q->tag = h[2];
    q->status = h[3];
    q->tagged = h[4] & 1;
    q->may_disconnect = h[4] & 2;
    q->ran = h[4] & 4;
    q->done = h[4] & 8;
    q->disconnected = h[4] & 16;
    q->cdb_len = h[5];
    q->dir = h[6];
    memcpy(q->cdb, h + 8, sizeof q->cdb);
    q->total = total;
    q->pos = pos;
    q->buf = total ? g_memdup2(data, total) : NULL;
    s->buffers += total;
    if (h[4] & 32)
        s->current = q;
    return q->ran || !q->done; /* what ran and is not done is in its unit's queue */
}

bool lsi_load_requests(Lsi *s)
{
    for (guint at = 0; at < s->saved->len;) {
        if (s->saved->len - at < SAVED_HEADER || s->requests->len >= LSI_REQUESTS_MAX)
            return false;
        const uint8_t *h = s->saved->data + at;
        at += SAVED_HEADER;
        if (!load_one(s, h, h + SAVED_HEADER, s->saved->len - at))
            return false;
        at += load_le32(h + 24);
    }
    g_byte_array_set_size(s->saved, 0);
    bool data = s->phase == PHASE_DATA_IN || s->phase == PHASE_DATA_OUT;
    return !data || (s->current && s->current->total && (s->phase == PHASE_DATA_IN) == s->current->done);
}
