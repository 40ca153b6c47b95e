/* SPDX-License-Identifier: MIT */
/* The commands of an ATAPI CD drive: the PACKET command (ATA8-ACS, 7.23) and those beside it. */
#include <string.h>
#include "base/bits.h"
#include "hw/ide/ata.h"

static void set_word(uint8_t *d, unsigned word, unsigned value) { store_le16(d + word * 2, (uint16_t)value); }

/* IDENTIFY PACKET DEVICE (ATA8-ACS, 7.17) */
void ata_identify_cd(const AtaDrive *a, uint8_t d[ATA_SECTOR])
{
    unsigned mode = a->dma_mode;

    memset(d, 0, ATA_SECTOR);
    set_word(d, 0, 0x85c0); /* ATAPI, CD-ROM, removable, DRQ within 50 us, packets of 12 bytes */
    ata_identify_text(d, 10, 10, a->serial);
    ata_identify_text(d, 23, 4, a->version);
    ata_identify_text(d, 27, 20, a->model);
    set_word(d, 48, 1);
    set_word(d, 49, 0x0f00);
    set_word(d, 53, 7);
    set_word(d, 62, 7);
    set_word(d, 63, 7 | (mode >> 3 == 4 ? 1u << (8 + (mode & 7)) : 0));
    set_word(d, 64, 3);
    for (unsigned w = 65; w <= 68; w++)
        set_word(d, w, 120);
    set_word(d, 71, 30);
    set_word(d, 72, 30);
    if (a->bus->ops->sata)
        set_word(d, 76, 0x0006);
    set_word(d, 80, 0x01e0);
    set_word(d, 82, 0x0210); /* PACKET, DEVICE RESET */
    set_word(d, 83, 0x4000);
    set_word(d, 84, 0x4000 | (a->wwn ? 1 << 8 : 0));
    set_word(d, 85, 0x0210);
    set_word(d, 87, 0x4000 | (a->wwn ? 1 << 8 : 0));
    set_word(d, 88, 0x3f | (mode >> 3 == 8 ? 1u << (8 + (mode & 7)) : 0));
    if (!a->bus->ops->sata)
        set_word(d, 93, a->unit ? 0x6001 | 0x0600 : 0x6001);
    for (unsigned i = 0; a->wwn && i < 4; i++)
        set_word(d, 108 + i, (unsigned)(a->wwn >> (48 - 16 * i) & 0xffff));
}

static void cmd_identify(AtaDrive *a, AtaCommand *c)
{
    ata_identify_cd(a, a->data);
    a->data_len = ATA_SECTOR;
    ata_start(c, FLOW_IN, false, ATA_SECTOR);
}

/* Commands of disks: the signature tells what this is (ATA8-ACS, 6.5). */
static void cmd_no_disk(AtaDrive *a, AtaCommand *c)
{
    ata_set_signature(a);
    ata_finish(c, ATA_ABRT);
}

/* --- packets --- */

static void end_packet(AtaDrive *a, uint8_t status)
{
    uint8_t key = (uint8_t)(a->mmc.sense >> 16);

    a->r.count[0] = ATA_COD | ATA_IO;
    ata_finish(&a->cmd, status == MMC_GOOD ? 0 : (uint8_t)(key << 4 | ATA_ABRT));
}

static void act(AtaDrive *a, const MmcResult *r)
{
    AtaCommand *c = &a->cmd;

    switch (r->phase) {
    case MMC_DONE: end_packet(a, r->status); break;
    case MMC_DATA_IN:
        a->data_len = r->length;
        ata_start(c, FLOW_IN, c->dma, r->length);
        break;
    case MMC_DATA_OUT: ata_start(c, FLOW_OUT, c->dma, r->length); break;
    case MMC_READ:
        a->cd_raw = !r->plain;
        a->cd_fields = r->fields;
        a->cd_lba = r->lba;
        a->cd_sector_bytes = r->sector_bytes;
        c->offset = (uint64_t)r->lba * MMC_SECTOR;
        ata_start(c, FLOW_READ, c->dma, (uint64_t)r->blocks * r->sector_bytes);
        break;
    }
}

void ata_cd_cdb(AtaDrive *a)
{
    MmcResult r;

    a->r.status = ATA_BSY | ATA_DSC;
    mmc_execute(&a->mmc, a->cdb, a->data, &r);
    act(a, &r);
}

bool ata_cd_over(AtaCommand *c)
{
    AtaDrive *a = c->a;
    MmcResult r = { .phase = MMC_DONE };

    if (c->result)
        mmc_read_failed(&a->mmc, &r, c->result);
    else if (c->flow == FLOW_OUT)
        mmc_data_out(&a->mmc, a->cdb, a->data, (uint32_t)c->bytes, &r);
    end_packet(a, r.status);
    return false;
}

/* An odd limit gives even blocks but for the last; 0 and FFFFh are FFFEh. */
uint32_t ata_cd_block(AtaDrive *a, uint32_t len)
{
    uint32_t limit = a->cd_limit == 0 || a->cd_limit == 0xffff ? 0xfffe : a->cd_limit, n = len;

    if (len > limit)
        n = MAX(limit & ~1u, 2);
    a->r.mid[0] = (uint8_t)n;
    a->r.high[0] = (uint8_t)(n >> 8);
    a->r.count[0] = a->cmd.flow == FLOW_OUT ? 0 : ATA_IO;
    return n;
}

static void cmd_packet(AtaDrive *a, AtaCommand *c)
{
    c->dma = a->r.feature[0] & 1;
    a->cd_limit = (uint16_t)(a->r.mid[0] | a->r.high[0] << 8);
    if (a->r.feature[0] & 2) { /* overlapped */
        ata_finish(c, ATA_ABRT);
        return;
    }
    a->r.count[0] = ATA_COD;
    if (a->bus->ops->sata) {
        memset(a->cdb, 0, sizeof a->cdb);
        if (a->bus->ops->packet(a, a->cdb))
            ata_cd_cdb(a);
        else
            ata_finish(c, ATA_ABRT);
        return;
    }
    c->flow = FLOW_CDB;
    a->buf_at = 0;
    a->buf_end = 12;
    a->r.status = ATA_DRDY | ATA_DSC | ATA_DRQ;
    a->bus->ops->data_ready(a, false);
}

const AtaRow ata_cd_rows[] = {
    { 0x20, 0, cmd_no_disk },
    { 0xec, 0, cmd_no_disk },
    { 0x90, 0, ata_cmd_diagnostic },
    { ATA_CMD_PACKET, 0, cmd_packet },
    { 0xa1, 0, cmd_identify },
    { 0xe0, 0, ata_cmd_ok },
    { 0xe1, 0, ata_cmd_ok },
    { 0xe2, 0, ata_cmd_ok },
    { 0xe3, 0, ata_cmd_ok },
    { 0xe5, 0, ata_cmd_check_power },
    { 0xe6, 0, ata_cmd_ok },
    { 0xef, 0, ata_cmd_set_features },
    { 0 },
};
