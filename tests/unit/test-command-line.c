/* SPDX-License-Identifier: MIT */
/* Command line: each wrong input gives one line and status 1; and the arithmetic of -smp, line editing, expressions. */
#include <glib.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include "base/evloop.h"
#include "hw/core/machine.h"
#include "system/monitor.h"
#include "system/readline.h"
#include "system/settings.h"

/* ---- the program ---- */

static int run(const char *program, const char *args, char **out, char **errs)
{
    g_autofree char *line = g_strdup_printf("%s %s", program, args);
    g_auto(GStrv) argv = NULL;
    int status;
    Error *err = NULL;
    g_assert_true(g_shell_parse_argv(line, NULL, &argv, &err));
    g_assert_true(g_spawn_sync(NULL, argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, out, errs, &status, &err));
    g_assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static const struct { const char *args, *line;
} wrong[] = {
    { "-nosuch", "rhea: option '-nosuch': not known" },
    { "-kernal x", "rhea: option '-kernal': not known; did you mean '-kernel'?" },
    { "--apend x", "rhea: option '-apend': not known; did you mean '-append'?" },
    { "-m", "rhea: option '-m': needs an argument" },
    { "disk.img", "rhea: argument 'disk.img': not an option" },
    { "-", "rhea: argument '-': not an option" },
    { "-M nosuch-machine", "rhea: machine 'nosuch-machine': not known" },
    { "-M noen", "rhea: machine 'noen': not known; did you mean 'none'?" },
    { "-M none,kernle=x", "rhea: machine 'none': option 'kernle': not known; did you mean 'kernel'?" },
    { "-M none,acpi=maybe", "rhea: option 'acpi': 'maybe' is neither 'on' nor 'off'" },
    { "-M none -m 0", "rhea: -m '0': impossible memory size" },
    { "-M none -m 12x", "rhea: -m '12x': not a size" },
    { "-M none -m 99999999T", "rhea: -m '99999999T': " },
    { "-M q35 -m 4T", "rhea: -m: 4096 GiB are more than the CPU's 40 address bits reach" },
    { "-M none -m 2G,slotz=2", "rhea: -m: option 'slotz': not known" },
    { "-M none -smp 0", "rhea: -smp '0': cpus=0 is not from 1 to" },
    { "-M none -smp -1", "rhea: -smp '-1': " },
    { "-M none -smp two", "rhea: -smp 'two': option 'cpus': 'two' is not a number" },
    { "-M none -smp 5,cores=2,threads=2", "is not the 5 CPUs asked for" },
    { "-M none -smp 4,maxcpus=2", "cpus=4 is more than maxcpus=2" },
    { "-M none -smp 2,core=2", "did you mean 'cores'?" },
    { "-M none -smp 300", "rhea: machine 'none': -smp wants 300 CPUs, this machine takes at most 1" },
    { "-M none -accel nosuch", "rhea: accelerator 'nosuch': not known; valid: " },
    { "-M none,accel=nosuch", "rhea: accelerator 'nosuch': not known" },
    { "-M none -accel tcgg", "rhea: accelerator 'tcgg': not known; did you mean 'tcg'?" },
    { "-M none -accel kvm:tcgg", "rhea: accelerator 'tcgg': not known; did you mean 'tcg'?" },
    { "-M none -accel kvm", "rhea: no accelerator works; kvm" },
    { "-M none -accel tcg,thread=nosuch", "'nosuch'" },
    { "-M none -accel tcg,tb-size=x", "'x'" },
    { "-M none -accel tcg,tb-siez=1", "did you mean 'tb-size'?" },
    { "-M none -kernel x", "rhea: machine 'none': it has no CPU" },
    { "-M none -display sdl", "rhea: display 'sdl': not known; valid: none" },
    { "-vga std", "rhea: display adapter 'std': not known; valid: none" },
    { "-device nosuch -M none", "rhea: device 'nosuch': no such device type" },
    { "-device '' -M none", "-device: the device type is missing" },
    { "-device fw_cfg_io -M none", "rhea: device 'fw_cfg_io': only the machine itself can make one" },
    { "-blockdev '{\"driver'", "rhea: -blockdev: JSON: 1:" },
    { "-blockdev qcow3,help", "rhea: block driver 'qcow3': not known; did you mean 'qcow2'?" },
    { "-drive file=/nonexistent/x", "rhea: -drive: image '/nonexistent/x': No such file" },
    { "-device nosuch,help", "rhea: device 'nosuch': no such device type" },
    { "-global x=y", "rhea: -global" },
    { "-global fw_cfg_io.nosuch=1", "rhea: -global: device 'fw_cfg_io': property 'nosuch': not known" },
    { "-M none -global fw_cfg_io.dma_enabled=off", "this machine has no device of that type" },
    { "-chardev nosuch,id=a -M none", "rhea: -chardev" },
    { "-M none -serial nosuch", "rhea: -serial 'nosuch'" },
    { "-M none -serial null -serial null -serial null -serial null -serial null", "rhea: -serial: given 5 times" },
    { "-M none -mon nosuch", "rhea: -mon 'nosuch': no such character device" },
    { "-M none -chardev null,id=c -mon c,mode=control", "rhea: -mon mode 'control': not known; valid: readline" },
    { "-M none -monitor nosuch", "rhea: -monitor 'nosuch'" },
    { "-M none -boot x", "rhea: -boot order 'x': 'x' is no boot device" },
    { "-M none -boot cc", "'c' stands there twice" },
    { "-M none -boot menu=perhaps", "neither 'on' nor 'off'" },
    { "-M none -boot ordre=c", "did you mean 'order'?" },
    { "-M none -uuid 123", "rhea: -uuid '123': not of the form" },
    { "-M none -rtc base=yesterday", "rhea: -rtc base 'yesterday'" },
    { "-M none -rtc clock=sun", "rhea: -rtc clock 'sun': not known; valid: host, rt, vm" },
    { "-M none -d nosuch", "rhea: log category 'nosuch': not known" },
    { "-M none -D /nonexistent/log", "/nonexistent/log" },
    { "-M none -trace nosuch", "rhea: trace event 'nosuch': not known" },
    { "-M none -action reboot=never", "rhea: -action reboot 'never': not known; valid: reset, shutdown" },
    { "-M none -action rebot=reset", "did you mean 'reboot'?" },
    { "-M none -fw_cfg name=x", "rhea: -fw_cfg 'name=x': write" },
    { "-M none -fw_cfg name=x,string=y", "rhea: -fw_cfg 'x': this machine has no firmware configuration device" },
    { "-M none -L /nonexistent", "rhea: -L '/nonexistent': no such folder" },
    { "-M none -pidfile /nonexistent/pid", "rhea: -pidfile '/nonexistent/pid': No such file" },
    { "-M none -loadvm /nonexistent", "rhea: loading the machine from '/nonexistent': No such file" },
    { "-M none -overcommit mem-lok=on", "rhea: -overcommit: option 'mem-lok': not known; did you mean 'mem-lock'?" },
    { "-M none -overcommit cpu-pm=on", "rhea: -overcommit: cpu-pm=on: " },
    { "-M none -msg timestamp=maybe", "rhea: option 'timestamp': 'maybe' is neither 'on' nor 'off'" },
    { "-M none -serial tcp:localhost:70000", "port '70000': the last one is 65535" },
    { "-M q35 -accel tcg -device pc-dimm", "make room: -m SIZE,slots=N,maxmem=MAX" },
    { "-M q35,memory-backend=x -accel tcg", "rhea: there is no object 'x'; add -object memory-backend-ram,id=x" },
    { "-M q35 -accel tcg -device virtio-rng-pci-transitional,disable-legacy=maybe",
      "property 'disable-legacy': value 'maybe'" },
    { "-M q35 -accel tcg -device virtio-rng-pci-tional", "no such device type" },
    { "-M q35 -accel tcg -drive if=none,id=d,driver=null-co,size=1M -device "
      "virtio-blk-pci-non-transitional,drive=d,opt_io_size=1000",
      "opt_io_size=1000 is no multiple of the 512 bytes of a sector" },
    { "-M q35 -accel tcg -device virtio-rng-pci,id=a,acpi-index=5 -device virtio-rng-pci,acpi-index=5",
      "acpi-index=5 is that of device 'a', too" },
    { "-M q35 -accel tcg -device virtio-rng-pci,romsize=5", "romsize=5: a power of two" },
    { "-M q35 -accel tcg -device virtio-rng-pci,failover_pair_id=n", "it is no network card" },
    { "-M q35 -accel tcg -drive if=none,id=d,driver=null-co,size=1M -device ide-hd,drive=d,discard_granularity=4k",
      "TRIM has sectors of 512 bytes" },
    { "-M q35 -accel tcg -drive if=none,id=d,driver=null-co,size=1M -device virtio-blk-pci,drive=d,cyls=5",
      "give none or all of them" },
    { "-M q35 -accel tcg -drive if=none,id=d,driver=null-co,size=1M -device nvme,drive=d,account-failed=maybe",
      "account-failed" },
    { "-M q35 -accel tcg -drive if=virtio,index=2,driver=null-co -drive if=virtio,index=2,driver=null-co",
      "-drive if=virtio,index=2: the place is taken" },
    { "-M q35 -accel tcg -drive if=scsi,unit=7,driver=null-co",
      "-drive if=scsi: there is no such place on machine 'q35'; index= is from 0 to 6" },
    { "-M q35 -accel tcg -drive if=ide,index=6",
      "-drive if=ide: there is no such place on machine 'q35'; index= is from 0 to 5" },
    { "-M pc -accel tcg -drive if=floppy,unit=2", "index= is from 0 to 1" },
    { "-M none -loadvm /dev/null", "rhea: loading the machine from '/dev/null': " },
    { "-M none -daemonize -nographic", "rhea: -daemonize: the terminal cannot be used ('mon:stdio')" },
    { "-M none -daemonize -loadvm /nonexistent", "rhea: loading the machine from '/nonexistent': No such file" },
};

static void test_wrong_input(gconstpointer program)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autofree char *out = NULL, *errs = NULL;
        int status = run(program, wrong[i].args, &out, &errs);
        const char *end = strchr(errs, '\n');
        if (status != 1 || !strstr(errs, wrong[i].line) || !g_str_has_prefix(errs, "rhea: ") || !end || end[1] || *out)
            g_error("rhea %s: status %d, expected '%s', got: %s%s", wrong[i].args, status, wrong[i].line, errs, out);
    }
}

