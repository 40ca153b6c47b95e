/* SPDX-License-Identifier: MIT */
/* The client's side of the NBD handshake, with servers of all ages; everything that they send is checked. */
#include <sys/socket.h>
#include "base/bits.h"
#include "block/nbd/proto.h"
#include "block/nbd/remote.h"

enum { REPLY_MAX = 64 << 10, REPLIES_MAX = 20000 };

/* One reply to an option; data has a 0 behind it. */
typedef struct Reply { uint32_t type, len; uint8_t *data; } Reply;

static bool fail(const NbdWant *w, Error **errp, int r, const char *what)
{
    g_autofree char *where = nbd_address_text(w->address);
    const char *why = r == -ENODATA || r == -EPIPE ? "it hung up"
                      : r == -ETIMEDOUT            ? "no answer in time"
                      : r                          ? g_strerror(-r)
                                                   : NULL;
    error_setf(errp, "NBD server '%s': %s%s%s", where, what, why ? ": " : "", why ? why : "");
    return false;
}

static int send_option(NbdRemote *m, uint32_t id, const void *data, size_t len)
{
    uint8_t head[16];
    be64_put(head, NBD_OPTS_MAGIC);
    be32_put(head + 8, id);
    be32_put(head + 12, (uint32_t)len);
    struct iovec iov[2] = { { head, sizeof head }, { (void *)data, len } };
    return nbd_sendv(m->ch, iov, len ? 2 : 1);
}

static bool receive_reply(const NbdWant *w, NbdRemote *m, uint32_t id, Reply *out, Error **errp)
{
    uint8_t head[NBD_REP_SIZE];
    g_free(out->data);
    *out = (Reply){ 0, 0, NULL };
    int r = nbd_recv(m->ch, head, sizeof head);
    if (r)
        return fail(w, errp, r, "it does not answer the handshake");
    if (be64_get(head) != NBD_REP_MAGIC || be32_get(head + 8) != id || be32_get(head + 16) > REPLY_MAX)
        return fail(w, errp, 0, "its handshake is malformed");
    *out = (Reply){ be32_get(head + 12), be32_get(head + 16), NULL };
    out->data = g_malloc0(out->len + 1);
    r = out->len ? nbd_recv(m->ch, out->data, out->len) : 0;
    return !r || fail(w, errp, r, "it breaks off the handshake");
}

static bool refused(const NbdWant *w, uint32_t id, const Reply *a, Error **errp)
{
    g_autofree char *where = nbd_address_text(w->address);
    g_autofree char *said = a->len && g_utf8_validate((char *)a->data, -1, NULL) ? g_strdup_printf(" (\"%s\")", a->data)
                                                                                 : g_strdup("");
    g_strdelimit(said, "\n\r", ' ');
    if (a->type == NBD_REP_ERR_UNKNOWN)
        error_setf(errp, "NBD server '%s' has no export '%s'%s; rhea-nbd --list tells its exports", where, w->export,
                   said);
    else if (a->type == NBD_REP_ERR_TLS_REQD)
        error_setf(errp, "NBD server '%s' wants TLS; add tls-creds=ID and -object tls-creds-x509 or tls-creds-psk",
                   where);
    else
        error_setf(errp, "NBD server '%s' refuses %s: %s%s", where, nbd_option_name(id), nbd_reply_text(a->type), said);
    return false;
}

/* An option that is answered by one ACK, or not wanted by the server: *agreed. */
static bool simple_option(const NbdWant *w, NbdRemote *m, uint32_t id, bool *agreed, Error **errp)
{
    Reply a = { 0 };
    int r = send_option(m, id, NULL, 0);
    bool ok = r ? fail(w, errp, r, "it does not listen") : receive_reply(w, m, id, &a, errp);
    *agreed = ok && a.type == NBD_REP_ACK;
    if (ok && a.type == NBD_REP_ERR_TLS_REQD && !m->ch->tls)
        ok = refused(w, id, &a, errp);
    g_free(a.data);
    return ok;
}

static bool start_tls(const NbdWant *w, NbdRemote *m, Error **errp)
{
    bool agreed;
    g_autofree char *where = nbd_address_text(w->address);
    if (!simple_option(w, m, NBD_OPT_STARTTLS, &agreed, errp))
        return false;
    if (!agreed || nbd_has(m->ch, 1)) {
        error_setf(
            errp,
            "NBD server '%s' has no TLS, which tls-creds= asks for; leave tls-creds= out if a clear connection will do",
            where);
        return false;
    }
    const char *name = w->tls_hostname ? w->tls_hostname : w->address->path ? "localhost" : w->address->host;
    TlsSession *tls = tls_session_new_for(w->creds, false, name, m->ch->fd, errp);
    if (tls && tls_session_handshake(tls, errp)) {
        m->ch->tls = tls;
        return true;
    }
    tls_session_free(tls, false);
    error_prependf(errp, "NBD server '%s'", where);
    return false;
}

