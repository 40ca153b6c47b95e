/* SPDX-License-Identifier: MIT */
/* Character back ends that a person sits at: the mux and stdio; and wrong options of all. */
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include "tests/unit/chardev-rig.h"

static unsigned quits;
static void quit(void) { quits++; }

static void test_mux(void)
{
    g_autofree char *path = in_dir("mux");
    Sink console = sink_new(), monitor = sink_new();
    Chardev *c = make("socket,id=m,mux=on,path=%s,server=on,wait=off", path);
    g_assert_true(attach(c, &console, NULL));
    g_assert_true(attach(c, &monitor, NULL));
    int fd = connect_unix(path);
    expect(monitor.events, "O");
    expect(console.events, "iO");
    put(fd, "to console\x01\x01");
    expect(console.got, "to console\x01");
    put(fd, "\x01" "cto monitor");
    expect(monitor.got, "to monitor");
    expect(console.events, "o");
    expect(monitor.events, "i");
    put(fd, "\x01" "b");
    expect(monitor.events, "B");
    put(fd, "\x01");
    turn(5);
    put(fd, "cback");
    expect(console.got, "back");
    chardev_set_quit_handler(quit);
    put(fd, "\x01x");
    turn(20);
    g_assert_cmpuint(quits, ==, 1);
    expect_fd(fd, "\r\n");
    put(fd, "\x01h");
    turn(20);
    char help[2000] = { 0 };
    g_assert_cmpint(read(fd, help, sizeof(help) - 1), >, 0);
    g_assert_nonnull(strstr(help, "Ctrl-a x"));
    put(fd, "\x01t");
    turn(20);
    say(c, "one\ntwo\n");
    char stamped[200] = { 0 };
    turn(20);
    g_assert_cmpint(read(fd, stamped, sizeof(stamped) - 1), >, 0);
    g_assert_true(g_regex_match_simple("^\\[00:00:00\\.\\d+\\] one\n\\[00:00:00\\.\\d+\\] two\n$", stamped, 0, 0));
    put(fd, "\x01t");
    console.room = 0; /* the guest does not read: typed text waits, commands still work as long as it fits */
    put(fd, "wait\x01x");
    turn(20);
    g_assert_cmpuint(quits, ==, 2);
    g_assert_cmpuint(console.got->len, ==, 0);
    console.room = 1000000;
    chardev_accept_input(c);
    expect(console.got, "wait");
    chardev_detach(c, &console);
    put(fd, "m");
    expect(monitor.got, "m");
    close(fd);
    chardevs_close_all();
    sink_free(&console);
    sink_free(&monitor);
}

/* ---- stdio: in a child, with a terminal or a pipe in place of ours ---- */

static void echo_child(const char *options, const char *until)
{
    Sink s = sink_new();
    Chardev *c = make("stdio,id=s%s", options);
    attach(c, &s, NULL);
    size_t done = 0;
    for (int64_t end = clock_ns(CLOCK_REALTIME_NS) + INT64_C(3000000000); clock_ns(CLOCK_REALTIME_NS) < end;) {
        if (!evloop_iterate(false))
            g_usleep(500);
        chardev_write_all(c, s.got->str + done, s.got->len - done);
        done = s.got->len;
        if (strstr(s.got->str, until))
            break;
    }
    chardevs_close_all();
    _exit(strstr(s.got->str, until) ? 0 : 3);
}

static void test_stdio_tty(void)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    g_assert_cmpint(grantpt(master) | unlockpt(master), ==, 0);
    int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    struct termios before, now;
    tcgetattr(slave, &before);
    pid_t pid = fork();
    if (!pid) {
        setsid();
        ioctl(slave, TIOCSCTTY, 0);
        dup2(slave, 0);
        dup2(slave, 1);
        echo_child(",signal=off", "!");
    }
    for (unsigned i = 0; i < 1000; i++) {
        tcgetattr(slave, &now);
        if (!(now.c_lflag & ICANON))
            break;
        g_usleep(2000);
    }
    g_assert_cmphex(now.c_lflag & (ICANON | ECHO | ISIG), ==, 0);
    g_assert_cmphex(now.c_oflag & OPOST, ==, before.c_oflag & OPOST);
    put(master, "a\003b\r");
    expect_fd(master, "a\003b\r"); /* Ctrl-C is a byte like any other */
    fcntl(master, F_SETFL, 0);
    put(master, "!");
    int status;
    waitpid(pid, &status, 0);
    g_assert_cmpint(status, ==, 0);
    tcgetattr(slave, &now);
    g_assert_cmphex(now.c_lflag, ==, before.c_lflag); /* given back as it was */
    g_assert_cmphex(now.c_iflag, ==, before.c_iflag);
    g_assert_cmpmem(now.c_cc, sizeof(now.c_cc), before.c_cc, sizeof(before.c_cc));
    close(slave);
    close(master);
}

/* Wait until the terminal is raw, or is not. */
static void expect_raw(int slave, bool raw)
{
    struct termios now;
    for (unsigned i = 0; i < 1500; i++) {
        tcgetattr(slave, &now);
        if (!(now.c_lflag & ICANON) == raw)
            return;
        g_usleep(2000);
    }
    g_error("the terminal is %s", raw ? "not raw" : "still raw");
}

/*
 * What a shell does: the emulator in a process group of its own in the foreground; tells about stops through the pipe.
 */
