// Blocks of 64 entries of a row as int8 under one scale each. Scalar twin: gemm::int8::Quantised (core/src/gemm/int8).
// x [rows, ldx], q [rows, width], width = k rounded up to whole blocks and zeros past k, scales [width / 64, rows].
// grid (ceil(rows * blocks / 8)), block 256: a warp a block, two entries a lane.
#include "quantise.cuh"

KERNEL __launch_bounds__(256) quantise_i8(const float* x, signed char* q, float* scales, u32 rows, u32 k, u32 width, u64 ldx) {
    const u32 blocks = width / 64, at = blockIdx.x * 8 + threadIdx.x / 32, row = at / blocks, block = at % blocks;
    if (row >= rows) return;
    const u32 first = block * 64 + threadIdx.x % 32 * 2;
    const float* from = x + (u64)row * ldx + first;
    quantise_block(first < k ? from[0] : 0.0f, first + 1 < k ? from[1] : 0.0f, q + (u64)row * width + block * 64,
                   scales + (u64)block * rows + row);
}
