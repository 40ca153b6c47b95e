/* SPDX-License-Identifier: MIT */
/* The portable interpreter of IR: oracle of the back ends, single-step engine, and fallback on hosts without one. */
#include "accel/tcg/interp/interp.h"
#include "accel/tcg/simd.h"

/* --- operands --- */
static uint64_t *slot_of(Vcpu *v, IrRef r)
{
    return ir_kind(r) == IR_KIND_T ? &v->tmp[ir_num(r)] : &v->g[ir_num(r)];
}

uint64_t interp_address(Vcpu *v, const IrMem *m)
{
    uint64_t va = (uint64_t)(int64_t)m->disp;
    if (m->base != IR_NONE)
        va += *slot_of(v, m->base);
    if (m->index != IR_NONE)
        va += *slot_of(v, m->index) << m->scale;
    va &= bits_mask(8 * m->asize);
    if (m->segment)
        va += *(const uint64_t *)((const char *)v + m->segment);
    return m->wrap_linear ? (uint32_t)va : va;
}

/* The address, after the alignment check. */
static uint64_t access_address(Vcpu *v, const IrInsn *i, AccessKind kind)
{
    uint64_t va = interp_address(v, &i->m);
    if (i->m.align && va & (i->m.align - 1)) {
        v->arch->misaligned(v, va, kind, i->m.align);
        vcpu_unwind(v);
    }
    return va;
}

static uint64_t swapped(const IrInsn *i, uint64_t value, unsigned size)
{
    return i->flags & IR_BE ? __builtin_bswap64(value) >> (64 - 8 * size) : value;
}

uint64_t interp_read(Vcpu *v, const IrInsn *i, IrRef r, unsigned size)
{
    uint64_t mask = bits_mask(8 * size);
    switch (ir_kind(r)) {
    case IR_KIND_G:
    case IR_KIND_T: return *slot_of(v, r) & mask;
    case IR_KIND_GH: return v->g[ir_num(r)] >> 8 & 0xff;
    case IR_KIND_IMM: return i->imm & mask;
    case IR_KIND_MEM: return swapped(i, guest_load(v, access_address(v, i, ACCESS_READ), size, i->m.bank), size);
    default: return 0;
    }
}

void interp_write(Vcpu *v, const IrInsn *i, IrRef r, unsigned size, uint64_t value)
{
    uint64_t mask = bits_mask(8 * size);
    switch (ir_kind(r)) {
    case IR_KIND_G:
    case IR_KIND_T: {
        uint64_t *g = slot_of(v, r);
        *g = size >= 4 ? value & mask : (*g & ~mask) | (value & mask);
        break;
    }
    case IR_KIND_GH: v->g[ir_num(r)] = (v->g[ir_num(r)] & ~UINT64_C(0xff00)) | (value & 0xff) << 8; break;
    case IR_KIND_MEM:
        guest_store(v, access_address(v, i, ACCESS_WRITE), size, swapped(i, value & mask, size), i->m.bank);
        break;
    default: break;
    }
}

bool interp_cond(Vcpu *v, unsigned cond)
{
    uint32_t f = flags_eval(&v->fl);
    bool c = f & FLAG_C, z = f & FLAG_Z, s = f & FLAG_S, o = f & FLAG_O, r;
    switch (cond >> 1) {
    case 0: r = o; break;
    case 1: r = c; break;
    case 2: r = z; break;
    case 3: r = c || z; break;
    case 4: r = s; break;
    case 5: r = f & FLAG_P; break;
    case 6: r = s != o; break;
    default: r = z || s != o; break;
    }
    return r != (cond & 1);
}

/* May a compare-and-exchange loop be used there? (Not on devices: each try would be an access.) */
static bool is_memory(Vcpu *v, uint64_t va, unsigned size, unsigned bank)
{
    if ((va & ~TCG_PAGE_MASK) + size > TCG_PAGE_SIZE)
        return false;
    const TlbEntry *e = tlb_lookup(v, va, ACCESS_WRITE, bank, false);
    return e && e->host && !(e->perm & PERM_ROM);
}

