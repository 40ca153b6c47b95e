/* SPDX-License-Identifier: MIT */
/*
 * NOR flash with the Intel command set (Intel StrataFlash P30 data sheet 306666; JEDEC JESD68.01 for the query table).
 * In read-array mode guests read the contents as ROM; in all others a window over it answers. The back end is a plain
 * file until there is a block layer.
 */
#include "hw/block/pflash.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/bits.h"
#include "base/log.h"

enum { MODE_ARRAY = 0xff, MODE_STATUS = 0x70, MODE_ID = 0x90, MODE_QUERY = 0x98 };
enum {
    CMD_PROGRAM = 0x40,
    CMD_PROGRAM_ALT = 0x10,
    CMD_ERASE = 0x20,
    CMD_CLEAR_STATUS = 0x50,
    CMD_LOCK = 0x60,
    CMD_BUFFER = 0xe8,
    CMD_CONFIRM = 0xd0
};
enum { STEP_COMMAND, STEP_PROGRAM, STEP_ERASE, STEP_LOCK, STEP_COUNT, STEP_FILL, STEP_CONFIRM };
enum { STATUS_READY = 0x80, STATUS_ERASE_ERROR = 0x20, STATUS_PROGRAM_ERROR = 0x10, STATUS_SEQUENCE = 0x30 };
enum { BUFFER = 2048, QUERY_SIZE = 0x52 };
#define MAX_FLASH (1 * GiB)

typedef struct Pflash {
    Device dev; /* always first */
    uint32_t num_blocks, width, chip_width;
    uint64_t sector;
    char *file;
    bool readonly;
    int fd;
    uint64_t size;
    MemRegion *data, *window, *own, *alias;
    AddressSpace *as; /* of the contents alone: writes tell the translator */
    uint8_t query[QUERY_SIZE];
    /* saved */
    uint8_t mode, step, status;
    uint32_t left;   /* words to come of a buffered program */
    uint64_t base;   /* of the buffer */
    bool based;
    uint8_t buffer[BUFFER];
} Pflash;

/* ---- contents ---- */

static void write_back(Pflash *s, uint64_t at, uint64_t len)
{
    const uint8_t *p = (uint8_t *)mem_host(s->data) + at;
    while (s->fd >= 0 && len) {
        ssize_t n = pwrite(s->fd, p, len, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            warn_reportf("flash file '%s': cannot be written: %s; changes stay in memory only", s->file,
                         g_strerror(errno));
            close(s->fd);
            s->fd = -1;
            return;
        }
        p += n;
        at += (uint64_t)n;
        len -= (uint64_t)n;
    }
}

/* Programming clears bits only. */
static void program(Pflash *s, uint64_t at, const uint8_t *bytes, uint64_t len)
{
    g_autofree uint8_t *now = g_malloc(len);
    const uint8_t *old = (uint8_t *)mem_host(s->data) + at;
    if (s->readonly) {
        s->status |= STATUS_PROGRAM_ERROR;
        return;
    }
    for (uint64_t i = 0; i < len; i++)
        now[i] = old[i] & bytes[i];
    as_write_rom(s->as, at, now, len);
    write_back(s, at, len);
}

static void erase(Pflash *s, uint64_t at)
{
    g_autofree uint8_t *ones = g_malloc(s->sector);
    if (s->readonly) {
        s->status |= STATUS_ERASE_ERROR;
        return;
    }
    memset(ones, 0xff, s->sector);
    at -= at % s->sector;
    as_write_rom(s->as, at, ones, s->sector);
    write_back(s, at, s->sector);
}

/* ---- reads in other modes than array ---- */

/* The same value from each chip of the bank, then the bytes that the access wants. */
static uint64_t lanes(const Pflash *s, hwaddr offset, unsigned size, uint8_t value)
{
    uint64_t word = 0;
    for (unsigned i = 0; i < 8; i += s->chip_width)
        word |= (uint64_t)value << 8 * i;
    return word >> 8 * (offset % s->chip_width) & bits_mask(8 * size);
}

