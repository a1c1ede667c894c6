# SPDX-License-Identifier: Apache-2.0
"""Cases of products, convolutions, pooling, softmax and norms."""

import numpy as np

from _fovea import element
from _onnx import case
from _values import FLOATS, axis, shape, tensor


def sizes(rng, count, high):
    return [int(v) for v in rng.integers(1, high, count)]


def products(rng):
    for t in FLOATS + ("f4", "f4", "i4", "i8"):
        low, high = (-50, 50) if t[0] == "i" else (None, None)
        m, k, n = sizes(rng, 3, 70)
        for a, b in (
            ((m, k), (k, n)),
            ((k,), (3, k, n)),
            ((2, 1, m, k), (3, k, n)),
            ((m, k), (k,)),
            ((1, k), (k, n)),
            ((2, m, 0), (0, n)),
            ((k,), (k,)),
        ):
            p, q = (tensor(rng, s, t, low, high) for s in (a, b))
            yield case(
                "matmul",
                {"a": p, "b": q},
                element("matmul", a="a", b="b"),
                [("MatMul", "a b", "y")],
                eps=64,
                symbolic=True,
            )
    for t in FLOATS:
        m, k, n = sizes(rng, 3, 40)
        for ta in (False, True):
            for tb in (False, True):
                a = tensor(rng, (k, m) if ta else (m, k), t)
                b = tensor(rng, (n, k) if tb else (k, n), t)
                c = tensor(rng, [(), (n,), (m, 1), (m, n)][int(rng.integers(4))], t)
                alpha, beta = (float(np.float32(v)) for v in rng.uniform(-2, 2, 2))
                yield case(
                    "gemm",
                    {"a": a, "b": b, "c": c},
                    element(
                        "gemm", a="a", b="b", c="c", alpha=alpha, beta=beta, trans_a=ta, trans_b=tb
                    ),
                    [
                        (
                            "Gemm",
                            "a b c",
                            "y",
                            {"alpha": alpha, "beta": beta, "transA": int(ta), "transB": int(tb)},
                        )
                    ],
                    eps=64,
                )
        x, w, b = tensor(rng, (2, m, k), t), tensor(rng, (n, k), t), tensor(rng, (n,), t)
        yield case(
            "linear",
            {"x": x, "w": w, "b": b},
            element("linear", x="x", w="w", b="b"),
            [("Transpose", "w", "wt"), ("MatMul", "x wt", "p"), ("Add", "p b", "y")],
            eps=64,
            symbolic=True,
        )
        a, b = tensor(rng, (2, 3, m, k), t), tensor(rng, (2, 1, k, n), t)
        mask = tensor(rng, (m, k), "?")
        yield case(
            "masked_matmul",
            {"a": a, "b": b, "m": mask},
            element("masked_matmul", a="a", b="b", mask="m"),
            [("Where", "m a zero", "am"), ("MatMul", "am b", "y")],
            {"zero": np.array(0, t)},
            eps=64,
        )


def integer_products(rng):
    # onnxruntime takes one zero point of a, not one a row (which is a difference first), and
    # leaves a product over nothing unwritten. Without VNNI it adds two products of u8 and i8 in
    # 16 bits, which saturate beyond 64.
    for t, u in (("u1", "u1"), ("u1", "i1"), ("i1", "i1"), ("i1", "u1")):
        low, high = (-64, 64) if (t, u) == ("u1", "i1") else (None, None)
        m, k, n = sizes(rng, 3, 70)
        for first, second, columns in (
            ((m, k), (k, n), n),
            ((2, 3, m, k), (k, n), n),
            ((2, 1, m, k), (3, k, n), None),
            ((1, k), (k, n), None),
        ):
            a, b, za = tensor(rng, first, t), tensor(rng, second, u, low, high), tensor(rng, (), t)
            zb = tensor(rng, () if columns is None else (columns,), u)
            yield case(
                "matmul_integer",
                {"a": a, "b": b, "p": za, "q": zb},
                element("matmul_integer", a="a", b="b", a_zero_point="p", b_zero_point="q"),
                [("MatMulInteger", "a b p q", "y")],
                symbolic=True,
            )
        a, b, za = tensor(rng, (m, k), t), tensor(rng, (k, n), u, low, high), tensor(rng, (m,), t)
        yield case(
            "matmul_integer",
            {"a": a, "b": b, "p": za},
            element("matmul_integer", a="a", b="b", a_zero_point="p"),
            [
                ("Cast", "a", "ai", {"to": 6}),
                ("Cast", "b", "bi", {"to": 6}),
                ("Cast", "p", "pi", {"to": 6}),
                ("Unsqueeze", "pi last", "pc"),
                ("Sub", "ai pc", "d"),
                ("MatMul", "d bi", "y"),
            ],
            {"last": np.array([1])},
        )
        yield case(
            "matmul_integer",
            {"a": a, "b": b},
            element("matmul_integer", a="a", b="b"),
            [("MatMulInteger", "a b", "y")],
        )


