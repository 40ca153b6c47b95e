/* SPDX-License-Identifier: MIT */
/* Guest memory accesses from C: the fast level first, then pages, devices, page-crossing, atomics. */
#include <string.h>
#include "accel/tcg/tcg.h"

static pthread_mutex_t split_mutex = PTHREAD_MUTEX_INITIALIZER;

void split_lock(Vcpu *v)
{
    pthread_mutex_lock(&split_mutex);
    tcg_vcpu(v)->split_locked = true;
}
void split_unlock(Vcpu *v)
{
    if (tcg_vcpu(v)->split_locked) {
        tcg_vcpu(v)->split_locked = false;
        pthread_mutex_unlock(&split_mutex);
    }
}

/* A type of its own: clang takes the attribute in a typedef only. */
typedef uint16_t Unaligned16 __attribute__((aligned(1)));
typedef uint32_t Unaligned32 __attribute__((aligned(1)));
typedef uint64_t Unaligned64 __attribute__((aligned(1)));

uint64_t host_load(const uint8_t *p, unsigned size)
{
    switch (size) { /* one access each, so that other CPUs' stores are seen whole when aligned */
    case 1: return *(const volatile uint8_t *)p;
    case 2: return *(const volatile Unaligned16 *)p;
    case 4: return *(const volatile Unaligned32 *)p;
    case 8: return *(const volatile Unaligned64 *)p;
    default: return load_le(p, size);
    }
}
void host_store(uint8_t *p, unsigned size, uint64_t value)
{
    switch (size) {
    case 1: *(volatile uint8_t *)p = (uint8_t)value; break;
    case 2: *(volatile Unaligned16 *)p = (uint16_t)value; break;
    case 4: *(volatile Unaligned32 *)p = (uint32_t)value; break;
    case 8: *(volatile Unaligned64 *)p = value; break;
    default: store_le(p, size, value); break;
    }
}

static const TlbEntry *entry_or_unwind(Vcpu *v, uint64_t va, AccessKind kind, unsigned bank)
{
    const TlbEntry *e = tlb_lookup(v, va, kind, bank, false);
    if (!e)
        vcpu_unwind(v);
    return e;
}

void tlb_check_slow(Vcpu *v, const TlbEntry *e, uint64_t va, unsigned size, AccessKind kind, unsigned bank)
{
    if (!tlb_is_slow(e))
        return;
    unsigned align = MIN(size, 8); /* larger accesses are made of such parts */
    if (e->perm & PERM_ALIGNED && va & (align - 1)) {
        v->arch->misaligned(v, va, kind, align);
        vcpu_unwind(v);
    }
    uint64_t last = va + size - 1;
    while (e->page_bits < TCG_PAGE_BITS && (va ^ last) >> e->page_bits) { /* e may be filled anew, for the same page */
        va = (va | bits_mask(e->page_bits)) + 1;
        e = entry_or_unwind(v, va, kind, bank);
    }
}

/* For all of an access within one page. */
static const TlbEntry *access_entry(Vcpu *v, uint64_t va, unsigned size, AccessKind kind, unsigned bank)
{
    const TlbEntry *e = entry_or_unwind(v, va, kind, bank);
    tlb_check_slow(v, e, va, size, kind, bank);
    return e;
}

/* Before anything that the access needs has been done. */
static void may_access(Vcpu *v, const AddressSpace *as, hwaddr at)
{
    TcgVcpu *t = tcg_vcpu(v);
    if (t->allow_access && !t->allow_access(v, as, at))
        vcpu_unwind(v);
}

