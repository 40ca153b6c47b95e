/* SPDX-License-Identifier: MIT */
/* SMBus host controller (Intel ICH9 datasheet, 316972, section 19.2; PIIX4 datasheet section 7.5) and SPD EEPROMs. */
#include "base/bits.h"
#include "base/log.h"
#include "hw/i386/smbus.h"

enum { /* register offsets */
    HST_STS = 0, HST_CNT = 2, HST_CMD = 3, XMIT_SLVA = 4, HST_D0 = 5, HST_D1 = 6, BLOCK_DB = 7,
        PEC = 8, AUX_STS = 0xc, AUX_CTL = 0xd,
};
enum { /* HST_STS */
    STS_BUSY = 0x01, STS_INTR = 0x02, STS_DEV_ERR = 0x04, STS_INUSE = 0x40, STS_BYTE_DONE = 0x80,
        STS_W1C = 0xfe,
};
enum { CNT_INTREN = 0x01, CNT_KILL = 0x02, CNT_START = 0x40, CNT_WMASK = 0xbf };
enum { AUX_CTL_E32B = 0x02 };
enum { /* HST_CNT[4:2] */
       PROTO_QUICK,
       PROTO_BYTE,
       PROTO_BYTE_DATA,
       PROTO_WORD_DATA,
       PROTO_PROCESS_CALL,
       PROTO_BLOCK,
       PROTO_I2C_READ,
       PROTO_BLOCK_PROCESS,
};

static uint8_t *eeprom_of(SmbusHost *s, unsigned *index)
{
    unsigned i = (s->address >> 1) - (unsigned)SMBUS_EEPROM_ADDR;

    if (i >= s->eeprom_count)
        return NULL;
    *index = i;
    return s->eeprom[i];
}

static uint8_t eeprom_next(SmbusHost *s, unsigned i)
{
    return s->eeprom[i][s->eeprom_at[i]++];
}

/* Modules are write-protected: a data write only moves the address counter. */
static bool transfer(SmbusHost *s, unsigned protocol)
{
    unsigned i;
    bool read = s->address & 1;

    if (!eeprom_of(s, &i))
        return false;
    switch (protocol) {
    case PROTO_QUICK:
        return true;
    case PROTO_BYTE:
        if (read)
            s->data0 = eeprom_next(s, i);
        else
            s->eeprom_at[i] = s->command;
        return true;
    case PROTO_BYTE_DATA:
    case PROTO_WORD_DATA:
    case PROTO_PROCESS_CALL:
        s->eeprom_at[i] = s->command;
        if (read || protocol == PROTO_PROCESS_CALL) {
            s->data0 = eeprom_next(s, i);
            s->data1 = protocol == PROTO_BYTE_DATA ? s->data1 : eeprom_next(s, i);
        }
        return true;
    case PROTO_BLOCK:
    case PROTO_I2C_READ:
        s->eeprom_at[i] = protocol == PROTO_I2C_READ ? s->data1 : s->command;
        s->block_index = 0;
        if (!read && protocol == PROTO_BLOCK)
            return s->data0 >= 1 && s->data0 <= SMBUS_BLOCK_MAX;
        s->data0 = SMBUS_BLOCK_MAX;
        for (unsigned n = 0; n < SMBUS_BLOCK_MAX; n++)
            s->block[n] = eeprom_next(s, i);
        return true;
    default:
        return false;
    }
}

static void update_irq(SmbusHost *s)
{
    s->set_irq(s->owner, (s->control & CNT_INTREN) && (s->status & (STS_INTR | STS_DEV_ERR)));
}

static void start(SmbusHost *s)
{
    bool ok = transfer(s, s->control >> 2 & 7);

    s->status |= ok ? STS_INTR : STS_DEV_ERR;
    if (ok && !(s->aux_control & AUX_CTL_E32B) && (s->control >> 2 & 7) >= PROTO_BLOCK)
        s->status |= STS_BYTE_DONE;
    update_irq(s);
}

static MemResult host_read(void *opaque, hwaddr offset, unsigned size, uint64_t *value,
                           MemAttrs attrs)
{
    SmbusHost *s = opaque;

    switch (offset) {
    case HST_STS:
        *value = s->status;
        s->status |= STS_INUSE; /* a semaphore: reading takes it (section 19.2.1) */
        break;
    case HST_CNT:
        s->block_index = 0;
        *value = s->control;
        break;
    case HST_CMD: *value = s->command; break;
    case XMIT_SLVA: *value = s->address; break;
    case HST_D0: *value = s->data0; break;
    case HST_D1: *value = s->data1; break;
    case BLOCK_DB:
        *value = s->block[s->block_index];
        s->block_index = (s->block_index + 1) % SMBUS_BLOCK_MAX;
        break;
    case AUX_CTL: *value = s->aux_control; break;
    default: *value = 0; break;
    }
    return MEM_OK;
}

