/* SPDX-License-Identifier: MIT */
/* -semihosting and -semihosting-config. */
#include <string.h>
#include "chardev/chardev.h"
#include "system/settings.h"
#include "target/arm/semihost.h"

enum { INPUT_MAX = 4096 };

static char *chardev_name;
static GByteArray *input;
static GMutex input_lock;

static bool opt_semihosting(Settings *s, const char *arg, Error **errp)
{
    semihost_config.enabled = true;
    return true;
}

static bool set_target(const char *name, Error **errp)
{
    static const char *const names[] = { "auto", "native", "gdb", NULL };
    for (unsigned i = 0; name && names[i]; i++) {
        if (!strcmp(names[i], name)) {
            semihost_config.target = (SemihostTarget)i;
            if (i != SEMIHOST_GDB)
                return true;
            error_setf(errp,
                       "-semihosting-config target=gdb: calls are not passed on to a debugger here; use target=native");
            return false;
        }
    }
    if (name)
        error_set_unknown(errp, "-semihosting-config target", name, names);
    return !name;
}

/* Every arg= is a word of the guest's command line. */
static bool opt_semihosting_config(Settings *s, const char *arg, Error **errp)
{
    static const char *const keys[] = { "enable", "target", "chardev", "userspace", "arg", NULL };
    if (!semihost_config.args)
        semihost_config.args = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(Opts) o = opts_parse_list(arg, "enable", "arg", semihost_config.args, errp);
    if (!o)
        return false;
    if (!opts_get_bool(o, "enable", true, &semihost_config.enabled, errp) ||
        !opts_get_bool(o, "userspace", semihost_config.userspace, &semihost_config.userspace, errp) ||
        !set_target(opts_get(o, "target"), errp))
        return false;
    if (opts_get(o, "chardev")) {
        g_free(chardev_name);
        chardev_name = g_strdup(opts_get(o, "chardev"));
    }
    opts_get(o, "arg");
    return opts_all_used(o, "-semihosting-config", keys, errp);
}

const Option options_semihost[] = {
    { "semihosting", NULL,
      "let an Arm guest call the host's files and console; the same as -semihosting-config enable=on",
      opt_semihosting },
    { "semihosting-config", "enable=on|off,target=native|auto,chardev=,userspace=on|off,arg=",
      "the same with a console, calls from unprivileged code, words of the command line", opt_semihosting_config },
    { 0 },
};

/* ---- the console on a character device ---- */

static size_t can_read(void *opaque)
{
    g_mutex_lock(&input_lock);
    size_t room = INPUT_MAX - input->len;
    g_mutex_unlock(&input_lock);
    return room;
}

static void receive(void *opaque, const uint8_t *data, size_t len)
{
    g_mutex_lock(&input_lock);
    g_byte_array_append(input, data, (guint)len);
    g_mutex_unlock(&input_lock);
}

static void console_write(void *chardev, const void *data, size_t len) { chardev_write_all(chardev, data, len); }

static ssize_t console_read(void *chardev, void *buf, size_t len)
{
    g_mutex_lock(&input_lock);
    guint n = (guint)MIN(len, input->len);
    if (n) {
        memcpy(buf, input->data, n);
        g_byte_array_remove_range(input, 0, n);
    }
    g_mutex_unlock(&input_lock);
    if (n)
        chardev_accept_input(chardev);
    return n;
}

bool setup_semihosting(Error **errp)
{
    if (!semihost_config.enabled || !chardev_name)
        return true;
    Chardev *c = chardev_find(chardev_name);
    if (!c) {
        error_setf(errp, "-semihosting-config chardev '%s': no such character device; add -chardev ...,id=%s",
                   chardev_name, chardev_name);
        return false;
    }
    input = g_byte_array_new();
    ChardevFrontend fe = { .can_read = can_read, .receive = receive, .opaque = &input };
    if (!chardev_attach(c, &fe, errp))
        return false;
    semihost_config.chardev = c;
    semihost_config.console_write = console_write;
    semihost_config.console_read = console_read;
    return true;
}
