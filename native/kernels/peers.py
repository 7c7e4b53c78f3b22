"""cuBLAS (f32 without TF32) and cublasLt (int8, int32 sums) through PyTorch on the shapes of examples/cuda_check.rs.

Two times of each: replayed in one CUDA graph, which is the card's own, and called from Python one by one.
"""
import torch

torch.backends.cuda.matmul.allow_tf32 = False
MAPS = [(960, 576), (576, 576), (3072, 576), (576, 1536), (49152, 576)]
SHAPES = [(m, n, k) for n, k in MAPS for m in (1, 8, 16, 32, 64, 128, 2048)] + [(4096, 4096, 4096)]


def seconds(work):
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    work()
    end.record()
    torch.cuda.synchronize()
    return start.elapsed_time(end) / 1000


def micros(work, runs=20):
    def many():
        for _ in range(runs):
            work()

    many()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        many()
    graph.replay()
    torch.cuda.synchronize()
    return [1e6 * seconds(f) / runs for f in (graph.replay, many)]


def show(name, m, n, k, work):
    card, called = micros(work)
    print(f"{name} {m}x{n}x{k}: {card:.1f} us ({called:.1f} us called), {2e-3 * m * n * k / card:.0f} Gop/s")


print(torch.cuda.get_device_name(0), "torch", torch.__version__)
for m, n, k in SHAPES:
    a, b = torch.rand(m, k, device="cuda"), torch.rand(n, k, device="cuda")
    show("cuBLAS f32", m, n, k, lambda: a @ b.T)
    if m > 16:
        x = torch.randint(-128, 128, (m, k), device="cuda", dtype=torch.int8)
        w = torch.randint(-128, 128, (n, k), device="cuda", dtype=torch.int8)
        show("cublasLt int8", m, n, k, lambda: torch._int_mm(x, w.T))
