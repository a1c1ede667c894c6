#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""recursion.py OBJDUMP LIBRARY...: functions that call themselves, directly or by others.

Walks over what a user wrote are loops: a chain of a million nodes must not need a million
frames. So each cycle of calls in the machine code has to stand in BOUNDED, with what bounds
its depth. Calls through pointers, and those that the compiler made jumps, are not seen.
"""
import re
import subprocess
import sys

# One function of each cycle, and how deep it goes.
BOUNDED = {
    "fv_prove_le": "fv_xpool.depth, which is at most 4",
    "fv_xp_mod": "fv_xpool.depth, which is at most 4",
    "fv_x_op": "one step: an operation is rewritten as a simpler one",
    "fv_kb_op": "one step each: an operation is rewritten as simpler ones",
    "convert": "one step: the scalar of a splat",
    "content_of": "conditions, operands and indices of one expression in one another, at most 64",
    "eval_region": "loops and definitions in one another, at most 64",
    "region_work": "loops in one another, at most 64",
    "lw_emit_expr": "offsets in offsets, as deep as loads stand in those of loads: the depth of a group",
    "lw_ensure_reductions": "reductions of reductions, within one row kernel",
    "value_get": "one step: a type is a float or an integer",
}


def calls_of(objdump, path):
    """Names of functions by address, and the addresses that each calls."""
    text = subprocess.run([objdump, "-d", "--no-show-raw-insn", path], check=True,
                          capture_output=True, text=True).stdout
    names, calls, plt, here = {}, {}, {}, None
    for line in text.split("\n"):
        head = re.match(r"^([0-9a-f]+) <([^>]+)>:$", line)
        call = re.search(r"\bcall\s+([0-9a-f]+) <([^>+]+)", line)
        if head:
            # What the compiler cut off a function is still that function.
            here = re.sub(r"\.(part|isra|constprop|cold)\b.*", "", head[2]), int(head[1], 16)
            names[here[1]] = here[0]
            calls[here[1]] = set()
        elif call and here:
            target = int(call[1], 16)
            if call[2].endswith("@plt"):
                plt.setdefault(here[1], set()).add(call[2][:-4])
            else:
                calls[here[1]].add(target)
    by_name = {name: address for address, name in names.items()}
    for address, targets in plt.items():
        calls[address] |= {by_name[t] for t in targets if t in by_name}
    return names, {a: {t for t in to if t in names} for a, to in calls.items()}


def cycles_of(calls):
    """Tarjan's strongly connected components, those that are cycles."""
    index, low, stack, on, found = {}, {}, [], set(), []
    for root in calls:
        work = [] if root in index else [(root, None)]
        while work:
            node, targets = work.pop()
            if targets is None:
                index[node] = low[node] = len(index)
                stack.append(node)
                on.add(node)
                targets = iter(sorted(calls[node]))
            for t in targets:
                if t not in index:
                    work += [(node, targets), (t, None)]
                    break
                if t in on:
                    low[node] = min(low[node], index[t], low[t])
            else:
                if low[node] == index[node]:
                    part = stack[stack.index(node):]
                    del stack[-len(part):]
                    on -= set(part)
                    if len(part) > 1 or node in calls[node]:
                        found.append(part)
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
    return found


def main():
    bad = False
    for path in sys.argv[2:]:
        names, calls = calls_of(sys.argv[1], path)
        for cycle in cycles_of(calls):
            functions = sorted({names[a] for a in cycle})
            if not any(f in BOUNDED for f in functions):
                print(f"{path}: {', '.join(functions)}: nothing is said to bound this recursion")
                bad = True
        bad |= len(names) < 10
    return bad


if __name__ == "__main__":
    sys.exit(main())
