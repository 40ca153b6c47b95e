/* SPDX-License-Identifier: MIT */
/* KVM without a kernel: what KVM_RUN may come back with, and memory slots; ioctl is this file's. */
#include "accel/kvm/kvm.h"

#include <errno.h>
#include <string.h>
#include "base/bits.h"
#include "base/error.h"
#include "base/rcu.h"
#include "hw/core/ram.h"
#include "target/x86/kvm.h"

static Vcpu *v;
static KvmVcpu *k;
static Machine machine;
static GString *said;
static unsigned gets, runs, triple_faults;

static MemAttrs attrs(const Vcpu *unused) { return (MemAttrs){ .cpu = 0 }; }
static const GuestArch guest = { .name = "fake", .attrs = attrs };

static bool get(KvmVcpu *unused, Error **errp)
{
    gets++;
    return true;
}
static bool handle_exit(KvmVcpu *unused)
{
    triple_faults += k->run->exit_reason == KVM_EXIT_SHUTDOWN;
    return k->run->exit_reason == KVM_EXIT_SHUTDOWN;
}
static void describe(KvmVcpu *unused, GString *out) { g_string_append(out, "at 1234, code 0f 0b"); }
static unsigned follows, followed; /* calls; what each says */
static unsigned follow(KvmVcpu *unused)
{
    follows++;
    return followed;
}
static const KvmArch arch = {
    .arch = "fake", .get = get, .handle_exit = handle_exit, .describe = describe, .follow = follow
};

static void hear(void *opaque, const char *line) { g_string_append_printf(said, "%s\n", line); }

/* --- the kernel --- */

typedef struct Seen { struct kvm_userspace_memory_region r[64]; unsigned count; } Seen;
static Seen seen;

static unsigned pieces;
static bool hyperv, cap_refused;
static unsigned enabled;
static int doorbells;
static bool doorbells_refused, log_refused;
static unsigned log_reads, log_clears;
static struct kvm_coalesced_mmio_zone zones[4];
static int zone_count;
static struct kvm_ioeventfd last_doorbell;

static int fake_ioctl(int fd, unsigned long request, void *arg)
{
    if (request == KVM_RUN) {
        runs++;
        g_assert_cmpint(k->run->immediate_exit, ==, 1); /* only to finish an access */
        if (pieces && pieces--) /* of the same instruction */
            return 0;
        errno = EINTR;
        return -1;
    }
    if (request == KVM_SET_USER_MEMORY_REGION) {
        seen.r[seen.count++ % G_N_ELEMENTS(seen.r)] = *(struct kvm_userspace_memory_region *)arg;
        return 0;
    }
    if (request == KVM_CHECK_EXTENSION)
        return (uintptr_t)arg != KVM_CAP_SYS_HYPERV_CPUID || hyperv;
    if (request == KVM_GET_SUPPORTED_HV_CPUID) {
        struct kvm_cpuid2 *t = arg;
        g_assert_cmpuint(t->nent, >=, 3);
        t->nent = 3;
        t->entries[0] = (struct kvm_cpuid_entry2){ .function = 0x40000000, .eax = 0x40000005 };
        t->entries[1] = (struct kvm_cpuid_entry2){ .function = 0x40000003, .eax = 0x2aff, .ebx = 0x30, .edx = 0x80510 };
        t->entries[2] = (struct kvm_cpuid_entry2){ .function = 0x40000004, .eax = 0xc2c };
        return 0;
    }
    if (request == KVM_ENABLE_CAP) {
        enabled = ((struct kvm_enable_cap *)arg)->cap;
        errno = EINVAL;
        return cap_refused ? -1 : 0;
    }
    if (request == KVM_IOEVENTFD) {
        struct kvm_ioeventfd *e = arg;
        if (doorbells_refused) {
            errno = ENOSPC;
            return -1;
        }
        doorbells += e->flags & KVM_IOEVENTFD_FLAG_DEASSIGN ? -1 : 1;
        last_doorbell = *e;
        return 0;
    }
    if (request == KVM_REGISTER_COALESCED_MMIO || request == KVM_UNREGISTER_COALESCED_MMIO) {
        zone_count += request == KVM_REGISTER_COALESCED_MMIO ? 1 : -1;
        zones[0] = *(struct kvm_coalesced_mmio_zone *)arg;
        return 0;
    }
    if (request == KVM_GET_DIRTY_LOG) {
        struct kvm_dirty_log *l = arg;
        log_reads++;
        if (log_refused) {
            errno = ENOENT;
            return -1;
        }
        ((uint64_t *)l->dirty_bitmap)[0] = UINT64_C(1) << 3;
        return 0;
    }
    if (request == KVM_CLEAR_DIRTY_LOG) {
        log_clears++;
        return 0;
    }
    errno = ENOTTY;
    return -1;
}

