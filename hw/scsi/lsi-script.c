/* SPDX-License-Identifier: MIT */
/*
 * The SCRIPTS processor of the LSI53C895A (Technical Manual, chapter 5). A guest's endless loop takes slices of time,
 * and can be aborted.
 */
#include "hw/scsi/lsi.h"

enum { SLICE = 4096, SLICE_PAUSE_NS = 100000, BYTES_PER_STEP = 64 };

static uint32_t fetch(Lsi *s, uint64_t at)
{
    uint8_t b[4] = { 0 };
    pci_dma_read(&s->pci, at, b, sizeof b);
    return load_le32(b);
}

static int32_t signed24(uint32_t v) { return (int32_t)(v << 8) >> 8; }

static void wait_for(Lsi *s, LsiWait what) { s->wait = (uint8_t)what; }

/*
 * Nobody asks for a phase: this instruction again when somebody does; but nobody ever will after a selection that was
 * not answered.
 */
static void wait_phase(Lsi *s)
{
    if (s->unanswered) {
        s->unanswered = false;
        lsi_stop_scsi(s, 0, SIST1_STO);
        return;
    }
    lsi_set32(s, DSP, lsi_reg32(s, DSP) - 8);
    wait_for(s, WAIT_PHASE);
}

/* --- block moves (5.2) --- */

typedef struct Block { uint64_t addr; uint32_t count, entry, upper; } Block;

/* Address and count: in the instruction, behind a pointer, or in a table. */
static Block block_of(Lsi *s, uint32_t insn, uint32_t addr)
{
    Block b = { .addr = addr, .count = insn & 0xffffff, .upper = insn & 0xff000000 };
    uint8_t c1 = s->reg[CCNTL1];
    if (insn & 1 << 28) {
        b.entry = lsi_reg32(s, DSA) + (uint32_t)signed24(addr);
        uint32_t first = fetch(s, b.entry);
        b.count = first & 0xffffff;
        b.upper = first & 0xff000000;
        b.addr = fetch(s, b.entry + 4);
        static const uint8_t selector[] = { MMRS, MMWS, SFS, DRS, SBMS, DBMS };
        unsigned index = first >> 24 & 31;
        if (c1 & CCNTL1_EN64TIBMV && c1 & CCNTL1_64TIMOD)
            b.addr |= (uint64_t)(first >> 24) << 32;
        else if (c1 & CCNTL1_EN64TIBMV && index < 16) /* scratch registers C to R */
            b.addr |= (uint64_t)lsi_reg32(s, 0x60 + 4 * index) << 32;
        else if (c1 & CCNTL1_EN64TIBMV && index < 16 + ARRAY_LEN(selector))
            b.addr |= (uint64_t)lsi_reg32(s, selector[index - 16]) << 32;
    } else if (insn & 1 << 29) {
        b.addr = fetch(s, addr);
    } else if (c1 & CCNTL1_EN64DBMV) { /* a third word */
        uint32_t dsp = lsi_reg32(s, DSP);
        b.addr |= (uint64_t)fetch(s, dsp) << 32;
        lsi_set32(s, DSP, dsp + 4);
    }
    if (!(insn & 1 << 28) && !(c1 & CCNTL1_EN64DBMV))
        b.addr |= (uint64_t)lsi_reg32(s, SBMS) << 32;
    return b;
}

static void set_count(Lsi *s, uint32_t count)
{
    lsi_set32(s, DBC, (lsi_reg32(s, DBC) & 0xff000000) | (count & 0xffffff));
}

/* The target wants another phase than the program (4.3, CCNTL0; phase mismatch registers). */
static void mismatch(Lsi *s, uint32_t at, const Block *b, uint32_t moved, bool out)
{
    set_count(s, b->count - moved);
    if (!(s->reg[CCNTL0] & CCNTL0_ENPMJ)) {
        lsi_stop_scsi(s, SIST0_MA, 0);
        return;
    }
    lsi_set32(s, UA, (uint32_t)(b->addr + moved));
    lsi_set32(s, RBC, b->upper | (b->count - moved));
    lsi_set32(s, ESA, b->entry);
    lsi_set32(s, IA, at);
    bool second = s->reg[CCNTL0] & CCNTL0_PMJCTL ? !out : s->reg[SCNTL2] & SCNTL2_WSR;
    lsi_set32(s, DSP, lsi_reg32(s, second ? PMJAD2 : PMJAD1));
}

/*
 * Up to len bytes in the current phase. What comes in stays in a latch: the first byte for the program, the last one
 * for those who read tags there.
 */
