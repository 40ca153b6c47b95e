/* SPDX-License-Identifier: MIT */
/* Arm registers as GDB knows them (its manual, "Standard Target Features": AArch64, ARM, M-profile). */
#include <string.h>
#include "target/arm/cpu.h"
#include "target/arm/m/m.h"
#include "target/arm/system.h"

/* --- general --- */
static void get_pc(Vcpu *v, const GdbReg *r, uint8_t *buf) { gdb_reg_put(r, buf, v->pc); }
static bool set_pc(Vcpu *v, const GdbReg *r, const uint8_t *buf)
{
    uint64_t pc = gdb_reg_take(r, buf);
    v->pc = pc & ~(v->mode & ARM_MODE_T32 ? UINT64_C(1) : UINT64_C(3));
    arm_cpu(v)->it = 0;
    arm_update_mode(arm_cpu(v));
    return true;
}

/*
 * CPSR or PSTATE. A write reaches what does not change the execution state: flags, masks, and in AArch32 the mode as
 * the guest has it.
 */
static void get_psr(Vcpu *v, const GdbReg *r, uint8_t *buf)
{
    const ArmCpu *c = arm_cpu(v);
    gdb_reg_put(r, buf, c->aarch64 ? arm_get_pstate(c) : arm_get_cpsr(c));
}
static bool set_psr(Vcpu *v, const GdbReg *r, const uint8_t *buf)
{
    ArmCpu *c = arm_cpu(v);
    uint32_t value = (uint32_t)gdb_reg_take(r, buf);
    if (!c->aarch64) {
        arm_set_cpsr(c, value, 0xf80f03e0 | 0x20); /* NZCVQ, GE, E, A, I, F, T */
        arm_update_mode(c);
        return true;
    }
    arm_set_nzcv(c, value & 0xf0000000);
    c->daif = value & (ARM_PSTATE_D | ARM_PSTATE_A | ARM_PSTATE_I | ARM_PSTATE_F);
    arm_update_mode(c);
    arm_poll_soon(c);
    return true;
}

static void get_xpsr(Vcpu *v, const GdbReg *r, uint8_t *buf) { gdb_reg_put(r, buf, arm_m_get_xpsr(arm_cpu(v))); }
static bool set_xpsr(Vcpu *v, const GdbReg *r, const uint8_t *buf)
{
    arm_m_set_xpsr(arm_cpu(v), (uint32_t)gdb_reg_take(r, buf), 0xf80f0000); /* NZCVQ, GE */
    arm_update_mode(arm_cpu(v));
    return true;
}

/* --- FP and vectors --- */
static void get_vec(Vcpu *v, const GdbReg *r, uint8_t *buf) { memcpy(buf, v->v[r->arg].u8, 16); }
static bool set_vec(Vcpu *v, const GdbReg *r, const uint8_t *buf)
{
    memcpy(v->v[r->arg].u8, buf, 16);
    return true;
}
static void get_double(Vcpu *v, const GdbReg *r, uint8_t *buf)
{
    gdb_reg_put(r, buf, v->v[r->arg / 2].u64[r->arg & 1]);
}
static bool set_double(Vcpu *v, const GdbReg *r, const uint8_t *buf)
{
    v->v[r->arg / 2].u64[r->arg & 1] = gdb_reg_take(r, buf);
    return true;
}
static void get_fpsr(Vcpu *v, const GdbReg *r, uint8_t *buf) { gdb_reg_put(r, buf, arm_get_fpsr(arm_cpu(v))); }
static bool set_fpsr(Vcpu *v, const GdbReg *r, const uint8_t *buf)
{
    arm_set_fpsr(arm_cpu(v), (uint32_t)gdb_reg_take(r, buf));
    return true;
}
static void get_fpcr(Vcpu *v, const GdbReg *r, uint8_t *buf) { gdb_reg_put(r, buf, arm_get_fpcr(arm_cpu(v))); }
static bool set_fpcr(Vcpu *v, const GdbReg *r, const uint8_t *buf)
{
    arm_set_fpcr(arm_cpu(v), (uint32_t)gdb_reg_take(r, buf));
    return true;
}
static void get_fpscr(Vcpu *v, const GdbReg *r, uint8_t *buf) { gdb_reg_put(r, buf, arm_get_fpscr(arm_cpu(v))); }
static bool set_fpscr(Vcpu *v, const GdbReg *r, const uint8_t *buf)
{
    arm_set_fpscr(arm_cpu(v), (uint32_t)gdb_reg_take(r, buf));
    return true;
}

