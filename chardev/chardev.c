/* SPDX-License-Identifier: MIT */
/* Character back ends: registry, creation from options, and the way between front and back end. */
#include "chardev/chardev.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include "chardev/chardev-internal.h"

static const ChardevBackend *const backends[] = { &chardev_file, &chardev_mux,     &chardev_null,   &chardev_pipe,
                                                  &chardev_pty,  &chardev_ringbuf, &chardev_socket, &chardev_stdio };
static GPtrArray *chardevs; /* main thread */

/* How long chardev_write_all() waits for a peer before it counts as stuck. */
enum { STUCK_MS = 250 };

/* ---- registry ---- */

Chardev *chardev_find(const char *id)
{
    for (unsigned i = 0; chardevs && i < chardevs->len; i++) {
        Chardev *c = chardevs->pdata[i];
        if (!strcmp(c->id, id))
            return c;
    }
    return NULL;
}

const char *chardev_id(const Chardev *c) { return c->id; }

/* opened: the back end's open has been called */
static void chr_free(Chardev *c, bool opened)
{
    if (opened)
        c->ops->close(c);
    if (c->log_fd >= 0)
        close(c->log_fd);
    pthread_mutex_destroy(&c->lock);
    g_free(c->id);
    g_free(c->label);
    g_free(c);
}

void chardevs_close_all(void)
{
    for (unsigned i = 0; chardevs && i < chardevs->len; i++)
        chr_event(chardevs->pdata[i], CHR_FLUSH);
    while (chardevs && chardevs->len) { /* a mux before the back end below it */
        Chardev *c = chardevs->pdata[chardevs->len - 1];
        g_ptr_array_set_size(chardevs, (int)chardevs->len - 1);
        chr_free(c, true);
    }
}

void chardev_print_list(GString *out)
{
    g_string_append(out, "Character back ends:\n");
    for (unsigned i = 0; i < ARRAY_LEN(backends); i++) {
        if (backends[i] == &chardev_mux)
            continue;
        g_autofree char *options = backends[i]->options ? g_strjoinv(", ", (char **)backends[i]->options)
                                                        : g_strdup("");
        g_string_append_printf(out, "  %-8s %s%s%s\n", backends[i]->name, backends[i]->help,
                               *options ? "; options: " : "", options);
    }
    g_string_append(out, "All take: id, mux=on, logfile=FILE, logappend=on\n");
}

void chardev_print_info(GString *out)
{
    for (unsigned i = 0; chardevs && i < chardevs->len; i++) {
        const Chardev *c = chardevs->pdata[i];
        g_string_append_printf(out, "%s: filename=%s", c->id, c->label ? c->label : c->ops->name);
        if (c->dropped)
            g_string_append_printf(out, " dropped=%" G_GUINT64_FORMAT, c->dropped);
        g_string_append_c(out, '\n');
    }
}

/* ---- creation ---- */

static bool open_log(Chardev *c, Opts *o, Error **errp)
{
    const char *path = opts_get(o, "logfile");
    bool append;
    if (!opts_get_bool(o, "logappend", false, &append, errp))
        return false;
    if (!path)
        return true;
    c->log_fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (append ? O_APPEND : O_TRUNC), 0666);
    if (c->log_fd < 0)
        error_set_errno(errp, errno, "logfile '%s'", path);
    return c->log_fd >= 0;
}

Chardev *chr_open(const ChardevBackend *ops, const char *id, Opts *o, Error **errp)
{
    signal(SIGPIPE, SIG_IGN); /* a peer that goes away is an errno */
    Chardev *c = g_malloc0(ops->size);
    c->ops = ops;
    c->id = g_strdup(id);
    c->log_fd = -1;
    pthread_mutex_init(&c->lock, NULL);
    bool logged = open_log(c, o, errp);
    if (!logged || !ops->open(c, o, errp)) {
        chr_free(c, logged);
        return NULL;
    }
    if (!chardevs)
        chardevs = g_ptr_array_new();
    g_ptr_array_add(chardevs, c);
    return c;
}

