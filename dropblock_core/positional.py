# SPDX-License-Identifier: Apache-2.0
"""A silent trap: in other libraries the first number is the probability of dropping, and here it is that of keeping.

``DropBlock2d(0.1, 7)`` is taken from code for one of those, or means what it says. Without its name nobody can tell.
"""

import functools
import inspect
import warnings
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def warn_if_low(caller: str, keep_prob: Any, stacklevel: int) -> None:
    """Warn where a keep_prob that came by position is a number below 0.5."""
    if isinstance(keep_prob, (float, int)) and not isinstance(keep_prob, bool) and 0 <= keep_prob < 0.5:
        warnings.warn(
            f"{caller} got keep_prob {keep_prob:g} by position: it keeps {keep_prob:.0%} of the units and drops "
            f"{1 - keep_prob:.0%}, up to the overlap of blocks. In other libraries the first number is the probability "
            f"of dropping: if you mean that, pass keep_prob={1 - keep_prob:.6g}; if not, pass keep_prob={keep_prob:g} "
            "by name, and nothing is said",
            stacklevel=stacklevel + 1,
        )


def _never() -> bool:
    return False


def looks_at_position(is_quiet: Callable[[], bool] = _never) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """For functions of ``(x, keep_prob, ...)``: :func:`warn_if_low`, unless `is_quiet`, as while a compiler traces."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def looking(*args: P.args, **kwargs: P.kwargs) -> R:
            if len(args) > 1 and not is_quiet():
                warn_if_low(f"{function.__name__}()", args[1], stacklevel=2)
            return function(*args, **kwargs)

        return looking

    return decorate


class _OfInit:
    """The signature of a class, from its `__init__`. Python 3.11.2 shows that of `__new__`, which takes anything."""

    def __get__(self, layer: Any, owner: type) -> inspect.Signature:
        if layer is not None:
            raise AttributeError("__signature__")  # a layer itself has that of its __call__
        _, *parameters = inspect.signature(owner.__init__).parameters.values()  # type: ignore[misc]  # it is the class's
        return inspect.Signature(parameters)


class LooksAtPosition:
    """For layers whose first argument is keep_prob: :func:`warn_if_low` when one is made."""

    __signature__ = _OfInit()

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        if args:
            warn_if_low(cls.__name__, args[0], stacklevel=2)
        new = super().__new__
        return new(cls) if new is object.__new__ else new(cls, *args, **kwargs)
