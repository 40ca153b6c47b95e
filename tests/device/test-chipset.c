/* SPDX-License-Identifier: MIT */
/*
 * The q35 and pc boards as a guest finds them, without running one: identities, memory layout, PAM, SMRAM and TSEG,
 * interrupt routing, ACPI block, sleep, reset, SMI, SMBus, tables through fw_cfg, and bad options.
 */
#include <stdio.h>
#include <unistd.h>
#include "base/bits.h"
#include "base/evloop.h"
#include "hw/core/cpu-port.h"
#include "hw/core/event-doors.h"
#include "hw/core/machine.h"
#include "hw/i386/pc-board.h"

/* ---- A CPU that only counts what reaches it ---- */

static CpuPort ports[4];
static unsigned smi_count, nmi_count;

static void stub_set_line(CpuPort *p, CpuLine line, bool level)
{
    smi_count += line == CPU_LINE_SMI;
    nmi_count += line == CPU_LINE_NMI;
}
static void stub_sipi(CpuPort *p, uint8_t vector) {}
static uint64_t stub_tsc(CpuPort *p) { return 0; }
static const CpuPortOps stub_ops = { .set_line = stub_set_line, .sipi = stub_sipi };

static bool stub_create(Machine *m, unsigned index, uint32_t arch_id, const char *model,
                        Error **errp)
{
    ports[index] = (CpuPort){.ops = &stub_ops,
                             .index = index,
                             .arch_id = arch_id,
                             .bsp = !index,
                             .read_tsc = stub_tsc,
                             .tsc_hz = 1000000000};
    cpu_port_add(&ports[index]);
    return true;
}
static const CpuFamily stub_family = { .arch = "stub", .create = stub_create };
CPU_FAMILY_REGISTER(stub_family)

/* ---- The machine under test ---- */

static MachineType type;
static char *bios_path;
static Machine *m;

static bool boot(const char *name, uint64_t ram, const char *prop, const char *value, Error **errp)
{
    type = *machine_type_find(name);
    type.arch = "stub";
    m = machine_new(&type);
    m->config.ram_size = ram;
    m->config.cpus = m->config.max_cpus = m->config.sockets = 2;
    m->config.bios = g_strdup(bios_path);
    if (prop && !props_set(type.props, m, "machine", prop, value, errp))
        return false;
    if (!machine_build(m, errp))
        return false;
    device_reset_all();
    smi_count = 0;
    return true;
}

static void start_machine(const char *name, uint64_t ram)
{
    Error *err = NULL;

    if (!boot(name, ram, NULL, NULL, &err))
        g_error("%s", err->message);
}

static void stop(void)
{
    machine_free(m);
    m = NULL;
    machine_take_requests();
}

static uint64_t load_from(AddressSpace *as, hwaddr at, unsigned size)
{
    uint64_t v;

    as_load(as, at, size, &v, MEM_ATTRS_DEVICE);
    return v;
}
static uint64_t mem_get(hwaddr at, unsigned size) { return load_from(m->as_memory, at, size); }
static void mem_put(hwaddr at, unsigned size, uint64_t v) { as_store(m->as_memory, at, size, v, MEM_ATTRS_DEVICE); }
static uint64_t in(uint16_t port, unsigned size) { return load_from(m->as_io, port, size); }
static void out(uint16_t port, unsigned size, uint64_t v) { as_store(m->as_io, port, size, v, MEM_ATTRS_DEVICE); }

static void cfg_select(uint8_t devfn, unsigned at) { out(0xcf8, 4, 0x80000000u | (uint32_t)devfn << 8 | (at & 0xfc)); }
static uint32_t cfg_get(uint8_t devfn, unsigned at, unsigned size)
{
    cfg_select(devfn, at);
    return (uint32_t)in(0xcfc + (at & 3), size);
}
static void cfg_put(uint8_t devfn, unsigned at, unsigned size, uint32_t v)
{
    cfg_select(devfn, at);
    out(0xcfc + (at & 3), size, v);
}

enum { LPC = PCI_DEVFN(0x1f, 0), SMB = PCI_DEVFN(0x1f, 3), PIIX = PCI_DEVFN(1, 0),
       PIIX_PM = PCI_DEVFN(1, 3), PM = 0x600 };

