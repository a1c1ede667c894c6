# SPDX-License-Identifier: Apache-2.0
"""The sentence encoder of models/minilm.xml as an ONNX graph, from the same weights.

Spelled as PyTorch's exporter spells BERT, so that ONNX Runtime's fusions (attention,
gelu, skip and layer norm) find their patterns.
"""
import math

import numpy
import onnx
from onnx import helper, numpy_helper

HEADS, WIDTH, EPSILON = 12, 384, 1e-12


class Graph:
    def __init__(self):
        self.nodes, self.constants = [], []

    def const(self, name, value):
        self.constants.append(numpy_helper.from_array(numpy.ascontiguousarray(value), name))
        return name

    def ints(self, name, *values):
        return self.const(name, numpy.array(values, "int64"))

    def real(self, name, value):
        return self.const(name, numpy.float32(value))

    def node(self, op, *inputs, out=None, **attributes):
        out = out or f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [out], out, **attributes))
        return out


def dense(g, weights, x, name):
    w = g.const(f"{name}.weight.t", weights[f"{name}.weight"].T)
    return g.node("Add", g.node("MatMul", x, w), g.const(f"{name}.bias", weights[f"{name}.bias"]))


def norm(g, weights, x, name):
    return g.node("LayerNormalization", x, g.const(f"{name}.weight", weights[f"{name}.weight"]),
                  g.const(f"{name}.bias", weights[f"{name}.bias"]), axis=-1, epsilon=EPSILON)


def attention(g, weights, x, bias, p):
    def heads(name, perm):
        y = dense(g, weights, x, f"{p}.self.{name}")
        return g.node("Transpose", g.node("Reshape", y, "split_heads"), perm=perm)
    q, k, v = heads("query", (0, 2, 1, 3)), heads("key", (0, 2, 3, 1)), heads("value", (0, 2, 1, 3))
    scores = g.node("Div", g.node("MatMul", q, k), "root_of_depth")
    weight = g.node("Softmax", g.node("Add", scores, bias), axis=-1)
    together = g.node("Transpose", g.node("MatMul", weight, v), perm=(0, 2, 1, 3))
    y = dense(g, weights, g.node("Reshape", together, "join_heads"), f"{p}.output.dense")
    return norm(g, weights, g.node("Add", y, x), f"{p}.output.LayerNorm")


def gelu(g, x):
    e = g.node("Erf", g.node("Div", x, "root2"))
    return g.node("Mul", g.node("Mul", x, g.node("Add", e, "one")), "half")


def layer(g, weights, x, bias, p):
    x = attention(g, weights, x, bias, f"{p}.attention")
    u = gelu(g, dense(g, weights, x, f"{p}.intermediate.dense"))
    y = dense(g, weights, u, f"{p}.output.dense")
    return norm(g, weights, g.node("Add", y, x), f"{p}.output.LayerNorm")


def add_constants(g):
    g.ints("split_heads", 0, 0, HEADS, WIDTH // HEADS)
    g.ints("join_heads", 0, 0, WIDTH)
    for name, value in (("zero_", 0), ("one_", 1), ("two_", 2)):
        g.ints(name, value)
    for name, value in (("one", 1), ("half", 0.5), ("root2", math.sqrt(2)), ("masked", -10000),
                        ("root_of_depth", math.sqrt(WIDTH // HEADS)), ("tiny", 1e-9)):
        g.real(name, value)


def embed(g, weights):
    table = {n: g.const(n, weights[f"embeddings.{n}_embeddings.weight"])
             for n in ("word", "position", "token_type")}
    length = g.node("Slice", g.node("Shape", "ids"), "one_", "two_")
    position = g.node("Slice", table["position"], "zero_", length, "zero_")
    segment = g.node("Slice", table["token_type"], "zero_", "one_", "zero_")
    word = g.node("Add", g.node("Gather", table["word"], "ids"), segment)
    return norm(g, weights, g.node("Add", word, position), "embeddings.LayerNorm")


def pool(g, x):
    """The mean over the tokens, then length 1."""
    mask = g.node("Cast", g.node("Unsqueeze", "mask", "two_"), to=onnx.TensorProto.FLOAT)
    total = g.node("ReduceSum", g.node("Mul", x, mask), "one_", keepdims=0)
    count = g.node("Max", g.node("ReduceSum", mask, "one_", keepdims=0), "tiny")
    g.node("LpNormalization", g.node("Div", total, count), axis=-1, p=2, out="embedding")


def write(path, weights, layers=6):
    g = Graph()
    add_constants(g)
    x = embed(g, weights)
    seen = g.node("Unsqueeze", g.node("Unsqueeze", "mask", "one_"), "two_")
    seen = g.node("Cast", seen, to=onnx.TensorProto.FLOAT)
    bias = g.node("Mul", g.node("Sub", "one", seen), "masked")
    for i in range(layers):
        x = layer(g, weights, x, bias, f"encoder.layer.{i}")
    pool(g, x)
    i64, f32 = onnx.TensorProto.INT64, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        g.nodes, "minilm",
        [helper.make_tensor_value_info(n, i64, ["B", "S"]) for n in ("ids", "mask")],
        [helper.make_tensor_value_info("embedding", f32, ["B", WIDTH])], g.constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)
