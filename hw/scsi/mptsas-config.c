/* SPDX-License-Identifier: MIT */
/*
 * LSI SAS1068: what it says of itself: facts, configuration pages of its ports and what is attached to them, events
 * (MPI 1.5).
 */
#include "base/iov.h"
#include "hw/scsi/mptsas.h"

enum {
    INFO_END_DEVICE = 1,
    INFO_SSP_INITIATOR = 0x40,
    INFO_SSP_TARGET = 0x400,
    RATE_3_0 = 9,
    RATES = 0x98 /* 1.5 to 3.0 */
};
enum { PAGE_MAX = 256, ATTACHED = MPT_PORTS + 1 /* handles: 1 to 8 are our ports, then what is attached to them */ };

/* --- facts --- */

void mpt_facts(const MptMessage *m)
{
    const Mptsas *s = m->s;
    uint8_t a[80] = { 0 };
    store_le16(a, 0x0105);                 /* MPI 1.5 */
    store_le16(a + 4, 0x1300);             /* version of its headers */
    a[20] = 34;                            /* chains of a list */
    a[21] = s->who;
    a[22] = 12;                            /* words of a block */
    store_le16(a + 24, MPT_FREE_MAX);      /* reply frames */
    store_le16(a + 26, MPT_FRAME / 4);     /* words of a request */
    store_le16(a + 30, 0x2704);            /* SAS initiator */
    store_le32(a + 32, s->high);
    store_le16(a + 36, MPT_FREE_MAX);      /* requests at a time */
    a[38] = 1;                             /* port */
    a[39] = s->events;
    store_le32(a + 40, s->sense_high);
    store_le16(a + 44, s->reply_size);
    a[46] = MPT_PORTS;
    a[47] = 1;
    store_le32(a + 56, 0x01200000);        /* version of the firmware */
    mpt_answer(m, a, sizeof a, MPI_OK);
}

void mpt_port_facts(const MptMessage *m)
{
    enum { TYPE_SAS = 0x30, INITIATOR = 8 };
    uint8_t a[40] = { [6] = m->b[6] };
    if (!m->b[6]) {
        a[21] = TYPE_SAS;
        store_le16(a + 22, MPT_PORTS);
        store_le16(a + 24, MPT_PORTS);
        store_le16(a + 26, INITIATOR);
    }
    mpt_answer(m, a, sizeof a, MPI_OK);
}

/* --- ports, and who is there --- */

uint64_t mpt_port_address(const Mptsas *s, unsigned port)
{
    return (s->sas_address ? s->sas_address : 0x3525400000000000 | (uint64_t)s->pci.devfn << 5) + port;
}

bool mpt_attached(const Mptsas *s, unsigned port) { return port < MPT_PORTS && scsi_target_exists(&s->bus, 0, port); }
static uint16_t handle_at(const Mptsas *s, unsigned port)
{
    return mpt_attached(s, port) ? (uint16_t)(ATTACHED + port) : 0;
}
static bool handle_exists(const Mptsas *s, unsigned handle)
{
    return handle && (handle < ATTACHED || mpt_attached(s, handle - ATTACHED));
}

/* The handle that a page's address means; 0: none. Forms: the next one, bus and target, handle. */
static unsigned device_handle(const Mptsas *s, uint32_t address)
{
    unsigned handle = address & 0xffff;
    switch (address >> 28) {
    case 0:
        for (handle = handle == 0xffff ? 1 : handle + 1; handle < ATTACHED + MPT_PORTS; handle++) {
            if (handle_exists(s, handle))
                return handle;
        }
        return 0;
    case 1: return handle >> 8 ? 0 : handle_at(s, handle);
    case 2: return handle_exists(s, handle) ? handle : 0;
    default: return 0;
    }
}

/* --- pages: the body behind the header; its length with the header, 0: no such page --- */

static size_t manufacturing_0(const Mptsas *s, uint32_t address, uint8_t *p)
{
    memcpy(p + 4, "LSISAS1068", 10);       /* chip: 16, revision: 8, board: 16, assembly: 16, tracer: 16 */
    memcpy(p + 20, "B0", 2);
    memcpy(p + 28, "SAS3080X-R", 10);
    return 76;
}

