# SPDX-License-Identifier: Apache-2.0
"""``python -m dropblock_conformance`` is ``dropblock-conformance``."""

from dropblock_conformance.cli import main

main(prog_name="dropblock-conformance")
