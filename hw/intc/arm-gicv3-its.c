/* SPDX-License-Identifier: MIT */
/*
 * GICv3 interrupt translation service (IHI 0069G chapter 5, section 12.18): MSIs become LPIs by tables in guest RAM.
 * Entries are 8 bytes, laid out as in KVM's tables (kernel documentation: virt/kvm/devices/arm-vgic-its.rst, revision
 * 0), so that a saved guest may go on there. Device, by its number: valid 63, distance to the next one 62:49, ITT
 * address / 256 in 48:5, size 4:0. ITT, by event: distance 63:48, LPI 47:16 (0: none), collection 15:0. Collections, a
 * list that an invalid one ends: valid 63, processor number 51:16, collection 15:0. The distances are made before
 * saving. All of it is the guest's: whatever stands there is checked.
 */
#include "hw/intc/arm-gicv3-internal.h"
#include "hw/core/irqchip-host.h"
#include "hw/core/machine.h"

enum {
    R_CTLR = 0x0000,
    R_IIDR = 0x0004,
    R_TYPER = 0x0008,
    R_CBASER = 0x0080,
    R_CWRITER = 0x0088,
    R_CREADR = 0x0090,
    R_BASER = 0x0100,
    R_ID = 0xffd0,
    R_TRANSLATER = 0x10040
};
enum {
    CMD_MOVI = 1,
    CMD_INT = 3,
    CMD_CLEAR = 4,
    CMD_SYNC = 5,
    CMD_MAPD = 8,
    CMD_MAPC = 9,
    CMD_MAPTI = 10,
    CMD_MAPI = 11,
    CMD_INV = 12,
    CMD_INVALL = 13,
    CMD_MOVALL = 14,
    CMD_DISCARD = 15
};
enum {
    TABLE_DEVICES,
    TABLE_COLLECTIONS,
    TABLES,
    ENTRY = 8,
    MAX_EVENTS_LINKED = 1 << 20,
    COMMAND = 32,
    EVENT_BITS = 16,
    DEVICE_BITS = 16
};
#define VALID BIT(63)
#define BASER_INDIRECT BIT(62)
#define CREADR_STALLED 1u
#define QUIESCENT BIT(31)

typedef struct Its {
    Device dev; /* always first */
    Device *parent;
    Gic3 *gic;
    uint32_t ctlr;
    uint64_t cbaser, cwriter, creadr, baser[TABLES];
    hwaddr place;
} Its;

/* ---- tables ---- */

static unsigned page_size(uint64_t baser) { return 4096u << 2 * MIN(baser >> 8 & 3, 2); }

static hwaddr base_address(uint64_t baser)
{
    if ((baser >> 8 & 3) < 2)
        return baser & UINT64_C(0x0000fffffffff000);
    return (baser & UINT64_C(0x0000ffffffff0000)) | (baser >> 12 & 15) << 48;
}

/* Where entry n of a table stands; one or two levels. */
static bool entry_at(Its *s, unsigned table, uint32_t n, hwaddr *at)
{
    uint64_t b = s->baser[table], bytes = ((b & 0xff) + 1) * page_size(b);
    if (!(b & VALID))
        return false;
    if (!(b & BASER_INDIRECT)) {
        *at = base_address(b) + (hwaddr)n * ENTRY;
        return (uint64_t)n * ENTRY < bytes;
    }
    unsigned per_page = page_size(b) / ENTRY;
    uint8_t first[8];
    if ((uint64_t)(n / per_page) * 8 >= bytes ||
        !gic3_ram_read(s->gic, base_address(b) + n / per_page * UINT64_C(8), first, 8) || !(load_le64(first) & VALID))
        return false;
    *at = (load_le64(first) & UINT64_C(0x000ffffffffff000)) + (hwaddr)(n % per_page) * ENTRY;
    return true;
}

static uint64_t read_entry(Its *s, hwaddr at)
{
    uint8_t raw[ENTRY];
    return gic3_ram_read(s->gic, at, raw, ENTRY) ? load_le64(raw) : 0;
}

