/* SPDX-License-Identifier: MIT */
/* The System Control Space: NVIC, SCB, MPU, SAU, FP registers (DDI 0553, D1.2; DDI 0403, B3). */
#include "accel/tcg/softmmu.h"
#include "base/log.h"
#include "target/arm/m/m.h"
#include "target/arm/m/scs.h"
#include "target/arm/models.h"

enum {
    SCS_ICTR = 0x004,
    SCS_ACTLR = 0x008,
    SCS_CPPWR = 0x00c,
    SCS_TICK = 0x010,
    SCS_ISER = 0x100,
    SCS_ICER = 0x180,
    SCS_ISPR = 0x200,
    SCS_ICPR = 0x280,
    SCS_IABR = 0x300,
    SCS_ITNS = 0x380,
    SCS_IPR = 0x400,
    SCS_IPR_END = 0x5f0,
    SCS_CPUID = 0xd00,
    SCS_ICSR = 0xd04,
    SCS_VTOR = 0xd08,
    SCS_AIRCR = 0xd0c,
    SCS_SCR = 0xd10,
    SCS_CCR = 0xd14,
    SCS_SHPR = 0xd18,
    SCS_SHCSR = 0xd24,
    SCS_CFSR = 0xd28,
    SCS_HFSR = 0xd2c,
    SCS_DFSR = 0xd30,
    SCS_MMFAR = 0xd34,
    SCS_BFAR = 0xd38,
    SCS_AFSR = 0xd3c,
    SCS_ID = 0xd40,
    SCS_ID_END = 0xd78,
    SCS_CLIDR = 0xd78,
    SCS_CTR = 0xd7c,
    SCS_CCSIDR = 0xd80,
    SCS_CSSELR = 0xd84,
    SCS_CPACR = 0xd88,
    SCS_NSACR = 0xd8c,
    SCS_MPU_TYPE = 0xd90,
    SCS_MPU_CTRL = 0xd94,
    SCS_MPU_RNR = 0xd98,
    SCS_MPU_RBAR = 0xd9c,
    SCS_MPU_END = 0xdbc,
    SCS_MAIR0 = 0xdc0,
    SCS_MAIR1 = 0xdc4,
    SCS_SAU_CTRL = 0xdd0,
    SCS_SAU_TYPE = 0xdd4,
    SCS_SAU_RNR = 0xdd8,
    SCS_SAU_RBAR = 0xddc,
    SCS_SAU_RLAR = 0xde0,
    SCS_SFSR = 0xde4,
    SCS_SFAR = 0xde8,
    SCS_DHCSR = 0xdf0,
    SCS_DCRSR = 0xdf4,
    SCS_DCRDR = 0xdf8,
    SCS_DEMCR = 0xdfc,
    SCS_STIR = 0xf00,
    SCS_RFSR = 0xf04,
    SCS_FPCCR = 0xf34,
    SCS_FPCAR = 0xf38,
    SCS_FPDSCR = 0xf3c,
    SCS_MVFR0 = 0xf40,
    SCS_MVFR2 = 0xf48,
    SCS_CACHE_OPS = 0xf50,
    SCS_CACHE_OPS_END = 0xf7c
};

#define DEMCR_BITS 0x011f07f1u
#define FPCCR_SHARED (FPCCR_LSPEN | FPCCR_CLRONRET)
#define FPCCR_WRITABLE_V7 (FPCCR_ASPEN | FPCCR_LSPEN | 0x7ffu)

/* One access: whose view of the banked registers. */
typedef struct View {
    ArmM *m;
    bool secure;         /* bank */
    bool full;           /* may see what Non-secure code may not */
    ArmMBank *b;
} View;

/* --- interrupts: words of 32 --- */

/* Those that this view may see. */
static uint32_t visible(const View *v, unsigned word)
{
    uint32_t limit = v->m->irqs / 32 > word ? UINT32_MAX : v->m->irqs / 32 == word ? (1u << v->m->irqs % 32) - 1 : 0;
    return v->full ? limit : limit & v->m->irq_ns[word];
}

static void clear_pending_words(ArmM *m, unsigned w, uint32_t bits)
{
    for (; bits; bits &= bits - 1)
        arm_m_clear_pending(m, M_EXC_IRQ0 + w * 32 + (unsigned)__builtin_ctz(bits), false);
}

