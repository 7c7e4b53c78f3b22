// SwiGLU's gate and its way back, element by element.
// Scalar twins: ops::elementwise::silu_mul and silu_mul_backward (core/src/ops/elementwise.rs).
// gate_up [rows, 2 * ffn] (gate, then up), out and d_out [rows, ffn], d_gate_up like gate_up.
// With `q`, out also in int8, as quantise_i8.cu makes it: q [rows, ffn rounded up to 64], scales [blocks, rows].
// grid (ceil(ffn / 512), rows) and (ceil(ffn / 256), rows) for the way back, block 256.
#include "math.cuh"
#include "quantise.cuh"

KERNEL swiglu(const float* gate_up, float* out, signed char* q, float* scales, u32 ffn) {
    const u32 block = blockIdx.x * 8 + threadIdx.x / 32, count = (ffn + 63) / 64;
    if (block >= count) return;
    float value[2];
    for (u32 l = 0; l < 2; l++) {
        const u32 i = block * 64 + threadIdx.x % 32 * 2 + l;
        value[l] = 0.0f;
        if (i >= ffn) continue;
        float g = gate_up[(u64)blockIdx.y * 2 * ffn + i], u = gate_up[((u64)blockIdx.y * 2 + 1) * ffn + i];
        out[(u64)blockIdx.y * ffn + i] = value[l] = __fmul_rn(__fmul_rn(g, sigmoid_f32(g)), u);
    }
    if (q != nullptr)
        quantise_block(value[0], value[1], q + ((u64)blockIdx.y * count + block) * 64,
                       scales + (u64)block * gridDim.y + blockIdx.y);
}

KERNEL swiglu_backward(const float* gate_up, const float* d_out, float* d_gate_up, u32 ffn) {
    u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= ffn) return;
    u64 at = (u64)blockIdx.y * 2 * ffn + i;
    float g = gate_up[at], u = gate_up[at + ffn], d = d_out[(u64)blockIdx.y * ffn + i], s = sigmoid_f32(g);
    d_gate_up[at + ffn] = __fmul_rn(d, __fmul_rn(g, s));
    d_gate_up[at] = __fmul_rn(__fmul_rn(d, u), __fmul_rn(s, fma_rn(g, __fsub_rn(1.0f, s), 1.0f)));
}
