/* SPDX-License-Identifier: MIT */
/*
 * Blocks, faults, self-modifying code and remapping, with the toy guest; options of the accelerator in
 * TCG_TEST_OPTIONS.
 */
#include "tests/cpu/toy.h"

enum { CODE = 0x1000, CODE2 = 0x2000, DATA = 0x4000, STOP = 1 };

static ToyCpu *fresh(void)
{
    ToyCpu *c = toy_cpu_new();
    for (unsigned n = 0; n < 16; n++)
        toy_map(c, n, (uint64_t)n << TCG_PAGE_BITS, TOY_R | TOY_W | TOY_X);
    toy_begin(STOP);
    toy_op(STOP, IR_CALL, 8, IR_NONE, IR_NONE, IR_NONE, (uintptr_t)toy_stop)->flags = IR_CALL_RAISES |
                                                                                      IR_CALL_READS_FLAGS;
    toy_op(STOP, IR_LOOKUP, 8, IR_NONE, IR_NONE, IR_NONE, 0);
    return c;
}

static IrInsn *at(IrInsn *i, IrRef base, int32_t disp)
{
    i->m.base = base;
    i->m.disp = disp;
    return i;
}

/* g0 counts down from 1000, g1 adds up; a loop of two blocks. */
static void test_loop(void)
{
    ToyCpu *c = fresh();
    toy_begin(2);
    toy_op(2, IR_ADD, 8, IR_G(1), IR_G(1), IR_G(0), 0)->flags = IR_SETF;
    toy_begin(3);
    toy_op(3, IR_SUB, 4, IR_G(0), IR_G(0), IR_IMM, 1)->flags = IR_SETF;
    toy_begin(4);
    toy_op(4, IR_GOTOCC, 8, IR_NONE, IR_NONE, IR_NONE, CODE)->cond = IRC_NZ;
    toy_code(CODE, (const uint16_t[]){ 2, 3, 4, STOP }, 4);
    c->v.g[0] = 1000;
    toy_run(c, CODE);
    g_assert_cmpuint(c->v.g[0], ==, 0);
    g_assert_cmpuint(c->v.g[1], ==, 500500);
    g_assert_cmpuint(c->fault_flags, ==, FLAG_Z | FLAG_P);
    toy_cpu_free(c);
}

/* A fault in the middle of an instruction sequence: pc, flags and registers are those of its start. */
static void test_fault(void)
{
    ToyCpu *c = fresh();
    toy_begin(2);
    toy_op(2, IR_ADD, 4, IR_G(1), IR_G(1), IR_IMM, 5)->flags = IR_SETF;
    toy_begin(3);
    at(toy_op(3, IR_MOV, 8, IR_G(2), IR_MEM, IR_NONE, 0), IR_G(3), 0);
    toy_op(3, IR_ADD, 8, IR_G(3), IR_G(3), IR_IMM, 8);
    toy_code(CODE, (const uint16_t[]){ 2, 3, 2, 3, STOP }, 5);
    c->v.g[1] = 0xfffffffb;
    c->v.g[3] = DATA;
    store_le64(toy_ram + DATA, 0x1234);
    toy_map(c, 5, 0, 0);
    c->v.g[3] = DATA + 0xff8;
    toy_run(c, CODE);
    g_assert_cmpuint(c->fault, ==, TOY_PAGE_FAULT);
    g_assert_cmphex(c->fault_va, ==, DATA + 0x1000);
    g_assert_cmphex(c->fault_pc, ==, CODE + 6);
    g_assert_cmphex(c->fault_g[1], ==, 5);
    g_assert_cmphex(c->fault_flags, ==, FLAG_P);
    g_assert_cmphex(c->fault_g[3], ==, DATA + 0x1000);
    toy_cpu_free(c);
}

/* An instruction writes over the next one of its own block. */
static void test_own_block(void)
{
    ToyCpu *c = fresh();
    toy_begin(2);
    at(toy_op(2, IR_MOV, 2, IR_MEM, IR_IMM, IR_NONE, 4), IR_NONE, CODE + 2);
    toy_op(2, IR_ADD, 8, IR_G(2), IR_G(2), IR_IMM, 1);
    toy_begin(3);
    toy_op(3, IR_MOV, 8, IR_G(1), IR_IMM, IR_NONE, 3);
    toy_begin(4);
    toy_op(4, IR_MOV, 8, IR_G(1), IR_IMM, IR_NONE, 4);
    for (unsigned k = 0; k < 3; k++) {
        toy_code(CODE, (const uint16_t[]){ 2, 3, STOP }, 3);
        toy_run(c, CODE);
        g_assert_cmpuint(c->v.g[1], ==, 4);
    }
    g_assert_cmpuint(c->v.g[2], ==, 3);
    toy_cpu_free(c);
}