/* --- what the server says of an export --- */

static bool take_info(const NbdWant *w, NbdRemote *m, const Reply *a, bool *got, Error **errp)
{
    uint16_t type = a->len >= 2 ? be16_get(a->data) : 0xffff;
    if (a->len < 2 || (type == NBD_INFO_EXPORT && a->len != 12) || (type == NBD_INFO_BLOCK_SIZE && a->len != 14))
        return fail(w, errp, 0, "its handshake is malformed");
    if (type == NBD_INFO_EXPORT) {
        m->size = be64_get(a->data + 2);
        m->flags = be16_get(a->data + 10);
        *got = true;
    } else if (type == NBD_INFO_BLOCK_SIZE) {
        m->min_block = be32_get(a->data + 2);
        m->preferred = be32_get(a->data + 6);
        m->max_block = be32_get(a->data + 10);
        if (!is_pow2(m->min_block) || m->min_block > 64 << 10 || m->max_block < m->min_block)
            return fail(w, errp, 0, "it announces block sizes that can't be");
    }
    return true;
}

/* INFO or GO; *known false: the server is too old to know it. */
static bool ask_export(const NbdWant *w, NbdRemote *m, uint32_t id, const char *name, bool *known, Error **errp)
{
    size_t n = strlen(name);
    g_autofree uint8_t *data = g_malloc(4 + n + 4);
    Reply a = { 0 };
    bool got = false, ok;
    be32_put(data, (uint32_t)n);
    memcpy(data + 4, name, n);
    be16_put(data + 4 + n, 1);
    be16_put(data + 6 + n, NBD_INFO_BLOCK_SIZE);
    int r = send_option(m, id, data, 8 + n);
    ok = r ? fail(w, errp, r, "it does not listen") : receive_reply(w, m, id, &a, errp);
    for (unsigned count = 0; ok && a.type == NBD_REP_INFO && ok; count++) {
        ok = count < REPLIES_MAX ? take_info(w, m, &a, &got, errp) : fail(w, errp, 0, "its answers do not end");
        ok = ok && receive_reply(w, m, id, &a, errp);
    }
    *known = !(ok && a.type == NBD_REP_ERR_UNSUP);
    if (ok && *known && a.type != NBD_REP_ACK)
        ok = refused(w, id, &a, errp);
    else if (ok && *known && !got)
        ok = fail(w, errp, 0, "it tells no size of the export");
    g_free(a.data);
    return ok;
}

/* LIST or SET_META_CONTEXT with one query, or none. */
static bool ask_contexts(const NbdWant *w, NbdRemote *m, uint32_t id, const char *name, const char *query,
                         GPtrArray *names, Error **errp)
{
    size_t n = strlen(name), q = query ? strlen(query) : 0;
    g_autoptr(GByteArray) data = g_byte_array_new();
    uint8_t word[4];
    Reply a = { 0 };
    be32_put(word, (uint32_t)n);
    g_byte_array_append(data, word, 4);
    g_byte_array_append(data, (const uint8_t *)name, (guint)n);
    be32_put(word, query != NULL);
    g_byte_array_append(data, word, 4);
    if (query) {
        be32_put(word, (uint32_t)q);
        g_byte_array_append(data, word, 4);
        g_byte_array_append(data, (const uint8_t *)query, (guint)q);
    }
    int r = send_option(m, id, data->data, data->len);
    bool ok = r ? fail(w, errp, r, "it does not listen") : receive_reply(w, m, id, &a, errp);
    for (unsigned count = 0; ok && a.type == NBD_REP_META_CONTEXT; count++) {
        if (count >= REPLIES_MAX || a.len < 4) {
            ok = fail(w, errp, 0, "its metadata contexts are malformed");
            break;
        }
        if (names)
            g_ptr_array_add(names, g_strndup((char *)a.data + 4, a.len - 4));
        else if (query && !strcmp((char *)a.data + 4, query))
            m->has_context = true, m->context_id = be32_get(a.data);
        ok = receive_reply(w, m, id, &a, errp);
    }
    g_free(a.data); /* an error is no harm: no block status then */
    return ok;
}

