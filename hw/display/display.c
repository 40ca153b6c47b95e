/* SPDX-License-Identifier: MIT */
/* The list of screens, and pictures as files. */
#include "hw/display/display.h"

#include <errno.h>
#include <string.h>
#include <glib/gstdio.h>

static Display *first;

void display_add(Display *s, Device *d, bool (*picture)(Device *d, Picture *out))
{
    Display **end = &first;
    while (*end)
        end = &(*end)->next;
    *s = (Display){ .dev = d, .picture = picture };
    *end = s;
}

void display_remove(Display *s)
{
    for (Display **at = &first; *at; at = &(*at)->next) {
        if (*at == s) {
            *at = s->next;
            return;
        }
    }
}

Display *display_find(const char *device_id)
{
    Display *s = first;
    while (s && device_id && strcmp(s->dev->id, device_id))
        s = s->next;
    return s;
}

bool display_take(Display *s, Picture *out)
{
    *out = (Picture){ 0 };
    lock_domain_lock(s->dev->domain);
    bool on = s->picture(s->dev, out);
    lock_domain_unlock(s->dev->domain);
    return on;
}

void picture_new(Picture *p, unsigned width, unsigned height)
{
    p->width = MIN(width, PICTURE_MAX_SIDE);
    p->height = MIN(height, PICTURE_MAX_SIDE);
    p->pixels = g_new0(uint32_t, MAX((size_t)p->width * p->height, 1));
}

void picture_clear(Picture *p)
{
    g_clear_pointer(&p->pixels, g_free);
    p->width = p->height = 0;
}

bool picture_write_ppm(const Picture *p, const char *file, Error **errp)
{
    size_t n = (size_t)p->width * p->height;
    g_autoptr(GString) text = g_string_sized_new(n * 3 + 32);
    g_string_printf(text, "P6\n%u %u\n255\n", p->width, p->height);
    for (size_t i = 0; i < n; i++) {
        const char rgb[3] = { (char)(p->pixels[i] >> 16), (char)(p->pixels[i] >> 8), (char)p->pixels[i] };
        g_string_append_len(text, rgb, 3);
    }
    FILE *f = g_fopen(file, "wbe");
    bool ok = f && fwrite(text->str, 1, text->len, f) == text->len;
    int saved = errno;
    if (f && fclose(f) && ok) {
        saved = errno;
        ok = false;
    }
    if (!ok)
        error_setf(errp, "screendump '%s': %s", file, g_strerror(saved));
    return ok;
}
