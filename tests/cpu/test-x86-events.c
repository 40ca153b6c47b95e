/* SPDX-License-Identifier: MIT */
/* Guest code that meets interrupts, shadows, single step, breakpoints, NMI, SMI, INIT: where each one lands. */
#include "tests/cpu/x86-fixture.h"

enum { HANDLER = 0x24000, HANDLER2 = 0x25000, VECTOR = 0x30 };

static uint64_t mem(uint64_t at, unsigned size) { return load_le(fix_ram + at, size); }

#define CODE(at, ...) put_code(at, (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))
static void put_code(uint64_t at, const uint8_t *bytes, unsigned len)
{
    as_write(fix_machine.as_memory, at, bytes, len, MEM_ATTRS_DEVICE);
}

/* --- an interrupt controller with one interrupt --- */

static int pending_vector = -1;
static X86Cpu *intc_cpu;

static int fake_acknowledge(void *intc)
{
    int v = pending_vector;
    pending_vector = -1;
    vcpu_set_line(&intc_cpu->v, CPU_LINE_INTR, false);
    return v;
}
static bool fake_pending(void *intc) { return pending_vector >= 0; }
static const CpuIntcOps fake_intc = { .acknowledge = fake_acknowledge, .pending = fake_pending };

static void raise_interrupt(X86Cpu *c)
{
    intc_cpu = c;
    c->v.port.intc_ops = &fake_intc;
    pending_vector = VECTOR;
    vcpu_set_line(&c->v, CPU_LINE_INTR, true);
}

/* 32-bit ring 0, every gate leads to HLT at HANDLER; the frame's EIP says where it came from. */
static X86Cpu *cpu32(const char *model)
{
    X86Cpu *c = fix_cpu(model);
    fix_protected32(c);
    for (unsigned i = 0; i < 0x40; i++)
        fix_gate(i, 8, SEL_CODE0, HANDLER, DESC_INT32, 0, 0);
    CODE(HANDLER, 0xf4);
    return c;
}

static void expect_at(X86Cpu *c, uint64_t frame_pc)
{
    fix_run(c, 50);
    g_assert_cmphex(c->v.pc, ==, HANDLER + 1);
    g_assert_cmphex(mem(c->v.g[RSP], 4), ==, frame_pc);
}

static void test_sti(void)
{
    X86Cpu *c = cpu32("qemu32");
    CODE(FIX_CODE, 0xfb, 0x90, 0x90, 0x90, 0xf4); /* sti; nop; nop; nop; hlt */
    raise_interrupt(c);
    expect_at(c, FIX_CODE + 2);
    fix_free(c);
    c = cpu32("qemu32");
    CODE(FIX_CODE, 0xfb, 0xfa, 0x90, 0xf4); /* sti; cli: no window at all */
    raise_interrupt(c);
    fix_run(c, 50);
    g_assert_cmphex(c->v.pc, ==, FIX_CODE + 4);
    fix_free(c);
    c = cpu32("qemu32");
    CODE(FIX_CODE, 0xfb, 0x90, 0xfa, 0xeb, 0xfb); /* 1: sti; nop; cli; jmp 1: the window is between nop and cli */
    raise_interrupt(c);
    expect_at(c, FIX_CODE + 2);
    fix_free(c);
    c = cpu32("qemu32");
    CODE(FIX_CODE, 0xfb, 0xf4, 0x90); /* sti; hlt: the interrupt ends the HLT */
    raise_interrupt(c);
    expect_at(c, FIX_CODE + 2);
    fix_free(c);
}

static void test_popf_window(void)
{
    X86Cpu *c = cpu32("qemu32");
    CODE(FIX_CODE, 0x68, 0x02, 0x02, 0x00, 0x00, 0x9d, 0x90, 0xf4); /* push 0x202; popf; nop; hlt */
    raise_interrupt(c);
    expect_at(c, FIX_CODE + 6);
    fix_free(c);
}

