/* SPDX-License-Identifier: MIT */
/* Making and changing flattened device trees: libfdt with paths and without error codes. */
#ifndef HW_ARM_DEVTREE_H
#define HW_ARM_DEVTREE_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"

/*
 * A tree in memory that grows as needed. Nodes are made with their parents by the first property; setting one again
 * replaces it. Properties are big-endian cells on the wire; values here are host integers.
 */
typedef struct DevTree DevTree;
DevTree *dt_new(void);
/* From a file's bytes; checked whole, the file is untrusted. `what` names it in the error. */
DevTree *dt_parse(GBytes *blob, const char *what, Error **errp);
void dt_free(DevTree *f);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DevTree, dt_free)
GBytes *dt_finish(const DevTree *f); /* packed */

bool dt_has(const DevTree *f, const char *path);
void dt_delete(DevTree *f, const char *path);
void dt_node(DevTree *f, const char *path); /* make it, with its parents */
void dt_empty(DevTree *f, const char *path, const char *name);
void dt_cells(DevTree *f, const char *path, const char *name, unsigned count, const uint32_t *cells);
#define dt_set(f, path, name, ...) \
    dt_cells(f, path, name, sizeof((uint32_t[]){ __VA_ARGS__ }) / sizeof(uint32_t), (uint32_t[]){ __VA_ARGS__ })
void dt_string(DevTree *f, const char *path, const char *name, const char *value);
void dt_bytes(DevTree *f, const char *path, const char *name, const void *data, size_t len); /* also lists of strings */
#define DT_STRINGS(f, path, name, list) dt_bytes(f, path, name, list, sizeof(list))
/* #address-cells and #size-cells of the root: 1 or 2 each. */
void dt_root_cells(const DevTree *f, unsigned *address, unsigned *size);
/* reg = <address size> in the root's cells; false: they do not fit. */
bool dt_root_reg(DevTree *f, const char *path, uint64_t address, uint64_t size);

#define HI32(v) ((uint32_t)((uint64_t)(v) >> 32))
#define LO32(v) ((uint32_t)(v))
#endif
