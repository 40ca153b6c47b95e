/* SPDX-License-Identifier: MIT */
/*
 * M-profile: state beside ArmCpu, the NVIC, and the entries that the rest of target/arm calls for models with
 * has.m_profile. Sources: DDI 0403 (v7-M), DDI 0419 (v6-M), DDI 0553 (v8-M).
 */
#ifndef TARGET_ARM_M_H
#define TARGET_ARM_M_H

#include <pthread.h>
#include "base/clock.h"
#include "target/arm/board.h"
#include "target/arm/cpu.h"

/* Exception numbers (DDI 0553, B3.9). */
enum {
    M_EXC_NONE,
    M_EXC_RESET,
    M_EXC_NMI,
    M_EXC_HARD,
    M_EXC_MEM,
    M_EXC_BUS,
    M_EXC_USAGE,
    M_EXC_SECURE,
    M_EXC_SVC = 11,
    M_EXC_DEBUG,
    M_EXC_PENDSV = 14,
    M_EXC_SYSTICK,
    M_EXC_IRQ0
};
enum { M_IRQS = 480, M_IRQ_WORDS = M_IRQS / 32, M_MPU_REGIONS = 16, M_SAU_REGIONS = 8, M_DWT_COMPARATORS = 4 };

/* Index of what is banked by security; without the Security Extension all is M_NS. */
enum { M_NS, M_S };

/* CFSR (MMFSR 7:0, BFSR 15:8, UFSR 31:16), HFSR, SFSR, DFSR. */
enum {
    MMFSR_IACCVIOL = 1 << 0,
    MMFSR_DACCVIOL = 1 << 1,
    MMFSR_MUNSTKERR = 1 << 3,
    MMFSR_MSTKERR = 1 << 4,
    MMFSR_MLSPERR = 1 << 5,
    MMFSR_MMARVALID = 1 << 7,
    BFSR_IBUSERR = 1 << 8,
    BFSR_PRECISERR = 1 << 9,
    BFSR_UNSTKERR = 1 << 11,
    BFSR_STKERR = 1 << 12,
    BFSR_LSPERR = 1 << 13,
    BFSR_BFARVALID = 1 << 15,
    UFSR_UNDEFINSTR = 1 << 16,
    UFSR_INVSTATE = 1 << 17,
    UFSR_INVPC = 1 << 18,
    UFSR_NOCP = 1 << 19,
    UFSR_STKOF = 1 << 20,
    UFSR_UNALIGNED = 1 << 24,
    UFSR_DIVBYZERO = 1 << 25
};
enum { CFSR_MM = 0xff, CFSR_BUS = 0xff00 };
#define CFSR_USAGE 0xffff0000u
#define HFSR_DEBUGEVT (1u << 31)
#define HFSR_FORCED (1u << 30)
#define HFSR_VECTTBL (1u << 1)
enum {
    SFSR_INVEP = 1,
    SFSR_INVIS = 2,
    SFSR_INVER = 4,
    SFSR_AUVIOL = 8,
    SFSR_INVTRAN = 16,
    SFSR_LSPERR = 32,
    SFSR_SFARVALID = 64,
    SFSR_LSERR = 128
};
enum { DFSR_BKPT = 2 };

enum { CONTROL_NPRIV = 1, CONTROL_SPSEL = 2, CONTROL_FPCA = 4, CONTROL_SFPA = 8 };
enum {
    CCR_NONBASETHRDENA = 1 << 0,
    CCR_USERSETMPEND = 1 << 1,
    CCR_UNALIGN_TRP = 1 << 3,
    CCR_DIV_0_TRP = 1 << 4,
    CCR_BFHFNMIGN = 1 << 8,
    CCR_STKALIGN = 1 << 9,
    CCR_STKOFHFNMIGN = 1 << 10,
    CCR_DC = 1 << 16,
    CCR_IC = 1 << 17,
    CCR_BP = 1 << 18,
    CCR_LOB = 1 << 19
};
enum { SCR_SLEEPONEXIT = 2, SCR_SLEEPDEEP = 4, SCR_SLEEPDEEPS = 8, SCR_SEVONPEND = 16 };
enum { AIRCR_SYSRESETREQ = 1 << 2, AIRCR_SYSRESETREQS = 1 << 3, AIRCR_BFHFNMINS = 1 << 13, AIRCR_PRIS = 1 << 14 };
#define FPCCR_ASPEN (1u << 31)
#define FPCCR_LSPEN (1u << 30)
enum {
    FPCCR_LSPACT = 1 << 0,
    FPCCR_USER = 1 << 1,
    FPCCR_S = 1 << 2,
    FPCCR_THREAD = 1 << 3,
    FPCCR_HFRDY = 1 << 4,
    FPCCR_MMRDY = 1 << 5,
    FPCCR_BFRDY = 1 << 6,
    FPCCR_SFRDY = 1 << 7,
    FPCCR_MONRDY = 1 << 8,
    FPCCR_SPLIMVIOL = 1 << 9,
    FPCCR_UFRDY = 1 << 10,
    FPCCR_TS = 1 << 26,
    FPCCR_CLRONRETS = 1 << 27,
    FPCCR_CLRONRET = 1 << 28,
    FPCCR_LSPENS = 1 << 29
};
enum { MPU_CTRL_ENABLE = 1, MPU_CTRL_HFNMIENA = 2, MPU_CTRL_PRIVDEFENA = 4 };
enum { SAU_CTRL_ENABLE = 1, SAU_CTRL_ALLNS = 2 };
enum {
    EXC_RETURN_ES = 1,
    EXC_RETURN_SPSEL = 4,
    EXC_RETURN_MODE = 8,
    EXC_RETURN_FTYPE = 16,
    EXC_RETURN_DCRS = 32,
    EXC_RETURN_S = 64
};