/* --- a device that remembers --- */

static uint64_t last_offset, last_value;
static unsigned last_size, accesses;
static MemResult dev_read(void *opaque, hwaddr offset, unsigned size, uint64_t *value, MemAttrs a)
{
    last_offset = offset, last_size = size;
    *value = 0x1122334455667788 + accesses++;
    return MEM_OK;
}
static MemResult dev_write(void *opaque, hwaddr offset, unsigned size, uint64_t value, MemAttrs a)
{
    last_offset = offset, last_size = size, last_value = value;
    accesses++;
    return MEM_OK;
}
static const MemOps dev_ops = { dev_read, dev_write, .unaligned = true };

static void fresh(void)
{
    k->failed = v->halted = k->unfinished = false;
    k->loaded = true;
    gets = runs = accesses = 0;
    k->run->immediate_exit = 0;
    g_string_truncate(said, 0);
    machine_take_requests();
}

/* One line that holds all the words, and the end of the process with status 1. */
static void assert_failed(const char *a, const char *b)
{
    MachineRequests r = machine_take_requests();
    g_assert_true(r.exit && r.exit_status == 1);
    g_assert_true(k->failed && v->halted);
    g_assert_cmpuint(gets, ==, 1);
    g_assert_nonnull(strstr(said->str, a));
    g_assert_nonnull(strstr(said->str, b));
    g_assert_nonnull(strstr(said->str, "vCPU 0"));
    g_assert_nonnull(strstr(said->str, "at 1234, code 0f 0b"));
    g_assert_cmpstr(strchr(said->str, '\n'), ==, "\n");
}

static void test_errno(void)
{
    fresh();
    k->interrupted = 0;
    kvm_handle(k, EINTR);
    kvm_handle(k, EAGAIN);
    g_assert_cmpuint(k->interrupted, ==, 2);
    g_assert_false(k->failed || machine_take_requests().exit);
    g_assert_cmpstr(said->str, ==, "");
    kvm_handle(k, EFAULT);
    assert_failed("bad address", "hugepages");
    fresh();
    k->run->exit_reason = 39;
    store_le64(k->run->padding + 8, 0xabcd000);
    kvm_handle(k, EFAULT);
    assert_failed("guest memory at 0xabcd000", "hugepages");
    fresh();
    k->short_of = 0;
    kvm_handle(k, ENOSPC); /* for a moment: tried again */
    g_assert_cmpuint(k->short_of, ==, 1);
    g_assert_false(k->failed || machine_take_requests().exit);
    k->short_of = 200;
    kvm_handle(k, ENOMEM);
    assert_failed("Cannot allocate memory", "-accel tcg");
    kvm_handle(k, ENOMEM); /* once is enough */
    g_assert_cmpstr(strchr(said->str, '\n'), ==, "\n");
}

static void test_failures(void)
{
    fresh();
    k->run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
    k->run->internal.suberror = KVM_INTERNAL_ERROR_EMULATION;
    kvm_handle(k, 0);
    assert_failed("internal error 1", "cannot emulate");
    fresh();
    k->run->internal.suberror = 77;
    kvm_handle(k, 0);
    assert_failed("internal error 77", "unknown");
    fresh();
    k->run->exit_reason = KVM_EXIT_FAIL_ENTRY;
    k->run->fail_entry.hardware_entry_failure_reason = 0x80000021;
    kvm_handle(k, 0);
    assert_failed("refuses to enter", "0x80000021");
    fresh();
    k->run->exit_reason = KVM_EXIT_UNKNOWN;
    k->run->hw.hardware_exit_reason = 0x55;
    kvm_handle(k, 0);
    assert_failed("unknown reason", "0x55");
    fresh();
    k->run->exit_reason = 12345;
    kvm_handle(k, 0);
    assert_failed("reason 12345", "newer");
    fresh();
    k->run->exit_reason = KVM_EXIT_SHUTDOWN;
    kvm_handle(k, 0);
    g_assert_cmpuint(triple_faults, ==, 1);
    g_assert_false(k->failed);
}

