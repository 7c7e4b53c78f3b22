// Softmax of rows of logits in place, and the cross-entropy's gradient.
// Scalar twins: ops::loss::cross_entropy_gradient and draw (core/src/ops/loss.rs).
#include "math.cuh"

#define CHUNKS_MAX 2048u
#define SOFTMAX_THREADS 256u

// row becomes exp(row - max) / sum; loss[r] = ln(sum) - (logit[label] - max) for labels[r].
// logits [rows, vocab], vocab <= 2^19. grid (rows), block 256: a block of 256 summands a thread.
KERNEL __launch_bounds__(256) softmax_loss(float* logits, const u32* labels, float* loss, u32 vocab) {
    __shared__ float parts[CHUNKS_MAX];
    __shared__ float shared_inverse;
    float* row = logits + (u64)blockIdx.x * vocab;
    const u32 t = threadIdx.x, chunks = (vocab + BLOCK_K - 1) / BLOCK_K;
    const float picked = row[labels[blockIdx.x]];
    float top = -__uint_as_float(0x7f800000u);
    for (u32 i = t; i < vocab; i += SOFTMAX_THREADS) top = fmaxf(top, row[i]);
    parts[t] = top;
    for (u32 width = SOFTMAX_THREADS / 2; width > 0; width /= 2) {
        __syncthreads();
        if (t < width) parts[t] = fmaxf(parts[t], parts[t + width]);
    }
    __syncthreads();
    top = parts[0];
    for (u32 i = t; i < vocab; i += SOFTMAX_THREADS) row[i] = exp_f32(__fsub_rn(row[i], top));
    __syncthreads();
    for (u32 chunk = t; chunk < chunks; chunk += SOFTMAX_THREADS) {
        u32 end = least((chunk + 1) * BLOCK_K, vocab);
        float sum = 0.0f;
#pragma unroll 8
        for (u32 i = chunk * BLOCK_K; i < end; i++) sum = __fadd_rn(sum, row[i]);
        parts[chunk] = sum;
    }
    __syncthreads();
    if (t == 0) {
        float total = parts[0];
        for (u32 chunk = 1; chunk < chunks; chunk++) total = __fadd_rn(total, parts[chunk]);
        shared_inverse = __fdiv_rn(1.0f, total);
        loss[blockIdx.x] = __fsub_rn(ln_f32(total), __fsub_rn(picked, top));
    }
    __syncthreads();
    for (u32 i = t; i < vocab; i += SOFTMAX_THREADS) row[i] = __fmul_rn(row[i], shared_inverse);
}

// labels[r] = the first index whose running sum of probabilities, ascending in f64, exceeds u[r] of the whole.
// grid (ceil(rows / 32)), block 32: a row a thread, since the sum is one chain.
KERNEL draw_labels(const float* probabilities, const float* u, u32* labels, u32 rows, u32 vocab) {
    u32 r = blockIdx.x * blockDim.x + threadIdx.x;
    if (r >= rows) return;
    const float* row = probabilities + (u64)r * vocab;
    double whole = 0.0, run = 0.0;
    for (u32 i = 0; i < vocab; i++) whole = __dadd_rn(whole, (double)row[i]);
    double goal = __dmul_rn(whole, (double)u[r]);
    u32 label = vocab - 1;
    for (u32 i = 0; i < vocab; i++) {
        run = __dadd_rn(run, (double)row[i]);
        if (run > goal) {
            label = i;
            break;
        }
    }
    labels[r] = label;
}

// softmax - onehot(label). grid (ceil(rows / 128)), block 128.
KERNEL subtract_one_hot(float* probabilities, const u32* labels, u32 rows, u32 vocab) {
    u32 r = blockIdx.x * blockDim.x + threadIdx.x;
    if (r >= rows) return;
    float* at = probabilities + (u64)r * vocab + labels[r];
    *at = __fsub_rn(*at, 1.0f);
}
