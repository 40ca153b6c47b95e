/* SPDX-License-Identifier: MIT */
/* The machine: registry of boards, making one, run states and requests. */
#include "hw/core/machine.h"

#include <inttypes.h>
#include <pthread.h>
#include <string.h>
#include "base/bits.h"
#include "base/rcu.h"
#include "hw/core/cpu-port.h"

static GPtrArray *types; /* of const MachineType * */
static Machine *current;

/* ---- registry ---- */

void machine_register(const MachineType *type)
{
    if (!types)
        types = g_ptr_array_new();
    g_ptr_array_add(types, (void *)type);
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const MachineType *const *)a)->name, (*(const MachineType *const *)b)->name);
}

const MachineType *const *machine_types(unsigned *count)
{
    static const MachineType *const none[] = { NULL };
    *count = types ? types->len : 0;
    if (!types)
        return none;
    g_ptr_array_sort(types, by_name);
    return (const MachineType *const *)types->pdata;
}

static bool answers_to(const MachineType *t, const char *name)
{
    return !strcmp(t->name, name) || (t->aliases && g_strv_contains(t->aliases, name));
}

const MachineType *machine_type_find(const char *name)
{
    for (unsigned i = 0; types && i < types->len; i++) {
        if (answers_to(types->pdata[i], name))
            return types->pdata[i];
    }
    return NULL;
}

/* ---- making and freeing ---- */

/* Guest time is a part of the machine's state. */
typedef struct ClockState {
    uint64_t virtual_ns;
} ClockState;

static const StateField clock_fields[] = { STATE_U64(ClockState, virtual_ns), STATE_END_OF_TABLE };

static void clock_save(void *opaque, StateWriter *w)
{
    ClockState s = { .virtual_ns = (uint64_t)clock_ns(CLOCK_VIRTUAL_NS) };
    state_save_section(w, "clock", clock_fields, &s);
}

static bool clock_load(void *opaque, StateReader *r, Error **errp)
{
    ClockState s;
    if (!state_load_section(r, "clock", clock_fields, &s, errp))
        return false;
    if (s.virtual_ns > INT64_MAX / 2) {
        error_setf(errp, "state stream: clock.virtual_ns: out of range");
        return false;
    }
    clock_virtual_set((int64_t)s.virtual_ns);
    return true;
}

static const MachinePart clock_part = { .name = "clock", .save = clock_save, .load = clock_load };

Machine *machine_new(const MachineType *type)
{
    g_assert(type->size >= sizeof(Machine));
    Machine *m = g_malloc0(type->size);
    m->type = type;
    m->config.ram_size = type->default_ram;
    m->config.cpus = m->config.max_cpus = m->config.sockets = m->config.dies = m->config.cores = m->config.threads = 1;
    m->memory = mem_container_new("memory", UINT64_MAX);
    m->io = mem_container_new("I/O", 0x10000);
    m->as_memory = as_new("memory", m->memory);
    m->as_io = as_new("I/O", m->io);
    props_set_defaults(type->props, m);
    machine_part_add(&clock_part, m);
    return m;
}

static bool check_config(const Machine *m, Error **errp)
{
    const MachineConfig *c = &m->config;
    const char *name = m->type->name;
    if (!c->ram_size || c->ram_size % 4096) {
        error_setf(errp, "machine '%s': a memory size of %" PRIu64 " bytes is not a multiple of 4 KiB; see -m", name,
                   c->ram_size);
        return false;
    }
    if (!c->cpus || c->cpus > c->max_cpus) {
        error_setf(errp, "machine '%s': -smp cpus=%u is not from 1 to maxcpus=%u", name, c->cpus, c->max_cpus);
        return false;
    }
    if (c->max_cpus > m->type->max_cpus) {
        error_setf(errp, "machine '%s': -smp wants %u CPUs, this machine takes at most %u", name, c->max_cpus,
                   m->type->max_cpus);
        return false;
    }
    uint64_t product = (uint64_t)c->sockets * MAX(c->dies, 1) * c->cores * c->threads;
    if (product != c->max_cpus) {
        error_setf(errp, "machine '%s': -smp sockets=%u * dies=%u * cores=%u * threads=%u is not maxcpus=%u", name,
                   c->sockets, MAX(c->dies, 1), c->cores, c->threads, c->max_cpus);
        return false;
    }
    return true;
}

bool machine_build(Machine *m, Error **errp)
{
    if (!check_config(m, errp))
        return false;
    current = m;
    return m->type->build(m, errp);
}

bool machine_complete(Machine *m, Error **errp) { return !m->type->complete || m->type->complete(m, errp); }

bool machine_make_ram(Machine *m, Error **errp)
{
    m->ram = m->config.ram ? m->config.ram
                           : mem_ram_new(m->type->ram_name ? m->type->ram_name : "ram", m->config.ram_size, errp);
    m->config.ram = NULL;
    return m->ram;
}

static void free_config(MachineConfig *c)
{
    if (c->numa)
        g_free(c->numa->cpu_node);
    g_free(c->numa);
    mem_region_free(c->ram);
    char **strings[] = { &c->cpu_model, &c->kernel,       &c->initrd,    &c->append,    &c->dtb,
                         &c->bios,      &c->firmware_dir, &c->name,      &c->uuid,      &c->rtc_base,
                         &c->rtc_clock, &c->boot_order,   &c->boot_once, &c->pflash[0], &c->pflash[1] };
    for (unsigned i = 0; i < ARRAY_LEN(strings); i++)
        g_free(*strings[i]);
}

