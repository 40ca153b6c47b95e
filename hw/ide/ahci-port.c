/* SPDX-License-Identifier: MIT */
/*
 * A port of an AHCI controller: registers, FISes, command lists, PRDTs (AHCI 1.3.1, 3.3, 4 and 5; Serial ATA 3.1,
 * 10.5).
 */
#include <string.h>
#include "base/bits.h"
#include "base/log.h"
#include "hw/ide/ahci.h"

enum {
    CLB = 0x00,
    CLBU = 0x04,
    FB = 0x08,
    FBU = 0x0c,
    IS = 0x10,
    IE = 0x14,
    CMD = 0x18,
    TFD = 0x20,
    SIG = 0x24,
    SSTS = 0x28,
    SCTL = 0x2c,
    SERR = 0x30,
    SACT = 0x34,
    CI = 0x38,
    SNTF = 0x3c
};
enum {
    CMD_ST = 1,
    CMD_SUD = 2,
    CMD_POD = 4,
    CMD_CLO = 8,
    CMD_FRE = 0x10,
    CMD_FR = 0x4000,
    CMD_CR = 0x8000,
    CMD_KEPT = CMD_ST | CMD_SUD | CMD_POD | CMD_FRE | 0x03000000 /* ATAPI, DLAE */
};
#define IS_DHRS BIT(0)
#define IS_PSS BIT(1)
#define IS_SDBS BIT(3)
#define IS_DPS BIT(5)
#define IS_PCS BIT(6)
#define IS_PRCS BIT(22)
#define IS_OFS BIT(24)
#define IS_HBFS BIT(29)
#define IS_TFES BIT(30)
#define IS_WRITABLE 0xfd8000afu
#define SERR_N BIT(16)
#define SERR_X BIT(26)
enum { FIS_PIO = 0x20, FIS_D2H = 0x40, FIS_SDB = 0x58 };          /* places in the received FIS area */
enum { HEADER_SIZE = 32, CFIS_SIZE = 64, ACMD = 0x40, PRDT = 0x80, PRD_SIZE = 16, PRD_BATCH = 64 };
enum { SLOT_ATAPI = 0x20, FIS_H2D = 0x27 };

static AtaDrive *drive(const AhciPort *p) { return p->bus.drive[0] && p->bus.drive[0]->blk ? p->bus.drive[0] : NULL; }

static void dma_write(AhciPort *p, uint64_t addr, const void *buf, uint64_t len)
{
    p->hba->guard++;
    if (pci_dma_write(&p->hba->pci, addr, buf, len) != MEM_OK)
        p->dma_failed = true;
    p->hba->guard--;
}

static bool dma_read(AhciPort *p, uint64_t addr, void *buf, uint64_t len)
{
    p->hba->guard++;
    bool ok = pci_dma_read(&p->hba->pci, addr, buf, len) == MEM_OK;
    p->hba->guard--;
    return ok;
}

/* --- received FISes (4.2.1) --- */

static void put_fis(AhciPort *p, unsigned at, const uint8_t *fis, unsigned len)
{
    if (p->cmd & CMD_FRE)
        dma_write(p, p->fb + at, fis, len);
}

static void fill_registers(uint8_t f[20], const AtaRegs *r)
{
    const uint8_t values[] = { r->status, r->error,  r->low[0],  r->mid[0], r->high[0],  r->device,
                               r->low[1], r->mid[1], r->high[1], 0,         r->count[0], r->count[1] };
    memcpy(f + 2, values, sizeof values);
}

static void send_d2h(AhciPort *p, bool interrupt)
{
    uint8_t f[20] = { 0x34, interrupt ? 0x40 : 0 };

    fill_registers(f, &drive(p)->r);
    put_fis(p, FIS_D2H, f, sizeof f);
}

static void send_pio_setup(AhciPort *p, const AtaCommand *c)
{
    uint8_t f[20] = { 0x5f, (uint8_t)(0x40 | (c->flow == FLOW_OUT || c->flow == FLOW_WRITE ? 0 : 0x20)) };

    fill_registers(f, &drive(p)->r);
    f[15] = drive(p)->r.status; /* E_Status */
    store_le16(f + 16, (uint16_t)MIN(c->bytes, 0xfffe));
    put_fis(p, FIS_PIO, f, sizeof f);
}

static void send_signature(AhciPort *p)
{
    if (!p->signature_due || !(p->cmd & CMD_FRE) || !drive(p))
        return;
    p->signature_due = false;
    send_d2h(p, false);
}

/* --- the end of commands --- */

