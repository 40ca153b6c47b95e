/* SPDX-License-Identifier: MIT */
/* AMD Am53C974 "PCscsi": an ESP with bus master DMA on PCI, and the Tekram DC-390, which adds an EEPROM. Source:
 * Am79C974 data sheet (AMD), whose SCSI part it is: "DMA Registers", "DMA Scatter-Gather Mechanism". */
#include "base/bits.h"
#include "hw/pci/pci.h"
#include "hw/scsi/esp.h"

enum { BAR_SIZE = 128, PART_ID = 0x12, PAGE = 4096 };
enum {
    CMD_WHAT = 3,
    CMD_IDLE = 0,
    CMD_BLAST = 1,
    CMD_ABORT = 2,
    CMD_START = 3,
    CMD_MDL = 0x10,
    CMD_INT_DONE = 0x40,
    CMD_TO_MEMORY = 0x80
};
enum {
    STATUS_ERROR = 0x02,
    STATUS_ABORT = 0x04,
    STATUS_DONE = 0x08,
    STATUS_SCSI = 0x10,
    STATUS_BLASTED = 0x20,
    STATUS_EVENTS = 0x2e
};
#define SBAC_KEEP BIT(24) /* reading the status clears nothing; ones that are written do */

/* 93C46: 64 words of 16 bits, read by three wires. */
enum { EE_WORDS = 64, EE_COMMAND_BITS = 9, EE_READ = 2, EE_CLOCK = 0x80, EE_DATA = 0x40 };
typedef struct Eeprom {
    uint16_t word[EE_WORDS];
    uint16_t command, data;
    uint8_t bits, left, at;  /* of the command; of the word that goes out; whose number is next */
    bool clock, out;
} Eeprom;

typedef struct Am53 {
    PciDevice pci;
    Esp esp;
    /* state */
    uint32_t command, count, address, list, sbac;
    uint32_t left, next, next_entry; /* working copies of count, address and list */
    uint32_t status;
    bool active, in_page /* that the list has named */, scsi_int;
    Eeprom eeprom;
} Am53;

/* --- interrupts and DMA --- */

static void update_irq(Am53 *s)
{
    bool dma = s->command & CMD_INT_DONE && s->status & (STATUS_DONE | STATUS_ERROR);
    pci_set_irq(&s->pci, s->scsi_int || dma);
}

static void irq(Esp *e, bool level)
{
    Am53 *s = container_of(e, Am53, esp);
    s->scsi_int = level;
    update_irq(s);
}

static void end(Am53 *s, uint32_t why)
{
    s->active = false;
    s->status |= why;
    update_irq(s);
}

/* With a list, the address gives the place within the page, and each page begins with the next entry. */
static bool enter_page(Am53 *s)
{
    uint8_t entry[4];
    if (!(s->command & CMD_MDL) || (s->in_page && s->next % PAGE))
        return true;
    if (pci_dma_read(&s->pci, s->next_entry, entry, sizeof entry) != MEM_OK)
        return false;
    s->in_page = true;
    s->next_entry += 4;
    s->next = (load_le32(entry) & ~(uint32_t)(PAGE - 1)) | s->next % PAGE;
    return true;
}

static uint32_t dma(Esp *e, uint8_t *bytes, uint32_t n, bool to_memory)
{
    Am53 *s = container_of(e, Am53, esp);
    uint32_t moved = 0;
    if (!s->active || to_memory != !!(s->command & CMD_TO_MEMORY))
        return 0;
    n = MIN(n, s->left);
    while (moved < n) {
        if (!enter_page(s)) {
            end(s, STATUS_ERROR);
            return moved;
        }
        uint32_t piece = s->command & CMD_MDL ? MIN(n - moved, PAGE - s->next % PAGE) : n - moved;
        MemResult r = to_memory ? pci_dma_write(&s->pci, s->next, bytes + moved, piece)
                                : pci_dma_read(&s->pci, s->next, bytes + moved, piece);
        if (r != MEM_OK) {
            end(s, STATUS_ERROR);
            return moved;
        }
        s->next += piece;
        s->left -= piece;
        moved += piece;
    }
    if (!s->left)
        end(s, STATUS_DONE);
    return moved;
}
static const EspHost host = { .id = PART_ID, .irq = irq, .dma = dma };

/* --- registers --- */

static Am53 *am53_of(Device *d) { return (Am53 *)d; }

static uint64_t scsi_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    return esp_read(&am53_of(d)->esp, i);
}
static void scsi_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    esp_write(&am53_of(d)->esp, i, (uint8_t)value);
}

