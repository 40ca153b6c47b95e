/* SPDX-License-Identifier: MIT */
/* TLS with gnutls: credentials as objects, sessions on sockets. */
#include "rhea-config.h"
#include "crypto/tls.h"
#include "crypto/secret.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#ifdef HAVE_GNUTLS
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

typedef enum TlsKind { TLS_X509, TLS_PSK, TLS_ANON } TlsKind;

typedef struct TlsCreds {
    Object base;
    char *dir, *priority, *username, *passwordid;
    int endpoint; /* 0 server, 1 client */
    bool verify_peer;
    TlsKind kind;
    bool made;
    union {
        gnutls_certificate_credentials_t x509;
        gnutls_psk_server_credentials_t psk_server;
        gnutls_psk_client_credentials_t psk_client;
        gnutls_anon_server_credentials_t anon_server;
        gnutls_anon_client_credentials_t anon_client;
    };
} TlsCreds;

struct TlsSession {
    gnutls_session_t gnutls;
    Object *held; /* released with the session; NULL: the caller's */
    gnutls_certificate_credentials_t system;
};

static const char *const endpoints[] = { "server", "client", NULL };

/* --- credentials --- */

static char *creds_file(const TlsCreds *c, const char *name, bool needed, bool *ok, Error **errp)
{
    g_autofree char *path = g_build_filename(c->dir, name, NULL);
    if (!access(path, R_OK))
        return g_steal_pointer(&path);
    if (needed || errno != ENOENT) {
        error_set_errno(errp, errno, "object '%s': '%s' is needed", c->base.id, path);
        *ok = false;
    }
    return NULL;
}

static bool gnutls_ok(const TlsCreds *c, int r, const char *what, Error **errp)
{
    if (r >= 0)
        return true;
    error_setf(errp, "object '%s': %s: %s", c->base.id, what, gnutls_strerror(r));
    return false;
}

static bool load_x509(TlsCreds *c, Error **errp)
{
    bool server = c->endpoint == 0, ok = true;
    g_autofree char *ca = creds_file(c, "ca-cert.pem", true, &ok, errp);
    g_autofree char *crl = ok ? creds_file(c, "ca-crl.pem", false, &ok, errp) : NULL;
    g_autofree char *cert = ok ? creds_file(c, server ? "server-cert.pem" : "client-cert.pem", server, &ok, errp)
                               : NULL;
    g_autofree char *key = ok ? creds_file(c, server ? "server-key.pem" : "client-key.pem", cert != NULL, &ok, errp)
                              : NULL;
    g_autofree char *password = ok && c->passwordid ? secret_get_text(c->passwordid, errp) : NULL;
    if (!ok || (c->passwordid && !password))
        return false;
    if (!gnutls_ok(c, gnutls_certificate_allocate_credentials(&c->x509), "credentials", errp))
        return false;
    c->made = true;
    return gnutls_ok(c, gnutls_certificate_set_x509_trust_file(c->x509, ca, GNUTLS_X509_FMT_PEM), ca, errp) &&
           (!crl || gnutls_ok(c, gnutls_certificate_set_x509_crl_file(c->x509, crl, GNUTLS_X509_FMT_PEM), crl, errp)) &&
           (!cert ||
            gnutls_ok(c, gnutls_certificate_set_x509_key_file2(c->x509, cert, key, GNUTLS_X509_FMT_PEM, password, 0),
                      cert, errp));
}

/* The client's own line of keys.psk: "username:hexkey". */
static bool psk_client_key(TlsCreds *c, const char *path, Error **errp)
{
    g_autofree char *text = NULL;
    g_autoptr(GError) err = NULL;
    if (!g_file_get_contents(path, &text, NULL, &err)) {
        error_setf(errp, "object '%s': %s", c->base.id, err->message);
        return false;
    }
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    const char *user = c->username ? c->username : "qemu";
    size_t len = strlen(user);
    for (char **l = lines; *l; l++) {
        if (strncmp(*l, user, len) || (*l)[len] != ':')
            continue;
        g_strchomp(*l);
        gnutls_datum_t key = { (unsigned char *)*l + len + 1, (unsigned)strlen(*l + len + 1) };
        return gnutls_ok(c, gnutls_psk_set_client_credentials(c->psk_client, user, &key, GNUTLS_PSK_KEY_HEX), "key",
                         errp);
    }
    error_setf(errp, "object '%s': '%s' has no key for user '%s'; set username= or make one with psktool", c->base.id,
               path, user);
    return false;
}

