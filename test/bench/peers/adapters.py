"""Writes N random rank-8 adapters on q, k, v, o of a llama GGUF file, each as a PEFT directory and as a LoRA in GGUF.

argv: base.gguf, target folder, N. Factors are half precision; `aI/` and `aI.gguf` hold the same numbers (GGUF keeps the
rows of q and k in the order of its own rotation). Needs PyPI gguf and safetensors.
"""

import json
import os
import sys

import gguf
import numpy as np
from safetensors.numpy import save_file

base, target, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
reader = gguf.GGUFReader(base)
field = lambda name: reader.fields[name].contents()
layers, hidden = field("llama.block_count"), field("llama.embedding_length")
heads, kv_heads = field("llama.attention.head_count"), field("llama.attention.head_count_kv")
dim, rank, alpha = hidden // heads, 8, 16
maps = {
    "q_proj": ("attn_q", hidden, heads * dim, heads),
    "k_proj": ("attn_k", hidden, kv_heads * dim, kv_heads),
    "v_proj": ("attn_v", hidden, kv_heads * dim, None),
    "o_proj": ("attn_output", heads * dim, hidden, None),
}


def rotated(b, n):
    return b.reshape(n, 2, b.shape[0] // n // 2, b.shape[1]).swapaxes(1, 2).reshape(b.shape)


for i in range(count):
    folder = os.path.join(target, f"a{i}")
    os.makedirs(folder, exist_ok=True)
    draw = np.random.default_rng(i)
    writer = gguf.GGUFWriter(f"{folder}.gguf", "llama")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", float(alpha))
    tensors = {}
    for layer in range(layers):
        for name, (ggml, inn, out, turns) in maps.items():
            a = (draw.standard_normal((rank, inn)) * 0.02).astype(np.float16)
            b = (draw.standard_normal((out, rank)) * 0.02).astype(np.float16)
            path = f"base_model.model.model.layers.{layer}.self_attn.{name}"
            tensors[f"{path}.lora_A.weight"], tensors[f"{path}.lora_B.weight"] = a, b
            writer.add_tensor(f"blk.{layer}.{ggml}.weight.lora_a", a)
            kept = b if turns is None else np.ascontiguousarray(rotated(b, turns))
            writer.add_tensor(f"blk.{layer}.{ggml}.weight.lora_b", kept)
    save_file(tensors, os.path.join(folder, "adapter_model.safetensors"))
    config = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": "base"}
    config |= {"r": rank, "lora_alpha": alpha, "lora_dropout": 0.0, "bias": "none"}
    with open(os.path.join(folder, "adapter_config.json"), "w") as file:
        json.dump(config | {"target_modules": list(maps)}, file)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
