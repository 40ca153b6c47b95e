/* SPDX-License-Identifier: MIT */
/*
 * Hyper-V's interfaces for guests that expect them (hv-* of -cpu): the kernel's, under KVM. Source: Hypervisor Top
 * Level Functional Specification 6.0b.
 */
#ifndef TARGET_X86_HYPERV_H
#define TARGET_X86_HYPERV_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"
#include "hw/core/state.h"

typedef struct X86Cpu X86Cpu;

enum { X86_HV_MSRS = 48 };
/* CPUID words that interfaces stand in: 40000003h EAX and EDX, 40000004h EAX. */
enum { X86_HV_PRIVILEGES, X86_HV_MISC, X86_HV_HINTS, X86_HV_WORDS };

/* Of a CPU: what -cpu asked for, and the MSRs. */
typedef struct X86Hyperv {
    uint32_t features;        /* bits by number of the table; 0: no Hyper-V interface at all */
    uint32_t spinlocks;       /* tries before the guest tells the hypervisor; UINT32_MAX: never */
    bool passthrough, enforce_cpuid;
    uint32_t version[2];      /* CPUID 40000002h EAX, EBX */
    char vendor[13];
    bool syndbg;
    uint32_t nested[2];       /* with hv-evmcs: CPUID 4000000Ah */
    uint64_t msr[X86_HV_MSRS];
} X86Hyperv;

/* What the kernel has of them. */
typedef struct X86HypervHost {
    uint32_t word[X86_HV_WORDS];
    uint32_t nested[2]; /* CPUID 4000000Ah EAX, EBX; EAX 15:0: versions of the enlightened VMCS */
} X86HypervHost;

void x86_hv_defaults(X86Hyperv *h);
/* A piece of -cpu: name (either spelling) and value or NULL. known false: it is none of ours. */
bool x86_hv_option(X86Hyperv *h, const char *name, const char *value, bool *known, Error **errp);
const char *x86_hv_name(unsigned i); /* of all options; NULL: no more */
/*
 * Against the host's, whose interfaces passthrough takes. host NULL: nobody has them: left out with a line, or with
 * enforce an error. vmx: the guest can have guests of its own.
 */
bool x86_hv_check(X86Hyperv *h, const X86HypervHost *host, bool vmx, bool enforce, bool quiet, Error **errp);
void x86_hv_leaf(const X86Cpu *c, uint32_t leaf, uint32_t o[4]); /* 40000000h up to x86_hv_last_leaf() */
uint32_t x86_hv_last_leaf(const X86Cpu *c);
enum { X86_HV_KVM_LEAF = 0x40000100 /* where KVM's own move to */ };
/* MSRs that the enabled interfaces have, in the order in which a kernel takes them: number by index, 0: no more. */
uint32_t x86_hv_msr(const X86Cpu *c, unsigned i);
uint64_t *x86_hv_msr_field(X86Cpu *c, uint32_t number); /* NULL: not there */
void x86_hv_reset(X86Cpu *c);
bool x86_hv_has_synic(const X86Cpu *c);
bool x86_hv_has_evmcs(const X86Cpu *c);
extern const StateField x86_hv_state[]; /* of X86Hyperv; a section of its own, where there are features */
#endif
