// Products of int8 matrices on tensor cores: sums of 64 products are exact in int32, so any order is right.
//
// gemm_i8: c [m, n] = a [m, width] b [n, width]^T in int32, width <= 131,071. Scalar twin: gemm::int8::multiply.
// gemm_i8_scaled, gemm_i8_few_*: y [m, ldy] = x W^T, x [m, width] with scales_x [width / 64, m], W [n, width] with
// scales_w [n]; the sums of blocks of 64 join in f32 in ascending order. Scalar twin: gemm::int8::apply.
// Rows are whole blocks of 64, padded with zeros, and start at addresses that 16 divides.
//
// The tiles read shared memory as the tensor cores want it (`fragments`), so that no register is moved before a product. A
// warp of the kernels for few rows takes a row's block of 64 as four chunks of 16 bytes, one a lane of its four: which k a
// lane's words stand for is its own affair as long as both operands agree.
#include "tensor.cuh"

#define BLOCK_I8 64u
// Sums start from it: below 2^22 in size, they are then the low bits of the float 12,582,912 + sum.
#define START_I8 0x4b400000

DEVICE float as_float(int biased) { return __fadd_rn(__uint_as_float((u32)biased), -12582912.0f); }

// Copies B rows' blocks of 64, stage after stage, THREADS chunks of 16 bytes at a time. Chunk c of row r lies at
// c ^ (r / 2 % 4), so that eight rows' chunks of one number fall into different banks.
// Rows past the end are others (one row read by all would be waited for); their results are dropped.
template <u32 B, u32 THREADS>
struct Bring {
    static constexpr u32 EACH = B * 4 / THREADS;
    const int4* from;
    u32 chunks[EACH];

    DEVICE_MEMBER Bring(const signed char* matrix, u32 row0, u32 end, u32 width) : from((const int4*)matrix) {
#pragma unroll
        for (u32 i = 0; i < EACH; i++) {
            const u32 chunk = threadIdx.x + i * THREADS, row = row0 + chunk / 4;
            chunks[i] = (row < end ? row : least(row - end, end - 1)) * (width / 16) + chunk % 4;
        }
    }

    DEVICE_MEMBER void begin(signed char* stage, u32 step) const {
#pragma unroll
        for (u32 i = 0; i < EACH; i++) {
            const u32 chunk = threadIdx.x + i * THREADS;
            copy_begin(stage + (chunk / 4 * 4 + (chunk % 4 ^ chunk / 8 % 4)) * 16, from + (chunks[i] + step * 4));
        }
    }
};

