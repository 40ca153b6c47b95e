/* SPDX-License-Identifier: MIT */
/* MegaRAID SAS: direct commands: what the firmware tells of adapter and drives, events. */
#include "base/iov.h"
#include "hw/scsi/megasas.h"

enum {
    CTRL_GET_INFO = 0x01010000,
    CTRL_GET_PROPERTIES = 0x01020100,
    CTRL_SET_PROPERTIES = 0x01020200,
    EVENT_GET_INFO = 0x01040100,
    EVENT_GET = 0x01040300,
    EVENT_WAIT = 0x01040500,
    CTRL_SHUTDOWN = 0x01050000,
    CTRL_HIBERNATE = 0x01060000,
    CTRL_TIME_GET = 0x01080101,
    CACHE_FLUSH = 0x01101000,
    PD_GET_LIST = 0x02010000,
    PD_LIST_QUERY = 0x02010100,
    PD_GET_INFO = 0x02020000,
    LD_GET_LIST = 0x03010000,
    LD_LIST_QUERY = 0x03010100,
    LD_GET_INFO = 0x03020000,
    LD_GET_PROPERTIES = 0x03030000,
    CONFIG_READ = 0x04010000,
    CLUSTER_RESET_LD = 0x08010200
};
enum {
    MBOX = 28,
    LIST = 40,
    REPLY_MAX = 8192,
    INFO_BYTES = 2048,
    PROPERTIES_BYTES = 64,
    PD_BYTES = 512,
    LD_BYTES = 384
};
enum { EVENT_LD_CREATED = 0x8a, EVENT_LD_DELETED = 0x8b, EVENT_PD_INSERTED = 0x5b, EVENT_PD_REMOVED = 0x70 };

static uint64_t sas_address(const Megasas *s)
{
    return s->sas_address ? s->sas_address : 0x3525400000000000 | (uint64_t)s->pci.devfn << 5;
}
static uint64_t unit_address(const Megasas *s, unsigned target) { return sas_address(s) + 1 + target; }
static uint64_t unit_blocks(const ScsiDevice *d) { return blk_size(d->blk) / 512; }

typedef void EachFn(Megasas *s, const ScsiDevice *d, uint8_t *out, unsigned n);

/* Calls fn for each unit that stands at the places of `out`; returns how many. */
static unsigned each(Megasas *s, uint8_t *out, EachFn *fn)
{
    unsigned n = 0;
    for (unsigned i = 0; i < s->bus.devices->len; i++) {
        const ScsiDevice *d = s->bus.devices->pdata[i];
        if (d->ready)
            fn(s, d, out, n++);
    }
    return n;
}

/* --- the adapter --- */

static size_t properties(Megasas *s, const uint8_t *mbox, uint8_t *p)
{
    store_le16(p + 2, 300);  /* seconds between looks for failing disks */
    store_le16(p + 4, 16);   /* interrupts may be so many ... */
    store_le16(p + 6, 50);   /* ... or so many microseconds late */
    memset(p + 8, 30, 5);    /* rates of work in the background, per cent */
    p[13] = 4;               /* seconds between flushes of the cache */
    p[14] = 2;
    p[15] = 6;
    return PROPERTIES_BYTES;
}

static void count(Megasas *s, const ScsiDevice *d, uint8_t *out, unsigned n) {}