static void command_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Am53 *s = am53_of(d);
    switch (value & CMD_WHAT) {
    case CMD_IDLE: s->active = false; break;
    case CMD_BLAST: s->status |= STATUS_BLASTED; break; /* nothing waits between bus and memory */
    case CMD_ABORT:
        if (s->active)
            end(s, STATUS_ABORT);
        break;
    case CMD_START:
        s->left = s->count;
        s->next = s->address;
        s->next_entry = s->list;
        s->in_page = false;
        s->status &= ~(uint32_t)STATUS_EVENTS;
        s->active = s->left;
        update_irq(s);
        esp_run(&s->esp);
        break;
    }
    update_irq(s);
}

static uint64_t status_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    Am53 *s = am53_of(d);
    uint32_t value = s->status | (s->scsi_int ? STATUS_SCSI : 0);
    if (!(s->sbac & SBAC_KEEP))
        s->status &= ~(uint32_t)STATUS_EVENTS;
    update_irq(s);
    return value;
}

static void status_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    Am53 *s = am53_of(d);
    if (s->sbac & SBAC_KEEP)
        s->status &= ~((uint32_t)value & STATUS_EVENTS);
    update_irq(s);
}

#define F(f) .field = offsetof(Am53, f)
static const Reg regs[] = {
    { .name = "SCSI",
      .at = 0x00,
      .size = 1,
      .count = ESP_REGS,
      .stride = 4,
      .field = REG_NO_FIELD,
      .read = scsi_read,
      .wrote = scsi_wrote },
    { .name = "CMD", .at = 0x40, .size = 4, F(command), .rsvd = ~UINT64_C(0xf3), .wrote = command_wrote },
    { .name = "STC", .at = 0x44, .size = 4, F(count), .rsvd = ~UINT64_C(0xffffff) },
    { .name = "SPA", .at = 0x48, .size = 4, F(address) },
    { .name = "WBC", .at = 0x4c, .size = 4, F(left), .ro = UINT32_MAX },
    { .name = "WAC", .at = 0x50, .size = 4, F(next), .ro = UINT32_MAX },
    { .name = "STATUS", .at = 0x54, .size = 4, .field = REG_NO_FIELD, .read = status_read, .wrote = status_wrote },
    { .name = "SMDLA", .at = 0x58, .size = 4, F(list), .rsvd = 3 },
    { .name = "WMAC", .at = 0x5c, .size = 4, F(next_entry), .ro = UINT32_MAX },
    { .name = "SBAC", .at = 0x70, .size = 4, F(sbac) },
    { .name = NULL },
};
static const RegBank bank = { .name = "regs", .size = BAR_SIZE, .regs = regs, .fill_from_low = true };
static const RegBank *const banks[] = { &bank, NULL };

/* --- life --- */

static void init(Device *d)
{
    device_own_domain(d, d->type->name);
    esp_init(&am53_of(d)->esp, d, &host);
}

static bool start(Device *d, Error **errp)
{
    Am53 *s = am53_of(d);
    pci_register_bar(&s->pci, 0, PCI_BAR_IO, d->region[0]);
    esp_start(&s->esp, d);
    return true;
}

static void reset(Device *d, ResetPhase phase)
{
    Am53 *s = am53_of(d);
    if (phase != RESET_ENTER)
        return;
    esp_reset(&s->esp);
    s->active = s->in_page = false;
    s->status = 0;
    s->eeprom.bits = s->eeprom.left = 0;
    s->eeprom.clock = false;
    s->eeprom.out = true;
    update_irq(s);
}

static void saving(Device *d) { esp_saving(&am53_of(d)->esp); }

static bool loaded(Device *d, Error **errp)
{
    Am53 *s = am53_of(d);
    bool ok = esp_loaded(&s->esp) && s->eeprom.bits <= EE_COMMAND_BITS && s->eeprom.left <= 16;
    if (!ok)
        error_setf(errp, "device '%s': the saved state is not one that it can be in", d->id);
    s->eeprom.at %= EE_WORDS;
    update_irq(s);
    return ok;
}

static void stop(Device *d) { esp_stop(&am53_of(d)->esp); }

static const StateField eeprom_state[] = { STATE_U16(Eeprom, command), STATE_U16(Eeprom, data),
                                           STATE_U8(Eeprom, bits),     STATE_U8(Eeprom, left),
                                           STATE_U8(Eeprom, at),       STATE_BOOL(Eeprom, clock),
                                           STATE_BOOL(Eeprom, out),    STATE_END_OF_TABLE };
