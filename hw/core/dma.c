/* SPDX-License-Identifier: MIT */
/* Scatter lists and windows of guest memory. */
#include "hw/core/dma.h"
#include <string.h>
#include "base/bits.h"
#include "base/rcu.h"

void dma_vec_init(DmaVec *v, AddressSpace *as, MemAttrs attrs, bool to_memory)
{
    *v = (DmaVec){ .as = as, .attrs = attrs, .to_memory = to_memory };
}

static bool append(DmaVec *v, void *host, uint64_t len, DmaPiece piece)
{
    if (v->count == DMA_VEC_MAX)
        return false;
    if (v->count == v->room) {
        v->room = v->room ? v->room * 2 : 8;
        v->iov = g_renew(struct iovec, v->iov, v->room);
        v->piece = g_renew(DmaPiece, v->piece, v->room);
    }
    v->iov[v->count] = (struct iovec){ host, len };
    v->piece[v->count++] = piece;
    v->bytes += len;
    return true;
}

/* Devices and ROM as the target of a transfer: a copy, carried out at the end (or, for reading, now). */
static bool append_copy(DmaVec *v, hwaddr addr, uint64_t len)
{
    if (len > DMA_COPY_MAX - v->copied)
        return false;
    uint8_t *copy = g_malloc0(len);
    if ((!v->to_memory && as_read(v->as, addr, copy, len, v->attrs) != MEM_OK) ||
        !append(v, copy, len, (DmaPiece){ .ram_addr = ~UINT64_C(0), .addr = addr, .copy = copy })) {
        g_free(copy);
        return false;
    }
    v->copied += len;
    return true;
}

bool dma_vec_add(DmaVec *v, hwaddr addr, uint64_t len)
{
    while (len) {
        MemSection s;
        rcu_read_lock();
        as_translate_for(v->as, addr, v->to_memory ? MEM_WRITE : MEM_READ, &s);
        rcu_read_unlock(); /* RAM of the machine stays */
        if (!s.region)
            return false;
        uint64_t n = MIN(len, s.len);
        bool direct = s.host && (!v->to_memory || !s.readonly) && s.ram_addr != ~UINT64_C(0);
        if (!(direct ? append(v, s.host, n, (DmaPiece){ .ram_addr = s.ram_addr, .addr = addr }) : append_copy(v, addr, MIN(n, 4096u))))
            return false;
        n = direct ? n : MIN(n, 4096u);
        addr += n;
        len -= n;
    }
    return true;
}

void dma_vec_finish(DmaVec *v, uint64_t bytes)
{
    for (unsigned i = 0; i < v->count; i++) {
        uint64_t n = MIN(bytes, v->iov[i].iov_len);
        const DmaPiece *p = &v->piece[i];
        if (v->to_memory && n && p->copy)
            as_write(v->as, p->addr, p->copy, n, v->attrs);
        else if (v->to_memory && n)
            mem_ram_written(p->ram_addr, n);
        bytes -= n;
        g_free(p->copy);
    }
    g_free(v->iov);
    g_free(v->piece);
    *v = (DmaVec){ 0 };
}

static bool find(DmaWindow *w)
{
    uint64_t generation = mem_generation();
    if (w->generation == generation)
        return w->host;
    MemSection s;
    rcu_read_lock();
    as_translate_for(w->as, w->addr, MEM_READ | MEM_WRITE | MEM_QUIET, &s); /* else each access is for itself */
    rcu_read_unlock();
    bool ok = s.region && s.host && s.len >= w->len && !s.readonly;
    w->host = ok ? s.host : NULL;
    w->ram_addr = s.ram_addr;
    w->generation = generation;
    return ok;
}

void dma_window_read(DmaWindow *w, uint64_t offset, void *buf, uint64_t len)
{
    if (find(w))
        memcpy(buf, w->host + offset, len);
    else
        as_read(w->as, w->addr + offset, buf, len, MEM_ATTRS_DEVICE);
}

void dma_window_write(DmaWindow *w, uint64_t offset, const void *buf, uint64_t len)
{
    if (find(w)) {
        memcpy(w->host + offset, buf, len);
        mem_ram_written(w->ram_addr + offset, len);
    } else {
        as_write(w->as, w->addr + offset, buf, len, MEM_ATTRS_DEVICE);
    }
}