static bool write_entry(Its *s, hwaddr at, uint64_t v)
{
    uint8_t raw[ENTRY];
    store_le64(raw, v);
    return gic3_ram_write(s->gic, at, raw, ENTRY);
}

static uint64_t table_entry(Its *s, unsigned table, uint32_t n)
{
    hwaddr at;
    return entry_at(s, table, n, &at) ? read_entry(s, at) : 0;
}

static bool table_set(Its *s, unsigned table, uint32_t n, uint64_t v)
{
    hwaddr at;
    return entry_at(s, table, n, &at) && write_entry(s, at, v);
}

/* The translation entry of an event. */
static bool event_at(Its *s, uint32_t device, uint32_t event, hwaddr *at)
{
    uint64_t d = table_entry(s, TABLE_DEVICES, device);
    if (!(d & VALID) || event >= BIT((d & 31) + 1))
        return false;
    *at = (d >> 5 & bits_mask(44)) << 8;
    *at += (hwaddr)event * ENTRY;
    return true;
}

static uint32_t lpi_of(uint64_t ite) { return (uint32_t)(ite >> 16); }
static uint64_t ite_of(uint32_t lpi, uint64_t collection) { return (uint64_t)lpi << 16 | (collection & 0xffff); }
static unsigned cpu_of(uint64_t cte) { return (unsigned)(cte >> 16 & bits_mask(36)); }

/*
 * The place of a collection in the list, else of the entry that ends it; its contents in *cte. Guests number them as
 * they come.
 */
static bool collection_at(Its *s, uint32_t id, uint32_t *place, uint64_t *cte)
{
    *cte = table_entry(s, TABLE_COLLECTIONS, *place = id);
    if (*cte & VALID && (*cte & 0xffff) == id)
        return true;
    for (uint32_t n = 0; n < BIT(16); n++) {
        *cte = table_entry(s, TABLE_COLLECTIONS, *place = n);
        if (!(*cte & VALID) || (*cte & 0xffff) == id)
            break;
    }
    return *cte & VALID && (*cte & 0xffff) == id;
}

static Gic3Cpu *collection_cpu(Its *s, uint32_t id)
{
    uint32_t place;
    uint64_t c;
    return collection_at(s, id, &place, &c) && cpu_of(c) < s->gic->num_cpu ? &s->gic->cpu[cpu_of(c)] : NULL;
}

/* ---- translation ---- */

static bool set_event(Its *s, uint32_t device, uint32_t event, bool pending)
{
    hwaddr at;
    uint64_t e = event_at(s, device, event, &at) ? read_entry(s, at) : 0;
    Gic3Cpu *c = lpi_of(e) ? collection_cpu(s, e & 0xffff) : NULL;
    if (!c || !(c->ctlr & 1))
        return false;
    gic3_lpi_set(c, lpi_of(e), pending);
    gic3_update(c);
    return true;
}

/* ---- commands (section 5.3); false: the guest gave what cannot be done ---- */

static bool map_device(Its *s, const uint64_t c[4])
{
    uint64_t size = c[1] & 31, v = c[2] & VALID ? VALID | size | (c[2] >> 8 & bits_mask(44)) << 5 : 0;
    return size < EVENT_BITS && c[0] >> 32 < BIT(DEVICE_BITS) && table_set(s, TABLE_DEVICES, (uint32_t)(c[0] >> 32), v);
}

static bool map_collection(Its *s, const uint64_t c[4])
{
    uint32_t id = c[2] & 0xffff, place, end;
    uint64_t cpu = c[2] >> 16 & 0xffff, cte, last;
    if (c[2] & VALID && cpu >= s->gic->num_cpu)
        return false;
    bool there = collection_at(s, id, &place, &cte);
    if (c[2] & VALID) {
        if (!table_set(s, TABLE_COLLECTIONS, place, VALID | cpu << 16 | id))
            return false;
        /* what stood in the table before ends the list */
        if (!there && table_entry(s, TABLE_COLLECTIONS, place + 1) & VALID)
            table_set(s, TABLE_COLLECTIONS, place + 1, 0);
        return true;
    }
    if (!there)
        return true;
    for (end = place; end + 1 < BIT(16) && table_entry(s, TABLE_COLLECTIONS, end + 1) & VALID;)
        end++;
    last = table_entry(s, TABLE_COLLECTIONS, end); /* takes the place of the one that goes */
    return table_set(s, TABLE_COLLECTIONS, place, last) && table_set(s, TABLE_COLLECTIONS, end, 0);
}

