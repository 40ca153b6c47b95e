/* SPDX-License-Identifier: MIT */
/* The lines of -numa that tell how fast memory is; `present`: which nodes there are. */
#ifndef SYSTEM_SETUP_HMAT_H
#define SYSTEM_SETUP_HMAT_H

#include "base/opts.h"
#include "hw/core/numa-hmat.h"

NumaHmat *hmat_of(NumaConfig *c); /* made when it is not there */
bool hmat_add_speed(NumaConfig *c, const bool *present, Opts *o, Error **errp);
bool hmat_add_cache(NumaConfig *c, const bool *present, Opts *o, Error **errp);
#endif
