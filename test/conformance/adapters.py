"""An adapter directory of ours in Hugging Face's peft, unchanged; run by adapters.ts.

argv: base folder, PEFT folder, rows (`{id, tokens}` a line), folder with logits.f32 [rows, vocabulary] and
gradients.f32 [rows, parameters] of ours. Prints a JSON object of the largest relative differences.
"""

import json
import os
import sys

import numpy as np
import torch
import torch.nn.functional as F
from peft import PeftModel
from transformers import AutoModelForCausalLM

base, adapter, rows, ours = sys.argv[1:]
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32, attn_implementation="eager")
model = PeftModel.from_pretrained(model, adapter, is_trainable=True).eval()
with open(os.path.join(adapter, "adapter_config.json"), encoding="utf-8") as file:
    config = json.load(file)


def place(name):
    """Layer, target, A before B: the order of gradients.f32."""
    parts = name.split(".")
    target = next(part for part in parts if part in TARGETS)
    return int(parts[parts.index("layers") + 1]), TARGETS.index(target), "lora_B" in name


factors = [(place(n), p) for n, p in model.named_parameters() if "lora_" in n]
factors = [p for _, p in sorted(factors, key=lambda pair: pair[0])]
modules = len({name for name, _ in model.named_modules() if name.split(".")[-1] in config["target_modules"]})
assert len(factors) == 2 * modules, f"{len(factors)} factors of {modules} modules: keys were not all loaded"


def read(name, width):
    return np.fromfile(os.path.join(ours, name), dtype="<f4").reshape(-1, width)


def difference(mine, theirs):
    return float(np.abs(mine - theirs).max() / np.abs(theirs).max())


logits = read("logits.f32", model.config.vocab_size)
gradients = read("gradients.f32", sum(p.numel() for p in factors))
worst = {"logits": 0.0, "gradients": 0.0, "same_choice": 0, "rows": len(logits), "factors": len(factors)}
with open(rows, encoding="utf-8") as file:
    samples = [torch.tensor([json.loads(line)["tokens"]]) for line in file]
for i, tokens in enumerate(samples):
    model.zero_grad()
    out = model(tokens).logits[0]
    F.cross_entropy(out[:-1], tokens[0, 1:], reduction="sum").backward()
    theirs = out[-1].detach().numpy()
    worst["logits"] = max(worst["logits"], difference(logits[i], theirs))
    worst["same_choice"] += int(theirs.argmax() == logits[i].argmax())
    start = 0
    for p in factors:
        mine = gradients[i, start : start + p.numel()]
        worst["gradients"] = max(worst["gradients"], difference(mine, p.grad.numpy().ravel()))
        start += p.numel()
print(json.dumps(worst))
