// The tile loop of every matrix product: C[i, j] = sum_k A(i, k) B(k, j), twin of core/src/gemm.
//
// A thread block owns BM x BN outputs, a thread TM x TN of them in registers; k is walked through two
// buffers in shared memory, BK steps at a time, the next one fetched while this one is used. After every 256
// steps the accumulators are handed over (`flush`) and start again from zero, which is the canonical
// order: how outputs are split over threads cannot be seen in a bit.
//
// Operands are read in place: A(i, k) = a[i * ai + k * ak], B(k, j) = b[j * bj + k * bk], and of each
// pair one stride is 1, so that a transpose costs nothing.
#pragma once
#include "common.cuh"

struct Operand {
    const float* data;
    u64 along;  // stride from one row of C (or column, for B) to the next
    u64 step;   // stride along k
    u32 end;    // rows (columns) there are
    bool wide;  // 16-byte loads are allowed
};

DEVICE Operand operand(const float* data, u64 along, u64 step, u32 end) {
    u64 stride = step == 1 ? along : step;
    bool wide = stride % 4 == 0 && ((u64)data & 15) == 0;
    return {data, along, step, end, wide};
}

// Four values of the operand: along k from (i, k) when step is 1, else along i. Zeros outside.
DEVICE float4 four(const Operand& o, u32 i, u32 k, u32 k1) {
    float4 v = {0.0f, 0.0f, 0.0f, 0.0f};
    const float* at = o.data + i * o.along + k * o.step;
    if (o.step == 1) {
        if (i >= o.end) return v;
        if (o.wide && k + 4 <= k1) return *(const float4*)at;
        if (k < k1) v.x = at[0];
        if (k + 1 < k1) v.y = at[1];
        if (k + 2 < k1) v.z = at[2];
        if (k + 3 < k1) v.w = at[3];
    } else {
        if (k >= k1) return v;
        if (o.wide && o.along == 1 && i + 4 <= o.end) return *(const float4*)at;
        if (i < o.end) v.x = at[0];
        if (i + 1 < o.end) v.y = at[o.along];
        if (i + 2 < o.end) v.z = at[2 * o.along];
        if (i + 3 < o.end) v.w = at[3 * o.along];
    }
    return v;
}

// Which of the tile's B rows (columns) thread `t` of T values holds as its i-th: groups of four, so that
// a warp's 16-byte reads of shared memory fall into different banks.
template <u32 B, u32 T>
DEVICE u32 place(u32 t, u32 i) {
    return T == 8 ? i / 4 * (B / 2) + t * 4 + i % 4 : t * T + i;
}

// Which thread down and across the tile this one is. A warp covers 4 x 8 of them, in an order that lets its reads of shared
// memory, 16 bytes a lane and many lanes alike, pass in few rounds; with 8 x 8 outputs a thread, 2 x 16 measured better.
template <u32 BN, u32 TM, u32 TN>
DEVICE u32 down() {
    constexpr u32 WARPS = BN / TN / 8;
    return TM * TN == 64 ? threadIdx.x / 16
                         : threadIdx.x / 32 / WARPS * 4 + (threadIdx.x % 2 | threadIdx.x / 16 % 2 * 2);
}
template <u32 BN, u32 TM, u32 TN>
DEVICE u32 across() {
    constexpr u32 WARPS = BN / TN / 8;
    return TM * TN == 64 ? threadIdx.x % 16 : threadIdx.x / 32 % WARPS * 8 + threadIdx.x / 2 % 8;
}

template <u32 BM, u32 BN, u32 TM, u32 TN, u32 BK>
struct Tile {
    static_assert(BM % (4 * TM) == 0 && BN % (8 * TN) == 0, "whole warps");
    static constexpr u32 THREADS = BM / TM * (BN / TN);
    static constexpr u32 LEFT = (BM * BK / 4 + THREADS - 1) / THREADS;
    static constexpr u32 RIGHT = (BN * BK / 4 + THREADS - 1) / THREADS;
};

// Quad `q` of a stage: where it lies in the operand and in the tile.
template <u32 B, u32 BK>
DEVICE void quad(bool along_k, u32 q, u32& i, u32& k) {
    i = along_k ? q / (BK / 4) : q % (B / 4) * 4;
    k = along_k ? q % (BK / 4) * 4 : q / (B / 4);
}

template <u32 B, u32 BK, u32 COUNT, u32 THREADS>
DEVICE void fetch(float4 (&held)[COUNT], const Operand& o, u32 first, u32 k0, u32 k1) {
    if (COUNT * THREADS * 4 == B * BK && o.wide && first + B <= o.end && k0 + BK <= k1) {
        // Nothing to check: quads lie a constant step apart.
        u32 i, k;
        quad<B, BK>(o.step == 1, threadIdx.x, i, k);
        const float* at = o.data + (first + i) * o.along + (k0 + k) * o.step;
        u64 apart = o.step == 1 ? THREADS / (BK / 4) * o.along : THREADS / (B / 4) * o.step;
#pragma unroll
        for (u32 c = 0; c < COUNT; c++) held[c] = *(const float4*)(at + c * apart);
        return;
    }
#pragma unroll
    for (u32 c = 0; c < COUNT; c++) {
        u32 q = threadIdx.x + c * THREADS, i, k;
        if (q >= B * BK / 4) break;
        quad<B, BK>(o.step == 1, q, i, k);
        held[c] = four(o, first + i, k0 + k, k1);
    }
}