/* The rest of what KVM_RUN may come back with: nothing of it is unknown, and the guest goes on. */
static void test_rare(void)
{
    fresh();
    k->run->exit_reason = KVM_EXIT_HYPERCALL;
    kvm_handle(k, 0);
    g_assert_cmpint((int64_t)k->run->hypercall.ret, ==, -1000);
    k->run->exit_reason = KVM_EXIT_SYSTEM_EVENT;
    k->run->system_event.type = KVM_SYSTEM_EVENT_RESET;
    kvm_handle(k, 0);
    MachineRequests r = machine_take_requests();
    g_assert_true(r.reset && r.cause == CAUSE_GUEST_RESET);
    k->run->system_event.type = KVM_SYSTEM_EVENT_SHUTDOWN;
    kvm_handle(k, 0);
    g_assert_true(machine_take_requests().shutdown);
    g_assert_false(k->failed);
    k->run->exit_reason = KVM_EXIT_EXCEPTION;
    k->run->ex.exception = 13;
    kvm_handle(k, 0);
    assert_failed("exception 13", "-accel tcg");
}

static void test_io(void)
{
    uint8_t *data = (uint8_t *)k->run + 4096;
    fresh();
    k->run->exit_reason = KVM_EXIT_IO;
    k->run->io.direction = KVM_EXIT_IO_OUT;
    k->run->io.port = 0x70, k->run->io.size = 2, k->run->io.count = 3, k->run->io.data_offset = 4096;
    memcpy(data, "\1\2\3\4\5\6", 6);
    kvm_handle(k, 0);
    g_assert_cmpuint(accesses, ==, 3);
    g_assert_cmphex(last_offset, ==, 0x70);
    g_assert_cmpuint(last_size, ==, 2);
    g_assert_cmphex(last_value, ==, 0x0605);
    k->run->io.direction = KVM_EXIT_IO_IN;
    kvm_handle(k, 0);
    g_assert_cmphex(load_le(data, 2), ==, 0x778b);
    g_assert_cmphex(load_le(data + 4, 2), ==, 0x778d);
    kvm_fetch_state(k); /* the kernel must take the answer before it tells the state */
    g_assert_cmpuint(runs, ==, 1);
    g_assert_cmpuint(gets, ==, 1);
    g_assert_false(k->loaded);
}

static void test_mmio(void)
{
    fresh();
    k->run->exit_reason = KVM_EXIT_MMIO;
    k->run->mmio.phys_addr = 0x200010, k->run->mmio.len = 4, k->run->mmio.is_write = 1;
    store_le32(k->run->mmio.data, 0xcafebabe);
    kvm_handle(k, 0);
    g_assert_cmphex(last_offset, ==, 0x10);
    g_assert_cmphex(last_value, ==, 0xcafebabe);
    k->run->mmio.is_write = 0, k->run->mmio.len = 8;
    kvm_handle(k, 0);
    g_assert_cmphex(load_le64(k->run->mmio.data), ==, 0x1122334455667789);
    k->run->mmio.len = 3; /* an access cut at the end of a page */
    kvm_handle(k, 0);
    k->run->mmio.phys_addr = 0x7fff0000, k->run->mmio.len = 4;
    kvm_handle(k, 0);
    g_assert_cmphex(load_le32(k->run->mmio.data), ==, 0xffffffff); /* nobody there */
}

/* An instruction that reads and then writes a device: whoever takes the state in between has the write done, too. */
static void test_pieces(void)
{
    fresh();
    k->run->exit_reason = KVM_EXIT_MMIO;
    k->run->mmio.phys_addr = 0x200010, k->run->mmio.len = 4, k->run->mmio.is_write = 0;
    kvm_handle(k, 0);
    k->run->mmio.is_write = 1;
    store_le32(k->run->mmio.data, 0x5a5a);
    pieces = 1;
    kvm_fetch_state(k);
    g_assert_cmpuint(runs, ==, 2);
    g_assert_cmpuint(accesses, ==, 2);
    g_assert_cmphex(last_value, ==, 0x5a5a);
    g_assert_false(k->unfinished || k->loaded);
    fresh();
    pieces = 1000; /* a kernel that never ends does not hold us up */
    k->unfinished = true;
    g_assert_false(kvm_finish_access(k));
    g_assert_cmpuint(runs, <, 100);
    pieces = 0;
    g_assert_true(kvm_finish_access(k));
}

