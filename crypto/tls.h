/* SPDX-License-Identifier: MIT */
/* TLS on a connected socket, with credentials that -object tls-creds-{x509,psk,anon} made. */
#ifndef CRYPTO_TLS_H
#define CRYPTO_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include "base/object.h"

typedef struct TlsSession TlsSession;

/*
 * creds: the id of an object of kind "tls-creds" (counted as in use until the session is freed), NULL: the system's
 * authorities (client only). Its endpoint= must fit. hostname: whom the server's certificate must name; NULL for
 * servers. fd stays the caller's. Main thread or any, one at a time: see tls_creds_take() for users in other threads.
 */
TlsSession *tls_session_new(const char *creds, bool server, const char *hostname, int fd, Error **errp);
/* The same by an object that the caller holds: any thread. NULL: the system's authorities. */
TlsSession *tls_session_new_for(Object *creds, bool server, const char *hostname, int fd, Error **errp);
/* Is there such an object, for that end? Counts a user; object_release() it. Main thread. */
Object *tls_creds_take(const char *id, bool server, Error **errp);
/* Blocks; false with a line on why the peers did not come together. */
bool tls_session_handshake(TlsSession *s, Error **errp);
/* As recv() and send(): 0 at the end, negative errno. One thread may send while another receives. */
ssize_t tls_session_recv(TlsSession *s, void *buf, size_t len);
ssize_t tls_session_send(TlsSession *s, const void *buf, size_t len);
void tls_session_free(TlsSession *s, bool goodbye);
#endif
