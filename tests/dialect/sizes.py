# SPDX-License-Identifier: Apache-2.0
"""What an author may have many of costs as many times as much, on a small stack.

sizes.py FOVEA [KIND...]: `fovea check`, or fmt, of models with n of one kind of thing. The
processor time for 8 n must be less than 16 times that for n, start-up aside.
"""
import json
import os
import resource
import struct
import subprocess
import sys
import tempfile

N, TIMES, BOUND = 2500, 8, 16
X = '<input name="x" type="f32" shape="4"/>\n'
END = '<output name="y" value="x"/>'


def lines(form, n):
    """form with i and the one before: a chain that begins at x."""
    return "\n".join(form.format(i=i, p="x" if i == 0 else f"v{i - 1}") for i in range(n))


def weights(n):
    head = {f"w.{i}": {"dtype": "F32", "shape": [4], "data_offsets": [16 * i, 16 * i + 16]} for i in range(n)}
    text = json.dumps(head).encode()
    with open("w.safetensors", "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + bytes(16 * n))
    return '<weights file="w.safetensors"/>\n'


BLOCK = '<block name="b" in="a" param="p=1" out="r"><relu x="a" out="q"/><add a="q" b="1" out="r"/></block>\n'
KINDS = {
    "ops": lambda n: X + lines('<relu x="{p}" out="v{i}"/>', n) + END,
    "blocks": lambda n: X + lines('<block name="b{i}" in="a" out="r"><relu x="a" out="r"/></block>', n)
              + lines('<call block="b{i}" a="{p}" r="v{i}"/>', n) + END,
    "calls": lambda n: BLOCK + X + lines('<call block="b" a="{p}" p="k.{i}" r="v{i}"/>', n) + END,
    "weights": lambda n: weights(n) + X + lines('<add a="{p}" b="@w.{i}" out="v{i}"/>', n) + END,
    "views": lambda n: weights(n) + X + lines('<add a="{p}" b="@w.{i} | slice(0, 1, 2)" out="v{i}"/>', n) + END,
    "members": lambda n: weights(n) + X + f'<repeat var="i" count="{n}" out="v"><carry name="c" init="x"/>'
               '<add a="c" b="@w.{i}" out="d"/><next c="d"/></repeat>' + END,
    "lets": lambda n: '<let name="vx" value="1"/>' + X
            + "\n".join(f'<let name="l{i}" value="{f"l{i - 1}" if i else 0} + {i}"/>' for i in range(n)) + END,
    "dims": lambda n: lines('<dim name="d{i}" max="9"/>', n) + X + END,
    # Dims that are required equal, in a chain; and such as the ops need, each once or many times.
    "requirements": lambda n: lines('<dim name="d{i}" max="9"/><input name="v{i}" type="f32" shape="d{i}"/>', n) + X
                    + "\n".join(f'<require that="d{i} == d{i + 1}"/>' for i in range(n - 1)) + END,
    "needs": lambda n: lines('<dim name="d{i}" max="9"/><input name="v{i}" type="f32" shape="d{i}, 4"/>', n) + X
             + "\n".join(f'<concat x="v{i}, v{i + 1}" axis="1" out="c{i}"/>' for i in range(n - 1)) + END,
    "broadcasts": lambda n: lines('<dim name="d{i}" max="9"/><input name="v{i}" type="f32" shape="d{i}"/>', n) + X
                  + "\n".join(f'<add a="v{i}" b="v{i + 1}" out="c{i}"/>' for i in range(n - 1)) + END,
    "consts": lambda n: X + lines('<const name="c{i}" type="f32">{i}</const><add a="{p}" b="c{i}" out="v{i}"/>', n) + END,
    "elements": lambda n: X + f'<const name="c" type="f32">{", ".join(["1"] * 20 * n)}</const>' + END,
    "states": lambda n: lines('<state name="s{i}" type="f32" shape="4"/>', n) + X
              + lines('<read state="s{i}" out="r{i}"/><write state="s{i}" x="x"/>', n) + END,
    "updates": lambda n: f'<state name="s" type="f32" shape="4" members="{n}"/>' + X
               + lines('<write state="s" member="{i}" x="x"/>', n) + END,
    "inputs": lambda n: X + lines('<input name="v{i}" type="f32" shape="4"/>', n) + END,
    "outputs": lambda n: X + lines('<output name="v{i}" value="x"/>', n) + END,
    "graphs": lambda n: lines(f'<graph name="g{{i}}">{X}{END}</graph>', n),
    "verifies": lambda n: X + END + lines('<verify file="v{i}.safetensors"/>', n),
    "carries": lambda n: X + '<repeat count="2">' + lines('<carry name="v{i}" init="x"/>', n)
               + lines('<next v{i}="v{i}"/>', n) + "</repeat>" + END,
    "collects": lambda n: X + '<repeat count="2"><carry name="c" init="x"/><next c="c"/>'
                + lines('<collect v{i}="c" axis="0"/>', n) + "</repeat>" + END,
    "loops": lambda n: X + lines('<repeat count="2" out="v{i}"><carry name="c" init="{p}"/><next c="c"/></repeat>', n) + END,
    "comments": lambda n: X + lines("<!-- {i} -->", 10 * n) + END,
    "fmt_one_line": lambda n: "<!-- a --> <b/>" * n,
    "fmt_lines": lambda n: X + lines('<relu x="{p}" out="v{i}"/>', n),
    "faults": lambda n: X + lines('<relu x="no{i}" out="v{i}"/>', n) + END,
}


def limits():
    resource.setrlimit(resource.RLIMIT_STACK, (256 << 10, 256 << 10))


def seconds(fovea, command, body, code):
    with open("m.xml", "w", encoding="utf-8") as f:
        f.write(f'<model name="m" unproved="check" xmlns="urn:fovea:model:1">\n{body}\n</model>\n')
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([fovea, command, "m.xml"], capture_output=True, text=True, preexec_fn=limits)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != code:
        raise RuntimeError(f"exit {done.returncode}: {done.stderr[:300]}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main(fovea, *wanted):
    fovea, bad = os.path.abspath(fovea), 0
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        start = min(seconds(fovea, "check", X + END, 0) for _ in range(3))
        for name, make in KINDS.items():
            if wanted and name not in wanted:
                continue
            code = 3 if name == "faults" else 0
            command = "fmt" if name.startswith("fmt") else "check"
            try:
                few = min(seconds(fovea, command, make(N), code) for _ in range(2))
                many = seconds(fovea, command, make(N * TIMES), code)
            except RuntimeError as e:
                print(f"FAIL: {name}: {e}")
                bad += 1
                continue
            ok = many - start < BOUND * max(few - start, .02)
            bad += not ok
            print(f"{'ok' if ok else 'FAIL'}: {name}: {few:.3f} s for {N}, {many:.3f} s for {N * TIMES}", flush=True)
        os.chdir("/")
    sys.exit(bad > 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
