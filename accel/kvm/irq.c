/* SPDX-License-Identifier: MIT */
/*
 * Interrupts that the kernel carries: lines, messages, the routing table, file descriptors (kernel documentation:
 * virt/kvm/api.rst, 4.25, 4.52, 4.75, 4.24).
 */
#include "accel/kvm/kvm.h"

#include <errno.h>
#include <string.h>
#include "base/bits.h"
#include "base/log.h"

enum { PINS = 32, MESSAGES = 1024 }; /* numbers below are pins, unless the target has more of them */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct kvm_irq_routing *table; /* as the kernel has it, under lock */
static unsigned room;                 /* entries allocated */
static uint64_t messages_sent, lines_set; /* relaxed */
static unsigned lines_wired;          /* with a descriptor now; relaxed */
static bool requesters;               /* the kernel wants to know who sends a message (an ITS does) */

static bool publish(void)
{
    if (!kvm_ioctl(kvm.vm, KVM_SET_GSI_ROUTING, table))
        return true;
    log_unimp("kvm", "the kernel refuses an interrupt route: %s", g_strerror(errno));
    return false;
}

static struct kvm_irq_routing_entry *add_entry(uint32_t gsi, uint32_t type)
{
    if (!table || table->nr == room) {
        room = MAX(room * 2, 64u);
        table = g_realloc(table, sizeof(*table) + room * sizeof(table->entries[0]));
        if (room == 64)
            table->nr = table->flags = 0;
    }
    struct kvm_irq_routing_entry *e = &table->entries[table->nr++];
    memset(e, 0, sizeof(*e));
    e->gsi = gsi;
    e->type = type;
    return e;
}

static struct kvm_irq_routing_entry *find_message(uint32_t gsi)
{
    for (unsigned i = 0; table && i < table->nr; i++) {
        if (table->entries[i].gsi == gsi && table->entries[i].type == KVM_IRQ_ROUTING_MSI)
            return &table->entries[i];
    }
    return NULL;
}

void kvm_route_pin(uint32_t gsi, uint32_t chip, uint32_t pin)
{
    pthread_mutex_lock(&lock);
    struct kvm_irq_routing_entry *e = add_entry(gsi, KVM_IRQ_ROUTING_IRQCHIP);
    e->u.irqchip.irqchip = chip;
    e->u.irqchip.pin = pin;
    pthread_mutex_unlock(&lock);
}

bool kvm_route_message(uint32_t gsi, uint64_t address, uint32_t data, uint32_t requester)
{
    bool ok = true;
    pthread_mutex_lock(&lock);
    struct kvm_irq_routing_entry *e = find_message(gsi);
    bool added = !e;
    if (added)
        e = add_entry(gsi, KVM_IRQ_ROUTING_MSI);
    requester = requesters ? requester : 0;
    if (added || e->u.msi.data != data || e->u.msi.devid != requester || e->u.msi.address_lo != (uint32_t)address ||
        e->u.msi.address_hi != address >> 32) {
        e->u.msi.address_lo = (uint32_t)address;
        e->u.msi.address_hi = (uint32_t)(address >> 32);
        e->u.msi.data = data;
        e->u.msi.devid = requester;
        e->flags = requesters ? KVM_MSI_VALID_DEVID : 0;
        ok = publish();
    }
    pthread_mutex_unlock(&lock);
    return ok;
}

static void drop_message(uint32_t gsi)
{
    pthread_mutex_lock(&lock);
    struct kvm_irq_routing_entry *e = find_message(gsi);
    if (e) {
        *e = table->entries[--table->nr];
        publish();
    }
    pthread_mutex_unlock(&lock);
}

bool kvm_routes_publish(void)
{
    pthread_mutex_lock(&lock);
    bool ok = !table || publish();
    pthread_mutex_unlock(&lock);
    return ok;
}

void kvm_routes_forget(void)
{
    pthread_mutex_lock(&lock);
    g_clear_pointer(&table, g_free);
    room = 0;
    messages_sent = lines_set = 0;
    lines_wired = 0;
    pthread_mutex_unlock(&lock);
}

/* --- from this process --- */

void kvm_send_msi(uint64_t address, uint32_t data)
{
    struct kvm_msi m = { .address_lo = (uint32_t)address, .address_hi = (uint32_t)(address >> 32), .data = data };
    __atomic_fetch_add(&messages_sent, 1, __ATOMIC_RELAXED);
    if (kvm_ioctl(kvm.vm, KVM_SIGNAL_MSI, &m) < 0) /* 0: nobody is addressed */
        log_guest_error("kvm", "message %x to %" G_GINT64_MODIFIER "x: %s", data, (guint64)address, g_strerror(errno));
}

void kvm_set_gsi(unsigned gsi, int level)
{
    struct kvm_irq_level l = { .irq = gsi, .level = level != 0 };
    __atomic_fetch_add(&lines_set, 1, __ATOMIC_RELAXED);
    if (kvm_ioctl(kvm.vm, KVM_IRQ_LINE, &l) < 0)
        log_unimp("kvm", "interrupt line %u: %s", gsi, g_strerror(errno));
}