/* A device access may take long and change the memory map: nothing found in a TLB before it may be used after it. */
static uint64_t io_load(Vcpu *v, hwaddr pa, uint64_t va, unsigned size)
{
    TcgVcpu *t = tcg_vcpu(v);
    uint64_t value = ~UINT64_C(0);
    t->stats.mmio++;
    may_access(v, v->as, pa);
    atomic_store(&t->in_guest, false);
    MemResult r = as_load(v->as, pa, size, &value, v->arch->attrs(v));
    atomic_store(&t->in_guest, true);
    tlb_service(v);
    if (r != MEM_OK && v->arch->bus_error)
        v->arch->bus_error(v, va, pa, ACCESS_READ);
    return value & bits_mask(8 * size);
}
static void io_store(Vcpu *v, hwaddr pa, uint64_t va, unsigned size, uint64_t value)
{
    TcgVcpu *t = tcg_vcpu(v);
    t->stats.mmio++;
    may_access(v, v->as, pa);
    atomic_store(&t->in_guest, false);
    MemResult r = as_store(v->as, pa, size, value, v->arch->attrs(v));
    atomic_store(&t->in_guest, true);
    tlb_service(v);
    if (r != MEM_OK && v->arch->bus_error)
        v->arch->bus_error(v, va, pa, ACCESS_WRITE);
}

uint64_t guest_space_load(Vcpu *v, AddressSpace *as, hwaddr at, unsigned size)
{
    TcgVcpu *t = tcg_vcpu(v);
    uint64_t value = ~UINT64_C(0);
    may_access(v, as, at);
    atomic_store(&t->in_guest, false);
    as_load(as, at, size, &value, v->arch->attrs(v));
    atomic_store(&t->in_guest, true);
    tlb_service(v);
    return value & bits_mask(8 * size);
}

void guest_space_store(Vcpu *v, AddressSpace *as, hwaddr at, unsigned size, uint64_t value)
{
    TcgVcpu *t = tcg_vcpu(v);
    may_access(v, as, at);
    atomic_store(&t->in_guest, false);
    as_store(as, at, size, value & bits_mask(8 * size), v->arch->attrs(v));
    atomic_store(&t->in_guest, true);
    tlb_service(v);
}

/* Largest power of two not above n. */
static unsigned piece(unsigned n) { return n >= 8 ? 8 : n >= 4 ? 4 : n >= 2 ? 2 : 1; }

uint64_t entry_load(Vcpu *v, const TlbEntry *e, uint64_t va, unsigned size)
{
    unsigned offset = va & ~TCG_PAGE_MASK;
    if (e->host)
        return host_load(e->host + offset, size);
    hwaddr pa = e->phys + offset;
    uint64_t value = 0;
    for (unsigned done = 0; done < size;) {
        unsigned n = piece(size - done);
        value |= io_load(v, pa + done, va + done, n) << (8 * done);
        done += n;
    }
    return value;
}

void entry_store(Vcpu *v, const TlbEntry *e, uint64_t va, unsigned size, uint64_t value)
{
    unsigned offset = va & ~TCG_PAGE_MASK;
    if (e->host && !(e->perm & PERM_ROM)) {
        uint8_t *p = e->host + offset;
        uint64_t ram = e->ram + offset;
        if (!page_is_code(ram)) {
            host_store(p, size, value);
        } else if (host_load(p, size) != (value & bits_mask(8 * size))) {
            host_store(p, size, value);
            tcg_ram_written(ram, size);
        }
        return;
    }
    hwaddr pa = e->phys + offset;
    for (unsigned done = 0; done < size;) {
        unsigned n = piece(size - done);
        io_store(v, pa + done, va + done, n, value >> (8 * done));
        done += n;
    }
}

static bool crosses(uint64_t va, unsigned size) { return (va & ~TCG_PAGE_MASK) + size > TCG_PAGE_SIZE; }

uint64_t guest_load(Vcpu *v, uint64_t va, unsigned size, unsigned bank)
{
    const uint8_t *p = tlb_fast(v, va, size, bank, false);
    if (p)
        return host_load(p, size);
    tcg_watch(v, va, size, false);
    if (!crosses(va, size))
        return entry_load(v, access_entry(v, va, size, ACCESS_READ, bank), va, size);
    unsigned first = (unsigned)(TCG_PAGE_SIZE - (va & ~TCG_PAGE_MASK));
    access_entry(v, va, first, ACCESS_READ, bank);
    access_entry(v, va + first, size - first, ACCESS_READ, bank);
    uint64_t low = entry_load(v, entry_or_unwind(v, va, ACCESS_READ, bank), va, first);
    uint64_t high = entry_load(v, entry_or_unwind(v, va + first, ACCESS_READ, bank), va + first, size - first);
    return low | high << (8 * first);
}

