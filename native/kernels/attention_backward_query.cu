// dQ = dS K of one row and one query head, tiles of 64 keys from position 0.
// Scalar twin: ops::attention::attention_backward (core/src/ops/attention.rs). There the keys after the row are
// zeros of dS that are added up too; all they do is turn -0 into +0, here one + 0.
// k [rows, ldk]; ds [heads][rows][ldp]; dq [rows, heads * dim]; starts, ends [rows]: the sequence's rows.
// grid (rows, heads), block 64.
#include "common.cuh"

KERNEL __launch_bounds__(64)
    attention_backward_query(const float* k, const float* ds, float* dq, const u32* starts, const u32* ends,
                             u32 rows, u32 kv_heads, u32 dim, u64 ldk, u64 ldp) {
    const u32 row = blockIdx.x, head = blockIdx.y, heads = gridDim.y;
    const u32 kv = head / (heads / kv_heads), first = starts[row], keys = row - first + 1;
    const float* weights = ds + ((u64)head * rows + row) * ldp;
    for (u32 d = threadIdx.x; d < dim; d += blockDim.x) {
        const float* from = k + (u64)first * ldk + kv * dim + d;
        float total = 0.0f;
        for (u32 tile = 0; tile < keys; tile += KEY_TILE) {
            u32 end = least(tile + KEY_TILE, keys);
            float sum = 0.0f;
#pragma unroll 8
            for (u32 key = tile; key < end; key++) sum = fma_rn(weights[key], from[key * ldk], sum);
            total = tile == 0 ? sum : __fadd_rn(total, sum);
        }
        if (row + 1 < ends[row]) total = __fadd_rn(total, 0.0f);
        dq[((u64)row * heads + head) * dim + d] = total;
    }
}