// BM x BN outputs a thread block, WM x WN of them a warp; STAGES blocks of k are on their way or in use.
template <u32 BM, u32 BN, u32 WM, u32 WN, u32 STAGES, bool SCALED, class Done>
DEVICE void tile_i8(const signed char* a, const float* scales, const signed char* b, u32 m, u32 n, u32 width, Done done) {
    constexpr u32 THREADS = (BM / WM) * (BN / WN) * 32, MI = WM / 16, NI = WN / 8;
    __shared__ __align__(16) signed char left[STAGES][BM * BLOCK_I8];
    __shared__ __align__(16) signed char right[STAGES][BN * BLOCK_I8];
    __shared__ float factors[SCALED ? STAGES : 1][BM];
    const u32 row0 = blockIdx.y * BM, col0 = blockIdx.x * BN, warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const u32 g = lane / 4, t = lane % 4, row = warp / (BN / WN) * WM, col = warp % (BN / WN) * WN;
    // Where the lane's share of what is loaded together lies: of `left` 16 rows by two chunks, of `right` 8 by four.
    const u32 turn = lane / 2 % 4, at_left = (row + lane % 16) * BLOCK_I8 + (lane / 16 ^ turn) * 16;
    const u32 at_right = (col + lane % 8) * BLOCK_I8 + (lane / 8 ^ turn) * 16;
    const u32 steps = width / BLOCK_I8;
    const int start[4] = {START_I8, START_I8, START_I8, START_I8};
    const Bring<BM, THREADS> rows(a, row0, m, width);
    const Bring<BN, THREADS> columns(b, col0, n, width);
    int sum[SCALED ? 1 : MI][SCALED ? 1 : NI][4] = {};
    float total[SCALED ? MI : 1][SCALED ? NI : 1][4] = {};
    auto bring = [&](u32 step) {
        if (step < steps) {
            const u32 stage = step % STAGES;
            rows.begin(left[stage], step);
            columns.begin(right[stage], step);
            if (SCALED && threadIdx.x < BM)
                copy_begin(&factors[stage][threadIdx.x], scales + (u64)step * m + least(row0 + threadIdx.x, m - 1));
        }
        copy_group();
    };
#pragma unroll
    for (u32 s = 0; s + 1 < STAGES; s++) bring(s);
    for (u32 step = 0; step < steps; step++) {
        copy_wait<STAGES - 2>();
        __syncthreads();
        // Into the stage that the step before was done with.
        bring(step + STAGES - 1);
        const signed char *x = left[step % STAGES], *w = right[step % STAGES];
        int q[NI][4];
#pragma unroll
        for (u32 j = 0; j < NI; j++) fragments(q[j], w + at_right + j * 8 * BLOCK_I8);
#pragma unroll
        for (u32 i = 0; i < MI; i++) {
            int p[4], r[4];
            fragments(p, x + at_left + i * 16 * BLOCK_I8);
            fragments(r, x + (at_left ^ 32) + i * 16 * BLOCK_I8);
            if constexpr (SCALED) {
                const float* factor = &factors[step % STAGES][row + g + 16 * i];
                const float scale[2] = {factor[0], factor[8]};
                int d[NI][4];
#pragma unroll
                for (u32 j = 0; j < NI; j++) multiply_i8(d[j], p[0], p[1], p[2], p[3], q[j][0], q[j][1], start);
#pragma unroll
                for (u32 j = 0; j < NI; j++) multiply_i8(d[j], r[0], r[1], r[2], r[3], q[j][2], q[j][3], d[j]);
#pragma unroll
                for (u32 j = 0; j < NI; j++)
#pragma unroll
                    for (u32 l = 0; l < 4; l++)
                        total[i][j][l] = fma_rn(as_float(d[j][l]), scale[l / 2], total[i][j][l]);
            } else {
#pragma unroll
                for (u32 j = 0; j < NI; j++) {
                    multiply_i8(sum[i][j], p[0], p[1], p[2], p[3], q[j][0], q[j][1], sum[i][j]);
                    multiply_i8(sum[i][j], r[0], r[1], r[2], r[3], q[j][2], q[j][3], sum[i][j]);
                }
            }
        }
    }
#pragma unroll
    for (u32 i = 0; i < MI; i++)
#pragma unroll
        for (u32 j = 0; j < NI; j++)
#pragma unroll
            for (u32 h = 0; h < 2; h++) {
                u32 at_row = row0 + row + g + 16 * i + 8 * h, at_col = col0 + col + 8 * j + 2 * t;
                if (at_row >= m) continue;
                if constexpr (SCALED) done(at_row, at_col, total[i][j][2 * h], total[i][j][2 * h + 1]);
                else done(at_row, at_col, sum[i][j][2 * h], sum[i][j][2 * h + 1]);
            }
}

#define GEMM_I8(NAME, BLOCKS, BM, BN, WM, WN, STAGES)                                                              \
    KERNEL __launch_bounds__((BM / WM) * (BN / WN) * 32, BLOCKS)                                                   \
        NAME(const signed char* a, const signed char* b, int* c, u32 m, u32 n, u32 width) {                        \
        tile_i8<BM, BN, WM, WN, STAGES, false>(a, nullptr, b, m, n, width, [&](u32 row, u32 col, int v, int w) {   \
            int* to = c + (u64)row * n + col;                                                                      \
            if (n % 2 == 0 && col + 2 <= n) {                                                                      \
                *(int2*)to = {v, w};                                                                               \
                return;                                                                                            \
            }                                                                                                      \
            if (col < n) to[0] = v;                                                                                \
            if (col + 1 < n) to[1] = w;                                                                            \
        });                                                                                                        \
    }
#define GEMM_I8_SCALED(NAME, BLOCKS, BM, BN, WM, WN, STAGES)                                                       \
    KERNEL __launch_bounds__((BM / WM) * (BN / WN) * 32, BLOCKS)                                                   \
        NAME(const signed char* x, const float* scales_x, const signed char* w, const float* scales_w, float* y,   \
             u32 m, u32 n, u32 width, u64 ldy) {                                                                   \
        const bool wide = ldy % 2 == 0 && ((u64)y & 7) == 0;                                                       \
        tile_i8<BM, BN, WM, WN, STAGES, true>(x, scales_x, w, m, n, width, [&](u32 row, u32 col, float u, float v) {\
            float* to = y + (u64)row * ldy + col;                                                                  \
            if (wide && col + 2 <= n) {                                                                            \
                *(float2*)to = {__fmul_rn(u, scales_w[col]), __fmul_rn(v, scales_w[col + 1])};                     \
                return;                                                                                            \
            }                                                                                                      \
            if (col < n) to[0] = __fmul_rn(u, scales_w[col]);                                                      \
            if (col + 1 < n) to[1] = __fmul_rn(v, scales_w[col + 1]);                                              \
        });                                                                                                        \
    }