void guest_store(Vcpu *v, uint64_t va, unsigned size, uint64_t value, unsigned bank)
{
    uint8_t *p = tlb_fast(v, va, size, bank, true);
    if (p) {
        host_store(p, size, value);
        return;
    }
    tcg_watch(v, va, size, true);
    if (!crosses(va, size)) {
        entry_store(v, access_entry(v, va, size, ACCESS_WRITE, bank), va, size, value);
        return;
    }
    unsigned first = (unsigned)(TCG_PAGE_SIZE - (va & ~TCG_PAGE_MASK));
    access_entry(v, va, first, ACCESS_WRITE, bank);
    access_entry(v, va + first, size - first, ACCESS_WRITE, bank);
    entry_store(v, entry_or_unwind(v, va, ACCESS_WRITE, bank), va, first, value & bits_mask(8 * first));
    entry_store(v, entry_or_unwind(v, va + first, ACCESS_WRITE, bank), va + first, size - first, value >> (8 * first));
}

void guest_probe(Vcpu *v, uint64_t va, unsigned len, AccessKind kind, unsigned bank)
{
    if (!len)
        return;
    unsigned first = (unsigned)MIN(len, TCG_PAGE_SIZE - (va & ~TCG_PAGE_MASK));
    access_entry(v, va, first, kind, bank);
    if (first < len)
        access_entry(v, va + first, len - first, kind, bank);
}

void *guest_host(Vcpu *v, uint64_t va, AccessKind kind, unsigned bank)
{
    uint8_t *p = kind == ACCESS_FETCH ? NULL : tlb_fast(v, va, 1, bank, kind == ACCESS_WRITE);
    if (p)
        return p;
    const TlbEntry *e = entry_or_unwind(v, va, kind, bank);
    bool plain = e->host && !tlb_is_slow(e) &&
                 (kind != ACCESS_WRITE || (!(e->perm & PERM_ROM) && !page_is_code(e->ram)));
    return plain ? e->host + (va & ~TCG_PAGE_MASK) : NULL;
}

bool guest_readable(Vcpu *v, uint64_t va, unsigned bank)
{
    if (tlb_fast(v, va, 1, bank, false))
        return true;
    const TlbEntry *e = tlb_lookup(v, va, ACCESS_READ, bank, true);
    return e && e->host && !tlb_is_slow(e);
}

/* Part of a copy within one page. */
static void page_copy(Vcpu *v, uint64_t va, uint8_t *buf, unsigned len, unsigned bank, bool write)
{
    uint8_t *p = guest_host(v, va, write ? ACCESS_WRITE : ACCESS_READ, bank);
    if (p) {
        memcpy(write ? p : buf, write ? buf : p, len);
        return;
    }
    for (unsigned done = 0; done < len;) {
        unsigned n = piece(len - done);
        if (write)
            guest_store(v, va + done, n, load_le(buf + done, n), bank);
        else
            store_le(buf + done, n, guest_load(v, va + done, n, bank));
        done += n;
    }
}

static void copy(Vcpu *v, uint64_t va, uint8_t *buf, unsigned len, unsigned bank, bool write)
{
    while (len) {
        unsigned n = (unsigned)MIN(len, TCG_PAGE_SIZE - (va & ~TCG_PAGE_MASK));
        page_copy(v, va, buf, n, bank, write);
        va += n;
        buf += n;
        len -= n;
    }
}
void guest_read(Vcpu *v, uint64_t va, void *buf, unsigned len, unsigned bank) { copy(v, va, buf, len, bank, false); }
void guest_write(Vcpu *v, uint64_t va, const void *buf, unsigned len, unsigned bank)
{
    copy(v, va, (uint8_t *)buf, len, bank, true);
}

