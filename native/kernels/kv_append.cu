// Turns a batch's queries and keys by their positions, and stores the keys and the values in their sequences' pages.
// Twins: ops::rope (core/src/ops/rope.rs), then ops::attention::KvLayer::append (core/src/ops/attention.rs), a copy.
// qkv [rows, ld]: query heads, key heads, value heads side by side; cos, sin [positions, dim / 2]; sequences, positions
// [rows]. grid (ceil((heads * dim / 2 + kv * dim / 2 + kv * dim) / 128), rows), block 128.
#include "pages.cuh"

KERNEL kv_append(float* qkv, float* pool, const u32* pages, const u32* sequences, const u32* positions, const float* cos,
                 const float* sin, u32 pages_max, u32 heads, u32 kv_heads, u32 dim, u64 ld) {
    u32 at = blockIdx.x * blockDim.x + threadIdx.x, half = dim / 2;
    const u32 turned = (heads + kv_heads) * half, position = positions[blockIdx.y], slot = position % KEY_TILE;
    const u32 page = pages[(u64)sequences[blockIdx.y] * pages_max + position / KEY_TILE];
    float* row = qkv + blockIdx.y * ld;
    if (at >= turned) {
        at -= turned;
        if (at >= kv_heads * dim) return;
        const u32 head = at / dim, d = at % dim;
        pool[value_at(page, kv_heads, head, dim) + (u64)slot * dim + d] = row[(u64)(heads + kv_heads) * dim + at];
        return;
    }
    const u32 head = at / half, i = at % half;
    float *low = row + (u64)head * dim + i, *high = low + half;
    const u64 entry = (u64)position * half + i;
    const float a = *low, b = *high, c = cos[entry], s = sin[entry];
    const float x = fma_rn(a, c, -__fmul_rn(b, s)), y = fma_rn(b, c, __fmul_rn(a, s));
    *low = x;
    *high = y;
    if (head < heads) return;
    float* keys = pool + key_at(page, kv_heads, head - heads, dim) + slot;
    keys[(u64)i * KEY_TILE] = x;
    keys[(u64)(i + half) * KEY_TILE] = y;
}
