/* SPDX-License-Identifier: MIT */
/* Saving all devices of a test's machine, and loading them. */
#ifndef TESTS_DEVICE_WHOLE_STATE_H
#define TESTS_DEVICE_WHOLE_STATE_H

#include "hw/core/device.h"

static inline GBytes *save_all(void)
{
    StateWriter *w = state_writer_new();
    device_save_all(w);
    return state_writer_finish(w);
}

static inline void load_all(GBytes *stream)
{
    Error *err = NULL;
    StateReader *r = state_reader_new(stream, &err);
    if (!r || !device_load_all(r, &err))
        g_error("%s", err->message);
    state_reader_free(r);
}

static inline void save_reset_load(void)
{
    g_autoptr(GBytes) state = save_all();
    device_reset_all();
    load_all(state);
}
#endif