void ahci_event(AhciPort *p, uint32_t bits)
{
    p->is |= bits;
    ahci_update_irq(p->hba, ahci_port_pending(p));
}

static void finished_queued(AhciPort *p, AtaDrive *a, AtaCommand *c)
{
    uint8_t f[8] = { 0xa1, 0x40, a->r.status & 0x77, a->r.error };

    if (c->error) {
        p->halted = true;
    } else {
        p->sact &= ~(uint32_t)BIT(c->tag);
        store_le32(f + 4, (uint32_t)BIT(c->tag));
    }
    put_fis(p, FIS_SDB, f, sizeof f);
    ahci_event(p, IS_SDBS | (c->error ? IS_TFES : 0) | (p->slot[c->tag].interrupt ? IS_DPS : 0));
}

static void finished(AtaDrive *a, AtaCommand *c, bool interrupt)
{
    AhciPort *p = a->bus->host;

    if (c->queued) {
        finished_queued(p, a, c);
        return;
    }
    if (p->current < 0)
        return;
    unsigned n = (unsigned)p->current;
    uint32_t events = p->slot[n].interrupt ? IS_DPS : 0;
    uint8_t transferred[4];
    bool in = c->flow == FLOW_IN || c->flow == FLOW_READ, pio = c->flow != FLOW_NONE && !c->dma;
    store_le32(transferred, (uint32_t)c->at);
    dma_write(p, p->clb + n * HEADER_SIZE + 4, transferred, sizeof transferred);
    if (pio && !c->error) {
        send_pio_setup(p, c);
        events |= in ? IS_PSS : 0;
    }
    if (!pio || !in || c->error || c->opcode == ATA_CMD_PACKET) {
        send_d2h(p, true);
        events |= IS_DHRS;
    }
    if (c->error) {
        events |= IS_TFES | (c->short_list && !p->dma_failed ? IS_OFS : 0);
        p->halted = true;
    } else {
        p->ci &= ~(uint32_t)BIT(n);
    }
    if (p->dma_failed) {
        events |= IS_HBFS;
        p->halted = true;
    }
    p->current = -1;
    ahci_event(p, events);
}

/* --- data: the PRDT (4.2.3.3) --- */

/*
 * The entries hold what a guest wrote: lengths are 1 to 4 MiB, their number at most 65535; the cursor only goes
 * forward.
 */
static uint64_t map(AtaDrive *a, AtaCommand *c, DmaVec *v, uint64_t at, uint64_t len)
{
    AhciPort *p = a->bus->host;
    AhciSlot *s = &p->slot[c->queued ? c->tag : (unsigned)MAX(p->current, 0)];
    uint8_t prd[PRD_BATCH * PRD_SIZE];
    uint64_t got = 0;

    dma_vec_init(v, pci_dma_space(&p->hba->pci), pci_attrs(&p->hba->pci), c->flow == FLOW_READ || c->flow == FLOW_IN);
    if (at < s->base)
        s->index = 0, s->base = 0;
    while (got < len && s->index < s->entries) {
        uint32_t n = MIN(s->entries - s->index, PRD_BATCH);
        if (!dma_read(p, s->table + PRDT + (uint64_t)s->index * PRD_SIZE, prd, n * PRD_SIZE)) {
            p->dma_failed = true;
            return got;
        }
        for (uint32_t i = 0; i < n && got < len; i++) {
            uint64_t addr = load_le64(prd + i * PRD_SIZE) & ~UINT64_C(1),
                     size = (load_le32(prd + i * PRD_SIZE + 12) & 0x3fffff) + 1;
            s->interrupt |= prd[i * PRD_SIZE + 15] >> 7;
            if (at + got < s->base + size) {
                uint64_t skip = at + got - s->base, piece = MIN(size - skip, len - got);
                if (v->count >= DMA_VEC_MAX - 2)
                    return got;
                if (!dma_vec_add(v, addr + skip, piece)) {
                    p->dma_failed = v->count < DMA_VEC_MAX;
                    return got;
                }
                got += piece;
                if (skip + piece < size)
                    return got;
            }
            s->base += size;
            s->index++;
        }
    }
    return got;
}

/* --- commands (5.3, 5.5, 5.6) --- */

static bool packet(AtaDrive *a, uint8_t cdb[16])
{
    AhciPort *p = a->bus->host;

    return p->current >= 0 && dma_read(p, p->slot[p->current].table + ACMD, cdb, 16);
}

