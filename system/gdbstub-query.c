/* SPDX-License-Identifier: MIT */
/* The GDB stub: q and Q packets. */
#include <string.h>
#include "system/gdbstub-internal.h"
#include "system/monitor.h"

static bool supported(const char *p)
{
    g_auto(GStrv) theirs = g_strsplit(p, ";", 64);
    gdb.swbreak = g_strv_contains((const char *const *)theirs, "swbreak+");
    gdb.hwbreak = g_strv_contains((const char *const *)theirs, "hwbreak+");
    gdb_put("PacketSize=%x;QStartNoAckMode+;qXfer:features:read+;vContSupported+%s%s", GDB_PACKET_MAX,
            gdb.swbreak ? ";swbreak+" : "", gdb.hwbreak ? ";hwbreak+" : "");
    return true;
}

static bool no_ack(const char *p)
{
    gdb.want_no_ack = true; /* the reply to this one is still acknowledged */
    gdb_put("OK");
    return true;
}

/* "ANNEX:OFFSET,LENGTH" */
static bool features(const char *p)
{
    uint64_t offset, len;
    if (!g_str_has_prefix(p, "target.xml:")) {
        gdb_put("E00");
        return true;
    }
    p += strlen("target.xml:");
    if (!gdb_get_number(&p, &offset) || *p++ != ',' || !gdb_get_number(&p, &len)) {
        gdb_put("E01");
        return true;
    }
    if (!offset || !gdb.xml) {
        g_free(gdb.xml);
        gdb.xml = gdb_target_xml();
    }
    size_t total = strlen(gdb.xml);
    offset = MIN(offset, total);
    len = MIN(MIN(len, total - offset), GDB_PACKET_MAX / 2 - 1);
    gdb_put("%c", offset + len < total ? 'm' : 'l');
    gdb_put_escaped(gdb.xml + offset, len);
    return true;
}

/* ---- threads ---- */

static bool list_threads(void)
{
    unsigned first = gdb.next_thread, n = first;
    bool any = false;
    for (; n < vcpu_count() && n - first < 256; n++) {
        if (gdb_vcpu(n))
            gdb_put("%c%02x", any ? ',' : 'm', n + 1);
        any |= gdb_vcpu(n) != NULL;
    }
    if (!any)
        gdb_put("l");
    gdb.next_thread = n;
    return true;
}

static bool first_threads(const char *p)
{
    gdb.next_thread = 0;
    return list_threads();
}

static bool more_threads(const char *p) { return list_threads(); }

static bool thread_info(const char *p)
{
    uint64_t n;
    const Vcpu *v = gdb_get_number(&p, &n) && n && n <= UINT16_MAX ? gdb_vcpu((unsigned)n - 1) : NULL;
    if (!v) {
        gdb_put("E16");
        return true;
    }
    g_autofree char *text = g_strdup_printf("CPU#%u [%s]", v->index,
                                            v->powered_off ? "off"
                                            : v->halted    ? "halted"
                                                           : "running");
    gdb_put_hex(text, strlen(text));
    return true;
}

static bool current(const char *p)
{
    gdb_put("QC%02x", gdb.reg_cpu + 1);
    return true;
}

static bool attached(const char *p)
{
    gdb_put("1");
    return true;
}

/* ---- monitor commands ---- */

static void send_text(const GString *text)
{
    for (size_t at = 0; at < text->len;) {
        size_t n = MIN(text->len - at, (size_t)GDB_MEMORY_MAX / 2);
        g_string_assign(gdb.reply, "O");
        gdb_put_hex(text->str + at, n);
        gdb_send(gdb.reply->str, gdb.reply->len);
        at += n;
    }
    g_string_truncate(gdb.reply, 0);
}

static bool monitor_line(const char *p)
{
    size_t n = strlen(p) / 2;
    g_autofree char *line = g_malloc0(n + 1);
    if (strlen(p) % 2 || !gdb_get_bytes(&p, (uint8_t *)line, n)) {
        gdb_put("E01");
        return true;
    }
    g_autoptr(GString) text = g_string_new(NULL);
    monitor_execute(line, gdb.reg_cpu, text);
    if (!gdb.chr) /* that was "gdbserver" */
        return false;
    send_text(text);
    gdb_put("OK");
    return true;
}

/* ---- QEMU's own ---- */

static bool sstep_bits(const char *p)
{
    gdb_put("ENABLE=%x,NOIRQ=%x,NOTIMER=%x", GDB_SSTEP_ENABLE, GDB_SSTEP_NOIRQ, GDB_SSTEP_NOTIMER);
    return true;
}

static bool get_sstep(const char *p)
{
    gdb_put("0x%x", gdb.sstep);
    return true;
}

static bool set_sstep(const char *p)
{
    uint64_t bits;
    if (g_str_has_prefix(p, "0x"))
        p += 2;
    if (!gdb_get_number(&p, &bits) || bits > GDB_SSTEP_ALL) {
        gdb_put("E16");
        return true;
    }
    gdb.sstep = (unsigned)bits;
    gdb_put("OK");
    return true;
}

static bool get_phys(const char *p)
{
    gdb_put("%d", gdb.phys);
    return true;
}

static bool set_phys(const char *p)
{
    if (*p != '0' && *p != '1') {
        gdb_put("E16");
        return true;
    }
    gdb.phys = *p == '1';
    gdb_put("OK");
    return true;
}

static bool qemu_supported(const char *p)
{
    gdb_put("sstepbits;sstep;PhyMemMode");
    return true;
}

/* `rest` is what follows the name. In order: a name that starts with another one stands before it. */
static const struct Query {
    const char *name;
    bool (*run)(const char *rest);
} queries[] = {
    { "qSupported", supported },       { "QStartNoAckMode", no_ack },     { "qXfer:features:read:", features },
    { "qfThreadInfo", first_threads }, { "qsThreadInfo", more_threads },  { "qThreadExtraInfo,", thread_info },
    { "qAttached", attached },         { "qRcmd,", monitor_line },        { "qqemu.sstepbits", sstep_bits },
    { "qqemu.sstep", get_sstep },      { "Qqemu.sstep=", set_sstep },     { "Qqemu.sstep:", set_sstep },
    { "qqemu.PhyMemMode", get_phys },  { "Qqemu.PhyMemMode:", set_phys }, { "qqemu.Supported", qemu_supported },
};

bool gdb_query(const char *body)
{
    if (!strcmp(body, "qC"))
        return current(body);
    for (unsigned i = 0; i < G_N_ELEMENTS(queries); i++) {
        size_t n = strlen(queries[i].name);
        if (!strncmp(body, queries[i].name, n)) {
            const char *rest = body + n;
            return queries[i].run(*rest == ':' ? rest + 1 : rest);
        }
    }
    return true;
}
