# SPDX-License-Identifier: Apache-2.0
"""weights.py FOVEA: how much memory weights cost when a model is read, and on their way into a library or a
program in memory.

The file of weights is sparse, so that making it costs nothing. Limited is what a process writes to
(RLIMIT_DATA, the linker's too), and what is resident at the peak, pages of files included. One
thread, since stacks count."""

import json
import os
import resource
import subprocess
import sys
import tempfile

MB = 1 << 20
CODE = 160 * MB  # the process without weights: LLVM's pages for the most part
N = 2048         # a matrix has 16 MB
COUNT = 8
WEIGHTS = COUNT * N * N * 4


def write_weights(path, dtype, size):
    tensors, at = {}, 0
    for i in range(COUNT):
        tensors[f"w.{i}"] = {"dtype": dtype, "shape": [N, N], "data_offsets": [at, at + N * N * size]}
        at += N * N * size
    head = json.dumps(tensors).encode()
    head += b" " * (-len(head) % 64)
    with open(path, "wb") as f:
        f.write(len(head).to_bytes(8, "little") + head)
        f.truncate(8 + len(head) + at)


def write_model(path, modifier, more):
    """Products take their weights packed, the table of an embedding stays as it is."""
    text = (f'<model name="m" xmlns="urn:fovea:model:1"><weights file="w.safetensors"{more}/>'
            '<dim name="B" min="1" max="64"/><graph name="main">'
            '<input name="ids" type="i64" shape="B"/>'
            '<embedding ids="ids" table="@w.0" out="x0"/>')
    for i in range(1, COUNT):
        text += f'<linear x="x{i - 1}" w="@w.{i}{modifier}" out="x{i}"/>'
    text += f'<output name="y" value="x{COUNT - 1}"/></graph></model>'
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def write_family(path):
    """One family of 65536 tensors, written in 40 ways."""
    text = ('<model name="f" xmlns="urn:fovea:model:1"><weights file="w.safetensors"/>'
            '<input name="x" type="f32" shape=""/><repeat count="65536" var="i" out="y">'
            '<carry name="v0" init="x"/>')
    for k in range(40):
        text += (f'<add a="v{k}" b="@w.0 | select(0, floordiv(i, {N} + 0*{k})) | select(0, mod(i, {N}))" '
                 f'out="v{k + 1}"/>')
    text += '<next v0="v40"/></repeat><output name="y"/></model>'
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def run(folder, args, data, resident):
    """data, resident: the most there may be, in bytes besides CODE."""
    def limit():
        resource.setrlimit(resource.RLIMIT_DATA, (CODE + data, CODE + data))

    p = subprocess.Popen(args, cwd=folder, preexec_fn=limit, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(p.pid, 0)
    p.returncode = os.waitstatus_to_exitcode(status)
    what = " ".join(args[1:])
    print(f"{what}: exit {p.returncode}, peak {usage.ru_maxrss // 1024} MB "
          f"with {WEIGHTS // MB} MB of weights", flush=True)
    return p.returncode == 0 and usage.ru_maxrss * 1024 <= CODE + resident


# As they are; as products of other frameworks have them; in a narrower type.
KINDS = {"row-major": ("F32", 4, "", ""), "transposed": ("F32", 4, " | transpose(1, 0)", ""),
         "converted": ("BF16", 2, "", ' type="f32"')}


def main():
    fovea = os.path.abspath(sys.argv[1])
    good = True
    for kind, (dtype, size, modifier, more) in KINDS.items():
        with tempfile.TemporaryDirectory() as folder:
            print(kind, flush=True)
            write_weights(os.path.join(folder, "w.safetensors"), dtype, size)
            write_model(os.path.join(folder, "m.xml"), modifier, more)
            # A library is written as it is made.
            good &= run(folder, [fovea, "compile", "m.xml", "-o", "libm.so", "-t1"], 0, WEIGHTS)
            good &= run(folder, [fovea, "run", "libm.so", "-t1"], 0, WEIGHTS)
            good &= run(folder, [fovea, "run", "m.xml", "-t1"], WEIGHTS, WEIGHTS)
    with tempfile.TemporaryDirectory() as folder:
        write_weights(os.path.join(folder, "w.safetensors"), "F32", 4)
        write_family(os.path.join(folder, "f.xml"))
        good &= run(folder, [fovea, "check", "f.xml"], 0, 0)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