static bool map_event(Its *s, const uint64_t c[4], uint32_t lpi)
{
    hwaddr at;
    if (lpi < GIC3_LPI_FIRST || lpi >= GIC3_LPI_END || !event_at(s, (uint32_t)(c[0] >> 32), (uint32_t)c[1], &at))
        return false;
    return write_entry(s, at, ite_of(lpi, c[2]));
}

static void move_pending(Gic3Cpu *from, Gic3Cpu *to, uint32_t lpi)
{
    if (from && to && from != to && gic3_lpi_pending(from, lpi)) {
        gic3_lpi_set(from, lpi, false);
        gic3_lpi_set(to, lpi, true);
    }
}

static bool move_event(Its *s, const uint64_t c[4])
{
    hwaddr at;
    uint64_t e = event_at(s, (uint32_t)(c[0] >> 32), (uint32_t)c[1], &at) ? read_entry(s, at) : 0;
    if (!lpi_of(e))
        return false;
    Gic3Cpu *from = collection_cpu(s, e & 0xffff), *to = collection_cpu(s, c[2] & 0xffff);
    move_pending(from, to, lpi_of(e));
    if (from)
        gic3_update(from);
    if (to)
        gic3_update(to);
    return write_entry(s, at, ite_of(lpi_of(e), c[2]));
}

static bool move_all(Its *s, const uint64_t c[4])
{
    uint64_t from = c[2] >> 16 & 0xffff, to = c[3] >> 16 & 0xffff;
    if (from >= s->gic->num_cpu || to >= s->gic->num_cpu)
        return false;
    for (uint32_t id = GIC3_LPI_FIRST; s->gic->cpu[from].lpis && from != to && id < GIC3_LPI_END; id++)
        move_pending(&s->gic->cpu[from], &s->gic->cpu[to], id);
    gic3_update(&s->gic->cpu[from]);
    gic3_update(&s->gic->cpu[to]);
    return true;
}

static bool discard(Its *s, const uint64_t c[4])
{
    hwaddr at;
    uint32_t device = (uint32_t)(c[0] >> 32), event = (uint32_t)c[1];
    set_event(s, device, event, false);
    return event_at(s, device, event, &at) && write_entry(s, at, 0);
}

static bool invalidate_all(Its *s, const uint64_t c[4])
{
    Gic3Cpu *cpu = collection_cpu(s, c[2] & 0xffff);
    if (cpu)
        gic3_update(cpu); /* nothing is cached but which interrupt is next */
    return cpu;
}

static bool invalidate(Its *s, const uint64_t c[4])
{
    hwaddr at;
    uint64_t e = event_at(s, (uint32_t)(c[0] >> 32), (uint32_t)c[1], &at) ? read_entry(s, at) : 0;
    Gic3Cpu *cpu = lpi_of(e) ? collection_cpu(s, e & 0xffff) : NULL;
    if (cpu)
        gic3_update(cpu);
    return cpu;
}

static bool run_command(Its *s, const uint64_t c[4])
{
    uint32_t device = (uint32_t)(c[0] >> 32), event = (uint32_t)c[1];
    switch (c[0] & 0xff) {
    case CMD_MOVI: return move_event(s, c);
    case CMD_INT: return set_event(s, device, event, true);
    case CMD_CLEAR: return set_event(s, device, event, false);
    case CMD_SYNC: return true;
    case CMD_MAPD: return map_device(s, c);
    case CMD_MAPC: return map_collection(s, c);
    case CMD_MAPTI: return map_event(s, c, (uint32_t)(c[1] >> 32));
    case CMD_MAPI: return map_event(s, c, event);
    case CMD_INV: return invalidate(s, c);
    case CMD_INVALL: return invalidate_all(s, c);
    case CMD_MOVALL: return move_all(s, c);
    case CMD_DISCARD: return discard(s, c);
    default: return false;
    }
}

