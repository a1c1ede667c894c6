# SPDX-License-Identifier: Apache-2.0
"""Tensors in plain Python and the few ops that the random models are made of."""
import itertools
import math


class Refused(Exception):
    """What the dialect says must fail."""


class T:
    """An element type, a shape, and elements in row-major order."""

    def __init__(self, dtype, shape, v):
        self.dtype, self.shape, self.v = dtype, tuple(shape), list(v)
        assert len(self.v) == math.prod(self.shape), (shape, len(self.v))

    def __repr__(self):
        return f"{self.dtype}{list(self.shape)} {self.v[:12]}"


def indices(shape):
    return itertools.product(*map(range, shape))


def offset(shape, at):
    n = 0
    for size, i in zip(shape, at):
        n = n * size + i
    return n


def make(dtype, shape, element):
    """The tensor whose element at `at` is element(at)."""
    return T(dtype, shape, [element(at) for at in indices(shape)])


def get(x, at):
    return x.v[offset(x.shape, at)]


def rounded(dtype, v):
    if dtype == "bool":
        return bool(v)
    if dtype in ("f32", "f64"):
        assert abs(v) < 2**24, "the generator lets numbers grow"
        return float(v)
    return int(v)


def broadcast(f, *xs, dtype=None):
    rank = max(len(x.shape) for x in xs)
    full = [(1,) * (rank - len(x.shape)) + x.shape for x in xs]
    shape = [max((s[i] for s in full if s[i] != 1), default=1) for i in range(rank)]
    shape = [0 if any(s[i] == 0 for s in full) else n for i, n in enumerate(shape)]
    for s in full:
        if any(n not in (1, shape[i]) for i, n in enumerate(s)):
            raise Refused("the shapes do not broadcast")
    dtype = dtype or xs[0].dtype

    def element(at):
        own = [x.v[offset(s, [0 if n == 1 else i for n, i in zip(s, at)])] for x, s in zip(xs, full)]
        return rounded(dtype, f(*own))

    return make(dtype, shape, element)


def transpose(x, perm):
    perm = perm or range(len(x.shape))[::-1]
    perm = [p % len(x.shape) for p in perm]
    shape = [x.shape[p] for p in perm]

    def element(at):
        source = [0] * len(perm)
        for p, i in zip(perm, at):
            source[p] = i
        return get(x, source)

    return make(x.dtype, shape, element)


def slice_of(x, axis, start, end, step=1):
    """As Python's own slices."""
    axis %= len(x.shape)
    picked = range(x.shape[axis])[start:end:step]
    shape = [len(picked) if i == axis else n for i, n in enumerate(x.shape)]
    return make(x.dtype, shape, lambda at: get(x, [picked[k] if i == axis else k for i, k in enumerate(at)]))


def select(x, axis, index):
    axis %= len(x.shape)
    if not -x.shape[axis] <= index < x.shape[axis]:
        raise Refused("select beyond the end")
    index %= x.shape[axis]
    shape = x.shape[:axis] + x.shape[axis + 1:]
    return make(x.dtype, shape, lambda at: get(x, at[:axis] + (index,) + at[axis:]))


def concat(xs, axis):
    axis %= len(xs[0].shape)
    if any(n != m for x in xs for i, (n, m) in enumerate(zip(x.shape, xs[0].shape)) if i != axis):
        raise Refused("the other dims differ")
    owner = [(x, i) for x in xs for i in range(x.shape[axis])]
    shape = [len(owner) if i == axis else n for i, n in enumerate(xs[0].shape)]

    def element(at):
        x, i = owner[at[axis]]
        return get(x, at[:axis] + (i,) + at[axis + 1:])

    return make(xs[0].dtype, shape, element)


def stack(xs, axis, like):
    """The values of all steps along a new axis; `like` has the type when there was no step."""
    dtype, inner = like
    axis %= len(inner) + 1
    shape = inner[:axis] + (len(xs),) + inner[axis:]
    return make(dtype, shape, lambda at: get(xs[at[axis]], at[:axis] + at[axis + 1:]))


def reduce(f, x, axes, keepdims, empty):
    rank = len(x.shape)
    axes = {a % rank for a in axes} if axes else set(range(rank))
    outer = [1 if i in axes else n for i, n in enumerate(x.shape)]
    inner = [n if i in axes else 1 for i, n in enumerate(x.shape)]

    def element(at):
        parts = [get(x, [a + b for a, b in zip(at, step)]) for step in indices(inner)]
        return rounded(x.dtype, f(parts)) if parts else empty

    y = make(x.dtype, outer, element)
    return y if keepdims else T(x.dtype, [n for i, n in enumerate(x.shape) if i not in axes], y.v)


def matmul(a, b):
    """Of a[..., m, k] and b[k, n]."""
    k, n = b.shape

    def element(at):
        return rounded(a.dtype, sum(get(a, at[:-1] + (i,)) * get(b, (i, at[-1])) for i in range(k)))

    return make(a.dtype, a.shape[:-1] + (n,), element)


def expand(x, shape):
    return broadcast(lambda v, _: v, x, make("bool", shape, lambda at: False), dtype=x.dtype)
