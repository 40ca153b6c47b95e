/* SPDX-License-Identifier: MIT */
/*
 * virtio-balloon: the guest gives pages back, tells how its memory is used, reports free pages (VIRTIO 1.2 section
 * 5.5).
 */
#include "hw/virtio/balloon.h"

#include <string.h>
#include "base/bits.h"
#include "base/log.h"
#include "base/rcu.h"
#include "hw/core/machine.h"
#include "hw/core/ram.h"
#include "hw/virtio/virtio-proxy.h"

#define F_STATS_VQ BIT(1)
#define F_DEFLATE_ON_OOM BIT(2)
#define F_PAGE_POISON BIT(4)
#define F_REPORTING BIT(5)
#define NS_PER_SEC INT64_C(1000000000)
enum { PAGE_BITS = 12, CONFIG_SIZE = 16, STAT_SIZE = 10, QUEUE_SIZE = 128, REPORTING_SIZE = 32 };
enum { PAGES_MAX = 16384 /* in one buffer */, BUFFERS_MAX = 1024 /* at a time */, STATS_BUF_MAX = 65536 };

/* A host page that is larger than the guest's goes back when the last of its parts has come. */
typedef struct Partial {
    uint64_t start, size; /* ram_addr; size 0: none */
    uint64_t *seen;
    unsigned left;
} Partial;

typedef struct Balloon {
    VirtioProxy proxy;
    VirtioDevice v;
    VirtQueue *inflate, *deflate, *stats, *reporting;
    /* properties */
    bool deflate_on_oom, page_poison, free_page_reporting, free_page_hint;
    uint32_t poll_seconds;
    /* state */
    uint32_t num_pages, actual, poison_val;
    uint64_t stat[BALLOON_STATS], stats_at, inflated, reported;
    bool have_buffer;           /* the driver's, given back to ask for news */
    VirtqBuffer buffer;
    GByteArray *saved;
    Timer *poll, *more;
    Partial partial;
} Balloon;

static Balloon *the_balloon;

static Balloon *balloon_of(VirtioDevice *v) { return container_of(v, Balloon, v); }

const char *const balloon_stat_names[BALLOON_STATS] = {
    "stat-swap-in", "stat-swap-out", "stat-major-faults", "stat-minor-faults", "stat-free-memory", "stat-total-memory",
    "stat-available-memory", "stat-disk-caches", "stat-htlb-pgalloc", "stat-htlb-pgfail",
};

/* ---- pages ---- */

/* ram_addr of a guest page, UINT64_MAX: no RAM is there. */
static uint64_t find_page(uint64_t gpa)
{
    MemSection s;
    rcu_read_lock();
    as_translate(machine_current()->as_memory, gpa, &s);
    bool ram = s.region && s.host && !s.readonly && s.ram_addr % BIT(PAGE_BITS) == 0;
    rcu_read_unlock();
    return ram ? s.ram_addr : UINT64_MAX;
}

static void forget_partial(Partial *p)
{
    g_free(p->seen);
    *p = (Partial){ 0 };
}

/* One page of a block of larger host pages. */
static void add_partial(Balloon *b, const RamBlock *block, uint64_t at)
{
    Partial *p = &b->partial;
    uint64_t start = block->start + align_down(at - block->start, block->page_size), n = (at - start) >> PAGE_BITS;
    if (p->start != start || p->size != block->page_size) {
        forget_partial(p);
        unsigned pages = (unsigned)(block->page_size >> PAGE_BITS);
        *p = (Partial){ start, block->page_size, g_new0(uint64_t, pages / 64 + 1), pages };
    }
    if (p->seen[n / 64] & BIT(n % 64))
        return;
    p->seen[n / 64] |= BIT(n % 64);
    if (--p->left)
        return;
    b->inflated += ram_discard(start, p->size);
    forget_partial(p);
}

