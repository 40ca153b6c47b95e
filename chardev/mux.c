/* SPDX-License-Identifier: MIT */
/* Several front ends on one back end; Ctrl-a and a letter reach the mux itself. */
#include <string.h>
#include "chardev/chardev-internal.h"

#define DEAD_NS INT64_C(1000000000)
enum { MAX_FRONTENDS = 8, QUEUE_SIZE = 4096, ESCAPE = 1 /* Ctrl-a */ };

typedef struct Slot {
    ChardevFrontend fe;
    bool used;
    uint8_t queue[QUEUE_SIZE]; /* input that the front end has not taken yet */
    unsigned head, len;
    int64_t taken_at; /* when the front end last took some */
} Slot;

typedef struct Mux {
    Chardev c;
    Chardev *base;
    Slot slot[MAX_FRONTENDS];
    int focus; /* -1: nobody is attached */
    bool escaped;
    Timer *look; /* a full queue: has the front end come to life? */
    /* output; c.lock */
    bool stamps, line_begun;
    int64_t stamps_start;
} Mux;

static void (*quit_handler)(void);

void chardev_set_quit_handler(void (*quit)(void))
{
    quit_handler = quit;
}

static void send_event(const ChardevFrontend *fe, ChardevEvent event)
{
    ChardevFrontend f = *fe; /* the handler may detach */
    if (!f.event)
        return;
    lock_domain_lock(f.domain);
    f.event(f.opaque, event);
    lock_domain_unlock(f.domain);
}

static void set_focus(Mux *m, int focus)
{
    int old = m->focus;
    if (old == focus)
        return;
    m->focus = focus;
    if (old >= 0 && m->slot[old].used)
        send_event(&m->slot[old].fe, CHR_MUX_OUT);
    if (focus >= 0)
        send_event(&m->slot[focus].fe, CHR_MUX_IN);
}

static int next_used(const Mux *m, int from)
{
    for (int i = 1; i <= MAX_FRONTENDS; i++) {
        int n = (from + i) % MAX_FRONTENDS;
        if (m->slot[n].used)
            return n;
    }
    return -1;
}

/* Hand queued input to a front end as far as it takes it. */
static void drain(Slot *s)
{
    while (s->used && s->len) {
        ChardevFrontend f = s->fe;
        lock_domain_lock(f.domain);
        size_t n = f.can_read ? f.can_read(f.opaque) : 0;
        n = MIN(n, MIN(s->len, QUEUE_SIZE - s->head));
        if (n) {
            unsigned head = s->head;
            s->head = (s->head + n) % QUEUE_SIZE;
            s->len -= n;
            s->taken_at = clock_ns(CLOCK_REALTIME_NS);
            f.receive(f.opaque, s->queue + head, n);
        }
        lock_domain_unlock(f.domain);
        if (!n)
            return;
    }
}

static void say(Mux *m, const char *text)
{
    chardev_write_all(m->base, text, strlen(text));
}

static void help(Mux *m)
{
    say(m, "\r\n"
           "Ctrl-a h  this help\r\n"
           "Ctrl-a x  exit: end the emulator\r\n"
           "Ctrl-a s  (nothing to do: disk images are written as the guest asks for it)\r\n"
           "Ctrl-a b  send a break (with magic SysRq: the SysRq key)\r\n"
           "Ctrl-a c  switch between the console and the monitor\r\n"
           "Ctrl-a t  time stamps on or off\r\n"
           "Ctrl-a Ctrl-a  send Ctrl-a\r\n");
}

static void toggle_stamps(Mux *m)
{
    pthread_mutex_lock(&m->c.lock);
    m->stamps = !m->stamps;
    m->stamps_start = clock_ns(CLOCK_REALTIME_NS);
    m->line_begun = true;
    pthread_mutex_unlock(&m->c.lock);
}

/* The letter after Ctrl-a; true: it is input for the front end after all. */
static bool command(Mux *m, uint8_t ch)
{
    switch (ch) {
    case ESCAPE:
        return true;
    case 'h':
    case '?':
        help(m);
        break;
    case 'x':
        say(m, "\r\n");
        if (quit_handler)
            quit_handler();
        break;
    case 's':
        say(m, "\r\nNothing to do: disk images are written as the guest asks for it.\r\n");
        break;
    case 'b':
        if (m->focus >= 0)
            send_event(&m->slot[m->focus].fe, CHR_BREAK);
        break;
    case 'c':
        set_focus(m, next_used(m, m->focus));
        break;
    case 't':
        toggle_stamps(m);
        break;
    }
    return false;
}

static void look_again(void *opaque)
{
    chardev_accept_input(((Mux *)opaque)->base);
}

/*
 * A full queue stops the input, except that of a person whose front end is dead: after a second what is typed is
 * dropped, so that Ctrl-a gets through whatever the guest does.
 */
static size_t mux_can_read(void *opaque)
{
    Mux *m = opaque;
    if (m->focus < 0)
        return QUEUE_SIZE;
    Slot *s = &m->slot[m->focus];
    drain(s);
    if (s->len < QUEUE_SIZE || !m->base->interactive)
        return QUEUE_SIZE - s->len;
    int64_t dead_at = s->taken_at + DEAD_NS;
    if (clock_ns(CLOCK_REALTIME_NS) >= dead_at)
        return QUEUE_SIZE;
    timer_arm(m->look, dead_at);
    return 0;
}

