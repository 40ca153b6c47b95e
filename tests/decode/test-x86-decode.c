/* SPDX-License-Identifier: MIT */
/* The x86 decode tables against capstone: length and name of generated encodings of every row, in 16-, 32- and 64-bit
 * code; and what must be #UD. Would catch: a wrong operand (immediate size, ModRM), a row that hides another, a prefix
 * rule that differs. */
#include <capstone/capstone.h>
#include <glib.h>
#include <string.h>
#include "base/bits.h"
#include "target/x86/tcg/decode.h"
#include "tests/decode/random.h"

enum { TRIES = 60 /* encodings per row and mode */, CODE = 32 };

static bool chance(unsigned one_in) { return rnd64() % one_in == 0; }

/* --- generating an encoding of a row --- */
static unsigned put_opcode(uint8_t *p, uint32_t opcode)
{
    unsigned n = 0;
    if (opcode >> 16)
        p[n++] = opcode >> 16;
    if (opcode >> 8)
        p[n++] = opcode >> 8;
    p[n++] = opcode;
    return n;
}

static uint8_t choose_modrm(const X86Op *op)
{
    uint8_t m = rnd64();
    if (op->match & X86M_MEM)
        m = (m & 0x3f) | (rnd64() % 3) << 6;
    if (op->match & X86M_REGISTER || op->attr & X86A_REGONLY)
        m |= 0xc0;
    if (op->match & X86M_HAS_REG)
        m = (m & 0xc7) | (op->match >> 16 & 7) << 3;
    if (op->match & X86M_HAS_RM)
        m = (m & 0xf8) | (op->match >> 20 & 7);
    return m;
}

static uint8_t mandatory_prefix(const X86Op *op)
{
    if (op->match & X86M_PF3)
        return 0xf3;
    if (op->match & X86M_PF2)
        return 0xf2;
    return op->match & X86M_P66 && !(op->match & X86M_NP && chance(2)) ? 0x66 : 0;
}

static unsigned generate_vex(const X86Op *op, uint8_t *p, uint8_t prefix)
{
    unsigned map = op->opcode >> 8 == 0x0f38 ? 2 : op->opcode >> 8 == 0x0f3a ? 3 : 1;
    unsigned pp = prefix == 0x66 ? 1 : prefix == 0xf3 ? 2 : prefix == 0xf2 ? 3 : 0;
    p[0] = 0xc4;
    p[1] = 0xc0 | (rnd64() & 0x20) | map; /* R and X as 32-bit code needs them */
    p[2] = (op->match & X86M_REXW ? 0x80 : op->match & X86M_NOREXW ? 0 : rnd64() & 0x80) | 0x40 | (rnd64() & 0x38) | pp;
    p[3] = op->opcode;
    return 4;
}

static void generate(const X86Op *op, unsigned bits, uint8_t code[CODE])
{
    static const uint8_t extra[] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x67 };
    unsigned n = 0;
    uint8_t prefix = mandatory_prefix(op);
    for (unsigned k = 0; k < CODE; k++)
        code[k] = rnd64();
    if (chance(4))
        code[n++] = extra[rnd64() % ARRAY_LEN(extra)];
    if (op->match & X86M_VEX) {
        n += generate_vex(op, code + n, prefix);
        code[n] = choose_modrm(op);
        return;
    }
    if (!(op->match & X86M_NP) && prefix != 0x66 && chance(4))
        code[n++] = 0x66;
    if (prefix)
        code[n++] = prefix;
    if (bits == 64 && (chance(3) || op->match & X86M_REXW)) {
        code[n] = 0x40 | (rnd64() & 15);
        if (op->match & X86M_REXW)
            code[n] |= 8;
        if (op->match & X86M_NOREXW)
            code[n] &= ~8;
        if (op->match & X86M_NOREXB)
            code[n] &= ~1;
        n++;
    }
    n += put_opcode(code + n, op->opcode);
    code[n] = choose_modrm(op);
}

/* --- comparing names --- */
/* Two names of one instruction: ours, capstone's. */
static const char *const synonyms[][2] = {
    { "mov", "movabs" },   { "sal", "shl" },    { "xlatb", "xlat" }, { "nop", "xchg" },
    { "xchg", "nop" },     { "int1", "icebp" }, { "ud2", "ud2b" },   { "retf", "retfq" },
    { "pushfw", "pushf" }, { "popfw", "popf" }, { "iretw", "iret" },
};

