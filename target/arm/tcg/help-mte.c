/* SPDX-License-Identifier: MIT */
/* Memory tagging: what generated code calls. */
#include "target/arm/helpers.h"

ARM_HELPER_VOID(tag_check) {}
