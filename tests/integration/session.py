# SPDX-License-Identifier: Apache-2.0
"""Tensors in plain Python, and a model that runs in a process of its own (runner.c)."""
import json
import math
import struct
import subprocess

CODES = {"f32": "f", "f64": "d", "f16": "e", "i8": "b", "u8": "B", "i32": "i", "i64": "q", "bool": "?"}


class Tensor:
    """An element type, a shape, and bytes in row-major order."""

    def __init__(self, dtype, shape, values=None, data=None):
        self.dtype, self.shape = dtype, tuple(shape)
        self.data = data if values is None else struct.pack(f"<{math.prod(shape)}{CODES[dtype]}", *values)

    def values(self):
        return list(struct.unpack(f"<{math.prod(self.shape)}{CODES[self.dtype]}", self.data))

    def __eq__(self, other):
        return (self.dtype, self.shape, self.data) == (other.dtype, other.shape, other.data)


def save(path, tensors):
    """Writes {name: Tensor} as safetensors."""
    header, at = {}, 0
    for name, x in tensors.items():
        header[name] = {"dtype": x.dtype.upper(), "shape": x.shape, "data_offsets": [at, at + len(x.data)]}
        at += len(x.data)
    text = json.dumps(header).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(x.data for x in tensors.values()))


def load(path):
    with open(path, "rb") as f:
        raw = f.read()
    size, = struct.unpack_from("<Q", raw)
    header = json.loads(raw[8:8 + size])
    header.pop("__metadata__", None)
    at = 8 + size
    return {name: Tensor(x["dtype"].lower(), x["shape"], data=raw[at + x["data_offsets"][0]:at + x["data_offsets"][1]])
            for name, x in header.items()}


class RunError(Exception):
    pass


class Session:
    """A compiled model and one context of it."""

    def __init__(self, runner, model, backend, threads=1):
        self.what = f"{model} on {backend}"
        self.process = subprocess.Popen([runner, str(model), backend], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)
        self.answer()
        self.context(threads)

    def __enter__(self):
        return self

    def __exit__(self, failure, *_):
        self.process.stdout.close()
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        code = self.process.wait()
        if code and not failure:  # a heap that was damaged is found at the end
            raise RunError(f"{self.what}: the runner ended with {code}")

    def answer(self):
        line = self.process.stdout.readline().split()
        if not line:
            raise RunError(f"{self.what}: the runner ended with {self.process.wait()}")
        if line[0] == b"error":
            raise RunError(f"{self.what}: status {int(line[1])}")
        if line[0] == b"size":
            return int(line[1])
        outputs = {}
        for _ in range(int(line[1])):
            name, dtype, _, *shape = self.process.stdout.readline().decode().split()
            x = Tensor(dtype, map(int, shape))
            x.data = self.process.stdout.read(math.prod(x.shape) * struct.calcsize(CODES[dtype]))
            outputs[name] = x
        return outputs

    def ask(self, request):
        self.process.stdin.write(request)
        self.process.stdin.flush()
        return self.answer()

    def context(self, threads):
        self.ask(b"context %d\n" % threads)

    def use(self, number):
        """The context that what follows is meant for; a new one needs context() first."""
        self.ask(b"use %d\n" % number)

    def reset(self):
        self.ask(b"reset\n")

    def workspace(self):
        return self.ask(b"workspace\n")

    def run(self, entry, inputs, **dims):
        parts = [f"run {entry} {len(inputs)} {len(dims)}\n".encode()]
        for name, x in inputs.items():
            parts.append(" ".join(map(str, (name, x.dtype, len(x.shape), *x.shape))).encode() + b"\n" + x.data)
        parts += [f"{name} {value}\n".encode() for name, value in dims.items()]
        return self.ask(b"".join(parts))