static void give_back(Balloon *b, uint64_t at, uint64_t len)
{
    RamBlock block;
    if (!len || !ram_block_find(at, &block))
        return;
    if (block.page_size == BIT(PAGE_BITS)) {
        b->inflated += ram_discard(at, len);
        return;
    }
    for (uint64_t i = 0; i < len; i += BIT(PAGE_BITS))
        add_partial(b, &block, at + i);
}

/* A page that is wanted again belongs to no host page that is on its way out. */
static void take_back(Balloon *b, uint64_t at)
{
    if (at - b->partial.start < b->partial.size)
        forget_partial(&b->partial);
}

typedef struct Run { uint64_t at, len; } Run; /* pages that follow each other, up or down */

static void add_page(Balloon *b, Run *run, uint64_t gpa, bool inflate)
{
    uint64_t at = find_page(gpa);
    if (at == UINT64_MAX) {
        log_guest_error(b->v.dev->id, "page 0x%" G_GINT64_MODIFIER "x is no RAM", gpa);
    } else if (!inflate) {
        take_back(b, at);
    } else if (run->len && at == run->at + run->len) {
        run->len += BIT(PAGE_BITS);
    } else if (run->len && at + BIT(PAGE_BITS) == run->at) {
        run->at = at;
        run->len += BIT(PAGE_BITS);
    } else {
        give_back(b, run->at, run->len);
        *run = (Run){ at, BIT(PAGE_BITS) };
    }
}

/* A list of page numbers. */
static void take_pages(Balloon *b, const VirtqBuffer *buffer, bool inflate)
{
    uint8_t number[4];
    unsigned have = 0, count = 0;
    Run run = { 0 };
    for (unsigned i = 0; i < buffer->out.count; i++) {
        const uint8_t *p = buffer->out.iov[i].iov_base;
        for (size_t k = 0; k < buffer->out.iov[i].iov_len && count < PAGES_MAX; k++) {
            number[have++] = p[k];
            if (have < sizeof(number))
                continue;
            have = 0;
            count++;
            add_page(b, &run, (uint64_t)load_le(number, 4) << PAGE_BITS, inflate);
        }
    }
    give_back(b, run.at, run.len);
}

/* The buffer's own pages are free now; they are no more if the guest counts on a pattern in them. */
static void take_report(Balloon *b, const VirtqBuffer *buffer)
{
    if (b->poison_val && virtio_has(&b->v, F_PAGE_POISON))
        return;
    for (unsigned i = 0; i < buffer->in.count; i++) {
        const DmaPiece *p = &buffer->in.piece[i];
        if (!p->copy)
            b->reported += ram_discard(p->ram_addr, buffer->in.iov[i].iov_len);
    }
}

/* ---- statistics: the driver's buffer stays here until news are wanted ---- */

static void drop_buffer(Balloon *b)
{
    if (!b->have_buffer)
        return;
    dma_vec_finish(&b->buffer.out, 0);
    dma_vec_finish(&b->buffer.in, 0);
    b->have_buffer = false;
}

static void arm_poll(Balloon *b)
{
    if (b->poll_seconds)
        timer_arm(b->poll, clock_ns(CLOCK_VIRTUAL_NS) + b->poll_seconds * NS_PER_SEC);
    else
        timer_cancel(b->poll);
}

static void return_buffer(Balloon *b)
{
    virtq_push(b->stats, &b->buffer, 0);
    b->have_buffer = false;
    virtq_signal(b->stats);
}

