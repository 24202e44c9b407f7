"""XLA's text of a compiled program: which arrays it makes, and which instruction reads what."""

import re
from dataclasses import dataclass
from math import prod
from typing import Any

HEADER = re.compile(r"^(ENTRY )?%?([\w.-]+) \(.*\) -> .* \{$")
# The type of a result is one array, or a tuple of them with comments between.
INSTRUCTION = re.compile(r"^\s+(ROOT )?%?([\w.-]+) = (\(.*?\)|\S+) ([a-z][a-z0-9-]*)\((.*)$")
ARRAY = re.compile(r"\b([a-z]+\d*\w*)\[([\d,]*)\]")
CALLED = re.compile(r"(?:calls|to_apply)=%?([\w.-]+)")


@dataclass(frozen=True)
class Instruction:
    computation: str
    name: str
    opcode: str
    arrays: tuple[tuple[str, tuple[int, ...]], ...]  # dtype and shape of what it results in
    operands: tuple[str, ...]
    is_root: bool

    @property
    def elements(self) -> int:
        """Of the largest array it results in."""
        return max((prod(shape) for _, shape in self.arrays), default=0)


@dataclass(frozen=True)
class Program:
    """The instructions whose results lie in memory: those of fused computations and of reducers do not."""

    entry: str
    instructions: tuple[Instruction, ...]

    @classmethod
    def of(cls, compiled: Any) -> "Program":
        text = compiled.as_text()
        inner, entry, current, found = set(), "", "", []
        for line in text.splitlines():
            if header := HEADER.match(line):
                current = header[2]
                entry = current if header[1] else entry
            elif current and (match := INSTRUCTION.match(line)):
                root, name, result, opcode, rest = match.groups()
                arguments = rest[: rest.index(")")]
                arrays = tuple(
                    (dtype, tuple(int(side) for side in sides.split(",") if side))
                    for dtype, sides in ARRAY.findall(result)
                )
                operands = tuple(re.findall(r"%([\w.-]+)", arguments))
                found.append(Instruction(current, name, opcode, arrays, operands, bool(root)))
                if opcode != "call":
                    inner.update(CALLED.findall(rest))
        assert entry, "no entry computation was found"
        return cls(entry, tuple(i for i in found if i.computation not in inner))

    def at_least(self, elements: int) -> list[Instruction]:
        """What makes, passes on or takes in an array of so many elements."""
        return [instruction for instruction in self.instructions if instruction.elements >= elements]

    def named(self, name: str) -> Instruction:
        """An instruction of the entry computation, seen through what moves nothing."""
        (found,) = (i for i in self.instructions if i.computation == self.entry and i.name == name)
        return self.named(found.operands[0]) if found.opcode == "bitcast" else found
