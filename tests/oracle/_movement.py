# SPDX-License-Identifier: Apache-2.0
"""Cases of the ops that move elements, of reductions, arg_max and top_k."""

import numpy as np

from _fovea import element
from _onnx import case
from _values import FLOATS, axis, shape, tensor

ANY = FLOATS + ("i1", "u1", "i2", "i4", "i8", "?")


def ints(values):
    return np.array(values, np.int64).reshape(-1)


def any_type(rng):
    return ANY[int(rng.integers(len(ANY)))]


def new_shapes(rng):
    """reshape, flatten, squeeze, unsqueeze, transpose, expand"""
    for _ in range(6):
        x = tensor(rng, shape(rng, 1, 4), any_type(rng))
        rank = x.ndim
        cut = int(rng.integers(0, rank + 1))
        left = int(np.prod(x.shape[:cut]))
        dims = (left, -1) if x.size else (left, int(np.prod(x.shape[cut:])))
        yield case(
            "reshape",
            {"x": x},
            element("reshape", x="x", shape=dims),
            [("Reshape", "x shape", "y", {"allowzero": 1})],
            {"shape": ints(dims)},
        )
        at = int(rng.integers(-rank, rank + 1))
        yield case(
            "flatten",
            {"x": x},
            element("flatten", x="x", axis=at),
            [("Flatten", "x", "y", {"axis": at})],
        )
        axes = sorted(int(i) for i in rng.permutation(rank + 2)[:2])
        yield case(
            "unsqueeze",
            {"x": x},
            element("unsqueeze", x="x", axes=axes),
            [("Unsqueeze", "x axes", "y")],
            {"axes": ints(axes)},
            symbolic=True,
        )
        ones = x.reshape([d for d in x.shape[:1]] + [1] + list(x.shape[1:]) + [1])
        yield case(
            "squeeze",
            {"x": ones},
            element("squeeze", x="x", axes=(1, -1)),
            [("Squeeze", "x axes", "y")],
            {"axes": ints((1, -1))},
            symbolic=True,
        )
        perm = [int(i) for i in rng.permutation(rank)]
        yield case(
            "transpose",
            {"x": x},
            element("transpose", x="x", perm=perm),
            [("Transpose", "x", "y", {"perm": perm})],
            symbolic=True,
        )
        yield case("transpose", {"x": x}, element("transpose", x="x"), [("Transpose", "x", "y")])
        one = tensor(rng, [d if rng.random() < 0.6 else 1 for d in x.shape], x.dtype)
        to = (2,) + x.shape
        yield case(
            "expand",
            {"x": one},
            element("expand", x="x", shape=to),
            [("Expand", "x shape", "y")],
            {"shape": ints(to)},
        )