static const ChardevBackend *find_backend(const char *name, Error **errp)
{
    const char *names[ARRAY_LEN(backends) + 1] = { NULL };
    for (unsigned i = 0; i < ARRAY_LEN(backends); i++) {
        names[i] = backends[i]->name;
        if (!strcmp(name, names[i]) && backends[i] != &chardev_mux)
            return backends[i];
    }
    error_set_unknown(errp, "chardev back end", name, names);
    return NULL;
}

/* Every option is known, before anything is opened. */
static bool check_options(const ChardevBackend *b, const Opts *o, Error **errp)
{
    static const char *const common[] = { "backend", "id", "mux", "logfile", "logappend", NULL };
    g_autoptr(GPtrArray) valid = g_ptr_array_new();
    for (unsigned i = 0; common[i]; i++)
        g_ptr_array_add(valid, (void *)common[i]);
    for (unsigned i = 0; b->options && b->options[i]; i++)
        g_ptr_array_add(valid, (void *)b->options[i]);
    g_ptr_array_add(valid, NULL);
    for (unsigned i = 0; i < opts_count(o); i++) {
        if (!g_strv_contains((const char *const *)valid->pdata, opts_key(o, i))) {
            error_set_unknown(errp, "option", opts_key(o, i), (const char *const *)valid->pdata);
            error_prependf(errp, "chardev '%s'", b->name);
            return false;
        }
    }
    return true;
}

static Chardev *open_checked(const ChardevBackend *b, const char *id, Opts *o, Error **errp)
{
    bool mux;
    Error *err = NULL;
    if (!opts_get_bool(o, "mux", false, &mux, errp))
        return NULL;
    g_autofree char *base_id = mux ? g_strdup_printf("%s-base", id) : g_strdup(id);
    Chardev *c = chr_open(b, base_id, o, &err);
    if (c && mux) {
        g_autoptr(Opts) below = opts_new();
        opts_set(below, "chardev", base_id);
        c = chr_open(&chardev_mux, id, below, &err);
    }
    error_prependf(&err, "chardev '%s'", id);
    error_propagate(errp, err);
    return c;
}

Chardev *chardev_new_opts(Opts *o, Error **errp)
{
    const char *name = opts_get(o, "backend"), *id = opts_get(o, "id");
    if (!name) {
        error_setf(errp, "-chardev: the back end is missing; '-chardev help' lists them");
        return NULL;
    }
    const ChardevBackend *b = find_backend(name, errp);
    if (!b)
        return NULL;
    if (!id) {
        error_setf(errp, "chardev '%s': the option 'id' is missing; add id=NAME", name);
        return NULL;
    }
    if (chardev_find(id)) {
        error_setf(errp, "chardev '%s': the id is taken by another chardev", id);
        return NULL;
    }
    return check_options(b, o, errp) ? open_checked(b, id, o, errp) : NULL;
}

/* "HOST:PORT,options" or ":PORT,..." of tcp: and telnet: */
static Opts *parse_tcp(const char *text, Error **errp)
{
    g_autofree char *address = g_strndup(text, strcspn(text, ","));
    const char *rest = text + strlen(address), *colon = strrchr(address, ':');
    if (!colon || !colon[1]) {
        error_setf(errp, "chardev 'tcp:%s': the port is missing; write tcp:HOST:PORT", text);
        return NULL;
    }
    Opts *o = opts_parse(*rest ? rest + 1 : "", NULL, errp);
    if (o) {
        g_autofree char *host = g_strndup(address, (gsize)(colon - address));
        opts_set(o, "host", host);
        opts_set(o, "port", colon + 1);
    }
    return o;
}

/* "PATH,options" */
static Opts *parse_path(const char *text, Error **errp)
{
    return opts_parse(text, "path", errp);
}

static Opts *parse_size_of(const char *text, Error **errp)
{
    return opts_parse(*text == ':' ? text + 1 : "", "size", errp);
}

static Opts *parse_plain(const char *text, Error **errp)
{
    return opts_parse(*text == ',' ? text + 1 : text, NULL, errp);
}

