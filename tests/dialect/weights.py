# SPDX-License-Identifier: Apache-2.0
"""What is visible at a place of a random model, and references to weights there."""
from values import T

LIMIT = 50  # of what is passed to a block or carried by a loop


class Value:
    def __init__(self, name, shape, bound, dtype="f32"):
        self.name, self.shape, self.bound, self.dtype = name, tuple(shape), bound, dtype

    @property
    def plain(self):
        return all(d.isdigit() for d in self.shape)


class Block:
    def __init__(self, name):
        self.name, self.ins, self.numbers, self.outs = name, [], [], []
        self.counts = {}  # integer parameters: greatest value, default or None
        self.texts = {}   # text parameters: {suffix of a weight's name: shape}


class Code:
    """What is visible at a place, and the lines that stand there."""

    def __init__(self, lines, outer=None, indent=2):
        self.lines, self.indent = lines, indent
        self.values = list(outer.values) if outer else []
        self.integers = dict(outer.integers) if outer else {}  # name: (least, greatest)
        self.numbers = list(outer.numbers) if outer else []    # arguments that may be literals
        self.texts = outer.texts if outer else {}
        self.function = outer.function if outer else self
        self.depth = outer.depth + 1 if outer else 0
        self.made, self.lengths = {}, outer.lengths if outer else None
        self.families = outer.families if outer else True
        self.of_run = list(outer.of_run) if outer else []      # integers that only the run knows

    def fresh(self, prefix="v"):
        """A name that is new here, and most likely used in every other block."""
        made = self.function.made
        made[prefix] = made.get(prefix, 0) + 1
        return f"{prefix}{made[prefix]}"

    def put(self, text):
        self.lines.append(" " * self.indent + text)


class Weights:
    """The part of the generator that makes integers and weights."""

    def chance(self, p):
        return self.r.random() < p

    def small(self):
        return self.r.randint(-3, 3)

    #===-- Integers --------------------------------------------------------------===#

    def integer(self, code, greatest, least=0):
        """Text of an expression within [least, greatest], and the values it may have."""
        form = self.r.randrange(6) if code.integers else 0
        if form == 0:
            k = self.r.randint(least, greatest)
            return str(k), (k, k)
        name = self.r.choice(list(code.integers)[-2 if self.chance(.8) else 0:])
        lo, hi = code.integers[name]
        k, more = self.r.randint(1, 3), self.r.choice(list(code.integers))
        text, (lo, hi) = {
            1: (name, (lo, hi)),
            2: (f"{k}*{name}", (k * lo, k * hi)),
            3: (f"{name} + {k}", (lo + k, hi + k)),
            4: (f"{name}*{k} + {more}", (k * lo + code.integers[more][0], k * hi + code.integers[more][1])),
            5: (f"({name} + {k})/2", ((lo + k) // 2, (hi + k) // 2)),
        }[form]
        if lo >= least and hi <= greatest:
            return text, (lo, hi)
        if self.chance(.5):
            return f"min(max({text}, {least}), {greatest})", tuple(min(max(k, least), greatest) for k in (lo, hi))
        return f"{least} + ({text}) % {greatest - least + 1}", (least, greatest)

    #===-- Weights -----------------------------------------------------------------===#

    def add_weight(self, name, shape):
        size = 1
        for d in shape:
            size *= int(d)
        self.weights.setdefault(name, T("f32", map(int, shape), [float(self.small()) for _ in range(size)]))

    def weight_name(self, code, shape):
        if code.texts and self.chance(.6):
            p = self.r.choice(list(code.texts))
            suffix = f".m{len(code.texts[p])}"
            code.texts[p][suffix] = shape
            return "{%s}%s" % (p, suffix)
        if not code.families or self.chance(.3):
            name = f"w{len(self.weights)}"
            self.add_weight(name, shape)
            return name
        known = [f for f in self.families if f[1] == shape]
        if known and self.chance(.7):
            base = self.r.choice(known)[0]
        else:
            base = f"f{len(self.families)}"
            self.families.append((base, shape))
        text, (lo, hi) = self.integer(code, 7)
        for k in range(lo, hi + 1):
            self.add_weight(f"{base}.{k}", shape)
        return "%s.{%s}" % (base, text)

    def changed(self, code, shape):
        """(shape before, change) of one random change that ends in `shape`."""
        kind = self.r.choice(["transpose", "slice", "split", "select", "reshape"])
        axis = self.r.randrange(len(shape)) if shape else 0
        grown = lambda n: tuple(str(n) if i == axis else d for i, d in enumerate(shape))
        if kind == "transpose" and len(shape) == 2:
            return shape[::-1], "transpose(1, 0)"
        if kind == "slice" and shape:
            size, extra = int(shape[axis]), self.r.randint(0, 3)
            text, _ = self.integer(code, extra) if code.families else (str(extra), None)
            return grown(size + extra), f"slice({axis}, {text}, {text} + {size})"
        if kind == "split" and shape:
            n = self.r.randint(1, 3)
            text, _ = self.integer(code, n - 1) if code.families else (str(n - 1), None)
            return grown(int(shape[axis]) * n), f"split({axis}, {n}, {text})"
        if kind == "select" and len(shape) < 4:
            n = self.r.randint(1, 4)
            text, _ = self.integer(code, n - 1) if code.families else (str(n - 1), None)
            return (str(n),) + shape, f"select(0, {text})"
        size = 1
        for d in shape:
            size *= int(d)
        return (str(size),), "reshape(" + ", ".join(shape) + ")"

    def weight(self, code, shape):
        changes = []
        for _ in range(self.r.choice([0, 0, 1, 1, 2])):
            shape, change = self.changed(code, shape)
            changes.insert(0, " | " + change)
        return "@" + self.weight_name(code, shape) + "".join(changes)

    def prefix(self, code, wanted):
        """A text argument, and the weights that the block then asks for."""
        if code.texts and self.chance(.5):
            p = self.r.choice(list(code.texts))
            part = f".s{len(code.texts[p])}"
            code.texts[p].update({part + suffix: shape for suffix, shape in wanted.items()})
            return "{%s}%s" % (p, part)
        base, text, values = f"t{len(self.weights)}", None, [None]
        if code.families and self.chance(.6):
            text, (lo, hi) = self.integer(code, 4)
            values = range(lo, hi + 1)
        for k in values:
            for suffix, shape in wanted.items():
                self.add_weight(base + ("" if k is None else f".{k}") + suffix, shape)
        return base if text is None else "%s.{%s}" % (base, text)

    def family(self, code):
        """Two members of one family side by side."""
        if not code.families:
            return
        shape = self.r.choice([("4",), ("3", "4"), ()])
        known = [f[0] for f in self.families if f[1] == shape]
        base = self.r.choice(known) if known else f"f{len(self.families)}"
        if not known:
            self.families.append((base, shape))
        # Several ways through the family that begin at the same member.
        counter, (lo, hi) = list(code.integers.items())[-1] if code.integers else ("0", (0, 0))
        first, words = self.r.randint(0, 1), []
        for times in self.r.sample(range(4), 2):
            words.append("@%s.{%d*%s + %d}" % (base, times, counter, first))
            for k in range(times * lo + first, times * hi + first + 1):
                self.add_weight(f"{base}.{k}", shape)
        self.define(code, f'sub a="{words[0]}" b="{words[1]}"', shape, 6)