/* A FIS that writes device control: SRST set, then cleared, is a software reset (10.4.1 there). */
static void control_fis(AhciPort *p, AtaDrive *a, unsigned n, const uint8_t *f)
{
    bool srst = f[15] & ATA_SRST;

    p->ci &= ~(uint32_t)BIT(n);
    if (p->srst && !srst) {
        p->resetting = true;
        ata_reset(a, false);
        p->resetting = false;
        p->signature_due = true;
        send_signature(p);
    }
    p->srst = srst;
}

static void load_registers(AtaRegs *r, const uint8_t *f)
{
    *r = (AtaRegs){ .feature = { f[3], f[11] },
                    .count = { f[12], f[13] },
                    .low = { f[4], f[8] },
                    .mid = { f[5], f[9] },
                    .high = { f[6], f[10] },
                    .device = f[7],
                    .control = f[15],
                    .status = r->status,
                    .error = r->error };
}

static void issue(AhciPort *p, AtaDrive *a, unsigned n)
{
    uint8_t header[16], f[CFIS_SIZE];
    AhciSlot *s = &p->slot[n];

    p->last = (uint8_t)n;
    p->dma_failed = false;
    bool ok = dma_read(p, p->clb + n * HEADER_SIZE, header, sizeof header);
    *s = (AhciSlot){ .table = load_le64(header + 8) & ~UINT64_C(0x7f), .entries = load_le16(header + 2) };
    if (!ok || !dma_read(p, s->table, f, sizeof f)) {
        p->halted = true;
        ahci_event(p, IS_HBFS);
        return;
    }
    if ((header[0] & 0x1f) < 5 || f[0] != FIS_H2D) {
        log_guest_error(p->hba->pci.dev.id, "AHCI: port %u: slot %u holds no command FIS (type 0x%02x)", p->number, n,
                        f[0]);
        p->ci &= ~(uint32_t)BIT(n);
        return;
    }
    if (!(f[1] & 0x80)) {
        control_fis(p, a, n, f);
        return;
    }
    uint8_t opcode = f[2];
    if (opcode >= ATA_CMD_READ_FPDMA && opcode <= 0x65 && !a->cd) {
        AtaRegs r;
        load_registers(&r, f);
        p->ci &= ~(uint32_t)BIT(n); /* the drive has taken it; SACT tells when it is over */
        ata_queued(a, opcode, &r, f[12] >> 3);
        return;
    }
    load_registers(&a->r, f);
    p->current = (int)n;
    ata_command(a, opcode);
}

static int next_slot(const AhciPort *p)
{
    if (!p->ci)
        return -1;
    for (unsigned i = 1; i <= AHCI_SLOTS; i++) {
        unsigned n = (p->last + i) % AHCI_SLOTS;
        if (p->ci & BIT(n))
            return (int)n;
    }
    return -1;
}

static void process(AhciPort *p)
{
    if (p->processing)
        return;
    p->processing = true;
    for (unsigned rounds = 0; rounds < 4 * AHCI_SLOTS; rounds++) {
        AtaDrive *a = drive(p);
        int n = next_slot(p);
        if (!a || n < 0 || !(p->cmd & CMD_ST) || p->halted || p->resetting || p->current >= 0 || a->cmd.active ||
            a->quiescing)
            break;
        issue(p, a, (unsigned)n);
    }
    p->processing = false;
}

static void idle(AtaDrive *a) { process(a->bus->host); }

static uint8_t slot(AtaDrive *a, const AtaCommand *c)
{
    const AhciPort *p = a->bus->host;

    return c->queued ? c->tag : (uint8_t)MAX(p->current, 0);
}

static bool fetch_again(AtaDrive *a, uint8_t n)
{
    AhciPort *p = a->bus->host;

    if (n >= AHCI_SLOTS || !(p->cmd & CMD_ST))
        return false;
    p->ci |= (uint32_t)BIT(n);
    process(p);
    return true;
}

const AtaHostOps ahci_host_ops = { .sata = true,
                                   .map = map,
                                   .finished = finished,
                                   .packet = packet,
                                   .idle = idle,
                                   .slot = slot,
                                   .fetch_again = fetch_again };

/* --- registers --- */

static void stop_commands(AhciPort *p)
{
    AtaDrive *a = drive(p);

    p->resetting = true;
    if (a)
        ata_quiesce(a);
    p->resetting = false;
    p->ci = p->sact = 0;
    p->current = -1;
    p->halted = false;
    p->last = AHCI_SLOTS - 1;
}