/* --- M-profile: stack pointers and masks of the present security state; the SP in use is in G(13) --- */
static void get_m_sp(Vcpu *v, const GdbReg *r, uint8_t *buf)
{
    const ArmM *m = arm_cpu(v)->m;
    gdb_reg_put(r, buf, arm_m_get_sp(m, m->secure, r->arg));
}
static bool set_m_sp(Vcpu *v, const GdbReg *r, const uint8_t *buf)
{
    ArmM *m = arm_cpu(v)->m;
    arm_m_set_sp(m, m->secure, r->arg, (uint32_t)gdb_reg_take(r, buf) & ~3u);
    return true;
}
static void get_m_mask(Vcpu *v, const GdbReg *r, uint8_t *buf)
{
    gdb_reg_put(r, buf, *(const uint32_t *)((const char *)arm_m_bank(arm_cpu(v)->m) + r->arg));
}

/* --- system registers: read-only here, writes have effects that only the guest's own instructions make --- */
#define SYS(name_, field) { name_, 64, "int", "system", gdb_get_field, NULL, offsetof(ArmCpu, field) }
static const GdbReg system64[] = {
    SYS("SCTLR_EL1", sctlr_el[1]), SYS("TTBR0_EL1", ttbr0_el[1]),
    SYS("TTBR1_EL1", ttbr1_el[1]), SYS("TCR_EL1", tcr_el[1]),
    SYS("MAIR_EL1", mair_el[1]),   SYS("VBAR_EL1", vbar_el[1]),
    SYS("ESR_EL1", esr_el[1]),     SYS("FAR_EL1", far_el[1]),
    SYS("ELR_EL1", elr_el[1]),     SYS("SPSR_EL1", spsr_el[1]),
    SYS("SP_EL0", sp_el[0]),       SYS("SP_EL1", sp_el[1]),
    SYS("TPIDR_EL0", tpidr_el[0]), SYS("TPIDRRO_EL0", tpidrro_el0),
    SYS("TPIDR_EL1", tpidr_el[1]), SYS("CONTEXTIDR_EL1", contextidr_el[1]),
    SYS("CPACR_EL1", cpacr_el1),   SYS("PAR_EL1", par_el1),
    SYS("MIDR_EL1", midr),         SYS("MPIDR_EL1", mpidr),
};
static const GdbReg system_el2[] = {
    SYS("HCR_EL2", hcr_el2),     SYS("SCTLR_EL2", sctlr_el[2]), SYS("TTBR0_EL2", ttbr0_el[2]),
    SYS("TCR_EL2", tcr_el[2]),   SYS("VTTBR_EL2", vttbr_el2),   SYS("VTCR_EL2", vtcr_el2),
    SYS("VBAR_EL2", vbar_el[2]), SYS("ESR_EL2", esr_el[2]),     SYS("FAR_EL2", far_el[2]),
    SYS("HPFAR_EL2", hpfar_el2), SYS("ELR_EL2", elr_el[2]),     SYS("SPSR_EL2", spsr_el[2]),
};
static const GdbReg system_el3[] = {
    SYS("SCR_EL3", scr_el3),   SYS("SCTLR_EL3", sctlr_el[3]), SYS("TTBR0_EL3", ttbr0_el[3]),
    SYS("TCR_EL3", tcr_el[3]), SYS("VBAR_EL3", vbar_el[3]),   SYS("ESR_EL3", esr_el[3]),
    SYS("FAR_EL3", far_el[3]), SYS("ELR_EL3", elr_el[3]),     SYS("SPSR_EL3", spsr_el[3]),
};
#define SYS32(name_, field) { name_, 32, "int", "system", gdb_get_field, NULL, offsetof(ArmCpu, field) }
static const GdbReg system32[] = {
    /* the non-secure copies */
    SYS32("SCTLR", sctlr_el[1]),    SYS32("TTBR0", ttbr0_el[1]),    SYS32("TTBR1", ttbr1_el[1]),
    SYS32("TTBCR", tcr_el[1]),      SYS32("DFAR", far_el[1]),       SYS32("DFSR", esr_el[1]),
    SYS32("IFSR", ifsr32_el2),      SYS32("VBAR", vbar_el[1]),      SYS32("CONTEXTIDR", contextidr_el[1]),
    SYS32("TPIDRURW", tpidr_el[0]), SYS32("TPIDRURO", tpidrro_el0), SYS32("TPIDRPRW", tpidr_el[1]),
    SYS32("DACR", dacr32_el2),      SYS32("CPACR", cpacr_el1),      SYS32("MIDR", midr),
    SYS32("MPIDR", mpidr),
};

#define X(n) { "x" #n, 64, "int", NULL, gdb_get_greg, gdb_set_greg, n }
#define R(n) { "r" #n, 32, "uint32", NULL, gdb_get_greg, gdb_set_greg, n }
#define V(n) { "v" #n, 128, "aarch64v", NULL, get_vec, set_vec, n }
#define D(n) { "d" #n, 64, "ieee_double", NULL, get_double, set_double, n }

