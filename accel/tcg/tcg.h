/* SPDX-License-Identifier: MIT */
/* Private to accel/tcg: blocks, TLBs beyond the fast level, counters. */
#ifndef ACCEL_TCG_TCG_H
#define ACCEL_TCG_TCG_H

#include "accel/accel.h"
#include "accel/guest-arch.h"
#include "accel/tcg/flags.h"
#include "accel/tcg/ir.h"
#include "accel/tcg/softmmu.h"
#include "accel/tcg/trans.h"
#include "base/bits.h"
#include "base/log.h"
#include "base/rcu.h"

enum {
    TLB_USED = 512,           /* filled slots of a bank that are remembered, so that a flush need not clear all */
    TLB2_BITS = 13, TLB2_SIZE = 1 << TLB2_BITS,
    /* bits: sparse, a false hit flushes all */
    LARGE_FILTER = 1 << 17, PAGE_HASH_BITS = 17, JC_FILTER = 1 << PAGE_HASH_BITS,
    PHYS_CACHE = 64,
    CODE_MAP = 1 << CODE_TLB_BITS,
    BLOCK_HASH_BITS = 18,
    RAM_PAGES_MAX = 1 << 26,  /* 256 GiB of guest RAM and ROM */
    CODE_PIECE_BITS = 6,      /* the bitmap of a code page has a bit per 64 bytes */
    JC_MODES = 64,
    /* code map entries of pages that are not global, listed so that a switch need not look at all */
    CODE_LOCAL = 1024,
    FLUSH_QUEUE = 32,         /* requests of other vCPUs; more: everything is flushed */
};
#define NO_PAGE (~UINT64_C(0))

enum { PERM_R = 1, PERM_W = 2, PERM_X = 4, PERM_GLOBAL = 8, PERM_ROM = 16, PERM_ALIGNED = 32, PERM_ANY_TOP = 64,
       PERM_WATCH = 128 /* holds watched data */ };

/* Second level: every translation that a walk gave, with what the fast level can't hold. Valid: see tlb2_valid(). */
typedef struct TlbEntry {
    uint64_t vpage;           /* virtual address of the page */
    hwaddr phys;              /* physical address of the page */
    uint8_t *host;            /* of the page, NULL: not RAM or ROM */
    uint64_t ram;             /* ram_addr of the page, NO_PAGE */
    uint64_t stamp;           /* value of TcgVcpu.stamp when filled; 0: empty */
    uint32_t asid;
    uint8_t bank, perm, page_bits;
} TlbEntry;

/* Where code of a virtual page comes from; slot = low bits of the page number, as in Vcpu.code_tlb. */
typedef struct CodeMap {
    uint64_t vpage;
    uint64_t ram;             /* ram_addr of the page, NO_PAGE: not cacheable code */
    uint8_t *host;
    hwaddr phys;
    uint32_t id;              /* mapping id, 0: entry empty */
    uint8_t bank;
    bool global;
    uint8_t page_bits;        /* below TCG_PAGE_BITS: only that piece can be executed like this; then id is 0 */
} CodeMap;

typedef struct Block Block;

/* A direct jump out of a block. Chained in the target's `in` list while linked. Guarded by tcg.lock. */
typedef struct BlockLink {
    Block *from, *to;
    struct BlockLink *next_in;
    uint64_t pc;              /* target guest pc */
    uint32_t jmp;             /* offset of the rel32 field in the code buffer */
    uint32_t jmp_flags;       /* offset of the rel32 of the flag-storing way, 0: none */
    uint32_t id;              /* offset of the imm32 with the mapping id, 0: same page */
    uint32_t cold, cold_flags;/* where the rel32 fields go while not linked */
    uint32_t slot;            /* code_tlb slot */
    uint32_t last_id;
} BlockLink;