static MemResult flash_read(void *opaque, hwaddr offset, unsigned size, uint64_t *value, MemAttrs attrs)
{
    static const uint8_t ids[] = { 0x89, 0x18 };
    Pflash *s = opaque;
    uint64_t index = offset / s->width & 0xff;
    switch (s->mode) {
    case MODE_ID:
        *value = lanes(s, offset, size, index < sizeof(ids) ? ids[index] : 0);
        break;
    case MODE_QUERY:
        *value = lanes(s, offset, size, index < QUERY_SIZE ? s->query[index] : 0);
        break;
    case MODE_ARRAY:
        *value = load_le((uint8_t *)mem_host(s->data) + offset, size);
        break;
    default:
        *value = lanes(s, offset, size, s->status);
    }
    return MEM_OK;
}

/* ---- commands ---- */

static void set_mode(Pflash *s, uint8_t mode)
{
    if ((mode == MODE_ARRAY) != (s->mode == MODE_ARRAY))
        mem_set_enabled(s->window, mode != MODE_ARRAY);
    s->mode = mode;
}

static void sequence_error(Pflash *s, uint8_t command)
{
    log_guest_error(s->dev.id, "command 0x%02x is not what may come now", command);
    s->status |= STATUS_SEQUENCE;
    s->step = STEP_COMMAND;
}

static void command(Pflash *s, uint8_t c)
{
    switch (c) {
    case CMD_PROGRAM: case CMD_PROGRAM_ALT: s->step = STEP_PROGRAM; break;
    case CMD_ERASE: s->step = STEP_ERASE; break;
    case CMD_LOCK: s->step = STEP_LOCK; break;
    case CMD_BUFFER: s->step = STEP_COUNT; break;
    case CMD_CLEAR_STATUS: s->status = STATUS_READY; return;
    case MODE_STATUS: case MODE_ID: case MODE_QUERY: set_mode(s, c); return;
    case 0x00: case 0xf0: case MODE_ARRAY: set_mode(s, MODE_ARRAY); return;
    default: log_guest_error(s->dev.id, "command 0x%02x is not known", c); return;
    }
    set_mode(s, MODE_STATUS);
}

static void fill(Pflash *s, uint64_t offset, unsigned size, uint64_t value)
{
    if (!s->based) {
        s->base = offset;
        s->based = true;
        memset(s->buffer, 0xff, sizeof(s->buffer));
    }
    if (offset < s->base || offset - s->base + size > BUFFER || offset / s->sector != s->base / s->sector)
        s->status |= STATUS_PROGRAM_ERROR;
    else
        store_le(s->buffer + (offset - s->base), size, value);
    if (s->left)
        s->left--;
    else
        s->step = STEP_CONFIRM;
}

static void confirm_buffer(Pflash *s, uint8_t c)
{
    if (c != CMD_CONFIRM)
        sequence_error(s, c);
    else if (!(s->status & STATUS_PROGRAM_ERROR))
        program(s, s->base, s->buffer, MIN(BUFFER, s->size - s->base));
    s->step = STEP_COMMAND;
}

static void next_step(Pflash *s, uint64_t offset, unsigned size, uint64_t value)
{
    uint8_t c = (uint8_t)value, bytes[8];
    switch (s->step) {
    case STEP_PROGRAM:
        store_le(bytes, size, value);
        program(s, offset, bytes, size);
        s->step = STEP_COMMAND;
        break;
    case STEP_ERASE:
        s->step = STEP_COMMAND;
        if (c == CMD_CONFIRM)
            erase(s, offset);
        else
            sequence_error(s, c);
        break;
    case STEP_LOCK: /* blocks are never locked; 0x01, 0x2f and 0xd0 are accepted */
        s->step = STEP_COMMAND;
        break;
    case STEP_COUNT:
        s->left = (uint32_t)(value & (s->chip_width == 1 ? 0xff : 0xffff));
        s->based = false;
        s->step = STEP_FILL;
        if (s->left >= BUFFER / s->width)
            sequence_error(s, c);
        break;
    case STEP_FILL: fill(s, offset, size, value); break;
    case STEP_CONFIRM: confirm_buffer(s, c); break;
    default: command(s, c);
    }
}

static MemResult flash_write(void *opaque, hwaddr offset, unsigned size, uint64_t value, MemAttrs attrs)
{
    next_step(opaque, offset, size, value);
    return MEM_OK;
}