/* Tried after some accesses; again at once when it paid, else ever more rarely. */
static void test_follow(void)
{
    fresh();
    kvm.follow = false;
    kvm_follow_init(k);
    for (unsigned i = 0; i < 100; i++)
        kvm_follow(k);
    g_assert_cmpuint(follows, ==, 0);
    kvm.follow = true;
    followed = 100;
    for (unsigned i = 0; i < 100; i++)
        kvm_follow(k);
    g_assert_cmpuint(follows, ==, 84);
    g_assert_cmpuint(k->followed, ==, 8400);
    followed = follows = 0;
    for (unsigned i = 0; i < 100000; i++)
        kvm_follow(k);
    g_assert_cmpuint(follows, >, 20);
    g_assert_cmpuint(follows, <, 40);
    followed = 100, follows = 0;
    v->debug.step = DEBUG_STEP; /* the debugger sees each instruction */
    for (unsigned i = 0; i < 10000; i++)
        kvm_follow(k);
    g_assert_cmpuint(follows, ==, 0);
    v->debug.step = DEBUG_RUN;
    for (unsigned i = 0; i < 10000; i++)
        kvm_follow(k);
    g_assert_cmpuint(follows, >, 5000);
    kvm_follow_free(k);
    kvm.follow = false;
}

/* --- slots --- */

static const struct kvm_userspace_memory_region *slot_at(uint64_t at)
{
    for (unsigned i = seen.count; i-- > 0;) {
        if (seen.r[i].guest_phys_addr == at)
            return &seen.r[i];
    }
    return NULL;
}

static void test_slots(void)
{
    MemRegion *ram = mem_ram_new("ram", 0x100000, NULL), *rom = mem_rom_new("rom", 0x2000, NULL, 0, NULL);
    MemRegion *small = mem_ram_new("small", 0x1000, NULL), *part = mem_alias_new("part", small, 0, 0x800);
    kvm.vm = 100;
    kvm.slot_limit = 8;
    kvm_slots_init(KVM_SPACE_MEMORY, machine.as_memory);
    mem_begin();
    mem_map(machine.memory, 0, ram, 0);
    mem_map(machine.memory, 0x8000, rom, 1); /* hides a piece of RAM */
    mem_map(machine.memory, 0x150000, part, 0);
    mem_commit();
    seen.count = 0;
    g_assert_true(kvm_slots_refresh(NULL));
    g_assert_cmpuint(kvm_slots_count(), ==, 3); /* half a page is no slot */
    g_assert_cmphex(slot_at(0)->memory_size, ==, 0x8000);
    g_assert_cmphex(slot_at(0x8000)->memory_size, ==, 0x2000);
    g_assert_cmphex(slot_at(0x8000)->flags, ==, KVM_MEM_READONLY);
    g_assert_cmphex(slot_at(0xa000)->memory_size, ==, 0xf6000);
    g_assert_true(slot_at(0xa000)->userspace_addr == (uintptr_t)mem_host(ram) + 0xa000);
    g_assert_cmphex(slot_at(0xa000)->flags, ==, 0);
    seen.count = 0;
    mem_set_enabled(rom, false);
    g_assert_true(kvm_slots_refresh(NULL));
    g_assert_cmpuint(kvm_slots_count(), ==, 1);
    g_assert_cmpuint(seen.count, ==, 4); /* three go, one comes, in this order */
    g_assert_cmphex(seen.r[2].memory_size, ==, 0);
    g_assert_cmphex(seen.r[3].memory_size, ==, 0x100000);
    seen.count = 0;
    g_assert_true(kvm_slots_refresh(NULL));
    g_assert_cmpuint(seen.count, ==, 0);
    kvm.slot_limit = 2;
    mem_set_enabled(rom, true);
    Error *err = NULL;
    g_assert_false(kvm_slots_refresh(&err));
    g_assert_nonnull(strstr(err->message, "2 slots"));
    error_free(err);
    kvm_slots_forget();
    kvm.vm = -1;
    mem_region_free(part);
    mem_region_free(small);
    mem_region_free(rom);
    mem_region_free(ram);
}

