/* SPDX-License-Identifier: MIT */
/* From the settings to a machine: board, accelerator, devices, firmware files. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include "accel/accel.h"
#include "base/bits.h"
#include "base/object.h"
#include "hw/core/cpu-port.h"
#include "hw/core/ram-source.h"
#include "hw/firmware/fw_cfg.h"
#include "hw/firmware/loader.h"
#include "system/settings.h"

#define FW_CFG_USER_MAX (64 * 1024 * 1024)

/* ---- which machine ---- */

static const char *default_machine(const Settings *s)
{
    return strstr(s->program, "aarch64") || g_str_has_suffix(s->program, "-arm") ? "virt" : "q35";
}

static const MachineType *choose_machine(const Settings *s, Error **errp)
{
    const char *name = s->machine ? s->machine : default_machine(s);
    const MachineType *t = machine_type_find(name);
    if (t)
        return t;
    unsigned count;
    const MachineType *const *types = machine_types(&count);
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    for (unsigned i = 0; i < count; i++) {
        g_ptr_array_add(names, (void *)types[i]->name);
        for (const char *const *a = types[i]->aliases; a && *a; a++)
            g_ptr_array_add(names, (void *)*a);
    }
    g_ptr_array_add(names, NULL);
    error_set_unknown(errp, "machine", name, (const char *const *)names->pdata);
    return NULL;
}

/* Keys of -machine that every board has; the board's own come from its property table. */
static const struct { const char *key, *help; } machine_keys[] = {
    { "accel", "accelerators to try, as in kvm:tcg" },
    { "acpi", "on|off: ACPI tables" },
    { "hpet", "on|off: high precision event timer" },
    { "graphics", "on|off: firmware may use a display" },
    { "memory-backend", "ID of the -object memory-backend-* that is the machine's RAM" },
    { "hmat", "on|off: the guest is told how fast the nodes' memory is (-numa hmat-lb, hmat-cache)" },
    { "nvdimm", "on|off: accepted; -device nvdimm needs nothing more" },
    { "mem-merge", "on|off: the host may merge equal pages" },
    { "dump-guest-core", "on|off: guest RAM is part of core dumps" },
    { "kernel", "as -kernel" },
    { "initrd", "as -initrd" },
    { "append", "as -append" },
    { "dtb", "as -dtb" },
    { "firmware", "as -bios" },
};

static void print_machine_help(const MachineType *t)
{
    g_autoptr(GString) text = g_string_new(NULL);
    g_string_append_printf(text, "%s: %s\n", t->name, t->desc);
    for (unsigned i = 0; i < G_N_ELEMENTS(machine_keys); i++)
        g_string_append_printf(text, "  %-24s %s\n", machine_keys[i].key, machine_keys[i].help);
    if (t->props)
        props_print_help(t->props, text);
    fputs(text->str, stdout);
}

static void print_cpu_help(const MachineType *t)
{
    const CpuFamily *family = cpu_family_find(t->arch);
    g_autoptr(GString) text = g_string_new(NULL);
    if (family && family->print_help)
        family->print_help(text);
    else
        g_string_append_printf(text, "machine '%s' has no CPU\n", t->name);
    fputs(text->str, stdout);
}

/* ---- -machine key=value ---- */

static bool set_negated(Opts *o, const char *key, bool *no, Error **errp)
{
    bool on;
    if (!opts_get_bool(o, key, !*no, &on, errp))
        return false;
    *no = !on;
    return true;
}

static void set_string(Opts *o, const char *key, char **field)
{
    const char *v = opts_get(o, key);
    if (v && !*field)
        *field = g_strdup(v);
}

/* The common keys; an option of the same meaning (-kernel) goes before. */
static bool apply_common_keys(Settings *s, Error **errp)
{
    MachineConfig *c = &s->config;
    Opts *o = s->machine_opts;
    set_string(o, "kernel", &c->kernel);
    set_string(o, "initrd", &c->initrd);
    set_string(o, "append", &c->append);
    set_string(o, "dtb", &c->dtb);
    set_string(o, "firmware", &c->bios);
    bool merge, dump;
    opts_get(o, "accel");
    opts_get(o, "hmat"); /* with the nodes */
    opts_get(o, "nvdimm");
    if (!opts_get_bool(o, "mem-merge", true, &merge, errp) || !opts_get_bool(o, "dump-guest-core", true, &dump, errp))
        return false;
    ram_source_set_defaults(merge, dump);
    return set_negated(o, "acpi", &c->no_acpi, errp) && set_negated(o, "hpet", &c->no_hpet, errp) &&
           opts_get_bool(o, "graphics", c->graphics, &c->graphics, errp);
}