/* A system exception (2..15), per security state. */
typedef struct ArmMSysExc { bool enabled, pending, active; uint8_t prio; } ArmMSysExc;

typedef struct ArmMSysTick {
    uint32_t csr, rvr;
    uint32_t cvr;          /* the value at `since_ns` */
    uint64_t since_ns;     /* virtual time */
    Timer *timer;
    struct ArmM *m;
} ArmMSysTick;

/* Banked by security. */
typedef struct ArmMBank {
    uint32_t control, primask, faultmask, basepri;  /* CONTROL.FPCA lives in bank M_NS's slot for both */
    uint32_t msp, psp, msplim, psplim;              /* the SP in use is G(13); its slot here is stale */
    uint32_t vtor, prigroup, scr, ccr, cpacr, cfsr, mmfar, fpcar, fpdscr, fpccr;
    uint32_t mpu_ctrl, mpu_rnr, mpu_rbar[M_MPU_REGIONS], mpu_rasr[M_MPU_REGIONS] /* v8: RLAR */, mair[2];
    ArmMSysExc sys[16];
    ArmMSysTick tick;
} ArmMBank;

struct ArmM {
    ArmCpu *c;
    ArmMBank b[2];
    bool secure;              /* current security state */
    uint16_t exc;             /* IPSR: 0 is Thread mode */
    bool event;               /* the WFE event register */
    bool lockup;
    uint32_t hfsr, dfsr, bfar, sfsr, sfar, afsr, aircr /* BFHFNMINS, PRIS, SYSRESETREQS */, nsacr, demcr, cppwr, actlr,
             csselr;
    uint32_t sau_ctrl, sau_rnr, sau_rbar[M_SAU_REGIONS], sau_rlar[M_SAU_REGIONS];
    bool wfe;                 /* halted by WFE */
    uint32_t dwt_ctrl, dwt_cyccnt, dwt_comp[M_DWT_COMPARATORS], dwt_mask[M_DWT_COMPARATORS],
        dwt_function[M_DWT_COMPARATORS];
    uint64_t dwt_since_ns;    /* of dwt_cyccnt while it runs */

    /* Interrupts, under `lock` (a leaf: only vcpu_set_line() is called with it). */
    pthread_mutex_t lock;
    uint32_t irq_enabled[M_IRQ_WORDS], irq_pending[M_IRQ_WORDS], irq_active[M_IRQ_WORDS], irq_level[M_IRQ_WORDS],
        irq_ns[M_IRQ_WORDS];
    uint8_t irq_prio[M_IRQS];
    bool nmi_level;
    /* by arm_m_update(): an exception would be taken; WFI would end. Read without the lock */
    _Atomic bool can_take, can_wake;

    /* Fixed by the model and the board. */
    unsigned irqs, mpu_regions, sau_regions;
    uint64_t ns_window; /* ArmBoardCpus.m_ns_window */
    uint8_t prio_mask;        /* implemented bits of a priority */
    uint32_t init_vtor[2], cpuclk_hz, refclk_hz;
    ArmIdau (*idau)(void *opaque, uint32_t addr);
    void *idau_opaque;
    MemRegion *ppb;           /* 0xe0000000..0xe00fffff as this CPU sees it; mapped once, for all CPUs */
    void (*sysresetreq)(void *opaque); /* NULL: machine reset */
};

