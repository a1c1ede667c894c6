#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""examples.py FOVEA PAGE.md...: runs the xml blocks of documents.

A block is a model, or what stands in one. A comment in it may state results,
`<!-- y = [[1, 2]] -->`, or that it must be refused, `<!-- error: part of the message -->`;
it is then run on the reference, and on llvm with its constants as inputs. Without either it
is checked. What a block takes for granted is said in front of it, in a
comment that readers do not see:

    <!-- given
    <input name="x" type="f32" shape="2"/>
    weight fc.bias 2x3
    -->

A weight is f32, and its elements are 0, 0.1, 0.2 ...; it is in every file that the block names.

A python block runs where the whole models of its page lie compiled, NAME as libNAME.so, and prints what
stands in comments behind its print().
"""
import json
import os
import re
import struct
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

FORMATS = {"F32": "f", "F64": "d", "F16": "e", "I8": "b", "U8": "B", "I16": "h", "I32": "i",
           "I64": "q", "BOOL": "?"}
CONST = re.compile(r'<const name="(\w+)" type="(\w+)" shape="([^"]*)">([^<]*)</const>')


class Block:
    def __init__(self, page, line, given, text):
        self.where = f"{page}:{line}"
        self.weights = re.findall(r"^weight (\S+) (\S+)$", given, re.M)
        self.given = re.sub(r"^weight .*\n", "", given, flags=re.M)
        self.text = text
        self.error = re.search(r"<!-- error: (.*?) -->", text)
        self.want = {}
        for comment in re.findall(r"<!-- (\w+ = .*?) -->", text, re.S):
            for result in comment.split(";"):
                name, value = result.split("=")
                value = re.sub(r"\bnan\b", "NaN", re.sub(r"\binf\b", "Infinity", value))
                self.want[name.strip()] = json.loads(value)


class Program:
    """A python block, and the models in front of it."""
    def __init__(self, page, line, text, models):
        self.where = f"{page}:{line}"
        self.text = text
        self.models = models
        self.want = re.findall(r"^print\(.*\)  # (.*)$", text, re.M)


def blocks_of(path):
    with open(path, encoding="utf-8") as f:
        lines = f.read().split("\n")
    given, i, found = "", 0, []
    while i < len(lines):
        if lines[i] == "<!-- given":
            end = lines.index("-->", i)
            given = "\n".join(lines[i + 1:end]) + "\n"
            i = end
        elif lines[i] == "```xml":
            end = lines.index("```", i)
            found.append(Block(path, i + 1, given, "\n".join(lines[i + 1:end]) + "\n"))
            given, i = "", end
        elif lines[i] == "```python":
            end = lines.index("```", i)
            models = [b.text for b in found if isinstance(b, Block) and b.text.startswith("<model")]
            found.append(Program(path, i + 1, "\n".join(lines[i + 1:end]) + "\n", models))
            i = end
        i += 1
    return found


def results_of(text):
    """The names that elements at the top of a text bind."""
    names, depth = [], 0
    for close, tag, attrs, empty in re.findall(r"<(/?)(\w+)([^<>]*?)(/?)>", text):
        out = re.search(r'\bout="([^"]*)"', attrs)
        if close:
            depth -= 1
            continue
        if depth == 0 and out and tag != "block":
            names += [n.strip().split("=")[0] for n in out[1].split(",") if n.strip() != "_"]
        depth += not empty
    return names


def model_of(block, inputs):
    """The model around a block, and the options that give it its inputs."""
    if block.text.startswith("<model"):
        return block.text, []
    options = []

    def as_input(m):
        options.append(f"--input={m[1]}={','.join(m[4].replace(',', ' ').split())}")
        return f'<input name="{m[1]}" type="{m[2]}" shape="{m[3]}"/>'

    body = block.given + re.sub(r"<!--.*?-->", "", block.text, flags=re.S)
    if inputs:
        body = CONST.sub(as_input, body)
    if block.weights and " file=" not in body:
        body = '<weights file="w.safetensors"/>\n' + body
    if "<output" not in body and "<graph" not in body:
        for name in block.want or results_of(body):
            body += f'<output name="{name}"/>\n'
    return f'<model name="example" xmlns="urn:fovea:model:1">\n{body}</model>\n', options


def write_weights(path, weights):
    head, data = {}, b""
    for name, dims in weights:
        shape = [int(d) for d in dims.split("x")]
        count = 1
        for d in shape:
            count *= d
        raw = struct.pack(f"<{count}f", *(0.1 * i for i in range(count)))
        head[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(head).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


def read_tensors(path):
    with open(path, "rb") as f:
        data = f.read()
    size, = struct.unpack("<Q", data[:8])
    tensors = {}
    for name, t in json.loads(data[8:8 + size]).items():
        if name != "__metadata__":
            begin, end = (8 + size + o for o in t["data_offsets"])
            values = struct.iter_unpack("<" + FORMATS[t["dtype"]], data[begin:end])
            tensors[name] = t["shape"], [v[0] for v in values]
    return tensors


def shape_of(value):
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        value = value[0] if value else None
    return shape


def flat(value):
    return [x for v in value for x in flat(v)] if isinstance(value, list) else [value]


def same(want, got):
    if want != want:
        return got != got
    return got == want or abs(got - want) <= 1e-5 * max(abs(want), 1e-3)


def differs(want, tensors):
    for name, value in want.items():
        shape, values = tensors[name]
        if shape_of(value) != shape and values:
            return f"{name} has the shape {shape}"
        if len(flat(value)) != len(values) or not all(map(same, flat(value), values)):
            return f"{name} is {values}"
    return None


def fault_of(fovea, block, backend, inputs):
    """None, or what is wrong with a block."""
    with tempfile.TemporaryDirectory() as folder:
        text, options = model_of(block, inputs)
        with open(f"{folder}/example.xml", "w", encoding="utf-8") as f:
            f.write(text)
        for name in re.findall(r' file="([^"]+)"', text):
            write_weights(f"{folder}/{name}", block.weights)
        command = [fovea, "check", "example.xml"]
        if block.want or block.error:
            command = [fovea, "run", "example.xml", f"--backend={backend}", "--save=out.safetensors"]
        run = subprocess.run(command + options, cwd=folder, capture_output=True, text=True,
                             env=dict(os.environ, NO_COLOR="1"))
        if block.error:
            return None if run.returncode and block.error[1] in run.stderr else \
                f"is not refused: {run.stderr}"
        if run.returncode:
            return run.stderr
        return differs(block.want, read_tensors(f"{folder}/out.safetensors")) if block.want else None


def fault_of_program(fovea, program):
    with tempfile.TemporaryDirectory() as folder:
        for text in program.models:
            name = re.search(r'<model name="(\w+)"', text)[1]
            with open(f"{folder}/{name}.xml", "w", encoding="utf-8") as f:
                f.write(text)
            made = subprocess.run([fovea, "compile", f"{name}.xml", "-o", f"lib{name}.so"], cwd=folder,
                                  capture_output=True, text=True)
            if made.returncode:
                return made.stderr
        run = subprocess.run([sys.executable, "-c", program.text], cwd=folder, capture_output=True, text=True)
        if run.returncode or run.stdout.splitlines() != program.want:
            return f"prints {run.stdout}{run.stderr}"
    return None


def main():
    fovea, pages = os.path.abspath(sys.argv[1]), sys.argv[2:]
    every = [b for page in pages for b in blocks_of(page)]
    blocks = [b for b in every if isinstance(b, Block)]
    programs = [b for b in every if isinstance(b, Program)]
    backends = subprocess.run([fovea, "list", "backends"], capture_output=True, text=True).stdout
    ways = [w for w in [("reference", False), ("llvm", True)] if w[0] in backends]
    jobs = [(b, *way) for b in blocks for way in (ways if b.want or b.error else ways[:1])]
    with ThreadPoolExecutor(2) as pool:
        faults = pool.map(lambda job: fault_of(fovea, *job), jobs)
        bad = [(job, fault) for job, fault in zip(jobs, faults) if fault]
    for (block, backend, inputs), fault in bad:
        print(f"{block.where}: {backend}{'' if inputs else ', constants'}: {fault}")
    for program in programs if "llvm" in backends else []:
        fault = fault_of_program(fovea, program)
        if fault:
            bad.append(program)
            print(f"{program.where}: {fault}")
    print(f"{len(blocks)} blocks, {len(jobs)} runs, {len(programs)} programs")
    return bool(bad) or not blocks


if __name__ == "__main__":
    sys.exit(main())
