# SPDX-License-Identifier: Apache-2.0
"""The models of models/ against PyTorch on fresh random inputs of fresh random sizes.

The networks are those that trained the stored weights, imported from models/train/;
PyTorch runs them in f32. Tokens must be equal, other results near. The seed is
printed; --seed repeats a run, --only picks cases. minilm needs its weights, which
`make demo` fetches.
"""

import sys

import numpy as np
import torch
from torch.nn import functional as F

import _fovea
from _fovea import ROOT, Case, st

import bert
import g2p
import se_cbam

MODELS = ROOT / "models"
MINILM = ROOT / "build" / "models" / "minilm.safetensors"


def network(module, name):
    """A network with the stored weights."""
    weights = st.load(MODELS / f"{name}.safetensors")
    module.load_state_dict({k: torch.tensor(v.astype(np.float32)) for k, v in weights.items()})
    return module.eval()


def calm(function):
    """A function of arrays, without gradients, whose results are arrays."""

    def call(*arrays):
        with torch.no_grad():
            return [t.numpy() for t in function(*(torch.tensor(a) for a in arrays))]

    return call


def model_case(name, graph, inputs, outputs, function, **keywords):
    """A case of a model of models/; `function` makes the expected results from the inputs."""
    values = list(inputs.values())
    return Case(
        f"{name} {graph}",
        inputs,
        f"<!-- {name} {graph} {[list(v.shape) for v in values]} -->",
        lambda: calm(function)(*values),
        outputs,
        model=(MODELS / f"{name}.xml", graph),
        **keywords,
    )


def digits(rng):
    for name in ("se_digits", "cbam_digits"):
        net = network(se_cbam.Net(*se_cbam.MODELS[name]), name)
        for n in (1, int(rng.integers(2, 6)), int(rng.integers(6, 40))):
            x = rng.random((n, 1, 8, 8), np.float32)
            yield model_case(
                name, "classify", {"x": x}, ("logits",), lambda x, net=net: [net(x)], eps=256
            )


def words(rng):
    """Random letters in rows of random lengths, one of them as long as the batch is wide."""
    b, s = int(rng.integers(1, 9)), int(rng.integers(1, 21))
    lengths = rng.integers(1, s + 1, b)
    lengths[int(rng.integers(b))] = s
    ids = rng.integers(1, g2p.LETTERS, (b, s)) * (np.arange(s) < lengths[:, None])
    return ids, lengths


def pronunciation(rng):
    net = network(g2p.Bahdanau(), "bahdanau")
    for _ in range(6):
        ids, lengths = words(rng)
        yield model_case(
            "bahdanau",
            "pronounce",
            {"ids": ids, "lengths": lengths},
            ("memory", "tokens", "align"),
            net.greedy,
            eps=1024,
        )


def translation(rng):
    net = network(g2p.Transformer(), "transformer")
    for _ in range(4):
        src, lengths = words(rng)
        tgt = rng.integers(1, g2p.SYMBOLS, (len(src), int(rng.integers(1, 33))))
        yield model_case(
            "transformer",
            "encode",
            {"src": src, "lengths": lengths},
            ("memory",),
            lambda *a: [net.encode(*a)],
            eps=256,
        )
        with torch.no_grad():
            memory = net.encode(torch.tensor(src), torch.tensor(lengths)).numpy()
        for graph in ("decode", "step"):  # a step with no past is the whole decoder
            yield model_case(
                "transformer",
                graph,
                {"memory": memory, "lengths": lengths, "tgt": tgt},
                ("probs",),
                lambda *a: [torch.softmax(net.decode(*a), -1)],
                eps=1024,
            )


def sentences(rng, longest):
    b, s = int(rng.integers(1, 4)), int(rng.integers(1, longest))
    lengths = rng.integers(1, s + 1, b)
    mask = (np.arange(s) < lengths[:, None]).astype(np.int64)
    return rng.integers(0, 30522, (b, s)), mask


def embedding(rng):
    weights = {}

    def function(ids, mask):
        if not MINILM.exists():
            raise _fovea.Unavailable("minilm: its weights are not there; `make demo` fetches them")
        if not weights:
            weights.update({k: torch.tensor(v) for k, v in st.load(MINILM).items()})
        x = bert.encode(weights, ids, torch.zeros_like(ids), mask, layers=6)
        return [F.normalize((x * mask[..., None]).sum(1) / mask.sum(1, keepdim=True))]

    for i in range(3):
        ids, mask = sentences(rng, 60)
        yield model_case(
            "minilm",
            "embed",
            {"ids": ids, "mask": mask},
            ("embedding",),
            function,
            eps=256,
            options=("--weights", str(MINILM)),
            backends=("llvm",) if i else (),
        )


def cases(rng):
    for part in (digits, pronunciation, translation, embedding):
        yield from part(rng)


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(_fovea.main(cases, __doc__))
