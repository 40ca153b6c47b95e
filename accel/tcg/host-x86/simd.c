/* SPDX-License-Identifier: MIT */
/* SIMD ops on the host's vector unit. */
#include "accel/tcg/host-x86/jit.h"

void emit_simd(Jit *j) { emit_step(j); }