static void write_cmd(AhciPort *p, uint32_t value)
{
    uint32_t old = p->cmd;

    p->cmd = value & CMD_KEPT;
    if (old & CMD_ST && !(value & CMD_ST))
        stop_commands(p);
    if (value & CMD_CLO && drive(p))
        drive(p)->r.status &= (uint8_t)~(ATA_BSY | ATA_DRQ);
    send_signature(p);
    process(p);
}

/* DET = 1 holds the drive in reset (COMRESET); it starts anew when that ends (10.10.1). */
static void write_sctl(AhciPort *p, uint32_t value)
{
    unsigned was = p->sctl & 0xf, det = value & 0xf;
    AtaDrive *a = drive(p);

    p->sctl = value & 0xfff;
    if (det == 1 && was != 1) {
        stop_commands(p);
        if (a)
            a->r.status = ATA_BSY;
    } else if (det == 0 && was == 1 && a) {
        p->resetting = true;
        ata_reset(a, false);
        p->resetting = false;
        p->signature_due = true;
        p->serr |= SERR_X | SERR_N;
        send_signature(p);
        ahci_event(p, IS_DHRS);
    }
}

static uint32_t status_bits(const AhciPort *p)
{
    return (p->is & ~(uint32_t)(IS_PCS | IS_PRCS)) | (p->serr & SERR_X ? (uint32_t)IS_PCS : 0) |
           (p->serr & SERR_N ? (uint32_t)IS_PRCS : 0);
}

uint32_t ahci_port_read(AhciPort *p, unsigned at)
{
    const AtaDrive *a = drive(p);

    switch (at) {
    case CLB: return (uint32_t)p->clb;
    case CLBU: return (uint32_t)(p->clb >> 32);
    case FB: return (uint32_t)p->fb;
    case FBU: return (uint32_t)(p->fb >> 32);
    case IS: return status_bits(p);
    case IE: return p->ie;
    case CMD:
        return p->cmd | (p->cmd & CMD_FRE ? CMD_FR : 0) | (p->cmd & CMD_ST ? CMD_CR : 0) |
               (uint32_t)(p->cmd & CMD_ST ? p->last & 31 : 0) << 8;
    case TFD: return a ? a->r.status | (uint32_t)a->r.error << 8 : 0x7f;
    case SIG: return !a ? 0xffffffff : a->cd ? 0xeb140101 : 0x00000101;
    case SSTS: return !a || (p->sctl & 0xf) == 4 ? 0 : (p->sctl & 0xf) == 1 ? 1 : 0x123; /* active, generation 2 */
    case SCTL: return p->sctl;
    case SERR: return p->serr;
    case SACT: return p->sact;
    case CI: return p->ci;
    default: return 0;
    }
}

void ahci_port_write(AhciPort *p, unsigned at, uint32_t value)
{
    switch (at) {
    case CLB: p->clb = bits_set(p->clb, 0, 32, value & ~0x3ffu); break;
    case CLBU: p->clb = bits_set(p->clb, 32, 32, value); break;
    case FB: p->fb = bits_set(p->fb, 0, 32, value & ~0xffu); break;
    case FBU: p->fb = bits_set(p->fb, 32, 32, value); break;
    case IS:
        p->is &= ~(value & IS_WRITABLE);
        ahci_update_irq(p->hba, false);
        break;
    case IE:
        p->ie = value & 0xfdc000ff;
        ahci_update_irq(p->hba, true);
        break;
    case CMD: write_cmd(p, value); break;
    case SCTL: write_sctl(p, value); break;
    case SERR:
        p->serr &= ~value;
        ahci_update_irq(p->hba, false);
        break;
    case SACT:
        if (p->cmd & CMD_ST)
            p->sact |= value;
        break;
    case CI:
        if (p->cmd & CMD_ST) {
            p->ci |= value;
            process(p);
        }
        break;
    default: break;
    }
}

void ahci_port_reset(AhciPort *p)
{
    p->clb = p->fb = 0;
    p->is = p->ie = p->sctl = p->serr = 0;
    p->cmd = CMD_SUD | CMD_POD;
    p->srst = false;
    p->signature_due = true;
    stop_commands(p);
}

/* A drive came or went: PhyRdy changed. */
void ahci_port_changed(IdeBus *b)
{
    AhciPort *p = b->host;

    if (!b->drive[0])
        p->ci = p->sact = 0, p->current = -1;
    p->signature_due = b->drive[0] != NULL;
    p->serr |= SERR_X | SERR_N;
    send_signature(p);
    ahci_event(p, 0);
}


bool ahci_port_pending(const AhciPort *p) { return status_bits(p) & p->ie; }
