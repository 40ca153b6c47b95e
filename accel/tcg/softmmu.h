/* SPDX-License-Identifier: MIT */
/* Guest memory as helpers see it, and the upkeep of the TLBs. Own vCPU thread only, unless said otherwise. */
#ifndef ACCEL_TCG_SOFTMMU_H
#define ACCEL_TCG_SOFTMMU_H

#include "accel/guest-arch.h"

/*
 * One guest access of 1..8 bytes, any alignment, MMIO included; unwinds on a fault (nothing may be held).
 * Little-endian.
 */
uint64_t guest_load(Vcpu *v, uint64_t va, unsigned size, unsigned bank);
void guest_store(Vcpu *v, uint64_t va, unsigned size, uint64_t value, unsigned bank);
/*
 * Check that [va, va+len) may be accessed (len <= 4096), else unwind; A/D bits are set. Stores after it do not fault.
 */
void guest_probe(Vcpu *v, uint64_t va, unsigned len, AccessKind kind, unsigned bank);
/*
 * May the byte at va be read now, from RAM and with nothing that a fault, a device or a watchpoint would do? Never
 * unwinds, records nothing.
 */
bool guest_readable(Vcpu *v, uint64_t va, unsigned bank);
/*
 * Host address when va's page is plain RAM for this access now (fills the TLB), NULL for MMIO and code pages; unwinds
 * on a fault.
 */
void *guest_host(Vcpu *v, uint64_t va, AccessKind kind, unsigned bank);
/* Copies, page by page (each page is probed when it is reached). */
void guest_read(Vcpu *v, uint64_t va, void *buf, unsigned len, unsigned bank);
void guest_write(Vcpu *v, uint64_t va, const void *buf, unsigned len, unsigned bank);
/* Atomic on RAM, under the split lock on MMIO or across pages: old value; op: 0 xchg 1 add 2 and 3 or 4 xor. */
uint64_t guest_atomic_rmw(Vcpu *v, uint64_t va, unsigned size, unsigned op, uint64_t value, unsigned bank);
bool guest_cmpxchg(Vcpu *v, uint64_t va, unsigned size, uint64_t *expected, uint64_t desired, unsigned bank);
bool guest_cmpxchg16(Vcpu *v, uint64_t va, uint64_t expected[2], const uint64_t desired[2], unsigned bank);

/*
 * One access to a space other than memory (x86: ports): like an MMIO access, other vCPUs need not wait for this one
 * while it blocks in a device.
 */
uint64_t guest_space_load(Vcpu *v, AddressSpace *as, hwaddr at, unsigned size);
void guest_space_store(Vcpu *v, AddressSpace *as, hwaddr at, unsigned size, uint64_t value);

/* Debugger / monitor view: no faults, no side effects, ROM writable; false when unmapped. vCPU paused or own thread. */
bool guest_debug_read(Vcpu *v, uint64_t va, void *buf, unsigned len);
bool guest_debug_write(Vcpu *v, uint64_t va, const void *buf, unsigned len); /* drops translated code */

/* Physical memory as page walkers see it (RAM fast; never faults: all ones from nothing). */
uint64_t phys_load(Vcpu *v, hwaddr pa, unsigned size);
/* The same, false where nothing answers (*value is all ones). */
bool phys_try_load(Vcpu *v, hwaddr pa, unsigned size, uint64_t *value);
bool phys_cmpxchg(Vcpu *v, hwaddr pa, unsigned size, uint64_t expected, uint64_t desired); /* A/D bits */

/*
 * TLB maintenance. `asid` is what walks are tagged with from tlb_set_asid() on, any 32-bit number but TLB_ANY_ASID:
 * entries of other asids stay in the second level. Flushing takes effect before the next guest instruction; the
 * caller's instruction ends its block with EXIT or LOOKUP when code mappings can change.
 */
void tlb_flush_all(Vcpu *v);                            /* every asid, also global */
void tlb_flush_non_global(Vcpu *v, uint32_t asid);      /* all but global entries of one asid */
#define TLB_ANY_ASID UINT32_MAX
/* Incl. the large page around it; also global ones; whatever bits 63:56 of the addresses that were walked were. */
void tlb_flush_page(Vcpu *v, uint64_t va, uint32_t asid);
/*
 * The same on every vCPU: at once on this one; the others are kicked and take it at their next safe point.
 * tlb_broadcast_wait: return when they all have (not with locks held; in_guest-like: the caller's instruction ends its
 * block).
 */
typedef enum TlbFlush { TLB_FLUSH_ALL, TLB_FLUSH_NON_GLOBAL, TLB_FLUSH_PAGE } TlbFlush;
void tlb_flush_broadcast(Vcpu *v, TlbFlush what, uint64_t va, uint32_t asid);
void tlb_broadcast_wait(Vcpu *v);
void tlb_set_asid(Vcpu *v, uint32_t asid);              /* switch without losing what is cached */
/* Mode bits of the next lookup (part of the block key); cheap when unchanged. */
void vcpu_set_mode(Vcpu *v, uint64_t mode);
#endif