static uint32_t move(Lsi *s, uint64_t addr, uint32_t len, bool first)
{
    uint32_t n;
    uint8_t *bytes = parallel_window(&s->wires, &n);
    n = MIN(n, len);
    if (n && s->wires.phase & 1) {
        s->reg[SFBR] = first ? bytes[0] : s->reg[SFBR];
        s->reg[SIDL] = bytes[n - 1];
        pci_dma_write(&s->pci, addr, bytes, n);
    } else if (n) {
        pci_dma_read(&s->pci, addr, bytes, n);
    }
    parallel_moved(&s->wires, n, false);
    return n;
}

static uint32_t block_move(Lsi *s, uint32_t insn, uint32_t addr)
{
    uint32_t at = lsi_reg32(s, DSP) - 8;
    unsigned want = insn >> 24 & 7;
    /* no bytes: nothing, where the manual has an illegal instruction; SeaBIOS's commands without data have it */
    if (!(insn & 0x30ffffff))
        return 0;
    Parallel *p = &s->wires;
    if (p->phase == PHASE_NONE) {
        wait_phase(s);
        return 0;
    }
    /* SeaBIOS selects without attention, then sends IDENTIFY */
    if (p->phase == PHASE_COMMAND && want == PHASE_MSG_OUT && !p->current)
        parallel_attention(p, true);
    Block b = block_of(s, insn, addr);
    if (p->phase != want) {
        mismatch(s, at, &b, 0, !(want & 1));
        return 0;
    }
    uint32_t moved = 0;
    while (moved < b.count && p->phase == want) {
        uint32_t n = move(s, b.addr + moved, b.count - moved, !moved);
        if (!n)
            break;
        moved += n;
    }
    lsi_set32(s, DNAD, (uint32_t)(b.addr + moved));
    set_count(s, b.count - moved);
    lsi_set32(s, SBC, moved);
    lsi_set32(s, CSBC, lsi_reg32(s, CSBC) + moved);
    if (moved < b.count)
        mismatch(s, at, &b, moved, !(want & 1));
    return moved;
}

/* --- I/O and register instructions (5.3, 5.4) --- */

static bool reselected(Lsi *s)
{
    bool any = parallel_reselect(&s->wires);
    if (any)
        s->reg[SSID] = (uint8_t)(0x80 | s->wires.target);
    return any;
}

static void select_target(Lsi *s, uint32_t insn, uint32_t addr)
{
    unsigned target = insn >> 16 & 15;
    uint32_t jump = insn & 1 << 26 ? lsi_reg32(s, DSP) + (uint32_t)signed24(addr) : addr;
    if (insn & 1 << 25) {
        uint32_t entry = fetch(s, lsi_reg32(s, DSA) + (uint32_t)signed24(insn));
        target = entry >> 16 & 15;
        s->reg[SCNTL3] = (uint8_t)(entry >> 24);
        s->reg[SXFER] = (uint8_t)(entry >> 8);
    }
    s->reg[SDID] = (uint8_t)target;
    if (s->wires.connected || reselected(s)) { /* a target was faster */
        lsi_set32(s, DSP, jump);
        return;
    }
    /* the program goes on until it needs the target */
    s->unanswered = !parallel_select(&s->wires, target, insn & 1 << 24);
}

static void wait_reselect(Lsi *s, uint32_t insn, uint32_t addr)
{
    s->reselect_at = insn & 1 << 26 ? lsi_reg32(s, DSP) + (uint32_t)signed24(addr) : addr;
    if (s->reg[ISTAT0] & ISTAT_SIGP)
        lsi_set32(s, DSP, s->reselect_at);
    else if (!s->wires.connected && !reselected(s))
        wait_for(s, WAIT_RESELECT);
}

static void set_or_clear(Lsi *s, uint32_t insn, bool set)
{
    uint8_t bits = (uint8_t)(insn & (SOCL_ATN | SOCL_ACK));
    s->reg[SOCL] = set ? s->reg[SOCL] | bits : (uint8_t)(s->reg[SOCL] & ~bits);
    if (insn & 1 << 10)
        s->carry = set;
    if (insn & SOCL_ATN)
        parallel_attention(&s->wires, set);
}

static void io_instruction(Lsi *s, uint32_t insn, uint32_t addr)
{
    if (s->unanswered && (insn >> 27 & 7) < 3) {
        wait_phase(s);
        return;
    }
    switch (insn >> 27 & 7) {
    case 0: select_target(s, insn, addr); break;
    case 1: parallel_free(&s->wires); break; /* wait disconnect: the target has left, or leaves now */
    case 2: wait_reselect(s, insn, addr); break;
    case 3: set_or_clear(s, insn, true); break;
    case 4: set_or_clear(s, insn, false); break;
    }
}

