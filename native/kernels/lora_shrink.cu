// The low rows of LoRA, low = x A^T, for a batch in which rows use different adapters of different ranks
// (the segment-gather of SGMV), for up to three maps of the same x at once. Rows of one adapter lie together; a tile
// is up to 16 of them.
// Scalar twin: lora::LoraModule::apply (core/src/lora/adapter.rs), its first product.
// x [rows, ldx], low 0 to 2 [rows, ldlow]; tiles [count][3] = first row, rows, slot; modules [maps][slots].
// grid (tiles, maps), block 32 a warp, at most 6: each a chain at a time, 16 ranks by 16 rows (2, where there are no more).
#include "chain.cuh"
#include "lora.cuh"

#define SHRINK_WARPS 6u

template <u32 ROWS>
DEVICE void shrink_chain(const Chains& c, u32 k0, u32 k1, Near<16, 16>& near, float (&sums)[16][16]) {
    float acc[ROWS];
    chain_of<16, ROWS>(c, k0, k1, (Near<16, 2 * ROWS>&)near, acc);
    const u32 lane = threadIdx.x % 32;
#pragma unroll
    for (u32 r = 0; r < ROWS; r++) sums[lane / 16 * ROWS + r][lane % 16] = acc[r];
}

KERNEL __launch_bounds__(192) lora_shrink(const float* x, float* low0, float* low1, float* low2, const u32* tiles,
                                          const Module* modules, u32 slots, u32 inn, u64 ldx, u64 ldlow) {
    __shared__ __align__(16) Near<16, 16> near[SHRINK_WARPS];
    __shared__ float sums[SHRINK_WARPS][16][16];
    __shared__ float totals[16][16];
    const u32 row0 = tiles[3 * blockIdx.x], rows = tiles[3 * blockIdx.x + 1];
    const Module module = modules[blockIdx.y * slots + tiles[3 * blockIdx.x + 2]];
    float* low = blockIdx.y == 0 ? low0 : blockIdx.y == 1 ? low1 : low2;
    const u32 warp = threadIdx.x / 32, warps = blockDim.x / 32, blocks = (inn + BLOCK_K - 1) / BLOCK_K;
    for (u32 j0 = 0; j0 < module.rank; j0 += 16) {
        const u32 ranks = least(16, module.rank - j0);
        const float *a = module.a + (u64)j0 * inn, *from = x + row0 * ldx;
        const bool wide = inn % 4 == 0 && ldx % 4 == 0 && (((u64)a | (u64)from) & 15) == 0;
        const Chains chains = {from, a, ldx, inn, rows, ranks, wide};
        for (u32 b0 = 0; b0 < blocks; b0 += warps) {
            const u32 k0 = (b0 + warp) * BLOCK_K;
            if (k0 < inn) {
                if (rows <= 2) shrink_chain<1>(chains, k0, least(k0 + BLOCK_K, inn), near[warp], sums[warp]);
                else shrink_chain<8>(chains, k0, least(k0 + BLOCK_K, inn), near[warp], sums[warp]);
            }
            __syncthreads();
            for (u32 at = threadIdx.x; at < rows * 16; at += blockDim.x) {
                const u32 r = at / 16, j = at % 16;
                float total = b0 == 0 ? sums[0][r][j] : __fadd_rn(totals[r][j], sums[0][r][j]);
                for (u32 b = 1; b < least(warps, blocks - b0); b++) total = __fadd_rn(total, sums[b][r][j]);
                totals[r][j] = total;
                if (b0 + warps >= blocks && j < ranks) low[(row0 + r) * ldlow + j0 + j] = total;
            }
            __syncthreads();
        }
    }
}
