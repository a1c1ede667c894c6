# SPDX-License-Identifier: Apache-2.0
"""Small ONNX models, built and run by onnxruntime. Cases name nodes as data, so that
they exist, and can be counted, where onnxruntime does not."""

import typing

import numpy as np

import _fovea

OPSET = 24


class Region(typing.NamedTuple):
    """A graph without inputs, which sees the values around it."""

    nodes: list
    output: str


def evaluate(nodes, inputs, outputs):
    """The arrays `outputs`. A node is (op, "operands", "results", {attribute: value}); an
    operand "-" is absent, an attribute may be a Region."""
    try:
        import onnxruntime
        from onnx import ValueInfoProto, helper
    except ImportError as e:
        raise _fovea.Unavailable(
            f"onnxruntime cannot be loaded ({e}); "
            "pip could not install tests/oracle/requirements.txt"
        ) from e

    def names(text):
        return ["" if n == "-" else n for n in text.split()]

    def graph_of(nodes, given, outputs):
        built = [
            helper.make_node(
                op,
                names(operands),
                names(results),
                **{k: attribute(v) for k, v in (rest[0] if rest else {}).items()},
            )
            for op, operands, results, *rest in nodes
        ]
        return helper.make_graph(built, "g", given, [ValueInfoProto(name=n) for n in outputs])

    def attribute(value):
        return graph_of(value.nodes, [], [value.output]) if isinstance(value, Region) else value

    given = [
        helper.make_tensor_value_info(k, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape)
        for k, v in inputs.items()
    ]
    graph = graph_of(nodes, given, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=11)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(list(outputs), inputs)


def case(name, inputs, body, nodes, more=None, outputs=("y",), **keywords):
    """A case whose expected result is that of ONNX nodes. `more` are operands that only ONNX
    has, such as axes."""
    inputs = {k: np.asarray(v) for k, v in inputs.items()}
    given = {**inputs, **{k: np.asarray(v) for k, v in (more or {}).items()}}

    def want():
        return evaluate(nodes, given, outputs)

    return _fovea.Case(name, inputs, body, want, outputs, **keywords)
