// C = A B^T of int8 matrices in int32: exact, so any order is right. Four products an instruction (dp4a).
// Scalar twin: gemm::int8::multiply (core/src/gemm/int8.rs). a [m, k], b [n, k], c [m, n]; k <= 131,071.
// grid (ceil(n / 64), ceil(m / 64)), block 256, each thread 4 x 4 outputs.
#include "common.cuh"

DEVICE int packed(const signed char* row, u32 k, u32 end, bool wide) {
    if (wide && k + 4 <= end) return *(const int*)(row + k);
    u32 word = 0;
    for (u32 i = 0; i < 4; i++)
        if (k + i < end) word |= (u32)(unsigned char)row[k + i] << (8 * i);
    return (int)word;
}

KERNEL __launch_bounds__(256) gemm_i8(const signed char* a, const signed char* b, int* c, u32 m, u32 n, u32 k) {
    __shared__ int left[16][65];
    __shared__ int right[16][65];
    const u32 row0 = blockIdx.y * 64, col0 = blockIdx.x * 64, ty = threadIdx.x / 16, tx = threadIdx.x % 16;
    const bool wide = k % 4 == 0 && (((u64)a | (u64)b) & 3) == 0;
    int acc[4][4] = {};
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
        __syncthreads();
    }
    for (u32 i = 0; i < 4; i++)
        for (u32 j = 0; j < 4; j++) {
            u32 row = row0 + ty * 4 + i, col = col0 + tx + 16 * j;
            if (row < m && col < n) c[(u64)row * n + col] = acc[i][j];
        }
}
