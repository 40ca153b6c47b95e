/* SPDX-License-Identifier: MIT */
/* The GDB stub: registers, memory, points, going on. */
#include <string.h>
#include "system/gdbstub-internal.h"

enum { EINVAL_ = 0x16, EFAULT_ = 0x0e, ENOMEM_ = 0x0c };

Vcpu *gdb_vcpu(unsigned index) { return index < vcpu_count() ? vcpu_get(index) : NULL; }

/* The one that the client goes on with; it may have been unplugged. */
static Vcpu *gdb_run_vcpu(void)
{
    Vcpu *v = gdb_vcpu(gdb.run_cpu);
    return v ? v : gdb_vcpu(0);
}

static bool answer(bool ok)
{
    if (ok)
        gdb_put("OK");
    else
        gdb_error(EINVAL_);
    return true;
}

/* ---- registers ---- */

static bool read_all(const char *p)
{
    gdb_read_g(gdb_vcpu(gdb.reg_cpu));
    return true;
}

static bool write_all(const char *p) { return answer(gdb_write_g(gdb_vcpu(gdb.reg_cpu), p)); }

static bool read_one(const char *p)
{
    uint64_t n;
    if (!gdb_get_number(&p, &n) || n > UINT16_MAX || !gdb_read_reg(gdb_vcpu(gdb.reg_cpu), (unsigned)n))
        gdb_error(EINVAL_);
    return true;
}

static bool write_one(const char *p)
{
    uint64_t n;
    return answer(gdb_get_number(&p, &n) && *p++ == '=' && n <= UINT16_MAX &&
                  gdb_write_reg(gdb_vcpu(gdb.reg_cpu), (unsigned)n, p));
}

/* ---- memory ---- */

/* "ADDR,LENGTH" */
static bool get_range(const char **p, uint64_t *at, uint64_t *len)
{
    return gdb_get_number(p, at) && *(*p)++ == ',' && gdb_get_number(p, len);
}

static bool copy(uint64_t at, uint8_t *data, unsigned len, bool write)
{
    Vcpu *v = gdb_vcpu(gdb.reg_cpu);
    if (gdb.phys)
        return write ? debug_write_phys(v, at, data, len) : debug_read_phys(v, at, data, len);
    return write ? debug_write(v, at, data, len) : debug_read(v, at, data, len);
}

static bool read_memory(const char *p)
{
    uint64_t at, len;
    if (!get_range(&p, &at, &len) || *p) {
        gdb_error(EINVAL_);
        return true;
    }
    len = MIN(len, GDB_MEMORY_MAX); /* fewer bytes than asked for are allowed */
    g_autofree uint8_t *data = g_malloc(len + 1);
    if (copy(at, data, (unsigned)len, false)) {
        gdb_put_hex(data, len);
        return true;
    }
    uint64_t to_page = 4096 - at % 4096; /* as far as it is mapped */
    if (to_page < len && copy(at, data, (unsigned)to_page, false))
        gdb_put_hex(data, to_page);
    else
        gdb_error(EFAULT_);
    return true;
}

static bool write_memory(const char *p)
{
    uint64_t at, len;
    g_autofree uint8_t *data = g_malloc(GDB_PACKET_MAX);
    if (!get_range(&p, &at, &len) || *p++ != ':' || len > GDB_MEMORY_MAX || !gdb_get_bytes(&p, data, len) || *p)
        gdb_error(EINVAL_);
    else if (len && !copy(at, data, (unsigned)len, true))
        gdb_error(EFAULT_);
    else
        gdb_put("OK");
    return true;
}

/* X: binary data, "}" before what is xor-ed with 0x20. */
static bool write_binary(const char *body, size_t size)
{
    const char *p = body + 1, *end = body + size;
    uint64_t at, len, n = 0;
    g_autofree uint8_t *data = g_malloc(GDB_PACKET_MAX);
    if (!get_range(&p, &at, &len) || *p++ != ':' || len > GDB_PACKET_MAX) {
        gdb_error(EINVAL_);
        return true;
    }
    for (; p < end && n < len; p++) {
        bool escaped = *p == '}' && p + 1 < end;
        data[n++] = (uint8_t)(escaped ? *++p ^ 0x20 : *p);
    }
    if (n != len || p != end)
        gdb_error(EINVAL_);
    else if (len && !copy(at, data, (unsigned)len, true))
        gdb_error(EFAULT_);
    else
        gdb_put("OK");
    return true;
}

/* ---- break- and watchpoints: "TYPE,ADDR,LENGTH"; conditions and commands behind are the client's own business ---- */

static bool point(const char *p, bool add)
{
    uint64_t kind, at, len;
    if (!gdb_get_number(&p, &kind) || *p++ != ',' || !get_range(&p, &at, &len)) {
        gdb_error(EINVAL_);
        return true;
    }
    if (kind >= DEBUG_KINDS)
        return true; /* not supported: an empty reply */
    Error *err = NULL;
    if (!add)
        debug_point_remove((DebugKind)kind, at, len);
    else if (!debug_point_add((DebugKind)kind, at, len, &err)) {
        error_free(err);
        gdb_error(ENOMEM_);
        return true;
    }
    gdb_put("OK");
    return true;
}

static bool insert_point(const char *p) { return point(p, true); }
static bool remove_point(const char *p) { return point(p, false); }

/* ---- threads: number = index of the vCPU + 1; 0: any, -1: all ---- */

