/* SPDX-License-Identifier: MIT */
/*
 * Memory protection controller of the SSE subsystems (CoreLink SIE-200, DDI 0571, chapter 4): each block of a memory is
 * Secure or Non-secure and open to transactions of that state only. The map has a view of its own for Non-secure
 * transactions (ArmBoardCpus.m_ns_window), so what is refused is a window in front of the memory in one of the views;
 * what is allowed stays plain RAM.
 */
#include <string.h>
#include "base/log.h"
#include "hw/misc/iotkit.h"

enum { CTRL_SEC_RESP = 1 << 4, CTRL_AUTO_INCREMENT = 1 << 8, INFO_NONSEC = 1 << 16, INFO_CFG_NS = 1 << 17 };
#define CTRL_LOCK BIT(31)
#define CTRL_WRITABLE (CTRL_LOCK | CTRL_AUTO_INCREMENT | CTRL_SEC_RESP)

/* Blocks that transactions of one state do not reach. */
typedef struct MpcWindow {
    IotMpc *mpc;
    hwaddr offset; /* of the memory */
    bool secure;   /* the transactions */
} MpcWindow;

static unsigned block_count(const IotMpc *s) { return s->size / s->block_size; }
static unsigned word_count(const IotMpc *s) { return (block_count(s) + 31) / 32; }
static bool is_nonsecure(const IotMpc *s, unsigned block) { return s->lut[block / 32] >> block % 32 & 1; }
static void update_irq(IotMpc *s) { device_out(&s->dev, 0, s->int_stat & s->int_en & 1); }

/* --- what is refused --- */

static MemResult refuse(const MpcWindow *w, hwaddr offset, MemAttrs attrs, bool write)
{
    IotMpc *s = w->mpc;
    hwaddr at = w->offset + offset;
    log_guest_error(s->dev.id, "%s %s of block 0x%x is refused by the memory protection controller",
                    w->secure ? "Secure" : "Non-secure", write ? "write" : "read", (unsigned)(at / s->block_size));
    if (!s->int_stat) { /* the first one is kept */
        s->int_stat = 1;
        s->int_info[0] = (uint32_t)at;
        s->int_info[1] = attrs.cpu | (w->secure ? 0 : INFO_NONSEC) |
                         (is_nonsecure(s, (unsigned)(at / s->block_size)) ? INFO_CFG_NS : 0);
        update_irq(s);
    }
    return s->ctrl & CTRL_SEC_RESP ? MEM_ERROR : MEM_OK;
}

/* Loaders and debuggers are not transactions of the bus. */
static MemResult window_read(void *opaque, hwaddr offset, unsigned size, uint64_t *value, MemAttrs attrs)
{
    const MpcWindow *w = opaque;
    *value = 0;
    if (attrs.cpu != 0xffff)
        return refuse(w, offset, attrs, false);
    memcpy(value, (uint8_t *)mem_host(w->mpc->place.memory) + w->mpc->place.offset + w->offset + offset, size);
    return MEM_OK;
}

static MemResult window_write(void *opaque, hwaddr offset, unsigned size, uint64_t value, MemAttrs attrs)
{
    const MpcWindow *w = opaque;
    if (attrs.cpu != 0xffff)
        return refuse(w, offset, attrs, true);
    memcpy((uint8_t *)mem_host(w->mpc->place.memory) + w->mpc->place.offset + w->offset + offset, &value, size);
    return MEM_OK;
}

static const MemOps window_ops = { .read = window_read, .write = window_write, .unaligned = true };

/*
 * The view of Non-secure transactions (priority 2) shows the memory itself again, above what Secure ones are refused.
 */
static void add_window(IotMpc *s, hwaddr at, bool secure, unsigned from, unsigned to)
{
    hwaddr offset = (hwaddr)from * s->block_size;
    MpcWindow *w = g_new(MpcWindow, 1);
    *w = (MpcWindow){ s, offset, secure };
    MemRegion *r = mem_io_new("refused", (hwaddr)(to - from) * s->block_size, &window_ops, w, s->dev.domain);
    mem_set_opaque_free(r, g_free);
    mem_map(s->place.container, at + offset, r, secure ? 1 : 3);
    g_ptr_array_add(s->windows, r);
}

