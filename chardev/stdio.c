/* SPDX-License-Identifier: MIT */
/* The program's own standard input and output; a terminal is made raw and given back. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>
#include "chardev/chardev-internal.h"

typedef struct Stdio {
    Chardev c;
    FdPort port;
    int own_out; /* a descriptor of our own for the terminal, -1: none */
} Stdio;

/* The terminal is one per process; signal handlers and exit() need it. */
static struct {
    bool in_use;            /* a stdio chardev exists */
    volatile sig_atomic_t raw;
    bool signals;           /* Ctrl-C and Ctrl-Z keep their meaning */
    struct termios before, now;
} tty;

void chardev_restore_terminal(void)
{
    if (tty.raw) {
        tcsetattr(STDIN_FILENO, TCSANOW, &tty.before);
        tty.raw = 0;
    }
}

/* A job of the shell that is not in the foreground; a terminal that does not control us (-1) has no such thing. */
static bool in_background(void)
{
    pid_t foreground = tcgetpgrp(STDIN_FILENO);
    return foreground >= 0 && foreground != getpgrp();
}

static void tty_make_raw(void)
{
    tty.now = tty.before;
    tty.now.c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
    tty.now.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | IEXTEN);
    if (!tty.signals)
        tty.now.c_lflag &= ~(tcflag_t)ISIG;
    tty.now.c_cflag = (tty.now.c_cflag & ~(tcflag_t)(CSIZE | PARENB)) | CS8;
    tty.now.c_cc[VMIN] = 1;
    tty.now.c_cc[VTIME] = 0;
    /* OPOST stays: messages of the program itself keep their line ends. */
    if (in_background())
        return; /* in the background: when continued in the foreground */
    tcsetattr(STDIN_FILENO, TCSANOW, &tty.now);
    tty.raw = 1;
}

/*
 * Suspended from outside or by Ctrl-Z: give the terminal back, stop, and take it again when continued in the
 * foreground.
 */
static void on_stop(int sig)
{
    int saved = errno;
    bool was_raw = tty.raw;
    sigset_t set, old;
    struct sigaction dfl = { .sa_handler = SIG_DFL }, ours;
    chardev_restore_terminal();
    sigaction(SIGTSTP, &dfl, &ours);
    raise(SIGTSTP);
    sigemptyset(&set);
    sigaddset(&set, SIGTSTP);
    pthread_sigmask(SIG_UNBLOCK, &set, &old); /* stops here */
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    sigaction(SIGTSTP, &ours, NULL);
    if (was_raw && !in_background()) {
        tcsetattr(STDIN_FILENO, TCSANOW, &tty.now);
        tty.raw = 1;
    }
    errno = saved;
}

/* Continued after SIGSTOP, or brought back by the shell, which may have changed the terminal. */
static void on_continue(int sig)
{
    int saved = errno;
    if (tty.in_use && !in_background()) {
        tcsetattr(STDIN_FILENO, TCSANOW, &tty.now);
        tty.raw = 1;
    }
    errno = saved;
}

static void tty_take(bool signals)
{
    static bool at_exit;
    tty.signals = signals;
    if (tcgetattr(STDIN_FILENO, &tty.before) < 0)
        return;
    if (!at_exit)
        atexit(chardev_restore_terminal);
    at_exit = true;
    tty_make_raw();
    struct sigaction stop = { .sa_handler = on_stop, .sa_flags = SA_RESTART };
    struct sigaction cont = { .sa_handler = on_continue, .sa_flags = SA_RESTART };
    sigaction(SIGTSTP, &stop, NULL);
    sigaction(SIGCONT, &cont, NULL);
}

/*
 * A descriptor for the same terminal or pipe that may be non-blocking without a change to the one we share with the
 * shell.
 */
static int own_output(void)
{
    struct stat st;
    if (fstat(STDOUT_FILENO, &st) || !(S_ISCHR(st.st_mode) || S_ISFIFO(st.st_mode)))
        return -1;
    return open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

static bool stdio_open(Chardev *c, Opts *o, Error **errp)
{
    Stdio *s = (Stdio *)c;
    bool signals;
    s->own_out = -1;
    if (!opts_get_bool(o, "signal", true, &signals, errp))
        return false;
    if (tty.in_use) {
        error_setf(errp, "stdio is in use by another chardev; add mux=on to that one to share it");
        return false;
    }
    tty.in_use = true;
    s->own_out = own_output();
    bool no_input = fcntl(STDIN_FILENO, F_GETFD) < 0;
    fdport_init(&s->port, c, no_input ? -1 : STDIN_FILENO, s->own_out >= 0 ? s->own_out : STDOUT_FILENO);
    c->interactive = isatty(STDIN_FILENO);
    if (c->interactive)
        tty_take(signals);
    chr_event(c, CHR_OPENED);
    return true;
}

static void stdio_close(Chardev *c)
{
    Stdio *s = (Stdio *)c;
    if (!s->port.pending)
        return;
    fdport_flush(&s->port, 500);
    fdport_fini(&s->port);
    if (s->own_out >= 0)
        close(s->own_out);
    chardev_restore_terminal();
    tty.in_use = false;
}

static size_t stdio_write(Chardev *c, const uint8_t *data, size_t len)
{
    return fdport_write(&((Stdio *)c)->port, data, len);
}
static void stdio_accept_input(Chardev *c) { fdport_accept_input(&((Stdio *)c)->port); }
static int stdio_wait_fd(Chardev *c) { return ((Stdio *)c)->port.out; }

static const char *const stdio_options[] = { "signal", NULL };
const ChardevBackend chardev_stdio = {
    .name = "stdio", .help = "the program's own terminal, or what its input and output are redirected to",
    .options = stdio_options, .size = sizeof(Stdio), .open = stdio_open, .close = stdio_close, .write = stdio_write,
    .accept_input = stdio_accept_input, .wait_fd = stdio_wait_fd,
};