static bool get_thread(const char **p, unsigned *index, bool *all)
{
    uint64_t n;
    *all = g_str_has_prefix(*p, "-1");
    if (*all) {
        *p += 2;
        return true;
    }
    if (!gdb_get_number(p, &n) || n > UINT16_MAX)
        return false;
    *index = n ? (unsigned)n - 1 : gdb.run_cpu;
    return gdb_vcpu(*index) != NULL;
}

static bool set_thread(const char *p)
{
    char which = *p;
    unsigned index = 0;
    bool all;
    if ((which != 'g' && which != 'c') || (p++, !get_thread(&p, &index, &all)))
        return answer(false);
    if (!all && which == 'g')
        gdb.reg_cpu = index;
    else if (!all)
        gdb.run_cpu = index;
    return answer(true);
}

static bool thread_alive(const char *p)
{
    unsigned index = 0;
    bool all;
    return answer(get_thread(&p, &index, &all));
}

/* ---- going on ---- */

static DebugStep step_kind(void) { return gdb.sstep & GDB_SSTEP_NOIRQ ? DEBUG_STEP : DEBUG_STEP_INTERRUPTS; }

/* What vCPUs shall do: actions[i] is 0 (stay), 'c' or 's'. */
static bool go(const char *actions)
{
    RunState s = machine_run_state();
    /* it cannot go on: what happened is told again */
    if (s == RUN_SHUTDOWN || s == RUN_GUEST_PANICKED || s == RUN_INTERNAL_ERROR) {
        gdb_report_stop(s == RUN_SHUTDOWN ? 3 : 6, gdb_run_vcpu());
        return true;
    }
    bool stepping = false;
    for (unsigned i = 0; i < vcpu_count(); i++) {
        if (gdb_vcpu(i))
            debug_set_run(gdb_vcpu(i), !actions[i], actions[i] == 's' ? step_kind() : DEBUG_RUN);
        stepping |= actions[i] == 's';
    }
    gdb_resume(stepping);
    return false;
}

/* c, s, C, S: all go on; a step is the run thread's alone. */
static bool go_all(const char *p, char action)
{
    uint64_t pc;
    if (*p && (!gdb_get_number(&p, &pc) || *p))
        return answer(false); /* "go on at an address" is obsolete: clients write the register */
    g_autofree char *actions = g_malloc(vcpu_count() + 1);
    memset(actions, action == 's' ? 0 : 'c', vcpu_count());
    if (gdb_vcpu(gdb.run_cpu))
        actions[gdb.run_cpu] = action;
    return go(actions);
}

static bool proceed(const char *p) { return go_all(p, 'c'); }
static bool step(const char *p) { return go_all(p, 's'); }
static const char *skip_signal(const char *p)
{
    p += strspn(p, "0123456789abcdefABCDEF");
    return *p == ';' ? p + 1 : p;
}
static bool proceed_signal(const char *p) { return go_all(skip_signal(p), 'c'); }
static bool step_signal(const char *p) { return go_all(skip_signal(p), 's'); }

/* One action of vCont: the first that fits a thread counts. */
static bool cont_action(const char **p, char *actions)
{
    char action = (char)g_ascii_tolower(**p);
    bool signal = g_ascii_isupper(**p), all = true;
    unsigned index = 0;
    uint64_t number;
    if (action != 'c' && action != 's')
        return false;
    ++*p;
    if (signal && !gdb_get_number(p, &number))
        return false;
    if (**p == ':' && (++*p, !get_thread(p, &index, &all)))
        return false;
    for (unsigned i = all ? 0 : index; i < (all ? vcpu_count() : index + 1); i++)
        if (!actions[i])
            actions[i] = action;
    return true;
}

bool gdb_run_packet(const char *p)
{
    if (*p == '?') {
        gdb_put("vCont;c;C;s;S");
        return true;
    }
    g_autofree char *actions = g_malloc0(vcpu_count() + 1);
    while (*p == ';') {
        p++;
        if (!cont_action(&p, actions))
            return answer(false);
    }
    return *p ? answer(false) : go(actions);
}

/* ---- the rest ---- */

static bool why(const char *p)
{
    gdb_report_stop(5, gdb_run_vcpu());
    return true;
}

static bool detach(const char *p)
{
    gdb_send("OK", 2);
    gdb_client_gone(true);
    return false;
}

static bool kill_it(const char *p)
{
    gdb_quit();
    return false;
}

static bool verbose(const char *p)
{
    if (g_str_has_prefix(p, "Cont"))
        return gdb_run_packet(p + 4);
    if (g_str_has_prefix(p, "Kill")) {
        gdb_send("OK", 2);
        return kill_it(p);
    }
    return true; /* unknown: an empty reply */
}

static const struct Command {
    char name;
    bool (*run)(const char *rest);
} commands[] = {
    { '?', why },          { 'g', read_all },     { 'G', write_all },      { 'p', read_one },     { 'P', write_one },
    { 'm', read_memory },  { 'M', write_memory }, { 'Z', insert_point },   { 'z', remove_point }, { 'H', set_thread },
    { 'T', thread_alive }, { 'c', proceed },      { 'C', proceed_signal }, { 's', step },         { 'S', step_signal },
    { 'v', verbose },      { 'D', detach },       { 'k', kill_it },
};

bool gdb_command(const char *body, size_t len)
{
    gdb_pause(); /* a client that talks while it waits */
    gdb.running = false;
    if (!gdb_vcpu(gdb.reg_cpu))
        gdb.reg_cpu = 0;
    if (*body == 'X')
        return write_binary(body, len);
    if (*body == 'q' || *body == 'Q')
        return gdb_query(body);
    for (unsigned i = 0; i < G_N_ELEMENTS(commands); i++)
        if (commands[i].name == *body)
            return commands[i].run(body + 1);
    return true;
}
