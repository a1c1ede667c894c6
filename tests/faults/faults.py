#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Hostile files, places that cannot be written to and damaged libraries.

Every case wants a diagnostic, the right exit code, no file left behind, no
signal and no report of a sanitizer.  faults.py FOVEA [PATTERN]
"""

import json
import os
import random
import shutil
import subprocess
import sys

from harness import Skip, Wrong, case, cases_of, main, safetensors

NS = 'xmlns="urn:fovea:model:1"'


def model(body, name="m"):
    return f'<model name="{name}" {NS}>\n{body}\n</model>\n'


LINEAR = model("""<weights file="w.safetensors"/>
<dim name="B" max="64"/>
<input name="x" type="f32" shape="B, 4"/>
<linear x="x" w="@w" out="h"/>
<relu x="h" out="y"/>
<output name="y"/>""")
W = {"dtype": "F32", "shape": [4, 4], "data_offsets": [0, 64]}
GOOD = safetensors({"w": W}, b"\0\0\x80\x3f" * 16)


def floats(shape, begin=0, end=64, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


@case
def control(folder):
    folder.write("m.xml", LINEAR)
    folder.write("w.safetensors", GOOD)
    p = folder.run("run", "m.xml", "-i", "x=1,2,3,4", code=0)
    if b"10 10 10 10" not in p.stdout:
        raise Wrong(p.stdout.decode())


# ===-- Weights ---------------------------------------------------------------===

@cases_of("weights", [
    ("empty", b""),
    ("seven_bytes", b"1234567"),
    ("eight_bytes", (0).to_bytes(8, "little")),
    ("header_2_63", (1 << 63).to_bytes(8, "little") + GOOD[8:]),
    ("header_2_64", b"\xff" * 8 + GOOD[8:]),
    ("header_behind_the_end", (len(GOOD)).to_bytes(8, "little") + GOOD[8:]),
    ("no_json", safetensors(b"hello, world")),
    ("json_cut", safetensors(b'{"w":{"dtype":"F32","shape":[4,4],"data_off', pad=False)),
    ("json_array", safetensors(b"[]")),
    ("json_deep", safetensors(b'{"__metadata__":' + b"[" * 100000)),
    ("json_nul", safetensors(b'{"w\\u0000":1}')),
    ("not_utf8", safetensors(b'{"\xff\xfe":1}')),
    ("data_cut", GOOD[:-1]),
    ("data_gone", GOOD[:-64]),
    ("oversized", GOOD + b"\0" * 8),
    ("overlap", safetensors({"w": floats([4, 4]), "v": floats([4], 32, 48)}, bytes(64))),
    ("hole", safetensors({"w": floats([4, 4]), "v": floats([4], 80, 96)}, bytes(96))),
    ("begin_behind_end", safetensors({"w": floats([4, 4], 64, 0)}, bytes(64))),
    ("shape_and_bytes", safetensors({"w": floats([4, 5])}, bytes(64))),
    ("elements_2_60", safetensors({"w": floats([1 << 60])}, bytes(64))),
    ("elements_2_60_and_bytes", safetensors({"w": floats([1 << 60], 0, 1 << 62)}, bytes(64))),
    ("product_overflows", safetensors({"w": floats([1 << 32, 1 << 32, 4, 4])}, bytes(64))),
    ("product_wraps_to_64", safetensors({"w": floats([(1 << 60) + 1, 16])}, bytes(64))),
    ("dim_2_64", safetensors({"w": floats([1 << 64, 4])}, bytes(64))),
    ("dim_negative", safetensors({"w": floats([-4, -4])}, bytes(64))),
    ("dim_fraction", safetensors({"w": floats([4.5, 4])}, bytes(64))),
    ("offset_negative", safetensors({"w": floats([4, 4], -64, 0)}, bytes(64))),
    ("unknown_dtype", safetensors({"w": floats([4, 4], dtype="F33")}, bytes(64))),
    ("dtype_i32", safetensors({"w": floats([4, 4], dtype="I32")}, bytes(64))),
    ("no_shape", safetensors({"w": {"dtype": "F32", "data_offsets": [0, 64]}}, bytes(64))),
    ("duplicate", safetensors(b'{"w":%b,"w":%b}' % ((str(W).replace("'", '"').encode(),) * 2),
                              bytes(64))),
    ("rank_9", safetensors({"w": floats([1] * 8 + [16])}, bytes(64))),
    ("wrong_shape", safetensors({"w": floats([2, 8])}, bytes(64))),
    ("wrong_name", safetensors({"v": W}, bytes(64))),
])
def weights(folder, content):
    folder.write("m.xml", LINEAR)
    folder.write("w.safetensors", content)
    folder.run("check", "m.xml", code=3)
    folder.run("compile", "m.xml", "-o", "libm.so", code=3)


@case
def weights_missing(folder):
    folder.write("m.xml", LINEAR)
    folder.run("check", "m.xml", code=3, says="w.safetensors")


@cases_of("weights_kind", [
    ("directory", lambda path: os.mkdir(path)),
    ("fifo", lambda path: os.mkfifo(path)),
    ("device", lambda path: os.symlink("/dev/zero", path)),
    ("loop", lambda path: os.symlink("w.safetensors", path)),
])
def weights_kind(folder, make):
    folder.write("m.xml", LINEAR)
    make(os.path.join(folder.path, "w.safetensors"))
    folder.run("check", "m.xml", code=3, says="w.safetensors")


@cases_of("escape", [
    ("absolute", "/{outside}/w.safetensors", None),
    ("dots", "../w.safetensors", None),
    ("dots_inside", "sub/../../w.safetensors", None),
    ("link", "link.safetensors", "link.safetensors"),
    ("linked_folder", "link/w.safetensors", "link"),
])
def escape(folder, name, link):
    outside = os.path.join(folder.path, "out")
    folder.write("out/w.safetensors", GOOD)
    folder.write("out/in/sub/x", "")
    folder.write("out/in/m.xml", LINEAR.replace("w.safetensors", name.format(outside=outside[1:])))
    if link:
        target = outside + ("/w.safetensors" if "." in link else "")
        os.symlink(target, os.path.join(outside, "in", link))
    folder.run("check", "out/in/m.xml", code=3, says="--weights FILE")


@case
def snapshot_of_links(folder):
    """As caches of models lay them out: links, which the user may follow, not the model."""
    folder.write("blobs/1", GOOD)
    folder.write("snapshot/m.xml", LINEAR)
    index = {"weight_map": dict.fromkeys(["w"], "w.safetensors")}
    folder.write("blobs/2", json.dumps(index))
    escape = {"weight_map": dict.fromkeys(["w"], "../blobs/1")}
    folder.write("snapshot/out.index.json", json.dumps(escape))
    os.symlink("../blobs/1", os.path.join(folder.path, "snapshot/w.safetensors"))
    os.symlink("../blobs/2", os.path.join(folder.path, "snapshot/w.index.json"))
    folder.run("check", "snapshot/m.xml", code=3, says="--weights FILE")
    folder.run("check", "snapshot/m.xml", "--weights=snapshot/w.safetensors", code=0)
    folder.run("check", "snapshot/m.xml", "--weights=snapshot/w.index.json", code=0)
    folder.run("check", "snapshot/m.xml", "--weights=snapshot/out.index.json", code=3,
               says="not beneath")


@cases_of("shards", [
    ("no_map", "{}"),
    ("no_json", "{"),
    ("number", '{"weight_map": {"w": 1}}'),
    ("missing", '{"weight_map": {"w": "none.safetensors"}}'),
    ("lies", '{"weight_map": {"w": "a.safetensors", "v": "a.safetensors"}}'),
    ("escape", '{"weight_map": {"w": "../../../../../../etc/passwd"}}'),
    ("itself", '{"weight_map": {"w": "w.index.json"}}'),
    ("deep", '{"weight_map": ' + '{"a":' * 50000),
])
def shards(folder, index):
    folder.write("m.xml", LINEAR.replace("w.safetensors", "w.index.json"))
    folder.write("w.index.json", index)
    folder.write("a.safetensors", GOOD)
    folder.run("check", "m.xml", code=3)


# Of the format, but not of fovea: bits, name.
FOREIGN = [(8, "F8_E4M3"), (8, "F8_E5M2"), (8, "F8_E8M0"), (8, "F8_E4M3FNUZ"), (8, "F8_E5M2FNUZ"), (4, "F4"),
           (6, "F6_E2M3"), (6, "F6_E3M2"), (16, "U16"), (32, "U32"), (64, "U64"), (64, "C64")]


@cases_of("weights_foreign", [(name, bits, name) for bits, name in FOREIGN])
def weights_foreign(folder, bits, name):
    """A weight of a type that fovea lacks is named with it, wherever it is asked for; others are of use."""
    size = 16 * bits // 8
    foreign = {"w": floats([4, 4], 0, size, name)}
    both = {**foreign, "v": floats([4, 4], size, size + 64)}
    says = f"'w' is stored as {name}"
    folder.write("m.xml", LINEAR)
    for tensors, n in (foreign, size), (both, size + 64):
        folder.write("w.safetensors", safetensors(tensors, bytes(n)))
        folder.run("check", "m.xml", code=3, says=says)
    folder.run("check", "m.xml", "--weights=w.safetensors", code=3, says=says)
    folder.write("w.index.json", json.dumps({"weight_map": {"w": "w.safetensors", "v": "w.safetensors"}}))
    folder.write("index.xml", LINEAR.replace("w.safetensors", "w.index.json"))
    folder.run("check", "index.xml", code=3, says=says)
    folder.write("v.xml", LINEAR.replace("@w", "@v"))
    folder.run("check", "v.xml", code=0)
    folder.write("index.xml", LINEAR.replace("w.safetensors", "w.index.json").replace("@w", "@v"))
    folder.run("check", "index.xml", code=0)
    folder.write("x.xml", model('<input name="x" type="f32" shape="4, 4"/><relu x="x" out="y"/><output name="y"/>'))
    folder.run("run", "x.xml", "--input=x=@w.safetensors#w", code=3, says=says)


@case
def weights_noise(folder):
    rng = random.Random(1)
    folder.write("m.xml", LINEAR)
    for _ in range(60):
        damaged = bytearray(GOOD)
        for _ in range(rng.randint(1, 4)):
            damaged[rng.randrange(len(damaged) - 64)] = rng.randrange(256)
        folder.write("w.safetensors", bytes(damaged))
        folder.run("check", "m.xml", code=(0, 3))


# ===-- Models ----------------------------------------------------------------===

def shape(dims, op='<relu x="x" out="y"/>', extra=""):
    return model(f'{extra}<input name="x" type="f32" shape="{dims}"/>{op}<output name="y"/>')


@cases_of("model", [
    ("empty", ""),
    ("binary", bytes(range(256))),
    ("cut", LINEAR[:100]),
    ("utf16_cut", LINEAR.encode("utf-16")[:101]),
    ("doctype", '<!DOCTYPE m [<!ENTITY a "b">]>' + shape("4")),
    ("laughs", '<!DOCTYPE m [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>' + model("&b;")),
    ("external", '<!DOCTYPE m [<!ENTITY a SYSTEM "/etc/passwd">]>' + model("&a;")),
    ("xinclude", model('<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="/etc/passwd"'
                       ' parse="text"/>')),
    ("deep", model("<block>" * 20000)),
    ("attributes", model("<relu " + " ".join(f'a{i}="1"' for i in range(20000)) + "/>")),
    ("long_name", model(f'<relu x="{"x" * 3000000}" out="y"/>')),
    ("dim_negative", shape("-4")),
    ("dim_2_60", shape("1152921504606846976")),
    ("dim_2_64", shape("18446744073709551616")),
    ("dims_product", shape("4294967296, 4294967296")),
    ("dim_range", shape("N", extra='<dim name="N" min="5" max="4"/>')),
    ("dim_max_2_62", shape("N, N", extra='<dim name="N" max="4611686018427387904"/>')),
    ("let_overflow", shape("N", extra='<let name="N" value="9223372036854775807 + 1"/>')),
    ("let_zero", shape("N", extra='<let name="N" value="1 // 0"/>')),
    ("let_itself", shape("N", extra='<let name="N" value="N + 1"/>')),
    ("rank_9", shape("1,1,1,1,1,1,1,1,1")),
    ("cycle", model('<input name="x" type="f32" shape="4"/><add a="x" b="z" out="y"/>'
                    '<add a="x" b="y" out="z"/><output name="z"/>')),
    ("self", shape("4", '<add a="x" b="y" out="y"/>')),
    ("block_cycle", model('<block name="a" in="x" out="y"><call block="a" x="x" y="y"/></block>'
                          '<input name="x" type="f32" shape="4"/><call block="a" x="x" out="y"/>'
                          '<output name="y"/>')),
    ("repeat_2_62", model('<weights file="w.safetensors"/><input name="x" type="f32" shape="4"/>'
                          '<repeat var="i" count="4611686018427387904" out="y"><carry name="h" '
                          'init="x"/><linear x="h" w="@w{i}" out="r"/><next h="r"/></repeat>'
                          '<output name="y"/>')),
    ("expand_2_60", shape("1", '<expand x="x" shape="1152921504606846976" out="y"/>')),
    ("pad_2_60", shape("1", '<pad x="x" pads="0, 1152921504606846976" out="y"/>')),
    ("const_size", shape("4", '<const name="y" type="f32" shape="1152921504606846976">1</const>')),
    ("unknown_op", shape("4", '<rleu x="x" out="y"/>')),
    ("shapes", model('<input name="a" type="f32" shape="3, 4"/><input name="b" type="f32" '
                     'shape="5, 6"/><matmul a="a" b="b" out="y"/><output name="y"/>')),
    ("dtypes", model('<input name="a" type="f32" shape="3"/><input name="b" type="i64" '
                     'shape="3"/><add a="a" b="b" out="y"/><output name="y"/>')),
    ("nothing", model("")),
])
def bad_model(folder, content):
    folder.write("m.xml", content)
    folder.write("w.safetensors", safetensors({"w0": W}, bytes(64)))
    folder.run("check", "m.xml", code=3)
    folder.run("run", "m.xml", "-b", "reference", code=3)
    folder.run("compile", "m.xml", "-o", "libm.so", code=3)


@case
def model_noise(folder):
    rng = random.Random(2)
    folder.write("w.safetensors", GOOD)
    for _ in range(80):
        damaged = bytearray(LINEAR.encode())
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(len(damaged))
            damaged[at:at + rng.randint(0, 3)] = bytes(rng.choices(b"<>\"'/&=;\0\xff xwB4,-@", k=1))
        folder.write("m.xml", bytes(damaged))
        folder.run("check", "m.xml", code=(0, 3))


@cases_of("model_kind", [
    ("missing", lambda path: None),
    ("directory", lambda path: os.mkdir(path)),
    ("fifo", lambda path: os.mkfifo(path)),
    ("device", lambda path: os.symlink("/dev/zero", path)),
])
def model_kind(folder, make):
    make(os.path.join(folder.path, "m.xml"))
    for command in ("check", "inspect", "run", "compile"):
        folder.run(command, "m.xml", code=3, says="m.xml")


# ===-- Inputs of a run --------------------------------------------------------===

def npy(head, data=b""):
    head = head.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + data


@cases_of("npy", [
    ("empty", b""),
    ("cut", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 4), }", bytes(15))),
    ("head_cut", b"\x93NUMPY\x01\x00\xff\xff{"),
    ("huge", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1152921504606846976, 4), }")),
    ("negative", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 4), }", bytes(16))),
    ("object", npy("{'descr': '|O', 'fortran_order': False, 'shape': (1, 4), }", bytes(32))),
    ("shape", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 5), }", bytes(20))),
])
def bad_npy(folder, content):
    folder.write("m.xml", LINEAR)
    folder.write("w.safetensors", GOOD)
    folder.write("x.npy", content)
    folder.run("run", "m.xml", "-i", "x=@x.npy", code=(2, 3, 4))


@cases_of("usage", [
    ("dim_range", "--dim", "B=65"),
    ("dim_huge", "--dim", "B=99999999999999999999"),
    ("dim_negative", "--dim", "B=-1"),
    ("input", "-i", "nope=1"),
    ("count", "-i", "x=1,2,3"),
    ("backend", "-b", "../../evil"),
    ("threads", "-t", "1000000000"),
    ("option", "--nope"),
])
def usage(folder, *args):
    folder.write("m.xml", LINEAR)
    folder.write("w.safetensors", GOOD)
    folder.run("run", "m.xml", *args, code=2)


@case
def out_of_memory(folder):
    folder.write("m.xml", shape("N", extra='<dim name="N" max="1099511627776"/>'))
    folder.run("run", "m.xml", "--dim", "N=1099511627776", code=(3, 5))


# ===-- Places to write to -----------------------------------------------------===

@cases_of("output", [
    ("proc", "/proc/libm.so"),
    ("no_folder", "none/libm.so"),
    ("folder", "sub.so"),
    ("folder_slash", "sub.so/"),
    ("below_a_file", "m.xml/libm.so"),
    ("long", "x" * 300 + ".so"),
])
def output(folder, path):
    folder.write("m.xml", LINEAR)
    folder.write("w.safetensors", GOOD)
    folder.write("sub.so/keep", "")
    folder.run("compile", "m.xml", "-o", path, "--emit=so", "--name=m", code=3, says="cannot")
    folder.run("run", "m.xml", "--save", path + ".npy", code=3) if "proc" in path else None


@case
def device_full(folder):
    folder.write("m.xml", LINEAR)
    folder.write("w.safetensors", GOOD)
    if not os.path.exists("/dev/full"):
        raise Skip("no /dev/full")
    folder.run("compile", "m.xml", "-o", "/dev/full", "--emit=kernel", code=3, says="No space")
    os.symlink("/dev/full", os.path.join(folder.path, "libm.so"))
    folder.run("compile", "m.xml", "-o", "libm.so", code=3, says="No space")
    with open("/dev/full", "wb") as full:
        for command in ("inspect", "fmt", "run"):
            folder.run(command, "m.xml", code=3, says="No space", stdout=full)


@case
def read_only_folder(folder):
    folder.write("m.xml", LINEAR)
    folder.write("w.safetensors", GOOD)
    folder.write("ro/x", "")
    os.chmod(os.path.join(folder.path, "ro"), 0o555)
    if os.access(os.path.join(folder.path, "ro"), os.W_OK):
        raise Skip("root may write anywhere")
    folder.run("compile", "m.xml", "-o", "ro/libm.so", code=3, says="ermission")


@case
def disk_full(folder):
    folder.write("m.xml", LINEAR)
    folder.write("w.safetensors", GOOD)
    small = os.path.join(folder.path, "disk")
    os.mkdir(small)
    if shutil.which("mount") is None or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=8k", "none", small],
            stderr=subprocess.DEVNULL, check=False).returncode != 0:
        raise Skip("may not mount")
    try:
        folder.run("compile", "m.xml", "-o", "disk/libm.so", code=3, says="No space")
        # The linker's folder.
        folder.run("compile", "m.xml", "-o", "libm.so", code=3, says="No space",
                   more_env={"TMPDIR": small})
    finally:
        subprocess.run(["umount", small], check=False)


@case
def linker_disk_full(folder):
    """There is room for the linker's input, not for its output."""
    folder.write("m.xml", LINEAR)
    folder.write("w.safetensors", GOOD)
    small = os.path.join(folder.path, "disk")
    os.mkdir(small)
    for size in range(96, 200, 8):
        if shutil.which("mount") is None or subprocess.run(
                ["mount", "-t", "tmpfs", "-o", f"size={size}k", "none", small],
                stderr=subprocess.DEVNULL, check=False).returncode != 0:
            raise Skip("may not mount")
        try:
            p = folder.run("compile", "m.xml", "-o", "libm.so", code=(0, 3),
                           more_env={"TMPDIR": small})
            if os.listdir(small):
                raise Wrong(f"left {os.listdir(small)} in the folder of temporary files")
        finally:
            subprocess.run(["umount", small], check=False)
        if p.returncode == 3 and b"space left" not in p.stderr:
            raise Wrong(p.stderr.decode())