static void enable_pm(void)
{
    cfg_put(LPC, 0x40, 4, PM | 1);
    cfg_put(LPC, 0x44, 1, 0x80);
}

/* ---- Tests ---- */

/* The numbers by which SeaBIOS and OVMF know the chipset. */
static void test_identity(void)
{
    start_machine("q35", 128 * MiB);
    g_assert_cmphex(cfg_get(0, 0, 4), ==, 0x29c08086);
    g_assert_cmphex(cfg_get(LPC, 0, 4), ==, 0x29188086);
    g_assert_cmphex(cfg_get(LPC, 0x0e, 1), ==, 0x80);
    g_assert_cmphex(cfg_get(SMB, 0, 4), ==, 0x29308086);
    g_assert_cmphex(cfg_get(LPC, 8, 4) >> 8, ==, 0x060100);
    stop();
    start_machine("pc", 128 * MiB);
    g_assert_cmphex(cfg_get(0, 0, 4), ==, 0x12378086);
    g_assert_cmphex(cfg_get(PIIX, 0, 4), ==, 0x70008086);
    g_assert_cmphex(cfg_get(PIIX, 0x0e, 1), ==, 0x80);
    g_assert_cmphex(cfg_get(PIIX_PM, 0, 4), ==, 0x71138086);
    stop();
}

static void check_layout(const char *name, uint64_t ram, uint64_t low)
{
    start_machine(name, ram);
    g_assert_cmphex(pc_board(m)->below_4g, ==, low);
    mem_put(low - 8, 8, 0x1122334455667788);
    g_assert_cmphex(mem_get(low - 8, 8), ==, 0x1122334455667788);
    if (low < ram) {
        mem_put(4 * GiB + ram - low - 8, 8, 0x99);
        g_assert_cmphex(mem_get(4 * GiB + ram - low - 8, 8), ==, 0x99);
    }
    g_assert_cmphex(mem_get(4 * GiB + ram - low, 8), ==, UINT64_MAX);
    stop();
}

static void test_layout(void)
{
    check_layout("q35", 128 * MiB, 128 * MiB);
    check_layout("q35", 0xafffe000, 0xafffe000);
    check_layout("q35", 3 * GiB, 0x80000000);
    check_layout("pc", 3 * GiB, 3 * GiB);
    check_layout("pc", 4 * GiB, 0xc0000000);
    start_machine("q35", 128 * MiB);
    g_assert_cmphex(mem_get(0xfffffff0, 1), ==, 0xea); /* the image ends at 4 GiB ... */
    g_assert_cmphex(mem_get(0xffff0, 1), ==, 0xea);    /* ... and shows below 1 MiB */
    mem_put(0xfffffff0, 1, 0);
    mem_put(0xffff0, 1, 0);
    g_assert_cmphex(mem_get(0xffff0, 1), ==, 0xea);
    g_assert_cmphex(mem_get(0xa0000, 4), ==, 0xffffffff);
    stop();
}

static void check_pam(const char *name, unsigned pam0)
{
    start_machine(name, 128 * MiB);
    cfg_put(0, pam0, 1, 0x30); /* RAM at 0xf0000: the BIOS copies itself through a high alias */
    g_assert_cmphex(mem_get(0xffff0, 1), ==, 0);
    mem_put(0xffff0, 1, 0x5a);
    g_assert_cmphex(mem_get(0xffff0, 1), ==, 0x5a);
    cfg_put(0, pam0, 1, 0x10); /* readable, write-protected */
    mem_put(0xffff0, 1, 0xff);
    g_assert_cmphex(mem_get(0xffff0, 1), ==, 0x5a);
    cfg_put(0, pam0, 1, 0);
    g_assert_cmphex(mem_get(0xffff0, 1), ==, 0xea);
    cfg_put(0, pam0 + 1, 1, 0x03); /* 0xc0000-0xc3fff only */
    mem_put(0xc0000, 4, 0x12345678);
    mem_put(0xc4000, 4, 0x12345678);
    g_assert_cmphex(mem_get(0xc0000, 4), ==, 0x12345678);
    g_assert_cmphex(mem_get(0xc4000, 4), ==, 0xffffffff);
    cfg_put(0, pam0 + 6, 1, 0x30); /* 0xec000-0xeffff */
    mem_put(0xec000, 4, 0x77);
    g_assert_cmphex(mem_get(0xec000, 4), ==, 0x77);
    device_reset_all();
    g_assert_cmphex(mem_get(0xffff0, 1), ==, 0xea);
    stop();
}

