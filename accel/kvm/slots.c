/* SPDX-License-Identifier: MIT */
/*
 * Memory slots: RAM and ROM of the flat views, as the kernel maps them; the rest of an address space exits. A kernel
 * that knows system management mode has two address spaces, and the second is what a CPU in that mode sees.
 */
#include "accel/kvm/kvm.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "base/bits.h"
#include "base/log.h"
#include "base/rcu.h"
#include "hw/core/ram.h"

enum { SPACE_SHIFT = 16 /* of the kernel's slot numbers */ };

typedef struct Slot {
    uint64_t at, size;  /* size 0: free */
    uint8_t *host;
    uint64_t ram;       /* ram_addr of its first byte */
    bool readonly;
} Slot;

typedef struct View {
    AddressSpace *as;   /* NULL: the machine has none */
    GArray *slots;      /* of Slot, by the kernel's number; under lock */
} View;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static View views[KVM_SPACES];
static _Atomic unsigned changes, made; /* of the views; what the slots are made for: others wait until they are */
static _Atomic bool logging;           /* writes of the guest are noted; changed under lock */

static unsigned view_slots(const View *w) { return w->slots ? w->slots->len : 0; }
static Slot *slot(const View *w, unsigned i) { return &g_array_index(w->slots, Slot, i); }
static uint32_t number_of(const View *w, unsigned i) { return (uint32_t)(w - views) << SPACE_SHIFT | i; }

unsigned kvm_slots_count(void)
{
    unsigned n = 0;
    pthread_mutex_lock(&lock);
    for (const View *w = views; w < views + KVM_SPACES; w++) {
        for (unsigned i = 0; i < view_slots(w); i++)
            n += slot(w, i)->size != 0;
    }
    pthread_mutex_unlock(&lock);
    return n;
}

/* Whole pages of one section; pieces of a page stay accesses that exit. */
static void add_section(hwaddr addr, const MemSection *s, void *opaque)
{
    GArray *out = opaque;
    uint64_t first = align_up(addr, kvm_page()), skip = first - addr;
    if (!s->host || s->len < skip + kvm_page())
        return;
    Slot n = { first, align_down(s->len - skip, kvm_page()), s->host + skip, s->ram_addr + skip, s->readonly };
    if (((uintptr_t)n.host & (kvm_page() - 1)) != 0)
        return;
    Slot *last = out->len ? &g_array_index(out, Slot, out->len - 1) : NULL;
    if (last && last->at + last->size == n.at && last->host + last->size == n.host && last->ram + last->size == n.ram &&
        last->readonly == n.readonly)
        last->size += n.size;
    else
        g_array_append_val(out, n);
}

static GArray *wanted(const View *w)
{
    GArray *out = g_array_new(false, false, sizeof(Slot));
    as_foreach_section(w->as, add_section, out);
    return out;
}

static bool same(const Slot *a, const Slot *b)
{
    return a->at == b->at && a->size == b->size && a->host == b->host && a->readonly == b->readonly;
}

static bool tell_kernel(uint32_t number, const Slot *s, uint64_t size, Error **errp)
{
    struct kvm_userspace_memory_region r = {
        .slot = number, .guest_phys_addr = s->at, .memory_size = size, .userspace_addr = (uintptr_t)s->host
    };
    r.flags = s->readonly ? KVM_MEM_READONLY : logging ? KVM_MEM_LOG_DIRTY_PAGES : 0;
    if (!kvm_ioctl(kvm.vm, KVM_SET_USER_MEMORY_REGION, &r))
        return true;
    error_set_errno(errp, errno,
                    "kvm: guest memory at 0x%" G_GINT64_MODIFIER "x, 0x%" G_GINT64_MODIFIER
                    "x bytes: the kernel refuses it; use -accel tcg",
                    (guint64)s->at, (guint64)s->size);
    return false;
}

/* --- writes of the guest --- */

static void note_pages(const Slot *s, const uint64_t *bits)
{
    uint64_t bytes = kvm_page();
    for (uint64_t page = 0; page < s->size / bytes; page++) {
        if (!(page & 63) && !bits[page / 64])
            page += 63;
        else if (bits[page / 64] >> (page & 63) & 1)
            ram_dirty_mark_pages(s->ram + page * bytes, bytes);
    }
}

/* The log of one slot, which begins anew; rings are emptied as a whole, before a slot's number gets another meaning. */
static void collect(const View *w, unsigned i)
{
    const Slot *s = slot(w, i);
    if (!logging || !s->size || s->readonly)
        return;
    if (kvm.ring_entries) {
        kvm_dirty_harvest();
        return;
    }
    g_autofree uint64_t *bits = g_new0(uint64_t, s->size / kvm_page() / 64 + 1);
    struct kvm_dirty_log get = { .slot = number_of(w, i), .dirty_bitmap = bits };
    if (kvm_ioctl(kvm.vm, KVM_GET_DIRTY_LOG, &get) < 0) { /* all of it may have been written */
        ram_dirty_mark_pages(s->ram, s->size);
        return;
    }
    note_pages(s, bits);
    struct kvm_clear_dirty_log clear = { .slot = get.slot,
                                         .num_pages = (uint32_t)(s->size / kvm_page()),
                                         .dirty_bitmap = bits };
    if (kvm.manual_clear && kvm_ioctl(kvm.vm, KVM_CLEAR_DIRTY_LOG, &clear) < 0)
        log_unimp("kvm", "the kernel does not clear the log of slot %u: %s", get.slot, g_strerror(errno));
}