/* --- called by target/arm/cpu.c, mode.c, events, exceptions.c for has.m_profile --- */
void arm_m_create(ArmCpu *c, const ArmBoardCpus *board); /* c->has and c->model are set; maps the PPB when index is 0 */
void arm_m_free(ArmCpu *c);
void arm_m_reset(ArmCpu *c);               /* at RESET_ENTER: all but SP and pc */
void arm_m_set_vtor(ArmCpu *c, uint32_t vtor); /* of the security state that reset enters */
/* at RESET_EXIT: initial SP and pc from the vector table (memory has been loaded) */
void arm_m_start(ArmCpu *c);
/*
 * the bits of v.mode but those about FPSCR: T32, M, bank, ubank, EL, SECURE, FP_TRAP, FP_CONTEXT, ALIGN, IT, MVE_TAIL
 */
uint64_t arm_m_mode(const ArmCpu *c);
/* GuestArch hooks, and arm_deliver() for any kind of c->event (SYNC events are mapped by their EC). */
void arm_m_deliver(Vcpu *v);
bool arm_m_poll(Vcpu *v);
bool arm_m_has_work(Vcpu *v);
bool arm_m_walk(Vcpu *v, uint64_t va, AccessKind kind, unsigned bank, bool probe, WalkResult *out);
void arm_m_bus_error(Vcpu *v, uint64_t va, hwaddr pa, AccessKind kind);
void arm_m_misaligned(Vcpu *v, uint64_t va, AccessKind kind, unsigned align);
void arm_m_divide_error(Vcpu *v);
MemAttrs arm_m_attrs(const Vcpu *v);
/* WFI (kind 0) and WFE (1) on M: sets v->halted, and tells it. SEV and exception entry/exit set the event register. */
bool arm_m_wait(ArmCpu *c, unsigned kind);
void arm_m_event_all(void);                /* SEV; any thread */
/* For translation: does addr lie in Secure memory that Non-secure code may call? */
bool arm_m_callable(const Vcpu *v, uint32_t addr);
uint32_t arm_m_get_xpsr(const ArmCpu *c);
void arm_m_set_xpsr(ArmCpu *c, uint32_t value, uint32_t mask);
extern const StateField arm_m_state[];     /* section "cpu.N.m", offsets in ArmM */
bool arm_m_loaded(ArmCpu *c, Error **errp);
void arm_m_print_regs(Vcpu *v, GString *out);

/* --- inside target/arm/m --- */
bool arm_m_privileged(const ArmM *m);
static inline ArmMBank *arm_m_bank(ArmM *m) { return &m->b[m->secure]; }
/* The stack pointer that (secure, psp) names, wherever it stands now. */
uint32_t arm_m_get_sp(const ArmM *m, bool secure, bool psp);
void arm_m_set_sp(ArmM *m, bool secure, bool psp, uint32_t value);
/* the main extension: BASEPRI, FAULTMASK … */
static inline bool arm_m_has_main(const ArmM *m) { return m->c->has.v7m; }
bool arm_m_uses_psp(const ArmM *m);
uint32_t arm_m_sp_limit(const ArmM *m);
/* G(13) into its slot and back: around changes of the exception number, CONTROL.SPSEL and the security state. */
void arm_m_sp_out(ArmM *m);
void arm_m_sp_in(ArmM *m);
/* After changes of masks, priorities or state: the line, the mode. Own thread, without the lock. */
void arm_m_changed(ArmM *m);
/*
 * A synchronous fault: pend it, escalated to HardFault where it must be. false: lockup. Own thread, without the lock.
 */
bool arm_m_pend_sync(ArmM *m, unsigned exc, uint32_t bits, bool secure);
void arm_m_lockup(ArmM *m, const char *why);
/*
 * Enter the handler of what is most urgent (there is something): from the code at v->pc, or chained to the frame that
 * stands.
 */
void arm_m_enter(ArmM *m);
void arm_m_chain(ArmM *m, uint32_t lr);
/* EXC_RETURN in Handler mode, FNC_RETURN: v->pc is set. */
void arm_m_exception_return(ArmM *m, uint32_t value);
void arm_m_function_return(ArmM *m);
/* Words of a stack frame; false: the fault is pended (bits of MMFSR, BFSR, SFSR for the three kinds). */
typedef struct ArmMFrame {
    bool secure, privileged, neg;
    uint32_t mm, bus, sec;
    bool lazy;            /* the fault is left in exc and bits instead */
    bool failed, lockup;
    unsigned exc;
    uint32_t bits;
} ArmMFrame;
/*
 * Sizes in bytes (DDI 0553, B3.19): without FP, with S0-S15, with all; on top, with a signature, when Secure code is
 * left for a Non-secure handler.
 */
