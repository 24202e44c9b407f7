"""What is known of several third-party layers alike: deviations, and commands of one line that show them.

Such a command uses PyTorch and the accused library only. For a law it prints how often an event occurs, in maps of the
check's own setting; for any other check the share of units that are wrong. The paper's value is another.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from dropblock_conformance.subject import Deviation

Effect = tuple[float, float]

ANY_SHARE = (0.0, 1.0)
UNTOUCHED = "a map left untouched"
ONE_BLOCK = "exactly one block dropped"
CENTRE = "the block at (1, 1), of the maps with one block"
LOST = "lost"  # units that are zero, dropped or not

MULTIPLIED = [
    Deviation("values.dropped_zero", "the mask is multiplied, so NaN and infinity go through", ANY_SHARE),
    Deviation("gradient.nonfinite", "the mask is multiplied, so infinity from above becomes NaN", ANY_SHARE),
]
OVER_THE_BORDER = Deviation("mask.blocks", "seeds fall on the whole map, so blocks hang over its border", ANY_SHARE)


ROUNDED_TWICE = {
    "scale.claimed": (2e-7, 0.02),
    "gradient.scale": (2e-7, 0.02),
    "scale.float16": (2e-4, 0.002),
    "scale.bfloat16": (0.002, 0.02),
}


def rounding(reason: str, checks: Iterable[str] = tuple(ROUNDED_TWICE)) -> list[Deviation]:
    """Where values in half precision are rounded more than once."""
    return [Deviation(check, reason, ROUNDED_TWICE[check]) for check in checks]


def nothing_kept(reason: str) -> list[Deviation]:
    return [Deviation(check, reason, ANY_SHARE) for check in ("values.nothing_kept", "gradient.nothing_kept")]


# Laws by check: the event that shows them best, and the effect as measured, with room for chance at every profile.
Law = dict[str, tuple[str, Effect]]

# Eq. (1)'s gamma, but seeds on the whole map.
WHOLE_MAP: Law = {
    "law.paper": (UNTOUCHED, (1.98, 2.11)),
    "law.full_map": (UNTOUCHED, (2.90, 3.01)),
    "law.non_square": (UNTOUCHED, (0.97, 1.12)),
    "law.wide": (UNTOUCHED, (1.95, 2.12)),
    "law.low_keep_prob": ("unit (0, 5) kept", (1.90, 2.00)),
    "law.keep_prob_zero": ("unit (0, 0) kept", (1.57, 1.67)),
    "law.corners": ("unit (0, 5) kept", (1.92, 2.04)),
    "law.anchors": (CENTRE, (-0.26, -0.14)),  # a block at the border may come from several seeds
    "law.one_block": (ONE_BLOCK, (-0.55, -0.48)),
    "law.pairs": ("units (2, 1), (2, 4) all kept", (0.40, 0.50)),
    "law.drawn": ("law.paper", (0.05, 100.0)),
}
WHOLE_MAP_EVEN: Law = {"law.even_block": (UNTOUCHED, (2.05, 2.22))}
WHOLE_MAP_CLIPPED: Law = {"law.clipped": (UNTOUCHED, (5.60, 6.00))}
WHOLE_MAP_HALF: Law = {"law.float16": (UNTOUCHED, (0.26, 0.36)), "law.bfloat16": (UNTOUCHED, (0.26, 0.36))}

# A count in float16 that is infinite: every unit is zero.
LOST_IN_FLOAT16: Law = {"scale.float16": (LOST, (0.99, 1.0))}
OVERFLOW = "kept units are counted in float16, which ends at 65,504: the count is infinite, and all is lost"

# drop_prob / block_size^2, and seeds on the whole map.
P_OVER_AREA: Law = {
    "law.paper": ("unit (6, 6) kept", (-0.70, -0.65)),
    "law.full_map": (UNTOUCHED, (-0.14, -0.09)),
    "law.non_square": ("unit (2, 4) kept", (-0.56, -0.51)),
    "law.wide": ("units 36 to 69 of a row all kept", (-0.36, -0.31)),
    # 56% too rarely in the middle and 55% too often in a corner: chance decides which is the larger.
    "law.low_keep_prob": ("unit (2, 2) kept", (-0.58, 0.58)),
    "law.keep_prob_zero": ("unit (1, 2) kept", (-0.44, -0.39)),
    "law.corners": ("unit (0, 5) kept", (0.40, 0.45)),
    "law.anchors": (CENTRE, (-0.11, -0.04)),  # a block at the border may come from several seeds
    "law.one_block": (ONE_BLOCK, (-0.74, -0.69)),
    "law.pairs": ("units (2, 2), (3, 3) all kept", (-0.58, -0.53)),
    "law.drawn": ("law.paper", (-0.95, -0.02)),
}
P_OVER_AREA_EVEN: Law = {"law.even_block": ("unit (3, 3) kept", (-0.65, -0.60))}
P_OVER_AREA_RANK3: Law = {"law.rank3": ("unit (0, 1, 1) kept", (-0.48, -0.43))}


def shown(expect: Iterable[Deviation], commands: Mapping[str, str]) -> list[Deviation]:
    """Each deviation with the command that shows it."""
    return [replace(deviation, reproduce=commands[deviation.check]) for deviation in expect]


def deviations(law: Law, reason: str) -> list[Deviation]:
    return [Deviation(check, reason, effect) for check, (_, effect) in law.items()]


# Each check's number of maps, their size, its block and drop probability.
SETTINGS = {
    "law.paper": (100_000, "14, 14", 7, 0.1),
    "law.full_map": (100_000, "7, 7", 7, 0.25),
    "law.non_square": (100_000, "5, 9", 3, 0.35),
    "law.wide": (100_000, "3, 70", 3, 0.05),
    "law.even_block": (100_000, "6, 7", 4, 0.4),
    "law.clipped": (100_000, "5, 9", 7, 0.3),
    "law.low_keep_prob": (100_000, "6, 6", 3, 0.8),
    "law.keep_prob_zero": (100_000, "5, 6", 3, 1.0),
    "law.corners": (100_000, "5, 6", 3, 0.7),
    "law.anchors": (400_000, "5, 5", 3, 0.36),
    "law.one_block": (100_000, "5, 5", 3, 0.125),
    "law.pairs": (100_000, "6, 6", 3, 0.5),
    "law.rank3": (100_000, "4, 4, 4", 3, 0.5),
    "law.float16": (20_480, "16, 16", 3, 0.024),
    "law.bfloat16": (20_480, "16, 16", 3, 0.024),
    "mask.blocks": (1_000, "7, 9", 3, 0.1),
    "mask.clipped": (1_000, "5, 9", 7, 0.1),
}
# What is counted of the answer y, an array [maps, *size].
SHARES = {
    UNTOUCHED: "(y != 0).reshape(len(y), -1).all(1)",
    "units 36 to 69 of a row all kept": "(y[:, 0, 36:] != 0).all(1)",
    "units (2, 1), (2, 4) all kept": "(y[:, 2, 1] != 0) & (y[:, 2, 4] != 0)",
    "units (2, 2), (3, 3) all kept": "(y[:, 2, 2] != 0) & (y[:, 3, 3] != 0)",
}
WINDOWS = "from numpy.lib.stride_tricks import sliding_window_view as w"
# Where a whole block lies in what was dropped, and, for `mask`, what those blocks cover.
WHOLE = "z = y == 0; b = w(z, {block}, (1, 2)).all((-1, -2))"
STRAY = "z &= ~w(np.pad(b, {padding}), {block}, (1, 2)).any((-1, -2)); print(z.sum() / (y == 0).sum())"


def law_lines(prelude: str, answer: str, law: Law) -> dict[str, str]:
    """A command for each check of a law. `answer` makes the array y out of `n`, `feat`, `p` and `b`, and of `dtype`."""
    found = {check: line(prelude, answer, check, event) for check, (event, _) in law.items() if check != "law.drawn"}
    # Settings that are drawn anew for each seed have none of their own: another check's stands for them.
    return found | ({"law.drawn": found[law["law.drawn"][0]]} if "law.drawn" in law else {})


def line(prelude: str, answer: str, check: str, event: str = "") -> str:
    n, feat, block, p = SETTINGS[check]
    sides = (5, 7) if check == "mask.clipped" else (block, block)
    padding = ((0, 0), *((side - 1, side - 1) for side in sides))
    dtype = check.removeprefix("law.") if check in ("law.float16", "law.bfloat16") else "float32"
    program = [prelude, "y = " + answer.format(n=n, feat=feat, p=p, b=block, dtype=dtype)]
    one = "z = y == 0; o = w(z, (3, 3), (1, 2)).all((-1, -2))[z.sum((1, 2)) == 9]"  # blocks of maps that have one
    if event.startswith("unit ("):
        unit = event.removeprefix("unit (").removesuffix(") kept")
        program.append(f"print((y[:, {unit}] != 0).mean())")
    elif event in (CENTRE, ONE_BLOCK):
        share = "o[:, 1, 1].sum() / o.sum()" if event == CENTRE else "o.sum() / len(y)"
        program = [WINDOWS, *program, one, f"print({share})"]
    elif event in SHARES:
        program.append(f"print(({SHARES[event]}).mean())")
    else:
        words = {"block": sides, "padding": padding}
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
        prelude, answer, {check: seen for check, seen in law.items() if check in (*SETTINGS, "law.drawn")}
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
