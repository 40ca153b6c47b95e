/* SPDX-License-Identifier: MIT */
/* The targets of a parallel SCSI bus: phases, messages, disconnection (SPI-3 chapters 10, 16). */
#include "base/bits.h"
#include "hw/scsi/parallel.h"

enum {
    M_COMPLETE = 0,
    M_EXTENDED = 1,
    M_DISCONNECT = 4,
    M_ERROR = 5,
    M_ABORT = 6,
    M_REJECT = 7,
    M_NOP = 8,
    M_PARITY = 9,
    M_ABORT_TAG = 0x0d,
    M_RESET = 0x0c,
    M_CLEAR_QUEUE = 0x0e,
    M_SIMPLE = 0x20,
    M_ORDERED = 0x22,
    M_IDENTIFY = 0x80
};

/* --- requests --- */

static ParallelRequest *request_new(Parallel *p, unsigned target, unsigned lun)
{
    ParallelRequest *q = g_new0(ParallelRequest, 1);
    *q = (ParallelRequest){ .p = p, .target = (uint8_t)target, .lun = (uint8_t)lun };
    g_ptr_array_add(p->requests, q);
    return q;
}

static void leave(ParallelRequest *q)
{
    Parallel *p = q->p;
    p->buffers -= q->buf ? q->total : 0;
    g_ptr_array_remove(p->requests, q);
    if (p->current == q)
        p->current = NULL;
    q->p = NULL;
}

static void request_free(ParallelRequest *q)
{
    if (q->p)
        leave(q);
    g_free(q->buf);
    g_free(q);
}

/* The guest will not hear of it again. */
static void give_up(ParallelRequest *q)
{
    if (!q->scsi) {
        request_free(q);
        return;
    }
    leave(q);
    scsi_request_cancel(q->scsi);
}

void parallel_forget(Parallel *p)
{
    while (p->requests->len)
        give_up(p->requests->pdata[p->requests->len - 1]);
    p->current = NULL;
}

static ParallelRequest *find(const Parallel *p, unsigned target, unsigned lun, int tag)
{
    for (unsigned i = 0; i < p->requests->len; i++) {
        ParallelRequest *q = p->requests->pdata[i];
        if (q->target == target && q->lun == lun && q->tagged && q->tag == tag && q != p->current)
            return q;
    }
    return NULL;
}

/* --- the bus --- */

static void set_phase(Parallel *p, ParallelPhase phase) { p->phase = (uint8_t)phase; }

void parallel_free(Parallel *p)
{
    p->connected = p->attention = false;
    p->message_len = p->message_at = 0;
    ParallelRequest *q = p->current;
    if (q && q->ran && !q->done)
        q->disconnected = true; /* it comes back */
    else if (q && !q->disconnected)
        give_up(q);             /* left in the middle */
    p->current = NULL;
    set_phase(p, PHASE_NONE);
}

void parallel_reset_bus(Parallel *p)
{
    parallel_forget(p);
    parallel_free(p);
    scsi_task_management(&p->bus, SCSI_BUS_RESET, 0, 0, 0, 0, scsi_no_answer, NULL);
}

bool parallel_select(Parallel *p, unsigned target, bool attention)
{
    if (target == PARALLEL_OWN_ID || !scsi_target_exists(&p->bus, 0, target))
        return false;
    p->connected = true;
    p->target = (uint8_t)target;
    p->current = NULL;
    p->attention = attention;
    set_phase(p, attention ? PHASE_MSG_OUT : PHASE_COMMAND);
    return true;
}

void parallel_attention(Parallel *p, bool on)
{
    p->attention = on;
    if (on && p->connected && p->phase != PHASE_NONE && p->phase != PHASE_MSG_IN)
        set_phase(p, PHASE_MSG_OUT);
}

/* --- messages to the host --- */

static void put_message(Parallel *p, uint8_t byte)
{
    if (p->message_len < PARALLEL_MESSAGE_MAX)
        p->message[p->message_len++] = byte;
}

static void send_messages(Parallel *p, ParallelPhase after)
{
    p->after = (uint8_t)after;
    p->message_at = 0;
    set_phase(p, PHASE_MSG_IN);
}

