// Products of int8 matrices, four at a time (dp4a): sums of 64 of them are exact in int32, so any order is right.
//
// gemm_i8: c [m, n] = a [m, k] b [n, k]^T in int32, k <= 131,071. Scalar twin: gemm::int8::multiply.
// gemm_i8_scaled: y [m, ldy] = x W^T, x [m, width] with scales_x [m, ceil(width / 64)], W [n, width] with scales_w [n];
// the sums of blocks of 64 are joined in f32 in ascending order. Scalar twin: gemm::int8::apply (core/src/gemm/int8).
// grid (ceil(n / 64), ceil(m / 64)), block 256, each thread 4 x 4 outputs.
#include "common.cuh"

DEVICE int packed(const signed char* row, u32 k, u32 end, bool wide) {
    if (wide && k + 4 <= end) return *(const int*)(row + k);
    u32 word = 0;
    for (u32 i = 0; i < 4; i++)
        if (k + i < end) word |= (u32)(unsigned char)row[k + i] << (8 * i);
    return (int)word;
}

// Calls flush(block, acc) after each block of 64; acc goes on unless flush clears it.
template <class Flush>
DEVICE void blocks_i8(const signed char* a, const signed char* b, u32 m, u32 n, u32 k, int (&acc)[4][4], Flush flush) {
    __shared__ int left[16][65];
    __shared__ int right[16][65];
    const u32 row0 = blockIdx.y * 64, col0 = blockIdx.x * 64, ty = threadIdx.x / 16, tx = threadIdx.x % 16;
    const bool wide = k % 4 == 0 && (((u64)a | (u64)b) & 3) == 0;
    for (u32 k0 = 0; k0 < k; k0 += 64) {
        for (u32 at = threadIdx.x; at < 64 * 16; at += 256) {
            u32 i = at / 16, word = at % 16;
            left[word][i] = row0 + i < m ? packed(a + (u64)(row0 + i) * k, k0 + 4 * word, k, wide) : 0;
            right[word][i] = col0 + i < n ? packed(b + (u64)(col0 + i) * k, k0 + 4 * word, k, wide) : 0;
        }
        __syncthreads();
#pragma unroll
        for (u32 word = 0; word < 16; word++)
#pragma unroll
            for (u32 i = 0; i < 4; i++)
#pragma unroll
                for (u32 j = 0; j < 4; j++)
                    acc[i][j] = __dp4a(left[word][ty * 4 + i], right[word][tx + 16 * j], acc[i][j]);
        flush(k0 / 64, acc);
        __syncthreads();
    }
}

KERNEL __launch_bounds__(256) gemm_i8(const signed char* a, const signed char* b, int* c, u32 m, u32 n, u32 k) {
    const u32 row0 = blockIdx.y * 64, col0 = blockIdx.x * 64, ty = threadIdx.x / 16, tx = threadIdx.x % 16;
    int acc[4][4] = {};
    blocks_i8(a, b, m, n, k, acc, [](u32, int (&)[4][4]) {});
    for (u32 i = 0; i < 4; i++)
        for (u32 j = 0; j < 4; j++) {
            u32 row = row0 + ty * 4 + i, col = col0 + tx + 16 * j;
            if (row < m && col < n) c[(u64)row * n + col] = acc[i][j];
        }
}

KERNEL __launch_bounds__(256) gemm_i8_scaled(const signed char* x, const float* scales_x, const signed char* w,
                                             const float* scales_w, float* y, u32 m, u32 n, u32 width, u64 ldy) {
    const u32 row0 = blockIdx.y * 64, col0 = blockIdx.x * 64, ty = threadIdx.x / 16, tx = threadIdx.x % 16;
    const u32 count = (width + 63) / 64;
    int acc[4][4] = {};
    float total[4][4] = {};
    blocks_i8(x, w, m, n, width, acc, [&](u32 block, int (&acc)[4][4]) {
#pragma unroll
        for (u32 i = 0; i < 4; i++) {
            u32 row = row0 + ty * 4 + i;
            float scale = row < m ? scales_x[row * count + block] : 0.0f;
#pragma unroll
            for (u32 j = 0; j < 4; j++) {
                total[i][j] = fma_rn((float)acc[i][j], scale, total[i][j]);
                acc[i][j] = 0;
            }
        }
    });
    for (u32 i = 0; i < 4; i++)
        for (u32 j = 0; j < 4; j++) {
            u32 row = row0 + ty * 4 + i, col = col0 + tx + 16 * j;
            if (row < m && col < n) y[row * ldy + col] = __fmul_rn(total[i][j], scales_w[col]);
        }
}
