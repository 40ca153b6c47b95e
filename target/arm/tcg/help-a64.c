/* SPDX-License-Identifier: MIT */
/* A64 instructions that are done in C: CRC32, exclusive and compare-and-swap pairs, DC ZVA. */
#include "target/arm/system.h"
#include "target/arm/tcg/a64.h"

enum { ZVA_BYTES = 64 };

/* The IEEE 802.3 polynomial, reflected, a nibble at a time. */
uint64_t arm_help_crc32(Vcpu *v, uint64_t crc, uint64_t data, uint64_t bytes)
{
    static const uint32_t nibble[16] = { 0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
                                         0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
                                         0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c };
    uint32_t r = (uint32_t)crc;
    for (unsigned n = 0; n < 2 * bytes; n++, data >>= 4)
        r = r >> 4 ^ nibble[(r ^ data) & 15];
    return r;
}

/* --- 128 bits; a big-endian value has its first register's bytes first, each swapped --- */
static void to_memory(const ArmCpu *c, uint64_t pair[2])
{
    if (c->v.mode & ARM_MODE_BE)
        pair[0] = __builtin_bswap64(pair[0]), pair[1] = __builtin_bswap64(pair[1]);
}

uint64_t arm_help_stxp(Vcpu *v, uint64_t va, uint64_t low, uint64_t high)
{
    ArmCpu *c = arm_cpu(v);
    uint64_t expected[2] = { c->excl_value[0], c->excl_value[1] }, desired[2] = { low, high };
    bool set = c->excl_addr == va && c->excl_size == 16;
    if (set && va & 15) {
        vcpu_sync(v);
        v->arch->misaligned(v, va, ACCESS_WRITE, 16);
        vcpu_unwind(v);
    }
    to_memory(c, expected);
    to_memory(c, desired);
    bool ok = set && guest_cmpxchg16(v, va, expected, desired, arm_mode_bank(v->mode));
    c->excl_addr = UINT64_MAX;
    return !ok;
}

static uint64_t reg(const Vcpu *v, unsigned n) { return n == 31 ? 0 : v->g[n]; }
static void set_reg(Vcpu *v, unsigned n, uint64_t value)
{
    if (n != 31)
        v->g[n] = value;
}

/* CASP of 32-bit registers: one access of 8 bytes. */
static void casp32(Vcpu *v, uint64_t va, unsigned rs, unsigned rt)
{
    bool be = v->mode & ARM_MODE_BE;
    uint64_t expected = (uint32_t)reg(v, rs + be) | reg(v, rs + !be) << 32;
    uint64_t desired = (uint32_t)reg(v, rt + be) | reg(v, rt + !be) << 32;
    if (be)
        expected = __builtin_bswap64(expected), desired = __builtin_bswap64(desired);
    guest_cmpxchg(v, va, 8, &expected, desired, arm_mode_bank(v->mode));
    if (be)
        expected = __builtin_bswap64(expected);
    set_reg(v, rs + be, (uint32_t)expected);
    set_reg(v, rs + !be, expected >> 32);
}

void arm_help_casp(Vcpu *v, uint64_t va, uint64_t regs, uint64_t is64)
{
    ArmCpu *c = arm_cpu(v);
    unsigned rs = regs & 31, rt = regs >> 8 & 31, size = is64 ? 16 : 8;
    if (va & (size - 1)) {
        vcpu_sync(v);
        v->arch->misaligned(v, va, ACCESS_WRITE, size);
        vcpu_unwind(v);
    }
    if (!is64) {
        casp32(v, va, rs, rt);
        return;
    }
    uint64_t expected[2] = { reg(v, rs), reg(v, rs + 1) }, desired[2] = { reg(v, rt), reg(v, rt + 1) };
    to_memory(c, expected);
    to_memory(c, desired);
    guest_cmpxchg16(v, va, expected, desired, arm_mode_bank(v->mode));
    to_memory(c, expected);
    set_reg(v, rs, expected[0]);
    set_reg(v, rs + 1, expected[1]);
}

/* --- DC ZVA, GVA, GZVA --- */
/* Traps of EL0 by SCTLR.DZE, of EL0 and EL1 by HCR_EL2.TDZ. */
static void zva_check(ArmCpu *c, uint32_t iss)
{
    if (c->el == 0 && !(arm_sctlr(c) & SCTLR_DZE))
        arm_raise(c, EC_SYSREG, iss, 0);
    if ((c->el <= 1 && arm_hcr(c) & HCR_TDZ) || arm_fgt_traps_bit(c, FGT_ZVA))
        arm_raise(c, EC_SYSREG, iss, 2);
}

void arm_help_zva(Vcpu *v, uint64_t va, uint64_t iss, uint64_t kind)
{
    ArmCpu *c = arm_cpu(v);
    unsigned bank = arm_mode_bank(v->mode);
    zva_check(c, (uint32_t)iss);
    if (kind) /* tags */
        for (unsigned n = 0; n < ZVA_BYTES; n += 16)
            arm_help_stg(v, va + n, va, 0);
    if (kind == 1)
        return;
    void *host = guest_host(v, va, ACCESS_WRITE, bank);
    if (host)
        memset(host, 0, ZVA_BYTES);
    else
        for (unsigned n = 0; n < ZVA_BYTES; n += 8)
            guest_store(v, va + n, 8, 0, bank);
}

ARM_HELPER_VOID(sp_align) { arm_raise(arm_cpu(v), EC_SP_ALIGN, 0, 0); }
