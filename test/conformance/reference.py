"""What Hugging Face transformers says of the same GGUF file; run by transformers.ts.

argv: folder and name of the file, prompts (rows {id, tokens}), new tokens, texts (JSON list), output folder.
Writes logits.f32 [rows, vocabulary] at the last token of each prompt, choices.u32 (greedy choice after every token of
every prompt), answers.json (greedy token ids by row) and ids.json (ids of each text). Tells its progress on stderr.
"""

import json
import os
import sys

import torch
from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence
from transformers import AutoModelForCausalLM, AutoTokenizer

folder, name, prompts, new, texts, out = sys.argv[1:]
torch.set_grad_enabled(False)
tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
# The model's own tokenizer.json splits digits first (as llama.cpp does for `smollm`); the conversion from GGUF
# forgets it, which shows where spaces stand before a number.
splits = [Digits(individual_digits=True), ByteLevel(add_prefix_space=False)]
tokenizer.backend_tokenizer.pre_tokenizer = Sequence(splits)
with open(texts, encoding="utf-8") as file:
    ids = [tokenizer.encode(text, add_special_tokens=False) for text in json.load(file)]
model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32).eval()
answers, logits, choices = [], [], []
with open(prompts, encoding="utf-8") as file:
    rows = [torch.tensor([json.loads(line)["tokens"]]) for line in file]
for i, row in enumerate(rows):
    said = model(row).logits[0]
    logits.append(said[-1])
    choices.append(said.argmax(dim=-1))
    answer = model.generate(row, max_new_tokens=int(new), do_sample=False)
    answers.append(answer[0, row.shape[1] :].tolist())
    print(f"\rtransformers: row {i + 1} of {len(rows)}", end="", file=sys.stderr, flush=True)
print(file=sys.stderr)
torch.stack(logits).numpy().astype("<f4").tofile(os.path.join(out, "logits.f32"))
torch.cat(choices).numpy().astype("<u4").tofile(os.path.join(out, "choices.u32"))
for path, value in [("answers.json", answers), ("ids.json", ids)]:
    with open(os.path.join(out, path), "w", encoding="utf-8") as file:
        json.dump(value, file)
