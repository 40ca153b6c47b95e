/* SPDX-License-Identifier: MIT */
/* Scatter lists and windows of guest memory. */
#include "hw/core/dma.h"
#include <string.h>
#include "base/bits.h"
#include "hw/core/memory-internal.h"

void dma_vec_init(DmaVec *v, AddressSpace *as, MemAttrs attrs, bool to_memory)
{
    *v = (DmaVec){ .as = as, .attrs = attrs, .to_memory = to_memory };
}

/* The first of neighbours in the same region holds it for all of them. */
static bool pins(const DmaVec *v, unsigned i, const MemRegion *region)
{
    return region && (!i || v->piece[i - 1].region != region);
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
    if (pins(v, v->count, piece.region))
        mem_region_pin(piece.region);
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
    bool ok = true;
    rcu_read_lock();
    while (ok && len) {
        MemSection s;
        as_translate_for(v->as, addr, v->to_memory ? MEM_WRITE : MEM_READ, &s);
        bool direct = s.host && (!v->to_memory || !s.readonly) && s.ram_addr != ~UINT64_C(0);
        uint64_t n = MIN(len, direct ? s.len : MIN(s.len, 4096u));
        ok = s.region &&
             (direct ? append(v, s.host, n, (DmaPiece){ .region = s.region, .ram_addr = s.ram_addr, .addr = addr })
                     : append_copy(v, addr, n));
        addr += n;
        len -= n;
    }
    rcu_read_unlock();
    return ok;
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
        if (pins(v, i, p->region))
            mem_region_unpin(p->region);
        g_free(p->copy);
    }
    g_free(v->iov);
    g_free(v->piece);
    *v = (DmaVec){ 0 };
}

/* Inside a read section, which keeps the memory there. */
static bool find(DmaWindow *w)
{
    uint64_t generation = mem_generation();
    if (w->generation == generation)
        return w->host;
    MemSection s;
    as_translate_for(w->as, w->addr, MEM_READ | MEM_WRITE | MEM_QUIET, &s); /* else each access is for itself */
    bool ok = s.region && s.host && s.len >= w->len && !s.readonly;
    w->host = ok ? s.host : NULL;
    w->ram_addr = s.ram_addr;
    w->generation = generation;
    return ok;
}

/* Indices of rings: the guest's CPUs change and read them meanwhile, and memcpy() may go by bytes. */
static bool one_piece(uint64_t len) { return len <= 8 && is_pow2(len); }

void dma_window_read(DmaWindow *w, uint64_t offset, void *buf, uint64_t len)
{
    rcu_read_lock();
    bool direct = find(w);
    if (direct && one_piece(len))
        store_le(buf, (unsigned)len, host_load(w->host + offset, (unsigned)len));
    else if (direct)
        memcpy(buf, w->host + offset, len);
    else
        as_read(w->as, w->addr + offset, buf, len, MEM_ATTRS_DEVICE);
    rcu_read_unlock();
}

void dma_window_write(DmaWindow *w, uint64_t offset, const void *buf, uint64_t len)
{
    rcu_read_lock();
    if (find(w)) {
        if (one_piece(len))
            host_store(w->host + offset, (unsigned)len, load_le(buf, (unsigned)len));
        else
            memcpy(w->host + offset, buf, len);
        mem_ram_written(w->ram_addr + offset, len);
    } else {
        as_write(w->as, w->addr + offset, buf, len, MEM_ATTRS_DEVICE);
    }
    rcu_read_unlock();
}