/* The option that all servers know; afterwards there is no haggling. */
static bool old_export(const NbdWant *w, NbdRemote *m, bool zeroes, Error **errp)
{
    uint8_t in[10 + 124];
    int r = send_option(m, NBD_OPT_EXPORT_NAME, w->export, strlen(w->export));
    r = r ? r : nbd_recv(m->ch, in, zeroes ? sizeof in : 10);
    if (r) {
        g_autofree char *what = g_strdup_printf("it does not give export '%s'", w->export);
        return fail(w, errp, r, what);
    }
    m->size = be64_get(in);
    m->flags = be16_get(in + 8);
    return true;
}

/* --- from the start --- */

void nbd_cancel(NbdCancel *c)
{
    pthread_mutex_lock(&c->lock);
    c->cancelled = true;
    if (c->fd >= 0)
        shutdown(c->fd, SHUT_RDWR);
    pthread_mutex_unlock(&c->lock);
}

static bool may_go_on(NbdCancel *c, int fd)
{
    if (!c)
        return true;
    pthread_mutex_lock(&c->lock);
    bool ok = !c->cancelled;
    c->fd = ok ? fd : -1;
    pthread_mutex_unlock(&c->lock);
    return ok;
}

typedef enum Greeting { GREET_FAILED, GREET_OLD, GREET_NEW, GREET_FIXED } Greeting;

static Greeting greet(const NbdWant *w, NbdRemote *m, bool *zeroes, Error **errp)
{
    uint8_t in[18], flags[4];
    int r = nbd_recv(m->ch, in, 16);
    if (r || be64_get(in) != NBD_MAGIC)
        return fail(w, errp, r, r ? "it does not greet" : "it does not speak NBD"), GREET_FAILED;
    if (be64_get(in + 8) == NBD_OLD_MAGIC) {
        uint8_t old[8 + 4 + 124];
        r = nbd_recv(m->ch, old, sizeof old);
        if (r || w->tls || *w->export)
            return fail(w, errp, r,
                        r ? "it breaks off the handshake" : "it is an old one, without export names and TLS"),
                   GREET_FAILED;
        m->size = be64_get(old);
        m->flags = be16_get(old + 10);
        return GREET_OLD;
    }
    if (be64_get(in + 8) != NBD_OPTS_MAGIC)
        return fail(w, errp, 0, "it does not speak NBD"), GREET_FAILED;
    r = nbd_recv(m->ch, in, 2);
    unsigned theirs = be16_get(in) & (NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES);
    be32_put(flags, theirs);
    *zeroes = !(theirs & NBD_FLAG_NO_ZEROES);
    r = r ? r : nbd_send(m->ch, flags, 4);
    if (r)
        return fail(w, errp, r, "it breaks off the handshake"), GREET_FAILED;
    return theirs & NBD_FLAG_FIXED_NEWSTYLE ? GREET_FIXED : GREET_NEW;
}

static bool reach(const NbdWant *w, NbdRemote *m, Error **errp)
{
    *m = (NbdRemote){ .min_block = 1, .preferred = 4096, .max_block = NBD_MAX_REQUEST };
    int fd = nbd_connect(w->address, w->timeout_ms, errp);
    if (fd < 0)
        return false;
    m->ch = nbd_channel_new(fd);
    if (!may_go_on(w->cancel, fd)) {
        nbd_channel_free(m->ch);
        return fail(w, errp, -ECANCELED, "given up");
    }
    nbd_channel_timeout(m->ch, w->timeout_ms ? (w->timeout_ms + 999) / 1000 : 0);
    return true;
}

static bool negotiate(const NbdWant *w, NbdRemote *m, Error **errp)
{
    bool zeroes = true, known = false;
    Greeting g = greet(w, m, &zeroes, errp);
    if (g == GREET_FAILED || g == GREET_OLD)
        return g == GREET_OLD;
    if (g == GREET_NEW)
        return w->tls ? fail(w, errp, 0, "it is an old one, without TLS") : old_export(w, m, zeroes, errp);
    if (w->tls && !start_tls(w, m, errp))
        return false;
    if (!w->simple && !simple_option(w, m, NBD_OPT_STRUCTURED_REPLY, &m->structured, errp))
        return false;
    if (m->structured && w->context && !ask_contexts(w, m, NBD_OPT_SET_META_CONTEXT, w->export, w->context, NULL, errp))
        return false;
    if (!ask_export(w, m, NBD_OPT_GO, w->export, &known, errp))
        return false;
    return known || old_export(w, m, zeroes, errp);
}

static bool sane(const NbdWant *w, NbdRemote *m, Error **errp)
{
    if (m->size > INT64_MAX)
        return fail(w, errp, 0, "it announces an export of more than 8 EiB");
    if (!(m->flags & NBD_FLAG_HAS_FLAGS))
        m->flags = 0;
    m->max_block = MIN(m->max_block, (uint32_t)NBD_MAX_REQUEST);
    m->size = align_down(m->size, m->min_block);
    return true;
}

