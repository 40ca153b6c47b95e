/* SPDX-License-Identifier: MIT */
/*
 * Persistent reservations of a SCSI disk (SPC-4, 5.12, 6.15, 6.16), kept in memory. A disk here has one I_T nexus, so
 * that nobody else can hold one.
 */
#include "hw/scsi/scsi-disk.h"

enum { IN_KEYS, IN_RESERVATION, IN_CAPABILITIES, IN_FULL_STATUS };
enum { OUT_REGISTER, OUT_RESERVE, OUT_RELEASE, OUT_CLEAR, OUT_PREEMPT, OUT_PREEMPT_ABORT, OUT_REGISTER_IGNORE };
enum { PARAMETERS = 24, TYPES_KNOWN = 1 << 1 | 1 << 3 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 };

void disk_reserve_in(ScsiRequest *r, ScsiDisk *d)
{
    uint8_t data[40] = { 0 };
    size_t len = 8;
    store_be(data, 4, d->pr_generation);
    switch (r->cdb[1] & 31) {
    case IN_KEYS:
        if (d->registered) {
            store_be(data + 8, 8, d->key);
            len = 16;
        }
        break;
    case IN_RESERVATION:
        if (d->reservation) {
            store_be(data + 8, 8, d->reservation < 7 ? d->key : 0);
            data[21] = d->reservation;
            len = 24;
        }
        break;
    case IN_CAPABILITIES:
        memset(data, 0, 8);
        data[1] = 8;
        data[3] = 0x80;              /* TMV */
        data[4] = 0xea;              /* types 1, 3, 5, 6, 7 */
        data[5] = 1;                 /* type 8 */
        scsi_reply(r, data, 8);
        return;
    case IN_FULL_STATUS:
        if (d->registered) {
            store_be(data + 8, 8, d->key);
            data[8 + 12] = d->reservation ? 1 : 0;
            data[8 + 13] = d->reservation;
            store_be(data + 8 + 18, 2, 1);
            len = 32;
        }
        break;
    default:
        scsi_fail(r, SENSE_INVALID_FIELD);
        return;
    }
    store_be(data + 4, 4, len - 8);
    scsi_reply(r, data, len);
}

static void forget(ScsiDisk *d)
{
    d->registered = false;
    d->key = 0;
    d->reservation = 0;
}

/* The action, for a nexus whose key is right. Returns sense. */
static uint32_t act(ScsiDisk *d, unsigned action, unsigned type, uint64_t service_key)
{
    switch (action) {
    case OUT_REGISTER: case OUT_REGISTER_IGNORE:
        d->pr_generation++;
        if (!service_key) {
            forget(d);
        } else {
            d->registered = true;
            d->key = service_key;
        }
        return SENSE_NONE;
    case OUT_RESERVE:
        d->reservation = (uint8_t)type;
        return SENSE_NONE;
    case OUT_RELEASE:
        if (d->reservation && d->reservation != type)
            return SENSE_INVALID_RELEASE;
        d->reservation = 0;
        return SENSE_NONE;
    case OUT_CLEAR:
        d->pr_generation++;
        forget(d);
        return SENSE_NONE;
    case OUT_PREEMPT: case OUT_PREEMPT_ABORT:
        d->pr_generation++;
        if (service_key == d->key)
            d->reservation = (uint8_t)type;
        return SENSE_NONE;
    default: return SENSE_INVALID_FIELD;
    }
}

void disk_reserve_out(ScsiRequest *r, ScsiDisk *d)
{
    uint8_t p[PARAMETERS];
    unsigned action = r->cdb[1] & 31, type = r->cdb[2] & 15;
    bool typed = action == OUT_RESERVE || action == OUT_RELEASE || action == OUT_PREEMPT || action == OUT_PREEMPT_ABORT;
    if (action > OUT_REGISTER_IGNORE || (typed && (r->cdb[2] >> 4 || !(TYPES_KNOWN >> type & 1)))) {
        scsi_fail(r, SENSE_INVALID_FIELD);
        return;
    }
    if (r->xfer != PARAMETERS) {
        scsi_fail(r, SENSE_PARAMETER_LENGTH);
        return;
    }
    scsi_take(r, 0, p, sizeof p);
    uint64_t key = load_be(p, 8), service_key = load_be(p + 8, 8);
    if (p[20] & 0xd) { /* SPEC_I_PT, ALL_TG_PT, APTPL: not offered */
        scsi_fail(r, SENSE_INVALID_PARAMETER);
        return;
    }
    bool may = action == OUT_REGISTER_IGNORE ||
               (action == OUT_REGISTER && !d->registered ? !key : d->registered && key == d->key);
    if (!may || (action == OUT_RESERVE && d->reservation && d->reservation != type) ||
        ((action == OUT_PREEMPT || action == OUT_PREEMPT_ABORT) && service_key && service_key != d->key)) {
        scsi_done(r, SCSI_RESERVATION_CONFLICT);
        return;
    }
    uint32_t sense = act(d, action, type, service_key);
    r->done_bytes = PARAMETERS;
    if (sense)
        scsi_fail(r, sense);
    else
        scsi_done(r, SCSI_GOOD);
}
