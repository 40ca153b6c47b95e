/* SPDX-License-Identifier: MIT */
/* The NBD client's requests on one connection; what the server sends is checked. */
#include <stdatomic.h>
#include "block/driver.h"
#include "block/nbd/link.h"

/*
 * There is no thread for replies: one of those who wait for an answer reads (l->reading), for all of them, until it has
 * its own; then it wakes another one, who reads on. Data goes from the socket into the caller's vectors. Only the
 * reader declares a connection dead, when it no longer writes to anybody's buffers.
 */

enum { MESSAGE_MAX = 64 << 10 };

NbdLink *nbd_link_new(const NbdRemote *m)
{
    NbdLink *l = g_new0(NbdLink, 1);
    l->m = *m;
    pthread_mutex_init(&l->lock, NULL);
    pthread_mutex_init(&l->send_lock, NULL);
    pthread_cond_init(&l->slot_free, NULL);
    return l;
}

static void put_request(uint8_t *head, const NbdCall *c)
{
    be32_put(head, NBD_REQUEST_MAGIC);
    be16_put(head + 4, c->flags);
    be16_put(head + 6, (uint16_t)c->type);
    be64_put(head + 8, c->cookie);
    be64_put(head + 16, c->offset);
    be32_put(head + 24, c->len);
}

void nbd_link_free(NbdLink *l)
{
    if (!l)
        return;
    uint8_t head[NBD_REQUEST_SIZE];
    put_request(head, &(NbdCall){ .type = NBD_CMD_DISC });
    if (!l->dead) {
        nbd_channel_timeout(l->m.ch, 1);
        nbd_send(l->m.ch, head, sizeof head);
    }
    nbd_channel_free(l->m.ch);
    pthread_mutex_destroy(&l->lock);
    pthread_mutex_destroy(&l->send_lock);
    pthread_cond_destroy(&l->slot_free);
    g_free(l);
}

/* --- replies; l->reading is ours, the lock is not held --- */

static NbdCall *find_call(NbdLink *l, uint64_t cookie)
{
    pthread_mutex_lock(&l->lock);
    NbdCall *c = l->slots[cookie % NBD_SLOTS];
    if (c && c->cookie != cookie)
        c = NULL;
    pthread_mutex_unlock(&l->lock);
    return c;
}

static void finish_call(NbdLink *l, NbdCall *c)
{
    pthread_mutex_lock(&l->lock);
    if (c->type == NBD_CMD_READ && !c->error && c->received != c->len)
        c->error = -EIO;
    if (c->type == NBD_CMD_BLOCK_STATUS && !c->error && !c->extent_len)
        c->error = -EIO;
    c->done = true;
    if (c->waits)
        pthread_cond_signal(&c->ready);
    pthread_mutex_unlock(&l->lock);
}

static bool within(const NbdCall *c, uint64_t offset, uint64_t len)
{
    return c->type == NBD_CMD_READ && len && offset >= c->offset && offset - c->offset <= c->len &&
           len <= c->len - (offset - c->offset) && c->received + len <= c->len;
}

static int take_data(NbdLink *l, NbdCall *c, uint32_t len)
{
    uint8_t at[8];
    int r = len > 8 ? nbd_recv(l->m.ch, at, 8) : -EPROTO;
    if (r || !within(c, be64_get(at), len - 8))
        return r ? r : -EPROTO;
    c->received += len - 8;
    return nbd_recvv(l->m.ch, c->iov, c->iovcnt, be64_get(at) - c->offset, len - 8);
}

static int take_hole(NbdLink *l, NbdCall *c, uint32_t len)
{
    uint8_t in[12];
    int r = len == sizeof in ? nbd_recv(l->m.ch, in, sizeof in) : -EPROTO;
    if (r || !within(c, be64_get(in), be32_get(in + 8)))
        return r ? r : -EPROTO;
    c->received += be32_get(in + 8);
    iov_zero(c->iov, c->iovcnt, be64_get(in) - c->offset, be32_get(in + 8));
    return 0;
}

static int take_status(NbdLink *l, NbdCall *c, uint32_t len)
{
    uint8_t in[12];
    int r = len >= sizeof in && len % 8 == 4 && c->type == NBD_CMD_BLOCK_STATUS ? nbd_recv(l->m.ch, in, sizeof in)
                                                                                : -EPROTO;
    if (!r && be32_get(in) == l->m.context_id && !c->extent_len) {
        c->extent_len = be32_get(in + 4);
        c->extent_flags = be32_get(in + 8);
    }
    return r ? r : nbd_recv_drop(l->m.ch, len - sizeof in);
}

static int take_error(NbdLink *l, NbdCall *c, uint32_t len)
{
    uint8_t in[6];
    int r = len >= sizeof in && len <= MESSAGE_MAX ? nbd_recv(l->m.ch, in, sizeof in) : -EPROTO;
    if (!r && !c->error)
        c->error = be32_get(in) ? nbd_errno(be32_get(in)) : -EIO;
    return r ? r : nbd_recv_drop(l->m.ch, len - sizeof in);
}

