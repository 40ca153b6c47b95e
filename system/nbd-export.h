/* SPDX-License-Identifier: MIT */
/* The NBD server of a running machine: its drives for others, by the monitor. */
#ifndef SYSTEM_NBD_EXPORT_H
#define SYSTEM_NBD_EXPORT_H

#include <stdbool.h>
#include <glib.h>
#include "base/error.h"

/* Main thread. address: "HOST:PORT", "unix:PATH"; creds: id of a tls-creds object, or NULL; max_clients 0: no limit. */
bool nbd_export_start(const char *address, const char *creds, unsigned max_clients, Error **errp);
/* drive: a drive's or node's name. name NULL: the drive's. The medium that is in the drive now is exported. */
bool nbd_export_add(const char *drive, const char *name, bool writable, Error **errp);
bool nbd_export_remove(const char *name, bool force, Error **errp);
bool nbd_export_stop(Error **errp);
bool nbd_export_print(GString *out); /* false: no server runs */
#endif