struct Block {
    Block *hash_next;         /* read under RCU */
    uint64_t pc, mode, ram;   /* ram: ram_addr of the first byte; key = (ram, pc, mode, variant) */
    const void *entry;        /* host code, or const IrInsn[] for the interpreter */
    uint64_t ram2;            /* ram_addr of the second page, NO_PAGE: one page */
    uint64_t linear;
    _Atomic bool invalid;
    uint8_t variant;          /* BLOCK_* */
    bool kills_flags;         /* flags on entry are neither read nor observable */
    uint16_t guest_insns, links;
    uint32_t guest_bytes, ir_count, code_start, code_size, host_insns;
    Block *page_next[2];      /* blocks of the page; guarded by tcg.lock */
    Block **page_at[2];       /* what points to this one there */
    BlockLink *in;            /* jumps into this block */
    BlockLink *link;          /* own jumps, `links` of them */
    Block *segment_next;      /* all blocks of a code buffer segment */
    uint64_t executions;      /* only with jit-stats=on */
};
enum { BLOCK_PLAIN = 1 /* no coalescing: taken after a coalesced check failed */ };

/* What is known of a RAM page that holds translated code. Never freed; one per RAM page at most. */
typedef struct CodePage {
    _Atomic uint64_t bitmap;  /* pieces that blocks cover, or have covered since the last store to one of them */
    _Atomic uint32_t writes;  /* counts stores that reached the slow path: a translation in progress compares it */
    Block *blocks;            /* guarded by tcg.lock */
    unsigned pins;            /* translations in progress: the page stays protected; guarded by tcg.lock */
    struct CodePage *next;    /* in tcg.all_pages */
} CodePage;
enum { PAGE_CODE = 1, PAGE_WRITE_MAPPED = 2 };

typedef struct TcgStats {
    uint64_t blocks, guest_insns, ir_insns, host_insns, code_bytes, translate_ns;
    uint64_t tlb_fills, tlb_walks, tlb_flushes, tlb_page_flushes, mmio, slow_accesses, plain_exits;
    uint64_t lookups, lookup_misses, jc_fills, links, invalidations, page_stores, evictions, exits, unwinds, uncached;
} TcgStats;

/*
 * How the run loop goes on: look up v->pc; poll events first; take the BLOCK_PLAIN variant; one instruction by
 * interpreter.
 */
typedef enum RunResult { RUN_LOOKUP, RUN_POLL, RUN_PLAIN, RUN_STEP } RunResult;

/* Of one vCPU (Vcpu.accel_data). Own thread only but for the atomics. */
typedef struct TcgVcpu {
    TlbEntry tlb2[TLB2_SIZE];
    uint64_t stamp, all_stamp;           /* stamp grows with each flush; entries older than all_stamp are void */
    uint64_t asid_stamp[4096];           /* by asid's low bits: non-global entries older than it are void */
    uint32_t asid;
    uint16_t used[TLB_BANKS][TLB_USED];  /* slots of the fast level filled since it was empty */
    unsigned used_count[TLB_BANKS];      /* beyond TLB_USED: not listed */
    bool bank_local[TLB_BANKS];          /* the fast level has entries there that are not global */
    /* own_banks: whose they are, in the code map too; checked when a mode is entered */
    uint32_t bank_asid[TLB_BANKS];
    unsigned fills;                      /* since the last flush of the fast level, for tlb-size */
    uint64_t local_filter[JC_FILTER / 64]; /* pages that have had entries that are not global */
    uint64_t large_filter[LARGE_FILTER / 64]; /* regions that have had entries of large mappings */
    bool huge;                           /* and some mapping larger than 1 GiB */
    struct { hwaddr page; uint8_t *host; uint64_t ram; bool readonly; } phys[PHYS_CACHE];
    CodeMap code_map[CODE_MAP];
    struct { uint64_t vpage_bank, ram; uint32_t id; } map_id[4096]; /* mapping_id()s met */
    /* hashed; key 0: empty; local: see jc_key_of() */
    struct { uint64_t mode, key; uint32_t base, asid; bool local; } jc_mode[JC_MODES];
    uint64_t jc_filter[JC_FILTER / 64];  /* pages that jump cache entries stand for */
    unsigned jc_generation;
    uint16_t code_local[2][CODE_LOCAL];  /* slots of code_map that are not global; [1]: of own_banks */
    unsigned code_local_count[2];        /* beyond CODE_LOCAL: not listed */
    struct { TlbFlush what; uint64_t va; uint32_t asid; } queue[FLUSH_QUEUE]; /* guarded by tcg.flush_lock */
    unsigned queued;
    _Atomic bool flush_queued;
    _Atomic bool in_guest;               /* may use fast TLB entries without looking at the requests below */
    _Atomic bool map_changed;            /* the memory map has changed: flush before the next guest access */
    /* a page became a code page: empty the fast level before the next guest access */
    _Atomic bool drop_writes;
    bool split_locked;
    bool halted;                         /* poll said so */
    Block *running;                      /* block that the interpreter is in */
    uint64_t slow_va;                    /* start of the range of the slow access in progress */
    /* slow store in progress: bounce buffer -> va, or (ram != NO_PAGE) code page written */
    uint64_t commit_va, commit_ram;
    unsigned commit_size, commit_bank;
    /*
     * Another accelerator's: before an access of a device; false: the instruction shall not be done here (it unwinds).
     * NULL: none.
     */
    bool (*allow_access)(Vcpu *v, const AddressSpace *as, hwaddr at);
    /* debugger: watchpoints do not count now; the next instruction meets one and stops after it */
    bool watch_off, watch_met;
    RunResult next_run;                  /* how the loop goes on */
    IrBlock *ir;
    TransCtx trans;
    CodePage *first_page, *second_page;  /* of the translation in progress */
    uint32_t first_writes, second_writes;
    uint64_t second_ram;
    uint8_t code_copy[TCG_PAGE_SIZE];    /* code that is not in RAM */
    TcgStats stats;
} TcgVcpu;
static inline TcgVcpu *tcg_vcpu(Vcpu *v) { return v->accel_data; }