bool nbd_remote_open(const NbdWant *w, NbdRemote *out, Error **errp)
{
    if (strlen(w->export) > NBD_NAME_MAX) {
        error_setf(errp, "an NBD export's name has at most %d characters", NBD_NAME_MAX);
        return false;
    }
    if (!reach(w, out, errp))
        return false;
    bool ok = negotiate(w, out, errp) && sane(w, out, errp);
    if (!may_go_on(w->cancel, -1) && ok)
        ok = fail(w, errp, -ECANCELED, "given up");
    if (ok) {
        nbd_channel_timeout(out->ch, 0);
        return true;
    }
    nbd_channel_free(out->ch);
    out->ch = NULL;
    return false;
}

/* --- what there is --- */

static void print_flags(GString *out, uint16_t flags)
{
    static const char *const names[] = { "",       "readonly", "flush", "fua",    "rotational", "trim",
                                         "zeroes", "df",       "multi", "resize", "cache",      "fast-zero" };
    g_string_append_printf(out, "  flags: 0x%x (", flags);
    for (unsigned i = 1; i < ARRAY_LEN(names); i++) {
        if (flags >> i & 1)
            g_string_append_printf(out, " %s", names[i]);
    }
    g_string_append(out, " )\n");
}

static bool print_export(const NbdWant *w, NbdRemote *m, const char *name, const char *desc, GString *out, Error **errp)
{
    bool known;
    g_autoptr(GPtrArray) contexts = g_ptr_array_new_with_free_func(g_free);
    g_string_append_printf(out, " export: '%s'\n", name);
    if (*desc)
        g_string_append_printf(out, "  description: %s\n", desc);
    if (!ask_export(w, m, NBD_OPT_INFO, name, &known, errp))
        return false;
    if (!known)
        return true;
    g_string_append_printf(out, "  size:  %" G_GUINT64_FORMAT "\n", (guint64)m->size);
    print_flags(out, m->flags);
    g_string_append_printf(out, "  min block: %u\n  opt block: %u\n  max block: %u\n", m->min_block, m->preferred,
                           m->max_block);
    if (m->structured && !ask_contexts(w, m, NBD_OPT_LIST_META_CONTEXT, name, NULL, contexts, errp))
        return false;
    if (contexts->len)
        g_string_append_printf(out, "  available meta contexts: %u\n", contexts->len);
    for (unsigned i = 0; i < contexts->len; i++)
        g_string_append_printf(out, "   %s\n", (char *)contexts->pdata[i]);
    return true;
}

static bool receive_names(const NbdWant *w, NbdRemote *m, GPtrArray *names, Error **errp)
{
    Reply a = { 0 };
    int r = send_option(m, NBD_OPT_LIST, NULL, 0);
    bool ok = r ? fail(w, errp, r, "it does not listen") : receive_reply(w, m, NBD_OPT_LIST, &a, errp);
    while (ok && a.type == NBD_REP_SERVER) {
        uint32_t n = a.len >= 4 ? be32_get(a.data) : 0;
        if (a.len < 4 || n > a.len - 4 || names->len > REPLIES_MAX) {
            ok = fail(w, errp, 0, "its list of exports is malformed");
            break;
        }
        g_ptr_array_add(names, g_strndup((char *)a.data + 4, n));
        g_ptr_array_add(names, g_strdup((char *)a.data + 4 + n));
        ok = receive_reply(w, m, NBD_OPT_LIST, &a, errp);
    }
    if (ok && a.type != NBD_REP_ACK)
        ok = refused(w, NBD_OPT_LIST, &a, errp);
    g_free(a.data);
    return ok;
}

bool nbd_remote_list(const NbdWant *w, GString *out, Error **errp)
{
    NbdRemote m;
    bool zeroes;
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    if (!reach(w, &m, errp))
        return false;
    Greeting g = greet(w, &m, &zeroes, errp);
    bool ok = g == GREET_FIXED;
    if (!ok && g != GREET_FAILED)
        fail(w, errp, 0, "it is an old one, which has no list of exports");
    ok = ok && (!w->tls || start_tls(w, &m, errp)) &&
         simple_option(w, &m, NBD_OPT_STRUCTURED_REPLY, &m.structured, errp) && receive_names(w, &m, names, errp);
    if (ok)
        g_string_append_printf(out, "exports available: %u\n", names->len / 2);
    for (unsigned i = 0; ok && i + 1 < names->len; i += 2)
        ok = print_export(w, &m, names->pdata[i], names->pdata[i + 1], out, errp);
    if (ok)
        send_option(&m, NBD_OPT_ABORT, NULL, 0);
    nbd_channel_free(m.ch);
    return ok;
}
