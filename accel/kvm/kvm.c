/* SPDX-License-Identifier: MIT */
/* KVM: /dev/kvm, options, the VM and its vCPUs (kernel documentation: virt/kvm/api.rst). */
#include "accel/kvm/kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "accel/tcg/tcg.h"
#include "hw/core/irqchip-host.h"

enum { API_VERSION = 12, SLOTS_DEFAULT = 32 };
#define DEVICE "/dev/kvm"

Kvm kvm = { .fd = -1, .vm = -1 };
static const KvmArch *known_arch; /* a host has one */
int (*kvm_ioctl_hook)(int fd, unsigned long request, void *arg);

void kvm_arch_register(const KvmArch *arch) { known_arch = arch; }

int kvm_ioctl(int fd, unsigned long request, void *arg)
{
    int r;
    do {
        r = kvm_ioctl_hook ? kvm_ioctl_hook(fd, request, arg) : ioctl(fd, request, arg);
    } while (r < 0 && errno == EINTR && request != KVM_RUN);
    return r;
}

int kvm_check(unsigned capability)
{
    int r = kvm_ioctl(kvm.vm, KVM_CHECK_EXTENSION, (void *)(uintptr_t)capability);
    return r < 0 ? 0 : r;
}

/* --- is it there? --- */

static const char *open_remedy(int os_errno)
{
    switch (os_errno) {
    case ENOENT: return "load the module (modprobe kvm_intel or kvm_amd) and enable virtualization in the firmware";
    case EACCES:
    case EPERM: return "add your user to the group that owns it (usually 'kvm')";
    case ENODEV:
    case ENXIO: return "this host's CPU has no virtualization, or the firmware has disabled it";
    case EBUSY: return "another hypervisor uses the CPU's virtualization; end it";
    default: return "see the kernel's log";
    }
}

/* The open device, or -1 and a reason of one line. */
static int open_device(char **why_not)
{
    int fd = open(DEVICE, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        *why_not = g_strdup_printf("cannot open %s: %s; %s", DEVICE, g_strerror(errno), open_remedy(errno));
        return -1;
    }
    int version = kvm_ioctl(fd, KVM_GET_API_VERSION, NULL);
    if (version == API_VERSION)
        return fd;
    if (version < 0)
        *why_not = g_strdup_printf("%s: not KVM: %s", DEVICE, g_strerror(errno));
    else
        *why_not = g_strdup_printf("%s: interface version %d instead of %d; use another kernel", DEVICE, version,
                                   API_VERSION);
    close(fd);
    return -1;
}

static bool right_arch(const char *arch, char **why_not)
{
    if (known_arch && !g_strcmp0(known_arch->arch, arch))
        return true;
    if (known_arch && arch)
        *why_not = g_strdup_printf("runs guests of the host's kind (%s) only, not %s", known_arch->arch, arch);
    else
        *why_not = g_strdup("this machine has no CPU that the host could run");
    return false;
}

