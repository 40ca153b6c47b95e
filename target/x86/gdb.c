/* SPDX-License-Identifier: MIT */
/* x86 registers as GDB knows them (its manual, "Standard Target Features": i386). */
#include <string.h>
#include "target/x86/fpu.h"
#include "target/x86/models.h"
#include "target/x86/print.h"

/* --- general --- */
static void get_pc(Vcpu *v, const GdbReg *r, uint8_t *buf) { gdb_reg_put(r, buf, v->pc); }
static bool set_pc(Vcpu *v, const GdbReg *r, const uint8_t *buf)
{
    v->pc = gdb_reg_take(r, buf);
    return true;
}
static void get_eflags(Vcpu *v, const GdbReg *r, uint8_t *buf) { gdb_reg_put(r, buf, x86_get_eflags(x86_cpu(v))); }
static bool set_eflags(Vcpu *v, const GdbReg *r, const uint8_t *buf)
{
    X86Cpu *c = x86_cpu(v);
    uint32_t fixed = EFL_VM | EFL_RF; /* VM86 is another mode: not by a register write */
    x86_set_eflags(c, ((uint32_t)gdb_reg_take(r, buf) & ~fixed) | (x86_get_eflags(c) & fixed));
    return true;
}

/* Selectors: in real mode they are what one writes; elsewhere a descriptor would have to be loaded. */
static void get_sel(Vcpu *v, const GdbReg *r, uint8_t *buf) { gdb_reg_put(r, buf, x86_cpu(v)->seg[r->arg].sel); }
static bool set_sel(Vcpu *v, const GdbReg *r, const uint8_t *buf)
{
    X86Cpu *c = x86_cpu(v);
    uint16_t sel = (uint16_t)gdb_reg_take(r, buf);
    if (sel == c->seg[r->arg].sel)
        return true;
    if (!x86_real_mode(c))
        return false;
    c->seg[r->arg].sel = sel;
    c->seg[r->arg].base = (uint32_t)sel << 4;
    x86_update_mode(c);
    return true;
}
static void get_base(Vcpu *v, const GdbReg *r, uint8_t *buf) { gdb_reg_put(r, buf, x86_cpu(v)->seg[r->arg].base); }
static bool set_base(Vcpu *v, const GdbReg *r, const uint8_t *buf)
{
    X86Cpu *c = x86_cpu(v);
    if (!x86_canonical(c, gdb_reg_take(r, buf)))
        return false;
    c->seg[r->arg].base = gdb_reg_take(r, buf);
    x86_update_mode(c);
    return true;
}

/* --- x87 and SSE --- */
static void get_st(Vcpu *v, const GdbReg *r, uint8_t *buf)
{
    const X86FpReg *f = x87_st(x86_cpu(v), r->arg);
    store_le64(buf, f->mant);
    store_le16(buf + 8, f->sign_exp);
}
static bool set_st(Vcpu *v, const GdbReg *r, const uint8_t *buf)
{
    *x87_st(x86_cpu(v), r->arg) = (X86FpReg){ .mant = load_le64(buf), .sign_exp = load_le16(buf + 8) };
    return true;
}

enum { FCTRL, FSTAT, FTAG, FISEG, FIOFF, FOSEG, FOOFF, FOP };
static void get_fctl(Vcpu *v, const GdbReg *r, uint8_t *buf)
{
    const X86Cpu *c = x86_cpu(v);
    const uint32_t values[] = {
        [FCTRL] = c->fp_cw,           [FSTAT] = x87_status(c), [FTAG] = x87_tag_word(c),     [FISEG] = c->fp_cs,
        [FIOFF] = (uint32_t)c->fp_ip, [FOSEG] = c->fp_ds,      [FOOFF] = (uint32_t)c->fp_dp, [FOP] = c->fp_op
    };
    gdb_reg_put(r, buf, values[r->arg]);
}
static bool set_fctl(Vcpu *v, const GdbReg *r, const uint8_t *buf)
{
    X86Cpu *c = x86_cpu(v);
    uint16_t value = (uint16_t)gdb_reg_take(r, buf);
    switch (r->arg) {
    case FCTRL: c->fp_cw = (value & 0x1f3f) | 0x40; break;
    case FSTAT: x87_set_status(c, value); break;
    case FTAG:
        c->fp_tags = 0;
        for (unsigned i = 0; i < 8; i++)
            c->fp_tags |= (uint8_t)(((value >> 2 * i & 3) != 3) << i);
        break;
    case FISEG: c->fp_cs = value; break;
    case FIOFF: c->fp_ip = gdb_reg_take(r, buf); break;
    case FOSEG: c->fp_ds = value; break;
    case FOOFF: c->fp_dp = gdb_reg_take(r, buf); break;
    default: c->fp_op = value & 0x7ff; break;
    }
    x87_update_summary(c);
    x86_update_mode(c);
    return true;
}