/* Another block is changed: by a store through an alias, then by DMA. */
static void test_alias_and_dma(void)
{
    ToyCpu *c = fresh();
    toy_map(c, 9, CODE2, TOY_R | TOY_W);
    toy_begin(2);
    at(toy_op(2, IR_MOV, 2, IR_MEM, IR_G(5), IR_NONE, 0), IR_NONE, 0x9000);
    toy_begin(3);
    toy_op(3, IR_GOTO, 8, IR_NONE, IR_NONE, IR_NONE, CODE2);
    for (unsigned n = 10; n < 14; n++) {
        toy_begin(n);
        toy_op(n, IR_MOV, 8, IR_G(1), IR_IMM, IR_NONE, n);
    }
    toy_code(CODE, (const uint16_t[]){ 2, 3 }, 2);
    toy_code(CODE2, (const uint16_t[]){ 10, STOP }, 2);
    for (unsigned n = 10; n < 14; n++) {
        c->v.g[5] = n;
        toy_run(c, CODE);
        g_assert_cmpuint(c->v.g[1], ==, n);
    }
    for (unsigned n = 10; n < 14; n++) {
        uint16_t insn = (uint16_t)n;
        as_write(c->v.as, CODE2, &insn, 2, MEM_ATTRS_DEVICE);
        toy_run(c, CODE2);
        g_assert_cmpuint(c->v.g[1], ==, n);
    }
    toy_cpu_free(c);
}

/* Cross-page jump after the target page has been mapped elsewhere, and back. */
static void test_remap(void)
{
    ToyCpu *c = fresh();
    toy_begin(3);
    toy_op(3, IR_GOTO, 8, IR_NONE, IR_NONE, IR_NONE, CODE2);
    for (unsigned n = 10; n < 12; n++) {
        toy_begin(n);
        toy_op(n, IR_MOV, 8, IR_G(1), IR_IMM, IR_NONE, n);
    }
    toy_code(CODE, (const uint16_t[]){ 3 }, 1);
    toy_code(CODE2, (const uint16_t[]){ 10, STOP }, 2);
    toy_code(0x3000, (const uint16_t[]){ 11, STOP }, 2);
    for (unsigned k = 0; k < 8; k++) {
        toy_map(c, 2, k & 1 ? 0x3000 : CODE2, TOY_R | TOY_X);
        for (unsigned again = 0; again < 3; again++) {
            toy_run(c, CODE);
            g_assert_cmpuint(c->v.g[1], ==, k & 1 ? 11 : 10);
        }
    }
    toy_map(c, 2, CODE2, TOY_R);
    toy_run(c, CODE);
    g_assert_cmpuint(c->fault, ==, TOY_PAGE_FAULT);
    g_assert_cmphex(c->fault_pc, ==, CODE2);
    toy_cpu_free(c);
}

/* An instruction that straddles two pages; the second one changes. */
static void test_straddle(void)
{
    ToyCpu *c = fresh();
    for (unsigned n = 0x0a0a; n; n = 0) {
        toy_begin(10);
        toy_op(10, IR_MOV, 8, IR_G(1), IR_IMM, IR_NONE, 10);
        toy_begin(0x10a);
        toy_op(0x10a, IR_MOV, 8, IR_G(1), IR_IMM, IR_NONE, 0x10a);
    }
    toy_ram[0x1fff] = 0x0a;
    toy_code(0x2000, (const uint16_t[]){ 0x0100 }, 1); /* high byte 0, then STOP = 1 at 0x2001 */
    toy_ram[0x2001] = STOP, toy_ram[0x2002] = 0;
    toy_run(c, 0x1fff);
    g_assert_cmpuint(c->v.g[1], ==, 10);
    toy_ram[0x2000] = 1;
    mem_ram_written(0x2000, 1);
    toy_run(c, 0x1fff);
    g_assert_cmphex(c->v.g[1], ==, 0x10a);
    toy_code(0x3000, (const uint16_t[]){ 0x0100, 0 }, 2);
    toy_map(c, 2, 0x3000, TOY_R | TOY_X);
    toy_run(c, 0x1fff);
    g_assert_cmphex(c->v.g[1], ==, 10);
    toy_map(c, 2, 0x3000, 0);
    toy_run(c, 0x1fff);
    g_assert_cmpuint(c->fault, ==, TOY_PAGE_FAULT);
    g_assert_cmphex(c->fault_va, ==, 0x2000);
    g_assert_cmphex(c->fault_pc, ==, 0x1fff);
    toy_cpu_free(c);
}

