/* SPDX-License-Identifier: MIT */
/* Arm-diff: the runner process under QEMU's user emulation. */
#include "tests/cpu/arm-diff/arm-diff.h"
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static DiffShared *shared;
static GPid child;
static int to_child = -1, from_child = -1;
static char *file_name;

/* The runner stands next to this program. */
static char *runner_path(const DiffIsa *isa)
{
    g_autofree char *self = g_file_read_link("/proc/self/exe", NULL),
                    *dir = self ? g_path_get_dirname(self) : g_strdup(".");
    return g_build_filename(dir, isa->runner, NULL);
}

static bool make_shared(Error **errp)
{
    g_autoptr(GError) err = NULL;
    int fd = g_file_open_tmp("arm-diff-XXXXXX", &file_name, &err);
    if (fd < 0 || ftruncate(fd, sizeof(*shared)) < 0) {
        error_setf(errp, "no temporary file: %s", err ? err->message : g_strerror(errno));
        return false;
    }
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    return shared != MAP_FAILED;
}

bool oracle_start(const DiffIsa *isa, Error **errp)
{
    g_autofree char *runner = runner_path(isa);
    const char *argv[8];
    unsigned n = 0;
    g_autoptr(GError) err = NULL;
    if (!make_shared(errp))
        return false;
    for (; isa->qemu[n]; n++)
        argv[n] = isa->qemu[n];
    argv[n++] = runner, argv[n++] = file_name, argv[n] = NULL;
    if (!g_spawn_async_with_pipes(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD, NULL,
                                  NULL, &child, &to_child, &from_child, NULL, &err)) {
        error_setf(errp, "%s", err->message);
        return false;
    }
    signal(SIGPIPE, SIG_IGN);
    return true;
}

DiffShared *oracle_shared(void) { return shared; }

bool oracle_run(Error **errp)
{
    char byte = 1;
    if (write(to_child, &byte, 1) == 1 && read(from_child, &byte, 1) == 1)
        return true;
    int status = 0;
    waitpid(child, &status, 0);
    error_setf(errp, "the runner has ended: status 0x%x", status);
    return false;
}

void oracle_stop(void)
{
    close(to_child);
    close(from_child);
    unlink(file_name);
    munmap(shared, sizeof(*shared));
}
