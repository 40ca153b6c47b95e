/* SPDX-License-Identifier: MIT */
/* Register banks: dispatch, reset, save and print from one table. */
#include "hw/core/regs.h"

#include <inttypes.h>
#include "base/bits.h"
#include "base/log.h"
#include "base/trace.h"
#include "hw/core/device.h"

static unsigned reg_count(const Reg *r) { return r->count ? r->count : 1; }
static unsigned reg_stride(const Reg *r) { return r->stride ? r->stride : r->size; }

static void *reg_storage(Device *d, const Reg *r, unsigned i)
{
    return r->field == REG_NO_FIELD ? NULL : (char *)d + r->field + (size_t)i * r->size;
}

static uint64_t reg_get(Device *d, const Reg *r, unsigned i)
{
    const void *p = reg_storage(d, r, i);
    if (!p)
        return 0;
    switch (r->size) {
    case 1: return *(const uint8_t *)p;
    case 2: return *(const uint16_t *)p;
    case 4: return *(const uint32_t *)p;
    default: return *(const uint64_t *)p;
    }
}

static void reg_put(Device *d, const Reg *r, unsigned i, uint64_t v)
{
    void *p = reg_storage(d, r, i);
    if (!p)
        return;
    switch (r->size) {
    case 1: *(uint8_t *)p = (uint8_t)v; break;
    case 2: *(uint16_t *)p = (uint16_t)v; break;
    case 4: *(uint32_t *)p = (uint32_t)v; break;
    default: *(uint64_t *)p = v; break;
    }
}

/* The register that holds byte `at`, its index and the byte within it; NULL: none. Rows may interleave by stride. */
static const Reg *reg_find(const RegBank *bank, hwaddr at, unsigned *index, unsigned *byte)
{
    for (const Reg *r = bank->regs; r->name && r->at <= at; r++) {
        uint64_t off = at - r->at, i = off / reg_stride(r);
        if (i < reg_count(r) && off % reg_stride(r) < r->size) {
            *index = (unsigned)i;
            *byte = (unsigned)(off % reg_stride(r));
            return r;
        }
    }
    return NULL;
}

static uint64_t reg_read(Device *d, const RegBank *bank, const Reg *r, unsigned i)
{
    if (r->access & REG_WO) {
        log_guest_error(d->id, "read of the write-only register %s[%u]", r->name, i);
        return bank->unmapped_ones ? bits_mask(8 * r->size) : 0;
    }
    uint64_t v = reg_get(d, r, i);
    if (r->read)
        v = r->read(d, r, i, v);
    v &= ~r->rsvd & bits_mask(8 * r->size);
    TRACE(reg_read, "%s %s.%s[%u] -> 0x%" PRIx64, d->id, bank->name, r->name, i, v);
    return v;
}

/* `mask`: the bits that this access carries */
static void reg_write(Device *d, const RegBank *bank, const Reg *r, unsigned i, uint64_t mask, uint64_t bits)
{
    TRACE(reg_write, "%s %s.%s[%u] <- 0x%" PRIx64, d->id, bank->name, r->name, i, bits & mask);
    if (r->access & REG_RO) {
        log_guest_error(d->id, "write to the read-only register %s[%u]", r->name, i);
        return;
    }
    if (bits & mask & r->rsvd)
        log_guest_error(d->id, "reserved bits 0x%" PRIx64 " set in register %s[%u]", bits & mask & r->rsvd, r->name, i);
    uint64_t old = reg_get(d, r, i), keep = ~mask | r->ro;
    uint64_t value = (bits & mask) | (old & ~mask & ~r->w1c);
    uint64_t stored = ((old & keep) | (bits & ~keep)) & ~r->w1c;
    stored |= old & r->w1c & ~(bits & mask & ~r->ro);
    reg_put(d, r, i, stored & ~r->rsvd);
    if (r->wrote)
        r->wrote(d, r, i, old, value & bits_mask(8 * r->size));
}

MemResult regs_read(Device *d, const RegBank *bank, hwaddr at, unsigned size, uint64_t *value)
{
    uint64_t v = 0;
    bool missed = false;
    for (unsigned done = 0; done < size;) {
        unsigned i, byte;
        const Reg *r = reg_find(bank, at + done, &i, &byte);
        if (!r) {
            if (bank->unmapped_ones)
                v |= UINT64_C(0xff) << (8 * done);
            missed = true;
            done++;
            continue;
        }
        unsigned n = MIN(r->size - byte, size - done);
        v |= ((reg_read(d, bank, r, i) >> (8 * byte)) & bits_mask(8 * n)) << (8 * done);
        done += n;
        if (bank->fill_from_low && !byte && done == n)
            break;
    }
    if (missed)
        log_unimp(d->id, "read of %u bytes at %s+0x%" PRIx64 ": no register there", size, bank->name, at);
    *value = v;
    return MEM_OK;
}