static void test_mov_ss(void)
{
    X86Cpu *c = cpu32("qemu32");
    c->v.g[RAX] = SEL_DATA0;
    x86_set_eflags(c, 2 | EFL_TF);
    CODE(FIX_CODE, 0x8e, 0xd0, 0x90, 0x90, 0xf4); /* mov ss, eax; nop; nop; hlt: the trap comes one insn later */
    expect_at(c, FIX_CODE + 3);
    g_assert_cmphex(c->dr[6], ==, 0xffff4ff0);
    fix_free(c);
}

static void test_single_step(void)
{
    X86Cpu *c = cpu32("qemu32");
    CODE(FIX_CODE, 0x68, 0x02, 0x01, 0x00, 0x00, 0x9d, 0x40, 0x90, 0xf4); /* push 0x102; popf; inc eax; nop */
    expect_at(c, FIX_CODE + 7);
    g_assert_cmpuint(c->v.g[RAX], ==, 1);
    g_assert_true(mem(c->v.g[RSP] + 8, 4) & EFL_TF);
    g_assert_true(c->dr[6] & BIT(14));
    fix_free(c);
    c = cpu32("qemu32");
    x86_set_eflags(c, 2 | EFL_TF);
    CODE(FIX_CODE, 0xeb, 0x10);
    expect_at(c, FIX_CODE + 0x12); /* a jump taken */
    fix_free(c);
}

static void test_code_breakpoint(void)
{
    X86Cpu *c = cpu32("qemu32");
    CODE(FIX_CODE, 0x40, 0x40, 0x40, 0xf4);
    c->dr[0] = FIX_CODE + 1;
    c->dr[7] = 0x401;
    x86_update_mode(c);
    expect_at(c, FIX_CODE + 1);
    g_assert_cmpuint(c->v.g[RAX], ==, 1);
    g_assert_cmphex(c->dr[6] & 15, ==, 1);
    /* Back with RF: the same insn runs now. */
    CODE(HANDLER, 0x81, 0x4c, 0x24, 0x08, 0x00, 0x00, 0x01, 0x00, 0xcf); /* or dword [esp+8], RF; iret */
    c->v.pc = HANDLER;
    fix_run(c, 50);
    g_assert_cmphex(c->v.pc, ==, FIX_CODE + 4);
    g_assert_cmpuint(c->v.g[RAX], ==, 3);
    fix_free(c);
}

static void test_data_breakpoint(void)
{
    X86Cpu *c = cpu32("qemu32");
    c->v.g[RBX] = 0x50000;
    CODE(FIX_CODE, 0x8b, 0x03, 0x89, 0x43, 0x02, 0x90, 0xf4); /* mov eax, [ebx]; mov [ebx+2], eax; nop; hlt */
    c->dr[1] = 0x50004;
    c->dr[7] = 0x400 | 1 << 2 | 1 << 20 | 3 << 22; /* DR1: writes, 4 bytes */
    x86_update_mode(c);
    expect_at(c, FIX_CODE + 5);
    g_assert_cmphex(c->dr[6] & 15, ==, 2);
    fix_free(c);
}

static void test_general_detect(void)
{
    X86Cpu *c = cpu32("qemu32");
    c->dr[7] = 0x2400;
    CODE(FIX_CODE, 0x0f, 0x21, 0xc0); /* mov eax, dr0 */
    expect_at(c, FIX_CODE);
    g_assert_true(c->dr[6] & BIT(13));
    g_assert_false(c->dr[7] & BIT(13));
    fix_free(c);
}

static void test_nmi(void)
{
    X86Cpu *c = cpu32("qemu32");
    CODE(FIX_CODE, 0x90, 0xf4);
    vcpu_set_line(&c->v, CPU_LINE_NMI, true);
    expect_at(c, FIX_CODE);
    g_assert_true(c->nmi_blocked);
    vcpu_set_line(&c->v, CPU_LINE_NMI, true);
    g_assert_false(x86_has_work(&c->v));
    CODE(HANDLER2, 0xcf); /* iret: the second one comes at once */
    c->v.pc = HANDLER2;
    expect_at(c, FIX_CODE);
    fix_free(c);
}