static size_t io_unit_0(const Mptsas *s, uint32_t address, uint8_t *p)
{
    p[12] = MPT_PORTS;
    for (unsigned i = 0; i < MPT_PORTS; i++) {
        uint8_t *e = p + 16 + 16 * i;
        e[0] = (uint8_t)i;
        e[3] = mpt_attached(s, i) ? RATE_3_0 : 0;
        store_le32(e + 4, INFO_SSP_INITIATOR | INFO_END_DEVICE);
        store_le16(e + 8, handle_at(s, i));
        store_le16(e + 10, (uint16_t)(1 + i));
    }
    return 16 + 16 * MPT_PORTS;
}

static size_t io_unit_1(const Mptsas *s, uint32_t address, uint8_t *p)
{
    p[16] = MPT_PORTS;
    for (unsigned i = 0; i < MPT_PORTS; i++) {
        uint8_t *e = p + 20 + 12 * i;
        e[0] = (uint8_t)i;
        e[3] = RATES;
        store_le32(e + 4, INFO_SSP_INITIATOR | INFO_END_DEVICE);
    }
    return 20 + 12 * MPT_PORTS;
}

static size_t io_unit_2(const Mptsas *s, uint32_t address, uint8_t *p) { return 20; }
static size_t io_unit_3(const Mptsas *s, uint32_t address, uint8_t *p) { return 44; }

static size_t device_0(const Mptsas *s, uint32_t address, uint8_t *p)
{
    unsigned handle = device_handle(s, address), port = handle < ATTACHED ? handle - 1 : handle - ATTACHED;
    if (!handle)
        return 0;
    bool ours = handle < ATTACHED;
    store_le64(p + 12, mpt_port_address(s, ours ? port : port + MPT_PORTS));
    store_le16(p + 20, ours ? 0 : (uint16_t)(1 + port)); /* parent */
    p[22] = (uint8_t)port;
    store_le16(p + 24, (uint16_t)handle);
    p[26] = ours ? 0xff : (uint8_t)port;                  /* target */
    store_le32(p + 28, INFO_END_DEVICE | (ours ? INFO_SSP_INITIATOR : INFO_SSP_TARGET));
    store_le16(p + 32, ours ? 1 : 3);                     /* present, mapped to a target */
    p[34] = (uint8_t)port;
    return 36;
}

static size_t device_1(const Mptsas *s, uint32_t address, uint8_t *p)
{
    size_t n = device_0(s, address, p);
    memset(p + 28, 0, 20); /* no SATA device's first word */
    return n ? 48 : 0;
}

static size_t phy_0(const Mptsas *s, uint32_t address, uint8_t *p)
{
    unsigned port = address & 0xff;
    if (address >> 28 || port >= MPT_PORTS)
        return 0;
    store_le16(p + 8, (uint16_t)(1 + port));
    store_le64(p + 12, mpt_port_address(s, port));
    store_le16(p + 20, handle_at(s, port));
    store_le32(p + 24, mpt_attached(s, port) ? INFO_SSP_TARGET | INFO_END_DEVICE : 0);
    p[28] = p[29] = RATES;
    store_le32(p + 32, mpt_attached(s, port) ? RATE_3_0 : 0);
    return 36;
}

static size_t phy_1(const Mptsas *s, uint32_t address, uint8_t *p)
{
    return address >> 28 || (address & 0xff) >= MPT_PORTS ? 0 : 28;
}

enum { TYPE_MANUFACTURING = 0x09, TYPE_EXTENDED = 0x0f, EXT_IO_UNIT = 0x10, EXT_DEVICE = 0x12, EXT_PHY = 0x13 };
static const struct {
    uint8_t type, ext, number, version;
    size_t (*fill)(const Mptsas *s, uint32_t address, uint8_t *p);
} pages[] = {
    { TYPE_MANUFACTURING, 0, 0, 0, manufacturing_0 }, { TYPE_EXTENDED, EXT_IO_UNIT, 0, 4, io_unit_0 },
    { TYPE_EXTENDED, EXT_IO_UNIT, 1, 7, io_unit_1 },  { TYPE_EXTENDED, EXT_IO_UNIT, 2, 6, io_unit_2 },
    { TYPE_EXTENDED, EXT_IO_UNIT, 3, 6, io_unit_3 },  { TYPE_EXTENDED, EXT_DEVICE, 0, 5, device_0 },
    { TYPE_EXTENDED, EXT_DEVICE, 1, 0, device_1 },    { TYPE_EXTENDED, EXT_PHY, 0, 1, phy_0 },
    { TYPE_EXTENDED, EXT_PHY, 1, 0, phy_1 },
};

