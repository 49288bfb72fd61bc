/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#define W4_ROUTE_TOKEN w4_route_token_avx2
#include "route/token_code.h"