static bool kvm_available(const char *arch, char **why_not)
{
    if (!right_arch(arch, why_not))
        return false;
    int fd = open_device(why_not);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static bool kvm_worthwhile(const char *arch, char **why_not)
{
    int fd = open_device(why_not);
    if (fd < 0)
        return false;
    bool fast = known_arch->fast(fd, why_not);
    close(fd);
    return fast;
}

/* --- options --- */

enum { IRQCHIP_OF_BOARD = KVM_IRQCHIP_ON + 1 };
static const char *const irqchip_modes[] = {
    [KVM_IRQCHIP_OFF] = "off", [KVM_IRQCHIP_SPLIT] = "split", [KVM_IRQCHIP_ON] = "on", [IRQCHIP_OF_BOARD] = "auto", NULL
};
static const char *const notify_modes[] = { [KVM_NOTIFY_AUTO] = "auto",
                                            [KVM_NOTIFY_RUN] = "run",
                                            [KVM_NOTIFY_ERROR] = "internal-error",
                                            [KVM_NOTIFY_OFF] = "disable",
                                            NULL };

static struct Asked { int irqchip; uint32_t ring; bool follow; KvmTuning tuning; } asked;
typedef struct Asked Asked;

static const Property kvm_props[] = {
    DEFINE_PROP_ENUM("kernel-irqchip", Asked, irqchip, IRQCHIP_OF_BOARD, irqchip_modes,
                     "interrupt controllers in the kernel: all, the local ones, none; auto: as -machine says"),
    DEFINE_PROP_U32("dirty-ring-size", Asked, ring, 0,
                    "written pages told by a ring of that many entries for each vCPU; 0: by logs"),
    DEFINE_PROP_BOOL("follow-io", Asked, follow, true,
                     "run what comes behind a device access here while more accesses follow"),
    DEFINE_PROP_SIZE("kvm-shadow-mem", Asked, tuning.shadow_mem, 0,
                     "x86: memory of the kernel's own tables of the guest; 0: as it likes"),
    DEFINE_PROP_ENUM(
        "notify-vmexit", Asked, tuning.notify, KVM_NOTIFY_AUTO, notify_modes,
        "x86: a guest that lets no event in goes on, ends, is not looked for; auto: run where the CPU knows it"),
    DEFINE_PROP_U32("notify-window", Asked, tuning.notify_window, 0,
                    "x86: how long beyond the CPU's own limit, in turns of the TSC"),
    DEFINE_PROP_END
};

/*
 * What the user wants, of -accel or the board's property (on by default); a kernel that lacks the default gets the next
 * best.
 */
static bool make_irqchip(Machine *m, Error **errp)
{
    const Property *props = m->type->props;
    g_autofree char *board = props && props_find(props, "kernel-irqchip") ? props_get(props, m, "kernel-irqchip")
                                                                          : NULL;
    bool meant = asked.irqchip != IRQCHIP_OF_BOARD;
    const char *want = meant ? irqchip_modes[asked.irqchip] : board ? board : "off";
    for (unsigned mode = 0; mode < IRQCHIP_OF_BOARD; mode++) {
        if (!strcmp(irqchip_modes[mode], want))
            kvm.irqchip = mode;
    }
    if (!board)
        kvm.irqchip = KVM_IRQCHIP_OFF;
    while (kvm.arch->make_irqchip && !kvm.arch->make_irqchip(kvm.irqchip)) {
        if (meant || strcmp(want, "on")) {
            error_setf(
                errp,
                "kvm: this kernel has no interrupt controllers of the kind kernel-irqchip=%s; use kernel-irqchip=off",
                want);
            return false;
        }
        kvm.irqchip--;
    }
    return true;
}

/*
 * System management mode needs an address space of its own in the kernel. Boards offer it where it is there, unless the
 * user does not want it.
 */
static bool choose_smm(Machine *m, Error **errp)
{
    const Property *props = m->type->props;
    kvm.smm = kvm_check(KVM_CAP_X86_SMM) > 0 && kvm_check(KVM_CAP_MULTI_ADDRESS_SPACE) >= KVM_SPACES;
    if (kvm.smm || !props || !props_find(props, "smm"))
        return true;
    g_autofree char *asked = props_get(props, m, "smm");
    if (g_strcmp0(asked, "on"))
        return props_set(props, m, "machine", "smm", "off", errp);
    error_setf(
        errp, "machine '%s': smm=on: this host's kernel does not run system management mode; use smm=off or -accel tcg",
        m->type->name);
    return false;
}

/* --- set-up --- */

static bool need(unsigned capability, const char *name, Error **errp)
{
    if (kvm_check(capability) > 0)
        return true;
    error_setf(errp, "kvm: this kernel lacks %s; use a newer one or -accel tcg", name);
    return false;
}

static void close_all(void)
{
    if (kvm.vm >= 0)
        close(kvm.vm);
    if (kvm.fd >= 0)
        close(kvm.fd);
    kvm.fd = kvm.vm = -1;
    irqchip_host_set(NULL);
    event_doors_set(NULL);
    kvm_routes_forget();
    kvm_ioevents_forget();
    kvm_dma_forget();
}

static bool make_vm(Machine *m, Error **errp)
{
    char *why = NULL;
    kvm.fd = open_device(&why);
    if (kvm.fd < 0) {
        error_setf(errp, "kvm: %s", why);
        g_free(why);
        return false;
    }
    unsigned long vm_type = 0;
    if (kvm.arch->choose && !kvm.arch->choose(m, &vm_type, errp))
        return false;
    kvm.vm = kvm_ioctl(kvm.fd, KVM_CREATE_VM, (void *)vm_type);
    if (kvm.vm < 0) {
        error_set_errno(
            errp, errno,
            "kvm: the kernel refuses a virtual machine (another hypervisor, a limit of memory?); use -accel tcg");
        return false;
    }
    int slots = kvm_check(KVM_CAP_NR_MEMSLOTS), size = kvm_ioctl(kvm.fd, KVM_GET_VCPU_MMAP_SIZE, NULL);
    kvm.slot_limit = slots > 0 ? (unsigned)slots : SLOTS_DEFAULT;
    if (size < (int)sizeof(struct kvm_run)) {
        error_setf(errp, "kvm: the kernel's vCPU structure has %d bytes; use another kernel or -accel tcg", size);
        return false;
    }
    kvm.run_size = (size_t)size;
    return need(KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY", errp) &&
           need(KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT", errp) &&
           need(KVM_CAP_READONLY_MEM, "KVM_CAP_READONLY_MEM", errp);
}

static bool tune(Error **errp)
{
    const KvmTuning *t = &asked.tuning;
    if (kvm.arch->tune)
        return kvm.arch->tune(t, errp);
    bool nothing = !t->shadow_mem && t->notify == KVM_NOTIFY_AUTO && !t->notify_window;
    if (!nothing)
        error_setf(errp, "kvm: kvm-shadow-mem, notify-vmexit and notify-window are for x86 hosts; leave them out");
    return nothing;
}

static bool kvm_init(Machine *m, Error **errp)
{
    kvm.arch = known_arch;
    kvm.machine = m;
    close_all();
    if (!make_vm(m, errp) || !choose_smm(m, errp) || !make_irqchip(m, errp) || !kvm_dirty_init(asked.ring, errp) ||
        !tune(errp) || !kvm.arch->vm_init(errp)) {
        close_all();
        return false;
    }
    kvm.follow = asked.follow && kvm.arch->follow && kvm_check(KVM_CAP_SYNC_REGS) > 0;
    kvm_dma_init();
    tcg_tables_init();
    kvm_slots_init(KVM_SPACE_MEMORY, m->as_memory);
    return true;
}

/* A vCPU that the kernel has made stays for the life of the VM: one that went is kept for the next CPU of its id. */
typedef struct Parked { uint32_t arch_id; int fd; } Parked;
static GArray *parked;

static void park(uint32_t arch_id, int fd)
{
    Parked p = { arch_id, fd };
    if (!parked)
        parked = g_array_new(false, false, sizeof(Parked));
    g_array_append_val(parked, p);
}

static uint32_t kernel_id(const Vcpu *v) { return kvm.arch->vcpu_by_index ? v->index : v->port.arch_id; }

static int take_vcpu(uint32_t arch_id, bool *reused)
{
    for (unsigned i = 0; parked && i < parked->len; i++) {
        Parked p = g_array_index(parked, Parked, i);
        if (p.arch_id != arch_id)
            continue;
        g_array_remove_index_fast(parked, i);
        *reused = true;
        return p.fd;
    }
    return kvm_ioctl(kvm.vm, KVM_CREATE_VCPU, (void *)(uintptr_t)arch_id);
}

static void close_parked(void)
{
    for (unsigned i = 0; parked && i < parked->len; i++)
        close(g_array_index(parked, Parked, i).fd);
    g_clear_pointer(&parked, g_array_unref);
}

static bool kvm_vcpu_init(Vcpu *v, Error **errp)
{
    if (kvm.arch->before_vcpu && !kvm.arch->before_vcpu(v, errp))
        return false;
    KvmVcpu *k = g_new0(KvmVcpu, 1);
    k->v = v;
    k->fd = take_vcpu(kernel_id(v), &k->reused);
    if (k->fd < 0) {
        error_set_errno(errp, errno, "kvm: vCPU %u (id %u): the kernel makes no more; use fewer CPUs", v->index,
                        v->port.arch_id);
        g_free(k);
        return false;
    }
    k->run = mmap(NULL, kvm.run_size, PROT_READ | PROT_WRITE, MAP_SHARED, k->fd, 0);
    if (k->run == MAP_FAILED || !kvm_dirty_vcpu_init(k, errp) || !tcg_vcpu_tables_init(v, errp)) {
        if (k->run == MAP_FAILED)
            error_set_errno(errp, errno, "kvm: vCPU %u: mapping its structure", v->index);
        park(kernel_id(v), k->fd);
        g_free(k);
        return false;
    }
    v->kvm = k;
    if (kvm.smm && !v->index) /* a board without SMRAM: SMM has the memory that all have */
        kvm_slots_init(KVM_SPACE_SMM, v->machine->as_smm ? v->machine->as_smm : v->machine->as_memory);
    kvm_ioevents_vcpu_init(k);
    kvm_follow_init(k);
    return kvm.arch->vcpu_init(k, errp);
}

static void kvm_vcpu_free(Vcpu *v)
{
    KvmVcpu *k = v->kvm;
    if (!k)
        return;
    v->kvm = NULL;
    kvm.arch->vcpu_free(k);
    kvm_dirty_vcpu_free(k);
    kvm_follow_free(k);
    munmap(k->run, kvm.run_size);
    park(kernel_id(v), k->fd);
    g_free(k);
    tcg_vcpu_tables_free(v);
    if (vcpu_count() <= 1) {
        close_parked();
        kvm_slots_forget();
        close_all();
    }
}

/* --- info --- */

static const char *const exit_names[] = {
    [KVM_EXIT_IO] = "port I/O",
    [KVM_EXIT_MMIO] = "memory-mapped I/O",
    [KVM_EXIT_HLT] = "HLT",
    [KVM_EXIT_DEBUG] = "debug",
    [KVM_EXIT_IRQ_WINDOW_OPEN] = "interrupt window",
    [KVM_EXIT_SHUTDOWN] = "shutdown",
    [KVM_EXIT_SET_TPR] = "TPR",
    [KVM_EXIT_IOAPIC_EOI] = "EOI",
    [KVM_EXIT_DIRTY_RING_FULL] = "dirty ring full",
    [KVM_EXIT_INTERNAL_ERROR] = "internal error",
    [KVM_EXIT_FAIL_ENTRY] = "failed entry",
    [KVM_EXIT_UNKNOWN] = "unknown",
    [KVM_EXIT_SYSTEM_EVENT] = "system event",
    [KVM_EXIT_ARM_NISV] = "access without syndrome",
    [KVM_EXIT_NOTIFY] = "notify",
};

static void kvm_info(GString *out)
{
    g_string_append_printf(out, "KVM: kernel-irqchip=%s, smm=%s, %u memory slots of %u\n", irqchip_modes[kvm.irqchip],
                           kvm.smm ? "on" : "off", kvm_slots_count(), kvm.slot_limit);
    kvm_irq_info(out);
    for (unsigned i = 0; i < vcpu_count(); i++) {
        const KvmVcpu *k = vcpu_get(i) ? vcpu_get(i)->kvm : NULL;
        if (!k)
            continue;
        g_string_append_printf(out, "vCPU %u: kicks %" G_GUINT64_FORMAT, i, k->interrupted);
        for (unsigned r = 0; r < G_N_ELEMENTS(k->exits); r++) {
            if (!k->exits[r])
                continue;
            if (r < G_N_ELEMENTS(exit_names) && exit_names[r])
                g_string_append_printf(out, ", %s %" G_GUINT64_FORMAT, exit_names[r], k->exits[r]);
            else
                g_string_append_printf(out, ", reason %u %" G_GUINT64_FORMAT, r, k->exits[r]);
        }
        if (k->followed)
            g_string_append_printf(out, ", followed accesses %" G_GUINT64_FORMAT " in %" G_GUINT64_FORMAT " turns",
                                   k->followed, k->turns);
        g_string_append_c(out, '\n');
    }
}

static const AccelType kvm_type = {
    .name = "kvm",
    .desc = "the host's CPU runs guest code; guests of the host's kind on x86-64 and arm64 Linux hosts",
    .props = kvm_props,
    .options = &asked,
    .available = kvm_available,
    .worthwhile = kvm_worthwhile,
    .init = kvm_init,
    .vcpu_init = kvm_vcpu_init,
    .vcpu_free = kvm_vcpu_free,
    .vcpu_thread = kvm_thread,
    .kick = kvm_kick,
    .standing = kvm_standing,
    .info = kvm_info,
    .debug = &kvm_debug_ops,
};
ACCEL_REGISTER(kvm_type)
