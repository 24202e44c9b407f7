# SPDX-License-Identifier: Apache-2.0
"""Commands of one line that show a deviation with the accused library alone.

For a law a command prints how often an event occurs, in maps of the check's own setting; for any other check the share
of units that are wrong. The paper's value is another.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from dropblock_conformance.checks import all_checks
from dropblock_conformance.checks.events import UNTOUCHED
from dropblock_conformance.judging.configuration import Configuration
from dropblock_conformance.subject import Deviation
from dropblock_conformance.subjects.third_party.deviations import LOST, Law

CHECKS = all_checks()


def shown(expect: Iterable[Deviation], commands: Mapping[str, str]) -> list[Deviation]:
    """Each deviation with the command that shows it."""
    return [replace(deviation, reproduce=commands[deviation.check]) for deviation in expect]


# How many maps a command of a check looks at, where these are not MAPS.
MAPS = 100_000
OTHER_MAPS = {"law.float16": 20_480, "law.bfloat16": 20_480}
# Structure holds at every setting; these show a block that hangs over the border.
STRUCTURE = {
    "mask.blocks": (1_000, Configuration((7, 9), 3, 0.9)),
    "mask.clipped": (1_000, Configuration((5, 9), 7, 0.9)),
}


def has_setting(check: str) -> bool:
    return check in STRUCTURE or (check in CHECKS and bool(CHECKS[check].at))


def setting(check: str) -> tuple[int, Configuration]:
    """The number of maps that a command looks at, and the check's own configuration."""
    if check in STRUCTURE:
        return STRUCTURE[check]
    (configuration,) = CHECKS[check].at.values()
    return OTHER_MAPS.get(check, MAPS), configuration


# What is counted of the answer y, an array [maps, *size].
SHARES = {
    UNTOUCHED: "(y != 0).reshape(len(y), -1).all(1)",
    "units 36 to 69 of a row all kept": "(y[:, 0, 36:] != 0).all(1)",
    "units 36 to 69 of a column all kept": "(y[:, 36:, 0] != 0).all(1)",
}
WINDOWS = "from numpy.lib.stride_tricks import sliding_window_view as w"
# Where a whole block lies in what was dropped, and, for `mask`, what those blocks cover.
WHOLE = "z = y == 0; b = w(z, {block}, (1, 2)).all((-1, -2))"
STRAY = "z &= ~w(np.pad(b, {padding}), {block}, (1, 2)).any((-1, -2)); print(z.sum() / (y == 0).sum())"


DRAWN = ("law.drawn", "law.everywhere", "law.special")


def law_lines(prelude: str, answer: str, law: Law) -> dict[str, str]:
    """A command for each check of a law. `answer` makes the array y out of `n`, `feat`, `p` and `b`, and of `dtype`."""
    found = {check: line(prelude, answer, check, event) for check, (event, _) in law.items() if check not in DRAWN}
    # Settings that are drawn anew for each seed have none of their own: another check's stands for them.
    return found | {check: found[event] for check, (event, _) in law.items() if check in DRAWN}


def line(prelude: str, answer: str, check: str, event: str = "") -> str:
    n, c = setting(check)
    feat, p = ", ".join(map(str, c.feat)), round(1 - c.keep_prob, 10)
    padding = ((0, 0), *((side - 1, side - 1) for side in c.block))
    dtype = check.removeprefix("law.") if check in ("law.float16", "law.bfloat16") else "float32"
    program = [prelude, "y = " + answer.format(n=n, feat=feat, p=p, b=c.block_size, dtype=dtype)]
    if event.startswith("unit ("):
        unit = event.removeprefix("unit (").removesuffix(") kept")
        program.append(f"print((y[:, {unit}] != 0).mean())")
    elif event in SHARES:
        program.append(f"print(({SHARES[event]}).mean())")
    else:
        words = {"block": c.block, "padding": padding}
        program = ["import numpy as np", WINDOWS, *program, WHOLE.format(**words), STRAY.format(**words)]
    return command(*program)


def command(*program: str) -> str:
    return f'python -c "{"; ".join(program)}"'


