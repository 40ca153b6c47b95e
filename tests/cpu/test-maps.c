/* SPDX-License-Identifier: MIT */
/*
 * Mappings with a catch, address-space numbers, flushes on all CPUs, bus errors; options of the accelerator in
 * TCG_TEST_OPTIONS.
 */
#include <sched.h>
#include "tests/cpu/toy.h"

enum { CODE = 0x1000, CODE2 = 0x2000, DATA = 0x4000, STOP = 1, LOAD = 2, STORE = 3, JUMP = 4, PAIR = 5, COUNT = 10 };

/* g0 is the address of LOAD, STORE and PAIR, g1 their value (PAIR: g1 and g2), g3 the target of JUMP. */
static ToyCpu *fresh(void)
{
    ToyCpu *c = toy_cpu_new();
    for (unsigned n = 0; n < 16; n++)
        toy_map(c, n, (uint64_t)n << TCG_PAGE_BITS, TOY_R | TOY_W | TOY_X);
    toy_begin(STOP);
    toy_op(STOP, IR_CALL, 8, IR_NONE, IR_NONE, IR_NONE, (uintptr_t)toy_stop)->flags = IR_CALL_RAISES |
                                                                                      IR_CALL_READS_FLAGS;
    toy_op(STOP, IR_LOOKUP, 8, IR_NONE, IR_NONE, IR_NONE, 0);
    toy_begin(LOAD);
    toy_op(LOAD, IR_MOV, 8, IR_G(1), IR_MEM, IR_NONE, 0)->m.base = IR_G(0);
    toy_begin(STORE);
    toy_op(STORE, IR_MOV, 8, IR_MEM, IR_G(1), IR_NONE, 0)->m.base = IR_G(0);
    toy_begin(JUMP);
    toy_op(JUMP, IR_JMP, 8, IR_NONE, IR_G(3), IR_NONE, 0);
    toy_begin(PAIR);
    toy_op(PAIR, IR_MOV, 8, IR_T(0), IR_MEM, IR_NONE, 0)->m.base = IR_G(0);
    IrInsn *second = toy_op(PAIR, IR_MOV, 8, IR_G(2), IR_MEM, IR_NONE, 0);
    second->m.base = IR_G(0), second->m.disp = 8;
    toy_op(PAIR, IR_MOV, 8, IR_G(1), IR_T(0), IR_NONE, 0);
    for (unsigned n = 0; n < 4; n++) {
        toy_begin(COUNT + n);
        toy_op(COUNT + n, IR_ADD, 8, IR_G(4), IR_G(4), IR_IMM, 1 + n)->flags = IR_SETF;
    }
    return c;
}

static void run(ToyCpu *c, unsigned insn, uint64_t address)
{
    toy_code(CODE, (const uint16_t[]){ COUNT, (uint16_t)insn, STOP }, 3);
    c->v.g[0] = address;
    toy_run(c, CODE);
}

static void assert_fault(const ToyCpu *c, unsigned fault, uint64_t va, uint64_t pc)
{
    g_assert_cmpuint(c->fault, ==, fault);
    g_assert_cmphex(c->fault_va, ==, va);
    g_assert_cmphex(c->fault_pc, ==, pc);
}

static void test_small(void)
{
    ToyCpu *c = fresh();
    toy_map(c, 5, 0x5000, TOY_R | TOY_W | TOY_SMALL);
    for (unsigned n = 0; n < 4096; n += 8)
        store_le64(toy_ram + 0x5000 + n, n);
    for (unsigned round = 0; round < 3; round++) {
        run(c, LOAD, 0x5080);
        g_assert_cmpuint(c->fault, ==, TOY_NONE);
        g_assert_cmpuint(c->v.g[1], ==, 0x80);
        run(c, LOAD, 0x5048);
        assert_fault(c, TOY_PAGE_FAULT, 0x5048, CODE + 2);
        run(c, LOAD, 0x503c); /* reaches into the next piece */
        assert_fault(c, TOY_PAGE_FAULT, 0x5040, CODE + 2);
        run(c, PAIR, 0x5038);
        assert_fault(c, TOY_PAGE_FAULT, 0x5040, CODE + 2);
        run(c, PAIR, 0x5100);
        g_assert_cmpuint(c->v.g[2], ==, 0x108);
        c->v.g[1] = 0x77;
        run(c, STORE, 0x507a);
        assert_fault(c, TOY_PAGE_FAULT, 0x507a, CODE + 2);
        run(c, STORE, 0x50b8);
        g_assert_cmpuint(load_le64(toy_ram + 0x50b8), ==, 0x77);
        store_le64(toy_ram + 0x50b8, 0xb8);
    }
    toy_cpu_free(c);
}

