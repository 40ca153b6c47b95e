/* SPDX-License-Identifier: MIT */
/* System management mode: entry, RSM and the 64-bit save-state map (AMD APM vol. 2, chapter 10 and table 10-1). */
#include "base/log.h"
#include "target/x86/helpers.h"
#include "target/x86/models.h"
#include "target/x86/segments.h"
#include "target/x86/smm.h"

enum { SAVE_BASE = 0xfe00, /* from SMBASE */ SAVE_SIZE = 0x200, SMM_REVISION = 0x20064 };
/* Offsets within the save area */
enum {
    S_SEG = 0x000,
    S_GDTR = 0x060,
    S_LDTR = 0x070,
    S_IDTR = 0x080,
    S_TR = 0x090,
    S_IO_RESTART = 0x0c8,
    S_HALT_RESTART = 0x0c9,
    S_NMI_BLOCKED = 0x0ca,
    S_CPL = 0x0cb,
    S_EFER = 0x0d0,
    S_REVISION = 0x0fc,
    S_SMBASE = 0x100,
    S_CR4 = 0x148,
    S_CR3 = 0x150,
    S_CR0 = 0x158,
    S_DR7 = 0x160,
    S_DR6 = 0x168,
    S_RFLAGS = 0x170,
    S_RIP = 0x178,
    S_GPR = 0x1f8 /* RAX; downwards */
};

static void put_seg(uint8_t *at, const X86Seg *s)
{
    store_le16(at, s->sel);
    store_le16(at + 2, (uint16_t)((s->attr >> 8 & 0xff) | (s->attr >> 12 & 0xf00)));
    store_le32(at + 4, s->limit);
    store_le64(at + 8, s->base);
}

static X86Seg get_seg(const uint8_t *at)
{
    uint32_t attr = load_le16(at + 2);
    return (X86Seg){ .sel = load_le16(at),
                     .attr = (attr & 0xff) << 8 | (attr & 0xf00) << 12,
                     .limit = load_le32(at + 4),
                     .base = load_le64(at + 8) };
}

static void save_state(X86Cpu *c, uint8_t *s)
{
    for (unsigned i = 0; i < SEG_COUNT; i++)
        put_seg(s + S_SEG + i * 16, &c->seg[i]);
    put_seg(s + S_LDTR, &c->seg[SEG_LDTR]);
    put_seg(s + S_TR, &c->seg[SEG_TR]);
    store_le32(s + S_GDTR + 4, c->gdt.limit);
    store_le64(s + S_GDTR + 8, c->gdt.base);
    store_le32(s + S_IDTR + 4, c->idt.limit);
    store_le64(s + S_IDTR + 8, c->idt.base);
    s[S_HALT_RESTART] = c->v.halted;
    s[S_NMI_BLOCKED] = c->nmi_blocked;
    s[S_CPL] = c->cpl;
    store_le64(s + S_EFER, c->efer);
    store_le32(s + S_REVISION, SMM_REVISION);
    store_le32(s + S_SMBASE, (uint32_t)c->smbase);
    store_le64(s + S_CR4, c->cr4);
    store_le64(s + S_CR3, c->cr3);
    store_le64(s + S_CR0, c->cr0);
    store_le64(s + S_DR7, c->dr[7]);
    store_le64(s + S_DR6, c->dr[6]);
    store_le64(s + S_RFLAGS, x86_get_eflags(c));
    store_le64(s + S_RIP, c->v.pc);
    for (unsigned i = 0; i < 16; i++)
        store_le64(s + S_GPR - i * 8, c->v.g[i]);
}

void x86_set_smm(X86Cpu *c, bool smm)
{
    c->smm = smm;
    c->v.as = smm && c->v.machine->as_smm ? c->v.machine->as_smm : c->v.machine->as_memory;
}

static void switch_space(X86Cpu *c, bool smm)
{
    x86_set_smm(c, smm);
    tlb_flush_all(&c->v);
}

/* Register values in SMM: APM vol. 2, table 10-2. */
static void enter_values(X86Cpu *c)
{
    c->efer = 0;
    c->cr4 = 0;
    c->cr0 &= ~(CR0_PE | CR0_EM | CR0_TS | CR0_PG);
    c->dr[7] = 0x400;
    c->cpl = 0;
    c->shadow = 0;
    c->v.pc = 0x8000;
    for (unsigned i = 0; i < SEG_COUNT; i++)
        c->seg[i] = (X86Seg){ .limit = 0xffffffff, .attr = SEG_P | SEG_S | SEG_W | SEG_A | SEG_G };
    c->seg[SEG_CS].sel = (uint16_t)(c->smbase >> 4);
    c->seg[SEG_CS].base = c->smbase;
    x86_set_eflags(c, 2);
    tlb_set_asid(&c->v, 0);
}