MemResult regs_write(Device *d, const RegBank *bank, hwaddr at, unsigned size, uint64_t value)
{
    bool missed = false;
    for (unsigned done = 0; done < size;) {
        unsigned i, byte;
        const Reg *r = reg_find(bank, at + done, &i, &byte);
        if (!r) {
            missed = true;
            done++;
            continue;
        }
        unsigned n = MIN(r->size - byte, size - done);
        reg_write(d, bank, r, i, bits_mask(8 * n) << (8 * byte), (value >> (8 * done)) << (8 * byte));
        done += n;
        if (bank->fill_from_low && !byte && done == n)
            break;
    }
    if (missed)
        log_unimp(d->id, "write of %u bytes at %s+0x%" PRIx64 ": no register there", size, bank->name, at);
    return MEM_OK;
}

void regs_reset(Device *d, const RegBank *bank)
{
    for (const Reg *r = bank->regs; r->name; r++) {
        for (unsigned i = 0; i < reg_count(r); i++)
            reg_put(d, r, i, r->reset);
    }
}

/* The region's opaque: freed with it. */
typedef struct BankRegion {
    Device *device;
    const RegBank *bank;
    MemOps ops;
} BankRegion;

static MemResult bank_read(void *opaque, hwaddr offset, unsigned size, uint64_t *value, MemAttrs attrs)
{
    BankRegion *b = opaque;
    return regs_read(b->device, b->bank, offset, size, value);
}

static MemResult bank_write(void *opaque, hwaddr offset, unsigned size, uint64_t value, MemAttrs attrs)
{
    BankRegion *b = opaque;
    return regs_write(b->device, b->bank, offset, size, value);
}

MemRegion *regs_region_new(Device *d, const RegBank *bank)
{
    BankRegion *b = g_new0(BankRegion, 1);
    *b = (BankRegion){ .device = d, .bank = bank,
                       .ops = { .read = bank_read, .write = bank_write, .min_size = bank->min_size,
                                .max_size = bank->max_size } };
    g_autofree char *name = g_strdup_printf("%s.%s", d->id, bank->name);
    MemRegion *r = mem_io_new(name, bank->size, &b->ops, b, d->domain);
    mem_set_opaque_free(r, g_free);
    return r;
}

/* The stored registers as a table of state fields; two rows that share storage are saved once. */
static StateField *bank_fields(const RegBank *bank)
{
    static const StateKind kind_of_size[] = { [1] = STATE_U8, [2] = STATE_U16, [4] = STATE_U32, [8] = STATE_U64 };
    GArray *fields = g_array_new(true, true, sizeof(StateField));
    for (const Reg *r = bank->regs; r->name; r++) {
        bool known = r->field == REG_NO_FIELD;
        for (unsigned i = 0; !known && i < fields->len; i++)
            known = g_array_index(fields, StateField, i).offset == r->field;
        StateField f = { .name = r->name, .kind = kind_of_size[r->size], .offset = r->field, .count = reg_count(r),
                         .stride = r->size };
        if (!known)
            g_array_append_val(fields, f);
    }
    return (StateField *)g_array_free(fields, false);
}

void regs_save(Device *d, const RegBank *bank, StateWriter *w, const char *section)
{
    g_autofree StateField *fields = bank_fields(bank);
    state_save_section(w, section, fields, d);
}

bool regs_load(Device *d, const RegBank *bank, StateReader *r, const char *section, Error **errp)
{
    g_autofree StateField *fields = bank_fields(bank);
    return state_load_section(r, section, fields, d, errp);
}

void regs_print(Device *d, const RegBank *bank, GString *out)
{
    for (const Reg *r = bank->regs; r->name; r++) {
        for (unsigned i = 0; r->field != REG_NO_FIELD && i < reg_count(r); i++) {
            g_autofree char *name = reg_count(r) > 1 ? g_strdup_printf("%s[%u]", r->name, i) : g_strdup(r->name);
            g_string_append_printf(out, "  %04x %-16s 0x%0*" PRIx64 "\n", r->at + i * reg_stride(r), name, 2 * r->size,
                                   reg_get(d, r, i));
        }
    }
}
