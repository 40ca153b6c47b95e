/* SPDX-License-Identifier: MIT */
/*
 * LSI53C895A: registers, interrupts, life (Technical Manual, chapter 4); and the 53C810, its narrow ancestor without
 * RAM of its own.
 */
#include "hw/scsi/lsi.h"

/* --- interrupts --- */

void lsi_update_irq(Lsi *s)
{
    uint8_t dstat = s->reg[DSTAT] & (uint8_t)~DSTAT_DFE, *istat = &s->reg[ISTAT0];
    *istat = (uint8_t)((*istat & ~(ISTAT_DIP | ISTAT_SIP)) | (dstat ? ISTAT_DIP : 0) |
                       (s->reg[SIST0] || s->reg[SIST1] ? ISTAT_SIP : 0));
    pci_set_irq(&s->pci, dstat & s->reg[DIEN] || s->reg[SIST0] & s->reg[SIEN0] || s->reg[SIST1] & s->reg[SIEN1] ||
                             *istat & ISTAT_INTF);
}

void lsi_stop_dma(Lsi *s, uint8_t dstat)
{
    s->reg[DSTAT] |= dstat;
    s->wait = STANDS;
    s->reg[ISTAT1] &= (uint8_t)~ISTAT1_SRUN;
    lsi_update_irq(s);
}

void lsi_stop_scsi(Lsi *s, uint8_t sist0, uint8_t sist1)
{
    s->reg[SIST0] |= sist0;
    s->reg[SIST1] |= sist1;
    s->wait = STANDS;
    s->reg[ISTAT1] &= (uint8_t)~ISTAT1_SRUN;
    lsi_update_irq(s);
}

/* --- registers --- */

/* Values after reset that are not zero. */
static const struct { uint8_t at, value;
} after_reset[] = {
    { SCNTL0, 0xc0 }, { DSTAT, DSTAT_DFE },      { CTEST1, 0xf0 },
    { MACNTL, 0xd0 }, { GPREG, 0x1f },           { GPCNTL, 0x0f },
    { STEST4, 0xe0 }, { SCID, PARALLEL_OWN_ID }, { RESPID0, 1 << PARALLEL_OWN_ID },
};

static void soft_reset(Lsi *s)
{
    memset(s->reg, 0, sizeof s->reg);
    for (unsigned i = 0; i < ARRAY_LEN(after_reset); i++)
        s->reg[after_reset[i].at] = after_reset[i].value;
    s->carry = s->unanswered = false;
    s->wait = STANDS;
    s->reselect_at = 0;
    timer_cancel(s->slice);
    timer_cancel(s->general);
    parallel_forget(&s->wires);
    parallel_free(&s->wires);
    lsi_update_irq(s);
}

static uint8_t take(Lsi *s, unsigned at, uint8_t keep)
{
    uint8_t value = s->reg[at];
    s->reg[at] = keep;
    lsi_update_irq(s);
    return value;
}

uint8_t lsi_read(Lsi *s, unsigned at)
{
    const Parallel *p = &s->wires;
    uint8_t value;
    switch (at) {
    case SCNTL1: return s->reg[at] | (p->connected ? SCNTL1_CON : 0);
    case SSTAT1: return (uint8_t)((s->reg[at] & ~7) | (p->phase & 7));
    case SSTAT2: return s->reg[at] | (p->connected ? 0 : SSTAT2_LDSC);
    case SOCL: return (uint8_t)((s->reg[at] & ~SOCL_ATN) | (p->attention ? SOCL_ATN : 0));
    case ISTAT0: return s->reg[at] | (p->connected ? ISTAT_CON : 0);
    case DSTAT: return take(s, at, DSTAT_DFE);
    case SIST0: case SIST1: return take(s, at, 0);
    case CTEST2: /* reading takes the host's signal back */
        value = (uint8_t)((s->reg[CTEST2] & ~0x40) | (s->reg[ISTAT0] & ISTAT_SIGP ? 0x40 : 0));
        s->reg[ISTAT0] &= (uint8_t)~ISTAT_SIGP;
        return value;
    case SBCL: return (uint8_t)(p->phase == PHASE_NONE ? 0 : 0x80 | 0x20 | p->phase | (p->attention ? SOCL_ATN : 0));
    case CTEST3: return s->reg[at] & 0x0b;
    case STEST4: return 0xe0; /* LVD, clock locked */
    default: return s->reg[at];
    }
}