/* --- operations with one result that may stand in memory --- */
static void alu(Vcpu *v, const IrInsn *i)
{
    LazyFlags f = v->fl;
    unsigned size = i->size;
    bool in_memory = i->d == IR_MEM && i->a == IR_MEM;
    uint64_t va = 0, a, r;
    bool atomic = false;
    if (in_memory) {
        va = access_address(v, i, ACCESS_WRITE);
        guest_probe(v, va, size, ACCESS_WRITE, i->m.bank);
        atomic = i->flags & IR_LOCK && is_memory(v, va, size, i->m.bank);
        if (i->flags & IR_LOCK && !atomic)
            split_lock(v);
        a = guest_load(v, va, size, i->m.bank);
    } else {
        a = interp_read(v, i, i->a, size);
    }
    uint64_t b = interp_read(v, i, i->b, size), c = interp_read(v, i, i->c, size);
    for (;;) {
        f = v->fl;
        r = interp_alu(v, i, swapped(i, a, size), b, c, &f);
        if (!in_memory || !interp_stores(i->op))
            break;
        if (!atomic) {
            guest_store(v, va, size, swapped(i, r, size), i->m.bank);
            break;
        }
        if (guest_cmpxchg(v, va, size, &a, swapped(i, r, size), i->m.bank))
            break;
    }
    split_unlock(v);
    if (!in_memory && interp_stores(i->op) && i->d != IR_NONE)
        interp_write(v, i, i->d, size, r);
    if (i->flags & IR_NOTC)
        f.op |= LAZY_OP(FLAGS_NOTC, 1);
    if (i->flags & IR_SETF)
        v->fl = f;
}

/* --- multiplication, division, scans: two results or none --- */
static void mul2(Vcpu *v, const IrInsn *i)
{
    unsigned size = i->size, bits = 8 * size;
    uint64_t a = interp_read(v, i, i->a, size), b = interp_read(v, i, i->b, size), low, high;
    bool is_signed = i->op == IR_MULS2, over;
    if (is_signed) {
        __int128 p = (__int128)bits_sget(a, 0, bits) * bits_sget(b, 0, bits);
        low = (uint64_t)p & bits_mask(bits), high = (uint64_t)(p >> bits) & bits_mask(bits);
        over = p != (__int128)bits_sget(low, 0, bits);
    } else {
        unsigned __int128 p = (unsigned __int128)a * b;
        low = (uint64_t)p & bits_mask(bits), high = (uint64_t)(p >> bits) & bits_mask(bits);
        over = high != 0;
    }
    if (size == 1) {
        interp_write(v, i, i->d, 2, low | high << 8);
    } else {
        interp_write(v, i, i->d, size, low);
        interp_write(v, i, i->c, size, high);
    }
    if (i->flags & IR_SETF)
        v->fl = (LazyFlags){ .dst = low, .src = over, .op = LAZY_OP(FLAGS_MUL, size) };
}

static _Noreturn void divide_error(Vcpu *v)
{
    v->arch->divide_error(v);
    vcpu_unwind(v);
}

static void divide(Vcpu *v, const IrInsn *i)
{
    unsigned size = i->size, bits = 8 * size;
    uint64_t b = interp_read(v, i, i->b, size), q, r;
    unsigned __int128 a = size == 1 ? interp_read(v, i, i->a, 2)
                                    : (unsigned __int128)interp_read(v, i, i->c, size) << bits |
                                          interp_read(v, i, i->a, size);
    if (!b)
        divide_error(v);
    if (i->op == IR_DIVU) {
        if (a / b > bits_mask(bits))
            divide_error(v);
        q = (uint64_t)(a / b), r = (uint64_t)(a % b);
    } else {
        unsigned shift = 128 - 2 * bits;
        __int128 sa = (__int128)(a << shift) >> shift, sb = bits_sget(b, 0, bits);
        if (sb == -1 && sa == (__int128)((unsigned __int128)1 << 127))
            divide_error(v);
        __int128 sq = sa / sb;
        if (sq != (__int128)bits_sget((uint64_t)sq & bits_mask(bits), 0, bits))
            divide_error(v);
        q = (uint64_t)sq, r = (uint64_t)(sa % sb);
    }
    interp_write(v, i, i->d, size, q);
    interp_write(v, i, i->c, size, r);
}