static const MemOps flash_ops = { flash_read, flash_write, 1, 4 };

/* ---- query table (JESD68.01 section 2.1; each entry is a word of the chip) ---- */

static void make_query(Pflash *s)
{
    static const uint8_t fixed[] = {
        'Q', 'R', 'Y', 1, 0, 0x31, 0, 0, 0, 0, 0, 0x45, 0x55, 0, 0, 7, 7, 10, 0, 4, 4, 4, 0
    };
    static const uint8_t primary[] = { 'P', 'R', 'I', '1', '0', 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 };
    unsigned chips = s->width / s->chip_width;
    uint64_t chip_size = s->size / chips, block = s->sector / chips;
    memcpy(s->query + 0x10, fixed, sizeof(fixed));
    s->query[0x27] = (uint8_t)__builtin_ctzll(chip_size);
    s->query[0x28] = s->chip_width == 1 ? 0 : 1;
    s->query[0x2a] = (uint8_t)__builtin_ctz(BUFFER / chips);
    s->query[0x2c] = 1; /* one erase region */
    store_le16(s->query + 0x2d, (uint16_t)(s->num_blocks - 1));
    store_le16(s->query + 0x2f, (uint16_t)(block / 256));
    memcpy(s->query + 0x31, primary, sizeof(primary));
}

/* ---- device ---- */

bool pflash_fill(Device *d, GBytes *contents, Error **errp)
{
    Pflash *s = (Pflash *)d;
    size_t len;
    const void *p = g_bytes_get_data(contents, &len);
    if (len > s->size) {
        error_setf(errp, "firmware: %zu bytes are too many for a flash of %" G_GUINT64_FORMAT, len, (guint64)s->size);
        return false;
    }
    as_write_rom(s->as, 0, p, len);
    return true;
}