static bool load_psk(TlsCreds *c, Error **errp)
{
    bool server = c->endpoint == 0, ok = true;
    g_autofree char *keys = creds_file(c, "keys.psk", true, &ok, errp);
    if (!ok)
        return false;
    int r = server ? gnutls_psk_allocate_server_credentials(&c->psk_server)
                   : gnutls_psk_allocate_client_credentials(&c->psk_client);
    if (!gnutls_ok(c, r, "credentials", errp))
        return false;
    c->made = true;
    if (!server)
        return psk_client_key(c, keys, errp);
    gnutls_psk_set_server_known_dh_params(c->psk_server, GNUTLS_SEC_PARAM_MEDIUM);
    return gnutls_ok(c, gnutls_psk_set_server_credentials_file(c->psk_server, keys), keys, errp);
}

static bool load_anon(TlsCreds *c, Error **errp)
{
    int r = c->endpoint == 0 ? gnutls_anon_allocate_server_credentials(&c->anon_server)
                             : gnutls_anon_allocate_client_credentials(&c->anon_client);
    c->made = r >= 0;
    if (c->made && c->endpoint == 0)
        gnutls_anon_set_server_known_dh_params(c->anon_server, GNUTLS_SEC_PARAM_MEDIUM);
    return gnutls_ok(c, r, "credentials", errp);
}

static bool need_dir(const TlsCreds *c, Error **errp)
{
    if (!c->dir)
        error_setf(errp, "object '%s': where are its files? add dir=DIRECTORY", c->base.id);
    return c->dir;
}

static bool complete_x509(Object *o, Error **errp)
{
    TlsCreds *c = (TlsCreds *)o;
    c->kind = TLS_X509;
    return need_dir(c, errp) && load_x509(c, errp);
}

static bool complete_psk(Object *o, Error **errp)
{
    TlsCreds *c = (TlsCreds *)o;
    c->kind = TLS_PSK;
    return need_dir(c, errp) && load_psk(c, errp);
}

static bool complete_anon(Object *o, Error **errp)
{
    TlsCreds *c = (TlsCreds *)o;
    c->kind = TLS_ANON;
    return load_anon(c, errp);
}

static void creds_finalize(Object *o)
{
    TlsCreds *c = (TlsCreds *)o;
    bool server = c->endpoint == 0;
    if (!c->made)
        return;
    switch (c->kind) {
    case TLS_X509: gnutls_certificate_free_credentials(c->x509); break;
    case TLS_PSK:
        server ? gnutls_psk_free_server_credentials(c->psk_server) : gnutls_psk_free_client_credentials(c->psk_client);
        break;
    case TLS_ANON:
        server ? gnutls_anon_free_server_credentials(c->anon_server)
               : gnutls_anon_free_client_credentials(c->anon_client);
        break;
    }
}

#define COMMON_PROPS \
    DEFINE_PROP_ENUM("endpoint", TlsCreds, endpoint, 1, endpoints, "the end of the connection they are for"), \
    DEFINE_PROP_STRING("priority", TlsCreds, priority, NULL, "a priority string of gnutls"), \
    DEFINE_PROP_BOOL("verify-peer", TlsCreds, verify_peer, true, \
        "the peer must show a certificate that the authority has signed")
static const Property x509_props[] = {
    COMMON_PROPS,
    DEFINE_PROP_STRING("dir", TlsCreds, dir, NULL, "folder of ca-cert.pem, server-cert.pem, server-key.pem, client-…"),
    DEFINE_PROP_STRING("passwordid", TlsCreds, passwordid, NULL, "the key's password, a secret object"), DEFINE_PROP_END
};
static const Property psk_props[] = {
    COMMON_PROPS, DEFINE_PROP_STRING("dir", TlsCreds, dir, NULL, "folder of keys.psk (psktool makes it)"),
    DEFINE_PROP_STRING("username", TlsCreds, username, NULL, "the client's name (default qemu)"), DEFINE_PROP_END
};
static const Property anon_props[] = { COMMON_PROPS, DEFINE_PROP_STRING("dir", TlsCreds, dir, NULL, "not used"),
                                       DEFINE_PROP_END };