static void test_small_code(void)
{
    ToyCpu *c = fresh();
    toy_map(c, 5, 0x5000, TOY_R | TOY_X | TOY_SMALL);
    uint16_t code[40];
    for (unsigned n = 0; n < 40; n++)
        code[n] = COUNT;
    toy_code(0x5000, code, 40);
    c->v.g[4] = 0;
    toy_run(c, 0x5000);
    assert_fault(c, TOY_PAGE_FAULT, 0x5040, 0x5040);
    g_assert_cmpuint(c->v.g[4], ==, 32);
    toy_code(CODE, (const uint16_t[]){ JUMP }, 1);
    c->v.g[3] = 0x5046;
    toy_run(c, CODE);
    assert_fault(c, TOY_PAGE_FAULT, 0x5046, 0x5046);
    toy_map(c, 5, 0x5000, TOY_R | TOY_X);
    code[39] = STOP;
    toy_code(0x5000, code, 40);
    toy_run(c, CODE);
    g_assert_cmpuint(c->fault, ==, TOY_NONE);
    g_assert_cmpuint(c->v.g[4], ==, 36);
    toy_cpu_free(c);
}

static void test_aligned(void)
{
    ToyCpu *c = fresh();
    toy_map(c, 5, 0x5000, TOY_R | TOY_W | TOY_ALIGNED);
    toy_map(c, 6, 0x6000, TOY_R | TOY_W);
    for (unsigned round = 0; round < 2; round++) {
        run(c, LOAD, 0x5008);
        g_assert_cmpuint(c->fault, ==, TOY_NONE);
        run(c, LOAD, 0x500c);
        assert_fault(c, TOY_MISALIGNED, 0x500c, CODE + 2);
        run(c, STORE, 0x5001);
        assert_fault(c, TOY_MISALIGNED, 0x5001, CODE + 2);
        run(c, LOAD, 0x600c);
        g_assert_cmpuint(c->fault, ==, TOY_NONE);
    }
    toy_cpu_free(c);
}

static void test_tags(void)
{
    const uint64_t tag = UINT64_C(0xa5) << 56;
    ToyCpu *c = fresh();
    store_le64(toy_ram + 0x8000, 8);
    store_le64(toy_ram + 0x9000, 9);
    toy_map(c, 5, 0x8000, TOY_R | TOY_W);
    run(c, LOAD, 0x5000);
    run(c, LOAD, tag | 0x5000);
    g_assert_cmpuint(c->v.g[1], ==, 8);
    unsigned walks = c->walks;
    run(c, LOAD, (tag << 1) | 0x5000); /* no new walk for another tag */
    g_assert_cmpuint(c->walks, ==, walks);
    c->page[5].phys = 0x9000;
    tlb_flush_page(&c->v, 0x5000, 0);
    for (unsigned n = 0; n < 3; n++) {
        run(c, LOAD, tag << n | 0x5000);
        g_assert_cmpuint(c->v.g[1], ==, 9);
    }
    c->page[5].phys = 0x8000;
    tlb_flush_page(&c->v, tag | 0x5000, TLB_ANY_ASID);
    run(c, LOAD, 0x5000);
    g_assert_cmpuint(c->v.g[1], ==, 8);
    toy_cpu_free(c);
}

/*
 * A page flush drops all pieces of a large page, and a page of the usual size that lies where large ones have been,
 * too.
 */