static void plain_divide(Vcpu *v, const IrInsn *i)
{
    unsigned bits = 8 * i->size;
    uint64_t a = interp_read(v, i, i->a, i->size), b = interp_read(v, i, i->b, i->size), q = 0;
    int64_t sa = bits_sget(a, 0, bits), sb = bits_sget(b, 0, bits);
    if (b && i->op == IR_UDIV)
        q = a / b;
    else if (b)
        q = sb == -1 ? -(uint64_t)sa : (uint64_t)(sa / sb);
    interp_write(v, i, i->d, i->size, q);
}

/* BSF, BSR: with a zero source the destination stays. */
static void scan(Vcpu *v, const IrInsn *i)
{
    uint64_t a = interp_read(v, i, i->a, i->size);
    if (a)
        interp_write(v, i, i->d, i->size,
                     i->op == IR_BSF ? (uint64_t)__builtin_ctzll(a) : 63u - (uint64_t)__builtin_clzll(a));
    if (i->flags & IR_SETF)
        flags_set_explicit(v, a ? 0 : FLAG_Z);
}

static void crc32c(Vcpu *v, const IrInsn *i)
{
    uint32_t crc = (uint32_t)interp_read(v, i, i->a, 4);
    uint64_t data = interp_read(v, i, i->b, i->size);
    for (unsigned bit = 0; bit < 8u * i->size; bit++, data >>= 1)
        crc = crc >> 1 ^ ((crc ^ data) & 1 ? 0x82f63b78 : 0); /* Castagnoli, reflected */
    interp_write(v, i, i->d, 8, crc);
}

/* --- exchanges --- */
static void xchg(Vcpu *v, const IrInsn *i)
{
    uint64_t va = access_address(v, i, ACCESS_WRITE), a = swapped(i, interp_read(v, i, i->a, i->size), i->size);
    interp_write(v, i, i->d, i->size, swapped(i, guest_atomic_rmw(v, va, i->size, 0, a, i->m.bank), i->size));
}
static uint64_t add_big_endian(Vcpu *v, const IrInsn *i, uint64_t va, uint64_t a)
{
    uint64_t old = guest_load(v, va, i->size, i->m.bank); /* as it stands in memory */
    while (!guest_cmpxchg(v, va, i->size, &old,
                          swapped(i, (swapped(i, old, i->size) + a) & bits_mask(8 * i->size), i->size), i->m.bank))
        continue;
    return swapped(i, old, i->size);
}
static void xadd(Vcpu *v, const IrInsn *i)
{
    uint64_t va = access_address(v, i, ACCESS_WRITE), a = interp_read(v, i, i->a, i->size);
    uint64_t old = i->flags & IR_BE ? add_big_endian(v, i, va, a) : guest_atomic_rmw(v, va, i->size, 1, a, i->m.bank);
    interp_write(v, i, i->d, i->size, old);
    if (i->flags & IR_SETF)
        v->fl = (LazyFlags){ .dst = (old + a) & bits_mask(8 * i->size), .src = a, .op = LAZY_OP(FLAGS_ADD, i->size) };
}
static void cmpxchg(Vcpu *v, const IrInsn *i)
{
    unsigned size = i->size;
    uint64_t va = access_address(v, i, ACCESS_WRITE), expected = interp_read(v, i, i->d, size),
             old = swapped(i, expected, size);
    bool ok = guest_cmpxchg(v, va, size, &old, swapped(i, interp_read(v, i, i->a, size), size), i->m.bank);
    old = swapped(i, old, size);
    if (!ok)
        interp_write(v, i, i->d, size, old);
    if (i->flags & IR_SETF)
        v->fl = (LazyFlags){ .dst = expected, .src = old, .op = LAZY_OP(FLAGS_CMP, size) };
}

