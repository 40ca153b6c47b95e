/* SPDX-License-Identifier: MIT */
/* -daemonize and -pidfile. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "system/background.h"

static int ready_fd = -1; /* write end of the pipe to the waiting parent */
static char *pid_path;

static _Noreturn void wait_for_child(int fd, pid_t child)
{
    char byte;
    ssize_t n;
    do {
        n = read(fd, &byte, 1);
    } while (n < 0 && errno == EINTR);
    if (n == 1)
        _exit(EXIT_SUCCESS);
    int status = 0;
    waitpid(child, &status, 0);
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE);
}

static bool detach(Error **errp)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) < 0) {
        error_set_errno(errp, errno, "-daemonize");
        return false;
    }
    pid_t child = fork();
    if (child < 0) {
        error_set_errno(errp, errno, "-daemonize");
        return false;
    }
    if (child) {
        close(fds[1]);
        wait_for_child(fds[0], child);
    }
    close(fds[0]);
    ready_fd = fds[1];
    setsid();
    return true;
}

static bool write_pidfile(Error **errp)
{
    int fd = open(pid_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    bool ok = fd >= 0 && dprintf(fd, "%ld\n", (long)getpid()) > 0;
    if (!ok)
        error_set_errno(errp, errno, "-pidfile '%s'", pid_path);
    if (fd >= 0)
        close(fd);
    return ok;
}

bool background_start(bool daemonize, const char *pidfile, Error **errp)
{
    if (daemonize && !detach(errp))
        return false;
    pid_path = g_strdup(pidfile);
    return !pidfile || write_pidfile(errp);
}

bool background_ready(Error **errp)
{
    if (ready_fd < 0)
        return true;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || chdir("/") < 0) {
        error_set_errno(errp, errno, "-daemonize");
        return false;
    }
    for (int fd = 0; fd < 3; fd++)
        dup2(null, fd);
    close(null);
    if (write(ready_fd, "", 1) != 1)
        return true; /* nobody waits any more */
    close(ready_fd);
    ready_fd = -1;
    return true;
}

void background_end(void)
{
    if (pid_path)
        unlink(pid_path);
    g_clear_pointer(&pid_path, g_free);
}