static const char *skip_prefix_words(const char *name)
{
    static const char *const words[] = { "rep ", "repe ",    "repne ",    "repz ",     "repnz ", "lock ",
                                         "bnd ", "notrack ", "xacquire ", "xrelease ", "data16 " };
    for (unsigned k = 0; k < ARRAY_LEN(words); k++) {
        if (g_str_has_prefix(name, words[k]))
            return skip_prefix_words(name + strlen(words[k]));
    }
    return name;
}

static bool same_name(const char *ours, const char *theirs)
{
    theirs = skip_prefix_words(theirs);
    if (!strcmp(ours, theirs))
        return true;
    for (unsigned k = 0; k < ARRAY_LEN(synonyms); k++) {
        if (!strcmp(ours, synonyms[k][0]) && !strcmp(theirs, synonyms[k][1]))
            return true;
    }
    return false;
}

#include "tests/decode/capstone-errors.h"

static void fail_encoding(const X86Op *op, unsigned bits, const uint8_t *code, const X86Insn *i, const char *ours,
                          const cs_insn *theirs)
{
    g_autoptr(GString) bytes = g_string_new(NULL);
    for (unsigned k = 0; k < 15; k++)
        g_string_append_printf(bytes, "%02x ", code[k]);
    g_test_message("%s (row %x, %s) in %u-bit code: %s", bytes->str, op->opcode, op->mnemonic, bits, ours);
    g_test_message("  ours %u bytes, capstone %u bytes %s %s", i->len, theirs ? theirs->size : 0,
                   theirs ? theirs->mnemonic : "(invalid)", theirs ? theirs->op_str : "");
    g_test_fail();
}

static void check_encoding(csh cs, const X86Op *op, unsigned bits, const uint8_t *code)
{
    X86Insn i = { .pc = 0x1000 };
    char name[16] = "(#UD)";
    X86DecodeStatus status = x86_decode(&i, code, 15, bits, true, X86_NEEDS_ALL);
    cs_insn *theirs = NULL;
    size_t count = cs_disasm(cs, code, 15, 0x1000, 1, &theirs);
    if (status == X86D_OK)
        x86_insn_mnemonic(&i, name);
    bool both = status == X86D_OK && count == 1;
    bool same = both ? i.len == theirs->size && same_name(name, theirs->mnemonic) : status != X86D_OK && count == 0;
    if (!same && !capstone_is_wrong(&i, status == X86D_OK, name, count ? theirs : NULL))
        fail_encoding(op, bits, code, &i, name, count ? theirs : NULL);
    if (theirs)
        cs_free(theirs, count);
}

static void test_capstone(const void *data)
{
    unsigned bits = GPOINTER_TO_UINT(data), count;
    const X86Op *rows = x86_op_rows(&count);
    csh cs;
    g_assert_cmpint(cs_open(CS_ARCH_X86,
                            bits == 16   ? CS_MODE_16
                            : bits == 32 ? CS_MODE_32
                                         : CS_MODE_64,
                            &cs),
                    ==, CS_ERR_OK);
    seed = 0x9e3779b97f4a7c15 + bits;
    for (unsigned n = 0; n < count; n++) {
        if (rows[n].attr & (bits == 64 ? X86A_I64 : X86A_O64) || beyond_capstone(&rows[n], bits))
            continue;
        for (unsigned t = 0; t < TRIES; t++) {
            uint8_t code[CODE];
            generate(&rows[n], bits, code);
            check_encoding(cs, &rows[n], bits, code);
        }
    }
    cs_close(&cs);
}

/* --- rules that capstone does not know --- */
typedef struct Case {
    const char *what;
    uint8_t code[16];
    unsigned bits;
    X86DecodeStatus status;
} Case;

