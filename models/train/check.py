# SPDX-License-Identifier: Apache-2.0
"""Recomputes every golden from the stored weights with numpy alone, in double precision.

  python3 check.py [MODEL ...] [--dir ..] [--weights DIR]

A second reading of each model, written from the graphs and not from the training scripts: it shows that
the conventions hold as written down. bert_base and minilm are checked where --weights has their files.
Prints the largest difference of every output; more than 1e-4, or another token, is an error.
"""
import argparse
import math
import pathlib
import sys

import numpy as np

import random_weights
import st

erf = np.vectorize(math.erf, otypes=[float])


def linear(x, w, p):
    return x @ w[p + ".weight"].T + w.get(p + ".bias", 0)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def layer_norm(x, w, p, eps):
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * w[p + ".weight"] + w[p + ".bias"]


def conv(x, k, bias=None, stride=1, pad=0):
    n, _, h, width = x.shape
    x = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    out = np.zeros((n, k.shape[0], (h + 2 * pad - k.shape[2]) // stride + 1,
                    (width + 2 * pad - k.shape[3]) // stride + 1))
    for i in range(k.shape[2]):
        for j in range(k.shape[3]):
            part = x[:, :, i:i + stride * out.shape[2]:stride, j:j + stride * out.shape[3]:stride]
            out += np.einsum("nchw,oc->nohw", part[:, :, :out.shape[2], :out.shape[3]], k[:, :, i, j])
    return out if bias is None else out + bias[:, None, None]


def digits(w, x, gate):
    def bn(x, p):
        part = lambda n: w[f"{p}.{n}"][:, None, None]
        return (x - part("running_mean")) / np.sqrt(part("running_var") + 1e-5) * part("weight") + part("bias")

    def se(x, p):
        s = x.mean((2, 3), keepdims=True)
        r = np.maximum(conv(s, w[p + ".fc1.weight"], w[p + ".fc1.bias"]), 0)
        return x * sigmoid(conv(r, w[p + ".fc2.weight"], w[p + ".fc2.bias"]))

    def cbam(x, p):
        mlp = lambda s: conv(np.maximum(conv(s, w[p + ".fc1.weight"]), 0), w[p + ".fc2.weight"])
        x = x * sigmoid(mlp(x.mean((2, 3), keepdims=True)) + mlp(x.max((2, 3), keepdims=True)))
        pooled = np.concatenate([x.mean(1, keepdims=True), x.max(1, keepdims=True)], 1)
        return x * sigmoid(conv(pooled, w[p + ".spatial.weight"], pad=3))

    x = np.maximum(bn(conv(x, w["stem.conv.weight"], pad=1), "stem.bn"), 0)
    for p, stride in (("block1", 1), ("block2", 2), ("block3", 1)):
        y = np.maximum(bn(conv(x, w[p + ".conv1.weight"], stride=stride, pad=1), p + ".bn1"), 0)
        y = bn(conv(y, w[p + ".conv2.weight"], pad=1), p + ".bn2")
        y = {"se": se, "cbam": cbam}[gate](y, f"{p}.{gate}")
        if stride == 2:
            x = bn(conv(x, w[p + ".shortcut.conv.weight"], stride=2), p + ".shortcut.bn")
        x = np.maximum(x + y, 0)
    return linear(x.mean((2, 3)), w, "head")


def gru_cell(x, h, w, r, wb, rb):
    xr, xz, xn = np.split(x @ w.T + wb, 3, -1)
    hr, hz, hn = np.split(h @ r.T + rb, 3, -1)
    z = sigmoid(xz + hz)
    return (1 - z) * np.tanh(xn + sigmoid(xr + hr) * hn) + z * h


def bahdanau(w, ids, lengths, sos=1, eos=2, steps=20):
    b, s = ids.shape
    x = w["enc.embed.weight"][ids]

    def direction(suffix, order):
        h, out = np.zeros((b, 128)), np.zeros((b, s, 128))
        for t in order:
            new = gru_cell(x[:, t], h, *(w[f"enc.gru.{n}_l0{suffix}"] for n in
                                         ("weight_ih", "weight_hh", "bias_ih", "bias_hh")))
            live = (t < lengths)[:, None]
            h, out[:, t] = np.where(live, new, h), np.where(live, new, 0)
        return h, out

    _, forward = direction("", range(s))
    first, backward = direction("_reverse", reversed(range(s)))
    memory = np.concatenate([forward, backward], -1)
    h = np.tanh(linear(first, w, "bridge"))
    keys = linear(memory, w, "attn.memory")
    seen = np.arange(s) < lengths[:, None]
    last, done, tokens, align = np.full(b, sos), np.zeros(b, bool), [], []
    while len(tokens) < steps and not done.all():
        score = np.tanh(linear(h, w, "attn.query")[:, None] + keys) @ w["attn.v"]
        a = softmax(np.where(seen, score, -np.inf))
        context = np.einsum("bs,bsd->bd", a, memory)
        u = np.concatenate([w["dec.embed.weight"][last], context], -1)
        h = gru_cell(u, h, *(w["dec.gru." + n] for n in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")))
        last = np.where(done, 0, linear(h, w, "dec.out").argmax(-1))
        done = done | (last == eos)
        tokens.append(last)
        align.append(a)
    return {"memory": memory, "tokens": np.stack(tokens, 1), "align": np.stack(align, 1)}


def attention(q, k, v, heads, mask):
    split = lambda x: x.reshape(*x.shape[:2], heads, -1).swapaxes(1, 2)
    q, k, v = split(q), split(k), split(v)
    score = q @ k.swapaxes(-1, -2) / math.sqrt(q.shape[-1])
    a = softmax(np.where(mask, score, -np.inf)) @ v
    return a.swapaxes(1, 2).reshape(*a.swapaxes(1, 2).shape[:2], -1)


class Transformer:
    def __init__(self, w, lengths):
        self.w, self.lengths, self.cache = w, lengths, [None, None]

    def embed(self, table, ids, past=0):
        return self.w[table][ids] * math.sqrt(96) + self.w["positions"][past:past + ids.shape[1]]

    def rest(self, x, a, p, norms, memory=None, seen=None):
        w = self.w
        x = layer_norm(x + linear(a, w, p + "self.o"), w, p + "norm1", 1e-5)
        if memory is not None:
            c = attention(linear(x, w, p + "cross.q"), linear(memory, w, p + "cross.k"),
                          linear(memory, w, p + "cross.v"), 4, seen)
            x = layer_norm(x + linear(c, w, p + "cross.o"), w, p + "norm2", 1e-5)
        f = linear(np.maximum(linear(x, w, p + "ffn.up"), 0), w, p + "ffn.down")
        return layer_norm(x + f, w, p + norms, 1e-5)

    def seen(self, s):
        return (np.arange(s) < self.lengths[:, None])[:, None, None]

    def encode(self, src):
        x = self.embed("src.embed.weight", src)
        for i in range(2):
            p = f"enc.{i}."
            q, k, v = (linear(x, self.w, p + "self." + n) for n in "qkv")
            x = self.rest(x, attention(q, k, v, 4, self.seen(src.shape[1])), p, "norm2")
        return x

    def step(self, memory, new):
        """The distributions after the new tokens; keys and values of the earlier ones are in the cache."""
        past = 0 if self.cache[0] is None else self.cache[0][0].shape[1]
        x = self.embed("tgt.embed.weight", new, past)
        for i in range(2):
            p = f"dec.{i}."
            q, k, v = (linear(x, self.w, p + "self." + n) for n in "qkv")
            if past:
                k, v = (np.concatenate(pair, 1) for pair in zip(self.cache[i], (k, v)))
            self.cache[i] = (k, v)
            causal = np.arange(k.shape[1]) <= np.arange(q.shape[1])[:, None] + past
            x = self.rest(x, attention(q, k, v, 4, causal), p, "norm3", memory, self.seen(memory.shape[1]))
        return softmax(x @ self.w["tgt.embed.weight"].T)


def transformer(w, src, lengths, tgt):
    memory = Transformer(w, lengths).encode(src)
    probs = Transformer(w, lengths).step(memory, tgt)       # all at once
    cached, tokens = Transformer(w, lengths), []            # one by one
    last, done = np.full(len(src), 1), np.zeros(len(src), bool)
    while len(tokens) < 20 and not done.all():
        last = np.where(done, 0, cached.step(memory, last[:, None])[:, 0].argmax(-1))
        done = done | (last == 2)
        tokens.append(last)
    return {"memory": memory, "probs": probs, "tokens": np.stack(tokens, 1)}


def bert(w, ids, types, mask, layers):
    norm = lambda x, p: layer_norm(x, w, p, 1e-12)
    x = norm(w["embeddings.word_embeddings.weight"][ids] + w["embeddings.token_type_embeddings.weight"][types]
             + w["embeddings.position_embeddings.weight"][:ids.shape[1]], "embeddings.LayerNorm")
    seen = (mask != 0)[:, None, None]
    for i in range(layers):
        p = f"encoder.layer.{i}."
        q, k, v = (linear(x, w, p + "attention.self." + n) for n in ("query", "key", "value"))
        o = linear(attention(q, k, v, 12, seen), w, p + "attention.output.dense")
        x = norm(x + o, p + "attention.output.LayerNorm")
        u = linear(x, w, p + "intermediate.dense")
        f = linear(u * (1 + erf(u / math.sqrt(2))) / 2, w, p + "output.dense")
        x = norm(x + f, p + "output.LayerNorm")
    return x


def minilm(w, ids, mask, layers):
    x = bert(w, ids, np.zeros_like(ids), mask, layers)
    mean = (x * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
    return mean / np.sqrt((mean * mean).sum(-1, keepdims=True))


def bert_base(w, ids, types, mask, layers):
    x = bert(w, ids, types, mask, layers)
    return {"hidden": x, "pooled": np.tanh(linear(x[:, 0], w, "pooler.dense"))}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("model", nargs="*")
    p.add_argument("--dir", default=pathlib.Path(__file__).resolve().parent.parent, type=pathlib.Path)
    p.add_argument("--weights", type=pathlib.Path, help="where minilm.safetensors is")
    o = p.parse_args()
    bad = 0
    for name in o.model or ["se_digits", "cbam_digits", "bahdanau", "transformer"]:
        g = st.load(o.dir / f"{name}.golden.safetensors")
        if name.startswith("bert_base"):
            raw = random_weights.tensors(int(name[10:] or 12))
        else:
            stem = name.split("_")[0] if name.startswith("minilm") else name
            raw = st.load((o.weights if stem == "minilm" else o.dir) / f"{stem}.safetensors")
        w = {k: v.astype(np.float64) for k, v in raw.items()}
        if name.endswith("_digits"):
            gate = name.split("_")[0]
            got = {"logits": digits(w, g["x"].astype(float), gate)}
            test = st.load(o.dir / "digits_test.safetensors")
            z = digits(w, test["images"][:, None] / 16.0, gate)
            right = (z.argmax(-1) == test["labels"]).sum()
            print(f"{name}: {right} of {len(z)} test images right ({100 * right / len(z):.2f} %)")
            top = np.sort(z, -1)
            print(f"{name}: smallest gap between first and second {(top[:, -1] - top[:, -2]).min():.2g}")
        elif name == "bahdanau":
            got = bahdanau(w, g["ids"], g["lengths"])
        elif name == "transformer":
            got = transformer(w, g["src"], g["lengths"], g["tgt"])
        elif name.startswith("minilm"):
            got = {"embedding": minilm(w, g["ids"], g["mask"], int(name[7:] or 6))}
        else:
            got = bert_base(w, g["ids"], g["types"], g["mask"], int(name[10:] or 12))
        for key, value in got.items():
            want = g[key]
            same = value.shape == want.shape
            worst = np.abs(value - want).max() if same else math.inf
            ok = worst <= (0 if want.dtype.kind == "i" else 1e-4)
            bad += not ok
            print(f"{name}: {key} {list(want.shape)} {want.dtype}: {worst:.2g} {'ok' if ok else 'WRONG'}")
    sys.exit(bad != 0)


if __name__ == "__main__":
    main()
