/* SPDX-License-Identifier: MIT */
/* The NBD server's side of the handshake (NBD protocol document, "Fixed newstyle negotiation"). */
#include "block/nbd/server-internal.h"

typedef struct Option { uint32_t id, len; uint8_t *data; } Option; /* data has a 0 behind it */
typedef enum Verdict { GO_ON, HANG_UP, TRANSMIT } Verdict;

/* --- replies --- */

static int reply(NbdConn *c, const Option *o, uint32_t type, const void *data, uint32_t len)
{
    uint8_t head[NBD_REP_SIZE];
    be64_put(head, NBD_REP_MAGIC);
    be32_put(head + 8, o->id);
    be32_put(head + 12, type);
    be32_put(head + 16, len);
    struct iovec iov[2] = { { head, sizeof head }, { (void *)data, len } };
    return nbd_sendv(c->ch, iov, len ? 2 : 1);
}

static Verdict answer(NbdConn *c, const Option *o, uint32_t type, const char *why)
{
    if (why)
        nbd_server_log(c->server, "option %s: %s", nbd_option_name(o->id), why);
    return reply(c, o, type, why, why ? (uint32_t)strlen(why) : 0) ? HANG_UP : GO_ON;
}

static uint16_t export_flags(NbdConn *c, const NbdExport *e)
{
    unsigned f = NBD_FLAG_HAS_FLAGS | NBD_FLAG_SEND_FLUSH | NBD_FLAG_SEND_FUA | NBD_FLAG_SEND_CACHE;
    f |= nbd_server_shared(c->server) ? NBD_FLAG_CAN_MULTI_CONN : 0;
    f |= c->structured ? NBD_FLAG_SEND_DF : 0;
    if (!e->writable)
        f |= NBD_FLAG_READ_ONLY;
    else
        f |= NBD_FLAG_SEND_TRIM | NBD_FLAG_SEND_WRITE_ZEROES | NBD_FLAG_SEND_FAST_ZERO |
             (e->offset || e->fixed_size ? 0 : NBD_FLAG_SEND_RESIZE);
    return (uint16_t)f;
}

/* --- parsing: a string with a 32-bit length in front --- */

static const uint8_t *take(const uint8_t **p, uint32_t *left, uint32_t n)
{
    const uint8_t *at = *p;
    if (n > *left)
        return NULL;
    *p += n;
    *left -= n;
    return at;
}

static char *take_string(const uint8_t **p, uint32_t *left)
{
    const uint8_t *len = take(p, left, 4);
    uint32_t n = len ? be32_get(len) : 0;
    const uint8_t *text = len && n <= NBD_NAME_MAX ? take(p, left, n) : NULL;
    return text && !memchr(text, 0, n) ? g_strndup((const char *)text, n) : NULL;
}

/* --- options --- */

static Verdict do_export_name(NbdConn *c, const Option *o)
{
    NbdExport *e = o->len <= NBD_NAME_MAX && !memchr(o->data, 0, o->len) ? nbd_export_find(c->server, (char *)o->data)
                                                                         : NULL;
    if (!e) {
        nbd_server_log(c->server, "a client asks for export '%s', which there is not", o->data);
        return HANG_UP; /* there is no way to tell */
    }
    uint8_t out[10 + 124] = { 0 };
    be64_put(out, nbd_export_size(e));
    be16_put(out + 8, export_flags(c, e));
    if (c->contexts_of && strcmp(c->contexts_of, e->name))
        c->contexts = 0;
    nbd_conn_attach(c, e);
    return nbd_send(c->ch, out, c->no_zeroes ? 10 : sizeof out) ? HANG_UP : TRANSMIT;
}

static Verdict do_list(NbdConn *c, const Option *o)
{
    if (o->len)
        return answer(c, o, NBD_REP_ERR_INVALID, "it has no data");
    g_autoptr(GPtrArray) exports = g_ptr_array_new();
    nbd_export_names(c->server, exports);
    int r = 0;
    for (unsigned i = 0; i < exports->len; i++) {
        NbdExport *e = exports->pdata[i];
        uint8_t len[4];
        g_autoptr(GByteArray) data = g_byte_array_new();
        be32_put(len, (uint32_t)strlen(e->name));
        g_byte_array_append(data, len, 4);
        g_byte_array_append(data, (uint8_t *)e->name, (guint)strlen(e->name));
        if (e->description)
            g_byte_array_append(data, (uint8_t *)e->description, (guint)strlen(e->description));
        if (!r)
            r = reply(c, o, NBD_REP_SERVER, data->data, data->len);
        nbd_export_unref(c->server, e);
    }
    return r ? HANG_UP : answer(c, o, NBD_REP_ACK, NULL);
}

static int info_text(NbdConn *c, const Option *o, uint16_t type, const char *text)
{
    size_t n = strlen(text);
    g_autofree uint8_t *data = g_malloc(2 + n);
    be16_put(data, type);
    memcpy(data + 2, text, n);
    return reply(c, o, NBD_REP_INFO, data, (uint32_t)(2 + n));
}

