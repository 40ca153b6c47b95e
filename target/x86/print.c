/* SPDX-License-Identifier: MIT */
/* Registers as `info registers` shows them, and disassembly by capstone. */
#include "base/disassembler.h"
#include "target/x86/print.h"

static const char *const greg_names[16] = { "RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI",
                                            "R8 ", "R9 ", "R10", "R11", "R12", "R13", "R14", "R15" };
static const uint8_t print_order[16] = { RAX, RBX, RCX, RDX, RSI, RDI, RBP, RSP, R8, R9, R10, R11, R12, R13, R14, R15 };

static void print_gregs(const X86Cpu *c, bool wide, GString *out)
{
    for (unsigned i = 0; i < (wide ? 16 : 8); i++) {
        unsigned g = print_order[i];
        if (wide)
            g_string_append_printf(out, "%s=%016" PRIx64, greg_names[g], c->v.g[g]);
        else
            g_string_append_printf(out, "E%s=%08" PRIx32, greg_names[g] + 1, (uint32_t)c->v.g[g]);
        g_string_append_c(out, i % 4 == 3 ? '\n' : ' ');
    }
}

static void print_flags(const X86Cpu *c, bool wide, GString *out)
{
    uint32_t f = x86_get_eflags(c);
    static const struct { uint32_t bit; char name;
    } bits[] = {
        { EFL_DF, 'D' }, { FLAG_O, 'O' }, { FLAG_S, 'S' }, { FLAG_Z, 'Z' },
        { FLAG_A, 'A' }, { FLAG_P, 'P' }, { FLAG_C, 'C' },
    };
    if (wide)
        g_string_append_printf(out, "RIP=%016" PRIx64 " RFL=%08" PRIx32 " [", c->v.pc, f);
    else
        g_string_append_printf(out, "EIP=%08" PRIx32 " EFL=%08" PRIx32 " [", (uint32_t)c->v.pc, f);
    for (unsigned i = 0; i < ARRAY_LEN(bits); i++)
        g_string_append_c(out, f & bits[i].bit ? bits[i].name : '-');
    g_string_append_printf(out, "] CPL=%u II=%u A20=%u SMM=%u HLT=%u\n", c->cpl, c->shadow, !c->a20_masked, c->smm,
                           c->v.halted);
}

static const char *seg_kind(const X86Cpu *c, const X86Seg *s)
{
    static const char *const data[8] = { "DS [---]", "DS [--A]", "DS [-W-]", "DS [-WA]",
                                         "DS [E--]", "DS [E-A]", "DS [EW-]", "DS [EWA]" };
    static const char *const code[3][8] = {
        { "CS16 [---]", "CS16 [--A]", "CS16 [-R-]", "CS16 [-RA]", "CS16 [C--]", "CS16 [C-A]", "CS16 [CR-]",
          "CS16 [CRA]" },
        { "CS32 [---]", "CS32 [--A]", "CS32 [-R-]", "CS32 [-RA]", "CS32 [C--]", "CS32 [C-A]", "CS32 [CR-]",
          "CS32 [CRA]" },
        { "CS64 [---]", "CS64 [--A]", "CS64 [-R-]", "CS64 [-RA]", "CS64 [C--]", "CS64 [C-A]", "CS64 [CR-]",
          "CS64 [CRA]" },
    };
    if (!(s->attr & SEG_P))
        return "";
    if (!(s->attr & SEG_S)) {
        static const char *const sys[16] = { "Reserved",   "TSS16-avl", "LDT",       "TSS16-busy",
                                             "CallGate16", "TaskGate",  "IntGate16", "TrapGate16",
                                             "Reserved",   "TSS32-avl", "Reserved",  "TSS32-busy",
                                             "CallGate32", "Reserved",  "IntGate32", "TrapGate32" };
        static const char *const sys64[16] = { [2] = "LDT", [9] = "TSS64-avl", [11] = "TSS64-busy" };
        const char *name = x86_lma(c) ? sys64[seg_type(s->attr)] : NULL;
        return name ? name : sys[seg_type(s->attr)];
    }
    unsigned width = s->attr & SEG_L && x86_lma(c) ? 2 : s->attr & SEG_D ? 1 : 0;
    return s->attr & SEG_CODE ? code[width][seg_type(s->attr) & 7] : data[seg_type(s->attr) & 7];
}

