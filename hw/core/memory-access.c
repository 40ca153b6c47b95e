/* SPDX-License-Identifier: MIT */
/* Look-up in the published views, and accesses through them. */
#include <string.h>
#include "base/bits.h"
#include "base/log.h"
#include "hw/core/memory-internal.h"

/* The range that each thread met last, per address space (direct-mapped); named by the view's serial, never stale. */
#define CACHE_SLOTS 4
static __thread struct {
    uint64_t serial;
    unsigned index;
} last_hit[CACHE_SLOTS];

/* The first range whose last address is not below addr; count when there is none. */
static unsigned view_search(const FlatView *v, hwaddr addr)
{
    unsigned lo = 0, hi = v->count;
    while (lo < hi) {
        unsigned mid = (lo + hi) / 2;
        if (v->range[mid].last < addr)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static uint64_t span(hwaddr first, hwaddr last)
{
    return last - first == UINT64_MAX ? UINT64_MAX : last - first + 1;
}

static void fill_section(const FlatRange *f, hwaddr addr, MemSection *out)
{
    MemRegion *r = f->region;
    hwaddr offset = f->offset + (addr - f->first);
    *out = (MemSection){ .region = r, .host = r->host ? r->host + offset : NULL, .offset = offset,
                         .len = span(addr, f->last), .readonly = f->readonly || r->kind == REGION_ROMD,
                         .ram_addr = r->host ? r->ram_addr + offset : UINT64_MAX };
}

static inline void look_up(AddressSpace *as, hwaddr addr, MemSection *out)
{
    const FlatView *v = rcu_get(as->view);
    unsigned slot = as->slot % CACHE_SLOTS;
    if (last_hit[slot].serial == v->serial) {
        const FlatRange *f = &v->range[last_hit[slot].index];
        if (addr >= f->first && addr <= f->last) {
            fill_section(f, addr, out);
            return;
        }
    }
    unsigned i = view_search(v, addr);
    if (i < v->count && v->range[i].first <= addr) {
        last_hit[slot].serial = v->serial;
        last_hit[slot].index = i;
        fill_section(&v->range[i], addr, out);
        return;
    }
    hwaddr last = i < v->count ? v->range[i].first - 1 : UINT64_MAX;
    *out = (MemSection){ .len = span(addr, last), .ram_addr = UINT64_MAX };
}

static inline void look_up_for(AddressSpace *as, hwaddr addr, unsigned access, MemSection *out)
{
    look_up(as, addr, out);
    if (G_UNLIKELY(!out->host && out->region && out->region->kind == REGION_IOMMU))
        mem_iommu_translate(out, access);
}

void as_translate(AddressSpace *as, hwaddr addr, MemSection *out) { look_up(as, addr, out); }
void as_translate_for(AddressSpace *as, hwaddr addr, unsigned access, MemSection *out)
{
    look_up_for(as, addr, access, out);
}

void as_foreach_section(AddressSpace *as, MemSectionFn *fn, void *opaque)
{
    rcu_read_lock();
    const FlatView *v = rcu_get(as->view);
    for (unsigned i = 0; v && i < v->count; i++) {
        MemSection s;
        fill_section(&v->range[i], v->range[i].first, &s);
        fn(v->range[i].first, &s, opaque);
    }
    rcu_read_unlock();
}

/* ---- I/O regions ---- */

static uint64_t swap_value(uint64_t v, unsigned size)
{
    return __builtin_bswap64(v) >> (64 - 8 * size);
}

/* How an access is cut for the region's hooks: size of one call, and where the first begins. */
static unsigned hook_size(const MemOps *ops, unsigned size)
{
    unsigned min = ops->min_size ? ops->min_size : 1, max = ops->max_size ? ops->max_size : 8;
    return CLAMP(size, min, max);
}

static MemResult hook_read(const MemRegion *r, hwaddr offset, unsigned size, uint64_t *value, MemAttrs attrs)
{
    *value = bits_mask(8 * size);
    if (!r->ops->read)
        return MEM_ERROR;
    MemResult result = r->ops->read(r->opaque, offset, size, value, attrs);
    *value &= bits_mask(8 * size);
    if (r->ops->big_endian)
        *value = swap_value(*value, size);
    return result;
}

static MemResult hook_write(const MemRegion *r, hwaddr offset, unsigned size, uint64_t value, MemAttrs attrs)
{
    if (!r->ops->write)
        return MEM_ERROR;
    value &= bits_mask(8 * size);
    return r->ops->write(r->opaque, offset, size, r->ops->big_endian ? swap_value(value, size) : value, attrs);
}

/*
 * Cut [offset, offset + size) into calls of n bytes. Unless the region takes unaligned accesses each call is aligned,
 * so the first and the last one may reach beyond the access: a read drops the excess, a write fills it with zeros.
 */
static bool region_fits(const MemRegion *r, hwaddr offset, unsigned n)
{
    return offset < r->size && r->size - offset >= n;
}

static unsigned cut(const MemRegion *r, hwaddr pos, unsigned left, hwaddr *start)
{
    const MemOps *ops = r->ops;
    unsigned n = hook_size(ops, left);
    while (!is_pow2(n))
        n--;
    unsigned min = ops->min_size ? ops->min_size : 1;
    *start = pos;
    if (!ops->unaligned) {
        while (n > min && (pos & (n - 1)))
            n /= 2;
        *start = align_down(pos, n);
    }
    return n;
}

MemResult mem_io_read(const MemSection *s, unsigned size, uint64_t *value, MemAttrs attrs)
{
    MemRegion *r = s->region;
    MemResult result = MEM_OK;
    uint64_t v = 0;
    if (s->host) {
        *value = host_load(s->host, size);
        return MEM_OK;
    }
    lock_domain_lock(r->domain);
    for (unsigned done = 0; done < size;) {
        hwaddr start, pos = s->offset + done;
        unsigned n = cut(r, pos, size - done, &start);
        unsigned skip = (unsigned)(pos - start), take = MIN(n - skip, size - done);
        uint64_t part = UINT64_MAX;
        result |= region_fits(r, start, n) ? hook_read(r, start, n, &part, attrs) : MEM_ERROR;
        v |= ((part >> (8 * skip)) & bits_mask(8 * take)) << (8 * done);
        done += take;
    }
    lock_domain_unlock(r->domain);
    *value = v;
    return result;
}

MemResult mem_io_write(const MemSection *s, unsigned size, uint64_t value, MemAttrs attrs)
{
    MemRegion *r = s->region;
    MemResult result = MEM_OK;
    if (!r->ops || (s->readonly && r->kind != REGION_ROMD))
        return MEM_OK; /* ROM, or a read-only view: the write is ignored */
    lock_domain_lock(r->domain);
    for (unsigned done = 0; done < size;) {
        hwaddr start, pos = s->offset + done;
        unsigned n = cut(r, pos, size - done, &start);
        unsigned skip = (unsigned)(pos - start), take = MIN(n - skip, size - done);
        uint64_t part = (value >> (8 * done)) & bits_mask(8 * take);
        result |= region_fits(r, start, n) ? hook_write(r, start, n, part << (8 * skip), attrs) : MEM_ERROR;
        done += take;
    }
    lock_domain_unlock(r->domain);
    return result;
}

/* ---- plain accesses ---- */

/* The largest of 1, 2, 4, 8 that is naturally aligned at addr and not above len. */
static unsigned step_size(hwaddr addr, uint64_t len)
{
    unsigned n = 8;
    while (n > len || (addr & (n - 1)))
        n /= 2;
    return n;
}

static MemResult section_read(const MemSection *s, unsigned size, uint64_t *value, MemAttrs attrs)
{
    if (s->region)
        return mem_io_read(s, size, value, attrs);
    *value = bits_mask(8 * size);
    return MEM_UNMAPPED;
}

static MemResult section_write(const MemSection *s, unsigned size, uint64_t value, MemAttrs attrs)
{
    if (!s->region)
        return MEM_UNMAPPED;
    if (s->host && !s->readonly) {
        host_store(s->host, size, value);
        mem_ram_written(s->ram_addr, size);
        return MEM_OK;
    }
    return mem_io_write(s, size, value, attrs);
}

MemResult as_read(AddressSpace *as, hwaddr addr, void *buf, uint64_t len, MemAttrs attrs)
{
    MemResult result = MEM_OK;
    uint8_t *p = buf;
    rcu_read_lock();
    while (len) {
        MemSection s;
        look_up_for(as, addr, MEM_READ, &s);
        uint64_t n = MIN(len, s.len);
        if (s.host && n > 8) {
            memcpy(p, s.host, n);
        } else if (!s.region) {
            memset(p, 0xff, n);
            result |= MEM_UNMAPPED;
        } else {
            uint64_t v;
            n = step_size(addr, n);
            result |= section_read(&s, (unsigned)n, &v, attrs);
            store_le(p, (unsigned)n, v);
        }
        p += n;
        addr += n;
        len -= n;
    }
    rcu_read_unlock();
    return result;
}

MemResult as_write(AddressSpace *as, hwaddr addr, const void *buf, uint64_t len, MemAttrs attrs)
{
    MemResult result = MEM_OK;
    const uint8_t *p = buf;
    rcu_read_lock();
    while (len) {
        MemSection s;
        look_up_for(as, addr, MEM_WRITE, &s);
        uint64_t n = MIN(len, s.len);
        if (s.host && !s.readonly && n > 8) {
            memcpy(s.host, p, n);
            mem_ram_written(s.ram_addr, n);
        } else if (!s.region) {
            result |= MEM_UNMAPPED;
        } else {
            n = step_size(addr, n);
            result |= section_write(&s, (unsigned)n, load_le(p, (unsigned)n), attrs);
        }
        p += n;
        addr += n;
        len -= n;
    }
    rcu_read_unlock();
    return result;
}

MemResult as_load(AddressSpace *as, hwaddr addr, unsigned size, uint64_t *value, MemAttrs attrs)
{
    MemSection s;
    MemResult result;
    rcu_read_lock();
    look_up_for(as, addr, MEM_READ, &s);
    if (s.len >= size) {
        result = section_read(&s, size, value, attrs);
    } else {
        uint8_t bytes[8];
        result = as_read(as, addr, bytes, size, attrs);
        *value = load_le(bytes, size);
    }
    rcu_read_unlock();
    return result;
}

MemResult as_store(AddressSpace *as, hwaddr addr, unsigned size, uint64_t value, MemAttrs attrs)
{
    MemSection s;
    MemResult result;
    rcu_read_lock();
    look_up_for(as, addr, MEM_WRITE, &s);
    if (s.len >= size) {
        result = section_write(&s, size, value, attrs);
    } else {
        uint8_t bytes[8];
        store_le(bytes, size, value);
        result = as_write(as, addr, bytes, size, attrs);
    }
    rcu_read_unlock();
    return result;
}

MemResult as_write_rom(AddressSpace *as, hwaddr addr, const void *buf, uint64_t len)
{
    MemResult result = MEM_OK;
    const uint8_t *p = buf;
    rcu_read_lock();
    while (len) {
        MemSection s;
        look_up(as, addr, &s);
        uint64_t n = MIN(len, s.len);
        if (s.host) {
            memcpy(s.host, p, n);
            mem_ram_written(s.ram_addr, n);
        } else {
            result |= s.region ? MEM_ERROR : MEM_UNMAPPED;
        }
        p += n;
        addr += n;
        len -= n;
    }
    rcu_read_unlock();
    return result;
}
