/* SPDX-License-Identifier: MIT */
/* The x86-64 encoder against capstone: every form with every register, byte registers and addressing modes included. */
#include <capstone/capstone.h>
#include <glib.h>
#include "accel/tcg/host-x86/asm.h"

static csh cs;
static uint8_t code[64];

static const char *reg_name(unsigned r, unsigned size)
{
    static const char *const names[4][16] = { { "al", "cl", "dl", "bl", "spl", "bpl", "sil", "dil", "r8b", "r9b",
                                                "r10b", "r11b", "r12b", "r13b", "r14b", "r15b" },
                                              { "ax", "cx", "dx", "bx", "sp", "bp", "si", "di", "r8w", "r9w", "r10w",
                                                "r11w", "r12w", "r13w", "r14w", "r15w" },
                                              { "eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "r8d", "r9d",
                                                "r10d", "r11d", "r12d", "r13d", "r14d", "r15d" },
                                              { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9",
                                                "r10", "r11", "r12", "r13", "r14", "r15" } };
    return names[__builtin_ctz(size)][r];
}

static char *text_of(Loc l, unsigned size)
{
    static const char *const width[4] = { "byte", "word", "dword", "qword" };
    static const char *const high[4] = { "ah", "ch", "dh", "bh" };
    if (l.kind == L_REG)
        return g_strdup(reg_name(l.reg, size));
    if (l.kind == L_HIGH)
        return g_strdup(high[l.reg]);
    GString *s = g_string_new(NULL);
    g_string_append_printf(s, "%s ptr [%s", width[__builtin_ctz(size)], reg_name(l.reg, 8));
    if (l.index != NO_REG)
        g_string_append_printf(s, " + %s%s", reg_name(l.index, 8),
                               (const char *const[]){ "", "*2", "*4", "*8" }[l.scale]);
    if (l.disp)
        g_string_append_printf(s, " %c %s%x", l.disp < 0 ? '-' : '+', ABS(l.disp) > 9 ? "0x" : "", ABS(l.disp));
    g_string_append_c(s, ']');
    return g_string_free(s, FALSE);
}

static void check(const Asm *a, const char *want)
{
    cs_insn *insn;
    size_t n = cs_disasm(cs, code, (size_t)(a->p - code), 0, 0, &insn);
    g_assert_cmpuint(n, ==, 1);
    g_autofree char *got = g_strdup_printf("%s %s", insn->mnemonic, insn->op_str);
    g_assert_cmpstr(got, ==, want);
    g_assert_cmpuint(insn->size, ==, (unsigned)(a->p - code));
    cs_free(insn, n);
}

static GPtrArray *places; /* of Loc: registers, then memory */
static void add_place(Loc l) { g_ptr_array_add(places, g_memdup2(&l, sizeof l)); }
static void make_places(void)
{
    static const int32_t disps[] = { 0, 8, -128, 127, 128, -0x12345 };
    places = g_ptr_array_new_with_free_func(g_free);
    for (unsigned r = 0; r < 16; r++)
        add_place(loc_reg(r));
    for (unsigned b = 0; b < 16; b++)
        for (unsigned d = 0; d < G_N_ELEMENTS(disps); d++) {
            add_place(loc_mem(b, disps[d]));
            add_place(loc_mem2(b, b == RSP ? R12 : 15 - b == RSP ? RAX : 15 - b, d & 3, disps[d]));
        }
}

