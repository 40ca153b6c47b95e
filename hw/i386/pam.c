/* SPDX-License-Identifier: MIT */
/* PAM shadowing and SMRAM windows as memory-map changes. */
#include "base/bits.h"
#include "hw/i386/pam.h"

#define SMRAM_BASE 0xa0000u
#define SMRAM_SIZE 0x20000u
#define PAM_BASE 0xc0000u
#define PAM_STEP 0x4000u

enum { PRIO_VGA = 1, PRIO_PAM = 1, PRIO_SMRAM = 2, PAM_READ = 1, PAM_WRITE = 2 };

/* Segment 0..11: 16 KiB each from 0xc0000; segment 12: 0xf0000-0xfffff. */
static hwaddr segment_base(unsigned i) { return PAM_BASE + i * PAM_STEP; }
static uint64_t segment_size(unsigned i) { return i == PAM_SEGMENTS - 1 ? 0x10000 : PAM_STEP; }

static MemResult hidden_read(void *opaque, hwaddr offset, unsigned size, uint64_t *value,
                             MemAttrs attrs)
{
    *value = UINT64_MAX;
    return MEM_OK;
}

static MemResult hidden_write(void *opaque, hwaddr offset, unsigned size, uint64_t value,
                              MemAttrs attrs)
{
    return MEM_OK;
}

static const MemOps hidden_ops = { .read = hidden_read, .write = hidden_write, .min_size = 1,
                                   .max_size = 8 };

/* Map `*r`, switched off. */
static MemRegion *add(MemRegion *into, hwaddr at, MemRegion *r, int priority)
{
    mem_set_enabled(r, false);
    mem_map(into, at, r, priority);
    return r;
}

static void start_smram(Shadow *s)
{
    const SmramSpaces *sp = &s->spaces;

    s->vga = add(sp->system, SMRAM_BASE,
                 mem_alias_new("vga-window", sp->pci, SMRAM_BASE, SMRAM_SIZE), PRIO_VGA);
    mem_set_enabled(s->vga, true);
    s->smram_open = add(sp->system, SMRAM_BASE,
                        mem_alias_new("smram-open", sp->ram, SMRAM_BASE, SMRAM_SIZE), PRIO_SMRAM);
    if (sp->smm)
        s->smram_smm = add(sp->smm, SMRAM_BASE,
                           mem_alias_new("smram", sp->ram, SMRAM_BASE, SMRAM_SIZE), PRIO_SMRAM);
}

void shadow_start(Shadow *s, const SmramSpaces *spaces)
{
    s->spaces = *spaces;
    mem_begin();
    for (unsigned i = 0; i < PAM_SEGMENTS; i++) {
        hwaddr at = segment_base(i);
        s->pci_alias[i] = add(spaces->system, at,
                              mem_alias_new("pam-pci", spaces->pci, at, segment_size(i)), PRIO_PAM);
        s->ram_alias[i] = add(spaces->system, at,
                              mem_alias_new("pam-ram", spaces->ram, at, segment_size(i)), PRIO_PAM);
        mem_set_enabled(s->pci_alias[i], true);
    }
    start_smram(s);
    mem_commit();
}

static void free_tseg(Shadow *s)
{
    g_clear_pointer(&s->tseg_hidden, mem_region_free);
    g_clear_pointer(&s->tseg_smm, mem_region_free);
}

void shadow_stop(Shadow *s)
{
    mem_begin();
    for (unsigned i = 0; i < PAM_SEGMENTS; i++) {
        g_clear_pointer(&s->pci_alias[i], mem_region_free);
        g_clear_pointer(&s->ram_alias[i], mem_region_free);
    }
    g_clear_pointer(&s->vga, mem_region_free);
    g_clear_pointer(&s->smram_open, mem_region_free);
    g_clear_pointer(&s->smram_smm, mem_region_free);
    free_tseg(s);
    mem_commit();
}

/* "Read from PCI, write to RAM" is shown as PCI for both: no firmware leaves it so. */
static void set_segment(Shadow *s, unsigned i, unsigned mode)
{
    bool ram = mode & PAM_READ;

    mem_set_enabled(s->ram_alias[i], ram);
    mem_set_enabled(s->pci_alias[i], !ram);
    mem_set_readonly(s->ram_alias[i], !(mode & PAM_WRITE));
}

void shadow_set_pam(Shadow *s, const uint8_t pam[7])
{
    memmove(s->pam, pam, sizeof(s->pam));
    mem_begin();
    set_segment(s, PAM_SEGMENTS - 1, pam[0] >> 4 & 3);
    for (unsigned i = 0; i < PAM_SEGMENTS - 1; i++)
        set_segment(s, i, pam[1 + i / 2] >> (i % 2 * 4) & 3);
    mem_commit();
}

void shadow_reset_pam(Shadow *s, uint8_t pam[7], bool keep)
{
    if (keep)
        memcpy(pam, s->pam, sizeof(s->pam));
    shadow_set_pam(s, pam);
}

void shadow_set_smram(Shadow *s, bool enabled, bool open)
{
    mem_begin();
    mem_set_enabled(s->smram_open, enabled && open);
    if (s->smram_smm)
        mem_set_enabled(s->smram_smm, enabled);
    mem_commit();
}

void shadow_set_tseg(Shadow *s, uint64_t size)
{
    const SmramSpaces *sp = &s->spaces;
    hwaddr base = sp->ram_below_4g - size;

    if (size == s->tseg_size || size >= sp->ram_below_4g)
        return;
    mem_begin();
    free_tseg(s);
    s->tseg_size = size;
    if (size) {
        s->tseg_hidden = mem_io_new("tseg-hidden", size, &hidden_ops, s, NULL);
        mem_map(sp->system, base, s->tseg_hidden, PRIO_SMRAM);
        if (sp->smm) {
            s->tseg_smm = mem_alias_new("tseg", sp->ram, base, size);
            mem_map(sp->smm, base, s->tseg_smm, PRIO_SMRAM);
        }
    }
    mem_commit();
}
