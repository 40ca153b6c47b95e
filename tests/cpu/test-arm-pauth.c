/* SPDX-License-Identifier: MIT */
/*
 * Pointer authentication's cipher against the published vector, and codes in pointers: what is added is taken off, what
 * is wrong is found.
 */
#include <glib.h>
#include "target/arm/tcg/a64.h"
#include "target/arm/tcg/pauth.h"

/* R. Avanzi, The QARMA Block Cipher Family, test vectors: QARMA5-64 with sigma 2. */
static void test_qarma5(void)
{
    g_assert_cmphex(arm_qarma5(0xfb623599da6e8127, 0x477d469dec0b8762, 0x84be85ce9804e94b, 0xec2802d4e0a488e9), ==,
                    0xc003b93999b33765);
}

static ArmCpu *cpu(void)
{
    ArmCpu *c = g_aligned_alloc0(1, (sizeof(*c) + 63) & ~63ul, 64);
    c->has.aarch64 = c->has.pauth = true;
    c->aarch64 = true;
    c->el = 1;
    c->sctlr_el[1] = BIT(31) | BIT(30) | BIT(27) | BIT(13);
    c->tcr_el[1] = 16 | 16 << 16 | BIT(37); /* 48-bit addresses, TBI0 */
    c->ap_keys[0][1] = 0x84be85ce9804e94b, c->ap_keys[0][0] = 0xec2802d4e0a488e9;
    return c;
}

static void round_trip(ArmCpu *c, uint64_t ptr, uint64_t wrong)
{
    uint64_t signed_ptr = arm_help_pauth(&c->v, ptr, 42, PAUTH_ADD | PAUTH_IA);
    g_assert_cmphex(signed_ptr & 0x0000ffffffffffff, ==, ptr & 0x0000ffffffffffff);
    g_assert_cmphex(arm_help_pauth(&c->v, signed_ptr, 42, PAUTH_CHECK | PAUTH_IA), ==, ptr);
    g_assert_cmphex(arm_help_xpac(&c->v, signed_ptr, 0, 0), ==, ptr);
    g_assert_cmphex(arm_help_pauth(&c->v, signed_ptr ^ BIT(50), 42, PAUTH_CHECK | PAUTH_IA), ==, wrong);
}

static void test_pointers(void)
{
    ArmCpu *c = cpu();
    round_trip(c, 0x0000aaaabbbbccc0, 0x0020aaaabbbbccc0); /* with TBI the mark is in 54:53 */
    round_trip(c, 0xffffaaaabbbbccc0, 0xbfffaaaabbbbccc0); /* without in 62:61 */
    c->sctlr_el[1] = 0;
    g_assert_cmphex(arm_help_pauth(&c->v, 0x1234, 42, PAUTH_ADD | PAUTH_IA), ==, 0x1234);
    g_aligned_free(c);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/arm-pauth/qarma5", test_qarma5);
    g_test_add_func("/arm-pauth/pointers", test_pointers);
    return g_test_run();
}