static void send_message(Parallel *p, uint8_t byte, ParallelPhase after)
{
    p->message_len = 0;
    put_message(p, byte);
    send_messages(p, after);
}

/* Where a request goes on that has its command. */
static ParallelPhase next_phase(const ParallelRequest *q)
{
    if (!q)
        return PHASE_COMMAND;
    if (q->done)
        return q->dir == SCSI_FROM_DEVICE && q->pos < q->total ? PHASE_DATA_IN : PHASE_STATUS;
    return !q->ran && q->cdb_len ? PHASE_DATA_OUT : q->ran ? PHASE_NONE : PHASE_COMMAND;
}

bool parallel_reselect(Parallel *p)
{
    for (unsigned i = 0; i < p->requests->len; i++) {
        ParallelRequest *q = p->requests->pdata[i];
        if (!q->done || !q->disconnected)
            continue;
        p->connected = true;
        p->target = q->target;
        p->current = q;
        q->disconnected = false;
        p->message_len = 0;
        put_message(p, (uint8_t)(M_IDENTIFY | q->lun));
        if (q->tagged) {
            put_message(p, M_SIMPLE);
            put_message(p, q->tag);
        }
        send_messages(p, next_phase(q));
        return true;
    }
    return false;
}

/* --- a command --- */

/* NULL: the unit went, or became another one, while data came. */
static ScsiRequest *make(Parallel *p, ParallelRequest *q)
{
    ScsiRequest *r = scsi_request_new(&p->bus, 0, q->target, q->lun, q->cdb, q->cdb_len, q->tag, q);
    if (!r || (r->xfer == q->total && r->dir == q->dir))
        return r;
    scsi_request_free(r);
    return NULL;
}

static void complete(ScsiRequest *r)
{
    ParallelRequest *q = r->hba;
    Parallel *p = q->p;
    q->scsi = NULL;
    q->status = r->status;
    q->done = true;
    if (p && q->dir == SCSI_FROM_DEVICE) {
        uint32_t got = (uint32_t)MIN(r->done_bytes, q->total);
        p->buffers -= q->total - got;
        q->total = got;
    }
    scsi_request_free(r);
    if (!p) {
        request_free(q);
        return;
    }
    bool connected = p->current == q && !q->disconnected; /* it may be about to leave: then it comes back */
    if (connected)
        set_phase(p, next_phase(q));
    p->asks(p, !connected);
}

/* --- requests that are held: they stand in our list, too --- */

static void dropped(ScsiRequest *r)
{
    request_free(r->hba);
    scsi_request_free(r);
}

static void save_request(const ScsiRequest *r, GByteArray *out)
{
    const ParallelRequest *q = r->hba;
    uint8_t name[4] = { q->target, q->lun, q->tagged, q->tag };
    g_byte_array_append(out, name, sizeof name);
}

static void run(ParallelRequest *q, ScsiRequest *r)
{
    q->scsi = r;
    q->ran = true;
    q->iov = (struct iovec){ q->buf, q->total };
    scsi_request_run(r, &q->iov, q->total ? 1 : 0);
}

static bool restart_request(ScsiBus *b, const uint8_t *name, size_t len)
{
    Parallel *p = container_of(b, Parallel, bus);
    for (unsigned i = 0; len == 4 && i < p->requests->len; i++) {
        ParallelRequest *q = p->requests->pdata[i];
        if (q->target != name[0] || q->lun != name[1] || q->tagged != name[2] || q->tag != name[3] || !q->ran ||
            q->done || q->scsi)
            continue;
        ScsiRequest *r = make(p, q);
        if (r)
            run(q, r);
        return r;
    }
    return false;
}

static void busy(Parallel *p, ParallelRequest *q)
{
    q->ran = q->done = true;
    q->status = SCSI_BUSY;
    p->buffers -= q->buf ? q->total : 0;
    g_clear_pointer(&q->buf, g_free);
    q->total = q->pos = 0;
    set_phase(p, PHASE_STATUS);
}

