/* SPDX-License-Identifier: MIT */
/* Options about the machine: board, accelerator, CPUs, memory, identity. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include "accel/accel.h"
#include "base/bits.h"
#include "hw/core/cpu-port.h"
#include "system/settings.h"

#define MAX_CPUS 4096
#define MAX_SLOTS 256

static void replace(char **field, const char *value)
{
    g_free(*field);
    *field = g_strdup(value);
}

/* ---- -machine ---- */

static void print_machines(void)
{
    unsigned count;
    const MachineType *const *types = machine_types(&count);
    printf("Machines:\n");
    for (unsigned i = 0; i < count; i++) {
        const char *const *a = types[i]->aliases;
        printf("  %-10s %-9s %s", types[i]->name, types[i]->arch ? types[i]->arch : "-", types[i]->desc);
        unsigned n = a ? g_strv_length((char **)a) : 0;
        if (n)
            printf(n > 1 ? " (also %s ... %s)" : " (also %s)", a[0], a[n - 1]);
        printf("\n");
    }
}

static bool set_machine_opts(Settings *s, Opts *opts, Error **errp)
{
    for (unsigned i = 0; i < opts_count(opts); i++) {
        const char *key = opts_key(opts, i);
        if (!strcmp(key, "type"))
            replace(&s->machine, opts_value(opts, i));
        else if (option_is_help(key))
            s->machine_help = true;
        else
            opts_set(s->machine_opts, key, opts_value(opts, i));
    }
    return true;
}

static bool opt_machine(Settings *s, const char *arg, Error **errp)
{
    if (option_is_help(arg)) {
        print_machines();
        s->done = true;
        return true;
    }
    g_autoptr(Opts) o = opts_parse(arg, "type", errp);
    if (!o) {
        error_prependf(errp, "-machine");
        return false;
    }
    return set_machine_opts(s, o, errp);
}

/* ---- -accel ---- */

/* All of them, or the options of one. */
static bool print_accels(Settings *s, const char *name, Error **errp)
{
    unsigned count;
    const AccelType *const *types = accel_types(&count), *one = name ? accel_find(name) : NULL;
    g_autoptr(GString) text = g_string_new(NULL);
    if (one) {
        g_string_append_printf(text, "%s: %s\n", one->name, one->desc);
        props_print_help(one->props, text);
        return option_answer(s, text);
    }
    if (name)
        return accel_unknown(name, errp);
    g_string_append(text, "Accelerators in this program (-accel NAME,help for the options of one):\n");
    for (unsigned i = 0; i < count; i++)
        g_string_append_printf(text, "  %-8s %s\n", types[i]->name, types[i]->desc);
    return option_answer(s, text);
}

static bool opt_icount(Settings *s, const char *arg, Error **errp)
{
    opts_free(s->icount);
    s->icount = opts_parse(arg, "shift", errp);
    return s->icount || (error_prependf(errp, "-icount"), false);
}

static bool opt_accel(Settings *s, const char *arg, Error **errp)
{
    if (option_is_help(arg))
        return print_accels(s, NULL, errp);
    Opts *o = opts_parse(arg, "accel", errp);
    if (!o) {
        error_prependf(errp, "-accel");
        return false;
    }
    if (option_asks_help(o)) {
        bool ok = print_accels(s, opts_get(o, "accel"), errp);
        opts_free(o);
        return ok;
    }
    g_ptr_array_add(s->accels, o);
    return true;
}

static bool opt_overcommit(Settings *s, const char *arg, Error **errp)
{
    static const char *const keys[] = { "mem-lock", "cpu-pm", NULL };
    bool cpu_pm = false;
    g_autoptr(Opts) o = opts_parse(arg, NULL, errp);
    if (!o || !opts_get_bool(o, "mem-lock", false, &s->mem_lock, errp) ||
        !opts_get_bool(o, "cpu-pm", false, &cpu_pm, errp) || !opts_all_used(o, "-overcommit", keys, errp))
        return false;
    if (cpu_pm)
        error_setf(errp, "-overcommit: cpu-pm=on: guests do not get the host's idle states here; leave it out");
    return !cpu_pm;
}