static void test_pam(void)
{
    check_pam("q35", 0x90);
    check_pam("pc", 0x59);
}

static void check_smram(const char *name, unsigned reg)
{
    start_machine(name, 128 * MiB);
    cfg_put(0, reg, 1, 0x4a); /* open */
    mem_put(0xa8000, 4, 0xfeedface);
    g_assert_cmphex(mem_get(0xa8000, 4), ==, 0xfeedface);
    cfg_put(0, reg, 1, 0x0a); /* closed */
    g_assert_cmphex(mem_get(0xa8000, 4), ==, 0xffffffff);
    g_assert_cmphex(load_from(m->as_smm, 0xa8000, 4), ==, 0xfeedface);
    g_assert_cmphex(load_from(m->as_smm, 0xffff0, 1), ==, 0xea); /* the rest is as outside */
    cfg_put(0, reg, 1, 0x5a); /* open and lock: locked wins */
    g_assert_cmphex(cfg_get(0, reg, 1), ==, 0x1a);
    cfg_put(0, reg, 1, 0x4a);
    g_assert_cmphex(cfg_get(0, reg, 1), ==, 0x1a);
    g_assert_cmphex(mem_get(0xa8000, 4), ==, 0xffffffff);
    device_reset_all();
    g_assert_cmphex(cfg_get(0, reg, 1), ==, 0x02);
    cfg_put(0, reg, 1, 0x4a);
    g_assert_cmphex(mem_get(0xa8000, 4), ==, 0xfeedface);
    stop();
}

static void test_smram(void)
{
    check_smram("q35", 0x9d);
    check_smram("pc", 0x72);
}

static void test_tseg(void)
{
    hwaddr top = 128 * MiB;

    start_machine("q35", top);
    mem_put(top - 4, 4, 0xabcd1234);
    cfg_put(0, 0x9e, 1, 0x03); /* 2 MiB, enabled */
    g_assert_cmphex(mem_get(top - 4, 4), ==, 0xabcd1234);
    cfg_put(0, 0x9d, 1, 0x0a);
    g_assert_cmphex(mem_get(top - 4, 4), ==, 0xffffffff);
    g_assert_cmphex(load_from(m->as_smm, top - 4, 4), ==, 0xabcd1234);
    mem_put(top - 2 * MiB - 4, 4, 7);
    g_assert_cmphex(mem_get(top - 2 * MiB - 4, 4), ==, 7);
    cfg_put(0, 0x50, 2, 0xffff); /* the size of the extended TSEG is asked for */
    g_assert_cmphex(cfg_get(0, 0x50, 2), ==, 16);
    device_reset_all();
    g_assert_cmphex(mem_get(top - 4, 4), ==, 0xabcd1234);
    stop();
}

static void test_ecam(void)
{
    start_machine("q35", 128 * MiB);
    g_assert_cmphex(mem_get(0xb0000000, 4), ==, 0xffffffff);
    cfg_put(0, 0x64, 4, 0);
    cfg_put(0, 0x60, 4, 0xb0000001);
    g_assert_cmphex(mem_get(0xb0000000, 4), ==, 0x29c08086);
    g_assert_cmphex(mem_get(0xb0000000 + (LPC << 12), 4), ==, 0x29188086);
    cfg_put(0, 0x60, 4, 0xe0000001);
    g_assert_cmphex(mem_get(0xb0000000, 4), ==, 0xffffffff);
    g_assert_cmphex(mem_get(0xe0000000, 4), ==, 0x29c08086);
    device_reset_all();
    g_assert_cmphex(mem_get(0xe0000000, 4), ==, 0xffffffff);
    stop();
}

/* ---- Interrupts: seen in the I/O APIC's and the 8259's own registers ---- */

static bool pic_requests(unsigned irq)
{
    uint16_t port = irq < 8 ? 0x20 : 0xa0;

    out(port, 1, 0x0a); /* read IRR */
    return in(port, 1) >> (irq & 7) & 1;
}

