/* SPDX-License-Identifier: MIT */
/* Helpers of the front end's own: whole pages of REP MOVS and REP STOS, the full fence. */
#include <stdatomic.h>
#include "target/x86/tcg/emit.h"

void x86_help_fence(Vcpu *v, uint64_t a, uint64_t b, uint64_t a3)
{
    atomic_thread_fence(memory_order_seq_cst);
}

enum { BULK_BYTES = 1 << 16 }; /* at most that much in a call, so that interrupts are timely */

/* What a repeated string instruction works on. */
typedef struct Rep {
    X86Cpu *c;
    unsigned size, asize, seg, bank;
} Rep;

static Rep rep_unpack(Vcpu *v, uint64_t a)
{
    return (Rep){ x86_cpu(v), a & 255, a >> 8 & 255, a >> 16 & 255, x86_bank(v->mode) };
}

static uint64_t wrap(const Rep *r, uint64_t value)
{
    return r->asize == 8 ? value : value & bits_mask(r->asize * 8);
}

static uint64_t linear(const Rep *r, unsigned seg, uint64_t offset)
{
    if (r->c->v.mode & X86_MODE_CS64)
        return seg >= SEG_FS ? offset + r->c->seg[seg].base : offset;
    return (uint32_t)(offset + r->c->seg[seg].base);
}

/* Bytes from `offset` to the end of its page, of the address size or of the linear space, whichever is nearest. */
static uint64_t room(const Rep *r, uint64_t offset, uint64_t va)
{
    uint64_t page = TCG_PAGE_SIZE - (va & ~TCG_PAGE_MASK);
    uint64_t top = r->asize == 2 ? 0x10000 - offset : UINT64_MAX;
    return MIN(page, top);
}

/*
 * n bytes are done: indexes and count move. Registers narrower than 64 bits keep (16) or clear (32) their upper part.
 */
static void put(const Rep *r, unsigned reg, uint64_t value)
{
    uint64_t *g = &r->c->v.g[reg];
    *g = r->asize == 8 ? value : r->asize == 4 ? (uint32_t)value : (*g & ~UINT64_C(0xffff)) | (value & 0xffff);
}

/* One element by the slow path: page-crossing, MMIO, code pages. */
static void move_one(const Rep *r, uint64_t from, uint64_t to)
{
    guest_store(&r->c->v, to, r->size, guest_load(&r->c->v, from, r->size, r->bank), r->bank);
}

/* Forward copy whose result is that of element-by-element copying, also when the ranges overlap. */
static void copy_forward(uint8_t *to, const uint8_t *from, size_t bytes, unsigned size)
{
    if (to + bytes <= from || from + bytes <= to) {
        memcpy(to, from, bytes);
        return;
    }
    for (size_t n = 0; n < bytes; n += size) {
        uint8_t element[8];
        memcpy(element, from + n, size);
        memcpy(to + n, element, size);
    }
}

void x86_help_rep_movs(Vcpu *v, uint64_t a, uint64_t b, uint64_t a3)
{
    Rep r = rep_unpack(v, a);
    int64_t step = r.c->df * (int64_t)r.size;
    for (unsigned budget = BULK_BYTES; budget;) {
        uint64_t count = wrap(&r, v->g[RCX]), rsi = wrap(&r, v->g[RSI]), rdi = wrap(&r, v->g[RDI]);
        if (!count)
            return;
        uint64_t from = linear(&r, r.seg, rsi), to = linear(&r, SEG_ES, rdi);
        uint64_t bytes = MIN(MIN(room(&r, rsi, from), room(&r, rdi, to)), budget);
        uint64_t n = MIN(bytes / r.size, count);
        const uint8_t *src = n && step > 0 ? guest_host(v, from, ACCESS_READ, r.bank) : NULL;
        uint8_t *dst = src ? guest_host(v, to, ACCESS_WRITE, r.bank) : NULL;
        if (dst) {
            copy_forward(dst, src, n * r.size, r.size);
        } else {
            n = 1;
            move_one(&r, from, to);
        }
        put(&r, RSI, rsi + n * step);
        put(&r, RDI, rdi + n * step);
        put(&r, RCX, count - n);
        budget -= MIN(budget, dst ? n * r.size : 256);
    }
}

static void fill(uint8_t *to, uint64_t count, unsigned size, uint64_t value)
{
    if (size == 1 || value == (value & 0xff) * (UINT64_MAX / 0xff >> (64 - 8 * size))) {
        memset(to, (int)(value & 0xff), count * size);
        return;
    }
    for (uint64_t n = 0; n < count; n++)
        memcpy(to + n * size, &value, size);
}

void x86_help_rep_stos(Vcpu *v, uint64_t a, uint64_t b, uint64_t a3)
{
    Rep r = rep_unpack(v, a);
    int64_t step = r.c->df * (int64_t)r.size;
    uint64_t value = v->g[RAX] & bits_mask(r.size * 8);
    for (unsigned budget = BULK_BYTES; budget;) {
        uint64_t count = wrap(&r, v->g[RCX]), rdi = wrap(&r, v->g[RDI]);
        if (!count)
            return;
        uint64_t to = linear(&r, SEG_ES, rdi);
        uint64_t n = MIN(MIN(room(&r, rdi, to), budget) / r.size, count);
        uint8_t *dst = n && step > 0 ? guest_host(v, to, ACCESS_WRITE, r.bank) : NULL;
        if (dst) {
            fill(dst, n, r.size, value);
        } else {
            n = 1;
            guest_store(v, to, r.size, value, r.bank);
        }
        put(&r, RDI, rdi + n * step);
        put(&r, RCX, count - n);
        budget -= MIN(budget, dst ? n * r.size : 256);
    }
}