static bool opt_enable_kvm(Settings *s, const char *arg, Error **errp)
{
    return opt_accel(s, "kvm", errp);
}

/* ---- -cpu, -smp, -m ---- */

static bool opt_cpu(Settings *s, const char *arg, Error **errp)
{
    if (option_is_help(arg))
        s->cpu_help = true;
    else
        replace(&s->config.cpu_model, arg);
    return true;
}

static bool opt_smp(Settings *s, const char *arg, Error **errp)
{
    Topology t;
    opts_free(s->smp);
    s->smp = opts_parse(arg, "cpus", errp);
    if (s->smp && topology_parse(s->smp, &t, errp))
        return true;
    error_prependf(errp, "-smp '%s'", arg);
    return false;
}

/* One count: 0 when absent; 0 in words is an error, as is a number that no machine has. */
static bool get_count(Opts *smp, const char *key, unsigned *out, Error **errp)
{
    uint64_t v;
    if (!opts_get_u64(smp, key, 0, &v, errp))
        return false;
    if (opts_has(smp, key) && (v < 1 || v > MAX_CPUS)) {
        error_setf(errp, "%s=%" PRIu64 " is not from 1 to %d", key, v, MAX_CPUS);
        return false;
    }
    *out = (unsigned)v;
    return true;
}

/* Work out what is missing: cores before sockets before threads, as QEMU does since 6.2. */
static void fill_in(Topology *t)
{
    t->dies = t->dies ? t->dies : 1;
    unsigned want = t->max_cpus ? t->max_cpus : t->cpus;
    if (!want) {
        t->sockets = t->sockets ? t->sockets : 1;
        t->cores = t->cores ? t->cores : 1;
        t->threads = t->threads ? t->threads : 1;
    } else if (!t->cores) {
        t->sockets = t->sockets ? t->sockets : 1;
        t->threads = t->threads ? t->threads : 1;
        t->cores = want / MAX(1u, t->sockets * t->dies * t->threads);
    } else if (!t->sockets) {
        t->threads = t->threads ? t->threads : 1;
        t->sockets = want / MAX(1u, t->dies * t->cores * t->threads);
    } else if (!t->threads) {
        t->threads = want / MAX(1u, t->dies * t->cores * t->sockets);
    }
}

bool topology_parse(Opts *smp, Topology *t, Error **errp)
{
    static const char *const keys[] = { "cpus", "sockets", "dies", "cores", "threads", "maxcpus", NULL };
    unsigned *const fields[] = { &t->cpus, &t->sockets, &t->dies, &t->cores, &t->threads, &t->max_cpus };
    memset(t, 0, sizeof(*t));
    for (unsigned i = 0; i < ARRAY_LEN(fields); i++) {
        if (!get_count(smp, keys[i], fields[i], errp))
            return false;
    }
    if (!opts_all_used(smp, "CPU topology", keys, errp))
        return false;
    unsigned want = t->max_cpus ? t->max_cpus : t->cpus;
    fill_in(t);
    uint64_t product = (uint64_t)t->sockets * t->dies * t->cores * t->threads;
    if (!product || product > MAX_CPUS || (want && product != want)) {
        error_setf(errp,
                   "sockets * dies * cores * threads = %u * %u * %u * %u is not the %u CPUs asked for; leave some out",
                   t->sockets, t->dies, t->cores, t->threads, want);
        return false;
    }
    t->max_cpus = (unsigned)product;
    t->cpus = t->cpus ? t->cpus : t->max_cpus;
    if (t->cpus > t->max_cpus) {
        error_setf(errp, "cpus=%u is more than maxcpus=%u", t->cpus, t->max_cpus);
        return false;
    }
    return true;
}