static size_t controller_info(Megasas *s, const uint8_t *mbox, uint8_t *p)
{
    unsigned units = each(s, p, count);
    const PciDeviceInfo *i = s->pci.info;
    store_le16(p, i->vendor);
    store_le16(p + 2, i->device);
    store_le16(p + 4, i->subsystem_vendor);
    store_le16(p + 6, i->subsystem);
    p[32] = 2;                                 /* the host's side is PCI Express */
    p[39] = 1;                                 /* one port */
    store_le64(p + 40, sas_address(s));
    p[104] = 2;                                /* the disks' side is SAS */
    p[111] = 8;
    for (unsigned port = 0; port < 8; port++)
        store_le64(p + 112 + 8 * port, unit_address(s, port));
    store_le32(p + 180, 1);                    /* one piece of firmware, 8 + 32 + 16 + 16 characters */
    memcpy(p + 184, "APP", 3);
    memcpy(p + 192, "2.5", 3);
    uint8_t *q = p + 184 + 72 * 8 + 4 + 72 * 8;
    q[0] = 32;                                 /* arms, spans, arrays, logical drives */
    q[1] = 8;
    q[2] = 128;
    q[3] = MFI_TARGETS;
    g_snprintf((char *)q + 4, 80, "%s", i->device == 0x0079 ? "MegaRAID SAS 9260-8i" : "MegaRAID SAS 8708EM2");
    g_snprintf((char *)q + 84, 32, "%s", s->serial);
    store_le32(q + 116, 4);                    /* has NVRAM */
    store_le16(q + 124, s->max_cmds);
    store_le16(q + 126, s->max_sge);
    store_le32(q + 128, 16384);                /* sectors of a request */
    store_le16(q + 132, s->jbod ? 0 : units);  /* logical drives */
    store_le16(q + 138, units);                /* physical ones, and disks among them */
    store_le16(q + 140, units);
    store_le16(q + 146, 32);                   /* KiB of NVRAM, MiB of memory and flash */
    store_le16(q + 148, 512);
    store_le16(q + 150, 16);
    store_le16(q + 158, 255);                  /* strips of a request */
    store_le32(q + 160, 1);                    /* RAID level 0 */
    q[172] = 7;                                /* strips from 2^7 sectors ... */
    q[173] = 11;                               /* ... to 2^11 */
    store_le32(q + 180, 3);                    /* SAS and SATA */
    properties(s, mbox, q + 196);
    memcpy(q + 260, "2.5-0", 5);
    return INFO_BYTES;
}

static size_t event_info(Megasas *s, const uint8_t *mbox, uint8_t *p)
{
    store_le32(p, s->event_count);             /* newest, oldest, at clearing, shutdown and boot */
    return 20;
}

static size_t time_now(Megasas *s, const uint8_t *mbox, uint8_t *p)
{
    store_le64(p, (uint64_t)clock_ns(CLOCK_VIRTUAL_NS) / 1000000000);
    return 8;
}

static size_t nothing(Megasas *s, const uint8_t *mbox, uint8_t *p) { return 0; }

/* --- drives --- */

static void put_ld(Megasas *s, const ScsiDevice *d, uint8_t *p, unsigned n)
{
    p += 8 + 16 * n;
    p[0] = (uint8_t)d->id;
    p[4] = 3; /* optimal */
    store_le64(p + 8, unit_blocks(d));
}

static size_t ld_list(Megasas *s, const uint8_t *mbox, uint8_t *p)
{
    store_le32(p, s->jbod ? 0 : each(s, p, put_ld));
    return 8 + 16 * MFI_TARGETS;
}

static void put_ld_id(Megasas *s, const ScsiDevice *d, uint8_t *p, unsigned n) { p[11 + n] = (uint8_t)d->id; }

static size_t ld_query(Megasas *s, const uint8_t *mbox, uint8_t *p)
{
    unsigned n = s->jbod || mbox[0] > 1 /* all, or those that the host sees */ ? 0 : each(s, p, put_ld_id);
    store_le32(p, 11 + n);
    store_le32(p + 4, n);
    return 11 + MFI_TARGETS;
}

static void put_pd(Megasas *s, const ScsiDevice *d, uint8_t *p, unsigned n)
{
    p += 8 + 24 * n;
    store_le16(p, (uint16_t)d->id);
    store_le16(p + 2, 0xffff);
    p[5] = (uint8_t)d->id;
    store_le64(p + 8, unit_address(s, (unsigned)d->id));
}

