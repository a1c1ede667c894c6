# SPDX-License-Identifier: Apache-2.0
"""Random weights for a model whose published ones are too large to carry along.

  python3 random_weights.py bert_base FILE [--layers 12]

The same command gives the same bytes everywhere: the values are the raw output of the PCG64
generator, seeded by the tensor's own name, so fewer layers give the same values in those that stay.
Matrices and biases are uniform in +-0.035 (as BERT's start: deviation 0.02), norm weights 1 +- 0.1.
"""
import argparse
import hashlib

import numpy as np

import st


def bert(layers, width=768, ffn=3072, vocabulary=30522, positions=512):
    """{name: shape} of a BERT encoder with pooler, under the names of the published files."""
    shapes = {"embeddings.word_embeddings.weight": (vocabulary, width),
              "embeddings.position_embeddings.weight": (positions, width),
              "embeddings.token_type_embeddings.weight": (2, width)}

    def dense(name, out, inner):
        shapes[name + ".weight"], shapes[name + ".bias"] = (out, inner), (out,)

    def norm(name):
        shapes[name + ".weight"] = shapes[name + ".bias"] = (width,)

    norm("embeddings.LayerNorm")
    for i in range(layers):
        p = f"encoder.layer.{i}."
        for part in ("query", "key", "value"):
            dense(p + "attention.self." + part, width, width)
        dense(p + "attention.output.dense", width, width)
        norm(p + "attention.output.LayerNorm")
        dense(p + "intermediate.dense", ffn, width)
        dense(p + "output.dense", width, ffn)
        norm(p + "output.LayerNorm")
    dense("pooler.dense", width, width)
    return shapes


def values(name, shape):
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
    raw = np.random.PCG64(seed).random_raw(int(np.prod(shape)))
    unit = (raw >> 40).astype(np.float32) * np.float32(2 ** -23) - np.float32(1)   # 24 bits, -1..1
    if name.endswith("LayerNorm.weight"):
        out = np.float32(1) + unit * np.float32(0.1)
    else:
        out = unit * np.float32(0.035)
    return out.reshape(shape)


def tensors(layers):
    return {name: values(name, shape) for name, shape in bert(layers).items()}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("model", choices=["bert_base"])
    p.add_argument("file")
    p.add_argument("--layers", type=int, default=12)
    o = p.parse_args()
    st.save(o.file, tensors(o.layers), {"format": "pt"})


if __name__ == "__main__":
    main()