static void unknown_machine_key(const MachineType *t, const char *key, Error **errp)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    g_autofree char *object = g_strdup_printf("machine '%s': option", t->name);
    for (unsigned i = 0; i < G_N_ELEMENTS(machine_keys); i++)
        g_ptr_array_add(names, (void *)machine_keys[i].key);
    for (const Property *p = t->props; p && p->kind != PROP_END; p++)
        g_ptr_array_add(names, (void *)p->name);
    g_ptr_array_add(names, NULL);
    error_set_unknown(errp, object, key, (const char *const *)names->pdata);
}

static bool apply_board_keys(Settings *s, Machine *m, Error **errp)
{
    const MachineType *t = m->type;
    for (unsigned i = 0; i < opts_count(s->machine_opts); i++) {
        const char *key = opts_key(s->machine_opts, i);
        bool common = false;
        for (unsigned k = 0; k < G_N_ELEMENTS(machine_keys); k++)
            common |= !strcmp(machine_keys[k].key, key);
        if (t->props && props_find(t->props, key)) {
            g_autofree char *what = g_strdup_printf("machine '%s'", t->name);
            if (!props_set(t->props, m, what, key, opts_value(s->machine_opts, i), errp))
                return false;
        } else if (!common) {
            unknown_machine_key(t, key, errp);
            return false;
        }
    }
    return true;
}

/* Move what the options set into the machine's own configuration, over its defaults. */
static bool apply_config(Settings *s, Machine *m, Error **errp)
{
    if (!apply_common_keys(s, errp))
        return false;
    MachineConfig c = s->config;
    c.ram_size = s->ram_size ? s->ram_size : m->config.ram_size;
    Topology t = { 1, 1, 1, 1, 1, 1 };
    if (s->smp && !topology_parse(s->smp, &t, errp))
        return false;
    c.cpus = t.cpus;
    c.sockets = t.sockets;
    c.dies = t.dies;
    c.cores = t.cores;
    c.threads = t.threads;
    c.max_cpus = t.max_cpus;
    m->config = c;
    s->config = (MachineConfig){ 0 };
    return apply_board_keys(s, m, errp);
}

/* ---- accelerator ---- */

/* last: nothing else would be tried after it. */
static bool try_accel(Machine *m, Opts *opts, bool last, char **why, Error **errp)
{
    const char *name = opts_get(opts, "accel");
    const AccelType *t = name ? accel_find(name) : NULL;
    if (!t) {
        static const char *const known[] = { "kvm", "hvf", "whpx", "nvmm", "xen", "qtest", NULL };
        if (name && g_strv_contains(known, name)) {
            *why = g_strdup_printf("%s is not in this program", name);
            return false;
        }
        return accel_unknown(name ? name : "", errp);
    }
    g_autofree char *reason = NULL;
    if ((t->available && !t->available(m->type->arch, &reason)) ||
        (!last && t->worthwhile && !t->worthwhile(m->type->arch, &reason))) {
        *why = g_strdup_printf("%s: %s", name, reason ? reason : "not available");
        return false;
    }
    if (last || opts_count(opts) > 1) /* with options it is meant */
        return accel_setup(m, name, opts, errp);
    Error *err = NULL;
    if (accel_setup(m, name, opts, &err))
        return true;
    *why = g_strdup(err->message);
    error_free(err);
    return false;
}

/* One candidate for each of the names in "a:b", with the other keys of `from` (or NULL). */
static void add_candidates(GPtrArray *list, const char *names, const Opts *from)
{
    g_auto(GStrv) each = g_strsplit(names, ":", -1);
    for (char **n = each; *n; n++) {
        Opts *o = opts_new();
        opts_set(o, "accel", *n);
        for (unsigned k = 0; from && k < opts_count(from); k++) {
            if (strcmp(opts_key(from, k), "accel"))
                opts_set(o, opts_key(from, k), opts_value(from, k));
        }
        g_ptr_array_add(list, o);
    }
}

/* What to try: -accel in order, -machine accel=a:b, or KVM before the translator. */
static GPtrArray *accel_candidates(const Settings *s, bool *asked)
{
    GPtrArray *list = g_ptr_array_new_with_free_func((GDestroyNotify)opts_free);
    const char *names = opts_get(s->machine_opts, "accel");
    *asked = s->accels->len || names;
    for (unsigned i = 0; i < s->accels->len; i++) {
        Opts *o = s->accels->pdata[i];
        const char *name = opts_get(o, "accel");
        add_candidates(list, name ? name : "", o);
    }
    if (!s->accels->len)
        add_candidates(list, names ? names : s->icount ? "tcg" : "kvm:tcg", NULL);
    return list;
}

