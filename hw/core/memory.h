/* SPDX-License-Identifier: MIT */
/* The memory map: regions in a tree, flattened into views that are published by RCU. */
#ifndef HW_CORE_MEMORY_H
#define HW_CORE_MEMORY_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>
#include "base/error.h"
#include "base/thread.h"

typedef uint64_t hwaddr;
typedef struct MemRegion MemRegion;
typedef struct AddressSpace AddressSpace;

/* What an access came back with; OR-ed when an access has several parts. */
typedef enum MemResult { MEM_OK = 0, MEM_ERROR = 1 /* device refused */, MEM_UNMAPPED = 2 } MemResult;

/* Who asks. A CPU fills cpu (index) and, on x86, smm; a PCI function fills requester. */
typedef struct MemAttrs {
    unsigned cpu : 16;       /* index of the vCPU, 0xffff for a device */
    unsigned requester : 16; /* PCI bus/device/function */
    unsigned secure : 1, user : 1, smm : 1;
} MemAttrs;
#define MEM_ATTRS_DEVICE ((MemAttrs){ .cpu = 0xffff })

/*
 * Hooks of an I/O region, called with the region's lock domain held; offset < region size, size 1, 2, 4 or 8. The core
 * splits and joins accesses to min_size..max_size (0: 1 and 8... as the guest asked), naturally aligned unless
 * `unaligned`. big_endian: the device's registers are big-endian (values are swapped on the way). Values are in the low
 * bits.
 */
typedef struct MemOps {
    MemResult (*read)(void *opaque, hwaddr offset, unsigned size, uint64_t *value, MemAttrs attrs);
    MemResult (*write)(void *opaque, hwaddr offset, unsigned size, uint64_t value, MemAttrs attrs);
    uint8_t min_size, max_size;
    bool unaligned, big_endian;
} MemOps;

/*
 * Regions. A region lives until mem_region_free(), which unmaps it first; the view that readers still hold keeps RAM
 * alive until an RCU grace period has passed. Changes to the tree take the map lock inside (any thread that does not
 * hold an RCU read lock); several changes between mem_begin() and mem_commit() are published as one view.
 */
MemRegion *mem_container_new(const char *name, uint64_t size); /* size UINT64_MAX: the whole 2^64 */
/* Page-aligned anonymous host memory, zeroed lazily. Fails when the host refuses. */
MemRegion *mem_ram_new(const char *name, uint64_t size, Error **errp);
/* Contents never change by guest writes (they are ignored); data (may be NULL) is copied in. */
MemRegion *mem_rom_new(const char *name, uint64_t size, const void *data, uint64_t data_size, Error **errp);
/* Reads come from host memory, writes go to ops->write: flash and PAM-style shadowing. */
MemRegion *mem_romd_new(const char *name, uint64_t size, const MemOps *ops, void *opaque, LockDomain *domain,
                        Error **errp);
MemRegion *mem_io_new(const char *name, uint64_t size, const MemOps *ops, void *opaque, LockDomain *domain);
/* Shows [offset, offset + size) of target. */
MemRegion *mem_alias_new(const char *name, MemRegion *target, uint64_t offset, uint64_t size);
void mem_region_free(MemRegion *r);
/* Call free_opaque(opaque) when the last reader of the freed region is gone. */
void mem_set_opaque_free(MemRegion *r, void (*free_opaque)(void *opaque));

void mem_map(MemRegion *container, hwaddr at, MemRegion *r, int priority); /* higher priority hides lower */
void mem_unmap(MemRegion *r);
void mem_move(MemRegion *r, hwaddr at);
void mem_set_enabled(MemRegion *r, bool enabled);
void mem_set_readonly(MemRegion *r, bool readonly); /* RAM and aliases: guest writes are ignored */
void mem_set_alias_offset(MemRegion *r, uint64_t offset);
uint64_t mem_size(const MemRegion *r);
void *mem_host(const MemRegion *r); /* RAM/ROM/ROMD: host address; else NULL */
void mem_begin(void);
void mem_commit(void);

/*
 * A write of the guest at this place that only has to be noticed: where the accelerator can (event_doors()->notifiers),
 * it signals the eventfd and ops->write is not called. size: of the access, 1 to 8; 0: any. match: only this value.
 * Undone by mem_remove_notifier() with the same values before fd is closed and the region freed. Main thread or the
 * region's domain.
 *
 * fd MEM_COALESCED: nobody can tell when writes to these `size` bytes (of any width) arrive, as long as they do before
 * whatever the guest does next that leaves it: index and argument registers. The accelerator may collect them;
 * ops->write gets them in order.
 */
enum { MEM_COALESCED = -1 };
typedef struct MemNotifier {
    hwaddr offset;
    unsigned size;
    bool match;
    uint64_t value;
    int fd;
} MemNotifier;
void mem_add_notifier(MemRegion *r, const MemNotifier *n);
void mem_remove_notifier(MemRegion *r, const MemNotifier *n);
/*
 * For accelerators: every notifier that `as` shows now (map lock held), and a hook for changes of them (map lock held).
 */
typedef void MemNotifierFn(hwaddr at, const MemNotifier *n, void *opaque);
void as_foreach_notifier(AddressSpace *as, MemNotifierFn *fn, void *opaque);
void mem_set_notifier_hook(void (*changed)(void));

