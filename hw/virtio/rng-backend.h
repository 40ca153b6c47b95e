/* SPDX-License-Identifier: MIT */
/* Where random bytes come from: -object rng-builtin, rng-random, rng-egd. */
#ifndef HW_VIRTIO_RNG_BACKEND_H
#define HW_VIRTIO_RNG_BACKEND_H

#include "base/object.h"
#include "base/thread.h"

#define RNG_BACKEND_KIND "rng-backend"

typedef struct RngBackend RngBackend;
/* Bytes for somebody who asked. Main thread, no lock held; may come once more after rng_cancel(). */
typedef void RngDoneFn(void *opaque, const uint8_t *data, size_t len);

/* Ask for up to `len` bytes (at least one comes). Any thread. */
void rng_request(RngBackend *b, size_t len, RngDoneFn *done, void *opaque);
/* Forget what `opaque` has asked for. Any thread. */
void rng_cancel(RngBackend *b, void *opaque);
/* The object of that id, or NULL: one of the program's own. A user more, who calls object_release(). */
RngBackend *rng_take(const char *id, Error **errp);
#endif
