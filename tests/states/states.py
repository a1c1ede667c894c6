#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Random models with states, and random sequences of runs of them: good ones, failing ones and
resets, in two contexts by turns, on every backend, against lists in plain Python.

  states.py --fovea build/bin/fovea --runner build/tests/session_runner [--seed N] [--models N]

A run fails where an index is out of range or a <require> does not hold (before, between or behind the
updates of states, in an arm, in a loop, between the updates of members), where a state is full, or
where a dim does not fit the states in use. Then all is as it was. Numbers are
small integers, so that every result is exact. Prints a line for each failure, and the seed of it.
"""
import argparse
import dataclasses
import os
import pathlib
import random
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))
from session import RunError, Session, Tensor  # noqa: E402

TABLE = (1, 2, 3, 4)
BATCHES = (1, 2)
TRIPS = 3  # of a loop of needs


@dataclasses.dataclass
class State:
    name: str
    members: int
    width: int
    capacity: int = 0  # 0: it does not grow
    length: str = ""  # grows: the name of its length
    batch: str = "B"  # its first dim: the symbol, or a number

    def element(self):
        more = f' members="{self.members}"' if self.members > 1 else ""
        if not self.capacity:
            return f'<state name="{self.name}" type="f32" shape="{self.batch}, {self.width}"{more}/>'
        return (f'<state name="{self.name}" type="f32" shape="{self.batch}, {self.capacity}, {self.width}" '
                f'axis="1" length="{self.length}"{more}/>')


@dataclasses.dataclass
class Step:
    """What a graph does to one state."""
    state: State
    kind: str  # append, read, write
    via: str = "x"  # append: the expression of the rows
    order: str = "own"  # write, with members: which are read and written in step m


@dataclasses.dataclass
class Need:
    """A <require> about v, which only the run knows, and S, or a counter."""
    relation: str  # != or <=
    where: str  # a key of NEEDS, or "members": between the updates of members in step `at`
    at: int  # before which step it stands
    in_arm: bool = False  # of an <if> on c

    def element(self, who):
        sign = self.relation.replace("<", "&lt;")
        text = f'<require that="{who} {sign} v"/>'
        return f'<if cond="c"><then>{text}</then></if>' if self.in_arm else text

    def holds(self, c, v, count, members):
        who = {"top": [count], "loop": range(TRIPS), "members": range(members)}[self.where]
        return (self.in_arm and not c) or all(w != v if self.relation == "!=" else w <= v for w in who)


@dataclasses.dataclass
class Graph:
    name: str
    steps: list
    check_at: int  # before which step the index is looked up
    needs: list
    never: int  # rows with which no run is bound, or -1

    def inside(self, k, who):
        """The needs between the updates of members in step k."""
        return "".join(n.element(who) for n in self.needs if n.where == "members" and n.at == k)


# ===-- Making models --------------------------------------------------------===

# What is appended: as it came, or just computed, by movement too.
VIAS = {
    "x": ("", lambda v: v),
    "double": ('<add a="x" b="x" out="{o}"/>', lambda v: 2 * v),
    "relu": ('<relu x="x" out="{o}"/>', lambda v: max(v, 0)),
    "turn": ('<transpose x="x" perm="1, 0, 2" out="{o}t"/><neg x="{o}t" out="{o}n"/>'
             '<transpose x="{o}n" perm="1, 0, 2" out="{o}"/>', lambda v: -v),
}


# Writing members: the one that is written in step m of n and the one that is read before. What an
# earlier step wrote is read as the last run left it. In "shift" it is written as it was read, in one
# step less, and member 0 is written behind the loop.
ORDERS = {
    "own": ("m", "m"),
    "back": ("{n} - 1 - m", "m"),
    "mirror": ("m", "{n} - 1 - m"),
    "first": ("m", "0"),
    "turn": ("m", "(m + 1) % {n}"),
    "shift": ("m + 1", "m"),
}


def picked(text, n, m):
    return eval(text.format(n=n), {"m": m})


def updates(t):
    """How many members a loop of this step updates; 0: there is none."""
    s = t.state
    return s.members - (t.kind == "write" and t.order == "shift") if s.members > 1 and t.kind != "read" else 0


def make_need(rng, steps):
    relation, in_arm = rng.choice(("!=", "<=")), rng.random() < .5
    loops = [k for k, t in enumerate(steps) if updates(t)]
    if loops and rng.random() < .6:
        return Need(relation, "members", rng.choice(loops), in_arm)
    return Need(relation, rng.choice(("top", "loop")), rng.randint(0, len(steps)), in_arm)


def make_model(rng, width):
    batch = rng.choice(("B", "B", "2"))
    states, graphs = [], []
    for i in range(rng.randint(1, 3)):
        capacity = rng.choice((0, 0, 3, 5, 12))
        shared = next((s for s in states if s.capacity and s.capacity == capacity), None)
        length = shared.length if shared and rng.random() < .5 else f"n{i}"
        states.append(State(f"s{i}", rng.choice((1, 2, 3)), width, capacity, length, batch))
    for g in range(rng.randint(1, 3)):
        steps, advanced = [], set()
        for s in rng.sample(states, rng.randint(1, len(states))):
            kind = "read" if rng.random() < .25 else "append" if s.capacity else "write"
            if kind == "append":
                advanced.add(s.length)
            steps.append(Step(s, kind, rng.choice(list(VIAS)), rng.choice(list(ORDERS))))
        # A length grows with all its states: those beside would have rows that nobody wrote.
        for s in states:
            if s.capacity and s.length in advanced and s not in [t.state for t in steps]:
                steps.append(Step(s, "append", rng.choice(list(VIAS))))
        for t in steps:
            if t.kind == "read" and t.state.capacity and t.state.length in advanced:
                t.kind = "append"
        needs = [make_need(rng, steps) for _ in range(rng.choice((0, 1, 2, 2)))]
        graphs.append(Graph(f"g{g}", steps, rng.randint(0, len(steps)), needs, rng.choice((-1, -1, -1, 2, 4))))
    return batch, states, graphs


def step_text(t, o, inside):
    """The elements of a step and its outputs; `inside` stands behind the update of a member."""
    s = t.state
    rows, out = "", "x"
    if t.kind == "append" and t.via != "x":
        rows, out = VIAS[t.via][0].format(o=f"{o}x"), f"{o}x"
    if t.kind == "append" and s.members == 1:
        return rows + f'<append state="{s.name}" x="{out}" out="{o}"/><output name="{o}"/>'
    if t.kind == "append":
        # Member m gets the rows plus the sums of what the members before it hold.
        return rows + f'''
 <repeat var="m" count="{s.members}" out="{o}"><carry name="h" init="{out}"/>
  <append state="{s.name}" member="m" x="h" out="all"/>{inside}
  <reduce_sum x="all" axes="1" out="sum"/><add a="h" b="sum" out="more"/><next h="more"/>
 </repeat><output name="{o}"/>'''
    if t.kind == "write" and s.members == 1:
        return f'''
 <read state="{s.name}" out="{o}r"/><reduce_sum x="x" axes="1" keepdims="false" out="{o}s"/>
 <add a="{o}r" b="{o}s" out="{o}"/><write state="{s.name}" x="{o}"/><output name="{o}"/><output name="{o}r"/>'''
    if t.kind == "write":
        to, of = (text.format(n=s.members) for text in ORDERS[t.order])
        shift = t.order == "shift"
        first = f'<write state="{s.name}" member="0" x="{o}s"/>' if shift else ""
        return f'''
 <reduce_sum x="x" axes="1" keepdims="false" out="{o}s"/>
 <repeat var="m" count="{s.members - shift}" out="{o}"><carry name="h" init="{o}s"/>
  <read state="{s.name}" member="{of}" out="r"/><add a="r" b="h" out="more"/>
  <write state="{s.name}" member="{to}" x="{"r" if shift else "more"}"/>{inside}<next h="more"/>
 </repeat>{first}<output name="{o}"/>'''
    member = ' member="{m}"' if s.members > 1 else ""
    return "".join(f'<read state="{s.name}"{member.format(m=m)} out="{o}m{m}"/><output name="{o}m{m}"/>'
                   for m in range(s.members))


def model_text(model, width):
    batch, states, graphs = model
    lines = ['<model name="m" xmlns="urn:fovea:model:1">', ' <dim name="S" min="0" max="9"/>']
    if batch == "B":
        lines.append(f' <dim name="B" min="1" max="{max(BATCHES)}"/>')
    lines.append(f' <const name="table" type="f32" shape="{len(TABLE)}">{", ".join(map(str, TABLE))}</const>')
    lines += [" " + s.element() for s in states]
    for g in graphs:
        lines.append(f' <graph name="{g.name}"><input name="x" type="f32" shape="{batch}, S, {width}"/>'
                     '<input name="i" type="i64" shape="1"/><input name="j" type="i64" shape=""/>'
                     '<input name="c" type="bool" shape=""/><item name="v" x="j" max="9"/>')
        if g.never >= 0:
            lines.append(f' <require that="S != {g.never}"/>')
        for k in range(len(g.steps) + 1):
            if k == g.check_at:
                lines.append(' <gather x="table" indices="i" out="looked"/><output name="looked"/>')
            for n in g.needs:
                if n.at == k and n.where == "top":
                    lines.append(" " + n.element("S"))
                elif n.at == k and n.where == "loop":
                    lines.append(f' <repeat var="t" count="{TRIPS}">{n.element("t")}</repeat>')
            if k < len(g.steps):
                lines.append(" " + step_text(g.steps[k], f"o{k}", g.inside(k, "m")))
        lines.append(" </graph>")
    return "\n".join(lines + ["</model>", ""])


# ===-- What it should do ----------------------------------------------------===

class Refused(Exception):
    pass


class Model:
    """The states as lists: rows[name][member][batch] of a state that grows, row[...] of another."""

    def __init__(self, states, width):
        self.all, self.width = states, width
        self.reset()

    def reset(self):
        self.batch = {}  # by state: what it was made with
        self.used = set()  # states of which a run was committed
        self.length = {s.length: 0 for s in self.all if s.capacity}
        self.value = {}

    def of(self, value, s, batch):
        if s.name not in value:
            value[s.name] = [[[] if s.capacity else [0] * self.width for _ in range(batch)]
                             for _ in range(s.members)]
        return value[s.name]

    def run(self, g, x, batch, count, index, c, v):
        """x[b][row] is a list of `width` numbers. The outputs: (shape, flat values) by name."""
        for t in g.steps:
            if t.state.name in self.used and self.batch[t.state.name] != batch:
                raise Refused
        for t in g.steps:
            if t.kind == "append" and self.length[t.state.length] + count > t.state.capacity:
                raise Refused
        if not -len(TABLE) <= index < len(TABLE):
            raise Refused
        if count == g.never:
            raise Refused
        for n in g.needs:
            if not n.holds(c, v, count, updates(g.steps[n.at]) if n.where == "members" else 0):
                raise Refused
        fresh = {n for n in self.value if n not in self.used}
        value = {n: [[[*r] if not r or not isinstance(r[0], list) else [[*q] for q in r] for r in m]
                     for m in v] for n, v in self.value.items() if n not in fresh}
        out = {"looked": ((1,), [TABLE[index]])}
        for k, t in enumerate(g.steps):
            self.step(t, f"o{k}", self.of(value, t.state, batch), x, batch, out)
        self.value = value
        for t in g.steps:
            self.batch[t.state.name] = batch
            self.used.add(t.state.name)
        for length in {t.state.length for t in g.steps if t.kind == "append"}:
            self.length[length] += count
        return out

    def step(self, t, o, members, x, batch, out):
        s, w = t.state, self.width

        def put(name, rows):  # rows[b]: a list of rows
            out[name] = ((batch, len(rows[0]), w), [v for r in rows for q in r for v in q])

        if t.kind == "append":
            h = [[[VIAS[t.via][1](v) for v in q] for q in r] for r in x]
            for m in members:
                for b in range(batch):
                    m[b] += [[*q] for q in h[b]]
                if s.members > 1:
                    sums = [[sum(q[c] for q in m[b]) for c in range(w)] for b in range(batch)]
                    h = [[[v + sums[b][c] for c, v in enumerate(q)] for q in h[b]] for b in range(batch)]
            put(o, h if s.members > 1 else members[0])
        elif t.kind == "read":
            for i, m in enumerate(members):
                if s.capacity:
                    put(f"{o}m{i}", m)
                else:
                    out[f"{o}m{i}"] = ((batch, w), [v for r in m for v in r])
        else:
            h = [[sum(q[c] for q in r) for c in range(w)] for r in x]
            if s.members == 1:
                out[f"{o}r"] = ((batch, w), [v for r in members[0] for v in r])
            before = list(members)
            order = t.order if s.members > 1 else "own"
            to, of = ORDERS[order]
            if order == "shift":
                members[0] = h
            for i in range(s.members - (order == "shift")):
                read = before[picked(of, s.members, i)]
                h = [[v + h[b][c] for c, v in enumerate(read[b])] for b in range(batch)]
                members[picked(to, s.members, i)] = read if order == "shift" else h
            out[o] = ((batch, w), [v for r in h for v in r])


# ===-- Sequences ------------------------------------------------------------===

def sequence(rng, model, width, length):
    """Requests: ("use", n), ("reset",) or ("run", graph, x, batch, count, index, c, v)."""
    batch, _, graphs = model
    now = {0: 1, 1: 2}
    for _ in range(length):
        r = rng.random()
        if r < .2:
            yield ("use", rng.randint(0, 1))
        elif r < .34:
            yield ("reset",)
        else:
            if rng.random() < .1:
                now[0] = rng.choice(BATCHES)
            b = now[0] if batch == "B" else int(batch)
            count = rng.choice((0, 1, 1, 2, 3, 4))
            index = rng.randint(-4, 3) if rng.random() < .85 else rng.choice((4, -5, 9))
            x = [[[rng.randint(-2, 3) for _ in range(width)] for _ in range(count)] for _ in range(b)]
            v = 9 if rng.random() < .65 else rng.randint(0, 4)
            yield ("run", rng.choice(graphs), x, b, count, index, rng.random() < .7, v)


def play(s, model, width, requests):
    """What went wrong, or None."""
    want, at = [Model(model[1], width) for _ in range(2)], 0
    s.use(1)
    s.context(2)
    s.use(0)
    for k, (kind, *more) in enumerate(requests):
        if kind == "use":
            at, = more
            s.use(at)
        elif kind == "reset":
            s.reset()
            want[at].reset()
        else:
            g, x, batch, count, index, c, v = more
            inputs = {"x": Tensor("f32", (batch, count, width), [v for r in x for q in r for v in q]),
                      "i": Tensor("i64", (1,), [index]), "j": Tensor("i64", (), [v]),
                      "c": Tensor("bool", (), [c])}
            what = f"request {k}: {g.name} batch {batch}, {count} rows, index {index}, c {c}, v {v}"
            try:
                expected = want[at].run(g, x, batch, count, index, c, v)
            except Refused:
                expected = None
            try:
                got = s.run(g.name, inputs)
            except RunError as e:
                if expected is not None:
                    return f"{what}: {e}"
                continue
            if expected is None:
                return f"{what}: must fail"
            if {n: (t.shape, t.values()) for n, t in got.items()} != expected:
                wrong = [n for n, t in got.items() if (t.shape, t.values()) != expected.get(n)]
                n = wrong[0] if wrong else "names"
                return f"{what}: {n} is {got[n].values() if wrong else sorted(got)}, not {expected.get(n)}"
    return None


def has_opencl(fovea, folder):
    path = folder / "probe.xml"
    path.write_text('<model name="p" xmlns="urn:fovea:model:1"><input name="x" type="f32" shape="1"/>'
                    '<neg x="x" out="y"/><output name="y"/></model>')
    return subprocess.run([fovea, "run", path, "-b", "opencl"], capture_output=True).returncode == 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--fovea", required=True, type=os.path.abspath)
    parser.add_argument("--runner", required=True, type=os.path.abspath)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--models", type=int, default=16)
    parser.add_argument("--backends", default="reference,llvm,library,opencl")
    args = parser.parse_args()
    failed = played = 0
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        backends = [b for b in args.backends.split(",") if b != "opencl" or has_opencl(args.fovea, folder)]
        for seed in range(args.seed, args.seed + args.models):
            rng = random.Random(seed)
            width = rng.choice((1, 3, 8))
            model = make_model(rng, width)
            path = folder / f"m{seed}.xml"
            path.write_text(model_text(model, width))
            requests = list(sequence(rng, model, width, 100))
            for backend in backends:
                file = path
                if backend == "library":
                    file = folder / f"m{seed}.so"
                    subprocess.run([args.fovea, "compile", path, "-o", file], check=True, stdout=subprocess.DEVNULL)
                try:
                    with Session(args.runner, file, backend, threads=1) as s:
                        wrong = play(s, model, width, requests)
                except RunError as e:
                    wrong = str(e)
                played += 1
                if wrong:
                    failed += 1
                    print(f"FAIL: --seed={seed} --models=1 --backends={backend}: {wrong}", flush=True)
    print(f"{played - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
