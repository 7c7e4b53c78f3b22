// The low rows of LoRA, low = x A^T, for a batch in which rows use different adapters of different ranks
// (the segment-gather of SGMV), for up to three maps of the same x at once. Rows of one adapter lie together; a tile
// is up to 16 of them.
// Scalar twin: lora::LoraModule::apply (core/src/lora/adapter.rs), its first product.
// x [rows, ldx], low 0 to 2 [rows, ldlow]; tiles [count][3] = first row, rows, slot; modules [maps][slots].
// grid (tiles, maps), block 32 a warp, at most 6: each a chain at a time, 8 ranks by 16 rows (4, where there are no more).
#include "chain.cuh"
#include "lora.cuh"

#define RANKS 8u
#define SHRINK_WARPS 6u
// Of which as many work on a tile of more than 4 rows.
#define SHRINK_WARPS_MANY 3u

template <u32 ROWS>
DEVICE void shrink_chain(const Chains& c, u32 k0, u32 k1, Near<8, ROWS>& near, float (&sums)[16][RANKS]) {
    float acc[ROWS];
    chain_of<8, ROWS>(c, k0, k1, near, acc);
    const u32 lane = threadIdx.x % 32;
#pragma unroll
    for (u32 r = 0; r < ROWS; r++) sums[lane / RANKS * ROWS + r][lane % RANKS] = acc[r];
}

KERNEL __launch_bounds__(192) lora_shrink(const float* x, float* low0, float* low1, float* low2, const u32* tiles,
                                          const Module* modules, u32 slots, u32 inn, u64 ldx, u64 ldlow) {
    static_assert(SHRINK_WARPS * sizeof(Near<8, 1>) <= SHRINK_WARPS_MANY * sizeof(Near<8, 4>), "one room for both");
    __shared__ __align__(16) Near<8, 4> room[SHRINK_WARPS_MANY];
    __shared__ float sums[SHRINK_WARPS][16][RANKS];
    __shared__ float totals[16][RANKS];
    const u32 row0 = tiles[3 * blockIdx.x], rows = tiles[3 * blockIdx.x + 1];
    const Module module = modules[blockIdx.y * slots + tiles[3 * blockIdx.x + 2]];
    float* low = blockIdx.y == 0 ? low0 : blockIdx.y == 1 ? low1 : low2;
    const bool few = rows <= 4;
    const u32 warp = threadIdx.x / 32, warps = least(blockDim.x / 32, few ? SHRINK_WARPS : SHRINK_WARPS_MANY);
    const u32 blocks = (inn + BLOCK_K - 1) / BLOCK_K;
    for (u32 j0 = 0; j0 < module.rank; j0 += RANKS) {
        const u32 ranks = least(RANKS, module.rank - j0);
        const float *a = module.a + (u64)j0 * inn, *from = x + row0 * ldx;
        const bool wide = inn % 4 == 0 && ldx % 4 == 0 && (((u64)a | (u64)from) & 15) == 0;
        const Chains chains = {from, a, ldx, inn, rows, ranks, wide};
        for (u32 b0 = 0; b0 < blocks; b0 += warps) {
            const u32 k0 = (b0 + warp) * BLOCK_K;
            if (warp < warps && k0 < inn) {
                const u32 k1 = least(k0 + BLOCK_K, inn);
                if (few) shrink_chain<1>(chains, k0, k1, ((Near<8, 1>*)room)[warp], sums[warp]);
                else shrink_chain<4>(chains, k0, k1, room[warp], sums[warp]);
            }
            __syncthreads();
            for (u32 at = threadIdx.x; at < rows * RANKS; at += blockDim.x) {
                const u32 r = at / RANKS, j = at % RANKS;
                float total = b0 == 0 ? sums[0][r][j] : __fadd_rn(totals[r][j], sums[0][r][j]);
                for (u32 b = 1; b < least(warps, blocks - b0); b++) total = __fadd_rn(total, sums[b][r][j]);
                totals[r][j] = total;
                if (b0 + warps >= blocks && j < ranks) low[(row0 + r) * ldlow + j0 + j] = total;
            }
            __syncthreads();
        }
    }
}
