/* SPDX-License-Identifier: MIT */
/*
 * SVE: loads and stores (DDI 0487, C8.2). Registers change when nothing can fault any more; stores are probed before
 * the first is done.
 */
#include "target/arm/tcg/sve.h"
#include "target/arm/tcg/translate.h"

typedef struct Mem {
    unsigned msz, bank;  /* log2 of the bytes in memory */
    bool sign, swap, checks;
    uint64_t base;
} Mem;

static Mem mem_open(const Sve *s)
{
    uint64_t mode = s->v->mode;
    return (Mem){ .msz = s->desc >> SVE_MSZ_SHIFT & 3,
                  .sign = s->desc >> SVE_SIGN_SHIFT & 1,
                  .bank = arm_mode_bank(mode),
                  .swap = mode & ARM_MODE_BE,
                  .checks = mode & (ARM_MODE_ALIGN | ARM_MODE_WATCHPOINT | ARM_MODE_MTE) };
}
static unsigned regs_of(const Sve *s) { return s->desc >> SVE_REGS_SHIFT & 3; }
static unsigned kind_of(const Sve *s) { return s->desc >> SVE_KIND_SHIFT & 15; }
/* Scalar base with an immediate or a register. */
static uint64_t base_of(const Sve *s, const Mem *m)
{
    return sve_xsp(s, s->rn) + (kind_of(s) == 1 ? sve_x(s, s->rm) << m->msz : (uint64_t)(int64_t)s->imm);
}

/* Alignment, watchpoints, tags: what the mode asks for. */
static void check(Sve *s, const Mem *m, uint64_t va, unsigned size, bool write)
{
    uint64_t mode = s->v->mode;
    if (mode & ARM_MODE_ALIGN && va & (size - 1)) {
        vcpu_sync(s->v);
        s->v->arch->misaligned(s->v, va, write ? ACCESS_WRITE : ACCESS_READ, size);
        vcpu_unwind(s->v);
    }
    if (mode & ARM_MODE_WATCHPOINT)
        arm_help_watchpoint(s->v, va, size, write);
    if (mode & ARM_MODE_MTE)
        arm_help_tag_check(s->v, va, size, write ? ARM_MEM_WRITE : 0);
}
static uint64_t extend(const Mem *m, uint64_t value)
{
    unsigned size = 1u << m->msz;
    if (m->swap)
        value = __builtin_bswap64(value) >> (64 - 8 * size);
    return m->sign ? (uint64_t)bits_sget(value, 0, 8 * size) : value;
}
static uint64_t load(Sve *s, const Mem *m, uint64_t va)
{
    if (m->checks)
        check(s, m, va, 1u << m->msz, false);
    return extend(m, guest_load(s->v, va, 1u << m->msz, m->bank));
}
static void probe(Sve *s, const Mem *m, uint64_t va)
{
    if (m->checks)
        check(s, m, va, 1u << m->msz, true);
    guest_probe(s->v, va, 1u << m->msz, ACCESS_WRITE, m->bank);
}
static void store(Sve *s, const Mem *m, uint64_t va, uint64_t value)
{
    unsigned size = 1u << m->msz;
    guest_store(s->v, va, size, m->swap ? __builtin_bswap64(value) >> (64 - 8 * size) : value, m->bank);
}
static bool crosses(uint64_t va, unsigned size) { return (va & (TCG_PAGE_SIZE - 1)) + size > TCG_PAGE_SIZE; }
/* A block of memory that needs no care: within a page of RAM, and in order. NULL: element by element. */
static uint8_t *plain(Sve *s, const Mem *m, uint64_t va, unsigned size, AccessKind kind)
{
    return m->checks || m->swap || crosses(va, size) ? NULL : guest_host(s->v, va, kind, m->bank);
}

