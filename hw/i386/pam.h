/* SPDX-License-Identifier: MIT */
/* What the MCH and the i440FX do alike: shadowing of 0xc0000-0xfffff (PAM) and the SMRAM window at 0xa0000. */
#ifndef HW_I386_PAM_H
#define HW_I386_PAM_H

#include "hw/core/device.h"

enum { PAM_SEGMENTS = 13 };

typedef struct SmramSpaces {
    MemRegion *system; /* root of system memory */
    MemRegion *smm;    /* root of what a CPU in SMM sees, or NULL */
    MemRegion *pci;    /* what lies below RAM: the BIOS and PCI */
    MemRegion *ram;
    uint64_t ram_below_4g;
} SmramSpaces;

/* Embedded in the host bridge. */
typedef struct Shadow {
    SmramSpaces spaces;
    MemRegion *ram_alias[PAM_SEGMENTS], *pci_alias[PAM_SEGMENTS];
    MemRegion *vga;         /* 0xa0000-0xbffff is PCI's */
    MemRegion *smram_open;  /* ... unless SMRAM is open */
    MemRegion *smram_smm;   /* what SMM sees there */
    MemRegion *tseg_hidden, *tseg_smm;
    uint64_t tseg_size;
    uint8_t pam[7];         /* as last set */
} Shadow;

void shadow_start(Shadow *s, const SmramSpaces *spaces);
void shadow_stop(Shadow *s);
/* The seven PAM registers: two bits (read enable, write enable) per segment; PAM0[5:4] is 0xf0000-0xfffff. */
void shadow_set_pam(Shadow *s, const uint8_t pam[7]);
/*
 * At reset: the registers lose their contents, but not when RAM has been kept in S3 (firmware resumes from its shadow).
 */
void shadow_reset_pam(Shadow *s, uint8_t pam[7], bool keep);
/* open: CPUs outside SMM see SMRAM; enabled: SMM sees it (else PCI). */
void shadow_set_smram(Shadow *s, bool enabled, bool open);
/* The last `size` bytes of low RAM belong to SMM; 0: none. */
void shadow_set_tseg(Shadow *s, uint64_t size);
#endif