typedef struct TcgOptions {
    bool icount;                         /* icount.c; implies single_thread */
    bool jit, single_thread, one_insn, stats, opt_flags, opt_coalesce, opt_link, opt_jump_cache;
    bool opt_simd, opt_avx512; /* the host's vector unit for op SIMD; its AVX-512 */
    uint64_t buffer_size;
    unsigned tlb_size;                   /* entries of the fast level in use before it is emptied (tests) */
    unsigned evict_every;                /* tests: drop all blocks after that many translations */
} TcgOptions;

typedef struct Tcg {
    TcgOptions opt;
    pthread_mutex_t flush_lock;          /* the queues of flushes; innermost */
    pthread_mutex_t lock;                /* translation output, links, page lists, invalidation */
    Block *hash[1 << BLOCK_HASH_BITS];   /* heads read under RCU */
    CodePage **pages;                    /* by ram page */
    CodePage *all_pages;
    _Atomic uint8_t *page_flags;         /* PAGE_*, by ram page */
    uint32_t next_map_id;
    GHashTable *map_ids;
    bool ready;
    TcgStats old_stats;                  /* of vCPUs that are gone */
} Tcg;
extern Tcg tcg;

/* --- softmmu --- */
unsigned tlb2_slot(uint64_t vpage, unsigned bank, uint32_t asid); /* global pages: TLB_ANY_ASID */
/* valid and with that permission, else NULL */
const TlbEntry *tlb2_find(Vcpu *v, uint64_t vpage, unsigned bank, unsigned perm);
/*
 * The entry for va after a walk if need be, and in the fast level when it can be. NULL: fault (recorded unless probe).
 */