/* Off it goes; a target that has to wait frees the bus if it may. */
static void begin(Parallel *p, ParallelRequest *q)
{
    ScsiRequest *r = make(p, q);
    if (!r) {
        busy(p, q);
        return;
    }
    set_phase(p, PHASE_NONE);
    run(q, r);
    if (p->current != q || q->done || !q->may_disconnect)
        return;
    send_message(p, M_DISCONNECT, PHASE_NONE);
    q->disconnected = true;
}

static void got_command(Parallel *p)
{
    ParallelRequest *q = p->current;
    /* how much, and where to */
    ScsiRequest *r = scsi_request_new(&p->bus, 0, q->target, q->lun, q->cdb, q->cdb_len, q->tag, q);
    uint64_t want = r ? r->xfer : UINT64_MAX;
    q->dir = r ? r->dir : SCSI_NO_DATA;
    if (r)
        scsi_request_free(r);
    if (want > SCSI_TRANSFER_MAX || want > PARALLEL_BUFFERS_MAX - p->buffers) {
        busy(p, q);
        return;
    }
    q->total = (uint32_t)want;
    q->buf = q->total ? g_malloc0(q->total) : NULL;
    p->buffers += q->total;
    if (q->dir == SCSI_TO_DEVICE)
        set_phase(p, PHASE_DATA_OUT);
    else
        begin(p, q);
}

/* --- messages from the host --- */

static void identify(Parallel *p, uint8_t byte)
{
    if (p->current && p->current->ran) /* connected already */
        return;
    if (p->current)
        give_up(p->current);
    if (p->requests->len >= PARALLEL_REQUESTS_MAX) { /* more than the bus can carry */
        parallel_free(p);
        return;
    }
    p->current = request_new(p, p->target, byte & 7);
    p->current->may_disconnect = byte & 0x40;
}

/* Task management by message (SPI-3, 16.5). */
static void manage(Parallel *p, ScsiTmf what, int tag)
{
    unsigned lun = p->current ? p->current->lun : 0;
    if (p->current)
        give_up(p->current);
    for (unsigned i = p->requests->len; i-- > 0;) {
        ParallelRequest *q = p->requests->pdata[i];
        if (q->target == p->target &&
            (what == SCSI_TARGET_RESET || (q->lun == lun && (tag < 0 || (q->tagged && q->tag == tag)))))
            give_up(q);
    }
    if (what == SCSI_TARGET_RESET)
        scsi_task_management(&p->bus, what, 0, p->target, lun, 0, scsi_no_answer, NULL);
    parallel_free(p);
}

static void take_tag(Parallel *p, uint8_t tag)
{
    if (!p->current || p->current->ran)
        return;
    ParallelRequest *same = find(p, p->target, p->current->lun, tag);
    if (same)
        give_up(same); /* an overlapped command ends the one before */
    p->current->tagged = true;
    p->current->tag = tag;
}

/* False: the target has left the bus. */
static bool take_messages(Parallel *p, const uint8_t *m, uint32_t len, bool *reject)
{
    for (uint32_t i = 0; i < len && p->connected;) {
        uint8_t byte = m[i++];
        if (byte & M_IDENTIFY) {
            identify(p, byte);
        } else if (byte >= M_SIMPLE && byte <= M_ORDERED && i < len) {
            take_tag(p, m[i++]);
        } else if (byte == M_EXTENDED && i < len) { /* negotiation: asynchronous and narrow is what there is */
            i += 1u + (m[i] ? m[i] : 256);
            *reject = true;
        } else {
            switch (byte) {
            case M_ABORT: case M_CLEAR_QUEUE: manage(p, SCSI_ABORT_TASK_SET, -1); break;
            case M_ABORT_TAG:
                manage(p, SCSI_ABORT_TASK, p->current && p->current->tagged ? p->current->tag : -1);
                break;
            case M_RESET: manage(p, SCSI_TARGET_RESET, -1); break;
            case M_NOP: case M_REJECT: case M_ERROR: case M_PARITY: break;
            default: *reject = true;
            }
        }
    }
    return p->connected;
}

/* --- moving bytes --- */