static bool set_icount(Settings *s, Error **errp)
{
    if (!s->icount)
        return true;
    if (accel_current()->set_icount)
        return accel_current()->set_icount(s->icount, errp);
    error_setf(errp, "-icount: accelerator '%s' cannot count instructions; use -accel tcg", accel_current()->name);
    return false;
}

static bool setup_accel(Settings *s, Machine *m, Error **errp)
{
    bool asked;
    g_autoptr(GPtrArray) list = accel_candidates(s, &asked);
    g_autoptr(GString) refused = g_string_new(NULL);
    for (unsigned i = 0; i < list->len; i++) {
        g_autofree char *why = NULL;
        Error *err = NULL;
        if (try_accel(m, list->pdata[i], i + 1 == list->len, &why, &err)) {
            s->accel_note = g_strdup_printf("accelerator: %s (%s%s)", accel_current()->name,
                                            asked ? "as asked for" : "the default here", refused->str);
            return set_icount(s, errp);
        }
        if (err) {
            error_propagate(errp, err);
            return false;
        }
        g_string_append_printf(refused, "; %s", why);
    }
    error_setf(errp, "no accelerator works%s; try -accel tcg", refused->str);
    return false;
}

/* ---- the rest ---- */

static bool add_fw_cfg_files(const Settings *s, Error **errp)
{
    FwCfg *f = fw_cfg_find();
    for (unsigned i = 0; i < s->fw_cfg->len; i++) {
        Opts *o = s->fw_cfg->pdata[i];
        const char *name = opts_get(o, "name"), *file = opts_get(o, "file"), *string = opts_get(o, "string");
        if (!f) {
            error_setf(errp, "-fw_cfg '%s': this machine has no firmware configuration device", name);
            return false;
        }
        g_autoptr(GBytes) data = file ? loader_read_file("-fw_cfg file", file, FW_CFG_USER_MAX, errp)
                                      : g_bytes_new(string, strlen(string));
        if (!data || !fw_cfg_add_file_gbytes(f, name, data, errp))
            return false;
    }
    return true;
}

/* RAM must lie below the highest address that the CPU model has, 4 GiB of which devices may take. */
static bool check_address_bits(const Machine *m, Error **errp)
{
    const CpuFamily *family = cpu_family_find(m->type->arch);
    unsigned bits = family && family->phys_bits ? family->phys_bits((Machine *)m) : 64;
    if (bits >= 64 || MAX(m->config.ram_size, m->config.ram_max) <= BIT(bits) - (bits > 32 ? 4 * GiB : 0))
        return true;
    error_setf(errp,
               "-m: %" G_GUINT64_FORMAT
               " GiB are more than the CPU's %u address bits reach; use a smaller size or -cpu MODEL,phys-bits=48",
               (guint64)(MAX(m->config.ram_size, m->config.ram_max) / GiB), bits);
    return false;
}

/* Before machines, drives and devices, which name them. */
static bool add_objects(const Settings *s, Error **errp)
{
    for (unsigned i = 0; i < s->objects->len; i++) {
        if (!object_add(s->objects->pdata[i], errp))
            return false;
    }
    return true;
}

static bool add_devices(const Settings *s, Error **errp)
{
    for (unsigned i = 0; i < s->devices->len; i++) {
        if (!device_add(s->devices->pdata[i], errp))
            return false;
    }
    FwCfg *f = fw_cfg_find();
    return device_check_globals(errp) && (!f || fw_cfg_add_boot_devices(f, errp));
}

Machine *setup_machine(Settings *s, Error **errp)
{
    const MachineType *type = choose_machine(s, errp);
    if (!type)
        return NULL;
    if (s->machine_help || s->cpu_help) {
        if (s->machine_help)
            print_machine_help(type);
        else
            print_cpu_help(type);
        s->done = true;
        return NULL;
    }
    if (!setup_chardevs(s, errp) || !setup_semihosting(errp))
        return NULL;
    run_init(&s->policy);
    Machine *m = machine_new(type);
    bool ok = apply_config(s, m, errp) && add_objects(s, errp) && setup_memory(s, m, errp) && setup_accel(s, m, errp) &&
              setup_blocks(s, m, errp) && machine_build(m, errp) && check_address_bits(m, errp) &&
              add_fw_cfg_files(s, errp);
    if (ok)
        settle_drive_devices(s);
    ok = ok && add_devices(s, errp) && machine_complete(m, errp) && setup_monitors(s, errp);
    if (ok && s->mem_lock && mlockall(MCL_CURRENT | MCL_FUTURE)) {
        error_set_errno(errp, errno, "-overcommit mem-lock=on: memory can't be locked; raise the limit (ulimit -l)");
        ok = false;
    }
    return ok ? m : NULL; /* after an error the process ends */
}