static MemResult host_write(void *opaque, hwaddr offset, unsigned size, uint64_t value,
                            MemAttrs attrs)
{
    SmbusHost *s = opaque;
    uint8_t v = (uint8_t)value;

    switch (offset) {
    case HST_STS:
        s->status &= (uint8_t)~(v & STS_W1C);
        update_irq(s);
        break;
    case HST_CNT:
        s->control = v & CNT_WMASK;
        if (v & CNT_KILL)
            s->status &= (uint8_t)~STS_BUSY;
        else if (v & CNT_START)
            start(s);
        break;
    case HST_CMD: s->command = v; break;
    case XMIT_SLVA: s->address = v; break;
    case HST_D0: s->data0 = v; break;
    case HST_D1: s->data1 = v; break;
    case BLOCK_DB:
        s->block[s->block_index] = v;
        s->block_index = (s->block_index + 1) % SMBUS_BLOCK_MAX;
        break;
    case AUX_CTL: s->aux_control = v & 3; break;
    default: break;
    }
    return MEM_OK;
}

const MemOps smbus_host_ops = { .read = host_read, .write = host_write, .min_size = 1,
                                .max_size = 1 };

const StateField smbus_host_state[] = {
    STATE_U8(SmbusHost, status),
    STATE_U8(SmbusHost, control),
    STATE_U8(SmbusHost, command),
    STATE_U8(SmbusHost, address),
    STATE_U8(SmbusHost, data0),
    STATE_U8(SmbusHost, data1),
    STATE_U8(SmbusHost, aux_control),
    STATE_U8(SmbusHost, block_index),
    STATE_BYTES(SmbusHost, block),
    STATE_BYTES(SmbusHost, eeprom_at),
    STATE_END_OF_TABLE,
};

void smbus_host_reset(SmbusHost *s)
{
    s->status = s->control = s->command = s->address = s->data0 = s->data1 = s->aux_control =
        s->block_index = 0;
    memset(s->block, 0, sizeof(s->block));
    memset(s->eeprom_at, 0, sizeof(s->eeprom_at));
}

bool smbus_host_loaded(SmbusHost *s, Error **errp)
{
    if (s->block_index < SMBUS_BLOCK_MAX)
        return true;
    error_setf(errp, "device '%s': saved SMBus block index %u is out of range", s->owner->id,
               s->block_index);
    s->block_index = 0;
    return false;
}

/*
 * JEDEC Standard 21-C appendix X: the bytes that firmware and decode tools read of a DDR2 DIMM with one or two ranks.
 */
static void fill_spd(uint8_t spd[SMBUS_EEPROM_SIZE], uint64_t bytes)
{
    static const char part[] = "RHEA RAM";
    unsigned log2 = 63u - (unsigned)__builtin_clzll(bytes / MiB);
    unsigned density = log2 < 10 ? 1u << (MAX(log2, 7u) - 2) : 1u << (log2 - 10);
    uint8_t sum = 0;

    spd[0] = 128; spd[1] = 8; spd[2] = 8; /* bytes used, EEPROM size 2^8, DDR2 SDRAM */
    spd[3] = 14; spd[4] = 10; spd[5] = 0x60; spd[6] = 64; spd[8] = 5;
    spd[9] = 0x25;
    spd[10] = 0x40;
    spd[12] = 0x82;
    spd[13] = 8;
    spd[16] = 0x0c;
    spd[17] = 8;
    spd[18] = 0x38;
    spd[20] = 2; spd[27] = 0x3c; spd[28] = 0x1e; spd[29] = 0x3c; spd[30] = 0x2d;
    spd[31] = (uint8_t)density;
    spd[62] = 0x13;
    for (unsigned i = 0; i < 63; i++)
        sum += spd[i];
    spd[63] = sum;
    memcpy(spd + 73, part, sizeof(part) - 1);
}

void smbus_add_spd(SmbusHost *s, uint64_t ram_size)
{
    for (uint64_t left = ram_size; left >= 64 * MiB && s->eeprom_count < SMBUS_EEPROMS;) {
        uint64_t module = MIN(BIT(63 - __builtin_clzll(left)), 16 * GiB);
        fill_spd(s->eeprom[s->eeprom_count++], module);
        left -= module;
    }
}
