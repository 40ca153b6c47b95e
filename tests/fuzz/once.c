/* SPDX-License-Identifier: MIT */
/* A fuzzer's target without the fuzzer: each file of the arguments once, folders with all that is in them. */
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
#include "tests/fuzz/fuzz.h"

enum { SECONDS = 60 };

static unsigned run_path(const char *path)
{
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    g_autofree char *data = NULL;
    gsize len;
    unsigned count = 0;
    if (dir) {
        for (const char *name = g_dir_read_name(dir); name; name = g_dir_read_name(dir)) {
            g_autofree char *full = g_build_filename(path, name, NULL);
            count += run_path(full);
        }
        return count;
    }
    if (!g_file_get_contents(path, &data, &len, NULL))
        return 0;
    fprintf(stderr, "%s\n", path);
    alarm(SECONDS);
    LLVMFuzzerTestOneInput((uint8_t *)data, len);
    return 1;
}

int main(int argc, char **argv)
{
    const struct rlimit memory = { UINT64_C(2) << 30, UINT64_C(2) << 30 };
    unsigned count = 0;
    if (!getenv("RHEA_FUZZ_NO_LIMIT"))
        setrlimit(RLIMIT_AS, &memory);
    g_autofree char *here = g_get_current_dir();
    for (int i = 1; i < argc; i++) {
        g_autofree char *path = g_canonicalize_filename(argv[i], here);
        count += run_path(path);
    }
    printf("1..1\n%s 1 %u images\n", count ? "ok" : "not ok", count);
    return !count;
}
