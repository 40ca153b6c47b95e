/* SPDX-License-Identifier: MIT */
/* The A64 decode tables against binutils' disassembler, which knows all extensions: encodings of every row, and random
 * words, must be defined or undefined alike, but for what `differences` names. Would catch: a wrong fixed bit, a
 * missing constraint on a field, a missing row. */
#include <glib.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>
#include "base/bits.h"
#include "target/arm/tcg/decode.h"
#include "tests/decode/random.h"

extern const ArmTable arm_a64_table;

enum { PER_ROW = 40, RANDOM = 60000, CHUNK = 1 << 17 };

/* Where the two differ, and why. */
static const struct { uint32_t mask, value; const char *why; } differences[] = {
    { 0x1f800000, 0x12000000, "logical immediates: the emitter rejects the reserved ones" },
    { 0x3fa00000, 0x08800000, "LDAR, STLR ...: registers that should be one are not looked at" },
    { 0x7c400000, 0x68400000, "LDPSW of one register: CONSTRAINED UNPREDICTABLE" },
    { 0x1fc00000, 0x11c00000, "CSSC" },
    { 0x7fe08000, 0x1ac00000, "CSSC" },
    { 0x3f000000, 0x19000000, "MOPS and other later extensions" },
    { 0xff000010, 0x54000010, "BC.cond" },
    { 0xff600000, 0xd4600000, "TME" },
    { 0xffd80000, 0xd5000000, "what system space is not allocated is shown as MSR and SYS" },
    { 0xffa00c00, 0xf8200000, "LS64" },
};

static const char *difference(uint32_t word)
{
    for (unsigned n = 0; n < ARRAY_LEN(differences); n++) {
        if ((word & differences[n].mask) == differences[n].value)
            return differences[n].why;
    }
    return NULL;
}

/* The words that are this table's: not SIMD and FP, not SVE, not SME. */
static bool in_table(uint32_t word)
{
    unsigned group = word >> 25 & 15;
    if (group == 2 || (group & 7) == 7 || group == 0 || group == 1 || group == 3)
        return false;
    return (group & 5) != 4 || !(word >> 26 & 1);
}

static uint32_t *words;
static unsigned count;
static ArmFeatures all;

static const ArmRow *row_of(uint32_t word) { return arm_decode(&arm_a64_table, &all, word); }

static void make_words(void)
{
    words = g_new(uint32_t, CHUNK);
    memset(&all, 1, sizeof(all));
    for (unsigned n = 0; n < arm_a64_table.rows; n++) {
        for (unsigned k = 0; k < PER_ROW; k++)
            words[count++] = (rnd() & ~arm_a64_table.row[n].mask) | arm_a64_table.row[n].value;
    }
    while (count < arm_a64_table.rows * PER_ROW + RANDOM) {
        uint32_t word = rnd();
        if (in_table(word))
            words[count++] = word;
    }
}

static void check(unsigned n, bool theirs, unsigned *bad)
{
    const ArmRow *row = row_of(words[n]);
    bool ours = row != NULL;
    if (ours == theirs || difference(words[n]) || ++*bad > 20)
        return;
    g_test_message("%08x: ours %s, binutils %s", words[n], row ? row->name : "undefined",
                   theirs ? "defined" : "undefined");
}

static void test_binutils(void)
{
    g_autofree char *objdump = g_find_program_in_path("aarch64-linux-gnu-objdump"), *path = NULL;
    if (!objdump) {
        g_test_skip("aarch64-linux-gnu-objdump is not installed (package binutils-aarch64-linux-gnu)");
        return;
    }
    make_words();
    int fd = g_file_open_tmp("arm-decode-XXXXXX", &path, NULL);
    g_assert_cmpint(fd, >=, 0);
    g_close(fd, NULL);
    g_assert_true(g_file_set_contents(path, (const char *)words, count * 4, NULL));
    g_autofree char *command = g_strdup_printf("%s -D -z -b binary -m aarch64 %s", objdump, path);
    FILE *pipe = popen(command, "r");
    g_assert_nonnull(pipe);
    char line[512];
    unsigned bad = 0, seen = 0;
    while (fgets(line, sizeof(line), pipe)) {
        unsigned at, word;
        if (sscanf(line, " %x: %x", &at, &word) != 2 || at / 4 >= count || words[at / 4] != word)
            continue;
        seen++;
        check(at / 4, !strstr(line, "undefined") && !strstr(line, ".inst"), &bad);
    }
    pclose(pipe);
    g_remove(path);
    g_assert_cmpuint(seen, ==, count);
    g_assert_cmpuint(bad, ==, 0);
}

/* Every row is reached by its own words, or by a row of its group that stands before it. */
static void test_rows(void)
{
    memset(&all, 1, sizeof(all));
    for (unsigned n = 0; n < arm_a64_table.rows; n++) {
        const ArmRow *row = &arm_a64_table.row[n];
        unsigned hits = 0;
        for (unsigned k = 0; k < 4096 && !hits; k++)
            hits += row_of((rnd() & ~row->mask) | row->value) == row;
        if (!hits)
            g_test_message("%s is never reached", row->name);
        g_assert_cmpuint(hits, >, 0);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/arm-decode/rows", test_rows);
    g_test_add_func("/arm-decode/binutils", test_binutils);
    return g_test_run();
}
