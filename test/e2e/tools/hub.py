"""datasets, transformers and peft, unmodified, with HF_ENDPOINT at a node: rows and an adapter on its base, the same answer."""
import json
import os
import sys

setup = json.load(sys.stdin)
os.environ["HF_ENDPOINT"] = setup["url"]
os.environ["HF_HOME"] = os.path.join(sys.prefix, "hf-home")

import datasets
from peft import AutoPeftModelForCausalLM
from transformers import AutoTokenizer

rows = datasets.load_dataset("openledger/datanet-1", split="train")
assert len(rows) > 0 and isinstance(rows[0]["text"], str), rows

model = AutoPeftModelForCausalLM.from_pretrained("openledger/" + setup["question"]["model"])
tokenizer = AutoTokenizer.from_pretrained("openledger/base")
tokens = tokenizer(setup["question"]["prompt"], return_tensors="pt")["input_ids"]
answer = model.generate(input_ids=tokens, max_new_tokens=8, do_sample=False)
theirs = tokenizer.decode(answer[0][tokens.shape[1]:])

ours = setup["answer"]
assert theirs == ours, f"peft says {theirs!r}, the node {ours!r}"
print(f"datasets read {len(rows)} rows; peft answers as the node does: {ours!r}")
