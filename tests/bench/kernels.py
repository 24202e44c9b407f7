"""Count what the GPU's kernels are compiled to; `make kernels` prints all and writes a table of docs/performance.md.

No GPU is needed: Triton's wheel has the compilers, and NVIDIA's disassembler. An instruction is a thread's, and counts
once, however often a loop repeats it; NVIDIA's padding and the jump to itself behind the last one do not count.
"""

import argparse
import json
import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
import triton

from dropblock_core.validate import RENORMS
from tests.bench.document import DOCUMENT
from tests.bench.launched import TARGETS, Recorded, Setting, variants
from tests.shared.generated import write_generated

# What a program makes: the name of one, the constants whose product says how many, and a factor.
MADE = {
    "draw": ("draw", ("BLOCK",), 4),  # at one turn of its loop
    "grow": ("word", ("WORDS",), 1),
    "grow_across": ("word", ("WORDS",), 32),
    "scale_and_drop": ("unit", ("ROWS",), 32),
    "scale_and_drop_across": ("unit", ("ROWS",), 1024),
}


class Counts(NamedTuple):
    """Of one kernel for one target. Loads, stores and atomics are those of global memory, by their bytes. What gfx942
    loads into scalar registers, its arguments mostly, is left out.
    """

    kernel: str
    variant: str
    target: str
    instructions: int
    in_loops: int
    made: str
    each: float  # instructions that threads run for each of what is made, every loop once
    registers: int
    scalar: int  # registers that gfx942 counts apart
    spilled: int  # bytes a thread
    shared: int  # bytes a program
    loads: dict[int, int]
    stores: dict[int, int]
    atomics: int


class Assembly(NamedTuple):
    """How to read one vendor's: patterns, where the first group of `jump` is what it leads to."""

    line: str
    jump: str
    never_goes_on: str
    access: str
    sizes: dict[str, int]
    kinds: dict[str, str]


SASS = Assembly(
    line=r"\s*/\*[0-9a-f]+\*/\s+(?!\s|NOP)(.*?)\s*;",
    jump=r".*\b(?:BRA|CALL).*`\((\.L\w+)\)",
    never_goes_on=r"(BRA|EXIT|RET)\b",
    access=r"(?:@!?U?P\w+ +)?(LDG|STG|ATOMG?|REDG?)\b([\w.]*)",
    sizes={"128": 16, "64": 8, "16": 2, "8": 1},
    kinds={"LDG": "loads", "STG": "stores", "ATOM": "atomics", "ATOMG": "atomics", "RED": "atomics", "REDG": "atomics"},
)
AMDGCN = Assembly(
    line=r"\t([a-z]+_.*)",
    jump=r"s_c?branch\w* (\.L\w+)",
    never_goes_on=r"s_(branch|endpgm|setpc)",
    access=r"(?:global|flat)_(load|store|atomic)(\w*)",
    sizes={"dwordx4": 16, "dwordx3": 12, "dwordx2": 8, "dword": 4, "short": 2, "byte": 1},
    kinds={"load": "loads", "store": "stores", "atomic": "atomics"},
)


class Code(NamedTuple):
    lines: list[str]
    leads_to: list[set[int]]  # for each line those that may follow it

    @classmethod
    def of(cls, listing: Iterable[str], assembly: Assembly) -> "Code":
        lines: list[str] = []
        labels: dict[str, int] = {}
        for text in listing:
            if label := re.match(r"(\.L\w+):", text):
                labels[label[1]] = len(lines)
            elif found := re.match(assembly.line, text):
                lines.append(found[1])
        leads_to = []
        for place, line in enumerate(lines):
            jump = re.match(assembly.jump, line)
            goes_on = not re.match(assembly.never_goes_on, line)
            leads_to.append(({place + 1} if goes_on else set()) | ({labels[jump[1]]} if jump else set()))
        if leads_to[-1] == {len(lines) - 1}:
            del lines[-1], leads_to[-1]
        return cls(lines, leads_to)

    def in_loops(self) -> int:
        """Instructions from which control may come back to them."""
        comes_from: list[set[int]] = [set() for _ in self.lines]
        for place, others in enumerate(self.leads_to):
            for other in others:
                comes_from[other].add(place)
        inside: set[int] = set()
        for place, others in enumerate(self.leads_to):
            for other in others:
                if other <= place:
                    inside |= _reached(other, self.leads_to) & _reached(place, comes_from)
        return len(inside)


def _reached(start: int, arrows: list[set[int]]) -> set[int]:
    found, left = {start}, [start]
    while left:
        new = arrows[left.pop()] - found
        found |= new
        left += new
    return found


