/* SPDX-License-Identifier: MIT */
/*
 * LSI SAS1068: its phys under control of the host (SAS I/O unit control), and SMP pass-through. There are no expanders:
 * the only one who speaks SMP is the controller itself, at the addresses of its ports (functions and frames:
 * SAS-1.1, 10.4.3). Units speak SSP, none of them SATA.
 */
#include "base/iov.h"
#include "hw/scsi/mptsas.h"

enum { SMP_REQUEST = 0x40, SMP_RESPONSE = 0x41, SMP_FRAME_MAX = 1020, SMP_RESPONSE_MAX = 64 };
enum { ACCEPTED = 0, UNKNOWN_FUNCTION = 1, BAD_LENGTH = 3, NO_PHY = 0x10, NOT_SATA = 0x12, UNKNOWN_OPERATION = 0x13 };
enum { PHY_NOTHING, PHY_LINK_RESET, PHY_HARD_RESET, PHY_CLEAR_LOG = 5, PHY_CLEAR_AFFILIATION };

/* --- functions: the answer behind its four bytes of header; what it comes to --- */

typedef struct Smp {
    Mptsas *s;
    const uint8_t *q;                     /* the request */
    uint8_t a[SMP_RESPONSE_MAX];
    unsigned phy;
    int reset;                            /* this port's device is to be reset first; -1: none */
} Smp;

static unsigned report_general(Smp *p)
{
    p->a[9] = MPT_PORTS;
    store_be(p->a + 12, 8, mpt_port_address(p->s, 0));
    return ACCEPTED;
}

static void text(uint8_t *at, unsigned len, const char *words)
{
    memset(at, ' ', len);
    memcpy(at, words, MIN(strlen(words), len));
}

static unsigned report_manufacturer(Smp *p)
{
    p->a[8] = 1;                          /* with a component */
    text(p->a + 12, 8, "LSI");
    text(p->a + 20, 16, "SAS3080X-R");
    text(p->a + 36, 4, "B0");
    text(p->a + 40, 8, "LSI");
    store_be(p->a + 48, 2, 0x0054);
    return ACCEPTED;
}

static unsigned discover(Smp *p)
{
    enum { END_DEVICE = 1, SSP = 8, RATE_1_5 = 8, RATE_3_0 = 9 };
    bool there = mpt_attached(p->s, p->phy);
    p->a[9] = (uint8_t)p->phy;
    p->a[12] = there ? END_DEVICE << 4 : 0;
    p->a[13] = there ? RATE_3_0 : 0;
    p->a[15] = there ? SSP : 0;
    store_be(p->a + 16, 8, mpt_port_address(p->s, p->phy));
    store_be(p->a + 24, 8, there ? mpt_port_address(p->s, p->phy + MPT_PORTS) : 0);
    p->a[40] = RATE_1_5 << 4 | RATE_1_5;
    p->a[41] = RATE_3_0 << 4 | RATE_3_0;
    return ACCEPTED;
}

static unsigned report_errors(Smp *p) /* there are none */
{
    p->a[9] = (uint8_t)p->phy;
    return ACCEPTED;
}

static unsigned report_sata(Smp *p) { return NOT_SATA; }

static unsigned phy_control(Smp *p)
{
    switch (p->q[10]) {
    case PHY_HARD_RESET: p->reset = (int)p->phy; return ACCEPTED;
    case PHY_NOTHING: case PHY_LINK_RESET: case PHY_CLEAR_LOG: return ACCEPTED;
    case PHY_CLEAR_AFFILIATION: return NOT_SATA;
    default: return UNKNOWN_OPERATION;
    }
}

/* Lengths without the CRC. */
static const struct Function {
    uint8_t code;
    bool phy;
    uint8_t request, response;
    unsigned (*run)(Smp *p);
} functions[] = {
    { 0x00, false, 4, 28, report_general }, { 0x01, false, 4, 60, report_manufacturer },
    { 0x10, true, 12, 52, discover },       { 0x11, true, 12, 28, report_errors },
    { 0x12, true, 12, 56, report_sata },    { 0x91, true, 40, 4, phy_control },
};

/* Carries out a request of n bytes; returns how many the answer has. */
static unsigned run_smp(Smp *p, unsigned n)
{
    const struct Function *f = functions, *end = functions + ARRAY_LEN(functions);
    unsigned result = UNKNOWN_FUNCTION, len = 4;
    while (f < end && f->code != p->q[1])
        f++;
    if (f < end) {
        p->phy = n > 9 ? p->q[9] : 0;
        result = n < f->request ? BAD_LENGTH : f->phy && p->phy >= MPT_PORTS ? NO_PHY : f->run(p);
        len = result == ACCEPTED ? f->response : 4;
    }
    p->a[0] = SMP_RESPONSE;
    p->a[1] = p->q[1];
    p->a[2] = (uint8_t)result;
    return len;
}

/* --- a device is reset before the answer goes --- */

typedef struct Waiting { MptMessage m; uint8_t answer[MPT_REPLY_MAX]; unsigned len, status; } Waiting;

static void reset_done(ScsiBus *b, void *opaque, ScsiTmfResult result)
{
    g_autofree Waiting *w = opaque;
    mpt_answer(&w->m, w->answer, w->len, w->status);
}