/* Room for memory devices. */
static bool set_hotplug(Settings *s, const char *arg, uint64_t slots, const char *max, Error **errp)
{
    s->ram_slots = (unsigned)MIN(slots, MAX_SLOTS + 1);
    s->ram_max = 0;
    if (max && (!parse_size(max, MiB, &s->ram_max) || s->ram_max % 4096 || s->ram_max > 4096 * 1024 * GiB)) {
        error_setf(errp, "-m '%s': maxmem is not a size; write it as in maxmem=8G", arg);
        return false;
    }
    if (slots > MAX_SLOTS) {
        error_setf(errp, "-m '%s': slots=%" PRIu64 " is not from 0 to %d", arg, slots, MAX_SLOTS);
        return false;
    }
    if (s->ram_max && s->ram_max < s->ram_size) {
        error_setf(errp, "-m '%s': maxmem is less than size; it is RAM and memory devices together", arg);
        return false;
    }
    if (slots && s->ram_max <= s->ram_size) {
        error_setf(errp, "-m '%s': slots= without room to fill them; add maxmem= of more than size", arg);
        return false;
    }
    return true;
}

static bool opt_numa(Settings *s, const char *arg, Error **errp)
{
    g_ptr_array_add(s->numa, g_strdup(arg));
    return true;
}

static bool opt_m(Settings *s, const char *arg, Error **errp)
{
    static const char *const keys[] = { "size", "slots", "maxmem", NULL };
    g_autoptr(Opts) o = opts_parse(arg, "size", errp);
    if (!o)
        return false;
    const char *size = opts_get(o, "size"), *max = opts_get(o, "maxmem");
    uint64_t slots = 0;
    if (!opts_get_u64(o, "slots", 0, &slots, errp) || !opts_all_used(o, "-m", keys, errp))
        return false;
    if (!size || !parse_size(size, MiB, &s->ram_size)) {
        error_setf(errp, "-m '%s': not a size; write MiB or a number with M, G or T behind it", arg);
        return false;
    }
    if (s->ram_size < MiB || s->ram_size > 4096 * 1024 * GiB || s->ram_size % 4096) {
        error_setf(errp, "-m '%s': impossible memory size; give at least 1M, a multiple of 4 KiB", arg);
        return false;
    }
    return set_hotplug(s, arg, slots, max, errp);
}

/* ---- identity ---- */

static bool opt_name(Settings *s, const char *arg, Error **errp)
{
    static const char *const keys[] = { "guest", "process", "debug-threads", NULL };
    bool ignored;
    g_autoptr(Opts) o = opts_parse(arg, "guest", errp);
    if (!o)
        return false;
    const char *guest = opts_get(o, "guest"), *process = opts_get(o, "process");
    if (!opts_get_bool(o, "debug-threads", true, &ignored, errp) || !opts_all_used(o, "-name", keys, errp))
        return false;
    if (guest)
        replace(&s->config.name, guest);
    if (process)
        prctl(PR_SET_NAME, process);
    return true;
}

static bool opt_uuid(Settings *s, const char *arg, Error **errp)
{
    bool ok = strlen(arg) == 36;
    for (unsigned i = 0; ok && i < 36; i++)
        ok = i == 8 || i == 13 || i == 18 || i == 23 ? arg[i] == '-' : g_ascii_isxdigit(arg[i]);
    if (!ok) {
        error_setf(errp, "-uuid '%s': not of the form 12345678-1234-1234-1234-123456789abc", arg);
        return false;
    }
    replace(&s->config.uuid, arg);
    return true;
}

static bool is_date(const char *text)
{
    g_autofree char *full = strchr(text, 'T') ? g_strconcat(text, "Z", NULL) : g_strconcat(text, "T00:00:00Z", NULL);
    GDateTime *t = g_date_time_new_from_iso8601(full, NULL);
    if (t)
        g_date_time_unref(t);
    return t != NULL;
}

static bool check_choice(const char *option, const char *value, const char *const *valid, Error **errp)
{
    if (!value || g_strv_contains(valid, value))
        return true;
    error_set_unknown(errp, option, value, valid);
    return false;
}