def nvidia(asm: dict[str, Any]) -> tuple[Code, int, int, int]:
    """The code, its registers, scalar ones, and what it spills."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "kernel.cubin")
        file.write_bytes(asm["cubin"])

        def said(tool: Any, option: str) -> str:
            return subprocess.run([tool.path, option, file], check=True, capture_output=True, text=True).stdout

        used = dict(re.findall(r"(\w+):(\d+)", said(triton.knobs.nvidia.cuobjdump, "-res-usage")))
        code = Code.of(said(triton.knobs.nvidia.nvdisasm, "-c").splitlines(), SASS)
    return code, int(used["REG"]), 0, int(used["STACK"]) + int(used["LOCAL"])


def amd(asm: dict[str, Any]) -> tuple[Code, int, int, int]:
    """Likewise. A scalar register is spilled to a vector's lane; the metadata have the number of both."""
    code, _, rest = asm["amdgcn"].partition("\t.section\t.rodata")
    used = dict(re.findall(r"^ +\.(\w+): +(\d+)$", rest, re.MULTILINE))
    spilled = int(used["private_segment_fixed_size"]) + 4 * int(used["sgpr_spill_count"])
    return Code.of(code.splitlines(), AMDGCN), int(used["vgpr_count"]), int(used["sgpr_count"]), spilled


VENDORS: dict[str, tuple[Assembly, Callable[[dict[str, Any]], tuple[Code, int, int, int]]]] = {
    "cuda": (SASS, nvidia),
    "hip": (AMDGCN, amd),
}


def accesses(code: Code, assembly: Assembly) -> dict[str, dict[int, int]]:
    """How many loads, stores and atomics there are of each width in bytes."""
    found: dict[str, Counter[int]] = {kind: Counter() for kind in assembly.kinds.values()}
    for line in code.lines:
        if access := re.match(assembly.access, line):
            width = next((size for suffix, size in assembly.sizes.items() if suffix in access[2]), 4)
            found[assembly.kinds[access[1]]][width] += 1
    return {kind: dict(sorted(widths.items(), reverse=True)) for kind, widths in found.items()}


def counted(variant: str, launch: Recorded, target: str) -> Counts:
    compiled = launch.compiled(target)
    assembly, read = VENDORS[TARGETS[target].backend]
    code, registers, scalar, spilled = read(compiled.asm)
    made, constants, number = MADE[launch.name]
    for constant in constants:
        number *= launch.given[constant]
    instructions, in_loops, found = len(code.lines), code.in_loops(), accesses(code, assembly)
    threads = compiled.metadata.num_warps * TARGETS[target].warp_size
    each = (in_loops if made == "draw" else instructions) * threads / number
    return Counts(
        launch.name, variant, target, instructions, in_loops, made, each, registers, scalar, spilled,
        compiled.metadata.shared,
        found["loads"], found["stores"], sum(found["atomics"].values()),
    )  # fmt: skip


def launches() -> str:
    """What a call launches."""
    settings = [Setting((256, 1024, 14, 14), 7, renorm=renorm) for renorm in RENORMS]
    [names] = {tuple(launch.name for launch in of.of_mask() + of.of_apply(False)) for of in settings}
    shown = ", ".join(f"`{name}`" for name in names)
    return f"Launches of a forward pass, with every `renorm`: {shown}; of a backward pass the last alone."


def table(counts: Sequence[Counts]) -> str:
    """A row a kernel: instructions, registers, and instructions for each of what it makes."""
    rows: dict[tuple[str, str], dict[str, Counts]] = {}
    for of in counts:
        rows.setdefault((of.kernel, of.variant), {})[of.target] = of
    targets = dict.fromkeys(of.target for of in counts)
    head = ["Kernel", *(f"{target}: instructions" for target in targets), "registers", "for each"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for (kernel, variant), by in rows.items():
        cells = [f"`{kernel}`: {variant}", *(f"{of.instructions:,}" for of in by.values())]
        made = next(iter(by.values())).made
        cells += [", ".join(str(of.registers) for of in by.values())]
        cells += [f"{made} {', '.join(f'{of.each:,.0f}' for of in by.values())}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def details(of: Counts) -> str:
    def widths(found: dict[int, int]) -> str:
        return " + ".join(f"{number} of {width}" for width, number in found.items()) or "0"

    return (
        f"{of.target} {of.kernel}, {of.variant}: {of.instructions} instructions, {of.in_loops} of them in loops, "
        f"{of.each:.1f} a {of.made}; {of.registers} registers and {of.scalar} scalar, {of.spilled} bytes spilled, "
        f"{of.shared} shared; loads {widths(of.loads)}, stores {widths(of.stores)}, atomics {of.atomics}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", help=f"some of {', '.join(TARGETS)}; all where none is named")
    parser.add_argument("--dtypes", nargs="*", default=["float16"], help="of the activations")
    parser.add_argument("--print", action="store_true", dest="keep", help="leave docs/performance.md as it is")
    parser.add_argument("--json", action="store_true", help="print nothing but the counts, for a program to read")
    arguments = parser.parse_args()
    if unknown := set(arguments.targets) - TARGETS.keys():
        parser.error(f"{', '.join(sorted(unknown))}: choose out of {', '.join(TARGETS)}")
    dtypes = [getattr(torch, name) for name in arguments.dtypes]
    found = []
    for target in arguments.targets or TARGETS:
        for variant, launch in variants(dtypes):
            found.append(counted(variant, launch, target))
            if not arguments.json:
                print(details(found[-1]), flush=True)
    if arguments.json:
        print(json.dumps([of._asdict() for of in found]))
        return
    measured = f"{launches()}\n\nTriton {triton.__version__}:\n\n{table(found)}"
    print(measured)
    if not arguments.keep and not arguments.targets:
        write_generated(DOCUMENT, "make kernels", measured)


if __name__ == "__main__":
    main()
