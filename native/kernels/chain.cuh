// One chain of 256 steps by one warp, for few rows at once: what decoding's products and LoRA's low rows are made of.
// Operands come in 32 steps of k at a time, two such pieces on their way, and lie in the warp's own shared memory.
#pragma once
#include "tensor.cuh"

#define CHAIN_STAGE 32u

// Four values of a row along k from k0 on, zeros past k1.
DEVICE float4 four_of(const float* row, u32 k0, u32 k1, bool wide) {
    float4 v = {0.0f, 0.0f, 0.0f, 0.0f};
    if (wide && k0 + 4 <= k1) return *(const float4*)(row + k0);
    if (k0 < k1) v.x = row[k0];
    if (k0 + 1 < k1) v.y = row[k0 + 1];
    if (k0 + 2 < k1) v.z = row[k0 + 2];
    if (k0 + 3 < k1) v.w = row[k0 + 3];
    return v;
}

// A warp's room: pieces of COLS rows of W and X rows of x. Rows of 36 floats keep 16-byte reads of 8 lanes apart.
template <u32 COLS, u32 X>
struct Near {
    float w[COLS][CHAIN_STAGE + 4];
    float x[X][CHAIN_STAGE + 4];
};

struct Chains {
    const float *x, *w;
    u64 ldx, ldw;
    u32 rows, columns;  // there are; what is asked for beyond repeats the last
    bool wide;          // 16-byte loads are allowed
};

// acc[r] = x[row, k0 .. k1] . w[column, k0 .. k1], column = lane % COLS, row = lane / COLS * ROWS + r.
template <u32 COLS, u32 ROWS>
DEVICE void chain_of(const Chains& c, u32 k0, u32 k1, Near<COLS, 32 / COLS * ROWS>& near, float (&acc)[ROWS]) {
    constexpr u32 X = 32 / COLS * ROWS, QUADS = (X + 3) / 4;
    const u32 lane = threadIdx.x % 32, quad = lane % 8 * 4, row = lane / 8, column = lane % COLS, first = lane / COLS * ROWS;
    float4 held_w[2][COLS / 4], held_x[2][QUADS];
    auto fetch = [&](u32 from, u32 slot) {
#pragma unroll
        for (u32 i = 0; i < COLS / 4; i++)
            held_w[slot][i] = four_of(c.w + least(row + 4 * i, c.columns - 1) * c.ldw, from + quad, k1, c.wide);
#pragma unroll
        for (u32 i = 0; i < QUADS; i++)
            if (i * 4 + row < X)
                held_x[slot][i] = four_of(c.x + least(row + 4 * i, c.rows - 1) * c.ldx, from + quad, k1, c.wide);
    };
    auto use = [&](u32 from, u32 slot) {
#pragma unroll
        for (u32 i = 0; i < COLS / 4; i++) *(float4*)&near.w[row + 4 * i][quad] = held_w[slot][i];
#pragma unroll
        for (u32 i = 0; i < QUADS; i++)
            if (i * 4 + row < X) *(float4*)&near.x[row + 4 * i][quad] = held_x[slot][i];
        warp_sync();
        if (from + 2 * CHAIN_STAGE < k1) fetch(from + 2 * CHAIN_STAGE, slot);
        if (from + CHAIN_STAGE <= k1) {
#pragma unroll
            for (u32 k = 0; k < CHAIN_STAGE; k += 4) {
                const float4 v = *(const float4*)&near.w[column][k];
#pragma unroll
                for (u32 r = 0; r < ROWS; r++) {
                    const float4 u = *(const float4*)&near.x[first + r][k];
                    acc[r] = fma_rn(u.x, v.x, acc[r]);
                    acc[r] = fma_rn(u.y, v.y, acc[r]);
                    acc[r] = fma_rn(u.z, v.z, acc[r]);
                    acc[r] = fma_rn(u.w, v.w, acc[r]);
                }
            }
        } else {
            for (u32 k = 0; k < k1 - from; k++)
#pragma unroll
                for (u32 r = 0; r < ROWS; r++) acc[r] = fma_rn(near.x[first + r][k], near.w[column][k], acc[r]);
        }
        warp_sync();
    };
#pragma unroll
    for (u32 r = 0; r < ROWS; r++) acc[r] = 0.0f;
    fetch(k0, 0);
    if (k0 + CHAIN_STAGE < k1) fetch(k0 + CHAIN_STAGE, 1);
    for (u32 from = k0; from < k1; from += 2 * CHAIN_STAGE) {
        use(from, 0);
        if (from + CHAIN_STAGE < k1) use(from + CHAIN_STAGE, 1);
    }
}