/* Runs of blocks of the other state. */
static void add_windows(IotMpc *s, hwaddr at, bool secure)
{
    for (unsigned from = 0, to; from < block_count(s); from = to + 1) {
        for (to = from; to < block_count(s) && is_nonsecure(s, to) == secure; to++)
            ;
        if (to > from)
            add_window(s, at, secure, from, to);
    }
}

static void refresh(IotMpc *s)
{
    const IotMpcPlace *p = &s->place;
    if (!s->windows)
        return;
    mem_begin();
    g_ptr_array_set_size(s->windows, 0);
    add_windows(s, p->secure_at, true);
    add_windows(s, p->nonsecure_at, true);
    add_windows(s, p->ns_window + p->nonsecure_at, false);
    mem_commit();
}

void iot_mpc_protect(Device *d, const IotMpcPlace *place)
{
    IotMpc *s = (IotMpc *)d;
    g_assert(place->offset + s->size <= mem_size(place->memory));
    s->place = *place;
    s->windows = g_ptr_array_new_with_free_func((GDestroyNotify)mem_region_free);
    s->open = mem_alias_new(d->id, place->memory, place->offset, s->size);
    mem_map(place->container, place->ns_window + place->nonsecure_at, s->open, 2);
    refresh(s);
}

/* --- registers --- */

static void advance(IotMpc *s)
{
    if (s->ctrl & CTRL_AUTO_INCREMENT)
        s->blk_idx = (s->blk_idx + 1) % word_count(s);
}

static void ctrl_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    IotMpc *s = (IotMpc *)d;
    s->ctrl = old & CTRL_LOCK ? (uint32_t)old : (uint32_t)value & CTRL_WRITABLE;
}

static void idx_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    ((IotMpc *)d)->blk_idx = (uint32_t)value % word_count((IotMpc *)d);
}

static uint64_t lut_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    IotMpc *s = (IotMpc *)d;
    uint32_t word = s->lut[s->blk_idx];
    advance(s);
    return word;
}

static void lut_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    IotMpc *s = (IotMpc *)d;
    uint32_t *word = &s->lut[s->blk_idx];
    if (!(s->ctrl & CTRL_LOCK) && *word != (uint32_t)value) {
        *word = (uint32_t)value;
        refresh(s);
    }
    advance(s);
}

static void int_clear_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    IotMpc *s = (IotMpc *)d;
    if (value & 1)
        s->int_stat = s->int_info[0] = s->int_info[1] = 0;
    update_irq(s);
}

static void int_set_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    IotMpc *s = (IotMpc *)d;
    s->int_stat |= value & 1;
    update_irq(s);
}

static void int_en_wrote(Device *d, const Reg *r, unsigned i, uint64_t old, uint64_t value)
{
    IotMpc *s = (IotMpc *)d;
    s->int_en = s->ctrl & CTRL_LOCK ? (uint32_t)old : value & 1;
    update_irq(s);
}

static uint64_t max_read(Device *d, const Reg *r, unsigned i, uint64_t stored) { return word_count((IotMpc *)d) - 1; }
static uint64_t cfg_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    return (uint64_t)__builtin_ctz(((IotMpc *)d)->block_size) - 5;
}
static uint64_t id_read(Device *d, const Reg *r, unsigned i, uint64_t stored)
{
    static const uint8_t id[12] = { 4, 0, 0, 0, 0x60, 0xb8, 0x1b, 0, 0x0d, 0xf0, 0x05, 0xb1 };
    return id[i];
}