# With PyTorch, what is no law: x, the layer's answer, and what of it is wrong. `{layer}` takes `p` and `b`.
ROUNDED = "k = y != 0; w = (x.double() * k.numel() / k.sum()).to(x.dtype)"
HALF = "4, 1, 64, 64, dtype=torch.float16"
TORCH = {
    "mode.keep_prob_one": (
        "x = torch.rand(30, 1, 30, 30, dtype=torch.float16)",
        "y = {layer}(x)",
        "print((y != x).float().mean().item())",
    ),
    "values.dropped_zero": (
        "x = torch.ones(100, 1, 9, 9)",
        "y = {layer}(x)",
        "torch.manual_seed(0)",
        "n = {layer}(x * float('nan'))",
        "print((n[y == 0] != 0).float().mean().item())",
    ),
    "values.nothing_kept": (
        "x = torch.ones(20, 1, 5, 5, dtype=torch.{dtype})",
        "y = {layer}(x)",
        "print((y != 0).float().mean().item())",
    ),
    "gradient.nothing_kept": (
        "x = torch.ones(20, 1, 5, 5, dtype=torch.{dtype}, requires_grad=True)",
        "{layer}(x).sum().backward()",
        "print((x.grad != 0).float().mean().item())",
    ),
    "gradient.nonfinite": (
        "x = torch.ones(100, 1, 9, 9, requires_grad=True)",
        "y = {layer}(x)",
        "y.backward(y.detach() + float('inf'))",
        "print((x.grad[y == 0] != 0).float().mean().item())",
    ),
    "scale.claimed": (
        f"x = torch.rand({HALF}) + 0.5",
        "y = {layer}(x)",
        ROUNDED,
        "print((y != w)[k].float().mean().item())",
    ),
    "gradient.scale": (
        f"x = (torch.rand({HALF}) + 0.5).requires_grad_()",
        "y = {layer}(x)",
        "y.backward(x.detach())",
        ROUNDED,
        "print((x.grad != w)[k].float().mean().item())",
    ),
    "scale.float16": (
        "x = torch.rand(8, 1, 64, 64, dtype=torch.float16) + 0.5",
        "y = {layer}(x)",
        ROUNDED,
        "print((y != w)[k].float().mean().item())",
    ),
    "values.edges": (
        "x = torch.full((8, 1, 64, 64), 1e38)",
        "y = {layer}(x)",
        "print(y.isinf().float().mean().item())",
    ),
    "gradient.edges": (
        "x = torch.ones(8, 1, 64, 64, requires_grad=True)",
        "y = {layer}(x)",
        "y.backward(torch.full_like(y, 2e-38))",
        "k = y != 0; w = 2e-38 * k.numel() / k.sum()",
        "print(((x.grad / w - 1).abs() > 1e-5)[k].float().mean().item())",
    ),
    "scale.bfloat16": (
        "x = torch.rand(32, 1, 64, 64, dtype=torch.bfloat16) + 0.5",
        "y = {layer}(x)",
        ROUNDED,
        "print((y != w)[k].float().mean().item())",
    ),
    LOST: (
        "x = torch.rand(32, 1, 64, 64, dtype=torch.float16) + 0.5",
        "y = {layer}(x)",
        "print((y == 0).float().mean().item())",
    ),
}
TORCH["values.every_unit"], TORCH["gradient.every_unit"] = TORCH["scale.claimed"], TORCH["gradient.scale"]
# Block and drop probability of those.
TORCH_SETTINGS = {
    "mode.keep_prob_one": (1, 0.0),
    "values.dropped_zero": (3, 0.3),
    "gradient.nonfinite": (3, 0.3),
    "values.nothing_kept": (5, 1.0),
    "gradient.nothing_kept": (5, 1.0),
}


def torch_lines(
    imports: str, layer: str, expect: Iterable[Deviation], law: Law | None = None, nothing_kept_in: str = "float32"
) -> dict[str, str]:
    """A command for each deviation. `layer` makes the layer from `p`, a drop probability, and `b`, a block."""
    law = law or {}
    prelude = f"import torch; {imports}; torch.manual_seed(0)"
    answer = f"{layer}(torch.ones({{n}}, 1, {{feat}}, dtype=torch.{{dtype}})).float().numpy()[:, 0]"
    # 128 maps at a time, of which no count in float16 overflows.
    parts = f"torch.cat([{layer}(v) for v in torch.ones({{n}}, 1, {{feat}}, dtype=torch.{{dtype}}).split(128)])"
    found = law_lines(
        prelude, answer, {check: seen for check, seen in law.items() if has_setting(check) or check in DRAWN}
    )
    if "law.float16" in found:
        found["law.float16"] = line(prelude, f"{parts}.float().numpy()[:, 0]", "law.float16", law["law.float16"][0])
    for check in (deviation.check for deviation in expect if deviation.check not in found):
        if check.startswith("mask."):
            found[check] = line(prelude, answer, check)
        elif check in TORCH:
            event = LOST if law.get(check, ("",))[0] == LOST else check
            block, p = TORCH_SETTINGS.get(check, (7, 0.1))
            words = {"layer": layer.format(p=p, b=block), "dtype": nothing_kept_in}
            found[check] = command(prelude, *(step.format(**words) for step in TORCH[event]))
    return found