/* At most once around the queue for one write of CWRITER. */
static void run_queue(Its *s)
{
    uint64_t size = ((s->cbaser & 0xff) + 1) * 4096;
    hwaddr base = s->cbaser & UINT64_C(0x000ffffffffff000);
    if (!(s->ctlr & 1) || !(s->cbaser & VALID) || s->creadr & CREADR_STALLED || s->cwriter >= size || s->creadr >= size)
        return;
    for (uint64_t n = 0; n < size / COMMAND && s->creadr != s->cwriter; n++) {
        uint8_t raw[COMMAND];
        uint64_t c[4];
        if (!gic3_ram_read(s->gic, base + s->creadr, raw, COMMAND)) {
            log_guest_error(s->dev.id, "the command queue is not in RAM");
            s->creadr |= CREADR_STALLED;
            return;
        }
        for (unsigned i = 0; i < 4; i++)
            c[i] = load_le64(raw + 8 * i);
        if (!run_command(s, c))
            log_guest_error(s->dev.id, "command 0x%x for device 0x%x, event %u cannot be carried out",
                            (unsigned)c[0] & 0xff, (unsigned)(c[0] >> 32), (unsigned)c[1]);
        s->creadr = (s->creadr + COMMAND) % size;
    }
}

/* ---- registers ---- */

static uint64_t typer(void)
{
    return 1 /* physical LPIs */ | (ENTRY - 1) << 4 | (EVENT_BITS - 1) << 8 | (uint64_t)(DEVICE_BITS - 1) << 13;
}

/* Fixed: entry size, and the kind of table. */
static uint64_t baser_fixed(unsigned n)
{
    return (uint64_t)(n == TABLE_DEVICES ? 1 : 4) << 56 | (uint64_t)(ENTRY - 1) << 48;
}

static uint32_t reg_read(const Its *s, unsigned at)
{
    static const uint8_t id[] = { 0x44, 0, 0, 0, 0x94, 0xb4, 0x3b, 0, 0x0d, 0xf0, 0x05, 0xb1 };
    unsigned shift = 8 * (at & 4);
    if (at >= R_ID)
        return (at - R_ID) / 4 < sizeof(id) ? id[(at - R_ID) / 4] : 0;
    if (at >= R_BASER && at < R_BASER + 8 * TABLES)
        return (uint32_t)((s->baser[(at - R_BASER) / 8] | baser_fixed((at - R_BASER) / 8)) >> shift);
    switch (at & ~7u) {
    case R_CTLR: return at == R_CTLR ? s->ctlr | (uint32_t)QUIESCENT : 0x0200143b;
    case R_TYPER: return (uint32_t)(typer() >> shift);
    case R_CBASER: return (uint32_t)(s->cbaser >> shift);
    case R_CWRITER: return (uint32_t)(s->cwriter >> shift);
    case R_CREADR: return (uint32_t)(s->creadr >> shift);
    default: return 0;
    }
}

static void put_half(uint64_t *reg, unsigned at, uint32_t v, uint64_t writable)
{
    unsigned shift = 8 * (at & 4);
    uint64_t m = UINT64_C(0xffffffff) << shift & writable;
    *reg = (*reg & ~m) | ((uint64_t)v << shift & m);
}

static void reg_write(Its *s, unsigned at, uint32_t v)
{
    bool enabled = s->ctlr & 1;
    if (at >= R_BASER && at < R_BASER + 8 * TABLES) {
        if (!enabled)
            put_half(&s->baser[(at - R_BASER) / 8], at, v,
                     at - R_BASER < 8 ? UINT64_C(0xf800ffffffffffff) : UINT64_C(0xb800ffffffffffff));
        return;
    }
    switch (at) {
    case R_CTLR:
        s->ctlr = v & 1;
        run_queue(s);
        break;
    case R_CBASER: case R_CBASER + 4:
        if (!enabled) {
            put_half(&s->cbaser, at, v, UINT64_C(0xb80ffffffffffcff));
            s->creadr = s->cwriter = 0;
        }
        break;
    case R_CWRITER:
        s->cwriter = v & 0xfffe0;
        if (v & 1) /* retry */
            s->creadr &= ~(uint64_t)CREADR_STALLED;
        run_queue(s);
        break;
    case R_CWRITER + 4: case R_CREADR: case R_CREADR + 4: break;
    default: log_guest_error(s->dev.id, "write to register 0x%x", at);
    }
}