/* SMI from 64-bit user code, RSM: all of the state is as before. */
static void test_smi(void)
{
    X86Cpu *c = fix_cpu("max");
    fix_long64(c);
    fix_ring3(c);
    for (unsigned i = 0; i < 16; i++)
        c->v.g[i] = UINT64_C(0x1111111111111111) * i;
    c->seg[SEG_GS].base = 0x123456789000;
    x86_set_eflags(c, 2 | EFL_IF | FLAG_Z | EFL_AC);
    CODE(FIX_CODE, 0x48, 0xff, 0xc0, 0xeb, 0xfb); /* 1: inc rax; jmp 1 */
    CODE(0x38000, 0xf4); /* hlt */
    X86Cpu before = *c;
    vcpu_set_line(&c->v, CPU_LINE_SMI, true);
    fix_run(c, 2);
    g_assert_true(c->smm);
    g_assert_cmphex(c->v.pc, ==, 0x8001);
    g_assert_cmphex(c->seg[SEG_CS].base, ==, 0x30000);
    g_assert_cmphex(mem(0x3fefc, 4), ==, 0x20064);
    g_assert_cmphex(mem(0x3fff8, 8), ==, before.v.g[RAX]);
    g_assert_cmphex(mem(0x3ff78, 8), ==, FIX_CODE);
    store_le32(fix_ram + 0x3ff00, 0xa0000); /* new SMBASE */
    CODE(0x38001, 0x0f, 0xaa, 0x90);
    c->v.halted = false;
    g_assert_true(fix_call(c, (const void *)x86_help_rsm, 0, 0, 0, NULL));
    g_assert_false(c->smm);
    g_assert_cmphex(c->smbase, ==, 0xa0000);
    g_assert_cmphex(c->v.pc, ==, FIX_CODE);
    g_assert_cmpuint(c->cpl, ==, 3);
    g_assert_cmphex(c->v.mode, ==, before.v.mode);
    g_assert_cmpmem(c->v.g, 16 * 8, before.v.g, 16 * 8);
    for (unsigned i = 0; i < G_N_ELEMENTS(c->seg); i++) {
        const X86Seg *is = &c->seg[i], *was = &before.seg[i];
        g_assert_true(is->base == was->base && is->limit == was->limit && is->attr == was->attr && is->sel == was->sel);
    }
    g_assert_cmphex(x86_get_eflags(c), ==, x86_get_eflags(&before));
    g_assert_cmphex(c->cr0, ==, before.cr0);
    g_assert_cmphex(c->efer, ==, before.efer);
    g_assert_false(fix_call(c, (const void *)x86_help_rsm, 0, 0, 0, NULL)); /* #UD outside */
    g_assert_cmpint(c->event.vector, ==, X86_UD);
    fix_free(c);
}

static void test_init_sipi(void)
{
    X86Cpu *c = cpu32("qemu32");
    c->cr0 |= CR0_CD;
    c->star = 5;
    vcpu_set_line(&c->v, CPU_LINE_INIT, true);
    c->v.port.bsp = false;
    g_assert_false(x86_poll(&c->v));
    g_assert_true(c->v.powered_off);
    g_assert_cmphex(c->v.pc, ==, 0xfff0);
    g_assert_cmphex(c->cr0, ==, CR0_ET | CR0_CD);
    g_assert_cmphex(c->star, ==, 5); /* MSRs survive */
    CODE(0x9a000, 0xf4);
    c->v.port.ops->sipi(&c->v.port, 0x9a);
    g_assert_true(x86_has_work(&c->v));
    fix_run(c, 5);
    g_assert_cmphex(c->seg[SEG_CS].base, ==, 0x9a000);
    g_assert_cmphex(c->v.pc, ==, 1);
    fix_free(c);
}

