/* SPDX-License-Identifier: MIT */
/*
 * Memory protection: the default map, PMSAv6/v7 (DDI 0403, B3.5), PMSAv8 and security attribution (DDI 0553, B8, B9),
 * TT.
 */
#include "accel/tcg/softmmu.h"
#include "base/rcu.h"
#include "target/arm/helpers.h"
#include "target/arm/m/m.h"

/* Private Peripheral Bus: always the default map. */
static bool in_ppb(uint32_t addr) { return addr >> 20 == 0xe00; }

/* The answer holds up to, but not into, [base, end], which does not contain addr. */
static void keep_out(uint32_t addr, uint32_t base, uint32_t end, uint32_t *low, uint32_t *high)
{
    if (base > addr)
        *high = MIN(*high, base - 1);
    else if (end < addr)
        *low = MAX(*low, end + 1);
}

static void keep_in(uint32_t base, uint32_t end, uint32_t *low, uint32_t *high)
{
    *low = MAX(*low, base);
    *high = MIN(*high, end);
}

/* --- security attribution (DDI 0553, SecurityCheck()) --- */

static void look_up_sau(const ArmM *m, uint32_t addr, ArmMSecurity *s)
{
    if (!(m->sau_ctrl & SAU_CTRL_ENABLE)) {
        s->ns = m->sau_ctrl & SAU_CTRL_ALLNS;
        return;
    }
    for (unsigned i = 0; i < m->sau_regions; i++) {
        uint32_t base = m->sau_rbar[i] & ~31u, end = m->sau_rlar[i] | 31;
        if (!(m->sau_rlar[i] & 1) || base > end)
            continue;
        if (addr < base || addr > end) {
            keep_out(addr, base, end, &s->low, &s->high);
            continue;
        }
        keep_in(base, end, &s->low, &s->high);
        if (s->sau_hit) { /* two regions: Secure, and no region number */
            s->ns = s->nsc = s->sau_hit = false;
            s->sau_region = 0;
            return;
        }
        s->sau_hit = true;
        s->sau_region = (uint8_t)i;
        s->nsc = m->sau_rlar[i] >> 1 & 1;
        s->ns = !s->nsc;
    }
}

ArmMSecurity arm_m_security(const ArmM *m, uint32_t addr)
{
    ArmMSecurity s = { .low = 0, .high = UINT32_MAX };
    if (!m->c->has.m_security) {
        s.ns = true;
        return s;
    }
    ArmIdau idau = m->idau ? m->idau(m->idau_opaque, addr) : (ArmIdau){ .region = -1 };
    if (m->idau) /* boards attribute in pages */
        keep_in(addr & ~0xfffu, addr | 0xfff, &s.low, &s.high);
    if (in_ppb(addr) || idau.exempt) {
        s.ns = !m->secure;
        keep_in(addr & ~0xfffu, addr | 0xfff, &s.low, &s.high);
        return s;
    }
    look_up_sau(m, addr, &s);
    if (idau.region >= 0)
        s.idau_hit = true, s.idau_region = (uint8_t)idau.region;
    if (idau.secure && !idau.callable) {
        s.ns = s.nsc = false;
    } else if (idau.secure && (s.ns || s.nsc)) {
        s.ns = false;
        s.nsc = true;
    }
    return s;
}

hwaddr arm_m_bus_address(const ArmM *m, uint32_t addr)
{
    return m->ns_window && arm_m_security(m, addr).ns ? m->ns_window + addr : addr;
}

/* --- permissions --- */

static ArmMAccess default_map(uint32_t addr, ArmMAccess a)
{
    a.r = a.w = true;
    a.x = addr >> 29 != 2 && addr < 0xa0000000;
    a.region = -1;
    return a;
}

static void ap_v7(ArmMAccess *a, unsigned ap, bool privileged)
{
    static const uint8_t priv[8] = { 0, 3, 3, 3, 0, 1, 1, 1 }, user[8] = { 0, 0, 1, 3, 0, 0, 1, 1 };
    unsigned rights = privileged ? priv[ap] : user[ap];
    a->r = rights & 1;
    a->w = rights & 2;
}