/* Loads and stores of a device, also across the end of a RAM page. */
static void test_mmio(void)
{
    ToyCpu *c = fresh();
    toy_map(c, 5, TOY_MMIO, TOY_R | TOY_W);
    toy_begin(2);
    at(toy_op(2, IR_MOV, 4, IR_G(1), IR_MEM, IR_NONE, 0), IR_G(3), 0);
    at(toy_op(2, IR_MOV, 4, IR_MEM, IR_G(4), IR_NONE, 0), IR_G(3), 4);
    toy_begin(3);
    at(toy_op(3, IR_ADD, 4, IR_MEM, IR_MEM, IR_IMM, 1), IR_G(3), 0)->flags = IR_SETF;
    toy_begin(4);
    at(toy_op(4, IR_MOV, 8, IR_G(6), IR_MEM, IR_NONE, 0), IR_NONE, 0x4ffc);
    at(toy_op(4, IR_MOV, 8, IR_MEM, IR_G(7), IR_NONE, 0), IR_NONE, 0x4ffc);
    toy_code(CODE, (const uint16_t[]){ 2, 3, 4, STOP }, 4);
    toy_mmio_value = 0x1000, toy_mmio_reads = toy_mmio_writes = 0;
    c->v.g[3] = 0x5000, c->v.g[4] = 0x77, c->v.g[7] = 0x1122334455667788;
    store_le32(toy_ram + 0x4ffc, 0xaabbccdd);
    toy_run(c, CODE);
    g_assert_cmphex(c->v.g[1], ==, 0x1000);
    g_assert_cmphex((uint32_t)c->v.g[6], ==, 0xaabbccdd);
    g_assert_cmphex(c->v.g[6] >> 32, ==, (0x77 ^ 4) + 1);
    g_assert_cmphex(load_le32(toy_ram + 0x4ffc), ==, 0x55667788);
    g_assert_cmphex(toy_mmio_value, ==, 0x11223344);
    g_assert_cmpuint(toy_mmio_writes, ==, 3);
    toy_cpu_free(c);
}

/*
 * One vCPU writes over code that the other one executes, then sets a flag in memory; once the other has seen the flag
 * it must run the new code.
 */
enum { ROUNDS = 300, SPIN = 0x3000 };
static struct { ToyCpu *writer, *runner; _Atomic unsigned seen; } pair;

static void *write_code(void *opaque)
{
    for (unsigned n = 1; n <= ROUNDS; n++) {
        pair.writer->v.g[5] = 10 + n % 4;
        pair.writer->v.g[6] = n;
        toy_run(pair.writer, CODE);
        while (atomic_load(&pair.seen) != n)
            g_usleep(10);
    }
    return NULL;
}

static void test_two_cpus(void)
{
    pair.writer = fresh(), pair.runner = fresh();
    toy_begin(2);
    at(toy_op(2, IR_MOV, 2, IR_MEM, IR_G(5), IR_NONE, 0), IR_NONE, CODE2);
    toy_begin(3);
    at(toy_op(3, IR_MOV, 8, IR_MEM, IR_G(6), IR_NONE, 0), IR_NONE, DATA);
    toy_begin(4);
    at(toy_op(4, IR_CMP, 8, IR_NONE, IR_G(6), IR_MEM, 0), IR_NONE, DATA)->flags = IR_SETF;
    toy_begin(5);
    toy_op(5, IR_GOTOCC, 8, IR_NONE, IR_NONE, IR_NONE, CODE2)->cond = IRC_Z;
    toy_begin(6);
    toy_op(6, IR_CHECK, 8, IR_NONE, IR_NONE, IR_NONE, SPIN);
    toy_op(6, IR_GOTO, 8, IR_NONE, IR_NONE, IR_NONE, SPIN);
    for (unsigned n = 10; n < 14; n++) {
        toy_begin(n);
        toy_op(n, IR_MOV, 8, IR_G(1), IR_IMM, IR_NONE, n);
    }
    toy_code(CODE, (const uint16_t[]){ 2, 3, STOP }, 3);
    toy_code(CODE2, (const uint16_t[]){ 10, STOP }, 2);
    toy_code(SPIN, (const uint16_t[]){ 4, 5, 6 }, 3);
    store_le64(toy_ram + DATA, 0);
    atomic_store(&pair.seen, 0);
    pthread_t t = thread_start("writer", write_code, NULL);
    for (unsigned n = 1; n <= ROUNDS; n++) {
        pair.runner->v.g[6] = n;
        toy_run(pair.runner, SPIN);
        g_assert_cmpuint(pair.runner->v.g[1], ==, 10 + n % 4);
        atomic_store(&pair.seen, n);
    }
    pthread_join(t, NULL);
    toy_cpu_free(pair.runner);
    toy_cpu_free(pair.writer);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    const char *options = g_getenv("TCG_TEST_OPTIONS");
    toy_setup(options ? options : "backend=interp");
    g_test_add_func("/tcg/loop", test_loop);
    g_test_add_func("/tcg/fault", test_fault);
    g_test_add_func("/tcg/own-block", test_own_block);
    g_test_add_func("/tcg/alias-and-dma", test_alias_and_dma);
    g_test_add_func("/tcg/remap", test_remap);
    g_test_add_func("/tcg/straddle", test_straddle);
    g_test_add_func("/tcg/mmio", test_mmio);
    g_test_add_func("/tcg/two-cpus", test_two_cpus);
    return g_test_run();
}
