# SPDX-License-Identifier: Apache-2.0
"""The pages that Jinja fills in. In HTML it escapes whatever a subject says, control characters included."""

from collections.abc import Callable
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from dropblock_conformance.reports.safe import printable


def template(name: str, **filters: Callable[..., Any]) -> Template:
    """A page out of the folder ``templates`` beside this file, with filters of its own."""
    is_html = name.endswith(".html")
    environment = Environment(
        loader=PackageLoader("dropblock_conformance", "reports/templates"),
        autoescape=is_html,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printable if is_html else None,
    )
    environment.filters.update(filters)
    return environment.get_template(name)


def _printable(value: Any) -> Any:
    return printable(value) if isinstance(value, str) and not hasattr(value, "__html__") else value
