# SPDX-License-Identifier: Apache-2.0
"""Whether a subject has replaced a part of the suite in its own process.

It is no defence against somebody who wants to deceive: a subject shares a process with its judge. It catches what
patches and mocks leave behind.
"""

import sys
from types import FunctionType
from typing import Any

SUITE = "dropblock_conformance"


def parts() -> dict[str, Any]:
    """The suite's functions, classes and methods, by name, as they are now."""
    found: dict[str, Any] = {}
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == SUITE and not name.startswith(f"{SUITE}.subjects."):
            for attribute, value in list(vars(module).items()):
                if isinstance(value, FunctionType):
                    found[f"{name}.{attribute}"] = (value, value.__code__)
                elif isinstance(value, type) and value.__module__.startswith(SUITE):
                    found[f"{name}.{attribute}"] = value
                    methods = {method: part for method, part in vars(value).items() if isinstance(part, FunctionType)}
                    found |= {f"{name}.{attribute}.{m}": (part, part.__code__) for m, part in methods.items()}
    return found


def replaced(before: dict[str, Any]) -> list[str]:
    """The names that stand for something else than before."""
    now = parts()
    return [name for name, part in before.items() if now.get(name) != part]
