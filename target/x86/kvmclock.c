/* SPDX-License-Identifier: MIT */
/*
 * The paravirtual clock that Linux knows from KVM (kernel documentation: virt/kvm/x86/msr.rst, cpuid.rst). The TSC here
 * is an exact multiple of the virtual clock, so one write of the page says it all; the guest need not measure the TSC
 * against the PIT, which goes wrong on a busy host.
 */
#include "base/clock.h"
#include "target/x86/kvmclock.h"
#include "target/x86/models.h"

typedef struct TimeInfo { uint32_t mul; int8_t shift; } TimeInfo;

/* ns = (tsc << shift) * mul >> 32, with mul as large as 32 bits hold. */
static TimeInfo scale(uint64_t hz)
{
    uint64_t base = hz;
    int8_t shift = 0;
    for (; base > UINT64_C(2000000000); base >>= 1)
        shift--;
    for (; base <= 1000000000; base <<= 1)
        shift++;
    return (TimeInfo){ .mul = (uint32_t)((UINT64_C(1000000000) << 32) / base), .shift = shift };
}

static void write_page(X86Cpu *c)
{
    enum { STABLE = 1, SIZE = 32 };
    uint8_t page[SIZE] = { 0 };
    TimeInfo t = scale(c->tsc_hz);
    store_le32(page, 2);                               /* version: even, complete */
    store_le64(page + 8, (uint64_t)c->tsc_offset);     /* the TSC at virtual time 0 ... */
    store_le64(page + 16, 0);
    store_le32(page + 24, t.mul);
    page[28] = (uint8_t)t.shift;
    page[29] = STABLE;                                 /* the same on all CPUs */
    as_write(c->v.machine->as_memory, c->kvm_time & ~UINT64_C(1), page, SIZE, x86_guest_arch.attrs(&c->v));
}

void x86_kvmclock_update(X86Cpu *c)
{
    if (c->kvm_time & 1)
        write_page(c);
}

bool x86_kvmclock_write(X86Cpu *c, uint64_t value)
{
    if (value & 2 || (value & ~UINT64_C(1)) >> c->phys_bits)
        return false;
    c->kvm_time = value;
    x86_kvmclock_update(c);
    return true;
}

/* Wall clock at virtual time 0: version, seconds, nanoseconds. */
bool x86_kvmclock_write_wall(X86Cpu *c, uint64_t value)
{
    if (value & 3 || value >> c->phys_bits)
        return false;
    uint64_t ns = (uint64_t)(clock_ns(CLOCK_HOST_NS) - clock_ns(CLOCK_VIRTUAL_NS));
    uint8_t wall[12];
    c->kvm_wall = value;
    store_le32(wall, 2);
    store_le32(wall + 4, (uint32_t)(ns / 1000000000));
    store_le32(wall + 8, (uint32_t)(ns % 1000000000));
    as_write(c->v.machine->as_memory, value, wall, sizeof(wall), x86_guest_arch.attrs(&c->v));
    return true;
}

void x86_kvm_leaf(const X86Cpu *c, uint32_t leaf, uint32_t o[4])
{
    if (leaf == 0x40000000) {
        o[0] = 0x40000001;
        o[1] = load_le32("KVMK");
        o[2] = load_le32("VMKV");
        o[3] = load_le32("M\0\0");
    } else if (leaf == 0x40000001) {
        o[0] = c->feature[X86_FW_KVM];
        o[3] = c->feature[X86_FW_KVM_HINTS];
    }
}