static void route_pic_level(unsigned irq)
{
    out(irq < 8 ? 0x4d0 : 0x4d1, 1, BIT(irq & 7)); /* ELCR */
}

static void test_pirq(void)
{
    PciDevice *smb;

    start_machine("q35", 128 * MiB);
    smb = pci_device(device_find("ICH9-SMB"));
    route_pic_level(11);
    pci_set_irq(smb, 1);
    g_assert_false(pic_requests(11)); /* not routed yet */
    cfg_put(LPC, 0x60, 1, 11);        /* D31 pin A is PIRQA */
    g_assert_true(pic_requests(11));
    cfg_put(LPC, 0x60, 1, 0x8b);
    g_assert_false(pic_requests(11));
    cfg_put(LPC, 0xf0, 4, 0xfed1c001); /* RCBA; D31IR: pin A to PIRQC */
    mem_put(0xfed1c000 + 0x3140, 2, 0x3212);
    cfg_put(LPC, 0x62, 1, 11);
    g_assert_true(pic_requests(11));
    pci_set_irq(smb, 0);
    g_assert_false(pic_requests(11));
    stop();

    start_machine("pc", 128 * MiB);
    smb = pci_device(device_find("PIIX4_PM")); /* slot 1 pin A is PIRQA */
    route_pic_level(10);
    cfg_put(PIIX, 0x60, 1, 10);
    pci_set_irq(smb, 1);
    g_assert_true(pic_requests(10));
    cfg_put(PIIX, 0x60, 1, 0x80);
    g_assert_false(pic_requests(10));
    stop();
}

static bool no_line(unsigned gsi, int fd, int resample_fd, bool assign) { return false; }

/* Which line an eventfd would raise for a function's pin: the one place where it leads. */
static void test_pirq_by_eventfd(void)
{
    static const EventDoors doors = { .line_fd = no_line };
    PciDevice *smb;

    start_machine("q35", 128 * MiB);
    smb = pci_device(device_find("ICH9-SMB"));
    g_assert_cmpint(pci_intx_by_eventfd(smb), ==, -1); /* nobody raises lines so */
    event_doors_set(&doors);
    g_assert_cmpint(pci_intx_by_eventfd(smb), ==, 16);
    cfg_put(LPC, 0x60, 1, 11); /* to the 8259 pair, too */
    g_assert_cmpint(pci_intx_by_eventfd(smb), ==, -1);
    cfg_put(LPC, 0x60, 1, 0x8b);
    g_assert_cmpint(pci_intx_by_eventfd(smb), ==, 16);
    cfg_put(LPC, 0xf0, 4, 0xfed1c001);
    mem_put(0xfed1c000 + 0x3140, 2, 0x3212);
    g_assert_cmpint(pci_intx_by_eventfd(smb), ==, 18);
    stop();

    start_machine("pc", 128 * MiB);
    smb = pci_device(device_find("PIIX4_PM"));
    g_assert_cmpint(pci_intx_by_eventfd(smb), ==, -1);
    cfg_put(PIIX, 0x60, 1, 10);
    g_assert_cmpint(pci_intx_by_eventfd(smb), ==, 10);
    cfg_put(PIIX, 0x60, 1, 0x80);
    g_assert_cmpint(pci_intx_by_eventfd(smb), ==, -1);
    stop();
    event_doors_set(NULL);
}

static void test_sci_and_button(void)
{
    start_machine("q35", 128 * MiB);
    enable_pm();
    route_pic_level(9);
    out(PM + 2, 2, 0x100); /* PWRBTN_EN */
    m->type->power_button(m);
    g_assert_cmphex(in(PM, 2) & 0x100, ==, 0x100);
    g_assert_false(pic_requests(9)); /* SCI_EN is off */
    out(0xb2, 1, 2);                 /* ACPI_ENABLE */
    g_assert_cmphex(in(PM + 4, 2) & 1, ==, 1);
    g_assert_true(pic_requests(9));
    out(PM, 2, 0x100); /* write 1 to clear */
    g_assert_false(pic_requests(9));
    out(0xb2, 1, 3);
    g_assert_cmphex(in(PM + 4, 2) & 1, ==, 0);
    stop();
}