static void set_pending_words(ArmM *m, unsigned w, uint32_t bits)
{
    for (; bits; bits &= bits - 1)
        arm_m_pend(m, M_EXC_IRQ0 + w * 32 + (unsigned)__builtin_ctz(bits), false);
}

static uint32_t *irq_words(ArmM *m, uint32_t at)
{
    switch (at & ~0x7fu) {
    case SCS_ISER:
    case SCS_ICER & ~0x7f: return m->irq_enabled;
    case SCS_ISPR:
    case SCS_ICPR & ~0x7f: return m->irq_pending;
    case SCS_IABR: return m->irq_active;
    default: return m->irq_ns;
    }
}

static uint32_t irq_read(const View *v, uint32_t at)
{
    unsigned w = (at & 0x7f) / 4;
    if (w >= M_IRQ_WORDS)
        return 0;
    if ((at & ~0x7fu) == SCS_ITNS && (!v->full || !v->m->c->has.m_security))
        return 0;
    return irq_words(v->m, at)[w] & visible(v, w);
}

static void irq_write(const View *v, uint32_t at, uint32_t value)
{
    ArmM *m = v->m;
    unsigned w = (at & 0x7f) / 4;
    if (w >= M_IRQ_WORDS)
        return;
    value &= visible(v, w);
    switch (at & ~0x7fu) {
    case SCS_ISER: m->irq_enabled[w] |= value; break;
    case SCS_ICER & ~0x7f: m->irq_enabled[w] &= ~value; break;
    case SCS_ISPR: set_pending_words(m, w, value); break;
    case SCS_ICPR & ~0x7f: clear_pending_words(m, w, value); break;
    case SCS_ITNS:
        if (v->full && m->c->has.m_security)
            m->irq_ns[w] = value;
        break;
    }
}

static uint8_t *irq_prio(const View *v, unsigned n)
{
    return n < v->m->irqs && visible(v, n / 32) >> n % 32 & 1 ? &v->m->irq_prio[n] : NULL;
}

/* --- system handlers --- */

/* Where SHPR keeps exception `exc` for this view; NULL: reads as zero. */
static ArmMSysExc *handler(const View *v, unsigned exc)
{
    ArmM *m = v->m;
    bool base = exc == M_EXC_MEM || exc == M_EXC_BUS || exc == M_EXC_USAGE || exc == M_EXC_SECURE || exc == M_EXC_DEBUG;
    if (base && !arm_m_has_main(m))
        return NULL;
    switch (exc) {
    case M_EXC_MEM:
    case M_EXC_USAGE:
    case M_EXC_SVC:
    case M_EXC_PENDSV:
    case M_EXC_SYSTICK: return &v->b->sys[exc];
    case M_EXC_BUS: return v->full || m->aircr & AIRCR_BFHFNMINS ? &m->b[M_NS].sys[exc] : NULL;
    case M_EXC_SECURE: return v->full && m->c->has.m_security ? &m->b[M_S].sys[exc] : NULL;
    case M_EXC_DEBUG: return v->full || !(m->demcr >> 20 & 1) ? &m->b[M_NS].sys[exc] : NULL;
    case M_EXC_HARD: return v->secure || !m->c->has.m_security || m->aircr & AIRCR_BFHFNMINS ? &v->b->sys[exc] : NULL;
    case M_EXC_NMI: return v->full || m->aircr & AIRCR_BFHFNMINS ? &m->b[M_NS].sys[exc] : NULL;
    default: return NULL;
    }
}

static uint8_t shpr_read(const View *v, unsigned exc)
{
    const ArmMSysExc *s = exc >= M_EXC_MEM ? handler(v, exc) : NULL;
    return s ? s->prio : 0;
}

static void shpr_write(const View *v, unsigned exc, uint8_t value)
{
    ArmMSysExc *s = exc >= M_EXC_MEM ? handler(v, exc) : NULL;
    if (s)
        s->prio = value & v->m->prio_mask;
}