void kvm_slots_collect(void)
{
    pthread_mutex_lock(&lock);
    if (kvm.ring_entries)
        kvm_dirty_harvest();
    for (const View *w = views; !kvm.ring_entries && w < views + KVM_SPACES; w++) {
        for (unsigned i = 0; i < view_slots(w); i++)
            collect(w, i);
    }
    pthread_mutex_unlock(&lock);
}

void kvm_slots_note(uint32_t number, uint64_t page)
{
    unsigned space = number >> SPACE_SHIFT, i = number & (BIT(SPACE_SHIFT) - 1);
    const Slot *s = space < KVM_SPACES && i < view_slots(&views[space]) ? slot(&views[space], i) : NULL;
    if (s && page < s->size / kvm_page())
        ram_dirty_mark_pages(s->ram + page * kvm_page(), kvm_page());
}

bool kvm_slots_logging(void) { return atomic_load(&logging); }
unsigned kvm_slots_changes(void) { return atomic_load(&changes); }

bool kvm_slots_set_logging(bool on, Error **errp)
{
    bool ok = true;
    pthread_mutex_lock(&lock);
    logging = on;
    for (const View *w = views; w < views + KVM_SPACES; w++) {
        for (unsigned i = 0; ok && i < view_slots(w); i++) {
            const Slot *s = slot(w, i);
            ok = !s->size || s->readonly || tell_kernel(number_of(w, i), s, s->size, errp);
        }
    }
    logging = on && ok;
    pthread_mutex_unlock(&lock);
    return ok;
}

/* --- following the views --- */

/* Slots that are gone, before those that may take their place. */
static bool drop_old(const View *w, const GArray *want, Error **errp)
{
    for (unsigned i = 0; i < w->slots->len; i++) {
        Slot *s = slot(w, i);
        bool keep = false;
        for (unsigned k = 0; s->size && !keep && k < want->len; k++)
            keep = same(s, &g_array_index(want, Slot, k));
        if (!s->size || keep)
            continue;
        collect(w, i);
        if (!tell_kernel(number_of(w, i), s, 0, errp))
            return false;
        *s = (Slot){ 0 };
    }
    return true;
}

static bool add_new(const View *w, const GArray *want, Error **errp)
{
    for (unsigned k = 0; k < want->len; k++) {
        const Slot *n = &g_array_index(want, Slot, k);
        unsigned place = w->slots->len;
        bool there = false;
        for (unsigned i = w->slots->len; i-- > 0 && !there;) {
            const Slot *s = slot(w, i);
            there = s->size && same(s, n);
            if (!s->size)
                place = i;
        }
        if (there)
            continue;
        if (place >= kvm.slot_limit) {
            error_setf(
                errp,
                "kvm: the memory map needs more than the kernel's %u slots; use fewer memory devices or -accel tcg",
                kvm.slot_limit);
            return false;
        }
        if (!tell_kernel(number_of(w, place), n, n->size, errp))
            return false;
        if (place == w->slots->len)
            g_array_append_val(w->slots, *n);
        else
            *slot(w, place) = *n;
    }
    return true;
}

static bool refresh(const View *w, Error **errp)
{
    if (!w->as)
        return true;
    g_autoptr(GArray) want = wanted(w);
    return drop_old(w, want, errp) && add_new(w, want, errp);
}

bool kvm_slots_refresh(Error **errp)
{
    if (atomic_load(&made) == atomic_load(&changes))
        return true;
    pthread_mutex_lock(&lock);
    bool ok = true;
    unsigned now = atomic_load(&changes);
    if (atomic_load(&made) != now) {
        for (const View *w = views; ok && w < views + KVM_SPACES; w++)
            ok = refresh(w, errp);
        atomic_store(&made, now);
    }
    pthread_mutex_unlock(&lock);
    return ok;
}

/*
 * While vCPUs stand it is enough to do it before the next one runs; else the others must not run on with the old map:
 * the change is done here, before the access that asked for it returns.
 */
static void changed(void *opaque)
{
    if (kvm.vm < 0)
        return;
    atomic_fetch_add(&changes, 1);
    Error *err = NULL;
    if (vcpu_paused() || kvm_slots_refresh(&err))
        return;
    error_report(err);
    error_free(err);
    machine_request_exit(1);
}

void kvm_slots_init(unsigned number, AddressSpace *as)
{
    View *w = &views[number];
    bool heard = false;
    for (unsigned i = 0; i < KVM_SPACES; i++)
        heard = heard || views[i].as == as;
    if (!heard)
        as_add_listener(as, changed, NULL);
    w->as = as;
    if (!w->slots)
        w->slots = g_array_new(false, false, sizeof(Slot));
    g_array_set_size(w->slots, 0);
    atomic_fetch_add(&changes, 1);
}

void kvm_slots_forget(void)
{
    pthread_mutex_lock(&lock);
    for (View *w = views; w < views + KVM_SPACES; w++) {
        g_clear_pointer(&w->slots, g_array_unref);
        w->as = NULL;
    }
    logging = false;
    atomic_store(&made, atomic_load(&changes));
    pthread_mutex_unlock(&lock);
}
