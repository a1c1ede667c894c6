# SPDX-License-Identifier: Apache-2.0
"""Cases of the elementwise ops."""

import numpy as np

from _fovea import TYPES, element
from _onnx import case
from _values import FLOATS, INTS, broadcast_pair, shape, tensor

INEXACT = dict(eps=16, scale=1e-3)
# op: (ONNX operator, element types, range of the values or None, special values as well, bound)
UNARY = {
    "neg": ("Neg", FLOATS + ("i1", "i2", "i4", "i8"), None, True, dict(eps=0)),
    "abs": ("Abs", FLOATS + INTS, None, True, dict(eps=0)),
    "reciprocal": ("Reciprocal", FLOATS, None, True, INEXACT),
    "sqrt": ("Sqrt", FLOATS, None, True, INEXACT),
    "exp": ("Exp", FLOATS, (-100, 100), True, INEXACT),
    "log": ("Log", FLOATS, None, True, INEXACT),
    "erf": ("Erf", ("f4", "f2"), (-5, 5), True, INEXACT),
    "sin": ("Sin", FLOATS, (-50, 50), False, dict(eps=16, scale=1)),
    "cos": ("Cos", FLOATS, (-50, 50), False, dict(eps=16, scale=1)),
    "tanh": ("Tanh", FLOATS, (-20, 20), True, INEXACT),
    "sigmoid": ("Sigmoid", FLOATS, (-30, 30), True, dict(eps=16, scale=1)),
    "relu": ("Relu", FLOATS + ("i1", "i4"), None, True, dict(eps=0)),
    "hard_swish": ("HardSwish", ("f4", "f2"), (-8, 8), False, dict(eps=16, scale=1)),
    "softplus": ("Softplus", ("f4", "f2"), (-30, 80), True, dict(eps=16, scale=1)),
    "floor": ("Floor", FLOATS, (-1000, 1000), True, dict(eps=0)),
    "ceil": ("Ceil", FLOATS, (-1000, 1000), True, dict(eps=0)),
    "round": ("Round", FLOATS, (-1000, 1000), True, dict(eps=0)),
    "is_nan": ("IsNaN", FLOATS, None, True, dict(eps=0)),
}
# op: (ONNX operator, element types, bound)
BINARY = {
    "add": ("Add", FLOATS + INTS, dict(eps=1)),
    "sub": ("Sub", FLOATS + INTS, dict(eps=1)),
    "mul": ("Mul", FLOATS + INTS, dict(eps=1)),
    "div": ("Div", FLOATS, dict(eps=2)),
    "min": ("Min", FLOATS + ("i1", "u1", "i4", "i8"), dict(eps=0)),
    "max": ("Max", FLOATS + ("i1", "u1", "i4", "i8"), dict(eps=0)),
    "equal": ("Equal", FLOATS + INTS + ("?",), dict(eps=0)),
    "less": ("Less", FLOATS + INTS, dict(eps=0)),
    "less_or_equal": ("LessOrEqual", FLOATS + INTS, dict(eps=0)),
    "greater": ("Greater", FLOATS + INTS, dict(eps=0)),
    "greater_or_equal": ("GreaterOrEqual", FLOATS + INTS, dict(eps=0)),
}
LOGIC = {"and": ("And", "BitwiseAnd"), "or": ("Or", "BitwiseOr"), "xor": ("Xor", "BitwiseXor")}


def unary(rng):
    for op, (onnx, types, span, special, bound) in UNARY.items():
        for t in types:
            low, high = span if span else (None, None)
            x = tensor(rng, shape(rng), t, low, high, special)
            yield case(op, {"x": x}, element(op, x="x"), [(onnx, "x", "y")], symbolic=True, **bound)
    for t in ("?", "i1", "u1", "i4", "i8"):
        x = tensor(rng, shape(rng), t)
        yield case(
            "not",
            {"x": x},
            element("not", x="x"),
            [("Not" if t == "?" else "BitwiseNot", "x", "y")],
        )


def with_attributes(rng):
    for t in ("f4", "f2"):
        x = tensor(rng, shape(rng), t)
        # Composed of ONNX's Sigmoid and Mul, Swish being of opset 24 and a composition itself.
        yield case(
            "silu",
            {"x": x},
            element("silu", x="x"),
            [("Sigmoid", "x", "s"), ("Mul", "x s", "y")],
            eps=16,
            scale=1,
            symbolic=True,
        )
        yield case("silu", {"x": x}, element("silu", x="x"), [("Swish", "x", "y")], eps=16, scale=1)
        for form in ("none", "tanh"):
            yield case(
                "gelu",
                {"x": x},
                element("gelu", x="x", approximate=form),
                [("Gelu", "x", "y", {"approximate": form})],
                eps=16,
                scale=1,
                symbolic=True,
            )
        alpha, beta = float(rng.uniform(-1, 1)), float(rng.uniform(0, 1))
        special = tensor(rng, shape(rng), t, special=True)
        yield case(
            "leaky_relu",
            {"x": special},
            element("leaky_relu", x="x", alpha=alpha),
            [("LeakyRelu", "x", "y", {"alpha": alpha})],
            eps=2,
            scale=1e-3,
        )
        yield case(
            "hard_sigmoid",
            {"x": x},
            element("hard_sigmoid", x="x", alpha=abs(alpha), beta=beta),
            [("HardSigmoid", "x", "y", {"alpha": abs(alpha), "beta": beta})],
            eps=8,
            scale=1,
        )
    for t in FLOATS + ("i1", "u1", "i4", "i8"):
        x = tensor(rng, shape(rng), t, special=True)
        x[np.isinf(x)] = (
            1000  # a bound that is left out is none here, the largest finite number in ONNX
        )
        low, high = (float(v) for v in np.sort(rng.integers(0, 100, 2)))
        if rng.random() < 0.2:
            low, high = high, low  # ONNX: then everything is `max`
        for given in ({"min": low, "max": high}, {"min": low}, {"max": high}):
            more = {k: np.array(v, x.dtype) for k, v in given.items()}
            operands = "x " + " ".join(k if k in given else "-" for k in ("min", "max"))
            yield case(
                "clip",
                {"x": x},
                element("clip", x="x", **given),
                [("Clip", operands.removesuffix(" -"), "y")],
                more,
                eps=0,
            )