static void test_pm_timer(void)
{
    start_machine("q35", 128 * MiB);
    enable_pm();
    clock_virtual_set(0);
    device_reset_all();
    enable_pm();
    clock_virtual_set(1000000000);
    g_assert_cmpuint(in(PM + 8, 4), ==, 3579545);
    g_assert_cmphex(in(PM, 2) & 1, ==, 0);
    clock_virtual_set(INT64_C(2400000000)); /* bit 23 changes at 2.3435 s */
    g_assert_cmphex(in(PM, 2) & 1, ==, 1);
    out(PM, 2, 1);
    g_assert_cmphex(in(PM, 2) & 1, ==, 0);
    clock_virtual_set(INT64_C(4700000000));
    g_assert_cmphex(in(PM, 2) & 1, ==, 1);
    g_assert_cmpuint(in(PM + 8, 4), ==, (uint32_t)(4.7 * 3579545) & 0xffffff);
    stop();
}

static void check_sleep(const char *name, unsigned type_value, bool off)
{
    MachineRequests r;

    start_machine(name, 128 * MiB);
    if (!strcmp(name, "q35")) {
        enable_pm();
    } else {
        cfg_put(PIIX_PM, 0x40, 4, PM | 1);
        cfg_put(PIIX_PM, 0x80, 1, 1);
    }
    out(PM + 4, 2, type_value << 10);
    r = machine_take_requests();
    g_assert_false(r.shutdown);
    out(PM + 4, 2, type_value << 10 | 0x2000);
    r = machine_take_requests();
    g_assert_cmpint(r.shutdown, ==, off);
    g_assert_cmphex(in(PM + 4, 2) & 0x2000, ==, 0);
    stop();
}

static void test_sleep(void)
{
    check_sleep("q35", 0, true);
    check_sleep("pc", 0, true);
    check_sleep("q35", 7, false);
}

/*
 * S3: RAM and its shadow stay, the next reset is the wake-up and says so to firmware (CMOS 0x0f) and system (WAK_STS).
 */
static void test_suspend(void)
{
    start_machine("q35", 128 * MiB);
    enable_pm();
    cfg_put(0, 0x90, 1, 0x30);
    mem_put(0xffff0, 1, 0x5a);
    out(PM + 4, 2, 1 << 10 | 0x2000);
    g_assert_true(machine_take_requests().suspend);
    m->type->reset(m);
    device_reset_all();
    g_assert_cmphex(mem_get(0xffff0, 1), ==, 0x5a);
    out(0x70, 1, 0x0f);
    g_assert_cmphex(in(0x71, 1), ==, 0xfe);
    g_assert_cmphex(in(PM, 2) & 0x8000, ==, 0x8000);
    m->type->reset(m);
    device_reset_all(); /* an ordinary one: the ROM is back */
    g_assert_cmphex(mem_get(0xffff0, 1), ==, 0xea);
    enable_pm();
    g_assert_cmphex(in(PM, 2) & 0x8000, ==, 0);
    stop();
}

static void test_reset_control(void)
{
    static const char *const boards[] = { "q35", "pc" };

    for (unsigned i = 0; i < 2; i++) {
        start_machine(boards[i], 128 * MiB);
        out(0xcf8, 4, 0x80000000);
        out(0xcf9, 1, 0x02);
        g_assert_cmphex(in(0xcf9, 1), ==, 0x02);
        g_assert_false(machine_take_requests().reset);
        g_assert_cmphex(in(0xcf8, 4), ==, 0x80000000); /* the byte port lies inside the address register */
        out(0xcf9, 1, 0x06);
        g_assert_true(machine_take_requests().reset);
        stop();
    }
}

