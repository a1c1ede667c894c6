# SPDX-License-Identifier: Apache-2.0
"""Cases of dims as values, of numbers that the run computes, and of `if`."""

import numpy as np

from _fovea import element
from _onnx import Region, case
from _values import axis, shape, tensor


def dims_as_values(rng):
    """shape, size"""
    for _ in range(4):
        x = tensor(rng, shape(rng, 0, 4), "f4")
        start, end = (int(n) for n in rng.integers(-5, 6, 2))
        if x.ndim and max(end + (end < 0) * x.ndim, 0) >= max(start + (start < 0) * x.ndim, 0):
            yield case(
                "shape",
                {"x": x},
                element("shape", x="x", start=start, end=end),
                [("Shape", "x", "y", {"start": start, "end": end})],
                symbolic=True,
            )
        yield case("shape", {"x": x}, element("shape", x="x"), [("Shape", "x", "y")], symbolic=True)
        yield case("size", {"x": x}, element("size", x="x"), [("Size", "x", "y")], symbolic=True)


def numbers_of_the_run(rng):
    """item: the end of a slice, and what is computed from as many rows"""
    for _ in range(6):
        x = tensor(rng, shape(rng, 1, 3, empty=False), "f4")
        at = axis(rng, x.ndim)
        most = x.shape[at]
        n = np.array([rng.integers(0, most + 1)], "i8")
        yield case(
            "item",
            {"x": x, "i": n},
            f'<item name="n" x="i" max="{most}"/>'
            + element("slice", "part", x="x", axis=at, end="n")
            + element("exp", x="part")
            + element("reduce_sum", "s", x="y", axes=at, keepdims=False),
            [
                ("Slice", "x zero i axis", "part"),
                ("Exp", "part", "y"),
                ("ReduceSum", "y axis", "s", {"keepdims": 0}),
            ],
            {"zero": np.array([0], "i8"), "axis": np.array([at], "i8")},
            outputs=("y", "s"),
        )


def either(rng):
    """if: arms that use values from outside"""
    for _ in range(6):
        x = tensor(rng, shape(rng, 1, 3, empty=False), "f4")
        on = np.array(bool(rng.integers(2)))
        regions = {
            "then_branch": Region([("Tanh", "x", "t"), ("Mul", "t x", "p")], "p"),
            "else_branch": Region([("Neg", "x", "n")], "n"),
        }
        yield case(
            "if",
            {"x": x, "c": on},
            '<if cond="c" out="y"><then out="r"><tanh x="x" out="t"/><mul a="t" b="x" out="r"/></then>'
            '<else out="r"><neg x="x" out="r"/></else></if>',
            [("If", "c", "y", regions)],
            symbolic=True,
        )


def cases(rng):
    for part in (dims_as_values, numbers_of_the_run, either):
        yield from part(rng)