static int send_infos(NbdConn *c, const Option *o, const NbdExport *e, const uint8_t *wanted, unsigned count)
{
    int r = 0;
    uint8_t out[14];
    for (unsigned i = 0; i < count && !r; i++) {
        uint16_t type = be16_get(wanted + 2 * i);
        if (type == NBD_INFO_NAME)
            r = info_text(c, o, type, e->name);
        else if (type == NBD_INFO_DESCRIPTION && e->description)
            r = info_text(c, o, type, e->description);
    }
    be16_put(out, NBD_INFO_BLOCK_SIZE);
    be32_put(out + 2, 1);
    be32_put(out + 6, MAX(e->node->request_align, 4096u));
    be32_put(out + 10, NBD_MAX_REQUEST);
    r = r ? r : reply(c, o, NBD_REP_INFO, out, 14);
    be16_put(out, NBD_INFO_EXPORT);
    be64_put(out + 2, nbd_export_size(e));
    be16_put(out + 10, export_flags(c, e));
    return r ? r : reply(c, o, NBD_REP_INFO, out, 12);
}

static Verdict do_info(NbdConn *c, const Option *o)
{
    const uint8_t *p = o->data;
    uint32_t left = o->len;
    g_autofree char *name = take_string(&p, &left);
    const uint8_t *count = name ? take(&p, &left, 2) : NULL;
    if (!count || left != 2u * be16_get(count))
        return answer(c, o, NBD_REP_ERR_INVALID, "malformed");
    NbdExport *e = nbd_export_find(c->server, name);
    if (!e)
        return answer(c, o, NBD_REP_ERR_UNKNOWN, "no such export");
    int r = send_infos(c, o, e, p, be16_get(count));
    if (!r)
        r = reply(c, o, NBD_REP_ACK, NULL, 0);
    if (r || o->id == NBD_OPT_INFO) {
        nbd_export_unref(c->server, e);
        return r ? HANG_UP : GO_ON;
    }
    if (c->contexts_of && strcmp(c->contexts_of, e->name))
        c->contexts = 0;
    nbd_conn_attach(c, e);
    return TRANSMIT;
}

static Verdict do_starttls(NbdConn *c, const Option *o)
{
    Object *creds = nbd_server_creds(c->server);
    Error *err = NULL;
    if (o->len)
        return answer(c, o, NBD_REP_ERR_INVALID, "it has no data");
    if (!creds)
        return answer(c, o, NBD_REP_ERR_POLICY, "the server has no TLS");
    if (c->ch->tls)
        return answer(c, o, NBD_REP_ERR_INVALID, "TLS has begun already");
    /* what was sent in the clear must not count as said inside */
    if (reply(c, o, NBD_REP_ACK, NULL, 0) || nbd_has(c->ch, 1))
        return HANG_UP;
    TlsSession *tls = tls_session_new_for(creds, true, NULL, c->ch->fd, &err);
    if (!tls || !tls_session_handshake(tls, &err)) {
        nbd_server_log(c->server, "%s", err->message);
        error_free(err);
        tls_session_free(tls, false);
        return HANG_UP;
    }
    c->ch->tls = tls;
    c->structured = false; /* said before, by who knows whom */
    c->contexts = 0;
    return GO_ON;
}

/* --- metadata contexts --- */

static char *context_name(const NbdExport *e, unsigned id)
{
    if (id < NBD_CONTEXT_BITMAP)
        return id == NBD_CONTEXT_DEPTH ? e->depth ? g_strdup("qemu:allocation-depth") : NULL
                                       : g_strdup("base:allocation");
    return id - NBD_CONTEXT_BITMAP < e->bitmaps->len
               ? g_strconcat("qemu:dirty-bitmap:", e->bitmap_names->pdata[id - NBD_CONTEXT_BITMAP], NULL)
               : NULL;
}

/* Bits of the contexts that a query means; those that end in ':' are for lists. */
static uint64_t matching(const NbdExport *e, const char *query, bool list)
{
    uint64_t found = 0;
    for (unsigned id = 0; id < NBD_CONTEXT_BITMAP + e->bitmaps->len; id++) {
        g_autofree char *name = context_name(e, id);
        if (name && (!strcmp(name, query) || (list && g_str_has_suffix(query, ":") && g_str_has_prefix(name, query))))
            found |= UINT64_C(1) << id;
    }
    return found;
}