/* --- CONFIG --- */

static size_t fill_page(const MptMessage *m, uint8_t *p)
{
    uint8_t type = m->b[0x17] & 15, ext = m->b[6], number = m->b[0x16];
    for (unsigned i = 0; i < ARRAY_LEN(pages); i++) {
        if (pages[i].type != type || pages[i].number != number || (type == TYPE_EXTENDED && pages[i].ext != ext))
            continue;
        size_t n = pages[i].fill(m->s, load_le32(m->b + 0x18), p);
        p[0] = pages[i].version;
        p[1] = type == TYPE_EXTENDED ? 0 : (uint8_t)(n / 4);
        p[2] = number;
        p[3] = type;
        if (type == TYPE_EXTENDED) {
            store_le16(p + 4, (uint16_t)(n / 4));
            p[6] = ext;
        }
        return n;
    }
    return 0;
}

static unsigned give_page(const MptMessage *m, const uint8_t *p, size_t n)
{
    DmaVec v;
    dma_vec_init(&v, pci_dma_space(&m->s->pci), pci_attrs(&m->s->pci), true);
    bool ok = mpt_map(m, &v, 0x1c, n);
    size_t bytes = ok ? MIN(n, v.bytes) : 0;
    iov_from_buf(v.iov, (int)v.count, 0, p, bytes);
    dma_vec_finish(&v, bytes);
    return ok ? MPI_OK : MPI_INVALID_SGL;
}

void mpt_config(const MptMessage *m)
{
    enum { HEADER, READ, WRITE, DEFAULT, WRITE_NVRAM, READ_DEFAULT, READ_NVRAM };
    uint8_t a[24] = { 0 }, page[PAGE_MAX] = { 0 };
    uint8_t action = m->b[0];
    size_t n = fill_page(m, page);
    unsigned status = n ? MPI_OK : MPI_CONFIG_PAGE;
    a[0] = action;
    memcpy(a + 20, n ? page : m->b + 20, 4);
    memcpy(a + 4, n ? page + 4 : m->b + 4, (m->b[0x17] & 15) == TYPE_EXTENDED ? 3 : 0);
    if (n && (action == READ || action == READ_DEFAULT || action == READ_NVRAM))
        status = give_page(m, page, n);
    else if (action == WRITE || action == WRITE_NVRAM || action == DEFAULT || action > READ_NVRAM)
        status = MPI_CONFIG_ACTION; /* nothing can be set */
    mpt_answer(m, a, sizeof a, status);
}

/* --- events --- */

static void link_event(Mptsas *s, unsigned port, bool up)
{
    enum { LINK_STATUS = 0x12 };
    uint8_t e[12] = { (uint8_t)port, up ? RATE_3_0 << 4 : RATE_3_0 }; /* now, and before */
    store_le16(e + 2, (uint16_t)(1 + port));
    store_le64(e + 4, mpt_port_address(s, port));
    mpt_event(s, LINK_STATUS, e, sizeof e / 4);
}

/* The link comes before the device, and goes after it. */
void mpt_device_event(Mptsas *s, const ScsiDevice *d, bool added)
{
    enum { DEVICE_STATUS = 0x0f, ADDED = 3, NOT_RESPONDING = 4 };
    uint8_t e[36] = { (uint8_t)d->id, 0, added ? ADDED : NOT_RESPONDING };
    unsigned port = (unsigned)d->id;
    if (d->lun || port >= MPT_PORTS)
        return;
    if (added)
        link_event(s, port, true);
    store_le16(e + 6, (uint16_t)(ATTACHED + port));
    store_le32(e + 8, INFO_SSP_TARGET | INFO_END_DEVICE);
    store_le16(e + 12, (uint16_t)(1 + port));
    e[14] = (uint8_t)port;
    store_le64(e + 16, mpt_port_address(s, port + MPT_PORTS));
    mpt_event(s, DEVICE_STATUS, e, sizeof e / 4);
    if (!added)
        link_event(s, port, false);
}