/* --- contiguous --- */
SVE(LD1)
{
    Mem m = mem_open(s);
    VecReg r = { 0 };
    m.base = base_of(s, &m);
    unsigned size = sve_elements(s) << m.msz;
    uint8_t *p = s->pg == s->all && m.msz == s->es ? plain(s, &m, m.base, size, ACCESS_READ) : NULL;
    if (p)
        memcpy(&r, p, size);
    else
        for (unsigned i = 0; i < sve_elements(s); i++)
            if (sve_active(s, i << s->es))
                sve_put(&r, s->es, i, load(s, &m, m.base + ((uint64_t)i << m.msz)));
    sve_set(s, &r);
}
SVE(ST1)
{
    Mem m = mem_open(s);
    m.base = base_of(s, &m);
    unsigned size = sve_elements(s) << m.msz;
    uint8_t *p = s->pg == s->all && m.msz == s->es ? plain(s, &m, m.base, size, ACCESS_WRITE) : NULL;
    if (p) {
        memcpy(p, s->d, size);
        return;
    }
    for (unsigned i = 0; i < sve_elements(s); i++)
        if (sve_active(s, i << s->es))
            probe(s, &m, m.base + ((uint64_t)i << m.msz));
    for (unsigned i = 0; i < sve_elements(s); i++)
        if (sve_active(s, i << s->es))
            store(s, &m, m.base + ((uint64_t)i << m.msz), sve_get(s->d, s->es, i));
}
SVE(LDN)
{
    Mem m = mem_open(s);
    unsigned regs = regs_of(s) + 1;
    VecReg r[4] = { { { 0 } } };
    m.base = base_of(s, &m);
    for (unsigned i = 0; i < sve_elements(s); i++)
        for (unsigned k = 0; k < regs && sve_active(s, i << s->es); k++)
            sve_put(&r[k], s->es, i, load(s, &m, m.base + ((uint64_t)(i * regs + k) << m.msz)));
    for (unsigned k = 0; k < regs; k++) {
        s->d = &s->v->v[(s->rd + k) & 31];
        sve_set(s, &r[k]);
    }
}
SVE(STN)
{
    Mem m = mem_open(s);
    unsigned regs = regs_of(s) + 1;
    m.base = base_of(s, &m);
    for (unsigned i = 0; i < sve_elements(s); i++)
        for (unsigned k = 0; k < regs && sve_active(s, i << s->es); k++)
            probe(s, &m, m.base + ((uint64_t)(i * regs + k) << m.msz));
    for (unsigned i = 0; i < sve_elements(s); i++)
        for (unsigned k = 0; k < regs && sve_active(s, i << s->es); k++)
            store(s, &m, m.base + ((uint64_t)(i * regs + k) << m.msz), sve_get(&s->v->v[(s->rd + k) & 31], s->es, i));
}
SVE(LD1R) /* one element for all */
{
    Mem m = mem_open(s);
    VecReg r = { 0 };
    uint64_t value = s->pg ? load(s, &m, base_of(s, &m)) : 0;
    for (unsigned i = 0; i < sve_elements(s); i++)
        if (sve_active(s, i << s->es))
            sve_put(&r, s->es, i, value);
    sve_set(s, &r);
}
SVE(LD1RQ) /* 128 bits (regs 1: 256) for all; the rest of an odd vector is zero */
{
    Mem m = mem_open(s);
    VecReg r = { 0 };
    unsigned block = 16u << regs_of(s);
    m.base = base_of(s, &m);
    for (unsigned i = 0; i < block >> s->es; i++)
        if (sve_active(s, i << s->es))
            sve_put(&r, s->es, i, load(s, &m, m.base + ((uint64_t)i << m.msz)));
    for (unsigned at = block; at + block <= s->bytes; at += block)
        memcpy(r.u8 + at, &r, block);
    sve_set(s, &r);
}

/* --- first-fault and non-fault: what would fault, or is not plain RAM, ends the load in FFR --- */
static void record_fault(Sve *s, unsigned element) { s->c->ffr[0] &= sve_ones(element << s->es); }
/* Elements behind the first active one are taken from its page only. */
static void no_fault(Sve *s, bool first_faults)
{
    Mem m = mem_open(s);
    VecReg r = { 0 };
    m.base = base_of(s, &m);
    unsigned first = s->pg ? (unsigned)__builtin_ctzll(s->pg) >> s->es : sve_elements(s), size = 1u << m.msz;
    uint64_t page = (m.base + ((uint64_t)first << m.msz)) & TCG_PAGE_MASK;
    for (unsigned i = first; i < sve_elements(s); i++) {
        uint64_t va = m.base + ((uint64_t)i << m.msz);
        if (!sve_active(s, i << s->es))
            continue;
        bool must = first_faults && i == first;
        if (!must && ((va & TCG_PAGE_MASK) != page || crosses(va, size) || !guest_readable(s->v, va, m.bank))) {
            record_fault(s, i);
            break;
        }
        sve_put(&r, s->es, i, load(s, &m, va));
    }
    sve_set(s, &r);
}
SVE(LDFF1) { no_fault(s, true); }
SVE(LDNF1) { no_fault(s, false); }