static MemResult its_read(void *opaque, hwaddr at, unsigned size, uint64_t *value, MemAttrs attrs)
{
    Its *s = opaque;
    *value = 0;
    if (!s->gic || at >= 0x10000)
        return MEM_OK;
    g_mutex_lock(&s->gic->lock);
    *value = reg_read(s, (unsigned)at);
    g_mutex_unlock(&s->gic->lock);
    return MEM_OK;
}

static MemResult its_write(void *opaque, hwaddr at, unsigned size, uint64_t value, MemAttrs attrs)
{
    Its *s = opaque;
    if (!s->gic)
        return MEM_OK;
    if (irqchip_host_gic()) {
        if (at == R_TRANSLATER && attrs.cpu == 0xffff)
            irqchip_host_gic()->its_msi(s->place + R_TRANSLATER, (uint32_t)value, attrs.requester);
        return MEM_OK;
    }
    g_mutex_lock(&s->gic->lock);
    if (at < 0x10000)
        reg_write(s, (unsigned)at, (uint32_t)value);
    else if (at == R_TRANSLATER && attrs.cpu == 0xffff && s->ctlr & 1 &&
             !set_event(s, attrs.requester, (uint32_t)value, true))
        log_guest_error(s->dev.id, "MSI %u of requester 0x%x is mapped to nothing", (unsigned)value, attrs.requester);
    g_mutex_unlock(&s->gic->lock);
    return MEM_OK;
}

static const MemOps its_ops = { its_read, its_write, 4, 4 };

/* ---- distances between the entries in use, which are for who walks the tables ---- */

static void link_events(Its *s, uint64_t dte, unsigned *left)
{
    hwaddr base = (dte >> 5 & bits_mask(44)) << 8, before = 0;
    uint64_t entry = 0, count = BIT((dte & 31) + 1);
    uint32_t last = 0;
    for (uint32_t n = 0; n < count && *left; n++, --*left) {
        uint64_t e = read_entry(s, base + (hwaddr)n * ENTRY) & bits_mask(48);
        if (!lpi_of(e))
            continue;
        if (before)
            write_entry(s, before, entry | (uint64_t)MIN(n - last, 0xffffu) << 48);
        before = base + (hwaddr)n * ENTRY, entry = e, last = n;
    }
    if (before)
        write_entry(s, before, entry);
}

static void link_tables(Its *s)
{
    enum { NEXT_SHIFT = 49, NEXT_MAX = 0x3fff };
    unsigned left = MAX_EVENTS_LINKED;
    hwaddr at, before = 0;
    uint64_t entry = 0;
    uint32_t last = 0;
    for (uint32_t n = 0; s->baser[TABLE_DEVICES] & VALID && n < BIT(DEVICE_BITS); n++) {
        uint64_t e = entry_at(s, TABLE_DEVICES, n, &at) ? read_entry(s, at) & ~(bits_mask(14) << NEXT_SHIFT) : 0;
        if (!(e & VALID))
            continue;
        link_events(s, e, &left);
        if (before)
            write_entry(s, before, entry | (uint64_t)MIN(n - last, NEXT_MAX) << NEXT_SHIFT);
        before = at, entry = e, last = n;
    }
    if (before)
        write_entry(s, before, entry);
    if (!left)
        log_guest_error(s->dev.id, "more events are mapped than can be handed over");
}

/* ---- one that the accelerator runs: registers and tables as the kernel's documentation says, arm-vgic-its.rst ---- */

