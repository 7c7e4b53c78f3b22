// One chain of 256 steps by one warp, for few rows at once: what decoding's products and LoRA's low rows are made of.
// A warp takes 8 or 32 rows of W, in pieces of 4 KB of which two are on their way while it works: with 8 that is all of
// a chain, and waiting for memory is over soon; with 32 no lane is idle and shared memory is read least.
#pragma once
#include "tensor.cuh"

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

// A piece of W: COLS rows of STAGE steps.
template <u32 COLS>
constexpr u32 STAGE = 1024 / COLS;

// A warp's room: a piece of W and of x. The four floats more keep 16-byte reads of 8 lanes apart.
template <u32 COLS, u32 ROWS>
struct Near {
    float w[COLS][STAGE<COLS> + 4];
    float x[32 / COLS * ROWS][STAGE<COLS> + 4];
};

struct Chains {
    const float *x, *w;
    u64 ldx, ldw;
    u32 rows, columns;  // there are; what is asked for beyond repeats the last
    bool wide;          // 16-byte loads are allowed
};

// acc[r] = x[row, k0 .. k1] . w[column, k0 .. k1], column = lane % COLS, row = lane / COLS * ROWS + r.
template <u32 COLS, u32 ROWS>
DEVICE void chain_of(const Chains& c, u32 k0, u32 k1, Near<COLS, ROWS>& near, float (&acc)[ROWS]) {
    // QUADS lanes read a row's piece, so PASS rows come at once.
    constexpr u32 X = 32 / COLS * ROWS, QUADS = STAGE<COLS> / 4, PASS = 32 / QUADS;
    const u32 lane = threadIdx.x % 32, column = lane % COLS, first = lane / COLS * ROWS;
    const u32 quad = lane % QUADS * 4, row = lane / QUADS;
    float4 held_w[2][COLS / PASS], held_x[(X + PASS - 1) / PASS];
    auto fetch_w = [&](u32 slot, u32 from) {
        if (from >= k1) return;
#pragma unroll
        for (u32 i = 0; i < COLS / PASS; i++)
            held_w[slot][i] = four_of(c.w + least(row + i * PASS, c.columns - 1) * c.ldw, from + quad, k1, c.wide);
    };
    auto fetch_x = [&](u32 from) {
        if (from >= k1) return;
#pragma unroll
        for (u32 i = 0; i * PASS < X; i++)
            held_x[i] = four_of(c.x + least(row + i * PASS, c.rows - 1) * c.ldx, from + quad, k1, c.wide);
    };
    auto piece = [&](u32 slot, u32 from) {
        if (from >= k1) return;
#pragma unroll
        for (u32 i = 0; i < COLS / PASS; i++) *(float4*)&near.w[row + i * PASS][quad] = held_w[slot][i];
#pragma unroll
        for (u32 i = 0; i * PASS < X; i++)
            if (row + i * PASS < X) *(float4*)&near.x[row + i * PASS][quad] = held_x[i];
        warp_sync();
        fetch_w(slot, from + 2 * STAGE<COLS>);
        fetch_x(from + STAGE<COLS>);
        const u32 steps = least(STAGE<COLS>, k1 - from), whole = steps / 4 * 4;
#pragma unroll 8
        for (u32 k = 0; k < whole; k += 4) {
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
        for (u32 k = whole; k < steps; k++)
#pragma unroll
            for (u32 r = 0; r < ROWS; r++) acc[r] = fma_rn(near.x[first + r][k], near.w[column][k], acc[r]);
        warp_sync();
    };
#pragma unroll
    for (u32 r = 0; r < ROWS; r++) acc[r] = 0.0f;
    fetch_w(0, k0);
    fetch_x(k0);
    fetch_w(1, k0 + STAGE<COLS>);
    for (u32 from = k0; from < k1; from += 2 * STAGE<COLS>) {
        piece(0, from);
        piece(1, from + STAGE<COLS>);
    }
}