/* SHCSR: bit, exception, what it shows (a active, p pending, e enabled). */
static const struct { uint8_t bit, exc; char what;
} shcsr_bits[] = {
    { 0, M_EXC_MEM, 'a' },     { 1, M_EXC_BUS, 'a' },      { 2, M_EXC_HARD, 'a' },    { 3, M_EXC_USAGE, 'a' },
    { 4, M_EXC_SECURE, 'a' },  { 5, M_EXC_NMI, 'a' },      { 7, M_EXC_SVC, 'a' },     { 8, M_EXC_DEBUG, 'a' },
    { 10, M_EXC_PENDSV, 'a' }, { 11, M_EXC_SYSTICK, 'a' }, { 12, M_EXC_USAGE, 'p' },  { 13, M_EXC_MEM, 'p' },
    { 14, M_EXC_BUS, 'p' },    { 15, M_EXC_SVC, 'p' },     { 16, M_EXC_MEM, 'e' },    { 17, M_EXC_BUS, 'e' },
    { 18, M_EXC_USAGE, 'e' },  { 19, M_EXC_SECURE, 'e' },  { 20, M_EXC_SECURE, 'p' }, { 21, M_EXC_HARD, 'p' },
};

static bool shcsr_has(const ArmM *m, unsigned bit)
{
    if (bit == 2 || bit == 4 || bit == 5 || bit >= 19)
        return m->c->has.v8m;
    return arm_m_has_main(m) || bit == 15;
}

static bool *shcsr_field(const View *v, unsigned i)
{
    ArmMSysExc *s = shcsr_has(v->m, shcsr_bits[i].bit) ? handler(v, shcsr_bits[i].exc) : NULL;
    if (!s)
        return NULL;
    return shcsr_bits[i].what == 'a' ? &s->active : shcsr_bits[i].what == 'p' ? &s->pending : &s->enabled;
}

static uint32_t shcsr_read(const View *v)
{
    uint32_t r = 0;
    for (unsigned i = 0; i < ARRAY_LEN(shcsr_bits); i++) {
        const bool *f = shcsr_field(v, i);
        r |= (uint32_t)(f && *f) << shcsr_bits[i].bit;
    }
    return r;
}

static void shcsr_write(const View *v, uint32_t value)
{
    for (unsigned i = 0; i < ARRAY_LEN(shcsr_bits); i++) {
        bool *f = shcsr_field(v, i);
        bool settable = shcsr_bits[i].exc != M_EXC_NMI &&
                        !(shcsr_bits[i].exc == M_EXC_HARD && shcsr_bits[i].what == 'a');
        if (f && (settable || !(value >> shcsr_bits[i].bit & 1)))
            *f = value >> shcsr_bits[i].bit & 1;
    }
}

static uint32_t icsr_read(const View *v)
{
    ArmM *m = v->m;
    int prio;
    bool secure;
    unsigned best = arm_m_best_pending(m, &prio, &secure);
    uint32_t r = m->exc | best << 12;
    for (unsigned w = 0; w < M_IRQ_WORDS; w++)
        r |= m->irq_pending[w] & visible(v, w) ? 1u << 22 : 0;
    r |= arm_m_active_count(m) <= 1 && arm_m_has_main(m) ? 1u << 11 : 0;
    const ArmMSysExc *nmi = handler(v, M_EXC_NMI);
    r |= nmi && nmi->pending ? 1u << 31 : 0;
    r |= v->b->sys[M_EXC_PENDSV].pending ? 1u << 28 : 0;
    return r | (v->b->sys[M_EXC_SYSTICK].pending ? 1u << 26 : 0);
}

static void icsr_write(const View *v, uint32_t value)
{
    ArmM *m = v->m;
    if (value >> 31 && handler(v, M_EXC_NMI))
        arm_m_pend(m, M_EXC_NMI, false);
    if (value >> 28 & 1)
        arm_m_pend(m, M_EXC_PENDSV, v->secure);
    else if (value >> 27 & 1)
        arm_m_clear_pending(m, M_EXC_PENDSV, v->secure);
    if (value >> 26 & 1)
        arm_m_pend(m, M_EXC_SYSTICK, v->secure);
    else if (value >> 25 & 1)
        arm_m_clear_pending(m, M_EXC_SYSTICK, v->secure);
}

/* --- AIRCR and what hangs on it --- */