static void take_stats(Balloon *b, VirtqBuffer *buffer)
{
    uint8_t entry[STAT_SIZE];
    unsigned have = 0, count = 0;
    memset(b->stat, 0xff, sizeof(b->stat));
    for (unsigned i = 0; i < buffer->out.count && count < 64; i++) {
        const uint8_t *p = buffer->out.iov[i].iov_base;
        for (size_t k = 0; k < buffer->out.iov[i].iov_len && count < 64; k++) {
            entry[have++] = p[k];
            if (have < STAT_SIZE)
                continue;
            have = 0;
            count++;
            unsigned tag = (unsigned)load_le(entry, 2);
            if (tag < BALLOON_STATS)
                b->stat[tag] = load_le(entry + 2, 8);
        }
    }
    b->stats_at = (uint64_t)clock_ns(CLOCK_VIRTUAL_NS);
    if (b->have_buffer) /* a second one: the driver should have one only */
        return_buffer(b);
    b->buffer = *buffer;
    b->have_buffer = true;
    arm_poll(b);
}

static void poll_now(void *opaque)
{
    Balloon *b = opaque;
    if (b->have_buffer && virtio_running(&b->v))
        return_buffer(b);
    else
        arm_poll(b);
}

/* ---- queues ---- */

static void take_buffer(Balloon *b, VirtQueue *q, VirtqBuffer *buffer)
{
    if (q == b->stats) {
        take_stats(b, buffer);
        return;
    }
    if (q == b->reporting)
        take_report(b, buffer);
    else
        take_pages(b, buffer, q == b->inflate);
    virtq_push(q, buffer, 0);
    virtq_signal(q);
}

static void queue_notified(VirtioDevice *v, VirtQueue *q)
{
    Balloon *b = balloon_of(v);
    VirtqBuffer buffer;
    unsigned n = 0;
    do {
        virtq_disable_notify(q);
        while (n < BUFFERS_MAX && virtq_pop(q, &buffer)) {
            take_buffer(b, q, &buffer);
            n++;
        }
    } while (virtio_running(v) && virtq_enable_notify(q) && n < BUFFERS_MAX);
    if (n == BUFFERS_MAX) /* others have a turn, too */
        timer_arm(b->more, clock_ns(CLOCK_VIRTUAL_NS));
}

static void go_on(void *opaque)
{
    Balloon *b = opaque;
    for (unsigned i = 0; i < b->v.queue_count; i++)
        virtio_queue_notify(&b->v, i);
}

static void balloon_reset(VirtioDevice *v)
{
    Balloon *b = balloon_of(v);
    drop_buffer(b);
    forget_partial(&b->partial);
    timer_cancel(b->poll);
    timer_cancel(b->more);
    b->actual = b->poison_val = 0;
    b->stats_at = 0;
    memset(b->stat, 0xff, sizeof(b->stat));
}

/* ---- configuration (5.5.4) ---- */

static uint64_t get_features(VirtioDevice *v)
{
    const Balloon *b = balloon_of(v);
    return F_STATS_VQ | (b->deflate_on_oom ? F_DEFLATE_ON_OOM : 0) | (b->page_poison ? F_PAGE_POISON : 0) |
           (b->free_page_reporting ? F_REPORTING : 0);
}

static void get_config(VirtioDevice *v, uint8_t *c)
{
    const Balloon *b = balloon_of(v);
    store_le(c, 4, b->num_pages);
    store_le(c + 4, 4, b->actual);
    store_le(c + 12, 4, b->poison_val);
}

static void set_config(VirtioDevice *v, const uint8_t *c, unsigned at, unsigned size)
{
    Balloon *b = balloon_of(v);
    b->actual = (uint32_t)load_le(c + 4, 4);
    if (virtio_has(v, F_PAGE_POISON))
        b->poison_val = (uint32_t)load_le(c + 12, 4);
}

static const VirtioClass balloon_class = {
    .name = "virtio-balloon",
    .id = VIRTIO_ID_BALLOON,
    .config_size = CONFIG_SIZE,
    .get_features = get_features,
    .get_config = get_config,
    .set_config = set_config,
    .queue_notified = queue_notified,
    .reset = balloon_reset,
};

/* ---- what the user asks ---- */

static Balloon *get_balloon(Error **errp)
{
    if (!the_balloon)
        error_setf(errp, "the machine has no balloon; add -device virtio-balloon-pci");
    return the_balloon;
}

