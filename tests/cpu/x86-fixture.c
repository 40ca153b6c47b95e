/* SPDX-License-Identifier: MIT */
/* The machine, tables and calls of x86-fixture.h. */
#include "tests/cpu/x86-fixture.h"
#include <string.h>
#include <urcu.h>
#include "accel/accel.h"
#include "accel/tcg/tcg.h"

uint8_t *fix_ram;
Machine fix_machine;
uint64_t fix_port_value;

static MemResult port_read(void *opaque, hwaddr offset, unsigned size, uint64_t *value, MemAttrs attrs)
{
    *value = fix_port_value & bits_mask(size * 8);
    return MEM_OK;
}

static MemResult port_write(void *opaque, hwaddr offset, unsigned size, uint64_t value, MemAttrs attrs)
{
    fix_port_value = value;
    return MEM_OK;
}

static const MemOps port_ops = { .read = port_read, .write = port_write };

static void setup(void)
{
    fix_machine.memory = mem_container_new("memory", UINT64_MAX);
    fix_machine.as_memory = as_new("memory", fix_machine.memory);
    fix_machine.io = mem_container_new("io", 65536);
    fix_machine.as_io = as_new("io", fix_machine.io);
    MemRegion *ram = mem_ram_new("ram", FIX_RAM, NULL);
    fix_ram = mem_host(ram);
    mem_map(fix_machine.memory, 0, ram, 0);
    mem_map(fix_machine.io, 0, mem_io_new("ports", 65536, &port_ops, NULL, NULL), 0);
    Error *err = NULL;
    const char *text = g_getenv("TCG_TEST_OPTIONS");
    g_autoptr(Opts) o = opts_parse(text ? text : "backend=interp", NULL, &err);
    g_assert_no_error(err);
    accel_setup(&fix_machine, "tcg", o, &err);
    g_assert_no_error(err);
}

X86Cpu *fix_cpu(const char *model)
{
    if (!fix_ram)
        setup();
    memset(fix_ram, 0, FIX_RAM);
    Error *err = NULL;
    cpu_family_find("x86_64")->create(&fix_machine, 0, 0, model, &err);
    g_assert_no_error(err);
    Vcpu *v = vcpu_get(0);
    vcpu_set_current(v);
    return x86_cpu(v);
}

void fix_refused(const char *model, const char *why)
{
    X86Cpu *c = g_aligned_alloc0(1, sizeof(X86Cpu), 4096);
    Error *err = NULL;
    g_assert_false(x86_model_apply(c, model, true, &err));
    g_assert_nonnull(err);
    if (!strstr(err->message, why) || strchr(err->message, '\n'))
        g_error("-cpu %s: '%s' does not say '%s', or not in one line", model, err->message, why);
    error_free(err);
    g_aligned_free(c);
}

void fix_free(X86Cpu *c)
{
    vcpu_set_current(NULL);
    cpu_family_find("x86_64")->destroy_all(&fix_machine);
    cpu_ports_clear();
    machine_parts_clear();
}

bool fix_call(X86Cpu *c, const void *helper, uint64_t a, uint64_t b, uint64_t a3, uint64_t *result)
{
    volatile bool ok = false;
    rcu_read_lock();
    c->event.kind = X86_EVENT_NONE;
    if (!sigsetjmp(c->v.unwind, 0)) {
        uint64_t r = ((FixHelper *)helper)(&c->v, a, b, a3);
        if (result)
            *result = r;
        ok = true;
    }
    rcu_read_unlock();
    return ok;
}

void fix_deliver(X86Cpu *c)
{
    rcu_read_lock();
    (void)sigsetjmp(c->v.unwind, 0);
    x86_deliver(&c->v);
    rcu_read_unlock();
}

void fix_run(X86Cpu *c, unsigned limit)
{
    c->v.halted = false;
    while (limit-- && (!c->v.halted || x86_has_work(&c->v))) {
        atomic_store(&c->v.exit_request, 0);
        tcg_run_slice(&c->v);
    }
}

/* --- tables --- */

void fix_desc(unsigned sel, uint32_t base, uint32_t limit, uint32_t attr)
{
    uint8_t *at = fix_ram + FIX_GDT + (sel & ~7u);
    store_le32(at, (base << 16) | (limit & 0xffff));
    store_le32(at + 4, (base & 0xff000000) | (base >> 16 & 0xff) | (limit & 0xf0000) | attr);
}

void fix_gate(unsigned vector, unsigned size, uint16_t sel, uint64_t offset, unsigned type, unsigned dpl, unsigned ist)
{
    uint8_t *at = fix_ram + FIX_IDT + vector * size;
    store_le32(at, (uint32_t)sel << 16 | (offset & 0xffff));
    store_le32(at + 4, (offset & 0xffff0000) | SEG_P | dpl << 13 | type << 8 | ist);
    if (size == 16)
        store_le64(at + 8, offset >> 32);
}