static void shell_child(int slave, int report)
{
    setsid();
    ioctl(slave, TIOCSCTTY, 0);
    pid_t pid = fork();
    if (!pid) {
        signal(SIGTTOU, SIG_IGN);
        setpgid(0, 0);
        tcsetpgrp(slave, getpid());
        signal(SIGTTOU, SIG_DFL);
        dup2(slave, 0);
        dup2(slave, 1);
        echo_child(",signal=on", "!");
    }
    int status = 0;
    put(report, "s");
    while (waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status)) {
        put(report, "z");
        g_usleep(100000);
        kill(pid, SIGCONT);
    }
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 9);
}

/* Ctrl-Z gives the terminal back, and fg takes it again. */
static void test_stdio_suspend(void)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY), report[2], status;
    g_assert_cmpint(grantpt(master) | unlockpt(master) | pipe(report), ==, 0);
    int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    pid_t pid = fork();
    if (!pid)
        shell_child(slave, report[1]);
    expect_raw(slave, true);
    for (unsigned round = 0; round < 2; round++) {
        put(master, "\032");
        expect_raw(slave, false);
        expect_raw(slave, true);
    }
    put(master, "!");
    waitpid(pid, &status, 0);
    g_assert_cmpint(status, ==, 0);
    expect_raw(slave, false);
    expect_fd(report[0], "szz");
    close(slave);
    close(master);
    close(report[0]);
    close(report[1]);
}

static void test_stdio_pipe(void)
{
    int in[2], out[2], status;
    g_assert_cmpint(pipe(in) | pipe(out), ==, 0);
    pid_t pid = fork();
    if (!pid) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        close(in[1]);
        Sink s = sink_new();
        Chardev *c = make("stdio,id=s");
        attach(c, &s, NULL);
        turn(100); /* meets the end of input: goes on without */
        say(c, s.got->str);
        say(c, "+after");
        chardevs_close_all();
        _exit(0);
    }
    put(in[1], "piped");
    close(in[1]);
    waitpid(pid, &status, 0);
    g_assert_cmpint(status, ==, 0);
    expect_fd(out[0], "piped+after");
    g_assert_cmphex(fcntl(out[1], F_GETFL) & O_NONBLOCK, ==, 0); /* what we share with others stays as it was */
    close(in[0]);
    close(out[0]);
    close(out[1]);
}

static void test_errors(void)
{
    static const struct { const char *text, *part; } cases[] = {
        { "sockett,id=x", "chardev back end 'sockett': not known; did you mean 'socket'?" },
        { "null", "the option 'id' is missing" },
        { "null,id=x,paht=1", "chardev 'null': option 'paht': not known" },
        { "file,id=x", "chardev 'x': the option 'path' is missing" },
        { "file,id=x,path=/nonexistent/y", "file '/nonexistent/y': No such file" },
        { "file,id=x,path=/dev/null,append=maybe", "neither 'on' nor 'off'" },
        { "file,id=x,path=/dev/null,logfile=/nonexistent/y", "logfile '/nonexistent/y'" },
        { "pipe,id=x,path=/nonexistent", "make them with mkfifo" },
        { "ringbuf,id=x,size=3", "not a power of two" },
        { "socket,id=x", "either path=PATH or host=HOST,port=PORT" },
        { "socket,id=x,path=/a,port=1", "either path=PATH" },
        { "socket,id=x,path=/nonexistent/s", "socket 'unix:/nonexistent/s'" },
        { "socket,id=x,path=/s,wait=on", "add server=on" },
        { "socket,id=x,host=127.0.0.1,port=nosuchservice", "address 'tcp:127.0.0.1:nosuchservice'" },
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        Error *err = NULL;
        g_autoptr(Opts) o = opts_parse(cases[i].text, "backend", &err);
        g_assert_null(chardev_new_opts(o, &err));
        if (!strstr(err->message, cases[i].part) || strchr(err->message, '\n'))
            g_error("%s: '%s' does not tell '%s'", cases[i].text, err->message, cases[i].part);
        g_error_free(err);
        g_assert_null(chardev_find("x"));
    }
    static const struct { const char *text, *part;
    } shorts[] = {
        { "stdoi", "did you mean 'stdio'?" },
        { "tcp:1234", "the port is missing" },
        { "chardev:nope", "no chardev 'nope'" },
        { "file:/nonexistent/a", "No such file" },
        { "", "not known" },
        { "null,bad=1", "option 'bad'" },
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(shorts); i++) {
        Error *err = NULL;
        bool none;
        g_assert_null(chardev_new_short("x", shorts[i].text, &none, &err));
        g_assert_false(none);
        if (!err || !strstr(err->message, shorts[i].part))
            g_error("%s: '%s' does not tell '%s'", shorts[i].text, err ? err->message : "", shorts[i].part);
        g_error_free(err);
    }
    bool none;
    g_assert_null(chardev_new_short("x", "none", &none, NULL));
    g_assert_true(none);
    Chardev *c = chardev_new_short("x", "vc", &none, NULL);
    g_assert_true(chardev_new_short("y", "chardev:x", &none, NULL) == c);
    g_autoptr(GString) list = g_string_new(NULL);
    chardev_print_list(list);
    g_assert_nonnull(strstr(list->str, "telnet"));
    chardevs_close_all();
}

int main(int argc, char **argv)
{
    rig_begin(&argc, &argv);
    g_test_add_func("/chardev/mux", test_mux);
    g_test_add_func("/chardev/stdio-tty", test_stdio_tty);
    g_test_add_func("/chardev/stdio-suspend", test_stdio_suspend);
    g_test_add_func("/chardev/stdio-pipe", test_stdio_pipe);
    g_test_add_func("/chardev/errors", test_errors);
    return rig_run();
}