static void write_istat(Lsi *s, uint8_t value)
{
    if (value & ISTAT_SRST) {
        soft_reset(s);
        s->reg[ISTAT0] |= ISTAT_SRST;
        return;
    }
    uint8_t old = s->reg[ISTAT0];
    s->reg[ISTAT0] = (uint8_t)((old & (ISTAT_SIP | ISTAT_DIP)) | (value & (ISTAT_ABRT | ISTAT_SIGP | ISTAT_SEM)) |
                               (old & ISTAT_INTF & ~value));
    lsi_update_irq(s);
    if (value & ISTAT_ABRT && !(old & ISTAT_ABRT)) {
        timer_cancel(s->slice);
        lsi_stop_dma(s, DSTAT_ABRT);
    }
    if (value & ISTAT_SIGP)
        lsi_wake(s, WAIT_RESELECT);
}

static void start_scripts(Lsi *s)
{
    if (s->wait == WAIT_SLICE)
        timer_cancel(s->slice);
    lsi_run(s);
}

static void start_general_timer(Lsi *s, unsigned code)
{
    timer_cancel(s->general);
    if (code) /* 125 us, doubled with each step (STIME1) */
        timer_arm(s->general, clock_ns(CLOCK_VIRTUAL_NS) + (INT64_C(125000) << (code - 1)));
}

static void write_scntl1(Lsi *s, uint8_t old, uint8_t value)
{
    s->reg[SCNTL1] = (uint8_t)(value & ~SCNTL1_CON);
    if (value & SCNTL1_RST && !(old & SCNTL1_RST)) {
        s->reg[SSTAT0] |= 2;
        parallel_reset_bus(&s->wires);
        s->reg[SIST0] |= SIST0_RST;
        lsi_update_irq(s);
    } else if (!(value & SCNTL1_RST)) {
        s->reg[SSTAT0] &= (uint8_t)~2;
    }
}

void lsi_write(Lsi *s, unsigned at, uint8_t value)
{
    uint8_t old = s->reg[at];
    switch (at) {
    case DSTAT:
    case SSTAT0:
    case SSTAT1:
    case SSTAT2:
    case ISTAT1:
    case SIST0:
    case SIST1:
    case SBCL:
    case SSID:
    case CTEST2:
    case SIDL:
    case SIDL + 1:
    case SBDL: case SBDL + 1: case STEST4: case DFIFO: return; /* read-only */
    case SCNTL1: write_scntl1(s, old, value); return;
    case ISTAT0: write_istat(s, value); return;
    }
    s->reg[at] = value;
    switch (at) {
    case SOCL: s->wires.attention = value & SOCL_ATN; break;
    case DIEN: case SIEN0: case SIEN1: lsi_update_irq(s); break;
    case STIME1: start_general_timer(s, value & 15); break;
    case DSP + 3:
        if (!(s->reg[DMODE] & DMODE_MAN) && !s->in_script)
            start_scripts(s);
        break;
    case DCNTL:
        s->reg[DCNTL] &= (uint8_t)~DCNTL_STD;
        if (value & DCNTL_STD && !s->in_script)
            start_scripts(s);
        break;
    }
}

static MemResult io_read(void *opaque, hwaddr at, unsigned size, uint64_t *value, MemAttrs attrs)
{
    uint8_t b[8] = { 0 };
    for (unsigned i = 0; i < size; i++)
        b[i] = lsi_read(opaque, (unsigned)(at + i) & (LSI_REGS - 1));
    *value = load_le(b, size);
    return MEM_OK;
}
static MemResult io_write(void *opaque, hwaddr at, unsigned size, uint64_t value, MemAttrs attrs)
{
    for (unsigned i = 0; i < size; i++)
        lsi_write(opaque, (unsigned)(at + i) & (LSI_REGS - 1), (uint8_t)(value >> 8 * i));
    return MEM_OK;
}
static const MemOps ops = { io_read, io_write, 1, 4, .unaligned = true };

/* --- timers --- */

static void slice_over(void *opaque)
{
    Lsi *s = opaque;
    if (s->wait == WAIT_SLICE)
        lsi_run(s);
    else
        lsi_wake(s, s->wait);
}

