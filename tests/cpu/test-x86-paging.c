/* SPDX-License-Identifier: MIT */
/*
 * Page walks over random tables against a plain model of SDM vol. 3, chapter 4: every mode, size, right and reserved
 * bit.
 */
#include <urcu.h>
#include "tests/cpu/x86-fixture.h"

enum { TABLES = 0x100000, TABLE_PAGES = 24, ROUNDS = 20000 };

/* --- the model --- */

typedef struct Level { unsigned shift, bits, entry; } Level;
typedef struct Regime {
    const char *name;
    uint64_t cr4, efer;
    unsigned levels;
    Level level[5];
} Regime;
static const Regime regimes[] = {
    { "32-bit", 0, 0, 2, { { 22, 10, 4 }, { 12, 10, 4 } } },
    { "32-bit PSE", CR4_PSE, 0, 2, { { 22, 10, 4 }, { 12, 10, 4 } } },
    { "PAE", CR4_PAE, 0, 3, { { 30, 2, 8 }, { 21, 9, 8 }, { 12, 9, 8 } } },
    { "PAE NX", CR4_PAE, EFER_NXE, 3, { { 30, 2, 8 }, { 21, 9, 8 }, { 12, 9, 8 } } },
    { "4-level",
      CR4_PAE,
      EFER_LME | EFER_LMA | EFER_NXE,
      4,
      { { 39, 9, 8 }, { 30, 9, 8 }, { 21, 9, 8 }, { 12, 9, 8 } } },
    { "4-level no NX", CR4_PAE, EFER_LME | EFER_LMA, 4, { { 39, 9, 8 }, { 30, 9, 8 }, { 21, 9, 8 }, { 12, 9, 8 } } },
    { "5-level",
      CR4_PAE | CR4_LA57,
      EFER_LME | EFER_LMA | EFER_NXE,
      5,
      { { 48, 9, 8 }, { 39, 9, 8 }, { 30, 9, 8 }, { 21, 9, 8 }, { 12, 9, 8 } } },
};

typedef struct Expect {
    bool fault, gp;
    uint32_t error;
    uint64_t phys, touched[5];
    unsigned bits, touched_count, entry;
    bool global, writable_after;
} Expect;

/* Nothing but ones stands outside RAM. */
static uint64_t get_entry(uint64_t at, unsigned size)
{
    return at < FIX_RAM ? load_le(fix_ram + at, size) : bits_mask(size * 8);
}

static bool reserved_set(const X86Cpu *c, const Regime *r, unsigned level, uint64_t e, bool leaf)
{
    bool lma = r->efer & EFER_LMA;
    unsigned shift = r->level[level].shift;
    if (r->level[level].entry == 4)
        return leaf && shift == 22 && (e >> 21 & 1 || (e >> 13 & 0xff) >> (c->phys_bits > 40 ? 8 : c->phys_bits - 32));
    for (unsigned bit = c->phys_bits; bit < 52; bit++) {
        if (e >> bit & 1)
            return true;
    }
    if (!(r->efer & EFER_NXE) && e >> 63)
        return true;
    if (!lma && (e >> 52 & 0x7ff))
        return true;
    if (e & 0x80 && shift >= 39)
        return true;
    if (leaf && shift > 12) {
        for (unsigned bit = 13; bit < shift; bit++) {
            if (e >> bit & 1)
                return true;
        }
    }
    return false;
}

