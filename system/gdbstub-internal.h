/* SPDX-License-Identifier: MIT */
/* Private to system/gdbstub*.c. */
#ifndef SYSTEM_GDBSTUB_INTERNAL_H
#define SYSTEM_GDBSTUB_INTERNAL_H

#include <glib.h>
#include "accel/guest-arch.h"

enum {
    GDB_PACKET_MAX = 0x4000,            /* bytes of a packet's body; hostile clients get no more memory */
    GDB_MEMORY_MAX = GDB_PACKET_MAX / 2 - 16,
    GDB_UNSENT_MAX = 1 << 20,
};

typedef struct GdbStub {
    struct Chardev *chr;                /* NULL: no stub */
    enum { GDB_IDLE, GDB_BODY, GDB_SUM1, GDB_SUM2, GDB_TOO_LONG } state;
    GString *in;                        /* body of the packet that comes in */
    unsigned sum, wire_sum;
    GString *reply;                     /* of the command in progress */
    GString *last;                      /* what was sent last, until it is acknowledged */
    bool attached;                      /* a client is there */
    bool no_ack, want_no_ack;
    bool swbreak, hwbreak;              /* the client understands these stop reasons */
    bool running;                       /* the client waits for a stop */
    bool ended;                         /* killed or detached: ignore what still comes */
    bool phys;                          /* m, M and X are about physical memory */
    unsigned sstep;                     /* GDB_SSTEP_* */
    unsigned reg_cpu, run_cpu;          /* Hg, Hc */
    unsigned next_thread;               /* qsThreadInfo */
    char *xml;                          /* target description as sent */
} GdbStub;
enum { GDB_SSTEP_ENABLE = 1, GDB_SSTEP_NOIRQ = 2, GDB_SSTEP_NOTIMER = 4, GDB_SSTEP_ALL = 7 };

extern GdbStub gdb;

/* --- packets (gdbstub.c) --- */
void gdb_send(const char *body, size_t len);      /* a packet of its own */
void gdb_put(const char *fmt, ...) G_GNUC_PRINTF(1, 2); /* into the reply */
void gdb_put_hex(const void *data, size_t len);
void gdb_put_escaped(const char *data, size_t len);
void gdb_error(unsigned number);
/* Run; `action` of each vCPU was set by debug_set_run(). */
void gdb_resume(bool stepping);
void gdb_pause(void);
void gdb_report_stop(unsigned signal, const Vcpu *v);
void gdb_client_gone(bool go_on); /* no more points; go_on: from a stop, too */
void gdb_quit(void);

/* --- texts --- */
bool gdb_get_number(const char **p, uint64_t *out);  /* hexadecimal */
bool gdb_get_bytes(const char **p, uint8_t *out, size_t n);

/* --- commands (gdbstub-commands.c) --- */
/* body: len bytes with a 0 behind them. The reply is in gdb.reply; false: nothing is sent. */
bool gdb_command(const char *body, size_t len);
Vcpu *gdb_vcpu(unsigned index); /* NULL: there is none */
/* q, Q and v packets (gdbstub-query.c). */
bool gdb_query(const char *body);
bool gdb_run_packet(const char *body); /* after "vCont" */

/* --- registers (gdbstub-regs.c) --- */
const GdbTarget *gdb_target(void);
char *gdb_target_xml(void);
void gdb_read_g(Vcpu *v);
bool gdb_write_g(Vcpu *v, const char *hex);
bool gdb_read_reg(Vcpu *v, unsigned n);
bool gdb_write_reg(Vcpu *v, unsigned n, const char *hex);
#endif
