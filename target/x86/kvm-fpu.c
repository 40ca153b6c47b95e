/* SPDX-License-Identifier: MIT */
/* x87, SSE, AVX and what the host has beyond: the area of XSAVE, or the older call's structure. */
#include "target/x86/kvm.h"

#include <string.h>
#include "target/x86/fpu.h"

/* The image of XSAVE in standard form (SDM vol. 1, 13.4). */
enum {
    X_FCW = 0,
    X_FSW = 2,
    X_TAGS = 4,
    X_FOP = 6,
    X_IP = 8,
    X_DP = 16,
    X_MXCSR = 24,
    X_MXCSR_MASK = 28,
    X_ST = 32,
    X_XMM = 160,
    X_BV = 512,
    X_AVX = 576
};

static void fpu_image(X86Cpu *c, uint8_t *p, bool avx)
{
    store_le16(p + X_FCW, c->fp_cw);
    store_le16(p + X_FSW, x87_status(c));
    p[X_TAGS] = c->fp_tags;
    store_le16(p + X_FOP, c->fp_op);
    store_le64(p + X_IP, c->fp_ip);
    store_le64(p + X_DP, c->fp_dp);
    store_le32(p + X_MXCSR, c->v.fp_control);
    store_le32(p + X_MXCSR_MASK, 0xffff);
    for (unsigned i = 0; i < 8; i++) {
        store_le64(p + X_ST + 16 * i, x87_st(c, i)->mant);
        store_le16(p + X_ST + 16 * i + 8, x87_st(c, i)->sign_exp);
    }
    for (unsigned i = 0; i < 16; i++) {
        memcpy(p + X_XMM + 16 * i, c->v.v[i].u8, 16);
        if (avx)
            memcpy(p + X_AVX + 16 * i, c->v.v[i].u8 + 16, 16);
    }
    store_le64(p + X_BV, avx ? 7 : 3);
}

/* A component whose bit is clear is in its initial state, whatever its bytes are. */
static void fpu_from_image(X86Cpu *c, const uint8_t *p)
{
    uint64_t bv = load_le64(p + X_BV);
    x87_init(c);
    memset(c->fpr, 0, sizeof(c->fpr));
    c->fp_ip = c->fp_dp = 0, c->fp_op = c->fp_cs = c->fp_ds = 0;
    if (bv & 1) {
        c->fp_cw = (load_le16(p + X_FCW) & 0x1f3f) | 0x40;
        x87_set_status(c, load_le16(p + X_FSW));
        c->fp_tags = p[X_TAGS];
        c->fp_op = load_le16(p + X_FOP) & 0x7ff;
        c->fp_ip = load_le64(p + X_IP), c->fp_dp = load_le64(p + X_DP);
        for (unsigned i = 0; i < 8; i++) {
            x87_st(c, i)->mant = load_le64(p + X_ST + 16 * i);
            x87_st(c, i)->sign_exp = load_le16(p + X_ST + 16 * i + 8);
        }
        x87_update_summary(c);
    }
    c->v.fp_control = bv & 6 ? load_le32(p + X_MXCSR) & 0xffff : 0x1f80;
    for (unsigned i = 0; i < 16; i++) {
        memset(&c->v.v[i], 0, sizeof(c->v.v[i]));
        if (bv & 2)
            memcpy(c->v.v[i].u8, p + X_XMM + 16 * i, 16);
        if (bv & 4)
            memcpy(c->v.v[i].u8 + 16, p + X_AVX + 16 * i, 16);
    }
}

/* KVM_GET_FPU's structure carries the same as the legacy part, in fields. */
static void legacy_out(const uint8_t *p, struct kvm_fpu *f)
{
    memset(f, 0, sizeof(*f));
    f->fcw = load_le16(p + X_FCW), f->fsw = load_le16(p + X_FSW), f->ftwx = p[X_TAGS],
    f->last_opcode = load_le16(p + X_FOP);
    f->last_ip = load_le64(p + X_IP), f->last_dp = load_le64(p + X_DP), f->mxcsr = load_le32(p + X_MXCSR);
    memcpy(f->fpr, p + X_ST, sizeof(f->fpr));
    memcpy(f->xmm, p + X_XMM, sizeof(f->xmm));
}

static void legacy_in(uint8_t *p, const struct kvm_fpu *f)
{
    store_le16(p + X_FCW, f->fcw), store_le16(p + X_FSW, f->fsw), p[X_TAGS] = f->ftwx,
                                                                  store_le16(p + X_FOP, f->last_opcode);
    store_le64(p + X_IP, f->last_ip), store_le64(p + X_DP, f->last_dp), store_le32(p + X_MXCSR, f->mxcsr);
    memcpy(p + X_ST, f->fpr, sizeof(f->fpr));
    memcpy(p + X_XMM, f->xmm, sizeof(f->xmm));
    store_le64(p + X_BV, 3);
}

/* A kernel that refuses the whole area has the older call; more than it holds would be lost there. */
bool kvm_x86_put_fpu(KvmVcpu *k, Error **errp)
{
    KvmX86 *x = kvm_x86(k);
    X86Cpu *c = kvm_cpu(k);
    struct kvm_fpu f;
    memset(x->area, 0, x->area_size);
    fpu_image(c, x->area, x86_has_feature(c, X86_FEATURE_AVX));
    kvm_x86_components_out(c, x->area);
    if (x->xsave && !kvm_ioctl(k->fd, KVM_SET_XSAVE, x->area))
        return true;
    if (c->ext.xsave.used)
        return kvm_x86_refused(errp, k, "registers beyond AVX", true);
    x->xsave = false;
    legacy_out(x->area, &f);
    return kvm_ioctl(k->fd, KVM_SET_FPU, &f) < 0 ? kvm_x86_refused(errp, k, "FPU", true) : true;
}

bool kvm_x86_get_fpu(KvmVcpu *k, Error **errp)
{
    KvmX86 *x = kvm_x86(k);
    struct kvm_fpu f;
    memset(x->area, 0, x->area_size);
    unsigned long request = x->area_size > sizeof(struct kvm_xsave) ? KVM_GET_XSAVE2 : KVM_GET_XSAVE;
    if (!x->xsave || kvm_ioctl(k->fd, request, x->area) < 0) {
        x->xsave = false;
        if (kvm_ioctl(k->fd, KVM_GET_FPU, &f) < 0)
            return kvm_x86_refused(errp, k, "FPU", false);
        legacy_in(x->area, &f);
    }
    fpu_from_image(kvm_cpu(k), x->area);
    kvm_x86_components_in(kvm_cpu(k), x->area);
    return true;
}