static uint32_t aircr_read(const View *v)
{
    uint32_t r = 0xfa050000 | (arm_m_has_main(v->m) ? v->b->prigroup << 8 : 0);
    if (!v->m->c->has.m_security)
        return r;
    return r | (v->full ? v->m->aircr : v->m->aircr & AIRCR_BFHFNMINS);
}

/* HFSR and BFAR's faults move with BFHFNMINS: HardFault's priority changes. */
static void aircr_write(const View *v, uint32_t value)
{
    ArmM *m = v->m;
    if (value >> 16 != 0x05fa)
        return;
    if (arm_m_has_main(m))
        v->b->prigroup = value >> 8 & 7;
    if (v->full && m->c->has.m_security)
        m->aircr = value & (AIRCR_SYSRESETREQS | AIRCR_BFHFNMINS | AIRCR_PRIS);
    bool may_reset = v->full || !(m->aircr & AIRCR_SYSRESETREQS);
    if (value & AIRCR_SYSRESETREQ && may_reset) {
        if (m->sysresetreq)
            m->sysresetreq(m->c);
        else
            machine_request_reset(CAUSE_GUEST_RESET);
    }
}

/* --- MPU and SAU --- */

static uint32_t mpu_read(const View *v, uint32_t at)
{
    const ArmMBank *b = v->b;
    unsigned alias = (at - SCS_MPU_RBAR) / 8, n = b->mpu_rnr;
    if (at == SCS_MPU_TYPE)
        return v->m->mpu_regions << 8;
    if (at == SCS_MPU_CTRL)
        return b->mpu_ctrl;
    if (at == SCS_MPU_RNR)
        return b->mpu_rnr;
    if (v->m->c->has.v8m && alias)
        n = (n & ~3u) | alias;
    if (n >= v->m->mpu_regions)
        return 0;
    if ((at - SCS_MPU_RBAR) & 4)
        return b->mpu_rasr[n];
    return v->m->c->has.v8m ? b->mpu_rbar[n] : (b->mpu_rbar[n] & ~31u) | n;
}

static void mpu_write(const View *v, uint32_t at, uint32_t value)
{
    ArmMBank *b = v->b;
    unsigned alias = (at - SCS_MPU_RBAR) / 8, n = b->mpu_rnr;
    if (!v->m->mpu_regions)
        return;
    if (at == SCS_MPU_CTRL) {
        b->mpu_ctrl = value & 7;
    } else if (at == SCS_MPU_RNR) {
        if ((value & 0xff) < v->m->mpu_regions)
            b->mpu_rnr = value & 0xff;
        else
            log_guest_error("mpu", "region number %u, but there are %u regions", value & 0xff, v->m->mpu_regions);
    } else if (at >= SCS_MPU_RBAR) {
        if (v->m->c->has.v8m && alias)
            n = (n & ~3u) | alias;
        if (n >= v->m->mpu_regions)
            return;
        if ((at - SCS_MPU_RBAR) & 4) {
            b->mpu_rasr[n] = v->m->c->has.v8m ? value : value & 0x173fff3f;
        } else if (v->m->c->has.v8m) {
            b->mpu_rbar[n] = value;
        } else {
            if (value & 16 && (value & 15) < v->m->mpu_regions)
                n = b->mpu_rnr = value & 15; /* VALID: it selects the region too */
            b->mpu_rbar[n] = value & ~31u;
        }
    }
    tlb_flush_all(&v->m->c->v);
}

static uint32_t sau_read(const View *v, uint32_t at)
{
    const ArmM *m = v->m;
    if (!v->full || !m->c->has.m_security)
        return 0;
    switch (at) {
    case SCS_SAU_CTRL: return m->sau_ctrl;
    case SCS_SAU_TYPE: return m->sau_regions;
    case SCS_SAU_RNR: return m->sau_rnr;
    case SCS_SAU_RBAR: return m->sau_rbar[m->sau_rnr];
    case SCS_SAU_RLAR: return m->sau_rlar[m->sau_rnr];
    case SCS_SFSR: return m->sfsr;
    default: return m->sfar;
    }
}