static uint64_t ram_size(void) { return machine_current()->config.ram_size; }

bool balloon_set(uint64_t bytes, Error **errp)
{
    Balloon *b = get_balloon(errp);
    if (!b)
        return false;
    if (!bytes) {
        error_setf(errp, "balloon: a guest needs some memory; give MiB from 1 to %" G_GUINT64_FORMAT,
                   (guint64)(ram_size() / MiB));
        return false;
    }
    lock_domain_lock(b->v.dev->domain);
    b->num_pages = (uint32_t)((ram_size() - MIN(bytes, ram_size())) >> PAGE_BITS);
    virtio_config_changed(&b->v);
    lock_domain_unlock(b->v.dev->domain);
    return true;
}

bool balloon_info(BalloonInfo *out, Error **errp)
{
    Balloon *b = get_balloon(errp);
    if (!b)
        return false;
    lock_domain_lock(b->v.dev->domain);
    uint64_t taken = MIN((uint64_t)b->actual << PAGE_BITS, ram_size());
    *out = (BalloonInfo){ .target = ram_size() - ((uint64_t)b->num_pages << PAGE_BITS), .actual = ram_size() - taken,
                          .inflated = b->inflated, .reported = b->reported, .stats_ns = (int64_t)b->stats_at };
    memcpy(out->stat, b->stat, sizeof(out->stat));
    lock_domain_unlock(b->v.dev->domain);
    return true;
}

bool balloon_poll(uint32_t seconds, Error **errp)
{
    Balloon *b = get_balloon(errp);
    if (!b)
        return false;
    lock_domain_lock(b->v.dev->domain);
    b->poll_seconds = seconds;
    if (seconds)
        poll_now(b);
    arm_poll(b);
    lock_domain_unlock(b->v.dev->domain);
    return true;
}

/* ---- the PCI device ---- */

static void init(Device *d)
{
    Balloon *b = (Balloon *)d;
    device_own_domain(d, "virtio-balloon");
    b->saved = g_byte_array_new();
    b->poll = timer_new(CLOCK_VIRTUAL_NS, d->domain, poll_now, b);
    b->more = timer_new(CLOCK_VIRTUAL_NS, d->domain, go_on, b);
    memset(b->stat, 0xff, sizeof(b->stat));
}

static bool start(Device *d, Error **errp)
{
    Balloon *b = (Balloon *)d;
    if (the_balloon) {
        error_setf(errp, "device '%s': the machine has a balloon ('%s') already", d->id, the_balloon->v.dev->id);
        return false;
    }
    if (b->free_page_hint) {
        error_setf(errp,
                   "device '%s': free-page-hint is for live migration, which is not in this program; use "
                   "free-page-reporting=on",
                   d->id);
        return false;
    }
    virtio_proxy_init(&b->proxy, &b->v, &balloon_class);
    b->inflate = virtio_add_queue(&b->v, QUEUE_SIZE);
    b->deflate = virtio_add_queue(&b->v, QUEUE_SIZE);
    b->stats = virtio_add_queue(&b->v, QUEUE_SIZE);
    if (b->free_page_reporting)
        b->reporting = virtio_add_queue(&b->v, REPORTING_SIZE);
    if (!virtio_proxy_ready(&b->proxy, &b->v, errp))
        return false;
    the_balloon = b;
    return true;
}

static void saving(Device *d)
{
    Balloon *b = (Balloon *)d;
    g_byte_array_set_size(b->saved, 0);
    if (b->have_buffer && virtio_running(&b->v) && b->stats->enabled)
        virtq_buffer_save(&b->buffer, b->saved);
}

