/* SPDX-License-Identifier: MIT */
/*
 * Registers that only the kernel knows: newer ones of the architecture, and those of its firmware interface. What
 * differs from reset is saved in a section of its own, so that a machine which has not used them loads anywhere.
 */
#include "target/arm/kvm.h"

#include <string.h>
#include "base/bits.h"
#include "hw/core/machine.h"
#include "hw/core/state.h"

typedef struct RestRegister { uint64_t id, reset, now; } RestRegister;

struct KvmArmRest {
    unsigned cpu;
    GArray *registers;  /* of RestRegister */
    GByteArray *saved;  /* le64 id, le64 value; while saving and loading */
};
typedef struct KvmArmRest KvmArmRest;

enum { ROW = 16, MAX_SAVED = 4096 * ROW };

static RestRegister *at(const KvmArmRest *r, unsigned i) { return &g_array_index(r->registers, RestRegister, i); }

void kvm_arm_rest_add(KvmVcpu *k, uint64_t id)
{
    KvmArm *a = kvm_arm(k);
    RestRegister n = { .id = id };
    if (!a->rest) {
        a->rest = g_new0(KvmArmRest, 1);
        a->rest->cpu = k->v->index;
        a->rest->registers = g_array_new(false, false, sizeof(RestRegister));
        a->rest->saved = g_byte_array_new();
    }
    g_array_append_val(a->rest->registers, n);
}

void kvm_arm_rest_move(KvmVcpu *k, bool set)
{
    const KvmArmRest *r = kvm_arm(k)->rest;
    for (unsigned i = 0; r && i < r->registers->len; i++)
        kvm_arm_one_reg(k, set, at(r, i)->id, &at(r, i)->now); /* some only tell: they have one value */
}

static const StateField rest_state[] = { STATE_BUF(KvmArmRest, saved, MAX_SAVED), STATE_END_OF_TABLE };

static void rest_reset(void *opaque, ResetPhase phase)
{
    KvmArmRest *r = opaque;
    for (unsigned i = 0; phase == RESET_ENTER && i < r->registers->len; i++)
        at(r, i)->now = at(r, i)->reset;
}

static char *section(const KvmArmRest *r) { return g_strdup_printf("cpu.%u.kvm", r->cpu); }

static void rest_save(void *opaque, StateWriter *w)
{
    KvmArmRest *r = opaque;
    g_autofree char *name = section(r);
    g_byte_array_set_size(r->saved, 0);
    for (unsigned i = 0; i < r->registers->len; i++) {
        uint8_t row[ROW];
        store_le64(row, at(r, i)->id);
        store_le64(row + 8, at(r, i)->now);
        if (at(r, i)->now != at(r, i)->reset)
            g_byte_array_append(r->saved, row, ROW);
    }
    if (r->saved->len)
        state_save_section(w, name, rest_state, r);
}

static bool load_row(KvmArmRest *r, uint64_t id, uint64_t value, Error **errp)
{
    for (unsigned i = 0; i < r->registers->len; i++) {
        if (at(r, i)->id == id) {
            at(r, i)->now = value;
            return true;
        }
    }
    error_setf(errp,
               "CPU %u: the saved guest uses register %" G_GINT64_MODIFIER "x, which this host's kernel does not have",
               r->cpu, (guint64)id);
    return false;
}

static bool rest_load(void *opaque, StateReader *reader, Error **errp)
{
    KvmArmRest *r = opaque;
    g_autofree char *name = section(r);
    rest_reset(r, RESET_ENTER);
    if (!state_reader_has(reader, name))
        return true;
    bool ok = state_load_section(reader, name, rest_state, r, errp);
    for (guint i = 0; ok && i + ROW <= r->saved->len; i += ROW)
        ok = load_row(r, load_le64(r->saved->data + i), load_le64(r->saved->data + i + 8), errp);
    return ok;
}

static const MachinePart rest_part = {
    .name = "cpu registers of the kernel", .reset = rest_reset, .save = rest_save, .load = rest_load
};

void kvm_arm_rest_begin(KvmVcpu *k)
{
    KvmArmRest *r = kvm_arm(k)->rest;
    if (!r)
        return;
    kvm_arm_rest_move(k, false);
    for (unsigned i = 0; i < r->registers->len; i++)
        at(r, i)->reset = at(r, i)->now;
    machine_part_add(&rest_part, r);
}

/* The machine's parts go with the machine, after its CPUs: nothing asks them between. */
void kvm_arm_rest_free(KvmVcpu *k)
{
    KvmArmRest *r = kvm_arm(k)->rest;
    if (!r)
        return;
    machine_part_remove(&rest_part, r);
    g_array_unref(r->registers);
    g_byte_array_unref(r->saved);
    g_free(r);
}
