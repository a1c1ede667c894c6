# SPDX-License-Identifier: Apache-2.0
"""Integers that follow from dims are exact, or the run is refused; elements of tensors wrap around.

exact.py --fovea F [--seed=N] [--count=N] [--backends=a,b]: random models with products of dims and
of numbers of the run that may be far above 2^63, in a requirement, a shape, an index, a count and
the size of a buffer, and as elements. What they must give is computed with Python's integers.
"""
import argparse
import random
import resource
import subprocess
import tempfile

MAX_BYTES, HUGE = 1 << 46, 1 << 63
LARGEST = 1 << 22


class Case:
    """A model, its arguments, and the value of y, None where a run must be refused. It may be refused
    where a part of the expression does not fit, or memory is short."""

    def __init__(self, seed):
        self.r = r = random.Random(seed)
        self.of_run = r.random() < .5
        small = r.random() < .5
        self.value = {d: r.randint(1, 3) if small else 1 << r.randint(0, 22) for d in "ABC"}
        text, n, most = self.product()
        self.may_refuse = most >= HUGE
        body, self.want = r.choice([self.require, self.shape, self.index, self.count, self.buffer, self.element,
                                     self.arm])(text, n)
        self.model = "\n".join(['<model name="m" xmlns="urn:fovea:model:1">', *self.head(), *body,
                                '<output name="y"/></model>'])

    def head(self):
        for d in "ABC":
            if self.of_run:
                yield f'<input name="{d.lower()}" type="i64" shape=""/>'
                yield f'<item name="{d}" x="{d.lower()}" min="1" max="{LARGEST}"/>'
            else:
                yield f'<dim name="{d}" min="1" max="{LARGEST}"/>'
                yield f'<input name="{d.lower()}" type="i8" shape="{d}"/>'

    def arguments(self):
        if self.of_run:
            return [f"-i{d.lower()}={v}" for d, v in self.value.items()]
        return ["--dim=" + ",".join(f"{d}={v}" for d, v in self.value.items())] + [f"-i{d}=zeros" for d in "abc"]

    def product(self):
        """An expression, its value, and the largest part of it."""
        factors = [self.r.choice("ABC") for _ in range(self.r.randint(2, 4))]
        n, most = 1, 0
        for d in factors:
            n *= self.value[d]
        most, text = n, " * ".join(factors)
        if self.r.random() < .3:
            d = self.r.choice("ABC")
            n, text = n - self.value[d], f"{text} - {d}"
        return text, n, most

    def require(self, text, n):
        limit = self.r.choice([10, 1000, 1 << 40])
        body = [f'<require that="{text} &lt;= {limit}"/>', '<fill value="1" dtype="i64" shape="" out="y"/>']
        return body, 1 if n <= limit else None

    def shape(self, text, n):
        body = [f'<fill value="1" dtype="i64" shape="max(min({text}, 5), 0)" out="f"/>',
                '<reduce_sum x="f" keepdims="false" out="y"/>']
        return body, max(min(n, 5), 0)

    def index(self, text, n):
        body = ['<range limit="8" out="x"/>', f'<select x="x" axis="0" index="{text}" out="y"/>']
        return body, n if 0 <= n < 8 else None

    def count(self, text, n):
        body = ['<fill value="0" dtype="i64" shape="" out="z"/>',
                f'<repeat var="i" count="max(min({text}, 3), 0)" out="y">', '<carry name="h" init="z"/>',
                '<add a="h" b="1" out="h1"/><next h="h1"/></repeat>']
        return body, max(min(n, 3), 0)

    def buffer(self, text, n):
        """Where only the run knows the size, there is room for the largest, or the model is refused."""
        self.may_refuse |= self.of_run or n > 1 << 12
        body = [f'<fill value="1" dtype="i64" shape="max({text}, 1)" out="f"/>', '<cumsum x="f" axis="0" out="sums"/>',
                '<reduce_max x="sums" keepdims="false" out="y"/>']
        return body, max(n, 1) if 8 * n <= MAX_BYTES else None

    def element(self, text, n):
        """The same numbers as elements wrap around, and what is not chosen has no effect."""
        self.may_refuse = False
        big, value = self.r.choice([1, 3, 6364136223846793005, 1 << 40]), 1
        body = [f'<range start="{d}" limit="{d} + 1" out="e{d}"/>' for d in "ABC"]
        body += ['<const name="k" type="i64">' + str(big) + "</const>", '<mul a="k" b="k" out="p0"/>']
        for i, d in enumerate(self.r.choices("ABC", k=3)):
            body.append(f'<mul a="p{i}" b="e{d}" out="p{i + 1}"/>')
            value *= self.value[d]
        chosen = self.r.random() < .7
        body.append(f'<where cond="{"true" if chosen else "false"}" a="p3" b="7" out="y"/>')
        value = (value * big * big + HUGE) % (2 * HUGE) - HUGE
        return body, value if chosen else 7

    def arm(self, text, n):
        """Of an `if` whose other arm is taken."""
        self.may_refuse = False
        body = ['<range limit="8" out="x"/><const name="no" type="bool">false</const><or a="no" b="no" out="go"/>',
                f'<if cond="go" out="y"><then out="s"><select x="x" axis="0" index="{text}" out="s"/></then>',
                '<else out="5"/></if>']
        return body, 5


def run(fovea, case, backend, level, folder):
    path = f"{folder}/m.xml"
    with open(path, "w") as f:
        f.write(case.model)
    small = (6 << 30, 6 << 30)  # of address space: what would be large fails at once
    done = subprocess.run([fovea, "run", path, "-b", backend, "-t", "1", level, *case.arguments()], text=True,
                          capture_output=True, timeout=100,
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, small))
    if done.returncode == 0:
        return int(done.stdout.split()[-1])
    if done.returncode in (2, 3, 5) and "internal" not in done.stderr and "damaged" not in done.stderr \
            and "outside" not in done.stderr:
        return None
    return f"exit code {done.returncode}: {done.stderr.strip()}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--fovea", required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--backends", default="reference,llvm,interpreter")
    args = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(args.seed, args.seed + args.count):
            case = Case(seed)
            level = case.r.choice(["-O0", "-O2"])
            for backend in args.backends.split(","):
                got = run(args.fovea, case, backend, level, folder)
                if got != case.want and (got is not None or not case.may_refuse):
                    failed += 1
                    print(f"--seed={seed} --count=1: {backend} gives {got}, want {case.want} for {case.value}")
                    print(case.model)
    print(f"{args.count * len(args.backends.split(',')) - failed} passed, {failed} failed, 0 skipped")
    return failed > 0


raise SystemExit(main())