static void test_smi(void)
{
    Error *err = NULL;

    start_machine("q35", 128 * MiB);
    enable_pm();
    out(0xb2, 1, 0x55);
    g_assert_cmpuint(smi_count, ==, 0);
    out(PM + 0x30, 4, 0x21); /* APMC_EN, GBL_SMI_EN */
    out(0xb3, 1, 0x77);
    out(0xb2, 1, 0x55);
    g_assert_cmpuint(smi_count, ==, 1);
    g_assert_cmphex(in(0xb2, 1), ==, 0x55);
    g_assert_cmphex(in(0xb3, 1), ==, 0x77);
    g_assert_cmphex(in(PM + 0x34, 4) & 0x20, ==, 0x20);
    cfg_put(LPC, 0xa0, 1, 0x10); /* SMI_LOCK: the global enable stays */
    out(PM + 0x30, 4, 0);
    g_assert_cmphex(in(PM + 0x30, 4) & 1, ==, 1);
    nmi_count = 0;
    m->type->nmi(m);
    g_assert_cmpuint(nmi_count, ==, 2);
    stop();
    if (!boot("q35", 128 * MiB, "smm", "off", &err))
        g_error("%s", err->message);
    g_assert_null(m->as_smm);
    enable_pm();
    g_assert_cmphex(in(PM + 0x30, 4) & 0x20, ==, 0x20); /* firmware takes it as set up */
    out(PM + 0x30, 4, 0x21);
    out(0xb2, 1, 0x55);
    g_assert_cmpuint(smi_count, ==, 0);
    stop();
}

/* A read of module 0's EEPROM, as i801 drivers do it. */
static void test_smbus(void)
{
    start_machine("q35", 128 * MiB);
    cfg_put(SMB, 0x20, 4, 0x701);
    cfg_put(SMB, 0x40, 1, 1);
    cfg_put(SMB, 4, 2, 1);
    out(0x704, 1, 0x50 << 1 | 1);
    out(0x703, 1, 2); /* byte 2: memory type */
    out(0x702, 1, 0x40 | 2 << 2);
    g_assert_cmphex(in(0x700, 1) & 0x06, ==, 0x02);
    g_assert_cmphex(in(0x705, 1), ==, 8); /* DDR2 */
    out(0x700, 1, 0xff);
    out(0x704, 1, 0x57 << 1 | 1); /* no such module */
    out(0x702, 1, 0x40 | 2 << 2);
    g_assert_cmphex(in(0x700, 1) & 0x06, ==, 0x04);
    stop();
}

/*
 * No feeding: the first time-out is noted, the second one resets, once NO_REBOOT is cleared and when no strap forbids
 * it.
 */
static void test_tco(void)
{
    Error *err = NULL;
    g_assert_true(device_add_global("ICH9-LPC", "noreboot", "off", &err));
    start_machine("q35", 128 * MiB);
    enable_pm();
    cfg_put(LPC, 0xf0, 4, 0xfed1c001);
    g_assert_cmphex(mem_get(0xfed1c000 + 0x3410, 4) & 0x20, ==, 0x20);
    mem_put(0xfed1c000 + 0x3410, 4, 0);
    clock_virtual_set(0);
    clock_virtual_enable(true);
    out(PM + 0x72, 2, 4);
    out(PM + 0x60, 2, 1); /* reload: 2.4 s */
    clock_virtual_set(INT64_C(2500000000));
    for (unsigned i = 0; i < 50 && !(in(PM + 0x64, 2) & 8); i++)
        evloop_iterate(false);
    g_assert_cmphex(in(PM + 0x64, 2) & 8, ==, 8);
    g_assert_false(machine_take_requests().reset);
    clock_virtual_set(INT64_C(5100000000));
    bool reset = false;
    for (unsigned i = 0; i < 50 && !reset; i++) {
        evloop_iterate(false);
        reset = machine_take_requests().reset;
    }
    g_assert_true(reset);
    clock_virtual_enable(false);
    stop();
}

static uint64_t fw_read(unsigned bytes)
{
    uint64_t v = 0;

    while (bytes--)
        v = v << 8 | in(0x511, 1);
    return v;
}

/* As firmware does: look the name up in the directory and select its key. */
static void select_file(const char *name)
{
    out(0x510, 2, FW_CFG_FILE_DIR);
    for (unsigned n = (unsigned)fw_read(4); n; n--) {
        char entry[56];
        fw_read(4);
        uint16_t key = (uint16_t)fw_read(2);
        fw_read(2);
        for (unsigned i = 0; i < sizeof(entry); i++)
            entry[i] = (char)fw_read(1);
        if (!strcmp(entry, name)) {
            out(0x510, 2, key);
            return;
        }
    }
    g_error("no file '%s'", name);
}

