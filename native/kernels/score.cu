// Raw contributor scores s_c = sum_j query_j sums[c][j]: integers, exact in 64 bits in any order.
// Scalar twin: attribution::score::raw_scores (core/src/attribution/score.rs). sums [count, k], query [k].
// grid (count), block 128.
#include "common.cuh"

KERNEL __launch_bounds__(128) raw_scores(const int* sums, const signed char* query, long long* out, u32 k) {
    __shared__ long long parts[128];
    long long sum = 0;
    for (u32 j = threadIdx.x; j < k; j += 128) sum += (long long)sums[(u64)blockIdx.x * k + j] * query[j];
    parts[threadIdx.x] = sum;
    for (u32 width = 64; width > 0; width /= 2) {
        __syncthreads();
        if (threadIdx.x < width) parts[threadIdx.x] += parts[threadIdx.x + width];
    }
    __syncthreads();
    if (threadIdx.x == 0) out[blockIdx.x] = parts[0];
}