enum { M_FRAME_BASIC = 0x20, M_FRAME_FP = 0x68, M_FRAME_FP_ALL = 0xa8, M_FRAME_CALLEE = 0x28 };
#define M_FRAME_INTEGRITY 0xfefa125au
void arm_m_frame_fault(ArmM *m, ArmMFrame *f, unsigned exc, uint32_t bits, bool far_valid, uint32_t addr);
void arm_m_frame_write(ArmM *m, ArmMFrame *f, uint32_t addr, const uint32_t *words, unsigned n);
void arm_m_frame_read(ArmM *m, ArmMFrame *f, uint32_t addr, uint32_t *words, unsigned n);
/* fp.c */
bool arm_m_fp_accessible(const ArmM *m, bool secure, bool privileged, bool *to_secure);
void arm_m_fp_store(ArmM *m, ArmMFrame *f, uint32_t at, bool all);
void arm_m_fp_load(ArmM *m, ArmMFrame *f, uint32_t at, bool all);
void arm_m_fp_clear(ArmM *m, bool all);
void arm_m_fp_lazy_setup(ArmM *m, uint32_t frame, bool secure);
uint32_t arm_m_control(const ArmM *m, bool secure); /* as MRS shows it */
void arm_m_set_control(ArmM *m, bool secure, uint32_t value);
/* Record a fault: the caller unwinds. bits: CFSR bits (MEM, BUS, USAGE), SFSR bits (SECURE), HFSR bits (HARD). */
void arm_m_record(ArmCpu *c, unsigned exc, uint32_t bits, bool far_valid, uint32_t far);
_Noreturn void arm_m_raise(ArmCpu *c, unsigned exc, uint32_t bits);

/* nvic.c; arm_m_lock() around the ones marked L */
bool arm_m_negative_priority(ArmM *m);                   /* at HardFault's or above; without the lock */
/* L of the CPU now, masks included: 256 is Thread mode's base */
int arm_m_exec_priority(ArmM *m);
int arm_m_exec_priority_unmasked(ArmM *m);               /* L without PRIMASK: what WFI looks at */
unsigned arm_m_best_pending(ArmM *m, int *group_prio, bool *secure); /* L 0: none */
int arm_m_exc_priority(const ArmM *m, unsigned exc, bool secure); /* group priority; L */
void arm_m_pend(ArmM *m, unsigned exc, bool secure);     /* L */
void arm_m_clear_pending(ArmM *m, unsigned exc, bool secure); /* L */
void arm_m_acknowledge(ArmM *m, unsigned exc, bool secure);   /* L pending -> active */
bool arm_m_is_active(const ArmM *m, unsigned exc, bool secure); /* L */
void arm_m_deactivate(ArmM *m, unsigned exc, bool secure);    /* L; a line that is still up pends again */
bool arm_m_exc_secure(const ArmM *m, unsigned exc, bool from_secure); /* where the exception is taken to */
unsigned arm_m_active_count(const ArmM *m);              /* L */
void arm_m_update(ArmM *m);                              /* L: raise or lower CPU_LINE_INTR */
static inline void arm_m_lock(ArmM *m) { pthread_mutex_lock(&m->lock); }
static inline void arm_m_unlock(ArmM *m) { pthread_mutex_unlock(&m->lock); }
void arm_m_irq_input(void *opaque, int n, int level);    /* Irq.set of external interrupt n; any thread */
void arm_m_nmi_input(void *opaque, int n, int level);

/* mpu.c */
typedef struct ArmMSecurity {
    bool ns, nsc, sau_hit, idau_hit;
    uint8_t sau_region, idau_region;
    uint32_t low, high;
} ArmMSecurity;
/*
 * Where the bus sees a data access or vector fetch: Non-secure transactions have a window of their own on some boards.
 */
hwaddr arm_m_bus_address(const ArmM *m, uint32_t addr);
ArmMSecurity arm_m_security(const ArmM *m, uint32_t addr); /* low..high: addresses around it with the same answer */
typedef struct ArmMAccess {
    bool r, w, x;
    uint32_t fault;
    bool fault_is_secure;
    int region;
    uint32_t low, high;
} ArmMAccess;
/* What (privileged, secure) may do at addr; neg: MPU off because of the priority. */
ArmMAccess arm_m_mpu(const ArmM *m, uint32_t addr, bool secure, bool privileged, bool neg);

/* scs.c, systick.c */
void arm_m_map_ppb(ArmM *m);               /* for CPU 0; all CPUs share the region */
MemResult arm_m_scs_read(ArmM *m, uint32_t offset, unsigned size, bool ns_alias, uint64_t *value);
MemResult arm_m_scs_write(ArmM *m, uint32_t offset, unsigned size, bool ns_alias, uint64_t value);
uint32_t arm_m_tick_read(ArmM *m, unsigned bank, uint32_t offset);
void arm_m_tick_write(ArmM *m, unsigned bank, uint32_t offset, uint32_t value);
void arm_m_tick_init(ArmM *m);
void arm_m_tick_reset(ArmM *m);
void arm_m_tick_free(ArmM *m);
#endif