static void sau_write(const View *v, uint32_t at, uint32_t value)
{
    ArmM *m = v->m;
    if (!v->full || !m->c->has.m_security)
        return;
    switch (at) {
    case SCS_SAU_CTRL: m->sau_ctrl = value & 3; break;
    case SCS_SAU_RNR:
        if ((value & 0xff) < m->sau_regions)
            m->sau_rnr = value & 0xff;
        break;
    case SCS_SAU_RBAR: m->sau_rbar[m->sau_rnr] = value & ~31u; break;
    case SCS_SAU_RLAR: m->sau_rlar[m->sau_rnr] = value & ~28u; break;
    case SCS_SFSR: m->sfsr &= ~value; break;
    case SCS_SFAR: m->sfar = value; break;
    }
    tlb_flush_all(&m->c->v);
}

/* --- FP control --- */

static uint32_t fpccr_read(const View *v)
{
    uint32_t r = v->b->fpccr;
    if (!v->m->c->has.m_security)
        return r;
    if (v->full)
        return (r & ~(uint32_t)FPCCR_S) | (v->m->b[M_S].fpccr & FPCCR_S);
    return r & ~(uint32_t)(FPCCR_S | FPCCR_TS | FPCCR_CLRONRETS | FPCCR_LSPENS | FPCCR_SFRDY);
}

static void fpccr_write(const View *v, uint32_t value)
{
    ArmM *m = v->m;
    if (!m->c->has.v8m) {
        v->b->fpccr = value & FPCCR_WRITABLE_V7;
        return;
    }
    uint32_t shared = FPCCR_CLRONRET, secure_only = FPCCR_S | FPCCR_TS | FPCCR_CLRONRETS | FPCCR_LSPENS | FPCCR_SFRDY;
    if (v->full || !(m->b[M_S].fpccr & FPCCR_LSPENS))
        shared |= FPCCR_LSPEN;
    if (!v->full && m->b[M_S].fpccr & FPCCR_CLRONRETS)
        shared &= ~(uint32_t)FPCCR_CLRONRET;
    uint32_t own = v->full ? ~(uint32_t)FPCCR_SHARED : ~(uint32_t)(FPCCR_SHARED | secure_only);
    for (unsigned s = 0; s < 2; s++)
        m->b[s].fpccr = (m->b[s].fpccr & ~shared) | (value & shared);
    v->b->fpccr = (v->b->fpccr & ~own) | (value & own);
}

/* --- the rest of the SCB --- */

static uint32_t cfsr_read(const View *v)
{
    uint32_t bus = v->full || v->m->aircr & AIRCR_BFHFNMINS ? v->m->b[M_NS].cfsr & CFSR_BUS : 0;
    return (v->b->cfsr & ~(uint32_t)CFSR_BUS) | bus;
}

static void cfsr_write(const View *v, uint32_t value)
{
    v->b->cfsr &= ~(value & ~(uint32_t)CFSR_BUS);
    if (v->full || v->m->aircr & AIRCR_BFHFNMINS)
        v->m->b[M_NS].cfsr &= ~(value & CFSR_BUS);
}

static uint32_t ccr_writable(const ArmM *m)
{
    if (!arm_m_has_main(m))
        return 0;
    uint32_t r = CCR_USERSETMPEND | CCR_UNALIGN_TRP | CCR_DIV_0_TRP | CCR_BFHFNMIGN;
    r |= m->c->has.v8m ? CCR_STKOFHFNMIGN : CCR_NONBASETHRDENA | CCR_STKALIGN;
    r |= m->c->model->clidr ? CCR_DC | CCR_IC : 0;
    return r | (m->c->has.v8_1m ? CCR_LOB : 0);
}

static bool faults_visible(const View *v) { return v->full || v->m->aircr & AIRCR_BFHFNMINS; }

static uint32_t scb_read(const View *v, uint32_t at)
{
    ArmM *m = v->m;
    switch (at) {
    case SCS_CPUID: return m->c->model->midr;
    case SCS_ICSR: return icsr_read(v);
    case SCS_VTOR: return v->b->vtor;
    case SCS_AIRCR: return aircr_read(v);
    case SCS_SCR: return v->b->scr;
    case SCS_CCR: return v->b->ccr;
    case SCS_SHCSR: return shcsr_read(v);
    case SCS_CFSR: return arm_m_has_main(m) ? cfsr_read(v) : 0;
    case SCS_HFSR: return arm_m_has_main(m) && faults_visible(v) ? m->hfsr : 0;
    case SCS_DFSR: return m->dfsr;
    case SCS_MMFAR: return v->b->mmfar;
    case SCS_BFAR: return faults_visible(v) ? m->bfar : 0;
    case SCS_AFSR: return m->afsr;
    case SCS_CPACR: return v->b->cpacr;
    case SCS_NSACR: return v->full && m->c->has.m_security ? m->nsacr : 0;
    case SCS_DEMCR: return m->demcr;
    case SCS_CSSELR: return m->csselr;
    default: return 0; /* DHCSR and the rest: no debugger */
    }
}