/* What a CPU in SMM sees has slots of its own, by the same numbers in another space; both are logged. */
static void test_spaces(void)
{
    MemRegion *ram = mem_ram_new("ram", 0x100000, NULL), *smram = mem_ram_new("smram", 0x20000, NULL),
              *smm = mem_container_new("smm", UINT64_MAX);
    MemRegion *rest = mem_alias_new("rest", machine.memory, 0, UINT64_MAX);
    enum { FIRST_OF_SMM = 1 << 16 };
    kvm.vm = 100;
    kvm.slot_limit = 8;
    mem_map(machine.memory, 0, ram, 0);
    mem_map(smm, 0, rest, 0);
    mem_map(smm, 0xa0000, smram, 1);
    machine.as_smm = as_new("smm", smm);
    g_assert_true(kvm_dirty_init(0, NULL));
    kvm_slots_init(KVM_SPACE_MEMORY, machine.as_memory);
    kvm_slots_init(KVM_SPACE_SMM, machine.as_smm);
    seen.count = 0;
    g_assert_true(kvm_slots_refresh(NULL));
    g_assert_cmpuint(kvm_slots_count(), ==, 4);
    g_assert_cmpuint(seen.count, ==, 4);
    g_assert_cmphex(seen.r[0].slot, ==, 0);
    g_assert_cmphex(seen.r[0].memory_size, ==, 0x100000);
    g_assert_cmphex(seen.r[1].slot, ==, FIRST_OF_SMM);
    g_assert_cmphex(seen.r[1].memory_size, ==, 0xa0000);
    g_assert_cmphex(seen.r[2].slot, ==, FIRST_OF_SMM + 1);
    g_assert_true(seen.r[2].userspace_addr == (uintptr_t)mem_host(smram));
    g_assert_true(ram_dirty_start(NULL));
    g_assert_cmphex(slot_at(0xa0000)->flags, ==, KVM_MEM_LOG_DIRTY_PAGES);
    log_reads = 0;
    ram_dirty_sync(); /* page 3 of each: those of the second space are pages of both blocks */
    g_assert_cmpuint(log_reads, ==, 4);
    g_assert_cmpuint(ram_dirty_count(), ==, 3);
    kvm_slots_note(FIRST_OF_SMM + 1, 5); /* as a ring names it */
    kvm_slots_note(7 << 16, 5);          /* none that we have made */
    ram_dirty_sync();
    g_assert_cmpuint(ram_dirty_count(), ==, 4);
    ram_dirty_stop();
    mem_set_enabled(smram, false); /* only the second space changes */
    seen.count = 0;
    g_assert_true(kvm_slots_refresh(NULL));
    g_assert_cmpuint(kvm_slots_count(), ==, 2);
    g_assert_cmphex(slot_at(0)->slot, ==, FIRST_OF_SMM);
    kvm_slots_forget();
    kvm.vm = -1;
    as_free(machine.as_smm);
    machine.as_smm = NULL;
    mem_region_free(smm);
    mem_region_free(rest);
    mem_region_free(smram);
    mem_region_free(ram);
}

/* --- written pages --- */

static void test_log(void)
{
    MemRegion *ram = mem_ram_new("ram", 0x100000, NULL);
    kvm.vm = 100;
    kvm.slot_limit = 8;
    g_assert_true(kvm_dirty_init(0, NULL));
    kvm_slots_init(KVM_SPACE_MEMORY, machine.as_memory);
    mem_map(machine.memory, 0, ram, 0);
    g_assert_true(kvm_slots_refresh(NULL));
    g_assert_true(ram_dirty_start(NULL));
    g_assert_cmphex(slot_at(0)->flags, ==, KVM_MEM_LOG_DIRTY_PAGES);
    log_reads = log_clears = 0;
    ram_dirty_sync();
    g_assert_cmpuint(log_reads, ==, 1);
    g_assert_cmpuint(ram_dirty_count(), ==, 1);
    MemSection s;
    rcu_read_lock();
    as_translate(machine.as_memory, 0, &s);
    rcu_read_unlock();
    g_assert_false(ram_dirty_take(s.ram_addr, 0x3000));
    g_assert_true(ram_dirty_take(s.ram_addr + 0x3000, 0x1000));
    log_refused = true; /* then all of it counts as written */
    ram_dirty_sync();
    g_assert_cmpuint(ram_dirty_count(), ==, 0x100);
    log_refused = false;
    ram_dirty_stop();
    g_assert_cmphex(slot_at(0)->flags, ==, 0);
    kvm_slots_forget();
    kvm.vm = -1;
    mem_region_free(ram);
}

