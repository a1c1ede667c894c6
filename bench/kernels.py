# SPDX-License-Identifier: Apache-2.0
"""kernels.py MODEL [--seconds S] [OPTION...]: which kernels the time goes to.

Compiles MODEL to a library, samples bench/driver by perf's processor clock, which
virtual machines have too, and counts the samples of each kernel. OPTIONs are those of
bench/driver; --weights and --let go to the compiler as well.
"""
import bisect
import collections
import re
import subprocess
import sys

import common

FOVEA = common.BUILD / "bin" / "fovea"
LIBRARY = common.OUT / "kernels.so"


def run(*command, **more):
    return subprocess.run([str(word) for word in command], check=True, text=True,
                          stdout=subprocess.PIPE, **more).stdout


def kernel_names(model, options):
    text = run(FOVEA, "inspect", model, *options, "--emit=kernel")
    return re.findall(r"^kernel (\w+)\(", text, re.MULTILINE)


def kernel_entries(count):
    """The addresses of the kernels, which a table in the library holds in their order:
    that many neighbouring pointers into .text that ascend, the last such table."""
    sections = run("readelf", "-SW", LIBRARY)
    text = re.search(r" \.text +PROGBITS +(\w+) (\w+) (\w+)", sections)
    begin, offset, size = (int(n, 16) for n in text.groups())
    runs, last = [[]], (0, 0)
    for line in run("readelf", "-rW", LIBRARY).splitlines():
        m = re.match(r"(\w+) +\w+ R_\w+_RELATIVE +(\w+)$", line)
        if not m:
            continue
        at, to = int(m[1], 16), int(m[2], 16)
        if begin <= to < begin + size:
            if (at, True) != (last[0] + 8, to > last[1]):
                runs.append([])
            runs[-1].append(to)
        last = at, to
    tables = [r for r in runs if len(r) == count]
    if not tables:
        sys.exit(f"kernels.py: {LIBRARY} has no table of {count} kernels")
    return tables[-1], begin - offset


def sample(options, seconds):
    """File offsets within the library: samples."""
    data = common.OUT / "kernels.perf"
    subprocess.run(["perf", "record", "-q", "-e", "cpu-clock", "-F", "5000", "-o", data,
                    common.OUT / "driver", LIBRARY, *options], check=True, text=True,
                   input=f"run {seconds}\n", stdout=subprocess.DEVNULL)
    report = run("perf", "report", "-i", data, "--stdio", "-n", "--sort=dso,sym",
                 stderr=subprocess.DEVNULL)
    counts, other = collections.Counter(), 0
    for line in report.splitlines():
        m = re.match(r" +[\d.]+% +(\d+) +(\S+) +\[.\] (\S+)", line)
        if m and m[2] == LIBRARY.name and m[3].startswith("0x"):
            counts[int(m[3], 16)] += int(m[1])
        elif m:
            other += int(m[1])
    return counts, other


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    model, options, seconds = sys.argv[1], sys.argv[2:], "3"
    if "--seconds" in options:
        at = options.index("--seconds")
        seconds = options[at + 1]
        del options[at:at + 2]
    pairs = list(zip(options[::2], options[1::2]))
    of_model = [word for p in pairs if p[0] in ("--weights", "--let") for word in p]
    names = kernel_names(model, of_model)
    run(FOVEA, "compile", model, *of_model, "-o", LIBRARY)
    entries, shift = kernel_entries(len(names))
    counts, other = sample([w for p in pairs if p[0] not in ("--weights", "--let") for w in p],
                           seconds)
    total = collections.Counter({"(not the library)": other})
    # A kernel's body stands before its entry; before the first one is the runtime.
    first = 2 * entries[0] - entries[1]
    for offset, n in counts.items():
        address = offset + shift
        i = bisect.bisect_right(entries, address)
        in_kernel = first <= address and i < len(names)
        total[names[i] if in_kernel else "(runtime)"] += n
    everything = sum(total.values())
    common.print_table([["kernel", "share"]] + [
        [name, f"{100 * n / everything:.1f} %"] for name, n in total.most_common() if n])


try:
    main()
except subprocess.CalledProcessError as e:  # it has said why
    sys.exit(e.returncode)