static bool loaded(Device *d, Error **errp)
{
    Balloon *b = (Balloon *)d;
    if (b->have_buffer) {
        dma_vec_finish(&b->buffer.out, 0);
        dma_vec_finish(&b->buffer.in, 0);
        b->have_buffer = false;
    }
    forget_partial(&b->partial);
    if (!virtio_loaded(&b->v, errp))
        return false;
    if (b->num_pages > ram_size() >> PAGE_BITS) {
        error_setf(errp, "device '%s': num_pages is more than the machine has", d->id);
        return false;
    }
    if (!b->saved->len)
        return true;
    b->have_buffer = virtq_buffer_load(b->stats, b->saved->data, b->saved->len, &b->buffer);
    if (!b->have_buffer)
        error_setf(errp, "device '%s': the buffer of statistics makes no sense", d->id);
    return b->have_buffer;
}

static void stop(Device *d)
{
    Balloon *b = (Balloon *)d;
    drop_buffer(b);
    forget_partial(&b->partial);
    timer_free(b->poll);
    timer_free(b->more);
    g_byte_array_unref(b->saved);
    if (the_balloon == b)
        the_balloon = NULL;
}

static void info(Device *d, GString *out)
{
    const Balloon *b = (Balloon *)d;
    g_string_append_printf(out,
                           "balloon: %" G_GUINT64_FORMAT " MiB inflated, %" G_GUINT64_FORMAT
                           " MiB of free pages reported so far\n",
                           (guint64)(b->inflated / MiB), (guint64)(b->reported / MiB));
}

static const Property props[] = {
    DEFINE_PROP_BOOL("deflate-on-oom", Balloon, deflate_on_oom, false,
                     "the guest may take pages back when it runs out of memory"),
    DEFINE_PROP_BOOL("free-page-reporting", Balloon, free_page_reporting, false,
                     "the guest's free pages go back to the host by themselves"),
    DEFINE_PROP_BOOL("free-page-hint", Balloon, free_page_hint, false, "for live migration; not in this program"),
    DEFINE_PROP_BOOL("page-poison", Balloon, page_poison, true, "the guest says what it writes into free pages"),
    PROP_(PROP_U32, "guest-stats-polling-interval", Balloon, poll_seconds, 0, "seconds between statistics, 0: none",
          .max = 86400),
    DEFINE_PROP_END,
};
static const StateField state[] = { STATE_STRUCT(Balloon, v, virtio_state),
                                    STATE_U32(Balloon, num_pages),
                                    STATE_U32(Balloon, actual),
                                    STATE_U32(Balloon, poison_val),
                                    STATE_U64_ARRAY(Balloon, stat),
                                    STATE_U64(Balloon, stats_at),
                                    STATE_BUF(Balloon, saved, STATS_BUF_MAX),
                                    STATE_TIMER(Balloon, poll),
                                    STATE_TIMER(Balloon, more),
                                    STATE_END_OF_TABLE };
static const PciDeviceInfo pci_info = { .vendor = 0x1af4,
                                        .device = 0x1002,
                                        .class_code = 0x00ff00,
                                        .subsystem_vendor = 0x1af4,
                                        .subsystem = VIRTIO_ID_BALLOON,
                                        .interrupt_pin = 1,
                                        .express = true };
#define COMMON \
    .category = "Misc", .size = sizeof(Balloon), .user_creatable = true, .props = props, .state = state, .init = init, \
    .start = start, \
    .saving = saving, .loaded = loaded, .stop = stop, .info = info
static const DeviceType balloon_pci = { .name = "virtio-balloon-pci",
                                        .alias = "virtio-balloon",
                                        .desc = "virtio balloon: memory goes back to the host",
                                        .bus = "pci",
                                        .base = &virtio_pci_type,
                                        .class_data = &pci_info,
                                        COMMON };
DEVICE_REGISTER(balloon_pci)
static const DeviceType balloon_mmio = { .name = "virtio-balloon-device",
                                         .desc = "virtio balloon, behind a virtio-bus",
                                         .bus = "virtio-bus",
                                         .base = &virtio_device_type,
                                         COMMON };
DEVICE_REGISTER(balloon_mmio)
