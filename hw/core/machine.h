/* SPDX-License-Identifier: MIT */
/* The machine: what is common to all boards, and the run states. */
#ifndef HW_CORE_MACHINE_H
#define HW_CORE_MACHINE_H

#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"
#include "hw/core/device.h"
#include "hw/core/memory.h"
#include "hw/core/numa.h"

typedef struct Chardev Chardev;
typedef struct Machine Machine;

/* What the user asked for; filled by the command line before machine_type->build. Strings are owned by it. */
typedef struct MachineConfig {
    uint64_t ram_size;
    uint64_t ram_max;  /* -m maxmem=: RAM and memory devices; 0: no room for memory devices */
    unsigned ram_slots; /* -m slots= */
    MemRegion *ram;    /* of memory back ends, ram_size big; machine_make_ram() takes it over; NULL: anonymous */
    NumaConfig *numa;  /* NULL: the machine says nothing about nodes */
    unsigned cpus, sockets, dies, cores, threads, max_cpus;
    char *cpu_model;   /* "qemu64,+avx", NULL: the machine's default */
    char *kernel, *initrd, *append, *dtb, *bios, *firmware_dir;
    char *pflash[2];   /* files of -drive if=pflash, by unit */
    bool pflash_readonly[2];
    char *name, *uuid;
    char *rtc_base;    /* "utc", "localtime" or a date */
    char *rtc_clock;   /* "host", "rt", "vm" */
    char *boot_order;  /* -boot order=, NULL: the machine's default */
    char *boot_once;   /* -boot once=: for the first boot only; NULL from the second reset on */
    bool boot_menu, boot_strict;
    bool no_hpet, no_acpi, no_defaults, start_paused, graphics;
    Chardev *serial[4]; /* -serial, NULL: none */
    Chardev *debugcon;
    Chardev *parallel[3];
} MachineConfig;

/*
 * In which state the boot CPU leaves reset. BOOT_RESET_VECTOR: as the architecture says (firmware). Else, at
 * RESET_EXIT, the CPU takes this state over its reset values, all other CPUs wait as usual (x86: for INIT/SIPI):
 *  - BOOT_PM32: protected mode, paging off, flat 4 GiB segments CS 0x10 (code), DS=ES=FS=GS=SS 0x18 (data), interrupts
 * off, GDTR as given, LDTR null, TR a 32-bit busy TSS of base 0 limit 0x67;
 *  - BOOT_LONG64: the same segments with CS.L, CR4.PAE, CR3 = cr3, EFER.LME|LMA, CR0.PG;
 *  - BOOT_ARM: pc = rip (bit 0: T32), r[0..3] in X0-X3 / R0-R3, at exception level arm_el (0: the highest below the
 * emulator's firmware: EL2 when the CPU has it, else EL1; AArch32: Hyp or SVC), in AArch64 when arm_a64, MMU and caches
 * off, DAIF masked, non-secure when the CPU has EL3 (unless arm_secure).
 */
typedef enum MachineBootMode { BOOT_RESET_VECTOR, BOOT_PM32, BOOT_LONG64, BOOT_ARM } MachineBootMode;
typedef struct MachineBoot {
    MachineBootMode mode;
    uint64_t rip, rsp, rax, rbx, rsi;
    uint64_t cr3;                 /* BOOT_LONG64: identity map of the low 4 GiB */
    uint64_t gdt_base;            /* the loader has placed it in RAM */
    uint16_t gdt_limit;
    uint64_t r[4];                /* BOOT_ARM */
    uint8_t arm_el;
    bool arm_a64, arm_secure;
} MachineBoot;

/*
 * Hot plug of devices that sit on no bus (memory modules): as the functions of BusType; plugged and ask_unplug are
 * optional.
 */
typedef struct MachineHotplug {
    bool (*may_hot_plug)(Machine *m, Device *d, Error **errp);
    void (*hot_plugged)(Machine *m, Device *d);
    bool (*ask_unplug)(Machine *m, Device *d, Error **errp);
} MachineHotplug;

typedef struct MachineType {
    const char *name;   /* "q35"; aliases: versioned names */
    const char *desc;
    const char *const *aliases;
    const char *arch;   /* "x86_64", "aarch64" */
    const char *default_cpu;
    unsigned max_cpus;
    uint64_t default_ram;
    const char *ram_name;  /* of its RAM; NULL: a board whose memory can't come from back ends or have nodes */
    size_t size;        /* of the structure whose first member is Machine */
    const char *disk_if;   /* of a -drive without if=; NULL: virtio */
    unsigned ide_units; /* of each of its IDE buses "ide.N"; 0: it has none. It has an empty CD drive at index 2 unless
                           -nodefaults */
    const Property *props; /* -machine options of this board */
    bool (*build)(Machine *m, Error **errp); /* make, wire and start all devices and CPUs */
    bool (*complete)(Machine *m, Error **errp); /* devices of the command line are there, too; optional */
    void (*reset)(Machine *m);               /* before the devices' reset; optional */
    void (*power_button)(Machine *m);
    void (*nmi)(Machine *m);
    void (*destroy)(Machine *m);
    const MachineHotplug *hotplug; /* NULL: it takes none */
} MachineType;