/* --- calls and state --- */
typedef uint64_t HelperFn(Vcpu *v, uint64_t a, uint64_t b, uint64_t c);
static uint64_t argument(Vcpu *v, const IrInsn *i, IrRef r) { return r == IR_IMM ? i->imm2 : interp_read(v, i, r, 8); }
static void call(Vcpu *v, const IrInsn *i)
{
    HelperFn *fn = (HelperFn *)(uintptr_t)i->imm;
    uint64_t r = fn(v, argument(v, i, i->a), argument(v, i, i->b), argument(v, i, i->c));
    if (i->d != IR_NONE)
        interp_write(v, i, i->d, 8, r);
}

static void store_field(Vcpu *v, const IrInsn *i)
{
    uint64_t value = i->a == IR_IMM ? i->imm2 : interp_read(v, i, i->a, i->size);
    host_store((uint8_t *)v + i->imm, i->size, value);
}

/* Flags of CMP a, b, or of ADD with the inverted carry. */
static void conditional_compare(Vcpu *v, const IrInsn *i)
{
    uint64_t a = interp_read(v, i, i->a, i->size), b = interp_read(v, i, i->b, i->size);
    if (!interp_cond(v, i->cond))
        flags_set_explicit(v, (uint32_t)i->imm2);
    else if (i->op == IR_CCMP)
        v->fl = (LazyFlags){ .dst = a, .src = b, .op = LAZY_OP(FLAGS_CMP, i->size) };
    else
        v->fl = (LazyFlags){ .dst = (a + b) & bits_mask(8 * i->size),
                             .src = b,
                             .op = LAZY_OP(FLAGS_ADD | FLAGS_NOTC, i->size) };
}

static void set_nz(Vcpu *v, const IrInsn *i)
{
    uint64_t a = interp_read(v, i, i->a, i->size);
    bool negative = a >> (8 * i->size - 1) & 1;
    flags_set_explicit(v, (flags_eval(&v->fl) & (FLAG_C | FLAG_O)) | (a ? 0 : FLAG_Z) | (negative ? FLAG_S : 0));
}

static void put_flags(Vcpu *v, const IrInsn *i)
{
    uint32_t mask = (uint32_t)i->imm & FLAG_ALL;
    flags_set_explicit(v, (flags_eval(&v->fl) & ~mask) | ((uint32_t)interp_read(v, i, i->a, 4) & mask));
}

/* GOTOZ and its kin: the masked operand. */
static bool masked_is_zero(Vcpu *v, const IrInsn *i)
{
    return !(interp_read(v, i, i->a, i->size) & (i->imm2 ? i->imm2 : ~UINT64_C(0)));
}

