/* SPDX-License-Identifier: MIT */
/* One CPU model as -cpu names it. */
#ifndef TARGET_X86_MODEL_TABLE_H
#define TARGET_X86_MODEL_TABLE_H

#include "target/x86/models.h"

struct X86Model {
    const char *name, *desc;
    const char *base;      /* model whose features and numbers come first */
    char vendor;           /* 'I', 'A', 'H'; 0: the base's */
    uint16_t family, model, stepping;
    uint32_t level, xlevel;
    const char *model_id;
    const char *features;  /* added; "-x" takes away */
    bool all;              /* all that works: max, host */
    const char *
        version; /* the same by its version, "Haswell-v2"; NULL: it is the first, NAME-v1; "": it has none, or is one */
};

extern const X86Model x86_models[];
extern const unsigned x86_model_count;
#endif
