# SPDX-License-Identifier: Apache-2.0
"""Random graphs of a dozen ops: what is right alone must be right when it is fused."""

import numpy as np

from _fovea import element
from _onnx import case
from _values import tensor

MAPS = {
    "relu": "Relu",
    "tanh": "Tanh",
    "sigmoid": "Sigmoid",
    "neg": "Neg",
    "abs": "Abs",
    "sin": "Sin",
    "erf": "Erf",
}
PAIRS = {"add": "Add", "sub": "Sub", "mul": "Mul", "min": "Min", "max": "Max"}


class Graph:
    """Values of a graph under construction, in both forms. Every value is f32 and bounded."""

    def __init__(self, rng):
        self.rng, self.body, self.nodes, self.more, self.dims = rng, [], [], {}, {}

    def pick(self, least=0):
        names = [n for n, d in self.dims.items() if len(d) >= least]
        if not names:
            return None
        # The last one mostly: chains, not stars.
        at = -1 if self.rng.random() < 0.6 else int(self.rng.integers(len(names)))
        return names[at]

    def emit(self, dims, op, own, onnx, operands, attributes=None, **more):
        name = f"v{len(self.dims)}"
        extra = []
        for value in more.values():
            extra.append(f"{name}_{len(extra)}")
            self.more[extra[-1]] = np.array(value)
        self.body.append(element(op, name, **own))
        self.nodes.append((onnx, " ".join(list(operands) + extra), name, attributes or {}))
        self.dims[name] = tuple(int(d) for d in dims)
        return name

    def map(self):
        x, op = self.pick(), str(self.rng.choice(list(MAPS)))
        self.emit(self.dims[x], op, {"x": x}, MAPS[op], [x])

    def pair(self):
        x, op = self.pick(), str(self.rng.choice(list(PAIRS)))
        fits, most = [], max(20000, np.prod(self.dims[x]))
        for n, d in self.dims.items():
            try:
                if np.prod(np.broadcast_shapes(d, self.dims[x])) <= most:
                    fits.append(n)
            except ValueError:
                pass
        y = str(self.rng.choice(fits))
        dims = np.broadcast_shapes(self.dims[x], self.dims[y])
        z = self.emit(dims, op, {"a": x, "b": y}, PAIRS[op], [x, y])
        if op in ("add", "sub", "mul"):  # keeps values small
            self.emit(dims, "tanh", {"x": z}, "Tanh", [z])

    def transpose(self):
        if x := self.pick(2):
            perm = [int(i) for i in self.rng.permutation(len(self.dims[x]))]
            self.emit(
                [self.dims[x][p] for p in perm],
                "transpose",
                {"x": x, "perm": perm},
                "Transpose",
                [x],
                {"perm": perm},
            )

    def reshape(self):
        if x := self.pick(1):
            d = list(self.dims[x])
            at = int(self.rng.integers(len(d)))
            if len(d) > 1 and self.rng.random() < 0.5:
                at = min(at, len(d) - 2)
                d[at : at + 2] = [d[at] * d[at + 1]]
            else:
                k = next((k for k in (2, 3, 5, 7) if d[at] % k == 0), 1)
                d[at : at + 1] = [d[at] // k, k]
            if len(d) <= 4:
                self.emit(d, "reshape", {"x": x, "shape": d}, "Reshape", [x], shape=d)

    def slice(self):
        if x := self.pick(1):
            d = list(self.dims[x])
            at = int(self.rng.integers(len(d)))
            start, step = int(self.rng.integers(0, max(1, d[at] // 2))), int(
                self.rng.integers(1, 3)
            )
            n = d[at]
            d[at] = -(-(n - start) // step)
            self.emit(
                d,
                "slice",
                {"x": x, "axis": at, "start": start, "step": step},
                "Slice",
                [x],
                start=[start],
                end=[n],
                axes=[at],
                step=[step],
            )

    def pad(self):
        if x := self.pick(1):
            d = self.dims[x]
            pads = [int(v) for v in self.rng.integers(0, 3, 2 * len(d))]
            self.emit(
                [n + a + b for n, a, b in zip(d, pads, pads[len(d) :])],
                "pad",
                {"x": x, "pads": pads},
                "Pad",
                [x],
                pads=pads,
            )

    def concat(self):
        if x := self.pick(1):
            d = list(self.dims[x])
            at = int(self.rng.integers(len(d)))
            fits = [
                n
                for n, o in self.dims.items()
                if len(o) == len(d) and all(p == q for i, (p, q) in enumerate(zip(o, d)) if i != at)
            ]
            y = str(self.rng.choice(fits))
            d[at] += self.dims[y][at]
            self.emit(d, "concat", {"x": f"{x}, {y}", "axis": at}, "Concat", [x, y], {"axis": at})

    def reduce(self):
        if x := self.pick(1):
            d = list(self.dims[x])
            at, keep = int(self.rng.integers(len(d))), bool(self.rng.integers(2))
            kind = str(self.rng.choice(["mean", "max", "min"]))
            d[at : at + 1] = [1] if keep else []
            self.emit(
                d,
                f"reduce_{kind}",
                {"x": x, "axes": at, "keepdims": keep},
                f"Reduce{kind.title()}",
                [x],
                {"keepdims": int(keep)},
                axes=[at],
            )

    def softmax(self):
        if x := self.pick(1):
            at = int(self.rng.integers(len(self.dims[x])))
            self.emit(self.dims[x], "softmax", {"x": x, "axis": at}, "Softmax", [x], {"axis": at})

    def matmul(self):
        """x^T x: both operands come out of the graph."""
        x = self.pick(2)
        if x and self.dims[x][-1] <= 100:
            d = self.dims[x]
            perm = list(range(len(d) - 2)) + [len(d) - 1, len(d) - 2]
            t = self.emit(
                [d[p] for p in perm],
                "transpose",
                {"x": x, "perm": perm},
                "Transpose",
                [x],
                {"perm": perm},
            )
            square = d[:-2] + (d[-1], d[-1])
            y = self.emit(square, "matmul", {"a": t, "b": x}, "MatMul", [t, x])
            self.emit(square, "tanh", {"x": y}, "Tanh", [y])


def cases(rng):
    moves = (
        Graph.map,
        Graph.map,
        Graph.pair,
        Graph.pair,
        Graph.transpose,
        Graph.reshape,
        Graph.slice,
        Graph.pad,
        Graph.concat,
        Graph.reduce,
        Graph.softmax,
        Graph.matmul,
    )
    for _ in range(60):
        g = Graph(rng)
        base = [int(d) for d in rng.integers(1, 18, int(rng.integers(1, 5)))]
        while np.prod(base) > 3000:
            base[int(np.argmax(base))] //= 2
        inputs = {}
        for _ in range(3):
            dims = [d if rng.random() < 0.7 else 1 for d in base][int(rng.integers(0, 2)) :]
            name = f"v{len(g.dims)}"
            g.dims[name] = tuple(dims)
            inputs[name] = tensor(rng, dims, "f4", -1.5, 1.5)
        for _ in range(12):
            moves[int(rng.integers(len(moves)))](g)
        made = [n for n in g.dims if n not in inputs]
        outputs = {made[-1], made[int(rng.integers(len(made)))]}
        yield case(
            "graph",
            inputs,
            " ".join(g.body),
            g.nodes,
            g.more,
            outputs=tuple(sorted(outputs)),
            eps=512,
            scale=1,
        )
