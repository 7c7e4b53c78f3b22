// The low rows of LoRA, low = x A^T, for a batch in which rows use different adapters of different ranks
// (the segment-gather of SGMV). Rows of one adapter lie together; a tile is up to 16 of them.
// Scalar twin: lora::LoraModule::apply (core/src/lora/adapter.rs), its first product.
// x [rows, ldx], low [rows, rank_max]; tiles [count][3] = first row, rows, slot; modules [slots].
// grid (tiles), block 256: 16 rows x 16 ranks, one chain a thread.
#include "lora.cuh"

// Steps of k brought in at once; divides 256.
#define SHRINK_STAGE 128u

KERNEL __launch_bounds__(256) lora_shrink(const float* x, float* low, const u32* tiles, const Module* modules,
                                          u32 inn, u64 ldx, u64 ldlow) {
    const u32 row0 = tiles[3 * blockIdx.x], rows = tiles[3 * blockIdx.x + 1];
    const Module module = modules[tiles[3 * blockIdx.x + 2]];
    __shared__ float left[16][SHRINK_STAGE + 1];
    __shared__ float right[16][SHRINK_STAGE + 1];
    const u32 r = threadIdx.x / 16, j = threadIdx.x % 16;
    for (u32 j0 = 0; j0 < module.rank; j0 += 16) {
        float acc = 0.0f, total = 0.0f;
        for (u32 k0 = 0; k0 < inn; k0 += SHRINK_STAGE) {
#pragma unroll
            for (u32 at = threadIdx.x; at < 16 * SHRINK_STAGE; at += 256) {
                u32 i = at / SHRINK_STAGE, k = at % SHRINK_STAGE;
                left[i][k] = i < rows && k0 + k < inn ? x[(row0 + i) * ldx + k0 + k] : 0.0f;
                right[i][k] =
                    j0 + i < module.rank && k0 + k < inn ? module.a[(u64)(j0 + i) * inn + k0 + k] : 0.0f;
            }
            __syncthreads();
            u32 steps = least(SHRINK_STAGE, inn - k0), done = k0 + steps;
#pragma unroll 16
            for (u32 k = 0; k < steps; k++) acc = fma_rn(left[r][k], right[j][k], acc);
            if (done % BLOCK_K == 0 || done == inn) {
                total = done <= BLOCK_K ? acc : __fadd_rn(total, acc);
                acc = 0.0f;
            }
            __syncthreads();
        }
        if (r < rows && j0 + j < module.rank) low[(row0 + r) * ldlow + j0 + j] = total;
    }
}