/* --- one op that does not steer --- */
void interp_step(Vcpu *v, const IrInsn *i)
{
    switch ((IrOp)i->op) {
    case IR_MOV: interp_write(v, i, i->d, i->size, interp_read(v, i, i->a, i->size)); break;
    case IR_MULU2: case IR_MULS2: mul2(v, i); break;
    case IR_DIVU: case IR_DIVS: divide(v, i); break;
    case IR_UDIV: case IR_SDIV: plain_divide(v, i); break;
    case IR_BSF: case IR_BSR: scan(v, i); break;
    case IR_CRC32C: crc32c(v, i); break;
    case IR_ZEXT: interp_write(v, i, i->d, i->size2, interp_read(v, i, i->a, i->size)); break;
    case IR_SEXT:
        interp_write(v, i, i->d, i->size2, (uint64_t)bits_sget(interp_read(v, i, i->a, i->size), 0, 8 * i->size));
        break;
    case IR_LEA: {
        IrMem m = i->m;
        m.segment = 0, m.wrap_linear = false;
        interp_write(v, i, i->d, i->size, interp_address(v, &m));
        break;
    }
    case IR_SETCC: interp_write(v, i, i->d, 1, interp_cond(v, i->cond)); break;
    case IR_CMOV: {
        uint64_t a = interp_read(v, i, i->a, i->size), b = interp_read(v, i, i->b, i->size);
        interp_write(v, i, i->d, i->size, interp_cond(v, i->cond) ? b : a);
        break;
    }
    case IR_GETF: interp_write(v, i, i->d, 4, flags_eval(&v->fl)); break;
    case IR_PUTF: put_flags(v, i); break;
    case IR_CMC: flags_set_explicit(v, flags_eval(&v->fl) ^ FLAG_C); break;
    case IR_CCMP: case IR_CCMN: conditional_compare(v, i); break;
    case IR_SETNZ: set_nz(v, i); break;
    case IR_PREFETCH: break;
    case IR_FENCE: atomic_thread_fence(i->imm & 1 ? memory_order_seq_cst : memory_order_acq_rel); break;
    case IR_XCHG: xchg(v, i); break;
    case IR_XADD: xadd(v, i); break;
    case IR_CMPXCHG: cmpxchg(v, i); break;
    case IR_LDE: interp_write(v, i, i->d, 8, host_load((const uint8_t *)v + i->imm, i->size)); break;
    case IR_STE: store_field(v, i); break;
    case IR_CALL: call(v, i); break;
    case IR_TRAPNZ:
        if (!masked_is_zero(v, i))
            ((HelperFn *)(uintptr_t)i->imm)(v, 0, 0, 0);
        break;
    case IR_VEC: interp_vec(v, i); break;
    case IR_SIMD: simd_run(v, i); break;
    default: alu(v, i); break;
    }
}

static const IrInsn *label(const IrInsn *code, unsigned count, uint64_t n)
{
    for (unsigned k = 0; k < count; k++)
        if (code[k].op == IR_LABEL && code[k].imm == n)
            return &code[k];
    g_assert_not_reached();
}

static RunResult leave(Vcpu *v, uint64_t pc, RunResult r)
{
    v->pc = pc;
    return r;
}

RunResult interp_run(Vcpu *v, const IrInsn *code, unsigned count, const Block *b)
{
    v->call_site = 0;
    for (const IrInsn *i = code;; i++) {
        g_assert(i < code + count);
        switch ((IrOp)i->op) {
        case IR_INSN:
            if (b && i != code && atomic_load_explicit(&b->invalid, memory_order_relaxed))
                return leave(v, i->imm, RUN_LOOKUP); /* a store of this block has changed what follows */
            v->pc = i->imm;
            break;
        case IR_LABEL: break;
        case IR_BR: i = label(code, count, i->imm); break;
        case IR_BRCC:
            if (interp_cond(v, i->cond))
                i = label(code, count, i->imm);
            break;
        case IR_BRZ:
        case IR_BRNZ:
            if (!interp_read(v, i, i->a, i->size) == (i->op == IR_BRZ))
                i = label(code, count, i->imm);
            break;
        case IR_GOTO: return leave(v, i->imm, RUN_LOOKUP);
        case IR_GOTOCC:
            if (interp_cond(v, i->cond))
                return leave(v, i->imm, RUN_LOOKUP);
            break;
        case IR_GOTOZ:
        case IR_GOTONZ:
            if (masked_is_zero(v, i) == (i->op == IR_GOTOZ))
                return leave(v, i->imm, RUN_LOOKUP);
            break;
        case IR_JMP: return leave(v, interp_read(v, i, i->a, 8), RUN_LOOKUP);
        case IR_EXIT: return leave(v, i->imm, RUN_POLL);
        case IR_LOOKUP: return RUN_LOOKUP;
        case IR_COUNT:
            if (--v->icount_left < 0)
                return leave(v, i->imm, RUN_POLL);
            break;
        case IR_CHECK:
            if (atomic_load(&v->exit_request))
                return leave(v, i->imm, RUN_POLL);
            break;
        default: interp_step(v, i); break;
        }
    }
}
