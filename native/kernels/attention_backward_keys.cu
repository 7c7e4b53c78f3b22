// dK = dS^T Q and dV = P^T dO of one key and one key-value head: its query heads in order, each a sum over the
// rows that see the key, in tiles of 64 rows from position 0.
// Scalar twin: ops::attention::attention_backward with add_head (core/src/ops/attention.rs). Rows before the key are
// zeros there: whole tiles of them make the sum start from +0.
// q [rows, ldq], d_out [rows, heads * dim]; p, ds [heads][rows][ldp]; dk, dv [rows, kv * dim].
// grid (rows, kv heads), block 64.
#include "common.cuh"

KERNEL __launch_bounds__(64)
    attention_backward_keys(const float* q, const float* d_out, const float* p, const float* ds, float* dk, float* dv,
                            const u32* starts, const u32* ends, u32 rows, u32 heads, u32 dim, u64 ldq, u64 ldp) {
    const u32 key_row = blockIdx.x, kv = blockIdx.y, group = heads / gridDim.y;
    const u32 first = starts[key_row], key = key_row - first, length = ends[key_row] - first;
    for (u32 d = threadIdx.x; d < dim; d += blockDim.x) {
        float all_k = 0.0f, all_v = 0.0f;
        for (u32 member = 0; member < group; member++) {
            u32 head = kv * group + member;
            const float* s = ds + ((u64)head * rows + first) * ldp + key;
            const float* w = p + ((u64)head * rows + first) * ldp + key;
            const float* query = q + (u64)first * ldq + (u64)head * dim + d;
            const float* pulled = d_out + ((u64)first * heads + head) * dim + d;
            const u64 stride = (u64)heads * dim;
            float total_k = 0.0f, total_v = 0.0f;
            u32 tile0 = key / KEY_TILE * KEY_TILE;
            for (u32 tile = tile0; tile < length; tile += KEY_TILE) {
                u32 from = tile == tile0 ? key : tile, end = least(tile + KEY_TILE, length);
                float sum_k = 0.0f, sum_v = 0.0f;
#pragma unroll 4
                for (u32 r = from; r < end; r++) {
                    sum_k = fma_rn(s[r * ldp], query[r * ldq], sum_k);
                    sum_v = fma_rn(w[r * ldp], pulled[r * stride], sum_v);
                }
                total_k = tile == 0 ? sum_k : __fadd_rn(total_k, sum_k);
                total_v = tile == 0 ? sum_v : __fadd_rn(total_v, sum_v);
            }
            all_k = member == 0 ? total_k : __fadd_rn(all_k, total_k);
            all_v = member == 0 ? total_v : __fadd_rn(all_v, total_v);
        }
        u64 to = ((u64)key_row * gridDim.y + kv) * dim + d;
        dk[to] = all_k;
        dv[to] = all_v;
    }
}