/* The short forms of -serial and -monitor. */
static const struct {
    const char *prefix;
    bool exact; /* only options may follow */
    const char *backend;
    Opts *(*parse)(const char *rest, Error **errp);
    const char *extra; /* one more option, set to on */
} shorts[] = {
    { "stdio", true, "stdio", parse_plain, NULL },
    { "pty", true, "pty", parse_plain, NULL },
    { "null", true, "null", parse_plain, NULL },
    { "vc", false, "ringbuf", parse_plain, NULL }, /* a virtual console: what it shows can be read with ringbuf-read */
    { "ringbuf", false, "ringbuf", parse_size_of, NULL },
    { "file:", false, "file", parse_path, NULL },
    { "pipe:", false, "pipe", parse_path, NULL },
    { "unix:", false, "socket", parse_path, NULL },
    { "tcp:", false, "socket", parse_tcp, NULL },
    { "telnet:", false, "socket", parse_tcp, "telnet" },
};

static Chardev *open_short(const char *id, const char *text, bool mon, Error **errp)
{
    for (unsigned i = 0; i < ARRAY_LEN(shorts); i++) {
        if (!g_str_has_prefix(text, shorts[i].prefix))
            continue;
        const char *rest = text + strlen(shorts[i].prefix);
        if (shorts[i].exact && *rest && *rest != ',')
            continue;
        bool console = !strcmp(shorts[i].prefix, "vc");
        g_autoptr(Opts) o = shorts[i].parse(console ? "" : rest, errp);
        if (!o)
            return NULL;
        if (shorts[i].extra)
            opts_set(o, shorts[i].extra, "on");
        if (opts_has(o, "nowait"))
            opts_set(o, "wait", "off");
        if (mon)
            opts_set(o, "mux", "on");
        if (mon && !strcmp(text, "stdio"))
            opts_set(o, "signal", "off"); /* Ctrl-C belongs to the guest; Ctrl-a x ends */
        const ChardevBackend *b = find_backend(shorts[i].backend, errp);
        return check_options(b, o, errp) ? open_checked(b, id, o, errp) : NULL;
    }
    static const char *const valid[] = { "stdio", "mon:stdio", "pty", "null", "none", "vc", "file:PATH", "pipe:PATH",
                                         "unix:PATH", "tcp:HOST:PORT", "telnet:HOST:PORT", "chardev:ID", NULL };
    error_set_unknown(errp, "character device", text, valid);
    return NULL;
}

Chardev *chardev_new_short(const char *id, const char *text, bool *none, Error **errp)
{
    *none = !strcmp(text, "none");
    if (*none)
        return NULL;
    if (g_str_has_prefix(text, "chardev:")) {
        Chardev *c = chardev_find(text + strlen("chardev:"));
        if (!c)
            error_setf(errp, "there is no chardev '%s'; add -chardev ...,id=%s", text + strlen("chardev:"),
                       text + strlen("chardev:"));
        return c;
    }
    if (chardev_find(id)) {
        error_setf(errp, "chardev '%s': the id is taken by another chardev", id);
        return NULL;
    }
    bool mon = g_str_has_prefix(text, "mon:");
    return open_short(id, mon ? text + strlen("mon:") : text, mon, errp);
}

/* ---- front end ---- */

size_t chr_can_read(Chardev *c)
{
    if (!c->has_fe || !c->fe.can_read)
        return 0;
    lock_domain_lock(c->fe.domain);
    size_t n = c->fe.can_read(c->fe.opaque);
    lock_domain_unlock(c->fe.domain);
    return n;
}

void chr_receive(Chardev *c, const uint8_t *data, size_t len)
{
    if (!c->has_fe || !c->fe.receive)
        return;
    LockDomain *domain = c->fe.domain;
    lock_domain_lock(domain);
    c->fe.receive(c->fe.opaque, data, len);
    lock_domain_unlock(domain);
}

void chr_event(Chardev *c, ChardevEvent event)
{
    if (event == CHR_OPENED || event == CHR_CLOSED) {
        if (c->open == (event == CHR_OPENED))
            return;
        c->open = event == CHR_OPENED;
    }
    if (!c->has_fe || !c->fe.event)
        return;
    LockDomain *domain = c->fe.domain;
    lock_domain_lock(domain);
    c->fe.event(c->fe.opaque, event);
    lock_domain_unlock(domain);
}