static void tables(void)
{
    enum { CODE = SEG_P | SEG_S | SEG_CODE | SEG_W, DATA = SEG_P | SEG_S | SEG_W, FLAT = SEG_G | SEG_D };
    fix_desc(SEL_CODE0, 0, 0xfffff, CODE | FLAT);
    fix_desc(SEL_DATA0, 0, 0xfffff, DATA | FLAT);
    fix_desc(SEL_CODE3, 0, 0xfffff, CODE | FLAT | SEG_DPL);
    fix_desc(SEL_DATA3, 0, 0xfffff, DATA | FLAT | SEG_DPL);
    fix_desc(SEL_TSS, FIX_TSS, 0x67 + 0x2001, SEG_P | DESC_TSS32 << 8);
    fix_desc(SEL_CODE64, 0, 0xfffff, CODE | SEG_G | SEG_L);
    fix_desc(SEL_CODE64_3, 0, 0xfffff, CODE | SEG_G | SEG_L | SEG_DPL);
    fix_desc(SEL_TSS2, FIX_TSS2, 0x67, SEG_P | DESC_TSS32 << 8);
    fix_desc(SEL_LDT, FIX_LDT, 0xff, SEG_P | DESC_LDT << 8);
    fix_desc(SEL_CONFORMING, 0, 0xfffff, CODE | FLAT | SEG_E);
    fix_desc(SEL_NOT_PRESENT, 0, 0xfffff, (DATA | FLAT) & ~SEG_P);
    fix_desc(SEL_READ_ONLY, 0, 0xfffff, SEG_P | SEG_S | FLAT | SEG_DPL);
    fix_desc(SEL_SMALL, 0x1000, 0xff, DATA | SEG_D | SEG_DPL);
    fix_desc(SEL_EXEC_ONLY, 0, 0xfffff, SEG_P | SEG_S | SEG_CODE | FLAT);
}

static void load_tables(X86Cpu *c)
{
    c->gdt = (X86Table){ FIX_GDT, 0xff };
    c->idt = (X86Table){ FIX_IDT, 0xfff };
    c->seg[SEG_TR] =
        (X86Seg){ .base = FIX_TSS, .limit = 0x67 + 0x2001, .attr = SEG_P | DESC_TSS32_BUSY << 8, .sel = SEL_TSS };
    c->seg[SEG_LDTR] = (X86Seg){ 0 };
    c->v.g[RSP] = FIX_STACK;
    c->v.pc = FIX_CODE;
}

void fix_protected32(X86Cpu *c)
{
    tables();
    load_tables(c);
    c->cr0 = CR0_PE | CR0_ET;
    c->seg[SEG_CS] = x86_flat_seg(SEL_CODE0, SEG_CODE | SEG_W | SEG_D);
    for (unsigned i = SEG_ES; i <= SEG_GS; i++) {
        if (i != SEG_CS)
            c->seg[i] = x86_flat_seg(SEL_DATA0, SEG_W | SEG_D);
    }
    store_le32(fix_ram + FIX_TSS + 4, FIX_STACK);
    store_le32(fix_ram + FIX_TSS + 8, SEL_DATA0);
    c->cpl = 0;
    tlb_flush_all(&c->v);
    x86_set_eflags(c, 2);
}

void fix_long64(X86Cpu *c)
{
    fix_protected32(c);
    store_le64(fix_ram + FIX_PT, (FIX_PT + 0x1000) | 7);
    store_le64(fix_ram + FIX_PT + 0x1000, (FIX_PT + 0x2000) | 7);
    for (unsigned i = 0; i < 2; i++)
        store_le64(fix_ram + FIX_PT + 0x2000 + i * 8, i * 2 * MiB | 0x87);
    store_le64(fix_ram + FIX_TSS + 4, FIX_STACK);
    c->cr4 = CR4_PAE | CR4_OSFXSR;
    c->cr3 = FIX_PT;
    c->efer = EFER_LME | EFER_LMA | EFER_SCE | EFER_NXE;
    c->cr0 |= CR0_PG;
    c->seg[SEG_CS] = x86_flat_seg(SEL_CODE64, SEG_CODE | SEG_W | SEG_L);
    tlb_flush_all(&c->v);
    x86_update_mode(c);
}

void fix_ring3(X86Cpu *c)
{
    bool is64 = x86_lma(c);
    c->seg[SEG_CS] = x86_flat_seg(is64 ? SEL_CODE64_3 : SEL_CODE3, SEG_CODE | SEG_W | SEG_DPL | (is64 ? SEG_L : SEG_D));
    for (unsigned i = SEG_ES; i <= SEG_GS; i++) {
        if (i != SEG_CS)
            c->seg[i] = x86_flat_seg(SEL_DATA3, SEG_W | SEG_D | SEG_DPL);
    }
    c->v.g[RSP] = FIX_STACK3;
    c->cpl = 3;
    x86_update_mode(c);
}
