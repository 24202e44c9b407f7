# SPDX-License-Identifier: Apache-2.0
"""``python -m dropblock_conformance`` is ``dropblock-conformance``."""

import sys


def main() -> None:
    """The command, or the sentence that says what it lacks: its packages are an extra."""
    try:
        from dropblock_conformance.cli import main as command
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("dropblock"):
            raise
        sys.exit(
            f"dropblock-conformance needs the package {error.name}: pip install 'dropblock-core[conformance]' brings it"
        )
    command(prog_name="dropblock-conformance")


if __name__ == "__main__":
    main()
