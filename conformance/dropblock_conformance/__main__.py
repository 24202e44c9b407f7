"""``python -m dropblock_conformance`` is ``dropblock-conformance``."""

from dropblock_conformance.cli import main

main(prog_name="dropblock-conformance")