static bool match_v7(const ArmM *m, const ArmMBank *b, uint32_t addr, ArmMAccess *a)
{
    for (int i = (int)m->mpu_regions - 1; i >= 0; i--) {
        uint32_t rasr = b->mpu_rasr[i];
        unsigned bits = (rasr >> 1 & 31) + 1;
        if (!(rasr & 1) || bits < 5)
            continue;
        uint32_t mask = bits >= 32 ? UINT32_MAX : (1u << bits) - 1, base = b->mpu_rbar[i] & ~31u & ~mask,
                 end = base | mask;
        if (addr < base || addr > end) {
            keep_out(addr, base, end, &a->low, &a->high);
            continue;
        }
        if (bits >= 8 && rasr & 0xff00) {
            unsigned sub_bits = bits - 3;
            uint32_t sub = (addr - base) >> sub_bits;
            keep_in(base + (sub << sub_bits), base + (sub << sub_bits) + ((1u << sub_bits) - 1), &a->low, &a->high);
            if (rasr >> (8 + sub) & 1)
                continue;
        } else {
            keep_in(base, end, &a->low, &a->high);
        }
        a->region = i;
        return true;
    }
    return false;
}

/* 1: one region; 0: none; -1: several, which is a fault. */
static int match_v8(const ArmM *m, const ArmMBank *b, uint32_t addr, ArmMAccess *a)
{
    int found = 0;
    for (unsigned i = 0; i < m->mpu_regions; i++) {
        uint32_t base = b->mpu_rbar[i] & ~31u, end = b->mpu_rasr[i] | 31;
        if (!(b->mpu_rasr[i] & 1) || base > end)
            continue;
        if (addr < base || addr > end) {
            keep_out(addr, base, end, &a->low, &a->high);
            continue;
        }
        keep_in(base, end, &a->low, &a->high);
        found = found ? -1 : 1;
        a->region = found < 0 ? -1 : (int)i;
        if (found < 0)
            break;
    }
    return found;
}

ArmMAccess arm_m_mpu(const ArmM *m, uint32_t addr, bool secure, bool privileged, bool neg)
{
    const ArmMBank *b = &m->b[secure];
    ArmMAccess a = { .low = 0, .high = UINT32_MAX, .region = -1 };
    keep_in(addr & ~0xfffu, addr | 0xfff, &a.low, &a.high);
    bool off = !(b->mpu_ctrl & MPU_CTRL_ENABLE) || (neg && !(b->mpu_ctrl & MPU_CTRL_HFNMIENA));
    if (off || in_ppb(addr) || !m->mpu_regions)
        return default_map(addr, a);
    int found = m->c->has.v8m ? match_v8(m, b, addr, &a) : match_v7(m, b, addr, &a);
    if (found < 0)
        return a;
    if (!found)
        return privileged && b->mpu_ctrl & MPU_CTRL_PRIVDEFENA ? default_map(addr, a) : a;
    uint32_t rbar = b->mpu_rbar[a.region], rasr = b->mpu_rasr[a.region];
    if (m->c->has.v8m) {
        a.r = privileged || rbar & 2;
        a.w = a.r && !(rbar & 4);
        a.x = a.r && !(rbar & 1) && !(m->c->has.v8_1m && privileged && rasr & 16);
    } else {
        ap_v7(&a, rasr >> 24 & 7, privileged);
        a.x = a.r && !(rasr >> 28 & 1);
    }
    if (addr >= 0xe0000000)
        a.x = false;
    return a;
}

/* --- the walk --- */

static bool bank_secure(unsigned bank)
{
    return bank == ARM_BANK_M_S_USER || bank == ARM_BANK_M_S_PRIV || bank == ARM_BANK_M_S_NEG;
}
static bool bank_privileged(unsigned bank) { return bank != ARM_BANK_M_USER && bank != ARM_BANK_M_S_USER; }
static bool bank_neg(unsigned bank) { return bank == ARM_BANK_M_NEG || bank == ARM_BANK_M_S_NEG; }

/* Nothing to fetch from: no memory there, or a device. */
static bool fetchable(Vcpu *v, hwaddr addr)
{
    MemSection s;
    as_translate(v->as, addr, &s);
    return s.host;
}