static int send_contexts(NbdConn *c, const Option *o, const NbdExport *e, uint64_t which)
{
    int r = 0;
    for (unsigned id = 0; id < NBD_CONTEXT_BITMAP + e->bitmaps->len && !r; id++) {
        g_autofree char *name = which >> id & 1 ? context_name(e, id) : NULL;
        if (!name)
            continue;
        size_t n = strlen(name);
        g_autofree uint8_t *data = g_malloc(4 + n);
        be32_put(data, o->id == NBD_OPT_SET_META_CONTEXT ? id : 0);
        memcpy(data + 4, name, n);
        r = reply(c, o, NBD_REP_META_CONTEXT, data, (uint32_t)(4 + n));
    }
    return r;
}

static Verdict do_contexts(NbdConn *c, const Option *o)
{
    const uint8_t *p = o->data;
    uint32_t left = o->len;
    bool list = o->id == NBD_OPT_LIST_META_CONTEXT;
    if (!list)
        c->contexts = 0;
    if (!c->structured)
        return answer(c, o, NBD_REP_ERR_INVALID, "structured replies come first");
    g_autofree char *name = take_string(&p, &left);
    const uint8_t *count = name ? take(&p, &left, 4) : NULL;
    if (!count)
        return answer(c, o, NBD_REP_ERR_INVALID, "malformed");
    NbdExport *e = nbd_export_find(c->server, name);
    if (!e)
        return answer(c, o, NBD_REP_ERR_UNKNOWN, "no such export");
    uint32_t queries = be32_get(count), i;
    uint64_t found = list && !queries ? UINT64_MAX : 0;
    for (i = 0; i < queries; i++) {
        g_autofree char *query = take_string(&p, &left);
        if (!query)
            break;
        found |= matching(e, query, list);
    }
    Verdict v;
    if (i < queries || left) {
        v = answer(c, o, NBD_REP_ERR_INVALID, "malformed");
    } else {
        v = send_contexts(c, o, e, found) ? HANG_UP : answer(c, o, NBD_REP_ACK, NULL);
        if (!list) {
            c->contexts = found;
            g_free(c->contexts_of);
            c->contexts_of = g_strdup(name);
        }
    }
    nbd_export_unref(c->server, e);
    return v;
}

static Verdict do_option(NbdConn *c, const Option *o)
{
    bool tls_first = nbd_server_creds(c->server) && !c->ch->tls;
    if (!c->fixed && o->id != NBD_OPT_EXPORT_NAME)
        return HANG_UP;
    if (tls_first && o->id == NBD_OPT_EXPORT_NAME)
        return HANG_UP;
    if (tls_first && o->id != NBD_OPT_STARTTLS && o->id != NBD_OPT_ABORT)
        return answer(c, o, NBD_REP_ERR_TLS_REQD, "TLS must come first");
    switch (o->id) {
    case NBD_OPT_EXPORT_NAME: return do_export_name(c, o);
    case NBD_OPT_ABORT: answer(c, o, NBD_REP_ACK, NULL); return HANG_UP;
    case NBD_OPT_LIST: return do_list(c, o);
    case NBD_OPT_STARTTLS: return do_starttls(c, o);
    case NBD_OPT_INFO: case NBD_OPT_GO: return do_info(c, o);
    case NBD_OPT_STRUCTURED_REPLY:
        if (o->len)
            return answer(c, o, NBD_REP_ERR_INVALID, "it has no data");
        c->structured = true;
        return answer(c, o, NBD_REP_ACK, NULL);
    case NBD_OPT_LIST_META_CONTEXT: case NBD_OPT_SET_META_CONTEXT: return do_contexts(c, o);
    default: return answer(c, o, NBD_REP_ERR_UNSUP, "not known here");
    }
}

bool nbd_haggle(NbdConn *c)
{
    uint8_t hello[18], flags[4], head[16];
    be64_put(hello, NBD_MAGIC);
    be64_put(hello + 8, NBD_OPTS_MAGIC);
    be16_put(hello + 16, NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES);
    if (nbd_send(c->ch, hello, sizeof hello) || nbd_recv(c->ch, flags, 4))
        return false;
    if (be32_get(flags) & ~(uint32_t)(NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES))
        return false;
    c->fixed = be32_get(flags) & NBD_FLAG_FIXED_NEWSTYLE;
    c->no_zeroes = be32_get(flags) & NBD_FLAG_NO_ZEROES;
    Verdict v = GO_ON;
    gint64 end = g_get_monotonic_time() + NBD_HANDSHAKE_SECONDS * G_USEC_PER_SEC;
    for (unsigned n = 0; v == GO_ON && n < NBD_OPTIONS && g_get_monotonic_time() < end; n++) {
        if (nbd_recv(c->ch, head, sizeof head) || be64_get(head) != NBD_OPTS_MAGIC ||
            be32_get(head + 12) > NBD_OPTION_MAX)
            return false;
        Option o = { be32_get(head + 8), be32_get(head + 12), NULL };
        g_autofree uint8_t *data = g_malloc0(o.len + 1);
        if (o.len && nbd_recv(c->ch, data, o.len))
            return false;
        o.data = data;
        v = do_option(c, &o);
    }
    return v == TRANSMIT;
}
