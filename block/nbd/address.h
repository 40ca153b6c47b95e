/* SPDX-License-Identifier: MIT */
/* Where an NBD server is: unix or TCP sockets, URIs, options. */
#ifndef BLOCK_NBD_ADDRESS_H
#define BLOCK_NBD_ADDRESS_H

#include <glib.h>
#include <stdbool.h>
#include "base/opts.h"

typedef struct NbdAddress { char *path; /* unix; NULL: TCP */ char *host, *port; } NbdAddress;
void nbd_address_clear(NbdAddress *a);
char *nbd_address_text(const NbdAddress *a);  /* "unix:/x", "host:10809" */
char *nbd_address_uri(const NbdAddress *a, const char *export, bool tls);

/* "nbd:HOST:PORT[:exportname=X]", "nbd:unix:PATH…", "nbd[s][+unix|+tcp]://…" into server.*, export, tls (on). */
bool nbd_parse_name(const char *name, Opts *o, Error **errp);
/* server.type, server.path/host/port; or path, host, port. */
bool nbd_address_from_options(NbdAddress *a, Opts *o, Error **errp);

/* A blocking socket; -1 with a line. timeout_ms 0: as long as the host tries. */
int nbd_connect(const NbdAddress *a, unsigned timeout_ms, Error **errp);
/* Listening sockets (a name may have several addresses) into fds[]; returns how many, 0 with a line. */
unsigned nbd_listen(const NbdAddress *a, int *fds, unsigned max, Error **errp);
#endif
