/* SPDX-License-Identifier: MIT */
/* KVM as an accelerator: what its files share, and the table that a target gives it. */
#ifndef ACCEL_KVM_KVM_H
#define ACCEL_KVM_KVM_H

#include <linux/kvm.h>
#include <stdint.h>
#include <unistd.h>
#include "accel/accel.h"
#include "accel/debug.h"
#include "accel/guest-arch.h"
#include "hw/core/event-doors.h"

typedef struct KvmArch KvmArch;

/* Which interrupt controllers the kernel runs. */
typedef enum KvmIrqchip { KVM_IRQCHIP_OFF, KVM_IRQCHIP_SPLIT /* local APICs */, KVM_IRQCHIP_ON /* all */ } KvmIrqchip;

/* A vCPU. All by its own thread unless said. */
typedef struct KvmVcpu {
    Vcpu *v;
    int fd;
    struct kvm_run *run;
    _Atomic bool inside;    /* in KVM_RUN, or about to be: a kick needs a signal */
    pthread_t self;
    bool loaded;            /* the kernel holds the state; else the Vcpu does */
    bool late;              /* fetched since the last entry: others may have run on, and have done something to it */
    bool unfinished;        /* an access has been answered in `run`, and the kernel has not taken it yet */
    bool reused;            /* the kernel has had it before, for a CPU that was unplugged: it knows the CPUID */
    bool failed;            /* told why already: never enters the guest again */
    uint64_t exits[64];     /* by reason */
    uint64_t interrupted;   /* KVM_RUN ended by a kick */
    unsigned short_of;      /* tries in a row that found the host short of something */
    struct kvm_dirty_gfn *ring; /* NULL: none */
    unsigned ring_next;
    struct KvmFollow *follow;   /* follow.c; NULL: not used yet */
    int follow_wait;            /* accesses until it is tried */
    unsigned follow_pause;      /* how many that was the last time */
    uint64_t followed, turns;   /* accesses that needed no exit, and in how many turns */
    unsigned debug_generation;  /* of the points that the kernel knows */
    bool debug_stepping;
    void *arch_data;
} KvmVcpu;

typedef struct Kvm {
    int fd, vm;             /* -1: closed */
    const KvmArch *arch;
    Machine *machine;
    unsigned slot_limit;
    size_t run_size;
    KvmIrqchip irqchip;
    unsigned ring_entries;  /* of each vCPU's ring of written pages; 0: bitmaps */
    bool manual_clear;      /* a log stays until it is cleared */
    bool smm;               /* the kernel runs system management mode, with an address space of its own */
    bool follow;            /* follow.c may be used */
} Kvm;
extern Kvm kvm;

/* Of the host: what slots and logs are made of. */
static inline uint64_t kvm_page(void) { return (uint64_t)sysconf(_SC_PAGESIZE); }

/* What -accel kvm asks of an architecture's kernel. */
typedef struct KvmTuning {
    uint64_t shadow_mem;    /* bytes for the kernel's own page tables of the guest; 0: as many as it likes */
    /* A guest that lets no event in for long: go on if the kernel can tell, or in any case, end, don't look. */
    enum { KVM_NOTIFY_AUTO, KVM_NOTIFY_RUN, KVM_NOTIFY_ERROR, KVM_NOTIFY_OFF } notify;
    uint32_t notify_window; /* how long beyond the CPU's own limit, in units of the TSC */
} KvmTuning;

enum { KVM_BREAK_MAX = 4 };

