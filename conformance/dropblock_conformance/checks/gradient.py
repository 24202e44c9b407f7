# SPDX-License-Identifier: Apache-2.0
"""The gradient is mask times scale (rules R7 and R10): nothing flows through a dropped unit."""

import numpy as np

from dropblock_conformance.checks.scale import ERROR, all_dropped, claimed_scale, few_kept, require_scaled
from dropblock_conformance.judging.check import Context, Finding, Violation, check, claim, explanation_of
from dropblock_conformance.judging.dtypes import dtype_named
from dropblock_conformance.judging.exact import Setting, for_all, once, require_some, share, valid_settings
from dropblock_conformance.judging.inputs import LAYOUTS, REPEATED
from dropblock_conformance.level import Severity
from dropblock_conformance.subject import Array

HAS_GRADIENT = claim(lambda s: s.grad is not None, "offers no gradient")
SEEDABLE_GRADIENT = claim(lambda s: s.grad is not None and s.claims.seedable, "offers no gradient that can be seeded")
WRONG = "share of units whose gradient is wrong, in the simplest setting found"


def _upstream(setting: Setting) -> Array:
    """An upstream gradient without zeros, other than the activations."""
    return np.asarray(np.roll(setting.values(), 1, axis=-1) * np.asarray(0.75, dtype_named(setting.dtype)))


@check(
    "gradient.mask",
    title="The gradient has the mask of the activations",
    rule="R7 · Algorithm 1 line 7 differentiated",
    effect=WRONG,
    needs=HAS_GRADIENT,
)
def mask(context: Context) -> Finding:
    """The gradient is zero at the dropped units and nowhere else."""

    def holds(setting: Setting) -> None:
        y, dx = context.gradient(setting.values(), _upstream(setting), **setting.arguments)
        if np.isnan(y).all():
            return  # nothing kept: R10's own check
        if (wrong := (y == 0) != (dx == 0)).any():
            raise Violation("the gradient flows through another mask than the activations", share(wrong))
        require_some(y == 0)

    return for_all(context, valid_settings(context), holds)


@check(
    "gradient.scale",
    title="The gradient has the scale of the activations",
    rule="R7, R8 · Algorithm 1 line 8 differentiated",
    effect=ERROR,
    needs=HAS_GRADIENT,
)
def scale(context: Context) -> Finding:
    """Where a unit is kept its gradient is the upstream gradient times line 8's factor, a constant."""
    claims = context.subject.claims

    def holds(setting: Setting) -> None:
        dy = _upstream(setting)
        y, dx = context.gradient(setting.values(), dy, **setting.arguments)
        kept = (y != 0) & ~np.isnan(y)
        require_scaled("gradients", dy, dx, kept, claimed_scale(claims, setting, ~kept), setting.dtype)
        require_some(~kept)

    return for_all(context, valid_settings(context) | few_kept(context), holds)


@check(
    "gradient.nonfinite",
    title="No gradient at a dropped unit, whatever it held",
    rule="R7 · Algorithm 1 line 7 differentiated",
    effect=WRONG,
    needs=SEEDABLE_GRADIENT,
    severity=Severity.HYGIENE,
)
def nonfinite(context: Context) -> Finding:
    """NaN or infinity at a dropped unit, or arriving at it from above, does not reach the gradient."""

    def holds(setting: Setting) -> None:
        y, _ = context.gradient(setting.values(), _upstream(setting), **setting.arguments)
        dropped = y == 0
        require_some(dropped)
        for name, held in (
            ("activation", np.nan),
            ("activation", np.inf),
            ("upstream gradient", np.inf),
            ("upstream gradient", np.nan),
        ):
            x, dy = setting.values(), _upstream(setting)
            (x if name == "activation" else dy)[dropped] = held
            _, dx = context.gradient(x, dy, **setting.arguments)
            wrong = dx[dropped] != 0
            if wrong.any():
                raise Violation(
                    f"gradient {dx[dropped][wrong][0]} at a dropped unit whose {name} was {held}", share(wrong)
                )

    return for_all(context, valid_settings(context), holds)


@check(
    "gradient.layout",
    title="The memory layout of the upstream gradient does not matter",
    rule="R7 · Algorithm 1 lines 7 and 8 differentiated",
    effect=WRONG,
    needs=SEEDABLE_GRADIENT,
    severity=Severity.SERIOUS,
)
def layout(context: Context) -> Finding:
    """Upstream gradients with the same values get the same answer, however they lie in memory: as those of
    `output.layout`, one number repeated without memory of its own among them, which the gradient of a sum is.
    """

    def holds(setting: Setting) -> None:
        x, dy = setting.values(), _upstream(setting)
        _, usual = context.gradient(x.copy(), dy.copy(), **setting.arguments)
        for lay in (*LAYOUTS, *REPEATED):
            laid = lay(dy)
            wanted = usual
            if lay in REPEATED:
                _, wanted = context.gradient(x.copy(), laid.copy(order="C"), **setting.arguments)
            _, dx = context.gradient(x.copy(), laid, **setting.arguments)
            if (wrong := (dx != wanted) & ~(np.isnan(dx) & np.isnan(wanted))).any():
                how = explanation_of(lay).rstrip(".").lower()
                raise Violation(f"the gradient depends on how the upstream one lies in memory ({how})", share(wrong))

    return for_all(context, valid_settings(context), holds)


@check(
    "gradient.nothing_kept",
    title="Zero gradient where nothing is kept",
    rule="R10 · line 8 differentiated",
    effect=WRONG,
    needs=claim(lambda s: s.grad is not None and s.claims.keep_prob_zero, "offers no gradient, or not at keep_prob 0"),
    severity=Severity.EDGE,
)
def nothing_kept(context: Context) -> Finding:
    """At keep_prob 0 with a block as large as the map the gradient is zero, never NaN."""

    def holds() -> str:
        for setting in all_dropped(context):
            _, dx = context.gradient(setting.values(), _upstream(setting), **setting.arguments)
            if (wrong := dx != 0).any():
                raise Violation(f"gradient {dx[wrong][0]} where nothing is kept, at {setting}", share(wrong))
        return "zero where nothing is kept"

    return once(holds)