static void general_over(void *opaque)
{
    Lsi *s = opaque;
    s->reg[SIST1] |= SIST1_GEN;
    lsi_update_irq(s);
}

/* --- the device --- */

static void asks(Parallel *p, bool reselect)
{
    lsi_wake(container_of(p, Lsi, wires), reselect ? WAIT_RESELECT : WAIT_PHASE);
}

static void init(Device *d)
{
    Lsi *s = (Lsi *)d;
    device_own_domain(d, "lsi53c895a");
    parallel_init(&s->wires, asks);
    s->slice = timer_new(CLOCK_VIRTUAL_NS, d->domain, slice_over, s);
    s->general = timer_new(CLOCK_VIRTUAL_NS, d->domain, general_over, s);
}

static bool start(Device *d, Error **errp)
{
    Lsi *s = (Lsi *)d;
    bool wide = s->pci.info->device == LSI_895A;
    g_autofree char *name = g_strdup_printf("%s.ram", d->id);
    s->io = d->region[0] = mem_io_new("lsi-io", LSI_REGS, &ops, s, d->domain);
    s->mmio = d->region[1] = mem_io_new("lsi-mmio", wide ? 1024 : LSI_REGS, &ops, s, d->domain);
    s->ram = d->region[2] = wide ? mem_ram_new(name, LSI_RAM, errp) : NULL;
    if (wide && !s->ram)
        return false;
    pci_register_bar(&s->pci, 0, PCI_BAR_IO, s->io);
    pci_register_bar(&s->pci, 1, PCI_BAR_MEM, s->mmio);
    if (wide)
        pci_register_bar(&s->pci, 2, PCI_BAR_MEM, s->ram);
    parallel_start(&s->wires, d, wide);
    soft_reset(s);
    return true;
}

static void reset(Device *d, ResetPhase phase)
{
    Lsi *s = (Lsi *)d;
    if (phase == RESET_ENTER) {
        scsi_bus_drop(&s->wires.bus);
        soft_reset(s);
    }
}

static void saving(Device *d)
{
    Lsi *s = (Lsi *)d;
    s->saving = true; /* what ends now goes on after the pause */
    parallel_saving(&s->wires);
    s->saving = false;
}

static bool loaded(Device *d, Error **errp)
{
    Lsi *s = (Lsi *)d;
    bool ok = s->wait >= STANDS && s->wait <= WAIT_SLICE && parallel_loaded(&s->wires);
    if (!ok)
        error_setf(errp, "device '%s': the saved state is not one that it can be in", d->id);
    lsi_update_irq(s);
    return ok;
}

static void stop(Device *d)
{
    Lsi *s = (Lsi *)d;
    parallel_stop(&s->wires);
    timer_free(s->slice);
    timer_free(s->general);
}

static const StateField state[] = { STATE_BYTES(Lsi, reg),       STATE_BOOL(Lsi, carry),
                                    STATE_BOOL(Lsi, unanswered), STATE_U8(Lsi, wait),
                                    STATE_U32(Lsi, reselect_at), STATE_STRUCT(Lsi, wires, parallel_state),
                                    STATE_TIMER(Lsi, slice),     STATE_TIMER(Lsi, general),
                                    STATE_END_OF_TABLE };
static const char *const provides[] = { "scsi", NULL };
#define TYPE(id, name_, alias_, desc_, device_, ...) \
    static const PciDeviceInfo id##_info = { .vendor = 0x1000, .device = device_, .class_code = 0x010000, \
        .interrupt_pin = 1, __VA_ARGS__ }; \
    static const DeviceType id = { \
        .name = name_, .alias = alias_, .desc = desc_, .category = "Storage", .size = sizeof(Lsi), .bus = "pci", \
        .user_creatable = true, \
        .provides = provides, .base = &pci_device_type, .state = state, .init = init, .start = start, .reset = reset, \
        .saving = saving, \
        .loaded = loaded, .stop = stop, .class_data = &id##_info, \
    }; \
    DEVICE_REGISTER(id)
TYPE(lsi895a_type, "lsi53c895a", "lsi", "LSI53C895A SCSI adapter", LSI_895A, .subsystem_vendor = 0x1000,
     .subsystem = 0x1000)
TYPE(lsi810_type, "lsi53c810", NULL, "LSI53C810 SCSI adapter", LSI_810, .no_subsystem = true)