/* Tables follow what the firmware has programmed when it fetches them. */
static void test_tables(void)
{
    GBytes *loader;
    gsize len;
    const uint8_t *p;

    start_machine("q35", 128 * MiB);
    g_assert_nonnull(fw_cfg_get_file(pc_board(m)->fw, "etc/acpi/rsdp"));
    g_assert_nonnull(fw_cfg_get_file(pc_board(m)->fw, "etc/smbios/smbios-anchor"));
    g_assert_nonnull(fw_cfg_get_file(pc_board(m)->fw, "etc/e820"));
    g_assert_nonnull(fw_cfg_get_file(pc_board(m)->fw, "etc/system-states"));
    loader = fw_cfg_get_file(pc_board(m)->fw, "etc/table-loader");
    p = g_bytes_get_data(loader, &len);
    g_assert_cmpuint(len % 128, ==, 0);
    g_assert_cmpuint(load_le32(p), ==, 1);
    g_assert_cmpstr((const char *)p + 4, ==, "etc/acpi/rsdp");
    cfg_put(0, 0x64, 4, 0);
    cfg_put(0, 0x60, 4, 0xe0000001);
    g_assert_null(
        memmem(g_bytes_get_data(fw_cfg_get_file(pc_board(m)->fw, "etc/acpi/tables"), &len), len,
               "MCFG", 4));
    select_file("etc/table-loader");
    g_assert_nonnull(
        memmem(g_bytes_get_data(fw_cfg_get_file(pc_board(m)->fw, "etc/acpi/tables"), &len), len,
               "MCFG", 4));
    stop();
}

static void check_refused(const char *name, const char *prop, const char *value, const char *what)
{
    Error *err = NULL;

    g_assert_false(boot(name, 128 * MiB, prop, value, &err));
    g_assert_nonnull(strstr(err->message, what));
    error_free(err);
    stop();
}

static void test_bad_options(void)
{
    g_autofree char *good = g_steal_pointer(&bios_path);

    check_refused("q35", "smm", "maybe", "smm");
    bios_path = g_strdup("/nonexistent/bios.bin");
    check_refused("q35", NULL, NULL, "/nonexistent/bios.bin");
    g_free(bios_path);
    bios_path = g_strdup_printf("%s.short", good);
    g_assert_true(g_file_set_contents(bios_path, "x", 1, NULL));
    check_refused("pc", NULL, NULL, "multiple of 64 KiB");
    remove(bios_path);
    g_free(bios_path);
    bios_path = g_strdup(good);
    check_refused("q35", "usb", "on", "USB");
    check_refused("q35", "max-ram-below-4g", "1000", "max-ram-below-4g");
}

int main(int argc, char **argv)
{
    g_autofree char *image = g_malloc0(256 * KiB);
    int status;

    g_test_init(&argc, &argv, NULL);
    evloop_init();
    image[256 * KiB - 16] = (char)0xea;
    bios_path = g_strdup_printf("%s/rhea-test-bios-%d", g_get_tmp_dir(), (int)getpid());
    g_assert_true(g_file_set_contents(bios_path, image, 256 * KiB, NULL));
    g_test_add_func("/chipset/identity", test_identity);
    g_test_add_func("/chipset/layout", test_layout);
    g_test_add_func("/chipset/pam", test_pam);
    g_test_add_func("/chipset/smram", test_smram);
    g_test_add_func("/chipset/tseg", test_tseg);
    g_test_add_func("/chipset/ecam", test_ecam);
    g_test_add_func("/chipset/pirq", test_pirq);
    g_test_add_func("/chipset/pirq-by-eventfd", test_pirq_by_eventfd);
    g_test_add_func("/chipset/sci-and-button", test_sci_and_button);
    g_test_add_func("/chipset/pm-timer", test_pm_timer);
    g_test_add_func("/chipset/sleep", test_sleep);
    g_test_add_func("/chipset/suspend", test_suspend);
    g_test_add_func("/chipset/reset-control", test_reset_control);
    g_test_add_func("/chipset/smi", test_smi);
    g_test_add_func("/chipset/smbus", test_smbus);
    g_test_add_func("/chipset/tco", test_tco);
    g_test_add_func("/chipset/tables", test_tables);
    g_test_add_func("/chipset/bad-options", test_bad_options);
    status = g_test_run();
    remove(bios_path);
    g_free(bios_path);
    return status;
}
