# SPDX-License-Identifier: Apache-2.0
"""Text and numbers of a subject, made safe to show: a subject may say anything, control characters included."""

import math
from typing import Any


def printable(text: object) -> str:
    """`text` with control characters (and what XML cannot hold) spelled out; line ends and tabs stay."""
    return "".join(c if c in "\n\t" or c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))


def finite(value: Any) -> Any:
    """JSON has no NaN and no infinity: these become null, anywhere in nested data."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
