"""transformers + peft as they are used: one base in f32, an adapter switched for every request, greedy.

argv: base.gguf, folder of adapters, requests, prompt tokens, new tokens, threads. Adapters are loaded before the clock
starts. Prints tokens a second. Needs PyPI torch, transformers, peft, gguf, accelerate.
"""

import os
import sys
import time

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

base, folder = sys.argv[1:3]
requests, context, new, threads = map(int, sys.argv[3:])
torch.set_num_threads(threads)
place, file = os.path.split(base)
model = AutoModelForCausalLM.from_pretrained(place, gguf_file=file, dtype=torch.float32)
model = PeftModel.from_pretrained(model, os.path.join(folder, "a0"), adapter_name="a0")
for i in range(1, requests):
    model.load_adapter(os.path.join(folder, f"a{i}"), adapter_name=f"a{i}")
model.eval()


def answer(i, n):
    model.set_adapter(f"a{i}")
    prompt = torch.tensor([[(i * 31 + j * 7919) % 49152 for j in range(context)]])
    with torch.inference_mode():
        made = model.generate(
            prompt,
            attention_mask=torch.ones_like(prompt),
            do_sample=False,
            min_new_tokens=n,
            max_new_tokens=n,
            pad_token_id=0,
        )
    assert made.shape[1] == context + n


answer(0, 2)
start = time.perf_counter()
for i in range(requests):
    answer(i, new)
print(requests * new / (time.perf_counter() - start))
