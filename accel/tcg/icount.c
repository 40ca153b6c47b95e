/* SPDX-License-Identifier: MIT */
/*
 * -icount: virtual time driven by executed guest instructions. One thread runs all vCPUs, and the timers between their
 * slices.
 */
#include "accel/tcg/tcg.h"
#include "base/clock.h"

/*
 * Each guest instruction starts with IR_COUNT, which takes one from v->icount_left; at 0 the slice ends before the
 * instruction. So virtual time is exact wherever C code runs, and a timer runs after exactly the instructions that its
 * deadline is away. Time at any moment: bias + (limit - left) << shift.
 */
enum {
    SHIFT_MAX = 10,
    SHIFT_AUTO_START = 3,
    SLICE_ALONE = 1 << 22,
    SLICE_SHARED = 1 << 14,
    ADJUST_NS = 100000000,
    ALIGN_SLACK_NS = 1000000
};

static struct {
    bool automatic, sleep, align;
    unsigned shift;
    /* Written under seq by the vCPUs' thread, read by anyone. */
    _Atomic unsigned seq;
    _Atomic int64_t limit, bias; /* instructions until the end of the slice in progress; ns */
    _Atomic(Vcpu *) running;     /* NULL between slices: limit is what has been executed */
    pthread_t thread;
    bool started;
    Timer *alarm;                /* ends a sleep */
    int64_t real_start, virtual_start, last_adjust;
} ic;

static int64_t executed(void)
{
    Vcpu *v = atomic_load(&ic.running);
    int64_t left = v ? __atomic_load_n(&v->icount_left, __ATOMIC_RELAXED) : 0;
    return atomic_load(&ic.limit) - MAX(left, 0);
}

static int64_t now_ns(void)
{
    for (;;) {
        unsigned seq = atomic_load(&ic.seq);
        int64_t t = atomic_load(&ic.bias) + (int64_t)((uint64_t)executed() << ic.shift);
        if (!(seq & 1) && seq == atomic_load(&ic.seq))
            return t;
    }
}

static bool own_thread(void) { return ic.started && pthread_equal(pthread_self(), ic.thread); }

/* Change limit, bias, shift or the running vCPU: vCPUs' thread, or any while vCPUs are paused. */
#define CHANGE(statements) do { \
    atomic_fetch_add(&ic.seq, 1); \
    statements; \
    atomic_fetch_add(&ic.seq, 1); \
} while (0)

static int64_t insns_until(int64_t deadline)
{
    int64_t ns = deadline - now_ns();
    return ns <= 0 ? 0 : ((ns - 1) >> ic.shift) + 1;
}

/* A virtual timer was armed or cancelled: the slice in progress may have to end earlier. */
static void deadline_changed(void)
{
    if (!own_thread()) {
        if (vcpu_get(0))
            vcpu_kick(vcpu_get(0));
        return;
    }
    Vcpu *v = atomic_load(&ic.running);
    int64_t deadline = clock_virtual_deadline();
    int64_t left = deadline == INT64_MAX ? INT64_MAX : insns_until(deadline);
    if (!v || left >= v->icount_left)
        return;
    CHANGE(atomic_fetch_sub(&ic.limit, v->icount_left - left); v->icount_left = left);
}

static void set_time(int64_t ns) { CHANGE(atomic_store(&ic.bias, ns - (int64_t)((uint64_t)executed() << ic.shift))); }

static const ClockSource source = { .now = now_ns, .set = set_time, .deadline_changed = deadline_changed };

static void wake(void *opaque)
{
    if (vcpu_get(0))
        vcpu_kick(vcpu_get(0));
}

bool tcg_icount_setup(Opts *o, Error **errp)
{
    static const char *const keys[] = { "shift", "sleep", "align", NULL };
    const char *shift = opts_get(o, "shift");
    uint64_t n = SHIFT_AUTO_START;
    ic.automatic = !shift || !strcmp(shift, "auto");
    if (!ic.automatic && (!parse_u64(shift, &n) || n > SHIFT_MAX)) {
        error_setf(errp, "-icount: shift=%s is neither 'auto' nor a number from 0 to %d", shift, SHIFT_MAX);
        return false;
    }
    if (!opts_get_bool(o, "sleep", true, &ic.sleep, errp) || !opts_get_bool(o, "align", false, &ic.align, errp) ||
        !opts_all_used(o, "-icount", keys, errp))
        return false;
    if (ic.align && (ic.automatic || !ic.sleep)) {
        error_setf(errp, "-icount: align=on goes with a fixed shift and with sleep=on; use shift=N,align=on");
        return false;
    }
    ic.shift = (unsigned)n;
    tcg.opt.icount = tcg.opt.single_thread = true;
    ic.alarm = timer_new(CLOCK_REALTIME_NS, NULL, wake, NULL);
    clock_virtual_drive(&source);
    return true;
}

void tcg_icount_off(void)
{
    if (!tcg.opt.icount)
        return;
    clock_virtual_drive(NULL);
    g_clear_pointer(&ic.alarm, timer_free);
    ic.started = false;
}