/* --- doorbells --- */

static void test_doorbells(void)
{
    MemRegion *bar = mem_io_new("bar", 0x1000, &dev_ops, NULL, NULL);
    MemNotifier n = { .offset = 0x40, .size = 2, .match = true, .value = 3, .fd = 77 };
    kvm.vm = 100;
    kvm.machine = &machine;
    g_assert_true(kvm_ioevents_init());
    mem_add_notifier(bar, &n);
    g_assert_cmpint(doorbells, ==, 0); /* nobody sees the region */
    mem_map(machine.memory, 0x300000, bar, 0);
    g_assert_cmpint(doorbells, ==, 1);
    g_assert_cmphex(last_doorbell.addr, ==, 0x300040);
    g_assert_cmpuint(last_doorbell.flags, ==, KVM_IOEVENTFD_FLAG_DATAMATCH);
    g_assert_cmpuint(last_doorbell.datamatch, ==, 3);
    mem_move(bar, 0x400000);
    g_assert_cmpint(doorbells, ==, 1);
    g_assert_cmphex(last_doorbell.addr, ==, 0x400040);
    g_assert_cmpuint(kvm_ioevents_count(), ==, 1);
    mem_remove_notifier(bar, &n);
    g_assert_cmpint(doorbells, ==, 0);
    doorbells_refused = true; /* a limit: it stays an access */
    mem_add_notifier(bar, &n);
    g_assert_cmpuint(kvm_ioevents_count(), ==, 0);
    mem_remove_notifier(bar, &n);
    doorbells_refused = false;
    kvm_ioevents_forget();
    kvm.vm = -1;
    mem_region_free(bar);
}

/* --- writes that the kernel collects --- */

static void collect(struct kvm_coalesced_mmio_ring *ring, uint64_t at, unsigned len, uint64_t value, bool port)
{
    struct kvm_coalesced_mmio *w = &ring->coalesced_mmio[ring->last];
    *w = (struct kvm_coalesced_mmio){ .phys_addr = at, .len = len, .pio = port };
    store_le64(w->data, value);
    ring->last = (ring->last + 1) % ((4096 - sizeof(*ring)) / sizeof(*w));
}

static void test_collected(void)
{
    MemRegion *bar = mem_io_new("bar", 0x1000, &dev_ops, NULL, NULL),
              *over = mem_io_new("over", 4, &dev_ops, NULL, NULL);
    MemNotifier n = { .offset = 0x20, .size = 4, .fd = MEM_COALESCED };
    struct kvm_coalesced_mmio_ring *ring = (void *)((uint8_t *)k->run + 4096);
    fresh();
    kvm.vm = 100;
    kvm.machine = &machine;
    kvm.run_size = 8192;
    g_assert_true(kvm_ioevents_init());
    kvm_ioevents_vcpu_init(k);
    mem_add_notifier(bar, &n);
    mem_map(machine.memory, 0x300000, bar, 0);
    g_assert_cmpint(zone_count, ==, 1);
    g_assert_cmphex(zones[0].addr, ==, 0x300020);
    g_assert_cmpuint(zones[0].size, ==, 4);
    g_assert_cmpuint(kvm_ioevents_count(), ==, 0); /* no doorbell */
    mem_map(machine.memory, 0x300022, over, 1);    /* something else is in the middle: each write there counts */
    g_assert_cmpint(zone_count, ==, 0);
    mem_unmap(over);
    g_assert_cmpint(zone_count, ==, 1);
    memset(ring, 0, 4096);
    kvm_ioevents_flush();
    g_assert_cmpuint(accesses, ==, 0);
    ring->first = ring->last = (uint32_t)((4096 - sizeof(*ring)) / sizeof(ring->coalesced_mmio[0]) - 1); /* it wraps */
    collect(ring, 0x300020, 4, 0x1234, false);
    collect(ring, 0x300022, 2, 0x56, false);
    collect(ring, 0x71, 1, 0x77, true);
    kvm_ioevents_flush();
    g_assert_cmpuint(accesses, ==, 3);
    g_assert_cmphex(last_offset, ==, 0x71);
    g_assert_cmphex(last_value, ==, 0x77);
    g_assert_cmpuint(ring->first, ==, ring->last);
    g_assert_cmpuint(kvm_ioevents_collected(), ==, 3);
    collect(ring, 0x300020, 16, 0, false); /* the kernel does not do this; we survive it */
    kvm_ioevents_flush();
    g_assert_cmpuint(ring->first, ==, ring->last);
    g_assert_cmpuint(accesses, ==, 3);
    mem_remove_notifier(bar, &n);
    g_assert_cmpint(zone_count, ==, 0);
    kvm_ioevents_forget();
    kvm.vm = -1;
    mem_region_free(over);
    mem_region_free(bar);
}