template <u32 B, u32 BK, u32 COUNT, u32 THREADS>
DEVICE void put(float (*tile)[B + 4], const float4 (&held)[COUNT], bool along_k) {
#pragma unroll
    for (u32 c = 0; c < COUNT; c++) {
        u32 q = threadIdx.x + c * THREADS, i, k;
        if (q >= B * BK / 4) break;
        quad<B, BK>(along_k, q, i, k);
        if (along_k) {
            tile[k][i] = held[c].x;
            tile[k + 1][i] = held[c].y;
            tile[k + 2][i] = held[c].z;
            tile[k + 3][i] = held[c].w;
        } else {
            *(float4*)&tile[k][i] = held[c];
        }
    }
}

// Walks k in [from, to); calls flush(acc) after each chain. Blocks of 256 are counted from `from`.
template <u32 BM, u32 BN, u32 TM, u32 TN, u32 BK, bool HOIST, class Flush>
DEVICE void chains(const Operand& a, const Operand& b, u32 row0, u32 col0, u32 from, u32 to, Flush flush) {
    typedef Tile<BM, BN, TM, TN, BK> T;
    __shared__ __align__(16) float left[2][BK][BM + 4];
    __shared__ __align__(16) float right[2][BK][BN + 4];
    const u32 ty = down<BN, TM, TN>(), tx = across<BN, TM, TN>();
    float4 held_a[T::LEFT], held_b[T::RIGHT];
    float acc[TM][TN];
#pragma unroll
    for (u32 i = 0; i < TM; i++)
#pragma unroll
        for (u32 j = 0; j < TN; j++) acc[i][j] = 0.0f;
    // A block that ran here before may still be reading the buffers.
    __syncthreads();
    fetch<BM, BK, T::LEFT, T::THREADS>(held_a, a, row0, from, to);
    fetch<BN, BK, T::RIGHT, T::THREADS>(held_b, b, col0, from, to);
    // Where nothing needs checking, a thread's quads lie a constant step apart and move on by a constant.
    const bool inside = HOIST && BM == BN && BM * BK == T::LEFT * T::THREADS * 4 && a.wide && b.wide &&
                        row0 + BM <= a.end && col0 + BN <= b.end;
    const u64 apart_a = a.step == 1 ? T::THREADS / (BK / 4) * a.along : T::THREADS / (BM / 4) * a.step;
    const u64 apart_b = b.step == 1 ? T::THREADS / (BK / 4) * b.along : T::THREADS / (BN / 4) * b.step;
    const float *next_a = a.data, *next_b = b.data;
    if (inside) {
        u32 i, k;
        quad<BM, BK>(a.step == 1, threadIdx.x, i, k);
        next_a += (row0 + i) * a.along + (from + k) * a.step;
        quad<BN, BK>(b.step == 1, threadIdx.x, i, k);
        next_b += (col0 + i) * b.along + (from + k) * b.step;
    }
    u32 now = 0;
    for (u32 k0 = from; k0 < to; k0 += BK, now ^= 1) {
        put<BM, BK, T::LEFT, T::THREADS>(left[now], held_a, a.step == 1);
        put<BN, BK, T::RIGHT, T::THREADS>(right[now], held_b, b.step == 1);
        __syncthreads();
        if (inside && k0 + 2 * BK <= to) {
            next_a += BK * a.step;
            next_b += BK * b.step;
#pragma unroll
            for (u32 c = 0; c < T::LEFT; c++) held_a[c] = *(const float4*)(next_a + c * apart_a);
#pragma unroll
            for (u32 c = 0; c < T::RIGHT; c++) held_b[c] = *(const float4*)(next_b + c * apart_b);
        } else if (k0 + BK < to) {
            fetch<BM, BK, T::LEFT, T::THREADS>(held_a, a, row0, k0 + BK, to);
            fetch<BN, BK, T::RIGHT, T::THREADS>(held_b, b, col0, k0 + BK, to);
        }
        u32 steps = least(BK, to - k0);
        if (steps == BK) {
#pragma unroll
            for (u32 k = 0; k < BK; k++) {
                float x[TM], y[TN];
#pragma unroll
                for (u32 i = 0; i < TM; i++) x[i] = left[now][k][place<BM, TM>(ty, i)];
#pragma unroll
                for (u32 j = 0; j < TN; j++) y[j] = right[now][k][place<BN, TN>(tx, j)];
#pragma unroll
                for (u32 i = 0; i < TM; i++)
#pragma unroll
                    for (u32 j = 0; j < TN; j++) acc[i][j] = fma_rn(x[i], y[j], acc[i][j]);
            }
        } else {
            // Zeros past the end are not run: 0 * x added to -0 would give +0.
            for (u32 k = 0; k < steps; k++)
#pragma unroll
                for (u32 i = 0; i < TM; i++)
#pragma unroll
                    for (u32 j = 0; j < TN; j++)
                        acc[i][j] = fma_rn(left[now][k][place<BM, TM>(ty, i)],
                                           right[now][k][place<BN, TN>(tx, j)], acc[i][j]);
        }
        u32 done = k0 + steps;
        if ((done - from) % BLOCK_K == 0 || done == to) {
            flush(acc);
#pragma unroll
            for (u32 i = 0; i < TM; i++)
#pragma unroll
                for (u32 j = 0; j < TN; j++) acc[i][j] = 0.0f;
        }
    }
}