static const struct { const char *args, *text; } help[] = {
    { "-h", "-kernel FILE" },
    { "--help", "-nographic" },
    { "-version", "version" },
    { "-M help", "none " },
    { "-M none,help", "firmware" },
    { "-machine ?", "none " },
    { "-M none -cpu help", "has no CPU" },
    { "-accel help", "Accelerators" },
    { "-accel kvm,help", "kernel-irqchip=<off|split|on|auto>" },
    { "-accel tcg,help", "tb-size=<uint32>" },
    { "-device virtio-rng,help", "virtio-rng-pci-non-transitional" },
    { "-device help", "devices:" },
    { "-device virtio-blk,help", "drive" },
    { "-drive help", "Image formats:" },
    { "-drive format=help", "qcow2" },
    { "-blockdev help", "Protocols:" },
    { "-blockdev qcow2,help", "lazy-refcounts" },
    { "-d help", "guest_errors" },
    { "-trace help", "fw_cfg_dma" },
    { "-chardev help", "socket" },
    { "-display help", "none" },
};

static void test_help(gconstpointer program)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(help); i++) {
        g_autofree char *out = NULL, *errs = NULL;
        int status = run(program, help[i].args, &out, &errs);
        if (status || *errs || !strstr(out, help[i].text))
            g_error("rhea %s: status %d, expected '%s', got: %s%s", help[i].args, status, help[i].text, errs, out);
    }
}