static void print_segs(const X86Cpu *c, bool wide, GString *out)
{
    static const char *const names[] = { "ES ", "CS ", "SS ", "DS ", "FS ", "GS ", "LDT", "TR " };
    for (unsigned i = 0; i <= SEG_TR; i++) {
        const X86Seg *s = &c->seg[i];
        g_string_append_printf(out, "%s=%04x %0*" PRIx64 " %08x %08x", names[i], s->sel, wide ? 16 : 8, s->base,
                               s->limit, s->attr);
        if (s->attr & SEG_P)
            g_string_append_printf(out, " DPL=%u %s", seg_dpl(s->attr), seg_kind(c, s));
        g_string_append_c(out, '\n');
    }
    g_string_append_printf(out, "GDT=     %0*" PRIx64 " %08x\n", wide ? 16 : 8, c->gdt.base, c->gdt.limit);
    g_string_append_printf(out, "IDT=     %0*" PRIx64 " %08x\n", wide ? 16 : 8, c->idt.base, c->idt.limit);
}

static void print_control(const X86Cpu *c, bool wide, GString *out)
{
    int w = wide ? 16 : 8;
    g_string_append_printf(out, "CR0=%08" PRIx64 " CR2=%0*" PRIx64 " CR3=%0*" PRIx64 " CR4=%08" PRIx64 "\n", c->cr0, w,
                           c->cr2, w, c->cr3, c->cr4);
    for (unsigned i = 0; i < 4; i++)
        g_string_append_printf(out, "DR%u=%0*" PRIx64 "%c", i, w, c->dr[i], i == 3 ? '\n' : ' ');
    g_string_append_printf(out, "DR6=%0*" PRIx64 " DR7=%0*" PRIx64 "\nEFER=%016" PRIx64 "\n", w, c->dr[6], w, c->dr[7],
                           c->efer);
}

static void print_fpu(const X86Cpu *c, bool wide, GString *out)
{
    g_string_append_printf(out, "FCW=%04x FSW=%04x [ST=%u] FTW=%02x MXCSR=%08x\n", c->fp_cw, c->fp_sw, c->fp_top,
                           c->fp_tags, c->v.fp_control);
    for (unsigned i = 0; i < 8; i++)
        g_string_append_printf(out, "FPR%u=%016" PRIx64 " %04x%c", i, c->fpr[i].mant, c->fpr[i].sign_exp,
                               i & 1 ? '\n' : ' ');
    for (unsigned i = 0; i < (wide ? 16 : 8); i++)
        g_string_append_printf(out, "XMM%02u=%016" PRIx64 " %016" PRIx64 "%c", i, c->v.v[i].u64[1], c->v.v[i].u64[0],
                               i & 1 ? '\n' : ' ');
}

void x86_print_regs(Vcpu *v, GString *out)
{
    const X86Cpu *c = x86_cpu(v);
    bool wide = x86_lma(c);
    print_gregs(c, x86_is_64(c), out);
    print_flags(c, x86_is_64(c), out);
    print_segs(c, wide, out);
    print_control(c, wide, out);
    print_fpu(c, wide, out);
}

int x86_disassemble(uint64_t mode, uint64_t pc, const uint8_t *code, unsigned len, GString *out)
{
    const Disassembler *d = disassembler_get();
    csh handle;
    cs_mode width = mode & X86_MODE_CS64 ? CS_MODE_64 : mode & X86_MODE_CS32 ? CS_MODE_32 : CS_MODE_16;
    if (!d || d->open(CS_ARCH_X86, width, &handle) != CS_ERR_OK)
        return 0;
    cs_insn *insn;
    int used = 0;
    if (d->disasm(handle, code, len, pc, 1, &insn) == 1) {
        g_string_append_printf(out, "%s %s", insn->mnemonic, insn->op_str);
        used = insn->size;
        d->free(insn, 1);
    } else {
        g_string_append_printf(out, ".byte 0x%02x", len ? code[0] : 0);
        used = len ? 1 : 0;
    }
    d->close(&handle);
    return used;
}