struct Machine {
    const MachineType *type;
    MachineConfig config;
    MemRegion *memory;      /* root of the system memory space */
    MemRegion *io;          /* root of the I/O port space (x86), or NULL */
    AddressSpace *as_memory, *as_io;
    MemRegion *ram;
    /*
     * x86: what a CPU in system management mode sees: "memory" with SMRAM on top. NULL: the board has no SMM. Made by
     * build().
     */
    MemRegion *smm;
    AddressSpace *as_smm;
    struct CpuSlots *cpu_slots; /* cpu-slots.h: CPUs may come and go; NULL: no. The board's */
    MachineBoot boot; /* set by type->build or type->reset (direct boot) */
};

void machine_register(const MachineType *type);
const MachineType *machine_type_find(const char *name);
const MachineType *const *machine_types(unsigned *count);
#define MACHINE_REGISTER(type_) \
    static void __attribute__((constructor)) type_##_register(void) { machine_register(&type_); }

Machine *machine_new(const MachineType *type); /* spaces made, property defaults set */
bool machine_build(Machine *m, Error **errp);  /* checks ram and cpu counts, then type->build; sets machine_current() */
bool machine_complete(Machine *m, Error **errp); /* before the first reset: type->complete */
/* For build(): m->ram, of config.ram_size bytes, the machine's. */
bool machine_make_ram(Machine *m, Error **errp);
void machine_free(Machine *m);
Machine *machine_current(void);

/*
 * Run states. Requests may come from any thread (a vCPU that writes a reset register); the main loop carries them out.
 */
typedef enum RunState {
    RUN_PRELAUNCH,
    RUN_RUNNING,
    RUN_PAUSED,
    RUN_SHUTDOWN,
    RUN_GUEST_PANICKED,
    RUN_SAVING,
    RUN_LOADING,
    RUN_INTERNAL_ERROR,
    RUN_DEBUG /* the debugger's client decides how it goes on */,
    RUN_IO_ERROR /* a disk failed, and rerror= or werror= says stop */
} RunState;
RunState machine_run_state(void);
const char *run_state_name(RunState s); /* QMP's names */
typedef enum ShutdownCause { CAUSE_NONE, CAUSE_HOST_SIGNAL, CAUSE_HOST_UI, CAUSE_HOST_QMP_QUIT, CAUSE_HOST_QMP_RESET,
                             CAUSE_GUEST_SHUTDOWN, CAUSE_GUEST_RESET } ShutdownCause;
void machine_request_reset(ShutdownCause cause);
void machine_request_shutdown(ShutdownCause cause);
void machine_request_exit(int status);   /* e.g. isa-debug-exit: end the process with this status */
void machine_request_suspend(void);
void machine_request_wakeup(void);
void machine_request_power_button(void);
void machine_request_pause(RunState s);  /* from a device that can't go on */
void machine_guest_panicked(const char *how); /* pvpanic */
void machine_pause(RunState s);   /* main thread: stops vCPUs and the virtual clock; returns when they stand still */
void machine_resume(void);        /* main thread */
/*
 * Main thread: every vCPU stands outside guest code between the two, for changes of what they see; the run state and
 * the clocks stay as they are. They nest.
 */
void machine_stand_still(void);
void machine_go_on(void);
/* Who learns of pauses (vCPUs stand) and resumes (they still stand). Main thread, no lock domain held; once each. */
void machine_add_state_listener(void (*changed)(RunState s));

/* Set by the accelerator and by system/: how vCPUs are stopped, resumed, and what happens on requests. */
typedef struct MachineRunOps {
    void (*pause_cpus)(void);  /* returns when every vCPU stands outside guest code */
    void (*resume_cpus)(void);
    /* a vCPU has asked for something that pauses the machine: guest code need not go on till then; optional */
    void (*stand_by)(void);
    void (*request)(void);     /* wake the main loop: a request flag is set; see machine_take_requests() */
    bool (*panic_pauses)(void); /* whether a panic of the guest is the end of its running; optional: it is not */
} MachineRunOps;
void machine_set_run_ops(const MachineRunOps *ops);
typedef struct MachineRequests {
    bool reset, shutdown, exit, suspend, wakeup, power_button, panicked, pause;
    RunState pause_state;
    int exit_status;
    ShutdownCause cause;
} MachineRequests;
MachineRequests machine_take_requests(void); /* and clear; main thread */

/* Save to / load from a file (the stream of state.h): `savevm`-style. Machine paused by the callee. */
bool machine_save(const char *path, Error **errp);
bool machine_load(const char *path, Error **errp);
#endif
