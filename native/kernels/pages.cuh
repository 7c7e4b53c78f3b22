// The paged key-value cache: a page holds KEY_TILE positions of one layer, all key-value heads, as
//   keys [kv][dim][64] then values [kv][64][dim]
// so that scores run over keys side by side and outputs over dimensions side by side. A sequence's i-th
// page number stands at pages[sequence * pages_max + i].
#pragma once
#include "common.cuh"

DEVICE u64 key_at(u32 page, u32 kv_heads, u32 head, u32 dim) {
    return ((u64)page * 2 * kv_heads + head) * dim * KEY_TILE;
}

DEVICE u64 value_at(u32 page, u32 kv_heads, u32 head, u32 dim) {
    return (((u64)page * 2 + 1) * kv_heads + head) * dim * KEY_TILE;
}
