"""LoRA fine-tuning with PyTorch + peft: rank 8 on q and v, AdamW, f32, one pass over rows of one length.

argv: base.gguf, rows (JSON, lists of token ids), rows of a batch, threads. One step before the clock starts. Prints
tokens a second. Needs PyPI torch, transformers, peft, gguf, accelerate.
"""

import json
import os
import sys
import time

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

base, rows = sys.argv[1:3]
batch, threads = map(int, sys.argv[3:])
torch.set_num_threads(threads)
torch.manual_seed(0)
place, file = os.path.split(base)
model = AutoModelForCausalLM.from_pretrained(place, gguf_file=file, dtype=torch.float32)
config = LoraConfig(r=8, lora_alpha=16, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
model = get_peft_model(model, config).train()
optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3)
with open(rows, encoding="utf-8") as source:
    tokens = torch.tensor(json.load(source))


def step(part):
    optimizer.zero_grad()
    model(input_ids=part, labels=part).loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()


step(tokens[:batch])
start = time.perf_counter()
for part in tokens.split(batch):
    step(part)
print(tokens.numel() / (time.perf_counter() - start))