static uint8_t operate(Lsi *s, unsigned op, uint8_t a, uint8_t b)
{
    unsigned sum;
    bool carry;
    switch (op) {
    case 0: return b;
    case 1: carry = a & 0x80, a = (uint8_t)(a << 1 | s->carry), s->carry = carry; return a;
    case 2: return a | b;
    case 3: return a ^ b;
    case 4: return a & b;
    case 5: carry = a & 1, a = (uint8_t)(a >> 1 | s->carry << 7), s->carry = carry; return a;
    default:
        sum = a + b + (op == 7 && s->carry);
        s->carry = sum >> 8;
        return (uint8_t)sum;
    }
}

static void register_instruction(Lsi *s, uint32_t insn)
{
    unsigned at = (insn >> 16 & 0x7f) | (insn & 0x80), op = insn >> 24 & 7, kind = insn >> 27 & 7;
    uint8_t data = insn & 1 << 23 ? s->reg[SFBR] : (uint8_t)(insn >> 8);
    uint8_t a = kind == 5 ? s->reg[SFBR] : op || kind == 6 ? lsi_read(s, at) : 0;
    uint8_t result = operate(s, op, a, kind == 6 && !op ? a : kind == 5 && !op ? s->reg[SFBR] : data);
    if (kind == 6)
        s->reg[SFBR] = result;
    else
        lsi_write(s, at, result);
}

/* --- transfer of control (5.5) --- */

static bool holds(Lsi *s, uint32_t insn)
{
    bool want = insn & 1 << 19, equal = true;
    if (insn & 1 << 21)
        return s->carry == want;
    if (insn & 1 << 17)
        equal = s->wires.phase == (insn >> 24 & 7);
    if (insn & 1 << 18) {
        uint8_t mask = (uint8_t)~(insn >> 8);
        equal = equal && (s->reg[SFBR] & mask) == (insn & mask);
    }
    return equal == want;
}

static void transfer_control(Lsi *s, uint32_t insn, uint32_t addr)
{
    if (insn & 1 << 17 && insn & 1 << 16 && s->wires.phase == PHASE_NONE && (s->unanswered || s->wires.connected)) {
        wait_phase(s);
        return;
    }
    if (!holds(s, insn))
        return;
    uint32_t to = insn & 1 << 23 ? lsi_reg32(s, DSP) + (uint32_t)signed24(addr) : addr;
    switch (insn >> 27 & 7) {
    case 0: lsi_set32(s, DSP, to); break;
    case 1:
        lsi_set32(s, TEMP, lsi_reg32(s, DSP));
        lsi_set32(s, DSP, to);
        break;
    case 2: lsi_set32(s, DSP, lsi_reg32(s, TEMP)); break;
    case 3:
        if (insn & 1 << 20) { /* on the fly */
            s->reg[ISTAT0] |= ISTAT_INTF;
            lsi_update_irq(s);
        } else {
            lsi_stop_dma(s, DSTAT_SIR);
        }
        break;
    default: lsi_stop_dma(s, DSTAT_IID);
    }
}

/* --- memory (5.6, 5.7) --- */

/*
 * Programs for chips without load and store move memory to and from the chip's own registers, at their addresses on the
 * bus. -1: none.
 */
static int own_register(const Lsi *s, uint64_t addr, uint32_t n)
{
    uint64_t bar = pci_bar_addr(&s->pci, 1);
    return addr >= bar && addr - bar <= LSI_REGS && n <= LSI_REGS - (addr - bar) ? (int)(addr - bar) : -1;
}

static MemResult read_memory(Lsi *s, uint64_t from, uint8_t *buf, uint32_t n)
{
    int at = own_register(s, from, n);
    for (uint32_t i = 0; at >= 0 && i < n; i++)
        buf[i] = lsi_read(s, (unsigned)at + i);
    return at >= 0 ? MEM_OK : pci_dma_read(&s->pci, from, buf, n);
}

static MemResult write_memory(Lsi *s, uint64_t to, const uint8_t *buf, uint32_t n)
{
    int at = own_register(s, to, n);
    for (uint32_t i = 0; at >= 0 && i < n; i++)
        lsi_write(s, (unsigned)at + i, buf[i]);
    return at >= 0 ? MEM_OK : pci_dma_write(&s->pci, to, buf, n);
}