/* Real mode to protected mode to 64-bit, as a boot loader does it. */
static void test_mode_switch(void)
{
    X86Cpu *c = fix_cpu("max");
    fix_long64(c); /* for the tables in RAM */
    x86_reset(&c->v);
    x86_set_real_seg(c, SEG_CS, 0);
    c->v.pc = 0x7c00;
    store_le16(fix_ram + 0x7d00, 0xff);
    store_le32(fix_ram + 0x7d02, FIX_GDT);
    CODE(0x7c00, 0x0f, 0x01, 0x16, 0x00, 0x7d,              /* lgdt [0x7d00] */
         0x0f, 0x20, 0xc0, 0x0c, 0x01, 0x0f, 0x22, 0xc0,    /* mov eax, cr0; or al, 1; mov cr0, eax */
         0xea, 0x00, 0x7e, SEL_CODE0, 0x00);                /* jmp SEL_CODE0:0x7e00 */
    /* mov eax, data; mov ds, ax; mov ss, ax */
    CODE(0x7e00, 0xb8, SEL_DATA0, 0, 0, 0, 0x8e, 0xd8, 0x8e, 0xd0,
         0xb8, 0x20, 0, 0, 0, 0x0f, 0x22, 0xe0,                               /* mov eax, PAE; mov cr4, eax */
         0xb8, 0x00, 0x00, 0x01, 0x00, 0x0f, 0x22, 0xd8,                      /* mov eax, FIX_PT; mov cr3, eax */
         0xb9, 0x80, 0x00, 0x00, 0xc0, 0x0f, 0x32, 0x80, 0xcc, 0x01, 0x0f, 0x30, /* EFER |= LME */
         0x0f, 0x20, 0xc0, 0x0d, 0x00, 0x00, 0x00, 0x80, 0x0f, 0x22, 0xc0,    /* cr0 |= PG */
         0xea, 0x00, 0x7f, 0x00, 0x00, SEL_CODE64, 0x00);                     /* jmp SEL_CODE64:0x7f00 */
    CODE(0x7f00, 0x48, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8, 0xf4); /* mov rax, imm64; hlt */
    fix_run(c, 50);
    g_assert_cmphex(c->v.pc, ==, 0x7f0b);
    g_assert_cmphex(c->v.g[RAX], ==, 0x0807060504030201);
    g_assert_true(x86_is_64(c));
    fix_free(c);
}

/* Page tables change under running code: INVLPG and CR3 writes take effect at once, A and D bits come. */
static void test_remap(void)
{
    X86Cpu *c = fix_cpu("max");
    fix_long64(c);
    uint64_t pt = FIX_PT + 0x3000;
    store_le64(fix_ram + FIX_PT + 0x2000 + 8, pt | 7); /* second 2 MiB: 4 KiB pages */
    store_le64(fix_ram + pt, 0x60000 | 3);
    fix_ram[0x60000] = 0x11, fix_ram[0x61000] = 0x22;
    CODE(FIX_CODE, 0x8a, 0x03,                                /* mov al, [rbx] */
         0x48, 0xc7, 0x01, 0x03, 0x10, 0x06, 0x00,            /* mov qword [rcx], 0x61003 */
         0x0f, 0x01, 0x3b,                                    /* invlpg [rbx] */
         0x8a, 0x23,                                          /* mov ah, [rbx] */
         0xc6, 0x03, 0x33, 0xf4);                             /* mov byte [rbx], 0x33; hlt */
    c->v.g[RBX] = 0x200000;
    c->v.g[RCX] = pt;
    c->v.g[RAX] = 0;
    fix_run(c, 50);
    g_assert_cmphex(c->v.g[RAX], ==, 0x2211);
    g_assert_cmphex(fix_ram[0x61000], ==, 0x33);
    g_assert_cmphex(mem(pt, 8), ==, 0x61000 | 0x63);
    fix_free(c);
}

/*
 * #PF in the middle of a string copy: registers point at the element that faulted; after mapping it the copy goes on.
 */