/* --- gathers and scatters --- */
static uint64_t address(const Sve *s, const Mem *m, unsigned i)
{
    unsigned kind = kind_of(s), shift = s->desc >> SVE_SCALED_SHIFT & 1 ? m->msz : 0;
    if (kind >= 5)
        return sve_get(s->n, s->es, i) + (kind == 5 ? (uint64_t)(int64_t)s->imm : sve_x(s, s->rm));
    uint64_t offset = sve_get(s->m, s->es, i);
    offset = kind == 2 ? (uint64_t)(int64_t)(int32_t)offset : kind == 3 ? (uint32_t)offset : offset;
    return sve_xsp(s, s->rn) + (offset << shift);
}
static void gather(Sve *s, bool first_fault)
{
    Mem m = mem_open(s);
    VecReg r = { 0 };
    bool first = true;
    for (unsigned i = 0; i < sve_elements(s); i++) {
        if (!sve_active(s, i << s->es))
            continue;
        uint64_t va = address(s, &m, i);
        if (first_fault && !first && (crosses(va, 1u << m.msz) || !guest_readable(s->v, va, m.bank))) {
            record_fault(s, i);
            break;
        }
        sve_put(&r, s->es, i, load(s, &m, va));
        first = false;
    }
    sve_set(s, &r);
}
SVE(LDG) { gather(s, false); }
SVE(LDFFG) { gather(s, true); }
SVE(STG)
{
    Mem m = mem_open(s);
    for (unsigned i = 0; i < sve_elements(s); i++)
        if (sve_active(s, i << s->es))
            probe(s, &m, address(s, &m, i));
    for (unsigned i = 0; i < sve_elements(s); i++)
        if (sve_active(s, i << s->es))
            store(s, &m, address(s, &m, i), sve_get(s->d, s->es, i));
}

/* --- whole registers: bytes in order, whatever the byte order of data --- */
static void transfer(Sve *s, void *data, unsigned size, bool write)
{
    uint64_t va = sve_xsp(s, s->rn) + (uint64_t)(int64_t)s->imm, mode = s->v->mode;
    unsigned bank = arm_mode_bank(mode);
    if (mode & ARM_MODE_ALIGN && va & (size >= 16 ? 15 : 1)) {
        vcpu_sync(s->v);
        s->v->arch->misaligned(s->v, va, write ? ACCESS_WRITE : ACCESS_READ, size >= 16 ? 16 : 2);
        vcpu_unwind(s->v);
    }
    if (mode & ARM_MODE_WATCHPOINT)
        arm_help_watchpoint(s->v, va, size, write);
    if (mode & ARM_MODE_MTE)
        arm_help_tag_check(s->v, va, size, write ? ARM_MEM_WRITE : 0);
    if (write) {
        guest_probe(s->v, va, size, ACCESS_WRITE, bank);
        guest_write(s->v, va, data, size, bank);
    } else {
        guest_read(s->v, va, data, size, bank);
    }
}
SVE(LDRZ)
{
    VecReg r;
    transfer(s, &r, s->bytes, false);
    sve_set(s, &r);
}
SVE(STRZ) { transfer(s, s->d, s->bytes, true); }
SVE(LDRP)
{
    uint64_t r = 0;
    transfer(s, &r, s->bytes / 8, false);
    *sve_pred(s, s->rd) = r;
}
SVE(STRP)
{
    uint64_t r = *sve_pred(s, s->rd);
    transfer(s, &r, s->bytes / 8, true);
}