/* Monitor on stdio: commands in, answers out, quit with status 0. */
static void test_monitor_session(gconstpointer program)
{
    g_autofree char *out = NULL, *errs = NULL;
    g_autofree char *args = g_strdup_printf("-c \"printf 'info name\\nstop\\ninfo status\\ncont\\nbogus\\nquit\\n' | "
                                            "'%s' -M none -name test-guest -monitor stdio\"", (const char *)program);
    g_assert_cmpint(run("sh", args, &out, &errs), ==, 0);
    g_assert_nonnull(strstr(out, "\ntest-guest\r"));
    g_assert_nonnull(strstr(out, "VM status: paused (paused)"));
    g_assert_nonnull(strstr(out, "command 'bogus': not known"));
}

/* A signal ends the program with status 0, and its pid file is gone. */
static void test_signal_and_pidfile(gconstpointer program)
{
    g_autofree char *dir = g_dir_make_tmp("rhea-pid-XXXXXX", NULL), *out = NULL, *errs = NULL;
    g_autofree char *args =
        g_strdup_printf("-c \"'%s' -M none -daemonize -pidfile %s/pid || exit 9; p=\\$(cat %s/pid); kill -TERM \\$p; "
                        "n=0; while kill -0 \\$p 2>/dev/null && test \\$n -lt 100; do sleep 0.05; n=\\$((n+1)); done; "
                        "test ! -e %s/pid\"",
                        (const char *)program, dir, dir, dir);
    g_assert_cmpint(run("sh", args, &out, &errs), ==, 0);
    g_rmdir(dir);
}