static void moved_messages_out(Parallel *p, uint32_t n, bool more)
{
    bool reject = false;
    if (!take_messages(p, p->out, n, &reject))
        return;
    p->attention = more;
    if (reject)
        send_message(p, M_REJECT, next_phase(p->current));
    else if (!more)
        set_phase(p, next_phase(p->current));
}

static void moved_message_in(Parallel *p, uint32_t n)
{
    p->message_at = (uint8_t)(p->message_at + n);
    if (p->message_at < p->message_len)
        return;
    p->message_len = p->message_at = 0;
    if (p->after != PHASE_NONE) {
        set_phase(p, p->attention ? PHASE_MSG_OUT : p->after);
        return;
    }
    ParallelRequest *q = g_steal_pointer(&p->current);
    parallel_free(p);
    if (q && !q->disconnected)
        request_free(q); /* that was COMMAND COMPLETE */
}

static void moved_command(Parallel *p, uint32_t n)
{
    ParallelRequest *q = p->current;
    q->cdb_len = (uint8_t)(q->cdb_len + n);
    if (q->cdb_len < spc_cdb_length(q->cdb[0]))
        return;
    if (q->cdb[1] >> 5 == q->lun && spc_cdb_length(q->cdb[0]) < 16)
        q->cdb[1] &= 0x1f; /* SCSI-2 initiators repeat the LUN there */
    got_command(p);
}

static void moved_data(Parallel *p, uint32_t n)
{
    ParallelRequest *q = p->current;
    q->pos += n;
    if (q->pos < q->total)
        return;
    if (p->phase == PHASE_DATA_IN)
        set_phase(p, PHASE_STATUS);
    else
        begin(p, q);
}

uint8_t *parallel_window(Parallel *p, uint32_t *len)
{
    ParallelRequest *q = p->current;
    *len = 0;
    switch (p->phase) {
    case PHASE_MSG_IN:
        *len = (uint32_t)(p->message_len - p->message_at);
        return p->message + p->message_at;
    case PHASE_MSG_OUT:
        *len = sizeof p->out;
        return p->out;
    case PHASE_COMMAND:
        if (!q)
            identify(p, 0); /* selected without attention: LUN 0 (SCSI-2) */
        q = p->current;
        if (!q)
            return NULL;
        /* more than it has is taken, too: SeaBIOS sends 12 or 16 bytes of each */
        *len = (uint32_t)(sizeof q->cdb - q->cdb_len);
        return q->cdb + q->cdb_len;
    case PHASE_STATUS:
        *len = 1;
        p->out[0] = SCSI_BUSY;
        return q ? &q->status : p->out;
    case PHASE_DATA_IN: case PHASE_DATA_OUT:
        *len = q ? q->total - q->pos : 0;
        return q ? q->buf + q->pos : NULL;
    default: return NULL;
    }
}

void parallel_moved(Parallel *p, uint32_t n, bool more_messages)
{
    if (!n)
        return;
    switch (p->phase) {
    case PHASE_MSG_IN: moved_message_in(p, n); break;
    case PHASE_MSG_OUT: moved_messages_out(p, n, more_messages); break;
    case PHASE_COMMAND: moved_command(p, n); break;
    case PHASE_STATUS: send_message(p, M_COMPLETE, PHASE_NONE); break;
    case PHASE_DATA_IN: case PHASE_DATA_OUT: moved_data(p, n); break;
    }
}

/* --- life --- */

#define HOST(n) \
    { .channels = 1, .targets = n, .luns = 8, .initiator = PARALLEL_OWN_ID, .no_autosense = true, \
        .complete = complete, .drop = dropped, \
                  .save = save_request, .restart = restart_request }
static const ScsiHost narrow_host = HOST(PARALLEL_TARGETS / 2), wide_host = HOST(PARALLEL_TARGETS);

void parallel_init(Parallel *p, void (*asks)(Parallel *p, bool reselect))
{
    *p = (Parallel){ .asks = asks,
                     .phase = PHASE_NONE,
                     .after = PHASE_NONE,
                     .requests = g_ptr_array_new(),
                     .saved = g_byte_array_new() };
}

void parallel_start(Parallel *p, Device *adapter, bool wide)
{
    scsi_bus_init(&p->bus, wide ? &wide_host : &narrow_host, adapter);
}