static void scb_write(const View *v, uint32_t at, uint32_t value)
{
    ArmM *m = v->m;
    switch (at) {
    case SCS_ICSR: icsr_write(v, value); break;
    case SCS_VTOR: v->b->vtor = m->c->has.v7m || m->c->has.v8m ? value & ~0x7fu : 0; break;
    case SCS_AIRCR: aircr_write(v, value); break;
    case SCS_SCR:
        v->b->scr = value & (SCR_SLEEPONEXIT | SCR_SLEEPDEEP | SCR_SEVONPEND | (m->c->has.v8m ? SCR_SLEEPDEEPS : 0));
        break;
    case SCS_CCR: v->b->ccr = (v->b->ccr & ~ccr_writable(m)) | (value & ccr_writable(m)); break;
    case SCS_SHCSR: shcsr_write(v, value); break;
    case SCS_CFSR:
        if (arm_m_has_main(m))
            cfsr_write(v, value);
        break;
    case SCS_HFSR:
        if (faults_visible(v))
            m->hfsr &= ~value;
        break;
    case SCS_DFSR: m->dfsr &= ~value; break;
    case SCS_MMFAR: v->b->mmfar = value; break;
    case SCS_BFAR:
        if (faults_visible(v))
            m->bfar = value;
        break;
    case SCS_AFSR: m->afsr &= ~value; break;
    case SCS_CPACR: v->b->cpacr = m->c->has.m_fpu ? value & 0xf00000 : 0; break;
    case SCS_NSACR:
        if (v->full && m->c->has.m_security && m->c->has.m_fpu)
            m->nsacr = value & 0xc00;
        break;
    case SCS_DEMCR: m->demcr = value & DEMCR_BITS; break;
    case SCS_CSSELR: m->csselr = value & 15; break;
    default: break;
    }
}

static void stir_write(const View *v, uint32_t value)
{
    unsigned n = value & 0x1ff;
    if (n < v->m->irqs && visible(v, n / 32) >> n % 32 & 1)
        arm_m_pend(v->m, M_EXC_IRQ0 + n, false);
}

static uint32_t word_read(const View *v, uint32_t at)
{
    ArmM *m = v->m;
    uint32_t r = 0;
    if (at >= SCS_ISER && at < SCS_IPR)
        return irq_read(v, at);
    if (at >= SCS_MPU_TYPE && at < SCS_MPU_END)
        return mpu_read(v, at);
    if (at >= SCS_SAU_CTRL && at <= SCS_SFAR)
        return sau_read(v, at);
    if ((at >= SCS_ID && at < SCS_CSSELR) || (at >= SCS_MVFR0 && at <= SCS_MVFR2))
        return arm_m_id(m, at);
    if (at >= SCS_IPR && at < SCS_IPR_END) {
        for (unsigned i = 0; i < 4; i++) {
            const uint8_t *p = irq_prio(v, at - SCS_IPR + i);
            r |= (uint32_t)(p ? *p : 0) << 8 * i;
        }
        return r;
    }
    if (at >= SCS_SHPR && at < SCS_SHCSR) {
        for (unsigned i = 0; i < 4; i++)
            r |= (uint32_t)shpr_read(v, at - SCS_SHPR + 4 + i) << 8 * i;
        return r;
    }
    switch (at) {
    case SCS_ICTR: return (m->irqs + 31) / 32 - 1;
    case SCS_ACTLR: return m->actlr;
    case SCS_CPPWR: return m->cppwr;
    case SCS_MAIR0: return v->b->mair[0];
    case SCS_MAIR1: return v->b->mair[1];
    case SCS_FPCCR: return m->c->has.m_fpu ? fpccr_read(v) : 0;
    case SCS_FPCAR: return v->b->fpcar;
    case SCS_FPDSCR: return v->b->fpdscr;
    default: return at >= SCS_CPUID && at < SCS_STIR ? scb_read(v, at) : 0;
    }
}

