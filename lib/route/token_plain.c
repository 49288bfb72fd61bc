/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#define W4_ROUTE_TOKEN w4_route_token_plain
#include "route/token_code.h"