static const Case cases[] = {
    { "LOCK with a register destination", { 0xf0, 0x01, 0xc0 }, 64, X86D_UD },
    { "LOCK ADD [rax], eax", { 0xf0, 0x01, 0x00 }, 64, X86D_OK },
    { "LOCK with memory as the source", { 0xf0, 0x03, 0x00 }, 64, X86D_UD },
    { "LOCK CMP", { 0xf0, 0x39, 0x00 }, 64, X86D_UD },
    { "LOCK MOV", { 0xf0, 0x89, 0x00 }, 32, X86D_UD },
    { "LOCK BT", { 0xf0, 0x0f, 0xa3, 0x00 }, 64, X86D_UD },
    { "LOCK BTS", { 0xf0, 0x0f, 0xab, 0x00 }, 64, X86D_OK },
    { "LOCK NOP", { 0xf0, 0x90 }, 64, X86D_UD },
    { "LEA with a register", { 0x8d, 0xc0 }, 32, X86D_UD },
    { "MOV CS, AX", { 0x8e, 0xc8 }, 32, X86D_UD },
    { "MOV to segment register 6", { 0x8e, 0xf0 }, 32, X86D_UD },
    { "MOV from CR1", { 0x0f, 0x20, 0xc8 }, 64, X86D_UD },
    { "MOV from CR8", { 0x44, 0x0f, 0x20, 0xc0 }, 64, X86D_OK },
    { "MOV from DR8", { 0x44, 0x0f, 0x21, 0xc0 }, 64, X86D_UD },
    { "MOV CR0 ignores mod: one byte of ModRM", { 0x0f, 0x20, 0x04 }, 64, X86D_OK },
    { "PUSH ES in 64-bit code", { 0x06 }, 64, X86D_UD },
    { "PUSHA in 64-bit code", { 0x60 }, 64, X86D_UD },
    { "far JMP imm in 64-bit code", { 0xea, 0, 0, 0, 0, 0, 0 }, 64, X86D_UD },
    { "82 in 64-bit code", { 0x82, 0xc0, 1 }, 64, X86D_UD },
    { "82 in 32-bit code", { 0x82, 0xc0, 1 }, 32, X86D_OK },
    { "POP with reg 1 (8F /1)", { 0x8f, 0xc8 }, 32, X86D_UD },
    { "C6 /1", { 0xc6, 0xc8, 0 }, 64, X86D_UD },
    { "FE /2", { 0xfe, 0xd0 }, 64, X86D_UD },
    { "FF /7", { 0xff, 0xf8 }, 64, X86D_UD },
    { "far call of a register (FF /3 mod 3)", { 0xff, 0xd8 }, 64, X86D_UD },
    { "BT group reg 0 (0F BA /0)", { 0x0f, 0xba, 0xc0, 0 }, 64, X86D_UD },
    { "CMPXCHG8B of a register", { 0x0f, 0xc7, 0xc8 }, 64, X86D_UD },
    { "MOVBE of a register", { 0x0f, 0x38, 0xf0, 0xc0 }, 64, X86D_UD },
    { "UD2", { 0x0f, 0x0b }, 64, X86D_OK },
    { "an opcode that does not exist (0F 04)", { 0x0f, 0x04 }, 64, X86D_UD },
    { "ANDN", { 0xc4, 0xe2, 0x70, 0xf2, 0xc0 }, 64, X86D_OK },
    { "ANDN with VEX.L", { 0xc4, 0xe2, 0x74, 0xf2, 0xc0 }, 64, X86D_UD },
    { "66 before VEX", { 0x66, 0xc4, 0xe2, 0x70, 0xf2, 0xc0 }, 64, X86D_UD },
    { "REX before VEX", { 0x48, 0xc4, 0xe2, 0x70, 0xf2, 0xc0 }, 64, X86D_UD },
    { "LOCK before VEX", { 0xf0, 0xc4, 0xe2, 0x70, 0xf2, 0xc0 }, 64, X86D_UD },
    { "RORX with VEX.vvvv", { 0xc4, 0xe3, 0x73, 0xf0, 0xc0, 1 }, 64, X86D_UD },
    { "LES in 32-bit code", { 0xc4, 0x00 }, 32, X86D_OK },
    { "15 bytes",
      { 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x90 },
      64,
      X86D_OK },
    { "15 prefixes",
      { 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x90 },
      64,
      X86D_TOO_LONG },
    { "16 bytes by an immediate",
      { 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x81, 0xc0, 1, 2, 3 },
      64,
      X86D_TOO_LONG },
    { "UD0 has a ModRM byte", { 0x0f, 0xff, 0xc0 }, 64, X86D_OK },
};