static void get_xmm(Vcpu *v, const GdbReg *r, uint8_t *buf) { memcpy(buf, v->v[r->arg].u8, 16); }
static bool set_xmm(Vcpu *v, const GdbReg *r, const uint8_t *buf)
{
    memcpy(v->v[r->arg].u8, buf, 16);
    return true;
}
static void get_mxcsr(Vcpu *v, const GdbReg *r, uint8_t *buf) { gdb_reg_put(r, buf, v->fp_control); }
static bool set_mxcsr(Vcpu *v, const GdbReg *r, const uint8_t *buf)
{
    v->fp_control = (uint32_t)gdb_reg_take(r, buf) & 0xffff;
    x86_update_mode(x86_cpu(v));
    return true;
}

/* --- control registers: written only by the guest, which may raise faults by that --- */
static bool unchanged(Vcpu *v, const GdbReg *r, const uint8_t *buf)
{
    uint8_t now[8];
    r->get(v, r, now);
    return !memcmp(now, buf, r->bits / 8);
}
static void get_cr8(Vcpu *v, const GdbReg *r, uint8_t *buf)
{
    const CpuIntcOps *ops = v->port.intc_ops;
    gdb_reg_put(r, buf, ops && ops->get_tpr ? ops->get_tpr(v->port.intc) >> 4 : 0);
}

#define GREG(name_, n, bits_, type_) { name_, bits_, type_, NULL, gdb_get_greg, gdb_set_greg, n }
#define SEL(name_, n) { #name_, 32, "int32", NULL, get_sel, set_sel, n }
#define ST(n) { "st" #n, 80, "i387_ext", NULL, get_st, set_st, n }
#define FCTL(name_, n) { name_, 32, "int", "float", get_fctl, set_fctl, n }
#define XMM(n) { "xmm" #n, 128, "vec128", NULL, get_xmm, set_xmm, n }
#define TAIL \
    SEL(cs, SEG_CS), SEL(ss, SEG_SS), SEL(ds, SEG_DS), SEL(es, SEG_ES), SEL(fs, SEG_FS), SEL(gs, SEG_GS), \
    ST(0), ST(1), ST(2), ST(3), ST(4), ST(5), ST(6), ST(7), \
    FCTL("fctrl", FCTRL), FCTL("fstat", FSTAT), FCTL("ftag", FTAG), FCTL("fiseg", FISEG), FCTL("fioff", FIOFF), \
    FCTL("foseg", FOSEG), \
    FCTL("fooff", FOOFF), FCTL("fop", FOP)

static const GdbReg core64[] = { GREG("rax", RAX, 64, "int64"),
                                 GREG("rbx", RBX, 64, "int64"),
                                 GREG("rcx", RCX, 64, "int64"),
                                 GREG("rdx", RDX, 64, "int64"),
                                 GREG("rsi", RSI, 64, "int64"),
                                 GREG("rdi", RDI, 64, "int64"),
                                 GREG("rbp", RBP, 64, "data_ptr"),
                                 GREG("rsp", RSP, 64, "data_ptr"),
                                 GREG("r8", R8, 64, "int64"),
                                 GREG("r9", R9, 64, "int64"),
                                 GREG("r10", R10, 64, "int64"),
                                 GREG("r11", R11, 64, "int64"),
                                 GREG("r12", R12, 64, "int64"),
                                 GREG("r13", R13, 64, "int64"),
                                 GREG("r14", R14, 64, "int64"),
                                 GREG("r15", R15, 64, "int64"),
                                 { "rip", 64, "code_ptr", NULL, get_pc, set_pc, 0 },
                                 { "eflags", 32, "i386_eflags", NULL, get_eflags, set_eflags, 0 },
                                 TAIL };