// One product. Block sums join in registers and C is written once. `from_zero`: C starts as +0 instead of the
// first block's sum.
template <u32 BM, u32 BN, u32 TM, u32 TN, u32 BK, bool HOIST>
DEVICE void product(const float* a, const float* b, float* c, u32 m, u32 n, u32 k, u64 ai, u64 ak, u64 bj,
                    u64 bk, u64 ldc, u32 from_zero) {
    const u32 row0 = blockIdx.y * BM, col0 = blockIdx.x * BN;
    const u32 ty = down<BN, TM, TN>(), tx = across<BN, TM, TN>();
    float sum[TM][TN];
#pragma unroll
    for (u32 i = 0; i < TM; i++)
#pragma unroll
        for (u32 j = 0; j < TN; j++) sum[i][j] = 0.0f;
    bool first = !from_zero;
    chains<BM, BN, TM, TN, BK, HOIST>(operand(a, ai, ak, m), operand(b, bj, bk, n), row0, col0, 0, k, [&](float (&acc)[TM][TN]) {
#pragma unroll
        for (u32 i = 0; i < TM; i++)
#pragma unroll
            for (u32 j = 0; j < TN; j++) sum[i][j] = first ? acc[i][j] : __fadd_rn(sum[i][j], acc[i][j]);
        first = false;
    });
    const bool wide = TN % 4 == 0 && ldc % 4 == 0 && ((u64)c & 15) == 0 && col0 + BN <= n;
#pragma unroll
    for (u32 i = 0; i < TM; i++) {
        u32 row = row0 + place<BM, TM>(ty, i);
        if (row >= m) continue;
        float* to = c + row * ldc + col0;
        if (wide) {
#pragma unroll
            for (u32 j = 0; j + 4 <= TN; j += 4) {
                float4 v = {sum[i][j], sum[i][j + 1], sum[i][j + 2], sum[i][j + 3]};
                *(float4*)(to + place<BN, TN>(tx, j)) = v;
            }
            continue;
        }
#pragma unroll
        for (u32 j = 0; j < TN; j++)
            if (col0 + place<BN, TN>(tx, j) < n) to[place<BN, TN>(tx, j)] = sum[i][j];
    }
}

// The same for tiles whose sums do not fit beside the accumulators: block sums join in C itself.
template <u32 BM, u32 BN, u32 TM, u32 TN, u32 BK, bool HOIST>
DEVICE void product_in_place(const float* a, const float* b, float* c, u32 m, u32 n, u32 k, u64 ai, u64 ak, u64 bj,
                             u64 bk, u64 ldc, u32 from_zero) {
    const u32 row0 = blockIdx.y * BM, col0 = blockIdx.x * BN;
    const u32 ty = down<BN, TM, TN>(), tx = across<BN, TM, TN>();
    const bool wide = ldc % 4 == 0 && ((u64)c & 15) == 0 && col0 + BN <= n;
    bool first = true;
    chains<BM, BN, TM, TN, BK, HOIST>(operand(a, ai, ak, m), operand(b, bj, bk, n), row0, col0, 0, k, [&](float (&acc)[TM][TN]) {
#pragma unroll
        for (u32 i = 0; i < TM; i++) {
            u32 row = row0 + place<BM, TM>(ty, i);
            if (row >= m) continue;
            float* to = c + row * ldc + col0;
#pragma unroll
            for (u32 j = 0; j < TN; j += 4) {
                float* at = to + place<BN, TN>(tx, j);
                if (wide) {
                    float4 v = {acc[i][j], acc[i][j + 1], acc[i][j + 2], acc[i][j + 3]};
                    if (!first || from_zero) {
                        float4 before = {0.0f, 0.0f, 0.0f, 0.0f};
                        if (!first) before = *(float4*)at;
                        v = {__fadd_rn(before.x, v.x), __fadd_rn(before.y, v.y), __fadd_rn(before.z, v.z),
                             __fadd_rn(before.w, v.w)};
                    }
                    *(float4*)at = v;
                    continue;
                }
                for (u32 l = 0; l < 4; l++) {
                    if (col0 + place<BN, TN>(tx, j) + l >= n) continue;
                    float before = first ? 0.0f : at[l];
                    at[l] = first && !from_zero ? acc[i][j + l] : __fadd_rn(before, acc[i][j + l]);
                }
            }
        }
        first = false;
    });
}