/* A walk that permissions do not stop: what cannot be read may be executable only. */
static bool debug_walk(Vcpu *v, uint64_t va, hwaddr *pa)
{
    WalkResult w;
    unsigned bank;
    v->arch->code_address(v, &bank);
    if (!v->arch->walk(v, va, ACCESS_READ, bank, true, &w) && !v->arch->walk(v, va, ACCESS_FETCH, bank, true, &w))
        return false;
    *pa = (w.phys & TCG_PAGE_MASK) + (va & ~TCG_PAGE_MASK);
    return true;
}

static bool debug_copy(Vcpu *v, uint64_t va, uint8_t *buf, unsigned len, bool write)
{
    while (len) {
        unsigned n = (unsigned)MIN(len, TCG_PAGE_SIZE - (va & ~TCG_PAGE_MASK));
        MemAttrs attrs = v->arch->attrs(v);
        hwaddr pa;
        if (!debug_walk(v, va, &pa))
            return false;
        if (!write)
            as_read(v->as, pa, buf, n, attrs);
        else if (as_write_rom(v->as, pa, buf, n) != MEM_OK && as_write(v->as, pa, buf, n, attrs) != MEM_OK)
            return false;
        va += n;
        buf += n;
        len -= n;
    }
    return true;
}

bool guest_debug_read(Vcpu *v, uint64_t va, void *buf, unsigned len) { return debug_copy(v, va, buf, len, false); }
bool guest_debug_write(Vcpu *v, uint64_t va, const void *buf, unsigned len)
{
    return debug_copy(v, va, (uint8_t *)buf, len, true);
}

/* --- atomics --- */
static uint64_t apply(unsigned op, uint64_t old, uint64_t value)
{
    switch (op) {
    case 0: return value;
    case 1: return old + value;
    case 2: return old & value;
    case 3: return old | value;
    default: return old ^ value;
    }
}

#define HOST_CAS(type) ({ \
    type old_ = (type)*expected; \
    bool ok_ = __atomic_compare_exchange_n((type *)p, &old_, (type)desired, false, __ATOMIC_SEQ_CST, \
        __ATOMIC_SEQ_CST); \
    *expected = old_; \
    ok_; })
static bool host_cas(uint8_t *p, unsigned size, uint64_t *expected, uint64_t desired)
{
    switch (size) {
    case 1: return HOST_CAS(uint8_t);
    case 2: return HOST_CAS(uint16_t);
    case 4: return HOST_CAS(uint32_t);
    default: return HOST_CAS(uint64_t);
    }
}

/* Host address for an atomic operation, NULL: it must go the slow way under the split lock. Faults as a write does. */
static uint8_t *atomic_host(Vcpu *v, uint64_t va, unsigned size, unsigned bank, uint64_t *code_ram)
{
    *code_ram = NO_PAGE;
    uint8_t *p = tlb_fast(v, va, size, bank, true);
    if (p)
        return p;
    tcg_watch(v, va, size, false);
    tcg_watch(v, va, size, true);
    if (crosses(va, size)) {
        guest_probe(v, va, size, ACCESS_WRITE, bank);
        return NULL;
    }
    const TlbEntry *e = access_entry(v, va, size, ACCESS_WRITE, bank);
    if (!e->host || e->perm & PERM_ROM)
        return NULL;
    if (page_is_code(e->ram))
        *code_ram = e->ram + (va & ~TCG_PAGE_MASK);
    return e->host + (va & ~TCG_PAGE_MASK);
}

bool guest_cmpxchg(Vcpu *v, uint64_t va, unsigned size, uint64_t *expected, uint64_t desired, unsigned bank)
{
    uint64_t code_ram, mask = bits_mask(8 * size);
    *expected &= mask;
    uint8_t *p = atomic_host(v, va, size, bank, &code_ram);
    if (p) {
        bool ok = host_cas(p, size, expected, desired & mask);
        if (ok && code_ram != NO_PAGE)
            tcg_ram_written(code_ram, size);
        return ok;
    }
    split_lock(v);
    uint64_t old = guest_load(v, va, size, bank);
    bool ok = old == *expected;
    guest_store(v, va, size, ok ? desired : old, bank);
    split_unlock(v);
    *expected = old;
    return ok;
}

