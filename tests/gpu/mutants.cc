/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Kernels with a fault, under other names: what tests must find. */
#define W4_HOST_LAYOUT 11

#include "../../hip/kernels/routing.h"

/* w4_align does not wait. */
namespace no_barrier
{
#define gpu_barrier() gpu_keep_order()
#define w4_align w4_align_no_barrier
#define w4_count w4_count_no_barrier
#define w4_spread w4_spread_no_barrier
#include "../../hip/kernels/align.hip"
#undef gpu_barrier
#undef w4_align
#undef w4_count
#undef w4_spread
} // namespace no_barrier

/* Half of the lanes are not there when w4_route exchanges numbers. */
template <int MASK>
GPU_INLINE float
shuffle_of_half(float x, gpu_site site = gpu_here())
{
    return gpu_host_lane() < GPU_WAVE / 2 ? gpu_shuffle_xor<MASK>(x, site) : x;
}

namespace inactive
{
#define gpu_shuffle_xor shuffle_of_half
#define w4_route w4_route_inactive
#include "../../hip/kernels/route.hip"
#undef gpu_shuffle_xor
#undef w4_route
} // namespace inactive

/* They are, and read from another lane than the others think. */
template <int MASK>
GPU_INLINE float
shuffle_of_others(float x, gpu_site site = gpu_here())
{
    return gpu_host_lane() < GPU_WAVE / 2
                   ? gpu_shuffle_xor<MASK>(x, site)
                   : gpu_shuffle_xor<GPU_WAVE - 1 - MASK>(x, site);
}

namespace wrong_lane
{
#define gpu_shuffle_xor shuffle_of_others
#define w4_route w4_route_wrong_lane
#include "../../hip/kernels/route.hip"
#undef gpu_shuffle_xor
#undef w4_route
} // namespace wrong_lane

/* w4_activate looks at the element behind each, too, whatever is there. */
GPU_INLINE float
load_and_next(const void *p, uint32_t type, uint64_t i)
{
    volatile float next = gpu_load_float(p, type, i + 1);
    (void)next;
    return gpu_load_float(p, type, i);
}

namespace beyond
{
#define gpu_load_float load_and_next
#define w4_activate w4_activate_beyond
#define w4_clear w4_clear_beyond
#define w4_combine w4_combine_beyond
#define w4_logits w4_logits_beyond
#define w4_reduce w4_reduce_beyond
#include "../../hip/kernels/rows.hip"
#undef gpu_load_float
#undef w4_activate
#undef w4_clear
#undef w4_combine
#undef w4_logits
#undef w4_reduce
} // namespace beyond