static size_t pd_list(Megasas *s, const uint8_t *mbox, uint8_t *p)
{
    unsigned n = each(s, p, put_pd);
    store_le32(p, 8 + 24 * n);
    store_le32(p + 4, n);
    return 8 + 24 * MFI_TARGETS;
}

/* Physical disks that the host sees itself: those that are no part of a logical drive. */
static size_t pd_query(Megasas *s, const uint8_t *mbox, uint8_t *p)
{
    enum { EXPOSED = 5 };
    if (s->jbod || mbox[0] != EXPOSED)
        return pd_list(s, mbox, p);
    store_le32(p, 8);
    return 8 + 24 * MFI_TARGETS;
}

static size_t pd_info(Megasas *s, const uint8_t *mbox, uint8_t *p)
{
    unsigned id = load_le16(mbox);
    const ScsiDevice *d = scsi_find(&s->bus, 0, id, 0);
    if (!d)
        return 0;
    store_le16(p, (uint16_t)id);
    p[4] = 0x7f;                               /* no INQUIRY data here: ask the disk */
    p[166] = (uint8_t)id;                      /* port */
    p[167] = 2;
    store_le16(p + 184, s->jbod ? 0x40 : 0x18);/* system disk, or online */
    p[187] = 2;                                /* 3 Gbit/s */
    store_le32(p + 188, s->jbod ? 0x2000 : 0x2002);
    p[192] = 1;
    store_le64(p + 200, unit_address(s, id));
    for (unsigned i = 0; i < 3; i++)
        store_le64(p + 232 + 8 * i, unit_blocks(d));
    store_le16(p + 256, 0xffff);
    p[259] = (uint8_t)id;
    return PD_BYTES;
}

static void put_ld_properties(const ScsiDevice *d, uint8_t *p)
{
    p[0] = (uint8_t)d->id;
    g_snprintf((char *)p + 4, 16, "%s", d->dev.id);
}

static size_t ld_properties(Megasas *s, const uint8_t *mbox, uint8_t *p)
{
    const ScsiDevice *d = scsi_find(&s->bus, 0, mbox[0], 0);
    if (!d || s->jbod)
        return 0;
    put_ld_properties(d, p);
    return 32;
}

static size_t ld_info(Megasas *s, const uint8_t *mbox, uint8_t *p)
{
    const ScsiDevice *d = scsi_find(&s->bus, 0, mbox[0], 0);
    if (!d || s->jbod)
        return 0;
    put_ld_properties(d, p);
    p[35] = 7;                                 /* strips of 2^7 sectors */
    p[36] = p[37] = 1;                         /* one drive, one span */
    p[38] = 3;                                 /* optimal */
    p[40] = 1;                                 /* consistent */
    store_le64(p + 72, unit_blocks(d));        /* the span's blocks */
    store_le64(p + 256, unit_blocks(d));
    return LD_BYTES;
}

static size_t config(Megasas *s, const uint8_t *mbox, uint8_t *p)
{
    store_le32(p, 32); /* no arrays, drives or spares are told of */
    store_le16(p + 6, 288);
    store_le16(p + 10, 256);
    store_le16(p + 14, 40);
    return 32;
}

/* --- the commands --- */

static const struct {
    uint32_t opcode;
    bool may_be_empty;
    size_t (*run)(Megasas *s, const uint8_t *mbox, uint8_t *reply);
} commands[] = {
    { CTRL_GET_INFO, false, controller_info },
    { CTRL_GET_PROPERTIES, false, properties },
    { CTRL_SET_PROPERTIES, true, nothing },
    { EVENT_GET_INFO, false, event_info },
    { EVENT_GET, true, nothing },
    { CTRL_SHUTDOWN, true, nothing },
    { CTRL_HIBERNATE, true, nothing },
    { CTRL_TIME_GET, false, time_now },
    { PD_GET_LIST, false, pd_list },
    { PD_LIST_QUERY, false, pd_query },
    { PD_GET_INFO, false, pd_info },
    { LD_GET_LIST, false, ld_list },
    { LD_LIST_QUERY, false, ld_query },
    { LD_GET_INFO, false, ld_info },
    { LD_GET_PROPERTIES, false, ld_properties },
    { CONFIG_READ, false, config },
};

