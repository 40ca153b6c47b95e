/* SPDX-License-Identifier: MIT */
/* Decimal arithmetic on AL and AX (SDM vol. 2: AAA AAD AAM AAS DAA DAS). General registers only. */
#include "target/x86/helpers.h"

static uint32_t szp(uint8_t al)
{
    return (al & 0x80 ? FLAG_S : 0) | (al ? 0 : FLAG_Z) | (__builtin_parity(al) ? 0 : FLAG_P);
}

static void set_ax(Vcpu *v, uint16_t ax) { v->g[RAX] = (v->g[RAX] & ~UINT64_C(0xffff)) | ax; }

static void decimal_adjust(Vcpu *v, int sign)
{
    uint8_t al = (uint8_t)v->g[RAX], old = al;
    uint32_t in = flags_eval(&v->fl), out = 0;
    if ((al & 15) > 9 || in & FLAG_A) {
        bool carry = sign > 0 ? al > 0xff - 6 : al < 6;
        al = (uint8_t)(al + sign * 6);
        out |= FLAG_A | ((in & FLAG_C) || carry ? FLAG_C : 0);
    }
    if (old > 0x99 || in & FLAG_C) {
        al = (uint8_t)(al + sign * 0x60);
        out |= FLAG_C;
    }
    v->g[RAX] = (v->g[RAX] & ~UINT64_C(0xff)) | al;
    flags_set_explicit(v, out | szp(al));
}

X86_HELPER_VOID(daa) { decimal_adjust(v, 1); }
X86_HELPER_VOID(das) { decimal_adjust(v, -1); }

static void ascii_adjust(Vcpu *v, int sign)
{
    uint16_t ax = (uint16_t)v->g[RAX];
    uint32_t out = 0;
    if ((ax & 15) > 9 || flags_eval(&v->fl) & FLAG_A) {
        ax = (uint16_t)(ax + sign * 0x106);
        out = FLAG_A | FLAG_C;
    }
    ax &= 0xff0f;
    set_ax(v, ax);
    flags_set_explicit(v, out | szp((uint8_t)ax));
}

X86_HELPER_VOID(aaa) { ascii_adjust(v, 1); }
X86_HELPER_VOID(aas) { ascii_adjust(v, -1); }

X86_HELPER_VOID(aam)
{
    uint8_t al = (uint8_t)v->g[RAX], base = (uint8_t)a;
    if (!base)
        x86_raise(x86_cpu(v), X86_DE);
    set_ax(v, (uint16_t)(al / base << 8 | al % base));
    flags_set_explicit(v, szp(al % base));
}

X86_HELPER_VOID(aad)
{
    uint8_t al = (uint8_t)(v->g[RAX] + (v->g[RAX] >> 8 & 0xff) * a);
    set_ax(v, al);
    flags_set_explicit(v, szp(al));
}