def binary(rng):
    for op, (onnx, types, bound) in BINARY.items():
        for t in types:
            a, b = (tensor(rng, s, t, special=True) for s in broadcast_pair(rng))
            yield case(
                op,
                {"a": a, "b": b},
                element(op, a="a", b="b"),
                [(onnx, "a b", "y")],
                scale=0,
                symbolic=True,
                **bound,
            )
    for op, onnx in LOGIC.items():
        for t in ("?",) + INTS:
            a, b = (tensor(rng, s, t) for s in broadcast_pair(rng))
            yield case(
                op, {"a": a, "b": b}, element(op, a="a", b="b"), [(onnx[t != "?"], "a b", "y")]
            )
    for op, onnx in (("div", "Div"), ("mod", "Mod")):
        for t in INTS:  # every sign; but not lowest / -1, which is undefined
            low, high = (0, 255) if t == "u1" else (-100, 100)
            a, b = (tensor(rng, s, t, low, high) for s in broadcast_pair(rng))
            b[b == 0] = 7
            yield case(
                op, {"a": a, "b": b}, element(op, a="a", b="b"), [(onnx, "a b", "y")], symbolic=True
            )
    for t in FLOATS:
        a, b = (tensor(rng, s, t) for s in broadcast_pair(rng))
        yield case(
            "pow",
            {"a": np.abs(a), "b": b},
            element("pow", a="a", b="b"),
            [("Pow", "a b", "y")],
            eps=64,
            scale=1e-3,
        )
        b = tensor(rng, b.shape, "i1", -3, 4).astype(t)  # bases below 0, whole exponents, 0 ^ 0
        a = np.round(a)
        yield case(
            "pow",
            {"a": a, "b": b},
            element("pow", a="a", b="b"),
            [("Pow", "a b", "y")],
            eps=64,
            scale=1e-3,
        )
        a, b = (tensor(rng, (17,), t, special=True) for _ in "ab")
        a[:4], b[:4] = (-2, 0, 1, np.inf), (0.5, 0, np.nan, 0)
        yield case(
            "pow",
            {"a": a, "b": b},
            element("pow", a="a", b="b"),
            [("Pow", "a b", "y")],
            eps=64,
            scale=1e-3,
        )
    for t in FLOATS + ("u1", "i4", "i8"):
        a, b = (tensor(rng, s, t, special=True) for s in broadcast_pair(rng))
        c = tensor(rng, np.broadcast_shapes(a.shape, b.shape), "?")
        yield case(
            "where",
            {"c": c, "a": a, "b": b},
            element("where", cond="c", a="a", b="b"),
            [("Where", "c a b", "y")],
            eps=0,
            symbolic=True,
        )


def casts(rng):
    """Where ONNX defines the result: what is out of range of an integer type is fovea's own rule."""
    onnx_type = {"f4": 1, "u1": 2, "i1": 3, "i2": 5, "i4": 6, "i8": 7, "?": 9, "f2": 10, "f8": 11}
    for source in FLOATS + INTS + ("?",):
        for to in FLOATS + INTS + ("?",):
            low, high = None, None
            if np.dtype(to).kind in "iu" and source != "?":
                low, high = (0, 127) if "u1" in (source, to) else (-128, 127)
            x = tensor(rng, shape(rng), source, low, high, special=low is None)
            name = TYPES[np.dtype(to).name]
            yield case(
                f"cast {source} {to}",
                {"x": x},
                element("cast", x="x", to=name),
                [("Cast", "x", "y", {"to": onnx_type[to]})],
                eps=0,
                symbolic=True,
            )
    # bf16 is no type of numpy: through it and back. Rounds to nearest, halves to even.
    x = tensor(rng, (999,), "f4", special=True)
    x[:4] = np.array([0x3F808000, 0x3F818000, 0x3F808001, 0x7F7FFFFF], "u4").view("f4")
    yield case(
        "cast bf16",
        {"x": x},
        element("cast", x="x", to="bf16", out="h") + element("cast", x="h", to="f32"),
        [("Cast", "x", "h", {"to": 16}), ("Cast", "h", "y", {"to": 1})],
        eps=0,
    )


def cases(rng):
    for part in (unary, with_attributes, binary, casts):
        yield from part(rng)