const TlbEntry *tlb_lookup(Vcpu *v, uint64_t va, AccessKind kind, unsigned bank, bool probe);
/* vpage: with the top byte that the access had */
void tlb_fill_fast(Vcpu *v, const TlbEntry *e, uint64_t vpage, bool for_write);
/* The access must not stand in the fast level: each one is checked. */
static inline bool tlb_is_slow(const TlbEntry *e)
{
    return e->page_bits < TCG_PAGE_BITS || e->perm & (PERM_ALIGNED | PERM_WATCH);
}
/* After tlb_lookup() for va: the rest of an access within the page, when the entry does not say all. Unwinds. */
void tlb_check_slow(Vcpu *v, const TlbEntry *e, uint64_t va, unsigned size, AccessKind kind, unsigned bank);
void tlb_flush_fast(Vcpu *v);
/* What page walks gave; code maps and jump caches stay: for an accelerator that does not use them. */
void tlb_forget(Vcpu *v);
/* In v's thread, when in_guest has just become true or after anything that may have taken long: take requests. */
void tlb_service(Vcpu *v);
void tlb_init(Vcpu *v);
/* Own code page map entry for the page of `linear`; NULL: fetch fault (recorded unless probe). */
const CodeMap *code_map_lookup(Vcpu *v, uint64_t linear, unsigned bank, bool probe);
static inline bool tlb_is_own_bank(const Vcpu *v, unsigned bank) { return v->arch->own_banks >> bank & 1; }
static inline bool tlb_bank_is_current(Vcpu *v, unsigned bank)
{
    return !tlb_is_own_bank(v, bank) || tcg_vcpu(v)->bank_asid[bank] == tcg_vcpu(v)->asid;
}
void tlb_flush_bank(Vcpu *v, unsigned bank); /* the fast level's */
void tlb_enter_mode(Vcpu *v, unsigned bank); /* code comes from `bank` from now on */
static inline uint8_t *tlb_fast(Vcpu *v, uint64_t va, unsigned size, unsigned bank, bool write)
{
    TlbBank *b = &v->tlb[bank];
    if (!tlb_bank_is_current(v, bank))
        return NULL;
    unsigned slot = va >> TCG_PAGE_BITS & (TLB_SIZE - 1);
    uint64_t offset = va - (write ? b->write : b->read)[slot];
    return offset <= TCG_PAGE_SIZE - size ? (uint8_t *)(uintptr_t)b->host[slot] + offset : NULL;
}
/* A single access within one page through its entry. */
uint64_t entry_load(Vcpu *v, const TlbEntry *e, uint64_t va, unsigned size);
void entry_store(Vcpu *v, const TlbEntry *e, uint64_t va, unsigned size, uint64_t value);
uint64_t host_load(const uint8_t *p, unsigned size);
void host_store(uint8_t *p, unsigned size, uint64_t value);
void split_lock(Vcpu *v);
void split_unlock(Vcpu *v);

/* --- blocks --- */
void blocks_init(void);
void blocks_reset(void);
Block *block_find(uint64_t ram, uint64_t pc, uint64_t mode, unsigned variant); /* under RCU */
/*
 * tcg.lock held. Stores to this code count from now on, also before its block is inserted (with the lock held
 * throughout).
 */
void code_watch(uint64_t ram, uint64_t ram2, unsigned guest_bytes);
/* tcg.lock held. Publish b, whose code is watched; it is found from now on. */
void block_insert(Block *b);
void block_invalidate_locked(Block *b);
void blocks_invalidate_all(void);
/* [ram, ram + len) has been written: drop what was translated from it. Any thread. */
void tcg_ram_written(uint64_t ram, uint64_t len);
/* Would a store to [ram, ram + len) drop `b`? */
bool block_covers(const Block *b, uint64_t ram, uint64_t len);
static inline bool page_is_code(uint64_t ram)
{
    uint64_t n = ram >> TCG_PAGE_BITS;
    return n < RAM_PAGES_MAX && atomic_load(&tcg.page_flags[n]) & PAGE_CODE;
}
/* Before code of this page is read for translation: no vCPU writes to it unnoticed until page_release() at least. */
CodePage *page_protect(Vcpu *v, uint64_t ram);
void page_release(CodePage *p, uint64_t ram);
uint32_t mapping_id(uint64_t vpage, uint64_t ram, unsigned bank);

/* --- code buffer: segments used in turn; what stands in the next one is dropped when it is its turn --- */
/* All with tcg.lock held. Code grows up from the segment's start, blocks' data grow down from its end. */
bool codebuf_init(uint64_t size, bool executable, Error **errp);
void codebuf_free(void);
enum { CODEBUF_STUBS = 16384 };          /* bytes at the start of the buffer that are never recycled */
uint64_t codebuf_generation(void);       /* counts recycled segments */
uint8_t *codebuf_space(uint8_t **end);   /* where the next code goes (writable view), and where the space ends */
void codebuf_commit(uint8_t *end);       /* code up to `end` is kept; the next starts at a multiple of 16 */
void *codebuf_alloc(size_t size);        /* zeroed, aligned to 8; NULL: the segment is full */
void codebuf_own(Block *b);              /* b dies with the present segment */
/* The segment is full: go on in the next one. Drops the lock and leaves the RCU section for a while. */
void codebuf_next_segment(Vcpu *v);
extern uint8_t *codebuf_rw, *codebuf_rx;
static inline const uint8_t *codebuf_exec(const uint8_t *rw) { return codebuf_rx + (rw - codebuf_rw); }
uint64_t codebuf_used(void);