static void test_rules(void)
{
    for (unsigned n = 0; n < ARRAY_LEN(cases); n++) {
        X86Insn i = { .pc = 0 };
        X86DecodeStatus status = x86_decode(&i, cases[n].code, 15, cases[n].bits, true, X86_NEEDS_ALL);
        if (status != cases[n].status) {
            g_test_message("%s: status %d, expected %d", cases[n].what, status, cases[n].status);
            g_test_fail();
        }
    }
}

/*
 * An instruction cut short asks for more, whatever the cut: never reads beyond, never decides early for another length.
 */
static void test_truncated(void)
{
    unsigned count;
    const X86Op *rows = x86_op_rows(&count);
    seed = 42;
    for (unsigned n = 0; n < count; n++) {
        uint8_t code[CODE];
        X86Insn whole = { .pc = 0 }, part;
        generate(&rows[n], 64, code);
        if (x86_decode(&whole, code, 15, 64, true, X86_NEEDS_ALL) != X86D_OK)
            continue;
        for (unsigned len = 0; len <= whole.len; len++) {
            g_autofree uint8_t *exact = g_memdup2(code, len ? len : 1);
            part.pc = 0;
            g_assert_cmpint(x86_decode(&part, exact, len, 64, true, X86_NEEDS_ALL), ==,
                            len < whole.len ? X86D_MORE : X86D_OK);
        }
    }
}

/* A feature that the CPU model lacks takes its rows away. */
static void test_features(void)
{
    static const struct {
        const char *what;
        uint8_t code[6];
        const char *name; /* NULL: #UD */
        X86Need need;
    } list[] = {
        { "TZCNT is BSF", { 0xf3, 0x0f, 0xbc, 0xc1 }, "bsf", X86_NEED_BMI1 },
        { "LZCNT is BSR", { 0xf3, 0x0f, 0xbd, 0xc1 }, "bsr", X86_NEED_LZCNT },
        { "POPCNT", { 0xf3, 0x0f, 0xb8, 0xc1 }, NULL, X86_NEED_POPCNT },
        { "MOVBE", { 0x0f, 0x38, 0xf0, 0x00 }, NULL, X86_NEED_MOVBE },
        { "CMPXCHG16B", { 0x48, 0x0f, 0xc7, 0x08 }, NULL, X86_NEED_CX16 },
        { "CMOV", { 0x0f, 0x44, 0xc1 }, NULL, X86_NEED_CMOV },
        { "RDTSCP", { 0x0f, 0x01, 0xf9 }, NULL, X86_NEED_RDTSCP },
        { "ANDN", { 0xc4, 0xe2, 0x70, 0xf2, 0xc0 }, NULL, X86_NEED_BMI1 },
    };
    for (unsigned n = 0; n < ARRAY_LEN(list); n++) {
        X86Insn i = { .pc = 0 };
        char name[16];
        g_test_message("%s", list[n].what);
        X86DecodeStatus status = x86_decode(&i, list[n].code, 6, 64, true,
                                            X86_NEEDS_ALL & ~(UINT64_C(1) << list[n].need));
        g_assert_cmpint(status, ==, list[n].name ? X86D_OK : X86D_UD);
        if (list[n].name)
            g_assert_cmpstr(x86_insn_mnemonic(&i, name), ==, list[n].name);
        g_assert_cmpint(x86_decode(&i, list[n].code, 6, 64, true, X86_NEEDS_ALL), ==, X86D_OK);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/decode/x86/capstone-16", GUINT_TO_POINTER(16), test_capstone);
    g_test_add_data_func("/decode/x86/capstone-32", GUINT_TO_POINTER(32), test_capstone);
    g_test_add_data_func("/decode/x86/capstone-64", GUINT_TO_POINTER(64), test_capstone);
    g_test_add_func("/decode/x86/rules", test_rules);
    g_test_add_func("/decode/x86/truncated", test_truncated);
    g_test_add_func("/decode/x86/features", test_features);
    return g_test_run();
}