static Expect expect(const X86Cpu *c, const Regime *r, uint64_t va, AccessKind kind, unsigned bank)
{
    Expect x = { 0 };
    bool user = bank == X86_BANK_USER, write = kind == ACCESS_WRITE, fetch = kind == ACCESS_FETCH;
    bool all_user = true, all_writable = true, nx = false;
    x.error = (write ? 2 : 0) | (user ? 4 : 0);
    if (fetch && ((r->efer & EFER_NXE) || (c->cr4 & CR4_SMEP)))
        x.error |= 16;
    if (r->efer & EFER_LMA) {
        unsigned top = r->levels == 5 ? 56 : 47;
        for (unsigned bit = top; bit < 64; bit++)
            x.gp |= (va >> bit & 1) != (va >> top & 1);
        if (x.gp) {
            x.fault = true;
            return x;
        }
    } else {
        va &= 0xffffffff;
    }
    uint64_t table = c->cr3 & (r->efer & EFER_LMA ? UINT64_C(0xffffffffff000)
                               : r->levels == 3   ? 0xffffffe0
                                                  : 0xfffff000);
    for (unsigned l = 0; l < r->levels; l++) {
        const Level *v = &r->level[l];
        bool pdpte = r->levels == 3 && l == 0;
        uint64_t at = table + (va >> v->shift & ((1u << v->bits) - 1)) * v->entry;
        uint64_t e = pdpte ? c->pdpte[va >> 30 & 3] : get_entry(at, v->entry);
        if (!(e & 1)) {
            x.fault = true;
            return x;
        }
        bool may_be_large = v->entry == 4 ? v->shift == 22 && c->cr4 & CR4_PSE
                                          : !pdpte && (v->shift == 21 || v->shift == 30);
        bool leaf = v->shift == 12 || (may_be_large && e & 0x80);
        if (!pdpte && reserved_set(c, r, l, e, leaf)) {
            x.fault = true;
            x.error |= 9;
            return x;
        }
        if (!pdpte) {
            x.touched[x.touched_count++] = at;
            all_user &= e >> 2 & 1;
            all_writable &= e >> 1 & 1;
            nx |= v->entry == 8 && e >> 63;
        }
        x.entry = v->entry;
        table = e & (v->entry == 4 ? 0xfffff000 : UINT64_C(0xffffffffff000));
        if (!leaf)
            continue;
        x.bits = v->shift;
        if (v->entry == 4 && v->shift == 22)
            table = (e & 0xffc00000) | (e >> 13 & 0xff) << 32;
        x.phys = (table & ~((UINT64_C(1) << v->shift) - 1)) | (va & ((UINT64_C(1) << v->shift) - 1) & ~UINT64_C(0xfff));
        x.global = e >> 8 & 1 && c->cr4 & CR4_PGE;
        bool ok = user ? all_user && (!write || all_writable) && (!fetch || !nx)
                       : (!write || all_writable || !(c->cr0 & CR0_WP)) && (!fetch || !nx) &&
                             !(fetch && all_user && c->cr4 & CR4_SMEP) &&
                             !(!fetch && all_user && c->cr4 & CR4_SMAP && bank == X86_BANK_KERNEL);
        if (!ok) {
            x.fault = true;
            x.error |= 1;
        }
        x.writable_after = (user ? all_user && all_writable : all_writable || !(c->cr0 & CR0_WP)) &&
                           (write || e >> 6 & 1) &&
                           !(!user && all_user && c->cr4 & CR4_SMAP && bank == X86_BANK_KERNEL);
        return x;
    }
    g_assert_not_reached();
}

/* --- random tables --- */

static uint64_t random_entry(GRand *rand, unsigned size, const X86Cpu *c)
{
    uint64_t e = TABLES + (uint64_t)g_rand_int_range(rand, 0, TABLE_PAGES) * 4096;
    e |= g_rand_int(rand) & 0x1fe & ~0x80u;
    e |= g_rand_int_range(rand, 0, 10) ? 1 : 0;
    if (g_rand_int_range(rand, 0, 4)) /* mostly permissive, so that walks go deep */
        e |= 6;
    if (!g_rand_int_range(rand, 0, 5)) { /* large */
        e = (e & 0xfff) | 0x80;
        e |= (uint64_t)g_rand_int_range(rand, 0, 4) << 30;
        if (!g_rand_int_range(rand, 0, 3))
            e |= BIT(g_rand_int_range(rand, 12, 32));
    }
    if (size == 8 && !g_rand_int_range(rand, 0, 8))
        e |= BIT(63);
    if (size == 8 && !g_rand_int_range(rand, 0, 12))
        e |= BIT(g_rand_int_range(rand, 32, 63));
    return size == 4 ? (uint32_t)e : e;
}

static void fill_tables(GRand *rand, const Regime *r, X86Cpu *c)
{
    for (unsigned p = 0; p < TABLE_PAGES; p++) {
        for (unsigned n = 0; n < 64; n++) { /* few slots in use: most addresses hit them again */
            unsigned size = r->level[r->levels - 1].entry, slots = 4096 / size;
            unsigned slot = n < 32 ? n : slots - 64 + n;
            store_le(fix_ram + TABLES + p * 4096 + slot * size, size, random_entry(rand, size, c));
        }
    }
    for (unsigned i = 0; i < 4; i++)
        c->pdpte[i] = (TABLES + i * 4096) | (i != 3);
}

static uint64_t random_va(GRand *rand, const Regime *r)
{
    uint64_t va = g_rand_int(rand) & 0xfff;
    for (unsigned l = 0; l < r->levels; l++) {
        unsigned slots = 1u << r->level[l].bits;
        unsigned slot = (unsigned)g_rand_int_range(rand, 0, MIN(32, (int)slots));
        if (slots > 4 && g_rand_boolean(rand))
            slot = slots - 1 - slot;
        va |= (uint64_t)slot << r->level[l].shift;
    }
    unsigned top = r->level[0].shift + r->level[0].bits - 1;
    if (r->efer & EFER_LMA && g_rand_int_range(rand, 0, 50))
        va = (uint64_t)((int64_t)(va << (63 - top)) >> (63 - top));
    return va;
}

