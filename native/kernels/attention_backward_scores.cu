// First step back through attention, of one row and one query head:
//   P = P * inverse        dS = (P * (dO V^T - sum_d dO O)) * scale        for the keys the row sees
// Scalar twin: ops::attention::attention_backward with softmax_backward (core/src/ops/attention.rs).
// v [rows, ldv] (key-value heads side by side), out, d_out [rows, heads * dim]; p, ds [heads][rows][ldp]; starts [rows]:
// first row of the row's sequence, whose positions begin at 0.
// grid (rows, heads), block 128.
#include "common.cuh"

KERNEL __launch_bounds__(128)
    attention_backward_scores(const float* v, const float* out, const float* d_out, float* p, float* ds,
                              const float* inverse, const u32* starts, u32 rows, u32 kv_heads, u32 dim, u64 ldv,
                              u64 ldp, float scale) {
    __shared__ float pulled[256];
    __shared__ float given[256];
    const u32 row = blockIdx.x, head = blockIdx.y, heads = gridDim.y;
    const u32 kv = head / (heads / kv_heads), first = starts[row], keys = row - first + 1;
    const u64 at = ((u64)row * heads + head) * dim, tape = ((u64)head * rows + row) * ldp;
    for (u32 d = threadIdx.x; d < dim; d += blockDim.x) {
        pulled[d] = d_out[at + d];
        given[d] = out[at + d];
    }
    __syncthreads();
    // Everyone follows the one chain: cheaper than waiting for somebody. dim <= 256: one block.
    float pull = 0.0f;
    for (u32 d = 0; d < dim; d++) pull = fma_rn(pulled[d], given[d], pull);
    const float norm = inverse[(u64)head * rows + row];
    for (u32 key = threadIdx.x; key < keys; key += blockDim.x) {
        const float* value = v + (u64)(first + key) * ldv + kv * dim;
        float dp = 0.0f;
#pragma unroll 8
        for (u32 d = 0; d < dim; d++) dp = fma_rn(pulled[d], value[d], dp);
        float weight = __fmul_rn(p[tape + key], norm);
        p[tape + key] = weight;
        ds[tape + key] = __fmul_rn(__fmul_rn(weight, __fsub_rn(dp, pull)), scale);
    }
}