/* ---- -smp ---- */

static const struct { const char *text; unsigned cpus, sockets, dies, cores, threads, max; } topologies[] = {
    { "1", 1, 1, 1, 1, 1, 1 },
    { "8", 8, 1, 1, 8, 1, 8 },
    { "8,sockets=2", 8, 2, 1, 4, 1, 8 },
    { "8,cores=2", 8, 4, 1, 2, 1, 8 },
    { "8,sockets=2,cores=2", 8, 2, 1, 2, 2, 8 },
    { "4,maxcpus=8,threads=2", 4, 1, 1, 4, 2, 8 },
    { "sockets=2,cores=3", 6, 2, 1, 3, 1, 6 },
    { "dies=2,cores=2,cpus=1,maxcpus=4", 1, 1, 2, 2, 1, 4 },
    { "maxcpus=4", 4, 1, 1, 4, 1, 4 },
};

static void test_topology(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(topologies); i++) {
        Topology t;
        g_autoptr(Opts) o = opts_parse(topologies[i].text, "cpus", NULL);
        g_assert_true(topology_parse(o, &t, NULL));
        g_assert_cmpuint(t.cpus, ==, topologies[i].cpus);
        g_assert_cmpuint(t.sockets, ==, topologies[i].sockets);
        g_assert_cmpuint(t.dies, ==, topologies[i].dies);
        g_assert_cmpuint(t.cores, ==, topologies[i].cores);
        g_assert_cmpuint(t.threads, ==, topologies[i].threads);
        g_assert_cmpuint(t.max_cpus, ==, topologies[i].max);
    }
}

/* ---- line editing ---- */

static GString *screen, *last_line;

static void on_write(void *opaque, const char *text, size_t len)
{
    g_string_append_len(screen, text, (gssize)len);
}

static void on_line(void *opaque, const char *line)
{
    g_string_assign(last_line, line);
}

static void on_complete(void *opaque, const char *head, GPtrArray *out)
{
    static const char *const words[] = { "system_reset", "system_powerdown", "stop" };
    for (unsigned i = 0; i < G_N_ELEMENTS(words); i++) {
        if (g_str_has_prefix(words[i], head))
            g_ptr_array_add(out, g_strdup(words[i]));
    }
}

static void type(Readline *r, const char *keys, const char *expected)
{
    g_string_assign(last_line, "(none)");
    readline_input(r, (const uint8_t *)keys, strlen(keys));
    g_assert_cmpstr(last_line->str, ==, expected);
}

