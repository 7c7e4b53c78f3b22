// y = x W^T for few rows: what decoding does. Reading W is all the work, so the chains of one output (256
// long each) go to different warps and their sums are added in order.
// Scalar twin: gemm::gemm (core/src/gemm/mod.rs). x [m, k], w [n, k] rows, y [m, ldy].
// grid (ceil(n / 32), ceil(m / 4)), or m for gemm_row_f32, block 256: 8 chains at a time, 32 columns.
#include "common.cuh"

// Steps of k a warp brings in at once.
#define ROWS_STAGE 32u

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

// The chains of 8 blocks of k, one a warp, of ROWS rows and 32 columns. W comes in whole lines (8 lanes read 128
// bytes of a row) and is turned round in shared memory, the next piece on its way while this one is used.
template <u32 ROWS>
DEVICE void eight(const float* x, const float* w, u64 ldx, u64 ldw, u32 columns, u32 k0, u32 k1, bool wide,
                  float (*held)[33], float (*sums)[32]) {
    const u32 lane = threadIdx.x % 32;
    const u32 quad = lane % 8 * 4, row = lane / 8;
    float4 next[8];
    float acc[ROWS];
#pragma unroll
    for (u32 r = 0; r < ROWS; r++) acc[r] = 0.0f;
#pragma unroll
    for (u32 i = 0; i < 8; i++) {
        u32 c = row + 4 * i;
        next[i] = four_of(w + (c < columns ? c : 0) * ldw, k0 + quad, k1, wide);
    }
    // All warps take all turns, so that they meet at the barriers.
    for (u32 turn = 0; turn < BLOCK_K / ROWS_STAGE; turn++) {
        u32 from = k0 + turn * ROWS_STAGE;
#pragma unroll
        for (u32 i = 0; i < 8; i++) {
            u32 c = row + 4 * i;
            held[quad][c] = next[i].x;
            held[quad + 1][c] = next[i].y;
            held[quad + 2][c] = next[i].z;
            held[quad + 3][c] = next[i].w;
        }
        __syncthreads();
        if (from + ROWS_STAGE < k1) {
#pragma unroll
            for (u32 i = 0; i < 8; i++) {
                u32 c = row + 4 * i;
                next[i] = four_of(w + (c < columns ? c : 0) * ldw, from + ROWS_STAGE + quad, k1, wide);
            }
        }
        if (wide && from + ROWS_STAGE <= k1) {
#pragma unroll
            for (u32 k = 0; k < ROWS_STAGE; k += 4)
#pragma unroll
                for (u32 r = 0; r < ROWS; r++) {
                    float4 u = *(const float4*)(x + r * ldx + from + k);
                    acc[r] = fma_rn(u.x, held[k][lane], acc[r]);
                    acc[r] = fma_rn(u.y, held[k + 1][lane], acc[r]);
                    acc[r] = fma_rn(u.z, held[k + 2][lane], acc[r]);
                    acc[r] = fma_rn(u.w, held[k + 3][lane], acc[r]);
                }
        } else {
            for (u32 k = from; k < least(from + ROWS_STAGE, k1); k++)
#pragma unroll
                for (u32 r = 0; r < ROWS; r++) acc[r] = fma_rn(x[r * ldx + k], held[k - from][lane], acc[r]);
        }
        __syncthreads();
    }
#pragma unroll
    for (u32 r = 0; r < ROWS; r++) sums[r][lane] = acc[r];
}

template <u32 MOST>
DEVICE void rows(const float* x, const float* w, float* y, u32 m, u32 n, u32 k, u64 ldx, u64 ldw, u64 ldy) {
    __shared__ float held[8][ROWS_STAGE][33];
    __shared__ float sums[8][MOST][32];
    const u32 lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const u32 row0 = blockIdx.y * MOST, col0 = blockIdx.x * 32;
    const u32 rows = least(MOST, m - row0), blocks = (k + BLOCK_K - 1) / BLOCK_K, columns = least(32, n - col0);
    const bool wide = ldx % 4 == 0 && ldw % 4 == 0 && (((u64)x | (u64)w) & 15) == 0;
    const float* from = w + col0 * ldw;
    const float* left = x + row0 * ldx;
    float total = 0.0f;
    for (u32 b0 = 0; b0 < blocks; b0 += 8) {
        // A warp without a block of its own has an empty range.
        u32 k0 = least((b0 + warp) * BLOCK_K, k), k1 = least(k0 + BLOCK_K, k);
        // More rows than there are would be read past the end: each count has its own code.
        if (rows == 1) eight<1>(left, from, ldx, ldw, columns, k0, k1, wide, held[warp], sums[warp]);
        if (MOST >= 2 && rows == 2) eight<2>(left, from, ldx, ldw, columns, k0, k1, wide, held[warp], sums[warp]);
        if (MOST >= 3 && rows == 3) eight<3>(left, from, ldx, ldw, columns, k0, k1, wide, held[warp], sums[warp]);
        if (MOST >= 4 && rows == 4) eight<4>(left, from, ldx, ldw, columns, k0, k1, wide, held[warp], sums[warp]);
        __syncthreads();
        if (warp < rows)
            for (u32 b = 0; b < least(8, blocks - b0); b++)
                total = b0 + b == 0 ? sums[b][warp][lane] : __fadd_rn(total, sums[b][warp][lane]);
        __syncthreads();
    }
    if (warp < rows && col0 + lane < n) y[(row0 + warp) * ldy + col0 + lane] = total;
}

// A single row has a kernel of its own: it needs few registers, so more of it runs at once.
KERNEL __launch_bounds__(256, 3)
    gemm_row_f32(const float* x, const float* w, float* y, u32 m, u32 n, u32 k, u64 ldx, u64 ldw, u64 ldy) {
    rows<1>(x, w, y, m, n, k, ldx, ldw, ldy);
}

KERNEL __launch_bounds__(256)
    gemm_rows_f32(const float* x, const float* w, float* y, u32 m, u32 n, u32 k, u64 ldx, u64 ldw, u64 ldy) {
    rows<4>(x, w, y, m, n, k, ldx, ldw, ldy);
}