static const Reg mpc_regs[] = {
    { .name = "CTRL",
      .at = 0x00,
      .size = 4,
      .field = offsetof(IotMpc, ctrl),
      .reset = CTRL_AUTO_INCREMENT,
      .wrote = ctrl_wrote },
    { .name = "BLK_MAX", .at = 0x10, .size = 4, .field = REG_NO_FIELD, .read = max_read, .access = REG_RO },
    { .name = "BLK_CFG", .at = 0x14, .size = 4, .field = REG_NO_FIELD, .read = cfg_read, .access = REG_RO },
    { .name = "BLK_IDX", .at = 0x18, .size = 4, .field = offsetof(IotMpc, blk_idx), .wrote = idx_wrote },
    { .name = "BLK_LUT", .at = 0x1c, .size = 4, .field = REG_NO_FIELD, .read = lut_read, .wrote = lut_wrote },
    { .name = "INT_STAT", .at = 0x20, .size = 4, .field = offsetof(IotMpc, int_stat), .access = REG_RO },
    { .name = "INT_CLEAR", .at = 0x24, .size = 4, .field = REG_NO_FIELD, .wrote = int_clear_wrote },
    { .name = "INT_EN", .at = 0x28, .size = 4, .field = offsetof(IotMpc, int_en), .wrote = int_en_wrote },
    { .name = "INT_INFO", .at = 0x2c, .size = 4, .count = 2, .field = offsetof(IotMpc, int_info), .access = REG_RO },
    { .name = "INT_SET", .at = 0x34, .size = 4, .field = REG_NO_FIELD, .wrote = int_set_wrote },
    { .name = "ID", .at = 0xfd0, .size = 4, .count = 12, .field = REG_NO_FIELD, .read = id_read, .access = REG_RO },
    { .name = NULL },
};
static const RegBank mpc_bank = { .name = "regs", .size = 0x1000, .regs = mpc_regs };
static const RegBank *const mpc_banks[] = { &mpc_bank, NULL };
static const StateField mpc_state[] = { STATE_U32_ARRAY(IotMpc, lut), STATE_END_OF_TABLE };
static const Property mpc_props[] = {
    PROP_(PROP_U32, "size", IotMpc, size, 4 << 20, "bytes of the memory behind it", .min = 32 << 10, .max = 32 << 20),
    PROP_(PROP_U32, "block-size", IotMpc, block_size, 32 << 10, "bytes of a block, a power of two", .min = 4 << 10,
          .max = 1 << 20),
    DEFINE_PROP_END,
};

static bool mpc_start(Device *d, Error **errp)
{
    IotMpc *s = (IotMpc *)d;
    if (s->block_size & (s->block_size - 1) || s->size % s->block_size || word_count(s) > IOT_MPC_WORDS) {
        error_setf(errp, "tz-mpc '%s': block-size=%u: must be a power of two that divides size=%u into 1 to %u blocks",
                   d->id, s->block_size, s->size, IOT_MPC_WORDS * 32);
        return false;
    }
    return true;
}

static void mpc_reset(Device *d, ResetPhase phase)
{
    IotMpc *s = (IotMpc *)d;
    if (phase != RESET_ENTER)
        return;
    memset(s->lut, 0, sizeof s->lut);
    refresh(s);
}

static bool mpc_loaded(Device *d, Error **errp)
{
    IotMpc *s = (IotMpc *)d;
    if (s->blk_idx >= word_count(s)) {
        error_setf(errp, "tz-mpc '%s': the saved index %u lies behind the table", d->id, s->blk_idx);
        return false;
    }
    refresh(s);
    return true;
}

static void mpc_stop(Device *d)
{
    g_clear_pointer(&((IotMpc *)d)->windows, g_ptr_array_unref);
    g_clear_pointer(&((IotMpc *)d)->open, mem_region_free);
}

static const char *const mpc_pins[] = { "irq", NULL };
static const DeviceType mpc_type = {
    .name = "tz-mpc",
    .desc = "TrustZone memory protection controller",
    .category = "Misc",
    .size = sizeof(IotMpc),
    .out_pins = mpc_pins,
    .banks = mpc_banks,
    .props = mpc_props,
    .state = mpc_state,
    .start = mpc_start,
    .reset = mpc_reset,
    .loaded = mpc_loaded,
    .stop = mpc_stop,
};
DEVICE_REGISTER(mpc_type)
