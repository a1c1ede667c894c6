# SPDX-License-Identifier: Apache-2.0
"""peer.py ort MODEL.onnx INPUTS.npz | matmul INPUTS.npz: a subject other than fovea.

Obeys stdin as bench/slices.h says. ort runs a graph in ONNX Runtime on one thread;
matmul computes x @ w + b in numpy, into memory that is there already.
"""
import json
import statistics
import sys
import time

import numpy


def make_ort(model, inputs):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    # Bound once, so that a run copies and allocates nothing for Python.
    binding = session.io_binding()
    for i in session.get_inputs():
        binding.bind_cpu_input(i.name, inputs[i.name])
    for o in session.get_outputs():
        binding.bind_output(o.name, "cpu")

    def once():
        session.run_with_iobinding(binding)
    return {"onnxruntime": onnxruntime.__version__}, once, lambda: binding.copy_outputs_to_cpu()[0]


def make_matmul(inputs):
    x, w, b = inputs["x"], inputs["w"], inputs["b"]
    y = numpy.empty((x.shape[0], w.shape[1]), "float32")

    def once():
        numpy.matmul(x, w, out=y)
        numpy.add(y, b, out=y)
    return {"numpy": numpy.__version__}, once, lambda: y


def run_slice(once, seconds):
    wall, cpu = [time.perf_counter()], [time.process_time()]
    while len(wall) == 1 or wall[-1] - wall[0] < seconds:
        once()
        wall.append(time.perf_counter())
        cpu.append(time.process_time())
    answer = {"iterations": len(wall) - 1}
    for name, at in (("cpu", cpu), ("wall", wall)):
        samples = [b - a for a, b in zip(at, at[1:])]
        answer[name] = {"min": min(samples), "median": statistics.median(samples)}
    return answer


def main():
    kind, *words = sys.argv[1:]
    inputs = dict(numpy.load(words[-1]))
    about, once, result = make_ort(words[0], inputs) if kind == "ort" else make_matmul(inputs)
    once()
    print(json.dumps(about), flush=True)
    for line in sys.stdin:
        verb, word = line.strip().split(" ", 1)
        if verb == "run":
            answer = run_slice(once, float(word))
        else:
            result().tofile(word)
            answer = {"saved": word}
        print(json.dumps(answer), flush=True)


main()
