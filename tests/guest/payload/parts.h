/* SPDX-License-Identifier: MIT */
/*
 * Parts of a bare-metal test, which run unless the command line leaves them out. For programs with print() and
 * start_info; included once in each.
 */
#ifndef PAYLOAD_PARTS_H
#define PAYLOAD_PARTS_H

/* The command line (hvm_start_info, at 24) names parts to leave out, with commas: what an emulator's CPU cannot do. */
static int is_named(const char *name)
{
    const char *c = (const char *)(unsigned long)*(const volatile u32 *)(unsigned long)(start_info + 24);
    while (c && *c) {
        const char *n = name;
        while (*n && *c == *n)
            c++, n++;
        if (!*n && (!*c || *c == ','))
            return 1;
        while (*c && *c++ != ',')
            ;
    }
    return 0;
}

static void run_part(const char *name, void (*run)(void))
{
    if (is_named(name))
        return;
    print(name), print("\n");
    run();
}
#endif