/* Made by target/<arch>. */
struct KvmArch {
    const char *arch;       /* as in MachineType.arch */
    /*
     * The argument of KVM_CREATE_VM for this machine, which may be refused (kvm.fd is open, no VM yet). Optional: 0,
     * any machine.
     */
    bool (*choose)(Machine *m, unsigned long *vm_type, Error **errp);
    bool vcpu_by_index;        /* the kernel numbers vCPUs by their index, else by CpuPort.arch_id */
    unsigned first_message;    /* interrupt numbers below are pins; 0: 32 */
    bool (*make_irqchip)(KvmIrqchip mode);          /* before vm_init; false: this kernel does not have it */
    bool (*vm_init)(Error **errp);                  /* the VM exists, no vCPU yet */
    bool (*tune)(const KvmTuning *t, Error **errp); /* before vm_init; NULL: it has nothing of that */
    /* Does guest code run on the CPU itself? A throw-away VM of its own; a few milliseconds. *why_not: malloc'd. */
    bool (*fast)(int kvm_fd, char **why_not);
    bool (*before_vcpu)(const Vcpu *v, Error **errp); /* the kernel has not made it yet; may be NULL */
    bool (*vcpu_init)(KvmVcpu *k, Error **errp);
    void (*vcpu_free)(KvmVcpu *k);
    bool (*put)(KvmVcpu *k, Error **errp);          /* Vcpu -> kernel */
    bool (*get)(KvmVcpu *k, Error **errp);          /* kernel -> Vcpu */
    /* again when all vCPUs stand: what they have sent each other; main thread; optional */
    bool (*get_late)(KvmVcpu *k, Error **errp);
    /* Events and interrupts that are due. false: the CPU waits, do not enter the guest. */
    bool (*before_run)(KvmVcpu *k);
    void (*after_run)(KvmVcpu *k, bool entered);    /* whatever the reason; false: it may not have been in the guest */
    bool (*handle_exit)(KvmVcpu *k);                /* reasons of this architecture; false: unknown */
    bool (*system_event)(KvmVcpu *k);               /* of this architecture; false: unknown; may be NULL */
    /*
     * Debugger: points for debug registers (as many as there are), breakpoint instructions are in memory,
     * v->debug.step.
     */
    bool (*set_debug)(KvmVcpu *k, const DebugPoint *points, unsigned count, bool insns);
    /*
     * follow.c; NULL: not possible. follow: an access has been answered: finish it, take the registers,
     * kvm_follow_run(), give them back; its result. may_follow: the length of the instruction if it needs nothing but
     * registers, memory and at most one device, else 0. kernel_has: a device that the kernel answers for.
     */
    unsigned (*follow)(KvmVcpu *k);
    unsigned (*may_follow)(Vcpu *v, const uint8_t *code, unsigned avail);
    bool (*kernel_has)(KvmVcpu *k, bool port, uint64_t at);
    uint8_t break_insn[KVM_BREAK_MAX], break_len;
    unsigned hard_points;
    void (*describe)(KvmVcpu *k, GString *out);     /* where the guest stands, one line; state has been got */
};
void kvm_arch_register(const KvmArch *arch);
#define KVM_ARCH_REGISTER(arch_) \
    static void __attribute__((constructor)) arch_##_register(void) { kvm_arch_register(&arch_); }

/* ioctl(2), again on EINTR except for KVM_RUN; -1 and errno. A test may put its own function in its place. */
extern int (*kvm_ioctl_hook)(int fd, unsigned long request, void *arg); /* NULL: the kernel */
int kvm_ioctl(int fd, unsigned long request, void *arg);
int kvm_check(unsigned capability); /* of the VM; 0: it lacks it */

/* slots.c: the kernel's views of guest memory follow flat views. */
enum { KVM_SPACE_MEMORY, KVM_SPACE_SMM /* what a CPU in system management mode sees */, KVM_SPACES };
void kvm_slots_init(unsigned space, AddressSpace *as); /* before the first vCPU runs */
bool kvm_slots_refresh(Error **errp); /* any thread outside RCU sections; cheap when nothing has changed */
void kvm_slots_forget(void);
unsigned kvm_slots_count(void);
bool kvm_slots_set_logging(bool on, Error **errp);
bool kvm_slots_logging(void);
unsigned kvm_slots_changes(void);                    /* grows with each change of the memory map */
/* any thread: the kernel's logs of written pages go to hw/core/ram.h */
void kvm_slots_collect(void);
void kvm_slots_note(uint32_t number, uint64_t page); /* one page of the kernel's slot; from kvm_dirty_harvest() */

