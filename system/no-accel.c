/* SPDX-License-Identifier: MIT */
/* Until accel/ is in the build: the functions of it that system/ calls, weak. */
#include "accel/accel.h"
#include "accel/vcpu.h"
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#define W __attribute__((weak))
W const AccelType *accel_current(void) { return NULL; }
W const AccelType *accel_find(const char *n) { return NULL; }
W const AccelType *const *accel_types(unsigned *n) { *n = 0; return NULL; }
W bool accel_setup(Machine *m, const char *n, Opts *o, Error **e) { return true; }
W void vcpus_pause(void) {}
W void vcpus_resume(void) {}
W unsigned vcpu_count(void) { return 0; }
W Vcpu *vcpu_get(unsigned i) { return NULL; }
W void vcpu_run_on_sync(Vcpu *v, VcpuWorkFn *f, void *o) {}
#include "accel/guest-arch.h"
extern const GuestArch x86_guest_arch;
W const GuestArch x86_guest_arch = { 0 };
