// Causal attention of one row and one query head over its sequence's pages:
//   S = scale * (q K^T), P = exp(S - max), O = (P V) * (1 / sum(P)) + 0
// Sums over keys run in tiles of 64 from position 0. P stays behind, unnormalised, with 1 / sum(P): the tape.
// Scalar twin: ops::attention::attention (core/src/ops/attention.rs); keys past the row's own position have weight 0
// there and here, or are not run, which the final + 0 makes the same.
// q [rows, ldq], out [rows, heads * dim], p [heads][rows][ldp], inverse [heads][rows]; dim <= 256.
// grid (rows, heads), block 128.
#include "math.cuh"
#include "pages.cuh"

#define TILES_MAX 2048u
// Keys whose weights are worked on in shared memory; more stay in the tape.
#define NEAR_KEYS 2048u
#define ATTENTION_THREADS 128u

KERNEL __launch_bounds__(128, 4)
    attention(const float* q, const float* pool, const u32* pages, const u32* sequences, const u32* positions,
              float* p, float* inverse, float* out, u32 rows, u32 pages_max, u32 kv_heads, u32 dim, u64 ldq,
              u64 ldp, float scale) {
    __shared__ float query[256];
    __shared__ float parts[512];
    __shared__ float tiles_sum[TILES_MAX];
    __shared__ float near_weights[NEAR_KEYS];
    __shared__ __align__(16) float tile_weights[2 * KEY_TILE];
    __shared__ float shared_inverse;
    const u32 row = blockIdx.x, head = blockIdx.y, heads = gridDim.y, t = threadIdx.x;
    const u32 kv = head / (heads / kv_heads), keys = positions[row] + 1, tiles = (keys + KEY_TILE - 1) / KEY_TILE;
    const u32* my_pages = pages + (u64)sequences[row] * pages_max;
    float* tape = p + ((u64)head * rows + row) * ldp;
    float* weights = keys <= NEAR_KEYS ? near_weights : tape;
    for (u32 d = t; d < dim; d += ATTENTION_THREADS) query[d] = q[row * ldq + (u64)head * dim + d];
    __syncthreads();

    float top = -__uint_as_float(0x7f800000u);
    for (u32 key = t; key < keys; key += ATTENTION_THREADS) {
        const float* k = pool + key_at(my_pages[key / KEY_TILE], kv_heads, kv, dim) + key % KEY_TILE;
        float sum = 0.0f;
#pragma unroll 64
        for (u32 d = 0; d < dim; d++) sum = fma_rn(query[d], k[d * KEY_TILE], sum);
        float score = __fmul_rn(sum, scale);
        weights[key] = score;
        top = fmaxf(top, score);
    }
    parts[t] = top;
    for (u32 width = ATTENTION_THREADS / 2; width > 0; width /= 2) {
        __syncthreads();
        if (t < width) parts[t] = fmaxf(parts[t], parts[t + width]);
    }
    __syncthreads();
    top = parts[0];
    for (u32 key = t; key < keys; key += ATTENTION_THREADS)
        tape[key] = weights[key] = exp_f32(__fsub_rn(weights[key], top));
    __syncthreads();

    for (u32 tile = t; tile < tiles; tile += ATTENTION_THREADS) {
        u32 end = least((tile + 1) * KEY_TILE, keys);
        float sum = 0.0f;
#pragma unroll 8
        for (u32 key = tile * KEY_TILE; key < end; key++) sum = __fadd_rn(sum, weights[key]);
        tiles_sum[tile] = sum;
    }
    __syncthreads();
    if (t == 0) {
        float total = tiles_sum[0];
        for (u32 tile = 1; tile < tiles; tile++) total = __fadd_rn(total, tiles_sum[tile]);
        shared_inverse = __fdiv_rn(1.0f, total);
        inverse[(u64)head * rows + row] = shared_inverse;
    }

    // Outputs: two tiles at once where the head has room, a thread for each dimension of each; their sums join in order.
    const u32 width = dim < ATTENTION_THREADS ? dim : ATTENTION_THREADS, groups = least(2, ATTENTION_THREADS / width);
    const u32 group = t / width, lane = t % width;
    float totals[2] = {0.0f, 0.0f};
    for (u32 tile0 = 0; tile0 < tiles; tile0 += groups) {
        const u32 tile = tile0 + group, my_key = tile0 * KEY_TILE + t;
        __syncthreads();
        tile_weights[t] = my_key < keys ? weights[my_key] : 0.0f;
        __syncthreads();
        if (group < groups && tile < tiles) {
            const u32 count = keys - tile * KEY_TILE;
            const float* v = pool + value_at(my_pages[tile], kv_heads, kv, dim);
            for (u32 d = lane, i = 0; d < dim; d += width, i++) {
                float sum = 0.0f;
                // All of a tile is asked for at once.
#pragma unroll
                for (u32 key = 0; key < KEY_TILE; key++)
                    sum = fma_rn(tile_weights[group * KEY_TILE + key], key < count ? v[key * dim + d] : 0.0f, sum);
                parts[group * dim + d] = sum;
            }
        }
        __syncthreads();
        if (group == 0)
            for (u32 d = lane, i = 0; d < dim; d += width, i++)
                for (u32 g = 0; g < least(groups, tiles - tile0); g++)
                    totals[i] = tile0 + g == 0 ? parts[d] : __fadd_rn(totals[i], parts[g * dim + d]);
    }
    if (group == 0)
        for (u32 d = lane, i = 0; d < dim; d += width, i++)
            out[((u64)row * heads + head) * dim + d] = __fadd_rn(__fmul_rn(totals[i], shared_inverse), 0.0f);
}
