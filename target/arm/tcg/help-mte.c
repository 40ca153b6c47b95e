/* SPDX-License-Identifier: MIT */
/* Memory tagging: tags of pointers, and allocation tags of memory. */
#include "target/arm/system.h"
#include "target/arm/tcg/a64.h"

enum { TAG_SHIFT = 56 };

static unsigned tag_of(uint64_t ptr) { return ptr >> TAG_SHIFT & 15; }
static uint64_t with_tag(uint64_t ptr, unsigned tag) { return bits_set(ptr, TAG_SHIFT, 4, tag); }

/* Allocation tags are accessible (SCTLR_ELx.ATA, ATA0; DDI 0487, D10.4.1): without FEAT_MTE2 there are none. */
static bool tags_enabled(const ArmCpu *c)
{
    return c->has.mte2 && arm_sctlr(c) >> (c->el == 0 ? 42 : 43) & 1;
}

/* The next of 16 tags by `offset` steps over those that are excluded. */
static unsigned choose_tag(unsigned tag, unsigned offset, unsigned exclude)
{
    if ((exclude & 0xffff) == 0xffff)
        return 0;
    while (exclude >> tag & 1)
        tag = (tag + 1) & 15;
    while (offset--) {
        do {
            tag = (tag + 1) & 15;
        } while (exclude >> tag & 1);
    }
    return tag;
}

uint64_t arm_help_addg(Vcpu *v, uint64_t ptr, uint64_t offset, uint64_t tag_offset)
{
    const ArmCpu *c = arm_cpu(v);
    unsigned exclude = c->gcr_el1 & 0xffff, tag = tags_enabled(c) ? choose_tag(tag_of(ptr), (unsigned)tag_offset, exclude) : 0;
    return with_tag(ptr + offset, tag);
}

/* A bit of RGSR_EL1.SEED's shift register (DDI 0487, D19.2.117). */
static unsigned random_bit(ArmCpu *c)
{
    uint32_t seed = (uint32_t)bits_get(c->rgsr_el1, 8, 16);
    unsigned top = (seed >> 5 ^ seed >> 3 ^ seed >> 2 ^ seed) & 1;
    c->rgsr_el1 = bits_set(c->rgsr_el1, 8, 16, top << 15 | seed >> 1);
    return top;
}

uint64_t arm_help_irg(Vcpu *v, uint64_t ptr, uint64_t exclude, uint64_t unused)
{
    ArmCpu *c = arm_cpu(v);
    if (!tags_enabled(c))
        return with_tag(ptr, 0);
    unsigned offset = 0;
    for (unsigned n = 0; n < 4; n++)
        offset |= random_bit(c) << n;
    unsigned tag = choose_tag(c->rgsr_el1 & 15, offset, (unsigned)(exclude | c->gcr_el1) & 0xffff);
    c->rgsr_el1 = bits_set(c->rgsr_el1, 0, 4, tag);
    return with_tag(ptr, tag);
}

/* Storage of tags: none yet; accesses to them behave as with SCTLR.ATA clear: tags read as 0, writes are ignored. */
uint64_t arm_help_ldg(Vcpu *v, uint64_t va, uint64_t old, uint64_t unused)
{
    guest_probe(v, va & ~UINT64_C(15), 16, ACCESS_READ, arm_mode_bank(v->mode));
    return with_tag(old, 0);
}

static void misaligned(Vcpu *v, uint64_t va, unsigned align)
{
    vcpu_sync(v);
    v->arch->misaligned(v, va, ACCESS_WRITE, align);
    vcpu_unwind(v);
}

void arm_help_stg(Vcpu *v, uint64_t va, uint64_t ptr, uint64_t what)
{
    unsigned size = what & 1 ? 32 : 16, bank = arm_mode_bank(v->mode);
    if (va & 15)
        misaligned(v, va, 16);
    guest_probe(v, va, size, ACCESS_WRITE, bank);
    for (unsigned n = 0; what & 2 && n < size; n += 8)
        guest_store(v, va + n, 8, 0, bank);
}

uint64_t arm_help_ldgm(Vcpu *v, uint64_t va, uint64_t a, uint64_t b)
{
    guest_probe(v, va & ~UINT64_C(255), 256, ACCESS_READ, arm_mode_bank(v->mode));
    return 0;
}

void arm_help_stgm(Vcpu *v, uint64_t va, uint64_t tags, uint64_t zero)
{
    unsigned bank = arm_mode_bank(v->mode);
    va &= ~UINT64_C(255);
    guest_probe(v, va, 256, ACCESS_WRITE, bank);
    for (unsigned n = 0; zero && n < 256; n += 8)
        guest_store(v, va + n, 8, 0, bank);
}

ARM_HELPER_VOID(tag_check) {}
