/* SPDX-License-Identifier: MIT */
/* The A32 and T32 decode tables against capstone: words of every row have the name that the row stands for
 * (arm32-names.h). Would catch: a wrong fixed bit, a row that hides another, two instructions of a family mixed up.
 * What is undefined on which CPU, tests/cpu/arm-diff32 compares. */
#include <capstone/capstone.h>
#include <glib.h>
#include <string.h>
#include "target/arm/tcg/a32.h"
#include "tests/decode/arm32-names.h"
#include "tests/decode/random.h"

enum { WORDS = 200 /* of a row */, TRIES = 6000 };

static ArmFeatures all; /* of an A-profile CPU */
static csh a32, t32;

/* Whether a word of the list, or one with an 's' behind it, is this name. */
static bool has_name(const char *list, const char *name)
{
    g_auto(GStrv) words = g_strsplit_set(list, " /", -1);
    for (unsigned n = 0; words[n]; n++) {
        size_t len = strlen(words[n]);
        if (len && !strncmp(words[n], name, len) && (!name[len] || !strcmp(name + len, "s")))
            return true;
    }
    return false;
}

static unsigned field_value(const ArmRow *row, const char *name, uint32_t w)
{
    unsigned value = 0, k = 0;
    while (k < row->fields && strcmp(row->field[k].name, name))
        k++;
    g_assert_cmpuint(k, <, row->fields);
    for (unsigned n = 0; n < row->field[k].pieces; n++)
        value |= (w >> row->field[k].piece[n].from & ((1u << row->field[k].piece[n].width) - 1))
                 << row->field[k].piece[n].to;
    return value;
}

/* Whether capstone's name, without data types and width, is one of these. */
static bool is_one_of(const ArmRow *row, uint32_t w, const char *names, const char *theirs)
{
    g_autofree char *name = g_strndup(theirs, strcspn(theirs, "."));
    const char *groups = strchr(names, ':');
    if (!groups)
        return has_name(names, name);
    g_autofree char *field = g_strndup(names, (size_t)(groups - names));
    g_auto(GStrv) group = g_strsplit(groups + 2, " ", -1);
    unsigned value = field_value(row, field, w);
    return value < g_strv_length(group) && has_name(group[value], name);
}

static const Arm32Name *named(const ArmTable *table, const ArmRow *row)
{
    for (unsigned n = 0; n < ARRAY_LEN(arm32_names); n++)
        if (!strcmp(arm32_names[n].table, table->name) && !strcmp(arm32_names[n].row, row->name))
            return &arm32_names[n];
    return NULL;
}

/* Why capstone may not know a word of this row; NULL: it has to. */
static const char *excuse(const ArmTable *table, const ArmRow *row)
{
    for (unsigned n = 0; n < ARRAY_LEN(capstone_lacks); n++)
        if (strstr(row->features, capstone_lacks[n].feature))
            return capstone_lacks[n].why;
    for (unsigned n = 0; n < ARRAY_LEN(capstone_rejects); n++)
        if (!strcmp(capstone_rejects[n].table, table->name) &&
            (!*capstone_rejects[n].row || !strcmp(capstone_rejects[n].row, row->name)))
            return capstone_rejects[n].why;
    return NULL;
}

static uint32_t make_word(const ArmTable *table, const ArmRow *row)
{
    uint32_t known = row->mask, ones = row->value, w = rnd();
    for (unsigned k = 0; k < row->fields; k++)
        for (unsigned n = 0; n < row->field[k].pieces; n++)
            known |= ((1u << row->field[k].piece[n].width) - 1) << row->field[k].piece[n].from;
    for (unsigned n = 0; n < ARRAY_LEN(should_be_one); n++)
        if (!strcmp(should_be_one[n].table, table->name) && !strcmp(should_be_one[n].row, row->name))
            ones |= should_be_one[n].ones;
    w = (w & known & ~row->mask) | ones;
    if (table == &arm_a32_table || table == &arm_vfp_table)
        w = (w & 0x0fffffff) | 0xe0000000;
    /* Q registers have even numbers; what odd ones are, the emitters decide */
    if (table == &arm_neon_table && w & 0x40)
        w &= ~0x00011001u | row->mask;
    return w;
}

/* Coprocessors 10 and 11 are the FP tables'. */
static bool elsewhere(const ArmRow *row, uint32_t w)
{
    return (!strncmp(row->name, "mcr", 3) || !strncmp(row->name, "mrc", 3) || !strncmp(row->name, "mrrc", 4)) &&
           (w >> 8 & 14) == 10;
}

static void check(const ArmTable *table, const ArmRow *row, uint32_t w, unsigned *known)
{
    uint32_t halves = w << 16 | w >> 16;
    const Arm32Name *n = named(table, row);
    g_autofree char *own = g_strndup(row->name, strcspn(row->name, "_"));
    cs_insn *theirs = NULL;
    size_t count = cs_disasm(table == &arm_t16_table || table == &arm_t32_table ? t32 : a32,
                             (const uint8_t *)(table == &arm_t32_table ? &halves : &w), table->width / 8, 0x1000, 1,
                             &theirs);
    if (count && is_one_of(row, w, n ? n->names : own, theirs->mnemonic))
        ++*known;
    else if (count || !excuse(table, row)) {
        g_test_message("%s, row %s: %08x is '%s %s' to capstone", table->name, row->name, w,
                       count ? theirs->mnemonic : "(unknown)", count ? theirs->op_str : "");
        g_test_fail();
    }
    if (count)
        cs_free(theirs, count);
}

static void test_table(const void *data)
{
    const ArmTable *table = data;
    for (unsigned r = 0; r < table->rows; r++) {
        const ArmRow *row = &table->row[r];
        unsigned words = 0, known = 0;
        for (unsigned k = 0; k < TRIES && words < WORDS; k++) {
            uint32_t w = make_word(table, row);
            if (arm_decode(table, &all, w) != row || elsewhere(row, w))
                continue;
            words++;
            check(table, row, w, &known);
        }
        if (words && !known && !excuse(table, row)) {
            g_test_message("%s, row %s: capstone knows none of its words", table->name, row->name);
            g_test_fail();
        }
    }
}

int main(int argc, char **argv)
{
    static const ArmTable *const tables[] = { &arm_a32_table,  &arm_a32u_table, &arm_vfp_table, &arm_vfpu_table,
                                              &arm_neon_table, &arm_t16_table,  &arm_t32_table };
    g_test_init(&argc, &argv, NULL);
    memset(&all, 1, sizeof all);
    all.m_profile = all.v6m = all.v7m = all.v7em = all.v8m = all.v8m_main = all.v8_1m = all.m_security = all.m_lob =
        all.m_mve_int = false;
    g_assert_cmpint(cs_open(CS_ARCH_ARM, CS_MODE_ARM | CS_MODE_V8, &a32), ==, CS_ERR_OK);
    g_assert_cmpint(cs_open(CS_ARCH_ARM, CS_MODE_THUMB | CS_MODE_V8, &t32), ==, CS_ERR_OK);
    for (unsigned n = 0; n < G_N_ELEMENTS(tables); n++) {
        g_autofree char *name = g_strdup_printf("/arm32-decode/%s", tables[n]->name);
        g_test_add_data_func(name, tables[n], test_table);
    }
    return g_test_run();
}