def parts(rng):
    """concat, split, slice, select, pad"""
    for _ in range(6):
        x = tensor(rng, shape(rng, 1, 4, empty=False), any_type(rng))
        rank, at = x.ndim, axis(rng, x.ndim)
        n = x.shape[at]
        several = {}
        for name in "pqr":
            dims = list(x.shape)
            dims[at] = int(rng.integers(0, 9))
            several[name] = tensor(rng, dims, x.dtype)
        yield case(
            "concat",
            several,
            element("concat", x="p, q, r", axis=at),
            [("Concat", "p q r", "y", {"axis": at})],
        )
        cuts = np.sort(rng.integers(0, n + 1, 2))
        sizes = [int(cuts[0]), int(cuts[1] - cuts[0]), int(n - cuts[1])]
        yield case(
            "split",
            {"x": x},
            element("split", "p, q, r", x="x", axis=at, sizes=sizes),
            [("Split", "x sizes", "p q r", {"axis": at})],
            {"sizes": ints(sizes)},
            outputs=("p", "q", "r"),
        )
        thrice = np.concatenate([x, x, x], at)
        yield case(
            "split",
            {"x": thrice},
            element("split", "p, q, r", x="x", axis=at, parts=3),
            [("Split", "x", "p q r", {"axis": at, "num_outputs": 3})],
            outputs=("p", "q", "r"),
        )
        start, end = (int(v) for v in rng.integers(-n - 2, n + 3, 2))
        step = int(rng.integers(1, 4))
        yield case(
            "slice",
            {"x": x},
            element("slice", x="x", axis=at, start=start, end=end, step=step),
            [("Slice", "x start end axes step", "y")],
            {"start": ints(start), "end": ints(end), "axes": ints(at), "step": ints(step)},
        )
        index = int(rng.integers(-n, n))
        yield case(
            "select",
            {"x": x},
            element("select", x="x", axis=at, index=index),
            [("Gather", "x index", "y", {"axis": at})],
            {"index": np.array(index)},
        )
        if x.dtype == np.int16:  # onnxruntime pads none
            x = x.astype(np.int32)
        pads = [int(rng.integers(-(d // 2), 4)) for d in x.shape] + [
            int(v) for v in rng.integers(0, 4, rank)
        ]
        value = int(rng.integers(0, 2))
        yield case(
            "pad",
            {"x": x},
            element("pad", x="x", pads=pads, value=value),
            [("Pad", "x pads value", "y")],
            {"pads": ints(pads), "value": np.array(value, x.dtype)},
        )


def made(rng):
    """range, fill, one_hot, trilu"""
    zero = {"x": tensor(rng, (), "i8", 0, 0)}  # a model has an input
    for _ in range(4):
        start, limit = (int(v) for v in rng.integers(-20, 20, 2))
        delta = int(rng.choice([-7, -3, -1, 1, 2, 5]))
        yield case(
            "range",
            zero,
            element("range", start=start, limit=limit, delta=delta),
            [("Range", "start limit delta", "y")],
            {"start": np.array(start), "limit": np.array(limit), "delta": np.array(delta)},
        )
        dims = shape(rng)
        yield case(
            "fill",
            zero,
            element("fill", value=1.5, shape=dims),
            [("Expand", "value shape", "y")],
            {"value": np.array(1.5, np.float32), "shape": ints(dims)},
        )
        depth = int(rng.integers(1, 9))
        ids = tensor(rng, shape(rng, 1, 3), "i8", -depth - 1, depth + 1)
        at = int(rng.integers(-ids.ndim - 1, ids.ndim + 1))
        yield case(
            "one_hot",
            {"x": ids},
            element("one_hot", ids="x", depth=depth, axis=at, on=5, off=-1),
            [("OneHot", "x depth values", "y", {"axis": at})],
            {"depth": ints(depth), "values": np.array([-1, 5], np.float32)},
        )
        for t in FLOATS + ("i4", "i8"):
            x = tensor(rng, shape(rng, 2, 4), t, special=True)
            k, upper = int(rng.integers(-4, 5)), bool(rng.integers(2))
            yield case(
                "trilu",
                {"x": x},
                element("trilu", x="x", upper=upper, k=k),
                [("Trilu", "x k", "y", {"upper": int(upper)})],
                {"k": np.array(k)},
                eps=0,
            )


def indexed(rng):
    """gather, embedding, tensor_scatter"""
    for _ in range(6):
        x = tensor(rng, shape(rng, 1, 3, empty=False), any_type(rng))
        at = axis(rng, x.ndim)
        n = x.shape[at]
        index = tensor(rng, shape(rng, 0, 2), rng.choice(["i4", "i8"]), -n, n - 1)
        yield case(
            "gather",
            {"x": x, "i": index},
            element("gather", x="x", indices="i", axis=at),
            [("Gather", "x i", "y", {"axis": at})],
        )
        rows, width = int(rng.integers(1, 30)), int(rng.integers(1, 40))
        table = tensor(rng, (rows, width), rng.choice(FLOATS))
        ids = tensor(rng, shape(rng, 0, 2), "i8", 0, rows - 1)
        yield case(
            "embedding",
            {"i": ids, "t": table},
            element("embedding", ids="i", table="t"),
            [("Gather", "t i", "y")],
        )
        b, old, width = (int(v) for v in rng.integers(1, 9, 3))
        new = int(rng.integers(1, old + 1))
        position = int(rng.integers(0, old - new + 1))
        past, update = (tensor(rng, (b, n, width), "f4") for n in (old, new))
        yield case(
            "tensor_scatter",
            {"p": past, "u": update},
            element("tensor_scatter", past="p", update="u", position=position),
            [("TensorScatter", "p u at", "y", {"axis": -2})],
            {"at": ints([position] * b)},
        )


def reductions(rng):
    exact, loose = dict(eps=0), dict(eps=64)
    types = {
        "sum": (FLOATS + ("i4", "i8"), loose),
        "prod": (FLOATS + ("i4", "i8"), loose),
        "mean": (FLOATS, loose),
        "max": (FLOATS + ("i1", "u1", "i4", "i8", "?"), exact),
        "min": (FLOATS + ("i1", "u1", "i4", "i8", "?"), exact),
    }
    for kind, (dtypes, bound) in types.items():
        for t in dtypes:
            for special in (False, True):
                x = tensor(rng, shape(rng, 1, 4, empty=kind in ("sum", "prod")), t, special=special)
                if x.dtype.kind == "i" and kind in ("sum", "prod"):
                    x = (
                        x % 3 - 1
                    )  # beyond its range onnxruntime saturates; fovea wraps, as NumPy does
                if special and x.dtype.kind == "f" and kind in ("max", "min"):
                    x[np.isnan(x)] = 0  # NaN wins, says ONNX's NumPy model; onnxruntime has no rule
                if kind == "prod" and x.dtype.kind == "f":
                    x = np.clip(x, -1.5, 1.5)
                axes = [int(a) for a in rng.permutation(x.ndim)[: int(rng.integers(0, x.ndim + 1))]]
                axes = [a - x.ndim if rng.random() < 0.3 else a for a in axes]
                keep = bool(rng.integers(2))
                if kind in ("sum", "mean") and x.dtype.kind == "f":
                    terms = x[np.isfinite(x)].astype("f8")  # they may cancel
                    bound = dict(eps=16, scale=float(np.abs(terms).sum()))
                yield case(
                    f"reduce_{kind}",
                    {"x": x},
                    element(f"reduce_{kind}", x="x", axes=axes or None, keepdims=keep),
                    [(f"Reduce{kind.title()}", "x axes", "y", {"keepdims": int(keep)})],
                    {"axes": ints(axes)},
                    symbolic=True,
                    **bound,
                )


def ordered(rng):
    """arg_max, arg_min, max_with_index, top_k: few values, so that many are equal"""
    for t in ("f4", "f8", "f2", "i1", "u1", "i4", "i8"):
        for op, onnx in (("arg_max", "ArgMax"), ("arg_min", "ArgMin")):
            x = tensor(rng, shape(rng, 1, 4, empty=False), "i1", 0, 5).astype(t)
            at, keep = axis(rng, x.ndim), bool(rng.integers(2))
            yield case(
                op,
                {"x": x},
                element(op, x="x", axis=at, keepdims=keep),
                [(onnx, "x", "y", {"axis": at, "keepdims": int(keep)})],
                symbolic=True,
                least=1,
            )
        at, keep = axis(rng, x.ndim), bool(rng.integers(2))
        yield case(
            "max_with_index",
            {"x": x},
            element("max_with_index", "y, i", x="x", axis=at, keepdims=keep),
            [
                ("ReduceMax", "x at", "y", {"keepdims": int(keep)}),
                ("ArgMax", "x", "i", {"axis": at, "keepdims": int(keep)}),
            ],
            {"at": ints(at)},
            outputs=("y", "i"),
            symbolic=True,
            least=1,
        )
        x = tensor(rng, shape(rng, 1, 3, empty=False), "i1", 0, 9).astype(t)
        for largest in (True, False):
            at = axis(rng, x.ndim)
            k = int(rng.integers(1, x.shape[at] + 1))
            yield case(
                "top_k",
                {"x": x},
                element("top_k", "v, i", x="x", k=k, axis=at, largest=largest),
                [("TopK", "x k", "v i", {"axis": at, "largest": int(largest)})],
                {"k": ints(k)},
                outputs=("v", "i"),
                eps=0,
            )


def cases(rng):
    for part in (new_shapes, parts, made, indexed, reductions, ordered):
        yield from part(rng)