static const GdbReg core32[] = { GREG("eax", RAX, 32, "int32"),
                                 GREG("ecx", RCX, 32, "int32"),
                                 GREG("edx", RDX, 32, "int32"),
                                 GREG("ebx", RBX, 32, "int32"),
                                 GREG("esp", RSP, 32, "data_ptr"),
                                 GREG("ebp", RBP, 32, "data_ptr"),
                                 GREG("esi", RSI, 32, "int32"),
                                 GREG("edi", RDI, 32, "int32"),
                                 { "eip", 32, "code_ptr", NULL, get_pc, set_pc, 0 },
                                 { "eflags", 32, "i386_eflags", NULL, get_eflags, set_eflags, 0 },
                                 TAIL };
#define MXCSR { "mxcsr", 32, "i386_mxcsr", "vector", get_mxcsr, set_mxcsr, 0 }
static const GdbReg sse64[] = { XMM(0), XMM(1),  XMM(2),  XMM(3),  XMM(4),  XMM(5),  XMM(6),  XMM(7), XMM(8),
                                XMM(9), XMM(10), XMM(11), XMM(12), XMM(13), XMM(14), XMM(15), MXCSR };
static const GdbReg sse32[] = { XMM(0), XMM(1), XMM(2), XMM(3), XMM(4), XMM(5), XMM(6), XMM(7), MXCSR };
static const GdbReg segments[] = {
    { "fs_base", 64, "int", NULL, get_base, set_base, SEG_FS },
    { "gs_base", 64, "int", NULL, get_base, set_base, SEG_GS },
};
#define FIELD(name_, bits_, type_, field, set_) \
    { name_, bits_, type_, "system", gdb_get_field, set_, offsetof(X86Cpu, field) }
#define CONTROLS(bits) \
    FIELD("cr0", bits, "x86_cr0", cr0, unchanged), FIELD("cr2", bits, "int", cr2, gdb_set_field), \
    FIELD("cr3", bits, "int", cr3, unchanged), FIELD("cr4", bits, "x86_cr4", cr4, unchanged), \
    { "cr8", bits, "int", "system", get_cr8, unchanged, 0 }
static const GdbReg system64[] = {
    FIELD("k_gs_base", 64, "int", kernel_gs_base, gdb_set_field),
    CONTROLS(64),
    FIELD("efer", 64, "x86_efer", efer, unchanged),
};
static const GdbReg system32[] = { CONTROLS(32), FIELD("efer", 64, "x86_efer", efer, unchanged) };

#define BIT_FIELD(name, n) "<field name=\"" name "\" start=\"" #n "\" end=\"" #n "\"/>"
static const char core_types[] = "<flags id=\"i386_eflags\" size=\"4\">" BIT_FIELD("CF", 0) BIT_FIELD("PF", 2)
    BIT_FIELD("AF", 4) BIT_FIELD("ZF", 6) BIT_FIELD("SF", 7) BIT_FIELD("TF", 8) BIT_FIELD("IF", 9) BIT_FIELD("DF", 10)
        BIT_FIELD("OF", 11) BIT_FIELD("NT", 14) BIT_FIELD("RF", 16) BIT_FIELD("VM", 17) BIT_FIELD("AC", 18)
            BIT_FIELD("VIF", 19) BIT_FIELD("VIP", 20) BIT_FIELD("ID", 21) "</flags>\n";