void parallel_stop(Parallel *p)
{
    parallel_forget(p);
    scsi_bus_settle(&p->bus);
    scsi_bus_fini(&p->bus);
    g_ptr_array_free(p->requests, true);
    g_byte_array_unref(p->saved);
}

/* --- save and load: what runs then is held in its unit's queue --- */

enum { SAVED_HEADER = 48 };

void parallel_saving(Parallel *p)
{
    scsi_bus_settle(&p->bus);
    g_byte_array_set_size(p->saved, 0);
    for (unsigned i = 0; i < p->requests->len; i++) {
        const ParallelRequest *q = p->requests->pdata[i];
        uint8_t h[SAVED_HEADER] = { q->target,
                                    q->lun,
                                    q->tag,
                                    q->status,
                                    (uint8_t)(q->tagged | q->may_disconnect << 1 | q->ran << 2 | q->done << 3 |
                                              q->disconnected << 4 | (q == p->current) << 5),
                                    q->cdb_len,
                                    (uint8_t)q->dir };
        memcpy(h + 8, q->cdb, sizeof q->cdb);
        store_le32(h + 24, q->total);
        store_le32(h + 28, q->pos);
        g_byte_array_append(p->saved, h, sizeof h);
        if (q->total)
            g_byte_array_append(p->saved, q->buf, q->total);
    }
}

static bool load_one(Parallel *p, const uint8_t *h, const uint8_t *data, uint32_t room)
{
    uint32_t total = load_le32(h + 24), pos = load_le32(h + 28);
    if (total > room || pos > total || h[0] >= p->bus.host->targets || h[1] > 7 || h[5] > 16 || h[6] > SCSI_TO_DEVICE ||
        total > PARALLEL_BUFFERS_MAX - p->buffers)
        return false;
    ParallelRequest *q = request_new(p, h[0], h[1]);
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
    p->buffers += total;
    if (h[4] & 32)
        p->current = q;
    return q->ran || !q->done; /* what ran and is not done is in its unit's queue */
}

static bool load_requests(Parallel *p, const GByteArray *saved)
{
    for (guint at = 0; at < saved->len;) {
        if (saved->len - at < SAVED_HEADER || p->requests->len >= PARALLEL_REQUESTS_MAX)
            return false;
        const uint8_t *h = saved->data + at;
        at += SAVED_HEADER;
        if (!load_one(p, h, h + SAVED_HEADER, saved->len - at))
            return false;
        at += load_le32(h + 24);
    }
    return true;
}

bool parallel_loaded(Parallel *p)
{
    parallel_forget(p);
    bool ok = p->phase <= PHASE_NONE && p->after <= PHASE_NONE && p->target < p->bus.host->targets &&
              p->message_len <= PARALLEL_MESSAGE_MAX && p->message_at <= p->message_len &&
              (p->phase != PHASE_MSG_IN || p->message_at < p->message_len) &&
              (p->connected || p->phase == PHASE_NONE) && load_requests(p, p->saved);
    g_byte_array_set_size(p->saved, 0);
    const ParallelRequest *q = p->current;
    if (p->phase == PHASE_DATA_IN || p->phase == PHASE_DATA_OUT)
        ok = ok && q && q->pos < q->total && (p->phase == PHASE_DATA_IN) == q->done;
    if (p->phase == PHASE_COMMAND)
        ok = ok && (!q || (!q->ran && !q->total));
    return ok;
}

const StateField parallel_state[] = { STATE_BOOL(Parallel, connected),
                                      STATE_BOOL(Parallel, attention),
                                      STATE_U8(Parallel, phase),
                                      STATE_U8(Parallel, after),
                                      STATE_U8(Parallel, target),
                                      STATE_BYTES(Parallel, message),
                                      STATE_U8(Parallel, message_len),
                                      STATE_U8(Parallel, message_at),
                                      STATE_BUF(Parallel, saved,
                                                PARALLEL_BUFFERS_MAX + PARALLEL_REQUESTS_MAX * SAVED_HEADER),
                                      STATE_END_OF_TABLE };
