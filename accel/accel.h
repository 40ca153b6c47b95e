/* SPDX-License-Identifier: MIT */
/* Accelerators: who runs the vCPUs, behind one small table. */
#ifndef ACCEL_ACCEL_H
#define ACCEL_ACCEL_H

#include <stdbool.h>
#include "base/error.h"
#include "base/opts.h"
#include "base/props.h"
#include "hw/core/machine.h"

typedef struct Vcpu Vcpu;
typedef struct GuestArch GuestArch;

typedef struct AccelDebugOps AccelDebugOps;

typedef struct AccelType {
    const char *name;                                  /* "tcg", "kvm" */
    const char *desc;
    const Property *props;                             /* of -accel NAME,key=... */
    void *options;                                     /* what props set; all of it is set before init */
    bool (*available)(const char *arch, char **why_not); /* *why_not: malloc'd text when false */
    /* Asked only when another accelerator could be taken instead: is it fast here? Available is known. Optional. */
    bool (*worthwhile)(const char *arch, char **why_not);
    bool (*init)(Machine *m, Error **errp);            /* before the machine is built */
    bool (*vcpu_init)(Vcpu *v, Error **errp);          /* called by vcpu_create() */
    void (*vcpu_free)(Vcpu *v);                        /* optional */
    bool (*set_icount)(Opts *opts, Error **errp);      /* -icount, after init; NULL: not possible */
    bool one_thread;                                   /* set by init: vCPU 0's thread runs all of them */
    void *(*vcpu_thread)(void *vcpu);                  /* body of the vCPU's thread */
    void (*kick)(Vcpu *v);                             /* any thread: make it notice v->events / exit_request soon */
    void (*standing)(void);                            /* the vCPUs' threads stand, all of them; optional */
    void (*info)(GString *out);                        /* `info jit` */
    void (*shutdown)(void);
    const AccelDebugOps *debug;                        /* debug.h; NULL: no break- and watchpoints */
} AccelType;

void accel_register(const AccelType *type);
const AccelType *accel_find(const char *name);
bool accel_unknown(const char *name, Error **errp); /* the error of a name that is none; false */
const AccelType *const *accel_types(unsigned *count);
#define ACCEL_REGISTER(type_) \
    static void __attribute__((constructor)) type_##_register(void) { accel_register(&type_); }

/* -accel: choose, check and initialise; prints nothing. accel_current() afterwards. */
bool accel_setup(Machine *m, const char *name, Opts *opts, Error **errp);
const AccelType *accel_current(void);
#endif
