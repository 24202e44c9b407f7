# SPDX-License-Identifier: Apache-2.0
"""A certificate as a badge: an SVG, and the JSON that badge services read."""

from html import escape
from typing import Any

LABEL = "DropBlock"
COLOURS = {"brightgreen": "#4c1", "green": "#97ca00", "yellow": "#dfb317", "red": "#e05d44", "lightgrey": "#9f9f9f"}
CHARACTER, PADDING = 6.7, 10  # widths in the font below, on the safe side


def badge(certificate: dict[str, Any]) -> dict[str, Any]:
    """As badge services read it: schemaVersion, label, message, color. The message says it without the colour."""
    conforms = certificate["conforms"]
    if conforms["robust"]:
        message, colour = "conforms", "brightgreen"
    elif conforms["paper"]:
        message, colour = "the paper's", "green"
    elif certificate.get("as_declared"):
        message, colour = "deviates as declared", "yellow"
    else:
        message, colour = certificate["verdict"], "red"
    return {
        "schemaVersion": 1,
        "label": LABEL,
        "message": f"{message} ({certificate['run']['profile']})",
        "color": colour,
    }


def as_svg(said: dict[str, Any]) -> str:
    label, message = escape(said["label"]), escape(said["message"])
    left, right = (round(len(said[part]) * CHARACTER + PADDING) for part in ("label", "message"))
    width, colour = left + right, COLOURS[said["color"]]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="20" role="img" '
        f'aria-label="{label}: {message}"><title>{label}: {message}</title>'
        f'<rect width="{left}" height="20" fill="#555"/><rect x="{left}" width="{right}" height="20" fill="{colour}"/>'
        '<g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">'
        f'<text x="{left / 2:g}" y="14">{label}</text>'
        f'<text x="{left + right / 2:g}" y="14">{message}</text></g></svg>\n'
    )
