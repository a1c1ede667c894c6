# SPDX-License-Identifier: Apache-2.0
"""Random shapes and values."""

import numpy as np

FLOATS = ("f4", "f2", "f8")
INTS = ("i1", "u1", "i2", "i4", "i8")
SPECIAL = (
    0.0,
    -0.0,
    np.inf,
    -np.inf,
    np.nan,
    0.5,
    -0.5,
    1.5,
    2.5,
    -1.5,
    1.0,
    -1.0,
    6e-8,
    1e4,
    -1e4,
)


def shape(rng, low=0, high=4, empty=True):
    """A shape of rank low..high; often odd, sometimes with a dim of 1, rarely with one of 0."""
    dims = [
        int(rng.choice([1, 2, 3, 5, 7, 13, 17, 33])) for _ in range(rng.integers(low, high + 1))
    ]
    while np.prod(dims) > 20000:
        dims[int(np.argmax(dims))] //= 2
    if empty and dims and rng.random() < 0.06:
        dims[int(rng.integers(len(dims)))] = 0
    return tuple(dims)


def broadcast_pair(rng, high=4):
    """Two shapes that broadcast: dims are 1, or left out in front."""
    whole = shape(rng, 0, high)

    def part():
        dims = [1 if rng.random() < 0.3 else d for d in whole]
        return tuple(dims[int(rng.integers(0, len(dims) + 1)) if rng.random() < 0.4 else 0 :])

    a, b = part(), part()
    return (whole, b) if rng.random() < 0.5 else (a, whole) if rng.random() < 0.5 else (a, b)


def tensor(rng, dims, dtype, low=None, high=None, special=False):
    """Normal floats, or uniform ones from low to high; integers over their whole range, or from
    low to high. special: with infinities, NaN, zeros of both signs, halves."""
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return np.asarray(rng.random(dims) < 0.5)
    if dtype.kind != "f":
        info = np.iinfo(dtype)
        low, high = (info.min, info.max) if low is None else (low, high)
        return np.asarray(rng.integers(low, high, dims, dtype, endpoint=True))
    x = np.asarray(rng.standard_normal(dims) * 2 if low is None else rng.uniform(low, high, dims))
    if special and x.size:
        flat = x.reshape(-1)
        at = rng.permutation(x.size)[: max(1, min(len(SPECIAL), x.size // 2))]
        flat[at] = rng.permutation(SPECIAL)[: len(at)]
    return x.astype(dtype)


def axis(rng, rank):
    """An axis, counted from either end."""
    return int(rng.integers(-rank, rank))
