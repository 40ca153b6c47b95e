/* SPDX-License-Identifier: MIT */
/* The rows of vec.def as data. */
#include "accel/tcg/vec.h"

const VecInfo vec_info[VEC_OP_COUNT] = {
#define X(id, mn, shape_, msize_, prefix_, map_, opcode_, ext_, flags_) \
    [VEC_##id] = { mn, VEC_SHAPE_##shape_, msize_, prefix_, map_, opcode_, ext_, flags_ },
#include "accel/tcg/vec.def"
#undef X
};
