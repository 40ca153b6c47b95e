/* SPDX-License-Identifier: MIT */
/* Private to block/: between nodes (node.c), opening (open.c, options.c) and the registry. */
#ifndef BLOCK_NODE_H
#define BLOCK_NODE_H

#include "block/driver.h"

/* A node with one reference, nothing opened; flags: BLOCK_… of block_open(). */
BlockNode *block_node_new(const BlockDriver *drv, unsigned flags);
/* One whose driver is closed, or was never opened: drops its children and its name. */
void block_node_free(BlockNode *n);
/* Takes "node-name" of the options, if there is one; false: in use. Main thread. */
bool block_node_take_name(BlockNode *n, Opts *o, Error **errp);

enum { BLOCK_CHAIN_MAX = 200, BLOCK_PROBE_SIZE = 2048 };
const BlockDriver *block_driver_for_scheme(const char *scheme);
/* Every key of options must be in the list. */
bool block_check_keys(const BlockDriver *d, const BlockCreateOption *list, const Opts *options, Error **errp);
const BlockDriver *block_driver_probe(const uint8_t *head, size_t len, const char *filename);
GPtrArray *block_driver_keys(const BlockDriver *d); /* of const char *, ended by NULL: all keys of its -blockdev */
/* The scheme of "nbd:…", "https://…"; NULL: a plain path. Free it. */
char *block_scheme(const char *filename);
/* The common keys (read-only, cache.direct, discard …) into flags. */
bool block_common_options(Opts *o, unsigned *flags, Error **errp);
BlockNode *block_open_depth(const char *filename, Opts *options, unsigned flags, unsigned depth, Error **errp);
#endif