/* op r, rm and op rm, r of the arithmetic, at every size. */
static void test_alu(void)
{
    static const char *const names[] = { "add", "or", "adc", "sbb", "and", "sub", "xor", "cmp" };
    for (unsigned k = 0; k < places->len; k++) {
        const Loc *l = places->pdata[k];
        for (unsigned size = 1; size <= 8; size *= 2) {
            unsigned op = k & 7, r = (k * 7 + size) & 15;
            g_autofree char *place = text_of(*l, size);
            g_autofree char *load = g_strdup_printf("%s %s, %s", names[op], reg_name(r, size), place);
            g_autofree char *store = g_strdup_printf("%s %s, %s", names[op], place, reg_name(r, size));
            g_autofree char *imm = g_strdup_printf("%s %s, 0x55", names[op], place);
            Asm a = { code, code + sizeof code };
            alu_rm(&a, op, size, r, *l);
            check(&a, load);
            a.p = code;
            alu_mr(&a, op, size, *l, r);
            check(&a, store);
            a.p = code;
            alu_ri(&a, op, size, *l, 0x55);
            check(&a, imm);
        }
    }
}

static void test_moves(void)
{
    for (unsigned k = 0; k < places->len; k++) {
        const Loc *l = places->pdata[k];
        for (unsigned size = 1; size <= 8; size *= 2) {
            unsigned r = (k * 5 + size) & 15;
            g_autofree char *place = text_of(*l, size);
            g_autofree char *load = size < 4 ? g_strdup_printf("movzx %s, %s", reg_name(r, 4), place)
                                             : g_strdup_printf("mov %s, %s", reg_name(r, size), place);
            g_autofree char *store = g_strdup_printf("mov %s, %s", place, reg_name(r, size));
            g_autofree char *shift = g_strdup_printf("shl %s, 3", place);
            g_autofree char *test = g_strdup_printf("test %s, 0x11", place);
            Asm a = { code, code + sizeof code };
            load_zx(&a, size, r, *l);
            check(&a, load);
            a.p = code;
            store_r(&a, size, *l, r);
            check(&a, store);
            a.p = code;
            shift_i(&a, 4, size, *l, 3);
            check(&a, shift);
            a.p = code;
            test_ri(&a, size, *l, 0x11);
            check(&a, test);
        }
    }
}

/* Bits 15:8 of the first four registers: never with REX. */
static void test_high(void)
{
    for (unsigned h = 0; h < 4; h++) {
        Loc l = { .kind = L_HIGH, .reg = (uint8_t)h };
        g_autofree char *place = text_of(l, 1);
        g_autofree char *compare = g_strdup_printf("cmp %s, 0x21", place);
        g_autofree char *extend = g_strdup_printf("movzx edi, %s", place);
        g_autofree char *set = g_strdup_printf("seto %s", place);
        Asm a = { code, code + sizeof code };
        alu_ri(&a, ALU_CMP, 1, l, 0x21);
        check(&a, compare);
        a.p = code;
        load_zx(&a, 1, RDI, l);
        check(&a, extend);
        a.p = code;
        setcc(&a, 0, l);
        check(&a, set);
    }
}

static void test_vex(void)
{
    for (unsigned k = 0; k < places->len; k++) {
        const Loc *l = places->pdata[k];
        unsigned d = k & 15, v = (k * 3 + 1) & 15;
        for (unsigned size = 4; size <= 8; size *= 2) {
            g_autofree char *place = text_of(*l, size);
            g_autofree char *shlx = g_strdup_printf("shlx %s, %s, %s", reg_name(d, size), place, reg_name(v, size));
            g_autofree char *andn = g_strdup_printf("andn %s, %s, %s", reg_name(d, size), reg_name(v, size), place);
            Asm a = { code, code + sizeof code };
            op_vex(&a, 1, 2, 0xf7, size, d, v, *l);
            check(&a, shlx);
            a.p = code;
            op_vex(&a, 0, 2, 0xf2, size, d, v, *l);
            check(&a, andn);
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_assert_cmpint(cs_open(CS_ARCH_X86, CS_MODE_64, &cs), ==, CS_ERR_OK);
    make_places();
    g_test_add_func("/asm/alu", test_alu);
    g_test_add_func("/asm/moves", test_moves);
    g_test_add_func("/asm/high-bytes", test_high);
    g_test_add_func("/asm/vex", test_vex);
    int status = g_test_run();
    g_ptr_array_unref(places);
    cs_close(&cs);
    return status;
}
