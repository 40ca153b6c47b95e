/* SPDX-License-Identifier: MIT */
/* Loading of capstone. */
#include "base/disassembler.h"
#include <dlfcn.h>
#include <glib.h>
#include "base/error.h"

#define LIBRARY "libcapstone.so." G_STRINGIFY(CS_API_MAJOR)

const Disassembler *disassembler_get(void)
{
    static Disassembler d;
    static const Disassembler *found;
    static gsize once;
    if (g_once_init_enter(&once)) {
        void *lib = dlopen(LIBRARY, RTLD_NOW);
        if (lib) {
            d = (Disassembler){ (__typeof__(cs_open) *)dlsym(lib, "cs_open"),
                                (__typeof__(cs_disasm) *)dlsym(lib, "cs_disasm"),
                                (__typeof__(cs_free) *)dlsym(lib, "cs_free"),
                                (__typeof__(cs_close) *)dlsym(lib, "cs_close") };
            found = d.open && d.disasm && d.free && d.close ? &d : NULL;
        }
        if (!found)
            warn_reportf("%s can't be loaded: nothing is disassembled; install libcapstone4", LIBRARY);
        g_once_init_leave(&once, 1);
    }
    return found;
}
