/* SPDX-License-Identifier: MIT */
/* Monitor: what the screens show. */
#include "base/bits.h"
#include "hw/display/display.h"
#include "system/monitor.h"

static bool screendump(const char *file, const char *device, Error **errp)
{
    Display *s = display_find(device);
    Picture p;
    if (!s) {
        if (device)
            error_setf(errp, "screendump: device '%s' has no screen", device);
        else
            error_setf(errp, "screendump: the machine has no screen");
        return false;
    }
    if (!display_take(s, &p)) /* a dark screen is black */
        picture_new(&p, 640, 480);
    bool ok = picture_write_ppm(&p, file, errp);
    picture_clear(&p);
    return ok;
}

static bool do_screendump(Monitor *mon, int argc, char **argv, Error **errp)
{
    return screendump(argv[1], argc > 2 ? argv[2] : NULL, errp);
}

const MonitorCommand monitor_commands_display[] = {
    { "screendump", "FILE [DEVICE]", "write the picture of a screen to a PPM file", 1, 2, false, do_screendump },
    { 0 },
};