static const GdbReg core64[] = {
    X(0),
    X(1),
    X(2),
    X(3),
    X(4),
    X(5),
    X(6),
    X(7),
    X(8),
    X(9),
    X(10),
    X(11),
    X(12),
    X(13),
    X(14),
    X(15),
    X(16),
    X(17),
    X(18),
    X(19),
    X(20),
    X(21),
    X(22),
    X(23),
    X(24),
    X(25),
    X(26),
    X(27),
    X(28),
    X(29),
    X(30),
    { "sp", 64, "data_ptr", NULL, gdb_get_greg, gdb_set_greg, ARM_SP },
    { "pc", 64, "code_ptr", NULL, get_pc, set_pc, 0 },
    { "cpsr", 32, "cpsr_flags", NULL, get_psr, set_psr, 0 },
};
static const GdbReg fpu64[] = {
    V(0),
    V(1),
    V(2),
    V(3),
    V(4),
    V(5),
    V(6),
    V(7),
    V(8),
    V(9),
    V(10),
    V(11),
    V(12),
    V(13),
    V(14),
    V(15),
    V(16),
    V(17),
    V(18),
    V(19),
    V(20),
    V(21),
    V(22),
    V(23),
    V(24),
    V(25),
    V(26),
    V(27),
    V(28),
    V(29),
    V(30),
    V(31),
    { "fpsr", 32, "int", "float", get_fpsr, set_fpsr, 0 },
    { "fpcr", 32, "int", "float", get_fpcr, set_fpcr, 0 },
};
#define CORE32 \
    R(0), R(1), R(2), R(3), R(4), R(5), R(6), R(7), R(8), R(9), R(10), R(11), R(12), \
    { "sp", 32, "data_ptr", NULL, gdb_get_greg, gdb_set_greg, ARM_R13 }, \
    { "lr", 32, "int", NULL, gdb_get_greg, gdb_set_greg, ARM_R14 }, \
    { "pc", 32, "code_ptr", NULL, get_pc, set_pc, 0 }
static const GdbReg core32[] = { CORE32, { "cpsr", 32, "int", NULL, get_psr, set_psr, 0 } };
static const GdbReg core_m[] = { CORE32, { "xpsr", 32, "int", NULL, get_xpsr, set_xpsr, 0 } };
#define FPSCR { "fpscr", 32, "int", "float", get_fpscr, set_fpscr, 0 }
#define D16 D(0), D(1), D(2), D(3), D(4), D(5), D(6), D(7), D(8), D(9), D(10), D(11), D(12), D(13), D(14), D(15)
static const GdbReg vfp16[] = { D16, FPSCR };
static const GdbReg vfp32[] = { D16,   D(16), D(17), D(18), D(19), D(20), D(21), D(22), D(23),
                                D(24), D(25), D(26), D(27), D(28), D(29), D(30), D(31), FPSCR };
#define M_MASK(name_, field) { name_, 32, "int", "system", get_m_mask, NULL, offsetof(ArmMBank, field) }
static const GdbReg system_m[] = {
    { "msp", 32, "data_ptr", NULL, get_m_sp, set_m_sp, 0 }, { "psp", 32, "data_ptr", NULL, get_m_sp, set_m_sp, 1 },
    M_MASK("primask", primask), M_MASK("basepri", basepri), M_MASK("faultmask", faultmask), M_MASK("control", control),
};

#define BIT_FIELD(name, n) "<field name=\"" name "\" start=\"" #n "\" end=\"" #n "\"/>"
static const char types64[] =
    "<flags id=\"cpsr_flags\" size=\"4\">" BIT_FIELD("SP",
                                                     0) "<field name=\"EL\" start=\"2\" end=\"3\"/>" BIT_FIELD("nRW", 4)
        BIT_FIELD("F", 6) BIT_FIELD("I", 7) BIT_FIELD("A", 8)
            BIT_FIELD("D", 9) "<field name=\"BTYPE\" start=\"10\" end=\"11\"/>" BIT_FIELD("SSBS", 12)
                BIT_FIELD("IL", 20) BIT_FIELD("SS", 21) BIT_FIELD("PAN", 22) BIT_FIELD("UAO", 23) BIT_FIELD("DIT", 24)
                    BIT_FIELD("TCO", 25) BIT_FIELD("V", 28) BIT_FIELD("C", 29) BIT_FIELD("Z", 30)
                        BIT_FIELD("N", 31) "</flags>\n";