static bool opt_rtc(Settings *s, const char *arg, Error **errp)
{
    static const char *const keys[] = { "base", "clock", "driftfix", NULL };
    static const char *const clocks[] = { "host", "rt", "vm", NULL }, *const driftfix[] = { "none", "slew", NULL };
    g_autoptr(Opts) o = opts_parse(arg, "base", errp);
    if (!o)
        return false;
    const char *base = opts_get(o, "base"), *clock = opts_get(o, "clock");
    if (!check_choice("-rtc clock", clock, clocks, errp) ||
        !check_choice("-rtc driftfix", opts_get(o, "driftfix"), driftfix, errp) ||
        !opts_all_used(o, "-rtc", keys, errp)) {
        return false;
    }
    if (base && strcmp(base, "utc") && strcmp(base, "localtime") && !is_date(base)) {
        error_setf(errp, "-rtc base '%s': neither utc, localtime nor a date like 2006-06-17T16:01:21", base);
        return false;
    }
    if (base)
        replace(&s->config.rtc_base, base);
    if (clock)
        replace(&s->config.rtc_clock, clock);
    return true;
}

/* ---- display ---- */

static bool opt_nographic(Settings *s, const char *arg, Error **errp)
{
    s->nographic = true;
    return true;
}

static bool opt_display(Settings *s, const char *arg, Error **errp)
{
    static const char *const valid[] = { "none", NULL };
    if (option_is_help(arg)) {
        printf("Displays in this program:\n  none   no window; the guest's console is its serial line\n");
        s->done = true;
        return true;
    }
    s->display_none = true;
    return check_choice("display", arg, valid, errp);
}

static bool opt_vga(Settings *s, const char *arg, Error **errp)
{
    static const char *const valid[] = { "none", NULL };
    return check_choice("display adapter", arg, valid, errp);
}

static bool opt_net(Settings *s, const char *arg, Error **errp)
{
    static const char *const valid[] = { "none", NULL };
    return check_choice("network", arg, valid, errp);
}

#define FLAG(f) .offset = offsetof(Settings, f)
const Option options_machine[] = {
    { "machine", "[type=]NAME[,KEY=VALUE...]", "the machine; -M help lists them, -M NAME,help its options",
      opt_machine },
    { "M", "NAME", NULL, opt_machine },
    { "icount", "[shift=]N|auto[,sleep=on|off][,align=on|off]",
      "virtual time from executed instructions, 2^N ns each; repeats exactly", opt_icount },
    { "accel", "NAME[:NAME...][,KEY=VALUE...]",
      "who runs the CPUs; several or repeated: the first that works; -accel help", opt_accel },
    { "enable-kvm", NULL, "-accel kvm", opt_enable_kvm },
    { "cpu", "MODEL[,+FEATURE,-FEATURE]", "CPU model; -cpu help lists them", opt_cpu },
    { "smp", "[cpus=]N[,sockets=,dies=,cores=,threads=,maxcpus=]", "number and topology of the CPUs (1)", opt_smp },
    { "m", "[size=]SIZE[,slots=N,maxmem=SIZE]", "memory, in MiB or with a suffix M, G, T; maxmem: with memory devices",
      opt_m },
    { "mem-path", "PATH", "RAM in a file, or in a folder of tmpfs or hugetlbfs", FLAG(mem_path) },
    { "mem-prealloc", NULL, "allocate all RAM at the start", FLAG(mem_prealloc) },
    { "overcommit", "[mem-lock=on|off]", "mem-lock: the program's memory, the guest's included, is never swapped out",
      opt_overcommit },
    { "numa", "node[,memdev=ID|mem=SIZE][,cpus=A-B][,nodeid=N] | dist,src=,dst=,val= | cpu,node-id=,socket-id=...",
      "NUMA nodes of the guest, their distances and CPUs", opt_numa },
    { "name", "[guest=]NAME[,process=NAME]", "name of the guest, and of the process", opt_name },
    { "uuid", "UUID", "the machine's UUID", opt_uuid },
    { "rtc", "[base=]utc|localtime|DATE[,clock=host|rt|vm]", "what the real-time clock starts with and counts",
      opt_rtc },
    { "nographic", NULL, "no display; serial port and monitor on this terminal (Ctrl-a h helps)", opt_nographic },
    { "display", "none", "kind of display; -display help", opt_display },
    { "vga", "none", "display adapter", opt_vga },
    { "no-acpi", NULL, "no ACPI tables", FLAG(config.no_acpi) },
    { "no-hpet", NULL, "no high precision event timer", FLAG(config.no_hpet) },
    { "net", "none", "network: there is none in this version", opt_net },
    { "nic", "none", NULL, opt_net },
    { 0 },
};