/* --- Hyper-V's interfaces --- */

static void test_hyperv(void)
{
    X86Cpu *c = g_aligned_alloc0(1, sizeof(X86Cpu), 4096);
    KvmVcpu x = { .v = &c->v };
    bool known;
    Error *err = NULL;
    hyperv = false;
    g_assert_null(kvm_x86_hv_read());
    hyperv = true;
    const X86HypervHost *host = kvm_x86_hv_read();
    g_assert_cmphex(host->word[X86_HV_PRIVILEGES], ==, 0x2aff);
    g_assert_cmphex(host->word[X86_HV_MISC], ==, 0x80510);
    g_assert_cmphex(host->word[X86_HV_HINTS], ==, 0xc2c);
    x86_hv_defaults(&c->hv);
    kvm.irqchip = KVM_IRQCHIP_ON;
    enabled = 0;
    g_assert_true(kvm_x86_hv_init(&x, &err));
    g_assert_cmpuint(enabled, ==, 0);
    g_assert_true(x86_hv_option(&c->hv, "hv-synic", NULL, &known, &err) && known);
    g_assert_true(kvm_x86_hv_init(&x, &err));
    g_assert_cmpuint(enabled, ==, KVM_CAP_HYPERV_SYNIC2);
    cap_refused = true;
    g_assert_false(kvm_x86_hv_init(&x, &err));
    g_assert_nonnull(strstr(err->message, "'hv-synic': the kernel does not switch it on"));
    g_clear_pointer(&err, error_free);
    cap_refused = false;
    kvm.irqchip = KVM_IRQCHIP_OFF; /* it is a part of the local APIC */
    g_assert_false(kvm_x86_hv_init(&x, &err));
    g_assert_nonnull(strstr(err->message, "kernel-irqchip=on"));
    error_free(err);
    g_aligned_free(c);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    said = g_string_new(NULL);
    error_set_sink(hear, NULL);
    kvm_ioctl_hook = fake_ioctl;
    kvm.arch = &arch;
    v = g_aligned_alloc0(1, sizeof(Vcpu), 4096);
    k = g_new0(KvmVcpu, 1);
    k->v = v;
    k->run = g_malloc0(8192);
    v->arch = &guest;
    v->machine = &machine;
    machine.memory = mem_container_new("memory", UINT64_MAX);
    machine.io = mem_container_new("io", 0x10000);
    machine.as_memory = v->as = as_new("memory", machine.memory);
    machine.as_io = as_new("io", machine.io);
    mem_map(machine.io, 0, mem_io_new("ports", 0x10000, &dev_ops, NULL, NULL), 0);
    mem_map(machine.memory, 0x200000, mem_io_new("device", 0x1000, &dev_ops, NULL, NULL), 0);
    g_test_add_func("/kvm/errno", test_errno);
    g_test_add_func("/kvm/failures", test_failures);
    g_test_add_func("/kvm/io", test_io);
    g_test_add_func("/kvm/mmio", test_mmio);
    g_test_add_func("/kvm/pieces", test_pieces);
    g_test_add_func("/kvm/follow", test_follow);
    g_test_add_func("/kvm/rare", test_rare);
    g_test_add_func("/kvm/slots", test_slots);
    g_test_add_func("/kvm/spaces", test_spaces);
    g_test_add_func("/kvm/log", test_log);
    g_test_add_func("/kvm/doorbells", test_doorbells);
    g_test_add_func("/kvm/collected", test_collected);
    g_test_add_func("/kvm/hyperv", test_hyperv);
    return g_test_run();
}