#define CREDS_TYPE(id, title, text) \
    static const ObjectType creds_##id = { .name = title, .kind = "tls-creds", .desc = text, .size = sizeof(TlsCreds), \
        .props = id##_props, \
                                           .complete = complete_##id, .finalize = creds_finalize }; \
    OBJECT_REGISTER(creds_##id)
CREDS_TYPE(x509, "tls-creds-x509", "TLS with certificates")
CREDS_TYPE(psk, "tls-creds-psk", "TLS with keys that both ends have")
CREDS_TYPE(anon, "tls-creds-anon", "TLS without proof of who the peer is")

static bool right_end(const TlsCreds *c, bool server, Error **errp)
{
    bool ok = (c->endpoint == 0) == server;
    if (!ok)
        error_setf(errp, "object '%s' is for the %s's end of TLS; this is the %s: set endpoint=%s", c->base.id,
                   endpoints[c->endpoint], endpoints[!server], endpoints[!server]);
    return ok;
}

Object *tls_creds_take(const char *id, bool server, Error **errp)
{
    Object *o = object_get(id, "tls-creds", errp);
    if (!o || !right_end((TlsCreds *)o, server, errp))
        return NULL;
    return object_take(id, "tls-creds", errp);
}

/* --- sessions --- */

static int set_credentials(TlsSession *s, const TlsCreds *c, bool server)
{
    static const char *const kinds[] = { "", ":+ECDHE-PSK:+DHE-PSK:+PSK", ":+ANON-DH:+ANON-ECDH" };
    gnutls_certificate_credentials_t x509 = c ? c->x509 : s->system;
    TlsKind kind = c ? c->kind : TLS_X509;
    g_autofree char *priority = g_strconcat(c && c->priority ? c->priority : "NORMAL", kinds[kind], NULL);
    int r = gnutls_priority_set_direct(s->gnutls, priority, NULL);
    if (r < 0)
        return r;
    switch (kind) {
    case TLS_PSK:
        return gnutls_credentials_set(s->gnutls, GNUTLS_CRD_PSK,
                                      server ? (void *)c->psk_server : (void *)c->psk_client);
    case TLS_ANON:
        return gnutls_credentials_set(s->gnutls, GNUTLS_CRD_ANON,
                                      server ? (void *)c->anon_server : (void *)c->anon_client);
    default: return gnutls_credentials_set(s->gnutls, GNUTLS_CRD_CERTIFICATE, x509);
    }
}

TlsSession *tls_session_new_for(Object *creds, bool server, const char *hostname, int fd, Error **errp)
{
    TlsCreds *c = (TlsCreds *)creds;
    if (c && !right_end(c, server, errp))
        return NULL;
    g_assert(c || !server);
    TlsSession *s = g_new0(TlsSession, 1);
    int r = gnutls_init(&s->gnutls, (server ? GNUTLS_SERVER : GNUTLS_CLIENT) | GNUTLS_NO_SIGNAL);
    if (r >= 0 && !c && !(r = gnutls_certificate_allocate_credentials(&s->system)))
        gnutls_certificate_set_x509_system_trust(s->system);
    if (r >= 0)
        r = set_credentials(s, c, server);
    if (r < 0) {
        error_setf(errp, "TLS%s%s: %s", c ? " with " : "", c ? c->base.id : "", gnutls_strerror(r));
        tls_session_free(s, false);
        return NULL;
    }
    bool certificates = !c || c->kind == TLS_X509;
    if (certificates && !server && (!c || c->verify_peer))
        gnutls_session_set_verify_cert(s->gnutls, hostname, 0);
    else if (certificates && server && c->verify_peer) {
        gnutls_certificate_server_set_request(s->gnutls, GNUTLS_CERT_REQUIRE);
        gnutls_session_set_verify_cert(s->gnutls, NULL, 0);
    }
    if (hostname && !server && *hostname && !g_hostname_is_ip_address(hostname))
        gnutls_server_name_set(s->gnutls, GNUTLS_NAME_DNS, hostname, strlen(hostname));
    gnutls_transport_set_int(s->gnutls, fd);
    return s;
}

TlsSession *tls_session_new(const char *creds, bool server, const char *hostname, int fd, Error **errp)
{
    Object *o = creds ? tls_creds_take(creds, server, errp) : NULL;
    if (creds && !o)
        return NULL;
    TlsSession *s = tls_session_new_for(o, server, hostname, fd, errp);
    if (s)
        s->held = o;
    else if (o)
        object_release(o);
    return s;
}

bool tls_session_handshake(TlsSession *s, Error **errp)
{
    int r;
    do {
        r = gnutls_handshake(s->gnutls);
    } while (r == GNUTLS_E_INTERRUPTED);
    if (r == GNUTLS_E_SUCCESS)
        return true;
    if (r == GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR) {
        gnutls_datum_t why = { NULL, 0 };
        gnutls_certificate_verification_status_print(gnutls_session_get_verify_cert_status(s->gnutls), GNUTLS_CRT_X509,
                                                     &why, 0);
        if (why.data)
            g_strchomp((char *)why.data);
        error_setf(errp, "TLS: the peer's certificate was refused: %s", why.data ? (char *)why.data : "not valid");
        gnutls_free(why.data);
    } else if (r == GNUTLS_E_FATAL_ALERT_RECEIVED) {
        error_setf(errp, "TLS: the peer refused: %s", gnutls_alert_get_name(gnutls_alert_get(s->gnutls)));
    } else {
        error_setf(errp, "TLS: no agreement with the peer: %s", gnutls_strerror(r));
    }
    return false;
}

static ssize_t result(ssize_t r)
{
    return r >= 0                                ? r
           : r == GNUTLS_E_AGAIN                 ? -EAGAIN
           : r == GNUTLS_E_INTERRUPTED           ? -EINTR
           : r == GNUTLS_E_PREMATURE_TERMINATION ? 0
                                                 : -EIO;
}

ssize_t tls_session_recv(TlsSession *s, void *buf, size_t len)
{
    ssize_t r;
    do {
        r = result(gnutls_record_recv(s->gnutls, buf, len));
    } while (r == -EINTR);
    return r;
}

ssize_t tls_session_send(TlsSession *s, const void *buf, size_t len)
{
    ssize_t r;
    do {
        r = result(gnutls_record_send(s->gnutls, buf, len));
    } while (r == -EINTR);
    return r;
}

void tls_session_free(TlsSession *s, bool goodbye)
{
    if (!s)
        return;
    if (s->gnutls && goodbye)
        gnutls_bye(s->gnutls, GNUTLS_SHUT_WR);
    if (s->gnutls)
        gnutls_deinit(s->gnutls);
    if (s->system)
        gnutls_certificate_free_credentials(s->system);
    if (s->held)
        object_release(s->held);
    g_free(s);
}

#else /* without gnutls */

static void *no_tls(Error **errp)
{
    error_setf(errp, "TLS: this program was built without it; build with gnutls (libgnutls28-dev)");
    return NULL;
}

Object *tls_creds_take(const char *id, bool server, Error **errp) { return no_tls(errp); }
TlsSession *tls_session_new(const char *creds, bool server, const char *hostname, int fd, Error **errp)
{
    return no_tls(errp);
}
TlsSession *tls_session_new_for(Object *creds, bool server, const char *hostname, int fd, Error **errp)
{
    return no_tls(errp);
}
bool tls_session_handshake(TlsSession *s, Error **errp) { return no_tls(errp); }
ssize_t tls_session_recv(TlsSession *s, void *buf, size_t len) { return -ENOTSUP; }
ssize_t tls_session_send(TlsSession *s, const void *buf, size_t len) { return -ENOTSUP; }
void tls_session_free(TlsSession *s, bool goodbye) { }
#endif