static void host_reg(unsigned at, bool write, uint64_t *value)
{
    irqchip_host_gic()->gic_reg(IRQCHIP_GIC_ITS, 0, at, write, value);
}

static void host_fetch(Its *s)
{
    uint64_t ctlr = s->ctlr;
    if (!irqchip_host_gic() || !s->place)
        return;
    irqchip_host_gic()->gic_order(IRQCHIP_ITS_TO_RAM);
    host_reg(R_CTLR, false, &ctlr);
    host_reg(R_CBASER, false, &s->cbaser);
    host_reg(R_CWRITER, false, &s->cwriter);
    host_reg(R_CREADR, false, &s->creadr);
    for (unsigned i = 0; i < TABLES; i++)
        host_reg(R_BASER + 8 * i, false, &s->baser[i]);
    s->ctlr = ctlr & 1;
}

static void host_put(Its *s)
{
    uint64_t ctlr = s->ctlr;
    if (!irqchip_host_gic() || !s->place)
        return;
    irqchip_host_gic()->gic_order(IRQCHIP_ITS_RESET);
    host_reg(R_CBASER, true, &s->cbaser);
    host_reg(R_CREADR, true, &s->creadr);
    host_reg(R_CWRITER, true, &s->cwriter);
    for (unsigned i = 0; i < TABLES; i++)
        host_reg(R_BASER + 8 * i, true, &s->baser[i]);
    if (s->baser[TABLE_DEVICES] & VALID)
        irqchip_host_gic()->gic_order(IRQCHIP_ITS_FROM_RAM);
    host_reg(R_CTLR, true, &ctlr);
}

bool arm_gicv3_its_place(Device *its, hwaddr at, Error **errp)
{
    Its *s = (Its *)its;
    const IrqchipHost *h = irqchip_host_gic();
    s->place = at;
    return !h || h->its_new(at, errp);
}

static void its_saving(Device *d)
{
    Its *s = (Its *)d;
    if (irqchip_host_gic() || !s->gic) {
        host_fetch(s);
        return;
    }
    g_mutex_lock(&s->gic->lock);
    link_tables(s);
    g_mutex_unlock(&s->gic->lock);
}

static bool its_loaded(Device *d, Error **errp)
{
    host_put((Its *)d);
    return true;
}

/* ---- device ---- */

static bool its_start(Device *d, Error **errp)
{
    Its *s = (Its *)d;
    if (s->parent && strcmp(s->parent->type->name, "arm-gicv3")) {
        error_setf(errp, "device '%s': parent-gicv3 '%s' is not an arm-gicv3", d->id, s->parent->id);
        return false;
    }
    s->gic = (Gic3 *)s->parent; /* NULL: registers read as zero */
    d->region[0] = mem_io_new("gicv3_its", 0x20000, &its_ops, s, NULL);
    return true;
}

static void its_reset(Device *d, ResetPhase phase)
{
    Its *s = (Its *)d;
    if (phase == RESET_HOLD)
        host_put(s);
    if (phase != RESET_ENTER)
        return;
    s->ctlr = 0;
    s->cbaser = s->cwriter = s->creadr = 0;
    memset(s->baser, 0, sizeof(s->baser));
}

static const Property its_props[] = {
    { .name = "parent-gicv3", .kind = PROP_LINK, .offset = offsetof(Its, parent), .help = "the interrupt controller" },
    DEFINE_PROP_END,
};
static const StateField its_state[] = {
    STATE_U32(Its, ctlr),   STATE_U64(Its, cbaser),      STATE_U64(Its, cwriter),
    STATE_U64(Its, creadr), STATE_U64_ARRAY(Its, baser), STATE_END_OF_TABLE,
};

static const DeviceType its_type = {
    .name = "arm-gicv3-its",
    .desc = "GICv3 interrupt translation service",
    .category = "Misc",
    .size = sizeof(Its),
    .props = its_props,
    .state = its_state,
    .start = its_start,
    .reset = its_reset,
    .saving = its_saving,
    .loaded = its_loaded,
};
DEVICE_REGISTER(its_type)