uint64_t guest_atomic_rmw(Vcpu *v, uint64_t va, unsigned size, unsigned op, uint64_t value, unsigned bank)
{
    uint64_t code_ram, mask = bits_mask(8 * size);
    uint8_t *p = atomic_host(v, va, size, bank, &code_ram);
    if (p) {
        uint64_t old = host_load(p, size);
        while (!host_cas(p, size, &old, apply(op, old, value) & mask))
            continue;
        if (code_ram != NO_PAGE)
            tcg_ram_written(code_ram, size);
        return old;
    }
    split_lock(v);
    uint64_t old = guest_load(v, va, size, bank);
    guest_store(v, va, size, apply(op, old, value) & mask, bank);
    split_unlock(v);
    return old;
}

#if defined(__x86_64__)
static bool cas16(uint8_t *p, uint64_t expected[2], const uint64_t desired[2])
{
    bool ok;
    __asm__ volatile("lock cmpxchg16b %1" : "=@ccz"(ok), "+m"(*(char(*)[16])p), "+a"(expected[0]), "+d"(expected[1])
                     : "b"(desired[0]), "c"(desired[1]) : "memory");
    return ok;
}
#elif defined(__aarch64__)
/* The pair that was read is one only when it could be stored again (DDI 0487, B2.9.5). */
static bool cas16(uint8_t *p, uint64_t expected[2], const uint64_t desired[2])
{
    uint64_t low, high, new_low, new_high;
    uint32_t failed, ok;
    __asm__ volatile("1: ldaxp %[l], %[h], %[m]\n\t"
                     "cmp %[l], %[el]\n\tccmp %[h], %[eh], #0, eq\n\tcset %w[ok], eq\n\t"
                     "csel %[nl], %[dl], %[l], eq\n\tcsel %[nh], %[dh], %[h], eq\n\t"
                     "stlxp %w[f], %[nl], %[nh], %[m]\n\tcbnz %w[f], 1b"
                     : [l] "=&r"(low), [h] "=&r"(high), [nl] "=&r"(new_low), [nh] "=&r"(new_high), [f] "=&r"(failed),
                       [ok] "=&r"(ok), [m] "+Q"(*(char(*)[16])p)
                     : [el] "r"(expected[0]), [eh] "r"(expected[1]), [dl] "r"(desired[0]), [dh] "r"(desired[1])
                     : "cc", "memory");
    expected[0] = low;
    expected[1] = high;
    return ok;
}
#else
static bool cas16(uint8_t *p, uint64_t expected[2], const uint64_t desired[2])
{
    unsigned __int128 old = (unsigned __int128)expected[1] << 64 | expected[0];
    unsigned __int128 new = (unsigned __int128)desired[1] << 64 | desired[0];
    bool ok = __atomic_compare_exchange_n((unsigned __int128 *)p, &old, new, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    expected[0] = (uint64_t)old;
    expected[1] = (uint64_t)(old >> 64);
    return ok;
}
#endif

bool guest_cmpxchg16(Vcpu *v, uint64_t va, uint64_t expected[2], const uint64_t desired[2], unsigned bank)
{
    uint64_t code_ram;
    uint8_t *p = va & 15 ? NULL : atomic_host(v, va, 16, bank, &code_ram);
    if (p) {
        bool ok = cas16(p, expected, desired);
        if (ok && code_ram != NO_PAGE)
            tcg_ram_written(code_ram, 16);
        return ok;
    }
    guest_probe(v, va, 16, ACCESS_WRITE, bank);
    split_lock(v);
    uint64_t old[2] = { guest_load(v, va, 8, bank), guest_load(v, va + 8, 8, bank) };
    bool ok = old[0] == expected[0] && old[1] == expected[1];
    guest_store(v, va, 8, ok ? desired[0] : old[0], bank);
    guest_store(v, va + 8, 8, ok ? desired[1] : old[1], bank);
    split_unlock(v);
    expected[0] = old[0];
    expected[1] = old[1];
    return ok;
}