def same_pads(extent, kernel, stride, dilation, upper):
    """ONNX's auto_pad SAME_UPPER and SAME_LOWER."""
    total = max(0, (-(-extent // stride) - 1) * stride + (kernel - 1) * dilation + 1 - extent)
    return (total // 2, total - total // 2) if upper else (total - total // 2, total // 2)


def convolutions(rng):
    for i in range(14):
        rank = (1, 2, 2, 3)[i % 4]
        group = (1, 1, 2, 3)[int(rng.integers(4))]
        c, m = group * int(rng.integers(1, 7)), group * int(rng.integers(1, 12))
        if i % 5 == 4:  # depthwise
            group = c = int(rng.integers(1, 40))
            m = c * int(rng.integers(1, 3))
        kernel, strides, dilations = (sizes(rng, rank, h) for h in (5, 4, 3))
        extents = [
            (k - 1) * d + 1 + int(v)
            for k, d, v in zip(kernel, dilations, rng.integers(0, 14 // rank, rank))
        ]
        pads = [int(v) for v in rng.integers(0, 4, 2 * rank)]
        inputs = {
            "x": tensor(rng, [int(rng.integers(1, 4)), c] + extents, "f4"),
            "w": tensor(rng, [m, c // group] + kernel, "f4"),
            "b": tensor(rng, (m,), "f4"),
        }
        own = dict(x="x", w="w", b="b", strides=strides, group=group)
        onnx = {"strides": strides, "dilations": dilations, "group": group}
        yield case(
            "conv",
            inputs,
            element("conv", **own, dilations=dilations, pads=pads),
            [("Conv", "x w b", "y", {**onnx, "pads": pads})],
            eps=128,
        )
        upper = bool(rng.integers(2))  # onnxruntime takes SAME without dilations only
        both = [same_pads(e, k, s, 1, upper) for e, k, s in zip(extents, kernel, strides)]
        del onnx["dilations"]
        yield case(
            "conv auto_pad",
            inputs,
            element("conv", **own, pads=[p[0] for p in both] + [p[1] for p in both]),
            [("Conv", "x w b", "y", {**onnx, "auto_pad": f"SAME_{'UPPER' if upper else 'LOWER'}"})],
            eps=128,
        )


def pools(rng):
    for i in range(12):
        rank = (1, 2, 2, 3)[i % 4]
        kernel, strides, dilations = (sizes(rng, rank, h) for h in (5, 4, 3))
        spread = [(k - 1) * d + 1 for k, d in zip(kernel, dilations)]
        extents = [s + int(v) for s, v in zip(spread, rng.integers(0, 14 // rank, rank))]
        pads = [int(rng.integers(0, k)) for k in kernel * 2]
        x = tensor(rng, sizes(rng, 2, 5) + extents, ("f4", "f8")[i % 2])
        window = dict(kernel_shape=kernel, strides=strides, pads=pads)
        yield case(
            "max_pool",
            {"x": x},
            element("max_pool", x="x", dilations=dilations, **window),
            [("MaxPool", "x", "y", {"dilations": dilations, **window})],
            eps=0,
        )
        small = tensor(rng, x.shape, "i1")
        if rank == 2:
            yield case(
                "max_pool",
                {"x": small},
                element("max_pool", x="x", **window),
                [("MaxPool", "x", "y", window)],
            )
        x = x.astype("f4")
        for count in (False, True):
            yield case(
                "average_pool",
                {"x": x},
                element("average_pool", x="x", count_include_pad=count, **window),
                [("AveragePool", "x", "y", {"count_include_pad": int(count), **window})],
            )
        # ceil_mode: the windows that begin inside count, so the end pads grow to hold the last one.
        more = [
            -(e + b + f - k) % s
            for e, b, f, k, s in zip(extents, pads[:rank], pads[rank:], kernel, strides)
        ]
        ends = [
            f + m if (e + b + f + m - k) // s * s < e + b else f
            for e, b, f, m, k, s in zip(extents, pads[:rank], pads[rank:], more, kernel, strides)
        ]
        yield case(
            "max_pool ceil_mode",
            {"x": x},
            element(
                "max_pool", x="x", kernel_shape=kernel, strides=strides, pads=pads[:rank] + ends
            ),
            [("MaxPool", "x", "y", {"ceil_mode": 1, **window})],
            eps=0,
        )
        yield case(
            "global_average_pool",
            {"x": x},
            element("global_average_pool", x="x"),
            [("GlobalAveragePool", "x", "y")],
            symbolic=True,
        )
        yield case(
            "global_max_pool",
            {"x": x},
            element("global_max_pool", x="x"),
            [("GlobalMaxPool", "x", "y")],
            eps=0,
            symbolic=True,
        )


def softmaxes(rng):
    for t in FLOATS * 3:
        x = tensor(rng, shape(rng, 1, 4), t)
        wide = x * np.array(100, t)
        hidden = x.copy()
        hidden[rng.random(x.shape) < 0.3] = -np.inf  # a row of nothing else is NaN
        for op, onnx in (("softmax", "Softmax"), ("log_softmax", "LogSoftmax")):
            for values in (x, wide) if op == "log_softmax" else (x, wide, hidden):
                at = axis(rng, x.ndim)
                yield case(
                    op,
                    {"x": values},
                    element(op, x="x", axis=at),
                    [(onnx, "x", "y", {"axis": at})],
                    eps=64,
                    symbolic=True,
                )
        p = int(rng.integers(1, 3))
        if x.size and t != "f2":
            yield case(
                "lp_normalize",
                {"x": x},
                element("lp_normalize", x="x", axis=-1, p=p),
                [("LpNormalization", "x", "y", {"axis": -1, "p": p})],
                eps=64,
                symbolic=True,
            )


def moments(rng):
    for t in FLOATS * 3:
        x = tensor(rng, shape(rng, 1, 4, empty=False), t)
        at = axis(rng, x.ndim)
        keep = int(rng.integers(2))
        yield case(
            "moments",
            {"x": x + np.array(rng.choice([0, 3]), t)},
            element("moments", x="x", axes=at, keepdims=bool(keep), out="y, v"),
            [
                ("ReduceMean", "x at", "y", {"keepdims": keep}),
                ("ReduceMean", "x at", "m"),
                ("Sub", "x m", "d"),
                ("Mul", "d d", "dd"),
                ("ReduceMean", "dd at", "v", {"keepdims": keep}),
            ],
            {"at": np.array([at])},
            outputs=("y", "v"),
            eps=64,
            symbolic=True,
        )


def norms(rng):
    epsilon = 2.0**-10  # ONNX keeps it as an f32
    for t in FLOATS * 3:
        x = tensor(rng, shape(rng, 2, 4, empty=False), t)
        at = int(rng.integers(1, x.ndim))
        s, b = tensor(rng, x.shape[at:], t), tensor(rng, x.shape[at:], t)
        yield case(
            "layer_norm",
            {"x": x, "s": s, "b": b},
            element("layer_norm", x="x", scale="s", bias="b", axis=at, epsilon=epsilon),
            [("LayerNormalization", "x s b", "y", {"axis": at, "epsilon": epsilon})],
            eps=64,
            symbolic=True,
        )
        yield case(
            "rms_norm",
            {"x": x, "s": s},
            element("rms_norm", x="x", scale="s", axis=at - x.ndim, epsilon=epsilon),
            [("RMSNormalization", "x s", "y", {"axis": at - x.ndim, "epsilon": epsilon})],
            eps=64,
            symbolic=True,
        )
        c = x.shape[1]
        four = {k: tensor(rng, (c,), t) for k in "sbm"}
        four["v"] = tensor(rng, (c,), t, 0.1, 2)
        yield case(
            "batch_norm",
            {"x": x, **four},
            element("batch_norm", x="x", scale="s", bias="b", mean="m", var="v", epsilon=epsilon),
            [("BatchNormalization", "x s b m v", "y", {"epsilon": epsilon})],
            eps=64,
            symbolic=True,
        )
    for _ in range(3):  # what has no op of its own is a graph of others
        groups, n = int(rng.integers(1, 5)), int(rng.integers(1, 4))
        c = groups * int(rng.integers(1, 6))
        x = tensor(rng, [n, c] + sizes(rng, 2, 9), "f4")
        s, b = tensor(rng, (c,), "f4"), tensor(rng, (c,), "f4")
        for name, g, onnx in (
            ("GroupNormalization", groups, {"num_groups": groups}),
            ("InstanceNormalization", c, {}),
        ):
            yield case(
                name,
                {"x": x, "s": s, "b": b},
                in_groups(x.shape, g, epsilon),
                [(name, "x s b", "y", {"epsilon": epsilon, **onnx})],
                eps=128,
            )


def in_groups(dims, groups, epsilon):
    return " ".join(
        [
            element("reshape", "g", x="x", shape=(dims[0], groups, -1)),
            element("reduce_mean", "mean", x="g", axes=-1),
            element("sub", "d", a="g", b="mean"),
            element("mul", "dd", a="d", b="d"),
            element("reduce_mean", "var", x="dd", axes=-1),
            element("add", "e", a="var", b=epsilon),
            element("sqrt", "root", x="e"),
            element("div", "n", a="d", b="root"),
            element("reshape", "u", x="n", shape=dims),
            element("unsqueeze", "s1", x="s", axes=(1, 2)),
            element("unsqueeze", "b1", x="b", axes=(1, 2)),
            element("mul", "us", a="u", b="s1"),
            element("add", a="us", b="b1"),
        ]
    )


def cases(rng):
    for part in (products, integer_products, convolutions, pools, softmaxes, moments, norms):
        yield from part(rng)
