# SPDX-License-Identifier: Apache-2.0
"""Who called: how an adapter learns that a framework will run a call again for its gradients."""

import sys
from types import FrameType


def innermost(*names: str) -> str:
    """The dotted name of the innermost caller that begins with one of `names`, as in ``"package.module.function"``.

    The empty string where no function of this thread that has not returned yet is called so.

    >>> def outer():
    ...     return innermost("other.", f"{__name__}.out")
    >>> outer().endswith("callers.outer")
    True
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        name = f"{frame.f_globals.get('__name__')}.{frame.f_code.co_qualname}"
        if name.startswith(names):
            return name
        frame = frame.f_back
    return ""