/* Address spaces: "memory", "I/O", a PCI function's bus-master view, SMM. */
AddressSpace *as_new(const char *name, MemRegion *root);
void as_free(AddressSpace *as);

/*
 * Counts every published change of any view, and every flush of an IOMMU; a reader that caches a translation compares
 * it.
 */
uint64_t mem_generation(void);
/* Called (map lock held, new view published) after each commit that changed `as`: e.g. the vCPUs flush their TLBs. */
typedef void MemChangedFn(void *opaque);
void as_add_listener(AddressSpace *as, MemChangedFn *fn, void *opaque);
void as_remove_listener(AddressSpace *as, MemChangedFn *fn, void *opaque); /* not from within fn */

/*
 * Look-up of one address; the caller is inside rcu_read_lock() (all threads made by thread_start() are registered) and
 * may use the result until it leaves. `len`: bytes from addr on that the same entry covers.
 */
typedef struct MemSection {
    MemRegion *region; /* NULL: unmapped */
    uint8_t *host;     /* host address of addr for RAM/ROM(D reads), else NULL */
    hwaddr offset;     /* of addr in region */
    uint64_t len;
    bool readonly;     /* host may be read but not written */
    uint64_t ram_addr; /* RAM/ROM: address in the flat space of all RAM blocks (for dirty and code bitmaps), else ~0 */
} MemSection;
void as_translate(AddressSpace *as, hwaddr addr, MemSection *out);
/*
 * The same for an access of a device, whose space may lead through an IOMMU: MEM_READ, MEM_WRITE or both. What the
 * IOMMU does not allow is unmapped, and it has noted the fault unless MEM_QUIET. Translations hold until
 * mem_generation() is another.
 */
enum { MEM_READ = 1, MEM_WRITE = 2, MEM_QUIET = 4 };
void as_translate_for(AddressSpace *as, hwaddr addr, unsigned access, MemSection *out);
/* All that `as` shows now, in order of address, without what is unmapped. fn is inside rcu_read_lock(). */
typedef void MemSectionFn(hwaddr at, const MemSection *s, void *opaque);
void as_foreach_section(AddressSpace *as, MemSectionFn *fn, void *opaque);

/*
 * A region that an IOMMU translates, all 2^64 bytes: accesses of devices go on in `to`. find: the mapping that holds
 * addr, false: none. fault: an access that there was no mapping for, or that the mapping does not allow. Both are
 * called in any thread, under any device's domain and inside rcu_read_lock(): leaf locks only. Mappings are kept per
 * thread: after one has gone or has become another, flush.
 */
typedef struct IommuEntry {
    hwaddr first, last, to; /* first is at `to` */
    unsigned access;        /* MEM_READ | MEM_WRITE */
} IommuEntry;
typedef void IommuEntryFn(const IommuEntry *e, void *opaque);
typedef struct IommuOps {
    bool (*find)(void *opaque, hwaddr addr, IommuEntry *out);
    void (*foreach)(void *opaque, IommuEntryFn *fn, void *fn_opaque); /* all mappings, in order; fn takes no lock */
    void (*fault)(void *opaque, hwaddr addr, unsigned access);
} IommuOps;
MemRegion *mem_iommu_new(const char *name, const IommuOps *ops, void *opaque, AddressSpace *to);
void mem_iommu_flush(MemRegion *r); /* any thread */

/* Copy; any length; takes RCU and lock domains inside. Reads of unmapped addresses give all ones. */
MemResult as_read(AddressSpace *as, hwaddr addr, void *buf, uint64_t len, MemAttrs attrs);
MemResult as_write(AddressSpace *as, hwaddr addr, const void *buf, uint64_t len, MemAttrs attrs);
/* One access of 1, 2, 4 or 8 bytes, little-endian value; an I/O region sees just this access. */
MemResult as_load(AddressSpace *as, hwaddr addr, unsigned size, uint64_t *value, MemAttrs attrs);
MemResult as_store(AddressSpace *as, hwaddr addr, unsigned size, uint64_t value, MemAttrs attrs);
/* Write ROM contents too (loaders). */
MemResult as_write_rom(AddressSpace *as, hwaddr addr, const void *buf, uint64_t len);
/* For the access whose section is known already (softmmu's slow path): I/O, ROMD writes, ROM; not plain RAM writes. */
MemResult mem_io_read(const MemSection *s, unsigned size, uint64_t *value, MemAttrs attrs);
MemResult mem_io_write(const MemSection *s, unsigned size, uint64_t value, MemAttrs attrs);

/*
 * RAM blocks share one flat "ram_addr" space. Every write to RAM that does not come through a vCPU's own softmmu fast
 * path (DMA, loaders, as_write) reports here after the write, so that translated code is dropped and dirty pages known.
 * One hook, set once by the accelerator before the machine runs; called without locks.
 */
typedef void RamWrittenFn(void *opaque, uint64_t ram_addr, uint64_t len);
void mem_set_ram_written_hook(RamWrittenFn *fn, void *opaque);
uint64_t mem_ram_addr_limit(void); /* all ram_addr are below it */
void mem_ram_written(uint64_t ram_addr, uint64_t len);
uint8_t *mem_ram_host(uint64_t ram_addr); /* host address, NULL when out of range */

/* Text of the tree and of the flat view: monitor's `info mtree`. */
void mem_print_tree(GString *out);
void as_print_flat(AddressSpace *as, GString *out);
#endif