static void test_readline(void)
{
    static const ReadlineOps ops = { on_write, on_line, on_complete };
    Readline r;
    screen = g_string_new(NULL);
    last_line = g_string_new(NULL);
    readline_init(&r, "> ", &ops, NULL);
    type(&r, "abc\r", "abc");
    type(&r, "abd\x7f" "c\r", "abc");
    type(&r, "one two\x17three\r", "one three");
    type(&r, "lost\x15kept\r", "kept");
    type(&r, "bc\x01" "a\x05" "d\r", "abcd");
    type(&r, "ac\033[Db\r", "abc");
    type(&r, "\033[A\033[A\r", "abcd");     /* up twice */
    type(&r, "new\x10\x0e\r", "new");       /* up and down again: the draft */
    type(&r, "xy\033[H\033[3~\r", "y");     /* Home, Delete */
    type(&r, "abcdef\x02\x02\x0b\r", "abcd");
    type(&r, "sto\t\r", "stop ");
    type(&r, "sy\tr\t\r", "system_reset ");
    type(&r, "half\x03whole\r", "whole");
    type(&r, "\033[999999999999;;;\033[Q\033Oz\033\x01\r", "");
    g_autofree char *flood = g_strnfill(3 * READLINE_MAX, 'x');
    readline_input(&r, (const uint8_t *)flood, strlen(flood));
    g_assert_cmpuint(r.text->len, <=, READLINE_MAX);
    for (unsigned i = 0; i < 2 * READLINE_HISTORY; i++) {
        g_autofree char *line = g_strdup_printf("\x03%u\r", i);
        readline_input(&r, (const uint8_t *)line, strlen(line));
    }
    g_assert_cmpuint(r.history->len, ==, READLINE_HISTORY);
    readline_free(&r);
    g_string_free(screen, TRUE);
    g_string_free(last_line, TRUE);
}

/* ---- expressions and memory, on machine "none" ---- */

static const struct { const char *command, *answer;
} commands[] = {
    { "print 1+2*3", "7\n" },
    { "p (1+2)*3", "9\n" },
    { "p/x 1<<32|0xf", "0x10000000f\n" },
    { "p -5", "-5\n" },
    { "p 010", "8\n" },
    { "p 7/0", "expression: division by zero\n" },
    { "p 1+", "expression: a number is expected at ''\n" },
    { "p (1", "expression: ')' is missing\n" },
    { "p 1 2", "expression: '2' is left over\n" },
    { "p $nosuch", "register '$nosuch': no such register; 'info registers' shows the names\n" },
    { "xp/2wx 0x1000", "0000000000001000: 0x64636261 0x00000000\n" },
    { "xp/4c 0x1000", "0000000000001000: 'a' 'b' 'c' 'd'\n" },
    { "xp /1dh 0x1000", "0000000000001000:  25185\n" },
    { "xp/99999999x 0",
      "format '/99999999x': write /COUNT FORMAT SIZE, with format one of x d u o c i and size one of b h w g\n" },
    { "x 0", "this machine has no CPU\n" },
    { "cpu 0", "cpu: '0' is no CPU of this machine; it has 0\n" },
    { "stp", "command 'stp': not known; did you mean 'stop'?\n" },
    { "loadvm", "loadvm: wrong number of arguments; usage: loadvm NAME|FILE\n" },
    { "help quit", "quit|q -- end the program\n" },
    { "info uuid", "00000000-0000-0000-0000-000000000000\n" },
    { "", "" },
};

static void test_commands(void)
{
    Machine *m = machine_new(machine_type_find("none"));
    m->config.ram_size = 1024 * 1024;
    g_assert_true(machine_build(m, NULL));
    as_write(m->as_memory, 0x1000, "abcd", 4, MEM_ATTRS_DEVICE);
    for (unsigned i = 0; i < G_N_ELEMENTS(commands); i++) {
        g_autoptr(GString) out = g_string_new(NULL);
        monitor_execute(commands[i].command, 0, out);
        g_assert_cmpstr(out->str, ==, commands[i].answer);
    }
    g_autofree char *deep = g_strnfill(3000, '(');
    g_autofree char *line = g_strconcat("p ", deep, NULL);
    g_autoptr(GString) out = g_string_new(NULL);
    monitor_execute(line, 0, out);
    g_assert_cmpstr(out->str, ==, "expression: too deeply nested\n");
    machine_free(m);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    evloop_init();
    const char *program = getenv("RHEA");
    g_assert_nonnull(program);
    g_test_add_data_func("/command-line/wrong", program, test_wrong_input);
    g_test_add_data_func("/command-line/help", program, test_help);
    g_test_add_data_func("/command-line/monitor", program, test_monitor_session);
    g_test_add_data_func("/command-line/signal", program, test_signal_and_pidfile);
    g_test_add_func("/command-line/topology", test_topology);
    g_test_add_func("/monitor/readline", test_readline);
    g_test_add_func("/monitor/commands", test_commands);
    return g_test_run();
}