static unsigned reply(const MfiFrame *f, const uint8_t *data, size_t len)
{
    DmaVec v;
    if (!len)
        return MFI_OK;
    dma_vec_init(&v, pci_dma_space(&f->s->pci), pci_attrs(&f->s->pci), true);
    bool ok = mfi_map(f, &v, LIST, len);
    size_t n = ok ? MIN(len, v.bytes) : 0;
    iov_from_buf(v.iov, (int)v.count, 0, data, n);
    dma_vec_finish(&v, n);
    return ok ? MFI_OK : MFI_INVALID_PARAMETER;
}

static unsigned send_event(MfiFrame *f, const ScsiDevice *d, bool added)
{
    Megasas *s = f->s;
    uint8_t e[MFI_EVENT_BYTES] = { 0 };
    store_le32(e, s->event_told = s->event_count);
    store_le32(e + 4, (uint32_t)(clock_ns(CLOCK_VIRTUAL_NS) / 1000000000));
    store_le32(e + 8, !d ? 0x152 /* look at all again */ : s->jbod ? (added ? EVENT_PD_INSERTED : EVENT_PD_REMOVED)
                                                                   : (added ? EVENT_LD_CREATED : EVENT_LD_DELETED));
    store_le16(e + 12, s->jbod ? 2 : 1);
    if (d)
        store_le16(e + 32, (uint16_t)d->id);
    g_snprintf((char *)e + 128, 128, "%s", d ? d->dev.id : "rescan");
    return reply(f, e, sizeof e);
}

/* One frame waits for the next event; for one that it has missed it does not wait. */
static unsigned event_wait(MfiFrame *f)
{
    Megasas *s = f->s;
    if (s->event_told != s->event_count)
        return send_event(f, NULL, true);
    if (s->event_frame)
        return MFI_INVALID_PARAMETER;
    s->event_frame = f->at;
    return MFI_PENDING;
}

void mfi_event(Megasas *s, const ScsiDevice *d, bool added)
{
    s->event_count++;
    MfiFrame *f = s->event_frame ? mfi_frame_at(s, s->event_frame) : NULL;
    s->event_frame = 0;
    if (f)
        mfi_finish(f, send_event(f, d, added));
}

static unsigned reset_ld(Megasas *s, unsigned target)
{
    if (!scsi_find(&s->bus, 0, target, 0))
        return MFI_NOT_FOUND;
    scsi_task_management(&s->bus, SCSI_LUN_RESET, 0, target, 0, 0, scsi_no_answer, NULL);
    return MFI_OK;
}

/*
 * CACHE_FLUSH has nothing to do: logical drives cache nothing, and other units' caches guests flush by SYNCHRONIZE
 * CACHE.
 */
unsigned mfi_dcmd(MfiFrame *f)
{
    uint32_t opcode = load_le32(f->b + F_BODY);
    const uint8_t *mbox = f->b + MBOX;
    if (opcode == EVENT_WAIT)
        return event_wait(f);
    if (opcode == CLUSTER_RESET_LD)
        return reset_ld(f->s, load_le16(mbox));
    if (opcode == CACHE_FLUSH)
        return MFI_OK;
    for (unsigned i = 0; i < ARRAY_LEN(commands); i++) {
        if (commands[i].opcode != opcode)
            continue;
        g_autofree uint8_t *data = g_malloc0(REPLY_MAX);
        size_t n = commands[i].run(f->s, mbox, data);
        return n || commands[i].may_be_empty ? reply(f, data, n) : MFI_NOT_FOUND;
    }
    return MFI_INVALID_DCMD;
}