static void answer_after_reset(const MptMessage *m, int port, const uint8_t *answer, unsigned len, unsigned status)
{
    Waiting *w = g_new0(Waiting, 1);
    *w = (Waiting){ .m = *m, .len = len, .status = status };
    memcpy(w->answer, answer, len);
    if (port < 0 || !mpt_attached(m->s, (unsigned)port))
        reset_done(&m->s->bus, w, SCSI_TMF_COMPLETE);
    else
        scsi_task_management(&m->s->bus, SCSI_TARGET_RESET, 0, (unsigned)port, 0, 0, reset_done, w);
}

/* --- SMP_PASSTHROUGH --- */

/* `len` bytes of the list at that offset, from or to it. False: no such list. */
static bool copy(const MptMessage *m, unsigned offset, uint8_t *bytes, size_t *len, bool to_memory)
{
    DmaVec v;
    dma_vec_init(&v, pci_dma_space(&m->s->pci), pci_attrs(&m->s->pci), to_memory);
    bool ok = mpt_map(m, &v, offset, *len);
    size_t n = ok ? MIN(*len, v.bytes) : 0;
    if (to_memory)
        iov_from_buf(v.iov, (int)v.count, 0, bytes, n);
    else
        iov_to_buf(v.iov, (int)v.count, 0, bytes, n);
    dma_vec_finish(&v, to_memory ? n : 0);
    *len = n;
    return ok;
}

static bool own_address(const Mptsas *s, uint64_t address)
{
    return address >= mpt_port_address(s, 0) && address < mpt_port_address(s, MPT_PORTS);
}

static bool unit_address(const Mptsas *s, uint64_t address)
{
    return address >= mpt_port_address(s, MPT_PORTS) && address < mpt_port_address(s, 2 * MPT_PORTS) &&
           mpt_attached(s, (unsigned)(address - mpt_port_address(s, MPT_PORTS)));
}

void mpt_smp(const MptMessage *m)
{
    enum { LIST = 0x20, IMMEDIATE = 0x80, SAS_BAD_DESTINATION = 3, SAS_PROTOCOL = 7 };
    uint64_t address = load_le64(m->b + 0x10);
    uint8_t q[SMP_FRAME_MAX] = { 0 }, a[28] = { m->b[0], m->b[1] };
    size_t n = load_le16(m->b + 4);
    Smp p = { .s = m->s, .q = q, .reset = -1 };
    if (!own_address(m->s, address)) {
        a[13] = unit_address(m->s, address) ? SAS_PROTOCOL : SAS_BAD_DESTINATION;
        mpt_answer(m, a, sizeof a, MPI_SMP_FAILED);
        return;
    }
    if (m->b[0] & IMMEDIATE || n < 4 || n > sizeof q) {
        mpt_answer(m, a, sizeof a, MPI_INVALID_FIELD);
        return;
    }
    if (!copy(m, LIST, q, &n, false) || n < 4) {
        mpt_answer(m, a, sizeof a, MPI_INVALID_SGL);
        return;
    }
    size_t want = q[0] == SMP_REQUEST ? run_smp(&p, (unsigned)n) : 0, got = want;
    bool ok = copy(m, LIST + mpt_element_bytes(m, LIST), p.a, &got, true);
    store_le16(a + 4, (uint16_t)got);
    memcpy(a + 24, p.a, 4);
    answer_after_reset(m, p.reset, a, sizeof a,
                       !ok          ? MPI_INVALID_SGL
                       : !want      ? MPI_SMP_FAILED
                       : got < want ? MPI_SMP_OVERRUN
                                    : MPI_OK);
}

/* --- SAS_IO_UNIT_CONTROL --- */

void mpt_sas_control(const MptMessage *m)
{
    enum {
        CLEAR_ABSENT = 1,
        CLEAR_ALL = 2,
        LINK_RESET = 6,
        HARD_RESET = 7,
        CLEAR_LOG = 8,
        MAP_CURRENT = 9,
        PRIMITIVE = 10,
        DISCOVERY = 11,
        PARAMETER = 14
    };
    uint8_t a[20] = { 0 };
    unsigned status = MPI_OK, phy = m->b[0x0e];
    memcpy(a, m->b, 7);
    switch (m->b[0]) {
    case CLEAR_ABSENT:
    case CLEAR_ALL:
    case MAP_CURRENT:
    case DISCOVERY:
    case PARAMETER: break; /* places here do not change */
    case LINK_RESET:
    case HARD_RESET:
    case CLEAR_LOG:
    case PRIMITIVE: status = phy < MPT_PORTS ? MPI_OK : MPI_INVALID_FIELD; break;
    default: status = MPI_INVALID_FIELD;
    }
    answer_after_reset(m, m->b[0] == HARD_RESET && status == MPI_OK ? (int)phy : -1, a, sizeof a, status);
}

/* --- SATA_PASSTHROUGH: to nobody --- */

void mpt_sata(const MptMessage *m)
{
    uint8_t a[48] = { 0 };
    memcpy(a, m->b, 7);
    mpt_answer(m, a, sizeof a,
               m->b[1]                       ? MPI_INVALID_BUS
               : mpt_attached(m->s, m->b[0]) ? MPI_INVALID_FIELD
                                             : MPI_NO_DEVICE);
}