@case
def file_size_limit(folder):
    """Writing ends in the middle, the linker's too; an older library stays as it was."""
    folder.write("m.xml", LINEAR)
    folder.write("w.safetensors", GOOD)
    for limit in (0, 4096, 20000):
        folder.run("compile", "m.xml", "-o", "libm.so", code=(3, 5), says="too large",
                   limit_file=limit)
    folder.write("libm.so", "old")
    folder.run("compile", "m.xml", "-o", "libm.so", code=(3, 5), limit_file=4096)
    if folder.read("libm.so") != b"old":
        raise Wrong("the old library is gone")
    folder.run("run", "m.xml", "--save", "y.npy", code=3, limit_file=16)


# ===-- Libraries --------------------------------------------------------------===

def library(folder):
    folder.write("m.xml", LINEAR)
    folder.write("w.safetensors", GOOD)
    folder.run("compile", "m.xml", "-o", "libm.so", code=0)
    return folder.read("libm.so")


@case
def library_whole(folder):
    library(folder)
    p = folder.run("run", "libm.so", "-i", "x=1,2,3,4", code=0)
    if b"10 10 10 10" not in p.stdout:
        raise Wrong(p.stdout.decode())


@case
def library_stripped(folder):
    """What is loaded is sealed apart from the rest, which strip rewrites."""
    if shutil.which("strip") is None:
        raise Skip("no strip")
    library(folder)
    subprocess.run(["strip", "libm.so"], cwd=folder.path, check=True)
    p = folder.run("run", "libm.so", "-i", "x=1,2,3,4", code=0)
    if b"10 10 10 10" not in p.stdout:
        raise Wrong(p.stdout.decode())
    stripped = bytearray(folder.read("libm.so"))
    stripped[stripped.index(b"FVEA") + 40] ^= 1
    folder.write("bad.so", bytes(stripped))
    folder.run("run", "bad.so", "-i", "x=1,2,3,4", code=3, says="changed or damaged")


