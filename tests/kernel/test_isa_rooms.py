#!/usr/bin/python3
"""Instructions that not every x86-64 CPU has are only in the objects that are compiled for an instruction
set, and these objects define nothing that another object could be linked to."""

import os
import re
import shutil
import subprocess
import sys

LIBRARY = os.path.join(os.environ.get("top_builddir", "build"), "libresnext.a")
# Measures the peak of whatever the CPU has, in assembly behind a check.
EXEMPT = {"peak.o"}

# What came after the first x86-64: VEX and EVEX, and the sets from SSE3 to BMI2. Not tzcnt: that is
# what older CPUs run as bsf, and compilers use it so.
LATER = re.compile(
    r"^(v(?!err|erw)\w+|k(mov|or|and|xor|not|shift|unpck|add|test|ortest)\w*|"
    r"p(shufb|mulld|mov[sz]x\w+|blend\w+|m(ax|in)(s[bd]|u[wd])|test|ext[rp]?[bdq]?|insr[bdq]|h(add|sub)\w+|"
    r"abs[bwd]|align\w+|maddubsw|mulhrsw|sign[bwd]|cmp(eqq|gtq|[ei]str\w)|dep|opcnt\w*|clmul\w+)|"
    r"packusdw|blend\w+|round[sp][sd]|dpp[sd]|insertps|extractps|h(add|sub)p[sd]|addsubp[sd]|"
    r"mov(ddup|shdup|sldup|be)|lddqu|lzcnt\w*|crc32\w*|bextr|andn|bls\w+|sarx|sh[lr]x|rorx|mulx|"
    r"bzhi)$")


def output(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.decode()


def instructions():
    """(object, bytes, mnemonic) of every instruction in the library."""
    member = None
    for line in output("objdump", "-d", "-w", "--insn-width=15", LIBRARY).splitlines():
        head = re.match(r"^(\S+\.o): +file format", line)
        if head:
            member = head.group(1)
            continue
        parts = line.split("\t")
        if len(parts) < 3:
            continue
        words = re.sub(r"\{\w+\} ", "", parts[2]).split()
        words = [w for w in words if w not in ("rep", "repz", "repnz", "lock", "notrack", "bnd")]
        if words:
            yield member, parts[1].split(), words[0]


def isa_of(member):
    """avx2, avx_vnni, avx512, ...; None outside."""
    match = re.match(r"lib(avx\w*)_a-", member)
    return match and match.group(1)


def foreign_symbols():
    """External symbols of these objects without the name of an instruction set."""
    found, member = [], None
    for line in output("nm", "--defined-only", "--extern-only", LIBRARY).splitlines():
        if line.endswith(".o:"):
            member = line[:-1]
        elif line.strip() and isa_of(member) and "avx" not in line.split()[-1] and \
                "asan" not in line.split()[-1]:
            found.append(f"{member}: {line.split()[-1]}")
    return found


def main():
    print("1..4")
    if os.uname().machine != "x86_64" or not shutil.which("objdump"):
        for number in range(1, 5):
            print(f"ok {number} # SKIP only for x86-64, with objdump")
        return 0
    outside, counts, evex = set(), {}, set()
    for member, code, mnemonic in instructions():
        isa = isa_of(member)
        later = LATER.match(mnemonic)
        if isa:
            counts[isa] = counts.get(isa, 0) + bool(later)
            if isa.startswith(("avx2", "avx_vnni")) and code[0] == "62":
                evex.add(f"{member}: {mnemonic}")
        elif later and member not in EXEMPT:
            outside.add(f"{member}: {mnemonic}")
    wanted = {"avx2", "avx_vnni", "avx512", "avx512_vnni", "avx512_bf16", "avx2_image", "avx512_image"}
    results = [
        ("other objects have no later instruction", outside),
        ("avx2 and avx_vnni have no AVX-512 encodings", evex),
        ("objects of an instruction set have its instructions", wanted - {r for r, n in counts.items() if n > 100}),
        ("their external symbols have its name", foreign_symbols()),
    ]
    failed = False
    for number, (what, found) in enumerate(results, 1):
        failed |= bool(found)
        print("".join(f"# {line}\n" for line in sorted(found)), end="")
        print(f"{'not ok' if found else 'ok'} {number} - {what}")
    return 1 if failed else 0


sys.exit(main())
