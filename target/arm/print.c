/* SPDX-License-Identifier: MIT */
/* Registers as `info registers` shows them, and disassembly by capstone. */
#include "base/disassembler.h"
#include "target/arm/m/m.h"
#include "target/arm/system.h"

static void print_flags(const ArmCpu *c, GString *out)
{
    uint32_t nzcv = arm_get_nzcv(c);
    for (unsigned i = 0; i < 4; i++)
        g_string_append_c(out, nzcv >> (31 - i) & 1 ? "NZCV"[i] : '-');
}

static void print64(ArmCpu *c, GString *out)
{
    g_string_append_printf(out, " PC=%016" PRIx64 " ", c->v.pc);
    for (unsigned i = 0; i < 31; i++)
        g_string_append_printf(out, "X%02u=%016" PRIx64 "%s", i, c->v.g[i], i % 3 == 1 ? "\n" : " ");
    g_string_append_printf(out, " SP=%016" PRIx64 "\nPSTATE=%08x ", c->v.g[ARM_SP], (unsigned)arm_get_pstate(c));
    print_flags(c, out);
    g_string_append_printf(out, " %sEL%u%c\n", c->has.el3 ? arm_secure(c) ? "S " : "NS " : "", c->el,
                           c->sp_sel ? 'h' : 't');
}

static void print32(ArmCpu *c, GString *out)
{
    static const char *const modes[16] = { "usr", "fiq", "irq", "svc", "???", "???", "mon", "abt",
                                           "???", "???", "hyp", "und", "???", "???", "???", "sys" };
    for (unsigned i = 0; i < 16; i++)
        g_string_append_printf(out, "R%02u=%08x%c", i, (unsigned)(i == 15 ? c->v.pc : c->v.g[i]),
                               i % 4 == 3 ? '\n' : ' ');
    g_string_append_printf(out, "PSR=%08x ", arm_get_cpsr(c));
    print_flags(c, out);
    g_string_append_printf(out, " %c %s%s32\n", c->t32 ? 'T' : 'A', c->has.el3 ? arm_secure(c) ? "S " : "NS " : "",
                           modes[c->mode32 & 15]);
}

void arm_print_regs(Vcpu *v, GString *out)
{
    ArmCpu *c = arm_cpu(v);
    if (c->m) {
        arm_m_print_regs(v, out);
        return;
    }
    if (c->aarch64)
        print64(c, out);
    else
        print32(c, out);
    g_string_append_printf(out, "FPCR=%08x FPSR=%08x\n", arm_get_fpcr(c), arm_get_fpsr(c));
    for (unsigned i = 0; i < 32; i++)
        g_string_append_printf(out, "Q%02u=%016" PRIx64 ":%016" PRIx64 "%c", i, v->v[i].u64[1], v->v[i].u64[0],
                               i & 1 ? '\n' : ' ');
}

int arm_disassemble(uint64_t mode, uint64_t pc, const uint8_t *code, unsigned len, GString *out)
{
    const Disassembler *d = disassembler_get();
    csh handle;
    bool a64 = mode & ARM_MODE_A64, t32 = mode & ARM_MODE_T32;
    cs_mode m = a64 ? 0 : (t32 ? CS_MODE_THUMB : CS_MODE_ARM) | (mode & ARM_MODE_M ? CS_MODE_MCLASS : CS_MODE_V8);
    if (!d || d->open(a64 ? CS_ARCH_ARM64 : CS_ARCH_ARM, m, &handle) != CS_ERR_OK)
        return 0;
    cs_insn *insn;
    int used = t32 ? 2 : 4;
    if (d->disasm(handle, code, len, pc, 1, &insn) == 1) {
        g_string_append_printf(out, "%s %s", insn->mnemonic, insn->op_str);
        used = insn->size;
        d->free(insn, 1);
    } else {
        if (t32 && len >= 4 && (load_le16(code) & 0xf800) >= 0xe800)
            used = 4;
        used = used <= (int)len ? used : 0;
        g_string_append_printf(out, used == 4 ? ".word 0x%08" PRIx64 : ".hword 0x%04" PRIx64,
                               load_le(code, (unsigned)used));
    }
    d->close(&handle);
    return used;
}