static void word_write(const View *v, uint32_t at, uint32_t value)
{
    ArmM *m = v->m;
    if (at >= SCS_ISER && at < SCS_IPR) {
        irq_write(v, at, value);
    } else if (at >= SCS_MPU_TYPE && at < SCS_MPU_END) {
        mpu_write(v, at, value);
    } else if (at >= SCS_SAU_CTRL && at <= SCS_SFAR) {
        sau_write(v, at, value);
    } else if (at == SCS_ACTLR) {
        m->actlr = value;
    } else if (at == SCS_CPPWR) {
        m->cppwr = value;
    } else if (at == SCS_MAIR0 || at == SCS_MAIR1) {
        v->b->mair[at == SCS_MAIR1] = m->c->has.v8m ? value : 0;
    } else if (at == SCS_FPCCR && m->c->has.m_fpu) {
        fpccr_write(v, value);
    } else if (at == SCS_FPCAR && m->c->has.m_fpu) {
        v->b->fpcar = value & ~7u;
    } else if (at == SCS_FPDSCR && m->c->has.m_fpu) {
        v->b->fpdscr = value & 0x07c00000;
    } else if (at == SCS_STIR && arm_m_has_main(m)) {
        stir_write(v, value);
    } else if (at >= SCS_CPUID && at < SCS_STIR) {
        scb_write(v, at, value);
    }
}

/* Registers of bytes: IPR and SHPR. */
static bool byte_write(const View *v, uint32_t at, uint8_t value)
{
    if (at >= SCS_IPR && at < SCS_IPR_END) {
        uint8_t *p = irq_prio(v, at - SCS_IPR);
        if (p)
            *p = value & v->m->prio_mask;
    } else if (at >= SCS_SHPR && at < SCS_SHCSR) {
        shpr_write(v, at - SCS_SHPR + 4, value);
    } else {
        return false;
    }
    return true;
}

static View view_of(ArmM *m, bool ns_alias)
{
    bool secure = m->secure && !ns_alias;
    return (View){ .m = m, .secure = secure, .full = secure || !m->c->has.m_security, .b = &m->b[secure] };
}

static bool is_tick(uint32_t at) { return at >= SCS_TICK && at < SCS_TICK + 16; }

MemResult arm_m_scs_read(ArmM *m, uint32_t at, unsigned size, bool ns_alias, uint64_t *value)
{
    View v = view_of(m, ns_alias);
    uint32_t word;
    if (is_tick(at)) {
        word = arm_m_tick_read(m, v.secure, (at & ~3u) - SCS_TICK);
    } else {
        arm_m_lock(m);
        word = word_read(&v, at & ~3u);
        arm_m_unlock(m);
    }
    *value = word >> 8 * (at & 3);
    return MEM_OK;
}

MemResult arm_m_scs_write(ArmM *m, uint32_t at, unsigned size, bool ns_alias, uint64_t value)
{
    View v = view_of(m, ns_alias);
    if (is_tick(at)) {
        arm_m_tick_write(m, v.secure, (at & ~3u) - SCS_TICK, (uint32_t)value);
        return MEM_OK;
    }
    if (at >= SCS_CACHE_OPS && at <= SCS_CACHE_OPS_END)
        return MEM_OK; /* there are no caches to maintain */
    arm_m_lock(m);
    bool bytes = false;
    for (unsigned i = 0; i < size; i++)
        bytes |= byte_write(&v, at + i, (uint8_t)(value >> 8 * i));
    if (!bytes && (at & ~3u) == SCS_CFSR)
        word_write(&v, SCS_CFSR, (uint32_t)value << 8 * (at & 3));
    else if (!bytes && size == 4)
        word_write(&v, at, (uint32_t)value);
    else if (!bytes)
        log_guest_error("scs", "write of %u bytes at 0xe000e000+0x%x, which takes words", size, at);
    arm_m_update(m);
    arm_m_unlock(m);
    arm_update_mode(m->c);
    /* the next block is looked up in the new mode */
    atomic_store_explicit(&m->c->v.exit_request, 1, memory_order_relaxed);
    return MEM_OK;
}