/* --- translation and execution --- */
/*
 * In the run loop: the block at v->pc, translated if need be; NULL: run ts->ir with the interpreter instead. May
 * unwind.
 */
Block *tcg_block_at(Vcpu *v, unsigned variant);
/* Make the IR of the code at `linear` in ts->ir. */
void tcg_make_ir(Vcpu *v, uint64_t linear, const CodeMap *map, unsigned max_insns);
void tcg_log_block(Vcpu *v, const IrBlock *ir);
RunResult interp_run(Vcpu *v, const IrInsn *code, unsigned count, const Block *b);
RunResult tcg_run_step(Vcpu *v); /* one instruction, by the interpreter */
void *tcg_thread(void *vcpu);
/* Poll, then run guest code until exit_request or an EXIT; v's thread, outside RCU sections. */
void tcg_run_slice(Vcpu *v);
/* Own thread, run loop: let every other vCPU pass a point where it takes its requests. */
void tcg_sync_others(Vcpu *self);
/* Let requests of others be taken while they are busy with ours: `busy` is asked until it says no for each. */
void tcg_wait_for_others(Vcpu *self, bool (*busy)(Vcpu *other));
void jump_cache_flush_all(Vcpu *v);
void jump_cache_flush_asid(Vcpu *v, uint32_t asid); /* what is not on global pages */
unsigned page_hash(uint64_t vpage); /* below JC_FILTER; bits 63:56 make no difference */
void jump_cache_flush_page(Vcpu *v, uint64_t vpage);
void jump_cache_drop(const Block *b);
static inline unsigned jc_index(uint64_t pc) { return (pc ^ pc >> 12) & ((1 << JUMP_CACHE_BITS) - 1); }

/* --- debugger (debug.c) --- */
extern const AccelDebugOps tcg_debug_ops;
/* Run loop: is there a breakpoint at v->pc? */
bool tcg_at_breakpoint(Vcpu *v);
/* How many instructions of the block precede the first breakpoint inside it; 0: there is none. */
unsigned tcg_insns_to_breakpoint(const IrBlock *b);
/* An access that leaves the fast way: unwinds when it meets a watchpoint. */
void tcg_watch_slow(Vcpu *v, uint64_t va, unsigned size, bool write);
static inline void tcg_watch(Vcpu *v, uint64_t va, unsigned size, bool write)
{
    if (__builtin_expect(debug_watchpoints, 0))
        tcg_watch_slow(v, va, size, write);
}
/*
 * A step of a CPU that sleeps: one without power stands where it is (true: stopped); others wake if waiting is only a
 * hint.
 */
bool tcg_debug_asleep(Vcpu *v);
/* Run loop: deal with break, watch or step. True: go back to the thread's loop. */
bool tcg_debug_turn(Vcpu *v);

/* --- -icount (icount.c) --- */
bool tcg_icount_setup(Opts *o, Error **errp);
void tcg_icount_off(void);
bool tcg_icount_instrument(IrBlock *b);  /* false: no room */
void *tcg_icount_thread(Vcpu *first);
bool tcg_any_has_work(Vcpu *unused); /* for vcpu_wait(): one thread runs them all */

/* --- host back end --- */
bool jit_available(char **why_not);
bool jit_init(const GuestArch *arch, Error **errp);
void jit_vcpu_init(Vcpu *v);
/* tcg.lock held: compile ir into a new block (not yet published); NULL: no room left in this segment. */
Block *jit_compile(Vcpu *v, IrBlock *ir, unsigned variant);
/* tcg.lock held; now and then: code that has lost optimisations is dropped, to be compiled with all of them */
void jit_retry_ranges(int64_t now);
RunResult jit_run(Vcpu *v, const void *entry); /* a Block's, which is valid now */
void jit_link(Vcpu *v, BlockLink *l, Block *to);
void jit_unlink(BlockLink *l);
void jit_sync(Vcpu *v); /* vcpu_sync() for the call site in v->call_site */
/*
 * For another accelerator: the tables with which page walks and accesses by virtual address work (the debugger's, the
 * monitor's), without code generation. The vCPU's are in v->accel_data; whoever changed its state flushes with
 * tlb_flush_all().
 */
void tcg_tables_init(void);
bool tcg_vcpu_tables_init(Vcpu *v, Error **errp);
void tcg_vcpu_tables_free(Vcpu *v);
#endif
