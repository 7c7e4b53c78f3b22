"""Scores of other methods on the same base, adapter, rows and queries; run by index.ts.

argv: base folder, PEFT folder, data (JSON {train, queries}: lists of token ids, all of one length), output folder.
Writes NumPy arrays float32 [queries, rows]: kronfluence (EK-FAC, its defaults), trak (its formula on Gaussian
projections, the ridge in the file's name), grad_dot, tf_idf. What is there already is not made again.
"""

import json
import os
import sys

import numpy as np
import torch
import torch.nn.functional as F
from kronfluence.analyzer import Analyzer, prepare_model
from kronfluence.arguments import FactorArguments, ScoreArguments
from kronfluence.task import Task
from peft import PeftModel
from sklearn.feature_extraction.text import TfidfVectorizer
from transformers import AutoModelForCausalLM

base, adapter, data, out = sys.argv[1:]
PROJECTED = 4096
RIDGES = (0.01, 0.1, 1.0, 10.0)
torch.manual_seed(0)
# Operators of a small model take microseconds: threads that wait for each other cost more than they give.
torch.set_num_threads(1)
with open(data, encoding="utf-8") as file:
    rows = json.load(file)
train, queries = torch.tensor(rows["train"]), torch.tensor(rows["queries"])


def load():
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32, attn_implementation="eager")
    model = PeftModel.from_pretrained(model, adapter)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("lora_" in name)
    return model.eval()


def path(name):
    return os.path.join(out, name + ".npy")


def lacks(*names):
    return not all(os.path.exists(path(name)) for name in names)


def save(name, scores):
    np.save(path(name), np.ascontiguousarray(scores, dtype=np.float32))


class Language(Task):
    def compute_train_loss(self, batch, model, sample=False):
        logits = model(input_ids=batch).logits[:, :-1].float().reshape(-1, model_vocab)
        labels = batch[:, 1:].reshape(-1)
        if sample:
            with torch.no_grad():
                labels = torch.multinomial(torch.softmax(logits.detach(), -1), 1).flatten()
        return F.cross_entropy(logits, labels, reduction="sum")

    def compute_measurement(self, batch, model):
        return self.compute_train_loss(batch, model)

    def get_influence_tracked_modules(self):
        return [n for n, m in plain.named_modules() if "lora_" in n and isinstance(m, torch.nn.Linear)]


plain = load()
model_vocab = plain.config.vocab_size


def gradients(tokens):
    """Per row: the gradient of the loss, and of the margin log(p / (1 - p)) that TRAK asks for, with 1 - p."""
    parameters = [p for p in plain.parameters() if p.requires_grad]
    losses, margins, weights = [], [], []
    for row in tokens:
        logits = plain(input_ids=row[None]).logits[0, :-1].float()
        log_p = F.log_softmax(logits, -1).gather(1, row[1:, None])[:, 0]
        margin = (log_p - torch.log1p(-log_p.exp().clamp(max=1 - 1e-6))).sum()
        for value, to in ((-log_p.sum(), losses), (margin, margins)):
            grads = torch.autograd.grad(value, parameters, retain_graph=to is losses)
            to.append(torch.cat([g.flatten() for g in grads]))
        weights.append(1 - log_p.exp().mean().item())
    return torch.stack(losses), torch.stack(margins), torch.tensor(weights)


if lacks("grad_dot", *(f"trak_{ridge:g}" for ridge in RIDGES)):
    train_loss, train_margin, train_weight = gradients(train)
    query_loss, query_margin, _ = gradients(queries)
    save("grad_dot", query_loss @ train_loss.T)

    features = torch.zeros(len(train), PROJECTED), torch.zeros(len(queries), PROJECTED)
    for start in range(0, train_margin.shape[1], 4096):
        part = slice(start, start + 4096)
        projection = torch.randn(train_margin[:, part].shape[1], PROJECTED)
        features[0].add_(train_margin[:, part] @ projection)
        features[1].add_(query_margin[:, part] @ projection)
    phi, phi_query = (f / PROJECTED**0.5 for f in features)
    gram = phi.T @ phi
    mean = gram.diagonal().mean()
    for ridge in RIDGES:
        solved = torch.linalg.solve(gram + ridge * mean * torch.eye(PROJECTED), phi.T)
        save(f"trak_{ridge:g}", (phi_query @ solved) * train_weight)

if lacks("tf_idf"):
    texts = [" ".join(map(str, row)) for row in rows["train"]]
    vectors = TfidfVectorizer(token_pattern=r"\S+", sublinear_tf=True).fit(texts)
    asked = vectors.transform([" ".join(map(str, row)) for row in rows["queries"]])
    save("tf_idf", (asked @ vectors.transform(texts).T).toarray())

if lacks("kronfluence"):
    task = Language()
    model = prepare_model(load(), task)
    analyzer = Analyzer("peers", model, task, output_dir=os.path.join(out, "kronfluence"), cpu=True, disable_tqdm=True)
    analyzer.fit_all_factors("ekfac", train, per_device_batch_size=16, factor_args=FactorArguments("ekfac"), overwrite_output_dir=True)
    analyzer.compute_pairwise_scores(
        "scores", "ekfac", queries, train,
        per_device_query_batch_size=20, per_device_train_batch_size=16,
        score_args=ScoreArguments(), overwrite_output_dir=True,
    )
    save("kronfluence", analyzer.load_pairwise_scores("scores")["all_modules"])