/* dirty.c: which pages guests write (hw/core/ram.h). */
bool kvm_dirty_init(unsigned ring_entries, Error **errp); /* the VM exists, no vCPU yet */
bool kvm_dirty_vcpu_init(KvmVcpu *k, Error **errp);
void kvm_dirty_vcpu_free(KvmVcpu *k);
void kvm_dirty_harvest(void);                             /* all rings; called by slots.c, under its lock */

/* irq.c. Routes: pins are collected and published as a whole, messages at once; any thread. */
void kvm_irq_init(bool messages, bool lines); /* what the kernel's controllers take from file descriptors */
void kvm_route_pin(uint32_t gsi, uint32_t chip, uint32_t pin);
bool kvm_route_message(uint32_t gsi, uint64_t address, uint32_t data, uint32_t requester);
/* an interrupt controller is there that takes messages, and wants to know whose they are */
void kvm_irq_messages_by_requester(void);
bool kvm_routes_publish(void);
void kvm_routes_forget(void);
void kvm_send_msi(uint64_t address, uint32_t data);
void kvm_set_gsi(unsigned gsi, int level);
uint64_t kvm_interrupts(void); /* sent so far, by this process */
void kvm_irq_info(GString *out);

/* dma.c */
void kvm_dma_init(void);
void kvm_dma_forget(void);

/* ioevents.c: writes of the guest that signal file descriptors, or that the kernel collects. */
bool kvm_ioevents_init(void); /* false: the kernel does not signal */
/* Do the writes that were collected; vCPU's thread, whenever it has left the guest, before anything else. */
void kvm_ioevents_flush(void);
void kvm_ioevents_vcpu_init(const KvmVcpu *k);
uint64_t kvm_ioevents_collected(void);
void kvm_ioevents_forget(void);
unsigned kvm_ioevents_count(void);
/* does the kernel signal a descriptor for (some) writes there? In an RCU read section */
bool kvm_ioevents_at(bool port, uint64_t at);

/* follow.c. An access that exited has been answered: go on behind it without the kernel, if that is likely to pay. */
void kvm_follow(KvmVcpu *k);
/*
 * For KvmArch.follow, the registers are the Vcpu's: run guest code until something else is due; how many accesses that
 * were.
 */
unsigned kvm_follow_run(KvmVcpu *k);
void kvm_follow_init(KvmVcpu *k);
void kvm_follow_free(KvmVcpu *k);

/* debug.c */
typedef struct KvmDebugHit {
    enum { KVM_HIT_BREAK_INSN, KVM_HIT_POINT, KVM_HIT_STEP } what;
    unsigned point; /* index into the points of set_debug() */
} KvmDebugHit;
extern const AccelDebugOps kvm_debug_ops;
void kvm_debug_apply(KvmVcpu *k);   /* the state is in the kernel; before KVM_RUN */
void kvm_debug_stopped(KvmVcpu *k, KvmDebugHit hit, uint64_t at); /* at: of the instruction */
unsigned kvm_debug_points(void);

/* run.c */
void *kvm_thread(void *vcpu);
void kvm_kick(Vcpu *v);
/* One line that tells what happened where; the vCPU stops for good and the process ends with status 1. */
void kvm_fail(KvmVcpu *k, const char *hint, const char *fmt, ...) G_GNUC_PRINTF(3, 4);
/* What KVM_RUN came back with: os_errno (0: k->run tells). */
void kvm_handle(KvmVcpu *k, int os_errno);
/*
 * An answered access is taken by the kernel: enter without running guest code. false: it has not been (the next entry
 * tells why).
 */
bool kvm_finish_access(KvmVcpu *k);
/* The Vcpu's fields are true from here on, until the next KVM_RUN. */
void kvm_fetch_state(KvmVcpu *k);
bool kvm_load_state(KvmVcpu *k);   /* if it is not there; false: failed, and said so */
void kvm_standing(void);           /* AccelType.standing */

/* 4 bytes or so at most for one port or memory access; any length is cut. */
void kvm_port_io(KvmVcpu *k, uint16_t port, unsigned size, unsigned count, bool in, uint8_t *data);
void kvm_mmio(KvmVcpu *k, uint64_t addr, unsigned len, bool write, uint8_t *data);
#endif