static const char sse_types[] =
    "<vector id=\"v4f\" type=\"ieee_single\" count=\"4\"/><vector id=\"v2d\" type=\"ieee_double\" count=\"2\"/>"
    "<vector id=\"v16i8\" type=\"int8\" count=\"16\"/><vector id=\"v8i16\" type=\"int16\" count=\"8\"/>"
    "<vector id=\"v4i32\" type=\"int32\" count=\"4\"/><vector id=\"v2i64\" type=\"int64\" count=\"2\"/>"
    "<union id=\"vec128\"><field name=\"v4_float\" type=\"v4f\"/><field name=\"v2_double\" type=\"v2d\"/>"
    "<field name=\"v16_int8\" type=\"v16i8\"/><field name=\"v8_int16\" type=\"v8i16\"/><field name=\"v4_int32\" "
    "type=\"v4i32\"/>"
    "<field name=\"v2_int64\" type=\"v2i64\"/><field name=\"uint128\" type=\"uint128\"/></union>\n"
    "<flags id=\"i386_mxcsr\" size=\"4\">" BIT_FIELD("IE", 0) BIT_FIELD("DE", 1) BIT_FIELD("ZE", 2) BIT_FIELD("OE", 3)
        BIT_FIELD("UE", 4) BIT_FIELD("PE", 5) BIT_FIELD("DAZ", 6) BIT_FIELD("IM", 7) BIT_FIELD("DM", 8)
            BIT_FIELD("ZM", 9) BIT_FIELD("OM", 10) BIT_FIELD("UM", 11) BIT_FIELD("PM", 12)
                BIT_FIELD("FZ", 15) "</flags>\n";
#define SYSTEM_TYPES(bytes) \
    "<flags id=\"x86_cr0\" size=\"" bytes "\">" BIT_FIELD("PE", 0) BIT_FIELD("MP", 1) BIT_FIELD("EM", \
        2) BIT_FIELD("TS", 3) BIT_FIELD("ET", 4) \
    BIT_FIELD("NE", 5) BIT_FIELD("WP", 16) BIT_FIELD("AM", 18) BIT_FIELD("NW", 29) BIT_FIELD("CD", 30) BIT_FIELD("PG", \
        31) "</flags>\n" \
    "<flags id=\"x86_cr4\" size=\"" bytes "\">" BIT_FIELD("VME", 0) BIT_FIELD("PVI", 1) BIT_FIELD("TSD", \
        2) BIT_FIELD("DE", 3) BIT_FIELD("PSE", 4) \
    BIT_FIELD("PAE", 5) BIT_FIELD("MCE", 6) BIT_FIELD("PGE", 7) BIT_FIELD("PCE", 8) BIT_FIELD("OSFXSR", \
        9) BIT_FIELD("OSXMMEXCPT", 10) \
    BIT_FIELD("UMIP", 11) BIT_FIELD("LA57", 12) BIT_FIELD("FSGSBASE", 16) BIT_FIELD("PCIDE", 17) BIT_FIELD("OSXSAVE", \
        18) \
    BIT_FIELD("SMEP", 20) BIT_FIELD("SMAP", 21) "</flags>\n" \
    "<flags id=\"x86_efer\" size=\"8\">" BIT_FIELD("SCE", 0) BIT_FIELD("LME", 8) BIT_FIELD("LMA", 10) BIT_FIELD("NXE", \
        11) "</flags>\n"
static const char system_types64[] = SYSTEM_TYPES("8"), system_types32[] = SYSTEM_TYPES("4");

static const GdbFeature features64[] = {
    { "org.gnu.gdb.i386.core", core_types, core64, ARRAY_LEN(core64), true, NULL, NULL },
    { "org.gnu.gdb.i386.sse", sse_types, sse64, ARRAY_LEN(sse64), true, NULL, NULL },
    { "org.gnu.gdb.i386.segments", NULL, segments, ARRAY_LEN(segments), true, NULL, NULL },
    { "org.rhea.x86.system", system_types64, system64, ARRAY_LEN(system64), false, NULL, NULL },
    { 0 },
};
static bool has_sse(const Vcpu *v) { return x86_cpu_const(v)->feature[X86_FW_1_EDX] >> 25 & 1; }
static const GdbFeature features32[] = {
    { "org.gnu.gdb.i386.core", core_types, core32, ARRAY_LEN(core32), true, NULL, NULL },
    { "org.gnu.gdb.i386.sse", sse_types, sse32, ARRAY_LEN(sse32), true, has_sse, NULL },
    { "org.rhea.x86.system", system_types32, system32, ARRAY_LEN(system32), false, NULL, NULL },
    { 0 },
};
static const GdbTarget target64 = { .architecture = "i386:x86-64", .features = features64 };
static const GdbTarget target32 = { .architecture = "i386", .features = features32 };

const GdbTarget *x86_gdb(const Vcpu *v)
{
    return x86_cpu_const(v)->feature[X86_FW_EXT1_EDX] >> 29 & 1 ? &target64 : &target32;
}
