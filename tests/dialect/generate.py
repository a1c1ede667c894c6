# SPDX-License-Identifier: Apache-2.0
"""Random models of the dialect, with weights, inputs and a sequence of runs.

Numbers are small integers, whatever their type, so that any order of sums gives
the same: every value carries a bound of its magnitude, and is clipped in time.
"""
import contextlib
import random

from values import T
from weights import LIMIT, Block, Code, Value, Weights

LARGE = 1 << 18
SHAPES = [("4",), ("3", "4"), ("B", "4"), ("B", "S", "4"), ()]


class Generator(Weights):
    def __init__(self, seed):
        self.r = random.Random(seed)
        self.weights, self.families, self.blocks, self.states = {}, [], [], []
        self.dims = {"B": self.r.randint(1, 3), "S": self.r.randint(1, 5)}
        # Dims that only a requirement makes equal, or that may be anything: the ops' needs are checked.
        self.unproved = self.r.choice([None, None, "require", "check"])
        if self.unproved:
            self.dims["M"] = self.dims["B"] if self.chance(.5) else self.r.randint(1, 3)
        self.lets = {"D": 4, "n": self.r.randint(1, 3)}
        self.lines, self.graphs, self.runs = [], {}, []
        self.consts, self.past = [], None

    #===-- Values ------------------------------------------------------------------===#

    def define(self, code, element, shape, bound, dtype="f32"):
        """Puts '<op .../>' with a result, and clips what has grown."""
        name = code.fresh()
        assertion = ""
        if self.chance(.15) and self.nameable(shape):
            assertion = f' shape="{", ".join(shape)}"' if not element.startswith(("reshape", "expand")) else ""
        code.put(f'<{element} out="{name}"{assertion}/>')
        v = Value(name, shape, bound, dtype)
        if bound > LARGE:
            v = self.clipped(code, v)
        code.values.append(v)
        return v

    def nameable(self, shape):
        """Not so: what a loop counted, what a state holds."""
        return all(d.isdigit() or d in self.dims for d in shape)

    def clipped(self, code, v, bound=LIMIT):
        if v.bound <= bound:
            return v
        name = code.fresh()
        code.put(f'<clip x="{v.name}" min="-{bound}" max="{bound}" out="{name}"/>')
        return Value(name, v.shape, bound, v.dtype)

    def floats(self, code, test=lambda v: True):
        return [v for v in code.values if v.dtype == "f32" and test(v)]

    def some(self, code, test=lambda v: True):
        found = self.floats(code, test)
        if found:
            return self.r.choice(found[-6:] if self.chance(.7) else found)
        return None

    def of_shape(self, code, shape):
        """A value of that shape, made when there is none."""
        v = self.some(code, lambda v: v.shape == shape)
        if v and self.chance(.9):
            return v
        if all(d.isdigit() for d in shape):
            return self.define(code, f'add a="{self.weight(code, shape)}" b="{self.small()}"', shape, 6)
        if v:
            return v
        return self.define(code, f'expand x="{self.small()}.0" shape="{", ".join(shape)}"', shape, 3)

    def partner(self, code, v):
        """Text of an operand that fits beside v, and its bound."""
        kind = self.r.randrange(6)
        if kind == 0:
            return str(self.small()), 3
        if kind == 1 and code.numbers:
            return self.r.choice(code.numbers), LIMIT
        tail = []
        for d in reversed(v.shape):
            if not d.isdigit() or len(tail) == 2:
                break
            tail.insert(0, d)
        if kind in (2, 3) and tail:
            return self.weight(code, tuple(tail)), 3
        if kind == 4 and tail and len(tail) == 1:
            return self.const(code, tuple(tail)), 3
        other = self.some(code, lambda w: w.shape == v.shape or not w.shape)
        return (other.name, other.bound) if other else (str(self.small()), 3)

    def const(self, code, shape):
        known = [name for name, s in self.consts if s == shape]
        if known and self.chance(.5):
            return self.r.choice(known)
        name = code.fresh("c")
        code.put(self.const_element(name, shape))
        return name

    def const_element(self, name, shape):
        numbers = [str(self.small()) for _ in range(int(shape[0]))]
        if self.chance(.2):
            numbers = numbers[:1]
        return f'<const name="{name}" type="f32" shape="{", ".join(shape)}">{", ".join(numbers)}</const>'

    #===-- Statements ----------------------------------------------------------------===#

    def unary(self, code):
        v = self.some(code)
        op = self.r.choice(["relu", "neg", "abs", "clip"])
        more = ' min="-2" max="7"' if op == "clip" else ""
        self.define(code, f'{op} x="{v.name}"{more}', v.shape, v.bound)

    def binary(self, code):
        v = self.some(code)
        text, bound = self.partner(code, v)
        op = self.r.choice(["add", "add", "sub", "max", "min", "mul"])
        if op == "mul" and v.bound * bound > LARGE:
            v = self.clipped(code, v)
            op = "mul" if bound <= LIMIT else "max"
        a, b = (v.name, text) if self.chance(.7) else (text, v.name)
        self.define(code, f'{op} a="{a}" b="{b}"', v.shape, v.bound * bound if op == "mul" else v.bound + bound)

    def choose(self, code):
        v = self.some(code)
        text, bound = self.partner(code, v)
        name = code.fresh("b")
        code.put(f'<{self.r.choice(["less", "greater", "equal"])} a="{v.name}" b="{self.small()}" out="{name}"/>')
        self.define(code, f'where cond="{name}" a="{v.name}" b="{text}"', v.shape, v.bound + bound)

    def move(self, code):
        v = self.some(code, lambda v: v.shape)
        if not v:
            return
        axis = self.r.randrange(len(v.shape))
        size, kind = v.shape[axis], self.r.randrange(6)
        if kind == 0:
            perm = self.r.sample(range(len(v.shape)), len(v.shape))
            shape = [v.shape[p] for p in perm]
            self.define(code, f'transpose x="{v.name}" perm="{", ".join(map(str, perm))}"', shape, v.bound)
        elif kind == 1 and size.isdigit():
            start = self.r.randint(0, int(size) - 1)
            keep = self.r.randint(1, int(size) - start)
            shape = v.shape[:axis] + (str(keep),) + v.shape[axis + 1:]
            self.define(code, f'slice x="{v.name}" axis="{axis}" start="{start}" end="{start + keep}"', shape, v.bound)
        elif kind == 2 and (size.isdigit() or size in self.dims):
            text = self.integer(code, int(size) - 1)[0] if size.isdigit() else "0"
            self.define(code, f'select x="{v.name}" axis="{axis}" index="{text}"',
                        v.shape[:axis] + v.shape[axis + 1:], v.bound)
        elif kind == 3 and size.isdigit() and int(size) < 12:
            w = self.some(code, lambda w: w.shape == v.shape)
            shape = v.shape[:axis] + (str(2 * int(size)),) + v.shape[axis + 1:]
            self.define(code, f'concat x="{v.name}, {w.name}" axis="{axis - len(v.shape)}"', shape, max(v.bound, w.bound))
        elif kind == 4 and v.plain and size == "4":
            shape = v.shape[:axis] + ("2", "2") + v.shape[axis + 1:]
            if len(shape) < 5:
                text = ", ".join("D/2" if d == "2" and self.chance(.5) else d for d in shape)
                self.define(code, f'reshape x="{v.name}" shape="{text}"', shape, v.bound)
        elif kind == 5 and len(v.shape) > 1:
            self.define(code, f'reduce_sum x="{v.name}" axes="{axis}" keepdims="false"',
                        v.shape[:axis] + v.shape[axis + 1:], v.bound * 24)

    def product(self, code):
        v = self.some(code, lambda v: v.shape and v.shape[-1].isdigit() and v.bound <= LIMIT)
        if not v:
            return
        k, n = v.shape[-1], "4"
        if self.chance(.5) and len(v.shape) > 1:
            element = f'matmul a="{v.name}" b="{self.weight(code, (k, n))}"'
        else:
            bias = f' b="{self.weight(code, (n,))}"' if self.chance(.5) else ""
            element = f'linear x="{v.name}" w="{self.weight(code, (n, k))}"{bias}'
        self.define(code, element, v.shape[:-1] + (n,), v.bound * int(k) * 3 + 3)

    def meet(self, code):
        """Two values whose first dims are not known to be one."""
        v = self.some(code, lambda v: v.shape == ("B", "4"))
        w = self.some(code, lambda v: v.shape == ("M", "4"))
        if not v or not w:
            return
        if self.chance(.3):
            self.define(code, f'concat x="{v.name}, {w.name}" axis="1"', ("B", "8"), max(v.bound, w.bound))
            return
        name, bound = code.fresh(), v.bound + w.bound
        a, b = self.r.sample([v.name, w.name], 2)
        code.put(f'<{self.r.choice(["add", "sub", "max"])} a="{a}" b="{b}" out="{name}"/>')
        if self.chance(.5):
            more = code.fresh()
            code.put(f'<{self.r.choice(["add", "min"])} a="{name}" b="{self.r.choice([v, w]).name}" out="{more}"/>')
            name, bound = more, 2 * bound
        self.define(code, f'reduce_sum x="{name}" axes="0" keepdims="false"', ("4",), 6 * bound)

    def requirements(self, code):
        some = ["M &lt;= S", "S + B &gt;= 3", "S % 2 == 0", "M != S + 1", "2*B &gt; M"]
        if self.unproved == "require":
            code.put('<require that="M == B"/>')
        if self.unproved and self.chance(.3):
            code.put(f'<require that="{self.r.choice(some)}"/>')

    def need_of_run(self, code):
        """What a number that only the run knows must be, mostly so."""
        name = self.r.choice(code.of_run)
        code.put(f'<require that="{name} {self.r.choice(["&lt;= S", "&lt; 3", "&lt;= 2*B", "!= 2", "&lt;= 6 - B"])}"/>')

    def named(self, code):
        kind = self.r.randrange(3)
        if kind == 0:
            name, (text, (lo, hi)) = code.fresh("l"), self.integer(code, 5)
            code.put(f'<let name="{name}" value="{text}"/>')
            code.integers[name] = (lo, hi)
        else:
            shape = self.r.choice([("4",), ("3", "4")])
            name = code.fresh("w")
            code.put(f'<weight name="{name}" from="{self.weight(code, shape)}" shape="{", ".join(shape)}"/>')
            code.values.append(Value(name, shape, 3))

    def statement(self, code):
        kinds = [(self.unary, 3), (self.binary, 6), (self.choose, 1), (self.move, 4), (self.product, 2), (self.named, 2), (self.family, 1 + 2 * (code.depth > 0))]
        if self.unproved:
            kinds.append((self.meet, 4))
        if code.of_run:
            kinds.append((self.need_of_run, 1))
        if self.blocks and code.depth < 4:
            kinds.append((self.call, 3))
        if code.depth < 2:
            kinds += [(self.repeat, 2), (self.scan, 1), (self.loop, 1), (self.either, 1), (self.number_of_run, 1)]
        self.r.choices([f for f, _ in kinds], [w for _, w in kinds])[0](code)

    def statements(self, code, n):
        for _ in range(n):
            self.statement(code)

    #===-- Blocks ----------------------------------------------------------------------===#

    def block(self):
        b = Block(f"blk{len(self.blocks)}")
        code = Code([], indent=2)
        code.integers = {"D": (4, 4)}
        for i in range(self.r.randint(1, 2)):
            shape = self.r.choice(SHAPES)
            b.ins.append((f"x{i}", shape))
            code.values.append(Value(f"x{i}", shape, LIMIT))
        if self.chance(.4):
            b.numbers.append("num")
            code.numbers.append("num")
        if self.chance(.7):
            default = self.r.choice([None, self.r.randint(0, 3)])
            b.counts["p"] = (3, default)
            code.integers["p"] = (0, 3)
        if self.chance(.7):
            b.texts["q"] = {}
            code.texts = b.texts
        inputs = len(code.values)
        self.statements(code, self.r.randint(2, 6))
        results = self.floats(code, lambda v: self.nameable(v.shape))[inputs:]
        if not results:
            results = [self.define(code, 'relu x="x0"', code.values[0].shape, LIMIT)]
        b.outs = list({v.name: v for v in results}.values())[-4:]
        params = [k if d is None else f"{k}={d}" for k, (_, d) in b.counts.items()] + list(b.texts)
        ins = [n for n, _ in b.ins] + b.numbers
        head = f'<block name="{b.name}" in="{", ".join(ins)}"'
        head += f' param="{", ".join(params)}"' if params else ""
        self.lines += [f' {head} out="{", ".join(v.name for v in b.outs)}">', *code.lines, " </block>"]
        self.blocks.append(b)

    def call(self, code):
        b = self.r.choice(self.blocks)
        words = [f'block="{b.name}"']
        for name, shape in b.ins:
            words.append(f'{name}="{self.clipped(code, self.of_shape(code, shape)).name}"')
        for name in b.numbers:
            words.append(f'{name}="{self.r.choice([str(self.small()), "2.0"] + code.numbers)}"')
        for name, (greatest, default) in b.counts.items():
            if default is None or self.chance(.5):
                text = self.integer(code, greatest)[0] if code.families else "1"
                words.append(f'{name}="{text}"')
        for name, wanted in b.texts.items():
            words.append(f'{name}="{self.prefix(code, wanted)}"')
        for v in b.outs:
            if v is b.outs[-1] or self.chance(.8):
                name = code.fresh()
                words.append(f'{v.name}="{name}"')
                code.values.append(Value(name, v.shape, v.bound))
        code.put(f'<call {" ".join(words)}/>')

    #===-- Loops -----------------------------------------------------------------------===#

    def begin(self, code, body, shape=None):
        """The carries of a loop."""
        carries = []
        for _ in range(self.r.randint(1, 2)):
            chosen = shape or self.r.choice(SHAPES)
            name = code.fresh()
            v = self.some(code, lambda v: v.shape == chosen and v.bound <= LIMIT)
            if v and self.chance(.7):
                body.put(f'<carry name="{name}" init="{v.name}"/>')
            else:
                body.put(f'<carry name="{name}" init="{self.small()}" type="f32" shape="{", ".join(chosen)}"/>')
            carries.append(Value(name, chosen, LIMIT))
        body.values += carries
        return carries

    def end(self, code, body, carries, batch=False, dim=None, more=""):
        """Next values, collected values, and the names of both outside."""
        nexts = []
        for c in carries:
            fits = [v for v in body.values if v.shape == c.shape and v.dtype == "f32" and v.name != c.name]
            own = [v for v in fits if v not in code.values]
            v = self.r.choice(own or fits or [c])
            nexts.append(f'{c.name}="{self.clipped(body, v).name}"')
        if len(nexts) > 1 and self.chance(.3):
            body.put(f"<next {nexts.pop()}/>")
        body.put(f'<next {" ".join(nexts)}{more}/>')
        outs, kept = [], []
        for c in carries:
            name = code.fresh()
            outs.append(name)
            kept.append(Value(name, c.shape, LIMIT))
        if self.chance(.3):
            i = self.r.randrange(len(carries))
            outs.append(f"{code.fresh()}={carries[i].name}")
            kept.append(Value(outs[-1].split("=")[0], carries[i].shape, LIMIT))
        own = [v for v in self.floats(body) if v not in code.values and len(v.shape) < 4 and v not in carries]
        own = [v for v in own if not batch or v.shape[:1] == ("B",)]
        # What a loop inside has counted may differ from trip to trip.
        known = {*self.dims, *(d for v in code.values for d in v.shape)}
        own = [v for v in own if all(d in known or not d.isidentifier() for d in v.shape)]
        for v in self.r.sample(own, min(len(own), self.r.choice([0, 1, 2, 3]))):
            name, axis = code.fresh(), self.r.randint(1 if batch else 0, len(v.shape))
            body.put(f'<collect {name}="{v.name}" axis="{axis if self.chance(.7) else axis - len(v.shape) - 1}"/>')
            outs.insert(self.r.randint(0, len(outs)), name)
            kept.append(Value(name, v.shape[:axis] + (dim,) + v.shape[axis:], v.bound))
        return outs, kept

    def inside(self, code):
        return Code([], code, code.indent + 1)

    def finish(self, code, body, head, kind, outs, kept):
        code.put(f'<{kind} {head} out="{", ".join(outs)}">')
        code.lines += body.lines
        code.put(f"</{kind}>")
        code.values += kept

    def repeat(self, code):
        body, var = self.inside(code), code.fresh("i")
        exact = [k for k, (lo, hi) in code.integers.items() if lo == hi and 0 < lo < 4]
        count = self.r.choice(exact) if exact and self.chance(.5) else str(self.r.randint(0 if self.chance(.2) else 1, 3))
        trips = code.integers[count][0] if count in code.integers else int(count)
        carries = self.begin(code, body)
        body.families &= trips > 0
        body.integers[var] = (0, max(trips - 1, 0))
        body.of_run += [var] if trips > 1 else []
        self.statements(body, self.r.randint(1, 4))
        outs, kept = self.end(code, body, carries, dim=str(trips) if trips else "n - n")
        self.finish(code, body, f'var="{var}" count="{count}"', "repeat", outs, kept)

    def scan(self, code):
        v = self.some(code, lambda v: len(v.shape) > 1)
        if not v:
            return
        axis = self.r.randrange(len(v.shape))
        dim, rest = v.shape[axis], v.shape[:axis] + v.shape[axis + 1:]
        if not dim.isdigit() and dim not in self.dims:
            return
        body, each, var = self.inside(code), code.fresh("e"), code.fresh("i")
        body.of_run += [var] if dim != "1" else []
        batch = bool(code.lengths) and rest[0] == "B" and self.chance(.7)
        body.put(f'<each name="{each}" of="{v.name}" axis="{axis}"/>')
        carries = self.begin(code, body, rest if batch else None)
        body.values.append(Value(each, rest, v.bound))
        if dim.isdigit():
            body.integers[var] = (0, int(dim) - 1)
        else:
            w = self.some(code, lambda w: dim in w.shape)
            if w:
                k = w.shape.index(dim)
                self.define(body, f'select x="{w.name}" axis="{k}" index="{var}"', w.shape[:k] + w.shape[k + 1:], w.bound)
        self.statements(body, self.r.randint(1, 3))
        outs, kept = self.end(code, body, carries, batch, dim)
        head = f'var="{var}"' + (' reverse="true"' if self.chance(.5) else "")
        head += f' lengths="{code.lengths}"' if batch else ""
        self.finish(code, body, head, "scan", outs, kept)

    def loop(self, code):
        body, var, go, t, count = self.inside(code), *(code.fresh(c) for c in "igtn")
        most = self.r.randint(1, 4)
        init = "true" if self.chance(.9) else "false"
        carries = self.begin(code, body)
        body.put(f'<carry name="{go}" init="{init}" type="bool" shape=""/>')
        body.put(f'<carry name="{t}" init="0" type="f32" shape=""/>')
        body.integers[var] = (0, most - 1)
        body.of_run += [var] if most > 1 else []
        body.put(f'<add a="{t}" b="1" out="{t}s"/>')
        body.put(f'<less a="{t}s" b="{self.r.randint(0, 4)}" out="{go}s"/>')
        self.statements(body, self.r.randint(1, 2))
        outs, kept = self.end(code, body, carries, dim=count, more=f' {go}="{go}s" {t}="{t}s"')
        self.finish(code, body, f'max="{most}" while="{go}" var="{var}" count="{count}"', "loop", outs, kept)
        code.of_run.append(count)

    #===-- What the run decides ----------------------------------------------------------===#

    def scalar(self, code):
        """A value of rank 0, about as often below 1 as above."""
        v = self.some(code, lambda v: not v.shape)
        if v and self.chance(.5):
            return v
        name = code.fresh()
        code.put(f'<reduce_max x="{self.some(code).name}" keepdims="false" out="{name}"/>')
        return self.define(code, f'clip x="{name}" min="-{LIMIT}" max="{LIMIT}"', (), LIMIT)  # the largest of none

    def either(self, code):
        cond, outs, kept = code.fresh("b"), [], []
        code.put(f'<{self.r.choice(["less", "greater"])} a="{self.scalar(code).name}" b="{self.small()}" out="{cond}"/>')
        arms = self.inside(code), self.inside(code)
        for arm in arms:
            self.statements(arm, self.r.randint(0, 3))
        gives, dims = ([], []), ""
        for _ in range(self.r.randint(1, 3)):
            shape = self.r.choice(SHAPES)
            pair = [self.of_shape(arm, shape) for arm in arms]
            for words, v in zip(gives, pair):
                words.append(v.name)
            outs.append(code.fresh())
            kept.append(Value(outs[-1], shape, max(v.bound for v in pair)))
        if self.chance(.4):  # one that the arms give differently
            rest = self.r.choice([(), ("4",), ("B", "4")])
            axis, dims, outside = self.r.randint(0, len(rest)), code.fresh("n"), code.fresh()
            for words, arm, n in zip(gives, arms, self.r.choice(["23", "13", "41"])):
                words.append(self.of_shape(arm, rest[:axis] + (n,) + rest[axis:]).name)
            outs.append(outside)
            kept.append(Value(outside, rest[:axis] + (dims,) + rest[axis:], LIMIT * LIMIT))
        head = f'cond="{cond}" out="{", ".join(outs)}"' + (f' dims="{dims}"' if dims else "")
        code.put(f"<if {head}>")
        for kind, arm, words in zip(("then", "else"), arms, gives):
            code.lines += [" " * (code.indent + 1) + f'<{kind} out="{", ".join(words)}">', *arm.lines,
                           " " * (code.indent + 1) + f"</{kind}>"]
        code.put("</if>")
        code.values += kept
        code.of_run += [dims] if dims else []

    def number_of_run(self, code):
        """A number that the run computes, and as many entries of a value."""
        v = self.some(code, lambda v: any(d.isdigit() and d != "1" for d in v.shape))
        if not v:
            return
        axis = next(i for i, d in enumerate(v.shape) if d.isdigit() and d != "1")
        most = min(int(v.shape[axis]), self.r.randint(1, 4))
        clipped, whole, name = code.fresh(), code.fresh(), code.fresh("n")
        code.put(f'<clip x="{self.scalar(code).name}" min="0" max="{most}" out="{clipped}"/>')
        code.put(f'<cast x="{clipped}" to="i64" out="{whole}"/>')
        code.put(f'<item name="{name}" x="{whole}" max="{most}"/>')
        code.of_run.append(name)
        self.define(code, f'slice x="{v.name}" axis="{axis}" end="{name}"',
                    v.shape[:axis] + (name,) + v.shape[axis + 1:], v.bound)

    #===-- States ------------------------------------------------------------------------===#

    def declare_states(self):
        for i in range(self.r.choice([0, 0, 1, 2])):
            name, grows = f"st{i}", self.chance(.6)
            members = self.r.choice([None, None, "n", "3", "4", "6"])
            other = next((s["capacity"] for s in self.states if s.get("capacity")), None)
            capacity = other if other and self.chance(.5) else str(self.r.randint(3, 9))
            axis = self.r.randint(0, 1)
            shape = (("B", capacity, "4")[1 - axis:] if grows else self.r.choice([("4",), ("3", "4"), ("B", "4")]))
            head = f'<state name="{name}" type="f32" shape="{", ".join(shape)}"'
            if grows:
                length = next((s["length"] for s in self.states if s.get("capacity") == capacity), f"past{i}")
                head += f' axis="{axis}" length="{length}"'
                self.states.append(dict(name=name, members=members, shape=shape, axis=axis, length=length, capacity=capacity))
            else:
                self.states.append(dict(name=name, members=members, shape=shape))
            self.lines.append(" " + head + (f' members="{members}"' if members else "") + "/>")

    def use_state(self, code, s, rows, updates):
        """Reads or updates all members of a state, each once."""
        n = int(self.lets.get(s["members"], s["members"] or 1))
        if not s["members"]:
            self.use_member(code, s, None, rows, updates)
            return
        plan = self.r.choice(["loop", "loop", "each", *(["halves", "nested"] if n % 2 == 0 else [])])
        if plan == "each":
            for m in self.r.sample(range(n), n):
                self.use_member(code, s, str(m), rows, updates)
        elif plan == "loop":
            with self.steps(code, n, s["members"]) as (body, i):
                self.look_elsewhere(body, s, self.r.choice(["0", f"{n - 1} - {i}", f"({i} + 1) % {n}", f"{i}/2"]))
                self.use_member(body, s, self.r.choice([i, i, f"{n - 1} - {i}", f"{i}*1 + 0"]), rows, updates)
        elif plan == "halves":
            with self.steps(code, n // 2, str(n // 2)) as (body, i):
                pairs = [f"2*{i}", f"2*{i} + 1"], [i, f"{n - 1} - {i}"], [f"{n // 2 - 1} - {i}", f"{i} + {n // 2}"]
                for m in self.r.sample(self.r.choice(pairs), 2):
                    self.use_member(body, s, m, rows, updates)
        else:
            with self.steps(code, n // 2, str(n // 2)) as (outer, i), self.steps(outer, 2, "2") as (body, j):
                self.look_elsewhere(body, s, self.r.choice([f"{j}", f"{n - 1} - {i}"]))
                self.use_member(body, s, self.r.choice([f"2*{i} + {j}", f"{n - 1} - 2*{i} - {j}"]), rows, updates)

    @contextlib.contextmanager
    def steps(self, code, n, count):
        """A loop of n steps that makes all of them."""
        body, var = self.inside(code), code.fresh("i")
        body.integers[var] = (0, n - 1)
        carries = self.begin(code, body)
        self.statements(body, 1)
        yield body, var
        outs, kept = self.end(code, body, carries, dim=str(n))
        kind, most = self.r.choice([("repeat", "count"), ("loop", "max")])
        self.finish(code, body, f'var="{var}" {most}="{count}"', kind, outs, kept)

    def look_elsewhere(self, place, s, member):
        """Reads a member that an earlier step may have updated: it is what the last run left."""
        if self.chance(.5):
            self.read(place, s, member)

    def read(self, place, s, member):
        name = place.fresh()
        place.put(f'<read state="{s["name"]}"{self.picks(member)} out="{name}"/>')
        if "length" in s:
            self.sum_rows(place, s, name)
        else:
            place.values.append(Value(name, s["shape"], LIMIT))

    @staticmethod
    def picks(member):
        return "" if member is None else f' member="{member}"'

    def sum_rows(self, place, s, name):
        shape, axis = s["shape"], s["axis"]
        place.values.append(self.define(place, f'reduce_sum x="{name}" axes="{axis}"',
                                        shape[:axis] + ("1",) + shape[axis + 1:], LIMIT * 12))

    def use_member(self, place, s, member, rows, updates):
        if "length" not in s:
            self.read(place, s, member)
            read = place.values[-1]
            self.statements(place, 1)
            if updates:
                x = read if self.chance(.2) else self.of_shape(place, s["shape"])
                place.put(f'<write state="{s["name"]}"{self.picks(member)} x="{self.clipped(place, x).name}"/>')
        elif updates:
            axis, name = s["axis"], place.fresh()
            count = rows.setdefault(s["length"], self.r.choice(["1", "2", "S"]))
            x = self.of_shape(place, s["shape"][:axis] + (count,) + s["shape"][axis + 1:])
            place.put(f'<append state="{s["name"]}"{self.picks(member)} x="{self.clipped(place, x).name}" out="{name}"/>')
            self.sum_rows(place, s, name)
        else:
            self.read(place, s, member)

    #===-- The model -----------------------------------------------------------------------===#

    def graph(self, name):
        code = Code([], indent=2)
        code.integers = {"D": (4, 4), "n": (self.lets["n"],) * 2}
        inputs, rows = {}, {}
        for i, shape in enumerate(SHAPES):
            if shape in (("B", "4"), ("B", "S", "4")) or self.chance(.5):
                code.put(f'<input name="x{i}" type="f32" shape="{", ".join(shape)}"/>')
                code.values.append(Value(f"x{i}", shape, 4))
                inputs[f"x{i}"] = ("f32", shape)
        if self.unproved:
            code.put('<input name="m" type="f32" shape="M, 4"/>')
            code.values.append(Value("m", ("M", "4"), 4))
            inputs["m"] = ("f32", ("M", "4"))
        code.put('<input name="len" type="i64" shape="B"/>')
        inputs["len"] = ("i64", ("B",))
        code.lengths = "len"
        self.requirements(code)
        self.statements(code, self.r.randint(2, 6))
        # Who appends to a state appends to all that have its length.
        grows = {s["length"]: self.chance(.7) for s in self.states if "length" in s}
        for s in self.states:
            updates = grows[s["length"]] if "length" in s else self.chance(.8)
            if self.chance(.8) or ("length" in s and updates):
                self.use_state(code, s, rows, updates)
                self.statements(code, self.r.randint(0, 2))
        for v in list({v.name: v for v in self.floats(code)}.values())[-12:]:
            code.put(f'<output name="o_{v.name}" value="{v.name}"/>')
        self.graphs[name] = inputs
        return code.lines

    def inputs_of(self, graph):
        made = {}
        for name, (dtype, shape) in self.graphs[graph].items():
            size = [self.dims.get(d) or int(d) for d in shape]
            n = 1
            for d in size:
                n *= d
            least, most = (0, self.dims["S"] + 1) if name == "len" else (-4, 4)
            v = [self.r.randint(least, most) for _ in range(n)]
            made[name] = T(dtype, size, v if dtype == "i64" else map(float, v))
        return made

    def model(self):
        """Fills lines, weights and runs."""
        word = ' unproved="check"' if self.unproved == "check" else ""
        self.lines = [f'<model name="m"{word} xmlns="urn:fovea:model:1">', ' <weights file="m.safetensors"/>']
        self.lines += [f' <let name="{k}" value="{v}"/>' for k, v in self.lets.items()]
        self.lines += [f' <dim name="{d}" min="1" max="6"/>' for d in self.dims]
        for i in range(self.r.randint(0, 2)):
            self.lines.append(" " + self.const_element(f"k{i}", ("4",)))
            self.consts.append((f"k{i}", ("4",)))
        self.declare_states()
        for _ in range(self.r.randint(0, 4)):
            self.block()
        names = ["main"] if self.chance(.6) else ["one", "two"]
        for name in names:
            self.lines += [f' <graph name="{name}">', *self.graph(name), " </graph>"]
        self.lines.append("</model>")
        self.add_weight("unused", ("1",))
        for _ in range(5 if self.states else 1):
            graph = self.r.choice(names)
            self.runs.append((graph, self.inputs_of(graph)))
        return "\n".join(self.lines) + "\n"
