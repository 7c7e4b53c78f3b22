// The LoRA update on top of the base: y += scale * (low B^T), rows of different adapters in one batch. A zero
// update leaves the base's bits alone, even the sign of a zero.
// Scalar twin: lora::LoraModule::apply (core/src/lora/adapter.rs) with ops::elementwise::add_scaled.
// Up to three maps at once, side by side in y: low 0 to 2 [rows, ldlow], y [rows, ldy] of out0 + out1 + out2 columns;
// tiles and modules as in lora_shrink.cu.
// grid (ceil(out0 / 64) + .., tiles), block 256: 64 columns x 4 rows, each thread 4 rows. rank <= 256: one chain.
#include "lora.cuh"

KERNEL __launch_bounds__(256) lora_expand(const float* low0, const float* low1, const float* low2, float* y,
                                          const u32* tiles, const Module* modules, u32 slots, u32 out0, u32 out1,
                                          u32 out2, u64 ldlow, u64 ldy) {
    const u32 row0 = tiles[3 * blockIdx.y], rows = tiles[3 * blockIdx.y + 1];
    const u32 blocks0 = (out0 + 63) / 64, blocks1 = (out1 + 63) / 64;
    const u32 map = blockIdx.x < blocks0 ? 0 : blockIdx.x < blocks0 + blocks1 ? 1 : 2;
    const u32 out = map == 0 ? out0 : map == 1 ? out1 : out2;
    const float* low = map == 0 ? low0 : map == 1 ? low1 : low2;
    const u32 col0 = (blockIdx.x - (map > 0 ? blocks0 : 0) - (map > 1 ? blocks1 : 0)) * 64;
    y += (map > 0 ? out0 : 0) + (map > 1 ? out1 : 0);
    const Module module = modules[map * slots + tiles[3 * blockIdx.y + 2]];
    __shared__ float left[16][33];
    __shared__ float right[64][33];
    const u32 c = threadIdx.x % 64, r0 = threadIdx.x / 64 * 4;
    if (module.rank == 0) return;
    float acc[4] = {0.0f, 0.0f, 0.0f, 0.0f}, before[4];
    float* to = y + (row0 + r0) * ldy + col0 + c;
#pragma unroll
    for (u32 i = 0; i < 4; i++) before[i] = r0 + i < rows && col0 + c < out ? to[i * ldy] : 0.0f;
    for (u32 k0 = 0; k0 < module.rank; k0 += 32) {
        // All is asked for before any of it is stored.
        float x[2], w[8];
        const u32 first = threadIdx.x / 32, at = threadIdx.x % 32;
        const bool inside = k0 + at < module.rank;
#pragma unroll
        for (u32 e = 0; e < 2; e++) {
            const u32 i = first + 8 * e;
            x[e] = inside && i < rows ? low[(row0 + i) * ldlow + k0 + at] : 0.0f;
        }
#pragma unroll
        for (u32 e = 0; e < 8; e++) {
            const u32 i = first + 8 * e;
            w[e] = inside && col0 + i < out ? module.b[(u64)(col0 + i) * module.rank + k0 + at] : 0.0f;
        }
#pragma unroll
        for (u32 e = 0; e < 2; e++) left[first + 8 * e][at] = x[e];
#pragma unroll
        for (u32 e = 0; e < 8; e++) right[first + 8 * e][at] = w[e];
        __syncthreads();
        u32 steps = least(32, module.rank - k0);
        for (u32 k = 0; k < steps; k++)
#pragma unroll
            for (u32 i = 0; i < 4; i++) acc[i] = fma_rn(left[r0 + i][k], right[c][k], acc[i]);
        __syncthreads();
    }
#pragma unroll
    for (u32 i = 0; i < 4; i++)
        if (r0 + i < rows && col0 + c < out && acc[i] != 0.0f) to[i * ldy] = fma_rn(module.scale, acc[i], before[i]);
}
