"""cuBLAS through PyTorch on the shapes of examples/cuda_check.rs: f32 without TF32, int8 with int32 sums."""
import torch

torch.backends.cuda.matmul.allow_tf32 = False
SHAPES = [
    (1, 960, 576), (1, 49152, 576), (32, 3072, 576), (32, 576, 1536), (32, 49152, 576), (2048, 960, 576),
    (2048, 576, 576), (2048, 3072, 576), (2048, 576, 1536), (2048, 49152, 576), (4096, 4096, 4096),
]


def micros(work, runs=20):
    work()
    torch.cuda.synchronize()
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    for _ in range(runs):
        work()
    end.record()
    torch.cuda.synchronize()
    return start.elapsed_time(end) * 1000 / runs


print(torch.cuda.get_device_name(0), "torch", torch.__version__)
for m, n, k in SHAPES:
    a, b = torch.rand(m, k, device="cuda"), torch.rand(n, k, device="cuda")
    us = micros(lambda: a @ b.T)
    print(f"cuBLAS f32 {m}x{n}x{k}: {us:.1f} us, {2e-3 * m * n * k / us:.0f} GFLOP/s")
m, n, k = 2048, 3072, 576
a = torch.randint(-128, 128, (m, k), device="cuda", dtype=torch.int8)
b = torch.randint(-128, 128, (n, k), device="cuda", dtype=torch.int8)
us = micros(lambda: torch._int_mm(a, b.T))
print(f"cublasLt int8 {m}x{n}x{k}: {us:.1f} us, {2e-3 * m * n * k / us:.0f} Gop/s")