#define VEC_TYPE(id, type, count) "<vector id=\"" id "\" type=\"" type "\" count=\"" count "\"/>"
#define UNION(id, fields) "<union id=\"" id "\">" fields "</union>"
#define FIELD(name, type) "<field name=\"" name "\" type=\"" type "\"/>"
static const char types_fpu64[] = VEC_TYPE("v2d", "ieee_double", "2") VEC_TYPE("v2u", "uint64", "2")
    VEC_TYPE("v2i", "int64", "2") VEC_TYPE("v4f", "ieee_single", "4") VEC_TYPE("v4u", "uint32", "4")
        VEC_TYPE("v4i", "int32", "4") VEC_TYPE("v8u", "uint16", "8") VEC_TYPE("v8i", "int16", "8")
            VEC_TYPE("v16u", "uint8", "16") VEC_TYPE("v16i", "int8", "16") VEC_TYPE("v1u", "uint128", "1")
                VEC_TYPE("v1i", "int128", "1") UNION("vnd", FIELD("f", "v2d") FIELD("u", "v2u") FIELD("s", "v2i"))
                    UNION("vns", FIELD("f", "v4f") FIELD("u", "v4u") FIELD("s", "v4i"))
                        UNION("vnh", FIELD("u", "v8u") FIELD("s", "v8i"))
                            UNION("vnb", FIELD("u", "v16u") FIELD("s", "v16i"))
                                UNION("vnq", FIELD("u", "v1u") FIELD("s", "v1i"))
                                    UNION("aarch64v", FIELD("d", "vnd") FIELD("s", "vns") FIELD("h", "vnh")
                                                          FIELD("b", "vnb") FIELD("q", "vnq")) "\n";

static bool has_el2(const Vcpu *v) { return arm_cpu_const(v)->has.el2; }
static bool has_el3(const Vcpu *v) { return arm_cpu_const(v)->has.el3; }
static bool has_vfp32(const Vcpu *v) { return arm_cpu_const(v)->has.vfp_d32; }
static bool has_vfp16(const Vcpu *v) { return arm_cpu_const(v)->has.vfp2 && !arm_cpu_const(v)->has.vfp_d32; }
static bool has_neon(const Vcpu *v) { return arm_cpu_const(v)->has.neon; }
static bool has_m_fpu(const Vcpu *v) { return arm_cpu_const(v)->has.m_fpu; }
static const GdbFeature features64[] = {
    { "org.gnu.gdb.aarch64.core", types64, core64, ARRAY_LEN(core64), true, NULL, NULL },
    { "org.gnu.gdb.aarch64.fpu", types_fpu64, fpu64, ARRAY_LEN(fpu64), true, NULL, NULL },
    { "org.rhea.arm.system", NULL, system64, ARRAY_LEN(system64), false, NULL, NULL },
    { "org.rhea.arm.el2", NULL, system_el2, ARRAY_LEN(system_el2), false, has_el2, NULL },
    { "org.rhea.arm.el3", NULL, system_el3, ARRAY_LEN(system_el3), false, has_el3, NULL },
    { 0 },
};
static const GdbFeature features32[] = {
    { "org.gnu.gdb.arm.core", NULL, core32, ARRAY_LEN(core32), true, NULL, NULL },
    { "org.gnu.gdb.arm.vfp", NULL, vfp16, ARRAY_LEN(vfp16), true, has_vfp16, NULL },
    { "org.gnu.gdb.arm.vfp", NULL, vfp32, ARRAY_LEN(vfp32), true, has_vfp32, NULL },
    /* no registers: GDB makes q0-q15 of the double ones */
    { "org.gnu.gdb.arm.neon", NULL, NULL, 0, false, has_neon, NULL },
    { "org.rhea.arm.system", NULL, system32, ARRAY_LEN(system32), false, NULL, NULL },
    { 0 },
};
static const GdbFeature features_m[] = {
    { "org.gnu.gdb.arm.m-profile", NULL, core_m, ARRAY_LEN(core_m), true, NULL, NULL },
    { "org.gnu.gdb.arm.vfp", NULL, vfp16, ARRAY_LEN(vfp16), true, has_m_fpu, NULL },
    { "org.gnu.gdb.arm.m-system", NULL, system_m, ARRAY_LEN(system_m), false, NULL, NULL },
    { 0 },
};
static const GdbTarget target64 = {
    .architecture = "aarch64", .features = features64, .stop_before_watch = true, .step_wakes = true
};
static const GdbTarget target32 = {
    .architecture = "arm", .features = features32, .stop_before_watch = true, .step_wakes = true
};
static const GdbTarget target_m = {
    .architecture = "arm", .features = features_m, .stop_before_watch = true, .step_wakes = true
};

const GdbTarget *arm_gdb(const Vcpu *v)
{
    const ArmCpu *c = arm_cpu_const(v);
    return c->has.m_profile ? &target_m : c->has.aarch64 ? &target64 : &target32;
}
