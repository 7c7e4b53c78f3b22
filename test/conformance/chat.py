"""The same questions in Hugging Face's transformers and peft; run by chat.ts.

argv: folder and name of the GGUF file, prompts (rows {id, tokens, adapter?}), the question as text, new tokens, output.
Writes a JSON object: `prompt`, the question's token ids by the file's own chat template, and `answers`, greedy token ids.
"""

import json
import sys

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

folder, name, prompts, question, new, out = sys.argv[1:]
torch.set_grad_enabled(False)
tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
messages = [{"role": "user", "content": question}]
text = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
with open(prompts, encoding="utf-8") as file:
    rows = [json.loads(line) for line in file]
answers = []
for row in rows:
    # Loaded anew for each: peft leaves its modules in the base.
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32)
    if row.get("adapter"):
        model = PeftModel.from_pretrained(model, row["adapter"])
    tokens = torch.tensor([row["tokens"]])
    answer = model.eval().generate(input_ids=tokens, max_new_tokens=int(new), do_sample=False)
    answers.append(answer[0, tokens.shape[1] :].tolist())
    print(f"\rpeft: row {len(answers)} of {len(rows)}", end="", file=sys.stderr, flush=True)
print(file=sys.stderr)
with open(out, "w", encoding="utf-8") as file:
    json.dump({"prompt": tokenizer.encode(text, add_special_tokens=False), "answers": answers}, file)