static bool read_contents(Pflash *s, Error **errp)
{
    uint8_t *p = mem_host(s->data);
    static const uint8_t zeros[64 * 1024];
    g_autofree uint8_t *chunk = g_malloc(sizeof(zeros));
    for (uint64_t at = 0; at < s->size;) {
        ssize_t n = pread(s->fd, chunk, MIN(s->size - at, sizeof(zeros)), (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            error_set_errno(errp, n ? errno : EIO, "flash file '%s'", s->file);
            return false;
        }
        if (memcmp(chunk, zeros, (size_t)n)) /* memory is zero, and stays unused where the file is */
            memcpy(p + at, chunk, (size_t)n);
        at += (uint64_t)n;
    }
    return true;
}

/* The file follows contents that were loaded; what it has already is not written again. */
static void write_loaded(Pflash *s)
{
    const uint8_t *p = mem_host(s->data);
    g_autofree uint8_t *chunk = g_malloc(s->sector);
    for (uint64_t at = 0; s->fd >= 0 && !s->readonly && at < s->size; at += s->sector) {
        if (pread(s->fd, chunk, s->sector, (off_t)at) != (ssize_t)s->sector || memcmp(chunk, p + at, s->sector))
            write_back(s, at, s->sector);
    }
}

static bool open_file(Pflash *s, Error **errp)
{
    struct stat st;
    s->fd = open(s->file, (s->readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC);
    if (s->fd < 0 || fstat(s->fd, &st) < 0) {
        error_set_errno(errp, errno, "flash file '%s'%s", s->file,
                        errno == EACCES || errno == EROFS ? " (readonly=on protects it)" : "");
        return false;
    }
    if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != s->size) {
        error_setf(errp, "flash file '%s': has %" G_GINT64_FORMAT " bytes, the flash has %" G_GUINT64_FORMAT
                   "; make it that long (truncate -s)", s->file, (gint64)st.st_size, (guint64)s->size);
        return false;
    }
    return read_contents(s, errp);
}

static void pflash_init(Device *d)
{
    Pflash *s = (Pflash *)d;
    s->fd = -1;
    s->mode = MODE_ARRAY;
}

static bool check_geometry(Pflash *s, Error **errp)
{
    s->size = s->num_blocks * s->sector;
    if (is_pow2(s->sector) && s->sector >= 4096 && s->sector <= 16 * MiB && is_pow2(s->size) && s->size <= MAX_FLASH &&
        is_pow2(s->width) && s->width <= 4 && is_pow2(s->chip_width) && s->chip_width <= s->width)
        return true;
    error_setf(errp,
               "device '%s': num-blocks, sector-length, width or device-width: not a power of two, or out of range",
               s->dev.id);
    return false;
}

static bool pflash_start(Device *d, Error **errp)
{
    Pflash *s = (Pflash *)d;
    if (!check_geometry(s, errp))
        return false;
    s->data = mem_romd_new(d->id, s->size, &flash_ops, s, d->domain, errp);
    if (!s->data)
        return false;
    if (s->file && !open_file(s, errp))
        return false;
    s->window = mem_io_new("flash.window", s->size, &flash_ops, s, d->domain);
    d->region[0] = mem_container_new("flash", s->size);
    mem_map(d->region[0], 0, s->data, 0);
    mem_map(d->region[0], 0, s->window, 1);
    mem_set_enabled(s->window, false);
    s->own = mem_container_new("flash.contents", s->size);
    s->alias = mem_alias_new("flash.contents", s->data, 0, s->size);
    mem_map(s->own, 0, s->alias, 0);
    s->as = as_new("flash", s->own);
    make_query(s);
    return true;
}

static void pflash_reset(Device *d, ResetPhase phase)
{
    Pflash *s = (Pflash *)d;
    if (phase != RESET_ENTER)
        return;
    set_mode(s, MODE_ARRAY);
    s->step = STEP_COMMAND;
    s->status = STATUS_READY;
    s->left = 0;
    s->base = 0;
    s->based = false;
    memset(s->buffer, 0xff, sizeof(s->buffer));
}

static bool pflash_loaded(Device *d, Error **errp)
{
    Pflash *s = (Pflash *)d;
    if (s->step > STEP_CONFIRM || s->left > UINT16_MAX || s->base >= s->size ||
        (s->mode != MODE_ARRAY && s->mode != MODE_STATUS && s->mode != MODE_ID && s->mode != MODE_QUERY)) {
        error_setf(errp, "device '%s': the saved state is damaged", d->id);
        return false;
    }
    mem_set_enabled(s->window, s->mode != MODE_ARRAY);
    write_loaded(s);
    return true;
}

static void pflash_stop(Device *d)
{
    Pflash *s = (Pflash *)d;
    MemRegion **regions[] = { &s->window, &s->alias, &s->own, &s->data };
    if (s->as)
        as_free(s->as);
    s->as = NULL;
    for (unsigned i = 0; i < ARRAY_LEN(regions); i++)
        g_clear_pointer(regions[i], mem_region_free);
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
}

static const Property pflash_props[] = {
    DEFINE_PROP_STRING("file", Pflash, file, NULL, "contents, written back; none: zeros, and lost at the end"),
    DEFINE_PROP_BOOL("readonly", Pflash, readonly, false, "programming and erasing fail"),
    { .name = "num-blocks",
      .kind = PROP_U32,
      .offset = offsetof(Pflash, num_blocks),
      .dflt = 16,
      .min = 1,
      .max = 65536,
      .help = "erase blocks" },
    DEFINE_PROP_SIZE("sector-length", Pflash, sector, 65536, "bytes of an erase block of the whole bank"),
    DEFINE_PROP_U32("width", Pflash, width, 4, "bytes of the bank"),
    DEFINE_PROP_U32("device-width", Pflash, chip_width, 2, "bytes of each chip"),
    DEFINE_PROP_END,
};
static const StateField pflash_state[] = {
    STATE_U8(Pflash, mode),  STATE_U8(Pflash, step),    STATE_U8(Pflash, status),    STATE_U32(Pflash, left),
    STATE_U64(Pflash, base), STATE_BOOL(Pflash, based), STATE_BYTES(Pflash, buffer), STATE_END_OF_TABLE,
};

static const DeviceType pflash_type = {
    .name = "cfi.pflash01", .desc = "NOR flash, Intel command set", .category = "Storage", .size = sizeof(Pflash),
    .props = pflash_props, .state = pflash_state, .init = pflash_init, .start = pflash_start, .reset = pflash_reset,
    .loaded = pflash_loaded, .stop = pflash_stop,
};
DEVICE_REGISTER(pflash_type)