static int receive_chunk(NbdLink *l, const uint8_t *head, NbdCall *c)
{
    uint16_t flags = be16_get(head + 4), type = be16_get(head + 6);
    uint8_t word[4];
    int r = nbd_recv(l->m.ch, word, 4);
    uint32_t len = be32_get(word);
    if (r)
        return r;
    switch (type) {
    case NBD_REPLY_NONE: r = len || !(flags & NBD_REPLY_FLAG_DONE) ? -EPROTO : 0; break;
    case NBD_REPLY_OFFSET_DATA: r = take_data(l, c, len); break;
    case NBD_REPLY_OFFSET_HOLE: r = take_hole(l, c, len); break;
    case NBD_REPLY_BLOCK_STATUS: r = take_status(l, c, len); break;
    default: r = type & 0x8000 ? take_error(l, c, len) : -EPROTO; break;
    }
    if (!r && flags & NBD_REPLY_FLAG_DONE)
        finish_call(l, c);
    return r;
}

static int receive_simple(NbdLink *l, const uint8_t *head, NbdCall *c)
{
    int r = 0;
    c->error = nbd_errno(be32_get(head + 4));
    if (c->type == NBD_CMD_BLOCK_STATUS && !c->error)
        return -EPROTO;
    if (c->type == NBD_CMD_READ && !c->error) {
        if (l->m.structured)
            return -EPROTO;
        r = nbd_recvv(l->m.ch, c->iov, c->iovcnt, 0, c->len);
        c->received = c->len;
    }
    if (!r)
        finish_call(l, c);
    return r;
}

static int receive_reply(NbdLink *l)
{
    uint8_t head[NBD_SIMPLE_SIZE];
    int r = nbd_recv(l->m.ch, head, sizeof head);
    if (r)
        return r;
    NbdCall *c = find_call(l, be64_get(head + 8));
    if (!c || c->done)
        return -EPROTO;
    if (be32_get(head) == NBD_SIMPLE_MAGIC)
        return receive_simple(l, head, c);
    return be32_get(head) == NBD_STRUCTURED_MAGIC && l->m.structured ? receive_chunk(l, head, c) : -EPROTO;
}

/* --- calls --- */

static void wake_one(NbdLink *l)
{
    for (unsigned i = 0; i < NBD_SLOTS; i++) {
        NbdCall *c = l->slots[i];
        if (c && c->waits && !c->done) {
            pthread_cond_signal(&c->ready);
            return;
        }
    }
}

static void die(NbdLink *l)
{
    l->dead = true;
    nbd_channel_shutdown(l->m.ch);
    for (unsigned i = 0; i < NBD_SLOTS; i++) {
        if (l->slots[i] && l->slots[i]->waits)
            pthread_cond_signal(&l->slots[i]->ready);
    }
    pthread_cond_broadcast(&l->slot_free);
}

/* l->lock is held. */
static void await_reply(NbdLink *l, NbdCall *c)
{
    while (!c->done && !l->dead) {
        if (l->reading) {
            c->waits = true;
            pthread_cond_wait(&c->ready, &l->lock);
            c->waits = false;
            continue;
        }
        l->reading = true;
        pthread_mutex_unlock(&l->lock);
        int r;
        do {
            r = receive_reply(l);
        } while (!r && !c->done);
        pthread_mutex_lock(&l->lock);
        l->reading = false;
        if (r)
            die(l);
        else
            wake_one(l);
    }
}

static bool take_slot(NbdLink *l, NbdCall *c)
{
    while (l->in_flight == NBD_SLOTS && !l->dead)
        pthread_cond_wait(&l->slot_free, &l->lock);
    if (l->dead)
        return false;
    uint64_t n = l->serial;
    while (l->slots[n % NBD_SLOTS])
        n++;
    l->slots[n % NBD_SLOTS] = c;
    c->cookie = n;
    l->serial = n + 1;
    l->in_flight++;
    return true;
}

static void send_call(NbdLink *l, const NbdCall *c)
{
    uint8_t head[NBD_REQUEST_SIZE];
    struct iovec small[16], *iov = small;
    int n = 0, payload = c->type == NBD_CMD_WRITE ? c->iovcnt : 0;
    if (payload + 1 > (int)G_N_ELEMENTS(small))
        iov = g_new(struct iovec, payload + 1);
    put_request(head, c);
    iov[n++] = (struct iovec){ head, sizeof head };
    for (int i = 0; i < payload; i++)
        iov[n++] = c->iov[i];
    pthread_mutex_lock(&l->send_lock);
    if (nbd_sendv(l->m.ch, iov, n))
        nbd_channel_shutdown(l->m.ch); /* the reader will see it */
    pthread_mutex_unlock(&l->send_lock);
    if (iov != small)
        g_free(iov);
}

int nbd_link_call(NbdLink *l, NbdCall *c)
{
    c->done = c->waits = false;
    c->error = 0;
    c->received = c->extent_len = 0;
    pthread_mutex_lock(&l->lock);
    if (!take_slot(l, c)) {
        pthread_mutex_unlock(&l->lock);
        return -ENOTCONN;
    }
    pthread_cond_init(&c->ready, NULL);
    pthread_mutex_unlock(&l->lock);
    send_call(l, c);
    pthread_mutex_lock(&l->lock);
    await_reply(l, c);
    l->slots[c->cookie % NBD_SLOTS] = NULL;
    l->in_flight--;
    pthread_cond_signal(&l->slot_free);
    pthread_mutex_unlock(&l->lock);
    pthread_cond_destroy(&c->ready);
    return c->done ? c->error : -ENOTCONN;
}