void machine_free(Machine *m)
{
    if (!m)
        return;
    const CpuFamily *family = cpu_family_find(m->type->arch);
    if (family && family->destroy_all)
        family->destroy_all(m);
    cpu_ports_clear();
    for (Device *d = device_first(), *last; d; d = device_first()) { /* the last made goes first */
        for (last = d; last->next;)
            last = last->next;
        device_free(last);
    }
    if (m->type->destroy)
        m->type->destroy(m);
    machine_parts_clear();
    as_free(m->as_smm);
    as_free(m->as_io);
    as_free(m->as_memory);
    mem_region_free(m->smm);
    mem_region_free(m->ram);
    mem_region_free(m->io);
    mem_region_free(m->memory);
    props_free(m->type->props, m);
    free_config(&m->config);
    if (current == m)
        current = NULL;
    g_free(m);
    rcu_barrier();
}

Machine *machine_current(void) { return current; }

/* ---- run state and requests ---- */

static RunState run_state = RUN_PRELAUNCH;
static const MachineRunOps *run_ops;
static MachineRequests requests;
static pthread_mutex_t request_lock = PTHREAD_MUTEX_INITIALIZER;

RunState machine_run_state(void)
{
    return __atomic_load_n(&run_state, __ATOMIC_RELAXED);
}

const char *run_state_name(RunState s)
{
    static const char *const names[] = {
        [RUN_PRELAUNCH] = "prelaunch", [RUN_RUNNING] = "running", [RUN_PAUSED] = "paused", [RUN_SHUTDOWN] = "shutdown",
        [RUN_GUEST_PANICKED] = "guest-panicked", [RUN_SAVING] = "save-vm", [RUN_LOADING] = "restore-vm",
        [RUN_INTERNAL_ERROR] = "internal-error", [RUN_DEBUG] = "debug", [RUN_IO_ERROR] = "io-error",
    };
    return names[s];
}

void machine_set_run_ops(const MachineRunOps *ops) { run_ops = ops; }

static GPtrArray *listeners;

void machine_add_state_listener(void (*changed)(RunState s))
{
    if (!listeners)
        listeners = g_ptr_array_new();
    if (!g_ptr_array_find(listeners, (void *)changed, NULL))
        g_ptr_array_add(listeners, (void *)changed);
}

static void state_changed(RunState s)
{
    for (unsigned i = 0; listeners && i < listeners->len; i++)
        ((void (*)(RunState))listeners->pdata[i])(s);
}

void machine_pause(RunState s)
{
    if (machine_run_state() == RUN_RUNNING) {
        clock_virtual_enable(false);
        if (run_ops && run_ops->pause_cpus)
            run_ops->pause_cpus();
    }
    __atomic_store_n(&run_state, s, __ATOMIC_RELAXED);
    state_changed(s);
}

void machine_resume(void)
{
    if (machine_run_state() == RUN_RUNNING)
        return;
    __atomic_store_n(&run_state, RUN_RUNNING, __ATOMIC_RELAXED);
    state_changed(RUN_RUNNING);
    clock_virtual_enable(true);
    if (run_ops && run_ops->resume_cpus)
        run_ops->resume_cpus();
}

static bool panic_pauses(void) { return run_ops && run_ops->panic_pauses && run_ops->panic_pauses(); }

static unsigned still;

void machine_stand_still(void)
{
    if (!still++ && machine_run_state() == RUN_RUNNING && run_ops && run_ops->pause_cpus)
        run_ops->pause_cpus();
}

/*
 * A request that ends in a pause was made by a vCPU that must not run on: then they stand until the main loop has dealt
 * with it.
 */
void machine_go_on(void)
{
    pthread_mutex_lock(&request_lock);
    bool stopping = requests.reset || requests.shutdown || requests.exit || requests.suspend || requests.pause ||
                    (requests.panicked && panic_pauses());
    pthread_mutex_unlock(&request_lock);
    if (!--still && !stopping && machine_run_state() == RUN_RUNNING && run_ops && run_ops->resume_cpus)
        run_ops->resume_cpus();
}

/* Set one flag of the requests and wake the main loop. */
#define REQUEST(statements) do { \
    pthread_mutex_lock(&request_lock); \
    statements; \
    pthread_mutex_unlock(&request_lock); \
    if (run_ops && run_ops->request) \
        run_ops->request(); \
} while (0)

/* These end in a pause: the vCPU that asks does not run far beyond it. */
#define STOPPING_REQUEST(statements) do { \
    stand_by(); \
    REQUEST(statements); \
} while (0)

static void stand_by(void)
{
    if (run_ops && run_ops->stand_by && machine_run_state() == RUN_RUNNING)
        run_ops->stand_by();
}

void machine_request_reset(ShutdownCause cause) { STOPPING_REQUEST(requests.reset = true; requests.cause = cause); }
void machine_request_shutdown(ShutdownCause cause)
{
    STOPPING_REQUEST(requests.shutdown = true; requests.cause = cause);
}
void machine_request_exit(int status) { STOPPING_REQUEST(requests.exit = true; requests.exit_status = status); }
void machine_request_suspend(void) { STOPPING_REQUEST(requests.suspend = true); }
void machine_request_pause(RunState s) { STOPPING_REQUEST(requests.pause = true; requests.pause_state = s); }
void machine_request_wakeup(void) { REQUEST(requests.wakeup = true); }
void machine_request_power_button(void) { REQUEST(requests.power_button = true); }

void machine_guest_panicked(const char *how)
{
    warn_reportf("the guest reports that it has panicked (%s)", how);
    if (panic_pauses())
        stand_by();
    REQUEST(requests.panicked = !requests.exit); /* the first of them counts */
}

MachineRequests machine_take_requests(void)
{
    pthread_mutex_lock(&request_lock);
    MachineRequests r = requests;
    requests = (MachineRequests){ 0 };
    pthread_mutex_unlock(&request_lock);
    return r;
}
