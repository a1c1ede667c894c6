# SPDX-License-Identifier: Apache-2.0
"""Cases of the ops that read or write where indices say, and of running sums."""

import numpy as np

from _fovea import element
from _onnx import case
from _values import axis, shape, tensor

NUMBERS = ("f4", "f8", "i4", "i8")
REDUCTIONS = ("none", "add", "mul", "max", "min")


def some(rng, low, high):
    return int(rng.integers(low, high + 1))


def tuples(rng, lead, dims, t):
    """Indices into dims, [lead..., len(dims)], some of them negative"""
    return np.stack([rng.integers(-d, d, lead) for d in dims], -1).astype(t)


def gathers(rng):
    for i in range(12):
        x = tensor(rng, shape(rng, 1, 4, empty=False), rng.choice(("f4", "f2", "i1", "i8", "?")))
        batch = some(rng, 0, min(x.ndim - 1, 2))
        k = some(rng, 1, x.ndim - batch)
        lead = x.shape[:batch] + shape(rng, 0, 2)
        index = tuples(rng, lead, x.shape[batch : batch + k], "i8")
        yield case(
            "gather_nd",
            {"x": x, "i": index},
            element("gather_nd", x="x", indices="i", batch_dims=batch),
            [("GatherND", "x i", "y", {"batch_dims": batch})],
            eps=0,
        )
        at = axis(rng, x.ndim)
        dims = [some(rng, 1, d) for d in x.shape]
        dims[at] = some(rng, 1, 2 * x.shape[at])
        index = rng.integers(-x.shape[at], x.shape[at], dims).astype(("i4", "i8")[i % 2])
        yield case(
            "gather_elements",
            {"x": x, "i": index},
            element("gather_elements", x="x", indices="i", axis=at),
            [("GatherElements", "x i", "y", {"axis": at})],
            eps=0,
        )


def scatters(rng):
    """Without a reduction no element is written twice: ONNX says nothing of the order."""
    for i in range(30):
        reduction, t = REDUCTIONS[i % 5], NUMBERS[i % 4]
        bound = dict(eps=0 if reduction in ("none", "max", "min") else 64)
        x = tensor(rng, shape(rng, 1, 4, empty=False), t, -2, 2)
        k = some(rng, 1, x.ndim)
        places = int(np.prod(x.shape[:k]))
        if reduction == "none":
            flat = rng.permutation(places)[: some(rng, 0, places)]
            index = np.stack(np.unravel_index(flat, x.shape[:k]), -1).astype("i8")
        else:
            index = tuples(rng, shape(rng, 0, 2), x.shape[:k], "i8")
        update = tensor(rng, index.shape[:-1] + x.shape[k:], t, -2, 2)
        yield case(
            f"scatter_nd {reduction}",
            {"x": x, "i": index, "u": update},
            element("scatter_nd", x="x", indices="i", updates="u", reduction=reduction),
            [("ScatterND", "x i u", "y", {"reduction": reduction})],
            **bound,
        )
        at = axis(rng, x.ndim)
        dims = [some(rng, 1, d) for d in x.shape]
        if reduction == "none":
            order = rng.random(dims[:at] + [x.shape[at]] + dims[at + 1 or x.ndim :]).argsort(at)
            index = np.take(order, range(dims[at]), at)
        else:
            dims[at] = some(rng, 1, 2 * x.shape[at])
            index = rng.integers(-x.shape[at], x.shape[at], dims)
        update = tensor(rng, index.shape, t, -2, 2)
        yield case(
            f"scatter_elements {reduction}",
            {"x": x, "i": index.astype("i8"), "u": update},
            element(
                "scatter_elements", x="x", indices="i", updates="u", axis=at, reduction=reduction
            ),
            [("ScatterElements", "x i u", "y", {"axis": at, "reduction": reduction})],
            **bound,
        )


def running(rng):
    for i in range(16):
        x = tensor(rng, shape(rng, 1, 4), NUMBERS[i % 4], -2, 2)
        at, exclusive, reverse = axis(rng, x.ndim), bool(i & 4), bool(i & 8)
        yield case(
            "cumsum",
            {"x": x},
            element("cumsum", x="x", axis=at, exclusive=exclusive, reverse=reverse),
            [("CumSum", "x at", "y", {"exclusive": int(exclusive), "reverse": int(reverse)})],
            {"at": np.array(at)},
            eps=16,
            scale=float(np.abs(x).sum()),  # its terms may cancel
            symbolic=True,
        )
        x = tensor(rng, (some(rng, 2, 9), some(rng, 1, 9)), NUMBERS[i % 4], -2, 2)
        part = [f"x{k}" for k in range(len(x))]
        step = [part[0]] + [f"p{k}" for k in range(1, len(x))]
        yield case(
            "cumprod",
            {"x": x},
            element("cumprod", x="x", axis=0),
            [("Split", "x", " ".join(part), {"axis": 0, "num_outputs": len(x)})]
            + [("Mul", f"{step[k - 1]} {part[k]}", step[k]) for k in range(1, len(x))]
            + [("Concat", " ".join(step), "y", {"axis": 0})],
            eps=64,
        )


def cases(rng):
    for part in (gathers, scatters, running):
        yield from part(rng)
