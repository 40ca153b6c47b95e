/* SPDX-License-Identifier: MIT */
/* Loading of protocols' libraries. */
#include "block/library.h"
#include <dlfcn.h>

bool library_load(const char *soname, const char *package, const char *const *names, void **functions, bool *loaded,
                  Error **errp)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&lock);
    bool ok = *loaded;
    void *lib = ok ? NULL : dlopen(soname, RTLD_NOW); /* stays for the rest of the run */
    if (lib) {
        ok = true;
        for (unsigned i = 0; names[i]; i++)
            ok &= (functions[i] = dlsym(lib, names[i])) != NULL;
        *loaded = ok;
    }
    pthread_mutex_unlock(&lock);
    if (!ok)
        error_setf(errp, "the library %s can't be loaded; install %s", soname, package);
    return ok;
}