static void set_regime(GRand *rand, X86Cpu *c, const Regime *r)
{
    c->cr4 = r->cr4 | (g_rand_boolean(rand) ? CR4_PGE : 0) | (g_rand_boolean(rand) ? CR4_SMEP : 0) |
             (g_rand_boolean(rand) ? CR4_SMAP : 0);
    c->efer = r->efer;
    c->cr0 = CR0_PE | CR0_PG | (g_rand_boolean(rand) ? CR0_WP : 0);
    c->cr3 = TABLES;
}

/* One access: the result, and the accessed and dirty bits that it leaves. */
static void check_access(X86Cpu *c, const Regime *r, uint64_t va, AccessKind kind, unsigned bank)
{
    Expect x = expect(c, r, va, kind, bank);
    uint64_t before[5];
    for (unsigned i = 0; i < x.touched_count; i++)
        before[i] = get_entry(x.touched[i], x.entry);
    WalkResult w, probe;
    c->event.kind = X86_EVENT_NONE;
    g_assert_cmpint(x86_walk(&c->v, va, kind, bank, true, &probe), ==, !x.fault);
    g_assert_cmpint(c->event.kind, ==, X86_EVENT_NONE);
    for (unsigned i = 0; i < x.touched_count; i++)
        g_assert_cmphex(get_entry(x.touched[i], x.entry), ==, before[i]);
    g_assert_cmpint(x86_walk(&c->v, va, kind, bank, false, &w), ==, !x.fault);
    for (unsigned i = 0; i < x.touched_count; i++) {
        bool leaf = x.touched[i] == x.touched[x.touched_count - 1]; /* tables may refer to themselves */
        uint64_t want = x.fault || x.touched[i] >= FIX_RAM
                            ? before[i]
                            : before[i] | 0x20 | (leaf && kind == ACCESS_WRITE ? 0x40 : 0);
        g_assert_cmphex(get_entry(x.touched[i], x.entry), ==, want);
    }
    if (x.fault) {
        g_assert_cmpint(c->event.vector, ==, x.gp ? X86_GP : X86_PF);
        g_assert_cmphex(c->event.error, ==, x.gp ? 0 : x.error);
        if (!x.gp)
            g_assert_cmphex(c->event.cr2, ==, va);
        return;
    }
    g_assert_cmphex(w.phys, ==, x.phys);
    g_assert_cmpuint(w.page_bits, ==, x.bits);
    g_assert_cmpint(w.global, ==, x.global);
    g_assert_cmpint(w.writable, ==, x.writable_after);
}

static void test_regime(gconstpointer data)
{
    const Regime *r = data;
    X86Cpu *c = fix_cpu("max");
    g_autoptr(GRand) rand = g_rand_new_with_seed(20260101);
    rcu_read_lock();
    for (unsigned n = 0; n < ROUNDS; n++) {
        if (n % 50 == 0) {
            fill_tables(rand, r, c);
            set_regime(rand, c, r);
        }
        check_access(c, r, random_va(rand, r), (AccessKind)g_rand_int_range(rand, 0, 3),
                     (unsigned)g_rand_int_range(rand, 0, 3));
    }
    rcu_read_unlock();
    fix_free(c);
}

static void test_no_paging(void)
{
    X86Cpu *c = fix_cpu("qemu32");
    WalkResult w;
    c->cr0 = CR0_PE;
    g_assert_true(x86_walk(&c->v, 0xfffff123, ACCESS_WRITE, X86_BANK_KERNEL, false, &w));
    g_assert_cmphex(w.phys, ==, 0xfffff000);
    g_assert_true(w.writable && w.executable);
    c->a20_masked = true;
    g_assert_true(x86_walk(&c->v, 0x100000, ACCESS_READ, X86_BANK_KERNEL, false, &w));
    g_assert_cmphex(w.phys, ==, 0);
    fix_free(c);
}

/* Tables that can't be written (beyond RAM: all ones are not present): the walk ends all the same. */
static void test_tables_in_nothing(void)
{
    X86Cpu *c = fix_cpu("max");
    WalkResult w;
    rcu_read_lock();
    c->cr0 = CR0_PE | CR0_PG;
    c->cr4 = CR4_PSE;
    c->cr3 = 0x40000000;
    (void)x86_walk(&c->v, 0x1000, ACCESS_READ, X86_BANK_KERNEL, false, &w);
    rcu_read_unlock();
    fix_free(c);
}

/* --- CR0, CR3, CR4, EFER: what is refused --- */

