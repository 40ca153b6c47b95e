/* SPDX-License-Identifier: MIT */
/*
 * What only the host's CPU can give a guest, under KVM: register sets beyond AVX (XSAVE components), performance
 * counters, nested virtualization. Each is saved in a section of its own, which loads where the same is there.
 */
#ifndef TARGET_X86_EXTENDED_H
#define TARGET_X86_EXTENDED_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"
#include "hw/core/state.h"

typedef struct X86Cpu X86Cpu;

enum {
    X86_XSAVE_FIRST = 3,
    X86_XSAVE_COMPONENTS = 19,
    X86_PMU_GENERAL = 8,
    X86_PMU_FIXED = 4,
    X86_PMU_AMD = 6,
    X86_VMX_MSRS = 18,
    X86_NESTED_MAX = 64 << 10
};

typedef enum X86PmuKind {
    X86_PMU_NONE,
    X86_PMU_ARCH /* CPUID 0AH */,
    X86_PMU_K7 /* AMD: four counters that CPUID does not tell */,
    X86_PMU_CORE /* AMD: six */
} X86PmuKind;

/* What a host has. */
typedef struct X86ExtendedHost {
    struct { uint32_t size, offset, flags; } xsave[X86_XSAVE_COMPONENTS]; /* CPUID 0DH: EAX, EBX, ECX */
    uint32_t tile[2][4], tmul[4]; /* CPUID 1DH with its palette 1, 1EH */
    bool ssp;                   /* the shadow stack pointer can be moved */
    uint32_t pmu_leaf[4];       /* CPUID 0AH; version 0: none of that kind */
    bool pmu_amd;
    uint64_t perf_capabilities; /* IA32_PERF_CAPABILITIES */
    bool nested;                /* the state of nested guests can be moved */
    uint64_t vmx[X86_VMX_MSRS]; /* IA32_VMX_BASIC (480h) and on */
} X86ExtendedHost;

/*
 * Registers of XSAVE's components, by number from X86_XSAVE_FIRST; their sizes are the architecture's (SDM vol. 1,
 * 13.5).
 */
typedef struct X86Components {
    uint64_t there;             /* that the guest's CPUID shows, as bits of XCR0 */
    uint64_t supervisor;        /* the same, as bits of IA32_XSS; their registers are MSRs */
    uint64_t used;              /* not in their initial state */
    uint8_t bndregs[64], bndcsr[64], opmask[64], zmm_hi256[512], hi16_zmm[1024], pkru[8], tilecfg[64], tiledata[8192];
    uint64_t xfd, xfd_err;      /* IA32_XFD, IA32_XFD_ERR: components whose use faults */
} X86Components;

/* Control-flow enforcement (SDM vol. 1, chapter 17). */
typedef struct X86Cet {
    uint64_t user, supervisor;  /* IA32_U_CET, IA32_S_CET */
    uint64_t ssp, level_ssp[4]; /* SSP itself, IA32_PL0_SSP to IA32_PL3_SSP */
    uint64_t interrupt_table;   /* IA32_INTERRUPT_SSP_TABLE_ADDR */
} X86Cet;

typedef struct X86Pmu {
    uint8_t kind;               /* X86PmuKind */
    uint8_t version, general, fixed;
    uint32_t leaf[4];           /* CPUID 0AH as the guest sees it */
    uint64_t perf_capabilities; /* with 'pdcm' */
    uint64_t fixed_control, global_control, global_status;
    uint64_t fixed_counter[X86_PMU_FIXED], counter[X86_PMU_GENERAL], select[X86_PMU_GENERAL];
    uint64_t amd[2 * X86_PMU_AMD]; /* C0010200h: select and counter in turn; K7: four selects, four counters */
} X86Pmu;

typedef struct X86Nested {
    uint64_t vmx[X86_VMX_MSRS];
    uint64_t hsave, vm_cr, tsc_ratio; /* SVM */
    GByteArray *state;          /* the kernel's words, empty: as after reset; NULL: no nested guests */
} X86Nested;

typedef struct X86Extended {
    const X86ExtendedHost *host; /* NULL: a translator's CPU has none of it */
    X86Components xsave;
    X86Pmu pmu;
    X86Nested nested;
    X86Cet cet;
    uint64_t bndcfgs;           /* IA32_BNDCFGS */
} X86Extended;

/* What goes with something that is off: counters' features without pmu, SVM's without SVM. Nobody misses them. */
void x86_ext_hide(uint32_t features[], bool pmu);
/* By the features that the CPU has got; those that `host` (may be NULL) cannot hold are taken away again before. */
void x86_ext_filter(uint32_t features[], const X86ExtendedHost *host, bool pmu);
void x86_ext_init(X86Cpu *c, const X86ExtendedHost *host, bool pmu);
void x86_ext_free(X86Cpu *c);
void x86_ext_reset(X86Cpu *c);
/* Where a component's bytes stand in X86Components; NULL: none that we know. */
uint8_t *x86_ext_component(X86Components *x, unsigned number, uint32_t *size);
bool x86_ext_has_cet(const X86Cpu *c);
void x86_ext_leaf_a(const X86Cpu *c, uint32_t o[4]);
void x86_ext_leaf_tile(const X86Cpu *c, uint32_t leaf, uint32_t sub, uint32_t o[4]); /* 1DH, 1EH */
void x86_ext_leaf_d(const X86Cpu *c, uint32_t sub, uint32_t o[4]); /* adds to what x87, SSE and AVX have */
/* MSRs in the order in which a kernel takes them: number by index, 0: no more. */
uint32_t x86_ext_msr(const X86Cpu *c, unsigned i);
uint64_t *x86_ext_msr_field(X86Cpu *c, uint32_t number); /* NULL: not there */
void x86_ext_save(X86Cpu *c, StateWriter *w);
bool x86_ext_load(X86Cpu *c, StateReader *r, Error **errp);
#endif