static bool refuse(ArmM *m, bool probe, unsigned exc, uint32_t bits, bool far_valid, uint32_t addr)
{
    if (!probe)
        arm_m_record(m->c, exc, bits, far_valid, addr);
    return false;
}

static bool check_security(ArmM *m, const ArmMSecurity *s, AccessKind kind, bool secure, bool probe, uint32_t addr)
{
    if (kind == ACCESS_FETCH) {
        if (!secure && !s->ns && !s->nsc)
            return refuse(m, probe, M_EXC_SECURE, SFSR_INVEP, false, addr);
        if (secure && s->ns)
            return refuse(m, probe, M_EXC_SECURE, SFSR_INVTRAN, false, addr);
    } else if (!secure && !s->ns) {
        return refuse(m, probe, M_EXC_SECURE, SFSR_AUVIOL | SFSR_SFARVALID, true, addr);
    }
    return true;
}

static uint8_t uniform_bits(uint32_t addr, uint32_t low, uint32_t high)
{
    uint8_t bits = 12;
    while (bits > 5 && ((addr & ~((1u << bits) - 1)) < low || (addr | ((1u << bits) - 1)) > high))
        bits--;
    return bits;
}

bool arm_m_walk(Vcpu *v, uint64_t va, AccessKind kind, unsigned bank, bool probe, WalkResult *out)
{
    ArmM *m = arm_cpu(v)->m;
    uint32_t addr = (uint32_t)va, low, high;
    hwaddr bus = 0;
    bool secure = bank_secure(bank);
    ArmMAccess a = arm_m_mpu(m, addr, secure, bank_privileged(bank), bank_neg(bank));
    low = a.low, high = a.high;
    if (m->c->has.m_security) {
        ArmMSecurity s = arm_m_security(m, addr);
        keep_in(s.low, s.high, &low, &high);
        if (!check_security(m, &s, kind, secure, probe, addr))
            return false;
        if (!secure && !s.ns) /* callable: fetches only */
            a.r = a.w = false;
        bus = s.ns ? m->ns_window : 0;
    }
    bool ok = kind == ACCESS_READ ? a.r : kind == ACCESS_WRITE ? a.w : a.x;
    if (!ok && kind == ACCESS_FETCH)
        return refuse(m, probe, M_EXC_MEM, MMFSR_IACCVIOL, false, addr);
    if (!ok)
        return refuse(m, probe, M_EXC_MEM, MMFSR_DACCVIOL | MMFSR_MMARVALID, true, addr);
    if (kind == ACCESS_FETCH && !fetchable(v, bus + addr))
        return refuse(m, probe, M_EXC_BUS, BFSR_IBUSERR, false, addr);
    *out = (WalkResult){ .phys = bus + (addr & ~0xfffu),
                         .page_bits = uniform_bits(addr, low, high),
                         .readable = a.r,
                         .writable = a.w,
                         .executable = a.x,
                         .global = true };
    return true;
}

/* --- TT (DDI 0553, TTResp) --- */

ARM_HELPER(m_tt)
{
    ArmM *m = arm_cpu(v)->m;
    uint32_t addr = (uint32_t)a, out = 0;
    bool alt = b & 1, forced_user = b & 2, secure = m->secure && !alt;
    if (alt && !m->secure)
        arm_m_raise(m->c, M_EXC_USAGE, UFSR_UNDEFINSTR);
    bool privileged = alt ? m->exc || !(m->b[M_NS].control & CONTROL_NPRIV) : arm_m_privileged(m);
    ArmMAccess acc = arm_m_mpu(m, addr, secure, privileged && !forced_user, false);
    if (privileged) {
        if (acc.region >= 0)
            out |= (uint32_t)acc.region | 1u << 16;
        out |= (uint32_t)acc.r << 18 | (uint32_t)(acc.r && acc.w) << 19;
    }
    if (m->secure) {
        ArmMSecurity s = arm_m_security(m, addr);
        out |= s.sau_hit ? (uint32_t)s.sau_region << 8 | 1u << 17 : 0;
        out |= s.idau_hit ? (uint32_t)s.idau_region << 24 | 1u << 23 : 0;
        out |= !s.ns ? 1u << 22 : (out >> 18 & 3) << 20;
    }
    return out;
}