@cases_of("library", [
    ("head_only", lambda whole: whole[:64]),
    ("magic_only", lambda whole: whole[:4]),
    ("half", lambda whole: whole[:len(whole) // 2]),
    ("last_byte_gone", lambda whole: whole[:-25]),
    ("zeros", lambda whole: whole[:64] + bytes(len(whole) - 64)),
    ("sections_huge", lambda whole: whole[:40] + b"\xff" * 8 + whole[48:]),
    ("other_machine", lambda whole: whole[:18] + b"\xb7\0" + whole[20:]),
    ("other", lambda whole: open("/proc/self/exe", "rb").read()),
])
def bad_library(folder, damage):
    folder.write("bad.so", damage(library(folder)))
    folder.run("run", "bad.so", code=(3, 5), says="bad.so")
    folder.run("inspect", "bad.so", code=(3, 5), says="bad.so")


@cases_of("library_noise", [("head", 0, 1024), ("tail", -1536, None), ("all", 0, None)])
def library_noise(folder, begin, end):
    """Any flipped byte is seen before the loader sees the file."""
    rng = random.Random(3)
    whole = library(folder)
    places = range(*slice(begin, end).indices(len(whole)))
    for _ in range(40):
        damaged = bytearray(whole)
        damaged[rng.choice(places)] ^= 1 << rng.randrange(8)
        folder.write("bad.so", bytes(damaged))
        folder.run("run", "bad.so", "-i", "x=1,2,3,4", code=(3, 5))


if __name__ == "__main__":
    main(*sys.argv[1:])
