// Stores the keys (already turned) and values of a batch's rows in their sequences' pages.
// Twin: ops::attention::KvLayer::append (core/src/ops/attention.rs); a copy, no arithmetic.
// k, v [rows, ld], heads side by side; sequences, positions [rows].
// grid (ceil(kv * dim / 128), rows), block 128.
#include "pages.cuh"

KERNEL kv_append(const float* k, const float* v, float* pool, const u32* pages, const u32* sequences,
                 const u32* positions, u32 pages_max, u32 kv_heads, u32 dim, u64 ld) {
    u32 at = blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= kv_heads * dim) return;
    u32 position = positions[blockIdx.y], slot = position % KEY_TILE, head = at / dim, d = at % dim;
    u32 page = pages[(u64)sequences[blockIdx.y] * pages_max + position / KEY_TILE];
    pool[key_at(page, kv_heads, head, dim) + (u64)d * KEY_TILE + slot] = k[blockIdx.y * ld + at];
    pool[value_at(page, kv_heads, head, dim) + (u64)slot * dim + d] = v[blockIdx.y * ld + at];
}