static void test_string_fault(void)
{
    X86Cpu *c = fix_cpu("max");
    fix_long64(c);
    uint64_t pt = FIX_PT + 0x3000;
    store_le64(fix_ram + FIX_PT + 0x2000 + 8, pt | 7);
    store_le64(fix_ram + pt, 0x60000 | 3); /* the second page is missing */
    fix_gate(X86_PF, 16, SEL_CODE64, HANDLER, DESC_INT32, 0, 0);
    CODE(HANDLER, 0xf4);
    CODE(FIX_CODE, 0xf3, 0xa4, 0xf4); /* rep movsb; hlt */
    c->v.g[RSI] = FIX_CODE;
    c->v.g[RDI] = 0x200ffc;
    c->v.g[RCX] = 8;
    fix_run(c, 50);
    g_assert_cmphex(c->cr2, ==, 0x201000);
    g_assert_cmphex(c->v.g[RDI], ==, 0x201000);
    g_assert_cmphex(c->v.g[RCX], ==, 4);
    g_assert_cmphex(mem(c->v.g[RSP], 8), ==, 2); /* a write, page not present */
    store_le64(fix_ram + pt + 8, 0x61000 | 3);
    c->v.g[RSP] += 8;
    CODE(HANDLER2, 0x48, 0xcf); /* iretq */
    c->v.pc = HANDLER2;
    fix_run(c, 50);
    g_assert_cmphex(c->v.pc, ==, FIX_CODE + 3);
    g_assert_cmphex(c->v.g[RCX], ==, 0);
    g_assert_cmpmem(fix_ram + 0x60ffc, 4, fix_ram + FIX_CODE, 4);
    g_assert_cmpmem(fix_ram + 0x61000, 4, fix_ram + FIX_CODE + 4, 4);
    fix_free(c);
}

static void test_ports(void)
{
    X86Cpu *c = cpu32("qemu32");
    CODE(FIX_CODE, 0xf3, 0x6c, 0xf3, 0x6e, 0xf4); /* rep insb; rep outsb; hlt */
    fix_port_value = 0xa7;
    c->v.g[RCX] = 4;
    c->v.g[RDI] = 0x50000;
    c->v.g[RDX] = 0x1f0;
    fix_run(c, 50);
    g_assert_cmphex(mem(0x50000, 8), ==, 0xa7a7a7a7);
    g_assert_cmphex(c->v.g[RDI], ==, 0x50004);
    g_assert_cmphex(c->v.pc, ==, FIX_CODE + 5);
    fix_free(c);
}

/*
 * A device hides RAM behind other RAM while a block that has stored there is under way: the next store goes to the new
 * RAM.
 */
static MemRegion *overlay;
static MemResult overlay_write(void *opaque, hwaddr offset, unsigned size, uint64_t value, MemAttrs attrs)
{
    mem_map(fix_machine.memory, 0x60000, overlay, 1);
    return MEM_OK;
}
static const MemOps overlay_ops = { .write = overlay_write };

static void test_map_change_in_block(void)
{
    X86Cpu *c = fix_cpu("max");
    fix_long64(c);
    overlay = mem_ram_new("overlay", 4096, NULL);
    MemRegion *device = mem_io_new("overlay control", 4096, &overlay_ops, NULL, NULL);
    mem_map(fix_machine.memory, 0x70000, device, 1);
    tlb_flush_all(&c->v);
    CODE(FIX_CODE, 0x89, 0x03, 0x89, 0x01,                     /* mov [rbx], eax; mov [rcx], eax (the device) */
         0x89, 0x43, 0x04, 0x89, 0x43, 0x08, 0xf4);            /* mov [rbx+4], eax; mov [rbx+8], eax; hlt */
    c->v.g[RAX] = 0x12345678;
    c->v.g[RBX] = 0x60000;
    c->v.g[RCX] = 0x70000;
    fix_run(c, 50);
    g_assert_cmphex(c->v.pc, ==, FIX_CODE + 11);
    g_assert_cmphex(load_le32(fix_ram + 0x60000), ==, 0x12345678);
    g_assert_cmphex(load_le64(fix_ram + 0x60004), ==, 0);
    g_assert_cmphex(load_le64((uint8_t *)mem_host(overlay) + 4), ==, 0x1234567812345678);
    mem_region_free(overlay);
    mem_region_free(device);
    fix_free(c);
}