static void test_large(void)
{
    ToyCpu *c = fresh();
    for (unsigned n = 8; n < 12; n++) {
        toy_map(c, n, (uint64_t)n << TCG_PAGE_BITS, TOY_R | TOY_W | TOY_LARGE);
        store_le64(toy_ram + n * 0x1000, n);
        store_le64(toy_ram + 0x10000 + n * 0x1000, 16 + n);
    }
    for (unsigned n = 8; n < 12; n++) {
        run(c, LOAD, n * 0x1000);
        g_assert_cmpuint(c->v.g[1], ==, n);
    }
    run(c, LOAD, 0x5000);
    c->page[5].phys = 0x9000;
    tlb_flush_page(&c->v, 0x5000, TLB_ANY_ASID);
    run(c, LOAD, 0x5000);
    g_assert_cmpuint(c->v.g[1], ==, 9);
    for (unsigned n = 8; n < 12; n++)
        c->page[n].phys += 0x10000;
    tlb_flush_page(&c->v, 0xa000, 0);
    for (unsigned n = 8; n < 12; n++) {
        run(c, LOAD, n * 0x1000);
        g_assert_cmpuint(c->v.g[1], ==, 16 + n);
    }
    toy_cpu_free(c);
}

/* Data page 5 and code page 6 are other pages in each of the address spaces; CODE and CODE2 are global. */
static void switch_to(ToyCpu *c, uint32_t asid)
{
    c->page[5].phys = 0x8000 + 0x1000 * asid;
    c->page[6].phys = 0xb000 + 0x1000 * asid;
    tlb_set_asid(&c->v, asid);
}

static unsigned in_space(ToyCpu *c, uint32_t asid)
{
    switch_to(c, asid);
    c->v.g[0] = 0x5000, c->v.g[3] = 0x6000, c->v.g[4] = 0;
    toy_run(c, CODE);
    g_assert_cmpuint(c->fault, ==, TOY_NONE);
    return (unsigned)(c->v.g[4] * 16 + c->v.g[1]);
}

static void test_asid(void)
{
    ToyCpu *c = fresh();
    c->page[CODE >> TCG_PAGE_BITS].perm |= TOY_GLOBAL;
    tlb_flush_all(&c->v);
    for (unsigned n = 0; n < 3; n++) {
        store_le64(toy_ram + 0x8000 + 0x1000 * n, n);
        toy_code(0xb000 + 0x1000 * n, (const uint16_t[]){ (uint16_t)(COUNT + n), STOP }, 2);
    }
    toy_code(CODE, (const uint16_t[]){ LOAD, JUMP }, 2);
    for (unsigned round = 0; round < 4; round++)
        for (unsigned n = 0; n < 3; n++)
            g_assert_cmphex(in_space(c, n), ==, (n + 1) * 16 + n);
    unsigned walks = c->walks;
    in_space(c, 0), in_space(c, 1), in_space(c, 2);
    g_assert_cmpuint(c->walks, ==, walks); /* nothing was lost by the switches */
    store_le64(toy_ram + 0xf000, 5);
    switch_to(c, 1);
    tlb_flush_non_global(&c->v, 1);
    in_space(c, 2);
    g_assert_cmpuint(c->walks, ==, walks);
    in_space(c, 1);
    g_assert_cmpuint(c->walks, >, walks);
    toy_code(0xc000, (const uint16_t[]){ COUNT + 3, STOP }, 2);
    g_assert_cmphex(in_space(c, 1), ==, 4 * 16 + 1);
    g_assert_cmphex(in_space(c, 0), ==, 1 * 16 + 0);
    toy_cpu_free(c);
}

static void test_bus(void)
{
    ToyCpu *c = fresh();
    toy_map(c, 5, 0x20000000, TOY_R | TOY_W | TOY_X); /* nothing there */
    for (unsigned strict = 0; strict < 2; strict++) {
        c->bus_errors = strict;
        c->v.g[1] = 3;
        run(c, LOAD, 0x5010);
        if (strict) {
            assert_fault(c, TOY_BUS, 0x5010, CODE + 2);
            g_assert_cmpuint(c->v.g[1], ==, 3);
        } else {
            g_assert_cmpuint(c->fault, ==, TOY_NONE);
        }
        c->v.g[4] = 0x7fffffffffffffff;
        run(c, STORE, 0x5010);
        if (strict) {
            assert_fault(c, TOY_BUS, 0x5010, CODE + 2);
            g_assert_cmphex(c->fault_flags, ==, FLAG_S | FLAG_O | FLAG_A | FLAG_P);
        } else {
            g_assert_cmpuint(c->fault, ==, TOY_NONE);
        }
    }
    toy_code(CODE, (const uint16_t[]){ JUMP }, 1);
    c->v.g[3] = 0x5000;
    toy_run(c, CODE);
    assert_fault(c, TOY_BUS, 0x5000, 0x5000);
    toy_cpu_free(c);
}