void x86_smm_enter(X86Cpu *c)
{
    uint8_t save[SAVE_SIZE] = { 0 };
    log_printf(LOG_INT, "%u: SMI at %016" PRIx64 "\n", c->v.index, c->v.pc);
    save_state(c, save);
    switch_space(c, true);
    as_write(c->v.as, c->smbase + SAVE_BASE, save, sizeof(save), x86_guest_arch.attrs(&c->v));
    c->smm_nmi_blocked = c->nmi_blocked;
    c->nmi_blocked = true;
    enter_values(c);
}

/* A save area that no CPU could be in: shutdown (APM vol. 2, 10.3.3). */
static bool image_valid(const X86Cpu *c, const uint8_t *s)
{
    uint64_t cr0 = load_le64(s + S_CR0), cr4 = load_le64(s + S_CR4), efer = load_le64(s + S_EFER);
    bool lma = efer & EFER_LMA;
    if (cr0 >> 32 || cr4 >> 32 || (cr0 & CR0_PG && !(cr0 & CR0_PE)) || (cr0 & CR0_NW && !(cr0 & CR0_CD)))
        return false;
    if (lma && !(cr0 & CR0_PG && cr4 & CR4_PAE && efer & EFER_LME && x86_has_feature(c, X86_FEATURE_LM)))
        return false;
    return !(efer & ~(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE | EFER_FFXSR));
}

static void load_state(X86Cpu *c, const uint8_t *s)
{
    for (unsigned i = 0; i < SEG_COUNT; i++)
        c->seg[i] = get_seg(s + S_SEG + i * 16);
    c->seg[SEG_LDTR] = get_seg(s + S_LDTR);
    c->seg[SEG_TR] = get_seg(s + S_TR);
    c->gdt = (X86Table){ .base = load_le64(s + S_GDTR + 8), .limit = load_le16(s + S_GDTR + 4) };
    c->idt = (X86Table){ .base = load_le64(s + S_IDTR + 8), .limit = load_le16(s + S_IDTR + 4) };
    c->efer = load_le64(s + S_EFER);
    c->cr4 = load_le64(s + S_CR4);
    c->cr3 = load_le64(s + S_CR3);
    c->cr0 = load_le64(s + S_CR0) | CR0_ET;
    c->dr[7] = load_le32(s + S_DR7) | 0x400;
    c->dr[6] = load_le32(s + S_DR6) | 0xffff0ff0;
    c->v.pc = load_le64(s + S_RIP);
    for (unsigned i = 0; i < 16; i++)
        c->v.g[i] = load_le64(s + S_GPR - i * 8);
    c->smbase = load_le32(s + S_SMBASE);
    uint64_t rflags = load_le64(s + S_RFLAGS);
    if (!(c->cr0 & CR0_PE) || c->efer & EFER_LMA)
        rflags &= ~(uint64_t)EFL_VM;
    c->cpl = !(c->cr0 & CR0_PE) ? 0 : rflags & EFL_VM ? 3 : s[S_CPL] & 3;
    x86_set_eflags(c, (uint32_t)rflags);
}

void x86_reload_pdptes(X86Cpu *c)
{
    bool used = c->cr0 & CR0_PG && c->cr4 & CR4_PAE && !x86_lma(c);
    for (unsigned i = 0; used && i < 4; i++) {
        c->pdpte[i] = 0;
        as_load(c->v.as, (c->cr3 & 0xffffffe0) + i * 8, 8, &c->pdpte[i], x86_guest_arch.attrs(&c->v));
    }
}

X86_HELPER_VOID(rsm)
{
    X86Cpu *c = x86_cpu(v);
    uint8_t save[SAVE_SIZE];
    if (!c->smm)
        x86_raise_ud(c);
    x86_take_state(c);
    as_read(v->as, c->smbase + SAVE_BASE, save, sizeof(save), x86_guest_arch.attrs(v));
    if (!image_valid(c, save)) {
        x86_shutdown(c);
        x86_leave(c);
    }
    load_state(c, save);
    switch_space(c, false);
    c->nmi_blocked = c->smm_nmi_blocked;
    x86_reload_pdptes(c);
    tlb_set_asid(v, c->cr4 & CR4_PCIDE ? c->cr3 & 0xfff : 0);
    x86_update_mode(c);
    x86_poll_soon(c);
    if (save[S_HALT_RESTART] & 1) {
        v->halted = true;
        x86_leave(c);
    }
}