// grid (ceil(n / BN), ceil(m / BM)), block 32 a warp.
GEMM_I8(gemm_i8_128x128, 2, 128, 128, 64, 32, 3)
GEMM_I8_SCALED(gemm_i8_scaled_64x128, 3, 64, 128, 64, 32, 3)
GEMM_I8_SCALED(gemm_i8_scaled_64x64, 4, 64, 64, 32, 32, 4)
GEMM_I8_SCALED(gemm_i8_scaled_32x128, 4, 32, 128, 32, 32, 4)

// Few rows of x: what decoding does. Reading W is all the work, so a thread block takes 16 rows of W, here the first
// operand, against 8 NI rows of x, and its warps take blocks of k in turn; the exact sums meet in shared memory, where
// they are joined in order. grid (ceil(n / 16), ceil(m / (8 NI))), block 32 a warp, at most 12.
#define FEW_WARPS 12u

template <u32 NI>
DEVICE void few_i8(const signed char* x, const float* scales_x, const signed char* w, const float* scales_w, float* y,
                   u32 m, u32 n, u32 width, u64 ldy) {
    // A sum of W's row i and x's row j lies at 20 j + i: a warp's writes fall into different banks.
    __shared__ float sums[FEW_WARPS][NI * 8 * 20];
    __shared__ float totals[NI * 8 * 20];
    const u32 warp = threadIdx.x / 32, warps = blockDim.x / 32, lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
    const u32 row0 = blockIdx.x * 16, first = blockIdx.y * NI * 8, rows = least(NI * 8, m - first);
    const u32 steps = width / BLOCK_I8;
    const signed char* low = w + (u64)least(row0 + g, n - 1) * width + t * 16;
    const signed char* high = w + (u64)least(row0 + g + 8, n - 1) * width + t * 16;
    const int start[4] = {START_I8, START_I8, START_I8, START_I8};
    int4 next_p = {0, 0, 0, 0}, next_r = {0, 0, 0, 0};
    auto fetch = [&](u32 step) {
        if (step >= steps) return;
        next_p = *(const int4*)(low + step * BLOCK_I8);
        next_r = *(const int4*)(high + step * BLOCK_I8);
    };
    fetch(warp);
    for (u32 from = 0; from < steps; from += warps) {
        const u32 step = from + warp;
        if (step < steps) {
            const int4 p = next_p, r = next_r;
            int4 q[NI];
#pragma unroll
            for (u32 j = 0; j < NI; j++)
                q[j] = *(const int4*)(x + (u64)(first + least(8 * j + g, rows - 1)) * width + step * BLOCK_I8 + t * 16);
            fetch(step + warps);
#pragma unroll
            for (u32 j = 0; j < NI; j++) {
                int d[4];
                multiply_i8(d, p.x, r.x, p.y, r.y, q[j].x, q[j].y, start);
                multiply_i8(d, p.z, r.z, p.w, r.w, q[j].z, q[j].w, d);
#pragma unroll
                for (u32 l = 0; l < 4; l++)
                    sums[warp][(8 * j + 2 * t + l % 2) * 20 + g + l / 2 * 8] = as_float(d[l]);
            }
        }
        __syncthreads();
        for (u32 at = threadIdx.x; at < rows * 16; at += blockDim.x) {
            const u32 row = at / 16, i = at % 16, col = row0 + i, count = least(warps, steps - from);
            const float* scale = scales_x + (u64)from * m + first + row;
            float total = from == 0 ? 0.0f : totals[row * 20 + i];
#pragma unroll 4
            for (u32 s = 0; s < count; s++) total = fma_rn(sums[s][row * 20 + i], scale[(u64)s * m], total);
            totals[row * 20 + i] = total;
            if (from + warps >= steps && col < n) y[(u64)(first + row) * ldy + col] = __fmul_rn(total, scales_w[col]);
        }
        __syncthreads();
    }
}

#define FEW_I8(NAME, NI)                                                                                            \
    KERNEL __launch_bounds__(FEW_WARPS * 32)                                                                        \
        NAME(const signed char* x, const float* scales_x, const signed char* w, const float* scales_w, float* y,    \
             u32 m, u32 n, u32 width, u64 ldy) {                                                                    \
        few_i8<NI>(x, scales_x, w, scales_w, y, m, n, width, ldy);                                                  \
    }
FEW_I8(gemm_i8_few_8, 1)
FEW_I8(gemm_i8_few_16, 2)