/* One vCPU remaps a page and flushes everywhere; when it is through, the other one sees the new page. */
enum { ROUNDS = 200, REMAP = 20, ROUND = 21, AGAIN = 22 };
static struct { ToyCpu *mapper, *reader; _Atomic unsigned done, seen; } pair;

static uint64_t remap(Vcpu *v, uint64_t round, uint64_t b, uint64_t c)
{
    pair.reader->page[5].phys = round % 2 ? 0x8000 : 0x9000;
    tlb_flush_broadcast(v, TLB_FLUSH_PAGE, 0x5000, 0);
    tlb_broadcast_wait(v);
    atomic_store(&pair.done, round);
    return 0;
}

/* The reader asks again and again; where CPUs are few the mapper must get one of them all the same. */
static uint64_t get_round(Vcpu *v, uint64_t a, uint64_t b, uint64_t c)
{
    static unsigned asked;
    if (!(++asked % 4096))
        sched_yield();
    return atomic_load(&pair.done);
}

static void *mapper(void *opaque)
{
    for (unsigned n = 1; n <= ROUNDS; n++) {
        pair.mapper->v.g[5] = n;
        toy_run(pair.mapper, CODE2);
        while (atomic_load(&pair.seen) != n)
            g_usleep(10);
    }
    return NULL;
}

static void test_broadcast(void)
{
    pair.mapper = fresh(), pair.reader = fresh();
    toy_begin(REMAP);
    toy_op(REMAP, IR_CALL, 8, IR_NONE, IR_G(5), IR_NONE, (uintptr_t)remap)->flags = IR_CALL_RAISES;
    toy_begin(ROUND);
    toy_op(ROUND, IR_CALL, 8, IR_G(6), IR_NONE, IR_NONE, (uintptr_t)get_round);
    toy_begin(AGAIN);
    toy_op(AGAIN, IR_CHECK, 8, IR_NONE, IR_NONE, IR_NONE, CODE);
    toy_op(AGAIN, IR_CMP, 8, IR_NONE, IR_G(6), IR_G(5), 0)->flags = IR_SETF;
    toy_op(AGAIN, IR_GOTOCC, 8, IR_NONE, IR_NONE, IR_NONE, CODE)->cond = IRC_NZ;
    toy_code(CODE, (const uint16_t[]){ ROUND, LOAD, AGAIN, STOP }, 4);
    toy_code(CODE2, (const uint16_t[]){ REMAP, STOP }, 2);
    store_le64(toy_ram + 0x8000, 8);
    store_le64(toy_ram + 0x9000, 9);
    toy_map(pair.reader, 5, 0x9000, TOY_R | TOY_W);
    pthread_t t = thread_start("mapper", mapper, NULL);
    for (unsigned n = 1; n <= ROUNDS; n++) {
        pair.reader->v.g[0] = 0x5000, pair.reader->v.g[5] = n;
        toy_run(pair.reader, CODE);
        g_assert_cmpuint(pair.reader->v.g[1], ==, n % 2 ? 8 : 9);
        atomic_store(&pair.seen, n);
    }
    pthread_join(t, NULL);
    toy_cpu_free(pair.reader);
    toy_cpu_free(pair.mapper);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    const char *options = g_getenv("TCG_TEST_OPTIONS");
    toy_setup(options ? options : "backend=interp");
    g_test_add_func("/maps/small-pieces", test_small);
    g_test_add_func("/maps/code-in-small-pieces", test_small_code);
    g_test_add_func("/maps/aligned", test_aligned);
    g_test_add_func("/maps/tagged-addresses", test_tags);
    g_test_add_func("/maps/large", test_large);
    g_test_add_func("/maps/address-spaces", test_asid);
    g_test_add_func("/maps/bus-errors", test_bus);
    g_test_add_func("/maps/broadcast", test_broadcast);
    return g_test_run();
}
