/* SPDX-License-Identifier: MIT */
/*
 * The 8259 pair: initialisation, priorities, all end-of-interrupt ways, special modes, ELCR, spurious vectors, cascade.
 */
#include "hw/intc/i8259.h"
#include "pc-rig.h"

typedef struct Pics {
    Rig *rig;
    Device *dev;
} Pics;

static void init_pic(Rig *r, uint16_t port, uint8_t vector, uint8_t icw3, uint8_t icw4)
{
    rig_out(r, port, 0x11);
    rig_out(r, port + 1, vector);
    rig_out(r, port + 1, icw3);
    rig_out(r, port + 1, icw4);
}

static Pics start(uint8_t master_icw4)
{
    Pics p = { .rig = rig_new() };
    p.dev = rig_isa(p.rig, "isa-i8259");
    device_connect(p.dev, "intr", 0, rig_irq(p.rig, 0));
    init_pic(p.rig, 0x20, 0x08, 4, master_icw4);
    init_pic(p.rig, 0xa0, 0x70, 2, 1);
    return p;
}

static void line(Pics *p, unsigned n, int level)
{
    Irq i = device_input(p->dev, "irq", n);
    irq_set(&i, level);
}

static bool intr(Pics *p)
{
    g_assert_cmpint(p->rig->pin[0], ==, i8259_pending(p->dev));
    return p->rig->pin[0];
}

static void test_edge_priority(void)
{
    Pics p = start(1);
    line(&p, 5, 1);
    line(&p, 3, 1);
    g_assert_true(intr(&p));
    g_assert_cmpint(i8259_acknowledge(p.dev), ==, 0x0b);
    g_assert_false(intr(&p)); /* 5 is below 3, which is in service */
    line(&p, 1, 1);
    g_assert_true(intr(&p)); /* 1 is above */
    g_assert_cmpint(i8259_acknowledge(p.dev), ==, 0x09);
    rig_out(p.rig, 0x20, 0x20);
    g_assert_false(intr(&p));
    rig_out(p.rig, 0x20, 0x63); /* specific EOI of 3 */
    g_assert_cmpint(i8259_acknowledge(p.dev), ==, 0x0d);
    rig_out(p.rig, 0x20, 0x20);
    g_assert_false(intr(&p)); /* lines are still high: edges are used up */
    line(&p, 3, 0);
    line(&p, 3, 1);
    g_assert_true(intr(&p));
    rig_out(p.rig, 0x21, 0x08); /* masked */
    g_assert_false(intr(&p));
    g_assert_cmphex(rig_in(p.rig, 0x21), ==, 0x08);
    rig_out(p.rig, 0x20, 0x0a);
    g_assert_cmphex(rig_in(p.rig, 0x20), ==, 0x08); /* IRR */
    rig_free(p.rig);
}

static void test_cascade(void)
{
    Pics p = start(1);
    line(&p, 12, 1);
    g_assert_cmpint(i8259_acknowledge(p.dev), ==, 0x74);
    rig_out(p.rig, 0x20, 0x0b);
    rig_out(p.rig, 0xa0, 0x0b);
    g_assert_cmphex(rig_in(p.rig, 0x20), ==, 0x04); /* ISR */
    g_assert_cmphex(rig_in(p.rig, 0xa0), ==, 0x10);
    line(&p, 8, 1); /* above 12 in the slave, but the master has the cascade in service */
    g_assert_false(intr(&p));
    rig_out(p.rig, 0xa0, 0x20);
    rig_out(p.rig, 0x20, 0x20);
    g_assert_cmpint(i8259_acknowledge(p.dev), ==, 0x70);
    rig_free(p.rig);

    p = start(0x11); /* special fully nested mode */
    line(&p, 12, 1);
    g_assert_cmpint(i8259_acknowledge(p.dev), ==, 0x74);
    line(&p, 8, 1);
    g_assert_true(intr(&p));
    g_assert_cmpint(i8259_acknowledge(p.dev), ==, 0x70);
    rig_free(p.rig);
}

static void test_spurious(void)
{
    Pics p = start(1);
    rig_out(p.rig, 0x4d0, 0x20); /* 5 by level */
    line(&p, 5, 1);
    g_assert_true(intr(&p));
    line(&p, 5, 0);
    g_assert_false(intr(&p));
    g_assert_cmpint(i8259_acknowledge(p.dev), ==, 0x0f);
    rig_out(p.rig, 0x20, 0x0b);
    g_assert_cmphex(rig_in(p.rig, 0x20), ==, 0); /* nothing in service */
    rig_free(p.rig);
}

static void test_level(void)
{
    Pics p = start(1);
    rig_out(p.rig, 0x4d0, 0xff);
    rig_out(p.rig, 0x4d1, 0xff);
    g_assert_cmphex(rig_in(p.rig, 0x4d0), ==, 0xf8); /* 0, 1, 2 and 8, 13 are edge always */
    g_assert_cmphex(rig_in(p.rig, 0x4d1), ==, 0xde);
    line(&p, 11, 1);
    g_assert_cmpint(i8259_acknowledge(p.dev), ==, 0x73);
    rig_out(p.rig, 0xa0, 0x20);
    rig_out(p.rig, 0x20, 0x20);
    g_assert_true(intr(&p)); /* still asserted */
    line(&p, 11, 0);
    g_assert_false(intr(&p));
    rig_free(p.rig);
}