/* --- translation --- */
bool tcg_icount_instrument(IrBlock *b)
{
    unsigned insns = 0;
    for (unsigned k = 0; k < b->count; k++)
        insns += b->insn[k].op == IR_INSN;
    if (b->count + insns > IR_MAX_INSNS)
        return false;
    unsigned to = b->count + insns;
    for (unsigned k = b->count; k-- > 0;) {
        if (b->insn[k].op == IR_INSN)
            b->insn[--to] = (IrInsn){ .op = IR_COUNT, .size = 8, .d = IR_NONE, .a = IR_NONE, .b = IR_NONE, .c = IR_NONE,
                                      .m = { .base = IR_NONE, .index = IR_NONE, .asize = 8 }, .imm = b->insn[k].imm };
        b->insn[--to] = b->insn[k];
    }
    b->count += insns;
    return true;
}

/* --- the thread --- */
static void begin_slice(Vcpu *v, int64_t insns)
{
    CHANGE(v->icount_left = insns; atomic_fetch_add(&ic.limit, insns); atomic_store(&ic.running, v));
}

static void end_slice(Vcpu *v)
{
    CHANGE(atomic_store(&ic.limit, executed()); v->icount_left = 0; atomic_store(&ic.running, NULL));
}

/* shift=auto: virtual time is to keep up with the host's. */
static void adjust_shift(void)
{
    int64_t real = clock_ns(CLOCK_REALTIME_NS);
    if (real - ic.last_adjust < ADJUST_NS)
        return;
    ic.last_adjust = real;
    int64_t ahead = (now_ns() - ic.virtual_start) - (real - ic.real_start);
    unsigned shift = ic.shift;
    if (ahead > ADJUST_NS / 10 && shift > 0)
        shift--;
    else if (ahead < -ADJUST_NS / 10 && shift < SHIFT_MAX)
        shift++;
    int64_t t = now_ns(), done = executed();
    CHANGE(ic.shift = shift; atomic_store(&ic.bias, t - (int64_t)((uint64_t)done << shift)));
}

/* align=on: wait while virtual time is ahead of the host's. */
static void wait_for_host(Vcpu *first)
{
    int64_t ahead = (now_ns() - ic.virtual_start) - (clock_ns(CLOCK_REALTIME_NS) - ic.real_start);
    if (ahead > ALIGN_SLACK_NS)
        g_usleep((gulong)MIN(ahead / 1000, 100000));
}

/* All vCPUs wait for an event: the next timer, sooner or later. */
static void idle(Vcpu *first)
{
    int64_t deadline = clock_virtual_deadline(), from = now_ns();
    if (vcpu_service_due(first)) /* the request's kick may have come just before a slice, which clears it */
        return;
    if (deadline == INT64_MAX) {
        vcpu_wait(first, tcg_any_has_work);
        return;
    }
    if (deadline > from && ic.sleep) {
        int64_t start = clock_ns(CLOCK_REALTIME_NS);
        timer_arm(ic.alarm, start + (deadline - from));
        vcpu_wait(first, tcg_any_has_work);
        timer_cancel(ic.alarm);
        int64_t slept = clock_ns(CLOCK_REALTIME_NS) - start;
        set_time(MIN(deadline, from + slept));
    } else if (deadline > from && !tcg_any_has_work(NULL)) {
        set_time(deadline);
    }
}

/*
 * With several vCPUs slices differ in length (the same way in each run): else one could always be left where it holds a
 * lock.
 */
static int64_t slice_length(void)
{
    static uint32_t r;
    if (vcpu_count() == 1)
        return SLICE_ALONE;
    r = r * 1664525 + 1013904223;
    return SLICE_SHARED + (r >> 18);
}

/* One round of all vCPUs; true: some executed instructions. */
static bool all_vcpus(Vcpu *first)
{
    bool ran = false;
    for (unsigned i = 0; i < vcpu_count(); i++) {
        Vcpu *v = vcpu_get(i);
        if (!v || !v->accel_data || atomic_load(&v->debug.held))
            continue;
        vcpu_set_current(NULL);
        clock_virtual_run(); /* before each vCPU: the one before may have run right up to a timer */
        vcpu_set_current(v);
        atomic_store(&v->exit_request, 0);
        vcpu_work(v);
        int64_t deadline = clock_virtual_deadline(), insns = slice_length();
        int64_t until = deadline == INT64_MAX ? insns : insns_until(deadline);
        insns = MIN(insns, until);
        if (insns > 0) {
            begin_slice(v, insns);
            tcg_run_slice(v);
            end_slice(v);
        }
        ran |= !tcg_vcpu(v)->halted || !insns;
    }
    vcpu_set_current(first);
    return ran;
}

void *tcg_icount_thread(Vcpu *first)
{
    ic.thread = pthread_self();
    ic.started = true;
    ic.real_start = ic.last_adjust = clock_ns(CLOCK_REALTIME_NS);
    ic.virtual_start = now_ns();
    for (;;) {
        atomic_store(&first->exit_request, 0);
        if (!vcpu_service(first))
            return NULL;
        if (!all_vcpus(first))
            idle(first);
        if (ic.automatic)
            adjust_shift();
        if (ic.align)
            wait_for_host(first);
    }
}
