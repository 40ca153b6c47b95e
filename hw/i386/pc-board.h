/* SPDX-License-Identifier: MIT */
/* What the boards q35, pc and microvm do alike: memory layout, CPUs, interrupt controllers, ISA devices, firmware. */
#ifndef HW_I386_PC_BOARD_H
#define HW_I386_PC_BOARD_H

#include "hw/acpi/platform.h"
#include "hw/core/machine.h"
#include "hw/core/unmodelled.h"
#include "hw/firmware/fw_cfg.h"
#include "hw/firmware/loader.h"
#include "hw/i386/host-bridge.h"
#include "hw/i386/southbridge.h"
#include "hw/intc/ioapic.h"

typedef enum PcSwitch { PC_AUTO, PC_ON, PC_OFF } PcSwitch;

typedef struct PcBoard {
    Machine machine;
    /* -machine properties */
    int smm, vmport, pit_switch, irqchip;
    bool i8042, usb, sata, smbus;
    bool booted_once; /* the boot order in CMOS is that of -boot once= */
    uint64_t max_ram_below_4g;
    /* Memory */
    uint64_t below_4g, above_4g;
    MemRegion *pci, *smm_memory, *ram_low, *ram_high, *bios, *bios_low, *apic_window;
    GPtrArray *unmodelled; /* MemRegion */
    GBytes *bios_image;
    /* Parts */
    Device *memory_hotplug; /* NULL: no memory slots */
    Device *cpu_hotplug;    /* NULL: all CPUs are there */
    Device *host, *pic, *ioapic, *pit, *rtc, *hpet;
    GsiRouter gsi;
    IsaBus *isa;
    PciDevice *mch, *south;
    AcpiPm *pm;
    FwCfg *fw;
    uint32_t *apic_ids;
    uint32_t apic_id_limit;
    AcpiPlatform acpi;
    const struct PcModel *model;
} PcBoard;

static inline PcBoard *pc_board(Machine *m) { return (PcBoard *)m; }

#define PC_BOARD_PROPS \
    DEFINE_PROP_ENUM("smm", PcBoard, smm, PC_AUTO, pc_switch_names, "system management mode"), \
    DEFINE_PROP_ENUM("vmport", PcBoard, vmport, PC_AUTO, pc_switch_names, \
        "the back door port (accepted, not modelled)"), \
    DEFINE_PROP_ENUM("pit", PcBoard, pit_switch, PC_AUTO, pc_switch_names, "8254 interval timer"), \
    DEFINE_PROP_ENUM("kernel-irqchip", PcBoard, irqchip, 0, pc_irqchip_names, \
        "where KVM keeps the interrupt controllers"), \
    DEFINE_PROP_BOOL("i8042", PcBoard, i8042, true, "PS/2 keyboard and mouse controller"), \
    DEFINE_PROP_BOOL("usb", PcBoard, usb, false, "USB controller (none in this version)"), \
    DEFINE_PROP_BOOL("smbus", PcBoard, smbus, true, "SMBus with memory-module EEPROMs"), \
    DEFINE_PROP_SIZE("max-ram-below-4g", PcBoard, max_ram_below_4g, 0, "upper bound of RAM below 4 GiB")
extern const char *const pc_switch_names[], *const pc_irqchip_names[];

/* What differs between q35 and pc. */
typedef struct PcModel {
    AcpiFlavour flavour;
    const char *host_type, *north_type, *south_type;
    uint8_t south_devfn;
    bool south_has_smm; /* the south bridge's function 0 raises SMIs */
    uint64_t low_limit, low_split; /* RAM below 4 GiB up to low_limit; with more RAM in all: low_split */
    uint32_t hpet_lines;
    uint16_t cpu_hotplug_port;
    const UnmodelledRange *unmodelled; /* ended by name NULL */
    bool (*add_functions)(PcBoard *b, Error **errp); /* the rest of the south bridge; sets b->pm */
    void (*acpi_update)(PcBoard *b);                 /* registers' present places into b->acpi */
} PcModel;

bool pc_board_build(Machine *m, const PcModel *model, Error **errp);
void pc_board_destroy(Machine *m);
void pc_board_power_button(Machine *m);
void pc_board_nmi(Machine *m);
void pc_board_reset(Machine *m); /* -boot once=: the first reset; from the second on the usual order */

/* The steps of the above, for microvm. */
bool pc_board_add_ram(PcBoard *b, Error **errp);
bool pc_board_add_cpus(PcBoard *b, Error **errp);
bool pc_board_add_cpu_hotplug(PcBoard *b, Error **errp); /* when there is room for more CPUs */
unsigned pc_board_cpus(const PcBoard *b);                /* that are there now */
void pc_board_raise_gpe(PcBoard *b, unsigned gpe);
bool pc_board_add_irqchip(PcBoard *b, bool with_pic, Error **errp);
bool pc_board_add_timers(PcBoard *b, Error **errp); /* RTC, PIT with speaker port, HPET unless config.no_hpet */
bool pc_board_add_serial(PcBoard *b, Error **errp);
void pc_board_add_unmodelled(PcBoard *b, const UnmodelledRange *ranges);
bool pc_board_load_bios(PcBoard *b, const char *dflt, Error **errp);
bool pc_board_add_fw_cfg(PcBoard *b, Error **errp);
bool pc_board_add_memory_slots(PcBoard *b, Error **errp); /* and the range of memory devices */
unsigned pc_board_e820(const PcBoard *b, E820Entry out[2]);
/* Make an ISA device, set "prop", "value" pairs up to NULL, start it. */
Device *pc_board_isa_device(PcBoard *b, const char *type, const char *id, Error **errp,
                            ...) G_GNUC_NULL_TERMINATED;
#endif