static const StateField state[] = { STATE_STRUCT(Am53, esp, esp_state),
                                    STATE_U32(Am53, status),
                                    STATE_BOOL(Am53, in_page),
                                    STATE_BOOL(Am53, active),
                                    STATE_BOOL(Am53, scsi_int),
                                    STATE_STRUCT(Am53, eeprom, eeprom_state),
                                    STATE_END_OF_TABLE };
static const char *const provides[] = { "scsi", NULL };
#define IDS .vendor = 0x1022, .device = 0x2020, .revision = 0x10, .class_code = 0x010000, .interrupt_pin = 1
#define TYPE(id, name_, desc_, info_, start_) \
    static const DeviceType id = { \
        .name = name_, .desc = desc_, .category = "Storage", .size = sizeof(Am53), .bus = "pci", \
        .user_creatable = true, .provides = provides, \
        .base = &pci_device_type, .banks = banks, .state = state, .init = init, .start = start_, .reset = reset, \
        .saving = saving, .loaded = loaded, \
        .stop = stop, .class_data = info_, \
    }; \
    DEVICE_REGISTER(id)
static const PciDeviceInfo info = { IDS };
TYPE(am53c974_type, "am53c974", "AMD Am53C974 PCscsi SCSI adapter", &info, start)

/*
 * --- Tekram DC-390: an EEPROM by two registers of configuration space, its data at the vendor id (as its drivers use
 * them) ---
 */

static void eeprom_clock(Eeprom *e, bool in)
{
    if (e->left) {
        e->out = e->data >> 15;
        e->data = (uint16_t)(e->data << 1);
        if (!--e->left) { /* reading goes on with the next word */
            e->data = e->word[e->at];
            e->at = (e->at + 1) % EE_WORDS;
            e->left = 16;
        }
    } else if (e->bits < EE_COMMAND_BITS && (e->bits || in)) { /* a one begins */
        e->command = (uint16_t)(e->command << 1 | in);
        if (++e->bits == EE_COMMAND_BITS && (e->command >> 6 & 3) == EE_READ) {
            e->data = e->word[e->command % EE_WORDS];
            e->at = (e->command + 1) % EE_WORDS;
            e->left = 16;
            e->out = false; /* a zero comes before the word */
        }
    }
}

static void config_wrote(PciDevice *d, uint32_t at, unsigned size)
{
    Eeprom *e = &am53_of(&d->dev)->eeprom;
    if (at <= 0xc0 && at + size > 0xc0) { /* not selected */
        e->bits = e->left = 0;
        e->command = 0;
        e->clock = false;
        e->out = true;
    } else if (at <= 0x80 && at + size > 0x80) {
        uint32_t wires = pci_config_get(d, 0x80, 1);
        bool clock = wires & EE_CLOCK;
        if (clock && !e->clock)
            eeprom_clock(e, wires & EE_DATA);
        e->clock = clock;
    }
}

static uint32_t config_read(PciDevice *d, uint32_t at, unsigned size, uint32_t stored)
{
    return at || size != 1 || am53_of(&d->dev)->eeprom.out ? stored : 0;
}

/*
 * The board's settings: four bytes for each of 16 targets, its own address, modes, tags; the sum of all words is 1234h.
 */
static void fill_eeprom(Eeprom *e)
{
    enum { ADAPTER = 32, DELAY_TAGS = 33, MODES = 0x57 /* parity, synchronous, disconnection, start, tags */ };
    uint16_t sum = 0;
    for (unsigned target = 0; target < 16; target++)
        e->word[2 * target] = MODES;
    e->word[ADAPTER] = PARALLEL_OWN_ID | 0x0f << 8;
    e->word[DELAY_TAGS] = 3 | 4 << 8;
    for (unsigned i = 0; i < EE_WORDS - 1; i++)
        sum = (uint16_t)(sum + e->word[i]);
    e->word[EE_WORDS - 1] = (uint16_t)(0x1234 - sum);
}

static bool start_dc390(Device *d, Error **errp)
{
    Am53 *s = am53_of(d);
    fill_eeprom(&s->eeprom);
    pci_config_define(&s->pci, 0x80, 1, 0, 0xff);
    pci_config_define(&s->pci, 0xc0, 1, 0, 0xff);
    return start(d, errp);
}

static const PciDeviceInfo dc390_info = { IDS, .config_read = config_read, .config_wrote = config_wrote };
TYPE(dc390_type, "dc390", "Tekram DC-390 SCSI adapter", &dc390_info, start_dc390)