/* Twice the same IP with other code behind it: far jumps through segments that differ in their base only. */
static void test_same_ip_other_segment(void)
{
    X86Cpu *c = fix_cpu("qemu32");
    for (unsigned seg = 0; seg < SEG_COUNT; seg++)
        x86_set_real_seg(c, seg, 0);
    x86_set_real_seg(c, SEG_CS, FIX_CODE >> 4);
    c->v.pc = 0;
    CODE(FIX_CODE, 0xeb, 0x02, 0, 0, 0x40, 0xea, 0x00, 0x00, 0x00, 0x21);          /* jmp 4; 4: inc ax; jmp 0x2100:0 */
    CODE(FIX_CODE + 0x1000, 0xeb, 0x02, 0, 0, 0x43, 0xf4);                          /* jmp 4; 4: inc bx; hlt */
    fix_run(c, 50);
    g_assert_cmphex(c->v.pc, ==, 6);
    g_assert_cmpuint(c->v.g[RAX] & 0xffff, ==, 1);
    g_assert_cmpuint(c->v.g[RBX] & 0xffff, ==, 1);
    fix_free(c);
}

/* INT n in VM86 with VME: the map sends it to the program's own handler, IOPL 0 or not; VIF stands for IF. */
static void test_vme(void)
{
    X86Cpu *c = cpu32("max");
    fix_gate(X86_GP, 8, SEL_CODE0, HANDLER, DESC_INT32, 0, 0);
    store_le16(fix_ram + FIX_TSS + 0x66, 0x88); /* I/O map; the redirection map stands in the 32 bytes before it */
    fix_ram[FIX_TSS + 0x68 + 0x21 / 8] = 0;     /* INT 21h: redirected */
    fix_ram[FIX_TSS + 0x68 + 0x10 / 8] = 1;     /* INT 10h: not */
    store_le32(fix_ram + 0x21 * 4, 0x40000123);
    c->cr4 |= CR4_VME;
    for (unsigned i = 0; i < SEG_COUNT; i++)
        c->seg[i] = x86_vm86_seg(0x3000);
    c->seg[SEG_CS] = x86_vm86_seg(FIX_CODE >> 4);
    c->cpl = 3;
    c->v.g[RSP] = 0x1000;
    c->v.pc = 0;
    x86_set_eflags(c, 2 | EFL_VM | EFL_IF | EFL_VIF);
    CODE(FIX_CODE, 0xcd, 0x21);
    CODE(0x40123, 0xcd, 0x10); /* trapped: #GP at this INT */
    fix_run(c, 50);
    g_assert_cmphex(mem(0x30ffa, 2), ==, 2);
    g_assert_cmphex(mem(0x30ffc, 2), ==, FIX_CODE >> 4);
    g_assert_cmphex(mem(0x30ffe, 2), ==, 2 | EFL_IF | EFL_IOPL);
    g_assert_cmphex(c->v.pc, ==, HANDLER + 1);
    g_assert_cmphex(mem(c->v.g[RSP], 4), ==, 0);
    g_assert_cmphex(mem(c->v.g[RSP] + 4, 4), ==, 0x123);
    g_assert_false(mem(c->v.g[RSP] + 12, 4) & EFL_VIF);
    fix_free(c);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/x86/events/sti", test_sti);
    g_test_add_func("/x86/events/popf", test_popf_window);
    g_test_add_func("/x86/events/mov-ss", test_mov_ss);
    g_test_add_func("/x86/debug/single-step", test_single_step);
    g_test_add_func("/x86/debug/code-breakpoint", test_code_breakpoint);
    g_test_add_func("/x86/debug/data-breakpoint", test_data_breakpoint);
    g_test_add_func("/x86/debug/general-detect", test_general_detect);
    g_test_add_func("/x86/events/nmi", test_nmi);
    g_test_add_func("/x86/events/smi", test_smi);
    g_test_add_func("/x86/events/init-sipi", test_init_sipi);
    g_test_add_func("/x86/modes/switch", test_mode_switch);
    g_test_add_func("/x86/paging/remap", test_remap);
    g_test_add_func("/x86/paging/string-fault", test_string_fault);
    g_test_add_func("/x86/ports", test_ports);
    g_test_add_func("/x86/same-ip", test_same_ip_other_segment);
    g_test_add_func("/x86/paging/map-change", test_map_change_in_block);
    g_test_add_func("/x86/vme", test_vme);
    return g_test_run();
}