/* --- from file descriptors --- */

static uint64_t taken[MESSAGES / 64]; /* numbers of messages that are given out: bit 0 is first_message() */

static unsigned first_message(void) { return kvm.arch && kvm.arch->first_message ? kvm.arch->first_message : PINS; }

static int take_number(void)
{
    int n = -1;
    pthread_mutex_lock(&lock);
    for (unsigned i = 0; i < G_N_ELEMENTS(taken) && n < 0; i++) {
        if (~taken[i]) {
            unsigned bit = (unsigned)__builtin_ctzll(~taken[i]);
            taken[i] |= BIT(bit);
            n = (int)(first_message() + i * 64 + bit);
        }
    }
    pthread_mutex_unlock(&lock);
    return n;
}

static void give_number(int number)
{
    unsigned n = (unsigned)(number - first_message());
    pthread_mutex_lock(&lock);
    taken[n / 64] &= ~BIT(n % 64);
    pthread_mutex_unlock(&lock);
}

static bool irqfd(uint32_t gsi, int fd, int resample_fd, bool assign)
{
    struct kvm_irqfd f = { .fd = (uint32_t)fd, .gsi = gsi, .flags = assign ? 0 : KVM_IRQFD_FLAG_DEASSIGN };
    if (assign && resample_fd >= 0) {
        f.flags |= KVM_IRQFD_FLAG_RESAMPLE;
        f.resamplefd = (uint32_t)resample_fd;
    }
    return !kvm_ioctl(kvm.vm, KVM_IRQFD, &f);
}

static int msi_fd_new(int fd, uint64_t address, uint32_t data, uint32_t requester)
{
    int n = take_number();
    if (n < 0)
        return -1;
    if (kvm_route_message((uint32_t)n, address, data, requester) && irqfd((uint32_t)n, fd, -1, true))
        return n;
    drop_message((uint32_t)n);
    give_number(n);
    return -1;
}

static bool msi_fd_set(int handle, uint64_t address, uint32_t data, uint32_t requester)
{
    return kvm_route_message((uint32_t)handle, address, data, requester);
}

static void msi_fd_free(int handle, int fd)
{
    if (kvm.vm < 0)
        return;
    irqfd((uint32_t)handle, fd, -1, false);
    drop_message((uint32_t)handle);
    give_number(handle);
}

static bool line_fd(unsigned gsi, int fd, int resample_fd, bool assign)
{
    if (!irqfd(gsi, fd, resample_fd, assign))
        return false;
    __atomic_fetch_add(&lines_wired, assign ? 1 : -1, __ATOMIC_RELAXED);
    return true;
}

static const EventDoors doors = {
    .msi_fd_new = msi_fd_new, .msi_fd_set = msi_fd_set, .msi_fd_free = msi_fd_free, .line_fd = line_fd
};

static EventDoors offered;

void kvm_irq_init(bool messages, bool lines)
{
    memset(taken, 0, sizeof(taken));
    offered = (EventDoors){ 0 };
    if (kvm_check(KVM_CAP_IRQFD) > 0 && kvm_check(KVM_CAP_IRQ_ROUTING) > 0) {
        offered = doors;
        if (!messages)
            offered.msi_fd_new = NULL;
        if (!lines || kvm_check(KVM_CAP_IRQFD_RESAMPLE) <= 0)
            offered.line_fd = NULL;
    }
    offered.notifiers = kvm_ioevents_init();
    requesters = false;
    event_doors_set(&offered);
}

void kvm_irq_messages_by_requester(void)
{
    requesters = kvm_check(KVM_CAP_MSI_DEVID) > 0;
    if (requesters && kvm_check(KVM_CAP_IRQFD) > 0 && kvm_check(KVM_CAP_IRQ_ROUTING) > 0)
        offered.msi_fd_new = msi_fd_new;
}

uint64_t kvm_interrupts(void)
{
    return __atomic_load_n(&messages_sent, __ATOMIC_RELAXED) + __atomic_load_n(&lines_set, __ATOMIC_RELAXED);
}

void kvm_irq_info(GString *out)
{
    unsigned n = 0;
    for (unsigned i = 0; i < G_N_ELEMENTS(taken); i++)
        n += (unsigned)__builtin_popcountll(taken[i]);
    g_string_append_printf(out,
                           "interrupts: messages sent %" G_GUINT64_FORMAT ", lines set %" G_GUINT64_FORMAT
                           ", messages by file descriptor %u, lines %u\n",
                           __atomic_load_n(&messages_sent, __ATOMIC_RELAXED),
                           __atomic_load_n(&lines_set, __ATOMIC_RELAXED), n,
                           __atomic_load_n(&lines_wired, __ATOMIC_RELAXED));
    g_string_append_printf(out, "doorbells by file descriptor %u (no exits), writes collected %" G_GUINT64_FORMAT "\n",
                           kvm_ioevents_count(), kvm_ioevents_collected());
}