static uint32_t memory_move(Lsi *s, uint32_t insn, uint32_t from)
{
    uint32_t count = insn & 0xffffff, dsp = lsi_reg32(s, DSP), to = fetch(s, dsp);
    uint64_t source = from | (uint64_t)lsi_reg32(s, MMRS) << 32, target = to | (uint64_t)lsi_reg32(s, MMWS) << 32;
    uint8_t buf[4096];
    lsi_set32(s, DSP, dsp + 4);
    for (uint32_t done = 0; done < count;) {
        uint32_t n = MIN(count - done, (uint32_t)sizeof buf);
        if (read_memory(s, source + done, buf, n) != MEM_OK || write_memory(s, target + done, buf, n) != MEM_OK) {
            lsi_stop_dma(s, DSTAT_BF);
            break;
        }
        done += n;
    }
    return count;
}

static void load_store(Lsi *s, uint32_t insn, uint32_t addr)
{
    unsigned at = insn >> 16 & 0xff, count = insn & 7;
    uint32_t where = insn & 1 << 28 ? lsi_reg32(s, DSA) + (uint32_t)signed24(addr) : addr;
    uint8_t b[8] = { 0 };
    bool load = insn & 1 << 24;
    if (!count || count > 4 || at + count > LSI_REGS) {
        lsi_stop_dma(s, DSTAT_IID);
        return;
    }
    uint64_t full = where | (uint64_t)lsi_reg32(s, load ? MMRS : MMWS) << 32;
    if (load)
        pci_dma_read(&s->pci, full, b, count);
    for (unsigned i = 0; i < count; i++) {
        if (load)
            lsi_write(s, at + i, b[i]);
        else
            b[i] = lsi_read(s, at + i);
    }
    if (!load)
        pci_dma_write(&s->pci, full, b, count);
}

/* --- the processor --- */

static uint32_t step(Lsi *s)
{
    uint32_t dsp = lsi_reg32(s, DSP), insn, addr;
    uint8_t b[8] = { 0 };
    if (pci_dma_read(&s->pci, dsp, b, sizeof b) != MEM_OK) {
        lsi_stop_dma(s, DSTAT_BF);
        return 0;
    }
    insn = load_le32(b);
    addr = load_le32(b + 4);
    lsi_set32(s, DBC, insn); /* count and, in its upper byte, DCMD */
    lsi_set32(s, DSPS, addr);
    lsi_set32(s, DSP, dsp + 8);
    uint32_t bytes = 0;
    switch (insn >> 30) {
    case 0: bytes = block_move(s, insn, addr); break;
    case 1:
        if ((insn >> 27 & 7) < 5)
            io_instruction(s, insn, addr);
        else
            register_instruction(s, insn);
        break;
    case 2: transfer_control(s, insn, addr); break;
    default:
        if (insn & 1 << 29)
            load_store(s, insn, addr);
        else
            bytes = memory_move(s, insn, addr);
    }
    if (s->wait == RUNS && s->reg[DCNTL] & DCNTL_SSM)
        lsi_stop_dma(s, DSTAT_SSI);
    return bytes;
}

void lsi_run(Lsi *s)
{
    if (s->in_script || s->saving)
        return;
    s->in_script = true;
    s->wait = RUNS;
    s->reg[ISTAT1] |= ISTAT1_SRUN;
    for (uint32_t left = SLICE; s->wait == RUNS;) {
        uint32_t cost = 1 + step(s) / BYTES_PER_STEP;
        if (s->wait != RUNS)
            break;
        if (cost >= left) {
            wait_for(s, WAIT_SLICE);
            timer_arm(s->slice, clock_ns(CLOCK_VIRTUAL_NS) + SLICE_PAUSE_NS);
            break;
        }
        left -= cost;
    }
    if (s->wait == STANDS)
        s->reg[ISTAT1] &= (uint8_t)~ISTAT1_SRUN;
    s->in_script = false;
}

void lsi_wake(Lsi *s, LsiWait what)
{
    if (s->wait != what || s->in_script)
        return;
    if (s->saving) {
        timer_arm(s->slice, clock_ns(CLOCK_VIRTUAL_NS) + SLICE_PAUSE_NS);
        return;
    }
    if (what == WAIT_RESELECT) {
        if (s->reg[ISTAT0] & ISTAT_SIGP)
            lsi_set32(s, DSP, s->reselect_at);
        else if (!reselected(s))
            return;
    }
    lsi_run(s);
}