bool chardev_is_mux(const Chardev *c)
{
    return c->ops->attach != NULL;
}

bool chardev_attach(Chardev *c, const ChardevFrontend *fe, Error **errp)
{
    if (c->ops->attach)
        return c->ops->attach(c, fe, errp);
    if (c->has_fe) {
        error_setf(errp, "chardev '%s': it is in use already; add mux=on to share it", c->id);
        return false;
    }
    c->fe = *fe;
    c->has_fe = true;
    if (c->open && fe->event) {
        lock_domain_lock(fe->domain);
        fe->event(fe->opaque, CHR_OPENED);
        lock_domain_unlock(fe->domain);
    }
    chardev_accept_input(c);
    return true;
}

void chardev_detach(Chardev *c, void *opaque)
{
    if (c->ops->detach) {
        c->ops->detach(c, opaque);
    } else if (c->has_fe && c->fe.opaque == opaque) {
        c->has_fe = false;
        c->fe = (ChardevFrontend){ 0 };
    }
}

int chardev_take_socket(Chardev *c, Error **errp)
{
    int fd = c->ops->take_fd && !c->has_fe ? c->ops->take_fd(c) : -1;
    if (fd < 0)
        error_setf(
            errp,
            "chardev '%s': it is no unix socket that is connected and free; write -chardev socket,path=PATH,id=%s",
            c->id, c->id);
    return fd;
}

static void accept_input(void *opaque)
{
    Chardev *c = opaque;
    if (!chardevs || !g_ptr_array_find(chardevs, c, NULL))
        return; /* closed meanwhile */
    __atomic_store_n(&c->accept_pending, false, __ATOMIC_RELEASE);
    if (c->ops->accept_input)
        c->ops->accept_input(c);
}

void chardev_accept_input(Chardev *c)
{
    if (!__atomic_exchange_n(&c->accept_pending, true, __ATOMIC_ACQ_REL))
        evloop_defer(NULL, accept_input, c);
}

/* ---- output ---- */

static void log_output(Chardev *c, const uint8_t *data, size_t len)
{
    while (c->log_fd >= 0 && len) {
        ssize_t n = write(c->log_fd, data, len);
        if (n <= 0)
            return;
        data += n;
        len -= (size_t)n;
    }
}

static size_t write_locked(Chardev *c, const uint8_t *data, size_t len)
{
    size_t n = c->ops->write(c, data, len);
    log_output(c, data, n);
    return n;
}

size_t chardev_write(Chardev *c, const void *data, size_t len)
{
    pthread_mutex_lock(&c->lock);
    size_t n = write_locked(c, data, len);
    pthread_mutex_unlock(&c->lock);
    return n;
}

void chardev_write_all(Chardev *c, const void *data, size_t len)
{
    const uint8_t *p = data;
    int64_t end = clock_ns(CLOCK_REALTIME_NS) + STUCK_MS * INT64_C(1000000);
    pthread_mutex_lock(&c->lock);
    for (;;) {
        size_t n = write_locked(c, p, len);
        p += n;
        len -= n;
        int fd = len && !c->stuck && c->ops->wait_fd ? c->ops->wait_fd(c) : -1;
        if (fd < 0)
            break;
        struct pollfd pfd = { .fd = fd, .events = POLLOUT };
        c->stuck = poll(&pfd, 1, STUCK_MS) <= 0 || clock_ns(CLOCK_REALTIME_NS) > end;
        if (c->stuck)
            break;
    }
    c->dropped += len;
    pthread_mutex_unlock(&c->lock);
}

void chardev_send_break(Chardev *c)
{
    if (c->ops->send_break)
        c->ops->send_break(c);
}

void chardev_set_line(Chardev *c, unsigned baud, char parity, unsigned data_bits, unsigned stop_bits)
{
    /* No back end is a serial port of the host: the line parameters have nowhere to go. */
}
