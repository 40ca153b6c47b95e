/* SPDX-License-Identifier: MIT */
/* Reset, save, load and print of all devices and of the machine's other parts. */
#include <string.h>
#include "base/bits.h"
#include "hw/core/device.h"

typedef struct Part {
    const MachinePart *part;
    void *opaque;
} Part;

static GArray *parts; /* of Part */

static Part *part_at(unsigned i) { return &g_array_index(parts, Part, i); }
static unsigned part_count(void) { return parts ? parts->len : 0; }

void machine_part_add(const MachinePart *part, void *opaque)
{
    if (!parts)
        parts = g_array_new(false, false, sizeof(Part));
    Part p = { part, opaque };
    g_array_append_val(parts, p);
}

void machine_part_remove(const MachinePart *part, void *opaque)
{
    for (unsigned i = 0; i < part_count(); i++) {
        if (part_at(i)->part == part && part_at(i)->opaque == opaque) {
            g_array_remove_index(parts, i);
            return;
        }
    }
}

/* ---- reset ---- */

static void reset_chain(Device *d, const DeviceType *t, ResetPhase phase)
{
    if (t->base)
        reset_chain(d, t->base, phase);
    for (const RegBank *const *b = t->banks; phase == RESET_ENTER && b && *b; b++)
        regs_reset(d, *b);
    if (t->reset)
        t->reset(d, phase);
}

static void reset_phase(Device *d, ResetPhase phase)
{
    if (!d->started)
        return;
    lock_domain_lock(d->domain);
    reset_chain(d, d->type, phase);
    lock_domain_unlock(d->domain);
}

static bool live;

bool device_live(void) { return live; }

void machine_parts_clear(void)
{
    live = false;
    if (parts)
        g_array_set_size(parts, 0);
}

void device_reset_all(void)
{
    live = true;
    for (ResetPhase phase = RESET_ENTER; phase <= RESET_EXIT; phase++) {
        for (unsigned i = 0; i < part_count(); i++) {
            if (part_at(i)->part->reset)
                part_at(i)->part->reset(part_at(i)->opaque, phase);
        }
        for (Device *d = device_first(); d; d = d->next)
            reset_phase(d, phase);
    }
}

void device_reset_one(Device *d)
{
    for (ResetPhase phase = RESET_ENTER; phase <= RESET_EXIT; phase++)
        reset_phase(d, phase);
}

/* ---- save and load ---- */

/* Sections of a device: "id" for the type's own state, "id/TYPE" for a base's, "id#BANK" for each bank. */
static char *section_name(Device *d, const DeviceType *t)
{
    return t == d->type ? g_strdup(d->id) : g_strdup_printf("%s/%s", d->id, t->name);
}

static void saving_chain(Device *d, const DeviceType *t)
{
    if (t->base)
        saving_chain(d, t->base);
    if (t->saving)
        t->saving(d);
}

static void save_chain(Device *d, const DeviceType *t, StateWriter *w)
{
    if (t->base)
        save_chain(d, t->base, w);
    for (const RegBank *const *b = t->banks; b && *b; b++) {
        g_autofree char *name = g_strdup_printf("%s#%s", d->id, (*b)->name);
        regs_save(d, *b, w, name);
    }
    if (t->state) {
        g_autofree char *name = section_name(d, t);
        state_save_section(w, name, t->state, d);
    }
}

bool device_check_savable(Error **errp)
{
    for (Device *d = device_first(); d; d = d->next) {
        if (d->started && d->type->unsavable) {
            error_setf(errp, "device '%s': %s", d->id, d->type->unsavable);
            return false;
        }
    }
    return true;
}

void device_settle_all(void)
{
    for (Device *d = device_first(); d; d = d->next) {
        lock_domain_lock(d->domain);
        if (d->started)
            saving_chain(d, d->type);
        lock_domain_unlock(d->domain);
    }
}

void device_save(Device *d, StateWriter *w)
{
    lock_domain_lock(d->domain);
    saving_chain(d, d->type);
    save_chain(d, d->type, w);
    lock_domain_unlock(d->domain);
}

static bool load_chain(Device *d, const DeviceType *t, StateReader *r, Error **errp)
{
    if (t->base && !load_chain(d, t->base, r, errp))
        return false;
    for (const RegBank *const *b = t->banks; b && *b; b++) {
        g_autofree char *name = g_strdup_printf("%s#%s", d->id, (*b)->name);
        if (!regs_load(d, *b, r, name, errp))
            return false;
    }
    g_autofree char *name = section_name(d, t);
    return !t->state || state_load_section(r, name, t->state, d, errp);
}

/* All hooks see what was written, even when something was refused before: the machine may be reset and go on. */
static bool loaded_chain(Device *d, const DeviceType *t, Error **errp)
{
    bool ok = !t->base || loaded_chain(d, t->base, errp);
    return (!t->loaded || t->loaded(d, ok ? errp : NULL)) && ok;
}

bool device_load(Device *d, StateReader *r, Error **errp)
{
    Error *err = NULL;
    lock_domain_lock(d->domain);
    bool ok = load_chain(d, d->type, r, &err);
    ok = loaded_chain(d, d->type, ok ? &err : NULL) && ok;
    lock_domain_unlock(d->domain);
    if (!ok) {
        error_prependf(&err, "device '%s'", d->id);
        error_propagate(errp, err);
    }
    return ok;
}

void device_save_all(StateWriter *w)
{
    for (unsigned i = 0; i < part_count(); i++) {
        if (part_at(i)->part->save)
            part_at(i)->part->save(part_at(i)->opaque, w);
    }
    for (Device *d = device_first(); d; d = d->next) {
        if (d->started)
            device_save(d, w);
    }
}

bool device_load_all(StateReader *r, Error **errp)
{
    bool ok = true;
    for (unsigned i = 0; ok && i < part_count(); i++)
        ok = !part_at(i)->part->load || part_at(i)->part->load(part_at(i)->opaque, r, errp);
    for (unsigned pass = 0; pass < 2; pass++) {
        for (Device *d = device_first(); ok && d; d = d->next)
            ok = !d->started || d->type->load_first == (pass != 0) || device_load(d, r, errp);
    }
    for (unsigned i = 0; ok && i < part_count(); i++) {
        if (part_at(i)->part->loaded)
            part_at(i)->part->loaded(part_at(i)->opaque);
    }
    return ok && state_reader_all_used(r, errp);
}

/* ---- print ---- */

static void info_chain(Device *d, const DeviceType *t, GString *out)
{
    if (t->base)
        info_chain(d, t->base, out);
    for (const RegBank *const *b = t->banks; b && *b; b++)
        regs_print(d, *b, out);
    if (t->state)
        state_print(t->state, d, out);
    if (t->info)
        t->info(d, out);
}

void device_print_info(Device *d, GString *out)
{
    lock_domain_lock(d->domain);
    g_string_append_printf(out, "%s (%s)%s%s\n", d->id, d->type->name, d->bus ? " on " : "",
                           d->bus ? d->bus->name : "");
    info_chain(d, d->type, out);
    lock_domain_unlock(d->domain);
}