static void mux_receive(void *opaque, const uint8_t *data, size_t len)
{
    Mux *m = opaque;
    for (size_t i = 0; i < len; i++) {
        if (m->escaped) {
            m->escaped = false;
            if (!command(m, data[i]))
                continue;
        } else if (data[i] == ESCAPE) {
            m->escaped = true;
            continue;
        }
        Slot *s = m->focus >= 0 ? &m->slot[m->focus] : NULL;
        if (s && s->len < QUEUE_SIZE)
            s->queue[(s->head + s->len++) % QUEUE_SIZE] = data[i];
        else
            m->c.dropped++;
    }
    if (m->focus >= 0)
        drain(&m->slot[m->focus]);
}

static void mux_event(void *opaque, ChardevEvent event)
{
    Mux *m = opaque;
    if (event == CHR_OPENED || event == CHR_CLOSED)
        m->c.open = event == CHR_OPENED;
    for (int i = 0; i < MAX_FRONTENDS; i++) {
        if (m->slot[i].used && (event != CHR_BREAK || i == m->focus))
            send_event(&m->slot[i].fe, event);
    }
}

static bool mux_open(Chardev *c, Opts *o, Error **errp)
{
    Mux *m = (Mux *)c;
    m->focus = -1;
    m->look = timer_new(CLOCK_REALTIME_NS, NULL, look_again, m);
    m->base = chardev_find(opts_get(o, "chardev"));
    c->label = g_strdup("mux");
    ChardevFrontend fe = { .can_read = mux_can_read, .receive = mux_receive, .event = mux_event, .opaque = m };
    return chardev_attach(m->base, &fe, errp);
}

static void mux_close(Chardev *c)
{
    Mux *m = (Mux *)c;
    timer_free(m->look);
    if (m->base)
        chardev_detach(m->base, m);
}

static bool mux_attach(Chardev *c, const ChardevFrontend *fe, Error **errp)
{
    Mux *m = (Mux *)c;
    int i = 0;
    while (i < MAX_FRONTENDS && m->slot[i].used)
        i++;
    if (i == MAX_FRONTENDS) {
        error_setf(errp, "chardev '%s': a mux takes at most %d front ends", c->id, MAX_FRONTENDS);
        return false;
    }
    m->slot[i] = (Slot){ .fe = *fe, .used = true };
    if (c->open)
        send_event(fe, CHR_OPENED);
    if (m->focus < 0)
        set_focus(m, i); /* the first one: the console */
    chardev_accept_input(m->base);
    return true;
}

static void mux_detach(Chardev *c, void *opaque)
{
    Mux *m = (Mux *)c;
    for (int i = 0; i < MAX_FRONTENDS; i++) {
        if (!m->slot[i].used || m->slot[i].fe.opaque != opaque)
            continue;
        m->slot[i].used = false;
        if (m->focus == i)
            set_focus(m, next_used(m, i));
    }
}

static void mux_accept_input(Chardev *c)
{
    Mux *m = (Mux *)c;
    if (m->focus >= 0)
        drain(&m->slot[m->focus]);
    chardev_accept_input(m->base);
}

/* Whole lines get a stamp "[hh:mm:ss.mmm] " in front. */
static size_t write_stamped(Mux *m, const uint8_t *data, size_t len)
{
    size_t done = 0;
    while (done < len) {
        if (m->line_begun) {
            int64_t ms = (clock_ns(CLOCK_REALTIME_NS) - m->stamps_start) / 1000000;
            g_autofree char *stamp = g_strdup_printf("[%02d:%02d:%02d.%03d] ", (int)(ms / 3600000),
                                                     (int)(ms / 60000 % 60), (int)(ms / 1000 % 60), (int)(ms % 1000));
            chardev_write_all(m->base, stamp, strlen(stamp));
            m->line_begun = false;
        }
        const uint8_t *end = memchr(data + done, '\n', len - done);
        size_t n = end ? (size_t)(end - (data + done)) + 1 : len - done;
        size_t taken = chardev_write(m->base, data + done, n);
        done += taken;
        m->line_begun = end && taken == n;
        if (taken < n)
            break;
    }
    return done;
}

static size_t mux_write(Chardev *c, const uint8_t *data, size_t len)
{
    Mux *m = (Mux *)c;
    return m->stamps ? write_stamped(m, data, len) : chardev_write(m->base, data, len);
}

static int mux_wait_fd(Chardev *c)
{
    Mux *m = (Mux *)c;
    pthread_mutex_lock(&m->base->lock);
    int fd = m->base->ops->wait_fd ? m->base->ops->wait_fd(m->base) : -1;
    pthread_mutex_unlock(&m->base->lock);
    return fd;
}

const ChardevBackend chardev_mux = {
    .name = "mux",
    .help = "several front ends on one chardev",
    .size = sizeof(Mux),
    .open = mux_open,
    .close = mux_close,
    .write = mux_write,
    .accept_input = mux_accept_input,
    .wait_fd = mux_wait_fd,
    .attach = mux_attach,
    .detach = mux_detach,
};
