/* SPDX-License-Identifier: MIT */
/*
 * Semihosting (Arm "Semihosting for AArch32 and AArch64", version 3): a guest's calls into the host's files and
 * console.
 */
#ifndef TARGET_ARM_SEMIHOST_H
#define TARGET_ARM_SEMIHOST_H

#include <glib.h>
#include <sys/types.h>
#include "target/arm/cpu.h"

typedef enum SemihostTarget { SEMIHOST_AUTO, SEMIHOST_NATIVE, SEMIHOST_GDB } SemihostTarget;

/* Set by the command line before the machine is built. */
typedef struct SemihostConfig {
    bool enabled, userspace; /* userspace: calls from unprivileged code too */
    SemihostTarget target;
    GPtrArray *args;         /* of char *: arg=..., NULL: -kernel and -append make the command line */
    void *chardev;           /* Chardev *: the console; NULL: the process's stdin, stdout and stderr */
    void (*console_write)(void *chardev, const void *data, size_t len); /* set with chardev, as is console_read */
    ssize_t (*console_read)(void *chardev, void *buf, size_t len);      /* what has come in, 0: nothing */
} SemihostConfig;
extern SemihostConfig semihost_config;

/* The instructions that may be calls. */
typedef enum SemihostInsn {
    SEMIHOST_SVC_A32 /* 0x123456 */,
    SEMIHOST_SVC_T32 /* 0xab */,
    SEMIHOST_BKPT_T32 /* 0xab, M-profile */,
    SEMIHOST_HLT_A64 /* 0xf000 */,
    SEMIHOST_HLT_A32 /* 0xf000 */,
    SEMIHOST_HLT_T32 /* 0x3c */
} SemihostInsn;
/*
 * For the helpers of SVC, BKPT and HLT, state precise (vcpu_sync done): true: the insn was a call and is done, the
 * result stands in R0/X0 and v->pc after the insn. May unwind on a guest fault (none: bad pointers give -1). own vCPU
 * thread.
 */
bool arm_semihost(ArmCpu *c, SemihostInsn insn, uint32_t imm, unsigned length, bool privileged);
#endif