typedef struct CrCase { uint64_t cr0, cr3, cr4, efer; unsigned reg; uint64_t value; bool ok; } CrCase;
static const CrCase cr_cases[] = {
    { CR0_PE, 0, 0, 0, 0, CR0_PG, false },                                          /* PG without PE */
    { CR0_PE, 0, 0, 0, 0, CR0_PE | CR0_NW, false },                                 /* NW without CD */
    { CR0_PE, 0, 0, 0, 0, CR0_PE | BIT(32), false },
    { CR0_PE, TABLES, 0, 0, 0, CR0_PE | CR0_PG, true },
    { CR0_PE, TABLES, 0, EFER_LME, 0, CR0_PE | CR0_PG, false },                     /* LME without PAE */
    { CR0_PE, TABLES, CR4_PAE, EFER_LME, 0, CR0_PE | CR0_PG, true },
    { CR0_PE | CR0_PG, TABLES, CR4_PAE, EFER_LME | EFER_LMA, 4, 0, false },         /* PAE off in long mode */
    { CR0_PE | CR0_PG, TABLES, CR4_PAE, EFER_LME | EFER_LMA, 4, CR4_PAE | CR4_LA57, false },
    { CR0_PE | CR0_PG, TABLES, CR4_PAE, EFER_LME | EFER_LMA, 4, CR4_PAE | CR4_PCIDE, true },
    { CR0_PE | CR0_PG, TABLES | 1, CR4_PAE, EFER_LME | EFER_LMA, 4, CR4_PAE | CR4_PCIDE, false }, /* PCID not 0 */
    { CR0_PE | CR0_PG, TABLES, 0, 0, 4, CR4_PCIDE, false },
    { CR0_PE, 0, 0, 0, 4, BIT(31), false },
    { CR0_PE | CR0_PG, TABLES, CR4_PAE, EFER_LME | EFER_LMA, 3, BIT(52), false },
    { CR0_PE | CR0_PG, TABLES, CR4_PAE, EFER_LME | EFER_LMA, 3, BIT(63) | TABLES, false },
    { CR0_PE | CR0_PG, TABLES, CR4_PAE | CR4_PCIDE, EFER_LME | EFER_LMA, 3, BIT(63) | TABLES | 5, true },
    { CR0_PE | CR0_PG, TABLES, CR4_PAE | CR4_PCIDE, EFER_LME | EFER_LMA, 0, CR0_PE, false }, /* PG off with PCIDE */
    { CR0_PE, 0, 0, 0, 8, 16, false },
    { CR0_PE, 0, 0, 0, 8, 15, true },
    { CR0_PE, 0, 0, 0, 1, 0, false },
};

static void test_control_registers(void)
{
    X86Cpu *c = fix_cpu("max");
    for (unsigned i = 0; i < ARRAY_LEN(cr_cases); i++) {
        const CrCase *t = &cr_cases[i];
        fix_protected32(c);
        c->cr0 = t->cr0, c->cr3 = t->cr3, c->cr4 = t->cr4, c->efer = t->efer;
        x86_update_mode(c);
        bool ok = fix_call(c, (const void *)x86_help_write_cr, t->reg, t->value, 0, NULL);
        if (ok != t->ok)
            g_error("case %u: register %u", i, t->reg);
        if (!ok)
            g_assert_cmpint(c->event.vector, ==, t->reg == 1 ? X86_UD : X86_GP);
    }
    fix_free(c);
}

static void test_efer(void)
{
    X86Cpu *c = fix_cpu("max");
    fix_protected32(c);
    g_assert_false(x86_write_efer(c, BIT(1)));
    g_assert_true(x86_write_efer(c, EFER_LME | EFER_SCE | EFER_NXE));
    c->cr4 = CR4_PAE;
    c->cr3 = TABLES;
    g_assert_true(fix_call(c, (const void *)x86_help_write_cr, 0, CR0_PE | CR0_PG, 0, NULL));
    g_assert_true(c->efer & EFER_LMA);
    g_assert_false(x86_write_efer(c, EFER_SCE)); /* LME can't change while paging */
    g_assert_true(x86_write_efer(c, EFER_LME));
    g_assert_true(c->efer & EFER_LMA);
    fix_free(c);
    c = fix_cpu("qemu32");
    g_assert_false(x86_write_efer(c, EFER_LME)); /* no long mode */
    fix_free(c);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < ARRAY_LEN(regimes); i++) {
        g_autofree char *path = g_strdup_printf("/x86/walk/%s", regimes[i].name);
        g_test_add_data_func(path, &regimes[i], test_regime);
    }
    g_test_add_func("/x86/walk/off", test_no_paging);
    g_test_add_func("/x86/walk/nothing", test_tables_in_nothing);
    g_test_add_func("/x86/control-registers", test_control_registers);
    g_test_add_func("/x86/efer", test_efer);
    return g_test_run();
}