static void test_rotation(void)
{
    Pics p = start(1);
    line(&p, 3, 1);
    g_assert_cmpint(i8259_acknowledge(p.dev), ==, 0x0b);
    rig_out(p.rig, 0x20, 0xa0); /* rotate on non-specific EOI: 3 is lowest now */
    line(&p, 3, 0);
    line(&p, 3, 1);
    line(&p, 1, 1);
    line(&p, 4, 1);
    g_assert_cmpint(i8259_acknowledge(p.dev), ==, 0x0c);
    rig_out(p.rig, 0x20, 0x20);
    g_assert_cmpint(i8259_acknowledge(p.dev), ==, 0x09);
    rig_out(p.rig, 0x20, 0x20);
    g_assert_cmpint(i8259_acknowledge(p.dev), ==, 0x0b);
    rig_out(p.rig, 0x20, 0x20);
    rig_out(p.rig, 0x20, 0xc5); /* set priority: 5 lowest, 6 highest */
    line(&p, 6, 1);
    line(&p, 0, 1);
    g_assert_cmpint(i8259_acknowledge(p.dev), ==, 0x0e);
    rig_out(p.rig, 0x20, 0xe6); /* rotate on specific EOI of 6 */
    g_assert_cmpint(i8259_acknowledge(p.dev), ==, 0x08);
    rig_free(p.rig);
}

static void test_auto_eoi(void)
{
    Pics p = start(3);
    line(&p, 4, 1);
    line(&p, 6, 1);
    g_assert_cmpint(i8259_acknowledge(p.dev), ==, 0x0c);
    g_assert_true(intr(&p));
    g_assert_cmpint(i8259_acknowledge(p.dev), ==, 0x0e);
    rig_out(p.rig, 0x20, 0x80); /* rotate in AEOI mode */
    line(&p, 4, 0), line(&p, 4, 1);
    g_assert_cmpint(i8259_acknowledge(p.dev), ==, 0x0c); /* 4 becomes lowest */
    line(&p, 4, 0), line(&p, 4, 1);
    line(&p, 6, 0), line(&p, 6, 1);
    g_assert_cmpint(i8259_acknowledge(p.dev), ==, 0x0e);
    rig_free(p.rig);
}

static void test_special_mask(void)
{
    Pics p = start(1);
    line(&p, 3, 1);
    g_assert_cmpint(i8259_acknowledge(p.dev), ==, 0x0b);
    line(&p, 6, 1);
    g_assert_false(intr(&p));
    rig_out(p.rig, 0x21, 0x08);
    rig_out(p.rig, 0x20, 0x68); /* special mask mode: 3, masked, does not block */
    g_assert_true(intr(&p));
    g_assert_cmpint(i8259_acknowledge(p.dev), ==, 0x0e);
    rig_out(p.rig, 0x20, 0x20); /* non-specific: ends 6, not the masked 3 */
    rig_out(p.rig, 0x20, 0x0b);
    g_assert_cmphex(rig_in(p.rig, 0x20), ==, 0x08);
    rig_out(p.rig, 0x20, 0x48); /* off again */
    line(&p, 6, 0), line(&p, 6, 1);
    g_assert_false(intr(&p));
    rig_free(p.rig);
}

static void test_poll(void)
{
    Pics p = start(1);
    line(&p, 7, 1);
    rig_out(p.rig, 0x20, 0x0c);
    g_assert_cmphex(rig_in(p.rig, 0x20), ==, 0x87);
    rig_out(p.rig, 0x20, 0x0b);
    g_assert_cmphex(rig_in(p.rig, 0x20), ==, 0x80); /* in service */
    rig_out(p.rig, 0x20, 0x0c);
    g_assert_cmphex(rig_in(p.rig, 0x20), ==, 0x00); /* none */
    rig_free(p.rig);
}

static void test_cpu(void)
{
    Pics p = start(1);
    CpuPort *port = &p.rig->cpu[0].port;
    i8259_attach_cpu(p.dev, port);
    g_assert_cmpint(port->intc_ops->acknowledge(port->intc), ==, -1);
    line(&p, 1, 1);
    g_assert_cmpint(p.rig->cpu[0].line[CPU_LINE_INTR], ==, 1);
    g_assert_true(port->intc_ops->pending(port->intc));
    g_assert_cmpint(port->intc_ops->acknowledge(port->intc), ==, 0x09);
    g_assert_cmpint(p.rig->cpu[0].line[CPU_LINE_INTR], ==, 0);
    rig_free(p.rig);
}

static void test_generic(void)
{
    Pics p = start(1);
    rig_generic(p.dev, 8259);
    rig_free(p.rig);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    evloop_init();
    g_test_add_func("/i8259/edge-priority", test_edge_priority);
    g_test_add_func("/i8259/cascade", test_cascade);
    g_test_add_func("/i8259/spurious", test_spurious);
    g_test_add_func("/i8259/level", test_level);
    g_test_add_func("/i8259/rotation", test_rotation);
    g_test_add_func("/i8259/auto-eoi", test_auto_eoi);
    g_test_add_func("/i8259/special-mask", test_special_mask);
    g_test_add_func("/i8259/poll", test_poll);
    g_test_add_func("/i8259/cpu", test_cpu);
    g_test_add_func("/i8259/generic", test_generic);
    return g_test_run();
}
