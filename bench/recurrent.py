# SPDX-License-Identifier: Apache-2.0
"""recurrent.py [--rounds N] [--slice S] [--before BUILD] [--size OP:TxBxIxH]...: whole lstm and gru, f32, one core.

T steps of a batch of B from I inputs to H hidden, a symbolic T, against ONNX Runtime.
"""
import numpy
import onnx
from onnx import helper, numpy_helper

import common

SIZES = ["lstm:64x1x256x256", "lstm:64x16x256x256", "gru:64x1x256x256", "gru:64x16x256x256"]
GATES = {"lstm": 4, "gru": 3}
MODEL = """<model name="recurrent" xmlns="urn:fovea:model:1">
 <weights file="{weights}"/>
 <dim name="T" min="1" max="1024"/>
 <input name="x" type="f32" shape="T, {b}, {i}"/>
 <{op} x="x" w="@w" r="@r" b="@b" out="{out}"/>
 <output name="y"/>
</model>
"""
LIMIT = 1e-4  # of the difference; values are below 1


def write_onnx(path, op, b, i, h, weights):
    f32 = onnx.TensorProto.FLOAT
    node = helper.make_node(op.upper(), ["x", "w", "r", "b"], ["y"], hidden_size=h)
    graph = helper.make_graph(
        [node], op, [helper.make_tensor_value_info("x", f32, ["T", b, i])],
        [helper.make_tensor_value_info("y", f32, ["T", 1, b, h])],
        [numpy_helper.from_array(v, name) for name, v in weights.items()])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8),
              path)


def prepare(size):
    op, dims = size.split(":")
    t, b, i, h = (int(d) for d in dims.split("x"))
    random = numpy.random.default_rng(1)
    rows = GATES[op] * h
    weights = {name: random.uniform(-1, 1, shape).astype("float32") / numpy.float32(h ** 0.5)
               for name, shape in (("w", (1, rows, i)), ("r", (1, rows, h)), ("b", (1, 2 * rows)))}
    x = random.standard_normal((t, b, i), "float32")
    base = common.OUT / f"recurrent-{size.replace(':', '-')}"
    common.write_safetensors(f"{base}.safetensors", weights)
    out = "y, _, _" if op == "lstm" else "y, _"
    base.with_suffix(".xml").write_text(MODEL.format(weights=base.name + ".safetensors", b=b, i=i,
                                                     op=op, out=out))
    write_onnx(f"{base}.onnx", op, b, i, h, weights)
    numpy.savez(f"{base}.npz", x=x)
    x.tofile(f"{base}.x")
    return base, t, 2 * t * b * rows * (i + h)


def measure(size, args):
    base, t, flop = prepare(size)
    builds = common.fovea(args, f"{base}.xml", "--dim", f"T={t}", "--input", f"x={base}.x")
    fovea = builds[0]
    ort = common.peer("onnxruntime", "ort", f"{base}.onnx", f"{base}.npz")
    want = ort.save().ravel()
    error = max(float(numpy.abs(f.save() - want).max()) for f in builds)
    if not error < LIMIT:
        raise SystemExit(f"recurrent.py: {size}: the results differ by {error:g}")
    subjects = [*builds, ort]
    common.alternate(subjects, args.rounds, args.slice)
    ratio = common.ratios(fovea, ort)
    row = [size, f"{error:.1e}", common.ms(fovea.median()), f"{flop / fovea.median() / 1e9:.1f}",
           common.ms(ort.median()), f"{flop / ort.median() / 1e9:.1f}", common.spread(ratio),
           *common.to_before(builds)]
    result = {"size": size, "flop": flop, "max_abs_diff": error, "to_onnxruntime": ratio,
              "subjects": {s.name: common.summary(s) for s in subjects}}
    for s in subjects:
        s.close()
    return result, row


def main():
    args = common.arguments(__doc__, "size", rounds=10)
    rows = [["size", "difference", "fovea ms", "GF/s", "ort ms", "GF/s", "fovea/ort"] +
            ["fovea/before"] * bool(args.before)]
    results = []
    for size in args.size or SIZES:
        result, row = measure(size, args)
        results.append(result)
        rows.append(row)
    common.print_table(rows)
    common.write_results("recurrent", {"rounds": args.rounds, "slice_s": args.slice,
                                       "results": results})


main()
